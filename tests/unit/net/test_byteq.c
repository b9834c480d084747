/* SPDX-License-Identifier: MIT */
/* Queues of bytes: order, pieces, peeking, one writer beside one reader. */
#include "tests/lib/cmocka_all.h"

#include <pthread.h>
#include <string.h>

#undef ARRAY_SIZE
#include "emul/base/mutex.h"
#include "emul/net/byteq.h"

static size_t take(struct byteq *q, char *to, size_t want)
{
	size_t done = 0;

	while (done < want && q->len) {
		size_t n;
		const char *p = byteq_peek(q, 0, &n);

		n = MIN(n, want - done);
		memcpy(to + done, p, n);
		byteq_consume(q, n);
		done += n;
	}
	return done;
}

static void bytes_come_out_in_order(void **state)
{
	static char in[300000], out[300000];
	struct byteq q;
	size_t done = 0;

	byteq_init(&q);
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)(i * 31 + i / 255);
	for (size_t at = 0, step = 1; at < sizeof(in); at += step, step = step * 7 % 9973 + 1) {
		step = MIN(step, sizeof(in) - at);
		assert_int_equal(byteq_append(&q, in + at, step), 0);
		done += take(&q, out + done, step / 2);
	}
	done += take(&q, out + done, sizeof(out));
	assert_int_equal(done, sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(q.len, 0);
	byteq_fini(&q);
}

static void peeking_does_not_take(void **state)
{
	static char block[70000];
	struct byteq q;
	size_t n;

	byteq_init(&q);
	for (char c = 'a'; c < 'd'; c++) {
		memset(block, c, sizeof(block));
		assert_int_equal(byteq_append(&q, block, sizeof(block)), 0);
	}
	assert_int_equal(*byteq_peek(&q, 0, &n), 'a');
	assert_int_equal(*byteq_peek(&q, 69999, &n), 'a');
	assert_int_equal(*byteq_peek(&q, 70000, &n), 'b');
	assert_int_equal(*byteq_peek(&q, 209999, &n), 'c');
	assert_int_equal(n, 1);
	assert_int_equal(q.len, 210000);
	byteq_clear(&q);
	assert_int_equal(q.len, 0);
	byteq_fini(&q);
}

static struct { struct mutex lock; struct byteq q; bool done; } shared = { .lock = MUTEX_INIT };
#define TOTAL (16u << 20)

/* Copies without the lock, as senders do. */
static void *writer(void *arg)
{
	for (size_t at = 0; at < TOTAL;) {
		size_t n;
		char *p;

		mutex_lock(&shared.lock);
		if (shared.q.len > 200000) {
			mutex_unlock(&shared.lock);
			sched_yield();
			continue;
		}
		p = byteq_reserve(&shared.q, MIN((size_t)TOTAL - at, at % 50000 + 1), &n);
		mutex_unlock(&shared.lock);
		for (size_t i = 0; i < n; i++)
			p[i] = (char)((at + i) * 13);
		mutex_lock(&shared.lock);
		byteq_commit(&shared.q, p, n);
		mutex_unlock(&shared.lock);
		at += n;
	}
	return NULL;
}

static void a_writer_and_a_reader_at_once(void **state)
{
	pthread_t th;
	size_t wrong = 0;

	byteq_init(&shared.q);
	assert_int_equal(pthread_create(&th, NULL, writer, NULL), 0);
	for (size_t at = 0; at < TOTAL;) {
		const char *p = NULL;
		size_t n = 0;

		mutex_lock(&shared.lock);
		if (shared.q.len)
			p = byteq_peek(&shared.q, 0, &n);
		mutex_unlock(&shared.lock);
		if (!p) {
			sched_yield();
			continue;
		}
		for (size_t i = 0; i < n; i++)
			wrong += p[i] != (char)((at + i) * 13);
		mutex_lock(&shared.lock);
		byteq_consume(&shared.q, n);
		mutex_unlock(&shared.lock);
		at += n;
	}
	pthread_join(th, NULL);
	assert_int_equal(wrong, 0);
	byteq_fini(&shared.q);
}

/* The queue is emptied while somebody still copies into it: his room stays, and his bytes do not come in. */
static void clearing_under_a_writer(void **state)
{
	struct byteq q;
	size_t n, m;
	char *p, *other;

	byteq_init(&q);
	assert_int_equal(byteq_append(&q, "abc", 3), 0);
	p = byteq_reserve(&q, 100, &n);
	byteq_pin(&q);
	byteq_clear(&q);
	memset(p, 'x', n);
	assert_false(byteq_commit(&q, p, n));
	other = byteq_reserve(&q, 60000, &m);
	memset(other, 'y', m);
	assert_true(byteq_commit(&q, other, m));
	memset(p, 'z', n);
	byteq_unpin(&q);
	assert_int_equal(q.len, m);
	assert_int_equal(byteq_peek(&q, 0, &n)[0], 'y');
	byteq_consume(&q, m);
	byteq_fini(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_come_out_in_order),
		cmocka_unit_test(peeking_does_not_take),
		cmocka_unit_test(a_writer_and_a_reader_at_once),
		cmocka_unit_test(clearing_under_a_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
