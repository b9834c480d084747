/* SPDX-License-Identifier: MIT */
/* /dev/ptmx: the side of a pair that a terminal emulator holds. pty(7); drivers/tty/pty.c. */
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "emul/vfs/tty/tty_internal.h"

#define CHUNK 2048

static struct tty_file *of(struct file *f)
{
	return container_of(f, struct tty_file, file);
}

/* Output that can be read, or a status. 0, -EIO (nobody will write), -EAGAIN, ... */
static int wait_output(struct tty *t, struct file *f) REQUIRES(t->lock)
{
	int r = 0;

	while (!byteq_used(&t->out) && !(t->packet && t->status) && r == 0) {
		if (t->slave_closed)
			return -EIO;
		r = file_nonblock(f) ? -EAGAIN : tty_sleep_locked(t, &t->master_rd, FOREVER);
	}
	return byteq_used(&t->out) || (t->packet && t->status) ? 0 : r;
}

static size_t take_output(struct tty *t, uint8_t *buf, size_t size)
{
	bool was_full = !n_tty_out_room_locked(t);
	size_t n = byteq_get(&t->out, buf, size);

	n_tty_flush_echo_locked(t);
	n_tty_receive_locked(t);
	if (was_full && n_tty_out_room_locked(t))
		tty_wake_writers_locked(t, EPOLLOUT | EPOLLWRNORM);
	return n;
}

static ssize_t master_read(struct file *f, struct uio *to, off_t *pos)
{
	struct tty *t = of(f)->tty;
	uint8_t buf[N_TTY_ROOM + 1];
	size_t size = MIN(uio_left(to), (size_t)N_TTY_ROOM), n = 0;
	int r;

	(void)pos;
	if (!size)
		return 0;
	tty_lock(t);
	r = wait_output(t, f);
	if (r == 0 && t->packet) {
		buf[n++] = t->status; /* none: TIOCPKT_DATA */
		if (!t->status)
			n += take_output(t, buf + n, size - n);
		t->status = 0;
	} else if (r == 0) {
		n = take_output(t, buf, size);
	}
	tty_unlock(t);
	return r < 0 ? r : uio_copy_out(to, buf, n);
}

static size_t type_locked(struct tty *t, const uint8_t *p, size_t n)
{
	n = t->master_stopped ? 0 : MIN(n, byteq_room(&t->in));
	byteq_put(&t->in, p, n);
	n_tty_receive_locked(t);
	return n;
}

static ssize_t type_chunk(struct tty *t, struct file *f, const uint8_t *p, size_t n, int *ret_err)
{
	size_t done = 0;
	int r = 0;

	tty_lock(t);
	while (done < n && r == 0) {
		size_t now = type_locked(t, p + done, n - done);

		done += now;
		if (!now)
			r = file_nonblock(f) ? -EAGAIN : tty_sleep_locked(t, &t->master_wr, FOREVER);
	}
	t->master_short |= done < n;
	tty_unlock(t);
	*ret_err = r;
	return (ssize_t)done;
}

static ssize_t master_write(struct file *f, struct uio *from, off_t *pos)
{
	uint8_t buf[CHUNK];
	ssize_t done = 0, n;
	int r = 0;

	(void)pos;
	if (!waiter_current()->may_sleep)
		return -EWOULDSLEEP; /* what is typed may signal, and a part of it may have to wait */
	while (r == 0 && uio_left(from)) {
		n = uio_copy_in(from, buf, sizeof(buf));
		if (n < 0)
			r = (int)n;
		else
			done += type_chunk(of(f)->tty, f, buf, (size_t)n, &r);
	}
	return done ? done : r;
}

static uint32_t master_poll(struct file *f)
{
	struct tty *t = of(f)->tty;
	uint32_t ev = 0;

	tty_lock(t);
	if (byteq_used(&t->out))
		ev |= EPOLLIN | EPOLLRDNORM;
	if (t->packet && t->status)
		ev |= EPOLLPRI | EPOLLIN | EPOLLRDNORM;
	if (t->slave_closed)
		ev |= EPOLLHUP;
	if (!t->master_stopped && byteq_room(&t->in))
		ev |= EPOLLOUT | EPOLLWRNORM;
	tty_unlock(t);
	return ev;
}

static long master_ioctl(struct file *f, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	return tty_ioctl(of(f), true, cmd, arg, c);
}

static void master_release(struct file *f)
{
	struct tty_file *tf = of(f);
	struct tty *t = tf->tty;

	tty_lock(t);
	t->master = NULL;
	t->master_closed = true;
	t->unlinked = true;
	tty_unlock(t);
	tty_hangup(t);
	if (tty_jobs)
		tty_jobs->closed(t);
	tty_forget_if_unused(t);
	file_fini(f);
	tty_put(t);
	free(tf);
}

const struct file_ops tty_master_ops = {
	.name = "ptmx",
	.read_waits_first = true,
	.read = master_read,
	.write = master_write,
	.poll = master_poll,
	.ioctl = master_ioctl,
	.start_async = file_always_async,
	.async_group = tty_async_group,
	.release = master_release,
};

int ptmx_open(struct fs_ctx *c, unsigned flags, struct file **ret)
{
	struct tty_file *tf = calloc(1, sizeof(*tf));
	struct tty *t = tf ? tty_new(c) : NULL;

	if (!t) {
		free(tf);
		return tf ? -ENOSPC : -ENOMEM;
	}
	file_init(&tf->file, &tty_master_ops, flags);
	tf->tty = t; /* the first reference */
	t->master = &tf->file;
	*ret = &tf->file;
	return 0;
}
