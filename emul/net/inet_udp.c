/* SPDX-License-Identifier: MIT */
/*
 * UDP. A datagram for this instance goes straight into the receiver's queue; nobody there is the ICMP error that Linux would
 * get back. What leaves the instance goes through lwIP (lwip_port.h), and what arrives there comes in by inet_udp_input().
 */
#include "emul/net/inet_udp.h"

#include <linux/udp.h>
#include <stdlib.h>

#include "emul/net/filter.h"
#include "emul/net/frame.h"
#include "emul/net/inet_group.h"
#include "emul/net/inet_reuseport.h"
#include "emul/net/lwip_port.h"
#include "emul/net/mib.h"

#ifndef SOL_UDPLITE
#define SOL_UDPLITE 136
#endif
#define UDP_HEADER 8
#define UDPLITE_SEND_CSCOV 10
#define UDPLITE_RECV_CSCOV 11

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif

/* --- receivers ----------------------------------------------------------------------------------------------------------- */

/* The filter sees the UDP header first. Consumes g. */
static void deliver(struct dgram_sock *d, struct dgram *g)
{
	bool lite = d->inet.port.proto == PORT_UDPLITE;
	struct frame *f = filter_is_set(&d->inet.sock) ? frame_udp(g, lite ? IPPROTO_UDPLITE : IPPROTO_UDP) : NULL;
	size_t keep = g->len + UDP_HEADER;
	bool passes = true;

	if (f) {
		struct bpf_packet p = frame_packet(f, f->transport, g->ifindex, g->mark);

		passes = filter_passes(&d->inet.sock, &p, UDP_HEADER, &keep);
		free(f);
	}
	g->len = MIN(g->len, keep - UDP_HEADER);
	if (passes)
		dgram_deliver(d, g);
	else
		dgram_drop(d, g);
}

/* For who does not take several in one: udp_rcv_segment(). Consumes g. */
static void deliver_each(struct dgram_sock *d, struct dgram *g)
{
	for (size_t at = 0; at < g->len; at += g->segment) {
		struct dgram *one = inet_udp_segment(g, at);

		if (one)
			deliver(d, one);
	}
	free(g);
}

static void give(struct inet_sock *found, struct dgram *g)
{
	struct dgram_sock *d = container_of(found, struct dgram_sock, inet);
	bool gro, bad;

	inet_lock(&d->inet);
	gro = d->gro;
	bad = g->no_check && !d->no_check6_rx;
	inet_unlock(&d->inet);
	if (bad) {
		mib_udp(true, false, MIB_UDP_IN_ERRORS);
		mib_udp(true, false, MIB_UDP_BAD_SUM);
		free(g);
	} else if (g->segment && !gro) {
		deliver_each(d, g);
	} else {
		deliver(d, g);
	}
	sock_put(&found->sock);
}

static bool wants(struct inet_sock *i, const struct dgram *g)
{
	bool yes = true;

	if (addr_is_multicast(&g->to.ip)) {
		inet_lock(i);
		yes = inet_group_wants(i, &g->to.ip, &g->from.ip, g->ifindex);
		inet_unlock(i);
	}
	return yes;
}

static bool input_group(enum port_proto proto, struct dgram *g)
{
	struct inet_sock *found[16];
	unsigned at = 0, n;
	bool got = false;

	while ((n = ports_find_udp_group(proto, &g->to, &g->from, g->ifindex, &at, found, ARRAY_SIZE(found))))
		for (unsigned i = 0; i < n; i++) {
			struct dgram *copy = wants(found[i], g) ? dgram_copy(g) : NULL;

			if (copy)
				give(found[i], copy);
			else
				sock_put(&found[i]->sock);
			got |= copy != NULL;
		}
	if (!got)
		mib_udp(!addr_is_v4(&g->to.ip), proto == PORT_UDPLITE, MIB_UDP_IGNORED);
	free(g);
	return true;
}

bool inet_udp_input(enum port_proto proto, struct dgram *g, bool group)
{
	struct inet_sock *found;

	if (group)
		return input_group(proto, g);
	found = ports_find_udp(proto, &g->to, &g->from, g->ifindex);
	if (!found) {
		mib_udp(!addr_is_v4(&g->to.ip), proto == PORT_UDPLITE, MIB_UDP_NO_PORT);
		return false;
	}
	found = inet_reuseport_udp(found, g, proto == PORT_UDPLITE ? IPPROTO_UDPLITE : IPPROTO_UDP);
	give(found, g);
	return true;
}

void inet_udp_error(const struct endpoint *local, const struct dgram_fault *f)
{
	struct inet_sock *found = ports_find_udp(PORT_UDP, local, &f->to, f->ifindex);

	if (!found)
		return;
	dgram_error(container_of(found, struct dgram_sock, inet), f);
	sock_put(&found->sock);
}

/* --- options ------------------------------------------------------------------------------------------------------------------ */

static int *number(struct dgram_sock *d, int name)
{
	switch (name) {
	case UDP_CORK: return &d->corking;
	case UDP_NO_CHECK6_TX: return &d->no_check6_tx;
	case UDP_NO_CHECK6_RX: return &d->no_check6_rx;
	case UDP_ENCAP: return &d->encap;
	case UDP_SEGMENT: return &d->segment;
	case UDP_GRO: return &d->gro;
	case UDPLITE_SEND_CSCOV: return d->inet.port.proto == PORT_UDPLITE ? &d->send_cscov : NULL;
	case UDPLITE_RECV_CSCOV: return d->inet.port.proto == PORT_UDPLITE ? &d->recv_cscov : NULL;
	default: return NULL;
	}
}

static bool own_level(struct dgram_sock *d, int level)
{
	return level == SOL_UDP || (level == SOL_UDPLITE && d->inet.port.proto == PORT_UDPLITE);
}

/* The value as it is kept: 0, or what is wrong with it. udp_lib_setsockopt(). */
static int check_value(int name, int *val)
{
	switch (name) {
	case UDPLITE_SEND_CSCOV: /* coverages: 0 is all, less than the header does not go, more than a packet is the most there can be */
	case UDPLITE_RECV_CSCOV:
		*val = *val && *val < 8 ? 8 : MIN(*val, 65535);
		return 0;
	case UDP_SEGMENT:
		return *val < 0 || *val > UINT16_MAX ? -EINVAL : 0;
	case UDP_ENCAP: /* nobody here takes ESP apart, as in a Linux without XFRM; L2TP's is the business of a module that is not there */
		return *val && *val != UDP_ENCAP_L2TPINUDP ? -ENOPROTOOPT : 0;
	default:
		*val = *val != 0;
		return 0;
	}
}

static int udp_setsockopt(struct sock *s, struct task *t, int level, int name, const struct sock_optval *v)
{
	struct dgram_sock *d = dgram_of(s);
	int *field, val, r;

	if (!own_level(d, level))
		return dgram_setsockopt(s, t, level, name, v);
	r = sock_opt_int(v, &val);
	if (r < 0)
		return r;
	field = number(d, name);
	if (!field)
		return -ENOPROTOOPT;
	r = check_value(name, &val);
	if (r < 0)
		return r;
	inet_lock(&d->inet);
	*field = val;
	inet_unlock(&d->inet);
	if (name == UDP_CORK && !val)
		inet_udp_uncork(d);
	return 0;
}

static int udp_getsockopt(struct sock *s, struct task *t, int level, int name, struct sock_optval *v)
{
	struct dgram_sock *d = dgram_of(s);
	int *field;

	if (!own_level(d, level))
		return inet_getsockopt(s, t, level, name, v);
	if (v->len < 0)
		return -EINVAL;
	field = number(d, name);
	return field ? sock_opt_write_int(v, *field) : -ENOPROTOOPT;
}

/* --- life ---------------------------------------------------------------------------------------------------------------------- */

static int udp_bind(struct sock *s, struct task *t, const struct sock_addr *a)
{
	int r = dgram_bind(s, t, a);

	/* Foreign hosts may reach it from now on. */
	if (r == 0 && !addr_is_loopback(&inet_of(s)->local.ip))
		lwip_listen_wanted();
	return r;
}

static void udp_release(struct sock *s)
{
	struct inet_sock *i = inet_of(s);

	inet_lock(i);
	ports_release(&i->port);
	inet_unlock(i);
	inet_group_leave_all(i);
	inet_udp_drop_cork(dgram_of(s));
}

static const struct sock_ops udp_ops = {
	.has_peek_off = true,
	.bind = udp_bind,
	.connect = dgram_connect,
	.getname = dgram_getname,
	.shutdown = dgram_shutdown,
	.setsockopt = udp_setsockopt,
	.getsockopt = udp_getsockopt,
	.sendmsg = inet_udp_sendmsg,
	.recvmsg = dgram_recvmsg,
	.poll = dgram_poll,
	.ioctl = dgram_ioctl,
	.memory = dgram_memory,
	.release = udp_release,
	.destroy = dgram_destroy,
};

int inet_udp_new(struct task *t, int family, int protocol, struct sock **ret)
{
	struct dgram_sock *d = dgram_sock_new(t, &udp_ops, family, SOCK_DGRAM, protocol);

	if (!d)
		return -ENOMEM;
	*ret = &d->inet.sock;
	return 0;
}
