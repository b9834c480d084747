/* SPDX-License-Identifier: MIT */
/* Files and names. Their data is in memory: nothing here waits for a disk. */
#include "sysbench.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES 500
#define MIB ((size_t)1 << 20)

static void pread_turn(void *fd)
{
	char buf[4096];

	MUST(pread(*(int *)fd, buf, sizeof(buf), 0));
}

static void t_pread(void)
{
	int fd = (int)MUST(open(file, O_RDONLY));

	say("pread_4k", per_turn(pread_turn, &fd), "us");
	close(fd);
}

static void open_turn(void *u)
{
	(void)u;
	MUST(close((int)MUST(open(file, O_RDONLY))));
}

static void t_open(void)
{
	say("open_close", per_turn(open_turn, NULL), "us");
}

static void stat_turn(void *st)
{
	MUST(stat("/usr/share/doc/bash", st));
}

static void t_stat(void)
{
	struct stat st;

	say("stat", per_turn(stat_turn, &st), "us");
}

static void readdir_turn(void *path)
{
	DIR *d = opendir(path);

	while (d && readdir(d))
		;
	closedir(d);
}

static void t_readdir(void)
{
	char d[80], path[128];

	snprintf(d, sizeof(d), "%s/d", dir);
	MUST(mkdir(d, 0700));
	for (int i = 0; i < NAMES; i++) {
		snprintf(path, sizeof(path), "%s/f%d", d, i);
		close((int)MUST(open(path, O_CREAT | O_WRONLY, 0600)));
	}
	say("readdir_500", per_turn(readdir_turn, d), "us");
	for (int i = 0; i < NAMES; i++) {
		snprintf(path, sizeof(path), "%s/f%d", d, i);
		unlink(path);
	}
	rmdir(d);
}

static void t_write_file(void)
{
	size_t count = seconds < 0.5 ? 32 : 128;
	char *buf = malloc(MIB), path[80];
	double start;
	int fd;

	memset(buf, 7, MIB);
	snprintf(path, sizeof(path), "%s/w", dir);
	start = now();
	fd = (int)MUST(open(path, O_RDWR | O_CREAT | O_TRUNC, 0600));
	for (size_t i = 0; i < count; i++)
		MUST(write(fd, buf, MIB));
	say("write_file", (double)count / 1024 / (now() - start), "GB/s");
	close(fd);
	unlink(path);
	free(buf);
}

static void read_blocks(const char *name, const char *path, size_t block)
{
	char *buf = malloc(block);
	int fd = (int)MUST(open(path, O_RDONLY));
	double start = now();
	long total = 0, n;

	do {
		while ((n = MUST(read(fd, buf, block))) > 0)
			total += n;
		lseek(fd, 0, SEEK_SET);
	} while (total && now() - start < seconds);
	say(name, (double)total / (double)(1 << 30) / (now() - start), "GB/s");
	close(fd);
	free(buf);
}

static void t_read_file(void)
{
	char *buf = malloc(MIB), path[80];
	int fd;

	snprintf(path, sizeof(path), "%s/r", dir);
	memset(buf, 7, MIB);
	fd = (int)MUST(open(path, O_RDWR | O_CREAT | O_TRUNC, 0600));
	for (int i = 0; i < 16; i++)
		MUST(write(fd, buf, MIB));
	close(fd);
	free(buf);
	read_blocks("read_file_4k", path, 4096);
	read_blocks("read_file_64k", path, 65536);
	unlink(path);
}

const struct test file_tests[] = {
	{ "pread", t_pread }, { "open", t_open }, { "stat", t_stat }, { "readdir", t_readdir },
	{ "write_file", t_write_file }, { "read_file", t_read_file }, { NULL, NULL },
};
