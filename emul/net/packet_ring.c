/* SPDX-License-Identifier: MIT */
/*
 * PACKET_RX_RING: received packets in memory that the program maps, frame behind frame, in the forms TPACKET_V1 and V2. packet_set_ring(),
 * tpacket_rcv(). The memory is the guest's to write: of it only the word that says whether a frame is free is ever read.
 */
#include "emul/net/packet.h"

#include <linux/if_ether.h>
#include <stdlib.h>

#include "emul/mm/memobj.h"
#include "emul/mm/mm.h"
#include "emul/proc/task.h"

#define LEAST_LINK 16 /* the place of a link header */

struct packet_ring {
	struct memobj_watch watch; /* its end is the ring's, too */
	struct memobj *pages;
	_Atomic unsigned mapped;   /* areas that map it */
	unsigned block_size, blocks, frame_size, frames, per_block;
	unsigned head;             /* sk.lock: the frame that is filled next */
};

/* --- life -------------------------------------------------------------------------------------------------------- */

static struct packet_ring *ring_of(struct memobj_watch *w)
{
	return container_of(w, struct packet_ring, watch);
}

static void attached(struct memobj_watch *w)
{
	atomic_fetch_add(&ring_of(w)->mapped, 1);
}

static void detached(struct memobj_watch *w)
{
	atomic_fetch_sub(&ring_of(w)->mapped, 1);
}

static void gone(struct memobj_watch *w)
{
	free(ring_of(w));
}

size_t packet_ring_header(unsigned version)
{
	return version == TPACKET_V1 ? TPACKET_HDRLEN : TPACKET2_HDRLEN;
}

static int check_request(const struct packet_sock *p, const struct tpacket_req *rq)
{
	unsigned per_block;

	if ((int)rq->tp_block_size <= 0 || (rq->tp_block_size & ~PAGE_MASK))
		return -EINVAL;
	if (rq->tp_frame_size < packet_ring_header(p->version) + p->reserve || rq->tp_frame_size % TPACKET_ALIGNMENT)
		return -EINVAL;
	per_block = rq->tp_block_size / rq->tp_frame_size;
	if (!per_block || rq->tp_block_size > UINT32_MAX / rq->tp_block_nr || (uint64_t)per_block * rq->tp_block_nr != rq->tp_frame_nr)
		return -EINVAL;
	return 0;
}

static struct packet_ring *ring_new(struct task *t, const struct tpacket_req *rq)
{
	struct packet_ring *r = calloc(1, sizeof(*r));
	uint64_t size = (uint64_t)rq->tp_block_size * rq->tp_block_nr;

	if (!r)
		return NULL;
	r->pages = t ? shmem_new(mm_phys(t->mm), size) : NULL;
	if (!r->pages) {
		free(r);
		return NULL;
	}
	r->watch = (struct memobj_watch){ attached, detached, gone };
	memobj_set_watch(r->pages, &r->watch);
	r->block_size = rq->tp_block_size;
	r->blocks = rq->tp_block_nr;
	r->frame_size = rq->tp_frame_size;
	r->frames = rq->tp_frame_nr;
	r->per_block = r->block_size / r->frame_size;
	if (shmem_allocate(r->pages, 0, size) < 0) {
		memobj_put(r->pages);
		return NULL;
	}
	return r;
}

/* In the place of what there was, unless somebody has that mapped; *ret_old is the caller's. */
static int exchange(struct packet_sock *p, struct packet_ring *r, struct packet_ring **ret_old, struct list *ret_queue)
{
	int err = 0;

	mutex_lock(&p->sk.lock);
	if (p->ring && (r || p->ring->mapped)) {
		err = -EBUSY;
	} else {
		*ret_old = p->ring;
		p->ring = r;
		list_splice_tail(ret_queue, &p->queue);
		p->queued = 0;
	}
	mutex_unlock(&p->sk.lock);
	return err;
}

int packet_ring_set(struct packet_sock *p, struct task *t, const struct sock_optval *v)
{
	struct packet_ring *r = NULL, *old = NULL;
	struct list queue = LIST_INIT(queue);
	struct tpacket_req rq;
	int err = 0;

	if (v->len < (int)sizeof(rq))
		return -EINVAL;
	if (sock_opt_read(v, &rq, sizeof(rq)) < 0)
		return -EFAULT;
	if (!rq.tp_block_nr)
		err = rq.tp_frame_nr ? -EINVAL : 0;
	else
		err = p->ring ? -EBUSY : check_request(p, &rq);
	if (err < 0)
		return err;
	if (rq.tp_block_nr) {
		r = ring_new(t, &rq);
		if (!r)
			return -ENOMEM;
	}
	err = exchange(p, r, &old, &queue);
	packet_bufs_free(&queue);
	if (err < 0)
		old = r;
	if (old)
		memobj_put(old->pages);
	return err;
}

void packet_ring_drop(struct packet_sock *p)
{
	if (p->ring)
		memobj_put(p->ring->pages);
	p->ring = NULL;
}

int packet_ring_map(struct sock *s, struct memobj **ret)
{
	struct packet_sock *p = packet_of(s);
	int r = -EINVAL;

	mutex_lock(&s->lock);
	if (p->ring) {
		*ret = memobj_get(p->ring->pages);
		r = 0;
	}
	mutex_unlock(&s->lock);
	return r;
}

/* --- frames ------------------------------------------------------------------------------------------------------- */

static uint64_t frame_at(const struct packet_ring *r, unsigned n)
{
	return (uint64_t)(n / r->per_block) * r->block_size + (uint64_t)(n % r->per_block) * r->frame_size;
}

static bool put(struct packet_ring *r, uint64_t off, const void *data, size_t len)
{
	struct uio u;
	ssize_t n;

	uio_init_host(&u, (void *)(uintptr_t)data, len);
	n = shmem_write(r->pages, &u, off);
	uio_fini(&u);
	return n == (ssize_t)len;
}

static bool frame_is_free(struct packet_ring *r, unsigned n)
{
	uint32_t status = TP_STATUS_USER;
	struct uio u;

	uio_init_host(&u, &status, sizeof(status));
	(void)shmem_read(r->pages, &u, frame_at(r, n));
	uio_fini(&u);
	return status == TP_STATUS_KERNEL;
}

/* The header as it is for the version, with the address behind it; how long that is. Free as yet. */
static size_t make_header(const struct packet_sock *p, const struct packet_buf *b, size_t mac, size_t net, size_t snap, uint8_t *to)
{
	size_t at = TPACKET_ALIGN(p->version == TPACKET_V1 ? sizeof(struct tpacket_hdr) : sizeof(struct tpacket2_hdr));

	if (p->version == TPACKET_V1) {
		struct tpacket_hdr h = { .tp_len = (unsigned)b->whole, .tp_snaplen = (unsigned)snap, .tp_mac = (uint16_t)mac,
					 .tp_net = (uint16_t)net, .tp_sec = (unsigned)(b->stamp / 1000000000),
					 .tp_usec = (unsigned)(b->stamp % 1000000000 / 1000) };

		memcpy(to, &h, sizeof(h));
	} else {
		struct tpacket2_hdr h = { .tp_len = (unsigned)b->whole, .tp_snaplen = (unsigned)snap, .tp_mac = (uint16_t)mac,
					  .tp_net = (uint16_t)net, .tp_sec = (unsigned)(b->stamp / 1000000000),
					  .tp_nsec = (unsigned)(b->stamp % 1000000000) };

		memcpy(to, &h, sizeof(h));
	}
	memcpy(to + at, &b->from, sizeof(b->from));
	return at + sizeof(b->from);
}

bool packet_ring_add_locked(struct packet_sock *p, const struct packet_buf *b)
{
	struct packet_ring *r = p->ring;
	bool raw = p->sk.type == SOCK_RAW;
	uint64_t at = frame_at(r, r->head);
	size_t header = packet_ring_header(p->version), net, mac, snap, n;
	uint64_t status = b->status | (p->dropped ? TP_STATUS_LOSING : 0);
	uint8_t head[128] = { 0 };

	if (!frame_is_free(r, r->head))
		return false;
	net = (raw ? (size_t)TPACKET_ALIGN(header + LEAST_LINK) : (size_t)TPACKET_ALIGN(header) + LEAST_LINK) + p->reserve;
	mac = raw ? net - ETH_HLEN : net;
	snap = MIN(b->len, mac < r->frame_size ? r->frame_size - mac : 0);
	n = make_header(p, b, mac, net, snap, head);
	if (!put(r, at, head, n) || (snap && !put(r, at + mac, b->data, snap)))
		return false;
	if (!put(r, at, &status, p->version == TPACKET_V1 ? sizeof(unsigned long) : sizeof(uint32_t)))
		return false;
	r->head = (r->head + 1) % r->frames;
	return true;
}

bool packet_ring_readable_locked(struct packet_sock *p)
{
	struct packet_ring *r = p->ring;

	return !frame_is_free(r, (r->head ? r->head : r->frames) - 1);
}
