/* SPDX-License-Identifier: MIT */
/* Descriptor tables: lowest number first, limits, reservation, close-on-exec, copies, use while closing. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>

#include "emul/vfs/fdtab.h"
#include "tests/unit/vfs/file_io.h"

#define LIMIT 1024

static struct file *new_file(void)
{
	struct file *f = NULL;

	assert_int_equal(eventfd_new(0, 0, &f), 0);
	return f;
}

static void the_lowest_free_descriptor_is_given(void **state)
{
	AUTO(fdtab) t = fdtab_new();
	AUTO(file) f = new_file();

	for (int i = 0; i < 200; i++)
		assert_int_equal(fdtab_install(t, f, false, 0, LIMIT), i);
	assert_int_equal(fdtab_close(t, 100), 0);
	assert_int_equal(fdtab_close(t, 7), 0);
	assert_int_equal(fdtab_close(t, 7), -EBADF);
	assert_int_equal(fdtab_install(t, f, false, 10, LIMIT), 100); /* F_DUPFD */
	assert_int_equal(fdtab_install(t, f, false, 0, LIMIT), 7);
	assert_int_equal(fdtab_install(t, f, false, 0, LIMIT), 200);
	assert_int_equal(fdtab_install(t, f, false, 500, LIMIT), 500);
	assert_int_equal(fdtab_install(t, f, false, 0, LIMIT), 201);
}

static void limits_are_kept(void **state)
{
	AUTO(fdtab) t = fdtab_new();
	AUTO(file) f = new_file();

	assert_int_equal(fdtab_install(t, f, false, 0, 2), 0);
	assert_int_equal(fdtab_install(t, f, false, 0, 2), 1);
	assert_int_equal(fdtab_install(t, f, false, 0, 2), -EMFILE);
	assert_int_equal(fdtab_install(t, f, false, 2, 2), -EINVAL);
	assert_int_equal(fdtab_install(t, f, false, -1, 2), -EINVAL);
	assert_int_equal(fdtab_replace(t, 2, f, false, 2), -EBADF);
	assert_int_equal(fdtab_replace(t, -1, f, false, 2), -EBADF);
	assert_int_equal(fdtab_replace(t, 1, f, true, 2), 1);
	assert_int_equal(fdtab_get_cloexec(t, 1), 1);
}

static void a_reserved_descriptor_looks_closed(void **state)
{
	AUTO(fdtab) t = fdtab_new();
	AUTO(file) f = new_file();
	int fd = fdtab_reserve(t, true, 0, LIMIT);
	struct file *g;

	assert_int_equal(fd, 0);
	assert_null(fdtab_get(t, fd));
	assert_int_equal(fdtab_close(t, fd), -EBADF);
	assert_int_equal(fdtab_replace(t, fd, f, false, LIMIT), -EBUSY);
	assert_int_equal(fdtab_install(t, f, false, 0, LIMIT), 1);
	assert_int_equal(fdtab_next(t, 0, NULL), 1);
	fdtab_fill(t, fd, f);
	g = fdtab_get(t, fd);
	assert_ptr_equal(g, f);
	file_put(g);
	assert_int_equal(fdtab_get_cloexec(t, fd), 1);
	fd = fdtab_reserve(t, false, 0, LIMIT);
	fdtab_unreserve(t, fd);
	assert_int_equal(fdtab_install(t, f, false, 0, LIMIT), fd);
}

static void exec_closes_what_is_marked(void **state)
{
	AUTO(fdtab) t = fdtab_new();
	AUTO(file) f = new_file();

	for (int i = 0; i < 100; i++)
		fdtab_install(t, f, i % 3 == 0, 0, LIMIT);
	assert_int_equal(fdtab_set_cloexec(t, 1, true), 0);
	assert_int_equal(fdtab_set_cloexec(t, 3, false), 0);
	fdtab_close_on_exec(t);
	assert_int_equal(fdtab_get_cloexec(t, 0), -EBADF);
	assert_int_equal(fdtab_get_cloexec(t, 1), -EBADF);
	assert_int_equal(fdtab_get_cloexec(t, 2), 0);
	assert_int_equal(fdtab_get_cloexec(t, 3), 0);
	assert_int_equal(fdtab_get_cloexec(t, 99), -EBADF);
}

static void close_range_closes_or_marks(void **state)
{
	AUTO(fdtab) t = fdtab_new();
	AUTO(file) f = new_file();

	for (int i = 0; i < 10; i++)
		fdtab_install(t, f, false, 0, LIMIT);
	assert_int_equal(fdtab_close_range(t, 5, 4, false), -EINVAL);
	assert_int_equal(fdtab_close_range(t, 2, 4, true), 0);
	assert_int_equal(fdtab_get_cloexec(t, 4), 1);
	assert_int_equal(fdtab_close_range(t, 3, UINT32_MAX, false), 0);
	assert_int_equal(fdtab_next(t, 3, NULL), -1);
	assert_int_equal(fdtab_next(t, 0, NULL), 0);
	assert_int_equal(fdtab_install(t, f, false, 0, LIMIT), 3);
}

static void a_copy_is_apart_and_may_leave_out_the_upper_ones(void **state)
{
	AUTO(fdtab) t = fdtab_new();
	AUTO(file) f = new_file();
	AUTO(fdtab) all = NULL;
	AUTO(fdtab) some = NULL;

	for (int i = 0; i < 100; i++)
		fdtab_install(t, f, i == 5, 0, LIMIT);
	all = fdtab_copy(t, UINT32_MAX);
	some = fdtab_copy(t, 10);
	assert_int_equal(fdtab_get_cloexec(all, 5), 1);
	assert_int_equal(fdtab_next(some, 10, NULL), -1);
	assert_int_equal(fdtab_close(t, 3), 0);
	assert_int_equal(fdtab_get_cloexec(all, 3), 0);
	assert_int_equal(fdtab_install(some, f, false, 0, LIMIT), 10);
	assert_int_equal(fdtab_size(some), 64);
}

/* --- stress: look-ups hold what they found while others close and replace ------------------------------------- */

static struct fdtab *shared;
static _Atomic bool stop;

static void *churn(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	while (!stop) {
		int fd = rand_r(&seed) % 32;
		AUTO(file) f = NULL;

		if (rand_r(&seed) % 2) {
			if (eventfd_new(1, O_NONBLOCK, &f))
				abort();
			fdtab_replace(shared, fd, f, false, LIMIT);
		} else {
			fdtab_close(shared, fd);
		}
	}
	return NULL;
}

static void *use(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	uint64_t val;

	for (int i = 0; i < 50000; i++) {
		AUTO(file) f = fdtab_get(shared, rand_r(&seed) % 32);

		if (f)
			(void)rd(f, &val, sizeof(val));
	}
	return NULL;
}

static void a_file_in_use_outlives_its_close(void **state)
{
	pthread_t t[4];

	shared = fdtab_new();
	stop = false;
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, i < 2 ? churn : use, (void *)(i + 1));
	pthread_join(t[2], NULL);
	pthread_join(t[3], NULL);
	stop = true;
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	fdtab_put(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lowest_free_descriptor_is_given),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(a_reserved_descriptor_looks_closed),
		cmocka_unit_test(exec_closes_what_is_marked),
		cmocka_unit_test(close_range_closes_or_marks),
		cmocka_unit_test(a_copy_is_apart_and_may_leave_out_the_upper_ones),
		cmocka_unit_test(a_file_in_use_outlives_its_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
