/* SPDX-License-Identifier: MIT */
/* The heap: brk(2) as mm/mmap.c does it. Errors are the old break. */
#include "emul/mm/vma.h"

#include "emul/base/err.h"

static int grow(struct mm *mm, gva_t from, gva_t to)
{
	struct vma *next = vma_find(mm, from), *v;

	if (to > USER_END || (next && place_gap_start(next) < to + PAGE_SIZE))
		return -ENOMEM;
	if (may_expand(mm, to - from, true) < 0 || mm->nr_vmas > max_map_count() || to - from > mm->ph->overcommit_max)
		return -ENOMEM;
	if ((mm->def_flags & VMA_LOCKED) && may_lock(mm, to - from) < 0)
		return -EAGAIN;
	v = vma_new(mm, from, to);
	if (!v)
		return -ENOMEM;
	v->prot = PROT_READ | PROT_WRITE;
	v->maxprot = PROT_READ | PROT_WRITE | PROT_EXEC;
	v->flags = mm->def_flags;
	v->off = from;
	if (vma_insert(mm, v) < 0)
		return -ENOMEM;
	v = vma_merge(mm, v);
	if (mm->def_flags & VMA_LOCKED)
		fault_populate(mm, from, to, 0);
	else
		fill_brk(v, from, to);
	return 0;
}

static bool within_limit(struct mm *mm, gva_t brk)
{
	uint64_t limit = atomic_load_explicit(&mm->limits.data, memory_order_relaxed);
	uint64_t data = mm->layout.end_data - mm->layout.start_data;

	return limit == UINT64_MAX || (data <= limit && brk - mm->start_brk <= limit - data);
}

static int set_break(struct mm *mm, gva_t brk)
{
	gva_t old = page_up(mm->brk), new_end = page_up(brk);

	if (brk < mm->start_brk || brk > USER_END || !within_limit(mm, brk))
		return -ENOMEM;
	if (new_end < old)
		return unmap_range(mm, new_end, old);
	return new_end > old ? grow(mm, old, new_end) : 0;
}

long mm_brk(struct mm *mm, gva_t brk)
{
	long r;

	mm_lock_write(mm);
	if (set_break(mm, brk) == 0)
		mm->brk = brk;
	r = (long)mm->brk;
	mm_unlock(mm);
	return r;
}

void mm_set_brk_start(struct mm *mm, gva_t start)
{
	mm_lock_write(mm);
	mm->start_brk = mm->brk = mm->layout.start_brk = start;
	mm_unlock(mm);
}
