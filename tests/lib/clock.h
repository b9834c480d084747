/* SPDX-License-Identifier: MIT */
/*
 * Time for tests on slow machines: lower bounds only, and patience instead of fixed sleeps.
 * EVENTUALLY(cond) evaluates cond again and again until it is true, for at most a minute.
 */
#ifndef TESTS_LIB_CLOCK_H
#define TESTS_LIB_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define MSEC 1000000L   /* in ns */
#define PATIENCE_MS 60000

static inline int64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static inline int64_t now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / MSEC;
}

static inline struct timespec ns_to_timespec(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / 1000000000LL, .tv_nsec = ns % 1000000000LL };
}

/* The time `ms` milliseconds from now, for calls that take an absolute one. */
static inline struct timespec clock_in_ms(clockid_t id, int64_t ms)
{
	return ns_to_timespec(clock_ns(id) + ms * MSEC);
}

/* Sleeps its whole time even if signals come in. */
static inline void sleep_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * MSEC };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) != 0)
		;
}

#define EVENTUALLY(cond)                                                                         \
	({                                                                                       \
		int64_t eventually_end = now_ms() + PATIENCE_MS;                                 \
		bool eventually_ok;                                                              \
		while (!(eventually_ok = !!(cond)) && now_ms() < eventually_end)                 \
			sleep_ms(2);                                                             \
		eventually_ok;                                                                   \
	})

#endif
