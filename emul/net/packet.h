/* SPDX-License-Identifier: MIT */
/*
 * AF_PACKET: sockets that see and send whole packets. net/packet/af_packet.c, man 7 packet.
 *
 * Theory of operation. What passes eth0 is packets anyway: lwip_port.c shows each, both ways, and puts out what a packet socket sends.
 * Between two sockets of the instance (`lo`) there are none. While a packet socket listens there they are made up (frame.h), at the places
 * where datagrams and bytes change hands: a true conversation, with the handshakes, numbers and checksums that the wire would have had. As on
 * Linux a packet on lo is seen twice, on its way out and in. Not shown there: what a closed socket answers to data, and window updates. A
 * packet that a socket sends on lo is seen by the others, and is lost if it is no UDP, ICMP or ICMPv6 packet for this host.
 * Without a listener all of it costs a look at one number.
 *
 * There are no rings to send by, none of the form TPACKET_V3 (libpcap takes V2 then), no fan-outs and no virtio headers.
 *
 *   packet.c      sockets, receiving, sending      packet_opt.c  options, memberships      packet_ring.c  PACKET_RX_RING
 *   packet_lo.c   what a packet on lo is to this host
 *
 * Lock order: lwIP's core lock, inet_lock -> packets_lock -> packet_sock.sk.lock.
 */
#ifndef EMUL_NET_PACKET_H
#define EMUL_NET_PACKET_H

#include <linux/if_packet.h>

#include "emul/net/frame.h"
#include "emul/net/sock.h"

extern _Atomic unsigned packet_listeners;

/* Somebody looks at packets. */
static inline bool packet_wanted(void)
{
	return atomic_load_explicit(&packet_listeners, memory_order_relaxed);
}

struct packet_view {
	const uint8_t *frame; /* from the link header on */
	size_t len;
	int ifindex;
	bool outgoing;
	bool checksum_missing; /* of TCP or UDP: the interface fills it in */
	uint32_t mark;
	const struct sock *from; /* the packet socket that sends it, which does not see it */
};
/* A packet passes an interface. Under any lock of emul/net but a packet socket's. */
void packet_show(const struct packet_view *v);
/* One passes lo, out and in. Consumes f; NULL: none was made. */
void packet_show_lo(struct frame *f, uint32_t mark);

/* --- inside ------------------------------------------------------------------------------------------------------- */

struct packet_member { struct list node; int ifindex; uint16_t type, alen; uint8_t addr[32]; unsigned count; };

struct packet_sock {
	struct sock sk; /* first */
	struct list node; /* packets_lock; in the list as long as it has a file */
	/* sk.lock: */
	int ifindex;      /* bound to; 0: all */
	uint16_t num;     /* ETH_P_*, host order; 0: nothing is received */
	struct list queue;
	size_t queued;    /* bytes, with what a packet takes beside its data */
	unsigned packets, dropped; /* PACKET_STATISTICS: since they were asked for */
	unsigned drops;   /* ever */
	bool auxdata, origdev, ignore_outgoing, bypass;
	int timestamp, copy_thresh;
	unsigned version, reserve; /* TPACKET_*; PACKET_RESERVE */
	struct packet_ring *ring;  /* instead of the queue */
	struct list members; /* struct packet_member */
};

struct packet_buf {
	struct list node;
	struct sockaddr_ll from;
	int64_t stamp;
	uint32_t mark, status; /* TP_STATUS_* */
	size_t len, whole, net; /* kept; before a filter cut it; where the network header begins */
	uint8_t data[];
};
void packet_bufs_free(struct list *bufs);

static inline struct packet_sock *packet_of(struct sock *s) { return container_of(s, struct packet_sock, sk); }

int packet_setsockopt(struct sock *s, struct task *t, int level, int name, const struct sock_optval *v);
int packet_getsockopt(struct sock *s, struct task *t, int level, int name, struct sock_optval *v);
void packet_leave_all(struct packet_sock *p);
unsigned packet_promiscuity(int ifindex); /* how many memberships ask for all packets */
/* A frame that a packet socket has sent on lo: to the sockets of this host that it is for. No lock held. */
void packet_input_lo(const uint8_t *frame, size_t len);

/* --- packet_ring.c --- */
struct memobj;
size_t packet_ring_header(unsigned version); /* bytes of a frame before its data, at least */
int packet_ring_set(struct packet_sock *p, struct task *t, const struct sock_optval *v); /* -EINVAL, -EBUSY, -ENOMEM */
void packet_ring_drop(struct packet_sock *p); /* at its end */
int packet_ring_map(struct sock *s, struct memobj **ret); /* -EINVAL: there is none */
bool packet_ring_add_locked(struct packet_sock *p, const struct packet_buf *b); /* false: it is full */
bool packet_ring_readable_locked(struct packet_sock *p);

void packet_register(void); /* the family and /proc/net/packet, at boot */

#endif
