/* SPDX-License-Identifier: MIT */
/*
 * The inside of pipes, for pipe.c, fifo.c and splice.c only. As in Linux a pipe is a ring of page
 * slots: a small write is appended to the last page if it fits, else it takes a new one; so
 * capacity, poll states and atomicity (PIPE_BUF = one page) come out as programs know them.
 *
 * Lock order: file->pos_lock (of the other file, splice) -> pipe->lock (two: lower address first) -> mm, waitq.
 * pipe->lock is held while data is copied from and to guest memory, as Linux does: nothing of mm
 * ever asks for a pipe. It is not held while splice calls another file's read or write: then
 * `reader_busy` or `writer_busy` keep that side of the pipe for the splice.
 */
#ifndef EMUL_VFS_PIPE_H
#define EMUL_VFS_PIPE_H

#include "emul/vfs/file.h"

/* --- pipe_ring.c: page slots, no locks -------------------------------------------------------------- */
struct pipe_slot {
	unsigned off, len;
	bool packet; /* O_DIRECT: a read takes it whole, what does not fit is lost */
	bool merge;  /* a later write may be appended */
};

struct pipe_ring {
	char *data;             /* size pages; slot i's page is i & (size - 1) */
	struct pipe_slot *slot;
	unsigned size;          /* slots, a power of two */
	unsigned head, tail;    /* next to fill, next to drain; they run freely */
};

int ring_init(struct pipe_ring *r, unsigned slots); /* -ENOMEM */
void ring_fini(struct pipe_ring *r);
int ring_resize(struct pipe_ring *r, unsigned slots); /* -EBUSY: does not fit, -ENOMEM */
static inline unsigned ring_used(const struct pipe_ring *r) { return r->head - r->tail; }
static inline bool ring_empty(const struct pipe_ring *r) { return r->head == r->tail; }
static inline bool ring_full(const struct pipe_ring *r) { return ring_used(r) >= r->size; }
size_t ring_bytes(const struct pipe_ring *r);
/* Appends n bytes (< page) to the last slot if it takes them: bytes, 0 if it does not, -EFAULT. */
ssize_t ring_append(struct pipe_ring *r, struct uio *from, size_t n);
/* Fills a new slot (ring not full) with up to a page. Bytes, -EFAULT. */
ssize_t ring_push(struct pipe_ring *r, struct uio *from, bool packet, bool merge);
/* Drains the first slot (ring not empty). Bytes, -EFAULT. *ret_packet: it was a packet. */
ssize_t ring_pop(struct pipe_ring *r, struct uio *to, bool *ret_packet);
/* Copies n bytes from slot number i (counted from the tail), nothing is drained. */
void ring_peek(const struct pipe_ring *r, unsigned i, void *dst, size_t n);
void ring_skip(struct pipe_ring *r, size_t n); /* drains n bytes */
static inline struct pipe_slot *ring_slot(const struct pipe_ring *r, unsigned i) { return &r->slot[(r->tail + i) & (r->size - 1)]; }

/* --- the pipe ----------------------------------------------------------------------------------------- */
struct fifo {
	struct mutex lock;
	/* lock: */
	struct pipe_ring ring;
	unsigned readers, writers;     /* open ends */
	unsigned r_counter, w_counter; /* opens ever: FIFO opens wait for a change */
	bool reader_busy, writer_busy; /* a splice uses this side without the lock */
	struct list ends;              /* struct pipe_end.node */
	struct waitq rd, wr;           /* blocked readers, writers and opens */
	/* constant: */
	bool anonymous;                /* made by pipe(2): freed with its last end */
	uint64_t ino;
};

struct pipe_end {
	struct file file;
	struct fifo *p;
	struct list node;   /* p->lock */
	unsigned w_seen;    /* a reader that opened without a writer (O_NONBLOCK) sees no EPOLLHUP before one came */
};

/* The pipe that a file is an end of, or NULL. */
struct fifo *pipe_of(struct file *f);
struct fifo *pipe_alloc(bool anonymous);
void pipe_free(struct fifo *p);
int pipe_buffers_locked(struct fifo *p) REQUIRES(p->lock); /* makes the ring for the first end; -ENOMEM, -ENFILE */
/* A new end, counted in readers/writers and their counters. NULL: no memory. */
struct file *pipe_end_new_locked(struct fifo *p, unsigned flags) REQUIRES(p->lock);
void pipe_wake_readers(struct fifo *p, uint32_t events) REQUIRES(p->lock);
void pipe_wake_writers(struct fifo *p, uint32_t events) REQUIRES(p->lock);
/* Signals to the owners of the ends on one side that have O_ASYNC. */
void pipe_async_readers(struct fifo *p) REQUIRES(p->lock);
void pipe_async_writers(struct fifo *p) REQUIRES(p->lock);
/* Until there is data or no writer: 1 data, 0 end of file, -EAGAIN, -ERESTARTSYS. Nobody else's splice holds the side. */
int pipe_wait_data(struct fifo *p, bool nonblock) REQUIRES(p->lock);
/* Until there is a free slot: 0, -EPIPE, -EAGAIN, -ERESTARTSYS. */
int pipe_wait_space(struct fifo *p, bool nonblock) REQUIRES(p->lock);

#endif
