/* SPDX-License-Identifier: MIT */
/* io_setup(2), io_submit(2), io_getevents(2) and their kin. fs/aio.c for the order of checks. */
#include "emul/proc/aio.h"

#include "emul/syscalls/handler.h"

#define IOPRIO_CLASSES 4
#define EVENTS_AT_ONCE 4096 /* of one io_getevents: what it may make us hold */

long sys_io_setup(struct task *t, const struct sysargs *a)
{
	gva_t at = arg_gva(a, 1);
	uint64_t id;
	int r;

	if (get_guest_u64(t->mm, at, &id) < 0)
		return -EFAULT;
	if (id || !arg_uint(a, 0))
		return -EINVAL;
	r = aio_setup(t, arg_uint(a, 0), &id);
	if (r == 0 && put_guest_u64(t->mm, at, id) < 0) {
		aio_destroy(t, id);
		return -EFAULT;
	}
	return r;
}

long sys_io_destroy(struct task *t, const struct sysargs *a)
{
	return aio_destroy(t, arg_gva(a, 0));
}

/* --- submission -------------------------------------------------------------------------------------------------- */

/* One request that has its place. */
struct submission {
	struct aio_ctx *ctx;
	struct iocb cb;
	struct file *file, *resfd;
	struct io_event ev;
};

static int data_of(struct task *t, const struct iocb *cb, bool vector, struct uio *ret)
{
	if (vector)
		return uio_init_guest_iov(ret, mm_guest(t->mm), cb->aio_buf, cb->aio_nbytes);
	if (!range_ok(cb->aio_buf, cb->aio_nbytes))
		return -EFAULT;
	uio_init_guest(ret, mm_guest(t->mm), cb->aio_buf, cb->aio_nbytes);
	return 0;
}

static int check_priority(const struct iocb *cb)
{
	return (cb->aio_flags & IOCB_FLAG_IOPRIO) && (uint16_t)cb->aio_reqprio >> 13 >= IOPRIO_CLASSES ? -EINVAL : 0;
}

/* What the transfer says is its event's; what is wrong with the request is the call's. */
static int submit_transfer(struct task *t, struct submission *s, bool write, bool vector)
{
	struct uio u;
	off_t pos = s->cb.aio_offset;
	const struct transfer v = { .write = write, .pos = s->file->seekable ? &pos : NULL, .flags = s->cb.aio_rw_flags };
	int r = check_priority(&s->cb);

	if (r == 0)
		r = transfer_check_flags(s->file, v.flags);
	if (r < 0)
		return r;
	if (!(write ? file_writable(s->file) : file_readable(s->file)))
		return -EBADF;
	if (write ? !s->file->ops->write : !s->file->ops->read)
		return -EINVAL;
	r = data_of(t, &s->cb, vector, &u);
	if (r < 0)
		return r;
	if (v.pos && pos < 0)
		r = -EINVAL;
	else
		s->ev.res = transfer(t, s->file, &u, &v);
	uio_fini(&u);
	if (r < 0)
		return r;
	if (s->ev.res == -ERESTARTSYS || s->ev.res == -ERESTARTNOHAND)
		s->ev.res = -EINTR; /* the call itself is not begun again */
	aio_complete(s->ctx, &s->ev, s->resfd);
	return 0;
}

static int submit_sync(struct submission *s, bool datasync)
{
	if (s->cb.aio_buf || s->cb.aio_offset || s->cb.aio_nbytes || s->cb.aio_rw_flags)
		return -EINVAL;
	if (!s->file->ops->fsync)
		return -EINVAL;
	s->ev.res = file_fsync(s->file, datasync);
	aio_complete(s->ctx, &s->ev, s->resfd);
	return 0;
}

static int submit_poll(struct submission *s)
{
	if ((uint16_t)s->cb.aio_buf != s->cb.aio_buf)
		return -EINVAL;
	if (s->cb.aio_offset || s->cb.aio_nbytes || s->cb.aio_rw_flags)
		return -EINVAL;
	return aio_poll(s->ctx, s->file, (uint32_t)s->cb.aio_buf, &s->ev, s->resfd);
}

static int submit_op(struct task *t, struct submission *s)
{
	switch (s->cb.aio_lio_opcode) {
	case IOCB_CMD_PREAD: return submit_transfer(t, s, false, false);
	case IOCB_CMD_PWRITE: return submit_transfer(t, s, true, false);
	case IOCB_CMD_PREADV: return submit_transfer(t, s, false, true);
	case IOCB_CMD_PWRITEV: return submit_transfer(t, s, true, true);
	case IOCB_CMD_FSYNC: return submit_sync(s, false);
	case IOCB_CMD_FDSYNC: return submit_sync(s, true);
	case IOCB_CMD_POLL: return submit_poll(s);
	default: return -EINVAL;
	}
}

static int submit_files(struct task *t, struct submission *s, gva_t at)
{
	s->file = fd_file(t, (int)s->cb.aio_fildes);
	if (!s->file)
		return -EBADF;
	if (s->cb.aio_flags & IOCB_FLAG_RESFD) {
		s->resfd = fd_file(t, (int)s->cb.aio_resfd);
		if (!s->resfd)
			return -EBADF;
		if (!file_is_eventfd(s->resfd))
			return -EINVAL;
	}
	return put_guest_u32(t->mm, at + offsetof(struct iocb, aio_key), 0);
}

static int submit(struct task *t, struct aio_ctx *c, gva_t at)
{
	struct submission s = { .ctx = c };
	int r;

	if (guest_read(t->mm, &s.cb, at) < 0)
		return -EFAULT;
	if (s.cb.aio_reserved2 || (int64_t)s.cb.aio_nbytes < 0)
		return -EINVAL;
	r = aio_reserve(c);
	if (r < 0)
		return r;
	s.ev = (struct io_event){ .data = s.cb.aio_data, .obj = at };
	r = submit_files(t, &s, at);
	if (r == 0)
		r = submit_op(t, &s);
	if (r < 0)
		aio_give_back(c);
	file_put(s.file);
	file_put(s.resfd);
	return r;
}

long sys_io_submit(struct task *t, const struct sysargs *a)
{
	AUTO(aio_ctx) c = aio_lookup(t->proc, arg_gva(a, 0));
	long n = arg_long(a, 1), done = 0;
	int r = 0;

	if (n < 0 || !c)
		return -EINVAL;
	if (n > aio_size(c))
		n = aio_size(c);
	for (; done < n && r == 0; done += r == 0) {
		uint64_t at;

		r = get_guest_u64(t->mm, arg_gva(a, 2) + (uint64_t)done * sizeof(at), &at);
		if (r == 0)
			r = submit(t, c, at);
	}
	return done ? done : r;
}

long sys_io_cancel(struct task *t, const struct sysargs *a)
{
	gva_t at = arg_gva(a, 1);
	AUTO(aio_ctx) c = NULL;
	uint32_t key;

	if (get_guest_u32(t->mm, at + offsetof(struct iocb, aio_key), &key) < 0)
		return -EFAULT;
	if (key)
		return -EINVAL;
	c = aio_lookup(t->proc, arg_gva(a, 0));
	return c ? aio_cancel(c, at) : -EINVAL;
}

/* --- events ------------------------------------------------------------------------------------------------------ */

/* As Linux: any numbers will do, and a time in the past is no wait. */
static int arg_wait(struct task *t, gva_t at, struct deadline *ret)
{
	struct timespec ts;

	*ret = FOREVER;
	if (!at)
		return 0;
	if (guest_read(t->mm, &ts, at) < 0)
		return -EFAULT;
	*ret = deadline_after(CLOCK_MONOTONIC, ns_of(&ts));
	return 0;
}

static long get_events(struct task *t, const struct sysargs *a, struct deadline d)
{
	AUTO(aio_ctx) c = aio_lookup(t->proc, arg_gva(a, 0));
	long min = arg_long(a, 1), n = arg_long(a, 2), got;
	AUTO_FREE struct io_event *ev = NULL;

	if (!c || min > n || min < 0)
		return -EINVAL;
	if (n > EVENTS_AT_ONCE)
		n = EVENTS_AT_ONCE;
	ev = malloc(n ? (size_t)n * sizeof(*ev) : 1);
	if (!ev)
		return -ENOMEM;
	got = aio_take(c, ev, (unsigned)(min < n ? min : n), (unsigned)n, d);
	if (got > 0) {
		int r = copy_to_guest(t->mm, arg_gva(a, 3), ev, (size_t)got * sizeof(*ev));

		aio_taken(c, ev, (unsigned)got, r == 0);
		got = r < 0 ? r : got;
	}
	return got;
}

long sys_io_getevents(struct task *t, const struct sysargs *a)
{
	struct deadline d;
	int r = arg_wait(t, arg_gva(a, 4), &d);

	return r < 0 ? r : get_events(t, a, d);
}

long sys_io_pgetevents(struct task *t, const struct sysargs *a)
{
	struct { uint64_t set, size; } sig = { 0 };
	struct deadline d;
	sigmask_t mask;
	bool masked;
	long r = arg_wait(t, arg_gva(a, 4), &d);

	if (r == 0 && arg_gva(a, 5) && guest_read(t->mm, &sig, arg_gva(a, 5)) < 0)
		r = -EFAULT;
	if (r == 0)
		r = arg_sigmask(t, sig.set, sig.size, &mask, &masked);
	if (r < 0)
		return r;
	if (masked)
		signal_call_mask(t, mask);
	r = get_events(t, a, d);
	if (masked)
		signal_call_mask_done(t, r == -EINTR);
	return r;
}
