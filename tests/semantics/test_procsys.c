/* SPDX-License-Identifier: MIT */
/*
 * The system-wide files programs parse: /proc/cpuinfo, meminfo, stat, uptime, loadavg, version,
 * filesystems, /proc/sys/..., /sys/devices/system/cpu. They must agree with one another and with
 * the system calls that tell the same. What belongs to one process: test_proc.c.
 */
#include "tests/lib/clock.h"
#include "tests/lib/file_dir.h"
#include "tests/lib/maps.h"

#include <sched.h>
#include <signal.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static char text[1 << 18];

static long get(const char *path)
{
	long n = proc_read(path, text, sizeof(text));

	if (n < 0)
		fail_msg("%s cannot be read: %s", path, errno_name(errno));
	return n;
}

static int lines_with(const char *start)
{
	int nr = 0;

	for (const char *p = text; p && *p; p = strchr(p, '\n'), p += p != NULL)
		nr += strncmp(p, start, strlen(start)) == 0;
	return nr;
}

/* How many CPUs a list like "0-3,5" names; -1 if it is none. */
static int cpus_in_list(const char *list)
{
	int nr = 0;

	while (*list && *list != '\n') {
		char *end;
		long from = strtol(list, &end, 10), to = from;

		if (end == list)
			return -1;
		if (*end == '-')
			to = strtol(end + 1, &end, 10);
		nr += (int)(to - from + 1);
		list = *end == ',' ? end + 1 : end;
	}
	return nr;
}

static int nr_online(void)
{
	get("/sys/devices/system/cpu/online");
	return cpus_in_list(text);
}

static void cpus_agree_everywhere(void **state)
{
	int nr = nr_online();
	cpu_set_t set;

	assert_true(nr >= 1);
	assert_int_equal(sysconf(_SC_NPROCESSORS_ONLN), nr);
	get("/sys/devices/system/cpu/possible");
	assert_true(cpus_in_list(text) >= nr);
	get("/sys/devices/system/cpu/present");
	assert_true(cpus_in_list(text) >= nr);
	get("/proc/cpuinfo");
	assert_int_equal(lines_with("processor\t: "), nr);
	get("/proc/stat");
	int in_stat = 0;
	for (int i = 0; i < 10; i++) {
		char start[8];

		snprintf(start, sizeof(start), "cpu%d", i);
		in_stat += lines_with(start);
	}
	assert_int_equal(in_stat, nr);
	ASSERT_OK(sched_getaffinity(0, sizeof(set), &set));
	assert_true(CPU_COUNT(&set) <= nr);
}

static void every_cpu_has_a_directory(void **state)
{
	DIR *d = opendir("/sys/devices/system/cpu");
	struct dirent *e;
	int nr = 0, n;
	char c;

	assert_non_null(d);
	while ((e = readdir(d)))
		nr += sscanf(e->d_name, "cpu%d%c", &n, &c) == 1;
	closedir(d);
	get("/sys/devices/system/cpu/present");
	assert_int_equal(nr, cpus_in_list(text));
	assert_int_equal(sysconf(_SC_NPROCESSORS_CONF), nr);
	struct stat st;
	ASSERT_OK(stat("/sys/devices/system/cpu/cpu0", &st));
	assert_true(S_ISDIR(st.st_mode));
	ASSERT_ERR(stat("/sys/devices/system/cpu/cpu9999", &st), ENOENT);
	ASSERT_ERR(stat("/sys/nonsense", &st), ENOENT);
}

static void cpuinfo_has_a_block_for_each_cpu(void **state)
{
	static const char *const keys[] = {
		"vendor_id\t: ", "cpu family\t: ", "model\t\t: ", "model name\t: ", "stepping\t: ",
		"flags\t\t: ", "bogomips\t: ", "cache size\t: ",
	};
	int nr = nr_online();

	get("/proc/cpuinfo");
	assert_int_equal(strncmp(text, "processor\t: ", 12), 0);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (lines_with(keys[i]) != nr)
			fail_msg("%d lines of \"%s\" for %d CPUs", lines_with(keys[i]), keys[i],
				 nr);
	const char *flags = strstr(text, "flags\t\t: ");
	for (const char *const *f = (const char *const[]){ " fpu ", " sse2 ", " syscall ", " lm ",
							   NULL }; *f; f++)
		assert_non_null(strstr(flags, *f));     /* what makes an x86-64 */
}

static void meminfo_agrees_with_sysinfo(void **state)
{
	struct sysinfo si;

	ASSERT_OK(sysinfo(&si));
	get("/proc/meminfo");
	long total = proc_number(text, "MemTotal"), available = proc_number(text, "MemAvailable");
	assert_int_equal(strncmp(text, "MemTotal:  ", 11), 0);
	assert_int_equal(total, si.totalram * si.mem_unit / 1024);
	assert_true(proc_number(text, "MemFree") > 0 && proc_number(text, "MemFree") <= total);
	assert_true(available > 0 && available <= total);
	static const char *const keys[] = { "Buffers", "Cached", "SwapTotal", "SwapFree", "Shmem",
					    "Active", "Inactive", "Slab", "Committed_AS" };
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (proc_number(text, keys[i]) < 0)
			fail_msg("no \"%s\"", keys[i]);
	assert_int_equal(proc_number(text, "SwapTotal"), si.totalswap * si.mem_unit / 1024);
	const char *line = strstr(text, "\nMemFree: ");
	assert_non_null(line);
	assert_memory_equal(strchr(line + 1, '\n') - 3, " kB", 3);
}

static void stat_has_times_and_counters(void **state)
{
	unsigned long long t[8], boot;

	get("/proc/stat");
	assert_int_equal(strncmp(text, "cpu  ", 5), 0); /* the sum, with two blanks */
	assert_int_equal(sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1],
				&t[2], &t[3], &t[4], &t[5], &t[6], &t[7]), 8);
	assert_int_equal(lines_with("ctxt ") + lines_with("processes ") +
			 lines_with("procs_running ") + lines_with("procs_blocked "), 4);
	const char *p = strstr(text, "\nbtime ");
	assert_non_null(p);
	assert_int_equal(sscanf(p, " btime %llu", &boot), 1);
	int64_t want = (clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME)) / 1000000000;
	assert_true((int64_t)boot >= want - 2 && (int64_t)boot <= want + 2);
}

static void uptime_and_loadavg(void **state)
{
	double up, idle, load[3];
	int running, all, last;
	struct sysinfo si;

	double before = (double)clock_ns(CLOCK_BOOTTIME) / 1e9;
	get("/proc/uptime");
	assert_int_equal(sscanf(text, "%lf %lf\n", &up, &idle), 2);
	assert_true(up >= before - 0.02 && up <= (double)clock_ns(CLOCK_BOOTTIME) / 1e9);
	assert_true(idle >= 0);
	ASSERT_OK(sysinfo(&si));
	assert_true(si.uptime >= (long)up && si.uptime <= (long)up + 100);
	get("/proc/loadavg");
	assert_int_equal(sscanf(text, "%lf %lf %lf %d/%d %d\n", &load[0], &load[1], &load[2],
				&running, &all, &last), 6);
	assert_true(load[0] >= 0 && running >= 1 && all >= running && last > 0);
}

static void version_agrees_with_uname(void **state)
{
	struct utsname u;
	char want[256];

	ASSERT_OK(uname(&u));
	get("/proc/version");
	snprintf(want, sizeof(want), "Linux version %s ", u.release);
	assert_int_equal(strncmp(text, want, strlen(want)), 0);
	const struct { const char *path, *want; } c[] = {
		{ "/proc/sys/kernel/ostype", u.sysname },
		{ "/proc/sys/kernel/osrelease", u.release },
		{ "/proc/sys/kernel/version", u.version },
		{ "/proc/sys/kernel/hostname", u.nodename },
	};
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		get(c[i].path);
		snprintf(want, sizeof(want), "%s\n", c[i].want);
		assert_string_equal(text, want);
	}
	assert_string_equal(u.sysname, "Linux");
	assert_string_equal(u.machine, "x86_64");
}

static void filesystems_lists_what_there_is(void **state)
{
	get("/proc/filesystems");
	assert_int_equal(lines_with("nodev\tproc\n"), 1);
	assert_int_equal(lines_with("nodev\ttmpfs\n"), 1);
	assert_int_equal(lines_with("nodev\tsysfs\n"), 1);
	for (const char *p = text; *p; p = strchr(p, '\n') + 1)
		assert_true(strncmp(p, "nodev\t", 6) == 0 || *p == '\t');
}

static void sysctl_numbers_are_lines(void **state)
{
	const struct { const char *path; long min, max; } c[] = {
		{ "/proc/sys/vm/overcommit_memory", 0, 2 },
		{ "/proc/sys/vm/max_map_count", 1000, LONG_MAX },
		{ "/proc/sys/kernel/pid_max", 301, 1 << 22 },
		{ "/proc/sys/kernel/threads-max", 20, LONG_MAX },
		{ "/proc/sys/kernel/ngroups_max", 65536, 65536 },
		{ "/proc/sys/kernel/cap_last_cap", 37, 63 },
		{ "/proc/sys/kernel/randomize_va_space", 0, 2 },
		{ "/proc/sys/fs/nr_open", 1024, LONG_MAX },
		{ "/proc/sys/fs/file-max", 100, LONG_MAX },
		{ "/proc/sys/fs/pipe-max-size", 4096, LONG_MAX },
		{ "/proc/sys/fs/inotify/max_user_watches", 1, LONG_MAX },
		{ "/proc/sys/fs/inotify/max_queued_events", 1, LONG_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		long n = get(c[i].path);
		char *end;
		long val = strtol(text, &end, 10);

		if (end != text + n - 1 || *end != '\n' || val < c[i].min || val > c[i].max)
			fail_msg("%s: \"%s\"", c[i].path, text);
	}
	struct stat st;
	ASSERT_OK(stat("/proc/sys/kernel/ostype", &st));
	assert_int_equal(st.st_mode, S_IFREG | 0444);
	ASSERT_OK(stat("/proc/sys/vm/overcommit_memory", &st));
	assert_int_equal(st.st_mode, S_IFREG | 0644);
}

static void uuids_are_uuids(void **state)
{
	char first[64], hex[5][13];

	get("/proc/sys/kernel/random/uuid");
	snprintf(first, sizeof(first), "%.60s", text);
	assert_int_equal(strlen(first), 37);
	assert_int_equal(sscanf(first, "%8[0-9a-f]-%4[0-9a-f]-%4[0-9a-f]-%4[0-9a-f]-%12[0-9a-f]\n",
				hex[0], hex[1], hex[2], hex[3], hex[4]), 5);
	assert_int_equal(hex[2][0], '4');               /* random ones are version 4 */
	get("/proc/sys/kernel/random/uuid");
	assert_string_not_equal(text, first);           /* a new one each time */
	get("/proc/sys/kernel/random/boot_id");
	snprintf(first, sizeof(first), "%.60s", text);
	get("/proc/sys/kernel/random/boot_id");
	assert_string_equal(text, first);               /* always the same */
	assert_int_equal(strlen(first), 37);
}

static void processes_are_listed(void **state)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int self = 0, files = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		self += atoi(e->d_name) == getpid();
		files += strcmp(e->d_name, "self") == 0 || strcmp(e->d_name, "meminfo") == 0 ||
			 strcmp(e->d_name, "sys") == 0 || strcmp(e->d_name, "cpuinfo") == 0;
	}
	closedir(d);
	assert_int_equal(self, 1);
	assert_int_equal(files, 4);
	assert_int_equal(kill(getpid(), 0), 0);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(cpus_agree_everywhere),
		cmocka_unit_test(every_cpu_has_a_directory),
		cmocka_unit_test(cpuinfo_has_a_block_for_each_cpu),
		cmocka_unit_test(meminfo_agrees_with_sysinfo),
		cmocka_unit_test(stat_has_times_and_counters),
		cmocka_unit_test(uptime_and_loadavg),
		cmocka_unit_test(version_agrees_with_uname),
		cmocka_unit_test(filesystems_lists_what_there_is),
		cmocka_unit_test(sysctl_numbers_are_lines),
		cmocka_unit_test(uuids_are_uuids),
		cmocka_unit_test(processes_are_listed),
	};

	return FILE_RUN_FDS(tests);
}
