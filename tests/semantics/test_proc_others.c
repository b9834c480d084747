/* SPDX-License-Identifier: MIT */
/* /proc/PID of others: what it says of a sleeping, a stopped, a dead one; its relations; what a user may read of another's. */
#include "tests/lib/trace.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define LINE 4096

/* --- contents ------------------------------------------------------------------------------------------- */

static const char *slurp(pid_t pid, const char *name)
{
	static char buf[LINE];
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = (int)ASSERT_OK(open(path, O_RDONLY));
	n = ASSERT_OK(read(fd, buf, sizeof(buf) - 1));
	buf[n] = '\0';
	close(fd);
	return buf;
}

/* The n-th field of stat, counted as in proc(5): 3 is the state. */
static long long stat_field(pid_t pid, int n)
{
	const char *p = strrchr(slurp(pid, "stat"), ')') + 2;

	if (n == 3)
		return *p;
	for (int i = 3; i < n; i++)
		p = strchr(p, ' ') + 1;
	return strtoll(p, NULL, 10);
}

static void states_are_letters(void **state)
{
	pid_t pid = free_child(loop);
	char word[16];

	sleeps_now(pid);
	assert_int_equal(stat_field(pid, 3), 'S');
	assert_int_equal(stat_field(pid, 4), getpid());
	assert_int_equal(stat_field(pid, 20), 1);
	kill(pid, SIGSTOP);
	waitpid(pid, NULL, WUNTRACED);
	assert_int_equal(stat_field(pid, 3), 'T');
	kill(pid, SIGKILL);
	siginfo_t info;
	ASSERT_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
	assert_int_equal(stat_field(pid, 3), 'Z');
	assert_int_equal(stat_field(pid, 23), 0); /* no memory */
	assert_string_equal(slurp(pid, "cmdline"), "");
	assert_string_equal(slurp(pid, "maps"), "");
	proc_status(pid, "VmSize", word, sizeof(word));
	assert_string_equal(word, "");
	proc_status(pid, "State", word, sizeof(word));
	assert_string_equal(word, "Z");
	end_child(pid);
	snprintf(word, sizeof(word), "/proc/%d", pid);
	ASSERT_ERR(access(word, F_OK), ENOENT);
}

static void an_open_file_outlives_its_process(void **state)
{
	pid_t pid = free_child(loop);
	char path[64], buf[64];
	int status, dir, cmdline;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = (int)ASSERT_OK(open(path, O_RDONLY));
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	cmdline = (int)ASSERT_OK(open(path, O_RDONLY));
	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = (int)ASSERT_OK(open(path, O_RDONLY | O_DIRECTORY));
	end_child(pid);
	ASSERT_ERR(read(status, buf, sizeof(buf)), ESRCH);
	ASSERT_ERR(read(cmdline, buf, sizeof(buf)), ESRCH);
	ASSERT_ERR(openat(dir, "status", O_RDONLY), ESRCH);
	close(status);
	close(cmdline);
	close(dir);
}

static int read_a_pipe(void)
{
	int p[2];
	char buf[17];

	if (pipe(p) < 0 || dup2(p[0], 100) < 0)
		return 1;
	return (int)read(100, buf, sizeof(buf));
}

static void syscall_shows_the_call(void **state)
{
	pid_t pid = free_child(read_a_pipe);
	unsigned long nr, a[6], sp, ip;

	sleeps_now(pid);
	assert_int_equal(sscanf(slurp(pid, "syscall"), "%lu %lx %lx %lx %lx %lx %lx %lx %lx", &nr, &a[0], &a[1], &a[2], &a[3], &a[4],
				&a[5], &sp, &ip), 9);
	assert_int_equal(nr, SYS_read);
	assert_int_equal(a[0], 100);
	assert_int_equal(a[2], 17);
	assert_true(sp && ip);
	end_child(pid);
}

static void sched_and_oom_files(void **state)
{
	pid_t pid = free_child(loop);
	unsigned long long ran, waited, slices;
	char path[64], head[64];
	int fd, score;

	snprintf(head, sizeof(head), "(%d, #threads: 1)", pid);
	assert_non_null(strstr(slurp(pid, "sched"), head));
	assert_non_null(strstr(slurp(pid, "sched"), "\nprio "));
	assert_int_equal(sscanf(slurp(pid, "schedstat"), "%llu %llu %llu", &ran, &waited, &slices), 3);
	assert_true(ran > 0);
	score = atoi(slurp(pid, "oom_score"));
	assert_in_range(score, 600, 700);
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	fd = (int)ASSERT_OK(open(path, O_RDWR));
	assert_int_equal(write(fd, "500\n", 4), 4);
	ASSERT_ERR(write(fd, "1001", 4), EINVAL);
	ASSERT_ERR(write(fd, "x", 1), EINVAL);
	close(fd);
	assert_string_equal(slurp(pid, "oom_score_adj"), "500\n");
	assert_string_equal(slurp(pid, "oom_adj"), "8\n");
	assert_true(atoi(slurp(pid, "oom_score")) > score + 300);
	end_child(pid);
}

static void namespaces_are_links(void **state)
{
	static const char *const kinds[] = { "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts" };
	static const int types[] = { CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID, 0x80, CLONE_NEWUSER, CLONE_NEWUTS };
	pid_t pid = free_child(loop);
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		char path[64], text[64] = "", same[64] = "";
		struct stat st;
		unsigned long long ino;

		snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kinds[i]);
		assert_true(ASSERT_OK(readlink(path, text, sizeof(text) - 1)) > 0);
		assert_int_equal(sscanf(strchr(text, '['), "[%llu]", &ino), 1);
		ASSERT_OK(stat(path, &st));
		assert_int_equal(st.st_ino, ino);
		assert_true(S_ISREG(st.st_mode));
		fd = (int)ASSERT_OK(open(path, O_RDONLY));
		ASSERT_OK(fstat(fd, &st));
		assert_int_equal(st.st_ino, ino);
		ASSERT_ERR(read(fd, same, 1), EINVAL);
		assert_int_equal(ioctl(fd, NS_GET_NSTYPE), types[i]);
		ASSERT_ERR(ioctl(fd, 0x1234), ENOTTY);
		close(fd);
		snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
		assert_true(ASSERT_OK(readlink(path, same, sizeof(same) - 1)) > 0);
		assert_string_equal(text, same);
	}
	end_child(pid);
}

static void sleeping_is_counted(void **state)
{
	pid_t pid = free_child(loop);
	char before[32], after[32];

	sleeps_now(pid);
	proc_status(pid, "voluntary_ctxt_switches", before, sizeof(before));
	for (int i = 0; i < 5; i++) {
		kill(pid, SIGCONT); /* nothing to do, but awake */
		kill(pid, SIGSTOP);
		waitpid(pid, NULL, WUNTRACED);
	}
	proc_status(pid, "voluntary_ctxt_switches", after, sizeof(after));
	assert_true(atoi(after) >= atoi(before) + 4);
	end_child(pid);
}

static void its_directory_names_it_for_signals(void **state)
{
	pid_t pid = free_child(loop);
	char path[64];
	int dir, file;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = (int)ASSERT_OK(open(path, O_RDONLY | O_DIRECTORY));
	file = (int)ASSERT_OK(open("/proc/self/status", O_RDONLY));
	ASSERT_OK(syscall(SYS_pidfd_send_signal, dir, 0, NULL, 0));
	ASSERT_ERR(syscall(SYS_pidfd_send_signal, file, 0, NULL, 0), EBADF);
	ASSERT_OK(syscall(SYS_pidfd_send_signal, dir, SIGTERM, NULL, 0));
	WAIT_FOR(pid, SIGTERM);
	ASSERT_ERR(syscall(SYS_pidfd_send_signal, dir, SIGTERM, NULL, 0), ESRCH);
	close(dir);
	close(file);
}

/* --- who may -------------------------------------------------------------------------------------------- */

static int open_as(uid_t uid, pid_t pid, const char *name)
{
	char path[64], buf[64];
	pid_t other = fork();
	int status;

	if (other == 0) {
		int fd;

		if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
			_exit(99);
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
		if (!strcmp(name, "exe") || !strcmp(name, "cwd") || !strcmp(name, "root"))
			_exit(readlink(path, buf, sizeof(buf)) < 0 ? errno : 0);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			_exit(errno);
		_exit(strcmp(name, "mem") && read(fd, buf, sizeof(buf)) < 0 && errno != EISDIR ? 100 + errno : 0);
	}
	waitpid(other, &status, 0);
	return WEXITSTATUS(status);
}

static void others_may_not_look_at_everything(void **state)
{
	static const struct { const char *name; int err; } files[] = {
		{ "stat", 0 }, { "status", 0 }, { "cmdline", 0 }, { "comm", 0 }, { "limits", 0 }, { "statm", 0 }, { "mountinfo", 0 },
		{ "wchan", 0 }, { "environ", EACCES }, { "auxv", EACCES }, { "maps", EACCES }, { "smaps", EACCES }, { "mem", EACCES },
		{ "fd", EACCES }, { "exe", EACCES }, { "cwd", EACCES }, { "root", EACCES }, { "io", EACCES }, { "syscall", EACCES },
		{ "personality", EACCES }, { "fdinfo", EACCES }, { "oom_score", 0 }, { "cgroup", 0 },
	};
	pid_t his, hidden;

	if (getuid() != 0)
		skip();
	his = free_child(loop_as_1234);
	hidden = free_child(loop_undumpable);
	sleeps_now(his);
	sleeps_now(hidden);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int err = open_as(1235, his, files[i].name), own = open_as(1234, his, files[i].name);

		if (err != files[i].err || own != 0)
			fail_msg("%s: other %d (want %d), same user %d", files[i].name, err, files[i].err, own);
	}
	assert_int_equal(open_as(1234, hidden, "maps"), EACCES);
	assert_int_equal(open_as(1234, hidden, "environ"), EACCES);
	end_child(his);
	end_child(hidden);
}

static int open_own_descriptor(void)
{
	char buf[64];
	int fd;

	if (setresgid(1234, 1234, 1234) < 0 || setresuid(1234, 1234, 1234) < 0 || dup2(open("/dev/null", O_RDWR), 50) < 0)
		return 99;
	fd = open("/proc/self/fd/50", O_WRONLY);
	if (fd < 0 || readlink("/proc/self/fd/50", buf, sizeof(buf)) < 0)
		return 1;
	return open("/proc/self/environ", O_RDONLY) < 0 && errno == EACCES ? 0 : 2;
}

static void ones_own_descriptors_are_ones_own(void **state)
{
	pid_t pid;

	if (getuid() != 0)
		skip();
	pid = free_child(open_own_descriptor);
	WAIT_FOR(pid, EXITED(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_are_letters),
		cmocka_unit_test(an_open_file_outlives_its_process),
		cmocka_unit_test(syscall_shows_the_call),
		cmocka_unit_test(sched_and_oom_files),
		cmocka_unit_test(namespaces_are_links),
		cmocka_unit_test(sleeping_is_counted),
		cmocka_unit_test(its_directory_names_it_for_signals),
		cmocka_unit_test(others_may_not_look_at_everything),
		cmocka_unit_test(ones_own_descriptors_are_ones_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
