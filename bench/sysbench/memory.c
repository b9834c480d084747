/* SPDX-License-Identifier: MIT */
/* Mappings, protection and page faults. */
#include "sysbench.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define MIB ((size_t)1 << 20)
#define RW (PROT_READ | PROT_WRITE)

static char *map_anon(size_t len)
{
	char *p = mmap(NULL, len, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(p == MAP_FAILED ? -1 : 0);
	return p;
}

/* Microseconds a page of the first write to it. */
static void touch(const char *name, size_t map_size, int huge)
{
	size_t rounds = 64 * MIB / map_size;
	double start = now();

	for (size_t r = 0; r < rounds; r++) {
		volatile char *p = map_anon(map_size);

		if (!huge)
			madvise((void *)p, map_size, MADV_NOHUGEPAGE);
		for (size_t i = 0; i < map_size; i += PAGE)
			p[i] = 1;
		munmap((void *)p, map_size);
	}
	say(name, (now() - start) * 1e6 / (double)(64 * MIB / PAGE), "us/page");
}

static void t_touch(void)
{
	touch("page_touch", 64 * MIB, 0);
	touch("page_touch_huge", 64 * MIB, 1);
}

static void mmap_turn(void *u)
{
	char *p = map_anon(65536);

	(void)u;
	p[0] = 1;
	munmap(p, 65536);
}

static void t_mmap(void)
{
	say("mmap_munmap_64k", per_turn(mmap_turn, NULL), "us");
}

static void mprotect_turn(void *page)
{
	mprotect(page, PAGE, PROT_READ);
	mprotect(page, PAGE, RW);
	++*(volatile char *)page;
}

static void t_mprotect(void)
{
	say("mprotect_toggle", per_turn(mprotect_turn, map_anon(2 * (size_t)PAGE)), "us");
}

/* A file mapped shared: the first pass faults, the second finds everything there. */
static void t_map_read(void)
{
	size_t len = 64 * MIB;
	char path[80], *buf = malloc(MIB);
	const uint64_t *p;
	uint64_t sum = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/m", dir);
	memset(buf, 7, MIB);
	fd = (int)MUST(open(path, O_RDWR | O_CREAT | O_TRUNC, 0600));
	for (size_t i = 0; i < len / MIB; i++)
		MUST(write(fd, buf, MIB));
	free(buf);
	p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	MUST(p == MAP_FAILED ? -1 : 0);
	for (int pass = 0; pass < 2; pass++) {
		double start = now();

		for (size_t i = 0; i < len / sizeof(*p); i += 2)
			sum += p[i];
		say(pass ? "map_read_touched" : "map_read_first",
		    (double)len / (double)(1 << 30) / (now() - start) + (double)(sum == 42), "GB/s");
	}
	munmap((void *)(uintptr_t)p, len);
	close(fd);
	unlink(path);
}

const struct test memory_tests[] = {
	{ "touch", t_touch }, { "mmap", t_mmap }, { "mprotect", t_mprotect }, { "map_read", t_map_read }, { NULL, NULL },
};
