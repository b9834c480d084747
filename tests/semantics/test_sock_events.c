/* SPDX-License-Identifier: MIT */
/* Readiness of TCP sockets in all states, edges, exclusive waiters; sendfile(2) and splice(2) to and from sockets; small options. */
#include "tests/lib/clock.h"
#include "tests/lib/inet.h"

#include <net/if.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#define ALL (EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP)

static int watch(int fd, uint32_t events)
{
	int ep = epoll_create1(0);
	struct epoll_event e = { .events = events };

	ASSERT_OK(ep);
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
	return ep;
}

/* What is reported now; 0: nothing within ms. */
static uint32_t reported(int ep, int ms)
{
	struct epoll_event e;
	int n = epoll_wait(ep, &e, 1, ms);

	assert_in_range(n, 0, 1);
	return n ? e.events : 0;
}

static void a_half_closed_end(void **state)
{
	int sv[2], ep;

	tcp_pair(sv);
	ep = watch(sv[1], ALL);
	assert_int_equal(reported(ep, 0), EPOLLOUT);
	ASSERT_OK(shutdown(sv[0], SHUT_WR));
	wait_events(sv[1], POLLRDHUP);
	assert_int_equal(reported(ep, 0), EPOLLOUT | EPOLLIN | EPOLLRDHUP);
	assert_int_equal(events_now(sv[0]), POLLOUT); /* writing there is over: it would fail at once */
	ASSERT_OK(shutdown(sv[1], SHUT_WR));
	wait_events(sv[1], POLLHUP);
	assert_int_equal(reported(ep, 0), EPOLLOUT | EPOLLIN | EPOLLRDHUP | EPOLLHUP);
	close(ep);
	close_pair(sv);
}

static void a_reset_end(void **state)
{
	struct linger l = { 1, 0 };
	int sv[2], ep;
	char c;

	tcp_pair(sv);
	ep = watch(sv[1], ALL | EPOLLET);
	reported(ep, 0);
	ASSERT_OK(setsockopt(sv[0], SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	close(sv[0]);
	wait_events(sv[1], POLLHUP);
	assert_int_equal(reported(ep, 30000), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
	ASSERT_ERR(read(sv[1], &c, 1), ECONNRESET);
	assert_int_equal(read(sv[1], &c, 1), 0);
	assert_int_equal(events_now(sv[1]), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
	close(ep);
	close(sv[1]);
}

static void a_refused_connect(void **state)
{
	unsigned port;
	int l = tcp_listener(1, &port), fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), ep;

	close(l);
	ep = watch(fd, ALL);
	assert_int_equal(reported(ep, 0), EPOLLOUT | EPOLLHUP); /* not connected */
	ASSERT_ERR(connect4(fd, INADDR_LOOPBACK, port), EINPROGRESS);
	wait_events(fd, POLLERR);
	assert_int_equal(reported(ep, 0), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
	assert_int_equal(int_option(fd, SO_ERROR), ECONNREFUSED);
	assert_int_equal(reported(ep, 0), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
	close(ep);
	close(fd);
}

static void edges(void **state)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };
	int sv[2], ep;
	char c;

	tcp_pair(sv);
	ep = watch(sv[1], EPOLLIN | EPOLLET);
	assert_int_equal(reported(ep, 0), 0);
	assert_int_equal(write(sv[0], "abc", 3), 3);
	assert_int_equal(reported(ep, 30000), EPOLLIN);
	assert_int_equal(read(sv[1], &c, 1), 1);
	assert_int_equal(reported(ep, 0), 0); /* what is left is no news */
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_MOD, sv[1], &e));
	assert_int_equal(reported(ep, 0), EPOLLIN); /* asked anew */
	assert_int_equal(reported(ep, 0), 0);
	assert_int_equal(write(sv[0], "d", 1), 1);
	assert_int_equal(reported(ep, 30000), EPOLLIN);
	e.events = EPOLLIN | EPOLLONESHOT;
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_MOD, sv[1], &e));
	assert_int_equal(reported(ep, 0), EPOLLIN);
	assert_int_equal(write(sv[0], "e", 1), 1);
	wait_events(sv[1], POLLIN);
	assert_int_equal(reported(ep, 0), 0);
	close(ep);
	close_pair(sv);
}

struct waiter { int ep; _Atomic uint32_t got; };
static _Atomic bool enough;

static void *wait_for_one(void *arg)
{
	struct waiter *w = arg;

	while (!w->got && !enough)
		w->got = reported(w->ep, 1000);
	return NULL;
}

/* Of many that wait exclusively not all are woken for one connection; what they may not ask for. */
static void exclusive_waiters(void **state)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	unsigned port, woken = 0;
	int l = tcp_listener(9, &port), c = socket(AF_INET, SOCK_STREAM, 0), ep;
	struct waiter w[4] = { 0 };
	pthread_t th[4];

	for (int i = 0; i < 4; i++) {
		w[i].ep = watch(l, EPOLLIN | EPOLLEXCLUSIVE);
		ASSERT_RET(pthread_create(&th[i], NULL, wait_for_one, &w[i]), 0);
	}
	poll(NULL, 0, 300);
	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
	assert_true(EVENTUALLY(w[0].got || w[1].got || w[2].got || w[3].got));
	enough = true;
	for (int i = 0; i < 4; i++) {
		pthread_join(th[i], NULL);
		woken += w[i].got == EPOLLIN;
	}
	assert_true(woken >= 1);
	ep = w[0].ep;
	ASSERT_ERR(epoll_ctl(ep, EPOLL_CTL_MOD, l, &e), EINVAL);
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_DEL, l, NULL));
	e.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
	ASSERT_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, l, &e), EINVAL);
	e.events = EPOLLRDHUP | EPOLLEXCLUSIVE;
	ASSERT_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, l, &e), EINVAL);
	for (int i = 0; i < 4; i++)
		close(w[i].ep);
	close(c);
	close(l);
}

/* --- files and pipes to sockets ----------------------------------------------------------------------------------------- */

#define BIG (6 << 20)

static int big_file(void)
{
	int fd = memfd_create("big", 0);
	static char block[65536];

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (char)(i * 31 + i / 257);
	for (int i = 0; i < BIG / (int)sizeof(block); i++)
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	return fd;
}

struct sink { int fd; size_t got; bool right; };

static void *swallow(void *arg)
{
	struct sink *s = arg;
	static char buf[50000];
	ssize_t n;

	s->right = true;
	while ((n = read(s->fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++, s->got++) {
			size_t k = s->got % 65536;

			s->right &= buf[i] == (char)(k * 31 + k / 257);
		}
	return NULL;
}

static void sendfile_waits_or_not(void **state)
{
	int sv[2], file = big_file();
	struct sink s = { 0 };
	pthread_t th;
	off_t off = 0;
	ssize_t n, first;

	tcp_pair(sv);
	nonblock(sv[0], true);
	first = sendfile(sv[0], file, &off, BIG);
	assert_true(first > 0);
	assert_int_equal(off, first);
	for (int calm = 0; calm < 3; poll(NULL, 0, 10)) {
		n = sendfile(sv[0], file, &off, (size_t)(BIG - off));
		calm = n > 0 ? 0 : calm + 1;
		if (n < 0)
			assert_int_equal(errno, EAGAIN);
	}
	assert_true(off < BIG);
	assert_int_equal(events_now(sv[0]) & POLLOUT, 0);
	s.fd = sv[1];
	ASSERT_RET(pthread_create(&th, NULL, swallow, &s), 0);
	nonblock(sv[0], false);
	while (off < BIG) {
		n = sendfile(sv[0], file, &off, (size_t)(BIG - off));
		assert_true(n > 0);
	}
	close(sv[0]);
	pthread_join(th, NULL);
	assert_int_equal(s.got, BIG);
	assert_true(s.right);
	close(sv[1]);
	close(file);
}

static void splice_waits_or_not(void **state)
{
	int sv[2], in[2], out[2];
	int64_t since;
	char buf[16];

	tcp_pair(sv);
	ASSERT_OK(pipe(in));
	ASSERT_OK(pipe(out));
	set_timeout(sv[1], SO_RCVTIMEO, 100);
	since = now_ms();
	ASSERT_ERR(splice(sv[1], NULL, out[1], NULL, 100, SPLICE_F_NONBLOCK), EAGAIN);
	assert_true(now_ms() - since >= 90); /* after the time: the flag is about the pipe */
	assert_int_equal(write(in[1], "through", 7), 7);
	assert_int_equal(splice(in[0], NULL, sv[0], NULL, 100, 0), 7);
	assert_int_equal(splice(sv[1], NULL, out[1], NULL, 100, 0), 7); /* waits for some */
	assert_int_equal(read(out[0], buf, sizeof(buf)), 7);
	assert_memory_equal(buf, "through", 7);
	nonblock(sv[1], true);
	ASSERT_ERR(splice(sv[1], NULL, out[1], NULL, 100, 0), EAGAIN);
	nonblock(sv[0], true);
	for (;;) { /* until the socket is full */
		static char block[65536];
		ssize_t n = write(sv[0], block, sizeof(block));

		if (n < 0 && poll(NULL, 0, 20) == 0 && write(sv[0], block, sizeof(block)) < 0)
			break;
	}
	assert_int_equal(write(in[1], "x", 1), 1);
	ASSERT_ERR(splice(in[0], NULL, sv[0], NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
	nonblock(sv[0], false);
	ASSERT_OK(shutdown(sv[0], SHUT_WR));
	for (ssize_t n = 1; n;) {
		static char block[65536];

		n = read(sv[1], block, sizeof(block));
		if (n < 0)
			poll(&(struct pollfd){ sv[1], POLLIN, 0 }, 1, 5000);
	}
	assert_int_equal(splice(sv[1], NULL, out[1], NULL, 100, 0), 0); /* the end */
	close_pair(sv);
	close_pair(in);
	close_pair(out);
}

/* --- small options ------------------------------------------------------------------------------------------------------------ */

static void bound_to_a_device(void **state)
{
	unsigned port;
	int l = tcp_listener(3, &port), c = socket(AF_INET, SOCK_STREAM, 0);
	char name[IFNAMSIZ] = "";
	socklen_t n = sizeof(name);

	ASSERT_ERR(setsockopt(c, SOL_SOCKET, SO_BINDTODEVICE, "nosuch0", 8), ENODEV);
	ASSERT_OK(setsockopt(c, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	ASSERT_OK(getsockopt(c, SOL_SOCKET, SO_BINDTODEVICE, name, &n));
	assert_string_equal(name, "lo");
	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
	close(c);
	close(l);
}

static void numbers_that_programs_set(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	set_option(fd, SO_PRIORITY, 6);
	assert_int_equal(int_option(fd, SO_PRIORITY), 6);
	set_option(fd, SO_INCOMING_CPU, 0);
	assert_int_equal(int_option(fd, SO_INCOMING_CPU), 0);
	assert_int_equal(int_option(fd, SO_BUSY_POLL), 0);
	set_option(fd, SO_BUSY_POLL, 0);
	ASSERT_ERR(setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &(int){ -1 }, sizeof(int)), EINVAL);
	ASSERT_OK(set_level(fd, SOL_IP, IP_TOS, 0x10));
	assert_int_equal(level_option(fd, SOL_IP, IP_TOS), 0x10);
	ASSERT_OK(set_level(fd, SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE));
	assert_int_equal(level_option(fd, SOL_IP, IP_MTU_DISCOVER), IP_PMTUDISC_PROBE);
	close(fd);
}

/* TCP_INFO of a connection that has carried something. */
static void info_counts(void **state)
{
	struct tcp_info i;
	socklen_t n = sizeof(i);
	static char buf[200000];
	int sv[2];

	tcp_pair(sv);
	for (int k = 0; k < 4; k++) {
		assert_int_equal(send(sv[0], buf, 50000, 0), 50000);
		assert_int_equal(recv(sv[1], buf, 50000, MSG_WAITALL), 50000);
	}
	ASSERT_OK(getsockopt(sv[0], IPPROTO_TCP, TCP_INFO, &i, &n));
	assert_int_equal(i.tcpi_state, 1);
	assert_in_range(i.tcpi_snd_mss, 500, 65535);
	assert_in_range(i.tcpi_pmtu, 500, 65536);
	assert_in_range(i.tcpi_rtt, 1, 1000000);
	assert_in_range(i.tcpi_rto, 1000, 3000000);
	assert_in_range(i.tcpi_snd_cwnd, 1, 100000);
	assert_int_equal(i.tcpi_retransmits, 0);
	assert_in_range(i.tcpi_last_data_sent, 0, 60000);
	close_pair(sv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_half_closed_end),
		cmocka_unit_test(a_reset_end),
		cmocka_unit_test(a_refused_connect),
		cmocka_unit_test(edges),
		cmocka_unit_test(exclusive_waiters),
		cmocka_unit_test(sendfile_waits_or_not),
		cmocka_unit_test(splice_waits_or_not),
		cmocka_unit_test(bound_to_a_device),
		cmocka_unit_test(numbers_that_programs_set),
		cmocka_unit_test(info_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
