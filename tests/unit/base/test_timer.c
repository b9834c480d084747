/* SPDX-License-Identifier: MIT */
/* Timers on the reactor: order, re-arming from the callback, cancelling while it fires. */
#include "tests/lib/cmocka_all.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "emul/base/loop.h"
#include "emul/base/timer.h"

#define MS 1000000LL

static _Atomic int fired;
static _Atomic int order[16];

struct numbered { struct timer t; int no; };

static void note(struct timer *t)
{
	int n = atomic_load(&fired);

	order[n] = container_of(t, struct numbered, t)->no;
	atomic_store(&fired, n + 1);
}

static void wait_for(int n)
{
	for (int i = 0; i < 5000 && fired < n; i++)
		usleep(1000);
	assert_int_equal(fired, n);
}

static void timers_fire_in_the_order_of_their_deadlines(void **state)
{
	struct numbered t[5];
	const int delay[5] = { 500, 100, 400, 200, 300 }, want[5] = { 1, 3, 4, 2, 0 };
	const struct deadline now = deadline_after(CLOCK_MONOTONIC, 0);

	fired = 0;
	for (int i = 0; i < 5; i++) {
		timer_init(&t[i].t, note);
		t[i].no = i;
		timer_arm(&t[i].t, (struct deadline){ CLOCK_MONOTONIC, now.ns + delay[i] * MS });
	}
	wait_for(5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(order[i], want[i]);
}

static void a_deadline_in_the_past_fires_at_once_on_every_clock(void **state)
{
	static const int clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME };
	struct numbered t = { .no = 0 };

	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
		fired = 0;
		timer_init(&t.t, note);
		timer_arm(&t.t, (struct deadline){ clocks[i], -1 });
		wait_for(1);
		fired = 0;
		timer_arm(&t.t, deadline_after(clocks[i], 2 * MS));
		wait_for(1);
		assert_false(timer_cancel(&t.t));
	}
}

static void an_earlier_timer_overtakes_and_a_cancelled_one_is_silent(void **state)
{
	struct numbered late = { .no = 1 }, early = { .no = 2 }, never = { .no = 3 };

	fired = 0;
	timer_init(&late.t, note);
	timer_init(&early.t, note);
	timer_init(&never.t, note);
	timer_arm(&late.t, deadline_after(CLOCK_MONOTONIC, 60000 * MS));
	timer_arm(&never.t, deadline_after(CLOCK_MONOTONIC, 5 * MS));
	timer_arm(&early.t, deadline_after(CLOCK_MONOTONIC, 10 * MS));
	assert_true(timer_cancel(&never.t));
	assert_false(timer_cancel(&never.t));
	wait_for(1);
	assert_int_equal(order[0], 2);
	timer_arm(&late.t, deadline_after(CLOCK_MONOTONIC, MS)); /* replaces */
	wait_for(2);
	timer_arm(&late.t, FOREVER); /* never */
	assert_false(timer_cancel(&late.t));
}

static void rearm(struct timer *t)
{
	if (atomic_fetch_add(&fired, 1) < 9)
		timer_arm(t, deadline_after(CLOCK_MONOTONIC, MS));
}

static void a_callback_may_arm_its_timer_again(void **state)
{
	struct timer t;

	fired = 0;
	timer_init(&t, rearm);
	timer_arm(&t, deadline_after(CLOCK_MONOTONIC, 0));
	wait_for(10);
	timer_cancel_sync(&t);
}

static void free_itself(struct timer *t)
{
	free(t);
	atomic_fetch_add(&fired, 1);
}

static void a_callback_may_free_its_timer(void **state)
{
	struct timer *t = malloc(sizeof(*t));

	fired = 0;
	timer_init(t, free_itself);
	timer_arm(t, deadline_after(CLOCK_MONOTONIC, 0));
	wait_for(1);
}

/* After timer_cancel_sync() the timer's memory may go: ASan and TSan watch. */
struct doomed { struct timer t; _Atomic int runs; };

static void touch(struct timer *t)
{
	struct doomed *d = container_of(t, struct doomed, t);

	atomic_fetch_add(&d->runs, 1);
	timer_arm(t, deadline_after(CLOCK_MONOTONIC, 1000)); /* and again and again */
}

static void *cancel_many(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		struct doomed *d = calloc(1, sizeof(*d));

		timer_init(&d->t, touch);
		timer_arm(&d->t, deadline_after(CLOCK_MONOTONIC, i % 20 * 1000));
		if (i % 3 == 0)
			usleep(50);
		timer_cancel_sync(&d->t);
		free(d);
	}
	return arg;
}

static void a_cancelled_timer_can_be_freed(void **state)
{
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, cancel_many, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

static int boot(void **state)
{
	return loop_boot() || timer_boot();
}

static int shutdown_all(void **state)
{
	timer_shutdown();
	loop_shutdown();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_in_the_order_of_their_deadlines),
		cmocka_unit_test(a_deadline_in_the_past_fires_at_once_on_every_clock),
		cmocka_unit_test(an_earlier_timer_overtakes_and_a_cancelled_one_is_silent),
		cmocka_unit_test(a_callback_may_arm_its_timer_again),
		cmocka_unit_test(a_callback_may_free_its_timer),
		cmocka_unit_test(a_cancelled_timer_can_be_freed),
	};

	return cmocka_run_group_tests(tests, boot, shutdown_all);
}
