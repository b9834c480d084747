/* SPDX-License-Identifier: MIT */
/*
 * Large buffers that come and go: several threads map 23 MiB each, fill it, give parts of it back, hand parts to the kernel, look at
 * all of it and unmap it, so that addresses and frames go from one to the other. Nobody must see another's bytes, or lose its own.
 */
#include "tests/lib/cmocka_all.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE ((size_t)24125440) /* no multiple of 2 MiB; all of it is memory that a fresh machine may have to fetch first */
#define WORDS (SIZE / sizeof(uint64_t))
#define CHUNK ((size_t)64 << 10)
#define ROUNDS 9

static int wrong_words(const uint64_t *p, size_t n, uint64_t want)
{
	int wrong = 0;

	for (size_t i = 0; i < n; i++)
		wrong += p[i] != want;
	return wrong;
}

/* What the kernel reads is what was written, too. */
static int wrong_in_kernel(const uint64_t *p, uint64_t want)
{
	static __thread uint64_t buf[CHUNK / sizeof(uint64_t)];
	int fd[2], wrong = 0;

	if (pipe(fd) < 0)
		return 1;
	for (size_t at = 0; at + CHUNK <= SIZE; at += 16 * CHUNK) {
		if (write(fd[1], (const char *)p + at, CHUNK) != (ssize_t)CHUNK || read(fd[0], buf, CHUNK) != (ssize_t)CHUNK)
			wrong++;
		wrong += wrong_words(buf, CHUNK / sizeof(uint64_t), want);
	}
	close(fd[0]);
	close(fd[1]);
	return wrong;
}

static void *fill_and_look(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	intptr_t wrong = 0;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t want = (uint64_t)(uintptr_t)arg << 32 | (unsigned)round;
		uint64_t *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return (void *)(intptr_t)-1;
		for (size_t i = 0; i < WORDS; i++)
			p[i] = want;
		wrong += wrong_in_kernel(p, want) + wrong_words(p, WORDS, want);
		if (round % 3 == 0)
			madvise((char *)p + ((size_t)rand_r(&seed) % 8 << 20), 1 << 20, MADV_DONTNEED);
		munmap(p, SIZE);
	}
	return (void *)wrong;
}

static void buffers_of_threads_are_their_own(void **state)
{
	pthread_t t[4];

	for (uintptr_t i = 0; i < ARRAY_SIZE(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, fill_and_look, (void *)(i + 1)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		void *wrong;

		assert_int_equal(pthread_join(t[i], &wrong), 0);
		assert_ptr_equal(wrong, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_of_threads_are_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
