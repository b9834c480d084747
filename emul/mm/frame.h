/* SPDX-License-Identifier: MIT */
/*
 * Page frames of the pool. Memory comes from the platform in chunks and is kept in blocks of 2 MiB;
 * a block is given out whole or in runs of 4 KiB frames. Every frame has a count: each PTE, each entry
 * of a page tree (shmem, page cache) and each pin holds one. An address that is no frame (file window,
 * vDSO) may be passed to frame_get() and frame_put(): nothing happens.
 *
 * Contents: a freed frame keeps them and is cleared when it is given out again, if the caller needs zeroes.
 * Host memory behind a frame is made present before the frame is given out, and returned when much is idle. It comes in pages of
 * 2 MiB where the host has them cheaply. A host that is a virtual machine itself may have given its free memory back: then a large
 * page costs its hypervisor as many faults as it has small ones, 14 us each against 2 us for a small page that was in use
 * lately (docs/host-kvm.md). So the time that a large page takes decides about the next ones.
 */
#ifndef EMUL_MM_FRAME_H
#define EMUL_MM_FRAME_H

#include <stdatomic.h>

#include "emul/base/list.h"
#include "emul/base/mutex.h"
#include "emul/base/platform.h"

#define BLOCK_FRAMES 512
#define BLOCK_WORDS (BLOCK_FRAMES / 64)

/* What a frame holds; constant while it is allocated. Index of counters; FRAME_NONE: no frame of the pool. */
enum frame_kind { FRAME_NONE, FRAME_ANON, FRAME_CACHE, FRAME_SHMEM, FRAME_NKINDS };

/* Low half: references (pins included); high half: pins. */
#define FRAME_PIN ((uint64_t)1 << 32)

struct block {
	gpa_t gpa; /* constant */
	char *hva;
	_Atomic uint64_t ref[BLOCK_FRAMES];
	uint8_t kind[BLOCK_FRAMES]; /* only the owner of a reference may look */
	/* pool->lock: */
	struct list node; /* fresh, idle or partial; empty: wholly in use */
	unsigned nr_free;
	bool small;                 /* of the host's small pages, which come as frames are given out */
	uint64_t there[BLOCK_WORDS]; /* bit: host memory is behind it */
	uint64_t free[BLOCK_WORDS]; /* bit: frame is free */
	uint64_t zero[BLOCK_WORDS]; /* bit: free frame is known to be zero */
};

struct chunk { struct block *blocks; size_t size; };

#define POOL_GPA_BITS 44 /* chunks lie below 16 TiB */

struct pool {
	struct platform *p;
	uint64_t limit;      /* bytes, constant */
	struct block **map;  /* by gpa >> HUGE_SHIFT; an entry never changes once set */
	_Atomic uint64_t used[FRAME_NKINDS]; /* frames by kind */
	/* Called without the pool's lock when no frame is left: gives frames back, returns how many. */
	uint64_t (*reclaim)(struct pool *pool, uint64_t want);
	struct mutex lock;
	/* lock: */
	struct chunk *chunks;
	unsigned nr_chunks;
	uint64_t grown;      /* bytes in chunks */
	bool grow_failed;
	struct list fresh;   /* free blocks without host memory behind them (read as zero) */
	struct list idle;    /* free blocks with host memory */
	struct list partial; /* some frames in use */
	uint64_t nr_idle;
	unsigned small_left; /* blocks still to be made of small pages, before a large one is tried */
};

int pool_init(struct pool *pool, struct platform *p, uint64_t limit);
void pool_fini(struct pool *pool);
uint64_t pool_used(struct pool *pool); /* bytes */
/* Is there so much left that memory may be spent for speed? */
bool pool_plenty(struct pool *pool);
/* Is a block of 2 MiB to be had at about the price of a few frames? */
bool pool_huge_cheap(struct pool *pool);

/*
 * Up to `want` frames in one run, each with one reference; zeroed if asked. The number (> 0) or -ENOMEM.
 * The runs are as long as the pool has them at hand.
 */
int frame_alloc(struct pool *pool, enum frame_kind kind, unsigned want, bool zero, gpa_t *ret_gpa);
/* A whole block, only if one is to be had without pushing anything out. 0, -ENOMEM. */
int frame_alloc_huge(struct pool *pool, enum frame_kind kind, bool zero, gpa_t *ret_gpa);
void frame_get(struct pool *pool, gpa_t gpa, size_t len);
void frame_put(struct pool *pool, gpa_t gpa, size_t len);
/* A pin is a reference that does not count when ownership is asked for (frame_exclusive). */
void frame_pin(struct pool *pool, gpa_t gpa, size_t len);
void frame_unpin(struct pool *pool, gpa_t gpa, size_t len);

/* NULL: not a frame of the pool. */
static inline struct block *frame_block(struct pool *pool, gpa_t gpa)
{
	if (gpa >> POOL_GPA_BITS)
		return NULL;
	return __atomic_load_n(&pool->map[gpa >> HUGE_SHIFT], __ATOMIC_ACQUIRE);
}

static inline unsigned frame_index(gpa_t gpa)
{
	return (gpa >> PAGE_SHIFT) & (BLOCK_FRAMES - 1);
}

static inline void *frame_hva(struct pool *pool, gpa_t gpa)
{
	struct block *b = frame_block(pool, gpa);

	return b ? b->hva + (gpa & ~HUGE_MASK) : NULL;
}

static inline enum frame_kind frame_kind(struct pool *pool, gpa_t gpa)
{
	struct block *b = frame_block(pool, gpa);

	return b ? (enum frame_kind)b->kind[frame_index(gpa)] : FRAME_NONE;
}

static inline uint64_t frame_refs(struct pool *pool, gpa_t gpa)
{
	struct block *b = frame_block(pool, gpa);

	return b ? atomic_load_explicit(&b->ref[frame_index(gpa)], memory_order_acquire) : 0;
}

static inline bool frame_pinned(struct pool *pool, gpa_t gpa)
{
	return frame_refs(pool, gpa) >= FRAME_PIN;
}

/* An anonymous frame that only the caller's reference keeps: it may be written. Others cannot gain one meanwhile. */
static inline bool frame_exclusive(struct pool *pool, gpa_t gpa)
{
	uint64_t r = frame_refs(pool, gpa);

	return frame_kind(pool, gpa) == FRAME_ANON && (uint32_t)r - (uint32_t)(r >> 32) == 1;
}

#endif
