/* SPDX-License-Identifier: MIT */
/* UDP over loopback: datagrams, connecting, refusals, truncation, control messages, bounds. man 7 udp, man 7 ip. */
#include "tests/lib/clock.h"
#include "tests/lib/inet.h"

#include <linux/net_tstamp.h>
#include <signal.h>
#include <time.h>

static int bound(unsigned *ret_port)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ASSERT_OK(fd);
	ASSERT_OK(bind4(fd, INADDR_LOOPBACK, 0));
	*ret_port = port_of(fd);
	return fd;
}

static ssize_t send_to(int fd, const void *data, size_t n, unsigned port)
{
	struct sockaddr_in in = in_addr4(INADDR_LOOPBACK, port);

	return sendto(fd, data, n, 0, (struct sockaddr *)&in, sizeof(in));
}

static void datagrams_keep_their_edges(void **state)
{
	unsigned pa, pb;
	int a = bound(&pa), b = bound(&pb), n;
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char buf[16];

	assert_int_equal(send_to(a, "one", 3, pb), 3);
	assert_int_equal(send_to(a, "", 0, pb), 0);
	assert_int_equal(send_to(a, "three", 5, pb), 5);
	ASSERT_OK(ioctl(b, FIONREAD, &n));
	assert_int_equal(n, 3);
	assert_int_equal(events_now(b), POLLIN | POLLOUT);
	assert_int_equal(recvfrom(b, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len), 3);
	assert_int_equal(ntohs(from.sin_port), pa);
	assert_int_equal(recv(b, buf, sizeof(buf), 0), 0);
	assert_int_equal(recv(b, buf, 2, 0), 2); /* the rest is lost */
	ASSERT_ERR(recv(b, buf, 2, MSG_DONTWAIT), EAGAIN);
	assert_int_equal(events_now(b), POLLOUT);
	close(a);
	close(b);
}

static void truncation_is_told(void **state)
{
	unsigned pa, pb;
	int a = bound(&pa), b = bound(&pb);
	char buf[4];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	assert_int_equal(send_to(a, "123456", 6, pb), 6);
	assert_int_equal(recv(b, buf, 4, MSG_PEEK | MSG_TRUNC), 6);
	assert_int_equal(recvmsg(b, &m, 0), 4);
	assert_int_equal(m.msg_flags, MSG_TRUNC);
	close(a);
	close(b);
}

static void a_connected_socket_hears_of_refusals(void **state)
{
	unsigned pa, pb;
	int a = bound(&pa), b = bound(&pb);
	char c;

	close(b);
	ASSERT_OK(connect4(a, INADDR_LOOPBACK, pb));
	assert_int_equal(send(a, "x", 1, 0), 1);
	assert_int_equal(wait_events(a, POLLERR), POLLOUT | POLLERR);
	ASSERT_ERR(recv(a, &c, 1, 0), ECONNREFUSED);
	assert_int_equal(send(a, "x", 1, 0), 1);
	wait_events(a, POLLERR);
	ASSERT_ERR(send(a, "x", 1, 0), ECONNREFUSED);
	ASSERT_ERR(recv(a, &c, 1, MSG_DONTWAIT), EAGAIN);
	close(a);
	a = bound(&pa); /* not connected: nobody tells */
	assert_int_equal(send_to(a, "x", 1, pb), 1);
	ASSERT_ERR(recv(a, &c, 1, MSG_DONTWAIT), EAGAIN);
	close(a);
}

static void connecting_chooses_the_peer(void **state)
{
	unsigned pa, pb, pc;
	int a = bound(&pa), b = bound(&pb), c = bound(&pc);
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	char buf[8];

	ASSERT_OK(connect4(a, INADDR_LOOPBACK, pb));
	assert_int_equal(send_to(c, "no", 2, pa), 2);
	assert_int_equal(send_to(b, "yes", 3, pa), 3);
	assert_int_equal(recv(a, buf, 8, 0), 3);
	ASSERT_OK(getpeername(a, (struct sockaddr *)&in, &len));
	assert_int_equal(ntohs(in.sin_port), pb);
	assert_int_equal(send_to(a, "to c", 4, pc), 4); /* another one for once */
	assert_int_equal(recv(c, buf, 8, 0), 4);
	ASSERT_OK(connect(a, &none, sizeof(none)));
	ASSERT_ERR(getpeername(a, (struct sockaddr *)&in, &len), ENOTCONN);
	ASSERT_ERR(send(a, "x", 1, 0), EDESTADDRREQ);
	close(a);
	close(b);
	close(c);
}

static void sending_has_its_errors(void **state)
{
	static char big[70000];
	struct sockaddr_in in = in_addr4(INADDR_LOOPBACK, 0);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ASSERT_ERR(send(fd, "x", 1, 0), EDESTADDRREQ);
	ASSERT_ERR(sendto(fd, "x", 1, 0, (struct sockaddr *)&in, 8), EINVAL);
	ASSERT_ERR(sendto(fd, "x", 1, 0, (struct sockaddr *)&in, sizeof(in)), EINVAL); /* port 0 */
	in.sin_family = AF_INET6;
	ASSERT_ERR(sendto(fd, "x", 1, 0, (struct sockaddr *)&in, sizeof(in)), EAFNOSUPPORT);
	ASSERT_ERR(send_to(fd, big, sizeof(big), 9), EMSGSIZE);
	ASSERT_ERR(send_to(fd, big, 65508, 9), EMSGSIZE);
	assert_int_equal(send_to(fd, big, 65507, 9), 65507);
	assert_int_not_equal(port_of(fd), 0);
	ASSERT_ERR(listen(fd, 1), EOPNOTSUPP);
	ASSERT_ERR(accept(fd, NULL, NULL), EOPNOTSUPP);
	ASSERT_ERR(shutdown(fd, SHUT_RDWR), ENOTCONN);
	close(fd);
}

static void the_queue_is_bounded(void **state)
{
	unsigned pa, pb;
	int a = bound(&pa), b = bound(&pb), n = 0;
	char buf[1000] = "";

	set_option(b, SO_RCVBUF, 8192);
	for (int i = 0; i < 200; i++)
		assert_int_equal(send_to(a, buf, sizeof(buf), pb), sizeof(buf));
	while (recv(b, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		n++;
	assert_in_range(n, 4, 40);
	close(a);
	close(b);
}

static struct cmsghdr *receive_with_control(int fd, char *control, size_t size, struct msghdr *m)
{
	static char buf[64];
	static struct iovec iov;

	iov = (struct iovec){ buf, sizeof(buf) };
	*m = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = size };
	ASSERT_OK(recvmsg(fd, m, 0));
	return CMSG_FIRSTHDR(m);
}

static void control_messages_tell_how_it_came(void **state)
{
	unsigned pa, pb;
	int a = bound(&pa), b = bound(&pb), seen = 0;
	char control[256];
	struct msghdr m;

	ASSERT_OK(set_level(b, IPPROTO_IP, IP_PKTINFO, 1));
	ASSERT_OK(set_level(b, IPPROTO_IP, IP_RECVTTL, 1));
	ASSERT_OK(set_level(b, IPPROTO_IP, IP_RECVTOS, 1));
	set_option(b, SO_TIMESTAMP, 1);
	ASSERT_OK(set_level(a, IPPROTO_IP, IP_TTL, 33));
	ASSERT_OK(set_level(a, IPPROTO_IP, IP_TOS, 0x10));
	assert_int_equal(send_to(a, "x", 1, pb), 1);
	for (struct cmsghdr *c = receive_with_control(b, control, sizeof(control), &m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMP) {
			assert_int_equal(c->cmsg_len, CMSG_LEN(sizeof(struct timeval)));
			seen |= 1;
		} else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo pi;

			memcpy(&pi, CMSG_DATA(c), sizeof(pi));
			assert_int_equal(ntohl(pi.ipi_addr.s_addr), INADDR_LOOPBACK);
			assert_int_equal(ntohl(pi.ipi_spec_dst.s_addr), INADDR_LOOPBACK);
			assert_int_equal(pi.ipi_ifindex, 1);
			seen |= 2;
		} else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_TTL) {
			int ttl;

			memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
			assert_int_equal(ttl, 33);
			seen |= 4;
		} else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_TOS) {
			assert_int_equal(c->cmsg_len, CMSG_LEN(1));
			assert_int_equal(*CMSG_DATA(c), 0x10);
			seen |= 8;
		}
	}
	assert_int_equal(seen, 15);
	/* too little room */
	assert_int_equal(send_to(a, "x", 1, pb), 1);
	receive_with_control(b, control, CMSG_LEN(4), &m);
	assert_int_equal(m.msg_flags & MSG_CTRUNC, MSG_CTRUNC);
	close(a);
	close(b);
}

/*
 * One datagram from fd to the other socket, and its control message. Linux begins to stamp packets a little after the first
 * socket asked for it, in work of its own (net_enable_timestamp): what arrives before has none, except for SO_TIMESTAMP.
 */
static struct cmsghdr *message_with_control(int fd, int to, struct msghdr *m)
{
	size_t room = m->msg_controllen;
	struct cmsghdr *h;

	assert_int_equal(send_to(fd, "x", 1, port_of(to)), 1);
	assert_int_equal(recvmsg(to, m, 0), 1);
	h = CMSG_FIRSTHDR(m);
	if (!h)
		m->msg_controllen = room;
	return h;
}

static void time_stamps_of_what_arrives(void **state)
{
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
	union { char buf[256]; struct cmsghdr align; } ctl;
	struct timespec stamp[3], now;
	char c;
	struct iovec iov = { &c, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl) };
	struct cmsghdr *h;

	ASSERT_OK(bind4(a, INADDR_LOOPBACK, 0));
	ASSERT_OK(set_level(a, SOL_SOCKET, SO_TIMESTAMPING, SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE));
	assert_true(EVENTUALLY((h = message_with_control(b, a, &m))));
	assert_int_equal(h->cmsg_type, SO_TIMESTAMPING);
	assert_int_equal(h->cmsg_len, CMSG_LEN(sizeof(stamp)));
	memcpy(stamp, CMSG_DATA(h), sizeof(stamp));
	clock_gettime(CLOCK_REALTIME, &now);
	assert_true(now.tv_sec - stamp[0].tv_sec < 60 && stamp[0].tv_sec > 0);
	assert_int_equal(stamp[1].tv_sec | stamp[1].tv_nsec | stamp[2].tv_sec | stamp[2].tv_nsec, 0);
	ASSERT_OK(connect4(b, INADDR_LOOPBACK, port_of(a)));
	assert_int_equal(level_option(b, IPPROTO_IP, IP_MTU), 65535);
	close(a);
	close(b);
}

static void many_messages_in_one_call(void **state)
{
	unsigned pa, pb;
	int a = bound(&pa), b = bound(&pb);
	char text[3][4] = { "aa", "bbb", "c" }, buf[4][8];
	struct mmsghdr out[3] = { 0 }, in[4] = { 0 };
	struct iovec io[3], ii[4];

	ASSERT_OK(connect4(a, INADDR_LOOPBACK, pb));
	for (int i = 0; i < 3; i++) {
		io[i] = (struct iovec){ text[i], strlen(text[i]) };
		out[i].msg_hdr = (struct msghdr){ .msg_iov = &io[i], .msg_iovlen = 1 };
	}
	for (int i = 0; i < 4; i++) {
		ii[i] = (struct iovec){ buf[i], sizeof(buf[i]) };
		in[i].msg_hdr = (struct msghdr){ .msg_iov = &ii[i], .msg_iovlen = 1 };
	}
	assert_int_equal(sendmmsg(a, out, 3, 0), 3);
	assert_int_equal(recvmmsg(b, in, 4, MSG_WAITFORONE, NULL), 3);
	assert_int_equal(in[1].msg_len, 3);
	assert_memory_equal(buf[1], "bbb", 3);
	close(a);
	close(b);
}

static void broadcast_must_be_allowed(void **state)
{
	struct sockaddr_in in = in_addr4(0x7fffffff, 9999);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ASSERT_ERR(sendto(fd, "x", 1, 0, (struct sockaddr *)&in, sizeof(in)), EACCES);
	ASSERT_ERR(connect(fd, (struct sockaddr *)&in, sizeof(in)), EACCES);
	set_option(fd, SO_BROADCAST, 1);
	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&in, sizeof(in)), 1);
	close(fd);
}

static void no_broken_pipe_for_datagrams(void **state)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	sigset_t set, old, pend;

	ASSERT_OK(connect4(fd, INADDR_LOOPBACK, 9));
	ASSERT_OK(shutdown(fd, SHUT_WR));
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	ASSERT_OK(sigprocmask(SIG_BLOCK, &set, &old));
	ASSERT_ERR(send(fd, "x", 1, 0), EPIPE);
	ASSERT_ERR(write(fd, "x", 1), EPIPE);
	sigpending(&pend);
	assert_false(sigismember(&pend, SIGPIPE));
	ASSERT_OK(sigprocmask(SIG_SETMASK, &old, NULL));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams_keep_their_edges),
		cmocka_unit_test(truncation_is_told),
		cmocka_unit_test(a_connected_socket_hears_of_refusals),
		cmocka_unit_test(connecting_chooses_the_peer),
		cmocka_unit_test(sending_has_its_errors),
		cmocka_unit_test(the_queue_is_bounded),
		cmocka_unit_test(control_messages_tell_how_it_came),
		cmocka_unit_test(many_messages_in_one_call),
		cmocka_unit_test(time_stamps_of_what_arrives),
		cmocka_unit_test(broadcast_must_be_allowed),
		cmocka_unit_test(no_broken_pipe_for_datagrams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
