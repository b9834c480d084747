/* SPDX-License-Identifier: MIT */
/* File systems made of functions: nodes as inodes, and constant trees. pseudo_file.c has their open files. */
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "emul/base/err.h"
#include "emul/vfs/pseudo_file.h"

struct pseudo { struct super sb; long magic; };

/* --- nodes --------------------------------------------------------------------------------------------- */

void pnode_init(struct pnode *n, const struct pnode_ops *ops)
{
	static _Atomic uint64_t next = 0x100000000;

	*n = (struct pnode){ .ops = ops, .ino = atomic_fetch_add(&next, 1) };
	ref_init(&n->ref);
}

struct pnode *pnode_get(struct pnode *n)
{
	ref_get(&n->ref);
	return n;
}

void pnode_put(struct pnode *n)
{
	if (n && ref_put(&n->ref) && n->ops->release)
		n->ops->release(n);
}

static const struct inode_ops pseudo_ops, pseudo_link_ops;

struct pnode *pseudo_file_node(struct file *f)
{
	return f->inode && (f->inode->ops == &pseudo_ops || f->inode->ops == &pseudo_link_ops) ? pseudo_node(f->inode) : NULL;
}

/* --- inodes ---------------------------------------------------------------------------------------------- */

/* Consumes n. */
static int inode_for(struct super *s, struct pnode *n, struct inode **ret)
{
	struct pseudo_inode *pi = calloc(1, sizeof(*pi));
	mode_t type = n->ops->mode & S_IFMT;

	if (!pi) {
		pnode_put(n);
		return -ENOMEM;
	}
	inode_init(&pi->inode, n->ops->follow ? &pseudo_link_ops : &pseudo_ops, s, type, s->dev, n->ino);
	pi->node = n;
	*ret = &pi->inode;
	return 0;
}

static int lookup(struct fs_ctx *c, struct inode *dir, const char *name, struct inode **ret)
{
	struct pnode *n = pseudo_node(dir), *found;
	int r = n->ops->lookup ? n->ops->lookup(n, c, name, &found) : -ENOENT;

	return r < 0 ? r : inode_for(dir->sb, found, ret);
}

static int getattr(struct inode *i, unsigned mask, struct statx *ret)
{
	struct pnode *n = pseudo_node(i);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	*ret = (struct statx){
		.stx_mask = STATX_BASIC_STATS,
		.stx_blksize = 1024,
		.stx_nlink = S_ISDIR(i->type) ? 2 : 1,
		.stx_mode = (uint16_t)n->ops->mode,
		.stx_ino = i->ino,
		.stx_dev_major = major(i->dev),
		.stx_dev_minor = minor(i->dev),
		.stx_atime = { .tv_sec = now.tv_sec, .tv_nsec = (uint32_t)now.tv_nsec },
	};
	ret->stx_mtime = ret->stx_ctime = ret->stx_atime;
	if (n->ops->getattr)
		n->ops->getattr(n, ret);
	return 0;
}

/* Sizes of such files are nobody's to set; times and owners are not kept. */
static int setattr(struct fs_ctx *c, struct inode *i, const struct iattr *a)
{
	return a->valid & ~(unsigned)ATTR_SIZE ? -EPERM : 0;
}

static int may(struct pnode *n, struct fs_ctx *c)
{
	return n->ops->may ? n->ops->may(n, c) : 0;
}

static ssize_t readlink_text(struct fs_ctx *c, struct inode *i, char *buf, size_t size)
{
	struct pnode *n = pseudo_node(i);
	int r = may(n, c);

	if (r < 0)
		return r;
	return n->ops->readlink ? n->ops->readlink(n, c, buf, size) : -EINVAL;
}

static int follow(struct fs_ctx *c, struct inode *i, struct path *ret)
{
	struct pnode *n = pseudo_node(i);
	int r = may(n, c);

	return r < 0 ? r : n->ops->follow(n, c, ret);
}

static int open_inode(struct fs_ctx *c, struct inode *i, const struct path *p, unsigned flags, struct file **ret)
{
	struct pnode *n = pseudo_node(i);
	int r = may(n, c);

	if (r < 0)
		return r;
	if (S_ISLNK(i->type))
		return n->ops->open_target ? n->ops->open_target(n, c, flags, ret) : -ELOOP;
	if (n->ops->open)
		return n->ops->open(n, c, flags, ret);
	return pseudo_file_open(c, i, flags, ret);
}

static int statfs_of(struct inode *i, struct statfs *ret)
{
	*ret = (struct statfs){ .f_type = container_of(i->sb, struct pseudo, sb)->magic, .f_bsize = PAGE_SIZE, .f_frsize = PAGE_SIZE, .f_namelen = 255 };
	return 0;
}

static void release_inode(struct inode *i)
{
	struct pseudo_inode *pi = container_of(i, struct pseudo_inode, inode);

	pnode_put(pi->node);
	inode_fini(i);
	free(pi);
}

#define COMMON_OPS \
	.lookup = lookup, .getattr = getattr, .setattr = setattr, .readlink = readlink_text, .open = open_inode, \
	.statfs = statfs_of, .release = release_inode

static const struct inode_ops pseudo_ops = { COMMON_OPS };
static const struct inode_ops pseudo_link_ops = { COMMON_OPS, .follow = follow };

/* --- the super ---------------------------------------------------------------------------------------------- */

static bool revalidate(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *i)
{
	struct pnode *n = pseudo_node(i);

	return !n->ops->alive || n->ops->alive(n);
}

static void release_super(struct super *s)
{
	free(container_of(s, struct pseudo, sb));
}

static const struct super_ops super_ops = { .revalidate = revalidate, .release = release_super };

int pseudo_new(struct vfs *v, struct pnode *root, long magic, struct super **ret)
{
	struct pseudo *p = calloc(1, sizeof(*p));
	struct inode *i;
	int r;

	if (!p) {
		pnode_put(root);
		return -ENOMEM;
	}
	super_init(&p->sb, &super_ops, v);
	p->magic = magic;
	root->ino = 1;
	r = inode_for(&p->sb, root, &i);
	if (r == 0)
		r = super_set_root(&p->sb, i);
	if (r < 0) {
		super_put(&p->sb);
		return r;
	}
	*ret = &p->sb;
	return 0;
}

/* --- constant trees -------------------------------------------------------------------------------------------- */

struct static_dir {
	struct pnode_static s;
	const struct pentry *entries;
	int (*extra_lookup)(struct pnode *, struct fs_ctx *, const char *, struct pnode **);
	int (*extra_readdir)(struct pnode *, struct fs_ctx *, off_t, struct dirsink *);
};

#define EXTRA_COOKIES 4096 /* positions below belong to the table */

static const struct pnode_ops static_dir_ops;

static struct static_dir *static_dir_of(struct pnode *n)
{
	return container_of(n, struct static_dir, s.node);
}

/* The same number whenever the name is looked up. */
static uint64_t static_ino(const struct pentry *e)
{
	return 0x1000 + ((uintptr_t)e >> 3 & 0xfffffff);
}

static void static_release(struct pnode *n)
{
	free(container_of(n, struct pnode_static, node));
}

static struct pnode *dir_new(const struct pentry *entries, void *ctx)
{
	struct static_dir *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	pnode_init(&d->s.node, &static_dir_ops);
	d->entries = entries;
	d->s.ctx = ctx;
	return &d->s.node;
}

static int entry_node(const struct pentry *e, void *ctx, struct pnode **ret)
{
	if (e->children) {
		*ret = dir_new(e->children, ctx);
	} else {
		struct pnode_static *s = calloc(1, sizeof(*s));

		*ret = s ? &s->node : NULL;
		if (s)
			pnode_init(&s->node, e->ops);
	}
	if (!*ret)
		return -ENOMEM;
	container_of(*ret, struct pnode_static, node)->entry = e;
	container_of(*ret, struct pnode_static, node)->ctx = ctx;
	(*ret)->ino = static_ino(e);
	return 0;
}

static int static_lookup(struct pnode *dir, struct fs_ctx *c, const char *name, struct pnode **ret)
{
	struct static_dir *d = static_dir_of(dir);

	for (const struct pentry *e = d->entries; e->name; e++)
		if (!strcmp(e->name, name))
			return entry_node(e, d->s.ctx, ret);
	return d->extra_lookup ? d->extra_lookup(dir, c, name, ret) : -ENOENT;
}

struct shifted { struct dirsink sink, *out; };

static int emit_shifted(struct dirsink *s, const char *name, size_t len, uint64_t ino, unsigned char type, off_t next)
{
	struct shifted *sh = container_of(s, struct shifted, sink);

	return sh->out->entry(sh->out, name, len, ino, type, next + EXTRA_COOKIES);
}

static int static_readdir(struct pnode *dir, struct fs_ctx *c, off_t cookie, struct dirsink *out)
{
	struct static_dir *d = static_dir_of(dir);
	struct shifted sh = { .sink = { emit_shifted }, .out = out };
	off_t n = 0;

	for (const struct pentry *e = d->entries; e->name; e++, n++) {
		mode_t mode = e->children ? S_IFDIR : e->ops->mode;

		if (n >= cookie && out->entry(out, e->name, strlen(e->name), static_ino(e), (unsigned char)((mode & S_IFMT) >> 12), n + 1))
			return 0;
	}
	return d->extra_readdir ? d->extra_readdir(dir, c, cookie > EXTRA_COOKIES ? cookie - EXTRA_COOKIES : 0, &sh.sink) : 0;
}

static const struct pnode_ops static_dir_ops = {
	.mode = S_IFDIR | 0555, .lookup = static_lookup, .readdir = static_readdir, .release = static_release,
};

struct pnode *pnode_static_dir(const struct pentry *entries, void *ctx,
			       int (*extra_lookup)(struct pnode *, struct fs_ctx *, const char *, struct pnode **),
			       int (*extra_readdir)(struct pnode *, struct fs_ctx *, off_t, struct dirsink *))
{
	struct pnode *n = dir_new(entries, ctx);

	if (n) {
		static_dir_of(n)->extra_lookup = extra_lookup;
		static_dir_of(n)->extra_readdir = extra_readdir;
	}
	return n;
}
