/* SPDX-License-Identifier: MIT */
/*
 * fsync(2), fdatasync(2), sync_file_range(2), syncfs(2), sync(2), msync(2): which files they take,
 * the order of their checks. That data survives a crash cannot be seen from here; that nothing of
 * it is lost or changed on the way can.
 */
#include "tests/lib/file_dir.h"
#include "tests/lib/needs.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

static void files_and_directories_sync(void **state)
{
	int fd = file_make("f", "hello"), r = (int)ASSERT_OK(open("f", O_RDONLY));
	int dir = (int)ASSERT_OK(open(".", O_RDONLY));

	ASSERT_OK(fsync(fd));
	ASSERT_OK(fdatasync(fd));
	ASSERT_OK(fsync(r));                            /* needs no access mode */
	ASSERT_OK(fdatasync(r));
	ASSERT_OK(fsync(dir));
	ASSERT_OK(fdatasync(dir));
	assert_string_equal(file_text("f"), "hello");
	ASSERT_OK(unlink("f"));
	ASSERT_OK(fsync(fd));
	int s = (int)ASSERT_OK(open("g", O_RDWR | O_CREAT | O_SYNC, 0644));
	assert_int_equal(write(s, "sync", 4), 4);
	assert_string_equal(file_text("g"), "sync");
}

static void files_without_storage_do_not(void **state)
{
	int p[2], sv[2], fd[5];

	ASSERT_OK(pipe(p));
	ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	fd[0] = p[0];
	fd[1] = p[1];
	fd[2] = sv[0];
	fd[3] = (int)ASSERT_OK(eventfd(0, 0));
	fd[4] = (int)ASSERT_OK(open("/dev/null", O_RDWR));
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		ASSERT_ERR(fsync(fd[i]), EINVAL);
		ASSERT_ERR(fdatasync(fd[i]), EINVAL);
	}
	ASSERT_ERR(fsync(-1), EBADF);
	ASSERT_ERR(fdatasync(99999), EBADF);
}

static void syncfs_takes_any_open_file(void **state)
{
	int p[2], fd = file_make("f", "");

	ASSERT_OK(pipe(p));
	ASSERT_OK(syncfs(fd));
	ASSERT_OK(syncfs(p[0]));
	ASSERT_ERR(syncfs(-1), EBADF);
	ASSERT_ERR(syncfs((int)ASSERT_OK(open("f", O_PATH))), EBADF);
}

static void sync_file_range_checks_its_arguments(void **state)
{
	int all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
	int p[2], fd = file_make("f", "hello"), dir = (int)ASSERT_OK(open(".", O_RDONLY));

	ASSERT_OK(pipe(p));
	ASSERT_OK(sync_file_range(fd, 0, 0, all));
	ASSERT_OK(sync_file_range(fd, 1, 2, SYNC_FILE_RANGE_WRITE));
	ASSERT_OK(sync_file_range(fd, 1 << 20, 100, all));      /* behind the end */
	ASSERT_OK(sync_file_range(fd, 0, 0, 0));
	ASSERT_OK(sync_file_range(dir, 0, 0, all));
	ASSERT_ERR(sync_file_range(fd, 0, 0, 8), EINVAL);
	ASSERT_ERR(sync_file_range(fd, -1, 0, all), EINVAL);
	ASSERT_ERR(sync_file_range(fd, 0, -1, all), EINVAL);
	ASSERT_ERR(sync_file_range(fd, INT64_MAX, 1, all), EINVAL);
	ASSERT_ERR(sync_file_range(p[0], 0, 0, all), ESPIPE);
	ASSERT_ERR(sync_file_range(p[0], -1, 0, all), EINVAL);  /* numbers before the kind */
	ASSERT_ERR(sync_file_range(-1, -1, 0, 8), EBADF);
}

static void msync_writes_shared_maps_back(void **state)
{
	int fd = file_make("f", "hello");

	ASSERT_OK(ftruncate(fd, 2 * FILE_PAGE));
	char *p = (char *)ASSERT_OK(mmap(NULL, 2 * FILE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
					 fd, 0));
	p[0] = 'J';
	p[FILE_PAGE] = 'x';
	ASSERT_OK(msync(p, 2 * FILE_PAGE, MS_SYNC));
	assert_string_equal(file_text("f"), "Jello");
	p[1] = 'E';
	ASSERT_OK(msync(p, 1, MS_ASYNC));
	ASSERT_OK(msync(p, FILE_PAGE, MS_INVALIDATE | MS_SYNC));
	assert_string_equal(file_text("f"), "JEllo");
	ASSERT_OK(munmap(p, 2 * FILE_PAGE));
	ASSERT_OK(ftruncate(fd, 5));
	assert_string_equal(file_text("f"), "JEllo");
}

static void msync_reports_errors(void **state)
{
	char *p = (char *)ASSERT_OK(mmap(NULL, 3 * FILE_PAGE, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	ASSERT_OK(msync(p, 3 * FILE_PAGE, MS_SYNC));            /* no file: nothing to do */
	ASSERT_OK(msync(p, FILE_PAGE, 0));
	ASSERT_OK(msync(p, 0, MS_SYNC));
	ASSERT_ERR(msync(p + 1, FILE_PAGE, MS_SYNC), EINVAL);
	ASSERT_ERR(msync(p, FILE_PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	ASSERT_ERR(msync(p, FILE_PAGE, 0x100), EINVAL);
	ASSERT_ERR(msync(p, (size_t)-FILE_PAGE, MS_SYNC), ENOMEM);
	ASSERT_OK(munmap(p + FILE_PAGE, FILE_PAGE));
	ASSERT_ERR(msync(p, 3 * FILE_PAGE, MS_SYNC), ENOMEM);
	ASSERT_ERR(msync(p + FILE_PAGE, FILE_PAGE, MS_ASYNC), ENOMEM);
	ASSERT_OK(msync(p + FILE_PAGE, 0, MS_SYNC));            /* nothing asked */
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(files_and_directories_sync),
		cmocka_unit_test(files_without_storage_do_not),
		cmocka_unit_test(syncfs_takes_any_open_file),
		cmocka_unit_test(sync_file_range_checks_its_arguments),
		cmocka_unit_test(msync_writes_shared_maps_back),
		cmocka_unit_test(msync_reports_errors),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
