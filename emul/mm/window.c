/* SPDX-License-Identifier: MIT */
/*
 * MAP_SHARED of host files: the host's own pages, mapped into guest physical memory in large aligned
 * ranges, so that all maps of a file share them and stay coherent with the whole machine. One object per
 * file and kind of access. Pages of a window are no frames: the object lives as long as it is mapped or pinned.
 */
#include <fcntl.h> /* host syscalls: fallocate fstat msync close */
#include <string.h>
#include <sys/mman.h>

#include "emul/base/err.h"
#include "emul/mm/obj.h"

#define GRANULE ((uint64_t)16 << 20)

struct range { uint64_t off; size_t len; gpa_t gpa; char *hva; };

struct window {
	struct memobj obj;
	bool writable;    /* constant */
	int fd;           /* constant */
	struct list node; /* phys->window_lock */
	/* obj.lock: */
	struct range *ranges; /* sorted by off; one is never changed */
	unsigned nr;
};

static struct window *to_window(struct memobj *o);

static uint64_t window_size(struct memobj *o)
{
	struct stat st;

	return fstat(to_window(o)->fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

/* The first range that ends after off. */
static unsigned find(const struct window *w, uint64_t off)
{
	unsigned i = 0;

	while (i < w->nr && w->ranges[i].off + w->ranges[i].len <= off)
		i++;
	return i;
}

static int map_at(struct window *w, unsigned i, uint64_t from, uint64_t to)
{
	const struct platform_ops *ops = w->obj.ph->p->ops;
	struct range *more = realloc(w->ranges, (w->nr + 1) * sizeof(*more)), r = { .off = from, .len = to - from };
	void *hva;
	int err;

	if (!more)
		return -ENOMEM;
	w->ranges = more;
	err = ops->window_map(w->obj.ph->p, w->fd, (off_t)from, to - from, PROT_READ | (w->writable ? PROT_WRITE : 0),
			      &r.gpa, &hva);
	if (err < 0)
		return err;
	r.hva = hva;
	memmove(more + i + 1, more + i, (w->nr - i) * sizeof(*more));
	more[i] = r;
	w->nr++;
	return 0;
}

/* The range that holds off, mapped if need be; size: of the file. */
static int get_range(struct window *w, uint64_t off, uint64_t size, struct range *ret)
{
	unsigned i = find(w, off);
	uint64_t from = off & ~(GRANULE - 1), to = from + GRANULE;
	int r = 0;

	if (i == w->nr || w->ranges[i].off > off) {
		if (i > 0)
			from = MAX(from, w->ranges[i - 1].off + w->ranges[i - 1].len);
		if (i < w->nr)
			to = MIN(to, w->ranges[i].off);
		to = MIN(to, (size + HUGE_SIZE - 1) & HUGE_MASK);
		r = map_at(w, i, from, to);
	}
	if (r == 0)
		*ret = w->ranges[i];
	return r;
}

static int window_get(struct memobj *o, uint64_t off, unsigned want, bool huge, struct page_run *ret)
{
	struct window *w = to_window(o);
	uint64_t size = window_size(o);
	struct range g;
	int r;

	if (off >= size)
		return -EFAULT;
	mutex_lock(&o->lock);
	r = get_range(w, off, size, &g);
	mutex_unlock(&o->lock);
	if (r < 0)
		return -EIO; /* the host cannot map it: the guest sees a bad device */
	ret->gpa = g.gpa + (off - g.off);
	ret->nr = (unsigned)MIN(MIN((g.off + g.len - off) >> PAGE_SHIFT, page_up(size - off) >> PAGE_SHIFT), want);
	return 0;
}

/* Nothing is known to be there without asking the host. */
static bool window_peek(struct memobj *o, uint64_t off, unsigned want, struct page_run *ret, unsigned *ret_skip)
{
	*ret_skip = want;
	return false;
}

static int window_sync(struct memobj *o, uint64_t off, uint64_t len)
{
	struct window *w = to_window(o);
	uint64_t end = off + len;
	int r = 0;

	for (uint64_t at = off; at < end && r == 0;) {
		struct range g = { 0 };
		unsigned i;

		mutex_lock(&o->lock);
		i = find(w, at);
		if (i < w->nr)
			g = w->ranges[i]; /* ranges stay while we hold a reference */
		mutex_unlock(&o->lock);
		if (!g.hva || g.off >= end)
			break;
		at = MAX(at, g.off);
		r = (int)HOST(msync(g.hva + (at - g.off), MIN(end, g.off + g.len) - at, MS_SYNC));
		at = g.off + g.len;
	}
	return r;
}

static int window_remove(struct memobj *o, uint64_t off, uint64_t len)
{
	return (int)HOST(fallocate(to_window(o)->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len));
}

static void window_put_last(struct memobj *o)
{
	struct window *w = to_window(o);
	struct phys *ph = o->ph;

	mutex_lock(&ph->window_lock);
	if (!ref_put(&o->ref)) {
		mutex_unlock(&ph->window_lock);
		return;
	}
	list_del(&w->node);
	if (w->writable)
		atomic_fetch_sub(&ph->nr_writable, 1);
	mutex_unlock(&ph->window_lock);
	for (unsigned i = 0; i < w->nr; i++)
		ph->p->ops->window_unmap(ph->p, w->ranges[i].gpa, w->ranges[i].len);
	free(w->ranges);
	close(w->fd);
	memobj_fini(o);
	free(w);
}

static const struct memobj_ops window_ops = {
	.name = "window",
	.get = window_get,
	.peek = window_peek,
	.sync = window_sync,
	.remove = window_remove,
	.size = window_size,
	.put_last = window_put_last,
};

static struct window *to_window(struct memobj *o)
{
	assert(o->ops == &window_ops);
	return container_of(o, struct window, obj);
}

static struct window *find_object(struct phys *ph, struct memobj_id id, bool writable)
{
	struct window *w;

	list_for_each(w, &ph->windows, node)
		if (w->obj.host_id.dev == id.dev && w->obj.host_id.ino == id.ino && w->writable == writable)
			return w;
	return NULL;
}

bool window_is_writable(struct phys *ph, struct memobj_id id)
{
	bool r = false;

	if (atomic_load(&ph->nr_writable)) {
		mutex_lock(&ph->window_lock);
		r = find_object(ph, id, true);
		mutex_unlock(&ph->window_lock);
	}
	return r;
}

struct memobj *window_lookup(struct phys *ph, gpa_t gpa)
{
	struct memobj *found = NULL;
	struct window *w;

	mutex_lock(&ph->window_lock);
	list_for_each(w, &ph->windows, node) {
		mutex_lock(&w->obj.lock);
		for (unsigned i = 0; i < w->nr && !found; i++)
			if (gpa - w->ranges[i].gpa < w->ranges[i].len)
				found = memobj_get(&w->obj);
		mutex_unlock(&w->obj.lock);
		if (found)
			break;
	}
	mutex_unlock(&ph->window_lock);
	return found;
}

int memobj_file_window(struct phys *ph, int fd, const struct stat *st, int maxprot, struct memobj **ret)
{
	struct memobj_id id = { st->st_dev, st->st_ino };
	bool writable = maxprot & PROT_WRITE;
	AUTO_FD own = host_reopen(fd, writable);
	struct window *w;

	if (own < 0)
		return own;
	mutex_lock(&ph->window_lock);
	w = find_object(ph, id, writable);
	if (w) {
		ref_get(&w->obj.ref);
	} else {
		w = calloc(1, sizeof(*w));
		if (w) {
			memobj_init(&w->obj, ph, &window_ops, id);
			w->obj.is_window = true;
			w->writable = writable;
			w->fd = steal_fd(own);
			list_add(&ph->windows, &w->node);
			atomic_fetch_add(&ph->nr_writable, writable);
		}
	}
	mutex_unlock(&ph->window_lock);
	if (!w)
		return -ENOMEM;
	*ret = &w->obj;
	return 0;
}
