/* SPDX-License-Identifier: MIT */
/*
 * Priority-inheritance futexes: ownership is the tid in the word, and the VMM hands it over.
 * kernel/futex/pi.c and requeue.c; man 2 futex, "Priority-inheritance futexes".
 *
 * A pi_state exists while somebody sleeps for a lock: it knows the owner and the sleepers, the most
 * urgent first. Unlocking gives the word straight to the first sleeper, so nobody can steal it.
 * What differs from Linux: the owner is not lent its waiters' priority on the host (host threads of
 * real-time programs have their own priority where the host permits it).
 */
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>

#include "emul/base/err.h"
#include "emul/proc/futex_internal.h"

struct pi_state {
	struct list node;      /* bucket->pi_states */
	struct futex_key key;
	pid_t owner;
	struct list waiters;   /* futex_q.node */
};

static _Atomic unsigned pi_states; /* so that an exiting thread need not search when there are none */

static struct pi_state *find_state(struct futex_bucket *b, struct futex_key key)
{
	struct pi_state *s;

	list_for_each(s, &b->pi_states, node)
		if (futex_key_same(s->key, key))
			return s;
	return NULL;
}

bool futex_pi_waits(struct futex_bucket *b, struct futex_key key)
{
	return find_state(b, key) != NULL;
}

static struct pi_state *new_state(struct futex_bucket *b, struct futex_key key, pid_t owner)
{
	struct pi_state *s = malloc(sizeof(*s));

	if (!s)
		return NULL;
	s->key = key;
	s->owner = owner;
	list_init(&s->waiters);
	list_add_tail(&b->pi_states, &s->node);
	atomic_fetch_add(&pi_states, 1);
	return s;
}

static void drop_if_unused(struct pi_state *s)
{
	if (!list_empty(&s->waiters))
		return;
	list_del(&s->node);
	atomic_fetch_sub(&pi_states, 1);
	free(s);
}

static void add_waiter(struct futex_bucket *b, struct pi_state *s, struct futex_q *q)
{
	struct futex_q *at;

	q->pi = s;
	atomic_store(&q->bucket, b);
	list_for_each(at, &s->waiters, node)
		if (at->priority > q->priority)
			break;
	list_add_tail(&at->node, &q->node);
}

/* Replaces the word whatever happens to it meanwhile, as long as it still is `*old`; *old follows it. */
static long set_word(struct mm *mm, gva_t uaddr, uint32_t *old, uint32_t new_val)
{
	uint32_t seen;
	long r = cmpxchg_guest_u32(mm, uaddr, *old, new_val, &seen);

	if (r < 0)
		return r;
	if (seen == *old)
		return 0;
	*old = seen;
	return -EAGAIN;
}

/* 0: it can be waited for; -EBUSY: it is ending, and has not come to its locks; -ESRCH: it has. */
static int owner_state(pid_t tid)
{
	AUTO(task) t = task_find(tid);

	if (!t || atomic_load(&t->futexes_left))
		return -ESRCH;
	return t->exiting ? -EBUSY : 0;
}

/*
 * handle_exit_race(): an owner that is not there may have unlocked before it ended. 0: the word is another now, look
 * again; -EBUSY, -ESRCH as they were.
 */
static long owner_gone(struct mm *mm, gva_t uaddr, uint32_t *word, long why)
{
	uint32_t now;
	long r = get_guest_u32(mm, uaddr, &now);

	if (r < 0 || now == *word)
		return r < 0 ? r : why;
	*word = now;
	return 0;
}

/* Until the owner that is ending has left its locks. */
static long retry_later(struct task *t)
{
	if (!waiter_current()->may_sleep)
		return -EWOULDSLEEP;
	if (signal_wants_task(t))
		return -ERESTARTNOINTR;
	sched_yield();
	return 0;
}

/*
 * Takes the lock for `tid` or records that it is wanted. 1: taken; 0: *ret_state is where to sleep (made if
 * needed); -EDEADLK, -ESRCH, -EBUSY (try again when its owner has ended), -EINVAL, -EFAULT, -ENOMEM. Bucket locked.
 */
static long take_or_mark(struct mm *mm, struct futex_bucket *b, struct futex_key key, gva_t uaddr, pid_t tid,
			 bool mark_waiters, bool try_only, struct pi_state **ret_state)
{
	struct pi_state *s;
	uint32_t word;
	long r = get_guest_u32(mm, uaddr, &word);

	while (r == 0) {
		pid_t owner = (pid_t)(word & FUTEX_TID_MASK);
		int gone;

		if (owner == tid)
			return -EDEADLK;
		s = find_state(b, key);
		if (s && s->owner != owner)
			return -EINVAL; /* user space changed the word under its sleepers */
		if (!s && !owner) {
			r = set_word(mm, uaddr, &word, (word & FUTEX_OWNER_DIED) | (uint32_t)tid |
							       (mark_waiters ? FUTEX_WAITERS : 0));
			if (r == 0)
				return 1;
		} else if (!s && (gone = owner_state(owner)) < 0) {
			r = owner_gone(mm, uaddr, &word, gone);
		} else {
			if (!(word & FUTEX_WAITERS)) /* a failed FUTEX_TRYLOCK_PI sets it too, as Linux does */
				r = set_word(mm, uaddr, &word, word | FUTEX_WAITERS);
			if (r == 0 && try_only)
				return -EWOULDBLOCK;
			if (r == 0) {
				*ret_state = s ? s : new_state(b, key, owner);
				return *ret_state ? 0 : -ENOMEM;
			}
		}
		if (r == -EAGAIN)
			r = 0; /* the word changed: look again */
	}
	return r;
}

/* Gives the lock to the first sleeper. died: its owner did. Bucket locked. */
static long hand_over(struct mm *mm, gva_t uaddr, struct pi_state *s, bool died)
{
	struct futex_q *q = list_first(&s->waiters, struct futex_q, node);
	uint32_t word, next = FUTEX_WAITERS | (uint32_t)q->task->tid | (died ? FUTEX_OWNER_DIED : 0);
	long r = get_guest_u32(mm, uaddr, &word);

	while (r == 0) {
		r = set_word(mm, uaddr, &word, next);
		if (r != -EAGAIN)
			break;
		r = (pid_t)(word & FUTEX_TID_MASK) == s->owner ? 0 : -EINVAL;
	}
	if (r < 0)
		return r;
	s->owner = q->task->tid;
	q->pi = NULL;
	futex_wake_q(q);
	drop_if_unused(s);
	return 0;
}

/* Sleeps for the lock. The state goes with its last sleeper. 0: the lock is ours. */
static long sleep_for_lock(struct futex_bucket *b, struct futex_q *q, struct deadline d)
{
	struct pi_state *s;
	int r = 0;

	while (!atomic_load(&q->woken) && r == 0) {
		r = waiter_block(&q->task->waiter, d);
		waiter_prepare(&q->task->waiter);
	}
	mutex_lock(&b->lock);
	s = q->pi;
	if (s) { /* still queued */
		list_del(&q->node);
		atomic_store(&q->bucket, NULL);
		q->pi = NULL;
		drop_if_unused(s);
	}
	mutex_unlock(&b->lock);
	return s ? r : 0;
}

long futex_lock_pi(struct task *t, gva_t uaddr, bool shared, struct deadline d, bool try_only)
{
	struct pi_state *s = NULL;
	struct futex_bucket *b;
	struct futex_key key;
	struct futex_q q;
	long r = mm_futex_key(t->mm, uaddr, shared, &key);

	if (r < 0)
		return r;
	b = futex_bucket(key);
	futex_q_init(&q, t, key, FUTEX_BITSET_MATCH_ANY);
	for (;;) {
		waiter_prepare(&t->waiter);
		mutex_lock(&b->lock);
		r = take_or_mark(t->mm, b, key, uaddr, t->tid, false, try_only, &s);
		if (r == 0) {
			q.pi_uaddr = uaddr;
			add_waiter(b, s, &q);
		}
		mutex_unlock(&b->lock);
		if (r != -EBUSY)
			break;
		r = retry_later(t);
		if (r < 0)
			return r;
	}
	if (r != 0)
		return r > 0 ? 0 : r;
	r = sleep_for_lock(b, &q, d);
	return r == -ERESTARTSYS ? -ERESTARTNOINTR : r;
}

long futex_unlock_pi(struct task *t, gva_t uaddr, bool shared)
{
	struct futex_bucket *b;
	struct futex_key key;
	struct pi_state *s;
	uint32_t word;
	long r = get_guest_u32(t->mm, uaddr, &word);

	if (r < 0)
		return r;
	if ((pid_t)(word & FUTEX_TID_MASK) != t->tid)
		return -EPERM;
	r = mm_futex_key(t->mm, uaddr, shared, &key);
	if (r < 0)
		return r;
	b = futex_bucket(key);
	mutex_lock(&b->lock);
	s = find_state(b, key);
	if (s && s->owner != t->tid) {
		r = -EINVAL;
	} else if (s) {
		r = hand_over(t->mm, uaddr, s, false);
	} else {
		do {
			r = set_word(t->mm, uaddr, &word, 0);
		} while (r == -EAGAIN && (pid_t)(word & FUTEX_TID_MASK) == t->tid);
	}
	mutex_unlock(&b->lock);
	return r;
}

/* --- condition variables: wait on one word, get the lock at another ------------------------------- */

long futex_wait_requeue_pi(struct task *t, gva_t uaddr, bool shared, uint32_t val, struct deadline d, uint32_t bitset,
			   gva_t uaddr2)
{
	struct futex_bucket *b, *b2;
	struct futex_key key;
	struct futex_q q;
	uint32_t now;
	bool requeued;
	long r;

	if (uaddr == uaddr2 || !bitset)
		return -EINVAL;
	r = mm_futex_key(t->mm, uaddr, shared, &key);
	if (r < 0)
		return r;
	futex_q_init(&q, t, key, bitset);
	r = mm_futex_key(t->mm, uaddr2, shared, &q.pi_key);
	if (r < 0)
		return r;
	if (futex_key_same(key, q.pi_key))
		return -EINVAL;
	q.requeue_pi = true;
	q.pi_uaddr = uaddr2;
	b = futex_bucket(key);
	b2 = futex_bucket(q.pi_key);
	waiter_prepare(&t->waiter);
	mutex_lock(&b->lock);
	r = get_guest_u32(t->mm, uaddr, &now);
	if (r == 0 && now != val)
		r = -EAGAIN;
	if (r == 0)
		futex_queue(b, &q);
	mutex_unlock(&b->lock);
	if (r < 0)
		return r;
	while (!atomic_load(&q.woken) && r == 0) {
		r = waiter_block(&t->waiter, d);
		waiter_prepare(&t->waiter);
	}
	futex_lock_buckets(b, b2);
	requeued = q.pi != NULL;
	if (requeued) {
		struct pi_state *s = q.pi;

		list_del(&q.node);
		q.pi = NULL;
		drop_if_unused(s);
	} else if (!atomic_load(&q.woken)) {
		list_del(&q.node);
	} else {
		r = 0;
	}
	atomic_store(&q.bucket, NULL);
	futex_unlock_buckets(b, b2);
	if (r == -ERESTARTSYS) /* the wait on the first word cannot be repeated once requeued */
		return requeued ? -EWOULDBLOCK : -ERESTARTNOINTR;
	return r;
}

/* Moves one sleeper to the lock, or gives it the lock. 1 or -errno. Both buckets locked. */
static long requeue_one(struct mm *mm, struct futex_bucket *b2, struct futex_q *q, gva_t uaddr2, bool more)
{
	struct pi_state *s = NULL;
	long r = take_or_mark(mm, b2, q->pi_key, uaddr2, q->task->tid, more, false, &s);

	if (r < 0)
		return r;
	q->requeue_pi = false;
	if (r > 0) {
		futex_wake_q(q);
		return 1;
	}
	list_del(&q->node);
	q->key = q->pi_key;
	add_waiter(b2, s, q);
	return 1;
}

long futex_cmp_requeue_pi(struct task *t, gva_t uaddr, bool shared, int nr_wake, int nr_requeue, gva_t uaddr2,
			  uint32_t cmpval)
{
	struct futex_bucket *b1, *b2;
	struct futex_key k1, k2;
	struct futex_q *q, *next;
	uint32_t now;
	long r, n = 0;

	if (uaddr == uaddr2 || nr_wake != 1 || nr_requeue < 0)
		return -EINVAL;
	r = mm_futex_key(t->mm, uaddr, shared, &k1);
	if (r == 0)
		r = mm_futex_key(t->mm, uaddr2, shared, &k2);
	if (r < 0)
		return r;
	if (futex_key_same(k1, k2))
		return -EINVAL;
	b1 = futex_bucket(k1);
	b2 = futex_bucket(k2);
again:
	futex_lock_buckets(b1, b2);
	r = get_guest_u32(t->mm, uaddr, &now);
	if (r == 0 && now != cmpval)
		r = -EAGAIN;
	list_for_each_safe(q, next, &b1->waiters, node) {
		if (r < 0 || n > nr_requeue)
			break;
		if (!futex_key_same(q->key, k1))
			continue;
		if (!q->requeue_pi || !futex_key_same(q->pi_key, k2)) {
			r = -EINVAL;
			break;
		}
		r = requeue_one(t->mm, b2, q, uaddr2, nr_requeue > 0);
		n += r > 0;
	}
	futex_unlock_buckets(b1, b2);
	if (r == -EBUSY && n == 0) {
		r = retry_later(t);
		if (r == 0)
			goto again;
	}
	return r < 0 && n == 0 ? r : n;
}

/* --- the owner dies ---------------------------------------------------------------------------------- */

/* The first lock in the bucket that t owns while others wait: handed over. false: none. */
static bool release_one(struct task *t, struct futex_bucket *b)
{
	struct pi_state *s;
	bool found = false;

	mutex_lock(&b->lock);
	list_for_each(s, &b->pi_states, node) {
		struct futex_q *q = list_first(&s->waiters, struct futex_q, node);

		if (s->owner != t->tid)
			continue;
		found = hand_over(t->mm, q->pi_uaddr, s, true) == 0;
		break;
	}
	mutex_unlock(&b->lock);
	return found;
}

void futex_exit_pi(struct task *t)
{
	if (!atomic_load(&pi_states) || !t->mm)
		return;
	for (unsigned i = 0; i < FUTEX_NBUCKETS; i++)
		while (release_one(t, futex_bucket_at(i)))
			;
}
