/* SPDX-License-Identifier: MIT */
/* TCP without blocking: connect and what it becomes, backlog, time limits, EPOLLOUT, calls that signals interrupt. man 2 connect. */
#include "tests/lib/inet.h"

#include <pthread.h>
#include <signal.h>

static int new_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	ASSERT_OK(fd);
	return fd;
}

static void connect_is_in_progress_then_writable(void **state)
{
	unsigned port;
	int l = tcp_listener(5, &port), c = new_socket();
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
	int ep = epoll_create1(0);

	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, c, &ev));
	assert_int_equal(epoll_wait(ep, &ev, 1, 0), 1); /* not connected: hung up */
	assert_int_equal(ev.events, EPOLLOUT | EPOLLHUP);
	ASSERT_ERR(connect4(c, INADDR_LOOPBACK, port), EINPROGRESS);
	assert_int_equal(epoll_wait(ep, &ev, 1, 30000), 1);
	assert_int_equal(ev.events, EPOLLOUT);
	assert_int_equal(int_option(c, SO_ERROR), 0);
	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port)); /* the first one that looks */
	ASSERT_ERR(connect4(c, INADDR_LOOPBACK, port), EISCONN);
	close(ep);
	close(c);
	close(l);
}

static void a_refused_connect_is_an_error_event(void **state)
{
	unsigned port;
	int l = tcp_listener(5, &port), c = new_socket();

	close(l);
	ASSERT_ERR(connect4(c, INADDR_LOOPBACK, port), EINPROGRESS);
	wait_events(c, POLLERR);
	assert_int_equal(events_now(c), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	assert_int_equal(int_option(c, SO_ERROR), ECONNREFUSED);
	assert_int_equal(int_option(c, SO_ERROR), 0);
	ASSERT_ERR(connect4(c, INADDR_LOOPBACK, port), ECONNABORTED);
	close(c);
}

static void a_read_finds_the_refusal_too(void **state)
{
	unsigned port;
	int l = tcp_listener(5, &port), c = new_socket();
	char b;

	close(l);
	ASSERT_ERR(connect4(c, INADDR_LOOPBACK, port), EINPROGRESS);
	wait_events(c, POLLERR);
	ASSERT_ERR(read(c, &b, 1), ECONNREFUSED);
	assert_int_equal(read(c, &b, 1), 0);
	close(c);
}

static void reading_and_writing_give_eagain(void **state)
{
	int sv[2];
	char b;

	tcp_pair(sv);
	nonblock(sv[0], true);
	ASSERT_ERR(read(sv[0], &b, 1), EAGAIN);
	assert_int_equal(events_now(sv[0]), POLLOUT);
	close_pair(sv);
}

/* Beyond the backlog a connect waits; with room it goes on. */
static void a_full_backlog_holds_connects_up(void **state)
{
	unsigned port;
	int l = tcp_listener(1, &port), c[8], waiting = 0, a;

	for (int i = 0; i < 8; i++) {
		c[i] = new_socket();
		ASSERT_ERR(connect4(c[i], INADDR_LOOPBACK, port), EINPROGRESS);
	}
	usleep(100000);
	for (int i = 0; i < 8; i++)
		waiting += events_now(c[i]) == 0;
	assert_in_range(waiting, 4, 7);
	ASSERT_ERR(connect4(c[7], INADDR_LOOPBACK, port), EALREADY);
	for (int i = 0; i < 2; i++) {
		a = accept(l, NULL, NULL);
		ASSERT_OK(a);
		close(a);
	}
	for (int i = 0; i < 3000 && waiting > 5; i++) {
		usleep(10000);
		waiting = 0;
		for (int k = 0; k < 8; k++)
			waiting += events_now(c[k]) == 0;
	}
	assert_in_range(waiting, 0, 5);
	for (int i = 0; i < 8; i++)
		close(c[i]);
	close(l);
}

static void accepting_waits_as_long_as_it_may(void **state)
{
	unsigned port;
	int l = tcp_listener(1, &port);

	set_timeout(l, SO_RCVTIMEO, 50);
	ASSERT_ERR(accept(l, NULL, NULL), EAGAIN);
	close(l);
}

static void nothing(int sig)
{
}

static void *interrupt_later(void *arg)
{
	usleep(50000);
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

static void signals_interrupt_reads(void **state)
{
	struct sigaction sa = { .sa_handler = nothing };
	pthread_t self = pthread_self(), th;
	int sv[2];
	char b;

	sigaction(SIGUSR1, &sa, NULL);
	tcp_pair(sv);
	ASSERT_RET(pthread_create(&th, NULL, interrupt_later, &self), 0);
	ASSERT_ERR(read(sv[0], &b, 1), EINTR);
	pthread_join(th, NULL);
	close_pair(sv);
}

static size_t fill(int fd)
{
	static char block[50000];
	size_t total = 0;
	ssize_t n;

	while ((n = send(fd, block, sizeof(block), MSG_DONTWAIT)) > 0)
		total += (size_t)n;
	assert_int_equal(errno, EAGAIN);
	return total;
}

static void a_full_socket_gets_an_edge_when_there_is_room(void **state)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLET };
	static char buf[1 << 20];
	int sv[2], ep = epoll_create1(0);
	size_t total, got = 0;

	tcp_pair(sv);
	set_option(sv[0], SO_SNDBUF, 65536);
	total = fill(sv[0]);
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, sv[0], &ev));
	assert_int_equal(epoll_wait(ep, &ev, 1, 20), 0);
	set_timeout(sv[0], SO_SNDTIMEO, 30);
	ASSERT_ERR(send(sv[0], "x", 1, 0), EAGAIN);
	while (got < total) {
		ssize_t n = read(sv[1], buf, sizeof(buf));

		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_int_equal(epoll_wait(ep, &ev, 1, 30000), 1);
	assert_int_equal(ev.events, EPOLLOUT);
	close(ep);
	close_pair(sv);
}

/* FIONREAD's bytes are read, and more comes once there is room for it: that is news, also for who waits for edges. */
static void what_waits_for_room_comes_with_an_edge(void **state)
{
	static char buf[1 << 20];
	struct epoll_event e = { .events = EPOLLIN | EPOLLET }, got;
	int sv[2], ep = epoll_create1(0), n;

	tcp_pair(sv);
	nonblock(sv[0], true);
	for (int calm = 0; calm < 3; poll(NULL, 0, 10))
		calm = send(sv[0], buf, sizeof(buf), 0) > 0 ? 0 : calm + 1;
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, sv[1], &e));
	assert_int_equal(epoll_wait(ep, &got, 1, 30000), 1);
	for (int i = 0; i < 3; i++) {
		ASSERT_OK(ioctl(sv[1], FIONREAD, &n));
		assert_true(n > 0);
		for (ssize_t r; n > 0; n -= (int)r) {
			r = recv(sv[1], buf, (size_t)n < sizeof(buf) ? (size_t)n : sizeof(buf), 0);
			assert_true(r > 0);
		}
		assert_int_equal(epoll_wait(ep, &got, 1, 30000), 1);
	}
	close(ep);
	close_pair(sv);
}

static void oneshot_and_many_waiters(void **state)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLONESHOT };
	int sv[2], ep = epoll_create1(0);

	tcp_pair(sv);
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, sv[1], &ev));
	assert_int_equal(write(sv[0], "x", 1), 1);
	assert_int_equal(epoll_wait(ep, &ev, 1, 30000), 1);
	assert_int_equal(epoll_wait(ep, &ev, 1, 0), 0);
	ev.events = EPOLLIN | EPOLLONESHOT;
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_MOD, sv[1], &ev));
	assert_int_equal(epoll_wait(ep, &ev, 1, 0), 1);
	close(ep);
	close_pair(sv);
}

static void thousands_of_connections(void **state)
{
	enum { N = 400 };
	static int c[N], a[N];
	unsigned port;
	int l = tcp_listener(N, &port);
	char b;

	for (int i = 0; i < N; i++) {
		c[i] = socket(AF_INET, SOCK_STREAM, 0);
		ASSERT_OK(connect4(c[i], INADDR_LOOPBACK, port));
		a[i] = accept(l, NULL, NULL);
		ASSERT_OK(a[i]);
	}
	for (int i = 0; i < N; i++)
		assert_int_equal(write(c[i], "y", 1), 1);
	for (int i = N - 1; i >= 0; i--) {
		assert_int_equal(read(a[i], &b, 1), 1);
		close(c[i]);
		assert_int_equal(read(a[i], &b, 1), 0);
		close(a[i]);
	}
	close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connect_is_in_progress_then_writable),
		cmocka_unit_test(a_refused_connect_is_an_error_event),
		cmocka_unit_test(a_read_finds_the_refusal_too),
		cmocka_unit_test(reading_and_writing_give_eagain),
		cmocka_unit_test(a_full_backlog_holds_connects_up),
		cmocka_unit_test(accepting_waits_as_long_as_it_may),
		cmocka_unit_test(signals_interrupt_reads),
		cmocka_unit_test(a_full_socket_gets_an_edge_when_there_is_room),
		cmocka_unit_test(what_waits_for_room_comes_with_an_edge),
		cmocka_unit_test(oneshot_and_many_waiters),
		cmocka_unit_test(thousands_of_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
