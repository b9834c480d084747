/* SPDX-License-Identifier: MIT */
/*
 * A queue of bytes for one writer and one reader, in chunks that are made on demand: thousands of
 * idle connections cost nothing, a busy one works on a few warm chunks. Who copies does not hold the
 * owner's lock: it reserves a piece under the lock, copies, and commits under the lock. Meanwhile the
 * other side may do the same at the other end; the owner's busy marks keep a second writer or reader out.
 */
#ifndef EMUL_NET_BYTEQ_H
#define EMUL_NET_BYTEQ_H

#include "emul/base/types.h"

struct byteq_chunk;
struct byteq {
	struct byteq_chunk *head, *tail, *spare;
	size_t len;
};

void byteq_init(struct byteq *q);
void byteq_fini(struct byteq *q);
/* Room for 1 to want bytes behind the last one; *ret_n: how many. NULL: no memory. */
char *byteq_reserve(struct byteq *q, size_t want, size_t *ret_n);
void byteq_commit(struct byteq *q, size_t n);
/* The bytes at off in one piece (off < len); *ret_n: how many. */
const char *byteq_peek(struct byteq *q, size_t off, size_t *ret_n);
void byteq_consume(struct byteq *q, size_t n); /* n <= len */
void byteq_clear(struct byteq *q);
/* Appends all n bytes. 0, -ENOMEM (nothing appended). */
int byteq_append(struct byteq *q, const void *data, size_t n);

#endif
