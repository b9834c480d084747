/* SPDX-License-Identifier: MIT */
/*
 * A guest executes what ring 3 must not: every instruction ends in the signal that Linux gives, and the
 * program goes on. Runs natively too: the oracle for signal numbers.
 */
#include <setjmp.h>
#include <signal.h>
#include <string.h>

#include "tests/lib/cmocka_all.h"

static sigjmp_buf back;
static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	caught = sig;
	siglongjmp(back, 1);
}

/* cmocka puts its own handlers in at the start of each test. */
static void catch_all(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	const int sigs[] = { SIGSEGV, SIGILL, SIGBUS, SIGTRAP, SIGFPE };

	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		sigaction(sigs[i], &sa, NULL);
}

#define EXPECT(want, code, ...) do { \
		caught = 0; \
		if (!sigsetjmp(back, 1)) \
			__asm__ volatile(code : : __VA_ARGS__ : "memory", "rax", "rcx", "rdx"); \
		if (caught != (want)) \
			fail_msg("%s: signal %d, want %d", code, (int)caught, want); \
	} while (0)

static void port_instructions_are_segv(void **state)
{
	catch_all();
	EXPECT(SIGSEGV, "xor %%eax,%%eax; outb %%al,$0x80", "i"(0));
	EXPECT(SIGSEGV, "inb $0x60,%%al", "i"(0));
	EXPECT(SIGSEGV, "mov $0x3f8,%%edx; outl %%eax,%%dx", "i"(0));
	for (volatile int port = 0; port < 0x10000; port = port + 97) {
		caught = 0;
		if (!sigsetjmp(back, 1))
			__asm__ volatile("outb %%al,%%dx" : : "a"(0), "d"(port));
		if (caught != SIGSEGV)
			fail_msg("port %#x: signal %d", port, (int)caught);
	}
}

static void privileged_instructions_are_segv(void **state)
{
	catch_all();
	EXPECT(SIGSEGV, "hlt", "i"(0));
	EXPECT(SIGSEGV, "cli", "i"(0));
	EXPECT(SIGSEGV, "sti", "i"(0));
	EXPECT(SIGSEGV, "mov $0x10,%%ecx; rdmsr", "i"(0));
	EXPECT(SIGSEGV, "mov $0xc0000082,%%ecx; xor %%eax,%%eax; xor %%edx,%%edx; wrmsr", "i"(0));
	EXPECT(SIGSEGV, "mov %%cr0,%%rax", "i"(0));
	EXPECT(SIGSEGV, "mov %%cr3,%%rax; mov %%rax,%%cr3", "i"(0));
	EXPECT(SIGSEGV, "invlpg (%%rsp)", "i"(0));
	EXPECT(SIGSEGV, "clts", "i"(0));
	EXPECT(SIGSEGV, "wbinvd", "i"(0));
	EXPECT(SIGSEGV, "swapgs", "i"(0));
	EXPECT(SIGSEGV, "xor %%ecx,%%ecx; xor %%eax,%%eax; xor %%edx,%%edx; xsetbv", "i"(0));
}

static void kernel_selectors_are_refused(void **state)
{
	catch_all();
	EXPECT(SIGSEGV, "mov $0x10,%%eax; mov %%eax,%%ds", "i"(0));
	EXPECT(SIGSEGV, "mov $0x18,%%eax; mov %%eax,%%ss", "i"(0));
	EXPECT(SIGSEGV, "push $0x10; lea 1f(%%rip),%%rax; push %%rax; lretq; 1:", "i"(0));
}

static void software_interrupts_do_not_forge_exceptions(void **state)
{
	catch_all();
	EXPECT(SIGSEGV, "int $14", "i"(0));
	EXPECT(SIGSEGV, "int $13", "i"(0));
	EXPECT(SIGSEGV, "int $0", "i"(0));
	EXPECT(SIGSEGV, "int $6", "i"(0));
	EXPECT(SIGSEGV, "int $0x20", "i"(0));
	EXPECT(SIGSEGV, "int $0xff", "i"(0));
	EXPECT(SIGTRAP, "int3", "i"(0));
}

static void the_upper_half_is_out_of_reach(void **state)
{
	catch_all();
	for (int slot = 257; slot < 512; slot++) {
		volatile unsigned char *p = (unsigned char *)((unsigned long)slot << 39 | 0xffff000000000000ul);

		caught = 0;
		if (!sigsetjmp(back, 1))
			*p = 1;
		if (caught != SIGSEGV)
			fail_msg("slot %d is writable", slot);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(port_instructions_are_segv),
		cmocka_unit_test(privileged_instructions_are_segv),
		cmocka_unit_test(kernel_selectors_are_refused),
		cmocka_unit_test(software_interrupts_do_not_forge_exceptions),
		cmocka_unit_test(the_upper_half_is_out_of_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
