/* SPDX-License-Identifier: MIT */
/* /proc/net/snmp, snmp6, netstat, sockstat, protocols: they count what this program does (and others: never less). */
#include "tests/lib/inet.h"

static unsigned words(char *line, char *word[], unsigned max)
{
	unsigned n = 0;

	for (char *w = strtok(line, " \t\n"); w && n < max; w = strtok(NULL, " \t\n"))
		word[n++] = w;
	return n;
}

/* The value below `key` in the pair of lines that begin with `group:`; each pair must fit. -1: it is not there. */
static long long counter(const char *file, const char *group, const char *key)
{
	static char names[8192], values[8192];
	char *name[256], *value[256];
	FILE *f = fopen(file, "r");
	long long found = -1;

	assert_non_null(f);
	while (fgets(names, sizeof(names), f)) {
		unsigned n, m;

		assert_non_null(fgets(values, sizeof(values), f));
		n = words(names, name, 256);
		m = words(values, value, 256);
		assert_int_equal(n, m);
		assert_string_equal(name[0], value[0]);
		for (unsigned i = 1; i < n && !strncmp(name[0], group, strlen(group)) && name[0][strlen(group)] == ':'; i++)
			if (!strcmp(name[i], key))
				found = atoll(value[i]);
	}
	fclose(f);
	return found;
}

static long long snmp(const char *group, const char *key)
{
	long long n = counter("/proc/net/snmp", group, key);

	assert_true(n >= 0);
	return n;
}

/* What stands behind key, in its own line; for sockstat behind group and key. */
static long long behind(const char *file, const char *first, const char *key)
{
	char line[512], *word[32];
	FILE *f = fopen(file, "r");
	long long found = -1;

	assert_non_null(f);
	while (found < 0 && fgets(line, sizeof(line), f)) {
		unsigned n = words(line, word, 32);

		for (unsigned i = 0; n && !strcmp(word[0], first) && i + 1 < n; i++)
			if (!strcmp(word[i], key))
				found = atoll(word[i + 1]);
	}
	fclose(f);
	assert_true(found >= 0);
	return found;
}

static long long snmp6(const char *key)
{
	return behind("/proc/net/snmp6", key, key);
}

static void datagrams_are_counted(void **state)
{
	long long out = snmp("Udp", "OutDatagrams"), in = snmp("Udp", "InDatagrams"), lost = snmp("Udp", "NoPorts");
	long long full = snmp("Udp", "RcvbufErrors"), packets = snmp("Ip", "OutRequests"), icmp = snmp("Icmp", "InDestUnreachs");
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
	static char big[2000];
	char c;

	ASSERT_OK(bind4(b, INADDR_LOOPBACK, 0));
	set_option(b, SO_RCVBUF, 1);
	ASSERT_OK(connect4(a, INADDR_LOOPBACK, port_of(b)));
	assert_int_equal(send(a, "x", 1, 0), 1);
	assert_int_equal(recv(b, &c, 1, MSG_PEEK), 1);
	assert_int_equal(snmp("Udp", "OutDatagrams") > out, 1);
	assert_int_equal(recv(b, &c, 1, 0), 1);
	assert_true(snmp("Udp", "InDatagrams") >= in + 1);
	assert_true(snmp("Ip", "OutRequests") >= packets + 1);
	for (int i = 0; i < 50; i++)
		assert_int_equal(send(a, big, sizeof(big), 0), sizeof(big));
	assert_true(snmp("Udp", "RcvbufErrors") > full);
	close(b);
	assert_int_equal(send(a, "x", 1, 0), 1);
	assert_true(snmp("Udp", "NoPorts") >= lost + 1);
	assert_true(snmp("Icmp", "InDestUnreachs") >= icmp + 1);
	close(a);
}

static void datagrams_of_ipv6_are_counted(void **state)
{
	long long out = snmp6("Udp6OutDatagrams"), in = snmp6("Udp6InDatagrams"), packets = snmp6("Ip6InReceives");
	int a = socket(AF_INET6, SOCK_DGRAM, 0), b = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in6 to = in_addr6(&in6addr_loopback, 0);
	char c;

	ASSERT_OK(bind(b, (struct sockaddr *)&to, sizeof(to)));
	to.sin6_port = htons((uint16_t)port_of(b));
	assert_int_equal(sendto(a, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	assert_int_equal(recv(b, &c, 1, 0), 1);
	assert_true(snmp6("Udp6OutDatagrams") >= out + 1);
	assert_true(snmp6("Udp6InDatagrams") >= in + 1);
	assert_true(snmp6("Ip6InReceives") >= packets + 1);
	close(a);
	close(b);
}

static void connections_are_counted(void **state)
{
	long long active = snmp("Tcp", "ActiveOpens"), passive = snmp("Tcp", "PassiveOpens"), fails = snmp("Tcp", "AttemptFails");
	long long out = snmp("Tcp", "OutSegs"), in = snmp("Tcp", "InSegs"), resets = snmp("Tcp", "EstabResets"), rsts = snmp("Tcp", "OutRsts");
	struct linger now = { 1, 0 };
	unsigned port;
	int sv[2], fd, l;
	char c;

	tcp_pair(sv);
	assert_true(snmp("Tcp", "ActiveOpens") >= active + 1);
	assert_true(snmp("Tcp", "PassiveOpens") >= passive + 1);
	assert_true(snmp("Tcp", "CurrEstab") >= 2);
	assert_true(behind("/proc/net/sockstat", "TCP:", "inuse") >= 2);
	assert_true(behind("/proc/net/sockstat", "TCP:", "alloc") >= 2);
	assert_true(behind("/proc/net/sockstat", "sockets:", "used") >= 2);
	assert_int_equal(send(sv[0], "x", 1, 0), 1);
	assert_int_equal(recv(sv[1], &c, 1, 0), 1);
	assert_true(snmp("Tcp", "OutSegs") >= out + 1);
	assert_true(snmp("Tcp", "InSegs") >= in + 1);
	ASSERT_OK(setsockopt(sv[0], SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	close(sv[0]);
	wait_events(sv[1], POLLHUP);
	assert_true(snmp("Tcp", "EstabResets") >= resets + 1);
	assert_true(snmp("Tcp", "OutRsts") >= rsts + 1);
	close(sv[1]);
	l = tcp_listener(1, &port);
	close(l);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_ERR(connect4(fd, INADDR_LOOPBACK, port), ECONNREFUSED);
	assert_true(snmp("Tcp", "AttemptFails") >= fails + 1);
	close(fd);
}

static void other_tables_have_their_form(void **state)
{
	int fd = socket(AF_INET6, SOCK_DGRAM, 0), tcp = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in6 any = in_addr6(&in6addr_any, 0);
	char line[256];
	FILE *f;
	int n = 0;

	ASSERT_OK(bind(fd, (struct sockaddr *)&any, sizeof(any)));
	assert_true(behind("/proc/net/sockstat6", "UDP6:", "inuse") >= 1);
	assert_true(counter("/proc/net/netstat", "TcpExt", "ListenOverflows") >= 0);
	assert_true(counter("/proc/net/netstat", "IpExt", "InOctets") >= 0);
	f = fopen("/proc/net/protocols", "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	assert_int_equal(strncmp(line, "protocol  size sockets", 22), 0);
	while (fgets(line, sizeof(line), f)) {
		char name[32];
		unsigned size, sockets;

		assert_int_equal(sscanf(line, "%31s %u %u", name, &size, &sockets), 3);
		n += (!strcmp(name, "TCP") || !strcmp(name, "UDPv6")) && sockets >= 1;
	}
	fclose(f);
	assert_int_equal(n, 2);
	close(fd);
	close(tcp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams_are_counted),
		cmocka_unit_test(datagrams_of_ipv6_are_counted),
		cmocka_unit_test(connections_are_counted),
		cmocka_unit_test(other_tables_have_their_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
