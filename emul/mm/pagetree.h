/* SPDX-License-Identifier: MIT */
/*
 * Frames of an object by page number: a radix tree of 512-way nodes that is only as high as the
 * highest page needs, so that a sparse file of any size costs what is in it. The owner serialises.
 */
#ifndef EMUL_MM_PAGETREE_H
#define EMUL_MM_PAGETREE_H

#include "emul/base/types.h"

struct pagetree_node;
struct pagetree {
	struct pagetree_node *root;
	unsigned height;   /* levels; 0: empty */
	uint64_t nr_pages;
};

/* The frame at page idx, GPA_NONE: none. */
gpa_t pagetree_get(const struct pagetree *t, uint64_t idx);
/* idx must be empty. 0, -ENOMEM. */
int pagetree_set(struct pagetree *t, uint64_t idx, gpa_t gpa);
/* The first page >= idx that is there; false: none. */
bool pagetree_next(const struct pagetree *t, uint64_t idx, uint64_t *ret_idx, gpa_t *ret_gpa);
/* Takes pages [from, to) out, calling fn for each that was there. Shrinks the tree. */
void pagetree_cut(struct pagetree *t, uint64_t from, uint64_t to, void (*fn)(void *ctx, uint64_t idx, gpa_t gpa), void *ctx);

#endif
