/* SPDX-License-Identifier: MIT */
/* Limits and usage: getrlimit(2), setrlimit(2), prlimit64(2), getrusage(2). kernel/sys.c. */
#include "emul/syscalls/handler.h"

long sys_getrlimit(struct task *t, const struct sysargs *a)
{
	struct rlimit64 old;
	long r = rlimit_get_set(t, 0, arg_uint(a, 0), NULL, &old);

	return r < 0 ? r : guest_write(t->mm, arg_gva(a, 1), &old);
}

/* The sampler of CPU time looks at RLIMIT_CPU only when it is told. */
static void limit_changed(struct task *t, pid_t pid, unsigned resource)
{
	AUTO(task) target = NULL;

	if (resource != RLIMIT_CPU)
		return;
	target = pid ? task_find(pid) : task_get(t);
	if (target)
		proc_cpu_limit_changed(target->proc);
}

static long set_limit(struct task *t, pid_t pid, unsigned resource, gva_t set, gva_t old)
{
	struct rlimit64 now, was;
	long r;

	if (set && guest_read(t->mm, &now, set) < 0)
		return -EFAULT;
	r = rlimit_get_set(t, pid, resource, set ? &now : NULL, old ? &was : NULL);
	if (r < 0)
		return r;
	if (set)
		limit_changed(t, pid, resource);
	return old ? guest_write(t->mm, old, &was) : 0;
}

long sys_setrlimit(struct task *t, const struct sysargs *a)
{
	struct rlimit64 now;
	long r;

	if (guest_read(t->mm, &now, arg_gva(a, 1)) < 0)
		return -EFAULT; /* NULL too */
	r = rlimit_get_set(t, 0, arg_uint(a, 0), &now, NULL);
	if (r == 0)
		limit_changed(t, 0, arg_uint(a, 0));
	return r;
}

long sys_prlimit64(struct task *t, const struct sysargs *a)
{
	return set_limit(t, arg_int(a, 0), arg_uint(a, 1), arg_gva(a, 2), arg_gva(a, 3));
}

long sys_getrusage(struct task *t, const struct sysargs *a)
{
	int who = arg_int(a, 0);
	struct rusage usage;

	if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN && who != RUSAGE_THREAD)
		return -EINVAL;
	task_usage(t, who, &usage);
	return guest_write(t->mm, arg_gva(a, 1), &usage);
}
