/* SPDX-License-Identifier: MIT */
/* execve(2), execveat(2). fs/exec.c. */
#include "emul/syscalls/handler.h"

/* The program first, then the vectors. Afterwards the registers are the new program's. */
static long exec(struct task *t, const struct exec_target *x, gva_t argv, gva_t envp)
{
	struct exec_args args = { 0 };
	AUTO(file) f = NULL;
	long r = task_exec_open(t, x, &f);

	if (r == 0)
		r = exec_args_read(t->mm, argv, envp, proc_rlimit(t->proc, RLIMIT_STACK), &args);
	if (r < 0)
		return r;
	r = task_exec_file(t, x, f, &args);
	exec_args_free(&args);
	return r < 0 ? r : (long)t->regs.rax;
}

long sys_execve(struct task *t, const struct sysargs *a)
{
	AT(n);
	int r = arg_at(t, AT_FDCWD, arg_gva(a, 0), false, &n);
	const struct exec_target x = { .at = at_start(&n), .fd = -1, .name = n.name, .walk = WALK_FOLLOW };

	return r < 0 ? r : exec(t, &x, arg_gva(a, 1), arg_gva(a, 2));
}

long sys_execveat(struct task *t, const struct sysargs *a)
{
	int flags = arg_int(a, 4), r;
	struct exec_target x = { .fd = arg_int(a, 0), .walk = walk_of(flags) };
	AT(n);

	r = arg_path(t, arg_gva(a, 1), n.name, flags & AT_EMPTY_PATH);
	if (r < 0)
		return r;
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (n.name[0] != '/') {
		r = arg_dirfd(t, x.fd, &n.start);
		if (r < 0)
			return r;
	}
	x.at = at_start(&n);
	x.name = n.name;
	return exec(t, &x, arg_gva(a, 2), arg_gva(a, 3));
}
