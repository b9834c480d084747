/* SPDX-License-Identifier: MIT */
/*
 * Errors of datagrams that were sent: SO_ERROR, and the error queue (IP_RECVERR, IPV6_RECVERR; MSG_ERRQUEUE). Which option counts is the
 * destination's family's matter, also on a dual-stack socket. __udp4_lib_err(), ip_icmp_error(), ip_recv_error(), ipv6_recv_error().
 */
#include "emul/net/dgram.h"

#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <stdlib.h>

#include "emul/net/inet_zerocopy.h"

#define QUOTED4 (576 - 20 - 8 - 20 - 8)   /* of the data: an ICMP error is a small packet */
#define QUOTED6 (1280 - 40 - 8 - 40 - 8)

struct dgram_err {
	struct list node;
	struct sock_extended_err ee;
	struct endpoint to;
	struct dgram *g; /* the quoted data; its from, to, ttl... are of the packet that brought the error */
};

/* --- in ------------------------------------------------------------------------------------------------------------------ */

void dgram_fault_unreachable(struct dgram_fault *f, const struct dgram *g)
{
	bool v4 = addr_is_v4(&g->to.ip);

	*f = (struct dgram_fault){
		.ee = { .ee_errno = ECONNREFUSED, .ee_origin = v4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6,
			.ee_type = v4 ? ICMP_DEST_UNREACH : ICMPV6_DEST_UNREACH, .ee_code = v4 ? ICMP_PORT_UNREACH : ICMPV6_PORT_UNREACH },
		.hard = true,
		.from = { .ip = g->to.ip, .scope = g->to.scope },
		.to = g->to,
		.local = g->from.ip,
		.ifindex = g->ifindex,
		.ttl = 64,
		.tos = v4 ? (g->tos & 0x1e) | 0xc0 /* internetwork control */ : 0,
		.data = g->data,
		.len = MIN(g->len, v4 ? (size_t)QUOTED4 : (size_t)QUOTED6),
	};
}

static struct dgram_err *new_error(const struct dgram_fault *f)
{
	struct dgram_err *e = malloc(sizeof(*e));
	struct dgram *g = malloc(sizeof(*g) + f->len);

	if (!e || !g) {
		free(e);
		free(g);
		return NULL;
	}
	*g = (struct dgram){ .from = f->from, .to = { .ip = f->local }, .ifindex = f->ifindex, .tos = f->tos, .ttl = f->ttl,
			     .stamp = clock_now(CLOCK_REALTIME), .len = f->len };
	if (f->len)
		memcpy(g->data, f->data, f->len);
	*e = (struct dgram_err){ .ee = f->ee, .to = f->to, .g = g };
	list_init(&e->node);
	return e;
}

static void free_error(struct dgram_err *e)
{
	if (e) {
		free(e->g);
		free(e);
	}
}

/* sock_queue_err_skb() */
static void enqueue_locked(struct dgram_sock *d, const struct dgram_fault *f)
{
	struct dgram_err *e;

	if (d->rq_bytes + f->len + DGRAM_OVERHEAD >= (size_t)d->inet.sock.opt.rcvbuf)
		return;
	e = new_error(f);
	if (!e)
		return;
	list_add_tail(&d->errq, &e->node);
	d->rq_bytes += f->len + DGRAM_OVERHEAD;
	sock_wake_all(&d->inet.sock, EPOLLERR | EPOLLPRI);
}

static bool asked(const struct dgram_sock *d, const struct in6_addr *to)
{
	return addr_is_v4(to) ? d->inet.ip.recverr : d->inet.ip.recverr6;
}

void dgram_error(struct dgram_sock *d, const struct dgram_fault *f)
{
	bool queue;

	inet_lock(&d->inet);
	queue = asked(d, &f->to.ip);
	if (queue)
		enqueue_locked(d, f);
	if (queue || (f->hard && d->connected)) {
		d->inet.sock.err = (int)f->ee.ee_errno;
		sock_wake_all(&d->inet.sock, EPOLLERR);
	}
	inet_unlock(&d->inet);
}

/* ip_local_error(): SO_ERROR is the call's own business. */
void dgram_error_too_large_locked(struct dgram_sock *d, const struct endpoint *to, uint32_t mtu)
{
	struct dgram_fault f = { .ee = { .ee_errno = EMSGSIZE, .ee_origin = SO_EE_ORIGIN_LOCAL, .ee_info = mtu }, .to = *to };

	if (asked(d, &to->ip))
		enqueue_locked(d, &f);
}

/* --- out ------------------------------------------------------------------------------------------------------------------ */

static bool from_icmp(const struct dgram_err *e)
{
	return e->ee.ee_origin == SO_EE_ORIGIN_ICMP || e->ee.ee_origin == SO_EE_ORIGIN_ICMP6;
}

/* The first one; the pending error becomes the next one's. sock_dequeue_err_skb() */
static struct dgram_err *dequeue_locked(struct dgram_sock *d)
{
	struct dgram_err *e, *next;

	if (list_empty(&d->errq))
		return NULL;
	e = list_first(&d->errq, struct dgram_err, node);
	list_del(&e->node);
	d->rq_bytes -= e->g->len + DGRAM_OVERHEAD;
	next = list_empty(&d->errq) ? NULL : list_first(&d->errq, struct dgram_err, node);
	if (next && from_icmp(next))
		d->inet.sock.err = (int)next->ee.ee_errno;
	else if (from_icmp(e))
		d->inet.sock.err = 0;
	if (next)
		sock_wake_all(&d->inet.sock, EPOLLERR);
	return e;
}

static void put_error(struct dgram_sock *d, const struct dgram_err *e, struct sock_msg *m)
{
	struct { struct sock_extended_err ee; struct sockaddr_in6 offender; } out = { .ee = e->ee };
	int family = d->inet.sock.family;
	bool six = family == AF_INET6;

	sock_put_time(&d->inet.sock, e->g->stamp, m);
	if (from_icmp(e)) {
		addr_write(family, &e->g->from, &out.offender);
		dgram_put_ip(d, e->g, m);
	}
	sock_put_cmsg(m, six ? SOL_IPV6 : SOL_IP, six ? IPV6_RECVERR : IP_RECVERR, &out,
		      six ? sizeof(out) : sizeof(out.ee) + sizeof(struct sockaddr_in));
}

ssize_t dgram_recv_error(struct dgram_sock *d, struct sock_msg *m)
{
	struct dgram_err *e;
	ssize_t r = 0;
	size_t n;

	inet_lock(&d->inet);
	e = dequeue_locked(d);
	inet_unlock(&d->inet);
	if (!e)
		return inet_zerocopy_tell(&d->inet, m);
	n = MIN(uio_left(m->data), e->g->len);
	if (n < e->g->len)
		m->ret_flags |= MSG_TRUNC;
	if (n)
		r = uio_copy_out(m->data, e->g->data, n);
	if (r >= 0) {
		m->ret_flags |= MSG_ERRQUEUE;
		if (m->addr)
			m->addr->len = (int)addr_write(d->inet.sock.family, &e->to, &m->addr->ss);
		if (m->ctl)
			put_error(d, e, m);
	}
	free_error(e);
	return r;
}

void dgram_purge_errors(struct dgram_sock *d)
{
	while (!list_empty(&d->errq)) {
		struct dgram_err *e = list_first(&d->errq, struct dgram_err, node);

		list_del(&e->node);
		d->rq_bytes -= e->g->len + DGRAM_OVERHEAD;
		free_error(e);
	}
}

/* Who asks no longer has no queue either. */
int dgram_setsockopt(struct sock *s, struct task *t, int level, int name, const struct sock_optval *v)
{
	struct dgram_sock *d = dgram_of(s);
	int r = inet_setsockopt(s, t, level, name, v);

	if (r < 0 || name != (level == IPPROTO_IP ? IP_RECVERR : IPV6_RECVERR))
		return r;
	inet_lock(&d->inet);
	if (!(level == IPPROTO_IP ? d->inet.ip.recverr : d->inet.ip.recverr6))
		dgram_purge_errors(d);
	inet_unlock(&d->inet);
	return 0;
}
