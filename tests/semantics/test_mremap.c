/* SPDX-License-Identifier: MIT */
/*
 * mremap(2): growing in place and by moving, shrinking, MREMAP_FIXED, MREMAP_DONTUNMAP, duplicating
 * shared maps, errors. Moving several mappings in one call (allowed since 6.17) is not tested.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/fault.h"
#include "tests/lib/maps.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static void fill(char *p, size_t size)
{
	for (size_t i = 0; i < size; i += 64)
		*(size_t *)(p + i) = i + 1;
}

static void assert_filled(char *p, size_t size)
{
	for (size_t i = 0; i < size; i += 64)
		assert_int_equal(*(size_t *)(p + i), i + 1);
}

static void assert_zero(const char *p, size_t size)
{
	for (size_t i = 0; i < size; i += 64)
		assert_int_equal(p[i], 0);
}

/* `pages` mapped at the start of a free range of 64: nothing behind them. */
static char *with_room(size_t pages)
{
	char *p = (char *)ASSERT_OK(mmap(NULL, 64 * PAGE, RW, ANON, -1, 0));

	fill(p, pages * PAGE);
	ASSERT_OK(munmap(p + pages * PAGE, (64 - pages) * PAGE));
	return p;
}

/* Two pages with something right behind them. */
static char *without_room(void)
{
	char *p = with_room(3);

	ASSERT_OK(mprotect(p + 2 * PAGE, PAGE, PROT_NONE));
	return p;
}

static bool mapped(const char *p)
{
	struct map m;

	return map_find(p, &m);
}

static void grows_in_place_where_there_is_room(void **state)
{
	char *p = with_room(2);

	assert_ptr_equal(mremap(p, 2 * PAGE, 10 * PAGE, 0), p);
	assert_filled(p, 2 * PAGE);
	assert_zero(p + 2 * PAGE, 8 * PAGE);
	assert_ptr_equal(mremap(p, 10 * PAGE, 12 * PAGE, MREMAP_MAYMOVE), p);
	assert_int_equal(map_count(p, 12 * PAGE), 1);
	munmap(p, 12 * PAGE);
}

static void without_room_it_needs_maymove(void **state)
{
	char *p = without_room();

	ASSERT_ERR(mremap(p, 2 * PAGE, 4 * PAGE, 0), ENOMEM);
	assert_filled(p, 2 * PAGE);
	char *q = (char *)ASSERT_OK(mremap(p, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE));
	assert_ptr_not_equal(q, p);
	assert_filled(q, 2 * PAGE);
	assert_zero(q + 2 * PAGE, 2 * PAGE);
	assert_false(mapped(p));
	assert_int_equal(fault_read(p, NULL), SIGSEGV);
	assert_true(mapped(p + 2 * PAGE));
	munmap(q, 4 * PAGE);
	munmap(p + 2 * PAGE, PAGE);
}

static void shrinking_cuts_the_tail(void **state)
{
	char *p = with_room(8);

	assert_ptr_equal(mremap(p, 8 * PAGE, 3 * PAGE, 0), p);
	assert_filled(p, 3 * PAGE);
	assert_false(mapped(p + 3 * PAGE));
	assert_ptr_equal(mremap(p, 3 * PAGE, 3 * PAGE, 0), p);          /* nothing to do */
	assert_ptr_equal(mremap(p, 3 * PAGE, 2 * PAGE + 1, 0), p);      /* sizes are rounded up */
	assert_true(mapped(p + 2 * PAGE));
	assert_ptr_equal(mremap(p, 2 * PAGE + 1, 1, MREMAP_MAYMOVE), p);
	assert_false(mapped(p + PAGE));
	munmap(p, PAGE);
}

static void shrinking_a_part_leaves_the_rest(void **state)
{
	char *p = with_room(8);

	assert_ptr_equal(mremap(p + 2 * PAGE, 4 * PAGE, PAGE, 0), p + 2 * PAGE);
	assert_true(mapped(p + PAGE) && mapped(p + 2 * PAGE) && mapped(p + 6 * PAGE));
	assert_false(mapped(p + 3 * PAGE) || mapped(p + 5 * PAGE));
	assert_int_equal(*(size_t *)(p + 6 * PAGE), 6 * PAGE + 1);
	munmap(p, 8 * PAGE);
}

static void a_part_that_grows_has_to_move(void **state)
{
	char *p = with_room(4);

	ASSERT_ERR(mremap(p, 2 * PAGE, 3 * PAGE, 0), ENOMEM);
	char *q = (char *)ASSERT_OK(mremap(p, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE));
	assert_filled(q, 2 * PAGE);
	assert_zero(q + 2 * PAGE, PAGE);
	assert_false(mapped(p) || mapped(p + PAGE));
	assert_int_equal(*(size_t *)(p + 2 * PAGE), 2 * PAGE + 1);
	munmap(p, 4 * PAGE);
	munmap(q, 3 * PAGE);
}

static void fixed_moves_there_and_replaces(void **state)
{
	char *p = with_room(4), *q = with_room(8);

	assert_ptr_equal(mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q + 2 * PAGE),
			 q + 2 * PAGE);
	assert_filled(q + 2 * PAGE, 4 * PAGE);
	assert_filled(q, 2 * PAGE);
	assert_false(mapped(p));
	/* Shrinks or grows on the way as well. */
	assert_ptr_equal(mremap(q + 2 * PAGE, 4 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p), p);
	assert_filled(p, 2 * PAGE);
	assert_false(mapped(q + 2 * PAGE) || mapped(q + 5 * PAGE));
	assert_ptr_equal(mremap(p, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q + 2 * PAGE),
			 q + 2 * PAGE);
	assert_filled(q + 2 * PAGE, 2 * PAGE);
	assert_zero(q + 4 * PAGE, PAGE);
	munmap(q, 8 * PAGE);
}

static void dontunmap_leaves_an_empty_mapping(void **state)
{
	char *p = with_room(4);

	errno = 0;
	char *q = mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	if (q == MAP_FAILED && errno == EINVAL)
		skip();                         /* before 5.7 */
	ASSERT_OK(q);
	assert_ptr_not_equal(q, p);
	assert_filled(q, 4 * PAGE);
	assert_true(mapped(p));
	assert_zero(p, 4 * PAGE);
	fill(p, 4 * PAGE);
	char *place = with_room(8);
	assert_ptr_equal(mremap(p, 4 * PAGE, 4 * PAGE,
				MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED, place), place);
	assert_filled(place, 4 * PAGE);
	assert_zero(p, 4 * PAGE);
	munmap(p, 4 * PAGE);
	munmap(q, 4 * PAGE);
	munmap(place, 8 * PAGE);
}

static void length_zero_duplicates_a_shared_map(void **state)
{
	int fd = (int)ASSERT_OK(memfd_create("dup", 0));

	ASSERT_OK(ftruncate(fd, 2 * PAGE));
	char *p = (char *)ASSERT_OK(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));
	char *q = (char *)ASSERT_OK(mremap(p, 0, 2 * PAGE, MREMAP_MAYMOVE));
	assert_ptr_not_equal(q, p);
	p[5] = 1;
	q[PAGE + 5] = 2;
	assert_int_equal(q[5], 1);
	assert_int_equal(p[PAGE + 5], 2);
	munmap(p, 2 * PAGE);
	munmap(q, 2 * PAGE);
	close(fd);
	p = with_room(1);
	ASSERT_ERR(mremap(p, 0, PAGE, MREMAP_MAYMOVE), EINVAL);         /* not of private ones */
	munmap(p, PAGE);
}

static void a_file_map_grows_over_more_of_the_file(void **state)
{
	int fd = (int)ASSERT_OK(open("f", O_RDWR | O_CREAT | O_TRUNC, 0600));
	struct map m;

	for (int i = 0; i < 4; i++)
		assert_int_equal(pwrite(fd, &(char){ (char)('a' + i) }, 1, i * (off_t)PAGE), 1);
	for (int shared = 0; shared < 2; shared++) {
		char *p = (char *)ASSERT_OK(mmap(NULL, PAGE, RW, shared ? MAP_SHARED : MAP_PRIVATE, fd,
						 PAGE));
		p[1] = 'P';
		char *q = (char *)ASSERT_OK(mremap(p, PAGE, 4 * PAGE, MREMAP_MAYMOVE));
		assert_int_equal(q[0], 'b');
		assert_int_equal(q[1], 'P');
		assert_int_equal(q[PAGE], 'c');
		assert_int_equal(q[2 * PAGE], 'd');
		assert_int_equal(fault_read(q + 3 * PAGE, NULL), SIGBUS);
		assert_true(map_find(q, &m));
		assert_int_equal(m.offset, PAGE);
		assert_int_equal(m.end - m.start, 4 * PAGE);
		munmap(q, 4 * PAGE);
	}
	close(fd);
}

static void protection_moves_along(void **state)
{
	char *p = without_room();

	ASSERT_OK(mprotect(p, 2 * PAGE, PROT_READ));
	char *q = (char *)ASSERT_OK(mremap(p, 2 * PAGE, 6 * PAGE, MREMAP_MAYMOVE));
	assert_string_equal(map_perms(q + 5 * PAGE), "r--p");
	assert_int_equal(fault_write(q, NULL), SIGSEGV);
	assert_int_equal(fault_write(q + 5 * PAGE, NULL), SIGSEGV);
	assert_filled(q, 2 * PAGE);
	munmap(q, 6 * PAGE);
	munmap(p + 2 * PAGE, PAGE);
}

static void large_blocks_move_whole(void **state)
{
	const size_t size = 24 << 20;
	char *p = (char *)ASSERT_OK(mmap(NULL, size + PAGE, RW, ANON, -1, 0));

	ASSERT_OK(mprotect(p + size, PAGE, PROT_NONE));
	for (size_t i = 0; i < size; i += PAGE)
		*(size_t *)(p + i) = i + 1;
	char *q = (char *)ASSERT_OK(mremap(p, size, 2 * size, MREMAP_MAYMOVE));
	for (size_t i = 0; i < size; i += PAGE)
		assert_int_equal(*(size_t *)(q + i), i + 1);
	assert_int_equal(q[size], 0);
	assert_int_equal(q[2 * size - 1], 0);
	munmap(q, 2 * size);
	munmap(p + size, PAGE);
}

static void errors_come_in_linux_order(void **state)
{
	char *p = with_room(4), *q = with_room(4), *two = with_room(4);
	char *hole = p + 8 * PAGE;

	ASSERT_OK(mprotect(two + 2 * PAGE, 2 * PAGE, PROT_READ));
	const struct {
		const char *what;
		char *addr;
		size_t old, len;
		int flags;
		char *to;
		int err;
	} c[] = {
		{ "unknown flag",        p, PAGE, PAGE, 8, NULL, EINVAL },
		{ "fixed alone",         p, PAGE, PAGE, MREMAP_FIXED, q, EINVAL },
		{ "dontunmap alone",     p, PAGE, PAGE, MREMAP_DONTUNMAP, NULL, EINVAL },
		{ "dontunmap, other size", p, PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL, EINVAL },
		{ "not aligned",         p + 1, PAGE, PAGE, 0, NULL, EINVAL },
		{ "new size 0",          p, PAGE, 0, 0, NULL, EINVAL },
		{ "old size 0",          p, 0, PAGE, MREMAP_MAYMOVE, NULL, EINVAL },
		{ "unmapped",            hole, PAGE, 2 * PAGE, MREMAP_MAYMOVE, NULL, EFAULT },
		{ "unmapped, flag",      hole, PAGE, 2 * PAGE, 8, NULL, EINVAL },
		{ "over the end",        p, 6 * PAGE, 8 * PAGE, MREMAP_MAYMOVE, NULL, EFAULT },
		{ "two mappings grow",   two, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE, NULL, EFAULT },
		{ "target not aligned",  p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q + 1, EINVAL },
		{ "target overlaps",     p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE, EINVAL },
		{ "target is the source", p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p, EINVAL },
		{ "target in the kernel", p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (char *)-PAGE, EINVAL },
		{ "new size too large",  p, PAGE, (1UL << 47) - 4 * PAGE, MREMAP_MAYMOVE, NULL, ENOMEM },
	};

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		errno = 0;
		long r = syscall(SYS_mremap, c[i].addr, c[i].old, c[i].len, c[i].flags, c[i].to);
		if (r != -1 || errno != c[i].err)
			fail_msg("%s: got %lx/%s, want %s", c[i].what, r, errno_name(errno),
				 errno_name(c[i].err));
	}
	assert_filled(p, 4 * PAGE);
	assert_filled(q, 4 * PAGE);
	munmap(p, 4 * PAGE);
	munmap(q, 4 * PAGE);
	munmap(two, 4 * PAGE);
}

static void remap_file_pages_shows_other_pages(void **state)
{
	char *p = (char *)ASSERT_OK(mmap(NULL, 8 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0)), *priv;

	for (int i = 0; i < 8; i++)
		p[i * PAGE] = (char)('0' + i);
	ASSERT_OK(remap_file_pages(p, 2 * PAGE, 0, 6, 0));
	assert_int_equal(p[0], '6');
	assert_int_equal(p[PAGE], '7');
	assert_int_equal(p[2 * PAGE], '2');
	p[0] = 'x';
	assert_int_equal(p[6 * PAGE], 'x');
	ASSERT_OK(remap_file_pages(p + 3 * PAGE + 5, PAGE + 7, 0, 0, 0)); /* cut to pages */
	assert_int_equal(p[3 * PAGE], '0');
	ASSERT_ERR(remap_file_pages(p, PAGE, PROT_READ, 0, 0), EINVAL);
	ASSERT_ERR(remap_file_pages(p, 0, 0, 0, 0), EINVAL);
	ASSERT_ERR(remap_file_pages(p, 16 * PAGE, 0, 0, 0), EINVAL);
	ASSERT_ERR(remap_file_pages(p, PAGE, 0, -1, 0), EINVAL);
	priv = (char *)ASSERT_OK(mmap(NULL, PAGE, RW, ANON, -1, 0));
	ASSERT_ERR(remap_file_pages(priv, PAGE, 0, 0, 0), EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_in_place_where_there_is_room),
		cmocka_unit_test(without_room_it_needs_maymove),
		cmocka_unit_test(shrinking_cuts_the_tail),
		cmocka_unit_test(shrinking_a_part_leaves_the_rest),
		cmocka_unit_test(a_part_that_grows_has_to_move),
		cmocka_unit_test(fixed_moves_there_and_replaces),
		cmocka_unit_test(dontunmap_leaves_an_empty_mapping),
		cmocka_unit_test(length_zero_duplicates_a_shared_map),
		cmocka_unit_test(a_file_map_grows_over_more_of_the_file),
		cmocka_unit_test(protection_moves_along),
		cmocka_unit_test(large_blocks_move_whole),
		cmocka_unit_test(errors_come_in_linux_order),
		cmocka_unit_test(remap_file_pages_shows_other_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
