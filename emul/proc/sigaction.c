/* SPDX-License-Identifier: MIT */
/* What a process does on signals: actions, the alternate stack, and what execve leaves of both. man 2 sigaction, sigaltstack. */
#include <string.h>

#include "emul/base/err.h"
#include "emul/proc/signal_internal.h"

/* UAPI_SA_FLAGS: others are cleared, so that programs can probe for them. SA_EXPOSE_TAGBITS is known and does nothing. */
#define KNOWN_FLAGS                                                                                           \
	((uint32_t)SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND | \
	 SA_RESTORER_FLAG | 0x800u)
#define ALTSTACK_MIN 2048 /* MINSIGSTKSZ */
#define ALTSTACK_AUTODISARM ((int)(1u << 31))

struct sigact signal_get_action(struct proc *p, int sig)
{
	struct sigact a;

	mutex_lock(&p->sighand->lock);
	a = p->sighand->action[sig];
	mutex_unlock(&p->sighand->lock);
	return a;
}

static void drop_ignored_locked(struct proc *p, int sig)
{
	struct task *t;

	sigpending_drop_locked(&p->pending, SIGMASK(sig));
	list_for_each(t, &p->threads, thread_node)
		sigpending_drop_locked(&t->pending, SIGMASK(sig));
}

long signal_action(struct task *t, int sig, const struct ksigaction *set, struct ksigaction *ret_old)
{
	struct proc *p = t->proc;
	struct sigact old, now;

	if (!signal_valid(sig) || (set && (SIGMASK(sig) & SIGMASK_KILL_STOP)))
		return -EINVAL;
	mutex_lock(&p->lock);
	mutex_lock(&p->sighand->lock);
	old = now = p->sighand->action[sig];
	if (set) {
		now = (struct sigact){ .handler = set->handler, .flags = set->flags & KNOWN_FLAGS, .restorer = set->restorer,
				       .mask = set->mask & ~SIGMASK_KILL_STOP };
		p->sighand->action[sig] = now;
	}
	mutex_unlock(&p->sighand->lock);
	/* POSIX 3.3.1.3: setting a signal to be ignored discards what is pending, blocked or not. */
	if (set && (now.handler == HANDLER_IGN || (now.handler == HANDLER_DFL && (SIGMASK(sig) & SIGMASK_IGNORE))))
		drop_ignored_locked(p, sig);
	mutex_unlock(&p->lock);
	if (ret_old)
		*ret_old = (struct ksigaction){ .handler = old.handler, .flags = old.flags, .restorer = old.restorer, .mask = old.mask };
	return 0;
}

/* --- alternate stack ------------------------------------------------------------------------------------ */

bool signal_on_altstack_range(const struct sigaltstack_state *a, uint64_t sp)
{
	return sp > a->sp && sp - a->sp <= a->size;
}

/* With SS_AUTODISARM a handler that runs there has it disarmed: it is never "on" it. */
bool signal_on_altstack(const struct sigaltstack_state *a, uint64_t sp)
{
	return !(a->flags & ALTSTACK_AUTODISARM) && signal_on_altstack_range(a, sp);
}

void signal_altstack_reset(struct task *t)
{
	t->altstack = (struct sigaltstack_state){ .flags = SS_DISABLE };
}

void signal_altstack_autodisarm(struct task *t)
{
	if (t->altstack.flags & ALTSTACK_AUTODISARM)
		signal_altstack_reset(t);
}

static long set_altstack(struct task *t, const stack_t *set, uint64_t rsp)
{
	struct sigaltstack_state *a = &t->altstack;
	int mode = set->ss_flags & ~ALTSTACK_AUTODISARM;

	if (signal_on_altstack(a, rsp))
		return -EPERM;
	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return -EINVAL;
	if (mode != SS_DISABLE && set->ss_size < ALTSTACK_MIN)
		return -ENOMEM;
	*a = (struct sigaltstack_state){ .flags = set->ss_flags };
	if (mode != SS_DISABLE) {
		a->sp = (uintptr_t)set->ss_sp;
		a->size = set->ss_size;
	}
	return 0;
}

long signal_altstack(struct task *t, const stack_t *set, stack_t *ret_old, uint64_t rsp)
{
	const struct sigaltstack_state *a = &t->altstack;
	stack_t old;
	long r = 0;

	memset(&old, 0, sizeof(old)); /* padding goes to the guest */
	old.ss_sp = (void *)(uintptr_t)a->sp;
	old.ss_size = a->size;
	old.ss_flags = (a->size == 0 ? SS_DISABLE : signal_on_altstack(a, rsp) ? SS_ONSTACK : 0) | (a->flags & ALTSTACK_AUTODISARM);
	if (set)
		r = set_altstack(t, set, rsp);
	if (r == 0 && ret_old)
		*ret_old = old;
	return r;
}

/* --- execve ------------------------------------------------------------------------------------------------ */

void signal_exec(struct task *t)
{
	struct sighand *s = t->proc->sighand;

	mutex_lock(&s->lock);
	for (int sig = 1; sig <= NSIG_LINUX; sig++)
		s->action[sig] = (struct sigact){ .handler = s->action[sig].handler == HANDLER_IGN ? HANDLER_IGN : HANDLER_DFL };
	mutex_unlock(&s->lock);
	signal_altstack_reset(t);
	t->restart.fn = NULL;
}
