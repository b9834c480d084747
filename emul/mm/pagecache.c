/* SPDX-License-Identifier: MIT */
/*
 * Contents of host files in frames, for MAP_PRIVATE maps: one object per version of a file
 * (device, inode, mtime, ctime, size), shared by all processes, kept when nobody maps it until memory
 * is short. Pages come by pread(2) in large pieces. A map that meets a changed file goes on with the
 * object of the new version (succ).
 *
 * A file changed within the resolution of its time stamps could change again unseen: such an object is
 * not `settled` and is not found by later maps. While somebody in this instance may write to the file
 * through a window, the cache is passed by. What is written by calls is read again into the frames of all
 * versions in use: a private map shows it where the program has not written itself, as in Linux.
 *
 * The step of the last reference is made under cache_lock, since the hash finds objects without one.
 */
#include <fcntl.h> /* host syscalls: fcntl fstat openat pread64 close clock_gettime */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "emul/base/err.h"
#include "emul/mm/obj.h"
#include "emul/mm/pagetree.h"

#define READAHEAD_MIN 32u  /* pages */
#define READAHEAD_MAX 512u
#define SETTLE_NS 20000000 /* two ticks of a slow clock */

struct version { dev_t dev; ino_t ino; int64_t mtime, ctime; uint64_t size; };

struct cached {
	struct memobj obj;
	struct version version; /* constant */
	bool settled;           /* constant */
	int fd;                 /* while somebody uses the object */
	/* obj.lock: */
	struct pagetree pages;
	struct memobj *succ;    /* set once */
	uint64_t next_idx;      /* where a sequential reader would miss next */
	unsigned readahead;
	/* phys->cache_lock: */
	struct list hash_node, lru_node;
	bool findable;          /* by later maps */
};

static struct cached *to_cached(struct memobj *o);

static int64_t ns_of(struct timespec t) { return t.tv_sec * 1000000000ll + t.tv_nsec; }

static struct version version_of(const struct stat *st)
{
	return (struct version){ st->st_dev, st->st_ino, ns_of(st->st_mtim), ns_of(st->st_ctim), (uint64_t)st->st_size };
}

static bool same_version(const struct version *a, const struct version *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->mtime == b->mtime && a->ctime == b->ctime && a->size == b->size;
}

static unsigned bucket_of(dev_t dev, ino_t ino)
{
	return (ino ^ ino >> 8 ^ dev * 31) % CACHE_HASH;
}

static unsigned bucket(const struct version *v)
{
	return bucket_of(v->dev, v->ino);
}

static bool is_settled(const struct version *v)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return ns_of(now) - MAX(v->mtime, v->ctime) > SETTLE_NS;
}

int host_reopen(int fd, bool writable)
{
	int flags = (int)HOST(fcntl(fd, F_GETFL)), acc = flags & O_ACCMODE;
	char path[40];

	if (flags < 0)
		return flags;
	if (!(flags & O_PATH) && (acc == O_RDWR || (acc == O_RDONLY && !writable)))
		return (int)HOST(fcntl(fd, F_DUPFD_CLOEXEC, 3));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return (int)HOST(open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
}

static uint64_t nr_pages(const struct cached *c)
{
	return (c->version.size + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/* --- reading (obj.lock held) ---------------------------------------------------------------------- */

/* Reads n pages of the file from idx to frames in one piece; pages with data, the last one's tail cleared. */
static int read_pages(struct cached *c, uint64_t idx, gpa_t gpa, unsigned n)
{
	char *to = frame_hva(memobj_pool(&c->obj), gpa);
	size_t want = (size_t)n << PAGE_SHIFT, got = 0;

	while (got < want) {
		ssize_t r = HOST(pread(c->fd, to + got, want - got, (off_t)((idx << PAGE_SHIFT) + got)));

		if (r == -EINTR)
			continue;
		if (r < 0 && got == 0)
			return -EIO;
		if (r <= 0)
			break;
		got += (size_t)r;
	}
	if (got & ~PAGE_MASK)
		memset(to + got, 0, page_up(got) - got);
	return (int)(page_up(got) >> PAGE_SHIFT);
}

/* Reads up to n pages into a new run and enters them. Pages entered, 0 at the end of the file, -errno. */
static int read_run(struct cached *c, uint64_t idx, gpa_t gpa, unsigned n)
{
	struct pool *pool = memobj_pool(&c->obj);
	int got = read_pages(c, idx, gpa, n), i;

	for (i = 0; i < got; i++)
		if (pagetree_set(&c->pages, idx + (unsigned)i, gpa + (gpa_t)i * PAGE_SIZE) < 0)
			break;
	if ((unsigned)i < n)
		frame_put(pool, gpa + (gpa_t)i * PAGE_SIZE, (n - (unsigned)i) * PAGE_SIZE);
	return got < 0 ? got : i == 0 && got ? -ENOMEM : i;
}

static int fill_huge(struct cached *c, uint64_t idx)
{
	uint64_t first = idx & ~(uint64_t)(BLOCK_FRAMES - 1), found;
	struct pool *pool = memobj_pool(&c->obj);
	gpa_t gpa;

	if (c->version.size >> PAGE_SHIFT < first + BLOCK_FRAMES || !pool_plenty(pool) || !pool_huge_cheap(pool))
		return -ENOMEM;
	if (pagetree_next(&c->pages, first, &found, &gpa) && found < first + BLOCK_FRAMES)
		return -ENOMEM;
	if (frame_alloc_huge(pool, FRAME_CACHE, false, &gpa) < 0)
		return -ENOMEM;
	return read_run(c, first, gpa, BLOCK_FRAMES) == BLOCK_FRAMES ? 0 : -EIO;
}

/* The hole around idx that is read at once: aligned, longer when the file is read in sequence. */
static void choose_readahead(struct cached *c, uint64_t idx, uint64_t *ret_from, uint64_t *ret_to)
{
	uint64_t from = idx & ~(uint64_t)(READAHEAD_MIN - 1), to, next;
	gpa_t gpa;

	c->readahead = idx == c->next_idx ? MIN(c->readahead * 2, READAHEAD_MAX) : READAHEAD_MIN;
	to = MIN(from + c->readahead, nr_pages(c));
	while (pagetree_next(&c->pages, from, &next, &gpa) && next < idx)
		from = next + 1;
	if (pagetree_next(&c->pages, idx, &next, &gpa))
		to = MIN(to, next);
	c->next_idx = to;
	*ret_from = from;
	*ret_to = to;
}

/* Makes page idx present. 0, -EFAULT (the file ends before it), -EIO, -ENOMEM. */
static int fill(struct cached *c, uint64_t idx, bool huge)
{
	struct pool *pool = memobj_pool(&c->obj);
	uint64_t at, to;
	int r = 0;

	if (huge && fill_huge(c, idx) == 0)
		return 0;
	/* An interrupted huge fill may have entered some pages. */
	if (pagetree_get(&c->pages, idx) != GPA_NONE)
		return 0;
	choose_readahead(c, idx, &at, &to);
	for (; at < to; at += (unsigned)r) {
		gpa_t gpa;
		int n = frame_alloc(pool, FRAME_CACHE, (unsigned)(to - at), false, &gpa);

		/* No memory for all of it: the page itself is enough. */
		if (n < 0 && at < idx) {
			at = idx;
			r = 0;
			to = idx + 1;
			continue;
		}
		r = n < 0 ? n : read_run(c, at, gpa, (unsigned)n);
		if (r <= 0)
			break;
	}
	if (pagetree_get(&c->pages, idx) != GPA_NONE)
		return 0;
	return r < 0 ? r : -EFAULT;
}

static bool run_at(struct cached *c, uint64_t idx, unsigned want, struct page_run *ret)
{
	gpa_t gpa = pagetree_get(&c->pages, idx);
	unsigned n = 1;

	if (gpa == GPA_NONE)
		return false;
	while (n < want && pagetree_get(&c->pages, idx + n) == gpa + n * PAGE_SIZE)
		n++;
	frame_get(memobj_pool(&c->obj), gpa, n * PAGE_SIZE);
	*ret = (struct page_run){ gpa, n };
	return true;
}

/* --- versions ------------------------------------------------------------------------------------- */

static void hide(struct cached *c)
{
	mutex_assert_held(&c->obj.ph->cache_lock);
	c->findable = false;
}

/* No list has it any more. */
static void forget(struct cached *c)
{
	hide(c);
	list_del(&c->hash_node);
	list_del(&c->lru_node);
}

/* The object of the newest version met; kept alive by the one before it. */
static struct cached *newest(struct cached *c)
{
	for (;;) {
		struct memobj *succ;

		mutex_lock(&c->obj.lock);
		succ = c->succ;
		mutex_unlock(&c->obj.lock);
		if (!succ)
			return c;
		c = to_cached(succ);
	}
}

/* The file changed: later pages come from its new version. */
static int make_succ(struct cached *c, const struct stat *st)
{
	struct memobj *succ, *extra;
	int r = memobj_cached_file(c->obj.ph, c->fd, st, &succ);

	if (r < 0)
		return r;
	mutex_lock(&c->obj.ph->cache_lock);
	hide(c);
	mutex_unlock(&c->obj.ph->cache_lock);
	mutex_lock(&c->obj.lock);
	extra = c->succ ? succ : NULL;
	if (!extra)
		c->succ = succ;
	mutex_unlock(&c->obj.lock);
	memobj_put(extra);
	return 0;
}

/* A frame of its own with the file's present contents. */
static int read_past_cache(struct cached *c, uint64_t off, struct page_run *ret)
{
	struct pool *pool = memobj_pool(&c->obj);
	int r = frame_alloc(pool, FRAME_CACHE, 1, false, &ret->gpa);

	if (r < 0)
		return r;
	r = read_pages(c, off >> PAGE_SHIFT, ret->gpa, 1);
	if (r <= 0) {
		frame_put(pool, ret->gpa, PAGE_SIZE);
		return r < 0 ? r : -EFAULT;
	}
	ret->nr = 1;
	return 0;
}

static int cached_get(struct memobj *o, uint64_t off, unsigned want, bool huge, struct page_run *ret)
{
	struct cached *c = to_cached(o);

	if (window_is_writable(o->ph, o->host_id))
		return read_past_cache(c, off, ret);
	for (;;) {
		struct version now;
		struct stat st;
		bool found;
		int r = 0;

		c = newest(c);
		mutex_lock(&c->obj.lock);
		found = run_at(c, off >> PAGE_SHIFT, want, ret);
		mutex_unlock(&c->obj.lock);
		if (found)
			return 0;
		if (fstat(c->fd, &st) < 0)
			return -EIO;
		now = version_of(&st);
		if (!same_version(&now, &c->version)) {
			r = make_succ(c, &st);
			if (r < 0)
				return r;
			continue;
		}
		if (off >= c->version.size)
			return -EFAULT;
		mutex_lock(&c->obj.lock);
		if (pagetree_get(&c->pages, off >> PAGE_SHIFT) == GPA_NONE)
			r = fill(c, off >> PAGE_SHIFT, huge);
		if (r == 0)
			run_at(c, off >> PAGE_SHIFT, want, ret);
		mutex_unlock(&c->obj.lock);
		return r;
	}
}

static bool cached_peek(struct memobj *o, uint64_t off, unsigned want, struct page_run *ret, unsigned *ret_skip)
{
	struct cached *c;
	uint64_t idx = off >> PAGE_SHIFT, next;
	gpa_t gpa;
	bool found;

	*ret_skip = want;
	if (window_is_writable(o->ph, o->host_id))
		return false;
	c = newest(to_cached(o));
	mutex_lock(&c->obj.lock);
	found = run_at(c, idx, want, ret);
	if (!found && pagetree_next(&c->pages, idx, &next, &gpa))
		*ret_skip = (unsigned)MIN(next - idx, want);
	mutex_unlock(&c->obj.lock);
	return found;
}

static uint64_t cached_size(struct memobj *o)
{
	struct stat st;

	return fstat(to_cached(o)->fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

/* --- lifetime -------------------------------------------------------------------------------------- */

static void drop_frame(void *ctx, uint64_t idx, gpa_t gpa)
{
	frame_put(ctx, gpa, PAGE_SIZE);
}

/* Nobody can find it any more. */
static void destroy(struct cached *c)
{
	pagetree_cut(&c->pages, 0, UINT64_MAX, drop_frame, memobj_pool(&c->obj));
	memobj_put(c->succ);
	if (c->fd >= 0)
		close(c->fd);
	memobj_fini(&c->obj);
	free(c);
}

static void cached_put_last(struct memobj *o)
{
	struct cached *c = to_cached(o);
	struct phys *ph = o->ph;
	void (*free_tag)(void *) = NULL;
	void *tag = NULL;
	bool keep;
	int fd;

	mutex_lock(&ph->cache_lock);
	if (!ref_put(&o->ref)) {
		mutex_unlock(&ph->cache_lock);
		return;
	}
	atomic_fetch_sub(&ph->cache_used[bucket(&c->version)], 1);
	keep = c->findable && c->settled && c->pages.nr_pages;
	if (!keep) {
		forget(c);
		mutex_unlock(&ph->cache_lock);
		destroy(c);
		return;
	}
	/* Idle: the frames stay, the file and its name do not. */
	fd = steal_fd(c->fd);
	tag = steal(o->tag);
	free_tag = steal(o->free_tag);
	list_del(&c->lru_node);
	list_add_tail(&ph->cache_lru, &c->lru_node);
	mutex_unlock(&ph->cache_lock);
	close(fd);
	if (free_tag)
		free_tag(tag);
}

static const struct memobj_ops cached_ops = {
	.name = "file",
	.get = cached_get,
	.peek = cached_peek,
	.size = cached_size,
	.put_last = cached_put_last,
};

static struct cached *to_cached(struct memobj *o)
{
	assert(o->ops == &cached_ops);
	return container_of(o, struct cached, obj);
}

static struct cached *find(struct phys *ph, const struct version *v)
{
	struct cached *c;

	list_for_each(c, &ph->cache[bucket(v)], hash_node)
		if (c->findable && same_version(&c->version, v))
			return c;
	return NULL;
}

static struct cached *cached_new(struct phys *ph, const struct version *v)
{
	struct cached *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	memobj_init(&c->obj, ph, &cached_ops, (struct memobj_id){ v->dev, v->ino });
	c->version = *v;
	c->settled = is_settled(v);
	c->fd = -1;
	c->readahead = READAHEAD_MIN;
	c->findable = true;
	atomic_fetch_add(&ph->cache_used[bucket(v)], 1);
	list_add(&ph->cache[bucket(v)], &c->hash_node);
	list_add_tail(&ph->cache_lru, &c->lru_node);
	return c;
}

/* A settled object with a reference; an unsettled one must not be found again. fd < 0: only if it is in use. */
static struct cached *get_found(struct phys *ph, const struct version *v, int fd)
{
	struct cached *c = find(ph, v);

	if (!c)
		return NULL;
	if (!c->settled) {
		hide(c);
		return NULL;
	}
	if (ref_get_live(&c->obj.ref))
		return c;
	if (fd < 0)
		return NULL;
	ref_init(&c->obj.ref);
	atomic_fetch_add(&ph->cache_used[bucket(v)], 1);
	c->fd = fd;
	return c;
}

/* --- what calls of this instance change --------------------------------------------------------------- */

/* The at-th version in use of the file, with a reference. NULL: there are not so many. */
static struct cached *nth_version(struct phys *ph, struct memobj_id id, unsigned at)
{
	struct cached *c, *found = NULL;
	unsigned b = bucket_of(id.dev, id.ino);

	/* Who maps the file after this look reads what is there now. */
	if (!atomic_load(&ph->cache_used[b]))
		return NULL;
	mutex_lock(&ph->cache_lock);
	list_for_each(c, &ph->cache[b], hash_node) {
		bool used = c->version.dev == id.dev && c->version.ino == id.ino && atomic_load(&c->obj.ref.n);

		if (used && at-- == 0) {
			found = ref_get_live(&c->obj.ref) ? c : NULL;
			break;
		}
	}
	mutex_unlock(&ph->cache_lock);
	return found;
}

static void cut_version(struct cached *c, uint64_t size)
{
	struct pool *pool = memobj_pool(&c->obj);
	uint64_t end = page_up(size);
	gpa_t tail;

	mutex_lock(&c->obj.lock);
	pagetree_cut(&c->pages, end >> PAGE_SHIFT, UINT64_MAX, drop_frame, pool);
	tail = size < end ? pagetree_get(&c->pages, size >> PAGE_SHIFT) : GPA_NONE;
	if (tail != GPA_NONE)
		memset((char *)frame_hva(pool, tail) + (size & ~PAGE_MASK), 0, end - size);
	mutex_unlock(&c->obj.lock);
	memobj_unmap(&c->obj, end, UINT64_MAX - PAGE_SIZE - end, true);
}

void memobj_host_file_cut(struct phys *ph, const struct stat *st)
{
	struct memobj_id id = { st->st_dev, st->st_ino };
	struct cached *c;

	/* Idle versions are compared with the file before they are used again. */
	for (unsigned at = 0; (c = nth_version(ph, id, at)); at++) {
		cut_version(c, (uint64_t)st->st_size);
		memobj_put(&c->obj);
	}
}

/* The last reader of two writers' pages finds what both have written. */
static void read_again(struct cached *c, uint64_t off, uint64_t end)
{
	uint64_t idx = off >> PAGE_SHIFT;
	gpa_t gpa;

	mutex_lock(&c->obj.lock);
	for (; pagetree_next(&c->pages, idx, &idx, &gpa) && idx << PAGE_SHIFT < end; idx++)
		read_pages(c, idx, gpa, 1);
	mutex_unlock(&c->obj.lock);
}

void memobj_host_file_written(struct phys *ph, struct memobj_id id, uint64_t off, uint64_t len)
{
	uint64_t end;
	struct cached *c;

	if (__builtin_add_overflow(off, len, &end))
		end = UINT64_MAX;
	for (unsigned at = 0; (c = nth_version(ph, id, at)); at++) {
		read_again(c, off, end);
		memobj_put(&c->obj);
	}
}

int memobj_cached_file(struct phys *ph, int fd, const struct stat *st, struct memobj **ret)
{
	struct version v = version_of(st);
	struct cached *c;
	AUTO_FD own = -1;

	mutex_lock(&ph->cache_lock);
	c = get_found(ph, &v, -1);
	mutex_unlock(&ph->cache_lock);
	if (c) {
		*ret = &c->obj;
		return 0;
	}
	own = host_reopen(fd, false);
	if (own < 0)
		return own;
	mutex_lock(&ph->cache_lock);
	c = get_found(ph, &v, own);
	if (!c) {
		c = cached_new(ph, &v);
		if (c)
			c->fd = own;
	}
	if (c && c->fd == own)
		own = -1;
	mutex_unlock(&ph->cache_lock);
	if (!c)
		return -ENOMEM;
	*ret = &c->obj;
	return 0;
}

/* --- reclaim --------------------------------------------------------------------------------------- */

/* Drops the pages that only the cache holds. */
static uint64_t shrink(struct cached *c, uint64_t want)
{
	struct pool *pool = memobj_pool(&c->obj);
	uint64_t idx = 0, n = 0;
	gpa_t gpa;

	for (; n < want && pagetree_next(&c->pages, idx, &idx, &gpa); idx++) {
		if (frame_refs(pool, gpa) != 1)
			continue;
		pagetree_cut(&c->pages, idx, idx + 1, drop_frame, pool);
		n++;
	}
	return n;
}

uint64_t pagecache_reclaim(struct pool *pool, uint64_t want)
{
	struct phys *ph = container_of(pool, struct phys, pool);
	struct cached *c, *tmp;
	struct list dead;
	uint64_t n = 0;

	list_init(&dead);
	mutex_lock(&ph->cache_lock);
	/* A locked object is being filled, perhaps by the caller: leave it. */
	for (int idle = 1; idle >= 0 && n < want; idle--) {
		list_for_each_safe(c, tmp, &ph->cache_lru, lru_node) {
			bool is_idle = atomic_load(&c->obj.ref.n) == 0;

			if (n >= want || is_idle != idle || !mutex_trylock(&c->obj.lock))
				continue;
			n += shrink(c, want - n);
			mutex_unlock(&c->obj.lock);
			if (is_idle && !c->pages.nr_pages) {
				forget(c);
				list_add(&dead, &c->lru_node);
			}
		}
	}
	mutex_unlock(&ph->cache_lock);
	list_for_each_safe(c, tmp, &dead, lru_node)
		destroy(c);
	return n;
}

void pagecache_init(struct phys *ph)
{
	mutex_init(&ph->cache_lock);
	for (int i = 0; i < CACHE_HASH; i++)
		list_init(&ph->cache[i]);
	list_init(&ph->cache_lru);
}

/* At the end of the instance: everything left is idle. */
void pagecache_fini(struct phys *ph)
{
	struct cached *c, *tmp;

	list_for_each_safe(c, tmp, &ph->cache_lru, lru_node)
		destroy(c);
	mutex_fini(&ph->cache_lock);
}
