/* SPDX-License-Identifier: MIT */
/* FIFOs: open(2)'s rules over a pipe that lives with an inode. fifo(7). */
#include "emul/vfs/pipe.h"

#include "emul/base/err.h"

struct fifo *fifo_new(void)
{
	return pipe_alloc(false);
}

void fifo_free(struct fifo *ff)
{
	if (ff)
		pipe_free(ff);
}

/* Sleeps until somebody opens the other side (its counter moves; it may be gone again by then). */
static int wait_for_partner(struct fifo *p, const unsigned *counter) REQUIRES(p->lock)
{
	unsigned seen = *counter;
	int r = 0;

	while (*counter == seen && r == 0)
		r = waitq_sleep(counter == &p->r_counter ? &p->wr : &p->rd, &p->lock, FOREVER);
	return *counter == seen ? r : 0;
}

static int open_locked(struct fifo *p, unsigned flags, struct file **ret) REQUIRES(p->lock)
{
	unsigned mode = flags & O_ACCMODE;
	int r;

	/* Linux looks before it counts itself in; a pipe(2) reopened by /proc never waits. */
	if (mode == O_WRONLY && !p->anonymous && (flags & O_NONBLOCK) && !p->readers)
		return -ENXIO;
	r = pipe_buffers_locked(p);
	if (r < 0)
		return r;
	*ret = pipe_end_new_locked(p, flags & (O_ACCMODE | O_NONBLOCK | O_DIRECT | O_APPEND | O_ASYNC));
	if (!*ret)
		return -ENOMEM;
	if (mode != O_WRONLY && p->readers == 1)
		waitq_wake(&p->wr, 0);
	if (mode != O_RDONLY && p->writers == 1)
		waitq_wake(&p->rd, 0);
	if (p->anonymous)
		return 0;
	if (mode == O_RDONLY && !p->writers) {
		if (flags & O_NONBLOCK)
			container_of(*ret, struct pipe_end, file)->w_seen = p->w_counter;
		else
			return wait_for_partner(p, &p->w_counter);
	}
	if (mode == O_WRONLY && !p->readers)
		return wait_for_partner(p, &p->r_counter);
	return 0;
}

int fifo_open(struct fifo *ff, unsigned flags, struct file **ret)
{
	struct file *f = NULL;
	int r;

	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	mutex_lock(&ff->lock);
	r = open_locked(ff, flags, &f);
	mutex_unlock(&ff->lock);
	if (r < 0)
		file_put(f);
	else
		*ret = f;
	return r;
}
