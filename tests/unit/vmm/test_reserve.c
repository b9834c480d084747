/* SPDX-License-Identifier: MIT */
/* When the helper gets a processor of its own, and how long. Time and calls are the test's. */
#include "tests/lib/cmocka_all.h"

#include "emul/base/types.h"
#include "vmm/machine.h"
#include "vmm/reserve.h"

#define MS 1000000ll

static int64_t now = 1000000 * MS;

/* `ms` milliseconds with so many exits in each, one in `nth` of which ends in sleep (0: none). true: a processor is asked for. */
static bool exits(unsigned ms, unsigned each, unsigned nth)
{
	bool asked = false;

	for (unsigned i = 0; i < ms * each; i++) {
		now += MS / each;
		asked |= reserve_note_exit(now);
		if (nth && i % nth == 0)
			reserve_note_sleep();
	}
	return asked;
}

/* `ms` milliseconds on its own processor with so many answers in each. false: it is to be given back. */
static bool answers(unsigned ms, unsigned each)
{
	for (unsigned i = 0; i < ms; i++) {
		now += MS;
		reserve_note_answers(each);
		if (!reserve_pays(now))
			return false;
	}
	return true;
}

static void rest(unsigned ms)
{
	for (; ms; ms--) {
		now += MS;
		(void)reserve_note_exit(now);
	}
}

static void few_exits_and_sleepers_get_none(void **state)
{
	assert_false(exits(50, 10, 0));
	assert_false(exits(100, 60, 2)); /* two threads that hand over to each other */
	assert_false(exits(6, 60, 0));   /* a moment */
	assert_false(exits(20, 10, 0));
}

static void it_stays_while_it_pays(void **state)
{
	assert_true(exits(20, 50, 8));
	reserve_begin(3, now);
	assert_int_equal(reserve_cpu(), 3);
	assert_false(exits(2, 50, 0)); /* there is one */
	assert_true(answers(100, 100));
	assert_false(answers(21, 20));  /* the rush is over */
	reserve_end(now);
	assert_int_equal(reserve_cpu(), -1);
	assert_false(exits(40, 50, 0)); /* at once it is not tried again */
	assert_true(exits(30, 50, 0));
	reserve_begin(3, now);
	assert_true(answers(50, 100));
	reserve_end(now);
	rest(60);
}

static void in_vain_it_is_tried_less_and_less(void **state)
{
	for (unsigned pause = 100; pause <= 3200; pause *= 2) {
		assert_true(exits(30, 50, 0));
		reserve_begin(1, now);
		assert_false(answers(21, 55)); /* no more than before */
		reserve_end(now);
		assert_false(exits(pause - 10, 50, 0));
		rest(30);
	}
	assert_true(exits(30, 50, 0));
	reserve_begin(1, now);
	assert_true(answers(30, 100)); /* now it has paid */
	reserve_end(now);
	assert_true(exits(80, 50, 0));
}

static int kept_off;

static void keep_off(void *ctx, int cpu)
{
	*(int *)ctx = cpu;
}

static void threads_follow_once(void **state)
{
	static const struct call_server server = { .keep_off = keep_off };
	struct vcpu v = { .server = &server, .server_ctx = &kept_off };

	reserve_begin(1, now);
	assert_false(reserve_intrudes(1)); /* it does not know yet */
	reserve_follow(&v);
	assert_int_equal(kept_off, 1);
	assert_true(reserve_intrudes(1));
	assert_false(reserve_intrudes(0));
	kept_off = 7;
	reserve_follow(&v);
	assert_int_equal(kept_off, 7);
	reserve_end(now);
	reserve_follow(&v);
	assert_int_equal(kept_off, -1);
	assert_false(reserve_intrudes(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_exits_and_sleepers_get_none),
		cmocka_unit_test(it_stays_while_it_pays),
		cmocka_unit_test(in_vain_it_is_tried_less_and_less),
		cmocka_unit_test(threads_follow_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
