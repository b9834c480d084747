/* SPDX-License-Identifier: MIT */
/* Reading, writing, seeking, copying between files. fs/read_write.c for the order of checks. */
#include <linux/fs.h>

#include "emul/net/sock.h"
#include "emul/syscalls/handler.h"

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif
#define RWF_KNOWN (RWF_DONTCACHE | RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND | RWF_NOAPPEND)

/* --- one buffer ---------------------------------------------------------------------------------------------- */

/* A buffer that leaves the address space is refused as a whole, even if nothing would be moved; but after the file's own refusals. */
static bool refused(struct file *f, bool write, gva_t buf, size_t len, const off_t *pos)
{
	if (range_ok(buf, len) || (pos && !f->seekable))
		return false;
	return write ? file_writable(f) && f->ops->write : file_readable(f) && f->ops->read;
}

/* A datagram that cannot go is an error, but no broken pipe. */
static long outcome(struct task *t, struct file *f, long r)
{
	struct sock *s = sock_of_file(f);

	return s && s->type != SOCK_STREAM ? r : write_outcome(t, r);
}

/* /proc/PID/io: sums over all threads, without a lock. */
static ssize_t count(struct task *t, bool write, ssize_t r)
{
	struct proc *p = t->proc;

	__atomic_fetch_add(write ? &p->io_syscw : &p->io_syscr, 1, __ATOMIC_RELAXED);
	if (r > 0)
		__atomic_fetch_add(write ? &p->io_wchar : &p->io_rchar, (uint64_t)r, __ATOMIC_RELAXED);
	return r;
}

static long do_read(struct task *t, int fd, gva_t buf, size_t len, off_t *pos)
{
	AUTO(file) f = fd_file(t, fd);
	struct uio u;

	if (!f)
		return -EBADF;
	if (refused(f, false, buf, len, pos))
		return -EFAULT;
	uio_init_guest(&u, mm_guest(t->mm), buf, len);
	return count(t, false, file_read(f, &u, pos));
}

static long do_write(struct task *t, int fd, gva_t buf, size_t len, off_t *pos)
{
	AUTO(file) f = fd_file(t, fd);
	struct uio u;

	if (!f)
		return -EBADF;
	if (refused(f, true, buf, len, pos))
		return -EFAULT;
	uio_init_guest(&u, mm_guest(t->mm), buf, len);
	return outcome(t, f, count(t, true, file_write(f, &u, pos, &t->fsc)));
}

long sys_read(struct task *t, const struct sysargs *a)
{
	return do_read(t, arg_int(a, 0), arg_gva(a, 1), arg_size(a, 2), NULL);
}

long sys_write(struct task *t, const struct sysargs *a)
{
	return do_write(t, arg_int(a, 0), arg_gva(a, 1), arg_size(a, 2), NULL);
}

long sys_pread64(struct task *t, const struct sysargs *a)
{
	off_t pos = arg_off(a, 3);

	return pos < 0 ? -EINVAL : do_read(t, arg_int(a, 0), arg_gva(a, 1), arg_size(a, 2), &pos);
}

long sys_pwrite64(struct task *t, const struct sysargs *a)
{
	off_t pos = arg_off(a, 3);

	return pos < 0 ? -EINVAL : do_write(t, arg_int(a, 0), arg_gva(a, 1), arg_size(a, 2), &pos);
}

/* --- many buffers ----------------------------------------------------------------------------------------------- */

/* kiocb_set_rw_flags(). That contents need not stay in memory is a hint, which disks' file systems take. */
int transfer_check_flags(struct file *f, unsigned flags)
{
	if (flags & ~(unsigned)RWF_KNOWN)
		return -EOPNOTSUPP;
	if ((flags & RWF_DONTCACHE) && !file_is_on_disk(f))
		return -EOPNOTSUPP;
	return (flags & RWF_APPEND) && (flags & RWF_NOAPPEND) ? -EINVAL : 0;
}

ssize_t transfer(struct task *t, struct file *f, struct uio *u, const struct transfer *v)
{
	bool saved = file_call_nonblock;
	ssize_t r;
	int sync;

	if (v->flags & RWF_NOWAIT)
		file_call_nonblock = true;
	file_call_append = v->flags & RWF_APPEND ? 1 : v->flags & RWF_NOAPPEND ? -1 : 0;
	r = count(t, v->write, v->write ? outcome(t, f, file_write(f, u, v->pos, &t->fsc)) : file_read(f, u, v->pos));
	file_call_nonblock = saved;
	file_call_append = 0;
	if (r <= 0 || !v->write || !(v->flags & (RWF_DSYNC | RWF_SYNC)))
		return r;
	sync = file_fsync(f, !(v->flags & RWF_SYNC));
	return sync < 0 && sync != -EINVAL ? sync : r; /* -EINVAL: nothing to be synchronised */
}

/* Linux: the segments are read before the mode is looked at, and no bytes at all never reach the file. */
static long do_vec(struct task *t, const struct sysargs *a, const struct transfer *v)
{
	AUTO(file) f = fd_file(t, arg_int(a, 0));
	struct uio u;
	ssize_t r;

	if (!f)
		return -EBADF;
	if (v->pos && !f->seekable)
		return -ESPIPE;
	r = uio_init_guest_iov(&u, mm_guest(t->mm), arg_gva(a, 1), arg_u64(a, 2));
	if (r < 0)
		return r;
	if (!(v->write ? file_writable(f) : file_readable(f)))
		r = -EBADF;
	else if (v->write ? !f->ops->write : !f->ops->read)
		r = -EINVAL;
	else if (uio_left(&u))
		r = transfer_check_flags(f, v->flags);
	if (r == 0 && uio_left(&u))
		r = transfer(t, f, &u, v);
	uio_fini(&u);
	return r;
}

long sys_readv(struct task *t, const struct sysargs *a)
{
	return do_vec(t, a, &(struct transfer){ .write = false });
}

long sys_writev(struct task *t, const struct sysargs *a)
{
	return do_vec(t, a, &(struct transfer){ .write = true });
}

/* own_pos: -1 means the file's own position (the second versions). The high half of the offset is for 32 bits. */
static long do_pvec(struct task *t, const struct sysargs *a, bool write, bool own_pos, unsigned flags)
{
	off_t pos = arg_off(a, 3);
	struct transfer v = { .write = write, .pos = own_pos && pos == -1 ? NULL : &pos, .flags = flags };

	return v.pos && pos < 0 ? -EINVAL : do_vec(t, a, &v);
}

long sys_preadv(struct task *t, const struct sysargs *a)
{
	return do_pvec(t, a, false, false, 0);
}

long sys_pwritev(struct task *t, const struct sysargs *a)
{
	return do_pvec(t, a, true, false, 0);
}

long sys_preadv2(struct task *t, const struct sysargs *a)
{
	return do_pvec(t, a, false, true, arg_uint(a, 5));
}

long sys_pwritev2(struct task *t, const struct sysargs *a)
{
	return do_pvec(t, a, true, true, arg_uint(a, 5));
}

/* --- position, hints ------------------------------------------------------------------------------------------------ */

long sys_lseek(struct task *t, const struct sysargs *a)
{
	AUTO(file) f = fd_file(t, arg_int(a, 0));

	return f ? file_lseek(f, arg_off(a, 1), arg_int(a, 2)) : -EBADF;
}

long sys_readahead(struct task *t, const struct sysargs *a)
{
	AUTO(file) f = fd_file(t, arg_int(a, 0));
	mode_t mode;

	if (!f || !file_readable(f))
		return -EBADF;
	mode = file_mode(f);
	return S_ISREG(mode) || S_ISBLK(mode) ? 0 : -EINVAL;
}

long sys_fadvise64(struct task *t, const struct sysargs *a)
{
	AUTO(file) f = fd_file(t, arg_int(a, 0));

	if (!f)
		return -EBADF;
	if (S_ISFIFO(file_mode(f)))
		return -ESPIPE;
	if (arg_off(a, 2) < 0 || arg_uint(a, 3) > POSIX_FADV_NOREUSE)
		return -EINVAL;
	return 0; /* advice: the host's own read-ahead is good enough */
}

/* --- from file to file ------------------------------------------------------------------------------------------------- */

static ssize_t send_to(struct task *t, struct file *out, struct file *in, off_t *pos, size_t count)
{
	if (pos && !in->seekable)
		return -ESPIPE;
	if (!file_readable(in))
		return -EBADF;
	if (pos && *pos < 0)
		return -EINVAL;
	if (!file_writable(out))
		return -EBADF;
	/* A source that cannot be read again could lose what the sink does not take. */
	if (!in->seekable || (!file_is_pipe(out) && (file_flags(out) & O_APPEND)))
		return -EINVAL;
	/* To a pipe: as much as there is room for. */
	return file_is_pipe(out) ? file_splice(in, pos, out, NULL, count, 0, &t->fsc) :
				   file_copy(out, NULL, in, pos, count, &t->fsc);
}

long sys_sendfile(struct task *t, const struct sysargs *a)
{
	gva_t at = arg_gva(a, 2);
	AUTO(file) in = NULL;
	AUTO(file) out = NULL;
	off_t pos;
	long r;

	if (at && guest_read(t->mm, &pos, at) < 0)
		return -EFAULT;
	in = fd_file(t, arg_int(a, 1));
	out = fd_file(t, arg_int(a, 0));
	if (!in || !out)
		return -EBADF;
	r = write_outcome(t, send_to(t, out, in, at ? &pos : NULL, MIN(arg_size(a, 3), MAX_RW_COUNT)));
	if (at && r != -EWOULDSLEEP && guest_write(t->mm, at, &pos) < 0)
		return -EFAULT;
	return r;
}

/* generic_copy_file_checks(); *len is cut to what the source has. */
static int check_copy(struct file *in, off_t from, struct file *out, off_t to, size_t *len)
{
	struct statx a, b;
	uint64_t u_from = (uint64_t)from, u_to = (uint64_t)to;
	int r = file_stat(in, STATX_BASIC_STATS, &a);

	if (r == 0)
		r = file_stat(out, STATX_BASIC_STATS, &b);
	if (r < 0)
		return r;
	if (S_ISDIR(a.stx_mode) || S_ISDIR(b.stx_mode))
		return -EISDIR;
	if (!S_ISREG(a.stx_mode) || !S_ISREG(b.stx_mode))
		return -EINVAL;
	if (!file_readable(in) || !file_writable(out) || (file_flags(out) & O_APPEND))
		return -EBADF;
	if (a.stx_dev_major != b.stx_dev_major || a.stx_dev_minor != b.stx_dev_minor)
		return -EXDEV;
	if (u_from + *len < u_from || u_to + *len < u_to) /* a negative position, too, if it comes to 0 */
		return -EOVERFLOW;
	if (from < 0 || to < 0)
		return -EINVAL;
	*len = u_from >= a.stx_size ? 0 : MIN(*len, a.stx_size - u_from);
	return a.stx_ino == b.stx_ino && u_to + *len > u_from && u_to < u_from + *len ? -EINVAL : 0;
}

long sys_copy_file_range(struct task *t, const struct sysargs *a)
{
	AUTO(file) in = fd_file(t, arg_int(a, 0));
	AUTO(file) out = fd_file(t, arg_int(a, 2));
	gva_t in_at = arg_gva(a, 1), out_at = arg_gva(a, 3);
	size_t len = arg_size(a, 4);
	off_t from, to;
	long r;

	if (!in || !out)
		return -EBADF;
	if ((in_at && guest_read(t->mm, &from, in_at) < 0) || (out_at && guest_read(t->mm, &to, out_at) < 0))
		return -EFAULT;
	if (arg_uint(a, 5))
		return -EINVAL;
	if (!in_at)
		from = in->seekable ? file_lseek(in, 0, SEEK_CUR) : 0;
	if (!out_at)
		to = out->seekable ? file_lseek(out, 0, SEEK_CUR) : 0;
	r = check_copy(in, from, out, to, &len);
	if (r < 0 || len == 0)
		return r;
	r = write_outcome(t, file_copy(out, out_at ? &to : NULL, in, in_at ? &from : NULL, len, &t->fsc));
	if (r <= 0)
		return r;
	if ((in_at && guest_write(t->mm, in_at, &from) < 0) || (out_at && guest_write(t->mm, out_at, &to) < 0))
		return -EFAULT;
	return r;
}
