/* SPDX-License-Identifier: MIT */
/* Requests to terminals beside their settings: ioctl_tty(2). drivers/tty/tty_io.c, tty_ioctl.c, pty.c. */
#include <linux/capability.h>
#include <linux/tty.h>
#include <signal.h>
#include <sys/sysmacros.h>

#include "emul/mm/mm.h"
#include "emul/vfs/fdtab.h"
#include "emul/vfs/inode.h"
#include "emul/vfs/tty/tty_internal.h"

static long put_int(const struct ioctl_ctx *c, gva_t arg, int val)
{
	return guest_write(c->mm, arg, &val);
}

static bool admin(const struct ioctl_ctx *c)
{
	return cred_capable(c->fsc->cred, CAP_SYS_ADMIN);
}

/* The master is nobody's controlling terminal: only the slave's users are kept in the background. */
static int check_change(struct tty *t, bool master)
{
	return master ? 0 : tty_check_change(t);
}

/* --- queues and flow ----------------------------------------------------------------------------------- */

static long flush_queues(struct tty *t, bool master, gva_t what)
{
	int r = check_change(t, master);

	if (r < 0)
		return r;
	if (what != TCIFLUSH && what != TCOFLUSH && what != TCIOFLUSH)
		return -EINVAL;
	tty_lock(t);
	if (what != TCOFLUSH) {
		if (master) /* the rest is not in its discipline yet */
			t->out.tail += MIN(byteq_used(&t->out), (size_t)N_TTY_ROOM);
		else
			n_tty_flush_input_locked(t);
		n_tty_receive_locked(t);
	}
	if (what != TCIFLUSH) {
		if (master)
			t->in.tail = t->in.head;
		else
			n_tty_flush_output_locked(t);
	}
	tty_unlock(t);
	return 0;
}

static void flow_output_locked(struct tty *t, bool master, bool stop)
{
	if (master) {
		t->master_stopped = stop;
		if (!stop)
			tty_wake_master_locked(t, EPOLLOUT | EPOLLWRNORM);
	} else if (stop) {
		t->stopped_by_call = true;
		tty_stop_locked(t);
	} else if (t->stopped_by_call) {
		t->stopped_by_call = false;
		tty_start_locked(t);
	}
}

static void put_output_locked(struct tty *t, uint8_t c)
{
	if (!byteq_room(&t->out))
		return;
	byteq_put(&t->out, &c, 1);
	tty_wake_master_locked(t, EPOLLIN | EPOLLRDNORM);
}

/*
 * TCIOFF, TCION: the terminal itself sends STOP or START, to who types. tty_send_xchar(): past what ^S has stopped, but
 * not past TCOOFF. The master's own characters are the usual ones.
 */
static void flow_input_locked(struct tty *t, bool master, bool stop)
{
	bool stopped = t->stopped;
	uint8_t c = master ? (stop ? 023 : 021) : t->termios.c_cc[stop ? VSTOP : VSTART];

	if (c == TTY_DISABLED || (master ? t->master_stopped : t->stopped_by_call))
		return;
	if (master) {
		if (byteq_room(&t->in))
			byteq_put(&t->in, &c, 1);
		n_tty_receive_locked(t);
		return;
	}
	if (stopped)
		tty_start_locked(t);
	put_output_locked(t, c);
	if (stopped)
		tty_stop_locked(t);
}

static long flow(struct tty *t, bool master, gva_t what)
{
	int r = check_change(t, master);

	if (r < 0)
		return r;
	if (what > TCION)
		return -EINVAL;
	tty_lock(t);
	switch (what) {
	case TCOOFF:
	case TCOON: flow_output_locked(t, master, what == TCOOFF); break;
	case TCIOFF: flow_input_locked(t, master, true); break;
	default: flow_input_locked(t, master, false); break;
	}
	tty_unlock(t);
	return 0;
}

static long count_input(struct tty *t, bool master, gva_t arg, const struct ioctl_ctx *c)
{
	size_t n;

	tty_lock(t);
	n = master ? MIN(byteq_used(&t->out), (size_t)N_TTY_ROOM) : n_tty_input_count_locked(t);
	tty_unlock(t);
	return put_int(c, arg, (int)n);
}

/* --- what it is ------------------------------------------------------------------------------------------- */

static long get_size(struct tty *t, gva_t arg, const struct ioctl_ctx *c)
{
	struct winsize ws;

	tty_lock(t);
	ws = t->ws;
	tty_unlock(t);
	return guest_write(c->mm, arg, &ws);
}

static long set_size(struct tty *t, gva_t arg, const struct ioctl_ctx *c)
{
	struct winsize ws;

	if (guest_read(c->mm, &ws, arg) < 0)
		return -EFAULT;
	tty_resize(t, &ws);
	return 0;
}

/* Other disciplines than N_TTY are not there, as on a kernel without their modules. */
static long set_discipline(struct tty *t, bool master, gva_t arg, const struct ioctl_ctx *c)
{
	int n, r;

	if (guest_read(c->mm, &n, arg) < 0)
		return -EFAULT;
	r = check_change(t, master);
	if (r < 0)
		return r;
	return n == N_TTY ? 0 : -EINVAL;
}

static long set_flag(struct tty *t, bool *flag, gva_t arg, const struct ioctl_ctx *c)
{
	int on;

	if (guest_read(c->mm, &on, arg) < 0)
		return -EFAULT;
	tty_lock(t);
	*flag = on;
	tty_unlock(t);
	return 0;
}

static long get_flag(struct tty *t, const bool *flag, gva_t arg, const struct ioctl_ctx *c)
{
	bool on;

	tty_lock(t);
	on = *flag;
	tty_unlock(t);
	return put_int(c, arg, on);
}

static long set_exclusive(struct tty *t, bool on)
{
	tty_lock(t);
	t->exclusive = on;
	tty_unlock(t);
	return 0;
}

static long device_number(struct tty *t, gva_t arg, const struct ioctl_ctx *c)
{
	dev_t dev = tty_dev(t);
	unsigned n = (minor(dev) & 0xff) | major(dev) << 8 | (minor(dev) & ~0xffu) << 12;

	return guest_write(c->mm, arg, &n);
}

/* --- typing by call, signals ------------------------------------------------------------------------------ */

/* dev.tty.legacy_tiocsti is 1 here: allowed on one's own terminal. On the master it is the master that reads the byte. */
static long type_one(struct tty *t, bool master, gva_t arg, const struct ioctl_ctx *c)
{
	uint8_t ch;

	if (!admin(c) && (master || !(tty_jobs && tty_jobs->owned(t))))
		return -EPERM;
	if (copy_from_guest(c->mm, &ch, arg, 1) < 0)
		return -EFAULT;
	tty_lock(t);
	if (master)
		put_output_locked(t, ch);
	else if (byteq_room(&t->in))
		byteq_put(&t->in, &ch, 1);
	n_tty_receive_locked(t);
	tty_unlock(t);
	return 0;
}

static long set_packet(struct tty *t, gva_t arg, const struct ioctl_ctx *c)
{
	int on;

	if (guest_read(c->mm, &on, arg) < 0)
		return -EFAULT;
	tty_lock(t);
	if (on && !t->packet)
		t->status = 0;
	t->packet = on;
	tty_unlock(t);
	return 0;
}

static long send_signal(struct tty *t, int sig)
{
	if (sig != SIGINT && sig != SIGQUIT && sig != SIGTSTP)
		return -EINVAL;
	tty_lock(t);
	tty_raise_locked(t, sig);
	tty_unlock(t);
	return 0;
}

static long open_peer(struct tty *t, int flags, const struct ioctl_ctx *c)
{
	AUTO_PATH p = PATH_INIT;
	AUTO(file) f = NULL;
	int r = devpts_path(c->fsc->vfs, t, &p);

	if (r == 0)
		r = tty_open(t, c->fsc, (unsigned)flags, &f);
	if (r < 0)
		return r;
	file_set_path(f, &p);
	return fdtab_install(c->fds, f, flags & O_CLOEXEC, 0, c->limit_nofile);
}

/* --- the switch --------------------------------------------------------------------------------------------- */

static long pair_ioctl(struct tty *t, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	switch (cmd) {
	case TIOCSPTLCK: return set_flag(t, &t->refused, arg, c);
	case TIOCGPTLCK: return get_flag(t, &t->refused, arg, c);
	case TIOCPKT: return set_packet(t, arg, c);
	case TIOCGPKT: return get_flag(t, &t->packet, arg, c);
	case TIOCGPTN: return put_int(c, arg, t->index);
	case TIOCSIG: return send_signal(t, (int)arg);
	case TIOCGPTPEER: return open_peer(t, (int)arg, c);
	default: return -ENOIOCTL;
	}
}

static long line_ioctl(struct tty *t, bool master, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	int r;

	switch (cmd) {
	case TCFLSH: return flush_queues(t, master, arg);
	case TCXONC: return flow(t, master, arg);
	case FIONREAD: return count_input(t, master, arg, c);
	case TIOCOUTQ: return put_int(c, arg, 0); /* what is written is with the master at once */
	case TCSBRK:
	case TCSBRKP:
	case TIOCSBRK:
	case TIOCCBRK: /* no wire to break */
		r = check_change(t, master);
		return r;
	default: return -ENOIOCTL;
	}
}

static long state_ioctl(struct tty *t, bool master, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	switch (cmd) {
	case TIOCGWINSZ: return get_size(t, arg, c);
	case TIOCSWINSZ: return set_size(t, arg, c);
	case TIOCGETD: return put_int(c, arg, N_TTY);
	case TIOCSETD: return set_discipline(t, master, arg, c);
	case TIOCEXCL: return set_exclusive(t, true);
	case TIOCNXCL: return set_exclusive(t, false);
	case TIOCGEXCL: return get_flag(t, &t->exclusive, arg, c);
	case TIOCGDEV: return device_number(t, arg, c);
	case TIOCSTI: return type_one(t, master, arg, c);
	case TIOCGPTPEER: return -EIO; /* the slave's peer is the master */
	case TIOCVHANGUP:
		if (!admin(c))
			return -EPERM;
		tty_hangup(t);
		return 0;
	default: return -ENOIOCTL;
	}
}

long tty_ioctl(struct tty_file *f, bool master, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	struct tty *t = f->tty;
	long r;

	switch (cmd) {
	case TIOCSCTTY:
	case TIOCNOTTY:
	case TIOCSPGRP:
	case TIOCGPGRP:
	case TIOCGSID:
		return tty_jobs ? tty_jobs->control(t, file_readable(&f->file), master, cmd, arg, c) : -ENOTTY;
	default:
		break;
	}
	r = master ? pair_ioctl(t, cmd, arg, c) : -ENOIOCTL;
	if (r == -ENOIOCTL)
		r = tty_termios_ioctl(t, cmd, arg, c);
	if (r == -ENOIOCTL)
		r = line_ioctl(t, master, cmd, arg, c);
	if (r == -ENOIOCTL)
		r = state_ioctl(t, master, cmd, arg, c);
	return r == -ENOIOCTL ? -ENOTTY : r;
}
