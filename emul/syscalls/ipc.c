/* SPDX-License-Identifier: MIT */
/* System V IPC: shm*(2), sem*(2), msg*(2). ipc/shm.c, sem.c, msg.c. */
#include "emul/proc/ipc.h"
#include "emul/base/sysctl.h"

#include "emul/syscalls/handler.h"

/* A structure for the caller behind a result that is not an error. */
static long give(struct task *t, gva_t to, const void *from, size_t size, long r)
{
	return r >= 0 && copy_to_guest(t->mm, to, from, size) < 0 ? -EFAULT : r;
}

/* --- segments ---------------------------------------------------------------------------------------------- */

long sys_shmget(struct task *t, const struct sysargs *a)
{
	return ipc_shmget(t, arg_int(a, 0), arg_size(a, 1), arg_int(a, 2));
}

long sys_shmat(struct task *t, const struct sysargs *a)
{
	return ipc_shmat(t, arg_int(a, 0), arg_gva(a, 1), arg_int(a, 2));
}

long sys_shmdt(struct task *t, const struct sysargs *a)
{
	return mm_shmdt(t->mm, arg_gva(a, 0));
}

static long shm_info(struct task *t, int cmd, gva_t buf)
{
	struct shminfo64 limits;
	struct shm_info usage;
	long r;

	if (cmd == IPC_INFO) {
		memset(&limits, 0, sizeof(limits));
		r = ipc_shm_limits(&limits);
		return give(t, buf, &limits, sizeof(limits), r);
	}
	memset(&usage, 0, sizeof(usage));
	r = ipc_shm_usage(&usage);
	return give(t, buf, &usage, sizeof(usage), r);
}

long sys_shmctl(struct task *t, const struct sysargs *a)
{
	int id = arg_int(a, 0), cmd = arg_int(a, 1);
	gva_t buf = arg_gva(a, 2);
	struct shmid64_ds ds;
	long r;

	if (cmd < 0 || id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
	case SHM_INFO:
		return shm_info(t, cmd, buf);
	case IPC_STAT:
	case SHM_STAT:
	case SHM_STAT_ANY:
		r = ipc_shm_stat(t, id, cmd, &ds);
		return give(t, buf, &ds, sizeof(ds), r);
	case IPC_SET:
		return guest_read(t->mm, &ds, buf) < 0 ? -EFAULT : ipc_shm_set(t, id, &ds);
	case IPC_RMID:
		return ipc_shm_remove(t, id);
	case SHM_LOCK:
	case SHM_UNLOCK:
		return ipc_shm_lock(t, id, cmd == SHM_LOCK);
	default:
		return -EINVAL;
	}
}

/* --- semaphores ---------------------------------------------------------------------------------------------- */

long sys_semget(struct task *t, const struct sysargs *a)
{
	return ipc_semget(t, arg_int(a, 0), arg_int(a, 1), arg_int(a, 2));
}

static long semop(struct task *t, const struct sysargs *a, struct deadline d, bool bad_time)
{
	struct sembuf ops[IPC_SEMOPM];
	unsigned n = arg_uint(a, 2);

	if (n > IPC_SEMOPM)
		return -E2BIG;
	if (n < 1)
		return -EINVAL;
	if (copy_from_guest(t->mm, ops, arg_gva(a, 1), n * sizeof(*ops)) < 0)
		return -EFAULT;
	return bad_time ? -EINVAL : ipc_semop(t, arg_int(a, 0), ops, n, d);
}

long sys_semop(struct task *t, const struct sysargs *a)
{
	return semop(t, a, FOREVER, false);
}

long sys_semtimedop(struct task *t, const struct sysargs *a)
{
	struct deadline d;
	int r = arg_timeout(t, arg_gva(a, 3), CLOCK_MONOTONIC, false, &d);

	return r == -EFAULT ? r : semop(t, a, d, r < 0);
}

static long sem_info(struct task *t, int cmd, gva_t buf)
{
	struct seminfo info;
	long r = ipc_sem_info(&info, cmd == SEM_INFO);

	return give(t, buf, &info, sizeof(info), r);
}

/* GETALL, SETALL: as many as the set has. */
static long sem_all(struct task *t, int id, int cmd, gva_t array)
{
	long n = ipc_sem_count(t, id, cmd), r;
	AUTO_FREE unsigned short *val = n > 0 ? malloc((size_t)n * sizeof(*val)) : NULL;

	if (n < 0)
		return n;
	if (!val)
		return -ENOMEM;
	if (cmd == GETALL) {
		r = ipc_sem_getall(t, id, val, (unsigned)n);
		return give(t, array, val, (size_t)n * sizeof(*val), r);
	}
	if (copy_from_guest(t->mm, val, array, (size_t)n * sizeof(*val)) < 0)
		return -EFAULT;
	return ipc_sem_setall(t, id, val, (unsigned)n);
}

long sys_semctl(struct task *t, const struct sysargs *a)
{
	int id = arg_int(a, 0), num = arg_int(a, 1), cmd = arg_int(a, 2);
	struct semid64_ds ds;
	long r;

	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
	case SEM_INFO:
		return sem_info(t, cmd, arg_gva(a, 3));
	case IPC_STAT:
	case SEM_STAT:
	case SEM_STAT_ANY:
		r = ipc_sem_stat(t, id, cmd, &ds);
		return give(t, arg_gva(a, 3), &ds, sizeof(ds), r);
	case GETVAL:
	case GETPID:
	case GETNCNT:
	case GETZCNT:
		return ipc_sem_get(t, id, num, cmd);
	case GETALL:
	case SETALL:
		return sem_all(t, id, cmd, arg_gva(a, 3));
	case SETVAL:
		return ipc_sem_setval(t, id, num, arg_int(a, 3));
	case IPC_SET:
		return guest_read(t->mm, &ds, arg_gva(a, 3)) < 0 ? -EFAULT : ipc_sem_set(t, id, &ds);
	case IPC_RMID:
		return ipc_sem_remove(t, id);
	default:
		return -EINVAL;
	}
}

/* --- queues -------------------------------------------------------------------------------------------------- */

long sys_msgget(struct task *t, const struct sysargs *a)
{
	return ipc_msgget(t, arg_int(a, 0), arg_int(a, 1));
}

long sys_msgsnd(struct task *t, const struct sysargs *a)
{
	gva_t buf = arg_gva(a, 1);
	size_t size = arg_size(a, 2);
	AUTO(ipc_msg) m = NULL;
	uint64_t type;
	long r;

	if (get_guest_u64(t->mm, buf, &type) < 0)
		return -EFAULT;
	if (size > (size_t)sysctl_get(&sysctl_msgmax) || arg_int(a, 0) < 0 || (int64_t)type < 1)
		return -EINVAL;
	m = ipc_msg_new((long)type, size);
	if (!m)
		return -ENOMEM;
	if (copy_from_guest(t->mm, ipc_msg_data(m), buf + sizeof(type), size) < 0)
		return -EFAULT;
	r = ipc_msgsnd(t, arg_int(a, 0), m, arg_int(a, 3));
	if (r == 0)
		steal(m);
	return r;
}

long sys_msgrcv(struct task *t, const struct sysargs *a)
{
	gva_t buf = arg_gva(a, 1);
	size_t size = arg_size(a, 2);
	AUTO(ipc_msg) m = NULL;
	long r = ipc_msgrcv(t, arg_int(a, 0), size, arg_long(a, 3), arg_int(a, 4), &m);

	if (r < 0)
		return r;
	size = MIN(size, ipc_msg_size(m));
	if (put_guest_u64(t->mm, buf, (uint64_t)ipc_msg_type(m)) < 0 ||
	    copy_to_guest(t->mm, buf + sizeof(uint64_t), ipc_msg_data(m), size) < 0)
		return -EFAULT;
	return (long)size;
}

static long msg_info(struct task *t, int cmd, gva_t buf)
{
	struct msginfo info;
	long r = ipc_msg_info(&info, cmd == MSG_INFO);

	return give(t, buf, &info, sizeof(info), r);
}

long sys_msgctl(struct task *t, const struct sysargs *a)
{
	int id = arg_int(a, 0), cmd = arg_int(a, 1);
	gva_t buf = arg_gva(a, 2);
	struct msqid64_ds ds;
	long r;

	if (id < 0 || cmd < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
	case MSG_INFO:
		return msg_info(t, cmd, buf);
	case IPC_STAT:
	case MSG_STAT:
	case MSG_STAT_ANY:
		r = ipc_msg_stat(t, id, cmd, &ds);
		return give(t, buf, &ds, sizeof(ds), r);
	case IPC_SET:
		return guest_read(t->mm, &ds, buf) < 0 ? -EFAULT : ipc_msg_set(t, id, &ds);
	case IPC_RMID:
		return ipc_msg_remove(t, id);
	default:
		return -EINVAL;
	}
}
