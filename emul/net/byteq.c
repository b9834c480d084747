/* SPDX-License-Identifier: MIT */
/* Queues of bytes: byteq.h has the protocol. */
#include "emul/net/byteq.h"

#include <stdlib.h>
#include <string.h>

#include "emul/base/auto.h"
#include "emul/base/err.h"

#define SMALL_CHUNK (4096 - 64)
#define BIG_CHUNK 65536 /* what one large write brings, so that a large read takes it whole */

struct byteq_chunk {
	struct byteq_chunk *next;
	size_t cap, begin, end; /* begin belongs to the reader, end to the writer, both under the owner's lock */
	char data[];
};

void byteq_init(struct byteq *q)
{
	*q = (struct byteq){ 0 };
}

/* A busy queue goes round with one chunk more than it holds; an empty one keeps none beside its last. */
static void give_back(struct byteq *q, struct byteq_chunk *c)
{
	if (q->pins) {
		c->next = q->limbo;
		q->limbo = c;
	} else if (!q->spare && c->cap == BIG_CHUNK && q->len)
		q->spare = c;
	else
		free(c);
}

void byteq_clear(struct byteq *q)
{
	q->len = 0;
	free(q->spare);
	q->spare = NULL;
	while (q->head) {
		struct byteq_chunk *c = q->head;

		q->head = c->next;
		give_back(q, c);
	}
	q->tail = NULL;
}

void byteq_pin(struct byteq *q)
{
	q->pins++;
}

void byteq_unpin(struct byteq *q)
{
	if (--q->pins)
		return;
	while (q->limbo) {
		struct byteq_chunk *c = q->limbo;

		q->limbo = c->next;
		give_back(q, c);
	}
}

void byteq_fini(struct byteq *q)
{
	byteq_clear(q);
}

static struct byteq_chunk *add_chunk(struct byteq *q, size_t want)
{
	size_t cap = want > SMALL_CHUNK || q->len > SMALL_CHUNK ? BIG_CHUNK : SMALL_CHUNK;
	struct byteq_chunk *c = cap == BIG_CHUNK && q->spare ? steal(q->spare) : malloc(sizeof(*c) + cap);

	if (!c)
		return NULL;
	c->next = NULL;
	c->cap = cap;
	c->begin = c->end = 0;
	if (q->tail)
		q->tail->next = c;
	else
		q->head = c;
	q->tail = c;
	return c;
}

char *byteq_reserve(struct byteq *q, size_t want, size_t *ret_n)
{
	struct byteq_chunk *c = q->tail;

	if (q->pins) { /* another one writes behind the last byte: who he is comes no further */
		c = NULL;
	} else if (c && c->begin == c->end) { /* nobody reads here: begin again, or make room for a larger one */
		c->begin = c->end = 0;
		if (c == q->head && want > c->cap && c->cap < BIG_CHUNK) {
			byteq_clear(q);
			c = NULL;
		}
	}
	if (!c || c->end == c->cap)
		c = add_chunk(q, want);
	if (!c)
		return NULL;
	*ret_n = MIN(want, c->cap - c->end);
	return c->data + c->end;
}

bool byteq_commit(struct byteq *q, const char *at, size_t n)
{
	if (!q->tail || q->tail->data + q->tail->end != at)
		return false;
	q->tail->end += n;
	q->len += n;
	return true;
}

const char *byteq_peek(struct byteq *q, size_t off, size_t *ret_n)
{
	struct byteq_chunk *c = q->head;

	while (off >= c->end - c->begin) {
		off -= c->end - c->begin;
		c = c->next;
	}
	*ret_n = c->end - c->begin - off;
	return c->data + c->begin + off;
}

void byteq_consume(struct byteq *q, size_t n)
{
	q->len -= n;
	if (!q->len) {
		free(q->spare);
		q->spare = NULL;
	}
	while (q->head) {
		struct byteq_chunk *c = q->head;
		size_t k = MIN(n, c->end - c->begin);

		c->begin += k;
		n -= k;
		if (c->begin < c->end || (n == 0 && c == q->tail))
			return;
		q->head = c->next;
		if (!q->head)
			q->tail = NULL;
		give_back(q, c);
	}
}

int byteq_append(struct byteq *q, const void *data, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t k;
		char *to = byteq_reserve(q, n - done, &k);

		if (!to)
			return -ENOMEM;
		memcpy(to, (const char *)data + done, k);
		byteq_commit(q, to, k);
		done += k;
	}
	return 0;
}
