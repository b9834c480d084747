/* SPDX-License-Identifier: MIT */
/*
 * /proc/sys: limits that the administrator may change, and that hold at once. Only changed with an argument, in a machine of
 * its own (so not by the native run).
 */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/msg.h>
#include <unistd.h>

static char old[256];

static void get(const char *name, char *buf, size_t size)
{
	int fd = (int)ASSERT_OK(open(name, O_RDONLY));
	ssize_t n = ASSERT_OK(read(fd, buf, size - 1));

	buf[n] = 0;
	close(fd);
}

/* 0 or errno. */
static int put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_TRUNC), err = 0;

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

/* Set if there is an argument: the machine is ours alone, not one where others work. */
static bool change;

static void may_change(const char *name)
{
	get(name, old, sizeof(old));
	if (!change)
		skip();
}

static void a_number_is_what_was_written(void **state)
{
	static const char name[] = "/proc/sys/fs/pipe-max-size";
	char now[64];
	int p[2];

	may_change(name);
	assert_int_equal(put(name, "131072\n"), 0);
	get(name, now, sizeof(now));
	assert_string_equal(now, "131072\n");
	ASSERT_OK(pipe(p));
	ASSERT_OK(fcntl(p[0], F_SETPIPE_SZ, 131072));
	assert_int_equal(put(name, "nonsense"), EINVAL);
	assert_int_equal(put(name, "1x"), EINVAL);
	get(name, now, sizeof(now));
	assert_string_equal(now, "131072\n");
	assert_int_equal(put(name, old), 0);
	close(p[0]);
	close(p[1]);
}

static void queues_are_counted(void **state)
{
	static const char name[] = "/proc/sys/kernel/msgmni", max[] = "/proc/sys/kernel/msgmax";
	struct { long type; char text[64]; } m = { .type = 1 };
	int id;

	may_change(name);
	assert_int_equal(put(name, "0"), 0);
	ASSERT_ERR(msgget(IPC_PRIVATE, 0600), ENOSPC);
	assert_int_equal(put(name, old), 0);
	id = (int)ASSERT_OK(msgget(IPC_PRIVATE, 0600));
	get(max, old, sizeof(old));
	assert_int_equal(put(max, "63"), 0);
	ASSERT_ERR(msgsnd(id, &m, 64, IPC_NOWAIT), EINVAL);
	ASSERT_OK(msgsnd(id, &m, 63, IPC_NOWAIT));
	assert_int_equal(put(max, old), 0);
	ASSERT_OK(msgctl(id, IPC_RMID, NULL));
}

static void inotify_instances_are_counted(void **state)
{
	static const char name[] = "/proc/sys/fs/inotify/max_user_instances";
	int fd;

	may_change(name);
	assert_int_equal(put(name, "0"), 0);
	ASSERT_ERR(inotify_init(), EMFILE);
	assert_int_equal(put(name, old), 0);
	fd = (int)ASSERT_OK(inotify_init());
	close(fd);
}

static void there_is_what_programs_look_for(void **state)
{
	static const char *const names[] = { "net/core/somaxconn", "net/ipv4/ip_local_port_range", "net/ipv4/tcp_rmem", "net/core/wmem_max",
					     "net/ipv6/conf/all/disable_ipv6", "net/ipv6/bindv6only", "vm/max_map_count", "kernel/tainted" };
	char name[128], text[256];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof(name), "/proc/sys/%s", names[i]);
		get(name, text, sizeof(text));
		assert_in_range(text[0], '0', '9');
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_is_what_was_written),
		cmocka_unit_test(queues_are_counted),
		cmocka_unit_test(inotify_instances_are_counted),
		cmocka_unit_test(there_is_what_programs_look_for),
	};

	change = argc > 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
