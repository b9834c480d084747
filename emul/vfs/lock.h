/* SPDX-License-Identifier: MIT */
/* The inside of file locks, for lock.c and flock.c only; lock.c has the theory. */
#ifndef EMUL_VFS_LOCK_H
#define EMUL_VFS_LOCK_H

#include "emul/vfs/file.h"

#define LOCK_HOST_RETRY_NS 5000000 /* how often a wait for a host program looks again */

extern struct mutex lock_table; /* guards everything here; only waitq locks are inner to it */
/* POSIX records; OFD records and flock holds. Let close(2) skip an empty table. Changed under lock_table. */
extern _Atomic unsigned lock_nr_posix, lock_nr_own;

struct record {
	struct list node;
	short type; /* F_RDLCK, F_WRLCK */
	bool ofd;
	uint64_t start, end; /* inclusive */
	void *owner;         /* descriptor table, or the file if ofd */
	pid_t pid;
};

struct flock_hold {
	struct list node;
	struct file *f;
	bool exclusive;
};

struct lockset {
	struct list node;    /* in its bucket */
	const void *key;     /* the inode */
	struct list records, flocks;
	struct waitq wq;     /* something was released */
	unsigned users;      /* sleepers */
	int host_fd;         /* a duplicate of the first locker's; -1: not a host file or nothing locked yet */
	bool host_writes;    /* host_fd is open for writing: write locks need that */
};

struct lockset *lockset_find(struct file *f) REQUIRES(lock_table);
struct lockset *lockset_make(struct file *f) REQUIRES(lock_table); /* NULL: no memory */
void lockset_drop_if_unused(struct lockset *s) REQUIRES(lock_table);
void lockset_release(struct lockset *s, bool ofd, const void *owner) REQUIRES(lock_table); /* all records of an owner */
void flock_release_locked(struct lockset *s, struct file *f) REQUIRES(lock_table);
int lock_host_fd(struct file *f); /* -1: the host need not know */

#endif
