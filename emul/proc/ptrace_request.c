/* SPDX-License-Identifier: MIT */
/* ptrace(2), what a tracer asks of a stopped tracee beyond its registers and memory. kernel/ptrace.c ptrace_request(). */
#include <linux/audit.h>
#include <linux/ptrace.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/proc/signal_internal.h"

#define SYSGOOD 0x80

/* --- going on --------------------------------------------------------------------------------------- */

long trace_resume(struct task *target, enum trace_mode mode, bool step, uint64_t sig)
{
	struct tracing *s = &target->tracing;

	if (sig > NSIG_LINUX)
		return -EIO;
	mutex_lock(&target->proc->lock);
	s->mode = mode;
	s->step = step;
	s->code = (int)sig;
	s->resumed = true;
	mutex_unlock(&target->proc->lock);
	return 0; /* it wakes when it is thawed */
}

long trace_interrupt(struct task *target)
{
	struct tracing *s = &target->tracing;
	long r = -EIO;

	mutex_lock(&target->proc->lock);
	if (s->seized && target->dying) {
		r = 0;
	} else if (s->seized) {
		s->trap_stop = true;
		task_kick_locked(target);
		waitq_wake(&target->proc->stop_wq, 0); /* it may be listening */
		r = 0;
	}
	mutex_unlock(&target->proc->lock);
	return r;
}

long trace_listen(struct task *target)
{
	struct tracing *s = &target->tracing;
	long r = -EIO;

	mutex_lock(&target->proc->lock);
	/* In a stop of its group or by PTRACE_INTERRUPT only. What came since its begin wakes it again at once. */
	if (s->seized && s->has_info && s->info.si_code >> 8 == PTRACE_EVENT_STOP) {
		s->listening = true;
		r = 0;
	}
	mutex_unlock(&target->proc->lock);
	return r;
}

long trace_set_options(struct task *target, uint64_t options)
{
	int r = trace_check_options(options);

	if (r < 0)
		return r;
	mutex_lock(&target->proc->lock);
	target->tracing.options = (unsigned)options;
	mutex_unlock(&target->proc->lock);
	return 0;
}

/* --- signals ---------------------------------------------------------------------------------------------- */

long trace_get_siginfo(struct task *target, siginfo_t *ret)
{
	long r = -EINVAL;

	mutex_lock(&target->proc->lock);
	if (target->tracing.has_info) {
		*ret = target->tracing.info;
		r = 0;
	}
	mutex_unlock(&target->proc->lock);
	return r;
}

long trace_set_siginfo(struct task *target, const siginfo_t *info)
{
	long r = -EINVAL;

	mutex_lock(&target->proc->lock);
	if (target->tracing.has_info) {
		target->tracing.info = *info;
		r = 0;
	}
	mutex_unlock(&target->proc->lock);
	return r;
}

uint64_t trace_get_mask(struct task *target)
{
	uint64_t mask;

	mutex_lock(&target->proc->lock);
	mask = target->restore_mask ? target->saved_mask : target->blocked;
	mutex_unlock(&target->proc->lock);
	return mask;
}

/* Signals that become pending by it are looked at when the tracee goes on. */
void trace_set_mask(struct task *target, uint64_t mask)
{
	mutex_lock(&target->proc->lock);
	target->blocked = mask & ~SIGMASK_KILL_STOP;
	target->restore_mask = false;
	mutex_unlock(&target->proc->lock);
}

int trace_peek_siginfo(struct task *target, bool shared, uint64_t off, int n, siginfo_t *out)
{
	struct proc *p = target->proc;
	struct sigqueue *q;
	int found = 0;

	mutex_lock(&p->lock);
	list_for_each(q, shared ? &p->pending.queue : &target->pending.queue, node) {
		if (found == n)
			break;
		if (off) {
			off--;
			continue;
		}
		out[found++] = q->info;
	}
	mutex_unlock(&p->lock);
	return found;
}

/* --- the call that it is in ------------------------------------------------------------------------------------ */

static bool is_error(uint64_t rax)
{
	return rax >= (uint64_t)-4095;
}

static size_t fill_entry(const struct uregs *u, struct ptrace_syscall_info *ret)
{
	const uint64_t args[6] = { u->rdi, u->rsi, u->rdx, u->r10, u->r8, u->r9 };

	ret->op = PTRACE_SYSCALL_INFO_ENTRY;
	ret->entry.nr = (uint64_t)(int64_t)(int)u->orig_rax;
	memcpy(ret->entry.args, args, sizeof(args));
	return offsetof(struct ptrace_syscall_info, entry.args) + sizeof(args);
}

static size_t fill_exit(const struct uregs *u, struct ptrace_syscall_info *ret)
{
	ret->op = PTRACE_SYSCALL_INFO_EXIT;
	ret->exit.rval = (int64_t)u->rax;
	ret->exit.is_error = is_error(u->rax);
	return offsetof(struct ptrace_syscall_info, exit.is_error) + sizeof(ret->exit.is_error);
}

static size_t fill_seccomp(const struct uregs *u, unsigned long data, struct ptrace_syscall_info *ret)
{
	fill_entry(u, ret);
	ret->op = PTRACE_SYSCALL_INFO_SECCOMP;
	ret->seccomp.ret_data = (uint32_t)data;
	return offsetof(struct ptrace_syscall_info, seccomp.ret_data) + sizeof(ret->seccomp.ret_data);
}

size_t trace_syscall_info(struct task *target, struct ptrace_syscall_info *ret)
{
	const struct uregs *u = &target->regs;
	unsigned long message;
	int code;

	mutex_lock(&target->proc->lock);
	code = target->tracing.has_info ? target->tracing.info.si_code : 0;
	message = target->tracing.message;
	mutex_unlock(&target->proc->lock);

	memset(ret, 0, sizeof(*ret));
	ret->op = PTRACE_SYSCALL_INFO_NONE;
	ret->arch = AUDIT_ARCH_X86_64;
	ret->instruction_pointer = u->rip;
	ret->stack_pointer = u->rsp;
	if (code == (SIGTRAP | SYSGOOD) && message == PTRACE_EVENTMSG_SYSCALL_ENTRY)
		return fill_entry(u, ret);
	if (code == (SIGTRAP | SYSGOOD) && message == PTRACE_EVENTMSG_SYSCALL_EXIT)
		return fill_exit(u, ret);
	if (code == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8))
		return fill_seccomp(u, message, ret);
	return offsetof(struct ptrace_syscall_info, entry);
}
