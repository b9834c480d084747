/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of threads (PIDFD_THREAD, Linux 6.9), scopes of pidfd_send_signal(2), PIDFD_GET_INFO (6.13, exit statuses 6.15).
 * Descriptors of processes are in test_remote.c and test_wait.c.
 */
#include "tests/lib/child.h"
#include "tests/lib/file_bg.h"
#include "tests/lib/sigwait.h"

#include <linux/sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#define THREAD O_EXCL
#define SIG (SIGRTMIN + 3)
#define SELF_THREAD (-10000)
#define SELF_PROCESS (-10001)
enum { TO_THREAD = 1, TO_PROCESS = 2, TO_GROUP = 4 };
enum { INFO_PID = 1, INFO_CREDS = 2, INFO_EXIT = 8 };

struct info { uint64_t mask, cgroupid; uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid; int32_t exit_code; };
#define GET_INFO _IOWR(0xff, 11, struct info)

static int open_pid(pid_t pid, unsigned flags)
{
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

static long send_sig(int fd, int sig, siginfo_t *info, unsigned flags)
{
	return syscall(SYS_pidfd_send_signal, fd, sig, info, flags);
}

static atomic_int leave;

static long stay(void *arg)
{
	while (!atomic_load(&leave))
		sleep_ms(1);
	return 0;
}

/* A second thread, and a descriptor of it. */
static int start(struct bg *bg, unsigned flags)
{
	int fd;

	atomic_store(&leave, 0);
	bg_start(bg, stay, NULL);
	fd = open_pid(atomic_load(&bg->tid), THREAD | flags);
	if (fd < 0 && errno == EINVAL) {
		atomic_store(&leave, 1);
		bg_end(bg);
		skip();
	}
	return (int)ASSERT_OK(fd);
}

static void stop(struct bg *bg)
{
	atomic_store(&leave, 1);
	assert_int_equal(bg_end(bg), 0);
}

static int ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_in_range(poll(&p, 1, 0), 0, 1);
	return p.revents;
}

static void a_thread_can_be_meant(void **state)
{
	struct bg bg;
	int fd = start(&bg, O_NONBLOCK), ep = (int)ASSERT_OK(epoll_create1(0));
	struct epoll_event ev = { .events = EPOLLIN };

	assert_int_equal(fcntl(fd, F_GETFL), O_RDWR | THREAD | O_NONBLOCK);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	assert_int_equal(ready(fd), 0);
	ASSERT_OK(send_sig(fd, 0, NULL, 0));
	stop(&bg);
	assert_int_equal(epoll_wait(ep, &ev, 1, 30000), 1);
	assert_true(EVENTUALLY(ready(fd) == (POLLIN | POLLHUP)));
	ASSERT_ERR(send_sig(fd, 0, NULL, 0), ESRCH);
	close(ep);
	close(fd);
}

static void without_the_flag_only_leaders_can(void **state)
{
	struct bg bg;
	int fd = start(&bg, 0), r = open_pid(atomic_load(&bg.tid), 0);

	assert_int_equal(r, -1);
	assert_true(errno == ENOENT || errno == EINVAL); /* since Linux 6.15, before */
	ASSERT_ERR(open_pid(atomic_load(&bg.tid), 1), EINVAL);
	ASSERT_ERR(open_pid(1 << 21, THREAD), ESRCH);
	stop(&bg);
	close(fd);
}

static void they_are_nothing_to_wait_for(void **state)
{
	siginfo_t info;
	struct bg bg;
	int fd = start(&bg, 0), self = (int)ASSERT_OK(open_pid(getpid(), THREAD));

	ASSERT_ERR(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), ECHILD);
	ASSERT_ERR(waitid(P_PIDFD, (id_t)self, &info, WEXITED), ECHILD);
	stop(&bg);
	close(fd);
	close(self);
}

static int exit_7(void *arg)
{
	return 7;
}

static void a_childs_leader_ends_with_it(void **state)
{
	pid_t pid;
	siginfo_t info;
	struct bg bg;
	int fd;

	close(start(&bg, 0)); /* or the case is skipped */
	stop(&bg);
	pid = child_start(exit_7, NULL);
	fd = (int)ASSERT_OK(open_pid(pid, THREAD));
	assert_true(EVENTUALLY(ready(fd) == POLLIN));
	ASSERT_OK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED));
	assert_int_equal(info.si_pid, pid);
	assert_int_equal(info.si_status, 7);
	assert_int_equal(ready(fd), POLLIN | POLLHUP);
	close(fd);
}

static long fetch_here(void *arg)
{
	siginfo_t info;

	return sig_fetch(SIG, &info, SIGWAIT_LIMIT_MS) == SIG ? info.si_code : -100;
}

/* The kind of descriptor says whom, unless a flag does. */
static void signals_go_where_scope_says(void **state)
{
	siginfo_t info;
	struct bg bg;
	int fd;

	close(start(&bg, 0));
	stop(&bg);
	sig_block(SIG);
	bg_start(&bg, fetch_here, NULL);
	fd = (int)ASSERT_OK(open_pid(atomic_load(&bg.tid), THREAD));
	ASSERT_OK(send_sig(fd, SIG, NULL, 0));
	assert_int_equal(bg_end(&bg), SI_TKILL);
	assert_true(sig_none(SIG));
	close(fd);

	fd = start(&bg, 0);
	ASSERT_OK(send_sig(fd, SIG, NULL, TO_PROCESS));
	assert_int_equal(sig_fetch(SIG, &info, 0), SIG);
	assert_int_equal(info.si_code, SI_USER);
	ASSERT_OK(send_sig(fd, SIG, NULL, TO_THREAD));
	assert_true(sig_none(SIG));
	ASSERT_ERR(send_sig(fd, 0, NULL, TO_GROUP), ESRCH);     /* no group has this id */
	ASSERT_ERR(send_sig(fd, 0, NULL, TO_THREAD | TO_PROCESS), EINVAL);
	ASSERT_ERR(send_sig(fd, 0, NULL, 8), EINVAL);
	stop(&bg);
	close(fd);
	fd = (int)ASSERT_OK(open_pid(getpid(), 0));
	ASSERT_OK(send_sig(fd, SIG, NULL, TO_THREAD));          /* of a process: its leader */
	assert_int_equal(sig_fetch(SIG, &info, 0), SIG);
	assert_int_equal(info.si_code, SI_TKILL);
	close(fd);
}

static int hear_it(void *arg)
{
	siginfo_t info;

	return sig_fetch(SIG, &info, SIGWAIT_LIMIT_MS) == SIG && info.si_code == SI_USER ? 0 : 1;
}

static int lead(void *arg)
{
	siginfo_t mine = { .si_signo = SIG, .si_code = SI_TKILL };
	pid_t pid;
	int fd;

	CHECK(setpgid(0, 0) == 0);
	CHECK((fd = open_pid(getpid(), 0)) >= 0);
	pid = fork();
	if (pid == 0)
		_exit(hear_it(NULL));
	CHECK(send_sig(fd, SIG, &mine, TO_GROUP) == -1 && errno == EPERM); /* it is not to oneself alone */
	CHECK(send_sig(fd, SIG, NULL, TO_GROUP) == 0);
	CHECK(hear_it(NULL) == 0);
	CHECK(child_status(pid) == 0);
	return 0;
}

static void a_group_is_reached_by_its_leader(void **state)
{
	struct bg bg;

	close(start(&bg, 0));
	stop(&bg);
	sig_block(SIG);
	IN_CHILD(lead, NULL);
}

static void one_can_name_oneself(void **state)
{
	siginfo_t info;

	if (send_sig(SELF_THREAD, 0, NULL, 0) == -1) {
		assert_int_equal(errno, EBADF);         /* before Linux 6.14 */
		skip();
	}
	sig_block(SIG);
	ASSERT_OK(send_sig(SELF_PROCESS, SIG, NULL, 0));
	assert_int_equal(sig_fetch(SIG, &info, 0), SIG);
	assert_int_equal(info.si_code, SI_USER);
	ASSERT_OK(send_sig(SELF_THREAD, SIG, NULL, 0));
	assert_int_equal(sig_fetch(SIG, &info, 0), SIG);
	assert_int_equal(info.si_code, SI_TKILL);
}

static void clone_gives_them_for_threads(void **state)
{
	static char stack[16384] __attribute__((aligned(16)));
	struct clone_args a = {
		.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_PIDFD,
		.stack = (uintptr_t)stack, .stack_size = sizeof(stack),
	};
	int fd = -1;
	long tid;

	a.pidfd = (uintptr_t)&fd;
	/* The new thread must not touch the parent's frame: it ends at once. */
	asm volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\txor %%edi, %%edi\n\tmov %3, %%eax\n\tsyscall\n1:"
		     : "=a"(tid) : "0"(SYS_clone3), "D"(&a), "i"(SYS_exit), "S"(sizeof(a)) : "rcx", "r11", "memory");
	if (tid == -EINVAL || tid == -ENOSYS)
		skip();
	assert_true(tid > 0);
	assert_int_equal(fcntl(fd, F_GETFL), O_RDWR | THREAD);
	assert_true(EVENTUALLY(ready(fd) == (POLLIN | POLLHUP)));
	close(fd);
}

static void info_tells_ids(void **state)
{
	struct info i = { .mask = 0 };
	int fd = (int)ASSERT_OK(open_pid(getpid(), 0));

	if (ioctl(fd, GET_INFO, &i) == -1) {
		assert_int_equal(errno, ENOTTY);
		close(fd);
		skip();
	}
	assert_int_equal(i.mask & (INFO_PID | INFO_CREDS | INFO_EXIT), INFO_PID | INFO_CREDS);
	assert_int_equal(i.pid, getpid());
	assert_int_equal(i.tgid, getpid());
	assert_int_equal(i.ppid, getppid());
	assert_int_equal(i.ruid, getuid());
	assert_int_equal(i.fsgid, getegid());
	ASSERT_ERR(ioctl(fd, GET_INFO, NULL), EINVAL);
	ASSERT_ERR(ioctl(fd, GET_INFO, 8), EFAULT);
	ASSERT_ERR(ioctl(fd, _IO(0xff, 99), NULL), ENOTTY);
	close(fd);
}

static void info_tells_how_a_reaped_one_ended(void **state)
{
	struct info i = { .mask = INFO_EXIT };
	pid_t pid = child_start(exit_7, NULL);
	int fd = (int)ASSERT_OK(open_pid(pid, 0)), status = child_status(pid);

	assert_int_equal(WEXITSTATUS(status), 7);
	if (ioctl(fd, GET_INFO, &i) == -1) {
		assert_true(errno == ENOTTY || errno == ESRCH);
		close(fd);
		skip();
	}
	assert_int_equal(i.mask & (INFO_EXIT | INFO_PID), INFO_EXIT);
	assert_int_equal(i.exit_code, status);
	i.mask = INFO_PID;
	ASSERT_ERR(ioctl(fd, GET_INFO, &i), ESRCH);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_can_be_meant),
		cmocka_unit_test(without_the_flag_only_leaders_can),
		cmocka_unit_test(they_are_nothing_to_wait_for),
		cmocka_unit_test(a_childs_leader_ends_with_it),
		cmocka_unit_test(signals_go_where_scope_says),
		cmocka_unit_test(a_group_is_reached_by_its_leader),
		cmocka_unit_test(one_can_name_oneself),
		cmocka_unit_test(clone_gives_them_for_threads),
		cmocka_unit_test(info_tells_ids),
		cmocka_unit_test(info_tells_how_a_reaped_one_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
