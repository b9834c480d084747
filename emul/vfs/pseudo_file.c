/* SPDX-License-Identifier: MIT */
/*
 * Open files and directories of pseudo file systems. A file's content is made at the first read and again
 * whenever reading begins at 0, so that one open descriptor can be read over and over (fs/seq_file.c).
 */
#include "emul/vfs/pseudo_file.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/vfs/fileops.h"

#define WRITE_MAX 65536

struct pseudo_file {
	struct file file;
	struct pnode *node;     /* counted */
	uint64_t dir_ino;
	struct fs_ctx ctx;      /* who opened it: cred and fs counted */
	struct mutex lock;
	/* lock: */
	struct seq content;
	bool filled;
};

static struct pseudo_file *pf_of(struct file *f)
{
	return container_of(f, struct pseudo_file, file);
}

static int fill(struct pseudo_file *pf)
{
	struct pnode *n = pf->node;
	int r;

	if (n->ops->mortal && !n->ops->alive(n))
		return -ESRCH;
	seq_fini(&pf->content);
	seq_init(&pf->content);
	r = n->ops->show(n, &pf->ctx, &pf->content);
	if (r == 0 && pf->content.failed)
		r = -ENOMEM;
	pf->filled = r == 0;
	return r;
}

static ssize_t pf_read(struct file *f, struct uio *to, off_t *pos)
{
	struct pseudo_file *pf = pf_of(f);
	ssize_t r = 0;

	if (!pf->node->ops->show)
		return -EINVAL;
	mutex_lock(&pf->lock);
	if (*pos == 0 || !pf->filled)
		r = fill(pf);
	if (r == 0 && (size_t)*pos < pf->content.len)
		r = uio_copy_out(to, pf->content.buf + *pos, MIN(pf->content.len - (size_t)*pos, uio_left(to)));
	mutex_unlock(&pf->lock);
	if (r > 0)
		*pos += r;
	return r;
}

static ssize_t pf_write(struct file *f, struct uio *from, off_t *pos)
{
	struct pseudo_file *pf = pf_of(f);
	size_t n = MIN(uio_left(from), (size_t)WRITE_MAX);
	AUTO_FREE char *buf = malloc(n + 1);
	ssize_t r;

	if (!pf->node->ops->write)
		return pf->node->ops->alive ? -EINVAL : -EIO; /* as vfs_write() says of a task's files, proc_reg_write() of others */
	if (!buf)
		return -ENOMEM;
	r = uio_copy_in(from, buf, n);
	if (r < 0)
		return r;
	buf[r] = '\0';
	r = pf->node->ops->write(pf->node, &pf->ctx, buf, (size_t)r, *pos);
	if (r > 0)
		*pos += r;
	return r;
}

static long pf_ioctl(struct file *f, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	struct pnode *n = pf_of(f)->node;

	return n->ops->ioctl ? n->ops->ioctl(n, cmd, arg, c) : -ENOTTY;
}

/* --- directories: "." and "..", then the node's own entries, with positions moved by two ------------------ */

struct dir_out { struct dirsink sink, *out; struct file *f; };

static int emit(struct dirsink *s, const char *name, size_t len, uint64_t ino, unsigned char type, off_t next)
{
	struct dir_out *d = container_of(s, struct dir_out, sink);
	int r = d->out->entry(d->out, name, len, ino, type, next + 2);

	if (r == 0)
		d->f->pos = next + 2;
	return r;
}

static int pf_readdir(struct file *f, struct dirsink *out)
{
	struct pseudo_file *pf = pf_of(f);
	struct dir_out d = { .sink = { emit }, .out = out, .f = f };
	struct dentry *up = f->path.dentry && f->path.dentry != f->path.mnt->root ? f->path.dentry->parent : NULL;

	if (pf->node->ops->alive && !pf->node->ops->alive(pf->node))
		return -ENOENT;
	if (f->pos == 0 && emit(&d.sink, ".", 1, pf->dir_ino, DT_DIR, -1))
		return 0;
	if (f->pos == 1 && emit(&d.sink, "..", 2, up ? up->inode->ino : pf->dir_ino, DT_DIR, 0))
		return 0;
	return pf->node->ops->readdir ? pf->node->ops->readdir(pf->node, &pf->ctx, f->pos - 2, &d.sink) : 0;
}

static int no_sync(struct file *f, bool datasync)
{
	return S_ISDIR(pf_of(f)->node->ops->mode) ? 0 : -EINVAL;
}

static int no_truncate(struct file *f, uint64_t size)
{
	return 0;
}

static void pf_release(struct file *f)
{
	struct pseudo_file *pf = pf_of(f);

	file_fini(f);
	seq_fini(&pf->content);
	pnode_put(pf->node);
	cred_put((struct cred *)pf->ctx.cred);
	fs_put(pf->ctx.fs);
	mutex_fini(&pf->lock);
	free(pf);
}

static const struct file_ops file_ops_ = {
	.name = "proc", .read = pf_read, .write = pf_write, .lseek = dir_lseek, .ioctl = pf_ioctl, .truncate = no_truncate, .fsync = no_sync, .release = pf_release,
};
static const struct file_ops dir_ops = {
	.name = "proc", .read = dir_no_read, .lseek = dir_lseek, .readdir = pf_readdir, .fsync = no_sync, .release = pf_release,
};

int pseudo_file_open(struct fs_ctx *c, struct inode *i, unsigned flags, struct file **ret)
{
	struct pseudo_file *pf = calloc(1, sizeof(*pf));

	if (!pf)
		return -ENOMEM;
	file_init(&pf->file, S_ISDIR(i->type) ? &dir_ops : &file_ops_, flags);
	pf->file.seekable = true;
	mutex_init(&pf->lock);
	pf->node = pnode_get(pseudo_node(i));
	pf->dir_ino = i->ino;
	pf->ctx = *c;
	pf->ctx.cred = cred_get(c->cred);
	pf->ctx.fs = fs_get(c->fs);
	*ret = &pf->file;
	return 0;
}
