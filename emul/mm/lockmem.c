/* SPDX-License-Identifier: MIT */
/* mlock(2) and its family. Guest memory is never swapped: what counts are the limits, and that the pages are there. */
#include "emul/mm/vma.h"

#include "emul/base/err.h"

static int set_locked(struct mm *mm, struct vma *v, gva_t start, gva_t end, unsigned flags)
{
	unsigned want = (v->flags & ~(unsigned)(VMA_LOCKED | VMA_X_ONFAULT)) | flags;

	if (want == v->flags || (v->flags & VMA_X_SPECIAL))
		return 0;
	v = vma_isolate(mm, v, start, end);
	if (!v)
		return -ENOMEM;
	vma_account(mm, v, -1);
	v->flags = want;
	vma_account(mm, v, 1);
	vma_merge(mm, v);
	return 0;
}

/* Every area in the range, which must have no holes. */
static int apply(struct mm *mm, gva_t start, gva_t end, unsigned flags)
{
	for (gva_t at = start; at < end;) {
		struct vma *v = vma_lookup(mm, at);
		gva_t to;
		int r;

		if (!v)
			return -ENOMEM;
		to = MIN(v->end, end);
		r = set_locked(mm, v, at, to, flags);
		if (r < 0)
			return r;
		at = to;
	}
	return 0;
}

static uint64_t locked_in(struct mm *mm, gva_t start, gva_t end)
{
	uint64_t n = 0;

	for (struct vma *v = vma_find(mm, start); v && v->start < end; v = vma_next(v))
		if (v->flags & VMA_LOCKED)
			n += MIN(v->end, end) - MAX(v->start, start);
	return n;
}

/* The range in whole pages; false: it wraps. */
static bool whole_pages(gva_t addr, uint64_t len, gva_t *start, gva_t *end)
{
	*start = page_down(addr);
	*end = page_up(addr + len);
	return addr + len >= addr && *end >= *start;
}

long mm_mlock(struct mm *mm, gva_t addr, uint64_t len, int flags)
{
	uint64_t limit = atomic_load(&mm->limits.memlock);
	bool on_fault = flags & 1; /* MLOCK_ONFAULT */
	gva_t start, end;
	long r;

	if (!limit)
		return -EPERM;
	if (!whole_pages(addr, len, &start, &end))
		return -EINVAL;
	mm_lock_write(mm);
	if (mm->locked + (end - start) - locked_in(mm, start, end) > limit)
		r = -ENOMEM;
	else
		r = apply(mm, start, end, VMA_LOCKED | (on_fault ? VMA_X_ONFAULT : 0));
	if (r == 0 && !on_fault) {
		r = fault_populate(mm, start, end, 0);
		r = r == -EFAULT || r == -EINVAL || r == -ENOENT ? -ENOMEM : r == -ENOMEM ? -EAGAIN : r;
	}
	mm_unlock(mm);
	return r;
}

long mm_munlock(struct mm *mm, gva_t addr, uint64_t len)
{
	gva_t start, end;
	long r;

	if (!whole_pages(addr, len, &start, &end))
		return -EINVAL;
	mm_lock_write(mm);
	r = apply(mm, start, end, 0);
	mm_unlock(mm);
	return r;
}

/* All areas; splits never fail here, since each is taken whole. */
static void apply_all(struct mm *mm, unsigned flags)
{
	for (struct vma *v = vma_find(mm, 0); v;) {
		gva_t end = v->end;

		set_locked(mm, v, v->start, v->end, flags);
		v = vma_find(mm, end);
	}
}

static void populate_all(struct mm *mm)
{
	for (struct vma *v = vma_find(mm, 0); v; v = vma_next(v))
		if (v->prot)
			fault_populate(mm, v->start, v->end, 0);
}

long mm_mlockall(struct mm *mm, int flags)
{
	uint64_t limit = atomic_load(&mm->limits.memlock);
	unsigned set = VMA_LOCKED | (flags & MCL_ONFAULT ? VMA_X_ONFAULT : 0);
	long r = 0;

	if (!flags || flags == MCL_ONFAULT || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)))
		return -EINVAL;
	if (!limit)
		return -EPERM;
	mm_lock_write(mm);
	if ((flags & MCL_CURRENT) && mm->total > limit) {
		r = -ENOMEM;
	} else {
		mm->def_flags = flags & MCL_FUTURE ? set : 0;
		if (flags & MCL_CURRENT)
			apply_all(mm, set);
		if ((flags & MCL_CURRENT) && !(flags & MCL_ONFAULT))
			populate_all(mm);
	}
	mm_unlock(mm);
	return r;
}

long mm_munlockall(struct mm *mm)
{
	mm_lock_write(mm);
	mm->def_flags = 0;
	apply_all(mm, 0);
	mm_unlock(mm);
	return 0;
}
