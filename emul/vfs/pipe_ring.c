/* SPDX-License-Identifier: MIT */
/* The page slots of a pipe. The caller holds the pipe's lock. */
#include "emul/vfs/pipe.h"

#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"

static char *page_of(const struct pipe_ring *r, unsigned pos)
{
	return r->data + (pos & (r->size - 1)) * PAGE_SIZE;
}

int ring_init(struct pipe_ring *r, unsigned slots)
{
	*r = (struct pipe_ring){ .size = slots };
	r->data = malloc(slots * PAGE_SIZE); /* the host gives the pages when they are written */
	r->slot = calloc(slots, sizeof(*r->slot));
	if (r->data && r->slot)
		return 0;
	ring_fini(r);
	return -ENOMEM;
}

void ring_fini(struct pipe_ring *r)
{
	free(r->data);
	free(r->slot);
	*r = (struct pipe_ring){ 0 };
}

int ring_resize(struct pipe_ring *r, unsigned slots)
{
	struct pipe_ring n;
	unsigned used = ring_used(r);

	if (used > slots)
		return -EBUSY;
	if (ring_init(&n, slots) < 0)
		return -ENOMEM;
	for (unsigned i = 0; i < used; i++) {
		n.slot[i] = *ring_slot(r, i);
		memcpy(page_of(&n, i) + n.slot[i].off, page_of(r, r->tail + i) + n.slot[i].off, n.slot[i].len);
	}
	n.head = used;
	ring_fini(r);
	*r = n;
	return 0;
}

size_t ring_bytes(const struct pipe_ring *r)
{
	size_t n = 0;

	for (unsigned i = 0; i < ring_used(r); i++)
		n += ring_slot(r, i)->len;
	return n;
}

ssize_t ring_append(struct pipe_ring *r, struct uio *from, size_t n)
{
	struct pipe_slot *s;
	ssize_t got;

	if (ring_empty(r))
		return 0;
	s = ring_slot(r, ring_used(r) - 1);
	if (!s->merge || s->off + s->len + n > PAGE_SIZE)
		return 0;
	got = uio_copy_in(from, page_of(r, r->head - 1) + s->off + s->len, n);
	if (got != (ssize_t)n)
		return -EFAULT; /* an atomic write is not cut: Linux gives up the copied part as well */
	s->len += n;
	return got;
}

ssize_t ring_push(struct pipe_ring *r, struct uio *from, bool packet, bool merge)
{
	struct pipe_slot *s = ring_slot(r, ring_used(r));
	size_t n = MIN(uio_left(from), PAGE_SIZE);
	ssize_t got = uio_copy_in(from, page_of(r, r->head), n);

	if (got != (ssize_t)n)
		return -EFAULT;
	*s = (struct pipe_slot){ .len = n, .packet = packet, .merge = merge };
	r->head++;
	return got;
}

ssize_t ring_pop(struct pipe_ring *r, struct uio *to, bool *ret_packet)
{
	struct pipe_slot *s = ring_slot(r, 0);
	size_t n = MIN(uio_left(to), s->len);
	ssize_t got = n ? uio_copy_out(to, page_of(r, r->tail) + s->off, n) : 0;

	if (got != (ssize_t)n)
		return -EFAULT;
	*ret_packet = s->packet;
	s->off += n;
	s->len = s->packet ? 0 : s->len - n;
	if (s->len == 0)
		r->tail++;
	return got;
}

void ring_peek(const struct pipe_ring *r, unsigned i, void *dst, size_t n)
{
	memcpy(dst, page_of(r, r->tail + i) + ring_slot(r, i)->off, n);
}

void ring_skip(struct pipe_ring *r, size_t n)
{
	while (n) {
		struct pipe_slot *s = ring_slot(r, 0);
		size_t k = MIN(n, s->len);

		s->off += k;
		s->len -= k;
		n -= k;
		if (s->len == 0)
			r->tail++;
	}
}
