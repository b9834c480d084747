/* SPDX-License-Identifier: MIT */
/* Areas that nobody changes any more: mseal(2), Linux 6.10. */
#include "tests/lib/child.h"

#include <sys/mman.h>

#define PAGE 4096
#ifndef SYS_mseal
#define SYS_mseal 462
#endif

static long seal(void *at, size_t len, unsigned long flags)
{
	return syscall(SYS_mseal, at, len, flags);
}

static char *map(int prot, int pages)
{
	char *p = mmap(NULL, (size_t)pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

/* What is sealed stays: cases leave their maps. */
static char *sealed(int prot, int pages)
{
	char *p = map(prot, pages);

	if (seal(p, (size_t)pages * PAGE, 0) == -1) {
		assert_int_equal(errno, ENOSYS);
		skip();
	}
	return p;
}

static void what_would_change_it_is_eperm(void **state)
{
	char *p = sealed(PROT_READ | PROT_WRITE, 4), *other = map(PROT_READ, 4);

	ASSERT_ERR(munmap(p, PAGE), EPERM);
	ASSERT_ERR(munmap(p + PAGE, PAGE), EPERM);
	ASSERT_ERR(mprotect(p, PAGE, PROT_READ), EPERM);
	ASSERT_ERR(mprotect(p, PAGE, PROT_READ | PROT_WRITE), EPERM);   /* though nothing would change */
	assert_ptr_equal(mremap(p, 4 * PAGE, 2 * PAGE, 0), MAP_FAILED);
	assert_int_equal(errno, EPERM);
	assert_ptr_equal(mremap(p, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE), MAP_FAILED);
	assert_int_equal(errno, EPERM);
	assert_ptr_equal(mremap(other, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p), MAP_FAILED);
	assert_int_equal(errno, EPERM);
	assert_ptr_equal(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), MAP_FAILED);
	assert_int_equal(errno, EPERM);
	memset(p, 7, 4 * PAGE);
	ASSERT_OK(madvise(p, PAGE, MADV_DONTNEED));     /* it is writable: that loses nothing one may not change */
	assert_int_equal(p[0], 0);
	ASSERT_OK(seal(p, 4 * PAGE, 0));
}

static void contents_that_cannot_be_written_stay(void **state)
{
	char *p = sealed(PROT_READ, 1);

	ASSERT_ERR(madvise(p, PAGE, MADV_DONTNEED), EPERM);
	ASSERT_ERR(madvise(p, PAGE, MADV_FREE), EPERM);
	ASSERT_ERR(madvise(p, PAGE, MADV_DONTFORK), EPERM);
	ASSERT_ERR(madvise(p, PAGE, MADV_WIPEONFORK), EPERM);
	ASSERT_OK(madvise(p, PAGE, MADV_RANDOM));
	ASSERT_OK(madvise(p, PAGE, MADV_WILLNEED));
	ASSERT_OK(mlock(p, PAGE));
	ASSERT_OK(munlock(p, PAGE));
}

static void a_part_protects_only_itself(void **state)
{
	char *p = map(PROT_READ | PROT_WRITE, 4);

	if (seal(p + PAGE, PAGE, 0) == -1)
		skip();
	ASSERT_ERR(munmap(p, 4 * PAGE), EPERM);
	p[0] = p[3 * PAGE] = 1;                         /* nothing went */
	ASSERT_ERR(mprotect(p, 2 * PAGE, PROT_READ), EPERM);
	ASSERT_OK(munmap(p + 2 * PAGE, 2 * PAGE));
	ASSERT_OK(munmap(p, PAGE));
}

static void errors_come_in_order(void **state)
{
	char *p = map(PROT_READ, 3);

	if (seal(p, 0, 0) == -1)
		skip();
	ASSERT_OK(munmap(p + PAGE, PAGE));
	ASSERT_ERR(seal(p, PAGE, 1), EINVAL);
	ASSERT_ERR(seal(p + 1, PAGE, 0), EINVAL);
	ASSERT_ERR(seal(p, SIZE_MAX, 0), EINVAL);
	ASSERT_ERR(seal((void *)-(long)PAGE, 2 * PAGE, 0), EINVAL);
	ASSERT_ERR(seal(p, 3 * PAGE, 0), ENOMEM);
	ASSERT_OK(munmap(p, PAGE));                     /* so it did nothing */
	ASSERT_OK(munmap(p + 2 * PAGE, PAGE));
}

static int unmap_it(void *arg)
{
	CHECK(munmap(arg, PAGE) == -1 && errno == EPERM);
	return 0;
}

static void children_inherit_it(void **state)
{
	IN_CHILD(unmap_it, sealed(PROT_READ, 1));
}

static void the_heap_cannot_be_taken_back(void **state)
{
	char *old = sbrk(0), *at = (char *)(((uintptr_t)old + PAGE - 1) & -(uintptr_t)PAGE);

	ASSERT_OK(brk(at + 2 * PAGE));
	if (seal(at + PAGE, PAGE, 0) == -1)
		skip();
	assert_ptr_equal((void *)syscall(SYS_brk, at), at + 2 * PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_would_change_it_is_eperm),
		cmocka_unit_test(contents_that_cannot_be_written_stay),
		cmocka_unit_test(a_part_protects_only_itself),
		cmocka_unit_test(errors_come_in_order),
		cmocka_unit_test(children_inherit_it),
		cmocka_unit_test(the_heap_cannot_be_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
