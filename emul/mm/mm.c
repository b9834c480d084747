/* SPDX-License-Identifier: MIT */
/* Address spaces and the instance's memory as objects: making, counting, locking, looking at areas. */
#include <stdlib.h>

#include "emul/base/err.h"
#include "emul/mm/usercopy.h"
#include "emul/mm/vma.h"

/* --- the instance's memory ----------------------------------------------------------------------------- */

struct phys *phys_new(struct platform *p, uint64_t limit)
{
	struct phys *ph = calloc(1, sizeof(*ph));

	if (!ph)
		return NULL;
	if (pool_init(&ph->pool, p, limit) < 0) {
		free(ph);
		return NULL;
	}
	ph->p = p;
	ph->overcommit_max = limit;
	pagecache_init(ph);
	ph->pool.reclaim = pagecache_reclaim;
	mutex_init(&ph->window_lock);
	list_init(&ph->windows);
	return ph;
}

void phys_free(struct phys *ph)
{
	if (!ph)
		return;
	pagecache_fini(ph);
	pool_fini(&ph->pool);
	mutex_fini(&ph->window_lock);
	free(ph);
}

static uint64_t bytes_of(struct pool *pool, enum frame_kind kind)
{
	return atomic_load_explicit(&pool->used[kind], memory_order_relaxed) << PAGE_SHIFT;
}

void phys_stats(struct phys *ph, struct mem_stats *ret)
{
	uint64_t used = pool_used(&ph->pool);

	*ret = (struct mem_stats){
		.total = ph->pool.limit,
		.free = used < ph->pool.limit ? ph->pool.limit - used : 0,
		.cached = bytes_of(&ph->pool, FRAME_CACHE),
		.shmem = bytes_of(&ph->pool, FRAME_SHMEM),
		.anon = bytes_of(&ph->pool, FRAME_ANON),
		.committed = atomic_load_explicit(&ph->committed, memory_order_relaxed),
	};
}

/* --- locking -------------------------------------------------------------------------------------------- */

void mm_lock_read(struct mm *mm)
{
	pthread_rwlock_rdlock(&mm->lock);
}

void mm_lock_write(struct mm *mm)
{
	pthread_rwlock_wrlock(&mm->lock);
	atomic_store_explicit(&mm->writer, pthread_self(), memory_order_relaxed);
}

void mm_unlock(struct mm *mm)
{
	if (pthread_equal(atomic_load_explicit(&mm->writer, memory_order_relaxed), pthread_self()))
		atomic_store_explicit(&mm->writer, (pthread_t)0, memory_order_relaxed);
	pthread_rwlock_unlock(&mm->lock);
}

/* Writers first: a thread that reads in a loop must not keep a fault waiting. */
static void lock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t a;

	pthread_rwlockattr_init(&a);
	pthread_rwlockattr_setkind_np(&a, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(lock, &a);
	pthread_rwlockattr_destroy(&a);
}

/* --- life -------------------------------------------------------------------------------------------------- */

struct mm *mm_new(struct phys *ph)
{
	struct mm *mm = calloc(1, sizeof(*mm));

	if (!mm)
		return NULL;
	mm->ops = ph->p->ops;
	mm->as = mm->ops->as_new(ph->p);
	if (!mm->as) {
		free(mm);
		return NULL;
	}
	ref_init(&mm->ref);
	mm->gm.ops = &mm_guest_ops;
	mm->ph = ph;
	lock_init(&mm->lock);
	RB_INIT(&mm->vmas);
	atomic_store(&mm->limits.stack, UINT64_MAX);
	atomic_store(&mm->limits.as, UINT64_MAX);
	atomic_store(&mm->limits.data, UINT64_MAX);
	atomic_store(&mm->limits.memlock, UINT64_MAX);
	mm->mmap_base = page_down(USER_END - ((gva_t)128 << 20));
	return mm;
}

struct mm *mm_get(struct mm *mm)
{
	ref_get(&mm->ref);
	return mm;
}

bool mm_is_shared(struct mm *mm)
{
	return atomic_load(&mm->ref.n) > 1;
}

void mm_put(struct mm *mm)
{
	struct vma *v;

	if (!mm || !ref_put(&mm->ref))
		return;
	mm_lock_write(mm);
	leaf_unmap_all(mm);
	while ((v = RB_ROOT(&mm->vmas)))
		vma_delete(mm, v);
	mm_unlock(mm);
	mm->ops->as_free(mm->as);
	pthread_rwlock_destroy(&mm->lock);
	free(mm->guards);
	free(mm);
}

struct aspace *mm_aspace(struct mm *mm) { return mm->as; }
struct guest_mem *mm_guest(struct mm *mm) { return &mm->gm; }
struct mm_layout *mm_layout(struct mm *mm) { return &mm->layout; }
struct mm_limits *mm_limits(struct mm *mm) { return &mm->limits; }
struct phys *mm_phys(struct mm *mm) { return mm->ph; }
void mm_membarrier_register(struct mm *mm, unsigned cmd) { atomic_fetch_or(&mm->membarrier, cmd); }
unsigned mm_membarrier_registered(struct mm *mm) { return atomic_load(&mm->membarrier); }

/* --- looking ------------------------------------------------------------------------------------------------- */

void mm_reset_peak(struct mm *mm)
{
	mm_lock_write(mm);
	mm->hiwater_rss = 0;
	for (int k = 0; k < FRAME_NKINDS; k++)
		mm->hiwater_rss += mm->rss[k];
	mm_unlock(mm);
}

void mm_counts(struct mm *mm, struct mm_counts *ret)
{
	mm_lock_read(mm);
	*ret = (struct mm_counts){
		.total_vm = mm->total, .data_vm = mm->data, .exec_vm = mm->exec, .stack_vm = mm->stack, .locked_vm = mm->locked,
		.rss_anon = mm->rss[FRAME_ANON] << PAGE_SHIFT,
		/* windows and the vDSO are file pages without a frame of the pool */
		.rss_file = (mm->rss[FRAME_CACHE] + mm->rss[FRAME_NONE]) << PAGE_SHIFT,
		.rss_shmem = mm->rss[FRAME_SHMEM] << PAGE_SHIFT,
		.hiwater_rss = mm->hiwater_rss << PAGE_SHIFT, .hiwater_vm = mm->hiwater_total,
	};
	mm_unlock(mm);
	/* One leaf table for 2 MiB, as an estimate from below. */
	ret->page_tables = (3 + (ret->rss_anon + ret->rss_file + ret->rss_shmem) / HUGE_SIZE) * PAGE_SIZE;
}

static void count_pages(struct mm *mm, const struct vma *v, struct vma_info *i)
{
	struct leaf_run run;

	for (gva_t at = v->start; leaf_next(mm, at, v->end, &run); at = run.gva + run.len) {
		i->rss += run.len;
		for (uint64_t k = 0; k < run.len; k += PAGE_SIZE)
			if (frame_kind(mm_pool(mm), run.gpa + k) == FRAME_ANON)
				i->anon += PAGE_SIZE;
		if (v->shared && (run.prot & PROT_WRITE))
			i->dirty += run.len;
	}
	i->dirty += i->anon;
}

static unsigned shown_flags(struct mm *mm, const struct vma *v)
{
	unsigned f = v->flags & 0xfffff;

	if (vma_is_anon(v) && v->start < mm->brk && v->end > mm->start_brk && mm->brk > mm->start_brk)
		f |= VMA_HEAP;
	if (v->start <= mm->layout.start_stack && mm->layout.start_stack < v->end)
		f |= VMA_STACK;
	else
		f &= ~(unsigned)VMA_STACK;
	return f;
}

int mm_list_vmas(struct mm *mm, bool pages, struct vma_list *ret)
{
	struct vma *v;

	mm_lock_read(mm);
	*ret = (struct vma_list){ .v = calloc(mm->nr_vmas + 1, sizeof(*ret->v)) };
	if (ret->v)
		RB_FOREACH(v, vma_tree, &mm->vmas) {
			struct vma_info *i = &ret->v[ret->n++];

			*i = (struct vma_info){
				.start = v->start, .end = v->end, .prot = v->prot, .maxprot = v->maxprot, .shared = v->shared,
				.flags = shown_flags(mm, v), .off = v->obj ? v->off : 0, .obj = v->obj ? memobj_get(v->obj) : NULL,
			};
			if (pages)
				count_pages(mm, v, i);
		}
	mm_unlock(mm);
	return ret->v ? 0 : -ENOMEM;
}

void vma_list_fini(struct vma_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		memobj_put(l->v[i].obj);
	free(l->v);
}
