/* SPDX-License-Identifier: MIT */
/*
 * CPU time and other counts. A task's time is that of its host thread: what it runs in the guest and what the VMM does for it.
 * The split into user and system time is the host's own sampling, scaled to the exact sum, as the kernel does it
 * (cputime_adjust()): neither part goes back when the samples move, so what was told last is kept in the task.
 */
/* host syscalls: clock_gettime openat read */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/timers.h"

#define NS_PER_TICK 10000000u

/* The kernel's name for the CPU clock of a thread: MAKE_THREAD_CPUCLOCK(tid, CPUCLOCK_SCHED). */
static clockid_t thread_clock(int tid)
{
	return (clockid_t)(~(unsigned)tid << 3 | 6);
}

static uint64_t timeval_ns(struct timeval tv)
{
	return (uint64_t)tv.tv_sec * NS_PER_SEC + (uint64_t)tv.tv_usec * 1000;
}

/* A host thread serves one task after the other. */
void usage_thread_begins(struct task *t)
{
	struct rusage ru;

	t->base_cpu_ns = (uint64_t)clock_now(CLOCK_THREAD_CPUTIME_ID);
	if (getrusage(RUSAGE_THREAD, &ru) < 0)
		return;
	t->base_user_ns = timeval_ns(ru.ru_utime);
	t->base_sys_ns = timeval_ns(ru.ru_stime);
}

uint64_t task_cpu_ns(struct task *t)
{
	int tid = atomic_load(&t->waiter.tid);
	struct timespec ts;

	if (!tid || clock_gettime(thread_clock(tid), &ts) < 0)
		return 0;
	return (uint64_t)timespec_ns(&ts) - t->base_cpu_ns;
}

/* User and system time of a host thread as the host splits it, in ns. */
static bool read_split(struct task *t, uint64_t *user, uint64_t *sys)
{
	char name[64], buf[1024], *p;
	unsigned long u, s;
	struct rusage ru;
	ssize_t n;
	int fd;

	if (task_current() == t && getrusage(RUSAGE_THREAD, &ru) == 0) {
		*user = timeval_ns(ru.ru_utime);
		*sys = timeval_ns(ru.ru_stime);
		return true;
	}
	snprintf(name, sizeof(name), "/proc/self/task/%d/stat", atomic_load(&t->waiter.tid));
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	p = strrchr(buf, ')');
	if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &u, &s) != 2)
		return false;
	*user = (uint64_t)u * NS_PER_TICK;
	*sys = (uint64_t)s * NS_PER_TICK;
	return true;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

uint64_t task_cpu_user_locked(struct task *t)
{
	uint64_t user = atomic_load(&t->utime_ns), sys = atomic_load(&t->stime_ns), total = task_cpu_ns(t);
	uint64_t u, s, share = 0;

	mutex_assert_held(&t->proc->lock);
	if (user + sys >= total)
		return user;
	if (read_split(t, &u, &s)) {
		u = less(u, t->base_user_ns);
		s = less(s, t->base_sys_ns);
		if (s)
			share = (uint64_t)((__int128)total * s / (u + s));
	}
	sys = MIN(MAX(sys, share), total - user);
	atomic_store(&t->utime_ns, total - sys);
	atomic_store(&t->stime_ns, sys);
	return total - sys;
}

static void add_task_locked(struct task *t, struct rusage_sum *to)
{
	to->utime_ns += task_cpu_user_locked(t);
	to->stime_ns += atomic_load(&t->stime_ns);
	to->minflt += atomic_load(&t->minflt);
	to->majflt += atomic_load(&t->majflt);
	to->nvcsw += atomic_load(&t->waiter.nsleeps);
}

static uint64_t maxrss_of(struct mm *mm)
{
	struct mm_counts c;

	if (!mm)
		return 0;
	mm_counts(mm, &c);
	return c.hiwater_rss >> 10; /* rusage counts in KiB */
}

void usage_add(struct rusage_sum *to, const struct rusage_sum *from)
{
	to->utime_ns += from->utime_ns;
	to->stime_ns += from->stime_ns;
	to->minflt += from->minflt;
	to->majflt += from->majflt;
	to->nvcsw += from->nvcsw;
	to->maxrss = MAX(to->maxrss, from->maxrss);
}

void usage_thread_gone_locked(struct task *t)
{
	struct proc *p = t->proc;

	mutex_assert_held(&p->lock);
	add_task_locked(t, &p->dead_threads);
}

void usage_mm_gone(struct task *t)
{
	struct proc *p = t->proc;
	uint64_t rss = maxrss_of(t->mm);

	mutex_lock(&p->lock);
	p->dead_threads.maxrss = MAX(p->dead_threads.maxrss, rss);
	mutex_unlock(&p->lock);
}

void proc_cpu_locked(struct proc *p, uint64_t *ret_user, uint64_t *ret_total)
{
	uint64_t total = p->dead_threads.utime_ns + p->dead_threads.stime_ns, user = p->dead_threads.utime_ns;
	struct task *t;

	mutex_assert_held(&p->lock);
	list_for_each(t, &p->threads, thread_node) {
		uint64_t ns = task_cpu_ns(t);

		total += ns;
		if (ret_user)
			user += task_cpu_user_locked(t);
	}
	if (ret_user)
		*ret_user = user;
	if (ret_total)
		*ret_total = total;
}

void proc_usage_sum(struct proc *p, struct rusage_sum *ret)
{
	struct mm *mm = NULL;
	struct task *t;

	mutex_lock(&p->lock);
	*ret = p->dead_threads;
	list_for_each(t, &p->threads, thread_node) {
		add_task_locked(t, ret);
		if (!mm)
			mm = task_get_mm(t);
	}
	mutex_unlock(&p->lock);
	ret->maxrss = MAX(ret->maxrss, maxrss_of(mm));
	mm_put(mm);
}

static struct timeval timeval_of(uint64_t ns)
{
	return (struct timeval){ (time_t)(ns / NS_PER_SEC), (suseconds_t)(ns % NS_PER_SEC / 1000) };
}

void usage_fill(const struct rusage_sum *s, struct rusage *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->ru_utime = timeval_of(s->utime_ns);
	ret->ru_stime = timeval_of(s->stime_ns);
	ret->ru_maxrss = (long)s->maxrss;
	ret->ru_minflt = (long)s->minflt;
	ret->ru_majflt = (long)s->majflt;
	ret->ru_nvcsw = (long)s->nvcsw;
}

void proc_usage(struct proc *p, struct rusage *ret)
{
	struct rusage_sum s;

	proc_usage_sum(p, &s);
	usage_fill(&s, ret);
}

void task_usage(struct task *t, int who, struct rusage *ret)
{
	struct rusage_sum s = { 0 };
	struct mm *mm;

	switch (who) {
	case RUSAGE_CHILDREN:
		mutex_lock(&t->proc->lock);
		s = t->proc->dead_children;
		mutex_unlock(&t->proc->lock);
		break;
	case RUSAGE_THREAD:
		mutex_lock(&t->proc->lock);
		add_task_locked(t, &s);
		s.maxrss = t->proc->dead_threads.maxrss;
		mutex_unlock(&t->proc->lock);
		mm = task_get_mm(t); /* /proc asks for others */
		s.maxrss = MAX(s.maxrss, maxrss_of(mm));
		mm_put(mm);
		break;
	default:
		proc_usage_sum(t->proc, &s);
	}
	usage_fill(&s, ret);
}
