/* SPDX-License-Identifier: MIT */
/* What layers above hang into vfs. */
#ifndef EMUL_VFS_HOOKS_H
#define EMUL_VFS_HOOKS_H

#include <stdbool.h>
#include <sys/types.h>

#include "emul/base/types.h"

struct file;
struct fs_ctx;
struct ioctl_ctx;
struct tty;

/* open(2) of /dev/tty: the caller's controlling terminal. NULL: nobody has one (-ENXIO). Set at boot. */
extern int (*tty_open_hook)(struct fs_ctx *c, unsigned flags, struct file **ret);

/*
 * What terminals ask of processes (emul/proc/ctty.c). Set at boot; NULL: there are none (unit tests).
 * All are called without locks. "The caller" is whose call runs on this thread.
 */
struct tty_jobs {
	void (*signal_group)(pid_t pgid, int sig);
	/* The caller is about to use t: sig (SIGTTIN, SIGTTOU) goes to its group if that is in the background.
	 * 0: go on; -EIO: it must not and would not stop; -ERESTARTSYS: stops. */
	int (*check)(struct tty *t, int sig);
	void (*opened)(struct tty *t, struct fs_ctx *c, bool readable); /* without O_NOCTTY: it may become the session's */
	void (*closed)(struct tty *t);  /* the last descriptor of the slave side or the master */
	void (*hung_up)(struct tty *t);
	bool (*owned)(struct tty *t);   /* it is the caller's controlling terminal */
	/* TIOCSCTTY, TIOCNOTTY, TIOCSPGRP, TIOCGPGRP, TIOCGSID. readable: the descriptor; master: it is the master's. */
	long (*control)(struct tty *t, bool readable, bool master, unsigned cmd, gva_t arg, const struct ioctl_ctx *c);
};
extern const struct tty_jobs *tty_jobs;

/* An event of a file for its owner, code as in file.h (emul/proc/sigio.c). No lock held. Set at boot; NULL: there are no processes. */
extern void (*file_signal_hook)(struct file *f, int code);

#endif
