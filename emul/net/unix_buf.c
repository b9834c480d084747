/* SPDX-License-Identifier: MIT */
/* Messages in the queues of AF_UNIX sockets. */
#include <stdlib.h>

#include "emul/net/unix.h"

/* All queues together: the VMM's memory is not the guest's. */
#define TOTAL_MAX ((long)512 << 20)

static _Atomic long total; /* relaxed: a limit, not an account */

size_t unix_charge(size_t len, size_t head_max)
{
	size_t paged = len > head_max ? MIN(len, (len - head_max + 4095) & ~(size_t)4095) : 0;
	size_t need = ((len - paged + 63) & ~(size_t)63) + 320, head = 512; /* struct skb_shared_info lies behind the data */

	while (head < need)
		head *= 2;
	return 256 + head + ((paged + 4095) & ~(size_t)4095); /* struct sk_buff */
}

struct unix_buf *unix_buf_new(size_t cap)
{
	long size = (long)(sizeof(struct unix_buf) + cap);
	struct unix_buf *b = NULL;

	if (atomic_fetch_add_explicit(&total, size, memory_order_relaxed) + size <= TOTAL_MAX)
		b = malloc((size_t)size);
	if (!b) {
		atomic_fetch_sub_explicit(&total, size, memory_order_relaxed);
		return NULL;
	}
	*b = (struct unix_buf){ .cap = cap, .scm = UNIX_SCM_NONE };
	list_init(&b->node);
	return b;
}

void unix_buf_free(struct unix_buf *b)
{
	if (!b)
		return;
	if (b->from) {
		if (unix_uncharge(b->from, b->charge)) {
			mutex_lock(&b->from->sk.lock);
			sock_wake_wr(&b->from->sk, UNIX_OUT_EVENTS);
			mutex_unlock(&b->from->sk.lock);
		}
		unix_put(b->from);
	}
	unix_scm_drop(&b->scm);
	atomic_fetch_sub_explicit(&total, (long)(sizeof(*b) + b->cap), memory_order_relaxed);
	free(b);
}

void unix_bufs_free(struct list *bufs)
{
	while (!list_empty(bufs)) {
		struct unix_buf *b = list_first(bufs, struct unix_buf, node);

		list_del(&b->node);
		unix_buf_free(b);
	}
}
