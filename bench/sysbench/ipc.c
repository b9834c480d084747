/* SPDX-License-Identifier: MIT */
/* Bytes between processes, and waiting for several things. */
#include "sysbench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Two descriptors: where this side reads, where it writes. */
struct side {
	int from, to;
};

static void pingpong_turn(void *u)
{
	struct side *s = u;
	char c = 1;

	MUST(write(s->to, &c, 1));
	MUST(read(s->from, &c, 1));
}

/* Answers each byte; a zero byte ends it. */
static void echo(const struct side *s)
{
	char c;

	while (read(s->from, &c, 1) == 1 && c)
		if (write(s->to, &c, 1) != 1)
			break;
	_exit(0);
}

/* Two processes pass one byte to and fro. */
static void pingpong(const char *name, struct side parent, struct side child)
{
	pid_t pid = (pid_t)MUST(fork());

	if (!pid)
		echo(&child);
	say(name, per_turn(pingpong_turn, &parent), "us");
	MUST(write(parent.to, "", 1));
	waitpid(pid, NULL, 0);
}

static void t_pipe(void)
{
	int a[2], b[2];

	MUST(pipe(a));
	MUST(pipe(b));
	pingpong("pipe_pingpong", (struct side){ b[0], a[1] }, (struct side){ a[0], b[1] });
}

static void t_unix(void)
{
	int s[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	pingpong("unix_pingpong", (struct side){ s[0], s[0] }, (struct side){ s[1], s[1] });
}

/* A connected pair over loopback. */
static void tcp_pair(int s[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int one = 1, listener = (int)MUST(socket(AF_INET, SOCK_STREAM, 0));

	MUST(bind(listener, (void *)&a, len));
	MUST(listen(listener, 1));
	MUST(getsockname(listener, (void *)&a, &len));
	s[0] = (int)MUST(socket(AF_INET, SOCK_STREAM, 0));
	MUST(connect(s[0], (void *)&a, len));
	s[1] = (int)MUST(accept(listener, NULL, NULL));
	for (int i = 0; i < 2; i++)
		MUST(setsockopt(s[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	close(listener);
}

static void t_tcp(void)
{
	int s[2];

	tcp_pair(s);
	pingpong("tcp_pingpong", (struct side){ s[0], s[0] }, (struct side){ s[1], s[1] });
}

static void t_tcp_stream(void)
{
	size_t block = 65536, total = 0;
	char *buf = calloc(1, block);
	double start;
	pid_t pid;
	int s[2];

	tcp_pair(s);
	pid = (pid_t)MUST(fork());
	if (!pid) {
		close(s[0]);
		while (read(s[1], buf, block) > 0)
			;
		_exit(0);
	}
	close(s[1]);
	start = now();
	while (now() - start < 2 * seconds)
		total += (size_t)MUST(write(s[0], buf, block));
	shutdown(s[0], SHUT_WR);
	waitpid(pid, NULL, 0);
	say("tcp_stream", (double)total / (double)(1 << 20) / (now() - start), "MB/s");
	free(buf);
}

struct watched {
	int epoll, event;
};

static void epoll_turn(void *u)
{
	struct watched *w = u;
	struct epoll_event out;
	uint64_t x = 1;

	MUST(write(w->event, &x, sizeof(x)));
	MUST(epoll_wait(w->epoll, &out, 1, -1));
	MUST(read(w->event, &x, sizeof(x)));
}

static void t_epoll(void)
{
	struct watched w = { (int)MUST(epoll_create1(0)), (int)MUST(eventfd(0, 0)) };
	struct epoll_event ev = { .events = EPOLLIN };

	MUST(epoll_ctl(w.epoll, EPOLL_CTL_ADD, w.event, &ev));
	say("eventfd_epoll", per_turn(epoll_turn, &w), "us/3 calls");
}

const struct test ipc_tests[] = {
	{ "epoll", t_epoll }, { "pipe", t_pipe }, { "unix", t_unix }, { "tcp", t_tcp }, { "tcp_stream", t_tcp_stream },
	{ NULL, NULL },
};
