/* SPDX-License-Identifier: MIT */
/*
 * lwIP (Debian's library as it is) and eth0 below it. Nothing of it exists until something foreign is needed:
 * lwip_start() is called by everything that sends there, lwip_listen_wanted() by what wants to be reached from there.
 *
 * Theory of operation. lwIP's own thread is never started. Its callback API is used under its core lock; packets from the
 * host side come in on the reactor, and its timers run there too, only while something needs them: 250 ms with connections,
 * 1 s for a while after the last packet, nothing when idle. lwIP's TCP is used as it is, behind a check of each segment; of UDP and ICMP only the way out, and
 * what comes in is taken by raw pcbs before lwIP looks for a receiver, since the port tables are ours (ports.h).
 *
 * Lock order: the core lock is outside every socket's lock; its callbacks arrive holding it.
 */
#ifndef EMUL_NET_LWIP_PORT_H
#define EMUL_NET_LWIP_PORT_H

#include "emul/net/addr.h"
#include "emul/net/netconf.h"

/* The configuration, at boot; strings stay the caller's for ever. */
void lwip_configure(const struct net_config *cfg);
/* Brings up lwIP and eth0 if that has not happened. 0, -ENETUNREACH (loopback only, or it failed: said once). No lock held. */
int lwip_start(void);
int lwip_start_now(char *why, size_t size); /* the same, but it is the caller who says why: empty if that has been said */
/* Sockets that foreign hosts can reach: as lwip_start(), failing silently. */
void lwip_listen_wanted(void);

void lwip_lock(void);
void lwip_unlock(void);
/* Connections exist: the TCP timer must run. Core lock held. */
void lwip_need_timer(void);

/* Datagrams out. -ENETUNREACH, -EMSGSIZE, -ENOBUFS. No lock held. */
int lwip_send_udp(const struct endpoint *from, const struct endpoint *to, int tos, int ttl, const void *data, size_t len);
struct packet_view;
/* A whole frame of a packet socket's, as it is. -ENETDOWN, -ENOBUFS. */
int lwip_send_frame(const struct packet_view *v);
/* protocol's packet without IP header; hdrincl: with. */
int lwip_send_raw(int protocol, const struct endpoint *from, const struct endpoint *to, int tos, int ttl, bool hdrincl,
		  const void *data, size_t len);
void lwip_group(const struct in6_addr *group, bool join);
/* Addresses of both families whose Ethernet addresses are known or asked for. How many, at most max. No lock held. */
struct lwip_neighbour {
	struct in6_addr ip;
	uint8_t hwaddr[6];
	uint16_t state; /* NUD_INCOMPLETE: there is no hwaddr yet */
	bool router;
};
unsigned lwip_neighbours(struct lwip_neighbour *ret, unsigned max);

/* The instance ends: what is the host's and stays is left as it was found. */
void lwip_leave(void);

/* lwIP's ip_addr_t and back; callers include lwIP's headers. */
struct ip_addr;
void lwip_from_addr(struct ip_addr *to, const struct in6_addr *a);
struct in6_addr lwip_to_addr(const struct ip_addr *a);

/* --- the host side ----------------------------------------------------------------------------------------------- */
/* One of tap.c and slirp.c. Frames are whole Ethernet frames without checksum. */
struct large_frame;
struct eth_backend {
	const char *name;
	/* 0, or -errno with a line for the user in why. Called once, no lock held. */
	int (*start)(const struct net_config *cfg, char *why, size_t why_size);
	/* Core lock held; must not block. 0, -ENOBUFS (dropped). large: see offload.h; only where takes_large says so. */
	int (*send)(const void *frame, size_t len, const struct large_frame *large);
	bool takes_large;
	void (*leave)(void); /* NULL, or called before the process exits */
};
extern const struct eth_backend tap_backend, slirp_backend;
bool tap_is_likely(void); /* a tap could be made, as far as can be seen without making one */
/* A frame from the host side. Reactor thread, no lock held. */
void eth_receive(const void *frame, size_t len);

#endif
