/* SPDX-License-Identifier: MIT */
/* Multicast groups of sockets: joining, leaving, the interface to send by. */
#ifndef EMUL_NET_INET_GROUP_H
#define EMUL_NET_INET_GROUP_H

#include "emul/net/inet.h"

/* The options about groups and multicast interfaces; -ENOIOCTLCMD: another option. No lock held. */
int inet_group_setsockopt(struct inet_sock *i, int level, int name, const struct sock_optval *v);
/* i wants what arrives for this group on this interface. inet_lock held. */
bool inet_group_wants(struct inet_sock *i, const struct in6_addr *group, int ifindex);
/* The interface that a multicast datagram to dst leaves by; 0: none. inet_lock held. */
int inet_group_interface(struct inet_sock *i, const struct endpoint *dst);
/* How many sockets are in the n-th group that any joined on this interface; 0: there are fewer groups. Takes its own lock. */
unsigned inet_group_at(unsigned n, int ifindex, struct in6_addr *ret);
/* The socket is closed: eth0 leaves its groups. No lock held. */
void inet_group_leave_all(struct inet_sock *i);

#endif
