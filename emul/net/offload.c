/* SPDX-License-Identifier: MIT */
#include "emul/net/offload.h"

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <lwip/pbuf.h>
#include <netinet/in.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/base/types.h"

/* --- sums --------------------------------------------------------------------------------------------------------- */

static uint64_t add(uint64_t sum, uint64_t more)
{
	sum += more;
	return sum + (sum < more);
}

/* RFC 1071, in any byte order: eight bytes at a time. */
static uint64_t sum_of(const uint8_t *p, size_t len, uint64_t sum)
{
	uint64_t w;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&w, p, 8);
		sum = add(sum, w);
	}
	w = 0;
	memcpy(&w, p, len);
	return add(sum, w);
}

static uint16_t fold(uint64_t sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)((sum >> 16) + (sum & 0xffff));
}

bool offload_complete(uint8_t *frame, size_t len, size_t start, size_t offset)
{
	uint16_t sum;

	if (start > len || offset > len - start || len - start - offset < sizeof(sum))
		return false;
	sum = (uint16_t)~fold(sum_of(frame + start, len - start, 0));
	if (!sum)
		sum = 0xffff; /* to UDP 0 is none; to others it is the same */
	memcpy(frame + start + offset, &sum, sizeof(sum));
	return true;
}

/* --- segments ------------------------------------------------------------------------------------------------------- */

/* What is kept. Core lock. */
static struct {
	uint8_t frame[OFFLOAD_MAX];
	size_t len;            /* 0: nothing */
	struct large_frame at;
	uint32_t next;         /* sequence number behind it */
	bool closed;           /* a short segment was the last */
	offload_send_fn *send;
} kept;

/* A plain data segment: where its headers are. lwIP makes no IP options and no extension headers for TCP. */
static bool is_data(const uint8_t *f, size_t len, struct large_frame *ret)
{
	const struct ethhdr *eth = (const void *)f;
	struct tcphdr tcp;
	size_t end;

	*ret = (struct large_frame){ .ip = ETH_HLEN };
	if (len < ETH_HLEN + sizeof(struct iphdr))
		return false;
	if (eth->h_proto == htons(ETH_P_IP)) {
		struct iphdr ip;

		memcpy(&ip, f + ret->ip, sizeof(ip));
		if (ip.ihl != 5 || ip.protocol != IPPROTO_TCP || (ip.frag_off & htons(0x3fff)))
			return false;
		ret->tcp = ETH_HLEN + sizeof(ip);
		end = (size_t)ETH_HLEN + ntohs(ip.tot_len);
	} else if (eth->h_proto == htons(ETH_P_IPV6) && len >= ETH_HLEN + sizeof(struct ipv6hdr)) {
		struct ipv6hdr ip;

		memcpy(&ip, f + ret->ip, sizeof(ip));
		if (ip.nexthdr != IPPROTO_TCP)
			return false;
		ret->v6 = true;
		ret->tcp = ETH_HLEN + sizeof(ip);
		end = ret->tcp + (size_t)ntohs(ip.payload_len);
	} else {
		return false;
	}
	if (end != len || len < ret->tcp + sizeof(tcp))
		return false;
	memcpy(&tcp, f + ret->tcp, sizeof(tcp));
	ret->headers = (uint16_t)(ret->tcp + tcp.doff * 4);
	if (tcp.doff < 5 || ret->headers >= len || tcp.syn || tcp.fin || tcp.rst || tcp.urg || !tcp.ack)
		return false;
	ret->segment = (uint16_t)(len - ret->headers);
	return true;
}

static uint32_t sequence(const uint8_t *f, const struct large_frame *at)
{
	struct tcphdr tcp;

	memcpy(&tcp, f + at->tcp, sizeof(tcp));
	return ntohl(tcp.seq);
}

/* The same but for length, number, sums, sequence, acknowledgement, PSH and window. */
static bool same_flow(const uint8_t *a, const uint8_t *b, const struct large_frame *at)
{
	const struct { size_t from, to; } v4[] = { { 0, ETH_HLEN + 2 }, { ETH_HLEN + 6, ETH_HLEN + 10 }, { ETH_HLEN + 12, ETH_HLEN + 20 } };
	const struct { size_t from, to; } v6[] = { { 0, ETH_HLEN + 4 }, { ETH_HLEN + 6, ETH_HLEN + 40 } };
	size_t n = at->v6 ? ARRAY_SIZE(v6) : ARRAY_SIZE(v4), tcp = at->tcp;

	for (size_t i = 0; i < n; i++) {
		size_t from = at->v6 ? v6[i].from : v4[i].from, to = at->v6 ? v6[i].to : v4[i].to;

		if (memcmp(a + from, b + from, to - from))
			return false;
	}
	return !memcmp(a + tcp, b + tcp, 4) && a[tcp + 12] == b[tcp + 12] && (a[tcp + 13] | 0x08) == (b[tcp + 13] | 0x08) &&
	       !memcmp(a + tcp + 20, b + tcp + 20, at->headers - tcp - 20);
}

static bool continues(const uint8_t *f, const struct large_frame *at, size_t data)
{
	return kept.len && !kept.closed && at->v6 == kept.at.v6 && at->headers == kept.at.headers && data <= kept.at.segment &&
	       kept.len + data <= OFFLOAD_MAX - ETH_HLEN && sequence(f, at) == kept.next && same_flow(kept.frame, f, at);
}

/* Acknowledgement, PSH and window are those of the latest. */
static void append(const uint8_t *f, const struct large_frame *at, size_t data)
{
	uint8_t *tcp = kept.frame + at->tcp;

	memcpy(kept.frame + kept.len, f + at->headers, data);
	kept.len += data;
	kept.next += (uint32_t)data;
	kept.closed = data < kept.at.segment;
	memcpy(tcp + 8, f + at->tcp + 8, 4);
	tcp[13] |= f[at->tcp + 13];
	memcpy(tcp + 14, f + at->tcp + 14, 2);
}

/* --- out -------------------------------------------------------------------------------------------------------------- */

static void set16(uint8_t *at, uint16_t value)
{
	memcpy(at, &value, sizeof(value));
}

/* Lengths, and sums: the IP header's whole, TCP's of the pseudo header, uncomplemented. */
static void finish_headers(void)
{
	uint8_t *ip = kept.frame + kept.at.ip, *tcp = kept.frame + kept.at.tcp;
	size_t len = kept.len - kept.at.tcp;
	uint64_t sum = add(htons((uint16_t)len), htons(IPPROTO_TCP));

	if (kept.at.v6) {
		set16(ip + 4, htons((uint16_t)len));
		sum = sum_of(ip + 8, 32, sum);
	} else {
		set16(ip + 2, htons((uint16_t)(kept.len - kept.at.ip)));
		set16(ip + 10, 0);
		set16(ip + 10, (uint16_t)~fold(sum_of(ip, 20, 0)));
		sum = sum_of(ip + 12, 8, sum);
	}
	set16(tcp + 16, fold(sum));
}

void offload_flush(void)
{
	size_t len = kept.len;
	bool large = len > (size_t)kept.at.headers + kept.at.segment;

	if (!len)
		return;
	if (large)
		finish_headers();
	kept.len = 0;
	kept.send(kept.frame, len, large ? &kept.at : NULL);
}

int offload_output(struct pbuf *p, offload_send_fn *send)
{
	static uint8_t flat[OFFLOAD_MAX]; /* core lock */
	const uint8_t *f = p->len == p->tot_len ? p->payload : flat;
	struct large_frame at;
	size_t len = p->tot_len;
	bool data;

	if (f == flat)
		pbuf_copy_partial(p, flat, (u16_t)len, 0);
	data = is_data(f, len, &at);
	if (data && continues(f, &at, at.segment)) {
		append(f, &at, at.segment);
		return 0;
	}
	offload_flush();
	if (!data)
		return send(f, len, NULL);
	memcpy(kept.frame, f, len);
	kept.len = len;
	kept.at = at;
	kept.next = sequence(f, &at) + at.segment;
	kept.closed = false;
	kept.send = send;
	return 0;
}
