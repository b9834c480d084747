/* SPDX-License-Identifier: MIT */
/*
 * statfs(2) and fstatfs(2): the magic numbers programs ask for, sizes that make sense together,
 * agreement with statvfs(3) and fstat(2), errors.
 */
#include "tests/lib/file_dir.h"

#include <linux/magic.h>
#include <sys/eventfd.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

static void numbers_make_sense_together(void **state)
{
	struct statfs s, again;
	struct stat st;
	int fd = file_make("f", "hello");

	memset(&s, 0xff, sizeof(s));
	ASSERT_OK(statfs(".", &s));
	assert_true(s.f_bsize >= 512 && (s.f_bsize & (s.f_bsize - 1)) == 0);
	assert_true(s.f_frsize >= 512 && s.f_frsize <= s.f_bsize);
	assert_true(s.f_bavail <= s.f_bfree && s.f_bfree <= s.f_blocks);
	assert_true(s.f_ffree <= s.f_files);
	assert_int_equal(s.f_namelen, 255);
	assert_int_equal(s.f_flags & ST_RDONLY, 0);     /* we have just written */
	assert_int_equal(s.f_flags & 0x20, 0x20);       /* ST_VALID */
	memset(&again, 0, sizeof(again));
	ASSERT_OK(fstatfs(fd, &again));
	assert_int_equal(again.f_type, s.f_type);
	assert_int_equal(again.f_bsize, s.f_bsize);
	assert_int_equal(again.f_blocks, s.f_blocks);
	assert_int_equal(again.f_namelen, s.f_namelen);
	assert_int_equal(again.f_flags, s.f_flags);
	assert_memory_equal(&again.f_fsid, &s.f_fsid, sizeof(s.f_fsid));
	ASSERT_OK(statfs("f", &again));
	assert_int_equal(again.f_blocks, s.f_blocks);
	ASSERT_OK(fstat(fd, &st));
}

static void statvfs_agrees(void **state)
{
	struct statfs s;
	struct statvfs v;

	ASSERT_OK(statfs(".", &s));
	ASSERT_OK(statvfs(".", &v));
	assert_int_equal(v.f_bsize, s.f_bsize);
	assert_int_equal(v.f_frsize, s.f_frsize);
	assert_int_equal(v.f_blocks, s.f_blocks);
	assert_int_equal(v.f_namemax, 255);
	assert_int_equal(v.f_flag & ST_RDONLY, 0);
}

static void terminals_are_devpts(void **state)
{
	struct statfs s;

	ASSERT_OK(statfs("/dev/pts", &s));
	assert_int_equal(s.f_type, DEVPTS_SUPER_MAGIC);
}

static void magic_numbers_tell_the_kind(void **state)
{
	struct statfs s;
	int p[2];

	ASSERT_OK(statfs("/proc", &s));
	assert_int_equal(s.f_type, PROC_SUPER_MAGIC);
	assert_int_equal(s.f_blocks, 0);
	assert_int_equal(s.f_bsize, FILE_PAGE);
	ASSERT_OK(statfs("/proc/self/status", &s));
	assert_int_equal(s.f_type, PROC_SUPER_MAGIC);
	ASSERT_OK(statfs("/sys", &s));
	assert_int_equal(s.f_type, SYSFS_MAGIC);
	ASSERT_OK(statfs("/dev/shm", &s));
	assert_int_equal(s.f_type, TMPFS_MAGIC);
	assert_true(s.f_blocks > 0);
	ASSERT_OK(pipe(p));
	ASSERT_OK(fstatfs(p[0], &s));
	assert_int_equal(s.f_type, PIPEFS_MAGIC);
	ASSERT_OK(fstatfs((int)ASSERT_OK(eventfd(0, 0)), &s));
	assert_int_equal(s.f_type, ANON_INODE_FS_MAGIC);
	ASSERT_OK(fstatfs((int)ASSERT_OK(open("f", O_CREAT | O_RDWR, 0600)), &s));
	ASSERT_OK(fstatfs((int)ASSERT_OK(open("f", O_PATH)), &s));      /* names are enough */
}

static void statfs_reports_errors(void **state)
{
	struct statfs s;
	int fd = file_make("f", "");

	ASSERT_ERR(statfs("missing", &s), ENOENT);
	ASSERT_ERR(statfs("", &s), ENOENT);
	ASSERT_ERR(statfs("f/x", &s), ENOTDIR);
	ASSERT_ERR(statfs(file_bad(), &s), EFAULT);
	ASSERT_ERR(statfs("f", file_bad()), EFAULT);
	ASSERT_ERR(fstatfs(-1, &s), EBADF);
	ASSERT_ERR(fstatfs(fd, file_bad()), EFAULT);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_make_sense_together),
		cmocka_unit_test(statvfs_agrees),
		cmocka_unit_test(magic_numbers_tell_the_kind),
		cmocka_unit_test(terminals_are_devpts),
		cmocka_unit_test(statfs_reports_errors),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
