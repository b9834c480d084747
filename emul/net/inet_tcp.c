/* SPDX-License-Identifier: MIT */
/*
 * TCP sockets: birth, bind, connect, listen, accept, shutdown, close, and the changes of state. inet.h has the theory;
 * net/ipv4/af_inet.c, tcp.c and inet_connection_sock.c are the model, so the fields carry their names' meaning.
 *
 * A connection inside the instance: connect makes the other end, gives both their states and puts it into the
 * listener's queue; the two share the client's lock. If the queue is full the client waits in the listener's `pending`
 * list, as its SYN would be repeated. A connection to outside is on the wire: inet_tcp_wire.c calls the same functions.
 */
#include "emul/net/inet_tcp.h"

#include <stdlib.h>

#include "emul/net/route.h"

#define CONNECT_TIMEOUT_NS (127 * 1000000000LL) /* net.ipv4.tcp_syn_retries = 6 */
#define SNDBUF_INITIAL 16384    /* net.ipv4.tcp_wmem[1] */
#define RCVBUF_INITIAL 131072   /* net.ipv4.tcp_rmem[1] */
#define SNDBUF_CONNECTED 2626560 /* what autotuning makes of it on loopback */

int64_t inet_tcp_now(void)
{
	return clock_now(CLOCK_MONOTONIC);
}

/* --- birth ----------------------------------------------------------------------------------------------------- */

static void connect_timed_out(struct timer *timer);

struct inet_tcp *inet_tcp_alloc(struct task *t, int family, struct sock *lock_owner)
{
	struct inet_tcp *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	sock_init(&k->inet.sock, &inet_tcp_ops, family, SOCK_STREAM, IPPROTO_TCP, t);
	inet_init(&k->inet, PORT_TCP, lock_owner);
	k->inet.sock.opt.sndbuf = SNDBUF_INITIAL;
	k->inet.sock.opt.rcvbuf = RCVBUF_INITIAL;
	k->state = TCP_CLOSE;
	k->ss = SS_UNCONNECTED;
	byteq_init(&k->rq);
	byteq_init(&k->sq);
	list_init(&k->accepted);
	list_init(&k->pending);
	list_init(&k->node);
	timer_init(&k->timer, connect_timed_out);
	inet_tcp_options_init(k);
	return k;
}

int inet_tcp_new(struct task *t, int family, int protocol, struct sock **ret)
{
	struct inet_tcp *k = inet_tcp_alloc(t, family, NULL);

	(void)protocol;
	if (!k)
		return -ENOMEM;
	*ret = &k->inet.sock;
	return 0;
}

static void tcp_destroy(struct sock *s)
{
	struct inet_tcp *t = tcp_of(s);

	byteq_fini(&t->rq);
	byteq_fini(&t->sq);
	inet_fini(&t->inet);
}

static void put(struct inet_tcp *t)
{
	if (t)
		sock_put(&t->inet.sock);
}

/* --- changes of state --------------------------------------------------------------------------------------------- */

static void wake_state(struct inet_tcp *t)
{
	uint32_t ev = EPOLLOUT | EPOLLWRNORM;

	if (t->inet.sock.shutdown & SOCK_SHUT_RD)
		ev |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
	if (t->inet.sock.shutdown == SOCK_SHUT_BOTH || t->state == TCP_CLOSE)
		ev |= EPOLLHUP;
	if (t->inet.sock.err)
		ev |= EPOLLERR;
	sock_wake_all(&t->inet.sock, ev);
}

/* The peer's reference is the caller's to drop, without the lock. */
static struct inet_tcp *take_peer(struct inet_tcp *t)
{
	return steal(t->peer);
}

static void leave_ports(struct inet_tcp *t)
{
	if (t->inet.port_given) {
		ports_disconnect(&t->inet.port, &t->inet.local.ip);
	} else {
		ports_release(&t->inet.port);
	}
}

void inet_tcp_done_locked(struct inet_tcp *t)
{
	t->state = TCP_CLOSE;
	t->inet.sock.shutdown = SOCK_SHUT_BOTH;
	leave_ports(t);
	wake_state(t);
}

static void time_wait(struct inet_tcp *t, uint8_t tw_state)
{
	ports_time_wait(&t->inet.port, tw_state, t->inet.port_given);
}

void inet_tcp_got_reset_locked(struct inet_tcp *t, int err)
{
	if (t->state == TCP_CLOSE)
		return;
	if (!err)
		err = t->state == TCP_SYN_SENT ? ECONNREFUSED : t->state == TCP_CLOSE_WAIT ? EPIPE : ECONNRESET;
	t->inet.sock.err = err;
	byteq_clear(&t->sq);
	inet_tcp_done_locked(t);
}

void inet_tcp_got_fin_locked(struct inet_tcp *t)
{
	if (t->state == TCP_CLOSE)
		return;
	t->inet.sock.shutdown |= SOCK_SHUT_RD;
	t->done = true;
	t->segs_in++;
	switch (t->state) {
	case TCP_ESTABLISHED:
		t->state = TCP_CLOSE_WAIT;
		break;
	case TCP_FIN_WAIT1: /* on the wire: not acknowledged yet */
		t->state = TCP_CLOSING;
		break;
	case TCP_FIN_WAIT2:
		time_wait(t, TCP_TIME_WAIT);
		inet_tcp_done_locked(t);
		return;
	default:
		break;
	}
	wake_state(t);
}

/* t has sent all it will: inside the instance the FIN arrives, and is acknowledged, at once. */
static void send_fin_local(struct inet_tcp *t)
{
	struct inet_tcp *p = t->peer;

	t->segs_out++;
	if (t->state == TCP_ESTABLISHED) {
		t->state = TCP_FIN_WAIT2;
		if (p)
			inet_tcp_got_fin_locked(p);
	} else if (t->state == TCP_CLOSE_WAIT) {
		if (p)
			inet_tcp_got_fin_locked(p);
		inet_tcp_done_locked(t);
	}
}

/* On the wire the FIN follows the data: the caller pushes it out without the lock. */
static void send_fin(struct inet_tcp *t)
{
	if (!t->on_wire) {
		send_fin_local(t);
	} else if (t->state == TCP_ESTABLISHED || t->state == TCP_CLOSE_WAIT) {
		t->state = t->state == TCP_ESTABLISHED ? TCP_FIN_WAIT1 : TCP_LAST_ACK;
		t->fin_queued = true;
	}
}

static void send_reset_local(struct inet_tcp *t)
{
	if (t->peer) {
		t->peer->segs_in++;
		inet_tcp_got_reset_locked(t->peer, 0);
	}
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
	child->ss = SS_CONNECTED;
	inet_tcp_connected_locked(child);
	return 0;
}

bool inet_tcp_queue_full(const struct inet_tcp *l)
{
	return l->naccepted > (unsigned)l->backlog;
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
	if (l->state != TCP_LISTEN)
		return -ECONNREFUSED;
	if (inet_tcp_queue_full(l)) {
		set_pending(t, l);
		return 0;
	}
	if (inet_tcp_setup_child(child, l, &t->inet.remote, &t->inet.local) < 0)
		return -ECONNREFUSED;
	child->peer = t;
	sock_get(&t->inet.sock);
	t->peer = child;
	sock_get(&child->inet.sock);
	inet_tcp_connected_locked(t);
	*used = true;
	return inet_tcp_queue_locked(l, child);
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

static void refuse(struct inet_tcp *t, int err)
{
	inet_lock(&t->inet);
	if (t->state == TCP_SYN_SENT)
		inet_tcp_got_reset_locked(t, err);
	inet_unlock(&t->inet);
}

/* After room was made in l's queue: the first that waits comes in. */
static void admit_pending(struct inet_tcp *l)
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
		refuse(t, 0);
	put(t);
}

/* t gives up waiting in its listener's list: true: it was there. Nothing held. */
static bool leave_pending(struct inet_tcp *t, struct inet_tcp *l)
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

static void connect_timed_out(struct timer *timer)
{
	struct inet_tcp *t = container_of(timer, struct inet_tcp, timer);

	inet_lock(&t->inet);
	t->timer_used = false;
	if (t->state == TCP_SYN_SENT)
		inet_tcp_got_reset_locked(t, ETIMEDOUT);
	inet_unlock(&t->inet);
	put(t);
}

static void start_timer(struct inet_tcp *t)
{
	int64_t ns = t->opt.user_timeout ? (int64_t)t->opt.user_timeout * 1000000 : CONNECT_TIMEOUT_NS;

	sock_get(&t->inet.sock);
	t->timer_used = true;
	timer_arm(&t->timer, deadline_after(CLOCK_MONOTONIC, ns));
}

static void stop_timer(struct inet_tcp *t)
{
	bool armed;

	inet_lock(&t->inet);
	armed = t->timer_used && timer_cancel(&t->timer);
	if (armed)
		t->timer_used = false;
	inet_unlock(&t->inet);
	if (armed)
		put(t);
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
	t->state = TCP_SYN_SENT;
	t->ss = SS_CONNECTING;
	t->on_wire = *ret_ifindex != IF_LO;
	return 0;
}

/* Finds who listens there; nobody: refused. Nothing held. */
static void connect_local(struct inet_tcp *t)
{
	struct endpoint to = t->inet.remote, from = t->inet.local;
	struct inet_sock *found = ports_find_listener(&to, &from, IF_LO);
	int r = -ECONNREFUSED;

	if (found) {
		r = meet(t, container_of(found, struct inet_tcp, inet));
		sock_put(&found->sock);
	}
	if (r < 0) {
		refuse(t, r == -ENOMEM ? ENOMEM : 0);
		return;
	}
	inet_lock(&t->inet);
	if (t->state == TCP_SYN_SENT && !t->timer_used)
		start_timer(t);
	inet_unlock(&t->inet);
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
		r = sock_sleep(&s->wr, inet_mutex(&t->inet), &w);
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

static int disconnect(struct inet_tcp *t);

static int tcp_connect(struct sock *s, struct task *task, const struct sock_addr *a)
{
	struct inet_tcp *t = tcp_of(s), *peer = NULL;
	bool nonblock = file_nonblock(&s->file);
	int ifindex = 0, r = 0, progress = -EINPROGRESS;

	(void)task;
	if (a->len < (int)sizeof(a->sa.sa_family))
		return -EINVAL;
	if (a->sa.sa_family == AF_UNSPEC)
		return disconnect(t);
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
		else if ((r = inet_tcp_wire_connect(t)) < 0)
			refuse(t, -r);
	}
	inet_lock(&t->inet);
	r = finish_connect_locked(t, nonblock, progress, &peer);
	inet_unlock(&t->inet);
	if (t->timer_used && t->state != TCP_SYN_SENT)
		stop_timer(t);
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
		send_reset_local(t);
		i->sock.err = ECONNRESET;
	} else if (t->state == TCP_SYN_SENT) {
		i->sock.err = ECONNRESET;
	}
	*ret_peer = take_peer(t);
	if (*ret_peer && (*ret_peer)->peer == t) {
		(*ret_peer)->peer = NULL; /* its reference on t: the caller holds t anyway */
		ref_put(&i->sock.ref);
	}
	if (!t->rbusy)
		byteq_clear(&t->rq);
	byteq_clear(&t->sq);
	t->state = TCP_CLOSE;
	leave_ports(t);
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
	t->fin_queued = t->fin_sent = false;
	t->in_flight = t->unannounced = 0;
	sock_wake_all(&i->sock, EPOLLOUT | EPOLLWRNORM | EPOLLHUP | (i->sock.err ? EPOLLERR : 0));
}

static void stop_listening(struct inet_tcp *t);

static int disconnect(struct inet_tcp *t)
{
	struct inet_tcp *peer = NULL, *l;
	bool on_wire, listening;

	inet_lock(&t->inet);
	l = t->state == TCP_SYN_SENT ? t->listener : NULL;
	if (l)
		sock_get(&l->inet.sock);
	on_wire = t->on_wire;
	listening = t->state == TCP_LISTEN;
	inet_unlock(&t->inet);
	if (l) {
		leave_pending(t, l);
		put(l);
	}
	if (listening)
		stop_listening(t);
	if (on_wire)
		inet_tcp_wire_close(t, true);
	inet_lock(&t->inet);
	disconnect_locked(t, &peer);
	t->on_wire = false;
	t->ss = SS_UNCONNECTED;
	inet_unlock(&t->inet);
	put(peer);
	return 0;
}

/* --- bind, listen, accept ----------------------------------------------------------------------------------------------------- */

static int tcp_bind(struct sock *s, struct task *t, const struct sock_addr *a)
{
	struct inet_tcp *k = tcp_of(s);
	int r;

	inet_lock(&k->inet);
	r = inet_bind_locked(&k->inet, t, a, k->state != TCP_CLOSE);
	inet_unlock(&k->inet);
	return r;
}

static int begin_listen_locked(struct inet_tcp *t)
{
	struct inet_sock *i = &t->inet;
	int r = 0;

	if (!i->local.port) {
		r = ports_bind(&i->port, &i->local.ip, 0);
		if (r < 0)
			return r;
		i->local.port = i->port.port;
	}
	r = ports_listen(&i->port);
	if (r < 0)
		return r;
	t->state = TCP_LISTEN;
	t->naccepted = 0;
	return 0;
}

static int tcp_listen(struct sock *s, struct task *task, int backlog)
{
	struct inet_tcp *t = tcp_of(s);
	bool begins = false;
	int r = 0;

	(void)task;
	inet_lock(&t->inet);
	if (t->ss != SS_UNCONNECTED || (t->state != TCP_CLOSE && t->state != TCP_LISTEN)) {
		r = -EINVAL;
	} else {
		t->backlog = backlog;
		begins = t->state != TCP_LISTEN;
		if (begins)
			r = begin_listen_locked(t);
	}
	inet_unlock(&t->inet);
	if (r == 0 && begins)
		r = inet_tcp_wire_listen(t);
	return r;
}

static int tcp_accept(struct sock *s, struct task *task, struct sock **ret)
{
	struct inet_tcp *t = tcp_of(s), *child = NULL;
	struct sock_wait w = sock_wait_rd(s, file_nonblock(&s->file));
	int r = 0;

	(void)task;
	inet_lock(&t->inet);
	while (r == 0 && !child) {
		if (t->state != TCP_LISTEN) {
			r = -EINVAL;
		} else if (list_empty(&t->accepted)) {
			r = sock_sleep(&s->rd, inet_mutex(&t->inet), &w);
		} else {
			child = list_first(&t->accepted, struct inet_tcp, node);
			list_del(&child->node);
			t->naccepted--;
		}
	}
	inet_unlock(&t->inet);
	if (!child)
		return r;
	admit_pending(t);
	*ret = &child->inet.sock;
	return 0;
}

/* Everyone in the queue and before the door is turned away. Nothing held. */
static void stop_listening(struct inet_tcp *t)
{
	struct list accepted, pending;

	list_init(&accepted);
	list_init(&pending);
	inet_tcp_wire_close(t, true);
	inet_lock(&t->inet);
	t->state = TCP_CLOSE;
	ports_unlisten(&t->inet.port);
	list_splice_tail(&accepted, &t->accepted);
	list_splice_tail(&pending, &t->pending);
	t->naccepted = 0;
	struct inet_tcp *p;
	list_for_each(p, &pending, node)
		p->listener = NULL;
	inet_unlock(&t->inet);
	while (!list_empty(&accepted)) {
		struct inet_tcp *child = list_first(&accepted, struct inet_tcp, node);

		list_del(&child->node);
		child->reset_on_release = true;
		file_put(&child->inet.sock.file);
	}
	while (!list_empty(&pending)) {
		struct inet_tcp *client = list_first(&pending, struct inet_tcp, node);

		list_del(&client->node);
		refuse(client, 0);
		put(client);
	}
}

/* --- shutdown, close -------------------------------------------------------------------------------------------------------------- */

static int tcp_shutdown(struct sock *s, int how)
{
	struct inet_tcp *t = tcp_of(s);
	unsigned bits = (unsigned)how + 1;
	bool push = false, stop = false;
	int r = 0;

	inet_lock(&t->inet);
	if (t->ss == SS_CONNECTING)
		t->ss = t->state == TCP_SYN_SENT || t->state == TCP_CLOSE ? SS_DISCONNECTING : SS_CONNECTED;
	switch (t->state) {
	case TCP_LISTEN:
		stop = bits & SOCK_SHUT_RD;
		break;
	case TCP_SYN_SENT:
		stop = true;
		break;
	case TCP_CLOSE:
		r = -ENOTCONN;
		s->shutdown |= bits;
		break;
	default:
		s->shutdown |= bits;
		if (bits & SOCK_SHUT_WR)
			send_fin(t);
		push = t->on_wire;
	}
	if (!stop)
		wake_state(t);
	inet_unlock(&t->inet);
	if (stop)
		return disconnect(t);
	if (push)
		inet_tcp_wire_push(t);
	return r;
}

/* tcp_close(): the last descriptor is gone. Unread data, or SO_LINGER with 0, make it a reset. */
static void end_connection_locked(struct inet_tcp *t, bool *ret_reset)
{
	bool unread = t->rq.len > 0;

	*ret_reset = unread || t->inet.sock.opt.linger == 0 || t->reset_on_release;
	t->inet.sock.shutdown = SOCK_SHUT_BOTH;
	if (t->state == TCP_CLOSE)
		return;
	if (*ret_reset || t->state == TCP_SYN_SENT) {
		send_reset_local(t);
		t->state = TCP_CLOSE;
		ports_release(&t->inet.port);
		return;
	}
	send_fin(t);
	if (!t->on_wire && t->state == TCP_FIN_WAIT2)
		ports_time_wait(&t->inet.port, TCP_FIN_WAIT2, false); /* as tcp_fin_timeout has it */
}

static void tcp_release(struct sock *s)
{
	struct inet_tcp *t = tcp_of(s), *peer, *l;
	bool reset = false, on_wire;

	inet_lock(&t->inet);
	l = t->state == TCP_SYN_SENT ? t->listener : NULL;
	if (l)
		sock_get(&l->inet.sock);
	inet_unlock(&t->inet);
	if (l) {
		leave_pending(t, l);
		put(l);
	}
	if (t->state == TCP_LISTEN)
		stop_listening(t);
	inet_lock(&t->inet);
	end_connection_locked(t, &reset);
	on_wire = t->on_wire;
	peer = take_peer(t);
	if (peer && peer->peer == t) {
		peer->peer = NULL;
		ref_put(&s->ref); /* never the last: the file's is dropped after this */
	}
	byteq_clear(&t->rq);
	if (!on_wire || reset || t->state == TCP_CLOSE)
		ports_release(&t->inet.port);
	inet_unlock(&t->inet);
	stop_timer(t);
	if (on_wire)
		inet_tcp_wire_close(t, reset);
	put(peer);
}

static int tcp_getname(struct sock *s, bool peer, struct sock_addr *ret)
{
	struct inet_tcp *t = tcp_of(s);
	bool connected;

	inet_lock(&t->inet);
	connected = t->inet.remote.port && t->state != TCP_CLOSE && t->state != TCP_SYN_SENT;
	inet_unlock(&t->inet);
	return peer && !connected ? -ENOTCONN : inet_getname(s, peer, ret);
}

const struct sock_ops inet_tcp_ops = {
	.bind = tcp_bind,
	.connect = tcp_connect,
	.accept = tcp_accept,
	.getname = tcp_getname,
	.listen = tcp_listen,
	.shutdown = tcp_shutdown,
	.setsockopt = inet_tcp_setsockopt,
	.getsockopt = inet_tcp_getsockopt,
	.set_common = inet_tcp_set_common,
	.get_common = inet_tcp_get_common,
	.sendmsg = inet_tcp_sendmsg,
	.recvmsg = inet_tcp_recvmsg,
	.poll = inet_tcp_poll,
	.ioctl = inet_tcp_ioctl,
	.release = tcp_release,
	.destroy = tcp_destroy,
};
