/* SPDX-License-Identifier: MIT */
/* SIGIO, or what F_SETSIG says, and SIGURG: events of files for their owners (emul/vfs/async.c). fs/fcntl.c, send_sigio(). */
#include <poll.h>

#include "emul/base/err.h"
#include "emul/proc/lifecycle.h"
#include "emul/vfs/hooks.h"

struct owner { int type; pid_t pid; int sig, fd; uid_t uid, euid; };

/* sigio_perm(): who set the owner could have sent it the signal. */
static bool may(const struct owner *o, struct task *t)
{
	AUTO(cred) c = task_get_cred(t);

	return c && (o->euid == 0 || o->euid == c->suid || o->euid == c->uid || o->uid == c->suid || o->uid == c->uid);
}

/* To p, or to one task of it. A signal that finds no room in the queue of its kind becomes SIGIO, as on Linux. */
static void send_to(const struct owner *o, struct proc *p, struct task *one, const siginfo_t *info)
{
	static const siginfo_t plain = { .si_signo = SIGIO, .si_code = SI_KERNEL };
	AUTO(task) t = one ? task_get(one) : task_find(p->pid);
	int r;

	if (!t || !may(o, t))
		return;
	r = one ? signal_send_task(t, info->si_signo, info) : signal_send_proc(p, info->si_signo, info);
	if (r == -EAGAIN && one)
		signal_send_task(t, SIGIO, &plain);
	else if (r == -EAGAIN)
		signal_send_proc(p, SIGIO, &plain);
}

static void send_group(const struct owner *o, const siginfo_t *info)
{
	struct proc *p;

	for (pid_t pid = 1; (p = proc_next(&pid)); pid++) {
		if (p->pgid == o->pid)
			send_to(o, p, NULL, info);
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
		send_group(o, info);
	} else if (o->type == F_OWNER_TID) {
		AUTO(task) t = task_find(o->pid);

		if (t)
			send_to(o, t->proc, t, info);
	} else {
		AUTO(proc) p = proc_find(o->pid);

		if (p)
			send_to(o, p, NULL, info);
	}
}

/* These have codes of their own, which POLL_* would be taken for. */
static bool has_own_codes(int sig)
{
	return sig == SIGILL || sig == SIGFPE || sig == SIGSEGV || sig == SIGBUS || sig == SIGTRAP || sig == SIGCHLD || sig == SIGSYS;
}

static void send_event(struct file *f, int code)
{
	static const long bands[] = {
		[POLL_IN] = POLLIN | POLLRDNORM,
		[POLL_OUT] = POLLOUT | POLLWRNORM | POLLWRBAND,
		[POLL_MSG] = POLLIN | POLLRDNORM | POLLMSG,
		[POLL_ERR] = POLLERR,
		[POLL_PRI] = POLLPRI | POLLRDBAND,
		[POLL_HUP] = POLLHUP | POLLERR,
	};
	siginfo_t info = { .si_code = SI_KERNEL };
	struct owner o = owner_of(f);

	if (!o.pid)
		return;
	info.si_signo = code == FILE_URGENT ? SIGURG : o.sig ? o.sig : SIGIO;
	if (o.sig && code != FILE_URGENT) {
		info.si_code = has_own_codes(o.sig) ? SI_SIGIO : code;
		info.si_band = bands[code];
		info.si_fd = o.fd;
	}
	send_to_owner(&o, &info);
}

void sigio_boot(void)
{
	file_signal_hook = send_event;
	wait_unlocked_hook = file_async_send;
}
