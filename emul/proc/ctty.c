/* SPDX-License-Identifier: MIT */
/*
 * Controlling terminals: which session a terminal belongs to, who is in its foreground, and what befalls those
 * who are not. drivers/tty/tty_jobctrl.c. The terminals themselves are emul/vfs/tty; they call these hooks.
 *
 * proc->ctty is each process's own (fork copies it, setsid drops it); session and foreground group are the terminal's.
 */
#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "emul/base/err.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/signal_internal.h"
#include "emul/vfs/hooks.h"
#include "emul/vfs/tty/tty.h"

static bool is_leader(const struct proc *p)
{
	return p->sid == p->pid;
}

/* A leader, or who stands for one that is outside: what befalls a shell outside, befalls what it has started here. */
static bool answers_for_session(const struct proc *p)
{
	return is_leader(p) || p->led_from_outside;
}

static void set_locked(struct proc *p, struct tty *t)
{
	mutex_assert_held(&tasks_lock);
	tty_put(p->ctty);
	p->ctty = t ? tty_get(t) : NULL;
}

void ctty_inherit_locked(struct proc *child, struct proc *parent)
{
	set_locked(child, parent->ctty);
}

void ctty_drop_locked(struct proc *p)
{
	set_locked(p, NULL);
	p->old_tty_pgid = 0;
}

/* t becomes p's, and p's group is in front. */
static void take_locked(struct proc *p, struct tty *t)
{
	tty_set_owner(t, p->sid, p->pgid);
	set_locked(p, t);
	p->old_tty_pgid = 0;
}

static void clear_session_locked(pid_t sid)
{
	struct proc *p;

	list_for_each(p, &pid_procs, all_node)
		if (p->sid == sid && p->ctty)
			set_locked(p, NULL);
}

/* --- a session loses its terminal --------------------------------------------------------------------- */

/* TIOCNOTTY by the leader, or the leader's end. */
static void disassociate_locked(struct proc *p, bool exits)
{
	pid_t session, pgrp;

	if (!p->ctty) {
		if (exits && p->old_tty_pgid) { /* it was hung up: those who were in front know by now that it is over */
			pgrp_signal_locked(p->old_tty_pgid, SIGHUP);
			pgrp_signal_locked(p->old_tty_pgid, SIGCONT);
			p->old_tty_pgid = 0;
		}
		return;
	}
	tty_owner(p->ctty, &session, &pgrp);
	if (pgrp && !(exits && p->program && p->env->outlives_first)) {
		pgrp_signal_locked(pgrp, SIGHUP);
		if (!exits)
			pgrp_signal_locked(pgrp, SIGCONT);
	}
	tty_set_owner(p->ctty, 0, 0);
	p->old_tty_pgid = 0;
	clear_session_locked(p->sid);
}

void ctty_leader_exits_locked(struct proc *p)
{
	mutex_assert_held(&tasks_lock);
	if (answers_for_session(p))
		disassociate_locked(p, true);
}

static void hung_up(struct tty *t)
{
	pid_t session, pgrp;
	struct proc *p;

	mutex_lock(&tasks_lock);
	tty_owner(t, &session, &pgrp);
	list_for_each(p, &pid_procs, all_node) {
		if (!session || p->sid != session)
			continue;
		if (p->ctty == t)
			set_locked(p, NULL);
		if (!answers_for_session(p))
			continue;
		proc_signal_kernel(p, SIGHUP);
		proc_signal_kernel(p, SIGCONT);
		p->old_tty_pgid = pgrp;
	}
	tty_set_owner(t, 0, 0);
	mutex_unlock(&tasks_lock);
}

static void closed(struct tty *t)
{
	pid_t session, pgrp;

	mutex_lock(&tasks_lock);
	tty_owner(t, &session, &pgrp);
	if (session)
		clear_session_locked(session);
	mutex_unlock(&tasks_lock);
}

/* --- background ------------------------------------------------------------------------------------------- */

static void signal_group(pid_t pgid, int sig)
{
	signal_send_group(pgid, sig, NULL);
}

static bool blocks_or_ignores(struct task *t, int sig)
{
	return (signal_mask(t) & SIGMASK(sig)) || signal_get_action(t->proc, sig).handler == HANDLER_IGN;
}

static int check(struct tty *t, int sig)
{
	struct task *me = task_current();
	pid_t session, pgrp;
	bool deaf;
	int r = 0;

	if (!me)
		return 0;
	deaf = blocks_or_ignores(me, sig);
	mutex_lock(&tasks_lock);
	if (me->proc->ctty == t) {
		tty_owner(t, &session, &pgrp);
		if (!pgrp || pgrp == me->proc->pgid) {
			r = 0;
		} else if (deaf) {
			r = sig == SIGTTIN ? -EIO : 0;
		} else if (pgrp_is_orphaned_locked(me->proc->pgid, NULL)) {
			r = -EIO;
		} else {
			pgrp_signal_locked(me->proc->pgid, sig);
			r = -ERESTARTSYS;
		}
	}
	mutex_unlock(&tasks_lock);
	return r;
}

/* --- a session gets a terminal ------------------------------------------------------------------------------- */

static void opened(struct tty *t, struct fs_ctx *c, bool readable)
{
	AUTO(proc) p = proc_find(c->pid);
	pid_t session, pgrp;

	if (!p || !readable)
		return;
	mutex_lock(&tasks_lock);
	tty_owner(t, &session, &pgrp);
	if (is_leader(p) && !p->ctty && !session)
		take_locked(p, t);
	mutex_unlock(&tasks_lock);
}

void ctty_give(struct proc *p, struct tty *t)
{
	mutex_lock(&tasks_lock);
	take_locked(p, t);
	mutex_unlock(&tasks_lock);
}

static int acquire_locked(struct task *me, struct tty *t, bool readable, bool steal_it)
{
	bool admin = cred_capable(me->fsc.cred, CAP_SYS_ADMIN);
	struct proc *p = me->proc;
	pid_t session, pgrp;

	tty_owner(t, &session, &pgrp);
	if (is_leader(p) && session == p->sid)
		return 0;
	if (!is_leader(p) || p->ctty)
		return -EPERM;
	if (session) {
		if (!steal_it || !admin)
			return -EPERM;
		clear_session_locked(session);
	}
	if (!readable && !admin)
		return -EPERM;
	take_locked(p, t);
	return 0;
}

static int give_up_locked(struct proc *p, struct tty *t)
{
	if (p->ctty != t)
		return -ENOTTY;
	if (is_leader(p))
		disassociate_locked(p, false);
	ctty_drop_locked(p);
	return 0;
}

/* --- the foreground group ---------------------------------------------------------------------------------------- */

static int set_foreground_locked(struct proc *p, struct tty *t, pid_t pgid)
{
	pid_t session, pgrp, of_group;

	tty_owner(t, &session, &pgrp);
	if (p->ctty != t || session != p->sid)
		return -ENOTTY;
	of_group = pgrp_session_locked(pgid);
	if (of_group < 0)
		return -ESRCH;
	if (of_group != p->sid)
		return -EPERM;
	tty_set_owner(t, session, pgid);
	return 0;
}

static long set_foreground(struct task *me, struct tty *t, bool master, gva_t arg)
{
	pid_t pgid;
	int r = master ? 0 : check(t, SIGTTOU);

	if (r < 0)
		return r == -EIO ? -ENOTTY : r;
	if (guest_read(me->mm, &pgid, arg) < 0)
		return -EFAULT;
	if (pgid < 0)
		return -EINVAL;
	mutex_lock(&tasks_lock);
	r = set_foreground_locked(me->proc, t, pgid);
	mutex_unlock(&tasks_lock);
	return r;
}

/* The master's holder may ask about its slave; everybody else about the terminal that they are controlled by. */
static long get_owner(struct task *me, struct tty *t, bool master, bool want_session, gva_t arg)
{
	pid_t session, pgrp;
	bool mine;

	mutex_lock(&tasks_lock);
	mine = me->proc->ctty == t;
	tty_owner(t, &session, &pgrp);
	mutex_unlock(&tasks_lock);
	if ((!master && !mine) || (want_session && !session))
		return -ENOTTY;
	return guest_write(me->mm, arg, want_session ? &session : &pgrp);
}

static long control(struct tty *t, bool readable, bool master, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	struct task *me = c->task;
	long r;

	switch (cmd) {
	case TIOCSPGRP: return set_foreground(me, t, master, arg);
	case TIOCGPGRP: return get_owner(me, t, master, false, arg);
	case TIOCGSID: return get_owner(me, t, master, true, arg);
	case TIOCSCTTY:
	case TIOCNOTTY:
		mutex_lock(&tasks_lock);
		r = cmd == TIOCSCTTY ? acquire_locked(me, t, readable, arg == 1) : master ? -ENOTTY : give_up_locked(me->proc, t);
		mutex_unlock(&tasks_lock);
		return r;
	default: return -ENOTTY;
	}
}

/* --- boot, /dev/tty, /proc ------------------------------------------------------------------------------------------- */

static bool owned(struct tty *t)
{
	struct task *me = task_current();
	bool mine;

	mutex_lock(&tasks_lock);
	mine = me && me->proc->ctty == t;
	mutex_unlock(&tasks_lock);
	return mine;
}

static int open_own(struct fs_ctx *c, unsigned flags, struct file **ret)
{
	AUTO(proc) p = proc_find(c->pid);
	AUTO(tty) t = NULL;

	if (p) {
		mutex_lock(&tasks_lock);
		t = p->ctty ? tty_get(p->ctty) : NULL;
		mutex_unlock(&tasks_lock);
	}
	return t ? tty_open(t, c, flags | O_NOCTTY, ret) : -ENXIO;
}

void ctty_boot(void)
{
	static const struct tty_jobs jobs = {
		.signal_group = signal_group, .check = check, .opened = opened, .closed = closed,
		.hung_up = hung_up, .owned = owned, .control = control,
	};

	tty_jobs = &jobs;
	tty_open_hook = open_own;
}

void ctty_facts_locked(struct proc *p, unsigned *ret_nr, pid_t *ret_pgrp)
{
	pid_t session;
	dev_t dev;

	mutex_assert_held(&tasks_lock);
	*ret_nr = 0;
	*ret_pgrp = -1;
	if (!p->ctty)
		return;
	dev = tty_dev(p->ctty);
	*ret_nr = (minor(dev) & 0xff) | major(dev) << 8 | (minor(dev) & ~0xffu) << 12;
	tty_owner(p->ctty, &session, ret_pgrp);
}
