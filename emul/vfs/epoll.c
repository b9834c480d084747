/* SPDX-License-Identifier: MIT */
/*
 * epoll(7).
 *
 * Theory of operation, after fs/eventpoll.c. An item hangs a callback on its target's wait queue. The
 * callback appends the item to the ready list and wakes one waiter: O(1). A waiter takes the whole
 * ready list and asks each item's file what is true now; a level-triggered item that reported goes
 * back to the list's end, so that every item gets its turn. While a waiter scans, callbacks put their
 * items on `late` instead; they join the ready list afterwards: that is how one call reports no item
 * twice and no event is lost.
 *
 * Items do not hold their target. The target's last file_put() calls epoll_forget(), which needs
 * ep->lock to take the item away; so under ep->lock an item's target is there.
 *
 * Lock order: nesting lock -> ep->lock (outer epoll before inner) -> the target's own locks -> its
 * waitq lock -> ep->ready_lock. ep->lock -> epoll_watch_lock (the lists file->epolls). The last reference
 * of a file must not be dropped under a lock that some poll operation takes.
 */
#include <stdlib.h>

#include "emul/base/err.h"
#include "emul/vfs/epoll.h"
#include "emul/vfs/pseudo.h"

#define PRIVATE_BITS (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)
#define EXCLUSIVE_OK_BITS (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)
#define MAX_WATCHES (1 << 20) /* of the instance: /proc/sys/fs/epoll/max_user_watches */

struct mutex epoll_watch_lock = MUTEX_INIT;
static _Atomic int watches;

static const struct file_ops epoll_ops;

int epoll_compare(const struct item *a, const struct item *b)
{
	if (a->target != b->target)
		return (uintptr_t)a->target < (uintptr_t)b->target ? -1 : 1;
	return (a->fd > b->fd) - (a->fd < b->fd);
}

bool file_is_epoll(struct file *f)
{
	return f->ops == &epoll_ops;
}

static void epoll_unref(struct epoll *ep)
{
	if (!ref_put(&ep->ref))
		return;
	waitq_fini(&ep->sleepers);
	mutex_fini(&ep->ready_lock);
	mutex_fini(&ep->lock);
	free(ep);
}

/* --- becoming ready ------------------------------------------------------------------------------------- */

static void wake_waiters(struct epoll *ep)
{
	waitq_wake(&ep->sleepers, 0);
	waitq_wake(&ep->file.wq, EPOLLIN | EPOLLRDNORM); /* an outer epoll, poll(2) */
}

/* Whether this item, if exclusive, may take the wake-up away from other epolls. */
static bool takes_wakeup(const struct epoll_event *ev, uint32_t events, bool has_sleeper)
{
	uint32_t dir = events & (EPOLLIN | EPOLLOUT);

	if (!(ev->events & EPOLLEXCLUSIVE))
		return true;
	return has_sleeper && (dir != EPOLLIN || (ev->events & EPOLLIN)) && (dir != EPOLLOUT || (ev->events & EPOLLOUT)) &&
	       dir != (EPOLLIN | EPOLLOUT);
}

/* The target's wait queue calls: with its lock held. */
static bool item_wake(struct waitq_entry *e, uint32_t events)
{
	struct item *it = container_of(e, struct item, wait);
	struct epoll *ep = it->ep;
	bool takes;

	mutex_lock(&ep->ready_lock);
	if (!(it->ev.events & ~PRIVATE_BITS) || (events && !(events & it->ev.events))) {
		mutex_unlock(&ep->ready_lock); /* spent one-shot, or an event that nobody wants */
		return false;
	}
	if (ep->scanning) {
		if (list_empty(&it->late_node))
			list_add_tail(&ep->late, &it->late_node);
	} else if (list_empty(&it->ready_node)) {
		list_add_tail(&ep->ready, &it->ready_node);
	}
	takes = takes_wakeup(&it->ev, events, waitq_active(&ep->sleepers));
	mutex_unlock(&ep->ready_lock);
	wake_waiters(ep);
	return takes;
}

static bool has_ready(struct epoll *ep)
{
	bool r;

	mutex_lock(&ep->ready_lock);
	r = !list_empty(&ep->ready) || ep->scanning; /* a scan by another thread may leave something */
	mutex_unlock(&ep->ready_lock);
	return r;
}

/* --- scanning the ready list ------------------------------------------------------------------------------ */

static void scan_begin(struct epoll *ep, struct list *todo) REQUIRES(ep->lock)
{
	list_init(todo);
	mutex_lock(&ep->ready_lock);
	list_splice_tail(todo, &ep->ready);
	ep->scanning = true;
	mutex_unlock(&ep->ready_lock);
}

/* What was not looked at comes first again, then what the scan put back, then what came in between. */
static void scan_end(struct epoll *ep, struct list *todo) REQUIRES(ep->lock)
{
	bool more;

	mutex_lock(&ep->ready_lock);
	list_splice_tail(todo, &ep->ready);
	list_splice_tail(&ep->ready, todo);
	while (!list_empty(&ep->late)) {
		struct item *it = list_first(&ep->late, struct item, late_node);

		list_del(&it->late_node);
		if (list_empty(&it->ready_node))
			list_add_tail(&ep->ready, &it->ready_node);
	}
	ep->scanning = false;
	more = !list_empty(&ep->ready);
	mutex_unlock(&ep->ready_lock);
	if (more)
		waitq_wake(&ep->sleepers, 0); /* the next waiter gets the rest */
}

static uint32_t item_poll(struct item *it)
{
	return file_poll(it->target) & it->ev.events;
}

/* After an item reported: one-shot is spent, level-triggered is asked again next time. */
static void item_reported(struct epoll *ep, struct item *it) REQUIRES(ep->lock)
{
	mutex_lock(&ep->ready_lock);
	if (it->ev.events & EPOLLONESHOT)
		it->ev.events &= PRIVATE_BITS;
	else if (!(it->ev.events & EPOLLET))
		list_add_tail(&ep->ready, &it->ready_node);
	mutex_unlock(&ep->ready_lock);
}

static int take_events(struct epoll *ep, struct epoll_event *out, int max)
{
	struct list todo;
	int n = 0;

	mutex_lock(&ep->lock);
	scan_begin(ep, &todo);
	while (n < max && !list_empty(&todo)) {
		struct item *it = list_first(&todo, struct item, ready_node);
		uint32_t events;

		list_del(&it->ready_node); /* before it is asked: what comes later makes it ready again */
		events = item_poll(it);
		if (!events)
			continue;
		out[n].events = events;
		out[n++].data = it->ev.data;
		item_reported(ep, it);
	}
	scan_end(ep, &todo);
	mutex_unlock(&ep->lock);
	return n;
}

/* poll(2) of the epoll itself: is there an item whose file is ready now? Items that are not leave the list. */
static uint32_t ep_poll(struct file *f)
{
	struct epoll *ep = epoll_of(f);
	struct list todo;
	bool ready = false;

	if (!has_ready(ep))
		return 0;
	mutex_lock(&ep->lock);
	scan_begin(ep, &todo);
	while (!ready && !list_empty(&todo)) {
		struct item *it = list_first(&todo, struct item, ready_node);

		if (item_poll(it))
			ready = true;
		else
			list_del(&it->ready_node);
	}
	scan_end(ep, &todo);
	mutex_unlock(&ep->lock);
	return ready ? EPOLLIN | EPOLLRDNORM : 0;
}

/* --- waiting ------------------------------------------------------------------------------------------------ */

struct sleeper {
	struct waitq_entry entry;
	struct waiter *waiter;
	bool woken; /* sleepers.lock: the next event is for another one */
};

static bool wake_sleeper(struct waitq_entry *e, uint32_t events)
{
	struct sleeper *s = container_of(e, struct sleeper, entry);

	(void)events;
	if (s->woken)
		return false;
	s->woken = true;
	waiter_wake(s->waiter);
	return true;
}

static int sleep_once(struct epoll *ep, struct deadline d)
{
	struct sleeper s = { .entry = { .wake = wake_sleeper, .exclusive = true }, .waiter = waiter_current() };
	int r = 0;

	waiter_prepare(s.waiter);
	waitq_add(&ep->sleepers, &s.entry);
	if (!has_ready(ep))
		r = waiter_block(s.waiter, d);
	waitq_del(&s.entry);
	return r;
}

int epoll_collect(struct file *f, struct epoll_event *out, int max, struct deadline d)
{
	struct epoll *ep = epoll_of(f);
	bool look_only = !deadline_is_forever(d) && d.ns <= clock_now(d.clock);
	int n, r = 0;

	if (!file_is_epoll(f))
		return -EINVAL;
	for (;;) {
		n = has_ready(ep) ? take_events(ep, out, max) : 0;
		/* A wake-up may have come together with the signal or the deadline: look before giving up. */
		if (n || look_only || r == -ETIMEDOUT)
			return n;
		if (r < 0)
			return r;
		r = sleep_once(ep, d);
	}
}

/* --- items: add, change, remove -------------------------------------------------------------------------------- */

static void item_check(struct epoll *ep, struct item *it) REQUIRES(ep->lock)
{
	bool fresh = false;

	if (!item_poll(it))
		return;
	mutex_lock(&ep->ready_lock);
	if (list_empty(&it->ready_node)) {
		list_add_tail(&ep->ready, &it->ready_node);
		fresh = true;
	}
	mutex_unlock(&ep->ready_lock);
	if (fresh)
		wake_waiters(ep);
}

static int item_add(struct epoll *ep, struct file *target, int fd, const struct epoll_event *ev) REQUIRES(ep->lock)
{
	struct item *it;

	if (atomic_fetch_add(&watches, 1) >= MAX_WATCHES) {
		atomic_fetch_sub(&watches, 1);
		return -ENOSPC;
	}
	it = calloc(1, sizeof(*it));
	if (!it) {
		atomic_fetch_sub(&watches, 1);
		return -ENOMEM;
	}
	it->ep = ep;
	it->target = target;
	it->fd = fd;
	it->ev = *ev;
	list_init(&it->ready_node);
	list_init(&it->late_node);
	it->wait.wake = item_wake;
	it->wait.exclusive = ev->events & EPOLLEXCLUSIVE;
	RB_INSERT(items, &ep->items, it);
	mutex_lock(&epoll_watch_lock);
	list_add_tail(&target->epolls, &it->target_node);
	atomic_fetch_add(&target->nr_epolls, 1);
	mutex_unlock(&epoll_watch_lock);
	waitq_add(&target->wq, &it->wait);
	item_check(ep, it);
	return 0;
}

static void item_remove(struct epoll *ep, struct item *it) REQUIRES(ep->lock)
{
	waitq_del(&it->wait); /* from here on no callback */
	mutex_lock(&epoll_watch_lock);
	list_del(&it->target_node);
	atomic_fetch_sub(&it->target->nr_epolls, 1); /* the last touch of the target */
	mutex_unlock(&epoll_watch_lock);
	mutex_lock(&ep->ready_lock);
	list_del(&it->ready_node);
	list_del(&it->late_node);
	mutex_unlock(&ep->ready_lock);
	RB_REMOVE(items, &ep->items, it);
	atomic_fetch_sub(&watches, 1);
	free(it);
}

static int item_modify(struct epoll *ep, struct item *it, const struct epoll_event *ev) REQUIRES(ep->lock)
{
	if (it->ev.events & EPOLLEXCLUSIVE)
		return -EINVAL;
	mutex_lock(&ep->ready_lock);
	it->ev = *ev;
	mutex_unlock(&ep->ready_lock);
	item_check(ep, it); /* edge-triggered too: a change asks anew */
	return 0;
}

/* --- epoll_ctl ---------------------------------------------------------------------------------------------------- */

static int check_control(struct file *f, int op, struct file *target, const struct epoll_event *ev)
{
	bool has_event = op == EPOLL_CTL_ADD || op == EPOLL_CTL_MOD;

	if (!target->ops->poll)
		return -EPERM; /* regular files, directories: always ready */
	if (f == target || !file_is_epoll(f))
		return -EINVAL;
	if (has_event && (ev->events & EPOLLEXCLUSIVE)) {
		if (op == EPOLL_CTL_MOD || file_is_epoll(target) || (ev->events & ~EXCLUSIVE_OK_BITS))
			return -EINVAL;
	}
	return 0;
}

static int control_locked(struct epoll *ep, int op, int fd, struct file *target, struct epoll_event *ev) REQUIRES(ep->lock)
{
	struct item key = { .target = target, .fd = fd }, *it = RB_FIND(items, &ep->items, &key);
	int r;

	switch (op) {
	case EPOLL_CTL_ADD:
		if (it)
			return -EEXIST;
		r = item_add(ep, target, fd, ev);
		if (r == 0 && !list_empty(&ep->file.epolls))
			r = epoll_check_paths(target);
		if (r < 0) {
			it = RB_FIND(items, &ep->items, &key);
			if (it)
				item_remove(ep, it);
		}
		return r;
	case EPOLL_CTL_DEL:
		if (!it)
			return -ENOENT;
		item_remove(ep, it);
		return 0;
	case EPOLL_CTL_MOD:
		return it ? item_modify(ep, it, ev) : -ENOENT;
	default:
		return -EINVAL;
	}
}

int epoll_control(struct file *f, int op, int fd, struct file *target, const struct epoll_event *ev) NO_LOCK_ANALYSIS /* one lock is taken for nests only */
{
	struct epoll *ep = epoll_of(f);
	struct epoll_event e = { 0 };
	bool nested;
	int r = check_control(f, op, target, ev);

	if (r < 0)
		return r;
	if (op != EPOLL_CTL_DEL && ev) {
		e = *ev;
		e.events = (e.events & ~EPOLLWAKEUP) | EPOLLERR | EPOLLHUP; /* nothing suspends here */
	}
	nested = op == EPOLL_CTL_ADD && file_is_epoll(target);
	if (nested) {
		mutex_lock(&epoll_nest_lock);
		r = epoll_check_nesting(ep, target);
	}
	if (r == 0) {
		mutex_lock(&ep->lock);
		r = control_locked(ep, op, fd, target, &e);
		mutex_unlock(&ep->lock);
	}
	if (nested)
		mutex_unlock(&epoll_nest_lock);
	return r;
}

/* --- ends ------------------------------------------------------------------------------------------------------------ */

/* An epoll that watches f, with a reference on its memory; NULL: none any more. */
static struct epoll *some_watcher(struct file *f)
{
	struct epoll *ep = NULL;

	mutex_lock(&epoll_watch_lock);
	if (!list_empty(&f->epolls)) {
		ep = list_first(&f->epolls, struct item, target_node)->ep;
		ref_get(&ep->ref); /* its item is linked: it is not gone yet */
	}
	mutex_unlock(&epoll_watch_lock);
	return ep;
}

void epoll_forget(struct file *f)
{
	struct epoll *ep;

	/* Nobody adds items any more; 0 also says that nobody removes one just now. */
	while (atomic_load(&f->nr_epolls) && (ep = some_watcher(f))) {
		struct item key = { .target = f, .fd = INT32_MIN }, *it;

		mutex_lock(&ep->lock);
		while ((it = RB_NFIND(items, &ep->items, &key)) && it->target == f)
			item_remove(ep, it);
		mutex_unlock(&ep->lock);
		epoll_unref(ep);
	}
}

int epoll_target(struct file *f, int fd, uint64_t skip, const void **ret)
{
	struct item *it;
	int r = -ENOENT;

	if (!file_is_epoll(f))
		return -EINVAL;
	mutex_lock(&epoll_of(f)->lock);
	RB_FOREACH(it, items, &epoll_of(f)->items)
		if (it->fd == fd && skip-- == 0) {
			*ret = it->target;
			r = 0;
			break;
		}
	mutex_unlock(&epoll_of(f)->lock);
	return r;
}

static void ep_fdinfo(struct file *f, void *out_seq)
{
	struct epoll *ep = epoll_of(f);
	struct item *it;

	mutex_lock(&ep->lock);
	RB_FOREACH(it, items, &ep->items)
		seq_printf(out_seq, "tfd: %8d events: %8x data: %16llx  pos:%lli ino:%lx sdev:%x\n", it->fd, it->ev.events,
			   (unsigned long long)it->ev.data.u64, 0ll, (unsigned long)it->target->anon_ino, 0);
	mutex_unlock(&ep->lock);
}

static void ep_release(struct file *f)
{
	struct epoll *ep = epoll_of(f);
	struct item *it;

	mutex_lock(&ep->lock);
	while ((it = RB_MIN(items, &ep->items)))
		item_remove(ep, it);
	mutex_unlock(&ep->lock);
	file_fini(f);
	epoll_unref(ep);
}

static const struct file_ops epoll_ops = {
	.name = "eventpoll",
	.lseek = file_noop_lseek,
	.poll = ep_poll,
	.fdinfo = ep_fdinfo,
	.release = ep_release,
};

int epoll_new(int flags, struct file **ret)
{
	struct epoll *ep;

	if (flags & ~EPOLL_CLOEXEC)
		return -EINVAL;
	ep = calloc(1, sizeof(*ep));
	if (!ep)
		return -ENOMEM;
	file_init(&ep->file, &epoll_ops, O_RDWR);
	ref_init(&ep->ref);
	mutex_init(&ep->lock);
	mutex_init(&ep->ready_lock);
	list_init(&ep->ready);
	list_init(&ep->late);
	waitq_init(&ep->sleepers);
	RB_INIT(&ep->items);
	*ret = &ep->file;
	return 0;
}
