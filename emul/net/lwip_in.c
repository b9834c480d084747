/* SPDX-License-Identifier: MIT */
/* UDP and ICMP from the wire: to the sockets that want them. Whatever comes is checked: the host side may send anything. */
#include "emul/net/lwip_in.h"

#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <stdlib.h>

#include "emul/base/err.h"
#include "emul/net/inet_icmp.h"
#include "emul/net/inet_udp.h"
#include "emul/net/route.h"

static struct dgram *packet_dgram(const struct lwip_packet *pk, size_t off, size_t len)
{
	struct dgram *g = malloc(sizeof(*g) + len);

	if (!g)
		return NULL;
	*g = (struct dgram){
		.from = { .ip = pk->src, .scope = addr_is_linklocal6(&pk->src) ? IF_ETH : 0 },
		.to = { .ip = pk->dst },
		.ifindex = IF_ETH,
		.tos = pk->tos,
		.ttl = pk->ttl,
		.stamp = clock_now(CLOCK_REALTIME),
		.len = len,
	};
	list_init(&g->node);
	lwip_packet_copy(pk, g->data, off, len);
	return g;
}

static bool udp_in(const struct lwip_packet *pk)
{
	struct udphdr u;
	struct dgram *g;
	size_t len;

	if (pk->len < pk->header + sizeof(u))
		return true;
	lwip_packet_copy(pk, &u, pk->header, sizeof(u));
	len = ntohs(u.len);
	if (len < sizeof(u) || pk->header + len > pk->len)
		return true;
	if ((u.check || !addr_is_v4(&pk->dst)) && !lwip_packet_checksum_ok(pk, IPPROTO_UDP))
		return true;
	g = packet_dgram(pk, pk->header + sizeof(u), len - sizeof(u));
	if (!g)
		return true;
	g->from.port = ntohs(u.source);
	g->to.port = ntohs(u.dest);
	return inet_udp_input(PORT_UDP, g, pk->group);
}

/* --- ICMP: what did not arrive ------------------------------------------------------------------------------------------ */

/* icmp_err_convert[] */
static int unreachable_error(unsigned code, bool *ret_hard)
{
	static const struct { short err; bool hard; } table[] = {
		{ ENETUNREACH, false }, { EHOSTUNREACH, false }, { ENOPROTOOPT, true }, { ECONNREFUSED, true },
		{ EMSGSIZE, false }, { EOPNOTSUPP, false }, { ENETUNREACH, true }, { EHOSTDOWN, true }, { ENONET, true },
		{ ENETUNREACH, true }, { EHOSTUNREACH, true }, { ENETUNREACH, false }, { EHOSTUNREACH, false },
		{ EHOSTUNREACH, true }, { EHOSTUNREACH, true }, { EHOSTUNREACH, true },
	};

	if (code >= ARRAY_SIZE(table))
		return 0;
	*ret_hard = table[code].hard;
	return table[code].err;
}

/* The packet of ours that an ICMP error quotes at off. */
static void report(const struct lwip_packet *pk, size_t off, int err, bool hard)
{
	struct endpoint local = { 0 }, remote = { 0 };
	struct udphdr u;
	unsigned proto;

	if (!err)
		return;
	if (addr_is_v4(&pk->dst)) {
		struct iphdr ip;

		if (pk->len < off + sizeof(ip))
			return;
		lwip_packet_copy(pk, &ip, off, sizeof(ip));
		off += (size_t)ip.ihl * 4;
		proto = ip.protocol;
		local.ip = addr_of_v4(ntohl(ip.saddr));
		remote.ip = addr_of_v4(ntohl(ip.daddr));
	} else {
		struct ipv6hdr ip;

		if (pk->len < off + sizeof(ip))
			return;
		lwip_packet_copy(pk, &ip, off, sizeof(ip));
		off += sizeof(ip);
		proto = ip.nexthdr;
		memcpy(&local.ip, &ip.saddr, sizeof(local.ip));
		memcpy(&remote.ip, &ip.daddr, sizeof(remote.ip));
	}
	if (proto != IPPROTO_UDP || pk->len < off + sizeof(u))
		return;
	lwip_packet_copy(pk, &u, off, sizeof(u));
	local.port = ntohs(u.source);
	remote.port = ntohs(u.dest);
	inet_udp_error(&local, &remote, err, hard);
}

static void icmp4_in(const struct lwip_packet *pk)
{
	struct icmphdr h;
	bool hard = false;

	if (pk->len < pk->header + sizeof(h) || !lwip_packet_checksum_ok(pk, IPPROTO_ICMP))
		return;
	lwip_packet_copy(pk, &h, pk->header, sizeof(h));
	if (h.type == ICMP_DEST_UNREACH) {
		int err = unreachable_error(h.code, &hard);

		report(pk, pk->header + sizeof(h), err, hard);
	} else if (h.type == ICMP_TIME_EXCEEDED) {
		report(pk, pk->header + sizeof(h), EHOSTUNREACH, false);
	}
	struct dgram *g = packet_dgram(pk, 0, pk->len);
	if (g)
		inet_icmp_input(g, IPPROTO_ICMP, pk->header);
}

static void icmp6_in(const struct lwip_packet *pk)
{
	struct icmp6hdr h;

	if (pk->len < pk->header + sizeof(h) || !lwip_packet_checksum_ok(pk, IPPROTO_ICMPV6))
		return;
	lwip_packet_copy(pk, &h, pk->header, sizeof(h));
	if (h.icmp6_type == ICMPV6_DEST_UNREACH)
		report(pk, pk->header + sizeof(h),
		       h.icmp6_code == ICMPV6_PORT_UNREACH ? ECONNREFUSED : h.icmp6_code == ICMPV6_NOROUTE ? ENETUNREACH : EHOSTUNREACH,
		       h.icmp6_code == ICMPV6_PORT_UNREACH);
	struct dgram *g = packet_dgram(pk, 0, pk->len);
	if (g)
		inet_icmp_input(g, IPPROTO_ICMPV6, pk->header);
}

bool lwip_input(int protocol, const struct lwip_packet *pk)
{
	if (protocol == IPPROTO_UDP)
		return udp_in(pk);
	if (protocol == IPPROTO_ICMP)
		icmp4_in(pk);
	else if (protocol == IPPROTO_ICMPV6)
		icmp6_in(pk);
	return false; /* lwIP answers echo requests and neighbour discovery */
}
