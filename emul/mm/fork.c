/* SPDX-License-Identifier: MIT */
/*
 * fork(2)'s copy of an address space. Areas are duplicated; pages of shared maps come back by faults.
 * Private pages: those of files are mapped as they are (nobody can write to them); anonymous ones are
 * copied if there are few, or on a stack, since both sides are about to write to them; otherwise parent
 * and child share the frames read-only, and the first to write copies (cow.c). A page pinned for host
 * I/O is copied at once: the parent's must stay where the host writes.
 *
 * Other threads go on meanwhile, and the child must not see a later store without an earlier one of the same thread.
 * Sharing keeps that: a store to a page that is frozen already waits for the lock we hold. Copying would not, so
 * address spaces with several users are never copied.
 */
#include <string.h>

#include "emul/base/err.h"
#include "emul/mm/vma.h"

#define COPY_ALL_PAGES 256u /* address spaces with at most so many anonymous pages are copied */
#define COPY_STACK_PAGES 32u

static int copy_pages(struct vma *c, gva_t gva, gpa_t gpa, uint64_t len)
{
	struct pool *pool = mm_pool(c->mm);

	while (len) {
		gpa_t to;
		int n = frame_alloc(pool, FRAME_ANON, (unsigned)MIN(len >> PAGE_SHIFT, BLOCK_FRAMES), false, &to), r;

		if (n < 0)
			return n;
		for (int i = 0; i < n; i++)
			memcpy(frame_hva(pool, to + (gpa_t)i * PAGE_SIZE), frame_hva(pool, gpa + (gpa_t)i * PAGE_SIZE),
			       PAGE_SIZE);
		r = leaf_map(c, gva, to, (uint64_t)n << PAGE_SHIFT, prot_effective(c->prot));
		if (r < 0)
			return r;
		gva += (gva_t)n << PAGE_SHIFT;
		gpa += (gpa_t)n << PAGE_SHIFT;
		len -= (uint64_t)n << PAGE_SHIFT;
	}
	return 0;
}

static int share_pages(struct vma *c, gva_t gva, gpa_t gpa, uint64_t len)
{
	frame_get(mm_pool(c->mm), gpa, len);
	return leaf_map(c, gva, gpa, len, prot_effective(c->prot) & ~PROT_WRITE);
}

enum how { COPY, SHARE, LATER };

static enum how how_page(struct vma *c, gpa_t gpa, bool copy_anon)
{
	struct pool *pool = mm_pool(c->mm);
	enum frame_kind kind = frame_kind(pool, gpa);

	/* Frames of shmem may be cut away: only faults may map them (memobj_unmap). */
	if (kind == FRAME_SHMEM || kind == FRAME_NONE)
		return LATER;
	if (kind == FRAME_CACHE)
		return SHARE;
	if (frame_pinned(pool, gpa))
		return COPY;
	return copy_anon ? COPY : SHARE;
}

/* The parent's writable pages that the child now shares: those that lie together lose the permission together, whatever their frames. */
struct freeze { struct mm *mm; gva_t from, to; int prot; };

static int freeze_now(struct freeze *f)
{
	gva_t from = f->from;

	f->from = f->to;
	return from == f->to ? 0 : f->mm->ops->as_protect(f->mm->as, from, f->to - from, f->prot & ~PROT_WRITE);
}

static int freeze(struct freeze *f, const struct leaf_run *run, uint64_t from, uint64_t to)
{
	int r = 0;

	if (!(run->prot & PROT_WRITE))
		return 0;
	if (f->to != run->gva + from || f->prot != run->prot) {
		r = freeze_now(f);
		f->from = run->gva + from;
		f->prot = run->prot;
	}
	f->to = run->gva + to;
	return r;
}

/* What may be copied instead of shared: nothing, stacks only, everything. */
enum copy { COPY_NONE, COPY_STACKS, COPY_ALL };

static bool copies_here(const struct vma *c, gva_t gva, enum copy copy)
{
	if (copy == COPY_STACKS)
		return (c->flags & VMA_GROWSDOWN) && c->end - gva <= COPY_STACK_PAGES * PAGE_SIZE;
	return copy == COPY_ALL && (c->prot & PROT_WRITE); /* nothing that is only read needs a copy */
}

static int fork_run(struct freeze *f, struct vma *c, const struct leaf_run *run, enum copy copy)
{
	uint64_t i = 0, j;
	int r = 0;

	for (; i < run->len && r == 0; i = j) {
		enum how how = how_page(c, run->gpa + i, copies_here(c, run->gva + i, copy));

		for (j = i + PAGE_SIZE;
		     j < run->len && how_page(c, run->gpa + j, copies_here(c, run->gva + j, copy)) == how;)
			j += PAGE_SIZE;
		if (how == COPY)
			r = copy_pages(c, run->gva + i, run->gpa + i, j - i);
		else if (how == SHARE)
			r = freeze(f, run, i, j);
		if (r == 0 && how == SHARE)
			r = share_pages(c, run->gva + i, run->gpa + i, j - i);
	}
	return r;
}

static int fork_pages(struct vma *p, struct vma *c, enum copy copy)
{
	struct freeze f = { .mm = p->mm };
	struct leaf_run run;
	int r = 0;

	if (p->flags & VMA_X_SPECIAL)
		return fill_special(c);
	if (p->shared)
		return 0;
	p->cow = c->cow = true;
	for (gva_t at = p->start; r == 0 && leaf_next(p->mm, at, p->end, &run); at = run.gva + run.len)
		r = fork_run(&f, c, &run, copy);
	return r < 0 ? r : freeze_now(&f);
}

static void copy_facts(struct mm *mm, struct mm *c)
{
	c->mmap_base = mm->mmap_base;
	c->start_brk = mm->start_brk;
	c->brk = mm->brk;
	c->stack_top = mm->stack_top;
	c->layout = mm->layout;
	c->lone_huge = mm->lone_huge;
	atomic_store(&c->membarrier, atomic_load(&mm->membarrier));
	atomic_store(&c->plain_text, atomic_load(&mm->plain_text));
	atomic_store(&c->limits.stack, atomic_load(&mm->limits.stack));
	atomic_store(&c->limits.as, atomic_load(&mm->limits.as));
	atomic_store(&c->limits.data, atomic_load(&mm->limits.data));
	atomic_store(&c->limits.memlock, atomic_load(&mm->limits.memlock));
}

static _Atomic uint64_t next_kin = 1;

static int fork_vma(struct vma *p, struct mm *c, enum copy copy)
{
	struct vma *v;
	int r;

	if (p->flags & VMA_DONTFORK)
		return 0;
	v = vma_dup(c, p);
	if (!v)
		return -ENOMEM;
	/* Locks are not inherited. */
	v->flags &= ~(unsigned)(VMA_LOCKED | VMA_X_ONFAULT);
	if (p->flags & VMA_WIPEONFORK)
		v->touched = false, v->kin = 0;
	else if (p->touched && !p->shared)
		v->kin = atomic_fetch_add(&next_kin, 1);
	r = vma_insert(c, v);
	if (r < 0 || (p->flags & VMA_WIPEONFORK))
		return r;
	r = guard_copy(p->mm, p->start, p->end, c, p->start);
	if (r < 0)
		return r;
	return fork_pages(p, v, copy);
}

int mm_fork(struct mm *mm, struct mm **ret)
{
	struct mm *c = mm_new(mm->ph);
	enum copy copy;
	struct vma *v;
	int r = 0;

	if (!c)
		return -ENOMEM;
	/* The child is new: its lock is free, and nobody waits for it holding the parent's. */
	mm_lock_write(mm);
	mm_lock_write(c);
	copy_facts(mm, c);
	copy = mm_is_shared(mm) ? COPY_NONE : mm->rss[FRAME_ANON] <= COPY_ALL_PAGES ? COPY_ALL : COPY_STACKS;
	RB_FOREACH(v, vma_tree, &mm->vmas) {
		r = fork_vma(v, c, copy);
		if (r < 0)
			break;
	}
	if (r == 0 && mm->ops->as_copy_sites)
		r = mm->ops->as_copy_sites(mm->as, c->as);
	mm_unlock(c);
	mm_unlock(mm);
	if (r < 0) {
		mm_put(c);
		return r;
	}
	*ret = c;
	return 0;
}
