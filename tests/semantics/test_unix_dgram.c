/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX datagram sockets: boundaries, truncation, senders' addresses, connect and disconnect, full queues, receivers
 * that go away, empty messages, FIONREAD, poll, sendmmsg and recvmmsg.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/sock.h"

static char big[300000];

static int named(struct sockaddr_un *un, socklen_t *len, const char *name)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	*len = abstract_name(un, name);
	assert_int_equal(bind(fd, (struct sockaddr *)un, *len), 0);
	return fd;
}

static void messages_keep_their_boundaries(void **state)
{
	char buf[16];
	int sv[2], n;

	make_pair(SOCK_DGRAM, sv);
	assert_int_equal(send(sv[0], "one", 3, 0), 3);
	assert_int_equal(write(sv[0], "three", 5), 5);
	assert_int_equal(ioctl(sv[1], FIONREAD, &n), 0);
	assert_int_equal(n, 3); /* of the first one */
	assert_int_equal(recv(sv[1], buf, sizeof(buf), 0), 3);
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 5);
	ASSERT_ERR(recv(sv[1], buf, sizeof(buf), MSG_DONTWAIT), EAGAIN);
}

static void what_does_not_fit_is_lost(void **state)
{
	struct iovec v = { big, 2 };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	char buf[16];
	int sv[2];

	make_pair(SOCK_DGRAM, sv);
	for (int i = 0; i < 4; i++)
		assert_int_equal(send(sv[0], "abcdef", 6, 0), 6);
	assert_int_equal(recv(sv[1], buf, 4, 0), 4);
	assert_int_equal(recv(sv[1], buf, 4, MSG_TRUNC), 6);
	assert_int_equal(recv(sv[1], buf, 4, MSG_PEEK | MSG_TRUNC), 6);
	assert_int_equal(recvmsg(sv[1], &h, 0), 2);
	assert_int_equal(h.msg_flags, MSG_TRUNC);
	assert_int_equal(recvmsg(sv[1], &h, MSG_TRUNC), 6);
	assert_int_equal(h.msg_flags & MSG_TRUNC, MSG_TRUNC);
	ASSERT_ERR(recv(sv[1], buf, 4, MSG_DONTWAIT), EAGAIN);
}

static void an_empty_message_is_a_message(void **state)
{
	char buf[4];
	int sv[2];

	make_pair(SOCK_DGRAM, sv);
	assert_int_equal(send(sv[0], "", 0, 0), 0);
	assert_int_equal(write(sv[0], "", 0), 0);
	assert_int_equal(events_now(sv[1]), POLLIN | POLLOUT);
	assert_int_equal(recv(sv[1], buf, 4, 0), 0);
	assert_int_equal(recv(sv[1], buf, 4, 0), 0);
	ASSERT_ERR(recv(sv[1], buf, 4, MSG_DONTWAIT), EAGAIN);
}

static void senders_have_addresses(void **state)
{
	struct sockaddr_un to, from, got;
	socklen_t tolen, fromlen, n = sizeof(got);
	int r = named(&to, &tolen, "r"), s = named(&from, &fromlen, "s"), nameless = socket(AF_UNIX, SOCK_DGRAM, 0);
	char buf[8];

	assert_int_equal(sendto(s, "x", 1, 0, (struct sockaddr *)&to, tolen), 1);
	assert_int_equal(recvfrom(r, buf, 8, 0, (struct sockaddr *)&got, &n), 1);
	assert_int_equal(n, fromlen);
	assert_memory_equal(&got, &from, fromlen);
	assert_int_equal(sendto(r, "y", 1, 0, (struct sockaddr *)&got, n), 1); /* answer */
	assert_int_equal(recv(s, buf, 8, 0), 1);
	n = sizeof(got);
	assert_int_equal(sendto(nameless, "x", 1, 0, (struct sockaddr *)&to, tolen), 1);
	assert_int_equal(recvfrom(r, buf, 8, 0, (struct sockaddr *)&got, &n), 1);
	assert_int_equal(n, 0);
	ASSERT_ERR(send(nameless, "x", 1, 0), ENOTCONN);
	to.sun_path[1] = '?';
	ASSERT_ERR(sendto(s, "x", 1, 0, (struct sockaddr *)&to, tolen), ECONNREFUSED);
	to.sun_family = AF_INET;
	ASSERT_ERR(sendto(s, "x", 1, 0, (struct sockaddr *)&to, tolen), EINVAL);
	to.sun_family = AF_UNIX;
	ASSERT_ERR(sendto(s, "x", 1, 0, (struct sockaddr *)&to, 2), EINVAL);
}

static void a_sender_is_called_what_it_is_by_now(void **state)
{
	struct sockaddr_un name, got;
	socklen_t len = abstract_name(&name, "late"), n = sizeof(got);
	char buf[8];
	int sv[2];

	make_pair(SOCK_DGRAM, sv);
	assert_int_equal(send(sv[0], "x", 1, 0), 1);
	assert_int_equal(bind(sv[0], (struct sockaddr *)&name, len), 0);
	assert_int_equal(recvfrom(sv[1], buf, 8, 0, (struct sockaddr *)&got, &n), 1);
	assert_int_equal(n, len);
	assert_memory_equal(&got, &name, len);
}

/* What ends the own side is told before the receiver is looked for; who does not wait is not told of the end. */
static void a_shut_side(void **state)
{
	struct sockaddr_un to;
	socklen_t len = abstract_name(&to, "nobody");
	char buf[8];
	int sv[2];

	make_pair(SOCK_DGRAM, sv);
	assert_int_equal(shutdown(sv[0], SHUT_RDWR), 0);
	ASSERT_ERR(recv(sv[0], buf, 8, MSG_DONTWAIT), EAGAIN);
	assert_int_equal(recv(sv[0], buf, 8, 0), 0);
	ASSERT_ERR(sendto(sv[0], "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&to, len), EPIPE);
	ASSERT_ERR(sendto(sv[1], "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&to, len), ECONNREFUSED);
}

static void messages_have_times(void **state)
{
	char buf[8], ctl[CMSG_SPACE(sizeof(struct timeval))];
	struct iovec v = { buf, sizeof(buf) };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl) };
	struct timeval tv;
	int sv[2];

	make_pair(SOCK_SEQPACKET, sv);
	set_option(sv[1], SO_TIMESTAMP, 1);
	assert_int_equal(send(sv[0], "x", 1, 0), 1);
	assert_int_equal(recvmsg(sv[1], &h, 0), 1);
	assert_true(CMSG_FIRSTHDR(&h) && CMSG_FIRSTHDR(&h)->cmsg_type == SO_TIMESTAMP);
	memcpy(&tv, CMSG_DATA(CMSG_FIRSTHDR(&h)), sizeof(tv));
	assert_in_range(tv.tv_sec, time(NULL) - 1000, time(NULL) + 1);
}

static void connecting_chooses_the_peer(void **state)
{
	struct sockaddr_un to, from, third, got;
	socklen_t tolen, fromlen, thirdlen, n = sizeof(got);
	int r = named(&to, &tolen, "cr"), s = named(&from, &fromlen, "cs"), t = named(&third, &thirdlen, "ct");
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	char buf[8];

	assert_int_equal(connect(s, (struct sockaddr *)&to, tolen), 0);
	assert_int_equal(send(s, "x", 1, 0), 1);
	assert_int_equal(getpeername(s, (struct sockaddr *)&got, &n), 0);
	assert_int_equal(n, tolen);
	assert_int_equal(recv(r, buf, 8, 0), 1);
	assert_int_equal(sendto(s, "y", 1, 0, (struct sockaddr *)&third, thirdlen), 1); /* connected or not */
	assert_int_equal(recv(t, buf, 8, 0), 1);
	/* who is connected to another takes nothing from us */
	assert_int_equal(connect(r, (struct sockaddr *)&third, thirdlen), 0);
	ASSERT_ERR(send(s, "x", 1, 0), EPERM);
	ASSERT_ERR(connect(s, (struct sockaddr *)&to, tolen), EPERM);
	assert_int_equal(connect(s, &unspec, sizeof(unspec)), 0);
	ASSERT_ERR(send(s, "x", 1, 0), ENOTCONN);
	ASSERT_ERR(getpeername(s, (struct sockaddr *)&got, &n), ENOTCONN);
	ASSERT_ERR(connect(s, &unspec, 1), EINVAL);
}

static void a_receiver_that_is_gone(void **state)
{
	struct sockaddr_un to;
	socklen_t len;
	int r = named(&to, &len, "gone"), s = socket(AF_UNIX, SOCK_DGRAM, 0), sv[2];

	assert_int_equal(connect(s, (struct sockaddr *)&to, len), 0);
	assert_int_equal(send(s, "x", 1, 0), 1);
	close(r);
	ASSERT_ERR(send(s, "x", 1, 0), ECONNREFUSED);
	ASSERT_ERR(send(s, "x", 1, 0), ENOTCONN);
	make_pair(SOCK_DGRAM, sv);
	close(sv[0]);
	ASSERT_ERR(send(sv[1], "x", 1, 0), ECONNREFUSED);
	make_pair(SOCK_DGRAM, sv);
	assert_int_equal(shutdown(sv[1], SHUT_RD), 0);
	ASSERT_ERR(send(sv[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	assert_int_equal(recv(sv[1], big, 4, 0), 0);
	assert_int_equal(shutdown(sv[1], SHUT_WR), 0);
	ASSERT_ERR(send(sv[1], "x", 1, MSG_NOSIGNAL), EPIPE);
}

static void disconnecting_loses_messages_and_is_heard(void **state)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	char buf[4];
	int sv[2];

	make_pair(SOCK_DGRAM, sv);
	assert_int_equal(send(sv[0], "x", 1, 0), 1);
	assert_int_equal(connect(sv[1], &unspec, sizeof(unspec)), 0);
	ASSERT_ERR(recv(sv[1], buf, 4, MSG_DONTWAIT), EAGAIN);
	ASSERT_ERR(recv(sv[0], buf, 4, MSG_DONTWAIT), ECONNRESET);
	ASSERT_ERR(recv(sv[0], buf, 4, MSG_DONTWAIT), EAGAIN);
}

struct out { int fd; struct sockaddr_un un; socklen_t len; };

static long send_one(void *arg)
{
	struct out *o = arg;

	return sendto(o->fd, "z", 1, 0, (struct sockaddr *)&o->un, o->len);
}

static void a_full_queue_blocks(void **state)
{
	struct out o = { .fd = socket(AF_UNIX, SOCK_DGRAM, 0) };
	int r = named(&o.un, &o.len, "full"), n = 0, ep = epoll_create1(0);
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLET };
	struct bg bg;
	char c;

	while (sendto(o.fd, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&o.un, o.len) == 1)
		n++;
	assert_int_equal(errno, EAGAIN);
	assert_in_range(n, 1, 1024);
	assert_int_equal(events_now(o.fd), POLLOUT); /* not connected: it may send elsewhere */
	assert_int_equal(connect(o.fd, (struct sockaddr *)&o.un, o.len), 0);
	assert_int_equal(events_now(o.fd), 0);
	epoll_ctl(ep, EPOLL_CTL_ADD, o.fd, &ev);
	assert_int_equal(epoll_wait(ep, &ev, 1, 0), 0);
	bg_start(&bg, send_one, &o);
	assert_true(bg_blocks(&bg));
	assert_int_equal(recv(r, &c, 1, 0), 1);
	assert_int_equal(bg_end(&bg), 1);
	while (recv(r, &c, 1, MSG_DONTWAIT) == 1)
		;
	assert_int_equal(epoll_wait(ep, &ev, 1, 30000), 1);
	assert_int_equal(ev.events, EPOLLOUT);
	assert_int_equal(events_now(o.fd), POLLOUT);
}

static void a_pair_is_bounded_by_the_send_buffer(void **state)
{
	int sv[2], n = 0;

	make_pair(SOCK_DGRAM, sv);
	nonblock(sv[0], true);
	while (send(sv[0], big, 10000, 0) == 10000)
		n++;
	assert_int_equal(errno, EAGAIN);
	assert_in_range(n, 5, 40);
	assert_int_equal(events_now(sv[0]), 0);
	while (recv(sv[1], big, sizeof(big), MSG_DONTWAIT) == 10000)
		n--;
	assert_int_equal(n, 0);
	assert_int_equal(events_now(sv[0]), POLLOUT);
	ASSERT_ERR(send(sv[0], big, sizeof(big), 0), EMSGSIZE);
	set_option(sv[0], SO_SNDBUF, 4000);
	ASSERT_ERR(send(sv[0], big, 8000, 0), EMSGSIZE);
	assert_int_equal(send(sv[0], big, 7900, 0), 7900);
}

static void peek_offsets_cross_messages(void **state)
{
	char buf[8];
	int sv[2];

	make_pair(SOCK_DGRAM, sv);
	set_option(sv[1], SO_PEEK_OFF, 0);
	send(sv[0], "abc", 3, 0);
	send(sv[0], "def", 3, 0);
	assert_int_equal(recv(sv[1], buf, 2, MSG_PEEK), 2);
	assert_int_equal(recv(sv[1], buf, 8, MSG_PEEK), 1);
	assert_int_equal(buf[0], 'c');
	assert_int_equal(recv(sv[1], buf, 8, MSG_PEEK), 3);
	assert_memory_equal(buf, "def", 3);
}

static void several_messages_in_one_call(void **state)
{
	struct mmsghdr m[4] = { 0 };
	struct iovec v[4];
	struct timespec ts = { 0, 30000000 };
	char buf[4][8];
	int sv[2];

	make_pair(SOCK_DGRAM, sv);
	for (int i = 0; i < 4; i++) {
		v[i] = (struct iovec){ big, (size_t)i };
		m[i].msg_hdr = (struct msghdr){ .msg_iov = &v[i], .msg_iovlen = 1 };
	}
	assert_int_equal(sendmmsg(sv[0], m, 4, 0), 4);
	assert_int_equal(m[3].msg_len, 3);
	for (int i = 0; i < 4; i++)
		v[i] = (struct iovec){ buf[i], 8 };
	assert_int_equal(recvmmsg(sv[1], m, 3, 0, NULL), 3);
	assert_int_equal(m[2].msg_len, 2);
	assert_int_equal(recvmmsg(sv[1], m, 4, MSG_WAITFORONE, NULL), 1);
	assert_int_equal(m[0].msg_len, 3);
	ASSERT_ERR(recvmmsg(sv[1], m, 4, MSG_DONTWAIT, &ts), EAGAIN);
	ASSERT_ERR(sendmmsg(-1, m, 4, 0), EBADF);
	assert_int_equal(sendmmsg(sv[0], m, 0, 0), 0);
	ts.tv_nsec = 1000000000;
	ASSERT_ERR(recvmmsg(-1, m, 4, 0, &ts), EINVAL);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_keep_their_boundaries),
		cmocka_unit_test(what_does_not_fit_is_lost),
		cmocka_unit_test(an_empty_message_is_a_message),
		cmocka_unit_test(senders_have_addresses),
		cmocka_unit_test(a_sender_is_called_what_it_is_by_now),
		cmocka_unit_test(a_shut_side),
		cmocka_unit_test(messages_have_times),
		cmocka_unit_test(connecting_chooses_the_peer),
		cmocka_unit_test(a_receiver_that_is_gone),
		cmocka_unit_test(disconnecting_loses_messages_and_is_heard),
		cmocka_unit_test(a_full_queue_blocks),
		cmocka_unit_test(a_pair_is_bounded_by_the_send_buffer),
		cmocka_unit_test(peek_offsets_cross_messages),
		cmocka_unit_test(several_messages_in_one_call),
	};

	return FILE_RUN_HERE(tests);
}
