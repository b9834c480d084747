/* SPDX-License-Identifier: MIT */
/*
 * A uio is where data of one read or write comes from or goes to: a list of segments of guest
 * memory or of the VMM's own memory, and how far the transfer has got. File code moves data with
 * uio_copy_in()/uio_copy_out() or, for zero-copy host calls, borrows host iovecs with uio_pin().
 * Guest segments are reached through `struct guest_mem`, which emul/mm implements: base knows no mm.
 */
#ifndef EMUL_BASE_UIO_H
#define EMUL_BASE_UIO_H

#include <sys/uio.h>

#include "emul/base/types.h"

/* The fault-safe accessors of one guest address space. */
struct guest_mem_ops;
struct guest_mem { const struct guest_mem_ops *ops; };

#define UIO_PIN_MAX 64 /* host iovecs per uio_pin() */
struct uio_pins {
	struct guest_mem *gm;
	unsigned n;
	struct { gpa_t gpa; size_t len; } run[UIO_PIN_MAX];
};

struct guest_mem_ops {
	/* Bytes copied before the first unreachable byte: == len on success, less on a fault. */
	size_t (*copy_in)(struct guest_mem *gm, void *dst, gva_t src, size_t len);
	size_t (*copy_out)(struct guest_mem *gm, gva_t dst, const void *src, size_t len);
	size_t (*zero)(struct guest_mem *gm, gva_t dst, size_t len);
	/*
	 * Faults in and pins up to len bytes at gva (for_write: they will be written); appends host
	 * iovecs to iov[*n..UIO_PIN_MAX) and runs to pins. Bytes pinned, 0 on a fault at gva.
	 */
	size_t (*pin)(struct guest_mem *gm, gva_t gva, size_t len, bool for_write, struct iovec *iov,
		      struct uio_pins *pins);
	void (*unpin)(struct uio_pins *pins);
};

struct uio_seg { uint64_t base; size_t len; }; /* gva, or host pointer if gm is NULL */

#define UIO_INLINE 8
struct uio {
	struct guest_mem *gm;      /* NULL: segments are host memory */
	struct uio_seg *seg;       /* inline_seg or heap (freed by uio_fini) */
	unsigned nseg, cur;
	size_t cur_off;            /* within seg[cur] */
	size_t left;               /* bytes still to move */
	struct uio_seg inline_seg[UIO_INLINE];
};

void uio_init_guest(struct uio *u, struct guest_mem *gm, gva_t base, size_t len);
void uio_init_host(struct uio *u, void *base, size_t len);
/* Reads and checks a guest iovec array: -EINVAL (count, negative length, sum > MAX_RW_COUNT is cut as Linux does), -EFAULT, -ENOMEM. */
int uio_init_guest_iov(struct uio *u, struct guest_mem *gm, gva_t iov, unsigned long count);
void uio_fini(struct uio *u);

#define MAX_RW_COUNT ((size_t)0x7ffff000)

static inline size_t uio_left(const struct uio *u) { return u->left; }
/* Copies n bytes (cut to uio_left) and advances. Bytes moved, or -EFAULT if none could be (n > 0). */
ssize_t uio_copy_in(struct uio *u, void *dst, size_t n);        /* from the caller's buffer: write(2) */
ssize_t uio_copy_out(struct uio *u, const void *src, size_t n); /* to the caller's buffer: read(2) */
ssize_t uio_zero(struct uio *u, size_t n);
void uio_advance(struct uio *u, size_t n);
void uio_truncate(struct uio *u, size_t left); /* cuts what is left */

/*
 * Host iovecs for the next bytes, pinned until uio_unpin(); does not advance. for_write: the host
 * call will write into them (read(2)). Returns the number of iovecs (> 0) and *ret_len, 0 if nothing
 * is left, -EFAULT. The frames stay allocated while pinned, whatever the guest unmaps meanwhile.
 */
int uio_pin(struct uio *u, bool for_write, struct iovec iov[UIO_PIN_MAX], struct uio_pins *pins, size_t *ret_len);
void uio_unpin(struct uio_pins *pins);

#endif
