/* SPDX-License-Identifier: MIT */
/* What all memory objects share: references, tags, the list of areas that map them. */
#include "emul/mm/obj.h"

#include "emul/base/err.h"
#include "emul/base/wait.h"
#include "emul/mm/vma.h"

void memobj_init(struct memobj *o, struct phys *ph, const struct memobj_ops *ops, struct memobj_id host_id)
{
	ref_init(&o->ref);
	o->ops = ops;
	o->ph = ph;
	o->host_id = o->id = host_id;
	mutex_init(&o->lock);
	list_init(&o->vmas);
}

void memobj_fini(struct memobj *o)
{
	assert(list_empty(&o->vmas));
	if (o->free_tag)
		o->free_tag(o->tag);
	if (o->watch)
		o->watch->gone(o->watch);
	mutex_fini(&o->lock);
}

void memobj_note_write(struct memobj *o)
{
	atomic_store_explicit(&o->map_written, clock_now(CLOCK_REALTIME_COARSE), memory_order_relaxed);
}

int64_t memobj_map_written(struct memobj *o)
{
	return atomic_exchange_explicit(&o->map_written, 0, memory_order_relaxed);
}

struct memobj *memobj_get(struct memobj *o)
{
	ref_get(&o->ref);
	return o;
}

/*
 * Objects found through weak tables (files) must not be revived while they die: the step from 1 to 0
 * is made by ops->put_last() under the table's lock.
 */
void memobj_put(struct memobj *o)
{
	unsigned n;

	if (!o)
		return;
	n = atomic_load_explicit(&o->ref.n, memory_order_relaxed);
	while (n > 1)
		if (atomic_compare_exchange_weak_explicit(&o->ref.n, &n, n - 1, memory_order_acq_rel,
							  memory_order_relaxed))
			return;
	o->ops->put_last(o);
}

static void set_tag(struct memobj *o, void *tag, void (*free_tag)(void *), struct memobj_id id, bool map_tag)
{
	bool taken;

	mutex_lock(&o->lock);
	taken = o->tag;
	if (!taken) {
		o->tag = tag;
		o->free_tag = free_tag;
		o->map_tag = map_tag;
		o->id = id;
	}
	mutex_unlock(&o->lock);
	/* Somebody else named the shared object meanwhile. */
	if (taken && free_tag)
		free_tag(tag);
}

void memobj_set_tag(struct memobj *o, void *tag, void (*free_tag)(void *), struct memobj_id id)
{
	set_tag(o, tag, free_tag, id, false);
}

void memobj_set_map_tag(struct memobj *o, void *tag, void (*free_tag)(void *), struct memobj_id id)
{
	set_tag(o, tag, free_tag, id, true);
}

bool memobj_has_tag(struct memobj *o)
{
	bool has;

	mutex_lock(&o->lock);
	has = o->tag;
	mutex_unlock(&o->lock);
	return has;
}

void *memobj_tag(struct memobj *o, void (*get)(void *tag))
{
	void *tag;

	mutex_lock(&o->lock);
	tag = o->tag;
	if (tag)
		get(tag);
	mutex_unlock(&o->lock);
	return tag;
}

struct memobj_id memobj_id(const struct memobj *o)
{
	return o->id;
}

void memobj_set_watch(struct memobj *o, struct memobj_watch *w)
{
	assert(list_empty(&o->vmas) && !o->watch);
	o->watch = w;
}

int memobj_attach(struct memobj *o, struct vma *v)
{
	int r = 0;

	mutex_lock(&o->lock);
	if (v->shared && o->forbid_writable) {
		/* Linux 6.7: a sealed file may still be mapped for reading, and then stays so. */
		if (v->prot & PROT_WRITE)
			r = -EPERM;
		v->maxprot &= ~PROT_WRITE;
	}
	if (r == 0) {
		list_add_tail(&o->vmas, &v->obj_node);
		o->nr_writable += v->shared && (v->maxprot & PROT_WRITE);
	}
	mutex_unlock(&o->lock);
	if (r == 0 && o->watch)
		o->watch->attached(o->watch);
	return r;
}

void memobj_detach(struct memobj *o, struct vma *v)
{
	void (*free_tag)(void *) = NULL;
	void *tag = NULL;

	mutex_lock(&o->lock);
	list_del(&v->obj_node);
	if (v->shared && (v->maxprot & PROT_WRITE))
		o->nr_writable--;
	if (list_empty(&o->vmas) && o->map_tag) {
		tag = o->tag;
		free_tag = o->free_tag;
		o->tag = NULL;
		o->free_tag = NULL;
		o->map_tag = false;
	}
	mutex_unlock(&o->lock);
	/* The area's own reference still keeps the object. */
	if (free_tag)
		free_tag(tag);
	if (o->watch)
		o->watch->detached(o->watch);
}

/* Address spaces that map the object now, with references. Returns their number, -ENOMEM. */
static int mappers(struct memobj *o, struct mm ***ret)
{
	struct mm **list = NULL;
	struct vma *v;
	size_t n = 0, cap = 0;

	mutex_lock(&o->lock);
	list_for_each(v, &o->vmas, obj_node) {
		if (n && list[n - 1] == v->mm)
			continue;
		if (n == cap) {
			struct mm **more = realloc(list, (cap = cap ? cap * 2 : 16) * sizeof(*more));

			if (!more)
				break;
			list = more;
		}
		/* One that is dying unmaps everything by itself. */
		if (ref_get_live(&v->mm->ref))
			list[n++] = v->mm;
	}
	mutex_unlock(&o->lock);
	*ret = list;
	return (int)n;
}

static void unmap_own_pages(struct mm *mm, gva_t start, gva_t end)
{
	struct leaf_run run;

	for (gva_t at = start; leaf_next(mm, at, end, &run); at = run.gva + run.len)
		for (gva_t p = run.gva; p < run.gva + run.len; p += PAGE_SIZE)
			if (frame_kind(mm_pool(mm), run.gpa + (p - run.gva)) != FRAME_ANON)
				leaf_unmap(mm, p, p + PAGE_SIZE);
}

static void unmap_in(struct mm *mm, struct memobj *o, uint64_t off, uint64_t end, bool all)
{
	struct vma *v;

	mm_lock_write(mm);
	RB_FOREACH(v, vma_tree, &mm->vmas) {
		uint64_t len = v->end - v->start;

		if (v->obj != o || v->off >= end || v->off + len <= off)
			continue;
		gva_t a = v->start + (off > v->off ? off - v->off : 0);
		gva_t b = end - v->off < len ? v->start + (end - v->off) : v->end;

		if (all || v->shared)
			leaf_unmap(mm, a, b);
		else
			unmap_own_pages(mm, a, b);
	}
	mm_unlock(mm);
}

/*
 * The pages have left the object already, so nobody can map them anew; an address space that begins to
 * map the object after the list was made cannot have them (fork copies no PTEs of shared objects... nor
 * of private maps of them: see fork.c).
 */
void memobj_unmap(struct memobj *o, uint64_t off, uint64_t len, bool all)
{
	uint64_t end = off + len < off ? UINT64_MAX & PAGE_MASK : off + len;
	struct mm **list;
	int n = mappers(o, &list);

	for (int i = 0; i < n; i++) {
		unmap_in(list[i], o, off, end, all);
		mm_put(list[i]);
	}
	free(list);
}

void memobj_futex_key(struct memobj *o, uint64_t off, struct futex_key *ret)
{
	/* Read-only and writable windows of a file are two objects. The top bit is never set in a pointer. */
	uint64_t mix = (o->host_id.ino ^ ((uint64_t)o->host_id.dev << 40)) * 0x9e3779b97f4a7c15ull;

	ret->a = o->is_window ? (mix | (uint64_t)1 << 63) : (uintptr_t)o;
	ret->b = off;
}
