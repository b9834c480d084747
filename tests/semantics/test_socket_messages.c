/* SPDX-License-Identifier: MIT */
/* SOL_SOCKET: what a socket says of its memory (SO_MEMINFO), offsets of MSG_PEEK for datagrams, marks and times in control messages. */
#include "tests/lib/inet.h"

#include <linux/net_tstamp.h>
#include <linux/sock_diag.h>
#include <time.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif
#ifndef SO_TXTIME
#define SO_TXTIME 61
#endif
#ifndef SO_RCVMARK
#define SO_RCVMARK 75
#endif

static int set_error(int fd, int name, const void *val, socklen_t len)
{
	return setsockopt(fd, SOL_SOCKET, name, val, len) < 0 ? errno : 0;
}

/* A connected pair of UDP sockets. */
static void udp_pair(int sv[2])
{
	sv[0] = socket(AF_INET, SOCK_DGRAM, 0);
	sv[1] = socket(AF_INET, SOCK_DGRAM, 0);
	ASSERT_OK(bind4(sv[0], INADDR_LOOPBACK, 0));
	ASSERT_OK(bind4(sv[1], INADDR_LOOPBACK, 0));
	ASSERT_OK(connect4(sv[0], INADDR_LOOPBACK, port_of(sv[1])));
	ASSERT_OK(connect4(sv[1], INADDR_LOOPBACK, port_of(sv[0])));
}

static void memory_of_a_socket(void **state)
{
	int sv[2], rcvbuf;
	uint32_t m[SK_MEMINFO_VARS + 1];
	socklen_t len = sizeof(m), intlen = sizeof(rcvbuf);

	udp_pair(sv);
	m[SK_MEMINFO_VARS] = 77;
	ASSERT_OK(getsockopt(sv[1], SOL_SOCKET, SO_MEMINFO, m, &len));
	assert_true(len <= SK_MEMINFO_VARS * sizeof(m[0]) && len >= 8 * sizeof(m[0]));
	assert_int_equal(m[SK_MEMINFO_VARS], 77);
	ASSERT_OK(getsockopt(sv[1], SOL_SOCKET, SO_RCVBUF, &rcvbuf, &intlen));
	assert_int_equal(m[SK_MEMINFO_RCVBUF], rcvbuf);
	assert_int_equal(m[SK_MEMINFO_RMEM_ALLOC], 0);
	assert_int_equal(m[SK_MEMINFO_DROPS], 0);
	ASSERT_OK(send(sv[0], "hello", 5, 0));
	len = 4;
	ASSERT_OK(getsockopt(sv[1], SOL_SOCKET, SO_MEMINFO, m, &len));
	assert_int_equal(len, 4);
	assert_true(m[SK_MEMINFO_RMEM_ALLOC] >= 5);
	rcvbuf = 1;
	ASSERT_OK(setsockopt(sv[1], SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)));
	for (int i = 0; i < 100; i++)
		ASSERT_OK(send(sv[0], m, sizeof(m), 0));
	len = sizeof(m);
	ASSERT_OK(getsockopt(sv[1], SOL_SOCKET, SO_MEMINFO, m, &len));
	assert_true(m[SK_MEMINFO_DROPS] > 50);
	assert_int_equal(set_error(sv[0], SO_MEMINFO, m, len), ENOPROTOOPT);
	close_pair(sv);
}

/* --- SO_PEEK_OFF ------------------------------------------------------------------------------------------------------- */

static int peek_off(int fd)
{
	int val;
	socklen_t len = sizeof(val);

	ASSERT_OK(getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &val, &len));
	return val;
}

static ssize_t receive(int fd, void *buf, size_t n, int flags, int *ret_flags)
{
	struct iovec iov = { buf, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t r = recvmsg(fd, &m, flags | MSG_DONTWAIT);

	*ret_flags = m.msg_flags;
	return r;
}

static void peeking_goes_on(void **state)
{
	int sv[2], flags, zero = 0;
	char buf[32];

	udp_pair(sv);
	assert_int_equal(peek_off(sv[1]), -1);
	ASSERT_OK(setsockopt(sv[1], SOL_SOCKET, SO_PEEK_OFF, &zero, sizeof(zero)));
	ASSERT_OK(send(sv[0], "aaaabbbb", 8, 0));
	ASSERT_OK(send(sv[0], "cccc", 4, 0));
	assert_int_equal(receive(sv[1], buf, 4, MSG_PEEK, &flags), 4);
	assert_memory_equal(buf, "aaaa", 4);
	assert_int_equal(flags & MSG_TRUNC, MSG_TRUNC);
	assert_int_equal(peek_off(sv[1]), 4);
	assert_int_equal(receive(sv[1], buf, 32, MSG_PEEK, &flags), 4);
	assert_memory_equal(buf, "bbbb", 4);
	assert_int_equal(flags & MSG_TRUNC, 0);
	assert_int_equal(peek_off(sv[1]), 8);
	assert_int_equal(receive(sv[1], buf, 32, MSG_PEEK, &flags), 4); /* the next one */
	assert_memory_equal(buf, "cccc", 4);
	assert_int_equal(peek_off(sv[1]), 12);
	assert_int_equal(receive(sv[1], buf, 32, MSG_PEEK, &flags), -1);
	assert_int_equal(errno, EAGAIN);
	/* who reads takes it back */
	assert_int_equal(receive(sv[1], buf, 32, 0, &flags), 8);
	assert_int_equal(peek_off(sv[1]), 4);
	assert_int_equal(receive(sv[1], buf, 32, 0, &flags), 4);
	assert_int_equal(peek_off(sv[1]), 0);
	close_pair(sv);
}

static void peeking_at_empty_ones(void **state)
{
	int sv[2], flags, zero = 0, off = -1;
	char buf[32];

	udp_pair(sv);
	ASSERT_OK(setsockopt(sv[1], SOL_SOCKET, SO_PEEK_OFF, &zero, sizeof(zero)));
	ASSERT_OK(send(sv[0], "", 0, 0));
	ASSERT_OK(send(sv[0], "abc", 3, 0));
	assert_int_equal(receive(sv[1], buf, 32, MSG_PEEK, &flags), 0);
	assert_int_equal(receive(sv[1], buf, 32, MSG_PEEK, &flags), 3);
	assert_int_equal(receive(sv[1], buf, 32, MSG_PEEK, &flags), -1);
	ASSERT_OK(setsockopt(sv[1], SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)));
	assert_int_equal(receive(sv[1], buf, 32, MSG_PEEK, &flags), 0); /* the first again */
	assert_int_equal(receive(sv[1], buf, 32, MSG_PEEK, &flags), 0);
	close_pair(sv);
}

static void peeking_with_the_whole_length(void **state)
{
	int sv[2], flags, off = 3;
	char buf[32];

	udp_pair(sv);
	ASSERT_OK(setsockopt(sv[1], SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)));
	ASSERT_OK(send(sv[0], "abcdefgh", 8, 0));
	assert_int_equal(receive(sv[1], buf, 5, MSG_PEEK, &flags), 5); /* just enough, and yet it says: */
	assert_int_equal(flags & MSG_TRUNC, MSG_TRUNC);
	ASSERT_OK(setsockopt(sv[1], SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)));
	assert_int_equal(receive(sv[1], buf, 2, MSG_PEEK | MSG_TRUNC, &flags), 8);
	assert_memory_equal(buf, "de", 2);
	assert_int_equal(peek_off(sv[1]), 11);
	close_pair(sv);
}

static void who_has_no_offset(void **state)
{
	int fd = socket(AF_NETLINK, SOCK_RAW, 0), zero = 0;
	socklen_t len = sizeof(zero);

	assert_int_equal(set_error(fd, SO_PEEK_OFF, &zero, sizeof(zero)), EOPNOTSUPP);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &zero, &len) < 0 ? errno : 0, EOPNOTSUPP);
	close(fd);
}

/* --- control messages ----------------------------------------------------------------------------------------------------- */

/* Sends "x" with one message of level SOL_SOCKET. */
static int send_with(int fd, int type, const void *data, size_t len)
{
	__attribute__((aligned(8))) char c[64] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)"x", 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c, .msg_controllen = CMSG_SPACE(len) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	*h = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = type, .cmsg_len = CMSG_LEN(len) };
	memcpy(CMSG_DATA(h), data, len);
	return sendmsg(fd, &m, 0) < 0 ? errno : 0;
}

static void times_to_send_at(void **state)
{
	struct sock_txtime x = { .clockid = CLOCK_MONOTONIC }, got;
	uint64_t at = 1;
	socklen_t len = sizeof(got);
	int sv[2], tcp = socket(AF_INET, SOCK_STREAM, 0);
	char buf[4];

	udp_pair(sv);
	assert_int_equal(send_with(sv[0], SO_TXTIME, &at, sizeof(at)), EINVAL); /* nobody said so */
	assert_int_equal(set_error(sv[0], SO_TXTIME, &x, 4), EINVAL);
	assert_int_equal(set_error(sv[0], SO_TXTIME, &x, sizeof(x) + 1), EINVAL);
	x.flags = 4;
	assert_int_equal(set_error(sv[0], SO_TXTIME, &x, sizeof(x)), EINVAL);
	x.flags = SOF_TXTIME_REPORT_ERRORS;
	assert_int_equal(set_error(sv[0], SO_TXTIME, &x, sizeof(x)), 0);
	ASSERT_OK(getsockopt(sv[0], SOL_SOCKET, SO_TXTIME, &got, &len));
	assert_int_equal(len, sizeof(got));
	assert_memory_equal(&got, &x, sizeof(x));
	x.clockid = CLOCK_PROCESS_CPUTIME_ID;
	assert_true(set_error(sv[0], SO_TXTIME, &x, sizeof(x)) == (geteuid() ? EPERM : EINVAL));
	assert_int_equal(send_with(sv[0], SO_TXTIME, &at, 4), EINVAL);
	assert_int_equal(send_with(sv[0], SO_TXTIME, &at, sizeof(at)), 0);
	assert_int_equal(recv(sv[1], buf, sizeof(buf), 0), 1);
	assert_int_equal(set_error(tcp, SO_TXTIME, &got, sizeof(got)), 0);
	close(tcp);
	close_pair(sv);
}

static uint32_t mark_of_next(int fd)
{
	__attribute__((aligned(8))) char c[64];
	char buf[8];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof(c) };
	struct cmsghdr *h;
	uint32_t mark;

	ASSERT_OK(recvmsg(fd, &m, 0));
	h = CMSG_FIRSTHDR(&m);
	if (!h)
		return 9999;
	assert_int_equal(h->cmsg_level, SOL_SOCKET);
	assert_int_equal(h->cmsg_type, SO_MARK);
	assert_int_equal(h->cmsg_len, CMSG_LEN(4));
	memcpy(&mark, CMSG_DATA(h), sizeof(mark));
	return mark;
}

static void marks_are_sent_and_received(void **state)
{
	int sv[2], on = 1;
	uint32_t mark = 12;

	udp_pair(sv);
	if (set_error(sv[0], SO_MARK, &mark, sizeof(mark)) == EPERM)
		skip();
	if (set_error(sv[1], SO_RCVMARK, &on, sizeof(on)) == ENOPROTOOPT)
		skip();
	ASSERT_OK(send(sv[0], "x", 1, 0));
	assert_int_equal(mark_of_next(sv[1]), 12);
	mark = 13;
	assert_int_equal(send_with(sv[0], SO_MARK, &mark, 3), EINVAL);
	assert_int_equal(send_with(sv[0], SO_MARK, &mark, sizeof(mark)), 0);
	assert_int_equal(mark_of_next(sv[1]), 13);
	ASSERT_OK(send(sv[0], "x", 1, 0));
	assert_int_equal(mark_of_next(sv[1]), 12);
	on = 0;
	ASSERT_OK(setsockopt(sv[1], SOL_SOCKET, SO_RCVMARK, &on, sizeof(on)));
	ASSERT_OK(send(sv[0], "x", 1, 0));
	assert_int_equal(mark_of_next(sv[1]), 9999);
	close_pair(sv);
}

static void messages_that_are_none(void **state)
{
	int sv[2], tcp[2];
	uint32_t val = 1;

	udp_pair(sv);
	tcp_pair(tcp);
	assert_int_equal(send_with(sv[0], 200, &val, sizeof(val)), EINVAL);
	assert_int_equal(send_with(tcp[0], 200, &val, sizeof(val)), EINVAL);
	assert_int_equal(send_with(tcp[0], SO_TXTIME, &val, sizeof(val)), EINVAL);
	close_pair(sv);
	close_pair(tcp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_of_a_socket),
		cmocka_unit_test(peeking_goes_on),
		cmocka_unit_test(peeking_at_empty_ones),
		cmocka_unit_test(peeking_with_the_whole_length),
		cmocka_unit_test(who_has_no_offset),
		cmocka_unit_test(times_to_send_at),
		cmocka_unit_test(marks_are_sent_and_received),
		cmocka_unit_test(messages_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
