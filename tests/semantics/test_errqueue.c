/* SPDX-License-Identifier: MIT */
/* IP_RECVERR, IPV6_RECVERR: errors of datagrams, from the error queue. man 7 ip. */
#include "tests/lib/clock.h"
#include "tests/lib/inet.h"

#include <linux/errqueue.h>

/* A socket of family that has asked for errors; cmsg_level: whose option it is. */
static int asking(int family, int level, int name)
{
	int fd = socket(family, SOCK_DGRAM, 0);

	ASSERT_OK(fd);
	ASSERT_OK(set_level(fd, level, name, 1));
	return fd;
}

/* A port of 127.0.0.1 that nobody has. */
static unsigned nobody(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	unsigned port;

	ASSERT_OK(bind4(fd, INADDR_LOOPBACK, 0));
	port = port_of(fd);
	close(fd);
	return port;
}

struct got {
	ssize_t n;
	int flags, err;
	char data[2048];
	struct sockaddr_storage to;
	socklen_t tolen;
	struct { struct sock_extended_err ee; struct sockaddr_in6 offender; } e;
	size_t elen;
	int level, type, others;
	int ttl, ttls;
};

/* One of the error queue. */
static void receive_error(int fd, struct got *g, size_t room)
{
	char control[512];
	struct iovec iov = { g->data, room };
	struct msghdr m = { .msg_name = &g->to, .msg_namelen = sizeof(g->to), .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };

	memset(g, 0, sizeof(*g));
	g->n = recvmsg(fd, &m, MSG_ERRQUEUE);
	g->err = errno;
	g->flags = m.msg_flags;
	g->tolen = m.msg_namelen;
	for (struct cmsghdr *c = g->n < 0 ? NULL : CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) || (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
			g->elen = c->cmsg_len - CMSG_LEN(0);
			memcpy(&g->e, CMSG_DATA(c), g->elen < sizeof(g->e) ? g->elen : sizeof(g->e));
			g->level = c->cmsg_level;
			g->type = c->cmsg_type;
		} else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_TTL) {
			memcpy(&g->ttl, CMSG_DATA(c), sizeof(int));
			g->ttls++;
		} else {
			g->others++;
		}
	}
}

static ssize_t send_to(int fd, const void *data, size_t n, unsigned port)
{
	struct sockaddr_in in = in_addr4(INADDR_LOOPBACK, port);

	return sendto(fd, data, n, 0, (struct sockaddr *)&in, sizeof(in));
}

static void an_unconnected_socket_hears_of_it(void **state)
{
	int fd = asking(AF_INET, SOL_IP, IP_RECVERR);
	unsigned port = nobody();
	struct sockaddr_in *to;
	struct got g;

	receive_error(fd, &g, 16);
	assert_int_equal(g.n, -1);
	assert_int_equal(g.err, EAGAIN);
	assert_int_equal(send_to(fd, "hello", 5, port), 5);
	assert_true(wait_events(fd, POLLERR) & POLLERR);
	assert_false(events_now(fd) & (POLLIN | POLLPRI));
	receive_error(fd, &g, sizeof(g.data));
	assert_int_equal(g.n, 5);
	assert_memory_equal(g.data, "hello", 5);
	assert_int_equal(g.flags, MSG_ERRQUEUE);
	to = (struct sockaddr_in *)&g.to;
	assert_int_equal(g.tolen, sizeof(*to));
	assert_int_equal(to->sin_family, AF_INET);
	assert_int_equal(ntohs(to->sin_port), port);
	assert_int_equal(to->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	assert_int_equal(g.level, SOL_IP);
	assert_int_equal(g.elen, sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in));
	assert_int_equal(g.e.ee.ee_errno, ECONNREFUSED);
	assert_int_equal(g.e.ee.ee_origin, SO_EE_ORIGIN_ICMP);
	assert_int_equal(g.e.ee.ee_type, 3);
	assert_int_equal(g.e.ee.ee_code, 3);
	assert_int_equal(g.e.ee.ee_info, 0);
	to = (struct sockaddr_in *)&g.e.offender;
	assert_int_equal(to->sin_family, AF_INET);
	assert_int_equal(to->sin_port, 0);
	assert_int_equal(to->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	assert_int_equal(g.others, 0);
	/* It was all there was: the pending error is gone with it. */
	assert_int_equal(int_option(fd, SO_ERROR), 0);
	assert_int_equal(events_now(fd), POLLOUT);
	close(fd);
}

static void without_asking_only_a_connected_one_does(void **state)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	unsigned port = nobody();
	struct got g;

	assert_int_equal(send_to(fd, "x", 1, port), 1);
	poll(NULL, 0, 20);
	assert_int_equal(events_now(fd), POLLOUT);
	ASSERT_OK(connect4(fd, INADDR_LOOPBACK, port));
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_true(wait_events(fd, POLLERR) & POLLERR);
	receive_error(fd, &g, 16);
	assert_int_equal(g.n, -1);
	assert_int_equal(g.err, EAGAIN);
	ASSERT_ERR(send(fd, "x", 1, 0), ECONNREFUSED);
	close(fd);
}

/* The error also fails the next call, whose queue stays. */
static void the_pending_error_and_the_queue(void **state)
{
	int fd = asking(AF_INET, SOL_IP, IP_RECVERR);
	unsigned port = nobody();
	char buf[8];
	struct got g;

	assert_int_equal(send_to(fd, "one", 3, port), 3);
	wait_events(fd, POLLERR);
	ASSERT_ERR(send_to(fd, "two", 3, port), ECONNREFUSED);
	assert_true(events_now(fd) & POLLERR); /* the queue has one */
	ASSERT_ERR(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), EAGAIN);
	assert_int_equal(send_to(fd, "three", 5, port), 5);
	receive_error(fd, &g, 2);
	assert_int_equal(g.n, 2); /* truncated */
	assert_int_equal(g.flags, MSG_ERRQUEUE | MSG_TRUNC);
	/* The next one's error is pending now. */
	assert_true(EVENTUALLY(int_option(fd, SO_ERROR) == ECONNREFUSED));
	receive_error(fd, &g, 16);
	assert_int_equal(g.n, 5);
	assert_memory_equal(g.data, "three", 5);
	assert_int_equal(int_option(fd, SO_ERROR), 0);
	close(fd);
}

static void turning_it_off_empties_the_queue(void **state)
{
	int fd = asking(AF_INET, SOL_IP, IP_RECVERR);
	struct got g;

	assert_int_equal(send_to(fd, "one", 3, nobody()), 3);
	wait_events(fd, POLLERR);
	ASSERT_OK(set_level(fd, SOL_IP, IP_RECVERR, 0));
	receive_error(fd, &g, 16);
	assert_int_equal(g.err, EAGAIN);
	assert_int_equal(int_option(fd, SO_ERROR), ECONNREFUSED);
	close(fd);
}

/* What comes with it is about the packet that brought the error. */
static void control_messages_with_it(void **state)
{
	int fd = asking(AF_INET, SOL_IP, IP_RECVERR);
	struct got g;

	ASSERT_OK(set_level(fd, SOL_IP, IP_RECVTTL, 1));
	ASSERT_OK(set_level(fd, SOL_IP, IP_PKTINFO, 1));
	ASSERT_OK(set_level(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1));
	ASSERT_OK(set_level(fd, SOL_IP, IP_TTL, 3));
	assert_int_equal(send_to(fd, "one", 3, nobody()), 3);
	wait_events(fd, POLLERR);
	receive_error(fd, &g, 16);
	assert_int_equal(g.n, 3);
	assert_int_equal(g.ttls, 1);
	assert_int_equal(g.ttl, 64);
	assert_int_equal(g.others, 2); /* SCM_TIMESTAMPNS, IP_PKTINFO */
	assert_int_equal(g.e.ee.ee_errno, ECONNREFUSED);
	close(fd);
}

static void a_packet_is_quoted_in_part(void **state)
{
	int fd = asking(AF_INET, SOL_IP, IP_RECVERR), fd6 = asking(AF_INET6, SOL_IPV6, IPV6_RECVERR);
	unsigned port = nobody();
	struct sockaddr_in6 in6 = in_addr6(&in6addr_loopback, port);
	char data[2000];
	struct got g;

	memset(data, 'q', sizeof(data));
	assert_int_equal(send_to(fd, data, sizeof(data), port), sizeof(data));
	wait_events(fd, POLLERR);
	receive_error(fd, &g, sizeof(g.data));
	assert_int_equal(g.n, 576 - 20 - 8 - 20 - 8);
	assert_memory_equal(g.data, data, (size_t)g.n);
	assert_int_equal(sendto(fd6, data, sizeof(data), 0, (struct sockaddr *)&in6, sizeof(in6)), sizeof(data));
	wait_events(fd6, POLLERR);
	receive_error(fd6, &g, sizeof(g.data));
	assert_int_equal(g.n, 1280 - 40 - 8 - 40 - 8);
	close(fd);
	close(fd6);
}

static void six(void **state)
{
	int fd = asking(AF_INET6, SOL_IPV6, IPV6_RECVERR);
	unsigned port = nobody();
	struct sockaddr_in6 in6 = in_addr6(&in6addr_loopback, port), *to;
	struct got g;

	assert_int_equal(sendto(fd, "six", 3, 0, (struct sockaddr *)&in6, sizeof(in6)), 3);
	assert_true(wait_events(fd, POLLERR) & POLLERR);
	receive_error(fd, &g, 16);
	assert_int_equal(g.n, 3);
	to = (struct sockaddr_in6 *)&g.to;
	assert_int_equal(g.tolen, sizeof(*to));
	assert_int_equal(ntohs(to->sin6_port), port);
	assert_memory_equal(&to->sin6_addr, &in6addr_loopback, 16);
	assert_int_equal(g.level, SOL_IPV6);
	assert_int_equal(g.elen, sizeof(g.e));
	assert_int_equal(g.e.ee.ee_errno, ECONNREFUSED);
	assert_int_equal(g.e.ee.ee_origin, SO_EE_ORIGIN_ICMP6);
	assert_int_equal(g.e.ee.ee_type, 1);
	assert_int_equal(g.e.ee.ee_code, 4);
	assert_int_equal(g.e.offender.sin6_family, AF_INET6);
	assert_memory_equal(&g.e.offender.sin6_addr, &in6addr_loopback, 16);
	close(fd);
}

/* To an IPv4 address: IP_RECVERR is the option that counts; it is shown the IPv6 way. */
static void four_by_six(void **state)
{
	struct in6_addr mapped;
	unsigned port = nobody();
	struct sockaddr_in6 in6;
	int fd = asking(AF_INET6, SOL_IPV6, IPV6_RECVERR);
	struct got g;

	assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped), 1);
	in6 = in_addr6(&mapped, port);
	assert_int_equal(sendto(fd, "no", 2, 0, (struct sockaddr *)&in6, sizeof(in6)), 2);
	poll(NULL, 0, 20);
	assert_int_equal(events_now(fd), POLLOUT);
	ASSERT_OK(set_level(fd, SOL_IP, IP_RECVERR, 1));
	assert_int_equal(sendto(fd, "yes", 3, 0, (struct sockaddr *)&in6, sizeof(in6)), 3);
	wait_events(fd, POLLERR);
	receive_error(fd, &g, 16);
	assert_int_equal(g.n, 3);
	assert_int_equal(g.level, SOL_IPV6);
	assert_int_equal(g.tolen, sizeof(in6));
	assert_memory_equal(&((struct sockaddr_in6 *)&g.to)->sin6_addr, &mapped, 16);
	assert_int_equal(g.e.ee.ee_origin, SO_EE_ORIGIN_ICMP);
	assert_int_equal(g.e.offender.sin6_family, AF_INET6);
	assert_memory_equal(&g.e.offender.sin6_addr, &mapped, 16);
	close(fd);
}

/* SO_SELECT_ERR_QUEUE: POLLPRI too. The queue is bounded by SO_RCVBUF. */
static void readiness_and_bound(void **state)
{
	int fd = asking(AF_INET, SOL_IP, IP_RECVERR), n = 0;
	unsigned port = nobody();
	struct got g;

	set_option(fd, SO_SELECT_ERR_QUEUE, 1);
	set_option(fd, SO_RCVBUF, 4000);
	for (int i = 0; i < 200; i++)
		(void)!send_to(fd, "12345678", 8, port);
	assert_int_equal(wait_events(fd, POLLERR) & (POLLERR | POLLPRI), POLLERR | POLLPRI);
	for (receive_error(fd, &g, 16); g.n >= 0; receive_error(fd, &g, 16))
		n++;
	assert_in_range(n, 1, 40);
	assert_int_equal(events_now(fd), POLLOUT);
	close(fd);
}

static void a_stream_has_none(void **state)
{
	int sv[2];
	char c;

	tcp_pair(sv);
	ASSERT_ERR(recv(sv[0], &c, 1, MSG_ERRQUEUE), EAGAIN);
	close_pair(sv);
}

/* Larger than the way takes, with fragments forbidden: told at once, and in the queue. */
static void too_large(void **state)
{
	int fd = asking(AF_INET, SOL_IP, IP_RECVERR);
	static char data[65520];

	ASSERT_OK(set_level(fd, SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO));
	assert_int_equal(level_option(fd, SOL_IP, IP_MTU_DISCOVER), IP_PMTUDISC_DO);
	ASSERT_ERR(set_level(fd, SOL_IP, IP_MTU_DISCOVER, 6), EINVAL);
	ASSERT_ERR(send_to(fd, data, sizeof(data), nobody()), EMSGSIZE);
	assert_int_equal(send_to(fd, data, 60000, nobody()), 60000);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unconnected_socket_hears_of_it),
		cmocka_unit_test(without_asking_only_a_connected_one_does),
		cmocka_unit_test(the_pending_error_and_the_queue),
		cmocka_unit_test(turning_it_off_empties_the_queue),
		cmocka_unit_test(control_messages_with_it),
		cmocka_unit_test(a_packet_is_quoted_in_part),
		cmocka_unit_test(six),
		cmocka_unit_test(four_by_six),
		cmocka_unit_test(readiness_and_bound),
		cmocka_unit_test(a_stream_has_none),
		cmocka_unit_test(too_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
