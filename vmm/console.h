/* SPDX-License-Identifier: MIT */
/*
 * The instance's side of its caller's terminal: moves bytes between a descriptor of the host and the guest's console
 * (emul/vfs/tty/console.c). Settings of the host's terminal are the caller's business: it makes it raw, restores it,
 * and tells of new sizes.
 */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include <stdbool.h>

struct console;
struct termios2;
struct fs_ctx;
struct file;
struct vfs;
struct winsize;

/*
 * A console that looks like the terminal fd does now (settings, size). fd stays the caller's. wanted(arg) comes once,
 * from any thread, and must not block, when the program begins to use what is typed; gone(arg) when it is shut and nothing comes any more. 0, -errno.
 */
struct console_user { void (*wanted)(void *arg), (*gone)(void *arg); void *arg; };
int console_new(struct fs_ctx *c, int fd, const struct console_user *user, struct console **ret);
/* fd is the same terminal: the program shall see the console in its place. */
bool console_is(struct console *con, int fd);
/* A file of the console as host descriptor fd, which is the same terminal, is one of it. */
int console_open(struct console *con, struct vfs *v, int fd, struct file **ret);
struct tty *console_tty(struct console *con);
/* Input is taken while on: only when the terminal is raw and in our hands. */
void console_input(struct console *con, bool on);
/* Before input is taken: the next n bytes were typed, and echoed, before the terminal was raw. */
void console_echoed(struct console *con, unsigned long n);
/* The host's terminal does output processing (it is not raw), so the console does none. As it begins. */
void console_host_processes(struct console *con, bool yes);
/* The terminal's settings are these now. */
void console_settings(struct console *con, const struct termios2 *settings);
/* The program sleeps until something is typed. */
bool console_reading(struct console *con);
void console_resize(struct console *con, const struct winsize *ws);
/* The descriptors that the program was to have are taken over: the caller's may be closed. */
void console_opened(struct console *con);
/*
 * The caller has left; con is not its any more. Programs that still have the terminal open can write to it, as those that a
 * shell's command leaves behind can; with the last one the host's descriptor is closed. hangup: the caller is gone without a
 * word: the session hears SIGHUP, and the host's terminal is as it was.
 */
void console_detach(struct console *con, bool hangup);
/* Output stays inside while held: the host's terminal has TOSTOP, and the caller is in the background. As it begins: no. */
void console_hold(struct console *con, bool yes);
bool console_holds(struct console *con); /* there is some */
/* Waits until the screen has what was written; gives up when nothing moves for a while, or output is held. */
void console_drain(struct console *con);

#endif
