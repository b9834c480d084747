/* SPDX-License-Identifier: MIT */
/* Multicast over lo: joining, leaving, the sender's own copy. man 7 ip, man 7 ipv6. */
#include "tests/lib/inet.h"

#include <net/if.h>

#define GROUP 0xefff0101u /* 239.255.1.1 */

static int member(unsigned *ret_port)
{
	struct ip_mreq m = { .imr_multiaddr.s_addr = htonl(GROUP), .imr_interface.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	set_option(fd, SO_REUSEADDR, 1);
	ASSERT_OK(bind4(fd, INADDR_ANY, *ret_port));
	*ret_port = port_of(fd);
	ASSERT_OK(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)));
	return fd;
}

static int sender(void)
{
	struct in_addr lo = { htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ASSERT_OK(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &lo, sizeof(lo)));
	return fd;
}

static ssize_t send_group(int fd, unsigned port)
{
	struct sockaddr_in in = in_addr4(GROUP, port);

	return sendto(fd, "m", 1, 0, (struct sockaddr *)&in, sizeof(in));
}

static void all_members_get_a_copy(void **state)
{
	unsigned port = 0;
	int a = member(&port), b = member(&port), s = sender();
	char c;

	assert_int_equal(send_group(s, port), 1);
	assert_int_equal(recv(a, &c, 1, 0), 1);
	assert_int_equal(recv(b, &c, 1, 0), 1);
	ASSERT_ERR(recv(b, &c, 1, MSG_DONTWAIT), EAGAIN);
	close(a);
	close(b);
	close(s);
}

/* lo itself loops, whatever the sender says. */
static void on_lo_the_sender_cannot_prevent_it(void **state)
{
	unsigned port = 0;
	int a = member(&port), s = sender();
	char c;

	ASSERT_OK(set_level(s, IPPROTO_IP, IP_MULTICAST_LOOP, 0));
	assert_int_equal(send_group(s, port), 1);
	assert_int_equal(recv(a, &c, 1, 0), 1);
	close(a);
	close(s);
}

/* The users of a group on lo, by /proc/net/igmp and igmp6. */
static unsigned users4(uint32_t group)
{
	FILE *f = fopen("/proc/net/igmp", "r");
	unsigned found = 0, users, word;
	char line[256], name[32] = "";

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (line[0] != '\t')
			sscanf(line, "%*u %31[^ :]", name);
		else if (!strcmp(name, "lo") && sscanf(line, " %X %u", &word, &users) == 2 && ntohl(word) == group)
			found = users;
	}
	fclose(f);
	return found;
}

static unsigned users6(const char *group)
{
	FILE *f = fopen("/proc/net/igmp6", "r");
	char line[256], name[32], addr[64];
	unsigned found = 0, users;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%*d %31s %63s %u", name, addr, &users) == 3 && !strcmp(name, "lo") && !strcmp(addr, group))
			found = users;
	fclose(f);
	return found;
}

static void proc_net_lists_groups(void **state)
{
	struct ipv6_mreq m = { .ipv6mr_interface = if_nametoindex("lo") };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0), a, b;
	unsigned port = 0;

	assert_int_equal(users4(INADDR_ALLHOSTS_GROUP), 1);
	assert_int_equal(users4(GROUP), 0);
	a = member(&port);
	b = member(&port);
	assert_int_equal(users4(GROUP), 2);
	close(a);
	assert_int_equal(users4(GROUP), 1);
	close(b);
	assert_int_equal(users4(GROUP), 0);
	assert_int_equal(users6("ff020000000000000000000000000001"), 1);
	assert_int_equal(inet_pton(AF_INET6, "ff15::4321", &m.ipv6mr_multiaddr), 1);
	ASSERT_OK(setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m, sizeof(m)));
	assert_int_equal(users6("ff150000000000000000000000004321"), 1);
	close(fd);
	assert_int_equal(users6("ff150000000000000000000000004321"), 0);
}

/* --- filters by source ------------------------------------------------------------------------------------------ */

static int source_option(int fd, int name, uint32_t source)
{
	struct ip_mreq_source m = { .imr_multiaddr.s_addr = htonl(GROUP), .imr_interface.s_addr = htonl(INADDR_LOOPBACK),
				    .imr_sourceaddr.s_addr = htonl(source) };

	return setsockopt(fd, IPPROTO_IP, name, &m, sizeof(m));
}

/* Does fd hear what comes from this address of lo? */
static bool hears(int fd, unsigned port, uint32_t source)
{
	int s = sender();
	bool heard;
	char c;

	ASSERT_OK(bind4(s, source, 0));
	assert_int_equal(send_group(s, port), 1);
	heard = recv(fd, &c, 1, MSG_DONTWAIT) == 1;
	close(s);
	return heard;
}

static int filter_of(int fd, unsigned *ret_mode, uint32_t source[4])
{
	struct { struct ip_msfilter m; uint32_t more[3]; } f = { .m = { .imsf_multiaddr.s_addr = htonl(GROUP), .imsf_numsrc = 4 } };
	socklen_t len = sizeof(f);
	uint32_t *list = (uint32_t *)&f + 4;

	f.m.imsf_interface.s_addr = htonl(INADDR_LOOPBACK);
	ASSERT_OK(getsockopt(fd, IPPROTO_IP, IP_MSFILTER, &f, &len));
	assert_int_equal(len, IP_MSFILTER_SIZE(f.m.imsf_numsrc));
	*ret_mode = f.m.imsf_fmode;
	for (unsigned i = 0; i < f.m.imsf_numsrc; i++)
		source[i] = ntohl(list[i]);
	return (int)f.m.imsf_numsrc;
}

static void a_source_can_be_blocked(void **state)
{
	uint32_t one = INADDR_LOOPBACK + 1, two = INADDR_LOOPBACK + 2, list[4];
	unsigned port = 0, mode;
	int fd = member(&port);

	assert_int_equal(filter_of(fd, &mode, list), 0);
	assert_int_equal(mode, MCAST_EXCLUDE);
	ASSERT_OK(source_option(fd, IP_BLOCK_SOURCE, one));
	assert_false(hears(fd, port, one));
	assert_true(hears(fd, port, two));
	assert_int_equal(filter_of(fd, &mode, list), 1);
	assert_int_equal(list[0], one);
	ASSERT_ERR(source_option(fd, IP_BLOCK_SOURCE, one), EADDRNOTAVAIL);
	ASSERT_ERR(source_option(fd, IP_ADD_SOURCE_MEMBERSHIP, two), EINVAL); /* it hears all but some */
	ASSERT_ERR(source_option(fd, IP_UNBLOCK_SOURCE, two), EADDRNOTAVAIL);
	ASSERT_OK(source_option(fd, IP_UNBLOCK_SOURCE, one));
	assert_true(hears(fd, port, one));
	for (unsigned i = 0; i < 10; i++)
		ASSERT_OK(source_option(fd, IP_BLOCK_SOURCE, one + i));
	ASSERT_ERR(source_option(fd, IP_BLOCK_SOURCE, one + 10), ENOBUFS);
	close(fd);
}

static void a_member_may_hear_some_sources_only(void **state)
{
	uint32_t one = INADDR_LOOPBACK + 1, two = INADDR_LOOPBACK + 2, list[4];
	struct in_addr any = { htonl(INADDR_ANY) };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = any };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	unsigned port, mode;

	ASSERT_OK(bind(fd, (struct sockaddr *)&to, sizeof(to)));
	port = port_of(fd);
	ASSERT_ERR(source_option(fd, IP_BLOCK_SOURCE, one), EINVAL); /* no member */
	ASSERT_OK(source_option(fd, IP_ADD_SOURCE_MEMBERSHIP, one));
	assert_true(hears(fd, port, one));
	assert_false(hears(fd, port, two));
	ASSERT_OK(source_option(fd, IP_ADD_SOURCE_MEMBERSHIP, two));
	assert_true(hears(fd, port, two));
	assert_int_equal(filter_of(fd, &mode, list), 2);
	assert_int_equal(mode, MCAST_INCLUDE);
	ASSERT_OK(source_option(fd, IP_DROP_SOURCE_MEMBERSHIP, one));
	assert_false(hears(fd, port, one));
	ASSERT_OK(source_option(fd, IP_DROP_SOURCE_MEMBERSHIP, two)); /* the last: it leaves */
	ASSERT_ERR(source_option(fd, IP_DROP_SOURCE_MEMBERSHIP, two), EINVAL);
	ASSERT_ERR(setsockopt(fd, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, &any, sizeof(any)), EINVAL);
	close(fd);
}

static void protocol_independent_filters(void **state)
{
	struct group_source_req q = { .gsr_interface = if_nametoindex("lo") };
	struct sockaddr_in group = in_addr4(GROUP, 0), source = in_addr4(INADDR_LOOPBACK + 3, 0), to = in_addr4(INADDR_ANY, 0);
	struct { struct group_filter f; struct sockaddr_storage more; } f = { 0 };
	socklen_t len = sizeof(f);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	unsigned port;

	memcpy(&q.gsr_group, &group, sizeof(group));
	ASSERT_ERR(setsockopt(fd, IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, &q, sizeof(q)), EADDRNOTAVAIL); /* no source's family */
	memcpy(&q.gsr_source, &source, sizeof(source));
	ASSERT_OK(bind(fd, (struct sockaddr *)&to, sizeof(to)));
	port = port_of(fd);
	ASSERT_OK(setsockopt(fd, IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, &q, sizeof(q)));
	assert_true(hears(fd, port, INADDR_LOOPBACK + 3));
	assert_false(hears(fd, port, INADDR_LOOPBACK + 4));
	f.f.gf_interface = q.gsr_interface;
	f.f.gf_numsrc = 2;
	memcpy(&f.f.gf_group, &group, sizeof(group));
	ASSERT_OK(getsockopt(fd, IPPROTO_IP, MCAST_MSFILTER, &f, &len));
	assert_int_equal(f.f.gf_fmode, MCAST_INCLUDE);
	assert_int_equal(f.f.gf_numsrc, 1);
	assert_int_equal(((struct sockaddr_in *)&f.f.gf_slist[0])->sin_addr.s_addr, source.sin_addr.s_addr);
	f.f.gf_fmode = MCAST_EXCLUDE;
	ASSERT_OK(setsockopt(fd, IPPROTO_IP, MCAST_MSFILTER, &f, GROUP_FILTER_SIZE(1)));
	assert_false(hears(fd, port, INADDR_LOOPBACK + 3));
	assert_true(hears(fd, port, INADDR_LOOPBACK + 4));
	f.f.gf_fmode = MCAST_INCLUDE;
	f.f.gf_numsrc = 0;
	ASSERT_OK(setsockopt(fd, IPPROTO_IP, MCAST_MSFILTER, &f, GROUP_FILTER_SIZE(0))); /* hear nobody: leave */
	ASSERT_ERR(setsockopt(fd, IPPROTO_IP, MCAST_LEAVE_SOURCE_GROUP, &q, sizeof(q)), EINVAL);
	close(fd);
}

static void leaving_ends_it(void **state)
{
	struct ip_mreq m = { .imr_multiaddr.s_addr = htonl(GROUP), .imr_interface.s_addr = htonl(INADDR_LOOPBACK) };
	unsigned port = 0;
	int a = member(&port), b, s = sender();
	char c;

	ASSERT_ERR(setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)), EADDRINUSE);
	ASSERT_OK(setsockopt(a, IPPROTO_IP, IP_DROP_MEMBERSHIP, &m, sizeof(m)));
	ASSERT_ERR(setsockopt(a, IPPROTO_IP, IP_DROP_MEMBERSHIP, &m, sizeof(m)), EADDRNOTAVAIL);
	assert_int_equal(send_group(s, port), 1);
	ASSERT_ERR(recv(a, &c, 1, MSG_DONTWAIT), EAGAIN);
	b = member(&port);
	assert_int_equal(send_group(s, port), 1);
	assert_int_equal(recv(a, &c, 1, 0), 1); /* IP_MULTICAST_ALL: that somebody is in the group is enough */
	ASSERT_OK(set_level(a, IPPROTO_IP, IP_MULTICAST_ALL, 0));
	assert_int_equal(send_group(s, port), 1);
	ASSERT_ERR(recv(a, &c, 1, MSG_DONTWAIT), EAGAIN);
	assert_int_equal(recv(b, &c, 1, 0), 1);
	close(a);
	close(b);
	close(s);
}

static void joining_has_its_errors(void **state)
{
	struct ip_mreq m = { .imr_multiaddr.s_addr = htonl(INADDR_LOOPBACK), .imr_interface.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), tcp = socket(AF_INET, SOCK_STREAM, 0);
	struct in_addr addr;
	socklen_t len = sizeof(addr);

	ASSERT_ERR(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)), EINVAL); /* no group */
	ASSERT_ERR(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, 4), EINVAL);
	m.imr_multiaddr.s_addr = htonl(GROUP);
	m.imr_interface.s_addr = htonl(0xc0000201u);
	ASSERT_ERR(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)), ENODEV);
	ASSERT_ERR(setsockopt(tcp, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)), EPROTO);
	ASSERT_ERR(set_level(fd, IPPROTO_IP, IP_MULTICAST_TTL, 300), EINVAL);
	ASSERT_OK(set_level(fd, IPPROTO_IP, IP_MULTICAST_TTL, 7));
	assert_int_equal(level_option(fd, IPPROTO_IP, IP_MULTICAST_TTL), 7);
	addr.s_addr = htonl(INADDR_LOOPBACK);
	ASSERT_OK(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &addr, sizeof(addr)));
	addr.s_addr = 0;
	ASSERT_OK(getsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &addr, &len));
	assert_int_equal(ntohl(addr.s_addr), INADDR_LOOPBACK);
	close(fd);
	close(tcp);
}

static void ipv6_groups(void **state)
{
	struct ipv6_mreq m = { .ipv6mr_interface = if_nametoindex("lo") };
	int a = socket(AF_INET6, SOCK_DGRAM, 0), s = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in6 to;
	char c;

	inet_pton(AF_INET6, "ff01::1234", &m.ipv6mr_multiaddr);
	to = in_addr6(&in6addr_any, 0);
	ASSERT_OK(bind(a, (struct sockaddr *)&to, sizeof(to)));
	ASSERT_OK(setsockopt(a, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m, sizeof(m)));
	ASSERT_OK(set_level(s, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)m.ipv6mr_interface));
	to = in_addr6(&m.ipv6mr_multiaddr, port_of(a));
	ASSERT_ERR(sendto(s, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), ENETUNREACH); /* lo has no route for groups */
	ASSERT_ERR(recv(a, &c, 1, MSG_DONTWAIT), EAGAIN);
	ASSERT_OK(setsockopt(a, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &m, sizeof(m)));
	ASSERT_ERR(set_level(s, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 2), EINVAL);
	close(a);
	close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_members_get_a_copy),
		cmocka_unit_test(on_lo_the_sender_cannot_prevent_it),
		cmocka_unit_test(proc_net_lists_groups),
		cmocka_unit_test(a_source_can_be_blocked),
		cmocka_unit_test(a_member_may_hear_some_sources_only),
		cmocka_unit_test(protocol_independent_filters),
		cmocka_unit_test(leaving_ends_it),
		cmocka_unit_test(joining_has_its_errors),
		cmocka_unit_test(ipv6_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
