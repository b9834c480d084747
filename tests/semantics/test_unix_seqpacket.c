/* SPDX-License-Identifier: MIT */
/* AF_UNIX SOCK_SEQPACKET: connections with message boundaries. */
#include "tests/lib/file_bg.h"
#include "tests/lib/sock.h"

static void messages_have_boundaries(void **state)
{
	char buf[8];
	struct iovec v = { buf, 4 };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	int sv[2];

	make_pair(SOCK_SEQPACKET, sv);
	assert_int_equal(write(sv[0], "abc", 3), 3);
	assert_int_equal(send(sv[0], "defghi", 6, 0), 6);
	assert_int_equal(recvmsg(sv[1], &h, 0), 3);
	assert_int_equal(h.msg_flags, 0);
	assert_int_equal(recvmsg(sv[1], &h, 0), 4);
	assert_int_equal(h.msg_flags, MSG_TRUNC);
	ASSERT_ERR(recv(sv[1], buf, 8, MSG_DONTWAIT), EAGAIN);
}

static void the_end_is_seen(void **state)
{
	char buf[8];
	int sv[2];

	make_pair(SOCK_SEQPACKET, sv);
	send(sv[0], "x", 1, 0);
	close(sv[0]);
	assert_int_equal(events_now(sv[1]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	assert_int_equal(recv(sv[1], buf, 8, 0), 1);
	assert_int_equal(recv(sv[1], buf, 8, 0), 0);
	ASSERT_ERR(send(sv[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	make_pair(SOCK_SEQPACKET, sv);
	send(sv[1], "x", 1, 0);
	close(sv[0]);
	ASSERT_ERR(recv(sv[1], buf, 8, 0), ECONNRESET);
	assert_int_equal(recv(sv[1], buf, 8, 0), 0);
	make_pair(SOCK_SEQPACKET, sv);
	shutdown(sv[0], SHUT_WR);
	assert_int_equal(recv(sv[1], buf, 8, 0), 0);
	assert_int_equal(send(sv[1], "y", 1, 0), 1);
	assert_int_equal(recv(sv[0], buf, 8, 0), 1);
}

static void connections(void **state)
{
	struct sockaddr_un un;
	socklen_t len;
	int l = listener(SOCK_SEQPACKET, &un, &len, 2), c = socket(AF_UNIX, SOCK_SEQPACKET, 0), s = socket(AF_UNIX, SOCK_STREAM, 0), a;
	char buf[8];

	ASSERT_ERR(send(c, "x", 1, 0), ENOTCONN);
	ASSERT_ERR(recv(c, buf, 8, 0), ENOTCONN);
	ASSERT_ERR(connect(s, (struct sockaddr *)&un, len), ECONNREFUSED);
	assert_int_equal(connect(c, (struct sockaddr *)&un, len), 0);
	a = accept(l, NULL, NULL);
	assert_int_equal(send(c, "ab", 2, 0), 2);
	assert_int_equal(sendto(c, "cd", 2, 0, (struct sockaddr *)&un, 1), 2); /* the address is not looked at */
	assert_int_equal(recv(a, buf, 8, 0), 2);
	assert_int_equal(recv(a, buf, 8, 0), 2);
	assert_int_equal(int_option(a, SO_TYPE), SOCK_SEQPACKET);
}

static long send_more(void *arg)
{
	static char buf[20000];

	return send(*(int *)arg, buf, sizeof(buf), 0);
}

static void a_blocked_sender(void **state)
{
	static char buf[20000];
	struct bg bg;
	int sv[2];

	make_pair(SOCK_SEQPACKET, sv);
	while (send(sv[0], buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	bg_start(&bg, send_more, &sv[0]);
	assert_true(bg_blocks(&bg));
	while (recv(sv[1], buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(bg_end(&bg), sizeof(buf));
	while (send(sv[0], buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	signal(SIGPIPE, SIG_IGN);
	bg_start(&bg, send_more, &sv[0]);
	assert_true(bg_blocks(&bg));
	close(sv[1]);
	assert_int_equal(bg_end(&bg), -1);
	assert_true(errno == EPIPE || errno == ECONNRESET);
	signal(SIGPIPE, SIG_DFL);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_have_boundaries),
		cmocka_unit_test(the_end_is_seen),
		cmocka_unit_test(connections),
		cmocka_unit_test(a_blocked_sender),
	};

	return FILE_RUN_HERE(tests);
}
