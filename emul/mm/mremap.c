/* SPDX-License-Identifier: MIT */
/* mremap(2): shrink, grow in place, move. Checks in the order of mm/mremap.c. */
#include "emul/mm/vma.h"

#include "emul/base/err.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

struct remap { gva_t old, new_addr; uint64_t old_len, new_len; int flags; };

/* The pages of [from, from+len) appear at `to` in v as well; the caller removes the old ones. */
static int take_pages(struct mm *mm, gva_t from, uint64_t len, struct vma *v, gva_t to)
{
	struct leaf_run run;

	for (gva_t at = from; leaf_next(mm, at, from + len, &run); at = run.gva + run.len) {
		int r;

		frame_get(mm_pool(mm), run.gpa, run.len);
		r = leaf_map(v, to + (run.gva - from), run.gpa, run.len, run.prot);
		if (r < 0)
			return r;
	}
	return 0;
}

static long move(struct mm *mm, struct vma *old, const struct remap *q, gva_t to)
{
	uint64_t keep = MIN(q->old_len, q->new_len);
	struct vma *v;
	int r;

	if (mm->nr_vmas >= max_map_count() - 3)
		return -ENOMEM;
	v = vma_dup(mm, old);
	if (!v)
		return -ENOMEM;
	v->start = to;
	v->end = to + q->new_len;
	v->off = vma_off(old, q->old);
	r = vma_insert(mm, v);
	if (r < 0)
		return r;
	r = take_pages(mm, q->old, keep, v, to);
	if (r == 0)
		r = guard_copy(mm, q->old, q->old + keep, mm, to);
	if (r < 0) {
		unmap_range(mm, to, to + q->new_len);
		return r;
	}
	if (q->flags & MREMAP_DONTUNMAP) {
		leaf_unmap(mm, q->old, q->old + q->old_len);
		guard_remove(mm, q->old, q->old + q->old_len);
		old = vma_isolate(mm, old, q->old, q->old + q->old_len);
		if (old) {
			vma_account(mm, old, -1);
			old->flags &= ~(unsigned)(VMA_LOCKED | VMA_X_ONFAULT);
			vma_account(mm, old, 1);
			vma_merge(mm, old);
		}
	} else if (q->old_len && unmap_range(mm, q->old, q->old + q->old_len) < 0) {
		leaf_unmap(mm, q->old, q->old + q->old_len); /* the area stays, but no page is in two places */
	}
	vma_merge(mm, vma_lookup(mm, to));
	return (long)to;
}

/* The area that is to grow or move, checked. */
static int check_area(struct mm *mm, const struct remap *q, struct vma **ret)
{
	struct vma *v = vma_lookup(mm, q->old);
	uint64_t grow = q->new_len > q->old_len ? q->new_len - q->old_len : 0;

	if (!v)
		return -EFAULT;
	if (!q->old_len && !v->shared)
		return -EINVAL;
	if (q->old_len > v->end - q->old)
		return -EFAULT;
	/* Never larger: what lies behind the vDSO's pages is not the program's. */
	if (v->flags & VMA_X_SPECIAL)
		return q->flags & MREMAP_DONTUNMAP ? -EINVAL : q->new_len != q->old_len ? -EFAULT : 0;
	*ret = v;
	if (!grow)
		return 0;
	if (v->obj && vma_off(v, q->old) + q->new_len < q->new_len)
		return -EINVAL;
	if ((v->flags & VMA_LOCKED) && may_lock(mm, grow) < 0)
		return -EAGAIN;
	if (may_expand(mm, grow, vma_is_data(v->prot, v->shared, v->flags)) < 0)
		return -ENOMEM;
	return 0;
}

static long remap_fixed(struct mm *mm, struct remap *q)
{
	struct vma *v = NULL;
	int r;

	if (q->flags & MREMAP_FIXED) {
		r = unmap_range(mm, q->new_addr, q->new_addr + q->new_len);
		if (r < 0)
			return r;
	}
	if (q->old_len > q->new_len) {
		r = unmap_range(mm, q->old + q->new_len, q->old + q->old_len);
		if (r < 0)
			return r;
		q->old_len = q->new_len;
	}
	r = check_area(mm, q, &v);
	if (r < 0)
		return r;
	if (!v)
		v = vma_lookup(mm, q->old);
	if ((q->flags & MREMAP_DONTUNMAP) && may_expand(mm, q->old_len, false) < 0)
		return -ENOMEM;
	if (!(q->flags & MREMAP_FIXED)) {
		long to = place_find(mm, q->new_addr, q->new_len, 0, false, 0);

		if (to < 0)
			return to;
		q->new_addr = (gva_t)to;
	}
	return move(mm, v, q, q->new_addr);
}

static bool grow_in_place(struct mm *mm, struct vma *v, const struct remap *q)
{
	gva_t end = q->old + q->new_len;
	struct vma *next = vma_next(v);

	if (q->old + q->old_len != v->end || end > USER_END || end < v->end || (next && place_gap_start(next) < end))
		return false;
	vma_resize(mm, v, v->start, end);
	vma_merge(mm, v);
	return true;
}

static long remap(struct mm *mm, struct remap *q)
{
	struct vma *v = vma_lookup(mm, q->old);
	long to;
	int r;

	if (v && (v->flags & VMA_SEALED))
		return -EPERM;
	if (q->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
		return remap_fixed(mm, q);
	if (!v)
		return -EFAULT;
	if (q->old_len >= q->new_len) {
		r = q->old_len > q->new_len ? unmap_range(mm, q->old + q->new_len, q->old + q->old_len) : 0;
		return r < 0 ? r : (long)q->old;
	}
	r = check_area(mm, q, &v);
	if (r < 0)
		return r;
	if (q->old_len && grow_in_place(mm, v, q))
		return (long)q->old;
	if (!(q->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	to = place_find(mm, 0, q->new_len, 0, q->new_len >= HUGE_SIZE && q->old_len >= HUGE_SIZE, q->old);
	return to < 0 ? to : move(mm, v, q, (gva_t)to);
}

/* Nothing is mapped beyond the end; a range that only reaches there is no range. */
static int check_old(const struct remap *q)
{
	if (q->old >= USER_END)
		return -EFAULT;
	return q->old_len > USER_END - q->old ? -EINVAL : 0;
}

static int check(const struct remap *q)
{
	if (q->flags & ~(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP))
		return -EINVAL;
	if ((q->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(q->flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if ((q->flags & MREMAP_DONTUNMAP) && q->old_len != q->new_len)
		return -EINVAL;
	if ((q->old & ~PAGE_MASK) || !q->new_len)
		return -EINVAL;
	if (!(q->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)))
		return check_old(q);
	if ((q->new_addr & ~PAGE_MASK) || q->new_len > USER_END || q->new_addr > USER_END - q->new_len)
		return -EINVAL;
	/* MREMAP_DONTUNMAP alone: a hint, 0 for none. */
	if (q->new_addr < MMAP_MIN_ADDR && (q->new_addr || (q->flags & MREMAP_FIXED)))
		return -EPERM;
	if (q->old + q->old_len > q->new_addr && q->new_addr + q->new_len > q->old)
		return -EINVAL;
	return check_old(q);
}

long mm_mremap(struct mm *mm, gva_t old, uint64_t old_len, uint64_t new_len, int flags, gva_t new_addr)
{
	struct remap q = { old, new_addr, page_up(old_len), page_up(new_len), flags };
	uint64_t grown = q.new_len > q.old_len ? q.new_len - q.old_len : 0;
	struct vma *v;
	long r = check(&q);

	if (r < 0)
		return r;
	mm_lock_write(mm);
	r = remap(mm, &q);
	v = r >= 0 && grown ? vma_lookup(mm, (gva_t)r) : NULL;
	if (v && (v->flags & VMA_LOCKED))
		fault_populate(mm, (gva_t)r + q.new_len - grown, (gva_t)r + q.new_len, 0);
	mm_unlock(mm);
	return r;
}
