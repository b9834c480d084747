/* SPDX-License-Identifier: MIT */
/*
 * Who a process is: set*id(2) and what becomes of the saved and file system ids, groups, who may signal and change whom,
 * set-id programs, what no_new_privs takes from them. Most cases need root to begin with and are skipped without.
 */
#include "tests/lib/cmocka_all.h"

#include <elf.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define U 4242
#define V 4343

/* What fn says in a child: 0 is well. */
static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}
#define EXPECT(fn) assert_int_equal(in_child(fn), 0)
#define CHECK(cond) do { if (!(cond)) return __LINE__ % 250 + 1; } while (0)
#define FAILS(call, e) (errno = 0, (call) == -1 && errno == (e))

static bool uids(uid_t r, uid_t e, uid_t s)
{
	uid_t ru, eu, su;

	return getresuid(&ru, &eu, &su) == 0 && ru == r && eu == e && su == s;
}

static bool gids(gid_t r, gid_t e, gid_t s)
{
	gid_t rg, eg, sg;

	return getresgid(&rg, &eg, &sg) == 0 && rg == r && eg == e && sg == s;
}

/* The system calls themselves: libc's wrappers change all threads. */
static long raw(long nr, long a, long b, long c) { return syscall(nr, a, b, c); }

static void need_root(void)
{
	if (geteuid() != 0 || getuid() != 0)
		skip();
}

/* --- user ids ------------------------------------------------------------------------------------------------- */

static int check_setuid(void)
{
	CHECK(setuid(U) == 0 && uids(U, U, U));
	CHECK(FAILS(setuid(0), EPERM) && FAILS(seteuid(V), EPERM) && FAILS(setuid((uid_t)-1), EINVAL));
	CHECK(setuid(U) == 0 && setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1) == 0);
	return 0;
}

static int check_seteuid(void)
{
	CHECK(seteuid(U) == 0 && uids(0, U, 0));
	CHECK(raw(SYS_setfsuid, -1, 0, 0) == U);
	CHECK(FAILS(setuid(V), EPERM));
	CHECK(setuid(0) == 0 && uids(0, 0, 0));
	CHECK(seteuid(U) == 0 && FAILS(setuid(U), EPERM)); /* neither the real nor the saved one */
	CHECK(setreuid(U, (uid_t)-1) == 0 && uids(U, U, U));
	CHECK(FAILS(seteuid(0), EPERM));
	return 0;
}

static int check_setreuid(void)
{
	CHECK(setreuid(U, V) == 0 && uids(U, V, V));
	CHECK(setreuid(V, U) == 0 && uids(V, U, U)); /* swapping */
	CHECK(setreuid((uid_t)-1, V) == 0 && uids(V, V, U));
	CHECK(FAILS(setreuid(0, (uid_t)-1), EPERM) && FAILS(setreuid((uid_t)-1, 0), EPERM));
	CHECK(FAILS(setreuid(U, (uid_t)-1), EPERM)); /* the saved one is not for the real one */
	return 0;
}

static int check_setresuid(void)
{
	CHECK(setresuid(1, 2, 3) == 0 && uids(1, 2, 3));
	CHECK(setresuid(3, 1, 2) == 0 && uids(3, 1, 2));
	CHECK(FAILS(setresuid(4, (uid_t)-1, (uid_t)-1), EPERM));
	CHECK(setresuid((uid_t)-1, 2, (uid_t)-1) == 0 && uids(3, 2, 2));
	CHECK(FAILS(setresuid((uid_t)-1, 1, (uid_t)-1), EPERM)); /* gone */
	return 0;
}

static void user_ids(void **state)
{
	need_root();
	EXPECT(check_setuid);
	EXPECT(check_seteuid);
	EXPECT(check_setreuid);
	EXPECT(check_setresuid);
}

static int check_gids(void)
{
	CHECK(setgid(U) == 0 && gids(U, U, U));
	CHECK(setresgid(1, 2, 3) == 0 && gids(1, 2, 3));
	CHECK(setregid((gid_t)-1, 1) == 0 && gids(1, 1, 3));
	CHECK(setregid(2, 4) == 0 && gids(2, 4, 4));
	CHECK(setuid(U) == 0); /* keeps groups, loses the right */
	CHECK(gids(2, 4, 4) && FAILS(setgid(7), EPERM) && setgid(2) == 0 && gids(2, 2, 4));
	CHECK(FAILS(setgroups(0, NULL), EPERM) && FAILS(setgid((gid_t)-1), EINVAL));
	return 0;
}

static int check_groups(void)
{
	gid_t set[5] = { 50, 10, 40, 10, 30 }, got[10];

	CHECK(setgroups(5, set) == 0);
	CHECK(getgroups(0, NULL) == 5);
	CHECK(getgroups(10, got) == 5);
	CHECK(got[0] == 10 && got[1] == 10 && got[4] == 50);
	CHECK(FAILS(getgroups(4, got), EINVAL) && FAILS(raw(SYS_getgroups, -1, (long)got, 0), EINVAL));
	CHECK(FAILS(raw(SYS_setgroups, 65537, (long)set, 0), EINVAL) && FAILS(raw(SYS_setgroups, 5, 8, 0), EFAULT));
	CHECK(setgroups(0, NULL) == 0 && getgroups(10, got) == 0);
	return 0;
}

static void group_ids(void **state)
{
	need_root();
	EXPECT(check_gids);
	EXPECT(check_groups);
}

/* --- file system ids ------------------------------------------------------------------------------------------- */

static int check_fsuid(void)
{
	struct stat st;
	int fd;

	CHECK(raw(SYS_setfsgid, V, 0, 0) == 0 && raw(SYS_setfsgid, -1, 0, 0) == V);
	CHECK(setresuid((uid_t)-1, (uid_t)-1, 0) == 0);
	CHECK(raw(SYS_setfsgid, -1, 0, 0) == V); /* user ids leave it alone */
	CHECK(raw(SYS_setfsuid, U, 0, 0) == 0 && raw(SYS_setfsuid, -1, 0, 0) == U);
	CHECK(geteuid() == 0);
	CHECK(chmod(".", 0777) == 0 || errno == EPERM);
	fd = open("made", O_CREAT | O_RDWR | O_EXCL, 0600);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == U && st.st_gid == V);
	CHECK(FAILS(open("roots", O_RDONLY), EACCES)); /* capabilities about files are gone with it */
	CHECK(setfsuid(0) == U);
	CHECK(open("roots", O_RDONLY) >= 0);
	CHECK(unlink("made") == 0);
	CHECK(seteuid(U) == 0 && raw(SYS_setfsuid, -1, 0, 0) == U);
	CHECK(raw(SYS_setfsuid, V, 0, 0) == U && raw(SYS_setfsuid, -1, 0, 0) == U); /* refused in silence */
	CHECK(raw(SYS_setfsuid, 0, 0, 0) == U && raw(SYS_setfsuid, -1, 0, 0) == 0); /* the saved id */
	return 0;
}

static void file_system_ids(void **state)
{
	int fd;

	need_root();
	ASSERT_OK(chmod(".", 0777));
	fd = (int)ASSERT_OK(open("roots", O_CREAT | O_RDWR, 0600));
	close(fd);
	EXPECT(check_fsuid);
	ASSERT_OK(unlink("roots"));
}

/* --- upon others ------------------------------------------------------------------------------------------------ */

static pid_t sleeper(uid_t uid)
{
	int ready[2];
	pid_t pid;
	char c;

	ASSERT_OK(pipe(ready));
	pid = fork();
	if (pid == 0) {
		if (uid)
			_exit(setuid(uid) || write(ready[1], "x", 1) != 1 || pause());
		_exit(write(ready[1], "x", 1) != 1 || pause());
	}
	ASSERT_OK(read(ready[0], &c, 1));
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

static pid_t roots, mine, theirs;

static int check_others(void)
{
	struct rlimit lim;
	char path[64];

	CHECK(setresuid(U, U, U) == 0);
	CHECK(FAILS(kill(roots, 0), EPERM) && FAILS(kill(theirs, SIGTERM), EPERM) && kill(mine, 0) == 0);
	CHECK(FAILS(kill(1 << 21, 0), ESRCH));
	CHECK(FAILS(setpriority(PRIO_PROCESS, (id_t)roots, 5), EPERM) && FAILS(setpriority(PRIO_PROCESS, (id_t)theirs, 5), EPERM));
	CHECK(setpriority(PRIO_PROCESS, (id_t)mine, 5) == 0);
	CHECK(FAILS(setpriority(PRIO_PROCESS, (id_t)mine, 4), EACCES)); /* nicer only */
	CHECK(FAILS(prlimit(theirs, RLIMIT_NOFILE, NULL, &lim), EPERM) && prlimit(mine, RLIMIT_NOFILE, NULL, &lim) == 0);
	CHECK(getrlimit(RLIMIT_CORE, &lim) == 0);
	lim.rlim_cur = 0;
	lim.rlim_max = 1000;
	CHECK(setrlimit(RLIMIT_CORE, &lim) == 0);
	lim.rlim_max = 1001;
	CHECK(FAILS(setrlimit(RLIMIT_CORE, &lim), EPERM));
	snprintf(path, sizeof(path), "/proc/%d/environ", roots);
	CHECK(FAILS(open(path, O_RDONLY), EACCES));
	CHECK(FAILS(chroot("/"), EPERM) && FAILS(sethostname("x", 1), EPERM));
	CHECK(FAILS(syscall(SYS_clock_settime, CLOCK_REALTIME, &(struct timespec){ 1, 0 }), EPERM));
	return 0;
}

static void others_are_out_of_reach(void **state)
{
	need_root();
	roots = sleeper(0);
	mine = sleeper(U);
	theirs = sleeper(V);
	EXPECT(check_others);
	end(roots);
	end(mine);
	end(theirs);
}

static int check_dumpable(void)
{
	CHECK(prctl(PR_GET_DUMPABLE) == 1);
	CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR2) == 0);
	CHECK(setgroups(0, NULL) == 0 && prctl(PR_GET_DUMPABLE) == 1);
	CHECK(setresuid(U, U, U) == 0 && prctl(PR_GET_DUMPABLE) == 0);
	int sig = -1;
	CHECK(prctl(PR_GET_PDEATHSIG, &sig) == 0 && sig == 0);
	CHECK(prctl(PR_SET_DUMPABLE, 1) == 0 && prctl(PR_GET_DUMPABLE) == 1);
	CHECK(FAILS(prctl(PR_SET_DUMPABLE, 2), EINVAL));
	return 0;
}

static void changes_close_it_to_others(void **state)
{
	need_root();
	EXPECT(check_dumpable);
}

static void *setuid_alone(void *arg)
{
	return raw(SYS_setuid, U, 0, 0) == 0 && geteuid() == U ? NULL : arg;
}

static int check_threads(void)
{
	pthread_t th;
	void *r;

	CHECK(pthread_create(&th, NULL, setuid_alone, &r) == 0 && pthread_join(th, &r) == 0 && r == NULL);
	CHECK(getuid() == 0); /* ids are the thread's */
	return 0;
}

static void ids_belong_to_threads(void **state)
{
	need_root();
	EXPECT(check_threads);
}

/* --- set-id programs ----------------------------------------------------------------------------------------------- */

static char self[4096];

/* As the program run below: prints who it is. */
static int tell(void)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	getresuid(&r, &e, &s);
	getresgid(&rg, &eg, &sg);
	printf("%d %d %d %d %d %d %lu %lu %lu %d\n", (int)r, (int)e, (int)s, (int)rg, (int)eg, (int)sg, getauxval(AT_SECURE),
	       getauxval(AT_EUID), getauxval(AT_EGID), prctl(PR_GET_DUMPABLE));
	return 0;
}

/* What ./program, with this owner and mode, says of itself when user U, group U runs it. */
static void expect_identity(uid_t uid, gid_t gid, mode_t mode, bool no_new_privs, const char *want)
{
	char cmd[5000], got[256] = "";
	int out[2];
	pid_t pid;
	size_t n = 0;
	ssize_t r;

	snprintf(cmd, sizeof(cmd), "cp '%s' program", self);
	assert_int_equal(system(cmd), 0);
	ASSERT_OK(chown("program", uid, gid));
	ASSERT_OK(chmod("program", mode));
	ASSERT_OK(pipe(out));
	pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		if (setgroups(0, NULL) || setresgid(U, U, U) || setresuid(U, U, U))
			_exit(1);
		if (no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
			_exit(2);
		execl("./program", "program", "tell", NULL);
		_exit(3);
	}
	close(out[1]);
	while ((r = read(out[0], got + n, sizeof(got) - 1 - n)) > 0)
		n += (size_t)r;
	close(out[0]);
	waitpid(pid, NULL, 0);
	ASSERT_OK(unlink("program"));
	assert_string_equal(got, want);
}

static void set_id_programs(void **state)
{
	need_root();
	ASSERT_OK(chmod(".", 0755));
	expect_identity(0, 0, 0755, false, "4242 4242 4242 4242 4242 4242 0 4242 4242 1\n");
	expect_identity(V, V, 04755, false, "4242 4343 4343 4242 4242 4242 1 4343 4242 0\n");
	expect_identity(V, V, 02755, false, "4242 4242 4242 4242 4343 4343 1 4242 4343 0\n");
	expect_identity(V, V, 06755, false, "4242 4343 4343 4242 4343 4343 1 4343 4343 0\n");
	expect_identity(0, V, 04755, false, "4242 0 0 4242 4242 4242 1 0 4242 0\n");
	expect_identity(V, V, 02745, false, "4242 4242 4242 4242 4242 4242 0 4242 4242 1\n"); /* no group x: mandatory locking once */
	expect_identity(V, V, 06755, true, "4242 4242 4242 4242 4242 4242 0 4242 4242 1\n");
	expect_identity(U, U, 06755, false, "4242 4242 4242 4242 4242 4242 0 4242 4242 1\n");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(user_ids),
		cmocka_unit_test(group_ids),
		cmocka_unit_test(file_system_ids),
		cmocka_unit_test(others_are_out_of_reach),
		cmocka_unit_test(changes_close_it_to_others),
		cmocka_unit_test(ids_belong_to_threads),
		cmocka_unit_test(set_id_programs),
	};

	if (argc > 1 && !strcmp(argv[1], "tell"))
		return tell();
	if (!realpath("/proc/self/exe", self))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
