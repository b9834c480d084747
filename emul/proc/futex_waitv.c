/* SPDX-License-Identifier: MIT */
/* futex_waitv(2): sleeping on several words at once. kernel/futex/waitwake.c, futex_wait_multiple(). */
#include <linux/futex.h>
#include <stdlib.h>

#include "emul/base/err.h"
#include "emul/proc/futex_internal.h"

#ifndef FUTEX_32
#define FUTEX_32 2
#endif
#define WAITV_MAX 128

/* Takes entries [0, n) off; the index of one that was woken, or -1. */
static long unqueue_all(struct futex_q *q, unsigned n)
{
	long woken = -1;

	for (unsigned i = 0; i < n; i++)
		if (!futex_unqueue(&q[i])) {
			while (!atomic_load(&q[i].woken))
				sched_yield();
			woken = i;
		}
	return woken;
}

/* Queues all words whose value is as expected; stops at the first that is not: -EAGAIN, or the one woken meanwhile. */
static long queue_all(struct task *t, struct futex_q *q, const struct futex_waitv_item *v, unsigned n,
		      long *ret_woken)
{
	for (unsigned i = 0; i < n; i++) {
		struct futex_bucket *b = futex_bucket(q[i].key);
		uint32_t now;
		long r, woken;

		mutex_lock(&b->lock);
		r = get_guest_u32(t->mm, v[i].uaddr, &now);
		if (r == 0 && now != (uint32_t)v[i].val)
			r = -EAGAIN;
		if (r == 0)
			futex_queue(b, &q[i]);
		mutex_unlock(&b->lock);
		if (r < 0) {
			woken = unqueue_all(q, i);
			*ret_woken = woken;
			return woken >= 0 ? 0 : r;
		}
	}
	*ret_woken = -1;
	return 0;
}

static bool any_woken(struct futex_q *q, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (atomic_load(&q[i].woken))
			return true;
	return false;
}

static long init_all(struct task *t, struct futex_q *q, const struct futex_waitv_item *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct futex_key key;
		long r;

		if ((v[i].flags & ~(uint32_t)(FUTEX_32 | FUTEX_PRIVATE_FLAG)) || !(v[i].flags & FUTEX_32))
			return -EINVAL;
		if (v[i].val > UINT32_MAX)
			return -EINVAL;
		r = mm_futex_key(t->mm, v[i].uaddr, !(v[i].flags & FUTEX_PRIVATE_FLAG), &key);
		if (r < 0)
			return r;
		futex_q_init(&q[i], t, key, FUTEX_BITSET_MATCH_ANY);
	}
	return 0;
}

long futex_waitv_call(struct task *t, const struct futex_waitv_item *v, unsigned n, const struct deadline *timeout)
{
	AUTO_FREE struct futex_q *q = NULL;
	struct deadline d = timeout ? *timeout : FOREVER;
	long r, woken;

	if (!n || n > WAITV_MAX)
		return -EINVAL;
	q = calloc(n, sizeof(*q));
	if (!q)
		return -ENOMEM;
	r = init_all(t, q, v, n);
	if (r < 0)
		return r;
	waiter_prepare(&t->waiter);
	r = queue_all(t, q, v, n, &woken);
	if (r < 0 || woken >= 0)
		return r < 0 ? r : woken;
	while (!any_woken(q, n) && r == 0) {
		r = waiter_block(&t->waiter, d);
		waiter_prepare(&t->waiter);
	}
	woken = unqueue_all(q, n);
	return woken >= 0 ? woken : r;
}
