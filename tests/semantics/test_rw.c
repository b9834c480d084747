/* SPDX-License-Identifier: MIT */
/*
 * read(2), write(2) and their positional and vectored kin on regular files: offsets, end of file,
 * holes, buffers that fault in the middle, limits of counts and vectors, RWF_* flags, O_APPEND,
 * RLIMIT_FSIZE, and that threads sharing a description never overwrite one another.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"

#include <sys/resource.h>
#include <sys/uio.h>

#define RW_MAX 0x7ffff000L              /* the most one call moves */

#ifndef RWF_APPEND
#define RWF_APPEND 0x10
#endif

static void the_offset_moves_by_what_was_done(void **state)
{
	char buf[16] = "";
	int fd = (int)ASSERT_OK(open("f", O_RDWR | O_CREAT, 0644));

	assert_int_equal(write(fd, "hello world", 11), 11);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 11);
	assert_int_equal(read(fd, buf, 4), 0);
	assert_int_equal(lseek(fd, 6, SEEK_SET), 6);
	assert_int_equal(read(fd, buf, 16), 5);
	assert_string_equal(buf, "world");
	assert_int_equal(read(fd, buf, 16), 0);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 11);
	assert_int_equal(lseek(fd, 100, SEEK_SET), 100);
	assert_int_equal(read(fd, buf, 16), 0);         /* behind the end: nothing */
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 100);
}

static void nothing_is_zero_bytes(void **state)
{
	int fd = file_make("f", "hello");

	assert_int_equal(read(fd, file_bad(), 0), 0);
	assert_int_equal(write(fd, file_bad(), 0), 0);
	assert_int_equal(pwrite(fd, "x", 0, 1000), 0);
	assert_int_equal(file_fd_size(fd), 5);          /* does not grow the file */
	ASSERT_ERR(read(-1, file_bad(), 0), EBADF);
}

static void positional_calls_leave_the_offset_alone(void **state)
{
	char buf[8] = "";
	int fd = file_make("f", "hello");

	assert_int_equal(pread(fd, buf, 8, 3), 2);
	assert_string_equal(buf, "lo");
	assert_int_equal(pwrite(fd, "LO!", 3, 3), 3);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	assert_string_equal(file_text("f"), "helLO!");
	assert_int_equal(pread(fd, buf, 8, 6), 0);
	assert_int_equal(pread(fd, buf, 8, INT64_MAX - 8), 0);
}

static void errors_come_in_linux_order(void **state)
{
	int p[2], fd = file_make("f", "hello"), dir = (int)ASSERT_OK(open(".", O_RDONLY));
	char *bad = file_bad(), c;

	ASSERT_OK(pipe(p));
	ASSERT_ERR(read(-1, bad, 1), EBADF);
	ASSERT_ERR(write(99999, bad, 1), EBADF);
	ASSERT_ERR(read(fd, bad, 1), EFAULT);
	ASSERT_ERR(write(fd, bad, 1), EFAULT);
	ASSERT_ERR(read(fd, (char *)-4096L, 1), EFAULT);
	ASSERT_ERR(write(fd, (char *)-4096L, 1), EFAULT);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	ASSERT_ERR(read(dir, &c, 1), EISDIR);
	ASSERT_ERR(pread(dir, &c, 1, 0), EISDIR);
	ASSERT_ERR(pread(fd, &c, 1, -1), EINVAL);
	ASSERT_ERR(pwrite(fd, &c, 1, -1), EINVAL);
	ASSERT_ERR(pread(-1, &c, 1, -1), EINVAL);       /* the offset before the descriptor */
	ASSERT_ERR(pread(p[0], &c, 1, -1), EINVAL);
	ASSERT_ERR(pread(p[0], &c, 1, 0), ESPIPE);
	ASSERT_ERR(pwrite(p[1], &c, 1, 0), ESPIPE);
	ASSERT_ERR(pread(p[1], &c, 1, 0), ESPIPE);      /* before the access mode */
	ASSERT_ERR(pwrite(fd, "x", 1, INT64_MAX), EINVAL);      /* offset + count overflows */
	ASSERT_ERR(pread(fd, &c, 1, INT64_MAX), EINVAL);
	ASSERT_ERR(syscall(SYS_read, fd, &c, -1L), EFAULT); /* leaves the address space */
	ASSERT_ERR(syscall(SYS_write, fd, &c, SSIZE_MAX), EFAULT);
	assert_string_equal(file_text("f"), "hello");
}

static void a_read_stops_where_memory_ends(void **state)
{
	char *edge = file_edge(100), *text = file_letters(3 * FILE_PAGE);
	int fd = file_make("f", text);

	assert_int_equal(read(fd, edge, 3 * FILE_PAGE), 100);
	assert_memory_equal(edge, text, 100);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 100);
	edge = file_edge(FILE_PAGE + 10);
	assert_int_equal(pread(fd, edge, 2 * FILE_PAGE, 5), FILE_PAGE + 10);
	struct iovec v[2] = { { edge, 7 }, { file_bad(), 9 } };
	assert_int_equal(readv(fd, v, 2), 7);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 107);
	free(text);
}

static void a_write_stops_where_memory_ends(void **state)
{
	char *edge = file_edge(100);
	int fd = file_make("f", "");

	memset(edge, 'e', 100);
	assert_int_equal(write(fd, edge, 2 * FILE_PAGE), 100);
	assert_int_equal(file_fd_size(fd), 100);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 100);
	edge = file_edge(FILE_PAGE + 10);
	memset(edge, 'f', FILE_PAGE + 10);
	assert_int_equal(pwrite(fd, edge, 3 * FILE_PAGE, 50), FILE_PAGE + 10);
	assert_int_equal(file_fd_size(fd), FILE_PAGE + 60);
	struct iovec v[2] = { { edge, 7 }, { file_bad(), 9 } };
	assert_int_equal(writev(fd, v, 2), 7);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 107);
}

static void one_call_moves_at_most_two_gigabytes(void **state)
{
	static char buf[8];     /* not on the stack: above that, less than 2 GB may be left */
	int null = (int)ASSERT_OK(open("/dev/null", O_WRONLY)), fd = file_make("f", "hello");
	struct iovec v[3] = { { buf, 1L << 30 }, { buf, 1L << 30 }, { buf, 1L << 30 } };

	assert_int_equal(write(null, (void *)FILE_PAGE, RW_MAX), RW_MAX);
	assert_int_equal(write(null, (void *)FILE_PAGE, 1L << 40), RW_MAX);
	assert_int_equal(pwrite(null, (void *)FILE_PAGE, 1L << 40, 0), RW_MAX);
	v[0].iov_base = v[1].iov_base = v[2].iov_base = (void *)FILE_PAGE;
	assert_int_equal(writev(null, v, 3), RW_MAX);
	assert_int_equal(syscall(SYS_pread64, fd, buf, 1L << 31, 0L), 5);
}

static void holes_read_as_zero(void **state)
{
	char buf[3 * FILE_PAGE];
	struct stat st;
	int fd = file_make("f", "start");

	assert_int_equal(pwrite(fd, "end", 3, 1 << 20), 3);
	assert_int_equal(file_fd_size(fd), (1 << 20) + 3);
	memset(buf, 'x', sizeof(buf));
	assert_int_equal(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	assert_memory_equal(buf, "start", 5);
	for (size_t i = 5; i < sizeof(buf); i++)
		assert_int_equal(buf[i], 0);
	assert_int_equal(pread(fd, buf, 16, (1 << 20) - 1), 4);
	assert_memory_equal(buf, "\0end", 4);
	ASSERT_OK(fstat(fd, &st));
	assert_true(st.st_blocks * 512 < 1 << 20);      /* nobody stored the hole */
	assert_int_equal(lseek(fd, 10, SEEK_END), (1 << 20) + 13);
	assert_int_equal(write(fd, "!", 1), 1);
	assert_int_equal(pread(fd, buf, 16, (1 << 20) + 3), 11);
	assert_memory_equal(buf, "\0\0\0\0\0\0\0\0\0\0!", 11);
}

static void vectors_are_one_operation_in_order(void **state)
{
	char a[3] = "", b[4] = "", c[8] = "";
	struct iovec w[4] = { { (char *)(uintptr_t)"ab", 2 }, { file_bad(), 0 },
			      { (char *)(uintptr_t)"cde", 3 }, { (char *)(uintptr_t)"f", 1 } };
	struct iovec r[3] = { { a, 2 }, { b, 3 }, { c, 8 } };
	int fd = file_make("f", "");

	assert_int_equal(writev(fd, w, 4), 6);
	assert_string_equal(file_text("f"), "abcdef");
	assert_int_equal(preadv(fd, r, 3, 0), 6);
	assert_string_equal(a, "ab");
	assert_string_equal(b, "cde");
	assert_string_equal(c, "f");
	assert_int_equal(pwritev(fd, w, 1, 4), 2);
	assert_int_equal(lseek(fd, 1, SEEK_SET), 1);
	assert_int_equal(readv(fd, r, 2), 5);
	assert_memory_equal(a, "bc", 2);
	assert_memory_equal(b, "dab", 3);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 6);
}

static void vectors_have_limits(void **state)
{
	static struct iovec v[1025];
	int p[2], fd = file_make("f", "");
	char byte = 'b';

	ASSERT_OK(pipe(p));
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		v[i] = (struct iovec){ &byte, 1 };
	assert_int_equal(writev(fd, v, 1024), 1024);
	assert_int_equal(file_fd_size(fd), 1024);
	ASSERT_ERR(writev(fd, v, 1025), EINVAL);
	ASSERT_ERR(readv(fd, v, 1025), EINVAL);
	ASSERT_ERR(syscall(SYS_writev, fd, v, -1L), EINVAL);
	assert_int_equal(writev(fd, v, 0), 0);
	assert_int_equal(readv(fd, file_bad(), 0), 0);
	ASSERT_ERR(readv(-1, v, 0), EBADF);
	ASSERT_ERR(readv(-1, v, 1025), EBADF);
	ASSERT_ERR(readv(fd, file_bad(), 1), EFAULT);
	ASSERT_ERR(writev(fd, file_bad(), 1), EFAULT);
	ASSERT_ERR(writev(fd, file_bad(), 1025), EINVAL);
	v[1].iov_len = (size_t)SSIZE_MAX + 1;
	ASSERT_ERR(writev(fd, v, 2), EINVAL);           /* all lengths before any work */
	v[1].iov_len = 1;
	v[1].iov_base = (void *)-4096L;
	ASSERT_ERR(writev(fd, v, 2), EFAULT);           /* the same for kernel addresses */
	ASSERT_ERR(preadv(p[0], v, 1, 0), ESPIPE);
	ASSERT_ERR(pwritev(fd, v, 1, -1), EINVAL);
	assert_int_equal(file_fd_size(fd), 1024);
}

static void version_two_takes_flags_and_the_current_offset(void **state)
{
	char buf[8] = "";
	struct iovec r = { buf, 3 }, w = { (char *)(uintptr_t)"xyz", 3 };
	int p[2], fd = file_make("f", "hello");

	assert_int_equal(preadv2(fd, &r, 1, -1, 0), 3);
	assert_string_equal(buf, "hel");
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 3);
	assert_int_equal(preadv2(fd, &r, 1, 1, 0), 3);
	assert_string_equal(buf, "ell");
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 3);
	assert_int_equal(pwritev2(fd, &w, 1, -1, RWF_DSYNC), 3);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 6);
	assert_int_equal(pwritev2(fd, &w, 1, 0, RWF_SYNC), 3);
	assert_string_equal(file_text("f"), "xyzxyz");
	ASSERT_ERR(preadv2(fd, &r, 1, -2, 0), EINVAL);
	ASSERT_ERR(preadv2(fd, &r, 1, 0, 0x40000000), EOPNOTSUPP);
	ASSERT_ERR(pwritev2(fd, &w, 1, 0, 0x40000000), EOPNOTSUPP);
	ASSERT_ERR(preadv2(fd, &r, 1, 0, RWF_APPEND | 0x40000000), EOPNOTSUPP);
	ASSERT_ERR(preadv2(-1, &r, 1, -2, 0x40000000), EINVAL);
	ASSERT_OK(pipe(p));
	assert_int_equal(pwritev2(p[1], &w, 1, -1, 0), 3);
	assert_int_equal(preadv2(p[0], &r, 1, -1, 0), 3);
	assert_string_equal(buf, "xyz");
	ASSERT_ERR(preadv2(p[0], &r, 1, 0, 0), ESPIPE);
}

/* A hint where the file system takes it (Linux 6.14), refused elsewhere; what is written whole or not at all is refused. */
static void contents_need_not_be_cached(void **state)
{
	struct iovec w = { (char *)(uintptr_t)"abc", 3 };
	int fd = file_make("f", ""), p[2];
	ssize_t r = pwritev2(fd, &w, 1, 0, 0x80 /* RWF_DONTCACHE */);

	if (r == -1)
		assert_int_equal(errno, EOPNOTSUPP);
	else
		assert_string_equal(file_text("f"), "abc");
	ASSERT_ERR(pwritev2(fd, &w, 1, 0, 0x40 /* RWF_ATOMIC */), EOPNOTSUPP);
	ASSERT_OK(pipe(p));
	ASSERT_ERR(pwritev2(p[1], &w, 1, -1, 0x80), EOPNOTSUPP);
}

static void rwf_append_is_o_append_for_one_call(void **state)
{
	struct iovec w = { (char *)(uintptr_t)"+", 1 };
	int fd = file_make("f", "hello");

	assert_int_equal(pwritev2(fd, &w, 1, 0, RWF_APPEND), 1);
	assert_string_equal(file_text("f"), "hello+");
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	assert_int_equal(pwritev2(fd, &w, 1, -1, RWF_APPEND), 1);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 7);    /* the current offset was asked for */
	assert_int_equal(pwrite(fd, "H", 1, 0), 1);
	assert_string_equal(file_text("f"), "Hello++");
}

/* POSIX wants the offset obeyed; Linux appends (pwrite(2), BUGS). */
static void pwrite_on_an_append_description_appends(void **state)
{
	file_put("f", "hello");
	int fd = (int)ASSERT_OK(open("f", O_RDWR | O_APPEND));

	assert_int_equal(pwrite(fd, "!", 1, 0), 1);
	assert_string_equal(file_text("f"), "hello!");
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
}

static atomic_int xfsz_seen;

static void on_xfsz(int sig)
{
	atomic_fetch_add(&xfsz_seen, 1);
}

static void the_size_limit_cuts_then_signals(void **state)
{
	struct rlimit old, low;
	int fd = file_make("f", "");
	long got[5];
	int err;

	atomic_store(&xfsz_seen, 0);
	signal(SIGXFSZ, on_xfsz);
	ASSERT_OK(getrlimit(RLIMIT_FSIZE, &old));
	low = old;
	low.rlim_cur = 100;
	ASSERT_OK(setrlimit(RLIMIT_FSIZE, &low));
	char *text = file_letters(200);
	got[0] = write(fd, text, 200);
	got[1] = atomic_load(&xfsz_seen);
	got[2] = write(fd, text, 1);
	err = errno;
	got[3] = atomic_load(&xfsz_seen);
	got[4] = pwrite(fd, text, 10, 50);
	ASSERT_OK(setrlimit(RLIMIT_FSIZE, &old));
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(got[0], 100);
	assert_int_equal(got[1], 0);
	assert_int_equal(got[2], -1);
	assert_int_equal(err, EFBIG);
	assert_int_equal(got[3], 1);
	assert_int_equal(got[4], 10);
	assert_int_equal(file_fd_size(fd), 100);
	free(text);
}

static void descriptions_have_their_own_offset_and_one_file(void **state)
{
	char buf[8] = "";
	int a = file_make("f", "hello"), b = (int)ASSERT_OK(open("f", O_RDWR)), c = dup(a);

	assert_int_equal(read(a, buf, 2), 2);
	assert_int_equal(lseek(b, 0, SEEK_CUR), 0);
	assert_int_equal(lseek(c, 0, SEEK_CUR), 2);
	assert_int_equal(write(b, "J", 1), 1);
	assert_int_equal(pread(a, buf, 5, 0), 5);
	assert_string_equal(buf, "Jello");
}

enum { RECORDS = 400, RECORD = 24 };

static long write_records(void *arg)
{
	const int *a = arg;             /* descriptor, letter */
	char rec[RECORD];

	memset(rec, a[1], RECORD);
	for (int i = 0; i < RECORDS; i++)
		if (write(a[0], rec, RECORD) != RECORD)
			return -1;
	return 0;
}

static void check_records(int fd)
{
	static char text[3 * RECORDS * RECORD];
	int seen[3] = { 0 };

	assert_int_equal(pread(fd, text, sizeof(text), 0), 2 * RECORDS * RECORD);
	for (int i = 0; i < 2 * RECORDS; i++) {
		char *rec = text + (ptrdiff_t)i * RECORD;

		assert_true(rec[0] == 'a' || rec[0] == 'b');
		for (int j = 1; j < RECORD; j++)
			assert_int_equal(rec[j], rec[0]);
		seen[rec[0] - 'a']++;
	}
	assert_int_equal(seen[0], RECORDS);
	assert_int_equal(seen[1], RECORDS);
}

static void threads_do_not_overwrite_one_another(void **state)
{
	int fd = file_make("f", ""), args[2][2] = { { fd, 'a' }, { fd, 'b' } };
	struct bg bg;

	bg_start(&bg, write_records, args[0]);          /* one description, one offset */
	assert_int_equal(write_records(args[1]), 0);
	assert_int_equal(bg_end(&bg), 0);
	check_records(fd);

	file_put("g", "");
	for (int i = 0; i < 2; i++)
		args[i][0] = (int)ASSERT_OK(open("g", O_RDWR | O_APPEND));
	bg_start(&bg, write_records, args[0]);          /* two descriptions, both at the end */
	assert_int_equal(write_records(args[1]), 0);
	assert_int_equal(bg_end(&bg), 0);
	check_records(args[0][0]);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(the_offset_moves_by_what_was_done),
		cmocka_unit_test(nothing_is_zero_bytes),
		cmocka_unit_test(positional_calls_leave_the_offset_alone),
		cmocka_unit_test(errors_come_in_linux_order),
		cmocka_unit_test(a_read_stops_where_memory_ends),
		cmocka_unit_test(a_write_stops_where_memory_ends),
		cmocka_unit_test(one_call_moves_at_most_two_gigabytes),
		cmocka_unit_test(holes_read_as_zero),
		cmocka_unit_test(vectors_are_one_operation_in_order),
		cmocka_unit_test(vectors_have_limits),
		cmocka_unit_test(version_two_takes_flags_and_the_current_offset),
		cmocka_unit_test(contents_need_not_be_cached),
		cmocka_unit_test(rwf_append_is_o_append_for_one_call),
		cmocka_unit_test(pwrite_on_an_append_description_appends),
		cmocka_unit_test(the_size_limit_cuts_then_signals),
		cmocka_unit_test(descriptions_have_their_own_offset_and_one_file),
		cmocka_unit_test(threads_do_not_overwrite_one_another),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
