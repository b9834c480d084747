/* SPDX-License-Identifier: MIT */
/* Packets made up from what sockets exchange: frame.h has the contract. */
#include "emul/net/frame.h"

#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdlib.h>

#include "emul/net/checksum.h"
#include "emul/net/dgram.h"
#include "emul/net/route.h"

#define IP_LEN_MAX 65535
#define ERROR_MAX 1280 /* of an ICMP error */
#define ICMP_HEADER 8

/* --- headers ------------------------------------------------------------------------------------------------------ */

static void put_ip4(uint8_t *at, const struct endpoint *from, const struct endpoint *to, int tos, int ttl, uint8_t protocol, size_t len)
{
	static _Atomic uint16_t id;
	struct iphdr ip = {
		.version = 4, .ihl = 5, .tos = (uint8_t)tos, .tot_len = htons((uint16_t)(sizeof(ip) + len)), .ttl = (uint8_t)ttl,
		.id = htons((uint16_t)(atomic_fetch_add_explicit(&id, 1, memory_order_relaxed) + 1)), .frag_off = htons(0x4000 /* DF */),
		.protocol = protocol, .saddr = from->ip.s6_addr32[3], .daddr = to->ip.s6_addr32[3],
	};

	checksum_put((uint8_t *)&ip.check, checksum_add(&ip, sizeof(ip), 0));
	memcpy(at, &ip, sizeof(ip));
}

static void put_ip6(uint8_t *at, const struct endpoint *from, const struct endpoint *to, int tos, int ttl, uint8_t protocol, size_t len)
{
	struct ipv6hdr ip = {
		.version = 6, .priority = (uint8_t)(tos >> 4) & 0xf, .flow_lbl = { (uint8_t)(tos << 4) }, .payload_len = htons((uint16_t)len),
		.nexthdr = protocol, .hop_limit = (uint8_t)ttl, .saddr = from->ip, .daddr = to->ip,
	};

	memcpy(at, &ip, sizeof(ip));
}

/* A frame with everything but the `len` bytes behind the IP header. */
static struct frame *new_frame(const struct endpoint *from, const struct endpoint *to, int tos, int ttl, uint8_t protocol, size_t len)
{
	bool v4 = addr_is_v4(&to->ip);
	size_t header = v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	struct ethhdr eth = { .h_proto = htons(v4 ? ETH_P_IP : ETH_P_IPV6) };
	struct frame *f;

	if (len + (v4 ? header : 0) > IP_LEN_MAX)
		return NULL;
	f = malloc(sizeof(*f) + FRAME_LINK + header + len);
	if (!f)
		return NULL;
	*f = (struct frame){ .len = FRAME_LINK + header + len, .transport = FRAME_LINK + header, .protocol = ntohs(eth.h_proto),
			     .ip_protocol = protocol };
	memcpy(f->bytes, &eth, sizeof(eth));
	(v4 ? put_ip4 : put_ip6)(f->bytes + FRAME_LINK, from, to, MAX(tos, 0), ttl < 0 ? 64 : ttl, protocol, len);
	return f;
}

/* The checksum of all behind the IP header and of the pseudo header goes to offset `field` there, which is zero. */
static uint8_t *fill_checksum(struct frame *f, const struct endpoint *from, const struct endpoint *to, size_t field)
{
	uint8_t *at = f->bytes + f->transport;
	size_t len = f->len - f->transport;

	checksum_put(at + field, checksum_add(at, len, checksum_pseudo(&from->ip, &to->ip, f->ip_protocol, len)));
	return at + field;
}

/* --- protocols ------------------------------------------------------------------------------------------------------ */

struct frame *frame_udp(const struct dgram *g, uint8_t ip_protocol)
{
	struct udphdr u = { .source = htons(g->from.port), .dest = htons(g->to.port) };
	struct frame *f = new_frame(&g->from, &g->to, g->tos, g->ttl, ip_protocol, sizeof(u) + g->len);
	uint8_t *sum;

	if (!f)
		return NULL;
	u.len = htons((uint16_t)(sizeof(u) + g->len));
	memcpy(f->bytes + f->transport, &u, sizeof(u));
	memcpy(f->bytes + f->transport + sizeof(u), g->data, g->len);
	if (!g->no_check) {
		sum = fill_checksum(f, &g->from, &g->to, offsetof(struct udphdr, check));
		if (!sum[0] && !sum[1])
			sum[0] = sum[1] = 0xff; /* 0 would say that there is none */
	}
	return f;
}

struct frame *frame_ip(const struct endpoint *from, const struct endpoint *to, int tos, int ttl, uint8_t ip_protocol, const void *data,
		       size_t len)
{
	struct frame *f = new_frame(from, to, tos, ttl, ip_protocol, len);

	if (f)
		memcpy(f->bytes + f->transport, data, len);
	return f;
}

struct frame *frame_unreachable(const struct endpoint *from, const struct endpoint *to, const struct frame *f)
{
	bool v4 = addr_is_v4(&to->ip);
	uint8_t icmp[ERROR_MAX] = { v4 ? ICMP_DEST_UNREACH : ICMPV6_DEST_UNREACH, v4 ? ICMP_PORT_UNREACH : ICMPV6_PORT_UNREACH };
	size_t quoted = MIN(f->len - FRAME_LINK, (size_t)(v4 ? 576 - 20 : 1280 - 40) - ICMP_HEADER), len = ICMP_HEADER + quoted;

	memcpy(icmp + ICMP_HEADER, f->bytes + FRAME_LINK, quoted);
	checksum_put(icmp + 2, checksum_add(icmp, len, v4 ? 0 : checksum_pseudo(&from->ip, &to->ip, IPPROTO_ICMPV6, len)));
	return frame_ip(from, to, v4 ? 0xc0 : 0, 64, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, icmp, len);
}

struct frame *frame_tcp(const struct frame_tcp *t, const void *data, size_t len)
{
	bool v4 = addr_is_v4(&t->to.ip), syn = t->flags & FRAME_SYN;
	uint16_t mss = v4 ? IP_LEN_MAX - 40 : IP_LEN_MAX - 60;
	uint8_t option[4] = { 2 /* segment size */, 4, (uint8_t)(mss >> 8), (uint8_t)mss };
	size_t header = sizeof(struct tcphdr) + (syn ? sizeof(option) : 0);
	struct tcphdr h = {
		.source = htons(t->from.port), .dest = htons(t->to.port), .seq = htonl(t->seq), .ack_seq = htonl(t->ack),
		.doff = (uint16_t)(header / 4) & 0xf, .window = htons(t->window), .fin = !!(t->flags & FRAME_FIN), .syn = syn,
		.rst = !!(t->flags & FRAME_RST), .psh = !!(t->flags & FRAME_PSH), .ack = !!(t->flags & FRAME_ACK),
	};
	struct frame *f = new_frame(&t->from, &t->to, t->tos, t->ttl, IPPROTO_TCP, header + len);
	uint8_t *at;

	if (!f)
		return NULL;
	at = f->bytes + f->transport;
	memcpy(at, &h, sizeof(h));
	if (syn)
		memcpy(at + sizeof(h), option, sizeof(option));
	if (len)
		memcpy(at + header, data, len);
	fill_checksum(f, &t->from, &t->to, offsetof(struct tcphdr, check));
	return f;
}

struct bpf_packet frame_packet(const struct frame *f, size_t data, int ifindex, uint32_t mark)
{
	return (struct bpf_packet){
		.bytes = f->bytes, .len = f->len, .data = data, .net = FRAME_LINK, .link = 0, .transport = (int)f->transport,
		.ip_protocol = f->ip_protocol, .protocol = f->protocol, .type = PACKET_HOST, .ifindex = ifindex,
		.hatype = ifindex == IF_LO ? ARPHRD_LOOPBACK : ARPHRD_ETHER, .mark = mark,
	};
}
