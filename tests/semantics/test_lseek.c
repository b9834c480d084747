/* SPDX-License-Identifier: MIT */
/*
 * lseek(2): the five whences, offsets behind the end, the errors, files that have no offset,
 * SEEK_DATA and SEEK_HOLE (a file system may know no holes: then all is data up to the end; which
 * one it is shows in what a hole of a megabyte looks like). Directories: test_dir.c.
 */
#include "tests/lib/file_dir.h"
#include "tests/lib/needs.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#define MEG (1L << 20)

static void whences_add_up(void **state)
{
	int fd = file_make("f", "0123456789");

	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	assert_int_equal(lseek(fd, 4, SEEK_SET), 4);
	assert_int_equal(lseek(fd, 3, SEEK_CUR), 7);
	assert_int_equal(lseek(fd, -2, SEEK_CUR), 5);
	assert_int_equal(lseek(fd, 0, SEEK_END), 10);
	assert_int_equal(lseek(fd, -10, SEEK_END), 0);
	assert_int_equal(lseek(fd, 5, SEEK_END), 15);
	assert_int_equal(file_fd_size(fd), 10);         /* seeking does not grow it */
	assert_int_equal(lseek(fd, 1L << 40, SEEK_SET), 1L << 40);
}

static void errors_leave_the_offset(void **state)
{
	int fd = file_make("f", "0123456789");

	assert_int_equal(lseek(fd, 4, SEEK_SET), 4);
	ASSERT_ERR(lseek(fd, -1, SEEK_SET), EINVAL);
	ASSERT_ERR(lseek(fd, -5, SEEK_CUR), EINVAL);
	ASSERT_ERR(lseek(fd, -11, SEEK_END), EINVAL);
	ASSERT_ERR(lseek(fd, INT64_MIN, SEEK_SET), EINVAL);
	ASSERT_ERR(lseek(fd, 0, 5), EINVAL);
	ASSERT_ERR(lseek(fd, 0, -1), EINVAL);
	ASSERT_ERR(lseek(fd, INT64_MAX, SEEK_CUR), EINVAL);     /* the sum overflows */
	ASSERT_ERR(lseek(-1, 0, 99), EBADF);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 4);
}

static void a_file_may_have_no_offset(void **state)
{
	int p[2], sv[2], n = 0, fd[8];

	ASSERT_OK(pipe(p));
	ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	fd[n++] = p[0];
	fd[n++] = p[1];
	fd[n++] = sv[0];
	for (int i = 0; i < n; i++) {
		ASSERT_ERR(lseek(fd[i], 0, SEEK_CUR), ESPIPE);
		ASSERT_ERR(lseek(fd[i], -5, SEEK_SET), ESPIPE);
	}
	ASSERT_ERR(lseek(p[0], 0, 99), EINVAL);         /* whence before the kind of file */
}

static void data_and_hole_find_each_other(void **state)
{
	int fd = file_make("f", "");
	off_t hole;

	assert_int_equal(pwrite(fd, "d", 1, MEG), 1);   /* hole, data, hole */
	ASSERT_OK(ftruncate(fd, 3 * MEG));
	hole = ASSERT_OK(lseek(fd, 0, SEEK_HOLE));
	if (hole == 3 * MEG) {                          /* holes are not known here */
		assert_int_equal(lseek(fd, 5, SEEK_DATA), 5);
		assert_int_equal(lseek(fd, 5, SEEK_HOLE), 3 * MEG);
		return;
	}
	assert_int_equal(hole, 0);
	off_t data = ASSERT_OK(lseek(fd, 0, SEEK_DATA));
	assert_true(data > 0 && data <= MEG);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), data); /* it is a seek */
	hole = ASSERT_OK(lseek(fd, data, SEEK_HOLE));
	assert_true(hole > MEG && hole < 3 * MEG);
	assert_int_equal(lseek(fd, MEG, SEEK_DATA), MEG);
	assert_int_equal(lseek(fd, 5, SEEK_HOLE), 5);
	ASSERT_ERR(lseek(fd, hole, SEEK_DATA), ENXIO);  /* only a hole up to the end */
}

static void data_and_hole_at_the_edges(void **state)
{
	int fd = file_make("f", "0123456789");

	assert_int_equal(lseek(fd, 0, SEEK_DATA), 0);
	assert_int_equal(lseek(fd, 9, SEEK_DATA), 9);
	assert_int_equal(lseek(fd, 0, SEEK_HOLE), 10);  /* the end is a hole */
	assert_int_equal(lseek(fd, 9, SEEK_HOLE), 10);
	ASSERT_ERR(lseek(fd, 10, SEEK_DATA), ENXIO);
	ASSERT_ERR(lseek(fd, 10, SEEK_HOLE), ENXIO);
	ASSERT_ERR(lseek(fd, 11, SEEK_HOLE), ENXIO);
	ASSERT_ERR(lseek(fd, -1, SEEK_DATA), ENXIO);
	ASSERT_ERR(lseek(fd, -1, SEEK_HOLE), ENXIO);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 10);
	int empty = file_make("empty", "");
	ASSERT_ERR(lseek(empty, 0, SEEK_DATA), ENXIO);
	ASSERT_ERR(lseek(empty, 0, SEEK_HOLE), ENXIO);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(whences_add_up),
		cmocka_unit_test(errors_leave_the_offset),
		cmocka_unit_test(a_file_may_have_no_offset),
		cmocka_unit_test(data_and_hole_find_each_other),
		cmocka_unit_test(data_and_hole_at_the_edges),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
