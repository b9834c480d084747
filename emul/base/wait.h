/* SPDX-License-Identifier: MIT */
/*
 * Wait queues and the sleeping thread.
 *
 * Theory of operation. A `waiter` is one host thread's ability to sleep; a task embeds one and
 * binds it to its host thread (waiter_bind). Signals do not know wait queues: they set the
 * waiter's `interrupted` flag and wake it (waiter_interrupt); base knows no tasks.
 * A `waitq` belongs to an object. The sleeper does
 *
 *     mutex_lock(&obj->lock);
 *     while (!condition && r == 0)
 *             r = waitq_sleep(&obj->wq, &obj->lock, deadline);
 *
 * and the waker changes the condition under obj->lock, then calls waitq_wake(). The entry is
 * queued before the lock is dropped, so no wake-up is lost.
 * A thread whose bound waiter has `may_sleep == false` (a helper that answers calls on behalf of
 * vCPUs) gets -EWOULDSLEEP at once: the call is then repeated on the task's own thread.
 *
 * poll/select/epoll hang `waitq_entry` callbacks on several queues at once.
 *
 * Lock order: object lock -> waitq->lock. A callback runs with waitq->lock held: it may only set
 * flags, call waiter_wake() and take locks that are documented as inner to it (epoll's ready lock).
 */
#ifndef EMUL_BASE_WAIT_H
#define EMUL_BASE_WAIT_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "emul/base/list.h"
#include "emul/base/mutex.h"

#define EWOULDSLEEP 530 /* internal: come back on the task's own thread */

/* An absolute deadline in ns on one clock. */
struct deadline {
	int clock;  /* CLOCK_MONOTONIC, CLOCK_REALTIME or CLOCK_BOOTTIME */
	int64_t ns; /* INT64_MAX: for ever */
};
#define FOREVER ((struct deadline){ CLOCK_MONOTONIC, INT64_MAX })

int64_t clock_now(int clock);                         /* ns */
struct deadline deadline_after(int clock, int64_t ns); /* saturates; ns < 0 counts as 0 */
static inline bool deadline_is_forever(struct deadline d) { return d.ns == INT64_MAX; }

struct waiter {
	_Atomic uint32_t woken;     /* the futex word: 0 not woken, 1 woken, 2 not woken and asleep in the host */
	_Atomic bool interrupted;   /* a signal wants the thread back */
	_Atomic bool in_host_wait;  /* sleeping in host_wait(): needs a host signal to come back */
	_Atomic int tid;            /* host thread, 0 = not bound */
	_Atomic uint64_t nsleeps;   /* times it slept */
	bool may_sleep;             /* constant after waiter_init() */
};

void waiter_init(struct waiter *w, bool may_sleep);
void waiter_bind(struct waiter *w); /* to the calling host thread; NULL unbinds */
struct waiter *waiter_current(void); /* of the calling host thread; own static one if none is bound */
void waiter_prepare(struct waiter *w); /* woken = 0; call before queueing entries */
void waiter_wake(struct waiter *w);
/* Sleeps until woken. 0, -ETIMEDOUT, -ERESTARTSYS (interrupted), -EWOULDSLEEP. No lock held. */
int waiter_block(struct waiter *w, struct deadline d);
void waiter_interrupt(struct waiter *w);
static inline void waiter_clear_interrupt(struct waiter *w) { atomic_store(&w->interrupted, false); }

/* The host signal that ends host_wait() and KVM_RUN; its handler is installed by wait_boot(). */
#define SIG_KICK (SIGRTMIN + 5)
int wait_boot(void);
/* Runs in the handler of SIG_KICK on the kicked thread (async-signal-safe!): vmm sets immediate_exit here. Set before threads start. */
extern void (*wait_kick_hook)(void);
/* Runs on a thread right before it sleeps for an event: it only takes note. Set before threads start. */
extern void (*wait_sleep_hook)(void);

/*
 * Sleeps in the host until fd is ready for `events` (POLLIN...): for host descriptors that a thread
 * must wait on directly. No lock held. 0, -ETIMEDOUT, -ERESTARTSYS, -EWOULDSLEEP.
 */
int host_wait(int fd, short events, struct deadline d);

/*
 * This thread holds no lock: what it could not do under one is done now (emul/vfs/async.c). Before it sleeps on a queue, and
 * after a callback of the reactor. Set before threads start; NULL: nothing is ever put off.
 */
extern void (*wait_unlocked_hook)(void);

struct waitq {
	struct mutex lock;
	struct list entries;  /* lock: of waitq_entry.node; ordinary ones first, then exclusive ones in order of arrival */
	_Atomic unsigned nr;  /* entries; lets waitq_wake() skip an empty queue without its lock */
};

#define WAITQ_INIT(wq) { .lock = MUTEX_INIT, .entries = LIST_INIT((wq).entries) }

struct waitq_entry {
	struct list node;
	struct waitq *wq; /* NULL: not queued */
	/* events: EPOLL* bits that became true, or 0 = unknown. true = this exclusive entry took the wake-up */
	bool (*wake)(struct waitq_entry *e, uint32_t events);
	bool exclusive;
};

void waitq_init(struct waitq *wq);
void waitq_fini(struct waitq *wq);
void waitq_add(struct waitq *wq, struct waitq_entry *e);
void waitq_del(struct waitq_entry *e); /* after it no callback runs or will run; harmless if not queued */
/* All ordinary entries; of exclusive ones the first that takes it. The condition was changed before, under a lock that
 * the other side takes after queueing, or by a seq_cst atomic: then an empty queue can be skipped safely. */
void waitq_wake(struct waitq *wq, uint32_t events);
bool waitq_active(struct waitq *wq);

/* Queues the calling thread's waiter, drops lock, sleeps, takes lock. 0 (look again), -ETIMEDOUT, -ERESTARTSYS, -EWOULDSLEEP. */
int waitq_sleep(struct waitq *wq, struct mutex *lock, struct deadline d) REQUIRES(*lock);
/* As waitq_sleep(), but only waitq_wake() and the deadline end it (for short, certain waits). */
int waitq_sleep_uninterruptible(struct waitq *wq, struct mutex *lock, struct deadline d) REQUIRES(*lock);

#endif
