/* SPDX-License-Identifier: MIT */
/*
 * Pending signals: a bit for each number, a queue of siginfo behind it. A standard signal has at most
 * one entry, a real-time signal as many as were sent. Where an entry finds no room, standard signals
 * keep their bit and lose their siginfo, as in kernel/signal.c.
 */
#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/proc/signal_internal.h"
#include "emul/proc/timers.h"

#define QUEUED_MAX 262144 /* whatever the guest's own limit says: the VMM's memory is not the guest's to fill */

/* RLIMIT_SIGPENDING counts by user; an instance has one, but for programs that change theirs. */
static _Atomic long queued;

struct sigqueue *sigqueue_new_locked(struct proc *p, int sig, bool forced)
{
	uint64_t limit = p->limits[RLIMIT_SIGPENDING].rlim_cur;
	long n = atomic_fetch_add(&queued, 1) + 1;
	struct sigqueue *q = NULL;

	mutex_assert_held(&p->lock);
	if ((forced || (uint64_t)n <= limit) && n <= QUEUED_MAX)
		q = calloc(1, sizeof(*q));
	if (!q) {
		atomic_fetch_sub(&queued, 1);
		return NULL;
	}
	q->sig = sig;
	list_init(&q->node);
	return q;
}

long signal_queued(void)
{
	return atomic_load(&queued);
}

void sigqueue_free(struct sigqueue *q)
{
	list_del(&q->node);
	free(q);
	atomic_fetch_sub(&queued, 1);
}

void sigpending_init(struct sigpending *p)
{
	list_init(&p->queue);
	p->set = 0;
}

void sigpending_flush(struct sigpending *p)
{
	struct sigqueue *q, *next;

	list_for_each_safe(q, next, &p->queue, node)
		sigqueue_free(q);
	p->set = 0;
}

int sigpending_next(const struct sigpending *from, sigmask_t of)
{
	sigmask_t x = from->set & of;

	if (!x)
		return 0;
	if (x & SIGMASK_SYNC)
		x &= SIGMASK_SYNC;
	return __builtin_ctzll(x) + 1;
}

void sigpending_take(struct sigpending *from, int sig, siginfo_t *ret, void **ret_timer)
{
	struct sigqueue *q, *found = NULL;
	bool more = false;

	list_for_each(q, &from->queue, node) {
		if (q->sig != sig)
			continue;
		if (found) {
			more = true;
			break;
		}
		found = q;
	}
	if (!more)
		from->set &= ~SIGMASK(sig);
	*ret_timer = NULL;
	if (!found) {
		memset(ret, 0, sizeof(*ret));
		ret->si_signo = sig;
		ret->si_code = SI_USER;
		return;
	}
	*ret = found->info;
	*ret_timer = found->timer;
	sigqueue_free(found);
}

void sigpending_drop_locked(struct sigpending *from, sigmask_t mask)
{
	struct sigqueue *q, *next;

	if (!(from->set & mask))
		return;
	from->set &= ~mask;
	list_for_each_safe(q, next, &from->queue, node) {
		struct posix_timer *pt = q->timer;

		if (!(SIGMASK(q->sig) & mask))
			continue;
		sigqueue_free(q);
		if (pt)
			posix_timer_dropped_locked(pt);
	}
}

void sigpending_drop_timer(struct sigpending *from, void *timer)
{
	struct sigqueue *q, *next;
	sigmask_t left = 0, touched = 0;

	list_for_each_safe(q, next, &from->queue, node) {
		if (q->timer == timer) {
			touched |= SIGMASK(q->sig);
			sigqueue_free(q);
		} else {
			left |= SIGMASK(q->sig);
		}
	}
	from->set &= ~(touched & ~left);
}
