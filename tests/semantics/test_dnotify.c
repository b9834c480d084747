/* SPDX-License-Identifier: MIT */
/* Signals about changes in a directory: fcntl(2), F_NOTIFY. */
#include "tests/lib/child.h"
#include "tests/lib/file_dir.h"
#include "tests/lib/sigwait.h"

#define SIG (SIGRTMIN + 3)

static int watched(unsigned events)
{
	int dir = (int)ASSERT_OK(open(".", O_RDONLY));

	sig_drain(SIG);
	ASSERT_OK(fcntl(dir, F_SETSIG, SIG));
	if (fcntl(dir, F_NOTIFY, events) == -1) {
		assert_int_equal(errno, EINVAL);        /* a kernel without dnotify */
		skip();
	}
	return dir;
}

static void it_says_which_directory_and_that_it_is_a_message(void **state)
{
	int dir = watched(DN_CREATE);

	assert_int_equal(fcntl(dir, F_GETOWN), getpid());
	file_put("a", "");
	SIG_EXPECT(SIG, dir, POLL_MSG, MSG_BAND);
	file_put("b", "");
	assert_true(sig_none(SIG));                     /* once */
}

static void multishot_stays(void **state)
{
	watched(DN_CREATE | DN_MULTISHOT);
	file_put("a", "");
	file_put("b", "");
	ASSERT_OK(mkdir("c", 0700));
	assert_int_equal(sig_drain(SIG), 3);
}

static void each_kind_is_told_to_who_asked(void **state)
{
	const struct { const char *what; unsigned events; int n; } c[] = {
		{ "access", DN_ACCESS, 1 }, { "modify", DN_MODIFY, 2 }, { "create", DN_CREATE, 2 }, { "delete", DN_DELETE, 2 },
		{ "rename", DN_RENAME, 1 }, { "attrib", DN_ATTRIB, 1 },
	};
	char b;

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		int dir = watched(c[i].events | DN_MULTISHOT), n, fd = (int)ASSERT_OK(open("f", O_RDWR | O_CREAT | O_EXCL, 0600));

		assert_int_equal(write(fd, "x", 1), 1);
		assert_int_equal(pread(fd, &b, 1, 0), 1);
		ASSERT_OK(ftruncate(fd, 0));
		ASSERT_OK(chmod("f", 0644));
		close(fd);
		ASSERT_OK(rename("f", "g"));
		ASSERT_OK(unlink("g"));
		n = sig_drain(SIG);
		if (n != c[i].n)
			fail_msg("%s: %d signals, want %d", c[i].what, n, c[i].n);
		close(dir);
	}
}

static void moving_between_directories_is_deleting_and_creating(void **state)
{
	int dir;

	ASSERT_OK(mkdir("sub", 0700));
	file_put("f", "");
	dir = watched(DN_RENAME | DN_MULTISHOT);
	ASSERT_OK(rename("f", "sub/f"));
	assert_true(sig_none(SIG));
	ASSERT_OK(fcntl(dir, F_NOTIFY, DN_DELETE | DN_MULTISHOT));
	ASSERT_OK(fcntl(dir, F_NOTIFY, DN_CREATE | DN_MULTISHOT)); /* comes on top */
	ASSERT_OK(rename("sub/f", "f"));
	assert_int_equal(sig_drain(SIG), 1);
	ASSERT_OK(rename("f", "sub/f"));
	assert_int_equal(sig_drain(SIG), 1);
	ASSERT_OK(unlink("sub/f"));
	assert_true(sig_none(SIG));                     /* of the directory itself, not below */
}

static void it_ends_when_asked_and_with_any_descriptor(void **state)
{
	int dir = watched(DN_CREATE | DN_MULTISHOT);

	ASSERT_OK(fcntl(dir, F_NOTIFY, 0));
	file_put("a", "");
	assert_true(sig_none(SIG));
	ASSERT_OK(fcntl(dir, F_NOTIFY, DN_CREATE | DN_MULTISHOT));
	file_put("b", "");
	assert_int_equal(sig_drain(SIG), 1);
	close((int)ASSERT_OK(dup(dir)));                /* dnotify_flush() at each close */
	file_put("c", "");
	assert_true(sig_none(SIG));
}

static int create(void *arg)
{
	int fd = open("new", O_CREAT | O_WRONLY, 0600);

	CHECK(fd >= 0);
	return 0;
}

static void other_processes_are_seen(void **state)
{
	int dir = watched(DN_CREATE | DN_MULTISHOT);

	IN_CHILD(create, NULL);
	SIG_EXPECT(SIG, dir, POLL_MSG, MSG_BAND);
}

static void only_directories_can(void **state)
{
	int fd = file_make("f", "");

	watched(DN_CREATE);
	ASSERT_ERR(fcntl(fd, F_NOTIFY, DN_CREATE), ENOTDIR);
	ASSERT_OK(fcntl(fd, F_NOTIFY, 0));              /* the end of nothing */
	ASSERT_OK(fcntl(fd, F_NOTIFY, DN_MULTISHOT));
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(it_says_which_directory_and_that_it_is_a_message),
		cmocka_unit_test(multishot_stays),
		cmocka_unit_test(each_kind_is_told_to_who_asked),
		cmocka_unit_test(moving_between_directories_is_deleting_and_creating),
		cmocka_unit_test(it_ends_when_asked_and_with_any_descriptor),
		cmocka_unit_test(other_processes_are_seen),
		cmocka_unit_test(only_directories_can),
	};

	sig_block(SIG);
	return FILE_RUN_EVERYWHERE(tests);
}
