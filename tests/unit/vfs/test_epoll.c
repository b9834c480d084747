/* SPDX-License-Identifier: MIT */
/* epoll: level, edge, one-shot, exclusive; errors in Linux's order; nesting; closed files; fairness; many threads. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <sys/eventfd.h>

#include "tests/unit/vfs/file_io.h"

static struct file *ep, *r, *w;
static struct epoll_event out[64];

static int open_all(void **state)
{
	return epoll_new(0, &ep) || pipe_new(O_NONBLOCK, &r, &w);
}

static int close_all(void **state)
{
	file_put(ep);
	file_put(r);
	file_put(w);
	return 0;
}

static int ctl(int op, int fd, struct file *f, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = fd };

	return epoll_control(ep, op, fd, f, &ev);
}

static int collect(void)
{
	return epoll_collect(ep, out, 64, NOW);
}

static void drain(void)
{
	char buf[4096];

	while (rd(r, buf, sizeof(buf)) > 0)
		;
}

/* --- modes ------------------------------------------------------------------------------------------------------ */

static void level_triggered_reports_while_it_lasts(void **state)
{
	assert_int_equal(ctl(EPOLL_CTL_ADD, 3, r, EPOLLIN), 0);
	assert_int_equal(collect(), 0);
	wr(w, "x", 1);
	assert_int_equal(collect(), 1);
	assert_int_equal(out[0].events, EPOLLIN);
	assert_int_equal(out[0].data.u64, 3);
	assert_int_equal(collect(), 1);
	drain();
	assert_int_equal(collect(), 0);
}

static void edge_triggered_reports_each_event_once(void **state)
{
	wr(w, "x", 1);
	assert_int_equal(ctl(EPOLL_CTL_ADD, 3, r, EPOLLIN | EPOLLET), 0);
	assert_int_equal(collect(), 1); /* it was ready already */
	assert_int_equal(collect(), 0);
	wr(w, "y", 1); /* still ready, but this is news */
	assert_int_equal(collect(), 1);
	assert_int_equal(collect(), 0);
	assert_int_equal(ctl(EPOLL_CTL_MOD, 3, r, EPOLLIN | EPOLLET), 0);
	assert_int_equal(collect(), 1); /* a change asks anew */
}

static void one_shot_is_spent_until_changed(void **state)
{
	assert_int_equal(ctl(EPOLL_CTL_ADD, 3, r, EPOLLIN | EPOLLONESHOT), 0);
	wr(w, "x", 1);
	assert_int_equal(collect(), 1);
	wr(w, "x", 1);
	assert_int_equal(collect(), 0);
	assert_int_equal(ctl(EPOLL_CTL_MOD, 3, r, EPOLLIN | EPOLLONESHOT), 0);
	assert_int_equal(collect(), 1);
}

static void errors_and_hangups_are_always_reported(void **state)
{
	assert_int_equal(ctl(EPOLL_CTL_ADD, 3, r, 0), 0);
	file_put(w);
	w = NULL;
	assert_int_equal(collect(), 1);
	assert_int_equal(out[0].events, EPOLLHUP);
}

static void the_same_file_by_two_numbers_is_two_items(void **state)
{
	assert_int_equal(ctl(EPOLL_CTL_ADD, 3, r, EPOLLIN), 0);
	assert_int_equal(ctl(EPOLL_CTL_ADD, 4, r, EPOLLIN), 0);
	wr(w, "x", 1);
	assert_int_equal(collect(), 2);
}

/* --- errors -------------------------------------------------------------------------------------------------------- */

static void errors_come_in_linux_order(void **state)
{
	static const struct file_ops no_poll = { .name = "regular" };
	struct file regular;

	file_init(&regular, &no_poll, O_RDWR);
	assert_int_equal(ctl(EPOLL_CTL_ADD, 3, &regular, EPOLLIN), -EPERM);
	assert_int_equal(epoll_control(r, EPOLL_CTL_ADD, 3, &regular, &out[0]), -EPERM);
	assert_int_equal(epoll_control(r, EPOLL_CTL_ADD, 3, w, &out[0]), -EINVAL); /* not an epoll */
	assert_int_equal(ctl(EPOLL_CTL_ADD, 3, ep, EPOLLIN), -EINVAL);             /* in itself */
	assert_int_equal(ctl(EPOLL_CTL_DEL, 3, r, 0), -ENOENT);
	assert_int_equal(ctl(EPOLL_CTL_MOD, 3, r, 0), -ENOENT);
	assert_int_equal(ctl(99, 3, r, 0), -EINVAL);
	assert_int_equal(ctl(EPOLL_CTL_ADD, 3, r, EPOLLIN), 0);
	assert_int_equal(ctl(EPOLL_CTL_ADD, 3, r, EPOLLIN), -EEXIST);
	assert_int_equal(ctl(EPOLL_CTL_MOD, 3, r, EPOLLIN | EPOLLEXCLUSIVE), -EINVAL);
	assert_int_equal(ctl(EPOLL_CTL_ADD, 4, r, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), -EINVAL);
	assert_int_equal(ctl(EPOLL_CTL_ADD, 4, r, EPOLLIN | EPOLLEXCLUSIVE), 0);
	assert_int_equal(ctl(EPOLL_CTL_MOD, 4, r, EPOLLIN), -EINVAL);
	assert_int_equal(ctl(EPOLL_CTL_DEL, 4, r, 0), 0);
	assert_int_equal(epoll_collect(r, out, 1, NOW), -EINVAL);
	file_fini(&regular);
}

/* --- files that go ---------------------------------------------------------------------------------------------------- */

static void a_closed_file_leaves(void **state)
{
	struct file *e;

	assert_int_equal(eventfd_new(1, 0, &e), 0);
	assert_int_equal(ctl(EPOLL_CTL_ADD, 9, e, EPOLLIN), 0);
	assert_int_equal(collect(), 1);
	file_put(e);
	assert_int_equal(collect(), 0);
	assert_int_equal(eventfd_new(1, 0, &e), 0);
	assert_int_equal(ctl(EPOLL_CTL_ADD, 9, e, EPOLLIN), 0);
	file_put(ep); /* and the other way round */
	assert_int_equal(epoll_new(0, &ep), 0);
	file_put(e);
}

/* --- nesting ---------------------------------------------------------------------------------------------------------- */

static void an_epoll_is_ready_when_one_of_its_files_is(void **state)
{
	struct file *outer;
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 77 };

	assert_int_equal(epoll_new(0, &outer), 0);
	assert_int_equal(ctl(EPOLL_CTL_ADD, 3, r, EPOLLIN), 0);
	assert_int_equal(epoll_control(outer, EPOLL_CTL_ADD, 5, ep, &ev), 0);
	assert_int_equal(epoll_collect(outer, out, 1, NOW), 0);
	wr(w, "x", 1);
	assert_int_equal(epoll_collect(outer, out, 1, NOW), 1);
	assert_int_equal(out[0].data.u64, 77);
	drain();
	assert_int_equal(epoll_collect(outer, out, 1, NOW), 0);
	assert_int_equal(file_poll(ep), 0);
	file_put(outer);
}

static void circles_and_deep_nests_are_refused(void **state)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct file *e[7];

	for (int i = 0; i < 7; i++)
		assert_int_equal(epoll_new(0, &e[i]), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(epoll_control(e[i], EPOLL_CTL_ADD, 1, e[i + 1], &ev), 0);
	assert_int_equal(epoll_control(e[4], EPOLL_CTL_ADD, 1, e[0], &ev), -ELOOP);
	assert_int_equal(epoll_control(e[1], EPOLL_CTL_ADD, 1, e[0], &ev), -ELOOP);
	assert_int_equal(epoll_control(e[4], EPOLL_CTL_ADD, 1, e[5], &ev), -ELOOP); /* too deep below */
	assert_int_equal(epoll_control(e[6], EPOLL_CTL_ADD, 1, e[0], &ev), -ELOOP); /* too deep above */
	assert_int_equal(epoll_control(e[6], EPOLL_CTL_ADD, 1, e[2], &ev), 0);
	for (int i = 0; i < 7; i++)
		file_put(e[i]);
}

/* --- waiting ------------------------------------------------------------------------------------------------------------ */

static long wait_one(void *arg)
{
	struct epoll_event ev;

	return epoll_collect(arg, &ev, 1, FOREVER);
}

static void a_waiter_is_woken_interrupted_or_late(void **state)
{
	struct bg b;

	assert_int_equal(ctl(EPOLL_CTL_ADD, 3, r, EPOLLIN), 0);
	bg_start(&b, wait_one, ep);
	assert_true(bg_sleeps(&b));
	wr(w, "x", 1);
	assert_int_equal(bg_join(&b), 1);
	drain();
	bg_start(&b, wait_one, ep);
	assert_true(bg_sleeps(&b));
	assert_int_equal(bg_interrupt(&b), -ERESTARTSYS);
	assert_int_equal(epoll_collect(ep, out, 1, deadline_after(CLOCK_MONOTONIC, 5 * MS)), 0);
}

static void one_event_wakes_one_of_two_waiters(void **state)
{
	struct bg a, b;

	assert_int_equal(ctl(EPOLL_CTL_ADD, 3, r, EPOLLIN | EPOLLET), 0);
	bg_start(&a, wait_one, ep);
	bg_start(&b, wait_one, ep);
	assert_true(bg_sleeps(&a) && bg_sleeps(&b));
	wr(w, "x", 1);
	usleep(30000);
	assert_int_equal(a.done + b.done, 1);
	wr(w, "x", 1);
	assert_int_equal(bg_join(&a), 1);
	assert_int_equal(bg_join(&b), 1);
}

static void an_exclusive_event_wakes_one_of_two_epolls(void **state)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	struct file *ep2;
	struct bg a, b;

	assert_int_equal(epoll_new(0, &ep2), 0);
	assert_int_equal(epoll_control(ep, EPOLL_CTL_ADD, 3, r, &ev), 0);
	assert_int_equal(epoll_control(ep2, EPOLL_CTL_ADD, 3, r, &ev), 0);
	bg_start(&a, wait_one, ep);
	bg_start(&b, wait_one, ep2);
	assert_true(bg_sleeps(&a) && bg_sleeps(&b));
	wr(w, "x", 1);
	usleep(30000);
	assert_int_equal(a.done + b.done, 1);
	file_put(w); /* a hang-up is for everybody */
	w = NULL;
	assert_int_equal(bg_join(&a), 1);
	assert_int_equal(bg_join(&b), 1);
	file_put(ep2);
}

static void every_ready_file_gets_its_turn(void **state)
{
	struct file *e[10];
	int seen[10] = { 0 };

	for (int i = 0; i < 10; i++) {
		assert_int_equal(eventfd_new(1, 0, &e[i]), 0);
		assert_int_equal(ctl(EPOLL_CTL_ADD, i, e[i], EPOLLIN), 0);
	}
	for (int i = 0; i < 50; i++) {
		assert_int_equal(epoll_collect(ep, out, 2, NOW), 2);
		seen[out[0].data.u64]++;
		seen[out[1].data.u64]++;
	}
	for (int i = 0; i < 10; i++)
		assert_int_equal(seen[i], 10);
	for (int i = 0; i < 10; i++)
		file_put(e[i]);
}

/* --- many threads: every token that is put in is taken out, while files come and go ------------------------------------- */

#define FILES 8
#define TOKENS 20000
static struct file *ev[FILES];
static _Atomic long taken;
static _Atomic bool all_in;

static void *put_tokens(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	uint64_t one = 1;

	for (int i = 0; i < TOKENS; i++)
		wr(ev[rand_r(&seed) % FILES], &one, 8);
	return NULL;
}

static void *take_tokens(void *arg)
{
	struct epoll_event got[4];

	while (!all_in || taken < 2 * TOKENS) {
		int n = epoll_collect(ep, got, 4, deadline_after(CLOCK_MONOTONIC, 50 * MS));

		for (int i = 0; i < n; i++) {
			uint64_t v;

			while (rd(ev[got[i].data.u64], &v, 8) == 8)
				atomic_fetch_add(&taken, (long)v);
		}
	}
	return arg;
}

static void *come_and_go(void *arg)
{
	while (!all_in) {
		struct file *e;
		struct epoll_event x = { .events = EPOLLIN, .data.u64 = 0 };
		uint64_t one = 1;

		if (eventfd_new(0, O_NONBLOCK, &e))
			abort();
		epoll_control(ep, EPOLL_CTL_ADD, 1000, e, &x);
		wr(e, &one, 8);
		file_put(e);
	}
	return arg;
}

static void run_tokens(uint32_t mode)
{
	pthread_t put[2], take[3], churn;

	taken = 0;
	all_in = false;
	for (int i = 0; i < FILES; i++) {
		assert_int_equal(eventfd_new(0, O_NONBLOCK, &ev[i]), 0);
		assert_int_equal(ctl(EPOLL_CTL_ADD, i, ev[i], EPOLLIN | mode), 0);
	}
	for (int i = 0; i < 3; i++)
		pthread_create(&take[i], NULL, take_tokens, NULL);
	pthread_create(&churn, NULL, come_and_go, NULL);
	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&put[i], NULL, put_tokens, (void *)(i + 1));
	for (int i = 0; i < 2; i++)
		pthread_join(put[i], NULL);
	all_in = true;
	for (int i = 0; i < 3; i++)
		pthread_join(take[i], NULL);
	pthread_join(churn, NULL);
	assert_int_equal(taken, 2 * TOKENS);
	for (int i = 0; i < FILES; i++)
		file_put(ev[i]);
}

static void no_event_is_lost_among_threads(void **state)
{
	run_tokens(0);
	run_tokens(EPOLLET);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(level_triggered_reports_while_it_lasts),
		CASE(edge_triggered_reports_each_event_once),
		CASE(one_shot_is_spent_until_changed),
		CASE(errors_and_hangups_are_always_reported),
		CASE(the_same_file_by_two_numbers_is_two_items),
		CASE(errors_come_in_linux_order),
		CASE(a_closed_file_leaves),
		CASE(an_epoll_is_ready_when_one_of_its_files_is),
		CASE(circles_and_deep_nests_are_refused),
		CASE(a_waiter_is_woken_interrupted_or_late),
		CASE(one_event_wakes_one_of_two_waiters),
		CASE(an_exclusive_event_wakes_one_of_two_epolls),
		CASE(every_ready_file_gets_its_turn),
		CASE(no_event_is_lost_among_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
