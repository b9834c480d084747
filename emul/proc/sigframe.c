/* SPDX-License-Identifier: MIT */
/*
 * The frame that a handler finds on its stack, and the way back by rt_sigreturn(2): bit for bit what
 * arch/x86/kernel/signal_64.c and fpu/signal.c do. From high to low addresses:
 *
 *   the interrupted stack, 128 bytes of red zone, then (maybe on the alternate stack)
 *   extended state: XSAVE standard format, 64-byte aligned, its legacy area says how long, MAGIC2 behind it
 *   struct rt_frame: return address (sa_restorer), ucontext, siginfo; at 16n + 8 as after a call
 *
 * The state is read from the vCPU only here; the handler starts with a fresh one.
 */
#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/proc/signal_internal.h"

#define RED_ZONE 128
#define UC_FP_XSTATE 1
#define UC_SIGCONTEXT_SS 2
#define UC_STRICT_RESTORE_SS 4
#define USER_CS 0x33
#define USER_DS 0x2b
#define FP_MAGIC1 0x46505853u
#define FP_MAGIC2 0x46505845u
#define FXREGS_SIZE 512
#define XSAVE_MIN (FXREGS_SIZE + 64)
#define XFEATURES_LEGACY 3 /* x87, SSE */

#define EFLAGS_TF 0x100u
#define EFLAGS_DF 0x400u
#define EFLAGS_RF 0x10000u
/* What a frame may change: CF PF AF ZF SF TF DF OF RF AC. */
#define EFLAGS_FIX (0x1u | 0x4u | 0x10u | 0x40u | 0x80u | EFLAGS_TF | EFLAGS_DF | 0x800u | EFLAGS_RF | 0x40000u)

/* struct sigcontext_64 of <asm/sigcontext.h>, which libc's <signal.h> shuts out */
struct context {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
};

struct rt_frame {
	uint64_t pretcode;
	struct {
		uint64_t flags, link;
		struct { uint64_t sp; int32_t flags, pad; uint64_t size; } stack;
		struct context mc;
		uint64_t mask;
	} uc;
	siginfo_t info;
};
_Static_assert(sizeof(struct context) == 256 && sizeof(struct rt_frame) == 440, "the kernel's layout");

/* struct _fpx_sw_bytes, at the end of the legacy area */
struct sw_bytes {
	uint32_t magic1, extended_size;
	uint64_t xfeatures;
	uint32_t xstate_size, padding[7];
};
#define SW_BYTES_AT 464

static void *scratch(struct task *t)
{
	if (!t->xstate)
		t->xstate = aligned_alloc(64, (t->env->platform->xstate_size + 4 + 63) & ~(size_t)63);
	return t->xstate;
}

/* --- out ------------------------------------------------------------------------------------------------ */

static int put_xstate(struct task *t, gva_t at)
{
	const struct platform *pf = t->env->platform;
	struct sw_bytes sw = { .magic1 = FP_MAGIC1, .extended_size = (uint32_t)pf->xstate_size + 4,
			       .xfeatures = pf->xfeatures, .xstate_size = (uint32_t)pf->xstate_size };
	const uint32_t magic2 = FP_MAGIC2;
	char *buf = scratch(t);
	uint64_t bv;

	if (!buf || pf->ops->vcpu_get_xstate(t->vcpu, buf) < 0)
		return -EFAULT;
	memcpy(buf + SW_BYTES_AT, &sw, sizeof(sw));
	/* The legacy part is always restored: programs change it without knowing of xstate_bv. */
	memcpy(&bv, buf + FXREGS_SIZE, sizeof(bv));
	bv |= XFEATURES_LEGACY;
	memcpy(buf + FXREGS_SIZE, &bv, sizeof(bv));
	memcpy(buf + pf->xstate_size, &magic2, sizeof(magic2));
	return copy_to_guest(t->mm, at, buf, pf->xstate_size + sizeof(magic2));
}

static void fill_context(const struct task *t, struct context *c)
{
	const struct uregs *r = &t->regs;

	*c = (struct context){
		.r8 = r->r8, .r9 = r->r9, .r10 = r->r10, .r11 = r->r11, .r12 = r->r12, .r13 = r->r13, .r14 = r->r14,
		.r15 = r->r15, .rdi = r->rdi, .rsi = r->rsi, .rbp = r->rbp, .rbx = r->rbx, .rdx = r->rdx, .rax = r->rax,
		.rcx = r->rcx, .rsp = r->rsp, .rip = r->rip, .rflags = r->rflags, .cs = USER_CS, .ss = USER_DS,
		.err = t->trap.err, .trapno = t->trap.trapno, .cr2 = t->trap.cr2,
	};
}

/* Where the frame goes; 0: the alternate stack is full. */
static gva_t place(const struct task *t, uint64_t act_flags, gva_t *ret_fpstate)
{
	const struct sigaltstack_state *a = &t->altstack;
	bool on_alt = signal_on_altstack(a, t->regs.rsp);
	gva_t sp = t->regs.rsp - RED_ZONE;

	if ((act_flags & SA_ONSTACK) && a->size && !signal_on_altstack(a, sp)) {
		sp = a->sp + a->size;
		on_alt = true;
	}
	sp = (sp - t->env->platform->xstate_size - 4) & ~(gva_t)63;
	*ret_fpstate = sp;
	sp = ((sp - sizeof(struct rt_frame)) & ~(gva_t)15) - 8;
	/* Running out of it is an overflow, not a reason to write below it. */
	if (on_alt && !signal_on_altstack_range(a, sp))
		return 0;
	return sp;
}

static void enter_handler(struct task *t, const struct ksignal *k, gva_t at)
{
	struct uregs *r = &t->regs;

	r->rdi = (uint64_t)k->sig;
	r->rsi = at + offsetof(struct rt_frame, info);
	r->rdx = at + offsetof(struct rt_frame, uc);
	r->rax = 0;
	r->rsp = at;
	r->rip = k->act.handler;
	r->rflags &= ~(uint64_t)(EFLAGS_DF | EFLAGS_RF | EFLAGS_TF);
	r->orig_rax = ~(uint64_t)0;
	t->env->platform->ops->vcpu_reset_xstate(t->vcpu);
}

int sigframe_push(struct task *t, const struct ksignal *k, sigmask_t mask)
{
	struct rt_frame f;
	gva_t fpstate, at;

	if (!(k->act.flags & SA_RESTORER_FLAG))
		return -EFAULT; /* x86-64 has no other way back */
	at = place(t, k->act.flags, &fpstate);
	if (!at || at >= USER_END || put_xstate(t, fpstate) < 0)
		return -EFAULT;
	memset(&f, 0, sizeof(f));
	f.pretcode = k->act.restorer;
	f.uc.flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	f.uc.stack.sp = t->altstack.sp;
	f.uc.stack.flags = t->altstack.flags;
	f.uc.stack.size = t->altstack.size;
	f.uc.mask = mask;
	f.info = k->info;
	fill_context(t, &f.uc.mc);
	f.uc.mc.oldmask = mask;
	f.uc.mc.fpstate = fpstate;
	if (guest_write(t->mm, at, &f) < 0)
		return -EFAULT;
	enter_handler(t, k, at);
	return 0;
}

/* --- and back ---------------------------------------------------------------------------------------------- */

/* How much of the frame's state counts: all that it says, or only the legacy part if the marks are gone. */
static int check_xstate(struct task *t, gva_t at, struct sw_bytes *sw)
{
	uint32_t magic2;

	if (guest_read(t->mm, sw, at + SW_BYTES_AT) < 0)
		return -EFAULT;
	if (sw->magic1 == FP_MAGIC1 && sw->xstate_size >= XSAVE_MIN && sw->xstate_size <= t->env->platform->xstate_size &&
	    sw->xstate_size <= sw->extended_size) {
		if (get_guest_u32(t->mm, at + sw->xstate_size, &magic2) < 0)
			return -EFAULT;
		if (magic2 == FP_MAGIC2)
			return 0;
	}
	sw->xstate_size = FXREGS_SIZE;
	sw->xfeatures = XFEATURES_LEGACY;
	return 0;
}

/* The frame's state in t->xstate, as it is to be loaded. NULL state: a fresh one. */
static int read_xstate(struct task *t, gva_t at)
{
	const struct platform *pf = t->env->platform;
	struct sw_bytes sw;
	char *buf = scratch(t);
	uint64_t bv = XFEATURES_LEGACY;
	int r;

	if (!buf || (at & 63)) /* XRSTOR wants it aligned */
		return -EFAULT;
	r = check_xstate(t, at, &sw);
	if (r < 0)
		return r;
	memset(buf, 0, pf->xstate_size);
	r = copy_from_guest(t->mm, buf, at, sw.xstate_size);
	if (r < 0)
		return r;
	if (sw.xstate_size > FXREGS_SIZE)
		memcpy(&bv, buf + FXREGS_SIZE, sizeof(bv));
	if (bv & ~pf->xfeatures)
		return -EINVAL;
	bv &= sw.xfeatures; /* what the frame does not claim starts afresh */
	memcpy(buf + FXREGS_SIZE, &bv, sizeof(bv));
	memset(buf + SW_BYTES_AT, 0, FXREGS_SIZE - SW_BYTES_AT);
	return 0;
}

static int restore_xstate(struct task *t, gva_t at)
{
	const struct platform *pf = t->env->platform;
	int r;

	if (!at) { /* no state: a fresh one */
		pf->ops->vcpu_reset_xstate(t->vcpu);
		return 0;
	}
	r = read_xstate(t, at);
	return r < 0 ? r : pf->ops->vcpu_set_xstate(t->vcpu, t->xstate);
}

static bool is_canonical(uint64_t va)
{
	return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

static void restore_regs(struct uregs *r, const struct context *c)
{
	r->r8 = c->r8;
	r->r9 = c->r9;
	r->r10 = c->r10;
	r->r11 = c->r11;
	r->r12 = c->r12;
	r->r13 = c->r13;
	r->r14 = c->r14;
	r->r15 = c->r15;
	r->rdi = c->rdi;
	r->rsi = c->rsi;
	r->rbp = c->rbp;
	r->rbx = c->rbx;
	r->rdx = c->rdx;
	r->rax = c->rax;
	r->rcx = c->rcx;
	r->rsp = c->rsp;
	r->rip = c->rip;
	r->rflags = (r->rflags & ~(uint64_t)EFLAGS_FIX) | (c->rflags & EFLAGS_FIX);
	r->orig_rax = ~(uint64_t)0; /* no call to restart */
}

static void restore_altstack(struct task *t, const struct rt_frame *f)
{
	stack_t ss;

	memset(&ss, 0, sizeof(ss));
	ss.ss_sp = (void *)(uintptr_t)f->uc.stack.sp;
	ss.ss_flags = f->uc.stack.flags;
	ss.ss_size = f->uc.stack.size;
	signal_altstack(t, &ss, NULL, t->regs.rsp); /* errors are of no interest, as in the kernel */
}

static void bad_frame(struct task *t, const char *what)
{
	log_dbg(SIGNAL, "%d: sigreturn at %#llx: %s", t->tid, (unsigned long long)t->regs.rsp, what);
	signal_force(t, SIGSEGV, NULL);
}

static bool good_segments(const struct rt_frame *f)
{
	/* Frames of programs that do not know of ss in it get the only one there is. */
	uint16_t ss = f->uc.flags & UC_STRICT_RESTORE_SS ? f->uc.mc.ss | 3 : USER_DS;

	return (f->uc.mc.cs | 3) == USER_CS && ss == USER_DS;
}

/* Where the frame is: the handler's ret took the return address. */
static int read_frame(struct task *t, struct rt_frame *f)
{
	gva_t at = t->regs.rsp - 8;

	return at >= USER_END ? -EFAULT : guest_read(t->mm, f, at);
}

long signal_return(struct task *t)
{
	struct rt_frame f;

	t->regs.orig_rax = ~(uint64_t)0;
	if (read_frame(t, &f) < 0) {
		bad_frame(t, "unreadable");
		return 0;
	}
	signal_set_mask(t, f.uc.mask);
	t->restart.fn = NULL;
	restore_regs(&t->regs, &f.uc.mc);
	if (restore_xstate(t, f.uc.mc.fpstate) < 0) {
		bad_frame(t, "extended state");
		return (long)t->regs.rax;
	}
	restore_altstack(t, &f);
	/* The kernel's iret would fault: SIGSEGV with the registers of the frame. */
	if (!good_segments(&f) || !is_canonical(t->regs.rip))
		bad_frame(t, "segments or rip");
	return (long)t->regs.rax;
}

bool signal_return_here(struct task *t)
{
	struct rt_frame f;

	/* What is not plain is refused before anything is changed. */
	if (read_frame(t, &f) < 0 || !good_segments(&f) || f.uc.mc.rip >= USER_END || (f.uc.mc.rflags & EFLAGS_TF) ||
	    restore_xstate(t, f.uc.mc.fpstate) < 0)
		return false;
	signal_set_mask(t, f.uc.mask);
	t->restart.fn = NULL;
	restore_regs(&t->regs, &f.uc.mc);
	restore_altstack(t, &f);
	return true;
}
