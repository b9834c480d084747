/* SPDX-License-Identifier: MIT */
/*
 * Memory in large pieces, which may come and go 2 MiB at once: what a process wrote is there until it gives it up, what is new is
 * zero, and of other processes nothing is ever seen, however often the same physical memory changes hands. Random steps, compared
 * with a model; the seeds are the test's own, so that a failure can be repeated.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/maps.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define HUGE ((size_t)2 << 20)
#define BLOCK (HUGE / PAGE)
#define NR_BLOCKS 12
#define NR_PAGES (NR_BLOCKS * BLOCK)
#define RW (PROT_READ | PROT_WRITE)

struct area { char *at; uint64_t want[NR_PAGES], tag; };

static uint64_t *word(struct area *a, size_t page)
{
	return (uint64_t *)(a->at + page * PAGE);
}

static void make(struct area *a)
{
	char *p = (char *)ASSERT_OK(mmap(NULL, NR_BLOCKS * HUGE + HUGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));

	memset(a, 0, sizeof(*a));
	a->at = (char *)(((uintptr_t)p + HUGE - 1) & ~(HUGE - 1));
	a->tag = (uint64_t)getpid() << 32;
}

/* How many pages of the range are not as they should be. */
static int check(struct area *a, size_t from, size_t n)
{
	int bad = 0;

	for (size_t i = from; i < from + n; i++)
		bad += *(volatile uint64_t *)word(a, i) != a->want[i];
	return bad;
}

static void forget(struct area *a, size_t from, size_t n)
{
	memset(a->want + from, 0, n * sizeof(a->want[0]));
}

static int step(struct area *a, unsigned no)
{
	size_t from = (size_t)rand() % NR_PAGES, n = 1 + (size_t)rand() % 100;
	char *at;

	if (rand() % 2) {
		from -= from % BLOCK;
		n = BLOCK * (1 + (size_t)rand() % 2);
	}
	n = from + n > NR_PAGES ? NR_PAGES - from : n;
	at = a->at + from * PAGE;
	switch (rand() % 7) {
	case 0:
	case 1:
	case 2:
		for (size_t i = from; i < from + n; i++)
			*word(a, i) = a->want[i] = a->tag | no << 16 | i;
		return 0;
	case 3:
		forget(a, from, n);
		return madvise(at, n * PAGE, MADV_DONTNEED) ? 1 : 0;
	case 4:
		forget(a, from, n);
		return munmap(at, n * PAGE) || mmap(at, n * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at;
	case 5:
		return mprotect(at, n * PAGE, PROT_READ) || mprotect(at, n * PAGE, RW);
	default:
		return check(a, from, n);
	}
}

/* The exit status of a process of its own: 0, all was as it should be. */
static int random_life(unsigned seed, unsigned steps)
{
	static struct area a;
	int bad = 0;

	srand(seed);
	make(&a);
	for (unsigned i = 1; i <= steps && !bad; i++)
		bad = step(&a, i);
	return bad || check(&a, 0, NR_PAGES);
}

static void what_a_process_wrote_is_there_and_nothing_else(void **state)
{
	for (unsigned round = 0; round < 12; round++) {
		int status;

		for (unsigned k = 0; k < 2; k++)
			if (ASSERT_OK(fork()) == 0)
				_exit(random_life(round * 2 + k, 60));
		for (unsigned k = 0; k < 2; k++) {
			ASSERT_OK(wait(&status));
			if (status)
				fail_msg("round %u: status %x", round, (unsigned)status);
		}
	}
}

static void a_large_map_is_copied_on_write_after_fork(void **state)
{
	static struct area a;

	make(&a);
	for (unsigned round = 1; round < 8; round++) {
		int status;

		for (size_t i = 0; i < 2 * BLOCK; i++)
			*word(&a, i) = a.want[i] = a.tag | round << 16 | i;
		if (ASSERT_OK(fork()) == 0) {
			int bad = check(&a, 0, 2 * BLOCK);

			munmap(a.at, HUGE);
			for (size_t i = BLOCK; i < 2 * BLOCK; i++)
				*word(&a, i) = 5;
			_exit(bad > 0);
		}
		*word(&a, 3) = a.want[3] = 1;
		ASSERT_OK(wait(&status));
		assert_int_equal(status, 0);
		assert_int_equal(check(&a, 0, 2 * BLOCK), 0);
	}
}

/* What one process may only read stays so, while another writes to it. */
static void a_shared_large_map_obeys_each_ones_protection(void **state)
{
	char *p = (char *)ASSERT_OK(mmap(NULL, 2 * HUGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	volatile char *at = (char *)(((uintptr_t)p + HUGE - 1) & ~(HUGE - 1));
	int status;

	memset(p, 1, 2 * HUGE);
	ASSERT_OK(mprotect(p, 2 * HUGE, PROT_READ));
	if (ASSERT_OK(fork()) == 0) {
		mprotect(p, 2 * HUGE, RW);
		memset(p, 2, 2 * HUGE);
		_exit(0);
	}
	ASSERT_OK(wait(&status));
	assert_int_equal(status, 0);
	assert_int_equal(at[PAGE], 2);
	if (ASSERT_OK(fork()) == 0) {
		signal(SIGSEGV, SIG_DFL);
		at[PAGE] = 3;
		_exit(0);
	}
	ASSERT_OK(wait(&status));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	munmap(p, 2 * HUGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_process_wrote_is_there_and_nothing_else),
		cmocka_unit_test(a_large_map_is_copied_on_write_after_fork),
		cmocka_unit_test(a_shared_large_map_obeys_each_ones_protection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
