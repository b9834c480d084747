/* SPDX-License-Identifier: MIT */
/*
 * /proc/self and /proc/PID as programs read them: links (exe, cwd, root, fd, task), texts (comm,
 * cmdline, environ, status, stat, statm, limits, auxv, cgroup, io, mounts, mountinfo, fdinfo), who
 * is there and who is not, and that they cannot be changed. The system-wide files: test_procsys.c;
 * maps and smaps: test_maps.c.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"
#include "tests/lib/maps.h"

#include <elf.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static char text[1 << 16];

/* The contents of a file in text; its length. */
static long get(const char *path)
{
	long n = proc_read(path, text, sizeof(text));

	if (n < 0)
		fail_msg("%s cannot be read: %s", path, errno_name(errno));
	return n;
}

static const char *link_of(const char *path)
{
	static char to[PATH_MAX];
	ssize_t n = ASSERT_OK(readlink(path, to, sizeof(to) - 1));

	to[n] = '\0';
	return to;
}

/* The text after "key:" and blanks in text, up to the line's end. */
static const char *value(const char *key)
{
	static char val[512];
	size_t len = strlen(key);

	for (const char *p = text; p && *p; p = strchr(p, '\n'), p += p != NULL)
		if (strncmp(p, key, len) == 0 && p[len] == ':') {
			p += len + 1 + strspn(p + len + 1, " \t");
			snprintf(val, sizeof(val), "%.*s", (int)strcspn(p, "\n"), p);
			return val;
		}
	fail_msg("no line \"%s:\"", key);
	return NULL;
}

static long number(const char *key)
{
	return strtol(value(key), NULL, 10);
}

static const char *of(pid_t pid, const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	return path;
}

static void self_is_the_process(void **state)
{
	char want[32];
	struct stat a, b;

	snprintf(want, sizeof(want), "%d", getpid());
	assert_string_equal(link_of("/proc/self"), want);
	snprintf(want, sizeof(want), "%d/task/%ld", getpid(), syscall(SYS_gettid));
	assert_string_equal(link_of("/proc/thread-self"), want);
	ASSERT_OK(stat("/proc/self/", &a));
	ASSERT_OK(stat(of(getpid(), ""), &b));
	assert_int_equal(a.st_ino, b.st_ino);
	assert_true(S_ISDIR(a.st_mode));
	assert_int_equal(a.st_uid, geteuid());
	assert_int_equal(a.st_mode & 0777, 0555);
	ASSERT_OK(stat("/proc/self/status", &a));
	assert_int_equal(a.st_mode, S_IFREG | 0444);
	assert_int_equal(a.st_size, 0);                 /* read it to know */
}

static void others_are_not_there(void **state)
{
	static const char *const names[] = {
		"/proc/0", "/proc/4194305", "/proc/-1", "/proc/01", "/proc/nonsense",
		"/proc/self/nonsense", "/proc/self/fd/9999", "/proc/self/fd/x",
		"/proc/self/fdinfo/9999", "/proc/self/task/1x", "/proc/sys/nonsense",
		"/proc/sys/kernel/nonsense",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int fd = open(names[i], O_RDONLY), err = errno;

		if (fd != -1 || err != ENOENT)
			fail_msg("open(\"%s\"): got %d/%s, want ENOENT", names[i], fd,
				 errno_name(err));
	}
}

static void nothing_can_be_made_or_removed(void **state)
{
	ASSERT_ERR(open("/proc/new", O_CREAT | O_RDWR, 0644), ENOENT);
	ASSERT_ERR(open("/proc/self/new", O_CREAT | O_RDWR, 0644), ENOENT);
	ASSERT_ERR(mkdir("/proc/new", 0755), ENOENT);
	ASSERT_ERR(unlink("/proc/version"), EPERM);
	ASSERT_ERR(unlink("/proc/self/status"), EPERM);
	ASSERT_ERR(rmdir("/proc/self/task"), EPERM);
	ASSERT_ERR(rename("/proc/version", "/proc/stat"), EPERM);
	ASSERT_ERR(rename("/proc/version", "/proc/x"), ENOENT); /* the new name comes first */
	ASSERT_ERR(chmod("/proc/self/status", 0777), EPERM);
	ASSERT_ERR(mkdir("/proc/self", 0755), EEXIST);
}

static void links_to_places(void **state)
{
	char here[PATH_MAX];
	struct stat a, b;

	char *exe = realpath(program_invocation_name, NULL);
	if (program_invocation_name[0] == '/')          /* as the harness starts us */
		assert_string_equal(link_of("/proc/self/exe"), exe);
	free(exe);
	int fd = (int)ASSERT_OK(open("/proc/self/exe", O_RDONLY));
	assert_int_equal(read(fd, text, 4), 4);
	assert_memory_equal(text, ELFMAG, 4);
	assert_non_null(getcwd(here, sizeof(here)));
	assert_string_equal(link_of("/proc/self/cwd"), here);
	assert_string_equal(link_of("/proc/self/root"), "/");
	assert_int_equal(readlink("/proc/self/exe", here, 2), 2); /* cut, as any link's */
	assert_int_equal(here[0], '/');
	assert_non_null(getcwd(here, sizeof(here)));
	ASSERT_OK(mkdir("d", 0755));
	file_put("d/f", "through the link");
	assert_string_equal(file_text("/proc/self/cwd/d/f"), "through the link");
	ASSERT_OK(chdir("d"));
	assert_string_equal(link_of("/proc/self/cwd") + strlen(here), "/d");
	ASSERT_OK(lstat("/proc/self/cwd", &a));
	assert_int_equal(a.st_mode, S_IFLNK | 0777);
	ASSERT_OK(stat("/proc/self/root", &a));
	ASSERT_OK(stat("/", &b));
	assert_int_equal(a.st_ino, b.st_ino);
}

static void fd_lists_what_is_open(void **state)
{
	char path[64], want[PATH_MAX + 8];
	int p[2], fd = file_make("f", "hello"), seen = 0, all = 0;
	struct dirent *e;
	struct stat st;

	ASSERT_OK(pipe(p));
	int ev = (int)ASSERT_OK(eventfd(0, 0));
	DIR *d = opendir("/proc/self/fd");
	assert_non_null(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.') {
			int n = atoi(e->d_name);

			assert_true(file_fd_open(n));
			assert_true(e->d_type == DT_LNK || e->d_type == DT_UNKNOWN);
			seen += n == fd || n == p[0] || n == p[1] || n == ev;
			all++;
		}
	assert_int_equal(seen, 4);
	ASSERT_OK(stat("/proc/self/fd", &st));
	assert_true(st.st_size == all || st.st_size == 0);      /* the number, since 6.2 */
	closedir(d);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_non_null(getcwd(want, PATH_MAX));
	strcat(want, "/f");
	assert_string_equal(link_of(path), want);
	ASSERT_OK(lstat(path, &st));
	assert_int_equal(st.st_mode, S_IFLNK | 0700);           /* as it was opened */
	ASSERT_OK(stat(path, &st));
	assert_int_equal(st.st_ino, file_ino("f"));
	ASSERT_OK(fstat(p[0], &st));
	snprintf(want, sizeof(want), "pipe:[%lu]", (unsigned long)st.st_ino);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
	assert_string_equal(link_of(path), want);
	ASSERT_OK(lstat(path, &st));
	assert_int_equal(st.st_mode, S_IFLNK | 0500);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ev);
	assert_string_equal(link_of(path), "anon_inode:[eventfd]");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p[1]);
	int again = (int)ASSERT_OK(open(path, O_WRONLY));       /* a pipe by its link */
	assert_int_equal(write(again, "x", 1), 1);
	assert_int_equal(read(p[0], want, 8), 1);
}

static void fdinfo_tells_position_and_flags(void **state)
{
	char path[64];

	file_put("f", "hello");
	int fd = (int)ASSERT_OK(open("f", O_RDWR | O_APPEND | O_CLOEXEC));
	assert_int_equal(lseek(fd, 3, SEEK_SET), 3);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	get(path);
	assert_int_equal(number("pos"), 3);
	assert_int_equal(strtol(value("flags"), NULL, 8),
			 O_RDWR | O_APPEND | O_CLOEXEC | RAW_O_LARGEFILE);
	assert_true(number("mnt_id") > 0);
	assert_int_equal(strncmp(text, "pos:\t3\nflags:\t0", 15), 0);
}

static long own_entries(void *arg)
{
	char path[64];
	struct stat st;
	long tid = syscall(SYS_gettid);

	snprintf(path, sizeof(path), "/proc/self/task/%ld/status", tid);
	if (stat(path, &st))
		return -1;
	prctl(PR_SET_NAME, "second thread of them");
	snprintf(path, sizeof(path), "/proc/self/task/%ld/comm", tid);
	return strcmp(file_text(path), "second thread o\n") == 0 ? tid : -2;
}

static void tasks_are_the_threads(void **state)
{
	struct dirent *e;
	struct stat st;
	struct bg bg;
	int nr = 0;

	bg_start(&bg, own_entries, NULL);
	long tid = bg_end(&bg);
	assert_true(tid > 0 && tid != getpid());
	DIR *d = opendir("/proc/self/task");
	assert_non_null(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.') {
			nr++;
			assert_int_equal(atoi(e->d_name), getpid());
		}
	closedir(d);
	assert_int_equal(nr, 1);
	ASSERT_OK(stat("/proc/self/task", &st));
	assert_true(st.st_nlink == 3 || st.st_nlink == 2);
	ASSERT_ERR(open(of((pid_t)tid, "status"), O_RDONLY), ENOENT);
	get("/proc/self/task/../status");
	assert_int_equal(number("Threads"), 1);
}

static void comm_is_the_name(void **state)
{
	char name[17] = "", want[20];

	ASSERT_OK(prctl(PR_GET_NAME, name));
	snprintf(want, sizeof(want), "%s\n", name);
	get("/proc/self/comm");
	assert_string_equal(text, want);
	int fd = (int)ASSERT_OK(open("/proc/self/comm", O_WRONLY));
	assert_int_equal(write(fd, "a new name, and long", 20), 20);    /* cut without error */
	ASSERT_OK(prctl(PR_GET_NAME, want));
	assert_string_equal(want, "a new name, and");
	get("/proc/self/status");
	assert_string_equal(value("Name"), "a new name, and");
	ASSERT_OK(prctl(PR_SET_NAME, "a (b) c"));
	get("/proc/self/stat");
	assert_non_null(strstr(text, " (a (b) c) R "));
	ASSERT_OK(prctl(PR_SET_NAME, name));
}

static void cmdline_and_environ_are_the_originals(void **state)
{
	long n = get("/proc/self/cmdline");

	assert_string_equal(text, program_invocation_name);
	assert_int_equal(text[n - 1], '\0');
	setenv("VMRUN_TEST_LATER", "1", 1);
	n = get("/proc/self/environ");
	int found = 0, nr = 0;
	for (const char *p = text; p < text + n; p += strlen(p) + 1, nr++) {
		assert_int_not_equal(strncmp(p, "VMRUN_TEST_LATER=", 17), 0);   /* not now */
		found += strncmp(p, "PATH=", 5) == 0 && strcmp(p + 5, getenv("PATH")) == 0;
	}
	assert_int_equal(found, getenv("PATH") != NULL);
	assert_true(nr > 0);
	unsetenv("VMRUN_TEST_LATER");
}

static void status_has_the_lines_programs_look_for(void **state)
{
	char want[128];

	umask(027);
	get("/proc/self/status");
	assert_int_equal(strncmp(text, "Name:\t", 6), 0);
	assert_string_equal(value("Umask"), "0027");
	assert_string_equal(value("State"), "R (running)");
	assert_int_equal(number("Tgid"), getpid());
	assert_int_equal(number("Pid"), getpid());
	assert_int_equal(number("PPid"), getppid());
	assert_int_equal(number("TracerPid"), 0);
	snprintf(want, sizeof(want), "%d\t%d\t%d\t%d", getuid(), geteuid(), geteuid(), geteuid());
	assert_string_equal(value("Uid"), want);
	snprintf(want, sizeof(want), "%d\t%d\t%d\t%d", getgid(), getegid(), getegid(), getegid());
	assert_string_equal(value("Gid"), want);
	assert_true(number("FDSize") >= 64);
	value("Groups");
	assert_int_equal(number("Threads"), 1);
	static const char *const sizes[] = { "VmPeak", "VmSize", "VmHWM", "VmRSS", "VmData",
					     "VmStk", "VmExe", "VmLib" };
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_true(number(sizes[i]) > 0);
		assert_string_equal(strrchr(value(sizes[i]), ' '), " kB");
	}
	assert_true(number("VmPeak") >= number("VmSize") && number("VmHWM") >= number("VmRSS"));
	assert_true(number("VmSize") >= number("VmRSS"));
	static const char *const masks[] = { "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt",
					     "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++)
		assert_int_equal(strspn(value(masks[i]), "0123456789abcdef"), 16);
	assert_int_equal(number("NoNewPrivs"), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	assert_true(number("voluntary_ctxt_switches") >= 0);
	assert_true(number("nonvoluntary_ctxt_switches") >= 0);
	value("Seccomp");
	value("Cpus_allowed");
	assert_true(strlen(value("Cpus_allowed_list")) > 0);
}

static void status_shows_signal_masks(void **state)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	signal(SIGUSR2, SIG_IGN);
	ASSERT_OK(sigprocmask(SIG_BLOCK, &set, &old));
	ASSERT_OK(kill(getpid(), SIGUSR1));
	get("/proc/self/status");
	uint64_t usr1 = 1ULL << (SIGUSR1 - 1), usr2 = 1ULL << (SIGUSR2 - 1);
	assert_true(strtoull(value("SigBlk"), NULL, 16) & usr1);
	assert_true(strtoull(value("ShdPnd"), NULL, 16) & usr1);
	assert_false(strtoull(value("SigPnd"), NULL, 16) & usr1);
	assert_true(strtoull(value("SigIgn"), NULL, 16) & usr2);
	assert_true(strtoull(value("SigCgt"), NULL, 16) & 1ULL << (SIGSEGV - 1)); /* cmocka's */
	signal(SIGUSR1, SIG_IGN);
	ASSERT_OK(sigprocmask(SIG_SETMASK, &old, NULL));
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
}

/* Field n (as proc(5) counts, from 3 on) of a stat line. */
static long long stat_field(int n)
{
	const char *p = strrchr(text, ')') + 2;

	for (; n > 3; n--)
		p = strchr(p, ' ') + 1;
	return strtoll(p, NULL, 10);
}

static void stat_is_one_line_of_52_fields(void **state)
{
	get("/proc/self/stat");
	assert_int_equal(atoi(text), getpid());
	int blanks = 0;
	for (const char *p = strrchr(text, ')'); *p; p++)
		blanks += *p == ' ';
	assert_int_equal(blanks, 50);
	assert_int_equal(text[strlen(text) - 1], '\n');
	assert_int_equal(strrchr(text, ')')[2], 'R');
	assert_int_equal(stat_field(4), getppid());
	assert_int_equal(stat_field(5), getpgrp());
	assert_int_equal(stat_field(6), getsid(0));
	assert_true(stat_field(14) >= 0 && stat_field(15) >= 0);
	assert_int_equal(stat_field(19), getpriority(PRIO_PROCESS, 0));
	assert_int_equal(stat_field(20), 1);            /* threads */
	assert_true(stat_field(22) > 0);                /* start, in ticks since boot */
	assert_true(stat_field(22) <= clock_ns(CLOCK_BOOTTIME) / 10000000 + 1);
	assert_true(stat_field(23) > 100 * 4096);       /* bytes ... */
	assert_true(stat_field(24) > 10);               /* and pages */
	unsigned long stack = (unsigned long)stat_field(28);
	assert_true(stack > (unsigned long)&stack);     /* the stack begins above here */
	assert_int_equal(stat_field(38), SIGCHLD);      /* told the parent at the end */
	assert_true(stat_field(48) > 0 && stat_field(49) > stat_field(48));     /* arguments */
	assert_string_equal((char *)(uintptr_t)stat_field(48), program_invocation_name);
	get("/proc/thread-self/stat");
	assert_int_equal(atoi(text), syscall(SYS_gettid));
}

static void statm_counts_pages(void **state)
{
	long size, rss, shared, code, lib, data, dt, vm;

	get("/proc/self/statm");
	assert_int_equal(sscanf(text, "%ld %ld %ld %ld %ld %ld %ld\n", &size, &rss, &shared, &code,
				&lib, &data, &dt), 7);
	vm = status_number("VmSize");
	assert_true(size > 0 && rss > 0 && size >= rss && rss >= shared && code > 0 && data > 0);
	assert_int_equal(lib + dt, 0);
	assert_int_equal(size * 4, vm);
}

static void limits_are_a_table(void **state)
{
	struct rlimit lim;
	unsigned long soft, hard;

	ASSERT_OK(getrlimit(RLIMIT_NOFILE, &lim));
	get("/proc/self/limits");
	assert_int_equal(strncmp(text, "Limit                     Soft Limit           "
				 "Hard Limit           Units     \n", 79), 0);
	const char *line = strstr(text, "\nMax open files            ");
	assert_non_null(line);
	assert_int_equal(sscanf(line + 27, "%lu %lu files", &soft, &hard), 2);
	assert_int_equal(soft, lim.rlim_cur);
	assert_int_equal(hard, lim.rlim_max);
	assert_non_null(strstr(text, "\nMax stack size "));
	int lines = 0;
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 17);
}

static void auxv_is_the_vector(void **state)
{
	Elf64_auxv_t v[64];
	int fd = (int)ASSERT_OK(open("/proc/self/auxv", O_RDONLY)), found = 0;
	ssize_t n = ASSERT_OK(read(fd, v, sizeof(v)));

	assert_int_equal(n % (ssize_t)sizeof(v[0]), 0);
	assert_int_equal(v[(size_t)n / sizeof(v[0]) - 1].a_type, AT_NULL);
	for (size_t i = 0; v[i].a_type != AT_NULL; i++) {
		static const unsigned long check[] = { AT_PAGESZ, AT_ENTRY, AT_PHDR, AT_PHNUM,
						       AT_BASE, AT_RANDOM, AT_EXECFN, AT_CLKTCK };

		for (size_t j = 0; j < ARRAY_SIZE(check); j++)
			if (v[i].a_type == check[j]) {
				assert_int_equal(v[i].a_un.a_val, getauxval(check[j]));
				found++;
			}
	}
	assert_int_equal(found, 8);
}

static void mounts_have_the_root_and_proc(void **state)
{
	char target[PATH_MAX], type[64], opts[1024], *save, *line, *sep;
	int id, parent, major, minor, root = 0, proc = 0;

	get("/proc/self/mounts");
	assert_non_null(strstr(text, " / "));
	assert_non_null(strstr(text, " /proc proc rw"));
	assert_string_equal(link_of("/proc/mounts"), "self/mounts");
	get("/proc/self/mountinfo");
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		assert_int_equal(sscanf(line, "%d %d %d:%d %*s %4095s %1023s", &id, &parent, &major,
					&minor, target, opts), 6);
		assert_true(strncmp(opts, "rw", 2) == 0 || strncmp(opts, "ro", 2) == 0);
		sep = strstr(line, " - ");
		assert_non_null(sep);
		assert_int_equal(sscanf(sep, " - %63s %1023s", type, opts), 2);
		root += strcmp(target, "/") == 0;
		proc += strcmp(target, "/proc") == 0 && strcmp(type, "proc") == 0;
	}
	assert_true(root >= 1);
	assert_true(proc >= 1);
}

static void io_counts_calls_and_bytes(void **state)
{
	int fd = file_make("f", "");

	get("/proc/self/io");
	long written = number("wchar"), calls = number("syscw");
	assert_int_equal(pwrite(fd, text, 1000, 0), 1000);
	get("/proc/self/io");
	assert_true(number("wchar") >= written + 1000);
	assert_true(number("syscw") >= calls + 1);
	assert_true(number("rchar") > 0 && number("syscr") > 0);
	assert_true(number("read_bytes") >= 0 && number("write_bytes") >= 0);
	value("cancelled_write_bytes");
}

static void cgroup_lines_have_three_fields(void **state)
{
	int id, lines = 0;

	get("/proc/self/cgroup");
	for (const char *p = text; *p; p = strchr(p, '\n') + 1, lines++) {
		assert_int_equal(sscanf(p, "%d:", &id), 1);
		const char *path = strchr(strchr(p, ':') + 1, ':');
		assert_non_null(path);
		assert_int_equal(path[1], '/');
	}
	assert_true(lines >= 1);
}

static void seeking_and_small_reads_give_the_same_text(void **state)
{
	static char again[8192];
	size_t len = 0;
	int fd = (int)ASSERT_OK(open("/proc/self/limits", O_RDONLY));

	long n = get("/proc/self/limits");
	while (read(fd, again + len, 7) > 0)
		len += strlen(again + len);
	assert_int_equal(len, n);
	assert_string_equal(again, text);
	assert_int_equal(read(fd, again, 7), 0);
	assert_int_equal(lseek(fd, 6, SEEK_SET), 6);
	assert_int_equal(read(fd, again, 10), 10);
	assert_memory_equal(again, text + 6, 10);
	assert_int_equal(pread(fd, again, 5, 0), 5);
	assert_memory_equal(again, "Limit", 5);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(self_is_the_process),
		cmocka_unit_test(others_are_not_there),
		cmocka_unit_test(nothing_can_be_made_or_removed),
		cmocka_unit_test(links_to_places),
		cmocka_unit_test(fd_lists_what_is_open),
		cmocka_unit_test(fdinfo_tells_position_and_flags),
		cmocka_unit_test(tasks_are_the_threads),
		cmocka_unit_test(comm_is_the_name),
		cmocka_unit_test(cmdline_and_environ_are_the_originals),
		cmocka_unit_test(status_has_the_lines_programs_look_for),
		cmocka_unit_test(status_shows_signal_masks),
		cmocka_unit_test(stat_is_one_line_of_52_fields),
		cmocka_unit_test(statm_counts_pages),
		cmocka_unit_test(limits_are_a_table),
		cmocka_unit_test(auxv_is_the_vector),
		cmocka_unit_test(mounts_have_the_root_and_proc),
		cmocka_unit_test(io_counts_calls_and_bytes),
		cmocka_unit_test(cgroup_lines_have_three_fields),
		cmocka_unit_test(seeking_and_small_reads_give_the_same_text),
	};

	return FILE_RUN_HERE(tests);
}
