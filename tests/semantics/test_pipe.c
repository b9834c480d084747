/* SPDX-License-Identifier: MIT */
/*
 * Pipes: pipe2(2) and its flags, blocking and non-blocking ends, end of file, EPIPE and SIGPIPE,
 * how much fits, atomicity up to PIPE_BUF, packets (O_DIRECT), FIONREAD, poll, faulting buffers,
 * signals. Sizes: test_fcntl.c; named pipes: test_fifo.c; splice: test_copy.c.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#define PIPE_SIZE 65536

static short poll_now(int fd)
{
	struct pollfd p = { fd, POLLIN | POLLOUT | POLLHUP | POLLERR, 0 };

	assert_in_range(poll(&p, 1, 0), 0, 1);
	return p.revents;
}

static int unread(int fd)
{
	int n = -1;

	ASSERT_OK(ioctl(fd, FIONREAD, &n));
	return n;
}

/* Write until nothing more fits; returns how much did. */
static long fill(int fd, size_t chunk)
{
	char buf[FILE_PAGE] = "";
	ssize_t n;
	long all = 0;

	while ((n = write(fd, buf, chunk)) > 0)
		all += n;
	assert_int_equal(errno, EAGAIN);
	return all;
}

static void pipe2_sets_flags_on_both_ends(void **state)
{
	int p[2], fd = (int)ASSERT_OK(open("/dev/null", O_RDONLY));

	close(fd);
	ASSERT_OK(pipe(p));
	assert_int_equal(p[0], fd);                     /* the reading end comes first */
	assert_int_equal(p[1], fd + 1);
	assert_int_equal(fcntl(p[0], F_GETFL), O_RDONLY);
	assert_int_equal(fcntl(p[1], F_GETFL), O_WRONLY);
	assert_int_equal(fcntl(p[1], F_GETFD), 0);
	ASSERT_OK(pipe2(p, O_CLOEXEC | O_NONBLOCK));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fcntl(p[i], F_GETFL), i | O_NONBLOCK);
		assert_int_equal(fcntl(p[i], F_GETFD), FD_CLOEXEC);
	}
	ASSERT_ERR(pipe2(p, O_APPEND), EINVAL);
	ASSERT_ERR(pipe2(p, -1), EINVAL);
	ASSERT_ERR(pipe2(file_bad(), 0), EFAULT);
	assert_int_equal(open("/dev/null", O_RDONLY), fd + 4);  /* nothing left open by those */
}

static void ends_work_in_one_direction(void **state)
{
	int p[2];
	char c = 0;

	ASSERT_OK(pipe(p));
	ASSERT_ERR(write(p[0], "x", 1), EBADF);
	ASSERT_ERR(read(p[1], &c, 1), EBADF);
	assert_int_equal(write(p[1], "hello", 5), 5);
	assert_int_equal(unread(p[0]), 5);
	assert_int_equal(unread(p[1]), 5);
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(c, 'h');
	assert_int_equal(unread(p[0]), 4);
	assert_int_equal(read(p[0], file_bad(), 0), 0);
	ASSERT_ERR(ioctl(p[0], FIONREAD, file_bad()), EFAULT);
}

static void fstat_says_fifo(void **state)
{
	struct stat r, w;
	int p[2], q[2];

	ASSERT_OK(pipe(p));
	ASSERT_OK(pipe(q));
	ASSERT_OK(fstat(p[0], &r));
	ASSERT_OK(fstat(p[1], &w));
	assert_int_equal(r.st_mode, S_IFIFO | 0600);
	assert_int_equal(r.st_ino, w.st_ino);
	assert_int_equal(r.st_nlink, 1);
	ASSERT_OK(fstat(q[0], &w));
	assert_int_not_equal(r.st_ino, w.st_ino);
	assert_int_equal(r.st_dev, w.st_dev);
}

static void an_empty_pipe_is_eagain_then_end_of_file(void **state)
{
	int p[2];
	char c;

	ASSERT_OK(pipe2(p, O_NONBLOCK));
	ASSERT_ERR(read(p[0], &c, 1), EAGAIN);
	assert_int_equal(read(p[0], &c, 0), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	close(p[1]);
	assert_int_equal(read(p[0], &c, 1), 1);         /* what was written stays */
	assert_int_equal(read(p[0], &c, 1), 0);
	assert_int_equal(read(p[0], &c, 1), 0);
}

static volatile sig_atomic_t pipe_signals;

static void on_pipe(int sig)
{
	pipe_signals++;
}

static void no_reader_is_epipe_and_sigpipe(void **state)
{
	int p[2];

	pipe_signals = 0;
	signal(SIGPIPE, on_pipe);
	ASSERT_OK(pipe(p));
	close(p[0]);
	ASSERT_ERR(write(p[1], "x", 1), EPIPE);
	assert_int_equal(pipe_signals, 1);
	assert_int_equal(write(p[1], "x", 0), 0);       /* nothing to write, nothing wrong */
	assert_int_equal(pipe_signals, 1);
	signal(SIGPIPE, SIG_IGN);
	ASSERT_ERR(write(p[1], file_bad(), 1), EPIPE);  /* the buffer is not looked at */
	assert_int_equal(pipe_signals, 1);
	signal(SIGPIPE, SIG_DFL);
}

static void a_pipe_holds_64_kib(void **state)
{
	int p[2];
	char buf[FILE_PAGE];

	ASSERT_OK(pipe2(p, O_NONBLOCK));
	assert_int_equal(fill(p[1], FILE_PAGE), PIPE_SIZE);
	assert_int_equal(unread(p[0]), PIPE_SIZE);
	ASSERT_ERR(write(p[1], "x", 1), EAGAIN);
	assert_int_equal(read(p[0], buf, 1), 1);
	ASSERT_ERR(write(p[1], "x", 1), EAGAIN);        /* room comes by whole pages */
	assert_int_equal(read(p[0], buf, FILE_PAGE - 1), FILE_PAGE - 1);
	assert_int_equal(write(p[1], buf, FILE_PAGE), FILE_PAGE);
}

static void small_writes_share_pages(void **state)
{
	int p[2];

	ASSERT_OK(pipe2(p, O_NONBLOCK));
	assert_int_equal(fill(p[1], 1), PIPE_SIZE);
}

static void writes_up_to_pipe_buf_are_all_or_nothing(void **state)
{
	int p[2];
	char buf[3 * FILE_PAGE] = "";

	ASSERT_OK(pipe2(p, O_NONBLOCK));
	assert_int_equal(fill(p[1], FILE_PAGE), PIPE_SIZE);
	assert_int_equal(read(p[0], buf, FILE_PAGE), FILE_PAGE);
	assert_int_equal(write(p[1], buf, 100), 100);
	ASSERT_ERR(write(p[1], buf, FILE_PAGE), EAGAIN);        /* not all of it would fit */
	assert_int_equal(write(p[1], buf, FILE_PAGE - 100), FILE_PAGE - 100);
	assert_int_equal(read(p[0], buf, FILE_PAGE), FILE_PAGE);
	assert_int_equal(write(p[1], buf, 3 * FILE_PAGE), FILE_PAGE);   /* larger ones may split */
}

static long read_one(void *arg)
{
	char c;

	return read(*(int *)arg, &c, 1) == 1 ? c : -1;
}

static long write_page(void *arg)
{
	char buf[FILE_PAGE] = "";

	return write(*(int *)arg, buf, FILE_PAGE);
}

static long write_much(void *arg)
{
	static char buf[2 * PIPE_SIZE];

	return write(*(int *)arg, buf, sizeof(buf));
}

static void a_reader_waits_for_data(void **state)
{
	struct bg bg;
	int p[2];

	ASSERT_OK(pipe(p));
	bg_start(&bg, read_one, &p[0]);
	assert_true(bg_blocks(&bg));
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(bg_end(&bg), 'x');
}

static long read_until_end(void *arg)
{
	char buf[16];

	return read(*(int *)arg, buf, sizeof(buf));
}

static void a_reader_wakes_at_end_of_file(void **state)
{
	struct bg bg;
	int p[2];

	ASSERT_OK(pipe(p));
	bg_start(&bg, read_until_end, &p[0]);
	assert_true(bg_blocks(&bg));
	close(p[1]);
	assert_int_equal(bg_end(&bg), 0);
}

static void a_writer_waits_for_room_and_writes_all(void **state)
{
	struct bg bg;
	int p[2];
	long all = 0;
	char buf[FILE_PAGE];

	ASSERT_OK(pipe(p));
	bg_start(&bg, write_much, &p[1]);
	assert_true(bg_blocks(&bg));
	assert_int_equal(unread(p[0]), PIPE_SIZE);
	while (all < 2 * PIPE_SIZE)
		all += ASSERT_OK(read(p[0], buf, sizeof(buf)));
	assert_int_equal(bg_end(&bg), 2 * PIPE_SIZE);
	assert_int_equal(unread(p[0]), 0);
}

static void a_writer_wakes_when_the_reader_goes(void **state)
{
	struct bg bg;
	int p[2];

	signal(SIGPIPE, SIG_IGN);
	ASSERT_OK(pipe(p));
	ASSERT_OK(fcntl(p[1], F_SETFL, O_NONBLOCK));
	fill(p[1], FILE_PAGE);
	ASSERT_OK(fcntl(p[1], F_SETFL, 0));
	bg_start(&bg, write_page, &p[1]);
	assert_true(bg_blocks(&bg));
	close(p[0]);
	assert_int_equal(bg_end(&bg), -1);
	assert_int_equal(errno, EPIPE);

	ASSERT_OK(pipe(p));
	bg_start(&bg, write_much, &p[1]);
	assert_true(bg_blocks(&bg));
	close(p[0]);
	assert_int_equal(bg_end(&bg), PIPE_SIZE);       /* part was done: that counts */
	signal(SIGPIPE, SIG_DFL);
}

static void signals_interrupt_or_restart(void **state)
{
	struct bg bg;
	int p[2];

	bg_handle(SIGUSR1, 0);
	ASSERT_OK(pipe(p));
	bg_start(&bg, read_one, &p[0]);
	assert_true(bg_interrupt(&bg, SIGUSR1));
	assert_int_equal(bg_end(&bg), -1);
	assert_int_equal(errno, EINTR);

	bg_start(&bg, write_much, &p[1]);
	assert_true(EVENTUALLY(unread(p[0]) == PIPE_SIZE));
	assert_true(bg_interrupt(&bg, SIGUSR1));
	assert_int_equal(bg_end(&bg), PIPE_SIZE);       /* what was done before the signal */

	bg_handle(SIGUSR1, SA_RESTART);
	ASSERT_OK(pipe(p));
	bg_start(&bg, read_one, &p[0]);
	for (int i = 0; i < 5; i++) {
		pthread_kill(bg.thread, SIGUSR1);
		sleep_ms(5);
	}
	assert_true(bg_blocks(&bg));
	assert_int_equal(write(p[1], "r", 1), 1);
	assert_int_equal(bg_end(&bg), 'r');
	signal(SIGUSR1, SIG_DFL);
}

static void poll_tells_each_end_its_state(void **state)
{
	int p[2];
	char buf[FILE_PAGE];

	ASSERT_OK(pipe2(p, O_NONBLOCK));
	assert_int_equal(poll_now(p[0]), 0);
	assert_int_equal(poll_now(p[1]), POLLOUT);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(poll_now(p[0]), POLLIN);
	fill(p[1], FILE_PAGE);
	assert_int_equal(poll_now(p[1]), 0);
	assert_int_equal(read(p[0], buf, FILE_PAGE), FILE_PAGE);
	assert_int_equal(poll_now(p[1]), POLLOUT);
	close(p[1]);
	assert_int_equal(poll_now(p[0]), POLLIN | POLLHUP);
	while (read(p[0], buf, FILE_PAGE) > 0)
		;
	assert_int_equal(poll_now(p[0]), POLLHUP);
	ASSERT_OK(pipe(p));
	close(p[0]);
	assert_int_equal(poll_now(p[1]), POLLOUT | POLLERR);
}

static void direct_makes_packets(void **state)
{
	int p[2];
	char buf[2 * FILE_PAGE] = "";

	ASSERT_OK(pipe2(p, O_DIRECT | O_NONBLOCK));
	assert_int_equal(fcntl(p[1], F_GETFL), O_WRONLY | O_DIRECT | O_NONBLOCK);
	assert_int_equal(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);  /* writing decides */
	assert_int_equal(write(p[1], "first", 5), 5);
	assert_int_equal(write(p[1], "2nd", 3), 3);
	assert_int_equal(unread(p[0]), 8);
	assert_int_equal(read(p[0], buf, sizeof(buf)), 5);      /* one packet a read */
	assert_memory_equal(buf, "first", 5);
	assert_int_equal(read(p[0], buf, 1), 1);                /* the rest of it is lost */
	ASSERT_ERR(read(p[0], buf, sizeof(buf)), EAGAIN);
	assert_int_equal(write(p[1], buf, FILE_PAGE + 1), FILE_PAGE + 1);       /* two packets */
	assert_int_equal(read(p[0], buf, sizeof(buf)), FILE_PAGE);
	assert_int_equal(read(p[0], buf, sizeof(buf)), 1);
	assert_int_equal(write(p[1], buf, 0), 0);               /* there are no empty packets */
	ASSERT_ERR(read(p[0], buf, sizeof(buf)), EAGAIN);
}

static void faulting_buffers_cost_nothing(void **state)
{
	int p[2];
	char *edge = file_edge(10), *page_edge = file_edge(FILE_PAGE), buf[16];

	ASSERT_OK(pipe2(p, O_NONBLOCK));
	ASSERT_ERR(write(p[1], file_bad(), 10), EFAULT);
	memcpy(edge, "0123456789", 10);
	ASSERT_ERR(write(p[1], edge, 20), EFAULT);      /* a page is copied whole or not */
	assert_int_equal(unread(p[0]), 0);
	memset(page_edge, 'p', FILE_PAGE);
	assert_int_equal(write(p[1], page_edge, FILE_PAGE + 20), FILE_PAGE);
	ASSERT_ERR(read(p[0], edge, 20), EFAULT);
	ASSERT_ERR(read(p[0], file_bad(), 20), EFAULT);
	assert_int_equal(unread(p[0]), FILE_PAGE);      /* nothing is lost by it */
	assert_int_equal(read(p[0], buf, 16), 16);
	assert_memory_equal(buf, "pppppppppppppppp", 16);
}

static void vectors_go_through_in_order(void **state)
{
	struct iovec w[3] = { { (char *)(uintptr_t)"ab", 2 }, { NULL, 0 },
			      { (char *)(uintptr_t)"cde", 3 } };
	char a[2], b[16];
	struct iovec r[2] = { { a, 2 }, { b, 16 } };
	int p[2];

	ASSERT_OK(pipe(p));
	assert_int_equal(writev(p[1], w, 3), 5);
	assert_int_equal(readv(p[0], r, 2), 5);
	assert_memory_equal(a, "ab", 2);
	assert_memory_equal(b, "cde", 3);
}

enum { MESSAGES = 300, MESSAGE = 1000 };

static long write_messages(void *arg)
{
	const int *a = arg;             /* descriptor, letter */
	char msg[MESSAGE];

	memset(msg, a[1], MESSAGE);
	for (int i = 0; i < MESSAGES; i++)
		if (write(a[0], msg, MESSAGE) != MESSAGE)
			return -1;
	return 0;
}

static void writers_do_not_mix_their_messages(void **state)
{
	struct bg bg[2];
	int p[2], count[2] = { 0 };
	char msg[MESSAGE];

	ASSERT_OK(pipe(p));
	int args[2][2] = { { p[1], 'a' }, { p[1], 'b' } };
	for (int i = 0; i < 2; i++)
		bg_start(&bg[i], write_messages, args[i]);
	for (int i = 0; i < 2 * MESSAGES; i++) {
		for (size_t got = 0; got < MESSAGE;)
			got += (size_t)ASSERT_OK(read(p[0], msg + got, MESSAGE - got));
		for (int j = 1; j < MESSAGE; j++)
			if (msg[j] != msg[0])
				fail_msg("message %d is mixed at byte %d", i, j);
		count[msg[0] == 'b']++;
	}
	assert_int_equal(count[0], MESSAGES);
	assert_int_equal(count[1], MESSAGES);
	for (int i = 0; i < 2; i++)
		assert_int_equal(bg_end(&bg[i]), 0);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(pipe2_sets_flags_on_both_ends),
		cmocka_unit_test(ends_work_in_one_direction),
		cmocka_unit_test(fstat_says_fifo),
		cmocka_unit_test(an_empty_pipe_is_eagain_then_end_of_file),
		cmocka_unit_test(no_reader_is_epipe_and_sigpipe),
		cmocka_unit_test(a_pipe_holds_64_kib),
		cmocka_unit_test(small_writes_share_pages),
		cmocka_unit_test(writes_up_to_pipe_buf_are_all_or_nothing),
		cmocka_unit_test(a_reader_waits_for_data),
		cmocka_unit_test(a_reader_wakes_at_end_of_file),
		cmocka_unit_test(a_writer_waits_for_room_and_writes_all),
		cmocka_unit_test(a_writer_wakes_when_the_reader_goes),
		cmocka_unit_test(signals_interrupt_or_restart),
		cmocka_unit_test(poll_tells_each_end_its_state),
		cmocka_unit_test(direct_makes_packets),
		cmocka_unit_test(faulting_buffers_cost_nothing),
		cmocka_unit_test(vectors_go_through_in_order),
		cmocka_unit_test(writers_do_not_mix_their_messages),
	};

	return FILE_RUN_FDS(tests);
}
