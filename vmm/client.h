/* SPDX-License-Identifier: MIT */
/*
 * The caller's side of a connection on which a program runs in an instance (control.h): what vmrun's joined.c and the library's
 * api.c both do. Nothing of the instance's own is needed here, so the library that is linked into applications stays small.
 */
#ifndef VMM_CLIENT_H
#define VMM_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "vmm/program.h"

/*
 * Asks for p, whose descriptors are given by fds and numbers. given: the options that must not contradict the instance's; consumed.
 * stays: it goes on without hearing of it when the connection is closed. 0 or -errno; even if not all could be sent, an answer may
 * have come.
 */
int client_request(int fd, const struct program_config *p, bool stays, json_t *given);

struct meeting;
/*
 * A question to the instance that meets there, on a connection of its own. Consumes what. 0: *ret, to be json_decref'ed;
 * 1: the instance refuses, text says why; -errno: nobody is there (meeting_connect()), or no answer came (wire.h).
 */
int client_ask(const struct meeting *m, json_t *what, int wait_ms, json_t **ret, char *text, unsigned long size);

enum client_what {
	CLIENT_NOTHING,        /* nothing came in time */
	CLIENT_LOST,           /* the instance is gone, or talks nonsense */
	CLIENT_STARTED,        /* number: its pid inside */
	CLIENT_REFUSED,        /* number: the exit status that fits; text */
	CLIENT_RETRY,          /* the instance was just ending: start another */
	CLIENT_WANTS_TERMINAL,
	CLIENT_STOPPED,        /* number: by this signal */
	CLIENT_READING,        /* number: yes or no */
	CLIENT_WRITING,        /* the same; it is held */
	CLIENT_LEFT,
	CLIENT_EXITED,         /* number: the status, as of wait(2) */
	CLIENT_HELD,           /* number: the process that is the instance */
};
struct client_event { enum client_what what; int number; char text[512]; };

/* The next event, if it begins within wait_ms (-1: any time). */
void client_hear(int fd, int wait_ms, struct client_event *ret);
/* A signal for the program; front: as from its terminal. */
int client_signal(int fd, int sig, bool front);

#endif
