/* SPDX-License-Identifier: MIT */
/*
 * The gate: where LSTAR points, one copy on each vCPU's own page, with the vCPU's data page at a fixed distance.
 * `syscall` left the return address in rcx and the flags in r11; every other register is the program's, and so are the
 * flags, the stack and its red zone: rcx, r11 and the data page are all that the gate uses, and no instruction that changes flags.
 *
 * If the helper polls, the call is posted to the slot, and the gate spins until it is answered or patience ends.
 * Otherwise, and then, one `out` leaves the VM with all registers as they came.
 * deprivileged: the gate runs in ring 3 and returns by a jump.
 * hardware: it runs in ring 0 and returns by sysretq. After an exit the VMM resumes the program itself in both.
 *
 * The VMM finds the return address of a gate that it interrupted by the labels (vmm/slot.c).
 */
#include "guest-rt/abi.h"

#define D(off) gate_\name + (RT_DATA - RT_GATE) + off(%rip)

	.macro GATE name, back:vararg
	.balign 16
	.globl rt_gate_\name, rt_gate_\name\()_end, rt_gate_\name\()_has_rcx, rt_gate_\name\()_has_r11
	.globl rt_gate_\name\()_done, rt_gate_\name\()_leave, rt_gate_\name\()_out
rt_gate_\name:
gate_\name:
	mov %rcx, D(RT_SLOT_RCX)
rt_gate_\name\()_has_rcx:
	mov %r11, D(RT_SLOT_R11)
rt_gate_\name\()_has_r11:
	mov D(RT_SLOT_OPEN), %ecx
	jrcxz 9f
	mov %rax, D(RT_SLOT_NR)
	mov %rdi, D(RT_SLOT_ARG)
	mov %rsi, D(RT_SLOT_ARG + 8)
	mov %rdx, D(RT_SLOT_ARG + 16)
	mov %r10, D(RT_SLOT_ARG + 24)
	mov %r8, D(RT_SLOT_ARG + 32)
	mov %r9, D(RT_SLOT_ARG + 40)
	mov D(RT_SLOT_BUDGET), %r11
	movl $RT_POSTED, D(RT_SLOT_STATE)
1:	mov D(RT_SLOT_STATE), %ecx
	lea -RT_ANSWERED(%rcx), %ecx
	jrcxz 3f
	lea RT_ANSWERED-RT_LEAVE(%rcx), %ecx
	jrcxz 9f
	lea RT_LEAVE-RT_REFUSED(%rcx), %ecx
	jrcxz 9f
	pause
	lea -1(%r11), %r11
	mov %r11, %rcx
	jrcxz 9f
	jmp 1b
rt_gate_\name\()_leave:
9:	mov D(RT_SLOT_R11), %r11
	mov D(RT_SLOT_RCX), %rcx
rt_gate_\name\()_out:
	out %eax, $RT_GATE_PORT
	ud2
3:	movl $RT_IDLE, D(RT_SLOT_STATE)
rt_gate_\name\()_done:
	mov D(RT_SLOT_RESULT), %rax
	mov D(RT_SLOT_R11), %r11
	mov D(RT_SLOT_RCX), %rcx
	\back
rt_gate_\name\()_end:
	.endm

	.section .rodata
	GATE user, jmp *%rcx
	GATE kernel, sysretq

	.globl rt_stubs, rt_stubs_end
/* One stub a vector: one instruction, no register touched. The VMM reads the frame from the stack page. */
	.balign RT_STUB_SIZE
rt_stubs:
	.set vector, 0
	.rept 32
	.balign RT_STUB_SIZE
	out %al, $vector
	ud2
	.set vector, vector + 1
	.endr
	.balign RT_STUB_SIZE
rt_stubs_end:
	.section .note.GNU-stack, "", @progbits
