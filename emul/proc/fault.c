/* SPDX-License-Identifier: MIT */
/*
 * Exceptions of the guest's processor. Page faults go to mm first; what it cannot resolve, and all
 * others, become signals with the code, address and trap facts of arch/x86/kernel/traps.c and mm/fault.c.
 */
#include <string.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/proc/signal_internal.h"

enum vector { V_DE = 0, V_DB = 1, V_BP = 3, V_OF = 4, V_BR = 5, V_UD = 6, V_NM = 7, V_TS = 10, V_NP = 11, V_SS = 12,
	      V_GP = 13, V_PF = 14, V_MF = 16, V_AC = 17, V_XM = 19 };

#define PF_PRESENT 1u
#define PF_WRITE 2u
#define PF_USER 4u
#define PF_INSTR 16u
#define EFLAGS_TF 0x100u
#define INT1 0xf1

static void raise_at(struct task *t, int sig, int code, gva_t addr)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = code;
	info.si_addr = (void *)(uintptr_t)addr;
	signal_force(t, sig, &info);
}

static void raise_plain(struct task *t, int sig)
{
	signal_force(t, sig, NULL); /* SI_KERNEL, no address */
}

/* --- page faults ---------------------------------------------------------------------------------------- */

static void page_fault(struct task *t, uint32_t err, gva_t addr)
{
	enum mm_access access = err & PF_INSTR ? MM_EXEC : err & PF_WRITE ? MM_WRITE : MM_READ;
	struct mm_fault f = { 0 };

	if (mm_handle_fault(t->mm, addr, access, t->regs.rsp, &f)) {
		atomic_fetch_add_explicit(&t->minflt, 1, memory_order_relaxed);
		return;
	}
	if (f.sig == SIGKILL) {
		log_dbg(PROC, "%d: no memory for the page at %#llx", t->tid, (unsigned long long)addr);
		raise_plain(t, SIGKILL);
		return;
	}
	/* Kernel addresses look mapped, so that their layout does not show: set_signal_archinfo(). */
	if (addr >= USER_END)
		err |= PF_PRESENT;
	t->trap = (struct trap_facts){ .trapno = V_PF, .err = (err & (PF_PRESENT | PF_WRITE | PF_INSTR)) | PF_USER, .cr2 = addr };
	log_dbg(SIGNAL, "%d: fault at %#llx, rip %#llx, err %#x: signal %d code %d", t->tid, (unsigned long long)addr,
		(unsigned long long)t->regs.rip, err, f.sig, f.code);
	raise_at(t, f.sig, f.code, f.addr);
}

/* --- arithmetic ------------------------------------------------------------------------------------------- */

/* fpu__exception_code(): which of the unmasked exceptions is told. 0: none, a stray one. */
static int float_code(struct task *t, unsigned vector)
{
	const struct platform *pf = t->env->platform;
	uint16_t cwd, swd;
	uint32_t mxcsr, bits;
	char *buf;

	buf = aligned_alloc(64, (pf->xstate_size + 63) & ~(size_t)63);
	if (!buf || pf->ops->vcpu_get_xstate(t->vcpu, buf) < 0) {
		free(buf);
		return FPE_FLTINV;
	}
	memcpy(&cwd, buf, sizeof(cwd));
	memcpy(&swd, buf + 2, sizeof(swd));
	memcpy(&mxcsr, buf + 24, sizeof(mxcsr));
	free(buf);
	bits = vector == V_MF ? (uint32_t)(swd & ~cwd) : ~(mxcsr >> 7) & mxcsr;
	if (bits & 0x01)
		return FPE_FLTINV;
	if (bits & 0x04)
		return FPE_FLTDIV;
	if (bits & 0x08)
		return FPE_FLTOVF;
	if (bits & 0x12) /* denormal, underflow */
		return FPE_FLTUND;
	return bits & 0x20 ? FPE_FLTRES : 0;
}

static void float_fault(struct task *t, unsigned vector)
{
	int code = float_code(t, vector);

	if (code)
		raise_at(t, SIGFPE, code, t->regs.rip);
}

/* --- all ------------------------------------------------------------------------------------------------------ */

static void debug_trap(struct task *t)
{
	int code = TRAP_TRACE;
	uint8_t insn = 0;

	if (trace_steps(&t->tracing) && !trace_debug_trap(t, &code))
		return;
	/* Not clearing TF: it is the program's own. The handler's frame saves it, the handler runs without. */
	/* int1 looks the same but for DR6, and leaves rip behind its one byte. */
	if (!(t->regs.rflags & EFLAGS_TF))
		copy_from_guest(t->mm, &insn, t->regs.rip - 1, 1);
	raise_at(t, SIGTRAP, insn == INT1 ? TRAP_BRKPT : code, t->regs.rip);
}

void fault_handle(struct task *t, unsigned vector, uint32_t error_code, gva_t cr2)
{
	if (vector == V_PF) {
		page_fault(t, error_code, cr2);
		return;
	}
	t->trap.trapno = vector;
	t->trap.err = vector == V_DB ? 0 : error_code;
	log_dbg(SIGNAL, "%d: exception %u, err %#x, rip %#llx", t->tid, vector, error_code, (unsigned long long)t->regs.rip);
	switch (vector) {
	case V_DE: raise_at(t, SIGFPE, FPE_INTDIV, t->regs.rip); break;
	case V_DB: debug_trap(t); break;
	case V_BP: raise_plain(t, SIGTRAP); break;
	case V_UD: raise_at(t, SIGILL, ILL_ILLOPN, t->regs.rip); break;
	case V_MF:
	case V_XM: float_fault(t, vector); break;
	case V_AC: raise_at(t, SIGBUS, BUS_ADRALN, 0); break;
	case V_NP:
	case V_SS: raise_plain(t, SIGBUS); break;
	case V_OF:
	case V_BR:
	case V_TS:
	case V_GP:
	default: raise_plain(t, SIGSEGV); break;
	}
}
