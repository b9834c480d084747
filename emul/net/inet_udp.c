/* SPDX-License-Identifier: MIT */
/*
 * UDP. A datagram for this instance goes straight into the receiver's queue; nobody there is the ICMP error that Linux would
 * get back. What leaves the instance goes through lwIP (lwip_port.h), and what arrives there comes in by inet_udp_input().
 */
#include "emul/net/inet_udp.h"

#include <linux/udp.h>
#include <stdlib.h>

#include "emul/net/inet_group.h"
#include "emul/net/lwip_port.h"
#include "emul/net/route.h"

#ifndef SOL_UDPLITE
#define SOL_UDPLITE 136
#endif
#define UDPLITE_SEND_CSCOV 10
#define UDPLITE_RECV_CSCOV 11

#define HEADERS 28

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif

/* --- receivers ----------------------------------------------------------------------------------------------------------- */

static void give(struct inet_sock *found, struct dgram *g)
{
	struct dgram_sock *d = container_of(found, struct dgram_sock, inet);

	dgram_deliver(d, g);
	sock_put(&found->sock);
}

static bool wants(struct inet_sock *i, const struct dgram *g)
{
	bool yes = true;

	if (addr_is_multicast(&g->to.ip)) {
		inet_lock(i);
		yes = inet_group_wants(i, &g->to.ip, g->ifindex);
		inet_unlock(i);
	}
	return yes;
}

static bool input_group(enum port_proto proto, struct dgram *g)
{
	struct inet_sock *found[16];
	unsigned at = 0, n;

	while ((n = ports_find_udp_group(proto, &g->to, &g->from, g->ifindex, &at, found, ARRAY_SIZE(found))))
		for (unsigned i = 0; i < n; i++) {
			struct dgram *copy = wants(found[i], g) ? dgram_copy(g) : NULL;

			if (copy)
				give(found[i], copy);
			else
				sock_put(&found[i]->sock);
		}
	free(g);
	return true;
}

bool inet_udp_input(enum port_proto proto, struct dgram *g, bool group)
{
	struct inet_sock *found;

	if (group)
		return input_group(proto, g);
	found = ports_find_udp(proto, &g->to, &g->from, g->ifindex);
	if (!found)
		return false;
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

/* --- sending ---------------------------------------------------------------------------------------------------------------- */

static void send_local(struct dgram_sock *d, struct dgram *g, const struct dgram_target *t)
{
	route_count_lo(g->len + HEADERS);
	if (!inet_udp_input(d->inet.port.proto, g, t->multicast || t->broadcast)) {
		struct dgram_fault f;

		dgram_fault_unreachable(&f, g);
		dgram_error(d, &f);
		free(g);
	}
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
		r = lwip_send_udp(&g->from, &g->to, t->tos, t->ttl, g->data, g->len);
	if (r == 0 && group && t->loop)
		input_group(d->inet.port.proto, g);
	else
		free(g);
	return r;
}

static ssize_t udp_sendmsg(struct sock *s, struct task *task, struct sock_msg *m)
{
	struct dgram_sock *d = dgram_of(s);
	struct dgram_target t;
	struct dgram *g;
	size_t len;
	int r = dgram_send_begin(d, m, true, &t, &g);

	(void)task;
	if (r < 0)
		return r;
	len = g->len;
	r = send_out(d, g, &t);
	return r < 0 ? r : (ssize_t)len;
}

/* --- options ------------------------------------------------------------------------------------------------------------------ */

static int *number(struct dgram_sock *d, int name)
{
	switch (name) {
	case UDP_CORK: return &d->corking;
	case UDP_NO_CHECK6_TX: return &d->no_check6_tx;
	case UDP_NO_CHECK6_RX: return &d->no_check6_rx;
	case UDPLITE_SEND_CSCOV: return d->inet.port.proto == PORT_UDPLITE ? &d->send_cscov : NULL;
	case UDPLITE_RECV_CSCOV: return d->inet.port.proto == PORT_UDPLITE ? &d->recv_cscov : NULL;
	default: return NULL;
	}
}

static bool own_level(struct dgram_sock *d, int level)
{
	return level == SOL_UDP || (level == SOL_UDPLITE && d->inet.port.proto == PORT_UDPLITE);
}

/* Coverages: 0 is all, less than the header does not go, more than a packet is the most there can be. */
static int value_of(int name, int val)
{
	if (name != UDPLITE_SEND_CSCOV && name != UDPLITE_RECV_CSCOV)
		return val != 0;
	return val && val < 8 ? 8 : MIN(val, 65535);
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
	if (name == UDP_CORK && val)
		return -EOPNOTSUPP; /* corked datagrams are not supported: said, not faked */
	field = number(d, name);
	if (!field)
		return -ENOPROTOOPT;
	inet_lock(&d->inet);
	*field = value_of(name, val);
	inet_unlock(&d->inet);
	return 0;
}

static int udp_getsockopt(struct sock *s, struct task *t, int level, int name, struct sock_optval *v)
{
	struct dgram_sock *d = dgram_of(s);
	int *field;

	if (!own_level(d, level))
		return inet_getsockopt(s, t, level, name, v);
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
}

static const struct sock_ops udp_ops = {
	.bind = udp_bind,
	.connect = dgram_connect,
	.getname = dgram_getname,
	.shutdown = dgram_shutdown,
	.setsockopt = udp_setsockopt,
	.getsockopt = udp_getsockopt,
	.sendmsg = udp_sendmsg,
	.recvmsg = dgram_recvmsg,
	.poll = dgram_poll,
	.ioctl = dgram_ioctl,
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
