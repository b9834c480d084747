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

#include "emul/net/mib.h"

#define SNDBUF_INITIAL 16384    /* net.ipv4.tcp_wmem[1] */
#define RCVBUF_INITIAL 131072   /* net.ipv4.tcp_rmem[1] */

int64_t inet_tcp_now(void)
{
	return clock_now(CLOCK_MONOTONIC);
}

/* --- birth ----------------------------------------------------------------------------------------------------- */

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
	list_init(&k->waiting);
	list_init(&k->node);
	timer_init(&k->timer, inet_tcp_timer_fired);
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

void inet_tcp_leave_ports(struct inet_tcp *t)
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
	inet_tcp_leave_ports(t);
	wake_state(t);
}

static void time_wait(struct inet_tcp *t, uint8_t tw_state)
{
	ports_time_wait(&t->inet.port, tw_state, t->inet.port_given);
}

static void count_reset(const struct inet_tcp *t)
{
	if (t->state == TCP_ESTABLISHED || t->state == TCP_CLOSE_WAIT)
		mib_tcp(MIB_TCP_RESETS);
	else if (t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECV)
		mib_tcp(MIB_TCP_FAILS);
}

void inet_tcp_got_reset_locked(struct inet_tcp *t, int err)
{
	if (t->state == TCP_CLOSE)
		return;
	if (!err)
		err = t->state == TCP_SYN_SENT ? ECONNREFUSED : t->state == TCP_CLOSE_WAIT ? EPIPE : ECONNRESET;
	count_reset(t);
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

	inet_tcp_hold_locked(t, false);
	t->segs_out++;
	if (t->state == TCP_ESTABLISHED || t->state == TCP_CLOSE_WAIT)
		inet_tcp_show_fin_locked(t);
	if (t->state == TCP_ESTABLISHED) {
		t->state = TCP_FIN_WAIT2;
		if (p)
			inet_tcp_got_fin_locked(p);
	} else if (t->state == TCP_CLOSE_WAIT) {
		if (p)
			inet_tcp_got_fin_locked(p);
		else
			ports_wait_both(PORT_TCP, &t->inet.remote, &t->inet.local);
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
		t->holding = false;
	}
}

void inet_tcp_send_reset_locked(struct inet_tcp *t)
{
	if (t->peer) {
		if (!t->on_wire)
			inet_tcp_show_reset_locked(t);
		t->peer->segs_in++;
		mib_tcp(MIB_TCP_RESETS_OUT);
		inet_tcp_got_reset_locked(t->peer, 0);
	}
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
			r = inet_sleep(&t->inet, &s->rd, &w);
		} else {
			child = list_first(&t->accepted, struct inet_tcp, node);
			list_del(&child->node);
			t->naccepted--;
		}
	}
	inet_unlock(&t->inet);
	if (!child)
		return r;
	inet_tcp_admit_pending(t);
	*ret = &child->inet.sock;
	return 0;
}

/* A connection that never came into the queue: its client finds nobody when it sends. */
static void forget_deferred(struct inet_tcp *child)
{
	struct inet_tcp *l;

	list_del(&child->node);
	inet_lock(&child->inet);
	l = steal(child->deferred);
	if (!child->on_wire) {
		child->state = TCP_CLOSE;
		inet_tcp_leave_ports(child);
	}
	inet_unlock(&child->inet);
	child->reset_on_release = child->on_wire;
	file_put(&child->inet.sock.file);
	put(l);
}

/* Everyone in the queue and before the door is turned away. Nothing held. */
void inet_tcp_stop_listening(struct inet_tcp *t)
{
	struct list accepted, pending, waiting;

	list_init(&accepted);
	list_init(&pending);
	list_init(&waiting);
	inet_tcp_wire_close(t, true);
	inet_lock(&t->inet);
	t->state = TCP_CLOSE;
	ports_unlisten(&t->inet.port);
	list_splice_tail(&accepted, &t->accepted);
	list_splice_tail(&pending, &t->pending);
	list_splice_tail(&waiting, &t->waiting);
	t->naccepted = t->nwaiting = 0;
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
	while (!list_empty(&waiting))
		forget_deferred(list_first(&waiting, struct inet_tcp, node));
	while (!list_empty(&pending)) {
		struct inet_tcp *client = list_first(&pending, struct inet_tcp, node);

		list_del(&client->node);
		inet_tcp_refuse(client, 0);
		put(client);
	}
}

/* Neither waits at a listener any longer, nor is one. True: it was. *ret_on_wire: it has a connection on the wire. Nothing held. */
static bool leave_listeners(struct inet_tcp *t, bool *ret_on_wire)
{
	struct inet_tcp *l;
	bool listening;

	inet_lock(&t->inet);
	l = t->state == TCP_SYN_SENT ? t->listener : NULL;
	if (l)
		sock_get(&l->inet.sock);
	listening = t->state == TCP_LISTEN;
	*ret_on_wire = t->on_wire;
	inet_unlock(&t->inet);
	if (l) {
		inet_tcp_leave_pending(t, l);
		put(l);
	}
	if (listening)
		inet_tcp_stop_listening(t);
	return listening;
}

bool inet_tcp_withdraw(struct inet_tcp *t)
{
	bool on_wire, listening = leave_listeners(t, &on_wire);

	if (on_wire)
		inet_tcp_wire_close(t, true);
	return listening;
}

/* tcp_abort(): somebody else ends it. Nothing held. */
void inet_tcp_abort(struct inet_tcp *t, int err)
{
	bool listening = inet_tcp_withdraw(t);

	inet_lock(&t->inet);
	if (listening) {
		t->inet.sock.err = err;
		inet_tcp_done_locked(t);
	} else if (t->state != TCP_CLOSE) {
		inet_tcp_send_reset_locked(t);
		inet_tcp_got_reset_locked(t, err);
	}
	inet_unlock(&t->inet);
}

/* --- shutdown, close -------------------------------------------------------------------------------------------------------------- */

static int tcp_shutdown(struct sock *s, int how)
{
	struct inet_tcp *t = tcp_of(s);
	unsigned bits = (unsigned)how + 1;
	struct inet_tcp *deferred;
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
	deferred = inet_tcp_deferred_peer_locked(t);
	inet_unlock(&t->inet);
	inet_tcp_admit_deferred(deferred);
	put(deferred);
	if (stop)
		return inet_tcp_disconnect(t);
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
		if (unread)
			mib_tcp(MIB_TCP_ABORT_DATA);
		count_reset(t);
		inet_tcp_send_reset_locked(t);
		t->state = TCP_CLOSE;
		ports_release(&t->inet.port);
		return;
	}
	send_fin(t);
}

static void tcp_release(struct sock *s)
{
	struct inet_tcp *t = tcp_of(s), *peer, *deferred;
	bool reset = false, on_wire;

	leave_listeners(t, &on_wire);
	inet_lock(&t->inet);
	end_connection_locked(t, &reset);
	deferred = inet_tcp_deferred_peer_locked(t);
	inet_unlock(&t->inet);
	inet_tcp_admit_deferred(deferred);
	put(deferred);
	if (!reset)
		inet_tcp_linger(t);
	inet_lock(&t->inet);
	on_wire = t->on_wire;
	if (!on_wire && t->state == TCP_FIN_WAIT2)
		ports_time_wait(&t->inet.port, TCP_FIN_WAIT2, false); /* as tcp_fin_timeout has it */
	peer = take_peer(t);
	if (peer && peer->peer == t) {
		peer->peer = NULL;
		ref_put(&s->ref); /* never the last: the file's is dropped after this */
	}
	byteq_clear(&t->rq);
	if (!on_wire || reset || t->state == TCP_CLOSE)
		ports_release(&t->inet.port);
	inet_unlock(&t->inet);
	inet_tcp_stop_timer(t);
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
	.has_peek_off = true,
	.memory = inet_tcp_memory,
	.bind = tcp_bind,
	.connect = inet_tcp_connect,
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
