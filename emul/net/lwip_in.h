/* SPDX-License-Identifier: MIT */
/* A packet that lwIP hands over before it looks for a receiver: between lwip_port.c and lwip_in.c. Core lock held. */
#ifndef EMUL_NET_LWIP_IN_H
#define EMUL_NET_LWIP_IN_H

#include "emul/net/addr.h"

struct pbuf;
struct lwip_packet {
	struct pbuf *p;      /* from the IP header on */
	size_t header, len;  /* of the IP headers; of all of it */
	struct in6_addr src, dst;
	bool group;          /* multicast or broadcast */
	int tos, ttl;
};

void lwip_packet_copy(const struct lwip_packet *pk, void *to, size_t off, size_t n);
void lwip_packet_put(const struct lwip_packet *pk, const void *data, size_t off, size_t n);
bool lwip_packet_checksum_ok(const struct lwip_packet *pk, int protocol);
/* TCP: only n bytes behind the IP header are left of it, and the checksum is theirs. */
void lwip_packet_cut(const struct lwip_packet *pk, size_t n);
/* lwip_in.c. true: taken; false: lwIP goes on with it. */
bool lwip_input(int protocol, const struct lwip_packet *pk);

#endif
