/* SPDX-License-Identifier: MIT */
/* Scheduling: policies, nice values, CPUs, I/O priorities. kernel/sched/syscalls.c, block/ioprio.c. */
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <sys/resource.h>
#include <sys/syscall.h> /* host syscalls: sched_yield */

#include "emul/base/log.h"
#include "emul/base/sysctl.h"
#include "emul/syscalls/handler.h"

#define SLICE_NS 4000000   /* of ordinary threads */
#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif

/* struct sched_attr: the uapi header that has it cannot be read together with libc's <sched.h>. */
struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};
#define ATTR_SIZE_VER0 48
#define ATTR_RESET_ON_FORK 0x01
#define ATTR_KEEP_POLICY 0x08
#define ATTR_KEEP_PARAMS 0x10
#define ATTR_UTIL_CLAMP 0x60
#define ATTR_KNOWN 0x7f

static bool is_realtime(int policy)
{
	policy &= ~SCHED_RESET_ON_FORK;
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

long sys_sched_yield(struct task *t, const struct sysargs *a)
{
	sched_yield();
	return 0;
}

/* --- policies --------------------------------------------------------------------------------- */

static long read_priority(struct task *t, gva_t at, int *ret)
{
	uint32_t v;

	if (get_guest_u32(t->mm, at, &v) < 0)
		return -EFAULT;
	*ret = (int)v;
	return 0;
}

long sys_sched_setscheduler(struct task *t, const struct sysargs *a)
{
	pid_t pid = arg_int(a, 0);
	int policy = arg_int(a, 1), priority;
	long r;

	if (policy < 0 || pid < 0 || !arg_gva(a, 2))
		return -EINVAL;
	r = read_priority(t, arg_gva(a, 2), &priority);
	return r < 0 ? r : sched_setscheduler_call(t, pid, policy, priority);
}

long sys_sched_setparam(struct task *t, const struct sysargs *a)
{
	pid_t pid = arg_int(a, 0);
	int priority, old;
	long r;

	if (pid < 0 || !arg_gva(a, 1))
		return -EINVAL;
	r = read_priority(t, arg_gva(a, 1), &priority);
	if (r == 0)
		r = sched_getscheduler_call(t, pid, &old);
	return r < 0 ? r : sched_setscheduler_call(t, pid, (int)r, priority);
}

long sys_sched_getscheduler(struct task *t, const struct sysargs *a)
{
	int priority;

	return sched_getscheduler_call(t, arg_int(a, 0), &priority);
}

long sys_sched_getparam(struct task *t, const struct sysargs *a)
{
	int priority;
	long r;

	if (arg_int(a, 0) < 0 || !arg_gva(a, 1))
		return -EINVAL;
	r = sched_getscheduler_call(t, arg_int(a, 0), &priority);
	return r < 0 ? r : put_guest_u32(t->mm, arg_gva(a, 1), (uint32_t)priority);
}

static long priority_bound(int policy, long realtime, long other)
{
	switch (policy) {
	case SCHED_FIFO:
	case SCHED_RR:
		return realtime;
	case SCHED_OTHER:
	case SCHED_BATCH:
	case SCHED_IDLE:
	case SCHED_DEADLINE:
		return other;
	default:
		return -EINVAL;
	}
}

long sys_sched_get_priority_max(struct task *t, const struct sysargs *a)
{
	return priority_bound(arg_int(a, 0), 99, 0);
}

long sys_sched_get_priority_min(struct task *t, const struct sysargs *a)
{
	return priority_bound(arg_int(a, 0), 1, 0);
}

long sys_sched_rr_get_interval(struct task *t, const struct sysargs *a)
{
	struct timespec ts;
	int priority;
	long policy = sched_getscheduler_call(t, arg_int(a, 0), &priority);

	if (policy < 0)
		return policy;
	policy &= ~SCHED_RESET_ON_FORK;
	ts = timespec_of(policy == SCHED_RR ? sysctl_get(&sysctl_rr_timeslice) * 1000000 : policy == SCHED_FIFO ? 0 : SLICE_NS);
	return guest_write(t->mm, arg_gva(a, 1), &ts);
}

/* --- attributes: both of the above, and nice -------------------------------------------------- */

/* sched_copy_attr(): a size that does not fit is answered with ours. */
static long read_attr(struct task *t, gva_t at, struct attr *ret)
{
	uint32_t size;
	long r;

	if (get_guest_u32(t->mm, at, &size) < 0)
		return -EFAULT;
	if (!size)
		size = ATTR_SIZE_VER0;
	r = size < ATTR_SIZE_VER0 ? -E2BIG : copy_extensible(t->mm, ret, sizeof(*ret), at, size);
	if (r == -E2BIG)
		put_guest_u32(t->mm, at, sizeof(*ret));
	if (r < 0)
		return r;
	if ((ret->flags & ATTR_UTIL_CLAMP) && size < sizeof(*ret))
		return -EINVAL;
	ret->nice = MIN(MAX(ret->nice, -20), 19);
	return 0;
}

/* What stays as it is, filled in; and what there is not. */
static long complete_attr(struct task *t, pid_t pid, struct attr *at)
{
	int priority;
	long policy = sched_getscheduler_call(t, pid, &priority), nice;

	if (policy < 0)
		return policy;
	if (at->flags & (ATTR_KEEP_POLICY | ATTR_KEEP_PARAMS))
		at->policy = (uint32_t)policy & ~(uint32_t)SCHED_RESET_ON_FORK;
	if (at->flags & ATTR_KEEP_PARAMS) {
		nice = sched_getnice(t, PRIO_PROCESS, pid);
		at->priority = (uint32_t)priority;
		at->nice = nice < 0 ? 0 : 20 - (int)nice;
	}
	if (at->flags & ~(uint64_t)ATTR_KNOWN)
		return -EINVAL;
	if (at->policy == SCHED_DEADLINE)
		return -EPERM;
	if (at->policy > SCHED_DEADLINE)
		return -EINVAL;
	return at->flags & ATTR_UTIL_CLAMP ? -EOPNOTSUPP : 0;
}

long sys_sched_setattr(struct task *t, const struct sysargs *a)
{
	pid_t pid = arg_int(a, 0);
	struct attr at;
	int policy;
	long r;

	if (!arg_gva(a, 1) || pid < 0 || arg_uint(a, 2))
		return -EINVAL;
	r = read_attr(t, arg_gva(a, 1), &at);
	if (r < 0)
		return r;
	if ((int)at.policy < 0)
		return -EINVAL;
	r = complete_attr(t, pid, &at);
	if (r < 0)
		return r;
	policy = (int)at.policy | (at.flags & ATTR_RESET_ON_FORK ? SCHED_RESET_ON_FORK : 0);
	r = sched_setscheduler_call(t, pid, policy, (int)at.priority);
	if (r < 0 || (at.policy != SCHED_OTHER && at.policy != SCHED_BATCH))
		return r;
	r = sched_setnice(t, PRIO_PROCESS, pid, at.nice);
	return r == -EACCES ? -EPERM : r;
}

long sys_sched_getattr(struct task *t, const struct sysargs *a)
{
	pid_t pid = arg_int(a, 0);
	unsigned size = arg_uint(a, 2);
	struct attr at = { 0 };
	long policy, nice;
	int priority;

	if (!arg_gva(a, 1) || pid < 0 || size > PAGE_SIZE || size < ATTR_SIZE_VER0 || arg_uint(a, 3))
		return -EINVAL;
	policy = sched_getscheduler_call(t, pid, &priority);
	nice = policy < 0 ? policy : sched_getnice(t, PRIO_PROCESS, pid);
	if (nice < 0)
		return nice;
	at.size = MIN(size, (unsigned)sizeof(at));
	at.policy = (uint32_t)(policy & ~SCHED_RESET_ON_FORK);
	at.flags = policy & SCHED_RESET_ON_FORK ? ATTR_RESET_ON_FORK : 0;
	if (is_realtime((int)policy))
		at.priority = (uint32_t)priority;
	else
		at.nice = 20 - (int)nice;
	return copy_to_guest(t->mm, arg_gva(a, 1), &at, at.size);
}

/* --- nice ------------------------------------------------------------------------------------- */

long sys_getpriority(struct task *t, const struct sysargs *a)
{
	return sched_getnice(t, arg_int(a, 0), arg_int(a, 1));
}

long sys_setpriority(struct task *t, const struct sysargs *a)
{
	return sched_setnice(t, arg_int(a, 0), arg_int(a, 1), arg_int(a, 2));
}

/* --- CPUs ------------------------------------------------------------------------------------- */

/* One more than the highest CPU there is (nr_cpu_ids). */
static size_t cpu_ids(struct task *t)
{
	for (size_t i = CPU_SETSIZE; i > 0; i--)
		if (CPU_ISSET(i - 1, &t->env->cpus))
			return i;
	return 1;
}

long sys_sched_setaffinity(struct task *t, const struct sysargs *a)
{
	size_t size = arg_uint(a, 1);
	cpu_set_t set;

	CPU_ZERO(&set);
	if (copy_from_guest(t->mm, &set, arg_gva(a, 2), MIN(size, sizeof(set))) < 0)
		return -EFAULT;
	return sched_setaffinity_call(t, arg_int(a, 0), &set);
}

long sys_sched_getaffinity(struct task *t, const struct sysargs *a)
{
	size_t size = arg_uint(a, 1), ids = cpu_ids(t), bytes = (ids + 63) / 64 * 8;
	cpu_set_t set;
	long r;

	if (size * 8 < ids || (size & (sizeof(long) - 1)))
		return -EINVAL;
	r = sched_getaffinity_call(t, arg_int(a, 0), &set);
	if (r < 0)
		return r;
	bytes = MIN(bytes, size);
	return copy_to_guest(t->mm, arg_gva(a, 2), &set, bytes) < 0 ? -EFAULT : (long)bytes;
}

/* --- I/O priorities: kept by the host, of its threads ----------------------------------------- */

static long check_ioprio(struct task *t, int ioprio)
{
	const struct cred *c = t->fsc.cred;

	switch (ioprio >> IOPRIO_CLASS_SHIFT) {
	case IOPRIO_CLASS_RT:
		if (!cred_capable(c, CAP_SYS_ADMIN) && !cred_capable(c, CAP_SYS_NICE))
			return -EPERM;
		/* fallthrough */
	case IOPRIO_CLASS_BE:
		return (ioprio & 0x1fff) >= IOPRIO_NR_LEVELS ? -EINVAL : 0;
	case IOPRIO_CLASS_IDLE:
		return 0;
	case IOPRIO_CLASS_NONE:
		return ioprio & 0x1fff ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

/* set_task_ioprio(): by the owner. */
static bool may_set(struct task *t, struct task *target)
{
	const struct cred *c = t->fsc.cred;
	AUTO(cred) o = task_get_cred(target);

	return cred_capable(c, CAP_SYS_NICE) || (o && (o->uid == c->euid || o->uid == c->uid));
}

static long set_ioprio(struct task *t, struct task *each, void *ctx)
{
	if (!may_set(t, each) || !sched_may_handle(t, each))
		return -EPERM;
	sched_set_ioprio(each, *(int *)ctx);
	return 0;
}

/* task_nice_ioclass(), task_nice_ioprio(): what is none comes from the CPU's. */
static int effective_ioprio(struct task *each)
{
	int ioprio = sched_get_ioprio(each), policy, nice;

	if (ioprio >> IOPRIO_CLASS_SHIFT != IOPRIO_CLASS_NONE)
		return ioprio;
	mutex_lock(&each->lock);
	policy = each->policy & ~SCHED_RESET_ON_FORK;
	nice = each->nice;
	mutex_unlock(&each->lock);
	return IOPRIO_PRIO_VALUE(policy == SCHED_IDLE ? IOPRIO_CLASS_IDLE : is_realtime(policy) ? IOPRIO_CLASS_RT : IOPRIO_CLASS_BE,
				 (nice + 20) / 5);
}

static long get_ioprio(struct task *t, struct task *each, void *ctx)
{
	*(int *)ctx = sched_get_ioprio(each);
	return 0;
}

static long get_best_ioprio(struct task *t, struct task *each, void *ctx)
{
	int *best = ctx;

	*best = MIN(*best, effective_ioprio(each));
	return 0;
}

/* IOPRIO_WHO_* of one, of groups, of users: PRIO_*, from 1 on. */
long sys_ioprio_set(struct task *t, const struct sysargs *a)
{
	int which = arg_int(a, 0), ioprio = arg_int(a, 2);
	long r = check_ioprio(t, ioprio);

	if (r < 0 || which < IOPRIO_WHO_PROCESS)
		return r < 0 ? r : -EINVAL;
	return sched_for_each(t, which - IOPRIO_WHO_PROCESS + PRIO_PROCESS, arg_int(a, 1), set_ioprio, &ioprio);
}

long sys_ioprio_get(struct task *t, const struct sysargs *a)
{
	int which = arg_int(a, 0), ioprio = INT_MAX;
	long r = which < IOPRIO_WHO_PROCESS ? -EINVAL : sched_for_each(t, which - IOPRIO_WHO_PROCESS + PRIO_PROCESS, arg_int(a, 1),
				which == IOPRIO_WHO_PROCESS ? get_ioprio : get_best_ioprio, &ioprio);

	return r < 0 ? r : ioprio;
}
