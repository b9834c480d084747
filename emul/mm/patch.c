/* SPDX-License-Identifier: MIT */
/*
 * Rewriting of call sites in a program's text, for the platform (vmm/sites.c has the theory). Only private maps of files that cannot be
 * written are touched: the page becomes the address space's own copy, the file and its cached pages stay as they are. The whole
 * page is replaced with the change in it, so another thread sees the old instruction or the new one.
 */
#include <string.h>

#include "emul/base/err.h"
#include "emul/mm/vma.h"

/* The area if text at addr may be changed unnoticed. */
static struct vma *patchable(struct mm *mm, gva_t addr)
{
	struct vma *v = vma_lookup(mm, addr);

	return v && v->obj && !v->shared && !(v->flags & VMA_X_SPECIAL) && (v->prot & (PROT_WRITE | PROT_EXEC)) == PROT_EXEC ? v : NULL;
}

/* len bytes of text within one page, as they are mapped now; false: absent. */
static bool text_at(struct mm *mm, gva_t addr, unsigned len, struct as_mapping *ret)
{
	return page_down(addr) == page_down(addr + len - 1) && mm->ops->as_lookup(mm->as, addr, ret) && !ret->window;
}

/* Replaces text that reads `old` by `now`. */
static int replace(struct vma *v, gva_t addr, unsigned len, const uint8_t *old, const uint8_t *now)
{
	struct pool *pool = mm_pool(v->mm);
	gva_t page = page_down(addr);
	struct as_mapping m;
	gpa_t gpa, was;
	int r;

	if (!text_at(v->mm, addr, len, &m) || memcmp(m.hva, old, len))
		return -ENOENT;
	was = m.gpa - (addr - page);
	r = frame_alloc(pool, FRAME_ANON, 1, false, &gpa);
	if (r < 0)
		return r;
	memcpy(frame_hva(pool, gpa), frame_hva(pool, was), PAGE_SIZE);
	memcpy((uint8_t *)frame_hva(pool, gpa) + (addr - page), now, len);
	v->touched = true;
	return leaf_replace(v, page, gpa, PAGE_SIZE, prot_effective(v->prot), &was);
}

void mm_rewrite_site(struct mm *mm, const struct uregs *r, uint64_t nr)
{
	gva_t from = r->rip - SITE_BEFORE;
	struct text_patch p;
	struct as_mapping m;
	struct vma *v;

	if (!mm->ops->site_make || atomic_load(&mm->plain_text))
		return;
	mm_lock_write(mm);
	v = patchable(mm, from);
	if (v && !atomic_load(&mm->plain_text) && from >= v->start && r->rip + SITE_AFTER <= v->end &&
	    text_at(mm, from, SITE_BEFORE + SITE_AFTER, &m) && pool_plenty(mm_pool(mm)) &&
	    mm->ops->site_make(mm->as, r, nr, m.hva, &p))
		(void)replace(v, p.at, p.len, p.old, p.now);
	mm_unlock(mm);
}

void mm_restore_text_locked(struct mm *mm, gva_t start, gva_t end)
{
	struct text_patch p;

	if (!mm->ops->site_get)
		return;
	for (unsigned i = 0; mm->ops->site_get(mm->as, i, &p); i++) {
		struct vma *v = p.at + p.len > start && p.at < end ? patchable(mm, p.at) : NULL;

		/* Without memory for it the rewritten site stays: it works as well. */
		if (v)
			(void)replace(v, p.at, p.len, p.now, p.old);
	}
}

void mm_restore_text(struct mm *mm)
{
	atomic_store(&mm->plain_text, true);
	mm_lock_write(mm);
	mm_restore_text_locked(mm, 0, USER_END);
	mm_unlock(mm);
}
