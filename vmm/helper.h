/* SPDX-License-Identifier: MIT */
/* Between slot.c, the vCPU's side of calls without exits, and helper.c, the thread that answers them. */
#ifndef VMM_HELPER_H
#define VMM_HELPER_H

#include "guest-rt/abi.h"
#include "vmm/machine.h"

/* Who has the call in a slot: slot.c's theory. */
enum { SERVE_OUT, SERVE_IN, SERVE_TAKEN, SERVE_WAITED };

#define FLAG_TF 0x100
#define FLAG_RF 0x10000

enum slot_mode { SLOT_CLOSED, SLOT_POLLED, SLOT_RUNG }; /* what the gate does with a call: leave; post; post and ring */

/* slot: a gate's page of data. */
#define FOR_EACH_SLOT(v, slot) for (uint8_t **s_ = (v)->slot, *slot; s_ < (v)->slot + GATES && (slot = *s_); s_++)
static inline uint32_t *slot_word(uint8_t *slot, unsigned off) { return (uint32_t *)(slot + off); }
static inline uint64_t *slot_quad(uint8_t *slot, unsigned off) { return (uint64_t *)(slot + off); }
/* What its program may change meanwhile. */
static inline uint64_t slot_read(uint8_t *slot, unsigned off) { return *(volatile uint64_t *)(slot + off); }
static inline void slot_write(uint8_t *slot, unsigned off, uint64_t value) { *(volatile uint64_t *)(slot + off) = value; }
static inline uint32_t slot_state(uint8_t *slot) { return __atomic_load_n(slot_word(slot, RT_SLOT_STATE), __ATOMIC_ACQUIRE); }
static inline void slot_state_set(uint8_t *slot, uint32_t s) { __atomic_store_n(slot_word(slot, RT_SLOT_STATE), s, __ATOMIC_RELEASE); }
static inline bool slot_is_posted(uint8_t *slot)
{
	uint32_t state = slot_state(slot);

	return state == RT_POSTED || state == RT_SAVED;
}
/* The slot with a call to answer; NULL: none. An honest program has one at a time. */
static inline uint8_t *slot_posted(struct vcpu *v)
{
	FOR_EACH_SLOT(v, slot)
		if (slot_is_posted(slot))
			return slot;
	return NULL;
}
/* The gate's patience: rounds of spinning, tens of microseconds at most. Who rings waits for a thread to wake up, which takes its time. */
#define SPIN_MAX 4000
#define SPIN_MIN 250
void slot_open(struct vcpu *v, enum slot_mode mode);
void slot_budget(struct vcpu *v, unsigned divide, uint64_t limit); /* divided, not below limit; or, by 0, doubled, not above it */

/* The gate passed by its table, so that the VMM sees a call now and then: calls that this one stands for. */
unsigned slot_recount(struct vcpu *v);

/* While `serve` is taken, or out of the guest: what the gate saved; *v->regs and RT_XSTATE are what it is to load. */
void slot_get_registers(struct vcpu *v, struct uregs *r);
void slot_load(struct vcpu *v);

void helper_start(struct machine *m); /* once for the instance; the thread lives as long as it */
void helper_entering(struct vcpu *v); /* goes into the guest: its thread is busy from now on, in there and outside */
void helper_rests(struct vcpu *v);    /* until now: it sleeps, or has no more calls to answer. Its own thread */
enum slot_mode helper_mode(void);     /* for a vCPU that goes in now */

#endif
