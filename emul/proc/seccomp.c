/* SPDX-License-Identifier: MIT */
/* Filters on system calls. kernel/seccomp.c. The programs themselves: bpf.c. */
#include "emul/proc/seccomp.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/ptrace.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/proc/bpf.h"
#include "emul/proc/kmem.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/signal_internal.h"

#define PATH_INSNS_MAX 32768u /* of all filters of a task, */
#define FILTER_COST 4u        /* each of which counts as so many more */
#define ERRNO_MAX 4095u
#define KNOWN_FLAGS                                                                                     \
	(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_TSYNC_ESRCH)
#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1
#endif

struct seccomp_filter {
	struct ref ref;
	struct seccomp_filter *prev; /* counted; constant */
	bool log;
	unsigned len;
	struct sock_filter insn[];
};

/* --- chains ------------------------------------------------------------------------------------------------- */

static size_t filter_size(unsigned len)
{
	return sizeof(struct seccomp_filter) + len * sizeof(struct sock_filter);
}

static struct seccomp_filter *filter_new(const struct sock_filter *insn, unsigned len)
{
	struct seccomp_filter *f = kmem_charge(filter_size(len)) ? malloc(filter_size(len)) : NULL;

	if (!f)
		return NULL;
	ref_init(&f->ref);
	f->prev = NULL;
	f->log = false;
	f->len = len;
	memcpy(f->insn, insn, len * sizeof(*insn));
	return f;
}

static void filter_put(struct seccomp_filter *f)
{
	while (f && ref_put(&f->ref)) {
		struct seccomp_filter *prev = f->prev;

		kmem_uncharge(filter_size(f->len));
		free(f);
		f = prev;
	}
}

static struct seccomp_filter *filter_get(struct seccomp_filter *f)
{
	if (f)
		ref_get(&f->ref);
	return f;
}

static struct seccomp_filter *filter_of(const struct task *t)
{
	return atomic_load_explicit(&t->seccomp.filter, memory_order_acquire);
}

static unsigned mode_of(const struct task *t)
{
	return atomic_load_explicit(&t->seccomp.mode, memory_order_acquire);
}

static bool is_ancestor(const struct seccomp_filter *old, const struct seccomp_filter *f)
{
	if (!old)
		return true;
	while (f && f != old)
		f = f->prev;
	return f == old;
}

unsigned seccomp_count(struct task *t)
{
	unsigned n = 0;

	mutex_lock(&t->proc->lock);
	for (const struct seccomp_filter *f = filter_of(t); f; f = f->prev)
		n++;
	mutex_unlock(&t->proc->lock);
	return n;
}

void seccomp_inherit_locked(struct task *t, struct task *child)
{
	mutex_assert_held(&t->proc->lock);
	atomic_store(&child->seccomp.filter, filter_get(filter_of(t)));
	atomic_store(&child->seccomp.mode, mode_of(t));
	child->no_new_privs = t->no_new_privs;
}

void seccomp_free(struct seccomp *s)
{
	filter_put(atomic_exchange(&s->filter, NULL));
}

/* --- setting ------------------------------------------------------------------------------------------------ */

long seccomp_set_strict(struct task *t)
{
	long r = 0;

	mutex_lock(&t->proc->lock);
	if (mode_of(t) != SECCOMP_MODE_DISABLED && mode_of(t) != SECCOMP_MODE_STRICT)
		r = -EINVAL;
	else
		atomic_store(&t->seccomp.mode, SECCOMP_MODE_STRICT);
	mutex_unlock(&t->proc->lock);
	return r;
}

bool seccomp_knows_flags(unsigned flags)
{
	return !(flags & ~KNOWN_FLAGS);
}

bool seccomp_may_install(struct task *t)
{
	return t->no_new_privs || cred_capable(t->fsc.cred, CAP_SYS_ADMIN);
}

/* seccomp_can_sync_threads(): the first thread that has gone another way, 0: none. */
static pid_t strayed_locked(struct task *t)
{
	struct task *o;

	list_for_each(o, &t->proc->threads, thread_node) {
		unsigned mode = mode_of(o);

		if (o == t || mode == SECCOMP_MODE_DISABLED ||
		    (mode == SECCOMP_MODE_FILTER && is_ancestor(filter_of(o), filter_of(t))))
			continue;
		return o->tid;
	}
	return 0;
}

/* Its own or, in order: the filter before the mode, which makes the task look at it. Consumes f. */
static void assign_locked(struct task *t, struct seccomp_filter *f)
{
	struct seccomp_filter *old = filter_of(t);

	atomic_store(&t->seccomp.filter, f);
	atomic_store(&t->seccomp.mode, SECCOMP_MODE_FILTER);
	filter_put(old);
}

static void sync_threads_locked(struct task *t)
{
	struct task *o;

	list_for_each(o, &t->proc->threads, thread_node) {
		if (o == t || o->dying)
			continue;
		assign_locked(o, filter_get(filter_of(t)));
		if (t->no_new_privs)
			o->no_new_privs = true;
		task_answers_stop_locked(o); /* what it may be told without leaving the guest ends at once, */
		task_kick_locked(o);         /* and it comes out */
	}
}

/* seccomp_attach_filter(). Consumes f on success. */
static long attach_locked(struct task *t, unsigned flags, struct seccomp_filter *f)
{
	unsigned total = f->len;
	pid_t stray;

	if (mode_of(t) != SECCOMP_MODE_DISABLED && mode_of(t) != SECCOMP_MODE_FILTER)
		return -EINVAL;
	for (const struct seccomp_filter *p = filter_of(t); p; p = p->prev)
		total += p->len + FILTER_COST;
	if (total > PATH_INSNS_MAX)
		return -ENOMEM;
	if (flags & SECCOMP_FILTER_FLAG_TSYNC) {
		stray = strayed_locked(t);
		if (stray)
			return flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : stray;
	}
	f->log = flags & SECCOMP_FILTER_FLAG_LOG;
	f->prev = filter_get(filter_of(t));
	assign_locked(t, f);
	if (flags & SECCOMP_FILTER_FLAG_TSYNC)
		sync_threads_locked(t);
	return 0;
}

long seccomp_set_filter(struct task *t, unsigned flags, const struct sock_filter *insn, unsigned len)
{
	struct seccomp_filter *f;
	long r = bpf_check(insn, len);

	if (r < 0)
		return r;
	f = filter_new(insn, len);
	if (!f)
		return -ENOMEM;
	mutex_lock(&t->proc->lock);
	r = attach_locked(t, flags, f);
	mutex_unlock(&t->proc->lock);
	if (r != 0)
		filter_put(f);
	log_dbg(PROC, "%d: filter of %u instructions: %ld", t->tid, len, r);
	return r;
}

bool seccomp_knows_action(uint32_t action)
{
	switch (action) {
	case SECCOMP_RET_KILL_PROCESS:
	case SECCOMP_RET_KILL_THREAD:
	case SECCOMP_RET_TRAP:
	case SECCOMP_RET_ERRNO:
	case SECCOMP_RET_TRACE:
	case SECCOMP_RET_LOG:
	case SECCOMP_RET_ALLOW:
		return true;
	default:
		return false;
	}
}

/* --- deciding (own thread) ------------------------------------------------------------------------------------ */

/* __secure_computing_strict() */
static bool strict_allows(struct task *t)
{
	int nr = (int)t->regs.orig_rax;

	if (nr == SYS_read || nr == SYS_write || nr == SYS_exit || nr == SYS_rt_sigreturn)
		return true;
	log_dbg(PROC, "%d: strict mode: call %d", t->tid, nr);
	task_exit(t, SIGKILL);
	return false;
}

/* seccomp_run_filters(): the strongest verdict counts; of equals the newest filter's. */
static uint32_t run(const struct seccomp_filter *f, const struct seccomp_data *d)
{
	uint32_t best = SECCOMP_RET_ALLOW;

	for (; f; f = f->prev) {
		uint32_t r = bpf_run(f->insn, d);

		if ((int32_t)(r & SECCOMP_RET_ACTION_FULL) < (int32_t)(best & SECCOMP_RET_ACTION_FULL))
			best = r;
	}
	return best;
}

static void trap(struct task *t, const struct seccomp_data *d, uint32_t reason)
{
	siginfo_t info = { .si_signo = SIGSYS, .si_code = SYS_SECCOMP, .si_errno = (int)reason };

	info.si_call_addr = (void *)(uintptr_t)d->instruction_pointer;
	info.si_syscall = d->nr;
	info.si_arch = d->arch;
	t->regs.rax = t->regs.orig_rax; /* as if it had not been made */
	signal_force(t, SIGSYS, &info);
}

static void kill_for(struct task *t, uint32_t action)
{
	if (action == SECCOMP_RET_KILL_THREAD && !proc_is_alone(t->proc))
		task_exit(t, SIGSYS);
	else
		proc_exit_group(t, SIGSYS);
}

static bool leaves(struct task *t)
{
	bool r;

	mutex_lock(&t->proc->lock);
	r = signal_thread_leaves_locked(t);
	mutex_unlock(&t->proc->lock);
	return r;
}

static bool filters_allow(struct task *t, bool traced);

/* The tracer is asked, and may make another call of it; the filters judge that one too. */
static bool ask_tracer(struct task *t, uint32_t data)
{
	if (!trace_event_wanted(t, PTRACE_EVENT_SECCOMP))
		return false;
	trace_event(t, PTRACE_EVENT_SECCOMP, data);
	if (leaves(t) || (int)t->regs.orig_rax < 0)
		return false;
	return filters_allow(t, true);
}

/* __seccomp_filter(). rax is -ENOSYS already. */
static bool filters_allow(struct task *t, bool traced)
{
	const struct uregs *u = &t->regs;
	const struct seccomp_data d = { .nr = (int)u->orig_rax, .arch = AUDIT_ARCH_X86_64, .instruction_pointer = u->rip,
					.args = { u->rdi, u->rsi, u->rdx, u->r10, u->r8, u->r9 } };
	uint32_t verdict = run(filter_of(t), &d), data = verdict & SECCOMP_RET_DATA;

	switch (verdict & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
		return true;
	case SECCOMP_RET_LOG:
		log_dbg(PROC, "%d: filter: call %d", t->tid, d.nr);
		return true;
	case SECCOMP_RET_ERRNO:
		t->regs.rax = (uint64_t)-(int64_t)(data > ERRNO_MAX ? ERRNO_MAX : data);
		return false;
	case SECCOMP_RET_TRACE:
		return traced || ask_tracer(t, data);
	case SECCOMP_RET_USER_NOTIF: /* nobody listens */
		return false;
	case SECCOMP_RET_TRAP:
		trap(t, &d, data);
		return false;
	default:
		log_dbg(PROC, "%d: filter: call %d ends it", t->tid, d.nr);
		kill_for(t, verdict & SECCOMP_RET_ACTION_FULL);
		return false;
	}
}

bool seccomp_allows(struct task *t)
{
	return mode_of(t) == SECCOMP_MODE_STRICT ? strict_allows(t) : filters_allow(t, false);
}
