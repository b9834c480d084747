/* SPDX-License-Identifier: MIT */
/*
 * eventfd(2): counting, semaphore mode, limits, blocking reads and writes, poll, errors.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"

#include <poll.h>
#include <sys/eventfd.h>

#define MAX (UINT64_MAX - 1)            /* the highest count */

static long put(int fd, uint64_t val)
{
	return write(fd, &val, sizeof(val));
}

/* What a read gives; 0 never comes from one, so it stands for an error (see errno). */
static uint64_t get(int fd)
{
	uint64_t val = 0;

	return read(fd, &val, sizeof(val)) == sizeof(val) ? val : 0;
}

static short poll_now(int fd)
{
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };

	assert_in_range(poll(&p, 1, 0), 0, 1);
	return p.revents;
}

static void writes_add_and_a_read_takes_all(void **state)
{
	int fd = (int)ASSERT_OK(eventfd(3, EFD_NONBLOCK));

	assert_int_equal(get(fd), 3);
	assert_int_equal(put(fd, 5), 8);
	assert_int_equal(put(fd, 0), 8);
	assert_int_equal(put(fd, 7), 8);
	assert_int_equal(get(fd), 12);
	assert_int_equal(get(fd), 0);
	assert_int_equal(errno, EAGAIN);
}

static void a_semaphore_counts_down_by_one(void **state)
{
	int fd = (int)ASSERT_OK(eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE));

	assert_int_equal(put(fd, 1), 8);
	for (int i = 0; i < 3; i++)
		assert_int_equal(get(fd), 1);
	ASSERT_ERR(get(fd) ? 0 : -1, EAGAIN);
}

static void flags_show_in_the_descriptor(void **state)
{
	char name[64], to[64];
	int fd = (int)ASSERT_OK(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
	fd = (int)ASSERT_OK(eventfd(0, 0));
	assert_int_equal(fcntl(fd, F_GETFL), O_RDWR);
	ASSERT_ERR(eventfd(0, 4), EINVAL);
	ASSERT_ERR(eventfd(0, O_APPEND), EINVAL);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ssize_t n = ASSERT_OK(readlink(name, to, sizeof(to) - 1));
	to[n] = '\0';
	assert_string_equal(to, "anon_inode:[eventfd]");
}

static void sizes_below_eight_are_refused(void **state)
{
	char buf[16];
	int fd = (int)ASSERT_OK(eventfd(1, EFD_NONBLOCK));

	ASSERT_ERR(read(fd, buf, 7), EINVAL);
	ASSERT_ERR(write(fd, buf, 7), EINVAL);
	ASSERT_ERR(write(fd, file_bad(), 8), EFAULT);
	ASSERT_ERR(write(fd, &(uint64_t){ UINT64_MAX }, 8), EINVAL);
	assert_int_equal(read(fd, buf, 16), 8);         /* larger ones are fine; for writing, */
	ASSERT_ERR(get(fd) ? 0 : -1, EAGAIN);           /* that depends on the kernel's age */
}

static void the_count_has_a_limit(void **state)
{
	int fd = (int)ASSERT_OK(eventfd(0, EFD_NONBLOCK));

	assert_int_equal(poll_now(fd), POLLOUT);
	assert_int_equal(put(fd, MAX), 8);
	assert_int_equal(poll_now(fd), POLLIN);
	ASSERT_ERR(put(fd, 1), EAGAIN);
	assert_int_equal(put(fd, 0), 8);
	assert_int_equal(get(fd), MAX);
	assert_int_equal(put(fd, MAX - 1), 8);
	assert_int_equal(poll_now(fd), POLLIN | POLLOUT);
	ASSERT_ERR(put(fd, 2), EAGAIN);
	assert_int_equal(put(fd, 1), 8);
	assert_int_equal(get(fd), MAX);
}

static long bg_get(void *arg)
{
	uint64_t val = get(*(int *)arg);

	return val ? (long)val : -1;
}

static long bg_put(void *arg)
{
	return put(*(int *)arg, 10);
}

static void readers_wait(void **state)
{
	int fd = (int)ASSERT_OK(eventfd(0, 0));
	struct bg bg;

	bg_start(&bg, bg_get, &fd);
	assert_true(bg_blocks(&bg));
	assert_int_equal(put(fd, 0), 8);                /* zero wakes nobody up for good */
	assert_true(bg_blocks(&bg));
	assert_int_equal(put(fd, 9), 8);
	assert_int_equal(bg_end(&bg), 9);
}

static void a_semaphore_lets_one_reader_by(void **state)
{
	int fd = (int)ASSERT_OK(eventfd(0, EFD_SEMAPHORE));
	struct bg a, b;

	bg_start(&a, bg_get, &fd);
	bg_start(&b, bg_get, &fd);
	assert_true(bg_blocks(&a) && bg_blocks(&b));
	assert_int_equal(put(fd, 1), 8);
	assert_true(EVENTUALLY(atomic_load(&a.done) + atomic_load(&b.done) == 1));
	sleep_ms(20);
	assert_int_equal(atomic_load(&a.done) + atomic_load(&b.done), 1);
	assert_int_equal(put(fd, 1), 8);
	assert_int_equal(bg_end(&a), 1);
	assert_int_equal(bg_end(&b), 1);
}

static void writers_wait_for_room(void **state)
{
	int fd = (int)ASSERT_OK(eventfd(0, 0));
	struct bg bg;

	assert_int_equal(put(fd, MAX), 8);
	bg_start(&bg, bg_put, &fd);
	assert_true(bg_blocks(&bg));
	assert_int_equal(get(fd), MAX);
	assert_int_equal(bg_end(&bg), 8);
	assert_int_equal(get(fd), 10);
}

static void a_waiting_reader_can_be_interrupted(void **state)
{
	int fd = (int)ASSERT_OK(eventfd(0, 0));
	struct bg bg;

	bg_handle(SIGUSR1, 0);
	bg_start(&bg, bg_get, &fd);
	assert_true(bg_interrupt(&bg, SIGUSR1));
	assert_int_equal(bg_end(&bg), -1);
	assert_int_equal(errno, EINTR);
	signal(SIGUSR1, SIG_DFL);
}

static void fdinfo_shows_the_count(void **state)
{
	char name[64];
	int fd = (int)ASSERT_OK(eventfd(0x2a, 0));

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	const char *text = file_text(name);
	assert_non_null(text);
	assert_non_null(strstr(text, "eventfd-count:               2a\n"));     /* hex, 16 wide */
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_add_and_a_read_takes_all),
		cmocka_unit_test(a_semaphore_counts_down_by_one),
		cmocka_unit_test(flags_show_in_the_descriptor),
		cmocka_unit_test(sizes_below_eight_are_refused),
		cmocka_unit_test(the_count_has_a_limit),
		cmocka_unit_test(readers_wait),
		cmocka_unit_test(a_semaphore_lets_one_reader_by),
		cmocka_unit_test(writers_wait_for_room),
		cmocka_unit_test(a_waiting_reader_can_be_interrupted),
		cmocka_unit_test(fdinfo_shows_the_count),
	};

	return FILE_RUN_FDS(tests);
}
