/* SPDX-License-Identifier: MIT */
/*
 * io_setup(2) and its kin by system call: reads, writes, vectors and syncs of files, polls of what is not ready, events by
 * eventfd, contexts' names and ends, errors.
 */
#include "tests/lib/child.h"
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"

#include <linux/aio_abi.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif

static aio_context_t ctx;

static long setup(unsigned nr, aio_context_t *c)
{
	return syscall(SYS_io_setup, nr, c);
}

static long destroy(aio_context_t c)
{
	return syscall(SYS_io_destroy, c);
}

static long submit(struct iocb *cb)
{
	return syscall(SYS_io_submit, ctx, 1, &cb);
}

static long events(long min, long n, struct io_event *ev, int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	return syscall(SYS_io_getevents, ctx, min, n, ev, ms < 0 ? NULL : &ts);
}

static struct iocb request(int op, int fd, void *buf, size_t len, off_t off)
{
	return (struct iocb){ .aio_lio_opcode = (uint16_t)op, .aio_fildes = (uint32_t)fd, .aio_buf = (uintptr_t)buf,
			      .aio_nbytes = len, .aio_offset = off, .aio_data = 0x1234567890abcdef };
}

static struct iocb poll_request(int fd, int events)
{
	struct iocb cb = request(IOCB_CMD_POLL, fd, NULL, 0, 0);

	cb.aio_buf = (uint64_t)events;
	return cb;
}

/* Submits one request whose event comes at once; its result. */
static long result(struct iocb *cb)
{
	struct io_event ev;

	ASSERT_OK(submit(cb));
	assert_int_equal(events(1, 1, &ev, 5000), 1);
	assert_int_equal(ev.data, cb->aio_data);
	assert_int_equal(ev.obj, (uintptr_t)cb);
	assert_int_equal(ev.res2, 0);
	return (long)ev.res;
}

/* A new one for each case. */
static void begin(void)
{
	if (ctx)
		destroy(ctx);
	ctx = 0;
	ASSERT_OK(setup(8, &ctx));
}

static void files_are_read_and_written(void **state)
{
	int fd = file_make("f", "0123456789");
	char buf[16] = "", more[4] = "", ab[] = "AB";
	struct iovec iov[2] = { { buf, 3 }, { more, 2 } };
	struct iocb r = request(IOCB_CMD_PREAD, fd, buf, 4, 3), w = request(IOCB_CMD_PWRITE, fd, ab, 2, 1);
	struct iocb v = request(IOCB_CMD_PREADV, fd, iov, 2, 0), wv = request(IOCB_CMD_PWRITEV, fd, iov, 2, 20);

	begin();
	assert_int_equal(result(&r), 4);
	assert_string_equal(buf, "3456");
	assert_int_equal(result(&w), 2);
	assert_int_equal(result(&v), 5);
	assert_memory_equal(buf, "0AB", 3);
	assert_memory_equal(more, "34", 2);
	assert_int_equal(result(&wv), 5);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0); /* the position is nobody's business */
	assert_int_equal(lseek(fd, 0, SEEK_END), 25);
	r.aio_offset = 100;
	assert_int_equal(result(&r), 0);
}

static void flags_are_those_of_pwritev2(void **state)
{
	int fd = file_make("f", "0123456789");
	char ab[] = "AB";
	struct iocb w = request(IOCB_CMD_PWRITE, fd, ab, 2, 0);

	begin();
	w.aio_rw_flags = RWF_APPEND;
	assert_int_equal(result(&w), 2);
	assert_string_equal(file_text("f"), "0123456789AB");
	w.aio_rw_flags = RWF_DSYNC;
	assert_int_equal(result(&w), 2);
	assert_string_equal(file_text("f"), "AB23456789AB");
	ASSERT_OK(fcntl(fd, F_SETFL, O_APPEND));
	w.aio_rw_flags = RWF_NOAPPEND;
	w.aio_offset = 2;
	assert_int_equal(result(&w), 2);
	assert_string_equal(file_text("f"), "ABAB456789AB");
	w.aio_rw_flags = RWF_APPEND | RWF_NOAPPEND;
	ASSERT_ERR(submit(&w), EINVAL);
}

static void several_at_once(void **state)
{
	int fd = file_make("f", "0123456789");
	char c[3] = "";
	struct iocb cb[3], *list[3];
	struct io_event ev[4];

	begin();
	for (int i = 0; i < 3; i++) {
		cb[i] = request(IOCB_CMD_PREAD, fd, &c[i], 1, i);
		list[i] = &cb[i];
	}
	assert_int_equal(syscall(SYS_io_submit, ctx, 3, list), 3);
	assert_int_equal(events(1, 2, ev, -1), 2);
	assert_int_equal(events(1, 4, ev + 2, -1), 1);
	assert_memory_equal(c, "012", 3);
	cb[1].aio_fildes = 9999;
	assert_int_equal(syscall(SYS_io_submit, ctx, 3, list), 1); /* up to what is wrong */
	assert_int_equal(events(0, 4, ev, 0), 1);
}

static void syncs_take_no_arguments(void **state)
{
	int fd = file_make("f", "x");
	struct iocb cb = request(IOCB_CMD_FSYNC, fd, NULL, 0, 0);

	begin();
	assert_int_equal(result(&cb), 0);
	cb.aio_lio_opcode = IOCB_CMD_FDSYNC;
	assert_int_equal(result(&cb), 0);
	cb.aio_nbytes = 1;
	ASSERT_ERR(submit(&cb), EINVAL);
}

static void a_full_context_takes_no_more(void **state)
{
	aio_context_t small = 0;
	int p[2];
	struct iocb cb;
	long n = 0;

	begin();
	ASSERT_OK(pipe(p));
	ASSERT_OK(setup(1, &small));
	cb = poll_request(p[0], POLLIN);
	for (struct iocb *at = &cb; n < 100000 && syscall(SYS_io_submit, small, 1, &at) == 1;)
		n++;
	assert_int_equal(errno, EAGAIN);
	assert_true(n >= 1);
	ASSERT_OK(destroy(small)); /* with requests under way */
}

static void results_that_are_errors(void **state)
{
	int fd = file_make("f", "0123456789"), dir = (int)ASSERT_OK(open(".", O_RDONLY)), ro = (int)ASSERT_OK(open("f", O_RDONLY));
	char buf[4];
	struct iocb cb = request(IOCB_CMD_PREAD, fd, NULL, 4, 0);

	begin();
	assert_int_equal(result(&cb), -EFAULT);
	cb = request(IOCB_CMD_PREAD, dir, buf, 4, 0);
	assert_true(submit(&cb) < 0 || result(&cb) == -EISDIR);
	cb = request(IOCB_CMD_PWRITE, ro, buf, 4, 0);
	ASSERT_ERR(submit(&cb), EBADF);
	cb = request(IOCB_CMD_PREAD, fd, buf, 4, -1);
	ASSERT_ERR(submit(&cb), EINVAL);
	cb = request(IOCB_CMD_PREAD, fd, buf, 4, 0);
	cb.aio_reserved2 = 1;
	ASSERT_ERR(submit(&cb), EINVAL);
	cb = request(4711, fd, buf, 4, 0);
	ASSERT_ERR(submit(&cb), EINVAL);
	cb = request(IOCB_CMD_PREAD, fd, buf, 4, 0);
	cb.aio_rw_flags = 0x4000;
	ASSERT_ERR(submit(&cb), EOPNOTSUPP);
	cb = request(IOCB_CMD_PREAD, 9999, buf, 4, 0);
	ASSERT_ERR(submit(&cb), EBADF);
	cb = request(IOCB_CMD_PREAD, fd, buf, 4, 0);
	cb.aio_flags = IOCB_FLAG_RESFD;
	cb.aio_resfd = (uint32_t)fd;
	ASSERT_ERR(submit(&cb), EINVAL);
	cb.aio_resfd = 9999;
	ASSERT_ERR(submit(&cb), EBADF);
	ASSERT_ERR(syscall(SYS_io_submit, ctx, -1L, NULL), EINVAL);
	ASSERT_ERR(syscall(SYS_io_submit, ctx, 1L, NULL), EFAULT);
	ASSERT_OK(syscall(SYS_io_submit, ctx, 0L, NULL));
}

static void an_eventfd_is_told(void **state)
{
	int fd = file_make("f", "0123456789"), efd = (int)ASSERT_OK(eventfd(0, EFD_NONBLOCK));
	char buf[4];
	struct iocb cb = request(IOCB_CMD_PREAD, fd, buf, 4, 0);
	uint64_t n;

	begin();
	cb.aio_flags = IOCB_FLAG_RESFD;
	cb.aio_resfd = (uint32_t)efd;
	assert_int_equal(result(&cb), 4);
	assert_int_equal(result(&cb), 4);
	assert_int_equal(read(efd, &n, sizeof(n)), sizeof(n));
	assert_int_equal(n, 2);
}

static long wait_for_event(void *arg)
{
	return events(1, 1, arg, -1);
}

static void polls_complete_when_ready(void **state)
{
	struct io_event ev;
	struct iocb cb;
	struct bg bg;
	int p[2];

	begin();
	ASSERT_OK(pipe(p));
	cb = poll_request(p[1], POLLOUT);
	assert_int_equal(result(&cb), POLLOUT); /* at once */
	cb = poll_request(p[0], POLLIN);
	ASSERT_OK(submit(&cb));
	assert_int_equal(events(1, 1, &ev, 20), 0);
	bg_start(&bg, wait_for_event, &ev);
	assert_true(bg_blocks(&bg));
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(bg_end(&bg), 1);
	assert_true(ev.res & POLLIN); /* Linux names what the wake-up named */
	assert_int_equal(events(0, 1, &ev, 0), 0); /* once only */
	cb.aio_buf = POLLPRI;
	ASSERT_OK(submit(&cb));
	close(p[1]);
	assert_int_equal(events(1, 1, &ev, 5000), 1);
	assert_int_equal(ev.res, POLLHUP); /* unasked */
	cb.aio_nbytes = 1;
	ASSERT_ERR(submit(&cb), EINVAL);
	cb.aio_nbytes = 0;
	cb.aio_buf = 0x10000;
	ASSERT_ERR(submit(&cb), EINVAL);
}

static void polls_can_be_given_up(void **state)
{
	struct io_event ev;
	struct iocb cb;
	int p[2];

	begin();
	ASSERT_OK(pipe(p));
	cb = poll_request(p[0], POLLIN);
	ASSERT_ERR(syscall(SYS_io_cancel, ctx, &cb, &ev), EINVAL);
	ASSERT_OK(submit(&cb));
	ASSERT_ERR(syscall(SYS_io_cancel, ctx, &cb, &ev), EINPROGRESS);
	assert_int_equal(events(1, 1, &ev, 5000), 1);
	assert_int_equal(ev.obj, (uintptr_t)&cb);
	ASSERT_ERR(syscall(SYS_io_cancel, ctx, NULL, &ev), EFAULT);
	ASSERT_ERR(syscall(SYS_io_cancel, 0, &cb, &ev), EINVAL);
}

static void waiting_can_be_interrupted(void **state)
{
	struct io_event ev;
	struct bg bg;

	begin();
	bg_handle(SIGUSR1, SA_RESTART);
	bg_start(&bg, wait_for_event, &ev);
	assert_true(bg_interrupt(&bg, SIGUSR1));
	assert_int_equal(bg_end(&bg), -1);
	assert_int_equal(errno, EINTR);
	signal(SIGUSR1, SIG_DFL);
}

static void memory_that_takes_no_events(void **state)
{
	int fd = file_make("f", "0123456789");
	char buf[4];
	struct iocb cb = request(IOCB_CMD_PREAD, fd, buf, 4, 0);
	struct io_event ev;

	begin();
	ASSERT_OK(submit(&cb));
	ASSERT_ERR(events(1, 1, NULL, 0), EFAULT);
	assert_int_equal(events(1, 1, &ev, 0), 1); /* it is still there */
	ASSERT_ERR(events(2, 1, &ev, 0), EINVAL);
	ASSERT_ERR(events(-1, 1, &ev, 0), EINVAL);
	ASSERT_ERR(syscall(SYS_io_getevents, ctx, 0L, 1L, &ev, 1), EFAULT);
	ASSERT_ERR(syscall(SYS_io_getevents, 0L, 0L, 1L, &ev, NULL), EINVAL);
	ASSERT_ERR(syscall(SYS_io_pgetevents, ctx, 0L, 1L, &ev, NULL, 1), EFAULT);
	assert_int_equal(syscall(SYS_io_pgetevents, ctx, 0L, 1L, &ev, NULL, NULL), 0);
}

static int knows_it(void *arg)
{
	(void)arg;
	CHECK(destroy(ctx) == -1 && errno == EINVAL);
	return 0;
}

static void contexts_begin_and_end(void **state)
{
	aio_context_t c = 1;

	begin();
	ASSERT_ERR(setup(1, &c), EINVAL);
	c = 0;
	ASSERT_ERR(setup(0, &c), EINVAL);
	ASSERT_ERR(setup(1, NULL), EFAULT);
	ASSERT_ERR(setup(0x7fffffff, &c), EINVAL);
	ASSERT_OK(setup(2, &c));
	assert_int_not_equal(c, 0);
	assert_int_equal(*(volatile char *)c & 0, 0); /* libaio looks there */
	ASSERT_OK(destroy(c));
	ASSERT_ERR(destroy(c), EINVAL);
	ASSERT_CHILD_OK(child_start(knows_it, NULL)); /* a fork has none of them */
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_read_and_written),
		cmocka_unit_test(flags_are_those_of_pwritev2),
		cmocka_unit_test(several_at_once),
		cmocka_unit_test(syncs_take_no_arguments),
		cmocka_unit_test(a_full_context_takes_no_more),
		cmocka_unit_test(results_that_are_errors),
		cmocka_unit_test(an_eventfd_is_told),
		cmocka_unit_test(polls_complete_when_ready),
		cmocka_unit_test(polls_can_be_given_up),
		cmocka_unit_test(waiting_can_be_interrupted),
		cmocka_unit_test(memory_that_takes_no_events),
		cmocka_unit_test(contexts_begin_and_end),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
