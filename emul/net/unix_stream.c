/* SPDX-License-Identifier: MIT */
/*
 * SOCK_STREAM data of AF_UNIX. The receiver's queue is a list of chunks. Small writes are appended to the last
 * chunk under the receiver's lock, as a pipe does it; large ones are copied into chunks of their own before the
 * lock is taken, and a reader who takes whole chunks copies them out after he has dropped it.
 * What must stay apart (descriptors, other credentials) begins a new chunk.
 */
#include "emul/net/unix.h"

#include "emul/base/err.h"

#define SMALL_CAP (4096 - sizeof(struct unix_buf)) /* of a chunk that small writes share */
#define CHUNK_MAX (32768 - sizeof(struct unix_buf))
#define COPY_LOCKED_MAX 4096 /* bytes that are copied under the lock */

/* --- sending ----------------------------------------------------------------------------------------------- */

/* Linux's sock_alloc_send_pskb() and what comes right after it. 0: there is room. */
static int wait_for_room(struct unix_sock *u, struct unix_sock *peer, const struct sock_wait *w, bool begun)
	REQUIRES(peer->sk.lock)
{
	for (;;) {
		int r = sock_take_error(&u->sk);

		if (r < 0)
			return r;
		if ((u->sk.shutdown & SOCK_SHUT_WR) || peer->dead || (peer->sk.shutdown & SOCK_SHUT_RD))
			return -EPIPE;
		if (u->wmem < (size_t)u->sk.opt.sndbuf || (begun && !w->nonblock && !sock_may_sleep()))
			return 0;
		r = sock_sleep(&u->sk.wr, &peer->sk.lock, w);
		if (r < 0)
			return r;
	}
}

/* A thread that may not sleep must not begin what it could not end; what it has begun it ends (wait_for_room()). */
static bool may_begin(struct unix_sock *u, size_t n, const struct sock_wait *w)
{
	return w->nonblock || sock_may_sleep() || u->wmem + n <= (size_t)u->sk.opt.sndbuf;
}

static void append_locked(struct unix_sock *u, struct unix_sock *peer, struct unix_buf *b) REQUIRES(peer->sk.lock)
{
	b->charge = unix_charge(b->len, UNIX_HEAD_STREAM);
	u->wmem += b->charge;
	peer->queued += b->len;
	list_add_tail(&peer->queue, &b->node);
}

/* Where n more bytes with scm can be put: the last chunk, or NULL. */
static struct unix_buf *open_chunk(struct unix_sock *peer, size_t n, const struct unix_scm *scm) REQUIRES(peer->sk.lock)
{
	struct unix_buf *b;

	if (list_empty(&peer->queue))
		return NULL;
	b = list_entry(peer->queue.prev, struct unix_buf, node);
	if (b->scm.rights || b->cap - b->off - b->len < n || !unix_scm_same_cred(&b->scm, scm))
		return NULL;
	return b;
}

static struct unix_buf *small_chunk(struct unix_sock *peer) REQUIRES(peer->sk.lock)
{
	struct unix_buf *b = peer->spare;

	peer->spare = NULL;
	return b ? b : unix_buf_new(SMALL_CAP);
}

/* Up to COPY_LOCKED_MAX bytes without descriptors. Bytes, -EFAULT, -ENOBUFS. */
static ssize_t send_small(struct unix_sock *u, struct unix_sock *peer, struct uio *from, size_t n, const struct unix_scm *scm)
	REQUIRES(peer->sk.lock)
{
	struct unix_buf *b = open_chunk(peer, n, scm);
	ssize_t got;

	if (b) {
		got = uio_copy_in(from, b->data + b->off + b->len, n);
		if (got > 0) {
			size_t charge = unix_charge((size_t)got, UNIX_HEAD_STREAM); /* a message of its own, as far as anybody sees */

			b->len += (size_t)got;
			b->charge += charge;
			u->wmem += charge;
			peer->queued += (size_t)got;
		}
		return got;
	}
	b = small_chunk(peer);
	if (!b)
		return -ENOBUFS;
	got = uio_copy_in(from, b->data, n);
	if (got <= 0) {
		peer->spare = b;
		return got;
	}
	b->off = 0;
	b->len = (size_t)got;
	unix_scm_copy(&b->scm, scm);
	append_locked(u, peer, b);
	return got;
}

/* Copies n bytes into a chunk of their own, which gets the descriptors. */
static int fill_chunk(struct uio *from, size_t n, struct unix_scm *scm, struct unix_buf **ret)
{
	struct unix_buf *b = unix_buf_new(n);
	ssize_t got;

	if (!b)
		return -ENOBUFS;
	got = uio_copy_in(from, b->data, n);
	if (got < 0) {
		unix_buf_free(b);
		return (int)got;
	}
	b->len = (size_t)got;
	unix_scm_copy(&b->scm, scm);
	*ret = b;
	return 0;
}

/* The urgent byte is a chunk of its own. An older one that nobody has read becomes ordinary. queue_oob() */
static void mark_urgent(struct unix_sock *peer, struct unix_buf *b) REQUIRES(peer->sk.lock)
{
	peer->oob = b;
	sock_urgent(&peer->sk);
	sock_wake_rd(&peer->sk, EPOLLPRI);
}

/* One piece of a write, at most max bytes; urgent: one byte. Bytes or the error. */
static ssize_t send_piece(struct unix_sock *u, struct unix_sock *peer, struct uio *from, size_t max, struct unix_scm *scm,
			  const struct sock_wait *w, bool begun, bool urgent)
{
	size_t left = uio_left(from), n = MIN(max, MIN((size_t)CHUNK_MAX, (size_t)u->sk.opt.sndbuf / 2 - 64));
	struct unix_buf *b = NULL;
	ssize_t r;

	if (n > MIN(SMALL_CAP, (size_t)COPY_LOCKED_MAX) || scm->rights || urgent) {
		r = fill_chunk(from, n, scm, &b);
		if (r < 0)
			return r;
	}
	mutex_lock(&peer->sk.lock);
	if (!begun && !may_begin(u, left, w))
		r = -EWOULDSLEEP;
	else
		r = wait_for_room(u, peer, w, begun);
	if (r == 0 && scm->rights && !peer->sk.opt.passrights)
		r = -EPERM;
	if (r == 0 && b) {
		append_locked(u, peer, b);
		if (urgent)
			mark_urgent(peer, b);
		r = (ssize_t)b->len;
		b = NULL;
	} else if (r == 0) {
		r = send_small(u, peer, from, n, scm);
	}
	if (r > 0)
		sock_wake_rd(&peer->sk, UNIX_IN_EVENTS);
	mutex_unlock(&peer->sk.lock);
	unix_buf_free(b);
	return r;
}

ssize_t unix_stream_send(struct sock *s, struct task *t, struct sock_msg *m)
{
	struct unix_sock *u = unix_of(s), *peer = u->peer;
	struct sock_wait w = sock_wait_wr(s, m->flags & MSG_DONTWAIT);
	bool urgent = m->flags & MSG_OOB;
	struct unix_scm scm;
	ssize_t done = 0, r;

	r = unix_scm_read(t, m, &scm);
	if (r < 0)
		return r;
	if (urgent && !uio_left(m->data))
		r = -EOPNOTSUPP;
	else if (m->addr && m->addr->len)
		r = u->state == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	else if (!peer)
		r = -ENOTCONN;
	else if (s->shutdown & SOCK_SHUT_WR)
		r = -EPIPE;
	else
		unix_scm_add_cred(&scm, t, u, peer);
	while (r >= 0 && uio_left(m->data)) {
		size_t left = uio_left(m->data);

		r = send_piece(u, peer, m->data, urgent && left > 1 ? left - 1 : left, &scm, &w, done, urgent && left == 1);
		if (r <= 0)
			break;
		done += r;
		unix_scm_drop_rights(&scm); /* they went with the first piece */
	}
	unix_scm_drop(&scm);
	return done ? done : r;
}

/* --- receiving ------------------------------------------------------------------------------------------------ */

struct receive {
	struct unix_sock *u;
	struct sock_msg *m;
	struct unix_scm scm;
	bool any;         /* there was data: it has a sender */
	bool has_scm;     /* the first chunk's credentials are in scm */
	size_t skip;      /* bytes still to pass over (SO_PEEK_OFF) */
	ssize_t done;
	struct list freed; /* chunks that are used up */
	bool full;        /* the boundary of a message: no more in this call */
};

/* The chunk that is read next: with MSG_PEEK behind those already seen. NULL: there is none. */
static struct unix_buf *next_chunk(struct unix_sock *u, const struct unix_buf *seen) REQUIRES(u->sk.lock)
{
	const struct list *at = seen ? &seen->node : &u->queue;

	return at->next == &u->queue ? NULL : list_entry(at->next, struct unix_buf, node);
}

/* The bytes are the receiver's: the sender gets its room back. */
static void consume(struct receive *c, struct unix_buf *b, size_t n) REQUIRES(c->u->sk.lock)
{
	struct unix_sock *peer = c->u->peer;
	size_t charge = b->charge / MAX(b->len, (size_t)1) * n; /* of the messages in it, about those that are read */

	b->off += n;
	b->len -= n;
	c->u->queued -= n;
	if (c->u->sk.opt.peek_off > 0)
		c->u->sk.opt.peek_off = MAX(c->u->sk.opt.peek_off - (int)n, 0);
	if (b->len == 0) {
		charge = b->charge;
		list_del(&b->node);
		if (!c->u->spare && b->cap == SMALL_CAP && !b->scm.rights && !b->scm.proc) {
			b->scm = UNIX_SCM_NONE;
			c->u->spare = b;
		} else {
			list_add_tail(&c->freed, &b->node);
		}
	}
	b->charge -= charge;
	if (peer && unix_uncharge(peer, charge))
		sock_wake_wr(&peer->sk, UNIX_OUT_EVENTS);
}

/* A whole large chunk: it leaves the queue and is copied with the lock dropped. What cannot be copied goes back. */
static ssize_t take_whole(struct receive *c, struct unix_buf *b) NO_LOCK_ANALYSIS /* drops the lock of c->u */
{
	struct unix_sock *u = c->u;
	size_t len = b->len;
	ssize_t got;

	list_del(&b->node);
	u->queued -= len;
	mutex_unlock(&u->sk.lock);
	got = uio_copy_out(c->m->data, b->data + b->off, len);
	mutex_lock(&u->sk.lock);
	list_add(&u->queue, &b->node);
	u->queued += len;
	if (got > 0)
		consume(c, b, (size_t)got);
	return got;
}

static ssize_t copy_chunk(struct receive *c, struct unix_buf *b) REQUIRES(c->u->sk.lock)
{
	size_t n = MIN(b->len - c->skip, uio_left(c->m->data));
	ssize_t got;

	if (!(c->m->flags & MSG_PEEK) && n == b->len && n > COPY_LOCKED_MAX && !b->scm.rights)
		return take_whole(c, b);
	got = n ? uio_copy_out(c->m->data, b->data + b->off + c->skip, n) : 0;
	if (got < 0)
		return got;
	if (b->scm.rights) {
		c->scm.rights = b->scm.rights;
		if (c->m->flags & MSG_PEEK)
			ref_get(&c->scm.rights->ref);
		else
			b->scm.rights = NULL;
		c->full = true;
	}
	if (c->m->flags & MSG_PEEK) {
		if (c->u->sk.opt.peek_off >= 0)
			c->u->sk.opt.peek_off += (int)got;
	} else {
		consume(c, b, (size_t)got);
	}
	c->skip = 0;
	return got;
}

/* Credentials of different writers are not glued together if the receiver wants to see them. */
static bool fits(struct receive *c, const struct unix_buf *b)
{
	if (c->has_scm)
		return unix_scm_same_cred(&b->scm, &c->scm);
	if (unix_wants_cred(c->u)) {
		unix_scm_copy_cred(&c->scm, &b->scm);
		c->has_scm = true;
	}
	return true;
}

/* A chunk that goes without being read: the urgent byte's, or its empty rest. */
static void drop_chunk(struct receive *c, struct unix_buf *b) REQUIRES(c->u->sk.lock)
{
	struct unix_sock *peer = c->u->peer;

	c->u->queued -= b->len;
	list_del(&b->node);
	list_add_tail(&c->freed, &b->node);
	if (peer && unix_uncharge(peer, b->charge))
		sock_wake_wr(&peer->sk, UNIX_OUT_EVENTS);
	b->charge = 0;
}

enum at_mark { MARK_READ, MARK_PASS, MARK_STOP };

/* The next chunk is the urgent byte, or empty: what was read of it holds its place. What a read does there: manage_oob() */
static enum at_mark at_mark(struct receive *c, struct unix_buf *b) REQUIRES(c->u->sk.lock)
{
	bool peek = c->m->flags & MSG_PEEK, inl = c->u->sk.opt.oobinline;

	if (b != c->u->oob) {
		if (c->done && !c->u->oob)
			return MARK_STOP;
		if (!peek)
			drop_chunk(c, b);
		return MARK_PASS;
	}
	if (c->done)
		return MARK_STOP;
	if (!peek)
		c->u->oob = NULL;
	if (inl)
		return MARK_READ;
	if (!peek)
		drop_chunk(c, b);
	return MARK_PASS;
}

/* MSG_OOB: unix_stream_recv_urg() */
static ssize_t recv_urgent(struct receive *c)
{
	struct unix_sock *u = c->u;
	struct unix_buf *b;
	char byte;

	mutex_lock(&u->sk.lock);
	b = u->sk.opt.oobinline ? NULL : u->oob;
	if (!b) {
		mutex_unlock(&u->sk.lock);
		return -EINVAL;
	}
	byte = b->data[b->off];
	if (!(c->m->flags & MSG_PEEK)) {
		struct unix_buf *before = b->node.prev == &u->queue ? NULL : list_entry(b->node.prev, struct unix_buf, node);

		u->oob = NULL;
		mutex_assert_held(&c->u->sk.lock);
		if (before && !before->len)
			drop_chunk(c, before);
		b->off++;
		b->len--;
		u->queued--;
	}
	mutex_unlock(&u->sk.lock);
	unix_bufs_free(&c->freed);
	if (!uio_left(c->m->data) || uio_copy_out(c->m->data, &byte, 1) < 0)
		return -EFAULT;
	c->m->ret_flags |= MSG_OOB;
	return 1;
}

/* Takes what is there, up to a boundary. 0, or -EFAULT if nothing could be taken. */
static int take_present(struct receive *c) REQUIRES(c->u->sk.lock)
{
	struct unix_buf *b, *seen = NULL;

	c->skip = (c->m->flags & MSG_PEEK) && c->u->sk.opt.peek_off > 0 ? (size_t)c->u->sk.opt.peek_off : 0;
	while (!c->full && (b = next_chunk(c->u, seen))) {
		ssize_t got;

		if (!b->len || b == c->u->oob) {
			enum at_mark mark = at_mark(c, b);

			c->full = mark == MARK_STOP;
			if (mark == MARK_PASS && (c->m->flags & MSG_PEEK))
				seen = b;
			if (mark != MARK_READ)
				continue;
		}
		if (c->skip && c->skip >= b->len) {
			c->skip -= b->len;
			seen = b;
			continue;
		}
		if (!fits(c, b)) {
			c->full = true;
			break;
		}
		c->any = true;
		got = copy_chunk(c, b);
		if (got < 0) {
			c->full = true;
			return c->done ? 0 : (int)got;
		}
		c->done += got;
		if (!uio_left(c->m->data))
			c->full = true;
		if (c->m->flags & MSG_PEEK)
			seen = b;
	}
	return 0;
}

/* Nothing there: an error, the end (0, c->full), or -EAGAIN: wait. */
static int at_end(struct receive *c) REQUIRES(c->u->sk.lock)
{
	int r = sock_take_error(&c->u->sk);

	if (r < 0)
		return r;
	if (c->u->sk.shutdown & SOCK_SHUT_RD) {
		c->full = true;
		return 0;
	}
	return -EAGAIN;
}

static size_t target_of(struct sock *s, const struct sock_msg *m)
{
	size_t size = uio_left(m->data), low = (size_t)s->opt.rcvlowat;

	if (m->flags & MSG_PEEK)
		return 1; /* what is there: a second look would begin anew */
	return MAX(m->flags & MSG_WAITALL ? size : MIN(low, size), (size_t)1);
}

static int receive_locked(struct receive *c, size_t target, const struct sock_wait *w) REQUIRES(c->u->sk.lock)
{
	struct unix_sock *u = c->u;
	int r = 0;

	mutex_assert_held(&u->sk.lock);
	/* A thread that may not sleep takes all or nothing. */
	if (!w->nonblock && target > 1 && !sock_may_sleep() && u->queued < target && !(u->sk.shutdown & SOCK_SHUT_RD))
		return -EWOULDSLEEP;
	while (r == 0 && !c->full) {
		r = take_present(c);
		if (r < 0 || c->full || (size_t)c->done >= target)
			break;
		r = at_end(c);
		if (r == -EAGAIN)
			r = sock_sleep(&u->sk.rd, &u->sk.lock, w);
	}
	return r;
}

ssize_t unix_stream_recv(struct sock *s, struct task *t, struct sock_msg *m)
{
	struct receive c = { .u = unix_of(s), .m = m }; /* the end of the stream is from process 0, user 0 */
	struct sock_wait w = sock_wait_rd(s, m->flags & MSG_DONTWAIT);
	int r;

	if (c.u->state != UNIX_CONNECTED)
		return -EINVAL;
	list_init(&c.freed);
	if (m->flags & MSG_OOB)
		return recv_urgent(&c);
	mutex_lock(&c.u->sk.lock);
	r = receive_locked(&c, target_of(s, m), &w);
	mutex_unlock(&c.u->sk.lock);
	if (m->addr)
		unix_addr_copy(m->addr, c.any && c.u->peer ? atomic_load(&c.u->peer)->addr : NULL);
	unix_bufs_free(&c.freed);
	unix_scm_deliver(c.u, t, m, &c.scm);
	return c.done ? c.done : r;
}
