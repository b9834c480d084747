/* SPDX-License-Identifier: MIT */
/*
 * System V semaphores: all or nothing, order of the sleepers, time limits and signals, what semctl(2) shows and sets, and what
 * SEM_UNDO does at the end of a process, of threads, and across exec. Every case removes its sets.
 */
#include "tests/lib/child.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

union semun { int val; struct semid_ds *buf; unsigned short *array; struct seminfo *info; };

static int make(int n, int mode)
{
	return (int)ASSERT_OK(semget(IPC_PRIVATE, n, IPC_CREAT | mode));
}

static void remove_id(int id)
{
	ASSERT_OK(semctl(id, 0, IPC_RMID));
}

static int op(int id, int num, int by, int flags)
{
	struct sembuf o = { .sem_num = (unsigned short)num, .sem_op = (short)by, .sem_flg = (short)flags };

	return semop(id, &o, 1);
}

static int val(int id, int num) { return semctl(id, num, GETVAL); }
static int set(int id, int num, int v) { return semctl(id, num, SETVAL, (union semun){ .val = v }); }

/* Until cmd's count for semaphore num is n. */
static void wait_count(int id, int num, int cmd, int n)
{
	for (int i = 0; i < 5000 && semctl(id, num, cmd) != n; i++)
		usleep(1000);
	assert_int_equal(semctl(id, num, cmd), n);
}

static void keys_name_sets(void **state)
{
	key_t key = 0x564e0000 + (getpid() & 0xffff);
	struct semid_ds ds;
	int id;

	ASSERT_ERR(semget(key, 1, 0600), ENOENT);
	ASSERT_ERR(semget(key, 0, IPC_CREAT | 0600), EINVAL);
	ASSERT_ERR(semget(key, -1, IPC_CREAT | 0600), EINVAL);
	ASSERT_ERR(semget(key, 32001, IPC_CREAT | 0600), EINVAL);
	id = (int)ASSERT_OK(semget(key, 3, IPC_CREAT | 0640));
	assert_int_equal(semget(key, 0, 0), id);
	assert_int_equal(semget(key, 3, 0600), id);
	ASSERT_ERR(semget(key, 4, 0600), EINVAL);
	ASSERT_ERR(semget(key, 3, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	ASSERT_OK(semctl(id, 0, IPC_STAT, (union semun){ .buf = &ds }));
	assert_int_equal(ds.sem_nsems, 3);
	assert_int_equal(ds.sem_otime, 0);
	assert_in_range(ds.sem_ctime, time(NULL) - 5, time(NULL));
	assert_int_equal(ds.sem_perm.mode, 0640);
	assert_int_equal(ds.sem_perm.__key, key);
	remove_id(id);
	ASSERT_ERR(semctl(id, 0, IPC_STAT, (union semun){ .buf = &ds }), EINVAL);
	ASSERT_ERR(op(id, 0, 1, 0), EINVAL);
}

static void operations_are_all_or_nothing(void **state)
{
	int id = make(3, 0600);
	struct sembuf ops[3] = { { 0, 5, 0 }, { 1, -1, IPC_NOWAIT }, { 2, 1, 0 } };

	ASSERT_ERR(semop(id, ops, 3), EAGAIN);
	for (int i = 0; i < 3; i++)
		assert_int_equal(val(id, i), 0);
	ASSERT_OK(set(id, 1, 1));
	ASSERT_OK(semop(id, ops, 3));
	assert_int_equal(val(id, 0), 5);
	assert_int_equal(val(id, 1), 0);
	assert_int_equal(val(id, 2), 1);
	assert_int_equal(semctl(id, 2, GETPID), getpid());
	/* one after the other, so they may name the same one twice */
	struct sembuf twice[3] = { { 1, 2, 0 }, { 1, -2, IPC_NOWAIT }, { 1, 0, IPC_NOWAIT } };
	ASSERT_OK(semop(id, twice, 3));
	struct sembuf over[2] = { { 0, 1, 0 }, { 2, 32767, 0 } };
	ASSERT_ERR(semop(id, over, 2), ERANGE);
	assert_int_equal(val(id, 0), 5);
	struct sembuf zeros[2] = { { 1, 0, SEM_UNDO }, { 0, 0, SEM_UNDO | IPC_NOWAIT } }; /* nothing to undo */
	ASSERT_ERR(semop(id, zeros, 2), EAGAIN);
	ASSERT_ERR(op(id, 0, 0, IPC_NOWAIT), EAGAIN);
	ASSERT_OK(op(id, 1, 0, IPC_NOWAIT));
	remove_id(id);
}

static void arguments_are_checked(void **state)
{
	int id = make(2, 0600);
	struct sembuf many[501], one = { 2, 1, 0 };
	struct timespec bad = { 0, 1000000000 };

	memset(many, 0, sizeof(many));
	ASSERT_ERR(semop(id, many, 501), E2BIG);
	ASSERT_OK(semop(id, many, 500));
	ASSERT_ERR(semop(id, many, 0), EINVAL);
	ASSERT_ERR(semop(id, (void *)1, 1), EFAULT);
	ASSERT_ERR(semop(id, &one, 1), EFBIG);
	ASSERT_ERR(semop(-1, many, 1), EINVAL);
	ASSERT_ERR(semtimedop(id, many, 1, &bad), EINVAL);
	ASSERT_ERR(syscall(SYS_semtimedop, id, many, 1, (void *)1), EFAULT);
	ASSERT_ERR(set(id, 0, -1), ERANGE);
	ASSERT_ERR(set(id, 0, 32768), ERANGE);
	ASSERT_ERR(set(id, 2, 0), EINVAL);
	ASSERT_ERR(set(id, -1, 0), EINVAL);
	ASSERT_ERR(val(id, 2), EINVAL);
	ASSERT_ERR(semctl(id, 0, 99, 0), EINVAL);
	ASSERT_ERR(semctl(-1, 0, GETVAL), EINVAL);
	ASSERT_ERR(semctl(id, 0, GETALL, (union semun){ .array = (void *)1 }), EFAULT);
	ASSERT_ERR(semctl(id, 0, SETALL, (union semun){ .array = (void *)1 }), EFAULT);
	remove_id(id);
}

static void all_values_at_once(void **state)
{
	unsigned short v[4] = { 1, 2, 3, 32767 }, got[4] = { 0 };
	int id = make(4, 0600);

	ASSERT_OK(semctl(id, 0, SETALL, (union semun){ .array = v }));
	ASSERT_OK(semctl(id, 0, GETALL, (union semun){ .array = got }));
	assert_memory_equal(v, got, sizeof(v));
	v[1] = 32768;
	ASSERT_ERR(semctl(id, 0, SETALL, (union semun){ .array = v }), ERANGE);
	remove_id(id);
}

static void sleepers_are_counted_and_woken(void **state)
{
	int id = make(2, 0600);
	pid_t pid[3];

	ASSERT_OK(set(id, 1, 1));
	for (int i = 0; i < 3; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			_exit(op(id, i < 2 ? 0 : 1, i < 2 ? -1 : 0, 0) ? 1 : 0);
	}
	wait_count(id, 0, GETNCNT, 2);
	wait_count(id, 1, GETZCNT, 1);
	assert_int_equal(semctl(id, 0, GETZCNT), 0);
	ASSERT_OK(op(id, 0, 2, 0));
	assert_int_equal(val(id, 0), 0); /* done for them, at once */
	assert_int_equal(semctl(id, 0, GETNCNT), 0);
	assert_true(semctl(id, 0, GETPID) == pid[0] || semctl(id, 0, GETPID) == pid[1]);
	ASSERT_OK(set(id, 1, 0));
	for (int i = 0; i < 3; i++)
		assert_int_equal(child_status(pid[i]), 0);
	remove_id(id);
}

static void first_come_first_served(void **state)
{
	int id = make(1, 0600), order[2];
	pid_t pid[4];
	char c;

	ASSERT_OK(pipe(order));
	for (int i = 0; i < 4; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			c = (char)('0' + i);
			_exit(op(id, 0, -1, 0) || write(order[1], &c, 1) != 1);
		}
		wait_count(id, 0, GETNCNT, i + 1);
	}
	for (int i = 0; i < 4; i++) {
		ASSERT_OK(op(id, 0, 1, 0));
		ASSERT_OK(read(order[0], &c, 1));
		assert_int_equal(c, '0' + i);
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(child_status(pid[i]), 0);
	close(order[0]);
	close(order[1]);
	remove_id(id);
}

static void removal_wakes(void **state)
{
	int id = make(1, 0600);
	pid_t pid = fork();

	if (pid == 0)
		_exit(op(id, 0, -1, 0) == -1 && errno == EIDRM ? 0 : 1);
	wait_count(id, 0, GETNCNT, 1);
	remove_id(id);
	assert_int_equal(child_status(pid), 0);
}

static int64_t ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void time_limits(void **state)
{
	struct timespec short_time = { 0, 60000000 }, none = { 0, 0 };
	struct sembuf o = { 0, -1, 0 };
	int id = make(1, 0600);
	int64_t start = ms();

	ASSERT_ERR(semtimedop(id, &o, 1, &short_time), EAGAIN);
	assert_in_range(ms() - start, 59, 2000);
	assert_int_equal(semctl(id, 0, GETNCNT), 0);
	ASSERT_ERR(semtimedop(id, &o, 1, &none), EAGAIN);
	ASSERT_OK(set(id, 0, 1));
	ASSERT_OK(semtimedop(id, &o, 1, &none));
	remove_id(id);
}

static void nothing(int sig)
{
}

static void signals_end_the_sleep(void **state)
{
	struct sigaction sa = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	int id = make(1, 0600);
	pid_t pid = fork();

	if (pid == 0) {
		sigaction(SIGUSR1, &sa, NULL);
		_exit(op(id, 0, -1, 0) == -1 && errno == EINTR ? 0 : 1);
	}
	wait_count(id, 0, GETNCNT, 1);
	kill(pid, SIGUSR1);
	assert_int_equal(child_status(pid), 0);
	assert_int_equal(semctl(id, 0, GETNCNT), 0);
	remove_id(id);
}

static void the_end_undoes(void **state)
{
	int id = make(3, 0600);
	pid_t pid;

	ASSERT_OK(set(id, 0, 5));
	ASSERT_OK(set(id, 2, 1));
	pid = fork();
	if (pid == 0) {
		struct sembuf both[2] = { { 0, -3, SEM_UNDO }, { 1, 4, SEM_UNDO } };

		if (semop(id, both, 2) || op(id, 2, -1, 0) || val(id, 0) != 2 || val(id, 1) != 4)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(child_status(pid), 0);
	assert_int_equal(val(id, 0), 5);
	assert_int_equal(val(id, 1), 0);
	assert_int_equal(val(id, 2), 0);
	assert_int_equal(semctl(id, 0, GETPID), pid);
	remove_id(id);
}

static void undoing_wakes_and_stays_in_range(void **state)
{
	int id = make(2, 0600);
	pid_t holder, waiter;

	ASSERT_OK(set(id, 0, 1));
	holder = fork();
	if (holder == 0) {
		if (op(id, 0, -1, SEM_UNDO) || op(id, 1, 3, SEM_UNDO))
			_exit(1);
		pause();
	}
	for (int i = 0; i < 5000 && val(id, 1) != 3; i++)
		usleep(1000);
	waiter = fork();
	if (waiter == 0)
		_exit(op(id, 0, -1, 0) ? 1 : 0);
	wait_count(id, 0, GETNCNT, 1);
	ASSERT_OK(op(id, 1, -2, 0)); /* 1 left of 3: undoing stops at 0 */
	kill(holder, SIGKILL);
	child_status(holder);
	assert_int_equal(child_status(waiter), 0);
	assert_int_equal(val(id, 1), 0);
	remove_id(id);
}

static void setting_forgets_what_to_undo(void **state)
{
	int id = make(1, 0600);
	pid_t pid = fork();

	if (pid == 0)
		_exit(op(id, 0, 5, SEM_UNDO) || set(id, 0, 7) ? 1 : 0);
	assert_int_equal(child_status(pid), 0);
	assert_int_equal(val(id, 0), 7);
	remove_id(id);
}

static void fork_does_not_inherit_and_exec_keeps(void **state)
{
	int id = make(2, 0600);
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		pid_t child;
		int st;

		if (op(id, 0, 1, SEM_UNDO))
			_exit(1);
		child = fork();
		if (child == 0)
			_exit(0);
		waitpid(child, &st, 0);
		_exit(val(id, 0) == 1 ? 0 : 2);
	}
	assert_int_equal(child_status(pid), 0);
	assert_int_equal(val(id, 0), 0);
	pid = fork();
	if (pid == 0) {
		if (op(id, 0, 1, SEM_UNDO))
			_exit(1);
		execl("/bin/true", "true", NULL);
		_exit(2);
	}
	assert_int_equal(child_status(pid), 0);
	assert_int_equal(val(id, 0), 0);
	remove_id(id);
}

static void *raise_it(void *arg)
{
	return op(*(int *)arg, 0, 1, SEM_UNDO) ? arg : NULL;
}

/* Threads share what is to be undone: it happens with the last of them. */
static void threads_undo_together(void **state)
{
	int id = make(1, 0600);
	pid_t pid = fork();

	if (pid == 0) {
		pthread_t th;
		void *r;

		if (pthread_create(&th, NULL, raise_it, &id) || pthread_join(th, &r) || r)
			_exit(1);
		_exit(val(id, 0) == 1 ? 0 : 2);
	}
	assert_int_equal(child_status(pid), 0);
	assert_int_equal(val(id, 0), 0);
	remove_id(id);
}

static void unshare_undoes(void **state)
{
	int id = make(1, 0600);
	pid_t pid = fork();

	if (pid == 0)
		_exit(op(id, 0, 1, SEM_UNDO) || unshare(CLONE_SYSVSEM) || val(id, 0) != 0);
	assert_int_equal(child_status(pid), 0);
	remove_id(id);
}

static void removed_sets_leave_nothing_to_undo(void **state)
{
	int a = make(1, 0600), b;
	pid_t pid = fork();

	if (pid == 0) {
		if (op(a, 0, 1, SEM_UNDO) || semctl(a, 0, IPC_RMID))
			_exit(1);
		b = semget(IPC_PRIVATE, 4, 0600);
		if (op(b, 3, 1, SEM_UNDO) || semctl(b, 0, IPC_RMID))
			_exit(2);
		_exit(0);
	}
	assert_int_equal(child_status(pid), 0);
}

static void limits_of_undo(void **state)
{
	int id = make(1, 0600);
	pid_t pid = fork();

	if (pid == 0) {
		if (op(id, 0, 32767, SEM_UNDO))
			_exit(1);
		if (op(id, 0, -32767, 0))
			_exit(2);
		if (op(id, 0, 2, SEM_UNDO) != -1 || errno != ERANGE)
			_exit(3);
		_exit(val(id, 0));
	}
	assert_int_equal(child_status(pid), 0);
	remove_id(id);
}

static void tables_are_told(void **state)
{
	int id = make(7, 0604), last;
	bool found = false;
	struct seminfo info;
	struct semid_ds ds;
	char line[256];

	last = semctl(0, 0, IPC_INFO, (union semun){ .info = &info });
	assert_true(last >= 0);
	assert_int_equal(info.semmni, 32000);
	assert_int_equal(info.semmsl, 32000);
	assert_int_equal(info.semmns, 1024000000);
	assert_int_equal(info.semopm, 500);
	assert_int_equal(info.semvmx, 32767);
	assert_int_equal(info.semaem, 32767);
	assert_int_equal(semctl(0, 0, SEM_INFO, (union semun){ .info = &info }), last);
	assert_true(info.semusz >= 1);
	assert_true(info.semaem >= 7);
	for (int i = 0; i <= last; i++)
		if (semctl(i, 0, SEM_STAT, (union semun){ .buf = &ds }) == id) {
			assert_int_equal(ds.sem_nsems, 7);
			found = true;
		}
	assert_true(found);
	found = false;
	FILE *f = fopen("/proc/sysvipc/sem", "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	assert_string_equal(line, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
	while (fgets(line, sizeof(line), f)) {
		int key, semid, n;
		unsigned mode;

		assert_int_equal(sscanf(line, "%d %d %o %d", &key, &semid, &mode, &n), 4);
		if (semid == id) {
			assert_int_equal(mode, 0604);
			assert_int_equal(n, 7);
			found = true;
		}
	}
	fclose(f);
	assert_true(found);
	remove_id(id);
}

static int as_nobody(int id)
{
	struct semid_ds ds;

	if (setgid(65534) || setuid(65534))
		return 1;
	if (op(id, 0, 1, 0) != -1 || errno != EACCES)
		return 2;
	if (op(id, 0, 0, 0) != 0) /* reading: waits for zero, which it is */
		return 3;
	if (val(id, 0) != 0 || set(id, 0, 1) != -1 || errno != EACCES)
		return 4;
	if (semctl(id, 0, IPC_STAT, (union semun){ .buf = &ds }))
		return 5;
	if (semctl(id, 0, IPC_SET, (union semun){ .buf = &ds }) != -1 || errno != EPERM)
		return 6;
	return semctl(id, 0, IPC_RMID) == -1 && errno == EPERM ? 0 : 7;
}

static void others_have_their_rights(void **state)
{
	int id;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	id = make(1, 0644);
	pid = fork();
	if (pid == 0)
		_exit(as_nobody(id));
	assert_int_equal(child_status(pid), 0);
	remove_id(id);
}

/* A lock made of one semaphore, and a counter behind it. */
static void several_processes_exclude_each_other(void **state)
{
	int id = make(1, 0600);
	volatile long *n = (void *)ASSERT_OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pid_t pid[4];

	ASSERT_OK(set(id, 0, 1));
	for (int i = 0; i < 4; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			for (int j = 0; j < 300; j++) {
				if (op(id, 0, -1, SEM_UNDO))
					_exit(1);
				*n = *n + 1;
				if (op(id, 0, 1, SEM_UNDO))
					_exit(2);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(child_status(pid[i]), 0);
	assert_int_equal(*n, 1200);
	assert_int_equal(val(id, 0), 1);
	munmap((void *)(uintptr_t)n, 4096);
	remove_id(id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_name_sets),
		cmocka_unit_test(operations_are_all_or_nothing),
		cmocka_unit_test(arguments_are_checked),
		cmocka_unit_test(all_values_at_once),
		cmocka_unit_test(sleepers_are_counted_and_woken),
		cmocka_unit_test(first_come_first_served),
		cmocka_unit_test(removal_wakes),
		cmocka_unit_test(time_limits),
		cmocka_unit_test(signals_end_the_sleep),
		cmocka_unit_test(the_end_undoes),
		cmocka_unit_test(undoing_wakes_and_stays_in_range),
		cmocka_unit_test(setting_forgets_what_to_undo),
		cmocka_unit_test(fork_does_not_inherit_and_exec_keeps),
		cmocka_unit_test(threads_undo_together),
		cmocka_unit_test(unshare_undoes),
		cmocka_unit_test(removed_sets_leave_nothing_to_undo),
		cmocka_unit_test(limits_of_undo),
		cmocka_unit_test(tables_are_told),
		cmocka_unit_test(others_have_their_rights),
		cmocka_unit_test(several_processes_exclude_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
