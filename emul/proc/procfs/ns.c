/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/ns: the namespaces of a process. There is one of each kind, with the numbers of a machine's first ones
 * (include/uapi/linux/nsfs.h); a link leads to a file that can be opened and asked what it is, and nothing more.
 */
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/proc/procfs/procfs.h"

static const struct { const char *name, *kind; uint64_t ino; int type; bool nested; } spaces[] = {
	{ "cgroup", "cgroup", 4026531835, CLONE_NEWCGROUP, false },
	{ "ipc", "ipc", 4026531839, CLONE_NEWIPC, false },
	{ "mnt", "mnt", 4026531832, CLONE_NEWNS, false },
	{ "net", "net", 4026531833, CLONE_NEWNET, false },
	{ "pid", "pid", 4026531836, CLONE_NEWPID, true },
	{ "pid_for_children", "pid", 4026531836, CLONE_NEWPID, true },
	{ "time", "time", 4026531834, CLONE_NEWTIME, false },
	{ "time_for_children", "time", 4026531834, CLONE_NEWTIME, false },
	{ "user", "user", 4026531837, CLONE_NEWUSER, true },
	{ "uts", "uts", 4026531838, CLONE_NEWUTS, false },
};

/* --- the thing itself: a file without content ------------------------------------------------------- */

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

/* ns_ioctl(): whose it is, what kind; there is nothing above. */
static long ns_ioctl(struct file *f, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	size_t i = container_of(f, struct ns_file, file)->which;

	switch (cmd) {
	case NS_GET_USERNS:
		return -EPERM;
	case NS_GET_PARENT:
		return spaces[i].nested ? -EPERM : -EINVAL;
	case NS_GET_NSTYPE:
		return spaces[i].type;
	case NS_GET_OWNER_UID:
		return spaces[i].type == CLONE_NEWUSER ? put_guest_u32(c->mm, arg, 0) : -EINVAL;
	default:
		return -ENOTTY;
	}
}

static int ns_reopen(struct file *f, unsigned flags, struct file **ret);

static const struct file_ops ns_ops = {
	.name = "nsfs", .stat = ns_stat, .ioctl = ns_ioctl, .describe = ns_describe, .reopen = ns_reopen, .release = ns_release,
};

static int ns_new(size_t i, unsigned flags, struct file **ret)
{
	struct ns_file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	file_init(&f->file, &ns_ops, flags);
	f->which = i;
	*ret = &f->file;
	return 0;
}

static int ns_reopen(struct file *f, unsigned flags, struct file **ret)
{
	return ns_new(container_of(f, struct ns_file, file)->which, flags, ret);
}

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
	AUTO(file) f = NULL;
	int r = ns_new(which(n), O_RDONLY, &f);

	return r < 0 ? r : vfs_nameless_path(c->vfs, f, ret);
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
