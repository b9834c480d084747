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
#include "emul/net/inet_tcp.h"
#include "emul/net/inet_udp.h"
#include "emul/net/mib.h"
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
	if (u.check && !lwip_packet_checksum_ok(pk, IPPROTO_UDP)) {
		mib_udp(!addr_is_v4(&pk->dst), false, MIB_UDP_IN_ERRORS);
		mib_udp(!addr_is_v4(&pk->dst), false, MIB_UDP_BAD_SUM);
		return true;
	}
	g = packet_dgram(pk, pk->header + sizeof(u), len - sizeof(u));
	if (!g)
		return true;
	g->from.port = ntohs(u.source);
	g->to.port = ntohs(u.dest);
	g->no_check = !u.check && !addr_is_v4(&pk->dst);
	if (inet_udp_input(PORT_UDP, g, pk->group))
		return true;
	free(g);
	return !u.check && !addr_is_v4(&pk->dst); /* no answer to what may be broken */
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

/* icmpv6_err_convert() */
static int unreachable_error6(unsigned code, bool *ret_hard)
{
	static const struct { short err; bool hard; } table[] = {
		{ ENETUNREACH, false }, { EACCES, true }, { EHOSTUNREACH, false }, { EHOSTUNREACH, false }, { ECONNREFUSED, true },
		{ EACCES, true }, { EACCES, true },
	};

	*ret_hard = true;
	if (code >= ARRAY_SIZE(table))
		return EPROTO;
	*ret_hard = table[code].hard;
	return table[code].err;
}

/* The IP header of a packet of ours that an ICMP error quotes at *off, which is moved behind it. The protocol; -1: not whole. */
static int read_quoted(const struct lwip_packet *pk, size_t *off, struct endpoint *local, struct endpoint *remote)
{
	if (addr_is_v4(&pk->dst)) {
		struct iphdr ip;

		if (pk->len < *off + sizeof(ip))
			return -1;
		lwip_packet_copy(pk, &ip, *off, sizeof(ip));
		*off += (size_t)ip.ihl * 4;
		local->ip = addr_of_v4(ntohl(ip.saddr));
		remote->ip = addr_of_v4(ntohl(ip.daddr));
		return ip.ihl < 5 ? -1 : ip.protocol;
	}
	struct ipv6hdr ip;

	if (pk->len < *off + sizeof(ip))
		return -1;
	lwip_packet_copy(pk, &ip, *off, sizeof(ip));
	*off += sizeof(ip);
	memcpy(&local->ip, &ip.saddr, sizeof(local->ip));
	memcpy(&remote->ip, &ip.daddr, sizeof(remote->ip));
	return ip.nexthdr;
}

/* Tells who sent the packet that the ICMP error quotes at off. f: ee and hard are filled. */
static void report(const struct lwip_packet *pk, size_t off, struct dgram_fault *f)
{
	struct endpoint local = { 0 };
	uint16_t port[4]; /* of UDP: source, destination; of ICMP: the third is the identifier */
	char data[ETH_MTU];
	int proto;

	if (!f->ee.ee_errno)
		return;
	proto = read_quoted(pk, &off, &local, &f->to);
	if (proto < 0 || pk->len < off + sizeof(port))
		return;
	lwip_packet_copy(pk, port, off, sizeof(port));
	f->from = (struct endpoint){ .ip = pk->src, .scope = addr_is_linklocal6(&pk->src) ? IF_ETH : 0 };
	f->local = pk->dst;
	f->ifindex = IF_ETH;
	f->tos = pk->tos;
	f->ttl = pk->ttl;
	f->data = data;
	if (proto == IPPROTO_UDP)
		off += sizeof(port);
	f->len = MIN(pk->len - off, sizeof(data));
	lwip_packet_copy(pk, data, off, f->len);
	if (proto == IPPROTO_UDP) {
		local.port = ntohs(port[0]);
		f->to.port = ntohs(port[1]);
		inet_udp_error(&local, f);
	} else {
		inet_icmp_error(f, proto, port[2]);
	}
}

static void icmp4_in(const struct lwip_packet *pk)
{
	struct dgram_fault f = { .ee.ee_origin = SO_EE_ORIGIN_ICMP };
	struct icmphdr h;

	if (pk->len < pk->header + sizeof(h) || !lwip_packet_checksum_ok(pk, IPPROTO_ICMP))
		return;
	lwip_packet_copy(pk, &h, pk->header, sizeof(h));
	f.ee.ee_type = h.type;
	f.ee.ee_code = h.code;
	if (h.type == ICMP_DEST_UNREACH && h.code == ICMP_FRAG_NEEDED) {
		f.ee.ee_errno = EMSGSIZE;
		f.ee.ee_info = ntohs(h.un.frag.mtu);
		f.hard = true;
	} else if (h.type == ICMP_DEST_UNREACH) {
		f.ee.ee_errno = (uint32_t)unreachable_error(h.code, &f.hard);
	} else if (h.type == ICMP_TIME_EXCEEDED) {
		f.ee.ee_errno = EHOSTUNREACH;
	} else if (h.type == ICMP_PARAMETERPROB) {
		f.ee.ee_errno = EPROTO;
		f.ee.ee_info = ntohl(h.un.gateway) >> 24;
		f.hard = true;
	}
	report(pk, pk->header + sizeof(h), &f);
	struct dgram *g = packet_dgram(pk, 0, pk->len);
	if (g)
		inet_icmp_input(g, IPPROTO_ICMP, pk->header);
}

enum { ROUTER_ADVERTISEMENT = 134, NEIGHBOUR_ADVERTISEMENT = 136, REDIRECT = 137 }; /* linux/icmpv6.h has not got them */

/* Somebody says that our address is his. It is ours already, so Linux does not care; lwIP would give it up. */
static bool claims_ours(const struct lwip_packet *pk)
{
	struct in6_addr target;
	size_t at = pk->header + sizeof(struct icmp6hdr);

	if (pk->len < at + sizeof(target))
		return false;
	lwip_packet_copy(pk, &target, at, sizeof(target));
	return route_is_local(&target);
}

/*
 * lwIP believes what Linux does not: sizes below IPv6's least or above the link's, and other ways to neighbours. Routers are not asked for
 * anything (route_to() knows the link only), so lwIP need not learn what they say.
 */
static bool misleads(const struct lwip_packet *pk, const struct icmp6hdr *h)
{
	uint32_t mtu = ntohl(h->icmp6_mtu);

	switch (h->icmp6_type) {
	case ICMPV6_PKT_TOOBIG:
		return mtu < IPV6_MIN_MTU || mtu >= ETH_MTU;
	case NEIGHBOUR_ADVERTISEMENT:
		return claims_ours(pk);
	case ROUTER_ADVERTISEMENT:
	case REDIRECT:
		return true;
	default:
		return false;
	}
}

/* true: lwIP shall not see it. */
static bool icmp6_in(const struct lwip_packet *pk)
{
	struct dgram_fault f = { .ee.ee_origin = SO_EE_ORIGIN_ICMP6 };
	struct icmp6hdr h;

	if (pk->len < pk->header + sizeof(h) || !lwip_packet_checksum_ok(pk, IPPROTO_ICMPV6))
		return false;
	lwip_packet_copy(pk, &h, pk->header, sizeof(h));
	f.ee.ee_type = h.icmp6_type;
	f.ee.ee_code = h.icmp6_code;
	f.ee.ee_info = ntohl(h.icmp6_mtu);
	switch (h.icmp6_type) {
	case ICMPV6_DEST_UNREACH:
		f.ee.ee_errno = (uint32_t)unreachable_error6(h.icmp6_code, &f.hard);
		f.ee.ee_info = 0;
		break;
	case ICMPV6_PKT_TOOBIG:
		f.ee.ee_errno = EMSGSIZE;
		f.hard = true;
		break;
	case ICMPV6_TIME_EXCEED:
		f.ee.ee_errno = EHOSTUNREACH;
		break;
	case ICMPV6_PARAMPROB:
		f.ee.ee_errno = EPROTO;
		f.hard = true;
		break;
	default:
		break;
	}
	report(pk, pk->header + sizeof(h), &f);
	struct dgram *g = packet_dgram(pk, 0, pk->len);
	if (g)
		inet_icmp_input(g, IPPROTO_ICMPV6, pk->header);
	return misleads(pk, &h);
}

bool lwip_input(int protocol, const struct lwip_packet *pk)
{
	if (protocol == IPPROTO_UDP)
		return udp_in(pk);
	if (protocol == IPPROTO_TCP)
		return inet_tcp_wire_drops(pk);
	if (protocol == IPPROTO_ICMPV6)
		return icmp6_in(pk);
	if (protocol == IPPROTO_ICMP)
		icmp4_in(pk);
	return false; /* lwIP answers echo requests and neighbour discovery */
}
