/* SPDX-License-Identifier: MIT */
/*
 * AF_NETLINK from the inside: netlink.c has the sockets, netlink_route.c answers NETLINK_ROUTE from the table of
 * interfaces, netlink_diag.c NETLINK_SOCK_DIAG from the tables of sockets. A request is answered when it is sent; the answers wait in the socket's queue as datagrams.
 */
#ifndef EMUL_NET_NETLINK_H
#define EMUL_NET_NETLINK_H

#include <linux/netlink.h>

#include "emul/net/sock.h"

/* One request and what is being said to it. */
struct nl_request {
	const struct nlmsghdr *h; /* nlmsg_len bytes are there */
	uint32_t portid;          /* of who asks */
	bool may_change;          /* CAP_NET_ADMIN */
	bool strict;              /* NETLINK_GET_STRICT_CHK: the header of a dump request filters */
	struct nl_out *out;
};

/* Answers: messages one behind the other, cut into datagrams by nl_begin(). */
#define NL_DATAGRAM 3584
struct nl_out {
	void (*flush)(struct nl_out *o); /* a datagram is complete: buf, len */
	void *ctx;
	size_t len;
	bool dump;          /* all of it is wanted: SO_RCVBUF does not bound it, as Linux makes it while it is read */
	struct nlmsghdr *h; /* the message being built */
	__attribute__((aligned(8))) char buf[NL_DATAGRAM];
};

/* A new message with a family header of size bytes, zeroed. */
void *nl_begin(struct nl_request *rq, uint16_t type, uint16_t flags, size_t size);
void nl_attr(struct nl_out *o, uint16_t type, const void *data, size_t size); /* dropped if the datagram is full: ours are small */
static inline void nl_attr_u32(struct nl_out *o, uint16_t type, uint32_t v) { nl_attr(o, type, &v, sizeof(v)); }
static inline void nl_attr_u8(struct nl_out *o, uint16_t type, uint8_t v) { nl_attr(o, type, &v, sizeof(v)); }

/* rtnetlink_rcv_msg(): 0 (an ACK if asked for), -errno, or NL_ANSWERED: a dump, which ends by itself. */
#define NL_ANSWERED 1
int netlink_route_request(struct nl_request *rq);
int netlink_diag_request(struct nl_request *rq);
void netlink_dump_neighbours(struct nl_request *rq); /* netlink_neigh.c */
void netlink_dump_rules(struct nl_request *rq);
void nl_end_dump(struct nl_request *rq); /* NLMSG_DONE */

extern const struct sock_family netlink_family;

#endif
