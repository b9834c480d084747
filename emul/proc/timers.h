/* SPDX-License-Identifier: MIT */
/*
 * Between the timer files: interval timers (itimer.c), posix timers (posix_timer.c), and the sampler
 * of CPU time that both and RLIMIT_CPU use (cputimer.c). Everything here is guarded by proc->lock,
 * timer callbacks included: they take it first and then look whether they are still wanted.
 */
#ifndef EMUL_PROC_TIMERS_H
#define EMUL_PROC_TIMERS_H

#include "emul/proc/task.h"

#define NS_PER_SEC 1000000000LL
#define TIMERS_MAX 65536 /* of a process */

struct itimer {
	struct proc *proc;         /* borrowed: it owns us */
	/* ITIMER_REAL, on CLOCK_MONOTONIC */
	struct timer real;
	int64_t real_at, real_interval; /* ns; real_at 0: off */
	bool real_fired;           /* SIGALRM is queued: the interval goes on when it is taken */
	/* ITIMER_VIRTUAL, ITIMER_PROF: absolute on the process's own user and total CPU time; 0: off */
	struct { int64_t at, interval; } cpu[2];
	/* cputimer.c */
	struct timer sampler;
	int64_t sample_at;         /* when the next sample is due, on CLOCK_MONOTONIC; 0: nothing is armed */
	int64_t last_total;        /* CPU time at the last sample */
	unsigned idle;             /* samples without progress */
	int64_t next_xcpu;         /* the next SIGXCPU, seconds of CPU time */
	bool dead;                 /* nothing is armed any more */
};

struct itimer *itimers_new(struct proc *p);
void itimers_free(struct itimer *it);
void itimers_exit(struct proc *p);              /* the process is dead; takes proc->lock */
void itimer_alarm_taken_locked(struct proc *p); /* SIGALRM was taken from the process's queue */
int64_t itimer_forward(int64_t at, int64_t interval, int64_t now, int64_t *ret_missed); /* the next point after now */

struct posix_timer {
	struct proc *proc;         /* borrowed: it lives until its timers are gone */
	struct timer timer;
	int id, clock, notify, sig;
	union sigval value;
	struct task *target;       /* SIGEV_THREAD_ID and thread CPU clocks: counted */
	struct task *clock_task;   /* CPU clock of this thread (counted) ... */
	struct proc *clock_proc;   /* ... or process (counted; NULL: the timer's own) */
	int64_t at, interval;      /* on `base`; at 0: not armed */
	int base;                  /* clock that `at` is on: a host clock, or -1: a CPU clock */
	bool queued;               /* its signal is pending: it goes on when that is taken */
	int64_t overrun, overrun_last;
	bool deleted;
	unsigned refs;             /* the table's and a running callback's */
};

void posix_timer_taken_locked(struct posix_timer *pt, siginfo_t *info); /* its signal was taken: overruns, next round */
void posix_timer_dropped_locked(struct posix_timer *pt);                /* its signal was dropped unseen */
void posix_timer_expired_locked(struct posix_timer *pt, int64_t now);
int64_t posix_timer_cpu_now_locked(struct posix_timer *pt);

/* A timer whose signal is ignored fires no more often than this, or it would keep the reactor to itself. */
#define TIMER_IGNORED_STEP 4000000 /* ns; the kernel's TICK_NSEC */

void cputimer_start_locked(struct proc *p);  /* something on CPU time was armed: sends nothing itself */
void cputimer_fire(struct timer *t);

/* clock.c */
int clock_decode(struct task *t, int clock, struct task **ret_task, struct proc **ret_proc); /* CPU clock ids; references. 0, -EINVAL */
bool clock_is_cpu(int clock);
int64_t clock_tai_offset(void);

static inline int64_t timespec_ns(const struct timespec *ts)
{
	int64_t ns;

	if (__builtin_mul_overflow((int64_t)ts->tv_sec, NS_PER_SEC, &ns) || __builtin_add_overflow(ns, ts->tv_nsec, &ns))
		return INT64_MAX;
	return ns;
}
static inline struct timespec ns_timespec(int64_t ns) { return (struct timespec){ ns / NS_PER_SEC, ns % NS_PER_SEC }; }
static inline bool timespec_valid(const struct timespec *ts) { return ts->tv_sec >= 0 && (unsigned long)ts->tv_nsec < NS_PER_SEC; }

#endif
