/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX stream sockets: data, blocking, end of file, shutdown, resets, SIGPIPE, poll and epoll, listen, connect,
 * accept, names, limits of the buffer, MSG_PEEK, MSG_WAITALL, timeouts, FIONREAD, splice and sendfile.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"
#include "tests/lib/sock.h"

#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/vfs.h>

#ifndef SIOCUNIXFILE
#define SIOCUNIXFILE 0x89e0
#endif

static char big[1 << 20];

/* --- data ---------------------------------------------------------------------------------------------------- */

static void bytes_go_both_ways(void **state)
{
	char buf[16];
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	assert_int_equal(write(sv[0], "hello", 5), 5);
	assert_int_equal(send(sv[0], "world", 5, 0), 5);
	assert_int_equal(read(sv[1], buf, 7), 7);
	assert_memory_equal(buf, "hellowo", 7);
	assert_int_equal(recv(sv[1], buf, sizeof(buf), 0), 3);
	assert_memory_equal(buf, "rld", 3);
	assert_int_equal(write(sv[1], "back", 4), 4);
	assert_int_equal(read(sv[0], buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "back", 4);
	assert_int_equal(write(sv[0], "x", 0), 0);
	assert_int_equal(read(sv[1], buf, 0), 0);
	ASSERT_ERR(recv(sv[1], buf, sizeof(buf), MSG_DONTWAIT), EAGAIN);
}

struct xfer { int fd; size_t n; };

static long send_pattern(void *arg)
{
	struct xfer *x = arg;
	size_t done = 0;

	while (done < x->n) {
		ssize_t r = write(x->fd, big + done % 4096, x->n - done < 300000 ? x->n - done : 300000);

		if (r <= 0)
			return -1;
		done += (size_t)r;
	}
	return (long)done;
}

static void a_megabyte_arrives_whole(void **state)
{
	static char got[1 << 20];
	struct xfer x;
	struct bg bg;
	int sv[2];
	size_t done = 0;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 4096);
	make_pair(SOCK_STREAM, sv);
	x = (struct xfer){ sv[0], sizeof(big) };
	bg_start(&bg, send_pattern, &x);
	while (done < sizeof(got)) {
		ssize_t r = read(sv[1], got + done, 70001);

		assert_true(r > 0);
		done += (size_t)r;
	}
	assert_int_equal(bg_end(&bg), sizeof(big));
	for (size_t i = 0, w = 0; i < sizeof(got); w += 300000)
		for (size_t k = 0; k < 300000 && i < sizeof(got); k++, i++)
			if (got[i] != big[w % 4096 + k])
				fail_msg("byte %zu", i);
}

static void one_full_direction_blocks_and_gives_eagain(void **state)
{
	int sv[2];
	long all = 0;
	ssize_t n;
	struct bg bg;
	struct xfer x;

	make_pair(SOCK_STREAM, sv);
	nonblock(sv[0], true);
	while ((n = write(sv[0], big, 4096)) > 0)
		all += n;
	assert_int_equal(errno, EAGAIN);
	assert_in_range(all, 50000, 300000);
	assert_int_equal(events_now(sv[0]), 0);
	assert_int_equal(events_now(sv[1]), POLLIN | POLLOUT);
	nonblock(sv[0], false);
	x = (struct xfer){ sv[0], 4096 };
	bg_start(&bg, send_pattern, &x);
	assert_true(bg_blocks(&bg));
	while (all > 0) {
		n = read(sv[1], big, all < (long)sizeof(big) ? (size_t)all : sizeof(big));
		assert_true(n > 0);
		all -= n;
	}
	assert_int_equal(bg_end(&bg), 4096);
}

static void a_write_larger_than_the_buffer_is_cut_if_nonblocking(void **state)
{
	int sv[2];
	ssize_t n;

	make_pair(SOCK_STREAM, sv);
	nonblock(sv[0], true);
	n = write(sv[0], big, sizeof(big));
	assert_in_range(n, 50000, 400000);
	ASSERT_ERR(write(sv[0], big, 1), EAGAIN);
	while (n > 0)
		n -= read(sv[1], big, sizeof(big));
	assert_int_equal(n, 0);
	assert_int_equal(events_now(sv[0]), POLLOUT);
}

/* Each message costs its structures, however short it is: some hundred fill the buffer. */
static void short_messages_fill_the_buffer_too(void **state)
{
	const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };

	for (size_t i = 0; i < 3; i++) {
		int sv[2], sent = 0;

		make_pair(types[i], sv);
		while (send(sv[0], "x", 1, MSG_DONTWAIT) == 1)
			sent++;
		assert_int_equal(errno, EAGAIN);
		assert_in_range(sent, 100, 1000);
		assert_int_equal(events_now(sv[0]), 0);
		for (int n = sent; n > 0; n--)
			assert_int_equal(recv(sv[1], big, 1, MSG_DONTWAIT), 1);
		assert_int_equal(events_now(sv[0]), POLLOUT);
		for (int n = 0; n < sent; n++)
			assert_int_equal(send(sv[0], "x", 1, MSG_DONTWAIT), 1);
		close(sv[0]);
		close(sv[1]);
	}
}

static void a_smaller_send_buffer_holds_less(void **state)
{
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	assert_int_equal(int_option(sv[0], SO_SNDBUF), 212992);
	set_option(sv[0], SO_SNDBUF, 1);
	assert_int_equal(int_option(sv[0], SO_SNDBUF), 4608);
	set_option(sv[0], SO_SNDBUF, 10000);
	assert_int_equal(int_option(sv[0], SO_SNDBUF), 20000);
	nonblock(sv[0], true);
	assert_in_range(write(sv[0], big, sizeof(big)), 1, 40000);
}

/* --- the end --------------------------------------------------------------------------------------------------- */

static void closing_is_end_of_file_after_the_data(void **state)
{
	char buf[8];
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	assert_int_equal(write(sv[0], "abc", 3), 3);
	close(sv[0]);
	assert_int_equal(events_now(sv[1]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 3);
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 0);
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 0);
	ASSERT_ERR(send(sv[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	assert_int_equal(int_option(sv[1], SO_ERROR), 0);
}

static void unread_data_at_close_is_a_reset(void **state)
{
	char buf[8];
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	assert_int_equal(write(sv[1], "abc", 3), 3);
	close(sv[0]);
	assert_int_equal(events_now(sv[1]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP | POLLERR);
	ASSERT_ERR(read(sv[1], buf, sizeof(buf)), ECONNRESET);
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 0);

	make_pair(SOCK_STREAM, sv);
	assert_int_equal(write(sv[1], "abc", 3), 3);
	assert_int_equal(write(sv[0], "de", 2), 2);
	close(sv[0]);
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 2); /* data first */
	ASSERT_ERR(read(sv[1], buf, sizeof(buf)), ECONNRESET);

	make_pair(SOCK_STREAM, sv);
	assert_int_equal(write(sv[1], "abc", 3), 3);
	close(sv[0]);
	ASSERT_ERR(send(sv[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	assert_int_equal(int_option(sv[1], SO_ERROR), ECONNRESET);
	assert_int_equal(int_option(sv[1], SO_ERROR), 0);
}

static volatile sig_atomic_t pipes;

static void on_pipe(int sig)
{
	pipes++;
}

static void writing_to_nobody_raises_sigpipe(void **state)
{
	struct sigaction sa = { .sa_handler = on_pipe };
	struct iovec v = { big, 2 };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	int sv[2];

	sigaction(SIGPIPE, &sa, NULL);
	make_pair(SOCK_STREAM, sv);
	close(sv[0]);
	pipes = 0;
	ASSERT_ERR(write(sv[1], "x", 1), EPIPE);
	assert_int_equal(pipes, 1);
	ASSERT_ERR(send(sv[1], "x", 1, 0), EPIPE);
	assert_int_equal(pipes, 2);
	ASSERT_ERR(sendmsg(sv[1], &h, 0), EPIPE);
	assert_int_equal(pipes, 3);
	ASSERT_ERR(sendmsg(sv[1], &h, MSG_NOSIGNAL), EPIPE);
	ASSERT_ERR(send(sv[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	assert_int_equal(pipes, 3);
	signal(SIGPIPE, SIG_DFL);
}

static void shutdown_closes_one_direction(void **state)
{
	char buf[8];
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	assert_int_equal(write(sv[0], "abc", 3), 3);
	assert_int_equal(shutdown(sv[0], SHUT_WR), 0);
	ASSERT_ERR(send(sv[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	assert_int_equal(events_now(sv[0]), POLLOUT);
	assert_int_equal(events_now(sv[1]), POLLIN | POLLOUT | POLLRDHUP);
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 3);
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 0);
	assert_int_equal(write(sv[1], "de", 2), 2);
	assert_int_equal(read(sv[0], buf, sizeof(buf)), 2);
	assert_int_equal(shutdown(sv[1], SHUT_WR), 0);
	assert_int_equal(events_now(sv[0]), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
	assert_int_equal(read(sv[0], buf, sizeof(buf)), 0);
	ASSERT_ERR(shutdown(sv[0], 3), EINVAL);
	ASSERT_ERR(shutdown(sv[0], -1), EINVAL);

	make_pair(SOCK_STREAM, sv);
	assert_int_equal(write(sv[0], "abc", 3), 3);
	assert_int_equal(shutdown(sv[1], SHUT_RD), 0);
	ASSERT_ERR(send(sv[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 3); /* what was there stays */
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 0);
}

static long read_one(void *arg)
{
	char c;

	return read(*(int *)arg, &c, 1);
}

static void a_blocked_reader_is_released(void **state)
{
	struct bg bg;
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	bg_start(&bg, read_one, &sv[0]);
	assert_true(bg_blocks(&bg));
	assert_int_equal(write(sv[1], "x", 1), 1);
	assert_int_equal(bg_end(&bg), 1);
	bg_start(&bg, read_one, &sv[0]);
	assert_true(bg_blocks(&bg));
	shutdown(sv[0], SHUT_RD);
	assert_int_equal(bg_end(&bg), 0);

	make_pair(SOCK_STREAM, sv);
	bg_start(&bg, read_one, &sv[0]);
	assert_true(bg_blocks(&bg));
	close(sv[1]);
	assert_int_equal(bg_end(&bg), 0);

	make_pair(SOCK_STREAM, sv);
	bg_handle(SIGUSR1, 0);
	bg_start(&bg, read_one, &sv[0]);
	assert_true(bg_blocks(&bg));
	assert_true(bg_interrupt(&bg, SIGUSR1));
	assert_int_equal(bg_end(&bg), -1);
	assert_int_equal(errno, EINTR);
}

static void a_blocked_writer_is_released_by_a_close(void **state)
{
	struct bg bg;
	struct xfer x;
	int sv[2];

	signal(SIGPIPE, SIG_IGN);
	make_pair(SOCK_STREAM, sv);
	nonblock(sv[0], true);
	while (write(sv[0], big, 4096) > 0)
		;
	nonblock(sv[0], false);
	x = (struct xfer){ sv[0], 10 };
	bg_start(&bg, send_pattern, &x);
	assert_true(bg_blocks(&bg));
	close(sv[1]);
	assert_int_equal(bg_end(&bg), -1);
	assert_true(errno == ECONNRESET || errno == EPIPE);
	signal(SIGPIPE, SIG_DFL);
}

/* --- receiving with flags ------------------------------------------------------------------------------------------ */

static void peeking_takes_nothing(void **state)
{
	char buf[16];
	int sv[2], n;

	make_pair(SOCK_STREAM, sv);
	write(sv[0], "abc", 3);
	write(sv[0], "def", 3);
	assert_int_equal(recv(sv[1], buf, sizeof(buf), MSG_PEEK), 6);
	assert_int_equal(recv(sv[1], buf, 4, MSG_PEEK), 4);
	assert_memory_equal(buf, "abcd", 4);
	assert_int_equal(ioctl(sv[1], FIONREAD, &n), 0);
	assert_int_equal(n, 6);
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 6);
	ASSERT_ERR(recv(sv[1], buf, 4, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
}

static void a_peek_offset_moves(void **state)
{
	char buf[16];
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	assert_int_equal(int_option(sv[1], SO_PEEK_OFF), -1);
	set_option(sv[1], SO_PEEK_OFF, 0);
	write(sv[0], "abcdef", 6);
	assert_int_equal(recv(sv[1], buf, 2, MSG_PEEK), 2);
	assert_memory_equal(buf, "ab", 2);
	assert_int_equal(recv(sv[1], buf, 2, MSG_PEEK), 2);
	assert_memory_equal(buf, "cd", 2);
	assert_int_equal(int_option(sv[1], SO_PEEK_OFF), 4);
	assert_int_equal(recv(sv[1], buf, 1, 0), 1);
	assert_int_equal(int_option(sv[1], SO_PEEK_OFF), 3);
	assert_int_equal(recv(sv[1], buf, 8, MSG_PEEK), 2);
	assert_memory_equal(buf, "ef", 2);
	ASSERT_ERR(recv(sv[1], buf, 8, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
}

static long recv_all(void *arg)
{
	char buf[10];

	return recv(*(int *)arg, buf, sizeof(buf), MSG_WAITALL);
}

static void waitall_waits_for_all(void **state)
{
	struct bg bg;
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	bg_start(&bg, recv_all, &sv[1]);
	write(sv[0], "12345", 5);
	assert_true(bg_blocks(&bg));
	write(sv[0], "67890", 5);
	assert_int_equal(bg_end(&bg), 10);
	bg_start(&bg, recv_all, &sv[1]);
	write(sv[0], "123", 3);
	assert_true(bg_blocks(&bg));
	close(sv[0]);
	assert_int_equal(bg_end(&bg), 3);
}

static void a_low_mark_waits_for_more(void **state)
{
	struct bg bg;
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	assert_int_equal(int_option(sv[1], SO_RCVLOWAT), 1);
	set_option(sv[1], SO_RCVLOWAT, 4);
	write(sv[0], "12", 2);
	bg_start(&bg, recv_all, &sv[1]);
	assert_true(bg_blocks(&bg));
	write(sv[0], "34567890", 8);
	assert_int_equal(bg_end(&bg), 10);
}

static void timeouts_end_a_wait(void **state)
{
	struct timeval tv;
	socklen_t len = sizeof(tv);
	char c;
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	set_timeout(sv[0], SO_RCVTIMEO, 48);
	assert_int_equal(getsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, &len), 0);
	assert_int_equal(tv.tv_usec, 48000);
	ASSERT_ERR(recv(sv[0], &c, 1, 0), EAGAIN);
	set_timeout(sv[0], SO_SNDTIMEO, 48);
	nonblock(sv[0], true);
	while (write(sv[0], big, 4096) > 0)
		;
	nonblock(sv[0], false);
	ASSERT_ERR(send(sv[0], big, 4096, 0), EAGAIN);
	tv = (struct timeval){ 0, 1000000 };
	ASSERT_ERR(setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), EDOM);
	ASSERT_ERR(setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv) - 1), EINVAL);
}

/* --- connections ------------------------------------------------------------------------------------------------------ */

static void connect_and_accept(void **state)
{
	struct sockaddr_un un, got;
	socklen_t len, n = sizeof(got);
	int l = listener(SOCK_STREAM, &un, &len, 5), c = socket(AF_UNIX, SOCK_STREAM, 0), a;
	char buf[8];

	assert_int_equal(events_now(l), 0);
	assert_int_equal(events_now(c), POLLOUT | POLLHUP);
	assert_int_equal(connect(c, (struct sockaddr *)&un, len), 0);
	assert_int_equal(events_now(l), POLLIN);
	assert_int_equal(events_now(c), POLLOUT);
	assert_int_equal(write(c, "early", 5), 5); /* before it is accepted */
	a = accept4(l, (struct sockaddr *)&got, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(a >= 0);
	assert_int_equal(n, SUN_OFF);
	assert_int_equal(got.sun_family, AF_UNIX);
	assert_int_equal(fcntl(a, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(a, F_GETFL), O_RDWR | O_NONBLOCK);
	assert_int_equal(read(a, buf, sizeof(buf)), 5);
	ASSERT_ERR(read(a, buf, sizeof(buf)), EAGAIN);
	n = sizeof(got);
	assert_int_equal(getsockname(a, (struct sockaddr *)&got, &n), 0);
	assert_int_equal(n, len);
	assert_memory_equal(&got, &un, len);
	n = sizeof(got);
	assert_int_equal(getpeername(c, (struct sockaddr *)&got, &n), 0);
	assert_int_equal(n, len);
	n = 4; /* cut, the whole length is told */
	assert_int_equal(getpeername(c, (struct sockaddr *)&got, &n), 0);
	assert_int_equal(n, len);
	assert_int_equal(int_option(l, SO_ACCEPTCONN), 1);
	assert_int_equal(int_option(a, SO_ACCEPTCONN), 0);
	ASSERT_ERR(connect(c, (struct sockaddr *)&un, len), EISCONN);
	ASSERT_ERR(connect(l, (struct sockaddr *)&un, len), EINVAL);
	nonblock(l, true);
	ASSERT_ERR(accept(l, NULL, NULL), EAGAIN);
}

static void the_backlog_is_a_limit(void **state)
{
	struct sockaddr_un un;
	socklen_t len;
	int l = listener(SOCK_STREAM, &un, &len, 1), c[3];

	for (int i = 0; i < 3; i++)
		c[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(c[0], (struct sockaddr *)&un, len), 0);
	assert_int_equal(connect(c[1], (struct sockaddr *)&un, len), 0);
	ASSERT_ERR(connect(c[2], (struct sockaddr *)&un, len), EAGAIN);
	assert_true(accept(l, NULL, NULL) >= 0);
	assert_int_equal(connect(c[2], (struct sockaddr *)&un, len), 0);
}

struct conn { int fd; struct sockaddr_un un; socklen_t len; };

static long do_connect(void *arg)
{
	struct conn *c = arg;

	return connect(c->fd, (struct sockaddr *)&c->un, c->len);
}

static long do_accept(void *arg)
{
	return accept(*(int *)arg, NULL, NULL);
}

static void connect_and_accept_block(void **state)
{
	struct conn c;
	int l = listener(SOCK_STREAM, &c.un, &c.len, 0), a;
	struct bg bg;

	bg_start(&bg, do_accept, &l);
	assert_true(bg_blocks(&bg));
	c.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(do_connect(&c), 0);
	assert_true(bg_end(&bg) >= 0);

	c.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(do_connect(&c), 0);
	c.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bg_start(&bg, do_connect, &c);
	assert_true(bg_blocks(&bg));
	a = accept(l, NULL, NULL);
	assert_true(a >= 0);
	assert_int_equal(bg_end(&bg), 0);

	c.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bg_start(&bg, do_connect, &c);
	assert_true(bg_blocks(&bg));
	close(l);
	assert_int_equal(bg_end(&bg), -1);
	assert_int_equal(errno, ECONNREFUSED);
}

static void a_closed_listener_resets_who_waits(void **state)
{
	struct conn c;
	int l = listener(SOCK_STREAM, &c.un, &c.len, 5);
	char buf[4];

	c.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(do_connect(&c), 0);
	close(l);
	assert_true(events_now(c.fd) & POLLHUP);
	ASSERT_ERR(read(c.fd, buf, 4), ECONNRESET);
	assert_int_equal(read(c.fd, buf, 4), 0);
	close(c.fd);
	c.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ASSERT_ERR(do_connect(&c), ECONNREFUSED);
}

static void shutting_a_listener_down_refuses(void **state)
{
	struct conn c;
	struct bg bg;
	int l = listener(SOCK_STREAM, &c.un, &c.len, 5);

	bg_start(&bg, do_accept, &l);
	assert_true(bg_blocks(&bg));
	assert_int_equal(shutdown(l, SHUT_RD), 0);
	assert_int_equal(bg_end(&bg), -1);
	assert_int_equal(errno, EINVAL);
	c.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ASSERT_ERR(do_connect(&c), ECONNREFUSED);
	nonblock(l, true);
	ASSERT_ERR(accept(l, NULL, NULL), EAGAIN);
}

/* SIOCUNIXFILE: what a name in the file system stands for. */
static void its_file_can_be_had(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "own" };
	struct stat st, own;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), path;

	if (geteuid() != 0)
		skip();
	ASSERT_ERR(ioctl(fd, SIOCUNIXFILE), ENOENT);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	path = ASSERT_OK(ioctl(fd, SIOCUNIXFILE));
	assert_int_equal(fcntl(path, F_GETFL) & O_PATH, O_PATH);
	assert_int_equal(fcntl(path, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fstat(path, &st), 0);
	assert_int_equal(stat("own", &own), 0);
	assert_int_equal(st.st_ino, own.st_ino);
	unlink("own");
}

/* A name that is given without its NUL has one. */
static void a_name_ends_with_a_nul(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "ends" }, got;
	socklen_t len = sizeof(got);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memset(un.sun_path + 4, '!', 60);
	memset(&got, '?', sizeof(got));
	assert_int_equal(bind(fd, (struct sockaddr *)&un, SUN_OFF + 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&got, &len), 0);
	assert_int_equal(len, SUN_OFF + 5);
	assert_memory_equal(got.sun_path, "ends", 5);
	unlink("ends");
}

/* --- epoll --------------------------------------------------------------------------------------------------------------- */

static unsigned next_event(int ep)
{
	struct epoll_event ev = { 0 };

	return epoll_wait(ep, &ev, 1, 0) == 1 ? ev.events : 0;
}

static void edges_come_with_each_arrival(void **state)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
	int sv[2], ep = epoll_create1(0);
	char buf[4];

	make_pair(SOCK_STREAM, sv);
	epoll_ctl(ep, EPOLL_CTL_ADD, sv[0], &ev);
	assert_int_equal(next_event(ep), 0);
	write(sv[1], "a", 1);
	assert_int_equal(next_event(ep), EPOLLIN);
	assert_int_equal(next_event(ep), 0);
	write(sv[1], "b", 1);
	assert_int_equal(next_event(ep), EPOLLIN);
	read(sv[0], buf, 4);
	assert_int_equal(next_event(ep), 0);
	shutdown(sv[1], SHUT_WR);
	assert_int_equal(next_event(ep), EPOLLIN | EPOLLRDHUP);
	assert_int_equal(next_event(ep), 0);
	close(sv[1]);
	assert_int_equal(next_event(ep), EPOLLIN | EPOLLRDHUP | EPOLLHUP);
}

static void becoming_writable_is_an_edge(void **state)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLET };
	int sv[2], ep = epoll_create1(0);
	ssize_t n;

	make_pair(SOCK_STREAM, sv);
	nonblock(sv[0], true);
	nonblock(sv[1], true);
	epoll_ctl(ep, EPOLL_CTL_ADD, sv[0], &ev);
	assert_int_equal(next_event(ep), EPOLLOUT);
	while ((n = write(sv[0], big, 4096)) > 0)
		;
	assert_int_equal(next_event(ep), 0);
	while ((n = read(sv[1], big, 4096)) > 0)
		;
	assert_int_equal(next_event(ep), EPOLLOUT);
}

/* --- as a file --------------------------------------------------------------------------------------------------------------- */

static void a_socket_looks_like_one(void **state)
{
	struct stat st;
	struct statfs fs;
	char name[64] = "", want[64], link[64];
	int sv[2];

	make_pair(SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, sv);
	assert_int_equal(fcntl(sv[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(sv[0], F_GETFL), O_RDWR | O_NONBLOCK);
	assert_int_equal(fstat(sv[0], &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0777);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(fstatfs(sv[0], &fs), 0);
	assert_int_equal(fs.f_type, 0x534f434b);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", sv[0]);
	assert_true(readlink(link, name, sizeof(name) - 1) > 0);
	snprintf(want, sizeof(want), "socket:[%lu]", (unsigned long)st.st_ino);
	assert_string_equal(name, want);
	ASSERT_ERR(lseek(sv[0], 0, SEEK_SET), ESPIPE);
	ASSERT_ERR(pread(sv[0], name, 1, 0), ESPIPE);
	ASSERT_ERR(open(link, O_RDWR), ENXIO);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ, MAP_SHARED, sv[0], 0), MAP_FAILED);
	assert_int_equal(errno, ENODEV);
	ASSERT_ERR(ftruncate(sv[0], 0), EINVAL);
	ASSERT_ERR(fsync(sv[0]), EINVAL);
	assert_int_equal(int_option(sv[0], SO_TYPE), SOCK_STREAM);
	assert_int_equal(int_option(sv[0], SO_DOMAIN), AF_UNIX);
	assert_int_equal(int_option(sv[0], SO_PROTOCOL), 0);
}

static void splice_and_sendfile(void **state)
{
	char buf[16];
	int sv[2], p[2], fd = open(".", O_TMPFILE | O_RDWR, 0600);
	off_t off = 1;

	if (fd < 0)
		fd = open("f", O_RDWR | O_CREAT, 0600);
	make_pair(SOCK_STREAM, sv);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(fd, "0123456789", 10), 10);
	assert_int_equal(sendfile(sv[0], fd, &off, 5), 5);
	assert_int_equal(off, 6);
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "12345", 5);
	assert_int_equal(write(p[1], "pipe", 4), 4);
	assert_int_equal(splice(p[0], NULL, sv[0], NULL, 10, 0), 4);
	assert_int_equal(splice(sv[1], NULL, p[1], NULL, 10, 0), 4);
	assert_int_equal(read(p[0], buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "pipe", 4);
	ASSERT_ERR(splice(sv[1], NULL, p[1], NULL, 10, SPLICE_F_NONBLOCK), EAGAIN);
}

static void bytes_waiting_are_told(void **state)
{
	int sv[2], n = -1;

	make_pair(SOCK_STREAM, sv);
	assert_int_equal(ioctl(sv[0], TIOCOUTQ, &n), 0);
	assert_int_equal(n, 0);
	write(sv[0], "abc", 3);
	write(sv[0], "de", 2);
	assert_int_equal(ioctl(sv[1], FIONREAD, &n), 0);
	assert_int_equal(n, 5);
	assert_int_equal(ioctl(sv[0], TIOCOUTQ, &n), 0);
	assert_true(n >= 5);
	ASSERT_ERR(ioctl(sv[0], TCGETS, big), ENOTTY);
}

static void a_fault_moves_nothing(void **state)
{
	char *edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int sv[2], n;

	munmap(edge + 4096, 4096);
	make_pair(SOCK_STREAM, sv);
	ASSERT_ERR(write(sv[0], edge + 4096, 4), EFAULT);
	assert_int_equal(ioctl(sv[1], FIONREAD, &n), 0);
	assert_int_equal(n, 0);
	write(sv[0], "abc", 3);
	ASSERT_ERR(read(sv[1], edge + 4096, 3), EFAULT);
	assert_int_equal(ioctl(sv[1], FIONREAD, &n), 0);
	assert_int_equal(n, 3);
	munmap(edge, 4096);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_go_both_ways),
		cmocka_unit_test(a_megabyte_arrives_whole),
		cmocka_unit_test(one_full_direction_blocks_and_gives_eagain),
		cmocka_unit_test(a_write_larger_than_the_buffer_is_cut_if_nonblocking),
		cmocka_unit_test(short_messages_fill_the_buffer_too),
		cmocka_unit_test(a_smaller_send_buffer_holds_less),
		cmocka_unit_test(closing_is_end_of_file_after_the_data),
		cmocka_unit_test(unread_data_at_close_is_a_reset),
		cmocka_unit_test(writing_to_nobody_raises_sigpipe),
		cmocka_unit_test(shutdown_closes_one_direction),
		cmocka_unit_test(a_blocked_reader_is_released),
		cmocka_unit_test(a_blocked_writer_is_released_by_a_close),
		cmocka_unit_test(peeking_takes_nothing),
		cmocka_unit_test(a_peek_offset_moves),
		cmocka_unit_test(waitall_waits_for_all),
		cmocka_unit_test(a_low_mark_waits_for_more),
		cmocka_unit_test(timeouts_end_a_wait),
		cmocka_unit_test(connect_and_accept),
		cmocka_unit_test(the_backlog_is_a_limit),
		cmocka_unit_test(connect_and_accept_block),
		cmocka_unit_test(a_closed_listener_resets_who_waits),
		cmocka_unit_test(shutting_a_listener_down_refuses),
		cmocka_unit_test(its_file_can_be_had),
		cmocka_unit_test(a_name_ends_with_a_nul),
		cmocka_unit_test(edges_come_with_each_arrival),
		cmocka_unit_test(becoming_writable_is_an_edge),
		cmocka_unit_test(a_socket_looks_like_one),
		cmocka_unit_test(splice_and_sendfile),
		cmocka_unit_test(bytes_waiting_are_told),
		cmocka_unit_test(a_fault_moves_nothing),
	};

	return FILE_RUN_HERE(tests);
}
