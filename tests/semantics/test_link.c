/* SPDX-License-Identifier: MIT */
/*
 * Names: link(2), linkat(2), symlink(2), readlink(2), unlink(2) also of open files; rename(2) and
 * renameat2(2) with its flags, of files, links and directories, and every refusal. Times of the
 * parents are in test_stat.c, removing directories in test_dir.c.
 */
#include "tests/lib/file_dir.h"

#ifndef RENAME_WHITEOUT
#define RENAME_WHITEOUT 4
#endif

static long rename2(const char *from, const char *to, unsigned int flags)
{
	return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

/* A path on another file system than the current directory's; NULL if there is none. */
static const char *other_fs(const char *name)
{
	static const char *const dirs[] = { "/dev/shm", "/tmp" };
	static char path[64];
	struct stat here, there;

	ASSERT_OK(stat(".", &here));
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (stat(dirs[i], &there) == 0 && there.st_dev != here.st_dev) {
			snprintf(path, sizeof(path), "%s/vmrun-%d-%s", dirs[i], getpid(), name);
			return path;
		}
	return NULL;
}

static void link_makes_a_second_name(void **state)
{
	int fd = file_make("a", "hello");

	ASSERT_OK(link("a", "b"));
	assert_int_equal(file_ino("a"), file_ino("b"));
	assert_int_equal(pwrite(fd, "J", 1, 0), 1);
	assert_string_equal(file_text("b"), "Jello");
	ASSERT_OK(unlink("a"));
	assert_string_equal(file_text("b"), "Jello");
	assert_false(file_exists("a"));
}

static void link_reports_errors(void **state)
{
	file_put("a", "");
	file_put("b", "");
	ASSERT_OK(mkdir("dir", 0755));
	ASSERT_OK(symlink("nowhere", "dangling"));
	ASSERT_ERR(link("a", "b"), EEXIST);
	ASSERT_ERR(link("a", "a"), EEXIST);
	ASSERT_ERR(link("a", "dangling"), EEXIST);
	ASSERT_ERR(link("missing", "c"), ENOENT);
	ASSERT_ERR(link("missing", "b"), ENOENT);       /* the source first */
	ASSERT_ERR(link("a", "missing/c"), ENOENT);
	ASSERT_ERR(link("a", "b/c"), ENOTDIR);
	ASSERT_ERR(link("dir", "c"), EPERM);
	ASSERT_ERR(link("a", "c/"), ENOENT);
	ASSERT_ERR(link("a/", "c"), ENOTDIR);
	ASSERT_ERR(link("", "c"), ENOENT);
	ASSERT_ERR(link("a", "/proc/c"), ENOENT);       /* nothing can be made there */
	if (other_fs("c")) {
		ASSERT_ERR(link("a", other_fs("c")), EXDEV);
		ASSERT_ERR(rename("a", other_fs("c")), EXDEV);
		ASSERT_ERR(rename("missing", other_fs("c")), EXDEV);    /* before any lookup */
		ASSERT_ERR(rename2("a", other_fs("c"), RENAME_EXCHANGE), EXDEV);
	}
	ASSERT_ERR(link(file_bad(), "c"), EFAULT);
	ASSERT_ERR(linkat(AT_FDCWD, "a", AT_FDCWD, "c", 0x4000), EINVAL);
	ASSERT_ERR(linkat(-1, "a", AT_FDCWD, "c", 0), EBADF);
	assert_false(file_exists("c"));
}

static void linkat_decides_about_links(void **state)
{
	int fd = file_make("a", "hello"), dir;

	ASSERT_OK(mkdir("dir", 0755));
	dir = (int)ASSERT_OK(open("dir", O_RDONLY));
	ASSERT_OK(symlink("a", "sym"));
	ASSERT_OK(linkat(AT_FDCWD, "sym", dir, "itself", 0));
	assert_true(S_ISLNK(file_mode("dir/itself")));
	assert_int_equal(file_ino("dir/itself"), file_ino("sym"));
	ASSERT_OK(linkat(AT_FDCWD, "sym", dir, "target", AT_SYMLINK_FOLLOW));
	assert_int_equal(file_ino("dir/target"), file_ino("a"));
	if (linkat(fd, "", dir, "empty", AT_EMPTY_PATH) == 0)
		assert_int_equal(file_ino("dir/empty"), file_ino("a"));
	else                                            /* needs CAP_DAC_READ_SEARCH */
		assert_int_equal(errno, ENOENT);
	ASSERT_OK(unlink("a"));
	ASSERT_OK(unlink("dir/target"));
	unlink("dir/empty");
	char name[64];
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ASSERT_ERR(linkat(AT_FDCWD, name, dir, "again", AT_SYMLINK_FOLLOW), ENOENT);
}

static void symlinks_hold_any_text(void **state)
{
	char buf[64], *text = file_letters(PATH_MAX - 1), *more = file_letters(PATH_MAX);
	char *big = malloc(PATH_MAX + 1);

	ASSERT_OK(symlink("no such/thing", "link"));
	memset(buf, '#', sizeof(buf));
	assert_int_equal(readlink("link", buf, sizeof(buf)), 13);
	assert_memory_equal(buf, "no such/thing#", 14);         /* no zero behind it */
	assert_int_equal(readlink("link", buf, 4), 4);          /* cut without error */
	assert_int_equal(file_mode("link"), S_IFLNK | 0777);
	ASSERT_ERR(readlink("link", buf, 0), EINVAL);
	ASSERT_ERR(symlink("x", "link"), EEXIST);
	ASSERT_ERR(symlink("", "empty"), ENOENT);
	ASSERT_ERR(symlink("x", "missing/y"), ENOENT);
	ASSERT_ERR(symlink("x", "link/"), EEXIST);
	ASSERT_ERR(symlink("x", "new/"), ENOENT);
	ASSERT_ERR(symlink(file_bad(), "new"), EFAULT);
	ASSERT_ERR(symlink(more, "long"), ENAMETOOLONG);
	if (symlink(text, "long") == 0)                 /* some file systems hold less */
		assert_int_equal(readlink("long", big, PATH_MAX), PATH_MAX - 1);
	else
		assert_int_equal(errno, ENAMETOOLONG);
	free(text);
	free(more);
	free(big);
}

static void readlink_reports_errors(void **state)
{
	char buf[64];
	int fd = file_make("f", "");

	ASSERT_OK(symlink("f", "link"));
	ASSERT_OK(mkdir("dir", 0755));
	ASSERT_OK(symlink("dir", "todir"));
	ASSERT_ERR(readlink("f", buf, sizeof(buf)), EINVAL);
	ASSERT_ERR(readlink("dir", buf, sizeof(buf)), EINVAL);
	ASSERT_ERR(readlink("todir/", buf, sizeof(buf)), EINVAL);
	ASSERT_ERR(readlink("missing", buf, sizeof(buf)), ENOENT);
	ASSERT_ERR(readlink("f/x", buf, sizeof(buf)), ENOTDIR);
	ASSERT_ERR(readlink("", buf, sizeof(buf)), ENOENT);
	ASSERT_ERR(readlink("link", file_bad(), 64), EFAULT);
	ASSERT_ERR(readlinkat(fd, "", buf, sizeof(buf)), ENOENT);
	ASSERT_ERR(readlinkat(fd, "x", buf, sizeof(buf)), ENOTDIR);
	ASSERT_ERR(readlinkat(-1, "link", buf, sizeof(buf)), EBADF);
}

static void an_unlinked_file_lives_while_open(void **state)
{
	struct stat st;
	int fd = file_make("f", "hello");

	ASSERT_OK(unlink("f"));
	assert_false(file_exists("f"));
	assert_int_equal(pwrite(fd, "!", 1, 5), 1);
	assert_string_equal(file_fd_text(fd), "hello!");
	ASSERT_OK(fstat(fd, &st));
	assert_int_equal(st.st_nlink, 0);
	ASSERT_OK(ftruncate(fd, 2));
	ASSERT_OK(fchmod(fd, 0600));
	int other = file_make("f", "new");              /* another file of that name */
	assert_string_equal(file_fd_text(fd), "he");
	assert_string_equal(file_fd_text(other), "new");
}

static void unlink_reports_errors(void **state)
{
	file_put("f", "");
	ASSERT_OK(mkdir("dir", 0755));
	ASSERT_OK(symlink("f", "link"));
	ASSERT_OK(symlink("dir", "todir"));
	ASSERT_ERR(unlink("missing"), ENOENT);
	ASSERT_ERR(unlink(""), ENOENT);
	ASSERT_ERR(unlink("dir"), EISDIR);
	ASSERT_ERR(unlink("dir/"), EISDIR);
	ASSERT_ERR(unlink("f/"), ENOTDIR);
	ASSERT_ERR(unlink("missing/"), ENOENT);
	ASSERT_ERR(unlink("todir/"), ENOTDIR);          /* the link is not followed */
	ASSERT_ERR(unlink("f/x"), ENOTDIR);
	ASSERT_ERR(unlink("."), EISDIR);
	ASSERT_ERR(unlink(".."), EISDIR);
	ASSERT_ERR(unlink(file_bad()), EFAULT);
	ASSERT_ERR(unlinkat(-1, "f", 0), EBADF);
	ASSERT_OK(unlink("link"));                      /* the link, not its target */
	assert_true(file_exists("f"));
}

static void rename_replaces(void **state)
{
	int old = file_make("b", "old");
	ino_t ino;

	file_put("a", "new");
	ino = file_ino("a");
	ASSERT_OK(rename("a", "b"));
	assert_false(file_exists("a"));
	assert_int_equal(file_ino("b"), ino);
	assert_string_equal(file_text("b"), "new");
	assert_string_equal(file_fd_text(old), "old");  /* still open */
	ASSERT_OK(link("b", "c"));
	ASSERT_OK(rename("b", "c"));                    /* the same file: nothing happens */
	assert_true(file_exists("b") && file_exists("c"));
	ASSERT_OK(rename("c", "c"));
	ASSERT_OK(symlink("nowhere", "link"));
	ASSERT_OK(rename("c", "link"));                 /* the link is replaced, not followed */
	assert_true(S_ISREG(file_mode("link")));
	ASSERT_OK(symlink("b", "link2"));
	ASSERT_OK(rename("link2", "moved"));
	assert_true(S_ISLNK(file_mode("moved")));
	assert_true(file_exists("b"));
}

static void rename_of_directories(void **state)
{
	ASSERT_OK(mkdir("a", 0755));
	file_put("a/f", "inside");
	ASSERT_OK(mkdir("empty", 0755));
	ASSERT_OK(mkdir("full", 0755));
	file_put("full/g", "");
	file_put("file", "");
	ASSERT_ERR(rename("a", "full"), ENOTEMPTY);
	ASSERT_ERR(rename("a", "file"), ENOTDIR);
	ASSERT_ERR(rename("file", "a"), EISDIR);
	ASSERT_ERR(rename("a", "a/sub"), EINVAL);
	ASSERT_ERR(rename("a", "a/b/c"), ENOENT);
	ASSERT_ERR(rename("a/f", "a"), ENOTEMPTY);      /* into its own parent's name */
	ASSERT_OK(rename("a", "empty"));                /* an empty one may be replaced */
	assert_false(file_exists("a"));
	assert_string_equal(file_text("empty/f"), "inside");
	ASSERT_OK(rename("empty", "full/below/"));
	assert_string_equal(file_text("full/below/f"), "inside");
	struct stat up, st;
	ASSERT_OK(stat("full", &up));
	ASSERT_OK(stat("full/below/..", &st));
	assert_int_equal(st.st_ino, up.st_ino);         /* it has a new parent */
	ASSERT_OK(rename("full/below", "full/below"));
	ASSERT_ERR(rename("full", "full/below"), EINVAL);
}

static void rename_reports_errors(void **state)
{
	char *long_name = file_letters(256);
	int fd = file_make("f", "");

	ASSERT_OK(mkdir("dir", 0755));
	ASSERT_ERR(rename("missing", "x"), ENOENT);
	ASSERT_ERR(rename("f", "missing/x"), ENOENT);
	ASSERT_ERR(rename("f", ""), ENOENT);
	ASSERT_ERR(rename("", "f"), ENOENT);
	ASSERT_ERR(rename("f", "f/x"), ENOTDIR);
	ASSERT_ERR(rename("f/", "x"), ENOTDIR);
	ASSERT_ERR(rename("f", "x/"), ENOTDIR);
	ASSERT_ERR(rename("missing/", "x"), ENOENT);
	ASSERT_ERR(rename("dir/.", "x"), EBUSY);
	ASSERT_ERR(rename("dir/..", "x"), EBUSY);
	ASSERT_ERR(rename("f", "."), EBUSY);
	ASSERT_ERR(rename("f", "/proc/x"), EXDEV);
	ASSERT_ERR(rename("f", long_name), ENAMETOOLONG);
	ASSERT_ERR(rename(file_bad(), "x"), EFAULT);
	ASSERT_ERR(rename("f", file_bad()), EFAULT);
	ASSERT_ERR(renameat(-1, "f", AT_FDCWD, "x"), EBADF);
	ASSERT_ERR(renameat(AT_FDCWD, "f", fd, "x"), ENOTDIR);
	ASSERT_OK(rename("dir/", "dir2/"));             /* fine for directories */
	assert_true(file_exists("dir2") && file_exists("f"));
	free(long_name);
}

static void noreplace_refuses_an_existing_name(void **state)
{
	file_put("a", "a");
	file_put("b", "b");
	ASSERT_OK(symlink("nowhere", "dangling"));
	ASSERT_ERR(rename2("a", "b", RENAME_NOREPLACE), EEXIST);
	ASSERT_ERR(rename2("a", "dangling", RENAME_NOREPLACE), EEXIST);
	ASSERT_ERR(rename2("a", "a", RENAME_NOREPLACE), EEXIST);
	ASSERT_OK(rename2("a", "c", RENAME_NOREPLACE));
	assert_string_equal(file_text("c"), "a");
	assert_false(file_exists("a"));
	assert_string_equal(file_text("b"), "b");
}

static void exchange_swaps_anything(void **state)
{
	file_put("a", "a");
	ASSERT_OK(mkdir("dir", 0755));
	file_put("dir/f", "in dir");
	ASSERT_OK(rename2("a", "dir", RENAME_EXCHANGE));
	assert_string_equal(file_text("dir"), "a");
	assert_string_equal(file_text("a/f"), "in dir");
	ASSERT_ERR(rename2("dir", "missing", RENAME_EXCHANGE), ENOENT);
	ASSERT_ERR(rename2("missing", "dir", RENAME_EXCHANGE), ENOENT);
	ASSERT_ERR(rename2("a", "a/f", RENAME_EXCHANGE), EINVAL);
	ASSERT_ERR(rename2("a/f", "a", RENAME_EXCHANGE), EINVAL);
	ASSERT_OK(rename2("dir", "dir", RENAME_EXCHANGE));
	ASSERT_ERR(rename2("a", "dir", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
	ASSERT_ERR(rename2("a", "dir", RENAME_EXCHANGE | RENAME_WHITEOUT), EINVAL);
	ASSERT_ERR(rename2("a", "dir", 1U << 20), EINVAL);
	ASSERT_ERR(rename2(file_bad(), file_bad(), 1U << 20), EINVAL);
}

static void open_directories_follow_their_rename(void **state)
{
	char buf[PATH_MAX], name[64];

	ASSERT_OK(mkdir("a", 0755));
	ASSERT_OK(mkdir("b", 0755));
	int fd = (int)ASSERT_OK(open("a", O_RDONLY));
	ASSERT_OK(rename("a", "b/c"));
	int f = (int)ASSERT_OK(openat(fd, "new", O_CREAT | O_RDWR, 0644));
	assert_true(file_exists("b/c/new"));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", f);
	ssize_t n = ASSERT_OK(readlink(name, buf, sizeof(buf) - 1));
	buf[n] = '\0';
	assert_string_equal(buf + n - strlen("/b/c/new"), "/b/c/new");
	ASSERT_OK(rename("b/c", "d"));
	n = ASSERT_OK(readlink(name, buf, sizeof(buf) - 1));
	buf[n] = '\0';
	assert_string_equal(buf + n - strlen("/d/new"), "/d/new");
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(link_makes_a_second_name),
		cmocka_unit_test(link_reports_errors),
		cmocka_unit_test(linkat_decides_about_links),
		cmocka_unit_test(symlinks_hold_any_text),
		cmocka_unit_test(readlink_reports_errors),
		cmocka_unit_test(an_unlinked_file_lives_while_open),
		cmocka_unit_test(unlink_reports_errors),
		cmocka_unit_test(rename_replaces),
		cmocka_unit_test(rename_of_directories),
		cmocka_unit_test(rename_reports_errors),
		cmocka_unit_test(noreplace_refuses_an_existing_name),
		cmocka_unit_test(exchange_swaps_anything),
		cmocka_unit_test(open_directories_follow_their_rename),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
