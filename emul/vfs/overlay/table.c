/* SPDX-License-Identifier: MIT */
/* overlay: the table of names in which a directory differs from the one below it. */
#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/vfs/overlay/overlay.h"

#define TABLE_MIN 16

static uint32_t hash_of(const char *name)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

struct ovl_name *ovl_table_find(struct ovl_table *t, const char *name)
{
	uint32_t h;
	struct ovl_name *n;

	if (!t->n)
		return NULL;
	h = hash_of(name);
	list_for_each(n, &t->bucket[h & (t->nbuckets - 1)], node)
		if (n->hash == h && !strcmp(n->name, name))
			return n;
	return NULL;
}

/* Twice the buckets; staying small for lack of memory is no error once there are some. */
static int grow(struct ovl_table *t)
{
	unsigned want = t->nbuckets ? 2 * t->nbuckets : TABLE_MIN;
	struct list *bucket = calloc(want, sizeof(*bucket));

	if (!bucket)
		return t->nbuckets ? 0 : -ENOMEM;
	for (unsigned i = 0; i < want; i++)
		list_init(&bucket[i]);
	for (unsigned i = 0; i < t->nbuckets; i++)
		while (!list_empty(&t->bucket[i])) {
			struct ovl_name *n = container_of(t->bucket[i].next, struct ovl_name, node);

			list_del(&n->node);
			list_add(&bucket[n->hash & (want - 1)], &n->node);
		}
	free(t->bucket);
	t->bucket = bucket;
	t->nbuckets = want;
	return 0;
}

int ovl_table_set(struct ovl_table *t, const char *name, struct inode *i, bool below)
{
	struct ovl_name *n = ovl_table_find(t, name);
	size_t len = strlen(name) + 1;

	if (n) {
		struct inode *old = n->inode;

		n->inode = i ? inode_get(i) : NULL;
		inode_put(old);
		return 0;
	}
	if (t->n >= t->nbuckets && grow(t) < 0)
		return -ENOMEM;
	n = malloc(sizeof(*n) + len);
	if (!n)
		return -ENOMEM;
	n->inode = i ? inode_get(i) : NULL;
	n->below = below;
	n->hash = hash_of(name);
	memcpy(n->name, name, len);
	list_add(&t->bucket[n->hash & (t->nbuckets - 1)], &n->node);
	t->n++;
	return 0;
}

void ovl_table_remove(struct ovl_table *t, struct ovl_name *n)
{
	list_del(&n->node);
	t->n--;
	inode_put(n->inode);
	free(n);
}

void ovl_table_free(struct ovl_table *t)
{
	for (unsigned i = 0; i < t->nbuckets; i++)
		while (!list_empty(&t->bucket[i]))
			ovl_table_remove(t, container_of(t->bucket[i].next, struct ovl_name, node));
	free(t->bucket);
}
