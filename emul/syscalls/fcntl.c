/* SPDX-License-Identifier: MIT */
/* fcntl(2) and flock(2). fs/fcntl.c, fs/locks.c. */
#include <linux/capability.h>
#include <sys/file.h>

#include "emul/syscalls/handler.h"

#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY 1027
#endif
#ifndef F_CREATED_QUERY
#define F_CREATED_QUERY 1028
#endif
#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif
#ifndef LOCK_MAND
#define LOCK_MAND 32
#endif

/* --- descriptors, flags ------------------------------------------------------------------------------------- */

static long dup_from(struct task *t, struct file *f, uint64_t min, bool cloexec)
{
	int limit = nofile_limit(t);

	return min >= (uint64_t)limit ? -EINVAL : fdtab_install(t->fds, f, cloexec, (int)min, limit);
}

static long same_file(struct task *t, struct file *f, int fd)
{
	AUTO(file) other = fdtab_get(t->fds, fd);

	return other ? other == f : -EBADF;
}

static bool owns_file(struct task *t, struct file *f)
{
	struct statx st;

	return file_stat(f, STATX_UID, &st) == 0 &&
	       (st.stx_uid == t->fsc.cred->fsuid || cred_capable(t->fsc.cred, CAP_FOWNER));
}

static long set_flags(struct task *t, struct file *f, int fd, unsigned flags)
{
	long r;

	if ((flags & ~file_flags(f) & O_NOATIME) && !owns_file(t, f))
		return -EPERM;
	r = file_set_flags(f, flags);
	if (r == 0 && f->ops->start_async)
		r = fd_set_async(t, f, fd, flags & O_ASYNC);
	return r;
}

long fd_set_async(struct task *t, struct file *f, int fd, bool on)
{
	return on == !!(file_flags(f) & O_ASYNC) ? 0 : file_set_async(f, fd, on, &t->fsc);
}

/* --- write hints ------------------------------------------------------------------ */

static long get_write_hint(struct task *t, struct file *f, gva_t at)
{
	uint64_t hint = atomic_load(file_write_hint(f));

	return guest_write(t->mm, at, &hint);
}

static long set_write_hint(struct task *t, struct file *f, gva_t at)
{
	uint64_t hint;

	if (!owns_file(t, f))
		return -EPERM;
	if (guest_read(t->mm, &hint, at) < 0)
		return -EFAULT;
	if (hint > RWH_WRITE_LIFE_EXTREME)
		return -EINVAL;
	atomic_store(file_write_hint(f), hint);
	return 0;
}

/* --- who gets SIGIO -------------------------------------------------------------- */

/* 0: type and pid name something (or pid 0: nobody). */
static int check_owner(int type, pid_t pid)
{
	AUTO(task) owner = NULL;

	if (pid == 0)
		return 0;
	if (pid < 0)
		return -ESRCH;
	if (type == F_OWNER_PGRP)
		return signal_send_group(pid, 0, NULL);
	owner = task_find(pid);
	return owner ? 0 : -ESRCH;
}

static long set_owner(struct task *t, struct file *f, int type, pid_t pid)
{
	int r = check_owner(type, pid);

	if (r < 0)
		return r;
	mutex_lock(&f->own_lock);
	f->own.type = type;
	f->own.pid = pid;
	f->own.uid = pid ? t->fsc.cred->uid : 0;
	f->own.euid = pid ? t->fsc.cred->euid : 0;
	mutex_unlock(&f->own_lock);
	return 0;
}

static long set_owner_pid(struct task *t, struct file *f, int pid)
{
	if (pid == INT_MIN)
		return -EINVAL;
	return pid < 0 ? set_owner(t, f, F_OWNER_PGRP, -pid) : set_owner(t, f, F_OWNER_PID, pid);
}

static long set_owner_ex(struct task *t, struct file *f, gva_t at)
{
	struct f_owner_ex ex;

	if (guest_read(t->mm, &ex, at) < 0)
		return -EFAULT;
	if (ex.type < F_OWNER_TID || ex.type > F_OWNER_PGRP)
		return -EINVAL;
	return set_owner(t, f, ex.type, ex.pid);
}

static struct f_owner_ex owner_of(struct file *f)
{
	struct f_owner_ex ex;

	mutex_lock(&f->own_lock);
	ex = (struct f_owner_ex){ f->own.type, f->own.pid };
	mutex_unlock(&f->own_lock);
	return ex;
}

static long get_owner_uids(struct task *t, struct file *f, gva_t at)
{
	uid_t ids[2];

	mutex_lock(&f->own_lock);
	ids[0] = f->own.uid;
	ids[1] = f->own.euid;
	mutex_unlock(&f->own_lock);
	return guest_write(t->mm, at, &ids);
}

static long signal_of_owner(struct file *f, const int *set)
{
	int sig;

	mutex_lock(&f->own_lock);
	if (set)
		f->own.sig = *set;
	sig = f->own.sig;
	mutex_unlock(&f->own_lock);
	return set ? 0 : sig;
}

static long owner_command(struct task *t, struct file *f, int cmd, uint64_t arg)
{
	struct f_owner_ex ex = owner_of(f);
	int sig = (int)arg;

	switch (cmd) {
	case F_GETOWN: return ex.type == F_OWNER_PGRP ? -ex.pid : ex.pid;
	case F_SETOWN: return set_owner_pid(t, f, (int)arg);
	case F_GETOWN_EX: return guest_write(t->mm, arg, &ex);
	case F_SETOWN_EX: return set_owner_ex(t, f, arg);
	case F_GETOWNER_UIDS: return get_owner_uids(t, f, arg);
	case F_GETSIG: return signal_of_owner(f, NULL);
	case F_SETSIG: return (unsigned)arg > NSIG_LINUX ? -EINVAL : signal_of_owner(f, &sig);
	default: return -EINVAL;
	}
}

/* --- record locks --------------------------------------------------------------------------------------------------- */

static int64_t lock_base(struct file *f, int whence)
{
	struct statx st;

	switch (whence) {
	case SEEK_SET: return 0;
	case SEEK_CUR: return f->seekable ? file_lseek(f, 0, SEEK_CUR) : 0;
	case SEEK_END: return file_stat(f, STATX_SIZE, &st) < 0 ? 0 : (int64_t)st.stx_size;
	default: return -EINVAL;
	}
}

/* flock64_to_posix_lock(): where it starts and ends, inclusive. */
static int lock_range(struct file *f, const struct flock *fl, struct flock_req *ret)
{
	int64_t base = lock_base(f, fl->l_whence), start, end;

	if (base < 0)
		return -EINVAL;
	if (__builtin_add_overflow(base, fl->l_start, &start))
		return -EOVERFLOW;
	if (start < 0)
		return -EINVAL;
	if (fl->l_len > 0) {
		if (__builtin_add_overflow(start, fl->l_len - 1, &end))
			return -EOVERFLOW;
	} else if (fl->l_len < 0) {
		if (start + fl->l_len < 0)
			return -EINVAL;
		end = start - 1;
		start += fl->l_len;
	} else {
		end = INT64_MAX;
	}
	ret->start = (uint64_t)start;
	ret->end = (uint64_t)end;
	return 0;
}

static bool is_ofd(int cmd)
{
	return cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
}

static int lock_decode(struct task *t, struct file *f, int cmd, const struct flock *fl, struct flock_req *ret)
{
	int r = lock_range(f, fl, ret);

	if (r < 0)
		return r;
	if (fl->l_type != F_RDLCK && fl->l_type != F_WRLCK && fl->l_type != F_UNLCK)
		return -EINVAL;
	ret->type = fl->l_type;
	ret->ofd = is_ofd(cmd);
	ret->pid = ret->ofd ? -1 : t->fsc.pid;
	ret->owner = ret->ofd ? (void *)f : t->fsc.fowner;
	return 0;
}

static long get_lock(struct task *t, struct file *f, int cmd, gva_t at)
{
	struct flock_req rq;
	struct flock fl;
	int r;

	if (guest_read(t->mm, &fl, at) < 0)
		return -EFAULT;
	if (cmd == F_GETLK && fl.l_type != F_RDLCK && fl.l_type != F_WRLCK)
		return -EINVAL;
	r = lock_decode(t, f, cmd, &fl, &rq);
	if (r < 0)
		return r;
	if (is_ofd(cmd) && fl.l_pid)
		return -EINVAL;
	r = file_getlk(f, &rq);
	if (r < 0)
		return r;
	fl.l_type = rq.type;
	if (rq.type != F_UNLCK) {
		fl.l_whence = SEEK_SET;
		fl.l_start = (off_t)rq.start;
		fl.l_len = rq.end >= INT64_MAX ? 0 : (off_t)(rq.end - rq.start + 1);
		fl.l_pid = rq.pid;
	}
	return guest_write(t->mm, at, &fl);
}

static long set_lock(struct task *t, struct file *f, int cmd, gva_t at)
{
	struct flock_req rq;
	struct flock fl;
	int r;

	if (guest_read(t->mm, &fl, at) < 0)
		return -EFAULT;
	r = lock_decode(t, f, cmd, &fl, &rq);
	if (r < 0)
		return r;
	if ((rq.type == F_RDLCK && !file_readable(f)) || (rq.type == F_WRLCK && !file_writable(f)))
		return -EBADF;
	if (is_ofd(cmd) && fl.l_pid)
		return -EINVAL;
	return file_setlk(f, &rq, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
}

/* --- the call ----------------------------------------------------------------------------------------------------------- */

static long file_command(struct task *t, struct file *f, int fd, int cmd, uint64_t arg)
{
	switch (cmd) {
	case F_SETFL: return set_flags(t, f, fd, (unsigned)arg);
	case F_GETLK:
	case F_OFD_GETLK: return get_lock(t, f, cmd, arg);
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_SETLK:
	case F_OFD_SETLKW: return set_lock(t, f, cmd, arg);
	case F_GETPIPE_SZ: return pipe_get_size(f);
	case F_SETPIPE_SZ: return pipe_set_size(f, (unsigned)arg, cred_capable(t->fsc.cred, CAP_SYS_RESOURCE));
	case F_ADD_SEALS: return memfd_add_seals(f, (unsigned)arg);
	case F_GET_SEALS: return memfd_get_seals(f);
	case F_SETLEASE: return file_set_lease(f, fd, (int)arg, &t->fsc);
	case F_GETLEASE: return file_get_lease(f);
	case F_NOTIFY: return file_dnotify(f, fd, (unsigned)arg, &t->fsc);
	case F_GET_RW_HINT: return get_write_hint(t, f, arg);
	case F_SET_RW_HINT: return set_write_hint(t, f, arg);
	default: return owner_command(t, f, cmd, arg);
	}
}

long sys_fcntl(struct task *t, const struct sysargs *a)
{
	int fd = arg_int(a, 0), cmd = arg_int(a, 1);
	uint64_t arg = arg_u64(a, 2);
	AUTO(file) f = fdtab_get(t->fds, fd);

	if (!f)
		return -EBADF;
	switch (cmd) { /* what O_PATH descriptors can, too */
	case F_DUPFD: return dup_from(t, f, (unsigned)arg, false);
	case F_DUPFD_CLOEXEC: return dup_from(t, f, (unsigned)arg, true);
	case F_DUPFD_QUERY: return same_file(t, f, (int)arg);
	case F_CREATED_QUERY: return f->created;
	case F_GETFD: return fdtab_get_cloexec(t->fds, fd);
	case F_SETFD: return fdtab_set_cloexec(t->fds, fd, arg & FD_CLOEXEC);
	case F_GETFL: return (long)file_flags(f);
	default: return file_flags(f) & O_PATH ? -EBADF : file_command(t, f, fd, cmd, arg);
	}
}

long sys_flock(struct task *t, const struct sysargs *a)
{
	int op = arg_int(a, 1), kind = op & ~LOCK_NB;
	AUTO(file) f = NULL;

	if (op & LOCK_MAND)
		return 0; /* mandatory share modes are accepted without effect since Linux 5.18 */
	if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN)
		return -EINVAL;
	f = fd_file(t, arg_int(a, 0));
	return f ? file_flock(f, op) : -EBADF;
}
