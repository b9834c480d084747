/* SPDX-License-Identifier: MIT */
/*
 * A guest with wild Internet sockets: a few ports, so that they meet; large sends out of fresh memory while other threads close,
 * reset, disconnect and reconnect either end; corks, deferred accepting, lingering, time limits, error queues, all options, control
 * messages and addresses of all lengths and contents. argv: seed, steps a thread. Only for vmrun. What is judged is that the VMM lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/hostile/wild.h"

#define FIRST_PORT 7000
#define PORTS 5
#define BIG (256 << 10)

static socklen_t address(uint64_t *s, struct sockaddr_storage *ss)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	switch (below(s, 12)) {
	case 0:
		noise(s, ss, sizeof(*ss));
		return odd_length(s);
	case 1:
		return sizeof(*in); /* AF_UNSPEC: back to a new socket */
	case 2:
	case 3:
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)(FIRST_PORT + below(s, PORTS)));
		in6->sin6_addr = in6addr_loopback;
		return sizeof(*in6);
	default:
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)(FIRST_PORT + below(s, PORTS)));
		in->sin_addr.s_addr = htonl(below(s, 8) ? INADDR_LOOPBACK : below(s, 2) ? INADDR_ANY : 0xe0000001u);
		return sizeof(*in);
	}
}

static void set(int fd, int level, int name, int val)
{
	(void)setsockopt(fd, level, name, &val, sizeof(val));
}

static void make(uint64_t *s)
{
	static const int types[] = { SOCK_STREAM, SOCK_STREAM, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW };
	int type = types[below(s, 5)], fd = socket(below(s, 3) ? AF_INET : AF_INET6, type | SOCK_NONBLOCK, type == SOCK_RAW ? IPPROTO_ICMP : 0);
	struct linger l = { 1, (int)below(s, 3) - 1 };

	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (below(s, 3) == 0)
		set(fd, SOL_TCP, TCP_DEFER_ACCEPT, (int)below(s, 3));
	if (below(s, 3) == 0)
		set(fd, SOL_TCP, TCP_CORK, 1);
	if (below(s, 4) == 0)
		set(fd, SOL_TCP, TCP_USER_TIMEOUT, (int)below(s, 50));
	if (below(s, 4) == 0 && l.l_linger >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	if (below(s, 2))
		set(fd, SOL_IP, IP_RECVERR, 1);
	if (below(s, 6) == 0)
		set(fd, SOL_SOCKET, below(s, 2) ? SO_SNDBUF : SO_RCVBUF, (int)odd_length(s));
	keep(s, fd);
}

static void meet(uint64_t *s)
{
	struct sockaddr_storage ss;
	socklen_t len = address(s, &ss), n = odd_length(s);
	int fd = any(s);

	switch (below(s, 9)) {
	case 0:
	case 1: (void)bind(fd, (struct sockaddr *)&ss, len); break;
	case 2:
	case 3: (void)listen(fd, (int)below(s, 4)); break;
	case 4:
	case 5: (void)connect(fd, (struct sockaddr *)&ss, len); break;
	case 6: (void)getpeername(fd, below(s, 2) ? (struct sockaddr *)&ss : (void *)(edge - 3), &n); break;
	default: keep(s, accept4(fd, NULL, NULL, SOCK_NONBLOCK));
	}
}

/* Out of memory that nobody has touched yet: copying it takes its time. */
static void pour(uint64_t *s)
{
	char *fresh = mmap(NULL, BIG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = any(s), flags = MSG_DONTWAIT | MSG_NOSIGNAL | (below(s, 4) ? 0 : MSG_MORE) | (below(s, 6) ? 0 : MSG_OOB);

	if (fresh == MAP_FAILED)
		return;
	if (below(s, 3))
		(void)send(fd, fresh, below(s, BIG), flags);
	else
		(void)recv(fd, fresh, below(s, BIG), MSG_DONTWAIT | (below(s, 4) ? 0 : (int)(rnd(s) & 0x2163)));
	munmap(fresh, BIG);
}

static void message(uint64_t *s)
{
	static const int levels[] = { SOL_SOCKET, SOL_IP, SOL_IPV6, SOL_IP };
	__attribute__((aligned(8))) char control[512], data[600];
	struct sockaddr_storage ss;
	struct iovec v = { data, below(s, sizeof(data)) };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control };
	int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (below(s, 3) ? 0 : (int)(rnd(s) & 0x40ffbfff));

	noise(s, control, sizeof(control));
	noise(s, data, 64);
	for (unsigned n = below(s, 4); n; n--) {
		struct cmsghdr *c = (struct cmsghdr *)(void *)(control + h.msg_controllen);
		size_t k = below(s, 33);

		c->cmsg_level = levels[below(s, 4)];
		c->cmsg_type = (int)below(s, 70);
		c->cmsg_len = below(s, 8) ? CMSG_LEN(k) : odd_length(s);
		h.msg_controllen += CMSG_SPACE(k);
	}
	if (below(s, 3) == 0) {
		h.msg_namelen = address(s, &ss);
		h.msg_name = &ss;
	}
	if (below(s, 2)) {
		(void)sendmsg(any(s), &h, flags);
	} else {
		h.msg_controllen = below(s, sizeof(control));
		(void)recvmsg(any(s), &h, flags | (below(s, 2) ? MSG_ERRQUEUE : 0));
	}
}

static void option(uint64_t *s)
{
	static const int levels[] = { SOL_SOCKET, SOL_TCP, SOL_IP, SOL_IPV6, 17, 255 };
	char val[256];
	socklen_t n = odd_length(s);
	int level = levels[below(s, 6)], which = below(s, 8) ? (int)below(s, 90) : (int)rnd(s);

	noise(s, val, sizeof(val));
	if (below(s, 2))
		(void)setsockopt(any(s), level, which, below(s, 6) ? val : edge - 2, n > sizeof(val) && n < 4096 ? sizeof(val) : n);
	else if (n <= sizeof(val) || (int)n < 0)
		(void)getsockopt(any(s), level, which, val, &n);
}

static void rest(uint64_t *s)
{
	struct pollfd p = { any(s), POLLIN | POLLOUT | POLLRDHUP, 0 };
	int fd = any(s);
	char buf[64];

	switch (below(s, 6)) {
	case 0: (void)shutdown(fd, (int)below(s, 3)); break;
	case 1: (void)poll(&p, 1, 0); break;
	case 2: (void)ioctl(fd, below(s, 2) ? FIONREAD : (unsigned long)(0x8900 + below(s, 0x60)), buf); break;
	case 3: set(fd, SOL_TCP, TCP_CORK, (int)below(s, 2)); break;
	case 4: keep(s, dup(fd)); break;
	default: keep(s, open("/dev/null", O_RDONLY)); /* closes one */
	}
}

static void *storm(void *arg)
{
	uint64_t s = (uint64_t)(uintptr_t)arg;

	for (unsigned long i = 0; i < steps; i++)
		switch (below(&s, 12)) {
		case 0: make(&s); break;
		case 1:
		case 2:
		case 3:
		case 4: meet(&s); break;
		case 5: option(&s); break;
		case 6: rest(&s); break;
		case 7:
		case 8: message(&s); break;
		default: pour(&s);
		}
	return NULL;
}

int main(int argc, char **argv)
{
	return wild_run(argc, argv, storm);
}
