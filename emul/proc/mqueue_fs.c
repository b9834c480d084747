/* SPDX-License-Identifier: MIT */
/*
 * The names of message queues: a tmpfs with one directory, whose regular files are queues. What mq_open(2) says about a new
 * queue reaches its making through the calling thread (`wanted`), as open(2) of a name has no place for it.
 */
#include <limits.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/base/sysctl.h"
#include "emul/proc/mqueue_internal.h"
#include "emul/proc/task.h"
#include "emul/vfs/tmpfs.h"

#define MQUEUE_MAGIC 0x19800202
#define LINE_SIZE 80            /* st_size: the line that read(2) gives, at most */
#define HARD_MSG_MAX 65536      /* with CAP_SYS_RESOURCE */
#define HARD_MSGSIZE_MAX (16 * 1024 * 1024)
#define MESSAGE_COST 48         /* sizeof(struct msg_msg) and struct posix_msg_tree_node */
#define NODE_COST 48

static const struct inode_ops dir_ops, queue_ops;
static struct path root;
static _Thread_local const struct mq_attr *wanted;
static _Thread_local uint64_t wanted_limit = UINT64_MAX; /* RLIMIT_MSGQUEUE */

/* --- what users may have --------------------------------------------------------------------------------- */

struct owner { struct list node; uid_t uid; uint64_t bytes; };
static struct mutex owners_lock = MUTEX_INIT;
static struct list owners = LIST_INIT(owners); /* owners_lock */
static unsigned nqueues;                       /* owners_lock */

static struct owner *owner_of(uid_t uid, bool make)
{
	struct owner *o;

	list_for_each(o, &owners, node)
		if (o->uid == uid)
			return o;
	o = make ? calloc(1, sizeof(*o)) : NULL;
	if (!o)
		return NULL;
	o->uid = uid;
	list_add(&owners, &o->node);
	return o;
}

static int count(struct mqueue *q, bool privileged)
{
	struct owner *o;
	int r = 0;

	mutex_lock(&owners_lock);
	o = owner_of(q->uid, true);
	if (!o)
		r = -ENOMEM;
	else if (nqueues >= sysctl_get(&sysctl_mq_queues_max) && !privileged)
		r = -ENOSPC;
	else if (q->bytes > wanted_limit || o->bytes > wanted_limit - q->bytes)
		r = -EMFILE;
	if (r == 0) {
		o->bytes += q->bytes;
		nqueues++;
	} else {
		q->bytes = 0;
	}
	mutex_unlock(&owners_lock);
	return r;
}

void mqueue_give_back(struct mqueue *q)
{
	struct owner *o;

	if (!q->bytes)
		return;
	mutex_lock(&owners_lock);
	nqueues--;
	o = owner_of(q->uid, false);
	if (o) {
		o->bytes -= q->bytes;
		if (!o->bytes) {
			list_del(&o->node);
			free(o);
		}
	}
	mutex_unlock(&owners_lock);
}

/* mq_attr_ok() */
static int check_attr(const struct mq_attr *a, bool privileged)
{
	uint64_t bytes;

	if (a->mq_maxmsg <= 0 || a->mq_msgsize <= 0)
		return -EINVAL;
	if (a->mq_maxmsg > (privileged ? HARD_MSG_MAX : sysctl_get(&sysctl_mq_msg_max)) || a->mq_msgsize > (privileged ? HARD_MSGSIZE_MAX : sysctl_get(&sysctl_mq_msgsize_max)))
		return -EINVAL;
	return __builtin_mul_overflow((uint64_t)a->mq_maxmsg, (uint64_t)a->mq_msgsize, &bytes) ? -EOVERFLOW : 0;
}

static int make_queue(const struct cred *c, struct mqueue **ret)
{
	struct mq_attr attr = { .mq_maxmsg = sysctl_get(&sysctl_mq_msg_default), .mq_msgsize = sysctl_get(&sysctl_mq_msgsize_default) };
	bool privileged = cred_capable(c, CAP_SYS_RESOURCE);
	struct mqueue *q;
	int r;

	if (wanted)
		attr = *wanted;
	r = check_attr(&attr, privileged);
	if (r < 0)
		return r;
	q = mqueue_new(attr.mq_maxmsg, attr.mq_msgsize);
	if (!q)
		return -ENOMEM;
	q->uid = c->uid;
	q->bytes = (uint64_t)q->maxmsg * (uint64_t)q->msgsize + (uint64_t)q->maxmsg * MESSAGE_COST +
		   MIN((uint64_t)q->maxmsg, MQUEUE_PRIO_MAX) * NODE_COST;
	r = count(q, privileged);
	if (r < 0) {
		mqueue_free(q);
		return r;
	}
	*ret = q;
	return 0;
}

/* --- inodes ------------------------------------------------------------------------------------------------- */

static int mq_create(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret)
{
	struct tmpfs_inode *ti;
	struct mqueue *q = NULL;
	int r = make_queue(c->cred, &q);

	if (r < 0)
		return r;
	r = tmpfs_create(c, dir, name, mode, ret);
	if (r < 0) {
		mqueue_free(q);
		return r;
	}
	ti = tmpfs_inode_of(*ret);
	ti->priv = q;
	ti->free_priv = mqueue_free;
	ti->inode.ops = &queue_ops;
	return 0;
}

static int queue_getattr(struct inode *i, unsigned mask, struct statx *ret)
{
	int r = tmpfs_getattr(i, mask, ret);

	if (r == 0) {
		ret->stx_size = LINE_SIZE;
		ret->stx_blocks = 0;
	}
	return r;
}

/* Cutting one to length is no error and has no effect. */
static int queue_setattr(struct fs_ctx *c, struct inode *i, const struct iattr *a)
{
	struct iattr rest = *a;

	rest.valid &= ~(unsigned)ATTR_SIZE;
	return rest.valid ? tmpfs_setattr(c, i, &rest) : 0;
}

static int queue_open(struct fs_ctx *c, struct inode *i, const struct path *p, unsigned flags, struct file **ret)
{
	struct mqueue_file *mf = calloc(1, sizeof(*mf));

	if (!mf)
		return -ENOMEM;
	file_init(&mf->file, &mqueue_file_ops, flags);
	mf->file.seekable = true;
	mf->q = tmpfs_inode_of(i)->priv;
	mf->inode = inode_get(i);
	mutex_lock(&mf->q->lock);
	list_add_tail(&mf->q->files, &mf->node);
	mutex_unlock(&mf->q->lock);
	*ret = &mf->file;
	return 0;
}

static int dir_open(struct fs_ctx *c, struct inode *i, const struct path *p, unsigned flags, struct file **ret)
{
	return tmpfs_dir_open(i, flags, ret);
}

static int mq_statfs(struct inode *i, struct statfs *ret)
{
	*ret = (struct statfs){ .f_type = MQUEUE_MAGIC, .f_bsize = PAGE_SIZE, .f_frsize = PAGE_SIZE, .f_namelen = NAME_MAX };
	return 0;
}

static const struct inode_ops dir_ops = {
	.lookup = tmpfs_lookup,
	.create = mq_create,
	.unlink = tmpfs_unlink,
	.getattr = tmpfs_getattr,
	.setattr = tmpfs_setattr,
	.open = dir_open,
	.statfs = mq_statfs,
	.release = tmpfs_release,
};
static const struct inode_ops queue_ops = {
	.getattr = queue_getattr,
	.setattr = queue_setattr,
	.open = queue_open,
	.statfs = mq_statfs,
	.release = tmpfs_release,
};

int mqueuefs_new(struct instance_env *env, struct super **ret)
{
	int r = tmpfs_new(env->vfs, 0, 01777, ret);

	if (r == 0)
		(*ret)->root->inode->ops = &dir_ops;
	return r;
}

void mqueue_set_root(const struct path *p)
{
	path_get(p);
	root = *p;
}

/* --- mq_open, mq_unlink -------------------------------------------------------------------------------------- */

/* lookup_one_len(): one component, not a place. */
static int check_name(const char *name)
{
	size_t len = strlen(name);

	if (!len)
		return -ENOENT;
	if (!strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/'))
		return -EACCES;
	return len > NAME_MAX ? -ENAMETOOLONG : 0;
}

int mqueue_open(struct task *t, const char *name, int oflag, mode_t mode, const struct mq_attr *attr, struct file **ret)
{
	struct open_how how = { .flags = (unsigned)oflag & (O_ACCMODE | O_NONBLOCK | O_CREAT | O_EXCL) };
	int r = path_is_set(&root) ? check_name(name) : -ENOSYS;

	if (r < 0)
		return r;
	if ((oflag & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	if (oflag & O_CREAT)
		how.mode = mode & 07777;
	wanted = attr;
	wanted_limit = proc_rlimit(t->proc, RLIMIT_MSGQUEUE);
	r = vfs_open(&t->fsc, &root, name, &how, ret);
	wanted = NULL;
	wanted_limit = UINT64_MAX;
	return r;
}

int mqueue_unlink(struct task *t, const char *name)
{
	int r = path_is_set(&root) ? check_name(name) : -ENOSYS;

	return r < 0 ? r : vfs_unlink(&t->fsc, &root, name);
}
