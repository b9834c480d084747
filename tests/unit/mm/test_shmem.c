/* SPDX-License-Identifier: MIT */
/*
 * Memory objects in frames: read, write and maps of the same pages, holes, truncation and punching under maps,
 * seals, a full pool; the cached pages of host files; and a random walk against a model.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "emul/mm/vma.h"
#include "tests/unit/mm/fixture.h"

static ssize_t write_at(struct memobj *o, const void *buf, size_t n, uint64_t off)
{
	struct uio u;

	uio_init_host(&u, (void *)(uintptr_t)buf, n);
	return shmem_write(o, &u, off);
}

static ssize_t read_at(struct memobj *o, void *buf, size_t n, uint64_t off)
{
	struct uio u;

	uio_init_host(&u, buf, n);
	return shmem_read(o, &u, off);
}

static void what_is_written_is_read_and_holes_are_zero(void **state)
{
	struct fx *x = *state;
	AUTO(memobj) o = shmem_new(x->ph, 0);
	char buf[32];

	assert_int_equal(read_at(o, buf, 10, 0), 0);
	assert_int_equal(write_at(o, "hello", 5, 3 * P - 2), 5);
	assert_int_equal(shmem_size(o), 3 * P + 3);
	memset(buf, 'x', sizeof(buf));
	assert_int_equal(read_at(o, buf, 20, 3 * P - 6), 9);
	assert_memory_equal(buf, "\0\0\0\0hello", 9);
	assert_int_equal(read_at(o, buf, 4, P), 4);
	assert_memory_equal(buf, "\0\0\0\0", 4);
	assert_int_equal(read_at(o, buf, 4, 1ull << 60), 0);
	assert_int_equal(shmem_allocated(o), 2 * P);
	ASSERT_RET(shmem_seek_data(o, 0), 2 * P);
	ASSERT_RET(shmem_seek_data(o, 2 * P + 7), 2 * P + 7);
	ASSERT_RET(shmem_seek_hole(o, 0), 0);
	ASSERT_RET(shmem_seek_hole(o, 2 * P), 3 * P + 3);
	ASSERT_RET(shmem_seek_data(o, 3 * P + 3), -ENXIO);
	ASSERT_RET(shmem_seek_hole(o, 3 * P + 3), -ENXIO);
}

struct counting { struct memobj_watch watch; int areas, gone; };

static void count_attached(struct memobj_watch *w) { container_of(w, struct counting, watch)->areas++; }
static void count_detached(struct memobj_watch *w) { container_of(w, struct counting, watch)->areas--; }
static void count_gone(struct memobj_watch *w) { container_of(w, struct counting, watch)->gone++; }

static void watchers_know_every_area(void **state)
{
	struct counting n = { { count_attached, count_detached, count_gone }, 0, 0 };
	struct fx *x = *state;
	struct memobj *o = shmem_new(x->ph, 3 * P);
	struct mm *child;
	gva_t a, b;

	memobj_set_watch(o, &n.watch);
	a = map_obj(x->mm, 0, 3, RW, MAP_SHARED, o, 0);
	b = map_obj(x->mm, 8, 3, RW, MAP_SHARED, o, 0);
	assert_int_equal(n.areas, 2);
	ASSERT_RET(mm_mprotect(x->mm, a + P, P, PROT_READ), 0);
	assert_int_equal(n.areas, 4);
	ASSERT_RET(mm_mprotect(x->mm, a + P, P, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(n.areas, 4); /* never joined again */
	ASSERT_RET(mm_fork(x->mm, &child), 0);
	assert_int_equal(n.areas, 8);
	mm_put(child);
	assert_int_equal(n.areas, 4);
	ASSERT_RET(mm_munmap(x->mm, a, P), 0);
	ASSERT_RET(mm_shmdt(x->mm, a + P), -EINVAL); /* its beginning is elsewhere */
	ASSERT_RET(mm_shmdt(x->mm, a), 0);
	assert_int_equal(n.areas, 1);
	memobj_put(o);
	assert_int_equal(n.gone, 0);
	ASSERT_RET(mm_shmdt(x->mm, b), 0);
	assert_int_equal(n.areas, 0);
	assert_int_equal(n.gone, 1);
	ASSERT_RET(mm_shmdt(x->mm, b), -EINVAL);
}

static void maps_and_files_see_the_same_bytes(void **state)
{
	struct fx *x = *state;
	AUTO(memobj) o = shmem_new(x->ph, 4 * P);
	gva_t at = map_obj(x->mm, 0, 4, RW, MAP_SHARED, o, 0), priv = map_obj(x->mm, 8, 4, RW, MAP_PRIVATE, o, 0);
	gva_t off = map_obj(x->mm, 16, 1, RW, MAP_SHARED, o, 2 * P);
	uint64_t v = 5;

	poke(x->mm, at + 2 * P, 1);
	assert_int_equal(peek(x->mm, off), 1);
	assert_int_equal(read_at(o, &v, 8, 2 * P), 8);
	assert_int_equal(v, 1);
	v = 2;
	assert_int_equal(write_at(o, &v, 8, P), 8);
	assert_int_equal(peek(x->mm, at + P), 2);
	poke(x->mm, priv + P, 3); /* a copy */
	assert_int_equal(peek(x->mm, at + P), 2);
	assert_int_equal(counts_of(x->mm).total_vm, 9 * P);
}

static bool in_table(struct mm *mm, gva_t at)
{
	struct as_mapping m;

	return mm->ops->as_lookup(mm->as, at, &m);
}

/* Small maps that are only read come with what is there: no fault. A write has to be noticed, and holes stay holes. */
static void what_is_there_comes_with_a_small_map(void **state)
{
	struct fx *x = *state;
	AUTO(memobj) o = shmem_new(x->ph, 32 * P);
	uint64_t v = 7;
	gva_t at;

	assert_int_equal(write_at(o, &v, 8, 0), 8);
	assert_int_equal(write_at(o, &v, 8, 2 * P), 8);
	at = map_obj(x->mm, 0, 3, R, MAP_SHARED, o, 0);
	assert_true(in_table(x->mm, at) && in_table(x->mm, at + 2 * P));
	assert_false(in_table(x->mm, at + P));
	at = map_obj(x->mm, 8, 3, RW, MAP_SHARED, o, 0);
	assert_false(in_table(x->mm, at));
	at = map_obj(x->mm, 32, 32, R, MAP_SHARED, o, 0);
	assert_false(in_table(x->mm, at));
	assert_int_equal(shmem_allocated(o), 2 * P);
}

/* From the map of the very page that is written to: no lock is held while guest memory is touched. */
static void a_file_may_be_written_from_its_own_map(void **state)
{
	struct fx *x = *state;
	AUTO(memobj) o = shmem_new(x->ph, 2 * P);
	gva_t at = map_obj(x->mm, 0, 2, RW, MAP_SHARED, o, 0);
	struct uio u;

	poke(x->mm, at + 8, 6);
	uio_init_guest(&u, mm_guest(x->mm), at + 8, P);
	assert_int_equal(shmem_write(o, &u, P + 16), P); /* its second page is not there when it begins */
	assert_int_equal(shmem_size(o), 2 * P + 16);
	assert_int_equal(peek(x->mm, at + P + 16), 6);
	uio_init_guest(&u, mm_guest(x->mm), at + 3 * P, 8);
	assert_int_equal(shmem_write(o, &u, 0), -EFAULT);
	uio_init_guest(&u, mm_guest(x->mm), at + 2 * P - 8, 32); /* ends half-way */
	assert_int_equal(shmem_read(o, &u, 0), 8);
}

static int fault_signal(struct mm *mm, gva_t at)
{
	struct mm_fault f = { 0 };

	return mm_handle_fault(mm, at, MM_READ, 0, &f) ? 0 : f.sig;
}

static void truncation_takes_pages_out_of_every_map(void **state)
{
	struct fx *x = *state;
	AUTO(memobj) o = shmem_new(x->ph, 4 * P);
	gva_t at = map_obj(x->mm, 0, 4, RW, MAP_SHARED, o, 0), priv = map_obj(x->mm, 8, 4, RW, MAP_PRIVATE, o, 0);
	struct mm *c = NULL;

	for (unsigned i = 0; i < 4; i++) {
		poke(x->mm, at + i * P, i + 1);
		poke(x->mm, at + i * P + 2048, i + 1);
		poke(x->mm, priv + i * P, i + 10);
	}
	ASSERT_RET(mm_fork(x->mm, &c), 0);
	assert_int_equal(peek(c, at + 3 * P), 4);
	ASSERT_RET(shmem_truncate(o, P + 100), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct mm *mm = i ? c : x->mm;

		assert_int_equal(peek(mm, at + P), 2);
		assert_int_equal(peek(mm, at + P + 2048), 0); /* the last page's rest is cleared */
		assert_int_equal(fault_signal(mm, at + 2 * P), SIGBUS);
		assert_false(readable(mm, at + 3 * P));
		assert_int_equal(peek(mm, priv + P), 11);
		assert_false(readable(mm, priv + 2 * P)); /* copies go too */
	}
	assert_int_equal(shmem_allocated(o), 2 * P);
	ASSERT_RET(shmem_truncate(o, 4 * P), 0);
	assert_int_equal(peek(c, at + 3 * P), 0);
	assert_int_equal(peek(x->mm, priv + 3 * P), 0);
	mm_put(c);
}

static void punching_leaves_copies_and_the_size(void **state)
{
	struct fx *x = *state;
	AUTO(memobj) o = shmem_new(x->ph, 5 * P);
	gva_t at = map_obj(x->mm, 0, 5, RW, MAP_SHARED, o, 0), priv = map_obj(x->mm, 8, 5, RW, MAP_PRIVATE, o, 0);

	for (unsigned i = 0; i < 5; i++) {
		poke(x->mm, at + i * P, i + 1);
		poke(x->mm, at + (i + 1) * P - 8, i + 1);
	}
	poke(x->mm, priv + 2 * P, 77);
	ASSERT_RET(shmem_punch(o, P + 8, 3 * P), 0); /* all of two pages, parts of two */
	assert_int_equal(shmem_size(o), 5 * P);
	assert_int_equal(shmem_allocated(o), 3 * P);
	assert_int_equal(peek(x->mm, at + P), 2);
	assert_int_equal(peek(x->mm, at + 2 * P - 8), 0);
	assert_int_equal(peek(x->mm, at + 2 * P), 0);
	assert_int_equal(peek(x->mm, at + 4 * P), 0);
	assert_int_equal(peek(x->mm, at + 5 * P - 8), 5);
	assert_int_equal(peek(x->mm, priv + 2 * P), 77);
	ASSERT_RET(shmem_punch(o, 8, 8), 0);
	assert_int_equal(peek(x->mm, at), 1);
	ASSERT_RET(shmem_punch(o, 0, UINT64_MAX), 0);
	assert_int_equal(peek(x->mm, at), 0);
	/* The same through madvise. */
	poke(x->mm, at + P, 9);
	ASSERT_RET(mm_madvise(x->mm, at, 5 * P, MADV_REMOVE), 0);
	assert_int_equal(peek(x->mm, at + P), 0);
	ASSERT_RET(mm_madvise(x->mm, priv, P, MADV_REMOVE), -EACCES);
}

static void seals_know_of_writable_maps(void **state)
{
	struct fx *x = *state;
	AUTO(memobj) o = shmem_new(x->ph, 2 * P);
	gva_t at = map_obj(x->mm, 0, 2, R, MAP_SHARED, o, 0);

	assert_true(shmem_mapped_writable(o)); /* mprotect could make it so */
	ASSERT_RET(mm_mprotect(x->mm, at, P, RW), 0);
	ASSERT_RET(mm_munmap(x->mm, at, P), 0);
	assert_true(shmem_mapped_writable(o));
	ASSERT_RET(mm_munmap(x->mm, at + P, P), 0);
	assert_false(shmem_mapped_writable(o));
	map_obj(x->mm, 8, 2, RW, MAP_PRIVATE, o, 0);
	assert_false(shmem_mapped_writable(o));
	shmem_forbid_writable_maps(o);
	ASSERT_RET(mm_mmap(x->mm, AT, P, RW, MAP_SHARED | MAP_FIXED, o, 0, RWX), -EPERM);
	map_obj(x->mm, 0, 2, R, MAP_SHARED, o, 0);
	ASSERT_RET(mm_mprotect(x->mm, AT, P, RW), -EACCES);
	assert_false(shmem_mapped_writable(o));
	ASSERT_RET(mm_munmap(x->mm, AT + P, P), 0);
	assert_false(shmem_mapped_writable(o));
}

static void allocation_is_all_or_nospc(void **state)
{
	struct fx *x = *state;
	AUTO(memobj) o = shmem_new(x->ph, 0);
	struct mem_stats s;
	AUTO_FREE char *chunk = calloc(1, 1 << 20);
	uint64_t off = 0;
	ssize_t r = 0;

	ASSERT_RET(shmem_allocate(o, P + 1, 3 * P), 0);
	assert_int_equal(shmem_allocated(o), 4 * P);
	assert_int_equal(shmem_size(o), 0);
	ASSERT_RET(shmem_allocate(o, 0, MEMORY + P), -ENOSPC);
	ASSERT_RET(shmem_allocate(o, UINT64_MAX - P, 2 * P), -ENOSPC);
	phys_stats(x->ph, &s);
	assert_int_equal(s.shmem, 4 * P);
	while (off < 2 * MEMORY && (r = write_at(o, chunk, 1 << 20, off)) == 1 << 20)
		off += 1 << 20;
	assert_true(off <= MEMORY);
	assert_true(r == -ENOSPC || (r >= 0 && write_at(o, chunk, 1, off + (uint64_t)r) == -ENOSPC));
	/* What cannot be had does not cost what is there. */
	ASSERT_RET(shmem_truncate(o, P), 0);
	assert_int_equal(write_at(o, "again", 5, 0), 5);
}

static unsigned freed;
static void free_tag(void *tag) { freed += *(unsigned *)tag; }

static void tags_are_freed_with_the_object(void **state)
{
	struct fx *x = *state;
	struct memobj *o = shmem_new(x->ph, P);
	unsigned one = 1, ten = 10;

	freed = 0;
	memobj_set_tag(o, &one, free_tag, (struct memobj_id){ 3, 4 });
	memobj_set_tag(o, &ten, free_tag, (struct memobj_id){ 5, 6 }); /* the second one comes too late */
	assert_int_equal(freed, 10);
	assert_int_equal(memobj_id(o).ino, 4);
	map_obj(x->mm, 0, 1, RW, MAP_SHARED, o, 0);
	memobj_put(o);
	assert_int_equal(freed, 10);
	ASSERT_RET(mm_munmap(x->mm, AT, P), 0);
	assert_int_equal(freed, 11);
}

/* --- cached files -------------------------------------------------------------------------------------------------- */

static void private_maps_of_a_file_share_its_cache(void **state)
{
	struct fx *x = *state;
	FILE *f = tmpfile();
	int fd = f ? fileno(f) : -1;
	const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	AUTO(memobj) o = NULL;
	AUTO(memobj) same = NULL;
	struct mm *c = NULL;
	struct stat st;
	gva_t at;

	ASSERT_OK(fd);
	for (uint64_t i = 0; i < 100; i++)
		ASSERT_OK(pwrite(fd, &i, sizeof(i), (off_t)(i * P)));
	ASSERT_OK(futimens(fd, old));
	usleep(30000); /* the change of the time stamps must be old enough too */
	ASSERT_OK(fstat(fd, &st));
	ASSERT_RET(memobj_cached_file(x->ph, fd, &st, &o), 0);
	ASSERT_RET(memobj_cached_file(x->ph, fd, &st, &same), 0);
	assert_ptr_equal(o, same);
	at = map_obj(x->mm, 0, 101, RW, MAP_PRIVATE, o, 0);
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(peek(x->mm, at + i * P), i);
	assert_int_equal(fault_signal(x->mm, at + 100 * P), SIGBUS);
	poke(x->mm, at + 50 * P, 1000);
	ASSERT_RET(mm_fork(x->mm, &c), 0);
	poke(c, at + 51 * P, 1001);
	assert_int_equal(peek(c, at + 50 * P), 1000);
	assert_int_equal(peek(x->mm, at + 51 * P), 51);
	ASSERT_RET(mm_madvise(x->mm, at, 100 * P, MADV_DONTNEED), 0);
	assert_int_equal(peek(x->mm, at + 50 * P), 50);
	mm_put(c);
	ASSERT_OK(ftruncate(fd, (off_t)(10 * P)));
	ASSERT_OK(fstat(fd, &st));
	memobj_host_file_cut(x->ph, &st);
	assert_int_equal(peek(x->mm, at + 9 * P), 9);
	assert_int_equal(fault_signal(x->mm, at + 10 * P), SIGBUS);
	fclose(f);
}

/* --- a random walk --------------------------------------------------------------------------------------------------- */

#define PAGES 24u
#define SIZE (PAGES * 4096u)
#define STEPS 6000
/* What lies behind the size, in its last page, can be seen and written through a map. */
struct model { unsigned char data[SIZE]; uint64_t size; };

static void check_file(struct fx *x, struct memobj *o, const struct model *m, gva_t at)
{
	static unsigned char got[SIZE];
	uint64_t seen = page_up(m->size);

	assert_int_equal(shmem_size(o), m->size);
	assert_int_equal(read_at(o, got, SIZE, 0), m->size);
	assert_memory_equal(got, m->data, m->size);
	assert_int_equal(mm_guest(x->mm)->ops->copy_in(mm_guest(x->mm), got, at, SIZE), seen);
	assert_memory_equal(got, m->data, seen);
}

static void step_write(struct fx *x, struct memobj *o, struct model *m, gva_t at, uint64_t from, size_t n, int how)
{
	static unsigned char buf[SIZE];
	size_t room = from < page_up(m->size) ? page_up(m->size) - from : 0;

	memset(buf, how + 1, n);
	if (how & 1) { /* through the map: up to the end of the last page */
		assert_int_equal(mm_guest(x->mm)->ops->copy_out(mm_guest(x->mm), at + from, buf, n), MIN(n, room));
		memcpy(m->data + from, buf, MIN(n, room));
	} else {
		assert_int_equal(write_at(o, buf, n, from), n);
		if (from > m->size)
			memset(m->data + m->size, 0, from - m->size);
		memcpy(m->data + from, buf, n);
		m->size = MAX(m->size, from + n);
	}
}

static void a_random_walk_agrees_with_a_model(void **state)
{
	struct fx *x = *state;
	AUTO(memobj) o = shmem_new(x->ph, 0);
	struct model *m = calloc(1, sizeof(*m));
	gva_t at = map_obj(x->mm, 0, PAGES, RW, MAP_SHARED, o, 0);
	uint64_t seed = 3;

	for (int step = 0; step < STEPS; step++) {
		uint64_t from = next_random(&seed) % SIZE;
		size_t n = 1 + next_random(&seed) % MIN(SIZE - from, 3 * P);
		int what = (int)(next_random(&seed) % 10);

		if (what == 0) {
			ASSERT_RET(shmem_truncate(o, from), 0);
			/* behind it nothing is left, nor what the map wrote behind the old end */
			memset(m->data + MIN(from, m->size), 0, SIZE - MIN(from, m->size));
			m->size = from;
		} else if (what == 1) {
			ASSERT_RET(shmem_punch(o, from, n), 0);
			memset(m->data + from, 0, n);
		} else if (what == 2) {
			ASSERT_RET(shmem_allocate(o, from, n), 0);
		} else if (what == 3) {
			ASSERT_RET(mm_munmap(x->mm, at, SIZE / 2), 0);
			map_obj(x->mm, 0, PAGES / 2, RW, MAP_SHARED, o, 0);
		} else {
			step_write(x, o, m, at, from, n, what + step % 200);
		}
		if (step % 4 == 0)
			check_file(x, o, m, at);
	}
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_is_written_is_read_and_holes_are_zero),
		CASE(watchers_know_every_area),
		CASE(maps_and_files_see_the_same_bytes),
		CASE(what_is_there_comes_with_a_small_map),
		CASE(a_file_may_be_written_from_its_own_map),
		CASE(truncation_takes_pages_out_of_every_map),
		CASE(punching_leaves_copies_and_the_size),
		CASE(seals_know_of_writable_maps),
		CASE(allocation_is_all_or_nospc),
		CASE(tags_are_freed_with_the_object),
		CASE(private_maps_of_a_file_share_its_cache),
		CASE(a_random_walk_agrees_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
