/* SPDX-License-Identifier: MIT */
/* AF_INET6: the family alone, and sockets that take IPv4 as ::ffff:a.b.c.d. man 7 ipv6. */
#include "tests/lib/inet.h"

static const struct in6_addr mapped_loopback = { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1 } } };

static int bind6(int fd, const struct in6_addr *ip, unsigned port)
{
	struct sockaddr_in6 in = in_addr6(ip, port);

	return bind(fd, (struct sockaddr *)&in, sizeof(in));
}

static int connect6(int fd, const struct in6_addr *ip, unsigned port)
{
	struct sockaddr_in6 in = in_addr6(ip, port);

	return connect(fd, (struct sockaddr *)&in, sizeof(in));
}

static int listener6(const struct in6_addr *ip, bool only, unsigned *ret_port)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	ASSERT_OK(set_level(fd, IPPROTO_IPV6, IPV6_V6ONLY, only));
	ASSERT_OK(bind6(fd, ip, 0));
	ASSERT_OK(listen(fd, 5));
	*ret_port = port_of(fd);
	return fd;
}

static void name_is(int fd, bool peer, const struct in6_addr *want)
{
	struct sockaddr_in6 in;
	socklen_t len = sizeof(in);

	ASSERT_OK(peer ? getpeername(fd, (struct sockaddr *)&in, &len) : getsockname(fd, (struct sockaddr *)&in, &len));
	assert_int_equal(len, sizeof(in));
	assert_int_equal(in.sin6_family, AF_INET6);
	assert_memory_equal(&in.sin6_addr, want, sizeof(*want));
}

static void ipv4_comes_in_mapped(void **state)
{
	unsigned port;
	int l = listener6(&in6addr_any, false, &port), c = socket(AF_INET, SOCK_STREAM, 0), a;
	struct sockaddr_in6 in;
	socklen_t len = sizeof(in);

	ASSERT_ERR(getpeername(l, (struct sockaddr *)&in, &len), ENOTCONN);
	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
	len = sizeof(in);
	a = accept(l, (struct sockaddr *)&in, &len);
	ASSERT_OK(a);
	assert_int_equal(len, sizeof(in));
	assert_memory_equal(&in.sin6_addr, &mapped_loopback, 16);
	assert_int_equal(ntohs(in.sin6_port), port_of(c));
	name_is(a, false, &mapped_loopback);
	name_is(a, true, &mapped_loopback);
	close(a);
	close(c);
	close(l);
}

static void ipv6_comes_in_as_it_is(void **state)
{
	unsigned port;
	int l = listener6(&in6addr_any, false, &port), c = socket(AF_INET6, SOCK_STREAM, 0), a;

	ASSERT_OK(connect6(c, &in6addr_loopback, port));
	a = accept(l, NULL, NULL);
	ASSERT_OK(a);
	name_is(a, true, &in6addr_loopback);
	name_is(c, false, &in6addr_loopback);
	close(a);
	close(c);
	c = socket(AF_INET6, SOCK_STREAM, 0);
	ASSERT_OK(connect6(c, &mapped_loopback, port)); /* IPv4 by an IPv6 socket */
	name_is(c, false, &mapped_loopback);
	a = accept(l, NULL, NULL);
	name_is(a, true, &mapped_loopback);
	close(a);
	close(c);
	close(l);
}

static void v6only_does_not_take_ipv4(void **state)
{
	unsigned port;
	int l = listener6(&in6addr_any, true, &port), c = socket(AF_INET, SOCK_STREAM, 0);

	ASSERT_ERR(connect4(c, INADDR_LOOPBACK, port), ECONNREFUSED);
	ASSERT_ERR(set_level(l, IPPROTO_IPV6, IPV6_V6ONLY, 0), EINVAL); /* bound already */
	assert_int_equal(level_option(l, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	close(c);
	c = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_OK(bind4(c, INADDR_ANY, port)); /* the port is free there */
	ASSERT_OK(listen(c, 1));
	close(c);
	c = socket(AF_INET6, SOCK_STREAM, 0);
	ASSERT_OK(set_level(c, IPPROTO_IPV6, IPV6_V6ONLY, 1));
	ASSERT_ERR(connect6(c, &mapped_loopback, port), ENETUNREACH);
	ASSERT_ERR(bind6(c, &mapped_loopback, 0), EINVAL);
	close(c);
	close(l);
}

static void a_dual_stack_port_is_taken_in_both(void **state)
{
	unsigned port;
	int l = listener6(&in6addr_any, false, &port), c = socket(AF_INET, SOCK_STREAM, 0);

	ASSERT_ERR(bind4(c, INADDR_ANY, port), EADDRINUSE);
	ASSERT_ERR(bind4(c, INADDR_LOOPBACK, port), EADDRINUSE);
	close(c);
	c = socket(AF_INET6, SOCK_STREAM, 0);
	ASSERT_ERR(bind6(c, &in6addr_loopback, port), EADDRINUSE);
	close(c);
	close(l);
	l = listener6(&in6addr_loopback, false, &port);
	c = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_OK(bind4(c, INADDR_ANY, port)); /* ::1 and 0.0.0.0 do not meet */
	close(c);
	close(l);
}

static void an_address_must_be_ours(void **state)
{
	struct in6_addr foreign = { { { 0x20, 1, 0xd, 0xb8, [15] = 1 } } }, linklocal = { { { 0xfe, 0x80, [15] = 9 } } };
	struct sockaddr_in in = in_addr4(INADDR_LOOPBACK, 0);
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	ASSERT_ERR(bind6(fd, &foreign, 0), EADDRNOTAVAIL);
	ASSERT_ERR(bind6(fd, &linklocal, 0), EINVAL); /* of which interface? */
	ASSERT_ERR(bind(fd, (struct sockaddr *)&in, sizeof(in)), EINVAL);
	ASSERT_ERR(bind(fd, (struct sockaddr *)&(struct sockaddr_in6){ .sin6_family = AF_INET }, sizeof(struct sockaddr_in6)), EAFNOSUPPORT);
	ASSERT_ERR(connect(fd, (struct sockaddr *)&in, sizeof(in)), EINVAL);
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_ERR(bind4(fd, 0xc0000201u, 0), EADDRNOTAVAIL); /* 192.0.2.1 */
	ASSERT_OK(bind4(fd, 0x7f010203u, 0)); /* all of 127/8 is */
	ASSERT_ERR(bind4(fd, INADDR_LOOPBACK, 0), EINVAL);
	close(fd);
}

static void udp_speaks_both(void **state)
{
	int u6 = socket(AF_INET6, SOCK_DGRAM, 0), u4 = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in6 from;
	struct sockaddr_in to;
	socklen_t len = sizeof(from);
	char c;

	ASSERT_OK(bind6(u6, &in6addr_any, 0));
	to = in_addr4(INADDR_LOOPBACK, port_of(u6));
	assert_int_equal(sendto(u4, "4", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	assert_int_equal(recvfrom(u6, &c, 1, 0, (struct sockaddr *)&from, &len), 1);
	assert_memory_equal(&from.sin6_addr, &mapped_loopback, 16);
	assert_int_equal(sendto(u6, "6", 1, 0, (struct sockaddr *)&from, len), 1);
	assert_int_equal(recv(u4, &c, 1, 0), 1);
	assert_int_equal(c, '6');
	to = in_addr4(INADDR_LOOPBACK, port_of(u4)); /* an IPv4 address as it is */
	assert_int_equal(sendto(u6, "a", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	assert_int_equal(recv(u4, &c, 1, 0), 1);
	close(u4);
	close(u6);
}

static void udp6_tells_where_it_came_to(void **state)
{
	int a = socket(AF_INET6, SOCK_DGRAM, 0), b = socket(AF_INET6, SOCK_DGRAM, 0), seen = 0;
	char control[256], buf[8];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };

	ASSERT_OK(bind6(b, &in6addr_loopback, 0));
	ASSERT_OK(set_level(b, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1));
	ASSERT_OK(set_level(b, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1));
	ASSERT_OK(set_level(b, IPPROTO_IPV6, IPV6_RECVTCLASS, 1));
	ASSERT_OK(set_level(a, IPPROTO_IPV6, IPV6_TCLASS, 0x20));
	ASSERT_OK(connect6(a, &in6addr_loopback, port_of(b)));
	assert_int_equal(send(a, "x", 1, 0), 1);
	assert_int_equal(recvmsg(b, &m, 0), 1);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		int v;

		memcpy(&v, CMSG_DATA(c), sizeof(v));
		if (c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo pi;

			memcpy(&pi, CMSG_DATA(c), sizeof(pi));
			assert_memory_equal(&pi.ipi6_addr, &in6addr_loopback, 16);
			assert_int_equal(pi.ipi6_ifindex, 1);
			seen |= 1;
		} else if (c->cmsg_type == IPV6_HOPLIMIT) {
			assert_int_equal(v, 64);
			seen |= 2;
		} else if (c->cmsg_type == IPV6_TCLASS) {
			assert_int_equal(v, 0x20);
			seen |= 4;
		}
	}
	assert_int_equal(seen, 7);
	close(a);
	close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_comes_in_mapped),
		cmocka_unit_test(ipv6_comes_in_as_it_is),
		cmocka_unit_test(v6only_does_not_take_ipv4),
		cmocka_unit_test(a_dual_stack_port_is_taken_in_both),
		cmocka_unit_test(an_address_must_be_ours),
		cmocka_unit_test(udp_speaks_both),
		cmocka_unit_test(udp6_tells_where_it_came_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
