/* SPDX-License-Identifier: MIT */
/*
 * Who has which port: a table for each protocol, for IPv4 and IPv6 together. It decides what
 * bind, listen and connect may take (inet_csk_get_port() and udp_lib_get_port() are the rules) and finds the
 * socket that a segment or datagram is for. lwIP's own search is never used.
 *
 * Lock order: core lock of lwIP -> socket -> ports_lock, which is inner to every socket and outer to nothing.
 * Look-ups return a counted reference, so that the socket is locked after ports_lock was dropped.
 */
#ifndef EMUL_NET_PORTS_H
#define EMUL_NET_PORTS_H

#include "emul/base/mutex.h"
#include "emul/net/addr.h"

struct inet_sock;

enum port_proto { PORT_TCP, PORT_UDP, PORT_UDPLITE, PORT_NPROTOS };

#define EPHEMERAL_FIRST 32768
#define EPHEMERAL_LAST 60999

/* A socket's, or a TIME_WAIT's, place in the tables. All fields: ports_lock. */
struct port_entry {
	struct port_entry *next, **pprev;   /* same local port; pprev NULL: not bound */
	struct port_entry *cnext, **cpprev; /* same hash of both ends; cpprev NULL: not connected */
	struct port_entry *lnext;           /* same port, listening */
	struct inet_sock *sock;             /* NULL: TIME_WAIT */
	enum port_proto proto;
	int family;
	struct in6_addr local, remote;
	uint16_t port, rport;
	bool v6only, listening;
	uint64_t since;                     /* grows: who bound, or began to listen, when */
	bool by_connect;                    /* an ephemeral port that connect chose: others to other places may share it */
	/* of TIME_WAIT entries: */
	bool reuse, reuseport;
	int ifindex;
	uint8_t tw_state;                   /* TCP_TIME_WAIT or TCP_FIN_WAIT2 */
	int64_t expires;                    /* ns of CLOCK_MONOTONIC */
};

extern struct mutex ports_lock;

void ports_init_entry(struct port_entry *e, struct inet_sock *sock, enum port_proto proto, int family);
/* Takes e->local:port, 0: a free ephemeral one. 0, -EADDRINUSE. */
int ports_bind(struct port_entry *e, const struct in6_addr *local, uint16_t port);
/* e begins to listen on what it is bound to: -EADDRINUSE if another one does. */
int ports_listen(struct port_entry *e);
void ports_unlisten(struct port_entry *e);
/* e goes from local (already bound, or an ephemeral port is chosen) to remote: 0, -EADDRNOTAVAIL, -EADDRINUSE (that pair exists). */
int ports_connect(struct port_entry *e, const struct in6_addr *local, const struct endpoint *remote);
/* An accepted connection's entry: shares the listener's port. -EADDRINUSE: that pair exists. */
int ports_accept(struct port_entry *e, const struct port_entry *listener, const struct endpoint *local, const struct endpoint *remote);
void ports_disconnect(struct port_entry *e, const struct in6_addr *local);
void ports_release(struct port_entry *e);
/* The connection lives on without its socket and holds port and pair for a minute. e is released, but for its port if keep. */
void ports_time_wait(struct port_entry *e, uint8_t tw_state, bool keep);
/* The other end has closed as well: FIN_WAIT2 without a socket becomes TIME_WAIT. */
void ports_wait_both(enum port_proto proto, const struct endpoint *local, const struct endpoint *remote);

/* The best receiver for a segment or datagram on device ifindex. Reference; NULL: nobody. */
struct inet_sock *ports_find_listener(const struct endpoint *to, const struct endpoint *from, int ifindex);
struct inet_sock *ports_find_udp(enum port_proto proto, const struct endpoint *to, const struct endpoint *from, int ifindex);
/* Multicast and broadcast: up to max receivers from number *at on (references). */
unsigned ports_find_udp_group(enum port_proto proto, const struct endpoint *to, const struct endpoint *from, int ifindex,
			      unsigned *at, struct inet_sock **ret, unsigned max);

/* Who shares e's address by SO_REUSEPORT, e among them, in the order of their coming; how many, at most max. ports_lock held. */
unsigned ports_group(const struct port_entry *e, struct port_entry **ret, unsigned max) REQUIRES(ports_lock);

/* For /proc/net: calls fn for each entry, ports_lock held. */
void ports_each(enum port_proto proto, void (*fn)(const struct port_entry *e, void *arg), void *arg);

#endif
