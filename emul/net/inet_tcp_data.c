/* SPDX-License-Identifier: MIT */
/*
 * Moving bytes of TCP sockets: send, receive, urgent data, poll. tcp_sendmsg_locked(), tcp_recvmsg_locked(), tcp_poll().
 *
 * Inside the instance what is sent goes into the peer's rq. Its first `window` bytes count as received there (FIONREAD),
 * what is beyond as the sender's output queue (SIOCOUTQ, bounded by SO_SNDBUF). On the wire the output queue is sq and what
 * lwIP holds. Who copies has marked its end busy and dropped the lock.
 */
#include <stdlib.h>
#include <sys/ioctl.h>

#include "emul/mm/mm.h"
#include "emul/net/filter.h"
#include "emul/net/inet_tcp.h"
#include "emul/net/inet_zerocopy.h"
#include "emul/net/mib.h"
#include "emul/net/route.h"

#define PIECE 65536

/* --- how full -------------------------------------------------------------------------------------------------------- */

/* A quarter of the receive buffer is overhead. */
size_t inet_tcp_window(struct inet_tcp *t)
{
	int buf = t->inet.sock.opt.rcvbuf;

	return (size_t)(buf - buf / 4);
}

size_t inet_tcp_outq(struct inet_tcp *t)
{
	if (t->on_wire)
		return t->sq.len + t->in_flight;
	if (!t->peer)
		return 0;
	size_t len = t->peer->rq.len, window = inet_tcp_window(t->peer);

	return (len > window ? len - window : 0) + t->sq.len;
}

size_t inet_tcp_inq(struct inet_tcp *t)
{
	return t->peer ? MIN(t->rq.len, inet_tcp_window(t)) : t->rq.len;
}

/* How much more a send may queue. */
static size_t room(struct inet_tcp *t)
{
	size_t out = inet_tcp_outq(t), limit = (size_t)t->inet.sock.opt.sndbuf;
	size_t more = out < limit ? limit - out : 0;

	if (t->peer && !t->on_wire) {
		size_t len = t->peer->rq.len, window = inet_tcp_window(t->peer);

		more += len < window ? window - len : 0;
	}
	return more;
}

/* sk_stream_is_writeable(): at least a third is free. */
static bool writeable(struct inet_tcp *t)
{
	size_t out = inet_tcp_outq(t), limit = (size_t)t->inet.sock.opt.sndbuf;

	return out < limit && limit - out >= out / 2;
}

void inet_tcp_write_space(struct inet_tcp *t)
{
	if (t->nospace && writeable(t)) {
		t->nospace = false;
		sock_wake_wr(&t->inet.sock, EPOLLOUT | EPOLLWRNORM);
	}
}

static bool urgent_here(struct inet_tcp *t)
{
	return t->urg != URG_NONE && t->urg_seq == t->rseq;
}

/* tcp_stream_is_readable() */
bool inet_tcp_readable(struct inet_tcp *t)
{
	size_t target = (size_t)MAX(t->inet.sock.opt.rcvlowat, 1);

	if (urgent_here(t) && !t->inet.sock.opt.oobinline)
		target++;
	return t->rq.len >= MIN(target, inet_tcp_window(t));
}

void inet_tcp_data_ready(struct inet_tcp *t)
{
	uint32_t urg = t->urg == URG_VALID ? EPOLLPRI : 0;

	t->last_received = inet_tcp_now();
	if (t->inet.sock.opt.timestamp || t->inet.sock.opt.timestamping)
		t->stamp = clock_now(CLOCK_REALTIME);
	t->segs_in++;
	if (inet_tcp_readable(t) || urg)
		sock_wake_rd(&t->inet.sock, EPOLLIN | EPOLLRDNORM | urg);
}

/* --- send -------------------------------------------------------------------------------------------------------------- */

static bool may_send(const struct inet_tcp *t)
{
	return t->state == TCP_ESTABLISHED || t->state == TCP_CLOSE_WAIT;
}

/* sk_stream_wait_connect() */
static int wait_connect(struct inet_tcp *t, const struct sock_wait *w)
{
	struct sock *s = &t->inet.sock;

	while (!may_send(t)) {
		int r = sock_take_error(s);

		if (r < 0)
			return r;
		if (t->state != TCP_SYN_SENT && t->state != TCP_SYN_RECV)
			return -EPIPE;
		r = inet_sleep(&t->inet, &s->wr, w);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Until something can be queued: bytes, or -EPIPE, -EAGAIN... */
static ssize_t wait_room(struct inet_tcp *t, const struct sock_wait *w)
{
	struct sock *s = &t->inet.sock;

	for (;;) {
		size_t n;
		int r;

		if (s->err || (s->shutdown & SOCK_SHUT_WR))
			return -EPIPE;
		if (!t->peer && !t->on_wire)
			return PIECE; /* the other end is closed: what is sent is answered by a reset */
		n = room(t);
		if (n)
			return (ssize_t)n;
		inet_tcp_hold_locked(t, false); /* no room for more: what is held back goes */
		if (room(t))
			continue;
		inet_tcp_note_stall_locked(t);
		t->nospace = true;
		r = inet_sleep(&t->inet, &s->wr, w);
		if (r < 0)
			return r;
	}
}

/* The last byte of what was sent so far is urgent. Only inside the instance: lwIP has no urgent data. */
static void mark_urgent(struct inet_tcp *p)
{
	size_t n;
	const char *last = byteq_peek(&p->rq, p->rq.len - 1, &n);

	p->urg = URG_VALID;
	p->urg_seq = p->rseq + p->rq.len - 1;
	p->urg_byte = *last;
	sock_urgent(&p->inet.sock);
}

/* Copies one piece into q's *ret_at, without the lock, for byteq_commit(). Bytes, -EFAULT, -ENOMEM. */
static ssize_t copy_piece(struct inet_tcp *t, struct byteq *q, struct uio *from, size_t want, char **ret_at)
{
	size_t n;
	char *to = byteq_reserve(q, want, &n);
	ssize_t r;

	if (!to)
		return -ENOMEM;
	byteq_pin(q);
	inet_unlock(&t->inet);
	r = uio_copy_in(from, to, n);
	inet_lock(&t->inet);
	byteq_unpin(q);
	*ret_at = to;
	return r;
}

void inet_tcp_arrived_locked(struct inet_tcp *t, struct inet_tcp *p)
{
	inet_tcp_data_ready(p);
	/* Both directions were shut down there: nobody will read it. */
	if (p->state == TCP_FIN_WAIT2 && (p->inet.sock.shutdown & SOCK_SHUT_RD)) {
		inet_tcp_got_reset_locked(p, 0);
		inet_tcp_got_reset_locked(t, 0);
	}
}

/* Data for a socket that is closed: a reset comes back, and the rest is not taken. */
static ssize_t send_into_void(struct inet_tcp *t, struct uio *from, size_t n)
{
	uio_advance(from, n);
	t->segs_out++;
	mib_tcp(MIB_TCP_RESETS_OUT);
	inet_tcp_got_reset_locked(t, 0);
	return (ssize_t)n;
}

/* Into sq, which a cork holds back, or what is behind held bytes, or has a filter before it. */
static ssize_t send_piece_held(struct inet_tcp *t, struct uio *from, size_t want)
{
	char *at;
	ssize_t r = copy_piece(t, &t->sq, from, want, &at);

	if (r > 0 && may_send(t) && byteq_commit(&t->sq, at, (size_t)r))
		inet_tcp_release_held_locked(t);
	return r;
}

static ssize_t send_piece_local(struct inet_tcp *t, struct uio *from, size_t want)
{
	struct inet_tcp *p = t->peer;
	char *at;
	ssize_t r;

	if (!p)
		return send_into_void(t, from, want);
	if (t->holding || t->sq.len || filter_is_set(&p->inet.sock))
		return send_piece_held(t, from, want);
	sock_get(&p->inet.sock);
	r = copy_piece(t, &p->rq, from, want, &at);
	if (r > 0 && t->peer == p && may_send(t) && byteq_commit(&p->rq, at, (size_t)r)) {
		inet_tcp_show_data_locked(t, at, (size_t)r);
		p->bytes_received += (size_t)r;
		inet_tcp_arrived_locked(t, p);
	}
	inet_unlock(&t->inet);
	sock_put(&p->inet.sock);
	inet_lock(&t->inet);
	return r;
}

static ssize_t send_piece_wire(struct inet_tcp *t, struct uio *from, size_t want)
{
	char *at;
	ssize_t r = copy_piece(t, &t->sq, from, want, &at);

	if (r <= 0 || !may_send(t) || !byteq_commit(&t->sq, at, (size_t)r))
		return r;
	inet_unlock(&t->inet);
	inet_tcp_wire_push(t);
	inet_lock(&t->inet);
	return r;
}

/* One call's data inside the instance: a segment. */
static void count_local(struct inet_tcp *t, size_t n)
{
	route_count_lo(!addr_is_v4(&t->inet.remote.ip), n);
	mib_tcp(MIB_TCP_SEGMENTS_OUT);
	mib_tcp(MIB_TCP_SEGMENTS_IN);
}

/* One writer at a time: its pieces are copied without the lock. */
static int become_writer(struct inet_tcp *t)
{
	int r = 0;

	mutex_assert_held(inet_mutex(&t->inet));
	while (t->wbusy && r == 0)
		r = waitq_sleep_uninterruptible(&t->inet.sock.wr, inet_mutex(&t->inet), FOREVER);
	if (r == 0)
		t->wbusy = true;
	return r;
}

static void end_writer(struct inet_tcp *t)
{
	t->wbusy = false;
	waitq_wake(&t->inet.sock.wr, 0);
}

static ssize_t send_all(struct inet_tcp *t, struct sock_msg *m, const struct sock_wait *w)
{
	bool hold = (t->opt.cork || (m->flags & MSG_MORE)) && !(m->flags & MSG_OOB);
	ssize_t done = 0, r;

	while (uio_left(m->data)) {
		r = wait_room(t, w);
		if (r < 0)
			return done ? done : r;
		r = become_writer(t);
		if (r < 0)
			return done ? done : r;
		/* What was true before waiting for the others is looked at again. */
		size_t want = MIN(MIN(room(t), uio_left(m->data)), (size_t)PIECE);
		if (!t->peer && !t->on_wire)
			want = MIN(room(t), uio_left(m->data)); /* what the buffer takes is gone before the reset is seen */
		if (!want || t->inet.sock.err || (t->inet.sock.shutdown & SOCK_SHUT_WR)) {
			end_writer(t);
			continue;
		}
		t->holding = hold;
		r = t->on_wire ? send_piece_wire(t, m->data, want) : send_piece_local(t, m->data, want);
		end_writer(t);
		if (r < 0)
			return done ? done : r;
		done += r;
		t->bytes_sent += (size_t)r;
	}
	inet_tcp_hold_locked(t, hold);
	if (t->opt.user_timeout)
		inet_tcp_note_stall_locked(t);
	t->segs_out++;
	t->last_sent = inet_tcp_now();
	if (!t->on_wire)
		count_local(t, (size_t)done);
	if ((m->flags & MSG_OOB) && done && t->peer && t->peer->rq.len) {
		mark_urgent(t->peer);
		inet_tcp_data_ready(t->peer);
	}
	return done;
}

/* A helper thread that must not sleep must not begin what will have to wait half-way. */
static bool may_begin(struct inet_tcp *t, size_t n, const struct sock_wait *w)
{
	return w->nonblock || sock_may_sleep() || (!t->wbusy && (room(t) >= n || (!t->peer && !t->on_wire)));
}

ssize_t inet_tcp_sendmsg(struct sock *s, struct task *task, struct sock_msg *m)
{
	struct inet_tcp *t = tcp_of(s);
	struct sock_wait w = sock_wait_wr(s, m->flags & MSG_DONTWAIT);
	const struct cmsghdr *c = NULL;
	struct inet_tcp *deferred;
	uint32_t mark;
	ssize_t r = 0;
	int bad = 0;

	if (m->flags & MSG_FASTOPEN)
		r = inet_tcp_connect_by_send(t, task, m);
	inet_lock(&t->inet);
	if (r == 0 && !may_send(t))
		r = wait_connect(t, &w);
	while (r == 0 && (c = sock_cmsg_next(m, c, &bad)))
		r = c->cmsg_level == SOL_SOCKET ? sock_cmsg_common(s, c, &mark) : 0;
	if (r == 0)
		r = bad;
	if (r == 0 && (s->err || (s->shutdown & SOCK_SHUT_WR)))
		r = -EPIPE;
	if (r == 0)
		r = may_begin(t, uio_left(m->data), &w) ? send_all(t, m, &w) : -EWOULDSLEEP;
	if (r == -EPIPE && s->err)
		r = sock_take_error(s);
	deferred = inet_tcp_deferred_peer_locked(t);
	inet_unlock(&t->inet);
	if (r > 0)
		inet_zerocopy_sent(&t->inet, m->flags, (size_t)r);
	if (deferred) {
		inet_tcp_admit_deferred(deferred);
		sock_put(&deferred->inet.sock);
	}
	return r;
}

/* --- receive ------------------------------------------------------------------------------------------------------------- */

/* tcp_recv_urg() */
static ssize_t recv_urgent(struct inet_tcp *t, struct sock_msg *m)
{
	char c;

	if (t->inet.sock.opt.oobinline || t->urg == URG_NONE || t->urg == URG_READ)
		return -EINVAL;
	if (t->state == TCP_CLOSE && !t->done)
		return -ENOTCONN;
	c = t->urg_byte;
	if (!(m->flags & MSG_PEEK))
		t->urg = URG_READ;
	m->ret_flags |= MSG_OOB;
	if (!uio_left(m->data)) {
		m->ret_flags |= MSG_TRUNC;
		return 0;
	}
	if (m->flags & MSG_TRUNC)
		return 1;
	inet_unlock(&t->inet);
	ssize_t r = uio_copy_out(m->data, &c, 1);
	inet_lock(&t->inet);
	return r;
}

/* Nothing to be had now: 1 end of file, 0 wait, or the error. The order is tcp_recvmsg_locked()'s. */
static int nothing_more(struct inet_tcp *t)
{
	struct sock *s = &t->inet.sock;

	if (t->done)
		return 1;
	if (s->err)
		return sock_take_error(s);
	if (s->shutdown & SOCK_SHUT_RD)
		return 1;
	return t->state == TCP_CLOSE ? -ENOTCONN : 0;
}

static void consume(struct inet_tcp *t, size_t n)
{
	bool arrives = t->peer && t->rq.len > inet_tcp_window(t);

	byteq_consume(&t->rq, n);
	t->rseq += n;
	if (t->urg != URG_NONE && t->rseq > t->urg_seq)
		t->urg = URG_NONE;
	if (t->peer && !t->on_wire) {
		inet_tcp_write_space(t->peer);
		if (t->peer->stalled || t->peer->lingering)
			inet_tcp_progress_locked(t->peer);
	}
	/* What the window had no room for comes in: an arrival, and an edge. */
	if (arrives)
		sock_wake_rd(&t->inet.sock, EPOLLIN | EPOLLRDNORM);
}

/* The bytes that come next, up to the urgent one. 0: the urgent byte itself is next and was skipped. */
static size_t next_piece(struct inet_tcp *t, size_t off, size_t want, const char **ret)
{
	size_t n;

	*ret = byteq_peek(&t->rq, off, &n);
	n = MIN(n, want);
	if (t->urg != URG_NONE && t->urg_seq >= t->rseq + off && t->urg_seq < t->rseq + off + n)
		n = t->urg_seq - (t->rseq + off);
	return n;
}

struct receive {
	struct sock_msg *m;
	size_t want, done, target;
	size_t off; /* MSG_PEEK: how far */
	struct sock_wait w;
	bool peek;
	bool stop;  /* a fault after some bytes */
};

/* Copies one piece, which may be the whole. 1: go on, 0: stop here, -errno. */
static int take_piece(struct inet_tcp *t, struct receive *rc)
{
	const char *from;
	size_t n = next_piece(t, rc->off, rc->want - rc->done, &from);
	ssize_t r;

	if (n == 0) { /* the urgent byte */
		if (rc->done)
			return 0; /* a read ends before it */
		if (!t->inet.sock.opt.oobinline) {
			if (rc->peek)
				rc->off++;
			else
				consume(t, 1);
			return 1;
		}
		n = 1;
	}
	if (rc->m->flags & MSG_TRUNC) {
		r = (ssize_t)n;
	} else {
		inet_unlock(&t->inet);
		r = uio_copy_out(rc->m->data, from, n);
		inet_lock(&t->inet);
		if (r < 0)
			return (int)r;
	}
	rc->done += (size_t)r;
	if (rc->peek)
		rc->off += (size_t)r;
	else
		consume(t, (size_t)r);
	rc->stop = (size_t)r < n;
	return !rc->stop && rc->done < rc->want;
}

static int become_reader(struct inet_tcp *t)
{
	int r = 0;

	mutex_assert_held(inet_mutex(&t->inet));
	while (t->rbusy && r == 0)
		r = waitq_sleep_uninterruptible(&t->inet.sock.rd, inet_mutex(&t->inet), FOREVER);
	if (r == 0)
		t->rbusy = true;
	return r;
}

static void end_reader(struct inet_tcp *t)
{
	t->rbusy = false;
	waitq_wake(&t->inet.sock.rd, 0);
}

/* What is there. -errno only if nothing was copied. */
static int take_present(struct inet_tcp *t, struct receive *rc)
{
	int r = become_reader(t);

	if (r < 0)
		return r;
	do
		r = t->rq.len > rc->off ? take_piece(t, rc) : 0;
	while (r > 0);
	end_reader(t);
	rc->stop |= r < 0;
	return r < 0 && !rc->done ? r : 0;
}

static bool at_urgent_byte(struct inet_tcp *t, const struct receive *rc)
{
	return t->urg != URG_NONE && t->urg_seq == t->rseq + rc->off;
}

static int receive_loop(struct inet_tcp *t, struct receive *rc)
{
	struct sock *s = &t->inet.sock;

	for (;;) {
		int r;

		if (!rc->want && t->rq.len > rc->off)
			return 0; /* no bytes are wanted: but it waits for some */
		r = t->rq.len > rc->off ? take_present(t, rc) : 0;

		if (r < 0 || rc->stop || (rc->want && rc->done >= rc->want) || rc->done >= rc->target)
			return r;
		if (t->rq.len > rc->off && (!rc->done || !at_urgent_byte(t, rc)))
			continue;
		if (rc->done && at_urgent_byte(t, rc))
			return 0;
		r = rc->done && s->err ? 1 : nothing_more(t);
		if (r)
			return r < 0 && !rc->done ? r : 0;
		if (rc->done && !sock_may_sleep())
			return 0;
		r = inet_sleep(&t->inet, &s->rd, &rc->w);
		if (r < 0)
			return rc->done ? 0 : r;
	}
}

/* MSG_WAITALL or SO_RCVLOWAT on a thread that must not sleep: not if it would have to half-way. */
static bool would_sleep_halfway(struct inet_tcp *t, const struct receive *rc)
{
	if (rc->w.nonblock || sock_may_sleep() || rc->target <= 1)
		return false;
	return t->rbusy || (t->rq.len > 0 && t->rq.len < rc->target && !(t->inet.sock.shutdown & SOCK_SHUT_RD));
}

ssize_t inet_tcp_recvmsg(struct sock *s, struct task *task, struct sock_msg *m)
{
	struct inet_tcp *t = tcp_of(s);
	struct receive rc = { .m = m, .want = uio_left(m->data), .peek = m->flags & MSG_PEEK };
	ssize_t r;
	bool wire;
	int64_t stamp;
	int inq;

	(void)task;
	if (m->addr)
		m->addr->len = 0;
	if (m->flags & MSG_ERRQUEUE)
		return inet_zerocopy_tell(&t->inet, m);
	rc.w = sock_wait_rd(s, m->flags & MSG_DONTWAIT);
	rc.target = MAX(m->flags & MSG_WAITALL ? rc.want : MIN((size_t)MAX(s->opt.rcvlowat, 1), rc.want), (size_t)1);
	inet_lock(&t->inet);
	if (t->state == TCP_LISTEN)
		r = -ENOTCONN;
	else if (m->flags & MSG_OOB)
		r = recv_urgent(t, m);
	else if (would_sleep_halfway(t, &rc))
		r = -EWOULDSLEEP;
	else if ((rc.peek && s->opt.peek_off >= 0 && (rc.off = (size_t)s->opt.peek_off) > t->rq.len))
		r = -EAGAIN;
	else
		r = receive_loop(t, &rc);
	if (rc.done) {
		r = (ssize_t)rc.done;
		if (s->opt.peek_off >= 0)
			s->opt.peek_off = rc.peek ? (int)rc.off : MAX(s->opt.peek_off - (int)rc.done, 0);
	}
	wire = t->on_wire && inet_tcp_wire_owed(t);
	stamp = rc.done ? t->stamp : 0;
	inq = (int)inet_tcp_inq(t);
	if (!inq && t->done)
		inq = 1; /* an end of file to be read: tcp_inq_hint() */
	inet_unlock(&t->inet);
	if (stamp)
		sock_put_time(s, stamp, m);
	if (r >= 0 && t->opt.inq && m->ctl && !(m->flags & MSG_OOB))
		sock_put_cmsg(m, SOL_TCP, TCP_CM_INQ, &inq, sizeof(inq));
	if (wire)
		inet_tcp_wire_read(t);
	return r;
}

/* --- poll, ioctl ------------------------------------------------------------------------------------------------------------- */

uint32_t inet_tcp_poll(struct sock *s)
{
	struct inet_tcp *t = tcp_of(s);
	uint32_t ev = 0;
	unsigned shutdown;

	inet_lock(&t->inet);
	shutdown = s->shutdown;
	if (t->state == TCP_LISTEN) {
		ev = list_empty(&t->accepted) ? 0 : EPOLLIN | EPOLLRDNORM;
		inet_unlock(&t->inet);
		return ev;
	}
	if (shutdown == SOCK_SHUT_BOTH || t->state == TCP_CLOSE)
		ev |= EPOLLHUP;
	if (shutdown & SOCK_SHUT_RD)
		ev |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
	if (t->state != TCP_SYN_SENT && t->state != TCP_SYN_RECV) {
		if (inet_tcp_readable(t))
			ev |= EPOLLIN | EPOLLRDNORM;
		if ((shutdown & SOCK_SHUT_WR) || writeable(t))
			ev |= EPOLLOUT | EPOLLWRNORM;
		else
			t->nospace = true;
		if (t->urg == URG_VALID)
			ev |= EPOLLPRI;
	}
	if (s->err || inet_zerocopy_pending(&t->inet))
		ev |= EPOLLERR;
	inet_unlock(&t->inet);
	return ev;
}

void inet_tcp_memory(struct sock *s, struct sock_memory *ret)
{
	struct inet_tcp *t = tcp_of(s);

	inet_lock(&t->inet);
	*ret = (struct sock_memory){ .rmem = inet_tcp_inq(t), .wmem = inet_tcp_outq(t) };
	inet_unlock(&t->inet);
}

/* tcp_ioctl() */
long inet_tcp_ioctl(struct sock *s, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	struct inet_tcp *t = tcp_of(s);
	bool listening, unconnected;
	int val = 0;

	if (cmd != SIOCINQ && cmd != SIOCOUTQ && cmd != SIOCOUTQNSD && cmd != SIOCATMARK)
		return -ENOIOCTLCMD;
	inet_lock(&t->inet);
	listening = t->state == TCP_LISTEN;
	unconnected = t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECV;
	if (cmd == SIOCATMARK)
		val = urgent_here(t);
	else if (unconnected)
		val = 0;
	else if (cmd == SIOCINQ) {
		size_t n = inet_tcp_inq(t);

		/* tcp_inq(): up to the urgent byte, which does not count unless it comes first inline */
		if (t->urg != URG_NONE && !s->opt.oobinline && t->urg_seq >= t->rseq && t->urg_seq < t->rseq + n && t->urg_seq != t->rseq)
			n = t->urg_seq - t->rseq;
		val = (int)n;
	} else if (cmd == SIOCOUTQ) {
		val = (int)inet_tcp_outq(t);
	} else {
		val = (int)(t->on_wire ? t->sq.len : inet_tcp_outq(t));
	}
	inet_unlock(&t->inet);
	if (listening && cmd != SIOCATMARK)
		return -EINVAL;
	return copy_to_guest(c->mm, arg, &val, sizeof(val));
}
