/* SPDX-License-Identifier: MIT */
/*
 * Sockets that only sockets hold. A socket in flight (SCM_RIGHTS) is referenced by a message in the queue of another
 * one; such queues can form a cycle that nobody outside can reach any more. As in Linux's net/unix/garbage.c:
 *
 *   - candidates are the sockets in flight all of whose file references are in flight;
 *   - what candidates' own queues hold is subtracted; what is left over comes from outside: those candidates, and all that
 *     their queues hold, are reachable;
 *   - the queues of the others are emptied, which closes them.
 *
 * Only marking and counting is done under gc_lock. A message that leaves or enters a queue meanwhile does no harm: its
 * descriptors count as in flight until gc_lock is free, so they look as held from outside.
 *
 * Lock order: gc_lock -> sk.lock.
 */
#include "emul/net/unix.h"

static struct mutex gc_lock = MUTEX_INIT;
static struct list flying = LIST_INIT(flying); /* gc_lock; unix_sock.flight.node */
static _Atomic unsigned nflying;               /* of them; read without the lock: is there anything to do? */

static struct unix_sock *unix_of_file(struct file *f)
{
	struct sock *s = sock_of_file(f);

	return s && s->family == AF_UNIX ? unix_of(s) : NULL;
}

void unix_flight_begin(struct file *f)
{
	struct unix_sock *u = unix_of_file(f);

	if (!u)
		return;
	mutex_lock(&gc_lock);
	if (u->flight.count++ == 0) {
		list_add_tail(&flying, &u->flight.node);
		atomic_fetch_add(&nflying, 1);
	}
	mutex_unlock(&gc_lock);
}

void unix_flight_end(struct file *f)
{
	struct unix_sock *u = unix_of_file(f);

	if (!u)
		return;
	mutex_lock(&gc_lock);
	if (--u->flight.count == 0) {
		list_del(&u->flight.node);
		atomic_fetch_sub(&nflying, 1);
	}
	mutex_unlock(&gc_lock);
}

/* --- marking --------------------------------------------------------------------------------------------------- */

typedef void child_fn(struct unix_sock *child, struct list *found);

static void queue_children_locked(struct unix_sock *u, child_fn *fn, struct list *found) REQUIRES(u->sk.lock)
{
	struct unix_buf *b;

	list_for_each(b, &u->queue, node)
		for (unsigned i = 0; b->scm.rights && i < b->scm.rights->n; i++) {
			struct unix_sock *child = unix_of_file(b->scm.rights->files[i]);

			if (child && child->flight.candidate)
				fn(child, found);
		}
}

/* Each candidate that the queue of u holds, as often as it does; a listener's are those of whom it has not accepted. */
static void for_each_child(struct unix_sock *u, child_fn *fn, struct list *found)
{
	struct unix_sock *e;

	mutex_lock(&u->sk.lock);
	queue_children_locked(u, fn, found);
	list_for_each(e, &u->embryos, embryo_node) {
		mutex_lock(&e->sk.lock); /* nobody else has both */
		queue_children_locked(e, fn, found);
		mutex_unlock(&e->sk.lock);
	}
	mutex_unlock(&u->sk.lock);
}

static void subtract(struct unix_sock *child, struct list *found)
{
	child->flight.left--;
}

static void reach(struct unix_sock *child, struct list *found)
{
	child->flight.candidate = false;
	list_del(&child->flight.gc_node);
	list_add_tail(found, &child->flight.gc_node);
}

static void find_candidates(struct list *candidates) REQUIRES(gc_lock)
{
	struct unix_sock *u;

	list_for_each(u, &flying, flight.node) {
		u->flight.candidate = atomic_load(&u->sk.file.ref.n) == u->flight.count;
		u->flight.left = u->flight.count;
		list_init(&u->flight.gc_node);
		if (u->flight.candidate)
			list_add_tail(candidates, &u->flight.gc_node);
	}
	list_for_each(u, candidates, flight.gc_node)
		for_each_child(u, subtract, NULL);
}

/* What is held from outside leaves the list, with all that it holds. */
static void remove_reachable(struct list *candidates) REQUIRES(gc_lock)
{
	struct list found = LIST_INIT(found);
	struct unix_sock *u, *next;

	list_for_each_safe(u, next, candidates, flight.gc_node)
		if (u->flight.left > 0)
			reach(u, &found);
	while (!list_empty(&found)) {
		u = list_first(&found, struct unix_sock, flight.gc_node);
		list_del(&u->flight.gc_node);
		for_each_child(u, reach, &found);
	}
}

static void empty_queue_locked(struct unix_sock *u, struct list *bufs) REQUIRES(u->sk.lock)
{
	list_splice_tail(bufs, &u->queue);
	if (u->state != UNIX_LISTENING)
		u->qlen = 0;
	u->queued = 0;
}

static void empty(struct unix_sock *u, struct list *bufs)
{
	struct unix_sock *e;

	mutex_lock(&u->sk.lock);
	empty_queue_locked(u, bufs);
	list_for_each(e, &u->embryos, embryo_node) {
		mutex_lock(&e->sk.lock);
		empty_queue_locked(e, bufs);
		mutex_unlock(&e->sk.lock);
	}
	mutex_unlock(&u->sk.lock);
}

void unix_gc(void)
{
	static _Thread_local bool collecting; /* closing what was found comes here again */
	struct list candidates = LIST_INIT(candidates), bufs = LIST_INIT(bufs);

	if (collecting || !atomic_load(&nflying))
		return;
	collecting = true;
	mutex_lock(&gc_lock);
	find_candidates(&candidates);
	remove_reachable(&candidates);
	while (!list_empty(&candidates)) {
		struct unix_sock *u = list_first(&candidates, struct unix_sock, flight.gc_node);

		list_del(&u->flight.gc_node);
		empty(u, &bufs);
	}
	mutex_unlock(&gc_lock);
	unix_bufs_free(&bufs);
	collecting = false;
}
