/* SPDX-License-Identifier: MIT */
/* The log keeps within its bound, with the one before it beside it, and who shares its descriptor follows. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/cmocka_all.h"

#include "emul/base/log.h"

#define BOUND 4096

static off_t size_of(const char *file)
{
	struct stat st;

	return stat(file, &st) < 0 ? -1 : st.st_size;
}

static void a_log_keeps_within_its_bound(void **state)
{
	char dir[] = "/tmp/vmrun-log-XXXXXX", file[64], older[64];
	struct stat a, b;
	int fd, other;

	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/log", dir);
	snprintf(older, sizeof(older), "%s/log.1", dir);
	fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	other = dup(fd);
	log_set_fd(fd);
	log_bound(file, BOUND, &other, 1);
	for (int i = 0; i < 1000; i++) {
		log_write("note", "line %d", i);
		assert_true(size_of(file) <= BOUND);
		assert_true(size_of(older) <= BOUND);
	}
	log_write("note", "the last");
	log_set_fd(2);
	assert_true(size_of(older) > BOUND - 100);
	assert_int_equal(fstat(other, &a), 0);
	assert_int_equal(stat(file, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	unlink(file);
	unlink(older);
	rmdir(dir);
	close(fd);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_log_keeps_within_its_bound) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
