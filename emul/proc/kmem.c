/* SPDX-License-Identifier: MIT */
/* A bound for what guests make the VMM keep: kmem.h. */
#include "emul/proc/kmem.h"

#include <stdatomic.h>

#include "emul/base/types.h"

#define SHARE 16 /* a sixteenth of the instance's memory */
#define LEAST ((uint64_t)16 << 20)

static uint64_t limit = LEAST;
static _Atomic uint64_t used;

void kmem_boot(uint64_t memory_limit)
{
	limit = MAX(memory_limit / SHARE, LEAST);
}

bool kmem_charge(uint64_t bytes)
{
	uint64_t now = atomic_fetch_add_explicit(&used, bytes, memory_order_relaxed) + bytes;

	if (bytes <= limit && now <= limit)
		return true;
	kmem_uncharge(bytes);
	return false;
}

void kmem_uncharge(uint64_t bytes)
{
	atomic_fetch_sub_explicit(&used, bytes, memory_order_relaxed);
}
