/* SPDX-License-Identifier: MIT */
/*
 * overlay: an open directory. First come the lower directory's names in the host's order, without the hidden ones,
 * then the names that only the table has, oldest first.
 *
 * Cookies: the host's d_off below, UPPER_BASE + age above. No file system gives out such a d_off for an
 * entry that another one follows (ext4's hashes stop short of it); as the mark of the end it is cut to UPPER_BASE.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/vfs/fileops.h"
#include "emul/vfs/overlay/overlay.h"

#define UPPER_BASE ((off_t)0x7fffffff00000000)
#define BATCH 32u

struct dirfile {
	struct file file;
	struct ov_inode *dir;  /* counted; constant */
	struct file *lower;    /* NULL: made by the guest; constant; its position is ours */
};

struct filter { struct dirsink sink; struct dirsink *out; struct ov_names *names; bool full, given; };

static bool is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static off_t cookie_of(off_t lower)
{
	return lower < 0 || lower > UPPER_BASE ? UPPER_BASE : lower;
}

/* --- below -------------------------------------------------------------------------------------------------------- */

static int filter_entry(struct dirsink *s, const char *name, size_t len, uint64_t ino, unsigned char type, off_t next)
{
	struct filter *f = container_of(s, struct filter, sink);
	bool in_lower = false;
	struct ov_entry e;
	int r = is_dot(name) ? -ENOENT : ov_names_peek(f->names, name, &e, &in_lower);

	if (r == 0 || (r == 1 && !in_lower))
		return 0; /* hidden, or given later */
	if (r == 1) {
		ino = e.ino;
		type = (unsigned char)IFTODT(e.type);
	}
	if (f->out->entry(f->out, name, len, ino, type, cookie_of(next))) {
		f->full = true;
		return 1;
	}
	f->given = true;
	return 0;
}

/* Runs s over the rest of an open lower directory, until it is full. pos_lock of lower held. */
static int run_lower(struct file *lower, struct dirsink *s, const bool *full)
{
	off_t before;
	int r;

	do {
		before = lower->pos;
		r = lower->ops->readdir(lower, s);
	} while (r == 0 && !*full && lower->pos != before);
	return r;
}

static int read_lower(struct dirfile *d, struct dirsink *out, bool *ret_full)
{
	struct filter f = { .sink = { filter_entry }, .out = out, .names = d->dir->names };
	struct file *lower = d->lower;
	int r;

	mutex_lock(&lower->pos_lock);
	lower->pos = d->file.pos;
	r = run_lower(lower, &f.sink, &f.full);
	d->file.pos = f.full || r < 0 ? cookie_of(lower->pos) : UPPER_BASE;
	mutex_unlock(&lower->pos_lock);
	*ret_full = f.full || (r < 0 && f.given); /* an error shows when nothing else does */
	return f.given ? 0 : r;
}

/* --- above -------------------------------------------------------------------------------------------------------- */

static uint64_t parent_ino(struct file *f)
{
	struct dentry *e = f->path.dentry;
	uint64_t ino;

	if (!e)
		return f->inode ? f->inode->ino : 1;
	mutex_lock(&e->lock);
	ino = e->parent->inode->ino;
	mutex_unlock(&e->lock);
	return ino;
}

static bool give_dots(struct dirfile *d, struct dirsink *out)
{
	struct file *f = &d->file;

	if (f->pos == 0) {
		if (out->entry(out, ".", 1, d->dir->inode.ino, DT_DIR, 1))
			return false;
		f->pos = 1;
	}
	if (f->pos < UPPER_BASE) {
		if (out->entry(out, "..", 2, parent_ino(f), DT_DIR, UPPER_BASE))
			return false;
		f->pos = UPPER_BASE;
	}
	return true;
}

static void give_upper(struct dirfile *d, struct dirsink *out)
{
	struct ov_entry e[BATCH];
	struct file *f = &d->file;
	unsigned n;

	while (f->pos - UPPER_BASE < UINT32_MAX && (n = ov_names_list(d->dir->names, (uint32_t)(f->pos - UPPER_BASE), e, BATCH))) {
		for (unsigned i = 0; i < n; i++) {
			off_t next = UPPER_BASE + e[i].seq;

			if (out->entry(out, e[i].name, strlen(e[i].name), e[i].ino, (unsigned char)IFTODT(e[i].type), next))
				return;
			f->pos = next;
		}
	}
}

/* --- the file ----------------------------------------------------------------------------------------------------- */

static int dir_readdir(struct file *f, struct dirsink *out)
{
	struct dirfile *d = container_of(f, struct dirfile, file);
	bool full = false;
	int r = 0;

	if (!d->lower)
		full = !give_dots(d, out);
	else if (f->pos < UPPER_BASE)
		r = read_lower(d, out, &full);
	if (r == 0 && !full)
		give_upper(d, out);
	return r;
}

static void dir_release(struct file *f)
{
	struct dirfile *d = container_of(f, struct dirfile, file);

	file_fini(f);
	file_put(d->lower);
	inode_put(&d->dir->inode);
	free(d);
}

static const struct file_ops dir_ops = {
	.name = "overlay",
	.read = dir_no_read,
	.lseek = dir_lseek,
	.readdir = dir_readdir,
	.fsync = dir_fsync,
	.release = dir_release,
};

int ov_dirfile_open(struct fs_ctx *c, struct ov_inode *x, const struct path *p, unsigned flags, struct file **ret)
{
	struct dirfile *d = calloc(1, sizeof(*d));
	int r = 0;

	if (!d)
		return -ENOMEM;
	if (x->lower)
		r = x->lower->ops->open(c, x->lower, p, O_RDONLY | O_DIRECTORY, &d->lower);
	if (r < 0) {
		free(d);
		return r;
	}
	inode_get(&x->inode);
	d->dir = x;
	file_init(&d->file, &dir_ops, flags);
	d->file.seekable = true;
	*ret = &d->file;
	return 0;
}

/* --- is there anything? ------------------------------------------------------------------------------------------- */

struct finder { struct dirsink sink; struct ov_names *names; bool found; };

static int find_entry(struct dirsink *s, const char *name, size_t len, uint64_t ino, unsigned char type, off_t next)
{
	struct finder *f = container_of(s, struct finder, sink);
	struct ov_entry e;
	bool in_lower;

	f->found = !is_dot(name) && ov_names_peek(f->names, name, &e, &in_lower) != 0;
	return f->found;
}

int ov_check_empty(struct ov_inode *x)
{
	struct finder f = { .sink = { find_entry }, .names = x->names };
	AUTO(file) lower = NULL;
	int r;

	if (!x->lower)
		return 0; /* ov_names_kill() sees the rest */
	r = x->lower->ops->open(&ov_super(x)->self, x->lower, NULL, O_RDONLY | O_DIRECTORY, &lower);
	if (r < 0)
		return r;
	mutex_lock(&lower->pos_lock);
	r = run_lower(lower, &f.sink, &f.found);
	mutex_unlock(&lower->pos_lock);
	return f.found ? -ENOTEMPTY : r;
}
