/* SPDX-License-Identifier: MIT */
/*
 * fcntl(F_NOTIFY): a signal when something in a directory changes. fs/notify/dnotify/dnotify.c. Only what programs of the
 * instance do is seen. An entry belongs to an open file and to the descriptor table by which it was asked for; it ends when
 * that table closes a descriptor of the file.
 */
#include <signal.h>
#include <stdlib.h>

#include "emul/base/err.h"
#include "emul/base/sysctl.h"
#include "emul/vfs/notify_internal.h"

struct dnote {
	struct list node;    /* inode->dnotes */
	struct file *f;      /* holds the inode; not counted: it ends its entries */
	const void *owner;
	uint32_t mask;       /* IN_*, NOTIFY_RENAMED */
	bool multishot;
};

static uint32_t events_of(unsigned dn)
{
	return (dn & DN_ACCESS ? IN_ACCESS : 0) | (dn & DN_MODIFY ? IN_MODIFY : 0) | (dn & DN_ATTRIB ? IN_ATTRIB : 0) |
	       (dn & DN_CREATE ? IN_CREATE | IN_MOVED_TO : 0) | (dn & DN_DELETE ? IN_DELETE | IN_MOVED_FROM : 0) |
	       (dn & DN_RENAME ? NOTIFY_RENAMED : 0);
}

static void remove_locked(struct inode *i, struct dnote *n) REQUIRES(notify_lock)
{
	list_del(&n->node);
	atomic_fetch_sub(&i->nwatches, 1);
	atomic_fetch_sub(&notify_nwatches, 1);
	free(n);
}

void dnotify_deliver_locked(struct inode *dir, uint32_t mask)
{
	struct dnote *n, *next;

	list_for_each_safe(n, next, &dir->dnotes, node) {
		if (!(n->mask & mask))
			continue;
		file_note(n->f, POLL_MSG);
		if (!n->multishot)
			remove_locked(dir, n);
	}
}

void file_end_dnotify(struct file *f, const void *owner)
{
	struct dnote *n, *next;

	if (!atomic_load(&f->dnotified))
		return;
	mutex_lock(&notify_lock);
	list_for_each_safe(n, next, &f->inode->dnotes, node)
		if (n->f == f && (!owner || n->owner == owner))
			remove_locked(f->inode, n);
	mutex_unlock(&notify_lock);
}

static int add_locked(struct file *f, const void *owner, uint32_t mask, bool multishot) REQUIRES(notify_lock)
{
	struct inode *i = f->inode;
	struct dnote *n;

	list_for_each(n, &i->dnotes, node)
		if (n->f == f && n->owner == owner) {
			n->mask |= mask;
			n->multishot |= multishot;
			return 0;
		}
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	*n = (struct dnote){ .f = f, .owner = owner, .mask = mask, .multishot = multishot };
	list_add_tail(&i->dnotes, &n->node);
	atomic_fetch_add(&i->nwatches, 1);
	atomic_fetch_add(&notify_nwatches, 1);
	atomic_store(&f->dnotified, true);
	return 0;
}

int file_dnotify(struct file *f, int fd, unsigned events, const struct fs_ctx *c)
{
	int r;

	if (!sysctl_get(&sysctl_dir_notify_enable))
		return -EINVAL;
	if (!(events & ~(unsigned)DN_MULTISHOT)) {
		file_end_dnotify(f, c->fowner);
		return 0;
	}
	if (!f->inode || !S_ISDIR(f->inode->type))
		return -ENOTDIR;
	file_default_owner(f, c, 0);
	mutex_lock(&f->own_lock);
	f->own.fd = fd;
	mutex_unlock(&f->own_lock);
	mutex_lock(&notify_lock);
	r = add_locked(f, c->fowner, events_of(events), events & DN_MULTISHOT);
	mutex_unlock(&notify_lock);
	return r;
}
