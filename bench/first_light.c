/* SPDX-License-Identifier: MIT */
/*
 * What one process pays: one line a test, "name value unit". Static, so that the same binary runs
 * natively and under vmrun. usage: first_light FILE TEST...   FILE: 256 MiB, in the page cache
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static const char *file;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void say(const char *name, double v, const char *unit)
{
	printf("%s %.4f %s\n", name, v, unit);
	fflush(stdout);
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void clock_calls(void)
{
	struct timespec ts;
	double t = now();
	int n = 2000000;

	for (int i = 0; i < n; i++)
		clock_gettime(CLOCK_MONOTONIC, &ts);
	say("clock_gettime", (now() - t) / n * 1e9, "ns");
}

static void getppid_calls(void)
{
	double t = now();
	int n = 20000;

	for (int i = 0; i < n; i++)
		syscall(SYS_getppid);
	say("getppid", (now() - t) / n * 1e6, "us");
}

/* ns a page; each map is used once */
static void first_touch(const char *name, size_t size)
{
	int rounds = (int)(64 * MIB / size);
	double t = now();

	for (int r = 0; r < rounds; r++) {
		volatile char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			die("mmap");
		for (size_t i = 0; i < size; i += 4096)
			p[i] = 1;
	}
	say(name, (now() - t) / ((double)rounds * (double)(size / 4096)) * 1e9, "ns/page");
}

static void touch_2m(void) { first_touch("touch_2MiB", 2 * MIB); }
static void touch_64m(void) { first_touch("touch_64MiB", 64 * MIB); }

static void cpu(void)
{
	uint64_t x = 88172645463325252u, sum = 0;
	double t = now();

	for (int i = 0; i < 400000000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		sum += x;
	}
	say("cpu", now() - t + (double)(sum == 42), "s");
}

static void read_blocks(void)
{
	char *buf = malloc(MIB);
	int fd = open(file, O_RDONLY);
	size_t total = 0;
	ssize_t n;
	double t;

	if (fd < 0 || !buf)
		die(file);
	memset(buf, 1, MIB);
	t = now();
	for (int round = 0; round < 3; round++) {
		lseek(fd, 0, SEEK_SET);
		while ((n = read(fd, buf, MIB)) > 0)
			total += (size_t)n;
	}
	say("read_1MiB", (double)total / (now() - t) / 1e9, "GB/s");
	close(fd);
	free(buf);
}

/* First pass: faults. Second: memory that is there. */
static void map_read(void)
{
	int fd = open(file, O_RDONLY);
	struct stat st;
	uint64_t sum = 0;
	const uint64_t *p;

	if (fd < 0 || fstat(fd, &st))
		die(file);
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		die("mmap");
	for (int pass = 0; pass < 2; pass++) {
		double t = now();

		for (size_t i = 0; i < (size_t)st.st_size / 8; i += 2)
			sum += p[i];
		say(pass ? "map_read_touched" : "map_read_first", (double)st.st_size / (now() - t) / 1e9 + (double)(sum == 42), "GB/s");
	}
}

static const struct { const char *name; void (*fn)(void); } tests[] = {
	{ "clock", clock_calls }, { "getppid", getppid_calls }, { "touch_2m", touch_2m }, { "touch_64m", touch_64m },
	{ "cpu", cpu }, { "read", read_blocks }, { "map", map_read },
};

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	file = argv[1];
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		for (int a = 2; a < argc || (argc == 2 && a == 2); a++)
			if (argc == 2 || !strcmp(argv[a], tests[i].name))
				tests[i].fn();
	return 0;
}
