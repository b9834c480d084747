/* SPDX-License-Identifier: MIT */
/*
 * Pages where none are: zeroes for anonymous memory, the object's pages or copies of them for the rest.
 * An exit costs more than filling many pages, so every fault fills around: a window that grows while
 * the program touches memory in sequence, 2 MiB at once where an area covers them.
 */
#include <string.h>

#include "emul/base/err.h"
#include "emul/mm/vma.h"

#define WINDOW_MIN 16u          /* pages */
#define WINDOW_MAX 256u
#define WINDOW_TIGHT 2u         /* when memory is short */
#define LONE_HUGE_MAX 16u       /* 2 MiB leaves for touches with nothing beside them: bounds what a sparse program gets */
#define AROUND ((uint64_t)512 << 10)    /* present pages of an object mapped with a fault, each way */
#define SMALL_DATA (64 * PAGE_SIZE)     /* private writable maps of files up to here are copied at the first touch */
#define DATA_MAX (8 * SMALL_DATA)       /* and those of host files up to here */
#define AHEAD_MAX (WINDOW_MIN * PAGE_SIZE) /* small maps are filled when made */
#define TEXT_AHEAD ((uint64_t)8 << 20)  /* present pages of programs mapped at once */
#define BRK_AHEAD (64 * PAGE_SIZE)      /* what the heap grows by is touched now */
#define WINDOW_GROWTH 4u
#define EXACT_RUN 32u           /* single pages in sequence before windows are tried all the same */
#define COPY_AHEAD 4u           /* pages copied with a written one in larger data of programs */

/* --- anonymous memory --------------------------------------------------------------------------- */

static bool present(struct mm *mm, gva_t addr)
{
	return leaf_absent(mm, page_down(addr), page_down(addr) + PAGE_SIZE) == 0;
}

static bool huge_fits(struct vma *v, gva_t base, unsigned unless)
{
	return base >= v->start && base + HUGE_SIZE <= v->end && !(v->flags & unless) && !guard_in_range(v->mm, base, base + HUGE_SIZE) &&
	       leaf_absent(v->mm, base, base + HUGE_SIZE) == HUGE_SIZE;
}

/* The program has come here page by page, through windows of the largest size: it will use 2 MiB as well. */
static bool streams(const struct vma *v, gva_t page)
{
	return v->window == WINDOW_MAX && page == v->seq_end;
}

static bool huge_wanted(struct vma *v, gva_t page)
{
	struct mm *mm = v->mm;
	gva_t base = page & HUGE_MASK;
	bool stream = streams(v, page);

	if (!huge_fits(v, base, VMA_X_NOHUGE | VMA_GROWSDOWN | (stream ? 0 : VMA_X_EXACT)) || !pool_plenty(mm_pool(mm)))
		return false;
	if (stream || (v->flags & VMA_X_HUGE))
		return true;
	if ((base > v->start && present(mm, base - 1)) || (base + HUGE_SIZE < v->end && present(mm, base + HUGE_SIZE)))
		return true;
	if (mm->lone_huge >= LONE_HUGE_MAX || !pool_huge_cheap(mm_pool(mm)))
		return false;
	mm->lone_huge++;
	return true;
}

static int fill_huge(struct vma *v, gva_t base)
{
	gpa_t gpa;
	int r = frame_alloc_huge(mm_pool(v->mm), FRAME_ANON, true, &gpa);

	if (r == 0)
		r = leaf_map(v, base, gpa, HUGE_SIZE, prot_effective(v->prot));
	if (r == 0 && base == v->seq_end)
		v->seq_end = base + HUGE_SIZE;
	return r;
}

int fill_anon_range(struct vma *v, gva_t from, gva_t to)
{
	struct mm *mm = v->mm;
	struct leaf_run there;

	v->touched = true;
	while (from < to) {
		uint64_t absent = leaf_absent(mm, from, to);
		gpa_t gpa;
		int n, r;

		if (!absent) {
			leaf_next(mm, from, to, &there);
			from = there.gva + there.len;
			continue;
		}
		n = frame_alloc(mm_pool(mm), FRAME_ANON, (unsigned)MIN(absent >> PAGE_SHIFT, BLOCK_FRAMES), true, &gpa);
		if (n < 0)
			return n;
		r = leaf_map(v, from, gpa, (uint64_t)n << PAGE_SHIFT, prot_effective(v->prot));
		if (r < 0)
			return r;
		from += (gva_t)n << PAGE_SHIFT;
	}
	return 0;
}

/* The window around page: larger each time the program comes to the end (or start) of the last one. */
static void choose_window(struct vma *v, gva_t page, gva_t *ret_from, gva_t *ret_to)
{
	uint64_t size;

	v->run = page == v->seq_end ? v->run + 1 : 0;
	if (v->flags & VMA_X_EXACT) /* no more than it asks for, until it has asked in sequence for long */
		v->window = v->run < EXACT_RUN ? 1 : MIN(v->window * WINDOW_GROWTH, WINDOW_MAX);
	else if (!pool_plenty(mm_pool(v->mm)))
		v->window = WINDOW_TIGHT;
	else if (v->window && (page == v->seq_end || page + PAGE_SIZE == v->seq_start))
		v->window = MIN(v->window * WINDOW_GROWTH, WINDOW_MAX);
	else
		v->window = WINDOW_MIN;
	/* Windows are aligned: touches going either way, or at random, find whole ones. */
	size = (uint64_t)v->window << PAGE_SHIFT;
	*ret_from = MAX(page - page % size, v->start);
	*ret_to = MIN(page - page % size + size, v->end);
	v->seq_start = *ret_from;
	v->seq_end = *ret_to;
}

int fill_anon(struct vma *v, gva_t page)
{
	gva_t from, to;

	v->touched = true;
	if (huge_wanted(v, page) && fill_huge(v, page & HUGE_MASK) == 0)
		return 0;
	choose_window(v, page, &from, &to);
	guard_clip(v->mm, page, &from, &to);
	if (fill_anon_range(v, from, to) == 0 || present(v->mm, page))
		return 0;
	return fill_anon_range(v, page, page + PAGE_SIZE);
}

/* --- pages of objects ----------------------------------------------------------------------------- */

static int object_prot(const struct vma *v)
{
	int prot = prot_effective(v->prot);

	return v->shared ? prot : prot & ~PROT_WRITE;
}

/* Maps what the run has for the absent pages from gva on; the rest of its references is dropped. */
static int map_run(struct vma *v, gva_t gva, const struct page_run *run)
{
	uint64_t len = (uint64_t)run->nr << PAGE_SHIFT;
	uint64_t use = leaf_absent(v->mm, gva, MIN(gva + len, v->end));

	if (use < len)
		frame_put(mm_pool(v->mm), run->gpa + use, len - use);
	return use ? leaf_map(v, gva, run->gpa, use, object_prot(v)) : 0;
}

/* Maps the absent pages of [from, to) that the object has already. */
static void map_present(struct vma *v, gva_t from, gva_t to)
{
	struct leaf_run there;
	struct page_run run;
	unsigned skip;

	while (from < to) {
		uint64_t absent = leaf_absent(v->mm, from, to);

		if (!absent) {
			leaf_next(v->mm, from, to, &there);
			from = there.gva + there.len;
			continue;
		}
		if (v->obj->ops->peek(v->obj, vma_off(v, from), (unsigned)(absent >> PAGE_SHIFT), &run, &skip)) {
			if (map_run(v, from, &run) < 0)
				return;
			from += (gva_t)run.nr << PAGE_SHIFT;
		} else {
			from += (gva_t)MAX(skip, 1u) << PAGE_SHIFT;
		}
	}
}

static int map_object(struct vma *v, gva_t page)
{
	gva_t base = page & HUGE_MASK, from = v->start, to = v->end;
	bool huge = !(vma_off(v, base) & ~HUGE_MASK) && huge_fits(v, base, VMA_X_NOHUGE | VMA_X_EXACT | VMA_GROWSDOWN);
	struct page_run run, whole;
	unsigned skip;
	int r;

	if (page - from > AROUND)
		from = page - AROUND;
	if (to - page > AROUND)
		to = page + AROUND;
	guard_clip(v->mm, page, &from, &to);
	r = v->obj->ops->get(v->obj, vma_off(v, page), (unsigned)((to - page) >> PAGE_SHIFT), huge, &run);
	if (r < 0)
		return r;
	if (huge && v->obj->ops->peek(v->obj, vma_off(v, base), BLOCK_FRAMES, &whole, &skip)) {
		if (whole.nr == BLOCK_FRAMES) {
			frame_put(mm_pool(v->mm), run.gpa, (uint64_t)run.nr << PAGE_SHIFT);
			return map_run(v, base, &whole);
		}
		frame_put(mm_pool(v->mm), whole.gpa, (uint64_t)whole.nr << PAGE_SHIFT);
	}
	r = map_run(v, page, &run);
	if (r == 0 && !(v->flags & VMA_X_EXACT))
		map_present(v, from, to);
	return r;
}

/* Copies as many of the next n absent pages as come in one piece. Pages done, or -errno. */
static int copy_run(struct vma *v, gva_t gva, unsigned n)
{
	struct pool *pool = mm_pool(v->mm);
	struct page_run run;
	gpa_t to;
	int r = v->obj->ops->get(v->obj, vma_off(v, gva), n, false, &run), k;

	if (r < 0)
		return r;
	k = frame_alloc(pool, FRAME_ANON, MIN(run.nr, n), false, &to);
	if (k > 0) {
		/* The source run may lie in two blocks; each is one piece on the host. */
		for (int i = 0; i < k; i++)
			memcpy(frame_hva(pool, to + (gpa_t)i * PAGE_SIZE), frame_hva(pool, run.gpa + (gpa_t)i * PAGE_SIZE),
			       PAGE_SIZE);
		r = leaf_map(v, gva, to, (uint64_t)k << PAGE_SHIFT, prot_effective(v->prot));
	}
	frame_put(pool, run.gpa, (uint64_t)run.nr << PAGE_SHIFT);
	return k < 0 ? k : r < 0 ? r : k;
}

static int copy_range(struct vma *v, gva_t from, gva_t to)
{
	struct leaf_run there;

	v->touched = true;
	while (from < to) {
		uint64_t absent = leaf_absent(v->mm, from, to);
		int n;

		if (!absent) {
			leaf_next(v->mm, from, to, &there);
			from = there.gva + there.len;
			continue;
		}
		n = copy_run(v, from, (unsigned)(absent >> PAGE_SHIFT));
		if (n < 0)
			return n;
		from += (gva_t)n << PAGE_SHIFT;
	}
	return 0;
}

/*
 * Is all of v about to be written, a page soon after the other? Data of programs and libraries, whose files nobody changes
 * meanwhile. Other private maps show what is written to their file until they are written themselves.
 */
bool fill_copies_data(const struct vma *v)
{
	if (!(v->flags & VMA_X_IMAGE))
		return false;
	return v->end - v->start <= SMALL_DATA || (v->obj && v->obj->host_id.ino && v->end - v->start <= DATA_MAX);
}

/* A private writable map: the program gets its own copy at once, with some neighbours. */
static int copy_object(struct vma *v, gva_t page)
{
	uint64_t window = v->end - v->start <= SMALL_DATA ? WINDOW_MIN * PAGE_SIZE : SMALL_DATA;
	gva_t from = page, to = MIN(page + COPY_AHEAD * PAGE_SIZE, v->end);

	if ((v->flags & VMA_X_EXACT) || !(v->flags & VMA_X_IMAGE)) {
		to = page + PAGE_SIZE;
	} else if (fill_copies_data(v)) {
		from = MAX(page - page % window, v->start);
		to = MIN(page - page % window + window, v->end);
	}
	guard_clip(v->mm, page, &from, &to);
	if (copy_range(v, from, to) == 0 || present(v->mm, page))
		return 0;
	return copy_range(v, page, page + PAGE_SIZE);
}

int fill_object(struct vma *v, gva_t page, bool write)
{
	bool copy = !v->shared && (v->prot & PROT_WRITE);
	int r;

	if (copy && (write || fill_copies_data(v)))
		return copy_object(v, page);
	r = map_object(v, page);
	if (r == 0 && write && v->shared)
		memobj_note_write(v->obj);
	return r;
}

/* --- ahead of any fault ------------------------------------------------------------------------------- */

int fill_special(struct vma *v)
{
	return leaf_map(v, v->start, v->mm->ph->p->vdso.gpa + v->off, v->end - v->start, prot_effective(v->prot));
}

/*
 * Small anonymous maps are touched soon, and small ones of shared memory read. So are the segments of programs and libraries,
 * which come with MAP_FIXED; but not what they replace, the reservation of the whole library. Of shared memory that may be written the first
 * write is to be noticed.
 */
void fill_ahead(struct vma *v, gva_t from, gva_t to, bool fixed)
{
	bool write = v->prot & PROT_WRITE;

	if ((v->flags & VMA_X_EXACT) || !v->prot || !pool_plenty(mm_pool(v->mm)))
		return;
	if (vma_is_anon(v)) {
		if (write && to - from <= AHEAD_MAX && !(v->flags & VMA_NORESERVE))
			fill_anon_range(v, from, to);
	} else if (v->shared && !write && !v->obj->is_window && to - from <= AHEAD_MAX) {
		map_present(v, from, to);
	} else if (fixed && !v->shared && !write) {
		map_present(v, from, MIN(to, from + TEXT_AHEAD));
	} else if (fixed && !v->shared && fill_copies_data(v)) {
		copy_range(v, from, MIN(to, from + AHEAD_MAX));
	}
}

void fill_brk(struct vma *v, gva_t from, gva_t to)
{
	if (!(v->flags & VMA_X_EXACT) && to - from <= BRK_AHEAD && pool_plenty(mm_pool(v->mm)))
		fill_anon_range(v, from, to);
}
