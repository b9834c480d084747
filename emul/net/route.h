/* SPDX-License-Identifier: MIT */
/*
 * Where a destination is. There are two interfaces: `lo` (index 1) and, unless the network is loopback only, `eth0`
 * (index 2, 10.0.2.15/24, gateway 10.0.2.2). What is local never reaches lwIP. netif_info.h has what programs are shown.
 * The answers are constant after route_boot(), but for eth0's carrier: no locks.
 */
#ifndef EMUL_NET_ROUTE_H
#define EMUL_NET_ROUTE_H

#include "emul/net/addr.h"

#define IF_LO 1
#define IF_ETH 2
#define ETH_ADDR4 0x0a00020fu  /* 10.0.2.15, host order */
#define ETH_GATEWAY4 0x0a000202u
#define ETH_DNS4 0x0a000203u   /* user mode only */
#define ETH_PREFIX4 24
#define ETH_MTU 1500
#define LO_MTU 65536
#define IP_MTU_MAX 65535 /* of IPv4: its length has 16 bits */
extern const unsigned char eth_hwaddr[6];
extern const struct in6_addr eth_linklocal; /* made from eth_hwaddr */

void route_boot(bool with_eth); /* tells netif_info of eth0 and its routes */
bool route_has_eth(void);
bool route_eth_lost(void); /* its other end is gone: from now on it has no carrier. true: that was known */
/* An address of this instance: loopback, or one of eth0's. */
bool route_is_local(const struct in6_addr *a);
bool route_is_broadcast(const struct in6_addr *a); /* IPv4: limited, or a subnet's */
/* The interface that reaches a destination: IF_LO for what is local, IF_ETH; 0: no route. scope: of link-local addresses. */
int route_to(const struct in6_addr *dst, uint32_t scope);
/* The source address for a destination; false: none. */
bool route_source(const struct in6_addr *dst, uint32_t scope, struct in6_addr *ret);
/* Counts a packet between local sockets, for lo's statistics. */
void route_count_lo(bool v6, size_t bytes);
void route_count_eth(bool tx, size_t bytes, bool dropped);

#endif
