/* SPDX-License-Identifier: MIT */
/*
 * seccomp(2): what a filter may be, what each verdict does and which of several counts, threads, inheritance over fork and
 * exec, strict mode. Filters cannot be taken off again: every case does its work in a child.
 */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RET(v) BPF_STMT(BPF_RET | BPF_K, (v))
#define IF_NR(nr, verdict) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), RET(verdict)
#define NO_CALL_NR 1000 /* nothing else makes this call */

static int seccomp(unsigned op, unsigned flags, void *arg)
{
	return (int)syscall(SYS_seccomp, op, flags, arg);
}

static int install(const struct sock_filter *f, size_t n, unsigned flags)
{
	struct sock_fprog p = { (unsigned short)n, (struct sock_filter *)(uintptr_t)f };

	return seccomp(SECCOMP_SET_MODE_FILTER, flags, &p);
}

/* One call gets a verdict, all others may go on. */
static int install_for(long nr, uint32_t verdict, unsigned flags)
{
	const struct sock_filter f[] = { LOAD(nr), IF_NR((uint32_t)nr, verdict), RET(SECCOMP_RET_ALLOW) };

	return install(f, ARRAY_SIZE(f), flags);
}

/* The wait status of a child that runs fn after giving up new privileges. */
static int in_child(int (*fn)(void))
{
	struct rlimit no_core = { 0, 0 };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGSYS, SIG_DFL); /* cmocka catches it */
		setrlimit(RLIMIT_CORE, &no_core);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
			_exit(99);
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status & ~0x80; /* core or not depends on the system */
}

#define exits(n) ((n) << 8)
#define EXPECT(fn, status) assert_int_equal(in_child(fn), status)
#define CHECK(cond) do { if (!(cond)) return __LINE__ % 250 + 1; } while (0)

/* --- programs ---------------------------------------------------------------------------------------------- */

static int refused(const struct sock_filter *f, size_t n)
{
	return install(f, n, 0) == -1 && errno == EINVAL;
}
#define CHECK_BAD(...)                                        \
	do {                                                  \
		const struct sock_filter f_[] = { __VA_ARGS__ }; \
		CHECK(refused(f_, ARRAY_SIZE(f_)));           \
	} while (0)

static int check_programs(void)
{
	static struct sock_filter big[4097];

	CHECK_BAD(LOAD(nr));                                                     /* does not end */
	CHECK_BAD(BPF_STMT(BPF_RET | BPF_X, 0));
	CHECK_BAD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), RET(0));         /* leaves */
	CHECK_BAD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), RET(0));
	CHECK_BAD(BPF_STMT(BPF_JMP | BPF_JA, 1), RET(0));
	CHECK_BAD(BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)-1), RET(0));
	CHECK_BAD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), RET(0));               /* beyond the data */
	CHECK_BAD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), RET(0));
	CHECK_BAD(BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), RET(0));
	CHECK_BAD(BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), RET(0));
	CHECK_BAD(BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), RET(0));
	CHECK_BAD(BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), RET(0));
	CHECK_BAD(BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), RET(0));
	CHECK_BAD(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), RET(0));               /* seccomp has no modulo */
	CHECK_BAD(BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), RET(0));
	CHECK_BAD(BPF_STMT(BPF_ST, 16), RET(0));
	CHECK_BAD(BPF_STMT(BPF_LD | BPF_MEM, 0), RET(0));                        /* never written */
	CHECK_BAD(LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1), BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LD | BPF_MEM, 3),
		  RET(0));                                                       /* not written on every way */
	CHECK_BAD(BPF_STMT(0xffff, 0), RET(0));
	CHECK_BAD(BPF_STMT(BPF_JMP | 0x50 | BPF_K, 0), RET(0));
	for (size_t i = 0; i < ARRAY_SIZE(big); i++)
		big[i] = (struct sock_filter)RET(SECCOMP_RET_ALLOW);
	CHECK(refused(big, 0) && refused(big, 4097));
	CHECK(install(big, 4096, 0) == 0);
	struct sock_fprog bad = { 1, (void *)8 };
	CHECK(seccomp(SECCOMP_SET_MODE_FILTER, 0, &bad) == -1 && errno == EFAULT);
	CHECK(seccomp(SECCOMP_SET_MODE_FILTER, 0, (void *)8) == -1 && errno == EFAULT);
	CHECK(seccomp(SECCOMP_SET_MODE_FILTER, 0x8000, &bad) == -1 && errno == EINVAL);
	return 0;
}

static void bad_programs_are_refused(void **state)
{
	EXPECT(check_programs, 0);
}

static int check_arithmetic(void)
{
	/* ((nr * 3 + 7) ^ 0x55) << 2, or so: 1000 -> verdict. Everything by memory and x. */
	const struct sock_filter f[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NO_CALL_NR, 1, 0),
		RET(SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_ST, 5),
		BPF_STMT(BPF_LDX | BPF_IMM, 3),
		BPF_STMT(BPF_ALU | BPF_MUL | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 7),     /* 3007 */
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_STX, 15),
		BPF_STMT(BPF_LD | BPF_MEM, 5),
		BPF_STMT(BPF_ALU | BPF_NEG, 0),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),     /* 2007 */
		BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0),
		BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),     /* / 64 = 31 */
		BPF_STMT(BPF_LDX | BPF_MEM, 15),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_X, 0, 0, 1),
		RET(SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};

	CHECK(install(f, ARRAY_SIZE(f), 0) == 0);
	CHECK(syscall(NO_CALL_NR) == -1 && errno == 31);
	return 0;
}

static void programs_compute(void **state)
{
	EXPECT(check_arithmetic, 0);
}

static int check_data(void)
{
	const struct sock_filter f[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		RET(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NO_CALL_NR, 1, 0),
		RET(SECCOMP_RET_ALLOW),
		LOAD(args[5]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x55667788, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5]) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x11223344, 0, 1),
		RET(SECCOMP_RET_ERRNO | 40),
		RET(SECCOMP_RET_ERRNO | 41),
	};

	CHECK(install(f, ARRAY_SIZE(f), 0) == 0);
	CHECK(syscall(NO_CALL_NR, 1, 2, 3, 4, 5, 0x1122334455667788) == -1 && errno == 40);
	CHECK(syscall(NO_CALL_NR, 1, 2, 3, 4, 5, 0x1122334555667788) == -1 && errno == 41);
	return 0;
}

static void programs_see_the_call(void **state)
{
	EXPECT(check_data, 0);
}

/* --- verdicts ------------------------------------------------------------------------------------------------ */

static int check_errno(void)
{
	CHECK(install_for(SYS_getppid, SECCOMP_RET_ERRNO | ENOTTY, 0) == 0);
	for (int i = 0; i < 50; i++)
		CHECK(syscall(SYS_getppid) == -1 && errno == ENOTTY);
	CHECK(install_for(SYS_getpid, SECCOMP_RET_ERRNO, 0) == 0);
	CHECK(syscall(SYS_getpid) == 0);
	CHECK(install_for(SYS_gettid, SECCOMP_RET_ERRNO | 0xffff, 0) == 0);
	CHECK(syscall(SYS_gettid) == -1 && errno == 4095);
	CHECK(install_for(NO_CALL_NR, SECCOMP_RET_TRACE | 5, 0) == 0);
	CHECK(syscall(NO_CALL_NR) == -1 && errno == ENOSYS);
	CHECK(install_for(SYS_getuid, SECCOMP_RET_TRACE, 0) == 0);
	CHECK(syscall(SYS_getuid) == -1 && errno == ENOSYS);
	CHECK(install_for(SYS_getgid, SECCOMP_RET_LOG, SECCOMP_FILTER_FLAG_LOG) == 0);
	CHECK(syscall(SYS_getgid) >= 0);
	return 0;
}

static void errors_are_returned(void **state)
{
	EXPECT(check_errno, 0);
}

/* Short calls are answered without leaving the guest, once they come often. */
static int check_hot(void)
{
	int p[2];
	char c;

	CHECK(pipe(p) == 0);
	for (int i = 0; i < 2000; i++)
		CHECK(syscall(SYS_getppid) > 0 && write(p[1], "x", 1) == 1 && read(p[0], &c, 1) == 1);
	CHECK(install_for(SYS_getppid, SECCOMP_RET_ERRNO | 33, 0) == 0);
	for (int i = 0; i < 2000; i++)
		CHECK(syscall(SYS_getppid) == -1 && errno == 33 && write(p[1], "x", 1) == 1 && read(p[0], &c, 1) == 1);
	return 0;
}

static void hot_calls_are_judged_too(void **state)
{
	EXPECT(check_hot, 0);
}

static volatile sig_atomic_t traps;
static siginfo_t trap_info;
static long trap_rax;

static void on_trap(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *uc = ctx;

	traps++;
	trap_info = *si;
	trap_rax = uc->uc_mcontext.gregs[REG_RAX];
	uc->uc_mcontext.gregs[REG_RAX] = 4711;
}

static int check_trap(void)
{
	struct sigaction sa = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };

	sigaction(SIGSYS, &sa, NULL);
	CHECK(install_for(NO_CALL_NR, SECCOMP_RET_TRAP | 123, 0) == 0);
	CHECK(syscall(NO_CALL_NR, 1, 2, 3) == 4711);
	CHECK(traps == 1);
	CHECK(trap_info.si_signo == SIGSYS && trap_info.si_code == 1 && trap_info.si_errno == 123);
	CHECK(trap_info.si_syscall == NO_CALL_NR && trap_info.si_arch == AUDIT_ARCH_X86_64);
	CHECK(memcmp((char *)trap_info.si_call_addr - 2, "\x0f\x05", 2) == 0);
	CHECK(trap_rax == NO_CALL_NR);
	return 0;
}

static int trap_without_handler(void)
{
	CHECK(install_for(NO_CALL_NR, SECCOMP_RET_TRAP, 0) == 0);
	syscall(NO_CALL_NR);
	return 0;
}

static int trap_ignored(void)
{
	signal(SIGSYS, SIG_IGN);
	return trap_without_handler();
}

static void traps_are_signals(void **state)
{
	EXPECT(check_trap, 0);
	EXPECT(trap_without_handler, SIGSYS);
	EXPECT(trap_ignored, SIGSYS);
}

static int kill_process(void)
{
	signal(SIGSYS, SIG_IGN);
	CHECK(install_for(NO_CALL_NR, SECCOMP_RET_KILL_PROCESS, 0) == 0);
	syscall(NO_CALL_NR);
	return 0;
}

static int kill_only_thread(void)
{
	CHECK(install_for(NO_CALL_NR, SECCOMP_RET_KILL_THREAD, 0) == 0);
	syscall(NO_CALL_NR);
	return 0;
}

static int unknown_verdict(void)
{
	CHECK(install_for(NO_CALL_NR, 0x12340000, 0) == 0);
	syscall(NO_CALL_NR);
	return 0;
}

static int division_by_zero(void)
{
	const struct sock_filter f[] = {
		LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NO_CALL_NR, 1, 0), RET(SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LDX | BPF_IMM, 0), BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), RET(SECCOMP_RET_ALLOW),
	};

	CHECK(install(f, ARRAY_SIZE(f), 0) == 0);
	syscall(NO_CALL_NR);
	return 0;
}

static void *call_it(void *arg)
{
	syscall(NO_CALL_NR);
	return arg;
}

/* The thread ends without a word; its joiner still learns of it. */
static int kill_one_thread(void)
{
	pthread_t th;
	void *r = NULL;

	CHECK(install_for(NO_CALL_NR, SECCOMP_RET_KILL_THREAD, 0) == 0);
	CHECK(pthread_create(&th, NULL, call_it, &r) == 0);
	CHECK(pthread_join(th, &r) == 0);
	return 7;
}

static int kill_all_threads(void)
{
	pthread_t th;

	CHECK(install_for(NO_CALL_NR, SECCOMP_RET_KILL_PROCESS, 0) == 0);
	CHECK(pthread_create(&th, NULL, call_it, NULL) == 0);
	pthread_join(th, NULL);
	return 7;
}

static void killing(void **state)
{
	EXPECT(kill_process, SIGSYS);
	EXPECT(kill_only_thread, SIGSYS);
	EXPECT(unknown_verdict, SIGSYS);
	EXPECT(division_by_zero, SIGSYS);
	EXPECT(kill_one_thread, exits(7));
	EXPECT(kill_all_threads, SIGSYS);
}

static int check_precedence(void)
{
	CHECK(install_for(SYS_getppid, SECCOMP_RET_ERRNO | 1, 0) == 0);
	CHECK(install_for(SYS_getppid, SECCOMP_RET_ALLOW, 0) == 0);
	CHECK(syscall(SYS_getppid) == -1 && errno == 1);
	CHECK(install_for(SYS_getppid, SECCOMP_RET_TRACE, 0) == 0);
	CHECK(syscall(SYS_getppid) == -1 && errno == 1);
	CHECK(install_for(SYS_getppid, SECCOMP_RET_ERRNO | 2, 0) == 0);
	CHECK(syscall(SYS_getppid) == -1 && errno == 2); /* of equals the newest */
	CHECK(install_for(SYS_getppid, SECCOMP_RET_KILL_PROCESS, 0) == 0);
	CHECK(install_for(SYS_getppid, SECCOMP_RET_ERRNO | 3, 0) == 0);
	syscall(SYS_getppid);
	return 0;
}

static void the_strongest_counts(void **state)
{
	EXPECT(check_precedence, SIGSYS);
}

/* --- who may, and who gets it ---------------------------------------------------------------------------------- */

static int status_field(const char *name)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	int v = -1;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			v = atoi(line + strlen(name));
	if (f)
		fclose(f);
	return v;
}

static int check_facts(void)
{
	uint32_t action = SECCOMP_RET_ERRNO;
	struct seccomp_notif_sizes sizes;

	CHECK(prctl(PR_GET_SECCOMP) == 0 && status_field("Seccomp:") == 0);
	CHECK(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0);
	action = SECCOMP_RET_KILL_PROCESS;
	CHECK(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0);
	action = 0x12340000;
	CHECK(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action) == -1 && errno == EOPNOTSUPP);
	CHECK(seccomp(SECCOMP_GET_ACTION_AVAIL, 1, &action) == -1 && errno == EINVAL);
	CHECK(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, (void *)1) == -1 && errno == EFAULT);
	CHECK(seccomp(SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0);
	CHECK(sizes.seccomp_data == sizeof(struct seccomp_data));
	CHECK(seccomp(99, 0, NULL) == -1 && errno == EINVAL);
	CHECK(seccomp(SECCOMP_SET_MODE_STRICT, 1, NULL) == -1 && errno == EINVAL);
	CHECK(seccomp(SECCOMP_SET_MODE_STRICT, 0, &action) == -1 && errno == EINVAL);
	CHECK(prctl(PR_SET_SECCOMP, 3, 0, 0, 0) == -1 && errno == EINVAL);
	CHECK(install_for(NO_CALL_NR, SECCOMP_RET_ERRNO | 1, 0) == 0);
	const struct sock_filter f[] = { RET(SECCOMP_RET_ALLOW) };
	struct sock_fprog p = { 1, (struct sock_filter *)(uintptr_t)f };
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) == 0);
	CHECK(prctl(PR_GET_SECCOMP) == 2 && status_field("Seccomp:") == 2 && status_field("Seccomp_filters:") >= 2);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == -1 && errno == EINVAL);
	return 0;
}

static void facts_are_told(void **state)
{
	EXPECT(check_facts, 0);
}

static void privileges_are_needed(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
			_exit(1);
		if (install_for(NO_CALL_NR, SECCOMP_RET_ALLOW, 0) != -1 || errno != EACCES)
			_exit(2);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
			_exit(3);
		_exit(install_for(NO_CALL_NR, SECCOMP_RET_ALLOW, 0) ? 4 : 0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static int check_length(void)
{
	static struct sock_filter big[4096];
	int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(big); i++)
		big[i] = (struct sock_filter)RET(SECCOMP_RET_ALLOW);
	while (n < 20 && install(big, 4096, 0) == 0)
		n++;
	CHECK(n >= 3 && n <= 7 && errno == ENOMEM); /* 32768 instructions in all; Linux counts what it translates them to */
	return 0;
}

static void chains_are_bounded(void **state)
{
	EXPECT(check_length, 0);
}

static int check_inheritance(void)
{
	char *argv[] = { (char *)(uintptr_t)"sh", (char *)(uintptr_t)"-c", (char *)(uintptr_t)"grep -q '^Seccomp:.2' /proc/self/status; echo $? >&2; umask 0", NULL };
	int status;
	pid_t pid;

	CHECK(install_for(SYS_umask, SECCOMP_RET_KILL_PROCESS, 0) == 0);
	pid = fork();
	if (pid == 0) {
		int fd = open("/dev/null", O_WRONLY);

		dup2(fd, 2);
		execv("/bin/sh", argv);
		_exit(1);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	return 0;
}

static void children_and_programs_inherit(void **state)
{
	EXPECT(check_inheritance, 0);
}

static pthread_barrier_t bar;
static _Atomic int stop;
static long seen;

static void *spin_then_ask(void *arg)
{
	pthread_barrier_wait(&bar);
	while (!stop)
		syscall(SYS_getppid);
	seen = syscall(NO_CALL_NR);
	seen = errno;
	return arg;
}

static int check_tsync(void)
{
	pthread_t th;

	pthread_barrier_init(&bar, NULL, 2);
	CHECK(pthread_create(&th, NULL, spin_then_ask, NULL) == 0);
	pthread_barrier_wait(&bar);
	usleep(20000);
	CHECK(install_for(NO_CALL_NR, SECCOMP_RET_ERRNO | 77, SECCOMP_FILTER_FLAG_TSYNC) == 0);
	stop = 1;
	pthread_join(th, NULL);
	CHECK(seen == 77);
	return 0;
}

static void *ask_until_stopped(void *arg)
{
	pthread_barrier_wait(&bar);
	while (!stop)
		syscall(SYS_getppid);
	seen = syscall(SYS_getppid) == -1 ? errno : 0;
	return arg;
}

/* What a thread calls after the filter was there for all obeys it, be it just then in a loop of such calls. */
static int check_tsync_at_once(void)
{
	pthread_barrier_init(&bar, NULL, 2);
	for (int i = 0; i < 20; i++) {
		pthread_t th;
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			if (pthread_create(&th, NULL, ask_until_stopped, NULL) != 0)
				_exit(1);
			pthread_barrier_wait(&bar);
			usleep(1000);
			if (install_for(SYS_getppid, SECCOMP_RET_ERRNO | 78, SECCOMP_FILTER_FLAG_TSYNC) != 0)
				_exit(2);
			stop = 1;
			pthread_join(th, NULL);
			_exit(seen == 78 ? 0 : 3);
		}
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
	return 0;
}

static _Atomic int other_tid;

static void *own_filter(void *arg)
{
	other_tid = (int)syscall(SYS_gettid);
	if (install_for(NO_CALL_NR, SECCOMP_RET_ERRNO | 5, 0))
		return arg;
	pthread_barrier_wait(&bar);
	pthread_barrier_wait(&bar);
	return NULL;
}

static int check_tsync_refused(void)
{
	pthread_t th;

	pthread_barrier_init(&bar, NULL, 2);
	CHECK(pthread_create(&th, NULL, own_filter, &bar) == 0);
	pthread_barrier_wait(&bar);
	CHECK(install_for(NO_CALL_NR, SECCOMP_RET_ERRNO | 6, SECCOMP_FILTER_FLAG_TSYNC) == other_tid);
	CHECK(install_for(NO_CALL_NR, SECCOMP_RET_ERRNO | 6, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH) == -1 &&
	      errno == ESRCH);
	CHECK(syscall(NO_CALL_NR) == -1 && errno == ENOSYS); /* nothing was installed */
	pthread_barrier_wait(&bar);
	pthread_join(th, NULL);
	return 0;
}

static void threads_can_be_taken_along(void **state)
{
	EXPECT(check_tsync, 0);
	EXPECT(check_tsync_at_once, 0);
	EXPECT(check_tsync_refused, 0);
}

/* --- strict mode ----------------------------------------------------------------------------------------------- */

static int strict_ok(void)
{
	char c = 0;
	int p[2];

	CHECK(pipe(p) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
	syscall(SYS_write, p[1], "x", 1);
	syscall(SYS_read, p[0], &c, 1);
	syscall(SYS_exit, c == 'x' ? 9 : 8);
	return 0;
}

static int strict_violated(void)
{
	CHECK(seccomp(SECCOMP_SET_MODE_STRICT, 0, NULL) == 0);
	syscall(SYS_getpid);
	syscall(SYS_exit, 1);
	return 0;
}

static void strict_mode(void **state)
{
	EXPECT(strict_ok, exits(9));
	EXPECT(strict_violated, SIGKILL);
}

/* --- with a tracer ----------------------------------------------------------------------------------------------- */

static int traced(void)
{
	CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
	raise(SIGSTOP);
	CHECK(install_for(NO_CALL_NR, SECCOMP_RET_TRACE | 42, 0) == 0);
	return syscall(NO_CALL_NR) == -1 && errno == ENOSYS ? 5 : 6;
}

static void tracers_are_asked(void **state)
{
	unsigned long data = 0;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		_exit(traced());
	}
	ASSERT_OK(waitpid(pid, &status, 0));
	assert_true(WIFSTOPPED(status));
	ASSERT_OK(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL));
	ASSERT_OK(ptrace(PTRACE_CONT, pid, 0, 0));
	ASSERT_OK(waitpid(pid, &status, 0));
	assert_int_equal(status >> 8, SIGTRAP | PTRACE_EVENT_SECCOMP << 8);
	ASSERT_OK(ptrace(PTRACE_GETEVENTMSG, pid, 0, &data));
	assert_int_equal(data, 42);
	ASSERT_OK(ptrace(PTRACE_CONT, pid, 0, 0));
	ASSERT_OK(waitpid(pid, &status, 0));
	assert_int_equal(status, exits(5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_programs_are_refused),
		cmocka_unit_test(programs_compute),
		cmocka_unit_test(programs_see_the_call),
		cmocka_unit_test(errors_are_returned),
		cmocka_unit_test(hot_calls_are_judged_too),
		cmocka_unit_test(traps_are_signals),
		cmocka_unit_test(killing),
		cmocka_unit_test(the_strongest_counts),
		cmocka_unit_test(facts_are_told),
		cmocka_unit_test(privileges_are_needed),
		cmocka_unit_test(chains_are_bounded),
		cmocka_unit_test(children_and_programs_inherit),
		cmocka_unit_test(threads_can_be_taken_along),
		cmocka_unit_test(strict_mode),
		cmocka_unit_test(tracers_are_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
