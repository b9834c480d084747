/* SPDX-License-Identifier: MIT */
/*
 * open(2), openat(2), openat2(2): every flag, creation with mode and umask, the errors of path
 * lookup (shared by all calls that take a path), trailing slashes, O_PATH, O_TMPFILE, RESOLVE_*.
 * Permissions are in test_perm.c, FIFOs in test_fifo.c, devices in test_dev.c.
 */
#include "tests/lib/file_dir.h"

#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

/* Keep one pointer opaque to the compiler, which knows that open() wants no NULL. */
static const char *volatile null_path;

struct open_case {
	const char *path;
	int flags;
	int err;                        /* 0: works */
};

static void check_cases(const struct open_case *c, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		errno = 0;
		int fd = open(c[i].path, c[i].flags, 0644);
		int err = fd < 0 ? errno : 0;

		if (err != c[i].err)
			fail_msg("open(\"%.60s\", %#o): got %s, want %s", c[i].path, c[i].flags,
				 errno_name(err), errno_name(c[i].err));
		if (fd >= 0)
			close(fd);
	}
}

static void the_lowest_free_descriptor_is_used(void **state)
{
	int fd[4];

	file_put("f", "");
	for (int i = 0; i < 4; i++)
		fd[i] = (int)ASSERT_OK(open("f", O_RDONLY));
	for (int i = 1; i < 4; i++)
		assert_true(fd[i] > fd[i - 1]);
	close(fd[2]);
	close(fd[1]);
	assert_int_equal(open("f", O_RDONLY), fd[1]);
	assert_int_equal(open("f", O_RDONLY), fd[2]);
	ASSERT_ERR(open("missing", O_RDONLY), ENOENT);
	close(fd[0]);
	assert_int_equal(open("f", O_RDONLY), fd[0]);   /* a failed open uses none up */
}

static void the_limit_of_descriptors_is_emfile(void **state)
{
	struct rlimit old, low;
	int next = open("/", O_RDONLY);

	close(next);
	ASSERT_OK(getrlimit(RLIMIT_NOFILE, &old));
	low = old;
	low.rlim_cur = (rlim_t)next;
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &low));
	int r = open(".", O_RDONLY), err = errno;
	int r2 = open("missing", O_RDONLY), err2 = errno;
	int r3 = open("new", O_RDWR | O_CREAT, 0644), err3 = errno;
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &old));
	assert_int_equal(r, -1);
	assert_int_equal(err, EMFILE);
	assert_int_equal(r2, -1);
	assert_int_equal(err2, EMFILE);         /* the descriptor comes before the lookup */
	assert_int_equal(r3, -1);
	assert_int_equal(err3, EMFILE);
	assert_false(file_exists("new"));
}

static void creat_makes_a_file_once(void **state)
{
	int fd = (int)ASSERT_OK(open("f", O_RDWR | O_CREAT | O_EXCL, 0640));

	assert_int_equal(write(fd, "hello", 5), 5);
	ASSERT_ERR(open("f", O_RDWR | O_CREAT | O_EXCL, 0640), EEXIST);
	ASSERT_OK(open("f", O_RDWR | O_CREAT, 0));
	assert_int_equal(file_mode("f"), S_IFREG | 0640);       /* an old file keeps its mode */
	assert_string_equal(file_text("f"), "hello");
	ASSERT_OK(open("f", O_RDWR | O_EXCL));                  /* no meaning without O_CREAT */
	ASSERT_OK(creat("f", 0777));
	assert_int_equal(file_size("f"), 0);
	assert_int_equal(file_mode("f"), S_IFREG | 0640);
}

static void creat_follows_a_dangling_link_but_excl_does_not(void **state)
{
	ASSERT_OK(symlink("target", "link"));
	ASSERT_ERR(open("link", O_RDWR), ENOENT);
	ASSERT_ERR(open("link", O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST);
	ASSERT_ERR(open("link", O_RDWR | O_CREAT | O_NOFOLLOW, 0644), ELOOP);
	assert_false(file_exists("target"));
	ASSERT_OK(open("link", O_RDWR | O_CREAT, 0644));
	assert_true(S_ISREG(file_mode("target")));
	assert_true(S_ISLNK(file_mode("link")));
}

static void mode_is_masked_by_umask_and_does_not_bind_the_opener(void **state)
{
	umask(027);
	int fd = (int)ASSERT_OK(open("a", O_RDWR | O_CREAT, 0777));
	assert_int_equal(file_mode("a"), S_IFREG | 0750);
	umask(0);
	ASSERT_OK(open("b", O_RDWR | O_CREAT, 07777));
	assert_int_equal(file_mode("b"), S_IFREG | 07777);
	fd = (int)ASSERT_OK(open("c", O_RDWR | O_CREAT, 0));
	assert_int_equal(file_mode("c"), S_IFREG);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(pread(fd, (char[1]){ 0 }, 1, 0), 1);
	ASSERT_OK(open("d", O_RDWR | O_CREAT, S_IFDIR | 0600)); /* type bits are ignored */
	assert_int_equal(file_mode("d"), S_IFREG | 0600);
	assert_int_equal(umask(0777), 0);
	ASSERT_OK(open("e", O_WRONLY | O_CREAT, 0666));
	assert_int_equal(file_mode("e"), S_IFREG);
	assert_int_equal(umask(022), 0777);
}

static void trunc_empties_whatever_the_access_mode(void **state)
{
	static const int flags[] = { O_WRONLY, O_RDWR, O_RDONLY };
	int before = file_make("f", "hello");

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		assert_int_equal(pwrite(before, "hello", 5, 0), 5);
		ASSERT_OK(open("f", flags[i] | O_TRUNC));
		assert_int_equal(file_size("f"), 0);
	}
	assert_int_equal(lseek(before, 0, SEEK_CUR), 0);
	assert_int_equal(read(before, (char[1]){ 0 }, 1), 0);
}

static void append_writes_at_the_end_always(void **state)
{
	int fd, other = file_make("f", "hello");
	char buf[8] = "";

	fd = (int)ASSERT_OK(open("f", O_RDWR | O_APPEND));
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	assert_int_equal(read(fd, buf, 2), 2);          /* reading goes by the offset */
	assert_string_equal(buf, "he");
	assert_int_equal(write(fd, "A", 1), 1);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 6);
	assert_int_equal(pwrite(other, "xyz", 3, 6), 3);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(write(fd, "B", 1), 1);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 10);
	assert_string_equal(file_text("f"), "helloAxyzB");
}

static void access_mode_decides_what_works(void **state)
{
	char c;

	file_put("f", "x");
	int r = (int)ASSERT_OK(open("f", O_RDONLY)), w = (int)ASSERT_OK(open("f", O_WRONLY));
	ASSERT_ERR(write(r, "y", 1), EBADF);
	ASSERT_ERR(write(r, "y", 0), EBADF);
	ASSERT_ERR(read(w, &c, 1), EBADF);
	ASSERT_ERR(read(w, file_bad(), 1), EBADF);      /* before the buffer is looked at */
	ASSERT_ERR(ftruncate(r, 0), EINVAL);
	ASSERT_ERR(pwrite(r, "y", 1, 0), EBADF);
	ASSERT_ERR(pread(w, &c, 1, 0), EBADF);

	/* Mode 3: checked for both, allows neither, good for ioctls. */
	int fd = (int)ASSERT_OK(open("f", 3));
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, 3);
	ASSERT_ERR(read(fd, &c, 1), EBADF);
	ASSERT_ERR(write(fd, "y", 1), EBADF);
	ASSERT_ERR(open(".", 3), EISDIR);
}

static void getfl_shows_the_flags_that_last(void **state)
{
	int once = O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY | O_CLOEXEC;
	int fd = (int)ASSERT_OK(open("f", O_RDWR | O_APPEND | O_NONBLOCK | once, 0644));

	assert_int_equal(fcntl(fd, F_GETFL), O_RDWR | O_APPEND | O_NONBLOCK | RAW_O_LARGEFILE);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	fd = (int)ASSERT_OK(open(".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
	assert_int_equal(fcntl(fd, F_GETFL), O_DIRECTORY | O_NOFOLLOW | RAW_O_LARGEFILE);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	fd = (int)ASSERT_OK(open("f", O_RDWR | O_SYNC | O_NOATIME));
	assert_int_equal(fcntl(fd, F_GETFL), O_RDWR | O_SYNC | O_NOATIME | RAW_O_LARGEFILE);
	/* Unknown bits are dropped without a word (by open, not by openat2). */
	fd = (int)ASSERT_OK(open("f", O_WRONLY | 0x40000000));
	assert_int_equal(fcntl(fd, F_GETFL), O_WRONLY | RAW_O_LARGEFILE);
}

static void lookup_reports_linux_errors(void **state)
{
	char *n255 = file_letters(255), *n256 = file_letters(256);
	char p4095[4096], p4096[4097];
	char beyond[300];

	memset(p4095, '/', 4095);               /* a long path of short names ... */
	memcpy(p4095, "./", 2);
	p4095[4094] = '.';
	p4095[4095] = '\0';
	memset(p4096, '/', 4096);               /* ... with one byte more */
	p4096[0] = '.';
	p4096[4096] = '\0';
	file_put("file", "");
	ASSERT_OK(mkdir("dir", 0755));
	ASSERT_OK(symlink("loop2", "loop1"));
	ASSERT_OK(symlink("loop1", "loop2"));
	ASSERT_OK(symlink("file", "tofile"));
	ASSERT_OK(symlink("dir", "todir"));
	ASSERT_OK(symlink("missing", "dangling"));
	snprintf(beyond, sizeof(beyond), "missing/%s", n256);

	const struct open_case c[] = {
		{ "", O_RDONLY, ENOENT },
		{ "missing", O_RDONLY, ENOENT },
		{ "missing/x", O_RDONLY, ENOENT },
		{ "missing/x", O_RDWR | O_CREAT, ENOENT },
		{ "missing/../file", O_RDONLY, ENOENT },
		{ "dangling/x", O_RDONLY, ENOENT },
		{ "file/x", O_RDONLY, ENOTDIR },
		{ "file/x", O_RDWR | O_CREAT, ENOTDIR },
		{ "file/..", O_RDONLY, ENOTDIR },
		{ "file/.", O_RDONLY, ENOTDIR },
		{ "file/", O_RDONLY, ENOTDIR },
		{ "tofile/", O_RDONLY, ENOTDIR },
		{ "missing/", O_RDONLY, ENOENT },
		{ "dir/", O_RDONLY, 0 },
		{ "dir///", O_RDONLY, 0 },
		{ "todir/", O_RDONLY, 0 },
		{ "dir/../file", O_RDONLY, 0 },
		{ ".//dir/.././file", O_RDONLY, 0 },
		{ "dir/", O_RDWR, EISDIR },
		{ "new/", O_RDWR | O_CREAT, EISDIR },
		{ "dir/", O_RDWR | O_CREAT, EISDIR },
		{ "missing/new/", O_RDWR | O_CREAT, ENOENT },
		{ "loop1", O_RDONLY, ELOOP },
		{ "loop1", O_RDWR | O_CREAT, ELOOP },
		{ "loop1/x", O_RDONLY, ELOOP },
		{ n255, O_RDONLY, ENOENT },
		{ n255, O_RDWR | O_CREAT, 0 },
		{ n256, O_RDONLY, ENAMETOOLONG },
		{ n256, O_RDWR | O_CREAT, ENAMETOOLONG },
		{ beyond, O_RDONLY, ENOENT },
		{ p4095, O_RDONLY, 0 },
		{ p4096, O_RDONLY, ENAMETOOLONG },
	};
	check_cases(c, ARRAY_SIZE(c));
	ASSERT_ERR(open(file_bad(), O_RDONLY), EFAULT);
	ASSERT_ERR(open(null_path, O_RDONLY), EFAULT);
	ASSERT_ERR(open((char *)-4096L, O_RDONLY), EFAULT);
	free(n255);
	free(n256);
}

static void a_path_may_end_where_memory_ends(void **state)
{
	char *edge = file_edge(5), *open_end = file_edge(4);

	file_put("file", "");
	memcpy(edge, "file", 5);
	ASSERT_OK(open(edge, O_RDONLY));
	memcpy(open_end, "file", 4);
	ASSERT_ERR(open(open_end, O_RDONLY), EFAULT);
}

static void forty_links_are_followed_but_not_more(void **state)
{
	char from[16], to[16];

	file_put("l0", "end");
	for (int i = 1; i <= 41; i++) {
		snprintf(to, sizeof(to), "l%d", i - 1);
		snprintf(from, sizeof(from), "l%d", i);
		ASSERT_OK(symlink(to, from));
	}
	ASSERT_OK(open("l40", O_RDONLY));
	ASSERT_ERR(open("l41", O_RDONLY), ELOOP);
	ASSERT_OK(open("l41", O_PATH | O_NOFOLLOW));    /* nothing to follow */
}

static void directories_open_for_reading_only(void **state)
{
	ASSERT_OK(mkdir("dir", 0755));
	file_put("file", "");
	const struct open_case c[] = {
		{ "dir", O_RDONLY, 0 },
		{ "dir", O_RDONLY | O_DIRECTORY, 0 },
		{ "dir", O_WRONLY, EISDIR },
		{ "dir", O_RDWR | O_DIRECTORY, EISDIR },
		{ "dir", O_RDONLY | O_TRUNC, EISDIR },
		{ "dir", O_RDONLY | O_CREAT, EISDIR },
		{ ".", O_RDONLY | O_CREAT, EISDIR },
		{ "..", O_RDWR | O_CREAT, EISDIR },
		{ "/", O_RDWR | O_CREAT, EISDIR },
		{ "dir", O_RDWR | O_CREAT | O_EXCL, EEXIST },
		{ "file", O_RDONLY | O_DIRECTORY, ENOTDIR },
		{ "missing", O_RDONLY | O_DIRECTORY, ENOENT },
	};
	check_cases(c, ARRAY_SIZE(c));
	int fd = (int)ASSERT_OK(open("dir", O_RDONLY));
	ASSERT_ERR(read(fd, (char[1]){ 0 }, 1), EISDIR);
	ASSERT_ERR(write(fd, "x", 1), EBADF);
}

static void nofollow_refuses_the_last_link_only(void **state)
{
	ASSERT_OK(mkdir("dir", 0755));
	file_put("dir/file", "");
	ASSERT_OK(symlink("dir", "todir"));
	ASSERT_OK(symlink("dir/file", "tofile"));
	const struct open_case c[] = {
		{ "tofile", O_RDONLY, 0 },
		{ "tofile", O_RDONLY | O_NOFOLLOW, ELOOP },
		{ "todir", O_RDONLY | O_NOFOLLOW, ELOOP },
		{ "todir/file", O_RDONLY | O_NOFOLLOW, 0 },
		{ "todir/", O_RDONLY | O_NOFOLLOW, 0 },
		{ "todir", O_RDONLY | O_NOFOLLOW | O_DIRECTORY, ENOTDIR },
		{ "todir", O_PATH | O_NOFOLLOW | O_DIRECTORY, ENOTDIR },
		{ "dir/file", O_RDONLY | O_NOFOLLOW, 0 },
	};
	check_cases(c, ARRAY_SIZE(c));
}

static void path_descriptors_name_but_do_not_act(void **state)
{
	char c, name[64];
	struct stat st;

	file_put("f", "hello");
	ASSERT_OK(mkdir("dir", 0755));
	file_put("dir/g", "");
	ASSERT_ERR(open("missing", O_PATH | O_CREAT, 0644), ENOENT);
	int fd = (int)ASSERT_OK(open("f", O_PATH | O_RDWR | O_TRUNC | O_APPEND | O_CLOEXEC));
	assert_int_equal(file_size("f"), 5);            /* other flags have no meaning */
	assert_int_equal(fcntl(fd, F_GETFL), O_PATH);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ASSERT_ERR(read(fd, &c, 1), EBADF);
	ASSERT_ERR(write(fd, "x", 1), EBADF);
	ASSERT_ERR(lseek(fd, 0, SEEK_SET), EBADF);
	ASSERT_ERR(ftruncate(fd, 0), EBADF);
	ASSERT_ERR(fchmod(fd, 0600), EBADF);
	ASSERT_ERR(fchown(fd, 0, 0), EBADF);
	ASSERT_ERR(fsync(fd), EBADF);
	ASSERT_ERR(flock(fd, LOCK_SH), EBADF);
	ASSERT_ERR(fcntl(fd, F_SETFL, 0), EBADF);
	ASSERT_ERR(ioctl(fd, FIONREAD, &st), EBADF);
	ASSERT_ERR(mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0), EBADF);
	ASSERT_OK(fstat(fd, &st));
	assert_int_equal(st.st_size, 5);
	ASSERT_OK(dup(fd));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	assert_string_equal(file_text(name), "hello");  /* the way to make a real one of it */

	int dir = (int)ASSERT_OK(open("dir", O_PATH));
	ASSERT_OK(openat(dir, "g", O_RDONLY));
	ASSERT_ERR(syscall(SYS_getdents64, dir, &st, sizeof(st)), EBADF);
	ASSERT_OK(fchdir(dir));
	assert_true(file_exists("g"));
	ASSERT_ERR(openat(fd, "g", O_RDONLY), ENOTDIR);
}

static void path_with_nofollow_is_the_link_itself(void **state)
{
	char to[16] = "";
	struct stat st;

	ASSERT_OK(symlink("nowhere", "link"));
	int fd = (int)ASSERT_OK(open("link", O_PATH | O_NOFOLLOW));
	ASSERT_OK(fstat(fd, &st));
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(readlinkat(fd, "", to, sizeof(to)), 7);
	assert_string_equal(to, "nowhere");
	assert_int_equal(fcntl(fd, F_GETFL), O_PATH | O_NOFOLLOW);
	ASSERT_ERR(openat(fd, "x", O_RDONLY), ENOTDIR);
}

static void openat_starts_at_the_directory(void **state)
{
	ASSERT_OK(mkdir("dir", 0755));
	int file = file_make("dir/f", "1");
	int dir = (int)ASSERT_OK(open("dir", O_RDONLY));

	ASSERT_OK(openat(dir, "f", O_RDONLY));
	ASSERT_OK(openat(dir, "../dir/f", O_RDONLY));
	ASSERT_OK(openat(AT_FDCWD, "dir/f", O_RDONLY));
	ASSERT_OK(openat(-1, "/", O_RDONLY));           /* not looked at */
	ASSERT_ERR(openat(dir, "dir", O_RDONLY), ENOENT);
	ASSERT_ERR(openat(file, "f", O_RDONLY), ENOTDIR);
	ASSERT_ERR(openat(-1, "f", O_RDONLY), EBADF);
	ASSERT_ERR(openat(99999, "f", O_RDONLY), EBADF);
	ASSERT_ERR(openat(dir, "", O_RDONLY), ENOENT);
	ASSERT_ERR(openat(-1, "", O_RDONLY), ENOENT);   /* the name before the descriptor */
	ASSERT_ERR(openat(-1, file_bad(), O_RDONLY), EFAULT);
	ASSERT_OK(rename("dir", "moved"));
	ASSERT_OK(openat(dir, "f", O_RDONLY));          /* the directory, not its name */
}

static void tmpfile_has_no_name_until_linked(void **state)
{
	char name[64];
	struct stat st;
	int fd = open(".", O_TMPFILE | O_RDWR, 0640);

	if (fd < 0 && errno == EOPNOTSUPP)
		skip();                                 /* this file system has none */
	ASSERT_OK(fd);
	ASSERT_OK(fstat(fd, &st));
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(write(fd, "tmp", 3), 3);
	assert_int_equal(fcntl(fd, F_GETFL), O_RDWR | O_TMPFILE | RAW_O_LARGEFILE);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ASSERT_OK(linkat(AT_FDCWD, name, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	assert_string_equal(file_text("named"), "tmp");
	ASSERT_OK(fstat(fd, &st));
	assert_int_equal(st.st_nlink, 1);

	fd = (int)ASSERT_OK(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0640));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ASSERT_ERR(linkat(AT_FDCWD, name, AT_FDCWD, "other", AT_SYMLINK_FOLLOW), ENOENT);
	ASSERT_ERR(open(".", O_TMPFILE | O_RDONLY, 0640), EINVAL);
	ASSERT_ERR(open(".", O_TMPFILE | O_RDWR | O_CREAT, 0640), EINVAL);
	ASSERT_ERR(open("named", O_TMPFILE | O_RDWR, 0640), ENOTDIR);
	ASSERT_ERR(open("missing", O_TMPFILE | O_RDWR, 0640), ENOENT);
}

static void a_removed_file_stays_reachable_by_proc(void **state)
{
	char name[64], to[PATH_MAX];
	int fd = file_make("f", "still");

	ASSERT_OK(unlink("f"));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ssize_t n = ASSERT_OK(readlink(name, to, sizeof(to) - 1));
	to[n] = '\0';
	assert_string_equal(to + n - strlen("/f (deleted)"), "/f (deleted)");
	assert_string_equal(file_text(name), "still");
	int again = (int)ASSERT_OK(open(name, O_RDWR)); /* a new description */
	assert_int_equal(read(fd, to, 3), 3);
	assert_int_equal(lseek(again, 0, SEEK_CUR), 0);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lowest_free_descriptor_is_used),
		cmocka_unit_test(the_limit_of_descriptors_is_emfile),
		cmocka_unit_test(creat_makes_a_file_once),
		cmocka_unit_test(creat_follows_a_dangling_link_but_excl_does_not),
		cmocka_unit_test(mode_is_masked_by_umask_and_does_not_bind_the_opener),
		cmocka_unit_test(trunc_empties_whatever_the_access_mode),
		cmocka_unit_test(append_writes_at_the_end_always),
		cmocka_unit_test(access_mode_decides_what_works),
		cmocka_unit_test(getfl_shows_the_flags_that_last),
		cmocka_unit_test(lookup_reports_linux_errors),
		cmocka_unit_test(a_path_may_end_where_memory_ends),
		cmocka_unit_test(forty_links_are_followed_but_not_more),
		cmocka_unit_test(directories_open_for_reading_only),
		cmocka_unit_test(nofollow_refuses_the_last_link_only),
		cmocka_unit_test(path_descriptors_name_but_do_not_act),
		cmocka_unit_test(path_with_nofollow_is_the_link_itself),
		cmocka_unit_test(openat_starts_at_the_directory),
		cmocka_unit_test(tmpfile_has_no_name_until_linked),
		cmocka_unit_test(a_removed_file_stays_reachable_by_proc),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
