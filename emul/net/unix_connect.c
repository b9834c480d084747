/* SPDX-License-Identifier: MIT */
/* Connections between AF_UNIX sockets: listen, connect, accept, socketpair. */
#include "emul/net/unix.h"

#include "emul/base/err.h"

int unix_listen(struct sock *s, struct task *t, int backlog)
{
	struct unix_sock *u = unix_of(s);
	struct unix_peer_id old = { NULL, NULL };
	int r = 0;

	if (!u->addr)
		return -EINVAL;
	mutex_lock(&s->lock);
	if (u->state != UNIX_CLOSED && u->state != UNIX_LISTENING) {
		r = -EINVAL;
	} else {
		if ((unsigned)backlog > u->backlog)
			waitq_wake(&u->peer_wait, 0);
		u->backlog = (unsigned)backlog;
		u->state = UNIX_LISTENING;
		old = u->id;
		u->id = (struct unix_peer_id){ NULL, NULL };
		unix_id_set(&u->id, t); /* what a client sees as its peer */
	}
	mutex_unlock(&s->lock);
	unix_id_clear(&old);
	return r;
}

/* --- connect ------------------------------------------------------------------------------------------------ */

#define AGAIN 1 /* the listener has changed: look it up anew */

/* Can other take a connection now? 0, AGAIN, -ECONNREFUSED, and what a wait for room ends with. */
static int wait_for_listener(struct unix_sock *other, const struct sock_wait *w)
{
	int r = 0;

	mutex_lock(&other->sk.lock);
	if (other->dead)
		r = AGAIN;
	else if (other->state != UNIX_LISTENING || (other->sk.shutdown & SOCK_SHUT_RD))
		r = -ECONNREFUSED;
	else if (other->qlen > other->backlog)
		r = sock_sleep(&other->peer_wait, &other->sk.lock, w) ?: AGAIN;
	mutex_unlock(&other->sk.lock);
	return r;
}

static int join_locked(struct unix_sock *u, struct unix_sock *other, struct unix_sock *child, struct task *t)
	REQUIRES(u->sk.lock, other->sk.lock)
{
	int state = u->state;

	if (other->dead || other->state != UNIX_LISTENING || (other->sk.shutdown & SOCK_SHUT_RD) || other->qlen > other->backlog)
		return AGAIN;
	if (state != UNIX_CLOSED)
		return state == UNIX_CONNECTED ? -EISCONN : -EINVAL;
	child->addr = unix_addr_get(other->addr);
	child->state = UNIX_CONNECTED;
	child->peer = unix_get(u);
	sock_inherit_options(&child->sk, &other->sk);
	unix_id_set(&child->id, t);
	u->id = (struct unix_peer_id){ NULL, NULL };
	unix_id_copy(&u->id, &other->id);
	u->peer = unix_get(child);
	u->state = UNIX_CONNECTED;
	child->unaccepted = true;
	list_add_tail(&other->embryos, &child->embryo_node);
	other->qlen++;
	sock_wake_rd(&other->sk, UNIX_IN_EVENTS);
	waitq_wake(&u->sk.file.wq, UNIX_OUT_EVENTS);
	return 0;
}

static int join(struct unix_sock *u, struct unix_sock *other, struct unix_sock *child, struct task *t) NO_LOCK_ANALYSIS
{
	int r;

	if (u == other)
		return -EINVAL; /* a listener cannot connect */
	mutex_lock_two(&u->sk.lock, &other->sk.lock);
	r = join_locked(u, other, child, t);
	mutex_unlock_two(&u->sk.lock, &other->sk.lock);
	return r;
}

int unix_stream_connect(struct sock *s, struct task *t, const struct sock_addr *a)
{
	struct unix_sock *u = unix_of(s), *child;
	struct sock_wait w = sock_wait_wr(s, file_nonblock(&s->file));
	int r = unix_check_addr(a);

	if (r == 0 && unix_wants_cred(u))
		r = unix_autobind(u, t);
	if (r < 0)
		return r;
	child = unix_new(t, s->type);
	if (!child)
		return -ENOMEM;
	do {
		AUTO(unix_sock) other = NULL;

		r = unix_find(t, a, s->type, &other);
		if (r == 0)
			r = wait_for_listener(other, &w);
		if (r == 0)
			r = join(u, other, child, t);
	} while (r == AGAIN);
	if (r < 0)
		file_put(&child->sk.file);
	return r;
}

/* --- accept, socketpair ----------------------------------------------------------------------------------------- */

int unix_accept(struct sock *s, struct task *t, struct sock **ret)
{
	struct unix_sock *u = unix_of(s), *child = NULL;
	struct sock_wait w = sock_wait_rd(s, file_nonblock(&s->file));
	int r = 0;

	mutex_lock(&s->lock);
	if (u->state != UNIX_LISTENING)
		r = -EINVAL;
	while (r == 0 && list_empty(&u->embryos)) {
		r = sock_take_error(s);
		if (r == 0 && (s->shutdown & SOCK_SHUT_RD) && !w.nonblock)
			r = -EINVAL;
		if (r == 0)
			r = sock_sleep(&s->rd, &s->lock, &w);
	}
	if (r == 0) {
		child = list_first(&u->embryos, struct unix_sock, embryo_node);
		list_del(&child->embryo_node);
		u->qlen--;
		waitq_wake(&u->peer_wait, 0);
		*ret = &child->sk;
	}
	mutex_unlock(&s->lock);
	if (r == 0) {
		mutex_lock(&child->sk.lock);
		child->unaccepted = false;
		mutex_unlock(&child->sk.lock);
	}
	return r;
}

int unix_socketpair(struct sock *a, struct sock *b, struct task *t)
{
	struct unix_sock *x = unix_of(a), *y = unix_of(b);

	/* Nobody else knows them yet. */
	x->peer = unix_get(y);
	y->peer = unix_get(x);
	unix_id_set(&x->id, t);
	unix_id_set(&y->id, t);
	x->state = y->state = UNIX_CONNECTED;
	return 0;
}
