/* SPDX-License-Identifier: MIT */
/* UDP sockets, for the wire and /proc/net. */
#ifndef EMUL_NET_INET_UDP_H
#define EMUL_NET_INET_UDP_H

#include "emul/net/dgram.h"

/* A datagram for whoever is bound to g->to. true: consumed; false: nobody wants it (unicast), it stays the caller's. No lock held. */
bool inet_udp_input(enum port_proto proto, struct dgram *g, bool group);
/* ICMP says that what was sent from local did not arrive. No lock held. */
void inet_udp_error(const struct endpoint *local, const struct dgram_fault *f);

/* --- inet_udp_send.c: for inet_udp.c ------------------------------------------------------------------------------------ */

ssize_t inet_udp_sendmsg(struct sock *s, struct task *task, struct sock_msg *m);
/* The datagram that begins at byte at of those that are in g; NULL: no memory. */
struct dgram *inet_udp_segment(const struct dgram *g, size_t at);
void inet_udp_uncork(struct dgram_sock *d);  /* what was collected goes. No lock held */
void inet_udp_drop_cork(struct dgram_sock *d);  /* is lost. No lock held */

#endif
