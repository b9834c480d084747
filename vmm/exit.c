/* SPDX-License-Identifier: MIT */
/*
 * What a return from KVM_RUN means: a call, an exception, or nothing for the caller.
 *
 * An exit belongs to guest-rt only if rip is in a place of guest-rt; anything else that a program manages to
 * cause is what the processor would have made of it without the VM (an `out` is a protection fault).
 * Hosts differ in where rip stands at an `out`: at the instruction (hardware) or behind it (kvm_pvm).
 */
/* host syscalls: ioctl sched_yield */
#include <sched.h>
#include <sys/ioctl.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "guest-rt/abi.h"
#include "vmm/machine.h"

#define VECTOR_DB 1
#define VECTOR_BP 3
#define VECTOR_OF 4
#define VECTOR_UD 6
#define VECTOR_GP 13

#define FAULTS_QUIET 16       /* -EFAULTs that a zap in flight explains */
#define FAULTS_HOPELESS 20000

static void store_regs(struct vcpu *v, struct uregs *r)
{
	const struct kvm_regs *k = &v->run->s.regs.regs;
	const struct kvm_sregs *s = &v->run->s.regs.sregs;

	r->rax = k->rax, r->rbx = k->rbx, r->rcx = k->rcx, r->rdx = k->rdx, r->rsi = k->rsi, r->rdi = k->rdi;
	r->rsp = k->rsp, r->rbp = k->rbp, r->r8 = k->r8, r->r9 = k->r9, r->r10 = k->r10, r->r11 = k->r11;
	r->r12 = k->r12, r->r13 = k->r13, r->r14 = k->r14, r->r15 = k->r15, r->rip = k->rip, r->rflags = k->rflags;
	r->fs_base = s->fs.base;
	r->gs_base = s->gs.base;
	v->at_cpl0 = s->ss.dpl == 0 || s->cs.dpl == 0;
}

static bool event_exception(struct vcpu_event *ev, unsigned vector, uint32_t error_code, gva_t cr2)
{
	*ev = (struct vcpu_event){ .kind = VCPU_EXCEPTION, .vector = vector, .error_code = error_code, .cr2 = cr2 };
	return true;
}

static bool event_dead(struct vcpu *v, struct vcpu_event *ev, const char *what, long detail)
{
	log_warn("virtual CPU %u: %s (%ld) at rip %llx", v->index, what, detail, v->run->s.regs.regs.rip);
	v->broken = true;
	ev->kind = VCPU_DEAD;
	return true;
}

/* --- guest-rt's own exits ------------------------------------------------------------------------- */

static bool at_gate_out(const struct vcpu *v, gva_t rip)
{
	gva_t out = RT_GATE + v->m->gate[GATE_TRAP].out;

	return rip == out || rip == out + RT_OUT_LEN;
}

/* In a gate, in the ring that it runs in. */
static bool in_gate(const struct vcpu *v, gva_t rip)
{
	int gate = slot_gate_at(v, rip);

	return gate >= 0 && v->at_cpl0 == (v->m->hardware && gate == GATE_TRAP);
}

static bool decode_call(struct vcpu *v, struct uregs *r, struct vcpu_event *ev)
{
	ev->kind = slot_resume(v, r, ev) ? VCPU_ANSWERED : VCPU_SYSCALL;
	if (ev->kind == VCPU_SYSCALL)
		count_one(&v->ncalls);
	return true;
}

static bool has_error_code(unsigned vector)
{
	return (1u << vector) & (1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17 | 1u << 21 | 1u << 29 | 1u << 30);
}

bool exit_read_code(struct vcpu *v, gva_t gva, uint8_t *code, unsigned n)
{
	struct as_mapping map;

	for (unsigned i = 0; i < n; i++) {
		if (!v->as || !aspace_lookup(v->as, gva + i, &map) || map.window)
			return false;
		code[i] = *(uint8_t *)map.hva;
	}
	return true;
}

/* kvm_pvm makes #UD of `int n` where the gate is not for programs; the processor's answer is #GP with the gate's selector. */
static bool is_refused_int(struct vcpu *v, gva_t rip, uint32_t *ret_error)
{
	uint8_t code[2];

	if (v->m->hardware || !exit_read_code(v, rip, code, 2) || code[0] != 0xcd)
		return false;
	*ret_error = code[1] * 8u + 2;
	return true;
}

/* The frame lies on the vCPU's exception stack, which programs cannot reach. */
static bool decode_stub(struct vcpu *v, unsigned vector, struct uregs *r, struct vcpu_event *ev)
{
	uint32_t error;
	const uint64_t *top = v->stack_top; /* ss rsp rflags cs rip [error code], downwards */

	r->rsp = top[-2];
	r->rflags = top[-3];
	r->rip = top[-5];
	v->at_cpl0 = true;
	if (in_sites(r->rip)) {
		r->rip = sites_hide(v, r->rip);
		if (vector == VECTOR_DB) { /* it steps: back to its own text, where it steps again */
			v->show_from = 0;
			ev->kind = VCPU_STEPS;
			return true;
		}
	}
	if (vector == VECTOR_UD && v->m->rewrite) {
		gva_t cell = sites_undefined(v, r->rip);

		if (cell) {
			v->show_from = r->rip;
			v->show_to = cell;
			ev->kind = VCPU_KICKED;
			return true;
		}
	}
	if (vector == VECTOR_UD && is_refused_int(v, r->rip, &error))
		return event_exception(ev, VECTOR_GP, error, 0);
	return event_exception(ev, vector, has_error_code(vector) ? (uint32_t)top[-6] : 0, v->run->s.regs.sregs.cr2);
}

/* The vector whose stub rip is in; -1: none. */
static int stub_of(const struct vcpu *v, gva_t rip)
{
	gva_t off = rip - RT_STUBS;

	if (rip < RT_STUBS || off >= RT_VECTORS * RT_STUB_SIZE || off % RT_STUB_SIZE > RT_OUT_LEN || !v->at_cpl0)
		return -1;
	return (int)(off / RT_STUB_SIZE);
}

/* --- a program's own port access ---------------------------------------------------------------------- */

/* Where the instruction began: the host may show rip behind it. Prefixes are not looked for. */
static gva_t io_start(struct vcpu *v, gva_t rip)
{
	uint8_t code[2];

	if (rip < 2 || !exit_read_code(v, rip - 2, code, 2))
		return rip;
	if ((code[0] & 0xfc) == 0xe4 && code[1] >= RT_GATE_PORT && code[1] < RT_GATE_PORT + 4) /* in, out with a port in the code */
		return rip - 2;
	if ((code[1] & 0xfc) == 0xec || (code[1] & 0xfc) == 0x6c) /* with a port in dx; string forms */
		return rip - 1;
	return rip;
}

/* `out` and `in` outside of guest-rt get past the bitmap for the gate's ports only. */
static bool decode_port_access(struct vcpu *v, struct uregs *r, struct vcpu_event *ev)
{
	if (!v->m->hardware)
		r->rip = io_start(v, r->rip);
	/* KVM would finish the access on the next entry, on top of our registers: let it do so now. */
	v->run->immediate_exit = 1;
	(void)ioctl(v->fd, KVM_RUN, 0);
	v->run->immediate_exit = 0;
	v->run->kvm_dirty_regs = 0;
	return event_exception(ev, VECTOR_GP, 0, 0);
}

static bool decode_io(struct vcpu *v, struct uregs *r, struct vcpu_event *ev)
{
	unsigned port = v->run->io.port;
	int vector = stub_of(v, r->rip);

	if (port == RT_GATE_PORT && at_gate_out(v, r->rip) && v->at_cpl0 == v->m->hardware) {
		slot_note_exit(v);
		return decode_call(v, r, ev);
	}
	if (vector >= 0 && port == (unsigned)vector)
		return decode_stub(v, port, r, ev);
	return decode_port_access(v, r, ev);
}

/* --- interruptions ------------------------------------------------------------------------------------- */

/* A kick may find an exception on its way in: faults happen again by themselves, traps would be lost. */
static int take_queued_exception(struct vcpu *v)
{
	struct kvm_vcpu_events *e = &v->run->s.regs.events;
	int vector = e->exception.injected || e->exception.pending ? e->exception.nr : -1;

	if (vector < 0)
		return -1;
	e->exception.injected = 0;
	e->exception.pending = 0;
	v->run->kvm_dirty_regs |= KVM_SYNC_X86_EVENTS;
	return vector == VECTOR_DB || vector == VECTOR_BP || vector == VECTOR_OF ? vector : -1;
}

static bool decode_interrupted(struct vcpu *v, struct uregs *r, struct vcpu_event *ev)
{
	int vector = take_queued_exception(v);

	v->run->immediate_exit = 0;
	if (vector >= 0)
		return event_exception(ev, (unsigned)vector, 0, 0);
	/* Between the program and the exit of guest-rt: what was about to be asked for is asked for now. */
	vector = stub_of(v, r->rip);
	if (vector >= 0)
		return decode_stub(v, (unsigned)vector, r, ev);
	if (in_gate(v, r->rip))
		return decode_call(v, r, ev);
	r->rip = sites_hide(v, r->rip);
	atomic_store(&v->kicked, false);
	ev->kind = VCPU_KICKED;
	return true;
}

/* The host could not give a page: a zap is in flight, or a mapped file became shorter. */
static bool decode_lost_page(struct vcpu *v, struct vcpu_event *ev)
{
	if (++v->nfaults >= FAULTS_HOPELESS)
		return event_dead(v, ev, "the host cannot provide a page", v->nfaults);
	if (v->nfaults % FAULTS_QUIET) {
		sched_yield();
		return false;
	}
	ev->kind = VCPU_LOST_PAGE;
	return true;
}

bool exit_decode(struct vcpu *v, long error, struct uregs *r, struct vcpu_event *ev)
{
	v->run->kvm_dirty_regs = 0;
	store_regs(v, r);
	if (error == -EFAULT)
		return decode_lost_page(v, ev);
	v->nfaults = 0;
	if (error == -EINTR)
		return decode_interrupted(v, r, ev);
	if (error == -EAGAIN)
		return false;
	if (error < 0)
		return event_dead(v, ev, "KVM_RUN fails", error);
	switch (v->run->exit_reason) {
	case KVM_EXIT_IO:
		return decode_io(v, r, ev);
	case KVM_EXIT_INTERNAL_ERROR:
		/* An instruction that KVM must emulate and cannot: to the program it does not exist. */
		if (v->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && !v->at_cpl0)
			return event_exception(ev, VECTOR_UD, 0, 0);
		return event_dead(v, ev, "KVM internal error", v->run->internal.suberror);
	case KVM_EXIT_FAIL_ENTRY:
		return event_dead(v, ev, "the processor refuses its state", (long)v->run->fail_entry.hardware_entry_failure_reason);
	default:
		return event_dead(v, ev, "unexpected exit", v->run->exit_reason);
	}
}
