/* SPDX-License-Identifier: MIT */
/*
 * inotify(7): which events each operation gives, on the directory and on the file itself, cookies
 * of moves, IN_IGNORED, ONESHOT and MASK_ADD, merging, buffer sizes, blocking, poll, errors.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

static int in;
static char last_events[2048];

static void begin(void)
{
	in = (int)ASSERT_OK(inotify_init1(IN_NONBLOCK));
}

static int watch(const char *path, uint32_t mask)
{
	return (int)ASSERT_OK(inotify_add_watch(in, path, mask));
}

static const char *mask_name(uint32_t mask)
{
	static const char *const names[] = {
		"ACCESS", "MODIFY", "ATTRIB", "CLOSE_WRITE", "CLOSE_NOWRITE", "OPEN", "MOVED_FROM",
		"MOVED_TO", "CREATE", "DELETE", "DELETE_SELF", "MOVE_SELF",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (mask & 1U << i)
			return names[i];
	return mask & IN_IGNORED ? "IGNORED" : mask & IN_Q_OVERFLOW ? "OVERFLOW" : "?";
}

/* All that has happened, as "CREATE:name MODIFY:name ..."; a "/" stands behind directories. */
static const char *events(void)
{
	char buf[4096] __attribute__((aligned(8)));
	ssize_t n;
	size_t len = 0;

	last_events[0] = '\0';
	while ((n = read(in, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + n;) {
			struct inotify_event *e = (void *)p;

			len += (size_t)snprintf(last_events + len, sizeof(last_events) - len,
						"%s%s%s%s%s", len ? " " : "", mask_name(e->mask),
						e->len ? ":" : "", e->len ? e->name : "",
						e->mask & IN_ISDIR ? "/" : "");
			p += sizeof(*e) + e->len;
		}
	return last_events;
}

static void a_directory_tells_of_its_entries(void **state)
{
	begin();
	watch(".", IN_CREATE | IN_DELETE | IN_MOVE | IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE);
	int fd = (int)ASSERT_OK(open("f", O_CREAT | O_RDWR, 0644));
	assert_string_equal(events(), "CREATE:f");
	assert_int_equal(write(fd, "x", 1), 1);
	assert_string_equal(events(), "MODIFY:f");
	ASSERT_OK(fchmod(fd, 0600));
	assert_string_equal(events(), "ATTRIB:f");
	ASSERT_OK(ftruncate(fd, 0));
	assert_string_equal(events(), "MODIFY:f");
	close(fd);
	assert_string_equal(events(), "CLOSE_WRITE:f");
	ASSERT_OK(mkdir("d", 0755));
	assert_string_equal(events(), "CREATE:d/");
	ASSERT_OK(symlink("f", "s"));
	assert_string_equal(events(), "CREATE:s");
	ASSERT_OK(link("f", "h"));
	assert_string_equal(events(), "CREATE:h");      /* ATTRIB is only for f itself */
	ASSERT_OK(rmdir("d"));
	assert_string_equal(events(), "DELETE:d/");
	ASSERT_OK(unlink("s"));
	assert_string_equal(events(), "DELETE:s");
	file_put("d2", "");
	assert_string_equal(events(), "CREATE:d2 CLOSE_WRITE:d2");      /* no bytes, no MODIFY */
	ASSERT_OK(mkdir("deep", 0755));
	ASSERT_OK(mkdir("deep/er", 0755));
	assert_string_equal(events(), "CREATE:deep/");          /* not recursive */
}

static void reading_and_opening_are_told_if_asked_for(void **state)
{
	char c;

	file_put("f", "x");
	begin();
	watch(".", IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE | IN_CLOSE_WRITE);
	int fd = (int)ASSERT_OK(open("f", O_RDONLY));
	assert_string_equal(events(), "OPEN:f");
	assert_int_equal(read(fd, &c, 1), 1);
	assert_string_equal(events(), "ACCESS:f");
	assert_int_equal(read(fd, &c, 0), 0);
	close(fd);
	assert_string_equal(events(), "CLOSE_NOWRITE:f");
	close((int)ASSERT_OK(open("f", O_RDWR)));
	assert_string_equal(events(), "OPEN:f CLOSE_WRITE:f");  /* open for it is enough */
}

static void moves_share_a_cookie(void **state)
{
	char buf[1024] __attribute__((aligned(8)));
	struct inotify_event *from = (void *)buf, *to;
	uint32_t cookie;

	ASSERT_OK(mkdir("a", 0755));
	ASSERT_OK(mkdir("b", 0755));
	file_put("a/f", "");
	begin();
	int wa = watch("a", IN_MOVE | IN_CREATE), wb = watch("b", IN_MOVE | IN_CREATE);
	for (int i = 0; i < 2; i++) {
		cookie = i ? cookie : 0;
		ASSERT_OK(i ? rename("b/g", "a/f") : rename("a/f", "b/g"));
		ssize_t n = ASSERT_OK(read(in, buf, sizeof(buf)));
		to = (void *)(buf + sizeof(*from) + from->len);
		assert_int_equal(n, 2 * sizeof(*from) + from->len + to->len);
		assert_int_equal(from->mask, IN_MOVED_FROM);
		assert_int_equal(to->mask, IN_MOVED_TO);
		assert_int_equal(from->wd, i ? wb : wa);
		assert_int_equal(to->wd, i ? wa : wb);
		assert_string_equal(from->name, i ? "g" : "f");
		assert_string_equal(to->name, i ? "f" : "g");
		assert_int_not_equal(from->cookie, 0);
		assert_int_equal(from->cookie, to->cookie);
		assert_int_not_equal(from->cookie, cookie);     /* another move, another cookie */
		cookie = from->cookie;
	}
	assert_true(wb > wa && wa > 0);
	file_put("a/new", "");
	ssize_t n = ASSERT_OK(read(in, buf, sizeof(buf)));
	assert_int_equal(from->cookie, 0);
	assert_int_equal(from->len % sizeof(*from), 0); /* names are padded */
	assert_int_equal(n, sizeof(*from) + from->len);
}

static void a_file_tells_of_itself(void **state)
{
	int fd = file_make("f", "");

	begin();
	watch("f", IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_string_equal(events(), "MODIFY");        /* no name */
	ASSERT_OK(rename("f", "g"));
	assert_string_equal(events(), "MOVE_SELF");
	ASSERT_OK(unlink("g"));
	assert_string_equal(events(), "ATTRIB");        /* open still: one link less */
	close(fd);
	assert_string_equal(events(), "DELETE_SELF IGNORED");   /* the watch has gone, too */
}

static void a_removed_directory_ends_its_watch(void **state)
{
	begin();
	ASSERT_OK(mkdir("d", 0755));
	int wd = watch("d", IN_DELETE_SELF | IN_CREATE | IN_DELETE);
	watch(".", IN_DELETE);
	file_put("d/f", "");
	ASSERT_OK(unlink("d/f"));
	assert_string_equal(events(), "CREATE:f DELETE:f");
	ASSERT_OK(rmdir("d"));
	const char *e = events();
	assert_true(strcmp(e, "DELETE_SELF IGNORED DELETE:d/") == 0 ||
		    strcmp(e, "DELETE:d/ DELETE_SELF IGNORED") == 0);
	ASSERT_ERR(inotify_rm_watch(in, wd), EINVAL);
}

static void removing_a_watch_says_ignored(void **state)
{
	begin();
	int wd = watch(".", IN_CREATE);
	file_put("a", "");
	ASSERT_OK(inotify_rm_watch(in, wd));
	file_put("b", "");
	assert_string_equal(events(), "CREATE:a IGNORED");
	ASSERT_ERR(inotify_rm_watch(in, wd), EINVAL);
	assert_true(watch(".", IN_CREATE) != wd);       /* numbers are not used again soon */
}

static void adding_again_replaces_or_adds_to_the_mask(void **state)
{
	begin();
	int wd = watch(".", IN_CREATE);
	assert_int_equal(watch(".", IN_DELETE), wd);
	file_put("f", "");
	ASSERT_OK(unlink("f"));
	assert_string_equal(events(), "DELETE:f");
	assert_int_equal(watch(".", IN_CREATE | IN_MASK_ADD), wd);
	file_put("f", "");
	ASSERT_OK(unlink("f"));
	assert_string_equal(events(), "CREATE:f DELETE:f");
	ASSERT_ERR(inotify_add_watch(in, ".", IN_CREATE | IN_MASK_CREATE), EEXIST);
	ASSERT_ERR(inotify_add_watch(in, ".", IN_CREATE | IN_MASK_CREATE | IN_MASK_ADD), EINVAL);
}

static void oneshot_and_onlydir_and_dont_follow(void **state)
{
	file_put("f", "");
	ASSERT_OK(mkdir("d", 0755));
	ASSERT_OK(symlink("d", "s"));
	begin();
	watch("d", IN_CREATE | IN_ONESHOT);
	file_put("d/a", "");
	file_put("d/b", "");
	assert_string_equal(events(), "CREATE:a IGNORED");
	ASSERT_ERR(inotify_add_watch(in, "f", IN_MODIFY | IN_ONLYDIR), ENOTDIR);
	int wd = watch("s", IN_CREATE);
	assert_int_equal(watch("d", IN_CREATE), wd);    /* followed */
	assert_true(watch("s", IN_CREATE | IN_DONT_FOLLOW) != wd);
}

static void equal_events_in_a_row_are_one(void **state)
{
	int fd = file_make("f", "");

	begin();
	watch(".", IN_MODIFY | IN_ATTRIB);
	for (int i = 0; i < 5; i++)
		assert_int_equal(write(fd, "x", 1), 1);
	assert_string_equal(events(), "MODIFY:f");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(write(fd, "x", 1), 1);
		ASSERT_OK(fchmod(fd, 0600));
	}
	assert_string_equal(events(), "MODIFY:f ATTRIB:f MODIFY:f ATTRIB:f");
}

static void buffers_must_hold_an_event(void **state)
{
	char buf[64] __attribute__((aligned(8)));
	struct pollfd p;
	int n = -1;

	begin();
	p = (struct pollfd){ in, POLLIN, 0 };
	watch(".", IN_CREATE);
	ASSERT_ERR(read(in, buf, 8), EAGAIN);
	assert_int_equal(poll(&p, 1, 0), 0);
	file_put("a", "");
	file_put("b", "");
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLIN);
	ASSERT_OK(ioctl(in, FIONREAD, &n));
	assert_int_equal(n, 64);                        /* two of 16 + 16 */
	ASSERT_ERR(read(in, buf, 16), EINVAL);
	assert_int_equal(read(in, buf, 33), 32);        /* whole ones only */
	assert_int_equal(read(in, buf, 64), 32);
	ASSERT_ERR(read(in, buf, 64), EAGAIN);
	ASSERT_ERR(write(in, buf, 1), EBADF);
}

static long bg_read(void *arg)
{
	char buf[256];

	return read(*(int *)arg, buf, sizeof(buf));
}

static void readers_wait(void **state)
{
	struct bg bg;

	in = (int)ASSERT_OK(inotify_init());
	watch(".", IN_CREATE);
	bg_start(&bg, bg_read, &in);
	assert_true(bg_blocks(&bg));
	file_put("f", "");
	assert_int_equal(bg_end(&bg), 32);
}

static void errors_are_reported(void **state)
{
	int p[2];

	begin();
	ASSERT_OK(pipe(p));
	assert_int_equal(fcntl(in, F_GETFL), O_RDONLY | O_NONBLOCK);
	assert_int_equal(fcntl((int)ASSERT_OK(inotify_init1(IN_CLOEXEC)), F_GETFD), FD_CLOEXEC);
	ASSERT_ERR(inotify_init1(4), EINVAL);
	ASSERT_ERR(inotify_add_watch(in, "missing", IN_CREATE), ENOENT);
	ASSERT_ERR(inotify_add_watch(in, ".", 0), EINVAL);
	ASSERT_ERR(inotify_add_watch(in, file_bad(), IN_CREATE), EFAULT);
	ASSERT_ERR(inotify_add_watch(-1, ".", IN_CREATE), EBADF);
	ASSERT_ERR(inotify_add_watch(p[0], ".", IN_CREATE), EINVAL);
	ASSERT_ERR(inotify_rm_watch(in, 77), EINVAL);
	ASSERT_ERR(inotify_rm_watch(-1, 1), EBADF);
	ASSERT_ERR(inotify_rm_watch(p[0], 1), EINVAL);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(a_directory_tells_of_its_entries),
		cmocka_unit_test(reading_and_opening_are_told_if_asked_for),
		cmocka_unit_test(moves_share_a_cookie),
		cmocka_unit_test(a_file_tells_of_itself),
		cmocka_unit_test(a_removed_directory_ends_its_watch),
		cmocka_unit_test(removing_a_watch_says_ignored),
		cmocka_unit_test(adding_again_replaces_or_adds_to_the_mask),
		cmocka_unit_test(oneshot_and_onlydir_and_dont_follow),
		cmocka_unit_test(equal_events_in_a_row_are_one),
		cmocka_unit_test(buffers_must_hold_an_event),
		cmocka_unit_test(readers_wait),
		cmocka_unit_test(errors_are_reported),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
