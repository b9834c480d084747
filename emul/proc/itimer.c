/* SPDX-License-Identifier: MIT */
/* setitimer(2), getitimer(2). ITIMER_REAL is a timer of the reactor; the others are cputimer.c's. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "emul/base/err.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/signal_internal.h"
#include "emul/proc/timers.h"

#define US_PER_SEC 1000000

int64_t itimer_forward(int64_t at, int64_t interval, int64_t now, int64_t *ret_missed)
{
	int64_t missed = now >= at ? (now - at) / interval : -1;

	*ret_missed = MAX(missed, (int64_t)0);
	if (__builtin_mul_overflow(missed + 1, interval, &missed) || __builtin_add_overflow(at, missed, &at))
		return INT64_MAX;
	return at;
}

static void arm_real(struct itimer *it)
{
	timer_arm(&it->real, (struct deadline){ CLOCK_MONOTONIC, it->real_at });
}

/* From `now` on, which may be later than it is. */
static void next_round(struct itimer *it, int64_t now)
{
	int64_t missed;

	it->real_fired = false;
	it->real_at = it->real_interval ? itimer_forward(it->real_at, it->real_interval, now, &missed) : 0;
	if (it->real_at)
		arm_real(it);
}

static void fire_real(struct timer *t)
{
	struct itimer *it = container_of(t, struct itimer, real);
	struct proc *p = it->proc;
	siginfo_t info = signal_kernel_info(SIGALRM);
	int64_t now;

	mutex_lock(&p->lock);
	now = clock_now(CLOCK_MONOTONIC);
	/* It may have been set anew while we were on the way. */
	if (!it->dead && it->real_at && !it->real_fired && it->real_at <= now) {
		it->real_fired = true;
		if (signal_send_locked(p, NULL, SIGALRM, &info, false, NULL) != SIG_SENT || !it->real_interval)
			next_round(it, it->real_interval < TIMER_IGNORED_STEP ? now + TIMER_IGNORED_STEP : now);
	}
	mutex_unlock(&p->lock);
}

/* The next alarm comes only when this one was seen: a slow program is not flooded. */
void itimer_alarm_taken_locked(struct proc *p)
{
	struct itimer *it = p->itimers;

	if (it->real_fired && !it->dead)
		next_round(it, clock_now(CLOCK_MONOTONIC));
}

struct itimer *itimers_new(struct proc *p)
{
	struct itimer *it = calloc(1, sizeof(*it));

	if (!it)
		return NULL;
	it->proc = p;
	timer_init(&it->real, fire_real);
	timer_init(&it->sampler, cputimer_fire);
	return it;
}

void itimers_free(struct itimer *it)
{
	if (!it)
		return;
	timer_cancel_sync(&it->real);
	timer_cancel_sync(&it->sampler);
	free(it);
}

void itimers_exit(struct proc *p)
{
	struct itimer *it = p->itimers;

	mutex_lock(&p->lock);
	it->dead = true;
	it->real_at = it->cpu[0].at = it->cpu[1].at = 0;
	mutex_unlock(&p->lock);
	timer_cancel(&it->real);
	timer_cancel(&it->sampler);
}

/* --- the calls ------------------------------------------------------------------------------------------- */

static struct timeval timeval_of(int64_t ns)
{
	return (struct timeval){ ns / NS_PER_SEC, ns % NS_PER_SEC / 1000 };
}

static bool timeval_ns(const struct timeval *tv, int64_t *ret)
{
	if (tv->tv_sec < 0 || (unsigned long)tv->tv_usec >= US_PER_SEC)
		return false;
	if (__builtin_mul_overflow((int64_t)tv->tv_sec, NS_PER_SEC, ret) || __builtin_add_overflow(*ret, tv->tv_usec * 1000, ret))
		*ret = INT64_MAX;
	return true;
}

static int64_t cpu_now(struct proc *p, int which)
{
	uint64_t user = 0, total;

	proc_cpu_locked(p, which == 0 ? &user : NULL, &total);
	return (int64_t)(which == 0 ? user : total);
}

static void get_locked(struct proc *p, int which, struct itimerval *ret)
{
	struct itimer *it = p->itimers;
	int64_t left = 0, interval;

	if (which == ITIMER_REAL) {
		interval = it->real_interval;
		if (it->real_at && !it->real_fired)
			left = MAX(it->real_at - clock_now(CLOCK_MONOTONIC), (int64_t)1000); /* armed is never zero */
	} else {
		int i = which == ITIMER_VIRTUAL ? 0 : 1;

		interval = it->cpu[i].interval;
		if (it->cpu[i].at)
			left = MAX(it->cpu[i].at - cpu_now(p, i), (int64_t)1000);
	}
	ret->it_value = timeval_of(left);
	ret->it_interval = timeval_of(interval);
}

long itimer_get(struct proc *p, int which, struct itimerval *ret)
{
	if (which != ITIMER_REAL && which != ITIMER_VIRTUAL && which != ITIMER_PROF)
		return -EINVAL;
	mutex_lock(&p->lock);
	get_locked(p, which, ret);
	mutex_unlock(&p->lock);
	return 0;
}

static int64_t after(int64_t now, int64_t ns)
{
	return __builtin_add_overflow(now, ns, &ns) ? INT64_MAX - 1 : ns;
}

static void set_locked(struct proc *p, int which, int64_t value, int64_t interval)
{
	struct itimer *it = p->itimers;

	if (which == ITIMER_REAL) {
		timer_cancel(&it->real);
		it->real_fired = false;
		it->real_at = value ? after(clock_now(CLOCK_MONOTONIC), value) : 0;
		it->real_interval = value ? interval : 0;
		if (value)
			arm_real(it);
	} else {
		int i = which == ITIMER_VIRTUAL ? 0 : 1;

		it->cpu[i].at = value ? after(cpu_now(p, i), value) : 0;
		it->cpu[i].interval = interval; /* other than ITIMER_REAL's, it is kept without a value */
		if (value)
			cputimer_start_locked(p);
	}
}

long itimer_set(struct proc *p, int which, const struct itimerval *val, struct itimerval *ret_old)
{
	int64_t value, interval;

	if (which != ITIMER_REAL && which != ITIMER_VIRTUAL && which != ITIMER_PROF)
		return -EINVAL;
	if (!timeval_ns(&val->it_value, &value) || !timeval_ns(&val->it_interval, &interval))
		return -EINVAL;
	mutex_lock(&p->lock);
	if (ret_old)
		get_locked(p, which, ret_old);
	set_locked(p, which, value, interval);
	mutex_unlock(&p->lock);
	return 0;
}
