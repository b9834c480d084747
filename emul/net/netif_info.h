/* SPDX-License-Identifier: MIT */
/*
 * The instance's interfaces, addresses and routes as programs see them: what netlink, SIOCGIF*, /proc/net and
 * SO_BINDTODEVICE answer from. Whoever owns an interface says what it is here; `lo` is there from the start.
 * Everything is copied in and out: no locks for the caller.
 */
#ifndef EMUL_NET_NETIF_INFO_H
#define EMUL_NET_NETIF_INFO_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define NETIF_ADDRS_MAX 8

struct netif_addr {
	int family; /* AF_INET, AF_INET6 */
	uint8_t addr[16], broadcast[16]; /* network order; 4 bytes of them for AF_INET; broadcast all zero: none */
	uint8_t prefix;
	uint8_t scope; /* RT_SCOPE_* */
};

struct netif_stats { uint64_t rx_packets, rx_bytes, rx_errors, rx_dropped, tx_packets, tx_bytes, tx_errors, tx_dropped; };

struct netif_info {
	int index; /* > 0 */
	char name[IFNAMSIZ];
	unsigned flags;   /* IFF_* */
	unsigned mtu, txqlen;
	uint16_t type;    /* ARPHRD_* */
	uint8_t hwaddr[6], hwbroadcast[6]; /* all zero for lo */
	unsigned naddrs;
	struct netif_addr addr[NETIF_ADDRS_MAX];
	struct netif_stats stats;
	/* Brings counters and whatever else changes up to date in a copy; may be NULL. No lock held. */
	void (*refresh)(struct netif_info *i);
};

struct netif_route {
	int family;
	uint8_t dst[16], gateway[16], source[16]; /* network order; gateway, source all zero: none */
	uint8_t prefix;   /* 0: default */
	uint8_t scope, type /* RTN_* */, protocol /* RTPROT_* */, table /* RT_TABLE_* */;
	uint32_t metric;
	int ifindex;
};

void netif_info_boot(void); /* lo with its addresses and routes */
int netif_info_set(const struct netif_info *i); /* new, or replaces the one with this index; -ENOSPC */
int netif_info_by_index(int index, struct netif_info *ret);        /* 0, -ENODEV */
int netif_info_by_name(const char *name, struct netif_info *ret);  /* 0, -ENODEV */
/* The first with an index >= *index; sets *index. false: no more. */
bool netif_info_next(int *index, struct netif_info *ret);
int netif_route_add(const struct netif_route *r); /* -ENOSPC */
bool netif_route_at(unsigned n, struct netif_route *ret); /* the n-th; false: there are fewer */

#endif
