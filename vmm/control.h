/* SPDX-License-Identifier: MIT */
/*
 * The instance that others join: boots it and serves its socket until the last process has ended. What is asked, by the "op" of
 * the first message of a connection (wire.h):
 *
 *   run   {argc, envc, numbers, terminal, controlled, has_shell, leads_session, leads_group, stays, umask, ignored, blocked, cwd_deleted, uid, gid, given}; blob: the caller's directory, --cwd, arguments and
 *         environment, each ended by NUL; descriptors: as `numbers` says, then the terminal. Answers with an event: "retry" (it
 *         is ending: start another), "error" {status, text}, or "started" {pid}. On a terminal the program does not run before the caller has said "go": what the terminal does with
 *         output is settled then. Then it goes on, see events below.
 *   ps    -> {processes: [...]}      stats -> {...}, report.h
 *   kill  {pid, signal} -> {}        stop {force, wait_ms} -> {}
 *   hold  -> event "held" {pid: the instance's process}: it goes on without programs, and is over, with all that runs in it, when
 *         this connection is closed
 *
 * Answers but of run and hold are {error: text} if it went wrong. While a program runs, the caller may say go, signal {signal, front},
 * enter {input, host_processes, echoed; blob: struct termios2, if the terminal's settings have changed}, hold {yes}, leave (answered by "left"), size {rows, cols, width, height}; and hears of "wants-terminal",
 * "stopped" {signal}, "reading" {yes}, "writing" {yes}, "exited" {status}. When the caller's end of the connection goes away, the program has
 * lost its terminal: SIGHUP, unless it was started with `stays`.
 *
 * A caller that does not answer holds up nobody: each has a thread of its own.
 */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

#include <jansson.h>

#include "vmm/instance.h"
#include "vmm/meeting.h"

/*
 * The process becomes the instance. `options`: what was given on its command line, which callers may repeat but not contradict:
 * {option: text, or array of texts}; consumed. Does not return.
 */
_Noreturn void control_serve(const struct instance_config *cfg, const char *name, const struct meeting *m, int listen_fd, json_t *options);

#endif
