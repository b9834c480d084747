/* SPDX-License-Identifier: MIT */
/*
 * Locks between processes: mutexes, conditions, barriers, read-write locks and semaphores in shared memory of every kind, at
 * different addresses; robust ones whose owner dies in every way; named semaphores.
 */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SIZE 8192
#define ROUNDS 2000

struct shared {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	pthread_barrier_t barrier;
	pthread_rwlock_t rwlock;
	sem_t sem;
	volatile long n;
	volatile int turn, ready;
};

static int status_of(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return status;
}

static void init_mutex(pthread_mutex_t *m, bool robust, int protocol)
{
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	ASSERT_RET(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED), 0);
	if (robust)
		ASSERT_RET(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST), 0);
	ASSERT_RET(pthread_mutexattr_setprotocol(&a, protocol), 0);
	ASSERT_RET(pthread_mutex_init(m, &a), 0);
	pthread_mutexattr_destroy(&a);
}

/* --- kinds of shared memory: what a second process calls to see the same, maybe elsewhere --------------------------- */

static int memory_fd = -1, memory_id = -1;
static void *memory_at;

static void *map_fd(void)
{
	return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
}

static void *attach(void) { return shmat(memory_id, NULL, 0); }
static void *inherit(void) { return memory_at; }

static void use_anonymous(void)
{
	memory_at = (void *)ASSERT_OK(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

static void use_shm(void)
{
	memory_fd = (int)ASSERT_OK(shm_open("/vmrun-pshared", O_RDWR | O_CREAT | O_TRUNC, 0600));
	ASSERT_OK(ftruncate(memory_fd, SIZE));
	ASSERT_OK(shm_unlink("/vmrun-pshared"));
}

static void use_memfd(void)
{
	memory_fd = (int)ASSERT_OK(memfd_create("pshared", 0));
	ASSERT_OK(ftruncate(memory_fd, SIZE));
}

static void use_file(void)
{
	memory_fd = (int)ASSERT_OK(open("shared", O_RDWR | O_CREAT | O_TRUNC, 0600));
	ASSERT_OK(ftruncate(memory_fd, SIZE));
	ASSERT_OK(unlink("shared"));
}

static void use_segment(void)
{
	memory_id = (int)ASSERT_OK(shmget(IPC_PRIVATE, SIZE, IPC_CREAT | 0600));
}

static const struct kind { const char *name; void (*use)(void); void *(*map)(void); } kinds[] = {
	{ "anonymous", use_anonymous, inherit }, { "/dev/shm", use_shm, map_fd }, { "memfd", use_memfd, map_fd },
	{ "file", use_file, map_fd },           { "segment", use_segment, attach },
};

static struct shared *begin(const struct kind *k)
{
	struct shared *s;

	k->use();
	s = k->map();
	assert_ptr_not_equal(s, MAP_FAILED);
	return s;
}

static void finish(void)
{
	if (memory_fd >= 0)
		close(memory_fd);
	if (memory_id >= 0)
		shmctl(memory_id, IPC_RMID, NULL);
	memory_fd = memory_id = -1;
}

/* --- exclusion -------------------------------------------------------------------------------------------------- */

static int count_up(const struct kind *k)
{
	struct shared *s = k->map();

	for (int i = 0; i < ROUNDS; i++) {
		if (pthread_mutex_lock(&s->mutex))
			return 1;
		long n = s->n;
		if (i % 64 == 0)
			sched_yield();
		s->n = n + 1;
		if (pthread_mutex_unlock(&s->mutex))
			return 2;
	}
	return 0;
}

static void mutexes_exclude(int protocol, bool robust)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct shared *s = begin(&kinds[i]);
		pid_t pid[3];

		s->n = 0;
		init_mutex(&s->mutex, robust, protocol);
		for (int j = 0; j < 3; j++) {
			pid[j] = fork();
			if (pid[j] == 0)
				_exit(count_up(&kinds[i]));
		}
		for (int j = 0; j < 3; j++)
			assert_int_equal(status_of(pid[j]), 0);
		if (s->n != 3 * ROUNDS)
			fail_msg("%s: %ld", kinds[i].name, s->n);
		finish();
	}
}

static void plain_mutexes(void **state) { mutexes_exclude(PTHREAD_PRIO_NONE, false); }
static void robust_mutexes(void **state) { mutexes_exclude(PTHREAD_PRIO_NONE, true); }
static void pi_mutexes(void **state) { mutexes_exclude(PTHREAD_PRIO_INHERIT, false); }

/* --- owners that die ---------------------------------------------------------------------------------------------- */

static void die_by_exit(void) { _exit(0); }
static void die_by_signal(void) { raise(SIGKILL); }
static void die_by_exec(void) { execl("/bin/true", "true", NULL); }

static void *lock_and_leave(void *m)
{
	pthread_mutex_lock(m);
	return NULL;
}

static void owners_die(int protocol)
{
	static void (*const die[])(void) = { die_by_exit, die_by_signal, die_by_exec };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct shared *s = begin(&kinds[i]);

		for (size_t j = 0; j < ARRAY_SIZE(die); j++) {
			pid_t pid;

			init_mutex(&s->mutex, true, protocol);
			pid = fork();
			if (pid == 0) {
				struct shared *mine = kinds[i].map();

				if (pthread_mutex_lock(&mine->mutex))
					_exit(1);
				die[j]();
			}
			status_of(pid);
			ASSERT_RET(pthread_mutex_trylock(&s->mutex), EOWNERDEAD);
			ASSERT_RET(pthread_mutex_consistent(&s->mutex), 0);
			ASSERT_RET(pthread_mutex_unlock(&s->mutex), 0);
			ASSERT_RET(pthread_mutex_lock(&s->mutex), 0);
			ASSERT_RET(pthread_mutex_unlock(&s->mutex), 0);
			pthread_mutex_destroy(&s->mutex);
		}
		finish();
	}
}

static void robust_owners_die(void **state) { owners_die(PTHREAD_PRIO_NONE); }
static void robust_pi_owners_die(void **state) { owners_die(PTHREAD_PRIO_INHERIT); }

/* The lock is waited for when its owner goes. */
static void sleepers_learn_of_it(int protocol)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct shared *s = begin(&kinds[i]);
		pid_t owner, waiter;

		s->ready = 0;
		init_mutex(&s->mutex, true, protocol);
		owner = fork();
		if (owner == 0) {
			struct shared *mine = kinds[i].map();

			pthread_mutex_lock(&mine->mutex);
			mine->ready = 1;
			pause();
		}
		while (!s->ready)
			usleep(1000);
		waiter = fork();
		if (waiter == 0) {
			struct shared *mine = kinds[i].map();

			_exit(pthread_mutex_lock(&mine->mutex) == EOWNERDEAD && pthread_mutex_consistent(&mine->mutex) == 0 &&
			      pthread_mutex_unlock(&mine->mutex) == 0 ? 0 : 1);
		}
		usleep(50000);
		kill(owner, SIGKILL);
		status_of(owner);
		if (status_of(waiter) != 0)
			fail_msg("%s", kinds[i].name);
		ASSERT_RET(pthread_mutex_lock(&s->mutex), 0);
		finish();
	}
}

static void robust_sleepers(void **state) { sleepers_learn_of_it(PTHREAD_PRIO_NONE); }
static void robust_pi_sleepers(void **state) { sleepers_learn_of_it(PTHREAD_PRIO_INHERIT); }

static void what_is_not_repaired_is_lost(void **state)
{
	struct shared *s = begin(&kinds[1]);
	pthread_t th;

	init_mutex(&s->mutex, true, PTHREAD_PRIO_NONE);
	pthread_create(&th, NULL, lock_and_leave, &s->mutex);
	pthread_join(th, NULL);
	ASSERT_RET(pthread_mutex_lock(&s->mutex), EOWNERDEAD);
	ASSERT_RET(pthread_mutex_unlock(&s->mutex), 0); /* inconsistent */
	ASSERT_RET(pthread_mutex_lock(&s->mutex), ENOTRECOVERABLE);
	finish();
}

/* --- the others ---------------------------------------------------------------------------------------------------- */

static void conditions_pass_the_turn(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct shared *s = begin(&kinds[i]);
		pthread_condattr_t a;
		pid_t pid[3];

		init_mutex(&s->mutex, false, PTHREAD_PRIO_NONE);
		pthread_condattr_init(&a);
		pthread_condattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
		pthread_cond_init(&s->cond, &a);
		s->turn = 0;
		for (int j = 0; j < 3; j++) {
			pid[j] = fork();
			if (pid[j] == 0) {
				struct shared *m = kinds[i].map();

				for (int round = 0; round < 100; round++) {
					pthread_mutex_lock(&m->mutex);
					while (m->turn % 3 != j)
						pthread_cond_wait(&m->cond, &m->mutex);
					m->turn++;
					pthread_cond_broadcast(&m->cond);
					pthread_mutex_unlock(&m->mutex);
				}
				_exit(0);
			}
		}
		for (int j = 0; j < 3; j++)
			assert_int_equal(status_of(pid[j]), 0);
		assert_int_equal(s->turn, 300);
		finish();
	}
}

static void barriers_hold(void **state)
{
	struct shared *s = begin(&kinds[1]);
	pthread_barrierattr_t a;
	pid_t pid[3];

	pthread_barrierattr_init(&a);
	pthread_barrierattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	ASSERT_RET(pthread_barrier_init(&s->barrier, &a, 3), 0);
	s->n = 0;
	for (int j = 0; j < 3; j++) {
		pid[j] = fork();
		if (pid[j] == 0) {
			struct shared *m = map_fd();

			for (int i = 1; i <= 50; i++) {
				__atomic_fetch_add(&m->n, 1, __ATOMIC_SEQ_CST);
				pthread_barrier_wait(&m->barrier);
				if (m->n != 3 * i)
					_exit(1);
				pthread_barrier_wait(&m->barrier);
			}
			_exit(0);
		}
	}
	for (int j = 0; j < 3; j++)
		assert_int_equal(status_of(pid[j]), 0);
	finish();
}

static void readers_and_writers(void **state)
{
	struct shared *s = begin(&kinds[2]);
	pthread_rwlockattr_t a;
	pid_t pid[3];

	pthread_rwlockattr_init(&a);
	pthread_rwlockattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	ASSERT_RET(pthread_rwlock_init(&s->rwlock, &a), 0);
	s->n = 0;
	s->turn = 0;
	for (int j = 0; j < 3; j++) {
		pid[j] = fork();
		if (pid[j] == 0) {
			struct shared *m = map_fd();

			for (int i = 0; i < 500; i++) {
				if (i % 5 == 0) {
					pthread_rwlock_wrlock(&m->rwlock);
					m->n++;
					m->turn++;
				} else {
					pthread_rwlock_rdlock(&m->rwlock);
					if (m->n != m->turn)
						_exit(1);
				}
				pthread_rwlock_unlock(&m->rwlock);
			}
			_exit(0);
		}
	}
	for (int j = 0; j < 3; j++)
		assert_int_equal(status_of(pid[j]), 0);
	assert_int_equal(s->n, 300);
	finish();
}

static void unnamed_semaphores(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct shared *s = begin(&kinds[i]);
		pid_t pid;

		ASSERT_OK(sem_init(&s->sem, 1, 0));
		pid = fork();
		if (pid == 0) {
			struct shared *m = kinds[i].map();

			for (int j = 0; j < 100; j++)
				if (sem_wait(&m->sem))
					_exit(1);
			_exit(0);
		}
		for (int j = 0; j < 100; j++)
			ASSERT_OK(sem_post(&s->sem));
		assert_int_equal(status_of(pid), 0);
		finish();
	}
}

static void named_semaphores(void **state)
{
	struct timespec soon;
	char name[64];
	sem_t *sem, *other;
	pid_t pid;
	int val;

	snprintf(name, sizeof(name), "/vmrun-sem-%d", getpid());
	sem_unlink(name);
	assert_ptr_equal(sem_open(name, 0), SEM_FAILED);
	assert_int_equal(errno, ENOENT);
	sem = sem_open(name, O_CREAT | O_EXCL, 0600, 2);
	assert_ptr_not_equal(sem, SEM_FAILED);
	assert_ptr_equal(sem_open(name, O_CREAT | O_EXCL, 0600, 2), SEM_FAILED);
	assert_int_equal(errno, EEXIST);
	other = sem_open(name, O_CREAT, 0600, 7);
	assert_ptr_equal(other, sem); /* one address for a process */
	ASSERT_OK(sem_close(other));
	ASSERT_OK(sem_getvalue(sem, &val));
	assert_int_equal(val, 2);
	ASSERT_OK(sem_wait(sem));
	ASSERT_OK(sem_trywait(sem));
	ASSERT_ERR(sem_trywait(sem), EAGAIN);
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec += 30000000;
	soon.tv_sec += soon.tv_nsec / 1000000000;
	soon.tv_nsec %= 1000000000;
	ASSERT_ERR(sem_timedwait(sem, &soon), ETIMEDOUT);
	pid = fork();
	if (pid == 0) {
		sem_t *mine = sem_open(name, 0);

		_exit(mine == SEM_FAILED || sem_wait(mine) || sem_unlink(name));
	}
	usleep(20000);
	ASSERT_OK(sem_post(sem));
	assert_int_equal(status_of(pid), 0);
	ASSERT_ERR(sem_unlink(name), ENOENT);
	ASSERT_OK(sem_post(sem)); /* lives on */
	ASSERT_OK(sem_wait(sem));
	ASSERT_OK(sem_close(sem));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_mutexes),
		cmocka_unit_test(robust_mutexes),
		cmocka_unit_test(pi_mutexes),
		cmocka_unit_test(robust_owners_die),
		cmocka_unit_test(robust_pi_owners_die),
		cmocka_unit_test(robust_sleepers),
		cmocka_unit_test(robust_pi_sleepers),
		cmocka_unit_test(what_is_not_repaired_is_lost),
		cmocka_unit_test(conditions_pass_the_turn),
		cmocka_unit_test(barriers_hold),
		cmocka_unit_test(readers_and_writers),
		cmocka_unit_test(unnamed_semaphores),
		cmocka_unit_test(named_semaphores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
