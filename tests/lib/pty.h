/* SPDX-License-Identifier: MIT */
/*
 * A pair of terminals: what is typed at the master, what the screen (the master) shows, what the program (the slave) reads.
 * Linux processes what is typed in the background, so the checks wait until it is quiet.
 */
#ifndef TESTS_LIB_PTY_H
#define TESTS_LIB_PTY_H

#include "tests/lib/clock.h"
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define PTY_QUIET_MS 40
#define PTY_LIMIT_MS 30000

struct pair { int m, s; char name[64]; };

static inline void pty_open(struct pair *p)
{
	p->m = (int)ASSERT_OK(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
	ASSERT_OK(grantpt(p->m));
	ASSERT_OK(unlockpt(p->m));
	assert_int_equal(ptsname_r(p->m, p->name, sizeof(p->name)), 0);
	p->s = (int)ASSERT_OK(open(p->name, O_RDWR | O_NOCTTY | O_CLOEXEC));
}

static inline void pty_close(struct pair *p)
{
	close(p->s);
	close(p->m);
}

/* Flags off, then on, in each of the four words. */
struct pty_mode { tcflag_t i_off, i_on, o_off, o_on, l_off, l_on; int cc[4][2]; /* index, value; 0, 0 ends */ };

static inline void pty_mode(int fd, const struct pty_mode *mode)
{
	struct termios t;

	ASSERT_OK(tcgetattr(fd, &t));
	t.c_iflag = (t.c_iflag & ~mode->i_off) | mode->i_on;
	t.c_oflag = (t.c_oflag & ~mode->o_off) | mode->o_on;
	t.c_lflag = (t.c_lflag & ~mode->l_off) | mode->l_on;
	for (size_t i = 0; i < ARRAY_SIZE(mode->cc) && (mode->cc[i][0] || mode->cc[i][1]); i++)
		t.c_cc[mode->cc[i][0]] = (cc_t)mode->cc[i][1];
	ASSERT_OK(tcsetattr(fd, TCSANOW, &t));
}

static inline void pty_raw(int fd, int vmin, int vtime)
{
	struct termios t;

	ASSERT_OK(tcgetattr(fd, &t));
	cfmakeraw(&t);
	t.c_cc[VMIN] = (cc_t)vmin;
	t.c_cc[VTIME] = (cc_t)vtime;
	ASSERT_OK(tcsetattr(fd, TCSANOW, &t));
}

static inline void pty_put(int fd, const void *text, size_t len)
{
	assert_int_equal(write(fd, text, len), len);
}

static inline void pty_type(const struct pair *p, const char *text)
{
	pty_put(p->m, text, strlen(text));
}

static inline int pty_ready(int fd, short events, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, ms) > 0 ? pfd.revents : 0;
}

/* All that comes until it is quiet, but not less than `least` without patience. */
static inline size_t pty_collect(int fd, char *buf, size_t size, size_t least)
{
	size_t n = 0;

	while (n < size && (pty_ready(fd, POLLIN, n < least ? PTY_LIMIT_MS : PTY_QUIET_MS) & POLLIN)) {
		ssize_t r = read(fd, buf + n, size - n);

		if (r <= 0)
			break;
		n += (size_t)r;
	}
	return n;
}

/* Control characters made visible, in a ring of buffers. */
static inline const char *pty_visible(const char *s, size_t n)
{
	static char buf[2][4 * 8192 + 1];
	static int turn;
	char *out = buf[turn ^= 1], *o = out;

	for (size_t i = 0; i < n && i < 8192; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= ' ' && c < 0x7f && c != '\\')
			*o++ = (char)c;
		else
			o += sprintf(o, "\\%03o", c);
	}
	*o = '\0';
	return out;
}

static inline void pty_same_at(const char *got, size_t n, const char *want, size_t want_n, const char *what, const char *file, int line)
{
	if (n == want_n && !memcmp(got, want, n))
		return;
	print_error("%s: got  \"%s\"\n", what, pty_visible(got, n));
	print_error("%s: want \"%s\"\n", what, pty_visible(want, want_n));
	_fail(file, line);
}

static inline void pty_screen_at(const struct pair *p, const char *want, const char *what, const char *file, int line)
{
	char buf[8192];
	size_t n = pty_collect(p->m, buf, sizeof(buf), strlen(want));

	pty_same_at(buf, n, want, strlen(want), what, file, line);
}

/* One read(2) of the program's side gives exactly this. */
static inline void pty_read_at(int fd, const char *want, size_t want_n, const char *what, const char *file, int line)
{
	char buf[8192];
	ssize_t n;

	if (!(pty_ready(fd, POLLIN, PTY_LIMIT_MS) & POLLIN)) {
		print_error("%s: nothing to read, want \"%s\"\n", what, pty_visible(want, want_n));
		_fail(file, line);
	}
	n = assert_ok_at(read(fd, buf, sizeof(buf)), what, file, line);
	pty_same_at(buf, (size_t)n, want, want_n, what, file, line);
}

#define PTY_SCREEN(p, want) pty_screen_at(p, want, "screen", __FILE__, __LINE__)
#define PTY_READ(p, want) pty_read_at((p)->s, want, sizeof(want) - 1, "read", __FILE__, __LINE__)
#define PTY_SHOWN(p, want) pty_read_at((p)->m, want, sizeof(want) - 1, "master", __FILE__, __LINE__)
#define PTY_SILENT(fd) assert_int_equal(pty_ready(fd, POLLIN, PTY_QUIET_MS), 0)

static inline int pty_count(int fd, unsigned long request)
{
	int n = -1;

	ASSERT_OK(ioctl(fd, request, &n));
	return n;
}

#endif
