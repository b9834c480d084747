/* SPDX-License-Identifier: MIT */
/* /proc/net: the sockets of this program are in the tables, with their states and queues. man 5 proc. */
#include "tests/lib/inet.h"

#include <sys/stat.h>

struct row { unsigned laddr, lport, raddr, rport, state, tx, rx; unsigned long inode; };

/* The row of a socket; false: it is not there. */
static bool find_row(const char *file, int fd, struct row *ret)
{
	struct stat st;
	char line[512];
	FILE *f = fopen(file, "r");
	bool found = false;

	assert_non_null(f);
	ASSERT_OK(fstat(fd, &st));
	assert_non_null(fgets(line, sizeof(line), f));
	assert_non_null(strstr(line, "local_address"));
	while (!found && fgets(line, sizeof(line), f)) {
		int n = sscanf(line, "%*d: %x:%x %x:%x %x %x:%x %*x:%*x %*x %*d %*d %lu", &ret->laddr, &ret->lport, &ret->raddr, &ret->rport,
			       &ret->state, &ret->tx, &ret->rx, &ret->inode);

		assert_int_equal(n, 8);
		found = ret->inode == st.st_ino;
	}
	fclose(f);
	return found;
}

static void tcp_sockets_have_rows(void **state)
{
	unsigned port;
	int l = tcp_listener(5, &port), c = socket(AF_INET, SOCK_STREAM, 0), a;
	struct row r;

	assert_true(find_row("/proc/net/tcp", l, &r));
	assert_int_equal(r.laddr, htonl(INADDR_LOOPBACK));
	assert_int_equal(r.lport, port);
	assert_int_equal(r.state, TCP_LISTEN);
	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
	a = accept(l, NULL, NULL);
	assert_int_equal(write(c, "four", 4), 4);
	wait_events(a, POLLIN);
	assert_true(find_row("/proc/self/net/tcp", a, &r));
	assert_int_equal(r.state, TCP_ESTABLISHED);
	assert_int_equal(r.rport, port_of(c));
	assert_int_equal(r.rx, 4);
	ASSERT_OK(shutdown(c, SHUT_WR));
	wait_events(a, POLLRDHUP);
	assert_true(find_row("/proc/net/tcp", a, &r));
	assert_int_equal(r.state, TCP_CLOSE_WAIT);
	assert_false(find_row("/proc/net/tcp6", a, &r));
	close(a);
	close(c);
	close(l);
}

static void udp_sockets_have_rows(void **state)
{
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET6, SOCK_DGRAM, 0);
	struct row r;

	assert_false(find_row("/proc/net/udp", a, &r));
	ASSERT_OK(bind4(a, INADDR_LOOPBACK, 0));
	assert_true(find_row("/proc/net/udp", a, &r));
	assert_int_equal(r.state, TCP_CLOSE);
	assert_int_equal(r.lport, port_of(a));
	ASSERT_OK(connect4(a, INADDR_LOOPBACK, 9));
	assert_true(find_row("/proc/net/udp", a, &r));
	assert_int_equal(r.state, TCP_ESTABLISHED);
	assert_int_equal(r.rport, 9);
	close(a);
	close(b);
}

static void lo_is_in_the_lists(void **state)
{
	char line[512];
	bool found = false;
	FILE *f = fopen("/proc/net/dev", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		found |= strstr(line, "  lo: ") != NULL;
	fclose(f);
	assert_true(found);
	f = fopen("/proc/net/if_inet6", "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	f = fopen("/proc/net/route", "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	assert_ptr_equal(strstr(line, "Iface"), line);
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_sockets_have_rows),
		cmocka_unit_test(udp_sockets_have_rows),
		cmocka_unit_test(lo_is_in_the_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
