/* SPDX-License-Identifier: MIT */
/*
 * Terminals: the table of all, life, waking, flow control, hanging up. drivers/tty/tty_io.c, pty.c.
 *
 * Theory of operation. What is typed goes from the master into `in`, from there through the line discipline into
 * n.buf as far as there is room, and is read by the slave. What is shown goes through output processing into `out`,
 * where the master fetches it; echoes wait in n.echo while there is no room or output is stopped. Signals for the
 * foreground group are collected under the lock and sent when it is dropped, since the tables of processes
 * are outside of it.
 */
#include "emul/vfs/tty/tty_internal.h"

#include <stdlib.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define UNIX98_PTY_SLAVE_MAJOR 136
#define TIME_STEP 8

const struct tty_jobs *tty_jobs;

static struct mutex table_lock = MUTEX_INIT;
static struct tty *table[TTY_PTY_MAX]; /* table_lock; not counted */

/* --- bytes --------------------------------------------------------------------------------------------- */

void byteq_put(struct byteq *q, const void *src, size_t n)
{
	size_t at = q->head & (q->size - 1), first = MIN(n, q->size - at);

	assert(n <= byteq_room(q));
	memcpy(q->buf + at, src, first);
	memcpy(q->buf, (const uint8_t *)src + first, n - first);
	q->head += n;
}

size_t byteq_get(struct byteq *q, void *dst, size_t n)
{
	size_t at = q->tail & (q->size - 1), first;

	n = MIN(n, byteq_used(q));
	first = MIN(n, q->size - at);
	memcpy(dst, q->buf + at, first);
	memcpy((uint8_t *)dst + first, q->buf, n - first);
	q->tail += n;
	return n;
}

static bool byteq_init(struct byteq *q, size_t size)
{
	q->buf = malloc(size);
	q->size = size;
	return q->buf != NULL;
}

/* --- life ------------------------------------------------------------------------------------------------ */

static bool take_index(struct tty *t)
{
	bool found = false;

	mutex_lock(&table_lock);
	for (int i = 0; i < TTY_PTY_MAX && !found; i++) {
		if (table[i])
			continue;
		table[i] = t;
		t->index = i;
		found = true;
	}
	mutex_unlock(&table_lock);
	return found;
}

static void free_tty(struct tty *t)
{
	waitq_fini(&t->rd);
	waitq_fini(&t->wr);
	waitq_fini(&t->master_rd);
	waitq_fini(&t->master_wr);
	mutex_fini(&t->lock);
	free(t->in.buf);
	free(t->out.buf);
	free(t->n.echo.buf);
	if (t->console)
		t->console->gone(t->console_arg);
	free(t);
}

struct tty *tty_new(struct fs_ctx *c)
{
	struct tty *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	ref_init(&t->ref);
	mutex_init(&t->lock);
	waitq_init(&t->rd);
	waitq_init(&t->wr);
	waitq_init(&t->master_rd);
	waitq_init(&t->master_wr);
	list_init(&t->slaves);
	termios_default(&t->termios);
	n_tty_init(t);
	t->uid = c->cred->fsuid;
	t->gid = 5; /* "tty": as devpts is mounted */
	t->mode = 0620;
	t->refused = true;
	clock_gettime(CLOCK_REALTIME, &t->ctime);
	t->atime = t->mtime = t->ctime;
	if (!byteq_init(&t->in, TTY_QUEUE) || !byteq_init(&t->out, TTY_QUEUE) || !byteq_init(&t->n.echo, TTY_ECHO) || !take_index(t)) {
		free_tty(t);
		return NULL;
	}
	return t;
}

struct tty *tty_get(struct tty *t)
{
	ref_get(&t->ref);
	return t;
}

void tty_put(struct tty *t)
{
	if (t && ref_put(&t->ref))
		free_tty(t);
}

void tty_forget_if_unused(struct tty *t)
{
	bool unused;

	mutex_lock(&t->lock);
	unused = t->master_closed && list_empty(&t->slaves);
	mutex_unlock(&t->lock);
	if (!unused)
		return;
	mutex_lock(&table_lock);
	if (table[t->index] == t)
		table[t->index] = NULL;
	mutex_unlock(&table_lock);
}

/* The table does not count: what is in it has files, and those who look hold table_lock. */
static struct tty *named_locked(int index)
{
	struct tty *t = table[index];

	return t && !t->unlinked ? t : NULL;
}

struct tty *tty_find(int index)
{
	struct tty *t;

	if (index < 0 || index >= TTY_PTY_MAX)
		return NULL;
	mutex_lock(&table_lock);
	t = named_locked(index);
	if (t)
		tty_get(t);
	mutex_unlock(&table_lock);
	return t;
}

int tty_next(int index)
{
	int found = -1;

	mutex_lock(&table_lock);
	for (int i = MAX(index, 0); i < TTY_PTY_MAX && found < 0; i++)
		if (named_locked(i))
			found = i;
	mutex_unlock(&table_lock);
	return found;
}

unsigned tty_count(void)
{
	unsigned n = 0;

	mutex_lock(&table_lock);
	for (int i = 0; i < TTY_PTY_MAX; i++)
		n += table[i] != NULL;
	mutex_unlock(&table_lock);
	return n;
}

int tty_index(const struct tty *t)
{
	return t->index;
}

dev_t tty_dev(const struct tty *t)
{
	return makedev(UNIX98_PTY_SLAVE_MAJOR + (unsigned)t->index / 256, (unsigned)t->index % 256);
}

void tty_touch_locked(struct timespec *ts)
{
	time_t now = time(NULL);

	if (now / TIME_STEP != ts->tv_sec / TIME_STEP)
		*ts = (struct timespec){ .tv_sec = now & ~(time_t)(TIME_STEP - 1) };
}

/* --- who it belongs to -------------------------------------------------------------------------------------- */

void tty_owner(struct tty *t, pid_t *ret_session, pid_t *ret_pgrp)
{
	mutex_lock(&t->lock);
	*ret_session = t->session;
	*ret_pgrp = t->pgrp;
	mutex_unlock(&t->lock);
}

void tty_set_owner(struct tty *t, pid_t session, pid_t pgrp)
{
	mutex_lock(&t->lock);
	t->session = session;
	t->pgrp = pgrp;
	mutex_unlock(&t->lock);
}

void tty_unlock(struct tty *t)
{
	uint64_t raise = t->raise;
	pid_t pgrp = t->pgrp;
	bool tell = t->told && t->console;

	t->raise = 0;
	t->told = false;
	mutex_unlock(&t->lock);
	for (int sig = 1; raise >> sig; sig++)
		if (tty_jobs && pgrp && (raise >> sig & 1))
			tty_jobs->signal_group(pgrp, sig);
	if (tell)
		t->console->changed(t->console_arg);
}

int tty_sleep_locked(struct tty *t, struct waitq *wq, struct deadline until)
{
	if (!t->raise && !t->told)
		return waitq_sleep(wq, &t->lock, until);
	tty_unlock(t);
	tty_lock(t);
	return 0;
}

int tty_check_change(struct tty *t)
{
	return tty_jobs ? tty_jobs->check(t, SIGTTOU) : 0;
}

/* --- waking ---------------------------------------------------------------------------------------------------- */

static void wake_slaves_locked(struct tty *t, uint32_t events)
{
	struct tty_file *f;

	mutex_assert_held(&t->lock);
	list_for_each(f, &t->slaves, node)
		waitq_wake(&f->file.wq, events);
}

void tty_wake_readers_locked(struct tty *t, uint32_t events)
{
	waitq_wake(&t->rd, 0);
	wake_slaves_locked(t, events);
}

void tty_async_slaves_locked(struct tty *t, int code)
{
	struct tty_file *f;

	mutex_assert_held(&t->lock);
	list_for_each(f, &t->slaves, node)
		if (!f->hung)
			file_async(&f->file, code);
}

void tty_async_master_locked(struct tty *t, int code)
{
	mutex_assert_held(&t->lock);
	if (t->master)
		file_async(t->master, code);
}

/* __tty_fasync(): whoever reads the terminal. */
pid_t tty_async_group(struct file *f)
{
	struct tty *t = container_of(f, struct tty_file, file)->tty;
	pid_t session, pgrp;

	tty_owner(t, &session, &pgrp);
	return pgrp;
}

void tty_wake_writers_locked(struct tty *t, uint32_t events)
{
	waitq_wake(&t->wr, 0);
	wake_slaves_locked(t, events);
	if (!t->n.short_out)
		return;
	t->n.short_out = false;
	tty_async_slaves_locked(t, POLL_OUT);
}

void tty_wake_master_locked(struct tty *t, uint32_t events)
{
	mutex_assert_held(&t->lock);
	t->told = true;
	if (events & (EPOLLIN | EPOLLHUP))
		waitq_wake(&t->master_rd, 0);
	if (events & (EPOLLOUT | EPOLLHUP))
		waitq_wake(&t->master_wr, 0);
	if (t->master)
		waitq_wake(&t->master->wq, events);
	if ((events & EPOLLOUT) && t->master_short) {
		t->master_short = false;
		tty_async_master_locked(t, POLL_OUT);
	}
}

void tty_want_input_locked(struct tty *t)
{
	if (!t->console || t->wanted)
		return;
	t->wanted = true;
	t->told = true;
}

/* --- flow control ------------------------------------------------------------------------------------------------- */

void tty_status_locked(struct tty *t, uint8_t clear, uint8_t set)
{
	if (!t->packet)
		return;
	t->status = (uint8_t)((t->status & ~clear) | set);
	tty_wake_master_locked(t, EPOLLIN | EPOLLPRI | EPOLLRDNORM);
}

void tty_stop_locked(struct tty *t)
{
	if (t->stopped)
		return;
	t->stopped = true;
	tty_status_locked(t, TIOCPKT_START, TIOCPKT_STOP);
}

void tty_start_locked(struct tty *t)
{
	if (!t->stopped || t->stopped_by_call)
		return;
	t->stopped = false;
	tty_status_locked(t, TIOCPKT_STOP, TIOCPKT_START);
	tty_wake_writers_locked(t, EPOLLOUT | EPOLLWRNORM);
}

void tty_resize(struct tty *t, const struct winsize *ws)
{
	tty_lock(t);
	if (memcmp(ws, &t->ws, sizeof(*ws))) {
		t->ws = *ws;
		tty_raise_locked(t, SIGWINCH);
	}
	tty_unlock(t);
}

/* --- the end ------------------------------------------------------------------------------------------------------- */

void tty_hangup(struct tty *t)
{
	struct tty_file *f;

	tty_lock(t);
	list_for_each(f, &t->slaves, node)
		f->hung = true;
	n_tty_flush_input_locked(t);
	t->status = 0;
	tty_wake_readers_locked(t, EPOLLIN | EPOLLRDNORM | EPOLLHUP | EPOLLERR);
	tty_wake_writers_locked(t, EPOLLOUT | EPOLLWRNORM | EPOLLHUP);
	tty_unlock(t);
	if (tty_jobs)
		tty_jobs->hung_up(t);
}
