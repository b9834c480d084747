/* SPDX-License-Identifier: MIT */
/* eventfd(2): a counter to wait on. Reads and writes of 8 bytes, native order. */
#include <stdlib.h>
#include <sys/eventfd.h>

#include "emul/base/err.h"
#include "emul/vfs/pseudo.h"

struct eventfd {
	struct file file;
	struct mutex lock;
	uint64_t count; /* lock; writes bring it to UINT64_MAX - 1, eventfd_signal() to UINT64_MAX: an overflow */
	bool semaphore; /* constant */
	int id;
};

static struct eventfd *eventfd_of(struct file *f)
{
	return container_of(f, struct eventfd, file);
}

static ssize_t efd_read(struct file *f, struct uio *to, off_t *pos)
{
	struct eventfd *e = eventfd_of(f);
	uint64_t val = 0;
	int r = 0;

	(void)pos;
	if (uio_left(to) < sizeof(val))
		return -EINVAL;
	mutex_lock(&e->lock);
	while (e->count == 0 && r == 0)
		r = file_nonblock(f) ? -EAGAIN : waitq_sleep(&f->wq, &e->lock, FOREVER);
	if (e->count) {
		val = e->semaphore ? 1 : e->count;
		e->count -= val;
		r = 0;
		waitq_wake(&f->wq, EPOLLOUT);
	}
	mutex_unlock(&e->lock);
	return r < 0 ? r : uio_copy_out(to, &val, sizeof(val));
}

static bool has_room(const struct eventfd *e, uint64_t val)
{
	return e->count < UINT64_MAX && UINT64_MAX - 1 - e->count >= val;
}

static ssize_t efd_write(struct file *f, struct uio *from, off_t *pos)
{
	struct eventfd *e = eventfd_of(f);
	uint64_t val;
	int r = 0;

	(void)pos;
	if (uio_left(from) < sizeof(val))
		return -EINVAL;
	if (uio_copy_in(from, &val, sizeof(val)) != sizeof(val))
		return -EFAULT;
	if (val == UINT64_MAX)
		return -EINVAL;
	mutex_lock(&e->lock);
	while (!has_room(e, val) && r == 0)
		r = file_nonblock(f) ? -EAGAIN : waitq_sleep(&f->wq, &e->lock, FOREVER);
	if (has_room(e, val)) {
		e->count += val;
		r = 0;
		waitq_wake(&f->wq, EPOLLIN); /* at each write: edge-triggered watchers count on it */
	}
	mutex_unlock(&e->lock);
	return r < 0 ? r : (ssize_t)sizeof(val);
}

void eventfd_signal(struct file *f)
{
	struct eventfd *e = eventfd_of(f);

	mutex_lock(&e->lock);
	if (e->count < UINT64_MAX)
		e->count++;
	waitq_wake(&f->wq, EPOLLIN);
	mutex_unlock(&e->lock);
}

static uint32_t efd_poll(struct file *f)
{
	struct eventfd *e = eventfd_of(f);
	uint32_t ev;

	mutex_lock(&e->lock);
	ev = (e->count ? EPOLLIN : 0) | (e->count < UINT64_MAX - 1 ? EPOLLOUT : 0) | (e->count == UINT64_MAX ? EPOLLERR : 0);
	mutex_unlock(&e->lock);
	return ev;
}

static void efd_fdinfo(struct file *f, void *out_seq)
{
	struct eventfd *e = eventfd_of(f);

	mutex_lock(&e->lock);
	seq_printf(out_seq, "eventfd-count: %16llx\neventfd-id: %d\neventfd-semaphore: %d\n",
		   (unsigned long long)e->count, e->id, e->semaphore);
	mutex_unlock(&e->lock);
}

static void efd_release(struct file *f)
{
	struct eventfd *e = eventfd_of(f);

	file_fini(f);
	mutex_fini(&e->lock);
	free(e);
}

static const struct file_ops eventfd_ops = {
	.name = "eventfd",
	.read_waits_first = true,
	.write_waits_first = true,
	.read = efd_read,
	.write = efd_write,
	.lseek = file_noop_lseek,
	.poll = efd_poll,
	.fdinfo = efd_fdinfo,
	.release = efd_release,
};

bool file_is_eventfd(struct file *f)
{
	return f->ops == &eventfd_ops;
}

int eventfd_new(unsigned initial, int flags, struct file **ret)
{
	static _Atomic int next_id;
	struct eventfd *e;

	if (flags & ~(EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC))
		return -EINVAL;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	file_init(&e->file, &eventfd_ops, O_RDWR | (flags & EFD_NONBLOCK));
	mutex_init(&e->lock);
	e->count = initial;
	e->semaphore = flags & EFD_SEMAPHORE;
	e->id = atomic_fetch_add(&next_id, 1);
	*ret = &e->file;
	return 0;
}
