/* SPDX-License-Identifier: MIT */
/* Classic BPF on sockets: SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_LOCK_FILTER, SO_GET_FILTER. man 7 socket; Documentation/networking/filter.rst. */
#include "tests/lib/inet.h"

#include <net/if.h>

#include <linux/filter.h>
#include <linux/if_arp.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <netinet/ip_icmp.h>
#include <poll.h>

#define RET(v) BPF_STMT(BPF_RET | BPF_K, (v))
#define RET_A BPF_STMT(BPF_RET | BPF_A, 0)
#define LOAD(size, off) BPF_STMT(BPF_LD | (size) | BPF_ABS, (uint32_t)(off))
#define AD(what) LOAD(BPF_W, SKF_AD_OFF + (what))
#define ALL 0xffffffffu

static int attach_n(int fd, const struct sock_filter *f, unsigned n)
{
	struct sock_fprog p = { .len = (unsigned short)n, .filter = (struct sock_filter *)(uintptr_t)f };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)) < 0 ? errno : 0;
}
#define ATTACH(fd, ...)                                                              \
	({                                                                           \
		const struct sock_filter f_[] = { __VA_ARGS__ };                     \
		attach_n(fd, f_, sizeof(f_) / sizeof(f_[0]));                        \
	})

static int detach(int fd)
{
	int dummy = 0;

	return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &dummy, sizeof(dummy)) < 0 ? errno : 0;
}

static void what_attach_refuses(void **state)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sock_filter ok[] = { RET(ALL) };
	struct sock_fprog p = { .len = 1, .filter = ok };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p) - 1) < 0 ? errno : 0, EINVAL);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p) + 1) < 0 ? errno : 0, EINVAL);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, (void *)8, sizeof(p)) < 0 ? errno : 0, EFAULT);
	p.filter = NULL;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)) < 0 ? errno : 0, EINVAL);
	p.filter = (struct sock_filter *)8;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)) < 0 ? errno : 0, EFAULT);
	assert_int_equal(attach_n(fd, ok, 0), EINVAL);
	assert_int_equal(attach_n(fd, ok, BPF_MAXINSNS + 1), EINVAL);
	assert_int_equal(ATTACH(fd, LOAD(BPF_W, 0)), EINVAL); /* does not end */
	assert_int_equal(ATTACH(fd, BPF_STMT(BPF_LD | BPF_MEM, 0), RET(0)), EINVAL);
	assert_int_equal(ATTACH(fd, BPF_STMT(BPF_JMP | BPF_JA, 1), RET(0)), EINVAL);
	assert_int_equal(ATTACH(fd, BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), RET(0)), EINVAL);
	assert_int_equal(ATTACH(fd, BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 0), RET(0)), EINVAL);
	assert_int_equal(ATTACH(fd, BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), RET(0)), EINVAL);
	assert_int_equal(ATTACH(fd, BPF_STMT(BPF_ST, 16), RET(0)), EINVAL);
	assert_int_equal(ATTACH(fd, BPF_STMT(0xffff, 0), RET(0)), EINVAL);
	assert_int_equal(ATTACH(fd, AD(1), RET(0)), EINVAL); /* none of what is beside a packet */
	assert_int_equal(ATTACH(fd, AD(SKF_AD_MAX), RET(0)), EINVAL);
	for (int what = 0; what < SKF_AD_MAX; what += 4)
		assert_int_equal(ATTACH(fd, AD(what), RET(0)), 0);
	close(fd);
}

static void programs_that_are_none(void **state)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), bad = 999;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &bad, sizeof(bad)) < 0 ? errno : 0, EBADF);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof(fd)) < 0 ? errno : 0, EINVAL);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &fd, 8) < 0 ? errno : 0, EINVAL);
	close(fd);
}

static void detaching_and_locking(void **state)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1, off = 0;
	socklen_t len = sizeof(on);

	assert_int_equal(detach(fd), ENOENT);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &on, 3) < 0 ? errno : 0, EINVAL);
	assert_int_equal(ATTACH(fd, RET(0)), 0);
	assert_int_equal(ATTACH(fd, RET(ALL)), 0); /* instead of the other */
	assert_int_equal(detach(fd), 0);
	assert_int_equal(detach(fd), ENOENT);
	ASSERT_OK(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &off, sizeof(off)));
	ASSERT_OK(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)));
	ASSERT_OK(getsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &off, &len));
	assert_int_equal(off, 1);
	off = 0;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &off, sizeof(off)) < 0 ? errno : 0, EPERM);
	assert_int_equal(ATTACH(fd, RET(0)), EPERM);
	assert_int_equal(attach_n(fd, NULL, 0), EPERM);
	assert_int_equal(detach(fd), EPERM);
	close(fd);
}

static void reading_it_back(void **state)
{
	const struct sock_filter f[] = { LOAD(BPF_H, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 7, 0, 1), RET(ALL), RET(0) };
	struct sock_filter got[8];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t len = 8;

	ASSERT_OK(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, got, &len));
	assert_int_equal(len, 0);
	assert_int_equal(attach_n(fd, f, 4), 0);
	ASSERT_OK(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &len)); /* how long? */
	assert_int_equal(len, 4);
	len = 3;
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, got, &len) < 0 ? errno : 0, EINVAL);
	len = 8;
	memset(got, 0x55, sizeof(got));
	ASSERT_OK(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, got, &len));
	assert_int_equal(len, 4);
	assert_memory_equal(got, f, sizeof(f));
	assert_int_equal(got[4].code, 0x5555);
	len = 4;
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, (void *)8, &len) < 0 ? errno : 0, EFAULT);
	close(fd);
}

/* --- UDP ----------------------------------------------------------------------------------------------------------- */

struct pair { int from, to; struct sockaddr_in a; };

static struct pair udp_pair(void)
{
	struct pair p = { socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET, SOCK_DGRAM, 0), { 0 } };

	ASSERT_OK(bind4(p.to, INADDR_LOOPBACK, 0));
	ASSERT_OK(bind4(p.from, INADDR_LOOPBACK, 0));
	p.a = in_addr4(INADDR_LOOPBACK, port_of(p.to));
	ASSERT_OK(connect(p.from, (struct sockaddr *)&p.a, sizeof(p.a)));
	return p;
}

static void pair_close(struct pair *p)
{
	close(p->from);
	close(p->to);
}

/* What arrives of a datagram; -1: nothing. */
static int passes(struct pair *p, const char *data)
{
	char buf[256];

	ASSERT_OK(send(p->from, data, strlen(data), 0));
	return (int)recv(p->to, buf, sizeof(buf), MSG_DONTWAIT);
}

static void udp_is_filtered(void **state)
{
	struct pair p = udp_pair();

	assert_int_equal(ATTACH(p.to, RET(0)), 0);
	assert_int_equal(passes(&p, "hello"), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(ATTACH(p.to, RET(ALL)), 0);
	assert_int_equal(passes(&p, "hello"), 5);
	assert_int_equal(ATTACH(p.to, RET(10)), 0); /* with the header */
	assert_int_equal(passes(&p, "hello"), 2);
	assert_int_equal(ATTACH(p.to, RET(1)), 0); /* that stays */
	assert_int_equal(passes(&p, "hello"), 0);
	assert_int_equal(detach(p.to), 0);
	assert_int_equal(passes(&p, "hello"), 5);
	pair_close(&p);
}

/* Filters end with a number that says what was loaded, by how much passes: 8 bytes of header, and that many. */
#define SHOWS(p, text, want, ...)                                                                       \
	do {                                                                                            \
		assert_int_equal(ATTACH((p)->to, __VA_ARGS__, BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 8), RET_A), 0); \
		assert_int_equal(passes((p), (text)), (want));                                           \
	} while (0)

static void what_a_filter_loads(void **state)
{
	struct pair p = udp_pair();
	char text[121];
	const uint8_t tab = '\t';

	memset(text, tab, 120);
	text[120] = 0;
	SHOWS(&p, text, 9, LOAD(BPF_B, 8));                                    /* the first byte */
	SHOWS(&p, text, 9, BPF_STMT(BPF_LDX | BPF_IMM, 4), BPF_STMT(BPF_LD | BPF_B | BPF_IND, 4));
	SHOWS(&p, text, 1, LOAD(BPF_H, 8), BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0x0909));
	SHOWS(&p, text, 1, LOAD(BPF_W, 8), BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0x09090909));
	SHOWS(&p, text, 120, BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, 8));
	SHOWS(&p, text, 120, LOAD(BPF_H, 4), BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, 8)); /* the length in the header */
	SHOWS(&p, text, 1, LOAD(BPF_H, 2), BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, ntohs(p.a.sin_port)));
	SHOWS(&p, text, 36, BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 8), BPF_STMT(BPF_MISC | BPF_TXA, 0));
	SHOWS(&p, text, 20, BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, (uint32_t)SKF_NET_OFF), BPF_STMT(BPF_MISC | BPF_TXA, 0)); /* the IP header */
	SHOWS(&p, text, 17, LOAD(BPF_B, SKF_NET_OFF + 9));
	SHOWS(&p, text, 8, LOAD(BPF_H, SKF_LL_OFF + 12), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 8)); /* ETH_P_IP */
	SHOWS(&p, text, 5, BPF_STMT(BPF_LD | BPF_IMM, 47), BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 7));
	SHOWS(&p, text, 3, BPF_STMT(BPF_LDX | BPF_IMM, 5), BPF_STMT(BPF_LD | BPF_IMM, 23), BPF_STMT(BPF_ALU | BPF_MOD | BPF_X, 0));
	SHOWS(&p, text, 42, BPF_STMT(BPF_LD | BPF_IMM, 42), BPF_STMT(BPF_ST, 15), LOAD(BPF_B, 0), BPF_STMT(BPF_LD | BPF_MEM, 15));
	/* what is not there ends it */
	assert_int_equal(ATTACH(p.to, LOAD(BPF_B, 128), RET(ALL)), 0);
	assert_int_equal(passes(&p, text), -1);
	assert_int_equal(ATTACH(p.to, LOAD(BPF_W, 125), RET(ALL)), 0);
	assert_int_equal(passes(&p, text), -1);
	assert_int_equal(ATTACH(p.to, LOAD(BPF_B, 127), RET(ALL)), 0);
	assert_int_equal(passes(&p, text), 120);
	assert_int_equal(ATTACH(p.to, BPF_STMT(BPF_LDX | BPF_IMM, 0), BPF_STMT(BPF_ALU | BPF_MOD | BPF_X, 0), RET(ALL)), 0);
	assert_int_equal(passes(&p, text), -1);
	pair_close(&p);
}

static void what_is_beside_a_packet(void **state)
{
	struct pair p = udp_pair();
	int mark = 33;
	char text[121];

	memset(text, 'x', 120);
	text[120] = 0;
	SHOWS(&p, text, 8, AD(SKF_AD_PROTOCOL), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 8));
	SHOWS(&p, text, (int)if_nametoindex("lo"), AD(SKF_AD_IFINDEX));
	SHOWS(&p, text, PACKET_HOST, AD(SKF_AD_PKTTYPE));
	SHOWS(&p, text, 12, AD(SKF_AD_HATYPE), BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, ARPHRD_LOOPBACK - 12));
	SHOWS(&p, text, 6, BPF_STMT(BPF_LDX | BPF_IMM, 5), BPF_STMT(BPF_LD | BPF_IMM, 3), AD(SKF_AD_ALU_XOR_X));
	SHOWS(&p, text, 8, AD(SKF_AD_PAY_OFFSET));
	SHOWS(&p, text, 0, AD(SKF_AD_VLAN_TAG_PRESENT));
	SHOWS(&p, text, 1, AD(SKF_AD_CPU), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16), BPF_STMT(BPF_ALU | BPF_OR | BPF_K, 1));
	SHOWS(&p, text, 1, AD(SKF_AD_RANDOM), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0), BPF_STMT(BPF_ALU | BPF_OR | BPF_K, 1));
	if (setsockopt(p.from, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0)
		SHOWS(&p, text, 33, AD(SKF_AD_MARK));
	pair_close(&p);
}

static void udp_over_ipv6(void **state)
{
	struct sockaddr_in6 a = in_addr6(&in6addr_loopback, 0);
	int to = socket(AF_INET6, SOCK_DGRAM, 0), from = socket(AF_INET6, SOCK_DGRAM, 0);
	char buf[16];

	if (bind(to, (struct sockaddr *)&a, sizeof(a)) < 0)
		skip();
	a.sin6_port = htons((uint16_t)port_of(to));
	assert_int_equal(ATTACH(to, LOAD(BPF_B, SKF_NET_OFF + 6), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 1), RET(11), RET(0)), 0);
	ASSERT_OK(sendto(from, "hello", 5, 0, (struct sockaddr *)&a, sizeof(a)));
	assert_int_equal(recv(to, buf, sizeof(buf), MSG_DONTWAIT), 3);
	close(to);
	close(from);
}

/* --- TCP ------------------------------------------------------------------------------------------------------------- */

/* Newer kernels ask for CAP_NET_ADMIN. */
static bool may_filter_tcp(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), r = ATTACH(fd, RET(ALL));

	close(fd);
	return r == 0;
}

static void tcp_data_is_lost_and_comes_again(void **state)
{
	int sv[2];
	char buf[16];
	struct pollfd pfd;

	if (!may_filter_tcp())
		skip();
	tcp_pair(sv);
	/* of the segments with data only those that begin with 'a' */
	assert_int_equal(ATTACH(sv[1], BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_MISC | BPF_TAX, 0), LOAD(BPF_B, 12),
				BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 2), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 4, 0),
				BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
				BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'a', 1, 0), RET(0), RET(ALL)), 0);
	ASSERT_OK(send(sv[0], "able", 4, 0));
	assert_int_equal(recv(sv[1], buf, sizeof(buf), 0), 4);
	ASSERT_OK(send(sv[0], "baker", 5, 0));
	pfd = (struct pollfd){ .fd = sv[1], .events = POLLIN };
	assert_int_equal(poll(&pfd, 1, 20), 0);
	assert_int_equal(recv(sv[1], buf, sizeof(buf), MSG_DONTWAIT), -1);
	assert_int_equal(detach(sv[1]), 0);
	assert_int_equal(recv(sv[1], buf, sizeof(buf), 0), 5); /* sent again */
	assert_memory_equal(buf, "baker", 5);
	close_pair(sv);
}

static void tcp_segments_can_be_cut(void **state)
{
	int sv[2];
	char buf[64];
	size_t got = 0;

	if (!may_filter_tcp())
		skip();
	tcp_pair(sv);
	/* one byte of data a segment at most: the header's length, and one */
	assert_int_equal(ATTACH(sv[1], LOAD(BPF_B, 12), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4), BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 2),
				BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1), RET_A), 0);
	ASSERT_OK(send(sv[0], "xyz", 3, 0));
	assert_int_equal(recv(sv[1], buf, sizeof(buf), 0), 1);
	assert_int_equal(buf[0], 'x');
	assert_int_equal(detach(sv[1]), 0);
	while (got < 2) {
		ssize_t n = recv(sv[1], buf + got, sizeof(buf) - got, 0);

		ASSERT_OK(n);
		got += (size_t)n;
	}
	assert_memory_equal(buf, "yz", 2);
	close_pair(sv);
}

static void tcp_children_inherit(void **state)
{
	unsigned port;
	int l = tcp_listener(5, &port), c = socket(AF_INET, SOCK_STREAM, 0), a;
	struct sock_filter got[2];
	socklen_t len = 2;

	if (!may_filter_tcp())
		skip();
	assert_int_equal(ATTACH(l, RET(ALL)), 0);
	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
	a = accept(l, NULL, NULL);
	ASSERT_OK(a);
	ASSERT_OK(getsockopt(a, SOL_SOCKET, SO_GET_FILTER, got, &len));
	assert_int_equal(len, 1);
	ASSERT_OK(send(c, "hello", 5, 0));
	assert_int_equal(recv(a, got, 5, 0), 5);
	close(a);
	close(c);
	close(l);
}

static void tcp_connections_are_not_heard_of(void **state)
{
	unsigned port;
	int l = tcp_listener(5, &port), c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct pollfd pfd = { .fd = c, .events = POLLOUT };

	if (!may_filter_tcp())
		skip();
	assert_int_equal(ATTACH(l, RET(0)), 0);
	assert_int_equal(connect4(c, INADDR_LOOPBACK, port), -1);
	assert_int_equal(errno, EINPROGRESS);
	assert_int_equal(poll(&pfd, 1, 50), 0);
	assert_int_equal(detach(l), 0);
	assert_int_equal(poll(&pfd, 1, 10000), 1); /* it knocks again */
	assert_int_equal(pfd.revents & (POLLOUT | POLLERR | POLLHUP), POLLOUT);
	close(c);
	close(l);
}

/* --- others ------------------------------------------------------------------------------------------------------------ */

static void unix_datagrams(void **state)
{
	static const int type[] = { SOCK_DGRAM, SOCK_SEQPACKET };

	for (int i = 0; i < 2; i++) {
		int sv[2];
		char buf[16];

		ASSERT_OK(socketpair(AF_UNIX, type[i], 0, sv));
		assert_int_equal(ATTACH(sv[1], LOAD(BPF_B, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'a', 0, 1), RET(3), RET(0)), 0);
		assert_int_equal(send(sv[0], "baker", 5, 0), 5); /* nobody tells */
		assert_int_equal(send(sv[0], "abler", 5, 0), 5);
		assert_int_equal(recv(sv[1], buf, sizeof(buf), MSG_DONTWAIT), 3);
		assert_memory_equal(buf, "abl", 3);
		assert_int_equal(recv(sv[1], buf, sizeof(buf), MSG_DONTWAIT), -1);
		/* there is no interface */
		assert_int_equal(ATTACH(sv[1], AD(SKF_AD_IFINDEX), RET(ALL)), 0);
		assert_int_equal(send(sv[0], "abler", 5, 0), 5);
		assert_int_equal(recv(sv[1], buf, sizeof(buf), MSG_DONTWAIT), -1);
		close(sv[0]);
		close(sv[1]);
	}
}

static void unix_streams_are_not(void **state)
{
	int sv[2];
	char buf[16];

	ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	assert_int_equal(ATTACH(sv[1], RET(0)), 0);
	assert_int_equal(send(sv[0], "hello", 5, 0), 5);
	assert_int_equal(recv(sv[1], buf, sizeof(buf), MSG_DONTWAIT), 5);
	close(sv[0]);
	close(sv[1]);
}

static void netlink_answers(void **state)
{
	struct { struct nlmsghdr h; struct ifinfomsg i; } rq = { { sizeof(rq), RTM_GETLINK, NLM_F_REQUEST, 7, 0 }, { .ifi_index = 1 } };
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	char buf[8192];

	ASSERT_OK(fd);
	/* the sequence number, in the machine's order */
	assert_int_equal(ATTACH(fd, LOAD(BPF_W, 8), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x07000000, 0, 1), RET(ALL), RET(0)), 0);
	ASSERT_OK(send(fd, &rq, sizeof(rq), 0));
	assert_true(recv(fd, buf, sizeof(buf), 0) > (ssize_t)sizeof(rq));
	rq.h.nlmsg_seq = 8;
	ASSERT_OK(send(fd, &rq, sizeof(rq), 0));
	assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), -1);
	close(fd);
}

/* Attributes by their type: IFLA_MTU of lo. */
static void attributes_are_found(void **state)
{
	struct { struct nlmsghdr h; struct ifinfomsg i; } rq = { { sizeof(rq), RTM_GETLINK, NLM_F_REQUEST, 7, 0 }, { .ifi_index = 1 } };
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	uint32_t at = NLMSG_LENGTH(sizeof(struct ifinfomsg));
	char buf[8192];

	assert_int_equal(ATTACH(fd, BPF_STMT(BPF_LDX | BPF_IMM, IFLA_MTU), BPF_STMT(BPF_LD | BPF_IMM, at), AD(SKF_AD_NLATTR), RET_A), 0);
	ASSERT_OK(send(fd, &rq, sizeof(rq), 0));
	ssize_t n = recv(fd, buf, sizeof(buf), 0);
	assert_true(n > (ssize_t)at && n < 2000); /* cut where the attribute begins */
	assert_int_equal(detach(fd), 0);
	ASSERT_OK(send(fd, &rq, sizeof(rq), 0));
	assert_true(recv(fd, buf, sizeof(buf), 0) > n);
	assert_int_equal(((struct rtattr *)(buf + n))->rta_type, IFLA_MTU);
	/* an attribute that is not there */
	assert_int_equal(ATTACH(fd, BPF_STMT(BPF_LDX | BPF_IMM, 9999), BPF_STMT(BPF_LD | BPF_IMM, at), AD(SKF_AD_NLATTR), RET_A), 0);
	ASSERT_OK(send(fd, &rq, sizeof(rq), 0));
	assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), -1);
	close(fd);
}

static void raw_icmp(void **state)
{
	struct sockaddr_in a = in_addr4(INADDR_LOOPBACK, 0);
	struct icmphdr echo = { .type = ICMP_ECHO, .un.echo.id = htons(77), .checksum = (uint16_t)~htons(0x0800 + 77) };
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	uint8_t buf[128];

	if (fd < 0)
		skip();
	/* the IP header comes first: only replies, of which the first 22 bytes */
	assert_int_equal(ATTACH(fd, BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
				BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMP_ECHOREPLY, 0, 1), RET(22), RET(0)), 0);
	ASSERT_OK(sendto(fd, &echo, sizeof(echo), 0, (struct sockaddr *)&a, sizeof(a)));
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 22);
	assert_int_equal(buf[20], ICMP_ECHOREPLY);
	assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), -1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_attach_refuses),
		cmocka_unit_test(programs_that_are_none),
		cmocka_unit_test(detaching_and_locking),
		cmocka_unit_test(reading_it_back),
		cmocka_unit_test(udp_is_filtered),
		cmocka_unit_test(what_a_filter_loads),
		cmocka_unit_test(what_is_beside_a_packet),
		cmocka_unit_test(udp_over_ipv6),
		cmocka_unit_test(tcp_data_is_lost_and_comes_again),
		cmocka_unit_test(tcp_segments_can_be_cut),
		cmocka_unit_test(tcp_children_inherit),
		cmocka_unit_test(tcp_connections_are_not_heard_of),
		cmocka_unit_test(unix_datagrams),
		cmocka_unit_test(unix_streams_are_not),
		cmocka_unit_test(netlink_answers),
		cmocka_unit_test(attributes_are_found),
		cmocka_unit_test(raw_icmp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
