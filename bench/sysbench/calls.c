/* SPDX-License-Identifier: MIT */
/* Calls that do next to nothing: what remains is the price of a call itself. */
#include "sysbench.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void getppid_turn(void *u)
{
	(void)u;
	syscall(SYS_getppid);
}

static void clock_turn(void *u)
{
	clock_gettime(CLOCK_MONOTONIC, u);
}

static void read_turn(void *fd)
{
	char c;

	MUST(read(*(int *)fd, &c, 1));
}

static void write_turn(void *fd)
{
	MUST(write(*(int *)fd, "x", 1));
}

static void getrandom_turn(void *buf)
{
	MUST(syscall(SYS_getrandom, buf, 16, 0));
}

static void t_getppid(void)
{
	say("getppid", per_turn(getppid_turn, NULL), "us");
}

static void t_gettime(void)
{
	struct timespec t;

	say("clock_gettime", per_turn(clock_turn, &t), "us");
}

static void t_read1(void)
{
	int fd = (int)MUST(open("/dev/zero", O_RDONLY));

	say("read_zero_1", per_turn(read_turn, &fd), "us");
}

static void t_write1(void)
{
	int fd = (int)MUST(open("/dev/null", O_WRONLY));

	say("write_null_1", per_turn(write_turn, &fd), "us");
}

static void t_getrandom(void)
{
	char buf[16];

	say("getrandom_16", per_turn(getrandom_turn, buf), "us");
}

/* No call at all: shows whether the program itself is slowed down, or the clock wrong. */
static void t_cpu(void)
{
	double start = now();
	uint64_t x = 1;

	for (long i = 0; i < 300000000; i++)
		__asm__ volatile("lea 1(%0),%0" : "+r"(x));
	say("cpu_loop", (now() - start) * 1e3, "ms");
}

const struct test call_tests[] = {
	{ "cpu", t_cpu }, { "getppid", t_getppid }, { "gettime", t_gettime }, { "read1", t_read1 },
	{ "write1", t_write1 }, { "getrandom", t_getrandom }, { NULL, NULL },
};
