/* SPDX-License-Identifier: MIT */
/* Who may have a port: SO_REUSEADDR, SO_REUSEPORT, TIME_WAIT, ephemeral ports. man 7 socket, inet_csk_get_port(). */
#include "tests/lib/inet.h"

#include <linux/filter.h>

#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF 68
#endif

static int stream(int reuse, int reuseport)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ASSERT_OK(fd);
	set_option(fd, SO_REUSEADDR, reuse);
	set_option(fd, SO_REUSEPORT, reuseport);
	return fd;
}

static void a_port_belongs_to_one(void **state)
{
	int a = stream(0, 0), b = stream(0, 0);
	unsigned port;

	ASSERT_OK(bind4(a, INADDR_LOOPBACK, 0));
	port = port_of(a);
	assert_in_range(port, 1024, 65535);
	ASSERT_ERR(bind4(b, INADDR_LOOPBACK, port), EADDRINUSE);
	ASSERT_ERR(bind4(b, INADDR_ANY, port), EADDRINUSE);
	ASSERT_OK(bind4(b, 0x7f000002, port)); /* another address */
	close(a);
	close(b);
}

static void reuseaddr_shares_until_one_listens(void **state)
{
	int a = stream(1, 0), b = stream(1, 0), c = stream(0, 0);
	unsigned port;

	ASSERT_OK(bind4(a, INADDR_LOOPBACK, 0));
	port = port_of(a);
	ASSERT_ERR(bind4(c, INADDR_LOOPBACK, port), EADDRINUSE);
	ASSERT_OK(bind4(b, INADDR_LOOPBACK, port));
	ASSERT_OK(listen(a, 1));
	ASSERT_ERR(listen(b, 1), EADDRINUSE);
	close(b);
	b = stream(1, 0);
	ASSERT_ERR(bind4(b, INADDR_LOOPBACK, port), EADDRINUSE);
	close(a);
	ASSERT_OK(bind4(b, INADDR_LOOPBACK, port));
	close(b);
	close(c);
}

static void reuseport_spreads_connections(void **state)
{
	int l[2] = { stream(0, 1), stream(0, 1) }, other = stream(1, 0), got[2] = { 0 }, c[40];
	unsigned port;

	ASSERT_OK(bind4(l[0], INADDR_LOOPBACK, 0));
	port = port_of(l[0]);
	ASSERT_OK(listen(l[0], 64));
	ASSERT_OK(bind4(l[1], INADDR_LOOPBACK, port));
	ASSERT_OK(listen(l[1], 64));
	ASSERT_ERR(bind4(other, INADDR_LOOPBACK, port), EADDRINUSE);
	for (int i = 0; i < 40; i++) {
		c[i] = socket(AF_INET, SOCK_STREAM, 0);
		ASSERT_OK(connect4(c[i], INADDR_LOOPBACK, port));
	}
	for (int k = 0; k < 2; k++) {
		int a;

		nonblock(l[k], true);
		while ((a = accept(l[k], NULL, NULL)) >= 0) {
			got[k]++;
			close(a);
		}
	}
	assert_int_equal(got[0] + got[1], 40);
	assert_in_range(got[0], 1, 39);
	for (int i = 0; i < 40; i++)
		close(c[i]);
	close(l[0]);
	close(l[1]);
	close(other);
}

/* The side that closes first stays in TIME_WAIT. */
static void time_wait_keeps_the_port(void **state)
{
	int l = stream(1, 0), c, a, again;
	unsigned port;
	char b;

	ASSERT_OK(bind4(l, INADDR_LOOPBACK, 0));
	ASSERT_OK(listen(l, 5));
	port = port_of(l);
	c = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
	a = accept(l, NULL, NULL);
	close(a);
	assert_int_equal(read(c, &b, 1), 0);
	close(c);
	close(l);
	usleep(20000);
	again = stream(0, 0);
	ASSERT_ERR(bind4(again, INADDR_LOOPBACK, port), EADDRINUSE);
	close(again);
	again = stream(1, 0);
	ASSERT_OK(bind4(again, INADDR_LOOPBACK, port));
	ASSERT_OK(listen(again, 5));
	close(again);
}

static void connections_keep_the_port_too(void **state)
{
	int l = stream(0, 0), c, a, again;
	unsigned port;

	ASSERT_OK(bind4(l, INADDR_LOOPBACK, 0));
	ASSERT_OK(listen(l, 5));
	port = port_of(l);
	c = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
	a = accept(l, NULL, NULL);
	close(l);
	again = stream(1, 0);
	ASSERT_ERR(bind4(again, INADDR_LOOPBACK, port), EADDRINUSE); /* the connection's socket did not allow it */
	set_option(a, SO_REUSEADDR, 1);
	ASSERT_OK(bind4(again, INADDR_LOOPBACK, port));
	close(again);
	close(a);
	close(c);
}

static void udp_shares_only_if_all_agree(void **state)
{
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
	unsigned port;

	ASSERT_OK(bind4(a, INADDR_LOOPBACK, 0));
	port = port_of(a);
	set_option(b, SO_REUSEADDR, 1);
	ASSERT_ERR(bind4(b, INADDR_LOOPBACK, port), EADDRINUSE);
	set_option(a, SO_REUSEADDR, 1);
	ASSERT_OK(bind4(b, INADDR_LOOPBACK, port));
	close(a);
	close(b);
	/* TCP's port is another one */
	a = socket(AF_INET, SOCK_DGRAM, 0);
	b = stream(0, 0);
	ASSERT_OK(bind4(a, INADDR_LOOPBACK, 0));
	ASSERT_OK(bind4(b, INADDR_LOOPBACK, port_of(a)));
	close(a);
	close(b);
}

static void ephemeral_ports_differ_and_suffice(void **state)
{
	enum { N = 300 };
	int fd[N];
	unsigned first;

	for (int i = 0; i < N; i++) {
		fd[i] = stream(0, 0);
		ASSERT_OK(bind4(fd[i], INADDR_LOOPBACK, 0));
		assert_in_range(port_of(fd[i]), 32768, 60999);
	}
	first = port_of(fd[0]);
	for (int i = 1; i < N; i++)
		assert_int_not_equal(port_of(fd[i]), first);
	for (int i = 0; i < N; i++)
		close(fd[i]);
}

static void a_specific_listener_goes_first(void **state)
{
	int any = stream(1, 0), one = stream(1, 0), c = socket(AF_INET, SOCK_STREAM, 0);
	unsigned port;

	ASSERT_OK(bind4(any, INADDR_ANY, 0));
	port = port_of(any);
	ASSERT_OK(bind4(one, INADDR_LOOPBACK, port));
	ASSERT_OK(listen(one, 1));
	close(any);
	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
	nonblock(one, true);
	wait_events(one, POLLIN);
	close(ASSERT_OK(accept(one, NULL, NULL)));
	close(c);
	close(one);
}

/* --- programs that choose ---------------------------------------------------------------------------------------------- */

static int attach(int fd, const struct sock_filter *f, unsigned n)
{
	struct sock_fprog p = { (unsigned short)n, (struct sock_filter *)(uintptr_t)f };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &p, sizeof(p)) < 0 ? errno : 0;
}

static int detach(int fd)
{
	int dummy = 0;

	return setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &dummy, sizeof(dummy)) < 0 ? errno : 0;
}

static int sharing(int type, unsigned *port)
{
	int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0), on = 1;

	ASSERT_OK(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	ASSERT_OK(bind4(fd, INADDR_LOOPBACK, *port));
	*port = port_of(fd);
	if (type == SOCK_STREAM)
		ASSERT_OK(listen(fd, 5));
	return fd;
}

/* The first byte of the data, '0' for the first socket. */
static const struct sock_filter by_data[] = { BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, '0'),
					      BPF_STMT(BPF_RET | BPF_A, 0) };

static void a_program_chooses_for_datagrams(void **state)
{
	int fd[4], from = socket(AF_INET, SOCK_DGRAM, 0), dummy = 0;
	unsigned port = 0, got = 0;
	char c;

	for (int i = 0; i < 3; i++)
		fd[i] = sharing(SOCK_DGRAM, &port);
	assert_int_equal(attach(from, by_data, 3), EINVAL); /* does not share */
	assert_int_equal(detach(from), EINVAL);
	assert_int_equal(detach(fd[0]), ENOENT);
	assert_int_equal(attach(fd[0], by_data, 2), EINVAL); /* does not end */
	assert_int_equal(setsockopt(fd[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &dummy, sizeof(dummy)) < 0 ? errno : 0, EINVAL);
	assert_int_equal(attach(fd[0], by_data, 3), 0);
	fd[3] = sharing(SOCK_DGRAM, &port); /* who comes later belongs to it */
	ASSERT_OK(connect4(from, INADDR_LOOPBACK, port));
	for (int i = 3; i >= 0; i--) {
		c = (char)('0' + i);
		ASSERT_OK(send(from, &c, 1, 0));
		assert_int_equal(recv(fd[i], &c, 1, 0), 1);
		assert_int_equal(c, '0' + i);
	}
	ASSERT_OK(send(from, "9", 1, 0)); /* nobody has that number: as without it */
	for (int i = 0; i < 4; i++)
		got += recv(fd[i], &c, 1, 0) == 1;
	assert_int_equal(got, 1);
	close(fd[0]); /* the program stays the group's, and the last comes in its place */
	ASSERT_OK(send(from, "0", 1, 0));
	assert_int_equal(recv(fd[3], &c, 1, 0), 1);
	ASSERT_OK(send(from, "2", 1, 0));
	assert_int_equal(recv(fd[2], &c, 1, 0), 1);
	assert_int_equal(detach(fd[1]), 0);
	assert_int_equal(detach(fd[2]), ENOENT);
	for (int i = 1; i < 4; i++)
		close(fd[i]);
	close(from);
}

static void a_program_chooses_for_connections(void **state)
{
	int fd[3], c;
	unsigned port = 0;
	const struct sock_filter last[] = { BPF_STMT(BPF_RET | BPF_K, 2) };

	for (int i = 0; i < 3; i++)
		fd[i] = sharing(SOCK_STREAM, &port);
	assert_int_equal(attach(fd[1], last, 1), 0);
	for (int i = 0; i < 4; i++) {
		c = socket(AF_INET, SOCK_STREAM, 0);
		ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
		wait_events(fd[2], POLLIN);
		close(ASSERT_OK(accept(fd[2], NULL, NULL)));
		close(c);
	}
	for (int i = 0; i < 3; i++)
		close(fd[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_belongs_to_one),
		cmocka_unit_test(reuseaddr_shares_until_one_listens),
		cmocka_unit_test(reuseport_spreads_connections),
		cmocka_unit_test(time_wait_keeps_the_port),
		cmocka_unit_test(connections_keep_the_port_too),
		cmocka_unit_test(udp_shares_only_if_all_agree),
		cmocka_unit_test(ephemeral_ports_differ_and_suffice),
		cmocka_unit_test(a_specific_listener_goes_first),
		cmocka_unit_test(a_program_chooses_for_datagrams),
		cmocka_unit_test(a_program_chooses_for_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
