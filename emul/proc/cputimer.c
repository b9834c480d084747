/* SPDX-License-Identifier: MIT */
/*
 * What happens after an amount of CPU time: ITIMER_VIRTUAL and ITIMER_PROF, timers on CPU clocks, RLIMIT_CPU.
 * A sampler runs while any of them is armed. It comes back when the earliest could be due if all processors
 * worked for the process, and more rarely while the process sleeps.
 *
 * Signals are sent from the sampler's own callback only, never by who arms something: that happens also in the
 * midst of sending and dropping signals (a timer goes on when its signal is gone), which must not start again.
 */
#include <time.h>

#include "emul/base/err.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/signal_internal.h"
#include "emul/proc/timers.h"

#define STEP_MIN 1000000   /* ns */
#define STEP_MAX 100000000
#define IDLE_SHIFT_MAX 5

/* On Linux the tick of a running thread finds the process's time to be up, and that thread gets the signal: profilers rely on it. */
static struct task *who_used_it(struct proc *p)
{
	uint64_t most = 0, now, at = 0;
	struct task *t, *ret = NULL;

	list_for_each(t, &p->threads, thread_node) {
		now = task_cpu_ns(t);
		if (now > t->profiled_ns && now - t->profiled_ns > most) {
			most = now - t->profiled_ns;
			at = now;
			ret = t;
		}
	}
	if (ret)
		ret->profiled_ns = at;
	return ret;
}

static void send(struct proc *p, int sig)
{
	siginfo_t info = signal_kernel_info(sig);

	signal_send_first_locked(p, who_used_it(p), sig, &info);
}

/* One of the two interval timers. Ns until it is due, INT64_MAX: off. */
static int64_t check_itimer(struct proc *p, int which, int64_t now)
{
	struct itimer *it = p->itimers;
	int64_t missed;

	if (!it->cpu[which].at)
		return INT64_MAX;
	if (now >= it->cpu[which].at) {
		send(p, which == 0 ? SIGVTALRM : SIGPROF);
		it->cpu[which].at = it->cpu[which].interval ? itimer_forward(it->cpu[which].at, it->cpu[which].interval, now, &missed) : 0;
	}
	return it->cpu[which].at ? it->cpu[which].at - now : INT64_MAX;
}

static int64_t check_posix_timers(struct proc *p)
{
	int64_t due = INT64_MAX;
	struct posix_timer *pt;

	for (int id = 0; (pt = idmap_next(&p->timers, &id)); id++) {
		int64_t now;

		if (pt->base != -1 || !pt->at || pt->queued || pt->notify == SIGEV_NONE)
			continue;
		if (pt->clock_task && pt->clock_task->dying)
			continue; /* its clock stands still for ever */
		now = posix_timer_cpu_now_locked(pt);
		if (now >= pt->at)
			posix_timer_expired_locked(pt, now);
		if (pt->at && !pt->queued)
			due = MIN(due, MAX(pt->at - now, (int64_t)0));
	}
	return due;
}

/* RLIMIT_CPU: SIGXCPU at the soft limit and each second after it, SIGKILL at the hard one. */
static int64_t check_limit(struct proc *p, int64_t now)
{
	struct rlimit64 *l = &p->limits[RLIMIT_CPU];
	struct itimer *it = p->itimers;
	int64_t sec = now / NS_PER_SEC;

	if (l->rlim_cur == RLIM64_INFINITY && l->rlim_max == RLIM64_INFINITY)
		return INT64_MAX;
	if (l->rlim_max != RLIM64_INFINITY && (uint64_t)sec >= l->rlim_max) {
		send(p, SIGKILL);
		return INT64_MAX;
	}
	if (l->rlim_cur != RLIM64_INFINITY && (uint64_t)sec >= l->rlim_cur && sec >= it->next_xcpu) {
		send(p, SIGXCPU);
		it->next_xcpu = sec + 1;
	}
	return NS_PER_SEC - now % NS_PER_SEC;
}

static void arm_at(struct itimer *it, int64_t at)
{
	it->sample_at = at;
	timer_arm(&it->sampler, (struct deadline){ CLOCK_MONOTONIC, at });
}

static void arm(struct proc *p, int64_t due, int64_t total)
{
	struct itimer *it = p->itimers;
	int cpus = MAX(CPU_COUNT(&p->env->cpus), 1);
	int64_t step = MIN(MAX(due / MIN((int64_t)cpus, (int64_t)MAX(p->nlive, 1u)), (int64_t)STEP_MIN), (int64_t)STEP_MAX);

	it->idle = total > it->last_total + STEP_MIN / 10 ? 0 : MIN(it->idle + 1, (unsigned)IDLE_SHIFT_MAX);
	it->last_total = total;
	arm_at(it, clock_now(CLOCK_MONOTONIC) + MIN(step << it->idle, (int64_t)STEP_MAX));
}

static void sample_locked(struct proc *p)
{
	struct itimer *it = p->itimers;
	uint64_t user = 0, total;
	int64_t due = INT64_MAX;

	if (it->dead)
		return;
	proc_cpu_locked(p, it->cpu[0].at ? &user : NULL, &total);
	due = MIN(due, check_itimer(p, 0, (int64_t)user));
	due = MIN(due, check_itimer(p, 1, (int64_t)total));
	due = MIN(due, check_posix_timers(p));
	due = MIN(due, check_limit(p, (int64_t)total));
	if (due != INT64_MAX)
		arm(p, due, (int64_t)total);
}

void cputimer_fire(struct timer *t)
{
	struct proc *p = container_of(t, struct itimer, sampler)->proc;

	mutex_lock(&p->lock);
	p->itimers->sample_at = 0;
	sample_locked(p);
	mutex_unlock(&p->lock);
}

void cputimer_start_locked(struct proc *p)
{
	struct itimer *it = p->itimers;
	int64_t soon = clock_now(CLOCK_MONOTONIC) + STEP_MIN;
	struct task *t;

	mutex_assert_held(&p->lock);
	if (!it->sample_at) /* what was used before anybody asked is nobody's */
		list_for_each(t, &p->threads, thread_node)
			t->profiled_ns = task_cpu_ns(t);
	it->idle = 0;
	it->last_total = 0;
	/* Never later than it was: who arms something again and again does not put RLIMIT_CPU off. */
	if (!it->dead && (!it->sample_at || it->sample_at > soon))
		arm_at(it, soon);
}

void proc_cpu_limit_changed(struct proc *p)
{
	const struct rlimit64 *l = &p->limits[RLIMIT_CPU];

	mutex_lock(&p->lock);
	p->itimers->next_xcpu = 0;
	if (l->rlim_cur != RLIM64_INFINITY || l->rlim_max != RLIM64_INFINITY)
		cputimer_start_locked(p);
	mutex_unlock(&p->lock);
}
