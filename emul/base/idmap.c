/* SPDX-License-Identifier: MIT */
/* Small-id allocator: one array, slot[i] belongs to id first + i. `next` is where the search for a free one begins. */
#include "emul/base/idmap.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "emul/base/types.h"

void idmap_init(struct idmap *m, int first, int last, bool cyclic)
{
	*m = (struct idmap){ .first = first, .last = last, .next = 0, .cyclic = cyclic };
}

void idmap_fini(struct idmap *m)
{
	free(m->slot);
	m->slot = NULL;
	m->cap = 0;
}

static long span(const struct idmap *m)
{
	return (long)m->last - m->first + 1;
}

/* Makes slot[i] exist. */
static int grow(struct idmap *m, long i)
{
	long cap = m->cap ? m->cap : 16;
	void **slot;

	if (i < m->cap)
		return 0;
	while (cap <= i)
		cap *= 2;
	if (cap > span(m))
		cap = span(m);
	slot = realloc(m->slot, cap * sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	memset(slot + m->cap, 0, (cap - m->cap) * sizeof(*slot));
	m->slot = slot;
	m->cap = (int)cap;
	return 0;
}

/* The first free index in [from, to); to if none. What lies beyond the array is free. */
static long find_free(const struct idmap *m, long from, long to)
{
	long i = from;

	while (i < to && i < m->cap && m->slot[i])
		i++;
	return i;
}

int idmap_add(struct idmap *m, void *value)
{
	long end = span(m), i;
	int r;

	assert(value);
	i = find_free(m, m->next, end);
	if (i == end && m->cyclic) {
		i = find_free(m, 0, m->next);
		if (i == m->next)
			i = end;
	}
	if (i == end)
		return -ENOSPC;
	r = grow(m, i);
	if (r < 0)
		return r;
	m->slot[i] = value;
	m->next = i + 1 == end && m->cyclic ? 0 : (int)MIN(i + 1, INT_MAX);
	return (int)(m->first + i);
}

int idmap_add_at(struct idmap *m, int id, void *value)
{
	int r;

	assert(value);
	if (id < m->first || id > m->last)
		return -ENOSPC;
	if (idmap_find(m, id))
		return -EBUSY;
	r = grow(m, id - m->first);
	if (r < 0)
		return r;
	m->slot[id - m->first] = value;
	if (m->cyclic && id - m->first >= m->next)
		m->next = id == m->last ? 0 : id - m->first + 1;
	return 0;
}

void *idmap_find(const struct idmap *m, int id)
{
	if (id < m->first || (long)id - m->first >= m->cap)
		return NULL;
	return m->slot[id - m->first];
}

void *idmap_remove(struct idmap *m, int id)
{
	void *value = idmap_find(m, id);

	if (!value)
		return NULL;
	m->slot[id - m->first] = NULL;
	if (!m->cyclic && id - m->first < m->next)
		m->next = id - m->first;
	return value;
}

void *idmap_next(const struct idmap *m, int *id)
{
	for (int i = *id < m->first ? 0 : *id - m->first; i < m->cap; i++)
		if (m->slot[i]) {
			*id = m->first + i;
			return m->slot[i];
		}
	return NULL;
}
