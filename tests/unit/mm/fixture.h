/* SPDX-License-Identifier: MIT */
/* An address space over the fake platform for each case, and the few steps that all cases of mm are made of. */
#ifndef TESTS_UNIT_MM_FIXTURE_H
#define TESTS_UNIT_MM_FIXTURE_H

#include "tests/lib/cmocka_all.h"

#include "emul/mm/memobj.h"
#include "emul/mm/mm.h"
#include "tests/lib/fake_platform.h"

#define MEMORY ((uint64_t)256 << 20)
#define P PAGE_SIZE
#define R PROT_READ
#define RW (PROT_READ | PROT_WRITE)
#define RWX (PROT_READ | PROT_WRITE | PROT_EXEC)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define SHANON (MAP_SHARED | MAP_ANONYMOUS)
#define AT ((gva_t)0x10000000) /* where cases put things with MAP_FIXED */

struct fx {
	struct platform *p;
	struct phys *ph;
	struct mm *mm;
};

static inline int fx_setup(void **state)
{
	struct fx *x = calloc(1, sizeof(*x));

	x->p = fake_platform_new();
	x->ph = phys_new(x->p, MEMORY);
	x->mm = mm_new(x->ph);
	*state = x;
	return x->ph && x->mm ? 0 : -1;
}

/* Nothing stays behind: no frame (but of the page cache), no window, no entry. */
static inline int fx_teardown(void **state)
{
	struct fx *x = *state;
	struct mem_stats s;

	mm_put(x->mm);
	phys_stats(x->ph, &s);
	if (s.anon || s.shmem || s.committed) {
		print_error("left behind: anon %lu, shmem %lu, committed %ld bytes\n", s.anon, s.shmem, (long)s.committed);
		return -1;
	}
	phys_free(x->ph);
	fake_platform_free(x->p);
	free(x);
	return 0;
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, fx_setup, fx_teardown)

/* Anonymous memory at AT + `page` pages; fails the case if that cannot be. */
static inline gva_t map_at(struct mm *mm, uint64_t page, uint64_t n, int prot, int flags)
{
	gva_t at = AT + page * P;

	ASSERT_RET(mm_mmap(mm, at, n * P, prot, flags | MAP_FIXED, NULL, 0, RWX), (long)at);
	return at;
}

static inline gva_t map_obj(struct mm *mm, uint64_t page, uint64_t n, int prot, int flags, struct memobj *o, uint64_t off)
{
	gva_t at = AT + page * P;

	ASSERT_RET(mm_mmap(mm, at, n * P, prot, flags | MAP_FIXED, o, off, RWX), (long)at);
	return at;
}

static inline void poke(struct mm *mm, gva_t at, uint64_t v)
{
	ASSERT_RET(put_guest_u64(mm, at, v), 0);
}

static inline uint64_t peek(struct mm *mm, gva_t at)
{
	uint64_t v = 0;

	ASSERT_RET(get_guest_u64(mm, at, &v), 0);
	return v;
}

static inline bool readable(struct mm *mm, gva_t at)
{
	char c;

	return copy_from_guest(mm, &c, at, 1) == 0;
}

static inline struct mm_counts counts_of(struct mm *mm)
{
	struct mm_counts c;

	mm_counts(mm, &c);
	return c;
}

struct areas { struct vma_info v[64]; unsigned n; uint64_t bytes; };

static inline struct areas areas_of(struct mm *mm)
{
	struct areas a = { .n = 0 };
	struct vma_list l;

	assert_int_equal(mm_list_vmas(mm, true, &l), 0);
	for (; a.n < l.n; a.n++) {
		if (a.n < ARRAY_SIZE(a.v))
			a.v[a.n] = l.v[a.n];
		a.bytes += l.v[a.n].end - l.v[a.n].start;
	}
	vma_list_fini(&l);
	return a;
}

/* The same sequence each time: a failure can be repeated. */
static inline uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*seed >> 33);
}

#endif
