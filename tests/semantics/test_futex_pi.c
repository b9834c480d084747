/* SPDX-License-Identifier: MIT */
/*
 * The priority inheritance operations of futex(2): LOCK_PI, LOCK_PI2, TRYLOCK_PI, UNLOCK_PI,
 * WAIT_REQUEUE_PI, CMP_REQUEUE_PI: the word's bits (owner's tid, FUTEX_WAITERS, FUTEX_OWNER_DIED),
 * errors, hand-over to the waiter. The effect on priorities is not tested.
 * The other operations are in test_futex.c.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/clock.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PRIVATE FUTEX_PRIVATE_FLAG
#define ALL 0x7fffffff

static atomic_uint lock, cond, other;

static long futex(void *word, int op, unsigned int val, const void *timeout, void *word2,
		  unsigned int val3)
{
	return syscall(SYS_futex, word, op | PRIVATE, val, timeout, word2, val3);
}

static const void *val2(unsigned long n)
{
	return (const void *)n;
}

/* A thread that makes one call, tells the word as it saw it, and keeps the lock until told. */
struct locker {
	pthread_t thread;
	int op;
	const struct timespec *timeout;
	bool unlock;                    /* UNLOCK_PI if it got the lock */
	atomic_int tid, done, go;
	long ret, unlock_ret;
	int err;
	unsigned int word_after;
};

static void *locker_main(void *arg)
{
	struct locker *l = arg;

	l->tid = gettid();
	if (l->op == FUTEX_WAIT_REQUEUE_PI)
		l->ret = futex(&cond, l->op, 0, l->timeout, &lock, 0);
	else
		l->ret = futex(&lock, l->op, 0, l->timeout, NULL, 0);
	l->err = errno;
	l->word_after = lock;
	l->done = 1;
	while (!l->go)
		sleep_ms(1);
	l->unlock_ret = l->unlock ? futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) : 0;
	return NULL;
}

static void locker_start(struct locker *l, int op, bool unlock)
{
	l->op = op;
	l->unlock = unlock;
	ASSERT_RET(pthread_create(&l->thread, NULL, locker_main, l), 0);
}

static void locker_end(struct locker *l, long ret, int err)
{
	l->go = 1;
	ASSERT_RET(pthread_join(l->thread, NULL), 0);
	if (l->ret != ret || (ret == -1 && l->err != err))
		fail_msg("locker got %ld/%s, want %ld/%s", l->ret, errno_name(l->err), ret,
			 errno_name(err));
	ASSERT_RET(l->unlock_ret, 0);
}

static int setup(void **state)
{
	lock = cond = other = 0;
	return 0;
}

static void a_free_lock_takes_the_tid_and_gives_it_back(void **state)
{
	for (int op = 0; op < 2; op++) {
		ASSERT_RET(futex(&lock, op ? FUTEX_TRYLOCK_PI : FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0);
		assert_int_equal(lock, gettid());
		ASSERT_RET(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
		assert_int_equal(lock, 0);
	}
}

static void locking_twice_is_edeadlk(void **state)
{
	lock = (unsigned int)gettid();
	ASSERT_ERR(futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EDEADLK);
	ASSERT_ERR(futex(&lock, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EDEADLK);
	assert_int_equal(lock, gettid());
}

static void only_the_owner_unlocks(void **state)
{
	ASSERT_ERR(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EPERM);
	lock = (unsigned int)gettid() + 1;
	ASSERT_ERR(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EPERM);
	lock = (unsigned int)gettid() | FUTEX_WAITERS;
	ASSERT_RET(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
	assert_int_equal(lock, 0);
}

static void an_owner_that_does_not_exist_is_esrch(void **state)
{
	lock = 0x3ffffff0;
	ASSERT_ERR(futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0), ESRCH);
	ASSERT_ERR(futex(&lock, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), ESRCH);
}

static void addresses_and_times_are_checked(void **state)
{
	struct timespec bad = { 0, 1000000000 };

	ASSERT_ERR(futex((char *)&lock + 1, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EINVAL);
	ASSERT_ERR(futex(NULL, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EFAULT);
	ASSERT_ERR(futex(NULL, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EFAULT);
	ASSERT_ERR(futex(NULL, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EFAULT);
	ASSERT_ERR(futex(&lock, FUTEX_LOCK_PI, 0, &bad, NULL, 0), EINVAL);
	ASSERT_ERR(futex(&lock, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0), ENOSYS);
	ASSERT_ERR(futex(&cond, FUTEX_CMP_REQUEUE_PI, 2, val2(1), &lock, 0), EINVAL);
	ASSERT_ERR(futex(&cond, FUTEX_CMP_REQUEUE_PI, 0, val2(1), &lock, 0), EINVAL);
	ASSERT_ERR(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, val2(1), &cond, 0), EINVAL);
	ASSERT_ERR(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, val2(1), &lock, 1), EAGAIN);
	ASSERT_RET(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, val2(ALL), &lock, 0), 0);
	ASSERT_ERR(futex(&cond, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &cond, 0), EINVAL);
	ASSERT_ERR(futex(&cond, FUTEX_WAIT_REQUEUE_PI, 1, NULL, &lock, 0), EAGAIN);
}

static void trylock_of_a_held_lock_is_eagain(void **state)
{
	struct locker l = { 0 };

	ASSERT_RET(futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0);
	locker_start(&l, FUTEX_TRYLOCK_PI, false);
	locker_end(&l, -1, EAGAIN);
	/* It has marked the word like a waiter. */
	assert_int_equal(lock, (unsigned int)gettid() | FUTEX_WAITERS);
	ASSERT_RET(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
	assert_int_equal(lock, 0);
}

static void unlock_hands_over_to_the_waiter(void **state)
{
	const int ops[] = { FUTEX_LOCK_PI, FUTEX_LOCK_PI2 };

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		struct locker l = { 0 };

		if (ops[i] == FUTEX_LOCK_PI2) {
			if (futex(&lock, FUTEX_LOCK_PI2, 0, NULL, NULL, 0) == -1 && errno == ENOSYS)
				break;
			ASSERT_RET(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
		}
		lock = (unsigned int)gettid();          /* taken without the kernel */
		locker_start(&l, ops[i], true);
		assert_true(EVENTUALLY(lock == ((unsigned int)gettid() | FUTEX_WAITERS)));
		sleep_ms(10);
		assert_false(l.done);
		ASSERT_RET(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
		assert_true(EVENTUALLY(l.done));
		assert_int_equal(l.word_after & FUTEX_TID_MASK, l.tid);
		assert_int_equal(lock & FUTEX_TID_MASK, l.tid);
		ASSERT_ERR(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EPERM);
		locker_end(&l, 0, 0);
		assert_int_equal(lock, 0);
	}
}

static void waiting_for_the_lock_times_out(void **state)
{
	struct timespec real = clock_in_ms(CLOCK_REALTIME, 20);
	struct locker l = { .timeout = &real };
	int64_t start = now_ms();

	lock = (unsigned int)gettid();
	locker_start(&l, FUTEX_LOCK_PI, false);         /* this one is by the realtime clock */
	locker_end(&l, -1, ETIMEDOUT);
	assert_true(now_ms() - start >= 15);
	assert_int_equal(lock, (unsigned int)gettid() | FUTEX_WAITERS);
	ASSERT_RET(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);

	struct timespec mono = clock_in_ms(CLOCK_MONOTONIC, 20);
	struct locker m = { .timeout = &mono };
	lock = (unsigned int)gettid();
	locker_start(&m, FUTEX_LOCK_PI2, false);
	m.go = 1;
	ASSERT_RET(pthread_join(m.thread, NULL), 0);
	assert_true(m.ret == -1 && (m.err == ETIMEDOUT || m.err == ENOSYS));
}

static void *take_and_die(void *arg)
{
	struct locker *l = arg;

	l->tid = gettid();
	l->ret = futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	l->done = 1;
	while (!l->go)
		sleep_ms(1);
	return NULL;
}

static void a_dying_owner_passes_the_lock_on(void **state)
{
	struct locker owner = { 0 }, l = { 0 };

	ASSERT_RET(pthread_create(&owner.thread, NULL, take_and_die, &owner), 0);
	assert_true(EVENTUALLY(owner.done));
	ASSERT_RET(owner.ret, 0);
	locker_start(&l, FUTEX_LOCK_PI, true);
	assert_true(EVENTUALLY(lock == ((unsigned int)owner.tid | FUTEX_WAITERS)));
	sleep_ms(20);
	owner.go = 1;
	ASSERT_RET(pthread_join(owner.thread, NULL), 0);
	assert_true(EVENTUALLY(l.done));
	locker_end(&l, 0, 0);
	assert_int_equal(l.word_after & FUTEX_TID_MASK, l.tid);
	assert_int_equal(l.word_after & FUTEX_OWNER_DIED, FUTEX_OWNER_DIED);
}

static void requeue_pi_to_a_held_lock_waits_for_it(void **state)
{
	struct locker l[2] = { 0 };
	int moved = 0;

	lock = (unsigned int)gettid();
	for (int i = 0; i < 2; i++)
		locker_start(&l[i], FUTEX_WAIT_REQUEUE_PI, true);
	assert_true(EVENTUALLY((moved += (int)futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, val2(ALL), &lock,
						    0)) == 2));
	assert_int_equal(lock, (unsigned int)gettid() | FUTEX_WAITERS);
	sleep_ms(10);
	assert_false(l[0].done || l[1].done);
	ASSERT_RET(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
	assert_true(EVENTUALLY(l[0].done || l[1].done));
	sleep_ms(10);
	int first = l[1].done;
	assert_false(l[!first].done);
	assert_int_equal(lock, (unsigned int)l[first].tid | FUTEX_WAITERS);
	locker_end(&l[first], 0, 0);
	assert_true(EVENTUALLY(l[!first].done));
	assert_int_equal(lock & FUTEX_TID_MASK, l[!first].tid);
	locker_end(&l[!first], 0, 0);
	assert_int_equal(lock, 0);
}

static void requeue_pi_to_a_free_lock_gives_it(void **state)
{
	struct locker l = { 0 };

	locker_start(&l, FUTEX_WAIT_REQUEUE_PI, true);
	assert_true(EVENTUALLY(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, val2(0), &lock, 0) == 1));
	assert_true(EVENTUALLY(l.done));
	assert_int_equal(l.word_after & FUTEX_TID_MASK, l.tid);
	locker_end(&l, 0, 0);
	assert_int_equal(lock, 0);
}

static void pi_waiters_want_the_pi_operations(void **state)
{
	struct locker l = { 0 };

	lock = (unsigned int)gettid();
	locker_start(&l, FUTEX_WAIT_REQUEUE_PI, true);
	assert_true(EVENTUALLY(futex(&cond, FUTEX_WAKE, 1, NULL, NULL, 0) == -1 && errno == EINVAL));
	ASSERT_ERR(futex(&cond, FUTEX_CMP_REQUEUE, 1, val2(1), &lock, 0), EINVAL);
	ASSERT_ERR(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, val2(1), &other, 0), EINVAL);
	assert_int_equal(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, val2(1), &lock, 0), 1);
	ASSERT_ERR(futex(&lock, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
	ASSERT_RET(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
	locker_end(&l, 0, 0);
}

static void wait_requeue_pi_times_out(void **state)
{
	struct timespec ts = clock_in_ms(CLOCK_MONOTONIC, 20);

	ASSERT_ERR(futex(&cond, FUTEX_WAIT_REQUEUE_PI, 0, &ts, &lock, 0), ETIMEDOUT);
	ts = clock_in_ms(CLOCK_REALTIME, 20);
	ASSERT_ERR(futex(&cond, FUTEX_WAIT_REQUEUE_PI | FUTEX_CLOCK_REALTIME, 0, &ts, &lock, 0),
		   ETIMEDOUT);
	assert_int_equal(lock, 0);
}

static pthread_mutex_t mutex;
static int counter;

static void *count_under_mutex(void *arg)
{
	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&mutex);
		int c = counter;
		if (i % 100 == 0)
			sleep_ms(1);
		counter = c + 1;
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void *die_with_mutex(void *arg)
{
	return (void *)(intptr_t)pthread_mutex_lock(&mutex);
}

static void inheriting_mutexes_exclude_and_can_be_robust(void **state)
{
	pthread_mutexattr_t attr;
	pthread_t t[4];

	pthread_mutexattr_init(&attr);
	ASSERT_RET(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT), 0);
	ASSERT_RET(pthread_mutex_init(&mutex, &attr), 0);
	counter = 0;
	for (int i = 0; i < 4; i++)
		ASSERT_RET(pthread_create(&t[i], NULL, count_under_mutex, NULL), 0);
	for (int i = 0; i < 4; i++)
		ASSERT_RET(pthread_join(t[i], NULL), 0);
	assert_int_equal(counter, 2000);
	ASSERT_RET(pthread_mutex_destroy(&mutex), 0);

	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	ASSERT_RET(pthread_mutex_init(&mutex, &attr), 0);
	ASSERT_RET(pthread_create(&t[0], NULL, die_with_mutex, NULL), 0);
	ASSERT_RET(pthread_join(t[0], NULL), 0);
	ASSERT_RET(pthread_mutex_lock(&mutex), EOWNERDEAD);
	ASSERT_RET(pthread_mutex_consistent(&mutex), 0);
	ASSERT_RET(pthread_mutex_unlock(&mutex), 0);
	ASSERT_RET(pthread_mutex_destroy(&mutex), 0);
	pthread_mutexattr_destroy(&attr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_free_lock_takes_the_tid_and_gives_it_back, setup),
		cmocka_unit_test_setup(locking_twice_is_edeadlk, setup),
		cmocka_unit_test_setup(only_the_owner_unlocks, setup),
		cmocka_unit_test_setup(an_owner_that_does_not_exist_is_esrch, setup),
		cmocka_unit_test_setup(addresses_and_times_are_checked, setup),
		cmocka_unit_test_setup(trylock_of_a_held_lock_is_eagain, setup),
		cmocka_unit_test_setup(unlock_hands_over_to_the_waiter, setup),
		cmocka_unit_test_setup(waiting_for_the_lock_times_out, setup),
		cmocka_unit_test_setup(a_dying_owner_passes_the_lock_on, setup),
		cmocka_unit_test_setup(requeue_pi_to_a_held_lock_waits_for_it, setup),
		cmocka_unit_test_setup(requeue_pi_to_a_free_lock_gives_it, setup),
		cmocka_unit_test_setup(pi_waiters_want_the_pi_operations, setup),
		cmocka_unit_test_setup(wait_requeue_pi_times_out, setup),
		cmocka_unit_test_setup(inheriting_mutexes_exclude_and_can_be_robust, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
