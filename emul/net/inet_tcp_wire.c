/* SPDX-License-Identifier: MIT */
/*
 * Connections to and from foreign hosts: lwIP's pcbs and their callbacks, which change our socket's state by the same functions
 * as the other end of a local connection does. A pcb holds a reference on its socket as long as it may call back. After the
 * program has closed the socket, what is in sq still goes out; then the pcb is lwIP's own to end.
 *
 * Listening: one lwIP listener for each port that some socket of ours listens on with a foreign-reachable address; whose
 * connection it is, decide the port tables. lwIP keeps no backlog: beyond ours connections are held, and refused beyond HELD.
 *
 * Locks: lwIP's core lock is taken first. Callbacks arrive holding it.
 */
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>

#include "emul/net/inet_tcp.h"

#include <stdlib.h>

#include "emul/base/log.h"
#include "emul/net/inet_reuseport.h"
#include "emul/net/lwip_port.h"
#include "emul/net/route.h"

#define HELD 128         /* connections that wait beyond the backlog */
#define WRITE_MAX 32768
#define QUEUE_GROWN (256 << 10)

static void put(struct inet_tcp *t)
{
	sock_put(&t->inet.sock);
}

/* --- sending ------------------------------------------------------------------------------------------------------------- */

/* No more callbacks: the pcb goes its own way. Core lock and t held. The reference is the caller's to drop. */
static struct tcp_pcb *detach(struct inet_tcp *t)
{
	struct tcp_pcb *pcb = steal(t->pcb);

	if (!pcb)
		return NULL;
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_err(pcb, NULL);
	return pcb;
}

static bool closed_by_program(struct inet_tcp *t)
{
	return t->reset_on_release || (t->inet.sock.file.ref.n == 0 && !t->lingering);
}

/* Our FIN, once everything was handed over. true: the pcb is gone and its reference is the caller's. */
static bool push_fin(struct inet_tcp *t)
{
	if (!t->fin_queued || t->fin_sent || t->sq.len || !t->pcb)
		return false;
	if (closed_by_program(t)) {
		struct tcp_pcb *pcb = detach(t);

		t->fin_sent = true;
		if (tcp_close(pcb) != ERR_OK)
			tcp_abort(pcb);
		return true;
	}
	t->fin_sent = tcp_shutdown(t->pcb, 0, 1) == ERR_OK;
	return false;
}

/* Core lock and t held. */
static bool push_locked(struct inet_tcp *t)
{
	size_t keep = t->holding ? t->sq.len % TCP_MSS : 0;
	bool any = false;

	while (t->pcb && t->sq.len > keep && tcp_sndbuf(t->pcb) && tcp_sndqueuelen(t->pcb) < TCP_SND_QUEUELEN) {
		size_t n;
		const char *p = byteq_peek(&t->sq, 0, &n);

		n = MIN(MIN(MIN(n, t->sq.len - keep), (size_t)tcp_sndbuf(t->pcb)), (size_t)WRITE_MAX);
		if (tcp_write(t->pcb, p, (u16_t)n, TCP_WRITE_FLAG_COPY | (n < t->sq.len ? TCP_WRITE_FLAG_MORE : 0)) != ERR_OK)
			break;
		byteq_consume(&t->sq, n);
		t->in_flight += n;
		any = true;
	}
	if (any && t->pcb)
		tcp_output(t->pcb);
	inet_tcp_write_space(t);
	return push_fin(t);
}

void inet_tcp_wire_push(struct inet_tcp *t)
{
	bool gone;

	lwip_lock();
	inet_lock(&t->inet);
	gone = push_locked(t);
	inet_unlock(&t->inet);
	lwip_need_timer();
	lwip_unlock();
	if (gone)
		put(t);
}

/* --- the window --------------------------------------------------------------------------------------------------------------- */

/* Linux lets the buffer grow (tcp_rcv_space_adjust()) unless its size was asked for. */
static size_t queue_limit(struct inet_tcp *t)
{
	return MAX(t->inet.sock.opt.rcvbuf_locked ? inet_tcp_window(t) : (size_t)QUEUE_GROWN, (size_t)TCP_WND);
}

/*
 * lwIP's window is small: it is opened as soon as data is in the queue, so that who sends need not wait for who reads, but never so
 * far that the queue could exceed its limit.
 */
size_t inet_tcp_wire_owed(struct inet_tcp *t)
{
	size_t may = t->rq.len + TCP_WND, limit = queue_limit(t), keep = may > limit ? may - limit : 0;

	return t->unannounced > keep ? t->unannounced - keep : 0;
}

/* Core lock and t held. */
static void open_window(struct inet_tcp *t)
{
	size_t n = inet_tcp_wire_owed(t);

	t->unannounced -= n;
	for (; n && t->pcb; n -= MIN(n, (size_t)65535))
		tcp_recved(t->pcb, (u16_t)MIN(n, (size_t)65535));
}

/* --- callbacks -------------------------------------------------------------------------------------------------------------- */

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	struct inet_tcp *t = arg;
	bool gone;

	(void)pcb;
	inet_lock(&t->inet);
	t->in_flight -= MIN((size_t)len, t->in_flight);
	gone = push_locked(t);
	inet_tcp_progress_locked(t);
	inet_unlock(&t->inet);
	if (gone)
		put(t);
	return ERR_OK;
}

/* The program has closed, and more arrives: nobody will read it. */
static err_t refuse_data(struct inet_tcp *t, struct tcp_pcb *pcb, struct pbuf *p)
{
	detach(t);
	inet_unlock(&t->inet);
	pbuf_free(p);
	tcp_abort(pcb);
	put(t);
	return ERR_ABRT;
}

static err_t on_fin(struct inet_tcp *t)
{
	if (t->state == TCP_FIN_WAIT1 && t->fin_sent)
		t->state = TCP_FIN_WAIT2; /* what is left of the handshake is lwIP's */
	inet_tcp_got_fin_locked(t);
	inet_unlock(&t->inet);
	inet_tcp_admit_deferred(t);
	return ERR_OK;
}

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct inet_tcp *t = arg;
	bool deferred;

	(void)err;
	inet_lock(&t->inet);
	if (!p)
		return on_fin(t);
	if (closed_by_program(t))
		return refuse_data(t, pcb, p);
	for (struct pbuf *q = p; q; q = q->next)
		if (byteq_append(&t->rq, q->payload, q->len) < 0) {
			inet_unlock(&t->inet);
			return ERR_MEM; /* lwIP keeps it and comes again */
		}
	t->bytes_received += p->tot_len;
	t->unannounced += p->tot_len;
	open_window(t);
	inet_tcp_data_ready(t);
	deferred = t->deferred;
	inet_unlock(&t->inet);
	if (deferred)
		inet_tcp_admit_deferred(t);
	pbuf_free(p);
	return ERR_OK;
}

/* The pcb is gone already. */
static void on_error(void *arg, err_t err)
{
	struct inet_tcp *t = arg;

	inet_lock(&t->inet);
	t->pcb = NULL;
	if (err == ERR_CLSD) {
		if (t->state != TCP_CLOSE)
			inet_tcp_done_locked(t);
	} else {
		inet_tcp_got_reset_locked(t, err == ERR_ABRT ? ETIMEDOUT : 0);
	}
	if (t->deferred) { /* nobody will accept it: its end is the timer's, without the core lock */
		t->due_accept = inet_tcp_now();
		inet_tcp_arm_locked(t);
	}
	inet_unlock(&t->inet);
	put(t);
}

/* Core lock and t held. */
static void apply_options(struct inet_tcp *t)
{
	struct tcp_pcb *pcb = t->pcb;

	if (t->opt.nodelay)
		tcp_nagle_disable(pcb);
	else
		tcp_nagle_enable(pcb);
	pcb->so_options &= (u8_t)~SOF_KEEPALIVE;
	if (t->inet.sock.opt.keepalive)
		pcb->so_options |= SOF_KEEPALIVE;
	pcb->keep_idle = (u32_t)t->opt.keepidle * 1000;
	pcb->keep_intvl = (u32_t)t->opt.keepintvl * 1000;
	pcb->keep_cnt = (u32_t)t->opt.keepcnt;
	pcb->tos = (u8_t)t->inet.ip.tos;
	if (t->inet.ip.ttl > 0)
		pcb->ttl = (u8_t)t->inet.ip.ttl;
}

/* TCP_MAXSEG: of a connection that begins. As on Linux one that is there keeps its size; lwIP's queue would not bear a smaller one. */
static void limit_segments(struct inet_tcp *t)
{
	if (t->opt.maxseg)
		t->pcb->mss = (u16_t)MIN(t->pcb->mss, t->opt.maxseg);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct inet_tcp *t = arg;

	(void)pcb;
	(void)err;
	inet_lock(&t->inet);
	if (t->state == TCP_SYN_SENT) {
		inet_tcp_connected_locked(t);
		limit_segments(t); /* the other side's is known now */
	}
	inet_unlock(&t->inet);
	return ERR_OK;
}

static void attach(struct inet_tcp *t, struct tcp_pcb *pcb)
{
	sock_get(&t->inet.sock);
	t->pcb = pcb;
	tcp_arg(pcb, t);
	tcp_recv(pcb, on_recv);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
	limit_segments(t);
	apply_options(t);
}

void inet_tcp_wire_options(struct inet_tcp *t)
{
	lwip_lock();
	inet_lock(&t->inet);
	if (t->pcb)
		apply_options(t);
	inet_unlock(&t->inet);
	lwip_unlock();
}

/* --- connecting --------------------------------------------------------------------------------------------------------------- */

static int connect_locked(struct inet_tcp *t)
{
	struct tcp_pcb *pcb;
	ip_addr_t src, dst;
	err_t e;

	lwip_from_addr(&src, &t->inet.local.ip);
	lwip_from_addr(&dst, &t->inet.remote.ip);
	pcb = tcp_new_ip_type(IP_GET_TYPE(&dst));
	if (!pcb)
		return -ENOBUFS;
	pcb->so_options |= SOF_REUSEADDR; /* the port tables have decided */
	e = tcp_bind(pcb, &src, t->inet.local.port);
	if (e == ERR_OK) {
		attach(t, pcb);
		e = tcp_connect(pcb, &dst, t->inet.remote.port, on_connected);
		if (e == ERR_OK)
			return 0;
		detach(t);
		ref_put(&t->inet.sock.ref); /* not the last: the caller has one */
	}
	tcp_abort(pcb);
	return e == ERR_RTE ? -ENETUNREACH : e == ERR_MEM ? -ENOBUFS : -EADDRNOTAVAIL;
}

int inet_tcp_wire_connect(struct inet_tcp *t)
{
	int r = lwip_start();

	if (r < 0)
		return r;
	lwip_lock();
	inet_lock(&t->inet);
	if (t->state == TCP_SYN_SENT && !t->pcb)
		r = connect_locked(t);
	inet_unlock(&t->inet);
	lwip_need_timer();
	lwip_unlock();
	return r;
}

/* --- listening -------------------------------------------------------------------------------------------------------------------- */

static struct wire_port { struct wire_port *next; uint16_t port; unsigned users; struct tcp_pcb *pcb; } *wire_ports; /* core lock */

static struct endpoint end_of(const ip_addr_t *ip, uint16_t port)
{
	struct endpoint e = { .ip = lwip_to_addr(ip), .port = port };

	e.scope = addr_is_linklocal6(&e.ip) ? IF_ETH : 0;
	return e;
}

/* pcb becomes child's, which goes into l's queue. Core lock held. */
static bool take_in(struct inet_tcp *l, struct tcp_pcb *pcb, const struct endpoint *local, const struct endpoint *remote)
{
	struct inet_tcp *child = inet_tcp_alloc(NULL, l->inet.sock.family, NULL);
	bool ok;

	if (!child)
		return false;
	inet_lock_two(&child->inet, &l->inet);
	child->inet.sock.uid = l->inet.sock.uid;
	child->inet.sock.gid = l->inet.sock.gid;
	ok = l->state == TCP_LISTEN && l->naccepted + l->nwaiting <= (unsigned)l->backlog + HELD &&
	     inet_tcp_setup_child(child, l, local, remote) == 0;
	if (ok) {
		child->on_wire = true;
		attach(child, pcb);
	}
	if (ok && l->opt.defer_accept) {
		inet_tcp_defer_locked(l, child);
	} else if (ok) {
		list_add_tail(&l->accepted, &child->node);
		l->naccepted++;
		sock_wake_rd(&l->inet.sock, EPOLLIN | EPOLLRDNORM);
	}
	inet_unlock_two(&child->inet, &l->inet);
	if (!ok)
		file_put(&child->inet.sock.file);
	return ok;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct endpoint local, remote;
	struct inet_sock *found;
	bool ok = false;

	(void)arg;
	if (err != ERR_OK || !pcb)
		return ERR_VAL;
	local = end_of(&pcb->local_ip, pcb->local_port);
	remote = end_of(&pcb->remote_ip, pcb->remote_port);
	found = inet_reuseport_tcp(ports_find_listener(&local, &remote, IF_ETH), &local, &remote, IF_ETH);
	if (found) {
		ok = take_in(container_of(found, struct inet_tcp, inet), pcb, &local, &remote);
		sock_put(&found->sock);
	}
	if (ok)
		return ERR_OK;
	tcp_abort(pcb);
	return ERR_ABRT;
}

static struct tcp_pcb *open_port(uint16_t port)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY), *l;
	ip_addr_t any = IPADDR_ANY_TYPE_INIT;

	if (!pcb)
		return NULL;
	pcb->so_options |= SOF_REUSEADDR;
	if (tcp_bind(pcb, &any, port) != ERR_OK) {
		tcp_abort(pcb);
		return NULL;
	}
	l = tcp_listen_with_backlog(pcb, 255);
	if (!l) {
		tcp_abort(pcb);
		return NULL;
	}
	tcp_accept(l, on_accept);
	return l;
}

static struct wire_port **find_port(uint16_t port)
{
	struct wire_port **p = &wire_ports;

	while (*p && (*p)->port != port)
		p = &(*p)->next;
	return p;
}

static int use_port(uint16_t port)
{
	struct wire_port **p = find_port(port), *w = *p;

	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w)
			return -ENOMEM;
		w->port = port;
		w->pcb = open_port(port);
		if (!w->pcb) {
			free(w);
			return -ENOMEM;
		}
		*p = w;
	}
	w->users++;
	return 0;
}

static void drop_port(uint16_t port)
{
	struct wire_port **p = find_port(port), *w = *p;

	if (!w || --w->users)
		return;
	*p = w->next;
	tcp_close(w->pcb);
	free(w);
}

/* 0 also if there is no network: then nobody will come. */
int inet_tcp_wire_listen(struct inet_tcp *t)
{
	if (addr_is_loopback(&t->inet.local.ip) || !route_has_eth() || lwip_start() < 0)
		return 0;
	lwip_lock();
	inet_lock(&t->inet);
	if (t->state == TCP_LISTEN && !t->wire_port && use_port(t->inet.local.port) == 0)
		t->wire_port = t->inet.local.port;
	inet_unlock(&t->inet);
	lwip_unlock();
	return 0;
}

/* --- receiving, ending ---------------------------------------------------------------------------------------------------------------- */

void inet_tcp_wire_read(struct inet_tcp *t)
{
	lwip_lock();
	inet_lock(&t->inet);
	open_window(t);
	inet_unlock(&t->inet);
	lwip_unlock();
}

void inet_tcp_wire_close(struct inet_tcp *t, bool reset)
{
	struct tcp_pcb *pcb = NULL;
	bool gone = false;

	if (!t->on_wire && !t->wire_port)
		return;
	lwip_lock();
	inet_lock(&t->inet);
	if (t->wire_port) {
		drop_port(t->wire_port);
		t->wire_port = 0;
	}
	if (reset) {
		pcb = detach(t);
		gone = pcb != NULL;
	} else if (t->pcb) {
		open_window(t);
		t->fin_queued = true;
		if (t->fin_sent) { /* half closed before: the rest is lwIP's */
			pcb = detach(t);
			gone = true;
			tcp_close(pcb);
			pcb = NULL;
		} else {
			gone = push_locked(t);
		}
		ports_time_wait(&t->inet.port, TCP_FIN_WAIT2, false);
	}
	inet_unlock(&t->inet);
	if (pcb)
		tcp_abort(pcb);
	lwip_unlock();
	if (gone)
		put(t);
}

void inet_tcp_wire_info(struct inet_tcp *t, struct tcp_info *i)
{
	lwip_lock();
	inet_lock(&t->inet);
	if (t->pcb) {
		i->tcpi_snd_cwnd = t->pcb->cwnd / TCP_MSS;
		i->tcpi_snd_mss = t->pcb->mss;
		i->tcpi_rtt = t->pcb->sa > 0 ? (unsigned)(t->pcb->sa >> 3) * 500000 : 1000;
		i->tcpi_unacked = (unsigned)((t->in_flight + TCP_MSS - 1) / TCP_MSS);
		i->tcpi_rto = (unsigned)t->pcb->rto * 500000;
		i->tcpi_bytes_acked = t->bytes_sent - t->in_flight - t->sq.len;
		i->tcpi_snd_wnd = t->pcb->snd_wnd;
	}
	inet_unlock(&t->inet);
	lwip_unlock();
}
