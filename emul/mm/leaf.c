/* SPDX-License-Identifier: MIT */
/*
 * The PTEs of an address space with what belongs to them: every mapped frame carries one reference, and
 * the resident pages are counted by kind. All changes of the platform's tables go through here.
 */
#include "emul/mm/vma.h"

#include "emul/base/err.h"

static void count(struct mm *mm, gpa_t gpa, uint64_t len, int sign)
{
	struct pool *pool = mm_pool(mm);
	uint64_t rss = 0;

	for (uint64_t i = 0; i < len; i += PAGE_SIZE)
		mm->rss[frame_kind(pool, gpa + i)] += (uint64_t)(int64_t)sign;
	for (int k = 0; k < FRAME_NKINDS; k++)
		rss += mm->rss[k];
	if (rss > mm->hiwater_rss)
		mm->hiwater_rss = rss;
}

/* What a leaf of v may allow for this frame: nobody writes to a frame that others see. */
int leaf_prot(struct vma *v, gpa_t gpa)
{
	int prot = prot_effective(v->prot);

	if (v->shared || !(prot & PROT_WRITE) || frame_exclusive(mm_pool(v->mm), gpa))
		return prot;
	return prot & ~PROT_WRITE;
}

static void ignore_run(void *ctx, gva_t gva, gpa_t gpa, size_t len)
{
}

int leaf_map(struct vma *v, gva_t gva, gpa_t gpa, uint64_t len, int prot)
{
	struct mm *mm = v->mm;
	int r = mm->ops->as_map(mm->as, gva, gpa, len, prot);

	if (r < 0) {
		/* It may have been done in part. */
		mm->ops->as_unmap(mm->as, gva, len, ignore_run, NULL);
		frame_put(mm_pool(mm), gpa, len);
		return r;
	}
	count(mm, gpa, len, 1);
	return 0;
}

int leaf_replace(struct vma *v, gva_t gva, gpa_t gpa, uint64_t len, int prot, const gpa_t *old)
{
	struct mm *mm = v->mm;
	int r = mm->ops->as_map(mm->as, gva, gpa, len, prot);

	if (r < 0) {
		frame_put(mm_pool(mm), gpa, len);
		return r;
	}
	for (uint64_t i = 0; i < len >> PAGE_SHIFT; i++) {
		count(mm, old[i], PAGE_SIZE, -1);
		frame_put(mm_pool(mm), old[i], PAGE_SIZE);
	}
	count(mm, gpa, len, 1);
	return 0;
}

static void unmapped(void *ctx, gva_t gva, gpa_t gpa, size_t len)
{
	struct mm *mm = ctx;

	count(mm, gpa, len, -1);
	frame_put(mm_pool(mm), gpa, len);
}

void leaf_unmap(struct mm *mm, gva_t start, gva_t end)
{
	mm_assert_write(mm);
	mm->ops->as_unmap(mm->as, start, end - start, unmapped, mm);
}

void leaf_unmap_all(struct mm *mm)
{
	mm_assert_write(mm);
	if (mm->ops->as_retire)
		mm->ops->as_retire(mm->as, unmapped, mm);
	else
		leaf_unmap(mm, 0, USER_END);
}

bool leaf_next(struct mm *mm, gva_t at, gva_t end, struct leaf_run *ret)
{
	struct as_mapping m;

	for (;; at += m.len) {
		if (at >= end)
			return false;
		if (mm->ops->as_lookup(mm->as, at, &m))
			break;
		assert(m.len);
	}
	*ret = (struct leaf_run){ at, m.gpa, MIN(m.len, end - at), m.prot };
	for (at += ret->len; at < end; at += m.len) {
		if (!mm->ops->as_lookup(mm->as, at, &m) || m.gpa != ret->gpa + ret->len || m.prot != ret->prot)
			break;
		ret->len += MIN(m.len, end - at);
	}
	return true;
}

uint64_t leaf_absent(struct mm *mm, gva_t at, gva_t end)
{
	gva_t from = at;
	struct as_mapping m;

	while (at < end && !mm->ops->as_lookup(mm->as, at, &m))
		at += m.len;
	return MIN(at, end) - from;
}

/* Runs of pages that get the same protection are changed together. */
int leaf_upgrade(struct vma *v, gva_t start, gva_t end)
{
	struct mm *mm = v->mm;
	struct leaf_run run;
	int r = 0;

	for (gva_t at = start; r == 0 && leaf_next(mm, at, end, &run); at = run.gva + run.len) {
		uint64_t i = 0;

		while (i < run.len && r == 0) {
			int prot = leaf_prot(v, run.gpa + i);
			uint64_t j = i + PAGE_SIZE;

			while (j < run.len && leaf_prot(v, run.gpa + j) == prot)
				j += PAGE_SIZE;
			if (prot != run.prot)
				r = mm->ops->as_protect(mm->as, run.gva + i, j - i, prot);
			i = j;
		}
	}
	return r;
}

int leaf_reprotect(struct vma *v, gva_t start, gva_t end)
{
	struct mm *mm = v->mm;
	int prot = prot_effective(v->prot);

	if (!v->shared && (prot & PROT_WRITE) && v->cow)
		return leaf_upgrade(v, start, end);
	return mm->ops->as_protect(mm->as, start, end - start, prot);
}
