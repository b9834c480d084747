/* SPDX-License-Identifier: MIT */
/*
 * pidfd_open(2): a process, or with PIDFD_THREAD one thread, as a file; readable when it has ended. A leader's thread ends with
 * its process, as the leader's id does. fs/pidfs.c.
 */
#include <stdlib.h>
#include <sys/ioctl.h>

#include "emul/base/err.h"
#include "emul/mm/mm.h"
#include "emul/proc/task.h"
#include "emul/vfs/pseudo.h"

#define PIDFD_THREAD O_EXCL
/* <linux/pidfd.h> of Linux 6.16 */
#define INFO_MAGIC 0xff
#define INFO_NR 11
#define INFO_SIZE_VER0 64
enum { INFO_PID = 1, INFO_CREDS = 2, INFO_EXIT = 8 };

struct info {
	uint64_t mask, cgroupid;
	uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
};

struct pidfd {
	struct file file;
	struct proc *proc;          /* counted */
	struct task *thread;        /* counted; NULL: the process, or its leader */
	struct waitq_entry entry;   /* on its exit_wq */
};

static const struct file_ops pidfd_ops;

static struct pidfd *pidfd_of(struct file *f)
{
	return container_of(f, struct pidfd, file);
}

/* Its id is nobody's any more. */
static bool is_gone(const struct pidfd *pf)
{
	return pf->thread ? atomic_load(&pf->thread->id_gone) : atomic_load(&pf->proc->reaped);
}

static bool has_ended(const struct pidfd *pf)
{
	return pf->thread ? atomic_load(&pf->thread->ended) : atomic_load(&pf->proc->zombie);
}

static bool pass_on(struct waitq_entry *e, uint32_t events)
{
	struct pidfd *pf = container_of(e, struct pidfd, entry);

	/* When it is reaped, EPOLLHUP comes too: who watches looks for itself. */
	if (is_gone(pf))
		waitq_wake(&pf->file.wq, 0);
	else if (has_ended(pf))
		waitq_wake(&pf->file.wq, EPOLLIN | EPOLLRDNORM);
	return false;
}

static uint32_t pidfd_poll(struct file *f)
{
	if (is_gone(pidfd_of(f)))
		return EPOLLIN | EPOLLRDNORM | EPOLLHUP;
	return has_ended(pidfd_of(f)) ? EPOLLIN | EPOLLRDNORM : 0;
}

static pid_t id_of(const struct pidfd *pf)
{
	return pf->thread ? pf->thread->tid : pf->proc->pid;
}

static void pidfd_fdinfo(struct file *f, void *out)
{
	int pid = is_gone(pidfd_of(f)) ? -1 : id_of(pidfd_of(f));

	seq_printf(out, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

/* --- PIDFD_GET_INFO -------------------------------------------------------------------------------------------- */

static int status_of(const struct pidfd *pf)
{
	int status;

	mutex_lock(&pf->proc->lock);
	status = pf->thread ? pf->thread->exit_code : pf->proc->exit_status;
	mutex_unlock(&pf->proc->lock);
	return status;
}

static int fill_ids(const struct pidfd *pf, struct info *ret)
{
	AUTO(task) t = is_gone(pf) ? NULL : task_find(id_of(pf));
	AUTO(cred) c = t && t->proc == pf->proc ? task_get_cred(t) : NULL;

	if (!c)
		return -ESRCH;
	ret->pid = (uint32_t)id_of(pf);
	ret->tgid = (uint32_t)pf->proc->pid;
	ret->ppid = (uint32_t)task_ppid(t);
	ret->ruid = c->uid, ret->euid = c->euid, ret->suid = c->suid, ret->fsuid = c->fsuid;
	ret->rgid = c->gid, ret->egid = c->egid, ret->sgid = c->sgid, ret->fsgid = c->fsgid;
	ret->mask |= INFO_PID | INFO_CREDS;
	return 0;
}

static long get_info(const struct pidfd *pf, gva_t at, size_t size, const struct ioctl_ctx *c)
{
	struct info i = { 0 };
	uint64_t wanted;
	int r;

	if (!at || size < INFO_SIZE_VER0)
		return -EINVAL;
	if (guest_read(c->mm, &wanted, at) < 0)
		return -EFAULT;
	if ((wanted & INFO_EXIT) && is_gone(pf)) {
		i.exit_code = status_of(pf);
		i.mask |= INFO_EXIT;
	}
	r = fill_ids(pf, &i);
	if (r < 0 && !(wanted & INFO_EXIT))
		return r;
	return copy_to_guest(c->mm, at, &i, sizeof(i));
}

static long pidfd_ioctl(struct file *f, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	if (_IOC_TYPE(cmd) != INFO_MAGIC || _IOC_NR(cmd) != INFO_NR || _IOC_SIZE(cmd) < INFO_SIZE_VER0)
		return -ENOTTY;
	return get_info(pidfd_of(f), arg, _IOC_SIZE(cmd), c);
}

/* --- the file --------------------------------------------------------------------------------------------------- */

static void pidfd_release(struct file *f)
{
	struct pidfd *pf = pidfd_of(f);

	waitq_del(&pf->entry);
	task_put(pf->thread);
	proc_put(pf->proc);
	file_fini(f);
	free(pf);
}

static const struct file_ops pidfd_ops = {
	.name = "pidfd",
	.poll = pidfd_poll,
	.ioctl = pidfd_ioctl,
	.fdinfo = pidfd_fdinfo,
	.release = pidfd_release,
};

static int make(struct proc *p, struct task *thread, unsigned flags, struct file **ret)
{
	struct pidfd *pf = calloc(1, sizeof(*pf));

	if (!pf)
		return -ENOMEM;
	file_init(&pf->file, &pidfd_ops, O_RDWR | (flags & O_NONBLOCK));
	atomic_fetch_or(&pf->file.flags, flags & PIDFD_THREAD); /* F_GETFL shows it */
	pf->proc = proc_get(p);
	pf->thread = thread ? task_get(thread) : NULL;
	pf->entry.wake = pass_on;
	waitq_add(&p->exit_wq, &pf->entry);
	*ret = &pf->file;
	return 0;
}

int pidfd_new(struct proc *p, unsigned flags, struct file **ret)
{
	return make(p, NULL, flags & ~(unsigned)PIDFD_THREAD, ret);
}

int pidfd_new_thread(struct task *t, unsigned flags, struct file **ret)
{
	bool leader;

	mutex_lock(&t->proc->lock);
	leader = t == t->proc->leader;
	mutex_unlock(&t->proc->lock);
	return make(t->proc, leader ? NULL : t, flags | PIDFD_THREAD, ret);
}

struct proc *pidfd_proc(struct file *f)
{
	return f->ops == &pidfd_ops ? proc_get(pidfd_of(f)->proc) : NULL;
}

struct task *pidfd_thread(struct file *f)
{
	return f->ops == &pidfd_ops && pidfd_of(f)->thread ? task_get(pidfd_of(f)->thread) : NULL;
}
