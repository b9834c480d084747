/* SPDX-License-Identifier: MIT */
/* The reactor: edges of host descriptors, posted work in order, removal that is final. */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "emul/base/loop.h"

static _Atomic int calls;

static void count(struct loop_watch *w, uint32_t events)
{
	atomic_fetch_add(&calls, 1);
}

static bool reach(int n)
{
	for (int i = 0; i < 5000 && calls < n; i++)
		usleep(1000);
	return calls >= n;
}

static void each_arrival_is_told_once(void **state)
{
	struct loop_watch w;
	int p[2], flags;

	ASSERT_OK(pipe(p));
	flags = fcntl(p[0], F_GETFL);
	calls = 0;
	assert_int_equal(loop_watch_add(&w, p[0], EPOLLIN, count), 0);
	for (int i = 1; i <= 5; i++) {
		ASSERT_OK(write(p[1], "x", 1)); /* nobody reads: only edges can tell */
		assert_true(reach(i));
	}
	usleep(20000);
	assert_int_equal(calls, 5);
	assert_int_equal(fcntl(p[0], F_GETFL), flags); /* shared descriptions are left alone */
	loop_watch_del(&w);
	ASSERT_OK(write(p[1], "x", 1));
	usleep(20000);
	assert_int_equal(calls, 5);
	close(p[0]);
	close(p[1]);
}

static void regular_files_are_always_ready(void **state)
{
	struct loop_watch w;
	int fd = open("/proc/self/exe", O_RDONLY);

	assert_int_equal(loop_watch_add(&w, fd, EPOLLIN, count), 0);
	assert_true(w.always_ready);
	loop_watch_del(&w);
	assert_int_equal(loop_watch_add(&w, -1, EPOLLIN, count), -EBADF);
	close(fd);
}

static int seen[1000];

static void append(void *arg)
{
	seen[atomic_load(&calls)] = (int)(long)arg;
	atomic_fetch_add(&calls, 1);
}

static void posted_work_runs_in_order(void **state)
{
	calls = 0;
	for (long i = 0; i < 1000; i++)
		loop_post(append, (void *)i);
	assert_true(reach(1000));
	for (int i = 0; i < 1000; i++)
		assert_int_equal(seen[i], i);
}

/* After loop_watch_del() the watch's memory may go. */
static void *add_and_remove(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		struct loop_watch *w = malloc(sizeof(*w));
		int p[2];

		if (pipe(p) || loop_watch_add(w, p[0], EPOLLIN, count) || write(p[1], "x", 1) != 1)
			abort();
		loop_watch_del(w);
		free(w);
		close(p[0]);
		close(p[1]);
	}
	return arg;
}

static void a_removed_watch_can_be_freed(void **state)
{
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, add_and_remove, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

static void the_loop_can_be_shut_down_and_booted_again(void **state)
{
	loop_shutdown();
	loop_shutdown();
	assert_int_equal(loop_boot(), 0);
	calls = 0;
	loop_post(append, NULL);
	assert_true(reach(1));
	loop_shutdown();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_arrival_is_told_once),
		cmocka_unit_test(regular_files_are_always_ready),
		cmocka_unit_test(posted_work_runs_in_order),
		cmocka_unit_test(a_removed_watch_can_be_freed),
		cmocka_unit_test(the_loop_can_be_shut_down_and_booted_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
