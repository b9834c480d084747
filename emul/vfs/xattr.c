/* SPDX-License-Identifier: MIT */
/* Extended attributes: fs/xattr.c, xattr_permission() and the checks around it. xattr(7). */
#include <linux/capability.h>
#include <string.h>
#include <sys/xattr.h>

#include "emul/base/err.h"
#include "emul/vfs/namespace.h"

#define XATTR_NAME_LIMIT 255
#define XATTR_SIZE_LIMIT 65536

static bool has_prefix(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

static int check_name(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > XATTR_NAME_LIMIT)
		return -ERANGE;
	return !strcmp(name, "user.") || !strcmp(name, "trusted.") || !strcmp(name, "security.") ? -EINVAL : 0;
}

static int check_user(struct fs_ctx *c, struct inode *i, bool write)
{
	struct statx st;
	int r;

	if (!S_ISREG(i->type) && !S_ISDIR(i->type))
		return write ? -EPERM : -ENODATA;
	if (!S_ISDIR(i->type) || !write || cred_capable(c->cred, CAP_FOWNER))
		return 0;
	r = i->ops->getattr(i, STATX_MODE | STATX_UID, &st);
	return r == 0 && (st.stx_mode & S_ISVTX) && st.stx_uid != c->cred->fsuid ? -EPERM : r;
}

static int check_permission(struct fs_ctx *c, const struct path *p, const char *name, bool write)
{
	struct inode *i = p->dentry->inode;
	int r = 0;

	if (write && path_read_only(p))
		return -EROFS;
	if (has_prefix(name, "security.") || has_prefix(name, "system."))
		return write && !cred_capable(c->cred, CAP_SYS_ADMIN) && has_prefix(name, "security.") ? -EPERM : 0;
	if (has_prefix(name, "trusted."))
		return cred_capable(c->cred, CAP_SYS_ADMIN) ? 0 : write ? -EPERM : -ENODATA;
	if (has_prefix(name, "user."))
		r = check_user(c, i, write);
	return r < 0 ? r : inode_permission(c->cred, i, write ? MAY_WRITE : MAY_READ);
}

static bool known_namespace(const char *name)
{
	return has_prefix(name, "user.") || has_prefix(name, "trusted.") || has_prefix(name, "security.") || has_prefix(name, "system.");
}

ssize_t vfs_getxattr(struct fs_ctx *c, const struct path *p, const char *name, void *buf, size_t size)
{
	struct inode *i = p->dentry->inode;
	int r = check_name(name);

	if (r == 0)
		r = check_permission(c, p, name, false);
	if (r < 0)
		return r;
	if (!known_namespace(name) || !i->ops->getxattr)
		return -EOPNOTSUPP;
	return i->ops->getxattr(i, name, buf, MIN(size, (size_t)XATTR_SIZE_LIMIT));
}

int vfs_setxattr(struct fs_ctx *c, const struct path *p, const char *name, const void *buf, size_t size, int flags)
{
	struct inode *i = p->dentry->inode;
	int r = check_name(name);

	if (r == 0 && (flags & ~(XATTR_CREATE | XATTR_REPLACE)))
		r = -EINVAL;
	if (r == 0 && size > XATTR_SIZE_LIMIT)
		r = -E2BIG;
	if (r == 0)
		r = check_permission(c, p, name, true);
	if (r < 0)
		return r;
	if (!known_namespace(name) || !i->ops->setxattr)
		return -EOPNOTSUPP;
	r = i->ops->setxattr(i, name, buf, size, flags);
	if (r == 0)
		notify_path(p, IN_ATTRIB);
	return r;
}

ssize_t vfs_listxattr(struct fs_ctx *c, const struct path *p, char *buf, size_t size)
{
	struct inode *i = p->dentry->inode;

	return i->ops->listxattr ? i->ops->listxattr(i, buf, size) : 0;
}

int vfs_removexattr(struct fs_ctx *c, const struct path *p, const char *name)
{
	struct inode *i = p->dentry->inode;
	int r = check_name(name);

	if (r == 0)
		r = check_permission(c, p, name, true);
	if (r < 0)
		return r;
	if (!known_namespace(name) || !i->ops->removexattr)
		return -EOPNOTSUPP;
	r = i->ops->removexattr(i, name);
	if (r == 0)
		notify_path(p, IN_ATTRIB);
	return r;
}
