/* SPDX-License-Identifier: MIT */
/* MSG_OOB of AF_UNIX streams (Linux 5.15). */
#include "tests/lib/sock.h"

#include <linux/sockios.h>
#include <signal.h>

static int at_mark(int fd)
{
	int v = -1;

	ASSERT_OK(ioctl(fd, SIOCATMARK, &v));
	return v;
}

static int waiting(int fd)
{
	int v = -1;

	ASSERT_OK(ioctl(fd, FIONREAD, &v));
	return v;
}

/* The next read gives exactly this. */
static void reads(int fd, const char *what, int flags)
{
	char buf[64];
	ssize_t n = recv(fd, buf, sizeof(buf), flags | MSG_DONTWAIT);

	assert_int_equal(n, strlen(what));
	assert_memory_equal(buf, what, (size_t)n);
}

static void reads_nothing(int fd, int flags, int err)
{
	char c;

	ASSERT_ERR(recv(fd, &c, 1, flags | MSG_DONTWAIT), err);
}

static void the_last_byte_is_urgent(void **state)
{
	char c;
	struct iovec iov = { &c, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	reads_nothing(sv[1], MSG_OOB, EINVAL);
	assert_int_equal(send(sv[0], "abc", 3, MSG_OOB), 3);
	assert_int_equal(events_now(sv[1]), POLLIN | POLLOUT | POLLPRI);
	assert_int_equal(waiting(sv[1]), 3);
	assert_int_equal(at_mark(sv[1]), 0);
	reads(sv[1], "ab", 0);
	assert_int_equal(at_mark(sv[1]), 1);
	assert_int_equal(recv(sv[1], &c, 1, MSG_OOB | MSG_PEEK), 1);
	assert_int_equal(recvmsg(sv[1], &m, MSG_OOB), 1);
	assert_int_equal(c, 'c');
	assert_int_equal(m.msg_flags & MSG_OOB, MSG_OOB);
	reads_nothing(sv[1], MSG_OOB, EINVAL);
	assert_int_equal(waiting(sv[1]), 0);
	assert_false(events_now(sv[1]) & POLLPRI);
	reads_nothing(sv[1], 0, EAGAIN);
	close(sv[0]);
	close(sv[1]);
}

static void a_read_stops_at_the_mark(void **state)
{
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	assert_int_equal(send(sv[0], "hello", 5, MSG_OOB), 5);
	assert_int_equal(send(sv[0], "world", 5, 0), 5);
	reads(sv[1], "o", MSG_OOB);
	reads(sv[1], "hell", 0);
	assert_int_equal(at_mark(sv[1]), 1);
	reads(sv[1], "world", 0);
	assert_int_equal(at_mark(sv[1]), 0);
	reads_nothing(sv[1], 0, EAGAIN);
	close(sv[0]);
	close(sv[1]);
}

/* An urgent byte that was not taken is passed over when the next read begins there. */
static void unread_it_is_dropped(void **state)
{
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	assert_int_equal(send(sv[0], "aX", 2, MSG_OOB), 2);
	assert_int_equal(send(sv[0], "b", 1, 0), 1);
	reads(sv[1], "a", 0);
	reads(sv[1], "b", MSG_PEEK);
	reads(sv[1], "b", 0);
	reads_nothing(sv[1], MSG_OOB, EINVAL);
	close(sv[0]);
	close(sv[1]);
}

static void only_the_latest_is_urgent(void **state)
{
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	assert_int_equal(send(sv[0], "aX", 2, MSG_OOB), 2);
	assert_int_equal(send(sv[0], "bY", 2, MSG_OOB), 2);
	reads(sv[1], "Y", MSG_OOB);
	reads(sv[1], "aXb", 0);
	reads_nothing(sv[1], 0, EAGAIN);
	close(sv[0]);
	close(sv[1]);
}

static void in_line(void **state)
{
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	set_option(sv[1], SO_OOBINLINE, 1);
	assert_int_equal(send(sv[0], "ab", 2, MSG_OOB), 2);
	assert_int_equal(send(sv[0], "cd", 2, 0), 2);
	reads_nothing(sv[1], MSG_OOB, EINVAL);
	assert_int_equal(at_mark(sv[1]), 0);
	reads(sv[1], "a", 0);
	assert_int_equal(at_mark(sv[1]), 1);
	reads(sv[1], "bcd", 0);
	assert_int_equal(at_mark(sv[1]), 0);
	close(sv[0]);
	close(sv[1]);
}

static void refusals(void **state)
{
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	ASSERT_ERR(send(sv[0], "", 0, MSG_OOB), EOPNOTSUPP);
	ASSERT_OK(shutdown(sv[1], SHUT_RD));
	ASSERT_ERR(send(sv[0], "a", 1, MSG_OOB | MSG_NOSIGNAL), EPIPE);
	close(sv[0]);
	close(sv[1]);
	make_pair(SOCK_SEQPACKET, sv);
	ASSERT_ERR(send(sv[0], "a", 1, MSG_OOB), EOPNOTSUPP);
	close(sv[0]);
	close(sv[1]);
	make_pair(SOCK_DGRAM, sv);
	ASSERT_ERR(send(sv[0], "a", 1, MSG_OOB), EOPNOTSUPP);
	ASSERT_ERR(recv(sv[1], sv, 1, MSG_OOB | MSG_DONTWAIT), EOPNOTSUPP);
	close(sv[0]);
	close(sv[1]);
}

static volatile sig_atomic_t urgs;

static void on_urg(int sig)
{
	urgs++;
}

static void the_owner_gets_a_signal(void **state)
{
	int sv[2];

	signal(SIGURG, on_urg);
	make_pair(SOCK_STREAM, sv);
	assert_int_equal(send(sv[0], "a", 1, MSG_OOB), 1);
	assert_int_equal(urgs, 0);
	ASSERT_OK(fcntl(sv[1], F_SETOWN, getpid()));
	assert_int_equal(send(sv[0], "a", 1, MSG_OOB), 1);
	assert_int_equal(urgs, 1);
	assert_int_equal(send(sv[0], "a", 1, 0), 1);
	assert_int_equal(urgs, 1);
	close(sv[0]);
	close(sv[1]);
	signal(SIGURG, SIG_DFL);
}

/* What was read as urgent is not lost data when the end is closed; what was not read is. */
static void closing(void **state)
{
	char c;
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	assert_int_equal(send(sv[0], "a", 1, MSG_OOB), 1);
	reads(sv[1], "a", MSG_OOB);
	close(sv[0]);
	assert_int_equal(recv(sv[1], &c, 1, MSG_DONTWAIT), 0);
	close(sv[1]);
	make_pair(SOCK_STREAM, sv);
	assert_int_equal(send(sv[0], "a", 1, MSG_OOB), 1);
	close(sv[1]);
	ASSERT_ERR(recv(sv[0], &c, 1, 0), ECONNRESET);
	close(sv[0]);
}

/* Edge-triggered: an urgent byte is an event of its own. */
static void epoll_tells(void **state)
{
	struct epoll_event e = { .events = EPOLLPRI | EPOLLET }, got;
	int sv[2], ep = epoll_create1(0);

	make_pair(SOCK_STREAM, sv);
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, sv[1], &e));
	assert_int_equal(send(sv[0], "a", 1, 0), 1);
	assert_int_equal(epoll_wait(ep, &got, 1, 0), 0);
	assert_int_equal(send(sv[0], "b", 1, MSG_OOB), 1);
	assert_int_equal(epoll_wait(ep, &got, 1, 30000), 1);
	assert_int_equal(got.events, EPOLLPRI);
	assert_int_equal(epoll_wait(ep, &got, 1, 0), 0);
	close(ep);
	close(sv[0]);
	close(sv[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_byte_is_urgent),
		cmocka_unit_test(a_read_stops_at_the_mark),
		cmocka_unit_test(unread_it_is_dropped),
		cmocka_unit_test(only_the_latest_is_urgent),
		cmocka_unit_test(in_line),
		cmocka_unit_test(refusals),
		cmocka_unit_test(the_owner_gets_a_signal),
		cmocka_unit_test(closing),
		cmocka_unit_test(epoll_tells),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
