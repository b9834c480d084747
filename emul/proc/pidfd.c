/* SPDX-License-Identifier: MIT */
/* pidfd_open(2): a process as a file; readable when it has ended. */
#include <stdlib.h>

#include "emul/base/err.h"
#include "emul/proc/task.h"
#include "emul/vfs/pseudo.h"

struct pidfd {
	struct file file;
	struct proc *proc;          /* counted */
	struct waitq_entry entry;   /* on its exit_wq */
};

static const struct file_ops pidfd_ops;

static struct pidfd *pidfd_of(struct file *f)
{
	return container_of(f, struct pidfd, file);
}

static bool pass_on(struct waitq_entry *e, uint32_t events)
{
	struct pidfd *pf = container_of(e, struct pidfd, entry);

	/* When it is reaped, EPOLLHUP comes too: who watches looks for itself. */
	waitq_wake(&pf->file.wq, atomic_load(&pf->proc->reaped) ? 0 : EPOLLIN | EPOLLRDNORM);
	return false;
}

static uint32_t pidfd_poll(struct file *f)
{
	struct proc *p = pidfd_of(f)->proc;

	if (atomic_load(&p->reaped))
		return EPOLLIN | EPOLLRDNORM | EPOLLHUP;
	return atomic_load(&p->zombie) ? EPOLLIN | EPOLLRDNORM : 0;
}

static void pidfd_fdinfo(struct file *f, void *out)
{
	struct proc *p = pidfd_of(f)->proc;
	int pid = atomic_load(&p->reaped) ? -1 : p->pid;

	seq_printf(out, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

static void pidfd_release(struct file *f)
{
	struct pidfd *pf = pidfd_of(f);

	waitq_del(&pf->entry);
	proc_put(pf->proc);
	file_fini(f);
	free(pf);
}

static const struct file_ops pidfd_ops = {
	.name = "pidfd",
	.poll = pidfd_poll,
	.fdinfo = pidfd_fdinfo,
	.release = pidfd_release,
};

int pidfd_new(struct proc *p, unsigned flags, struct file **ret)
{
	struct pidfd *pf = calloc(1, sizeof(*pf));

	if (!pf)
		return -ENOMEM;
	file_init(&pf->file, &pidfd_ops, O_RDWR | (flags & O_NONBLOCK));
	pf->proc = proc_get(p);
	pf->entry.wake = pass_on;
	waitq_add(&p->exit_wq, &pf->entry);
	*ret = &pf->file;
	return 0;
}

struct proc *pidfd_proc(struct file *f)
{
	return f->ops == &pidfd_ops ? proc_get(pidfd_of(f)->proc) : NULL;
}
