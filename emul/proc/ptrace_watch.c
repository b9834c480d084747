/* SPDX-License-Identifier: MIT */
/*
 * Steps and debug registers of a tracee. arch/x86/kernel/step.c, ptrace.c (ptrace_set_debugreg()), traps.c.
 *
 * Not every KVM lets a guest use the processor's debug registers (kvm_pvm takes them and nothing happens). So a task whose
 * debug registers say something is stepped through its program here, and after each step the places are compared: writes that
 * change something, and execution, are found like that, reads are not. A step costs an exit. Threads that are watched take
 * turns, one instruction each, or the wrong one would be blamed.
 */
#include <signal.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/proc/task.h"

#define EFLAGS_TF 0x100u
#define DR6_IDLE 0xffff0ff0u
#define DR6_STEP (1u << 14)
#define DR7_RESERVED 0xffffffff0000fc00u
#define NPLACES 4

enum kind { ON_EXEC, ON_WRITE, ON_IO, ON_ACCESS };

static bool is_enabled(uint64_t dr7, unsigned i) { return dr7 >> (2 * i) & 3; }
static enum kind kind_of(uint64_t dr7, unsigned i) { return (enum kind)(dr7 >> (16 + 4 * i) & 3); }
static bool watches(const struct tracing *s) { return atomic_load_explicit(&s->on, memory_order_relaxed) && (s->dr7 & 0xff); }

static unsigned len_of(uint64_t dr7, unsigned i)
{
	static const unsigned char len[] = { 1, 2, 8, 4 };

	return len[dr7 >> (18 + 4 * i) & 3];
}

/* --- the registers --------------------------------------------------------------------------------------- */

static int check_place(uint64_t dr7, unsigned i, uint64_t addr)
{
	unsigned len = len_of(dr7, i);

	switch (kind_of(dr7, i)) {
	case ON_EXEC: return len == 1 ? 0 : -EINVAL;
	case ON_WRITE: return addr & (len - 1) ? -EINVAL : 0;
	case ON_ACCESS: return -ENOSPC; /* as if all were taken */
	case ON_IO:
	default: return -EINVAL;
	}
}

static int set_control(struct tracing *s, uint64_t val)
{
	val &= ~(uint64_t)DR7_RESERVED;
	for (unsigned i = 0; i < NPLACES; i++) {
		int r = is_enabled(val, i) ? check_place(val, i, s->dr[i]) : 0;

		if (r < 0)
			return r;
	}
	s->dr7 = val;
	return 0;
}

int trace_set_debugreg(struct task *target, unsigned n, uint64_t val)
{
	struct tracing *s = &target->tracing;

	switch (n) {
	case 6: s->dr6 = val ^ DR6_IDLE; return 0;
	case 7: return set_control(s, val);
	case 4:
	case 5: return -EIO;
	default: break;
	}
	if (val >= USER_END || (is_enabled(s->dr7, n) && check_place(s->dr7, n, val) < 0))
		return -EINVAL;
	s->dr[n] = val;
	return 0;
}

uint64_t trace_get_debugreg(struct task *target, unsigned n)
{
	const struct tracing *s = &target->tracing;

	return n < NPLACES ? s->dr[n] : n == 6 ? s->dr6 ^ DR6_IDLE : n == 7 ? s->dr7 : 0;
}

void trace_clear_debugregs(struct task *t)
{
	struct tracing *s = &t->tracing;

	memset(s->dr, 0, sizeof(s->dr));
	s->dr6 = s->dr7 = 0;
}

/* --- stepping ----------------------------------------------------------------------------------------------- */

static void take_turn(struct task *t)
{
	struct proc *p = t->proc;
	unsigned ticket;

	mutex_lock(&p->lock);
	ticket = p->step_next++;
	while (p->step_now != ticket) /* an instruction of another thread long */
		waitq_sleep_uninterruptible(&p->step_wq, &p->lock, FOREVER);
	mutex_unlock(&p->lock);
	t->tracing.has_turn = true;
}

static void give_turn(struct task *t)
{
	mutex_lock(&t->proc->lock);
	t->proc->step_now++;
	waitq_wake(&t->proc->step_wq, 0);
	mutex_unlock(&t->proc->lock);
	t->tracing.has_turn = false;
}

static uint64_t look(struct task *t, unsigned i)
{
	uint64_t val = 0;

	copy_from_guest(t->mm, &val, t->tracing.dr[i], len_of(t->tracing.dr7, i)); /* what is not there stays 0 */
	return val;
}

void trace_before_run(struct task *t)
{
	struct tracing *s = &t->tracing;
	bool step = s->step || watches(s);

	if (!(t->regs.rflags & EFLAGS_TF))
		s->forced_tf = false;
	if (step && !(t->regs.rflags & EFLAGS_TF)) {
		s->forced_tf = true;
		t->regs.rflags |= EFLAGS_TF;
	} else if (!step) {
		trace_hide_step(t);
	}
	if (!watches(s))
		return;
	take_turn(t);
	for (unsigned i = 0; i < NPLACES; i++)
		if (is_enabled(s->dr7, i) && kind_of(s->dr7, i) == ON_WRITE)
			s->seen[i] = look(t, i);
}

void trace_hide_step(struct task *t)
{
	if (!t->tracing.forced_tf)
		return;
	t->tracing.forced_tf = false;
	t->regs.rflags &= ~(uint64_t)EFLAGS_TF;
}

/* The places that the last step has touched, as DR6 says it. */
static unsigned hits(struct task *t)
{
	struct tracing *s = &t->tracing;
	unsigned found = 0;

	for (unsigned i = 0; i < NPLACES; i++) {
		if (!is_enabled(s->dr7, i))
			continue;
		if (kind_of(s->dr7, i) == ON_EXEC ? t->regs.rip == s->dr[i] : look(t, i) != s->seen[i])
			found |= 1u << i;
	}
	return found;
}

void trace_after_run(struct task *t)
{
	t->tracing.found = 0;
	if (!t->tracing.has_turn)
		return;
	t->tracing.found = hits(t);
	give_turn(t);
}

bool trace_debug_trap(struct task *t, int *code)
{
	struct tracing *s = &t->tracing;
	bool stepped = s->step || !s->forced_tf;

	s->dr6 = (s->dr6 & ~(uint64_t)DR6_STEP) | s->found | (stepped ? DR6_STEP : 0);
	if (s->found)
		*code = TRAP_HWBKPT;
	return s->found || stepped;
}
