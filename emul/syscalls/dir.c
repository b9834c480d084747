/* SPDX-License-Identifier: MIT */
/* Directories: reading, making, removing, and where one is. fs/readdir.c, fs/open.c, fs/d_path.c. */
#include <dirent.h>

#include "emul/syscalls/handler.h"

#define DENTS_MAX 65536 /* of one call: bounds our memory; a longer buffer is filled by the next ones */

/* --- getdents ------------------------------------------------------------------------------------------------- */

struct dents {
	struct dirsink sink;
	bool old;        /* getdents: the type is the record's last byte */
	char *buf;
	size_t size, len;
	bool too_small;  /* not even the first entry fits */
};

struct old_dirent { uint64_t ino; int64_t off; uint16_t reclen; char name[]; };
struct new_dirent { uint64_t ino; int64_t off; uint16_t reclen; uint8_t type; char name[]; };

static size_t record_size(bool old, size_t len)
{
	/* with the NUL, and old: with the type behind it */
	size_t n = old ? offsetof(struct old_dirent, name) + len + 2 : offsetof(struct new_dirent, name) + len + 1;

	return (n + 7) & ~(size_t)7;
}

static int take_entry(struct dirsink *s, const char *name, size_t len, uint64_t ino, unsigned char type, off_t next)
{
	struct dents *d = container_of(s, struct dents, sink);
	size_t n = record_size(d->old, len);
	char *at = d->buf + d->len;

	if (n > d->size - d->len) {
		d->too_small = d->len == 0;
		return 1;
	}
	memset(at, 0, n);
	if (d->old) {
		*(struct old_dirent *)at = (struct old_dirent){ ino, next, (uint16_t)n };
		memcpy(at + offsetof(struct old_dirent, name), name, len);
		at[n - 1] = (char)type;
	} else {
		*(struct new_dirent *)at = (struct new_dirent){ ino, next, (uint16_t)n, type };
		memcpy(at + offsetof(struct new_dirent, name), name, len);
	}
	d->len += n;
	return 0;
}

static long read_dents(struct task *t, const struct sysargs *a, bool old)
{
	struct dents d = { .sink.entry = take_entry, .old = old, .size = MIN(arg_uint(a, 2), DENTS_MAX) };
	AUTO(file) f = fd_file(t, arg_int(a, 0));
	AUTO_FREE char *buf = NULL;
	off_t before;
	int r;

	if (!f)
		return -EBADF;
	before = f->pos;
	d.buf = buf = malloc(d.size ? d.size : 1);
	if (!buf)
		return -ENOMEM;
	r = file_readdir(f, &d.sink);
	if (r < 0 && !d.len)
		return r;
	if (d.too_small)
		return -EINVAL;
	if (copy_to_guest(t->mm, arg_gva(a, 1), buf, d.len) < 0) {
		file_lseek(f, before, SEEK_SET); /* nothing was read */
		return -EFAULT;
	}
	return (long)d.len;
}

long sys_getdents(struct task *t, const struct sysargs *a)
{
	return read_dents(t, a, true);
}

long sys_getdents64(struct task *t, const struct sysargs *a)
{
	return read_dents(t, a, false);
}

/* --- where one is ------------------------------------------------------------------------------------------------ */

long sys_chdir(struct task *t, const struct sysargs *a)
{
	AUTO_PATH p = PATH_INIT;
	int r;
	AT(n);

	r = arg_at(t, AT_FDCWD, arg_gva(a, 0), false, &n);
	if (r == 0)
		r = at_lookup(t, &n, WALK_FOLLOW | WALK_DIRECTORY, &p);
	return r < 0 ? r : vfs_chdir(&t->fsc, &p);
}

long sys_fchdir(struct task *t, const struct sysargs *a)
{
	AUTO(file) f = fdtab_get(t->fds, arg_int(a, 0));
	AUTO_PATH p = PATH_INIT;

	if (!f)
		return -EBADF;
	if (!file_path(f, &p) || !S_ISDIR(vfs_mode(&p)))
		return -ENOTDIR;
	return vfs_chdir(&t->fsc, &p);
}

long sys_chroot(struct task *t, const struct sysargs *a)
{
	AUTO_PATH p = PATH_INIT;
	int r;
	AT(n);

	r = arg_at(t, AT_FDCWD, arg_gva(a, 0), false, &n);
	if (r == 0)
		r = at_lookup(t, &n, WALK_FOLLOW | WALK_DIRECTORY, &p);
	return r < 0 ? r : vfs_chroot(&t->fsc, &p);
}

long sys_getcwd(struct task *t, const struct sysargs *a)
{
	struct fs *fs = t->fsc.fs;
	AUTO_PATH cwd = PATH_INIT;
	AUTO_PATH root = PATH_INIT;
	char text[PATH_MAX];
	ssize_t n;

	mutex_lock(&fs->lock);
	cwd = fs->cwd;
	root = fs->root;
	path_get(&cwd);
	path_get(&root);
	mutex_unlock(&fs->lock);
	n = vfs_path_text(&cwd, &root, text, sizeof(text), true);
	if (n < 0)
		return n == -ERANGE ? -ENAMETOOLONG : n;
	if ((size_t)n + 1 > arg_size(a, 1))
		return -ERANGE;
	return copy_to_guest(t->mm, arg_gva(a, 0), text, (size_t)n + 1) < 0 ? -EFAULT : n + 1;
}

/* --- making and removing --------------------------------------------------------------------------------------------- */

static long do_mkdir(struct task *t, int dirfd, gva_t name, mode_t mode)
{
	int r;
	AT(n);

	r = arg_at(t, dirfd, name, false, &n);
	return r < 0 ? r : vfs_mkdir(&t->fsc, at_start(&n), n.name, mode & 01777);
}

long sys_mkdir(struct task *t, const struct sysargs *a)
{
	return do_mkdir(t, AT_FDCWD, arg_gva(a, 0), arg_mode(a, 1));
}

long sys_mkdirat(struct task *t, const struct sysargs *a)
{
	return do_mkdir(t, arg_int(a, 0), arg_gva(a, 1), arg_mode(a, 2));
}

long sys_rmdir(struct task *t, const struct sysargs *a)
{
	int r;
	AT(n);

	r = arg_at(t, AT_FDCWD, arg_gva(a, 0), false, &n);
	return r < 0 ? r : vfs_rmdir(&t->fsc, at_start(&n), n.name);
}
