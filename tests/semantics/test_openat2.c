/* SPDX-License-Identifier: MIT */
/*
 * openat2(2): the extensible argument (sizes, unknown bits), the strict flag checks open(2) does
 * not make, and each RESOLVE_* restriction with the errors it gives. Plain opening: test_open.c.
 */
#include "tests/lib/file_dir.h"

#include <linux/openat2.h>

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20
#endif

static long openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct open_how how = { .flags = flags, .mode = mode, .resolve = resolve };

	return syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

/* dir/sub/file, and links of all kinds in dir. */
static int make_tree(void)
{
	char proc[64], here[PATH_MAX], target[PATH_MAX + 16];

	ASSERT_OK(mkdir("dir", 0755));
	ASSERT_OK(mkdir("dir/sub", 0755));
	file_put("outside", "outside");
	file_put("dir/file", "dir");
	file_put("dir/sub/file", "sub");
	ASSERT_OK(symlink("sub", "dir/tosub"));
	ASSERT_OK(symlink("../outside", "dir/toout"));
	ASSERT_OK(symlink("/file", "dir/torootfile"));
	assert_non_null(getcwd(here, sizeof(here)));
	snprintf(target, sizeof(target), "%s/dir/file", here);
	ASSERT_OK(symlink(target, "dir/toabs"));
	int fd = (int)ASSERT_OK(open("dir", O_RDONLY | O_DIRECTORY));
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	ASSERT_OK(symlink(proc, "dir/tomagic"));
	return fd;
}

struct resolve_case {
	const char *path;
	uint64_t resolve;
	int err;                        /* 0: works */
	const char *text;               /* then what is read */
};

static void check_cases(int dir, const struct resolve_case *c, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		errno = 0;
		int fd = (int)openat2(dir, c[i].path, O_RDONLY, 0, c[i].resolve);
		int err = fd < 0 ? errno : 0;

		if (err != c[i].err)
			fail_msg("openat2(\"%s\", resolve %#lx): got %s, want %s", c[i].path,
				 (long)c[i].resolve, errno_name(err), errno_name(c[i].err));
		if (fd >= 0 && c[i].text)
			assert_string_equal(file_fd_text(fd), c[i].text);
		if (fd >= 0)
			close(fd);
	}
}

static void the_argument_grows_with_zeroes(void **state)
{
	struct {
		struct open_how how;
		uint64_t more[4];
	} big = { .how = { .flags = O_RDONLY } };
	int dir = make_tree();

	ASSERT_OK(syscall(SYS_openat2, dir, "file", &big, sizeof(big.how)));
	ASSERT_OK(syscall(SYS_openat2, dir, "file", &big, sizeof(big)));
	big.more[3] = 1;
	ASSERT_ERR(syscall(SYS_openat2, dir, "file", &big, sizeof(big)), E2BIG);
	ASSERT_ERR(syscall(SYS_openat2, dir, "file", &big, sizeof(big.how) - 1), EINVAL);
	ASSERT_ERR(syscall(SYS_openat2, dir, "file", &big, 0), EINVAL);
	ASSERT_ERR(syscall(SYS_openat2, dir, "file", &big, FILE_PAGE + 1), E2BIG);
	ASSERT_ERR(syscall(SYS_openat2, dir, "file", file_bad(), sizeof(big.how)), EFAULT);
	ASSERT_ERR(syscall(SYS_openat2, -1, file_bad(), file_bad(), 0), EINVAL);
}

static void unknown_and_contradicting_flags_are_refused(void **state)
{
	int dir = make_tree();

	ASSERT_ERR(openat2(dir, "file", 0x40000000, 0, 0), EINVAL);
	ASSERT_ERR(openat2(dir, "file", 1ULL << 40, 0, 0), EINVAL);
	ASSERT_ERR(openat2(dir, "file", O_RDONLY, 0, 1 << 20), EINVAL);
	ASSERT_ERR(openat2(dir, "file", O_RDONLY, 0644, 0), EINVAL);    /* no O_CREAT */
	ASSERT_ERR(openat2(dir, "new", O_RDWR | O_CREAT, 010644, 0), EINVAL);
	ASSERT_ERR(openat2(dir, "file", O_PATH | O_RDWR, 0, 0), EINVAL);
	ASSERT_ERR(openat2(dir, "file", O_PATH | O_TRUNC, 0, 0), EINVAL);
	ASSERT_ERR(openat2(dir, "file", O_RDONLY, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT), EINVAL);
	ASSERT_ERR(openat2(dir, "new", O_RDWR | O_CREAT, 0644, RESOLVE_CACHED), EAGAIN);
	ASSERT_ERR(openat2(-1, "missing", O_RDONLY, 0, 1 << 20), EINVAL);       /* flags first */
	ASSERT_OK(openat2(dir, "new", O_RDWR | O_CREAT, 0644, 0));
	ASSERT_OK(openat2(dir, "file", O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, 0));
}

static void plain_opening_and_its_errors(void **state)
{
	int dir = make_tree();
	const struct resolve_case c[] = {
		{ "file", 0, 0, "dir" },
		{ "tosub/file", 0, 0, "sub" },
		{ "toout", 0, 0, "outside" },
		{ "toabs", 0, 0, "dir" },
		{ "tomagic/file", 0, 0, "dir" },
		{ "missing", 0, ENOENT, NULL },
		{ "", 0, ENOENT, NULL },
		{ "file/x", 0, ENOTDIR, NULL },
		{ "file", RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS, 0, "dir" },
	};

	check_cases(dir, c, ARRAY_SIZE(c));
	ASSERT_ERR(openat2(-1, "file", O_RDONLY, 0, 0), EBADF);
	ASSERT_ERR(openat2(dir, file_bad(), O_RDONLY, 0, 0), EFAULT);
	int fd = (int)ASSERT_OK(openat2(dir, "file", O_RDWR | O_APPEND | O_CLOEXEC, 0, 0));
	assert_int_equal(fcntl(fd, F_GETFL), O_RDWR | O_APPEND | RAW_O_LARGEFILE);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void beneath_forbids_every_way_out(void **state)
{
	int dir = make_tree();
	const struct resolve_case c[] = {
		{ "file", RESOLVE_BENEATH, 0, "dir" },
		{ ".", RESOLVE_BENEATH, 0, NULL },
		{ "tosub/file", RESOLVE_BENEATH, 0, "sub" },
		{ "sub/../file", RESOLVE_BENEATH, 0, "dir" },
		{ "..", RESOLVE_BENEATH, EXDEV, NULL },
		{ "../dir/file", RESOLVE_BENEATH, EXDEV, NULL },        /* not even to come back */
		{ "sub/../../outside", RESOLVE_BENEATH, EXDEV, NULL },
		{ "/", RESOLVE_BENEATH, EXDEV, NULL },
		{ "toout", RESOLVE_BENEATH, EXDEV, NULL },
		{ "toabs", RESOLVE_BENEATH, EXDEV, NULL },
		{ "tomagic/file", RESOLVE_BENEATH, EXDEV, NULL },
		{ "missing", RESOLVE_BENEATH, ENOENT, NULL },
	};

	check_cases(dir, c, ARRAY_SIZE(c));
	ASSERT_ERR(openat2(dir, "../new", O_RDWR | O_CREAT, 0644, RESOLVE_BENEATH), EXDEV);
	assert_false(file_exists("new"));
}

static void in_root_makes_the_directory_the_root(void **state)
{
	int dir = make_tree();
	const struct resolve_case c[] = {
		{ "/file", RESOLVE_IN_ROOT, 0, "dir" },
		{ "../file", RESOLVE_IN_ROOT, 0, "dir" },
		{ "../../../sub/../../file", RESOLVE_IN_ROOT, 0, "dir" },
		{ "torootfile", RESOLVE_IN_ROOT, 0, "dir" },
		{ "toout", RESOLVE_IN_ROOT, ENOENT, NULL },
		{ "toabs", RESOLVE_IN_ROOT, ENOENT, NULL },
		{ "tomagic", RESOLVE_IN_ROOT, ENOENT, NULL },   /* there is no /proc in there */
		{ "/", RESOLVE_IN_ROOT, 0, NULL },
	};
	struct stat a, b;

	check_cases(dir, c, ARRAY_SIZE(c));
	int fd = (int)ASSERT_OK(openat2(dir, "/..", O_RDONLY, 0, RESOLVE_IN_ROOT));
	ASSERT_OK(fstat(fd, &a));
	ASSERT_OK(fstat(dir, &b));
	assert_int_equal(a.st_ino, b.st_ino);
}

static void links_can_be_forbidden(void **state)
{
	int dir = make_tree();
	const struct resolve_case c[] = {
		{ "tosub", RESOLVE_NO_SYMLINKS, ELOOP, NULL },
		{ "tosub/file", RESOLVE_NO_SYMLINKS, ELOOP, NULL },
		{ "tomagic", RESOLVE_NO_SYMLINKS, ELOOP, NULL },
		{ "sub/file", RESOLVE_NO_SYMLINKS, 0, "sub" },
		{ "tosub/file", RESOLVE_NO_MAGICLINKS, 0, "sub" },
		{ "tomagic/file", RESOLVE_NO_MAGICLINKS, ELOOP, NULL },
		{ "/proc/self/exe", RESOLVE_NO_MAGICLINKS, ELOOP, NULL },
		{ "/proc/self/status", RESOLVE_NO_MAGICLINKS, 0, NULL },
		{ "/proc/self/status", RESOLVE_NO_SYMLINKS, ELOOP, NULL },
	};

	check_cases(dir, c, ARRAY_SIZE(c));
	/* With O_PATH|O_NOFOLLOW the last link is not followed, hence allowed. */
	ASSERT_OK(openat2(dir, "tosub", O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS));
}

static void mounts_can_be_forbidden(void **state)
{
	int dir = make_tree();
	const struct resolve_case c[] = {
		{ "sub/file", RESOLVE_NO_XDEV, 0, "sub" },
		{ "tomagic/file", RESOLVE_NO_XDEV, EXDEV, NULL },
	};

	check_cases(dir, c, ARRAY_SIZE(c));
	int root = (int)ASSERT_OK(open("/", O_RDONLY));
	int proc = (int)ASSERT_OK(open("/proc", O_RDONLY));
	ASSERT_ERR(openat2(root, "proc/version", O_RDONLY, 0, RESOLVE_NO_XDEV), EXDEV);
	ASSERT_ERR(openat2(proc, "..", O_RDONLY, 0, RESOLVE_NO_XDEV), EXDEV);
	ASSERT_OK(openat2(proc, "version", O_RDONLY, 0, RESOLVE_NO_XDEV));
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(the_argument_grows_with_zeroes),
		cmocka_unit_test(unknown_and_contradicting_flags_are_refused),
		cmocka_unit_test(plain_opening_and_its_errors),
		cmocka_unit_test(beneath_forbids_every_way_out),
		cmocka_unit_test(in_root_makes_the_directory_the_root),
		cmocka_unit_test(links_can_be_forbidden),
		cmocka_unit_test(mounts_can_be_forbidden),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
