/* SPDX-License-Identifier: MIT */
/*
 * AF_NETLINK: families, names, dumps of NETLINK_ROUTE, errors and ACKs, malformed requests; what the library makes of it
 * (getifaddrs, if_nameindex), and the same facts by ioctl.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/sock.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>

static int route_socket(void)
{
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	assert_true(s >= 0);
	set_timeout(s, SO_RCVTIMEO, 30000);
	return s;
}

static void families_and_types(void **state)
{
	ASSERT_ERR(socket(AF_NETLINK, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
	ASSERT_ERR(socket(AF_NETLINK, SOCK_RAW, 32), EPROTONOSUPPORT);
	ASSERT_ERR(socket(AF_NETLINK, SOCK_RAW, -1), EPROTONOSUPPORT);
	assert_true(socket(AF_NETLINK, SOCK_DGRAM, 0) >= 0);
}

static void names(void **state)
{
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK }, got;
	socklen_t n = sizeof(got);
	int a = route_socket(), b = route_socket();

	assert_int_equal(getsockname(a, (struct sockaddr *)&got, &n), 0);
	assert_int_equal(n, sizeof(got));
	assert_int_equal(got.nl_pid, 0);
	assert_int_equal(bind(a, (struct sockaddr *)&nl, sizeof(nl)), 0);
	assert_int_equal(getsockname(a, (struct sockaddr *)&got, &n), 0);
	assert_int_equal(got.nl_pid, getpid());
	nl.nl_pid = (unsigned)getpid();
	ASSERT_ERR(bind(b, (struct sockaddr *)&nl, sizeof(nl)), EADDRINUSE);
	nl.nl_pid = 0;
	assert_int_equal(bind(b, (struct sockaddr *)&nl, sizeof(nl)), 0);
	assert_int_equal(getsockname(b, (struct sockaddr *)&got, &n), 0);
	assert_true((int)got.nl_pid < 0);
	nl.nl_pid = 77;
	ASSERT_ERR(bind(a, (struct sockaddr *)&nl, sizeof(nl)), EINVAL);
	ASSERT_ERR(bind(a, (struct sockaddr *)&nl, sizeof(nl) - 1), EINVAL);
	nl.nl_family = AF_UNIX;
	ASSERT_ERR(bind(a, (struct sockaddr *)&nl, sizeof(nl)), EINVAL);
	ASSERT_ERR(listen(a, 1), EOPNOTSUPP);
	ASSERT_ERR(shutdown(a, SHUT_RD), EOPNOTSUPP);
	ASSERT_ERR(send(a, "", 0, 0), ENODATA);
	ASSERT_ERR(send(a, "x", 1, MSG_OOB), EOPNOTSUPP);
	ASSERT_ERR(recv(a, &nl, 1, MSG_DONTWAIT), EAGAIN);
	assert_int_equal(int_option(a, SO_PROTOCOL), NETLINK_ROUTE);
	assert_int_equal(int_option(a, SO_DOMAIN), AF_NETLINK);
}

struct request { struct nlmsghdr h; union { struct rtgenmsg g; struct ifinfomsg i; struct rtmsg r; char room[64]; }; };

static struct request request_of(int type, int flags, size_t body)
{
	return (struct request){ .h = { .nlmsg_len = NLMSG_LENGTH(body), .nlmsg_type = (uint16_t)type,
					.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags), .nlmsg_seq = 42 } };
}

/* The number of messages of a type in a whole dump; each is handed to fn. */
static int dump(int s, struct request *rq, int type, void (*fn)(const struct nlmsghdr *))
{
	__attribute__((aligned(8))) char buf[32768];
	int count = 0;

	assert_int_equal(send(s, rq, rq->h.nlmsg_len, 0), rq->h.nlmsg_len);
	for (;;) {
		struct sockaddr_nl from;
		socklen_t n = sizeof(from);
		ssize_t len = recvfrom(s, buf, sizeof(buf), 0, (struct sockaddr *)&from, &n);

		assert_true(len > 0);
		assert_int_equal(n, sizeof(from));
		assert_int_equal(from.nl_pid, 0);
		for (struct nlmsghdr *h = (struct nlmsghdr *)buf; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
			assert_int_equal(h->nlmsg_seq, 42);
			assert_true(h->nlmsg_flags & NLM_F_MULTI);
			if (h->nlmsg_type == NLMSG_DONE)
				return count;
			assert_int_equal(h->nlmsg_type, type);
			count++;
			if (fn)
				fn(h);
		}
	}
}

static bool saw_lo;

static void look_for_lo(const struct nlmsghdr *h)
{
	const struct ifinfomsg *m = NLMSG_DATA(h);
	int left = (int)IFLA_PAYLOAD(h);

	for (const struct rtattr *a = IFLA_RTA(m); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFLA_IFNAME && !strcmp(RTA_DATA(a), "lo"))
			saw_lo = m->ifi_index == 1 && m->ifi_type == ARPHRD_LOOPBACK && (m->ifi_flags & IFF_LOOPBACK);
}

static void dumps_end_and_show_lo(void **state)
{
	struct request rq = request_of(RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	int s = route_socket();

	saw_lo = false;
	assert_true(dump(s, &rq, RTM_NEWLINK, look_for_lo) >= 1);
	assert_true(saw_lo);
	rq = request_of(RTM_GETLINK, NLM_F_DUMP, sizeof(struct rtgenmsg)); /* as the library asks */
	assert_true(dump(s, &rq, RTM_NEWLINK, NULL) >= 1);
	rq = request_of(RTM_GETADDR, NLM_F_DUMP, sizeof(struct rtgenmsg));
	dump(s, &rq, RTM_NEWADDR, NULL);
	rq.g.rtgen_family = AF_INET;
	dump(s, &rq, RTM_NEWADDR, NULL);
	rq = request_of(RTM_GETROUTE, NLM_F_DUMP, sizeof(struct rtmsg));
	dump(s, &rq, RTM_NEWROUTE, NULL);
	rq.r.rtm_family = AF_INET;
	dump(s, &rq, RTM_NEWROUTE, NULL);
	ASSERT_ERR(recv(s, &rq, sizeof(rq), MSG_DONTWAIT), EAGAIN);
}

static unsigned tables; /* one bit each */

static void look_at_table(const struct nlmsghdr *h)
{
	const struct fib_rule_hdr *m = NLMSG_DATA(h);

	tables |= m->table == RT_TABLE_LOCAL ? 1 : m->table == RT_TABLE_MAIN ? 2 : m->table == RT_TABLE_DEFAULT ? 4 : 0;
}

static void rules_and_neighbours(void **state)
{
	struct request rq = request_of(RTM_GETRULE, NLM_F_DUMP, sizeof(struct fib_rule_hdr));
	int s = route_socket();
	char line[256];
	FILE *f = fopen("/proc/net/arp", "r");

	rq.g.rtgen_family = AF_INET;
	tables = 0;
	assert_true(dump(s, &rq, RTM_NEWRULE, look_at_table) >= 3);
	assert_int_equal(tables, 7);
	rq = request_of(RTM_GETNEIGH, NLM_F_DUMP, sizeof(struct ndmsg));
	rq.g.rtgen_family = AF_INET;
	dump(s, &rq, RTM_NEWNEIGH, NULL);
	close(s);
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	assert_string_equal(line, "IP address       HW type     Flags       HW address            Mask     Device\n");
	fclose(f);
}

/* Sends and gives the error of the answer, which must be one. */
static int error_of(int s, const void *rq, size_t len)
{
	__attribute__((aligned(8))) char buf[8192];
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;
	const struct nlmsgerr *e = NLMSG_DATA(h);
	ssize_t n;

	assert_int_equal(send(s, rq, len, 0), len);
	n = recv(s, buf, sizeof(buf), 0);
	assert_true(n >= (ssize_t)NLMSG_LENGTH(sizeof(*e)));
	assert_int_equal(h->nlmsg_type, NLMSG_ERROR);
	assert_int_equal(h->nlmsg_seq, ((const struct nlmsghdr *)rq)->nlmsg_seq);
	assert_memory_equal(&e->msg, rq, sizeof(struct nlmsghdr));
	return e->error;
}

static void errors_and_acks(void **state)
{
	struct request rq = request_of(RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	int s = route_socket();

	assert_int_equal(error_of(s, &rq, rq.h.nlmsg_len), -EINVAL); /* which one? */
	rq.i.ifi_index = 12345;
	assert_int_equal(error_of(s, &rq, rq.h.nlmsg_len), -ENODEV);
	rq = request_of(NLMSG_NOOP, NLM_F_ACK, 0);
	assert_int_equal(error_of(s, &rq, rq.h.nlmsg_len), 0);
	rq = request_of(RTM_MAX + 100, 0, 4);
	assert_int_equal(error_of(s, &rq, rq.h.nlmsg_len), -EOPNOTSUPP);
	rq = request_of(RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	rq.h.nlmsg_flags = NLM_F_ACK; /* no request */
	assert_int_equal(error_of(s, &rq, rq.h.nlmsg_len), 0);
}

static long change(void *arg)
{
	struct request rq = request_of(RTM_NEWLINK, NLM_F_ACK, sizeof(struct ifinfomsg));
	int s = *(int *)arg;

	rq.i.ifi_index = 1;
	rq.i.ifi_change = IFF_UP;
	return error_of(s, &rq, rq.h.nlmsg_len) == -EPERM ? 0 : -1;
}

static void who_may_not_change_is_told(void **state)
{
	int s = route_socket();

	if (geteuid() != 0)
		skip();
	assert_int_equal(bg_as_user(65534, change, &s), 0);
}

/* ip link set lo up */
static void what_is_so_may_be_said_again(void **state)
{
	struct request rq = request_of(RTM_NEWLINK, NLM_F_ACK, sizeof(struct ifinfomsg));
	struct ifreq ifr = { .ifr_name = "lo" };
	int s = route_socket(), fd = socket(AF_INET, SOCK_DGRAM, 0);

	ASSERT_OK(ioctl(fd, SIOCGIFFLAGS, &ifr));
	if (geteuid() != 0 || !(ifr.ifr_flags & IFF_UP))
		skip();
	rq.i.ifi_index = 1;
	rq.i.ifi_change = rq.i.ifi_flags = IFF_UP;
	assert_int_equal(error_of(s, &rq, rq.h.nlmsg_len), 0);
	ASSERT_OK(ioctl(fd, SIOCSIFFLAGS, &ifr));
	strcpy(ifr.ifr_name, "none9");
	ASSERT_ERR(ioctl(fd, SIOCSIFFLAGS, &ifr), ENODEV);
	rq.i.ifi_index = 12345;
	assert_int_equal(error_of(s, &rq, rq.h.nlmsg_len), -ENODEV);
	close(fd);
	close(s);
}

static void one_link(void **state)
{
	__attribute__((aligned(8))) char buf[8192];
	struct request rq = request_of(RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	struct nlmsghdr *h = (struct nlmsghdr *)buf;
	int s = route_socket();

	rq.i.ifi_index = 1;
	assert_int_equal(send(s, &rq, rq.h.nlmsg_len, 0), rq.h.nlmsg_len);
	assert_true(recv(s, buf, 16, MSG_PEEK | MSG_TRUNC) > 100); /* the whole length */
	assert_true(recv(s, buf, sizeof(buf), 0) > 100);
	assert_int_equal(h->nlmsg_type, RTM_NEWLINK);
	assert_int_equal(h->nlmsg_flags & NLM_F_MULTI, 0);
	saw_lo = false;
	look_for_lo(h);
	assert_true(saw_lo);
}

/* Nothing comes of these, and nothing breaks. */
static void malformed_requests_are_dropped(void **state)
{
	struct request rq;
	char buf[64] = { 0 };
	int s = route_socket();
	const uint32_t lens[] = { 0, 1, 15, 17, 0x7fffffff, 0xffffffff, 64 };

	assert_int_equal(send(s, buf, 1, 0), 1);
	assert_int_equal(send(s, buf, 15, 0), 15);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		rq = request_of(RTM_GETLINK, NLM_F_DUMP, 0);
		rq.h.nlmsg_len = lens[i];
		assert_int_equal(send(s, &rq, 16, 0), 16);
		ASSERT_ERR(recv(s, buf, sizeof(buf), MSG_DONTWAIT), EAGAIN);
	}
	rq = request_of(RTM_GETLINK, NLM_F_DUMP, 0); /* no family: ignored */
	assert_int_equal(send(s, &rq, 16, 0), 16);
	ASSERT_ERR(recv(s, buf, sizeof(buf), MSG_DONTWAIT), EAGAIN);
	for (uint16_t len = 0; len < 40; len++) { /* attributes of any length */
		struct rtattr *a = (struct rtattr *)(rq.room + sizeof(struct ifinfomsg));
		ssize_t n;

		rq = request_of(RTM_GETLINK, 0, sizeof(struct ifinfomsg) + 8);
		a->rta_type = IFLA_IFNAME;
		a->rta_len = len;
		assert_int_equal(send(s, &rq, rq.h.nlmsg_len, 0), rq.h.nlmsg_len);
		n = recv(s, buf, sizeof(buf), 0);
		assert_true(n >= 36); /* an error, whichever */
	}
}

static void a_flood_is_lost_not_kept(void **state)
{
	struct request rq = request_of(RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	int s = route_socket(), n = 0;
	char buf[8192];

	set_option(s, SO_RCVBUF, 4096);
	rq.h.nlmsg_type = NLMSG_NOOP;
	rq.h.nlmsg_flags = NLM_F_ACK;
	for (int i = 0; i < 1000; i++)
		send(s, &rq, rq.h.nlmsg_len, 0);
	ASSERT_ERR(recv(s, buf, sizeof(buf), MSG_DONTWAIT), ENOBUFS);
	while (recv(s, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		n++;
	assert_in_range(n, 1, 500);
}

static void the_library_finds_lo(void **state)
{
	struct if_nameindex *ni = if_nameindex();
	struct ifaddrs *all;
	bool found = false, inet = false;

	assert_non_null(ni);
	assert_int_equal(ni[0].if_index, 1);
	assert_string_equal(ni[0].if_name, "lo");
	if_freenameindex(ni);
	assert_int_equal(getifaddrs(&all), 0);
	for (struct ifaddrs *i = all; i; i = i->ifa_next)
		if (!strcmp(i->ifa_name, "lo") && i->ifa_addr) {
			found |= i->ifa_addr->sa_family == AF_PACKET;
			inet |= i->ifa_addr->sa_family == AF_INET &&
				((struct sockaddr_in *)i->ifa_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK);
		}
	freeifaddrs(all);
	assert_true(found);
	assert_true(inet);
}

static void ioctls_tell_the_same(void **state)
{
	int s = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct ifreq rq = { .ifr_name = "lo" };
	struct ifreq list[16];
	struct ifconf conf = { .ifc_len = sizeof(list), .ifc_req = list };

	assert_int_equal(ioctl(s, SIOCGIFINDEX, &rq), 0);
	assert_int_equal(rq.ifr_ifindex, 1);
	assert_int_equal(ioctl(s, SIOCGIFNAME, &rq), 0);
	assert_string_equal(rq.ifr_name, "lo");
	assert_int_equal(ioctl(s, SIOCGIFFLAGS, &rq), 0);
	assert_true(rq.ifr_flags & IFF_LOOPBACK);
	assert_int_equal(ioctl(s, SIOCGIFMTU, &rq), 0);
	assert_int_equal(rq.ifr_mtu, 65536);
	assert_int_equal(ioctl(s, SIOCGIFHWADDR, &rq), 0);
	assert_int_equal(rq.ifr_hwaddr.sa_family, ARPHRD_LOOPBACK);
	s = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(ioctl(s, SIOCGIFADDR, &rq), 0);
	assert_int_equal(((struct sockaddr_in *)&rq.ifr_addr)->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	assert_int_equal(ioctl(s, SIOCGIFNETMASK, &rq), 0);
	assert_int_equal(((struct sockaddr_in *)&rq.ifr_netmask)->sin_addr.s_addr, htonl(0xff000000));
	assert_int_equal(ioctl(s, SIOCGIFCONF, &conf), 0);
	assert_true(conf.ifc_len >= (int)sizeof(list[0]));
	assert_string_equal(list[0].ifr_name, "lo");
	strcpy(rq.ifr_name, "nosuch0");
	ASSERT_ERR(ioctl(s, SIOCGIFINDEX, &rq), ENODEV);
	rq.ifr_ifindex = 4711;
	ASSERT_ERR(ioctl(s, SIOCGIFNAME, &rq), ENODEV);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(families_and_types),
		cmocka_unit_test(names),
		cmocka_unit_test(dumps_end_and_show_lo),
		cmocka_unit_test(rules_and_neighbours),
		cmocka_unit_test(errors_and_acks),
		cmocka_unit_test(who_may_not_change_is_told),
		cmocka_unit_test(what_is_so_may_be_said_again),
		cmocka_unit_test(one_link),
		cmocka_unit_test(malformed_requests_are_dropped),
		cmocka_unit_test(a_flood_is_lost_not_kept),
		cmocka_unit_test(the_library_finds_lo),
		cmocka_unit_test(ioctls_tell_the_same),
	};

	return FILE_RUN_HERE(tests);
}
