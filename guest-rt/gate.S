/* SPDX-License-Identifier: MIT */
/*
 * The gates: where LSTAR points, and where rewritten call sites jump to. One page for all vCPUs, with the data page of the vCPU that
 * runs it at a fixed distance.
 * `syscall` left the return address in rcx and the flags in r11; a rewritten site leaves the return address in rcx, and its flags where
 * they are. Every other register is the program's, and so are the flags, the stack and its red zone: rcx, r11 and the data page are
 * all that the gate uses, and no instruction that changes flags.
 *
 * First the table of answers, by the low byte of the call's number: what this vCPU's task is told by each of these calls until further
 * notice. Then, if the helper polls, the call is posted to the slot, and the gate spins until it is answered or patience ends. If it sleeps
 * and the call is of a kind that it mostly answers, an `out` to an ioeventfd wakes it without an exit to the VMM.
 * Otherwise, and then, one `out` leaves the VM with all registers as they came.
 * A handler is entered, and left by rt_sigreturn, without an exit too, where the gate runs in ring 3: the helper asks for the registers, builds
 * the frame, and says what they are then. They are loaded by plain instructions of ring 3.
 * user: the deprivileged model's. It runs in ring 3 and returns by a jump. Rewritten sites jump to it.
 * kernel: the hardware model's. It runs in ring 0 and returns by sysretq. After an exit the VMM resumes the program itself in both.
 * jump: where rewritten sites jump to in the hardware model. It runs in ring 3, on a slot of its own that programs can write. It may not `out`:
 * where nobody polls, its `syscall` asks the kernel gate, which can ring, and where it leaves, its other `syscall` does, since the kernel
 * gate knows that one's return address.
 *
 * The VMM finds the return address of a gate that it interrupted by the labels (vmm/slot.c).
 */
#include "guest-rt/abi.h"

#define X gate_\name + (RT_XSTATE - RT_GATE)(%rip)
#define D(off) gate_\name + (RT_DATA - RT_GATE) + off(%rip)

	.macro GATE name, back:vararg
	.balign 16
	.globl rt_gate_\name, rt_gate_\name\()_end, rt_gate_\name\()_has_rcx, rt_gate_\name\()_has_r11
	.globl rt_gate_\name\()_done, rt_gate_\name\()_out, rt_gate_\name\()_asked, rt_gate_\name\()_told, rt_gate_\name\()_ask
	.globl rt_gate_\name\()_save, rt_gate_\name\()_load, rt_gate_\name\()_load_end
	.globl rt_gate_\name\()_jumped, rt_gate_\name\()_jumped_has_rcx
rt_gate_\name:
gate_\name:
	.ifc \name, jump
rt_gate_\name\()_has_rcx:
rt_gate_\name\()_has_r11:
	.else
	mov %rcx, D(RT_SLOT_RCX)
rt_gate_\name\()_has_rcx:
	mov %r11, D(RT_SLOT_R11)
rt_gate_\name\()_has_r11:
	.ifc \name, kernel
	movabs $gate_jump - rt_gate_jump_out - RT_OUT_LEN - RT_JUMP, %r11
	lea (%r11, %rcx), %rcx
	jrcxz 14f
	.endif
	movzbl D(RT_SLOT_R11 + 1), %ecx
	lea 12f(%rip), %r11
	movzbl (%r11, %rcx), %ecx
	jrcxz 13f
14:	jmp 9f /* the trap flag was just set: the VMM gives it back, the gate would not */
13:	mov D(RT_COUNT), %ecx /* the VMM wants to see the call now and then: it may be worth rewriting its site */
	jrcxz 5f
	lea -1(%rcx), %ecx
	mov %ecx, D(RT_COUNT)
	.endif
4:	movzbl %al, %ecx
	lea D(RT_ANSWERS), %r11
	mov (%r11, %rcx, 8), %ecx
	lea (%rcx, %rax), %ecx
	jrcxz 7f
5:	mov D(RT_SLOT_OPEN), %ecx
	jrcxz 8f
	mov %rax, D(RT_SLOT_NR)
	mov %rdi, D(RT_SLOT_ARG)
	mov %rsi, D(RT_SLOT_ARG + 8)
	mov %rdx, D(RT_SLOT_ARG + 16)
	mov %r10, D(RT_SLOT_ARG + 24)
	mov %r8, D(RT_SLOT_ARG + 32)
	mov %r9, D(RT_SLOT_ARG + 40)
	mov %rsp, D(RT_SLOT_RSP)
	.ifnc \name, jump
	mov D(RT_SLOT_BELL), %ecx
	jrcxz 6f
	movzbl %al, %ecx
	lea D(RT_ANSWERS), %r11
	mov 4(%r11, %rcx, 8), %ecx
	jrcxz 8f
	movl $RT_POSTED, D(RT_SLOT_STATE)
	out %al, $RT_BELL_PORT
	mov D(RT_SLOT_BUDGET), %r11
	jmp 1f
	.else
	jmp 6f
	.endif
7:	jmp 2f /* jrcxz does not reach far */
	.ifc \name, jump
8:	syscall
rt_gate_\name\()_asked: /* from here on rax is the answer */
	jmp rt_gate_\name\()_told
	.else
8:	jmp 9f
	.endif
6:	mov D(RT_SLOT_BUDGET), %r11
	movl $RT_POSTED, D(RT_SLOT_STATE)
1:	mov D(RT_SLOT_STATE), %ecx
	lea -RT_ANSWERED(%rcx), %ecx
	jrcxz 3f
	lea RT_ANSWERED-RT_LEAVE(%rcx), %ecx
	jrcxz 9f
	lea RT_LEAVE-RT_REFUSED(%rcx), %ecx
	jrcxz 9f
	.ifc \name, user
	lea RT_REFUSED-RT_SAVE(%rcx), %ecx
	jrcxz 10f
	lea RT_SAVE-RT_LOAD(%rcx), %ecx
	jrcxz 11f
	.endif
	pause
	lea -1(%r11), %r11
	mov %r11, %rcx
	jrcxz 9f
	jmp 1b
10:	jmp rt_gate_\name\()_save
11:	jmp rt_gate_\name\()_load
	.ifc \name, jump
rt_gate_\name\()_out:
9:	syscall
	.else
9:	mov D(RT_SLOT_R11), %r11
	mov D(RT_SLOT_RCX), %rcx
rt_gate_\name\()_out:
	out %eax, $RT_GATE_PORT
	.endif
	ud2
2:	mov D(RT_TOLD), %rcx
	lea 1(%rcx), %rcx
	mov %rcx, D(RT_TOLD)
	movzbl %al, %ecx
	mov 4(%r11, %rcx, 8), %eax
	.ifnc \name, jump
rt_gate_\name\()_asked:
	.endif
rt_gate_\name\()_told: /* from here on rax is the answer */
	mov D(RT_SLOT_R11), %r11
	mov D(RT_SLOT_RCX), %rcx
	\back
rt_gate_\name\()_ask:
3:	movl $RT_IDLE, D(RT_SLOT_STATE)
rt_gate_\name\()_done: /* from here on the call in the slot is answered */
	mov D(RT_SLOT_RESULT), %rax
	mov D(RT_SLOT_R11), %r11
	mov D(RT_SLOT_RCX), %rcx
	\back
/* In the user gate rsp may point at the slot: nothing else uses it meanwhile. */
rt_gate_\name\()_save: /* from here to _load the VMM knows rsp and rdx from the slot, and rax is the result */
	.ifc \name, user
	mov %rbx, D(RT_SLOT_RBX)
	mov %rbp, D(RT_SLOT_RBP)
	mov %r12, D(RT_SLOT_R12)
	mov %r13, D(RT_SLOT_R13)
	mov %r14, D(RT_SLOT_R14)
	mov %r15, D(RT_SLOT_R15)
	lea D(RT_SLOT_FLAGS + 8), %rsp
	pushfq
	mov D(RT_SLOT_RSP), %rsp
	mov D(RT_SLOT_XMASK), %eax
	mov D(RT_SLOT_XMASK + 4), %edx
	xsave64 X
	mov D(RT_SLOT_NR), %rax
	mov D(RT_SLOT_ARG + 16), %rdx
	movl $RT_SAVED, D(RT_SLOT_STATE)
	mov D(RT_SLOT_BUDGET), %r11
	jmp 1b
	.endif
rt_gate_\name\()_load: /* from here on the VMM knows all registers by itself */
	.ifc \name, user
	movl $RT_IDLE, D(RT_SLOT_STATE)
	mov D(RT_SLOT_XMASK), %eax
	mov D(RT_SLOT_XMASK + 4), %edx
	xrstor64 X
	mov D(RT_SLOT_RBX), %rbx
	mov D(RT_SLOT_RBP), %rbp
	mov D(RT_SLOT_R12), %r12
	mov D(RT_SLOT_R13), %r13
	mov D(RT_SLOT_R14), %r14
	mov D(RT_SLOT_R15), %r15
	mov D(RT_SLOT_ARG), %rdi
	mov D(RT_SLOT_ARG + 8), %rsi
	mov D(RT_SLOT_ARG + 16), %rdx
	mov D(RT_SLOT_ARG + 24), %r10
	mov D(RT_SLOT_ARG + 32), %r8
	mov D(RT_SLOT_ARG + 40), %r9
	mov D(RT_SLOT_RESULT), %rax
	mov D(RT_SLOT_R11), %r11
	mov D(RT_SLOT_RCX), %rcx
	lea D(RT_SLOT_FLAGS), %rsp
	popfq
	mov D(RT_SLOT_RSP), %rsp
	jmp *D(RT_SLOT_RIP)
	.endif
rt_gate_\name\()_load_end:
/* Rewritten sites: ring 3 only. No flags are never a program's: they are in the flags register. */
rt_gate_\name\()_jumped:
	mov %rcx, D(RT_SLOT_RCX)
rt_gate_\name\()_jumped_has_rcx:
	movq $0, D(RT_SLOT_R11)
	jmp 4b
	ud2
12:	.rept 128 /* by the second byte of the flags: is TF on? */
	.byte 0, 1
	.endr
rt_gate_\name\()_end:
	.endm

	.section .rodata
	GATE user, jmp *%rcx
	GATE kernel, sysretq
	GATE jump, jmp *%rcx

/*
 * At boot in the hardware model: what a call that is answered in the guest costs by `syscall`, and by a jump to the address in r12. Ring 3.
 * Fewest cycles of RT_MEASURE_CALLS in r13 and r14; then a call with rax = 1, which nobody answers.
 */
	.macro MEASURE least, jump
	mov $RT_MEASURE_CALLS, %ebx
	rdtsc
	mov %eax, %esi
1:	mov $RT_MEASURE_NR, %eax
	.if \jump
	lea 2f(%rip), %rcx
	jmp *%r12
	.else
	syscall
	.endif
2:	dec %ebx
	jnz 1b
	rdtsc
	sub %esi, %eax
	cmp %eax, \least
	cmova %eax, \least
	.endm

	.globl rt_measure, rt_measure_end
rt_measure:
	mov $-1, %r13d
	mov %r13d, %r14d
	mov $RT_MEASURE_ROUNDS, %ebp
5:	MEASURE %r13d, 0
	MEASURE %r14d, 1
	dec %ebp
	jnz 5b
	mov $1, %eax
	syscall
	ud2
rt_measure_end:

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
