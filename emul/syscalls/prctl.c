/* SPDX-License-Identifier: MIT */
/* Settings of a task: prctl(2), arch_prctl(2), personality(2), seccomp(2). */
#include "emul/syscalls/handler.h"

#define PERSONALITY_ASK 0xffffffffu

long sys_prctl(struct task *t, const struct sysargs *a)
{
	return task_prctl(t, arg_int(a, 0), arg_u64(a, 1), arg_u64(a, 2), arg_u64(a, 3), arg_u64(a, 4));
}

long sys_arch_prctl(struct task *t, const struct sysargs *a)
{
	return task_arch_prctl(t, arg_int(a, 0), arg_u64(a, 1));
}

long sys_personality(struct task *t, const struct sysargs *a)
{
	unsigned old = t->proc->personality;

	if (arg_uint(a, 0) != PERSONALITY_ASK)
		t->proc->personality = arg_uint(a, 0);
	return old;
}

/* Every operation, known or not: there are no filters, and strict mode would need them. */
long sys_seccomp(struct task *t, const struct sysargs *a)
{
	return -EINVAL;
}
