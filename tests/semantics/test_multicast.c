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
		cmocka_unit_test(leaving_ends_it),
		cmocka_unit_test(joining_has_its_errors),
		cmocka_unit_test(ipv6_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
