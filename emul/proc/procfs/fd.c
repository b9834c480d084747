/* SPDX-License-Identifier: MIT */
/* /proc/PID/fd and fdinfo: the descriptors of a process as names. fs/proc/fd.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/proc/procfs/procfs.h"

/* The file behind a node, with a reference; NULL: closed meanwhile. */
static struct file *file_of(struct pnode *n)
{
	AUTO(fdtab) t = task_get_fds(task_node(n)->task);

	return t ? fdtab_get(t, task_node(n)->fd) : NULL;
}

static bool fd_alive(struct pnode *n)
{
	AUTO(file) f = file_of(n);

	return f != NULL && task_node_alive(n);
}

/* --- fd/N: magic links ---------------------------------------------------------------------------- */

static ssize_t fd_readlink(struct pnode *n, struct fs_ctx *c, char *buf, size_t size)
{
	AUTO(file) f = file_of(n);

	if (!f)
		return -ENOENT;
	if (f->path.dentry) {
		struct path p = { f->path.mnt, f->path.dentry };
		AUTO_PATH root = PATH_INIT;

		mutex_lock(&c->fs->lock);
		root = c->fs->root;
		path_get(&root);
		mutex_unlock(&c->fs->lock);
		return vfs_path_text(&p, &root, buf, size, false);
	}
	if (f->ops->describe)
		f->ops->describe(f, buf, size);
	else
		snprintf(buf, size, "anon_inode:[%s]", f->ops->name);
	return (ssize_t)strnlen(buf, size);
}

static int fd_follow(struct pnode *n, struct fs_ctx *c, struct path *ret)
{
	AUTO(file) f = file_of(n);

	if (!f)
		return -ENOENT;
	if (!f->path.dentry)
		return vfs_nameless_path(c->vfs, f, ret);
	*ret = (struct path){ f->path.mnt, f->path.dentry };
	path_get(ret);
	return 0;
}

static void fd_getattr(struct pnode *n, struct statx *st)
{
	AUTO(file) f = file_of(n);

	task_node_owner(n, st);
	if (f) /* the link's permissions show how it is open */
		st->stx_mode = (uint16_t)(S_IFLNK | (file_readable(f) ? 0500 : 0) | (file_writable(f) ? 0300 : 0));
	st->stx_size = 64;
}

static const struct pnode_ops fd_link_ops = {
	.mode = S_IFLNK | 0700,
	.readlink = fd_readlink,
	.follow = fd_follow,
	.may = task_node_may,
	.alive = fd_alive,
	.getattr = fd_getattr,
	.release = task_node_release,
};

/* --- fdinfo/N ------------------------------------------------------------------------------------------ */

static int show_fdinfo(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	AUTO(fdtab) t = task_get_fds(task_node(n)->task);
	AUTO(file) f = t ? fdtab_get(t, task_node(n)->fd) : NULL;
	unsigned flags;
	off_t pos;

	if (!f)
		return -ENOENT;
	flags = file_flags(f) | (fdtab_get_cloexec(t, task_node(n)->fd) == 1 ? O_CLOEXEC : 0);
	pos = f->seekable ? file_lseek(f, 0, SEEK_CUR) : 0;
	seq_printf(out, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%d\nino:\t%llu\n", (long long)(pos < 0 ? 0 : pos), flags,
		   f->path.dentry ? 1 : 15, (unsigned long long)f->anon_ino);
	if (f->ops->fdinfo)
		f->ops->fdinfo(f, out);
	return 0;
}

static const struct pnode_ops fdinfo_ops = {
	.mode = S_IFREG | 0444, .show = show_fdinfo, .may = task_node_may, .alive = fd_alive, .getattr = task_node_owner, .release = task_node_release,
};

/* --- the directories --------------------------------------------------------------------------------------- */

static int lookup_fd(struct pnode *dir, const char *name, const struct pnode_ops *ops, struct pnode **ret)
{
	AUTO(fdtab) t = task_get_fds(task_node(dir)->task);
	AUTO(file) f = NULL;
	char *end;
	long fd = strtol(name, &end, 10);

	if (*end || end == name || name[0] == '-' || name[0] == '+' || (name[0] == '0' && name[1]) || fd > INT32_MAX || !t)
		return -ENOENT;
	f = fdtab_get(t, (int)fd);
	if (!f)
		return -ENOENT;
	*ret = task_node_new(ops, task_node(dir)->task, task_node(dir)->thread, (int)fd);
	return *ret ? 0 : -ENOMEM;
}

static int lookup_link(struct pnode *dir, struct fs_ctx *c, const char *name, struct pnode **ret)
{
	return lookup_fd(dir, name, &fd_link_ops, ret);
}

static int lookup_info(struct pnode *dir, struct fs_ctx *c, const char *name, struct pnode **ret)
{
	return lookup_fd(dir, name, &fdinfo_ops, ret);
}

static int list_fds(struct pnode *dir, off_t cookie, struct dirsink *out, unsigned char type)
{
	AUTO(fdtab) t = task_get_fds(task_node(dir)->task);
	int fd = (int)cookie;

	while (t && (fd = fdtab_next(t, fd, NULL)) >= 0) {
		char name[16];
		int n = snprintf(name, sizeof(name), "%d", fd);

		if (out->entry(out, name, (size_t)n, ((uint64_t)task_node(dir)->task->tid << 24) + (uint64_t)fd + 1, type, fd + 1))
			break;
		fd++;
	}
	return 0;
}

static int read_links(struct pnode *dir, struct fs_ctx *c, off_t cookie, struct dirsink *out)
{
	return list_fds(dir, cookie, out, DT_LNK);
}

static int read_infos(struct pnode *dir, struct fs_ctx *c, off_t cookie, struct dirsink *out)
{
	return list_fds(dir, cookie, out, DT_REG);
}

const struct pnode_ops fd_dir_ops = {
	.mode = S_IFDIR | 0500, .lookup = lookup_link, .readdir = read_links, .alive = task_node_alive, .getattr = task_node_owner,
	.release = task_node_release,
};
const struct pnode_ops fdinfo_dir_ops = {
	.mode = S_IFDIR | 0555, .lookup = lookup_info, .readdir = read_infos, .may = task_node_may, .alive = task_node_alive, .getattr = task_node_owner,
	.release = task_node_release,
};
