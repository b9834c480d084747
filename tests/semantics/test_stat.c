/* SPDX-License-Identifier: MIT */
/*
 * stat(2), fstat(2), lstat(2), newfstatat(2), statx(2): types, sizes, link counts, identity of
 * files, which call moves which time, flags and masks, errors. That numbers of devices are stable
 * is tested, not which they are (overlay and bind mounts have their own ideas).
 */
#include "tests/lib/clock.h"
#include "tests/lib/file_dir.h"
#include "tests/lib/needs.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

static struct stat stat_of(const char *name)
{
	struct stat st;

	memset(&st, 0xff, sizeof(st));
	ASSERT_OK(lstat(name, &st));
	return st;
}

static int64_t ns(struct timespec ts)
{
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* File times come from a coarse clock: wait until it has moved. */
static void let_time_pass(void)
{
	sleep_ms(20);
}

static void types_and_sizes(void **state)
{
	int s = (int)ASSERT_OK(socket(AF_UNIX, SOCK_STREAM, 0));

	file_put("file", "12345");
	ASSERT_OK(mkdir("dir", 0750));
	ASSERT_OK(symlink("target", "link"));
	ASSERT_OK(mkfifo("fifo", 0600));
	const struct { const char *name; mode_t mode; } c[] = {
		{ "file", S_IFREG | 0644 },
		{ "dir", S_IFDIR | 0750 },
		{ "link", S_IFLNK | 0777 },
		{ "fifo", S_IFIFO | 0600 },
		{ "/dev/null", S_IFCHR | 0666 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		assert_int_equal(stat_of(c[i].name).st_mode, c[i].mode);
	assert_int_equal(stat_of("file").st_size, 5);
	assert_int_equal(stat_of("link").st_size, 6);           /* the length of its text */
	assert_int_equal(stat_of("file").st_uid, geteuid());
	assert_int_equal(stat_of("file").st_gid, getegid());
	assert_int_equal(stat_of("file").st_rdev, 0);
	assert_int_equal(stat_of("/dev/null").st_rdev, makedev(1, 3));
	assert_true(stat_of("file").st_blksize >= 512);
	struct stat st;
	ASSERT_OK(fstat(s, &st));
	assert_int_equal(st.st_mode, S_IFSOCK | 0777);
	ASSERT_OK(fstat((int)ASSERT_OK(eventfd(0, 0)), &st));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_mode & S_IFMT, 0);               /* an anonymous inode has no type */
}

static void names_of_one_file_agree(void **state)
{
	int fd = file_make("a", "hello");
	struct stat st, a;

	ASSERT_OK(link("a", "b"));
	ASSERT_OK(symlink("a", "link"));
	a = stat_of("a");
	assert_int_equal(a.st_nlink, 2);
	ASSERT_OK(stat("link", &st));
	assert_int_equal(st.st_ino, a.st_ino);
	assert_int_equal(st.st_dev, a.st_dev);
	assert_int_equal(stat_of("b").st_ino, a.st_ino);
	assert_int_equal(stat_of("b").st_dev, a.st_dev);
	assert_int_not_equal(stat_of("link").st_ino, a.st_ino);
	ASSERT_OK(fstat(fd, &st));
	assert_memory_equal(&st, &a, sizeof(st));               /* every field */
	file_put("c", "");
	assert_int_not_equal(stat_of("c").st_ino, a.st_ino);
	assert_int_equal(stat_of("c").st_dev, a.st_dev);
	ASSERT_OK(rename("a", "d"));
	assert_int_equal(stat_of("d").st_ino, a.st_ino);        /* moves with the name */
	ASSERT_OK(unlink("b"));
	ASSERT_OK(unlink("d"));
	ASSERT_OK(fstat(fd, &st));
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_ino, a.st_ino);
	assert_int_equal(st.st_size, 5);
}

static void directories_count_their_children(void **state)
{
	ASSERT_OK(mkdir("dir", 0755));
	nlink_t empty = stat_of("dir").st_nlink;
	ASSERT_OK(mkdir("dir/a", 0755));
	ASSERT_OK(mkdir("dir/b", 0755));
	file_put("dir/f", "");
	if (empty == 2)                         /* some file systems always say 1 */
		assert_int_equal(stat_of("dir").st_nlink, 4);
	else
		assert_int_equal(stat_of("dir").st_nlink, 1);
	assert_int_equal(stat_of("dir/a/..").st_ino, stat_of("dir").st_ino);
	assert_int_equal(stat_of("dir/.").st_ino, stat_of("dir").st_ino);
	assert_int_equal(stat_of("/..").st_ino, stat_of("/").st_ino);
}

static void blocks_are_of_512_bytes(void **state)
{
	char *text = file_letters(64 * 1024);
	int fd = file_make("f", text);

	ASSERT_OK(fsync(fd));                   /* allocation may be delayed till then */
	assert_true(stat_of("f").st_blocks * 512 >= 64 * 1024);
	ASSERT_OK(ftruncate(fd, 0));
	assert_true(stat_of("f").st_blocks * 512 < 64 * 1024);
	ASSERT_OK(ftruncate(fd, 1 << 24));
	assert_int_equal(stat_of("f").st_size, 1 << 24);
	assert_true(stat_of("f").st_blocks * 512 < 64 * 1024);
	free(text);
}

static void errors_and_links(void **state)
{
	struct stat st;
	char *long_name = file_letters(256);

	file_put("file", "");
	ASSERT_OK(symlink("file", "link"));
	ASSERT_OK(symlink("nowhere", "dangling"));
	ASSERT_OK(symlink("self", "self"));
	ASSERT_ERR(stat("missing", &st), ENOENT);
	ASSERT_ERR(stat("", &st), ENOENT);
	ASSERT_ERR(stat("dangling", &st), ENOENT);
	ASSERT_OK(lstat("dangling", &st));
	ASSERT_ERR(stat("self", &st), ELOOP);
	ASSERT_OK(lstat("self", &st));
	ASSERT_ERR(stat("file/x", &st), ENOTDIR);
	ASSERT_ERR(stat("file/", &st), ENOTDIR);
	ASSERT_ERR(lstat("link/", &st), ENOTDIR);       /* the slash follows the link */
	ASSERT_ERR(stat(long_name, &st), ENAMETOOLONG);
	ASSERT_ERR(stat(file_bad(), &st), EFAULT);
	ASSERT_ERR(stat("file", file_bad()), EFAULT);
	ASSERT_ERR(stat("missing", file_bad()), ENOENT);
	ASSERT_ERR(fstat(-1, &st), EBADF);
	ASSERT_ERR(fstat(-1, file_bad()), EBADF);
	ASSERT_ERR(fstat(file_make("file", ""), file_bad()), EFAULT);
	ASSERT_OK(symlink(".", "here"));
	ASSERT_OK(lstat("here/", &st));
	assert_true(S_ISDIR(st.st_mode));
	free(long_name);
}

static void fstatat_takes_directories_and_flags(void **state)
{
	struct stat st;

	ASSERT_OK(mkdir("dir", 0755));
	int file = file_make("dir/f", "abc"), dir = (int)ASSERT_OK(open("dir", O_PATH));
	ASSERT_OK(symlink("f", "dir/link"));
	ASSERT_OK(fstatat(dir, "f", &st, 0));
	assert_int_equal(st.st_size, 3);
	ASSERT_OK(fstatat(dir, "link", &st, 0));
	assert_true(S_ISREG(st.st_mode));
	ASSERT_OK(fstatat(dir, "link", &st, AT_SYMLINK_NOFOLLOW));
	assert_true(S_ISLNK(st.st_mode));
	ASSERT_OK(fstatat(file, "", &st, AT_EMPTY_PATH));
	assert_int_equal(st.st_size, 3);
	ASSERT_OK(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
	assert_true(S_ISDIR(st.st_mode));
	ASSERT_OK(fstatat(file, "/", &st, AT_EMPTY_PATH));
	assert_true(S_ISDIR(st.st_mode));
	ASSERT_ERR(fstatat(file, "", &st, 0), ENOENT);
	ASSERT_ERR(fstatat(file, "x", &st, 0), ENOTDIR);
	ASSERT_ERR(fstatat(-1, "x", &st, 0), EBADF);
	ASSERT_ERR(fstatat(-1, "", &st, AT_EMPTY_PATH), EBADF);
	ASSERT_ERR(fstatat(dir, "f", &st, 0x40000), EINVAL);
	ASSERT_OK(fstatat(dir, "f", &st, AT_NO_AUTOMOUNT));
	ASSERT_OK(syscall(SYS_newfstatat, file, "", &st, AT_EMPTY_PATH));
}

static void statx_gives_what_stat_gives(void **state)
{
	struct statx x;
	int fd = file_make("f", "hello");

	memset(&x, 0xff, sizeof(x));
	ASSERT_OK(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &x));
	struct stat st = stat_of("f");
	assert_int_equal(x.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
	assert_int_equal(x.stx_mode, st.st_mode);
	assert_int_equal(x.stx_size, 5);
	assert_int_equal(x.stx_nlink, 1);
	assert_int_equal(x.stx_uid, st.st_uid);
	assert_int_equal(x.stx_gid, st.st_gid);
	assert_int_equal(x.stx_ino, st.st_ino);
	assert_int_equal(x.stx_blocks, st.st_blocks);
	assert_int_equal(x.stx_blksize, st.st_blksize);
	assert_int_equal(makedev(x.stx_dev_major, x.stx_dev_minor), st.st_dev);
	assert_int_equal(x.stx_mtime.tv_sec, st.st_mtim.tv_sec);
	assert_int_equal(x.stx_mtime.tv_nsec, st.st_mtim.tv_nsec);
	assert_int_equal(x.stx_ctime.tv_sec, st.st_ctim.tv_sec);
	assert_int_equal(x.stx_atime.tv_nsec, st.st_atim.tv_nsec);
	/* Asking for less is allowed to give more; asking for what is unknown is no error. */
	ASSERT_OK(statx(fd, "", AT_EMPTY_PATH, 0, &x));
	assert_int_equal(x.stx_size, 5);
	ASSERT_OK(statx(fd, "", AT_EMPTY_PATH, 0x40000000, &x));
	ASSERT_OK(statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC, STATX_ALL, &x));
	if (x.stx_mask & STATX_BTIME)
		assert_true(x.stx_btime.tv_sec <= x.stx_ctime.tv_sec);
	ASSERT_OK(statx(AT_FDCWD, "/dev/null", 0, STATX_TYPE, &x));
	assert_int_equal(x.stx_rdev_major, 1);
	assert_int_equal(x.stx_rdev_minor, 3);
}

static void statx_checks_its_arguments(void **state)
{
	struct statx x;

	file_put("f", "");
	ASSERT_OK(symlink("f", "link"));
	ASSERT_ERR(statx(AT_FDCWD, "f", 0, STATX__RESERVED, &x), EINVAL);
	ASSERT_ERR(statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, 0, &x), EINVAL);
	ASSERT_ERR(statx(AT_FDCWD, "f", 0x40000, STATX_ALL, &x), EINVAL);
	ASSERT_ERR(statx(AT_FDCWD, "missing", 0, STATX_ALL, &x), ENOENT);
	ASSERT_ERR(statx(-1, "f", 0, STATX_ALL, &x), EBADF);
	ASSERT_ERR(statx(AT_FDCWD, "", 0, STATX_ALL, &x), ENOENT);
	ASSERT_ERR(statx(AT_FDCWD, file_bad(), 0, STATX_ALL, &x), EFAULT);
	ASSERT_ERR(statx(AT_FDCWD, "f", 0, STATX_ALL, file_bad()), EFAULT);
	ASSERT_OK(statx(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &x));
	assert_int_equal(x.stx_mode & S_IFMT, S_IFLNK);
}

/* Which of atime (1), mtime (2), ctime (4) have moved. */
static int moved(const struct stat *a, const struct stat *b)
{
	return (ns(b->st_atim) > ns(a->st_atim)) | (ns(b->st_mtim) > ns(a->st_mtim)) << 1 |
	       (ns(b->st_ctim) > ns(a->st_ctim)) << 2;
}

#define ASSERT_MOVES(name, call, want)                                                           \
	do {                                                                                     \
		struct stat before = stat_of(name);                                              \
		let_time_pass();                                                                 \
		ASSERT_OK(call);                                                                 \
		struct stat after = stat_of(name);                                               \
		if (moved(&before, &after) != (want))                                            \
			fail_msg("%s moves %d, want %d", #call, moved(&before, &after), (want)); \
	} while (0)

static void calls_move_the_right_times(void **state)
{
	enum { M = 2, C = 4 };
	int fd = file_make("f", "hello");

	ASSERT_OK(mkdir("dir", 0755));
	ASSERT_MOVES("f", write(fd, "x", 1), M | C);
	ASSERT_MOVES("f", write(fd, "x", 0), 0);
	ASSERT_MOVES("f", ftruncate(fd, 3), M | C);
	ASSERT_MOVES("f", ftruncate(fd, 3), M | C);     /* even to the same size */
	ASSERT_MOVES("f", fchmod(fd, 0600), C);
	ASSERT_MOVES("f", chown("f", (uid_t)-1, getegid()), C);
	ASSERT_MOVES("f", link("f", "dir/g"), C);
	ASSERT_MOVES("dir", unlink("dir/g"), M | C);
	ASSERT_MOVES("dir", mkdir("dir/sub", 0755), M | C);
	ASSERT_MOVES("dir", rename("dir/sub", "dir/bus"), M | C);
	ASSERT_MOVES("dir", close((int)ASSERT_OK(open("dir/new", O_CREAT | O_RDWR, 0600))), M | C);
	ASSERT_MOVES("dir", open("dir/new", O_RDWR), 0);
	ASSERT_MOVES("f", open("f", O_RDWR | O_TRUNC), M | C);
	ASSERT_MOVES("f", fsync(fd), 0);
}

static void new_files_are_of_now(void **state)
{
	int64_t before, after;

	before = clock_ns(CLOCK_REALTIME_COARSE);
	file_put("f", "");
	after = clock_ns(CLOCK_REALTIME);
	struct stat st = stat_of("f");
	assert_true(ns(st.st_mtim) >= before - 20 * MSEC && ns(st.st_mtim) <= after);
	assert_true(ns(st.st_ctim) >= before - 20 * MSEC && ns(st.st_ctim) <= after);
	assert_true(ns(st.st_atim) >= before - 20 * MSEC && ns(st.st_atim) <= after);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(types_and_sizes),
		cmocka_unit_test(names_of_one_file_agree),
		cmocka_unit_test(directories_count_their_children),
		cmocka_unit_test(blocks_are_of_512_bytes),
		cmocka_unit_test(errors_and_links),
		cmocka_unit_test(fstatat_takes_directories_and_flags),
		cmocka_unit_test(statx_gives_what_stat_gives),
		cmocka_unit_test(statx_checks_its_arguments),
		cmocka_unit_test(calls_move_the_right_times),
		cmocka_unit_test(new_files_are_of_now),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
