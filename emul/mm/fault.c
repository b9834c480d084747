/* SPDX-License-Identifier: MIT */
/* Page faults: which area, whether it may, and whom to ask for the page; growth of the stack; populating. */
#include "emul/mm/vma.h"

#include <signal.h>

#include "emul/base/err.h"

#define STACK_AHEAD (16 * PAGE_SIZE) /* the main stack grows by this much at least, if it may */

/* --- the stack ------------------------------------------------------------------------------------ */

static int may_grow(struct mm *mm, struct vma *v, gva_t start)
{
	struct vma *prev = vma_prev(v);
	uint64_t grow = v->start - start;

	if (start < MMAP_MIN_ADDR || v->end - start > atomic_load_explicit(&mm->limits.stack, memory_order_relaxed))
		return -ENOMEM;
	if (prev && !(prev->flags & VMA_GROWSDOWN) && prev->prot && start - prev->end < STACK_GUARD_GAP)
		return -ENOMEM;
	if (may_expand(mm, grow, false) < 0 || ((v->flags & VMA_LOCKED) && may_lock(mm, grow) < 0))
		return -ENOMEM;
	return 0;
}

int stack_grow(struct mm *mm, struct vma *v, gva_t addr)
{
	gva_t start = page_down(addr);
	struct vma *prev = vma_prev(v);

	if (!(v->flags & VMA_GROWSDOWN) || may_grow(mm, v, start) < 0)
		return -ENOMEM;
	/* The next pages will be wanted too. Other growing areas end exactly at the touched page, as in Linux. */
	if (mm->stack_top > v->start && mm->stack_top <= v->end && start > STACK_AHEAD) {
		gva_t more = start - STACK_AHEAD + PAGE_SIZE;

		if ((!prev || more >= prev->end) && may_grow(mm, v, more) == 0)
			start = more;
	}
	vma_resize(mm, v, start, v->end);
	return 0;
}

/* --- faults ---------------------------------------------------------------------------------------- */

struct vma *fault_vma(struct mm *mm, gva_t addr, enum mm_access access, int *ret_code)
{
	struct vma *v = addr < USER_END ? vma_find(mm, addr) : NULL;

	*ret_code = SEGV_MAPERR;
	if (!v || (v->start > addr && stack_grow(mm, v, addr) < 0))
		return NULL;
	if (guard_in_range(mm, page_down(addr), page_down(addr) + PAGE_SIZE))
		return NULL;
	*ret_code = SEGV_ACCERR;
	return prot_effective(v->prot) & access ? v : NULL;
}

int fault_page(struct vma *v, gva_t addr, enum mm_access access)
{
	struct mm *mm = v->mm;
	gva_t page = page_down(addr);
	struct as_mapping m;

	if (guard_in_range(mm, page, page + PAGE_SIZE))
		return -EFAULT;
	if (mm->ops->as_lookup(mm->as, page, &m)) {
		if (m.prot & access)
			return 0; /* another thread was faster */
		if (access == MM_WRITE && !v->shared)
			return cow_break(v, page, false);
		return mm->ops->as_protect(mm->as, page, PAGE_SIZE, leaf_prot(v, m.gpa));
	}
	if (v->flags & VMA_X_SPECIAL)
		return fill_special(v);
	return v->obj ? fill_object(v, page, access == MM_WRITE) : fill_anon(v, page);
}

bool mm_handle_fault(struct mm *mm, gva_t addr, enum mm_access access, gva_t rsp, struct mm_fault *ret)
{
	struct vma *v;
	int code, r = 0;

	mm_lock_write(mm);
	v = fault_vma(mm, addr, access, &code);
	if (v)
		r = fault_page(v, addr, access);
	mm_unlock(mm);
	if (v && r == 0)
		return true;
	if (!v)
		*ret = (struct mm_fault){ SIGSEGV, code, addr };
	else if (r == -ENOMEM)
		*ret = (struct mm_fault){ SIGKILL, 0, addr };
	else
		*ret = (struct mm_fault){ SIGBUS, BUS_ADRERR, addr };
	return false;
}

/* --- populating --------------------------------------------------------------------------------------- */

static int populate_vma(struct vma *v, gva_t start, gva_t end, enum mm_access access)
{
	struct mm *mm = v->mm;
	int r = 0;

	for (gva_t at = start; at < end && r == 0; at += PAGE_SIZE) {
		struct as_mapping m;

		if (mm->ops->as_lookup(mm->as, at, &m) && (m.prot & access)) {
			at += MIN(m.len, end - at) - PAGE_SIZE;
			continue;
		}
		r = fault_page(v, at, access);
	}
	return r;
}

int fault_populate(struct mm *mm, gva_t start, gva_t end, int access)
{
	for (gva_t at = start; at < end;) {
		struct vma *v = vma_lookup(mm, at);
		int want = access, r;

		if (!v)
			return -ENOENT;
		if (!want)
			want = (v->prot & PROT_WRITE) && !v->shared ? MM_WRITE : v->prot & PROT_EXEC ? MM_EXEC : MM_READ;
		if (!(prot_effective(v->prot) & want))
			return -EINVAL;
		r = populate_vma(v, at, MIN(v->end, end), (enum mm_access)want);
		if (r < 0)
			return r;
		at = v->end;
	}
	return 0;
}

/* A window's file was cut: without the PTEs the next access comes as a fault with an address. */
void mm_drop_truncated(struct mm *mm)
{
	struct vma *v;

	mm_lock_write(mm);
	RB_FOREACH(v, vma_tree, &mm->vmas) {
		uint64_t size, off;

		if (!v->obj || !v->obj->is_window)
			continue;
		size = page_up(v->obj->ops->size(v->obj));
		off = MAX(size, v->off);
		if (off - v->off < v->end - v->start)
			leaf_unmap(mm, v->start + (off - v->off), v->end);
	}
	mm_unlock(mm);
}
