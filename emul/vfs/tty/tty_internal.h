/* SPDX-License-Identifier: MIT */
/* The inside of terminals, for emul/vfs/tty only. Everything named _locked wants tty->lock. */
#ifndef EMUL_VFS_TTY_INTERNAL_H
#define EMUL_VFS_TTY_INTERNAL_H

#include <asm/termbits.h>
#include <sys/ioctl.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/vfs/file.h"
#include "emul/vfs/hooks.h"
#include "emul/vfs/tty/tty.h"
#include "emul/vfs/vfs.h"

#define N_TTY_SIZE 4096    /* Linux's N_TTY_BUF_SIZE: the longest line */
#define N_TTY_ROOM 4095    /* what a read of the master gets at most, in one go */
#define TTY_QUEUE 16384    /* each way, outside of the line discipline */
#define TTY_ECHO 8192      /* echoes that wait for room, two bytes each */
#define TTY_ECHO_MANY 512  /* they do not wait for the end of what was typed */
#define OUT_SPARE 8        /* one character with its output processing */
#define TTY_DISABLED 0     /* _POSIX_VDISABLE */

/* A ring of bytes; size is a power of two; head and tail only grow. */
struct byteq { uint8_t *buf; size_t size, head, tail; };
static inline size_t byteq_used(const struct byteq *q) { return q->head - q->tail; }
static inline size_t byteq_room(const struct byteq *q) { return q->size - byteq_used(q); }
void byteq_put(struct byteq *q, const void *src, size_t n); /* n <= room */
size_t byteq_get(struct byteq *q, void *dst, size_t n);     /* up to n */

/* The line discipline. head, tail and kin are positions that only grow; [pos % N_TTY_SIZE] is the place. */
struct n_tty {
	uint8_t buf[N_TTY_SIZE];
	uint8_t ends[N_TTY_SIZE / 8]; /* here a line ends */
	size_t head, tail;
	size_t canon;                 /* canonical mode: up to here lines are complete */
	bool canonical;               /* the mode that buf was filled in */
	bool literal;                 /* VLNEXT was typed */
	bool erasing;                 /* ECHOPRT: between \ and / */
	bool short_out;               /* a write had to leave something: who can go on with it is told */
	bool reading, writing;        /* one read(2), one write(2) at a time */
	unsigned column, canon_column;
	struct byteq echo;
};

struct tty {
	struct ref ref;
	int index;                    /* constant, as console ops */
	const struct tty_console_ops *console;
	void *console_arg;

	struct mutex lock;
	/* lock: */
	struct termios2 termios, termios_locked;
	struct winsize ws;
	pid_t session, pgrp;
	uint64_t raise;               /* signals for pgrp, sent by tty_unlock() */
	bool told;                    /* the console is to be told, by tty_unlock() */
	bool wanted;                  /* console: its input is */
	bool host_processes;          /* console: OPOST is done outside */
	bool echoed;                  /* console: what comes is on the screen already */
	bool giving;                  /* console: readers are not told of what comes before its echo is shown */
	bool untold, untold_async;    /* and these are to be: of input; by SIGIO */
	_Atomic bool unlinked;        /* the name in /dev/pts is gone: the master was closed */
	bool refused;                 /* TIOCSPTLCK: the slave does not open yet */
	bool exclusive;               /* TIOCEXCL */
	bool packet;                  /* TIOCPKT */
	uint8_t status;               /* TIOCPKT_* bits for the master to read */
	bool stopped, stopped_by_call; /* output: by ^S or TCXONC; by TCXONC */
	bool master_stopped;          /* TCXONC on the master */
	bool master_short;            /* as n.short_out, of the master */
	bool master_closed, slave_closed; /* slave_closed: was open, and is not */
	struct list slaves;           /* tty_file.node: open files that are not hung up or are */
	struct file *master;          /* not counted; NULL: closed, or the console's */
	struct n_tty n;
	struct byteq in, out;         /* typed and not yet taken; shown and not yet fetched */
	uid_t uid;                    /* of the name in /dev/pts, as mode and times */
	gid_t gid;
	mode_t mode;
	struct timespec atime, mtime, ctime;
	/* with lock: */
	struct waitq rd, wr;          /* slave: for input, for room */
	struct waitq master_rd, master_wr;
};

struct tty_file {
	struct file file;
	struct tty *tty;              /* counted */
	struct list node;             /* tty->slaves; unused for the master */
	bool hung;                    /* tty->lock: hung up */
};

/* --- tty.c --- */
struct tty *tty_new(struct fs_ctx *c);           /* in the table, with a free index. NULL: none (-ENOSPC) */
struct tty *tty_find(int index);                 /* counted; NULL: no such name in /dev/pts */
int tty_next(int index);                         /* the lowest one >= index that has a name; -1: none */
void tty_forget_if_unused(struct tty *t);        /* its index is free again once both sides are closed */
static inline void tty_lock(struct tty *t) ACQUIRES(t->lock) { mutex_lock(&t->lock); }
void tty_unlock(struct tty *t) RELEASES(t->lock); /* and sends what was raised meanwhile */
/* waitq_sleep() with tty->lock, after what tty_unlock() does: 0 also means that this was to be done. */
int tty_sleep_locked(struct tty *t, struct waitq *wq, struct deadline until) REQUIRES(t->lock);
void tty_wake_readers_locked(struct tty *t, uint32_t events);
void tty_wake_writers_locked(struct tty *t, uint32_t events);
void tty_wake_master_locked(struct tty *t, uint32_t events);
/* O_ASYNC: signals to the owners of the slave's or the master's files. */
void tty_async_slaves_locked(struct tty *t, int code);
void tty_async_master_locked(struct tty *t, int code);
pid_t tty_async_group(struct file *f);
void tty_want_input_locked(struct tty *t);        /* a console has to be listened to */
void tty_status_locked(struct tty *t, uint8_t clear, uint8_t set); /* packet mode: tells the master */
void tty_stop_locked(struct tty *t);
void tty_start_locked(struct tty *t);             /* echoes that wait stay: n_tty_flush_echo_locked() */
static inline void tty_raise_locked(struct tty *t, int sig) { t->raise |= 1ull << sig; }
int tty_check_change(struct tty *t);             /* SIGTTOU. 0, -EIO, -ERESTARTSYS; no lock held */
void tty_resize(struct tty *t, const struct winsize *ws);
void tty_touch_locked(struct timespec *ts);      /* atime, mtime: in steps of 8 s, so that nobody can time what is typed */
extern const struct file_ops tty_slave_ops, tty_master_ops;

/* --- n_tty_in.c --- */
void n_tty_init(struct tty *t);
void n_tty_receive_locked(struct tty *t);        /* takes from t->in what there is room for */
void n_tty_tell_readers_locked(struct tty *t);   /* what they were not told yet */
void n_tty_flush_input_locked(struct tty *t);
void n_tty_mode_changed_locked(struct tty *t, const struct termios2 *old);

/* --- n_tty_out.c --- */
void n_tty_echo_locked(struct tty *t, uint8_t c);     /* control characters as ^X */
void n_tty_echo_raw_locked(struct tty *t, uint8_t c); /* as it is, but for output processing */
void n_tty_echo_tail_locked(struct tty *t, uint8_t c); /* of the character before: no column of its own */
void n_tty_note_line_start_locked(struct tty *t);
void n_tty_erase_echo_locked(struct tty *t, unsigned columns);
void n_tty_erase_tab_locked(struct tty *t, unsigned used, bool after_tab);
void n_tty_flush_echo_locked(struct tty *t);          /* as much as there is room for */
void n_tty_drop_echo_locked(struct tty *t);
size_t n_tty_out_room_locked(const struct tty *t);
size_t n_tty_output_locked(struct tty *t, const uint8_t *p, size_t n); /* bytes taken; 0: no room */
void n_tty_flush_output_locked(struct tty *t);
/* A part of a UTF-8 character that is not its first byte. */
static inline bool utf8_tail(const struct tty *t, uint8_t c) { return (t->termios.c_iflag & IUTF8) && (c & 0xc0) == 0x80; }
/* Letters are Latin-1's, whatever IUTF8 says: lib/ctype.c. */
bool n_tty_is_letter(uint8_t c);
uint8_t n_tty_lower(uint8_t c);
uint8_t n_tty_upper(uint8_t c);

/* --- n_tty_read.c --- */
ssize_t n_tty_read(struct tty *t, struct tty_file *f, uint8_t *buf, size_t size); /* size <= N_TTY_SIZE */
bool n_tty_readable_locked(const struct tty *t, bool poll);
size_t n_tty_input_count_locked(struct tty *t); /* FIONREAD */

/* --- termios.c, ioctl.c --- */
/* -ENOIOCTL: not one of these. f: who asks; master: on the master's side, which means the slave's settings. */
#define ENOIOCTL 515
long tty_termios_ioctl(struct tty *t, unsigned cmd, gva_t arg, const struct ioctl_ctx *c);
long tty_ioctl(struct tty_file *f, bool master, unsigned cmd, gva_t arg, const struct ioctl_ctx *c);
void termios_default(struct termios2 *ret);
void termios_set_locked(struct tty *t, const struct termios2 *k);

/* --- devpts.c --- */
int devpts_path(struct vfs *v, struct tty *t, struct path *ret); /* its name's place */

#endif
