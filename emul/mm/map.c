/* SPDX-License-Identifier: MIT */
/* mmap(2) and munmap(2), with Linux's checks in Linux's order (mm/mmap.c: do_mmap, do_munmap). */
#include "emul/mm/vma.h"

#include "emul/base/err.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif
#ifndef MAP_ABOVE4G
#define MAP_ABOVE4G 0x80
#endif
#ifndef MAP_UNINITIALIZED
#define MAP_UNINITIALIZED 0x4000000
#endif
#define MAP_HUGE_SIZES (0x3fu << 26)

/* Flags that MAP_SHARED_VALIDATE knows (include/linux/mman.h: LEGACY_MAP_MASK). */
#define LEGACY_MASK                                                                                          \
	(MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE |             \
	 MAP_UNINITIALIZED | MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK |      \
	 MAP_STACK | MAP_HUGETLB | MAP_32BIT | MAP_ABOVE4G | 21 << 26 | 30 << 26)

int may_expand(struct mm *mm, uint64_t len, bool data)
{
	uint64_t as = atomic_load_explicit(&mm->limits.as, memory_order_relaxed);
	uint64_t lim = atomic_load_explicit(&mm->limits.data, memory_order_relaxed);

	if (len > as || mm->total > as - len)
		return -ENOMEM;
	if (data && (len > lim || mm->data > lim - len))
		return -ENOMEM;
	return 0;
}

int may_lock(struct mm *mm, uint64_t len)
{
	uint64_t lim = atomic_load_explicit(&mm->limits.memlock, memory_order_relaxed);

	return len > lim || mm->locked > lim - len ? -EAGAIN : 0;
}

/* --- unmapping -------------------------------------------------------------------------------------- */

/* An area begins at addr afterwards, if one reaches over it. */
static int split_at(struct mm *mm, gva_t addr)
{
	struct vma *v = vma_lookup(mm, addr);

	if (!v || v->start == addr)
		return 0;
	return vma_split(mm, v, addr) ? 0 : -ENOMEM;
}

static bool any_sealed(struct vma *v, gva_t end)
{
	for (; v && v->start < end; v = vma_next(v))
		if (v->flags & VMA_SEALED)
			return true;
	return false;
}

int unmap_range(struct mm *mm, gva_t start, gva_t end)
{
	struct vma *v = vma_find(mm, start), *next;

	mm_assert_write(mm);
	if (!v || v->start >= end)
		return 0;
	if (any_sealed(v, end))
		return -EPERM;
	if (split_at(mm, start) < 0)
		return -ENOMEM;
	if (split_at(mm, end) < 0) {
		vma_merge(mm, vma_find(mm, start));
		return -ENOMEM;
	}
	/* One call for everything: the platform pays by the call as much as by the page. */
	leaf_unmap(mm, start, end);
	guard_remove(mm, start, end);
	for (v = vma_find(mm, start); v && v->start < end; v = next) {
		next = vma_next(v);
		vma_delete(mm, v);
	}
	return 0;
}

long mm_munmap(struct mm *mm, gva_t addr, uint64_t len)
{
	long r;

	if ((addr & ~PAGE_MASK) || addr > USER_END || len > USER_END - addr || page_up(len) == 0)
		return -EINVAL;
	mm_lock_write(mm);
	r = unmap_range(mm, addr, addr + page_up(len));
	mm_unlock(mm);
	return r;
}

/* ksys_shmdt(): parts may have been unmapped or split; what was moved elsewhere is not part of it. */
static bool attached_at(const struct vma *v, gva_t addr)
{
	return v->obj && v->obj->watch && v->start - addr == v->off;
}

long mm_shmdt(struct mm *mm, gva_t addr)
{
	struct memobj *obj;
	long r = -EINVAL;
	struct vma *v;
	gva_t end;

	if (addr & ~PAGE_MASK)
		return -EINVAL;
	mm_lock_write(mm);
	for (v = vma_find(mm, addr); v && !attached_at(v, addr); v = vma_next(v))
		;
	obj = v ? v->obj : NULL;
	end = v ? addr + page_up(obj->ops->size(obj)) : addr;
	while (v && v->end <= end) {
		gva_t start = v->start, next = v->end;

		if (v->obj == obj && attached_at(v, addr)) {
			unmap_range(mm, start, next);
			r = 0;
		}
		v = vma_find(mm, next);
	}
	mm_unlock(mm);
	return r;
}

/* --- mapping ---------------------------------------------------------------------------------------- */

struct request {
	gva_t addr;
	uint64_t len, off;
	int prot, flags, maxprot;
	struct memobj *obj;
	bool shared, fixed;
	unsigned vflags;
};

/* Huge pages must be reserved by the administrator, and none are. */
static int check_hugetlb(int flags, bool anon)
{
	unsigned log2 = (unsigned)flags >> 26 & 0x3f;

	if (!(flags & MAP_HUGETLB))
		return 0;
	if (!anon || (log2 && log2 != 21 && log2 != 30))
		return -EINVAL;
	return -ENOMEM;
}

static int check_type(struct request *q)
{
	int type = q->flags & MAP_TYPE;

	if (!q->obj) {
		if (type == MAP_SHARED && (q->flags & MAP_GROWSDOWN))
			return -EINVAL;
		q->shared = type == MAP_SHARED;
		return type == MAP_SHARED || type == MAP_PRIVATE ? 0 : -EINVAL;
	}
	if (type == MAP_SHARED_VALIDATE && (q->flags & ~(LEGACY_MASK | MAP_SHARED_VALIDATE)))
		return -EOPNOTSUPP;
	if (type != MAP_SHARED && type != MAP_SHARED_VALIDATE && type != MAP_PRIVATE)
		return -EINVAL;
	q->shared = type != MAP_PRIVATE;
	if (!q->shared && q->obj->is_window)
		return -ENODEV;
	if (q->prot & ~q->maxprot & (PROT_READ | PROT_WRITE | PROT_EXEC))
		return q->prot & PROT_EXEC & ~q->maxprot ? -EPERM : -EACCES;
	if (q->flags & MAP_GROWSDOWN)
		return -EINVAL;
	return 0;
}

/* Where it goes: the address, or -errno. */
static long choose_place(struct mm *mm, const struct request *q)
{
	bool align = q->len >= HUGE_SIZE && (q->obj || !(q->len & ~HUGE_MASK)) && !(q->flags & MAP_STACK);
	gva_t hint = page_down(q->addr);
	struct vma *v;

	if (!q->fixed) {
		if (hint && hint < MMAP_MIN_ADDR)
			hint = MMAP_MIN_ADDR;
		return place_find(mm, hint, q->len, q->flags, align, q->obj ? q->off : 0);
	}
	if (q->addr > USER_END - q->len)
		return -ENOMEM;
	if (q->addr & ~PAGE_MASK)
		return -EINVAL;
	if (q->addr < MMAP_MIN_ADDR)
		return -EPERM;
	v = vma_find(mm, q->addr);
	if ((q->flags & MAP_FIXED_NOREPLACE) && v && v->start < q->addr + q->len)
		return -EEXIST;
	return (long)q->addr;
}

static unsigned vma_flags(struct mm *mm, const struct request *q)
{
	unsigned f = mm->def_flags;

	if (q->flags & MAP_GROWSDOWN)
		f |= VMA_GROWSDOWN;
	if (q->flags & MAP_LOCKED)
		f |= VMA_LOCKED;
	if (q->flags & MAP_NORESERVE)
		f |= VMA_NORESERVE;
	if (q->flags & MAP_STACK)
		f |= VMA_X_NOHUGE;
	if (q->obj && q->fixed && !q->shared)
		f |= VMA_X_IMAGE;
	return f;
}

/* Bytes mapped in the range already: MAP_FIXED replaces them, so they do not count as growth. */
static uint64_t mapped_bytes(struct mm *mm, gva_t start, gva_t end)
{
	uint64_t n = 0;

	for (struct vma *v = vma_find(mm, start); v && v->start < end; v = vma_next(v))
		n += MIN(v->end, end) - MAX(v->start, start);
	return n;
}

static int check_limits(struct mm *mm, const struct request *q)
{
	bool data = vma_is_data(q->prot, q->shared, q->vflags);
	uint64_t grow = q->len;

	if (q->fixed)
		grow -= mapped_bytes(mm, q->addr, q->addr + q->len);
	if (may_expand(mm, grow, data) < 0)
		return -ENOMEM;
	if (data && !(q->vflags & VMA_NORESERVE) && q->len > mm->ph->overcommit_max)
		return -ENOMEM;
	return 0;
}

static struct vma *make_vma(struct mm *mm, const struct request *q)
{
	struct vma *v = vma_new(mm, q->addr, q->addr + q->len);

	if (!v)
		return NULL;
	v->prot = q->prot;
	v->maxprot = q->maxprot;
	v->flags = q->vflags;
	v->shared = q->shared;
	v->cow = q->obj && !q->shared;
	v->off = q->obj ? q->off : q->addr;
	v->obj = q->obj ? memobj_get(q->obj) : NULL;
	return v;
}

static long map_locked(struct mm *mm, struct request *q)
{
	struct vma *v;
	long r;

	if (mm->nr_vmas > max_map_count())
		return -ENOMEM;
	r = choose_place(mm, q);
	if (r < 0)
		return r;
	q->addr = (gva_t)r;
	q->vflags = vma_flags(mm, q);
	if ((q->flags & MAP_LOCKED) && atomic_load(&mm->limits.memlock) == 0)
		return -EPERM;
	if ((q->vflags & VMA_LOCKED) && may_lock(mm, q->len) < 0) /* mlockall(MCL_FUTURE) too */
		return -EAGAIN;
	r = check_type(q);
	if (r < 0)
		return r;
	if (check_limits(mm, q) < 0)
		return -ENOMEM;
	v = make_vma(mm, q);
	if (!v)
		return -ENOMEM;
	r = unmap_range(mm, v->start, v->end);
	if (r < 0) {
		memobj_put(v->obj);
		free(v);
		return r;
	}
	r = vma_insert(mm, v);
	if (r < 0)
		return r;
	v = vma_merge(mm, v);
	if (!(q->vflags & VMA_LOCKED) && !(q->flags & MAP_POPULATE))
		fill_ahead(v, q->addr, q->addr + q->len, q->fixed);
	return (long)q->addr;
}

/* MAP_SHARED|MAP_ANONYMOUS is an unnamed shmem object from the first byte on. */
static struct memobj *anon_object(struct mm *mm, const struct request *q)
{
	bool shared = (q->flags & MAP_ANONYMOUS || !q->obj) && (q->flags & MAP_TYPE) == MAP_SHARED;

	return shared && !(q->flags & MAP_GROWSDOWN) ? shmem_new(mm->ph, q->len) : NULL;
}

/* MAP_POPULATE and locked areas: errors are not reported. */
static void populate(struct mm *mm, const struct request *q, gva_t addr)
{
	bool locked = (q->vflags & VMA_LOCKED) && !(q->vflags & VMA_X_ONFAULT);

	if (!locked && (!(q->flags & MAP_POPULATE) || (q->flags & MAP_NONBLOCK)))
		return;
	mm_lock_write(mm);
	fault_populate(mm, addr, addr + q->len, 0);
	mm_unlock(mm);
}

long mm_mmap(struct mm *mm, gva_t addr, uint64_t len, int prot, int flags, struct memobj *obj, uint64_t off, int maxprot)
{
	struct request q = { .addr = addr, .off = off, .flags = flags, .obj = obj,
			     .prot = prot & (PROT_READ | PROT_WRITE | PROT_EXEC) };
	AUTO(memobj) own = NULL;
	long r;

	if (off & ~PAGE_MASK)
		return -EINVAL;
	r = check_hugetlb(flags, !obj);
	if (r < 0)
		return r;
	if (!len)
		return -EINVAL;
	q.len = page_up(len);
	if (!q.len || q.len > USER_END)
		return -ENOMEM;
	if (obj && (off > INT64_MAX || q.len > (uint64_t)INT64_MAX - off))
		return -EOVERFLOW;
	q.fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	q.maxprot = obj ? maxprot : PROT_READ | PROT_WRITE | PROT_EXEC;
	if (!obj) {
		q.off = 0;
		q.obj = own = anon_object(mm, &q);
		if (!own && (flags & MAP_TYPE) == MAP_SHARED && !(flags & MAP_GROWSDOWN))
			return -ENOMEM;
	}
	mm_lock_write(mm);
	r = map_locked(mm, &q);
	mm_unlock(mm);
	if (r >= 0)
		populate(mm, &q, (gva_t)r);
	return r;
}

/* [start, end) is one shared map of one object, as far as its areas say. The first of them; NULL: it is not. */
static struct vma *one_shared_map(struct mm *mm, gva_t start, gva_t end)
{
	struct vma *first = vma_lookup(mm, start), *v = first;

	if (!v || !v->shared || !v->obj)
		return NULL;
	while (v->end < end) {
		struct vma *next = vma_next(v);

		if (!next || next->start != v->end || next->obj != v->obj || next->shared != v->shared || next->prot != v->prot)
			return NULL;
		v = next;
	}
	return first;
}

long mm_remap_file_pages(struct mm *mm, gva_t addr, uint64_t size, uint64_t pgoff)
{
	struct request q = { .addr = addr & PAGE_MASK, .len = size & PAGE_MASK, .off = pgoff << PAGE_SHIFT, .fixed = true };
	AUTO(memobj) obj = NULL;
	struct vma *v;
	long r = -EINVAL;

	if (q.addr + q.len <= q.addr || pgoff + (q.len >> PAGE_SHIFT) < pgoff || pgoff > UINT64_MAX >> PAGE_SHIFT)
		return -EINVAL;
	mm_lock_write(mm);
	v = one_shared_map(mm, q.addr, q.addr + q.len);
	if (v) {
		q.flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE | (v->flags & VMA_LOCKED ? MAP_LOCKED : 0);
		q.prot = v->prot;
		q.maxprot = v->maxprot;
		q.obj = obj = memobj_get(v->obj);
		r = map_locked(mm, &q);
	}
	mm_unlock(mm);
	if (r < 0)
		return r;
	populate(mm, &q, q.addr);
	return 0;
}
