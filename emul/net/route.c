/* SPDX-License-Identifier: MIT */
/* Interfaces and routes: route.h has the contract. */
#include "emul/net/route.h"

#include <net/if.h> /* before the kernel's */

#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <stdatomic.h>

#include "emul/net/mib.h"
#include "emul/net/netif_info.h"

const unsigned char eth_hwaddr[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
const struct in6_addr eth_linklocal = { { { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x50, 0x54, 0x00, 0xff, 0xfe, 0x12, 0x34, 0x56 } } };

static bool with_eth;
static _Atomic bool lost; /* eth0's other end */

static struct { _Atomic uint64_t packets, bytes; } lo;
static struct { _Atomic uint64_t rx_packets, rx_bytes, rx_dropped, tx_packets, tx_bytes, tx_dropped; } eth;

static void count(_Atomic uint64_t *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

void route_count_lo(bool v6, size_t bytes)
{
	mib_local(v6, bytes);
	count(&lo.packets, 1);
	count(&lo.bytes, bytes);
}

void route_count_eth(bool tx, size_t bytes, bool dropped)
{
	if (dropped) {
		count(tx ? &eth.tx_dropped : &eth.rx_dropped, 1);
	} else {
		count(tx ? &eth.tx_packets : &eth.rx_packets, 1);
		count(tx ? &eth.tx_bytes : &eth.rx_bytes, bytes);
	}
}

static void refresh_lo(struct netif_info *i)
{
	i->stats = (struct netif_stats){
		.rx_packets = lo.packets, .rx_bytes = lo.bytes, .tx_packets = lo.packets, .tx_bytes = lo.bytes
	};
}

static void refresh_eth(struct netif_info *i)
{
	if (atomic_load(&lost))
		i->flags &= ~(unsigned)IFF_RUNNING;
	i->stats = (struct netif_stats){
		.rx_packets = eth.rx_packets, .rx_bytes = eth.rx_bytes, .rx_dropped = eth.rx_dropped,
		.tx_packets = eth.tx_packets, .tx_bytes = eth.tx_bytes, .tx_dropped = eth.tx_dropped,
	};
}

static void put4(uint8_t *to, uint32_t host_order)
{
	uint32_t be = htonl(host_order);

	memcpy(to, &be, sizeof(be));
}

static void add_route4(uint32_t dst, unsigned prefix, uint32_t gateway, uint8_t scope, uint8_t type, uint8_t table)
{
	struct netif_route r = {
		.family = AF_INET, .prefix = (uint8_t)prefix, .scope = scope, .type = type, .table = table, .ifindex = IF_ETH,
		.protocol = gateway ? RTPROT_BOOT : RTPROT_KERNEL,
	};

	put4(r.dst, dst);
	put4(r.gateway, gateway);
	if (!gateway)
		put4(r.source, ETH_ADDR4);
	netif_route_add(&r);
}

static void add_eth(void)
{
	struct netif_info i = {
		.index = IF_ETH, .name = "eth0", .flags = IFF_UP | IFF_BROADCAST | IFF_RUNNING | IFF_MULTICAST, .mtu = ETH_MTU,
		.txqlen = 1000, .type = ARPHRD_ETHER, .hwbroadcast = { 255, 255, 255, 255, 255, 255 }, .naddrs = 2,
		.refresh = refresh_eth,
	};
	struct netif_route link = {
		.family = AF_INET6, .dst = { 0xfe, 0x80 }, .prefix = 64, .scope = RT_SCOPE_UNIVERSE, .type = RTN_UNICAST,
		.protocol = RTPROT_KERNEL, .table = RT_TABLE_MAIN, .metric = 256, .ifindex = IF_ETH,
	};

	memcpy(i.hwaddr, eth_hwaddr, sizeof(eth_hwaddr));
	i.addr[0] = (struct netif_addr){ .family = AF_INET, .prefix = ETH_PREFIX4, .scope = RT_SCOPE_UNIVERSE };
	put4(i.addr[0].addr, ETH_ADDR4);
	put4(i.addr[0].broadcast, ETH_ADDR4 | 0xff);
	i.addr[1] = (struct netif_addr){ .family = AF_INET6, .prefix = 64, .scope = RT_SCOPE_LINK };
	memcpy(i.addr[1].addr, &eth_linklocal, sizeof(eth_linklocal));
	netif_info_set(&i);
	add_route4(0, 0, ETH_GATEWAY4, RT_SCOPE_UNIVERSE, RTN_UNICAST, RT_TABLE_MAIN);
	add_route4(ETH_ADDR4 & ~0xffu, ETH_PREFIX4, 0, RT_SCOPE_LINK, RTN_UNICAST, RT_TABLE_MAIN);
	add_route4(ETH_ADDR4, 32, 0, RT_SCOPE_HOST, RTN_LOCAL, RT_TABLE_LOCAL);
	add_route4(ETH_ADDR4 | 0xff, 32, 0, RT_SCOPE_LINK, RTN_BROADCAST, RT_TABLE_LOCAL);
	netif_route_add(&link);
}

void route_boot(bool eth_too)
{
	struct netif_info i;

	with_eth = eth_too;
	if (netif_info_by_index(IF_LO, &i) == 0) {
		i.refresh = refresh_lo;
		netif_info_set(&i);
	}
	if (with_eth)
		add_eth();
}

bool route_has_eth(void)
{
	return with_eth;
}

bool route_eth_lost(void)
{
	return atomic_exchange(&lost, true);
}

bool route_is_local(const struct in6_addr *a)
{
	if (addr_is_loopback(a))
		return true;
	return with_eth && (addr_is_v4(a) ? addr_v4(a) == ETH_ADDR4 : addr_eq(a, &eth_linklocal));
}

bool route_is_broadcast(const struct in6_addr *a)
{
	if (!addr_is_v4(a))
		return false;
	return addr_v4(a) == INADDR_BROADCAST || addr_v4(a) == 0x7fffffff || (with_eth && addr_v4(a) == (ETH_ADDR4 | 0xff));
}

int route_to(const struct in6_addr *dst, uint32_t scope)
{
	if (route_is_local(dst) || (addr_is_v4(dst) && addr_v4(dst) == 0x7fffffff))
		return IF_LO;
	if (!with_eth || scope == IF_LO)
		return 0;
	if (addr_is_v4(dst))
		return addr_v4(dst) >> 24 == 0 ? 0 : IF_ETH;
	return IN6_IS_ADDR_LINKLOCAL(dst) || IN6_IS_ADDR_MULTICAST(dst) ? IF_ETH : 0;
}

bool route_source(const struct in6_addr *dst, uint32_t scope, struct in6_addr *ret)
{
	int ifindex = route_to(dst, scope);

	if (!ifindex)
		return false;
	if (ifindex == IF_ETH)
		*ret = addr_is_v4(dst) ? addr_of_v4(ETH_ADDR4) : eth_linklocal;
	else if (addr_is_loopback(dst))
		*ret = addr_is_v4(dst) ? addr_loopback4 : addr_loopback6;
	else
		*ret = *dst;
	return true;
}
