/* SPDX-License-Identifier: MIT */
/*
 * The segments that a local connection would exchange, made up for those who look at them: filters of sockets. Numbers begin at a hash of
 * the connection's ends and follow the counts of bytes, so nothing has to be kept for them. On the wire filters see lwIP's packets.
 */
#include "emul/net/inet_tcp.h"

#include <stdlib.h>

#include "emul/net/filter.h"
#include "emul/net/frame.h"
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
