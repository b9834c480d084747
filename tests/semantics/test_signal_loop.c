/* SPDX-License-Identifier: MIT */
/*
 * Signals to oneself without pause, so that whatever way a busy program's signals take is taken: registers, flags, vectors and masks
 * go into the handler's frame and come back from it as in the single case (test_sigframe.c), whatever the handler does to the frame.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/clock.h"

#include <cpuid.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#define TURNS 300
#define ASM_VISIBLE __attribute__((used, visibility("hidden")))
#define FLAG_TF 0x100
#define FLAG_DF 0x400

static volatile long seen;

static void handle(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = { .sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags };

	sigemptyset(&sa.sa_mask);
	ASSERT_OK(sigaction(sig, &sa, NULL));
}

/* --- registers ------------------------------------------------------------------------------------------- */

ASM_VISIBLE uint64_t in[16], out[16]; /* rbx rdx(sig) rsi rdi rbp r8 r9 r10 r12 r13 r14 r15, flags, rax */
static uint64_t in_frame[16], flags_of_handler;
static const int order[12] = { REG_RBX, REG_RDX, REG_RSI, REG_RDI, REG_RBP, REG_R8, REG_R9, REG_R10, REG_R12, REG_R13, REG_R14, REG_R15 };

#define EACH(op) op(0, rbx) op(8, rdx) op(16, rsi) op(24, rdi) op(32, rbp) op(40, r8) op(48, r9) op(56, r10) op(64, r12) op(72, r13) op(80, r14) op(88, r15)
#define LOAD(at, r) "mov in+" #at "(%%rip), %%" #r "\n\t"
#define STORE(at, r) "mov %%" #r ", out+" #at "(%%rip)\n\t"

/* tgkill(rdi, rsi, rdx) with all registers as in `in`, and DF and CF set. */
static __attribute__((noinline)) void tgkill_with_all(void)
{
	__asm__ volatile("sub $256, %%rsp\n\t push %%rbp\n\t" EACH(LOAD)
			 "stc\n\t std\n\t mov $234, %%eax\n\t syscall\n\t"
			 EACH(STORE) "pushfq\n\t popq out+96(%%rip)\n\t mov %%rax, out+104(%%rip)\n\t"
			 "cld\n\t pop %%rbp\n\t add $256, %%rsp"
			 ::: "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}

static void note_registers(int sig, siginfo_t *info, void *u)
{
	const greg_t *g = ((ucontext_t *)u)->uc_mcontext.gregs;

	for (int i = 0; i < 12; i++)
		in_frame[i] = (uint64_t)g[order[i]];
	in_frame[12] = (uint64_t)g[REG_EFL];
	in_frame[13] = (uint64_t)g[REG_RAX];
	__asm__ volatile("pushfq\n\t popq %0" : "=m"(flags_of_handler));
	seen += info->si_code == SI_TKILL && info->si_pid == getpid();
}

/* SIGUSR1 to oneself, with registers that differ from turn to turn: its handler and what comes after it have them. */
static void signal_with_registers(long turn)
{
	for (int k = 0; k < 12; k++)
		in[k] = (uint64_t)turn << 32 | (uint64_t)(k * 0x01010101);
	in[1] = SIGUSR1;
	in[2] = (uint64_t)gettid();
	in[3] = (uint64_t)getpid();
	tgkill_with_all();
	assert_memory_equal(in_frame, in, sizeof(in[0]) * 12);
	assert_memory_equal(out, in, sizeof(in[0]) * 12);
}

static void registers_and_flags_go_in_and_out(void **state)
{
	handle(SIGUSR1, note_registers, 0);
	seen = 0;
	for (long i = 0; i < TURNS; i++) {
		signal_with_registers(i);
		assert_int_equal(in_frame[12] & (FLAG_DF | 1), FLAG_DF | 1);
		assert_int_equal(out[12] & (FLAG_DF | 1), FLAG_DF | 1);
		assert_int_equal(flags_of_handler & FLAG_DF, 0);
		assert_int_equal(in_frame[13], 0);
		assert_int_equal(out[13], 0);
	}
	assert_int_equal(seen, TURNS);
}

static void change_registers(int sig, siginfo_t *info, void *u)
{
	greg_t *g = ((ucontext_t *)u)->uc_mcontext.gregs;

	g[REG_RAX] = ++seen;
	g[REG_R12] = seen * 3;
	g[REG_RCX] = seen * 5;
	g[REG_R11] = seen * 7;
}

static void what_a_handler_writes_into_the_frame_counts(void **state)
{
	long pid = getpid(), tid = gettid();

	handle(SIGUSR1, change_registers, 0);
	seen = 0;
	for (long i = 1; i <= TURNS; i++) {
		register long r12 __asm__("r12") = 1;
		long rax = SYS_tgkill, rcx, r11;

		__asm__ volatile("syscall\n\t mov %%r11, %0" : "=r"(r11), "+a"(rax), "=c"(rcx), "+r"(r12) : "D"(pid), "S"(tid), "d"(SIGUSR1) : "r11", "memory");
		assert_int_equal(rax, i);
		assert_int_equal(r12, i * 3);
		assert_int_equal(rcx, i * 5);
		assert_int_equal(r11, i * 7);
	}
}

/* --- vectors ----------------------------------------------------------------------------------------------- */

static uint32_t mxcsr_of_handler;
static bool has_avx;

static void spoil_vectors(int sig, siginfo_t *info, void *u)
{
	uint32_t mxcsr = 0x7f80;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr_of_handler));
	if (has_avx)
		__asm__ volatile("vxorps %%ymm0, %%ymm0, %%ymm0\n\t vxorps %%ymm15, %%ymm15, %%ymm15" ::: "xmm0", "xmm15");
	else
		__asm__ volatile("pxor %%xmm0, %%xmm0\n\t pxor %%xmm15, %%xmm15" ::: "xmm0", "xmm15");
	__asm__ volatile("fninit\n\t fldz\n\t ldmxcsr %0" :: "m"(mxcsr));
	seen++;
}

static void vectors_and_control_words_survive(void **state)
{
	static uint64_t a[8] __attribute__((aligned(32))), b[8] __attribute__((aligned(32)));
	uint32_t mxcsr = 0x3f80, mxcsr_after, old;
	uint16_t fcw = 0x27f, fcw_after;

	__asm__ volatile("stmxcsr %0" : "=m"(old));
	handle(SIGUSR1, spoil_vectors, 0);
	seen = 0;
	for (uint64_t i = 0; i < TURNS; i++) {
		long rax = SYS_tgkill;

		for (int k = 0; k < 8; k++)
			a[k] = i * 8 + (uint64_t)k + 1;
		__asm__ volatile("ldmxcsr %0\n\t fldcw %1" :: "m"(mxcsr), "m"(fcw));
		if (has_avx)
			__asm__ volatile("vmovaps (%1), %%ymm0\n\t vmovaps 32(%1), %%ymm15\n\t syscall\n\t vmovaps %%ymm0, (%2)\n\t vmovaps %%ymm15, 32(%2)"
					 : "+a"(rax) : "r"(a), "r"(b), "D"((long)getpid()), "S"((long)gettid()), "d"((long)SIGUSR1)
					 : "rcx", "r11", "xmm0", "xmm15", "memory");
		else
			__asm__ volatile("movaps (%1), %%xmm0\n\t movaps 32(%1), %%xmm15\n\t syscall\n\t movaps %%xmm0, (%2)\n\t movaps %%xmm15, 32(%2)"
					 : "+a"(rax) : "r"(a), "r"(b), "D"((long)getpid()), "S"((long)gettid()), "d"((long)SIGUSR1)
					 : "rcx", "r11", "xmm0", "xmm15", "memory");
		__asm__ volatile("stmxcsr %0\n\t fnstcw %1\n\t fninit\n\t ldmxcsr %2" : "=m"(mxcsr_after), "=m"(fcw_after) : "m"(old));
		assert_memory_equal(a, b, has_avx ? 32 : 16);
		assert_memory_equal(a + 4, b + 4, has_avx ? 32 : 16);
		assert_int_equal(mxcsr_after, mxcsr);
		assert_int_equal(fcw_after, fcw);
		assert_int_equal(mxcsr_of_handler, 0x1f80);
	}
	assert_int_equal(seen, TURNS);
}

/* --- masks, stacks, nesting ------------------------------------------------------------------------------------ */

static sigset_t mask_of_handler;

static void raise_other(int sig, siginfo_t *info, void *u)
{
	long before = seen;

	pthread_sigmask(SIG_SETMASK, NULL, &mask_of_handler);
	raise(SIGUSR2); /* blocked: comes when this handler is left */
	raise(SIGHUP);  /* is not */
	if (seen == before + 100)
		seen += 1;
	sigaddset(&((ucontext_t *)u)->uc_sigmask, SIGWINCH);
}

static void add_10000(int sig, siginfo_t *info, void *u) { seen += 10000; }
static void add_100(int sig, siginfo_t *info, void *u) { seen += 100; }

static void masks_hold_and_nested_signals_come_in_order(void **state)
{
	struct sigaction sa = { .sa_sigaction = raise_other, .sa_flags = SA_SIGINFO };
	sigset_t now, none;

	sigemptyset(&none);
	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGUSR2);
	ASSERT_OK(sigaction(SIGUSR1, &sa, NULL));
	handle(SIGUSR2, add_10000, 0);
	handle(SIGHUP, add_100, SA_NODEFER);
	for (int i = 0; i < TURNS; i++) {
		seen = 0;
		raise(SIGUSR1);
		assert_int_equal(seen, 10101);
		assert_int_equal(sigismember(&mask_of_handler, SIGUSR1), 1);
		assert_int_equal(sigismember(&mask_of_handler, SIGUSR2), 1);
		assert_int_equal(sigismember(&mask_of_handler, SIGHUP), 0);
		pthread_sigmask(SIG_SETMASK, &none, &now);
		assert_int_equal(sigismember(&now, SIGWINCH), 1);
		assert_int_equal(sigismember(&now, SIGUSR1), 0);
	}
}

static void recurse(int sig, siginfo_t *info, void *u)
{
	if (++seen % 5)
		raise(sig);
}

static void a_handler_may_interrupt_itself(void **state)
{
	handle(SIGUSR1, recurse, SA_NODEFER);
	seen = 0;
	for (int i = 0; i < TURNS / 5; i++)
		raise(SIGUSR1);
	assert_int_equal(seen, TURNS / 5 * 5);
}

static char *alt;

static void note_stack(int sig, siginfo_t *info, void *u)
{
	char here;
	stack_t ss;

	sigaltstack(NULL, &ss);
	seen += &here > alt && &here < alt + 65536 && (ss.ss_flags & SS_ONSTACK) && ((ucontext_t *)u)->uc_stack.ss_sp == alt;
}

static void the_alternate_stack_is_used_and_kept(void **state)
{
	stack_t ss = { .ss_sp = alt = malloc(65536), .ss_size = 65536 }, off = { .ss_flags = SS_DISABLE }, now;

	ASSERT_OK(sigaltstack(&ss, NULL));
	handle(SIGUSR1, note_stack, SA_ONSTACK);
	seen = 0;
	for (int i = 0; i < TURNS; i++) {
		raise(SIGUSR1);
		ASSERT_OK(sigaltstack(NULL, &now));
		assert_int_equal(now.ss_flags, 0);
	}
	assert_int_equal(seen, TURNS);
	ASSERT_OK(sigaltstack(&off, NULL));
	free(alt);
}

static sigjmp_buf back;

static void jump_out(int sig, siginfo_t *info, void *u)
{
	siglongjmp(back, 1);
}

static void handlers_may_be_left_by_a_jump(void **state)
{
	sigset_t now;

	handle(SIGUSR1, jump_out, 0);
	for (volatile int i = 0; i < TURNS; i++) {
		if (!sigsetjmp(back, 1)) {
			raise(SIGUSR1);
			fail_msg("the handler returned");
		}
		pthread_sigmask(SIG_SETMASK, NULL, &now);
		assert_int_equal(sigismember(&now, SIGUSR1), 0);
	}
}

static void count(int sig, siginfo_t *info, void *u) { seen++; }

static void a_handler_for_once_is_gone_afterwards(void **state)
{
	struct sigaction now;

	for (int i = 0; i < TURNS; i++) {
		handle(SIGURG, count, SA_RESETHAND);
		seen = 0;
		raise(SIGURG);
		raise(SIGURG); /* ignored */
		assert_int_equal(seen, 1);
		ASSERT_OK(sigaction(SIGURG, NULL, &now));
		assert_true(now.sa_handler == SIG_DFL);
	}
}

/* --- frames that are no good, and steps ------------------------------------------------------------------------- */

static void spoil_frame(int sig, siginfo_t *info, void *u)
{
	ucontext_t *uc = u;

	if (++seen % 100)
		return;
	switch (seen / 100 % 3) {
	case 0: uc->uc_mcontext.gregs[REG_RIP] = (greg_t)0x8000000000000000; break;
	case 1: uc->uc_mcontext.fpregs = (void *)((char *)uc->uc_mcontext.fpregs + 8); break;
	default: ((uint32_t *)uc->uc_mcontext.fpregs)[6] = 0xffffffff; break; /* MXCSR */
	}
}

static void a_bad_frame_is_a_segmentation_fault(void **state)
{
	volatile int faults = 0;

	handle(SIGUSR1, spoil_frame, 0);
	handle(SIGSEGV, jump_out, 0);
	seen = 0;
	for (volatile int i = 0; i < TURNS; i++) {
		if (sigsetjmp(back, 1)) {
			faults++;
			continue;
		}
		raise(SIGUSR1);
	}
	signal(SIGSEGV, SIG_DFL);
	assert_int_equal(faults, TURNS / 100);
}

static volatile long steps;

static void begin_to_step(int sig, siginfo_t *info, void *u)
{
	if (++seen % 100 == 0)
		((ucontext_t *)u)->uc_mcontext.gregs[REG_EFL] |= FLAG_TF;
}

static void step(int sig, siginfo_t *info, void *u)
{
	if (++steps % 3 == 0)
		((ucontext_t *)u)->uc_mcontext.gregs[REG_EFL] &= ~FLAG_TF;
}

static void a_frame_may_set_the_trap_flag(void **state)
{
	handle(SIGUSR1, begin_to_step, 0);
	handle(SIGTRAP, step, 0);
	seen = steps = 0;
	for (int i = 0; i < TURNS; i++)
		raise(SIGUSR1);
	assert_int_equal(steps, TURNS / 100 * 3);
}

/* popf sets the flag right before a call: the instruction behind the call is stepped. */
static void the_trap_flag_survives_a_call(void **state)
{
	handle(SIGTRAP, step, 0);
	steps = 0;
	for (int i = 0; i < TURNS; i++) {
		long rax = SYS_getppid;

		if (i % 100)
			__asm__ volatile("syscall\n\t nop\n\t nop\n\t nop\n\t nop" : "+a"(rax) :: "rcx", "r11", "memory");
		else
			__asm__ volatile("sub $128, %%rsp\n\t pushfq\n\t orl $0x100, (%%rsp)\n\t popfq\n\t syscall\n\t nop\n\t nop\n\t nop\n\t nop\n\t add $128, %%rsp"
					 : "+a"(rax) :: "rcx", "r11", "memory", "cc");
		assert_int_equal(rax, getppid());
	}
	assert_int_equal(steps, TURNS / 100 * 3);
}

/* --- while others interfere ---------------------------------------------------------------------------------------- */

static atomic_long timers;
static atomic_bool stop;

static void count_timer(int sig, siginfo_t *info, void *u) { atomic_fetch_add(&timers, 1); }

static void *signal_it(void *arg)
{
	while (!stop) {
		pthread_kill(*(pthread_t *)arg, SIGUSR2);
		usleep(200);
	}
	return NULL;
}

static void signals_of_others_come_between(void **state)
{
	struct itimerval every = { { 0, 1000 }, { 0, 1000 } }, off = { { 0, 0 }, { 0, 0 } };
	int64_t patience = now_ms() + PATIENCE_MS;
	pthread_t me = pthread_self(), other;
	long turns;

	handle(SIGUSR1, note_registers, 0);
	handle(SIGUSR2, count_timer, 0);
	handle(SIGALRM, count_timer, 0);
	seen = 0;
	assert_int_equal(pthread_create(&other, NULL, signal_it, &me), 0);
	ASSERT_OK(setitimer(ITIMER_REAL, &every, NULL));
	for (turns = 0; turns < TURNS || (timers < 5 && now_ms() < patience); turns++) {
		signal_with_registers(turns);
		assert_int_equal(out[12] & (FLAG_DF | 1), FLAG_DF | 1);
		assert_int_equal(out[13], 0);
	}
	ASSERT_OK(setitimer(ITIMER_REAL, &off, NULL));
	stop = true;
	pthread_join(other, NULL);
	assert_int_equal(seen, turns);
	assert_true(timers >= 5);
}

int main(void)
{
	unsigned a, b, c, d, xcr0 = 0;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_and_flags_go_in_and_out),
		cmocka_unit_test(what_a_handler_writes_into_the_frame_counts),
		cmocka_unit_test(vectors_and_control_words_survive),
		cmocka_unit_test(masks_hold_and_nested_signals_come_in_order),
		cmocka_unit_test(a_handler_may_interrupt_itself),
		cmocka_unit_test(the_alternate_stack_is_used_and_kept),
		cmocka_unit_test(handlers_may_be_left_by_a_jump),
		cmocka_unit_test(a_handler_for_once_is_gone_afterwards),
		cmocka_unit_test(a_bad_frame_is_a_segmentation_fault),
		cmocka_unit_test(a_frame_may_set_the_trap_flag),
		cmocka_unit_test(the_trap_flag_survives_a_call),
		cmocka_unit_test(signals_of_others_come_between),
	};

	__cpuid(1, a, b, c, d);
	if (c & bit_OSXSAVE)
		__asm__ volatile("xgetbv" : "=a"(xcr0) : "c"(0) : "edx");
	has_avx = (c & bit_AVX) && (xcr0 & 6) == 6;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
