/* SPDX-License-Identifier: MIT */
/*
 * Terminals: pseudo terminals (pty(7)) with the line discipline N_TTY in between, and the console, which is
 * one whose master is not a program but vmrun's caller.
 *
 *   tty.c      life, locking, waking, hanging up       slave.c  open files of a terminal     master.c  /dev/ptmx
 *   n_tty_in.c what is typed: editing, signals         n_tty_out.c  echo and output processing
 *   n_tty_read.c  read(2) and poll(2) of input         termios.c    settings        ioctl.c  all other requests
 *   devpts.c   /dev/pts                                console.c    the host's side of the console
 *
 * Both sides of a pair live in one `struct tty` with one lock. Sessions and process groups are numbers here;
 * what they mean is told by the hooks of emul/vfs/hooks.h (emul/proc/ctty.c), which are called without tty->lock.
 *
 * Lock order: tasks_lock -> tty->lock -> waitq->lock. The table of terminals has a lock that is held alone.
 */
#ifndef EMUL_VFS_TTY_TTY_H
#define EMUL_VFS_TTY_TTY_H

#include <stdint.h>
#include <sys/types.h>

#include "emul/base/auto.h"

struct file;
struct fs_ctx;
struct super;
struct termios2;
struct tty;
struct vfs;
struct winsize;

struct tty *tty_get(struct tty *t);
void tty_put(struct tty *t);
DEFINE_AUTO(tty, tty_put);

#define TTY_PTY_MAX 1024   /* pairs at a time: each has some 50 KiB of the VMM's memory */
unsigned tty_count(void);  /* of them are in use */
dev_t tty_dev(const struct tty *t); /* of the slave: tty_nr in /proc/PID/stat */
/* Session and foreground group that the terminal belongs to; 0: none. For emul/proc, which holds tasks_lock. */
void tty_owner(struct tty *t, pid_t *ret_session, pid_t *ret_pgrp);
void tty_set_owner(struct tty *t, pid_t session, pid_t pgrp);
/* A new open file of the slave side. c NULL: nobody's controlling terminal comes of it. -EIO, -EBUSY, -ENOMEM. */
int tty_open(struct tty *t, struct fs_ctx *c, unsigned flags, struct file **ret);
/* All open files of the slave are dead from now on, its session loses it. No lock held. */
void tty_hangup(struct tty *t);

/* --- devpts.c --------------------------------------------------------------------------------------------- */
int devpts_new(struct vfs *v, struct super **ret);
int ptmx_open(struct fs_ctx *c, unsigned flags, struct file **ret); /* -ENOSPC: too many */

/* --- console.c: a pair whose master side the host holds ---------------------------------------------------- */
struct tty_console_ops {
	void (*changed)(void *arg); /* without locks: there is output to take, room for input again, input is wanted, or nothing is open */
	void (*gone)(void *arg);    /* the terminal is freed: nothing is called any more */
};
/* settings and size as on the caller's terminal. ops, arg: constant. The caller gets a reference. */
int tty_console_new(struct fs_ctx *c, const struct termios2 *settings, const struct winsize *ws,
		    const struct tty_console_ops *ops, void *arg, struct tty **ret);
/* A new open file of it, with its name in /dev/pts as path: what the caller's descriptors become. */
int tty_console_open(struct tty *t, struct vfs *v, unsigned flags, struct file **ret);
/* Somebody has read, polled, or changed settings: what is typed is wanted from now on. changed() follows when it becomes true. */
bool tty_console_wanted(struct tty *t);
/* Somebody sleeps in a read(2) that needs what is typed. */
bool tty_console_reading(struct tty *t);
/* The host's terminal does the output processing itself: it is not raw. */
void tty_console_host_processes(struct tty *t, bool yes);
void tty_console_set(struct tty *t, const struct termios2 *settings);
size_t tty_console_pending(struct tty *t);                                  /* bytes to take */
size_t tty_console_take(struct tty *t, void *buf, size_t size);            /* output for the screen; 0: none */
/* Typed; less than len: full, changed() follows. echoed: the screen shows it already. */
size_t tty_console_give(struct tty *t, const void *buf, size_t len, bool echoed);
void tty_console_given(struct tty *t);                                      /* its echo has been taken: readers are told of it */
void tty_console_resize(struct tty *t, const struct winsize *ws);          /* SIGWINCH if it changed */
void tty_console_hangup(struct tty *t);                                    /* the caller's terminal is gone */
bool tty_console_unused(struct tty *t);                                    /* no program has it open */
int tty_index(const struct tty *t);                                        /* N of /dev/pts/N */

#endif
