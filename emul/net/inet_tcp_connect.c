/* SPDX-License-Identifier: MIT */
/*
 * Connecting TCP sockets, inside the instance and to the wire, and the way back (AF_UNSPEC). inet_tcp.c has the theory;
 * inet_stream_connect(), tcp_v4_connect(), tcp_disconnect() are the model.
 */
#include "emul/net/inet_tcp.h"

#include <stdlib.h>

#include "emul/net/inet_reuseport.h"
#include "emul/net/mib.h"
#include "emul/net/route.h"

#define SYN_RETRIES 6 /* net.ipv4.tcp_syn_retries */
#define SNDBUF_CONNECTED 2626560 /* what autotuning makes of it on loopback */

static void put(struct inet_tcp *t)
{
	if (t)
		sock_put(&t->inet.sock);
}

/* --- connecting inside the instance ----------------------------------------------------------------------------------- */

static void autotune(struct inet_tcp *t)
{
	if (!t->inet.sock.opt.sndbuf_locked)
		t->inet.sock.opt.sndbuf = SNDBUF_CONNECTED;
}

void inet_tcp_connected_locked(struct inet_tcp *t)
{
	t->state = TCP_ESTABLISHED;
	t->since = t->last_sent = t->last_received = inet_tcp_now();
	autotune(t);
	sock_wake_all(&t->inet.sock, EPOLLOUT | EPOLLWRNORM);
}

int inet_tcp_setup_child(struct inet_tcp *child, struct inet_tcp *l, const struct endpoint *local, const struct endpoint *remote)
{
	int r;

	sock_inherit_options(&child->inet.sock, &l->inet.sock);
	child->opt = l->opt;
	child->inet.ip = l->inet.ip;
	child->inet.v6only = l->inet.v6only;
	child->inet.local = *local;
	child->inet.remote = *remote;
	r = ports_accept(&child->inet.port, &l->inet.port, local, remote);
	if (r < 0)
		return r;
	mib_tcp(MIB_TCP_PASSIVE);
	child->ss = SS_CONNECTED;
	inet_tcp_connected_locked(child);
	return 0;
}

bool inet_tcp_queue_full(const struct inet_tcp *l)
{
	return l->naccepted > (unsigned)l->backlog || l->nwaiting > (unsigned)l->backlog;
}

int inet_tcp_queue_locked(struct inet_tcp *l, struct inet_tcp *child)
{
	if (l->state != TCP_LISTEN)
		return -ECONNREFUSED;
	if (inet_tcp_queue_full(l))
		return -EAGAIN;
	list_add_tail(&l->accepted, &child->node);
	l->naccepted++;
	sock_wake_rd(&l->inet.sock, EPOLLIN | EPOLLRDNORM);
	return 0;
}

static void set_pending(struct inet_tcp *t, struct inet_tcp *l)
{
	t->listener = l; /* stays valid: l empties its list before it goes */
	list_add_tail(&l->pending, &t->node);
	sock_get(&t->inet.sock);
}

/* Both ends' states; t and l are locked. 0, -ECONNREFUSED; *used: the child went into the queue, or t waits for room. */
static int meet_locked(struct inet_tcp *t, struct inet_tcp *l, struct inet_tcp *child, bool *used)
{
	if (t->state != TCP_SYN_SENT)
		return 0;
	inet_tcp_show_syn_locked(t);
	if (l->state != TCP_LISTEN)
		return -ECONNREFUSED;
	if (inet_tcp_queue_full(l)) {
		mib_tcp(MIB_TCP_OVERFLOWS);
		set_pending(t, l);
		return 0;
	}
	if (!inet_tcp_filter_syn_locked(t, l)) { /* until the filter changes */
		set_pending(t, l);
		return 0;
	}
	if (inet_tcp_setup_child(child, l, &t->inet.remote, &t->inet.local) < 0)
		return -ECONNREFUSED;
	child->peer = t;
	sock_get(&t->inet.sock);
	t->peer = child;
	sock_get(&child->inet.sock);
	inet_tcp_show_handshake_locked(t);
	inet_tcp_connected_locked(t);
	*used = true;
	if (!l->opt.defer_accept)
		return inet_tcp_queue_locked(l, child);
	inet_tcp_defer_locked(l, child);
	return 0;
}

/* t (SYN_SENT) meets listener l. Nothing held. */
static int meet(struct inet_tcp *t, struct inet_tcp *l)
{
	struct inet_tcp *child = inet_tcp_alloc(NULL, l->inet.sock.family, t->inet.lock_owner);
	bool used = false;
	int r;

	if (!child)
		return -ENOMEM;
	child->inet.sock.uid = l->inet.sock.uid;
	child->inet.sock.gid = l->inet.sock.gid;
	inet_lock_two(&t->inet, &l->inet);
	r = meet_locked(t, l, child, &used);
	inet_unlock_two(&t->inet, &l->inet);
	if (!used)
		file_put(&child->inet.sock.file);
	return r;
}

void inet_tcp_refuse(struct inet_tcp *t, int err)
{
	inet_lock(&t->inet);
	if (t->state == TCP_SYN_SENT && !err)
		inet_tcp_show_refusal_locked(t);
	if (t->state == TCP_SYN_SENT)
		inet_tcp_got_reset_locked(t, err);
	inet_unlock(&t->inet);
}

/* After room was made in l's queue: the first that waits comes in. */
void inet_tcp_admit_pending(struct inet_tcp *l)
{
	struct inet_tcp *t = NULL;

	inet_lock(&l->inet);
	if (!inet_tcp_queue_full(l) && !list_empty(&l->pending)) {
		t = list_first(&l->pending, struct inet_tcp, node);
		list_del(&t->node);
		t->listener = NULL;
	}
	inet_unlock(&l->inet);
	if (!t)
		return;
	if (meet(t, l) < 0)
		inet_tcp_refuse(t, 0);
	put(t);
}

/* l has another filter: everyone at the door knocks again. */
void inet_tcp_filter_changed(struct inet_tcp *l)
{
	struct inet_tcp *t;
	unsigned n = 0;

	inet_lock(&l->inet);
	list_for_each(t, &l->pending, node)
		n++;
	inet_unlock(&l->inet);
	for (; n; n--)
		inet_tcp_admit_pending(l);
}

/* t gives up waiting in its listener's list: true: it was there. Nothing held. */
bool inet_tcp_leave_pending(struct inet_tcp *t, struct inet_tcp *l)
{
	bool was;

	inet_lock(&l->inet);
	was = t->listener == l;
	if (was) {
		list_del(&t->node);
		t->listener = NULL;
	}
	inet_unlock(&l->inet);
	if (was)
		put(t);
	return was;
}

/* --- connect ---------------------------------------------------------------------------------------------------------------- */

/* TCP_SYNCNT repetitions, each after twice the time. */
static int64_t connect_ns(const struct inet_tcp *t)
{
	int n = t->opt.syncnt ? MIN(t->opt.syncnt, 30) : SYN_RETRIES;

	return t->opt.user_timeout ? (int64_t)t->opt.user_timeout * 1000000 : ((2LL << n) - 1) * 1000000000;
}

static void start_timer(struct inet_tcp *t)
{
	t->due_connect = inet_tcp_now() + connect_ns(t);
	inet_tcp_arm_locked(t);
}

/* tcp_v4_connect(), tcp_v6_connect() up to the SYN. */
static int begin_connect_locked(struct inet_tcp *t, const struct sock_addr *a, int *ret_ifindex)
{
	struct inet_sock *i = &t->inet;
	struct endpoint dst;
	struct in6_addr src;
	int r = addr_read(i->sock.family, &a->ss, (unsigned)a->len, &dst);

	if (r < 0)
		return r;
	if (addr_is_multicast(&dst.ip) || route_is_broadcast(&dst.ip))
		return -ENETUNREACH;
	r = inet_route_locked(i, &dst, &src, ret_ifindex);
	if (r < 0)
		return r;
	r = ports_connect(&i->port, &src, &dst);
	if (r < 0)
		return r;
	i->local.ip = src;
	i->local.port = i->port.port;
	i->remote = dst;
	i->sock.err = 0;
	i->sock.shutdown = 0;
	t->done = false;
	mib_tcp(MIB_TCP_ACTIVE);
	t->state = TCP_SYN_SENT;
	t->ss = SS_CONNECTING;
	t->on_wire = *ret_ifindex != IF_LO;
	return 0;
}

/* Finds who listens there; nobody: refused. Nothing held. */
static void connect_local(struct inet_tcp *t)
{
	struct endpoint to = t->inet.remote, from = t->inet.local;
	struct inet_sock *found = inet_reuseport_tcp(ports_find_listener(&to, &from, IF_LO), &to, &from, IF_LO);
	int r = -ECONNREFUSED;

	if (!found) {
		inet_lock(&t->inet);
		inet_tcp_show_syn_locked(t);
		inet_unlock(&t->inet);
	} else {
		r = meet(t, container_of(found, struct inet_tcp, inet));
		sock_put(&found->sock);
	}
	if (r < 0) {
		inet_tcp_refuse(t, r == -ENOMEM ? ENOMEM : 0);
		return;
	}
	inet_lock(&t->inet);
	if (t->state == TCP_SYN_SENT && !t->due_connect)
		start_timer(t);
	inet_unlock(&t->inet);
}

static int connect_wire(struct inet_tcp *t)
{
	int r = inet_tcp_wire_connect(t);

	if (r < 0) {
		inet_tcp_refuse(t, -r);
		return r;
	}
	inet_lock(&t->inet);
	if (t->state == TCP_SYN_SENT)
		start_timer(t);
	inet_unlock(&t->inet);
	return 0;
}

static void disconnect_locked(struct inet_tcp *t, struct inet_tcp **ret_peer);

/* The end of connect(2) for a socket that is under way. inet_stream_connect(). */
static int finish_connect_locked(struct inet_tcp *t, bool nonblock, int progress, struct inet_tcp **ret_peer)
{
	struct sock *s = &t->inet.sock;
	struct sock_wait w = sock_wait_wr(s, nonblock);
	int r = 0;

	if (progress == -EINPROGRESS && nonblock)
		return progress; /* even if it is already there: the answer arrives after the call */
	while (t->state == TCP_SYN_SENT) {
		if (w.nonblock)
			return progress;
		r = inet_sleep(&t->inet, &s->wr, &w);
		if (r < 0)
			return r == -EAGAIN ? progress : r;
	}
	if (t->state == TCP_CLOSE) {
		r = sock_take_error(s);
		t->ss = SS_UNCONNECTED;
		disconnect_locked(t, ret_peer);
		s->err = 0;
		return r ? r : -ECONNABORTED;
	}
	t->ss = SS_CONNECTED;
	return 0;
}

int inet_tcp_connect(struct sock *s, struct task *task, const struct sock_addr *a)
{
	struct inet_tcp *t = tcp_of(s), *peer = NULL;
	bool nonblock = file_nonblock(&s->file), connecting, waited;
	int ifindex = 0, r = 0, progress = -EINPROGRESS;

	(void)task;
	if (a->len < (int)sizeof(a->sa.sa_family))
		return -EINVAL;
	if (a->sa.sa_family == AF_UNSPEC)
		return inet_tcp_disconnect(t);
	inet_lock(&t->inet);
	switch (t->ss) {
	case SS_CONNECTED:
		r = -EISCONN;
		break;
	case SS_CONNECTING:
		progress = -EALREADY;
		break;
	case SS_UNCONNECTED:
		r = t->state != TCP_CLOSE ? -EISCONN : begin_connect_locked(t, a, &ifindex);
		break;
	default:
		r = -EINVAL;
	}
	inet_unlock(&t->inet);
	if (r < 0)
		return r;
	if (progress == -EINPROGRESS) {
		if (ifindex == IF_LO)
			connect_local(t);
		else
			r = connect_wire(t);
	}
	inet_lock(&t->inet);
	r = finish_connect_locked(t, nonblock, progress, &peer);
	connecting = t->state == TCP_SYN_SENT;
	waited = t->due_connect != 0;
	inet_unlock(&t->inet);
	if (waited && !connecting)
		inet_tcp_stop_timer(t);
	put(peer);
	return r;
}

/* --- disconnect: connect(2) with AF_UNSPEC, and tcp_disconnect() in general ------------------------------------------------- */

static bool needs_reset(const struct inet_tcp *t)
{
	switch (t->state) {
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT:
	case TCP_FIN_WAIT1:
	case TCP_FIN_WAIT2:
		return true;
	default:
		return false;
	}
}

/* Back to a new socket that keeps its options, and its port if bind gave it. The wire and the lists are the caller's. */
static void disconnect_locked(struct inet_tcp *t, struct inet_tcp **ret_peer)
{
	struct inet_sock *i = &t->inet;

	if (needs_reset(t)) {
		inet_tcp_send_reset_locked(t);
		i->sock.err = ECONNRESET;
	} else if (t->state == TCP_SYN_SENT) {
		i->sock.err = ECONNRESET;
	}
	*ret_peer = steal(t->peer); /* the reference is the caller's to drop, without the lock */
	if (*ret_peer && (*ret_peer)->peer == t) {
		(*ret_peer)->peer = NULL; /* its reference on t: the caller holds t anyway */
		ref_put(&i->sock.ref);
	}
	if (!t->rbusy)
		byteq_clear(&t->rq);
	byteq_clear(&t->sq);
	t->state = TCP_CLOSE;
	inet_tcp_leave_ports(t);
	i->remote = (struct endpoint){ .ip = i->sock.family == AF_INET ? addr_any4 : addr_any6 };
	if (!i->addr_given)
		i->local.ip = i->remote.ip;
	if (!i->port_given)
		i->local.port = 0;
	if (i->port_given)
		ports_disconnect(&i->port, &i->local.ip);
	i->sock.shutdown = 0;
	t->done = false;
	t->urg = URG_NONE;
	t->fin_queued = t->fin_sent = t->holding = false;
	t->due_connect = t->due_cork = t->stalled = 0;
	t->in_flight = t->unannounced = 0;
	sock_wake_all(&i->sock, EPOLLOUT | EPOLLWRNORM | EPOLLHUP | (i->sock.err ? EPOLLERR : 0));
}

int inet_tcp_disconnect(struct inet_tcp *t)
{
	struct inet_tcp *peer = NULL;

	inet_tcp_withdraw(t);
	inet_lock(&t->inet);
	disconnect_locked(t, &peer);
	t->on_wire = false;
	t->ss = SS_UNCONNECTED;
	inet_unlock(&t->inet);
	put(peer);
	return 0;
}

int inet_tcp_connect_by_send(struct inet_tcp *t, struct task *task, const struct sock_msg *m)
{
	if (m->addr && m->addr->len >= (int)sizeof(m->addr->sa.sa_family) && m->addr->sa.sa_family == AF_UNSPEC)
		return -EOPNOTSUPP;
	if (!m->addr)
		return -EINVAL;
	if (!sock_may_sleep()) /* a second try would find it connecting */
		return -EWOULDSLEEP;
	return inet_tcp_connect(&t->inet.sock, task, m->addr);
}
