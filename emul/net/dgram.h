/* SPDX-License-Identifier: MIT */
/* Datagrams: what UDP, ping and raw sockets share. Receive and error queues bounded by SO_RCVBUF, receiving with control data, poll. */
#ifndef EMUL_NET_DGRAM_H
#define EMUL_NET_DGRAM_H

#include <time.h>
#include <linux/errqueue.h>

#include "emul/net/inet.h"

struct dgram {
	struct list node;
	struct endpoint from, to;
	int ifindex;
	int tos, ttl;
	uint32_t mark;  /* the sender's SO_MARK, if it is of this instance */
	int64_t stamp; /* ns of CLOCK_REALTIME */
	size_t len, skip; /* skip: bytes before the data that the receiver does not see (IPv6 headers of raw sockets) */
	size_t segment;   /* it is several of this many bytes of data, the last one less; 0: it is one */
	bool peeked;      /* an empty one that MSG_PEEK has shown: SO_PEEK_OFF goes on behind it */
	bool no_check;    /* over IPv6 without a checksum */
	char data[];
};

struct dgram_sock {
	struct inet_sock inet; /* first */
	/* inet_lock: */
	bool connected;
	struct list rq;        /* dgram.node */
	struct list errq;      /* dgram_err.c */
	size_t rq_bytes;       /* of both, with what a packet takes beside its data */
	unsigned drops;        /* ever; SO_RXQ_OVFL */
	int no_check6_tx, no_check6_rx, corking, encap, segment, gro, send_cscov, recv_cscov; /* SOL_UDP, SOL_UDPLITE */
	struct udp_cork *cork; /* inet_udp_send.c: what MSG_MORE and UDP_CORK have collected; NULL: nothing */
	uint16_t ident;        /* ping sockets: network order as in the packet; 0: none yet */
};

static inline struct dgram_sock *dgram_of(struct sock *s) { return container_of(inet_of(s), struct dgram_sock, inet); }

struct dgram_sock *dgram_sock_new(struct task *t, const struct sock_ops *ops, int family, int type, int protocol);
void dgram_destroy(struct sock *s);
struct dgram *dgram_copy(const struct dgram *d);
/* Puts it into d's queue, or drops it if that is full. Consumes g. No lock held. */
void dgram_deliver(struct dgram_sock *d, struct dgram *g);
void dgram_drop(struct dgram_sock *d, struct dgram *g); /* a filter does not want it. Consumes g. No lock held */
ssize_t dgram_recvmsg(struct sock *s, struct task *t, struct sock_msg *m);
uint32_t dgram_poll(struct sock *s);
int dgram_shutdown(struct sock *s, int how);
int dgram_getname(struct sock *s, bool peer, struct sock_addr *ret);
void dgram_memory(struct sock *s, struct sock_memory *ret);
long dgram_ioctl(struct sock *s, unsigned cmd, gva_t arg, const struct ioctl_ctx *c);
int dgram_bind(struct sock *s, struct task *t, const struct sock_addr *a);
int dgram_connect(struct sock *s, struct task *t, const struct sock_addr *a);
#define DGRAM_OVERHEAD 768 /* what a packet takes of the receive buffer beside its data */
/* Control messages about g that the IP options ask for. inet_lock need not be held. */
void dgram_put_ip(struct dgram_sock *d, const struct dgram *g, struct sock_msg *m);

/* --- dgram_err.c: errors from the network --------------------------------------------------------------------------------- */

/* An ICMP error, or what would be one inside the instance. */
struct dgram_fault {
	struct sock_extended_err ee; /* ee_errno is SO_ERROR too */
	bool hard;                   /* told to connected sockets that did not ask for errors */
	struct endpoint from, to;    /* who sent the error; where the datagram was to go */
	struct in6_addr local;
	int ifindex, ttl, tos;       /* of the packet that brought it */
	const void *data;            /* what it quotes of the datagram's data */
	size_t len;
};
/* g has no receiver here. */
void dgram_fault_unreachable(struct dgram_fault *f, const struct dgram *g);
/* For d, if it is connected or asked for errors. No lock held. */
void dgram_error(struct dgram_sock *d, const struct dgram_fault *f);
/* A datagram that is larger than mtu was not sent; only for the queue. inet_lock held. */
void dgram_error_too_large_locked(struct dgram_sock *d, const struct endpoint *to, uint32_t mtu);
ssize_t dgram_recv_error(struct dgram_sock *d, struct sock_msg *m); /* MSG_ERRQUEUE. -EAGAIN: empty */
void dgram_purge_errors(struct dgram_sock *d); /* nobody else has it */
/* setsockopt of IPPROTO_IP and IPPROTO_IPV6, for .setsockopt. */
int dgram_setsockopt(struct sock *s, struct task *t, int level, int name, const struct sock_optval *v);

/* What one send says beside its data: address and control messages, with the socket's options as defaults. */
struct dgram_target {
	struct endpoint to;
	struct in6_addr src;
	int ifindex;      /* it leaves by; IF_LO: local */
	int tos, ttl;     /* -1: default */
	uint32_t mark;
	int segment;      /* UDP: bytes of data in each datagram; 0: one datagram */
	bool multicast, broadcast, loop, hdrincl;
};
/*
 * The begin of a send: checks, where to and how, and the data, which is the caller's to free. ports: the socket has one, chosen now if need
 * be, and an address needs one. No lock held; *t and *ret on success.
 */
int dgram_send_begin(struct dgram_sock *d, const struct sock_msg *m, bool ports, struct dgram_target *t, struct dgram **ret);
/* Whether len bytes of data go in one packet: 0, -EMSGSIZE. ports: UDP. inet_lock held. */
int dgram_check_size_locked(struct dgram_sock *d, const struct dgram_target *t, size_t len, bool ports);

#endif
