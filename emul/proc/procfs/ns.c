/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/ns: the namespaces of a process. There is one of each kind, with the numbers of a machine's first ones
 * (include/uapi/linux/nsfs.h); a link leads to a file that can be asked for its number, and nothing more.
 */
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/proc/procfs/procfs.h"

static const struct { const char *name, *kind; uint64_t ino; } spaces[] = {
	{ "cgroup", "cgroup", 4026531835 }, { "ipc", "ipc", 4026531839 }, { "mnt", "mnt", 4026531832 },
	{ "net", "net", 4026531833 }, { "pid", "pid", 4026531836 }, { "pid_for_children", "pid", 4026531836 },
	{ "time", "time", 4026531834 }, { "time_for_children", "time", 4026531834 }, { "user", "user", 4026531837 },
	{ "uts", "uts", 4026531838 },
};

/* --- the thing itself: a file that nobody opens ------------------------------------------------------- */

struct ns_file { struct file file; size_t which; };

static int ns_stat(struct file *f, unsigned mask, struct statx *ret)
{
	*ret = (struct statx){ .stx_mask = STATX_BASIC_STATS, .stx_blksize = PAGE_SIZE, .stx_nlink = 1, .stx_mode = S_IFREG | 0444,
			       .stx_ino = spaces[container_of(f, struct ns_file, file)->which].ino, .stx_dev_minor = 4 };
	return 0;
}

static void ns_describe(struct file *f, char *buf, size_t size)
{
	size_t i = container_of(f, struct ns_file, file)->which;

	snprintf(buf, size, "%s:[%llu]", spaces[i].kind, (unsigned long long)spaces[i].ino);
}

static void ns_release(struct file *f)
{
	file_fini(f);
	free(container_of(f, struct ns_file, file));
}

static const struct file_ops ns_ops = { .name = "nsfs", .stat = ns_stat, .describe = ns_describe, .release = ns_release };

/* --- the links -------------------------------------------------------------------------------------------- */

static size_t which(struct pnode *n)
{
	return (size_t)task_node(n)->fd;
}

static ssize_t ns_readlink(struct pnode *n, struct fs_ctx *c, char *buf, size_t size)
{
	return snprintf(buf, size, "%s:[%llu]", spaces[which(n)].kind, (unsigned long long)spaces[which(n)].ino);
}

static int ns_follow(struct pnode *n, struct fs_ctx *c, struct path *ret)
{
	struct ns_file *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	file_init(&f->file, &ns_ops, O_RDONLY);
	f->which = which(n);
	r = vfs_nameless_path(c->vfs, &f->file, ret);
	file_put(&f->file);
	return r;
}

static const struct pnode_ops ns_link_ops = {
	.mode = S_IFLNK | 0777, .readlink = ns_readlink, .follow = ns_follow, .may = task_node_may, .alive = task_node_alive,
	.getattr = task_node_owner, .release = task_node_release,
};

static int ns_lookup(struct pnode *dir, struct fs_ctx *c, const char *name, struct pnode **ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++) {
		if (strcmp(spaces[i].name, name))
			continue;
		*ret = task_node_new(&ns_link_ops, task_node(dir)->task, task_node(dir)->thread, (int)i);
		return *ret ? 0 : -ENOMEM;
	}
	return -ENOENT;
}

static int ns_readdir(struct pnode *dir, struct fs_ctx *c, off_t cookie, struct dirsink *out)
{
	for (size_t i = (size_t)cookie; i < ARRAY_SIZE(spaces); i++)
		if (out->entry(out, spaces[i].name, strlen(spaces[i].name), ((uint64_t)task_node(dir)->task->tid << 24) + 0x800000 + i,
			       DT_LNK, (off_t)i + 1))
			break;
	return 0;
}

const struct pnode_ops ns_dir_ops = {
	.mode = S_IFDIR | 0511, .lookup = ns_lookup, .readdir = ns_readdir, .may = task_node_may, .alive = task_node_alive,
	.getattr = task_node_owner, .release = task_node_release,
};
