/* SPDX-License-Identifier: MIT */
/*
 * The segments that a local connection would exchange, made up for those who look at them: filters and packet sockets. Numbers begin at a hash of
 * the connection's ends and follow the counts of bytes, so nothing has to be kept for them. On the wire filters see lwIP's packets.
 */
#include "emul/net/inet_tcp.h"

#include <stdlib.h>

#include "emul/net/filter.h"
#include "emul/net/frame.h"
#include "emul/net/packet.h"
#include "emul/net/route.h"

#define TCP_HEADER 20

static uint32_t hash(const void *data, size_t len, uint32_t h)
{
	for (const uint8_t *p = data; len; p++, len--)
		h = (h ^ *p) * 16777619u;
	return h;
}

/* The first number of who sends from `from` to `to`. */
static uint32_t first_number(const struct endpoint *from, const struct endpoint *to)
{
	uint32_t h = hash(&from->ip, sizeof(from->ip), 2166136261u);

	h = hash(&from->port, sizeof(from->port), h);
	h = hash(&to->ip, sizeof(to->ip), h);
	return hash(&to->port, sizeof(to->port), h);
}

static uint16_t window_of(struct inet_tcp *t)
{
	size_t all = inet_tcp_window(t), used = MIN(t->rq.len, all);

	return (uint16_t)MIN(all - used, (size_t)UINT16_MAX);
}

/* What t sends next. */
static struct frame_tcp next_segment(struct inet_tcp *t, uint8_t flags)
{
	const struct endpoint *from = &t->inet.local, *to = &t->inet.remote;
	bool fin_sent = t->state == TCP_FIN_WAIT2 || t->state == TCP_TIME_WAIT || t->state == TCP_LAST_ACK;
	uint64_t sent = t->peer ? t->peer->bytes_received : t->bytes_sent;

	return (struct frame_tcp){
		.from = *from, .to = *to, .flags = flags, .window = window_of(t), .tos = t->inet.ip.tos, .ttl = t->inet.ip.ttl,
		.seq = first_number(from, to) + (flags & FRAME_SYN ? 0 : 1 + (uint32_t)sent + fin_sent),
		.ack = flags & FRAME_ACK ? first_number(to, from) + 1 + (uint32_t)t->bytes_received + t->done : 0,
	};
}

static bool passes(struct sock *s, const struct frame_tcp *segment, const void *data, size_t len, size_t header, uint32_t mark, size_t *ret_keep)
{
	struct frame *f = frame_tcp(segment, data, len);
	struct bpf_packet p;
	bool yes;

	if (!f)
		return false; /* as one that is lost */
	p = frame_packet(f, f->transport, IF_LO, mark);
	yes = filter_passes(s, &p, header, ret_keep);
	free(f);
	return yes;
}

size_t inet_tcp_filter_data_locked(struct inet_tcp *t, const void *data, size_t len)
{
	struct frame_tcp segment = next_segment(t, FRAME_ACK | FRAME_PSH);
	size_t keep;

	if (!passes(&t->peer->inet.sock, &segment, data, len, TCP_HEADER, (uint32_t)t->inet.sock.opt.mark, &keep))
		return 0;
	return keep - TCP_HEADER;
}

bool inet_tcp_filter_syn_locked(struct inet_tcp *t, struct inet_tcp *l)
{
	struct frame_tcp syn = next_segment(t, FRAME_SYN);
	size_t keep;

	if (!filter_is_set(&l->inet.sock))
		return true;
	return passes(&l->inet.sock, &syn, NULL, 0, TCP_HEADER + 4, (uint32_t)t->inet.sock.opt.mark, &keep);
}

/* --- for packet sockets -------------------------------------------------------------------------------------------------- */

static void show(const struct frame_tcp *segment, const void *data, size_t len, struct inet_tcp *t)
{
	packet_show_lo(frame_tcp(segment, data, len), (uint32_t)t->inet.sock.opt.mark);
}

/* What the other end answers to a segment with len bytes (SYN and FIN count as one). */
static struct frame_tcp answer_to(struct inet_tcp *t, const struct frame_tcp *segment, size_t len, uint8_t flags)
{
	const struct endpoint *from = &t->inet.remote, *to = &t->inet.local;

	return (struct frame_tcp){
		.from = *from, .to = *to, .flags = flags, .window = t->peer ? window_of(t->peer) : 0, .ttl = -1,
		.seq = first_number(from, to) + (flags & FRAME_SYN ? 0 : 1 + (uint32_t)t->bytes_received + t->done),
		.ack = segment->seq + (uint32_t)len,
	};
}

void inet_tcp_show_data_locked(struct inet_tcp *t, const void *data, size_t len)
{
	struct frame_tcp segment, ack;
	size_t mss, at = 0, n;

	if (!packet_wanted() || !len)
		return;
	mss = (size_t)inet_tcp_mss(t);
	segment = next_segment(t, FRAME_ACK);
	for (; at < len; at += n, segment.seq += (uint32_t)n) {
		n = MIN(mss, len - at);
		if (at + n == len)
			segment.flags |= FRAME_PSH;
		show(&segment, (const char *)data + at, n, t);
	}
	ack = answer_to(t, &segment, 0, FRAME_ACK);
	show(&ack, NULL, 0, t);
}

void inet_tcp_show_syn_locked(struct inet_tcp *t)
{
	struct frame_tcp syn;

	if (!packet_wanted())
		return;
	syn = next_segment(t, FRAME_SYN);
	show(&syn, NULL, 0, t);
}

void inet_tcp_show_handshake_locked(struct inet_tcp *t)
{
	struct frame_tcp syn, answer, ack;

	if (!packet_wanted())
		return;
	syn = next_segment(t, FRAME_SYN);
	answer = answer_to(t, &syn, 1, FRAME_SYN | FRAME_ACK);
	show(&answer, NULL, 0, t);
	ack = next_segment(t, FRAME_ACK);
	show(&ack, NULL, 0, t);
}

void inet_tcp_show_refusal_locked(struct inet_tcp *t)
{
	struct frame_tcp syn, rst;

	if (!packet_wanted())
		return;
	syn = next_segment(t, FRAME_SYN);
	rst = answer_to(t, &syn, 1, FRAME_RST | FRAME_ACK);
	rst.seq = 0;
	rst.window = 0;
	show(&rst, NULL, 0, t);
}

void inet_tcp_show_fin_locked(struct inet_tcp *t)
{
	struct frame_tcp fin, ack;

	if (!packet_wanted())
		return;
	fin = next_segment(t, FRAME_FIN | FRAME_ACK);
	show(&fin, NULL, 0, t);
	ack = answer_to(t, &fin, 1, FRAME_ACK);
	show(&ack, NULL, 0, t);
}

void inet_tcp_show_reset_locked(struct inet_tcp *t)
{
	struct frame_tcp rst;

	if (!packet_wanted())
		return;
	rst = next_segment(t, FRAME_RST | FRAME_ACK);
	rst.window = 0;
	show(&rst, NULL, 0, t);
}
