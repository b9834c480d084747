/* SPDX-License-Identifier: MIT */
/*
 * What the kernel puts on the stack for a handler and takes back by rt_sigreturn(2): general
 * registers, flags, x87/SSE/AVX/AVX-512 state with its magic numbers, the mask; the red zone; the
 * alternate stack and its flags; leaving handlers by siglongjmp. Linux: arch/x86/kernel/signal*.c.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/clock.h"

#include <cpuid.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define UC_FLAG_XSTATE 1
#define UC_FLAG_SIGCONTEXT_SS 2
#define UC_FLAG_STRICT_SS 4

#define UD2_LEN 2

/* Not static: the compiler must believe that the assembly below reads and writes it. */
#define ASM_VISIBLE __attribute__((used, visibility("hidden")))

static void handle(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = { .sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags };

	sigemptyset(&sa.sa_mask);
	ASSERT_OK(sigaction(sig, &sa, NULL));
}

/* rax rbx rcx rdx rsi rdi rbp r8..r15 as the program sets them, then as they are afterwards. */
ASM_VISIBLE uint64_t regs_in[15], regs_out[15];
static uint64_t regs_seen[15], regs_new[15];
static const int regs_index[15] = { REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP,
				    REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };
static uint64_t flags_seen, segs_seen, uc_flags_seen;

static void replace_registers(int sig, siginfo_t *info, void *ucontext)
{
	ucontext_t *uc = ucontext;

	for (int i = 0; i < 15; i++) {
		regs_seen[i] = (uint64_t)uc->uc_mcontext.gregs[regs_index[i]];
		uc->uc_mcontext.gregs[regs_index[i]] = (greg_t)regs_new[i];
	}
	flags_seen = (uint64_t)uc->uc_mcontext.gregs[REG_EFL];
	segs_seen = (uint64_t)uc->uc_mcontext.gregs[REG_CSGSFS];
	uc_flags_seen = uc->uc_flags;
	uc->uc_mcontext.gregs[REG_RIP] += UD2_LEN;
}

#define FOR_REGS(op)                                                                             \
	op(8, rbx) op(16, rcx) op(24, rdx) op(32, rsi) op(40, rdi) op(48, rbp) op(56, r8)        \
	op(64, r9) op(72, r10) op(80, r11) op(88, r12) op(96, r13) op(104, r14) op(112, r15)
#define LOAD_REG(at, r) "mov " #at "(%%rax), %%" #r "\n\t"
#define STORE_REG(at, r) "mov %%" #r ", regs_out+" #at "(%%rip)\n\t"

static void all_registers_go_in_and_out(void **state)
{
	for (uint64_t i = 0; i < 15; i++) {
		regs_in[i] = 0x1111111111111111 * (i + 1) ^ 0x8000000000000000;
		regs_new[i] = 0xfedcba9876543210 - i;
	}
	handle(SIGILL, replace_registers, 0);
	__asm__ volatile("push %%rbp\n\t push %%rbx\n\t"
			 "sub $128, %%rsp\n\t"
			 "lea regs_in(%%rip), %%rax\n\t" FOR_REGS(LOAD_REG)
			 "mov (%%rax), %%rax\n\t"
			 "ud2\n\t"
			 "mov %%rax, regs_out(%%rip)\n\t" FOR_REGS(STORE_REG)
			 "add $128, %%rsp\n\t"
			 "pop %%rbx\n\t pop %%rbp"
			 ::: "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
			     "r13", "r14", "r15", "memory", "cc");
	assert_memory_equal(regs_seen, regs_in, sizeof(regs_in));
	assert_memory_equal(regs_out, regs_new, sizeof(regs_new));
	assert_int_equal(segs_seen & 0xffff, 0x33);             /* cs ... */
	assert_int_equal(segs_seen >> 48, 0x2b);                /* ... and ss */
	assert_int_equal(uc_flags_seen & (UC_FLAG_SIGCONTEXT_SS | UC_FLAG_STRICT_SS),
			 UC_FLAG_SIGCONTEXT_SS | UC_FLAG_STRICT_SS);
}

ASM_VISIBLE uint64_t entry_rax, entry_rsp, entry_rdi, entry_rsi, entry_rdx, entry_flags;
void handler_entry(int sig, siginfo_t *info, void *uc);
ASM_VISIBLE void handler_tail(ucontext_t *uc);

__asm__(".pushsection .text\n"
	".globl handler_entry\n"
	"handler_entry:\n\t"
	"mov %rax, entry_rax(%rip)\n\t"
	"mov %rsp, entry_rsp(%rip)\n\t"
	"mov %rdi, entry_rdi(%rip)\n\t"
	"mov %rsi, entry_rsi(%rip)\n\t"
	"mov %rdx, entry_rdx(%rip)\n\t"
	"pushf\n\t"
	"pop entry_flags(%rip)\n\t"
	"mov %rdx, %rdi\n\t"
	"jmp handler_tail\n"
	".popsection\n");

void handler_tail(ucontext_t *uc)
{
	flags_seen = (uint64_t)uc->uc_mcontext.gregs[REG_EFL];
	uc->uc_mcontext.gregs[REG_RIP] += UD2_LEN;
}

static void a_handler_is_entered_by_the_calling_convention(void **state)
{
	uint64_t flags, rsp;

	handle(SIGILL, handler_entry, 0);
	__asm__ volatile("mov %%rsp, %[rsp]\n\t"
			 "sub $128, %%rsp\n\t"
			 "stc\n\t std\n\t"
			 "ud2\n\t"
			 "pushf\n\t pop %[flags]\n\t"
			 "cld\n\t"
			 "add $128, %%rsp"
			 : [flags] "=&r"(flags), [rsp] "=&r"(rsp) :: "memory", "cc");
	assert_int_equal(entry_rax, 0);
	assert_int_equal(entry_rdi, SIGILL);
	assert_int_equal(entry_rsp % 16, 8);                    /* as after a call */
	/* The frame: return address, ucontext, siginfo. */
	assert_int_equal(entry_rdx, entry_rsp + 8);
	assert_true(entry_rsi > entry_rdx && entry_rsi < rsp - 128);
	assert_int_equal(entry_flags & 0x500, 0);               /* DF and TF are clear */
	assert_int_equal(flags_seen & 0x401, 0x401);            /* and were saved: DF, CF */
	assert_int_equal(flags & 0x401, 0x401);
}

static void skip_ud2(int sig, siginfo_t *info, void *ucontext)
{
	((ucontext_t *)ucontext)->uc_mcontext.gregs[REG_RIP] += UD2_LEN;
}

static void the_red_zone_is_left_alone(void **state)
{
	uint64_t bad;

	handle(SIGILL, skip_ud2, 0);
	__asm__ volatile("sub $256, %%rsp\n\t"
			 "mov $-16, %%rcx\n"
			 "1:\t mov %%rcx, (%%rsp, %%rcx, 8)\n\t"
			 "inc %%rcx\n\t jnz 1b\n\t"
			 "ud2\n\t"
			 "xor %[bad], %[bad]\n\t"
			 "mov $-16, %%rcx\n"
			 "2:\t cmp %%rcx, (%%rsp, %%rcx, 8)\n\t"
			 "je 3f\n\t inc %[bad]\n"
			 "3:\t inc %%rcx\n\t jnz 2b\n\t"
			 "add $256, %%rsp"
			 : [bad] "=&r"(bad) :: "rcx", "memory", "cc");
	assert_int_equal(bad, 0);
}

/* Vector registers: loaded, signal, stored; the handler destroys them all. */
ASM_VISIBLE uint8_t vec_in[16][64] __attribute__((aligned(64)));
ASM_VISIBLE uint8_t vec_out[16][64] __attribute__((aligned(64)));
static uint32_t mxcsr_in_handler;
static uint16_t fcw_in_handler;
static bool has_avx, has_avx512;

#define FOR_VECS(op)                                                                             \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13)  \
	op(14) op(15)
#define LOAD_XMM(n) "movaps vec_in+64*" #n "(%%rip), %%xmm" #n "\n\t"
#define STORE_XMM(n) "movaps %%xmm" #n ", vec_out+64*" #n "(%%rip)\n\t"
#define LOAD_YMM(n) "vmovaps vec_in+64*" #n "(%%rip), %%ymm" #n "\n\t"
#define STORE_YMM(n) "vmovaps %%ymm" #n ", vec_out+64*" #n "(%%rip)\n\t"
#define LOAD_ZMM(n) "vmovaps vec_in+64*" #n "(%%rip), %%zmm" #n "\n\t"
#define STORE_ZMM(n) "vmovaps %%zmm" #n ", vec_out+64*" #n "(%%rip)\n\t"
#define ZERO_XMM(n) "pxor %%xmm" #n ", %%xmm" #n "\n\t"
#define ZERO_YMM(n) "vxorps %%ymm" #n ", %%ymm" #n ", %%ymm" #n "\n\t"
#define CLOBBER_XMM                                                                              \
	"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
	"xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory"

static void probe_cpu(void)
{
	unsigned int a, b, c, d, xcr0 = 0;

	__cpuid(1, a, b, c, d);
	if (c & bit_OSXSAVE)
		__asm__ volatile("xgetbv" : "=a"(xcr0) : "c"(0) : "edx");
	has_avx = (c & bit_AVX) && (xcr0 & 6) == 6;
	__cpuid_count(7, 0, a, b, c, d);
	has_avx512 = has_avx && (b & bit_AVX512F) && (xcr0 & 0xe6) == 0xe6;
}

static void clobber_vectors(int sig, siginfo_t *info, void *ucontext)
{
	uint32_t mxcsr = 0x7f80;

	__asm__ volatile("stmxcsr %0\n\t fnstcw %1" : "=m"(mxcsr_in_handler), "=m"(fcw_in_handler));
	if (has_avx512)
		__asm__ volatile("vpxord %%zmm16, %%zmm16, %%zmm16\n\t"
				 "vpxord %%zmm31, %%zmm31, %%zmm31\n\t"
				 "kxorw %%k1, %%k1, %%k1" ::: "memory");
	if (has_avx)
		__asm__ volatile(FOR_VECS(ZERO_YMM) ::: CLOBBER_XMM);
	else
		__asm__ volatile(FOR_VECS(ZERO_XMM) ::: CLOBBER_XMM);
	__asm__ volatile("fninit\n\t fldz\n\t fldz\n\t ldmxcsr %0" :: "m"(mxcsr));
	skip_ud2(sig, info, ucontext);
}

static void fill_vectors(void)
{
	for (int i = 0; i < 16; i++)
		for (int j = 0; j < 64; j++)
			vec_in[i][j] = (uint8_t)(i * 64 + j + 1);
	memset(vec_out, 0, sizeof(vec_out));
}

static void assert_vectors_kept(size_t bytes)
{
	for (int i = 0; i < 16; i++)
		assert_memory_equal(vec_out[i], vec_in[i], bytes);
}

static void sse_registers_survive(void **state)
{
	fill_vectors();
	handle(SIGILL, clobber_vectors, 0);
	__asm__ volatile("sub $128, %%rsp\n\t" FOR_VECS(LOAD_XMM) "ud2\n\t" FOR_VECS(STORE_XMM)
			 "add $128, %%rsp" ::: CLOBBER_XMM);
	assert_vectors_kept(16);
}

static void avx_registers_survive(void **state)
{
	if (!has_avx)
		skip();
	fill_vectors();
	handle(SIGILL, clobber_vectors, 0);
	__asm__ volatile("sub $128, %%rsp\n\t" FOR_VECS(LOAD_YMM) "ud2\n\t" FOR_VECS(STORE_YMM)
			 "vzeroupper\n\t add $128, %%rsp" ::: CLOBBER_XMM);
	assert_vectors_kept(32);
}

static void avx512_registers_survive(void **state)
{
	uint8_t high[2][64];
	uint32_t k;

	if (!has_avx512)
		skip();
	fill_vectors();
	handle(SIGILL, clobber_vectors, 0);
	__asm__ volatile("sub $128, %%rsp\n\t"
			 "vmovups vec_in+64(%%rip), %%zmm16\n\t"
			 "vmovups vec_in+128(%%rip), %%zmm31\n\t"
			 "mov $0xabcd, %%eax\n\t kmovw %%eax, %%k1\n\t" FOR_VECS(LOAD_ZMM)
			 "ud2\n\t" FOR_VECS(STORE_ZMM)
			 "add $128, %%rsp\n\t"
			 "vmovups %%zmm16, %[lo]\n\t"
			 "vmovups %%zmm31, %[hi]\n\t"
			 "kmovw %%k1, %[k]\n\t"
			 "vzeroupper"
			 : [lo] "=m"(high[0]), [hi] "=m"(high[1]), [k] "=r"(k) :: "rax", CLOBBER_XMM);
	assert_vectors_kept(64);
	assert_memory_equal(high[0], vec_in[1], 64);
	assert_memory_equal(high[1], vec_in[2], 64);
	assert_int_equal(k, 0xabcd);
}

static void x87_and_control_words_survive_and_start_clean(void **state)
{
	/* Static, as the assembly moves the stack pointer. */
	static uint32_t mxcsr_before = 0x3f80, mxcsr_after, mxcsr_default = 0x1f80;
	static uint16_t fcw_before = 0x0f7f, fcw_after;
	static long double pi;

	handle(SIGILL, clobber_vectors, 0);
	__asm__ volatile("sub $128, %%rsp\n\t"
			 "fninit\n\t ldmxcsr %[mb]\n\t fldcw %[fb]\n\t fldpi\n\t"
			 "ud2\n\t"
			 "fstpt %[pi]\n\t fnstcw %[fa]\n\t stmxcsr %[ma]\n\t"
			 "fninit\n\t ldmxcsr %[md]\n\t"
			 "add $128, %%rsp"
			 : [pi] "+m"(pi), [fa] "=m"(fcw_after), [ma] "=m"(mxcsr_after)
			 : [mb] "m"(mxcsr_before), [fb] "m"(fcw_before), [md] "m"(mxcsr_default)
			 : "memory", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
	assert_true(pi > 3.14159265L && pi < 3.1415927L);
	assert_int_equal(mxcsr_after, mxcsr_before);
	assert_int_equal(fcw_after, fcw_before);
	assert_int_equal(mxcsr_in_handler, 0x1f80);             /* a fresh state in the handler */
	assert_int_equal(fcw_in_handler, 0x37f);
}

static struct {
	bool xstate, magic1, magic2, aligned;
	uint32_t extended_size, xstate_size;
	uint64_t xfeatures, bv;
	uint8_t xmm3[16];
} fp_seen;

static void inspect_fpstate(int sig, siginfo_t *info, void *ucontext)
{
	ucontext_t *uc = ucontext;
	char *fp = (char *)uc->uc_mcontext.fpregs;
	struct _fpx_sw_bytes sw;
	uint32_t magic2;

	memcpy(&sw, fp + 464, sizeof(sw));
	fp_seen.xstate = uc->uc_flags & UC_FLAG_XSTATE;
	fp_seen.aligned = (uintptr_t)fp % 64 == 0;
	fp_seen.magic1 = sw.magic1 == FP_XSTATE_MAGIC1;
	fp_seen.extended_size = sw.extended_size;
	fp_seen.xstate_size = sw.xstate_size;
	fp_seen.xfeatures = sw.xstate_bv;
	if (fp_seen.magic1) {
		memcpy(&magic2, fp + sw.xstate_size, sizeof(magic2));
		fp_seen.magic2 = magic2 == FP_XSTATE_MAGIC2;
		memcpy(&fp_seen.bv, fp + 512, 8);
	}
	memcpy(fp_seen.xmm3, fp + 160 + 3 * 16, 16);
	memset(fp + 160 + 3 * 16, 0x5a, 16);                    /* takes effect on return */
	skip_ud2(sig, info, ucontext);
}

static void fpstate_has_its_magic_and_can_be_changed(void **state)
{
	unsigned int a, b, c, d;
	uint8_t want[16];

	fill_vectors();
	handle(SIGILL, inspect_fpstate, 0);
	__asm__ volatile("sub $128, %%rsp\n\t" FOR_VECS(LOAD_XMM) "ud2\n\t" FOR_VECS(STORE_XMM)
			 "add $128, %%rsp" ::: CLOBBER_XMM);
	memset(want, 0x5a, 16);
	assert_memory_equal(fp_seen.xmm3, vec_in[3], 16);
	assert_memory_equal(vec_out[3], want, 16);
	assert_memory_equal(vec_out[4], vec_in[4], 16);
	__cpuid(1, a, b, c, d);
	if (!(c & bit_OSXSAVE))
		skip();
	assert_true(fp_seen.xstate && fp_seen.aligned && fp_seen.magic1 && fp_seen.magic2);
	assert_int_equal(fp_seen.xfeatures & 3, 3);
	assert_int_equal(fp_seen.bv & 2, 2);                    /* SSE was in use */
	assert_int_equal(fp_seen.extended_size, fp_seen.xstate_size + 4);
	assert_int_equal(!!(fp_seen.xfeatures & 4), has_avx);
}

static atomic_int spinning;

static void *interrupt_spinner(void *arg)
{
	while (!spinning)
		sleep_ms(1);
	sleep_ms(20);
	syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
	return NULL;
}

static void set_rbx(int sig, siginfo_t *info, void *ucontext)
{
	((ucontext_t *)ucontext)->uc_mcontext.gregs[REG_RBX] = 99;
}

static void a_loop_without_system_calls_is_interrupted(void **state)
{
	uint64_t rbx = 0;
	pthread_t t;

	handle(SIGUSR1, set_rbx, 0);
	ASSERT_RET(pthread_create(&t, NULL, interrupt_spinner, NULL), 0);
	__asm__ volatile("movl $1, %[spinning]\n"
			 "1:\t pause\n\t test %%rbx, %%rbx\n\t jz 1b"
			 : "+b"(rbx), [spinning] "=m"(spinning) :: "cc", "memory");
	assert_int_equal(rbx, 99);
	ASSERT_RET(pthread_join(t, NULL), 0);
}

static uint64_t call_rax, call_rip, call_rcx;

static void note_call(int sig, siginfo_t *info, void *ucontext)
{
	greg_t *g = ((ucontext_t *)ucontext)->uc_mcontext.gregs;

	call_rax = (uint64_t)g[REG_RAX];
	call_rip = (uint64_t)g[REG_RIP];
	call_rcx = (uint64_t)g[REG_RCX];
	g[REG_RAX] = 12345;
}

static void after_a_system_call_the_frame_has_its_result(void **state)
{
	long rax = SYS_tgkill;
	uint64_t after;

	handle(SIGUSR1, note_call, 0);
	__asm__ volatile("lea 1f(%%rip), %[after]\n\t syscall\n1:"
			 : "+a"(rax), [after] "=&r"(after)
			 : "D"(getpid()), "S"(gettid()), "d"(SIGUSR1) : "rcx", "r11", "memory");
	assert_int_equal(call_rax, 0);
	assert_int_equal(call_rip, after);
	assert_int_equal(call_rcx, after);
	assert_int_equal(rax, 12345);           /* and the handler may change it */
}

static void block_usr2_in_frame(int sig, siginfo_t *info, void *ucontext)
{
	ucontext_t *uc = ucontext;

	sigaddset(&uc->uc_sigmask, SIGUSR2);
	sigaddset(&uc->uc_sigmask, SIGKILL);
}

static void the_mask_in_the_frame_becomes_the_mask(void **state)
{
	sigset_t now;

	handle(SIGUSR1, block_usr2_in_frame, 0);
	raise(SIGUSR1);
	ASSERT_OK(sigprocmask(SIG_BLOCK, NULL, &now));
	assert_int_equal(sigismember(&now, SIGUSR2), 1);
	assert_int_equal(sigismember(&now, SIGKILL), 0);
	assert_int_equal(sigismember(&now, SIGUSR1), 0);
	sigemptyset(&now);
	ASSERT_OK(sigprocmask(SIG_SETMASK, &now, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_registers_go_in_and_out),
		cmocka_unit_test(a_handler_is_entered_by_the_calling_convention),
		cmocka_unit_test(the_red_zone_is_left_alone),
		cmocka_unit_test(sse_registers_survive),
		cmocka_unit_test(avx_registers_survive),
		cmocka_unit_test(avx512_registers_survive),
		cmocka_unit_test(x87_and_control_words_survive_and_start_clean),
		cmocka_unit_test(fpstate_has_its_magic_and_can_be_changed),
		cmocka_unit_test(a_loop_without_system_calls_is_interrupted),
		cmocka_unit_test(after_a_system_call_the_frame_has_its_result),
		cmocka_unit_test(the_mask_in_the_frame_becomes_the_mask),
	};

	probe_cpu();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
