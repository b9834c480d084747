/* SPDX-License-Identifier: MIT */
/* Moving data of one read or write; uio.h has the contract. Guest memory is touched through guest_mem_ops only. */
#include "emul/base/uio.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"

#ifndef UIO_MAXIOV
#define UIO_MAXIOV 1024
#endif

static void init_one(struct uio *u, struct guest_mem *gm, uint64_t base, size_t len)
{
	u->gm = gm;
	u->seg = u->inline_seg;
	u->inline_seg[0] = (struct uio_seg){ base, len };
	u->nseg = 1;
	u->cur = 0;
	u->cur_off = 0;
	u->left = len;
}

static bool range_ok(uint64_t base, uint64_t len)
{
	return len <= USER_END && base <= USER_END - len;
}

void uio_init_guest(struct uio *u, struct guest_mem *gm, gva_t base, size_t len)
{
	/* Linux refuses the whole buffer, not its last bytes: let it fault at the first. */
	if (!range_ok(base, len))
		base = USER_END;
	init_one(u, gm, base, MIN(len, MAX_RW_COUNT));
}

void uio_init_host(struct uio *u, void *base, size_t len)
{
	init_one(u, NULL, (uintptr_t)base, len);
}

/* Checks the segments and cuts them to MAX_RW_COUNT together, as Linux's import_iovec() does. */
static int check_segments(struct uio *u)
{
	size_t total = 0;

	for (unsigned i = 0; i < u->nseg; i++) {
		struct uio_seg *s = &u->seg[i];

		if ((ssize_t)s->len < 0)
			return -EINVAL;
		if (!range_ok(s->base, s->len))
			return -EFAULT;
		s->len = MIN(s->len, MAX_RW_COUNT - total);
		total += s->len;
	}
	u->left = total;
	return 0;
}

int uio_init_guest_iov(struct uio *u, struct guest_mem *gm, gva_t iov, unsigned long count)
{
	size_t size = count * sizeof(struct uio_seg);
	int r;

	_Static_assert(sizeof(struct uio_seg) == sizeof(struct iovec), "an iovec is read into a segment");
	init_one(u, gm, 0, 0);
	if (count > UIO_MAXIOV)
		return -EINVAL;
	if (count > UIO_INLINE) {
		u->seg = malloc(size);
		if (!u->seg) {
			u->seg = u->inline_seg;
			return -ENOMEM;
		}
	}
	u->nseg = count;
	if (gm->ops->copy_in(gm, u->seg, iov, size) != size)
		r = -EFAULT;
	else
		r = check_segments(u);
	if (r < 0)
		uio_fini(u);
	return r;
}

void uio_fini(struct uio *u)
{
	if (u->seg != u->inline_seg)
		free(u->seg);
	u->seg = u->inline_seg;
	u->nseg = 0;
	u->left = 0;
}

/* The bytes at the present place that lie in one piece. Skips empty segments; left > 0. */
static size_t current_run(struct uio *u, uint64_t *ret_base)
{
	while (u->cur_off == u->seg[u->cur].len) {
		u->cur++;
		u->cur_off = 0;
	}
	*ret_base = u->seg[u->cur].base + u->cur_off;
	return MIN(u->seg[u->cur].len - u->cur_off, u->left);
}

void uio_advance(struct uio *u, size_t n)
{
	while (n) {
		uint64_t base;
		size_t run = MIN(current_run(u, &base), n);

		u->cur_off += run;
		u->left -= run;
		n -= run;
	}
}

void uio_truncate(struct uio *u, size_t left)
{
	u->left = MIN(u->left, left);
}

enum direction { COPY_IN, COPY_OUT, ZERO };

static size_t move_host(enum direction dir, uint64_t base, char *buf, size_t n)
{
	void *p = (void *)(uintptr_t)base;

	if (dir == COPY_IN)
		memcpy(buf, p, n);
	else if (dir == COPY_OUT)
		memcpy(p, buf, n);
	else
		memset(p, 0, n);
	return n;
}

static size_t move_guest(struct guest_mem *gm, enum direction dir, uint64_t base, char *buf, size_t n)
{
	if (dir == COPY_IN)
		return gm->ops->copy_in(gm, buf, base, n);
	if (dir == COPY_OUT)
		return gm->ops->copy_out(gm, base, buf, n);
	return gm->ops->zero(gm, base, n);
}

static ssize_t move(struct uio *u, enum direction dir, char *buf, size_t n)
{
	size_t done = 0;

	n = MIN(n, u->left);
	while (done < n) {
		uint64_t base;
		size_t run = MIN(current_run(u, &base), n - done);
		char *at = buf ? buf + done : NULL;
		size_t moved = u->gm ? move_guest(u->gm, dir, base, at, run) : move_host(dir, base, at, run);

		u->cur_off += moved;
		u->left -= moved;
		done += moved;
		if (moved < run)
			break;
	}
	return done == 0 && n > 0 ? -EFAULT : (ssize_t)done;
}

ssize_t uio_copy_in(struct uio *u, void *dst, size_t n)
{
	return move(u, COPY_IN, dst, n);
}

ssize_t uio_copy_out(struct uio *u, const void *src, size_t n)
{
	return move(u, COPY_OUT, (char *)(uintptr_t)src, n); /* only read from */
}

ssize_t uio_zero(struct uio *u, size_t n)
{
	return move(u, ZERO, NULL, n);
}

int uio_pin(struct uio *u, bool for_write, struct iovec iov[UIO_PIN_MAX], struct uio_pins *pins, size_t *ret_len)
{
	struct uio at = *u;
	unsigned n = 0;
	size_t total = 0;

	if (u->seg == u->inline_seg)
		at.seg = at.inline_seg;
	pins->gm = u->gm;
	pins->n = 0;
	while (at.left && n < UIO_PIN_MAX) {
		uint64_t base;
		size_t run = current_run(&at, &base);
		size_t got = run;

		if (at.gm) {
			got = at.gm->ops->pin(at.gm, base, run, for_write, iov, pins);
			n = pins->n;
		} else {
			iov[n++] = (struct iovec){ (void *)(uintptr_t)base, run };
		}
		uio_advance(&at, got);
		total += got;
		if (got < run)
			break;
	}
	if (total == 0) {
		uio_unpin(pins);
		return u->left ? -EFAULT : 0;
	}
	*ret_len = total;
	return (int)n;
}

void uio_unpin(struct uio_pins *pins)
{
	if (pins->n && pins->gm)
		pins->gm->ops->unpin(pins);
	pins->n = 0;
}
