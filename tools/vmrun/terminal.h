/* SPDX-License-Identifier: MIT */
/*
 * The terminal that vmrun was started on. While the program runs, the terminal of the instance does the line editing,
 * so this one is in raw mode: bytes go through as they are. It is restored whatever way vmrun ends, SIGKILL aside.
 * Only this file touches the terminal's settings; bytes are moved by the instance (vmm/console.h).
 */
#ifndef TOOLS_VMRUN_TERMINAL_H
#define TOOLS_VMRUN_TERMINAL_H

#include <stdbool.h>

struct termios2;
struct winsize;

/* The descriptor among 0, 1, 2 that is a terminal, our controlling one if there are two; else that one opened anew; -1: none. */
int terminal_find(void);
/* Notes fd's settings and makes sure that a crash restores them. Before anything else installs fault handlers. */
void terminal_take(int fd);
/* Raw mode, if we are in the foreground (else the terminal is somebody else's now). true: it is raw.
 * keep_output: output processing stays on, for others that write to it. *ret_changed: somebody has set the terminal since we had it last,
 * or since it was taken: these settings are the ones to restore, and the program's; else NULL.
 * *ret_echoed: so many bytes that wait to be read were typed, and echoed, before. */
bool terminal_raw(bool keep_output, const struct termios2 **ret_changed, unsigned *ret_echoed);
bool terminal_is_raw(void);
/* We are in the background, and it lets nobody write from there. */
bool terminal_stops_writers(void);
bool terminal_is_controlling(int fd);
bool terminal_is(int fd); /* the one that was taken */
bool terminal_size(struct winsize *ret);
/* As it was before. Safe in signal handlers; harmless if nothing was taken or it is not raw. */
void terminal_restore(void);
/* We are a job of a shell that would continue us, if a signal of the terminal stopped us. */
bool terminal_has_shell(void);

#endif
