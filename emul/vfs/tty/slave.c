/* SPDX-License-Identifier: MIT */
/* Open files of a terminal: what programs that run on it hold. */
#include <linux/capability.h>
#include <stdlib.h>

#include "emul/vfs/tty/tty_internal.h"

#define CHUNK 2048 /* one write's bytes are shown together up to here, as in Linux */

static struct tty_file *of(struct file *f)
{
	return container_of(f, struct tty_file, file);
}

/* What these calls ask of the caller is asked of a task on its own thread. */
static bool elsewhere(void)
{
	return !waiter_current()->may_sleep;
}

static ssize_t slave_read(struct file *f, struct uio *to, off_t *pos)
{
	struct tty *t = of(f)->tty;
	uint8_t buf[N_TTY_SIZE];
	ssize_t r = 0;

	(void)pos;
	if (elsewhere())
		return -EWOULDSLEEP;
	tty_lock(t);
	if (of(f)->hung) {
		tty_unlock(t);
		return 0;
	}
	tty_unlock(t);
	if (tty_jobs)
		r = tty_jobs->check(t, SIGTTIN);
	if (r < 0 || !uio_left(to))
		return r;
	r = n_tty_read(t, of(f), buf, MIN(uio_left(to), sizeof(buf)));
	return r <= 0 ? r : uio_copy_out(to, buf, (size_t)r);
}

/* --- writing ---------------------------------------------------------------------------------------------- */

static int wait_room(struct tty *t, struct tty_file *f) REQUIRES(t->lock)
{
	if (file_nonblock(&f->file))
		return -EAGAIN;
	return tty_sleep_locked(t, &t->wr, FOREVER);
}

/* All of it, or as much as went before an error; 0 is an error's. *ret_err says which. */
static size_t write_chunk(struct tty *t, struct tty_file *f, const uint8_t *p, size_t n, int *ret_err)
{
	size_t done = 0;
	int r = 0;

	tty_lock(t);
	while (done < n && r == 0) {
		size_t now;

		if (f->hung) {
			r = -EIO;
			break;
		}
		now = n_tty_output_locked(t, p + done, n - done);
		done += now;
		if (!now)
			r = wait_room(t, f);
	}
	t->n.short_out |= done < n;
	tty_touch_locked(&t->mtime);
	tty_unlock(t);
	*ret_err = r;
	return done;
}

static int begin_write(struct tty *t, struct tty_file *f)
{
	int r = 0;

	tty_lock(t);
	while (t->n.writing && r == 0)
		r = wait_room(t, f);
	if (f->hung)
		r = -EIO;
	else if (!t->n.writing)
		r = 0;
	if (r == 0)
		t->n.writing = true;
	tty_unlock(t);
	return r;
}

static void end_write(struct tty *t)
{
	tty_lock(t);
	t->n.writing = false;
	waitq_wake(&t->wr, 0);
	tty_unlock(t);
}

static int check_write(struct tty *t)
{
	bool tostop;

	tty_lock(t);
	tostop = t->termios.c_lflag & TOSTOP;
	tty_unlock(t);
	return tostop ? tty_check_change(t) : 0;
}

static ssize_t slave_write(struct file *f, struct uio *from, off_t *pos)
{
	struct tty *t = of(f)->tty;
	uint8_t buf[CHUNK];
	ssize_t done = 0, n;
	int r;

	(void)pos;
	if (elsewhere())
		return -EWOULDSLEEP;
	r = check_write(t);
	if (r == 0)
		r = begin_write(t, of(f));
	if (r < 0)
		return r;
	while (r == 0 && uio_left(from)) {
		n = uio_copy_in(from, buf, sizeof(buf));
		if (n < 0)
			r = (int)n;
		else
			done += (ssize_t)write_chunk(t, of(f), buf, (size_t)n, &r);
	}
	end_write(t);
	return done ? done : r;
}

/* --- the rest ------------------------------------------------------------------------------------------------ */

static uint32_t slave_poll(struct file *f)
{
	struct tty *t = of(f)->tty;
	uint32_t ev = 0;

	tty_lock(t);
	if (of(f)->hung)
		ev = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDNORM | EPOLLWRNORM;
	if (n_tty_readable_locked(t, true))
		ev |= EPOLLIN | EPOLLRDNORM;
	else if (file_readable(f))
		tty_want_input_locked(t);
	if (t->master_closed)
		ev |= EPOLLHUP;
	if (n_tty_out_room_locked(t))
		ev |= EPOLLOUT | EPOLLWRNORM;
	tty_unlock(t);
	return ev;
}

static long slave_ioctl(struct file *f, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	bool hung;

	tty_lock(of(f)->tty);
	hung = of(f)->hung;
	tty_unlock(of(f)->tty);
	if (hung)
		return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
	return tty_ioctl(of(f), false, cmd, arg, c);
}

static void slave_release(struct file *f)
{
	struct tty_file *tf = of(f);
	struct tty *t = tf->tty;
	bool last;

	tty_lock(t);
	list_del(&tf->node);
	last = list_empty(&t->slaves) && !t->console; /* outside somebody has the console open, always */
	if (last) {
		t->slave_closed = true;
		t->exclusive = false;
		tty_wake_master_locked(t, EPOLLHUP | EPOLLIN | EPOLLOUT);
	}
	t->told |= list_empty(&t->slaves); /* the console lets go of it when the caller has left */
	tty_unlock(t);
	if (last && tty_jobs)
		tty_jobs->closed(t);
	tty_forget_if_unused(t);
	file_fini(f);
	tty_put(t);
	free(tf);
}

const struct file_ops tty_slave_ops = {
	.name = "tty",
	.read = slave_read,
	.write = slave_write,
	.poll = slave_poll,
	.ioctl = slave_ioctl,
	.start_async = file_always_async,
	.async_group = tty_async_group,
	.release = slave_release,
};

static int may_open_locked(struct tty *t, struct fs_ctx *c)
{
	if (t->master_closed || t->refused)
		return -EIO;
	if (t->exclusive && c && !cred_capable(c->cred, CAP_SYS_ADMIN))
		return -EBUSY;
	return 0;
}

int tty_open(struct tty *t, struct fs_ctx *c, unsigned flags, struct file **ret)
{
	struct tty_file *tf = calloc(1, sizeof(*tf));
	int r;

	if (!tf)
		return -ENOMEM;
	tty_lock(t);
	r = may_open_locked(t, c);
	if (r == 0) {
		file_init(&tf->file, &tty_slave_ops, flags);
		tf->tty = tty_get(t);
		list_add_tail(&t->slaves, &tf->node);
		t->slave_closed = false;
	}
	tty_unlock(t);
	if (r < 0) {
		free(tf);
		return r;
	}
	if (c && tty_jobs && !(flags & O_NOCTTY))
		tty_jobs->opened(t, c, file_readable(&tf->file));
	*ret = &tf->file;
	return 0;
}
