/* SPDX-License-Identifier: MIT */
/*
 * Guard regions, madvise(MADV_GUARD_INSTALL): pages that fault whatever their area allows. They belong to addresses, not to areas: those
 * are neither cut nor changed by them. Each address space keeps its own in a sorted list of ranges that do not touch. Whoever
 * fills pages asks here first; no page stands behind a guarded address. mm/madvise.c; PTE_MARKER_GUARD.
 */
#include <string.h>

#include "emul/base/err.h"
#include "emul/mm/vma.h"

#define GUARDS_MAX 65536u /* ranges: bound on the VMM's memory */

/* The first range that ends above addr; mm->nr_guards if none does. */
static unsigned first_above(const struct mm *mm, gva_t addr)
{
	unsigned lo = 0, hi = mm->nr_guards;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (mm->guards[mid].end > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

bool guard_in_range(const struct mm *mm, gva_t start, gva_t end)
{
	unsigned i;

	if (!mm->nr_guards)
		return false;
	i = first_above(mm, start);
	return i < mm->nr_guards && mm->guards[i].start < end;
}

void guard_clip(const struct mm *mm, gva_t page, gva_t *from, gva_t *to)
{
	unsigned i;

	if (!mm->nr_guards)
		return;
	i = first_above(mm, page);
	if (i < mm->nr_guards)
		*to = MIN(*to, mm->guards[i].start);
	if (i)
		*from = MAX(*from, mm->guards[i - 1].end);
}

/* Entries i to j become n others, which the caller fills in; there is room. */
static void replace(struct mm *mm, unsigned i, unsigned j, unsigned n)
{
	memmove(mm->guards + i + n, mm->guards + j, (mm->nr_guards - j) * sizeof(*mm->guards));
	mm->nr_guards = mm->nr_guards - (j - i) + n;
}

/* One entry more fits in any case: removing from the middle of a range makes two. */
static int make_room(struct mm *mm)
{
	unsigned cap = mm->cap_guards ? mm->cap_guards * 2 : 16;
	struct guard *more;

	if (mm->nr_guards + 2 <= mm->cap_guards)
		return 0;
	more = mm->nr_guards < GUARDS_MAX ? realloc(mm->guards, cap * sizeof(*more)) : NULL;
	if (!more)
		return -ENOMEM;
	mm->guards = more;
	mm->cap_guards = cap;
	return 0;
}

int guard_add(struct mm *mm, gva_t start, gva_t end)
{
	unsigned i, j;

	mm_assert_write(mm);
	if (make_room(mm) < 0)
		return -ENOMEM;
	i = first_above(mm, start ? start - 1 : 0); /* one that ends at start is joined */
	for (j = i; j < mm->nr_guards && mm->guards[j].start <= end; j++) {
		start = MIN(start, mm->guards[j].start);
		end = MAX(end, mm->guards[j].end);
	}
	replace(mm, i, j, 1);
	mm->guards[i] = (struct guard){ start, end };
	return 0;
}

void guard_remove(struct mm *mm, gva_t start, gva_t end)
{
	struct guard left, right;
	unsigned i, j, n = 0;

	mm_assert_write(mm);
	if (!guard_in_range(mm, start, end))
		return;
	i = first_above(mm, start);
	for (j = i; j < mm->nr_guards && mm->guards[j].start < end; j++)
		;
	left = (struct guard){ mm->guards[i].start, start };
	right = (struct guard){ end, mm->guards[j - 1].end };
	if (left.start < left.end)
		n++;
	if (right.start < right.end && (j - i > n || make_room(mm) == 0))
		n++;
	else
		right.end = right.start; /* or no memory: what cannot be told apart is no guard */
	replace(mm, i, j, n);
	if (left.start < left.end)
		mm->guards[i++] = left;
	if (right.start < right.end)
		mm->guards[i] = right;
}

int guard_copy(struct mm *mm, gva_t start, gva_t end, struct mm *to_mm, gva_t to)
{
	int r = 0;

	for (gva_t at = start; r == 0 && guard_in_range(mm, at, end);) {
		struct guard g = mm->guards[first_above(mm, at)];

		at = MIN(g.end, end);
		r = guard_add(to_mm, MAX(g.start, start) - start + to, at - start + to);
	}
	return r;
}
