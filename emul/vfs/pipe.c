/* SPDX-License-Identifier: MIT */
/*
 * Pipes: read, write, poll, size. pipe(7), pipe(2). FIFOs add open(2)'s rules (fifo.c), splice(2) and
 * tee(2) are in splice.c; pipe.h describes the inside. The system call layer raises SIGPIPE for -EPIPE.
 */
#include "emul/vfs/pipe.h"
#include "emul/base/sysctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "emul/base/err.h"
#include "emul/mm/mm.h"

#define DEFAULT_SLOTS 16       /* 65536 bytes */
#define POOR_SLOTS 2           /* beyond the soft limit, as Linux */
#define SOFT_PAGES 16384       /* /proc/sys/fs/pipe-user-pages-soft */
#define HARD_PAGES 65536       /* ours: the VMM's memory is not the guest's */

static _Atomic long pages_in_use; /* of all pipes; relaxed: a limit, not an account */

static const struct file_ops pipe_ops, fifo_ops;

static struct pipe_end *end_of(struct file *f)
{
	return container_of(f, struct pipe_end, file);
}

struct fifo *pipe_of(struct file *f)
{
	return file_is_pipe(f) ? end_of(f)->p : NULL;
}

bool file_is_pipe(struct file *f)
{
	return f->ops == &pipe_ops || f->ops == &fifo_ops;
}

/* --- waking and waiting ------------------------------------------------------------------------------ */

static void wake_ends(struct fifo *p, bool (*side)(struct file *), uint32_t events)
{
	struct pipe_end *e;

	list_for_each(e, &p->ends, node)
		if (side(&e->file))
			waitq_wake(&e->file.wq, events);
}

void pipe_wake_readers(struct fifo *p, uint32_t events)
{
	waitq_wake(&p->rd, 0);
	wake_ends(p, file_readable, events);
}

void pipe_wake_writers(struct fifo *p, uint32_t events)
{
	waitq_wake(&p->wr, 0);
	wake_ends(p, file_writable, events);
}

static void tell_owners(struct fifo *p, bool (*side)(struct file *), int code) REQUIRES(p->lock)
{
	struct pipe_end *e;

	list_for_each(e, &p->ends, node)
		if (side(&e->file))
			file_async(&e->file, code);
}

void pipe_async_readers(struct fifo *p)
{
	tell_owners(p, file_readable, POLL_IN);
}

void pipe_async_writers(struct fifo *p)
{
	tell_owners(p, file_writable, POLL_OUT);
}

/* Linux tells at each call that was one, whatever came of it. */
static bool was_call(ssize_t r)
{
	return r != -ERESTARTSYS && r != -EWOULDSLEEP;
}

int pipe_wait_data(struct fifo *p, bool nonblock)
{
	mutex_assert_held(&p->lock);
	for (;;) {
		int r;

		if (!p->reader_busy) {
			if (!ring_empty(&p->ring))
				return 1;
			if (!p->writers)
				return 0;
			if (nonblock)
				return -EAGAIN;
		}
		r = waitq_sleep(&p->rd, &p->lock, FOREVER);
		if (r < 0)
			return r;
	}
}

int pipe_wait_space(struct fifo *p, bool nonblock)
{
	mutex_assert_held(&p->lock);
	for (;;) {
		int r;

		if (!p->writer_busy) {
			if (!p->readers)
				return -EPIPE;
			if (!ring_full(&p->ring))
				return 0;
			if (nonblock)
				return -EAGAIN;
		}
		r = waitq_sleep(&p->wr, &p->lock, FOREVER);
		if (r < 0)
			return r;
	}
}

/* --- reading and writing ------------------------------------------------------------------------------ */

/* What there is, up to the whole buffer or the end of a packet. */
static ssize_t read_present(struct fifo *p, struct uio *to) REQUIRES(p->lock)
{
	bool was_full = ring_full(&p->ring), packet = false;
	ssize_t done = 0;

	while (uio_left(to) && !ring_empty(&p->ring) && !packet) {
		ssize_t n = ring_pop(&p->ring, to, &packet);

		if (n < 0) {
			if (!done)
				done = n;
			break;
		}
		done += n;
	}
	if (was_full && !ring_full(&p->ring))
		pipe_wake_writers(p, EPOLLOUT | EPOLLWRNORM);
	return done;
}

static ssize_t pipe_read(struct file *f, struct uio *to, off_t *pos)
{
	struct fifo *p = end_of(f)->p;
	ssize_t r;

	(void)pos;
	if (!uio_left(to))
		return 0;
	mutex_lock(&p->lock);
	r = pipe_wait_data(p, file_nonblock(f));
	if (r > 0)
		r = read_present(p, to);
	if (was_call(r))
		pipe_async_writers(p);
	mutex_unlock(&p->lock);
	return r;
}

/* Appends the odd bytes of a write to the last page, or fills one page. Bytes, 0: no room, -EFAULT. */
static ssize_t write_piece(struct fifo *p, struct uio *from, bool packet, bool first)
{
	size_t odd = uio_left(from) % PAGE_SIZE;
	ssize_t n;

	if (first && odd && !packet) {
		n = ring_append(&p->ring, from, odd);
		if (n)
			return n;
	}
	if (ring_full(&p->ring))
		return 0;
	return ring_push(&p->ring, from, packet, !packet);
}

/* A helper thread that may not sleep must not begin a write that will block half-way: the rest would be lost. */
static bool may_begin(struct fifo *p, size_t n, bool nonblock)
{
	return nonblock || !p->readers || waiter_current()->may_sleep ||
	       (!p->writer_busy && (p->ring.size - ring_used(&p->ring)) * PAGE_SIZE >= n);
}

static ssize_t pipe_write(struct file *f, struct uio *from, off_t *pos)
{
	struct fifo *p = end_of(f)->p;
	bool packet = file_flags(f) & O_DIRECT, first = true;
	ssize_t done = 0, r = 0;

	(void)pos;
	if (!uio_left(from))
		return 0;
	mutex_lock(&p->lock);
	if (!may_begin(p, uio_left(from), file_nonblock(f)))
		r = -EWOULDSLEEP;
	else if (p->writer_busy)
		r = pipe_wait_space(p, file_nonblock(f));
	while (r == 0 && uio_left(from)) {
		if (!p->readers) {
			r = -EPIPE;
			break;
		}
		r = write_piece(p, from, packet, first);
		first = false;
		if (r > 0) {
			done += r;
			r = 0;
		} else if (r == 0) {
			pipe_wake_readers(p, EPOLLIN | EPOLLRDNORM); /* the pipe is full: somebody must drain it */
			pipe_async_readers(p);
			r = pipe_wait_space(p, file_nonblock(f));
		}
	}
	if (done)
		pipe_wake_readers(p, EPOLLIN | EPOLLRDNORM);
	if (was_call(done ? done : r))
		pipe_async_readers(p);
	mutex_unlock(&p->lock);
	return done ? done : r;
}

static uint32_t pipe_poll(struct file *f)
{
	struct pipe_end *e = end_of(f);
	struct fifo *p = e->p;
	uint32_t ev = 0;

	mutex_lock(&p->lock);
	if (file_readable(f)) {
		if (!ring_empty(&p->ring))
			ev |= EPOLLIN | EPOLLRDNORM;
		if (!p->writers && e->w_seen != p->w_counter)
			ev |= EPOLLHUP;
	}
	if (file_writable(f)) {
		if (!ring_full(&p->ring))
			ev |= EPOLLOUT | EPOLLWRNORM;
		if (!p->readers)
			ev |= EPOLLERR;
	}
	mutex_unlock(&p->lock);
	return ev;
}

/* --- the rest of the operations ------------------------------------------------------------------------ */

static long pipe_ioctl(struct file *f, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	struct fifo *p = end_of(f)->p;
	int bytes;

	if (cmd != FIONREAD)
		return -ENOTTY;
	mutex_lock(&p->lock);
	bytes = (int)ring_bytes(&p->ring);
	mutex_unlock(&p->lock);
	return copy_to_guest(c->mm, arg, &bytes, sizeof(bytes));
}

static int pipe_stat(struct file *f, unsigned mask, struct statx *ret)
{
	(void)mask;
	*ret = (struct statx){
		.stx_mask = STATX_BASIC_STATS,
		.stx_mode = S_IFIFO | 0600,
		.stx_nlink = 1,
		.stx_uid = f->anon_uid,
		.stx_gid = f->anon_gid,
		.stx_blksize = PAGE_SIZE,
		.stx_ino = end_of(f)->p->ino,
		.stx_dev_minor = 14, /* pipefs */
	};
	return 0;
}

static void pipe_describe(struct file *f, char *buf, size_t size)
{
	snprintf(buf, size, "pipe:[%llu]", (unsigned long long)end_of(f)->p->ino);
}

static void drop_buffers(struct fifo *p)
{
	atomic_fetch_sub(&pages_in_use, p->ring.size);
	ring_fini(&p->ring);
}

static void pipe_release(struct file *f)
{
	struct pipe_end *e = end_of(f);
	struct fifo *p = e->p;
	bool last;

	mutex_lock(&p->lock);
	list_del(&e->node);
	p->readers -= file_readable(f);
	p->writers -= file_writable(f);
	last = list_empty(&p->ends);
	if (!p->readers != !p->writers) {
		pipe_wake_readers(p, EPOLLIN | EPOLLRDNORM | EPOLLERR | EPOLLHUP);
		pipe_wake_writers(p, EPOLLOUT | EPOLLWRNORM | EPOLLERR | EPOLLHUP);
		pipe_async_readers(p);
		pipe_async_writers(p);
	}
	if (last)
		drop_buffers(p);
	mutex_unlock(&p->lock);
	if (last && p->anonymous)
		pipe_free(p);
	file_fini(f);
	free(e);
}

static const struct file_ops pipe_ops = {
	.name = "pipe",
	.read_waits_first = true,
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.start_async = file_always_async,
	.stat = pipe_stat,
	.describe = pipe_describe,
	.release = pipe_release,
};

/* FIFOs have a path: stat and the name are their inode's. */
static const struct file_ops fifo_ops = {
	.name = "fifo",
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.start_async = file_always_async,
	.release = pipe_release,
};

/* --- making ---------------------------------------------------------------------------------------------- */

struct fifo *pipe_alloc(bool anonymous)
{
	struct fifo *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	mutex_init(&p->lock);
	list_init(&p->ends);
	waitq_init(&p->rd);
	waitq_init(&p->wr);
	p->anonymous = anonymous;
	return p;
}

void pipe_free(struct fifo *p)
{
	waitq_fini(&p->rd);
	waitq_fini(&p->wr);
	mutex_fini(&p->lock);
	free(p);
}

int pipe_buffers_locked(struct fifo *p)
{
	long used = atomic_load(&pages_in_use);
	unsigned slots = used + DEFAULT_SLOTS > SOFT_PAGES ? POOR_SLOTS : DEFAULT_SLOTS;
	int r;

	mutex_assert_held(&p->lock);
	if (p->ring.size)
		return 0;
	if (used + slots > HARD_PAGES)
		return -ENFILE;
	r = ring_init(&p->ring, slots);
	if (r == 0)
		atomic_fetch_add(&pages_in_use, slots);
	return r;
}

struct file *pipe_end_new_locked(struct fifo *p, unsigned flags)
{
	struct pipe_end *e = calloc(1, sizeof(*e));

	mutex_assert_held(&p->lock);
	if (!e)
		return NULL;
	file_init(&e->file, p->anonymous ? &pipe_ops : &fifo_ops, flags);
	if (!p->ino)
		p->ino = e->file.anon_ino;
	e->p = p;
	list_add_tail(&p->ends, &e->node);
	if (file_readable(&e->file)) {
		p->readers++;
		p->r_counter++;
	}
	if (file_writable(&e->file)) {
		p->writers++;
		p->w_counter++;
	}
	/* Any number but the present one: writers were seen. */
	e->w_seen = p->w_counter - 1;
	return &e->file;
}

int pipe_new(unsigned flags, struct file **ret_read, struct file **ret_write)
{
	struct fifo *p = pipe_alloc(true);
	struct file *rd = NULL, *wr = NULL;
	int r;

	if (!p)
		return -ENOMEM;
	flags &= O_NONBLOCK | O_DIRECT;
	mutex_lock(&p->lock);
	r = pipe_buffers_locked(p);
	if (r == 0) {
		rd = pipe_end_new_locked(p, O_RDONLY | (flags & O_NONBLOCK)); /* packets are the writer's choice */
		wr = rd ? pipe_end_new_locked(p, O_WRONLY | flags) : NULL;
	}
	mutex_unlock(&p->lock);
	if (wr) {
		*ret_read = rd;
		*ret_write = wr;
		return 0;
	}
	if (rd)
		file_put(rd); /* takes the pipe along */
	else {
		if (r == 0)
			drop_buffers(p);
		pipe_free(p);
	}
	return r < 0 ? r : -ENOMEM;
}

bool pipe_reopen(struct file *f, unsigned flags, struct file **ret, int *ret_err)
{
	if (!file_is_pipe(f))
		return false;
	*ret_err = fifo_open(end_of(f)->p, flags, ret);
	return true;
}

/* --- size ------------------------------------------------------------------------------------------------- */

long pipe_get_size(struct file *f)
{
	struct fifo *p = pipe_of(f);
	long size;

	if (!p)
		return -EBADF;
	mutex_lock(&p->lock);
	size = p->ring.size * PAGE_SIZE;
	mutex_unlock(&p->lock);
	return size;
}

/* Slots for a wanted size: whole pages, a power of two. 0: too big. */
static unsigned slots_for(unsigned long size)
{
	unsigned slots = 1;

	if (size > 1ul << 31)
		return 0;
	while (slots * PAGE_SIZE < size)
		slots *= 2;
	return slots;
}

static long resize_locked(struct fifo *p, unsigned slots, bool privileged) REQUIRES(p->lock)
{
	long more = (long)slots - p->ring.size;
	bool was_full = ring_full(&p->ring);
	int r;

	if (more > 0) {
		long used = atomic_load(&pages_in_use) + more;

		if (!privileged && (slots * PAGE_SIZE > (unsigned long)sysctl_get(&sysctl_pipe_max_size) || used > SOFT_PAGES))
			return -EPERM;
		if (used > HARD_PAGES)
			return -ENOMEM;
	}
	if (p->reader_busy || p->writer_busy)
		return -EBUSY;
	r = ring_resize(&p->ring, slots);
	if (r < 0)
		return r;
	atomic_fetch_add(&pages_in_use, more);
	if (was_full && !ring_full(&p->ring))
		pipe_wake_writers(p, EPOLLOUT | EPOLLWRNORM);
	return slots * PAGE_SIZE;
}

long pipe_set_size(struct file *f, unsigned long size, bool privileged)
{
	struct fifo *p = pipe_of(f);
	unsigned slots = slots_for(size);
	long r;

	if (!p)
		return -EBADF;
	if (!slots)
		return -EINVAL;
	mutex_lock(&p->lock);
	r = resize_locked(p, slots, privileged);
	mutex_unlock(&p->lock);
	return r;
}
