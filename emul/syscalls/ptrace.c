/* SPDX-License-Identifier: MIT */
/* ptrace(2): which request, with which arguments. kernel/ptrace.c, arch/x86/kernel/ptrace.c arch_ptrace(). */
#include <asm/prctl.h>
#include <asm/ptrace-abi.h>
#include <elf.h>
#include <linux/capability.h>
#include <linux/ptrace.h>
#include <stdlib.h>
#include <sys/user.h>
#undef PAGE_SHIFT
#undef PAGE_SIZE
#undef PAGE_MASK

#include "emul/syscalls/handler.h"

#define PEEK_CHUNK 64

/* --- memory ------------------------------------------------------------------------------------------ */

static long access_word(struct task *target, gva_t addr, uint64_t *word, bool write)
{
	AUTO(mm) mm = task_get_mm(target);

	return mm && mm_access_remote(mm, addr, word, sizeof(*word), write) == sizeof(*word) ? 0 : -EIO;
}

static long peek(struct task *t, struct task *target, gva_t addr, gva_t data)
{
	uint64_t word;
	long r = access_word(target, addr, &word, false);

	return r < 0 ? r : put_guest_u64(t->mm, data, word);
}

/* --- registers ------------------------------------------------------------------------------------------ */

static long peek_user(struct task *t, struct task *target, uint64_t off, gva_t data)
{
	uint64_t word;
	long r = trace_peek_user(target, off, &word);

	return r < 0 ? r : put_guest_u64(t->mm, data, word);
}

static long read_set(struct task *t, struct task *target, unsigned type, gva_t to, size_t len)
{
	void *buf = NULL;
	size_t size;
	long r = trace_get_regset(target, type, &buf, &size);

	if (r == 0)
		r = copy_to_guest(t->mm, to, buf, MIN(len, size));
	free(buf);
	return r;
}

static long write_set(struct task *t, struct task *target, unsigned type, gva_t from, size_t len)
{
	size_t size;
	AUTO_FREE void *buf = NULL;
	long r = trace_regset_size(target, type, &size);

	if (r < 0)
		return r;
	len = MIN(len, size);
	buf = malloc(size);
	if (!buf)
		return -ENOMEM;
	r = copy_from_guest(t->mm, buf, from, len);
	return r < 0 ? r : trace_set_regset(target, type, buf, len);
}

static long regset(struct task *t, struct task *target, unsigned type, gva_t data, bool write)
{
	struct { uint64_t base, len; } iov;
	size_t size;
	long r;

	if (guest_read(t->mm, &iov, data) < 0)
		return -EFAULT;
	r = trace_regset_size(target, type, &size);
	if (r == -EINVAL || iov.len % sizeof(uint64_t))
		return -EINVAL;
	if (r < 0)
		return r;
	iov.len = MIN(iov.len, size);
	r = write ? write_set(t, target, type, iov.base, iov.len) : read_set(t, target, type, iov.base, iov.len);
	return r < 0 ? r : guest_write(t->mm, data, &iov);
}

/* Thread pointers, as arch_prctl(2) has them. */
static long arch_prctl_of(struct task *t, struct task *target, int op, uint64_t addr)
{
	const bool fs = op == ARCH_SET_FS || op == ARCH_GET_FS;
	uint64_t word, off = fs ? offsetof(struct user_regs_struct, fs_base) : offsetof(struct user_regs_struct, gs_base);

	switch (op) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		return trace_poke_user(target, off, addr) < 0 ? -EPERM : 0;
	case ARCH_GET_FS:
	case ARCH_GET_GS:
		trace_peek_user(target, off, &word);
		return put_guest_u64(t->mm, addr, word);
	default:
		return -EINVAL;
	}
}

/* --- signals ------------------------------------------------------------------------------------------------ */

static long get_siginfo(struct task *t, struct task *target, gva_t data)
{
	siginfo_t info;
	long r = trace_get_siginfo(target, &info);

	return r < 0 ? r : guest_write(t->mm, data, &info);
}

static long set_siginfo(struct task *t, struct task *target, gva_t data)
{
	siginfo_t info;

	return guest_read(t->mm, &info, data) < 0 ? -EFAULT : trace_set_siginfo(target, &info);
}

static long get_mask(struct task *t, struct task *target, uint64_t size, gva_t data)
{
	return size != sizeof(sigmask_t) ? -EINVAL : put_guest_u64(t->mm, data, trace_get_mask(target));
}

static long set_mask(struct task *t, struct task *target, uint64_t size, gva_t data)
{
	uint64_t mask;

	if (size != sizeof(sigmask_t))
		return -EINVAL;
	if (guest_read(t->mm, &mask, data) < 0)
		return -EFAULT;
	trace_set_mask(target, mask);
	return 0;
}

static long peek_siginfo(struct task *t, struct task *target, gva_t addr, gva_t data)
{
	struct ptrace_peeksiginfo_args args;
	siginfo_t info[PEEK_CHUNK];
	long done = 0;

	if (guest_read(t->mm, &args, addr) < 0)
		return -EFAULT;
	if ((args.flags & ~(uint32_t)PTRACE_PEEKSIGINFO_SHARED) || args.nr < 0)
		return -EINVAL;
	while (done < args.nr) {
		int n = trace_peek_siginfo(target, args.flags & PTRACE_PEEKSIGINFO_SHARED, args.off + (uint64_t)done,
					   (int)MIN(args.nr - done, (long)PEEK_CHUNK), info);

		if (!n)
			break;
		if (copy_to_guest(t->mm, data + (gva_t)done * sizeof(*info), info, (size_t)n * sizeof(*info)) < 0)
			return done ? done : -EFAULT;
		done += n;
	}
	return done;
}

/* --- facts ------------------------------------------------------------------------------------------------------- */

static long get_message(struct task *t, struct task *target, gva_t data)
{
	uint64_t message;

	mutex_lock(&target->proc->lock);
	message = target->tracing.message;
	mutex_unlock(&target->proc->lock);
	return put_guest_u64(t->mm, data, message);
}

static long get_syscall_info(struct task *t, struct task *target, uint64_t size, gva_t data)
{
	struct ptrace_syscall_info info;
	size_t n = trace_syscall_info(target, &info);

	return copy_to_guest(t->mm, data, &info, MIN(size, n)) < 0 ? -EFAULT : (long)n;
}

/* There is no filter that could be read. */
static long no_filter(struct task *t)
{
	return cred_capable(t->fsc.cred, CAP_SYS_ADMIN) ? -EINVAL : -EACCES;
}

/* --- the call -------------------------------------------------------------------------------------------------------- */

static long request(struct task *t, struct task *target, long op, uint64_t addr, uint64_t data)
{
	uint64_t word = data;

	switch (op) {
	case PTRACE_PEEKTEXT:
	case PTRACE_PEEKDATA: return peek(t, target, addr, data);
	case PTRACE_POKETEXT:
	case PTRACE_POKEDATA: return access_word(target, addr, &word, true);
	case PTRACE_PEEKUSR: return peek_user(t, target, addr, data);
	case PTRACE_POKEUSR: return trace_poke_user(target, addr, data);
	case PTRACE_GETREGS: return read_set(t, target, NT_PRSTATUS, data, SIZE_MAX);
	case PTRACE_SETREGS: return write_set(t, target, NT_PRSTATUS, data, SIZE_MAX);
	case PTRACE_GETFPREGS: return read_set(t, target, NT_PRFPREG, data, SIZE_MAX);
	case PTRACE_SETFPREGS: return write_set(t, target, NT_PRFPREG, data, SIZE_MAX);
	case PTRACE_GETREGSET: return regset(t, target, (unsigned)addr, data, false);
	case PTRACE_SETREGSET: return regset(t, target, (unsigned)addr, data, true);
	case PTRACE_ARCH_PRCTL: return arch_prctl_of(t, target, (int)data, addr);
	case PTRACE_OLDSETOPTIONS:
	case PTRACE_SETOPTIONS: return trace_set_options(target, data);
	case PTRACE_GETEVENTMSG: return get_message(t, target, data);
	case PTRACE_PEEKSIGINFO: return peek_siginfo(t, target, addr, data);
	case PTRACE_GETSIGINFO: return get_siginfo(t, target, data);
	case PTRACE_SETSIGINFO: return set_siginfo(t, target, data);
	case PTRACE_GETSIGMASK: return get_mask(t, target, addr, data);
	case PTRACE_SETSIGMASK: return set_mask(t, target, addr, data);
	case PTRACE_INTERRUPT: return trace_interrupt(target);
	case PTRACE_LISTEN: return trace_listen(target);
	case PTRACE_DETACH: return trace_detach(target, data);
	case PTRACE_CONT: return trace_resume(target, TRACE_CONT, false, data);
	case PTRACE_SYSCALL: return trace_resume(target, TRACE_SYSCALL, false, data);
	case PTRACE_SINGLESTEP: return trace_resume(target, TRACE_CONT, true, data);
	case PTRACE_SYSEMU: return trace_resume(target, TRACE_SYSEMU, false, data);
	case PTRACE_SYSEMU_SINGLESTEP: return trace_resume(target, TRACE_SYSEMU, true, data);
	case PTRACE_KILL: return signal_send_task(target, SIGKILL, NULL);
	case PTRACE_GET_SYSCALL_INFO: return get_syscall_info(t, target, addr, data);
	case PTRACE_SECCOMP_GET_FILTER:
	case PTRACE_SECCOMP_GET_METADATA: return no_filter(t);
	default: return -EIO;
	}
}

long sys_ptrace(struct task *t, const struct sysargs *a)
{
	long op = arg_long(a, 0), r;
	AUTO(task) target = NULL;

	if (op == PTRACE_TRACEME)
		return trace_me(t);
	target = task_find(arg_int(a, 1));
	if (!target)
		return -ESRCH;
	if (op == PTRACE_ATTACH || op == PTRACE_SEIZE)
		return trace_attach(t, target, op == PTRACE_SEIZE, arg_u64(a, 2), arg_u64(a, 3));
	r = trace_freeze(t, target, op == PTRACE_KILL || op == PTRACE_INTERRUPT);
	if (r < 0)
		return r;
	r = request(t, target, op, arg_u64(a, 2), arg_u64(a, 3));
	if (op != PTRACE_DETACH || r < 0)
		trace_thaw(target);
	return r;
}
