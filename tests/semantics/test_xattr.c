/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes: the user.* namespace where the file system has it (else every call must say
 * EOPNOTSUPP consistently), sizes and flags, lists, links, the errors that hold everywhere.
 */
#include "tests/lib/file_dir.h"

#include <sys/xattr.h>

static bool supported(const char *name)
{
	if (setxattr(name, "user.probe", "p", 1, 0) == 0) {
		ASSERT_OK(removexattr(name, "user.probe"));
		return true;
	}
	assert_int_equal(errno, EOPNOTSUPP);
	return false;
}

static void where_unsupported_everything_says_so(void **state)
{
	char buf[8];
	int fd = file_make("f", "");

	if (supported("f"))
		skip();
	ASSERT_ERR(setxattr("f", "user.a", "1", 1, 0), EOPNOTSUPP);
	ASSERT_ERR(fsetxattr(fd, "user.a", "1", 1, 0), EOPNOTSUPP);
	ASSERT_ERR(getxattr("f", "user.a", buf, sizeof(buf)), EOPNOTSUPP);
	ASSERT_ERR(removexattr("f", "user.a"), EOPNOTSUPP);
}

static void values_are_set_and_got(void **state)
{
	char buf[16];
	int fd = file_make("f", "");

	if (!supported("f"))
		skip();
	ASSERT_ERR(getxattr("f", "user.a", buf, sizeof(buf)), ENODATA);
	ASSERT_OK(setxattr("f", "user.a", "hello", 5, 0));
	memset(buf, '#', sizeof(buf));
	assert_int_equal(getxattr("f", "user.a", buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "hello#", 6);
	assert_int_equal(getxattr("f", "user.a", NULL, 0), 5);  /* just the size */
	ASSERT_ERR(getxattr("f", "user.a", buf, 4), ERANGE);
	assert_int_equal(fgetxattr(fd, "user.a", buf, 5), 5);
	ASSERT_OK(fsetxattr(fd, "user.a", "ab\0c", 4, 0));      /* any bytes; replaced */
	assert_int_equal(getxattr("f", "user.a", buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "ab\0c", 4);
	ASSERT_OK(setxattr("f", "user.empty", "", 0, 0));
	assert_int_equal(getxattr("f", "user.empty", buf, sizeof(buf)), 0);
	ASSERT_OK(fremovexattr(fd, "user.a"));
	ASSERT_ERR(getxattr("f", "user.a", buf, sizeof(buf)), ENODATA);
	ASSERT_ERR(removexattr("f", "user.a"), ENODATA);
}

static void flags_say_create_or_replace(void **state)
{
	char buf[8];

	file_put("f", "");
	if (!supported("f"))
		skip();
	ASSERT_ERR(setxattr("f", "user.a", "1", 1, XATTR_REPLACE), ENODATA);
	ASSERT_OK(setxattr("f", "user.a", "1", 1, XATTR_CREATE));
	ASSERT_ERR(setxattr("f", "user.a", "2", 1, XATTR_CREATE), EEXIST);
	ASSERT_OK(setxattr("f", "user.a", "3", 1, XATTR_REPLACE));
	ASSERT_ERR(setxattr("f", "user.a", "4", 1, 4), EINVAL);
	assert_int_equal(getxattr("f", "user.a", buf, sizeof(buf)), 1);
	assert_int_equal(buf[0], '3');
}

/* Is the name in this list of strings? */
static bool listed(const char *list, ssize_t size, const char *name)
{
	for (ssize_t at = 0; at < size; at += (ssize_t)strlen(list + at) + 1)
		if (strcmp(list + at, name) == 0)
			return true;
	return false;
}

static void names_are_listed(void **state)
{
	char buf[1024];
	ssize_t before, n;
	int fd = file_make("f", "");

	if (!supported("f"))
		skip();
	before = ASSERT_OK(listxattr("f", NULL, 0));    /* security modules may add some */
	ASSERT_OK(setxattr("f", "user.a", "1", 1, 0));
	ASSERT_OK(setxattr("f", "user.bcd", "1", 1, 0));
	n = ASSERT_OK(listxattr("f", buf, sizeof(buf)));
	assert_int_equal(n, before + 7 + 9);
	assert_true(listed(buf, n, "user.a") && listed(buf, n, "user.bcd"));
	ASSERT_ERR(flistxattr(fd, buf, (size_t)n - 1), ERANGE);
	assert_int_equal(flistxattr(fd, NULL, 0), n);
	ASSERT_OK(rename("f", "g"));                    /* they belong to the file */
	assert_int_equal(listxattr("g", buf, sizeof(buf)), n);
	ASSERT_OK(removexattr("g", "user.a"));
	n = ASSERT_OK(listxattr("g", buf, sizeof(buf)));
	assert_false(listed(buf, n, "user.a"));
	assert_true(listed(buf, n, "user.bcd"));
}

static void names_and_values_have_limits(void **state)
{
	char name[300], *big = file_letters(70000);

	file_put("f", "");
	if (!supported("f"))
		skip();
	snprintf(name, sizeof(name), "user.%0251d", 0);         /* 256 bytes */
	ASSERT_ERR(setxattr("f", name, "1", 1, 0), ERANGE);
	name[255] = '\0';
	ASSERT_OK(setxattr("f", name, "1", 1, 0));
	ASSERT_ERR(setxattr("f", "", "1", 1, 0), ERANGE);
	ASSERT_ERR(setxattr("f", "user.", "1", 1, 0), EINVAL);
	ASSERT_ERR(setxattr("f", "user.b", big, 65537, 0), E2BIG);
	ASSERT_ERR(setxattr("f", "nonsense", "1", 1, 0), EOPNOTSUPP);
	ASSERT_ERR(setxattr("f", "no.such", "1", 1, 0), EOPNOTSUPP);
	ASSERT_ERR(getxattr("f", "no.such", big, 10), EOPNOTSUPP);
	free(big);
}

static void only_files_and_directories_have_user_attributes(void **state)
{
	char buf[8];

	file_put("f", "");
	ASSERT_OK(mkdir("dir", 0755));
	if (!supported("f") || !supported("dir"))
		skip();
	ASSERT_OK(symlink("f", "link"));
	ASSERT_OK(mkfifo("fifo", 0600));
	ASSERT_OK(setxattr("link", "user.a", "1", 1, 0));       /* followed */
	assert_int_equal(getxattr("f", "user.a", buf, sizeof(buf)), 1);
	ASSERT_ERR(lsetxattr("link", "user.a", "1", 1, 0), EPERM);
	ASSERT_ERR(lgetxattr("link", "user.a", buf, sizeof(buf)), ENODATA);
	ASSERT_ERR(setxattr("fifo", "user.a", "1", 1, 0), EPERM);
	ASSERT_ERR(getxattr("fifo", "user.a", buf, sizeof(buf)), ENODATA);
}

static void errors_of_paths_and_descriptors(void **state)
{
	char buf[8];
	int path;

	file_put("f", "");
	path = (int)ASSERT_OK(open("f", O_PATH));
	ASSERT_ERR(setxattr("missing", "user.a", "1", 1, 0), ENOENT);
	ASSERT_ERR(getxattr("missing", "user.a", buf, sizeof(buf)), ENOENT);
	ASSERT_ERR(listxattr("missing", buf, sizeof(buf)), ENOENT);
	ASSERT_ERR(removexattr("f/x", "user.a"), ENOTDIR);
	ASSERT_ERR(fgetxattr(-1, "user.a", buf, sizeof(buf)), EBADF);
	ASSERT_ERR(fsetxattr(path, "user.a", "1", 1, 0), EBADF);
	ASSERT_ERR(flistxattr(-1, buf, sizeof(buf)), EBADF);
	ASSERT_ERR(getxattr(file_bad(), "user.a", buf, sizeof(buf)), EFAULT);
	ASSERT_ERR(getxattr("f", file_bad(), buf, sizeof(buf)), EFAULT);
	ASSERT_ERR(setxattr("f", "user.a", file_bad(), 1, 0), EFAULT);
	ASSERT_ERR(setxattr("missing", "user.a", "1", 1, 4), EINVAL);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(where_unsupported_everything_says_so),
		cmocka_unit_test(values_are_set_and_got),
		cmocka_unit_test(flags_say_create_or_replace),
		cmocka_unit_test(names_are_listed),
		cmocka_unit_test(names_and_values_have_limits),
		cmocka_unit_test(only_files_and_directories_have_user_attributes),
		cmocka_unit_test(errors_of_paths_and_descriptors),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
