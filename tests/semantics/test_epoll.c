/* SPDX-License-Identifier: MIT */
/*
 * epoll(7): level and edge triggering, ONESHOT, EXCLUSIVE, nesting, epoll_ctl's errors, copies of
 * descriptors and closing, maxevents and its turns, timeouts, signal masks, several waiters.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static int ep, pipe_r, pipe_w;

static int setup(void **state)
{
	int p[2];

	if (file_fds_setup(state) || pipe2(p, O_NONBLOCK))
		return -1;
	pipe_r = p[0];
	pipe_w = p[1];
	ep = epoll_create1(0);
	return ep < 0 ? -1 : 0;
}

static int ctl(int op, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events,
				  .data.u64 = 0x1234567800000000ULL + (uint32_t)fd };

	return epoll_ctl(ep, op, fd, &ev);
}

/* What one wait tells of one descriptor; 0 if nothing is ready. */
static uint32_t wait_one(int timeout)
{
	struct epoll_event ev = { 0 };

	return ASSERT_OK(epoll_wait(ep, &ev, 1, timeout)) ? ev.events : 0;
}

static void put(const char *text)
{
	assert_int_equal(write(pipe_w, text, strlen(text)), strlen(text));
}

static void take(size_t n)
{
	char buf[64];

	assert_int_equal(read(pipe_r, buf, n), n);
}

static void level_triggered_tells_again_and_again(void **state)
{
	struct epoll_event ev[2] = { { 0 } };

	ASSERT_OK(ctl(EPOLL_CTL_ADD, pipe_r, EPOLLIN));
	assert_int_equal(wait_one(0), 0);
	put("ab");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(epoll_wait(ep, ev, 2, -1), 1);
		assert_int_equal(ev[0].events, EPOLLIN);
		assert_int_equal(ev[0].data.u64, 0x1234567800000000ULL + (uint32_t)pipe_r);
	}
	take(1);
	assert_int_equal(wait_one(0), EPOLLIN);
	take(1);
	assert_int_equal(wait_one(0), 0);
}

static void edge_triggered_tells_once_for_each_arrival(void **state)
{
	put("a");
	ASSERT_OK(ctl(EPOLL_CTL_ADD, pipe_r, EPOLLIN | EPOLLET));
	assert_int_equal(wait_one(0), EPOLLIN);         /* what is there at the start counts */
	assert_int_equal(wait_one(0), 0);
	put("b");
	assert_int_equal(wait_one(0), EPOLLIN);         /* new data, though old is unread */
	assert_int_equal(wait_one(0), 0);
	take(1);
	assert_int_equal(wait_one(0), 0);               /* what is left is no arrival */
	take(1);
	put("c");
	put("d");
	assert_int_equal(wait_one(0), EPOLLIN);
	assert_int_equal(wait_one(0), 0);
	ASSERT_OK(ctl(EPOLL_CTL_MOD, pipe_r, EPOLLIN | EPOLLET));
	assert_int_equal(wait_one(0), EPOLLIN);         /* asked anew */
}

static void edge_triggered_writers_hear_of_room(void **state)
{
	char buf[4096] = "";

	ASSERT_OK(ctl(EPOLL_CTL_ADD, pipe_w, EPOLLOUT | EPOLLET));
	assert_int_equal(wait_one(0), EPOLLOUT);
	assert_int_equal(wait_one(0), 0);
	while (write(pipe_w, buf, sizeof(buf)) > 0)
		;
	assert_int_equal(wait_one(0), 0);
	while (read(pipe_r, buf, sizeof(buf)) > 0)
		;
	assert_int_equal(wait_one(0), EPOLLOUT);
	assert_int_equal(wait_one(0), 0);
}

static void oneshot_tells_once_until_rearmed(void **state)
{
	ASSERT_OK(ctl(EPOLL_CTL_ADD, pipe_r, EPOLLIN | EPOLLONESHOT));
	put("a");
	assert_int_equal(wait_one(0), EPOLLIN);
	put("b");
	assert_int_equal(wait_one(0), 0);
	close(pipe_w);
	assert_int_equal(wait_one(0), 0);               /* not even a hangup */
	ASSERT_OK(ctl(EPOLL_CTL_MOD, pipe_r, EPOLLIN | EPOLLONESHOT));
	assert_int_equal(wait_one(0), EPOLLIN | EPOLLHUP);
	ASSERT_ERR(ctl(EPOLL_CTL_ADD, pipe_r, EPOLLIN), EEXIST);        /* still registered */
}

static void hangup_and_error_come_unasked(void **state)
{
	ASSERT_OK(ctl(EPOLL_CTL_ADD, pipe_r, 0));
	put("a");
	assert_int_equal(wait_one(0), 0);
	close(pipe_w);
	assert_int_equal(wait_one(0), EPOLLHUP);
	ASSERT_OK(ctl(EPOLL_CTL_MOD, pipe_r, EPOLLIN | EPOLLRDHUP));
	assert_int_equal(wait_one(0), EPOLLIN | EPOLLHUP);
}

static void ctl_reports_errors(void **state)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int path = (int)ASSERT_OK(open("/", O_PATH)), dir = (int)ASSERT_OK(open("/", O_RDONLY));

	ASSERT_ERR(epoll_ctl(-1, EPOLL_CTL_ADD, pipe_r, &ev), EBADF);
	ASSERT_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, -1, &ev), EBADF);
	ASSERT_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, path, &ev), EBADF);
	ASSERT_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, dir, &ev), EPERM);      /* always ready */
	ASSERT_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &ev), EINVAL);
	ASSERT_ERR(epoll_ctl(pipe_r, EPOLL_CTL_ADD, pipe_w, &ev), EINVAL);
	ASSERT_ERR(epoll_ctl(pipe_r, EPOLL_CTL_ADD, dir, &ev), EPERM);  /* that one first */
	ASSERT_ERR(epoll_ctl(ep, 99, pipe_r, &ev), EINVAL);
	ASSERT_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, pipe_r, file_bad()), EFAULT);
	ASSERT_ERR(epoll_ctl(-1, EPOLL_CTL_ADD, pipe_r, file_bad()), EFAULT);
	ASSERT_ERR(ctl(EPOLL_CTL_MOD, pipe_r, EPOLLIN), ENOENT);
	ASSERT_ERR(ctl(EPOLL_CTL_DEL, pipe_r, 0), ENOENT);
	ASSERT_OK(ctl(EPOLL_CTL_ADD, pipe_r, EPOLLIN));
	ASSERT_ERR(ctl(EPOLL_CTL_ADD, pipe_r, EPOLLOUT), EEXIST);
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_DEL, pipe_r, NULL));          /* no event needed */
	ASSERT_ERR(ctl(EPOLL_CTL_DEL, pipe_r, 0), ENOENT);
}

static void create_and_wait_report_errors(void **state)
{
	struct epoll_event ev;

	assert_int_equal(fcntl(ep, F_GETFD), 0);
	assert_int_equal(fcntl((int)ASSERT_OK(epoll_create1(EPOLL_CLOEXEC)), F_GETFD), FD_CLOEXEC);
	ASSERT_ERR(epoll_create1(1), EINVAL);
	ASSERT_OK(epoll_create(1));
	ASSERT_ERR(epoll_create(0), EINVAL);
	ASSERT_ERR(epoll_create(-1), EINVAL);
	ASSERT_ERR(epoll_wait(-1, &ev, 1, 0), EBADF);
	ASSERT_ERR(epoll_wait(pipe_r, &ev, 1, 0), EINVAL);
	ASSERT_ERR(epoll_wait(ep, &ev, 0, 0), EINVAL);
	ASSERT_ERR(syscall(SYS_epoll_wait, ep, &ev, -1, 0), EINVAL);
	ASSERT_ERR(read(ep, &ev, sizeof(ev)), EINVAL);
	ASSERT_ERR(write(ep, &ev, sizeof(ev)), EINVAL);
	ASSERT_OK(ctl(EPOLL_CTL_ADD, pipe_r, EPOLLIN));
	assert_int_equal(epoll_wait(ep, file_bad(), 1, 0), 0);  /* nothing to write there */
	put("x");
	ASSERT_ERR(epoll_wait(ep, file_bad(), 1, 0), EFAULT);
	assert_int_equal(wait_one(0), EPOLLIN);         /* it is not lost by that */
}

static void closing_the_last_copy_removes_it(void **state)
{
	int copy = (int)ASSERT_OK(dup(pipe_r));

	ASSERT_OK(ctl(EPOLL_CTL_ADD, pipe_r, EPOLLIN));
	put("x");
	close(pipe_r);
	assert_int_equal(wait_one(0), EPOLLIN);         /* the description lives: epoll(7), Q6 */
	ASSERT_ERR(ctl(EPOLL_CTL_DEL, copy, 0), ENOENT);        /* known by the number, too */
	close(copy);
	assert_int_equal(wait_one(0), 0);
}

static void copies_are_registered_apart(void **state)
{
	struct epoll_event ev[3];
	int copy = (int)ASSERT_OK(dup(pipe_r));

	ASSERT_OK(ctl(EPOLL_CTL_ADD, pipe_r, EPOLLIN));
	ASSERT_OK(ctl(EPOLL_CTL_ADD, copy, EPOLLIN));
	put("x");
	assert_int_equal(epoll_wait(ep, ev, 3, 0), 2);
	ASSERT_OK(ctl(EPOLL_CTL_DEL, copy, 0));
	assert_int_equal(epoll_wait(ep, ev, 3, 0), 1);
	assert_int_equal((uint32_t)ev[0].data.u64, pipe_r);
}

static void maxevents_limits_and_all_get_their_turn(void **state)
{
	struct epoll_event ev[2];
	int fd[5], seen[5] = { 0 };

	for (int i = 0; i < 5; i++) {
		fd[i] = (int)ASSERT_OK(eventfd(1, 0));
		ASSERT_OK(ctl(EPOLL_CTL_ADD, fd[i], EPOLLIN));
	}
	for (int round = 0; round < 3; round++) {       /* 2 + 2 + 2 covers all five */
		assert_int_equal(epoll_wait(ep, ev, 2, 0), 2);
		for (int i = 0; i < 2; i++)
			for (int j = 0; j < 5; j++)
				seen[j] += (uint32_t)ev[i].data.u64 == (uint32_t)fd[j];
	}
	for (int j = 0; j < 5; j++)
		assert_true(seen[j] >= 1);
}

static void an_epoll_can_be_watched(void **state)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int outer = (int)ASSERT_OK(epoll_create1(0));

	ASSERT_OK(ctl(EPOLL_CTL_ADD, pipe_r, EPOLLIN));
	ASSERT_OK(epoll_ctl(outer, EPOLL_CTL_ADD, ep, &ev));
	assert_int_equal(epoll_wait(outer, &ev, 1, 0), 0);
	put("x");
	assert_int_equal(epoll_wait(outer, &ev, 1, -1), 1);
	assert_int_equal(ev.events, EPOLLIN);
	take(1);
	assert_int_equal(epoll_wait(outer, &ev, 1, 0), 0);
	ev.events = EPOLLIN;
	ASSERT_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, outer, &ev), ELOOP);    /* no circles */
}

static void nesting_is_limited(void **state)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int inner = ep, depth = 0, r = 0;

	while (depth < 20 && r == 0) {
		int outer = (int)ASSERT_OK(epoll_create1(0));

		r = epoll_ctl(outer, EPOLL_CTL_ADD, inner, &ev);
		inner = outer;
		depth += r == 0;
	}
	assert_int_equal(errno, ELOOP);
	assert_int_equal(depth, 4);
}

static void exclusive_is_restricted(void **state)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	int inner = (int)ASSERT_OK(epoll_create1(0));

	ASSERT_OK(ctl(EPOLL_CTL_ADD, pipe_r, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET));
	ASSERT_ERR(ctl(EPOLL_CTL_MOD, pipe_r, EPOLLIN), EINVAL);
	ASSERT_ERR(ctl(EPOLL_CTL_MOD, pipe_r, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
	ASSERT_ERR(ctl(EPOLL_CTL_ADD, pipe_w, EPOLLOUT | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
	ASSERT_ERR(ctl(EPOLL_CTL_ADD, pipe_w, EPOLLRDHUP | EPOLLEXCLUSIVE), EINVAL);
	ASSERT_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, inner, &ev), EINVAL);
	put("x");
	assert_int_equal(wait_one(0), EPOLLIN);
}

static void timeouts_last_at_least_that_long(void **state)
{
	struct epoll_event ev;
	struct timespec ts = { 0, 30 * MSEC }, bad = { 0, 1000000000 };
	int64_t begin = now_ms();

	assert_int_equal(epoll_wait(ep, &ev, 1, 30), 0);
	assert_true(now_ms() - begin >= 29);
	begin = now_ms();
	assert_int_equal(epoll_pwait(ep, &ev, 1, 30, NULL), 0);
	assert_true(now_ms() - begin >= 29);
	begin = now_ms();
	long r = syscall(SYS_epoll_pwait2, ep, &ev, 1, &ts, NULL, 0);
	if (r == -1 && errno == ENOSYS)                 /* before Linux 5.11 */
		return;
	assert_int_equal(r, 0);
	assert_true(now_ms() - begin >= 29);
	assert_int_equal(ts.tv_nsec, 30 * MSEC);        /* not updated */
	ASSERT_ERR(syscall(SYS_epoll_pwait2, ep, &ev, 1, &bad, NULL, 0), EINVAL);
	ASSERT_ERR(syscall(SYS_epoll_pwait2, ep, &ev, 1, file_bad(), NULL, 0), EFAULT);
	put("x");
	ASSERT_OK(ctl(EPOLL_CTL_ADD, pipe_r, EPOLLIN));
	assert_int_equal(syscall(SYS_epoll_pwait2, ep, &ev, 1, NULL, NULL, 0), 1);
}

static volatile sig_atomic_t handled;

static void on_signal(int sig)
{
	handled++;
}

static void pwait_unblocks_during_the_call(void **state)
{
	sigset_t none, usr1, old;
	struct epoll_event ev;

	handled = 0;
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	signal(SIGUSR1, on_signal);
	ASSERT_OK(sigprocmask(SIG_BLOCK, &usr1, &old));
	ASSERT_OK(raise(SIGUSR1));
	ASSERT_ERR(epoll_pwait(ep, &ev, 1, 60000, &none), EINTR);
	assert_int_equal(handled, 1);
	ASSERT_ERR(syscall(SYS_epoll_pwait, ep, &ev, 1, 0, &none, 4), EINVAL);
	ASSERT_OK(sigprocmask(SIG_SETMASK, &old, NULL));
	signal(SIGUSR1, SIG_DFL);
}

static long bg_wait(void *arg)
{
	struct epoll_event ev;

	return epoll_wait(ep, &ev, 1, *(int *)arg);
}

static void waiters_wake_for_events_and_additions(void **state)
{
	int forever = -1;
	struct bg bg;

	ASSERT_OK(ctl(EPOLL_CTL_ADD, pipe_r, EPOLLIN));
	bg_start(&bg, bg_wait, &forever);
	assert_true(bg_blocks(&bg));
	put("x");
	assert_int_equal(bg_end(&bg), 1);
	take(1);
	ASSERT_OK(ctl(EPOLL_CTL_DEL, pipe_r, 0));
	put("y");
	bg_start(&bg, bg_wait, &forever);
	assert_true(bg_blocks(&bg));
	ASSERT_OK(ctl(EPOLL_CTL_ADD, pipe_r, EPOLLIN)); /* ready already when it is added */
	assert_int_equal(bg_end(&bg), 1);

	bg_handle(SIGUSR1, SA_RESTART);
	take(1);
	bg_start(&bg, bg_wait, &forever);
	assert_true(bg_interrupt(&bg, SIGUSR1));        /* never restarted: signal(7) */
	assert_int_equal(bg_end(&bg), -1);
	assert_int_equal(errno, EINTR);
	signal(SIGUSR1, SIG_DFL);
}

static void an_edge_wakes_one_of_two_waiters(void **state)
{
	int timeout = PATIENCE_MS;
	struct bg bg[2];

	ASSERT_OK(ctl(EPOLL_CTL_ADD, pipe_r, EPOLLIN | EPOLLET));
	for (int i = 0; i < 2; i++)
		bg_start(&bg[i], bg_wait, &timeout);
	assert_true(bg_blocks(&bg[0]) && bg_blocks(&bg[1]));
	put("x");
	assert_true(EVENTUALLY(atomic_load(&bg[0].done) || atomic_load(&bg[1].done)));
	sleep_ms(30);
	assert_int_equal(atomic_load(&bg[0].done) + atomic_load(&bg[1].done), 1);
	put("y");
	assert_int_equal(bg_end(&bg[0]), 1);
	assert_int_equal(bg_end(&bg[1]), 1);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(level_triggered_tells_again_and_again),
		cmocka_unit_test(edge_triggered_tells_once_for_each_arrival),
		cmocka_unit_test(edge_triggered_writers_hear_of_room),
		cmocka_unit_test(oneshot_tells_once_until_rearmed),
		cmocka_unit_test(hangup_and_error_come_unasked),
		cmocka_unit_test(ctl_reports_errors),
		cmocka_unit_test(create_and_wait_report_errors),
		cmocka_unit_test(closing_the_last_copy_removes_it),
		cmocka_unit_test(copies_are_registered_apart),
		cmocka_unit_test(maxevents_limits_and_all_get_their_turn),
		cmocka_unit_test(an_epoll_can_be_watched),
		cmocka_unit_test(nesting_is_limited),
		cmocka_unit_test(exclusive_is_restricted),
		cmocka_unit_test(timeouts_last_at_least_that_long),
		cmocka_unit_test(pwait_unblocks_during_the_call),
		cmocka_unit_test(waiters_wake_for_events_and_additions),
		cmocka_unit_test(an_edge_wakes_one_of_two_waiters),
	};

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		tests[i].setup_func = setup;
		tests[i].teardown_func = file_fds_teardown;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
