/* SPDX-License-Identifier: MIT */
/* What many handlers decode and check in the same way. handler.h and syscalls.h are the contract. */
#include <linux/capability.h>

#include "emul/syscalls/handler.h"

int nofile_limit(struct task *t)
{
	return (int)MIN(proc_rlimit(t->proc, RLIMIT_NOFILE), (uint64_t)INT_MAX);
}

/* --- names --------------------------------------------------------------------------------------- */

int arg_path(struct task *t, gva_t name, char buf[4096], bool empty_ok)
{
	ssize_t n = copy_string_from_guest(t->mm, buf, name, PATH_MAX);

	if (n < 0)
		return (int)n;
	return n == 0 && !empty_ok ? -ENOENT : 0;
}

bool file_path(struct file *f, struct path *ret)
{
	struct path p = { f->path.mnt, f->path.dentry };

	if (!path_is_set(&p))
		return false;
	path_get(&p);
	*ret = p;
	return true;
}

int arg_dirfd(struct task *t, int dirfd, struct path *ret)
{
	AUTO(file) f = NULL;

	*ret = (struct path)PATH_INIT;
	if (dirfd == AT_FDCWD)
		return 0;
	f = fdtab_get(t->fds, dirfd);
	if (!f)
		return -EBADF;
	return file_path(f, ret) ? 0 : -ENOTDIR;
}

int arg_at(struct task *t, int dirfd, gva_t name, bool empty_ok, struct at *ret)
{
	int r = arg_path(t, name, ret->name, empty_ok);

	if (r < 0 || ret->name[0] == '/')
		return r;
	return arg_dirfd(t, dirfd, &ret->start);
}

int at_lookup(struct task *t, const struct at *n, unsigned walk, struct path *ret)
{
	return vfs_lookup(&t->fsc, at_start(n), n->name, walk, 0, ret);
}

int arg_lookup(struct task *t, int dirfd, gva_t name, int flags, struct path *ret)
{
	AT(n);
	int r = arg_at(t, dirfd, name, flags & AT_EMPTY_PATH, &n);

	return r < 0 ? r : at_lookup(t, &n, walk_of(flags), ret);
}

/* --- descriptors ----------------------------------------------------------------------------------- */

struct file *fd_file(struct task *t, int fd)
{
	struct file *f = fdtab_get(t->fds, fd);

	if (f && (file_flags(f) & O_PATH)) {
		file_put(f);
		return NULL;
	}
	return f;
}

int fd_install(struct task *t, struct file *f, bool cloexec)
{
	int fd = fdtab_install(t->fds, f, cloexec, 0, nofile_limit(t));

	file_put(f);
	return fd;
}

int unshare_fds(struct task *t, unsigned up_to)
{
	struct fdtab *copy = fdtab_copy(t->fds, up_to), *old;

	if (!copy)
		return -ENOMEM;
	mutex_lock(&t->lock);
	old = t->fds;
	t->fds = copy;
	t->fsc.fowner = copy;
	mutex_unlock(&t->lock);
	fdtab_put(old);
	return 0;
}

/* --- times and masks ---------------------------------------------------------------------------------- */

int64_t ns_of(const struct timespec *ts)
{
	int64_t ns;

	if (__builtin_mul_overflow((int64_t)ts->tv_sec, NSEC_PER_SEC, &ns) ||
	    __builtin_add_overflow(ns, (int64_t)ts->tv_nsec, &ns))
		return INT64_MAX - 1; /* INT64_MAX is FOREVER */
	return ns;
}

int arg_timeout(struct task *t, gva_t at, int clock, bool absolute, struct deadline *ret)
{
	struct timespec ts;

	if (!at) {
		*ret = FOREVER;
		return 0;
	}
	if (guest_read(t->mm, &ts, at) < 0)
		return -EFAULT;
	if (!timespec_ok(&ts))
		return -EINVAL;
	*ret = absolute ? (struct deadline){ clock, ns_of(&ts) } : deadline_after(clock, ns_of(&ts));
	return 0;
}

int arg_sigmask(struct task *t, gva_t set, size_t size, sigmask_t *ret, bool *ret_set)
{
	*ret_set = false;
	if (!set)
		return 0;
	if (size != sizeof(sigmask_t))
		return -EINVAL;
	if (guest_read(t->mm, ret, set) < 0)
		return -EFAULT;
	*ret_set = true;
	return 0;
}

/* --- outcomes ----------------------------------------------------------------------------------------- */

long write_outcome(struct task *t, long r)
{
	/* Linux: generic_write_checks(), pipe_write(): to the thread that wrote. */
	if (r == -EPIPE)
		signal_send_task(t, SIGPIPE, NULL);
	else if (r == -EFBIG && t->fsc.limit_fsize < INT64_MAX)
		signal_send_task(t, SIGXFSZ, NULL);
	return r;
}

int check_fsize(struct task *t, uint64_t old_size, uint64_t size)
{
	if (size <= old_size || size <= t->fsc.limit_fsize)
		return 0;
	signal_send_task(t, SIGXFSZ, NULL);
	return -EFBIG;
}

int may_inspect(struct task *t, struct task *target)
{
	return trace_may_access(t->proc->pid, t->fsc.cred, false, target);
}
