/* SPDX-License-Identifier: MIT */
/*
 * What every test needs of cmocka: the headers it wants included before its own, and the checks we
 * make most often: "this call works" and "this call fails with exactly this errno".
 * Include it first: it also sets _GNU_SOURCE. Only the main thread of a test may use the checks
 * (cmocka leaves a failed case by longjmp); other threads hand their results back to it.
 */
#ifndef TESTS_LIB_CMOCKA_ALL_H
#define TESTS_LIB_CMOCKA_ALL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* cmocka's signature carries a state which few cases need. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline const char *errno_name(int err)
{
	const char *name = strerrorname_np(err);

	return name ? name : err == 0 ? "no error" : "unknown errno";
}

static inline long assert_ok_at(long r, const char *what, const char *file, int line)
{
	int err = errno;

	if (r == -1) {
		print_error("%s: got -1/%s, want success\n", what, errno_name(err));
		_fail(file, line);
	}
	return r;
}

static inline void assert_err_at(long r, int got, int want, const char *what, const char *file,
				 int line)
{
	if (r != -1 || got != want) {
		print_error("%s: got %ld/%s, want -1/%s\n", what, r, r == -1 ? errno_name(got) : "-",
			    errno_name(want));
		_fail(file, line);
	}
}

/* For functions of pthread's kind, which return the errno. */
static inline void assert_ret_at(long r, long want, const char *what, const char *file, int line)
{
	if (r != want) {
		print_error("%s: got %ld/%s, want %ld/%s\n", what, r, errno_name((int)r), want,
			    errno_name((int)want));
		_fail(file, line);
	}
}

/* The call does not return -1; gives its result (as long) for more checks. */
#define ASSERT_OK(call) assert_ok_at((long)(call), #call, __FILE__, __LINE__)

/* The call returns -1 with this errno. */
#define ASSERT_ERR(call, err)                                                                    \
	do {                                                                                     \
		errno = 0;                                                                       \
		long assert_err_r = (long)(call);                                                \
		assert_err_at(assert_err_r, errno, (err), #call, __FILE__, __LINE__);            \
	} while (0)

/* The call returns exactly this; shown with the errno's name if it differs. */
#define ASSERT_RET(call, want) assert_ret_at((long)(call), (want), #call, __FILE__, __LINE__)

#endif
