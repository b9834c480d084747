/* SPDX-License-Identifier: MIT */
/*
 * One system call (or a few) in a second thread, to see it block and be released: bg_start(),
 * bg_blocks() (it does not come back by itself), bg_end() (it comes back now; gives result and
 * errno). bg_as_user() runs a function as another user: credentials belong to threads in Linux.
 */
#ifndef TESTS_LIB_FILE_BG_H
#define TESTS_LIB_FILE_BG_H

#include "tests/lib/clock.h"
#include "tests/lib/cmocka_all.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

struct bg {
	long (*fn)(void *arg);
	void *arg;
	pthread_t thread;
	atomic_int started, done;
	atomic_int tid;
	long ret;
	int err;
};

static void *bg_thread(void *arg)
{
	struct bg *bg = arg;

	atomic_store(&bg->tid, (int)syscall(SYS_gettid));
	atomic_store(&bg->started, 1);
	errno = 0;
	bg->ret = bg->fn(bg->arg);
	bg->err = bg->ret == -1 ? errno : 0;
	atomic_store(&bg->done, 1);
	return NULL;
}

static inline void bg_start(struct bg *bg, long (*fn)(void *), void *arg)
{
	memset(bg, 0, sizeof(*bg));
	bg->fn = fn;
	bg->arg = arg;
	assert_int_equal(pthread_create(&bg->thread, NULL, bg_thread, bg), 0);
	while (!atomic_load(&bg->started))
		sleep_ms(1);
}

/* It is still in its call a while later. */
static inline bool bg_blocks(struct bg *bg)
{
	sleep_ms(40);
	return !atomic_load(&bg->done);
}

/* Wait for the end, not for ever: its result, errno set (0 if it worked). */
static inline long bg_end_at(struct bg *bg, const char *file, int line)
{
	if (!EVENTUALLY(atomic_load(&bg->done))) {
		print_error("the second thread still blocks\n");
		_fail(file, line);
	}
	pthread_join(bg->thread, NULL);
	errno = bg->err;
	return bg->ret;
}

#define bg_end(bg) bg_end_at(bg, __FILE__, __LINE__)

/* A signal handler that does nothing, without SA_RESTART unless given. */
static void bg_signal_seen(int sig)
{
	(void)sig;
}

static inline void bg_handle(int sig, int flags)
{
	struct sigaction sa = { .sa_handler = bg_signal_seen, .sa_flags = flags };

	sigaction(sig, &sa, NULL);
}

/* Send it signals until its call has ended: the first may come before the call has begun. */
static inline bool bg_interrupt(struct bg *bg, int sig)
{
	return EVENTUALLY((pthread_kill(bg->thread, sig), atomic_load(&bg->done)));
}

struct bg_user {
	uid_t uid;
	long (*fn)(void *arg);
	void *arg;
};

static long bg_user_main(void *arg)
{
	struct bg_user *u = arg;

	/* The system calls, not the library's: those change all threads. */
	if (syscall(SYS_setgroups, 0, NULL) || syscall(SYS_setresgid, u->uid, u->uid, u->uid) ||
	    syscall(SYS_setresuid, u->uid, u->uid, u->uid))
		return -99;
	return u->fn(u->arg);
}

/* fn(arg) as this user, without capabilities; gives its result, errno set. */
static inline long bg_as_user(uid_t uid, long (*fn)(void *), void *arg)
{
	struct bg_user u = { uid, fn, arg };
	struct bg bg;

	bg_start(&bg, bg_user_main, &u);
	return bg_end(&bg);
}

#endif
