/* SPDX-License-Identifier: MIT */
/*
 * dup(2), dup2(2), dup3(2), close(2), close_range(2): which number results, what the copies share
 * (offset, status flags) and what they do not (FD_CLOEXEC), the order of the checks.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"

#include <linux/close_range.h>
#include <sys/file.h>
#include <sys/resource.h>

static void dup_takes_the_lowest_number(void **state)
{
	int fd = file_make("f", ""), a = (int)ASSERT_OK(dup(fd)), b = (int)ASSERT_OK(dup(fd));

	assert_true(fd < a && a < b);
	close(a);
	assert_int_equal(dup(b), a);
	ASSERT_ERR(dup(-1), EBADF);
	ASSERT_ERR(dup(99999), EBADF);
	close(b);
	ASSERT_ERR(dup(b), EBADF);
}

static void copies_share_offset_and_status_flags(void **state)
{
	int fd = file_make("f", "hello"), copy = (int)ASSERT_OK(dup(fd));

	assert_int_equal(lseek(copy, 3, SEEK_SET), 3);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 3);
	ASSERT_OK(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK));
	assert_int_equal(fcntl(copy, F_GETFL), O_RDWR | O_APPEND | O_NONBLOCK | RAW_O_LARGEFILE);
	close(fd);
	assert_int_equal(read(copy, (char[4]){ 0 }, 4), 2);
}

static void copies_do_not_inherit_cloexec(void **state)
{
	int fd = (int)ASSERT_OK(open(".", O_RDONLY | O_CLOEXEC)), copy = (int)ASSERT_OK(dup(fd));

	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(copy, F_GETFD), 0);
	assert_int_equal(dup2(fd, copy), copy);
	assert_int_equal(fcntl(copy, F_GETFD), 0);
	assert_int_equal(dup3(fd, copy, O_CLOEXEC), copy);
	assert_int_equal(fcntl(copy, F_GETFD), FD_CLOEXEC);
	assert_int_equal(dup2(fd, copy), copy);
	assert_int_equal(fcntl(copy, F_GETFD), 0);      /* replaced, hence cleared */
}

static void dup2_replaces_what_was_there(void **state)
{
	int fd = file_make("f", "hello"), p[2];
	char c;

	ASSERT_OK(pipe(p));
	assert_int_equal(dup2(fd, p[1]), p[1]);         /* the last writer is gone: end of file */
	assert_int_equal(read(p[0], &c, 1), 0);
	assert_int_equal(read(p[1], &c, 1), 1);
	assert_int_equal(c, 'h');
	assert_int_equal(dup2(fd, 200), 200);           /* a number far above */
	assert_int_equal(lseek(200, 0, SEEK_CUR), 1);
	close(200);
	ASSERT_ERR(lseek(200, 0, SEEK_CUR), EBADF);
}

static void dup2_to_itself_only_checks(void **state)
{
	int fd = (int)ASSERT_OK(open(".", O_RDONLY | O_CLOEXEC));

	assert_int_equal(dup2(fd, fd), fd);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);       /* nothing is touched */
	ASSERT_ERR(dup2(99999, 99999), EBADF);
	ASSERT_ERR(dup2(-1, -1), EBADF);
}

static void errors_come_in_linux_order(void **state)
{
	int fd = file_make("f", "");
	struct rlimit lim;

	ASSERT_OK(getrlimit(RLIMIT_NOFILE, &lim));
	int max = lim.rlim_cur > INT_MAX ? INT_MAX : (int)lim.rlim_cur;
	const struct { const char *what; int oldfd, newfd, flags, err; } c[] = {
		{ "same descriptor",     fd, fd,  0,         EINVAL },
		{ "same and not open",   -1, -1,  0,         EINVAL },
		{ "same with cloexec",   fd, fd,  O_CLOEXEC, EINVAL },
		{ "unknown flag",        -1, 100, O_APPEND,  EINVAL },
		{ "source not open",     -1, 100, 0,         EBADF },
		{ "target out of range", fd, -1,  0,         EBADF },
		{ "target at the limit", fd, max, 0,         EBADF },
	};

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		errno = 0;
		int r = dup3(c[i].oldfd, c[i].newfd, c[i].flags);
		if (r != -1 || errno != c[i].err)
			fail_msg("%s: got %d/%s, want -1/%s", c[i].what, r, errno_name(errno),
				 errno_name(c[i].err));
	}
	ASSERT_ERR(dup2(fd, -1), EBADF);
	ASSERT_ERR(dup2(fd, max), EBADF);
	assert_false(file_fd_open(100));
}

static void the_limit_holds_for_copies(void **state)
{
	int fd = file_make("f", "");
	struct rlimit old, low;

	ASSERT_OK(dup2(fd, 100));
	ASSERT_OK(getrlimit(RLIMIT_NOFILE, &old));
	low = old;
	low.rlim_cur = (rlim_t)fd + 1;
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &low));
	int r = dup(fd), err = errno;
	int r2 = dup2(fd, fd + 1), err2 = errno;
	int r3 = dup2(100, fd), r4 = (int)read(100, (char[1]){ 0 }, 1);
	int r5 = fcntl(fd, F_DUPFD, fd + 1), err5 = errno;
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &old));
	assert_int_equal(r, -1);
	assert_int_equal(err, EMFILE);
	assert_int_equal(r2, -1);
	assert_int_equal(err2, EBADF);
	assert_int_equal(r3, fd);               /* those above the limit live on */
	assert_int_equal(r4, 0);
	assert_int_equal(r5, -1);
	assert_int_equal(err5, EINVAL);
}

static void close_frees_the_number_once(void **state)
{
	int fd = file_make("f", "");

	ASSERT_OK(close(fd));
	ASSERT_ERR(close(fd), EBADF);
	ASSERT_ERR(close(-1), EBADF);
	ASSERT_ERR(close(99999), EBADF);
	assert_int_equal(open("f", O_RDONLY), fd);
}

static void close_range_closes_a_range(void **state)
{
	int fd = file_make("f", "");

	for (int n = 100; n < 110; n++)
		ASSERT_OK(dup2(fd, n));
	ASSERT_OK(close_range(102, 104, 0));
	for (int n = 100; n < 110; n++)
		assert_int_equal(file_fd_open(n), n < 102 || n > 104);
	ASSERT_OK(close_range(101, 105, CLOSE_RANGE_CLOEXEC));
	assert_int_equal(fcntl(100, F_GETFD), 0);
	assert_int_equal(fcntl(101, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(105, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(106, F_GETFD), 0);
	ASSERT_OK(close_range(3000, ~0U, 0));           /* none there is fine */
	ASSERT_OK(close_range(107, 107, 0));
	ASSERT_ERR(fcntl(107, F_GETFD), EBADF);
	ASSERT_ERR(close_range(5, 4, 0), EINVAL);
	ASSERT_ERR(close_range(108, 108, 1 << 10), EINVAL);
	assert_true(file_fd_open(108));
}

static long unshared_close(void *arg)
{
	int fd = *(int *)arg;

	if (close_range((unsigned int)fd, (unsigned int)fd, CLOSE_RANGE_UNSHARE))
		return -1;
	return file_fd_open(fd) ? -2 : 0;
}

static void close_range_can_leave_other_threads_alone(void **state)
{
	int fd = file_make("f", "");
	struct bg bg;

	bg_start(&bg, unshared_close, &fd);
	assert_int_equal(bg_end(&bg), 0);
	assert_true(file_fd_open(fd));
}

static void the_file_goes_with_its_last_copy(void **state)
{
	int p[2], copy, copy2;
	char c;

	ASSERT_OK(pipe2(p, O_NONBLOCK));
	copy = (int)ASSERT_OK(dup(p[1]));
	copy2 = (int)ASSERT_OK(fcntl(p[1], F_DUPFD, 50));
	close(p[1]);
	ASSERT_ERR(read(p[0], &c, 1), EAGAIN);
	close(copy);
	ASSERT_ERR(read(p[0], &c, 1), EAGAIN);
	close(copy2);
	assert_int_equal(read(p[0], &c, 1), 0);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(dup_takes_the_lowest_number),
		cmocka_unit_test(copies_share_offset_and_status_flags),
		cmocka_unit_test(copies_do_not_inherit_cloexec),
		cmocka_unit_test(dup2_replaces_what_was_there),
		cmocka_unit_test(dup2_to_itself_only_checks),
		cmocka_unit_test(errors_come_in_linux_order),
		cmocka_unit_test(the_limit_holds_for_copies),
		cmocka_unit_test(close_frees_the_number_once),
		cmocka_unit_test(close_range_closes_a_range),
		cmocka_unit_test(close_range_can_leave_other_threads_alone),
		cmocka_unit_test(the_file_goes_with_its_last_copy),
	};

	return FILE_RUN_HERE(tests);
}
