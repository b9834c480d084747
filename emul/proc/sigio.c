/* SPDX-License-Identifier: MIT */
/* SIGIO, or what F_SETSIG says: a file with O_ASYNC tells its owner that it is ready. fs/fcntl.c, send_sigio(). */
#include <poll.h>

#include "emul/base/err.h"
#include "emul/proc/task.h"

struct owner { int type; pid_t pid; int sig, fd; uid_t uid, euid; };

/* sigio_perm(): who set the owner could have sent it the signal. */
static bool may(const struct owner *o, struct task *t)
{
	AUTO(cred) c = task_get_cred(t);

	return c && (o->euid == 0 || o->euid == c->suid || o->euid == c->uid || o->uid == c->suid || o->uid == c->uid);
}

static void send_proc(const struct owner *o, struct proc *p, int sig, const siginfo_t *info)
{
	AUTO(task) t = task_find(p->pid);

	if (t && may(o, t))
		signal_send_proc(p, sig, info);
}

static void send_group(const struct owner *o, int sig, const siginfo_t *info)
{
	struct proc *p;

	for (pid_t pid = 1; (p = proc_next(&pid)); pid++) {
		if (p->pgid == o->pid)
			send_proc(o, p, sig, info);
		proc_put(p);
	}
}

static struct owner owner_of(struct file *f)
{
	struct owner o;

	mutex_lock(&f->own_lock);
	o = (struct owner){ f->own.type, f->own.pid, f->own.sig, f->own.fd, f->own.uid, f->own.euid };
	mutex_unlock(&f->own_lock);
	return o;
}

static void send_to_owner(const struct owner *o, const siginfo_t *info)
{
	if (o->type == F_OWNER_PGRP) {
		send_group(o, info->si_signo, info);
	} else if (o->type == F_OWNER_TID) {
		AUTO(task) t = task_find(o->pid);

		if (t && may(o, t))
			signal_send_task(t, info->si_signo, info);
	} else {
		AUTO(proc) p = proc_find(o->pid);

		if (p)
			send_proc(o, p, info->si_signo, info);
	}
}

void sigio_send(struct file *f, int code)
{
	static const long bands[] = { [POLL_IN] = POLLIN | POLLRDNORM, [POLL_OUT] = POLLOUT | POLLWRNORM | POLLWRBAND };
	siginfo_t info = { .si_code = SI_KERNEL };
	struct owner o = owner_of(f);

	if (!o.pid)
		return;
	info.si_signo = o.sig ? o.sig : SIGIO;
	if (o.sig) {
		info.si_code = code;
		info.si_band = bands[code];
		info.si_fd = o.fd;
	}
	send_to_owner(&o, &info);
}

void sigurg_send(struct file *f)
{
	siginfo_t info = { .si_signo = SIGURG, .si_code = SI_KERNEL };
	struct owner o = owner_of(f);

	if (o.pid)
		send_to_owner(&o, &info);
}
