/* SPDX-License-Identifier: MIT */
/*
 * The frame pool; frame.h has the contract. Three lists of blocks that have free frames: fresh (nothing
 * behind them on the host), idle (wholly free, warm), partial. Single frames come from partial blocks
 * first, so that whole blocks last.
 */
#include "emul/mm/frame.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h> /* host syscalls: mmap munmap */

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/base/wait.h"

#define CHUNK_MIN ((uint64_t)64 << 20)
#define CHUNK_MAX ((uint64_t)1 << 30)
#define IDLE_KEEP ((uint64_t)64 << 20) /* warm memory kept at least */
#define SCAN_BLOCKS 4                  /* partial blocks looked at for a long run */
#define HUGE_DEAR_NS 1500000           /* a large page costs so much more than small ones (and their translations) would */
#define SMALL_FIRST 1                  /* blocks of small pages in the beginning: programs that need little get little */
#define SMALL_BLOCKS 64                /* and after a large page was dear */
#define POPULATE_UNIT 16u              /* small pages made present together */

static inline bool bit(const uint64_t *w, unsigned i)
{
	return w[i / 64] >> (i % 64) & 1;
}

static inline void bits_set(uint64_t *w, unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++)
		w[i / 64] |= (uint64_t)1 << (i % 64);
}

static inline void bits_clear(uint64_t *w, unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++)
		w[i / 64] &= ~((uint64_t)1 << (i % 64));
}

int pool_init(struct pool *pool, struct platform *p, uint64_t limit)
{
	size_t size = sizeof(struct block *) << (POOL_GPA_BITS - HUGE_SHIFT);
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		return -ENOMEM;
	memset(pool, 0, sizeof(*pool));
	pool->map = map;
	pool->p = p;
	pool->small_left = SMALL_FIRST;
	pool->limit = MAX((limit + HUGE_SIZE - 1) & HUGE_MASK, HUGE_SIZE);
	mutex_init(&pool->lock);
	list_init(&pool->fresh);
	list_init(&pool->idle);
	list_init(&pool->partial);
	return 0;
}

void pool_fini(struct pool *pool)
{
	for (unsigned i = 0; i < pool->nr_chunks; i++)
		munmap(pool->chunks[i].blocks, pool->chunks[i].size / HUGE_SIZE * sizeof(struct block));
	free(pool->chunks);
	munmap(pool->map, sizeof(struct block *) << (POOL_GPA_BITS - HUGE_SHIFT));
	mutex_fini(&pool->lock);
}

uint64_t pool_used(struct pool *pool)
{
	uint64_t n = 0;

	for (int k = 0; k < FRAME_NKINDS; k++)
		n += atomic_load_explicit(&pool->used[k], memory_order_relaxed);
	return n << PAGE_SHIFT;
}

bool pool_plenty(struct pool *pool)
{
	uint64_t cache = atomic_load_explicit(&pool->used[FRAME_CACHE], memory_order_relaxed) << PAGE_SHIFT;

	return pool_used(pool) - cache < pool->limit / 4 * 3;
}

/* --- growing ------------------------------------------------------------------------------------ */

static int add_chunk(struct pool *pool, uint64_t size)
{
	size_t meta = size / HUGE_SIZE * sizeof(struct block);
	struct chunk *chunks = realloc(pool->chunks, (pool->nr_chunks + 1) * sizeof(*chunks));
	struct block *blocks;
	gpa_t gpa;
	void *hva;

	if (!chunks)
		return -ENOMEM;
	pool->chunks = chunks;
	/* Mapped, not allocated: most of it stays untouched. */
	blocks = mmap(NULL, meta, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (blocks == MAP_FAILED)
		return -ENOMEM;
	if (pool->p->ops->mem_grow(pool->p, size, &gpa, &hva) < 0 || (gpa + size - 1) >> POOL_GPA_BITS) {
		munmap(blocks, meta);
		return -ENOMEM;
	}
	for (size_t i = 0; i < size / HUGE_SIZE; i++) {
		struct block *b = &blocks[i];

		b->gpa = gpa + i * HUGE_SIZE;
		b->hva = (char *)hva + i * HUGE_SIZE;
		b->nr_free = BLOCK_FRAMES;
		memset(b->free, 0xff, sizeof(b->free));
		memset(b->zero, 0xff, sizeof(b->zero));
		list_add_tail(&pool->fresh, &b->node);
		__atomic_store_n(&pool->map[b->gpa >> HUGE_SHIFT], b, __ATOMIC_RELEASE);
	}
	pool->chunks[pool->nr_chunks++] = (struct chunk){ blocks, size };
	pool->grown += size;
	return 0;
}

/* Chunks get larger as the pool grows: the host pays for each one of them. */
static int grow(struct pool *pool)
{
	uint64_t size = MIN(MAX(pool->grown & HUGE_MASK, CHUNK_MIN), CHUNK_MAX);
	int r;

	if (pool->grow_failed || pool->grown >= pool->limit)
		return -ENOMEM;
	r = add_chunk(pool, MIN(size, pool->limit - pool->grown));
	if (r < 0) {
		pool->grow_failed = true;
		log_warn("cannot get more guest memory from the host: %llu MiB are in use",
			 (unsigned long long)(pool->grown >> 20));
	}
	return r;
}

/* Gives a fresh block its first memory: a large page, or leave to take small ones one by one. */
static int back_block(struct pool *pool, struct block *b, bool large)
{
	int64_t t;

	if (pool->small_left && !large) {
		pool->small_left--;
		b->small = true;
		pool->p->ops->mem_huge(pool->p, b->gpa, HUGE_SIZE, false);
		return 0;
	}
	t = clock_now(CLOCK_THREAD_CPUTIME_ID);
	if (pool->p->ops->mem_populate(pool->p, b->gpa, HUGE_SIZE) < 0)
		return -ENOMEM;
	bits_set(b->there, 0, BLOCK_FRAMES);
	if (clock_now(CLOCK_THREAD_CPUTIME_ID) - t > HUGE_DEAR_NS)
		pool->small_left = SMALL_BLOCKS;
	return 0;
}

static void unback_block(struct pool *pool, struct block *b)
{
	pool->p->ops->mem_discard(pool->p, b->gpa, HUGE_SIZE);
	if (b->small)
		pool->p->ops->mem_huge(pool->p, b->gpa, HUGE_SIZE, true);
	b->small = false;
	bits_clear(b->there, 0, BLOCK_FRAMES);
	bits_set(b->zero, 0, BLOCK_FRAMES);
}

bool pool_huge_cheap(struct pool *pool)
{
	bool r;

	mutex_lock(&pool->lock);
	r = pool->small_left == 0 || (!list_empty(&pool->idle) && !list_first(&pool->idle, struct block, node)->small);
	mutex_unlock(&pool->lock);
	return r;
}

static struct block *take_idle(struct pool *pool, struct block *b)
{
	pool->nr_idle--;
	list_del(&b->node);
	return b;
}

/* A wholly free block, off its list; NULL: none. large: of a large page, whatever that costs, if memory allows. */
static struct block *take_block(struct pool *pool, bool large)
{
	struct block *idle = list_empty(&pool->idle) ? NULL : list_first(&pool->idle, struct block, node), *b;

	if (idle && !(large && idle->small))
		return take_idle(pool, idle);
	if (list_empty(&pool->fresh) && grow(pool) < 0)
		return idle ? take_idle(pool, idle) : NULL;
	b = list_first(&pool->fresh, struct block, node);
	if (back_block(pool, b, large) < 0)
		return NULL;
	list_del(&b->node);
	return b;
}

/* The first of the frames [at, end) without host memory; end: there is none. */
static unsigned first_absent(const struct block *b, unsigned at, unsigned end)
{
	if (!b->small)
		return end;
	while (at < end && bit(b->there, at))
		at++;
	return at;
}

/* Makes host memory present behind frames that the caller has just taken; without the lock, since it takes long. */
static int populate(struct pool *pool, struct block *b, unsigned from, unsigned to)
{
	from &= ~(POPULATE_UNIT - 1);
	to = (to + POPULATE_UNIT - 1) & ~(POPULATE_UNIT - 1);

	if (pool->p->ops->mem_populate(pool->p, b->gpa + ((gpa_t)from << PAGE_SHIFT), (size_t)(to - from) << PAGE_SHIFT) < 0)
		return -ENOMEM;
	mutex_lock(&pool->lock);
	bits_set(b->there, from, to - from);
	mutex_unlock(&pool->lock);
	return 0;
}

/* --- giving out --------------------------------------------------------------------------------- */

/* The first run of `want` free frames, or the longest one. */
static unsigned find_run(const struct block *b, unsigned want, unsigned *ret_at)
{
	unsigned best = 0, i = 0, j;

	while (i < BLOCK_FRAMES && best < want) {
		uint64_t rest = b->free[i / 64] >> (i % 64);

		if (!rest) {
			i = (i / 64 + 1) * 64;
			continue;
		}
		i += (unsigned)__builtin_ctzll(rest);
		for (j = i + 1; j < BLOCK_FRAMES && j < i + want && bit(b->free, j); j++)
			;
		if (j - i > best) {
			best = j - i;
			*ret_at = i;
		}
		i = j + 1;
	}
	return best;
}

/* A block with a run of free frames: the best of a few partial ones, or a new one. */
static struct block *find_block(struct pool *pool, unsigned want, unsigned *ret_at, unsigned *ret_n)
{
	struct block *best = NULL, *b;
	unsigned best_n = 0, at = 0, scanned = 0;

	list_for_each(b, &pool->partial, node) {
		unsigned n = find_run(b, want, &at);

		if (n > best_n) {
			best = b;
			best_n = n;
			*ret_at = at;
		}
		if (best_n >= want || ++scanned == SCAN_BLOCKS)
			break;
	}
	/* A run in pieces costs more than a warm block, unless blocks are scarce. */
	if (!best || (best_n < want / 2 && !list_empty(&pool->idle))) {
		b = take_block(pool, false);
		if (b) {
			list_add(&pool->partial, &b->node);
			best = b;
			best_n = MIN(want, BLOCK_FRAMES);
			*ret_at = 0;
		}
	}
	*ret_n = best_n;
	return best;
}

static void take_frames(struct pool *pool, struct block *b, unsigned at, unsigned n, enum frame_kind kind)
{
	bits_clear(b->free, at, n);
	b->nr_free -= n;
	for (unsigned i = at; i < at + n; i++) {
		b->kind[i] = kind;
		atomic_store_explicit(&b->ref[i], 1, memory_order_relaxed);
	}
	if (b->nr_free == 0)
		list_del(&b->node);
	atomic_fetch_add_explicit(&pool->used[kind], n, memory_order_relaxed);
}

/* The frames are ours, so their zero bits may be read without the lock: words are shared, though. */
static void clear_frames(struct pool *pool, struct block *b, unsigned at, unsigned n)
{
	uint64_t zero[BLOCK_WORDS];

	mutex_lock(&pool->lock);
	memcpy(zero, b->zero, sizeof(zero));
	mutex_unlock(&pool->lock);
	for (unsigned i = at, j; i < at + n; i = j) {
		bool is_zero = bit(zero, i);

		for (j = i + 1; j < at + n && bit(zero, j) == is_zero; j++)
			;
		if (!is_zero)
			memset(b->hva + ((size_t)i << PAGE_SHIFT), 0, (size_t)(j - i) << PAGE_SHIFT);
	}
}

static void free_run(struct pool *pool, struct block *b, unsigned at, unsigned n);

/* Makes frames that were just taken usable; if that fails, they are free again. absent: the first without host memory. */
static int ready_frames(struct pool *pool, struct block *b, unsigned at, unsigned n, unsigned absent, bool zero, gpa_t *ret_gpa)
{
	if (absent < at + n && populate(pool, b, absent, at + n) < 0) {
		free_run(pool, b, at, n);
		return -ENOMEM;
	}
	if (zero)
		clear_frames(pool, b, at, n);
	*ret_gpa = b->gpa + ((gpa_t)at << PAGE_SHIFT);
	return (int)n;
}

int frame_alloc(struct pool *pool, enum frame_kind kind, unsigned want, bool zero, gpa_t *ret_gpa)
{
	unsigned at = 0, n = 0;

	for (int tries = 0; tries < 3; tries++) {
		struct block *b;
		unsigned absent = 0;

		mutex_lock(&pool->lock);
		b = find_block(pool, MIN(want, BLOCK_FRAMES), &at, &n);
		if (b) {
			take_frames(pool, b, at, n, kind);
			absent = first_absent(b, at, at + n);
		}
		mutex_unlock(&pool->lock);
		if (b)
			return ready_frames(pool, b, at, n, absent, zero, ret_gpa);
		if (!pool->reclaim || !pool->reclaim(pool, MAX(want, 64u)))
			break;
	}
	return -ENOMEM;
}

int frame_alloc_huge(struct pool *pool, enum frame_kind kind, bool zero, gpa_t *ret_gpa)
{
	struct block *b;
	unsigned absent = 0;
	int r;

	mutex_lock(&pool->lock);
	/* Files in memory are mapped again and again, at 2.7 us for each small page. */
	b = take_block(pool, kind == FRAME_SHMEM);
	if (b) {
		take_frames(pool, b, 0, BLOCK_FRAMES, kind);
		absent = first_absent(b, 0, BLOCK_FRAMES);
	}
	mutex_unlock(&pool->lock);
	if (!b)
		return -ENOMEM;
	r = ready_frames(pool, b, 0, BLOCK_FRAMES, absent, zero, ret_gpa);
	return r < 0 ? r : 0;
}

/* --- taking back -------------------------------------------------------------------------------- */

/* Returns host memory when more is idle than a busy instance would soon use again. */
static void trim(struct pool *pool)
{
	uint64_t keep = MAX(IDLE_KEEP, pool_used(pool) / 4) / HUGE_SIZE;

	while (pool->nr_idle > keep) {
		struct block *b = list_entry(pool->idle.prev, struct block, node);

		list_del(&b->node);
		pool->nr_idle--;
		unback_block(pool, b);
		list_add(&pool->fresh, &b->node);
	}
}

/* Frees [at, at+n), whose counts are 0. */
static void free_run(struct pool *pool, struct block *b, unsigned at, unsigned n)
{
	mutex_lock(&pool->lock);
	for (unsigned i = at; i < at + n; i++) {
		atomic_fetch_sub_explicit(&pool->used[b->kind[i]], 1, memory_order_relaxed);
		b->kind[i] = FRAME_NONE;
	}
	bits_set(b->free, at, n);
	bits_clear(b->zero, at, n);
	if (b->nr_free == 0)
		list_add_tail(&pool->partial, &b->node);
	b->nr_free += n;
	if (b->nr_free == BLOCK_FRAMES) {
		list_del(&b->node);
		list_add(&pool->idle, &b->node);
		pool->nr_idle++;
		trim(pool);
	}
	mutex_unlock(&pool->lock);
}

static void block_sub(struct pool *pool, struct block *b, unsigned at, unsigned n, uint64_t amount)
{
	unsigned run = 0, i;

	for (i = at; i < at + n; i++) {
		uint64_t old = atomic_fetch_sub_explicit(&b->ref[i], amount, memory_order_acq_rel);

		assert((uint32_t)old > 0);
		if (old == amount) {
			run++;
			continue;
		}
		if (run)
			free_run(pool, b, i - run, run);
		run = 0;
	}
	if (run)
		free_run(pool, b, i - run, run);
}

static void block_add(struct block *b, unsigned at, unsigned n, uint64_t amount)
{
	for (unsigned i = at; i < at + n; i++) {
		uint64_t old = atomic_fetch_add_explicit(&b->ref[i], amount, memory_order_relaxed);

		assert((uint32_t)old > 0);
		(void)old;
	}
}

/* Calls block_add() or block_sub() for the part of the run in each block. */
static void change(struct pool *pool, gpa_t gpa, size_t len, uint64_t amount, bool add)
{
	gpa_t end = page_up(gpa + len);

	for (gpa = page_down(gpa); gpa < end;) {
		gpa_t next = MIN((gpa & HUGE_MASK) + HUGE_SIZE, end);
		struct block *b = frame_block(pool, gpa);
		unsigned n = (unsigned)((next - gpa) >> PAGE_SHIFT);

		if (b && add)
			block_add(b, frame_index(gpa), n, amount);
		else if (b)
			block_sub(pool, b, frame_index(gpa), n, amount);
		gpa = next;
	}
}

void frame_get(struct pool *pool, gpa_t gpa, size_t len)
{
	change(pool, gpa, len, 1, true);
}

void frame_put(struct pool *pool, gpa_t gpa, size_t len)
{
	change(pool, gpa, len, 1, false);
}

void frame_pin(struct pool *pool, gpa_t gpa, size_t len)
{
	change(pool, gpa, len, FRAME_PIN + 1, true);
}

void frame_unpin(struct pool *pool, gpa_t gpa, size_t len)
{
	change(pool, gpa, len, FRAME_PIN + 1, false);
}
