/* SPDX-License-Identifier: MIT */
/* Reading what was typed: line by line, or with VMIN and VTIME. termios(3); drivers/tty/n_tty.c. */
#include "emul/vfs/tty/tty_internal.h"

#define TENTH 100000000ll /* VTIME counts in them */

static bool by_lines(const struct tty *t)
{
	return t->n.canonical && !(t->termios.c_lflag & EXTPROC);
}

static bool line_ends_at(const struct tty *t, size_t pos)
{
	pos %= N_TTY_SIZE;
	return t->n.ends[pos / 8] >> pos % 8 & 1;
}

static bool is_eof_at(const struct tty *t, size_t pos)
{
	return line_ends_at(t, pos) && t->n.buf[pos % N_TTY_SIZE] == TTY_DISABLED;
}

static void take(struct tty *t)
{
	size_t pos = t->n.tail++ % N_TTY_SIZE;

	t->n.ends[pos / 8] &= (uint8_t)~(1 << pos % 8);
}

bool n_tty_readable_locked(const struct tty *t, bool poll)
{
	const cc_t *cc = t->termios.c_cc;
	size_t least = poll && !cc[VTIME] && cc[VMIN] ? cc[VMIN] : 1;

	return by_lines(t) ? t->n.canon != t->n.tail : t->n.head - t->n.tail >= least;
}

size_t n_tty_input_count_locked(struct tty *t)
{
	size_t n;

	if (!by_lines(t))
		return t->n.head - t->n.tail;
	n = t->n.canon - t->n.tail;
	/* A full buffer begins where it ends: inq_canon() then counts its end of file too. */
	for (size_t pos = t->n.tail; pos % N_TTY_SIZE != t->n.canon % N_TTY_SIZE; pos++)
		n -= is_eof_at(t, pos);
	return n;
}

/* One line, or what fits of it. An end-of-file behind a part that fits exactly goes with it. */
static size_t read_line(struct tty *t, uint8_t *buf, size_t size)
{
	size_t n = 0;

	while (t->n.tail != t->n.canon) {
		bool end = line_ends_at(t, t->n.tail), eof = end && is_eof_at(t, t->n.tail);

		if (!eof && n == size)
			break;
		if (!eof)
			buf[n++] = t->n.buf[t->n.tail % N_TTY_SIZE];
		take(t);
		if (end)
			break;
	}
	return n;
}

static size_t read_raw(struct tty *t, uint8_t *buf, size_t size)
{
	size_t n = 0;

	while (n < size && t->n.tail != t->n.head) {
		buf[n++] = t->n.buf[t->n.tail % N_TTY_SIZE];
		take(t);
	}
	/* EXTPROC: a lone end-of-file character is an empty read. */
	if (n == 1 && t->n.canonical && buf[0] == t->termios.c_cc[VEOF] && t->n.tail == t->n.head)
		n = 0;
	return n;
}

/* Sleeps for input. 0: look again; 1: the time is over, or nothing will come; negative: error. */
static int wait_input(struct tty *t, struct tty_file *f, struct deadline until) REQUIRES(t->lock)
{
	int r;

	tty_want_input_locked(t);
	if (t->master_closed)
		return -EIO;
	if (f->hung || until.ns == 0)
		return 1;
	if (file_nonblock(&f->file))
		return -EAGAIN;
	r = tty_sleep_locked(t, &t->rd, until);
	if (r == -ETIMEDOUT)
		return n_tty_readable_locked(t, false) ? 0 : 1;
	return r;
}

static ssize_t read_some(struct tty *t, struct tty_file *f, uint8_t *buf, size_t size) REQUIRES(t->lock)
{
	unsigned vmin = t->termios.c_cc[VMIN], vtime = t->termios.c_cc[VTIME];
	struct deadline until = FOREVER;
	size_t done = 0, least = 0;
	bool between = false;
	int r = 0;

	if (!t->n.canonical) {
		least = MAX(vmin, 1u);
		between = vmin && vtime; /* the time between bytes, from the first one on */
		if (!vmin)
			until = vtime ? deadline_after(CLOCK_MONOTONIC, vtime * TENTH) : (struct deadline){ CLOCK_MONOTONIC, 0 };
	}
	while (done < size) {
		if (!n_tty_readable_locked(t, false)) {
			r = wait_input(t, f, until);
			if (r)
				break;
			continue;
		}
		if (by_lines(t))
			done += read_line(t, buf + done, size - done);
		else
			done += read_raw(t, buf + done, size - done);
		n_tty_receive_locked(t); /* there is room now */
		if (done >= least)
			break;
		if (between)
			until = deadline_after(CLOCK_MONOTONIC, vtime * TENTH);
	}
	return done || r > 0 ? (ssize_t)done : r;
}

/* One reader at a time: what belongs together is not torn apart. */
static int begin_read(struct tty *t, struct tty_file *f) REQUIRES(t->lock)
{
	int r = 0;

	while (t->n.reading && r == 0)
		r = file_nonblock(&f->file) ? -EAGAIN : tty_sleep_locked(t, &t->rd, FOREVER);
	if (t->n.reading)
		return r;
	t->n.reading = true;
	return 0;
}

ssize_t n_tty_read(struct tty *t, struct tty_file *f, uint8_t *buf, size_t size)
{
	ssize_t r;

	tty_lock(t);
	r = f->hung ? 1 : begin_read(t, f);
	if (r == 0) {
		r = read_some(t, f, buf, size);
		t->n.reading = false;
		waitq_wake(&t->rd, 0);
		if (r > 0)
			tty_touch_locked(&t->atime);
	} else if (r > 0) {
		r = 0; /* the end */
	}
	tty_unlock(t);
	return r;
}
