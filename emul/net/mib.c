/* SPDX-License-Identifier: MIT */
#include "emul/net/mib.h"

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>

typedef _Atomic uint64_t counter;

static counter ip[2][MIB_IP_MAX], udp[2][2][MIB_UDP_MAX], tcp[MIB_TCP_MAX], icmp[2][2][256];

static void add(counter *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

void mib_ip(bool v6, enum mib_ip what, uint64_t n)
{
	add(&ip[v6][what], n);
}

void mib_udp(bool v6, bool lite, enum mib_udp what)
{
	add(&udp[v6][lite][what], 1);
}

void mib_tcp(enum mib_tcp what)
{
	add(&tcp[what], 1);
}

void mib_icmp(bool v6, bool out, uint8_t type)
{
	add(&icmp[v6][out][type], 1);
}

/* One count each: what goes out comes in. */
static counter local_packets[2], local_bytes[2];

void mib_local(bool v6, size_t len)
{
	add(&local_packets[v6], 1);
	add(&local_bytes[v6], len);
}

/* --- frames ---------------------------------------------------------------------------------------------------------- */

static void count_above(bool v6, bool out, uint8_t protocol, const uint8_t *p, size_t len, unsigned n)
{
	struct tcphdr t;

	if (protocol == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) && len) {
		mib_icmp(v6, out, p[0]);
	} else if (protocol == IPPROTO_TCP && len >= sizeof(t)) {
		memcpy(&t, p, sizeof(t));
		add(&tcp[out ? MIB_TCP_SEGMENTS_OUT : MIB_TCP_SEGMENTS_IN], n);
		if (out && t.rst)
			mib_tcp(MIB_TCP_RESETS_OUT);
	}
}

void mib_frame(bool out, const void *frame, size_t len, unsigned nframes)
{
	struct ethhdr e;
	const uint8_t *p = (const uint8_t *)frame + sizeof(e);
	bool v6;

	if (len < sizeof(e))
		return;
	memcpy(&e, frame, sizeof(e));
	len -= sizeof(e);
	v6 = e.h_proto == htons(ETH_P_IPV6);
	if ((!v6 && e.h_proto != htons(ETH_P_IP)) || len < (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)))
		return;
	mib_ip(v6, out ? MIB_IP_OUT : MIB_IP_IN, nframes);
	mib_ip(v6, out ? MIB_IP_OUT_BYTES : MIB_IP_IN_BYTES, len);
	if (e.h_dest[0] & 1)
		mib_ip(v6, out ? MIB_IP_OUT_GROUP : MIB_IP_IN_GROUP, 1);
	if (v6) {
		count_above(v6, out, p[6], p + sizeof(struct ipv6hdr), len - sizeof(struct ipv6hdr), nframes);
	} else {
		size_t header = (size_t)(p[0] & 15) * 4;

		if (header >= sizeof(struct iphdr) && header <= len && !(p[6] & 0x1f) && !p[7]) /* the first fragment, or all */
			count_above(v6, out, p[9], p + header, len - header, nframes);
	}
}

/* --- reading ---------------------------------------------------------------------------------------------------------- */

uint64_t mib_ip_count(bool v6, enum mib_ip what)
{
	uint64_t n = ip[v6][what];

	if (what == MIB_IP_IN || what == MIB_IP_OUT)
		n += local_packets[v6];
	else if (what == MIB_IP_IN_BYTES || what == MIB_IP_OUT_BYTES)
		n += local_bytes[v6];
	return n;
}

uint64_t mib_udp_count(bool v6, bool lite, enum mib_udp what)
{
	return udp[v6][lite][what];
}

uint64_t mib_tcp_count(enum mib_tcp what)
{
	return tcp[what];
}

uint64_t mib_icmp_count(bool v6, bool out, uint8_t type)
{
	return icmp[v6][out][type];
}
