/* SPDX-License-Identifier: MIT */
/*
 * Registers of a stopped tracee, in the forms of <sys/user.h> and of core files. arch/x86/kernel/ptrace.c, fpu/regset.c.
 * There is one code and one data segment.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/user.h>
#undef PAGE_SHIFT
#undef PAGE_SIZE
#undef PAGE_MASK

#include "emul/base/err.h"
#include "emul/proc/task.h"

#define USER_CS 0x33
#define USER_DS 0x2b
#define EFLAGS_TF 0x100u
/* CF PF AF ZF SF TF DF OF RF AC */
#define EFLAGS_MASK (0x1u | 0x4u | 0x10u | 0x40u | 0x80u | EFLAGS_TF | 0x400u | 0x800u | 0x10000u | 0x40000u)
#define NT_386_IOPERM_ 0x201
#define NT_X86_SHSTK_ 0x204
#define FXSAVE_SIZE 512
#define XCR0_AT 464      /* in the software bytes: which state there is */
#define SW_BYTES 48
#define XSTATE_BV_AT 512
#define MXCSR_AT 24
#define MXCSR_MASK_AT 28
#define XFEATURES_LEGACY 3
#define NWORDS (sizeof(struct user_regs_struct) / sizeof(uint64_t))
#define AT(field) (offsetof(struct user_regs_struct, field) / sizeof(uint64_t))

/* --- integer registers -------------------------------------------------------------------------------- */

/* The place of a plain register; NULL: it is special, or none. */
static uint64_t *slot(struct uregs *r, size_t word)
{
	switch (word) {
	case AT(r15): return &r->r15;
	case AT(r14): return &r->r14;
	case AT(r13): return &r->r13;
	case AT(r12): return &r->r12;
	case AT(rbp): return &r->rbp;
	case AT(rbx): return &r->rbx;
	case AT(r11): return &r->r11;
	case AT(r10): return &r->r10;
	case AT(r9): return &r->r9;
	case AT(r8): return &r->r8;
	case AT(rax): return &r->rax;
	case AT(rcx): return &r->rcx;
	case AT(rdx): return &r->rdx;
	case AT(rsi): return &r->rsi;
	case AT(rdi): return &r->rdi;
	case AT(orig_rax): return &r->orig_rax;
	case AT(rip): return &r->rip;
	case AT(rsp): return &r->rsp;
	default: return NULL;
	}
}

static uint64_t get_word(struct task *t, size_t word)
{
	struct uregs *r = &t->regs;
	uint64_t *p = slot(r, word);

	if (p)
		return *p;
	switch (word) {
	case AT(eflags): return r->rflags & ~(uint64_t)(t->tracing.forced_tf ? EFLAGS_TF : 0);
	case AT(cs): return USER_CS;
	case AT(ss): return USER_DS;
	case AT(fs_base): return r->fs_base;
	case AT(gs_base): return r->gs_base;
	default: return 0; /* ds, es, fs, gs */
	}
}

static void set_flags(struct task *t, uint64_t val)
{
	if (val & EFLAGS_TF) /* it is the program's from now on */
		t->tracing.forced_tf = false;
	else if (t->tracing.forced_tf)
		val |= EFLAGS_TF;
	t->regs.rflags = (t->regs.rflags & ~(uint64_t)EFLAGS_MASK) | (val & EFLAGS_MASK);
}

static int set_word(struct task *t, size_t word, uint64_t val)
{
	uint64_t *p = slot(&t->regs, word);

	if (p) {
		*p = val;
		return 0;
	}
	switch (word) {
	case AT(eflags):
		set_flags(t, val);
		return 0;
	case AT(fs_base):
	case AT(gs_base):
		if (val >= USER_END)
			return -EIO;
		*(word == AT(fs_base) ? &t->regs.fs_base : &t->regs.gs_base) = val;
		return 0;
	default: /* segments: there are no others to choose */
		return (uint16_t)val == get_word(t, word) ? 0 : -EIO;
	}
}

void trace_get_regs(struct task *target, struct user_regs_struct *ret)
{
	uint64_t words[NWORDS];

	for (size_t i = 0; i < NWORDS; i++)
		words[i] = get_word(target, i);
	memcpy(ret, words, sizeof(*ret));
}

int trace_set_regs(struct task *target, const uint64_t *words, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && i < NWORDS && r == 0; i++)
		r = set_word(target, i, words[i]);
	return r;
}

/* --- struct user ------------------------------------------------------------------------------------------- */

#define USER_SIZE (sizeof(struct user) + 2 * sizeof(uint64_t)) /* libc's lacks error_code and fault_address */
#define DEBUGREG(n) (offsetof(struct user, u_debugreg) + (n) * sizeof(uint64_t))

int trace_peek_user(struct task *target, uint64_t off, uint64_t *ret)
{
	if (off % sizeof(uint64_t) || off >= USER_SIZE)
		return -EIO;
	if (off < sizeof(struct user_regs_struct))
		*ret = get_word(target, off / sizeof(uint64_t));
	else if (off >= DEBUGREG(0) && off <= DEBUGREG(7))
		*ret = trace_get_debugreg(target, (unsigned)((off - DEBUGREG(0)) / sizeof(uint64_t)));
	else
		*ret = 0;
	return 0;
}

int trace_poke_user(struct task *target, uint64_t off, uint64_t val)
{
	if (off % sizeof(uint64_t) || off >= USER_SIZE)
		return -EIO;
	if (off < sizeof(struct user_regs_struct))
		return set_word(target, off / sizeof(uint64_t), val);
	if (off < DEBUGREG(0) || off > DEBUGREG(7))
		return -EIO;
	return trace_set_debugreg(target, (unsigned)((off - DEBUGREG(0)) / sizeof(uint64_t)), val);
}

/* --- extended state ------------------------------------------------------------------------------------------ */

/* A whole image as user space sees it, from malloc. */
static char *read_xstate(struct task *t, int *ret_err)
{
	const struct platform *pf = t->env->platform;
	char *buf = aligned_alloc(64, (pf->xstate_size + 63) & ~(size_t)63);

	*ret_err = buf ? pf->ops->vcpu_get_xstate(t->vcpu, buf) : -ENOMEM;
	if (*ret_err < 0) {
		free(buf);
		return NULL;
	}
	memset(buf + XCR0_AT, 0, SW_BYTES);
	memcpy(buf + XCR0_AT, &pf->xfeatures, sizeof(pf->xfeatures));
	return buf;
}

/* Consumes buf. */
static int write_xstate(struct task *t, char *buf)
{
	int r;

	memset(buf + XCR0_AT, 0, SW_BYTES);
	r = t->env->platform->ops->vcpu_set_xstate(t->vcpu, buf);
	free(buf);
	return r;
}

/* Reserved bits of MXCSR make the processor fault. */
static bool mxcsr_ok(const char *now, const char *wanted)
{
	uint32_t mask, mxcsr;

	memcpy(&mask, now + MXCSR_MASK_AT, sizeof(mask));
	memcpy(&mxcsr, wanted + MXCSR_AT, sizeof(mxcsr));
	return !(mxcsr & ~(mask ? mask : 0xffbf));
}

static int set_fpregs(struct task *t, const void *image, size_t len)
{
	char wanted[FXSAVE_SIZE], *buf;
	uint64_t bv;
	int r;

	buf = read_xstate(t, &r);
	if (!buf)
		return r;
	memcpy(wanted, buf, sizeof(wanted));
	memcpy(wanted, image, MIN(len, sizeof(wanted)));
	if (!mxcsr_ok(buf, wanted)) {
		free(buf);
		return -EINVAL;
	}
	memcpy(buf, wanted, sizeof(wanted));
	memcpy(&bv, buf + XSTATE_BV_AT, sizeof(bv));
	bv |= XFEATURES_LEGACY;
	memcpy(buf + XSTATE_BV_AT, &bv, sizeof(bv));
	return write_xstate(t, buf);
}

static int set_xstate(struct task *t, const void *image, size_t len)
{
	const struct platform *pf = t->env->platform;
	uint64_t head[8];
	char *buf;
	bool ok;
	int r;

	if (len != pf->xstate_size)
		return -EFAULT;
	buf = read_xstate(t, &r);
	if (!buf)
		return r;
	ok = mxcsr_ok(buf, image);
	memcpy(buf, image, len);
	memcpy(head, buf + XSTATE_BV_AT, sizeof(head));
	ok = ok && !(head[0] & ~pf->xfeatures);
	for (int i = 1; i < 8; i++) /* compaction and reserved bits */
		ok = ok && !head[i];
	if (!ok) {
		free(buf);
		return -EINVAL;
	}
	return write_xstate(t, buf);
}

/* --- by kind ----------------------------------------------------------------------------------------------------- */

int trace_regset_size(struct task *target, unsigned type, size_t *ret)
{
	switch (type) {
	case NT_PRSTATUS: *ret = sizeof(struct user_regs_struct); return 0;
	case NT_PRFPREG: *ret = FXSAVE_SIZE; return 0;
	case NT_X86_XSTATE: *ret = target->env->platform->xstate_size; return 0;
	case NT_386_IOPERM_: return -ENXIO; /* no ports are permitted */
	case NT_X86_SHSTK_: return -ENODEV;
	default: return -EINVAL;
	}
}

int trace_get_regset(struct task *target, unsigned type, void **ret, size_t *ret_size)
{
	int r = trace_regset_size(target, type, ret_size);

	if (r < 0)
		return r;
	if (type != NT_PRSTATUS) {
		*ret = read_xstate(target, &r);
		if (*ret && type == NT_PRFPREG)
			memset((char *)*ret + XCR0_AT, 0, SW_BYTES);
		return *ret ? 0 : r;
	}
	*ret = malloc(sizeof(struct user_regs_struct));
	if (!*ret)
		return -ENOMEM;
	trace_get_regs(target, *ret);
	return 0;
}

int trace_set_regset(struct task *target, unsigned type, const void *buf, size_t len)
{
	uint64_t words[NWORDS];

	switch (type) {
	case NT_PRSTATUS:
		memcpy(words, buf, MIN(len, sizeof(words)));
		return trace_set_regs(target, words, MIN(len, sizeof(words)) / sizeof(uint64_t));
	case NT_PRFPREG: return set_fpregs(target, buf, len);
	case NT_X86_XSTATE: return set_xstate(target, buf, len);
	default: return -EINVAL;
	}
}
