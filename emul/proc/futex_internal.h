/* SPDX-License-Identifier: MIT */
/*
 * Futex queues, between futex.c (plain operations), futex_waitv.c and futex_pi.c.
 *
 * Theory of operation. A futex word is named by a key (mm_futex_key): sleepers on it hang in the hash
 * bucket of the key. A sleeper compares the word and queues itself under the bucket's lock; a waker
 * changed the word before it takes that lock: so either the sleeper sees the new value or the waker
 * sees the sleeper. The word is read under the bucket lock, which is outside mm->lock; the page was
 * faulted in by the key look-up, so this does not sleep.
 *
 * A queued entry (futex_q) lives on the sleeper's stack. A waker takes it off the queue, stores
 * `woken` as its last access, and wakes the task's waiter through its own reference on the task.
 */
#ifndef EMUL_PROC_FUTEX_INTERNAL_H
#define EMUL_PROC_FUTEX_INTERNAL_H

#include "emul/proc/task.h"

struct futex_bucket {
	struct mutex lock;
	struct list waiters;   /* lock: futex_q.node */
	struct list pi_states; /* lock: pi_state.node */
};

struct pi_state;
struct futex_q {
	struct list node;
	struct futex_bucket *_Atomic bucket; /* where it hangs; NULL: nowhere. Changes under both buckets' locks */
	struct futex_key key;
	uint32_t bitset;
	struct task *task;
	_Atomic bool woken;
	bool requeue_pi;            /* FUTEX_WAIT_REQUEUE_PI: only FUTEX_CMP_REQUEUE_PI may move it, to pi_key */
	struct futex_key pi_key;
	gva_t pi_uaddr;
	struct pi_state *pi;        /* waits for this lock; bucket's lock */
	int priority;               /* smaller first */
};

struct futex_bucket;
bool futex_pi_waits(struct futex_bucket *b, struct futex_key key); /* does anybody sleep for the PI lock? b locked */
static inline bool futex_key_same(struct futex_key a, struct futex_key b) { return a.a == b.a && a.b == b.b; }
#define FUTEX_NBUCKETS 256
struct futex_bucket *futex_bucket(struct futex_key key);
struct futex_bucket *futex_bucket_at(unsigned i);                /* i < FUTEX_NBUCKETS */
void futex_lock_buckets(struct futex_bucket *a, struct futex_bucket *b);
void futex_unlock_buckets(struct futex_bucket *a, struct futex_bucket *b);
void futex_q_init(struct futex_q *q, struct task *t, struct futex_key key, uint32_t bitset);
void futex_queue(struct futex_bucket *b, struct futex_q *q);     /* bucket locked */
void futex_wake_q(struct futex_q *q);                            /* bucket locked; q is gone after it */
bool futex_unqueue(struct futex_q *q);                           /* false: it was woken */
/* Sleeps until woken, deadline or signal; q is off every queue afterwards. 0, -ETIMEDOUT, -ERESTARTSYS. */
int futex_sleep(struct futex_q *q, struct deadline d);

/* futex_pi.c */
long futex_lock_pi(struct task *t, gva_t uaddr, bool shared, struct deadline d, bool try_only);
long futex_unlock_pi(struct task *t, gva_t uaddr, bool shared);
long futex_wait_requeue_pi(struct task *t, gva_t uaddr, bool shared, uint32_t val, struct deadline d, uint32_t bitset, gva_t uaddr2);
long futex_cmp_requeue_pi(struct task *t, gva_t uaddr, bool shared, int nr_wake, int nr_requeue, gva_t uaddr2, uint32_t cmpval);

#endif
