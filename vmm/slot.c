/* SPDX-License-Identifier: MIT */
/*
 * Calls without exits: a helper thread answers what vCPUs post to their slots while they spin in the gate.
 *
 * Theory of operation. An exit costs tens of microseconds, a cache line that goes to another core and back a few hundred
 * nanoseconds. While the helper polls, gates post their calls (guest-rt/abi.h, guest-rt/gate.S) and wait a bounded time.
 *
 * A call is executed exactly once. Who executes it is settled by `serve`, in our own memory: OUT, the vCPU's thread has it
 * (the vCPU is not in the guest); IN, the guest runs and the helper may take a posted call; TAKEN, the helper works on one. The
 * thread that comes out of the guest turns IN to OUT, or TAKEN to WAITED, and sleeps until it is IN again. The state in the slot only tells
 * an honest gate, and us after an exit, whether the last posted call was answered: a program that forges it
 * repeats or loses its own calls. Arguments are copied once.
 *
 * The helper (helper.c) must not take a core from a running vCPU. While it sleeps, gates ring for it, or, where it could not run, leave
 * at once.
 *
 * Registers. A signal that a call has raised (mostly its own caller's) is delivered without an exit: the answer is SAVE, the gate puts
 * all registers into the slot and RT_XSTATE, and the server builds the handler's frame and sets them anew; LOAD, and the gate loads
 * them. rt_sigreturn is answered by LOAD at once. From then on until the gate has them loaded the program is where `load` says: if it
 * comes out meanwhile, that is what its thread goes on with. The gate says IDLE when it begins to load.
 *
 * The same page has the table of answers that the gate gives without asking anybody.
 */
/* host syscalls: futex */
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "vmm/helper.h"

#define LOOK_EVERY 32           /* calls that the gate answers, between two that the VMM sees */

static uint64_t *slot_quad(struct vcpu *v, unsigned off) { return (uint64_t *)(v->data + off); }

/* --- the vCPU's thread ------------------------------------------------------------------------------------ */

/* The table of answers: entries of {-number, answer}. */
static uint64_t *answer_entry(struct vcpu *v, unsigned low_byte)
{
	return slot_quad(v, RT_ANSWERS) + low_byte;
}

void slot_tell(struct vcpu *v, unsigned nr, uint32_t value)
{
	__atomic_store_n(answer_entry(v, nr & 255), (uint32_t)-nr | (uint64_t)value << 32, __ATOMIC_RELEASE);
}

void slot_forget(struct vcpu *v)
{
	for (unsigned i = 0; i < 256; i++)
		__atomic_store_n(answer_entry(v, i), RT_NO_ANSWER(i) | (uint64_t)(v->server && v->server->ring[i]) << 32, __ATOMIC_RELEASE);
}

void slot_open(struct vcpu *v, enum slot_mode mode)
{
	uint64_t budget = mode == SLOT_RUNG ? SPIN_MAX : atomic_load_explicit(&v->budget, memory_order_relaxed);

	__atomic_store_n(slot_quad(v, RT_SLOT_BUDGET), budget, __ATOMIC_RELAXED);
	__atomic_store_n(slot_word(v, RT_SLOT_BELL), mode == SLOT_RUNG, __ATOMIC_SEQ_CST);
	__atomic_store_n(slot_word(v, RT_SLOT_OPEN), mode != SLOT_CLOSED, __ATOMIC_SEQ_CST);
}

void slot_budget(struct vcpu *v, unsigned divide, uint64_t limit)
{
	uint64_t now = atomic_load_explicit(&v->budget, memory_order_relaxed), next = divide ? MAX(now / divide, limit) : MIN(now * 2, limit);

	if (next == now)
		return;
	atomic_store_explicit(&v->budget, next, memory_order_relaxed);
	__atomic_store_n(slot_quad(v, RT_SLOT_BUDGET), next, __ATOMIC_RELAXED);
}

void slot_wipe(struct vcpu *v)
{
	atomic_fetch_add_explicit(&v->m->ntold, *(volatile uint64_t *)slot_quad(v, RT_TOLD), memory_order_relaxed);
	memset(v->data, 0, RT_ANSWERS);
	memset(v->xstate, 0, PAGE_SIZE);
	v->fpu_pending = false;
	*slot_quad(v, RT_SLOT_BUDGET) = atomic_load_explicit(&v->budget, memory_order_relaxed);
	*slot_quad(v, RT_SLOT_XMASK) = v->m->xcr0;
}

void slot_init(struct vcpu *v)
{
	v->data = gpa_hva(v->m, v->pages[VCPU_PAGE_DATA]);
	memset(v->data, 0, PAGE_SIZE);
	v->xstate = gpa_hva(v->m, v->pages[VCPU_PAGE_XSTATE]);
	v->budget = SPIN_MAX;
	*slot_quad(v, RT_SLOT_BUDGET) = SPIN_MAX;
	*slot_quad(v, RT_SLOT_XMASK) = v->m->xcr0;
	slot_forget(v);
	atomic_init(&v->host_cpu, -1);
	atomic_init(&v->serve, SERVE_OUT);
}

void slot_enter(struct vcpu *v)
{
	/* The gate goes back without the flag, and a program that steps would step on behind the next instruction. See also answer(). */
	if (v->run->s.regs.regs.rflags & FLAG_TF)
		__atomic_store_n(slot_word(v, RT_COUNT), 0, __ATOMIC_RELAXED);
	if (!v->server)
		return;
	slot_state_set(v, RT_IDLE);
	helper_entering(v);
	atomic_store(&v->serve, SERVE_IN);
	slot_open(v, helper_mode());
}

void slot_leave(struct vcpu *v)
{
	uint32_t s = SERVE_IN;

	if (!v->server)
		return;
	while (!atomic_compare_exchange_strong(&v->serve, &s, SERVE_OUT)) {
		if (s == SERVE_WAITED || atomic_compare_exchange_strong(&v->serve, &s, SERVE_WAITED))
			syscall(SYS_futex, &v->serve, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, SERVE_WAITED, NULL, NULL, 0); /* it is being answered */
		s = SERVE_IN;
	}
}

void slot_set_server(struct vcpu *v, const struct call_server *s, void *ctx)
{
	if (!s)
		helper_rests(v);
	v->server = s;
	v->server_ctx = ctx;
	v->streak = 0;
	slot_open(v, SLOT_CLOSED);
	slot_forget(v);
	if (s)
		helper_start(v->m);
}

/* --- registers ---------------------------------------------------------------------------------------------------- */

static uint64_t get(struct vcpu *v, unsigned off) { return *(volatile uint64_t *)slot_quad(v, off); }
static void set(struct vcpu *v, unsigned off, uint64_t value) { *(volatile uint64_t *)slot_quad(v, off) = value; }

void slot_get_registers(struct vcpu *v, struct uregs *r)
{
	r->rdi = get(v, RT_SLOT_ARG), r->rsi = get(v, RT_SLOT_ARG + 8), r->rdx = get(v, RT_SLOT_ARG + 16);
	r->r10 = get(v, RT_SLOT_ARG + 24), r->r8 = get(v, RT_SLOT_ARG + 32), r->r9 = get(v, RT_SLOT_ARG + 40);
	r->rbx = get(v, RT_SLOT_RBX), r->rbp = get(v, RT_SLOT_RBP), r->rsp = get(v, RT_SLOT_RSP);
	r->r12 = get(v, RT_SLOT_R12), r->r13 = get(v, RT_SLOT_R13), r->r14 = get(v, RT_SLOT_R14), r->r15 = get(v, RT_SLOT_R15);
	r->rax = (uint64_t)v->result;
	r->rflags = (get(v, RT_SLOT_FLAGS) & FLAGS_USER) | FLAGS_ALWAYS;
	r->rip = r->rcx = sites_hide(v, get(v, RT_SLOT_RCX));
	r->r11 = r->rflags;
}

void slot_load(struct vcpu *v)
{
	const struct uregs *r = v->regs;

	v->load = *r;
	v->loads = true;
	set(v, RT_SLOT_ARG, r->rdi), set(v, RT_SLOT_ARG + 8, r->rsi), set(v, RT_SLOT_ARG + 16, r->rdx);
	set(v, RT_SLOT_ARG + 24, r->r10), set(v, RT_SLOT_ARG + 32, r->r8), set(v, RT_SLOT_ARG + 40, r->r9);
	set(v, RT_SLOT_RBX, r->rbx), set(v, RT_SLOT_RBP, r->rbp), set(v, RT_SLOT_RSP, r->rsp);
	set(v, RT_SLOT_R12, r->r12), set(v, RT_SLOT_R13, r->r13), set(v, RT_SLOT_R14, r->r14), set(v, RT_SLOT_R15, r->r15);
	set(v, RT_SLOT_RESULT, r->rax), set(v, RT_SLOT_RCX, r->rcx), set(v, RT_SLOT_R11, r->r11);
	set(v, RT_SLOT_FLAGS, (r->rflags & FLAGS_USER) | FLAGS_ALWAYS);
	set(v, RT_SLOT_RIP, v->show_from && r->rip == v->show_from ? v->show_to : r->rip);
}

/* The gate was told to load other registers, and the program has not begun to run with them. */
static bool take_load(struct vcpu *v, gva_t at, struct uregs *r)
{
	const struct gate_layout *g = &v->m->gate;
	uint64_t fs = r->fs_base, gs = r->gs_base;
	uint32_t state = slot_state(v);

	if (!v->loads || !((at >= g->load && at < g->load_end) || state == RT_LOAD || state == RT_LEAVE))
		return false;
	*r = v->load;
	r->fs_base = fs;
	r->gs_base = gs;
	/* What the program may have forged in between does not pass KVM's checks, or harms itself. */
	if (fpu_set(v, v->xstate) < 0)
		fpu_reset(v);
	return true;
}

/* Return address and flags of a program in the gate at the offset `at`. */
static void gate_return(struct vcpu *v, gva_t at, struct uregs *r)
{
	const struct gate_layout *g = &v->m->gate;
	uint64_t rcx = *(volatile uint64_t *)slot_quad(v, RT_SLOT_RCX), r11 = *(volatile uint64_t *)slot_quad(v, RT_SLOT_R11);

	if (at < g->has_rcx || at == g->out || at == g->out + RT_OUT_LEN || (at >= g->jumped && at < g->jumped_has_rcx))
		rcx = r->rcx;
	if (at < g->has_r11 || at == g->out || at == g->out + RT_OUT_LEN)
		r11 = r->r11;
	if (at >= g->jumped)
		r11 = 0;
	/* A rewritten site's flags are where they were. */
	v->jumped = !r11;
	if (r11)
		r->rflags = r11;
	r->rip = r->rcx = sites_hide(v, rcx);
	r->r11 = r->rflags;
}

/* A call that the gate could have answered came out, since the VMM looks at one now and then. Calls that it stands for. */
unsigned slot_recount(struct vcpu *v)
{
	uint32_t *count = slot_word(v, RT_COUNT);

	if (__atomic_load_n(count, __ATOMIC_RELAXED))
		return 1;
	__atomic_store_n(count, v->m->rewrite ? LOOK_EVERY : INT32_MAX, __ATOMIC_RELAXED);
	return LOOK_EVERY;
}

/*
 * The program is in the gate: where it goes on, and whether its call was answered already (result in r->rax).
 * The words in the slot are the program's own: what it forges comes back to it alone.
 */
bool slot_resume(struct vcpu *v, struct uregs *r, struct vcpu_event *ev)
{
	const struct gate_layout *g = &v->m->gate;
	gva_t at = r->rip - RT_GATE;
	uint32_t state = slot_state(v);
	bool told = at >= g->told && at < g->ask; /* by the table: rax is right */
	bool answered = at >= g->done && at < g->jumped;

	if (take_load(v, at, r)) {
		slot_state_set(v, RT_IDLE);
		return true;
	}
	if (at >= g->has_r11 && at < g->jumped && (state == RT_ANSWERED || state == RT_LEAVE || state == RT_SAVE || state == RT_SAVED))
		answered = true;
	if (at >= g->save && at < g->load) {
		r->rsp = get(v, RT_SLOT_RSP);
		r->rdx = get(v, RT_SLOT_ARG + 16);
	}
	gate_return(v, at, r);
	slot_state_set(v, RT_IDLE);
	if (answered && !told)
		r->rax = (uint64_t)v->result;
	if (v->hot && !told) {
		ev->hot = v->hot;
		ev->hot_nr = v->hot_nr;
		v->hot = 0;
	} else if (!answered && !told && v->m->rewrite && !v->jumped && sites_note(v->as, r->rip, slot_recount(v))) {
		ev->hot = r->rip;
		ev->hot_nr = r->rax;
	}
	return answered || told;
}
