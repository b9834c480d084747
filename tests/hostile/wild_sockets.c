/* SPDX-License-Identifier: MIT */
/*
 * A guest with wild sockets: addresses, control data, netlink requests and options of all lengths and contents, from several
 * threads on the same descriptors, with sockets sent through sockets, closed in between, and cycles of them. argv: seed,
 * steps a thread. It ends with status 0, or of SIGSEGV where a message came in that was longer than what it was to lie in (natively
 * too); what is judged is that the VMM lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/hostile/wild.h"

static void make(uint64_t *s)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	int sv[2], type = types[below(s, 3)] | SOCK_NONBLOCK;

	switch (below(s, 4)) {
	case 0:
		keep(s, socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE));
		break;
	case 1:
		keep(s, socket(AF_UNIX, type, 0));
		break;
	default:
		if (socketpair(AF_UNIX, type, 0, sv) == 0) {
			keep(s, sv[0]);
			keep(s, sv[1]);
		}
	}
}

/* A few names, so that they meet. */
static socklen_t address(uint64_t *s, struct sockaddr_un *un)
{
	if (below(s, 4) == 0) {
		noise(s, un, sizeof(*un));
		return odd_length(s);
	}
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	if (below(s, 2))
		return 2 + 1 + (socklen_t)sprintf(un->sun_path + 1, "n%u", below(s, 4));
	return 2 + 1 + (socklen_t)sprintf(un->sun_path, "p%u", below(s, 4));
}

static void name(uint64_t *s)
{
	struct sockaddr_un un;
	socklen_t len = address(s, &un), n = odd_length(s);
	int fd = any(s);

	switch (below(s, 7)) {
	case 0:
	case 1:
		bind(fd, (struct sockaddr *)&un, len);
		break;
	case 2:
		connect(fd, (struct sockaddr *)&un, len);
		break;
	case 3:
		listen(fd, (int)odd_length(s));
		break;
	case 4:
		keep(s, accept4(fd, (struct sockaddr *)&un, &n, SOCK_NONBLOCK));
		break;
	case 5:
		getsockname(fd, below(s, 2) ? (struct sockaddr *)&un : (void *)(edge - 3), &n);
		break;
	default:
		un.sun_path[sizeof(un.sun_path) - 1] = '\0';
		unlink(un.sun_path);
	}
}

static size_t control(uint64_t *s, char *buf, size_t size)
{
	size_t at = 0, n = below(s, 4);

	noise(s, buf, size);
	for (size_t i = 0; i < n && at + 64 < size; i++) {
		struct cmsghdr *c = (struct cmsghdr *)(void *)(buf + at);
		int fds[4] = { any(s), any(s), any(s), any(s) };
		unsigned k = below(s, 5);

		c->cmsg_level = below(s, 8) ? SOL_SOCKET : (int)rnd(s);
		c->cmsg_type = below(s, 8) ? SCM_RIGHTS : (int)below(s, 5);
		c->cmsg_len = below(s, 8) ? CMSG_LEN(k * sizeof(int)) : odd_length(s);
		memcpy(CMSG_DATA(c), fds, MIN(k, 4) * sizeof(int));
		at += CMSG_SPACE(k * sizeof(int));
	}
	return below(s, 8) ? at : odd_length(s);
}

static void message(uint64_t *s)
{
	__attribute__((aligned(8))) char buf[1024], data[600];
	struct sockaddr_un un;
	struct iovec v[3] = { { data, below(s, sizeof(data)) }, { edge - 8, below(s, 20) }, { data, odd_length(s) } };
	struct msghdr h = { .msg_iov = v, .msg_iovlen = below(s, 4), .msg_control = buf };
	int fd = any(s), flags = MSG_DONTWAIT | MSG_NOSIGNAL | (below(s, 3) ? 0 : (int)(rnd(s) & 0x40ffbfff));

	noise(s, data, 64);
	if (below(s, 3) == 0) {
		h.msg_namelen = address(s, &un);
		h.msg_name = &un;
	}
	h.msg_controllen = control(s, buf, sizeof(buf));
	if (below(s, 2)) {
		sendmsg(fd, &h, flags);
	} else if (recvmsg(fd, &h, flags) >= 0 && h.msg_controllen < sizeof(buf)) {
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c))
			if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
				for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++)
					keep(s, ((int *)(void *)CMSG_DATA(c))[i]);
	}
}

static void netlink(uint64_t *s)
{
	__attribute__((aligned(8))) char buf[512];
	size_t at = 0;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE);

	noise(s, buf, sizeof(buf));
	for (unsigned n = below(s, 6); n && at < 400; n--) {
		struct nlmsghdr *h = (struct nlmsghdr *)(void *)(buf + at);

		h->nlmsg_len = below(s, 4) ? 16 + below(s, 60) : odd_length(s);
		h->nlmsg_type = (uint16_t)(below(s, 4) ? RTM_BASE + below(s, 80) : rnd(s));
		h->nlmsg_flags = (uint16_t)(rnd(s) | NLM_F_REQUEST);
		at += NLMSG_ALIGN(MIN(h->nlmsg_len, 100));
	}
	send(fd, buf, below(s, 8) ? at : below(s, sizeof(buf)), 0);
	while (recv(fd, buf, below(s, sizeof(buf)), 0) > 0)
		;
	keep(s, fd);
}

static void option(uint64_t *s)
{
	static const int levels[] = { SOL_SOCKET, SOL_SOCKET, 270, 6, 0 };
	char val[64];
	socklen_t n = odd_length(s);
	int level = levels[below(s, 5)], which = below(s, 8) ? (int)below(s, 90) : (int)rnd(s);

	noise(s, val, sizeof(val));
	if (below(s, 2))
		setsockopt(any(s), level, which, below(s, 4) ? val : edge - 2, n > sizeof(val) && n < 4096 ? sizeof(val) : n);
	else if (n <= sizeof(val) || (int)n < 0)
		getsockopt(any(s), level, which, val, &n);
}

static void rest(uint64_t *s)
{
	struct pollfd p = { any(s), POLLIN | POLLOUT | POLLRDHUP, 0 };
	char buf[4096] = "";
	int n;

	switch (below(s, 8)) {
	case 0: shutdown(any(s), (int)below(s, 4)); break;
	case 1: poll(&p, 1, 0); break;
	case 2: ioctl(any(s), below(s, 2) ? FIONREAD : (unsigned long)(0x8900 + below(s, 0x60)), &buf); break;
	case 3: n = (int)write(any(s), buf, below(s, sizeof(buf))); break;
	case 4: n = (int)read(any(s), buf, below(s, sizeof(buf))); break;
	case 5: n = (int)write(any(s), edge - 100, below(s, 200)); break;
	case 6: n = (int)read(any(s), edge - 100, below(s, 200)); break;
	default: keep(s, dup(any(s)));
	}
	(void)n;
}

static void *storm(void *arg)
{
	uint64_t s = (uint64_t)(uintptr_t)arg;

	for (unsigned long i = 0; i < steps; i++)
		switch (below(&s, 8)) {
		case 0: make(&s); break;
		case 1: name(&s); break;
		case 2: option(&s); break;
		case 3: netlink(&s); break;
		case 4: rest(&s); break;
		default: message(&s);
		}
	return NULL;
}

int main(int argc, char **argv)
{
	return wild_run(argc, argv, storm);
}
