/* SPDX-License-Identifier: MIT */
/* Who may: fs/namei.c (generic_permission, check_sticky), fs/attr.c (setattr_prepare). */
#include <linux/capability.h>

#include "emul/base/err.h"
#include "emul/vfs/namespace.h"

/* Root in directories: no need to ask for attributes. Executing a file needs an x bit even then. */
static bool passes_by_capability(const struct cred *c, mode_t type, int mask)
{
	if (S_ISDIR(type)) {
		if (!(mask & MAY_WRITE) && cred_capable(c, CAP_DAC_READ_SEARCH))
			return true;
		return cred_capable(c, CAP_DAC_OVERRIDE);
	}
	if (mask == MAY_READ && cred_capable(c, CAP_DAC_READ_SEARCH))
		return true;
	return !(mask & MAY_EXEC) && cred_capable(c, CAP_DAC_OVERRIDE);
}

int inode_permission(const struct cred *c, struct inode *i, int mask)
{
	struct statx st;
	unsigned bits;
	int r;

	if (!mask || passes_by_capability(c, i->type, mask))
		return 0;
	r = i->ops->getattr(i, STATX_MODE | STATX_UID | STATX_GID, &st);
	if (r < 0)
		return r;
	bits = st.stx_uid == c->fsuid ? st.stx_mode >> 6 : cred_in_group(c, st.stx_gid) ? st.stx_mode >> 3 : st.stx_mode;
	if (!((unsigned)mask & ~bits))
		return 0;
	if (!S_ISDIR(i->type) && (mask & MAY_EXEC) && (st.stx_mode & 0111) && cred_capable(c, CAP_DAC_OVERRIDE))
		return 0;
	return -EACCES;
}

int inode_may_delete(const struct cred *c, struct inode *dir, struct inode *victim)
{
	struct statx d, v;
	int r = inode_permission(c, dir, MAY_WRITE | MAY_EXEC);

	if (r < 0 || cred_capable(c, CAP_FOWNER))
		return r;
	r = dir->ops->getattr(dir, STATX_MODE | STATX_UID, &d);
	if (r < 0 || !(d.stx_mode & S_ISVTX) || d.stx_uid == c->fsuid)
		return r;
	r = victim->ops->getattr(victim, STATX_UID, &v);
	return r < 0 ? r : v.stx_uid == c->fsuid ? 0 : -EPERM;
}

static int check_owner_change(const struct cred *c, const struct statx *st, const struct iattr *a)
{
	bool owner = st->stx_uid == c->fsuid;

	if (cred_capable(c, CAP_CHOWN))
		return 0;
	if ((a->valid & ATTR_UID) && !(owner && a->uid == st->stx_uid))
		return -EPERM;
	if ((a->valid & ATTR_GID) && !(owner && (cred_in_group(c, a->gid) || a->gid == st->stx_gid)))
		return -EPERM;
	return 0;
}

static void cut_set_id(const struct cred *c, const struct statx *st, struct iattr *a)
{
	mode_t mode = st->stx_mode & 07777, keep = mode & ~(mode_t)S_ISUID;

	if (mode & S_IXGRP || (!cred_in_group(c, st->stx_gid) && !cred_capable(c, CAP_FSETID)))
		keep &= ~(mode_t)S_ISGID;
	if (keep == mode)
		return;
	a->valid |= ATTR_MODE;
	a->mode = keep;
}

/* A change of owner takes set-id bits of files away; a mode set from outside the group loses set-group-id. */
static void drop_set_id(const struct cred *c, struct inode *i, const struct statx *st, struct iattr *a)
{
	gid_t gid = a->valid & ATTR_GID ? a->gid : st->stx_gid;

	if ((a->valid & ATTR_MODE) && (a->mode & S_ISGID) && !cred_in_group(c, gid) && !cred_capable(c, CAP_FSETID))
		a->mode &= ~(mode_t)S_ISGID;
	if ((a->valid & ATTR_KILL) && !S_ISDIR(i->type) && !S_ISLNK(i->type))
		cut_set_id(c, st, a);
}

int inode_may_setattr(const struct cred *c, struct inode *i, struct iattr *a)
{
	struct statx st;
	int r = i->ops->getattr(i, STATX_MODE | STATX_UID | STATX_GID, &st);

	if (r < 0)
		return r;
	if (a->valid & (ATTR_UID | ATTR_GID))
		r = check_owner_change(c, &st, a);
	else if ((a->valid & ATTR_MODE) && st.stx_uid != c->fsuid && !cred_capable(c, CAP_FOWNER))
		r = -EPERM;
	if (r == 0)
		drop_set_id(c, i, &st, a);
	/* Even without an owner given, taking the bits is the owner's to do. */
	if (r == 0 && (a->valid & ATTR_MODE) && !(a->valid & (ATTR_UID | ATTR_GID)) && st.stx_uid != c->fsuid &&
	    !cred_capable(c, CAP_FOWNER))
		r = -EPERM;
	a->valid &= ~(unsigned)ATTR_KILL;
	return r;
}

void inode_drop_privileges(const struct cred *c, struct inode *i, struct iattr *a)
{
	struct statx st;

	if (S_ISREG(i->type) && !cred_capable(c, CAP_FSETID) && i->ops->getattr(i, STATX_MODE | STATX_GID, &st) == 0)
		cut_set_id(c, &st, a);
}
