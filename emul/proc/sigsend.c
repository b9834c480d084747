/* SPDX-License-Identifier: MIT */
/*
 * kill(2), tgkill(2), rt_sigqueueinfo(2) and kin: whom a number means, who may, what siginfo says.
 * The order of the checks is kernel/signal.c's.
 */
#include <limits.h>
#include <linux/capability.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/signal_internal.h"

void signal_fill_user(struct task *from, siginfo_t *info, int sig, int code)
{
	memset(info, 0, sizeof(*info));
	info->si_signo = sig;
	info->si_code = code;
	info->si_pid = from->proc->pid;
	info->si_uid = from->fsc.cred->uid;
}

static struct cred *proc_cred(struct proc *p)
{
	struct task *t;
	struct cred *c;

	mutex_lock(&p->lock);
	t = p->leader ? task_get(p->leader) : NULL;
	mutex_unlock(&p->lock);
	c = t ? task_get_cred(t) : NULL;
	task_put(t);
	return c;
}

/* Takes no lock that tasks_lock's holder could not: same_session is asked by the caller. */
static int may_send(struct task *from, struct proc *to, int sig, bool same_session)
{
	const struct cred *c = from->fsc.cred;
	AUTO(cred) o = NULL;

	if (sig && !signal_valid(sig))
		return -EINVAL;
	if (from->proc == to)
		return 0;
	o = proc_cred(to);
	if (!o)
		return 0; /* on its way out */
	if (c->euid == o->suid || c->euid == o->uid || c->uid == o->suid || c->uid == o->uid || cred_capable(c, CAP_KILL))
		return 0;
	return sig == SIGCONT && same_session ? 0 : -EPERM;
}

static bool same_session(struct task *from, struct proc *to)
{
	bool same;

	mutex_lock(&tasks_lock);
	same = from->proc->sid == to->sid;
	mutex_unlock(&tasks_lock);
	return same;
}

int signal_may_send(struct task *from, struct proc *to, int sig)
{
	return may_send(from, to, sig, same_session(from, to));
}

/* --- one process -------------------------------------------------------------------------------------------- */

static long kill_one(struct task *t, pid_t pid, int sig)
{
	AUTO(task) to = task_find(pid); /* any thread's id names its process */
	siginfo_t info;
	int r;

	if (!to)
		return -ESRCH;
	r = signal_may_send(t, to->proc, sig);
	if (r < 0 || sig == 0)
		return r;
	signal_fill_user(t, &info, sig, SI_USER);
	return signal_send_proc(to->proc, sig, &info);
}

/* --- several --------------------------------------------------------------------------------------------------- */

/* Sends to p if from may (NULL: the kernel). tasks_lock held. */
static int send_member(struct task *from, struct proc *p, int sig, const siginfo_t *info)
{
	int r = from ? may_send(from, p, sig, from->proc->sid == p->sid) : 0;

	if (r < 0 || sig == 0)
		return r;
	mutex_lock(&p->lock);
	r = signal_send_locked(p, NULL, sig, info, false, NULL);
	mutex_unlock(&p->lock);
	return r < 0 ? r : 0;
}

static int send_group(struct task *from, pid_t pgid, int sig, const siginfo_t *info)
{
	bool sent = false;
	int r = -ESRCH;
	struct proc *p;

	mutex_lock(&tasks_lock);
	list_for_each(p, &pid_procs, all_node) {
		if (p->pgid != pgid)
			continue;
		r = send_member(from, p, sig, info);
		sent |= r == 0;
	}
	mutex_unlock(&tasks_lock);
	return sent ? 0 : r;
}

long signal_queueinfo_group(struct task *t, pid_t pgid, int sig, const siginfo_t *info)
{
	return send_group(t, pgid, sig, info);
}

int signal_send_group(pid_t pgid, int sig, const siginfo_t *info)
{
	siginfo_t kernel = signal_kernel_info(sig);

	return send_group(NULL, pgid, sig, info ? info : &kernel);
}

static long kill_all(struct task *t, int sig, const siginfo_t *info)
{
	struct proc *p;
	long r = 0;
	int n = 0;

	mutex_lock(&tasks_lock);
	list_for_each(p, &pid_procs, all_node) {
		int one;

		if (p == t->proc || p->is_init)
			continue;
		one = send_member(t, p, sig, info);
		n++;
		if (one != -EPERM)
			r = one;
	}
	mutex_unlock(&tasks_lock);
	return n ? r : -ESRCH;
}

long signal_kill(struct task *t, pid_t pid, int sig)
{
	siginfo_t info;
	pid_t pgid;

	if (pid > 0)
		return kill_one(t, pid, sig);
	if (pid == INT_MIN)
		return -ESRCH;
	signal_fill_user(t, &info, sig, SI_USER);
	if (pid == -1)
		return kill_all(t, sig, &info);
	mutex_lock(&tasks_lock);
	pgid = pid == 0 ? t->proc->pgid : -pid;
	mutex_unlock(&tasks_lock);
	return send_group(t, pgid, sig, &info);
}

/* --- one thread -------------------------------------------------------------------------------------------------- */

static long send_thread(struct task *t, pid_t tgid, pid_t tid, int sig, const siginfo_t *info)
{
	AUTO(task) to = task_find(tid);
	long r;

	if (!to || (tgid > 0 && to->proc->pid != tgid))
		return -ESRCH;
	r = signal_may_send(t, to->proc, sig);
	if (r < 0 || sig == 0)
		return r;
	r = signal_send_task(to, sig, info);
	return r == -ESRCH ? 0 : r; /* it ended this moment: as if the signal had been too late */
}

long signal_tgkill(struct task *t, pid_t tgid, pid_t tid, int sig)
{
	siginfo_t info;

	if (tid <= 0 || tgid < 0)
		return -EINVAL;
	signal_fill_user(t, &info, sig, SI_TKILL);
	return send_thread(t, tgid, tid, sig, &info);
}

long signal_queueinfo(struct task *t, pid_t tgid, pid_t tid, int sig, siginfo_t *info)
{
	/* Nobody may look like kill(2) or the kernel, but to itself. */
	if ((info->si_code >= 0 || info->si_code == SI_TKILL) && t->proc->pid != tgid)
		return -EPERM;
	info->si_signo = sig;
	if (tid)
		return send_thread(t, tgid, tid, sig, info);

	AUTO(task) to = task_find(tgid);
	long r;

	if (!to)
		return -ESRCH;
	r = signal_may_send(t, to->proc, sig);
	return r < 0 || sig == 0 ? r : signal_send_proc(to->proc, sig, info);
}
