/* SPDX-License-Identifier: MIT */
/*
 * The contract of guest and host: where guest-rt lives, how it leaves the VM, what a vCPU's pages hold.
 * Everything the guest can write is hostile input: copied once, checked.
 *
 * The upper half, at the same addresses for every vCPU (PML4 slot 256 does not work on kvm_pvm). PML4 slot 510 is the vCPU's own:
 *   RT_IDT, RT_STUBS   IDT and fault stubs            one page each for all, supervisor
 *   RT_TSS, RT_STACK   TSS with GDT, exception stack  its own, supervisor
 *   RT_GATE            the gate                       one page for all
 *   RT_DATA            its request slot               its own
 *   RT_XSTATE          its extended state             its own
 *   RT_JUMP            the gate of rewritten sites    one page for all; hardware model only, ring 3's
 *   RT_JUMP_DATA       its request slot               its own, ring 3's
 * PML4 slot 511 is the address space's: RT_SITES.
 */
#ifndef GUEST_RT_ABI_H
#define GUEST_RT_ABI_H

#define RT_BASE 0xffffff0000000000
#define RT_PML4_SLOT 510
#define RT_IDT (RT_BASE + 0x1000)
#define RT_STUBS (RT_BASE + 0x3000)
#define RT_STUB_SIZE 16
#define RT_VECTORS 32
#define RT_TSS (RT_BASE + 0x5000)
#define RT_GDT (RT_TSS + 0x800)   /* in the TSS's page */
#define RT_GDT_ENTRIES 16
#define RT_STACK (RT_BASE + 0x7000) /* one page; exceptions push from its end */
#define RT_GATE (RT_BASE + 0x9000)
#define RT_DATA (RT_BASE + 0xb000)  /* the request slot of calls without exits */

#define RT_XSTATE (RT_BASE + 0xf000) /* XSAVE image, standard form: see RT_SAVE */

#define RT_PROBE (RT_BASE + 0xd000) /* at boot only: a page of ring-3 code */

/* Rewritten sites cannot jump into ring 0, and what ring 0 trusts is no program's to write. As far apart as RT_GATE and RT_DATA. */
#define RT_JUMP (RT_BASE + 0x11000)
#define RT_JUMP_DATA (RT_JUMP + (RT_DATA - RT_GATE))

/*
 * The slot: a call that the VMM's helper thread may answer while the vCPU spins in the gate. Offsets within RT_DATA and RT_JUMP_DATA.
 * The state is one word, since a call must be executed exactly once: IDLE -> POSTED (guest) -> ANSWERED, LEAVE or REFUSED (host) ->
 * IDLE (guest when it goes on, host after an exit). ANSWERED may have SAVE -> SAVED (guest) -> LOAD or LEAVE (host) in its place. Who executes it is settled in the VMM's own memory (vmm/slot.c): in the
 * deprivileged model the program can write all of this.
 */
#define RT_SLOT_RCX 0x08    /* return address, flags */
#define RT_SLOT_R11 0x10
#define RT_SLOT_NR 0x18     /* number, six arguments */
#define RT_SLOT_ARG 0x20
#define RT_SLOT_RESULT 0x50
/* The other registers, and where a loaded program goes on. The stack pointer comes with every call. */
#define RT_SLOT_RSP 0x58
#define RT_SLOT_RBX 0x60
#define RT_SLOT_RBP 0x68
#define RT_SLOT_R12 0x70
#define RT_SLOT_R13 0x78
#define RT_SLOT_R14 0x80
#define RT_SLOT_R15 0x88
#define RT_SLOT_FLAGS 0x90
#define RT_SLOT_RIP 0x98
#define RT_SLOT_STATE 0x100 /* a line of its own: both sides poll it */
#define RT_SLOT_OPEN 0x140  /* nonzero: post, somebody answers */
#define RT_SLOT_BELL 0x144  /* nonzero: it is asleep, ring */
#define RT_SLOT_BUDGET 0x148 /* rounds of spinning before leaving by `out` */

#define RT_SLOT_XMASK 0x150  /* which extended state there is: XSAVE's mask, 64 bits */

/*
 * Answers of the gate itself: by the low byte of the call's number, {-number, answer} of 32 bits each. Where the first word matches no
 * number of a call (RT_NO_ANSWER), the second says whether such a call is worth ringing for.
 */
#define RT_COUNT 0x180      /* `syscall`s until the VMM wants to see one that the gate could answer */
#define RT_TOLD 0x188       /* answers given, 64 bits */
#define RT_ANSWERS 0x800    /* 256 of them */
/* A first word that no number of a call matches; that of the last entry must be another. */
#define RT_NO_ANSWER(low_byte) ((low_byte) == 255 ? 2 : 1)

/* rt_measure */
#define RT_MEASURE_NR 39    /* the number that it calls: getpid */
#define RT_MEASURE_CALLS 64
#define RT_MEASURE_ROUNDS 4

/*
 * Cells of rewritten call sites (vmm/sites.c): the address space's own, readable and executable for programs. Absolute 32-bit
 * addresses reach the last 2 GiB from everywhere. The two upper bytes of such an address, ce 06, are opcodes that do not exist.
 */
#define RT_SITES 0xffffffffce060000
#define RT_SITES_SIZE 0x10000

#define RT_IDLE 0
#define RT_POSTED 1
#define RT_SAVED 2          /* all registers are in the slot and RT_XSTATE; the call is answered */
#define RT_ANSWERED 3
#define RT_LEAVE 4          /* answered, but something waits for the task outside */
#define RT_REFUSED 5        /* not for the helper: leave and ask */
/* Ring-3 gates only: */
#define RT_SAVE 6           /* answered, and a signal waits: the registers are wanted */
#define RT_LOAD 7           /* the program is elsewhere now: at a handler, or where one returned to */

/* The one port that the gate uses. Ports below RT_VECTORS are the vectors of fault stubs. */
#define RT_GATE_PORT 0x5a
/* Wakes the helper: an ioeventfd. A program's own `out` to it is swallowed without an effect. */
#define RT_BELL_PORT 0x5e
#define RT_OUT_LEN 2 /* bytes of `out %eax, $port`, and of `syscall` */

/* Selectors as Linux has them: STAR must fit, and programs see CS and SS. */
#define RT_KERNEL_CS 0x10
#define RT_KERNEL_DS 0x18
#define RT_USER_DS 0x2b
#define RT_USER_CS 0x33
#define RT_CPU_NUMBER 0x7b /* the limit of this segment is the CPU's number: vDSOs read it by lsl */

#endif
