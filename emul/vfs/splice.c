/* SPDX-License-Identifier: MIT */
/*
 * splice(2), tee(2), vmsplice(2), and copying between any two files for sendfile(2) and copy_file_range(2).
 * Data are copied, not moved by page: what counts here is who waits, who gets which error and which
 * offset moves. While another file's read or write runs, the pipe's side is kept by a busy mark
 * (pipe.h), as Linux keeps it by the pipe's mutex.
 */
/* host syscalls: copy_file_range */
#include "emul/vfs/pipe.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "emul/base/err.h"
#include "emul/vfs/notify.h"
#include "emul/vfs/vfs.h"

#define CHUNK 65536

/* --- file to pipe ------------------------------------------------------------------------------------ */

/* Keeps the writing side and says how many bytes may come. */
static ssize_t begin_fill(struct fifo *p, bool nonblock)
{
	ssize_t r;

	mutex_lock(&p->lock);
	r = pipe_wait_space(p, nonblock);
	if (r == 0) {
		p->writer_busy = true;
		r = (p->ring.size - ring_used(&p->ring)) * PAGE_SIZE;
	}
	mutex_unlock(&p->lock);
	return r;
}

static void end_fill(struct fifo *p, void *data, ssize_t n)
{
	struct uio u;

	mutex_lock(&p->lock);
	p->writer_busy = false;
	if (n > 0) {
		uio_init_host(&u, data, n);
		while (uio_left(&u))
			ring_push(&p->ring, &u, false, false);
		pipe_wake_readers(p, EPOLLIN | EPOLLRDNORM);
		pipe_async_readers(p);
	}
	waitq_wake(&p->wr, 0);
	mutex_unlock(&p->lock);
}

static ssize_t file_to_pipe(struct file *in, off_t *in_off, struct fifo *p, size_t len, bool nonblock)
{
	ssize_t room = begin_fill(p, nonblock), n = -ENOMEM;
	struct uio u;
	void *buf;

	if (room < 0)
		return room;
	len = MIN(len, (size_t)room);
	buf = malloc(len);
	if (buf) {
		uio_init_host(&u, buf, len);
		n = file_read(in, &u, in_off);
	}
	end_fill(p, buf, n);
	free(buf);
	return n;
}

/* --- pipe to file ------------------------------------------------------------------------------------ */

static size_t gather_locked(struct fifo *p, char *buf, size_t size) REQUIRES(p->lock)
{
	size_t n = 0;

	for (unsigned i = 0; i < ring_used(&p->ring) && n < size; i++) {
		size_t k = MIN((size_t)ring_slot(&p->ring, i)->len, size - n);

		ring_peek(&p->ring, i, buf + n, k);
		n += k;
	}
	return n;
}

/* Copies what is there and keeps the reading side. 0: end of file. */
static ssize_t begin_drain(struct fifo *p, char *buf, size_t size, bool nonblock)
{
	ssize_t r;

	mutex_lock(&p->lock);
	r = pipe_wait_data(p, nonblock);
	if (r > 0) {
		r = gather_locked(p, buf, size);
		p->reader_busy = true;
	}
	mutex_unlock(&p->lock);
	return r;
}

static void end_drain(struct fifo *p, ssize_t n)
{
	bool was_full;

	mutex_lock(&p->lock);
	was_full = ring_full(&p->ring);
	p->reader_busy = false;
	if (n > 0) {
		ring_skip(&p->ring, n);
		pipe_async_writers(p);
	}
	if (was_full && !ring_full(&p->ring))
		pipe_wake_writers(p, EPOLLOUT | EPOLLWRNORM);
	waitq_wake(&p->rd, 0);
	mutex_unlock(&p->lock);
}

static ssize_t pipe_to_file(struct fifo *p, struct file *out, off_t *out_off, size_t len, bool nonblock, struct fs_ctx *c)
{
	AUTO_FREE char *buf = malloc(CHUNK);
	ssize_t done = 0, r = 0;

	if (!buf)
		return -ENOMEM;
	while ((size_t)done < len) {
		struct uio u;
		/* It waits for the first byte only. */
		ssize_t n = begin_drain(p, buf, MIN(len - done, (size_t)CHUNK), nonblock || done);

		r = n;
		if (n <= 0)
			break;
		uio_init_host(&u, buf, n);
		r = file_write(out, &u, out_off, c);
		end_drain(p, r);
		if (r > 0)
			done += r;
		if (r < n)
			break;
	}
	return done ? done : r;
}

/* --- pipe to pipe ------------------------------------------------------------------------------------ */

/* Copies slots of `in` to `out`, both locked. consume: splice, else tee. Bytes; 0: nothing could be done now. */
static ssize_t link_locked(struct fifo *in, struct fifo *out, size_t len, bool consume)
	REQUIRES(in->lock, out->lock)
{
	bool was_full = ring_full(&in->ring);
	char page[PAGE_SIZE];
	size_t done = 0;

	for (unsigned i = 0; i < ring_used(&in->ring) && done < len && !ring_full(&out->ring);) {
		struct pipe_slot *s = ring_slot(&in->ring, i);
		size_t n = MIN((size_t)s->len, len - done);
		bool packet = s->packet;
		struct uio u;

		ring_peek(&in->ring, i, page, n);
		uio_init_host(&u, page, n);
		ring_push(&out->ring, &u, packet, false);
		done += n;
		if (consume)
			ring_skip(&in->ring, n);
		else
			i++;
	}
	if (done) {
		pipe_wake_readers(out, EPOLLIN | EPOLLRDNORM);
		pipe_async_readers(out);
	}
	if (done && consume)
		pipe_async_writers(in);
	if (was_full && !ring_full(&in->ring))
		pipe_wake_writers(in, EPOLLOUT | EPOLLWRNORM);
	return done;
}

static ssize_t pipe_to_pipe(struct fifo *in, struct fifo *out, size_t len, bool nonblock, bool consume)
	NO_LOCK_ANALYSIS /* two locks at once */
{
	ssize_t r;

	if (in == out)
		return -EINVAL;
	do {
		mutex_lock(&in->lock);
		r = pipe_wait_data(in, nonblock);
		mutex_unlock(&in->lock);
		if (r <= 0)
			return r;
		mutex_lock(&out->lock);
		r = pipe_wait_space(out, nonblock);
		mutex_unlock(&out->lock);
		if (r < 0)
			return r;
		mutex_lock_two(&in->lock, &out->lock);
		if (!in->reader_busy && !out->writer_busy)
			r = link_locked(in, out, len, consume);
		mutex_unlock_two(&in->lock, &out->lock);
	} while (r == 0); /* others were faster */
	return r;
}

/* --- the calls --------------------------------------------------------------------------------------- */

static bool any_nonblock(struct file *a, struct file *b, unsigned flags)
{
	return (flags & SPLICE_F_NONBLOCK) || (a && (file_flags(a) & O_NONBLOCK)) || (b && (file_flags(b) & O_NONBLOCK));
}

static ssize_t from_file(struct file *in, off_t *in_off, struct fifo *to, size_t len, bool nonblock, bool nonblock_flag)
{
	bool saved = file_call_nonblock;
	ssize_t r;

	if (nonblock_flag && in->ops->splice_nonblock && in->ops->splice_nonblock(in))
		file_call_nonblock = true;
	r = file_to_pipe(in, in_off, to, len, nonblock);
	file_call_nonblock = saved;
	return r;
}

ssize_t file_splice(struct file *in, off_t *in_off, struct file *out, off_t *out_off, size_t len, unsigned flags,
		    struct fs_ctx *c)
{
	struct fifo *from = pipe_of(in), *to = pipe_of(out);

	if (!file_readable(in) || !file_writable(out))
		return -EBADF;
	len = MIN(len, MAX_RW_COUNT);
	if ((from && in_off) || (to && out_off))
		return -ESPIPE;
	if (from && to)
		return pipe_to_pipe(from, to, len, any_nonblock(in, out, flags), true);
	if (from) {
		if ((out_off && !out->seekable) || (file_flags(out) & O_APPEND))
			return -EINVAL;
		return pipe_to_file(from, out, out_off, len, any_nonblock(in, NULL, flags), c);
	}
	if (to) {
		if (in_off && !in->seekable)
			return -EINVAL;
		return from_file(in, in_off, to, len, any_nonblock(NULL, out, flags), flags & SPLICE_F_NONBLOCK);
	}
	return -EINVAL;
}

ssize_t pipe_tee(struct file *in, struct file *out, size_t len, unsigned flags)
{
	struct fifo *from = pipe_of(in), *to = pipe_of(out);

	if (!file_readable(in) || !file_writable(out))
		return -EBADF;
	if (!from || !to)
		return -EINVAL;
	return pipe_to_pipe(from, to, len, any_nonblock(in, out, flags), false);
}

ssize_t pipe_vmsplice(struct file *pipe, struct uio *u, unsigned flags)
{
	bool saved = file_call_nonblock;
	ssize_t r;

	if (!file_is_pipe(pipe))
		return -EBADF;
	if (flags & SPLICE_F_NONBLOCK)
		file_call_nonblock = true;
	if (file_writable(pipe))
		r = pipe->ops->write(pipe, u, NULL);
	else
		r = pipe->ops->read(pipe, u, NULL);
	file_call_nonblock = saved;
	return r;
}

/* --- sendfile, copy_file_range -------------------------------------------------------------------------- */

/* Writes all of buf, unless the file has enough. Bytes, or the error if none went. */
static ssize_t write_all(struct file *out, off_t *out_off, char *buf, size_t n, struct fs_ctx *c)
{
	size_t done = 0;

	while (done < n) {
		struct uio u;
		ssize_t r;

		uio_init_host(&u, buf + done, n - done);
		r = file_write(out, &u, out_off, c);
		if (r <= 0)
			return done ? (ssize_t)done : r;
		done += r;
	}
	return done;
}

static ssize_t copy_by_buffer(struct file *out, off_t *out_off, struct file *in, off_t *pos, size_t len, struct fs_ctx *c)
{
	AUTO_FREE char *buf = malloc(CHUNK);
	ssize_t r = 0;
	size_t done = 0;

	if (!buf)
		return -ENOMEM;
	while (done < len) {
		off_t at = *pos;
		struct uio u;
		ssize_t n;

		uio_init_host(&u, buf, MIN(len - done, (size_t)CHUNK));
		r = n = file_read(in, &u, &at);
		if (n <= 0)
			break;
		r = write_all(out, out_off, buf, n, c);
		if (r <= 0)
			break;
		*pos += r; /* what was read too much is not lost */
		done += r;
		if (r < n)
			break;
	}
	return done ? (ssize_t)done : r;
}

static int plain_host_fd(struct file *f)
{
	if (!f->seekable || f->host_pos || !f->ops->host_fd || (file_flags(f) & O_APPEND))
		return -1;
	return f->ops->host_fd(f);
}

/* The host copies by itself (or shares extents). 0: it does not: copy by hand. */
static ssize_t copy_in_host(struct file *out, off_t *out_off, struct file *in, off_t *pos, size_t len, struct fs_ctx *c)
{
	int ifd = plain_host_fd(in), ofd = plain_host_fd(out);
	off_t at = *pos, end;
	ssize_t r;

	if (ifd < 0 || ofd < 0 || in == out || (c && c->limit_fsize < INT64_MAX))
		return 0;
	if (out_off) {
		end = *out_off;
		r = HOST(copy_file_range(ifd, &at, ofd, &end, len, 0));
		if (r > 0)
			*out_off = end;
	} else {
		mutex_lock(&out->pos_lock);
		end = out->pos;
		r = HOST(copy_file_range(ifd, &at, ofd, &end, len, 0));
		if (r > 0)
			out->pos = end;
		mutex_unlock(&out->pos_lock);
	}
	if (r <= 0)
		return 0;
	*pos = at;
	if (out->ops->host_changed)
		out->ops->host_changed(out, (uint64_t)(end - r), (uint64_t)r);
	if (in->inode)
		notify_path(&(struct path){ in->path.mnt, in->path.dentry }, IN_ACCESS);
	if (out->inode)
		notify_path(&(struct path){ out->path.mnt, out->path.dentry }, IN_MODIFY);
	return r;
}

ssize_t file_copy(struct file *out, off_t *out_off, struct file *in, off_t *in_off, size_t len, struct fs_ctx *c)
{
	off_t pos;
	ssize_t r;

	if (!file_readable(in) || !file_writable(out))
		return -EBADF;
	if (!in->seekable) /* what cannot be read again must not be read too far */
		return in_off ? -ESPIPE : -EINVAL;
	if (out_off && !out->seekable)
		return -ESPIPE;
	pos = in_off ? *in_off : file_lseek(in, 0, SEEK_CUR);
	if (pos < 0)
		return pos;
	len = MIN(len, MAX_RW_COUNT);
	r = copy_in_host(out, out_off, in, &pos, len, c);
	if (r == 0)
		r = copy_by_buffer(out, out_off, in, &pos, len, c);
	if (r > 0 && in_off)
		*in_off = pos;
	else if (r > 0)
		file_lseek(in, pos, SEEK_SET);
	return r;
}
