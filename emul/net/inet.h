/* SPDX-License-Identifier: MIT */
/*
 * AF_INET and AF_INET6.
 *
 * Theory of operation. Traffic between two sockets of this instance never is a packet: bytes of a TCP
 * connection go from the sender's buffer into the peer's receive queue, a datagram into the receiver's, and the
 * states that Linux would pass through by segments (SYN, FIN, RST) are passed through by function calls under one
 * lock, which both ends share. What programs can see (states, errors, poll bits, buffer bounds, ports, TIME_WAIT,
 * TCP_INFO) is kept as Linux keeps it; net/ipv4/tcp*.c, af_inet.c and udp.c are the model. Only what has a foreign
 * address goes to lwIP, which has no other interface than eth0: its pcbs are the "wire" of a socket.
 *
 *   addr.h ports.h route.h           addresses, port tables, the way to a destination
 *   inet.c inet_opt.c                what all sockets share: bind, names, IPPROTO_IP and IPPROTO_IPV6 options
 *   inet_tcp.c inet_tcp_connect.c inet_tcp_data.c inet_tcp_opt.c inet_tcp_wire.c    SOCK_STREAM
 *   inet_udp.c inet_udp_send.c dgram.c inet_group.c                 SOCK_DGRAM, multicast
 *   inet_reuseport.c                 programs that choose among sockets of one address
 *   inet_icmp.c                      ping and raw sockets
 *   lwip_port.c lwip_in.c tap.c slirp.c pcap.c lwIP, its timers, and the host side of eth0
 *   procnet_inet.c                   /proc/net/tcp, udp and kin
 *
 * Lock order: lwIP's core lock -> inet_sock lock (two: lower address first) -> ports_lock -> waitq.
 */
#ifndef EMUL_NET_INET_H
#define EMUL_NET_INET_H

#include "emul/net/addr.h"
#include "emul/net/ports.h"
#include "emul/net/sock.h"

/* IPPROTO_IP and IPPROTO_IPV6 options. inet_lock. */
struct inet_options {
	int tos, tclass;          /* tclass -1: default */
	int ttl, hops;            /* -1: default */
	int mc_ttl, mc_hops;
	int mc_if, mc_if6, unicast_if, unicast_if6; /* interface index, 0: by route */
	struct in6_addr mc_addr;  /* source for multicast, as IP_MULTICAST_IF gave it */
	int mtu_discover, mtu_discover6, min_ttl, min_hops, local_port_range, raw_checksum /* offset, -1: none */;
	unsigned icmp_filter;     /* ICMP_FILTER: types that are not wanted */
	uint32_t icmp6_filter[8];
	bool bind_no_port, freebind, transparent, nodefrag, checksum, hdrincl, mc_loop, mc_loop6, mc_all, mc_all6;
	bool pktinfo, recvttl, recvtos, recverr, recvopts, retopts, recvorigdst, recvfragsize, passsec, recverr4884;
	bool pktinfo6, recvhops, recvtclass, recverr6, recvrthdr, recvhopopts, recvdstopts, recvpathmtu, flowinfo, flowinfo_send,
		autoflow, recvorigdst6, dontfrag, recvfragsize6, recverr4884_6;
};

/* A multicast group that a socket is in. */
/* A membership hears all sources but those in the list, or (include) only them. */
struct inet_group { struct list node; struct in6_addr group; int ifindex; bool include; unsigned nsources; struct in6_addr *sources; };

/* Sends without copying: inet_zerocopy.h. first..next-1 are through and not told. inet_lock. */
struct inet_zerocopy { uint32_t first, next; bool pending; };

struct inet_sock {
	struct sock sock;          /* first */
	struct port_entry port;    /* ports_lock */
	struct sock *lock_owner;   /* constant; counted unless it is the socket itself: whose lock guards this one */
	/* inet_lock: */
	struct endpoint local;     /* as getsockname shows it */
	struct endpoint remote;    /* port 0: not connected */
	bool addr_given, port_given; /* by bind: they outlive a connection */
	bool v6only;
	struct inet_options ip;
	struct list groups;        /* inet_group.node */
	struct inet_zerocopy zerocopy;
	struct filter *chooser;    /* ports_lock: inet_reuseport.h */
};

static inline struct inet_sock *inet_of(struct sock *s) { return container_of(s, struct inet_sock, sock); }
static inline struct mutex *inet_mutex(struct inet_sock *i) { return &i->lock_owner->lock; }
static inline void inet_lock(struct inet_sock *i) NO_LOCK_ANALYSIS { mutex_lock(inet_mutex(i)); }
static inline void inet_unlock(struct inet_sock *i) NO_LOCK_ANALYSIS { mutex_unlock(inet_mutex(i)); }
/* sock_sleep() on wq under the socket's lock, whoever owns it. */
static inline int inet_sleep(struct inet_sock *i, struct waitq *wq, const struct sock_wait *w)
{
	mutex_assert_held(inet_mutex(i));
	return sock_sleep(wq, inet_mutex(i), w);
}
/* The locks of two sockets, which may be one. */
void inet_lock_two(struct inet_sock *a, struct inet_sock *b);
void inet_unlock_two(struct inet_sock *a, struct inet_sock *b);

/* Fills what is common; lock_owner NULL: its own. Before the socket is known to anyone. */
void inet_init(struct inet_sock *i, enum port_proto proto, struct sock *lock_owner);
void inet_fini(struct inet_sock *i); /* for destroy */

/* bind(2) with all checks; chk: SOCK_STREAM or SOCK_DGRAM rules by the type. inet_lock held. */
int inet_bind_locked(struct inet_sock *i, struct task *t, const struct sock_addr *a, bool busy);
/* The socket's port, chosen now if it has none. 0, -EAGAIN. inet_lock held. */
int inet_autobind_locked(struct inet_sock *i);
int inet_getname(struct sock *s, bool peer, struct sock_addr *ret); /* peer: -ENOTCONN unless remote.port */
/* Where to: a destination address, 0.0.0.0 and :: meaning this host, and the source it is reached from. -ENETUNREACH,
 * -EADDRNOTAVAIL, -EINVAL (link-local without scope). *ret_ifindex: IF_LO: local. inet_lock held. */
int inet_route_locked(struct inet_sock *i, struct endpoint *dst, struct in6_addr *ret_src, int *ret_ifindex);

/* inet_opt.c: levels IPPROTO_IP, IPPROTO_IPV6. */
int inet_setsockopt(struct sock *s, struct task *t, int level, int name, const struct sock_optval *v);
int inet_getsockopt(struct sock *s, struct task *t, int level, int name, struct sock_optval *v);
bool inet_is_connected(struct inet_sock *i); /* sk_state is TCP_ESTABLISHED, of whatever kind. inet_lock held */
void inet_set_v6only(struct inet_sock *i, bool on); /* inet_lock held */
bool inet_in_group(struct inet_sock *i, const struct in6_addr *group, int ifindex); /* inet_lock held */

int inet_tcp_new(struct task *t, int family, int protocol, struct sock **ret);
int inet_udp_new(struct task *t, int family, int protocol, struct sock **ret);
int inet_icmp_new(struct task *t, int family, int type, int protocol, struct sock **ret);
void inet_register(void);    /* the two families, at boot */
void procnet_register(void); /* /proc/net/tcp and kin, at boot */

#endif
