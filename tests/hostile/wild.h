/* SPDX-License-Identifier: MIT */
/* For guests with wild sockets: randomness, descriptors that all threads share, a run of several threads. */
#ifndef TESTS_HOSTILE_WILD_H
#define TESTS_HOSTILE_WILD_H

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS 3
#define SLOTS 24

static unsigned long steps = 1000;
static int slot[SLOTS]; /* all threads use and replace them, as they like */
static char *edge;      /* nothing is mapped from here on */

static inline uint64_t rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static inline unsigned below(uint64_t *s, unsigned n)
{
	return (unsigned)(rnd(s) % n);
}

static inline int any(uint64_t *s)
{
	return __atomic_load_n(&slot[below(s, SLOTS)], __ATOMIC_RELAXED);
}

static inline void keep(uint64_t *s, int fd)
{
	if (fd < 0)
		return;
	fd = __atomic_exchange_n(&slot[below(s, SLOTS)], fd, __ATOMIC_RELAXED);
	if (fd > 2)
		close(fd);
}

static inline void noise(uint64_t *s, void *p, size_t n)
{
	unsigned char *b = p;

	for (size_t i = 0; i < n; i++)
		b[i] = below(s, 3) ? (unsigned char)below(s, 4) : (unsigned char)rnd(s);
}

static inline uint32_t odd_length(uint64_t *s)
{
	static const uint32_t l[] = { 0, 1, 2, 3, 4, 8, 15, 16, 17, 20, 24, 64, 110, 111, 128, 129, 4096, 0x7fffffff, 0x80000000, 0xffffffff };

	return below(s, 3) ? l[below(s, sizeof(l) / sizeof(l[0]))] : below(s, 200);
}

/* main(): argv: seed, steps a thread. Always 0: what is judged is that the VMM lives. */
static inline int wild_run(int argc, char **argv, void *(*storm)(void *))
{
	uint64_t seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;
	pthread_t t[THREADS];
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (argc > 2)
		steps = strtoul(argv[2], NULL, 0);
	signal(SIGPIPE, SIG_IGN);
	alarm(100); /* a thread may come to sleep: that is fine */
	edge = p + 4096;
	munmap(edge, 4096);
	for (int i = 0; i < SLOTS; i++)
		slot[i] = -1;
	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, storm, (void *)(uintptr_t)(seed * 7919 + i + 1));
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	printf("alive\n");
	return 0;
}

#endif
