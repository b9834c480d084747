/* SPDX-License-Identifier: MIT */
/*
 * poll(2), ppoll(2), select(2), pselect(2): what is reported for which file, descriptors that are
 * not open, timeouts, signal masks, remaining time, waking by another thread, errors.
 * The states of pipes are in test_pipe.c, epoll is in test_epoll.c.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"
#include "tests/lib/needs.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>

static long raw_ppoll(struct pollfd *p, unsigned int nr, struct timespec *ts, const sigset_t *mask)
{
	return syscall(SYS_ppoll, p, nr, ts, mask, 8);
}

static int nr_fds(int a, int b)
{
	return (a > b ? a : b) + 1;
}

static void poll_reports_each_entry(void **state)
{
	int a[2], b[2];

	ASSERT_OK(pipe(a));
	ASSERT_OK(pipe(b));
	assert_int_equal(write(a[1], "x", 1), 1);
	struct pollfd p[5] = {
		{ a[0], POLLIN, -1 },
		{ b[0], POLLIN, -1 },
		{ -1, POLLIN | POLLOUT, -1 },           /* negative: skipped */
		{ 9999, POLLIN, -1 },
		{ a[0], 0, -1 },                        /* asked for nothing */
	};
	assert_int_equal(poll(p, 5, -1), 2);
	assert_int_equal(p[0].revents, POLLIN);
	assert_int_equal(p[1].revents, 0);
	assert_int_equal(p[2].revents, 0);
	assert_int_equal(p[3].revents, POLLNVAL);
	assert_int_equal(p[4].revents, 0);
	close(b[1]);
	p[1].events = 0;
	assert_int_equal(poll(p, 2, -1), 2);
	assert_int_equal(p[1].revents, POLLHUP);        /* comes unasked */
	assert_int_equal(p[0].events, POLLIN);
}

static void regular_files_are_always_ready(void **state)
{
	char name[] = "/tmp/vmrun-poll.XXXXXX";
	int all = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLPRI | POLLRDHUP;

	int file = (int)ASSERT_OK(mkstemp(name));
	unlink(name);
	struct pollfd p[3] = {
		{ file, (short)all, 0 },
		{ (int)ASSERT_OK(open("/", O_RDONLY)), (short)all, 0 },
		{ (int)ASSERT_OK(open("/dev/null", O_RDWR)), (short)all, 0 },
	};
	assert_int_equal(poll(p, 3, 0), 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(p[i].revents, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
}

static void sockets_tell_half_closing(void **state)
{
	int sv[2];

	ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	struct pollfd p = { sv[0], POLLIN | POLLOUT | POLLRDHUP, 0 };
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLOUT);
	ASSERT_OK(shutdown(sv[1], SHUT_WR));
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLIN | POLLOUT | POLLRDHUP);
	close(sv[1]);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
}

static void timeouts_last_at_least_that_long(void **state)
{
	struct timespec ts = { 0, 30 * MSEC };
	struct timeval tv = { 0, 30000 };
	int p[2];
	fd_set in;

	ASSERT_OK(pipe(p));
	struct pollfd pfd = { p[0], POLLIN, -1 };
	int64_t begin = now_ms();
	assert_int_equal(poll(&pfd, 1, 30), 0);
	assert_int_equal(pfd.revents, 0);
	assert_true(now_ms() - begin >= 29);
	begin = now_ms();
	assert_int_equal(poll(NULL, 0, 30), 0);
	assert_true(now_ms() - begin >= 29);
	begin = now_ms();
	assert_int_equal(raw_ppoll(&pfd, 1, &ts, NULL), 0);
	assert_true(now_ms() - begin >= 29);
	assert_int_equal(ts.tv_sec + ts.tv_nsec, 0);    /* the system call writes what is left */
	begin = now_ms();
	FD_ZERO(&in);
	FD_SET(p[0], &in);
	assert_int_equal(select(p[0] + 1, &in, NULL, NULL, &tv), 0);
	assert_true(now_ms() - begin >= 29);
	assert_int_equal(tv.tv_sec + tv.tv_usec, 0);
	assert_false(FD_ISSET(p[0], &in));
}

static void the_time_left_is_written_back(void **state)
{
	struct timespec ts = { 100, 0 };
	struct timeval tv = { 100, 0 };
	int p[2];
	fd_set in;

	ASSERT_OK(pipe(p));
	assert_int_equal(write(p[1], "x", 1), 1);
	struct pollfd pfd = { p[0], POLLIN, 0 };
	assert_int_equal(raw_ppoll(&pfd, 1, &ts, NULL), 1);
	assert_true(ts.tv_sec >= 50 && ts.tv_sec < 100);
	FD_ZERO(&in);
	FD_SET(p[0], &in);
	assert_int_equal(select(p[0] + 1, &in, NULL, NULL, &tv), 1);
	assert_true(tv.tv_sec >= 50 && tv.tv_sec < 100);
}

static void poll_reports_errors(void **state)
{
	struct pollfd p = { -1, POLLIN, 0 };
	struct timespec bad = { 0, 1000000000 }, neg = { -1, 0 }, zero = { 0, 0 };
	struct rlimit lim;
	sigset_t mask;

	sigemptyset(&mask);
	ASSERT_OK(getrlimit(RLIMIT_NOFILE, &lim));
	ASSERT_ERR(poll(file_bad(), 1, 0), EFAULT);
	ASSERT_ERR(poll(&p, lim.rlim_cur + 1, 0), EINVAL);
	ASSERT_ERR(raw_ppoll(&p, 1, &bad, NULL), EINVAL);
	ASSERT_ERR(raw_ppoll(&p, 1, &neg, NULL), EINVAL);
	ASSERT_ERR(raw_ppoll(&p, 1, file_bad(), NULL), EFAULT);
	ASSERT_ERR(raw_ppoll(&p, 1, &zero, file_bad()), EFAULT);
	ASSERT_ERR(syscall(SYS_ppoll, &p, 1, &zero, &mask, 4), EINVAL);
	assert_int_equal(raw_ppoll(&p, 1, &zero, &mask), 0);
	assert_int_equal(poll(&p, 1, 0), 0);
}

static long poll_forever(void *arg)
{
	struct pollfd p = { *(int *)arg, POLLIN, 0 };
	int r = poll(&p, 1, -1);

	return r == 1 ? p.revents : r;
}

static long select_forever(void *arg)
{
	int fd = *(int *)arg;
	fd_set in;

	FD_ZERO(&in);
	FD_SET(fd, &in);
	int r = select(fd + 1, &in, NULL, NULL, NULL);
	return r == 1 && FD_ISSET(fd, &in) ? POLLIN : r;
}

static void waiters_wake_when_something_happens(void **state)
{
	long (*fn[2])(void *) = { poll_forever, select_forever };

	for (int i = 0; i < 2; i++) {
		struct bg bg;
		int p[2];

		ASSERT_OK(pipe(p));
		bg_start(&bg, fn[i], &p[0]);
		assert_true(bg_blocks(&bg));
		assert_int_equal(write(p[1], "x", 1), 1);
		assert_int_equal(bg_end(&bg), POLLIN);
	}
}

/* These are never restarted: signal(7). */
static void signals_interrupt_even_with_restart(void **state)
{
	long (*fn[2])(void *) = { poll_forever, select_forever };

	bg_handle(SIGUSR1, SA_RESTART);
	for (int i = 0; i < 2; i++) {
		struct bg bg;
		int p[2];

		ASSERT_OK(pipe(p));
		bg_start(&bg, fn[i], &p[0]);
		assert_true(bg_interrupt(&bg, SIGUSR1));
		assert_int_equal(bg_end(&bg), -1);
		assert_int_equal(errno, EINTR);
	}
	signal(SIGUSR1, SIG_DFL);
}

static volatile sig_atomic_t handled;

static void on_signal(int sig)
{
	handled++;
}

static void masks_hold_during_the_call_only(void **state)
{
	struct timespec zero = { 0, 0 }, minute = { 60, 0 };
	sigset_t none, usr1, old;
	int p[2];

	ASSERT_OK(pipe(p));
	struct pollfd pfd = { p[0], POLLIN, 0 };
	handled = 0;
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	signal(SIGUSR1, on_signal);
	ASSERT_OK(sigprocmask(SIG_BLOCK, &usr1, &old));
	ASSERT_OK(raise(SIGUSR1));
	assert_int_equal(handled, 0);
	ASSERT_ERR(ppoll(&pfd, 1, &minute, &none), EINTR);      /* pending and now unblocked */
	assert_int_equal(handled, 1);
	ASSERT_OK(raise(SIGUSR1));
	ASSERT_ERR(pselect(0, NULL, NULL, NULL, &minute, &none), EINTR);
	assert_int_equal(handled, 2);
	ASSERT_OK(sigprocmask(SIG_SETMASK, NULL, &none));
	assert_true(sigismember(&none, SIGUSR1));               /* the old mask is back */
	sigemptyset(&none);
	/* Something ready counts more than the signal, which then stays pending. */
	ASSERT_OK(raise(SIGUSR1));
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(ppoll(&pfd, 1, &minute, &none), 1);
	assert_int_equal(handled, 2);
	assert_int_equal(ppoll(&pfd, 1, &zero, &usr1), 1);
	assert_int_equal(handled, 2);
	ASSERT_OK(sigprocmask(SIG_SETMASK, &old, NULL));
	assert_int_equal(handled, 3);
	signal(SIGUSR1, SIG_DFL);
}

static void select_reports_each_set(void **state)
{
	struct timeval zero = { 0, 0 };
	fd_set in, out, ex;
	int a[2], b[2];

	ASSERT_OK(pipe(a));
	ASSERT_OK(pipe(b));
	assert_int_equal(write(a[1], "x", 1), 1);
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&ex);
	FD_SET(a[0], &in);
	FD_SET(b[0], &in);
	FD_SET(a[1], &out);
	FD_SET(b[1], &out);
	FD_SET(a[0], &ex);
	assert_int_equal(select(nr_fds(a[1], b[1]), &in, &out, &ex, &zero), 3);
	assert_true(FD_ISSET(a[0], &in) && !FD_ISSET(b[0], &in));
	assert_true(FD_ISSET(a[1], &out) && FD_ISSET(b[1], &out));
	assert_false(FD_ISSET(a[0], &ex));
	FD_SET(b[0], &in);
	close(b[1]);                                            /* end of file is readable */
	FD_ZERO(&out);
	assert_int_equal(select(nr_fds(a[0], b[0]), &in, &out, NULL, &zero), 2);
}

/* The system call writes back whole words: bits behind the number are lost, later words are not. */
static void select_touches_only_the_words_it_needs(void **state)
{
	struct timeval zero = { 0, 0 };
	fd_set in;
	int p[2];

	ASSERT_OK(pipe(p));
	int fd = (int)ASSERT_OK(fcntl(p[0], F_DUPFD, 70));
	assert_true(fd < 128);
	assert_int_equal(write(p[1], "x", 1), 1);
	FD_ZERO(&in);
	FD_SET(fd, &in);
	FD_SET(130, &in);                                       /* not open, but not asked for */
	assert_int_equal(select(fd, &in, NULL, NULL, &zero), 0);
	assert_false(FD_ISSET(fd, &in));
	assert_true(FD_ISSET(130, &in));
}

static void select_reports_errors(void **state)
{
	struct timeval zero = { 0, 0 }, bad = { -1, 0 };
	fd_set in;
	int p[2];

	ASSERT_OK(pipe(p));
	FD_ZERO(&in);
	FD_SET(p[0], &in);
	close(p[0]);
	ASSERT_ERR(select(p[0] + 1, &in, NULL, NULL, &zero), EBADF);
	assert_true(FD_ISSET(p[0], &in));
	ASSERT_ERR(select(-1, &in, NULL, NULL, &zero), EINVAL);
	ASSERT_ERR(select(p[0] + 1, &in, NULL, NULL, &bad), EINVAL);
	ASSERT_ERR(syscall(SYS_select, 10, file_bad(), NULL, NULL, &zero), EFAULT);
	ASSERT_ERR(syscall(SYS_select, 0, NULL, NULL, NULL, file_bad()), EFAULT);
	assert_int_equal(select(0, NULL, NULL, NULL, &zero), 0);
	/* More microseconds than a second are carried by the system call. */
	struct timeval carry = { 0, 1000001 };
	assert_int_equal(write(p[1], "", 0), 0);
	FD_ZERO(&in);
	FD_SET(p[1], &in);
	assert_int_equal(syscall(SYS_select, p[1] + 1, NULL, &in, NULL, &carry), 1);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(poll_reports_each_entry),
		cmocka_unit_test(regular_files_are_always_ready),
		cmocka_unit_test(sockets_tell_half_closing),
		cmocka_unit_test(timeouts_last_at_least_that_long),
		cmocka_unit_test(the_time_left_is_written_back),
		cmocka_unit_test(poll_reports_errors),
		cmocka_unit_test(waiters_wake_when_something_happens),
		cmocka_unit_test(signals_interrupt_even_with_restart),
		cmocka_unit_test(masks_hold_during_the_call_only),
		cmocka_unit_test(select_reports_each_set),
		cmocka_unit_test(select_reports_errors),
		cmocka_unit_test(select_touches_only_the_words_it_needs),
	};

	return FILE_RUN_FDS(tests);
}
