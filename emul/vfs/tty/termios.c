/* SPDX-License-Identifier: MIT */
/* The settings of a terminal, in their three shapes: termio, termios, termios2. drivers/tty/tty_ioctl.c. */
#include <linux/capability.h>

#include "emul/mm/mm.h"
#include "emul/vfs/tty/tty_internal.h"

#define TERMIO_SIZE 18 /* as the program's: struct termio has a byte of padding in other places */
#define TERMIO_CC 8

void termios_default(struct termios2 *ret)
{
	*ret = (struct termios2){
		.c_iflag = ICRNL | IXON,
		.c_oflag = OPOST | ONLCR,
		.c_cflag = B38400 | CS8 | CREAD,
		.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
		.c_ispeed = 38400,
		.c_ospeed = 38400,
		.c_cc = { [VINTR] = 3, [VQUIT] = 28, [VERASE] = 127, [VKILL] = 21, [VEOF] = 4, [VMIN] = 1,
			  [VSTART] = 17, [VSTOP] = 19, [VSUSP] = 26, [VREPRINT] = 18, [VDISCARD] = 15,
			  [VWERASE] = 23, [VLNEXT] = 22 },
	};
}

/* --- speeds: they have no meaning here, but are kept as everywhere -------------------------------------- */

static const speed_t speeds[] = {
	0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400,
	0 /* BOTHER */, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000,
	2500000, 3000000, 3500000, 4000000,
};

static speed_t speed_of(tcflag_t code, speed_t other)
{
	if (code == BOTHER)
		return other;
	return speeds[code & CBAUDEX ? 16 + (code & 15) : code & 15];
}

static void find_speeds(struct termios2 *k)
{
	tcflag_t in = (k->c_cflag >> IBSHIFT) & CBAUD;

	k->c_ospeed = speed_of(k->c_cflag & CBAUD, k->c_ospeed);
	k->c_ispeed = in == B0 ? k->c_ospeed : speed_of(in, k->c_ispeed);
}

/* --- shapes ------------------------------------------------------------------------------------------------ */

enum shape { TERMIO, TERMIOS, TERMIOS2 };

static int read_settings(struct mm *mm, gva_t arg, enum shape shape, struct termios2 *k)
{
	struct { uint16_t iflag, oflag, cflag, lflag; uint8_t line, cc[TERMIO_CC + 1]; } old;
	struct termios s;

	_Static_assert(sizeof(old) == TERMIO_SIZE, "struct termio");
	switch (shape) {
	case TERMIOS2:
		return guest_read(mm, k, arg);
	case TERMIOS:
		if (guest_read(mm, &s, arg) < 0)
			return -EFAULT;
		memcpy(k, &s, sizeof(s)); /* termios2 begins with it */
		return 0;
	case TERMIO:
		if (guest_read(mm, &old, arg) < 0)
			return -EFAULT;
		k->c_iflag = (k->c_iflag & 0xffff0000) | old.iflag;
		k->c_oflag = (k->c_oflag & 0xffff0000) | old.oflag;
		k->c_cflag = (k->c_cflag & 0xffff0000) | old.cflag;
		k->c_lflag = (k->c_lflag & 0xffff0000) | old.lflag;
		k->c_line = old.line;
		memcpy(k->c_cc, old.cc, TERMIO_CC);
		return 0;
	}
	return -EINVAL;
}

static int write_settings(struct mm *mm, gva_t arg, enum shape shape, const struct termios2 *k)
{
	struct { uint16_t iflag, oflag, cflag, lflag; uint8_t line, cc[TERMIO_CC + 1]; } old = {
		(uint16_t)k->c_iflag, (uint16_t)k->c_oflag, (uint16_t)k->c_cflag, (uint16_t)k->c_lflag, k->c_line, { 0 },
	};

	switch (shape) {
	case TERMIOS2: return guest_write(mm, arg, k);
	case TERMIOS: return copy_to_guest(mm, arg, k, sizeof(struct termios));
	case TERMIO:
		memcpy(old.cc, k->c_cc, TERMIO_CC);
		return guest_write(mm, arg, &old);
	}
	return -EINVAL;
}

/* --- setting ------------------------------------------------------------------------------------------------- */

static void keep_locked(struct termios2 *k, const struct termios2 *old, const struct termios2 *mask)
{
	k->c_iflag = (k->c_iflag & ~mask->c_iflag) | (old->c_iflag & mask->c_iflag);
	k->c_oflag = (k->c_oflag & ~mask->c_oflag) | (old->c_oflag & mask->c_oflag);
	k->c_cflag = (k->c_cflag & ~mask->c_cflag) | (old->c_cflag & mask->c_cflag);
	k->c_lflag = (k->c_lflag & ~mask->c_lflag) | (old->c_lflag & mask->c_lflag);
	k->c_line = mask->c_line ? old->c_line : k->c_line;
	for (int i = 0; i < NCCS; i++)
		k->c_cc[i] = mask->c_cc[i] ? old->c_cc[i] : k->c_cc[i];
}

static bool usual_flow_control(const struct termios2 *k)
{
	return (k->c_iflag & IXON) && k->c_cc[VSTART] == 021 && k->c_cc[VSTOP] == 023;
}

/* TIOCPKT: the master learns of changes that it may act on itself. */
static void tell_master(struct tty *t, const struct termios2 *old)
{
	bool was = usual_flow_control(old), is = usual_flow_control(&t->termios);
	uint8_t extproc = (old->c_lflag | t->termios.c_lflag) & EXTPROC ? TIOCPKT_IOCTL : 0;

	if (was != is)
		tty_status_locked(t, TIOCPKT_DOSTOP | TIOCPKT_NOSTOP, (is ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP) | extproc);
	else if (extproc)
		tty_status_locked(t, 0, extproc);
}

void termios_set_locked(struct tty *t, const struct termios2 *k)
{
	struct termios2 old = t->termios;

	t->termios = *k;
	keep_locked(&t->termios, &old, &t->termios_locked);
	t->termios.c_cflag = (k->c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8 | CREAD; /* no wire, no parity */
	tell_master(t, &old);
	tty_want_input_locked(t);
	n_tty_mode_changed_locked(t, &old);
}

static long set(struct tty *t, gva_t arg, enum shape shape, bool flush, struct mm *mm)
{
	struct termios2 k;
	int r = tty_check_change(t);

	if (r < 0)
		return r;
	tty_lock(t);
	k = t->termios;
	tty_unlock(t);
	if (read_settings(mm, arg, shape, &k) < 0)
		return -EFAULT;
	find_speeds(&k);
	tty_lock(t);
	if (flush)
		n_tty_flush_input_locked(t);
	termios_set_locked(t, &k);
	tty_unlock(t);
	return 0;
}

static long get(struct tty *t, gva_t arg, enum shape shape, struct mm *mm)
{
	struct termios2 k;

	tty_lock(t);
	k = t->termios;
	tty_unlock(t);
	return write_settings(mm, arg, shape, &k);
}

static long get_mask(struct tty *t, gva_t arg, struct mm *mm)
{
	struct termios2 k;

	tty_lock(t);
	k = t->termios_locked;
	tty_unlock(t);
	return write_settings(mm, arg, TERMIOS, &k);
}

static long set_mask(struct tty *t, gva_t arg, const struct ioctl_ctx *c)
{
	struct termios2 k = { 0 };

	if (!cred_capable(c->fsc->cred, CAP_SYS_ADMIN))
		return -EPERM;
	if (read_settings(c->mm, arg, TERMIOS, &k) < 0)
		return -EFAULT;
	tty_lock(t);
	t->termios_locked = k;
	tty_unlock(t);
	return 0;
}

static long soft_carrier(struct tty *t, gva_t arg, bool set_it, struct mm *mm)
{
	int on;

	if (set_it) {
		if (guest_read(mm, &on, arg) < 0)
			return -EFAULT;
		tty_lock(t);
		t->termios.c_cflag = (t->termios.c_cflag & ~(tcflag_t)CLOCAL) | (on ? CLOCAL : 0);
		tty_unlock(t);
		return 0;
	}
	tty_lock(t);
	on = !!(t->termios.c_cflag & CLOCAL);
	tty_unlock(t);
	return guest_write(mm, arg, &on);
}

/* Waiting for output to be shown (the W forms) takes no time: what is written is with the master at once. */
long tty_termios_ioctl(struct tty *t, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	switch (cmd) {
	case TCGETS: return get(t, arg, TERMIOS, c->mm);
	case TCSETS:
	case TCSETSW: return set(t, arg, TERMIOS, false, c->mm);
	case TCSETSF: return set(t, arg, TERMIOS, true, c->mm);
	case TCGETS2: return get(t, arg, TERMIOS2, c->mm);
	case TCSETS2:
	case TCSETSW2: return set(t, arg, TERMIOS2, false, c->mm);
	case TCSETSF2: return set(t, arg, TERMIOS2, true, c->mm);
	case TCGETA: return get(t, arg, TERMIO, c->mm);
	case TCSETA:
	case TCSETAW: return set(t, arg, TERMIO, false, c->mm);
	case TCSETAF: return set(t, arg, TERMIO, true, c->mm);
	case TIOCGLCKTRMIOS: return get_mask(t, arg, c->mm);
	case TIOCSLCKTRMIOS: return set_mask(t, arg, c);
	case TIOCGSOFTCAR: return soft_carrier(t, arg, false, c->mm);
	case TIOCSSOFTCAR: return soft_carrier(t, arg, true, c->mm);
	default: return -ENOIOCTL;
	}
}
