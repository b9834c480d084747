/* SPDX-License-Identifier: MIT */
/* Clocks: the host's, and those of the CPU time of tasks. kernel/time/posix-cpu-timers.c for the ids. */
/* host syscalls: clock_gettime clock_getres */
#include <time.h>

#include "emul/base/err.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/timers.h"

/* A negative id: ~pid << 3 | per-thread << 2 | which. */
#define CPU_PERTHREAD 4
#define CPU_WHICH 3
enum { CPU_PROF, CPU_VIRT, CPU_SCHED, CPU_FD };

static bool is_host_clock(int clock)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
	case CLOCK_TAI:
		return true;
	default:
		return false;
	}
}

/* The clocks that wake a sleeping machine are there although the host may have no device for it: ours never sleeps. */
static clockid_t awake(int clock)
{
	return clock == CLOCK_REALTIME_ALARM ? CLOCK_REALTIME : clock == CLOCK_BOOTTIME_ALARM ? CLOCK_BOOTTIME : clock;
}

bool clock_is_cpu(int clock)
{
	return clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID || (clock < 0 && (clock & CPU_WHICH) != CPU_FD);
}

static int decode_thread(struct task *t, pid_t tid, struct task **ret)
{
	AUTO(task) other = tid ? task_find(tid) : task_get(t);

	if (!other || other->proc != t->proc)
		return -EINVAL;
	*ret = steal(other);
	return 0;
}

static int decode_process(struct task *t, pid_t pid, struct proc **ret)
{
	*ret = pid ? proc_find(pid) : proc_get(t->proc);
	return *ret ? 0 : -EINVAL;
}

int clock_decode(struct task *t, int clock, struct task **ret_task, struct proc **ret_proc)
{
	pid_t pid = ~(clock >> 3);

	*ret_task = NULL;
	*ret_proc = NULL;
	if (clock == CLOCK_THREAD_CPUTIME_ID)
		return decode_thread(t, 0, ret_task);
	if (clock == CLOCK_PROCESS_CPUTIME_ID)
		return decode_process(t, 0, ret_proc);
	if (!clock_is_cpu(clock))
		return -EINVAL;
	return clock & CPU_PERTHREAD ? decode_thread(t, pid, ret_task) : decode_process(t, pid, ret_proc);
}

static int cpu_clock_get(struct task *t, int clock, int64_t *ret)
{
	AUTO(task) task = NULL;
	AUTO(proc) proc = NULL;
	bool virt = clock < 0 && (clock & CPU_WHICH) == CPU_VIRT;
	uint64_t user, total;
	int r = clock_decode(t, clock, &task, &proc);

	if (r < 0)
		return r;
	if (task && !virt) {
		*ret = (int64_t)task_cpu_ns(task);
		return 0;
	}
	mutex_lock(task ? &task->proc->lock : &proc->lock);
	if (task)
		user = total = task_cpu_user_locked(task);
	else
		proc_cpu_locked(proc, virt ? &user : NULL, &total);
	mutex_unlock(task ? &task->proc->lock : &proc->lock);
	*ret = (int64_t)(virt ? user : total);
	return 0;
}

int task_clock_get(struct task *t, int clock, int64_t *ret_ns)
{
	struct timespec ts;

	if (!is_host_clock(clock))
		return cpu_clock_get(t, clock, ret_ns);
	if (clock_gettime(awake(clock), &ts) < 0)
		return -errno;
	*ret_ns = timespec_ns(&ts);
	return 0;
}

int task_clock_getres(struct task *t, int clock, int64_t *ret_ns)
{
	struct timespec ts;
	clockid_t host = awake(clock);
	int64_t ns;
	int r;

	if (!is_host_clock(clock)) {
		r = cpu_clock_get(t, clock, &ns);
		if (r < 0)
			return r;
		/* The host's own of the same kind: those that are sampled advance in ticks. */
		host = clock < 0 ? (clockid_t)(~0u << 3 | ((unsigned)clock & CPU_WHICH)) : CLOCK_PROCESS_CPUTIME_ID;
	}
	if (clock_getres(host, &ts) < 0)
		return -errno;
	*ret_ns = timespec_ns(&ts);
	return 0;
}

int64_t clock_tai_offset(void)
{
	struct timespec tai, real;

	if (clock_gettime(CLOCK_TAI, &tai) < 0 || clock_gettime(CLOCK_REALTIME, &real) < 0)
		return 0;
	return tai.tv_sec - real.tv_sec > 0 ? (tai.tv_sec - real.tv_sec) * NS_PER_SEC : 0;
}
