/* SPDX-License-Identifier: MIT */
/*
 * truncate(2), ftruncate(2) and fallocate(2): sizes, contents after cutting and growing again, the
 * modes of fallocate (those a file system lacks say EOPNOTSUPP), errors, the size limit.
 * What maps of a cut file do is in test_shm.c and test_mmap.c.
 */
#include "tests/lib/file_dir.h"

#include <linux/falloc.h>
#include <signal.h>
#include <sys/resource.h>

static void cut_and_grown_again_is_zero(void **state)
{
	char buf[16];
	int fd = file_make("f", "0123456789");

	ASSERT_OK(truncate("f", 4));
	assert_string_equal(file_text("f"), "0123");
	ASSERT_OK(ftruncate(fd, 12));
	assert_int_equal(pread(fd, buf, 16, 0), 12);
	assert_memory_equal(buf, "0123\0\0\0\0\0\0\0\0", 12);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);    /* offsets are not touched */
	assert_int_equal(lseek(fd, 10, SEEK_SET), 10);
	ASSERT_OK(ftruncate(fd, 0));
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 10);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(file_fd_size(fd), 11);
}

static void the_rest_of_a_page_is_zero_after_growing(void **state)
{
	char *text = file_letters(FILE_PAGE), buf[FILE_PAGE];
	int fd = file_make("f", text);

	ASSERT_OK(ftruncate(fd, 100));
	ASSERT_OK(ftruncate(fd, FILE_PAGE));
	assert_int_equal(pread(fd, buf, FILE_PAGE, 0), FILE_PAGE);
	assert_memory_equal(buf, text, 100);
	for (int i = 100; i < FILE_PAGE; i++)
		assert_int_equal(buf[i], 0);
	free(text);
}

static void truncate_reports_errors(void **state)
{
	int fd = file_make("f", "hello"), r = (int)ASSERT_OK(open("f", O_RDONLY)), p[2];
	int dir = (int)ASSERT_OK(open(".", O_RDONLY));

	ASSERT_OK(mkdir("dir", 0755));
	ASSERT_OK(mkfifo("fifo", 0600));
	ASSERT_OK(pipe(p));
	ASSERT_ERR(truncate("missing", 0), ENOENT);
	ASSERT_ERR(truncate("f", -1), EINVAL);
	ASSERT_ERR(truncate("missing", -1), EINVAL);
	ASSERT_ERR(truncate("dir", 0), EISDIR);
	ASSERT_ERR(truncate("fifo", 0), EINVAL);
	ASSERT_ERR(truncate("/dev/null", 0), EINVAL);
	ASSERT_ERR(truncate("f/x", 0), ENOTDIR);
	ASSERT_ERR(truncate(file_bad(), 0), EFAULT);
	ASSERT_ERR(ftruncate(-1, 0), EBADF);
	ASSERT_ERR(ftruncate(-1, -1), EINVAL);          /* the length first */
	ASSERT_ERR(ftruncate(r, 0), EINVAL);
	ASSERT_ERR(ftruncate(dir, 0), EINVAL);
	ASSERT_ERR(ftruncate(p[1], 0), EINVAL);
	ASSERT_ERR(ftruncate(fd, -1), EINVAL);
	assert_string_equal(file_text("f"), "hello");
}

static volatile sig_atomic_t xfsz_seen;

static void on_xfsz(int sig)
{
	xfsz_seen++;
}

static void growing_past_the_limit_signals(void **state)
{
	struct rlimit old, low;
	int fd = file_make("f", "hello");

	xfsz_seen = 0;
	signal(SIGXFSZ, on_xfsz);
	ASSERT_OK(getrlimit(RLIMIT_FSIZE, &old));
	low = old;
	low.rlim_cur = 100;
	ASSERT_OK(setrlimit(RLIMIT_FSIZE, &low));
	int r = ftruncate(fd, 101), err = errno, seen = xfsz_seen;
	int r2 = ftruncate(fd, 100);
	int r3 = posix_fallocate(fd, 0, 200);
	ASSERT_OK(setrlimit(RLIMIT_FSIZE, &old));
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(r, -1);
	assert_int_equal(err, EFBIG);
	assert_int_equal(seen, 1);
	assert_int_equal(r2, 0);
	assert_true(r3 == EFBIG || r3 == EOPNOTSUPP);
}

/* fallocate where it exists; false if this file system lacks the mode. */
static bool try_fallocate(int fd, int mode, off_t off, off_t len)
{
	if (fallocate(fd, mode, off, len) == 0)
		return true;
	assert_int_equal(errno, EOPNOTSUPP);
	return false;
}

static void fallocate_grows_and_keeps_what_is_there(void **state)
{
	struct stat st;
	char buf[16];
	int fd = file_make("f", "hello");

	if (!try_fallocate(fd, 0, 0, 100000))
		skip();
	assert_int_equal(file_fd_size(fd), 100000);
	assert_int_equal(pread(fd, buf, 8, 0), 8);
	assert_memory_equal(buf, "hello\0\0\0", 8);
	ASSERT_OK(fstat(fd, &st));
	assert_true(st.st_blocks * 512 >= 100000);
	ASSERT_OK(fallocate(fd, 0, 0, 10));             /* never shrinks */
	assert_int_equal(file_fd_size(fd), 100000);
	ASSERT_OK(posix_fallocate(fd, 100000, 1));
	assert_int_equal(file_fd_size(fd), 100001);
}

static void keep_size_reserves_behind_the_end(void **state)
{
	struct stat st;
	int fd = file_make("f", "hello");

	if (!try_fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 20))
		skip();
	ASSERT_OK(fstat(fd, &st));
	assert_int_equal(st.st_size, 5);
	assert_true(st.st_blocks * 512 >= 1 << 20);
}

static void punch_hole_zeroes_and_frees(void **state)
{
	char *text = file_letters(64 * 1024), buf[3 * FILE_PAGE];
	struct stat before, after;
	int fd = file_make("f", text);

	ASSERT_OK(fsync(fd));
	ASSERT_OK(fstat(fd, &before));
	if (!try_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 2 * FILE_PAGE))
		skip();
	assert_int_equal(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	for (int i = 0; i < 3 * FILE_PAGE; i++)         /* to the byte */
		assert_int_equal(buf[i], i < 100 || i >= 100 + 2 * FILE_PAGE ? 'n' : 0);
	ASSERT_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20));
	assert_int_equal(file_fd_size(fd), 64 * 1024);  /* also when it reaches beyond the end */
	ASSERT_OK(fsync(fd));
	ASSERT_OK(fstat(fd, &after));
	assert_true(after.st_blocks < before.st_blocks);
	ASSERT_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1), EOPNOTSUPP);      /* KEEP_SIZE? */
	free(text);
}

static void zero_range_zeroes(void **state)
{
	char buf[16];
	int fd = file_make("f", "0123456789");

	if (!try_fallocate(fd, FALLOC_FL_ZERO_RANGE, 3, 4))
		skip();
	assert_int_equal(pread(fd, buf, 16, 0), 10);
	assert_memory_equal(buf, "012\0\0\0\0" "789", 10);
	ASSERT_OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 8, 10));
	assert_int_equal(file_fd_size(fd), 18);
	ASSERT_OK(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 8, 20));
	assert_int_equal(file_fd_size(fd), 18);
}

static void collapse_and_insert_move_the_rest(void **state)
{
	char *text = file_letters(4 * FILE_PAGE), c;
	struct stat st;
	int fd;

	text[2 * FILE_PAGE] = 'M';
	fd = file_make("f", text);
	ASSERT_OK(fstat(fd, &st));
	if (st.st_blksize != FILE_PAGE ||
	    !try_fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, FILE_PAGE))
		skip();
	assert_int_equal(file_fd_size(fd), 3 * FILE_PAGE);
	assert_int_equal(pread(fd, &c, 1, FILE_PAGE), 1);
	assert_int_equal(c, 'M');
	ASSERT_OK(fallocate(fd, FALLOC_FL_INSERT_RANGE, FILE_PAGE, FILE_PAGE));
	assert_int_equal(file_fd_size(fd), 4 * FILE_PAGE);
	assert_int_equal(pread(fd, &c, 1, FILE_PAGE), 1);
	assert_int_equal(c, 0);
	assert_int_equal(pread(fd, &c, 1, 2 * FILE_PAGE), 1);
	assert_int_equal(c, 'M');
	ASSERT_ERR(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 100), EINVAL);
	free(text);
}

static void fallocate_reports_errors(void **state)
{
	int fd = file_make("f", "hello"), r = (int)ASSERT_OK(open("f", O_RDONLY)), p[2];
	int null = (int)ASSERT_OK(open("/dev/null", O_RDWR));

	ASSERT_OK(pipe(p));
	ASSERT_ERR(fallocate(-1, 0, 0, 1), EBADF);
	ASSERT_ERR(fallocate(r, 0, 0, 1), EBADF);
	ASSERT_ERR(fallocate(fd, 0, -1, 1), EINVAL);
	ASSERT_ERR(fallocate(fd, 0, 0, 0), EINVAL);
	ASSERT_ERR(fallocate(fd, 0, 0, -1), EINVAL);
	ASSERT_ERR(fallocate(r, 0, 0, 0), EINVAL);      /* numbers before the access mode */
	ASSERT_ERR(fallocate(-1, 0, 0, 0), EBADF);
	ASSERT_ERR(fallocate(fd, 0x4000, 0, 1), EOPNOTSUPP);
	ASSERT_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE, 0, 1), EOPNOTSUPP);
	ASSERT_ERR(fallocate(fd, 0, INT64_MAX, 1), EFBIG);
	ASSERT_ERR(fallocate(p[1], 0, 0, 1), ESPIPE);
	ASSERT_ERR(fallocate(null, 0, 0, 1), ENODEV);
	assert_string_equal(file_text("f"), "hello");
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_and_grown_again_is_zero),
		cmocka_unit_test(the_rest_of_a_page_is_zero_after_growing),
		cmocka_unit_test(truncate_reports_errors),
		cmocka_unit_test(growing_past_the_limit_signals),
		cmocka_unit_test(fallocate_grows_and_keeps_what_is_there),
		cmocka_unit_test(keep_size_reserves_behind_the_end),
		cmocka_unit_test(punch_hole_zeroes_and_frees),
		cmocka_unit_test(zero_range_zeroes),
		cmocka_unit_test(collapse_and_insert_move_the_rest),
		cmocka_unit_test(fallocate_reports_errors),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
