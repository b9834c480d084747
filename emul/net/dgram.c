/* SPDX-License-Identifier: MIT */
/* Datagram sockets: dgram.h has the contract. net/core/datagram.c, net/ipv4/datagram.c and udp.c are the model. */
#include "emul/net/dgram.h"

#include <linux/udp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#include "emul/mm/mm.h"
#include "emul/net/inet_group.h"
#include "emul/net/inet_zerocopy.h"
#include "emul/net/mib.h"
#include "emul/net/route.h"
#include "emul/proc/task.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif
#define MAX_LEN 65535
#define HEADERS4 28
#define HEADERS6 8
#define IP6_HEADER 40

struct dgram_sock *dgram_sock_new(struct task *t, const struct sock_ops *ops, int family, int type, int protocol)
{
	struct dgram_sock *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	sock_init(&d->inet.sock, ops, family, type, protocol, t);
	inet_init(&d->inet, protocol == IPPROTO_UDPLITE ? PORT_UDPLITE : PORT_UDP, NULL);
	list_init(&d->rq);
	list_init(&d->errq);
	return d;
}

void dgram_destroy(struct sock *s)
{
	struct dgram_sock *d = dgram_of(s);

	while (!list_empty(&d->rq)) {
		struct dgram *g = list_first(&d->rq, struct dgram, node);

		list_del(&g->node);
		free(g);
	}
	dgram_purge_errors(d);
	inet_fini(&d->inet);
}

/* All of the call's data; *ret->len. -EFAULT, -ENOMEM. */
static int read_data(struct uio *from, struct dgram **ret)
{
	size_t len = uio_left(from);
	struct dgram *g = malloc(sizeof(*g) + len);

	if (!g)
		return -ENOMEM;
	*g = (struct dgram){ .len = len, .stamp = clock_now(CLOCK_REALTIME), .ttl = 64 };
	list_init(&g->node);
	if (len && uio_copy_in(from, g->data, len) != (ssize_t)len) {
		free(g);
		return -EFAULT;
	}
	*ret = g;
	return 0;
}

struct dgram *dgram_copy(const struct dgram *d)
{
	struct dgram *g = malloc(sizeof(*g) + d->len);

	if (!g)
		return NULL;
	memcpy(g, d, sizeof(*g) + d->len);
	list_init(&g->node);
	return g;
}

/* Ping and raw sockets have no counters of their own. */
static void count_udp(struct dgram_sock *d, const struct dgram *g, enum mib_udp what)
{
	int protocol = d->inet.sock.protocol;

	if (d->inet.sock.type == SOCK_DGRAM && (protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE))
		mib_udp(!addr_is_v4(&g->to.ip), protocol == IPPROTO_UDPLITE, what);
}

void dgram_deliver(struct dgram_sock *d, struct dgram *g)
{
	inet_lock(&d->inet);
	if (d->rq_bytes > (size_t)d->inet.sock.opt.rcvbuf || (d->rq_bytes && d->rq_bytes + g->len + DGRAM_OVERHEAD >
						      (size_t)d->inet.sock.opt.rcvbuf + 2 * DGRAM_OVERHEAD)) {
		d->drops++;
		count_udp(d, g, MIB_UDP_IN_ERRORS);
		count_udp(d, g, MIB_UDP_FULL);
	} else {
		list_add_tail(&d->rq, &g->node);
		d->rq_bytes += g->len + DGRAM_OVERHEAD;
		g = NULL;
		sock_wake_rd(&d->inet.sock, EPOLLIN | EPOLLRDNORM | EPOLLRDBAND);
	}
	inet_unlock(&d->inet);
	free(g);
}

void dgram_drop(struct dgram_sock *d, struct dgram *g)
{
	inet_lock(&d->inet);
	d->drops++;
	count_udp(d, g, MIB_UDP_IN_ERRORS);
	inet_unlock(&d->inet);
	free(g);
}

/* --- receiving ------------------------------------------------------------------------------------------------------- */

static void put_cmsgs4(struct dgram_sock *d, const struct dgram *g, struct sock_msg *m)
{
	const struct inet_options *o = &d->inet.ip;
	unsigned char tos = (unsigned char)g->tos;

	if (o->pktinfo) {
		struct in_pktinfo pi = { .ipi_ifindex = g->ifindex };

		pi.ipi_addr.s_addr = pi.ipi_spec_dst.s_addr = g->to.ip.s6_addr32[3];
		if (addr_is_multicast(&g->to.ip))
			pi.ipi_spec_dst.s_addr = htonl(g->ifindex == IF_LO ? INADDR_LOOPBACK : ETH_ADDR4);
		sock_put_cmsg(m, SOL_IP, IP_PKTINFO, &pi, sizeof(pi));
	}
	if (o->recvttl)
		sock_put_cmsg(m, SOL_IP, IP_TTL, &g->ttl, sizeof(g->ttl));
	if (o->recvtos)
		sock_put_cmsg(m, SOL_IP, IP_TOS, &tos, sizeof(tos));
	if (o->recvorigdst) {
		struct sockaddr_in to;

		addr_write(AF_INET, &g->to, &to);
		sock_put_cmsg(m, SOL_IP, IP_ORIGDSTADDR, &to, sizeof(to));
	}
}

static void put_cmsgs6(struct dgram_sock *d, const struct dgram *g, struct sock_msg *m)
{
	const struct inet_options *o = &d->inet.ip;

	if (o->pktinfo6) {
		struct in6_pktinfo pi = { .ipi6_addr = g->to.ip, .ipi6_ifindex = (unsigned)g->ifindex };

		sock_put_cmsg(m, SOL_IPV6, IPV6_PKTINFO, &pi, sizeof(pi));
	}
	if (addr_is_v4(&g->from.ip))
		return;
	if (o->recvhops)
		sock_put_cmsg(m, SOL_IPV6, IPV6_HOPLIMIT, &g->ttl, sizeof(g->ttl));
	if (o->recvtclass)
		sock_put_cmsg(m, SOL_IPV6, IPV6_TCLASS, &g->tos, sizeof(g->tos));
	if (o->recvorigdst6) {
		struct sockaddr_in6 to;

		addr_write(AF_INET6, &g->to, &to);
		sock_put_cmsg(m, SOL_IPV6, IPV6_ORIGDSTADDR, &to, sizeof(to));
	}
}

void dgram_put_ip(struct dgram_sock *d, const struct dgram *g, struct sock_msg *m)
{
	if (d->inet.sock.family == AF_INET6)
		put_cmsgs6(d, g, m);
	if (addr_is_v4(&g->from.ip))
		put_cmsgs4(d, g, m);
}

static void put_cmsgs(struct dgram_sock *d, const struct dgram *g, struct sock_msg *m)
{
	uint32_t drops = d->drops;

	if (!m->ctl)
		return;
	sock_put_time(&d->inet.sock, g->stamp, m);
	if (d->inet.sock.opt.rxq_ovfl && drops)
		sock_put_cmsg(m, SOL_SOCKET, SO_RXQ_OVFL, &drops, sizeof(drops));
	sock_put_mark(&d->inet.sock, g->mark, m);
	if (d->gro && g->segment) {
		int segment = (int)g->segment;

		sock_put_cmsg(m, SOL_UDP, UDP_GRO, &segment, sizeof(segment));
	}
	dgram_put_ip(d, g, m);
}

/* The first datagram; a peek with an offset: the first that it does not cover, *off is what is left of it. __skb_try_recv_from_queue(). */
static struct dgram *pick(struct dgram_sock *d, bool peek, size_t *off)
{
	struct sock *s = &d->inet.sock;
	int at = s->ops->has_peek_off && peek ? s->opt.peek_off : -1;
	struct dgram *g;

	*off = (size_t)MAX(at, 0);
	list_for_each(g, &d->rq, node) {
		size_t len = g->len - g->skip;

		if (at < 0 || *off < len || (!*off && !g->peeked)) {
			g->peeked |= peek && !len;
			return g;
		}
		*off -= len;
	}
	return NULL;
}

/* The same, taken out unless peek; NULL: *ret_err says why (0: end of file). Locked. */
static struct dgram *take(struct dgram_sock *d, bool peek, const struct sock_wait *w, size_t *off, int *ret_err)
{
	struct sock *s = &d->inet.sock;
	struct dgram *g;

	for (;;) {
		*ret_err = sock_take_error(s);
		if (*ret_err < 0)
			return NULL;
		g = pick(d, peek, off);
		if (g)
			break;
		if (s->shutdown & SOCK_SHUT_RD) {
			*ret_err = 0;
			return NULL;
		}
		*ret_err = inet_sleep(&d->inet, &s->rd, w);
		if (*ret_err < 0)
			return NULL;
	}
	if (peek) {
		g = dgram_copy(g);
		if (!g)
			*ret_err = -ENOMEM;
		return g;
	}
	list_del(&g->node);
	d->rq_bytes -= g->len + DGRAM_OVERHEAD;
	return g;
}

static void move_peek_offset(struct dgram_sock *d, ssize_t by)
{
	_Atomic int *off = &d->inet.sock.opt.peek_off;

	inet_lock(&d->inet);
	if (*off >= 0)
		*off = (int)MAX(*off + by, (ssize_t)0);
	inet_unlock(&d->inet);
}

ssize_t dgram_recvmsg(struct sock *s, struct task *t, struct sock_msg *m)
{
	struct dgram_sock *d = dgram_of(s);
	struct sock_wait w = sock_wait_rd(s, m->flags & MSG_DONTWAIT);
	struct dgram *g;
	size_t len, room, n, off = 0;
	bool peek = m->flags & MSG_PEEK;
	ssize_t r;
	int err;

	(void)t;
	if (m->addr)
		m->addr->len = 0;
	if (m->flags & MSG_ERRQUEUE)
		return dgram_recv_error(d, m);
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	inet_lock(&d->inet);
	g = take(d, peek, &w, &off, &err);
	inet_unlock(&d->inet);
	if (!g)
		return err;
	s->stamp = g->stamp;
	if (!peek)
		count_udp(d, g, MIB_UDP_IN);
	len = g->len - g->skip;
	room = uio_left(m->data);
	n = MIN(room, len - off);
	r = n ? uio_copy_out(m->data, g->data + g->skip + off, n) : 0;
	if (r < 0) {
		free(g);
		return r; /* as Linux: the datagram is lost */
	}
	if (room <= len - off && room < len) /* udp_recvmsg(): also if it was just enough for what an offset left */
		m->ret_flags |= MSG_TRUNC;
	if (m->addr)
		m->addr->len = (int)addr_write(s->family, &g->from, &m->addr->ss);
	put_cmsgs(d, g, m);
	free(g);
	r = m->flags & MSG_TRUNC ? (ssize_t)len : r;
	if (d->inet.sock.ops->has_peek_off && d->inet.sock.opt.peek_off >= 0)
		move_peek_offset(d, peek ? r : -r);
	return r;
}

/* datagram_poll() */
uint32_t dgram_poll(struct sock *s)
{
	struct dgram_sock *d = dgram_of(s);
	uint32_t ev = EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;

	inet_lock(&d->inet);
	if (s->err || !list_empty(&d->errq) || inet_zerocopy_pending(&d->inet))
		ev |= EPOLLERR | (s->opt.select_err_queue ? EPOLLPRI : 0);
	if (s->shutdown & SOCK_SHUT_RD)
		ev |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
	if (s->shutdown == SOCK_SHUT_BOTH)
		ev |= EPOLLHUP;
	if (!list_empty(&d->rq))
		ev |= EPOLLIN | EPOLLRDNORM;
	inet_unlock(&d->inet);
	return ev;
}

int dgram_shutdown(struct sock *s, int how)
{
	struct dgram_sock *d = dgram_of(s);
	int r;

	inet_lock(&d->inet);
	r = d->connected ? 0 : -ENOTCONN;
	s->shutdown |= (unsigned)how + 1;
	sock_wake_all(s, EPOLLIN | EPOLLRDNORM | EPOLLRDHUP | EPOLLHUP);
	inet_unlock(&d->inet);
	return r;
}

int dgram_getname(struct sock *s, bool peer, struct sock_addr *ret)
{
	struct dgram_sock *d = dgram_of(s);
	bool connected;

	inet_lock(&d->inet);
	connected = d->connected;
	inet_unlock(&d->inet);
	return peer && !connected ? -ENOTCONN : inet_getname(s, peer, ret);
}

void dgram_memory(struct sock *s, struct sock_memory *ret)
{
	struct dgram_sock *d = dgram_of(s);

	inet_lock(&d->inet);
	*ret = (struct sock_memory){ .rmem = d->rq_bytes, .drops = d->drops };
	inet_unlock(&d->inet);
}

long dgram_ioctl(struct sock *s, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	struct dgram_sock *d = dgram_of(s);
	int val = 0;

	if (cmd != SIOCINQ && cmd != SIOCOUTQ)
		return -ENOIOCTLCMD;
	inet_lock(&d->inet);
	if (cmd == SIOCINQ && !list_empty(&d->rq)) {
		struct dgram *g = list_first(&d->rq, struct dgram, node);

		val = (int)(g->len - g->skip);
	}
	inet_unlock(&d->inet);
	return copy_to_guest(c->mm, arg, &val, sizeof(val));
}

/* --- binding and connecting -------------------------------------------------------------------------------------------- */

int dgram_bind(struct sock *s, struct task *t, const struct sock_addr *a)
{
	struct dgram_sock *d = dgram_of(s);
	int r;

	inet_lock(&d->inet);
	r = inet_bind_locked(&d->inet, t, a, d->connected);
	inet_unlock(&d->inet);
	return r;
}

/* udp_disconnect() */
static void disconnect_locked(struct dgram_sock *d)
{
	struct inet_sock *i = &d->inet;

	d->connected = false;
	i->remote = (struct endpoint){ .ip = i->sock.family == AF_INET ? addr_any4 : addr_any6 };
	if (!i->addr_given)
		i->local.ip = i->remote.ip;
	if (i->port_given) {
		ports_disconnect(&i->port, &i->local.ip);
	} else {
		ports_release(&i->port);
		i->port.local = i->local.ip;
		i->local.port = 0;
	}
}

static int connect_locked(struct dgram_sock *d, const struct sock_addr *a)
{
	struct inet_sock *i = &d->inet;
	int family = i->sock.family, ifindex, r;
	struct endpoint dst;
	struct in6_addr src;

	/* A dual-stack socket takes an IPv4 address as it is. */
	if (family == AF_INET6 && a->sa.sa_family == AF_INET)
		r = i->v6only ? -EAFNOSUPPORT : addr_read(AF_INET, &a->ss, (unsigned)a->len, &dst);
	else
		r = addr_read(family, &a->ss, (unsigned)a->len, &dst);
	if (r < 0)
		return r;
	if (addr_is_multicast(&dst.ip)) {
		ifindex = inet_group_interface(i, &dst);
		if (!ifindex)
			return -ENETUNREACH;
		if (!addr_is_any(&i->local.ip))
			src = i->local.ip;
		else if (addr_is_v4(&dst.ip))
			src = ifindex == IF_LO ? addr_loopback4 : addr_of_v4(ETH_ADDR4);
		else
			src = ifindex == IF_LO ? addr_loopback6 : eth_linklocal;
	} else {
		r = inet_route_locked(i, &dst, &src, &ifindex);
		if (r < 0)
			return r;
		if (route_is_broadcast(&dst.ip) && !i->sock.opt.broadcast)
			return -EACCES;
	}
	r = ports_connect(&i->port, &src, &dst);
	if (r < 0)
		return r;
	i->local.ip = src;
	i->local.port = i->port.port;
	i->remote = dst;
	d->connected = true;
	return 0;
}

int dgram_connect(struct sock *s, struct task *t, const struct sock_addr *a)
{
	struct dgram_sock *d = dgram_of(s);
	int r;

	(void)t;
	if (a->len < (int)sizeof(a->sa.sa_family))
		return -EINVAL;
	inet_lock(&d->inet);
	if (a->sa.sa_family == AF_UNSPEC) {
		disconnect_locked(d);
		r = 0;
	} else {
		r = inet_autobind_locked(&d->inet);
		if (r == 0)
			r = connect_locked(d, a);
	}
	inet_unlock(&d->inet);
	return r;
}

/* --- where to ---------------------------------------------------------------------------------------------------------------- */

static int destination(struct dgram_sock *d, const struct sock_addr *a, bool need_port, struct endpoint *ret)
{
	struct inet_sock *i = &d->inet;
	bool unspec = a && a->len >= (int)sizeof(a->sa.sa_family) && a->sa.sa_family == AF_UNSPEC;
	int r;

	if (!a || (unspec && i->sock.family == AF_INET6)) {
		if (!d->connected)
			return -EDESTADDRREQ;
		*ret = i->remote;
		return 0;
	}
	if (i->sock.family == AF_INET) {
		struct sockaddr_in in;

		if (a->len < (int)sizeof(in))
			return -EINVAL;
		memcpy(&in, &a->ss, sizeof(in));
		if (unspec)
			in.sin_family = AF_INET;
		r = addr_read(AF_INET, &in, sizeof(in), ret);
	} else if (a->len >= (int)sizeof(a->sa.sa_family) && a->sa.sa_family == AF_INET) {
		r = i->v6only ? -ENETUNREACH : addr_read(AF_INET, &a->ss, (unsigned)a->len, ret);
	} else {
		r = a->len < (int)sizeof(a->sa.sa_family) ? -EINVAL : addr_read(AF_INET6, &a->ss, (unsigned)a->len, ret);
	}
	if (r < 0)
		return r;
	return need_port && !ret->port ? -EINVAL : 0;
}

static int read_int(const struct cmsghdr *c, int *ret)
{
	if (sock_cmsg_datalen(c) == sizeof(int))
		memcpy(ret, CMSG_DATA(c), sizeof(int));
	else if (sock_cmsg_datalen(c) == 1)
		*ret = *CMSG_DATA(c);
	else
		return -EINVAL;
	return 0;
}

/* udp_cmsg_send() */
static int apply_udp_cmsg(const struct cmsghdr *c, struct dgram_target *t)
{
	uint16_t segment;

	if (c->cmsg_type != UDP_SEGMENT || sock_cmsg_datalen(c) != sizeof(segment))
		return -EINVAL;
	memcpy(&segment, CMSG_DATA(c), sizeof(segment));
	t->segment = segment;
	return 0;
}

/* One control message of a send. *src and *ifindex: as PKTINFO says. ip_cmsg_send(), ip6_datagram_send_ctl(). */
static int apply_cmsg(struct sock *s, const struct cmsghdr *c, struct dgram_target *t, struct in6_addr *src, int *ifindex)
{
	struct in_pktinfo pi;
	struct in6_pktinfo pi6;
	int r;

	if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_PKTINFO) {
		if (sock_cmsg_datalen(c) != sizeof(pi))
			return -EINVAL;
		memcpy(&pi, CMSG_DATA(c), sizeof(pi));
		*src = addr_of_v4(ntohl(pi.ipi_spec_dst.s_addr));
		*ifindex = pi.ipi_ifindex;
		return 0;
	}
	if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_TTL) {
		r = read_int(c, &t->ttl);
		return r < 0 ? r : t->ttl < 1 || t->ttl > 255 ? -EINVAL : 0;
	}
	if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_TOS) {
		r = read_int(c, &t->tos);
		return r < 0 ? r : t->tos < 0 || t->tos > 255 ? -EINVAL : 0;
	}
	if (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		if (sock_cmsg_datalen(c) < sizeof(pi6))
			return -EINVAL;
		memcpy(&pi6, CMSG_DATA(c), sizeof(pi6));
		*src = pi6.ipi6_addr;
		*ifindex = (int)pi6.ipi6_ifindex;
		return 0;
	}
	if (c->cmsg_level == SOL_IPV6 && (c->cmsg_type == IPV6_HOPLIMIT || c->cmsg_type == IPV6_TCLASS)) {
		int *to = c->cmsg_type == IPV6_HOPLIMIT ? &t->ttl : &t->tos;

		r = sock_cmsg_datalen(c) == sizeof(int) ? read_int(c, to) : -EINVAL;
		return r < 0 ? r : *to < -1 || *to > 255 ? -EINVAL : 0;
	}
	if (c->cmsg_level == SOL_SOCKET)
		return sock_cmsg_common(s, c, &t->mark);
	return c->cmsg_level == SOL_IP || c->cmsg_level == SOL_IPV6 ? -EINVAL : 0;
}

static void source_of_group(struct inet_sock *i, struct dgram_target *t)
{
	bool v4 = addr_is_v4(&t->to.ip);

	if (!addr_is_any(&i->local.ip) && !addr_is_multicast(&i->local.ip))
		t->src = i->local.ip;
	else if (v4 && addr_is_v4(&i->ip.mc_addr) && addr_v4(&i->ip.mc_addr))
		t->src = i->ip.mc_addr;
	else if (v4)
		t->src = t->ifindex == IF_LO ? addr_loopback4 : addr_of_v4(ETH_ADDR4);
	else
		t->src = t->ifindex == IF_LO ? addr_loopback6 : eth_linklocal;
}

static int route_target(struct dgram_sock *d, struct dgram_target *t, int wanted_if)
{
	struct inet_sock *i = &d->inet;
	bool v4;

	t->multicast = addr_is_multicast(&t->to.ip);
	if (!t->multicast) {
		int r = inet_route_locked(i, &t->to, &t->src, &t->ifindex);

		if (r < 0)
			return r;
		t->broadcast = route_is_broadcast(&t->to.ip);
		t->loop = true;
		return t->broadcast && !i->sock.opt.broadcast ? -EACCES : 0;
	}
	v4 = addr_is_v4(&t->to.ip);
	if (v4 && i->v6only)
		return -ENETUNREACH;
	t->ifindex = wanted_if ? wanted_if : inet_group_interface(i, &t->to);
	if (!t->ifindex || (t->ifindex == IF_ETH && !route_has_eth()) || (!v4 && t->ifindex == IF_LO))
		return -ENETUNREACH;
	source_of_group(i, t);
	t->loop = v4 ? i->ip.mc_loop : i->ip.mc_loop6;
	return 0;
}

/* Where to and how: udp_sendmsg() up to the data. need_port: 0 is refused. May bind. */
static int target_locked(struct dgram_sock *d, const struct sock_msg *m, bool need_port, struct dgram_target *t)
{
	struct inet_sock *i = &d->inet;
	const struct cmsghdr *c = NULL;
	struct in6_addr src = addr_any6;
	int r, bad = 0, ifindex = 0;

	*t = (struct dgram_target){ .tos = -1, .ttl = -1, .segment = need_port ? d->segment : 0,
				     .mark = (uint32_t)i->sock.opt.mark };
	r = destination(d, m->addr, need_port, &t->to);
	if (r < 0)
		return r;
	while ((c = sock_cmsg_next(m, c, &bad))) {
		if (need_port && c->cmsg_level == SOL_UDP)
			r = apply_udp_cmsg(c, t);
		else
			r = apply_cmsg(&i->sock, c, t, &src, &ifindex);
		if (r < 0)
			return r;
	}
	if (bad)
		return bad;
	if (ifindex && !t->to.scope)
		t->to.scope = (uint32_t)ifindex;
	r = route_target(d, t, ifindex);
	if (r < 0)
		return r;
	if (!addr_is_any(&src)) {
		if (!route_is_local(&src) && !i->ip.freebind && !i->ip.transparent)
			return -EINVAL;
		t->src = src;
	}
	if (t->tos < 0)
		t->tos = addr_is_v4(&t->to.ip) ? i->ip.tos : i->ip.tclass;
	if (t->ttl < 0)
		t->ttl = addr_is_v4(&t->to.ip) ? (t->multicast ? i->ip.mc_ttl : i->ip.ttl) : (t->multicast ? i->ip.mc_hops : i->ip.hops);
	t->tos = MAX(t->tos, 0);
	t->ttl = t->ttl < 0 ? 64 : t->ttl;
	return 0;
}

/* --- sending ------------------------------------------------------------------------------------------------------------------- */

/* Packets on the wire must not be fragmented: ip_sk_ignore_df(). */
static bool one_piece(int discover)
{
	return discover >= IP_PMTUDISC_DO && discover != IP_PMTUDISC_OMIT;
}

int dgram_check_size_locked(struct dgram_sock *d, const struct dgram_target *t, size_t len, bool ports)
{
	bool v4 = addr_is_v4(&t->to.ip);
	size_t all = len + (v4 ? HEADERS4 : HEADERS6);

	if (ports && all > MAX_LEN)
		return -EMSGSIZE;
	if (t->segment || t->ifindex != IF_ETH || all + (v4 ? 0 : IP6_HEADER) <= ETH_MTU)
		return 0;
	if (!one_piece(v4 ? d->inet.ip.mtu_discover : d->inet.ip.mtu_discover6))
		return 0;
	dgram_error_too_large_locked(d, &t->to, ETH_MTU);
	return -EMSGSIZE;
}

int dgram_send_begin(struct dgram_sock *d, const struct sock_msg *m, bool ports, struct dgram_target *t, struct dgram **ret)
{
	struct sock *s = &d->inet.sock;
	size_t len = uio_left(m->data);
	struct endpoint from;
	struct dgram *g = NULL;
	int r = 0;

	if (len > MAX_LEN)
		return -EMSGSIZE;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	inet_lock(&d->inet);
	if (ports)
		r = inet_autobind_locked(&d->inet);
	if (r == 0)
		r = target_locked(d, m, ports, t);
	if (r == 0)
		r = dgram_check_size_locked(d, t, len, ports);
	if (r == 0)
		r = sock_take_error(s);
	if (r == 0 && (s->shutdown & SOCK_SHUT_WR))
		r = -EPIPE;
	t->hdrincl = d->inet.ip.hdrincl || s->protocol == IPPROTO_RAW;
	from = (struct endpoint){ .ip = t->src, .port = ports ? d->inet.local.port : 0, .scope = t->to.scope };
	inet_unlock(&d->inet);
	if (r == 0)
		r = read_data(m->data, &g);
	if (r < 0)
		return r;
	g->to = t->to;
	g->from = from;
	g->ifindex = t->ifindex;
	g->tos = t->tos;
	g->ttl = t->ttl;
	g->mark = t->mark;
	*ret = g;
	return 0;
}
