/* SPDX-License-Identifier: MIT */
/* What execve(2) puts into a new address space besides the program: the stack and the vDSO. */
#include "emul/mm/vma.h"

#include "emul/base/err.h"

static int add_area(struct mm *mm, gva_t start, gva_t end, int prot, unsigned flags, uint64_t off)
{
	struct vma *v = vma_new(mm, start, end);

	if (!v)
		return -ENOMEM;
	v->prot = prot;
	v->maxprot = flags & VMA_X_SPECIAL ? PROT_READ | PROT_EXEC : PROT_READ | PROT_WRITE | PROT_EXEC;
	v->flags = flags;
	v->off = off;
	return vma_insert(mm, v);
}

int mm_setup_stack(struct mm *mm, gva_t top, uint64_t initial_size, bool executable)
{
	uint64_t size = page_up(initial_size);
	int r = -ENOMEM;

	mm_lock_write(mm);
	if (top <= USER_END && size < top && may_expand(mm, size, false) == 0)
		r = add_area(mm, top - size, top, PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0),
			     VMA_GROWSDOWN | VMA_STACK, top - size);
	if (r == 0)
		mm->stack_top = top;
	mm_unlock(mm);
	return r;
}

gva_t mm_map_vdso(struct mm *mm, gva_t hint)
{
	const struct vdso_image *d = &mm->ph->p->vdso;
	uint64_t len = d->vvar_len + d->vdso_len;
	long at;
	int r;

	if (!d->vdso_len)
		return 0;
	mm_lock_write(mm);
	at = place_find(mm, page_up(hint), len, 0, false, 0);
	r = at < 0 ? (int)at : add_area(mm, (gva_t)at, (gva_t)at + d->vvar_len, PROT_READ, VMA_VVAR | VMA_X_SPECIAL, 0);
	if (r == 0)
		r = add_area(mm, (gva_t)at + d->vvar_len, (gva_t)at + len, PROT_READ | PROT_EXEC, VMA_VDSO | VMA_X_SPECIAL, d->vvar_len);
	mm_unlock(mm);
	return r < 0 ? 0 : (gva_t)at + d->vvar_len;
}

gva_t mm_mmap_base(struct mm *mm)
{
	return mm->mmap_base;
}

void mm_set_mmap_base(struct mm *mm, gva_t base)
{
	mm_lock_write(mm);
	mm->mmap_base = base;
	mm_unlock(mm);
}
