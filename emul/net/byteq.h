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
	struct byteq_chunk *limbo; /* taken out while pinned */
	unsigned pins;
	size_t len;
};

void byteq_init(struct byteq *q);
void byteq_fini(struct byteq *q);
/* Room for 1 to want bytes behind the last one; *ret_n: how many. NULL: no memory. */
char *byteq_reserve(struct byteq *q, size_t want, size_t *ret_n);
/* n bytes at `at`, which was reserved, are there. false: the queue was cleared meanwhile, and they are not. */
bool byteq_commit(struct byteq *q, const char *at, size_t n);
/* Reserved room stays memory until it is unpinned, whatever happens to the queue: for who copies without the lock. */
void byteq_pin(struct byteq *q);
void byteq_unpin(struct byteq *q);
/* The bytes at off in one piece (off < len); *ret_n: how many. */
const char *byteq_peek(struct byteq *q, size_t off, size_t *ret_n);
void byteq_consume(struct byteq *q, size_t n); /* n <= len */
void byteq_clear(struct byteq *q);
/* Appends all n bytes. 0, -ENOMEM (nothing appended). */
int byteq_append(struct byteq *q, const void *data, size_t n);

#endif
