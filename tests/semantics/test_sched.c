/* SPDX-License-Identifier: MIT */
/*
 * Scheduling calls: affinity, getcpu(2), policies, priorities and nice, membarrier(2), rseq(2).
 * Values and errors only; who runs when is not tested. What only root may do is left out.
 */
#include "tests/lib/child.h"
#include "tests/lib/clock.h"
#include "tests/lib/maps.h"

#include <linux/ioprio.h>
#include <linux/membarrier.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NO_PID 0x3fffffff
#define U 54321

static void yield_succeeds(void **state)
{
	assert_int_equal(sched_yield(), 0);
}

static void affinity_is_kept_and_obeyed(void **state)
{
	cpu_set_t all, one, now;
	unsigned int cpu, node;

	ASSERT_OK(sched_getaffinity(0, sizeof(all), &all));
	assert_true(CPU_COUNT(&all) >= 1);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		ASSERT_OK(sched_setaffinity(0, sizeof(one), &one));
		ASSERT_OK(sched_getaffinity(0, sizeof(now), &now));
		assert_true(CPU_EQUAL(&now, &one));
		assert_int_equal(sched_getcpu(), i);
		ASSERT_OK(syscall(SYS_getcpu, &cpu, &node, NULL));
		assert_int_equal(cpu, i);
	}
	ASSERT_OK(sched_setaffinity(gettid(), sizeof(all), &all));
	ASSERT_OK(sched_getaffinity(gettid(), sizeof(now), &now));
	assert_true(CPU_EQUAL(&now, &all));
}

static void affinity_calls_check_their_arguments(void **state)
{
	cpu_set_t all, none;
	unsigned long words[16] = { 0 };

	CPU_ZERO(&none);
	ASSERT_OK(sched_getaffinity(0, sizeof(all), &all));
	ASSERT_ERR(sched_setaffinity(0, sizeof(none), &none), EINVAL);
	ASSERT_ERR(sched_setaffinity(0, 0, &all), EINVAL);
	ASSERT_ERR(sched_setaffinity(NO_PID, sizeof(all), &all), ESRCH);
	ASSERT_ERR(syscall(SYS_sched_setaffinity, 0, 8, (void *)8), EFAULT);
	ASSERT_ERR(sched_getaffinity(NO_PID, sizeof(all), &all), ESRCH);
	ASSERT_ERR(syscall(SYS_sched_getaffinity, 0, 0, words), EINVAL);
	ASSERT_ERR(syscall(SYS_sched_getaffinity, 0, 12, words), EINVAL);       /* whole longs */
	ASSERT_ERR(syscall(SYS_sched_getaffinity, 0, 128, (void *)8), EFAULT);
	long r = ASSERT_OK(syscall(SYS_sched_getaffinity, 0, sizeof(words), words));
	assert_true(r > 0 && r % 8 == 0 && r <= (long)sizeof(words));           /* bytes filled */
}

static cpu_set_t inherited;

static void *tell_affinity(void *arg)
{
	sched_getaffinity(0, sizeof(inherited), &inherited);
	return NULL;
}

static void threads_inherit_affinity(void **state)
{
	cpu_set_t all, one;
	pthread_t t;
	int first = 0;

	ASSERT_OK(sched_getaffinity(0, sizeof(all), &all));
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	ASSERT_OK(sched_setaffinity(0, sizeof(one), &one));
	ASSERT_RET(pthread_create(&t, NULL, tell_affinity, NULL), 0);
	ASSERT_OK(sched_setaffinity(0, sizeof(all), &all));
	ASSERT_RET(pthread_join(t, NULL), 0);
	assert_true(CPU_EQUAL(&inherited, &one));
}

static void getcpu_takes_null_and_faults(void **state)
{
	unsigned int node = 99;

	ASSERT_OK(syscall(SYS_getcpu, NULL, NULL, NULL));
	ASSERT_OK(syscall(SYS_getcpu, NULL, &node, NULL));
	assert_true(node < 99);
	ASSERT_ERR(syscall(SYS_getcpu, (void *)8, NULL, NULL), EFAULT);
}

static void priority_ranges_are_linuxs(void **state)
{
	const struct { int policy, min, max; } c[] = {
		{ SCHED_OTHER, 0, 0 }, { SCHED_BATCH, 0, 0 }, { SCHED_IDLE, 0, 0 },
		{ SCHED_FIFO, 1, 99 }, { SCHED_RR, 1, 99 }, { SCHED_DEADLINE, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		assert_int_equal(sched_get_priority_min(c[i].policy), c[i].min);
		assert_int_equal(sched_get_priority_max(c[i].policy), c[i].max);
	}
	ASSERT_ERR(sched_get_priority_min(4), EINVAL);
	ASSERT_ERR(sched_get_priority_max(-1), EINVAL);
}

static void policies_are_set_and_read_back(void **state)
{
	struct sched_param sp = { 0 }, got = { 5 };
	struct timespec ts;

	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	ASSERT_OK(sched_getparam(0, &got));
	assert_int_equal(got.sched_priority, 0);
	ASSERT_OK(sched_setscheduler(0, SCHED_BATCH, &sp));
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
	ASSERT_OK(sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &sp));
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER | SCHED_RESET_ON_FORK);
	if (sched_setscheduler(0, SCHED_OTHER, &sp) == -1)
		assert_int_equal(errno, EPERM);         /* taking the flag back is privileged */
	ASSERT_OK(sched_setparam(0, &sp));
	ASSERT_OK(sched_rr_get_interval(0, &ts));
	assert_true(ts.tv_sec >= 0 && ts.tv_nsec < 1000000000);
	/* Realtime: allowed or not, as the host says; if allowed it is what is read. */
	sp.sched_priority = 1;
	if (sched_setscheduler(0, SCHED_FIFO, &sp) == 0) {
		assert_int_equal(sched_getscheduler(0) & ~SCHED_RESET_ON_FORK, SCHED_FIFO);
		ASSERT_OK(sched_getparam(0, &got));
		assert_int_equal(got.sched_priority, 1);
		sp.sched_priority = 0;
		ASSERT_OK(sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &sp));
	} else {
		assert_int_equal(errno, EPERM);
	}
}

static void scheduler_calls_check_their_arguments(void **state)
{
	struct sched_param zero = { 0 }, one = { 1 }, high = { 100 };
	struct timespec ts;
	uint32_t attr[32] = { 47 };

	ASSERT_ERR(sched_setscheduler(0, SCHED_OTHER, &one), EINVAL);
	ASSERT_ERR(sched_setscheduler(0, SCHED_FIFO, &zero), EINVAL);
	ASSERT_ERR(sched_setscheduler(0, SCHED_RR, &high), EINVAL);
	ASSERT_ERR(sched_setscheduler(0, 4, &zero), EINVAL);
	ASSERT_ERR(sched_setscheduler(0, -1, &zero), EINVAL);
	ASSERT_ERR(sched_setscheduler(-1, SCHED_OTHER, &zero), EINVAL);
	ASSERT_ERR(sched_setscheduler(NO_PID, SCHED_OTHER, &zero), ESRCH);
	ASSERT_ERR(sched_setscheduler(0, SCHED_OTHER, NULL), EINVAL);
	ASSERT_ERR(sched_setscheduler(0, SCHED_OTHER, (void *)8), EFAULT);
	ASSERT_ERR(sched_getscheduler(-1), EINVAL);
	ASSERT_ERR(sched_getscheduler(NO_PID), ESRCH);
	ASSERT_ERR(sched_getparam(0, NULL), EINVAL);
	ASSERT_ERR(sched_getparam(-1, &zero), EINVAL);
	ASSERT_ERR(sched_getparam(NO_PID, &zero), ESRCH);
	ASSERT_ERR(sched_setparam(0, &one), EINVAL);
	ASSERT_ERR(sched_rr_get_interval(-1, &ts), EINVAL);
	ASSERT_ERR(sched_rr_get_interval(NO_PID, &ts), ESRCH);
	ASSERT_ERR(syscall(SYS_sched_getattr, 0, attr, 47, 0), EINVAL);
	ASSERT_ERR(syscall(SYS_sched_getattr, 0, attr, 48, 1), EINVAL);
	ASSERT_OK(syscall(SYS_sched_getattr, 0, attr, 48, 0));
	assert_true(attr[0] >= 48);
}

static void nice_values_are_set_and_clamped(void **state)
{
	ASSERT_ERR(getpriority(9, 0), EINVAL);
	ASSERT_ERR(setpriority(-1, 0, 0), EINVAL);
	ASSERT_ERR(getpriority(PRIO_PROCESS, NO_PID), ESRCH);
	ASSERT_ERR(setpriority(PRIO_PROCESS, NO_PID, 0), ESRCH);
	int now = getpriority(PRIO_PROCESS, 0);
	assert_in_range(now + 20, 0, 39);
	assert_int_equal(syscall(SYS_getpriority, PRIO_PROCESS, 0), 20 - now);  /* the raw call's form */
	ASSERT_OK(setpriority(PRIO_PROCESS, 0, now < 15 ? now + 1 : 19));
	assert_int_equal(getpriority(PRIO_PROCESS, 0), now < 15 ? now + 1 : 19);
	ASSERT_OK(setpriority(PRIO_PROCESS, 0, 100));
	assert_int_equal(getpriority(PRIO_PROCESS, 0), 19);
}

/* It stays as privileged as it is permitted to be, though its real user is U: one of U does not handle it. */
static int serve_user(void *arg)
{
	CHECK(setresuid(U, 0, 0) == 0);
	for (;;)
		pause();
}

static int handle_privileged(void *arg)
{
	pid_t pid = *(pid_t *)arg;
	struct sched_param sp = { 0 };
	cpu_set_t set;

	CHECK(sched_getaffinity(pid, sizeof(set), &set) == 0 && setresuid(U, U, U) == 0);
	CHECK(sched_setscheduler(pid, SCHED_OTHER, &sp) == -1 && errno == EPERM);
	CHECK(sched_setaffinity(pid, sizeof(set), &set) == -1 && errno == EPERM);
	CHECK(setpriority(PRIO_PROCESS, (id_t)pid, 5) == -1 && errno == EPERM);
	CHECK(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 4)) == -1 && errno == EPERM);
	return 0;
}

static void the_privileged_are_not_handled_by_others(void **state)
{
	char path[64], text[4096];
	pid_t pid;
	int i = 0;

	if (geteuid() != 0)
		skip();
	pid = child_start(serve_user, NULL);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	do
		sched_yield();
	while (proc_read(path, text, sizeof(text)) > 0 && !strstr(text, "Uid:\t54321\t0") && ++i < 1000000);
	IN_CHILD(handle_privileged, &pid);
	kill(pid, SIGKILL);
	assert_int_equal(child_status(pid), SIGKILL);
}

static void membarrier_registers_before_it_serves(void **state)
{
	long all = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	if (all == -1 && errno == ENOSYS)
		skip();
	assert_true(all > 0 && (all & MEMBARRIER_CMD_GLOBAL));
	ASSERT_ERR(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 1, 0), EINVAL);
	ASSERT_ERR(syscall(SYS_membarrier, 1 << 30, 0, 0), EINVAL);
	ASSERT_OK(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
	if (!(all & MEMBARRIER_CMD_PRIVATE_EXPEDITED))
		skip();
	ASSERT_ERR(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), EPERM);
	ASSERT_OK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
	ASSERT_OK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
}

static struct rseq rseq_area;
static long rseq_result[8];
static int rseq_err[8];
static unsigned int rseq_cpu;

static void *use_rseq(void *arg)
{
	const struct { size_t shift; unsigned int len; int flags; unsigned int sig; } c[] = {
		{ 0, 32, 2, 0x53053053 },       /* unknown flag */
		{ 0, 16, 0, 0x53053053 },       /* wrong length */
		{ 4, 32, 0, 0x53053053 },       /* not aligned */
		{ 0, 32, 0, 0x53053053 },       /* yes */
		{ 0, 32, 0, 0x53053053 },       /* once more: busy */
		{ 0, 32, 0, 0x12345678 },       /* with another signature */
		{ 0, 32, 1, 0x12345678 },       /* take it back with a wrong one */
		{ 0, 32, 1, 0x53053053 },       /* take it back */
	};
	/* The library's own registration has to go first; a thread with none is easiest made so. */
	char *lib = (char *)__builtin_thread_pointer() + __rseq_offset;

	if (__rseq_size != 0)
		syscall(SYS_rseq, lib, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		rseq_result[i] = syscall(SYS_rseq, (char *)&rseq_area + c[i].shift, c[i].len, c[i].flags,
					 c[i].sig);
		rseq_err[i] = errno;
		if (i == 3)
			rseq_cpu = rseq_area.cpu_id;
	}
	return NULL;
}

static void rseq_registers_or_is_not_there(void **state)
{
	const int want[] = { EINVAL, EINVAL, EINVAL, 0, EBUSY, EPERM, EPERM, 0 };
	pthread_t t;

	rseq_area.cpu_id = RSEQ_CPU_ID_UNINITIALIZED;
	ASSERT_RET(pthread_create(&t, NULL, use_rseq, NULL), 0);
	ASSERT_RET(pthread_join(t, NULL), 0);
	if (rseq_result[3] == -1 && rseq_err[3] == ENOSYS)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		if (want[i] ? rseq_result[i] != -1 || rseq_err[i] != want[i] : rseq_result[i] != 0)
			fail_msg("step %zu: got %ld/%s, want %s", i, rseq_result[i],
				 errno_name(rseq_err[i]), errno_name(want[i]));
	assert_true(rseq_cpu < CPU_SETSIZE);            /* filled when the call returned */
}

static int io_of_group(void *arg)
{
	const int low = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6);
	pid_t me = getpid(), pid;

	CHECK(setpgid(0, 0) == 0);
	CHECK(syscall(SYS_ioprio_get, IOPRIO_WHO_PGRP, 0) == (int)IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, (getpriority(PRIO_PROCESS, 0) + 20) / 5));
	pid = fork();
	if (pid == 0)
		_exit(pause());
	CHECK(syscall(SYS_ioprio_set, IOPRIO_WHO_PGRP, me, low) == 0);
	CHECK(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) == low);
	CHECK(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, pid) == low);
	CHECK(syscall(SYS_ioprio_get, IOPRIO_WHO_PGRP, 0) == low);
	CHECK(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 2)) == 0);
	CHECK(syscall(SYS_ioprio_get, IOPRIO_WHO_PGRP, 0) == IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 2)); /* the best */
	CHECK(kill(pid, SIGKILL) == 0);
	child_status(pid);
	return 0;
}

static void io_priorities_are_of_groups_and_users_too(void **state)
{
	if (syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) != 0)
		skip(); /* somebody has set it */
	IN_CHILD(io_of_group, NULL);
	ASSERT_ERR(syscall(SYS_ioprio_get, IOPRIO_WHO_PGRP, 999999), ESRCH);
	ASSERT_ERR(syscall(SYS_ioprio_get, IOPRIO_WHO_USER, 999999), ESRCH);
	ASSERT_ERR(syscall(SYS_ioprio_get, 4, 0), EINVAL);
	ASSERT_ERR(syscall(SYS_ioprio_get, 0, 0), EINVAL);
	assert_true(ASSERT_OK(syscall(SYS_ioprio_get, IOPRIO_WHO_USER, 0)) > 0);
}

static long get_policy(int *mode, unsigned long *mask, unsigned flags)
{
	*mask = 0;
	return syscall(SYS_get_mempolicy, mode, mask, 1024, 0, flags);
}

static int policies_of_child(void *arg)
{
	unsigned long one = 1, mask[16];
	int mode = -1;
	pid_t pid;

	CHECK(syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, &one, 64) == 0);
	CHECK(get_policy(&mode, mask, 0) == 0 && mode == MPOL_INTERLEAVE && mask[0] == 1);
	CHECK(get_policy(&mode, mask, MPOL_F_NODE) == 0 && mode == 0);
	pid = fork();
	if (pid == 0)
		_exit(get_policy(&mode, mask, 0) == 0 && mode == MPOL_INTERLEAVE ? 0 : 1);
	CHECK(child_status(pid) == 0);
	CHECK(syscall(SYS_set_mempolicy, MPOL_PREFERRED, NULL, 0) == 0);
	CHECK(get_policy(&mode, mask, 0) == 0 && mask[0] == 0);
	CHECK(get_policy(&mode, mask, MPOL_F_NODE) == -1 && errno == EINVAL);
	CHECK(syscall(SYS_set_mempolicy, MPOL_BIND | MPOL_F_STATIC_NODES, &one, 64) == 0);
	CHECK(get_policy(&mode, mask, 0) == 0 && mode == (MPOL_BIND | MPOL_F_STATIC_NODES) && mask[0] == 1);
	CHECK(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0) == 0);
	CHECK(get_policy(&mode, mask, 0) == 0 && mode == MPOL_DEFAULT && mask[0] == 0);
	return 0;
}

static void memory_policies_are_kept_and_inherited(void **state)
{
	unsigned long mask[16];
	int mode;

	if (get_policy(&mode, mask, 0) == -1)
		skip(); /* a kernel without NUMA */
	IN_CHILD(policies_of_child, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(yield_succeeds),
		cmocka_unit_test(affinity_is_kept_and_obeyed),
		cmocka_unit_test(affinity_calls_check_their_arguments),
		cmocka_unit_test(threads_inherit_affinity),
		cmocka_unit_test(getcpu_takes_null_and_faults),
		cmocka_unit_test(priority_ranges_are_linuxs),
		cmocka_unit_test(policies_are_set_and_read_back),
		cmocka_unit_test(scheduler_calls_check_their_arguments),
		cmocka_unit_test(the_privileged_are_not_handled_by_others),
		cmocka_unit_test(membarrier_registers_before_it_serves),
		cmocka_unit_test(rseq_registers_or_is_not_there),
		cmocka_unit_test(nice_values_are_set_and_clamped),
		cmocka_unit_test(io_priorities_are_of_groups_and_users_too),
		cmocka_unit_test(memory_policies_are_kept_and_inherited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
