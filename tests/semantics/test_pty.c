/* SPDX-License-Identifier: MIT */
/* Pairs of terminals: names in /dev/pts, opening, hanging up, readiness, packet mode, window size. pty(7), ioctl_tty(2). */
#include "tests/lib/pty.h"

#include "tests/lib/file_bg.h"

#include <dirent.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

/* --- names -------------------------------------------------------------------------------------------------- */

static int number_of(const struct pair *p)
{
	return pty_count(p->m, TIOCGPTN);
}

static bool is_listed(const char *name)
{
	DIR *d = opendir("/dev/pts");
	bool found = false;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		if (!strcmp(e->d_name, name)) {
			assert_int_equal(e->d_type, DT_CHR);
			found = true;
		}
	closedir(d);
	return found;
}

static void a_pair_has_a_name_while_its_master_is_open(void **state)
{
	char number[16], link[64], where[64];
	struct stat st;
	struct pair p;
	ssize_t n;

	pty_open(&p);
	snprintf(number, sizeof(number), "%d", number_of(&p));
	assert_int_equal(strncmp(p.name, "/dev/pts/", 9), 0);
	assert_string_equal(p.name + 9, number);
	assert_true(is_listed(number));
	assert_true(is_listed("ptmx"));
	ASSERT_OK(stat(p.name, &st));
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(st.st_rdev, makedev(136, (unsigned)number_of(&p)));
	assert_int_equal(st.st_uid, geteuid());
	assert_string_equal(ttyname(p.s), p.name);
	assert_int_equal(isatty(p.m), 1);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", p.m);
	n = ASSERT_OK(readlink(link, where, sizeof(where) - 1));
	where[n] = '\0';
	assert_string_equal(where, "/dev/ptmx");
	ASSERT_OK(fstat(p.m, &st));
	assert_int_equal(st.st_rdev, makedev(5, 2));
	close(p.m);
	assert_false(is_listed(number));
	ASSERT_ERR(stat(p.name, &st), ENOENT);
	close(p.s);
}

static void numbers_are_the_lowest_free_ones(void **state)
{
	struct pair a, b, c;
	int n;

	pty_open(&a);
	pty_open(&b);
	n = number_of(&a);
	assert_true(number_of(&b) > n);
	pty_close(&a);
	pty_open(&c);
	assert_int_equal(number_of(&c), n);
	pty_close(&b);
	pty_close(&c);
}

static void other_names_are_not_there(void **state)
{
	static const char *const names[] = { "00", "01", "-1", "99999", "x", "0x", "+0" };
	char path[64];
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "/dev/pts/%s", names[i]);
		ASSERT_ERR(stat(path, &st), ENOENT);
	}
	ASSERT_ERR(open("/dev/pts/newfile", O_CREAT | O_RDWR, 0600), EACCES);
	ASSERT_ERR(mkdir("/dev/pts/d", 0700), EPERM);
}

static void names_have_owners_and_modes(void **state)
{
	struct stat st;
	struct pair p;

	pty_open(&p);
	ASSERT_OK(chmod(p.name, 0622));
	ASSERT_OK(fstat(p.s, &st));
	assert_int_equal(st.st_mode, S_IFCHR | 0622);
	if (geteuid() == 0) {
		ASSERT_OK(fchown(p.s, 12, 34));
		ASSERT_OK(stat(p.name, &st));
		assert_int_equal(st.st_uid, 12);
		assert_int_equal(st.st_gid, 34);
	}
	pty_close(&p);
}

/* --- opening -------------------------------------------------------------------------------------------------- */

static void a_locked_slave_does_not_open(void **state)
{
	int m = (int)ASSERT_OK(open("/dev/ptmx", O_RDWR | O_NOCTTY)), one = 1, s;
	char name[64];

	assert_int_equal(ptsname_r(m, name, sizeof(name)), 0);
	assert_int_equal(pty_count(m, TIOCGPTLCK), 1);
	ASSERT_ERR(open(name, O_RDWR | O_NOCTTY), EIO);
	ASSERT_OK(unlockpt(m));
	assert_int_equal(pty_count(m, TIOCGPTLCK), 0);
	s = (int)ASSERT_OK(open(name, O_RDWR | O_NOCTTY));
	ASSERT_OK(ioctl(m, TIOCSPTLCK, &one));
	ASSERT_ERR(open(name, O_RDWR | O_NOCTTY), EIO);
	ASSERT_ERR(ioctl(s, TIOCSPTLCK, &one), ENOTTY);
	ASSERT_ERR(ioctl(s, TIOCGPTN, &one), ENOTTY);
	close(s);
	close(m);
}

static void the_peer_opens_without_a_name(void **state)
{
	int m = (int)ASSERT_OK(open("/dev/ptmx", O_RDWR | O_NOCTTY)), s;
	char name[64];

	ASSERT_OK(unlockpt(m));
	s = (int)ASSERT_OK(ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
	assert_int_equal(fcntl(s, F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(s, F_GETFL) & O_NONBLOCK);
	assert_int_equal(ptsname_r(m, name, sizeof(name)), 0);
	assert_string_equal(ttyname(s), name);
	assert_int_equal(write(m, "x\n", 2), 2);
	pty_read_at(s, "x\n", 2, "peer", __FILE__, __LINE__);
	ASSERT_ERR(ioctl(s, TIOCGPTPEER, O_RDWR), EIO);
	close(s);
	close(m);
}

static void the_slave_may_open_again(void **state)
{
	struct pair p;

	pty_open(&p);
	pty_mode(p.s, &(struct pty_mode){ .l_off = ECHO });
	close(p.s);
	p.s = (int)ASSERT_OK(open(p.name, O_RDWR | O_NOCTTY));
	pty_type(&p, "x\n");
	PTY_READ(&p, "x\n");
	PTY_SILENT(p.m); /* settings stay with the pair */
	pty_close(&p);
}

static long open_slave(void *arg)
{
	int fd = open(((struct pair *)arg)->name, O_RDWR | O_NOCTTY);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static void an_exclusive_terminal_does_not_open_again(void **state)
{
	struct pair p;

	pty_open(&p);
	ASSERT_OK(chmod(p.name, 0666));
	assert_int_equal(pty_count(p.s, TIOCGEXCL), 0);
	ASSERT_OK(ioctl(p.s, TIOCEXCL));
	assert_int_equal(pty_count(p.s, TIOCGEXCL), 1);
	if (geteuid() == 0) {
		ASSERT_OK(open_slave(&p)); /* but for the administrator */
		ASSERT_ERR(bg_as_user(65534, open_slave, &p), EBUSY);
	} else {
		ASSERT_ERR(open_slave(&p), EBUSY);
	}
	ASSERT_OK(ioctl(p.s, TIOCNXCL));
	if (geteuid() == 0)
		ASSERT_OK(bg_as_user(65534, open_slave, &p));
	pty_close(&p);
}

static void the_pair_works_before_the_slave_is_open(void **state)
{
	int m = (int)ASSERT_OK(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK)), s;
	char buf[16], name[64];

	ASSERT_ERR(read(m, buf, sizeof(buf)), EAGAIN);
	assert_int_equal(pty_ready(m, POLLIN | POLLOUT, 0), POLLOUT);
	assert_int_equal(write(m, "ab\n", 3), 3);
	pty_read_at(m, "ab\r\n", 4, "echo", __FILE__, __LINE__);
	ASSERT_OK(unlockpt(m));
	assert_int_equal(ptsname_r(m, name, sizeof(name)), 0);
	s = (int)ASSERT_OK(open(name, O_RDWR | O_NOCTTY));
	pty_read_at(s, "ab\n", 3, "line", __FILE__, __LINE__);
	close(s);
	close(m);
}

/* --- hanging up ---------------------------------------------------------------------------------------------------- */

static long read_master(void *arg)
{
	char buf[16];

	return read(((struct pair *)arg)->m, buf, sizeof(buf));
}

static long read_slave(void *arg)
{
	char buf[16];

	return read(((struct pair *)arg)->s, buf, sizeof(buf));
}

static void the_master_fails_once_the_slave_is_closed(void **state)
{
	struct pair p;
	struct bg bg;

	pty_open(&p);
	assert_int_equal(write(p.s, "bye", 3), 3);
	close(p.s);
	assert_int_equal(pty_ready(p.m, POLLIN | POLLOUT, PTY_LIMIT_MS), POLLIN | POLLOUT | POLLHUP);
	PTY_SHOWN(&p, "bye"); /* what was written is not lost */
	ASSERT_ERR(read_master(&p), EIO);
	p.s = (int)ASSERT_OK(open(p.name, O_RDWR | O_NOCTTY));
	assert_int_equal(pty_ready(p.m, POLLIN, 0), 0); /* it is there again */
	bg_start(&bg, read_master, &p);
	assert_true(bg_blocks(&bg));
	close(p.s);
	ASSERT_ERR(bg_end(&bg), EIO);
	close(p.m);
}

static void the_slave_ends_once_the_master_is_closed(void **state)
{
	struct termios t;
	struct pair p;
	int pgrp = 1;

	pty_open(&p);
	pty_type(&p, "unread\n");
	assert_true(pty_ready(p.s, POLLIN, PTY_LIMIT_MS) & POLLIN);
	close(p.m);
	assert_int_equal(read_slave(&p), 0); /* input is gone too */
	ASSERT_ERR(write(p.s, "x", 1), EIO);
	ASSERT_ERR(tcgetattr(p.s, &t), EIO);
	ASSERT_ERR(ioctl(p.s, TIOCSPGRP, &pgrp), ENOTTY);
	ASSERT_ERR(open(p.name, O_RDWR | O_NOCTTY), ENOENT);
	assert_int_equal(pty_ready(p.s, POLLIN | POLLOUT, 0), POLLIN | POLLOUT | POLLERR | POLLHUP);
	close(p.s);
}

static void a_reader_is_woken_by_the_end_of_the_master(void **state)
{
	struct pair p;
	struct bg bg;

	pty_open(&p);
	bg_start(&bg, read_slave, &p);
	assert_true(bg_blocks(&bg));
	close(p.m);
	ASSERT_ERR(bg_end(&bg), EIO);
	assert_int_equal(read_slave(&p), 0);
	close(p.s);
}

static void epoll_sees_both_sides(void **state)
{
	int ep = (int)ASSERT_OK(epoll_create1(0));
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET }, got[2];
	struct pair p;

	pty_open(&p);
	ev.data.fd = p.m;
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, p.m, &ev));
	ev.data.fd = p.s;
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, p.s, &ev));
	assert_int_equal(epoll_wait(ep, got, 2, 0), 0);
	assert_int_equal(write(p.s, "a", 1), 1);
	assert_int_equal(epoll_wait(ep, got, 2, PTY_LIMIT_MS), 1);
	assert_int_equal(got[0].data.fd, p.m);
	pty_mode(p.s, &(struct pty_mode){ .l_off = ECHO });
	while (epoll_wait(ep, got, 2, PTY_QUIET_MS) > 0)
		;
	pty_type(&p, "b\n");
	assert_int_equal(epoll_wait(ep, got, 2, PTY_LIMIT_MS), 1);
	assert_int_equal(got[0].data.fd, p.s);
	close(p.s);
	assert_int_equal(epoll_wait(ep, got, 2, PTY_LIMIT_MS), 1);
	assert_int_equal(got[0].data.fd, p.m);
	assert_true(got[0].events & EPOLLHUP);
	close(p.m);
	close(ep);
}

static void vhangup_by_call_ends_the_slave(void **state)
{
	struct pair p;

	if (geteuid() != 0)
		skip();
	pty_open(&p);
	ASSERT_OK(ioctl(p.s, TIOCVHANGUP));
	assert_int_equal(read_slave(&p), 0);
	ASSERT_ERR(write(p.s, "x", 1), EIO);
	close(p.s);
	p.s = (int)ASSERT_OK(open(p.name, O_RDWR | O_NOCTTY)); /* the pair is as good as new */
	pty_type(&p, "x\n");
	PTY_READ(&p, "x\n");
	pty_close(&p);
}

/* --- packet mode ------------------------------------------------------------------------------------------------------ */

static void packet(int fd, int on)
{
	ASSERT_OK(ioctl(fd, TIOCPKT, &on));
	assert_int_equal(pty_count(fd, TIOCGPKT), on);
}

static void status_is(const struct pair *p, int want)
{
	unsigned char buf[16];
	ssize_t n;

	assert_true(pty_ready(p->m, POLLPRI, PTY_LIMIT_MS) & POLLPRI);
	n = ASSERT_OK(read(p->m, buf, sizeof(buf)));
	assert_int_equal(n, 1);
	assert_int_equal(buf[0], want);
}

static void packets_begin_with_a_byte(void **state)
{
	struct pair p;

	pty_open(&p);
	packet(p.m, 1);
	assert_int_equal(write(p.s, "abc", 3), 3);
	PTY_SHOWN(&p, "\0abc");
	ASSERT_OK(tcflow(p.s, TCOOFF));
	status_is(&p, TIOCPKT_STOP);
	ASSERT_OK(tcflow(p.s, TCOON));
	status_is(&p, TIOCPKT_START);
	ASSERT_OK(tcflush(p.s, TCIFLUSH));
	status_is(&p, TIOCPKT_FLUSHREAD);
	ASSERT_OK(tcflush(p.s, TCOFLUSH));
	status_is(&p, TIOCPKT_FLUSHWRITE);
	pty_mode(p.s, &(struct pty_mode){ .i_off = IXON });
	status_is(&p, TIOCPKT_NOSTOP);
	pty_mode(p.s, &(struct pty_mode){ .i_on = IXON });
	status_is(&p, TIOCPKT_DOSTOP);
	pty_mode(p.s, &(struct pty_mode){ .l_on = EXTPROC });
	status_is(&p, TIOCPKT_IOCTL);
	packet(p.m, 0);
	assert_int_equal(write(p.s, "d", 1), 1);
	PTY_SHOWN(&p, "d");
	pty_close(&p);
}

/* --- size ------------------------------------------------------------------------------------------------------------------ */

static void both_sides_have_one_size(void **state)
{
	struct winsize ws = { 24, 80, 1, 2 }, got;
	struct pair p;

	pty_open(&p);
	ASSERT_OK(ioctl(p.s, TIOCGWINSZ, &got));
	assert_int_equal(got.ws_row, 0);
	ASSERT_OK(ioctl(p.m, TIOCSWINSZ, &ws));
	ASSERT_OK(ioctl(p.s, TIOCGWINSZ, &got));
	assert_memory_equal(&ws, &got, sizeof(ws));
	ws.ws_row = 50;
	ASSERT_OK(ioctl(p.s, TIOCSWINSZ, &ws));
	ASSERT_OK(ioctl(p.m, TIOCGWINSZ, &got));
	assert_memory_equal(&ws, &got, sizeof(ws));
	ASSERT_ERR(ioctl(p.s, TIOCSWINSZ, (void *)8), EFAULT);
	pty_close(&p);
}

/* --- the rest -------------------------------------------------------------------------------------------------------------- */

static void other_requests_have_their_errors(void **state)
{
	int n = 0;
	struct pair p;

	pty_open(&p);
	ASSERT_ERR(ioctl(p.s, 0x1234, &n), ENOTTY);
	ASSERT_ERR(ioctl(p.s, TIOCMGET, &n), ENOTTY);
	assert_int_equal(pty_count(p.s, TIOCGETD), 0);
	ASSERT_OK(ioctl(p.s, TIOCSETD, &n));
	n = 29;
	ASSERT_ERR(ioctl(p.s, TIOCSETD, &n), EINVAL);
	ASSERT_OK(tcsendbreak(p.s, 0));
	ASSERT_OK(tcdrain(p.s));
	ASSERT_ERR(lseek(p.s, 0, SEEK_SET), ESPIPE);
	ASSERT_ERR(lseek(p.m, 0, SEEK_SET), ESPIPE);
	ASSERT_ERR(pread(p.s, &n, 1, 0), ESPIPE);
	ASSERT_ERR(ioctl(p.m, TIOCSIG, SIGUSR1), EINVAL);
	ASSERT_OK(ioctl(p.m, TIOCSIG, SIGINT));
	pty_close(&p);
}

static void bytes_can_be_typed_by_call(void **state)
{
	struct pair p;

	if (geteuid() != 0)
		skip();
	pty_open(&p);
	ASSERT_OK(ioctl(p.s, TIOCSTI, "x"));
	ASSERT_OK(ioctl(p.s, TIOCSTI, "\n"));
	PTY_READ(&p, "x\n");
	PTY_SCREEN(&p, "x\r\n");
	ASSERT_OK(ioctl(p.m, TIOCSTI, "y")); /* the master reads it */
	PTY_SCREEN(&p, "y");
	PTY_SILENT(p.s);
	pty_close(&p);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pair_has_a_name_while_its_master_is_open),
		cmocka_unit_test(numbers_are_the_lowest_free_ones),
		cmocka_unit_test(other_names_are_not_there),
		cmocka_unit_test(names_have_owners_and_modes),
		cmocka_unit_test(a_locked_slave_does_not_open),
		cmocka_unit_test(the_peer_opens_without_a_name),
		cmocka_unit_test(the_slave_may_open_again),
		cmocka_unit_test(an_exclusive_terminal_does_not_open_again),
		cmocka_unit_test(the_pair_works_before_the_slave_is_open),
		cmocka_unit_test(the_master_fails_once_the_slave_is_closed),
		cmocka_unit_test(the_slave_ends_once_the_master_is_closed),
		cmocka_unit_test(a_reader_is_woken_by_the_end_of_the_master),
		cmocka_unit_test(epoll_sees_both_sides),
		cmocka_unit_test(vhangup_by_call_ends_the_slave),
		cmocka_unit_test(packets_begin_with_a_byte),
		cmocka_unit_test(both_sides_have_one_size),
		cmocka_unit_test(other_requests_have_their_errors),
		cmocka_unit_test(bytes_can_be_typed_by_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
