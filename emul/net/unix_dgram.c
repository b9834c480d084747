/* SPDX-License-Identifier: MIT */
/*
 * SOCK_DGRAM and SOCK_SEQPACKET data of AF_UNIX: a message is one buffer in the receiver's queue. The sender waits
 * for its own send buffer (its `wr`) and for room in the receiver's queue (the receiver's `peer_wait`).
 */
#include "emul/net/unix.h"

#include "emul/base/err.h"
#include "emul/net/filter.h"

/* --- connect ----------------------------------------------------------------------------------------------- */

static struct mutex wake_lock = MUTEX_INIT; /* of all peer_wake entries: inside sk.lock */

/* Other may still send to who is connected to nobody or to itself. */
static bool may_send(struct unix_sock *from, struct unix_sock *to)
{
	struct unix_sock *its = to->peer;

	return !its || its == from;
}

void unix_dgram_forget_peer(struct unix_sock *u, struct unix_sock *peer)
{
	if (u->sk.type != SOCK_DGRAM)
		return;
	mutex_lock(&peer->sk.lock); /* a poll that still saw this peer has ended */
	mutex_lock(&wake_lock);
	waitq_del(&u->peer_wake);
	mutex_unlock(&wake_lock);
	mutex_unlock(&peer->sk.lock);
	waitq_wake(&u->sk.file.wq, UNIX_OUT_EVENTS);
}

bool unix_dgram_peer_full(struct unix_sock *u)
{
	AUTO(unix_sock) peer = unix_peer_get(u);
	bool full;

	if (!peer || peer == u)
		return false;
	mutex_lock(&peer->sk.lock);
	full = !peer->dead && peer->peer != u && peer->qlen > peer->backlog;
	mutex_lock(&wake_lock);
	if (full && !u->peer_wake.wq && u->peer == peer)
		waitq_add(&peer->peer_wait, &u->peer_wake);
	else if (!full)
		waitq_del(&u->peer_wake);
	mutex_unlock(&wake_lock);
	mutex_unlock(&peer->sk.lock);
	return full;
}

/* unix_dgram_disconnected(): messages of the former peer are lost; if it was connected to u it hears of that. */
static void disconnected(struct unix_sock *u, struct unix_sock *old)
{
	struct list bufs = LIST_INIT(bufs);

	unix_dgram_forget_peer(u, old);
	mutex_lock(&u->sk.lock);
	list_splice_tail(&bufs, &u->queue);
	u->qlen = 0;
	u->queued = 0;
	waitq_wake(&u->peer_wait, 0);
	mutex_unlock(&u->sk.lock);
	if (!list_empty(&bufs)) {
		mutex_lock(&old->sk.lock);
		if (!old->dead && old->peer == u) {
			old->sk.err = ECONNRESET;
			sock_wake_all(&old->sk, EPOLLERR);
		}
		mutex_unlock(&old->sk.lock);
	}
	unix_bufs_free(&bufs);
}

static void set_peer(struct unix_sock *u, struct unix_sock *peer)
{
	struct unix_sock *old;

	mutex_lock(&u->sk.lock);
	old = u->peer;
	u->peer = peer;
	u->state = peer ? UNIX_CONNECTED : UNIX_CLOSED;
	mutex_unlock(&u->sk.lock);
	if (old && old != peer)
		disconnected(u, old);
	unix_put(old);
}

int unix_dgram_connect(struct sock *s, struct task *t, const struct sock_addr *a)
{
	struct unix_sock *u = unix_of(s);
	AUTO(unix_sock) other = NULL;
	int r;

	if (a->len < (int)sizeof(a->sa.sa_family))
		return -EINVAL;
	if (a->sa.sa_family == AF_UNSPEC) {
		set_peer(u, NULL);
		return 0;
	}
	r = unix_check_addr(a);
	if (r == 0 && unix_wants_cred(u))
		r = unix_autobind(u, t);
	if (r == 0)
		r = unix_find(t, a, s->type, &other);
	if (r < 0)
		return r;
	if (!may_send(u, other))
		return -EPERM;
	set_peer(u, steal(other));
	return 0;
}

/* --- sending -------------------------------------------------------------------------------------------------- */

/* Room in the sender's own buffer. The message is charged when it is queued: a limit, not an account. */
static int wait_for_buffer(struct unix_sock *u, const struct sock_wait *w)
{
	int r = 0;

	if (u->wmem < (size_t)u->sk.opt.sndbuf && !u->sk.err && !(u->sk.shutdown & SOCK_SHUT_WR))
		return 0;
	mutex_lock(&u->sk.lock);
	while (r == 0) {
		r = sock_take_error(&u->sk);
		if (r == 0 && (u->sk.shutdown & SOCK_SHUT_WR))
			r = -EPIPE;
		if (r < 0 || u->wmem < (size_t)u->sk.opt.sndbuf)
			break;
		r = sock_sleep(&u->sk.wr, &u->sk.lock, w);
	}
	mutex_unlock(&u->sk.lock);
	return r;
}

#define GONE (-EOWNERDEAD) /* internal: the receiver was closed */

/* Queues b at other, whose lock is held. 0: done. */
static int deliver_locked(struct unix_sock *u, struct unix_sock *other, struct unix_buf *b, const struct sock_wait *w)
	REQUIRES(other->sk.lock)
{
	for (;;) {
		int r;

		if (!may_send(u, other))
			return -EPERM;
		if (other->dead)
			return GONE;
		if (other->sk.shutdown & SOCK_SHUT_RD)
			return -EPIPE;
		/* Two that are connected to each other are bounded by their send buffers alone. */
		if (other->peer == u || other == u || other->qlen <= other->backlog)
			break;
		r = sock_sleep(&other->peer_wait, &other->sk.lock, w);
		if (r < 0)
			return r;
	}
	if (b->scm.rights && !other->sk.opt.passrights)
		return -EPERM;
	if (other->sk.opt.timestamp)
		b->stamp = clock_now(CLOCK_REALTIME);
	list_add_tail(&other->queue, &b->node);
	other->qlen++;
	other->queued += b->len;
	sock_wake_rd(&other->sk, UNIX_IN_EVENTS);
	return 0;
}

/* The connected receiver was closed: once ECONNREFUSED (SEQPACKET: EPIPE), then there is no peer any more. */
static int lose_peer(struct unix_sock *u, struct unix_sock *other)
{
	bool was_peer;

	if (u->sk.type == SOCK_SEQPACKET)
		return -EPIPE;
	mutex_lock(&u->sk.lock);
	was_peer = u->peer == other;
	mutex_unlock(&u->sk.lock);
	if (was_peer)
		set_peer(u, NULL);
	return -ECONNREFUSED;
}

/* Who gets it: the address, else the peer. */
static int receiver_of(struct unix_sock *u, struct task *t, const struct sock_msg *m, struct unix_sock **ret)
{
	if (m->addr && m->addr->len)
		return unix_find(t, m->addr, u->sk.type, ret);
	*ret = unix_peer_get(u);
	return *ret ? 0 : -ENOTCONN;
}

static int make_message(struct unix_sock *u, struct sock_msg *m, struct unix_buf **ret)
{
	size_t len = uio_left(m->data);
	struct unix_buf *b = unix_buf_new(len);

	if (!b)
		return -ENOBUFS;
	if (len && uio_copy_in(m->data, b->data, len) != (ssize_t)len) {
		unix_buf_free(b);
		return -EFAULT;
	}
	b->len = len;
	*ret = b;
	return 0;
}

/* The receiver's filter. false: it is dropped. */
static bool filter(struct unix_sock *other, struct unix_buf *b)
{
	size_t keep;

	if (!filter_is_set(&other->sk))
		return true;
	if (!filter_passes_message(&other->sk, b->data, b->len, 1, &keep))
		return false;
	b->len = keep;
	return true;
}

/* b is consumed. */
static ssize_t send_message(struct unix_sock *u, struct unix_sock *other, struct unix_buf *b, const struct sock_wait *w)
{
	size_t len = b->len;
	int r;

	b->from = unix_get(u);
	if (!filter(other, b)) {
		unix_buf_free(b);
		return (ssize_t)len; /* who sends hears nothing of it */
	}
	b->charge = unix_charge(len, UNIX_HEAD_DGRAM);
	u->wmem += b->charge;
	mutex_lock(&other->sk.lock);
	r = deliver_locked(u, other, b, w);
	mutex_unlock(&other->sk.lock);
	if (r != 0)
		unix_buf_free(b);
	return r ? r : (ssize_t)len;
}

static ssize_t dgram_send(struct unix_sock *u, struct task *t, struct sock_msg *m, struct unix_scm *scm)
{
	struct sock_wait w = sock_wait_wr(&u->sk, m->flags & MSG_DONTWAIT);
	AUTO(unix_sock) other = NULL;
	bool named = m->addr && m->addr->len;
	struct unix_buf *b = NULL;
	ssize_t r;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	r = named ? unix_check_addr(m->addr) : 0;
	if (r == 0 && unix_wants_cred(u))
		r = unix_autobind(u, t);
	if (r == 0 && uio_left(m->data) > (size_t)u->sk.opt.sndbuf - 32)
		r = -EMSGSIZE;
	if (r == 0)
		r = wait_for_buffer(u, &w);
	if (r == 0)
		r = make_message(u, m, &b);
	if (r < 0)
		return r;
	r = receiver_of(u, t, m, &other);
	if (r < 0) {
		unix_buf_free(b);
		return r;
	}
	unix_scm_add_cred(scm, t, u, other);
	unix_scm_copy(&b->scm, scm);
	r = send_message(u, other, b, &w);
	return r == GONE ? lose_peer(u, other) : r;
}

ssize_t unix_dgram_send(struct sock *s, struct task *t, struct sock_msg *m)
{
	struct unix_scm scm;
	ssize_t r = unix_scm_read(t, m, &scm);

	if (r < 0)
		return r;
	r = dgram_send(unix_of(s), t, m, &scm);
	unix_scm_drop(&scm);
	return r;
}

ssize_t unix_seqpacket_send(struct sock *s, struct task *t, struct sock_msg *m)
{
	int r = sock_take_error(s);

	if (r < 0)
		return r;
	if (unix_of(s)->state != UNIX_CONNECTED)
		return -ENOTCONN;
	if (m->addr)
		m->addr->len = 0;
	return unix_dgram_send(s, t, m);
}

/* --- receiving -------------------------------------------------------------------------------------------------- */

/* The next message; MSG_PEEK with an offset: the first that it does not cover, *skip is what is left of it. */
static struct unix_buf *pick(struct unix_sock *u, bool peek, size_t *skip) REQUIRES(u->sk.lock)
{
	struct unix_buf *b;
	int off = u->sk.opt.peek_off;

	*skip = peek && off > 0 ? (size_t)off : 0;
	list_for_each(b, &u->queue, node) {
		if (*skip < b->len || !*skip)
			return b;
		*skip -= b->len;
	}
	return NULL;
}

static int wait_for_message(struct unix_sock *u, bool peek, const struct sock_wait *w, struct unix_buf **ret, size_t *skip)
	REQUIRES(u->sk.lock)
{
	for (;;) {
		int r = sock_take_error(&u->sk);

		if (r < 0)
			return r;
		*ret = pick(u, peek, skip);
		if (*ret)
			return 0;
		/* The end: no message. Who does not wait hears of it on SEQPACKET only. */
		if ((u->sk.shutdown & SOCK_SHUT_RD) && (!w->nonblock || u->sk.type == SOCK_SEQPACKET))
			return 0;
		r = sock_sleep(&u->sk.rd, &u->sk.lock, w);
		if (r < 0)
			return r;
	}
}

static void remove_locked(struct unix_sock *u, struct unix_buf *b) REQUIRES(u->sk.lock)
{
	list_del(&b->node);
	u->queued -= b->len;
	u->qlen--;
	if (u->sk.opt.peek_off > 0)
		u->sk.opt.peek_off = MAX(u->sk.opt.peek_off - (int)b->len, 0);
	waitq_wake(&u->peer_wait, 0);
}

/* Copies out what fits; what was cut is told, and with MSG_TRUNC the length is the whole message's. */
static ssize_t copy_message(struct sock_msg *m, struct unix_buf *b, size_t skip)
{
	size_t whole = b->len - skip, n = MIN(whole, uio_left(m->data));

	if (n < whole)
		m->ret_flags |= MSG_TRUNC;
	if (n && uio_copy_out(m->data, b->data + skip, n) != (ssize_t)n)
		return -EFAULT;
	return (ssize_t)(m->flags & MSG_TRUNC ? whole : n);
}

static ssize_t receive(struct unix_sock *u, struct task *t, struct sock_msg *m)
{
	struct sock_wait w = sock_wait_rd(&u->sk, m->flags & MSG_DONTWAIT);
	bool peek = m->flags & MSG_PEEK;
	struct unix_scm scm = UNIX_SCM_NONE;
	struct unix_buf *b = NULL;
	size_t skip = 0;
	ssize_t r;

	mutex_lock(&u->sk.lock);
	r = wait_for_message(u, peek, &w, &b, &skip);
	if (r < 0 || !b) {
		mutex_unlock(&u->sk.lock);
		return r;
	}
	if (!peek)
		remove_locked(u, b);
	if (m->addr)
		unix_addr_copy(m->addr, b->from->addr); /* as it is called by now */
	if (u->sk.opt.timestamp)
		sock_put_time(&u->sk, b->stamp ? b->stamp : clock_now(CLOCK_REALTIME), m);
	if (peek) {
		unix_scm_copy(&scm, &b->scm);
		r = copy_message(m, b, skip);
		if (r > 0 && u->sk.opt.peek_off >= 0)
			u->sk.opt.peek_off += (int)r;
	}
	mutex_unlock(&u->sk.lock);
	if (!peek) {
		r = copy_message(m, b, 0);
		unix_scm_copy(&scm, &b->scm);
		unix_buf_free(b);
	}
	if (r < 0)
		unix_scm_drop(&scm);
	else
		unix_scm_deliver(u, t, m, &scm);
	return r;
}

ssize_t unix_dgram_recv(struct sock *s, struct task *t, struct sock_msg *m)
{
	if (m->addr)
		m->addr->len = 0;
	return m->flags & MSG_OOB ? -EOPNOTSUPP : receive(unix_of(s), t, m);
}

ssize_t unix_seqpacket_recv(struct sock *s, struct task *t, struct sock_msg *m)
{
	if (unix_of(s)->state != UNIX_CONNECTED)
		return -ENOTCONN;
	return unix_dgram_recv(s, t, m);
}
