/* SPDX-License-Identifier: MIT */
/*
 * futex(2) and futex_waitv(2), every operation: return values, errors, who is woken and who moved.
 * Waiting threads are met without assumptions on speed: wakers try until the waiter is there.
 * Robust lists are in test_threads.c; priority inheritance is tested as far as its words, errors
 * and hand-over go, not its effect on scheduling.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/clock.h"
#include "tests/lib/maps.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define PRIVATE FUTEX_PRIVATE_FLAG
#define ALL 0x7fffffff

static long futex(void *word, int op, unsigned int val, const void *timeout, void *word2,
		  unsigned int val3)
{
	return syscall(SYS_futex, word, op, val, timeout, word2, val3);
}

/* The slot of the timeout holds a number in the operations on two words. */
static const void *val2(unsigned long n)
{
	return (const void *)n;
}

/* A thread that makes one futex call and keeps the result. */
struct waiter {
	pthread_t thread;
	void *word;
	int op;
	unsigned int val;
	const struct timespec *timeout;
	void *word2;
	unsigned int val3;
	atomic_int tid;
	atomic_int done;
	long ret;
	int err;
};

static void *waiter_main(void *arg)
{
	struct waiter *w = arg;

	w->tid = gettid();
	w->ret = futex(w->word, w->op, w->val, w->timeout, w->word2, w->val3);
	w->err = errno;
	w->done = 1;
	return NULL;
}

static void waiter_start(struct waiter *w, void *word, int op, unsigned int val)
{
	w->word = word;
	w->op = op;
	w->val = val;
	ASSERT_RET(pthread_create(&w->thread, NULL, waiter_main, w), 0);
}

static void waiter_end(struct waiter *w, long ret)
{
	ASSERT_RET(pthread_join(w->thread, NULL), 0);
	if (w->ret != ret)
		fail_msg("waiter got %ld/%s, want %ld", w->ret, errno_name(w->err), ret);
}

/* Both kinds of key, on the memory they are used with. */
static atomic_uint *words_of_kind(int private)
{
	static atomic_uint local[16];
	static atomic_uint *shared;

	if (!shared)
		shared = (atomic_uint *)ASSERT_OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
						       MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	memset(local, 0, sizeof(local));
	memset(shared, 0, sizeof(local));
	return private ? local : shared;
}

static void wake_without_waiters_is_zero(void **state)
{
	unsigned int word = 0;

	assert_int_equal(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	assert_int_equal(futex(&word, FUTEX_WAKE | PRIVATE, ALL, NULL, NULL, 0), 0);
	assert_int_equal(futex(&word, FUTEX_WAKE_BITSET | PRIVATE, ALL, NULL, NULL, 1), 0);
}

static void wait_checks_the_value_first(void **state)
{
	unsigned int word = 5;
	struct timespec zero = { 0, 0 };

	ASSERT_ERR(futex(&word, FUTEX_WAIT, 4, NULL, NULL, 0), EAGAIN);
	ASSERT_ERR(futex(&word, FUTEX_WAIT | PRIVATE, 4, &zero, NULL, 0), EAGAIN);
	ASSERT_ERR(futex(&word, FUTEX_WAIT_BITSET | PRIVATE, 4, &zero, NULL, 1), EAGAIN);
	ASSERT_ERR(futex(&word, FUTEX_WAIT | PRIVATE, 5, &zero, NULL, 0), ETIMEDOUT);
	ASSERT_ERR(futex(&word, FUTEX_WAIT_BITSET, 5, &zero, NULL, 1), ETIMEDOUT);
}

static void wait_times_out_not_too_early(void **state)
{
	unsigned int word = 5;
	struct timespec ts = { 0, 30 * MSEC };
	int64_t start = now_ms();

	ASSERT_ERR(futex(&word, FUTEX_WAIT | PRIVATE, 5, &ts, NULL, 0), ETIMEDOUT);
	assert_true(now_ms() - start >= 29);

	/* WAIT_BITSET takes a time of the clock, not a span. */
	start = now_ms();
	ts = clock_in_ms(CLOCK_MONOTONIC, 30);
	ASSERT_ERR(futex(&word, FUTEX_WAIT_BITSET | PRIVATE, 5, &ts, NULL, FUTEX_BITSET_MATCH_ANY),
		   ETIMEDOUT);
	assert_true(now_ms() - start >= 29);
	start = now_ms();
	ts = clock_in_ms(CLOCK_REALTIME, 30);
	ASSERT_ERR(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 5, &ts, NULL, 1),
		   ETIMEDOUT);
	assert_true(now_ms() - start >= 25);
	ts = clock_in_ms(CLOCK_MONOTONIC, -1000);
	ASSERT_ERR(futex(&word, FUTEX_WAIT_BITSET, 5, &ts, NULL, 1), ETIMEDOUT);
	/* A realtime second is far in the future of the monotonic clock's small numbers ... */
	ts = clock_in_ms(CLOCK_MONOTONIC, 0);
	ASSERT_ERR(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 5, &ts, NULL, 1),
		   ETIMEDOUT);          /* ... and the other way round long past */
}

static void arguments_are_checked(void **state)
{
	atomic_uint *w = words_of_kind(1);
	char *odd = (char *)w + 2;
	unsigned int *none = (unsigned int *)ASSERT_OK(
		mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	unsigned int *ro = (unsigned int *)ASSERT_OK(
		mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	struct timespec zero = { 0, 0 }, big = { 0, 1000000000 }, neg = { -1, 0 };

	ASSERT_ERR(futex(odd, FUTEX_WAIT, 0, &zero, NULL, 0), EINVAL);
	ASSERT_ERR(futex(odd, FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0), EINVAL);
	ASSERT_ERR(futex(w, FUTEX_REQUEUE | PRIVATE, 1, val2(1), odd, 0), EINVAL);
	ASSERT_ERR(futex(none, FUTEX_WAIT | PRIVATE, 0, &zero, NULL, 0), EFAULT);
	ASSERT_ERR(futex(none, FUTEX_WAIT, 0, &zero, NULL, 0), EFAULT);
	ASSERT_ERR(futex(none, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
	ASSERT_ERR(futex(NULL, FUTEX_WAIT | PRIVATE, 0, &zero, NULL, 0), EFAULT);
	ASSERT_ERR(futex((void *)(1UL << 63), FUTEX_WAIT, 0, &zero, NULL, 0), EFAULT);
	ASSERT_ERR(futex((void *)(1UL << 63), FUTEX_WAKE | PRIVATE, 0, &zero, NULL, 0), EFAULT);
	/* A private wake only needs the number, nothing is read. */
	assert_int_equal(futex(none, FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0), 0);
	ASSERT_ERR(futex(ro, FUTEX_WAIT | PRIVATE, 0, &zero, NULL, 0), ETIMEDOUT);

	ASSERT_ERR(futex(w, FUTEX_WAIT, 0, &big, NULL, 0), EINVAL);
	ASSERT_ERR(futex(w, FUTEX_WAIT, 0, &neg, NULL, 0), EINVAL);
	ASSERT_ERR(futex(w, FUTEX_WAIT, 1, &big, NULL, 0), EINVAL);     /* before the value */
	ASSERT_ERR(futex(w, FUTEX_WAIT, 0, (void *)8, NULL, 0), EFAULT);
	ASSERT_ERR(futex(w, FUTEX_WAIT_BITSET, 0, &zero, NULL, 0), EINVAL);
	ASSERT_ERR(futex(w, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL);
	ASSERT_ERR(futex(w, 99, 0, NULL, NULL, 0), ENOSYS);
	ASSERT_ERR(futex(w, FUTEX_FD, 0, NULL, NULL, 0), ENOSYS);
	ASSERT_ERR(futex(w, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0), ENOSYS);
	ASSERT_ERR(futex(w, FUTEX_REQUEUE, -1U, val2(1), w + 1, 0), EINVAL);
	ASSERT_ERR(futex(w, FUTEX_REQUEUE, 1, val2(-1U), w + 1, 0), EINVAL);
	munmap(none, PAGE);
	munmap(ro, PAGE);
}

static void wake_wakes_as_many_as_asked(void **state)
{
	enum { N = 5 };

	for (int private = 0; private < 2; private++) {
		atomic_uint *word = words_of_kind(private);
		int flag = private ? PRIVATE : 0;
		struct waiter w[N] = { 0 };
		int woken = 0;

		for (int i = 0; i < N; i++)
			waiter_start(&w[i], word, FUTEX_WAIT | flag, 0);
		for (int i = 0; i < N - 2; i++)         /* one at a time */
			assert_true(EVENTUALLY(futex(word, FUTEX_WAKE | flag, 1, NULL, NULL, 0) == 1));
		assert_true(EVENTUALLY((woken += (int)futex(word, FUTEX_WAKE | flag, ALL, NULL,
							    NULL, 0)) == 2));
		for (int i = 0; i < N; i++)
			waiter_end(&w[i], 0);
		assert_int_equal(futex(word, FUTEX_WAKE | flag, ALL, NULL, NULL, 0), 0);
	}
}

static void private_and_shared_waiters_do_not_meet(void **state)
{
	static atomic_uint word;
	struct waiter priv = { 0 }, shared = { 0 };

	waiter_start(&priv, &word, FUTEX_WAIT | PRIVATE, 0);
	waiter_start(&shared, &word, FUTEX_WAIT, 0);
	assert_true(EVENTUALLY(futex(&word, FUTEX_WAKE, ALL, NULL, NULL, 0) == 1));
	waiter_end(&shared, 0);
	assert_int_equal(futex(&word, FUTEX_WAKE, ALL, NULL, NULL, 0), 0);
	assert_true(EVENTUALLY(futex(&word, FUTEX_WAKE | PRIVATE, ALL, NULL, NULL, 0) == 1));
	waiter_end(&priv, 0);
}

static void shared_futexes_are_found_through_another_mapping(void **state)
{
	int fd = (int)ASSERT_OK(memfd_create("futex", 0));
	struct waiter w = { 0 };

	ASSERT_OK(ftruncate(fd, 2 * PAGE));
	char *a = (char *)ASSERT_OK(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	char *b = (char *)ASSERT_OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE));
	waiter_start(&w, a + PAGE + 64, FUTEX_WAIT, 0);
	assert_true(EVENTUALLY(futex(b + 64, FUTEX_WAKE, 1, NULL, NULL, 0) == 1));
	waiter_end(&w, 0);
	assert_int_equal(futex(b + 68, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	munmap(a, 2 * PAGE);
	munmap(b, PAGE);
	close(fd);
}

static void bitset_chooses_the_waiters(void **state)
{
	atomic_uint *word = words_of_kind(1);
	struct waiter one = { .val3 = 1 }, two = { .val3 = 6 };

	waiter_start(&one, word, FUTEX_WAIT_BITSET | PRIVATE, 0);
	waiter_start(&two, word, FUTEX_WAIT_BITSET | PRIVATE, 0);
	assert_true(EVENTUALLY(futex(word, FUTEX_WAKE_BITSET | PRIVATE, ALL, NULL, NULL, 0xc) == 1));
	waiter_end(&two, 0);
	assert_int_equal(futex(word, FUTEX_WAKE_BITSET | PRIVATE, ALL, NULL, NULL, ~1U), 0);
	assert_false(one.done);
	/* A plain wake matches any; MATCH_ANY does as well. */
	assert_true(EVENTUALLY(futex(word, FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0) == 1));
	waiter_end(&one, 0);
	memset(&one, 0, sizeof(one));
	one.val3 = FUTEX_BITSET_MATCH_ANY;
	waiter_start(&one, word, FUTEX_WAIT_BITSET | PRIVATE | FUTEX_CLOCK_REALTIME, 0);
	assert_true(EVENTUALLY(futex(word, FUTEX_WAKE_BITSET | PRIVATE, 1, NULL, NULL, 1U << 31) == 1));
	waiter_end(&one, 0);
}

static void noop_handler(int sig)
{
}

static void a_signal_interrupts_or_restarts(void **state)
{
	atomic_uint *word = words_of_kind(1);
	struct timespec ts = { 20, 0 };
	struct waiter w = { .timeout = &ts };
	struct sigaction sa = { .sa_handler = noop_handler };

	/* With a timeout: always EINTR, even with SA_RESTART, where the handler ran. */
	for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
		sa.sa_flags = flags;
		ASSERT_OK(sigaction(SIGUSR1, &sa, NULL));
		if (flags == SA_RESTART) {
			memset(&w, 0, sizeof(w));       /* without one: waits on */
		}
		waiter_start(&w, word, FUTEX_WAIT | PRIVATE, 0);
		assert_true(EVENTUALLY(w.tid != 0));
		if (flags == 0) {
			assert_true(EVENTUALLY(pthread_kill(w.thread, SIGUSR1) == 0 && w.done));
			ASSERT_RET(pthread_join(w.thread, NULL), 0);
			assert_int_equal(w.ret, -1);
			assert_int_equal(w.err, EINTR);
		} else {
			for (int i = 0; i < 10; i++) {
				ASSERT_RET(pthread_kill(w.thread, SIGUSR1), 0);
				sleep_ms(3);
			}
			assert_false(w.done);
			assert_true(EVENTUALLY(futex(word, FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0) == 1));
			waiter_end(&w, 0);
		}
	}
}

static void requeue_moves_waiters_to_the_other_word(void **state)
{
	enum { N = 4 };

	for (int private = 0; private < 2; private++) {
		atomic_uint *a = words_of_kind(private), *b = a + 1;
		int flag = private ? PRIVATE : 0;
		struct waiter w[N] = { 0 };
		int moved = 0, woken = 0;

		for (int i = 0; i < N; i++)
			waiter_start(&w[i], a, FUTEX_WAIT | flag, 0);
		/* Wake none, move all as they come: the result counts woken and moved. */
		assert_true(EVENTUALLY((moved += (int)futex(a, FUTEX_REQUEUE | flag, 0, val2(ALL), b,
							    0)) == N));
		assert_int_equal(futex(a, FUTEX_WAKE | flag, ALL, NULL, NULL, 0), 0);
		/* Back again: one woken, two moved, one stays on b. */
		assert_int_equal(futex(b, FUTEX_REQUEUE | flag, 1, val2(2), a, 0), 3);
		woken = (int)futex(b, FUTEX_WAKE | flag, ALL, NULL, NULL, 0);
		assert_int_equal(woken, 1);
		assert_int_equal(futex(a, FUTEX_WAKE | flag, ALL, NULL, NULL, 0), 2);
		for (int i = 0; i < N; i++)
			waiter_end(&w[i], 0);
	}
}

static void cmp_requeue_compares_first(void **state)
{
	atomic_uint *a = words_of_kind(1), *b = a + 1;
	struct waiter w[2] = { 0 };
	int moved = 0;

	*a = 7;
	ASSERT_ERR(futex(a, FUTEX_CMP_REQUEUE | PRIVATE, 1, val2(1), b, 8), EAGAIN);
	for (int i = 0; i < 2; i++)
		waiter_start(&w[i], a, FUTEX_WAIT | PRIVATE, 7);
	assert_true(EVENTUALLY((moved += (int)futex(a, FUTEX_CMP_REQUEUE | PRIVATE, 0, val2(1), b,
						    7)) == 2));
	assert_int_equal(futex(b, FUTEX_WAKE | PRIVATE, ALL, NULL, NULL, 0), 2);
	for (int i = 0; i < 2; i++)
		waiter_end(&w[i], 0);
}

static void a_moved_waiter_can_still_time_out(void **state)
{
	atomic_uint *a = words_of_kind(1), *b = a + 1;
	struct timespec ts = { 0, 300 * MSEC };
	struct waiter w = { .timeout = &ts };

	waiter_start(&w, a, FUTEX_WAIT | PRIVATE, 0);
	/* On a very slow machine it may have timed out before it was moved: same result. */
	(void)EVENTUALLY(futex(a, FUTEX_REQUEUE | PRIVATE, 0, val2(1), b, 0) == 1 || w.done);
	waiter_end(&w, -1);
	assert_int_equal(w.err, ETIMEDOUT);
	assert_int_equal(futex(b, FUTEX_WAKE | PRIVATE, ALL, NULL, NULL, 0), 0);
}

static void wake_op_does_every_operation(void **state)
{
	const struct { unsigned int op, arg, before, after; } c[] = {
		{ FUTEX_OP_SET, 12, 5, 12 },
		{ FUTEX_OP_ADD, 3, 5, 8 },
		{ FUTEX_OP_ADD, 0xfff, 5, 4 },          /* the 12-bit argument is signed */
		{ FUTEX_OP_OR, 0x6, 0x1, 0x7 },
		{ FUTEX_OP_ANDN, 0x6, 0x7, 0x1 },
		{ FUTEX_OP_XOR, 0x5, 0x6, 0x3 },
		{ FUTEX_OP_SET | FUTEX_OP_OPARG_SHIFT, 4, 0, 16 },
		{ FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 31, 1, 0x80000001 },
	};
	atomic_uint *a = words_of_kind(1), *b = a + 1;

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		*b = c[i].before;
		unsigned int val3 = FUTEX_OP(c[i].op, c[i].arg, FUTEX_OP_CMP_EQ, 0);
		assert_int_equal(futex(a, FUTEX_WAKE_OP | PRIVATE, 1, val2(1), b, val3), 0);
		assert_int_equal(*b, c[i].after);
	}
	assert_int_equal(*a, 0);
	ASSERT_ERR(futex(a, FUTEX_WAKE_OP | PRIVATE, 1, val2(1), b, FUTEX_OP(5, 0, 0, 0)), ENOSYS);
	ASSERT_ERR(futex(a, FUTEX_WAKE_OP | PRIVATE, 1, val2(1), b, FUTEX_OP(0, 0, 6, 0)), ENOSYS);
	ASSERT_ERR(futex(a, FUTEX_WAKE_OP | PRIVATE, 1, val2(1), NULL, FUTEX_OP(0, 1, 0, 0)), EFAULT);
}

static void wake_op_wakes_the_second_word_by_comparison(void **state)
{
	const struct { unsigned int cmp, arg, old; bool wakes; } c[] = {
		{ FUTEX_OP_CMP_EQ, 5, 5, true }, { FUTEX_OP_CMP_EQ, 5, 6, false },
		{ FUTEX_OP_CMP_NE, 5, 6, true }, { FUTEX_OP_CMP_NE, 5, 5, false },
		{ FUTEX_OP_CMP_LT, 5, 4, true }, { FUTEX_OP_CMP_LT, 5, 5, false },
		{ FUTEX_OP_CMP_LE, 5, 5, true }, { FUTEX_OP_CMP_LE, 5, 6, false },
		{ FUTEX_OP_CMP_GT, 5, 6, true }, { FUTEX_OP_CMP_GT, 5, 5, false },
		{ FUTEX_OP_CMP_GE, 5, 5, true }, { FUTEX_OP_CMP_GE, 5, 4, false },
		{ FUTEX_OP_CMP_LT, 0, -1U, true },      /* signed */
	};
	atomic_uint *a = words_of_kind(1), *b = a + 1;

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		unsigned int never = FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 99);
		unsigned int val3 = FUTEX_OP(FUTEX_OP_ADD, 1, c[i].cmp, c[i].arg);
		struct waiter wa = { 0 }, wb = { 0 };

		*b = c[i].old;
		waiter_start(&wa, a, FUTEX_WAIT | PRIVATE, 0);
		waiter_start(&wb, b, FUTEX_WAIT | PRIVATE, c[i].old);
		/* Know that the waiter of b sits: move it onto itself. */
		assert_true(EVENTUALLY(futex(b, FUTEX_REQUEUE | PRIVATE, 0, val2(1), b, 0) == 1));
		assert_true(EVENTUALLY(futex(a, FUTEX_WAKE_OP | PRIVATE, 1, val2(1), b, never) == 1));
		waiter_end(&wa, 0);
		assert_int_equal(futex(a, FUTEX_WAKE_OP | PRIVATE, 1, val2(1), b, val3), c[i].wakes);
		assert_int_equal(futex(b, FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0), !c[i].wakes);
		waiter_end(&wb, 0);
		assert_int_equal(*b, c[i].old + 1);
	}
}

static void waitv_tells_which_word_was_woken(void **state)
{
	atomic_uint *w = words_of_kind(1);
	struct timespec ts = clock_in_ms(CLOCK_MONOTONIC, -1);
	struct futex_waitv v[3] = {
		{ .uaddr = (uintptr_t)&w[0], .val = 0, .flags = FUTEX_32 | PRIVATE },
		{ .uaddr = (uintptr_t)&w[1], .val = 0, .flags = FUTEX_32 | PRIVATE },
		{ .uaddr = (uintptr_t)&w[2], .val = 0, .flags = FUTEX_32 | PRIVATE },
	};

	if (syscall(SYS_futex_waitv, v, 0, 0, NULL, 0) == -1 && errno == ENOSYS)
		skip();
	ASSERT_ERR(syscall(SYS_futex_waitv, v, 0, 0, NULL, 0), EINVAL);
	ASSERT_ERR(syscall(SYS_futex_waitv, v, 129, 0, NULL, 0), EINVAL);
	ASSERT_ERR(syscall(SYS_futex_waitv, NULL, 1, 0, NULL, 0), EINVAL);
	ASSERT_ERR(syscall(SYS_futex_waitv, 8, 1, 0, NULL, 0), EFAULT);
	ASSERT_ERR(syscall(SYS_futex_waitv, v, 3, 1, NULL, 0), EINVAL);
	ASSERT_ERR(syscall(SYS_futex_waitv, v, 3, 0, &ts, CLOCK_MONOTONIC), ETIMEDOUT);
	ASSERT_ERR(syscall(SYS_futex_waitv, v, 3, 0, &ts, CLOCK_BOOTTIME), EINVAL);
	v[2].val = 1;
	ASSERT_ERR(syscall(SYS_futex_waitv, v, 3, 0, &ts, CLOCK_MONOTONIC), EAGAIN);
	v[2].val = 0;
	v[1].flags = PRIVATE;
	ASSERT_ERR(syscall(SYS_futex_waitv, v, 3, 0, &ts, CLOCK_MONOTONIC), EINVAL);
	v[1].flags |= FUTEX_32;
	v[1].__reserved = 1;
	ASSERT_ERR(syscall(SYS_futex_waitv, v, 3, 0, &ts, CLOCK_MONOTONIC), EINVAL);
}

static struct futex_waitv waitv_words[2];
static long waitv_result;

static void *waitv_main(void *arg)
{
	struct timespec ts = clock_in_ms(CLOCK_REALTIME, 20000);

	waitv_result = syscall(SYS_futex_waitv, waitv_words, 2, 0, &ts, CLOCK_REALTIME);
	return NULL;
}

static void waitv_waits_on_all_words(void **state)
{
	atomic_uint *w = words_of_kind(1);
	pthread_t t;

	if (syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) == -1 && errno == ENOSYS)
		skip();
	for (long i = 0; i < 2; i++) {
		for (int j = 0; j < 2; j++)
			waitv_words[j] = (struct futex_waitv){ .uaddr = (uintptr_t)&w[j],
							       .flags = FUTEX_32 | PRIVATE };
		ASSERT_RET(pthread_create(&t, NULL, waitv_main, NULL), 0);
		assert_true(EVENTUALLY(futex(&w[i], FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0) == 1));
		ASSERT_RET(pthread_join(t, NULL), 0);
		assert_int_equal(waitv_result, i);
		assert_int_equal(futex(&w[!i], FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wake_without_waiters_is_zero),
		cmocka_unit_test(wait_checks_the_value_first),
		cmocka_unit_test(wait_times_out_not_too_early),
		cmocka_unit_test(arguments_are_checked),
		cmocka_unit_test(wake_wakes_as_many_as_asked),
		cmocka_unit_test(private_and_shared_waiters_do_not_meet),
		cmocka_unit_test(shared_futexes_are_found_through_another_mapping),
		cmocka_unit_test(bitset_chooses_the_waiters),
		cmocka_unit_test(a_signal_interrupts_or_restarts),
		cmocka_unit_test(requeue_moves_waiters_to_the_other_word),
		cmocka_unit_test(cmp_requeue_compares_first),
		cmocka_unit_test(a_moved_waiter_can_still_time_out),
		cmocka_unit_test(wake_op_does_every_operation),
		cmocka_unit_test(wake_op_wakes_the_second_word_by_comparison),
		cmocka_unit_test(waitv_tells_which_word_was_woken),
		cmocka_unit_test(waitv_waits_on_all_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
