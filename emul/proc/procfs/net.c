/* SPDX-License-Identifier: MIT */
/* /proc/PID/net: files that the socket layer registers at boot. Every process sees the same. */
#include <string.h>

#include "emul/base/err.h"
#include "emul/proc/procfs/procfs.h"

#define FILES_MAX 32

static struct net_file { const char *name; struct pnode_ops ops; } files[FILES_MAX]; /* constant after boot */
static unsigned nfiles;

void procfs_add_net(const char *name, int (*show)(struct pnode *n, struct fs_ctx *c, struct seq *out))
{
	assert(nfiles < FILES_MAX);
	files[nfiles++] = (struct net_file){
		name,
		{ .mode = S_IFREG | 0444, .show = show, .alive = task_node_alive, .release = task_node_release },
	};
}

static int lookup_net(struct pnode *dir, struct fs_ctx *c, const char *name, struct pnode **ret)
{
	for (unsigned i = 0; i < nfiles; i++) {
		if (strcmp(files[i].name, name))
			continue;
		*ret = task_node_new(&files[i].ops, task_node(dir)->task, false, -1);
		return *ret ? 0 : -ENOMEM;
	}
	return -ENOENT;
}

static int read_net(struct pnode *dir, struct fs_ctx *c, off_t cookie, struct dirsink *out)
{
	for (unsigned i = (unsigned)cookie; i < nfiles; i++)
		if (out->entry(out, files[i].name, strlen(files[i].name), ((uint64_t)0xe7 << 32) + i, DT_REG, (off_t)i + 1))
			break;
	return 0;
}

const struct pnode_ops net_dir_ops = {
	.mode = S_IFDIR | 0555,
	.lookup = lookup_net,
	.readdir = read_net,
	.alive = task_node_alive,
	.release = task_node_release,
};
