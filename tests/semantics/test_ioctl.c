/* SPDX-License-Identifier: MIT */
/*
 * ioctl(2): the requests every file knows (FIONBIO, FIOASYNC, FIOCLEX, FIONCLEX, FIOQSIZE),
 * FIONREAD by kind of file, terminal requests on what is no terminal, order of the errors.
 * Terminals and network interfaces have their own tests.
 */
#include "tests/lib/file_dir.h"
#include "tests/lib/needs.h"

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

static void fionbio_is_o_nonblock(void **state)
{
	int p[2], on = 1, off = 0, file = file_make("f", "");
	char c;

	ASSERT_OK(pipe(p));
	assert_int_equal(ioctl(p[0], FIONBIO, &on), 0);
	assert_int_equal(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);
	ASSERT_ERR(read(p[0], &c, 1), EAGAIN);
	assert_int_equal(ioctl(p[0], FIONBIO, &off), 0);
	assert_int_equal(fcntl(p[0], F_GETFL), O_RDONLY);
	on = -5;                                        /* anything but zero */
	assert_int_equal(ioctl(file, FIONBIO, &on), 0);
	assert_int_equal(fcntl(file, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	ASSERT_ERR(ioctl(p[0], FIONBIO, file_bad()), EFAULT);
	ASSERT_ERR(ioctl(-1, FIONBIO, file_bad()), EBADF);
}

static void fioclex_is_fd_cloexec(void **state)
{
	int fd = file_make("f", ""), copy = (int)ASSERT_OK(dup(fd));

	ASSERT_OK(ioctl(fd, FIOCLEX));
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(copy, F_GETFD), 0);
	ASSERT_OK(ioctl(fd, FIOCLEX));
	ASSERT_OK(ioctl(fd, FIONCLEX));
	assert_int_equal(fcntl(fd, F_GETFD), 0);
}

static void fionread_counts_what_can_be_read(void **state)
{
	int n = -1, p[2], sv[2], fd = file_make("f", "0123456789");

	ASSERT_OK(ioctl(fd, FIONREAD, &n));
	assert_int_equal(n, 10);
	assert_int_equal(lseek(fd, 4, SEEK_SET), 4);
	ASSERT_OK(ioctl(fd, FIONREAD, &n));
	assert_int_equal(n, 6);
	assert_int_equal(lseek(fd, 14, SEEK_SET), 14);
	ASSERT_OK(ioctl(fd, FIONREAD, &n));
	assert_int_equal(n, -4);                        /* behind the end */
	ASSERT_OK(pipe(p));
	assert_int_equal(write(p[1], "abc", 3), 3);
	ASSERT_OK(ioctl(p[0], FIONREAD, &n));
	assert_int_equal(n, 3);
	ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	assert_int_equal(write(sv[1], "abcde", 5), 5);
	ASSERT_OK(ioctl(sv[0], FIONREAD, &n));
	assert_int_equal(n, 5);
	ASSERT_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	assert_int_equal(write(sv[1], "abc", 3), 3);
	assert_int_equal(write(sv[1], "de", 2), 2);
	ASSERT_OK(ioctl(sv[0], FIONREAD, &n));
	assert_int_equal(n, 3);                         /* the next packet */
	ASSERT_ERR(ioctl(fd, FIONREAD, file_bad()), EFAULT);
	ASSERT_ERR(ioctl((int)ASSERT_OK(open("/dev/null", O_RDONLY)), FIONREAD, &n), ENOTTY);
	ASSERT_ERR(ioctl((int)ASSERT_OK(eventfd(0, 0)), FIONREAD, &n), ENOTTY);
}

static void fioqsize_is_the_space_taken(void **state)
{
	loff_t size = -1;
	struct stat st;
	int p[2], fd = file_make("f", "hello");

	ASSERT_OK(pipe(p));
	ASSERT_OK(fsync(fd));
	ASSERT_OK(fstat(fd, &st));
	ASSERT_OK(ioctl(fd, FIOQSIZE, &size));
	assert_true(size >= 0 && size <= st.st_blocks * 512);   /* an overlay says 0 */
	ASSERT_ERR(ioctl(p[0], FIOQSIZE, &size), ENOTTY);
}

static void no_terminal_is_enotty(void **state)
{
	struct termios t;
	struct winsize w;
	int p[2], sv[2], fd[6];
	pid_t pid;

	ASSERT_OK(pipe(p));
	ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	fd[0] = file_make("f", "");
	fd[1] = (int)ASSERT_OK(open(".", O_RDONLY));
	fd[2] = p[0];
	fd[3] = sv[0];
	fd[4] = (int)ASSERT_OK(open("/dev/null", O_RDWR));
	fd[5] = (int)ASSERT_OK(eventfd(0, 0));
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		ASSERT_ERR(ioctl(fd[i], TCGETS, &t), ENOTTY);
		ASSERT_ERR(ioctl(fd[i], TIOCGWINSZ, &w), ENOTTY);
		ASSERT_ERR(ioctl(fd[i], TIOCGPGRP, &pid), ENOTTY);
		ASSERT_ERR(ioctl(fd[i], TCGETS, file_bad()), ENOTTY);
		ASSERT_ERR(ioctl(fd[i], 0x12345678, 0), ENOTTY);
		assert_int_equal(isatty(fd[i]), 0);
		assert_int_equal(errno, ENOTTY);
	}
	ASSERT_ERR(ioctl(-1, TCGETS, &t), EBADF);
	ASSERT_ERR(ioctl(99999, 0x12345678, 0), EBADF);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(fionbio_is_o_nonblock),
		cmocka_unit_test(fioclex_is_fd_cloexec),
		cmocka_unit_test(fionread_counts_what_can_be_read),
		cmocka_unit_test(fioqsize_is_the_space_taken),
		cmocka_unit_test(no_terminal_is_enotty),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
