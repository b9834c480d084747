/* SPDX-License-Identifier: MIT */
/* What stands behind each page, as /proc/PID/pagemap tells those who may not know frame numbers. fs/proc/task_mmu.c, pagemap_read(). */
#include <string.h>

#include "emul/mm/vma.h"

#define PM_PRESENT (1ull << 63)
#define PM_SWAP (1ull << 62)      /* guards are swap entries to Linux */
#define PM_FILE (1ull << 61)
#define PM_GUARD_REGION (1ull << 58)
#define PM_MMAP_EXCLUSIVE (1ull << 56)

static uint64_t word_of(struct mm *mm, gpa_t gpa)
{
	struct pool *pool = mm_pool(mm);
	enum frame_kind kind = frame_kind(pool, gpa);

	if (kind == FRAME_NONE) /* a window: who else maps the file is not known */
		return PM_PRESENT | PM_FILE;
	return PM_PRESENT | (kind == FRAME_ANON ? 0 : PM_FILE) | (frame_exclusive(pool, gpa) ? PM_MMAP_EXCLUSIVE : 0);
}

void mm_pagemap(struct mm *mm, gva_t start, unsigned n, uint64_t *ret)
{
	gva_t end = start + ((uint64_t)n << PAGE_SHIFT);
	struct leaf_run run;

	memset(ret, 0, n * sizeof(*ret));
	mm_lock_read(mm);
	for (gva_t at = start; leaf_next(mm, at, end, &run); at = run.gva + run.len)
		for (uint64_t i = 0; i < run.len && run.gva + i < end; i += PAGE_SIZE)
			ret[(run.gva + i - start) >> PAGE_SHIFT] = word_of(mm, run.gpa + i);
	if (guard_in_range(mm, start, end))
		for (unsigned i = 0; i < n; i++)
			if (guard_in_range(mm, start + ((gva_t)i << PAGE_SHIFT), start + ((gva_t)(i + 1) << PAGE_SHIFT)))
				ret[i] = PM_SWAP | PM_GUARD_REGION;
	mm_unlock(mm);
}
