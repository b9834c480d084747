/* SPDX-License-Identifier: MIT */
/* splice(2), tee(2), vmsplice(2). fs/splice.c for the order of checks; emul/vfs/splice.c does the work. */
#include "emul/syscalls/handler.h"

#define SPLICE_FLAGS_ALL (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)

static long splice_between(struct task *t, struct file *in, gva_t in_at, struct file *out, gva_t out_at, size_t len,
			   unsigned flags)
{
	off_t in_off, out_off;
	long r;

	if ((in_at && file_is_pipe(in)) || (out_at && file_is_pipe(out)))
		return -ESPIPE;
	if ((out_at && guest_read(t->mm, &out_off, out_at) < 0) || (in_at && guest_read(t->mm, &in_off, in_at) < 0))
		return -EFAULT;
	r = write_outcome(t, file_splice(in, in_at ? &in_off : NULL, out, out_at ? &out_off : NULL, len, flags, &t->fsc));
	if (r < 0)
		return r;
	if ((out_at && guest_write(t->mm, out_at, &out_off) < 0) || (in_at && guest_write(t->mm, in_at, &in_off) < 0))
		return -EFAULT;
	return r;
}

long sys_splice(struct task *t, const struct sysargs *a)
{
	unsigned flags = arg_uint(a, 5);
	AUTO(file) in = NULL;
	AUTO(file) out = NULL;

	if (!arg_size(a, 4))
		return 0;
	if (flags & ~(unsigned)SPLICE_FLAGS_ALL)
		return -EINVAL;
	in = fd_file(t, arg_int(a, 0));
	out = fd_file(t, arg_int(a, 2));
	if (!in || !out)
		return -EBADF;
	return splice_between(t, in, arg_gva(a, 1), out, arg_gva(a, 3), arg_size(a, 4), flags);
}

long sys_tee(struct task *t, const struct sysargs *a)
{
	unsigned flags = arg_uint(a, 3);
	AUTO(file) in = NULL;
	AUTO(file) out = NULL;

	if (flags & ~(unsigned)SPLICE_FLAGS_ALL)
		return -EINVAL;
	if (!arg_size(a, 2))
		return 0;
	in = fd_file(t, arg_int(a, 0));
	out = fd_file(t, arg_int(a, 1));
	if (!in || !out)
		return -EBADF;
	return write_outcome(t, pipe_tee(in, out, arg_size(a, 2), flags));
}

long sys_vmsplice(struct task *t, const struct sysargs *a)
{
	unsigned flags = arg_uint(a, 3);
	AUTO(file) f = NULL;
	struct uio u;
	long r;

	if (flags & ~(unsigned)SPLICE_FLAGS_ALL)
		return -EINVAL;
	f = fd_file(t, arg_int(a, 0));
	if (!f || (!file_readable(f) && !file_writable(f)))
		return -EBADF;
	r = uio_init_guest_iov(&u, mm_guest(t->mm), arg_gva(a, 1), arg_u64(a, 2));
	if (r < 0)
		return r;
	r = uio_left(&u) ? write_outcome(t, pipe_vmsplice(f, &u, flags)) : 0;
	uio_fini(&u);
	return r;
}
