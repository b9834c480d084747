/* SPDX-License-Identifier: MIT */
/*
 * What a process may use and did use, and where it runs: getrlimit(2), setrlimit(2), prlimit(2),
 * getrusage(2), sysinfo(2), uname(2), getrandom(2). The limits' effects on memory are tested in
 * test_mmap.c and test_brk.c, on signals in test_signal.c.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/clock.h"
#include "tests/lib/maps.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#define NO_PID 0x3fffffff

static void soft_limits_are_set_and_read_back(void **state)
{
	for (int res = 0; res < RLIM_NLIMITS; res++) {
		struct rlimit old, low, now;

		ASSERT_OK(getrlimit(res, &old));
		assert_true(old.rlim_cur <= old.rlim_max);
		if (res == RLIMIT_CPU || res == RLIMIT_AS || res == RLIMIT_DATA || res == RLIMIT_STACK)
			continue;               /* lowering these could hurt us meanwhile */
		low = old;
		low.rlim_cur = old.rlim_cur == RLIM_INFINITY ? 1 << 20 : old.rlim_cur / 2;
		ASSERT_OK(setrlimit(res, &low));
		ASSERT_OK(getrlimit(res, &now));
		assert_int_equal(now.rlim_cur, low.rlim_cur);
		assert_int_equal(now.rlim_max, old.rlim_max);
		ASSERT_OK(prlimit(getpid(), res, &old, &now));          /* new and old in one call */
		assert_int_equal(now.rlim_cur, low.rlim_cur);
		ASSERT_OK(prlimit(0, res, NULL, &now));
		assert_int_equal(now.rlim_cur, old.rlim_cur);
	}
}

static void limit_calls_check_their_arguments(void **state)
{
	struct rlimit lim, bad = { 2, 1 };

	ASSERT_ERR(getrlimit(RLIM_NLIMITS, &lim), EINVAL);
	ASSERT_ERR(getrlimit(-1, &lim), EINVAL);
	ASSERT_ERR(setrlimit(RLIMIT_CORE, &bad), EINVAL);
	ASSERT_ERR(prlimit(0, RLIM_NLIMITS, NULL, &lim), EINVAL);
	ASSERT_ERR(prlimit(NO_PID, RLIMIT_CORE, NULL, &lim), ESRCH);
	ASSERT_ERR(syscall(SYS_prlimit64, 0, RLIMIT_CORE, (void *)8, NULL), EFAULT);
	ASSERT_ERR(syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, (void *)8), EFAULT);
	ASSERT_ERR(syscall(SYS_getrlimit, RLIMIT_CORE, (void *)8), EFAULT);
	ASSERT_ERR(syscall(SYS_setrlimit, RLIMIT_CORE, (void *)8), EFAULT);
	ASSERT_OK(prlimit(0, RLIMIT_CORE, NULL, NULL));
}

static void the_descriptor_limit_is_obeyed(void **state)
{
	struct rlimit old, lim;
	int fd[64], n = 0;

	ASSERT_OK(getrlimit(RLIMIT_NOFILE, &old));
	lim = old;
	lim.rlim_cur = 32;
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &lim));
	while (n < 64 && (fd[n] = dup(0)) >= 0)
		n++;
	int err = errno;
	assert_int_equal(sysconf(_SC_OPEN_MAX), 32);
	errno = 0;
	int too_high = dup2(0, 32), err2 = errno;
	errno = 0;
	int from = fcntl(0, F_DUPFD, 32), err3 = errno;
	int last = n > 0 ? fd[n - 1] : -1;
	while (n > 0)
		close(fd[--n]);
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &old));
	assert_int_equal(err, EMFILE);
	assert_int_equal(last, 31);
	assert_true(too_high == -1 && err2 == EBADF);
	assert_true(from == -1 && err3 == EINVAL);
}

static void the_file_size_limit_is_obeyed(void **state)
{
	int fd = (int)ASSERT_OK(open("f", O_RDWR | O_CREAT | O_TRUNC, 0600));
	struct rlimit old, lim;
	char buf[64] = { 0 };

	signal(SIGXFSZ, SIG_IGN);
	ASSERT_OK(getrlimit(RLIMIT_FSIZE, &old));
	lim = old;
	lim.rlim_cur = 100;
	ASSERT_OK(setrlimit(RLIMIT_FSIZE, &lim));
	ssize_t in = pwrite(fd, buf, 64, 0), part = pwrite(fd, buf, 64, 64);
	errno = 0;
	ssize_t out = pwrite(fd, buf, 64, 100);
	int err = errno;
	errno = 0;
	int cut = ftruncate(fd, 101), err2 = errno;
	ASSERT_OK(setrlimit(RLIMIT_FSIZE, &old));
	assert_int_equal(in, 64);
	assert_int_equal(part, 36);
	assert_true(out == -1 && err == EFBIG);
	assert_true(cut == -1 && err2 == EFBIG);
	signal(SIGXFSZ, SIG_DFL);
	close(fd);
}

static void proc_limits_shows_them(void **state)
{
	static char text[8192];
	struct rlimit lim;
	char want[128];

	assert_true(proc_read("/proc/self/limits", text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "Limit                     Soft Limit           Hard Limit"
				     "           Units     \n"));
	ASSERT_OK(getrlimit(RLIMIT_NOFILE, &lim));
	snprintf(want, sizeof(want), "Max open files            %-20lu %-20lu files     \n", lim.rlim_cur,
		 lim.rlim_max);
	assert_non_null(strstr(text, want));
}

static int64_t used_us(const struct rusage *ru)
{
	return (ru->ru_utime.tv_sec + ru->ru_stime.tv_sec) * 1000000LL + ru->ru_utime.tv_usec +
	       ru->ru_stime.tv_usec;
}

static void *burn(void *arg)
{
	for (int64_t end = clock_ns(CLOCK_THREAD_CPUTIME_ID) + 60 * MSEC;
	     clock_ns(CLOCK_THREAD_CPUTIME_ID) < end;)
		for (volatile int i = 0; i < 10000; i++)
			;
	getrusage(RUSAGE_THREAD, arg);
	return NULL;
}

static void usage_counts_time_faults_and_memory(void **state)
{
	struct rusage a, b, thread, me;
	pthread_t t;

	ASSERT_OK(getrusage(RUSAGE_SELF, &a));
	ASSERT_RET(pthread_create(&t, NULL, burn, &thread), 0);
	ASSERT_RET(pthread_join(t, NULL), 0);
	char *p = (char *)ASSERT_OK(mmap(NULL, 4096 * PAGE, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memset(p, 1, 4096 * PAGE);
	ASSERT_OK(getrusage(RUSAGE_SELF, &b));
	ASSERT_OK(getrusage(RUSAGE_THREAD, &me));
	assert_true(used_us(&b) - used_us(&a) >= 45000);        /* threads that ended included */
	assert_true(used_us(&thread) >= 45000);
	assert_true(used_us(&me) <= used_us(&b));
	assert_true(b.ru_minflt > a.ru_minflt);
	assert_true(b.ru_maxrss >= 16384 - 2048);               /* kB */
	munmap(p, 4096 * PAGE);
	ASSERT_OK(getrusage(RUSAGE_SELF, &me));
	assert_true(me.ru_maxrss >= b.ru_maxrss - 2048);        /* a high-water mark */
	ASSERT_OK(getrusage(RUSAGE_CHILDREN, &me));
	assert_int_equal(used_us(&me), 0);
	ASSERT_ERR(getrusage(5, &a), EINVAL);
	ASSERT_ERR(getrusage(-3, &a), EINVAL);
	ASSERT_ERR(syscall(SYS_getrusage, RUSAGE_SELF, (void *)8), EFAULT);
}

static void sysinfo_is_plausible(void **state)
{
	struct sysinfo si;
	int64_t up = clock_ns(CLOCK_BOOTTIME) / 1000000000;

	ASSERT_OK(sysinfo(&si));
	assert_true(si.uptime >= up && si.uptime <= up + 2);
	assert_true(si.totalram > 0 && si.freeram <= si.totalram);
	assert_true(si.mem_unit >= 1);
	assert_true(si.procs >= 1);
	assert_true(si.totalram * si.mem_unit / PAGE >= (unsigned long)sysconf(_SC_PHYS_PAGES) / 2);
	ASSERT_ERR(syscall(SYS_sysinfo, (void *)8), EFAULT);
}

static void uname_tells_linux_on_x86_64(void **state)
{
	static char text[256];
	struct utsname u;
	char host[65];
	int major = 0;

	ASSERT_OK(uname(&u));
	assert_string_equal(u.sysname, "Linux");
	assert_string_equal(u.machine, "x86_64");
	assert_int_equal(sscanf(u.release, "%d.", &major), 1);
	assert_true(major >= 4);
	assert_true(u.version[0] == '#');
	ASSERT_OK(gethostname(host, sizeof(host)));
	assert_string_equal(host, u.nodename);
	assert_true(proc_read("/proc/sys/kernel/osrelease", text, sizeof(text)) > 0);
	text[strcspn(text, "\n")] = '\0';
	assert_string_equal(text, u.release);
	ASSERT_ERR(syscall(SYS_uname, (void *)8), EFAULT);
}

static void random_bytes_differ_and_flags_are_checked(void **state)
{
	unsigned char a[64], b[64], ones[256], zeros[256];
	int set = 0;

	assert_int_equal(getrandom(a, sizeof(a), 0), 64);
	assert_int_equal(getrandom(b, sizeof(b), GRND_NONBLOCK), 64);
	assert_memory_not_equal(a, b, 64);
	assert_int_equal(getrandom(ones, 256, GRND_INSECURE), 256);
	assert_int_equal(getrandom(zeros, 200, GRND_RANDOM), 200);
	for (int i = 0; i < 256 * 8; i++)
		set += ones[i / 8] >> i % 8 & 1;
	assert_in_range(set, 700, 1350);                /* of 2048: 14 standard deviations */
	assert_int_equal(getrandom(a, 0, 0), 0);
	ASSERT_ERR(getrandom(a, 8, 8), EINVAL);
	ASSERT_ERR(getrandom(a, 8, GRND_RANDOM | GRND_INSECURE), EINVAL);
	ASSERT_ERR(syscall(SYS_getrandom, 8, 8, 0), EFAULT);
	ASSERT_ERR(syscall(SYS_getrandom, 8, 8, 8), EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(soft_limits_are_set_and_read_back),
		cmocka_unit_test(limit_calls_check_their_arguments),
		cmocka_unit_test(the_descriptor_limit_is_obeyed),
		cmocka_unit_test(the_file_size_limit_is_obeyed),
		cmocka_unit_test(proc_limits_shows_them),
		cmocka_unit_test(usage_counts_time_faults_and_memory),
		cmocka_unit_test(sysinfo_is_plausible),
		cmocka_unit_test(uname_tells_linux_on_x86_64),
		cmocka_unit_test(random_bytes_differ_and_flags_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
