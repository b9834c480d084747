/* SPDX-License-Identifier: MIT */
/*
 * Resource limits that are felt by processes: NPROC, CPU, STACK, FSIZE's signal, NICE, RTPRIO, hard limits, and what
 * becomes of limits in children and new programs. (Memory: test_mmap.c, test_brk.c; descriptors: test_limits.c.)
 */
#include "tests/lib/child.h"

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static int set(int what, rlim_t soft, rlim_t hard)
{
	struct rlimit lim = { soft, hard };

	return setrlimit(what, &lim);
}

/* An id that nobody else has: natively others run under 65534 too. */
static int become_somebody(void)
{
	return getuid() ? -1 : setresgid(54321, 54321, 54321) < 0 || setresuid(54321, 54321, 54321) < 0 ? -1 : 0;
}

static int forks_until_refused(int limit)
{
	pid_t pid[32];
	int n = 0, err = 0;
	struct gate g;

	gate_make(&g);
	for (; n < 32; n++) {
		pid[n] = fork();
		if (pid[n] == 0) {
			gate_wait(&g);
			_exit(0);
		}
		if (pid[n] < 0) {
			err = errno;
			break;
		}
	}
	gate_open(&g);
	for (int i = 0; i < n; i++)
		child_status(pid[i]);
	CHECK(n == limit - 1 && err == EAGAIN);         /* we count, too */
	return 0;
}

static int limit_processes(void *arg)
{
	if (become_somebody() < 0)
		return 0;
	CHECK(set(RLIMIT_NPROC, 6, 6) == 0);
	CHECK(forks_until_refused(6) == 0);
	CHECK(forks_until_refused(6) == 0);             /* who was waited for does not count any more */
	return 0;
}

static void users_have_so_many_processes(void **state)
{
	IN_CHILD(limit_processes, NULL);
}

static int root_forks(void *arg)
{
	CHECK(set(RLIMIT_NPROC, 1, 1) == 0);
	if (getuid())
		return 0;
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	CHECK(pid > 0 && child_status(pid) == 0);
	return 0;
}

static void root_feels_no_limit_of_processes(void **state)
{
	IN_CHILD(root_forks, NULL);
}

/* --- CPU -------------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t xcpu;

static void count_xcpu(int sig)
{
	xcpu++;
}

static int burn(void *arg)
{
	intptr_t how = (intptr_t)arg;

	if (how == 1)
		signal(SIGXCPU, count_xcpu);
	CHECK(set(RLIMIT_CPU, 1, how == 1 ? 2 : RLIM_INFINITY) == 0);
	for (;;)
		if (how == 1 && xcpu > 5)
			return 1;
	return 0;
}

static void cpu_time_ends_in_sigxcpu_then_sigkill(void **state)
{
	struct rusage ru;
	int status;
	pid_t pid = child_start(burn, (void *)0L);

	assert_int_equal(wait4(pid, &status, 0, &ru), pid);
	assert_int_equal(status & 0x7f, SIGXCPU);
	assert_in_range(ru.ru_utime.tv_sec * 1000 + ru.ru_stime.tv_sec * 1000 + ru.ru_utime.tv_usec / 1000 + ru.ru_stime.tv_usec / 1000,
			700, 1900); /* ticks are sampled */
	assert_int_equal(child_status(child_start(burn, (void *)1L)) & 0x7f, SIGKILL);
}

/* --- STACK ------------------------------------------------------------------------------------------------------------- */

static char *deepest;

static __attribute__((noinline)) int recurse(volatile char *above, int left)
{
	volatile char frame[4096];

	frame[0] = *above;
	deepest = (char *)frame;
	return left > 0 ? recurse(frame, left - 1) + frame[0] : 0;
}

static void leave(int sig, siginfo_t *info, void *uc)
{
	_exit(sig == SIGSEGV && info->si_code == SEGV_MAPERR ? 11 : 12);
}

static int overflow(void *arg)
{
	static char alt[32768];
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) };
	struct sigaction a = { .sa_sigaction = leave, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	char c = 0;

	CHECK(sigaltstack(&ss, NULL) == 0 && sigaction(SIGSEGV, &a, NULL) == 0);
	CHECK(set(RLIMIT_STACK, (rlim_t)(intptr_t)arg, RLIM_INFINITY) == 0);
	recurse(&c, 150);       /* 600 KiB and more */
	return 0;
}

static void the_stack_grows_to_its_limit(void **state)
{
	assert_int_equal(child_status(child_start(overflow, (void *)(intptr_t)(1 << 20))), 0);
	assert_int_equal(child_status(child_start(overflow, (void *)(intptr_t)(300 << 10))), 11 << 8);
}

/* --- FSIZE ---------------------------------------------------------------------------------------------------------------- */

static int write_beyond(void *arg)
{
	char buf[64] = { 0 };
	int fd = open("fsize", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0 && set(RLIMIT_FSIZE, 100, 100) == 0);
	CHECK(write(fd, buf, 64) == 64 && write(fd, buf, 64) == 36);
	(void)!write(fd, buf, 64);
	return 1;
}

static void files_beyond_their_limit_end_in_sigxfsz(void **state)
{
	assert_int_equal(child_status(child_start(write_beyond, NULL)) & 0x7f, SIGXFSZ);
}

/* --- NICE, RTPRIO, hard limits: for those without privileges ------------------------------------------------------------------ */

static int priorities(void *arg)
{
	struct sched_param sp = { .sched_priority = 3 }, none = { 0 };

	if (set(RLIMIT_NICE, 18, 18) < 0 || set(RLIMIT_RTPRIO, 3, 3) < 0)
		return errno != EPERM;          /* root without CAP_SYS_RESOURCE */
	CHECK(become_nobody() == 0);
	CHECK(setpriority(PRIO_PROCESS, 0, 10) == 0);
	CHECK(setpriority(PRIO_PROCESS, 0, 2) == 0);            /* 20 - 18 */
	errno = 0;
	CHECK(setpriority(PRIO_PROCESS, 0, 1) < 0 && errno == EACCES);
	CHECK(getpriority(PRIO_PROCESS, 0) == 2);
	CHECK(sched_setscheduler(0, SCHED_FIFO, &sp) == 0);
	sp.sched_priority = 4;
	errno = 0;
	CHECK(sched_setscheduler(0, SCHED_FIFO, &sp) < 0 && errno == EPERM);
	CHECK(sched_setscheduler(0, SCHED_OTHER, &none) == 0);
	return 0;
}

static void nice_and_realtime_have_limits(void **state)
{
	IN_CHILD(priorities, NULL);
}

static int reset_on_fork(void *arg)
{
	struct sched_param sp = { .sched_priority = 2 }, got;
	int status;

	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &sp) < 0)
		return errno != EPERM;
	CHECK(sched_getscheduler(0) == (SCHED_RR | SCHED_RESET_ON_FORK));
	pid_t pid = fork();
	if (pid == 0)
		_exit(sched_getscheduler(0) != SCHED_OTHER || sched_getparam(0, &got) < 0 || got.sched_priority != 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(sched_setscheduler(0, SCHED_RR, &sp) == 0);
	pid = fork();
	if (pid == 0)
		_exit(sched_getscheduler(0) != SCHED_RR);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	return 0;
}

static void a_policy_may_end_with_fork(void **state)
{
	IN_CHILD(reset_on_fork, NULL);
}

static int hard_limits(void *arg)
{
	struct rlimit lim;

	if (become_nobody() < 0)
		return 0;
	CHECK(getrlimit(RLIMIT_CORE, &lim) == 0);
	CHECK(set(RLIMIT_CORE, 1000, 2000) == 0);
	errno = 0;
	CHECK(set(RLIMIT_CORE, 1000, 2001) < 0 && errno == EPERM);
	CHECK(set(RLIMIT_CORE, 2000, 2000) == 0);
	errno = 0;
	CHECK(prlimit(getppid(), RLIMIT_CORE, NULL, &lim) < 0 && errno == EPERM);       /* root's */
	return 0;
}

static void hard_limits_go_down_only(void **state)
{
	if (getuid() == 0)
		IN_CHILD(hard_limits, NULL);
}

/* --- children and programs ------------------------------------------------------------------------------------------------------- */

static int exec_with_limits(void *arg)
{
	CHECK(set(RLIMIT_CORE, 4096, 8192) == 0 && set(RLIMIT_NOFILE, 77, 88) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "test $(ulimit -Sn) = 77 && test $(ulimit -Hn) = 88 && test $(ulimit -Sc) = 8", NULL);
		_exit(9);
	}
	CHECK(child_status(pid) == 0);
	return 0;
}

static void limits_are_inherited_and_survive_exec(void **state)
{
	IN_CHILD(exec_with_limits, NULL);
}

static int limited_by_parent(void *arg)
{
	struct rlimit lim;

	gate_wait(arg);
	CHECK(getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur == 5);
	CHECK(open("/dev/null", O_RDONLY) < 5);
	for (int i = 0; i < 5; i++)
		if (open("/dev/null", O_RDONLY) < 0 && errno == EMFILE)
			return 0;
	return 1;
}

static void limits_of_others_can_be_set(void **state)
{
	struct rlimit lim = { 5, 100 }, old;
	struct gate g;

	gate_make(&g);
	pid_t pid = child_start(limited_by_parent, &g);
	ASSERT_OK(prlimit(pid, RLIMIT_NOFILE, &lim, &old));
	assert_true(old.rlim_cur > 5);
	gate_open(&g);
	ASSERT_CHILD_OK(pid);
}

/* --- MEMLOCK, SIGPENDING ---------------------------------------------------------------------------------------------------------------- */

static int lock_memory(void *arg)
{
	char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(set(RLIMIT_MEMLOCK, 64 << 10, 64 << 10) == 0);
	if (geteuid() == 0 && prctl(PR_CAPBSET_READ, CAP_IPC_LOCK, 0, 0, 0) == 1) /* for whom there is no limit */
		CHECK(mlock(p, 1 << 20) == 0 && munlock(p, 1 << 20) == 0);
	if (become_nobody() < 0)
		return 0;
	CHECK(mlock(p, 64 << 10) == 0);
	errno = 0;
	CHECK(mlock(p + (64 << 10), 4096) < 0 && errno == ENOMEM);
	errno = 0;
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) == MAP_FAILED && errno == EAGAIN);
	CHECK(munlock(p, 4096) == 0 && mlock(p + (100 << 10), 4096) == 0);
	CHECK(set(RLIMIT_MEMLOCK, 0, 0) == 0);
	errno = 0;
	CHECK(mlock(p, 4096) < 0 && (errno == EPERM || errno == ENOMEM));
	return 0;
}

static void locked_memory_has_a_limit(void **state)
{
	IN_CHILD(lock_memory, NULL);
}

static int queue_signals(void *arg)
{
	union sigval v = { 0 };
	sigset_t block;
	int n = 0;

	if (become_somebody() < 0)
		return 0;
	sigemptyset(&block);
	sigaddset(&block, SIGRTMIN);
	sigaddset(&block, SIGUSR1);
	CHECK(sigprocmask(SIG_BLOCK, &block, NULL) == 0);
	CHECK(set(RLIMIT_SIGPENDING, 10, 10) == 0);
	while (n < 50 && sigqueue(getpid(), SIGRTMIN, v) == 0)
		n++;
	CHECK(n == 10 && errno == EAGAIN);
	CHECK(kill(getpid(), SIGUSR1) == 0);                    /* standard ones always go */
	CHECK(sigpending(&block) == 0 && sigismember(&block, SIGUSR1));
	return 0;
}

static void queued_signals_have_a_limit(void **state)
{
	IN_CHILD(queue_signals, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_have_so_many_processes),
		cmocka_unit_test(root_feels_no_limit_of_processes),
		cmocka_unit_test(cpu_time_ends_in_sigxcpu_then_sigkill),
		cmocka_unit_test(the_stack_grows_to_its_limit),
		cmocka_unit_test(files_beyond_their_limit_end_in_sigxfsz),
		cmocka_unit_test(nice_and_realtime_have_limits),
		cmocka_unit_test(a_policy_may_end_with_fork),
		cmocka_unit_test(hard_limits_go_down_only),
		cmocka_unit_test(limits_are_inherited_and_survive_exec),
		cmocka_unit_test(limits_of_others_can_be_set),
		cmocka_unit_test(locked_memory_has_a_limit),
		cmocka_unit_test(queued_signals_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
