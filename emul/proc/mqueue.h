/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues. man 7 mq_overview. A queue is a file of its own file system, a tmpfs whose regular files are queues;
 * it is mounted at /dev/mqueue, and mq_open(2) looks names up in its root wherever that is.
 *
 *   mqueue.c     queues: send, receive, notification      mqueue_fs.c   names and open files
 */
#ifndef EMUL_PROC_MQUEUE_H
#define EMUL_PROC_MQUEUE_H

#include <linux/mqueue.h>
#include <signal.h>

#include "emul/base/types.h"
#include "emul/base/wait.h"
#include "emul/vfs/vfs.h"

struct instance_env;
struct task;

#define MQUEUE_PRIO_MAX 32768u

/* --- mqueue_fs.c --- */
int mqueuefs_new(struct instance_env *env, struct super **ret);
void mqueue_set_root(const struct path *root); /* once it is mounted; takes a reference */
/* oflag as mq_open(2); attr NULL: the defaults. -EACCES: not a name; -EMFILE: RLIMIT_MSGQUEUE; -ENOSPC: too many queues. */
int mqueue_open(struct task *t, const char *name, int oflag, mode_t mode, const struct mq_attr *attr, struct file **ret);
int mqueue_unlink(struct task *t, const char *name);

/* --- on open queues: -EBADF if f is none, or not open for that --- */
struct mq_message;
struct mq_message *mq_message_new(unsigned prio, size_t size); /* NULL: no memory */
char *mq_message_data(struct mq_message *m);
size_t mq_message_size(const struct mq_message *m);
unsigned mq_message_prio(const struct mq_message *m);
void mq_message_free(struct mq_message *m);
DEFINE_AUTO(mq_message, mq_message_free);
/* May the message be that long, the buffer that short? 0, -EMSGSIZE. */
int mqueue_check_send(struct file *f, size_t size);
int mqueue_check_receive(struct file *f, size_t size);
int mqueue_send(struct task *t, struct file *f, struct mq_message *m, struct deadline d); /* consumes m on success */
int mqueue_receive(struct file *f, struct deadline d, struct mq_message **ret);
/*
 * ev NULL: no longer. -EBUSY: somebody is told already. Cancelled when t's table closes a descriptor of the queue.
 * SIGEV_THREAD: sock has a deliver op, and gets the cookie of NOTIFY_COOKIE_LEN bytes; otherwise both are NULL.
 */
int mqueue_notify(struct task *t, struct file *f, const struct sigevent *ev, struct file *sock, const void *cookie);
int mqueue_getattr(struct file *f, struct mq_attr *ret);
int mqueue_setflags(struct file *f, unsigned flags);

#endif
