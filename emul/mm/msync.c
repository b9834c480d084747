/* SPDX-License-Identifier: MIT */
/* msync(2), mincore(2). */
#include "emul/mm/vma.h"

#include "emul/base/err.h"

#define MINCORE_CHUNK 1024

/* Writing back may take long: without the lock. */
static int sync_area(struct mm *mm, struct vma *v, gva_t start, gva_t end)
{
	AUTO(memobj) o = memobj_get(v->obj);
	uint64_t off = vma_off(v, start);
	int r;

	mm_unlock(mm);
	r = o->ops->sync(o, off, end - start);
	mm_lock_write(mm);
	return r;
}

static long sync_range(struct mm *mm, gva_t start, gva_t end, int flags)
{
	bool hole = false;
	gva_t at = start;

	while (at < end) {
		struct vma *v = vma_find(mm, at);
		gva_t to;
		int r = 0;

		if (!v || v->start >= end)
			return -ENOMEM;
		if (v->start > at) {
			hole = true;
			at = v->start;
		}
		to = MIN(v->end, end);
		if ((flags & MS_INVALIDATE) && (v->flags & VMA_LOCKED))
			return -EBUSY;
		if ((flags & MS_SYNC) && v->shared && v->obj && v->obj->ops->sync)
			r = sync_area(mm, v, at, to);
		if (r < 0)
			return r;
		at = to;
	}
	return hole ? -ENOMEM : 0;
}

long mm_msync(struct mm *mm, gva_t addr, uint64_t len, int flags)
{
	uint64_t size = page_up(len);
	long r;

	if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || (addr & ~PAGE_MASK) || ((flags & MS_ASYNC) && (flags & MS_SYNC)))
		return -EINVAL;
	if ((len && !size) || addr + size < addr)
		return -ENOMEM;
	if (!size)
		return 0;
	mm_lock_write(mm);
	r = sync_range(mm, addr, addr + size, flags);
	mm_unlock(mm);
	return r;
}

/* Is the page in memory: mapped, or its object has it. */
static bool resident(struct vma *v, gva_t page)
{
	struct page_run run;
	unsigned skip;

	if (!leaf_absent(v->mm, page, page + PAGE_SIZE))
		return true;
	if (!v->obj || !v->obj->ops->peek(v->obj, vma_off(v, page), 1, &run, &skip))
		return false;
	frame_put(mm_pool(v->mm), run.gpa, (uint64_t)run.nr << PAGE_SHIFT);
	return true;
}

static int look(struct mm *mm, gva_t addr, unsigned n, unsigned char *vec)
{
	int r = 0;

	mm_lock_write(mm);
	for (unsigned i = 0; i < n && r == 0; i++) {
		struct vma *v = vma_lookup(mm, addr + i * PAGE_SIZE);

		if (v)
			vec[i] = resident(v, addr + i * PAGE_SIZE);
		else
			r = -ENOMEM;
	}
	mm_unlock(mm);
	return r;
}

long mm_mincore(struct mm *mm, gva_t addr, uint64_t len, gva_t vec)
{
	unsigned char buf[MINCORE_CHUNK];
	uint64_t pages = page_up(len) >> PAGE_SHIFT;

	if (addr & ~PAGE_MASK)
		return -EINVAL;
	if (addr > USER_END || len > USER_END - addr)
		return -ENOMEM;
	if (vec > USER_END || pages > USER_END - vec)
		return -EFAULT;
	for (uint64_t done = 0; done < pages;) {
		unsigned n = (unsigned)MIN(pages - done, MINCORE_CHUNK);
		int r = look(mm, addr + (done << PAGE_SHIFT), n, buf);

		if (r < 0)
			return r;
		if (copy_to_guest(mm, vec + done, buf, n) < 0)
			return -EFAULT;
		done += n;
	}
	return 0;
}
