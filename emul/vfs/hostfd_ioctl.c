/* SPDX-License-Identifier: MIT */
/*
 * ioctl(2) on descriptors of vmrun's caller: a list of calls that read or set the state of a terminal
 * or count bytes. Left out on purpose: TIOCSTI (types into the caller's shell), TIOCSCTTY and
 * process groups (the guest's are not the host's), TIOCCONS, TIOCLINUX.
 */
/* host syscalls: ioctl */
#include <asm/termbits.h>
#include <sys/ioctl.h>

#include "emul/base/err.h"
#include "emul/mm/mm.h"
#include "emul/vfs/hostfd.h"

struct passed {
	unsigned cmd;
	unsigned char in, out; /* bytes behind the argument; neither: the argument is a number */
};

#define TERMIO_SIZE 18 /* struct termio: 4 shorts, a byte, 8 control characters */
#define TERMIO_ROOM 32

static const struct passed passed[] = {
	{ TCGETS, 0, sizeof(struct termios) },
	{ TCSETS, sizeof(struct termios), 0 },
	{ TCSETSW, sizeof(struct termios), 0 },
	{ TCSETSF, sizeof(struct termios), 0 },
	{ TCGETS2, 0, sizeof(struct termios2) },
	{ TCSETS2, sizeof(struct termios2), 0 },
	{ TCSETSW2, sizeof(struct termios2), 0 },
	{ TCSETSF2, sizeof(struct termios2), 0 },
	{ TCGETA, 0, TERMIO_SIZE },
	{ TCSETA, TERMIO_SIZE, 0 },
	{ TCSETAW, TERMIO_SIZE, 0 },
	{ TCSETAF, TERMIO_SIZE, 0 },
	{ TCSBRK, 0, 0 },
	{ TCXONC, 0, 0 },
	{ TCFLSH, 0, 0 },
	{ TIOCGWINSZ, 0, sizeof(struct winsize) },
	{ TIOCSWINSZ, sizeof(struct winsize), 0 },
	{ TIOCGETD, 0, sizeof(int) },
	{ TIOCOUTQ, 0, sizeof(int) },
	{ FIONREAD, 0, sizeof(int) },
};

static long pass(int fd, const struct passed *p, gva_t arg, struct mm *mm)
{
	char buf[sizeof(struct termios2) + TERMIO_ROOM] = { 0 };
	long r;

	if (!p->in && !p->out)
		return HOST(ioctl(fd, p->cmd, (unsigned long)arg));
	if (p->in && copy_from_guest(mm, buf, arg, p->in) < 0)
		return -EFAULT;
	r = HOST(ioctl(fd, p->cmd, buf));
	if (r >= 0 && p->out && copy_to_guest(mm, arg, buf, p->out) < 0)
		return -EFAULT;
	return r;
}

long hostfd_ioctl(int fd, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
		if (passed[i].cmd == cmd)
			return pass(fd, &passed[i], arg, c->mm);
	return -ENOTTY;
}
