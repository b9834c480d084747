/* SPDX-License-Identifier: MIT */
/*
 * Changing who a task is: set*id(2), setgroups(2), capset(2). kernel/sys.c, security/commoncap.c.
 * A cred is immutable: every change makes a new one and publishes it.
 */
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/proc/lifecycle.h"

/* commit_creds(): what was arranged with the old identity does not hold for a new one. */
static bool changes_identity(const struct cred *old, const struct cred *c)
{
	return old->euid != c->euid || old->egid != c->egid || old->fsuid != c->fsuid || old->fsgid != c->fsgid ||
	       (c->cap_permitted & ~old->cap_permitted);
}

void task_set_cred(struct task *t, struct cred *c)
{
	struct cred *old;

	mutex_lock(&t->lock);
	old = t->cred;
	if (old && changes_identity(old, c)) {
		t->pdeath_signal = 0;
		t->proc->dumpable = false;
	}
	t->cred = c;
	t->fsc.cred = c;
	mutex_unlock(&t->lock);
	task_answers_cred(t);
	task_memlock_update(t);
	cred_put(old);
}

static bool is_uid(const struct cred *c, uid_t uid)
{
	return uid == c->uid || uid == c->euid || uid == c->suid;
}

static bool is_gid(const struct cred *c, gid_t gid)
{
	return gid == c->gid || gid == c->egid || gid == c->sgid;
}

/* capabilities(7), "Effect of user ID changes on capabilities". */
static void fix_caps(struct cred *n, const struct cred *old)
{
	bool was_root = !old->uid || !old->euid || !old->suid, is_root = !n->uid || !n->euid || !n->suid;

	if (n->securebits & (1u << SECURE_NO_SETUID_FIXUP))
		return;
	if (was_root && !is_root && !(n->securebits & (1u << SECURE_KEEP_CAPS)))
		n->cap_permitted = n->cap_effective = 0;
	if (was_root && !is_root)
		n->cap_ambient = 0;
	if (!old->euid && n->euid)
		n->cap_effective = 0;
	if (old->euid && !n->euid)
		n->cap_effective = n->cap_permitted;
}

/* Publishes n, a changed copy of t's credentials. fsuid follows the effective id. */
static long publish_uids(struct task *t, struct cred *n)
{
	n->fsuid = n->euid;
	fix_caps(n, t->fsc.cred);
	task_set_cred(t, n);
	return 0;
}

static long publish_gids(struct task *t, struct cred *n)
{
	n->fsgid = n->egid;
	task_set_cred(t, n);
	return 0;
}

long cred_setuid(struct task *t, uid_t uid)
{
	const struct cred *c = t->fsc.cred;
	struct cred *n;

	if (uid == (uid_t)-1)
		return -EINVAL;
	if (!cred_capable(c, CAP_SETUID) && uid != c->uid && uid != c->suid)
		return -EPERM;
	n = cred_dup(c);
	if (!n)
		return -ENOMEM;
	if (cred_capable(c, CAP_SETUID))
		n->uid = n->suid = uid;
	n->euid = uid;
	return publish_uids(t, n);
}

long cred_setgid(struct task *t, gid_t gid)
{
	const struct cred *c = t->fsc.cred;
	struct cred *n;

	if (gid == (gid_t)-1)
		return -EINVAL;
	if (!cred_capable(c, CAP_SETGID) && gid != c->gid && gid != c->sgid)
		return -EPERM;
	n = cred_dup(c);
	if (!n)
		return -ENOMEM;
	if (cred_capable(c, CAP_SETGID))
		n->gid = n->sgid = gid;
	n->egid = gid;
	return publish_gids(t, n);
}

long cred_setreuid(struct task *t, uid_t r, uid_t e)
{
	const struct cred *c = t->fsc.cred;
	bool may = cred_capable(c, CAP_SETUID);
	struct cred *n;

	if (r != (uid_t)-1 && !may && r != c->uid && r != c->euid)
		return -EPERM;
	if (e != (uid_t)-1 && !may && !is_uid(c, e))
		return -EPERM;
	n = cred_dup(c);
	if (!n)
		return -ENOMEM;
	if (r != (uid_t)-1)
		n->uid = r;
	if (e != (uid_t)-1)
		n->euid = e;
	if (r != (uid_t)-1 || (e != (uid_t)-1 && e != c->uid))
		n->suid = n->euid;
	return publish_uids(t, n);
}

long cred_setregid(struct task *t, gid_t r, gid_t e)
{
	const struct cred *c = t->fsc.cred;
	bool may = cred_capable(c, CAP_SETGID);
	struct cred *n;

	if (r != (gid_t)-1 && !may && r != c->gid && r != c->egid)
		return -EPERM;
	if (e != (gid_t)-1 && !may && !is_gid(c, e))
		return -EPERM;
	n = cred_dup(c);
	if (!n)
		return -ENOMEM;
	if (r != (gid_t)-1)
		n->gid = r;
	if (e != (gid_t)-1)
		n->egid = e;
	if (r != (gid_t)-1 || (e != (gid_t)-1 && e != c->gid))
		n->sgid = n->egid;
	return publish_gids(t, n);
}

long cred_setresuid(struct task *t, uid_t r, uid_t e, uid_t s)
{
	const struct cred *c = t->fsc.cred;
	const uid_t want[] = { r, e, s };
	struct cred *n;

	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		if (want[i] != (uid_t)-1 && !cred_capable(c, CAP_SETUID) && !is_uid(c, want[i]))
			return -EPERM;
	n = cred_dup(c);
	if (!n)
		return -ENOMEM;
	n->uid = r == (uid_t)-1 ? n->uid : r;
	n->euid = e == (uid_t)-1 ? n->euid : e;
	n->suid = s == (uid_t)-1 ? n->suid : s;
	return publish_uids(t, n);
}

long cred_setresgid(struct task *t, gid_t r, gid_t e, gid_t s)
{
	const struct cred *c = t->fsc.cred;
	const gid_t want[] = { r, e, s };
	struct cred *n;

	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		if (want[i] != (gid_t)-1 && !cred_capable(c, CAP_SETGID) && !is_gid(c, want[i]))
			return -EPERM;
	n = cred_dup(c);
	if (!n)
		return -ENOMEM;
	n->gid = r == (gid_t)-1 ? n->gid : r;
	n->egid = e == (gid_t)-1 ? n->egid : e;
	n->sgid = s == (gid_t)-1 ? n->sgid : s;
	return publish_gids(t, n);
}

/* The capabilities that are about files: include/linux/capability.h CAP_FS_MASK. */
#define CAP_BIT(c) ((uint64_t)1 << (c))
#define FS_CAPS                                                                                         \
	(CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_DAC_READ_SEARCH) | CAP_BIT(CAP_FOWNER) | \
	 CAP_BIT(CAP_FSETID) | CAP_BIT(CAP_LINUX_IMMUTABLE) | CAP_BIT(CAP_MKNOD) | CAP_BIT(CAP_MAC_OVERRIDE))

/* setfsuid(2) never fails: it returns the old value, changed or not. */
long cred_setfsuid(struct task *t, uid_t uid)
{
	const struct cred *c = t->fsc.cred;
	uid_t old = c->fsuid;
	struct cred *n;

	if (uid == (uid_t)-1 || (!cred_capable(c, CAP_SETUID) && !is_uid(c, uid) && uid != old))
		return old;
	n = cred_dup(c);
	if (!n)
		return old;
	n->fsuid = uid;
	if (!(n->securebits & (1u << SECURE_NO_SETUID_FIXUP))) {
		if (old == 0 && uid != 0)
			n->cap_effective &= ~FS_CAPS;
		if (old != 0 && uid == 0)
			n->cap_effective |= FS_CAPS & n->cap_permitted;
	}
	task_set_cred(t, n);
	return old;
}

long cred_setfsgid(struct task *t, gid_t gid)
{
	const struct cred *c = t->fsc.cred;
	gid_t old = c->fsgid;
	struct cred *n;

	if (gid == (gid_t)-1 || (!cred_capable(c, CAP_SETGID) && !is_gid(c, gid) && gid != old))
		return old;
	n = cred_dup(c);
	if (!n)
		return old;
	n->fsgid = gid;
	task_set_cred(t, n);
	return old;
}

static int compare_gid(const void *a, const void *b)
{
	gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;

	return x < y ? -1 : x > y;
}

long cred_setgroups(struct task *t, const gid_t *groups, unsigned count)
{
	const struct cred *c = t->fsc.cred;
	struct cred *n;

	if (!cred_capable(c, CAP_SETGID))
		return -EPERM;
	n = cred_new(count);
	if (!n)
		return -ENOMEM;
	/* everything but the groups, which come behind them */
	n->uid = c->uid, n->euid = c->euid, n->suid = c->suid, n->fsuid = c->fsuid;
	n->gid = c->gid, n->egid = c->egid, n->sgid = c->sgid, n->fsgid = c->fsgid;
	n->cap_permitted = c->cap_permitted;
	n->cap_effective = c->cap_effective;
	n->cap_inheritable = c->cap_inheritable;
	n->cap_bounding = c->cap_bounding;
	n->cap_ambient = c->cap_ambient;
	n->securebits = c->securebits;
	if (count)
		memcpy(n->groups, groups, count * sizeof(gid_t));
	qsort(n->groups, count, sizeof(gid_t), compare_gid);
	task_set_cred(t, n);
	return 0;
}

/* capset(2): cap_capset() of commoncap.c. */
long cred_capset(struct task *t, uint64_t permitted, uint64_t effective, uint64_t inheritable)
{
	const struct cred *c = t->fsc.cred;
	struct cred *n;

	if (!cred_capable(c, CAP_SETPCAP) && (inheritable & ~(c->cap_inheritable | c->cap_permitted)))
		return -EPERM;
	if (inheritable & ~(c->cap_inheritable | c->cap_bounding))
		return -EPERM;
	if (permitted & ~c->cap_permitted)
		return -EPERM;
	if (effective & ~permitted)
		return -EPERM;
	n = cred_dup(c);
	if (!n)
		return -ENOMEM;
	n->cap_permitted = permitted;
	n->cap_effective = effective;
	n->cap_inheritable = inheritable;
	n->cap_ambient &= permitted & inheritable;
	task_set_cred(t, n);
	return 0;
}
