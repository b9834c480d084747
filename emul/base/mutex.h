/* SPDX-License-Identifier: MIT */
/*
 * Locks that know their owner. mutex_assert_held() stands at the head of every `_locked` function.
 * With clang, -Wthread-safety checks the annotations. docs/LOCKING.md has the one order of all locks.
 * A mutex is held across nothing slow (no blocking host call, no other module's callback).
 */
#ifndef EMUL_BASE_MUTEX_H
#define EMUL_BASE_MUTEX_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __clang__
#define CAPABILITY __attribute__((capability("mutex")))
#define ACQUIRES(...) __attribute__((acquire_capability(__VA_ARGS__)))
#define RELEASES(...) __attribute__((release_capability(__VA_ARGS__)))
#define TRY_ACQUIRES(...) __attribute__((try_acquire_capability(__VA_ARGS__)))
#define REQUIRES(...) __attribute__((requires_capability(__VA_ARGS__)))
#define ASSERTS_HELD(...) __attribute__((assert_capability(__VA_ARGS__)))
#define NO_LOCK_ANALYSIS __attribute__((no_thread_safety_analysis))
#else
#define CAPABILITY
#define ACQUIRES(...)
#define RELEASES(...)
#define TRY_ACQUIRES(...)
#define REQUIRES(...)
#define ASSERTS_HELD(...)
#define NO_LOCK_ANALYSIS
#endif

struct CAPABILITY mutex {
	pthread_mutex_t m;
	_Atomic(pthread_t) owner; /* 0: free; only compared with pthread_self() */
};

#define MUTEX_INIT { .m = PTHREAD_MUTEX_INITIALIZER }

void mutex_init(struct mutex *m);
void mutex_fini(struct mutex *m);
void mutex_lock(struct mutex *m) ACQUIRES(*m);
bool mutex_trylock(struct mutex *m) TRY_ACQUIRES(true, *m);
void mutex_unlock(struct mutex *m) RELEASES(*m);

static inline void mutex_assert_held(struct mutex *m) ASSERTS_HELD(*m) NO_LOCK_ANALYSIS
{
	assert(pthread_equal(atomic_load_explicit(&m->owner, memory_order_relaxed), pthread_self()));
	(void)m;
}

/*
 * FUTEX_WAKE of one sleeper, as soon as this thread holds no mutex any more: whoever wakes up wants the lock that he was
 * woken under, and would go to sleep again at once. The word is not looked at: it may be gone by then.
 */
void mutex_wake_unlocked(_Atomic uint32_t *word);
/* Wake-ups that wait for an unlock are sent now: the thread is about to sleep. */
void mutex_send_wakes(void);
/* As if it held one more mutex in between: who has to answer somebody does so before he wakes others. true: somebody was woken now. */
void mutex_hold_wakes(void);
bool mutex_release_wakes(void);

/* Two locks of one kind: lower address first. */
void mutex_lock_two(struct mutex *a, struct mutex *b) NO_LOCK_ANALYSIS;
void mutex_unlock_two(struct mutex *a, struct mutex *b) NO_LOCK_ANALYSIS;

#endif
