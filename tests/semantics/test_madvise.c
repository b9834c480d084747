/* SPDX-License-Identifier: MIT */
/*
 * madvise(2), mincore(2), mlock(2) and its family, msync(2): what advice does to the contents, what
 * is resident, and the errors. Huge pages and anything that depends on swap are left out.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/fault.h"
#include "tests/lib/maps.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define RW (PROT_READ | PROT_WRITE)

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static char *map_anon(size_t pages)
{
	return (char *)ASSERT_OK(mmap(NULL, pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static char *map_shared_anon(size_t pages)
{
	return (char *)ASSERT_OK(mmap(NULL, pages * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

/* "f": page i full of 'a' + i. */
static int make_file(int pages)
{
	int fd = (int)ASSERT_OK(open("f", O_RDWR | O_CREAT | O_TRUNC, 0600));
	char page[PAGE];

	for (int i = 0; i < pages; i++) {
		memset(page, 'a' + i, PAGE);
		assert_int_equal(write(fd, page, PAGE), PAGE);
	}
	return fd;
}

static int resident(char *p, size_t pages)
{
	unsigned char vec[64];
	int n = 0;

	ASSERT_OK(mincore(p, pages * PAGE, vec));
	for (size_t i = 0; i < pages; i++)
		n += vec[i] & 1;
	return n;
}

static void dontneed_drops_anonymous_pages(void **state)
{
	char *p = map_anon(4);

	memset(p, 7, 4 * PAGE);
	ASSERT_OK(madvise(p + PAGE, PAGE + 1, MADV_DONTNEED));          /* rounded up */
	assert_int_equal(p[PAGE - 1], 7);
	assert_int_equal(p[PAGE], 0);
	assert_int_equal(p[3 * PAGE - 1], 0);
	assert_int_equal(p[3 * PAGE], 7);
	p[PAGE] = 9;
	assert_int_equal(p[PAGE], 9);
	ASSERT_OK(mprotect(p, 4 * PAGE, PROT_READ));                    /* protection does not matter */
	ASSERT_OK(madvise(p, 4 * PAGE, MADV_DONTNEED));
	assert_int_equal(p[0], 0);
	assert_int_equal(p[PAGE], 0);
	munmap(p, 4 * PAGE);
}

static void dontneed_brings_back_the_file(void **state)
{
	int fd = make_file(2);
	char *p = (char *)ASSERT_OK(mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0));
	char *q = (char *)ASSERT_OK(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));

	p[0] = p[PAGE] = 'X';
	ASSERT_OK(madvise(p, PAGE, MADV_DONTNEED));
	assert_int_equal(p[0], 'a');
	assert_int_equal(p[PAGE], 'X');
	q[1] = 'S';
	ASSERT_OK(madvise(q, 2 * PAGE, MADV_DONTNEED));
	assert_int_equal(q[1], 'S');                    /* of a shared map nothing is lost */
	ASSERT_OK(madvise(p, 2 * PAGE, MADV_DONTNEED));
	assert_int_equal(p[1], 'S');
	munmap(p, 2 * PAGE);
	munmap(q, 2 * PAGE);
	close(fd);
}

static void dontneed_keeps_shared_anonymous_memory(void **state)
{
	char *p = map_shared_anon(2);

	memset(p, 5, 2 * PAGE);
	ASSERT_OK(madvise(p, 2 * PAGE, MADV_DONTNEED));
	assert_int_equal(p[0], 5);
	assert_int_equal(p[2 * PAGE - 1], 5);
	munmap(p, 2 * PAGE);
}

static void remove_clears_shared_memory_everywhere(void **state)
{
	char *p = map_shared_anon(3);
	char *q = (char *)ASSERT_OK(mremap(p, 0, 3 * PAGE, MREMAP_MAYMOVE));

	memset(p, 5, 3 * PAGE);
	ASSERT_OK(madvise(p + PAGE, PAGE, MADV_REMOVE));
	assert_int_equal(q[PAGE - 1], 5);
	assert_int_equal(q[PAGE], 0);
	assert_int_equal(p[2 * PAGE - 1], 0);
	assert_int_equal(q[2 * PAGE], 5);
	munmap(q, 3 * PAGE);
	munmap(p, 3 * PAGE);
	p = map_anon(1);
	ASSERT_ERR(madvise(p, PAGE, MADV_REMOVE), EINVAL);
	munmap(p, PAGE);
}

static void free_gives_the_old_or_zero_and_keeps_new_writes(void **state)
{
	char *p = map_anon(16);

	memset(p, 7, 16 * PAGE);
	ASSERT_OK(madvise(p, 16 * PAGE, MADV_FREE));
	for (size_t i = 0; i < 16; i++)
		assert_true(p[i * PAGE] == 7 || p[i * PAGE] == 0);
	for (size_t i = 0; i < 16; i++)
		p[i * PAGE] = 8;
	for (size_t i = 0; i < 16; i++) {
		assert_int_equal(p[i * PAGE], 8);
		assert_true(p[i * PAGE + 1] == 7 || p[i * PAGE + 1] == 0);
	}
	munmap(p, 16 * PAGE);
	p = map_shared_anon(1);
	ASSERT_ERR(madvise(p, PAGE, MADV_FREE), EINVAL);
	munmap(p, PAGE);
	int fd = make_file(1);
	p = (char *)ASSERT_OK(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0));
	ASSERT_ERR(madvise(p, PAGE, MADV_FREE), EINVAL);
	munmap(p, PAGE);
	close(fd);
}

static void hints_change_nothing(void **state)
{
	static const int advice[] = { MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
				      MADV_DONTFORK, MADV_DOFORK, MADV_DONTDUMP, MADV_DODUMP };
	int fd = make_file(2);
	char *p = (char *)ASSERT_OK(mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0));

	p[0] = 'X';
	for (size_t i = 0; i < ARRAY_SIZE(advice); i++) {
		ASSERT_OK(madvise(p, 2 * PAGE, advice[i]));
		assert_int_equal(p[0], 'X');
		assert_int_equal(p[PAGE], 'b');
	}
	ASSERT_ERR(madvise(p, PAGE, MADV_WIPEONFORK), EINVAL);          /* only anonymous private */
	munmap(p, 2 * PAGE);
	close(fd);
	p = map_anon(1);
	ASSERT_OK(madvise(p, PAGE, MADV_WIPEONFORK));
	ASSERT_OK(madvise(p, PAGE, MADV_KEEPONFORK));
	munmap(p, PAGE);
}

static void populate_makes_resident_or_says_why_not(void **state)
{
	char *p = map_anon(8);

	if (madvise(p, PAGE, MADV_POPULATE_READ) == -1 && errno == EINVAL)
		skip();                         /* before 5.14 */
	ASSERT_OK(madvise(p, 8 * PAGE, MADV_POPULATE_WRITE));
	assert_int_equal(resident(p, 8), 8);
	assert_int_equal(p[7 * PAGE], 0);
	ASSERT_OK(mprotect(p, PAGE, PROT_READ));
	ASSERT_OK(madvise(p, 8 * PAGE, MADV_POPULATE_READ));
	ASSERT_ERR(madvise(p, 8 * PAGE, MADV_POPULATE_WRITE), EINVAL);
	ASSERT_OK(munmap(p + PAGE, PAGE));
	ASSERT_ERR(madvise(p, 3 * PAGE, MADV_POPULATE_READ), ENOMEM);
	munmap(p, 8 * PAGE);
	int fd = make_file(1);
	p = (char *)ASSERT_OK(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));
	ASSERT_ERR(madvise(p, 2 * PAGE, MADV_POPULATE_READ), EFAULT);   /* would be a SIGBUS */
	munmap(p, 2 * PAGE);
	close(fd);
}

static void a_hole_is_enomem_but_the_rest_is_done(void **state)
{
	char *p = map_anon(3);

	memset(p, 7, 3 * PAGE);
	ASSERT_OK(munmap(p + PAGE, PAGE));
	ASSERT_ERR(madvise(p, 3 * PAGE, MADV_DONTNEED), ENOMEM);
	assert_int_equal(p[0], 0);
	assert_int_equal(p[2 * PAGE], 0);
	munmap(p, 3 * PAGE);
}

static void madvise_errors_come_in_linux_order(void **state)
{
	char *p = map_anon(2), *hole = p + PAGE;

	munmap(hole, PAGE);
	const struct { const char *what; char *addr; size_t len; int advice, err; } c[] = {
		{ "unknown advice",            p, PAGE, 12345, EINVAL },
		{ "unknown, no length",        p, 0, 12345, EINVAL },
		{ "not aligned",               p + 1, PAGE, MADV_NORMAL, EINVAL },
		{ "not aligned, no length",    p + 1, 0, MADV_NORMAL, EINVAL },
		{ "no length",                 p, 0, MADV_DONTNEED, 0 },
		{ "no length, unmapped",       hole, 0, MADV_DONTNEED, 0 },
		{ "rounds up to 0",            p, -1UL, MADV_NORMAL, EINVAL },
		{ "wraps",                     p, -PAGE, MADV_NORMAL, EINVAL },
		{ "unmapped",                  hole, PAGE, MADV_DONTNEED, ENOMEM },
	};

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		errno = 0;
		int r = madvise(c[i].addr, c[i].len, c[i].advice);
		if (r != (c[i].err ? -1 : 0) || errno != c[i].err)
			fail_msg("%s: got %d/%s, want %s", c[i].what, r, errno_name(errno),
				 errno_name(c[i].err));
	}
	ASSERT_OK(mlock(p, PAGE));
	ASSERT_ERR(madvise(p, PAGE, MADV_DONTNEED), EINVAL);            /* locked pages stay */
	ASSERT_OK(munlock(p, PAGE));
	ASSERT_OK(madvise(p, PAGE, MADV_DONTNEED));
	munmap(p, PAGE);
}

static void mincore_shows_what_was_touched(void **state)
{
	/* Shared: no huge page, and nothing is faulted in around. */
	char *p = map_shared_anon(16);
	unsigned char vec[16];

	assert_int_equal(resident(p, 16), 0);
	p[3 * PAGE] = p[9 * PAGE] = 1;
	ASSERT_OK(mincore(p, 15 * PAGE + 1, vec));
	for (int i = 0; i < 16; i++)
		assert_int_equal(vec[i] & 1, i == 3 || i == 9);
	ASSERT_ERR(mincore(p + 1, PAGE, vec), EINVAL);
	ASSERT_ERR(mincore(p, PAGE, (void *)8), EFAULT);
	ASSERT_OK(mincore(p, 0, vec));
	ASSERT_ERR(mincore((void *)0xffff800000000000, PAGE, vec), ENOMEM);
	ASSERT_OK(munmap(p + 8 * PAGE, PAGE));
	ASSERT_ERR(mincore(p, 16 * PAGE, vec), ENOMEM);
	munmap(p, 16 * PAGE);
}

static void mlock_makes_resident_and_is_counted(void **state)
{
	char *p = map_anon(8);
	long before = status_number("VmLck");

	ASSERT_OK(mlock(p + 1, 2 * PAGE));              /* the start is rounded down: three pages */
	assert_int_equal(resident(p, 3), 3);
	assert_int_equal(status_number("VmLck"), before + 12);
	ASSERT_OK(mlock(p, PAGE));                      /* does not count twice */
	assert_int_equal(status_number("VmLck"), before + 12);
	ASSERT_OK(munlock(p + PAGE, PAGE));
	assert_int_equal(status_number("VmLck"), before + 8);
	ASSERT_OK(munmap(p, 8 * PAGE));
	assert_int_equal(status_number("VmLck"), before);
	/* Locking on demand. */
	p = map_shared_anon(4);
	ASSERT_OK(syscall(SYS_mlock2, p, 4 * PAGE, 1));
	assert_int_equal(resident(p, 4), 0);
	assert_int_equal(status_number("VmLck"), before + 16);
	p[PAGE] = 1;
	assert_int_equal(resident(p, 4), 1);
	munmap(p, 4 * PAGE);
}

static void mlock_reports_errors(void **state)
{
	char *p = map_anon(3);

	ASSERT_OK(munmap(p + PAGE, PAGE));
	ASSERT_ERR(mlock(p, 3 * PAGE), ENOMEM);
	ASSERT_ERR(munlock(p, 3 * PAGE), ENOMEM);
	ASSERT_ERR(mlock(p + PAGE, PAGE), ENOMEM);
	ASSERT_OK(mlock(p, 0));
	ASSERT_ERR(syscall(SYS_mlock2, p, PAGE, 2), EINVAL);
	ASSERT_ERR(mlockall(0), EINVAL);
	ASSERT_ERR(mlockall(8), EINVAL);
	ASSERT_ERR(mlockall(4), EINVAL);                /* MCL_ONFAULT wants another one */
	munlock(p, PAGE);
	munlock(p + 2 * PAGE, PAGE);
	ASSERT_OK(munlockall());
	assert_int_equal(status_number("VmLck"), 0);
	munmap(p, 3 * PAGE);
}

static void msync_reports_errors_and_shared_maps_reach_the_file(void **state)
{
	int fd = make_file(3);
	char *p = (char *)ASSERT_OK(mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, 0));
	char c = 0;

	p[PAGE] = 'M';
	ASSERT_OK(msync(p, 3 * PAGE, MS_SYNC));
	ASSERT_OK(msync(p, 3 * PAGE, MS_ASYNC));
	ASSERT_OK(msync(p, 3 * PAGE, MS_INVALIDATE));
	ASSERT_OK(msync(p, 0, MS_SYNC));
	ASSERT_OK(msync(p, 3 * PAGE, 0));
	assert_int_equal(pread(fd, &c, 1, PAGE), 1);
	assert_int_equal(c, 'M');
	ASSERT_ERR(msync(p, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	ASSERT_ERR(msync(p, PAGE, 8), EINVAL);
	ASSERT_ERR(msync(p + 1, PAGE, MS_SYNC), EINVAL);
	ASSERT_ERR(msync(p, -PAGE, MS_SYNC), ENOMEM);
	ASSERT_OK(munmap(p + PAGE, PAGE));
	ASSERT_ERR(msync(p, 3 * PAGE, MS_SYNC), ENOMEM);
	ASSERT_OK(mlock(p, PAGE));
	ASSERT_ERR(msync(p, PAGE, MS_INVALIDATE), EBUSY);
	ASSERT_OK(msync(p, PAGE, MS_SYNC));
	munmap(p, 3 * PAGE);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dontneed_drops_anonymous_pages),
		cmocka_unit_test(dontneed_brings_back_the_file),
		cmocka_unit_test(dontneed_keeps_shared_anonymous_memory),
		cmocka_unit_test(remove_clears_shared_memory_everywhere),
		cmocka_unit_test(free_gives_the_old_or_zero_and_keeps_new_writes),
		cmocka_unit_test(hints_change_nothing),
		cmocka_unit_test(populate_makes_resident_or_says_why_not),
		cmocka_unit_test(a_hole_is_enomem_but_the_rest_is_done),
		cmocka_unit_test(madvise_errors_come_in_linux_order),
		cmocka_unit_test(mincore_shows_what_was_touched),
		cmocka_unit_test(mlock_makes_resident_and_is_counted),
		cmocka_unit_test(mlock_reports_errors),
		cmocka_unit_test(msync_reports_errors_and_shared_maps_reach_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
