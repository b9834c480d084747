/* SPDX-License-Identifier: MIT */
/* A radix tree from page number to frame; pagetree.h has the contract. */
#include "emul/mm/pagetree.h"

#include <assert.h>
#include <stdlib.h>

#include "emul/base/err.h"

#define NODE_BITS 9
#define NODE_SLOTS (1u << NODE_BITS)
#define PRESENT 1 /* frames are page aligned: the low bit of a slot says that there is one */

struct pagetree_node {
	unsigned used;
	union {
		struct pagetree_node *child[NODE_SLOTS];
		gpa_t page[NODE_SLOTS];
	};
};

static inline unsigned slot_of(uint64_t idx, unsigned level)
{
	return (idx >> (NODE_BITS * level)) & (NODE_SLOTS - 1);
}

/* Does a tree of this height hold the page? 8 levels cover 2^72 pages. */
static inline bool in_range(unsigned height, uint64_t idx)
{
	return height > 0 && (height * NODE_BITS >= 64 || idx >> (height * NODE_BITS) == 0);
}

gpa_t pagetree_get(const struct pagetree *t, uint64_t idx)
{
	const struct pagetree_node *n = t->root;

	if (!in_range(t->height, idx))
		return GPA_NONE;
	for (unsigned level = t->height - 1; level > 0 && n; level--)
		n = n->child[slot_of(idx, level)];
	if (!n || !(n->page[slot_of(idx, 0)] & PRESENT))
		return GPA_NONE;
	return n->page[slot_of(idx, 0)] & ~(gpa_t)PRESENT;
}

static int raise(struct pagetree *t, uint64_t idx)
{
	while (!in_range(t->height, idx)) {
		struct pagetree_node *n = calloc(1, sizeof(*n));

		if (!n)
			return -ENOMEM;
		if (t->root) {
			n->child[0] = t->root;
			n->used = 1;
		}
		t->root = n;
		t->height++;
	}
	return 0;
}

int pagetree_set(struct pagetree *t, uint64_t idx, gpa_t gpa)
{
	struct pagetree_node *n;

	if (raise(t, idx) < 0)
		return -ENOMEM;
	n = t->root;
	for (unsigned level = t->height - 1; level > 0; level--) {
		struct pagetree_node **child = &n->child[slot_of(idx, level)];

		if (!*child) {
			*child = calloc(1, sizeof(**child));
			if (!*child)
				return -ENOMEM; /* empty nodes above go with the next cut */
			n->used++;
		}
		n = *child;
	}
	assert(!n->page[slot_of(idx, 0)]);
	n->page[slot_of(idx, 0)] = gpa | PRESENT;
	n->used++;
	t->nr_pages++;
	return 0;
}

static bool next_in(const struct pagetree_node *n, unsigned level, uint64_t base, uint64_t idx, uint64_t *ret_idx,
		    gpa_t *ret_gpa)
{
	unsigned from = idx > base ? slot_of(idx, level) : 0;

	for (unsigned i = from; i < NODE_SLOTS; i++) {
		uint64_t at = base + ((uint64_t)i << (NODE_BITS * level));

		if (level == 0 && (n->page[i] & PRESENT)) {
			*ret_idx = at;
			*ret_gpa = n->page[i] & ~(gpa_t)PRESENT;
			return true;
		}
		if (level > 0 && n->child[i] && next_in(n->child[i], level - 1, at, idx, ret_idx, ret_gpa))
			return true;
	}
	return false;
}

bool pagetree_next(const struct pagetree *t, uint64_t idx, uint64_t *ret_idx, gpa_t *ret_gpa)
{
	return in_range(t->height, idx) && next_in(t->root, t->height - 1, 0, idx, ret_idx, ret_gpa);
}

struct cut {
	struct pagetree *t;
	uint64_t from, last; /* inclusive: the end may be the end of the numbers */
	void (*fn)(void *ctx, uint64_t idx, gpa_t gpa);
	void *ctx;
};

static void cut_page(const struct cut *c, struct pagetree_node *n, unsigned i, uint64_t idx)
{
	gpa_t gpa = n->page[i] & ~(gpa_t)PRESENT;

	if (!(n->page[i] & PRESENT) || idx < c->from || idx > c->last)
		return;
	n->page[i] = 0;
	n->used--;
	c->t->nr_pages--;
	c->fn(c->ctx, idx, gpa);
}

/* True: the node is empty and freed. */
static bool cut_in(const struct cut *c, struct pagetree_node *n, unsigned level, uint64_t base)
{
	unsigned shift = NODE_BITS * level;
	uint64_t span_last = base + (((uint64_t)NODE_SLOTS << shift) - 1);
	unsigned first = c->from > base ? slot_of(c->from, level) : 0;
	unsigned last = c->last < span_last ? slot_of(c->last, level) : NODE_SLOTS - 1;

	for (unsigned i = first; i <= last; i++) {
		uint64_t at = base + ((uint64_t)i << shift);

		if (level == 0) {
			cut_page(c, n, i, at);
		} else if (n->child[i] && cut_in(c, n->child[i], level - 1, at)) {
			n->child[i] = NULL;
			n->used--;
		}
	}
	if (n->used)
		return false;
	free(n);
	return true;
}

void pagetree_cut(struct pagetree *t, uint64_t from, uint64_t to, void (*fn)(void *, uint64_t, gpa_t), void *ctx)
{
	struct cut c = { t, from, to - 1, fn, ctx };

	if (from >= to || !in_range(t->height, from))
		return;
	if (cut_in(&c, t->root, t->height - 1, 0)) {
		t->root = NULL;
		t->height = 0;
	}
}
