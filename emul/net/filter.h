/* SPDX-License-Identifier: MIT */
/*
 * Filters of sockets: SO_ATTACH_FILTER and kin, for all families (the programs themselves: emul/proc/bpf.h). Where one looks, and what it
 * finds at offset 0, is the family's: UDP and TCP headers, the IP header for raw IPv4 sockets, the message elsewhere. net/core/filter.c.
 *
 * A filter is counted; whoever runs it holds no lock for that, so it may be run under any.
 */
#ifndef EMUL_NET_FILTER_H
#define EMUL_NET_FILTER_H

#include "emul/net/sock.h"
#include "emul/proc/bpf.h"

struct filter;

static inline bool filter_is_set(const struct sock *s)
{
	return atomic_load_explicit(&s->filter, memory_order_relaxed) != NULL;
}
/* sk_filter_trim_cap(): false: dropped. *ret_keep: how many bytes from offset 0 stay, at least `least` of those that there are. */
bool filter_passes(struct sock *s, const struct bpf_packet *p, size_t least, size_t *ret_keep);
/* The same for a message without headers: filters of AF_UNIX and AF_NETLINK. */
bool filter_passes_message(struct sock *s, const void *data, size_t len, size_t least, size_t *ret_keep);

/* -EINVAL, -EFAULT, -EPERM (locked; TCP without CAP_NET_ADMIN, as newer kernels have it), -ENOMEM. */
int filter_attach(struct sock *s, struct task *t, const struct sock_optval *v);
int filter_detach(struct sock *s);                          /* -ENOENT, -EPERM */
int filter_get_program(struct sock *s, struct sock_optval *v); /* v->len counts instructions, in both directions */
void filter_inherit(struct sock *child, const struct sock *listener);
void filter_drop(struct sock *s); /* at its end */

/* --- for who keeps a program otherwise --- */

/* The program that an option's value is, checked; one reference. The errors of filter_attach() but for those of TCP. */
int filter_read(struct sock *s, const struct sock_optval *v, struct filter **ret);
struct filter *filter_get(struct filter *f);
void filter_put(struct filter *f); /* NULL: nothing */
uint32_t filter_run(const struct filter *f, const struct bpf_packet *p);

#endif
