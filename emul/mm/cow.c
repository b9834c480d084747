/* SPDX-License-Identifier: MIT */
/*
 * Copy on write: a private page that is present but not writable is written to. An anonymous frame that
 * nobody else holds any more is simply made writable, with its neighbours; others are copied, some ahead.
 * A replaced PTE costs a shoot-down on the platform's side: one as_map() for the whole run.
 */
#include <string.h>

#include "emul/base/err.h"
#include "emul/mm/vma.h"

#define COPY_WINDOW 16u /* pages of a forked area copied at once */

/* The page is there and must be copied before it is written: a forked one, or one of a file that is written all over. */
static bool is_shared_copy(struct vma *v, gva_t page, gpa_t *ret_gpa)
{
	struct as_mapping m;
	enum frame_kind kind;

	if (!v->mm->ops->as_lookup(v->mm->as, page, &m) || (m.prot & PROT_WRITE))
		return false;
	*ret_gpa = m.gpa;
	kind = frame_kind(mm_pool(v->mm), m.gpa);
	if (kind == FRAME_CACHE)
		return fill_copies_data(v);
	return kind == FRAME_ANON && !frame_exclusive(mm_pool(v->mm), m.gpa);
}

/* The pages around that are in the same state, at most COPY_WINDOW with this one. */
static void extend(struct vma *v, gva_t page, gva_t *ret_from, gva_t *ret_to)
{
	uint64_t size = COPY_WINDOW * PAGE_SIZE;
	gva_t low = MAX(page - page % size, v->start), high = MIN(page - page % size + size, v->end);
	gva_t from = page, to = page + PAGE_SIZE;
	gpa_t gpa;

	while (from > low && is_shared_copy(v, from - PAGE_SIZE, &gpa))
		from -= PAGE_SIZE;
	while (to < high && is_shared_copy(v, to, &gpa))
		to += PAGE_SIZE;
	*ret_from = from;
	*ret_to = to;
}

/* Copies present pages [from, to), at most COPY_WINDOW of them. */
static int copy_pages(struct vma *v, gva_t from, gva_t to)
{
	struct mm *mm = v->mm;
	struct pool *pool = mm_pool(mm);
	gpa_t old[COPY_WINDOW], gpa;

	v->touched = true;
	while (from < to) {
		int n = frame_alloc(pool, FRAME_ANON, (unsigned)((to - from) >> PAGE_SHIFT), false, &gpa), r;

		if (n < 0)
			return n;
		for (int i = 0; i < n; i++) {
			struct as_mapping m;
			bool found = mm->ops->as_lookup(mm->as, from + (gva_t)i * PAGE_SIZE, &m);

			assert(found && !m.window);
			(void)found;
			old[i] = m.gpa;
			memcpy(frame_hva(pool, gpa + (gpa_t)i * PAGE_SIZE), frame_hva(pool, m.gpa), PAGE_SIZE);
		}
		r = leaf_replace(v, from, gpa, (uint64_t)n << PAGE_SHIFT, prot_effective(v->prot), old);
		if (r < 0)
			return r;
		from += (gva_t)n << PAGE_SHIFT;
	}
	return 0;
}

int cow_break(struct vma *v, gva_t page, bool force)
{
	struct pool *pool = mm_pool(v->mm);
	gva_t base = page & HUGE_MASK, from = page, to = page + PAGE_SIZE;
	struct as_mapping m;
	gpa_t gpa;

	if (!v->mm->ops->as_lookup(v->mm->as, page, &m) || !frame_block(pool, m.gpa))
		return -EFAULT;
	if (frame_exclusive(pool, m.gpa))
		return force ? 0 : leaf_upgrade(v, MAX(base, v->start), MIN(base + HUGE_SIZE, v->end));
	if (!force && is_shared_copy(v, page, &gpa) && pool_plenty(pool))
		extend(v, page, &from, &to);
	if (copy_pages(v, from, to) == 0)
		return 0;
	/* Memory is short: the page alone may do, if it was not among those copied. */
	if (!v->mm->ops->as_lookup(v->mm->as, page, &m) || !frame_exclusive(pool, m.gpa))
		return copy_pages(v, page, page + PAGE_SIZE);
	return 0;
}
