/* SPDX-License-Identifier: MIT */
/* Pipes and FIFOs: capacity, atomic writes, ends, poll states, packets, size, splice and tee, and many writers at once. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>

#include "tests/unit/vfs/file_io.h"

static struct file *r, *w;
static char big[256 * 1024];

static int open_pipe(void **state)
{
	return pipe_new(O_NONBLOCK, &r, &w);
}

static int close_pipe(void **state)
{
	file_put(r);
	file_put(w);
	r = w = NULL;
	return 0;
}

static void reopen_blocking(void)
{
	set_nonblock(r, false);
	set_nonblock(w, false);
}

/* --- data and capacity ------------------------------------------------------------------------------------- */

static void a_pipe_holds_64_KiB(void **state)
{
	assert_int_equal(pipe_get_size(r), 65536);
	assert_int_equal(wr(w, big, sizeof(big)), 65536);
	assert_int_equal(wr(w, big, 1), -EAGAIN);
	assert_int_equal(rd(r, big, 4095), 4095);
	assert_int_equal(wr(w, big, 1), -EAGAIN); /* room comes by whole pages */
	assert_int_equal(rd(r, big, 1), 1);
	assert_int_equal(wr(w, big, 4096), 4096);
	assert_int_equal(rd(r, big, sizeof(big)), 65536);
	assert_int_equal(rd(r, big, 1), -EAGAIN);
}

static void small_writes_share_a_page(void **state)
{
	for (int i = 0; i < 65536; i++)
		if (wr(w, "x", 1) != 1)
			fail_msg("write %d", i);
	assert_int_equal(wr(w, "x", 1), -EAGAIN);
	assert_int_equal(rd(r, big, 100), 100);
}

static void an_atomic_write_is_all_or_nothing(void **state)
{
	assert_int_equal(wr(w, big, 15 * 4096 + 100), 15 * 4096 + 100);
	assert_int_equal(wr(w, big, 4096), -EAGAIN); /* a part would fit */
	assert_int_equal(wr(w, big, 3996), 3996);    /* exactly what is left of the last page */
	assert_int_equal(wr(w, big, 1), -EAGAIN);
	assert_int_equal(rd(r, big, 8192), 8192);
	assert_int_equal(wr(w, big, 10000), 8192); /* not atomic: what fits */
}

static void order_and_content_are_kept(void **state)
{
	static char in[100000], out[100000];
	size_t put = 0, got = 0;
	unsigned seed = 1;

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)rand_r(&seed);
	while (got < sizeof(in)) {
		ssize_t n = wr(w, in + put, MIN(sizeof(in) - put, (size_t)rand_r(&seed) % 9000));

		if (n > 0)
			put += n;
		n = rd(r, out + got, MIN(sizeof(out) - got, (size_t)rand_r(&seed) % 9000));
		if (n > 0)
			got += n;
	}
	assert_memory_equal(in, out, sizeof(in));
}

static void a_packet_pipe_keeps_boundaries(void **state)
{
	atomic_fetch_or(&w->flags, O_DIRECT);
	assert_int_equal(wr(w, "hello", 5), 5);
	assert_int_equal(wr(w, "world!", 6), 6);
	assert_int_equal(wr(w, big, 5000), 5000); /* two packets */
	assert_int_equal(rd(r, big, 3), 3);       /* the rest of the packet is lost */
	assert_memory_equal(big, "hel", 3);
	assert_int_equal(rd(r, big, 100), 6);
	assert_int_equal(rd(r, big, 8192), 4096);
	assert_int_equal(rd(r, big, 8192), 904);
}

/* --- ends ---------------------------------------------------------------------------------------------------- */

static void readers_see_the_end_after_the_data(void **state)
{
	assert_int_equal(wr(w, "bye", 3), 3);
	file_put(w);
	w = NULL;
	assert_int_equal(file_poll(r), EPOLLIN | EPOLLRDNORM | EPOLLHUP);
	assert_int_equal(rd(r, big, 10), 3);
	assert_int_equal(file_poll(r), EPOLLHUP);
	assert_int_equal(rd(r, big, 10), 0);
}

static void writers_without_a_reader_get_EPIPE(void **state)
{
	file_put(r);
	r = NULL;
	assert_int_equal(wr(w, "x", 1), -EPIPE);
	assert_int_equal(wr(w, "", 0), 0);
	assert_int_equal(file_poll(w), EPOLLOUT | EPOLLWRNORM | EPOLLERR);
}

static void poll_states_follow_pages(void **state)
{
	assert_int_equal(file_poll(r), 0);
	assert_int_equal(file_poll(w), EPOLLOUT | EPOLLWRNORM);
	assert_int_equal(wr(w, big, 65536), 65536);
	assert_int_equal(file_poll(r), EPOLLIN | EPOLLRDNORM);
	assert_int_equal(file_poll(w), 0);
	assert_int_equal(rd(r, big, 100), 100);
	assert_int_equal(file_poll(w), 0);
	assert_int_equal(rd(r, big, 4000), 4000);
	assert_int_equal(file_poll(w), EPOLLOUT | EPOLLWRNORM);
}

static void the_wrong_end_is_refused(void **state)
{
	assert_int_equal(wr(r, "x", 1), -EBADF);
	assert_int_equal(rd(w, big, 1), -EBADF);
	assert_int_equal(file_lseek(r, 0, SEEK_CUR), -ESPIPE);
	assert_int_equal(prd(r, big, 1, 0), -ESPIPE);
	assert_int_equal(rd(r, big, 0), 0); /* even when empty */
}

static void the_size_is_rounded_and_limited(void **state)
{
	assert_int_equal(pipe_set_size(w, 1, false), 4096);
	assert_int_equal(pipe_set_size(w, 4097, false), 8192);
	assert_int_equal(wr(w, big, 8192), 8192);
	assert_int_equal(pipe_set_size(w, 4096, false), -EBUSY);
	assert_int_equal(pipe_set_size(w, 100000, false), 131072);
	assert_int_equal(pipe_get_size(r), 131072);
	assert_int_equal(wr(w, big, sizeof(big)), 131072 - 8192);
	assert_int_equal(pipe_set_size(w, 2 << 20, false), -EPERM);
	assert_int_equal(pipe_set_size(w, 1ul << 32, true), -EINVAL);
	assert_int_equal(rd(r, big, sizeof(big)), 131072);
}

/* --- blocking --------------------------------------------------------------------------------------------------- */

static long read_one(void *arg)
{
	char c;

	return rd(r, &c, 1);
}

static long write_100k(void *arg)
{
	return wr(w, big, 100000);
}

static void a_blocking_read_waits_for_data(void **state)
{
	struct bg b;

	reopen_blocking();
	bg_start(&b, read_one, NULL);
	assert_true(bg_sleeps(&b));
	assert_int_equal(wr(w, "x", 1), 1);
	assert_int_equal(bg_join(&b), 1);
	bg_start(&b, read_one, NULL);
	assert_true(bg_sleeps(&b));
	assert_int_equal(bg_interrupt(&b), -ERESTARTSYS);
	bg_start(&b, read_one, NULL);
	assert_true(bg_sleeps(&b));
	file_put(w);
	w = NULL;
	assert_int_equal(bg_join(&b), 0);
}

static void a_blocking_write_writes_all_or_tells_how_much(void **state)
{
	struct bg b;

	reopen_blocking();
	bg_start(&b, write_100k, NULL);
	assert_true(bg_sleeps(&b));
	for (int got = 0; got < 100000;)
		got += (int)rd(r, big, 5000);
	assert_int_equal(bg_join(&b), 100000);
	bg_start(&b, write_100k, NULL);
	assert_true(bg_sleeps(&b));
	assert_int_equal(bg_interrupt(&b), 65536);
	bg_start(&b, write_100k, NULL);
	assert_true(bg_sleeps(&b));
	assert_int_equal(bg_interrupt(&b), -ERESTARTSYS);
	bg_start(&b, write_100k, NULL);
	assert_true(bg_sleeps(&b));
	file_put(r);
	r = NULL;
	assert_int_equal(bg_join(&b), -EPIPE);
}

static void a_helper_thread_does_not_begin_what_it_cannot_end(void **state)
{
	struct waiter helper;
	char c;

	reopen_blocking();
	waiter_init(&helper, false);
	waiter_bind(&helper);
	assert_int_equal(rd(r, &c, 1), -EWOULDSLEEP);
	assert_int_equal(wr(w, big, 100000), -EWOULDSLEEP);
	assert_int_equal(wr(w, big, 65536), 65536);
	assert_int_equal(wr(w, big, 1), -EWOULDSLEEP);
	assert_int_equal(rd(r, big, 65536), 65536);
	waiter_bind(NULL);
}

/* --- FIFOs -------------------------------------------------------------------------------------------------------- */

static struct fifo *ff;

static long open_fifo(void *arg)
{
	struct file *f = NULL;
	int err = fifo_open(ff, (unsigned)(uintptr_t)arg, &f);

	file_put(f);
	return err;
}

static void a_fifo_opens_when_both_sides_are_there(void **state)
{
	struct file *f = NULL, *g = NULL;
	struct bg b;
	char c;

	ff = fifo_new();
	assert_int_equal(fifo_open(ff, O_WRONLY | O_NONBLOCK, &f), -ENXIO);
	bg_start(&b, open_fifo, (void *)O_RDONLY);
	assert_true(bg_sleeps(&b));
	assert_int_equal(bg_interrupt(&b), -ERESTARTSYS);
	bg_start(&b, open_fifo, (void *)O_WRONLY);
	assert_true(bg_sleeps(&b));
	assert_int_equal(fifo_open(ff, O_RDONLY, &f), 0);
	assert_int_equal(bg_join(&b), 0);
	file_put(f);

	assert_int_equal(fifo_open(ff, O_RDONLY | O_NONBLOCK, &f), 0);
	assert_int_equal(file_poll(f), 0); /* no hang-up before a writer was there */
	assert_int_equal(rd(f, &c, 1), 0);
	assert_int_equal(fifo_open(ff, O_WRONLY | O_NONBLOCK, &g), 0);
	assert_int_equal(rd(f, &c, 1), -EAGAIN);
	file_put(g);
	assert_int_equal(file_poll(f), EPOLLHUP);
	file_put(f);
	assert_int_equal(fifo_open(ff, O_RDWR, &f), 0); /* never waits */
	assert_int_equal(wr(f, "z", 1), 1);
	assert_int_equal(rd(f, &c, 1), 1);
	file_put(f);
	fifo_free(ff);
}

/* --- splice and tee --------------------------------------------------------------------------------------------------- */

static void tee_copies_and_splice_moves(void **state)
{
	struct file *r2, *w2;
	char buf[64];

	assert_int_equal(pipe_new(O_NONBLOCK, &r2, &w2), 0);
	assert_int_equal(pipe_tee(r, w2, 10, 0), -EAGAIN);
	assert_int_equal(wr(w, "0123456789", 10), 10);
	assert_int_equal(pipe_tee(r, w2, 4, 0), 4);
	assert_int_equal(rd(r2, buf, 64), 4);
	assert_memory_equal(buf, "0123", 4);
	assert_int_equal(file_splice(r, NULL, w2, NULL, 6, 0, NULL), 6);
	assert_int_equal(rd(r2, buf, 64), 6);
	assert_int_equal(rd(r, buf, 64), 4);
	assert_memory_equal(buf, "6789", 4);
	assert_int_equal(pipe_tee(r, w, 1, 0), -EINVAL);
	file_put(w2);
	file_put(w);
	w = NULL;
	assert_int_equal(file_splice(r, NULL, r2, NULL, 1, 0, NULL), -EBADF);
	file_put(r2);
}

static void splice_checks_offsets_and_kinds(void **state)
{
	AUTO(file) e = NULL;
	off_t off = 0;

	assert_int_equal(eventfd_new(3, O_NONBLOCK, &e), 0);
	assert_int_equal(file_splice(r, &off, e, NULL, 1, 0, NULL), -ESPIPE);
	assert_int_equal(file_splice(e, NULL, e, NULL, 1, 0, NULL), -EINVAL);
	assert_int_equal(file_splice(e, &off, w, NULL, 8, 0, NULL), -EINVAL);
	assert_int_equal(file_splice(r, NULL, e, NULL, 8, 0, NULL), -EAGAIN);
	assert_int_equal(file_splice(e, NULL, w, NULL, 8, 0, NULL), 8); /* from a file that is no pipe */
	assert_int_equal(file_splice(r, NULL, e, NULL, 8, 0, NULL), 8);
	assert_int_equal(file_copy(w, NULL, e, NULL, 8, NULL), -EINVAL); /* sendfile wants something that can be read again */
}

/* --- many at once ------------------------------------------------------------------------------------------------------- */

#define WRITERS 4
#define READERS 3
#define RECORDS 8000
struct record { uint32_t writer, seq, fill[14]; }; /* 64 bytes: below PIPE_BUF */

static _Atomic long sums[WRITERS];

static void *write_records(void *arg)
{
	struct record rec = { .writer = (uint32_t)(uintptr_t)arg };

	for (rec.seq = 1; rec.seq <= RECORDS; rec.seq++)
		if (wr(w, &rec, sizeof(rec)) != sizeof(rec))
			abort();
	return NULL;
}

static void *read_records(void *arg)
{
	struct record rec;
	ssize_t n;

	while ((n = rd(r, &rec, sizeof(rec))) > 0) {
		if (n != sizeof(rec) || rec.writer >= WRITERS)
			abort();
		atomic_fetch_add(&sums[rec.writer], rec.seq);
	}
	return NULL;
}

static void records_of_many_writers_arrive_whole(void **state)
{
	pthread_t t[WRITERS + READERS];

	reopen_blocking();
	for (uintptr_t i = 0; i < WRITERS + READERS; i++)
		pthread_create(&t[i], NULL, i < WRITERS ? write_records : read_records, (void *)i);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(t[i], NULL);
	file_put(w);
	w = NULL;
	for (int i = WRITERS; i < WRITERS + READERS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(sums[i], (long)RECORDS * (RECORDS + 1) / 2);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, open_pipe, close_pipe)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_pipe_holds_64_KiB),
		CASE(small_writes_share_a_page),
		CASE(an_atomic_write_is_all_or_nothing),
		CASE(order_and_content_are_kept),
		CASE(a_packet_pipe_keeps_boundaries),
		CASE(readers_see_the_end_after_the_data),
		CASE(writers_without_a_reader_get_EPIPE),
		CASE(poll_states_follow_pages),
		CASE(the_wrong_end_is_refused),
		CASE(the_size_is_rounded_and_limited),
		CASE(a_blocking_read_waits_for_data),
		CASE(a_blocking_write_writes_all_or_tells_how_much),
		CASE(a_helper_thread_does_not_begin_what_it_cannot_end),
		CASE(a_fifo_opens_when_both_sides_are_there),
		CASE(tee_copies_and_splice_moves),
		CASE(splice_checks_offsets_and_kinds),
		CASE(records_of_many_writers_arrive_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
