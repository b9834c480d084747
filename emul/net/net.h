/* SPDX-License-Identifier: MIT */
/*
 * emul/net: sockets. What is common to all of them, and the address families.
 *
 *   sock.h    the contract: struct sock, what a family implements, messages, control data
 *   sock.c    life, reading and writing as a file, waiting        sockopt.c  SOL_SOCKET
 *   cmsg.c    control messages                                    ioctl.c    SIOC*
 *   inet.h and what it names            AF_INET, AF_INET6, lwIP, the tap and user-mode network
 *   netif_info.h  interfaces, addresses, routes as programs see them
 *   unix.h unix*.c      AF_UNIX                             netlink.h netlink*.c  AF_NETLINK
 *   packet.h packet*.c  AF_PACKET                           filter.h frame.h      filters, and the packets that they look at
 *
 * Lock order: sock->lock (two of one family: lower address first) -> mm, waitq. Families say what else
 * they have. No socket's lock is held when a file may lose its last reference.
 */
#ifndef EMUL_NET_NET_H
#define EMUL_NET_NET_H

#include <stddef.h>

struct instance_env;
struct net_config;

/* At boot, before the first task: registers the families and /proc/net. cfg stays the caller's, for ever. 0 or -errno. */
int net_boot(struct instance_env *env, const struct net_config *cfg);
/*
 * Behind it: what was asked for by name, a tap or a capture, is made now, since it may not be possible; anything else with its first use.
 * 0, or -errno with a line for the user in why.
 */
int net_start(const struct net_config *cfg, char *why, size_t size);
void net_leave(void); /* before the process exits: what is the host's and stays is left as it was found */

unsigned sock_count(void); /* sockets that exist */

#endif
