/* SPDX-License-Identifier: MIT */
/* mprotect(2), as mm/mprotect.c does it: area by area, with what was done before an error left done. And mseal(2). */
#include "emul/mm/vma.h"

#include "emul/base/err.h"

static int check_area(struct mm *mm, const struct vma *v, uint64_t len, int prot)
{
	if (prot & ~v->maxprot)
		return -EACCES;
	if (vma_is_data(prot, v->shared, v->flags) && !vma_is_data(v->prot, v->shared, v->flags)) {
		/* mprotect_fixup(): no room for the new kind, but room for the old one. So RLIMIT_AS alone never refuses. */
		if (may_expand(mm, len, false) == 0 && may_expand(mm, len, true) < 0)
			return -ENOMEM;
		if (!(v->flags & VMA_NORESERVE) && len > mm->ph->overcommit_max)
			return -ENOMEM;
	}
	return 0;
}

static void set_prot(struct mm *mm, struct vma *v, int prot)
{
	vma_account(mm, v, -1);
	v->prot = prot;
	vma_account(mm, v, 1);
}

/* v lies in the range with all it has. */
static int protect_area(struct mm *mm, struct vma *v, int prot)
{
	int before = v->prot, r;

	set_prot(mm, v, prot);
	r = leaf_reprotect(v, v->start, v->end);
	if (r < 0) {
		/*
		 * What could be changed can be changed back: the leaf that needed memory is as it was. Otherwise
		 * the pages go: leaves that allow more than the area are worse than lost data.
		 */
		set_prot(mm, v, before);
		if (leaf_reprotect(v, v->start, v->end) < 0)
			leaf_unmap(mm, v->start, v->end);
	}
	return r;
}

static long protect_range(struct mm *mm, gva_t start, gva_t end, int prot)
{
	gva_t at = start;

	while (at < end) {
		struct vma *v = vma_lookup(mm, at);
		int r;

		if (!v)
			return -ENOMEM;
		if (v->flags & VMA_SEALED)
			return -EPERM;
		if (v->prot == prot) {
			at = v->end;
			continue;
		}
		r = check_area(mm, v, MIN(v->end, end) - at, prot);
		if (r < 0)
			return r;
		if (prot & PROT_WRITE) /* the program may look at it, and change it */
			mm_restore_text_locked(mm, at, MIN(v->end, end));
		v = vma_isolate(mm, v, at, end);
		if (!v)
			return -ENOMEM;
		at = v->end;
		r = protect_area(mm, v, prot);
		vma_merge(mm, v);
		if (r < 0)
			return r;
	}
	return 0;
}

static int seal_range(struct mm *mm, gva_t start, gva_t end)
{
	gva_t at;

	for (at = start; at < end; at = vma_lookup(mm, at)->end)
		if (!vma_lookup(mm, at))
			return -ENOMEM;
	for (at = start; at < end;) {
		struct vma *v = vma_lookup(mm, at);

		at = v->end;
		if (v->flags & VMA_SEALED)
			continue;
		v = vma_isolate(mm, v, MAX(v->start, start), MIN(v->end, end));
		if (!v)
			return -ENOMEM;
		v->flags |= VMA_SEALED;
		vma_merge(mm, v);
	}
	return 0;
}

long mm_mseal(struct mm *mm, gva_t addr, uint64_t len)
{
	uint64_t size = page_up(len);
	long r;

	if ((addr & ~PAGE_MASK) || (len && !size) || addr + size < addr)
		return -EINVAL;
	if (!size)
		return 0;
	mm_lock_write(mm);
	r = seal_range(mm, addr, addr + size);
	mm_unlock(mm);
	return r;
}

long mm_mprotect(struct mm *mm, gva_t addr, uint64_t len, int prot)
{
	int grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	gva_t end;
	struct vma *v;
	long r;

	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || (addr & ~PAGE_MASK))
		return -EINVAL;
	if (!len)
		return 0;
	len = page_up(len);
	if (!len || addr + len < addr)
		return -ENOMEM;
	end = addr + len;
	prot &= ~(PROT_GROWSDOWN | PROT_GROWSUP);
	if (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | 8 /* PROT_SEM */))
		return -EINVAL;
	prot &= PROT_READ | PROT_WRITE | PROT_EXEC;
	mm_lock_write(mm);
	v = vma_find(mm, addr);
	if (!v || (v->start > addr && !(grows & PROT_GROWSDOWN))) {
		r = -ENOMEM;
	} else if (grows && (v->start >= end || !(grows & PROT_GROWSDOWN) || !(v->flags & VMA_GROWSDOWN))) {
		r = v->start >= end ? -ENOMEM : -EINVAL;
	} else {
		r = protect_range(mm, grows ? v->start : addr, end, prot);
	}
	mm_unlock(mm);
	return r;
}
