/* SPDX-License-Identifier: MIT */
/*
 * Whether hot `syscall` instructions become jumps (sites.c). Where they trap to the host kernel (kvm_pvm) that wins more than all the rest
 * of a short call costs. In the hardware model `syscall` and `sysretq` take as long as the processor, and what the host set up against its
 * flaws, make them, so it is measured once: the same call, answered by the gate's table, both ways.
 */
#include <string.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "guest-rt/abi.h"
#include "vmm/helper.h"

extern const uint8_t rt_measure[], rt_measure_end[];

/*
 * A rewritten site costs an exit and a page of text of the program's own, and shows to who reads it. Worth it if the `syscall` is at least
 * as much as all else in the shortest call.
 */
#define WORTH 2

/* Cycles of a call that is answered in the guest. */
struct cost { unsigned trap, jump; };

static int measure(struct vcpu *v, struct cost *ret)
{
	const struct gate_layout *jump = &v->m->gate[GATE_JUMP];
	int r, ready;

	*slot_word(v->slot[GATE_TRAP], RT_COUNT) = INT32_MAX;
	slot_tell(v, RT_MEASURE_NR, 1);
	r = vcpu_probe(v, rt_measure, (size_t)(rt_measure_end - rt_measure), jump->base + jump->jumped);
	ret->trap = (uint32_t)v->run->s.regs.regs.r13 / RT_MEASURE_CALLS;
	ret->jump = (uint32_t)v->run->s.regs.regs.r14 / RT_MEASURE_CALLS;
	FOR_EACH_SLOT(v, slot)
		memset(slot, 0, PAGE_SIZE);
	slot_init(v);
	ready = vcpu_init_state(v);
	return r < 0 ? r : ready;
}

static bool is_worth(struct vcpu *v)
{
	struct cost c;
	int r = measure(v, &c);
	bool yes;

	if (r < 0) {
		log_warn("the cost of a call cannot be measured: error %d", -r);
		return false;
	}
	yes = c.trap >= WORTH * c.jump;
	log_once("a call answered in the guest takes %u cycles by `syscall`, %u by a jump: hot sites are %s", c.trap, c.jump, yes ? "rewritten" : "left alone");
	return yes;
}

int rewrite_decide(struct vcpu *v, enum rewrite want)
{
	struct machine *m = v->m;
	int r;

	m->rewrite = want != REWRITE_NEVER;
	if (!m->rewrite || !m->hardware)
		return 0;
	r = kernel_map_jump_gate(v);
	if (r < 0)
		return r;
	slot_init(v);
	if (want == REWRITE_AUTO)
		m->rewrite = is_worth(v);
	if (!m->rewrite)
		v->slot[GATE_JUMP] = NULL;
	v->run->kvm_dirty_regs = 0;
	return 0;
}
