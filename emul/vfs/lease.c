/* SPDX-License-Identifier: MIT */
/*
 * Leases: who holds one is told before others open or truncate the file, and they wait until it was given up or
 * lowered, or lease-break-time is over. fcntl(2), F_SETLEASE; fs/locks.c. Only what programs of the instance do is seen.
 *
 * A lease belongs to an open file and ends with it. All are in one list: they are few, and opening looks at it only if
 * there are any. An opener counts itself in the inode before it looks, so that no lease is given while it is on its way.
 */
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>

#include "emul/base/err.h"
#include "emul/base/sysctl.h"
#include "emul/vfs/inode.h"

#define NEVER INT64_MAX
#define SECOND 1000000000LL

struct lease {
	struct list node;
	struct file *f;              /* holds the inode; not counted: it ends its lease */
	short type;                  /* F_RDLCK, F_WRLCK */
	bool must_go, must_lower;    /* it is being broken */
	int64_t go_by, lower_by;     /* CLOCK_MONOTONIC; NEVER */
};

static struct mutex lease_lock = MUTEX_INIT;
static struct list leases = LIST_INIT(leases); /* lease_lock, as everything in them */
static struct waitq changed = WAITQ_INIT(changed);
static _Atomic unsigned nleases; /* changed under the lock, read without */

static bool is_of(const struct lease *l, const struct inode *i)
{
	return l->f->inode->ino == i->ino && l->f->inode->dev == i->dev;
}

static bool conflicts(const struct lease *l, const struct inode *i, bool write)
{
	return is_of(l, i) && (write || l->type == F_WRLCK);
}

/* --- changing one; lease_lock held ---------------------------------------------------------------------------- */

static void end(struct lease *l)
{
	struct file *f = l->f;

	mutex_lock(&f->own_lock);
	f->own.type = F_OWNER_PID;
	f->own.pid = f->own.sig = 0;
	f->own.uid = f->own.euid = 0;
	atomic_fetch_and(&f->flags, ~(unsigned)O_ASYNC);
	mutex_unlock(&f->own_lock);
	atomic_store(&f->leased, false);
	list_del(&l->node);
	free(l);
	atomic_fetch_sub(&nleases, 1);
}

static void change(struct lease *l, short type)
{
	waitq_wake(&changed, 0);
	if (type == F_UNLCK) {
		end(l);
		return;
	}
	l->type = type;
	if (type == F_RDLCK) {
		l->must_lower = false;
		l->lower_by = NEVER;
	}
}

static void expire(const struct inode *i)
{
	int64_t now = clock_now(CLOCK_MONOTONIC);
	struct lease *l, *next;

	list_for_each_safe(l, next, &leases, node) {
		if (!is_of(l, i))
			continue;
		if (l->lower_by <= now)
			change(l, F_RDLCK);
		if (l->go_by <= now)
			change(l, F_UNLCK);
	}
}

static struct lease *lease_of(const struct file *f)
{
	struct lease *l;

	list_for_each(l, &leases, node)
		if (l->f == f)
			return l;
	return NULL;
}

/* --- taking and giving up ---------------------------------------------------------------------------------------- */

/* check_conflicting_open(): nobody may have it open in a way that the lease is about, but f. */
static bool opened_by_others(const struct file *f, short type)
{
	int writers = atomic_load(&f->inode->nwriters), readers = (int)atomic_load(&f->inode->nopen) - (writers > 0 ? writers : 0);

	if (type == F_RDLCK)
		return writers > 0;
	return writers != f->counted_writer || readers != !f->counted_writer;
}

static int add_locked(struct file *f, short type)
{
	struct lease *l, *mine = NULL;

	if (opened_by_others(f, type))
		return -EAGAIN;
	list_for_each(l, &leases, node) {
		if (l->f == f)
			mine = l;
		else if (is_of(l, f->inode) && (type == F_WRLCK || l->must_go))
			return -EAGAIN;
	}
	if (mine) {
		change(mine, type);
		return 0;
	}
	if (!sysctl_get(&sysctl_leases_enable))
		return -EINVAL;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	*l = (struct lease){ .f = f, .type = type, .go_by = NEVER, .lower_by = NEVER };
	list_add_tail(&leases, &l->node);
	atomic_store(&f->leased, true);
	atomic_fetch_add(&nleases, 1);
	/* An opener that has counted itself but has not looked for leases yet sees it now; one that had looked is counted. */
	if (opened_by_others(f, type)) {
		change(l, F_UNLCK);
		return -EAGAIN;
	}
	return 0;
}

/* The lease's signals are O_ASYNC's, which therefore shows. */
static void set_up(struct file *f, int fd, const struct fs_ctx *c)
{
	file_default_owner(f, c, 0);
	mutex_lock(&f->own_lock);
	f->own.fd = fd;
	atomic_fetch_or(&f->flags, O_ASYNC);
	mutex_unlock(&f->own_lock);
}

static int remove_locked(struct file *f)
{
	struct lease *l = lease_of(f);

	if (!l)
		return -EAGAIN;
	change(l, F_UNLCK);
	return 0;
}

static int may_lease(struct file *f, const struct fs_ctx *c)
{
	struct statx st;
	int r = file_stat(f, STATX_TYPE | STATX_UID, &st);

	if (r < 0)
		return r;
	if (st.stx_uid != c->cred->fsuid && !cred_capable(c->cred, CAP_LEASE))
		return -EACCES;
	return S_ISREG(st.stx_mode) && f->inode ? 0 : -EINVAL;
}

int file_set_lease(struct file *f, int fd, int type, const struct fs_ctx *c)
{
	int r;

	if (type != F_RDLCK && type != F_WRLCK && type != F_UNLCK)
		return -EINVAL;
	r = may_lease(f, c);
	if (r < 0)
		return r;
	mutex_lock(&lease_lock);
	expire(f->inode);
	r = type == F_UNLCK ? remove_locked(f) : add_locked(f, (short)type);
	if (r == 0 && type != F_UNLCK)
		set_up(f, fd, c);
	mutex_unlock(&lease_lock);
	return r;
}

int file_get_lease(struct file *f)
{
	int type = F_UNLCK;
	struct lease *l;

	if (!atomic_load(&f->leased))
		return F_UNLCK;
	mutex_lock(&lease_lock);
	expire(f->inode);
	l = lease_of(f);
	if (l && !l->must_go)
		type = l->must_lower ? F_RDLCK : l->type;
	mutex_unlock(&lease_lock);
	return type;
}

void file_drop_lease(struct file *f)
{
	if (!atomic_load(&f->leased))
		return;
	mutex_lock(&lease_lock);
	remove_locked(f);
	mutex_unlock(&lease_lock);
}

/* --- breaking ------------------------------------------------------------------------------------------------------- */

static int64_t break_time(void)
{
	long s = sysctl_get(&sysctl_lease_break_time);

	return s ? clock_now(CLOCK_MONOTONIC) + s * SECOND : NEVER;
}

/* Tells those who were not told yet. */
static void demand(const struct inode *i, bool write)
{
	int64_t by = break_time();
	struct lease *l;

	list_for_each(l, &leases, node) {
		if (!conflicts(l, i, write) || l->must_go || (!write && l->must_lower))
			continue;
		if (write) {
			l->must_go = true;
			l->go_by = by;
		} else {
			l->must_lower = true;
			l->lower_by = by;
		}
		file_note(l->f, POLL_MSG);
	}
}

/* Something is in the way, until *ret_by at the latest. */
static bool in_the_way(const struct inode *i, bool write, int64_t *ret_by)
{
	bool any = false;
	struct lease *l;

	*ret_by = NEVER;
	list_for_each(l, &leases, node) {
		if (!conflicts(l, i, write))
			continue;
		any = true;
		*ret_by = MIN(*ret_by, MIN(l->go_by, l->lower_by));
	}
	return any;
}

int lease_break(struct inode *i, unsigned flags)
{
	bool write = (flags & O_ACCMODE) != O_RDONLY;
	int64_t by;
	int r = 0;

	if (!atomic_load(&nleases))
		return 0;
	mutex_lock(&lease_lock);
	expire(i);
	demand(i, write);
	while (r == 0 && in_the_way(i, write, &by)) {
		r = flags & O_NONBLOCK ? -EWOULDBLOCK : waitq_sleep(&changed, &lease_lock, (struct deadline){ CLOCK_MONOTONIC, by });
		if (r == -ETIMEDOUT)
			r = 0;
		expire(i);
	}
	mutex_unlock(&lease_lock);
	return r;
}
