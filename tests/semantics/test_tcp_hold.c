/* SPDX-License-Identifier: MIT */
/*
 * TCP that holds back: corks, deferred accepting, time limits of what is not acknowledged, lingering closes. man 7 tcp.
 * Times have wide margins: natively they are the kernel's timers, on a machine that may be busy.
 */
#include "tests/lib/clock.h"
#include "tests/lib/inet.h"

#include <linux/sockios.h>
#include <pthread.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/mman.h>

/* How much comes without waiting, at most room. */
static size_t take(int fd, char *buf, size_t room)
{
	size_t done = 0;
	ssize_t n;

	while (done < room && (n = recv(fd, buf + done, room - done, MSG_DONTWAIT)) > 0)
		done += (size_t)n;
	return done;
}

static void arrives(int fd, const char *what)
{
	char buf[64];

	assert_int_equal(recv(fd, buf, strlen(what), MSG_WAITALL), strlen(what));
	assert_memory_equal(buf, what, strlen(what));
}

#define HELD 80 /* ms in which nothing comes; a cork holds 200 */

/* Nothing comes for HELD ms from since on. true: it held; false: the machine was too busy to say. */
static bool held(int fd, int64_t since)
{
	struct pollfd p = { fd, POLLIN, 0 };
	int64_t left = since + HELD - now_ms();
	int r = poll(&p, 1, left > 0 ? (int)left : 0);

	if (now_ms() - since > 150)
		return false;
	assert_int_equal(r, 0);
	return true;
}

static void a_cork_holds_what_is_no_segment(void **state)
{
	int sv[2];

	tcp_pair(sv);
	for (int i = 0; i < 8; i++) {
		int64_t since;
		bool ok;

		ASSERT_OK(set_level(sv[0], IPPROTO_TCP, TCP_CORK, 1));
		since = now_ms();
		assert_int_equal(send(sv[0], "ab", 2, 0), 2);
		assert_int_equal(send(sv[0], "cd", 2, 0), 2);
		ok = held(sv[1], since);
		ASSERT_OK(set_level(sv[0], IPPROTO_TCP, TCP_CORK, 0));
		arrives(sv[1], "abcd");
		if (ok)
			break;
	}
	assert_int_equal(send(sv[0], "e", 1, 0), 1);
	arrives(sv[1], "e");
	close_pair(sv);
}

static void but_not_for_long(void **state)
{
	struct pollfd p = { .events = POLLIN };
	int sv[2], out = -1;
	int64_t since;

	tcp_pair(sv);
	ASSERT_OK(set_level(sv[0], IPPROTO_TCP, TCP_CORK, 1));
	since = now_ms();
	assert_int_equal(send(sv[0], "abcd", 4, 0), 4);
	ASSERT_OK(ioctl(sv[0], SIOCOUTQ, &out));
	assert_true(out == 4 || now_ms() - since > 150);
	p.fd = sv[1];
	assert_int_equal(poll(&p, 1, 30000), 1);
	assert_true(now_ms() - since > 120);
	arrives(sv[1], "abcd");
	close_pair(sv);
}

static void more_is_a_cork_for_one_call(void **state)
{
	int sv[2];

	tcp_pair(sv);
	for (int i = 0; i < 8; i++) {
		int64_t since = now_ms();
		bool ok;

		assert_int_equal(send(sv[0], "ab", 2, MSG_MORE), 2);
		ok = held(sv[1], since);
		assert_int_equal(send(sv[0], "cd", 2, 0), 2);
		arrives(sv[1], "abcd");
		if (ok)
			break;
	}
	close_pair(sv);
}

static void what_pushes_corked_data(void **state)
{
	char buf[8];
	int sv[2];

	tcp_pair(sv);
	ASSERT_OK(set_level(sv[0], IPPROTO_TCP, TCP_CORK, 1));
	assert_int_equal(send(sv[0], "ab", 2, 0), 2);
	ASSERT_OK(set_level(sv[0], IPPROTO_TCP, TCP_NODELAY, 1));
	arrives(sv[1], "ab");
	assert_int_equal(send(sv[0], "cd", 2, 0), 2);
	ASSERT_OK(shutdown(sv[0], SHUT_WR));
	arrives(sv[1], "cd");
	assert_int_equal(recv(sv[1], buf, 8, 0), 0);
	close_pair(sv);
	tcp_pair(sv);
	assert_int_equal(send(sv[0], "ef", 2, MSG_MORE), 2);
	close(sv[0]);
	arrives(sv[1], "ef");
	assert_int_equal(recv(sv[1], buf, 8, 0), 0);
	close(sv[1]);
}

static void whole_segments_go_out(void **state)
{
	static char data[200000], buf[200000];
	int sv[2];
	size_t n;

	tcp_pair(sv);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 + i / 251);
	ASSERT_OK(set_level(sv[0], IPPROTO_TCP, TCP_CORK, 1));
	for (size_t done = 0; done < sizeof(data);) {
		ssize_t r = send(sv[0], data + done, 10000, 0);

		assert_true(r > 0);
		done += (size_t)r;
	}
	for (n = 0; n < 131072;) {
		struct pollfd p = { sv[1], POLLIN, 0 };

		assert_int_equal(poll(&p, 1, 30000), 1);
		n += take(sv[1], buf + n, sizeof(buf) - n);
	}
	ASSERT_OK(set_level(sv[0], IPPROTO_TCP, TCP_CORK, 0));
	if (n < sizeof(buf))
		assert_int_equal(recv(sv[1], buf + n, sizeof(buf) - n, MSG_WAITALL), sizeof(buf) - n);
	assert_memory_equal(buf, data, sizeof(data));
	close_pair(sv);
}

/* sendfile is corked by its header, as web servers do it. */
static void a_header_and_a_file(void **state)
{
	int sv[2], file = memfd_create("f", 0);
	char buf[16];

	tcp_pair(sv);
	assert_int_equal(write(file, "body", 4), 4);
	ASSERT_OK(set_level(sv[0], IPPROTO_TCP, TCP_CORK, 1));
	assert_int_equal(send(sv[0], "head", 4, 0), 4);
	assert_int_equal(sendfile(sv[0], file, &(off_t){ 0 }, 4), 4);
	ASSERT_OK(set_level(sv[0], IPPROTO_TCP, TCP_CORK, 0));
	assert_int_equal(recv(sv[1], buf, sizeof(buf), 0), 8);
	assert_memory_equal(buf, "headbody", 8);
	close(file);
	close_pair(sv);
}

/* --- TCP_DEFER_ACCEPT ------------------------------------------------------------------------------------------------ */

static int deferring(int seconds, unsigned *port)
{
	int l = tcp_listener(5, port);

	ASSERT_OK(set_level(l, IPPROTO_TCP, TCP_DEFER_ACCEPT, seconds));
	nonblock(l, true);
	return l;
}

static void connections_come_with_their_data(void **state)
{
	unsigned port;
	int l = deferring(30, &port), c = socket(AF_INET, SOCK_STREAM, 0), a;

	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
	assert_int_equal(events_now(c), POLLOUT);
	poll(NULL, 0, 30);
	assert_int_equal(events_now(l), 0);
	ASSERT_ERR(accept(l, NULL, NULL), EAGAIN);
	assert_int_equal(send(c, "hi", 2, 0), 2);
	assert_int_equal(wait_events(l, POLLIN), POLLIN);
	a = accept(l, NULL, NULL);
	ASSERT_OK(a);
	assert_int_equal(events_now(a), POLLIN | POLLOUT);
	arrives(a, "hi");
	assert_int_equal(send(a, "ho", 2, 0), 2);
	arrives(c, "ho");
	close(a);
	close(c);
	close(l);
}

static void or_with_their_end(void **state)
{
	unsigned port;
	int l = deferring(30, &port), c = socket(AF_INET, SOCK_STREAM, 0), a;
	char b;

	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
	ASSERT_OK(shutdown(c, SHUT_WR));
	assert_int_equal(wait_events(l, POLLIN), POLLIN);
	a = accept(l, NULL, NULL);
	ASSERT_OK(a);
	assert_int_equal(read(a, &b, 1), 0);
	close(a);
	close(c);
	close(l);
}

static void or_after_a_while(void **state)
{
	unsigned port;
	int l = deferring(1, &port), c = socket(AF_INET, SOCK_STREAM, 0), a;
	struct pollfd p = { l, POLLIN, 0 };

	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
	assert_int_equal(poll(&p, 1, 30000), 1);
	a = accept(l, NULL, NULL);
	ASSERT_OK(a);
	assert_int_equal(events_now(a), POLLOUT);
	close(a);
	close(c);
	close(l);
}

/* The listener goes: who was deferred finds out with the next that he sends. */
static void or_never(void **state)
{
	unsigned port;
	int l = deferring(30, &port), c = socket(AF_INET, SOCK_STREAM, 0);

	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
	close(l);
	(void)!send(c, "hi", 2, MSG_NOSIGNAL);
	assert_true(wait_events(c, POLLHUP) & POLLHUP);
	assert_int_equal(int_option(c, SO_ERROR), ECONNRESET);
	close(c);
}

/* --- time limits ------------------------------------------------------------------------------------------------------- */

/* Sends until nothing more goes; sv[1] reads nothing. */
static size_t fill(int fd)
{
	static char data[65536];
	size_t done = 0;

	for (int calm = 0; calm < 3;) {
		ssize_t n = send(fd, data, sizeof(data), MSG_DONTWAIT);

		calm = n > 0 ? 0 : calm + 1;
		if (n > 0)
			done += (size_t)n;
		else
			poll(NULL, 0, 10);
	}
	return done;
}

static void what_nobody_takes_times_out(void **state)
{
	struct pollfd p;
	int64_t since;
	int sv[2];

	tcp_pair(sv);
	since = now_ms();
	fill(sv[0]); /* which may take longer than the limit */
	ASSERT_OK(set_level(sv[0], IPPROTO_TCP, TCP_USER_TIMEOUT, 400));
	p = (struct pollfd){ sv[0], 0, 0 };
	assert_int_equal(poll(&p, 1, 30000), 1);
	assert_int_equal(p.revents & (POLLERR | POLLHUP), POLLERR | POLLHUP);
	assert_true(now_ms() - since >= 350);
	assert_int_equal(int_option(sv[0], SO_ERROR), ETIMEDOUT);
	ASSERT_ERR(send(sv[0], "a", 1, MSG_NOSIGNAL), EPIPE);
	close_pair(sv);
}

static void an_idle_connection_does_not(void **state)
{
	int sv[2];

	tcp_pair(sv);
	ASSERT_OK(set_level(sv[0], IPPROTO_TCP, TCP_USER_TIMEOUT, 50));
	assert_int_equal(send(sv[0], "ab", 2, 0), 2);
	poll(NULL, 0, 300);
	assert_int_equal(events_now(sv[0]), POLLOUT);
	arrives(sv[1], "ab");
	close_pair(sv);
}

/* --- SO_LINGER ------------------------------------------------------------------------------------------------------------ */

static void linger(int fd, int seconds)
{
	struct linger l = { 1, seconds };

	ASSERT_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
}

static void *drain_later(void *arg)
{
	static char buf[65536];
	int fd = *(int *)arg;

	poll(NULL, 0, 300);
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	return NULL;
}

static void closing_waits_for_the_reader(void **state)
{
	pthread_t th;
	int64_t since;
	int sv[2];

	tcp_pair(sv);
	linger(sv[0], 30);
	fill(sv[0]);
	ASSERT_RET(pthread_create(&th, NULL, drain_later, &sv[1]), 0);
	since = now_ms();
	close(sv[0]);
	assert_in_range(now_ms() - since, 200, 20000);
	pthread_join(th, NULL);
	close(sv[1]);
}

static void but_no_longer_than_told(void **state)
{
	int64_t since;
	int sv[2];

	tcp_pair(sv);
	linger(sv[0], 1);
	fill(sv[0]);
	since = now_ms();
	close(sv[0]);
	assert_in_range(now_ms() - since, 900, 15000);
	close(sv[1]);
}

static void with_nothing_to_wait_for_it_is_at_once(void **state)
{
	int64_t since;
	int sv[2];

	tcp_pair(sv);
	linger(sv[0], 30);
	assert_int_equal(send(sv[0], "ab", 2, 0), 2);
	since = now_ms();
	close(sv[0]);
	assert_in_range(now_ms() - since, 0, 5000);
	arrives(sv[1], "ab");
	close(sv[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cork_holds_what_is_no_segment),
		cmocka_unit_test(but_not_for_long),
		cmocka_unit_test(more_is_a_cork_for_one_call),
		cmocka_unit_test(what_pushes_corked_data),
		cmocka_unit_test(whole_segments_go_out),
		cmocka_unit_test(a_header_and_a_file),
		cmocka_unit_test(connections_come_with_their_data),
		cmocka_unit_test(or_with_their_end),
		cmocka_unit_test(or_after_a_while),
		cmocka_unit_test(or_never),
		cmocka_unit_test(what_nobody_takes_times_out),
		cmocka_unit_test(an_idle_connection_does_not),
		cmocka_unit_test(closing_waits_for_the_reader),
		cmocka_unit_test(but_no_longer_than_told),
		cmocka_unit_test(with_nothing_to_wait_for_it_is_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
