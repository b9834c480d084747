/* SPDX-License-Identifier: MIT */
/*
 * Record locks (POSIX and OFD), and the table of all locks. fcntl(2). flock(2) is in flock.c.
 *
 * Theory of operation. Who excludes whom among guests is decided here: a `lockset` per locked inode,
 * one mutex for all (the table is small, the work under it short, and deadlock detection needs the
 * whole picture). Where the file is a host file, host programs must see it too: the host holds, as
 * OFD locks of ONE description per inode, the union of the guests' record locks. (An OFD lock per
 * guest description would make two descriptors of one process exclude each other.) flock() goes to
 * each description's own host descriptor.
 * The host cannot tell us when its lock is free again without blocking a thread in it, so a wait for
 * a host program looks again every few milliseconds; waits among guests are woken.
 *
 * Lock order: lock_table is inside everything of vfs but waitq locks. Host calls under it do not block.
 */
/* host syscalls: fcntl close */
#include <stdlib.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/vfs/lock.h"
#include "emul/vfs/pipe.h"

#define BUCKETS 64
#define MAX_RECORDS 262144 /* bound on the VMM's memory; beyond it ENOLCK */

/* A process that waits for another one's lock: for deadlock detection. */
struct waiting { struct list node; void *owner, *blocker; };

/* lock_table: */
static struct {
	struct list bucket[BUCKETS]; /* list heads are made at first use */
	struct list waiting;
} locks = { .waiting = LIST_INIT(locks.waiting) };

struct mutex lock_table = MUTEX_INIT;
_Atomic unsigned lock_nr_posix, lock_nr_own;

/* --- lock sets -------------------------------------------------------------------------------------------- */

static const void *key_of(struct file *f)
{
	const void *p = f->inode ? (const void *)f->inode : pipe_of(f);

	return p ? p : f;
}

static struct list *bucket_of(const void *key)
{
	struct list *b = &locks.bucket[((uintptr_t)key >> 6) * 0x9e3779b97f4a7c15u >> 58];

	if (!b->next)
		list_init(b);
	return b;
}

struct lockset *lockset_find(struct file *f)
{
	const void *key = key_of(f);
	struct list *b = bucket_of(key);
	struct lockset *s;

	list_for_each(s, b, node)
		if (s->key == key)
			return s;
	return NULL;
}

struct lockset *lockset_make(struct file *f)
{
	struct lockset *s = lockset_find(f);

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->key = key_of(f);
	s->host_fd = -1;
	list_init(&s->records);
	list_init(&s->flocks);
	waitq_init(&s->wq);
	list_add(bucket_of(s->key), &s->node);
	return s;
}

void lockset_drop_if_unused(struct lockset *s)
{
	if (list_empty(&s->records) && s->host_fd >= 0) {
		close(s->host_fd);
		s->host_fd = -1;
	}
	if (s->users || !list_empty(&s->records) || !list_empty(&s->flocks))
		return;
	list_del(&s->node);
	waitq_fini(&s->wq);
	free(s);
}

/* --- the host's view ------------------------------------------------------------------------------------------ */

int lock_host_fd(struct file *f)
{
	return f->seekable && f->ops->host_fd ? f->ops->host_fd(f) : -1;
}

static int host_record(int fd, int cmd, short type, uint64_t start, uint64_t end, struct flock *ret)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)start };
	int r;

	fl.l_len = end >= INT64_MAX ? 0 : (off_t)(end - start + 1);
	r = (int)HOST(fcntl(fd, cmd, &fl));
	if (ret)
		*ret = fl;
	return r;
}

/* Makes the host hold in [start, end] the strongest of what guests hold there. */
static void host_sync(struct lockset *s, uint64_t start, uint64_t end)
{
	uint64_t pos = start;

	while (s->host_fd >= 0) {
		uint64_t last = end;
		short type = F_UNLCK;
		struct record *rec;

		list_for_each(rec, &s->records, node) {
			if (rec->start <= pos && pos <= rec->end) {
				type = rec->type == F_WRLCK || type == F_WRLCK ? F_WRLCK : F_RDLCK;
				last = MIN(last, rec->end);
			} else if (rec->start > pos) {
				last = MIN(last, rec->start - 1);
			}
		}
		host_record(s->host_fd, F_OFD_SETLK, type, pos, last, NULL);
		if (last >= end)
			break;
		pos = last + 1;
	}
}

/* A host descriptor that can hold locks of this type. -1: none. */
static int host_holder(struct lockset *s, struct file *f, short type)
{
	int fd;

	if (s->host_fd >= 0 && (type != F_WRLCK || s->host_writes))
		return s->host_fd;
	fd = lock_host_fd(f);
	if (fd < 0)
		return -1;
	fd = (int)HOST(fcntl(fd, F_DUPFD_CLOEXEC, 3));
	if (fd < 0)
		return -1;
	if (s->host_fd >= 0) { /* only read locks so far; they are taken again at once */
		host_record(s->host_fd, F_OFD_SETLK, F_UNLCK, 0, INT64_MAX, NULL);
		close(s->host_fd);
	}
	s->host_fd = fd;
	s->host_writes = file_writable(f);
	host_sync(s, 0, INT64_MAX);
	return fd;
}

/* Takes the range on the host. One call is enough: no other guest holds anything there that is stronger. */
static int host_take(struct lockset *s, struct file *f, const struct flock_req *r)
{
	int fd = host_holder(s, f, r->type), err;

	if (fd < 0)
		return 0;
	err = host_record(fd, F_OFD_SETLK, r->type, r->start, r->end, NULL);
	if (err == -EACCES)
		err = -EAGAIN;
	if (err < 0 && err != -EAGAIN) {
		log_once("host file system without record locks: they hold among guests only");
		err = 0;
	}
	return err;
}

/* --- records ---------------------------------------------------------------------------------------------------- */

static bool same_owner(const struct record *rec, const struct flock_req *r)
{
	return rec->ofd == r->ofd && rec->owner == r->owner;
}

static struct record *find_conflict(struct lockset *s, const struct flock_req *r)
{
	struct record *rec;

	list_for_each(rec, &s->records, node)
		if (!same_owner(rec, r) && rec->start <= r->end && r->start <= rec->end &&
		    (rec->type == F_WRLCK || r->type == F_WRLCK))
			return rec;
	return NULL;
}

static void count(bool ofd, int n)
{
	atomic_fetch_add(ofd ? &lock_nr_own : &lock_nr_posix, (unsigned)n);
}

static void record_free(struct record *rec)
{
	list_del(&rec->node);
	count(rec->ofd, -1);
	free(rec);
}

/* In Linux's order, which F_GETLK shows: owners as they came, the records of each by their start. */
static void record_insert(struct lockset *s, struct record *rec)
{
	struct list *before = &s->records;
	struct record *other;

	list_for_each(other, &s->records, node) {
		if (other->ofd != rec->ofd || other->owner != rec->owner)
			continue;
		if (other->start > rec->start) {
			before = &other->node;
			break;
		}
		before = other->node.next;
	}
	list_add_tail(before, &rec->node);
	count(rec->ofd, 1);
}

/* Takes [r->start, r->end] out of rec. Uses *spare where rec is split. */
static void cut_out(struct lockset *s, struct record *rec, const struct flock_req *r, struct record **spare)
{
	if (rec->start < r->start && rec->end > r->end) {
		struct record *tail = steal(*spare);

		*tail = *rec;
		tail->start = r->end + 1;
		rec->end = r->start - 1;
		record_insert(s, tail);
	} else if (rec->start < r->start) {
		rec->end = r->start - 1;
	} else if (rec->end > r->end) {
		rec->start = r->end + 1;
	} else {
		record_free(rec);
	}
}

/* Replaces what the owner has in the range; equal neighbours melt into one. -ENOLCK: no memory. */
static int apply(struct lockset *s, const struct flock_req *r)
{
	struct record *fresh = calloc(1, sizeof(*fresh)), *spare = calloc(1, sizeof(*spare)), *rec, *next;
	uint64_t start = r->start, end = r->end;

	if (!fresh || !spare || (r->type != F_UNLCK && atomic_load(&lock_nr_posix) + atomic_load(&lock_nr_own) > MAX_RECORDS)) {
		free(fresh);
		free(spare);
		return -ENOLCK;
	}
	list_for_each_safe(rec, next, &s->records, node) {
		bool touches = rec->start <= r->end + 1 && r->start <= rec->end + 1;
		bool overlaps = rec->start <= r->end && r->start <= rec->end;

		if (!same_owner(rec, r))
			continue;
		if (rec->type == r->type && touches) {
			start = MIN(start, rec->start);
			end = MAX(end, rec->end);
			record_free(rec);
		} else if (overlaps) {
			cut_out(s, rec, r, &spare);
		}
	}
	free(spare);
	if (r->type == F_UNLCK) {
		free(fresh);
		return 0;
	}
	*fresh = (struct record){ .type = r->type, .ofd = r->ofd, .start = start, .end = end, .owner = r->owner, .pid = r->pid };
	record_insert(s, fresh);
	return 0;
}

static int unlock_range(struct lockset *s, const struct flock_req *r)
{
	int err = apply(s, r);

	if (err == 0) {
		host_sync(s, r->start, r->end);
		waitq_wake(&s->wq, 0);
	}
	return err;
}

/* One try. -EAGAIN: *ret_blocker is the guest record in the way, NULL if it is a host program. */
static int try_lock(struct lockset *s, struct file *f, const struct flock_req *r, struct record **ret_blocker)
{
	int err;

	*ret_blocker = find_conflict(s, r);
	if (*ret_blocker)
		return -EAGAIN;
	err = host_take(s, f, r);
	if (err < 0)
		return err;
	err = apply(s, r);
	if (err < 0)
		host_sync(s, r->start, r->end);
	else
		waitq_wake(&s->wq, 0); /* a write lock may have become a read lock */
	return err;
}

/* --- waiting ------------------------------------------------------------------------------------------------------ */

/* Does the blocker wait, through at most ten others, for us? */
static bool deadlock(void *owner, void *blocker)
{
	for (int i = 0; i < 10; i++) {
		struct waiting *w;
		void *next = NULL;

		list_for_each(w, &locks.waiting, node)
			if (w->owner == blocker)
				next = w->blocker;
		if (!next)
			return false;
		if (next == owner)
			return true;
		blocker = next;
	}
	return false;
}

static int wait_for(struct lockset *s, const struct flock_req *r, struct record *blocker) REQUIRES(lock_table)
{
	struct waiting w = { .owner = r->owner };
	struct deadline d = blocker ? FOREVER : deadline_after(CLOCK_MONOTONIC, LOCK_HOST_RETRY_NS);
	bool watched = blocker && !blocker->ofd && !r->ofd;
	int err;

	if (watched) {
		w.blocker = blocker->owner;
		if (deadlock(r->owner, w.blocker))
			return -EDEADLK;
		list_add_tail(&locks.waiting, &w.node);
	}
	err = waitq_sleep(&s->wq, &lock_table, d);
	if (watched)
		list_del(&w.node);
	return err == -ETIMEDOUT ? 0 : err;
}

static int lock_or_wait(struct lockset *s, struct file *f, const struct flock_req *r, bool wait) REQUIRES(lock_table)
{
	for (;;) {
		struct record *blocker;
		int err = try_lock(s, f, r, &blocker);

		if (err != -EAGAIN || !wait)
			return err;
		err = wait_for(s, r, blocker);
		if (err < 0)
			return err;
	}
}

int file_setlk(struct file *f, struct flock_req *r, bool wait)
{
	struct lockset *s;
	int err = -ENOLCK;

	if ((r->type == F_RDLCK && !file_readable(f)) || (r->type == F_WRLCK && !file_writable(f)))
		return -EBADF;
	if (r->type != F_RDLCK && r->type != F_WRLCK && r->type != F_UNLCK)
		return -EINVAL;
	mutex_lock(&lock_table);
	s = lockset_make(f);
	if (s) {
		s->users++;
		err = r->type == F_UNLCK ? unlock_range(s, r) : lock_or_wait(s, f, r, wait);
		s->users--;
		lockset_drop_if_unused(s);
	}
	mutex_unlock(&lock_table);
	return err;
}

/* Does a host program hold something in the way? */
static void ask_host(struct lockset *s, struct file *f, struct flock_req *r)
{
	int fd = s && s->host_fd >= 0 ? s->host_fd : lock_host_fd(f);
	struct flock fl;

	if (fd < 0 || host_record(fd, F_OFD_GETLK, r->type, r->start, r->end, &fl) < 0 || fl.l_type == F_UNLCK) {
		r->type = F_UNLCK;
		return;
	}
	r->type = fl.l_type;
	r->start = (uint64_t)fl.l_start;
	r->end = fl.l_len ? (uint64_t)(fl.l_start + fl.l_len - 1) : INT64_MAX;
	r->pid = fl.l_pid < 0 ? -1 : 0; /* as a holder of another pid namespace is shown */
}

int file_getlk(struct file *f, struct flock_req *r)
{
	struct lockset *s;
	struct record *rec;

	mutex_lock(&lock_table);
	s = lockset_find(f);
	rec = s ? find_conflict(s, r) : NULL;
	if (rec) {
		r->type = rec->type;
		r->start = rec->start;
		r->end = rec->end;
		r->pid = rec->ofd ? -1 : rec->pid;
	} else {
		ask_host(s, f, r);
	}
	mutex_unlock(&lock_table);
	return 0;
}

void lockset_release(struct lockset *s, bool ofd, const void *owner)
{
	struct record *rec, *next;
	bool any = false;

	list_for_each_safe(rec, next, &s->records, node)
		if (rec->ofd == ofd && rec->owner == owner) {
			record_free(rec);
			any = true;
		}
	if (!any)
		return;
	host_sync(s, 0, INT64_MAX); /* closing is not enough: the description lives on in the guest's file */
	waitq_wake(&s->wq, 0);
}

void file_release_posix_locks(struct file *f, void *owner)
{
	struct lockset *s;

	if (!atomic_load(&lock_nr_posix))
		return;
	mutex_lock(&lock_table);
	s = lockset_find(f);
	if (s) {
		lockset_release(s, false, owner);
		lockset_drop_if_unused(s);
	}
	mutex_unlock(&lock_table);
}

void file_release_own_locks(struct file *f)
{
	struct lockset *s;

	if (!atomic_load(&lock_nr_own))
		return;
	mutex_lock(&lock_table);
	s = lockset_find(f);
	if (s) {
		lockset_release(s, true, f);
		flock_release_locked(s, f);
		lockset_drop_if_unused(s);
	}
	mutex_unlock(&lock_table);
}
