/* SPDX-License-Identifier: MIT */
/*
 * Areas and their pages: mmap, munmap, mprotect, mremap, madvise, mlock, brk, msync, mincore. What is Linux's
 * behaviour is checked against Linux in tests/semantics; here is what can only be seen from inside: counts,
 * leaks, what happens when the platform has no memory, and a long random walk against a model.
 */
#include <signal.h>

#include "tests/unit/mm/fixture.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static void memory_is_zero_and_keeps_what_is_written(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, 1024, RW, ANON); /* crosses 2 MiB */

	for (unsigned i = 0; i < 1024; i++) {
		assert_int_equal(peek(x->mm, at + i * P + 8), 0);
		poke(x->mm, at + i * P, i + 1);
	}
	for (unsigned i = 0; i < 1024; i++)
		assert_int_equal(peek(x->mm, at + i * P), i + 1);
	assert_int_equal(counts_of(x->mm).rss_anon, 1024 * P);
	/* Used frames are given out again: cleared. */
	ASSERT_RET(mm_munmap(x->mm, at, 1024 * P), 0);
	assert_int_equal(counts_of(x->mm).rss_anon, 0);
	map_at(x->mm, 0, 1024, RW, ANON);
	for (unsigned i = 0; i < 1024; i++)
		assert_int_equal(peek(x->mm, at + i * P), 0);
}

static void mmap_checks_its_arguments(void **state)
{
	struct fx *x = *state;
	const struct { const char *what; gva_t addr; uint64_t len; int flags; uint64_t off; long want; } c[] = {
		{ "no length", 0, 0, ANON, 0, -EINVAL },
		{ "length wraps", 0, UINT64_MAX, ANON, 0, -ENOMEM },
		{ "longer than all", 0, USER_END + P, ANON, 0, -ENOMEM },
		{ "odd offset", 0, P, ANON, 1, -EINVAL },
		{ "no type", 0, P, MAP_ANONYMOUS, 0, -EINVAL },
		{ "fixed, odd", AT + 1, P, ANON | MAP_FIXED, 0, -EINVAL },
		{ "fixed, over the end", USER_END - P, 2 * P, ANON | MAP_FIXED, 0, -ENOMEM },
		{ "fixed, wraps", UINT64_MAX & PAGE_MASK, P, ANON | MAP_FIXED, 0, -ENOMEM },
		{ "fixed, low", P, P, ANON | MAP_FIXED, 0, -EPERM },
		{ "huge pages", 0, HUGE_SIZE, ANON | MAP_HUGETLB, 0, -ENOMEM },
	};

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		long r = mm_mmap(x->mm, c[i].addr, c[i].len, RW, c[i].flags, NULL, c[i].off, RWX);

		if (r != c[i].want)
			fail_msg("%s: %ld, want %ld", c[i].what, r, c[i].want);
	}
	map_at(x->mm, 2, 1, RW, ANON);
	ASSERT_RET(mm_mmap(x->mm, AT, 4 * P, RW, ANON | MAP_FIXED_NOREPLACE, NULL, 0, RWX), -EEXIST);
	assert_int_equal(counts_of(x->mm).total_vm, P);
}

static void areas_split_merge_and_add_up(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, 10, RW, ANON);
	struct areas a;

	poke(x->mm, at + 9 * P, 9);
	ASSERT_RET(mm_munmap(x->mm, at + 3 * P, 2 * P), 0);
	a = areas_of(x->mm);
	assert_int_equal(a.n, 2);
	assert_int_equal(a.bytes, 8 * P);
	assert_int_equal(counts_of(x->mm).total_vm, 8 * P);
	assert_false(readable(x->mm, at + 3 * P));
	map_at(x->mm, 3, 2, RW, ANON);
	assert_int_equal(areas_of(x->mm).n, 1);
	assert_int_equal(peek(x->mm, at + 9 * P), 9);
	ASSERT_RET(mm_munmap(x->mm, at + 1, P), -EINVAL);
	ASSERT_RET(mm_munmap(x->mm, at, 0), -EINVAL);
	ASSERT_RET(mm_munmap(x->mm, USER_END, P), -EINVAL);
	ASSERT_RET(mm_munmap(x->mm, at, 100 * P), 0);
	assert_int_equal(counts_of(x->mm).total_vm, 0);
	assert_int_equal(counts_of(x->mm).hiwater_vm, 10 * P);
}

/* --- mprotect -------------------------------------------------------------------------------------------------- */

static void mprotect_stops_at_a_hole_with_the_rest_done(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, 2, RW, ANON);
	struct areas a;

	map_at(x->mm, 3, 1, RW, ANON);
	ASSERT_RET(mm_mprotect(x->mm, at, 4 * P, R), -ENOMEM);
	a = areas_of(x->mm);
	assert_int_equal(a.v[0].prot, R);
	assert_int_equal(a.v[1].prot, RW);
	ASSERT_RET(mm_mprotect(x->mm, at + 2 * P, P, R), -ENOMEM);
	ASSERT_RET(mm_mprotect(x->mm, at + 2 * P, 0, R), 0);
	ASSERT_RET(mm_mprotect(x->mm, at + 1, P, R), -EINVAL);
	ASSERT_RET(mm_mprotect(x->mm, at, UINT64_MAX, R), -ENOMEM);
	ASSERT_RET(mm_mprotect(x->mm, at, P, 0x100), -EINVAL);
}

/* mm/mprotect.c: may_expand_vm() of the new kind fails and that of the old one does not. */
static void only_the_data_limit_counts_for_mprotect(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, 4, R, ANON);

	atomic_store(&mm_limits(x->mm)->as, P);
	ASSERT_RET(mm_mprotect(x->mm, at, P, RW), 0);
	atomic_store(&mm_limits(x->mm)->data, P);
	ASSERT_RET(mm_mprotect(x->mm, at + P, P, RW), 0);
	atomic_store(&mm_limits(x->mm)->as, UINT64_MAX);
	ASSERT_RET(mm_mprotect(x->mm, at + 2 * P, P, RW), -ENOMEM);
	assert_int_equal(counts_of(x->mm).data_vm, 2 * P);
}

static void mprotect_without_memory_loses_no_data(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, 4, RW, ANON);

	for (unsigned i = 0; i < 4; i++)
		poke(x->mm, at + i * P, i + 1);
	atomic_store(&fake_budget(x->p)->as_protect, 0);
	ASSERT_RET(mm_mprotect(x->mm, at + P, 2 * P, R), -ENOMEM);
	atomic_store(&fake_budget(x->p)->as_protect, -1);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(peek(x->mm, at + i * P), i + 1);
		poke(x->mm, at + i * P, 7);
	}
	assert_int_equal(areas_of(x->mm).n, 1);
}

/* --- mremap ---------------------------------------------------------------------------------------------------- */

static void mremap_moves_grows_and_shrinks(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, 4, RW, ANON), to;
	long r;

	map_at(x->mm, 4, 1, R, ANON);
	for (unsigned i = 0; i < 4; i++)
		poke(x->mm, at + i * P, i + 1);
	ASSERT_RET(mm_mremap(x->mm, at, 4 * P, 6 * P, 0, 0), -ENOMEM);
	r = mm_mremap(x->mm, at, 4 * P, 6 * P, MREMAP_MAYMOVE, 0);
	assert_true(r > 0 && (gva_t)r != at);
	to = (gva_t)r;
	assert_false(readable(x->mm, at));
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(peek(x->mm, to + i * P), i < 4 ? i + 1 : 0);
	assert_int_equal(counts_of(x->mm).total_vm, 7 * P);
	/* No limit stands in the way of less. */
	atomic_store(&mm_limits(x->mm)->as, 0);
	atomic_store(&mm_limits(x->mm)->data, 0);
	ASSERT_RET(mm_mremap(x->mm, to, 6 * P, P, 0, 0), (long)to);
	assert_int_equal(counts_of(x->mm).total_vm, 2 * P);
	ASSERT_RET(mm_mremap(x->mm, to, P, 2 * P, MREMAP_MAYMOVE, 0), -ENOMEM);
}

static void mremap_leaves_or_doubles_the_old_map(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, 2, RW, ANON), sh = map_at(x->mm, 8, 2, RW, SHANON), to = AT + 32 * P;

	poke(x->mm, at + P, 5);
	ASSERT_RET(mm_mremap(x->mm, at, 2 * P, 2 * P, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to), (long)to);
	assert_int_equal(peek(x->mm, to + P), 5);
	assert_int_equal(peek(x->mm, at + P), 0);
	poke(x->mm, sh, 6);
	ASSERT_RET(mm_mremap(x->mm, at, 0, P, MREMAP_MAYMOVE, 0), -EINVAL);
	ASSERT_RET(mm_mremap(x->mm, sh, 0, 2 * P, MREMAP_MAYMOVE | MREMAP_FIXED, to), (long)to);
	poke(x->mm, to + P, 7);
	assert_int_equal(peek(x->mm, to), 6);
	assert_int_equal(peek(x->mm, sh + P), 7);
	assert_int_equal(counts_of(x->mm).total_vm, 6 * P);
}

static void mremap_checks_its_arguments(void **state)
{
	struct fx *x = *state;
	const struct { const char *what; gva_t old; uint64_t old_len, new_len; int flags; gva_t to; long want; } c[] = {
		{ "unknown flag", AT, P, P, 8, 0, -EINVAL },
		{ "fixed alone", AT, P, P, MREMAP_FIXED, 0, -EINVAL },
		{ "odd address", AT + 1, P, P, 0, 0, -EINVAL },
		{ "to nothing", AT, P, 0, 0, 0, -EINVAL },
		{ "not mapped", AT + 9 * P, P, P, 0, 0, -EFAULT },
		{ "beyond the program's end", 0xffff800000000000, P, 2 * P, MREMAP_MAYMOVE, 0, -EFAULT },
		{ "more than there is", AT, 3 * P, 4 * P, MREMAP_MAYMOVE, 0, -EFAULT },
		{ "onto itself", AT, 2 * P, 2 * P, MREMAP_MAYMOVE | MREMAP_FIXED, AT + P, -EINVAL },
		{ "to an odd place", AT, P, P, MREMAP_MAYMOVE | MREMAP_FIXED, AT + 5, -EINVAL },
		{ "over the end", AT, P, 2 * P, MREMAP_MAYMOVE | MREMAP_FIXED, USER_END - P, -EINVAL },
		{ "to the first pages", AT, P, P, MREMAP_MAYMOVE | MREMAP_FIXED, 0, -EPERM },
		{ "hint in the first pages", AT, P, P, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, P, -EPERM },
	};

	map_at(x->mm, 0, 2, RW, ANON);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		long r = mm_mremap(x->mm, c[i].old, c[i].old_len, c[i].new_len, c[i].flags, c[i].to);

		if (r != c[i].want)
			fail_msg("%s: %ld, want %ld", c[i].what, r, c[i].want);
	}
	assert_int_equal(counts_of(x->mm).total_vm, 2 * P);
}

/* An area of the vDSO that were larger than it would show the guest memory of others. */
static void the_vdso_moves_but_never_grows(void **state)
{
	struct fx *x = *state;
	const int fixed = MREMAP_MAYMOVE | MREMAP_FIXED;
	gva_t vdso = mm_map_vdso(x->mm, AT), to = AT + 512 * P;
	char text[4];

	ASSERT_RET(mm_mremap(x->mm, vdso, 64 * P, 64 * P, fixed, to), -EFAULT);
	ASSERT_RET(mm_mremap(x->mm, vdso, P, 2 * P, MREMAP_MAYMOVE, 0), -EFAULT);
	ASSERT_RET(mm_mremap(x->mm, vdso, P, 2 * P, fixed, to), -EFAULT);
	ASSERT_RET(mm_mremap(x->mm, vdso, 0, P, MREMAP_MAYMOVE, 0), -EINVAL);
	ASSERT_RET(mm_mremap(x->mm, vdso, P, P, fixed, to), (long)to);
	assert_int_equal(copy_from_guest(x->mm, text, to, 4), 0);
	assert_memory_equal(text, "vdso", 4);
	assert_false(readable(x->mm, to + P));
	assert_false(readable(x->mm, vdso));
}

/* --- advice, locks, the heap ------------------------------------------------------------------------------------ */

static void madvise_goes_on_behind_a_hole(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, 1, RW, ANON);

	map_at(x->mm, 2, 1, RW, ANON);
	poke(x->mm, at, 1);
	poke(x->mm, at + 2 * P, 2);
	ASSERT_RET(mm_madvise(x->mm, at, 3 * P, MADV_DONTNEED), -ENOMEM);
	assert_int_equal(peek(x->mm, at), 0);
	assert_int_equal(peek(x->mm, at + 2 * P), 0);
	ASSERT_RET(mm_madvise(x->mm, at, P, 12345), -EINVAL);
	ASSERT_RET(mm_madvise(x->mm, at + 1, P, MADV_DONTNEED), -EINVAL);
	ASSERT_RET(mm_madvise(x->mm, at + P, 0, MADV_DONTNEED), 0);
	ASSERT_RET(mm_mlock(x->mm, at, P, 0), 0);
	poke(x->mm, at, 3);
	ASSERT_RET(mm_madvise(x->mm, at, P, MADV_DONTNEED), -EINVAL);
	assert_int_equal(peek(x->mm, at), 3);
	ASSERT_RET(mm_madvise(x->mm, at, 3 * P, MADV_POPULATE_WRITE), -ENOMEM);
}

static void locked_memory_is_counted_and_limited(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, 8, RW, ANON);

	atomic_store(&mm_limits(x->mm)->memlock, 4 * P);
	ASSERT_RET(mm_mlock(x->mm, at + 1, 2 * P, 0), 0); /* three pages are touched by these bytes */
	assert_int_equal(counts_of(x->mm).locked_vm, 3 * P);
	ASSERT_RET(mm_mlock(x->mm, at, 4 * P, 0), 0);
	ASSERT_RET(mm_mlock(x->mm, at, 5 * P, 0), -ENOMEM);
	ASSERT_RET(mm_munlock(x->mm, at + P, P), 0);
	assert_int_equal(counts_of(x->mm).locked_vm, 3 * P);
	ASSERT_RET(mm_mlock(x->mm, AT + 100 * P, P, 0), -ENOMEM);
	ASSERT_RET(mm_munlockall(x->mm), 0);
	assert_int_equal(counts_of(x->mm).locked_vm, 0);
	assert_int_equal(areas_of(x->mm).n, 1);
}

static void a_heap_that_cannot_grow_stays(void **state)
{
	struct fx *x = *state;

	mm_set_brk_start(x->mm, AT);
	ASSERT_RET(mm_brk(x->mm, 0), AT);
	ASSERT_RET(mm_brk(x->mm, AT + 3 * P + 1), AT + 3 * P + 1);
	assert_int_equal(counts_of(x->mm).total_vm, 4 * P);
	poke(x->mm, AT + 3 * P, 1);
	map_at(x->mm, 8, 1, RW, ANON);
	ASSERT_RET(mm_brk(x->mm, AT + 8 * P), AT + 3 * P + 1); /* a page stays free before the next area */
	ASSERT_RET(mm_brk(x->mm, AT - P), AT + 3 * P + 1);
	ASSERT_RET(mm_brk(x->mm, UINT64_MAX), AT + 3 * P + 1);
	atomic_store(&mm_limits(x->mm)->data, 0);
	ASSERT_RET(mm_brk(x->mm, AT + 5 * P), AT + 3 * P + 1);
	atomic_store(&mm_limits(x->mm)->data, UINT64_MAX);
	ASSERT_RET(mm_brk(x->mm, AT + P), AT + P);
	assert_false(readable(x->mm, AT + 3 * P));
	assert_int_equal(counts_of(x->mm).total_vm, 2 * P);
}

static void msync_and_mincore_report_holes(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, 600, RW, ANON | MAP_NORESERVE), vec = map_at(x->mm, 1000, 1, RW, ANON);
	unsigned char got[600];

	ASSERT_RET(mm_msync(x->mm, at, P, MS_SYNC | MS_ASYNC), -EINVAL);
	ASSERT_RET(mm_msync(x->mm, at + 599 * P, 2 * P, MS_SYNC), -ENOMEM);
	ASSERT_RET(mm_msync(x->mm, at, P, MS_SYNC), 0);
	ASSERT_RET(mm_madvise(x->mm, at, 600 * P, MADV_NOHUGEPAGE), 0);
	poke(x->mm, at + 577 * P, 1);
	ASSERT_RET(mm_mincore(x->mm, at, 600 * P - 1, vec), 0);
	assert_int_equal(copy_from_guest(x->mm, got, vec, sizeof(got)), 0);
	for (unsigned i = 0; i < 600; i++)
		assert_int_equal(got[i], i == 577);
	ASSERT_RET(mm_mincore(x->mm, at + 599 * P, 2 * P, vec), -ENOMEM);
	ASSERT_RET(mm_mincore(x->mm, at, P, AT + 2000 * P), -EFAULT);
	ASSERT_RET(mm_mincore(x->mm, at, P, UINT64_MAX), -EFAULT);
}

static void exec_gets_a_stack_and_the_vdso(void **state)
{
	struct fx *x = *state;
	gva_t top = USER_END - (16 * P), vdso;
	struct mm_fault f;
	char text[4];

	atomic_store(&mm_limits(x->mm)->stack, 64 * P);
	ASSERT_RET(mm_setup_stack(x->mm, top, 4 * P, false), 0);
	poke(x->mm, top - 5 * P, 1); /* below the area: it grows */
	assert_true(counts_of(x->mm).stack_vm >= 5 * P);
	assert_false(mm_handle_fault(x->mm, top - 65 * P, MM_WRITE, 0, &f));
	assert_int_equal(f.sig, SIGSEGV);
	vdso = mm_map_vdso(x->mm, USER_END / 2);
	assert_int_equal(copy_from_guest(x->mm, text, vdso, 4), 0);
	assert_memory_equal(text, "vdso", 4);
	assert_int_equal(copy_from_guest(x->mm, text, vdso - P, 4), 0);
	assert_memory_equal(text, "vvar", 4);
	assert_int_equal(copy_to_guest(x->mm, vdso, text, 4), -EFAULT);
	ASSERT_RET(mm_mprotect(x->mm, vdso, P, RW), -EACCES);
	assert_int_equal(mm_access_remote(x->mm, vdso, text, 4, true), 0); /* everybody's page */
}

/* --- a random walk --------------------------------------------------------------------------------------------------- */

#define PAGES 48
#define STEPS 20000
struct model { bool mapped[PAGES]; int prot[PAGES]; uint64_t word[PAGES]; };

static gva_t page_at(unsigned i)
{
	return AT + i * P;
}

static void check_areas(struct mm *mm, const struct model *m)
{
	struct areas a = areas_of(mm);
	uint64_t bytes = 0;
	unsigned k = 0;

	assert_true(a.n <= ARRAY_SIZE(a.v));
	for (unsigned i = 0; i < PAGES; i++) {
		while (k < a.n && a.v[k].end <= page_at(i))
			k++;
		if (m->mapped[i] != (k < a.n && a.v[k].start <= page_at(i)))
			fail_msg("page %u: %s mapped", i, m->mapped[i] ? "not" : "still");
		if (m->mapped[i] && a.v[k].prot != m->prot[i])
			fail_msg("page %u: prot %d, want %d", i, a.v[k].prot, m->prot[i]);
		bytes += m->mapped[i] ? P : 0;
	}
	assert_int_equal(a.bytes, bytes);
	assert_int_equal(counts_of(mm).total_vm, bytes);
}

/* The protection as the accessors see it, the contents as a debugger does. */
static void check_page(struct mm *mm, const struct model *m, unsigned i)
{
	uint64_t v = 0;

	if (mm_access_remote(mm, page_at(i), &v, 8, false) != (m->mapped[i] ? 8 : 0))
		fail_msg("page %u: mapped %d", i, m->mapped[i]);
	if (m->mapped[i] && v != m->word[i])
		fail_msg("page %u: %lu, want %lu", i, v, m->word[i]);
	if (readable(mm, page_at(i)) != (m->mapped[i] && m->prot[i]))
		fail_msg("page %u: readable wrongly", i);
}

static void step_write(struct mm *mm, struct model *m, unsigned i, uint64_t v)
{
	bool may = m->mapped[i] && (m->prot[i] & PROT_WRITE);

	if (put_guest_u64(mm, page_at(i), v) != (may ? 0 : -EFAULT))
		fail_msg("page %u: writable wrongly", i);
	if (may)
		m->word[i] = v;
}

static void step_protect(struct mm *mm, struct model *m, unsigned i, unsigned n, int prot)
{
	unsigned k = i;

	while (k < i + n && m->mapped[k])
		m->prot[k++] = prot;
	ASSERT_RET(mm_mprotect(mm, page_at(i), n * P, prot), k == i + n ? 0 : -ENOMEM);
}

static void step_drop(struct mm *mm, struct model *m, unsigned i, unsigned n)
{
	bool hole = false;

	for (unsigned k = i; k < i + n; k++) {
		hole |= !m->mapped[k];
		m->word[k] = 0;
	}
	ASSERT_RET(mm_madvise(mm, page_at(i), n * P, MADV_DONTNEED), hole ? -ENOMEM : 0);
}

static void step_set(struct model *m, unsigned i, unsigned n, bool mapped, int prot)
{
	for (unsigned k = i; k < i + n; k++) {
		m->mapped[k] = mapped;
		m->prot[k] = prot;
		m->word[k] = 0;
	}
}

/* The source must be one area, which the model does not know: what came of it is checked, not whether. */
static void step_move(struct mm *mm, struct model *m, unsigned i, unsigned n, unsigned to, bool keep)
{
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (keep ? MREMAP_DONTUNMAP : 0);
	long r;

	if (i + n > to && to + n > i)
		return;
	r = mm_mremap(mm, page_at(i), n * P, n * P, flags, page_at(to));
	step_set(m, to, n, false, 0); /* unmapped first, as in Linux */
	if (r < 0) {
		ASSERT_RET(r, -EFAULT);
		return;
	}
	for (unsigned k = 0; k < n; k++) {
		m->mapped[to + k] = true;
		m->prot[to + k] = m->prot[i + k];
		m->word[to + k] = m->word[i + k];
		m->mapped[i + k] = keep;
		m->word[i + k] = 0;
	}
}

static void a_random_walk_agrees_with_a_model(void **state)
{
	static const int prots[] = { PROT_NONE, R, RW, RW, RW, R | PROT_EXEC };
	struct fx *x = *state;
	struct model m = { .mapped = { false } };
	uint64_t seed = 1;

	for (unsigned step = 1; step <= STEPS; step++) {
		unsigned i = next_random(&seed) % PAGES, n = 1 + next_random(&seed) % MIN(PAGES - i, 12u);
		int prot = prots[next_random(&seed) % ARRAY_SIZE(prots)];

		switch (next_random(&seed) % 10) {
		case 0:
		case 1:
			map_at(x->mm, i, n, prot, ANON | (step & 1 ? MAP_NORESERVE : 0));
			step_set(&m, i, n, true, prot);
			break;
		case 2:
			ASSERT_RET(mm_munmap(x->mm, page_at(i), n * P), 0);
			step_set(&m, i, n, false, 0);
			break;
		case 3:
		case 4: step_protect(x->mm, &m, i, n, prot); break;
		case 5: step_drop(x->mm, &m, i, n); break;
		case 6: step_move(x->mm, &m, i, n, next_random(&seed) % (PAGES - n + 1), step & 1); break;
		default: step_write(x->mm, &m, i, step); break;
		}
		check_areas(x->mm, &m);
		if (step % 16 == 0)
			for (unsigned k = 0; k < PAGES; k++)
				check_page(x->mm, &m, k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(memory_is_zero_and_keeps_what_is_written),
		CASE(mmap_checks_its_arguments),
		CASE(areas_split_merge_and_add_up),
		CASE(mprotect_stops_at_a_hole_with_the_rest_done),
		CASE(only_the_data_limit_counts_for_mprotect),
		CASE(mprotect_without_memory_loses_no_data),
		CASE(mremap_moves_grows_and_shrinks),
		CASE(mremap_leaves_or_doubles_the_old_map),
		CASE(mremap_checks_its_arguments),
		CASE(the_vdso_moves_but_never_grows),
		CASE(madvise_goes_on_behind_a_hole),
		CASE(locked_memory_is_counted_and_limited),
		CASE(a_heap_that_cannot_grow_stays),
		CASE(msync_and_mincore_report_holes),
		CASE(exec_gets_a_stack_and_the_vdso),
		CASE(a_random_walk_agrees_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
