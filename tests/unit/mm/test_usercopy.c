/* SPDX-License-Identifier: MIT */
/*
 * The accessors of guest memory: where a copy ends, what the host cannot provide (a file that was cut under its
 * window), pins, words, a debugger's access, names of futex words; and copies while the memory changes under them.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emul/mm/usercopy.h"
#include "tests/unit/mm/fixture.h"

static void copies_cross_pages_and_areas(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, 3, RW, ANON);
	char in[3 * 4096], out[sizeof(in)];

	map_at(x->mm, 3, 1, R, ANON);
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)(i * 7 + (i >> 8));
	assert_int_equal(copy_to_guest(x->mm, at + 5, in, sizeof(in) - 5), 0);
	assert_int_equal(copy_from_guest(x->mm, out, at + 5, sizeof(in) - 5), 0);
	assert_memory_equal(in, out, sizeof(in) - 5);
	assert_int_equal(clear_guest(x->mm, at + 100, 2 * P), 0);
	assert_int_equal(copy_from_guest(x->mm, out, at, sizeof(out)), 0);
	for (size_t i = 0; i < 2 * P; i++)
		assert_int_equal(out[100 + i], 0);
	assert_int_equal(out[100 + 2 * P], in[95 + 2 * P]);
	assert_int_equal(copy_to_guest(x->mm, at, in, 0), 0);
	assert_int_equal(copy_from_guest(x->mm, out, 0, 0), 0);
}

static void a_copy_ends_at_the_first_byte_out_of_reach(void **state)
{
	struct fx *x = *state;
	struct guest_mem *gm = mm_guest(x->mm);
	gva_t at = map_at(x->mm, 0, 2, RW, ANON);
	static char buf[5 * 4096];

	map_at(x->mm, 2, 1, R, ANON);
	map_at(x->mm, 3, 1, PROT_NONE, ANON);
	memset(buf, 'a', sizeof(buf));
	assert_int_equal(gm->ops->copy_out(gm, at + 10, buf, sizeof(buf)), 2 * P - 10);
	assert_int_equal(gm->ops->zero(gm, at + 2 * P - 1, 5), 1);
	assert_int_equal(gm->ops->copy_in(gm, buf, at, sizeof(buf)), 3 * P);
	assert_int_equal(gm->ops->copy_in(gm, buf, at + 3 * P, 1), 0);
	assert_int_equal(gm->ops->copy_in(gm, buf, USER_END, 1), 0);
	assert_int_equal(gm->ops->copy_in(gm, buf, UINT64_MAX, 1), 0);
	assert_int_equal(gm->ops->copy_in(gm, buf, UINT64_MAX - 2, 8), 0);
	map_at(x->mm, 4, 1, PROT_EXEC, ANON); /* executable is readable */
	assert_int_equal(gm->ops->copy_in(gm, buf, at + 4 * P, 8), 8);
	assert_int_equal(copy_to_guest(x->mm, at + 4 * P, buf, 1), -EFAULT);
}

static void the_last_page_has_an_end(void **state)
{
	struct fx *x = *state;
	struct guest_mem *gm = mm_guest(x->mm);
	char buf[16] = "0123456789abcde";

	ASSERT_RET(mm_mmap(x->mm, USER_END - P, P, RW, ANON | MAP_FIXED, NULL, 0, RWX), (long)(USER_END - P));
	assert_int_equal(gm->ops->copy_out(gm, USER_END - 4, buf, 16), 4);
	assert_int_equal(gm->ops->copy_in(gm, buf, USER_END - 4, 16), 4);
}

static void strings_may_end_right_before_a_hole(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, 2, RW, ANON);
	char buf[64];

	ASSERT_RET(mm_munmap(x->mm, at + 2 * P, P), 0);
	assert_int_equal(copy_to_guest(x->mm, at + 2 * P - 4, "abc", 4), 0);
	ASSERT_RET(copy_string_from_guest(x->mm, buf, at + 2 * P - 4, sizeof(buf)), 3);
	assert_string_equal(buf, "abc");
	assert_int_equal(copy_to_guest(x->mm, at + P - 3, "across", 7), 0);
	ASSERT_RET(copy_string_from_guest(x->mm, buf, at + P - 3, sizeof(buf)), 6);
	assert_string_equal(buf, "across");
	ASSERT_RET(copy_string_from_guest(x->mm, buf, at + P - 3, 7), 6);
	ASSERT_RET(copy_string_from_guest(x->mm, buf, at + P - 3, 6), -ENAMETOOLONG);
	ASSERT_RET(copy_string_from_guest(x->mm, buf, at + P - 3, 0), -ENAMETOOLONG);
	assert_int_equal(copy_to_guest(x->mm, at + 2 * P - 2, "xy", 2), 0);
	ASSERT_RET(copy_string_from_guest(x->mm, buf, at + 2 * P - 2, sizeof(buf)), -EFAULT);
	ASSERT_RET(copy_string_from_guest(x->mm, buf, 0, sizeof(buf)), -EFAULT);
}

static void words_are_read_written_and_exchanged(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, 2, RW, ANON), ro = map_at(x->mm, 2, 1, R, ANON);
	uint32_t v = 0, old = 0;
	uint64_t w = 0;

	assert_int_equal(put_guest_u32(x->mm, at + 4, 5), 0);
	assert_int_equal(cmpxchg_guest_u32(x->mm, at + 4, 4, 9, &old), 0);
	assert_int_equal(old, 5);
	assert_int_equal(cmpxchg_guest_u32(x->mm, at + 4, 5, 9, &old), 0);
	assert_int_equal(get_guest_u32(x->mm, at + 4, &v), 0);
	assert_int_equal(v, 9);
	assert_int_equal(put_guest_u64(x->mm, at + P - 3, 0x1122334455667788), 0); /* unaligned, over a page's end */
	assert_int_equal(get_guest_u64(x->mm, at + P - 3, &w), 0);
	assert_int_equal(w, 0x1122334455667788);
	assert_int_equal(put_guest_u32(x->mm, at + P - 2, 77), 0);
	assert_int_equal(get_guest_u32(x->mm, at + P - 2, &v), 0);
	assert_int_equal(v, 77);
	assert_int_equal(get_guest_u64(x->mm, ro, &w), 0);
	assert_int_equal(put_guest_u64(x->mm, ro, 1), -EFAULT);
	assert_int_equal(put_guest_u32(x->mm, ro, 1), -EFAULT);
	assert_int_equal(cmpxchg_guest_u32(x->mm, ro, 0, 1, &old), -EFAULT);
	assert_int_equal(cmpxchg_guest_u32(x->mm, at + 1, 0, 1, &old), -EFAULT);
	assert_int_equal(get_guest_u32(x->mm, UINT64_MAX - 3, &v), -EFAULT);
	assert_int_equal(get_guest_u64(x->mm, USER_END, &w), -EFAULT);
}

/* --- file windows -------------------------------------------------------------------------------------------------- */

static int host_file(size_t size)
{
	FILE *f = tmpfile();
	int fd = f ? dup(fileno(f)) : -1;

	if (f)
		fclose(f);
	ASSERT_OK(fd);
	ASSERT_OK(ftruncate(fd, (off_t)size));
	return fd;
}

static gva_t map_file(struct fx *x, uint64_t page, uint64_t n, int fd)
{
	AUTO(memobj) o = NULL;
	struct stat st;

	ASSERT_OK(fstat(fd, &st));
	ASSERT_RET(memobj_file_window(x->ph, fd, &st, RW, &o), 0);
	return map_obj(x->mm, page, n, RW, MAP_SHARED, o, 0);
}

static void a_file_cut_under_its_window_is_a_fault(void **state)
{
	struct fx *x = *state;
	struct guest_mem *gm = mm_guest(x->mm);
	static char buf[4 * 4096];
	int fd = host_file(4 * P);
	gva_t at = map_file(x, 0, 4, fd);
	uint32_t v = 0, old = 0;
	uint64_t w = 0;

	assert_int_equal(usercopy_boot(), 0); /* cmocka has put its own handlers in place */
	poke(x->mm, at, 1); /* all of it is mapped by this fault: later ones are the host's alone */
	assert_int_equal(counts_of(x->mm).rss_file, 4 * P);
	ASSERT_OK(ftruncate(fd, (off_t)P));
	memset(buf, 'b', sizeof(buf));
	assert_int_equal(gm->ops->copy_in(gm, buf, at, 4 * P), P);
	assert_int_equal(gm->ops->copy_out(gm, at + 16, buf, 4 * P - 16), P - 16);
	assert_int_equal(gm->ops->zero(gm, at + P - 8, 2 * P), 8);
	assert_int_equal(get_guest_u32(x->mm, at + P, &v), -EFAULT);
	assert_int_equal(put_guest_u32(x->mm, at + P, 1), -EFAULT);
	assert_int_equal(get_guest_u64(x->mm, at + 2 * P, &w), -EFAULT);
	assert_int_equal(put_guest_u64(x->mm, at + 2 * P, 1), -EFAULT);
	assert_int_equal(cmpxchg_guest_u32(x->mm, at + P, 0, 1, &old), -EFAULT);
	ASSERT_RET(copy_string_from_guest(x->mm, buf, at + P, 10), -EFAULT);
	assert_int_equal(mm_access_remote(x->mm, at + P, buf, 10, false), 0);
	assert_int_equal(counts_of(x->mm).rss_file, 4 * P);
	mm_drop_truncated(x->mm);
	assert_int_equal(counts_of(x->mm).rss_file, P);
	ASSERT_OK(ftruncate(fd, (off_t)(4 * P))); /* and it is back */
	assert_int_equal(peek(x->mm, at + 3 * P), 0);
	close(fd);
}

static void windows_and_the_file_are_one(void **state)
{
	struct fx *x = *state;
	int fd = host_file(2 * P);
	gva_t at = map_file(x, 0, 2, fd), again = map_file(x, 8, 2, fd);
	uint64_t w = 0;

	poke(x->mm, at + P, 42);
	assert_int_equal(peek(x->mm, again + P), 42);
	ASSERT_OK(pread(fd, &w, 8, (off_t)P));
	assert_int_equal(w, 42);
	assert_int_equal(fake_counts(x->p)->windows, 1);
	close(fd);
}

/* The map goes while the host still reads: the window must stay until the pin does. */
static void a_pin_keeps_its_window(void **state)
{
	struct fx *x = *state;
	int fd = host_file(2 * P);
	gva_t at = map_file(x, 0, 2, fd);
	struct iovec iov[UIO_PIN_MAX];
	struct uio_pins pins;
	struct uio u;
	size_t len = 0;

	poke(x->mm, at + P, 43);
	uio_init_guest(&u, mm_guest(x->mm), at + P, 8);
	assert_int_equal(uio_pin(&u, false, iov, &pins, &len), 1);
	ASSERT_RET(mm_munmap(x->mm, at, 2 * P), 0);
	assert_int_equal(fake_counts(x->p)->windows, 1);
	assert_int_equal(*(uint64_t *)iov[0].iov_base, 43);
	uio_unpin(&pins);
	assert_int_equal(fake_counts(x->p)->windows, 0);
	close(fd);
}

/* A fault that is no accessor's ends the process as it would without us. */
static void other_faults_stay_faults(void **state)
{
	volatile char *volatile nowhere = (char *)8;
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL); /* what a sanitizer may have put there */
		if (usercopy_boot() == 0)
			*nowhere = 1;
		_exit(0);
	}
	ASSERT_OK(waitpid(pid, &status, 0));
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

/* --- pins -------------------------------------------------------------------------------------------------------------- */

static void pinned_frames_outlive_their_map(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, 3, RW, ANON);
	struct iovec iov[UIO_PIN_MAX];
	struct mem_stats s;
	struct uio_pins pins;
	struct uio u;
	size_t len = 0, at_host = 0;
	int n;

	for (unsigned i = 0; i < 3; i++)
		poke(x->mm, at + i * P + 8, i + 1);
	uio_init_guest(&u, mm_guest(x->mm), at + 8, 2 * P + 8);
	n = uio_pin(&u, false, iov, &pins, &len);
	assert_true(n > 0);
	assert_int_equal(len, 2 * P + 8);
	ASSERT_RET(mm_munmap(x->mm, at, 3 * P), 0);
	map_at(x->mm, 100, 2000, RW, ANON);
	ASSERT_RET(clear_guest(x->mm, AT + 100 * P, 2000 * P), 0); /* would take frames that are free */
	for (int i = 0; i < n; at_host += iov[i++].iov_len)
		if (at_host % P == 0)
			assert_int_equal(*(uint64_t *)iov[i].iov_base, at_host / P + 1);
	ASSERT_RET(mm_munmap(x->mm, AT + 100 * P, 2000 * P), 0);
	phys_stats(x->ph, &s);
	assert_int_equal(s.anon, 3 * P);
	uio_unpin(&pins);
	phys_stats(x->ph, &s);
	assert_int_equal(s.anon, 0);
}

static void pins_obey_protection_and_have_a_limit(void **state)
{
	struct fx *x = *state;
	gva_t at = map_at(x->mm, 0, 200, RW, ANON | MAP_STACK), ro = map_at(x->mm, 300, 1, R, ANON);
	struct iovec iov[UIO_PIN_MAX];
	struct uio_pins pins;
	size_t len = 0, sum = 0;
	struct uio u;
	int n;

	uio_init_guest(&u, mm_guest(x->mm), at, 200 * P);
	n = uio_pin(&u, true, iov, &pins, &len);
	assert_true(n > 0 && n <= UIO_PIN_MAX);
	for (int i = 0; i < n; i++)
		sum += iov[i].iov_len;
	assert_int_equal(sum, len);
	uio_unpin(&pins);
	uio_init_guest(&u, mm_guest(x->mm), ro, 8);
	assert_int_equal(uio_pin(&u, true, iov, &pins, &len), -EFAULT);
	assert_int_equal(uio_pin(&u, false, iov, &pins, &len), 1);
	uio_unpin(&pins);
	uio_init_guest(&u, mm_guest(x->mm), mm_map_vdso(x->mm, AT * 2), 4); /* neither frame nor window */
	assert_int_equal(uio_pin(&u, false, iov, &pins, &len), 1);
	uio_unpin(&pins);
}

/* --- a debugger, and names of words ------------------------------------------------------------------------------------ */

/* mm/gup.c, check_vma_flags(): the protection yields where the page becomes the program's own copy. */
static void a_debugger_writes_copies_but_not_what_is_shared(void **state)
{
	struct fx *x = *state;
	gva_t none = map_at(x->mm, 0, 2, PROT_NONE, ANON), sh = map_at(x->mm, 4, 1, RW, SHANON);
	uint64_t v = 77, w = 0;
	struct mm *c = NULL;

	assert_int_equal(mm_access_remote(x->mm, none + P - 4, &v, 8, true), 8);
	assert_int_equal(mm_access_remote(x->mm, none + P - 4, &w, 8, false), 8);
	assert_int_equal(w, 77);
	assert_false(readable(x->mm, none));
	ASSERT_RET(mm_fork(x->mm, &c), 0);
	v = 78;
	assert_int_equal(mm_access_remote(c, none + P - 4, &v, 8, true), 8);
	assert_int_equal(mm_access_remote(x->mm, none + P - 4, &w, 8, false), 8);
	assert_int_equal(w, 77);
	mm_put(c);
	assert_int_equal(mm_access_remote(x->mm, sh, &v, 8, true), 8);
	ASSERT_RET(mm_mprotect(x->mm, sh, P, R), 0);
	assert_int_equal(mm_access_remote(x->mm, sh, &v, 8, true), 0);
	assert_int_equal(mm_access_remote(x->mm, sh, &w, 8, false), 8);
	assert_int_equal(mm_access_remote(x->mm, none + 2 * P - 4, &w, 8, false), 4);
	assert_int_equal(mm_access_remote(x->mm, UINT64_MAX, &w, 8, false), 0);
}

static bool same_key(struct mm *a, gva_t at, bool a_shared, struct mm *b, gva_t bt, bool b_shared)
{
	struct futex_key k, l;

	ASSERT_RET(mm_futex_key(a, at, a_shared, &k), 0);
	ASSERT_RET(mm_futex_key(b, bt, b_shared, &l), 0);
	assert_true(k.a && l.a);
	return k.a == l.a && k.b == l.b;
}

static void futex_words_are_named_by_what_they_are_in(void **state)
{
	struct fx *x = *state;
	gva_t priv = map_at(x->mm, 0, 1, RW, ANON), sh = map_at(x->mm, 4, 2, RW, SHANON), to = AT + 16 * P;
	struct futex_key k;
	struct mm *c = NULL;

	ASSERT_RET(mm_mremap(x->mm, sh, 0, 2 * P, MREMAP_MAYMOVE | MREMAP_FIXED, to), (long)to);
	ASSERT_RET(mm_fork(x->mm, &c), 0);
	assert_true(same_key(x->mm, sh + P, true, x->mm, to + P, true));
	assert_true(same_key(x->mm, sh + P, true, c, to + P, true));
	assert_false(same_key(x->mm, sh, true, x->mm, sh + P, true));
	assert_false(same_key(x->mm, sh, true, x->mm, sh, false));
	assert_true(same_key(x->mm, priv, true, x->mm, priv, true));
	assert_false(same_key(x->mm, priv, true, x->mm, priv, false));
	assert_false(same_key(x->mm, priv, true, c, priv, true));
	assert_false(same_key(x->mm, priv, false, c, priv, false));
	ASSERT_RET(mm_futex_key(x->mm, priv + 2, false, &k), -EINVAL);
	ASSERT_RET(mm_futex_key(x->mm, USER_END, false, &k), -EFAULT);
	ASSERT_RET(mm_futex_key(x->mm, AT + 64 * P, true, &k), -EFAULT);
	mm_put(c);
}

/* --- while the memory changes ------------------------------------------------------------------------------------------- */

#define ROUNDS 3000
#define COUNTERS 4
struct race { struct fx *x; gva_t word, churn; _Atomic bool stop; _Atomic unsigned bad; };

static void *count_up(void *arg)
{
	struct race *r = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t old = 0, seen;

		do {
			seen = old;
			if (cmpxchg_guest_u32(r->x->mm, r->word, seen, seen + 1, &old) < 0)
				r->bad++;
		} while (old != seen);
	}
	return NULL;
}

/* Pages hold 0 or what this thread writes: never anything of another map's frames. */
static void *copy_all_the_time(void *arg)
{
	struct race *r = arg;
	char buf[3 * 4096], mark[3 * 4096];

	memset(mark, 'm', sizeof(mark));
	while (!r->stop) {
		size_t n = mm_guest(r->x->mm)->ops->copy_in(mm_guest(r->x->mm), buf, r->churn, sizeof(buf));

		for (size_t i = 0; i < n; i++)
			if (buf[i] && buf[i] != 'm')
				r->bad++;
		copy_to_guest(r->x->mm, r->churn, mark, sizeof(mark));
	}
	return NULL;
}

static void copies_race_with_changes_of_the_map(void **state)
{
	struct fx *x = *state;
	struct race r = { .x = x, .word = map_at(x->mm, 0, 1, RW, ANON), .churn = AT + 64 * P };
	pthread_t counter[COUNTERS], copier[2];
	uint32_t v = 0;

	for (int i = 0; i < COUNTERS; i++)
		ASSERT_RET(pthread_create(&counter[i], NULL, count_up, &r), 0);
	for (int i = 0; i < 2; i++)
		ASSERT_RET(pthread_create(&copier[i], NULL, copy_all_the_time, &r), 0);
	for (unsigned i = 0; i < 400; i++) {
		struct mm *c = NULL;

		map_at(x->mm, 64, 3, RW, i & 1 ? ANON : SHANON);
		map_at(x->mm, 128, 3, RW, ANON);
		ASSERT_RET(mm_fork(x->mm, &c), 0);
		ASSERT_RET(mm_mprotect(x->mm, r.churn + P, P, i & 2 ? R : PROT_NONE), 0);
		ASSERT_RET(mm_madvise(c, r.churn, P, MADV_DONTNEED), 0);
		ASSERT_RET(copy_to_guest(x->mm, AT + 128 * P, "other contents", 14), 0);
		ASSERT_RET(mm_munmap(x->mm, AT + 128 * P, 3 * P), 0);
		mm_put(c);
		ASSERT_RET(mm_munmap(x->mm, r.churn, 3 * P), 0);
	}
	r.stop = true;
	for (int i = 0; i < COUNTERS; i++)
		pthread_join(counter[i], NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(copier[i], NULL);
	assert_int_equal(r.bad, 0);
	assert_int_equal(get_guest_u32(x->mm, r.word, &v), 0);
	assert_int_equal(v, COUNTERS * ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(copies_cross_pages_and_areas),
		CASE(a_copy_ends_at_the_first_byte_out_of_reach),
		CASE(the_last_page_has_an_end),
		CASE(strings_may_end_right_before_a_hole),
		CASE(words_are_read_written_and_exchanged),
		CASE(a_file_cut_under_its_window_is_a_fault),
		CASE(windows_and_the_file_are_one),
		CASE(a_pin_keeps_its_window),
		CASE(other_faults_stay_faults),
		CASE(pinned_frames_outlive_their_map),
		CASE(pins_obey_protection_and_have_a_limit),
		CASE(a_debugger_writes_copies_but_not_what_is_shared),
		CASE(futex_words_are_named_by_what_they_are_in),
		CASE(copies_race_with_changes_of_the_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
