/* SPDX-License-Identifier: MIT */
/*
 * Deadlines for things that nobody sleeps on: interval timers, timerfd, alarm. One heap and one host
 * timerfd per clock (made at first use), fired by the reactor thread (loop.h). A callback runs on the reactor thread
 * with no lock held; it may re-arm its timer, and it may free it.
 */
#ifndef EMUL_BASE_TIMER_H
#define EMUL_BASE_TIMER_H

#include "emul/base/wait.h"

struct timer {
	void (*fire)(struct timer *t);
	struct deadline at;
	unsigned slot;  /* position in the heap + 1; 0 = not armed */
};

int timer_boot(void);     /* after loop_boot() */
void timer_shutdown(void);
void timer_init(struct timer *t, void (*fire)(struct timer *));
void timer_arm(struct timer *t, struct deadline at); /* replaces an earlier deadline; in the past: fires at once */
bool timer_cancel(struct timer *t);      /* true: it was armed and will not fire */
void timer_cancel_sync(struct timer *t); /* and its callback is not running any more; not from callbacks, no lock that the callback takes */
/* Called (on the reactor) when the host's realtime clock was set: for TFD_TIMER_CANCEL_ON_SET. One user: vfs/timerfd.c. */
void timer_on_clock_set(void (*fn)(void));

#endif
