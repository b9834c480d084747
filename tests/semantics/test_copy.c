/* SPDX-License-Identifier: MIT */
/*
 * Copying inside the kernel: sendfile(2), copy_file_range(2), splice(2), tee(2), vmsplice(2): what
 * offsets they use and move, short results, which kinds of files they take, the errors.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"
#include "tests/lib/needs.h"

#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

static int unread(int fd)
{
	int n = -1;

	ASSERT_OK(ioctl(fd, FIONREAD, &n));
	return n;
}

static const char *drain(int fd)
{
	static char buf[256];
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	if (n < 0)
		return strerrorname_np(errno);
	buf[n] = '\0';
	return buf;
}

static void sendfile_copies_and_moves_offsets(void **state)
{
	int in = file_make("in", "0123456789"), out = file_make("out", ""), p[2];
	off_t off = 2;

	assert_int_equal(sendfile(out, in, &off, 3), 3);
	assert_int_equal(off, 5);
	assert_int_equal(lseek(in, 0, SEEK_CUR), 0);    /* the given offset replaces the file's */
	assert_int_equal(lseek(out, 0, SEEK_CUR), 3);
	assert_int_equal(sendfile(out, in, NULL, 4), 4);
	assert_int_equal(lseek(in, 0, SEEK_CUR), 4);
	assert_string_equal(file_text("out"), "2340123");
	assert_int_equal(sendfile(out, in, NULL, 1000000), 6);
	assert_int_equal(sendfile(out, in, NULL, 1), 0);
	assert_int_equal(sendfile(out, in, NULL, 0), 0);
	ASSERT_OK(pipe(p));
	off = 8;
	assert_int_equal(sendfile(p[1], in, &off, 100), 2);
	assert_string_equal(drain(p[0]), "89");
	int sv[2];
	ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	off = 0;
	assert_int_equal(sendfile(sv[0], in, &off, 4), 4);
	assert_string_equal(drain(sv[1]), "0123");
}

static void sendfile_to_a_full_pipe(void **state)
{
	char *text = file_letters(200000);
	int in = file_make("in", text), p[2];
	off_t off = 0;

	ASSERT_OK(pipe2(p, O_NONBLOCK));
	assert_int_equal(sendfile(p[1], in, &off, 200000), 65536);
	assert_int_equal(off, 65536);
	ASSERT_ERR(sendfile(p[1], in, &off, 1), EAGAIN);
	assert_int_equal(off, 65536);
	free(text);
}

static void sendfile_reports_errors(void **state)
{
	int in = file_make("in", "hello"), out = file_make("out", ""), p[2];
	int r = (int)ASSERT_OK(open("out", O_RDONLY)), w = (int)ASSERT_OK(open("in", O_WRONLY));
	int append = (int)ASSERT_OK(open("out", O_WRONLY | O_APPEND));
	off_t off = -1;

	ASSERT_OK(pipe(p));
	ASSERT_ERR(sendfile(-1, in, NULL, 1), EBADF);
	ASSERT_ERR(sendfile(out, -1, NULL, 1), EBADF);
	ASSERT_ERR(sendfile(r, in, NULL, 1), EBADF);
	ASSERT_ERR(sendfile(out, w, NULL, 1), EBADF);
	ASSERT_ERR(sendfile(append, in, NULL, 1), EINVAL);
	ASSERT_ERR(sendfile(out, in, &off, 1), EINVAL);
	ASSERT_ERR(sendfile(out, p[0], NULL, 1), EINVAL);
	off = 0;
	ASSERT_ERR(sendfile(out, p[0], &off, 1), ESPIPE);
	ASSERT_ERR(sendfile(out, in, file_bad(), 1), EFAULT);
	assert_int_equal(file_fd_size(out), 0);
}

static void copy_file_range_copies_between_offsets(void **state)
{
	int in = file_make("in", "0123456789"), out = file_make("out", "abcdefghij");
	off_t from = 2, to = 8;

	assert_int_equal(copy_file_range(in, &from, out, &to, 4, 0), 4);
	assert_int_equal(from, 6);
	assert_int_equal(to, 12);
	assert_string_equal(file_text("out"), "abcdefgh2345");
	assert_int_equal(lseek(in, 0, SEEK_CUR) + lseek(out, 0, SEEK_CUR), 0);
	assert_int_equal(copy_file_range(in, NULL, out, NULL, 3, 0), 3);
	assert_int_equal(lseek(in, 0, SEEK_CUR), 3);
	assert_int_equal(lseek(out, 0, SEEK_CUR), 3);
	assert_string_equal(file_text("out"), "012defgh2345");
	assert_int_equal(copy_file_range(in, NULL, out, NULL, 1000, 0), 7);
	assert_int_equal(copy_file_range(in, NULL, out, NULL, 1000, 0), 0);
	assert_int_equal(copy_file_range(in, NULL, out, NULL, 0, 0), 0);
	from = 0;
	to = 5;
	assert_int_equal(copy_file_range(in, &from, in, &to, 5, 0), 5); /* one file, no overlap */
	assert_string_equal(file_text("in"), "0123401234");
}

static void copy_file_range_reports_errors(void **state)
{
	int in = file_make("in", "0123456789"), out = file_make("out", ""), p[2];
	int r = (int)ASSERT_OK(open("out", O_RDONLY)), w = (int)ASSERT_OK(open("in", O_WRONLY));
	int append = (int)ASSERT_OK(open("out", O_WRONLY | O_APPEND));
	int dir = (int)ASSERT_OK(open(".", O_RDONLY));
	off_t from = 0, to = 4;

	ASSERT_OK(pipe(p));
	ASSERT_ERR(copy_file_range(-1, NULL, out, NULL, 1, 0), EBADF);
	ASSERT_ERR(copy_file_range(in, NULL, -1, NULL, 1, 0), EBADF);
	ASSERT_ERR(copy_file_range(w, NULL, out, NULL, 1, 0), EBADF);
	ASSERT_ERR(copy_file_range(in, NULL, r, NULL, 1, 0), EBADF);
	ASSERT_ERR(copy_file_range(in, NULL, append, NULL, 1, 0), EBADF);
	ASSERT_ERR(copy_file_range(in, NULL, out, NULL, 1, 1), EINVAL);
	ASSERT_ERR(copy_file_range(dir, NULL, out, NULL, 1, 0), EISDIR);
	ASSERT_ERR(copy_file_range(p[0], NULL, out, NULL, 1, 0), EINVAL);
	ASSERT_ERR(copy_file_range(in, NULL, p[1], NULL, 1, 0), EINVAL);
	ASSERT_ERR(copy_file_range(in, &from, in, &to, 5, 0), EINVAL);  /* overlap */
	ASSERT_ERR(copy_file_range(in, file_bad(), out, NULL, 1, 0), EFAULT);
	assert_int_equal(file_fd_size(out), 0);
}

static void splice_joins_files_and_pipes(void **state)
{
	int in = file_make("in", "0123456789"), out = file_make("out", ""), p[2], q[2];
	loff_t off = 3;

	ASSERT_OK(pipe(p));
	ASSERT_OK(pipe2(q, O_NONBLOCK));
	assert_int_equal(splice(in, &off, p[1], NULL, 4, 0), 4);
	assert_int_equal(off, 7);
	assert_int_equal(lseek(in, 0, SEEK_CUR), 0);
	assert_int_equal(splice(in, NULL, p[1], NULL, 2, 0), 2);
	assert_int_equal(lseek(in, 0, SEEK_CUR), 2);
	assert_int_equal(splice(p[0], NULL, q[1], NULL, 5, 0), 5);      /* pipe to pipe */
	assert_string_equal(drain(q[0]), "34560");
	off = 2;
	assert_int_equal(splice(p[0], NULL, out, &off, 100, 0), 1);
	assert_int_equal(off, 3);
	assert_int_equal(file_fd_size(out), 3);
	assert_memory_equal(file_fd_text(out), "\0\0" "1", 3);
	assert_int_equal(splice(in, NULL, p[1], NULL, 100, 0), 8);
	assert_int_equal(splice(in, NULL, p[1], NULL, 100, 0), 0);      /* end of file */
	assert_int_equal(unread(p[0]), 8);
	close(p[1]);
	assert_int_equal(splice(p[0], NULL, out, NULL, 100, 0), 8);
	assert_int_equal(splice(p[0], NULL, out, NULL, 100, 0), 0);     /* no writer */
	assert_string_equal(file_fd_text(out), "23456789");
}

static void spliced_data_is_a_snapshot_of_content(void **state)
{
	int in = file_make("in", "hello"), p[2];

	ASSERT_OK(pipe(p));
	assert_int_equal(splice(in, NULL, p[1], NULL, 5, 0), 5);
	ASSERT_OK(unlink("in"));
	close(in);
	assert_string_equal(drain(p[0]), "hello");      /* it needs the file no more */
}

static void splice_reports_errors(void **state)
{
	int in = file_make("in", "hello"), out = file_make("out", ""), p[2], q[2];
	int append = (int)ASSERT_OK(open("out", O_WRONLY | O_APPEND));
	loff_t off = 0;

	ASSERT_OK(pipe(p));
	ASSERT_OK(pipe(q));
	ASSERT_ERR(splice(in, NULL, out, NULL, 5, 0), EINVAL);          /* one must be a pipe */
	ASSERT_ERR(splice(in, NULL, p[1], NULL, 5, 0x100), EINVAL);
	ASSERT_ERR(splice(-1, NULL, p[1], NULL, 5, 0), EBADF);
	ASSERT_ERR(splice(in, NULL, -1, NULL, 5, 0), EBADF);
	ASSERT_ERR(splice(in, NULL, p[0], NULL, 5, 0), EBADF);
	ASSERT_ERR(splice(p[0], &off, q[1], NULL, 5, 0), ESPIPE);
	ASSERT_ERR(splice(in, NULL, p[1], &off, 5, 0), ESPIPE);
	ASSERT_ERR(splice(p[0], NULL, p[1], NULL, 5, 0), EINVAL);       /* into itself */
	ASSERT_ERR(splice(p[0], NULL, q[1], NULL, 5, SPLICE_F_NONBLOCK), EAGAIN);
	ASSERT_ERR(splice(p[0], NULL, out, NULL, 5, SPLICE_F_NONBLOCK), EAGAIN);
	ASSERT_ERR(splice(in, file_bad(), p[1], NULL, 5, 0), EFAULT);
	assert_int_equal(splice(-1, NULL, -1, NULL, 0, 0), 0);          /* nothing to do */
	assert_int_equal(write(p[1], "x", 1), 1);
	ASSERT_ERR(splice(p[0], NULL, append, NULL, 1, 0), EINVAL);
}

static long splice_one(void *arg)
{
	const int *fds = arg;

	return splice(fds[0], NULL, fds[1], NULL, 100, 0);
}

static void splice_waits_for_data(void **state)
{
	int p[2], args[2] = { -1, file_make("out", "") };
	struct bg bg;

	ASSERT_OK(pipe(p));
	args[0] = p[0];
	bg_start(&bg, splice_one, args);
	assert_true(bg_blocks(&bg));
	assert_int_equal(write(p[1], "hello", 5), 5);
	assert_int_equal(bg_end(&bg), 5);
	assert_string_equal(file_text("out"), "hello");
}

static void tee_copies_without_consuming(void **state)
{
	int p[2], q[2], f = file_make("f", "");

	ASSERT_OK(pipe2(p, O_NONBLOCK));
	ASSERT_OK(pipe2(q, O_NONBLOCK));
	assert_int_equal(write(p[1], "hello", 5), 5);
	assert_int_equal(tee(p[0], q[1], 3, 0), 3);
	assert_int_equal(tee(p[0], q[1], 100, 0), 5);
	assert_int_equal(unread(p[0]), 5);
	assert_string_equal(drain(q[0]), "helhello");
	assert_string_equal(drain(p[0]), "hello");
	ASSERT_ERR(tee(p[0], q[1], 1, SPLICE_F_NONBLOCK), EAGAIN);
	ASSERT_ERR(tee(p[0], p[1], 1, 0), EINVAL);
	ASSERT_ERR(tee(f, p[1], 1, 0), EINVAL);
	ASSERT_ERR(tee(-1, p[1], 1, 0), EBADF);
	ASSERT_ERR(tee(p[0], q[1], 1, 0x100), EINVAL);
	assert_int_equal(tee(-1, -1, 0, 0), 0);
	close(p[1]);
	assert_int_equal(tee(p[0], q[1], 1, 0), 0);
}

static void vmsplice_moves_memory(void **state)
{
	char a[] = "hello ", b[] = "world", got[16] = "";
	struct iovec v[2] = { { a, 6 }, { b, 5 } }, r = { got, sizeof(got) - 1 };
	int p[2], f = file_make("f", "");

	ASSERT_OK(pipe2(p, O_NONBLOCK));
	assert_int_equal(vmsplice(p[1], v, 2, 0), 11);
	assert_int_equal(vmsplice(p[0], &r, 1, 0), 11); /* from a pipe it is a readv */
	assert_string_equal(got, "hello world");
	ASSERT_ERR(vmsplice(p[0], &r, 1, SPLICE_F_NONBLOCK), EAGAIN);
	assert_int_equal(vmsplice(p[1], v, 0, 0), 0);
	ASSERT_ERR(vmsplice(f, v, 2, 0), EBADF);
	ASSERT_ERR(vmsplice(-1, v, 2, 0), EBADF);
	ASSERT_ERR(vmsplice(p[1], v, 2, 0x100), EINVAL);
	ASSERT_ERR(vmsplice(p[1], file_bad(), 2, 0), EFAULT);
	v[0].iov_base = file_bad();
	ASSERT_ERR(vmsplice(p[1], v, 2, 0), EFAULT);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(sendfile_copies_and_moves_offsets),
		cmocka_unit_test(sendfile_to_a_full_pipe),
		cmocka_unit_test(sendfile_reports_errors),
		cmocka_unit_test(copy_file_range_copies_between_offsets),
		cmocka_unit_test(copy_file_range_reports_errors),
		cmocka_unit_test(splice_joins_files_and_pipes),
		cmocka_unit_test(spliced_data_is_a_snapshot_of_content),
		cmocka_unit_test(splice_reports_errors),
		cmocka_unit_test(splice_waits_for_data),
		cmocka_unit_test(tee_copies_without_consuming),
		cmocka_unit_test(vmsplice_moves_memory),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
