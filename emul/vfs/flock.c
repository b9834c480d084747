/* SPDX-License-Identifier: MIT */
/*
 * flock(2): whole-file locks of descriptions. Among guests they are decided here; towards host programs each
 * description holds the lock on its own host descriptor. Waiting is as lock.c says.
 */
/* host syscalls: flock */
#include <stdlib.h>
#include <sys/file.h>

#include "emul/base/err.h"
#include "emul/vfs/lock.h"

static struct flock_hold *find_hold(struct lockset *s, struct file *f)
{
	struct flock_hold *h;

	list_for_each(h, &s->flocks, node)
		if (h->f == f)
			return h;
	return NULL;
}

static void hold_free(struct lockset *s, struct flock_hold *h)
{
	int fd = lock_host_fd(h->f);

	if (fd >= 0)
		(void)flock(fd, LOCK_UN);
	list_del(&h->node);
	atomic_fetch_sub(&lock_nr_own, 1);
	free(h);
	waitq_wake(&s->wq, 0);
}

/* -EWOULDBLOCK: *ret_host says that a host program is in the way. */
static int try_flock(struct lockset *s, struct file *f, bool exclusive, bool *ret_host)
{
	struct flock_hold *h;
	int fd = lock_host_fd(f), r;

	*ret_host = false;
	list_for_each(h, &s->flocks, node)
		if (h->exclusive || exclusive)
			return -EWOULDBLOCK;
	r = fd < 0 ? 0 : (int)HOST(flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB));
	if (r == -EWOULDBLOCK) {
		*ret_host = true;
		return r;
	}
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOLCK;
	h->f = f;
	h->exclusive = exclusive;
	list_add_tail(&s->flocks, &h->node);
	atomic_fetch_add(&lock_nr_own, 1);
	return 0;
}

static int flock_locked(struct lockset *s, struct file *f, int kind, bool wait) REQUIRES(lock_table)
{
	struct flock_hold *h = find_hold(s, f);
	bool host;
	int r;

	if (h && kind != LOCK_UN && h->exclusive == (kind == LOCK_EX))
		return 0;
	if (h)
		hold_free(s, h); /* a conversion is a release and a new try: flock(2) says so */
	if (kind == LOCK_UN)
		return 0;
	while ((r = try_flock(s, f, kind == LOCK_EX, &host)) == -EWOULDBLOCK && wait) {
		r = waitq_sleep(&s->wq, &lock_table, host ? deadline_after(CLOCK_MONOTONIC, LOCK_HOST_RETRY_NS) : FOREVER);
		if (r < 0 && r != -ETIMEDOUT)
			break;
	}
	return r;
}

int file_flock(struct file *f, int op)
{
	int kind = op & ~LOCK_NB, r = -ENOLCK;
	struct lockset *s;

	if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN)
		return -EINVAL;
	if (file_flags(f) & O_PATH)
		return -EBADF;
	mutex_lock(&lock_table);
	s = lockset_make(f);
	if (s) {
		s->users++;
		r = flock_locked(s, f, kind, !(op & LOCK_NB));
		s->users--;
		lockset_drop_if_unused(s);
	}
	mutex_unlock(&lock_table);
	return r;
}

void flock_release_locked(struct lockset *s, struct file *f)
{
	struct flock_hold *h = find_hold(s, f);

	if (h)
		hold_free(s, h);
}
