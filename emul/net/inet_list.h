/* SPDX-License-Identifier: MIT */
/* The sockets of one protocol, for /proc/net and sock_diag: collected under ports_lock, looked at after it was dropped. */
#ifndef EMUL_NET_INET_LIST_H
#define EMUL_NET_INET_LIST_H

#include "emul/net/inet.h"

struct inet_line {
	struct inet_sock *sock; /* counted; NULL: TIME_WAIT */
	struct port_entry e;    /* a copy */
};
struct inet_list { struct inet_line *line; size_t n, cap; int family; };

/* family: AF_INET, AF_INET6, AF_UNSPEC: both. Without memory it is shorter. No lock held. */
void inet_list_make(struct inet_list *l, enum port_proto proto, int family);
void inet_list_free(struct inet_list *l);

struct inet_facts {
	struct endpoint local, remote;
	unsigned state, tx, rx, uid, drops; /* state: TCP_*; a listener's tx and rx: backlog, waiting connections */
	unsigned shutdown;
	uint64_t inode;
	int refs;
	bool port_given;
};
void inet_list_look(const struct inet_line *l, struct inet_facts *ret);

#endif
