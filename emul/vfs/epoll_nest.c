/* SPDX-License-Identifier: MIT */
/*
 * Epolls in epolls: no circles (ELOOP), at most five deep, and bounds on how far one wake-up spreads,
 * as fs/eventpoll.c has them. A walk remembers the depth it found at each epoll, so that a dense
 * nest costs one visit an item.
 */
#include "emul/base/err.h"
#include "emul/vfs/epoll.h"

#define MAX_NESTS 4

struct mutex epoll_nest_lock = MUTEX_INIT;
static unsigned walk_no; /* epoll_nest_lock */

/* How deep epolls lie below ep; beyond MAX_NESTS if `avoid` is among them. */
static int depth_below(struct epoll *ep, const struct epoll *avoid, int level) REQUIRES(epoll_nest_lock)
{
	struct item *it;
	int depth = 0;

	if (ep == avoid || level > MAX_NESTS)
		return MAX_NESTS + 1;
	if (ep->walk == walk_no)
		return ep->walk_depth;
	mutex_lock(&ep->lock);
	RB_FOREACH(it, items, &ep->items) {
		if (!file_is_epoll(it->target))
			continue;
		depth = MAX(depth, 1 + depth_below(epoll_of(it->target), avoid, level + 1));
		if (depth > MAX_NESTS)
			break;
	}
	mutex_unlock(&ep->lock);
	ep->walk = walk_no;
	ep->walk_depth = depth;
	return depth;
}

static int depth_above(struct epoll *ep, int level) REQUIRES(epoll_nest_lock, epoll_watch_lock)
{
	struct item *it;
	int depth = 0;

	if (level > MAX_NESTS)
		return MAX_NESTS + 1;
	if (ep->walk == walk_no)
		return ep->walk_depth;
	list_for_each(it, &ep->file.epolls, target_node) {
		depth = MAX(depth, 1 + depth_above(it->ep, level + 1));
		if (depth > MAX_NESTS)
			break;
	}
	ep->walk = walk_no;
	ep->walk_depth = depth;
	return depth;
}

int epoll_check_nesting(struct epoll *ep, struct file *target)
{
	int below, above;

	walk_no++;
	below = depth_below(epoll_of(target), ep, 0);
	if (below > MAX_NESTS)
		return -ELOOP;
	walk_no++;
	mutex_lock(&epoll_watch_lock);
	above = depth_above(ep, 0);
	mutex_unlock(&epoll_watch_lock);
	return below + 1 + above > MAX_NESTS ? -ELOOP : 0;
}

/* Counts the ways up from f by their length; the limits are Linux's path_limits. */
static int count_paths(struct file *f, int level, int *count) REQUIRES(epoll_watch_lock)
{
	static const int limit[MAX_NESTS + 1] = { INT32_MAX, 500, 100, 50, 10 };
	struct item *it;
	int r = 0;

	if (level > MAX_NESTS + 1)
		return -EINVAL;
	if (list_empty(&f->epolls))
		return level > 0 && ++count[level - 1] > limit[level - 1] ? -EINVAL : 0;
	list_for_each(it, &f->epolls, target_node) {
		r = count_paths(&it->ep->file, level + 1, count);
		if (r < 0)
			break;
	}
	return r;
}

int epoll_check_paths(struct file *target)
{
	int count[MAX_NESTS + 1] = { 0 }, r;

	mutex_lock(&epoll_watch_lock);
	r = count_paths(target, 0, count);
	mutex_unlock(&epoll_watch_lock);
	return r;
}
