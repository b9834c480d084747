/* SPDX-License-Identifier: MIT */
/*
 * prctl(2) and arch_prctl(2): names, death signal, dumpability, capability bounding set, securebits,
 * no_new_privs, timer slack, subreaper, and their errors; FS and GS bases.
 * Names in /proc are in test_threads.c. no_new_privs cannot be taken back: its case is the last one.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/maps.h"

#include <asm/prctl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void names_are_cut_to_fifteen_characters(void **state)
{
	char old[16], name[16], comm[32];

	ASSERT_OK(prctl(PR_GET_NAME, old));
	ASSERT_OK(prctl(PR_SET_NAME, "a-name-of-more-than-fifteen"));
	ASSERT_OK(prctl(PR_GET_NAME, name));
	assert_string_equal(name, "a-name-of-more-");
	assert_true(proc_read("/proc/self/comm", comm, sizeof(comm)) > 0);
	assert_string_equal(comm, "a-name-of-more-\n");
	ASSERT_OK(prctl(PR_SET_NAME, ""));
	ASSERT_OK(prctl(PR_GET_NAME, name));
	assert_string_equal(name, "");
	ASSERT_ERR(prctl(PR_SET_NAME, 8), EFAULT);
	ASSERT_ERR(prctl(PR_GET_NAME, 8), EFAULT);
	ASSERT_OK(prctl(PR_SET_NAME, old));
}

static void the_death_signal_is_kept(void **state)
{
	int sig = -1;

	ASSERT_OK(prctl(PR_GET_PDEATHSIG, &sig));
	assert_int_equal(sig, 0);
	ASSERT_OK(prctl(PR_SET_PDEATHSIG, SIGUSR1));
	ASSERT_OK(prctl(PR_GET_PDEATHSIG, &sig));
	assert_int_equal(sig, SIGUSR1);
	ASSERT_ERR(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
	ASSERT_ERR(prctl(PR_SET_PDEATHSIG, -1), EINVAL);
	ASSERT_ERR(prctl(PR_GET_PDEATHSIG, 8), EFAULT);
	ASSERT_OK(prctl(PR_SET_PDEATHSIG, 0));
}

static void dumpable_is_zero_or_one(void **state)
{
	assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
	ASSERT_OK(prctl(PR_SET_DUMPABLE, 0));
	assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
	ASSERT_ERR(prctl(PR_SET_DUMPABLE, 2), EINVAL);
	ASSERT_ERR(prctl(PR_SET_DUMPABLE, -1), EINVAL);
	ASSERT_OK(prctl(PR_SET_DUMPABLE, 1));
	assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
}

static void the_bounding_set_knows_its_capabilities(void **state)
{
	/* 0 or 1 as the caller was started; what matters to libcap is where EINVAL begins. */
	for (unsigned long cap = 0; cap <= CAP_LAST_CAP; cap++)
		assert_in_range(ASSERT_OK(prctl(PR_CAPBSET_READ, cap)), 0, 1);
	ASSERT_ERR(prctl(PR_CAPBSET_READ, 64), EINVAL);
	ASSERT_ERR(prctl(PR_CAPBSET_READ, 1000), EINVAL);
	ASSERT_ERR(prctl(PR_CAPBSET_READ, -1), EINVAL);
	assert_in_range(ASSERT_OK(prctl(PR_GET_SECUREBITS)), 0, 255);
}

static void timer_slack_is_the_threads_own(void **state)
{
	int old = (int)ASSERT_OK(prctl(PR_GET_TIMERSLACK));

	assert_true(old > 0);
	ASSERT_OK(prctl(PR_SET_TIMERSLACK, 123456));
	assert_int_equal(prctl(PR_GET_TIMERSLACK), 123456);
	ASSERT_OK(prctl(PR_SET_TIMERSLACK, 0));                 /* back to the default */
	assert_int_equal(prctl(PR_GET_TIMERSLACK), old);
}

static void keepcaps_and_subreaper_are_flags(void **state)
{
	int on = -1;

	assert_int_equal(prctl(PR_GET_KEEPCAPS), 0);
	ASSERT_OK(prctl(PR_SET_KEEPCAPS, 1));
	assert_int_equal(prctl(PR_GET_KEEPCAPS), 1);
	ASSERT_ERR(prctl(PR_SET_KEEPCAPS, 2), EINVAL);
	ASSERT_OK(prctl(PR_SET_KEEPCAPS, 0));
	ASSERT_OK(prctl(PR_GET_CHILD_SUBREAPER, &on));
	assert_int_equal(on, 0);
	ASSERT_OK(prctl(PR_SET_CHILD_SUBREAPER, 7));
	ASSERT_OK(prctl(PR_GET_CHILD_SUBREAPER, &on));
	assert_int_equal(on, 1);
	ASSERT_OK(prctl(PR_SET_CHILD_SUBREAPER, 0));
}

static void unknown_options_are_einval(void **state)
{
	ASSERT_ERR(prctl(9999), EINVAL);
	ASSERT_ERR(prctl(-1), EINVAL);
	ASSERT_ERR(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
	ASSERT_ERR(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
	ASSERT_ERR(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0), EINVAL);
	ASSERT_ERR(prctl(PR_SET_TIMING, PR_TIMING_TIMESTAMP), EINVAL);
	assert_int_equal(prctl(PR_GET_TIMING), PR_TIMING_STATISTICAL);
	assert_in_range(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 0, 1);
	ASSERT_ERR(prctl(PR_GET_THP_DISABLE, 1, 0, 0, 0), EINVAL);
}

static uint64_t gs_words[4] = { 11, 22, 33, 44 };

static uint64_t read_gs(unsigned long at)
{
	uint64_t v;

	__asm__ volatile("mov %%gs:(%1), %0" : "=r"(v) : "r"(at));
	return v;
}

static void the_gs_base_is_set_and_read(void **state)
{
	unsigned long base = 1;

	ASSERT_OK(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
	assert_int_equal(base, 0);
	ASSERT_OK(syscall(SYS_arch_prctl, ARCH_SET_GS, gs_words));
	ASSERT_OK(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
	assert_int_equal(base, (unsigned long)gs_words);
	assert_int_equal(read_gs(0), 11);
	sched_yield();
	assert_int_equal(read_gs(16), 33);      /* still there after system calls */
	ASSERT_OK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0));
}

static void *use_own_gs(void *arg)
{
	unsigned long base = 1;
	uint64_t seen = 0;

	syscall(SYS_arch_prctl, ARCH_GET_GS, &base);
	syscall(SYS_arch_prctl, ARCH_SET_GS, arg);
	for (int i = 0; i < 100; i++) {
		sched_yield();
		seen += read_gs(0);
	}
	return (void *)(uintptr_t)(base == (unsigned long)gs_words ? seen : 0);
}

static void threads_have_their_own_gs_base(void **state)
{
	pthread_t t[2];
	void *ret[2];

	ASSERT_OK(syscall(SYS_arch_prctl, ARCH_SET_GS, gs_words));      /* inherited at first */
	for (int i = 0; i < 2; i++)
		ASSERT_RET(pthread_create(&t[i], NULL, use_own_gs, &gs_words[i + 1]), 0);
	for (int i = 0; i < 2; i++)
		ASSERT_RET(pthread_join(t[i], &ret[i]), 0);
	assert_int_equal((uintptr_t)ret[0], 2200);
	assert_int_equal((uintptr_t)ret[1], 3300);
	assert_int_equal(read_gs(0), 11);
	ASSERT_OK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0));
}

static void the_fs_base_is_the_thread_pointer(void **state)
{
	unsigned long base = 0;

	ASSERT_OK(syscall(SYS_arch_prctl, ARCH_GET_FS, &base));
	assert_int_equal(base, (unsigned long)__builtin_thread_pointer());
	ASSERT_OK(syscall(SYS_arch_prctl, ARCH_SET_FS, base));
	ASSERT_ERR(syscall(SYS_arch_prctl, ARCH_GET_FS, (void *)8), EFAULT);
	ASSERT_ERR(syscall(SYS_arch_prctl, ARCH_SET_GS, 1UL << 63), EPERM);
	ASSERT_ERR(syscall(SYS_arch_prctl, ARCH_SET_FS, (1UL << 47)), EPERM);
	ASSERT_ERR(syscall(SYS_arch_prctl, 0x9999, 0), EINVAL);
}

static void cpuid_is_available(void **state)
{
	assert_int_equal(syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0), 1);
}

static void memory_failures_have_a_policy(void **state)
{
	assert_int_equal(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_DEFAULT);
	ASSERT_OK(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0));
	assert_int_equal(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_EARLY);
	ASSERT_ERR(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, 3, 0, 0), EINVAL);
	ASSERT_ERR(prctl(PR_MCE_KILL, 2, PR_MCE_KILL_LATE, 0, 0), EINVAL);
	ASSERT_ERR(prctl(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 1, 0, 0), EINVAL);
	ASSERT_ERR(prctl(PR_MCE_KILL_GET, 1, 0, 0, 0), EINVAL);
	ASSERT_OK(prctl(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0, 0, 0));
	assert_int_equal(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_DEFAULT);
	ASSERT_OK(prctl(PR_TASK_PERF_EVENTS_DISABLE, 0, 0, 0, 0));
	ASSERT_OK(prctl(PR_TASK_PERF_EVENTS_ENABLE, 0, 0, 0, 0));
}

static void no_new_privs_stays(void **state)
{
	assert_in_range(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0, 1);
	ASSERT_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	assert_int_equal(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	assert_int_equal(status_number("NoNewPrivs"), 1);
}

#ifndef PR_GET_AUXV
#define PR_GET_AUXV 0x41555856
#endif

static void the_auxiliary_vector_can_be_read(void **state)
{
	unsigned long v[128], own[128];
	int fd = (int)ASSERT_OK(open("/proc/self/auxv", O_RDONLY));
	ssize_t n = ASSERT_OK(read(fd, own, sizeof(own)));
	long r;

	close(fd);
	memset(v, 0xff, sizeof(v));
	r = prctl(PR_GET_AUXV, v, sizeof(v), 0, 0);
	if (r < 0 && errno == EINVAL)
		skip(); /* before Linux 6.4 */
	assert_true(r >= n && r < (long)sizeof(v));
	assert_memory_equal(v, own, (size_t)n);
	assert_int_equal(v[r / 8 - 1], 0);
	assert_int_equal(v[r / 8], -1);
	memset(v, 0xff, sizeof(v));
	assert_int_equal(prctl(PR_GET_AUXV, v, 16, 0, 0), r);
	assert_memory_equal(v, own, 16);
	assert_int_equal(v[2], -1);
	ASSERT_ERR(prctl(PR_GET_AUXV, v, 16, 1, 0), EINVAL);
	ASSERT_ERR(prctl(PR_GET_AUXV, 0, 16, 0, 0), EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_cut_to_fifteen_characters),
		cmocka_unit_test(the_death_signal_is_kept),
		cmocka_unit_test(dumpable_is_zero_or_one),
		cmocka_unit_test(the_bounding_set_knows_its_capabilities),
		cmocka_unit_test(timer_slack_is_the_threads_own),
		cmocka_unit_test(keepcaps_and_subreaper_are_flags),
		cmocka_unit_test(unknown_options_are_einval),
		cmocka_unit_test(the_gs_base_is_set_and_read),
		cmocka_unit_test(threads_have_their_own_gs_base),
		cmocka_unit_test(the_fs_base_is_the_thread_pointer),
		cmocka_unit_test(cpuid_is_available),
		cmocka_unit_test(memory_failures_have_a_policy),
		cmocka_unit_test(no_new_privs_stays),
		cmocka_unit_test(the_auxiliary_vector_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
