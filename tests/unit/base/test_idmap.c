/* SPDX-License-Identifier: MIT */
/* Small ids: lowest first, or cyclic as pids; the ends of the range. */
#include "tests/lib/cmocka_all.h"

#include <limits.h>

#include "emul/base/idmap.h"

static int x;

static void the_lowest_free_id_is_given(void **state)
{
	struct idmap m;

	idmap_init(&m, 1, 100, false);
	for (int i = 1; i <= 40; i++)
		assert_int_equal(idmap_add(&m, &x), i);
	assert_ptr_equal(idmap_remove(&m, 7), &x);
	assert_ptr_equal(idmap_remove(&m, 3), &x);
	assert_null(idmap_remove(&m, 3));
	assert_int_equal(idmap_add(&m, &x), 3);
	assert_int_equal(idmap_add(&m, &x), 7);
	assert_int_equal(idmap_add(&m, &x), 41);
	assert_null(idmap_find(&m, 0));
	assert_null(idmap_find(&m, 99));
	idmap_fini(&m);
}

static void cyclic_ids_are_not_reused_at_once(void **state)
{
	struct idmap m;

	idmap_init(&m, 2, 5, true);
	assert_int_equal(idmap_add(&m, &x), 2);
	idmap_remove(&m, 2);
	assert_int_equal(idmap_add(&m, &x), 3);
	assert_int_equal(idmap_add(&m, &x), 4);
	assert_int_equal(idmap_add(&m, &x), 5);
	assert_int_equal(idmap_add(&m, &x), 2);
	assert_int_equal(idmap_add(&m, &x), -ENOSPC);
	idmap_remove(&m, 4);
	assert_int_equal(idmap_add(&m, &x), 4);
	idmap_fini(&m);
}

static void the_range_may_be_all_there_is(void **state)
{
	struct idmap m;
	int a, b;

	idmap_init(&m, 0, INT_MAX, false);
	assert_int_equal(idmap_add(&m, &a), 0);
	assert_int_equal(idmap_add(&m, &b), 1);
	idmap_remove(&m, 0);
	assert_int_equal(idmap_add(&m, &a), 0);
	assert_int_equal(idmap_add(&m, &a), 2);
	assert_ptr_equal(idmap_find(&m, 1), &b);
	idmap_fini(&m);
}

static void a_wanted_id_is_given_or_busy(void **state)
{
	struct idmap m;

	idmap_init(&m, 1, 1000, false);
	assert_int_equal(idmap_add_at(&m, 500, &x), 0);
	assert_int_equal(idmap_add_at(&m, 500, &x), -EBUSY);
	assert_int_equal(idmap_add_at(&m, 0, &x), -ENOSPC);
	assert_int_equal(idmap_add_at(&m, 1001, &x), -ENOSPC);
	assert_int_equal(idmap_add_at(&m, 1, &x), 0);
	assert_int_equal(idmap_add(&m, &x), 2);
	idmap_fini(&m);
}

static void all_ids_are_found_in_order(void **state)
{
	struct idmap m;
	int id = 0, n = 0, last = -1;

	idmap_init(&m, 0, 63, false);
	for (int i = 0; i < 64; i += 3)
		assert_int_equal(idmap_add_at(&m, i, &x), 0);
	for (; idmap_next(&m, &id); id++) {
		assert_true(id > last && id % 3 == 0);
		last = id;
		n++;
	}
	assert_int_equal(n, 22);
	idmap_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lowest_free_id_is_given),
		cmocka_unit_test(cyclic_ids_are_not_reused_at_once),
		cmocka_unit_test(the_range_may_be_all_there_is),
		cmocka_unit_test(a_wanted_id_is_given_or_busy),
		cmocka_unit_test(all_ids_are_found_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
