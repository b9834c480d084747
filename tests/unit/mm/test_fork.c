/* SPDX-License-Identifier: MIT */
/*
 * fork(2)'s copy of an address space and what follows: who sees whose writes, which frames are shared and when
 * they become somebody's own again, pages pinned for the host, and forks that find no memory.
 */
#include "tests/unit/mm/fixture.h"

#define MANY 600u /* pages: more than fork copies at once, so that frames are shared */

static struct mm *fork_of(struct mm *mm)
{
	struct mm *c = NULL;

	ASSERT_RET(mm_fork(mm, &c), 0);
	assert_non_null(c);
	return c;
}

static uint64_t anon_used(struct fx *x)
{
	struct mem_stats s;

	phys_stats(x->ph, &s);
	return s.anon;
}

static void check_private(struct fx *x, unsigned pages)
{
	gva_t at = map_at(x->mm, 0, pages, RW, ANON);
	struct mm *c;

	for (unsigned i = 0; i < pages; i++)
		poke(x->mm, at + i * P, i + 1);
	c = fork_of(x->mm);
	for (unsigned i = 0; i < pages; i += 3)
		poke(c, at + i * P, 1000000 + i);
	for (unsigned i = 1; i < pages; i += 3)
		poke(x->mm, at + i * P, 2000000 + i);
	for (unsigned i = 0; i < pages; i++) {
		assert_int_equal(peek(c, at + i * P), i % 3 == 0 ? 1000000 + i : i + 1);
		assert_int_equal(peek(x->mm, at + i * P), i % 3 == 1 ? 2000000 + i : i + 1);
	}
	assert_int_equal(counts_of(c).total_vm, counts_of(x->mm).total_vm);
	mm_put(c);
	for (unsigned i = 0; i < pages; i++)
		assert_int_equal(peek(x->mm, at + i * P), i % 3 == 1 ? 2000000 + i : i + 1);
	ASSERT_RET(mm_munmap(x->mm, at, pages * P), 0);
}

static void neither_side_sees_the_others_writes(void **state)
{
	check_private(*state, 5);
	check_private(*state, MANY);
}

static void frames_are_shared_until_somebody_writes(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, MANY, RW, ANON);
	uint64_t before, shared;
	struct mm *c;

	for (unsigned i = 0; i < MANY; i++)
		poke(x->mm, at + i * P, i);
	before = anon_used(x);
	c = fork_of(x->mm);
	shared = anon_used(x);
	assert_true(shared < before + before / 4);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(peek(c, at + i * P), i);
	assert_int_equal(anon_used(x), shared);
	poke(c, at, 1);
	assert_true(anon_used(x) > shared);
	mm_put(c);
	assert_int_equal(anon_used(x), before);
	/* Alone again: written in place. */
	for (unsigned i = 0; i < MANY; i++)
		poke(x->mm, at + i * P, i + 1);
	assert_int_equal(anon_used(x), before);
}

static void shared_memory_stays_shared(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, 4, RW, SHANON);
	struct mm *c;

	poke(x->mm, at, 1);
	c = fork_of(x->mm);
	assert_int_equal(peek(c, at), 1);
	poke(c, at + P, 2); /* a page that neither had */
	poke(c, at, 3);
	assert_int_equal(peek(x->mm, at), 3);
	assert_int_equal(peek(x->mm, at + P), 2);
	mm_put(c);
	assert_int_equal(peek(x->mm, at + P), 2);
}

static void advice_says_what_is_copied(void **state)
{
	struct fx *x = *state;
	gva_t gone = map_at(x->mm, 0, 2, RW, ANON), wiped = map_at(x->mm, 4, 2, RW, ANON), kept = map_at(x->mm, 8, 2, RW, ANON);
	struct mm *c;

	poke(x->mm, gone, 1);
	poke(x->mm, wiped, 2);
	poke(x->mm, kept, 3);
	ASSERT_RET(mm_madvise(x->mm, gone, 2 * P, MADV_DONTFORK), 0);
	ASSERT_RET(mm_madvise(x->mm, wiped, 2 * P, MADV_WIPEONFORK), 0);
	atomic_store(&mm_limits(x->mm)->memlock, UINT64_MAX);
	ASSERT_RET(mm_mlock(x->mm, kept, P, 0), 0);
	c = fork_of(x->mm);
	assert_false(readable(c, gone));
	assert_int_equal(peek(c, wiped), 0);
	assert_int_equal(peek(c, kept), 3);
	assert_int_equal(counts_of(c).total_vm, 4 * P);
	assert_int_equal(counts_of(c).locked_vm, 0);
	assert_int_equal(counts_of(x->mm).locked_vm, P);
	assert_int_equal(peek(x->mm, wiped), 2);
	mm_put(c);
}

static void write_protection_outlives_the_fork(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, MANY, RW, ANON);
	struct mm *c;

	for (unsigned i = 0; i < MANY; i++)
		poke(x->mm, at + i * P, i);
	c = fork_of(x->mm);
	/* Off and on again must not make a shared frame writable. */
	ASSERT_RET(mm_mprotect(c, at, MANY * P, R), 0);
	ASSERT_RET(mm_mprotect(c, at, MANY * P, RW), 0);
	ASSERT_RET(mm_mprotect(x->mm, at, MANY * P, PROT_NONE), 0);
	ASSERT_RET(mm_mprotect(x->mm, at, MANY * P, RW), 0);
	for (unsigned i = 0; i < MANY; i++)
		poke(c, at + i * P, 7);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(peek(x->mm, at + i * P), i);
	mm_put(c);
}

/* The host goes on writing into a pinned page: that page must stay the parent's. */
static void a_pinned_page_stays_the_parents(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, MANY, RW, ANON);
	struct iovec iov[UIO_PIN_MAX];
	struct uio_pins pins;
	struct uio u;
	size_t len = 0;
	struct mm *c;

	for (unsigned i = 0; i < MANY; i++)
		poke(x->mm, at + i * P, 1);
	uio_init_guest(&u, mm_guest(x->mm), at + 300 * P, 8);
	assert_int_equal(uio_pin(&u, true, iov, &pins, &len), 1);
	c = fork_of(x->mm);
	poke(x->mm, at + 300 * P + 8, 2); /* would take a copy, were it shared */
	memset(iov[0].iov_base, 0xee, 8);
	uio_unpin(&pins);
	assert_int_equal(peek(x->mm, at + 300 * P), 0xeeeeeeeeeeeeeeeeu);
	assert_int_equal(peek(c, at + 300 * P), 1);
	assert_int_equal(peek(c, at + 300 * P + 8), 0);
	mm_put(c);
}

static void facts_and_limits_are_inherited(void **state)
{
	struct fx *x = *state;
	struct mm *c;

	mm_set_brk_start(x->mm, AT);
	ASSERT_RET(mm_brk(x->mm, AT + 3 * P), AT + 3 * P);
	atomic_store(&mm_limits(x->mm)->data, 64 * P);
	mm_set_mmap_base(x->mm, AT * 4);
	mm_membarrier_register(x->mm, 4);
	mm_layout(x->mm)->start_code = 99;
	c = fork_of(x->mm);
	ASSERT_RET(mm_brk(c, 0), AT + 3 * P);
	ASSERT_RET(mm_brk(c, AT + P), AT + P);
	ASSERT_RET(mm_brk(x->mm, 0), AT + 3 * P);
	assert_int_equal(atomic_load(&mm_limits(c)->data), 64 * P);
	assert_int_equal(mm_mmap_base(c), AT * 4);
	assert_int_equal(mm_membarrier_registered(c), 4);
	assert_int_equal(mm_layout(c)->start_code, 99);
	mm_put(c);
}

/* Every call that can fail fails once: the fork does too, and the parent has all it had. */
static void a_fork_without_memory_leaves_the_parent_whole(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, MANY, RW, ANON), small = map_at(x->mm, 1000, 3, RW, ANON);
	struct fake_budget *b = fake_budget(x->p);
	unsigned failed = 0;

	for (unsigned i = 0; i < MANY; i++)
		poke(x->mm, at + i * P, i);
	poke(x->mm, small, 5);
	for (int n = 0; n < 12; n++) {
		_Atomic int *kinds[] = { &b->as_new, &b->as_map, &b->as_protect };

		for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
			struct mm *c = NULL;
			int r;

			atomic_store(kinds[k], n);
			r = mm_fork(x->mm, &c);
			atomic_store(kinds[k], -1);
			failed += r < 0;
			assert_true(r == 0 || (r == -ENOMEM && !c));
			mm_put(c);
			for (unsigned i = 0; i < MANY; i++)
				assert_int_equal(peek(x->mm, at + i * P), i);
			poke(x->mm, at + (unsigned)n * P, (unsigned)n);
			assert_int_equal(fake_counts(x->p)->aspaces, 1);
		}
	}
	assert_true(failed >= 3);
	assert_int_equal(peek(x->mm, small), 5);
}

/* --- a random family ------------------------------------------------------------------------------------------------ */

#define FAMILY 6
#define PAGES 320u /* over what fork copies at once */
#define STEPS 3000
struct member { struct mm *mm; bool gone[PAGES]; uint64_t word[PAGES]; };

static void check_member(const struct member *m)
{
	for (unsigned i = 0; i < PAGES; i++) {
		if (m->gone[i])
			assert_false(readable(m->mm, AT + i * P));
		else if (peek(m->mm, AT + i * P) != m->word[i])
			fail_msg("page %u: %lu, want %lu", i, peek(m->mm, AT + i * P), m->word[i]);
	}
}

static void step_fork(struct member *f, unsigned from, unsigned to)
{
	if (from == to)
		return;
	mm_put(f[to].mm);
	f[to] = f[from];
	f[to].mm = fork_of(f[from].mm);
}

enum step { UNMAP, MAP, DROP, PROTECT };

static void step_range(struct member *m, unsigned i, unsigned n, enum step what)
{
	gva_t at = AT + i * P;

	/* What is not there cannot be dropped or protected. */
	for (unsigned k = i; k < i + n; k++)
		if (m->gone[k] && what != UNMAP)
			what = MAP;
	for (unsigned k = i; k < i + n && what != PROTECT; k++) {
		m->word[k] = 0;
		m->gone[k] = what == UNMAP;
	}
	switch (what) {
	case UNMAP: ASSERT_RET(mm_munmap(m->mm, at, n * P), 0); break;
	case MAP: map_at(m->mm, i, n, RW, ANON); break;
	case DROP: ASSERT_RET(mm_madvise(m->mm, at, n * P, MADV_DONTNEED), 0); break;
	case PROTECT:
		ASSERT_RET(mm_mprotect(m->mm, at, n * P, PROT_NONE), 0);
		ASSERT_RET(mm_mprotect(m->mm, at, n * P, RW), 0);
	}
}

static void step_write(struct member *m, unsigned i, unsigned n, uint64_t v)
{
	for (unsigned k = i; k < i + n; k++) {
		if (m->gone[k])
			continue;
		poke(m->mm, AT + k * P, v + k);
		m->word[k] = v + k;
	}
}

static void a_random_family_agrees_with_a_model(void **state)
{
	struct fx *x = *state;
	struct member *f = calloc(FAMILY, sizeof(*f));
	uint64_t seed = 7;

	assert_non_null(f);
	map_at(x->mm, 0, PAGES, RW, ANON);
	f[0].mm = x->mm;
	for (unsigned k = 1; k < FAMILY; k++)
		step_fork(f, 0, k);
	for (uint64_t step = 1; step <= STEPS; step++) {
		struct member *m = &f[next_random(&seed) % FAMILY];
		unsigned i = next_random(&seed) % PAGES, n = 1 + next_random(&seed) % MIN(PAGES - i, 40u), what;

		what = next_random(&seed) % 16;
		if (what == 0)
			step_fork(f, (unsigned)(m - f), next_random(&seed) % FAMILY);
		else if (what < 9)
			step_range(m, i, what < 3 ? MIN(n, 4u) : n, what < 3 ? UNMAP : what < 5 ? DROP : what < 7 ? PROTECT : MAP);
		else
			step_write(m, i, n, step * PAGES);
		if (step % 50 == 0)
			for (unsigned k = 0; k < FAMILY; k++)
				check_member(&f[k]);
	}
	x->mm = f[0].mm; /* one of them is left for the teardown */
	for (unsigned k = 1; k < FAMILY; k++)
		mm_put(f[k].mm);
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(neither_side_sees_the_others_writes),
		CASE(frames_are_shared_until_somebody_writes),
		CASE(shared_memory_stays_shared),
		CASE(advice_says_what_is_copied),
		CASE(write_protection_outlives_the_fork),
		CASE(a_pinned_page_stays_the_parents),
		CASE(facts_and_limits_are_inherited),
		CASE(a_fork_without_memory_leaves_the_parent_whole),
		CASE(a_random_family_agrees_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
