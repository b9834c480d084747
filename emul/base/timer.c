/* SPDX-License-Identifier: MIT */
/*
 * Deadlines, fired on the reactor. Per clock a binary heap and a host timerfd set to its first
 * deadline, both made at first use. Cancelling leaves the timerfd as it is: an early ring finds
 * nothing due and sets it anew, which is cheaper than a host call for each cancel.
 *
 * The timer whose callback runs is remembered here, not in the timer: a callback may free it.
 */
/* host syscalls: timerfd_create timerfd_settime read close */
#include "emul/base/timer.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/base/loop.h"

#define NS 1000000000LL

struct clock_heap {
	int clock;
	int fd;
	int64_t programmed;     /* what the timerfd is set to; INT64_MAX: nothing, INT64_MIN: unknown */
	bool ringing;           /* the reactor fires what is due and will set the timerfd afterwards */
	struct timer **heap;    /* heap[0] is the first; timer->slot is its index + 1 */
	unsigned n, cap;
	struct loop_watch watch;
};

static struct {
	struct mutex lock;
	/* lock: */
	struct clock_heap clock[3];
	struct timer *firing;
	pthread_t firing_thread;
	struct waitq fired;
	void (*clock_set)(void);
} timers = {
	.lock = MUTEX_INIT,
	.clock = { { .clock = CLOCK_REALTIME, .fd = -1 }, { .clock = CLOCK_MONOTONIC, .fd = -1 }, { .clock = CLOCK_BOOTTIME, .fd = -1 } },
	.fired = WAITQ_INIT(timers.fired),
};

/* --- the heap -------------------------------------------------------------------------------------- */

static void place(struct clock_heap *h, unsigned i, struct timer *t)
{
	h->heap[i] = t;
	t->slot = i + 1;
}

static void sift_up(struct clock_heap *h, unsigned i, struct timer *t)
{
	while (i > 0 && h->heap[(i - 1) / 2]->at.ns > t->at.ns) {
		place(h, i, h->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(h, i, t);
}

static void sift_down(struct clock_heap *h, unsigned i, struct timer *t)
{
	for (;;) {
		unsigned child = 2 * i + 1;

		if (child >= h->n)
			break;
		if (child + 1 < h->n && h->heap[child + 1]->at.ns < h->heap[child]->at.ns)
			child++;
		if (h->heap[child]->at.ns >= t->at.ns)
			break;
		place(h, i, h->heap[child]);
		i = child;
	}
	place(h, i, t);
}

static struct clock_heap *heap_of(int clock)
{
	return &timers.clock[clock == CLOCK_REALTIME ? 0 : clock == CLOCK_MONOTONIC ? 1 : 2];
}

static void heap_remove(struct timer *t)
{
	struct clock_heap *h = heap_of(t->at.clock);
	unsigned i = t->slot - 1;
	struct timer *last = h->heap[--h->n];

	t->slot = 0;
	if (last == t)
		return;
	if (i > 0 && h->heap[(i - 1) / 2]->at.ns > last->at.ns)
		sift_up(h, i, last);
	else
		sift_down(h, i, last);
}

static int heap_room(struct clock_heap *h)
{
	unsigned cap = h->cap ? h->cap * 2 : 32;
	struct timer **heap;

	if (h->n < h->cap)
		return 0;
	heap = realloc(h->heap, cap * sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	h->heap = heap;
	h->cap = cap;
	return 0;
}

/* --- the host side ---------------------------------------------------------------------------------- */

/* Sets the timerfd to the first deadline, if that is not what it is set to. */
static void program_locked(struct clock_heap *h)
{
	int64_t first = h->n ? h->heap[0]->at.ns : INT64_MAX;
	struct itimerspec its = { .it_value = { .tv_sec = INT32_MAX } }; /* "never", but clock changes are still told */
	int flags = TFD_TIMER_ABSTIME;

	if (h->fd < 0 || h->ringing || first == h->programmed)
		return;
	if (first == INT64_MAX && h->clock != CLOCK_REALTIME) {
		h->programmed = first; /* it may ring once more for nothing */
		return;
	}
	if (first != INT64_MAX) {
		int64_t ns = first > 0 ? first : 1; /* 0 would disarm it */

		its.it_value = (struct timespec){ .tv_sec = ns / NS, .tv_nsec = ns % NS };
	}
	if (h->clock == CLOCK_REALTIME)
		flags |= TFD_TIMER_CANCEL_ON_SET;
	if (timerfd_settime(h->fd, flags, &its, NULL) == 0 || errno == ECANCELED) /* set, and a change of the clock is told */
		h->programmed = first;
}

/* Takes the first timer that is due and marks it as firing. */
static struct timer *take_due(struct clock_heap *h)
{
	struct timer *t = NULL;

	mutex_lock(&timers.lock);
	timers.firing = NULL;
	waitq_wake(&timers.fired, 0);
	if (h->n && h->heap[0]->at.ns <= clock_now(h->clock)) {
		t = h->heap[0];
		heap_remove(t);
		timers.firing = t;
		timers.firing_thread = pthread_self();
	} else {
		h->ringing = false;
		program_locked(h);
	}
	mutex_unlock(&timers.lock);
	return t;
}

static void on_ring(struct loop_watch *w, uint32_t events)
{
	struct clock_heap *h = container_of(w, struct clock_heap, watch);
	void (*clock_set)(void) = NULL;
	struct timer *t;
	uint64_t rings;
	long r = HOST(read(h->fd, &rings, sizeof(rings)));

	(void)events;
	mutex_lock(&timers.lock);
	h->ringing = true;
	h->programmed = INT64_MIN; /* it rang: whatever comes first must be set again */
	if (r == -ECANCELED)
		clock_set = timers.clock_set;
	mutex_unlock(&timers.lock);
	if (clock_set)
		clock_set();
	while ((t = take_due(h)))
		t->fire(t);
}

/* Makes the clock's timerfd and watch. The reactor's lock is inner to ours. */
static int start_clock_locked(struct clock_heap *h)
{
	int r;

	if (h->fd >= 0)
		return 0;
	h->fd = (int)HOST(timerfd_create(h->clock, TFD_CLOEXEC | TFD_NONBLOCK));
	if (h->fd < 0)
		return h->fd;
	h->programmed = INT64_MIN;
	r = loop_watch_add(&h->watch, h->fd, EPOLLIN, on_ring);
	if (r < 0) {
		close(h->fd);
		h->fd = -1;
	}
	return r;
}

/* --- calls ------------------------------------------------------------------------------------------- */

int timer_boot(void)
{
	return 0; /* everything is made at first use */
}

void timer_shutdown(void)
{
	for (int i = 0; i < 3; i++) {
		struct clock_heap *h = &timers.clock[i];

		if (h->fd < 0)
			continue;
		loop_watch_del(&h->watch); /* without our lock: on_ring() takes it */
		mutex_lock(&timers.lock);
		close(h->fd);
		h->fd = -1;
		for (unsigned k = 0; k < h->n; k++)
			h->heap[k]->slot = 0;
		free(h->heap);
		h->heap = NULL;
		h->n = h->cap = 0;
		mutex_unlock(&timers.lock);
	}
}

void timer_init(struct timer *t, void (*fire)(struct timer *))
{
	*t = (struct timer){ .fire = fire };
}

void timer_arm(struct timer *t, struct deadline at)
{
	struct clock_heap *h = heap_of(at.clock);

	mutex_lock(&timers.lock);
	if (t->slot)
		heap_remove(t);
	t->at = at;
	if (!deadline_is_forever(at)) {
		if (start_clock_locked(h) < 0 || heap_room(h) < 0) {
			log_warn("timer: the host refuses one");
		} else {
			sift_up(h, h->n++, t);
			if (t->slot == 1)
				program_locked(h);
		}
	}
	mutex_unlock(&timers.lock);
}

static bool remove_locked(struct timer *t)
{
	if (!t->slot)
		return false;
	heap_remove(t);
	return true;
}

bool timer_cancel(struct timer *t)
{
	bool armed;

	mutex_lock(&timers.lock);
	armed = remove_locked(t);
	mutex_unlock(&timers.lock);
	return armed;
}

void timer_cancel_sync(struct timer *t)
{
	mutex_lock(&timers.lock);
	remove_locked(t);
	while (timers.firing == t) {
		assert(!pthread_equal(timers.firing_thread, pthread_self()));
		waitq_sleep_uninterruptible(&timers.fired, &timers.lock, FOREVER);
		remove_locked(t); /* its callback may have armed it again */
	}
	mutex_unlock(&timers.lock);
}

void timer_on_clock_set(void (*fn)(void))
{
	struct clock_heap *h = heap_of(CLOCK_REALTIME);

	mutex_lock(&timers.lock);
	timers.clock_set = fn;
	if (fn && start_clock_locked(h) == 0)
		program_locked(h);
	mutex_unlock(&timers.lock);
}
