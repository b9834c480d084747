/* SPDX-License-Identifier: MIT */
/*
 * Where a new area goes: Linux's arch_get_unmapped_area_topdown() for x86-64. A hint that is free, else
 * the highest gap below mmap_base, else the lowest above a third of the address space.
 */
#include "emul/mm/vma.h"

#include "emul/base/err.h"

#ifndef MAP_ABOVE4G
#define MAP_ABOVE4G 0x80
#endif
#define BOTTOM_UP_BASE page_up(USER_END / 3)
#define BELOW_2G_BASE ((gva_t)0x40000000) /* MAP_32BIT */
#define BELOW_2G_END ((gva_t)0x80000000)

gva_t place_gap_start(const struct vma *v)
{
	if (!(v->flags & VMA_GROWSDOWN))
		return v->start;
	return v->start > STACK_GUARD_GAP ? v->start - STACK_GUARD_GAP : 0;
}

struct search { gva_t low, high; uint64_t need; };

/* The part of the gap before v that lies in [low, high). */
static bool gap_fits(const struct search *s, const struct vma *v, gva_t *ret_from, gva_t *ret_to)
{
	gva_t to = place_gap_start(v), from = to - v->gap;

	if (!v->gap)
		return false;
	from = MAX(from, s->low);
	to = MIN(to, s->high);
	if (from > to || to - from < s->need)
		return false;
	*ret_from = from;
	*ret_to = to;
	return true;
}

static bool highest(const struct search *s, const struct vma *v, gva_t *from, gva_t *to)
{
	if (!v || v->max_gap < s->need)
		return false;
	if (v->end < s->high && highest(s, RB_RIGHT(v, node), from, to))
		return true;
	if (gap_fits(s, v, from, to))
		return true;
	return v->start > s->low && highest(s, RB_LEFT(v, node), from, to);
}

static bool lowest(const struct search *s, const struct vma *v, gva_t *from, gva_t *to)
{
	if (!v || v->max_gap < s->need)
		return false;
	if (v->start > s->low && lowest(s, RB_LEFT(v, node), from, to))
		return true;
	if (gap_fits(s, v, from, to))
		return true;
	return v->end < s->high && lowest(s, RB_RIGHT(v, node), from, to);
}

static struct vma *last_area(struct mm *mm)
{
	struct vma *v = RB_ROOT(&mm->vmas);

	while (v && RB_RIGHT(v, node))
		v = RB_RIGHT(v, node);
	return v;
}

/* The gap above the last area has no node of its own. */
static bool top_gap(struct mm *mm, const struct search *s, gva_t *from, gva_t *to)
{
	struct vma *last = last_area(mm);

	*from = MAX(last ? last->end : 0, s->low);
	*to = s->high;
	return *from <= *to && *to - *from >= s->need;
}

static bool search(struct mm *mm, const struct search *s, bool down, gva_t *from, gva_t *to)
{
	struct vma *root = RB_ROOT(&mm->vmas);

	if (s->high < s->low)
		return false;
	if (down)
		return top_gap(mm, s, from, to) || highest(s, root, from, to);
	return lowest(s, root, from, to) || top_gap(mm, s, from, to);
}

static long place_in(struct mm *mm, gva_t low, gva_t high, uint64_t len, bool down, bool align, uint64_t congruent)
{
	uint64_t pad = align ? HUGE_SIZE - PAGE_SIZE : 0;
	struct search s = { .low = low, .high = high, .need = len + pad };
	gva_t from, to, at;

	if (s.need < len || !search(mm, &s, down, &from, &to))
		return -ENOMEM;
	at = down ? to - len : from;
	if (align) {
		uint64_t skew = (at - congruent) & (HUGE_SIZE - 1);

		if (down)
			at -= skew;
		else if (skew)
			at += HUGE_SIZE - skew;
	}
	return (long)at;
}

/* Like the kernel: first with room for alignment, then without. */
static long place_try(struct mm *mm, gva_t low, gva_t high, uint64_t len, bool down, bool align, uint64_t congruent)
{
	long at = align ? place_in(mm, low, high, len, down, true, congruent) : -ENOMEM;

	return at >= 0 ? at : place_in(mm, low, high, len, down, false, 0);
}

static bool hint_is_free(struct mm *mm, gva_t hint, uint64_t len, gva_t end)
{
	struct vma *v;

	if (len > end || hint > end - len)
		return false;
	v = vma_find(mm, hint);
	return !v || hint + len <= place_gap_start(v);
}

long place_find(struct mm *mm, gva_t hint, uint64_t len, int flags, bool align, uint64_t congruent)
{
	gva_t low = flags & MAP_ABOVE4G ? (gva_t)1 << 32 : MMAP_MIN_ADDR;
	long at;

	if (len > USER_END)
		return -ENOMEM;
	/* A hint may lie below where the search for MAP_32BIT begins, but not above its end: find_start_end(). */
	if (hint && hint_is_free(mm, hint, len, flags & MAP_32BIT ? BELOW_2G_END : USER_END))
		return (long)hint;
	if (flags & MAP_32BIT)
		return place_try(mm, BELOW_2G_BASE, BELOW_2G_END, len, false, false, 0);
	at = place_try(mm, low, mm->mmap_base, len, true, align, congruent);
	return at >= 0 ? at : place_try(mm, MAX(low, BOTTOM_UP_BASE), USER_END, len, false, false, 0);
}
