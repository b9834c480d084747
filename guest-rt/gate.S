/* SPDX-License-Identifier: MIT */
/*
 * The gate: where LSTAR points, one copy on each vCPU's own page. `syscall` left the return address in
 * rcx and the flags in r11; every other register is the program's. One instruction leaves the VM.
 * deprivileged: the gate runs in ring 3, and the VMM resumes the program itself.
 * hardware: the gate runs in ring 0. The VMM resumes the program itself as well, by registers and segments;
 * sysretq stands behind the out for the way back that needs no segment registers.
 */
#include "guest-rt/abi.h"

	.section .rodata
	.globl rt_gate, rt_gate_end, rt_stubs, rt_stubs_end
	.balign 16
rt_gate:
	out %eax, $RT_GATE_PORT
	sysretq
rt_gate_end:

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
