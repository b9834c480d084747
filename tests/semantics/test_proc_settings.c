/* SPDX-License-Identifier: MIT */
/* The files of /proc/PID that set something: loginuid and sessionid, timerslack_ns, coredump_filter, clear_refs. */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/child.h"
#include "tests/lib/maps.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* 0, or errno. */
static int store(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = errno;
	close(fd);
	return err;
}

static bool shows(const char *path, const char *want)
{
	char got[64];

	return proc_read(path, got, sizeof(got)) > 0 && !strcmp(got, want);
}

#define EXPECT(cond)                 \
	do {                         \
		if (!(cond))         \
			return __LINE__ & 0xff; \
	} while (0)

static int change_filter(void *arg)
{
	const char *path = "/proc/self/coredump_filter";
	pid_t pid;

	EXPECT(store(path, "0x1f\n") == 0 && shows(path, "0000001f\n"));
	EXPECT(store(path, "010") == 0 && shows(path, "00000008\n"));
	EXPECT(store(path, "0xfffff000") == 0 && shows(path, "00000000\n")); /* unknown bits are dropped */
	EXPECT(store(path, "x") == EINVAL && store(path, "3 3") == EINVAL && store(path, "-1") == EINVAL);
	EXPECT(store(path, "0x100000000") == ERANGE);
	EXPECT(store(path, "7") == 0);
	pid = fork();
	if (pid == 0)
		_exit(!shows(path, "00000007\n")); /* inherited */
	EXPECT(child_status(pid) == 0);
	return 0;
}

static void the_coredump_filter_can_be_set(void **state)
{
	assert_int_equal(child_status(child_start(change_filter, NULL)), 0);
}

static int change_slack(void *arg)
{
	const char *path = "/proc/self/timerslack_ns";

	EXPECT(store(path, "77777\n") == 0 && shows(path, "77777\n"));
	EXPECT(prctl(PR_GET_TIMERSLACK) == 77777);
	EXPECT(store(path, "0") == 0 && prctl(PR_GET_TIMERSLACK) == (int)(intptr_t)arg);
	EXPECT(store(path, "many") == EINVAL && store(path, "-1") == EINVAL);
	return 0;
}

static void the_timer_slack_can_be_set(void **state)
{
	void *dflt = (void *)(intptr_t)prctl(PR_GET_TIMERSLACK);

	assert_int_equal(child_status(child_start(change_slack, dflt)), 0);
}

static int become_and_look(void *arg)
{
	char path[64];
	int fd;

	EXPECT(setgid(12345) == 0 && setuid(12345) == 0);
	snprintf(path, sizeof(path), "/proc/%d/timerslack_ns", (int)getppid());
	fd = open(path, O_RDWR);
	EXPECT(fd >= 0); /* all may open it */
	EXPECT(read(fd, path, sizeof(path)) == -1 && errno == EPERM);
	EXPECT(write(fd, "1", 1) == -1 && errno == EPERM);
	return 0;
}

static void anothers_timer_slack_is_for_the_privileged(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(child_status(child_start(become_and_look, NULL)), 0);
}

static int log_in(void *arg)
{
	const char *path = "/proc/self/loginuid";
	char session[32] = "", parent[64];
	pid_t pid;

	EXPECT(store(path, "x") == EINVAL && store(path, "4294967296") == ERANGE);
	snprintf(parent, sizeof(parent), "/proc/%d/loginuid", (int)getppid());
	EXPECT(store(parent, "1000") == EPERM); /* only one's own */
	EXPECT(store(path, "1000\n") == 0 && shows(path, "1000"));
	EXPECT(proc_read("/proc/self/sessionid", session, sizeof(session)) > 0 && strcmp(session, "4294967295"));
	pid = fork();
	if (pid == 0)
		_exit(!(shows(path, "1000") && shows("/proc/self/sessionid", session)));
	EXPECT(child_status(pid) == 0);
	return 0;
}

static void logging_in_begins_a_session(void **state)
{
	if (geteuid() != 0 || !shows("/proc/self/loginuid", "4294967295"))
		skip();
	assert_int_equal(child_status(child_start(log_in, NULL)), 0);
}

static long peak_kb(void)
{
	static char text[8192];

	return proc_read("/proc/self/status", text, sizeof(text)) > 0 ? proc_number(text, "VmHWM") : -1;
}

static void the_peak_of_memory_can_begin_anew(void **state)
{
	char *p = mmap(NULL, 32 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long before, peak, after;

	assert_ptr_not_equal(p, MAP_FAILED);
	before = peak_kb();
	memset(p, 1, 32 * MIB);
	ASSERT_OK(munmap(p, 32 * MIB));
	peak = peak_kb();
	assert_true(peak >= before + 24 * 1024);
	assert_int_equal(store("/proc/self/clear_refs", "5\n"), 0);
	after = peak_kb();
	assert_true(after <= peak - 24 * 1024);
	assert_int_equal(store("/proc/self/clear_refs", "0"), EINVAL);
	assert_int_equal(store("/proc/self/clear_refs", "6"), EINVAL);
	assert_int_equal(store("/proc/self/clear_refs", "five"), EINVAL);
	assert_int_equal(store("/proc/self/clear_refs", "4"), 0);
}

static void what_only_tells_cannot_be_written(void **state)
{
	int fd = open("/proc/self/status", O_WRONLY);

	if (fd < 0) /* without CAP_DAC_OVERRIDE */
		assert_int_equal(errno, EACCES);
	else
		ASSERT_ERR(write(fd, "x", 1), EINVAL);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_coredump_filter_can_be_set),
		cmocka_unit_test(the_timer_slack_can_be_set),
		cmocka_unit_test(anothers_timer_slack_is_for_the_privileged),
		cmocka_unit_test(logging_in_begins_a_session),
		cmocka_unit_test(the_peak_of_memory_can_begin_anew),
		cmocka_unit_test(what_only_tells_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
