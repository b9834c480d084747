/* SPDX-License-Identifier: MIT */
/* The inside of epoll, for epoll.c and epoll_nest.c only. epoll.c has the theory and the lock order. */
#ifndef EMUL_VFS_EPOLL_H
#define EMUL_VFS_EPOLL_H

#include <bsd/sys/tree.h>

#include "emul/vfs/file.h"

struct item {
	RB_ENTRY(item) node;        /* ep->lock */
	struct epoll *ep;           /* constant, as fd and target */
	struct file *target;
	int fd;
	struct waitq_entry wait;    /* on target->wq */
	struct list target_node;    /* watch_lock: target->epolls */
	/* ep->ready_lock: */
	struct epoll_event ev;      /* written with ep->lock too */
	struct list ready_node;     /* in ep->ready or a scan's list */
	struct list late_node;      /* in ep->late */
};

RB_HEAD(items, item);

struct epoll {
	struct file file;
	struct ref ref;             /* of the memory: the file, and epoll_forget() on its way */
	struct mutex lock;
	struct items items;         /* lock */
	struct mutex ready_lock;
	struct list ready, late;    /* ready_lock; ready by the scanner alone while it scans */
	bool scanning;              /* ready_lock */
	struct waitq sleepers;      /* epoll_wait() */
	unsigned walk;              /* epoll_nest_lock: the walk that has set walk_depth */
	int walk_depth;
};

static inline struct epoll *epoll_of(struct file *f)
{
	return container_of(f, struct epoll, file);
}

bool file_is_epoll(struct file *f);
int epoll_compare(const struct item *a, const struct item *b);
RB_GENERATE_INTERNAL(items, item, node, epoll_compare, __attribute__((unused)) static)

extern struct mutex epoll_nest_lock;  /* held while an epoll is added to an epoll */
extern struct mutex epoll_watch_lock; /* every file->epolls */

/* Would `target`, an epoll, in `ep` make a circle or too deep a nest? -ELOOP. */
int epoll_check_nesting(struct epoll *ep, struct file *target) REQUIRES(epoll_nest_lock);
/* Too many ways up from target: a wake-up would spread without measure. -EINVAL. */
int epoll_check_paths(struct file *target);

#endif
