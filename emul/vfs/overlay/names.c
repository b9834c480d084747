/* SPDX-License-Identifier: MIT */
/*
 * overlay: the names of a directory that the lower one does not tell: a hash for look-ups, a tree by age for
 * readdir. References to children are dropped after the lock.
 */
#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/vfs/overlay/overlay.h"

#define FIRST_BUCKETS 8u

static int by_seq(const struct ov_name *a, const struct ov_name *b)
{
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

RB_GENERATE_INTERNAL(ov_tree, ov_name, node, by_seq, static __attribute__((unused)))

static uint32_t hash(const char *s) /* FNV-1a */
{
	uint32_t h = 2166136261u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h ^ h >> 15;
}

static struct ov_name **slot_locked(struct ov_names *n, const char *name)
{
	struct ov_name **p;

	mutex_assert_held(&n->lock);
	if (!n->nr_buckets)
		return NULL;
	for (p = &n->bucket[hash(name) & (n->nr_buckets - 1)]; *p; p = &(*p)->chain)
		if (strcmp((*p)->text, name) == 0)
			return p;
	return NULL;
}

static struct ov_name *find_locked(struct ov_names *n, const char *name)
{
	struct ov_name **p = slot_locked(n, name);

	return p ? *p : NULL;
}

/* A table that cannot grow only gets slower. */
static int grow_locked(struct ov_names *n)
{
	unsigned want = n->nr_buckets ? n->nr_buckets * 2 : FIRST_BUCKETS;
	struct ov_name **bucket, *e, *next;

	if (n->nr < n->nr_buckets || want > 1u << 24)
		return 0;
	bucket = calloc(want, sizeof(*bucket));
	if (!bucket)
		return n->nr_buckets ? 0 : -ENOMEM;
	for (unsigned i = 0; i < n->nr_buckets; i++) {
		for (e = n->bucket[i]; e; e = next) {
			struct ov_name **to = &bucket[hash(e->text) & (want - 1)];

			next = e->chain;
			e->chain = *to;
			*to = e;
		}
	}
	free(n->bucket);
	n->bucket = bucket;
	n->nr_buckets = want;
	return 0;
}

/* A new entry without a child. */
static int add_locked(struct ov_names *n, const char *name, bool in_lower, struct ov_name **ret)
{
	size_t size = strlen(name) + 1;
	struct ov_name **to, *e;
	int r = grow_locked(n);

	if (r < 0)
		return r;
	if (n->last_seq == UINT32_MAX - 1)
		return -ENOSPC;
	e = calloc(1, sizeof(*e) + size);
	if (!e)
		return -ENOMEM;
	memcpy(e->text, name, size);
	e->in_lower = in_lower;
	e->seq = ++n->last_seq;
	to = &n->bucket[hash(name) & (n->nr_buckets - 1)];
	e->chain = *to;
	*to = e;
	RB_INSERT(ov_tree, &n->tree, e);
	n->nr++;
	*ret = e;
	return 0;
}

/* Exchanges the entry's child; the old one's reference is the caller's now. */
static struct ov_inode *put_child_locked(struct ov_names *n, struct ov_name *e, struct ov_inode *child)
{
	struct ov_inode *old = e->child;

	if (old) {
		n->nr_children--;
		n->nr_dirs -= ov_is_dir(old);
	}
	if (child) {
		inode_get(&child->inode);
		n->nr_children++;
		n->nr_dirs += ov_is_dir(child);
	}
	e->child = child;
	return old;
}

static void drop(struct ov_inode *x)
{
	if (x)
		inode_put(&x->inode);
}

/* --- making ------------------------------------------------------------------------------------------------------ */

struct ov_names *ov_names_new(void)
{
	struct ov_names *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	mutex_init(&n->lock);
	RB_INIT(&n->tree);
	return n;
}

void ov_names_free(struct ov_names *n)
{
	struct ov_name *e, *next;

	if (!n)
		return;
	for (unsigned i = 0; i < n->nr_buckets; i++) {
		for (e = n->bucket[i]; e; e = next) {
			next = e->chain;
			drop(e->child);
			free(e);
		}
	}
	mutex_fini(&n->lock);
	free(n->bucket);
	free(n);
}

/* --- looking ----------------------------------------------------------------------------------------------------- */

int ov_names_find(struct ov_names *n, const char *name, struct ov_inode **ret)
{
	struct ov_name *e;
	int r = -ENOENT;

	mutex_lock(&n->lock);
	e = find_locked(n, name);
	if (e && e->child) {
		inode_get(&e->child->inode);
		*ret = e->child;
	}
	if (e)
		r = e->child != NULL;
	mutex_unlock(&n->lock);
	return r;
}

static void describe_locked(const struct ov_name *e, struct ov_entry *ret)
{
	size_t len = MIN(strlen(e->text), sizeof(ret->name) - 1);

	memcpy(ret->name, e->text, len);
	ret->name[len] = '\0';
	ret->ino = e->child->inode.ino;
	ret->type = e->child->inode.type;
	ret->seq = e->seq;
}

int ov_names_peek(struct ov_names *n, const char *name, struct ov_entry *ret, bool *ret_in_lower)
{
	struct ov_name *e;
	int r = -ENOENT;

	mutex_lock(&n->lock);
	e = find_locked(n, name);
	if (e) {
		r = e->child != NULL;
		*ret_in_lower = e->in_lower;
		if (r)
			describe_locked(e, ret);
	}
	mutex_unlock(&n->lock);
	return r;
}

unsigned ov_names_list(struct ov_names *n, uint32_t after, struct ov_entry *ret, unsigned max)
{
	struct ov_name key = { .seq = after + 1 }, *e;
	unsigned nr = 0;

	mutex_lock(&n->lock);
	for (e = RB_NFIND(ov_tree, &n->tree, &key); e && nr < max; e = RB_NEXT(ov_tree, &n->tree, e))
		if (e->child && !e->in_lower)
			describe_locked(e, &ret[nr++]);
	mutex_unlock(&n->lock);
	return nr;
}

bool ov_names_untouched(struct ov_names *n)
{
	bool r;

	mutex_lock(&n->lock);
	r = n->nr == 0 && !n->dead;
	mutex_unlock(&n->lock);
	return r;
}

int ov_names_nlink(struct ov_names *n)
{
	int r;

	mutex_lock(&n->lock);
	r = n->dead ? 0 : 2 + (int)n->nr_dirs;
	mutex_unlock(&n->lock);
	return r;
}

/* --- changing ---------------------------------------------------------------------------------------------------- */

int ov_names_set(struct ov_names *n, const char *name, struct ov_inode *child)
{
	struct ov_inode *old = NULL;
	struct ov_name *e;
	int r = 0;

	mutex_lock(&n->lock);
	e = find_locked(n, name);
	if (n->dead)
		r = -ENOENT;
	else if (!e)
		r = add_locked(n, name, false, &e);
	if (r == 0)
		old = put_child_locked(n, e, child);
	mutex_unlock(&n->lock);
	drop(old);
	return r;
}

int ov_names_pin(struct ov_names *n, const char *name, struct ov_inode *child)
{
	struct ov_name *e;
	int r = 0;

	mutex_lock(&n->lock);
	if (!find_locked(n, name) && !n->dead) {
		r = add_locked(n, name, true, &e);
		if (r == 0)
			put_child_locked(n, e, child);
	}
	mutex_unlock(&n->lock);
	return r;
}

void ov_names_hide(struct ov_names *n, const char *name)
{
	struct ov_inode *old = NULL;
	struct ov_name **p, *e;

	mutex_lock(&n->lock);
	p = slot_locked(n, name);
	if (p) {
		e = *p;
		old = put_child_locked(n, e, NULL);
		if (!e->in_lower) {
			*p = e->chain;
			RB_REMOVE(ov_tree, &n->tree, e);
			n->nr--;
			free(e);
		}
	}
	mutex_unlock(&n->lock);
	drop(old);
}

int ov_names_kill(struct ov_names *n)
{
	int r = 0;

	mutex_lock(&n->lock);
	if (n->nr_children)
		r = -ENOTEMPTY;
	else
		n->dead = true;
	mutex_unlock(&n->lock);
	return r;
}
