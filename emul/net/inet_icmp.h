/* SPDX-License-Identifier: MIT */
/* Ping sockets and raw sockets: what comes from the wire. */
#ifndef EMUL_NET_INET_ICMP_H
#define EMUL_NET_INET_ICMP_H

#include "emul/net/dgram.h"

/* A whole packet, IP header of `header` bytes first (consumed): for raw sockets of the protocol, and its echo replies for ping sockets. */
void inet_icmp_input(struct dgram *g, int protocol, size_t header);
/* The same for what ping sockets (by their ident, network order) and raw ones sent. */
void inet_icmp_error(const struct dgram_fault *f, int protocol, uint16_t ident);

/* What was sent to this host (consumed): raw sockets see it, and an echo request is answered. */
void inet_icmp_local(struct dgram *g, int protocol);

#endif
