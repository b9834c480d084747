/* SPDX-License-Identifier: MIT */
/*
 * Owners, modes, times: chmod, chown, access, umask and utimensat with their relatives, and what
 * another user may not do (a second thread takes his identity: in Linux it belongs to the thread).
 * The cases with other users need root and are skipped without.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"

#include <sys/time.h>
#include <utime.h>

#define NOBODY 65534

static struct stat stat_of(const char *name)
{
	struct stat st;

	ASSERT_OK(lstat(name, &st));
	return st;
}

static void chmod_sets_twelve_bits(void **state)
{
	int fd = file_make("f", "");

	ASSERT_OK(mkdir("dir", 0755));
	ASSERT_OK(chmod("f", 07777));
	assert_int_equal(file_mode("f"), S_IFREG | 07777);
	ASSERT_OK(chmod("f", S_IFDIR | 0600));          /* the type is not up for change */
	assert_int_equal(file_mode("f"), S_IFREG | 0600);
	ASSERT_OK(fchmod(fd, 0));
	assert_int_equal(file_mode("f"), S_IFREG);
	umask(0777);
	ASSERT_OK(chmod("dir", 01777));                 /* umask has no say */
	assert_int_equal(file_mode("dir"), S_IFDIR | 01777);
	ASSERT_OK(symlink("f", "link"));
	ASSERT_OK(chmod("link", 0640));
	assert_int_equal(file_mode("f"), S_IFREG | 0640);
	assert_int_equal(file_mode("link"), S_IFLNK | 0777);
	ASSERT_OK(fchmodat(AT_FDCWD, "f", 0604, 0));
	assert_int_equal(file_mode("f"), S_IFREG | 0604);
}

static void chmod_reports_errors(void **state)
{
	int file = file_make("f", "");

	ASSERT_ERR(chmod("missing", 0600), ENOENT);
	ASSERT_ERR(chmod("f/x", 0600), ENOTDIR);
	ASSERT_ERR(chmod("f/", 0600), ENOTDIR);
	ASSERT_ERR(chmod("", 0600), ENOENT);
	ASSERT_ERR(chmod(file_bad(), 0600), EFAULT);
	ASSERT_ERR(fchmod(-1, 0600), EBADF);
	ASSERT_ERR(syscall(SYS_fchmodat, -1, "f", 0600), EBADF);
	ASSERT_ERR(syscall(SYS_fchmodat, file, "x", 0600), ENOTDIR);
}

static void umask_is_nine_bits(void **state)
{
	umask(0);
	assert_int_equal(umask(0777), 0);
	assert_int_equal(umask(07777), 0777);
	assert_int_equal(umask(-1U), 0777);
	assert_int_equal(umask(022), 0777);
}

static void chown_sets_owner_and_clears_set_ids(void **state)
{
	if (geteuid() != 0)
		skip();
	int fd = file_make("f", "");
	ASSERT_OK(chmod("f", 06755));
	ASSERT_OK(chown("f", 1000, 1001));
	struct stat st = stat_of("f");
	assert_int_equal(st.st_uid, 1000);
	assert_int_equal(st.st_gid, 1001);
	assert_int_equal(st.st_mode, S_IFREG | 0755);   /* even for root */
	ASSERT_OK(chmod("f", 02745));                   /* no group execution: means a lock */
	ASSERT_OK(fchown(fd, (uid_t)-1, 7));
	st = stat_of("f");
	assert_int_equal(st.st_uid, 1000);
	assert_int_equal(st.st_gid, 7);
	assert_int_equal(st.st_mode, S_IFREG | 02745);
	ASSERT_OK(chown("f", (uid_t)-1, (gid_t)-1));
	ASSERT_OK(symlink("f", "link"));
	ASSERT_OK(lchown("link", 5, 6));
	assert_int_equal(stat_of("link").st_uid, 5);
	assert_int_equal(stat_of("f").st_uid, 1000);
	ASSERT_OK(chown("link", 8, 9));
	assert_int_equal(stat_of("f").st_uid, 8);
	assert_int_equal(stat_of("link").st_uid, 5);
	ASSERT_OK(fchownat(fd, "", 10, 11, AT_EMPTY_PATH));
	assert_int_equal(stat_of("f").st_gid, 11);
	ASSERT_OK(mkdir("dir", 06755));
	ASSERT_OK(chmod("dir", 06755));
	ASSERT_OK(chown("dir", 1, 1));
	assert_int_equal(file_mode("dir"), S_IFDIR | 06755);    /* directories keep theirs */
}

static void chown_reports_errors(void **state)
{
	file_put("f", "");
	ASSERT_ERR(chown("missing", 0, 0), ENOENT);
	ASSERT_ERR(chown("f/x", 0, 0), ENOTDIR);
	ASSERT_ERR(chown(file_bad(), 0, 0), EFAULT);
	ASSERT_ERR(fchown(-1, 0, 0), EBADF);
	ASSERT_ERR(fchownat(AT_FDCWD, "f", 0, 0, 0x4000), EINVAL);
	ASSERT_ERR(fchownat(AT_FDCWD, "", 0, 0, 0), ENOENT);
}

static void writing_clears_set_ids(void **state)
{
	if (geteuid() != 0)
		skip();
	int fd = file_make("f", "hello");
	ASSERT_OK(chmod("f", 06777));
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	assert_int_equal(file_mode("f"), S_IFREG | 06777);      /* root's writing does not */
}

static void access_answers_for_root(void **state)
{
	if (geteuid() != 0)
		skip();
	file_put("f", "");
	ASSERT_OK(mkdir("dir", 0));
	ASSERT_OK(chmod("f", 0));
	ASSERT_OK(access("f", F_OK));
	ASSERT_OK(access("f", R_OK | W_OK));
	ASSERT_ERR(access("f", X_OK), EACCES);          /* nobody at all may execute it */
	ASSERT_OK(chmod("f", 0001));
	ASSERT_OK(access("f", X_OK));
	ASSERT_OK(access("dir", R_OK | W_OK | X_OK));
}

static void access_reports_errors(void **state)
{
	int fd = file_make("f", "");

	ASSERT_OK(symlink("nowhere", "dangling"));
	ASSERT_ERR(access("missing", F_OK), ENOENT);
	ASSERT_ERR(access("dangling", F_OK), ENOENT);
	ASSERT_ERR(access("f/x", F_OK), ENOTDIR);
	ASSERT_ERR(access("f/", F_OK), ENOTDIR);
	ASSERT_ERR(access("", F_OK), ENOENT);
	ASSERT_ERR(access("f", 8), EINVAL);
	ASSERT_ERR(access("missing", -1), EINVAL);      /* the mode first */
	ASSERT_ERR(access(file_bad(), F_OK), EFAULT);
	ASSERT_ERR(syscall(SYS_faccessat, -1, "f", F_OK), EBADF);
	ASSERT_OK(syscall(SYS_faccessat2, AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
	ASSERT_OK(syscall(SYS_faccessat2, AT_FDCWD, "f", R_OK, AT_EACCESS));
	ASSERT_OK(syscall(SYS_faccessat2, fd, "", R_OK, AT_EMPTY_PATH));
	ASSERT_ERR(syscall(SYS_faccessat2, AT_FDCWD, "f", R_OK, 0x4000), EINVAL);
	ASSERT_ERR(syscall(SYS_faccessat2, AT_FDCWD, "missing", 8, 0), EINVAL);
}

static long try_open(void *arg)
{
	const char *spec = arg;         /* "r:name" and so on */
	int flags = *spec == 'r' ? O_RDONLY : *spec == 'w' ? O_WRONLY : O_RDWR | O_CREAT;
	int fd = open(spec + 2, flags, 0644);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static void assert_as_user(uid_t uid, long (*fn)(void *), const char *arg, int err)
{
	long r = bg_as_user(uid, fn, (void *)(uintptr_t)arg);
	int got = r == 0 ? 0 : errno;

	if ((r != 0 && r != -1) || got != err)
		fail_msg("user %d, \"%s\": got %ld/%s, want %s", (int)uid, arg, r, errno_name(got),
			 errno_name(err));
}

static void classes_decide_for_other_users(void **state)
{
	if (geteuid() != 0)
		skip();
	ASSERT_OK(chmod(".", 0711));
	file_put("f", "");
	ASSERT_OK(chmod("f", 0640));
	assert_as_user(NOBODY, try_open, "r:f", EACCES);
	ASSERT_OK(chmod("f", 0604));
	assert_as_user(NOBODY, try_open, "r:f", 0);
	assert_as_user(NOBODY, try_open, "w:f", EACCES);
	ASSERT_OK(chown("f", NOBODY, 0));
	assert_as_user(NOBODY, try_open, "w:f", 0);
	ASSERT_OK(chmod("f", 0077));                    /* the owner's class counts, not the best */
	assert_as_user(NOBODY, try_open, "r:f", EACCES);
	ASSERT_OK(chown("f", 0, NOBODY));
	ASSERT_OK(chmod("f", 0707));
	assert_as_user(NOBODY, try_open, "r:f", EACCES);        /* the group's class likewise */
	assert_as_user(NOBODY, try_open, "c:new", EACCES);
	ASSERT_OK(mkdir("dir", 0700));
	file_put("dir/f", "");
	assert_as_user(NOBODY, try_open, "r:dir", EACCES);
	assert_as_user(NOBODY, try_open, "r:dir/f", EACCES);
	assert_as_user(NOBODY, try_open, "r:dir/missing", EACCES);
	ASSERT_OK(chmod("dir", 0701));                  /* passing is execution, listing reading */
	assert_as_user(NOBODY, try_open, "r:dir", EACCES);
	assert_as_user(NOBODY, try_open, "r:dir/f", 0);
	assert_as_user(NOBODY, try_open, "r:dir/missing", ENOENT);
	ASSERT_OK(chmod("dir", 0704));
	assert_as_user(NOBODY, try_open, "r:dir", 0);
	assert_as_user(NOBODY, try_open, "r:dir/f", EACCES);
}

static long do_chmod(void *arg)
{
	return chmod(arg, 0777);
}

static long do_chown(void *arg)
{
	return chown(arg, 1, (gid_t)-1);
}

static long do_unlink(void *arg)
{
	return unlink(arg);
}

static long do_access(void *arg)
{
	return access(arg, R_OK);
}

static long do_touch_now(void *arg)
{
	return utimensat(AT_FDCWD, arg, NULL, 0);
}

static long do_touch_then(void *arg)
{
	const struct timespec ts[2] = { { 1, 0 }, { 1, 0 } };

	return utimensat(AT_FDCWD, arg, ts, 0);
}

static long do_noatime(void *arg)
{
	int fd = open(arg, O_RDONLY | O_NOATIME);

	return fd < 0 ? -1 : close(fd);
}

static void only_owners_change_metadata(void **state)
{
	if (geteuid() != 0)
		skip();
	ASSERT_OK(chmod(".", 0711));
	file_put("f", "");
	ASSERT_OK(chmod("f", 0604));
	assert_as_user(NOBODY, do_chmod, "f", EPERM);
	assert_as_user(NOBODY, do_chown, "f", EPERM);
	assert_as_user(NOBODY, do_touch_now, "f", EACCES);      /* needs write permission only */
	assert_as_user(NOBODY, do_touch_then, "f", EPERM);      /* this needs the owner */
	assert_as_user(NOBODY, do_noatime, "f", EPERM);
	assert_as_user(NOBODY, do_access, "f", 0);
	ASSERT_OK(chmod("f", 0606));
	assert_as_user(NOBODY, do_touch_now, "f", 0);
	assert_as_user(NOBODY, do_unlink, "f", EACCES);         /* the directory's matter */
	ASSERT_OK(chown("f", NOBODY, NOBODY));
	assert_as_user(NOBODY, do_chmod, "f", 0);
	assert_as_user(NOBODY, do_touch_then, "f", 0);
	assert_as_user(NOBODY, do_noatime, "f", 0);
	assert_as_user(NOBODY, do_chown, "f", EPERM);           /* not even his own files away */
	assert_int_equal(file_mode("f"), S_IFREG | 0777);
}

static void sticky_directories_protect_the_owners(void **state)
{
	if (geteuid() != 0)
		skip();
	ASSERT_OK(chmod(".", 0711));
	ASSERT_OK(mkdir("open", 0755));
	ASSERT_OK(chmod("open", 01777));
	file_put("open/roots", "");
	assert_as_user(NOBODY, do_unlink, "open/roots", EPERM);
	assert_as_user(NOBODY, try_open, "c:open/his", 0);
	assert_int_equal(stat_of("open/his").st_uid, NOBODY);
	assert_int_equal(stat_of("open/his").st_gid, NOBODY);
	assert_as_user(1000, do_unlink, "open/his", EPERM);
	assert_as_user(NOBODY, do_unlink, "open/his", 0);
	ASSERT_OK(chmod("open", 0777));
	assert_as_user(NOBODY, do_unlink, "open/roots", 0);
	ASSERT_OK(chown("open", 0, 7));
	ASSERT_OK(chmod("open", 02777));
	assert_as_user(NOBODY, try_open, "c:open/his", 0);
	assert_int_equal(stat_of("open/his").st_gid, 7);        /* the directory's group */
}

static void utimensat_sets_omits_and_takes_now(void **state)
{
	struct timespec ts[2] = { { 1000000000, 123456789 }, { 2000000000, 987654321 } };
	int fd = file_make("f", "");

	ASSERT_OK(utimensat(AT_FDCWD, "f", ts, 0));
	struct stat st = stat_of("f");
	assert_int_equal(st.st_atim.tv_sec, 1000000000);
	assert_int_equal(st.st_atim.tv_nsec, 123456789);
	assert_int_equal(st.st_mtim.tv_sec, 2000000000);
	assert_int_equal(st.st_mtim.tv_nsec, 987654321);
	ts[0] = (struct timespec){ 77, UTIME_OMIT };
	ts[1] = (struct timespec){ 3, 4 };
	ASSERT_OK(futimens(fd, ts));
	st = stat_of("f");
	assert_int_equal(st.st_atim.tv_nsec, 123456789);
	assert_int_equal(st.st_mtim.tv_sec, 3);
	assert_int_equal(st.st_mtim.tv_nsec, 4);
	int64_t before = clock_ns(CLOCK_REALTIME) - 20 * MSEC;
	ts[0].tv_nsec = UTIME_NOW;
	ts[1].tv_nsec = UTIME_OMIT;
	ASSERT_OK(utimensat(AT_FDCWD, "f", ts, 0));
	st = stat_of("f");
	assert_true(st.st_atim.tv_sec * 1000000000LL + st.st_atim.tv_nsec >= before);
	assert_int_equal(st.st_mtim.tv_sec, 3);
	ASSERT_OK(utimensat(AT_FDCWD, "f", NULL, 0));   /* both now */
	st = stat_of("f");
	assert_true(st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec >= before);
	ASSERT_OK(utime("f", &(struct utimbuf){ 10, 11 }));
	ASSERT_OK(utimes("f", (struct timeval[2]){ { 12, 5 }, { 13, 6 } }));
	assert_int_equal(stat_of("f").st_atim.tv_sec, 12);
	assert_int_equal(stat_of("f").st_atim.tv_nsec, 5000);
	assert_int_equal(stat_of("f").st_mtim.tv_sec, 13);
}

static void utimensat_of_links_and_errors(void **state)
{
	struct timespec ts[2] = { { 5, 0 }, { 6, 0 } }, omit[2] = { { 0, UTIME_OMIT },
								    { 0, UTIME_OMIT } };

	file_put("f", "");
	ASSERT_OK(symlink("f", "link"));
	ASSERT_OK(utimensat(AT_FDCWD, "link", ts, AT_SYMLINK_NOFOLLOW));
	assert_int_equal(stat_of("link").st_mtim.tv_sec, 6);
	assert_int_not_equal(stat_of("f").st_mtim.tv_sec, 6);
	ASSERT_OK(utimensat(AT_FDCWD, "link", ts, 0));
	assert_int_equal(stat_of("f").st_mtim.tv_sec, 6);
	ASSERT_ERR(utimensat(AT_FDCWD, "missing", ts, 0), ENOENT);
	ASSERT_OK(utimensat(AT_FDCWD, "missing", omit, 0));     /* nothing to do, nothing to find */
	ASSERT_ERR(utimensat(AT_FDCWD, "f", ts, 0x4000), EINVAL);
	ASSERT_ERR(utimensat(-1, "f", ts, 0), EBADF);
	ASSERT_ERR(futimens(-1, ts), EBADF);
	ASSERT_ERR(utimensat(AT_FDCWD, "f", file_bad(), 0), EFAULT);
	ts[0].tv_nsec = 1000000000;
	ASSERT_ERR(utimensat(AT_FDCWD, "f", ts, 0), EINVAL);
	ASSERT_ERR(syscall(SYS_utimensat, AT_FDCWD, NULL, NULL, 0), EFAULT);
	ASSERT_ERR(syscall(SYS_utimes, "f", (struct timeval[2]){ { 1, 1000000 }, { 1, 0 } }),
		   EINVAL);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(chmod_sets_twelve_bits),
		cmocka_unit_test(chmod_reports_errors),
		cmocka_unit_test(umask_is_nine_bits),
		cmocka_unit_test(chown_sets_owner_and_clears_set_ids),
		cmocka_unit_test(chown_reports_errors),
		cmocka_unit_test(writing_clears_set_ids),
		cmocka_unit_test(access_answers_for_root),
		cmocka_unit_test(access_reports_errors),
		cmocka_unit_test(classes_decide_for_other_users),
		cmocka_unit_test(only_owners_change_metadata),
		cmocka_unit_test(sticky_directories_protect_the_owners),
		cmocka_unit_test(utimensat_sets_omits_and_takes_now),
		cmocka_unit_test(utimensat_of_links_and_errors),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
