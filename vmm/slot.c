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
 *
 * In the hardware model a vCPU has two: that of the gate of ring 0, whose words are true, and that of the gate of rewritten sites, which the
 * program can write. An honest program uses one at a time, `serve` is for both, and the one never says anything about the other.
 */
/* host syscalls: futex */
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "vmm/helper.h"

#define LOOK_EVERY 32           /* calls that the gate answers, between two that the VMM sees */

/* --- the vCPU's thread ------------------------------------------------------------------------------------ */

/* The table of answers: entries of {-number, answer}. */
static void set_answer(struct vcpu *v, unsigned low_byte, uint64_t entry)
{
	FOR_EACH_SLOT(v, slot)
		__atomic_store_n(slot_quad(slot, RT_ANSWERS) + low_byte, entry, __ATOMIC_RELEASE);
}

void slot_tell(struct vcpu *v, unsigned nr, uint32_t value)
{
	set_answer(v, nr & 255, (uint32_t)-nr | (uint64_t)value << 32);
}

void slot_forget(struct vcpu *v)
{
	for (unsigned i = 0; i < 256; i++)
		set_answer(v, i, RT_NO_ANSWER(i) | (uint64_t)(v->server && v->server->ring[i]) << 32);
}

void slot_open(struct vcpu *v, enum slot_mode mode)
{
	uint64_t budget = mode == SLOT_RUNG ? SPIN_MAX : atomic_load_explicit(&v->budget, memory_order_relaxed);

	FOR_EACH_SLOT(v, slot) {
		__atomic_store_n(slot_quad(slot, RT_SLOT_BUDGET), budget, __ATOMIC_RELAXED);
		__atomic_store_n(slot_word(slot, RT_SLOT_BELL), mode == SLOT_RUNG, __ATOMIC_SEQ_CST);
		/* The hardware model's jump gate cannot ring. */
		__atomic_store_n(slot_word(slot, RT_SLOT_OPEN), mode == SLOT_POLLED || (mode == SLOT_RUNG && slot == v->slot[GATE_TRAP]), __ATOMIC_SEQ_CST);
	}
}

void slot_budget(struct vcpu *v, unsigned divide, uint64_t limit)
{
	uint64_t now = atomic_load_explicit(&v->budget, memory_order_relaxed), next = divide ? MAX(now / divide, limit) : MIN(now * 2, limit);

	if (next == now)
		return;
	atomic_store_explicit(&v->budget, next, memory_order_relaxed);
	FOR_EACH_SLOT(v, slot)
		__atomic_store_n(slot_quad(slot, RT_SLOT_BUDGET), next, __ATOMIC_RELAXED);
}

void slot_wipe(struct vcpu *v)
{
	FOR_EACH_SLOT(v, slot) {
		atomic_fetch_add_explicit(&v->m->ntold, slot_read(slot, RT_TOLD), memory_order_relaxed);
		memset(slot, 0, RT_ANSWERS);
		*slot_quad(slot, RT_SLOT_BUDGET) = atomic_load_explicit(&v->budget, memory_order_relaxed);
		*slot_quad(slot, RT_SLOT_XMASK) = v->m->xcr0;
	}
	memset(v->xstate, 0, PAGE_SIZE);
	v->fpu_pending = false;
}

void slot_init(struct vcpu *v)
{
	v->slot[GATE_TRAP] = gpa_hva(v->m, v->pages[VCPU_PAGE_DATA]);
	v->xstate = gpa_hva(v->m, v->pages[VCPU_PAGE_XSTATE]);
	v->budget = SPIN_MAX;
	slot_wipe(v);
	slot_forget(v);
	atomic_init(&v->host_cpu, -1);
	atomic_init(&v->serve, SERVE_OUT);
}

void slot_enter(struct vcpu *v)
{
	/* The gate goes back without the flag, and a program that steps would step on behind the next instruction. See also answer(). */
	if (v->run->s.regs.regs.rflags & FLAG_TF)
		__atomic_store_n(slot_word(v->slot[GATE_TRAP], RT_COUNT), 0, __ATOMIC_RELAXED);
	if (!v->server)
		return;
	FOR_EACH_SLOT(v, slot)
		slot_state_set(slot, RT_IDLE);
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

static uint64_t get(struct vcpu *v, unsigned off) { return slot_read(v->slot[GATE_TRAP], off); }
static void set(struct vcpu *v, unsigned off, uint64_t value) { slot_write(v->slot[GATE_TRAP], off, value); }

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
	const struct gate_layout *g = &v->m->gate[GATE_TRAP];
	uint64_t fs = r->fs_base, gs = r->gs_base;
	uint32_t state = slot_state(v->slot[GATE_TRAP]);

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

int slot_gate_at(const struct vcpu *v, gva_t rip)
{
	for (int i = 0; i < GATES && v->slot[i]; i++)
		if (rip >= v->m->gate[i].base && rip < v->m->gate[i].base + v->m->gate[i].end)
			return i;
	return -1;
}

/* KVM would not enter there. */
static bool is_canonical(gva_t rip)
{
	return (uint64_t)((int64_t)(rip << 16) >> 16) == rip;
}

/* Return address and flags of a program in the gate at the offset `at`. Where ring 0 answers or leaves for the jump gate, rcx is that one's. */
static void gate_return(struct vcpu *v, int gate, gva_t at, struct uregs *r)
{
	const struct gate_layout *g = &v->m->gate[gate];
	uint64_t rcx = slot_read(v->slot[gate], RT_SLOT_RCX), r11 = slot_read(v->slot[gate], RT_SLOT_R11);
	bool out = gate == GATE_TRAP && (at == g->out || at == g->out + RT_OUT_LEN);

	if (at < g->has_rcx || out || (at >= g->jumped && at < g->jumped_has_rcx))
		rcx = r->rcx;
	if (at < g->has_r11 || out)
		r11 = r->r11;
	if (at >= g->jumped || gate == GATE_JUMP)
		r11 = 0;
	/* A rewritten site's flags are where they were. */
	v->jumped = !r11;
	if (r11)
		r->rflags = r11;
	r->rip = r->rcx = is_canonical(rcx) ? sites_hide(v, rcx) : 0;
	r->r11 = r->rflags;
}

/* A call that the gate could have answered came out, since the VMM looks at one now and then. Calls that it stands for. */
unsigned slot_recount(struct vcpu *v)
{
	uint32_t *count = slot_word(v->slot[GATE_TRAP], RT_COUNT);

	if (__atomic_load_n(count, __ATOMIC_RELAXED))
		return 1;
	__atomic_store_n(count, v->m->rewrite ? LOOK_EVERY : INT32_MAX, __ATOMIC_RELAXED);
	return LOOK_EVERY;
}

enum standing { ASKED, ANSWERED, TOLD };

/*
 * The program is in this gate: where it goes on, and how its call stands. ANSWERED: result in r->rax; TOLD: by the table, it is there.
 * The words in the slot are the program's own where the gate is in its ring: what it forges comes back to it alone.
 */
static enum standing leave_gate(struct vcpu *v, int gate, struct uregs *r)
{
	const struct gate_layout *g = &v->m->gate[gate];
	gva_t at = r->rip - g->base;
	uint32_t state = slot_state(v->slot[gate]);
	bool told = (at >= g->told && at < g->ask) || at == g->asked;
	bool answered = at >= g->done && at < g->jumped;

	if (at >= g->has_r11 && at < g->jumped && (state == RT_ANSWERED || state == RT_LEAVE || state == RT_SAVE || state == RT_SAVED))
		answered = true;
	if (at >= g->save && at < g->load) {
		r->rsp = get(v, RT_SLOT_RSP);
		r->rdx = get(v, RT_SLOT_ARG + 16);
	}
	gate_return(v, gate, at, r);
	slot_state_set(v->slot[gate], RT_IDLE);
	if (told)
		return TOLD;
	if (answered)
		r->rax = (uint64_t)v->result;
	return answered ? ANSWERED : ASKED;
}

/* Ring 0 was called by the jump gate: which asked it, and then it knows how the call stands, or leaves. */
static enum standing leave_caller(struct vcpu *v, struct uregs *r, enum standing inner)
{
	bool asked = r->rip == v->m->gate[GATE_JUMP].base + v->m->gate[GATE_JUMP].asked;
	enum standing outer = leave_gate(v, GATE_JUMP, r);

	return asked ? inner : outer;
}

/* true: the call was answered already. */
bool slot_resume(struct vcpu *v, struct uregs *r, struct vcpu_event *ev)
{
	int gate = slot_gate_at(v, r->rip);
	enum standing s;
	unsigned calls;

	if (gate == GATE_TRAP && take_load(v, r->rip - RT_GATE, r)) {
		slot_state_set(v->slot[GATE_TRAP], RT_IDLE);
		return true;
	}
	s = leave_gate(v, gate, r);
	if (gate == GATE_TRAP && slot_gate_at(v, r->rip) == GATE_JUMP)
		s = leave_caller(v, r, s);
	if (v->hot && s != TOLD) {
		ev->hot = v->hot;
		ev->hot_nr = v->hot_nr;
		v->hot = 0;
	} else if (s == ASKED && !v->jumped) {
		calls = slot_recount(v);
		if (v->m->rewrite && sites_note(v->as, r->rip, calls)) {
			ev->hot = r->rip;
			ev->hot_nr = r->rax;
		}
	}
	return s != ASKED;
}
