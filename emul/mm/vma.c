/* SPDX-License-Identifier: MIT */
/*
 * The tree of areas of an address space: find, insert, cut, join, and the counts that /proc shows.
 * Each node knows the free space before it and the most such space in its subtree, so that a free
 * place is found in logarithmic time (place.c).
 */
#include "emul/mm/vma.h"

#include "emul/base/err.h"

static int compare(const struct vma *a, const struct vma *b)
{
	return a->start < b->start ? -1 : a->start > b->start;
}

static void refresh(struct vma *v)
{
	struct vma *l = RB_LEFT(v, node), *r = RB_RIGHT(v, node);

	v->max_gap = v->gap;
	if (l && l->max_gap > v->max_gap)
		v->max_gap = l->max_gap;
	if (r && r->max_gap > v->max_gap)
		v->max_gap = r->max_gap;
}

/* From v to the root: few enough levels to spare any cleverness. */
static void refresh_up(struct vma *v)
{
	for (; v; v = RB_PARENT(v, node))
		refresh(v);
}

#undef RB_AUGMENT
#define RB_AUGMENT(v) refresh(v)
RB_GENERATE(vma_tree, vma, node, compare)

struct vma *vma_next(struct vma *v) { return RB_NEXT(vma_tree, unused, v); }
struct vma *vma_prev(struct vma *v) { return RB_PREV(vma_tree, unused, v); }

struct vma *vma_find(struct mm *mm, gva_t addr)
{
	struct vma *v = RB_ROOT(&mm->vmas), *best = NULL;

	while (v) {
		if (v->end > addr) {
			best = v;
			if (v->start <= addr)
				break;
			v = RB_LEFT(v, node);
		} else {
			v = RB_RIGHT(v, node);
		}
	}
	return best;
}

struct vma *vma_lookup(struct mm *mm, gva_t addr)
{
	struct vma *v = vma_find(mm, addr);

	return v && v->start <= addr ? v : NULL;
}

/* The free space before v, after v's or its neighbour's ends changed. */
static void update_gap(struct vma *v)
{
	struct vma *prev;
	gva_t from, to;

	if (!v)
		return;
	prev = vma_prev(v);
	from = prev ? prev->end : 0;
	to = place_gap_start(v);
	v->gap = to > from ? to - from : 0;
	refresh_up(v);
}

/* --- counts --------------------------------------------------------------------------------------- */

void vma_account(struct mm *mm, const struct vma *v, int sign)
{
	uint64_t len = v->end - v->start, change = sign < 0 ? -len : len;

	mm->total += change;
	if (mm->total > mm->hiwater_total)
		mm->hiwater_total = mm->total;
	if ((v->prot & PROT_EXEC) && !(v->prot & PROT_WRITE) && !(v->flags & VMA_GROWSDOWN))
		mm->exec += change;
	if (v->flags & VMA_GROWSDOWN)
		mm->stack += change;
	if (vma_is_data(v->prot, v->shared, v->flags)) {
		mm->data += change;
		if (!(v->flags & VMA_NORESERVE))
			atomic_fetch_add_explicit(&mm->ph->committed, change, memory_order_relaxed);
	}
	if (v->flags & VMA_LOCKED)
		mm->locked += change;
}

/* --- areas ---------------------------------------------------------------------------------------- */

struct vma *vma_new(struct mm *mm, gva_t start, gva_t end)
{
	struct vma *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->mm = mm;
	v->start = start;
	v->end = end;
	list_init(&v->obj_node);
	return v;
}

struct vma *vma_dup(struct mm *mm, const struct vma *v)
{
	struct vma *d = vma_new(mm, v->start, v->end);

	if (!d)
		return NULL;
	d->prot = v->prot;
	d->maxprot = v->maxprot;
	d->flags = v->flags;
	d->shared = v->shared;
	d->touched = v->touched;
	d->kin = v->kin;
	d->cow = v->cow;
	d->off = v->off;
	d->obj = v->obj ? memobj_get(v->obj) : NULL;
	return d;
}

static void vma_free(struct vma *v)
{
	memobj_put(v->obj);
	free(v);
}

int vma_insert(struct mm *mm, struct vma *v)
{
	int r = v->obj ? memobj_attach(v->obj, v) : 0;
	struct vma *old;

	if (r < 0) {
		vma_free(v);
		return r;
	}
	v->gap = v->max_gap = 0;
	old = RB_INSERT(vma_tree, &mm->vmas, v);
	assert(!old);
	(void)old;
	mm->nr_vmas++;
	vma_account(mm, v, 1);
	update_gap(v);
	update_gap(vma_next(v));
	return 0;
}

void vma_delete(struct mm *mm, struct vma *v)
{
	struct vma *next = vma_next(v), *fix;

	/* What the removal lifts into v's place, or the place that loses a child: refresh from there. */
	fix = RB_PARENT(v, node);
	if (RB_LEFT(v, node) && RB_RIGHT(v, node))
		fix = RB_PARENT(next, node) == v ? next : RB_PARENT(next, node);
	vma_account(mm, v, -1);
	RB_REMOVE(vma_tree, &mm->vmas, v);
	mm->nr_vmas--;
	refresh_up(fix);
	update_gap(next);
	if (v->obj)
		memobj_detach(v->obj, v);
	vma_free(v);
}

void vma_resize(struct mm *mm, struct vma *v, gva_t start, gva_t end)
{
	vma_account(mm, v, -1);
	if (start > v->start)
		v->off += start - v->start;
	else
		v->off -= v->start - start;
	v->start = start;
	v->end = end;
	vma_account(mm, v, 1);
	update_gap(v);
	update_gap(vma_next(v));
}

uint64_t vma_off(const struct vma *v, gva_t addr)
{
	return v->off + (addr - v->start);
}

struct vma *vma_split(struct mm *mm, struct vma *v, gva_t addr)
{
	struct vma *upper;
	gva_t end = v->end;

	assert(v->start < addr && addr < v->end);
	if (mm->nr_vmas >= max_map_count())
		return NULL;
	upper = vma_dup(mm, v);
	if (!upper)
		return NULL;
	upper->start = addr;
	upper->seq_start = v->seq_start;
	upper->seq_end = v->seq_end;
	upper->window = v->window;
	upper->off = vma_off(v, addr);
	vma_resize(mm, v, v->start, addr);
	if (vma_insert(mm, upper) < 0) {
		vma_resize(mm, v, v->start, end);
		return NULL;
	}
	return upper;
}

struct vma *vma_isolate(struct mm *mm, struct vma *v, gva_t start, gva_t end)
{
	struct vma *lower = v;

	if (start > v->start) {
		v = vma_split(mm, lower, start);
		if (!v)
			return NULL;
	}
	if (end < v->end && !vma_split(mm, v, end)) {
		vma_merge(mm, v);
		return NULL;
	}
	return v;
}

static bool can_merge(const struct vma *a, const struct vma *b)
{
	return a->end == b->start && a->kin == b->kin && a->prot == b->prot && a->maxprot == b->maxprot && a->flags == b->flags &&
	       a->shared == b->shared && a->obj == b->obj && !(a->flags & VMA_X_SPECIAL) && !(a->obj && a->obj->watch) &&
	       a->off + (a->end - a->start) == b->off;
}

/* b's range becomes a's. */
static struct vma *absorb(struct mm *mm, struct vma *a, struct vma *b)
{
	gva_t end = b->end;

	a->touched |= b->touched;
	a->cow |= b->cow;
	a->seq_start = b->seq_start;
	a->seq_end = b->seq_end;
	a->window = b->window;
	vma_delete(mm, b);
	vma_resize(mm, a, a->start, end);
	return a;
}

struct vma *vma_merge(struct mm *mm, struct vma *v)
{
	struct vma *prev = vma_prev(v), *next = vma_next(v);

	if (next && can_merge(v, next))
		absorb(mm, v, next);
	if (prev && can_merge(prev, v))
		v = absorb(mm, prev, v);
	return v;
}
