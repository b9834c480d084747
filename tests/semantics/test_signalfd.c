/* SPDX-License-Identifier: MIT */
/*
 * signalfd4(2): signals read instead of handled, what siginfo says, order and queues, masks and
 * their change, signals of other threads, blocking, poll, errors.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"

#include <poll.h>
#include <sys/signalfd.h>

static sigset_t set_of(int a, int b)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, a);
	if (b)
		sigaddset(&set, b);
	return set;
}

static int setup(void **state)
{
	sigset_t set = set_of(SIGUSR1, SIGUSR2);

	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGRTMIN + 1);
	return sigprocmask(SIG_BLOCK, &set, NULL) || file_fds_setup(state);
}

static int open_for(int a, int b, int flags)
{
	sigset_t set = set_of(a, b);

	return (int)ASSERT_OK(signalfd(-1, &set, flags));
}

/* The number of the signal read, or -1. */
static int next(int fd, struct signalfd_siginfo *info)
{
	struct signalfd_siginfo si;

	if (!info)
		info = &si;
	return read(fd, info, sizeof(*info)) == sizeof(*info) ? (int)info->ssi_signo : -1;
}

static bool pending(int sig)
{
	sigset_t set;

	sigpending(&set);
	return sigismember(&set, sig);
}

static void reading_takes_the_signal(void **state)
{
	int fd = open_for(SIGUSR1, SIGUSR2, SFD_NONBLOCK);
	struct signalfd_siginfo info;

	ASSERT_ERR(next(fd, NULL), EAGAIN);
	ASSERT_OK(kill(getpid(), SIGUSR1));
	assert_true(pending(SIGUSR1));
	memset(&info, 0xff, sizeof(info));
	assert_int_equal(next(fd, &info), SIGUSR1);
	assert_int_equal(info.ssi_code, SI_USER);
	assert_int_equal(info.ssi_pid, getpid());
	assert_int_equal(info.ssi_uid, getuid());
	assert_int_equal(info.ssi_errno, 0);
	assert_int_equal(info.ssi_fd, 0);
	assert_false(pending(SIGUSR1));
	ASSERT_ERR(next(fd, NULL), EAGAIN);
	ASSERT_OK(raise(SIGUSR2));
	assert_int_equal(next(fd, &info), SIGUSR2);
	assert_int_equal(info.ssi_code, SI_TKILL);
}

static void queued_values_arrive_in_order(void **state)
{
	int fd = open_for(SIGRTMIN, SIGRTMIN + 1, SFD_NONBLOCK);
	struct signalfd_siginfo info;

	for (int i = 0; i < 3; i++) {
		ASSERT_OK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = 10 + i }));
		ASSERT_OK(sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = i }));
	}
	for (int i = 0; i < 6; i++) {                   /* the lower number first, then by age */
		assert_int_equal(next(fd, &info), SIGRTMIN + i / 3);
		assert_int_equal(info.ssi_code, SI_QUEUE);
		assert_int_equal(info.ssi_int, i / 3 * 10 + i % 3);
	}
	ASSERT_ERR(next(fd, NULL), EAGAIN);
}

static void standard_signals_do_not_queue(void **state)
{
	int fd = open_for(SIGUSR1, 0, SFD_NONBLOCK);

	for (int i = 0; i < 3; i++)
		ASSERT_OK(kill(getpid(), SIGUSR1));
	assert_int_equal(next(fd, NULL), SIGUSR1);
	ASSERT_ERR(next(fd, NULL), EAGAIN);
}

static void one_read_takes_as_many_as_fit(void **state)
{
	int fd = open_for(SIGRTMIN, SIGUSR1, SFD_NONBLOCK);
	struct signalfd_siginfo info[3];

	for (int i = 0; i < 4; i++)
		ASSERT_OK(sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = i }));
	assert_int_equal(read(fd, info, sizeof(info) - 1), 2 * sizeof(info[0]));
	assert_int_equal(info[1].ssi_int, 1);
	assert_int_equal(read(fd, info, sizeof(info)), 2 * sizeof(info[0]));
	assert_int_equal(info[1].ssi_int, 3);
}

static void the_mask_can_be_changed(void **state)
{
	int fd = open_for(SIGUSR1, 0, SFD_NONBLOCK);
	sigset_t set = set_of(SIGUSR2, 0);

	ASSERT_OK(kill(getpid(), SIGUSR1));
	ASSERT_OK(kill(getpid(), SIGUSR2));
	assert_int_equal(signalfd(fd, &set, 0), fd);
	assert_int_equal(next(fd, NULL), SIGUSR2);
	ASSERT_ERR(next(fd, NULL), EAGAIN);
	assert_true(pending(SIGUSR1));
	set = set_of(SIGUSR1, SIGKILL);                 /* the uncatchable are left out */
	assert_int_equal(signalfd(fd, &set, 0), fd);
	assert_int_equal(next(fd, NULL), SIGUSR1);
}

static long bg_next(void *arg)
{
	return next(*(int *)arg, NULL);
}

static void readers_wait(void **state)
{
	int fd = open_for(SIGUSR1, 0, 0);
	struct bg bg;

	bg_start(&bg, bg_next, &fd);
	assert_true(bg_blocks(&bg));
	ASSERT_OK(kill(getpid(), SIGUSR1));             /* to the process: any thread may take it */
	assert_int_equal(bg_end(&bg), SIGUSR1);
	bg_start(&bg, bg_next, &fd);
	assert_true(bg_blocks(&bg));
	assert_int_equal(pthread_kill(bg.thread, SIGUSR1), 0);
	assert_int_equal(bg_end(&bg), SIGUSR1);
}

static void a_thread_reads_its_own_signals_and_the_process(void **state)
{
	int fd = open_for(SIGUSR1, SIGUSR2, SFD_NONBLOCK), ev[2];
	struct bg bg;

	ASSERT_OK(pipe(ev));
	ASSERT_OK(raise(SIGUSR1));                      /* for this thread */
	bg_start(&bg, bg_next, &fd);
	assert_int_equal(bg_end(&bg), -1);
	assert_int_equal(errno, EAGAIN);
	ASSERT_OK(kill(getpid(), SIGUSR2));
	bg_start(&bg, bg_next, &fd);
	assert_int_equal(bg_end(&bg), SIGUSR2);
	assert_int_equal(next(fd, NULL), SIGUSR1);
}

static void poll_sees_signals(void **state)
{
	int fd = open_for(SIGUSR1, 0, 0);
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };

	assert_int_equal(poll(&p, 1, 0), 0);
	ASSERT_OK(kill(getpid(), SIGUSR2));             /* not one of ours */
	assert_int_equal(poll(&p, 1, 0), 0);
	ASSERT_OK(kill(getpid(), SIGUSR1));
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLIN);
	assert_int_equal(next(fd, NULL), SIGUSR1);
	assert_int_equal(poll(&p, 1, 0), 0);
	int fd2 = open_for(SIGUSR2, 0, 0);
	assert_int_equal(next(fd2, NULL), SIGUSR2);
}

static void errors_are_reported(void **state)
{
	sigset_t set = set_of(SIGUSR1, 0);
	int fd = open_for(SIGUSR1, 0, SFD_CLOEXEC | SFD_NONBLOCK), p[2];
	char buf[128];

	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
	ASSERT_OK(pipe(p));
	ASSERT_ERR(read(fd, buf, 127), EINVAL);
	ASSERT_ERR(write(fd, buf, 128), EINVAL);
	ASSERT_ERR(signalfd(-1, &set, O_APPEND), EINVAL);
	ASSERT_ERR(signalfd(p[0], &set, 0), EINVAL);
	ASSERT_ERR(signalfd(99999, &set, 0), EBADF);
	ASSERT_ERR(signalfd(-2, &set, 0), EBADF);
	ASSERT_ERR(signalfd(-1, file_bad(), 0), EFAULT);
	ASSERT_ERR(syscall(SYS_signalfd4, -1, &set, 4, 0), EINVAL);
	ASSERT_ERR(syscall(SYS_signalfd4, -1, &set, 128, 0), EINVAL);
	ASSERT_OK(syscall(SYS_signalfd4, -1, &set, 8, 0));
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(reading_takes_the_signal),
		cmocka_unit_test(queued_values_arrive_in_order),
		cmocka_unit_test(standard_signals_do_not_queue),
		cmocka_unit_test(one_read_takes_as_many_as_fit),
		cmocka_unit_test(the_mask_can_be_changed),
		cmocka_unit_test(readers_wait),
		cmocka_unit_test(a_thread_reads_its_own_signals_and_the_process),
		cmocka_unit_test(poll_sees_signals),
		cmocka_unit_test(errors_are_reported),
	};

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		tests[i].setup_func = setup;
		tests[i].teardown_func = file_fds_teardown;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
