/* SPDX-License-Identifier: MIT */
/* Segments that continue each other leave as one frame with sums that are right; all others as they were. */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <lwip/pbuf.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/cmocka_all.h"

#include "emul/net/offload.h"

#define HEADERS (ETH_HLEN + 20 + 20)
#define DATA 1460

static struct { uint8_t frame[OFFLOAD_MAX]; size_t len; bool large; struct large_frame l; } sent[200];
static unsigned nsent;

static int send_frame(const void *frame, size_t len, const struct large_frame *l)
{
	memcpy(sent[nsent].frame, frame, len);
	sent[nsent].len = len;
	sent[nsent].large = l != NULL;
	if (l)
		sent[nsent].l = *l;
	nsent++;
	return 0;
}

static int setup(void **state)
{
	nsent = 0;
	return 0;
}

static void put16(uint8_t *at, unsigned v) { v = htons((uint16_t)v); memcpy(at, &v, 2); }
static void put32(uint8_t *at, uint32_t v) { v = htonl(v); memcpy(at, &v, 4); }

/* flags: of TCP, beside ACK. */
static void segment(uint16_t port, uint32_t seq, size_t data, uint8_t flags)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)(HEADERS + data), PBUF_RAM);
	uint8_t *f = p->payload, *ip = f + ETH_HLEN, *tcp = ip + 20;

	memset(f, 0, HEADERS);
	memset(f, 0xaa, 12);
	put16(f + 12, ETH_P_IP);
	ip[0] = 0x45;
	put16(ip + 2, (unsigned)(40 + data));
	put16(ip + 4, seq / DATA); /* the packet's number */
	ip[8] = 64;
	ip[9] = IPPROTO_TCP;
	put32(ip + 12, 0x0a00020f);
	put32(ip + 16, 0x0a000202);
	put16(tcp, port);
	put16(tcp + 2, 80);
	put32(tcp + 4, seq);
	put32(tcp + 8, 77 + seq);
	tcp[12] = 0x50;
	tcp[13] = 0x10 | flags;
	put16(tcp + 14, 5000);
	for (size_t i = 0; i < data; i++)
		f[HEADERS + i] = (uint8_t)(seq + i);
	assert_int_equal(offload_output(p, send_frame), 0);
	pbuf_free(p);
}

static uint16_t sum(const uint8_t *p, size_t len, uint32_t s)
{
	for (size_t i = 0; i < len; i++)
		s += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16)
		s = (s >> 16) + (s & 0xffff);
	return (uint16_t)s;
}

static void segments_in_order_become_one(void **state)
{
	uint8_t *f = sent[0].frame, *ip = f + ETH_HLEN, *tcp = ip + 20;
	size_t data = 10 * DATA;
	uint32_t ack;

	for (uint32_t i = 0; i < 10; i++)
		segment(1, 1000 + i * DATA, DATA, i == 9 ? 8 : 0);
	assert_int_equal(nsent, 0);
	offload_flush();
	offload_flush();
	assert_int_equal(nsent, 1);
	assert_true(sent[0].large);
	assert_int_equal(sent[0].len, HEADERS + data);
	assert_int_equal(sent[0].l.segment, DATA);
	assert_int_equal(sent[0].l.headers, HEADERS);
	assert_int_equal(sent[0].l.tcp, ETH_HLEN + 20);
	for (size_t i = 0; i < data; i++)
		assert_int_equal(f[HEADERS + i], (uint8_t)(1000 + i));
	assert_int_equal(sum(ip, 20, 0), 0xffff);
	assert_int_equal(ip[2] << 8 | ip[3], 40 + data);
	assert_int_equal(tcp[13], 0x18);
	memcpy(&ack, tcp + 8, sizeof(ack));
	assert_int_equal(ntohl(ack), 77 + 1000 + 9 * DATA);
	/* what the host completes is right then */
	assert_true(offload_complete(f, sent[0].len, sent[0].l.tcp, offsetof(struct tcphdr, check)));
	assert_int_equal(sum(tcp, 20 + data, (uint32_t)sum(ip + 12, 8, IPPROTO_TCP + (uint32_t)(20 + data))), 0xffff);
}

static void one_alone_is_left_as_it_is(void **state)
{
	segment(1, 1000, DATA, 8);
	offload_flush();
	assert_int_equal(nsent, 1);
	assert_false(sent[0].large);
	assert_int_equal(sent[0].len, HEADERS + DATA);
}

static void what_does_not_continue_goes_apart_and_in_order(void **state)
{
	segment(1, 1000, DATA, 0);
	segment(1, 1000 + DATA, 100, 8);       /* short: nothing may follow it */
	segment(1, 1000 + DATA + 100, DATA, 0);
	segment(2, 1000, DATA, 0);             /* another connection */
	segment(2, 1000 + 2 * DATA, DATA, 0);  /* a gap */
	segment(2, 1000 + 3 * DATA, 0, 0);     /* no data */
	segment(2, 1000 + 3 * DATA, DATA, 1);  /* FIN */
	segment(2, 1000, 500, 0);
	segment(2, 1500, DATA, 0);             /* longer than the first */
	offload_flush();
	assert_int_equal(nsent, 8);
	assert_int_equal(sent[0].len, HEADERS + DATA + 100);
	assert_true(sent[0].large);
	for (unsigned i = 1; i < nsent; i++)
		assert_false(sent[i].large);
	assert_int_equal(sent[4].len, HEADERS);
	assert_int_equal(sent[5].frame[ETH_HLEN + 33] & 1, 1);
}

static void a_frame_stays_within_its_bound(void **state)
{
	size_t all = 0;

	for (uint32_t i = 0; i < 200; i++)
		segment(1, i * DATA, DATA, 0);
	offload_flush();
	for (unsigned i = 0; i < nsent; i++) {
		assert_true(sent[i].len <= OFFLOAD_MAX);
		all += sent[i].len - HEADERS;
	}
	assert_int_equal(all, 200 * DATA);
	assert_true(nsent <= 5);
}

static void sums_outside_the_frame_are_refused(void **state)
{
	uint8_t f[64] = { 1, 2, 3 };

	assert_true(offload_complete(f, 64, 14, 48));
	assert_false(offload_complete(f, 64, 14, 49));
	assert_false(offload_complete(f, 64, 64, 0));
	assert_false(offload_complete(f, 64, 65, 0));
	assert_false(offload_complete(f, 64, 65535, 65535));
	assert_false(offload_complete(f, 0, 0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(segments_in_order_become_one, setup),
		cmocka_unit_test_setup(one_alone_is_left_as_it_is, setup),
		cmocka_unit_test_setup(what_does_not_continue_goes_apart_and_in_order, setup),
		cmocka_unit_test_setup(a_frame_stays_within_its_bound, setup),
		cmocka_unit_test_setup(sums_outside_the_frame_are_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
