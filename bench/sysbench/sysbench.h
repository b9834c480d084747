/* SPDX-License-Identifier: MIT */
/*
 * sysbench: what a program pays for services of the operating system. One line a result: name, value, unit.
 *   usage: sysbench [-t SECONDS] [TEST...]      SECONDS: how long one result is measured (default 0.5)
 * A static binary, so that the same bytes run natively and under every peer. One file a theme, one table each.
 */
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stddef.h>

struct test {
	const char *name;
	void (*run)(void);
};

/* Ended by an empty row. */
extern const struct test call_tests[], file_tests[], memory_tests[], signal_tests[], process_tests[], ipc_tests[];

/* constant after the start of main: */
extern double seconds;		/* how long one result is measured */
extern const char *self;	/* path of this program */
extern const char *dir, *file;	/* a directory of our own, and a file of 64 KiB in it */

double now(void); /* seconds, by the system call: a vDSO may be missing */
void say(const char *name, double value, const char *unit);
long must_(long r, const char *func, int line, const char *what);

/* The call's result; -1 ends the program with a message, and the test counts as failed. */
#define MUST(x) must_((long)(x), __func__, __LINE__, #x)

/* Microseconds a turn: `turn` is repeated in growing batches until `seconds` are spent. */
double per_turn(void (*turn)(void *), void *arg);
