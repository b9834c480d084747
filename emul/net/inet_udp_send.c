/* SPDX-License-Identifier: MIT */
/*
 * UDP: sending. One call is one datagram, a part of one (MSG_MORE, UDP_CORK), or several (UDP_SEGMENT). Several stay one on lo, until
 * they are at a receiver that did not ask for that (UDP_GRO); eth0 gets each. udp_sendmsg(), udp_send_skb() are the model.
 */
#include "emul/net/inet_udp.h"

#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <stdlib.h>

#include "emul/net/inet_zerocopy.h"
#include "emul/net/lwip_port.h"
#include "emul/net/mib.h"
#include "emul/net/packet.h"
#include "emul/net/route.h"

#define HEADERS4 28
#define HEADERS6 48
#define MAX_SEGMENTS 128 /* UDP_MAX_SEGMENTS */

/* A datagram that is not whole yet. The first call says where it goes and how. */
struct udp_cork {
	struct dgram_target to;
	struct dgram *g;
};

static void cork_free(struct udp_cork *c)
{
	if (c)
		free(c->g);
	free(c);
}

/* --- on the way -------------------------------------------------------------------------------------------------------- */

struct dgram *inet_udp_segment(const struct dgram *g, size_t at)
{
	size_t len = MIN(g->segment, g->len - at);
	struct dgram *one = malloc(sizeof(*one) + len);

	if (!one)
		return NULL;
	*one = *g;
	list_init(&one->node);
	one->segment = 0;
	one->len = len;
	memcpy(one->data, g->data + at, len);
	return one;
}

static size_t headers(const struct dgram *g)
{
	return addr_is_v4(&g->to.ip) ? HEADERS4 : HEADERS6;
}

static void show(const struct dgram *g, uint8_t proto)
{
	if (packet_wanted())
		packet_show_lo(frame_udp(g, proto), g->mark);
}

/* And what comes back when nobody is there. */
static void show_unreachable(const struct dgram *g, uint8_t proto)
{
	struct frame *f = packet_wanted() ? frame_udp(g, proto) : NULL;

	if (f)
		packet_show_lo(frame_unreachable(&g->to, &g->from, f), 0);
	free(f);
}

static void send_local(struct dgram_sock *d, struct dgram *g, const struct dgram_target *t)
{
	bool v6 = !addr_is_v4(&g->to.ip);
	uint8_t proto = d->inet.port.proto == PORT_UDPLITE ? IPPROTO_UDPLITE : IPPROTO_UDP;

	route_count_lo(v6, g->len + headers(g));
	show(g, proto);
	if (!inet_udp_input(d->inet.port.proto, g, t->multicast || t->broadcast)) {
		struct dgram_fault f;

		mib_icmp(v6, true, v6 ? ICMPV6_DEST_UNREACH : ICMP_DEST_UNREACH);
		mib_icmp(v6, false, v6 ? ICMPV6_DEST_UNREACH : ICMP_DEST_UNREACH);

		show_unreachable(g, proto);
		dgram_fault_unreachable(&f, g);
		dgram_error(d, &f);
		free(g);
	}
}

static int send_wire(const struct dgram *g, const struct dgram_target *t)
{
	size_t step = g->segment ? g->segment : MAX(g->len, (size_t)1), at = 0;
	int r;

	do {
		r = lwip_send_udp(&g->from, &g->to, t->tos, t->ttl, g->data + at, MIN(step, g->len - at));
		at += step;
	} while (r == 0 && at < g->len);
	return r;
}

/* Consumes g. */
static int send_out(struct dgram_sock *d, struct dgram *g, const struct dgram_target *t)
{
	bool group = t->multicast || t->broadcast;
	int r = 0;

	if (t->ifindex == IF_LO) {
		send_local(d, g, t); /* IP_MULTICAST_LOOP or not: lo itself loops */
		return 0;
	}
	if (d->inet.port.proto == PORT_UDPLITE)
		r = -ENETUNREACH; /* only inside the instance */
	else if (!t->multicast || t->ttl > 0)
		r = send_wire(g, t);
	if (r == 0 && group && t->loop)
		inet_udp_input(d->inet.port.proto, g, true);
	else
		free(g);
	return r;
}

/* What Linux asks of datagrams that are to be cut: udp_send_skb(). */
static int check_segments(struct dgram_sock *d, const struct dgram *g, const struct dgram_target *t)
{
	size_t size = (size_t)t->segment, mtu = t->ifindex == IF_LO ? LO_MTU : ETH_MTU;

	if (headers(g) + MIN(g->len, size) > mtu)
		return -EMSGSIZE;
	if (g->len > size * MAX_SEGMENTS)
		return -EINVAL;
	if (addr_is_v4(&g->to.ip) ? d->inet.sock.opt.no_check : d->no_check6_tx)
		return -EINVAL;
	return d->inet.port.proto == PORT_UDPLITE ? -EIO : 0;
}

/* A whole datagram, or several that are whole. Consumes g. */
static int finish(struct dgram_sock *d, struct dgram *g, const struct dgram_target *t)
{
	bool v6;
	int r = 0;

	inet_lock(&d->inet);
	if (t->segment) {
		r = check_segments(d, g, t);
		g->segment = g->len > (size_t)t->segment ? (size_t)t->segment : 0;
	}
	g->no_check = d->no_check6_tx && !addr_is_v4(&g->to.ip) && d->inet.port.proto == PORT_UDP;
	inet_unlock(&d->inet);
	if (r < 0) {
		free(g);
		return r;
	}
	v6 = !addr_is_v4(&g->to.ip);
	r = send_out(d, g, t);
	if (r == 0)
		mib_udp(v6, d->inet.port.proto == PORT_UDPLITE, MIB_UDP_OUT);
	return r;
}

/* --- collecting ----------------------------------------------------------------------------------------------------------- */

static struct udp_cork *take_cork_locked(struct dgram_sock *d)
{
	struct udp_cork *c = d->cork;

	d->cork = NULL;
	return c;
}

static int finish_cork(struct dgram_sock *d, struct udp_cork *c)
{
	int r;

	if (!c)
		return 0;
	r = finish(d, c->g, &c->to);
	free(c);
	return r;
}

void inet_udp_uncork(struct dgram_sock *d)
{
	struct udp_cork *c;

	inet_lock(&d->inet);
	c = take_cork_locked(d);
	inet_unlock(&d->inet);
	finish_cork(d, c);
}

void inet_udp_drop_cork(struct dgram_sock *d)
{
	struct udp_cork *c;

	inet_lock(&d->inet);
	c = take_cork_locked(d);
	inet_unlock(&d->inet);
	cork_free(c);
}

static int append(struct dgram_sock *d, struct udp_cork *c, const char *data, size_t len)
{
	size_t all = c->g->len + len;
	int r = dgram_check_size_locked(d, &c->to, all, true);
	struct dgram *g = r < 0 ? NULL : realloc(c->g, sizeof(*g) + all);

	if (!g)
		return r < 0 ? r : -ENOBUFS;
	memcpy(g->data + g->len, data, len);
	g->len = all;
	c->g = g;
	return 0;
}

/*
 * More for what is collected; with !more, it goes. data is read already: *was_one tells whether there was something to add to.
 * What does not fit loses all of it, as in Linux.
 */
static int add_to_cork(struct dgram_sock *d, const char *data, size_t len, bool more, bool *was_one)
{
	struct udp_cork *c;
	int r;

	inet_lock(&d->inet);
	c = take_cork_locked(d);
	*was_one = c != NULL;
	if (!c) {
		inet_unlock(&d->inet);
		return 0;
	}
	r = append(d, c, data, len);
	if (r == 0 && more)
		d->cork = steal(c);
	inet_unlock(&d->inet);
	if (r < 0) {
		cork_free(c);
		return r;
	}
	return finish_cork(d, c);
}

/* The first part. Consumes g. */
static int begin_cork(struct dgram_sock *d, struct dgram *g, const struct dgram_target *t)
{
	struct udp_cork *c = malloc(sizeof(*c));
	int r = 0;

	if (!c) {
		free(g);
		return -ENOBUFS;
	}
	*c = (struct udp_cork){ .to = *t, .g = g };
	inet_lock(&d->inet);
	if (d->cork)
		r = -EINVAL; /* two at once: so says Linux too */
	else
		d->cork = steal(c);
	inet_unlock(&d->inet);
	cork_free(c);
	return r;
}

/* --- the call ----------------------------------------------------------------------------------------------------------------- */

static ssize_t send_first(struct dgram_sock *d, struct sock_msg *m, bool more)
{
	struct dgram_target t;
	struct dgram *g;
	size_t len = uio_left(m->data);
	int r = dgram_send_begin(d, m, true, &t, &g);

	if (r == 0)
		r = more ? begin_cork(d, g, &t) : finish(d, g, &t);
	if (r == 0)
		inet_zerocopy_sent(&d->inet, m->flags, len);
	return r < 0 ? r : (ssize_t)len;
}

static ssize_t send_more(struct dgram_sock *d, struct sock_msg *m, bool more)
{
	size_t len = uio_left(m->data);
	bool was_one;
	struct uio again;
	char *data;
	ssize_t r;

	if (len > UINT16_MAX)
		return -EMSGSIZE;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	data = malloc(len + 1);
	if (!data)
		return -ENOBUFS;
	if (len && uio_copy_in(m->data, data, len) != (ssize_t)len) {
		free(data);
		inet_udp_drop_cork(d);
		return -EFAULT;
	}
	r = add_to_cork(d, data, len, more, &was_one);
	if (r == 0 && !was_one) { /* somebody else has sent it meanwhile */
		uio_init_host(&again, data, len);
		m->data = &again;
		r = send_first(d, m, more);
		uio_fini(&again);
	} else if (r == 0) {
		inet_zerocopy_sent(&d->inet, m->flags, len);
		r = (ssize_t)len;
	}
	free(data);
	return r;
}

ssize_t inet_udp_sendmsg(struct sock *s, struct task *task, struct sock_msg *m)
{
	struct dgram_sock *d = dgram_of(s);
	bool more, collecting;

	(void)task;
	inet_lock(&d->inet);
	more = d->corking || (m->flags & MSG_MORE);
	collecting = d->cork != NULL;
	inet_unlock(&d->inet);
	return collecting ? send_more(d, m, more) : send_first(d, m, more);
}
