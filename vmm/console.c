/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. Output: whoever makes some (a guest's write, an echo) is told by `changed`. Small pieces are gathered
 * for a moment and then written by the reactor: programs write screens in many pieces, and each one would cost a call
 * and wake the terminal's reader. Much at once is written on the spot. The host's descriptor never blocks, under
 * `lock`; what it does not take is kept and goes when the reactor sees it writable. Input: only the reactor reads; when the guest's queue is full it keeps the rest and looks again
 * when told that there is room.
 */
/* host syscalls: read write poll ioctl openat fcntl kcmp */
#include "vmm/console.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/base/loop.h"
#include "emul/base/mutex.h"
#include "emul/base/timer.h"
#include "emul/vfs/file.h"
#include "emul/vfs/tty/tty.h"

#define PIECE 4096
#define DRAIN_MS 2000
#define GATHER_NS 1000000 /* nobody sees it */

struct console {
	int fd;                  /* constant until detached, as tty and dev: our own non-blocking description, or a duplicate; -1: shut */
	unsigned dev;            /* TIOCGDEV: also of what was opened as /dev/tty */
	struct tty *tty;
	struct loop_watch watch;
	_Atomic bool on;         /* input is taken */
	_Atomic bool full;       /* the guest's queue was: come back when there is room */
	_Atomic bool posted;
	_Atomic bool shutting;
	_Atomic bool held;       /* output is */
	_Atomic bool wanted;     /* and that was told */
	struct termios2 settings; /* its front's thread: the host's terminal, as it was */
	_Atomic bool detached;   /* the caller has left */
	_Atomic bool gathering;  /* the timer will write */
	struct timer gather;

	struct mutex lock;
	struct console_user user; /* lock; wanted NULL: nobody is told any more */
	/* lock: output that the host did not take yet */
	char out[PIECE];
	size_t out_at, out_end;

	/* only the reactor: input that the guest did not take yet */
	char in[PIECE];
	size_t in_at, in_end;
	_Atomic size_t echoed;   /* the next so many bytes are on the screen already */

	/* only the booting thread: descriptors that were one description are one file inside */
	struct { int host_fd; struct file *file; } opened[8];
	unsigned nopened;
};

/* --- output ------------------------------------------------------------------------------------------- */

static ssize_t write_now(struct console *con)
{
	struct pollfd p = { .fd = con->fd, .events = POLLOUT };

	if (poll(&p, 1, 0) <= 0) /* the description may be one that blocks */
		return -EAGAIN;
	return HOST(write(con->fd, con->out + con->out_at, con->out_end - con->out_at));
}

static void pump_out(struct console *con)
{
	mutex_lock(&con->lock);
	while (con->fd >= 0 && !atomic_load(&con->held)) {
		ssize_t n;

		if (con->out_at == con->out_end) {
			con->out_at = 0;
			con->out_end = tty_console_take(con->tty, con->out, sizeof(con->out));
			if (!con->out_end)
				break;
		}
		n = write_now(con);
		if (n == -EINTR)
			continue;
		if (n == -EAGAIN)
			break;
		con->out_at = n < 0 ? con->out_end : con->out_at + (size_t)n; /* a terminal that is gone swallows it */
	}
	mutex_unlock(&con->lock);
}

void console_drain(struct console *con)
{
	struct pollfd p = { .fd = con->fd, .events = POLLOUT };

	for (;;) {
		bool left;

		pump_out(con);
		mutex_lock(&con->lock);
		left = con->out_at < con->out_end;
		mutex_unlock(&con->lock);
		if (!left || atomic_load(&con->held) || poll(&p, 1, DRAIN_MS) <= 0 || (p.revents & (POLLHUP | POLLERR)))
			return;
	}
}

void console_hold(struct console *con, bool yes)
{
	atomic_store(&con->held, yes);
	if (!yes)
		pump_out(con);
}

bool console_holds(struct console *con)
{
	bool yes;

	mutex_lock(&con->lock);
	yes = atomic_load(&con->held) && (con->out_at < con->out_end || tty_console_pending(con->tty));
	mutex_unlock(&con->lock);
	return yes;
}

/* --- input ---------------------------------------------------------------------------------------------- */

static bool is_gone(struct console *con)
{
	struct pollfd p = { .fd = con->fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP);
}

/* false: nothing more for now. */
static bool fill_in(struct console *con)
{
	struct pollfd p = { .fd = con->fd, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, 0) <= 0)
		return false;
	n = HOST(read(con->fd, con->in, sizeof(con->in)));
	if (n > 0) {
		con->in_at = 0;
		con->in_end = (size_t)n;
		return true;
	}
	/* EIO is also what a background reader gets. */
	if (n == 0 || (n == -EIO && is_gone(con))) {
		atomic_store(&con->on, false);
		tty_console_hangup(con->tty);
	}
	return n == -EINTR;
}

/* What was typed is shown before its reader may write something, by whatever way. */
static size_t give(struct console *con)
{
	size_t n = con->in_end - con->in_at, echoed = MIN(n, atomic_load(&con->echoed));

	n = tty_console_give(con->tty, con->in + con->in_at, echoed ? echoed : n, echoed);
	if (echoed)
		atomic_fetch_sub(&con->echoed, n);
	if (tty_console_pending(con->tty))
		pump_out(con);
	tty_console_given(con->tty);
	return n;
}

static void pump_in(struct console *con)
{
	while (atomic_load(&con->on)) {
		if (con->in_at == con->in_end && !fill_in(con))
			return;
		con->in_at += give(con);
		if (con->in_at == con->in_end)
			continue;
		atomic_store(&con->full, true); /* then try again: room that came before this was not told */
		con->in_at += give(con);
		if (con->in_at < con->in_end)
			return;
	}
}

static void posted_in(void *arg)
{
	struct console *con = arg;

	atomic_store(&con->posted, false);
	pump_in(con);
}

static void post_in(struct console *con)
{
	if (!atomic_exchange(&con->posted, true))
		loop_post(posted_in, con);
}

/* --- after the caller -------------------------------------------------------------------------------------- */

static void shut(void *arg)
{
	struct console *con = arg;
	struct console_user user;
	int fd;

	if (con->fd < 0)
		return;
	loop_watch_del(&con->watch);
	tty_console_hangup(con->tty); /* nobody opens it again */
	pump_out(con);
	mutex_lock(&con->lock);
	fd = con->fd;
	con->fd = -1;
	user = con->user;
	con->user.wanted = NULL;
	mutex_unlock(&con->lock);
	close(fd);
	user.gone(user.arg);
	tty_put(con->tty); /* maybe the last one, then tty_gone() follows */
}

static void post_shut(struct console *con)
{
	if (!atomic_exchange(&con->shutting, true))
		loop_post(shut, con);
}

static void free_console(void *arg)
{
	struct console *con = arg;

	timer_cancel_sync(&con->gather);
	mutex_fini(&con->lock);
	free(con);
}

/* What was posted before this must find it. */
static void tty_gone(void *arg)
{
	loop_post(free_console, arg);
}

/* --- events ----------------------------------------------------------------------------------------------- */

static void host_ready(struct loop_watch *w, uint32_t events)
{
	struct console *con = container_of(w, struct console, watch);

	pump_out(con);
	pump_in(con);
	if (atomic_load(&con->detached) && (events & (EPOLLHUP | EPOLLERR)))
		post_shut(con);
}

static void gathered(struct timer *t)
{
	struct console *con = container_of(t, struct console, gather);

	atomic_store(&con->gathering, false); /* first: what comes from now on arms it again */
	pump_out(con);
}

static void tell_wanted(struct console *con)
{
	mutex_lock(&con->lock);
	if (con->user.wanted)
		con->user.wanted(con->user.arg);
	mutex_unlock(&con->lock);
}

static void guest_changed(void *arg)
{
	struct console *con = arg;

	if (tty_console_pending(con->tty) >= PIECE)
		pump_out(con);
	else if (!atomic_exchange(&con->gathering, true))
		timer_arm(&con->gather, deadline_after(CLOCK_MONOTONIC, GATHER_NS));
	if (atomic_exchange(&con->full, false))
		post_in(con);
	if (!atomic_load(&con->wanted) && tty_console_wanted(con->tty) && !atomic_exchange(&con->wanted, true))
		tell_wanted(con);
	if (atomic_load(&con->detached) && tty_console_unused(con->tty))
		post_shut(con);
}

void console_host_processes(struct console *con, bool yes)
{
	tty_console_host_processes(con->tty, yes);
}

void console_settings(struct console *con, const struct termios2 *settings)
{
	con->settings = *settings;
	tty_console_set(con->tty, settings);
}

void console_echoed(struct console *con, size_t n)
{
	atomic_store(&con->echoed, n);
}

void console_input(struct console *con, bool on)
{
	atomic_store(&con->on, on);
	if (on)
		post_in(con);
}

/* --- the rest --------------------------------------------------------------------------------------------- */

bool console_reading(struct console *con)
{
	return tty_console_reading(con->tty);
}

void console_resize(struct console *con, const struct winsize *ws)
{
	tty_console_resize(con->tty, ws);
}

void console_opened(struct console *con)
{
	con->nopened = 0;
}

void console_detach(struct console *con, bool hangup)
{
	console_input(con, false);
	console_hold(con, false);
	console_host_processes(con, true);
	if (hangup) {
		ioctl(con->fd, TCSETS2, &con->settings);
		tty_console_hangup(con->tty);
	}
	atomic_store(&con->detached, true);
	if (hangup || tty_console_unused(con->tty))
		post_shut(con);
}

struct tty *console_tty(struct console *con)
{
	return con->tty;
}

bool console_is(struct console *con, int fd)
{
	unsigned dev;

	return ioctl(fd, TIOCGDEV, &dev) == 0 && dev == con->dev;
}

static bool same_description(int a, int b)
{
	return syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b) == 0;
}

int console_open(struct console *con, struct vfs *v, int fd, struct file **ret)
{
	int flags = (int)HOST(fcntl(fd, F_GETFL)), r;

	if (flags < 0)
		return flags;
	for (unsigned i = 0; i < con->nopened; i++)
		if (same_description(fd, con->opened[i].host_fd)) {
			*ret = file_get(con->opened[i].file);
			return 0;
		}
	r = tty_console_open(con->tty, v, (unsigned)flags, ret);
	if (r == 0 && con->nopened < ARRAY_SIZE(con->opened)) {
		con->opened[con->nopened].host_fd = fd;
		con->opened[con->nopened++].file = *ret; /* borrowed: the table of the first process holds it */
	}
	return r;
}

/* A description of our own: the caller's is shared with other programs, which do not expect it not to block. */
static int reopen(int fd)
{
	char link[64];
	int own;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	own = (int)HOST(open(link, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
	return own >= 0 ? own : (int)HOST(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

int console_new(struct fs_ctx *c, int fd, const struct console_user *user, struct console **ret)
{
	static const struct tty_console_ops ops = { guest_changed, tty_gone };
	struct console *con = calloc(1, sizeof(*con));
	struct termios2 settings;
	struct winsize ws = { 0 };
	int r;

	if (!con)
		return -ENOMEM;
	mutex_init(&con->lock);
	timer_init(&con->gather, gathered);
	r = (int)HOST(ioctl(fd, TCGETS2, &settings));
	if (r == 0)
		r = (int)HOST(ioctl(fd, TIOCGDEV, &con->dev));
	if (r == 0)
		r = con->fd = reopen(fd);
	if (r < 0) {
		free(con);
		return r;
	}
	con->user = *user;
	con->settings = settings;
	ioctl(fd, TIOCGWINSZ, &ws);
	r = tty_console_new(c, &settings, &ws, &ops, con, &con->tty);
	if (r == 0)
		r = loop_watch_add(&con->watch, con->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, host_ready);
	if (r < 0) {
		close(con->fd);
		free(con);
		return r;
	}
	console_host_processes(con, true);
	*ret = con;
	return 0;
}
