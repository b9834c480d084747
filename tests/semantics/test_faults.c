/* SPDX-License-Identifier: MIT */
/*
 * Exceptions of the processor as signals: which signal, si_code, si_addr, and the trapno, err and
 * cr2 of the frame. Page faults of all kinds, files cut short, arithmetic, illegal and privileged
 * instructions, traps, and the growth of the stack to its limit. Handlers that repair and return.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/fault.h"
#include "tests/lib/maps.h"
#include "tests/lib/needs.h"

#include <float.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define RW (PROT_READ | PROT_WRITE)

/* err of a page fault */
#define PF_PRESENT 1
#define PF_WRITE 2
#define PF_USER 4
#define PF_INSTR 16

static char *page_of(int prot, int touch)
{
	char *p = (char *)ASSERT_OK(mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	if (touch)
		*(volatile char *)p = 1;
	ASSERT_OK(mprotect(p, PAGE, prot));
	return p;
}

static void expect_page_fault(const struct fault *f, int code, const void *addr, long err)
{
	assert_int_equal(f->sig, SIGSEGV);
	assert_int_equal(f->info.si_signo, SIGSEGV);
	assert_int_equal(f->info.si_errno, 0);
	assert_int_equal(f->info.si_code, code);
	assert_ptr_equal(f->info.si_addr, addr);
	assert_int_equal(f->gregs[REG_TRAPNO], 14);
	assert_int_equal(f->gregs[REG_ERR], err);
	assert_int_equal(f->gregs[REG_CR2], (long)addr);
}

/* The kinds that are no page faults: the address is that of the instruction, or none. */
static void expect_trap(const struct fault *f, int sig, int code, long trapno, long err, bool has_addr)
{
	assert_int_equal(f->sig, sig);
	assert_int_equal(f->info.si_code, code);
	assert_int_equal(f->gregs[REG_TRAPNO], trapno);
	assert_int_equal(f->gregs[REG_ERR], err);
	assert_int_equal((long)f->info.si_addr, has_addr ? f->gregs[REG_RIP] : 0);
}

static void an_unmapped_address_is_maperr(void **state)
{
	char *p = page_of(RW, 1);
	struct fault f;

	munmap(p, PAGE);
	fault_read(p + 123, &f);
	expect_page_fault(&f, SEGV_MAPERR, p + 123, PF_USER);
	fault_write(p + 123, &f);
	expect_page_fault(&f, SEGV_MAPERR, p + 123, PF_USER | PF_WRITE);
	fault_read((void *)16, &f);
	expect_page_fault(&f, SEGV_MAPERR, (void *)16, PF_USER);
}

static void a_protected_page_is_accerr(void **state)
{
	char *ro = page_of(PROT_READ, 1), *none = page_of(PROT_NONE, 1);
	struct fault f;

	fault_write(ro + 5, &f);
	expect_page_fault(&f, SEGV_ACCERR, ro + 5, PF_USER | PF_WRITE | PF_PRESENT);
	fault_read(none + 5, &f);
	expect_page_fault(&f, SEGV_ACCERR, none + 5, PF_USER);
	fault_write(none + 5, &f);
	expect_page_fault(&f, SEGV_ACCERR, none + 5, PF_USER | PF_WRITE);
	fault_write((void *)(uintptr_t)page_of, &f);            /* the program's own text */
	assert_int_equal(f.sig, SIGSEGV);
	assert_int_equal(f.info.si_code, SEGV_ACCERR);
	munmap(ro, PAGE);
	munmap(none, PAGE);
}

static void kernel_addresses_look_present_and_unmapped(void **state)
{
	struct fault f;

	fault_read((void *)0xffff888000000000, &f);
	expect_page_fault(&f, SEGV_MAPERR, (void *)0xffff888000000000, PF_USER | PF_PRESENT);
	fault_write((void *)0xffffffff81000000, &f);
	expect_page_fault(&f, SEGV_MAPERR, (void *)0xffffffff81000000, PF_USER | PF_WRITE | PF_PRESENT);
}

static void call_address(void *p)
{
	((void (*)(void))(uintptr_t)p)();
}

static void a_jump_to_data_or_nowhere_faults_there(void **state)
{
	char *nx = page_of(RW, 1);
	struct fault f;

	fault_run(call_address, nx + 8, &f);
	expect_page_fault(&f, SEGV_ACCERR, nx + 8, PF_USER | PF_INSTR | PF_PRESENT);
	assert_int_equal(f.gregs[REG_RIP], (long)nx + 8);
	munmap(nx, PAGE);
	fault_run(call_address, nx + 8, &f);
	expect_page_fault(&f, SEGV_MAPERR, nx + 8, PF_USER | PF_INSTR);
	fault_run(call_address, NULL, &f);
	expect_page_fault(&f, SEGV_MAPERR, NULL, PF_USER | PF_INSTR);
	assert_int_equal(f.gregs[REG_RIP], 0);
}

static void a_non_canonical_address_is_a_protection_fault(void **state)
{
	struct fault f;

	fault_read((void *)0x8000000000001234, &f);
	expect_trap(&f, SIGSEGV, SI_KERNEL, 13, 0, false);
	fault_write((void *)0x0000800000000000, &f);
	expect_trap(&f, SIGSEGV, SI_KERNEL, 13, 0, false);
}

static void read_through_rbp(void *p)
{
	__asm__ volatile("push %%rbp\n\t mov %0, %%rbp\n\t mov (%%rbp), %%al\n\t pop %%rbp"
			 :: "r"(p) : "rax", "memory");
}

/* Addressing by rbp or rsp is the stack segment's business: another exception, another signal. */
static void a_non_canonical_stack_address_is_sigbus(void **state)
{
	needs_real_processor();
	struct fault f;

	fault_run(read_through_rbp, (void *)0x8000000000001234, &f);
	expect_trap(&f, SIGBUS, SI_KERNEL, 12, 0, false);
}

static void a_file_cut_short_is_sigbus(void **state)
{
	int fd = (int)ASSERT_OK(open("f", O_RDWR | O_CREAT | O_TRUNC, 0600));
	struct fault f;

	ASSERT_OK(ftruncate(fd, 2 * PAGE));
	for (int shared = 0; shared < 2; shared++) {
		ASSERT_OK(ftruncate(fd, 2 * PAGE));
		char *p = (char *)ASSERT_OK(mmap(NULL, 2 * PAGE, RW,
						 shared ? MAP_SHARED : MAP_PRIVATE, fd, 0));
		assert_int_equal(fault_read(p + PAGE, NULL), 0);
		ASSERT_OK(ftruncate(fd, PAGE));
		for (int write = 0; write < 2; write++) {
			fault_run(write ? fault_do_write : fault_do_read, p + PAGE + 9, &f);
			assert_int_equal(f.sig, SIGBUS);
			assert_int_equal(f.info.si_code, BUS_ADRERR);
			assert_ptr_equal(f.info.si_addr, p + PAGE + 9);
			assert_int_equal(f.gregs[REG_TRAPNO], 14);
			assert_int_equal(f.gregs[REG_ERR], write ? PF_USER | PF_WRITE : PF_USER);
		}
		assert_int_equal(fault_read(p, NULL), 0);
		munmap(p, 2 * PAGE);
	}
	close(fd);
}

#define INSN(name, text)                                                                         \
	static void name(void *p)                                                                \
	{                                                                                        \
		__asm__ volatile(text ::: "rax", "rcx", "rdx", "rdi", "rsi", "memory", "cc");    \
	}

INSN(divide_by_zero, "xor %%ecx, %%ecx\n\t mov $1, %%eax\n\t cltd\n\t idivl %%ecx")
INSN(divide_overflow, "mov $-1, %%ecx\n\t mov $0x80000000, %%eax\n\t cltd\n\t idivl %%ecx")
INSN(ud2, "ud2")
INSN(int3, "int3")
INSN(int3_long, ".byte 0xcd, 3")
INSN(int4, "int $4")
INSN(int21, "int $0x21")
INSN(hlt, "hlt")
INSN(cli, "cli")
INSN(sti, "sti")
INSN(in_al, "mov $0x60, %%edx\n\t in %%dx, %%al")
INSN(in_imm, "in $0x40, %%eax")
INSN(out_imm, "xor %%eax, %%eax\n\t out %%al, $0x80")
INSN(outsb, "mov $0x3f8, %%edx\n\t lea (%%rsp), %%rsi\n\t outsb")
INSN(mov_cr3, "mov %%cr3, %%rax")
INSN(mov_to_cr0, "mov %%rax, %%cr0")
INSN(mov_dr7, "mov %%dr7, %%rax")
INSN(rdmsr, "mov $0xc0000080, %%ecx\n\t rdmsr")
INSN(wrmsr, "mov $0xc0000082, %%ecx\n\t xor %%eax, %%eax\n\t xor %%edx, %%edx\n\t wrmsr")
INSN(lgdt, "lgdt (%%rsp)")
INSN(lidt, "lidt (%%rsp)")
INSN(ltr, "mov $8, %%eax\n\t ltr %%ax")
INSN(invlpg, "invlpg (%%rsp)")
INSN(wbinvd, "wbinvd")
INSN(clts, "clts")
INSN(swapgs, "swapgs")
INSN(sysret, "sysretq")
INSN(load_ds, "mov $0x10, %%eax\n\t mov %%eax, %%ds")
INSN(undefined_0f04, ".byte 0x0f, 0x04")
INSN(push_es, ".byte 0x06")

static void integer_division_is_sigfpe(void **state)
{
	struct fault f;

	fault_run(divide_by_zero, NULL, &f);
	expect_trap(&f, SIGFPE, FPE_INTDIV, 0, 0, true);
	fault_run(divide_overflow, NULL, &f);
	expect_trap(&f, SIGFPE, FPE_INTDIV, 0, 0, true);
}

static const uint32_t unmasked_mxcsr = 0x1f80 & ~(0x80 | 0x200 | 0x400), default_mxcsr = 0x1f80;

static void sse_divide(void *p)
{
	__asm__ volatile("ldmxcsr %0\n\t mov $1, %%eax\n\t cvtsi2sd %%eax, %%xmm0\n\t"
			 "xorpd %%xmm1, %%xmm1\n\t divsd %%xmm1, %%xmm0"
			 :: "m"(unmasked_mxcsr) : "rax", "xmm0", "xmm1");
}

static void sse_invalid(void *p)
{
	__asm__ volatile("ldmxcsr %0\n\t xorpd %%xmm1, %%xmm1\n\t divsd %%xmm1, %%xmm1"
			 :: "m"(unmasked_mxcsr) : "xmm1");
}

static void sse_overflow(void *p)
{
	double big = DBL_MAX;

	__asm__ volatile("ldmxcsr %1\n\t movsd %0, %%xmm0\n\t mulsd %%xmm0, %%xmm0"
			 :: "m"(big), "m"(unmasked_mxcsr) : "xmm0");
}

static void x87_divide(void *p)
{
	uint16_t fcw = 0x37b;           /* zero divide unmasked */

	__asm__ volatile("fninit\n\t fldcw %0\n\t fld1\n\t fldz\n\t fdivrp\n\t fwait" :: "m"(fcw));
}

static void floating_point_is_sigfpe_where_unmasked(void **state)
{
	needs_real_processor();
	struct fault f;

	fault_run(sse_divide, NULL, &f);
	expect_trap(&f, SIGFPE, FPE_FLTDIV, 19, 0, true);
	fault_run(sse_invalid, NULL, &f);
	expect_trap(&f, SIGFPE, FPE_FLTINV, 19, 0, true);
	fault_run(sse_overflow, NULL, &f);
	expect_trap(&f, SIGFPE, FPE_FLTOVF, 19, 0, true);
	__asm__ volatile("ldmxcsr %0" :: "m"(default_mxcsr));
	fault_run(x87_divide, NULL, &f);
	__asm__ volatile("fninit");
	expect_trap(&f, SIGFPE, FPE_FLTDIV, 16, 0, true);
}

static void illegal_instructions_are_sigill(void **state)
{
	void (*const insn[])(void *) = { ud2, undefined_0f04, push_es };
	struct fault f;

	for (size_t i = 0; i < ARRAY_SIZE(insn); i++) {
		fault_run(insn[i], NULL, &f);
		expect_trap(&f, SIGILL, ILL_ILLOPN, 6, 0, true);
	}
}

static void breakpoints_are_sigtrap_after_the_instruction(void **state)
{
	struct fault f;

	fault_run(int3, NULL, &f);
	expect_trap(&f, SIGTRAP, SI_KERNEL, 3, 0, false);
	assert_int_equal(((unsigned char *)f.gregs[REG_RIP])[-1], 0xcc);
	fault_run(int3_long, NULL, &f);
	expect_trap(&f, SIGTRAP, SI_KERNEL, 3, 0, false);
	assert_int_equal(((unsigned char *)f.gregs[REG_RIP])[-1], 3);
}

static void privileged_instructions_are_sigsegv_from_the_kernel(void **state)
{
#define P(x) { #x, x }
	static const struct { const char *name; void (*fn)(void *); } c[] = {
		P(hlt), P(cli), P(sti), P(in_al), P(in_imm), P(out_imm), P(outsb), P(mov_cr3),
		P(mov_to_cr0), P(mov_dr7), P(rdmsr), P(wrmsr), P(lgdt), P(lidt), P(ltr), P(invlpg),
		P(wbinvd), P(clts), P(swapgs), P(sysret),
	};
	struct fault f;

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		fault_run(c[i].fn, NULL, &f);
		if (f.sig != SIGSEGV || f.info.si_code != SI_KERNEL || f.gregs[REG_TRAPNO] != 13 ||
		    f.gregs[REG_ERR] != 0 || f.info.si_addr)
			fail_msg("%s: signal %d code %d trapno %lld err %llx", c[i].name, f.sig,
				 f.info.si_code, f.gregs[REG_TRAPNO], f.gregs[REG_ERR]);
	}
}

static void software_interrupts_name_their_gate(void **state)
{
	needs_real_processor();
	struct fault f;

	fault_run(int21, NULL, &f);
	expect_trap(&f, SIGSEGV, SI_KERNEL, 13, 0x21 * 8 + 2, false);
	fault_run(int4, NULL, &f);              /* this gate is open, its trap is a SIGSEGV as well */
	expect_trap(&f, SIGSEGV, SI_KERNEL, 4, 0, false);
	fault_run(load_ds, NULL, &f);
	expect_trap(&f, SIGSEGV, SI_KERNEL, 13, 0x10, false);
}

static void out_to_port(void *p)
{
	__asm__ volatile("outl %0, %1" :: "a"(0), "d"((uint16_t)(uintptr_t)p));
}

static void no_port_is_open(void **state)
{
	struct fault f;

	for (uintptr_t port = 0; port < 65536; port += port < 0x400 ? 0x33 : 0x1fff) {
		fault_run(out_to_port, (void *)port, &f);
		expect_trap(&f, SIGSEGV, SI_KERNEL, 13, 0, false);
	}
}

static volatile int steps;

static void count_step(int sig, siginfo_t *info, void *ucontext)
{
	ucontext_t *uc = ucontext;

	if (info->si_code != TRAP_TRACE || uc->uc_mcontext.gregs[REG_TRAPNO] != 1 ||
	    (long)info->si_addr != uc->uc_mcontext.gregs[REG_RIP])
		steps += 1000;
	steps++;
}

static void the_trap_flag_steps_by_instruction(void **state)
{
	struct sigaction sa = { .sa_sigaction = count_step, .sa_flags = SA_SIGINFO }, old;

	steps = 0;
	ASSERT_OK(sigaction(SIGTRAP, &sa, &old));
	__asm__ volatile("sub $128, %%rsp\n\t"
			 "pushf\n\t orl $0x100, (%%rsp)\n\t popf\n\t"
			 "nop\n\t nop\n\t nop\n\t"
			 "pushf\n\t andl $~0x100, (%%rsp)\n\t popf\n\t"
			 "nop\n\t add $128, %%rsp" ::: "memory", "cc");
	ASSERT_OK(sigaction(SIGTRAP, &old, NULL));
	assert_int_equal(steps, 6);             /* the popf that clears the flag is the last */
}

static volatile int misaligned_code, misaligned_trapno;

static void note_misaligned(int sig, siginfo_t *info, void *ucontext)
{
	greg_t *g = ((ucontext_t *)ucontext)->uc_mcontext.gregs;

	__asm__ volatile("sub $128, %%rsp\n\t pushf\n\t andl $~0x40000, (%%rsp)\n\t popf\n\t"
			 "add $128, %%rsp" ::: "memory", "cc");
	misaligned_code = info->si_code;
	misaligned_trapno = (int)g[REG_TRAPNO];
	g[REG_EFL] &= ~0x40000;
}

static void the_alignment_flag_makes_sigbus(void **state)
{
	needs_real_processor();
	struct sigaction sa = { .sa_sigaction = note_misaligned, .sa_flags = SA_SIGINFO }, old;
	static char buf[16] __attribute__((aligned(8)));
	int val;

	ASSERT_OK(sigaction(SIGBUS, &sa, &old));
	memset(buf, 1, sizeof(buf));
	__asm__ volatile("sub $128, %%rsp\n\t pushf\n\t orl $0x40000, (%%rsp)\n\t popf\n\t"
			 "mov 1(%1), %0\n\t add $128, %%rsp" : "=r"(val) : "r"(buf) : "memory", "cc");
	ASSERT_OK(sigaction(SIGBUS, &old, NULL));
	assert_int_equal(misaligned_code, BUS_ADRALN);
	assert_int_equal(misaligned_trapno, 17);
	assert_int_equal(val, 0x01010101);
}

static char *repair_page;
static volatile int repairs;

static void repair(int sig, siginfo_t *info, void *ucontext)
{
	repairs++;
	mprotect(repair_page, PAGE, RW);
}

static void a_handler_may_repair_and_return(void **state)
{
	struct sigaction sa = { .sa_sigaction = repair, .sa_flags = SA_SIGINFO }, old;

	repair_page = page_of(PROT_READ, 1);
	ASSERT_OK(sigaction(SIGSEGV, &sa, &old));
	for (int i = 0; i < 100; i++) {
		mprotect(repair_page, PAGE, i % 2 ? PROT_NONE : PROT_READ);
		((volatile char *)repair_page)[i] = (char)i;
	}
	ASSERT_OK(sigaction(SIGSEGV, &old, NULL));
	assert_int_equal(repairs, 100);
	for (int i = 1; i < 100; i++)
		assert_int_equal(repair_page[i], i);
	munmap(repair_page, PAGE);
}

static void store_string(void *p)
{
	__asm__ volatile("rep stosb" : "+D"(p) : "a"('x'), "c"(64L) : "memory");
}

static void a_string_instruction_stops_in_the_middle(void **state)
{
	char *p = (char *)ASSERT_OK(mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	struct fault f;

	munmap(p + PAGE, PAGE);
	fault_run(store_string, p + PAGE - 16, &f);
	expect_page_fault(&f, SEGV_MAPERR, p + PAGE, PF_USER | PF_WRITE);
	assert_int_equal(f.gregs[REG_RCX], 48);
	assert_int_equal(f.gregs[REG_RDI], (long)p + (long)PAGE);
	assert_int_equal(p[PAGE - 1], 'x');
	munmap(p, PAGE);
}

static volatile int good_faults[8];

static void *fault_in_thread(void *arg)
{
	char *p = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int *good = arg;

	for (volatile int i = 0; i < 100; i++) {
		if (sigsetjmp(fault_env, 1) == 0)
			fault_do_write(p + i);
		else
			*good += fault_last.info.si_addr == p + i &&
				 fault_last.info.si_code == SEGV_ACCERR;
	}
	munmap(p, PAGE);
	return NULL;
}

static void each_thread_gets_its_own_faults(void **state)
{
	struct sigaction sa = { .sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO }, old;
	pthread_t t[ARRAY_SIZE(good_faults)];

	ASSERT_OK(sigaction(SIGSEGV, &sa, &old));
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		ASSERT_RET(pthread_create(&t[i], NULL, fault_in_thread, (void *)&good_faults[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		ASSERT_RET(pthread_join(t[i], NULL), 0);
	ASSERT_OK(sigaction(SIGSEGV, &old, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		assert_int_equal(good_faults[i], 100);
}

/* Go down the stack, writing to each kilobyte, until `lowest` is reached. */
static __attribute__((noinline)) long descend(volatile char *above, char *lowest)
{
	volatile char frame[1024];

	frame[0] = above[0];
	frame[1023] = 1;
	if ((char *)frame <= lowest)
		return 1;
	return descend(frame, lowest) + frame[0];
}

static void go_down(void *lowest)
{
	char c = 0;

	descend(&c, lowest);
}

static void touch_far_below(void *p)
{
	*(volatile char *)p = 1;
}

static void the_stack_grows_to_its_limit_and_no_further(void **state)
{
	static char alt[65536];
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) }, off = { .ss_flags = SS_DISABLE };
	struct rlimit lim;
	struct fault f;
	struct map m;
	char here;

	ASSERT_OK(getrlimit(RLIMIT_STACK, &lim));
	if (lim.rlim_cur == RLIM_INFINITY || lim.rlim_cur < (4 << 20) || lim.rlim_cur > (64 << 20))
		skip();
	ASSERT_OK(sigaltstack(&ss, NULL));
	assert_true(map_find(&here, &m));
	assert_string_equal(m.path, "[stack]");
	char *lowest = (char *)m.end - lim.rlim_cur;
	/* One touch far below the stack pointer is enough, and it leaves no hole. */
	assert_int_equal(fault_run(touch_far_below, (char *)m.start - (1 << 20), &f), 0);
	assert_true(map_find((char *)m.start - PAGE, &m));
	assert_int_equal(fault_run(go_down, lowest + (256 << 10), &f), 0);
	assert_int_equal(fault_run(go_down, lowest - (256 << 10), &f), SIGSEGV);
	assert_int_equal(f.info.si_code, SEGV_MAPERR);
	assert_true(f.on_altstack);
	assert_true((char *)f.info.si_addr < lowest + PAGE && (char *)f.info.si_addr > lowest - 2 * PAGE);
	assert_true(map_find(&here, &m));
	assert_in_range(m.end - m.start, lim.rlim_cur - PAGE, lim.rlim_cur);
	ASSERT_OK(sigaltstack(&off, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unmapped_address_is_maperr),
		cmocka_unit_test(a_protected_page_is_accerr),
		cmocka_unit_test(kernel_addresses_look_present_and_unmapped),
		cmocka_unit_test(a_jump_to_data_or_nowhere_faults_there),
		cmocka_unit_test(a_non_canonical_address_is_a_protection_fault),
		cmocka_unit_test(a_non_canonical_stack_address_is_sigbus),
		cmocka_unit_test(a_file_cut_short_is_sigbus),
		cmocka_unit_test(integer_division_is_sigfpe),
		cmocka_unit_test(floating_point_is_sigfpe_where_unmasked),
		cmocka_unit_test(illegal_instructions_are_sigill),
		cmocka_unit_test(breakpoints_are_sigtrap_after_the_instruction),
		cmocka_unit_test(privileged_instructions_are_sigsegv_from_the_kernel),
		cmocka_unit_test(software_interrupts_name_their_gate),
		cmocka_unit_test(no_port_is_open),
		cmocka_unit_test(the_trap_flag_steps_by_instruction),
		cmocka_unit_test(the_alignment_flag_makes_sigbus),
		cmocka_unit_test(a_handler_may_repair_and_return),
		cmocka_unit_test(a_string_instruction_stops_in_the_middle),
		cmocka_unit_test(each_thread_gets_its_own_faults),
		cmocka_unit_test(the_stack_grows_to_its_limit_and_no_further),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
