/* SPDX-License-Identifier: MIT */
/*
 * Sleeping threads (waiter_*, host_wait) and wait queues (waitq_*); wait.h has the theory.
 *
 * The futex word of a waiter is 0, 1 (woken) or 2 (asleep): a waker enters the host only for a
 * sleeper. Interruption is Dekker's pattern: the sleeper says "asleep", then looks at `interrupted`;
 * the interrupter sets `interrupted`, then looks for "asleep". Both sides are seq_cst.
 * An interrupt does not count as a wake-up: the word goes back to 0.
 */
/* host syscalls: futex gettid tgkill ppoll rt_sigprocmask rt_sigaction clock_gettime */
#include "emul/base/wait.h"

#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emul/base/err.h"

#define NS 1000000000LL

enum { ASLEEP_NO = 0, WOKEN = 1, ASLEEP = 2 };

void (*wait_kick_hook)(void);
void (*wait_unlocked_hook)(void);
void (*wait_sleep_hook)(void);

static _Thread_local struct waiter *bound;
static _Thread_local struct waiter own; /* of threads that bound none */

/* --- time --------------------------------------------------------------------------------------- */

int64_t clock_now(int clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * NS + ts.tv_nsec;
}

struct deadline deadline_after(int clock, int64_t ns)
{
	struct deadline d = { clock, INT64_MAX };

	if (ns == INT64_MAX)
		return d;
	if (__builtin_add_overflow(clock_now(clock), ns < 0 ? 0 : ns, &d.ns))
		d.ns = INT64_MAX;
	return d;
}

static struct timespec to_timespec(int64_t ns)
{
	if (ns < 0)
		ns = 0;
	return (struct timespec){ .tv_sec = ns / NS, .tv_nsec = ns % NS };
}

/* --- waiters ------------------------------------------------------------------------------------ */

void waiter_init(struct waiter *w, bool may_sleep)
{
	atomic_init(&w->woken, ASLEEP_NO);
	atomic_init(&w->interrupted, false);
	atomic_init(&w->in_host_wait, false);
	atomic_init(&w->tid, 0);
	w->may_sleep = may_sleep;
}

void waiter_bind(struct waiter *w)
{
	if (bound)
		atomic_store(&bound->tid, 0);
	if (w)
		atomic_store(&w->tid, (int)gettid());
	bound = w;
}

struct waiter *waiter_current(void)
{
	if (bound)
		return bound;
	if (!own.may_sleep) {
		waiter_init(&own, true);
		atomic_store(&own.tid, (int)gettid());
	}
	return &own;
}

void waiter_prepare(struct waiter *w)
{
	atomic_store(&w->woken, ASLEEP_NO);
}

static void futex_wake(_Atomic uint32_t *word)
{
	/* The word may be gone by then: the worst that comes of it is a spurious wake-up of a stranger. */
	mutex_wake_unlocked(word);
}

void waiter_wake(struct waiter *w)
{
	if (atomic_exchange(&w->woken, WOKEN) == ASLEEP)
		futex_wake(&w->woken);
}

void waiter_interrupt(struct waiter *w)
{
	uint32_t asleep = ASLEEP;
	int tid;

	atomic_store(&w->interrupted, true);
	if (atomic_compare_exchange_strong(&w->woken, &asleep, ASLEEP_NO))
		futex_wake(&w->woken);
	tid = atomic_load(&w->tid);
	if (tid && atomic_load(&w->in_host_wait))
		syscall(SYS_tgkill, getpid(), tid, SIG_KICK);
}

/* One futex wait until the word is not ASLEEP any more. 0 (look again) or -ETIMEDOUT. */
static int futex_sleep(_Atomic uint32_t *word, struct deadline d)
{
	int op = FUTEX_WAIT_BITSET_PRIVATE;
	struct timespec ts, *until = NULL;
	int64_t ns = d.ns;
	long r;

	if (!deadline_is_forever(d)) {
		if (d.clock == CLOCK_REALTIME)
			op |= FUTEX_CLOCK_REALTIME;
		else if (d.clock == CLOCK_BOOTTIME) /* futex(2) does not know it: one step on the clock it knows */
			ns = clock_now(CLOCK_MONOTONIC) + MAX(0, d.ns - clock_now(CLOCK_BOOTTIME));
		ts = to_timespec(ns);
		until = &ts;
	}
	r = HOST(syscall(SYS_futex, word, op, ASLEEP, until, NULL, FUTEX_BITSET_MATCH_ANY));
	if (r != -ETIMEDOUT || (d.clock == CLOCK_BOOTTIME && clock_now(CLOCK_BOOTTIME) < d.ns))
		return 0;
	return -ETIMEDOUT;
}

static void note_sleep(struct waiter *w)
{
	atomic_fetch_add_explicit(&w->nsleeps, 1, memory_order_relaxed);
	mutex_send_wakes();
	if (wait_sleep_hook)
		wait_sleep_hook();
}

static int block(struct waiter *w, struct deadline d, bool interruptible)
{
	int r = 0;

	for (;;) {
		uint32_t idle = ASLEEP_NO;

		/* Woken and interrupted or late: the wake-up counts, as its sender believes it was used. */
		if (!atomic_compare_exchange_strong(&w->woken, &idle, ASLEEP) && idle == WOKEN)
			return 0;
		if (r == 0 && interruptible && atomic_load(&w->interrupted))
			r = -ERESTARTSYS;
		if (r < 0) {
			idle = ASLEEP;
			/* Losing this race means that a wake-up came in: take it. */
			if (atomic_compare_exchange_strong(&w->woken, &idle, ASLEEP_NO) || idle != WOKEN)
				return r;
			return 0;
		}
		note_sleep(w);
		r = futex_sleep(&w->woken, d);
	}
}

int waiter_block(struct waiter *w, struct deadline d)
{
	if (atomic_load(&w->woken) == WOKEN)
		return 0;
	if (!waiter_current()->may_sleep)
		return -EWOULDSLEEP;
	return block(w, d, true);
}

/* --- sleeping in the host ------------------------------------------------------------------------ */

static void on_kick(int sig)
{
	int saved = errno;

	(void)sig;
	if (wait_kick_hook)
		wait_kick_hook();
	errno = saved;
}

int wait_boot(void)
{
	struct sigaction sa = { .sa_handler = on_kick }; /* no SA_RESTART: calls end with EINTR */

	sigfillset(&sa.sa_mask);
	return (int)HOST(sigaction(SIG_KICK, &sa, NULL));
}

/* ppoll's relative timeout; NULL: none. */
static struct timespec *timeout_left(struct deadline d, struct timespec *buf)
{
	if (deadline_is_forever(d))
		return NULL;
	*buf = to_timespec(d.ns - clock_now(d.clock));
	return buf;
}

/* SIG_KICK is blocked here and open inside ppoll only: a kick is never lost between look and sleep. */
static int host_wait_blocked(struct waiter *w, struct pollfd *p, struct deadline d, const sigset_t *open)
{
	struct timespec ts;

	for (;;) {
		long r;

		if (atomic_load(&w->interrupted))
			return -ERESTARTSYS;
		r = HOST(ppoll(p, 1, timeout_left(d, &ts), open));
		if (r > 0)
			return 0;
		if (r == 0 && (d.clock == CLOCK_MONOTONIC || clock_now(d.clock) >= d.ns))
			return -ETIMEDOUT;
		if (r < 0 && r != -EINTR)
			return (int)r;
	}
}

int host_wait(int fd, short events, struct deadline d)
{
	struct waiter *w = waiter_current();
	struct pollfd p = { .fd = fd, .events = events };
	sigset_t kick, old, open;
	int r;

	if (!w->may_sleep)
		return poll(&p, 1, 0) > 0 ? 0 : -EWOULDSLEEP;
	sigemptyset(&kick);
	sigaddset(&kick, SIG_KICK);
	pthread_sigmask(SIG_BLOCK, &kick, &old);
	open = old;
	sigdelset(&open, SIG_KICK);
	atomic_store(&w->in_host_wait, true);
	note_sleep(w);
	r = host_wait_blocked(w, &p, d, &open);
	atomic_store(&w->in_host_wait, false);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

/* --- wait queues --------------------------------------------------------------------------------- */

void waitq_init(struct waitq *wq)
{
	mutex_init(&wq->lock);
	list_init(&wq->entries);
	atomic_init(&wq->nr, 0);
}

void waitq_fini(struct waitq *wq)
{
	assert(list_empty(&wq->entries));
	mutex_fini(&wq->lock);
}

void waitq_add(struct waitq *wq, struct waitq_entry *e)
{
	mutex_lock(&wq->lock);
	if (e->exclusive)
		list_add_tail(&wq->entries, &e->node);
	else
		list_add(&wq->entries, &e->node);
	e->wq = wq;
	atomic_fetch_add(&wq->nr, 1); /* a full barrier: whoever looks at the condition next comes after it */
	mutex_unlock(&wq->lock);
}

void waitq_del(struct waitq_entry *e)
{
	struct waitq *wq = e->wq;

	if (!wq)
		return;
	mutex_lock(&wq->lock);
	list_del(&e->node);
	atomic_fetch_sub(&wq->nr, 1);
	e->wq = NULL;
	mutex_unlock(&wq->lock);
}

bool waitq_active(struct waitq *wq)
{
	return atomic_load(&wq->nr) != 0;
}

void waitq_wake(struct waitq *wq, uint32_t events)
{
	struct waitq_entry *e, *next;

	if (!waitq_active(wq))
		return;
	mutex_lock(&wq->lock);
	list_for_each_safe(e, next, &wq->entries, node)
		if (e->wake(e, events) && e->exclusive)
			break;
	mutex_unlock(&wq->lock);
}

struct sleeper {
	struct waitq_entry entry;
	struct waiter *waiter;
};

static bool wake_sleeper(struct waitq_entry *e, uint32_t events)
{
	(void)events;
	waiter_wake(container_of(e, struct sleeper, entry)->waiter);
	return true;
}

static int sleep_on(struct waitq *wq, struct mutex *lock, struct deadline d, bool interruptible) REQUIRES(*lock)
{
	struct sleeper s = { .entry.wake = wake_sleeper, .waiter = waiter_current() };
	int r;

	mutex_assert_held(lock);
	waiter_prepare(s.waiter);
	waitq_add(wq, &s.entry);
	mutex_unlock(lock);
	if (interruptible && wait_unlocked_hook)
		wait_unlocked_hook();
	r = block(s.waiter, d, interruptible);
	waitq_del(&s.entry);
	/* A caller further out that had queued itself elsewhere must look again: its wake-up may have gone to us. */
	atomic_store(&s.waiter->woken, WOKEN);
	mutex_lock(lock);
	return r;
}

int waitq_sleep(struct waitq *wq, struct mutex *lock, struct deadline d)
{
	if (!waiter_current()->may_sleep)
		return -EWOULDSLEEP;
	return sleep_on(wq, lock, d, true);
}

int waitq_sleep_uninterruptible(struct waitq *wq, struct mutex *lock, struct deadline d)
{
	return sleep_on(wq, lock, d, false);
}
