/* SPDX-License-Identifier: MIT */
/* Options of TCP and IP sockets: what they are, take, refuse, and how a child inherits them. man 7 tcp, man 7 ip, man 7 socket. */
#include "tests/lib/inet.h"

static void defaults_are_linuxs(void **state)
{
	static const struct { const char *what; int level, name, want; } c[] = {
		{ "TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, 0 },
		{ "TCP_CORK", IPPROTO_TCP, TCP_CORK, 0 },
		{ "TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, 7200 },
		{ "TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, 75 },
		{ "TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, 9 },
		{ "TCP_SYNCNT", IPPROTO_TCP, TCP_SYNCNT, 6 },
		{ "TCP_LINGER2", IPPROTO_TCP, TCP_LINGER2, 60 },
		{ "TCP_DEFER_ACCEPT", IPPROTO_TCP, TCP_DEFER_ACCEPT, 0 },
		{ "TCP_QUICKACK", IPPROTO_TCP, TCP_QUICKACK, 1 },
		{ "TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, 0 },
		{ "TCP_MAXSEG", IPPROTO_TCP, TCP_MAXSEG, 536 },
		{ "IP_TTL", IPPROTO_IP, IP_TTL, 64 },
		{ "IP_TOS", IPPROTO_IP, IP_TOS, 0 },
		{ "IP_MULTICAST_TTL", IPPROTO_IP, IP_MULTICAST_TTL, 1 },
		{ "IP_MULTICAST_LOOP", IPPROTO_IP, IP_MULTICAST_LOOP, 1 },
		{ "SO_TYPE", SOL_SOCKET, SO_TYPE, SOCK_STREAM },
		{ "SO_DOMAIN", SOL_SOCKET, SO_DOMAIN, AF_INET },
		{ "SO_PROTOCOL", SOL_SOCKET, SO_PROTOCOL, IPPROTO_TCP },
		{ "SO_ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN, 0 },
		{ "SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, 131072 },
		{ "SO_SNDBUF", SOL_SOCKET, SO_SNDBUF, 16384 },
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		int v = level_option(fd, c[i].level, c[i].name);

		if (v != c[i].want)
			fail_msg("%s: got %d, want %d", c[i].what, v, c[i].want);
	}
	close(fd);
}

static void values_are_checked(void **state)
{
	static const struct { const char *what; int level, name, val, err, then; } c[] = {
		{ "nodelay", IPPROTO_TCP, TCP_NODELAY, 7, 0, 1 },
		{ "idle 0", IPPROTO_TCP, TCP_KEEPIDLE, 0, EINVAL, 7200 },
		{ "idle", IPPROTO_TCP, TCP_KEEPIDLE, 30, 0, 30 },
		{ "idle too long", IPPROTO_TCP, TCP_KEEPIDLE, 32768, EINVAL, 30 },
		{ "interval", IPPROTO_TCP, TCP_KEEPINTVL, 5, 0, 5 },
		{ "count", IPPROTO_TCP, TCP_KEEPCNT, 128, EINVAL, 9 },
		{ "small segments", IPPROTO_TCP, TCP_MAXSEG, 10, EINVAL, 536 },
		{ "segments", IPPROTO_TCP, TCP_MAXSEG, 1000, 0, 1000 },
		{ "linger2", IPPROTO_TCP, TCP_LINGER2, 20, 0, 20 },
		{ "defer", IPPROTO_TCP, TCP_DEFER_ACCEPT, 5, 0, 7 },
		{ "user timeout", IPPROTO_TCP, TCP_USER_TIMEOUT, -1, EINVAL, 0 },
		{ "user timeout", IPPROTO_TCP, TCP_USER_TIMEOUT, 3000, 0, 3000 },
		{ "cork", IPPROTO_TCP, TCP_CORK, 1, 0, 1 },
		{ "ttl 0", IPPROTO_IP, IP_TTL, 0, EINVAL, 64 },
		{ "ttl 256", IPPROTO_IP, IP_TTL, 256, EINVAL, 64 },
		{ "ttl", IPPROTO_IP, IP_TTL, 12, 0, 12 },
		{ "ttl default", IPPROTO_IP, IP_TTL, -1, 0, 64 },
		{ "tos", IPPROTO_IP, IP_TOS, 0x10, 0, 0x10 },
		{ "mtu discovery", IPPROTO_IP, IP_MTU_DISCOVER, 9, EINVAL, 1 },
		{ "sndbuf", SOL_SOCKET, SO_SNDBUF, 65536, 0, 131072 },
		{ "rcvbuf", SOL_SOCKET, SO_RCVBUF, 65536, 0, 131072 },
		{ "small rcvbuf", SOL_SOCKET, SO_RCVBUF, 1, 0, 2304 },
		{ "small sndbuf", SOL_SOCKET, SO_SNDBUF, 1, 0, 4608 },
		{ "keepalive", SOL_SOCKET, SO_KEEPALIVE, 1, 0, 1 },
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		errno = 0;
		int r = set_level(fd, c[i].level, c[i].name, c[i].val);
		int err = r < 0 ? errno : 0, now = level_option(fd, c[i].level, c[i].name);

		if (err != c[i].err || now != c[i].then)
			fail_msg("%s: got %s and %d, want %s and %d", c[i].what, errno_name(err), now, errno_name(c[i].err), c[i].then);
	}
	close(fd);
}

static void unknown_ones_are_refused(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), v = 1;
	socklen_t len = sizeof(v);

	ASSERT_ERR(set_level(fd, IPPROTO_TCP, 9999, 1), ENOPROTOOPT);
	ASSERT_ERR(getsockopt(fd, IPPROTO_TCP, 9999, &v, &len), ENOPROTOOPT);
	ASSERT_ERR(set_level(fd, IPPROTO_IP, 9999, 1), ENOPROTOOPT);
	ASSERT_ERR(set_level(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1), ENOPROTOOPT);
	ASSERT_ERR(set_level(fd, 12345, 1, 1), ENOPROTOOPT);
	ASSERT_ERR(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, 2), EINVAL);
	ASSERT_ERR(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &v, 2), EINVAL);
	ASSERT_ERR(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, (void *)8, 4), EFAULT);
	len = 2; /* cut */
	ASSERT_OK(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, &len));
	assert_int_equal(len, 2);
	len = 1; /* IPPROTO_IP gives a byte */
	v = -1;
	ASSERT_OK(getsockopt(fd, IPPROTO_IP, IP_TTL, &v, &len));
	assert_int_equal(len, 1);
	assert_int_equal(v & 0xff, 64);
	close(fd);
}

static void children_inherit(void **state)
{
	unsigned port;
	int l = tcp_listener(3, &port), c = socket(AF_INET, SOCK_STREAM, 0), a;

	ASSERT_OK(set_level(l, IPPROTO_TCP, TCP_NODELAY, 1));
	ASSERT_OK(set_level(l, IPPROTO_TCP, TCP_KEEPIDLE, 44));
	set_option(l, SO_KEEPALIVE, 1);
	set_option(l, SO_RCVBUF, 20000);
	assert_int_equal(int_option(l, SO_ACCEPTCONN), 1);
	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
	a = accept(l, NULL, NULL);
	assert_int_equal(level_option(a, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(level_option(a, IPPROTO_TCP, TCP_KEEPIDLE), 44);
	assert_int_equal(int_option(a, SO_KEEPALIVE), 1);
	assert_int_equal(int_option(a, SO_RCVBUF), 40000);
	assert_int_equal(int_option(a, SO_ACCEPTCONN), 0);
	close(a);
	close(c);
	close(l);
}

static void info_follows_the_state(void **state)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int sv[2];
	char buf[100] = "";

	tcp_pair(sv);
	ASSERT_OK(getsockopt(sv[0], IPPROTO_TCP, TCP_INFO, &info, &len));
	assert_int_equal(info.tcpi_state, TCP_ESTABLISHED);
	assert_int_equal(info.tcpi_options & TCPI_OPT_SACK, TCPI_OPT_SACK);
	assert_in_range(info.tcpi_snd_mss, 1000, 65535);
	assert_int_equal(write(sv[0], buf, 100), 100);
	ASSERT_OK(shutdown(sv[0], SHUT_WR));
	wait_events(sv[1], POLLRDHUP);
	len = sizeof(info);
	ASSERT_OK(getsockopt(sv[1], IPPROTO_TCP, TCP_INFO, &info, &len));
	assert_int_equal(info.tcpi_state, TCP_CLOSE_WAIT);
	ASSERT_OK(getsockopt(sv[0], IPPROTO_TCP, TCP_INFO, &info, &len));
	assert_in_range(info.tcpi_state, TCP_FIN_WAIT1, TCP_FIN_WAIT2); /* natively the acknowledgement may take its time */
	len = 1;
	ASSERT_OK(getsockopt(sv[0], IPPROTO_TCP, TCP_INFO, &info, &len));
	assert_int_equal(len, 1);
	close_pair(sv);
}

/* A smaller segment that one end asked for is both ends', less the time stamp that every segment carries. */
static void segments_are_as_small_as_either_end_wants(void **state)
{
	static const int wish[][2] = { { 873, 0 }, { 0, 873 }, { 700, 900 } };

	for (size_t i = 0; i < ARRAY_SIZE(wish); i++) {
		int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), a, want = i == 2 ? 688 : 861;

		if (wish[i][0])
			ASSERT_OK(set_level(l, IPPROTO_TCP, TCP_MAXSEG, wish[i][0]));
		if (wish[i][1])
			ASSERT_OK(set_level(c, IPPROTO_TCP, TCP_MAXSEG, wish[i][1]));
		ASSERT_OK(bind4(l, INADDR_LOOPBACK, 0));
		ASSERT_OK(listen(l, 1));
		ASSERT_OK(connect4(c, INADDR_LOOPBACK, port_of(l)));
		a = (int)ASSERT_OK(accept(l, NULL, NULL));
		assert_int_equal(write(a, "x", 1), 1);
		wait_events(c, POLLIN);
		assert_int_equal(level_option(c, IPPROTO_TCP, TCP_MAXSEG), want);
		assert_int_equal(level_option(a, IPPROTO_TCP, TCP_MAXSEG), want);
		close(a);
		close(c);
		close(l);
	}
}

/* Without a cookie from the server it is a connection as ever. */
static void fast_open_falls_back(void **state)
{
	unsigned port;
	int l = tcp_listener(5, &port), c = socket(AF_INET, SOCK_STREAM, 0), a;
	struct sockaddr_in to = in_addr4(INADDR_LOOPBACK, port);
	char buf[8];

	ASSERT_OK(set_level(c, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1));
	assert_int_equal(level_option(c, IPPROTO_TCP, TCP_FASTOPEN_CONNECT), 1);
	ASSERT_ERR(set_level(c, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 2), EINVAL);
	ASSERT_OK(connect(c, (struct sockaddr *)&to, sizeof(to)));
	ASSERT_ERR(set_level(c, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 0), EINVAL);
	a = (int)ASSERT_OK(accept(l, NULL, NULL));
	assert_int_equal(write(c, "one", 3), 3);
	assert_int_equal(recv(a, buf, sizeof(buf), 0), 3);
	close(a);
	close(c);
	c = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_ERR(send(c, "two", 3, MSG_FASTOPEN | MSG_NOSIGNAL), EINVAL);
	assert_int_equal(sendto(c, "two", 3, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof(to)), 3);
	a = (int)ASSERT_OK(accept(l, NULL, NULL));
	assert_int_equal(recv(a, buf, sizeof(buf), 0), 3);
	ASSERT_ERR(sendto(c, "two", 3, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof(to)), EISCONN);
	close(a);
	close(c);
	close(l);
}

static void the_congestion_control_has_a_name(void **state)
{
	char name[32] = "";
	socklen_t len = sizeof(name);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ASSERT_OK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len));
	assert_int_equal(len, 16);
	ASSERT_OK(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
	ASSERT_OK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len));
	assert_string_equal(name, "reno");
	ASSERT_ERR(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "nosuch", 6), ENOENT);
	close(fd);
}

static void low_water_marks_hold_reads_back(void **state)
{
	char buf[16];
	int sv[2];

	tcp_pair(sv);
	set_option(sv[1], SO_RCVLOWAT, 4);
	assert_int_equal(write(sv[0], "ab", 2), 2);
	usleep(20000);
	assert_int_equal(events_now(sv[1]), POLLOUT);
	assert_int_equal(write(sv[0], "cd", 2), 2);
	assert_int_equal(wait_events(sv[1], POLLIN), POLLIN | POLLOUT);
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 4);
	close_pair(sv);
}

static void sockets_of_a_kind(void **state)
{
	ASSERT_ERR(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	ASSERT_ERR(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT);
	ASSERT_ERR(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	ASSERT_ERR(socket(AF_INET6, SOCK_STREAM, IPPROTO_ICMP), EPROTONOSUPPORT);
	ASSERT_ERR(socket(AF_INET, SOCK_STREAM, 5000), EINVAL);
	ASSERT_ERR(socketpair(AF_INET, SOCK_STREAM, 0, (int[2]){ 0 }), EOPNOTSUPP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_linuxs),
		cmocka_unit_test(values_are_checked),
		cmocka_unit_test(unknown_ones_are_refused),
		cmocka_unit_test(children_inherit),
		cmocka_unit_test(info_follows_the_state),
		cmocka_unit_test(the_congestion_control_has_a_name),
		cmocka_unit_test(segments_are_as_small_as_either_end_wants),
		cmocka_unit_test(fast_open_falls_back),
		cmocka_unit_test(low_water_marks_hold_reads_back),
		cmocka_unit_test(sockets_of_a_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
