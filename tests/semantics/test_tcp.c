/* SPDX-License-Identifier: MIT */
/* TCP over loopback: connecting, data both ways, ends of files, resets, urgent data, names, errors. man 7 tcp, man 7 ip. */
#include "tests/lib/inet.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

static int sv[2];

static int setup(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	tcp_pair(sv);
	return 0;
}

static int teardown(void **state)
{
	close_pair(sv);
	return 0;
}

static void data_goes_both_ways(void **state)
{
	char buf[16];

	assert_int_equal(write(sv[0], "hello", 5), 5);
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(send(sv[1], "back", 4, 0), 4);
	assert_int_equal(recv(sv[0], buf, 2, 0), 2);
	assert_int_equal(recv(sv[0], buf + 2, 14, 0), 2);
	assert_memory_equal(buf, "back", 4);
}

static void names_are_each_others(void **state)
{
	struct sockaddr_in a, b;
	socklen_t len = sizeof(a);

	ASSERT_OK(getsockname(sv[0], (struct sockaddr *)&a, &len));
	assert_int_equal(len, sizeof(a));
	ASSERT_OK(getpeername(sv[1], (struct sockaddr *)&b, &len));
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(ntohl(a.sin_addr.s_addr), INADDR_LOOPBACK);
	ASSERT_OK(getpeername(sv[0], (struct sockaddr *)&a, &len));
	ASSERT_OK(getsockname(sv[1], (struct sockaddr *)&b, &len));
	assert_memory_equal(&a, &b, sizeof(a));
}

static void an_end_of_file_comes_after_the_data(void **state)
{
	char buf[16];

	assert_int_equal(write(sv[0], "last", 4), 4);
	ASSERT_OK(shutdown(sv[0], SHUT_WR));
	assert_int_equal(wait_events(sv[1], POLLIN | POLLRDHUP), POLLIN | POLLOUT | POLLRDHUP);
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 4);
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 0);
	/* the other direction is still open */
	assert_int_equal(write(sv[1], "x", 1), 1);
	assert_int_equal(read(sv[0], buf, sizeof(buf)), 1);
	ASSERT_ERR(write(sv[0], "x", 1), EPIPE);
	ASSERT_OK(shutdown(sv[1], SHUT_WR));
	wait_events(sv[0], POLLHUP);
	assert_int_equal(events_now(sv[0]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	assert_int_equal(wait_events(sv[1], POLLHUP), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	assert_int_equal(int_option(sv[0], SO_ERROR), 0);
}

static void closing_with_unread_data_resets(void **state)
{
	char buf[16];

	assert_int_equal(write(sv[0], "unread", 6), 6);
	wait_events(sv[1], POLLIN);
	close(sv[1]);
	wait_events(sv[0], POLLERR);
	assert_int_equal(events_now(sv[0]), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	ASSERT_ERR(read(sv[0], buf, sizeof(buf)), ECONNRESET);
	assert_int_equal(read(sv[0], buf, sizeof(buf)), 0);
	ASSERT_ERR(write(sv[0], "x", 1), EPIPE);
	sv[1] = dup(sv[0]);
}

static void lingering_zero_resets(void **state)
{
	struct linger l = { 1, 0 };
	char c;

	ASSERT_OK(setsockopt(sv[1], SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	close(sv[1]);
	wait_events(sv[0], POLLERR);
	assert_int_equal(int_option(sv[0], SO_ERROR), ECONNRESET);
	assert_int_equal(int_option(sv[0], SO_ERROR), 0);
	assert_int_equal(read(sv[0], &c, 1), 0);
	sv[1] = dup(sv[0]);
}

static void writing_to_a_closed_end_works_once(void **state)
{
	close(sv[1]);
	wait_events(sv[0], POLLRDHUP);
	assert_int_equal(events_now(sv[0]), POLLIN | POLLOUT | POLLRDHUP);
	assert_int_equal(write(sv[0], "x", 1), 1);
	wait_events(sv[0], POLLERR);
	assert_int_equal(events_now(sv[0]), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	ASSERT_ERR(write(sv[0], "x", 1), EPIPE);
	sv[1] = dup(sv[0]);
}

/* More than the buffer takes is not. */
static void a_closed_end_takes_no_more_than_fits(void **state)
{
	size_t much = (size_t)64 << 20;
	char *data = mmap(NULL, much, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ssize_t r;

	assert_ptr_not_equal(data, MAP_FAILED);
	close(sv[1]);
	wait_events(sv[0], POLLRDHUP);
	r = send(sv[0], data, much, MSG_NOSIGNAL);
	assert_true(r > 0 && r < (ssize_t)much);
	ASSERT_ERR(send(sv[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	munmap(data, much);
	sv[1] = dup(sv[0]);
}

static void sigpipe_comes_unless_it_is_unwanted(void **state)
{
	static volatile sig_atomic_t seen;
	struct sigaction sa = { .sa_handler = SIG_DFL };

	ASSERT_OK(shutdown(sv[0], SHUT_WR));
	sigset_t set, old, pend;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	ASSERT_OK(sigprocmask(SIG_BLOCK, &set, &old));
	sigaction(SIGPIPE, &sa, NULL);
	ASSERT_ERR(send(sv[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	sigpending(&pend);
	assert_false(sigismember(&pend, SIGPIPE));
	ASSERT_ERR(send(sv[0], "x", 1, 0), EPIPE);
	sigpending(&pend);
	assert_true(sigismember(&pend, SIGPIPE));
	signal(SIGPIPE, SIG_IGN);
	ASSERT_OK(sigprocmask(SIG_SETMASK, &old, NULL));
	(void)seen;
}

static void peeking_leaves_the_data(void **state)
{
	char buf[8] = "";
	int n;

	assert_int_equal(write(sv[0], "abcdef", 6), 6);
	wait_events(sv[1], POLLIN);
	assert_int_equal(recv(sv[1], buf, 3, MSG_PEEK), 3);
	assert_memory_equal(buf, "abc", 3);
	assert_int_equal(recv(sv[1], buf, 8, MSG_PEEK), 6);
	ASSERT_OK(ioctl(sv[1], FIONREAD, &n));
	assert_int_equal(n, 6);
	assert_int_equal(recv(sv[1], NULL, 4, MSG_TRUNC), 4); /* thrown away */
	assert_int_equal(recv(sv[1], buf, 8, 0), 2);
	assert_memory_equal(buf, "ef", 2);
	ASSERT_ERR(recv(sv[1], buf, 8, MSG_DONTWAIT), EAGAIN);
	ASSERT_ERR(recv(sv[1], buf, 8, MSG_ERRQUEUE), EAGAIN);
	assert_int_equal(write(sv[0], "x", 1), 1);
	assert_int_equal(recv(sv[1], buf, 0, 0), 0);
}

static void *write_later(void *arg)
{
	for (int i = 0; i < 4; i++) {
		usleep(10000);
		assert_int_equal(write(*(int *)arg, "0123456789" + i, 2), 2);
	}
	return NULL;
}

static void waitall_waits_for_all(void **state)
{
	pthread_t th;
	char buf[8];

	ASSERT_RET(pthread_create(&th, NULL, write_later, &sv[0]), 0);
	assert_int_equal(recv(sv[1], buf, 8, MSG_WAITALL), 8);
	pthread_join(th, NULL);
	/* what is there, if the end comes first */
	assert_int_equal(write(sv[0], "abc", 3), 3);
	ASSERT_OK(shutdown(sv[0], SHUT_WR));
	assert_int_equal(recv(sv[1], buf, 8, MSG_WAITALL), 3);
}

static volatile sig_atomic_t urgs;

static void on_urg(int sig)
{
	urgs++;
}

static void urgent_data_signals_the_owner(void **state)
{
	char c;

	signal(SIGURG, on_urg);
	ASSERT_OK(fcntl(sv[1], F_SETOWN, getpid()));
	assert_int_equal(send(sv[0], "X", 1, MSG_OOB), 1);
	wait_events(sv[1], POLLPRI);
	assert_int_equal(urgs, 1);
	assert_int_equal(recv(sv[1], &c, 1, MSG_OOB), 1);
	assert_int_equal(send(sv[0], "x", 1, 0), 1);
	assert_int_equal(recv(sv[1], &c, 1, 0), 1);
	assert_int_equal(urgs, 1);
	ASSERT_OK(fcntl(sv[1], F_SETOWN, 0));
	signal(SIGURG, SIG_DFL);
}

static void urgent_data_is_beside_the_stream(void **state)
{
	char buf[8], c;
	int mark;

	ASSERT_ERR(recv(sv[1], &c, 1, MSG_OOB), EINVAL);
	assert_int_equal(send(sv[0], "ab", 2, 0), 2);
	assert_int_equal(send(sv[0], "cX", 2, MSG_OOB), 2);
	assert_int_equal(send(sv[0], "de", 2, 0), 2);
	assert_int_equal(wait_events(sv[1], POLLPRI | POLLIN), POLLIN | POLLOUT | POLLPRI);
	assert_int_equal(recv(sv[1], buf, 8, 0), 3); /* up to the mark */
	assert_memory_equal(buf, "abc", 3);
	ASSERT_OK(ioctl(sv[1], SIOCATMARK, &mark));
	assert_int_equal(mark, 1);
	assert_int_equal(recv(sv[1], &c, 1, MSG_OOB), 1);
	assert_int_equal(c, 'X');
	ASSERT_ERR(recv(sv[1], &c, 1, MSG_OOB), EINVAL);
	assert_int_equal(recv(sv[1], buf, 8, 0), 2);
	assert_memory_equal(buf, "de", 2);
	set_option(sv[1], SO_OOBINLINE, 1);
	assert_int_equal(send(sv[0], "Y", 1, MSG_OOB), 1);
	wait_events(sv[1], POLLIN);
	ASSERT_ERR(recv(sv[1], &c, 1, MSG_OOB), EINVAL);
	assert_int_equal(recv(sv[1], buf, 8, 0), 1);
	assert_int_equal(buf[0], 'Y');
}

static void a_reader_sleeps_until_data_comes(void **state)
{
	pthread_t th;
	char buf[8];

	ASSERT_RET(pthread_create(&th, NULL, write_later, &sv[0]), 0);
	assert_int_equal(read(sv[1], buf, 8), 2);
	pthread_join(th, NULL);
	set_timeout(sv[1], SO_RCVTIMEO, 50);
	while (recv(sv[1], buf, 8, MSG_DONTWAIT) > 0)
		;
	ASSERT_ERR(read(sv[1], buf, 8), EAGAIN);
}

static size_t fill(int fd)
{
	static char block[65536];
	size_t total = 0;
	ssize_t n;

	nonblock(fd, true);
	while ((n = write(fd, block, sizeof(block))) > 0)
		total += (size_t)n;
	assert_int_equal(errno, EAGAIN);
	return total;
}

static void *drain(void *arg)
{
	size_t *total = arg;
	static char buf[100000];
	ssize_t n;

	while ((n = read(sv[1], buf, sizeof(buf))) > 0)
		*total += (size_t)n;
	return NULL;
}

static void buffers_are_bounded(void **state)
{
	size_t sent, got = 0;
	pthread_t th;
	int out;

	set_option(sv[0], SO_SNDBUF, 32768);
	sent = fill(sv[0]);
	assert_in_range(sent, 32768, 4 << 20);
	assert_int_equal(events_now(sv[0]) & POLLOUT, 0);
	ASSERT_OK(ioctl(sv[0], TIOCOUTQ, &out));
	assert_in_range(out, 1, 1 << 20);
	ASSERT_RET(pthread_create(&th, NULL, drain, &got), 0);
	assert_int_equal(wait_events(sv[0], POLLOUT) & POLLOUT, POLLOUT);
	ASSERT_OK(shutdown(sv[0], SHUT_WR));
	pthread_join(th, NULL);
	assert_int_equal(got, sent);
}

static void *send_megabytes(void *arg)
{
	static char block[1 << 20];

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (char)(i * 7 + i / 251);
	for (int i = 0; i < 8; i++)
		assert_int_equal(write(sv[0], block, sizeof(block)), sizeof(block));
	shutdown(sv[0], SHUT_WR);
	return NULL;
}

static void many_bytes_arrive_in_order(void **state)
{
	static char buf[77777];
	size_t total = 0, wrong = 0;
	pthread_t th;
	ssize_t n;

	ASSERT_RET(pthread_create(&th, NULL, send_megabytes, NULL), 0);
	while ((n = read(sv[1], buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			size_t at = (total + (size_t)i) % (1 << 20);

			wrong += buf[i] != (char)(at * 7 + at / 251);
		}
		total += (size_t)n;
	}
	pthread_join(th, NULL);
	assert_int_equal(total, 8 << 20);
	assert_int_equal(wrong, 0);
}

static void a_full_close_hangs_up(void **state)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
	int ep = epoll_create1(0);

	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, sv[0], &ev));
	assert_int_equal(epoll_wait(ep, &ev, 1, 0), 0);
	close(sv[1]);
	assert_int_equal(epoll_wait(ep, &ev, 1, 30000), 1);
	assert_int_equal(ev.events, EPOLLIN | EPOLLRDHUP);
	assert_int_equal(epoll_wait(ep, &ev, 1, 0), 0); /* an edge */
	close(ep);
	sv[1] = dup(sv[0]);
}

static void each_arrival_is_an_edge(void **state)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int ep = epoll_create1(0);

	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, sv[1], &ev));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(write(sv[0], "x", 1), 1);
		assert_int_equal(epoll_wait(ep, &ev, 1, 30000), 1);
		assert_int_equal(epoll_wait(ep, &ev, 1, 0), 0);
	}
	close(ep);
}

static void shutting_down_for_reading_is_local(void **state)
{
	char c;

	ASSERT_OK(shutdown(sv[1], SHUT_RD));
	assert_int_equal(read(sv[1], &c, 1), 0);
	assert_int_equal(events_now(sv[1]), POLLIN | POLLOUT | POLLRDHUP);
	assert_int_equal(write(sv[0], "x", 1), 1);
	wait_events(sv[1], POLLIN);
	usleep(10000);
	assert_int_equal(read(sv[1], &c, 1), 1); /* and what comes can still be read */
	assert_int_equal(read(sv[1], &c, 1), 0);
	ASSERT_ERR(shutdown(sv[1], 5), EINVAL);
}

static void a_new_socket_is_not_connected(void **state)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char c;

	assert_int_equal(events_now(fd), POLLOUT | POLLHUP);
	ASSERT_ERR(read(fd, &c, 1), ENOTCONN);
	ASSERT_ERR(send(fd, &c, 1, MSG_NOSIGNAL), EPIPE);
	ASSERT_ERR(getpeername(fd, (struct sockaddr *)&in, &len), ENOTCONN);
	ASSERT_ERR(shutdown(fd, SHUT_RDWR), ENOTCONN);
	ASSERT_ERR(accept(fd, NULL, NULL), EINVAL);
	close(fd);
}

static void connecting_has_its_errors(void **state)
{
	struct sockaddr_in in = in_addr4(INADDR_LOOPBACK, 1);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ASSERT_ERR(connect(fd, (struct sockaddr *)&in, 1), EINVAL);
	ASSERT_ERR(connect(fd, (struct sockaddr *)&in, 8), EINVAL);
	in.sin_family = AF_INET6;
	ASSERT_ERR(connect(fd, (struct sockaddr *)&in, sizeof(in)), EAFNOSUPPORT);
	ASSERT_ERR(connect4(fd, INADDR_LOOPBACK, 1), ECONNREFUSED);
	ASSERT_ERR(connect4(fd, INADDR_LOOPBACK, 1), ECONNREFUSED); /* and again */
	ASSERT_ERR(connect4(fd, 0xe0000001u, 1), ENETUNREACH);
	ASSERT_ERR(connect4(sv[0], INADDR_LOOPBACK, 1), EISCONN);
	ASSERT_ERR(listen(sv[0], 1), EINVAL);
	close(fd);
}

static void a_closed_listener_resets_who_waits(void **state)
{
	unsigned port;
	int l = tcp_listener(5, &port), c = socket(AF_INET, SOCK_STREAM, 0);
	char b;

	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
	assert_int_equal(wait_events(l, POLLIN), POLLIN);
	ASSERT_ERR(connect4(l, INADDR_LOOPBACK, port), EISCONN);
	ASSERT_ERR(read(l, &b, 1), ENOTCONN);
	close(l);
	wait_events(c, POLLERR);
	ASSERT_ERR(read(c, &b, 1), ECONNRESET);
	close(c);
}

static void disconnecting_makes_it_new(void **state)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	unsigned port;
	int l = tcp_listener(5, &port);
	char b;

	ASSERT_OK(connect(sv[0], &none, sizeof(none)));
	wait_events(sv[1], POLLERR);
	ASSERT_ERR(read(sv[1], &b, 1), ECONNRESET);
	int_option(sv[0], SO_ERROR);
	assert_int_equal(events_now(sv[0]), POLLOUT | POLLHUP);
	ASSERT_OK(connect4(sv[0], INADDR_LOOPBACK, port));
	assert_int_equal(write(sv[0], "x", 1), 1);
	close(l);
}

static void accept4_sets_flags(void **state)
{
	unsigned port;
	int l = tcp_listener(5, &port), c = socket(AF_INET, SOCK_STREAM, 0), a;
	struct sockaddr_in in;
	socklen_t len = 4; /* cut, but the whole length is told */

	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
	a = accept4(l, (struct sockaddr *)&in, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ASSERT_OK(a);
	assert_int_equal(len, sizeof(in));
	assert_int_equal(fcntl(a, F_GETFL), O_RDWR | O_NONBLOCK);
	assert_int_equal(fcntl(a, F_GETFD), FD_CLOEXEC);
	ASSERT_ERR(accept4(l, NULL, NULL, 1), EINVAL);
	nonblock(l, true);
	ASSERT_ERR(accept(l, NULL, NULL), EAGAIN);
	close(a);
	close(c);
	close(l);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(data_goes_both_ways),
		CASE(names_are_each_others),
		CASE(an_end_of_file_comes_after_the_data),
		CASE(closing_with_unread_data_resets),
		CASE(lingering_zero_resets),
		CASE(writing_to_a_closed_end_works_once),
		CASE(a_closed_end_takes_no_more_than_fits),
		CASE(sigpipe_comes_unless_it_is_unwanted),
		CASE(peeking_leaves_the_data),
		CASE(waitall_waits_for_all),
		CASE(urgent_data_signals_the_owner),
		CASE(urgent_data_is_beside_the_stream),
		CASE(a_reader_sleeps_until_data_comes),
		CASE(buffers_are_bounded),
		CASE(many_bytes_arrive_in_order),
		CASE(a_full_close_hangs_up),
		CASE(each_arrival_is_an_edge),
		CASE(shutting_down_for_reading_is_local),
		CASE(a_new_socket_is_not_connected),
		CASE(connecting_has_its_errors),
		CASE(a_closed_listener_resets_who_waits),
		CASE(disconnecting_makes_it_new),
		CASE(accept4_sets_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
