/* SPDX-License-Identifier: MIT */
/* Waiting on several files at once: what poll(2), select(2) and their kin are made of. */
#include <stdlib.h>

#include "emul/base/err.h"
#include "emul/vfs/file.h"

#define ON_STACK 16

struct poll_entry {
	struct waitq_entry entry;
	struct waiter *waiter;
	uint32_t wanted;
};

static bool wake_poller(struct waitq_entry *e, uint32_t events)
{
	struct poll_entry *p = container_of(e, struct poll_entry, entry);

	if (events && !(events & p->wanted))
		return false;
	waiter_wake(p->waiter);
	return true;
}

/* Looks at every file; while nothing is ready yet and entries are given, queues on it before looking. */
static int scan(struct poll_item *items, unsigned n, struct poll_entry *entries, struct waiter *w)
{
	int ready = 0;

	for (unsigned i = 0; i < n; i++) {
		struct poll_item *it = &items[i];
		uint32_t wanted = it->events | (it->exact ? 0 : EPOLLERR | EPOLLHUP);

		it->ret = 0;
		if (!it->file)
			continue;
		if (entries && !ready) {
			entries[i] = (struct poll_entry){ .entry.wake = wake_poller, .waiter = w, .wanted = wanted };
			waitq_add(&it->file->wq, &entries[i].entry);
		}
		it->ret = file_poll(it->file) & wanted;
		ready += it->ret != 0;
	}
	return ready;
}

static int wait_ready(struct poll_item *items, unsigned n, struct poll_entry *entries, struct deadline d)
{
	struct waiter *w = waiter_current();
	int ready, r = 0;

	waiter_prepare(w);
	ready = scan(items, n, entries, w);
	while (!ready && r == 0) {
		r = waiter_block(w, d);
		waiter_prepare(w);
		ready = scan(items, n, NULL, w); /* once more after a deadline or a signal, as Linux */
	}
	for (unsigned i = 0; i < n; i++)
		waitq_del(&entries[i].entry);
	if (ready || r == -ETIMEDOUT)
		return ready;
	return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
}

int files_poll(struct poll_item *items, unsigned n, struct deadline d)
{
	struct poll_entry few[ON_STACK] = { 0 }, *entries = few;
	int r;

	/* A deadline in the past asks for the present state only. */
	if (!deadline_is_forever(d) && d.ns <= clock_now(d.clock))
		return scan(items, n, NULL, NULL);
	if (n > ON_STACK) {
		entries = calloc(n, sizeof(*entries));
		if (!entries)
			return -ENOMEM;
	}
	r = wait_ready(items, n, entries, d);
	if (entries != few)
		free(entries);
	return r;
}
