/* SPDX-License-Identifier: MIT */
/*
 * overlay: open directories. One without changes is read straight from below. Otherwise the names are collected when reading
 * begins, and again after rewinding, as Linux's overlayfs does; positions are indices into the collection.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/vfs/overlay/overlay.h"

struct entry { char *name; uint64_t ino; unsigned char type; };

struct ovl_dir {
	struct file file;
	struct ovl_inode *oi;    /* counted */
	struct file *lower;      /* counted; NULL: nothing below */
	/* pos_lock: */
	bool merged;             /* entries[] is what is shown; else lower */
	bool begun;
	struct entry *entries;
	size_t n, cap;
	bool failed;             /* no memory while collecting */
};

static struct ovl_dir *ovl_dir_of(struct file *f)
{
	return container_of(f, struct ovl_dir, file);
}

static void drop_entries(struct ovl_dir *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->entries[i].name);
	free(d->entries);
	d->entries = NULL;
	d->n = d->cap = 0;
	d->failed = false;
}

static void add_entry(struct ovl_dir *d, const char *name, size_t len, uint64_t ino, unsigned char type)
{
	if (d->n == d->cap) {
		size_t cap = d->cap ? 2 * d->cap : 64;
		struct entry *e = realloc(d->entries, cap * sizeof(*e));

		if (!e) {
			d->failed = true;
			return;
		}
		d->entries = e;
		d->cap = cap;
	}
	d->entries[d->n] = (struct entry){ strndup(name, len), ino, type };
	if (!d->entries[d->n].name)
		d->failed = true;
	else
		d->n++;
}

/* --- from below ------------------------------------------------------------------------------------------- */

struct collector {
	struct dirsink sink;
	struct ovl_dir *d;         /* NULL: only count */
	struct ovl_table *table;
	size_t seen;               /* names but "." and ".." */
};

static int collect(struct dirsink *s, const char *name, size_t len, uint64_t ino, unsigned char type, off_t next)
{
	struct collector *c = container_of(s, struct collector, sink);
	bool dots = name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
	char text[256];

	if (!dots && len < sizeof(text)) {
		memcpy(text, name, len);
		text[len] = 0;
		if (ovl_table_find(c->table, text))
			return 0;
	}
	if (!dots)
		c->seen++;
	if (c->d)
		add_entry(c->d, name, len, ino, type);
	return 0;
}

/* All of the lower directory, from its beginning. */
static int read_below(struct file *lower, struct collector *c)
{
	off_t before;
	int r;

	mutex_lock(&lower->pos_lock);
	lower->pos = 0;
	r = lower->ops->lseek(lower, 0, SEEK_SET) < 0 ? -EIO : 0;
	do {
		before = lower->pos;
		if (r == 0)
			r = lower->ops->readdir(lower, &c->sink);
	} while (r == 0 && lower->pos != before);
	mutex_unlock(&lower->pos_lock);
	return r;
}

static void collect_changes(struct ovl_dir *d)
{
	struct ovl_table *t = &d->oi->table;

	for (unsigned b = 0; b < t->nbuckets; b++) {
		struct ovl_name *n;

		list_for_each(n, &t->bucket[b], node)
			if (n->inode)
				add_entry(d, n->name, strlen(n->name), n->inode->ino, (unsigned char)IFTODT(n->inode->type));
	}
}

static int begin(struct ovl_dir *d)
{
	struct ovl_inode *oi = d->oi;
	struct collector c = { .sink = { collect }, .d = d, .table = &oi->table };
	int r = 0;

	drop_entries(d);
	mutex_lock(&oi->inode.lock);
	d->merged = !d->lower || oi->table.n;
	if (d->merged && d->lower) {
		r = read_below(d->lower, &c);
	} else if (d->merged) {
		struct dentry *up = d->file.path.dentry ? d->file.path.dentry->parent : NULL;

		add_entry(d, ".", 1, oi->inode.ino, DT_DIR);
		add_entry(d, "..", 2, up ? up->inode->ino : oi->inode.ino, DT_DIR);
	}
	if (d->merged)
		collect_changes(d);
	mutex_unlock(&oi->inode.lock);
	d->begun = r == 0 && !d->failed;
	return r < 0 ? r : d->failed ? -ENOMEM : 0;
}

/* --- the file ------------------------------------------------------------------------------------------------ */

static int read_lower(struct ovl_dir *d, struct dirsink *out)
{
	struct file *l = d->lower;
	int r;

	mutex_lock(&l->pos_lock);
	l->pos = d->file.pos;
	r = l->ops->lseek(l, l->pos, SEEK_SET) < 0 ? -EINVAL : l->ops->readdir(l, out);
	d->file.pos = l->pos;
	mutex_unlock(&l->pos_lock);
	return r;
}

static int dir_readdir(struct file *f, struct dirsink *out)
{
	struct ovl_dir *d = ovl_dir_of(f);
	int r = f->pos == 0 || !d->begun ? begin(d) : 0;

	if (r < 0)
		return r;
	if (!d->merged)
		return read_lower(d, out);
	while (f->pos >= 0 && (size_t)f->pos < d->n) {
		struct entry *e = &d->entries[f->pos];

		if (out->entry(out, e->name, strlen(e->name), e->ino, e->type, f->pos + 1))
			break;
		f->pos++;
	}
	return 0;
}

static off_t dir_lseek(struct file *f, off_t off, int whence)
{
	if (whence == SEEK_CUR)
		off += f->pos;
	else if (whence != SEEK_SET)
		return -EINVAL;
	if (off < 0)
		return -EINVAL;
	f->pos = off;
	return off;
}

static void dir_release(struct file *f)
{
	struct ovl_dir *d = ovl_dir_of(f);

	drop_entries(d);
	file_put(d->lower);
	inode_put(&d->oi->inode);
	file_fini(f);
	free(d);
}

static int dir_fsync(struct file *f, bool datasync)
{
	return 0;
}

static ssize_t dir_read(struct file *f, struct uio *to, off_t *pos)
{
	return -EISDIR;
}

static const struct file_ops dir_ops = {
	.name = "overlay",
	.read = dir_read,
	.lseek = dir_lseek,
	.readdir = dir_readdir,
	.fsync = dir_fsync,
	.release = dir_release,
};

int ovl_dir_open(struct fs_ctx *c, struct ovl_inode *oi, unsigned flags, struct file **ret)
{
	const struct path nowhere = PATH_INIT;
	struct ovl_dir *d = calloc(1, sizeof(*d));
	int r = 0;

	if (!d)
		return -ENOMEM;
	if (oi->lower)
		r = oi->lower->ops->open(c, oi->lower, &nowhere, O_RDONLY | O_DIRECTORY, &d->lower);
	if (r < 0) {
		free(d);
		return r;
	}
	file_init(&d->file, &dir_ops, flags);
	d->file.seekable = true;
	d->oi = oi;
	inode_get(&oi->inode);
	*ret = &d->file;
	return 0;
}

int ovl_dir_is_empty(struct fs_ctx *c, struct ovl_inode *oi)
{
	const struct path nowhere = PATH_INIT;
	struct collector col = { .sink = { collect }, .table = &oi->table };
	AUTO(file) lower = NULL;
	int r = 0;

	for (unsigned b = 0; b < oi->table.nbuckets; b++) {
		struct ovl_name *n;

		list_for_each(n, &oi->table.bucket[b], node)
			if (n->inode)
				return 0;
	}
	if (oi->lower)
		r = oi->lower->ops->open(c, oi->lower, &nowhere, O_RDONLY | O_DIRECTORY, &lower);
	if (r == 0 && lower)
		r = read_below(lower, &col);
	return r < 0 ? r : col.seen == 0;
}
