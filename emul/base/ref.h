/* SPDX-License-Identifier: MIT */
/* Reference counts. The last ref_put() returns true and orders all earlier uses before the free. */
#ifndef EMUL_BASE_REF_H
#define EMUL_BASE_REF_H

#include <stdatomic.h>
#include <stdbool.h>

struct ref { _Atomic unsigned n; };

static inline void ref_init(struct ref *r) { atomic_store_explicit(&r->n, 1, memory_order_relaxed); }
static inline void ref_get(struct ref *r) { atomic_fetch_add_explicit(&r->n, 1, memory_order_relaxed); }
static inline bool ref_put(struct ref *r) { return atomic_fetch_sub_explicit(&r->n, 1, memory_order_acq_rel) == 1; }

/* Takes a reference unless the object is already dying (for look-up in weak tables). */
static inline bool ref_get_live(struct ref *r)
{
	unsigned n = atomic_load_explicit(&r->n, memory_order_relaxed);

	while (n)
		if (atomic_compare_exchange_weak_explicit(&r->n, &n, n + 1, memory_order_acq_rel,
							  memory_order_relaxed))
			return true;
	return false;
}

#endif
