/* SPDX-License-Identifier: MIT */
/* Signals that are blocked and fetched one by one, to see what they say. */
#ifndef TESTS_LIB_SIGWAIT_H
#define TESTS_LIB_SIGWAIT_H

#include "tests/lib/cmocka_all.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SIGWAIT_LIMIT_MS 30000
#define IN_BAND (POLLIN | POLLRDNORM)
#define OUT_BAND (POLLOUT | POLLWRNORM | POLLWRBAND)
#define MSG_BAND (POLLIN | POLLRDNORM | POLLMSG)

/* sig, or -1: none came within ms. */
static inline int sig_fetch(int sig, siginfo_t *ret, int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, sig);
	memset(ret, 0, sizeof(*ret));
	do
		r = (int)syscall(SYS_rt_sigtimedwait, &set, ret, &ts, _NSIG / 8); /* the library's hides SI_TKILL */
	while (r == -1 && errno == EINTR);
	return r;
}

static inline bool sig_none(int sig)
{
	siginfo_t info;

	return sig_fetch(sig, &info, 0) == -1;
}

/* How many are there; takes them. */
static inline int sig_drain(int sig)
{
	int n = 0;

	while (!sig_none(sig))
		n++;
	return n;
}

static inline void sig_block(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* The next one is from this descriptor, and says this. */
#define SIG_EXPECT(sig, fd, code, band)                                  \
	do {                                                             \
		siginfo_t i_;                                            \
		assert_int_equal(sig_fetch(sig, &i_, SIGWAIT_LIMIT_MS), sig); \
		assert_int_equal(i_.si_code, code);                      \
		assert_int_equal(i_.si_fd, fd);                          \
		assert_int_equal(i_.si_band, band);                      \
	} while (0)

#endif
