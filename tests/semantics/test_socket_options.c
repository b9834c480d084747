/* SPDX-License-Identifier: MIT */
/* What set- and getsockopt say to levels, names and values that are wrong; options that change what a socket is. man 7 socket, ip, ipv6. */
#include "tests/lib/inet.h"

#include <netinet/udp.h>
#include <time.h>

#include <linux/errqueue.h>

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

static int get_error(int fd, int level, int name, socklen_t len)
{
	char buf[64];

	return getsockopt(fd, level, name, buf, &len) < 0 ? errno : 0;
}

static int set_error(int fd, int level, int name, const void *val, socklen_t len)
{
	return setsockopt(fd, level, name, val, len) < 0 ? errno : 0;
}

static void unknown_levels(void **state)
{
	static const struct { int family, type, get, set; } kind[] = {
		{ AF_INET, SOCK_STREAM, EOPNOTSUPP, ENOPROTOOPT }, { AF_INET, SOCK_DGRAM, EOPNOTSUPP, ENOPROTOOPT },
		{ AF_INET6, SOCK_STREAM, ENOPROTOOPT, ENOPROTOOPT }, { AF_INET6, SOCK_DGRAM, ENOPROTOOPT, ENOPROTOOPT },
		{ AF_UNIX, SOCK_STREAM, EOPNOTSUPP, EOPNOTSUPP }, { AF_NETLINK, SOCK_RAW, ENOPROTOOPT, ENOPROTOOPT },
	};
	static const int level[] = { -1, 500, SOL_RAW };
	int one = 1;

	for (size_t k = 0; k < sizeof(kind) / sizeof(kind[0]); k++) {
		int fd = socket(kind[k].family, kind[k].type, 0);

		for (size_t i = 0; i < 3; i++) {
			assert_int_equal(get_error(fd, level[i], 1, 4), kind[k].get);
			assert_int_equal(get_error(fd, level[i], 1, (socklen_t)-1), kind[k].get); /* before a length that is none */
			assert_int_equal(set_error(fd, level[i], 1, &one, 4), kind[k].set);
		}
		assert_int_equal(get_error(fd, SOL_SOCKET, SO_TYPE, (socklen_t)-1), EINVAL);
		assert_int_equal(get_error(fd, SOL_SOCKET, 500, 4), ENOPROTOOPT);
		assert_int_equal(set_error(fd, SOL_SOCKET, 500, &one, 4), ENOPROTOOPT);
		assert_int_equal(set_error(fd, SOL_SOCKET, SO_KEEPALIVE, &one, 3), EINVAL);
		close(fd);
	}
}

static void another_protocols_level(void **state)
{
	int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0), tcp6 = socket(AF_INET6, SOCK_STREAM, 0), one = 1;

	assert_int_equal(get_error(tcp, SOL_UDP, UDP_CORK, 4), EOPNOTSUPP);
	assert_int_equal(set_error(tcp, SOL_UDP, UDP_CORK, &one, 4), ENOPROTOOPT);
	assert_int_equal(get_error(udp, SOL_TCP, TCP_NODELAY, 4), EOPNOTSUPP);
	assert_int_equal(get_error(tcp, SOL_IPV6, IPV6_V6ONLY, 4), EOPNOTSUPP);
	assert_int_equal(get_error(tcp6, SOL_UDP, UDP_CORK, 4), ENOPROTOOPT);
	assert_int_equal(get_error(tcp6, SOL_IP, IP_TTL, 4), 0);
	assert_int_equal(get_error(tcp, SOL_TCP, TCP_NODELAY, (socklen_t)-1), EINVAL);
	assert_int_equal(get_error(udp, SOL_UDP, UDP_CORK, (socklen_t)-1), EINVAL);
	assert_int_equal(get_error(tcp, SOL_IP, IP_TTL, (socklen_t)-1), EINVAL);
	close(tcp);
	close(udp);
	close(tcp6);
}

static void values_of_ip(void **state)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), val = 1;
	int fd6 = socket(AF_INET6, SOCK_DGRAM, 0);
	void *bad = (void *)8;
	unsigned char byte = 7;

	assert_int_equal(set_error(fd, SOL_IP, 120, &val, 0), ENOPROTOOPT); /* the name comes first */
	assert_int_equal(set_error(fd, SOL_IP, 120, bad, 4), ENOPROTOOPT);
	assert_int_equal(set_error(fd, SOL_IP, IP_TOS, bad, 4), EFAULT);
	assert_int_equal(set_error(fd, SOL_IP, IP_TOS, &byte, 1), 0);
	assert_int_equal(level_option(fd, SOL_IP, IP_TOS), 7);
	assert_int_equal(set_error(fd, SOL_IP, IP_TOS, &byte, 0), 0); /* nothing is 0 */
	assert_int_equal(level_option(fd, SOL_IP, IP_TOS), 0);
	assert_int_equal(set_error(fd, SOL_IP, IP_TTL, &byte, 0), EINVAL); /* but not here */
	assert_int_equal(set_error(fd, SOL_IP, IP_MULTICAST_LOOP, &byte, 0), EINVAL);
	assert_int_equal(set_error(fd, SOL_IP, IP_PKTINFO, &byte, 1), 0);
	assert_int_equal(level_option(fd, SOL_IP, IP_PKTINFO), 1);
	assert_int_equal(set_error(fd, SOL_IP, IP_HDRINCL, &val, 4), ENOPROTOOPT);
	assert_int_equal(set_error(fd, SOL_IP, IP_ADD_SOURCE_MEMBERSHIP, &val, 4), EINVAL);
	assert_int_equal(set_error(fd6, SOL_IPV6, 120, &val, 0), ENOPROTOOPT);
	assert_int_equal(set_error(fd6, SOL_IPV6, 120, bad, 4), EFAULT); /* the value comes first */
	assert_int_equal(set_error(fd6, SOL_IPV6, IPV6_UNICAST_HOPS, &val, 3), EINVAL);
	assert_int_equal(set_error(fd6, SOL_IPV6, IPV6_UNICAST_HOPS, bad, 4), EFAULT);
	close(fd);
	close(fd6);
}

static void options_of_all_sockets(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), un = socket(AF_UNIX, SOCK_STREAM, 0), nodetach = 1;
	struct ucred u = { 1, 1, 1 };
	socklen_t len = sizeof(u);

	ASSERT_OK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &len));
	assert_int_equal(len, sizeof(u));
	assert_int_equal(u.pid, 0);
	assert_true(u.uid == (uid_t)-1);
	assert_int_equal(get_error(fd, SOL_SOCKET, SO_PASSSEC, 4), EOPNOTSUPP);
	assert_int_equal(get_error(un, SOL_SOCKET, SO_PASSSEC, 4), 0);
	assert_int_equal(set_error(fd, SOL_SOCKET, SO_DETACH_FILTER, &nodetach, 4), ENOENT);
	assert_int_equal(get_error(fd, SOL_SOCKET, SO_GET_FILTER, 4), 0);
	set_option(fd, SO_LOCK_FILTER, 1);
	ASSERT_ERR(set_level(fd, SOL_SOCKET, SO_LOCK_FILTER, 0), EPERM);
	assert_int_equal(level_option(fd, SOL_SOCKET, SO_LOCK_FILTER), 1);
	assert_int_equal(level_option(fd, SOL_SOCKET, SO_BUF_LOCK), 0);
	set_option(fd, SO_RCVBUF, 20000);
	assert_int_equal(level_option(fd, SOL_SOCKET, SO_BUF_LOCK), 2);
	set_option(fd, SO_BUF_LOCK, 1);
	assert_int_equal(level_option(fd, SOL_SOCKET, SO_BUF_LOCK), 1);
	ASSERT_ERR(set_level(fd, SOL_SOCKET, SO_BUF_LOCK, 4), EINVAL);
	close(fd);
	close(un);
}

/* The older call says no to streams, the newer one does not ask. */
static void groups_and_streams(void **state)
{
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), a;
	struct group_req g = { .gr_interface = 1 };
	struct ip_mreqn m = { .imr_ifindex = 1 };
	struct sockaddr_in in = in_addr4(0xe0010203, 0);

	memcpy(&g.gr_group, &in, sizeof(in));
	m.imr_multiaddr = in.sin_addr;
	ASSERT_OK(bind4(l, INADDR_LOOPBACK, 0));
	ASSERT_ERR(setsockopt(l, SOL_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)), EPROTO);
	ASSERT_ERR(setsockopt(l, SOL_IP, MCAST_JOIN_GROUP, &g, 100), EINVAL);
	ASSERT_OK(setsockopt(l, SOL_IP, MCAST_JOIN_GROUP, &g, sizeof(g)));
	ASSERT_ERR(setsockopt(l, SOL_IP, MCAST_JOIN_GROUP, &g, sizeof(g)), EADDRINUSE);
	ASSERT_OK(listen(l, 1));
	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port_of(l)));
	a = accept(l, NULL, NULL);
	ASSERT_OK(a);
	ASSERT_ERR(setsockopt(a, SOL_IP, MCAST_LEAVE_GROUP, &g, sizeof(g)), EADDRNOTAVAIL); /* not inherited */
	ASSERT_OK(setsockopt(l, SOL_IP, MCAST_LEAVE_GROUP, &g, sizeof(g)));
	g.gr_group.ss_family = AF_INET6;
	ASSERT_ERR(setsockopt(l, SOL_IP, MCAST_JOIN_GROUP, &g, sizeof(g)), EINVAL);
	close(a);
	close(c);
	close(l);
	l = socket(AF_INET6, SOCK_STREAM, 0);
	g.gr_group.ss_family = AF_INET;
	ASSERT_ERR(setsockopt(l, SOL_IPV6, MCAST_JOIN_GROUP, &g, sizeof(g)), EADDRNOTAVAIL);
	ASSERT_ERR(setsockopt(l, SOL_IPV6, IPV6_JOIN_GROUP, &g, 4), EINVAL);
	ASSERT_ERR(setsockopt(l, SOL_IPV6, IPV6_JOIN_GROUP, &g, sizeof(struct ipv6_mreq)), EPROTO);
	close(l);
}

/* --- SO_TIMESTAMP of streams -------------------------------------------------------------------------------------------- */

static void streams_tell_when(void **state)
{
	union { char buf[128]; struct cmsghdr h; } c;
	struct timespec before, then, after;
	char buf[8];
	struct iovec iov = { buf, sizeof(buf) };
	int sv[2], seen = 0;

	tcp_pair(sv);
	set_option(sv[1], SO_TIMESTAMPNS, 1);
	for (int i = 0; i < 1000 && !seen; i++) { /* natively the first ones may come unstamped */
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };

		clock_gettime(CLOCK_REALTIME, &before);
		assert_int_equal(send(sv[0], "x", 1, 0), 1);
		assert_int_equal(recvmsg(sv[1], &m, 0), 1);
		clock_gettime(CLOCK_REALTIME, &after);
		if (!CMSG_FIRSTHDR(&m)) {
			poll(NULL, 0, 10);
			continue;
		}
		seen = 1;
		assert_int_equal(c.h.cmsg_level, SOL_SOCKET);
		assert_int_equal(c.h.cmsg_type, SO_TIMESTAMPNS);
		assert_int_equal(c.h.cmsg_len, CMSG_LEN(sizeof(then)));
		memcpy(&then, CMSG_DATA(&c.h), sizeof(then));
		assert_true(then.tv_sec > before.tv_sec || (then.tv_sec == before.tv_sec && then.tv_nsec >= before.tv_nsec));
		assert_true(then.tv_sec < after.tv_sec || (then.tv_sec == after.tv_sec && then.tv_nsec <= after.tv_nsec));
	}
	assert_int_equal(seen, 1);
	close_pair(sv);
}

/* --- MSG_ZEROCOPY ----------------------------------------------------------------------------------------------------------- */

#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif

/* Which calls are through; false: nothing is told. */
static bool zerocopy_told(int fd, int level, int type, unsigned *ret_first, unsigned *ret_last)
{
	union { char buf[256]; struct cmsghdr h; } c;
	struct msghdr m = { .msg_control = &c, .msg_controllen = sizeof(c) };
	struct sock_extended_err ee;

	if (recvmsg(fd, &m, MSG_ERRQUEUE) < 0)
		return false;
	assert_int_equal(m.msg_flags & MSG_ERRQUEUE, MSG_ERRQUEUE);
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
		if (h->cmsg_level == level && h->cmsg_type == type) {
			memcpy(&ee, CMSG_DATA(h), sizeof(ee));
			assert_int_equal(ee.ee_errno, 0);
			assert_int_equal(ee.ee_origin, SO_EE_ORIGIN_ZEROCOPY);
			assert_int_equal(ee.ee_code, SO_EE_CODE_ZEROCOPY_COPIED); /* over loopback */
			*ret_first = ee.ee_info;
			*ret_last = ee.ee_data;
			return true;
		}
	fail_msg("no report");
	return false;
}

static void zerocopy_on(int tx, int rx, int level, int type)
{
	unsigned first, last, next = 0;
	char big[8192] = "", buf[8192];

	assert_int_equal(send(tx, big, sizeof(big), MSG_ZEROCOPY), sizeof(big)); /* nobody asked: it is ignored */
	assert_int_equal(recv(rx, buf, sizeof(buf), MSG_WAITALL), sizeof(big));
	assert_false(zerocopy_told(tx, level, type, &first, &last));
	set_option(tx, SO_ZEROCOPY, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(send(tx, big, sizeof(big), MSG_ZEROCOPY), sizeof(big));
		assert_int_equal(recv(rx, buf, sizeof(buf), MSG_WAITALL), sizeof(big));
	}
	for (int i = 0; i < 200 && next < 3; i++) {
		if (!(wait_events(tx, POLLERR) & POLLERR))
			fail_msg("never told");
		while (zerocopy_told(tx, level, type, &first, &last)) {
			assert_int_equal(first, next);
			next = last + 1;
		}
	}
	assert_int_equal(next, 3);
	assert_int_equal(events_now(tx) & POLLERR, 0);
	assert_int_equal(level_option(tx, SOL_SOCKET, SO_ERROR), 0);
}

static void sends_without_copies_are_reported(void **state)
{
	struct sockaddr_in6 to = in_addr6(&in6addr_loopback, 0);
	int sv[2], a = socket(AF_INET6, SOCK_DGRAM, 0), b = socket(AF_INET6, SOCK_DGRAM, 0);

	tcp_pair(sv);
	zerocopy_on(sv[0], sv[1], SOL_IP, IP_RECVERR);
	close_pair(sv);
	ASSERT_OK(bind(b, (struct sockaddr *)&to, sizeof(to)));
	to.sin6_port = htons((uint16_t)port_of(b));
	ASSERT_OK(connect(a, (struct sockaddr *)&to, sizeof(to)));
	zerocopy_on(a, b, SOL_IPV6, IPV6_RECVERR);
	close(a);
	close(b);
}

/* --- IPV6_ADDRFORM -------------------------------------------------------------------------------------------------------- */

static int connected6(int type, unsigned port)
{
	struct in6_addr mapped = IN6ADDR_LOOPBACK_INIT;
	struct sockaddr_in6 to;
	int fd = socket(AF_INET6, type, 0);

	ASSERT_OK(fd);
	ASSERT_OK(inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped));
	to = in_addr6(&mapped, port);
	ASSERT_OK(connect(fd, (struct sockaddr *)&to, sizeof(to)));
	return fd;
}

static void becomes_an_ipv4_socket(int fd, unsigned port)
{
	struct sockaddr_storage ss;
	struct sockaddr_in *in = (struct sockaddr_in *)&ss;
	socklen_t len = sizeof(ss);

	assert_int_equal(level_option(fd, SOL_IPV6, IPV6_ADDRFORM), AF_INET6);
	ASSERT_ERR(set_level(fd, SOL_IPV6, IPV6_ADDRFORM, AF_INET6), EINVAL);
	ASSERT_OK(set_level(fd, SOL_IPV6, IPV6_ADDRFORM, AF_INET));
	assert_int_equal(level_option(fd, SOL_SOCKET, SO_DOMAIN), AF_INET);
	ASSERT_OK(getpeername(fd, (struct sockaddr *)&ss, &len));
	assert_int_equal(len, sizeof(*in));
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(ntohs(in->sin_port), port);
	assert_int_equal(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
	ASSERT_ERR(set_level(fd, SOL_IPV6, IPV6_ADDRFORM, AF_INET), ENOPROTOOPT);
}

static void a_connection_changes_its_form(void **state)
{
	unsigned port;
	int l = tcp_listener(5, &port), fd = socket(AF_INET6, SOCK_STREAM, 0), a;
	char c;

	assert_int_equal(get_error(fd, SOL_IPV6, IPV6_ADDRFORM, 4), ENOTCONN);
	ASSERT_ERR(set_level(fd, SOL_IPV6, IPV6_ADDRFORM, AF_INET), ENOTCONN);
	close(fd);
	fd = connected6(SOCK_STREAM, port);
	a = accept(l, NULL, NULL);
	becomes_an_ipv4_socket(fd, port);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_int_equal(recv(a, &c, 1, 0), 1);
	close(fd);
	close(a);
	close(l);
	l = socket(AF_INET, SOCK_DGRAM, 0);
	ASSERT_OK(bind4(l, INADDR_LOOPBACK, 0));
	fd = connected6(SOCK_DGRAM, port_of(l));
	becomes_an_ipv4_socket(fd, port_of(l));
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_int_equal(recv(l, &c, 1, 0), 1);
	close(fd);
	close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_levels),
		cmocka_unit_test(another_protocols_level),
		cmocka_unit_test(values_of_ip),
		cmocka_unit_test(options_of_all_sockets),
		cmocka_unit_test(groups_and_streams),
		cmocka_unit_test(streams_tell_when),
		cmocka_unit_test(sends_without_copies_are_reported),
		cmocka_unit_test(a_connection_changes_its_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
