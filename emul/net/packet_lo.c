/* SPDX-License-Identifier: MIT */
/* Packets that packet sockets send on lo, as this host receives them: UDP and ICMP for its sockets. ip_rcv(), udp_rcv(), icmp_rcv(). */
#include "emul/net/packet.h"

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <stdlib.h>

#include "emul/net/checksum.h"
#include "emul/net/inet_icmp.h"
#include "emul/net/inet_udp.h"
#include "emul/net/route.h"

struct ip_packet {
	struct endpoint from, to;
	int tos, ttl;
	uint8_t protocol;
	const uint8_t *data; /* behind the IP header */
	size_t len;
};

static bool sum_is_right(const void *data, size_t len, uint32_t s)
{
	uint8_t field[2];

	checksum_put(field, checksum_add(data, len, s));
	return !field[0] && !field[1];
}

static bool read_ip4(const uint8_t *at, size_t len, struct ip_packet *ret)
{
	struct iphdr ip;
	size_t header, all;

	if (len < sizeof(ip))
		return false;
	memcpy(&ip, at, sizeof(ip));
	header = ip.ihl * 4u;
	all = ntohs(ip.tot_len);
	if (ip.version != 4 || header < sizeof(ip) || all < header || all > len || !sum_is_right(at, header, 0))
		return false;
	if (ip.frag_off & htons(0x3fff)) /* a fragment */
		return false;
	*ret = (struct ip_packet){ .from.ip = addr_of_v4(ntohl(ip.saddr)), .to.ip = addr_of_v4(ntohl(ip.daddr)), .tos = ip.tos, .ttl = ip.ttl,
				   .protocol = ip.protocol, .data = at + header, .len = all - header };
	return true;
}

static bool read_ip6(const uint8_t *at, size_t len, struct ip_packet *ret)
{
	struct ipv6hdr ip;

	if (len < sizeof(ip))
		return false;
	memcpy(&ip, at, sizeof(ip));
	if (ip.version != 6 || ntohs(ip.payload_len) > len - sizeof(ip))
		return false;
	*ret = (struct ip_packet){ .from.ip = ip.saddr, .to.ip = ip.daddr, .tos = ip.priority << 4 | ip.flow_lbl[0] >> 4, .ttl = ip.hop_limit,
				   .protocol = ip.nexthdr, .data = at + sizeof(ip), .len = ntohs(ip.payload_len) };
	return true;
}

static struct dgram *new_dgram(const struct ip_packet *p, const uint8_t *data, size_t len)
{
	struct dgram *g = malloc(sizeof(*g) + len);

	if (!g)
		return NULL;
	*g = (struct dgram){ .from = p->from, .to = p->to, .ifindex = IF_LO, .tos = p->tos, .ttl = p->ttl,
			     .stamp = clock_now(CLOCK_REALTIME), .len = len };
	list_init(&g->node);
	memcpy(g->data, data, len);
	return g;
}

static void udp_in(struct ip_packet *p, bool group)
{
	struct udphdr u;
	struct dgram *g;
	size_t len;

	if (p->len < sizeof(u))
		return;
	memcpy(&u, p->data, sizeof(u));
	len = ntohs(u.len);
	if (len < sizeof(u) || len > p->len)
		return;
	if (u.check && !sum_is_right(p->data, len, checksum_pseudo(&p->from.ip, &p->to.ip, IPPROTO_UDP, len)))
		return;
	p->from.port = ntohs(u.source);
	p->to.port = ntohs(u.dest);
	g = new_dgram(p, p->data + sizeof(u), len - sizeof(u));
	if (!g)
		return;
	g->no_check = !u.check && !addr_is_v4(&p->to.ip);
	if (!inet_udp_input(PORT_UDP, g, group))
		free(g);
}

static void icmp_in(const struct ip_packet *p)
{
	bool six = p->protocol == IPPROTO_ICMPV6;
	struct dgram *g;

	if (!sum_is_right(p->data, p->len, six ? checksum_pseudo(&p->from.ip, &p->to.ip, IPPROTO_ICMPV6, p->len) : 0))
		return;
	g = new_dgram(p, p->data, p->len);
	if (g)
		inet_icmp_local(g, p->protocol);
}

void packet_input_lo(const uint8_t *frame, size_t len)
{
	struct ip_packet p;
	struct ethhdr h;
	bool v4, group;

	memcpy(&h, frame, sizeof(h));
	v4 = h.h_proto == htons(ETH_P_IP);
	if (!v4 && h.h_proto != htons(ETH_P_IPV6))
		return;
	if (!(v4 ? read_ip4 : read_ip6)(frame + ETH_HLEN, len - ETH_HLEN, &p))
		return;
	if (v4 && (addr_is_loopback(&p.from.ip) || addr_is_loopback(&p.to.ip)))
		return; /* martians: net.ipv4.conf.lo.route_localnet is 0 */
	group = addr_is_multicast(&p.to.ip) || route_is_broadcast(&p.to.ip);
	if (!group && !route_is_local(&p.to.ip))
		return;
	if (p.protocol == IPPROTO_UDP)
		udp_in(&p, group);
	else if (p.protocol == (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		icmp_in(&p);
}
