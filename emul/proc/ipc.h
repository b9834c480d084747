/* SPDX-License-Identifier: MIT */
/*
 * System V IPC: shared memory segments, semaphore sets, message queues. man 7 sysvipc.
 *
 *   ipc.c      ids, keys, permissions: what the three have in common (ipc_internal.h)
 *   ipc_shm.c  segments: shmem objects that areas map       ipc_sem.c   sets and operations
 *   ipc_undo.c SEM_UNDO                                     ipc_msg.c   queues
 *
 * Structures are the kernel's own (uapi); the handlers only copy them. Ids, keys and objects are the instance's.
 *
 * Locks: ids->lock -> object->lock. Both are inner to mm->lock: the last area that maps a removed segment
 * takes it away. Nothing of mm is called with them.
 */
#ifndef EMUL_PROC_IPC_H
#define EMUL_PROC_IPC_H

#include <linux/msg.h>
#include <linux/sem.h>
#include <linux/shm.h>

#include "emul/base/auto.h"
#include "emul/base/types.h"
#include "emul/base/wait.h"

struct seq;
struct task;

void ipc_boot(void); /* before the first task */

/* --- segments. ids or -errno --- */
long ipc_shmget(struct task *t, int key, uint64_t size, int flags);
long ipc_shmat(struct task *t, int id, gva_t addr, int flags); /* the address */
/* *_stat: cmd IPC_STAT (0), *_STAT or *_STAT_ANY, where id is an index (the id). *_info: the highest index in use. */
long ipc_shm_stat(struct task *t, int id, int cmd, struct shmid64_ds *ret);
long ipc_shm_set(struct task *t, int id, const struct shmid64_ds *ds);
long ipc_shm_remove(struct task *t, int id);
long ipc_shm_lock(struct task *t, int id, bool lock);
long ipc_shm_limits(struct shminfo64 *ret);
long ipc_shm_usage(struct shm_info *ret);
void ipc_shm_show(struct seq *out); /* /proc/sysvipc/shm */

/* --- semaphores --- */
#define IPC_SEMOPM 500u /* operations in one semop(2) */
long ipc_semget(struct task *t, int key, int nsems, int flags);
/* ops: nops > 0 of them. 0, -EAGAIN (IPC_NOWAIT, deadline), -EINTR, -EIDRM... */
long ipc_semop(struct task *t, int id, const struct sembuf *ops, unsigned nops, struct deadline d);
long ipc_sem_stat(struct task *t, int id, int cmd, struct semid64_ds *ret);
long ipc_sem_set(struct task *t, int id, const struct semid64_ds *ds);
long ipc_sem_remove(struct task *t, int id);
long ipc_sem_get(struct task *t, int id, int num, int cmd); /* GETVAL, GETPID, GETNCNT, GETZCNT */
long ipc_sem_setval(struct task *t, int id, int num, int val);
long ipc_sem_count(struct task *t, int id, int cmd); /* how many GETALL or SETALL will move; permission is checked */
long ipc_sem_getall(struct task *t, int id, unsigned short *val, unsigned n); /* -EIDRM */
long ipc_sem_setall(struct task *t, int id, const unsigned short *val, unsigned n); /* -ERANGE, -EIDRM */
long ipc_sem_info(struct seminfo *ret, bool usage);
void ipc_sem_show(struct seq *out);
/* clone(2): CLONE_SYSVSEM shares what is to be undone at the end. -ENOMEM. */
int ipc_undo_share(struct task *t, struct task *child);
/* Applies it, if nobody shares it: the task ends, or unshare(CLONE_SYSVSEM). Own thread, or never started. */
void ipc_undo_exit(struct task *t);

/* --- queues --- */
struct ipc_msg;
struct ipc_msg *ipc_msg_new(long type, size_t size); /* size <= kernel.msgmax; NULL: no memory */
char *ipc_msg_data(struct ipc_msg *m);
long ipc_msg_type(const struct ipc_msg *m);
size_t ipc_msg_size(const struct ipc_msg *m);
void ipc_msg_free(struct ipc_msg *m);
DEFINE_AUTO(ipc_msg, ipc_msg_free);
long ipc_msgget(struct task *t, int key, int flags);
long ipc_msgsnd(struct task *t, int id, struct ipc_msg *m, int flags); /* consumes m on success */
/* The message is the caller's. -ENOMSG, -E2BIG, -EIDRM, -ERESTARTNOHAND... */
long ipc_msgrcv(struct task *t, int id, size_t size, long type, int flags, struct ipc_msg **ret);
long ipc_msg_stat(struct task *t, int id, int cmd, struct msqid64_ds *ret);
long ipc_msg_set(struct task *t, int id, const struct msqid64_ds *ds);
long ipc_msg_remove(struct task *t, int id);
long ipc_msg_info(struct msginfo *ret, bool usage);
void ipc_msg_show(struct seq *out);

#endif
