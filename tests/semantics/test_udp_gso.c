/* SPDX-License-Identifier: MIT */
/* UDP datagrams from several calls (UDP_CORK, MSG_MORE), several from one call (UDP_SEGMENT), and so received (UDP_GRO); checksums. man 7 udp. */
#include "tests/lib/inet.h"

#include <netinet/udp.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif
#ifndef UDP_NO_CHECK6_TX
#define UDP_NO_CHECK6_TX 101
#define UDP_NO_CHECK6_RX 102
#endif
#define UDP_ENCAP_L2TPINUDP 3

struct pair { int tx, rx; };

/* tx is connected to rx. */
static struct pair pair_of(int family)
{
	struct pair p = { socket(family, SOCK_DGRAM, 0), socket(family, SOCK_DGRAM, 0) };
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);

	if (family == AF_INET) {
		struct sockaddr_in in = in_addr4(INADDR_LOOPBACK, 0);

		memcpy(&ss, &in, sizeof(in));
	} else {
		struct sockaddr_in6 in6 = in_addr6(&in6addr_loopback, 0);

		memcpy(&ss, &in6, sizeof(in6));
	}
	ASSERT_OK(bind(p.rx, (struct sockaddr *)&ss, family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)));
	ASSERT_OK(getsockname(p.rx, (struct sockaddr *)&ss, &len));
	ASSERT_OK(connect(p.tx, (struct sockaddr *)&ss, len));
	return p;
}

static void done(struct pair p)
{
	close(p.tx);
	close(p.rx);
}

static void nothing_there(int fd)
{
	char c;

	ASSERT_ERR(recv(fd, &c, 1, MSG_DONTWAIT), EAGAIN);
}

static void expect(int fd, const char *text)
{
	char buf[64];

	assert_int_equal(recv(fd, buf, sizeof(buf), 0), strlen(text));
	assert_memory_equal(buf, text, strlen(text));
}

/* --- one datagram from several calls --------------------------------------------------------------------------- */

static void more_is_to_come(void **state)
{
	for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0) {
		struct pair p = pair_of(family);

		assert_int_equal(send(p.tx, "one ", 4, MSG_MORE), 4);
		assert_int_equal(send(p.tx, "two ", 4, MSG_MORE), 4);
		nothing_there(p.rx);
		assert_int_equal(send(p.tx, "three", 5, 0), 5);
		expect(p.rx, "one two three");
		nothing_there(p.rx);
		assert_int_equal(send(p.tx, "", 0, MSG_MORE), 0);
		assert_int_equal(send(p.tx, "", 0, 0), 0);
		expect(p.rx, "");
		done(p);
	}
}

static void a_corked_socket_collects(void **state)
{
	for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0) {
		struct pair p = pair_of(family);

		assert_int_equal(level_option(p.tx, SOL_UDP, UDP_CORK), 0);
		ASSERT_OK(set_level(p.tx, SOL_UDP, UDP_CORK, 7));
		assert_int_equal(level_option(p.tx, SOL_UDP, UDP_CORK), 1);
		assert_int_equal(send(p.tx, "a", 1, 0), 1);
		assert_int_equal(write(p.tx, "b", 1), 1);
		nothing_there(p.rx);
		ASSERT_OK(set_level(p.tx, SOL_UDP, UDP_CORK, 0));
		expect(p.rx, "ab");
		ASSERT_OK(set_level(p.tx, SOL_UDP, UDP_CORK, 0)); /* nothing to send */
		nothing_there(p.rx);
		ASSERT_OK(set_level(p.tx, SOL_UDP, UDP_CORK, 1));
		assert_int_equal(send(p.tx, "lost", 4, 0), 4);
		done(p);
	}
}

static void the_first_call_says_where_to(void **state)
{
	struct pair p = pair_of(AF_INET), q = pair_of(AF_INET);
	struct sockaddr_in to;
	socklen_t len = sizeof(to);

	ASSERT_OK(getsockname(q.rx, (struct sockaddr *)&to, &len));
	assert_int_equal(send(p.tx, "x", 1, MSG_MORE), 1);
	assert_int_equal(sendto(p.tx, "y", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	expect(p.rx, "xy");
	nothing_there(q.rx);
	done(p);
	done(q);
}

static void too_much_is_dropped_whole(void **state)
{
	static char big[40000];
	struct pair p = pair_of(AF_INET);

	assert_int_equal(send(p.tx, big, sizeof(big), MSG_MORE), sizeof(big));
	ASSERT_ERR(send(p.tx, big, sizeof(big), MSG_MORE), EMSGSIZE);
	assert_int_equal(send(p.tx, "new", 3, 0), 3);
	expect(p.rx, "new");
	ASSERT_ERR(send(p.tx, big, 1 << 17, MSG_MORE), EMSGSIZE);
	done(p);
}

/* --- several datagrams from one call ------------------------------------------------------------------------------- */

static void segments_are_datagrams(void **state)
{
	char buf[8];

	for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0) {
		struct pair p = pair_of(family);

		assert_int_equal(level_option(p.tx, SOL_UDP, UDP_SEGMENT), 0);
		ASSERT_OK(set_level(p.tx, SOL_UDP, UDP_SEGMENT, 4));
		assert_int_equal(level_option(p.tx, SOL_UDP, UDP_SEGMENT), 4);
		assert_int_equal(send(p.tx, "aaaabbbbcc", 10, 0), 10);
		expect(p.rx, "aaaa");
		expect(p.rx, "bbbb");
		expect(p.rx, "cc");
		assert_int_equal(send(p.tx, "dddd", 4, 0), 4);
		assert_int_equal(send(p.tx, "e", 1, 0), 1);
		expect(p.rx, "dddd");
		expect(p.rx, "e");
		assert_int_equal(send(p.tx, "ffff", 4, MSG_MORE), 4); /* both at once */
		assert_int_equal(send(p.tx, "gg", 2, 0), 2);
		expect(p.rx, "ffff");
		expect(p.rx, "gg");
		assert_int_equal(send(p.tx, "12345678", 8, 0), 8);
		assert_int_equal(recv(p.rx, buf, 2, MSG_TRUNC), 4);
		assert_int_equal(recv(p.rx, buf, 8, MSG_DONTWAIT), 4);
		nothing_there(p.rx);
		ASSERT_OK(set_level(p.tx, SOL_UDP, UDP_SEGMENT, 0));
		assert_int_equal(send(p.tx, "whole", 5, 0), 5);
		expect(p.rx, "whole");
		done(p);
	}
}

static ssize_t send_segments(int fd, const void *data, size_t n, int type, const void *size, size_t size_len)
{
	union { char buf[64]; struct cmsghdr h; } c = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = CMSG_SPACE(size_len) };

	c.h = (struct cmsghdr){ .cmsg_level = SOL_UDP, .cmsg_type = type, .cmsg_len = CMSG_LEN(size_len) };
	memcpy(CMSG_DATA(&c.h), size, size_len);
	return sendmsg(fd, &m, 0);
}

static void one_call_can_say_the_size(void **state)
{
	struct pair p = pair_of(AF_INET);
	uint16_t size = 3;
	int wide = 3;

	assert_int_equal(send_segments(p.tx, "aaabbbc", 7, UDP_SEGMENT, &size, sizeof(size)), 7);
	expect(p.rx, "aaa");
	expect(p.rx, "bbb");
	expect(p.rx, "c");
	ASSERT_OK(set_level(p.tx, SOL_UDP, UDP_SEGMENT, 2));
	size = 0; /* none, whatever the option says */
	assert_int_equal(send_segments(p.tx, "aaabbbc", 7, UDP_SEGMENT, &size, sizeof(size)), 7);
	expect(p.rx, "aaabbbc");
	ASSERT_ERR(send_segments(p.tx, "x", 1, UDP_SEGMENT, &wide, sizeof(wide)), EINVAL);
	ASSERT_ERR(send_segments(p.tx, "x", 1, UDP_GRO, &wide, sizeof(wide)), EINVAL);
	ASSERT_ERR(send_segments(p.tx, "x", 1, 77, &size, sizeof(size)), EINVAL);
	nothing_there(p.rx);
	done(p);
}

static void sizes_have_bounds(void **state)
{
	static char data[70000];
	struct pair p = pair_of(AF_INET);

	ASSERT_ERR(set_level(p.tx, SOL_UDP, UDP_SEGMENT, -1), EINVAL);
	ASSERT_ERR(set_level(p.tx, SOL_UDP, UDP_SEGMENT, 65536), EINVAL);
	ASSERT_ERR(setsockopt(p.tx, SOL_UDP, UDP_SEGMENT, data, 2), EINVAL);
	ASSERT_OK(set_level(p.tx, SOL_UDP, UDP_SEGMENT, 65535));
	ASSERT_OK(set_level(p.tx, SOL_UDP, UDP_SEGMENT, 1));
	assert_int_equal(send(p.tx, data, 64, 0), 64);
	ASSERT_ERR(send(p.tx, data, 129, 0), EINVAL); /* too many: 64 until 6.8, 128 then */
	ASSERT_OK(set_level(p.tx, SOL_UDP, UDP_SEGMENT, 1400));
	ASSERT_ERR(send(p.tx, data, 65508, 0), EMSGSIZE);
	ASSERT_ERR(send(p.tx, data, 65536, 0), EMSGSIZE);
	set_option(p.tx, SO_NO_CHECK, 1);
	ASSERT_ERR(send(p.tx, data, 2000, 0), EINVAL);
	done(p);
}

/* --- so received ------------------------------------------------------------------------------------------------------- */

/* One message; its segment size as told, -1: not told. */
static ssize_t receive(int fd, void *buf, size_t n, int *ret_size)
{
	union { char buf[128]; struct cmsghdr h; } c;
	struct iovec iov = { buf, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };
	ssize_t r = recvmsg(fd, &m, MSG_DONTWAIT);

	*ret_size = -1;
	for (struct cmsghdr *h = r < 0 ? NULL : CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
		if (h->cmsg_level == SOL_UDP && h->cmsg_type == UDP_GRO) {
			assert_int_equal(h->cmsg_len, CMSG_LEN(sizeof(int)));
			memcpy(ret_size, CMSG_DATA(h), sizeof(int));
		}
	return r;
}

static void segments_arrive_in_one(void **state)
{
	static char data[60000], buf[60000];
	int size;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i / 7);
	for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0) {
		struct pair p = pair_of(family);

		assert_int_equal(level_option(p.rx, SOL_UDP, UDP_GRO), 0);
		ASSERT_OK(set_level(p.rx, SOL_UDP, UDP_GRO, 5));
		assert_int_equal(level_option(p.rx, SOL_UDP, UDP_GRO), 1);
		ASSERT_OK(set_level(p.tx, SOL_UDP, UDP_SEGMENT, 1200));
		assert_int_equal(send(p.tx, data, sizeof(data), 0), sizeof(data));
		assert_int_equal(receive(p.rx, buf, sizeof(buf), &size), sizeof(data));
		assert_int_equal(size, 1200);
		assert_memory_equal(buf, data, sizeof(data));
		assert_int_equal(send(p.tx, data, 1200, 0), 1200); /* one is one */
		assert_int_equal(receive(p.rx, buf, sizeof(buf), &size), 1200);
		assert_int_equal(size, -1);
		assert_int_equal(send(p.tx, data, 1201, 0), 1201);
		assert_int_equal(receive(p.rx, buf, 100, &size), 100);
		assert_int_equal(size, 1200);
		ASSERT_ERR(receive(p.rx, buf, 100, &size), EAGAIN);
		assert_int_equal(send(p.tx, data, 2400, 0), 2400); /* taken before, read after */
		ASSERT_OK(set_level(p.rx, SOL_UDP, UDP_GRO, 0));
		assert_int_equal(receive(p.rx, buf, sizeof(buf), &size), 2400);
		assert_int_equal(size, -1);
		done(p);
	}
}

/* --- other options ------------------------------------------------------------------------------------------------------- */

static void checksums_may_be_missing(void **state)
{
	struct pair p = pair_of(AF_INET6);

	assert_int_equal(level_option(p.tx, SOL_UDP, UDP_NO_CHECK6_TX), 0);
	ASSERT_OK(set_level(p.tx, SOL_UDP, UDP_NO_CHECK6_TX, 2));
	assert_int_equal(level_option(p.tx, SOL_UDP, UDP_NO_CHECK6_TX), 1);
	assert_int_equal(send(p.tx, "lost", 4, 0), 4);
	nothing_there(p.rx);
	ASSERT_OK(set_level(p.rx, SOL_UDP, UDP_NO_CHECK6_RX, 1));
	assert_int_equal(level_option(p.rx, SOL_UDP, UDP_NO_CHECK6_RX), 1);
	assert_int_equal(send(p.tx, "taken", 5, 0), 5);
	expect(p.rx, "taken");
	ASSERT_OK(set_level(p.tx, SOL_UDP, UDP_SEGMENT, 2));
	ASSERT_ERR(send(p.tx, "abc", 3, 0), EINVAL);
	done(p);
}

static void encapsulation(void **state)
{
	struct pair p = pair_of(AF_INET);

	assert_int_equal(level_option(p.tx, SOL_UDP, UDP_ENCAP), 0);
	ASSERT_ERR(set_level(p.tx, SOL_UDP, UDP_ENCAP, 99), ENOPROTOOPT);
	ASSERT_ERR(set_level(p.tx, SOL_UDP, UDP_ENCAP, -1), ENOPROTOOPT);
	ASSERT_OK(set_level(p.rx, SOL_UDP, UDP_ENCAP, UDP_ENCAP_L2TPINUDP));
	assert_int_equal(level_option(p.rx, SOL_UDP, UDP_ENCAP), UDP_ENCAP_L2TPINUDP);
	assert_int_equal(send(p.tx, "x", 1, 0), 1);
	expect(p.rx, "x");
	ASSERT_ERR(set_level(p.tx, SOL_UDP, 99, 1), ENOPROTOOPT);
	ASSERT_ERR(getsockopt(p.tx, SOL_UDP, 99, &(int){ 0 }, &(socklen_t){ sizeof(int) }), ENOPROTOOPT);
	done(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_is_to_come),
		cmocka_unit_test(a_corked_socket_collects),
		cmocka_unit_test(the_first_call_says_where_to),
		cmocka_unit_test(too_much_is_dropped_whole),
		cmocka_unit_test(segments_are_datagrams),
		cmocka_unit_test(one_call_can_say_the_size),
		cmocka_unit_test(sizes_have_bounds),
		cmocka_unit_test(segments_arrive_in_one),
		cmocka_unit_test(checksums_may_be_missing),
		cmocka_unit_test(encapsulation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
