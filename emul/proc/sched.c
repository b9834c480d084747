/* SPDX-License-Identifier: MIT */
/*
 * Scheduling as a program asks for it: acts on the host thread where the host permits it, and is
 * remembered as Linux would answer where it does not. man 7 sched; kernel/sched/syscalls.c.
 */
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/task.h"

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif

/* The task that a pid argument names; 0 is the caller. Counted; NULL: -ESRCH. */
static struct task *named(struct task *t, pid_t pid)
{
	return pid ? task_find(pid) : task_get(t);
}

static bool same_owner(struct task *t, struct task *target)
{
	AUTO(cred) o = task_get_cred(target);
	const struct cred *c = t->fsc.cred;

	return t == target || cred_capable(c, CAP_SYS_NICE) || (o && (c->euid == o->euid || c->euid == o->uid));
}

bool sched_may_handle(struct task *t, struct task *target)
{
	AUTO(cred) o = task_get_cred(target);
	const struct cred *c = t->fsc.cred;

	return t == target || cred_capable(c, CAP_SYS_NICE) || (o && !(o->cap_permitted & ~c->cap_permitted));
}

/* 0: it has none yet, or any more. The thread stays what it is as long as the lock is held: start.c. */
static int host_tid_locked(struct task *t)
{
	int tid = atomic_load(&t->waiter.tid);

	mutex_assert_held(&t->lock);
	t->host_behind |= !tid;
	return tid;
}

void sched_thread_begins(struct task *t)
{
	struct sched_param sp;

	mutex_lock(&t->lock);
	if (t->host_behind) {
		sp.sched_priority = t->priority;
		sched_setaffinity(0, sizeof(t->affinity), &t->affinity);
		sched_setscheduler(0, t->policy, &sp);
		setpriority(PRIO_PROCESS, 0, t->nice);
		syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, t->ioprio);
		t->host_behind = false;
	}
	mutex_unlock(&t->lock);
}

void sched_keep_off(struct task *t, int cpu)
{
	cpu_set_t set;

	mutex_lock(&t->lock);
	set = t->affinity;
	if (cpu >= 0 && CPU_EQUAL(&set, &t->env->cpus) && CPU_COUNT(&set) > 1)
		CPU_CLR((size_t)cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	mutex_unlock(&t->lock);
}

void sched_set_ioprio(struct task *t, int ioprio)
{
	long r = 0;
	int tid;

	atomic_store(&t->host_tuned, true);
	mutex_lock(&t->lock);
	tid = host_tid_locked(t);
	if (tid)
		r = HOST(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, tid, ioprio));
	if (r < 0)
		log_dbg(PROC, "host refuses I/O priority %#x: %ld", ioprio, r);
	t->ioprio = ioprio;
	mutex_unlock(&t->lock);
}

int sched_get_ioprio(struct task *t)
{
	long r;
	int tid;

	mutex_lock(&t->lock);
	tid = atomic_load(&t->waiter.tid);
	r = tid ? HOST(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, tid)) : t->ioprio;
	mutex_unlock(&t->lock);
	return r < 0 ? 0 : (int)r; /* IOPRIO_CLASS_NONE */
}

long sched_setaffinity_call(struct task *t, pid_t pid, const cpu_set_t *set)
{
	AUTO(task) target = NULL;
	cpu_set_t both;
	long r = 0;
	int tid;

	if (pid < 0)
		return -ESRCH;
	target = named(t, pid);
	if (!target)
		return -ESRCH;
	if (!same_owner(t, target) || !sched_may_handle(t, target))
		return -EPERM;
	CPU_AND(&both, set, &t->env->cpus);
	if (!CPU_COUNT(&both))
		return -EINVAL;
	atomic_store(&target->host_tuned, true);
	mutex_lock(&target->lock);
	tid = host_tid_locked(target);
	if (tid)
		r = HOST(sched_setaffinity(tid, sizeof(both), &both));
	if (r >= 0)
		target->affinity = both;
	mutex_unlock(&target->lock);
	return r < 0 ? r : 0;
}

long sched_getaffinity_call(struct task *t, pid_t pid, cpu_set_t *ret)
{
	AUTO(task) target = NULL;

	if (pid < 0)
		return -ESRCH;
	target = named(t, pid);
	if (!target)
		return -ESRCH;
	mutex_lock(&target->lock);
	*ret = target->affinity;
	mutex_unlock(&target->lock);
	return 0;
}

static bool is_realtime(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static long check_policy(int policy, int priority)
{
	switch (policy) {
	case SCHED_FIFO:
	case SCHED_RR:
		return priority >= 1 && priority <= 99 ? 0 : -EINVAL;
	case SCHED_OTHER:
	case SCHED_BATCH:
	case SCHED_IDLE:
		return priority == 0 ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

static bool may_realtime(struct task *t, struct task *target, int priority)
{
	return cred_capable(t->fsc.cred, CAP_SYS_NICE) || proc_rlimit(target->proc, RLIMIT_RTPRIO) >= (uint64_t)priority;
}

/* The low bits are the policy; SCHED_RESET_ON_FORK rides on it. */
long sched_setscheduler_call(struct task *t, pid_t pid, int policy, int priority)
{
	int plain = policy & ~SCHED_RESET_ON_FORK;
	AUTO(task) target = NULL;
	struct sched_param sp = { .sched_priority = priority };
	long r;
	int tid;

	if (pid < 0 || policy < 0)
		return -EINVAL;
	target = named(t, pid);
	if (!target)
		return -ESRCH;
	r = check_policy(plain, priority);
	if (r < 0)
		return r;
	if (!same_owner(t, target) || (is_realtime(plain) && !may_realtime(t, target, priority)) || !sched_may_handle(t, target))
		return -EPERM;
	atomic_store(&target->host_tuned, true);
	mutex_lock(&target->lock);
	tid = host_tid_locked(target);
	if (tid) {
		r = HOST(sched_setscheduler(tid, policy, &sp));
		if (r < 0) /* remembered all the same: the host keeps its threads ordinary */
			log_dbg(PROC, "host refuses policy %d priority %d: %ld", policy, priority, r);
	}
	target->policy = policy;
	target->priority = priority;
	mutex_unlock(&target->lock);
	return 0;
}

long sched_getscheduler_call(struct task *t, pid_t pid, int *ret_priority)
{
	AUTO(task) target = NULL;
	int policy;

	if (pid < 0)
		return -EINVAL;
	target = named(t, pid);
	if (!target)
		return -ESRCH;
	mutex_lock(&target->lock);
	policy = target->policy;
	*ret_priority = target->priority;
	mutex_unlock(&target->lock);
	return policy;
}

/* --- nice values ------------------------------------------------------------------------------------ */

static bool is_meant(struct task *t, struct task *each, int which, int who)
{
	AUTO(cred) c = NULL;

	if (which == PRIO_PGRP)
		return each->proc->pgid == (who ? who : t->proc->pgid);
	c = task_get_cred(each);
	return c && c->uid == (who ? (uid_t)who : t->fsc.cred->uid);
}

long sched_for_each(struct task *t, int which, int who, long (*fn)(struct task *t, struct task *each, void *ctx), void *ctx)
{
	long r = -ESRCH;
	pid_t pid = 0;
	struct proc *p;

	if (which == PRIO_PROCESS) {
		AUTO(task) one = named(t, who);

		return one ? fn(t, one, ctx) : -ESRCH;
	}
	if (which != PRIO_PGRP && which != PRIO_USER)
		return -EINVAL;
	for (; (p = proc_next(&pid)); pid++) {
		AUTO(proc) counted = p;
		struct task *each;
		pid_t tid = 0;

		for (; (each = proc_thread_next(p, &tid)); tid++) {
			AUTO(task) held = each;
			long one = is_meant(t, each, which, who) ? fn(t, each, ctx) : -ESRCH;

			if (one != -ESRCH && (r == -ESRCH || one < 0))
				r = one;
		}
	}
	return r;
}

static long set_one(struct task *t, struct task *each, void *ctx)
{
	int nice = *(int *)ctx, tid;
	long r = 0;

	if (!same_owner(t, each))
		return -EPERM;
	if (nice < each->nice && !cred_capable(t->fsc.cred, CAP_SYS_NICE) &&
	    (uint64_t)(20 - nice) > proc_rlimit(each->proc, RLIMIT_NICE))
		return -EACCES;
	if (!sched_may_handle(t, each))
		return -EPERM;
	atomic_store(&each->host_tuned, true);
	mutex_lock(&each->lock);
	tid = host_tid_locked(each);
	if (tid)
		r = HOST(setpriority(PRIO_PROCESS, (id_t)tid, nice));
	if (r < 0)
		log_dbg(PROC, "host refuses nice %d: %ld", nice, r);
	each->nice = nice;
	mutex_unlock(&each->lock);
	return 0;
}

long sched_setnice(struct task *t, int which, int who, int nice)
{
	nice = MIN(MAX(nice, -20), 19);
	return sched_for_each(t, which, who, set_one, &nice);
}

static long get_one(struct task *t, struct task *each, void *ctx)
{
	int *best = ctx;

	*best = MAX(*best, 20 - each->nice);
	return 0;
}

long sched_getnice(struct task *t, int which, int who)
{
	int best = -1;
	long r = sched_for_each(t, which, who, get_one, &best);

	return r < 0 ? r : best;
}
