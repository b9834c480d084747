/* SPDX-License-Identifier: MIT */
/*
 * Directories: mkdir, rmdir, getdents64 (raw, and as the library's readdir), seeking, changes while
 * reading, chdir, fchdir, getcwd, and what a removed directory still does. Renaming: test_link.c.
 */
#include "tests/lib/file_dir.h"

#include <dirent.h>

struct dirent64_raw {
	uint64_t ino;
	int64_t off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

static long getdents(int fd, void *buf, size_t size)
{
	return syscall(SYS_getdents64, fd, buf, size);
}

static void make_files(const char *dir, int nr)
{
	char name[64];

	for (int i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "%s/file%03d", dir, i);
		file_put(name, "");
	}
}

/* How often the name comes up; *ret_all gets the number of entries. */
static int count_entries(const char *dir, const char *name, int *ret_all)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int all = 0, found = 0;

	assert_non_null(d);
	for (errno = 0; (e = readdir(d)); all++)
		found += strcmp(e->d_name, name) == 0;
	assert_int_equal(errno, 0);
	closedir(d);
	if (ret_all)
		*ret_all = all;
	return found;
}

static void mkdir_masks_the_mode(void **state)
{
	umask(027);
	ASSERT_OK(mkdir("a", 0777));
	assert_int_equal(file_mode("a"), S_IFDIR | 0750);
	umask(0);
	ASSERT_OK(mkdir("b", 01777));
	assert_int_equal(file_mode("b"), S_IFDIR | 01777);
	ASSERT_OK(mkdir("c", 06755));                   /* setuid and setgid are not taken */
	assert_int_equal(file_mode("c"), S_IFDIR | 0755);
	ASSERT_OK(chmod("c", 02755));
	ASSERT_OK(mkdir("c/sub", 0700));                /* but setgid is inherited */
	assert_int_equal(file_mode("c/sub"), S_IFDIR | 02700);
}

static void mkdir_and_rmdir_report_linux_errors(void **state)
{
	int file = file_make("file", ""), dir;
	char *long_name = file_letters(256);

	ASSERT_OK(mkdir("dir/", 0755));                 /* a slash behind is fine for these two */
	ASSERT_OK(mkdir("dir/sub", 0755));
	ASSERT_OK(symlink("nowhere", "dangling"));
	ASSERT_OK(symlink("dir", "todir"));
	dir = (int)ASSERT_OK(open("dir", O_RDONLY));
	ASSERT_ERR(mkdir("dir", 0755), EEXIST);
	ASSERT_ERR(mkdir("file", 0755), EEXIST);
	ASSERT_ERR(mkdir("dangling", 0755), EEXIST);
	ASSERT_ERR(mkdir(".", 0755), EEXIST);
	ASSERT_ERR(mkdir("..", 0755), EEXIST);
	ASSERT_ERR(mkdir("/", 0755), EEXIST);
	ASSERT_ERR(mkdir("missing/x", 0755), ENOENT);
	ASSERT_ERR(mkdir("file/x", 0755), ENOTDIR);
	ASSERT_ERR(mkdir("", 0755), ENOENT);
	ASSERT_ERR(mkdir(long_name, 0755), ENAMETOOLONG);
	ASSERT_ERR(mkdir(file_bad(), 0755), EFAULT);
	ASSERT_ERR(mkdirat(-1, "x", 0755), EBADF);
	ASSERT_ERR(mkdirat(file, "x", 0755), ENOTDIR);
	ASSERT_OK(mkdirat(dir, "at", 0755));
	assert_true(file_exists("dir/at"));

	ASSERT_ERR(rmdir("dir"), ENOTEMPTY);
	ASSERT_ERR(rmdir("file"), ENOTDIR);
	ASSERT_ERR(rmdir("todir"), ENOTDIR);
	ASSERT_ERR(rmdir("missing"), ENOENT);
	ASSERT_ERR(rmdir(""), ENOENT);
	ASSERT_ERR(rmdir("dir/."), EINVAL);
	ASSERT_ERR(rmdir("dir/sub/.."), ENOTEMPTY);
	ASSERT_ERR(rmdir("/"), EBUSY);
	ASSERT_ERR(rmdir("/proc"), EBUSY);              /* something is mounted there */
	ASSERT_ERR(unlinkat(AT_FDCWD, "dir", 0), EISDIR);
	ASSERT_ERR(unlinkat(AT_FDCWD, "file", AT_REMOVEDIR), ENOTDIR);
	ASSERT_ERR(unlinkat(AT_FDCWD, "file", 0x4000), EINVAL);
	ASSERT_OK(unlinkat(dir, "at", AT_REMOVEDIR));
	ASSERT_OK(rmdir("dir/sub/"));
	ASSERT_OK(rmdir("dir"));
	assert_false(file_exists("dir"));
	free(long_name);
}

static void getdents_lists_every_entry_once(void **state)
{
	char buf[1024];
	int seen[200] = { 0 }, dots = 0, calls = 0;
	long n;

	ASSERT_OK(mkdir("d", 0755));
	make_files("d", 200);
	int fd = (int)ASSERT_OK(open("d", O_RDONLY | O_DIRECTORY));
	for (; (n = ASSERT_OK(getdents(fd, buf, sizeof(buf)))) > 0; calls++)
		for (long at = 0; at < n;) {
			struct dirent64_raw *e = (void *)(buf + at);
			int nr;

			assert_true(e->reclen % 8 == 0 && at + e->reclen <= n);
			if (e->name[0] == '.') {
				assert_int_equal(e->type, DT_DIR);
				dots += e->name[1] ? e->name[1] == '.' && !e->name[2] : 1;
			} else {
				assert_int_equal(sscanf(e->name, "file%d", &nr), 1);
				assert_in_range(nr, 0, 199);
				assert_true(e->type == DT_REG || e->type == DT_UNKNOWN);
				seen[nr]++;
			}
			assert_int_not_equal(e->ino, 0);
			at += e->reclen;
		}
	assert_true(calls >= 200 * 24 / 1024);
	assert_int_equal(dots, 2);
	for (int i = 0; i < 200; i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(getdents(fd, buf, sizeof(buf)), 0);    /* the end stays the end */
}

static void entries_tell_type_and_inode(void **state)
{
	const struct { const char *name; int type; } c[] = {
		{ "file", DT_REG }, { "dir", DT_DIR }, { "link", DT_LNK }, { "fifo", DT_FIFO },
	};
	struct dirent *e;
	size_t found = 0;

	file_put("file", "");
	ASSERT_OK(mkdir("dir", 0755));
	ASSERT_OK(symlink("nowhere", "link"));
	ASSERT_OK(mkfifo("fifo", 0600));
	DIR *d = opendir(".");
	assert_non_null(d);
	while ((e = readdir(d)))
		for (size_t i = 0; i < ARRAY_SIZE(c); i++)
			if (strcmp(e->d_name, c[i].name) == 0) {
				assert_true(e->d_type == c[i].type || e->d_type == DT_UNKNOWN);
				assert_int_equal(e->d_ino, file_ino(e->d_name));
				found++;
			}
	closedir(d);
	assert_int_equal(found, ARRAY_SIZE(c));
}

static void getdents_reports_errors(void **state)
{
	char buf[1024];
	int fd = (int)ASSERT_OK(open(".", O_RDONLY)), file = file_make("f", "");

	ASSERT_ERR(getdents(-1, buf, sizeof(buf)), EBADF);
	ASSERT_ERR(getdents(file, buf, sizeof(buf)), ENOTDIR);
	ASSERT_ERR(getdents(fd, buf, 8), EINVAL);       /* not even one entry fits */
	ASSERT_ERR(getdents(fd, file_bad(), 1024), EFAULT);
	assert_true(getdents(fd, buf, sizeof(buf)) > 0);
}

static void an_empty_directory_has_two_entries(void **state)
{
	int all;

	ASSERT_OK(mkdir("d", 0755));
	assert_int_equal(count_entries("d", ".", &all), 1);
	assert_int_equal(count_entries("d", "..", NULL), 1);
	assert_int_equal(all, 2);
	file_put("d/f", "");
	assert_int_equal(count_entries("d", "f", &all), 1);
	assert_int_equal(all, 3);
}

static void positions_can_be_returned_to(void **state)
{
	char names[64][32];
	long pos[64];
	struct dirent *e;
	int n = 0;

	make_files(".", 20);
	DIR *d = opendir(".");
	assert_non_null(d);
	for (;;) {
		pos[n] = telldir(d);
		if (!(e = readdir(d)))
			break;
		snprintf(names[n++], sizeof(names[0]), "%.31s", e->d_name);
	}
	assert_int_equal(n, 22);
	for (int i = n - 1; i >= 0; i -= 3) {           /* back, in steps */
		seekdir(d, pos[i]);
		e = readdir(d);
		assert_non_null(e);
		assert_string_equal(e->d_name, names[i]);
	}
	rewinddir(d);
	e = readdir(d);
	assert_non_null(e);
	assert_string_equal(e->d_name, names[0]);
	seekdir(d, pos[n]);
	assert_null(readdir(d));
	closedir(d);
}

static void rewinding_shows_the_present(void **state)
{
	struct dirent *e;
	int all = 0;

	DIR *d = opendir(".");
	assert_non_null(d);
	while (readdir(d))
		all++;
	assert_int_equal(all, 2);
	file_put("new", "");
	rewinddir(d);
	for (all = 0; (e = readdir(d)); all++)
		;
	assert_int_equal(all, 3);
	int fd = dirfd(d);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	ASSERT_ERR(lseek(fd, -1, SEEK_SET), EINVAL);
	closedir(d);
}

static void removing_while_reading_finds_all(void **state)
{
	struct dirent *e;
	int removed = 0, all;

	ASSERT_OK(mkdir("d", 0755));
	make_files("d", 300);
	DIR *d = opendir("d");
	assert_non_null(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.') {
			ASSERT_OK(unlinkat(dirfd(d), e->d_name, 0));
			removed++;
		}
	closedir(d);
	assert_int_equal(removed, 300);
	assert_int_equal(count_entries("d", ".", &all), 1);
	assert_int_equal(all, 2);
	ASSERT_OK(rmdir("d"));
}

static void entries_that_stay_are_seen_whatever_else_changes(void **state)
{
	char buf[512], name[32];
	int seen = 0, fd;
	long n;

	ASSERT_OK(mkdir("d", 0755));
	make_files("d", 100);
	fd = (int)ASSERT_OK(open("d", O_RDONLY));
	for (int round = 0; (n = ASSERT_OK(getdents(fd, buf, sizeof(buf)))) > 0; round++) {
		for (long at = 0; at < n; at += ((struct dirent64_raw *)(void *)(buf + at))->reclen)
			seen += strncmp(((struct dirent64_raw *)(void *)(buf + at))->name, "file",
					4) == 0;
		snprintf(name, sizeof(name), "d/other%03d", round);
		file_put(name, "");
		if (round % 2)
			ASSERT_OK(unlink(name));
		assert_true(round < 200);
	}
	assert_int_equal(seen, 100);
}

static void chdir_and_getcwd_agree(void **state)
{
	char here[PATH_MAX], buf[PATH_MAX], want[PATH_MAX + 8];
	int fd;

	assert_non_null(getcwd(here, sizeof(here)));
	ASSERT_OK(mkdir("d", 0755));
	ASSERT_OK(symlink("d", "link"));
	ASSERT_OK(chdir("link"));
	snprintf(want, sizeof(want), "%s/d", here);
	assert_non_null(getcwd(buf, sizeof(buf)));
	assert_string_equal(buf, want);                 /* links are resolved */
	assert_int_equal(syscall(SYS_getcwd, buf, sizeof(buf)), strlen(want) + 1);
	assert_int_equal(syscall(SYS_getcwd, buf, strlen(want) + 1), strlen(want) + 1);
	ASSERT_ERR(syscall(SYS_getcwd, buf, strlen(want)), ERANGE);
	ASSERT_ERR(syscall(SYS_getcwd, buf, 0), ERANGE);
	ASSERT_ERR(syscall(SYS_getcwd, file_bad(), 4096), EFAULT);
	file_put("f", "");
	ASSERT_OK(chdir(".."));
	assert_true(file_exists("d/f"));
	fd = (int)ASSERT_OK(open("d", O_RDONLY));
	ASSERT_OK(rename("d", "moved"));
	ASSERT_OK(fchdir(fd));
	snprintf(want, sizeof(want), "%s/moved", here);
	assert_non_null(getcwd(buf, sizeof(buf)));
	assert_string_equal(buf, want);                 /* the name it has now */
	ASSERT_OK(chdir("/"));
	assert_string_equal(getcwd(buf, sizeof(buf)), "/");
	ASSERT_OK(chdir(here));
}

static void chdir_reports_errors(void **state)
{
	int file = file_make("f", "");

	ASSERT_ERR(chdir("missing"), ENOENT);
	ASSERT_ERR(chdir(""), ENOENT);
	ASSERT_ERR(chdir("f"), ENOTDIR);
	ASSERT_ERR(chdir("f/x"), ENOTDIR);
	ASSERT_ERR(chdir(file_bad()), EFAULT);
	ASSERT_ERR(fchdir(-1), EBADF);
	ASSERT_ERR(fchdir(file), ENOTDIR);
	assert_true(file_exists("f"));
}

static void a_removed_directory_is_empty_and_stays_so(void **state)
{
	char buf[PATH_MAX], raw[512];
	struct stat st;

	ASSERT_OK(mkdir("gone", 0755));
	ASSERT_OK(chdir("gone"));
	int fd = (int)ASSERT_OK(open(".", O_RDONLY));
	ASSERT_OK(rmdir("../gone"));
	ASSERT_ERR(syscall(SYS_getcwd, buf, sizeof(buf)), ENOENT);
	ASSERT_ERR(open("new", O_CREAT | O_RDWR, 0644), ENOENT);
	ASSERT_ERR(mkdir("new", 0755), ENOENT);
	ASSERT_ERR(stat("missing", &st), ENOENT);
	ASSERT_OK(stat(".", &st));
	assert_int_equal(st.st_nlink, 0);
	ASSERT_OK(stat("..", &st));                     /* the way up is still there */
	assert_true(st.st_nlink > 0);
	assert_in_range(getdents(fd, raw, sizeof(raw)) + 1, 0, sizeof(raw));
	ASSERT_ERR(openat(fd, "new", O_CREAT | O_RDWR, 0644), ENOENT);
	ssize_t n = ASSERT_OK(readlink("/proc/self/cwd", buf, sizeof(buf) - 1));
	buf[n] = '\0';
	assert_string_equal(buf + n - strlen("/gone (deleted)"), "/gone (deleted)");
	ASSERT_OK(chdir(".."));
	assert_non_null(getcwd(buf, sizeof(buf)));
}

static void deep_trees_are_no_problem(void **state)
{
	char buf[PATH_MAX * 2];
	const char *name = "a-directory-with-a-name-of-some-length";
	int depth = 150, top = (int)ASSERT_OK(open(".", O_RDONLY));

	for (int i = 0; i < depth; i++) {
		ASSERT_OK(mkdir(name, 0755));
		ASSERT_OK(chdir(name));
	}
	/* The path is longer than a page by now. */
	ASSERT_ERR(syscall(SYS_getcwd, buf, sizeof(buf)), ENAMETOOLONG);
	for (int i = 0; i < depth; i++) {
		ASSERT_OK(chdir(".."));
		ASSERT_OK(rmdir(name));
	}
	struct stat a, b;
	ASSERT_OK(fstat(top, &a));
	ASSERT_OK(stat(".", &b));
	assert_int_equal(a.st_ino, b.st_ino);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(mkdir_masks_the_mode),
		cmocka_unit_test(mkdir_and_rmdir_report_linux_errors),
		cmocka_unit_test(getdents_lists_every_entry_once),
		cmocka_unit_test(entries_tell_type_and_inode),
		cmocka_unit_test(getdents_reports_errors),
		cmocka_unit_test(an_empty_directory_has_two_entries),
		cmocka_unit_test(positions_can_be_returned_to),
		cmocka_unit_test(rewinding_shows_the_present),
		cmocka_unit_test(removing_while_reading_finds_all),
		cmocka_unit_test(entries_that_stay_are_seen_whatever_else_changes),
		cmocka_unit_test(chdir_and_getcwd_agree),
		cmocka_unit_test(chdir_reports_errors),
		cmocka_unit_test(a_removed_directory_is_empty_and_stays_so),
		cmocka_unit_test(deep_trees_are_no_problem),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
