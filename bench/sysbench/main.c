/* SPDX-License-Identifier: MIT */
/* sysbench.h says what this is. */
#include "sysbench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FILE_SIZE 65536

static char dir_name[] = "/tmp/sysbenchXXXXXX", file_name[64];

double seconds = 0.5;
const char *self, *dir = dir_name, *file = file_name;

double now(void)
{
	struct timespec t;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void say(const char *name, double value, const char *unit)
{
	printf("%-22s %14.4f %s\n", name, value, unit);
	fflush(stdout);
}

long must_(long r, const char *func, int line, const char *what)
{
	if (r == -1) {
		printf("%s:%d %s: %s\n", func, line, what, strerror(errno));
		exit(1);
	}
	return r;
}

double per_turn(void (*turn)(void *), void *arg)
{
	long batch = 1, done = 0;
	double start = now(), spent;

	do {
		for (long i = 0; i < batch; i++)
			turn(arg);
		done += batch;
		spent = now() - start;
		if (spent < seconds / 5)
			batch *= 2;
	} while (spent < seconds);
	return spent / (double)done * 1e6;
}

static void make_file(void)
{
	char block[4096];
	int fd;

	memset(block, 7, sizeof(block));
	if (!mkdtemp(dir_name))
		MUST(-1);
	snprintf(file_name, sizeof(file_name), "%s/f", dir);
	fd = (int)MUST(open(file, O_CREAT | O_RDWR, 0600));
	for (size_t i = 0; i < FILE_SIZE / sizeof(block); i++)
		MUST(write(fd, block, sizeof(block)));
	close(fd);
}

static int wanted(const char *name, int argc, char **argv, int first)
{
	for (int a = first; a < argc; a++)
		if (!strcmp(argv[a], name))
			return 1;
	return first >= argc;
}

int main(int argc, char **argv)
{
	const struct test *themes[] = { call_tests, file_tests, memory_tests, signal_tests, process_tests, ipc_tests };
	int first = 1;

	if (argc == 2 && !strcmp(argv[1], "nop"))
		return 0;
	if (argc > 2 && !strcmp(argv[1], "-t")) {
		seconds = atof(argv[2]);
		first = 3;
	}
	self = argv[0];
	make_file();
	for (size_t i = 0; i < sizeof(themes) / sizeof(*themes); i++)
		for (const struct test *t = themes[i]; t->name; t++)
			if (wanted(t->name, argc, argv, first))
				t->run();
	unlink(file);
	rmdir(dir);
	return 0;
}
