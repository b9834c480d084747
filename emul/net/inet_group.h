/* SPDX-License-Identifier: MIT */
/* Multicast groups of sockets: joining, leaving, the interface to send by. */
#ifndef EMUL_NET_INET_GROUP_H
#define EMUL_NET_INET_GROUP_H

#include "emul/net/inet.h"

/* The options about groups and multicast interfaces; -ENOIOCTLCMD: another option. No lock held. */
int inet_group_setsockopt(struct inet_sock *i, int level, int name, const struct sock_optval *v);
/* getsockopt of whole filters by source; -ENOIOCTLCMD: another option. No lock held. */
int inet_group_get_sources(struct inet_sock *i, int level, int name, struct sock_optval *v);
/* i wants what arrives from source for this group on this interface. inet_lock held. */
bool inet_group_wants(struct inet_sock *i, const struct in6_addr *group, const struct in6_addr *source, int ifindex);
/* The interface that a multicast datagram to dst leaves by; 0: none. inet_lock held. */
int inet_group_interface(struct inet_sock *i, const struct endpoint *dst);
/* How many sockets are in the n-th group that any joined on this interface; 0: there are fewer groups. Takes its own lock. */
unsigned inet_group_at(unsigned n, int ifindex, struct in6_addr *ret);
/* The socket is closed: eth0 leaves its groups. No lock held. */
void inet_group_leave_all(struct inet_sock *i);

/* --- between inet_group.c and inet_group_source.c ------------------------------------------------------------------------- */

/* The membership; ifindex 0: on any interface. inet_lock held. */
struct inet_group *inet_group_find(struct inet_sock *i, const struct in6_addr *group, int ifindex);
/* include: only sources that are named afterwards. -EADDRINUSE, -ENOBUFS, -ENOMEM. No lock held. */
int inet_group_join(struct inet_sock *i, const struct in6_addr *group, int ifindex, bool include);
int inet_group_leave(struct inet_sock *i, const struct in6_addr *group, int ifindex); /* -EADDRNOTAVAIL. No lock held */
/* The interface that an option means: by index, by an address of ours, or by the route to groups. 0: there is none. */
int inet_group_device(int index, uint32_t addr_be, bool v6);
bool inet_group_hears(const struct inet_group *g, const struct in6_addr *source);
int inet_group_set_sources(struct inet_sock *i, int level, int name, const struct sock_optval *v);

#endif
