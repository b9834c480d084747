/* SPDX-License-Identifier: MIT */
/*
 * A fresh directory for every case, in every place worth testing: the directory the program was
 * started in, /dev/shm (a tmpfs) and /tmp. FILE_RUN_EVERYWHERE(tests) runs all cases once a place;
 * a case finds itself in an empty directory with umask 022, and whatever descriptors, files and
 * directories it leaves behind are closed and removed. FILE_RUN_HERE() is the same for one place.
 * Below are small makers: files with a text, memory which ends at an inaccessible page.
 */
#ifndef TESTS_LIB_FILE_DIR_H
#define TESTS_LIB_FILE_DIR_H

#include "tests/lib/cmocka_all.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define FILE_PAGE 4096
#define FILE_NR_FDS 256                 /* descriptors looked after */
#define RAW_O_LARGEFILE 0100000         /* what the kernel adds; the library's O_LARGEFILE is 0 */

static char file_home[PATH_MAX];        /* where the program was started */
static const char *file_place;          /* where cases get their directories */
static char file_case_dir[PATH_MAX];
static bool file_fd_was_open[FILE_NR_FDS];

static inline bool file_fd_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

/* Remember which descriptors are open; close the others later. */
static inline void file_fds_note(void)
{
	for (int fd = 0; fd < FILE_NR_FDS; fd++)
		file_fd_was_open[fd] = file_fd_open(fd);
}

static inline void file_fds_close_new(void)
{
	for (int fd = 0; fd < FILE_NR_FDS; fd++)
		if (!file_fd_was_open[fd])
			close(fd);
}

static int file_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_DP ? rmdir(path) : unlink(path);
}

static int file_setup(void **state)
{
	(void)state;
	if (!file_home[0] && !getcwd(file_home, sizeof(file_home)))
		return -1;
	file_fds_note();
	umask(022);
	snprintf(file_case_dir, sizeof(file_case_dir), "%.4000s/vmrun-file.XXXXXX",
		 file_place ? file_place : file_home);
	return !mkdtemp(file_case_dir) || chdir(file_case_dir) ? -1 : 0;
}

static int file_teardown(void **state)
{
	(void)state;
	file_fds_close_new();
	umask(022);
	if (chdir(file_home))
		return -1;
	return nftw(file_case_dir, file_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* The same for cases without files: only the descriptors. */
static inline int file_fds_setup(void **state)
{
	(void)state;
	file_fds_note();
	return 0;
}

static inline int file_fds_teardown(void **state)
{
	(void)state;
	file_fds_close_new();
	return 0;
}

static inline int file_run_in(const char *place, struct CMUnitTest *tests, size_t nr)
{
	file_place = place;
	for (size_t i = 0; i < nr; i++) {
		tests[i].setup_func = file_setup;
		tests[i].teardown_func = file_teardown;
	}
	return _cmocka_run_group_tests(place ? place : "start directory", tests, nr, NULL, NULL);
}

static inline int file_run_everywhere(struct CMUnitTest *tests, size_t nr)
{
	return file_run_in(NULL, tests, nr) + file_run_in("/dev/shm", tests, nr) +
	       file_run_in("/tmp", tests, nr);
}

static inline int file_run_fds(struct CMUnitTest *tests, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		tests[i].setup_func = file_fds_setup;
		tests[i].teardown_func = file_fds_teardown;
	}
	return _cmocka_run_group_tests("tests", tests, nr, NULL, NULL);
}

#define FILE_RUN_EVERYWHERE(tests) file_run_everywhere(tests, ARRAY_SIZE(tests))
#define FILE_RUN_HERE(tests) file_run_in(NULL, tests, ARRAY_SIZE(tests))
#define FILE_RUN_FDS(tests) file_run_fds(tests, ARRAY_SIZE(tests))      /* no directory needed */

/* A new (or emptied) file of this text, open for reading and writing at offset 0. */
static inline int file_make(const char *name, const char *text)
{
	int fd = (int)ASSERT_OK(open(name, O_RDWR | O_CREAT | O_TRUNC, 0644));

	assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
	return fd;
}

/* The same without keeping it open. */
static inline void file_put(const char *name, const char *text)
{
	close(file_make(name, text));
}

/* The first bytes of a file as a string in a static buffer; NULL if it cannot be opened. */
static inline const char *file_text(const char *name)
{
	static char text[4096];
	int fd = open(name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return NULL;
	text[n] = '\0';
	return text;
}

/* The same of an open file, from its start, whatever its offset. */
static inline const char *file_fd_text(int fd)
{
	static char text[4096];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return NULL;
	text[n] = '\0';
	return text;
}

static inline long file_size(const char *name)
{
	struct stat st;

	return stat(name, &st) ? -1 : (long)st.st_size;
}

static inline long file_fd_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : (long)st.st_size;
}

static inline ino_t file_ino(const char *name)
{
	struct stat st;

	return lstat(name, &st) ? 0 : st.st_ino;
}

static inline mode_t file_mode(const char *name)
{
	struct stat st;

	return lstat(name, &st) ? 0 : st.st_mode;
}

static inline bool file_exists(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

/* n bytes which can be used; the page behind them cannot. */
static inline char *file_edge(size_t n)
{
	size_t size = (n + FILE_PAGE - 1) / FILE_PAGE * FILE_PAGE;
	char *p = (char *)ASSERT_OK(mmap(NULL, size + FILE_PAGE, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	ASSERT_OK(mprotect(p + size, FILE_PAGE, PROT_NONE));
	return p + size - n;
}

/* A pointer to nothing: in the user's half, but inaccessible. */
static inline void *file_bad(void)
{
	static void *p;

	if (!p)
		p = (void *)ASSERT_OK(mmap(NULL, FILE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
					   -1, 0));
	return p;
}

/* A string of n letters. */
static inline char *file_letters(size_t n)
{
	char *s = malloc(n + 1);

	memset(s, 'n', n);
	s[n] = '\0';
	return s;
}

#endif
