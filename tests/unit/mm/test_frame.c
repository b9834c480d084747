/* SPDX-License-Identifier: MIT */
/* The pool's dealings with the host: how much memory it takes, of which pages, and what it gives back. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/mm/frame.h"
#include "tests/lib/fake_platform.h"

#define BLOCK ((uint64_t)HUGE_SIZE)

struct fx { struct platform *p; struct pool pool; };

static int setup(void **state)
{
	struct fx *x = calloc(1, sizeof(*x));

	x->p = fake_platform_new();
	*state = x;
	return pool_init(&x->pool, x->p, 512 * BLOCK);
}

static int teardown(void **state)
{
	struct fx *x = *state;

	pool_fini(&x->pool);
	fake_platform_free(x->p);
	free(x);
	return 0;
}

static gpa_t take(struct fx *x, unsigned n)
{
	gpa_t gpa;

	assert_int_equal(frame_alloc(&x->pool, FRAME_ANON, n, true, &gpa), (int)n);
	for (size_t i = 0; i < n * PAGE_SIZE; i += PAGE_SIZE)
		assert_int_equal(*(char *)frame_hva(&x->pool, gpa + i), 0);
	memset(frame_hva(&x->pool, gpa), 'x', n * PAGE_SIZE);
	return gpa;
}

static gpa_t take_block(struct fx *x)
{
	gpa_t gpa;

	assert_int_equal(frame_alloc_huge(&x->pool, FRAME_ANON, true, &gpa), 0);
	return gpa;
}

static void who_needs_little_takes_little(void **state)
{
	struct fx *x = *state;
	struct fake_counts *c = fake_counts(x->p);

	take(x, 1);
	assert_int_equal(c->small, 1);
	assert_int_equal(c->populated, 16 * PAGE_SIZE);
	take(x, 15);
	assert_int_equal(c->populated, 16 * PAGE_SIZE);
	take(x, 40);
	assert_int_equal(c->populated, 64 * PAGE_SIZE);
	take(x, 456);
	assert_int_equal(c->populated, BLOCK);
	take(x, 1); /* the next block is of a large page */
	assert_int_equal(c->populated, 2 * BLOCK);
	assert_int_equal(c->small, 1);
	assert_true(pool_huge_cheap(&x->pool));
}

static void dear_large_pages_are_left_alone_for_a_while(void **state)
{
	struct fx *x = *state;
	struct fake_counts *c = fake_counts(x->p);
	unsigned blocks = 2;

	c->huge_ns = 2000000;
	take_block(x);
	assert_int_equal(c->small, 1);
	take_block(x);
	assert_int_equal(c->small, 1);
	assert_false(pool_huge_cheap(&x->pool));
	c->huge_ns = 0;
	while (!pool_huge_cheap(&x->pool) && blocks < 200) {
		take_block(x);
		blocks++;
	}
	assert_int_equal(c->small, blocks - 1);
	assert_in_range(blocks, 32, 128);
	take_block(x);
	assert_int_equal(c->small, blocks - 1);
	assert_true(pool_huge_cheap(&x->pool));
	assert_int_equal(c->populated, (blocks + 1) * BLOCK);
}

static void files_in_memory_get_large_pages_at_any_price(void **state)
{
	struct fx *x = *state;
	struct fake_counts *c = fake_counts(x->p);
	gpa_t gpa, small;

	c->huge_ns = 2000000;
	take_block(x);
	take_block(x);
	small = take_block(x);
	assert_int_equal(c->small, 2);
	frame_put(&x->pool, small, BLOCK); /* warm, but small */
	assert_int_equal(frame_alloc_huge(&x->pool, FRAME_SHMEM, true, &gpa), 0);
	assert_int_not_equal(gpa, small);
	assert_int_equal(c->small, 2);
	assert_int_equal(take_block(x), small);
}

static void what_is_given_back_may_become_large(void **state)
{
	struct fx *x = *state;
	struct fake_counts *c = fake_counts(x->p);
	gpa_t gpa[80];

	c->huge_ns = 2000000;
	for (int i = 0; i < 66; i++)
		gpa[i] = take_block(x);
	assert_int_equal(c->small, 65);
	for (int i = 0; i < 66; i++)
		frame_put(&x->pool, gpa[i], BLOCK);
	assert_in_range(c->small, 1, 40); /* what stays warm stays as it is */
	c->populated = 0;
	take_block(x);
	assert_int_equal(c->populated, 0);
}

static void a_host_without_memory_is_no_memory(void **state)
{
	struct fx *x = *state;
	gpa_t gpa;

	fake_budget(x->p)->mem_populate = 0;
	assert_int_equal(frame_alloc(&x->pool, FRAME_ANON, 4, true, &gpa), -ENOMEM);
	assert_int_equal(frame_alloc_huge(&x->pool, FRAME_ANON, true, &gpa), -ENOMEM);
	assert_int_equal(pool_used(&x->pool), 0);
	fake_budget(x->p)->mem_populate = -1;
	take(x, 4);
	take_block(x);
	assert_int_equal(pool_used(&x->pool), 4 * PAGE_SIZE + BLOCK);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(who_needs_little_takes_little),
		CASE(dear_large_pages_are_left_alone_for_a_while),
		CASE(files_in_memory_get_large_pages_at_any_price),
		CASE(what_is_given_back_may_become_large),
		CASE(a_host_without_memory_is_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
