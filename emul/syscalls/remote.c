/* SPDX-License-Identifier: MIT */
/*
 * Looking into other processes: process_vm_readv(2), process_vm_writev(2), kcmp(2).
 * mm/process_vm_access.c, kernel/kcmp.c.
 */
#include <linux/kcmp.h>
#include <sys/random.h> /* host syscalls: getrandom */

#include "emul/syscalls/handler.h"

#define COPY_CHUNK ((size_t)64 << 10)

static inline void auto_uio_fini(struct uio *u) { uio_fini(u); }
#define AUTO_UIO __attribute__((cleanup(auto_uio_fini))) struct uio

/* --- memory ---------------------------------------------------------------------------------------------- */

/* Moves what both sides have room for. Bytes, -EFAULT if the first could not be moved. */
static ssize_t move(struct uio *from, struct uio *to)
{
	AUTO_FREE char *buf = malloc(COPY_CHUNK);
	ssize_t done = 0, in, out;

	if (!buf)
		return -ENOMEM;
	while (uio_left(from) && uio_left(to)) {
		in = uio_copy_in(from, buf, MIN(COPY_CHUNK, uio_left(to)));
		out = in > 0 ? uio_copy_out(to, buf, (size_t)in) : in;
		if (out > 0)
			done += out;
		if (in <= 0 || out < in)
			break;
	}
	return done ? done : -EFAULT;
}

static long access_vm(struct task *t, const struct sysargs *a, bool write)
{
	AUTO_UIO local = { 0 }, remote = { 0 };
	AUTO(task) target = NULL;
	AUTO(mm) mm = NULL;
	int r;

	if (arg_u64(a, 5))
		return -EINVAL;
	r = uio_init_guest_iov(&local, mm_guest(t->mm), arg_gva(a, 1), arg_u64(a, 2));
	if (r < 0 || !uio_left(&local))
		return r;
	r = uio_init_guest_iov(&remote, mm_guest(t->mm), arg_gva(a, 3), arg_u64(a, 4));
	if (r < 0 || !uio_left(&remote))
		return r;
	target = task_find(arg_int(a, 0));
	if (!target)
		return -ESRCH;
	if (may_inspect(t, target) < 0)
		return -EPERM;
	mm = task_get_mm(target);
	if (!mm)
		return -ESRCH;
	remote.gm = mm_guest(mm); /* the array was the caller's, what it names is not */
	return write ? move(&local, &remote) : move(&remote, &local);
}

long sys_process_vm_readv(struct task *t, const struct sysargs *a)
{
	return access_vm(t, a, false);
}

long sys_process_vm_writev(struct task *t, const struct sysargs *a)
{
	return access_vm(t, a, true);
}

/* --- kcmp -------------------------------------------------------------------------------------------------- */

static uint64_t cookie;
static pthread_once_t cookie_once = PTHREAD_ONCE_INIT;

static void make_cookie(void)
{
	if (getrandom(&cookie, sizeof(cookie), 0) != sizeof(cookie))
		cookie = (uint64_t)clock_now(CLOCK_REALTIME);
	cookie |= 1;
}

/* 0 equal, 1 less, 2 greater: an order that tells nothing about where our objects are. */
static long compare(const void *x, const void *y)
{
	uint64_t u = (uintptr_t)x, v = (uintptr_t)y;

	pthread_once(&cookie_once, make_cookie);
	u *= cookie;
	v *= cookie;
	return (u < v) | (u > v) << 1;
}

static long compare_files(struct task *x, struct task *y, uint64_t fd_x, uint64_t fd_y)
{
	AUTO(fdtab) tx = task_get_fds(x), ty = task_get_fds(y);
	AUTO(file) fx = NULL, fy = NULL;

	fx = tx && fd_x <= INT_MAX ? fdtab_get(tx, (int)fd_x) : NULL;
	fy = ty && fd_y <= INT_MAX ? fdtab_get(ty, (int)fd_y) : NULL;
	return fx && fy ? compare(fx, fy) : -EBADF;
}

/* kcmp_epoll_target() */
static long compare_epoll(struct task *t, struct task *x, struct task *y, uint64_t fd, gva_t at)
{
	AUTO(fdtab) tx = task_get_fds(x), ty = task_get_fds(y);
	AUTO(file) f = NULL, ep = NULL;
	struct kcmp_epoll_slot slot;
	const void *target;
	int r;

	if (guest_read(t->mm, &slot, at) < 0)
		return -EFAULT;
	f = tx && fd <= INT_MAX ? fdtab_get(tx, (int)fd) : NULL;
	if (!f)
		return -EBADF;
	ep = ty && slot.efd <= INT_MAX ? fdtab_get(ty, (int)slot.efd) : NULL;
	if (!ep)
		return -EBADF;
	r = epoll_target(ep, (int)slot.tfd, slot.toff, &target);
	return r < 0 ? r : compare(f, target);
}

static long compare_fds(struct task *x, struct task *y)
{
	AUTO(fdtab) tx = task_get_fds(x), ty = task_get_fds(y);

	return compare(tx, ty);
}

static long compare_fs(struct task *x, struct task *y)
{
	struct fs *fx = task_get_fs(x), *fy = task_get_fs(y);
	long r = compare(fx, fy);

	fs_put(fx);
	fs_put(fy);
	return r;
}

static long compare_vm(struct task *x, struct task *y)
{
	AUTO(mm) mx = task_get_mm(x), my = task_get_mm(y);

	return compare(mx, my);
}

static const void *sighand_of(struct proc *p)
{
	const void *s;

	mutex_lock(&p->lock);
	s = p->sighand;
	mutex_unlock(&p->lock);
	return s;
}

static const void *undo_of(struct task *t)
{
	const void *u;

	mutex_lock(&t->lock);
	u = t->sem_undo;
	mutex_unlock(&t->lock);
	return u;
}

long sys_kcmp(struct task *t, const struct sysargs *a)
{
	AUTO(task) x = task_find(arg_int(a, 0));
	AUTO(task) y = task_find(arg_int(a, 1));

	if (!x || !y)
		return -ESRCH;
	if (may_inspect(t, x) < 0 || may_inspect(t, y) < 0)
		return -EPERM;
	switch (arg_int(a, 2)) {
	case KCMP_FILE:
		return compare_files(x, y, arg_u64(a, 3), arg_u64(a, 4));
	case KCMP_VM:
		return compare_vm(x, y);
	case KCMP_FILES:
		return compare_fds(x, y);
	case KCMP_FS:
		return compare_fs(x, y);
	case KCMP_SIGHAND:
		return compare(sighand_of(x->proc), sighand_of(y->proc));
	case KCMP_SYSVSEM:
		return compare(undo_of(x), undo_of(y));
	case KCMP_IO:
		return 0; /* contexts of block devices' queues: there are none */
	case KCMP_EPOLL_TFD:
		return compare_epoll(t, x, y, arg_u64(a, 3), arg_gva(a, 4));
	default:
		return -EINVAL;
	}
}
