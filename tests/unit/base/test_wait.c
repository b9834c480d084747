/* SPDX-License-Identifier: MIT */
/* Sleeping and waking: no lost wake-up, exclusive entries, deadlines on all clocks, interrupts, host_wait. */
#include "tests/lib/cmocka_all.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/base/wait.h"

#define MS 1000000LL

/* --- lost wake-ups: a one-place mailbox, many senders and receivers --------------------------------- */

static struct { struct mutex lock; struct waitq wq; bool full; long value, sum; } box;

#define PAIRS 3
#define LETTERS 20000

static void *sender(void *arg)
{
	for (long i = 1; i <= LETTERS; i++) {
		mutex_lock(&box.lock);
		while (box.full)
			waitq_sleep(&box.wq, &box.lock, FOREVER);
		box.full = true;
		box.value = i;
		waitq_wake(&box.wq, 0);
		mutex_unlock(&box.lock);
	}
	return arg;
}

static void *receiver(void *arg)
{
	for (long i = 1; i <= LETTERS; i++) {
		mutex_lock(&box.lock);
		while (!box.full)
			waitq_sleep(&box.wq, &box.lock, FOREVER);
		box.full = false;
		box.sum += box.value;
		waitq_wake(&box.wq, 0);
		mutex_unlock(&box.lock);
	}
	return arg;
}

static void no_wakeup_is_lost(void **state)
{
	pthread_t t[2 * PAIRS];

	mutex_init(&box.lock);
	waitq_init(&box.wq);
	for (int i = 0; i < PAIRS; i++) {
		pthread_create(&t[2 * i], NULL, sender, NULL);
		pthread_create(&t[2 * i + 1], NULL, receiver, NULL);
	}
	for (int i = 0; i < 2 * PAIRS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(box.sum, (long)PAIRS * LETTERS * (LETTERS + 1) / 2);
	waitq_fini(&box.wq);
	mutex_fini(&box.lock);
}

/* --- exclusive entries ------------------------------------------------------------------------------- */

struct probe { struct waitq_entry e; int calls; bool takes; };

static bool probe_wake(struct waitq_entry *e, uint32_t events)
{
	struct probe *p = container_of(e, struct probe, e);

	p->calls++;
	return p->takes;
}

static void exclusive_entries_are_woken_one_at_a_time(void **state)
{
	struct waitq wq;
	struct probe p[5] = { 0 };

	waitq_init(&wq);
	for (int i = 0; i < 5; i++) {
		p[i].e.wake = probe_wake;
		p[i].e.exclusive = i != 2;
		p[i].takes = i != 0; /* the first in line refuses */
		waitq_add(&wq, &p[i].e);
	}
	waitq_wake(&wq, 1);
	assert_int_equal(p[2].calls, 1); /* ordinary: always */
	assert_int_equal(p[0].calls, 1); /* asked, refused */
	assert_int_equal(p[1].calls, 1); /* took it */
	assert_int_equal(p[3].calls + p[4].calls, 0);
	for (int i = 0; i < 5; i++) {
		waitq_del(&p[i].e);
		waitq_del(&p[i].e); /* harmless */
	}
	assert_false(waitq_active(&wq));
	waitq_fini(&wq);
}

/* --- deadlines ----------------------------------------------------------------------------------------- */

static void deadlines_end_a_sleep_on_every_clock(void **state)
{
	static const int clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME };
	struct waiter *w = waiter_current();

	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
		int64_t begin = clock_now(CLOCK_MONOTONIC), took;

		waiter_prepare(w);
		assert_int_equal(waiter_block(w, deadline_after(clocks[i], 20 * MS)), -ETIMEDOUT);
		took = clock_now(CLOCK_MONOTONIC) - begin;
		if (took < 19 * MS || took > 2000 * MS)
			fail_msg("clock %d: %ld us", clocks[i], (long)(took / 1000));
		waiter_prepare(w);
		assert_int_equal(waiter_block(w, (struct deadline){ clocks[i], -5 }), -ETIMEDOUT);
	}
	assert_true(deadline_is_forever(deadline_after(CLOCK_REALTIME, INT64_MAX - 1)));
}

static void a_wakeup_before_the_sleep_counts(void **state)
{
	struct waiter *w = waiter_current();

	waiter_prepare(w);
	waiter_wake(w);
	waiter_interrupt(w);
	assert_int_equal(waiter_block(w, FOREVER), 0);
	waiter_prepare(w);
	assert_int_equal(waiter_block(w, FOREVER), -ERESTARTSYS);
	waiter_clear_interrupt(w);
}

/* --- interrupts ------------------------------------------------------------------------------------------ */

struct victim {
	struct waiter w;
	struct mutex lock;
	struct waitq wq;
	int fd;
	_Atomic int r;
	_Atomic bool ready;
};

static void *sleep_in_queue(void *arg)
{
	struct victim *v = arg;
	int r = 0;

	waiter_bind(&v->w);
	mutex_lock(&v->lock);
	v->ready = true;
	while (r == 0)
		r = waitq_sleep(&v->wq, &v->lock, FOREVER);
	mutex_unlock(&v->lock);
	v->r = r;
	waiter_bind(NULL);
	return NULL;
}

static void *sleep_in_host(void *arg)
{
	struct victim *v = arg;

	waiter_bind(&v->w);
	v->ready = true;
	v->r = host_wait(v->fd, POLLIN, FOREVER);
	waiter_bind(NULL);
	return NULL;
}

static void interrupt_after(void *(*fn)(void *), useconds_t delay)
{
	int p[2];
	struct victim v = { 0 };
	pthread_t t;

	ASSERT_OK(pipe(p));
	v.fd = p[0];
	waiter_init(&v.w, true);
	mutex_init(&v.lock);
	waitq_init(&v.wq);
	pthread_create(&t, NULL, fn, &v);
	while (!v.ready)
		;
	usleep(delay);
	waiter_interrupt(&v.w);
	pthread_join(t, NULL);
	assert_int_equal(v.r, -ERESTARTSYS);
	assert_int_equal(v.w.tid, 0);
	waitq_fini(&v.wq);
	mutex_fini(&v.lock);
	close(p[0]);
	close(p[1]);
}

static void an_interrupt_ends_a_sleep_whenever_it_comes(void **state)
{
	for (int i = 0; i < 300; i++)
		interrupt_after(sleep_in_queue, i % 3 * 20);
}

static void an_interrupt_ends_a_host_wait_whenever_it_comes(void **state)
{
	for (int i = 0; i < 300; i++)
		interrupt_after(sleep_in_host, i % 3 * 20);
}

static void an_uninterruptible_sleep_goes_on(void **state)
{
	struct waiter *w = waiter_current();
	struct mutex lock = MUTEX_INIT;
	struct waitq wq;

	waitq_init(&wq);
	waiter_interrupt(w);
	mutex_lock(&lock);
	assert_int_equal(waitq_sleep_uninterruptible(&wq, &lock, deadline_after(CLOCK_MONOTONIC, 10 * MS)), -ETIMEDOUT);
	assert_int_equal(waitq_sleep(&wq, &lock, FOREVER), -ERESTARTSYS);
	mutex_unlock(&lock);
	waiter_clear_interrupt(w);
	waitq_fini(&wq);
}

/* --- helpers that may not sleep ----------------------------------------------------------------------- */

static void a_thread_that_may_not_sleep_is_told(void **state)
{
	struct waiter w;
	struct mutex lock = MUTEX_INIT;
	struct waitq wq;
	int p[2];

	ASSERT_OK(pipe(p));
	waitq_init(&wq);
	waiter_init(&w, false);
	waiter_bind(&w);
	mutex_lock(&lock);
	assert_int_equal(waitq_sleep(&wq, &lock, FOREVER), -EWOULDSLEEP);
	mutex_unlock(&lock);
	assert_int_equal(host_wait(p[0], POLLIN, FOREVER), -EWOULDSLEEP);
	assert_int_equal(host_wait(p[1], POLLOUT, FOREVER), 0); /* no sleep needed */
	waiter_prepare(&w);
	assert_int_equal(waiter_block(&w, FOREVER), -EWOULDSLEEP);
	waiter_bind(NULL);
	waitq_fini(&wq);
	close(p[0]);
	close(p[1]);
}

static void host_wait_reports_readiness_and_deadlines(void **state)
{
	int p[2];

	ASSERT_OK(pipe(p));
	assert_int_equal(host_wait(p[1], POLLOUT, FOREVER), 0);
	assert_int_equal(host_wait(p[0], POLLIN, deadline_after(CLOCK_REALTIME, 10 * MS)), -ETIMEDOUT);
	ASSERT_OK(write(p[1], "x", 1));
	assert_int_equal(host_wait(p[0], POLLIN, FOREVER), 0);
	close(p[0]);
	close(p[1]);
}

static int boot(void **state)
{
	return wait_boot();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_wakeup_is_lost),
		cmocka_unit_test(exclusive_entries_are_woken_one_at_a_time),
		cmocka_unit_test(deadlines_end_a_sleep_on_every_clock),
		cmocka_unit_test(a_wakeup_before_the_sleep_counts),
		cmocka_unit_test(an_interrupt_ends_a_sleep_whenever_it_comes),
		cmocka_unit_test(an_interrupt_ends_a_host_wait_whenever_it_comes),
		cmocka_unit_test(an_uninterruptible_sleep_goes_on),
		cmocka_unit_test(a_thread_that_may_not_sleep_is_told),
		cmocka_unit_test(host_wait_reports_readiness_and_deadlines),
	};

	return cmocka_run_group_tests(tests, boot, NULL);
}
