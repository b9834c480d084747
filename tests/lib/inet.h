/* SPDX-License-Identifier: MIT */
/* For tests of AF_INET and AF_INET6 over loopback: addresses, listeners, connected pairs. */
#ifndef TESTS_LIB_INET_H
#define TESTS_LIB_INET_H

#include "tests/lib/sock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

static inline struct sockaddr_in in_addr4(uint32_t host, unsigned port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	in.sin_addr.s_addr = htonl(host);
	return in;
}

static inline struct sockaddr_in6 in_addr6(const struct in6_addr *ip, unsigned port)
{
	return (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = *ip };
}

static inline int bind4(int fd, uint32_t host, unsigned port)
{
	struct sockaddr_in in = in_addr4(host, port);

	return bind(fd, (struct sockaddr *)&in, sizeof(in));
}

static inline int connect4(int fd, uint32_t host, unsigned port)
{
	struct sockaddr_in in = in_addr4(host, port);

	return connect(fd, (struct sockaddr *)&in, sizeof(in));
}

static inline unsigned port_of(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	ASSERT_OK(getsockname(fd, (struct sockaddr *)&ss, &len));
	return ntohs(((struct sockaddr_in *)&ss)->sin_port);
}

/* A TCP listener on 127.0.0.1; its port. */
static inline int tcp_listener(int backlog, unsigned *ret_port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ASSERT_OK(fd);
	ASSERT_OK(bind4(fd, INADDR_LOOPBACK, 0));
	ASSERT_OK(listen(fd, backlog));
	*ret_port = port_of(fd);
	return fd;
}

/* A connected pair: sv[0] has connected, sv[1] was accepted. */
static inline void tcp_pair(int sv[2])
{
	unsigned port;
	int l = tcp_listener(5, &port);

	sv[0] = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_OK(connect4(sv[0], INADDR_LOOPBACK, port));
	sv[1] = accept(l, NULL, NULL);
	ASSERT_OK(sv[1]);
	close(l);
}

static inline void close_pair(int sv[2])
{
	close(sv[0]);
	close(sv[1]);
}

/* Waits until these events are there (the peer's segments may be under way natively). */
static inline short wait_events(int fd, short events)
{
	struct pollfd p = { fd, events, 0 };

	for (int i = 0; i < 3000; i++) {
		short now = events_now(fd);

		if ((now & events) == events)
			return now;
		poll(&p, 0, 10);
	}
	return events_now(fd);
}

static inline int level_option(int fd, int level, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	ASSERT_OK(getsockopt(fd, level, name, &v, &len));
	return v;
}

static inline int set_level(int fd, int level, int name, int v)
{
	return setsockopt(fd, level, name, &v, sizeof(v));
}

#endif
