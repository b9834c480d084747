/* SPDX-License-Identifier: MIT */
/* Between queues and their file system. */
#ifndef EMUL_PROC_MQUEUE_INTERNAL_H
#define EMUL_PROC_MQUEUE_INTERNAL_H

#include "emul/base/list.h"
#include "emul/proc/mqueue.h"

struct proc;

struct mqueue {
	long maxmsg, msgsize;         /* constant */
	uid_t uid;                    /* constant: whose RLIMIT_MSGQUEUE it counts against */
	uint64_t bytes;               /* constant: how much it counts */
	struct mutex lock;
	/* lock: */
	long n;
	uint64_t nbytes;
	struct list messages;         /* by priority, then age */
	struct list senders, receivers; /* who sleeps, in order of arrival */
	struct list files;            /* open: they are polled */
	struct mqueue_notice {
		struct proc *to;      /* counted: who is told of the next message in an empty queue; NULL: nobody */
		struct file *sock;    /* counted: SIGEV_THREAD: where the cookie goes */
		struct sigevent event;
		unsigned char cookie[NOTIFY_COOKIE_LEN]; /* the last byte says what happened: NOTIFY_* */
	} notice;
	const void *notify_table;     /* of notice.to: its descriptor table */
};

struct mqueue_file {
	struct file file;
	struct mqueue *q;             /* constant; the inode keeps it */
	struct inode *inode;          /* counted */
	struct list node;             /* q->lock */
};

extern const struct file_ops mqueue_file_ops;

struct mqueue *mqueue_new(long maxmsg, long msgsize);
void mqueue_free(void *q);
void mqueue_give_back(struct mqueue *q); /* what it counts; mqueue_fs.c */

#endif
