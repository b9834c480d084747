/* SPDX-License-Identifier: MIT */
/*
 * Messages between an instance and those who use it, over a stream socket: a header, a JSON object, bytes that JSON cannot hold
 * (arguments need not be UTF-8), and descriptors. Everything is bounded before anything is allocated.
 *
 * The first message says what is wanted ("op"); control.c has the list. Numbers that both sides must agree on: WIRE_VERSION.
 */
#ifndef VMM_WIRE_H
#define VMM_WIRE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define WIRE_VERSION 4
#define WIRE_MAX_JSON ((size_t)4 << 20)  /* answers: the table of processes */
#define WIRE_MAX_BLOB ((size_t)8 << 20)  /* Linux takes 6 MiB of arguments and environment */
#define WIRE_MAX_FDS (16 * 253)          /* SCM_MAX_FD with each byte of the header */
#define WIRE_WAIT_MS 10000               /* for the rest of a message, and for room to send one */

struct wire_message {
	json_t *json;   /* an object */
	char *blob;     /* ends with NUL, which is not counted */
	size_t blob_len;
	int fds[WIRE_MAX_FDS];
	unsigned nfds;
};

/* Consumes json, also on failure (NULL: -ENOMEM). 0 or -errno; -ETIMEDOUT. */
int wire_send(int fd, json_t *json, const void *blob, size_t blob_len, const int *fds, unsigned nfds);
/* Waits for a message that begins within wait_ms (-1: any time). -EPIPE: the other side has left; -EPROTO: it talks nonsense. */
int wire_recv(int fd, struct wire_message *m, int wait_ms);
void wire_message_fini(struct wire_message *m); /* also closes the descriptors that are left; -1 is none */

/* Members of m->json, with what holds if they are not there or of another type. */
const char *wire_text(const struct wire_message *m, const char *name); /* NULL */
json_int_t wire_int(const struct wire_message *m, const char *name, json_int_t otherwise);
bool wire_bool(const struct wire_message *m, const char *name);

#endif
