/* SPDX-License-Identifier: MIT */
/*
 * A parser of /proc/self/maps that allocates nothing (so that looking does not change what is seen),
 * and the few questions tests ask: which mapping holds an address, how many a range consists of.
 */
#ifndef TESTS_LIB_MAPS_H
#define TESTS_LIB_MAPS_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096UL

struct map {
	unsigned long start, end, offset, inode;
	unsigned int major, minor;
	char perms[8];
	char path[256];
};

/* The whole of a /proc file as a string: its length, or -1. */
static inline long proc_read(const char *name, char *buf, size_t size)
{
	int fd = open(name, O_RDONLY);
	size_t len = 0;
	ssize_t r = -1;

	if (fd < 0)
		return -1;
	while (len < size - 1 && (r = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)r;
	close(fd);
	buf[len] = '\0';
	return r < 0 ? -1 : (long)len;
}

static char maps_text[1 << 18];

static inline bool map_parse(const char *line, struct map *m)
{
	int pos = 0;

	memset(m, 0, sizeof(*m));
	if (sscanf(line, "%lx-%lx %7s %lx %x:%x %lu%n", &m->start, &m->end, m->perms, &m->offset,
		   &m->major, &m->minor, &m->inode, &pos) < 7)
		return false;
	line += pos;
	line += strspn(line, " ");
	for (size_t i = 0; i < sizeof(m->path) - 1 && line[i] && line[i] != '\n'; i++)
		m->path[i] = line[i];
	return true;
}

/* The mapping that holds the address; false if it is not mapped. */
static inline bool map_find(const void *addr, struct map *m)
{
	unsigned long a = (unsigned long)addr;

	if (proc_read("/proc/self/maps", maps_text, sizeof(maps_text)) < 0)
		return false;
	for (char *p = maps_text; p && *p; p = strchr(p, '\n'), p += p != NULL)
		if (map_parse(p, m) && a >= m->start && a < m->end)
			return true;
	return false;
}

/* How many mappings lie (even in part) in the range. */
static inline int map_count(const void *addr, size_t size)
{
	unsigned long a = (unsigned long)addr;
	struct map m;
	int n = 0;

	if (proc_read("/proc/self/maps", maps_text, sizeof(maps_text)) < 0)
		return -1;
	for (char *p = maps_text; p && *p; p = strchr(p, '\n'), p += p != NULL)
		n += map_parse(p, &m) && m.start < a + size && m.end > a;
	return n;
}

/* "rw-p" and so on; "none" where nothing is mapped. */
static inline const char *map_perms(const void *addr)
{
	static struct map m;

	return map_find(addr, &m) ? m.perms : "none";
}

/* The number (in kB for Vm*) after "key:" in /proc/self/status or smaps-like text; -1 if absent. */
static inline long proc_number(const char *text, const char *key)
{
	size_t len = strlen(key);
	long val;

	for (const char *p = text; p && *p; p = strchr(p, '\n'), p += p != NULL)
		if (strncmp(p, key, len) == 0 && p[len] == ':')
			return sscanf(p + len + 1, "%ld", &val) == 1 ? val : -1;
	return -1;
}

static inline long status_number(const char *key)
{
	static char text[8192];

	return proc_read("/proc/self/status", text, sizeof(text)) < 0 ? -1 : proc_number(text, key);
}

#endif
