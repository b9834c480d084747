/* SPDX-License-Identifier: MIT */
/* prlimit64(2): limits of a process; those that other layers check are pushed to them at once. kernel/sys.c. */
#include <linux/capability.h>

#include "emul/base/err.h"
#include "emul/proc/lifecycle.h"

#define NOFILE_MAX ((uint64_t)1 << 20) /* /proc/sys/fs/nr_open */

uint64_t proc_rlimit(struct proc *p, int resource)
{
	uint64_t v;

	mutex_lock(&p->lock);
	v = p->limits[resource].rlim_cur;
	mutex_unlock(&p->lock);
	return v;
}

void task_memlock_update(struct task *t)
{
	AUTO(mm) mm = task_get_mm(t);
	AUTO(cred) c = task_get_cred(t);

	if (mm && c)
		atomic_store(&mm_limits(mm)->memlock, cred_capable(c, CAP_IPC_LOCK) ? UINT64_MAX : proc_rlimit(t->proc, RLIMIT_MEMLOCK));
}

void rlimits_of_host(pid_t pid, struct rlimit64 ret[NR_RLIMITS])
{
	for (int i = 0; i < NR_RLIMITS; i++)
		if (prlimit64(pid, i, NULL, &ret[i]) < 0)
			ret[i] = (struct rlimit64){ RLIM64_INFINITY, RLIM64_INFINITY };
}

static void push_limits(struct task *t, unsigned resource, uint64_t value)
{
	AUTO(mm) mm = task_get_mm(t);

	if (resource == RLIMIT_FSIZE)
		t->fsc.limit_fsize = value;
	if (!mm)
		return;
	switch (resource) {
	case RLIMIT_STACK: atomic_store(&mm_limits(mm)->stack, value); break;
	case RLIMIT_AS: atomic_store(&mm_limits(mm)->as, value); break;
	case RLIMIT_DATA: atomic_store(&mm_limits(mm)->data, value); break;
	case RLIMIT_MEMLOCK: task_memlock_update(t); break;
	default: break;
	}
}

static bool may_change(struct task *t, struct task *target)
{
	const struct cred *c = t->fsc.cred;
	AUTO(cred) o = NULL;

	if (t->proc == target->proc || cred_capable(c, CAP_SYS_RESOURCE))
		return true;
	o = task_get_cred(target);
	return o && c->uid == o->euid && c->uid == o->suid && c->uid == o->uid && c->gid == o->egid &&
	       c->gid == o->sgid && c->gid == o->gid;
}

static long change(struct task *t, struct task *target, unsigned resource, const struct rlimit64 *set,
		   struct rlimit64 *ret_old)
{
	struct proc *p = target->proc;
	long r = 0;

	if (set && set->rlim_cur > set->rlim_max)
		return -EINVAL;
	if (set && resource == RLIMIT_NOFILE && set->rlim_max > NOFILE_MAX)
		return -EPERM;
	mutex_lock(&p->lock);
	if (set && set->rlim_max > p->limits[resource].rlim_max && !cred_capable(t->fsc.cred, CAP_SYS_RESOURCE))
		r = -EPERM;
	if (r == 0 && ret_old)
		*ret_old = p->limits[resource];
	if (r == 0 && set)
		p->limits[resource] = *set;
	mutex_unlock(&p->lock);
	if (r == 0 && set)
		push_limits(target, resource, set->rlim_cur);
	return r;
}

long rlimit_get_set(struct task *t, pid_t pid, unsigned resource, const struct rlimit64 *set, struct rlimit64 *ret_old)
{
	AUTO(task) target = NULL;

	if (resource >= NR_RLIMITS)
		return -EINVAL;
	target = pid ? task_find(pid) : task_get(t);
	if (!target)
		return -ESRCH;
	if (!may_change(t, target))
		return -EPERM;
	return change(t, target, resource, set, ret_old);
}
