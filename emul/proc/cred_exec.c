/* SPDX-License-Identifier: MIT */
/*
 * What execve(2) makes of credentials: set-id bits, file capabilities, root's privileges, and when they are refused.
 * security/commoncap.c cap_bprm_creds_from_file(), fs/exec.c bprm_fill_uid(); capabilities(7), "Transformation of
 * capabilities during execve()".
 */
#include <endian.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <linux/xattr.h>
#include <sys/statvfs.h>

#include "emul/base/err.h"
#include "emul/proc/task.h"
#include "emul/vfs/inode.h"

#define KNOWN_CAPS (((uint64_t)1 << (CAP_LAST_CAP + 1)) - 1)

struct file_caps { bool present, effective; uint64_t permitted, inheritable; };

/* --- what the file gives ------------------------------------------------------------------------------------ */

static bool may_give(const struct file *f)
{
	return f->path.mnt && !(f->path.mnt->flags & ST_NOSUID);
}

/* bprm_fill_uid() */
static int take_ids(struct task *t, struct file *f, struct cred *n)
{
	struct statx st;
	int r;

	if (!may_give(f) || t->no_new_privs)
		return 0;
	r = file_stat(f, STATX_MODE | STATX_UID | STATX_GID, &st);
	if (r < 0)
		return r;
	if (st.stx_mode & S_ISUID)
		n->euid = st.stx_uid;
	if ((st.stx_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		n->egid = st.stx_gid;
	return 0;
}

/* get_vfs_caps_from_disk(): the attribute in one of its three forms. */
static int parse_caps(const struct vfs_ns_cap_data *d, ssize_t size, struct file_caps *ret)
{
	uint32_t magic = le32toh(d->magic_etc);
	unsigned words;

	switch (magic & VFS_CAP_REVISION_MASK) {
	case VFS_CAP_REVISION_1:
		words = size == XATTR_CAPS_SZ_1 ? VFS_CAP_U32_1 : 0;
		break;
	case VFS_CAP_REVISION_2:
		words = size == XATTR_CAPS_SZ_2 ? VFS_CAP_U32_2 : 0;
		break;
	case VFS_CAP_REVISION_3:
		words = size == XATTR_CAPS_SZ_3 ? VFS_CAP_U32_3 : 0;
		if (words && d->rootid)
			return 0; /* meant for another user namespace */
		break;
	default:
		words = 0;
		break;
	}
	if (!words)
		return -EINVAL;
	*ret = (struct file_caps){ .present = true, .effective = magic & VFS_CAP_FLAGS_EFFECTIVE };
	for (unsigned i = 0; i < words; i++) {
		ret->permitted |= (uint64_t)le32toh(d->data[i].permitted) << 32 * i;
		ret->inheritable |= (uint64_t)le32toh(d->data[i].inheritable) << 32 * i;
	}
	ret->permitted &= KNOWN_CAPS;
	ret->inheritable &= KNOWN_CAPS;
	return 0;
}

static int read_caps(struct task *t, struct file *f, struct file_caps *ret)
{
	struct path p = { f->path.mnt, f->path.dentry };
	struct vfs_ns_cap_data d;
	ssize_t n;

	if (!may_give(f))
		return 0;
	n = vfs_getxattr(&t->fsc, &p, XATTR_NAME_CAPS, &d, sizeof(d));
	return n < 0 ? 0 : parse_caps(&d, n, ret);
}

/* bprm_caps_from_vfs_caps(): a program that counts on its capabilities does not run with less. */
static int take_caps(const struct file_caps *fc, const struct cred *old, struct cred *n)
{
	n->cap_permitted = (old->cap_bounding & fc->permitted) | (old->cap_inheritable & fc->inheritable);
	return fc->effective && (fc->permitted & ~n->cap_permitted) ? -EPERM : 0;
}

/* --- when it must not ----------------------------------------------------------------------------------------- */

static bool traced_by_the_unprivileged(struct task *t)
{
	AUTO(task) tracer = NULL;
	AUTO(cred) c = NULL;
	pid_t pid = trace_tracer_pid(t);

	if (!pid)
		return false;
	tracer = task_find(pid);
	c = tracer ? task_get_cred(tracer) : NULL;
	return !c || !cred_capable(c, CAP_SYS_PTRACE);
}

/* check_unsafe_exec(): another process could move its root and directory. */
static bool shares_directories(struct task *t)
{
	unsigned n;

	mutex_lock(&t->proc->lock);
	n = t->proc->nthreads;
	mutex_unlock(&t->proc->lock);
	return atomic_load(&t->fsc.fs->ref.n) > n;
}

static void downgrade(struct task *t, const struct cred *old, struct cred *n)
{
	if (!cred_capable(old, CAP_SETUID) || t->no_new_privs) {
		n->euid = n->uid;
		n->egid = n->gid;
	}
	n->cap_permitted &= old->cap_permitted;
}

/* handle_privileged_root(). true: what is permitted is effective. */
static bool privileged_root(const struct file_caps *fc, const struct cred *old, struct cred *n)
{
	if (n->securebits & 1u << SECURE_NOROOT)
		return false;
	if (fc->present && n->euid == 0 && n->uid != 0)
		return false; /* set-user-id root with capabilities: those count */
	if (n->euid == 0 || n->uid == 0)
		n->cap_permitted = old->cap_bounding | old->cap_inheritable;
	return n->euid == 0;
}

/* As Linux 6.18: a program that is run with the effective ids there were gains nothing by them, whatever the real ones are. */
static void compute(struct task *t, const struct file_caps *fc, const struct cred *old, struct cred *n, bool *ret_secure)
{
	bool effective = privileged_root(fc, old, n) || (fc->present && fc->effective);
	bool changed = n->euid != old->euid || !cred_in_group(old, n->egid);
	bool gains = n->cap_permitted & ~old->cap_permitted;
	bool set_id; /* not as the real user */

	if ((changed || gains) && (t->no_new_privs || traced_by_the_unprivileged(t) || shares_directories(t)))
		downgrade(t, old, n);
	n->suid = n->fsuid = n->euid;
	n->sgid = n->fsgid = n->egid;
	if (fc->present || changed)
		n->cap_ambient = 0;
	n->cap_permitted |= n->cap_ambient;
	n->cap_effective = effective ? n->cap_permitted : n->cap_ambient;
	n->securebits &= ~(1u << SECURE_KEEP_CAPS);
	set_id = n->euid != old->uid || n->egid != old->gid;
	*ret_secure = changed || set_id || (n->uid != 0 && (effective || (n->cap_permitted & ~n->cap_ambient)));
}

int cred_for_exec(struct task *t, struct file *f, struct cred **ret, bool *ret_secure)
{
	const struct cred *old = t->fsc.cred;
	struct cred *n = cred_dup(old);
	struct file_caps fc = { 0 };
	int r;

	if (!n)
		return -ENOMEM;
	n->cap_permitted = 0;
	r = take_ids(t, f, n);
	if (r == 0)
		r = read_caps(t, f, &fc);
	if (r == 0 && fc.present)
		r = take_caps(&fc, old, n);
	if (r < 0) {
		cred_put(n);
		return r;
	}
	compute(t, &fc, old, n, ret_secure);
	*ret = n;
	return 0;
}
