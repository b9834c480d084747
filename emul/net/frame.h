/* SPDX-License-Identifier: MIT */
/*
 * Packets made up from what sockets exchange, for those who look at packets: filters of UDP and TCP sockets, and packet sockets on `lo`.
 * Each is a whole Ethernet frame with true checksums; its addresses are lo's (zero).
 */
#ifndef EMUL_NET_FRAME_H
#define EMUL_NET_FRAME_H

#include "emul/net/addr.h"
#include "emul/proc/bpf.h"

struct dgram;

#define FRAME_LINK 14 /* bytes of the link header */

struct frame {
	size_t len;
	size_t transport; /* what follows the IP header; that begins at FRAME_LINK */
	uint16_t protocol;
	uint8_t ip_protocol;
	uint8_t bytes[];
};

struct frame_tcp {
	struct endpoint from, to;
	uint32_t seq, ack;
	uint16_t window;
	uint8_t flags; /* FRAME_* */
	int tos, ttl;
};
enum { FRAME_FIN = 1, FRAME_SYN = 2, FRAME_RST = 4, FRAME_PSH = 8, FRAME_ACK = 16 };

/* NULL: no memory, or longer than a packet can be. free() is the caller's. */
struct frame *frame_udp(const struct dgram *g, uint8_t ip_protocol); /* IPPROTO_UDP, IPPROTO_UDPLITE */
struct frame *frame_ip(const struct endpoint *from, const struct endpoint *to, int tos, int ttl, uint8_t ip_protocol, const void *data,
		       size_t len);
/* ICMP and ICMPv6: nobody listens at the port that f was for. */
struct frame *frame_unreachable(const struct endpoint *from, const struct endpoint *to, const struct frame *f);
struct frame *frame_tcp(const struct frame_tcp *t, const void *data, size_t len);

/* As a filter sees it whose offset 0 is at `data`. */
struct bpf_packet frame_packet(const struct frame *f, size_t data, int ifindex, uint32_t mark);

#endif
