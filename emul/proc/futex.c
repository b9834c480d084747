/* SPDX-License-Identifier: MIT */
/*
 * futex(2) but for priority inheritance: wait, wake, requeue, wake_op. The order of checks and the
 * values returned follow kernel/futex/{syscalls,waitwake,requeue}.c. Theory: futex_internal.h.
 */
#include <linux/futex.h>

#include "emul/base/err.h"
#include "emul/proc/futex_internal.h"

static struct futex_bucket buckets[FUTEX_NBUCKETS];

/* Boot: tasks_boot() calls it, once. */
void futex_boot(void)
{
	for (int i = 0; i < FUTEX_NBUCKETS; i++) {
		mutex_init(&buckets[i].lock);
		list_init(&buckets[i].waiters);
		list_init(&buckets[i].pi_states);
	}
}

struct futex_bucket *futex_bucket(struct futex_key key)
{
	uint64_t h = (key.b >> 2) * 0x9e3779b97f4a7c15u ^ (key.a >> 4) * 0xc2b2ae3d27d4eb4fu;

	return &buckets[h >> 56];
}

struct futex_bucket *futex_bucket_at(unsigned i)
{
	return &buckets[i];
}

void futex_lock_buckets(struct futex_bucket *a, struct futex_bucket *b) NO_LOCK_ANALYSIS
{
	if (a == b)
		mutex_lock(&a->lock);
	else
		mutex_lock_two(&a->lock, &b->lock);
}

void futex_unlock_buckets(struct futex_bucket *a, struct futex_bucket *b) NO_LOCK_ANALYSIS
{
	mutex_unlock(&a->lock);
	if (a != b)
		mutex_unlock(&b->lock);
}

void futex_q_init(struct futex_q *q, struct task *t, struct futex_key key, uint32_t bitset)
{
	*q = (struct futex_q){ .key = key, .bitset = bitset, .task = t };
	/* Real-time threads come first, as plist order does; others in order of arrival. */
	q->priority = t->policy == SCHED_FIFO || t->policy == SCHED_RR ? 99 - t->priority : 100;
	list_init(&q->node);
}

void futex_queue(struct futex_bucket *b, struct futex_q *q)
{
	struct futex_q *at;

	mutex_assert_held(&b->lock);
	atomic_store(&q->bucket, b);
	list_for_each(at, &b->waiters, node)
		if (at->priority > q->priority)
			break;
	list_add_tail(&at->node, &q->node); /* before `at`, which is the head itself at the end */
}

void futex_wake_q(struct futex_q *q)
{
	struct task *t = task_get(q->task);

	list_del(&q->node);
	atomic_store(&q->bucket, NULL);
	atomic_store(&q->woken, true);
	waiter_wake(&t->waiter);
	task_put(t);
}

bool futex_unqueue(struct futex_q *q)
{
	for (;;) {
		struct futex_bucket *b = atomic_load(&q->bucket);

		if (!b)
			return false;
		mutex_lock(&b->lock);
		if (atomic_load(&q->bucket) == b) { /* else: requeued meanwhile */
			list_del(&q->node);
			atomic_store(&q->bucket, NULL);
			mutex_unlock(&b->lock);
			return true;
		}
		mutex_unlock(&b->lock);
	}
}

int futex_sleep(struct futex_q *q, struct deadline d)
{
	int r = 0;

	while (!atomic_load(&q->woken) && r == 0) {
		r = waiter_block(&q->task->waiter, d);
		waiter_prepare(&q->task->waiter); /* a stray wake-up: look again */
	}
	if (atomic_load(&q->woken) || !futex_unqueue(q)) {
		while (!atomic_load(&q->woken)) /* its waker is between unlinking and the store */
			sched_yield();
		return 0;
	}
	return r;
}

/* --- wait ----------------------------------------------------------------------------------------- */

static long restart_wait(struct task *t, struct restart_block *rb);

static long wait_until(struct task *t, gva_t uaddr, bool shared, uint32_t val, struct deadline d, uint32_t bitset)
{
	struct futex_bucket *b;
	struct futex_key key;
	struct futex_q q;
	uint32_t now;
	long r;

	if (!bitset)
		return -EINVAL;
	r = mm_futex_key(t->mm, uaddr, shared, &key);
	if (r < 0)
		return r;
	futex_q_init(&q, t, key, bitset);
	b = futex_bucket(key);
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
	r = futex_sleep(&q, d);
	if (r != -ERESTARTSYS || deadline_is_forever(d))
		return r;
	t->restart = (struct restart_block){ .fn = restart_wait, .at = d, .arg = { uaddr, val, bitset, shared } };
	return -ERESTART_RESTARTBLOCK;
}

static long restart_wait(struct task *t, struct restart_block *rb)
{
	struct restart_block b = *rb;

	return wait_until(t, b.arg[0], b.arg[3], (uint32_t)b.arg[1], b.at, (uint32_t)b.arg[2]);
}

/* --- wake ------------------------------------------------------------------------------------------- */

/* Wakes up to nr sleepers on the key whose bits meet; -EINVAL on one that waits for a PI lock. */
static long wake_key(struct futex_bucket *b, struct futex_key key, int nr, uint32_t bitset)
{
	struct futex_q *q, *next;
	long n = 0;

	list_for_each_safe(q, next, &b->waiters, node) {
		if (!futex_key_same(q->key, key))
			continue;
		if (q->pi || q->requeue_pi)
			return -EINVAL;
		if (!(q->bitset & bitset))
			continue;
		futex_wake_q(q);
		if (++n >= nr)
			return n;
	}
	return futex_pi_waits(b, key) ? -EINVAL : n;
}

static long wake(struct mm *mm, gva_t uaddr, bool shared, int nr, uint32_t bitset)
{
	struct futex_bucket *b;
	struct futex_key key;
	long r;

	if (!bitset)
		return -EINVAL;
	r = mm_futex_key(mm, uaddr, shared, &key);
	if (r < 0)
		return r;
	b = futex_bucket(key);
	mutex_lock(&b->lock);
	r = wake_key(b, key, nr, bitset);
	mutex_unlock(&b->lock);
	return r;
}

int futex_wake_simple(struct mm *mm, gva_t uaddr, int nr, bool shared)
{
	return (int)wake(mm, uaddr, shared, nr, FUTEX_BITSET_MATCH_ANY);
}

/* --- requeue ------------------------------------------------------------------------------------------ */

static long requeue(struct task *t, gva_t uaddr, bool shared, int nr_wake, int nr_requeue, gva_t uaddr2,
		    const uint32_t *cmpval)
{
	struct futex_bucket *b1, *b2;
	struct futex_key k1, k2;
	struct futex_q *q, *next;
	uint32_t now;
	long n = 0, r;

	if (nr_wake < 0 || nr_requeue < 0)
		return -EINVAL;
	r = mm_futex_key(t->mm, uaddr, shared, &k1);
	if (r == 0)
		r = mm_futex_key(t->mm, uaddr2, shared, &k2);
	if (r < 0)
		return r;
	b1 = futex_bucket(k1);
	b2 = futex_bucket(k2);
	futex_lock_buckets(b1, b2);
	if (cmpval) {
		r = get_guest_u32(t->mm, uaddr, &now);
		if (r == 0 && now != *cmpval)
			r = -EAGAIN;
	}
	list_for_each_safe(q, next, &b1->waiters, node) {
		if (r < 0 || n - nr_wake >= nr_requeue)
			break;
		if (!futex_key_same(q->key, k1))
			continue;
		if (q->pi || q->requeue_pi) {
			r = -EINVAL;
			break;
		}
		if (++n <= nr_wake) {
			futex_wake_q(q);
		} else if (!futex_key_same(k1, k2)) {
			list_del(&q->node);
			q->key = k2;
			futex_queue(b2, q);
		}
	}
	futex_unlock_buckets(b1, b2);
	return r < 0 ? r : n;
}

/* --- wake_op -------------------------------------------------------------------------------------------- */

/* Decodes and applies the operation on *uaddr; *ret: did the comparison of the old value hold? */
static long apply_op(struct mm *mm, gva_t uaddr, uint32_t code, bool *ret)
{
	int op = code >> 28 & 7, cmp = code >> 24 & 15;
	int32_t oparg = (int32_t)(code << 8) >> 20, cmparg = (int32_t)(code << 20) >> 20;
	uint32_t old, new_val, seen;
	long r;

	if (code & (uint32_t)FUTEX_OP_OPARG_SHIFT << 28)
		oparg = (int32_t)(1u << (oparg & 31));
	r = get_guest_u32(mm, uaddr, &old);
	for (; r == 0; old = seen) {
		switch (op) {
		case FUTEX_OP_SET: new_val = (uint32_t)oparg; break;
		case FUTEX_OP_ADD: new_val = old + (uint32_t)oparg; break;
		case FUTEX_OP_OR: new_val = old | (uint32_t)oparg; break;
		case FUTEX_OP_ANDN: new_val = old & ~(uint32_t)oparg; break;
		case FUTEX_OP_XOR: new_val = old ^ (uint32_t)oparg; break;
		default: return -ENOSYS;
		}
		r = cmpxchg_guest_u32(mm, uaddr, old, new_val, &seen);
		if (r == 0 && seen == old)
			break;
	}
	if (r < 0)
		return r;
	switch (cmp) {
	case FUTEX_OP_CMP_EQ: *ret = (int32_t)old == cmparg; return 0;
	case FUTEX_OP_CMP_NE: *ret = (int32_t)old != cmparg; return 0;
	case FUTEX_OP_CMP_LT: *ret = (int32_t)old < cmparg; return 0;
	case FUTEX_OP_CMP_LE: *ret = (int32_t)old <= cmparg; return 0;
	case FUTEX_OP_CMP_GT: *ret = (int32_t)old > cmparg; return 0;
	case FUTEX_OP_CMP_GE: *ret = (int32_t)old >= cmparg; return 0;
	default: return -ENOSYS;
	}
}

static long wake_op(struct task *t, gva_t uaddr, bool shared, gva_t uaddr2, int nr, int nr2, uint32_t code)
{
	struct futex_bucket *b1, *b2;
	struct futex_key k1, k2;
	bool hold = false;
	long r, n = 0;

	r = mm_futex_key(t->mm, uaddr, shared, &k1);
	if (r == 0)
		r = mm_futex_key(t->mm, uaddr2, shared, &k2);
	if (r < 0)
		return r;
	b1 = futex_bucket(k1);
	b2 = futex_bucket(k2);
	futex_lock_buckets(b1, b2);
	r = apply_op(t->mm, uaddr2, code, &hold);
	if (r == 0)
		r = n = wake_key(b1, k1, nr, FUTEX_BITSET_MATCH_ANY);
	if (r >= 0 && hold) {
		r = wake_key(b2, k2, nr2, FUTEX_BITSET_MATCH_ANY);
		if (r >= 0)
			r += n;
	}
	futex_unlock_buckets(b1, b2);
	return r;
}

/* --- the call --------------------------------------------------------------------------------------------- */

static bool takes_realtime(int cmd)
{
	return cmd == FUTEX_WAIT_BITSET || cmd == FUTEX_WAIT_REQUEUE_PI || cmd == FUTEX_LOCK_PI2;
}

static int read_deadline(int cmd, int op, const struct timespec *ts, struct deadline *ret)
{
	int clock = (op & FUTEX_CLOCK_REALTIME) || cmd == FUTEX_LOCK_PI ? CLOCK_REALTIME : CLOCK_MONOTONIC;
	int64_t ns;

	*ret = FOREVER;
	if (!ts)
		return 0;
	if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= 1000000000)
		return -EINVAL;
	if (__builtin_mul_overflow(ts->tv_sec, (int64_t)1000000000, &ns) || __builtin_add_overflow(ns, ts->tv_nsec, &ns))
		ns = INT64_MAX - 1;
	*ret = cmd == FUTEX_WAIT ? deadline_after(clock, ns) : (struct deadline){ clock, ns };
	return 0;
}

long futex_call(struct task *t, gva_t uaddr, int op, uint32_t val, const struct timespec *timeout, gva_t uaddr2,
		uint32_t val2, uint32_t val3)
{
	int cmd = op & FUTEX_CMD_MASK;
	bool shared = !(op & FUTEX_PRIVATE_FLAG);
	struct deadline d;
	int r;

	if ((op & FUTEX_CLOCK_REALTIME) && !takes_realtime(cmd))
		return -ENOSYS;
	r = read_deadline(cmd, op, timeout, &d);
	if (r < 0)
		return r;
	switch (cmd) {
	case FUTEX_WAIT:
		return wait_until(t, uaddr, shared, val, d, FUTEX_BITSET_MATCH_ANY);
	case FUTEX_WAIT_BITSET:
		return wait_until(t, uaddr, shared, val, d, val3);
	case FUTEX_WAKE:
		return wake(t->mm, uaddr, shared, (int)val, FUTEX_BITSET_MATCH_ANY);
	case FUTEX_WAKE_BITSET:
		return wake(t->mm, uaddr, shared, (int)val, val3);
	case FUTEX_REQUEUE:
		return requeue(t, uaddr, shared, (int)val, (int)val2, uaddr2, NULL);
	case FUTEX_CMP_REQUEUE:
		return requeue(t, uaddr, shared, (int)val, (int)val2, uaddr2, &val3);
	case FUTEX_WAKE_OP:
		return wake_op(t, uaddr, shared, uaddr2, (int)val, (int)val2, val3);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		return futex_lock_pi(t, uaddr, shared, d, false);
	case FUTEX_UNLOCK_PI:
		return futex_unlock_pi(t, uaddr, shared);
	case FUTEX_TRYLOCK_PI:
		return futex_lock_pi(t, uaddr, shared, FOREVER, true);
	case FUTEX_WAIT_REQUEUE_PI:
		return futex_wait_requeue_pi(t, uaddr, shared, val, d, FUTEX_BITSET_MATCH_ANY, uaddr2);
	case FUTEX_CMP_REQUEUE_PI:
		return futex_cmp_requeue_pi(t, uaddr, shared, (int)val, (int)val2, uaddr2, val3);
	default:
		return -ENOSYS;
	}
}
