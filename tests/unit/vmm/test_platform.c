/* SPDX-License-Identifier: MIT */
/*
 * The machine over KVM, without any Linux on top: little programs written as bytes, run in address spaces that the
 * test makes. Needs /dev/kvm; run on both kinds of KVM.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "emul/base/platform.h"
#include "emul/base/wait.h"
#include "guest-rt/abi.h"
#include "tests/lib/cmocka_all.h"
#include "vmm/machine.h"

#define CODE ((gva_t)0x400000)
#define DATA ((gva_t)0x10000000)
#define PROGRAM(name, text)                                                                     \
	__asm__(".pushsection .rodata\n.balign 16\n" #name ":\n" text "\n" #name "_end:\n.byte 0\n.popsection"); \
	extern const uint8_t name[], name##_end[]

static struct platform *pf;
static gpa_t next_frame, frames_end;
static uint8_t *frames_hva;
static gpa_t frames_gpa;

struct prog { struct aspace *as; struct vcpu *v; struct uregs r; struct vcpu_event ev; gpa_t code; };

static gpa_t frame(void)
{
	gpa_t g = next_frame;

	assert_true(g + PAGE_SIZE <= frames_end);
	next_frame += PAGE_SIZE;
	return g;
}

static void *hva(gpa_t g)
{
	return frames_hva + (g - frames_gpa);
}

static void prog_make(struct prog *p, const uint8_t *code, const uint8_t *end)
{
	memset(p, 0, sizeof(*p));
	p->as = pf->ops->as_new(pf);
	assert_non_null(p->as);
	p->code = frame();
	memcpy(hva(p->code), code, (size_t)(end - code));
	assert_int_equal(pf->ops->as_map(p->as, CODE, p->code, PAGE_SIZE, PROT_READ | PROT_EXEC), 0);
	assert_int_equal(pf->ops->vcpu_get(pf, &p->v), 0);
	pf->ops->vcpu_reset_xstate(p->v);
	assert_int_equal(pf->ops->vcpu_attach(p->v, p->as), 0);
	p->r.rip = CODE;
	p->r.rflags = 0x202;
}
#define PROG(p, name) prog_make(p, name, name##_end)

static void prog_drop(struct prog *p)
{
	pf->ops->vcpu_put(p->v);
	pf->ops->as_unmap(p->as, 0, USER_END, NULL, NULL);
	pf->ops->as_free(p->as);
}

static void run(struct prog *p)
{
	pf->ops->vcpu_run(p->v, &p->r, &p->ev);
}

static void run_to_call(struct prog *p, uint64_t nr)
{
	run(p);
	if (p->ev.kind != VCPU_SYSCALL || p->r.rax != nr)
		fail_msg("event %d vector %u err %x cr2 %lx rip %lx rax %ld, want call %lu", p->ev.kind, p->ev.vector,
			 p->ev.error_code, p->ev.cr2, p->r.rip, p->r.rax, nr);
}

static void run_to_fault(struct prog *p, unsigned vector, uint32_t err, gva_t cr2)
{
	run(p);
	if (p->ev.kind != VCPU_EXCEPTION || p->ev.vector != vector || p->ev.error_code != err || (vector == 14 && p->ev.cr2 != cr2))
		fail_msg("event %d vector %u err %x cr2 %lx rip %lx rax %ld, want vector %u err %x cr2 %lx", p->ev.kind, p->ev.vector,
			 p->ev.error_code, p->ev.cr2, p->r.rip, p->r.rax, vector, err, cr2);
}

PROGRAM(g_calls, "mov $39,%eax\n mov $0x1234,%r15d\n syscall\n mov %rax,%rdi\n mov %cs,%esi\n mov %ss,%edx\n mov %ds,%r8d\n stc\n mov $60,%eax\n syscall");

static void calls_keep_registers_and_ring(void **state)
{
	struct prog p;

	PROG(&p, g_calls);
	run_to_call(&p, 39);
	assert_int_equal(p.r.r15, 0x1234);
	assert_int_equal(p.r.rcx, p.r.rip);
	p.r.rax = 4711;
	run_to_call(&p, 60);
	assert_int_equal(p.r.rdi, 4711);
	assert_int_equal(p.r.rsi, 0x33);
	assert_int_equal(p.r.rdx, 0x2b);
	assert_int_equal(p.r.r8, 0);
	assert_true(p.r.rflags & 1);
	prog_drop(&p);
}

PROGRAM(g_store, "1: mov %rbx,(%rdi)\n mov (%rsi),%rax\n mov %rax,%rdx\n mov $1,%eax\n syscall\n jmp 1b");

/* 1: getpid, with DF and CF on, as a rewritten site calls; 2: its result; 60, which returns to 1 */
PROGRAM(g_jump, "1: mov $39,%eax\n std\n stc\n lea 2f(%rip),%rcx\n jmp *%rdi\n 2: mov %rax,%rbx\n mov $60,%eax\n lea 1b(%rip),%rcx\n jmp *%rdi");

static const struct gate_layout *jump_gate(void)
{
	return &machine_of(pf)->gate[GATE_JUMP];
}

static void rewritten_sites_call_by_a_jump(void **state)
{
	struct prog p;

	PROG(&p, g_jump);
	p.r.rdi = jump_gate()->base + jump_gate()->jumped;
	p.r.rsi = 11, p.r.rdx = 12, p.r.r10 = 13, p.r.r8 = 14, p.r.r9 = 15, p.r.rsp = 16;
	run_to_call(&p, 39);
	assert_int_equal(p.r.rip, CODE + 16);
	assert_int_equal(p.r.rcx, p.r.rip);
	assert_int_equal(p.r.r11, p.r.rflags);
	p.r.rax = 4711;
	run_to_call(&p, 60);
	assert_int_equal(p.r.rbx, 4711);
	assert_int_equal(p.r.rip, CODE);
	pf->ops->vcpu_tell(p.v, 39, 815);
	run_to_call(&p, 60);
	assert_int_equal(p.r.rbx, 815);
	assert_int_equal(p.r.rip, CODE);
	assert_int_equal(p.r.rflags & 0x401, 0x401);
	assert_true(p.r.rsi == 11 && p.r.rdx == 12 && p.r.r10 == 13 && p.r.r8 == 14 && p.r.r9 == 15 && p.r.rsp == 16);
	prog_drop(&p);
}

/* 200 times getpid, which is 815; then 60, which counts; else 99 */
PROGRAM(g_many, "1: mov $200,%r12d\n 2: mov $39,%eax\n lea 3f(%rip),%rcx\n jmp *%rdi\n 3: cmp $815,%eax\n jne 5f\n dec %r12d\n jnz 2b\n"
		"mov $60,%eax\n lea 4f(%rip),%rcx\n jmp *%rdi\n 4: cmp %ebx,%eax\n jne 5f\n inc %rbx\n jmp 1b\n 5: mov $99,%eax\n syscall");

static _Atomic bool done;

static void *kick_on(void *v)
{
	for (unsigned i = 0; !done; i++) {
		pf->ops->vcpu_kick(v);
		usleep(i % 50 * 40); /* slow machines must get on, too */
	}
	return NULL;
}

static void kicks_find_a_call_once(void **state)
{
	struct prog p;
	pthread_t t;
	uint64_t n = 0;

	PROG(&p, g_many);
	p.r.rdi = jump_gate()->base + jump_gate()->jumped;
	pf->ops->vcpu_tell(p.v, 39, 815);
	done = false;
	assert_int_equal(pthread_create(&t, NULL, kick_on, p.v), 0);
	while (n < 500) {
		run(&p);
		if (p.ev.kind != VCPU_SYSCALL) {
			assert_true(p.ev.kind == VCPU_KICKED || p.ev.kind == VCPU_ANSWERED);
			continue;
		}
		assert_true(p.r.rip > CODE && p.r.rip < CODE + PAGE_SIZE);
		assert_true(p.r.rax == 39 || p.r.rax == 60);
		if (p.r.rax == 39) {
			p.r.rax = 815;
			continue;
		}
		assert_int_equal(p.r.rbx, n);
		p.r.rax = n++;
	}
	done = true;
	pthread_join(t, NULL);
	prog_drop(&p);
}

PROGRAM(g_forge, "mov %rsi,(%rdx)\n mov %rsi,%rcx\n mov $1,%eax\n jmp *%rdi");

static void a_forged_return_address_faults(void **state)
{
	static const gva_t to[] = { (gva_t)1 << 63, (gva_t)1 << 47, ~(gva_t)0 << 46 << 1 ^ 1, RT_DATA };

	for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
		bool canonical = (uint64_t)((int64_t)(to[i] << 16) >> 16) == to[i];
		struct prog p;

		PROG(&p, g_forge);
		p.r.rsi = to[i];
		p.r.rdx = jump_gate()->base + RT_DATA - RT_GATE + RT_SLOT_RCX;
		p.r.rdi = jump_gate()->base + jump_gate()->out;
		run_to_call(&p, 1);
		assert_int_equal(p.r.rip, canonical ? to[i] : 0);
		run(&p);
		assert_int_equal(p.ev.kind, VCPU_EXCEPTION);
		assert_int_equal(p.ev.vector, 14);
		prog_drop(&p);
	}
}

/* What ring 0 trusts is out of reach. */
static void the_gate_of_ring_0_is_not_the_programs(void **state)
{
	struct prog p;

	if (!machine_of(pf)->hardware)
		skip();
	PROG(&p, g_forge);
	p.r.rdx = RT_DATA + RT_SLOT_RCX;
	run_to_fault(&p, 14, 7, RT_DATA + RT_SLOT_RCX);
	prog_drop(&p);
}

static void a_missing_page_faults_and_is_filled(void **state)
{
	struct prog p;
	gpa_t g = frame();

	PROG(&p, g_store);
	p.r.rdi = p.r.rsi = DATA + 8;
	p.r.rbx = 77;
	run_to_fault(&p, 14, 6, DATA + 8);
	assert_int_equal(p.r.rip, CODE);
	pf->ops->as_map(p.as, DATA, g, PAGE_SIZE, PROT_READ | PROT_WRITE);
	run_to_call(&p, 1);
	assert_int_equal(p.r.rdx, 77);
	assert_int_equal(((uint64_t *)hva(g))[1], 77);
	prog_drop(&p);
}

static void narrowing_is_seen_at_once(void **state)
{
	struct prog p;
	gpa_t g = frame(), h = frame();

	PROG(&p, g_store);
	pf->ops->as_map(p.as, DATA, g, PAGE_SIZE, PROT_READ | PROT_WRITE);
	p.r.rdi = p.r.rsi = DATA;
	p.r.rbx = 1;
	run_to_call(&p, 1);
	pf->ops->as_protect(p.as, DATA, PAGE_SIZE, PROT_READ);
	run_to_fault(&p, 14, 7, DATA);
	pf->ops->as_protect(p.as, DATA, PAGE_SIZE, PROT_NONE);
	run_to_fault(&p, 14, 6, DATA);
	pf->ops->as_protect(p.as, DATA, PAGE_SIZE, PROT_READ | PROT_WRITE);
	p.r.rbx = 2;
	run_to_call(&p, 1);
	assert_int_equal(*(uint64_t *)hva(g), 2);
	pf->ops->as_map(p.as, DATA, h, PAGE_SIZE, PROT_READ | PROT_WRITE);
	p.r.rbx = 3;
	run_to_call(&p, 1);
	assert_int_equal(*(uint64_t *)hva(g), 2);
	assert_int_equal(*(uint64_t *)hva(h), 3);
	pf->ops->as_unmap(p.as, DATA, PAGE_SIZE, NULL, NULL);
	run_to_fault(&p, 14, 6, DATA);
	prog_drop(&p);
}

static void large_leaves_split(void **state)
{
	struct prog p;
	gpa_t g;
	void *h;

	assert_int_equal(pf->ops->mem_grow(pf, HUGE_SIZE, &g, &h), 0);
	PROG(&p, g_store);
	pf->ops->as_map(p.as, DATA, g, HUGE_SIZE, PROT_READ | PROT_WRITE);
	p.r.rdi = p.r.rsi = DATA + 5 * PAGE_SIZE;
	p.r.rbx = 5;
	run_to_call(&p, 1);
	pf->ops->as_protect(p.as, DATA + 5 * PAGE_SIZE, PAGE_SIZE, PROT_READ);
	run_to_fault(&p, 14, 7, DATA + 5 * PAGE_SIZE);
	p.r.rdi = p.r.rsi = DATA + 6 * PAGE_SIZE;
	p.r.rbx = 6;
	run_to_call(&p, 1);
	assert_int_equal(*(uint64_t *)((uint8_t *)h + 5 * PAGE_SIZE), 5);
	assert_int_equal(*(uint64_t *)((uint8_t *)h + 6 * PAGE_SIZE), 6);
	pf->ops->as_unmap(p.as, DATA, HUGE_SIZE, NULL, NULL);
	run_to_fault(&p, 14, 6, DATA + 6 * PAGE_SIZE);
	prog_drop(&p);
}

static void store(struct prog *p, gva_t at, uint64_t value)
{
	p->r.rdi = p->r.rsi = at;
	p->r.rbx = value;
	run_to_call(p, 1);
}

/*
 * A large leaf goes, and another comes in its place. Where the host has small pages behind it, KVM has made a table of them, which must go as
 * well, or the next owner of the frames shows through. exec: KVM may have small pages then too.
 */
static void large_leaf_replaced(struct prog *p, void (*back)(gpa_t gpa), void (*in_use)(struct prog *p, gpa_t gpa), int exec)
{
	static gva_t place = DATA + ((gva_t)1 << 30); /* where no table is yet */
	const gva_t here = place, other = here + HUGE_SIZE, in = 5 * PAGE_SIZE;
	struct { gpa_t gpa; void *hva; } a, b;

	place += 8 * HUGE_SIZE;
	assert_int_equal(pf->ops->mem_grow(pf, HUGE_SIZE, &a.gpa, &a.hva), 0);
	assert_int_equal(pf->ops->mem_grow(pf, HUGE_SIZE, &b.gpa, &b.hva), 0);
	back(a.gpa);
	back(b.gpa);
	pf->ops->as_map(p->as, here, a.gpa, HUGE_SIZE, PROT_READ | PROT_WRITE | exec);
	store(p, here + in, 1);
	in_use(p, a.gpa);
	store(p, here + in, 1);
	pf->ops->as_unmap(p->as, here, HUGE_SIZE, NULL, NULL);
	pf->ops->as_map(p->as, other, a.gpa, HUGE_SIZE, PROT_READ | PROT_WRITE | exec);
	store(p, other + in, 2);
	p->r.rdi = p->r.rsi = here + in;
	run_to_fault(p, 14, 6, here + in);
	pf->ops->as_map(p->as, here, b.gpa, HUGE_SIZE, PROT_READ | PROT_WRITE | exec);
	store(p, here + in, 3);
	assert_int_equal(*(uint64_t *)((uint8_t *)a.hva + in), 2);
	assert_int_equal(*(uint64_t *)((uint8_t *)b.hva + in), 3);
	/* And smaller ones in the place of a large one. */
	pf->ops->as_unmap(p->as, here, HUGE_SIZE, NULL, NULL);
	pf->ops->as_map(p->as, here + in, a.gpa, PAGE_SIZE, PROT_READ | PROT_WRITE | exec);
	store(p, here + in, 4);
	assert_int_equal(*(uint64_t *)a.hva, 4);
	assert_int_equal(*(uint64_t *)((uint8_t *)b.hva + in), 3);
	p->r.rdi = p->r.rsi = here + in + PAGE_SIZE;
	run_to_fault(p, 14, 6, here + in + PAGE_SIZE);
}

static void back_small(gpa_t gpa)
{
	pf->ops->mem_huge(pf, gpa, HUGE_SIZE, false);
}

static void back_large(gpa_t gpa)
{
	assert_int_equal(pf->ops->mem_populate(pf, gpa, HUGE_SIZE), 0);
}

static void leave(struct prog *p, gpa_t gpa)
{
}

/* A page of it is mapped elsewhere and goes: the host's large page is split, under the leaf that stays. */
static void break_up(struct prog *p, gpa_t gpa)
{
	const gva_t there = DATA + ((gva_t)1 << 31), large = there + HUGE_SIZE;

	pf->ops->as_map(p->as, there, gpa + PAGE_SIZE, PAGE_SIZE, PROT_READ | PROT_WRITE);
	store(p, there, 7);
	pf->ops->as_unmap(p->as, there, PAGE_SIZE, NULL, NULL);
	pf->ops->as_map(p->as, large, gpa, HUGE_SIZE, PROT_READ | PROT_WRITE);
	store(p, large + 9 * PAGE_SIZE, 8);
	pf->ops->as_unmap(p->as, large, HUGE_SIZE, NULL, NULL);
}

static void large_leaves_replaced(void **state)
{
	struct prog p;

	PROG(&p, g_store);
	for (int exec = 0; exec <= PROT_EXEC; exec += PROT_EXEC) {
		large_leaf_replaced(&p, back_small, leave, exec);
		large_leaf_replaced(&p, back_large, leave, exec);
		large_leaf_replaced(&p, back_large, break_up, exec);
	}
	prog_drop(&p);
}

/* Roots are used again: what the former owner had must not show through. */
static void address_spaces_share_nothing(void **state)
{
	for (int i = 0; i < 40; i++) {
		struct prog p;
		gpa_t g = frame();

		PROG(&p, g_store);
		*(uint64_t *)hva(g) = 1000u + (unsigned)i;
		p.r.rdi = p.r.rsi = DATA;
		p.r.rbx = (uint64_t)i;
		run_to_fault(&p, 14, 6, DATA);
		pf->ops->as_map(p.as, DATA, g, PAGE_SIZE, PROT_READ | PROT_WRITE);
		run_to_call(&p, 1);
		assert_int_equal(p.r.rdx, i);
		assert_int_equal(*(uint64_t *)hva(g), i);
		prog_drop(&p);
	}
}

static void ignore_run(void *ctx, gva_t gva, gpa_t gpa, size_t len)
{
	*(size_t *)ctx += len;
}

/* Retired address spaces are not zapped: their roots must be clean before they are used again. */
static void retired_roots_come_back_clean(void **state)
{
	for (int i = 0; i < 300; i++) {
		struct prog p;
		gpa_t g = frame();
		size_t unmapped = 0;

		PROG(&p, g_store);
		*(uint64_t *)hva(g) = 7;
		p.r.rdi = p.r.rsi = DATA;
		p.r.rbx = (uint64_t)i;
		run_to_fault(&p, 14, 6, DATA);
		pf->ops->as_map(p.as, DATA, g, PAGE_SIZE, PROT_READ | PROT_WRITE);
		run_to_call(&p, 1);
		assert_int_equal(*(uint64_t *)hva(g), i);
		pf->ops->vcpu_put(p.v);
		pf->ops->as_retire(p.as, ignore_run, &unmapped);
		assert_int_equal(unmapped, 2 * PAGE_SIZE);
		pf->ops->as_free(p.as);
	}
}

PROGRAM(g_kernel, "mov (%rdi),%rax");
PROGRAM(g_ud, "ud2");
PROGRAM(g_de, "xor %ecx,%ecx\n xor %edx,%edx\n div %ecx");
PROGRAM(g_bp, "int3\n nop");
PROGRAM(g_int14, "int $14");
PROGRAM(g_int21, "int $0x21");
PROGRAM(g_out80, "out %al,$0x80");
PROGRAM(g_outgate, "mov $7,%eax\n out %eax,$0x5a");
PROGRAM(g_in, "mov $0x5a,%edx\n in (%dx),%eax");
PROGRAM(g_hlt, "hlt");
PROGRAM(g_tf, "pushfq\n orl $0x100,(%rsp)\n popfq\n nop\n nop");
PROGRAM(g_gate, "jmp *%rdi");

static void check_fault(const uint8_t *code, const uint8_t *end, gva_t rdi, unsigned vector, uint32_t err, gva_t cr2, gva_t rip)
{
	struct prog p;

	prog_make(&p, code, end);
	pf->ops->as_map(p.as, DATA, frame(), PAGE_SIZE, PROT_READ | PROT_WRITE);
	p.r.rdi = rdi;
	p.r.rsp = DATA + PAGE_SIZE - 64;
	run_to_fault(&p, vector, err, cr2);
	assert_int_equal(p.r.rip, rip);
	prog_drop(&p);
}

/* The error code names the gate: 8 bytes a gate by the manual, 16 in QEMU's emulation. */
static void check_refused_int(const uint8_t *code, const uint8_t *end, uint32_t n)
{
	struct prog p;

	prog_make(&p, code, end);
	run(&p);
	assert_int_equal(p.ev.kind, VCPU_EXCEPTION);
	assert_int_equal(p.ev.vector, 13);
	assert_true(p.ev.error_code == n * 8 + 2 || p.ev.error_code == n * 16 + 2);
	assert_int_equal(p.r.rip, CODE);
	prog_drop(&p);
}

static void exceptions_come_as_the_processor_makes_them(void **state)
{
	check_fault(g_kernel, g_kernel_end, 0xffffff0000001000, 14, 5, 0xffffff0000001000, CODE);
	check_fault(g_kernel, g_kernel_end, 0x8000000000000000, 13, 0, 0, CODE);
	check_fault(g_ud, g_ud_end, 0, 6, 0, 0, CODE);
	check_fault(g_de, g_de_end, 0, 0, 0, 0, CODE + 4);
	check_fault(g_bp, g_bp_end, 0, 3, 0, 0, CODE + 1);
	check_refused_int(g_int14, g_int14_end, 14);
	check_refused_int(g_int21, g_int21_end, 0x21);
	check_fault(g_hlt, g_hlt_end, 0, 13, 0, 0, CODE);
	check_fault(g_tf, g_tf_end, 0, 1, 0, 0, CODE + 10);
	check_fault(g_gate, g_gate_end, DATA, 14, 0x15, DATA, DATA);
}

static void ports_are_closed(void **state)
{
	check_fault(g_out80, g_out80_end, 0, 13, 0, 0, CODE);
	check_fault(g_outgate, g_outgate_end, 0, 13, 0, 0, CODE + 5);
	check_fault(g_in, g_in_end, 0, 13, 0, 0, CODE + 5);
}

PROGRAM(g_fs, "rdfsbase %rax\n mov %rax,%rdi\n mov $0x7000,%ebx\n wrgsbase %rbx\n mov $2,%eax\n syscall");

static void segment_bases_are_the_programs(void **state)
{
	struct prog p;

	PROG(&p, g_fs);
	p.r.fs_base = 0x123456789000;
	run_to_call(&p, 2);
	assert_int_equal(p.r.rdi, 0x123456789000);
	assert_int_equal(p.r.gs_base, 0x7000);
	prog_drop(&p);
}

PROGRAM(g_xmm, "movq %xmm7,%rdi\n mov $3,%eax\n syscall\n movq %xmm7,%rdi\n mov $4,%eax\n syscall");

static void extended_state_travels(void **state)
{
	struct prog p;
	uint8_t buf[4096] = { 0 };

	PROG(&p, g_xmm);
	run_to_call(&p, 3);
	assert_int_equal(p.r.rdi, 0);
	assert_int_equal(pf->ops->vcpu_get_xstate(p.v, buf), 0);
	*(uint64_t *)(buf + 160 + 7 * 16) = 0x1122334455667788;
	*(uint64_t *)(buf + 512) |= 2;
	assert_int_equal(pf->ops->vcpu_set_xstate(p.v, buf), 0);
	run_to_call(&p, 4);
	assert_int_equal(p.r.rdi, 0x1122334455667788);
	buf[24 + 3] = 0xff; /* reserved bits of MXCSR */
	assert_int_equal(pf->ops->vcpu_set_xstate(p.v, buf), -22);
	prog_drop(&p);
}

PROGRAM(g_spin, "1: incq (%rdi)\n jmp 1b");
struct kicker { struct vcpu *v; volatile uint64_t *count; };

static void *kick_later(void *arg)
{
	struct kicker *k = arg;

	while (*k->count < 1000)
		usleep(100);
	pf->ops->vcpu_kick(k->v);
	return NULL;
}

static void a_kick_ends_the_run(void **state)
{
	struct prog p;
	gpa_t g = frame();
	pthread_t t;

	PROG(&p, g_spin);
	pf->ops->as_map(p.as, DATA, g, PAGE_SIZE, PROT_READ | PROT_WRITE);
	p.r.rdi = DATA;
	for (int i = 0; i < 50; i++) {
		struct kicker k = { p.v, hva(g) };

		*(volatile uint64_t *)hva(g) = 0;
		pthread_create(&t, NULL, kick_later, &k);
		run(&p);
		pthread_join(t, NULL);
		assert_int_equal(p.ev.kind, VCPU_KICKED);
	}
	pf->ops->vcpu_kick(p.v); /* before the run */
	run(&p);
	assert_int_equal(p.ev.kind, VCPU_KICKED);
	prog_drop(&p);
}

struct writer { struct prog *p; int faults; volatile bool stop; };

static void *write_on(void *arg)
{
	struct writer *w = arg;

	while (!w->stop) {
		run(w->p);
		if (w->p->ev.kind == VCPU_EXCEPTION && w->p->ev.vector == 14)
			w->faults++;
		else if (w->p->ev.kind != VCPU_KICKED)
			break;
		while (!w->stop && w->p->ev.kind == VCPU_EXCEPTION) {
			struct as_mapping m;

			if (pf->ops->as_lookup(w->p->as, DATA, &m) && (m.prot & PROT_WRITE))
				break;
		}
	}
	return NULL;
}

static void a_running_vcpu_loses_its_page(void **state)
{
	struct prog p;
	struct writer w = { .p = &p };
	gpa_t g = frame();
	volatile uint64_t *count = hva(g);
	pthread_t t;

	PROG(&p, g_spin);
	pf->ops->as_map(p.as, DATA, g, PAGE_SIZE, PROT_READ | PROT_WRITE);
	p.r.rdi = DATA;
	pthread_create(&t, NULL, write_on, &w);
	for (int i = 0; i < 100; i++) {
		uint64_t before = *count;

		while (*count == before)
			usleep(10);
		pf->ops->as_protect(p.as, DATA, PAGE_SIZE, PROT_READ);
		before = *count;
		usleep(100);
		assert_int_equal(*count, before);
		pf->ops->as_protect(p.as, DATA, PAGE_SIZE, PROT_READ | PROT_WRITE);
	}
	w.stop = true;
	pf->ops->vcpu_kick(p.v);
	pthread_join(t, NULL);
	assert_true(w.faults > 0); /* the protection may be back before it is looked at */
	prog_drop(&p);
}

PROGRAM(g_tsc, "rdtsc\n shl $32,%rdx\n or %rdx,%rax\n mov %rax,%rdi\n mov $5,%eax\n syscall");

static void the_clock_is_the_hosts(void **state)
{
	struct prog p;
	uint64_t before, after;

	PROG(&p, g_tsc);
	before = __builtin_ia32_rdtsc();
	run_to_call(&p, 5);
	after = __builtin_ia32_rdtsc();
	assert_true(before <= p.r.rdi && p.r.rdi <= after);
	prog_drop(&p);
}

static void a_file_window_is_the_file(void **state)
{
	struct prog p;
	char name[] = "/tmp/vmrun-window-XXXXXX";
	int fd = mkstemp(name);
	gpa_t g;
	void *h;
	uint64_t word = 0;

	unlink(name);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(pf->ops->window_map(pf, fd, 0, 8192, PROT_READ | PROT_WRITE, &g, &h), 0);
	PROG(&p, g_store);
	pf->ops->as_map(p.as, DATA, g, 8192, PROT_READ | PROT_WRITE);
	p.r.rdi = p.r.rsi = DATA + PAGE_SIZE;
	p.r.rbx = 99;
	run_to_call(&p, 1);
	assert_int_equal(pread(fd, &word, 8, PAGE_SIZE), 8);
	assert_int_equal(word, 99);
	word = 100;
	p.r.rdi = DATA;
	assert_int_equal(pwrite(fd, &word, 8, PAGE_SIZE), 8);
	run_to_call(&p, 1);
	assert_int_equal(p.r.rdx, 100);
	assert_int_equal(ftruncate(fd, PAGE_SIZE), 0);
	run(&p);
	assert_int_equal(p.ev.kind, VCPU_LOST_PAGE);
	pf->ops->as_unmap(p.as, DATA, 8192, NULL, NULL);
	run_to_fault(&p, 14, 4, DATA + PAGE_SIZE);
	pf->ops->window_unmap(pf, g, 8192);
	prog_drop(&p);
	close(fd);
}

static void the_vdso_can_be_mapped_again_and_again(void **state)
{
	struct vdso_image *d = &pf->vdso;

	if (!d->vdso_len)
		skip();
	for (int i = 0; i < 100; i++) {
		struct prog p;
		gpa_t g = frame();

		PROG(&p, g_store);
		pf->ops->as_map(p.as, DATA, d->gpa + d->vvar_len, PAGE_SIZE, PROT_READ | PROT_EXEC);
		p.r.rdi = p.r.rsi = DATA;
		run_to_fault(&p, 14, 7, DATA);
		p.r.rip = CODE + 3; /* only the load */
		run_to_call(&p, 1);
		assert_int_equal(p.r.rdx, *(const uint64_t *)d->vdso);
		pf->ops->as_unmap(p.as, DATA, PAGE_SIZE, NULL, NULL);
		*(uint64_t *)hva(g) = 5;
		pf->ops->as_map(p.as, DATA, g, PAGE_SIZE, PROT_READ);
		p.r.rip = CODE + 3;
		run_to_call(&p, 1);
		assert_int_equal(p.r.rdx, 5);
		prog_drop(&p);
	}
}

static int setup(void **state)
{
	char err[256] = "";

	if (wait_boot() < 0)
		return -1;
	pf = platform_kvm_new(&(struct platform_kvm_config){ .rewrite = REWRITE_ALWAYS, .err = err, .err_size = sizeof(err) });
	if (!pf) {
		fprintf(stderr, "%s\n", err);
		return -1;
	}
	fprintf(stderr, "platform %s, xstate %zu bytes, vDSO %zu bytes\n", pf->ops->name, pf->xstate_size, pf->vdso.vdso_len);
	if (pf->ops->mem_grow(pf, 16 << 20, &frames_gpa, (void **)&frames_hva) < 0)
		return -1;
	next_frame = frames_gpa;
	frames_end = frames_gpa + (16 << 20);
	return pf->ops->mem_populate(pf, frames_gpa, 16 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_keep_registers_and_ring),
		cmocka_unit_test(rewritten_sites_call_by_a_jump),
		cmocka_unit_test(kicks_find_a_call_once),
		cmocka_unit_test(a_forged_return_address_faults),
		cmocka_unit_test(the_gate_of_ring_0_is_not_the_programs),
		cmocka_unit_test(a_missing_page_faults_and_is_filled),
		cmocka_unit_test(narrowing_is_seen_at_once),
		cmocka_unit_test(large_leaves_split),
		cmocka_unit_test(large_leaves_replaced),
		cmocka_unit_test(address_spaces_share_nothing),
		cmocka_unit_test(retired_roots_come_back_clean),
		cmocka_unit_test(exceptions_come_as_the_processor_makes_them),
		cmocka_unit_test(ports_are_closed),
		cmocka_unit_test(segment_bases_are_the_programs),
		cmocka_unit_test(extended_state_travels),
		cmocka_unit_test(a_kick_ends_the_run),
		cmocka_unit_test(a_running_vcpu_loses_its_page),
		cmocka_unit_test(the_clock_is_the_hosts),
		cmocka_unit_test(a_file_window_is_the_file),
		cmocka_unit_test(the_vdso_can_be_mapped_again_and_again),
	};

	if (access("/dev/kvm", F_OK) < 0)
		return 77; /* skipped */
	return cmocka_run_group_tests(tests, setup, NULL);
}
