/* SPDX-License-Identifier: MIT */
/*
 * mprotect(2): what is allowed afterwards, for the program, for system calls and for other threads;
 * splitting and merging of mappings as /proc/self/maps shows it; holes; errors in Linux's order.
 * The details of the faults' siginfo are in test_faults.c.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/clock.h"
#include "tests/lib/fault.h"
#include "tests/lib/maps.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define RW (PROT_READ | PROT_WRITE)
#define RX (PROT_READ | PROT_EXEC)
#define SEM 8           /* PROT_SEM: accepted, means nothing */

static char *map_anon(size_t pages)
{
	return (char *)ASSERT_OK(mmap(NULL, pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static bool can_read(char *p)
{
	return fault_read(p, NULL) == 0;
}

static bool can_write(char *p)
{
	return fault_write(p, NULL) == 0;
}

static void each_protection_allows_what_it_says(void **state)
{
	/* There is no write-only memory on x86; execute-only depends on the CPU. */
	static const struct { int prot; bool read, write; const char *perms; } c[] = {
		{ PROT_NONE,               false, false, "---p" },
		{ PROT_READ,               true,  false, "r--p" },
		{ PROT_WRITE,              true,  true,  "-w-p" },
		{ RW,                      true,  true,  "rw-p" },
		{ RX,                      true,  false, "r-xp" },
		{ RW | PROT_EXEC,          true,  true,  "rwxp" },
		{ PROT_READ | SEM,         true,  false, "r--p" },
	};
	char *p = map_anon(1);

	*p = 1;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		ASSERT_OK(mprotect(p, PAGE, c[i].prot));
		assert_int_equal(can_read(p), c[i].read);
		assert_int_equal(can_write(p), c[i].write);
		assert_string_equal(map_perms(p), c[i].perms);
	}
	munmap(p, PAGE);
}

static void untouched_pages_obey_too(void **state)
{
	char *p = map_anon(4);

	ASSERT_OK(mprotect(p, PAGE, PROT_NONE));
	assert_false(can_read(p));
	ASSERT_OK(mprotect(p + PAGE, PAGE, PROT_READ));
	assert_false(can_write(p + PAGE));
	assert_true(can_read(p + PAGE));
	assert_false(can_write(p + PAGE));      /* nor after the page is there */
	ASSERT_OK(mprotect(p, 4 * PAGE, RW));
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(p[i * PAGE], 0);
		assert_true(can_write(p + i * PAGE));
	}
	munmap(p, 4 * PAGE);
}

static void no_access_keeps_the_data(void **state)
{
	char *p = map_anon(8);

	for (size_t i = 0; i < 8 * PAGE; i++)
		p[i] = (char)(i * 7);
	for (int round = 0; round < 3; round++) {
		ASSERT_OK(mprotect(p, 8 * PAGE, PROT_NONE));
		assert_false(can_read(p + 3 * PAGE));
		ASSERT_OK(mprotect(p, 8 * PAGE, round % 2 ? PROT_READ : RW));
		for (size_t i = 0; i < 8 * PAGE; i += 97)
			assert_int_equal(p[i], (char)(i * 7));
	}
	munmap(p, 8 * PAGE);
}

static void the_middle_splits_and_merges_again(void **state)
{
	char *p = map_anon(7);
	struct map m;

	/* Guards of another kind: neighbours must not merge with us. */
	ASSERT_OK(mprotect(p, PAGE, PROT_NONE));
	ASSERT_OK(mprotect(p + 6 * PAGE, PAGE, PROT_NONE));
	p += PAGE;
	assert_int_equal(map_count(p, 5 * PAGE), 1);
	ASSERT_OK(mprotect(p + 2 * PAGE, PAGE, PROT_READ));
	assert_int_equal(map_count(p, 5 * PAGE), 3);
	assert_true(map_find(p + 2 * PAGE, &m));
	assert_int_equal(m.start, (unsigned long)p + 2 * PAGE);
	assert_int_equal(m.end, (unsigned long)p + 3 * PAGE);
	assert_true(can_write(p + 2 * PAGE - 1));
	assert_false(can_write(p + 2 * PAGE));
	assert_false(can_write(p + 3 * PAGE - 1));
	assert_true(can_write(p + 3 * PAGE));
	ASSERT_OK(mprotect(p + PAGE, 2 * PAGE, PROT_READ));
	assert_int_equal(map_count(p, 5 * PAGE), 3);
	ASSERT_OK(mprotect(p + PAGE, 2 * PAGE, RW));
	assert_int_equal(map_count(p, 5 * PAGE), 1);
	munmap(p - PAGE, 7 * PAGE);
}

static void the_length_is_rounded_up(void **state)
{
	char *p = map_anon(3);

	ASSERT_OK(mprotect(p, PAGE + 1, PROT_READ));
	assert_false(can_write(p + 2 * PAGE - 1));
	assert_true(can_write(p + 2 * PAGE));
	munmap(p, 3 * PAGE);
}

static void up_to_a_hole_it_has_happened(void **state)
{
	char *p = map_anon(3);

	ASSERT_OK(munmap(p + PAGE, PAGE));
	ASSERT_ERR(mprotect(p, 3 * PAGE, PROT_READ), ENOMEM);
	assert_string_equal(map_perms(p), "r--p");              /* done before the hole was met */
	assert_string_equal(map_perms(p + 2 * PAGE), "rw-p");
	ASSERT_ERR(mprotect(p + PAGE, 2 * PAGE, PROT_READ), ENOMEM);
	assert_string_equal(map_perms(p + 2 * PAGE), "rw-p");
	munmap(p, 3 * PAGE);
}

static void errors_come_in_linux_order(void **state)
{
	char *p = map_anon(2);
	char *hole = p + PAGE;

	munmap(hole, PAGE);
	const struct { const char *what; char *addr; size_t len; int prot, err; } c[] = {
		{ "not aligned",            p + 1, PAGE, RW, EINVAL },
		{ "not aligned, no length", p + 1, 0, RW, EINVAL },
		{ "no length",              p, 0, RW, 0 },
		{ "no length, unmapped",    hole, 0, RW, 0 },
		{ "no length, bad prot",    hole, 0, 0x40, 0 },
		{ "wraps",                  p, -PAGE, RW, ENOMEM },
		{ "wraps, bad prot",        p, -PAGE, 0x40, ENOMEM },
		{ "bad prot",               p, PAGE, 0x40, EINVAL },
		{ "bad prot, unmapped",     hole, PAGE, 0x40, EINVAL },
		{ "unmapped",               hole, PAGE, RW, ENOMEM },
		{ "kernel",                 (char *)0xffff800000000000, PAGE, RW, ENOMEM },
		{ "grows both ways",        p, PAGE, RW | PROT_GROWSDOWN | PROT_GROWSUP, EINVAL },
		{ "does not grow down",     p, PAGE, RW | PROT_GROWSDOWN, EINVAL },
		{ "does not grow up",       p, PAGE, RW | PROT_GROWSUP, EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		errno = 0;
		int r = mprotect(c[i].addr, c[i].len, c[i].prot);
		if (r != (c[i].err ? -1 : 0) || errno != c[i].err)
			fail_msg("%s: got %d/%s, want %s", c[i].what, r, errno_name(errno),
				 errno_name(c[i].err));
	}
	munmap(p, PAGE);
}

static void a_shared_map_of_a_read_only_file_stays_so(void **state)
{
	int rw = (int)ASSERT_OK(open("f", O_RDWR | O_CREAT | O_TRUNC, 0600));
	int ro = (int)ASSERT_OK(open("f", O_RDONLY));
	char c = 0;

	assert_int_equal(write(rw, "file", 4), 4);
	char *shared = (char *)ASSERT_OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0));
	char *private = (char *)ASSERT_OK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ro, 0));
	ASSERT_ERR(mprotect(shared, PAGE, RW), EACCES);
	ASSERT_ERR(mprotect(shared, PAGE, PROT_WRITE), EACCES);
	assert_string_equal(map_perms(shared), "r--s");
	ASSERT_OK(mprotect(shared, PAGE, PROT_NONE));
	ASSERT_OK(mprotect(shared, PAGE, PROT_READ));
	assert_int_equal(*shared, 'f');

	assert_int_equal(*private, 'f');
	ASSERT_OK(mprotect(private, PAGE, RW));
	*private = 'X';
	assert_int_equal(private[1], 'i');
	assert_int_equal(*shared, 'f');
	assert_int_equal(pread(rw, &c, 1, 0), 1);
	assert_int_equal(c, 'f');
	munmap(shared, PAGE);
	munmap(private, PAGE);

	/* Opened for both it may be written after all, and the file sees it. */
	shared = (char *)ASSERT_OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, rw, 0));
	ASSERT_OK(mprotect(shared, PAGE, RW));
	*shared = 'Y';
	assert_int_equal(pread(rw, &c, 1, 0), 1);
	assert_int_equal(c, 'Y');
	munmap(shared, PAGE);
	close(rw);
	close(ro);
}

static void growsdown_reaches_to_the_start(void **state)
{
	char *place = map_anon(2048);

	munmap(place, 2048 * PAGE);
	char *p = (char *)ASSERT_OK(mmap(place + 2000 * PAGE, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS |
					 MAP_FIXED | MAP_GROWSDOWN, -1, 0));
	ASSERT_OK(mprotect(p + 3 * PAGE, PAGE, PROT_READ | PROT_GROWSDOWN));
	assert_string_equal(map_perms(p), "r--p");
	assert_int_equal(map_count(p, 4 * PAGE), 1);
	munmap(p, 4 * PAGE);
}

static void system_calls_respect_it(void **state)
{
	char *p = map_anon(1);
	int fds[2];

	ASSERT_OK(pipe(fds));
	assert_int_equal(write(fds[1], p, 4), 4);
	ASSERT_OK(mprotect(p, PAGE, PROT_READ));
	ASSERT_ERR(read(fds[0], p, 4), EFAULT);
	ASSERT_OK(mprotect(p, PAGE, PROT_NONE));
	ASSERT_ERR(write(fds[1], p, 4), EFAULT);
	ASSERT_ERR(open(p, O_RDONLY), EFAULT);
	ASSERT_OK(mprotect(p, PAGE, RW));
	assert_int_equal(write(fds[1], "abcd", 4), 4);
	assert_true(read(fds[0], p, 4) == 4);
	close(fds[0]);
	close(fds[1]);
	munmap(p, PAGE);
}

static void fresh_code_runs_after_each_switch(void **state)
{
	static const unsigned char code[] = { 0xb8, 0, 0, 0, 0, 0xc3 };         /* mov $n,%eax; ret */
	unsigned char *p = (unsigned char *)map_anon(1);

	for (int n = 0; n < 50; n++) {
		ASSERT_OK(mprotect(p, PAGE, RW));
		assert_int_equal(fault_run((void (*)(void *))(uintptr_t)p, NULL, NULL), SIGSEGV);
		memcpy(p, code, sizeof(code));
		memcpy(p + 1, &n, sizeof(n));
		ASSERT_OK(mprotect(p, PAGE, RX));
		assert_int_equal(((int (*)(void))(uintptr_t)p)(), n);
	}
	munmap(p, PAGE);
}

static char *shared_page;
static atomic_long writes;
static atomic_int faulted, stop;

static void keep_writing(void *arg)
{
	while (!stop) {
		*(volatile char *)shared_page = 1;
		writes++;
	}
}

static void *writer(void *arg)
{
	faulted = fault_run(keep_writing, NULL, NULL);
	return NULL;
}

static void other_threads_see_it_when_the_call_returns(void **state)
{
	shared_page = map_anon(1);
	for (int round = 0; round < 5; round++) {
		pthread_t t;
		long before = writes;

		faulted = stop = 0;
		ASSERT_OK(mprotect(shared_page, PAGE, RW));
		ASSERT_RET(pthread_create(&t, NULL, writer, NULL), 0);
		assert_true(EVENTUALLY(writes > before + 1000));
		ASSERT_OK(mprotect(shared_page, PAGE, PROT_READ));
		long at_return = writes;
		assert_true(EVENTUALLY(faulted == SIGSEGV));
		stop = 1;
		ASSERT_RET(pthread_join(t, NULL), 0);
		assert_true(writes <= at_return + 1);   /* one store may have been made already */
	}
	munmap(shared_page, PAGE);
}

static void many_small_pieces(void **state)
{
	enum { N = 1000 };
	char *p = map_anon(N);

	for (size_t i = 0; i < N; i += 2)
		ASSERT_OK(mprotect(p + i * PAGE, PAGE, PROT_READ));
	assert_in_range(map_count(p, N * PAGE), N - 1, N);      /* the last one may join a neighbour */
	assert_false(can_write(p + 500 * PAGE));
	assert_true(can_write(p + 501 * PAGE));
	ASSERT_OK(mprotect(p, N * PAGE, RW));
	assert_int_equal(map_count(p, N * PAGE), 1);
	munmap(p, N * PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_protection_allows_what_it_says),
		cmocka_unit_test(untouched_pages_obey_too),
		cmocka_unit_test(no_access_keeps_the_data),
		cmocka_unit_test(the_middle_splits_and_merges_again),
		cmocka_unit_test(the_length_is_rounded_up),
		cmocka_unit_test(up_to_a_hole_it_has_happened),
		cmocka_unit_test(errors_come_in_linux_order),
		cmocka_unit_test(a_shared_map_of_a_read_only_file_stays_so),
		cmocka_unit_test(growsdown_reaches_to_the_start),
		cmocka_unit_test(system_calls_respect_it),
		cmocka_unit_test(fresh_code_runs_after_each_switch),
		cmocka_unit_test(other_threads_see_it_when_the_call_returns),
		cmocka_unit_test(many_small_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
