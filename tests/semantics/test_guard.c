/* SPDX-License-Identifier: MIT */
/* Guard regions: pages that fault within an area which stays one. madvise(2), MADV_GUARD_INSTALL, Linux 6.13. */
#include "tests/lib/child.h"

#include <sys/mman.h>
#include <sys/uio.h>

#define PAGE 4096
#define NPAGES 64
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

static sigjmp_buf back;
static int code;

static void on_segv(int sig, siginfo_t *info, void *uc)
{
	code = info->si_code;
	siglongjmp(back, 1);
}

/* SEGV_* if touching it faults, else 0. */
static int touch(volatile char *p, bool write)
{
	struct sigaction sa = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO }, old;

	sigaction(SIGSEGV, &sa, &old);
	code = 0;
	if (!sigsetjmp(back, 1)) {
		if (write)
			*p = 1;
		else
			(void)*p;
	}
	sigaction(SIGSEGV, &old, NULL);
	return code;
}

static char *map(int pages)
{
	char *p = mmap(NULL, (size_t)pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static char *guarded(int first, int n)
{
	char *p = map(NPAGES);

	memset(p, 5, NPAGES * PAGE);
	if (madvise(p + first * PAGE, (size_t)n * PAGE, MADV_GUARD_INSTALL) == -1) {
		assert_int_equal(errno, EINVAL);
		skip();
	}
	return p;
}

static void the_pages_fault_and_their_contents_are_gone(void **state)
{
	char *p = guarded(2, 3);

	assert_int_equal(touch(p + 2 * PAGE, false), SEGV_MAPERR);
	assert_int_equal(touch(p + 5 * PAGE - 1, true), SEGV_MAPERR);
	assert_int_equal(touch(p + 2 * PAGE - 1, true), 0);
	assert_int_equal(touch(p + 5 * PAGE, true), 0);
	ASSERT_OK(madvise(p + 3 * PAGE, PAGE, MADV_GUARD_REMOVE));
	assert_int_equal(p[3 * PAGE], 0);
	assert_int_equal(touch(p + 2 * PAGE, false), SEGV_MAPERR);
	assert_int_equal(touch(p + 4 * PAGE, false), SEGV_MAPERR);
	ASSERT_OK(madvise(p, NPAGES * PAGE, MADV_GUARD_REMOVE));
	assert_int_equal(p[2 * PAGE], 0);
	assert_int_equal(p[10 * PAGE], 5);              /* the others are what they were */
	munmap(p, NPAGES * PAGE);
}

static void touching_around_them_leaves_them(void **state)
{
	char *p = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (madvise(p + 500 * PAGE, PAGE, MADV_GUARD_INSTALL) == -1 || madvise(p + 1000 * PAGE, PAGE, MADV_GUARD_INSTALL) == -1)
		skip();
	for (int i = 0; i < 2048; i++)
		assert_int_equal(touch(p + i * PAGE, true), i == 500 || i == 1000 ? SEGV_MAPERR : 0);
	munmap(p, 8 << 20);
}

static void the_kernel_faults_too(void **state)
{
	char *p = guarded(1, 1);
	int fd[2];

	ASSERT_OK(pipe(fd));
	ASSERT_ERR(write(fd[1], p + PAGE, 1), EFAULT);
	assert_int_equal(write(fd[1], "x", 1), 1);
	ASSERT_ERR(read(fd[0], p + PAGE, 1), EFAULT);
	ASSERT_ERR(madvise(p, 3 * PAGE, MADV_POPULATE_READ), EFAULT);
	close(fd[0]);
	close(fd[1]);
	munmap(p, NPAGES * PAGE);
}

static void they_outlast_other_advice_and_protection(void **state)
{
	char *p = guarded(1, 2);

	ASSERT_OK(madvise(p, NPAGES * PAGE, MADV_DONTNEED));
	assert_int_equal(touch(p + PAGE, false), SEGV_MAPERR);
	ASSERT_OK(mprotect(p, NPAGES * PAGE, PROT_READ));
	ASSERT_OK(mprotect(p, NPAGES * PAGE, PROT_READ | PROT_WRITE));
	assert_int_equal(touch(p + PAGE, true), SEGV_MAPERR);
	ASSERT_OK(madvise(p, NPAGES * PAGE, MADV_GUARD_INSTALL));       /* all of it, partly again */
	assert_int_equal(touch(p, true), SEGV_MAPERR);
	ASSERT_OK(madvise(p, NPAGES * PAGE, MADV_GUARD_REMOVE));
	assert_int_equal(touch(p + PAGE, true), 0);
	munmap(p, NPAGES * PAGE);
}

static void they_go_with_the_map_and_move_with_it(void **state)
{
	char *p = guarded(3, 1), *q;

	q = mremap(p, NPAGES * PAGE, NPAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map(NPAGES));
	assert_true(q != MAP_FAILED);
	assert_int_equal(touch(q + 3 * PAGE, true), SEGV_MAPERR);
	assert_int_equal(q[4 * PAGE], 5);
	assert_ptr_equal(mmap(q, NPAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), q);
	assert_int_equal(touch(q + 3 * PAGE, true), 0);
	assert_ptr_equal(mmap(p, PAGE * NPAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), p);
	assert_int_equal(touch(p + 3 * PAGE, true), 0);
	munmap(p, NPAGES * PAGE);
	munmap(q, NPAGES * PAGE);
}

static int touch_in_child(void *arg)
{
	char *p = arg;

	CHECK(touch(p + PAGE, true) == SEGV_MAPERR);
	CHECK(touch(p, true) == 0);
	CHECK(madvise(p + PAGE, PAGE, MADV_GUARD_REMOVE) == 0);
	CHECK(touch(p + PAGE, true) == 0);
	return 0;
}

static void children_have_their_own(void **state)
{
	char *p = guarded(1, 1);

	IN_CHILD(touch_in_child, p);
	assert_int_equal(touch(p + PAGE, true), SEGV_MAPERR);
	munmap(p, NPAGES * PAGE);
}

static void locked_areas_have_none(void **state)
{
	char *p = guarded(1, 1);

	ASSERT_OK(madvise(p, NPAGES * PAGE, MADV_GUARD_REMOVE));
	ASSERT_OK(mlock(p, NPAGES * PAGE));
	ASSERT_ERR(madvise(p, PAGE, MADV_GUARD_INSTALL), EINVAL);
	ASSERT_OK(madvise(p, PAGE, MADV_GUARD_REMOVE));
	munmap(p, NPAGES * PAGE);
	ASSERT_ERR(madvise(p, PAGE, MADV_GUARD_INSTALL), ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_pages_fault_and_their_contents_are_gone),
		cmocka_unit_test(touching_around_them_leaves_them),
		cmocka_unit_test(the_kernel_faults_too),
		cmocka_unit_test(they_outlast_other_advice_and_protection),
		cmocka_unit_test(they_go_with_the_map_and_move_with_it),
		cmocka_unit_test(children_have_their_own),
		cmocka_unit_test(locked_areas_have_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
