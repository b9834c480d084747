/* SPDX-License-Identifier: MIT */
/* The table of interfaces. A handful: arrays and one lock. */
#include "emul/net/netif_info.h"

#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/base/mutex.h"
#include "emul/base/types.h"
#include "emul/net/route.h"

#define NETIFS_MAX 16
#define ROUTES_MAX 64

static struct mutex lock = MUTEX_INIT;
static struct netif_info netifs[NETIFS_MAX]; /* lock; in order of their index */
static unsigned nnetifs;
static struct netif_route routes[ROUTES_MAX];
static unsigned nroutes;

int netif_info_set(const struct netif_info *i)
{
	unsigned at = 0;
	int r = 0;

	mutex_lock(&lock);
	while (at < nnetifs && netifs[at].index < i->index)
		at++;
	if (at == nnetifs || netifs[at].index != i->index) {
		if (nnetifs == NETIFS_MAX) {
			r = -ENOSPC;
		} else {
			memmove(&netifs[at + 1], &netifs[at], (nnetifs - at) * sizeof(netifs[0]));
			nnetifs++;
		}
	}
	if (r == 0)
		netifs[at] = *i;
	mutex_unlock(&lock);
	return r;
}

/* The first one that fits, as it is now. */
static bool find(bool (*fits)(const struct netif_info *, const void *), const void *arg, struct netif_info *ret)
{
	bool found = false;

	mutex_lock(&lock);
	for (unsigned i = 0; i < nnetifs && !found; i++) {
		found = fits(&netifs[i], arg);
		if (found)
			*ret = netifs[i];
	}
	mutex_unlock(&lock);
	if (found && ret->refresh)
		ret->refresh(ret);
	return found;
}

static bool has_index(const struct netif_info *i, const void *index)
{
	return i->index == *(const int *)index;
}

static bool has_name(const struct netif_info *i, const void *name)
{
	return !strncmp(i->name, name, IFNAMSIZ);
}

static bool from_index(const struct netif_info *i, const void *index)
{
	return i->index >= *(const int *)index;
}

int netif_info_by_index(int index, struct netif_info *ret)
{
	return find(has_index, &index, ret) ? 0 : -ENODEV;
}

int netif_info_by_name(const char *name, struct netif_info *ret)
{
	return find(has_name, name, ret) ? 0 : -ENODEV;
}

bool netif_info_next(int *index, struct netif_info *ret)
{
	bool found = find(from_index, index, ret);

	if (found)
		*index = ret->index;
	return found;
}

int netif_route_add(const struct netif_route *r)
{
	int e = -ENOSPC;

	mutex_lock(&lock);
	if (nroutes < ROUTES_MAX) {
		routes[nroutes++] = *r;
		e = 0;
	}
	mutex_unlock(&lock);
	return e;
}

bool netif_route_at(unsigned n, struct netif_route *ret)
{
	bool found;

	mutex_lock(&lock);
	found = n < nroutes;
	if (found)
		*ret = routes[n];
	mutex_unlock(&lock);
	return found;
}

/* What Linux has for lo when it comes up. */
void netif_info_boot(void)
{
	static const struct netif_info lo = {
		.index = 1,
		.name = "lo",
		.flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING,
		.mtu = LO_MTU,
		.txqlen = 1000,
		.type = ARPHRD_LOOPBACK,
		.naddrs = 2,
		.addr = { { .family = AF_INET, .addr = { 127, 0, 0, 1 }, .prefix = 8, .scope = RT_SCOPE_HOST },
			  { .family = AF_INET6, .addr = { [15] = 1 }, .prefix = 128, .scope = RT_SCOPE_HOST } },
	};
	static const struct netif_route own[] = {
		{ .family = AF_INET, .dst = { 127 }, .source = { 127, 0, 0, 1 }, .prefix = 8, .scope = RT_SCOPE_HOST, .type = RTN_LOCAL,
		  .protocol = RTPROT_KERNEL, .table = RT_TABLE_LOCAL, .ifindex = 1 },
		{ .family = AF_INET, .dst = { 127, 0, 0, 1 }, .source = { 127, 0, 0, 1 }, .prefix = 32, .scope = RT_SCOPE_HOST,
		  .type = RTN_LOCAL, .protocol = RTPROT_KERNEL, .table = RT_TABLE_LOCAL, .ifindex = 1 },
		{ .family = AF_INET, .dst = { 127, 255, 255, 255 }, .source = { 127, 0, 0, 1 }, .prefix = 32, .scope = RT_SCOPE_LINK,
		  .type = RTN_BROADCAST, .protocol = RTPROT_KERNEL, .table = RT_TABLE_LOCAL, .ifindex = 1 },
		{ .family = AF_INET6, .dst = { [15] = 1 }, .prefix = 128, .scope = RT_SCOPE_UNIVERSE, .type = RTN_LOCAL,
		  .protocol = RTPROT_KERNEL, .table = RT_TABLE_LOCAL, .ifindex = 1 },
	};

	netif_info_set(&lo);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		netif_route_add(&own[i]);
}
