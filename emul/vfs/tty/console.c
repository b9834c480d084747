/* SPDX-License-Identifier: MIT */
/* The console: a terminal whose master side is the terminal that vmrun was started on. vmm/console.c holds it. */
#include "emul/vfs/inode.h"
#include "emul/vfs/tty/tty_internal.h"

int tty_console_new(struct fs_ctx *c, const struct termios2 *settings, const struct winsize *ws,
		    const struct tty_console_ops *ops, void *arg, struct tty **ret)
{
	struct tty *t = tty_new(c);

	if (!t)
		return -ENOMEM;
	t->console = ops;
	t->console_arg = arg;
	t->termios = *settings;
	t->ws = *ws;
	t->refused = false;
	n_tty_init(t);
	*ret = t;
	return 0;
}

int tty_console_open(struct tty *t, struct vfs *v, unsigned flags, struct file **ret)
{
	AUTO_PATH p = PATH_INIT;
	int r = devpts_path(v, t, &p);

	if (r == 0)
		r = tty_open(t, NULL, flags, ret);
	if (r == 0)
		file_set_path(*ret, &p);
	return r;
}

bool tty_console_wanted(struct tty *t)
{
	bool yes;

	tty_lock(t);
	yes = t->wanted;
	tty_unlock(t);
	return yes;
}

bool tty_console_reading(struct tty *t)
{
	bool yes;

	tty_lock(t);
	yes = t->n.reading && !n_tty_readable_locked(t, false);
	tty_unlock(t);
	return yes;
}

void tty_console_host_processes(struct tty *t, bool yes)
{
	tty_lock(t);
	t->host_processes = yes;
	tty_unlock(t);
}

void tty_console_set(struct tty *t, const struct termios2 *settings)
{
	tty_lock(t);
	termios_set_locked(t, settings);
	tty_unlock(t);
}

size_t tty_console_pending(struct tty *t)
{
	size_t n;

	tty_lock(t);
	n = byteq_used(&t->out);
	tty_unlock(t);
	return n;
}

size_t tty_console_take(struct tty *t, void *buf, size_t size)
{
	bool was_full;
	size_t n;

	tty_lock(t);
	was_full = !n_tty_out_room_locked(t);
	n = byteq_get(&t->out, buf, size);
	if (n) {
		n_tty_flush_echo_locked(t);
		if (was_full)
			tty_wake_writers_locked(t, EPOLLOUT | EPOLLWRNORM);
		t->told = false; /* the caller is at it */
	}
	tty_unlock(t);
	return n;
}

size_t tty_console_give(struct tty *t, const void *buf, size_t len, bool echoed)
{
	tty_lock(t);
	if (echoed)
		n_tty_flush_echo_locked(t); /* of what came before */
	t->echoed = echoed;
	len = MIN(len, byteq_room(&t->in));
	byteq_put(&t->in, buf, len);
	t->giving = true;
	n_tty_receive_locked(t);
	t->giving = false;
	t->echoed = false;
	tty_unlock(t);
	return len;
}

void tty_console_given(struct tty *t)
{
	tty_lock(t);
	n_tty_tell_readers_locked(t);
	tty_unlock(t);
}

void tty_console_resize(struct tty *t, const struct winsize *ws)
{
	tty_resize(t, ws);
}

bool tty_console_unused(struct tty *t)
{
	bool yes;

	tty_lock(t);
	yes = list_empty(&t->slaves);
	tty_unlock(t);
	return yes;
}

void tty_console_hangup(struct tty *t)
{
	tty_lock(t);
	t->master_closed = true;
	t->unlinked = true;
	tty_unlock(t);
	tty_hangup(t);
	tty_forget_if_unused(t);
}
