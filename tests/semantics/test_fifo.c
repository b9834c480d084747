/* SPDX-License-Identifier: MIT */
/*
 * Named pipes: mkfifo(3), mknod(2) and mknodat(2) (also of regular files and devices), the rules of
 * opening with and without a partner, several openings in turn. Reading and writing: test_pipe.c.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"

#include <poll.h>
#include <sys/sysmacros.h>

static void mkfifo_makes_one_with_mode_and_umask(void **state)
{
	umask(027);
	ASSERT_OK(mkfifo("p", 0666));
	assert_int_equal(file_mode("p"), S_IFIFO | 0640);
	ASSERT_ERR(mkfifo("p", 0666), EEXIST);
	ASSERT_OK(symlink("nowhere", "link"));
	ASSERT_ERR(mkfifo("link", 0666), EEXIST);
	ASSERT_ERR(mkfifo("missing/p", 0666), ENOENT);
	ASSERT_ERR(mkfifo("p/q", 0666), ENOTDIR);
	ASSERT_ERR(mkfifo("new/", 0666), ENOENT);
	assert_int_equal(file_size("p"), 0);
}

static void mknod_makes_every_type_but_directories(void **state)
{
	struct stat st;

	umask(0);
	ASSERT_OK(mknod("plain", S_IFREG | 0604, 0));
	assert_int_equal(file_mode("plain"), S_IFREG | 0604);
	ASSERT_OK(mknod("untyped", 0604, 0));           /* no type is a regular file */
	assert_int_equal(file_mode("untyped"), S_IFREG | 0604);
	ASSERT_OK(mknodat(AT_FDCWD, "sock", S_IFSOCK | 0600, 0));
	assert_int_equal(file_mode("sock"), S_IFSOCK | 0600);
	ASSERT_ERR(open("sock", O_RDONLY), ENXIO);
	ASSERT_ERR(mknod("dir", S_IFDIR | 0700, 0), EPERM);
	ASSERT_ERR(mknod("link", S_IFLNK | 0700, 0), EINVAL);
	ASSERT_ERR(mknodat(-1, "x", S_IFIFO | 0600, 0), EBADF);
	if (mknod("null", S_IFCHR | 0600, makedev(1, 3)) == 0) {        /* root outside of jails */
		ASSERT_OK(stat("null", &st));
		assert_int_equal(st.st_mode, S_IFCHR | 0600);
		assert_int_equal(st.st_rdev, makedev(1, 3));
	} else {
		assert_int_equal(errno, EPERM);
	}
}

static void opening_without_partner_and_nonblock(void **state)
{
	int r;
	char c;

	ASSERT_OK(mkfifo("p", 0600));
	ASSERT_ERR(open("p", O_WRONLY | O_NONBLOCK), ENXIO);
	r = (int)ASSERT_OK(open("p", O_RDONLY | O_NONBLOCK));   /* readers need not wait */
	assert_int_equal(read(r, &c, 1), 0);            /* no writer: end of file, not EAGAIN */
	int w = (int)ASSERT_OK(open("p", O_WRONLY | O_NONBLOCK));
	ASSERT_ERR(read(r, &c, 1), EAGAIN);
	assert_int_equal(write(w, "x", 1), 1);
	assert_int_equal(read(r, &c, 1), 1);
	close(r);
	signal(SIGPIPE, SIG_IGN);
	ASSERT_ERR(write(w, "x", 1), EPIPE);
	ASSERT_ERR(open("p", O_WRONLY | O_NONBLOCK), ENXIO);    /* its writer is no help */
	signal(SIGPIPE, SIG_DFL);
}

static void read_write_opening_never_waits(void **state)
{
	struct pollfd p = { -1, POLLIN | POLLOUT, 0 };
	char c = 0;

	ASSERT_OK(mkfifo("p", 0600));
	int fd = (int)ASSERT_OK(open("p", O_RDWR));
	assert_int_equal(write(fd, "x", 1), 1);
	p.fd = fd;
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLIN | POLLOUT);
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(c, 'x');
	ASSERT_ERR(lseek(fd, 0, SEEK_SET), ESPIPE);
	ASSERT_OK(open("p", O_WRONLY | O_NONBLOCK));
}

static void one_fifo_is_one_pipe(void **state)
{
	char buf[8] = "";

	ASSERT_OK(mkfifo("p", 0600));
	ASSERT_OK(link("p", "q"));
	int r = (int)ASSERT_OK(open("p", O_RDONLY | O_NONBLOCK));
	int w1 = (int)ASSERT_OK(open("q", O_WRONLY)), w2 = (int)ASSERT_OK(open("p", O_WRONLY));
	assert_int_equal(write(w1, "a", 1), 1);
	assert_int_equal(write(w2, "b", 1), 1);
	assert_int_equal(read(r, buf, 8), 2);
	assert_string_equal(buf, "ab");
	close(w1);
	ASSERT_ERR(read(r, buf, 8), EAGAIN);            /* one writer is left */
	close(w2);
	assert_int_equal(read(r, buf, 8), 0);
}

static void contents_vanish_with_the_last_opening(void **state)
{
	char c;

	ASSERT_OK(mkfifo("p", 0600));
	int fd = (int)ASSERT_OK(open("p", O_RDWR));
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	fd = (int)ASSERT_OK(open("p", O_RDWR | O_NONBLOCK));
	ASSERT_ERR(read(fd, &c, 1), EAGAIN);
	ASSERT_OK(unlink("p"));                         /* an unlinked one works on */
	assert_int_equal(write(fd, "y", 1), 1);
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(c, 'y');
}

static void hangup_is_seen_only_after_a_writer_was_there(void **state)
{
	struct pollfd p = { -1, POLLIN, 0 };

	ASSERT_OK(mkfifo("p", 0600));
	p.fd = (int)ASSERT_OK(open("p", O_RDONLY | O_NONBLOCK));
	assert_int_equal(poll(&p, 1, 0), 0);
	int w = (int)ASSERT_OK(open("p", O_WRONLY));
	assert_int_equal(poll(&p, 1, 0), 0);
	close(w);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLHUP);
	w = (int)ASSERT_OK(open("p", O_WRONLY));
	assert_int_equal(poll(&p, 1, 0), 0);            /* and goes with the next one */
}

static long open_reader(void *arg)
{
	return open("p", O_RDONLY);
}

static long open_writer(void *arg)
{
	return open("p", O_WRONLY);
}

static void openers_wait_for_each_other(void **state)
{
	struct bg bg;
	char c = 0;

	ASSERT_OK(mkfifo("p", 0600));
	bg_start(&bg, open_reader, NULL);
	assert_true(bg_blocks(&bg));
	int w = (int)ASSERT_OK(open("p", O_WRONLY));    /* there is one: no wait */
	int r = (int)bg_end(&bg);
	assert_true(r >= 0);
	assert_int_equal(write(w, "x", 1), 1);
	assert_int_equal(read(r, &c, 1), 1);
	assert_int_equal(c, 'x');
	close(w);
	close(r);

	bg_start(&bg, open_writer, NULL);
	assert_true(bg_blocks(&bg));
	r = (int)ASSERT_OK(open("p", O_RDONLY));
	assert_true(bg_end(&bg) >= 0);
}

static void a_waiting_open_can_be_interrupted(void **state)
{
	struct bg bg;

	bg_handle(SIGUSR1, 0);
	ASSERT_OK(mkfifo("p", 0600));
	bg_start(&bg, open_reader, NULL);
	assert_true(bg_interrupt(&bg, SIGUSR1));
	assert_int_equal(bg_end(&bg), -1);
	assert_int_equal(errno, EINTR);
	signal(SIGUSR1, SIG_DFL);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(mkfifo_makes_one_with_mode_and_umask),
		cmocka_unit_test(mknod_makes_every_type_but_directories),
		cmocka_unit_test(opening_without_partner_and_nonblock),
		cmocka_unit_test(read_write_opening_never_waits),
		cmocka_unit_test(one_fifo_is_one_pipe),
		cmocka_unit_test(contents_vanish_with_the_last_opening),
		cmocka_unit_test(hangup_is_seen_only_after_a_writer_was_there),
		cmocka_unit_test(openers_wait_for_each_other),
		cmocka_unit_test(a_waiting_open_can_be_interrupted),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
