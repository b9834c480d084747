/* SPDX-License-Identifier: MIT */
/* hostfs: making one over a host directory, and whether a cached name still holds. */
/* host syscalls: openat newfstatat fstatfs close geteuid */
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/vfs/hostfs/hostfs.h"

/* Others change the host: the name must still lead to the same thing. */
static bool revalidate(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *i)
{
	struct stat st;

	if (hostfs_check_name(name) < 0)
		return false;
	if (HOST(fstatat(hostfs_inode_of(dir)->fd, name, &st, AT_SYMLINK_NOFOLLOW)) < 0)
		return false;
	return st.st_dev == i->dev && st.st_ino == i->ino && (st.st_mode & S_IFMT) == i->type;
}

static void release(struct super *s)
{
	struct hostfs *h = hostfs_of(s);

	mutex_fini(&h->lock);
	free(h);
}

static const struct super_ops hostfs_super_ops = {
	.revalidate = revalidate,
	.release = release,
};

static struct hostfs *make(struct vfs *v, bool read_only)
{
	struct hostfs *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	mutex_init(&h->lock);
	for (size_t i = 0; i < HOSTFS_BUCKETS; i++)
		list_init(&h->bucket[i]);
	super_init(&h->sb, &hostfs_super_ops, v);
	h->sb.read_only = read_only;
	h->host_root = geteuid() == 0;
	return h;
}

/* What file systems on disks with sectors of 512 bytes want; those in memory and on the network want nothing. */
static unsigned dio_align(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return 0;
	switch (st.f_type) {
	case EXT4_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case OVERLAYFS_SUPER_MAGIC:
	case XFS_SUPER_MAGIC: return 512;
	case BTRFS_SUPER_MAGIC: return PAGE_SIZE;
	default: return 0;
	}
}

int hostfs_new(struct vfs *v, const char *host_dir, bool read_only, struct super **ret)
{
	/* The user's own name: links in it are followed. */
	int fd = (int)HOST(open(host_dir, O_PATH | O_DIRECTORY | O_CLOEXEC)), r;
	struct hostfs *h;
	struct inode *root;

	if (fd < 0) {
		log_dbg(VFS, "%s cannot be opened: error %d", host_dir, -fd);
		return fd;
	}
	h = make(v, read_only);
	if (!h) {
		close(fd);
		return -ENOMEM;
	}
	h->sb.dio_align = dio_align(fd);
	r = hostfs_inode_get(h, NULL, fd, &root);
	if (r == 0) {
		h->top = hostfs_inode_of(root);
		h->sb.dev = root->dev; /* mountinfo and stat(2) agree */
		r = super_set_root(&h->sb, root);
	}
	if (r < 0) {
		super_put(&h->sb);
		return r;
	}
	*ret = &h->sb;
	return 0;
}
