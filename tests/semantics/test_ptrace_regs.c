/* SPDX-License-Identifier: MIT */
/* ptrace(2): registers, extended state, memory of a tracee, single steps. */
#include "tests/lib/trace.h"

#include <fcntl.h>
#include <asm/prctl.h>
#include <sys/mman.h>
#include <sys/user.h>

#define NT_PRSTATUS_ 1
#define NT_PRFPREG_ 2
#define NT_X86_XSTATE_ 0x202

static int spin_values(void)
{
	uint64_t out = 0;
	double x;

	__asm__ volatile("mov $0x1122334455667788, %%r12\n\tmov $0x99, %%r15\n\tmovq %%r12, %%xmm5\n\tint3\n\tnop\n\t"
			 "movq %%xmm5, %0\n\tmovq %%xmm6, %1"
			 : "=r"(out), "=x"(x)
			 :
			 : "r12", "r15", "xmm5", "xmm6", "memory");
	if (out != 0xfedcba9876543210)
		return 1;
	return x == 2.5 ? 0 : 2;
}

static pid_t at_int3(struct user_regs_struct *r)
{
	pid_t pid = traced_child(spin_values);
	siginfo_t info;

	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGTRAP));
	TRACE_OK(PTRACE_GETSIGINFO, pid, 0, &info);
	assert_int_equal(info.si_code, SI_KERNEL);
	TRACE_OK(PTRACE_GETREGS, pid, 0, r);
	return pid;
}

static void general_registers(void **state)
{
	struct user_regs_struct r, again;
	pid_t pid = at_int3(&r);
	uint64_t word;

	assert_int_equal(r.r12, 0x1122334455667788);
	assert_int_equal(r.r15, 0x99);
	assert_int_equal((long)r.orig_rax, -1);
	assert_int_equal(r.cs, 0x33);
	assert_int_equal(r.ss, 0x2b);
	assert_int_equal(r.ds | r.es | r.fs | r.gs, 0);
	assert_true(r.fs_base != 0);
	assert_true(r.eflags & 2);
	assert_false(r.eflags & 0x100);

	TRACE_OK(PTRACE_PEEKUSR, pid, offsetof(struct user, regs.r12), &word);
	assert_int_equal(word, r.r12);
	TRACE_OK(PTRACE_PEEKUSR, pid, offsetof(struct user, regs.rip), &word);
	assert_int_equal(word, r.rip);
	TRACE_OK(PTRACE_PEEKUSR, pid, offsetof(struct user, u_debugreg), &word);
	assert_int_equal(word, 0);
	TRACE_ERR(PTRACE_PEEKUSR, pid, 4, &word, EIO);
	TRACE_ERR(PTRACE_PEEKUSR, pid, sizeof(struct user) + 16, &word, EIO); /* the kernel's has two words more */
	TRACE_ERR(PTRACE_PEEKUSR, pid, 0, 8, EFAULT);
	TRACE_OK(PTRACE_POKEUSR, pid, offsetof(struct user, regs.r12), 5);
	TRACE_ERR(PTRACE_POKEUSR, pid, offsetof(struct user, regs.fs_base), 1ul << 63, EIO);
	TRACE_ERR(PTRACE_POKEUSR, pid, offsetof(struct user, regs.cs), 0, EIO);
	TRACE_ERR(PTRACE_POKEUSR, pid, offsetof(struct user, u_debugreg[4]), 0, EIO);
	TRACE_ERR(PTRACE_POKEUSR, pid, offsetof(struct user, magic), 0, EIO);
	TRACE_OK(PTRACE_GETREGS, pid, 0, &again);
	assert_int_equal(again.r12, 5);

	again.r12 = 6;
	again.eflags |= 1; /* carry */
	again.eflags |= 0x3000; /* not the tracer's to set: IOPL */
	TRACE_OK(PTRACE_SETREGS, pid, 0, &again);
	TRACE_OK(PTRACE_GETREGS, pid, 0, &again);
	assert_int_equal(again.r12, 6);
	assert_int_equal(again.eflags, r.eflags | 1);
	again.fs_base = 1ul << 48;
	TRACE_ERR(PTRACE_SETREGS, pid, 0, &again, EIO);
	TRACE_ERR(PTRACE_GETREGS, pid, 0, 8, EFAULT);

	TRACE_OK(PTRACE_ARCH_PRCTL, pid, &word, ARCH_GET_FS);
	assert_int_equal(word, r.fs_base);
	end_child(pid);
}

static void regsets(void **state)
{
	struct user_regs_struct r, s;
	pid_t pid = at_int3(&r);
	struct iovec iov = { &s, sizeof(s) };
	char buf[8192];

	TRACE_OK(PTRACE_GETREGSET, pid, NT_PRSTATUS_, &iov);
	assert_int_equal(iov.iov_len, sizeof(s));
	assert_memory_equal(&r, &s, sizeof(s));
	iov.iov_len = 16;
	memset(&s, 0x55, sizeof(s));
	TRACE_OK(PTRACE_GETREGSET, pid, NT_PRSTATUS_, &iov);
	assert_int_equal(iov.iov_len, 16);
	assert_int_equal(s.r15, 0x99);
	assert_int_equal(s.r13, 0x5555555555555555);
	iov.iov_len = 12;
	TRACE_ERR(PTRACE_GETREGSET, pid, NT_PRSTATUS_, &iov, EINVAL);
	iov = (struct iovec){ buf, sizeof(buf) };
	TRACE_ERR(PTRACE_GETREGSET, pid, 0x777, &iov, EINVAL);
	TRACE_ERR(PTRACE_GETREGSET, pid, NT_PRSTATUS_, 8, EFAULT);
	iov.iov_len = 8192;
	TRACE_OK(PTRACE_GETREGSET, pid, NT_PRFPREG_, &iov);
	assert_int_equal(iov.iov_len, 512);
	iov = (struct iovec){ &s, 8 };
	s.r15 = 0x77;
	TRACE_OK(PTRACE_SETREGSET, pid, NT_PRSTATUS_, &iov);
	TRACE_OK(PTRACE_GETREGS, pid, 0, &r);
	assert_int_equal(r.r15, 0x77);
	end_child(pid);
}

static void floating_point_registers(void **state)
{
	struct user_fpregs_struct fp;
	struct user_regs_struct r;
	uint64_t val = 0xfedcba9876543210;
	double d = 2.5;
	pid_t pid = at_int3(&r);
	uint32_t mxcsr;

	TRACE_OK(PTRACE_GETFPREGS, pid, 0, &fp);
	assert_int_equal(fp.cwd, 0x37f);
	assert_int_equal(fp.mxcsr & 0xffc0, 0x1f80);
	assert_memory_equal(&fp.xmm_space[4 * 5], "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
	mxcsr = fp.mxcsr;
	fp.mxcsr = 0xffffffff;
	TRACE_ERR(PTRACE_SETFPREGS, pid, 0, &fp, EINVAL);
	fp.mxcsr = mxcsr;
	memcpy(&fp.xmm_space[4 * 5], &val, 8);
	memcpy(&fp.xmm_space[4 * 6], &d, 8);
	TRACE_OK(PTRACE_SETFPREGS, pid, 0, &fp);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

static void extended_state(void **state)
{
	static char buf[16384], same[16384];
	struct user_regs_struct r;
	uint64_t val = 0xfedcba9876543210, xcr0, bv;
	double d = 2.5;
	pid_t pid = at_int3(&r);
	struct iovec iov = { buf, sizeof(buf) }, part = { same, 576 };

	TRACE_OK(PTRACE_GETREGSET, pid, NT_X86_XSTATE_, &iov);
	assert_true(iov.iov_len >= 576);
	memcpy(&xcr0, buf + 464, 8);
	memcpy(&bv, buf + 512, 8);
	assert_int_equal(xcr0 & 3, 3);
	assert_int_equal(bv & ~xcr0, 0);
	TRACE_OK(PTRACE_GETREGSET, pid, NT_X86_XSTATE_, &part);
	assert_int_equal(part.iov_len, 576);
	assert_memory_equal(buf, same, 576);
	if (iov.iov_len > 576)
		TRACE_ERR(PTRACE_SETREGSET, pid, NT_X86_XSTATE_, &part, EFAULT);
	memcpy(buf + 160 + 16 * 5, &val, 8);
	memcpy(buf + 160 + 16 * 6, &d, 8);
	bv |= 3;
	memcpy(buf + 512, &bv, 8);
	buf[520] = 1; /* compacted: no */
	TRACE_ERR(PTRACE_SETREGSET, pid, NT_X86_XSTATE_, &iov, EINVAL);
	buf[520] = 0;
	TRACE_OK(PTRACE_SETREGSET, pid, NT_X86_XSTATE_, &iov);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

static void a_bad_rip_is_the_tracees_fault(void **state)
{
	struct user_regs_struct r;
	pid_t pid = at_int3(&r);

	r.rip = 1ul << 62;
	TRACE_OK(PTRACE_SETREGS, pid, 0, &r);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGSEGV));
	end_child(pid);
}

/* --- memory ---------------------------------------------------------------------------------------------- */

static volatile uint64_t word = 0x1111;
static const uint64_t constant = 0x2222;

static __attribute__((noinline, aligned(16))) int answer(void)
{
	__asm__ volatile("");
	return 42;
}

static int (*volatile call_answer)(void) = answer;

static int look_at_memory(void)
{
	if (call_answer() != 42)
		return 1;
	raise(SIGUSR1);
	if (call_answer() != 43)
		return 2;
	raise(SIGUSR1);
	return call_answer() == 42 ? 0 : 3;
}

/* The place of the 42 in answer(). */
static unsigned long constant_in_answer(void)
{
	const unsigned char *code = (const void *)answer;

	for (int i = 0; i < 32; i++)
		if (code[i] == 0xb8 && code[i + 1] == 42)
			return (unsigned long)(code + i + 1);
	fail_msg("no mov $42, %%eax");
	return 0;
}

static void text_is_poked_in_a_copy_of_its_own(void **state)
{
	pid_t pid = traced_child(look_at_memory), other;
	unsigned long at = constant_in_answer(), old, got;

	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGUSR1));
	TRACE_OK(PTRACE_PEEKTEXT, pid, at, &old);
	assert_int_equal(old & 0xff, 42);
	TRACE_OK(PTRACE_POKETEXT, pid, at, (old & ~0xfful) | 43);
	TRACE_OK(PTRACE_PEEKTEXT, pid, at, &got);
	assert_int_equal(got & 0xff, 43);
	assert_int_equal(call_answer(), 42); /* we have the same file mapped */
	other = fork();
	if (other == 0)
		_exit(call_answer() == 42 ? 0 : 1);
	WAIT_FOR(other, EXITED(0));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGUSR1));
	TRACE_OK(PTRACE_POKETEXT, pid, at, old);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

static int loop_forever(void)
{
	while (pause() == -1 && errno == EINTR) {
	}
	return 1;
}

static void data_is_peeked_and_poked_whatever_its_protection(void **state)
{
	unsigned long got, page = (unsigned long)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long ro, none, hole, shared;
	int fd = (int)ASSERT_OK(open("file", O_RDWR | O_CREAT, 0600));
	pid_t pid;

	ASSERT_OK(ftruncate(fd, 8192));
	ro = (unsigned long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	shared = (unsigned long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	none = (unsigned long)mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	hole = (unsigned long)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap((void *)(hole + 4096), 4096);
	pid = traced_child(loop_forever);

	TRACE_OK(PTRACE_PEEKDATA, pid, &word, &got);
	assert_int_equal(got, 0x1111);
	TRACE_OK(PTRACE_POKEDATA, pid, &word, 0x3333);
	TRACE_OK(PTRACE_PEEKDATA, pid, &word, &got);
	assert_int_equal(got, 0x3333);
	assert_int_equal(word, 0x1111);
	TRACE_OK(PTRACE_POKEDATA, pid, &constant, 0x4444);
	TRACE_OK(PTRACE_PEEKDATA, pid, &constant, &got);
	assert_int_equal(got, 0x4444);
	TRACE_OK(PTRACE_POKEDATA, pid, page + 4092, 0x5555666677778888); /* over a page's end */
	TRACE_OK(PTRACE_PEEKDATA, pid, page + 4092, &got);
	assert_int_equal(got, 0x5555666677778888);
	TRACE_OK(PTRACE_POKEDATA, pid, ro, 77); /* the file does not change */
	TRACE_OK(PTRACE_PEEKDATA, pid, ro, &got);
	assert_int_equal(got, 77);
	assert_int_equal(pread(fd, &got, 8, 0), 8);
	assert_int_equal(got, 0);
	TRACE_ERR(PTRACE_POKEDATA, pid, shared, 77, EIO);
	TRACE_OK(PTRACE_PEEKDATA, pid, none, &got);
	assert_int_equal(got, 0);
	TRACE_OK(PTRACE_POKEDATA, pid, none, 9);
	TRACE_OK(PTRACE_PEEKDATA, pid, none, &got);
	assert_int_equal(got, 9);
	TRACE_ERR(PTRACE_PEEKDATA, pid, 8, &got, EIO);
	TRACE_ERR(PTRACE_PEEKDATA, pid, hole + 4092, &got, EIO);
	TRACE_ERR(PTRACE_POKEDATA, pid, 8, 1, EIO);
	TRACE_ERR(PTRACE_PEEKDATA, pid, &word, 8, EFAULT);
	end_child(pid);
	close(fd);
}

static void proc_mem_is_the_same_memory(void **state)
{
	pid_t pid = traced_child(loop_forever);
	uint64_t got = 0, val = 0x9999;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = (int)ASSERT_OK(open(path, O_RDWR));
	assert_int_equal(pwrite(fd, &val, 8, (off_t)&constant), 8);
	assert_int_equal(pread(fd, &got, 8, (off_t)&constant), 8);
	assert_int_equal(got, 0x9999);
	assert_int_equal(constant, 0x2222);
	ASSERT_ERR(pread(fd, &got, 8, 8), EIO);
	ASSERT_ERR(pwrite(fd, &got, 8, 8), EIO);
	close(fd);
	end_child(pid);
}

/* --- steps ---------------------------------------------------------------------------------------------------- */

extern char step_begin[], step_call[], step_after_call[], step_end[];

static int step_here(void)
{
	__asm__ volatile("step_begin: int3\n\tnop\n\tmov $39, %%eax\n\t"
			 "step_call: syscall\n\tstep_after_call: nop\n\tpushfq\n\tpop %%rcx\n\tnop\n\tstep_end: nop"
			 :
			 :
			 : "rax", "rcx", "r11", "memory");
	return 0;
}

static unsigned long step(pid_t pid, int want_code)
{
	struct user_regs_struct r;
	siginfo_t info;

	TRACE_OK(PTRACE_SINGLESTEP, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGTRAP));
	TRACE_OK(PTRACE_GETSIGINFO, pid, 0, &info);
	assert_int_equal(info.si_code, want_code);
	TRACE_OK(PTRACE_GETREGS, pid, 0, &r);
	assert_false(r.eflags & 0x100); /* the flag is ours, and not shown */
	return r.rip;
}

static void single_steps(void **state)
{
	pid_t pid = traced_child(step_here);
	unsigned long at = (unsigned long)step_begin;

	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGTRAP));
	assert_int_equal(step(pid, TRAP_TRACE), at + 2);
	assert_int_equal(step(pid, TRAP_TRACE), (unsigned long)step_call);
	assert_int_equal(step(pid, TRAP_BRKPT), (unsigned long)step_after_call);
	assert_int_equal(step(pid, TRAP_TRACE), (unsigned long)step_after_call + 1);
	assert_int_equal(step(pid, TRAP_TRACE), (unsigned long)step_after_call + 2);
	assert_int_equal(step(pid, TRAP_TRACE), (unsigned long)step_after_call + 3);
	assert_int_equal(step(pid, TRAP_TRACE), (unsigned long)step_end);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

static volatile int in_handler;

static void on_usr1(int sig)
{
	in_handler = 1;
}

static int raise_with_handler(void)
{
	signal(SIGUSR1, on_usr1);
	raise(SIGUSR1);
	return in_handler ? 0 : 1;
}

static void a_step_with_a_signal_stops_in_the_handler(void **state)
{
	pid_t pid = traced_child(raise_with_handler);
	struct user_regs_struct r;
	siginfo_t info;
	uint64_t flags;

	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGUSR1));
	TRACE_OK(PTRACE_SINGLESTEP, pid, 0, SIGUSR1);
	WAIT_FOR(pid, STOPPED(SIGTRAP));
	TRACE_OK(PTRACE_GETREGS, pid, 0, &r);
	assert_int_equal(r.rip, (unsigned long)on_usr1);
	assert_int_equal(r.rdi, SIGUSR1);
	TRACE_OK(PTRACE_GETSIGINFO, pid, 0, &info);
	assert_int_equal(info.si_code, SIGTRAP);
	/* the frame's flags do not have ours: pretcode, flags, link, stack, then 17 registers */
	TRACE_OK(PTRACE_PEEKDATA, pid, r.rsp + 8 + 40 + 17 * 8, &flags);
	assert_int_equal(flags & 0x300, 0x200);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

static int count_down(void)
{
	unsigned long n = 200;

	__asm__ volatile("int3\n1: dec %0\n\tjnz 1b\n\tint3" : "+r"(n)::"memory");
	return 0;
}

static void many_steps(void **state)
{
	pid_t pid = traced_child(count_down);
	siginfo_t info;
	int n = 0;

	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGTRAP));
	do {
		TRACE_OK(PTRACE_SINGLESTEP, pid, 0, 0);
		WAIT_FOR(pid, STOPPED(SIGTRAP));
		TRACE_OK(PTRACE_GETSIGINFO, pid, 0, &info);
		n++;
	} while (info.si_code == TRAP_TRACE);
	assert_int_equal(n, 401);
	TRACE_OK(PTRACE_DETACH, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

/* --- debug registers ------------------------------------------------------------------------------------------------ */

static volatile uint64_t watched, beside;
static volatile char watched_byte;

static __attribute__((noinline)) void executed(void)
{
	beside++;
}

static int touch(void)
{
	__asm__ volatile("int3");
	for (int i = 0; i < 20; i++)
		beside += (uint64_t)i;
	watched = 1;
	if (syscall(SYS_getppid) < 0)
		return 1;
	((volatile uint32_t *)&watched)[1] = 2;
	executed();
	watched_byte = 1;
	watched = 3; /* nobody watches any more */
	return 0;
}

#define DEBUGREG(n) offsetof(struct user, u_debugreg[n])

static uint64_t debugreg(pid_t pid, int n)
{
	uint64_t val = 0;

	TRACE_OK(PTRACE_PEEKUSR, pid, DEBUGREG(n), &val);
	return val;
}

/* Goes on to the next hit: which place, as DR6 has it. */
static unsigned next_hit(pid_t pid)
{
	siginfo_t info;
	unsigned dr6;

	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGTRAP));
	TRACE_OK(PTRACE_GETSIGINFO, pid, 0, &info);
	assert_int_equal(info.si_code, TRAP_HWBKPT);
	dr6 = (unsigned)debugreg(pid, 6) & 0xf;
	TRACE_OK(PTRACE_POKEUSR, pid, DEBUGREG(6), 0);
	return dr6;
}

static void writes_and_execution_are_watched(void **state)
{
	pid_t pid = traced_child(touch);
	struct user_regs_struct r;
	uint64_t got;

	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGTRAP));
	TRACE_OK(PTRACE_POKEUSR, pid, DEBUGREG(0), &watched);
	TRACE_OK(PTRACE_POKEUSR, pid, DEBUGREG(1), executed);
	TRACE_OK(PTRACE_POKEUSR, pid, DEBUGREG(2), &watched_byte);
	TRACE_OK(PTRACE_POKEUSR, pid, DEBUGREG(7), 0x1 | 0x4 | 0x10 | 0x9ul << 16 | 0x1ul << 24); /* 8 bytes, code, 1 byte */
	assert_int_equal(debugreg(pid, 0), (unsigned long)&watched);
	assert_int_equal(debugreg(pid, 7), 0x15 | 0x9ul << 16 | 0x1ul << 24);
	assert_int_equal(next_hit(pid), 1);
	TRACE_OK(PTRACE_PEEKDATA, pid, &watched, &got); /* told after the write */
	assert_int_equal(got, 1);
	assert_int_equal(next_hit(pid), 1);
	assert_int_equal(next_hit(pid), 2);
	TRACE_OK(PTRACE_GETREGS, pid, 0, &r); /* ... and before the code runs */
	assert_int_equal(r.rip, (unsigned long)executed);
	assert_int_equal(r.eflags & 0x100, 0);
	assert_int_equal(next_hit(pid), 4);
	TRACE_OK(PTRACE_POKEUSR, pid, DEBUGREG(7), 0);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

static void debug_registers_are_checked(void **state)
{
	pid_t pid = traced_child(touch);

	assert_int_equal(debugreg(pid, 6), 0xffff0ff0);
	assert_int_equal(debugreg(pid, 7), 0);
	TRACE_ERR(PTRACE_POKEUSR, pid, DEBUGREG(4), 0, EIO);
	TRACE_ERR(PTRACE_POKEUSR, pid, DEBUGREG(5), 0, EIO);
	TRACE_ERR(PTRACE_POKEUSR, pid, DEBUGREG(0), 1ul << 63, EINVAL);
	TRACE_OK(PTRACE_POKEUSR, pid, DEBUGREG(0), (unsigned long)&watched + 1);
	TRACE_ERR(PTRACE_POKEUSR, pid, DEBUGREG(7), 1 | 0x9 << 16, EINVAL); /* not aligned */
	TRACE_ERR(PTRACE_POKEUSR, pid, DEBUGREG(7), 1 | 0x2 << 16, EINVAL); /* ports */
	TRACE_OK(PTRACE_POKEUSR, pid, DEBUGREG(7), 1 | 0x1 << 16);
	assert_int_equal(debugreg(pid, 7), 1 | 0x1 << 16);
	end_child(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(general_registers),
		cmocka_unit_test(regsets),
		cmocka_unit_test(floating_point_registers),
		cmocka_unit_test(extended_state),
		cmocka_unit_test(a_bad_rip_is_the_tracees_fault),
		cmocka_unit_test(text_is_poked_in_a_copy_of_its_own),
		cmocka_unit_test(data_is_peeked_and_poked_whatever_its_protection),
		cmocka_unit_test(proc_mem_is_the_same_memory),
		cmocka_unit_test(single_steps),
		cmocka_unit_test(a_step_with_a_signal_stops_in_the_handler),
		cmocka_unit_test(many_steps),
		cmocka_unit_test(writes_and_execution_are_watched),
		cmocka_unit_test(debug_registers_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
