/* SPDX-License-Identifier: MIT */
/* UDP sockets, for the wire and /proc/net. */
#ifndef EMUL_NET_INET_UDP_H
#define EMUL_NET_INET_UDP_H

#include "emul/net/dgram.h"

/* A datagram for whoever is bound to g->to. true: consumed; false: nobody wants it (unicast), it stays the caller's. No lock held. */
bool inet_udp_input(enum port_proto proto, struct dgram *g, bool group);
/* ICMP says that what was sent from local did not arrive. No lock held. */
void inet_udp_error(const struct endpoint *local, const struct dgram_fault *f);

#endif
