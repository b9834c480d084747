/* SPDX-License-Identifier: MIT */
/* Datagrams: what UDP, ping and raw sockets share. A receive queue bounded by SO_RCVBUF, receiving with control data, poll. */
#ifndef EMUL_NET_DGRAM_H
#define EMUL_NET_DGRAM_H

#include "emul/net/inet.h"

struct dgram {
	struct list node;
	struct endpoint from, to;
	int ifindex;
	int tos, ttl;
	int64_t stamp; /* ns of CLOCK_REALTIME */
	size_t len, skip; /* skip: bytes before the data that the receiver does not see (IPv6 headers of raw sockets) */
	char data[];
};

struct dgram_sock {
	struct inet_sock inet; /* first */
	/* inet_lock: */
	bool connected;
	struct list rq;        /* dgram.node */
	size_t rq_bytes;
	unsigned drops;        /* ever; SO_RXQ_OVFL */
	int no_check6_tx, no_check6_rx, corking, send_cscov, recv_cscov; /* SOL_UDP, SOL_UDPLITE */
	uint16_t ident;        /* ping sockets: network order as in the packet; 0: none yet */
};

static inline struct dgram_sock *dgram_of(struct sock *s) { return container_of(inet_of(s), struct dgram_sock, inet); }

struct dgram_sock *dgram_sock_new(struct task *t, const struct sock_ops *ops, int family, int type, int protocol);
void dgram_destroy(struct sock *s);
/* Reads all of the call's data; *ret->len. -EFAULT, -ENOMEM (bounded by the caller). */
int dgram_read(struct uio *from, struct dgram **ret);
struct dgram *dgram_copy(const struct dgram *d);
/* Puts it into d's queue, or drops it if that is full. Consumes g. No lock held. */
void dgram_deliver(struct dgram_sock *d, struct dgram *g);
ssize_t dgram_recvmsg(struct sock *s, struct task *t, struct sock_msg *m);
uint32_t dgram_poll(struct sock *s);
int dgram_shutdown(struct sock *s, int how);
int dgram_getname(struct sock *s, bool peer, struct sock_addr *ret);
long dgram_ioctl(struct sock *s, unsigned cmd, gva_t arg, const struct ioctl_ctx *c);
int dgram_bind(struct sock *s, struct task *t, const struct sock_addr *a);
int dgram_connect(struct sock *s, struct task *t, const struct sock_addr *a);
/* An error from the network (ICMP): for a connected socket, or one that asked for it. No lock held. */
void dgram_error(struct dgram_sock *d, int err, bool hard);

/* What one send says beside its data: address and control messages, with the socket's options as defaults. */
struct dgram_target {
	struct endpoint to;
	struct in6_addr src;
	int ifindex;      /* it leaves by; IF_LO: local */
	int tos, ttl;     /* -1: default */
	bool multicast, broadcast, loop;
};
/* Where to and how: udp_sendmsg() up to the data. need_port: 0 is refused. inet_lock held; may bind. */
int dgram_target_locked(struct dgram_sock *d, const struct sock_msg *m, bool need_port, struct dgram_target *ret);

#endif
