/* SPDX-License-Identifier: MIT */
/* The instance's memory as mm's own files see it: the frame pool, the page cache, the file windows. */
#ifndef EMUL_MM_PHYS_H
#define EMUL_MM_PHYS_H

#include "emul/base/list.h"
#include "emul/mm/frame.h"

#define CACHE_HASH 256

struct phys {
	struct pool pool;
	struct platform *p;
	uint64_t overcommit_max;     /* a single accountable map beyond it is refused, as Linux's heuristic does */
	_Atomic uint64_t committed;  /* bytes of private writable areas */

	struct mutex cache_lock;     /* after memobj->lock; before the pool's */
	/* cache_lock: */
	struct list cache[CACHE_HASH]; /* cached files by (dev, ino) */
	struct list cache_lru;         /* all of them, least recently mapped first */
	_Atomic unsigned cache_used[CACHE_HASH]; /* of a bucket, those in use; read without the lock as a hint */

	struct mutex window_lock;
	/* window_lock: */
	struct list windows;           /* window objects */
	_Atomic unsigned nr_writable;  /* of them, those that can change their file; read without the lock as a hint */
};

#endif
