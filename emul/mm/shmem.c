/* SPDX-License-Identifier: MIT */
/*
 * Memory objects whose pages are frames of the pool: tmpfs files, memfd, shared anonymous memory.
 * read(2), write(2) and maps use the same frames. The object's lock is never held while guest memory is
 * touched: a page is looked up, referenced, and copied after the lock was dropped.
 */
#include <string.h>

#include "emul/base/err.h"
#include "emul/mm/obj.h"
#include "emul/mm/pagetree.h"

#define AHEAD_MAX 64u  /* pages made ahead of a sequential access */

struct shmem {
	struct memobj obj;
	/* obj.lock: */
	struct pagetree pages;
	uint64_t size;
};

static struct shmem *to_shmem(struct memobj *o);

static inline uint64_t index_of(uint64_t off) { return off >> PAGE_SHIFT; }
/* Pages that a size covers; sizes go up to the largest off_t. */
static inline uint64_t nr_pages(uint64_t size) { return (size >> PAGE_SHIFT) + ((size & ~PAGE_MASK) != 0); }

/* --- pages (obj.lock held) ----------------------------------------------------------------------- */

/* How many pages right before idx are there: a sequential access earns that many ahead. */
static unsigned streak(struct shmem *s, uint64_t idx)
{
	unsigned n = 0;

	while (n < AHEAD_MAX && n < idx && pagetree_get(&s->pages, idx - 1 - n) != GPA_NONE)
		n++;
	return n;
}

static unsigned holes(struct shmem *s, uint64_t idx, unsigned want)
{
	unsigned n = 1;

	while (n < want && pagetree_get(&s->pages, idx + n) == GPA_NONE)
		n++;
	return n;
}

static int insert_run(struct shmem *s, uint64_t idx, gpa_t gpa, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (pagetree_set(&s->pages, idx + i, gpa + i * PAGE_SIZE) < 0) {
			frame_put(memobj_pool(&s->obj), gpa + i * PAGE_SIZE, (n - i) * PAGE_SIZE);
			return i ? 0 : -ENOMEM;
		}
	}
	return 0;
}

/* A whole 2 MiB where nothing is yet. */
static int make_huge(struct shmem *s, uint64_t idx)
{
	uint64_t first = idx & ~(uint64_t)(BLOCK_FRAMES - 1), found;
	struct pool *pool = memobj_pool(&s->obj);
	gpa_t gpa;

	if (first + BLOCK_FRAMES > nr_pages(s->size) || !pool_plenty(pool))
		return -ENOMEM;
	if (pagetree_next(&s->pages, first, &found, &gpa) && found < first + BLOCK_FRAMES)
		return -ENOMEM;
	if (frame_alloc_huge(pool, FRAME_SHMEM, true, &gpa) < 0)
		return -ENOMEM;
	return insert_run(s, first, gpa, BLOCK_FRAMES);
}

/* Makes page idx, and up to `ahead` holes after it. */
static int make_pages(struct shmem *s, uint64_t idx, unsigned ahead, bool huge)
{
	unsigned want = holes(s, idx, MAX(ahead, 1u));
	gpa_t gpa;
	int n;

	if (huge && make_huge(s, idx) == 0)
		return 0;
	n = frame_alloc(memobj_pool(&s->obj), FRAME_SHMEM, want, true, &gpa);
	return n < 0 ? n : insert_run(s, idx, gpa, (unsigned)n);
}

/* The run of present pages at idx, referenced. */
static bool run_at(struct shmem *s, uint64_t idx, unsigned want, struct page_run *ret)
{
	gpa_t gpa = pagetree_get(&s->pages, idx);
	unsigned n = 1;

	if (gpa == GPA_NONE)
		return false;
	while (n < want && pagetree_get(&s->pages, idx + n) == gpa + n * PAGE_SIZE)
		n++;
	frame_get(memobj_pool(&s->obj), gpa, n * PAGE_SIZE);
	*ret = (struct page_run){ gpa, n };
	return true;
}

static int shmem_get(struct memobj *o, uint64_t off, unsigned want, bool huge, struct page_run *ret)
{
	struct shmem *s = to_shmem(o);
	uint64_t idx = index_of(off);
	int r = 0;

	mutex_lock(&o->lock);
	if (off >= s->size) {
		r = -EFAULT;
	} else {
		want = (unsigned)MIN(want, nr_pages(s->size) - idx);
		if (pagetree_get(&s->pages, idx) == GPA_NONE)
			r = make_pages(s, idx, MIN(streak(s, idx), want), huge);
		if (r == 0)
			run_at(s, idx, want, ret);
	}
	mutex_unlock(&o->lock);
	return r;
}

static bool shmem_peek(struct memobj *o, uint64_t off, unsigned want, struct page_run *ret, unsigned *ret_skip)
{
	struct shmem *s = to_shmem(o);
	uint64_t idx = index_of(off), next;
	bool found = false;
	gpa_t gpa;

	mutex_lock(&o->lock);
	*ret_skip = want;
	if (off < s->size) {
		want = (unsigned)MIN(want, nr_pages(s->size) - idx);
		found = run_at(s, idx, want, ret);
		if (!found && pagetree_next(&s->pages, idx, &next, &gpa))
			*ret_skip = (unsigned)MIN(next - idx, want);
	}
	mutex_unlock(&o->lock);
	return found;
}

static void drop_frame(void *ctx, uint64_t idx, gpa_t gpa)
{
	frame_put(ctx, gpa, PAGE_SIZE);
}

static void shmem_put_last(struct memobj *o)
{
	struct shmem *s = to_shmem(o);

	if (!ref_put(&o->ref))
		return;
	pagetree_cut(&s->pages, 0, UINT64_MAX, drop_frame, memobj_pool(o));
	memobj_fini(o);
	free(s);
}

/* Clears [from, to) inside one page that stays. obj.lock held. */
static void clear_part(struct shmem *s, uint64_t from, uint64_t to)
{
	gpa_t gpa = pagetree_get(&s->pages, index_of(from));

	if (gpa != GPA_NONE && from < to)
		memset((char *)frame_hva(memobj_pool(&s->obj), gpa) + (from & ~PAGE_MASK), 0, to - from);
}

/* A file's last page is zero behind the file's end when it is written back. Segments (watched) have no such end. */
static int shmem_sync(struct memobj *o, uint64_t off, uint64_t len)
{
	struct shmem *s = container_of(o, struct shmem, obj);

	if (o->watch)
		return 0;
	mutex_lock(&o->lock);
	if ((s->size & ~PAGE_MASK) && s->size - off < len)
		clear_part(s, s->size, page_up(s->size));
	mutex_unlock(&o->lock);
	return 0;
}

static const struct memobj_ops shmem_ops = {
	.name = "shmem",
	.get = shmem_get,
	.peek = shmem_peek,
	.sync = shmem_sync,
	.remove = shmem_punch,
	.size = shmem_size,
	.put_last = shmem_put_last,
};

static struct shmem *to_shmem(struct memobj *o)
{
	assert(o->ops == &shmem_ops);
	return container_of(o, struct shmem, obj);
}

/* --- for the owners of files ---------------------------------------------------------------------- */

struct memobj *shmem_new(struct phys *ph, uint64_t size)
{
	struct shmem *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	memobj_init(&s->obj, ph, &shmem_ops, (struct memobj_id){ 0, 0 });
	s->size = size;
	return &s->obj;
}

uint64_t shmem_size(struct memobj *o)
{
	struct shmem *s = to_shmem(o);

	return __atomic_load_n(&s->size, __ATOMIC_RELAXED);
}

uint64_t shmem_allocated(struct memobj *o)
{
	struct shmem *s = to_shmem(o);
	uint64_t n;

	mutex_lock(&o->lock);
	n = s->pages.nr_pages << PAGE_SHIFT;
	mutex_unlock(&o->lock);
	return n;
}

/* Pages on their way out: they keep their references until no address space has them. */
struct removed { gpa_t *gpa; size_t n, cap; struct pool *pool; };

static void collect(void *ctx, uint64_t idx, gpa_t gpa)
{
	struct removed *r = ctx;

	/* No memory for the list: the PTEs' own references keep the frame until they are gone. */
	if (r->n == r->cap) {
		gpa_t *more = realloc(r->gpa, (r->cap ? r->cap * 2 : 64) * sizeof(*more));

		if (!more) {
			frame_put(r->pool, gpa, PAGE_SIZE);
			return;
		}
		r->gpa = more;
		r->cap = r->cap ? r->cap * 2 : 64;
	}
	r->gpa[r->n++] = gpa;
}

static void put_removed(struct removed *r)
{
	for (size_t i = 0, j; i < r->n; i = j) {
		for (j = i + 1; j < r->n && r->gpa[j] == r->gpa[i] + (j - i) * PAGE_SIZE; j++)
			;
		frame_put(r->pool, r->gpa[i], (j - i) * PAGE_SIZE);
	}
	free(r->gpa);
}

int shmem_truncate(struct memobj *o, uint64_t size)
{
	struct shmem *s = to_shmem(o);
	struct removed gone = { .pool = memobj_pool(o) };
	uint64_t old;

	mutex_lock(&o->lock);
	old = s->size;
	__atomic_store_n(&s->size, size, __ATOMIC_RELAXED);
	pagetree_cut(&s->pages, nr_pages(size), UINT64_MAX, collect, &gone);
	if (MIN(size, old) & ~PAGE_MASK) /* what was written behind the end by a map does not come to light */
		clear_part(s, MIN(size, old), page_up(MIN(size, old)));
	mutex_unlock(&o->lock);
	if (size < old)
		memobj_unmap(o, nr_pages(size) << PAGE_SHIFT, UINT64_MAX - (nr_pages(size) << PAGE_SHIFT), true);
	put_removed(&gone);
	return 0;
}

int shmem_punch(struct memobj *o, uint64_t off, uint64_t len)
{
	struct shmem *s = to_shmem(o);
	struct removed gone = { .pool = memobj_pool(o) };
	uint64_t end = off + len < off ? UINT64_MAX : off + len;
	uint64_t first = nr_pages(off), last = index_of(end); /* whole pages [first, last) */

	mutex_lock(&o->lock);
	if (index_of(off) == last) {
		clear_part(s, off, end);
	} else {
		if (off & ~PAGE_MASK)
			clear_part(s, off, (off & PAGE_MASK) + PAGE_SIZE);
		clear_part(s, end & PAGE_MASK, end);
		pagetree_cut(&s->pages, first, last, collect, &gone);
	}
	mutex_unlock(&o->lock);
	if (gone.n)
		memobj_unmap(o, first << PAGE_SHIFT, (last - first) << PAGE_SHIFT, false);
	put_removed(&gone);
	return 0;
}

/* The page's frame with a reference, made if asked; GPA_NONE: a hole, or no memory. */
static gpa_t page_for_io(struct shmem *s, uint64_t idx, unsigned ahead, bool make)
{
	struct page_run run;
	bool found;

	mutex_lock(&s->obj.lock);
	found = run_at(s, idx, 1, &run);
	if (!found && make && make_pages(s, idx, MIN(ahead, AHEAD_MAX), ahead >= BLOCK_FRAMES) == 0)
		found = run_at(s, idx, 1, &run);
	mutex_unlock(&s->obj.lock);
	return found ? run.gpa : GPA_NONE;
}

ssize_t shmem_read(struct memobj *o, struct uio *to, uint64_t off)
{
	struct shmem *s = to_shmem(o);
	struct pool *pool = memobj_pool(o);
	ssize_t done = 0;

	while (uio_left(to)) {
		uint64_t size = shmem_size(o), in = off & ~PAGE_MASK;
		ssize_t n, r;
		gpa_t gpa;

		if (off >= size)
			break;
		n = (ssize_t)MIN(MIN(PAGE_SIZE - in, size - off), uio_left(to));
		gpa = page_for_io(s, index_of(off), 0, false);
		if (gpa == GPA_NONE) {
			r = uio_zero(to, (size_t)n);
		} else {
			r = uio_copy_out(to, (char *)frame_hva(pool, gpa) + in, (size_t)n);
			frame_put(pool, gpa, PAGE_SIZE);
		}
		if (r < 0)
			return done ? done : r;
		done += r;
		off += (uint64_t)r;
		if (r < n)
			break;
	}
	return done;
}

static void extend_to(struct shmem *s, uint64_t from, uint64_t end)
{
	mutex_lock(&s->obj.lock);
	if (from > s->size && (s->size & ~PAGE_MASK))
		clear_part(s, s->size, MIN(from, page_up(s->size)));
	if (end > s->size)
		__atomic_store_n(&s->size, end, __ATOMIC_RELAXED);
	mutex_unlock(&s->obj.lock);
}

ssize_t shmem_write(struct memobj *o, struct uio *from, uint64_t off)
{
	struct shmem *s = to_shmem(o);
	struct pool *pool = memobj_pool(o);
	ssize_t done = 0;

	while (uio_left(from)) {
		uint64_t in = off & ~PAGE_MASK;
		ssize_t n = (ssize_t)MIN(PAGE_SIZE - in, uio_left(from)), r;
		gpa_t gpa = page_for_io(s, index_of(off), (unsigned)nr_pages(MIN(uio_left(from), HUGE_SIZE)), true);

		if (gpa == GPA_NONE)
			return done ? done : -ENOSPC;
		r = uio_copy_in(from, (char *)frame_hva(pool, gpa) + in, (size_t)n);
		frame_put(pool, gpa, PAGE_SIZE);
		if (r < 0)
			return done ? done : r;
		done += r;
		off += (uint64_t)r;
		extend_to(s, off - (uint64_t)r, off);
		if (r < n)
			break;
	}
	return done;
}

int shmem_allocate(struct memobj *o, uint64_t off, uint64_t len)
{
	struct shmem *s = to_shmem(o);
	uint64_t end = nr_pages(off + len), idx;
	int r = 0;

	/* Refuse what cannot fit before taking all memory for it. */
	if (off + len < off || len > memobj_pool(o)->limit)
		return -ENOSPC;
	mutex_lock(&o->lock);
	for (idx = index_of(off); idx < end && r == 0; idx++)
		if (pagetree_get(&s->pages, idx) == GPA_NONE)
			r = make_pages(s, idx, (unsigned)MIN(end - idx, AHEAD_MAX), false);
	mutex_unlock(&o->lock);
	return r < 0 ? -ENOSPC : 0;
}

int64_t shmem_seek_data(struct memobj *o, uint64_t off)
{
	struct shmem *s = to_shmem(o);
	int64_t r = -ENXIO;
	uint64_t idx;
	gpa_t gpa;

	mutex_lock(&o->lock);
	if (off < s->size && pagetree_next(&s->pages, index_of(off), &idx, &gpa) && idx < nr_pages(s->size))
		r = (int64_t)MAX(off, idx << PAGE_SHIFT);
	mutex_unlock(&o->lock);
	return r;
}

int64_t shmem_seek_hole(struct memobj *o, uint64_t off)
{
	struct shmem *s = to_shmem(o);
	int64_t r = -ENXIO;

	mutex_lock(&o->lock);
	if (off < s->size) {
		uint64_t idx = index_of(off);

		while (idx < nr_pages(s->size) && pagetree_get(&s->pages, idx) != GPA_NONE)
			idx++;
		r = (int64_t)MIN(MAX(off, idx << PAGE_SHIFT), s->size);
	}
	mutex_unlock(&o->lock);
	return r;
}

bool shmem_mapped_writable(struct memobj *o)
{
	bool r;

	mutex_lock(&o->lock);
	r = o->nr_writable > 0;
	mutex_unlock(&o->lock);
	return r;
}

void shmem_forbid_writable_maps(struct memobj *o)
{
	mutex_lock(&o->lock);
	o->forbid_writable = true;
	mutex_unlock(&o->lock);
}
