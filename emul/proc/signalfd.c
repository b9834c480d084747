/* SPDX-License-Identifier: MIT */
/*
 * signalfd(2): signals as data. Reading and polling are about the signals of whoever asks, as in Linux
 * (fs/signalfd.c). Readiness is passed on from each process that has polled the descriptor: the one that made
 * it, and its children that inherited it.
 *
 * Lock order: signalfd->lock -> waitq of a process. References on processes are dropped without it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "emul/base/err.h"
#include "emul/proc/signal_internal.h"
#include "emul/vfs/pseudo.h"

struct signalfd {
	struct file file;
	_Atomic sigmask_t mask;
	struct proc *proc;          /* borrowed from the first source: who made it. Constant */
	struct mutex lock;
	struct list sources;        /* lock: source.node */
};

/* A process whose signals wake pollers. */
struct source {
	struct list node;
	struct signalfd *sf;
	struct proc *proc;          /* counted */
	struct waitq_entry entry;   /* on its signal_wq */
};

static const struct file_ops signalfd_ops;

static struct signalfd *signalfd_of(struct file *f)
{
	return container_of(f, struct signalfd, file);
}

static bool pass_on(struct waitq_entry *e, uint32_t events)
{
	waitq_wake(&container_of(e, struct source, entry)->sf->file.wq, EPOLLIN);
	return false;
}

/* --- whose signals ------------------------------------------------------------------------------------------ */

static void free_sources(struct list *l)
{
	struct source *s, *next;

	list_for_each_safe(s, next, l, node) {
		waitq_del(&s->entry);
		proc_put(s->proc);
		free(s);
	}
}

static int add_source_locked(struct signalfd *sf, struct proc *p)
{
	struct source *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->sf = sf;
	s->proc = proc_get(p);
	s->entry.wake = pass_on;
	waitq_add(&p->signal_wq, &s->entry);
	list_add_tail(&sf->sources, &s->node);
	return 0;
}

/* p polls: its signals wake from now on. Children that have ended make room. */
static void watch(struct signalfd *sf, struct proc *p)
{
	struct list gone = LIST_INIT(gone);
	struct source *s, *next;
	bool known = false;

	mutex_lock(&sf->lock);
	list_for_each_safe(s, next, &sf->sources, node) {
		known |= s->proc == p;
		if (s->proc != sf->proc && atomic_load(&s->proc->zombie)) {
			list_del(&s->node);
			list_add(&gone, &s->node);
		}
	}
	if (!known)
		add_source_locked(sf, p); /* without memory it is woken late, at its next look */
	mutex_unlock(&sf->lock);
	free_sources(&gone);
}

/* --- struct signalfd_siginfo: kernel/signal.c siginfo_layout() says which members count ------------------------ */

/* Where a signal sent by the kernel has its own members. false: as kill(2)'s. */
static bool convert_own(const siginfo_t *i, struct signalfd_siginfo *s)
{
	switch (i->si_signo) {
	case SIGILL:
	case SIGFPE:
	case SIGSEGV:
	case SIGBUS:
	case SIGTRAP:
		s->ssi_addr = (uint64_t)i->si_addr;
		return true;
	case SIGSYS:
		s->ssi_call_addr = (uint64_t)i->si_call_addr;
		s->ssi_syscall = i->si_syscall;
		s->ssi_arch = i->si_arch;
		return true;
	case SIGCHLD:
		s->ssi_status = i->si_status;
		s->ssi_utime = (uint64_t)i->si_utime;
		s->ssi_stime = (uint64_t)i->si_stime;
		return false; /* and kill(2)'s */
	default:
		if (i->si_code > POLL_HUP)
			return false;
		s->ssi_band = (uint32_t)i->si_band; /* fcntl(F_SETSIG) */
		s->ssi_fd = i->si_fd;
		return true;
	}
}

static void convert(const siginfo_t *i, struct signalfd_siginfo *s)
{
	memset(s, 0, sizeof(*s));
	s->ssi_signo = (uint32_t)i->si_signo;
	s->ssi_errno = i->si_errno;
	s->ssi_code = i->si_code;
	if (i->si_code == SI_TIMER) {
		s->ssi_tid = (uint32_t)i->si_timerid;
		s->ssi_overrun = (uint32_t)i->si_overrun;
		s->ssi_ptr = (uint64_t)i->si_value.sival_ptr;
		s->ssi_int = i->si_value.sival_int;
		return;
	}
	if (i->si_code == SI_SIGIO) {
		s->ssi_band = (uint32_t)i->si_band;
		s->ssi_fd = i->si_fd;
		return;
	}
	if (i->si_code > SI_USER && i->si_code < SI_KERNEL && convert_own(i, s))
		return;
	s->ssi_pid = (uint32_t)i->si_pid;
	s->ssi_uid = i->si_uid;
	if (i->si_code < 0) {
		s->ssi_ptr = (uint64_t)i->si_value.sival_ptr;
		s->ssi_int = i->si_value.sival_int;
	}
}

/* The next signal for t. may_wait: sleep for it. 0, -EAGAIN, -ERESTARTSYS. */
static int take(struct task *t, struct signalfd *sf, bool may_wait, siginfo_t *ret)
{
	struct proc *p = t->proc;
	int r = 0;

	mutex_lock(&p->lock);
	while (r == 0 && !signal_take_locked(t, atomic_load(&sf->mask), ret))
		r = may_wait ? waitq_sleep(&p->signal_wq, &p->lock, FOREVER) : -EAGAIN;
	if (r == 0)
		signal_recalc_locked(t);
	mutex_unlock(&p->lock);
	return r;
}

static ssize_t sfd_read(struct file *f, struct uio *to, off_t *pos)
{
	struct task *t = task_current();
	ssize_t done = 0;

	if (uio_left(to) < sizeof(struct signalfd_siginfo))
		return -EINVAL;
	if (!t)
		return -EWOULDSLEEP;
	while (uio_left(to) >= sizeof(struct signalfd_siginfo)) {
		struct signalfd_siginfo s;
		siginfo_t info;
		int r = take(t, signalfd_of(f), !done && !file_nonblock(f), &info);

		if (r < 0)
			return done ? done : r;
		convert(&info, &s);
		if (uio_copy_out(to, &s, sizeof(s)) != sizeof(s))
			return done ? done : -EFAULT;
		done += sizeof(s);
	}
	return done;
}

static uint32_t sfd_poll(struct file *f)
{
	struct signalfd *sf = signalfd_of(f);
	struct task *t = task_current();
	sigmask_t pending;

	if (t) {
		watch(sf, t->proc); /* before the look */
		pending = signal_pending_raw(t);
	} else {
		mutex_lock(&sf->proc->lock);
		pending = sf->proc->pending.set;
		mutex_unlock(&sf->proc->lock);
	}
	return pending & atomic_load(&sf->mask) ? EPOLLIN : 0;
}

static void sfd_fdinfo(struct file *f, void *out)
{
	seq_printf(out, "sigmask:\t%016lx\n", (unsigned long)atomic_load(&signalfd_of(f)->mask));
}

static void sfd_release(struct file *f)
{
	struct signalfd *sf = signalfd_of(f);

	free_sources(&sf->sources);
	mutex_fini(&sf->lock);
	file_fini(f);
	free(sf);
}

static const struct file_ops signalfd_ops = {
	.name = "signalfd",
	.read = sfd_read,
	.lseek = file_noop_lseek,
	.poll = sfd_poll,
	.fdinfo = sfd_fdinfo,
	.release = sfd_release,
};

int signalfd_new(struct task *t, sigmask_t mask, int flags, struct file **ret)
{
	struct signalfd *sf = calloc(1, sizeof(*sf));
	int r;

	if (!sf)
		return -ENOMEM;
	file_init(&sf->file, &signalfd_ops, O_RDWR | ((unsigned)flags & SFD_NONBLOCK));
	atomic_init(&sf->mask, mask & ~SIGMASK_KILL_STOP);
	sf->proc = t->proc;
	mutex_init(&sf->lock);
	list_init(&sf->sources);
	mutex_lock(&sf->lock);
	r = add_source_locked(sf, t->proc);
	mutex_unlock(&sf->lock);
	if (r < 0) {
		file_put(&sf->file);
		return r;
	}
	*ret = &sf->file;
	return 0;
}

int signalfd_set_mask(struct file *f, sigmask_t mask)
{
	if (f->ops != &signalfd_ops)
		return -EINVAL;
	atomic_store(&signalfd_of(f)->mask, mask & ~SIGMASK_KILL_STOP);
	/* What is pending may be wanted now. */
	waitq_wake(&f->wq, EPOLLIN);
	waitq_wake(signal_waitq(signalfd_of(f)->proc), 0);
	return 0;
}
