/* SPDX-License-Identifier: MIT */
/*
 * clone(2), clone3(2), unshare(2): what parent and child share and what not, for processes (threads have
 * test_threads.c), and what is refused.
 */
#include "tests/lib/child.h"

#include <linux/sched.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static char stack[65536] __attribute__((aligned(16)));
#define STACK_TOP (stack + sizeof(stack))

static mode_t current_umask(void)
{
	mode_t m = umask(0);

	umask(m);
	return m;
}

/* --- CLONE_FS ------------------------------------------------------------------------------------------------ */

static bool in_sub(void)
{
	char cwd[4096];
	size_t n = getcwd(cwd, sizeof(cwd)) ? strlen(cwd) : 0;

	return n > 4 && !strcmp(cwd + n - 4, "/sub");
}

static void change_directory_and_mask_in_child(uint64_t flags)
{
	pid_t pid = raw_clone(flags | SIGCHLD, NULL, NULL, 0);

	if (pid == 0) {
		umask(0123);
		_exit(chdir("sub") != 0);
	}
	ASSERT_CHILD_OK(pid);
}

static void clone_fs_shares_directory_and_mask(void **state)
{
	(void)mkdir("sub", 0755);
	umask(022);
	change_directory_and_mask_in_child(0);
	assert_false(in_sub());
	assert_int_equal(current_umask(), 022);
	change_directory_and_mask_in_child(CLONE_FS);
	assert_true(in_sub());
	assert_int_equal(current_umask(), 0123);
	ASSERT_OK(chdir(".."));
	umask(022);
}

static int chroot_below(void *arg)
{
	pid_t pid;
	int status;

	if (chroot(".") < 0)
		return errno == EPERM ? 0 : 1;
	CHECK(mkdir("new-root", 0755) == 0 || errno == EEXIST);
	pid = raw_clone(CLONE_FS | SIGCHLD, NULL, NULL, 0);
	if (pid == 0)
		_exit(chroot("new-root") != 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(access("/new-root", F_OK) < 0 && errno == ENOENT);
	return 0;
}

static void clone_fs_shares_the_root(void **state)
{
	IN_CHILD(chroot_below, NULL);
}

static void unshare_fs_ends_the_sharing(void **state)
{
	pid_t pid = raw_clone(CLONE_FS | SIGCHLD, NULL, NULL, 0);

	if (pid == 0) {
		if (unshare(CLONE_FS) < 0)
			_exit(1);
		umask(0);
		_exit(chdir("/") != 0);
	}
	umask(022);
	ASSERT_CHILD_OK(pid);
	assert_int_equal(current_umask(), 022);
}

/* --- CLONE_FILES ----------------------------------------------------------------------------------------------- */

static void clone_files_shares_the_table(void **state)
{
	int fd = (int)ASSERT_OK(open("/dev/null", O_RDWR)), high = 90;

	for (int share = 0; share < 2; share++) {
		pid_t pid = raw_clone((share ? CLONE_FILES : 0) | SIGCHLD, NULL, NULL, 0);

		if (pid == 0)
			_exit(dup2(fd, high) != high || fcntl(high, F_SETFD, FD_CLOEXEC) < 0);
		ASSERT_CHILD_OK(pid);
		if (share)
			assert_int_equal(fcntl(high, F_GETFD), FD_CLOEXEC);
		else
			ASSERT_ERR(fcntl(high, F_GETFD), EBADF);
	}
	pid_t pid = raw_clone(CLONE_FILES | SIGCHLD, NULL, NULL, 0);
	if (pid == 0)
		_exit(unshare(CLONE_FILES) < 0 || close(high) < 0);
	ASSERT_CHILD_OK(pid);
	ASSERT_OK(close(high));
	close(fd);
}

/* --- memory and handlers ------------------------------------------------------------------------------------------ */

static volatile int word;

static int set_word(void *arg)
{
	word = (int)(intptr_t)arg;
	return 0;
}

static void clone_vm_shares_memory(void **state)
{
	for (int share = 0; share < 2; share++) {
		word = 1;
		pid_t pid = clone(set_word, STACK_TOP, (share ? CLONE_VM : 0) | SIGCHLD, (void *)7L);
		ASSERT_CHILD_OK((pid_t)ASSERT_OK(pid));
		assert_int_equal(word, share ? 7 : 1);
	}
}

static void handler(int sig)
{
}

static void other_handler(int sig)
{
}

static int change_handler_and_mask(void *arg)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return signal(SIGUSR1, other_handler) != handler || sigprocmask(SIG_BLOCK, &set, NULL) < 0 || raise(SIGUSR2) != 0;
}

static void clone_sighand_shares_handlers_but_not_masks(void **state)
{
	for (int share = 0; share < 2; share++) {
		struct sigaction a;
		sigset_t set;

		signal(SIGUSR1, handler);
		pid_t pid = clone(change_handler_and_mask, STACK_TOP, CLONE_VM | (share ? CLONE_SIGHAND : 0) | SIGCHLD, NULL);
		ASSERT_CHILD_OK((pid_t)ASSERT_OK(pid));
		ASSERT_OK(sigaction(SIGUSR1, NULL, &a));
		assert_ptr_equal(a.sa_handler, share ? other_handler : handler);
		ASSERT_OK(sigprocmask(SIG_BLOCK, NULL, &set));
		assert_int_equal(sigismember(&set, SIGUSR2), 0);
		ASSERT_OK(sigpending(&set));
		assert_int_equal(sigismember(&set, SIGUSR2), 0);
	}
	signal(SIGUSR1, SIG_DFL);
}

static pid_t clone3_call(struct clone_args *a)
{
	return (pid_t)syscall(SYS_clone3, a, sizeof(*a));
}

static int handlers_are_cleared(void)
{
	struct sigaction a;

	CHECK(sigaction(SIGUSR1, NULL, &a) == 0 && a.sa_handler == SIG_DFL);
	CHECK(sigaction(SIGUSR2, NULL, &a) == 0 && a.sa_handler == SIG_IGN);
	return 0;
}

static void clear_sighand_leaves_only_what_is_ignored(void **state)
{
	struct clone_args a = { .flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD };

	signal(SIGUSR1, handler);
	signal(SIGUSR2, SIG_IGN);
	pid_t pid = clone3_call(&a);
	if (pid == 0)
		_exit(handlers_are_cleared());
	ASSERT_CHILD_OK((pid_t)ASSERT_OK(pid));
	a.flags |= CLONE_SIGHAND | CLONE_VM;
	ASSERT_ERR(clone3_call(&a), EINVAL);
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
}

static int altstack_flags(void *arg)
{
	stack_t ss;

	return sigaltstack(NULL, &ss) < 0 ? 99 : ss.ss_flags;
}

static void the_alternate_stack_goes_with_copied_memory_only(void **state)
{
	static char alt[32768];
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) }, off = { .ss_flags = SS_DISABLE };

	ASSERT_OK(sigaltstack(&ss, NULL));
	assert_int_equal(WEXITSTATUS(child_status(clone(altstack_flags, STACK_TOP, SIGCHLD, NULL))), 0);
	assert_int_equal(WEXITSTATUS(child_status(clone(altstack_flags, STACK_TOP, CLONE_VM | SIGCHLD, NULL))), SS_DISABLE);
	assert_int_equal(WEXITSTATUS(child_status(clone(altstack_flags, STACK_TOP, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL))), 0);
	ASSERT_OK(sigaltstack(&off, NULL));
}

/* --- CLONE_VFORK ------------------------------------------------------------------------------------------------------ */

static int slow_set_word(void *arg)
{
	sleep_ms(30);
	word = (int)(intptr_t)arg;
	return 3;
}

static void vfork_waits_with_and_without_shared_memory(void **state)
{
	for (int share = 0; share < 2; share++) {
		int64_t from = now_ms();
		int status;

		word = 1;
		pid_t pid = clone(slow_set_word, STACK_TOP, (share ? CLONE_VM : 0) | CLONE_VFORK | SIGCHLD, (void *)9L);
		ASSERT_OK(pid);
		assert_true(now_ms() - from >= 29);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(WEXITSTATUS(status), 3);
		assert_int_equal(word, share ? 9 : 1);
	}
}

static __attribute__((noreturn)) int hang(void *arg)
{
	alarm(1); /* it outlives its parent */
	for (;;)
		pause();
}

static int killer(void *arg)
{
	sleep_ms(30);
	return kill(*(pid_t *)arg, SIGKILL);
}

static int vfork_a_hanging_child(void *arg)
{
	pid_t me = getpid(), pid;

	if (child_start(killer, &me) < 0)
		return 1;
	pid = clone(hang, STACK_TOP, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
	return pid != 0;        /* not reached: killed in the call */
}

static void a_parent_that_waits_in_vfork_can_be_killed(void **state)
{
	assert_int_equal(child_status(child_start(vfork_a_hanging_child, NULL)), SIGKILL);
}

/* --- words in memory ---------------------------------------------------------------------------------------------------- */

static void tid_words_are_written_where_they_belong(void **state)
{
	static volatile int parent_tid, child_tid;
	int *seen = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	parent_tid = child_tid = 0;
	pid = raw_clone(CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, (int *)&parent_tid, (int *)&child_tid, 0);
	if (pid == 0) {
		seen[0] = child_tid;
		seen[1] = (int)syscall(SYS_gettid);
		seen[2] = parent_tid;
		_exit(0);
	}
	ASSERT_CHILD_OK((pid_t)ASSERT_OK(pid));
	assert_int_equal(seen[0], pid);
	assert_int_equal(seen[1], pid);
	assert_int_equal(parent_tid, pid);
	assert_int_equal(child_tid, 0);         /* written in the child's copy */

	/* An address that cannot be written to: the child is there all the same. */
	pid = raw_clone(CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, (int *)8, (int *)8, 0);
	if (pid == 0)
		_exit(0);
	ASSERT_CHILD_OK((pid_t)ASSERT_OK(pid));
	munmap(seen, 4096);
}

static int just_exit(void *arg)
{
	return 0;
}

/* Nobody shares the memory any more: then the word stays (kernel/fork.c, mm_release). */
static void cleartid_needs_somebody_to_see_it(void **state)
{
	volatile int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static volatile int mine;
	pid_t pid;

	shared[0] = 5;
	pid = raw_clone(CLONE_CHILD_CLEARTID | SIGCHLD, NULL, (int *)shared, 0);
	if (pid == 0)
		_exit(0);
	ASSERT_CHILD_OK((pid_t)ASSERT_OK(pid));
	assert_int_equal(shared[0], 5);
	mine = 5;
	pid = clone(just_exit, STACK_TOP, CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, NULL, NULL, NULL, &mine);
	ASSERT_CHILD_OK((pid_t)ASSERT_OK(pid));
	assert_int_equal(mine, 0);
	munmap((void *)shared, 4096);
}

/* --- CLONE_PARENT, exit signals -------------------------------------------------------------------------------------------- */

static int make_sibling(void *arg)
{
	int *ids = arg;

	pid_t pid = raw_clone(CLONE_PARENT | SIGUSR2 /* no effect: the caller's own is taken */, NULL, NULL, 0);

	if (pid == 0) {
		ids[1] = getppid();
		_exit(5);
	}
	CHECK(pid > 0);
	ids[0] = pid;
	CHECK(waitpid(-1, NULL, __WALL) < 0 && errno == ECHILD);        /* not ours */
	return 0;
}

static void clone_parent_makes_a_sibling(void **state)
{
	volatile int *ids = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	IN_CHILD(make_sibling, (void *)ids);
	assert_int_equal(waitpid(ids[0], &status, 0), ids[0]);
	assert_int_equal(WEXITSTATUS(status), 5);
	assert_int_equal(ids[1], getpid());
	munmap((void *)ids, 4096);
}

static volatile int got;
static volatile pid_t got_pid;

static void note(int sig, siginfo_t *info, void *uc)
{
	got = sig;
	got_pid = info->si_pid;
}

static void catch_all(int sig)
{
	struct sigaction a = { .sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESTART };

	ASSERT_OK(sigaction(sig, &a, NULL));
}

static void the_exit_signal_may_be_any(void **state)
{
	const int signals[] = { SIGUSR1, 0, SIGRTMIN + 3, 200 };
	int status;

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		int sig = signals[i];

		if (sig > 0 && sig < 65)
			catch_all(sig);
		catch_all(SIGCHLD);
		got = 0;
		pid_t pid = raw_clone((uint64_t)sig, NULL, NULL, 0);
		if (pid == 0)
			_exit(4);
		ASSERT_OK(pid);
		ASSERT_ERR(waitpid(pid, &status, 0), ECHILD);           /* a "clone" child */
		ASSERT_ERR(waitpid(-1, &status, 0), ECHILD);
		assert_int_equal(waitpid(pid, &status, i & 1 ? __WALL : __WCLONE), pid);
		assert_int_equal(WEXITSTATUS(status), 4);
		if (sig > 0 && sig < 65) {
			assert_int_equal(got, sig);
			assert_int_equal(got_pid, pid);
			signal(sig, SIG_DFL);
		} else {
			assert_int_equal(got, 0);
		}
	}
	signal(SIGCHLD, SIG_DFL);
	struct clone_args a = { .exit_signal = 65 };
	ASSERT_ERR(clone3_call(&a), EINVAL);
	a.exit_signal = 256;
	ASSERT_ERR(clone3_call(&a), EINVAL);
}

static void after_exec_it_is_an_ordinary_child(void **state)
{
	int status;

	catch_all(SIGCHLD);
	got = 0;
	pid_t pid = raw_clone(SIGUSR1, NULL, NULL, 0);
	if (pid == 0) {
		execl("/bin/true", "true", NULL);
		_exit(9);
	}
	ASSERT_OK(pid);
	/* Without __WCLONE there is none until it has called execve. */
	while (waitpid(pid, &status, 0) < 0 && errno == ECHILD)
		sched_yield();
	assert_int_equal(status, 0);
	assert_int_equal(got, SIGCHLD);
	signal(SIGCHLD, SIG_DFL);
}

/* --- CLONE_PIDFD ------------------------------------------------------------------------------------------------------------- */

static void a_pidfd_comes_with_the_child(void **state)
{
	struct gate g;
	struct pollfd p;
	siginfo_t info = { 0 };
	int fd = -1, one;

	gate_make(&g);
	pid_t pid = raw_clone(CLONE_PIDFD | SIGCHLD, &fd, NULL, 0);
	if (pid == 0) {
		gate_wait(&g);
		_exit(6);
	}
	ASSERT_OK(pid);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	p = (struct pollfd){ fd, POLLIN, 0 };
	assert_int_equal(poll(&p, 1, 0), 0);
	gate_open(&g);
	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	ASSERT_OK(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED));
	assert_int_equal(info.si_pid, pid);
	assert_int_equal(info.si_status, 6);
	close(fd);
	ASSERT_ERR(raw_clone(CLONE_PIDFD | SIGCHLD, (int *)8, NULL, 0), EFAULT);
	ASSERT_ERR(raw_clone(CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, &one, NULL, 0), EINVAL);
	ASSERT_ERR(waitpid(-1, NULL, 0), ECHILD);       /* refused ones leave nothing */

	struct clone_args a = { .flags = CLONE_PIDFD | CLONE_PARENT_SETTID, .pidfd = (uintptr_t)&fd, .parent_tid = (uintptr_t)&fd,
				.exit_signal = SIGCHLD };
	ASSERT_ERR(clone3_call(&a), EINVAL);
	a.parent_tid = (uintptr_t)&one;
	pid = clone3_call(&a);
	if (pid == 0)
		_exit(0);
	assert_int_equal(one, pid);
	ASSERT_CHILD_OK((pid_t)ASSERT_OK(pid));
	close(fd);
}

static int pidfd_without_room(void *arg)
{
	struct rlimit lim = { 3, 3 };
	int fd = -1;

	CHECK(setrlimit(RLIMIT_NOFILE, &lim) == 0);
	errno = 0;
	pid_t pid = raw_clone(CLONE_PIDFD | SIGCHLD, &fd, NULL, 0);
	if (pid == 0)
		_exit(0);
	CHECK(pid < 0 && errno == EMFILE);
	CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
	return 0;
}

static void a_pidfd_needs_a_free_descriptor(void **state)
{
	IN_CHILD(pidfd_without_room, NULL);
}

/* --- refusals ------------------------------------------------------------------------------------------------------------------ */

static void no_thread_or_handlers_without_memory(void **state)
{
	static const uint64_t bad[] = { CLONE_THREAD, CLONE_THREAD | CLONE_VM, CLONE_SIGHAND, CLONE_SIGHAND | CLONE_THREAD,
					CLONE_NEWNS | CLONE_FS, CLONE_NEWUSER | CLONE_FS,
					CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NEWPID };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct clone_args a = { .flags = bad[i], .exit_signal = bad[i] & CLONE_THREAD ? 0 : SIGCHLD };

		ASSERT_ERR(raw_clone(bad[i] | SIGCHLD, NULL, NULL, 0), EINVAL);
		ASSERT_ERR(clone3_call(&a), EINVAL);
	}
	ASSERT_ERR(raw_clone(CLONE_SETTLS | SIGCHLD, NULL, NULL, ~(uint64_t)0), EPERM);
	struct clone_args a = { .flags = CLONE_PARENT, .exit_signal = SIGCHLD };
	ASSERT_ERR(clone3_call(&a), EINVAL);
	a = (struct clone_args){ .exit_signal = SIGCHLD, .stack = (uintptr_t)stack };
	ASSERT_ERR(clone3_call(&a), EINVAL);
	a = (struct clone_args){ .exit_signal = SIGCHLD, .stack_size = 4096 };
	ASSERT_ERR(clone3_call(&a), EINVAL);
	a = (struct clone_args){ .exit_signal = SIGCHLD, .flags = CLONE_DETACHED };
	ASSERT_ERR(clone3_call(&a), EINVAL);
	a = (struct clone_args){ .exit_signal = SIGCHLD, .flags = 1ull << 40 };
	ASSERT_ERR(clone3_call(&a), EINVAL);
	a = (struct clone_args){ .exit_signal = SIGCHLD, .set_tid = 8 };
	ASSERT_ERR(clone3_call(&a), EINVAL);
	a = (struct clone_args){ .exit_signal = SIGCHLD, .set_tid_size = 1 };
	ASSERT_ERR(clone3_call(&a), EINVAL);
	a = (struct clone_args){ .exit_signal = SIGCHLD, .set_tid = 8, .set_tid_size = 33 };
	ASSERT_ERR(clone3_call(&a), EINVAL);
	a = (struct clone_args){ .exit_signal = SIGCHLD, .set_tid = 8, .set_tid_size = 1 };
	ASSERT_ERR(clone3_call(&a), EFAULT);
	ASSERT_ERR(waitpid(-1, NULL, __WALL), ECHILD);
}

static int ask_for_namespaces(void *arg)
{
	static const uint64_t kinds[] = { CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP,
					  CLONE_NEWTIME };
	pid_t want = getpid(), pid;
	struct clone_args a = { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&want, .set_tid_size = 1 };

	CHECK(become_nobody() == 0);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct clone_args kind = { .flags = kinds[i], .exit_signal = SIGCHLD };

		errno = 0;
		pid = kinds[i] == CLONE_NEWTIME ? -1 : raw_clone(kinds[i] | SIGCHLD, NULL, NULL, 0); /* a signal's bit there */
		if (pid == 0)
			_exit(0);
		CHECK(pid < 0 && (errno == EPERM || kinds[i] == CLONE_NEWTIME));
		errno = 0;
		pid = (pid_t)clone3_call(&kind);
		if (pid == 0)
			_exit(0);
		CHECK(pid < 0 && errno == EPERM);
		errno = 0;
		CHECK(unshare((int)kinds[i]) < 0 && errno == EPERM);
	}
	errno = 0;
	CHECK(clone3_call(&a) < 0 && errno == EPERM);
	want = 0;
	CHECK(clone3_call(&a) < 0 && errno == EINVAL);
	return 0;
}

static void namespaces_and_chosen_ids_need_privileges(void **state)
{
	IN_CHILD(ask_for_namespaces, NULL);
}

static void unshare_checks_its_flags(void **state)
{
	ASSERT_OK(unshare(0));
	ASSERT_ERR(unshare(CLONE_PARENT), EINVAL);
	ASSERT_ERR(unshare(1), EINVAL);
	ASSERT_OK(unshare(CLONE_THREAD | CLONE_SIGHAND | CLONE_VM));      /* alone already */
	ASSERT_OK(unshare(CLONE_FS | CLONE_FILES | CLONE_SYSVSEM));
}

static void an_id_can_be_chosen_if_it_is_free(void **state)
{
	pid_t want, pid = child_start(just_exit, NULL);
	struct clone_args a = { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&want, .set_tid_size = 1 };

	ASSERT_CHILD_OK(pid);
	want = getpid();
	pid_t r = clone3_call(&a);
	if (r < 0 && errno == EPERM)
		skip();
	ASSERT_RET(r, -1);
	assert_int_equal(errno, EEXIST);
	want = pid;
	r = clone3_call(&a);
	if (r == 0)
		_exit(getpid() != want);
	assert_int_equal(r, pid);
	ASSERT_CHILD_OK(pid);
	want = -5;
	ASSERT_ERR(clone3_call(&a), EINVAL);
}

/* --- all together ------------------------------------------------------------------------------------------------------------------ */

static int exit_seven(void *arg)
{
	return 7;
}

static void every_combination_of_sharing_works(void **state)
{
	static const unsigned bits[] = { CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_VFORK, CLONE_IO,
					 CLONE_CHILD_CLEARTID };
	static int ptid, ctid;

	for (unsigned set = 0; set < 1u << ARRAY_SIZE(bits); set++) {
		unsigned flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD;

		for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
			flags |= set & 1u << i ? bits[i] : 0;
		ptid = 0;
		pid_t pid = clone(exit_seven, STACK_TOP, (int)flags, NULL, &ptid, NULL, &ctid);
		if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM)) {
			assert_int_equal(pid, -1);
			assert_int_equal(errno, EINVAL);
			continue;
		}
		ASSERT_OK(pid);
		assert_int_equal(ptid, pid);
		assert_int_equal(WEXITSTATUS(child_status(pid)), 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clone_fs_shares_directory_and_mask),
		cmocka_unit_test(clone_fs_shares_the_root),
		cmocka_unit_test(unshare_fs_ends_the_sharing),
		cmocka_unit_test(clone_files_shares_the_table),
		cmocka_unit_test(clone_vm_shares_memory),
		cmocka_unit_test(clone_sighand_shares_handlers_but_not_masks),
		cmocka_unit_test(clear_sighand_leaves_only_what_is_ignored),
		cmocka_unit_test(the_alternate_stack_goes_with_copied_memory_only),
		cmocka_unit_test(vfork_waits_with_and_without_shared_memory),
		cmocka_unit_test(a_parent_that_waits_in_vfork_can_be_killed),
		cmocka_unit_test(tid_words_are_written_where_they_belong),
		cmocka_unit_test(cleartid_needs_somebody_to_see_it),
		cmocka_unit_test(clone_parent_makes_a_sibling),
		cmocka_unit_test(the_exit_signal_may_be_any),
		cmocka_unit_test(after_exec_it_is_an_ordinary_child),
		cmocka_unit_test(a_pidfd_comes_with_the_child),
		cmocka_unit_test(a_pidfd_needs_a_free_descriptor),
		cmocka_unit_test(no_thread_or_handlers_without_memory),
		cmocka_unit_test(namespaces_and_chosen_ids_need_privileges),
		cmocka_unit_test(unshare_checks_its_flags),
		cmocka_unit_test(an_id_can_be_chosen_if_it_is_free),
		cmocka_unit_test(every_combination_of_sharing_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
