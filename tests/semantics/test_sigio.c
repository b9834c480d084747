/* SPDX-License-Identifier: MIT */
/*
 * Signal-driven I/O: O_ASYNC and FIOASYNC with F_SETOWN, F_SETOWN_EX and F_SETSIG on everything that has it. fcntl(2).
 * Signals are blocked and fetched with sigtimedwait(2).
 */
#include "tests/lib/child.h"
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"
#include "tests/lib/pty.h"
#include "tests/lib/sigwait.h"

#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define SIG (SIGRTMIN + 3)
/* Terminals and the network tell late. */
static bool stays_quiet(int sig)
{
	siginfo_t info;

	return sig_fetch(sig, &info, PTY_QUIET_MS) == -1;
}

/* What closing the last case's files has sent. */
static void forget(void)
{
	sig_drain(SIG);
	sig_drain(SIGIO);
	sig_drain(SIGCHLD);
}

static void listen_to(int fd, int sig)
{
	forget();
	ASSERT_OK(fcntl(fd, F_SETOWN, getpid()));
	ASSERT_OK(fcntl(fd, F_SETSIG, sig));
	ASSERT_OK(fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK));
	assert_true(fcntl(fd, F_GETFL) & O_ASYNC);
}

static void pipes_tell_readers_of_data_and_writers_of_room(void **state)
{
	int p[2];
	char c;

	ASSERT_OK(pipe(p));
	listen_to(p[0], SIG);
	listen_to(p[1], SIG);
	assert_int_equal(write(p[1], "x", 1), 1);
	SIG_EXPECT(SIG, p[0], POLL_IN, IN_BAND);
	assert_int_equal(write(p[1], "y", 1), 1);       /* at each write */
	SIG_EXPECT(SIG, p[0], POLL_IN, IN_BAND);
	assert_int_equal(read(p[0], &c, 1), 1);
	SIG_EXPECT(SIG, p[1], POLL_OUT, OUT_BAND);
	assert_true(sig_none(SIG));
	ASSERT_OK(fcntl(p[0], F_SETFL, 0));
	assert_int_equal(fcntl(p[0], F_GETFL), O_RDONLY);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_true(sig_none(SIG));
}

static void the_end_of_a_pipe_is_told(void **state)
{
	int p[2];

	ASSERT_OK(pipe(p));
	listen_to(p[0], SIG);
	close(p[1]);
	SIG_EXPECT(SIG, p[0], POLL_IN, IN_BAND);
	ASSERT_OK(pipe(p));
	listen_to(p[1], SIG);
	close(p[0]);
	SIG_EXPECT(SIG, p[1], POLL_OUT, OUT_BAND);
}

static int exit_later(void *arg)
{
	sleep_ms(20);
	return 0;
}

static void a_process_that_exits_tells_the_other_end(void **state)
{
	int p[2];
	pid_t pid;

	ASSERT_OK(pipe(p));
	listen_to(p[0], SIG);
	pid = child_start(exit_later, NULL);
	close(p[1]);
	SIG_EXPECT(SIG, p[0], POLL_IN, IN_BAND);
	ASSERT_CHILD_OK(pid);
}

static void without_setsig_it_is_sigio_that_says_nothing(void **state)
{
	siginfo_t info;
	int rd, wr;

	forget();
	ASSERT_OK(mkfifo("fifo", 0600));
	rd = (int)ASSERT_OK(open("fifo", O_RDONLY | O_NONBLOCK));
	wr = (int)ASSERT_OK(open("fifo", O_WRONLY));
	ASSERT_OK(fcntl(rd, F_SETOWN, getpid()));
	ASSERT_OK(fcntl(rd, F_SETFL, O_ASYNC));
	assert_int_equal(write(wr, "x", 1), 1);
	assert_int_equal(sig_fetch(SIGIO, &info, 0), SIGIO);
	assert_int_equal(info.si_code, SI_KERNEL);
	assert_int_equal(info.si_pid, 0);
	ASSERT_OK(fcntl(rd, F_SETSIG, SIGIO));          /* this one says it */
	assert_int_equal(write(wr, "x", 1), 1);
	SIG_EXPECT(SIGIO, rd, POLL_IN, IN_BAND);
}

static void an_end_for_both_hears_both(void **state)
{
	int fd;

	forget();
	ASSERT_OK(mkfifo("fifo", 0600));
	fd = (int)ASSERT_OK(open("fifo", O_RDWR));
	listen_to(fd, SIG);
	assert_int_equal(write(fd, "x", 1), 1);
	SIG_EXPECT(SIG, fd, POLL_IN, IN_BAND);
	assert_int_equal(read(fd, &(char){ 0 }, 1), 1);
	SIG_EXPECT(SIG, fd, POLL_OUT, OUT_BAND);
}

static void signals_with_codes_of_their_own_say_sigio(void **state)
{
	int p[2];

	ASSERT_OK(pipe(p));
	listen_to(p[0], SIGCHLD);
	assert_int_equal(write(p[1], "x", 1), 1);
	SIG_EXPECT(SIGCHLD, p[0], SI_SIGIO, IN_BAND);
}

static void nobody_hears_without_an_owner(void **state)
{
	int p[2];

	forget();
	ASSERT_OK(pipe(p));
	ASSERT_OK(fcntl(p[0], F_SETFL, O_ASYNC));
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_true(sig_none(SIGIO));
}

static void fioasync_is_the_same_and_knows_who_has_none(void **state)
{
	int p[2], on = 1, off = 0, ev = (int)ASSERT_OK(eventfd(0, 0)), file = file_make("f", "");

	forget();
	ASSERT_OK(pipe(p));
	ASSERT_OK(fcntl(p[0], F_SETOWN, getpid()));
	ASSERT_OK(ioctl(p[0], FIOASYNC, &on));
	assert_true(fcntl(p[0], F_GETFL) & O_ASYNC);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_false(sig_none(SIGIO));
	ASSERT_OK(ioctl(p[0], FIOASYNC, &off));
	assert_false(fcntl(p[0], F_GETFL) & O_ASYNC);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_true(sig_none(SIGIO));
	ASSERT_ERR(ioctl(ev, FIOASYNC, &on), ENOTTY);
	ASSERT_ERR(ioctl(file, FIOASYNC, &on), ENOTTY);
	ASSERT_OK(ioctl(ev, FIOASYNC, &off));
	ASSERT_OK(fcntl(ev, F_SETFL, O_ASYNC));
	assert_int_equal(fcntl(ev, F_GETFL), O_RDWR);
	ASSERT_OK(fcntl((int)ASSERT_OK(open("/dev/urandom", O_RDONLY)), F_SETFL, O_ASYNC));
}

/* open(2), BUGS: the flag shows, and that is all. */
static void asking_at_open_has_no_effect(void **state)
{
	int fd;

	forget();
	ASSERT_OK(mkfifo("fifo", 0600));
	fd = (int)ASSERT_OK(open("fifo", O_RDWR | O_ASYNC));
	assert_true(fcntl(fd, F_GETFL) & O_ASYNC);
	ASSERT_OK(fcntl(fd, F_SETOWN, getpid()));
	assert_int_equal(write(fd, "x", 1), 1);
	assert_true(sig_none(SIGIO));
	ASSERT_OK(fcntl(fd, F_SETFL, O_ASYNC));         /* no change, so nothing is done */
	assert_int_equal(write(fd, "x", 1), 1);
	assert_true(sig_none(SIGIO));
	ASSERT_OK(fcntl(fd, F_SETFL, 0));               /* was not on */
	assert_true(fcntl(fd, F_GETFL) & O_ASYNC);
}

static long drain_on_signal(void *arg)
{
	int fd = *(int *)arg;
	char buf[4096];
	siginfo_t info;
	long n = 0, r;

	while (n < 200000) {
		if (sig_fetch(SIG, &info, PTY_LIMIT_MS) != SIG)
			return -1;
		while ((r = read(fd, buf, sizeof(buf))) > 0)
			n += r;
	}
	return n;
}

/* A writer that finds the pipe full says so before it sleeps. */
static void a_blocked_writer_has_told(void **state)
{
	static char data[200000];
	struct bg bg;
	int p[2];

	ASSERT_OK(pipe(p));
	listen_to(p[0], SIG);
	bg_start(&bg, drain_on_signal, &p[0]);
	assert_int_equal(write(p[1], data, sizeof(data)), sizeof(data));
	assert_int_equal(bg_end(&bg), sizeof(data));
}

static long fetch_one(void *arg)
{
	siginfo_t info;

	return sig_fetch(SIG, &info, PTY_LIMIT_MS) == SIG ? info.si_fd : -1;
}

static void a_thread_may_be_the_owner(void **state)
{
	struct f_owner_ex ex = { .type = F_OWNER_TID };
	siginfo_t info;
	struct bg bg;
	int p[2];

	ASSERT_OK(pipe(p));
	listen_to(p[0], SIG);
	bg_start(&bg, fetch_one, NULL);
	ex.pid = atomic_load(&bg.tid);
	ASSERT_OK(fcntl(p[0], F_SETOWN_EX, &ex));
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(sig_fetch(SIG, &info, 0), -1);
	assert_int_equal(bg_end(&bg), p[0]);
}

static int own_by_group(void *arg)
{
	int *p = arg;
	siginfo_t info;

	CHECK(setpgid(0, 0) == 0);
	CHECK(fcntl(p[0], F_SETOWN, -getpid()) == 0);
	CHECK(fcntl(p[0], F_SETSIG, SIG) == 0);
	CHECK(fcntl(p[0], F_SETFL, O_ASYNC) == 0);
	CHECK(write(p[1], "x", 1) == 1);
	CHECK(sig_fetch(SIG, &info, 1000) == SIG);
	return 0;
}

static void a_group_may_be_the_owner(void **state)
{
	int p[2];

	forget();
	ASSERT_OK(pipe(p));
	IN_CHILD(own_by_group, p);
	assert_true(sig_none(SIG));
}

static void a_full_queue_makes_it_sigio(void **state)
{
	struct rlimit old, none = { 0 };
	int p[2];

	ASSERT_OK(pipe(p));
	listen_to(p[0], SIG);
	ASSERT_OK(getrlimit(RLIMIT_SIGPENDING, &old));
	none.rlim_max = old.rlim_max;
	ASSERT_OK(setrlimit(RLIMIT_SIGPENDING, &none));
	assert_int_equal(write(p[1], "x", 1), 1);
	ASSERT_OK(setrlimit(RLIMIT_SIGPENDING, &old));
	assert_true(sig_none(SIG));
	assert_false(sig_none(SIGIO));
}

static void inotify_tells_of_events(void **state)
{
	int in = (int)ASSERT_OK(inotify_init1(IN_NONBLOCK));

	ASSERT_OK(inotify_add_watch(in, ".", IN_CREATE));
	listen_to(in, SIG);
	file_put("new", "");
	SIG_EXPECT(SIG, in, POLL_IN, IN_BAND);
}

static void terminals_tell_of_lines(void **state)
{
	struct pair p;

	forget();
	pty_open(&p);
	ASSERT_OK(fcntl(p.s, F_SETSIG, SIG));
	ASSERT_OK(fcntl(p.s, F_SETFL, O_ASYNC | O_NONBLOCK));
	assert_int_equal(fcntl(p.s, F_GETOWN), getpid());       /* without a foreground group: who asked */
	pty_type(&p, "part");
	assert_true(stays_quiet(SIG));
	pty_type(&p, " of\n");
	SIG_EXPECT(SIG, p.s, POLL_IN, IN_BAND);
	pty_type(&p, "next");
	assert_true(stays_quiet(SIG));
	pty_raw(p.s, 1, 0);
	sig_drain(SIG);
	pty_type(&p, "x");
	SIG_EXPECT(SIG, p.s, POLL_IN, IN_BAND);
	pty_close(&p);
}

static void masters_tell_of_output(void **state)
{
	struct pair p;

	pty_open(&p);
	listen_to(p.m, SIG);
	pty_put(p.s, "shown", 5);
	SIG_EXPECT(SIG, p.m, POLL_IN, IN_BAND);
	pty_close(&p);
}

static void terminals_tell_writers_of_room_after_a_short_write(void **state)
{
	static char data[100000], buf[4096];
	struct pair p;

	pty_open(&p);
	pty_raw(p.s, 1, 0);
	listen_to(p.s, SIG);
	pty_put(p.s, "x", 1);
	assert_int_equal(read(p.m, buf, sizeof(buf)), 1);
	assert_true(stays_quiet(SIG));
	assert_in_range(write(p.s, data, sizeof(data)), 1, sizeof(data) - 1);
	sig_drain(SIG);
	while (pty_ready(p.m, POLLIN, PTY_QUIET_MS))
		assert_true(read(p.m, buf, sizeof(buf)) > 0);
	SIG_EXPECT(SIG, p.s, POLL_OUT, OUT_BAND);
	pty_close(&p);
}

static void tcp_tells_listeners_and_receivers(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int l = (int)ASSERT_OK(socket(AF_INET, SOCK_STREAM, 0)), c = (int)ASSERT_OK(socket(AF_INET, SOCK_STREAM, 0)), s;

	ASSERT_OK(bind(l, (void *)&a, sizeof(a)));
	ASSERT_OK(listen(l, 5));
	ASSERT_OK(getsockname(l, (void *)&a, &len));
	listen_to(l, SIG);
	ASSERT_OK(connect(c, (void *)&a, sizeof(a)));
	SIG_EXPECT(SIG, l, POLL_IN, IN_BAND);
	s = (int)ASSERT_OK(accept(l, NULL, NULL));
	listen_to(s, SIG);
	sig_drain(SIG);
	assert_int_equal(write(c, "x", 1), 1);
	SIG_EXPECT(SIG, s, POLL_IN, IN_BAND);
	close(c);
	assert_int_equal(sig_fetch(SIG, &(siginfo_t){ 0 }, PTY_LIMIT_MS), SIG);
}

static void datagrams_tell(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int r = (int)ASSERT_OK(socket(AF_INET, SOCK_DGRAM, 0)), s = (int)ASSERT_OK(socket(AF_INET, SOCK_DGRAM, 0));

	ASSERT_OK(bind(r, (void *)&a, sizeof(a)));
	ASSERT_OK(getsockname(r, (void *)&a, &len));
	listen_to(r, SIG);
	assert_int_equal(sendto(s, "x", 1, 0, (void *)&a, sizeof(a)), 1);
	SIG_EXPECT(SIG, r, POLL_IN, IN_BAND);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(pipes_tell_readers_of_data_and_writers_of_room),
		cmocka_unit_test(the_end_of_a_pipe_is_told),
		cmocka_unit_test(a_process_that_exits_tells_the_other_end),
		cmocka_unit_test(without_setsig_it_is_sigio_that_says_nothing),
		cmocka_unit_test(an_end_for_both_hears_both),
		cmocka_unit_test(signals_with_codes_of_their_own_say_sigio),
		cmocka_unit_test(nobody_hears_without_an_owner),
		cmocka_unit_test(fioasync_is_the_same_and_knows_who_has_none),
		cmocka_unit_test(asking_at_open_has_no_effect),
		cmocka_unit_test(a_blocked_writer_has_told),
		cmocka_unit_test(a_thread_may_be_the_owner),
		cmocka_unit_test(a_group_may_be_the_owner),
		cmocka_unit_test(a_full_queue_makes_it_sigio),
		cmocka_unit_test(inotify_tells_of_events),
		cmocka_unit_test(terminals_tell_of_lines),
		cmocka_unit_test(masters_tell_of_output),
		cmocka_unit_test(terminals_tell_writers_of_room_after_a_short_write),
		cmocka_unit_test(tcp_tells_listeners_and_receivers),
		cmocka_unit_test(datagrams_tell),
	};

	sig_block(SIG);
	sig_block(SIGIO);
	sig_block(SIGCHLD);
	return FILE_RUN_HERE(tests);
}
