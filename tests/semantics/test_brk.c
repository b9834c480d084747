/* SPDX-License-Identifier: MIT */
/*
 * brk(2), the system call: it never fails with an errno but returns the break as it is. Growing,
 * shrinking, exact values, zeroed pages, obstacles, RLIMIT_DATA, and [heap] in /proc/self/maps.
 * The library's malloc also uses the break: each case puts it back before anything is checked that
 * could print or allocate.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/fault.h"
#include "tests/lib/maps.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static char *sys_brk(const void *addr)
{
	return (char *)syscall(SYS_brk, addr);
}

static char *page_up(char *p)
{
	return (char *)(((uintptr_t)p + PAGE - 1) & -PAGE);
}

static void zero_and_nonsense_give_the_current_break(void **state)
{
	char *now = sys_brk(NULL);

	assert_non_null(now);
	assert_ptr_equal(sys_brk(NULL), now);
	assert_ptr_equal(sys_brk((void *)1), now);              /* below the start */
	assert_ptr_equal(sys_brk((void *)-PAGE), now);          /* above everything */
	assert_ptr_equal(sys_brk((void *)(1UL << 46)), now);
	assert_ptr_equal(sys_brk(now), now);
	assert_ptr_equal(sbrk(0), now);
}

static void the_break_moves_by_the_byte(void **state)
{
	char *old = sys_brk(NULL), *got[4];

	got[0] = sys_brk(old + 1);
	got[1] = sys_brk(old + 3 * PAGE + 5);
	got[2] = sys_brk(old + PAGE + 7);
	got[3] = sys_brk(old);
	assert_ptr_equal(got[0], old + 1);
	assert_ptr_equal(got[1], old + 3 * PAGE + 5);
	assert_ptr_equal(got[2], old + PAGE + 7);
	assert_ptr_equal(got[3], old);
}

static void new_pages_are_zero_and_given_back_ones_are_gone(void **state)
{
	char *old = sys_brk(NULL), *p = page_up(old);
	bool zero = true, again_zero = true;
	int gone;

	sys_brk(p + 64 * PAGE);
	for (size_t i = 0; i < 64 * PAGE; i++)
		zero = zero && p[i] == 0;
	memset(p, 1, 64 * PAGE);
	sys_brk(p + PAGE);
	gone = fault_read(p + PAGE, NULL);
	sys_brk(p + 64 * PAGE);
	for (size_t i = PAGE; i < 64 * PAGE; i++)
		again_zero = again_zero && p[i] == 0;
	int kept = p[PAGE - 1];
	sys_brk(old);
	assert_true(zero);
	assert_true(again_zero);
	assert_int_equal(gone, SIGSEGV);
	assert_int_equal(kept, 1);
}

static void the_last_page_stays_whole(void **state)
{
	char *old = sys_brk(NULL), *p = page_up(old);

	sys_brk(p + 1);
	int whole = fault_write(p + PAGE - 1, NULL), beyond = fault_read(p + PAGE, NULL);
	sys_brk(old);
	assert_int_equal(whole, 0);
	assert_int_equal(beyond, SIGSEGV);
}

static void it_is_the_heap_in_maps(void **state)
{
	char *old = sys_brk(NULL), *p = page_up(old) + 8 * PAGE;
	struct map m = { 0 }, before = { 0 };

	sys_brk(p);
	bool found = map_find(p - 1, &m);
	sys_brk(old);
	assert_true(found);
	assert_string_equal(m.path, "[heap]");
	assert_string_equal(m.perms, "rw-p");
	assert_int_equal(m.end, (unsigned long)p);
	if (map_find(old - 1, &before) && strcmp(before.path, "[heap]") == 0)
		assert_int_equal(before.start, m.start);        /* it is one mapping */
}

static void a_mapping_in_the_way_stops_it(void **state)
{
	char *old = sys_brk(NULL), *p = page_up(old);
	char *wall = mmap(p + 4 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			  -1, 0);
	char *up_to = sys_brk(p + 2 * PAGE), *through = sys_brk(p + 16 * PAGE);

	munmap(wall, PAGE);
	char *free_again = sys_brk(p + 16 * PAGE);
	sys_brk(old);
	assert_ptr_equal(wall, p + 4 * PAGE);
	assert_ptr_equal(up_to, p + 2 * PAGE);
	assert_ptr_equal(through, p + 2 * PAGE);
	assert_ptr_equal(free_again, p + 16 * PAGE);
}

static void the_data_limit_stops_it(void **state)
{
	char *old = sys_brk(NULL);
	struct rlimit lim, was;

	ASSERT_OK(getrlimit(RLIMIT_DATA, &was));
	lim = was;
	lim.rlim_cur = 64 << 10;
	ASSERT_OK(setrlimit(RLIMIT_DATA, &lim));
	char *refused = sys_brk(old + (8 << 20));
	ASSERT_OK(setrlimit(RLIMIT_DATA, &was));
	char *granted = sys_brk(old + (8 << 20));
	sys_brk(old);
	assert_ptr_equal(refused, old);
	assert_ptr_equal(granted, old + (8 << 20));
}

static void the_library_reports_enomem(void **state)
{
	void *now = sbrk(0);

	ASSERT_ERR(sbrk(1L << 46), ENOMEM);
	ASSERT_ERR(brk((void *)-PAGE), ENOMEM);
	assert_ptr_equal(sbrk(0), now);
	void *got = sbrk(100);
	void *end = sbrk(0);
	sbrk(-100);
	assert_ptr_equal(got, now);
	assert_ptr_equal(end, (char *)now + 100);
}

static void large_growth_works(void **state)
{
	char *old = sys_brk(NULL), *p = page_up(old);
	const size_t size = 64 << 20;
	char *got = sys_brk(p + size);
	bool ok = got == p + size;

	for (size_t i = 0; ok && i < size; i += PAGE)
		p[i] = (char)(i >> 12);
	for (size_t i = 0; ok && i < size; i += PAGE)
		ok = p[i] == (char)(i >> 12);
	sys_brk(old);
	assert_ptr_equal(got, p + size);
	assert_true(ok);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zero_and_nonsense_give_the_current_break),
		cmocka_unit_test(the_break_moves_by_the_byte),
		cmocka_unit_test(new_pages_are_zero_and_given_back_ones_are_gone),
		cmocka_unit_test(the_last_page_stays_whole),
		cmocka_unit_test(it_is_the_heap_in_maps),
		cmocka_unit_test(a_mapping_in_the_way_stops_it),
		cmocka_unit_test(the_data_limit_stops_it),
		cmocka_unit_test(the_library_reports_enomem),
		cmocka_unit_test(large_growth_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
