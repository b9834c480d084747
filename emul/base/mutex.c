/* SPDX-License-Identifier: MIT */
/*
 * Mutexes: pthread's, plus who holds them. The owner is written by the holder only, so a relaxed
 * store is enough for mutex_assert_held(), which asks "is it me?". Locking twice aborts at once.
 */
/* host syscalls: futex */
#include "emul/base/mutex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WAKES_MAX 8 /* more are sent at once */

static _Thread_local struct {
	unsigned held;  /* mutexes */
	unsigned n;     /* words */
	_Atomic uint32_t *word[WAKES_MAX];
} mine;

static inline void set_owner(struct mutex *m, pthread_t who)
{
	atomic_store_explicit(&m->owner, who, memory_order_relaxed);
}

static inline bool is_mine(struct mutex *m)
{
	return atomic_load_explicit(&m->owner, memory_order_relaxed) == pthread_self();
}

void mutex_init(struct mutex *m)
{
	pthread_mutex_init(&m->m, NULL);
	atomic_init(&m->owner, 0);
}

void mutex_fini(struct mutex *m)
{
	assert(atomic_load_explicit(&m->owner, memory_order_relaxed) == 0);
	pthread_mutex_destroy(&m->m);
}

void mutex_lock(struct mutex *m) NO_LOCK_ANALYSIS
{
	assert(!is_mine(m));
	pthread_mutex_lock(&m->m);
	mine.held++;
	set_owner(m, pthread_self());
}

bool mutex_trylock(struct mutex *m) NO_LOCK_ANALYSIS
{
	if (pthread_mutex_trylock(&m->m))
		return false;
	mine.held++;
	set_owner(m, pthread_self());
	return true;
}

void mutex_unlock(struct mutex *m) NO_LOCK_ANALYSIS
{
	assert(is_mine(m));
	set_owner(m, 0);
	pthread_mutex_unlock(&m->m);
	if (--mine.held == 0 && mine.n)
		mutex_send_wakes();
}

static void wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void mutex_wake_unlocked(_Atomic uint32_t *word)
{
	if (mine.held && mine.n < WAKES_MAX)
		mine.word[mine.n++] = word;
	else
		wake(word);
}

void mutex_send_wakes(void)
{
	for (unsigned i = 0; i < mine.n; i++)
		wake(mine.word[i]);
	mine.n = 0;
}

void mutex_hold_wakes(void)
{
	mine.held++;
}

bool mutex_release_wakes(void)
{
	bool any = mine.n > 0;

	if (--mine.held == 0)
		mutex_send_wakes();
	return any;
}

void mutex_lock_two(struct mutex *a, struct mutex *b)
{
	if (a == b) {
		mutex_lock(a);
		return;
	}
	mutex_lock(a < b ? a : b);
	mutex_lock(a < b ? b : a);
}

void mutex_unlock_two(struct mutex *a, struct mutex *b)
{
	mutex_unlock(a);
	if (a != b)
		mutex_unlock(b);
}
