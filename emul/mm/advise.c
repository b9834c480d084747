/* SPDX-License-Identifier: MIT */
/* madvise(2): mm/madvise.c's checks; what is only a hint to Linux's reclaim is accepted and has no effect. */
#include "emul/mm/vma.h"

#include "emul/base/err.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

struct advice { struct mm *mm; int advice; };

/* --- attributes of areas ---------------------------------------------------------------------------------- */

/* Which flags an advice sets and clears; false: it is none of these. */
static bool flag_change(int advice, unsigned *set, unsigned *clear)
{
	*set = *clear = 0;
	switch (advice) {
	case MADV_NORMAL: *clear = VMA_RAND | VMA_SEQ; return true;
	case MADV_RANDOM: *set = VMA_RAND; *clear = VMA_SEQ; return true;
	case MADV_SEQUENTIAL: *set = VMA_SEQ; *clear = VMA_RAND; return true;
	case MADV_DONTFORK: *set = VMA_DONTFORK; return true;
	case MADV_DOFORK: *clear = VMA_DONTFORK; return true;
	case MADV_WIPEONFORK: *set = VMA_WIPEONFORK; return true;
	case MADV_KEEPONFORK: *clear = VMA_WIPEONFORK; return true;
	case MADV_DONTDUMP: *set = VMA_DONTDUMP; return true;
	case MADV_DODUMP: *clear = VMA_DONTDUMP; return true;
	case MADV_HUGEPAGE: *set = VMA_X_HUGE; *clear = VMA_X_EXACT; return true;
	case MADV_NOHUGEPAGE: *set = VMA_X_EXACT; *clear = VMA_X_HUGE; return true;
	default: return false;
	}
}

static int change_flags(struct mm *mm, struct vma *v, gva_t start, gva_t end, int advice)
{
	unsigned set, clear;

	flag_change(advice, &set, &clear);
	if (advice == MADV_WIPEONFORK && (v->obj || v->shared))
		return -EINVAL;
	if ((v->flags & VMA_X_SPECIAL) && (advice == MADV_DOFORK || advice == MADV_DODUMP))
		return -EINVAL;
	if (((v->flags & ~clear) | set) == v->flags)
		return 0;
	v = vma_isolate(mm, v, start, end);
	if (!v)
		return -ENOMEM;
	v->flags = (v->flags & ~clear) | set;
	vma_merge(mm, v);
	return 0;
}

/* --- contents ----------------------------------------------------------------------------------------------- */

static int drop(struct mm *mm, struct vma *v, gva_t start, gva_t end, int advice)
{
	if (v->flags & (VMA_LOCKED | VMA_X_SPECIAL))
		return -EINVAL;
	if (advice == MADV_FREE && !vma_is_anon(v))
		return -EINVAL;
	leaf_unmap(mm, start, end);
	return 0;
}

/* The object unmaps its pages everywhere: mm->lock is dropped and taken again. */
static int punch(struct mm *mm, struct vma *v, gva_t start, gva_t end)
{
	AUTO(memobj) o = NULL;
	uint64_t off = vma_off(v, start);
	int r;

	if ((v->flags & VMA_LOCKED) || !v->obj)
		return -EINVAL;
	if (!v->shared || !(v->maxprot & PROT_WRITE))
		return -EACCES;
	if (!v->obj->ops->remove)
		return -EOPNOTSUPP;
	o = memobj_get(v->obj);
	mm_unlock(mm);
	r = o->ops->remove(o, off, end - start);
	mm_lock_write(mm);
	return r;
}

static int populate(struct mm *mm, gva_t start, gva_t end, int advice)
{
	int r = fault_populate(mm, start, end, advice == MADV_POPULATE_WRITE ? MM_WRITE : MM_READ);

	return r == -ENOENT ? -ENOMEM : r;
}

static int guard(struct mm *mm, struct vma *v, gva_t start, gva_t end)
{
	int r;

	if (v->flags & (VMA_LOCKED | VMA_X_SPECIAL))
		return -EINVAL;
	r = guard_add(mm, start, end);
	if (r == 0)
		leaf_unmap(mm, start, end);
	return r;
}

/* can_madvise_modify(): a sealed area keeps its contents where the program could not change them anyway. */
static bool is_sealed(const struct vma *v, int advice)
{
	if (!(v->flags & VMA_SEALED) || v->obj || (v->prot & PROT_WRITE))
		return false;
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
	case MADV_REMOVE:
	case MADV_DONTFORK:
	case MADV_WIPEONFORK:
	case MADV_GUARD_INSTALL: return true;
	default: return false;
	}
}

static int advise_area(struct mm *mm, struct vma *v, gva_t start, gva_t end, int advice)
{
	unsigned set, clear;

	if (is_sealed(v, advice))
		return -EPERM;
	if (flag_change(advice, &set, &clear))
		return change_flags(mm, v, start, end, advice);
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
		if (advice == MADV_DONTNEED_LOCKED && !(v->flags & VMA_X_SPECIAL)) {
			leaf_unmap(mm, start, end);
			return 0;
		}
		return drop(mm, v, start, end, advice);
	case MADV_FREE:
		return drop(mm, v, start, end, advice);
	case MADV_REMOVE:
		return punch(mm, v, start, end);
	case MADV_GUARD_INSTALL:
		return guard(mm, v, start, end);
	case MADV_GUARD_REMOVE:
		if (v->flags & VMA_X_SPECIAL)
			return -EINVAL;
		guard_remove(mm, start, end);
		return 0;
	case MADV_COLD:
	case MADV_PAGEOUT:
		return v->flags & (VMA_LOCKED | VMA_X_SPECIAL) ? -EINVAL : 0;
	default: /* WILLNEED, MERGEABLE, UNMERGEABLE */
		return 0;
	}
}

static bool known(int advice)
{
	unsigned set, clear;

	if (flag_change(advice, &set, &clear))
		return true;
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
	case MADV_REMOVE:
	case MADV_WILLNEED:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
	case MADV_GUARD_INSTALL:
	case MADV_GUARD_REMOVE:
		return true;
	default:
		return false;
	}
}

static long advise_range(struct mm *mm, gva_t start, gva_t end, int advice)
{
	bool hole = false;
	gva_t at = start;

	while (at < end) {
		struct vma *v = vma_find(mm, at);
		gva_t to;
		int r;

		if (!v || v->start >= end)
			return -ENOMEM;
		if (v->start > at) {
			hole = true;
			at = v->start;
		}
		to = MIN(v->end, end);
		r = advise_area(mm, v, at, to, advice);
		if (r < 0)
			return r;
		at = to;
	}
	return hole ? -ENOMEM : 0;
}

long mm_madvise(struct mm *mm, gva_t addr, uint64_t len, int advice)
{
	uint64_t size = page_up(len);
	long r;

	if (advice == MADV_HWPOISON || advice == 101 /* MADV_SOFT_OFFLINE */)
		return -EPERM;
	if (!known(advice) || (addr & ~PAGE_MASK) || (len && !size) || addr + size < addr)
		return -EINVAL;
	if (!size)
		return 0;
	mm_lock_write(mm);
	if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
		r = populate(mm, addr, addr + size, advice);
	else
		r = advise_range(mm, addr, addr + size, advice);
	mm_unlock(mm);
	return r;
}
