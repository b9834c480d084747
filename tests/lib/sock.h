/* SPDX-License-Identifier: MIT */
/* For tests of sockets: pairs, readiness, addresses, sending and receiving with control data. */
#ifndef TESTS_LIB_SOCK_H
#define TESTS_LIB_SOCK_H

#include "tests/lib/cmocka_all.h"
#include "tests/lib/file_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SUN_OFF ((socklen_t)offsetof(struct sockaddr_un, sun_path))

static inline void make_pair(int type, int sv[2])
{
	assert_int_equal(socketpair(AF_UNIX, type, 0, sv), 0);
}

static inline short events_now(int fd)
{
	struct pollfd p = { fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0 };

	assert_in_range(poll(&p, 1, 0), 0, 1);
	return p.revents;
}

static inline int int_option(int fd, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, name, &v, &len), 0);
	assert_int_equal(len, sizeof(v));
	return v;
}

static inline void set_option(int fd, int name, int v)
{
	assert_int_equal(setsockopt(fd, SOL_SOCKET, name, &v, sizeof(v)), 0);
}

static inline void set_timeout(int fd, int name, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, name, &tv, sizeof(tv)), 0);
}

static inline void nonblock(int fd, bool on)
{
	int fl = fcntl(fd, F_GETFL);

	assert_int_equal(fcntl(fd, F_SETFL, on ? fl | O_NONBLOCK : fl & ~O_NONBLOCK), 0);
}

/* An abstract address that no other run of this test uses; its length. */
static inline socklen_t abstract_name(struct sockaddr_un *un, const char *name)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	return SUN_OFF + 1 + (socklen_t)snprintf(un->sun_path + 1, sizeof(un->sun_path) - 1, "vmrun-test-%d-%s", (int)getpid(), name);
}

static inline socklen_t path_name(struct sockaddr_un *un, const char *name)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	return SUN_OFF + 1 + (socklen_t)snprintf(un->sun_path, sizeof(un->sun_path), "%s", name);
}

/* A listener with an abstract name. */
static inline int listener(int type, struct sockaddr_un *un, socklen_t *len, int backlog)
{
	static int n;
	char name[32];
	int fd = socket(AF_UNIX, type, 0);

	snprintf(name, sizeof(name), "l%d", n++);
	*len = abstract_name(un, name);
	assert_int_equal(bind(fd, (struct sockaddr *)un, *len), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static inline int fds_open(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

#endif
