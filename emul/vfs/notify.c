/* SPDX-License-Identifier: MIT */
/*
 * inotify(7): watches of inodes and the queues of events behind inotify descriptors.
 *
 * One lock guards all watches and queues: events are rare, and a test without it keeps unwatched files cheap. A watch
 * holds its inode, and both the inode and the inotify file lead to it. Inodes are let go outside of the lock.
 */
#include "emul/base/sysctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "emul/base/err.h"
#include "emul/mm/mm.h"
#include "emul/vfs/notify_internal.h"
#include "emul/vfs/pseudo.h"

#define QUEUE_MAX 16384
#define WATCHES_MAX 65536
#define EVENT_ALIGN sizeof(struct inotify_event) /* names are padded to it */
#define KERNEL_BITS (IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ISDIR)
#define OPTION_BITS (IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_CREATE | IN_MASK_ADD | IN_ONESHOT)
#define OPEN_FILE_BITS (IN_ACCESS | IN_MODIFY | IN_OPEN | IN_CLOSE) /* what IN_EXCL_UNLINK is about */

struct watch {
	struct list inode_node, file_node;
	struct inode *inode;       /* counted */
	struct inotify *in;
	int wd;
	uint32_t mask;             /* events and IN_ONESHOT, IN_EXCL_UNLINK */
};

struct event { struct list node; size_t size; /* as read */ struct inotify_event e; char name[]; };

struct inotify {
	struct file file;
	/* notify_lock: */
	struct list watches, queue;
	unsigned nwatches, nqueued;
	size_t bytes;              /* of queued events */
	int last_wd;
	bool overflowed;           /* the queue's last event says so */
};

struct mutex notify_lock = MUTEX_INIT;
_Atomic unsigned notify_nwatches;

static const struct file_ops inotify_ops;

static struct inotify *inotify_of(struct file *f)
{
	return container_of(f, struct inotify, file);
}

/* --- queues; notify_lock held ------------------------------------------------------------------------------- */

/* As Linux compares them: the cookie does not count. */
static bool same_as_last(struct inotify *in, const struct event *ev)
{
	struct event *last = list_empty(&in->queue) ? NULL : list_entry(in->queue.prev, struct event, node);

	return last && last->e.wd == ev->e.wd && last->e.mask == ev->e.mask && last->size == ev->size && !strcmp(last->e.len ? last->name : "", ev->e.len ? ev->name : "");
}

static void append(struct inotify *in, struct event *ev)
{
	list_add_tail(&in->queue, &ev->node);
	in->nqueued++;
	in->bytes += ev->size;
}

static struct event *event_new(int wd, uint32_t mask, uint32_t cookie, const char *name)
{
	size_t len = name ? (strlen(name) + EVENT_ALIGN) / EVENT_ALIGN * EVENT_ALIGN : 0;
	struct event *ev = calloc(1, sizeof(*ev) + len);

	if (!ev)
		return NULL;
	ev->e = (struct inotify_event){ .wd = wd, .mask = mask, .cookie = cookie, .len = (uint32_t)len };
	ev->size = sizeof(ev->e) + len;
	if (name)
		strcpy(ev->name, name);
	return ev;
}

static void queue_event(struct inotify *in, int wd, uint32_t mask, uint32_t cookie, const char *name)
{
	struct event *ev;

	if (in->nqueued >= QUEUE_MAX) {
		if (in->overflowed)
			return;
		in->overflowed = true;
		wd = -1, mask = IN_Q_OVERFLOW, cookie = 0, name = NULL;
	}
	ev = event_new(wd, mask, cookie, name);
	if (!ev)
		return;
	if (same_as_last(in, ev)) {
		free(ev);
		return;
	}
	append(in, ev);
	waitq_wake(&in->file.wq, EPOLLIN | EPOLLRDNORM);
	file_async(&in->file, POLL_IN);
}

/* Takes the watch apart; the caller puts the inode that it returns, without the lock. */
static struct inode *watch_end(struct watch *w, bool tell)
{
	struct inode *i = w->inode;

	if (tell)
		queue_event(w->in, w->wd, IN_IGNORED, 0, NULL);
	list_del(&w->inode_node);
	list_del(&w->file_node);
	atomic_fetch_sub(&i->nwatches, 1);
	atomic_fetch_sub(&notify_nwatches, 1);
	w->in->nwatches--;
	free(w);
	return i;
}

/* --- events ---------------------------------------------------------------------------------------------------- */

/*
 * To all who watch i. unlinked: the event came by a name that is gone. IN_DELETE_SELF ends every watch, whatever it asked
 * for. Returns how many ended: the caller puts i as often.
 */
static unsigned deliver(struct inode *i, const char *name, uint32_t mask, uint32_t cookie, bool unlinked)
{
	struct watch *w, *tmp;
	unsigned ended = 0;

	list_for_each_safe(w, tmp, &i->watches, inode_node) {
		uint32_t seen = mask & (w->mask | IN_ISDIR);

		bool told = (seen & IN_ALL_EVENTS) && !(unlinked && (w->mask & IN_EXCL_UNLINK));

		if (told)
			queue_event(w->in, w->wd, seen, cookie, name);
		if ((told && (w->mask & IN_ONESHOT)) || (mask & IN_DELETE_SELF)) {
			watch_end(w, true);
			ended++;
		}
	}
	return ended;
}

static void deliver_to(struct inode *i, const char *name, uint32_t mask, uint32_t cookie, bool unlinked)
{
	unsigned ended;

	if (!i || !atomic_load_explicit(&i->nwatches, memory_order_acquire))
		return;
	mutex_lock(&notify_lock);
	ended = deliver(i, name, mask, cookie, unlinked);
	dnotify_deliver_locked(i, mask);
	mutex_unlock(&notify_lock);
	while (ended--)
		inode_put(i);
}

void notify_inode(struct inode *i, struct inode *dir, const char *name, uint32_t mask, uint32_t cookie)
{
	if (!atomic_load_explicit(&notify_nwatches, memory_order_acquire))
		return;
	if (dir)
		deliver_to(dir, name, mask, cookie, false);
	deliver_to(i, dir ? NULL : name, mask, cookie, false);
}

void notify_path(const struct path *p, uint32_t mask)
{
	struct dentry *d = p->dentry, *up;
	char name[256];
	bool unlinked;

	if (!atomic_load_explicit(&notify_nwatches, memory_order_acquire) || !d)
		return;
	if (S_ISDIR(d->inode->type))
		mask |= IN_ISDIR;
	mutex_lock(&d->lock);
	up = d->parent != d ? dentry_get(d->parent) : NULL; /* it hears of open files that have left it, too */
	unlinked = !d->hashed && (mask & OPEN_FILE_BITS);
	snprintf(name, sizeof(name), "%s", d->name);
	mutex_unlock(&d->lock);
	if (up && atomic_load(&up->inode->nwatches))
		deliver_to(up->inode, name, mask, 0, unlinked);
	dentry_put(up);
	deliver_to(d->inode, NULL, mask, 0, unlinked);
}

void notify_unlinked(struct inode *i)
{
	struct statx st;

	if (!S_ISDIR(i->type) && i->ops->getattr(i, STATX_NLINK, &st) == 0 && st.stx_nlink)
		return;
	atomic_store(&i->unlinked, true);
	if (!atomic_load(&i->nopen))
		notify_last_close(i);
}

void notify_last_close(struct inode *i)
{
	if (atomic_load(&i->unlinked))
		notify_inode(i, NULL, NULL, IN_DELETE_SELF, 0);
}

uint32_t notify_cookie(void)
{
	static _Atomic uint32_t cookie;

	return atomic_fetch_add(&cookie, 1) + 1;
}

/* A watch holds its inode: what comes here has none left. */
void notify_inode_gone(struct inode *i)
{
	assert(list_empty(&i->watches) && list_empty(&i->dnotes));
	(void)i;
}

/* --- watches ------------------------------------------------------------------------------------------------------- */

static struct watch *find_watch(struct inotify *in, struct inode *i)
{
	struct watch *w;

	list_for_each(w, &i->watches, inode_node)
		if (w->in == in)
			return w;
	return NULL;
}

static int next_wd(struct inotify *in)
{
	return in->last_wd == INT32_MAX ? -ENOSPC : ++in->last_wd;
}

static int add_locked(struct inotify *in, struct inode *i, uint32_t mask)
{
	struct watch *w = find_watch(in, i);
	uint32_t keep = mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK);

	if (w) {
		if (mask & IN_MASK_CREATE)
			return -EEXIST;
		w->mask = mask & IN_MASK_ADD ? w->mask | keep : keep;
		return w->wd;
	}
	if (in->nwatches >= WATCHES_MAX)
		return -ENOSPC;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->wd = next_wd(in);
	if (w->wd < 0) {
		free(w);
		return -ENOSPC;
	}
	w->in = in;
	w->mask = keep;
	w->inode = inode_get(i);
	list_add_tail(&i->watches, &w->inode_node);
	list_add_tail(&in->watches, &w->file_node);
	in->nwatches++;
	atomic_fetch_add(&i->nwatches, 1);
	atomic_fetch_add(&notify_nwatches, 1);
	return w->wd;
}

int inotify_add(struct file *f, const struct path *p, uint32_t mask)
{
	int r;

	/* Linux wants any bit that it knows: a watch of nothing still tells when it ends. */
	if (f->ops != &inotify_ops || !(mask & (IN_ALL_EVENTS | KERNEL_BITS | OPTION_BITS)) ||
	    ((mask & IN_MASK_ADD) && (mask & IN_MASK_CREATE)))
		return -EINVAL;
	mutex_lock(&notify_lock);
	r = add_locked(inotify_of(f), p->dentry->inode, mask);
	mutex_unlock(&notify_lock);
	return r;
}

int inotify_remove(struct file *f, int wd)
{
	struct inode *i = NULL;
	struct watch *w;

	if (f->ops != &inotify_ops)
		return -EINVAL;
	mutex_lock(&notify_lock);
	list_for_each(w, &inotify_of(f)->watches, file_node)
		if (w->wd == wd) {
			i = watch_end(w, true);
			break;
		}
	mutex_unlock(&notify_lock);
	if (!i)
		return -EINVAL;
	inode_put(i);
	return 0;
}

/* --- the file --------------------------------------------------------------------------------------------------------- */

/* The next event if it fits; NULL: none, or *ret_err. */
static struct event *take(struct inotify *in, size_t room, int *ret_err)
{
	struct event *ev = list_empty(&in->queue) ? NULL : list_first(&in->queue, struct event, node);

	*ret_err = ev && ev->size > room ? -EINVAL : 0;
	if (!ev || *ret_err)
		return NULL;
	list_del(&ev->node);
	in->nqueued--;
	in->bytes -= ev->size;
	if (ev->e.mask & IN_Q_OVERFLOW)
		in->overflowed = false;
	return ev;
}

static ssize_t put_event(struct uio *to, struct event *ev)
{
	char buf[sizeof(ev->e) + 256 + EVENT_ALIGN];
	ssize_t n;

	memcpy(buf, &ev->e, sizeof(ev->e));
	memcpy(buf + sizeof(ev->e), ev->name, ev->e.len);
	n = uio_copy_out(to, buf, ev->size);
	return n == (ssize_t)ev->size ? n : -EFAULT;
}

static ssize_t in_read(struct file *f, struct uio *to, off_t *pos)
{
	struct inotify *in = inotify_of(f);
	ssize_t done = 0;

	for (;;) {
		struct event *ev;
		int r;

		mutex_lock(&notify_lock);
		while (!(ev = take(in, uio_left(to), &r)) && r == 0 && !done) {
			r = file_nonblock(f) ? -EAGAIN : waitq_sleep(&f->wq, &notify_lock, FOREVER);
			if (r < 0)
				break;
		}
		mutex_unlock(&notify_lock);
		if (!ev)
			return done ? done : r;
		ssize_t n = put_event(to, ev);

		free(ev);
		if (n < 0)
			return n; /* the event is lost, and those before it are not told of: as on Linux */
		done += n;
	}
}

static uint32_t in_poll(struct file *f)
{
	uint32_t r;

	mutex_lock(&notify_lock);
	r = list_empty(&inotify_of(f)->queue) ? 0 : EPOLLIN | EPOLLRDNORM;
	mutex_unlock(&notify_lock);
	return r;
}

static long in_ioctl(struct file *f, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	int n;

	if (cmd != FIONREAD)
		return -ENOTTY;
	mutex_lock(&notify_lock);
	n = (int)inotify_of(f)->bytes;
	mutex_unlock(&notify_lock);
	return guest_write(c->mm, arg, &n);
}

static void in_fdinfo(struct file *f, void *out)
{
	struct watch *w;

	mutex_lock(&notify_lock);
	list_for_each(w, &inotify_of(f)->watches, file_node)
		seq_printf(out, "inotify wd:%x ino:%lx sdev:%lx mask:%x ignored_mask:0\n", w->wd, (unsigned long)w->inode->ino,
			   (unsigned long)w->inode->dev, w->mask);
	mutex_unlock(&notify_lock);
}

static _Atomic long ninstances; /* of all users: they are one user's in most instances */

static void in_release(struct file *f)
{
	struct inotify *in = inotify_of(f);

	for (;;) {
		struct inode *i = NULL;

		mutex_lock(&notify_lock);
		if (!list_empty(&in->watches))
			i = watch_end(list_first(&in->watches, struct watch, file_node), false);
		mutex_unlock(&notify_lock);
		if (!i)
			break;
		inode_put(i);
	}
	while (!list_empty(&in->queue)) {
		struct event *ev = list_first(&in->queue, struct event, node);

		list_del(&ev->node);
		free(ev);
	}
	file_fini(f);
	atomic_fetch_sub(&ninstances, 1);
	free(in);
}

static const struct file_ops inotify_ops = {
	.name = "inotify",
	.read = in_read,
	.lseek = file_noop_lseek,
	.poll = in_poll,
	.ioctl = in_ioctl,
	.start_async = file_always_async,
	.fdinfo = in_fdinfo,
	.release = in_release,
};

int inotify_new(struct vfs *v, int flags, struct file **ret)
{
	struct inotify *in;

	if (atomic_fetch_add(&ninstances, 1) >= sysctl_get(&sysctl_inotify_instances)) {
		atomic_fetch_sub(&ninstances, 1);
		return -EMFILE;
	}
	in = calloc(1, sizeof(*in));
	if (!in) {
		atomic_fetch_sub(&ninstances, 1);
		return -ENOMEM;
	}
	file_init(&in->file, &inotify_ops, O_RDONLY | ((unsigned)flags & O_NONBLOCK));
	list_init(&in->watches);
	list_init(&in->queue);
	*ret = &in->file;
	return 0;
}
