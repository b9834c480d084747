/* SPDX-License-Identifier: MIT */
/*
 * Multicast groups. Which socket is in which is our own affair; eth0 is told (IGMP, MLD) so that the group's datagrams arrive.
 * ip_mc_join_group(), ipv6_sock_mc_join(). Filters by source: inet_group_source.c.
 */
#include "emul/net/inet_group.h"

#include <stdlib.h>

#include "emul/net/lwip_port.h"
#include "emul/net/netif_info.h"
#include "emul/net/route.h"

#define MAX_GROUPS 20 /* net.ipv4.igmp_max_memberships */

/* Linux's own names: <linux/in.h> and <netinet/in.h> exclude each other's. */
struct group_req_kernel { uint32_t interface; uint32_t pad; struct sockaddr_storage group; };

/* How many sockets are in a group on an interface: others that are bound to its port hear it too. */
struct popular { struct list node; struct in6_addr group; int ifindex; unsigned users; };
static struct mutex popular_lock = MUTEX_INIT; /* inside inet_lock */
static struct list popular = LIST_INIT(popular);

static struct popular *find_popular(const struct in6_addr *group, int ifindex)
{
	struct popular *p;

	list_for_each(p, &popular, node)
		if (p->ifindex == ifindex && addr_eq(&p->group, group))
			return p;
	return NULL;
}

static void count(const struct in6_addr *group, int ifindex, bool more)
{
	struct popular *p;

	mutex_lock(&popular_lock);
	p = find_popular(group, ifindex);
	if (more && !p && (p = calloc(1, sizeof(*p)))) {
		p->group = *group;
		p->ifindex = ifindex;
		list_add(&popular, &p->node);
	}
	if (p)
		p->users += more ? 1 : -1u;
	if (p && !p->users) {
		list_del(&p->node);
		free(p);
	}
	mutex_unlock(&popular_lock);
	if (ifindex == IF_ETH)
		lwip_group(group, more);
}

static bool is_popular(const struct in6_addr *group, int ifindex)
{
	bool yes;

	mutex_lock(&popular_lock);
	yes = find_popular(group, ifindex);
	mutex_unlock(&popular_lock);
	return yes;
}

unsigned inet_group_at(unsigned n, int ifindex, struct in6_addr *ret)
{
	unsigned users = 0;
	struct popular *p;

	mutex_lock(&popular_lock);
	list_for_each(p, &popular, node)
		if (p->ifindex == ifindex && n-- == 0) {
			*ret = p->group;
			users = p->users;
			break;
		}
	mutex_unlock(&popular_lock);
	return users;
}

struct inet_group *inet_group_find(struct inet_sock *i, const struct in6_addr *group, int ifindex)
{
	struct inet_group *g;

	list_for_each(g, &i->groups, node)
		if (addr_eq(&g->group, group) && (!ifindex || g->ifindex == ifindex))
			return g;
	return NULL;
}

bool inet_group_wants(struct inet_sock *i, const struct in6_addr *group, const struct in6_addr *source, int ifindex)
{
	struct inet_group *g = inet_group_find(i, group, ifindex);
	bool v4 = addr_is_v4(group);

	if (g)
		return inet_group_hears(g, source);
	/* Somebody else's group: only if the socket did not say otherwise, and has none of its own on Linux's IPv6. */
	return v4 && i->ip.mc_all && i->sock.family == AF_INET && is_popular(group, ifindex);
}

int inet_group_interface(struct inet_sock *i, const struct endpoint *dst)
{
	int chosen = addr_is_v4(&dst->ip) ? i->ip.mc_if : (int)dst->scope ? (int)dst->scope : i->ip.mc_if6;

	if (i->sock.opt.bound_if)
		return i->sock.opt.bound_if;
	if (chosen)
		return chosen;
	if (addr_is_loopback(&i->local.ip))
		return IF_LO;
	return route_has_eth() ? IF_ETH : 0;
}

int inet_group_join(struct inet_sock *i, const struct in6_addr *group, int ifindex, bool include)
{
	struct inet_group *g = calloc(1, sizeof(*g)), *other;
	unsigned n = 0;
	int r = 0;

	if (!g)
		return -ENOMEM;
	g->group = *group;
	g->ifindex = ifindex;
	g->include = include;
	inet_lock(i);
	list_for_each(other, &i->groups, node)
		n++;
	if (inet_group_find(i, group, ifindex))
		r = -EADDRINUSE;
	else if (n >= MAX_GROUPS)
		r = -ENOBUFS;
	else
		list_add_tail(&i->groups, &g->node);
	inet_unlock(i);
	if (r < 0)
		free(g);
	else
		count(group, ifindex, true);
	return r;
}

static void group_free(struct inet_group *g)
{
	free(g->sources);
	free(g);
}

int inet_group_leave(struct inet_sock *i, const struct in6_addr *group, int ifindex)
{
	struct inet_group *g;
	int index = 0;

	inet_lock(i);
	g = inet_group_find(i, group, ifindex);
	if (g) {
		index = g->ifindex;
		list_del(&g->node);
		group_free(g);
	}
	inet_unlock(i);
	if (index)
		count(group, index, false);
	return index ? 0 : -EADDRNOTAVAIL;
}

void inet_group_leave_all(struct inet_sock *i)
{
	struct list all;

	list_init(&all);
	inet_lock(i);
	list_splice_tail(&all, &i->groups);
	inet_unlock(i);
	while (!list_empty(&all)) {
		struct inet_group *g = list_first(&all, struct inet_group, node);

		list_del(&g->node);
		count(&g->group, g->ifindex, false);
		group_free(g);
	}
}

/* --- option values ---------------------------------------------------------------------------------------------------- */

/* ip_mc_find_dev() */
int inet_group_device(int index, uint32_t addr_be, bool v6)
{
	struct netif_info info;
	struct in6_addr a = addr_of_v4(ntohl(addr_be));

	if (index)
		return netif_info_by_index(index, &info) < 0 ? 0 : index;
	if (addr_be)
		return !route_is_local(&a) ? 0 : addr_is_loopback(&a) ? IF_LO : IF_ETH;
	return route_has_eth() ? IF_ETH : v6 ? IF_LO : 0;
}

/* struct ip_mreq, ip_mreqn or in_addr. */
static int read_mreq(const struct sock_optval *v, struct ip_mreqn *ret)
{
	size_t n = MIN((size_t)v->len, sizeof(*ret));

	*ret = (struct ip_mreqn){ 0 };
	if (n < sizeof(*ret))
		n = MIN(n, sizeof(struct ip_mreq));
	return sock_opt_read(v, ret, n);
}

static int change4(struct inet_sock *i, int name, const struct sock_optval *v)
{
	struct ip_mreqn m;
	struct in6_addr group;
	int ifindex, r;

	if (i->sock.type == SOCK_STREAM)
		return -EPROTO;
	if (v->len < (int)sizeof(struct ip_mreq))
		return -EINVAL;
	r = read_mreq(v, &m);
	if (r < 0)
		return r;
	group = addr_of_v4(ntohl(m.imr_multiaddr.s_addr));
	if (!addr_is_multicast(&group))
		return -EINVAL;
	ifindex = inet_group_device(m.imr_ifindex, m.imr_address.s_addr, false);
	if (name == IP_ADD_MEMBERSHIP)
		return ifindex ? inet_group_join(i, &group, ifindex, false) : -ENODEV;
	if (!ifindex && (m.imr_ifindex || m.imr_address.s_addr))
		return -ENODEV;
	return inet_group_leave(i, &group, m.imr_ifindex || m.imr_address.s_addr ? ifindex : 0);
}

static int set_interface4(struct inet_sock *i, const struct sock_optval *v)
{
	struct ip_mreqn m = { 0 };
	int r, ifindex = 0;

	if (i->sock.type == SOCK_STREAM)
		return -EINVAL;
	if (v->len < (int)sizeof(struct in_addr))
		return -EINVAL;
	if (v->len < (int)sizeof(struct ip_mreq))
		r = sock_opt_read(v, &m.imr_address, sizeof(m.imr_address));
	else
		r = read_mreq(v, &m);
	if (r < 0)
		return r;
	if (m.imr_ifindex || m.imr_address.s_addr) {
		ifindex = inet_group_device(m.imr_ifindex, m.imr_address.s_addr, false);
		if (!ifindex)
			return -EADDRNOTAVAIL;
	}
	inet_lock(i);
	if (i->sock.opt.bound_if && ifindex && i->sock.opt.bound_if != ifindex) {
		r = -EINVAL;
	} else {
		i->ip.mc_if = ifindex;
		i->ip.mc_addr = addr_of_v4(ntohl(m.imr_address.s_addr));
	}
	inet_unlock(i);
	return r;
}

static int change6(struct inet_sock *i, int name, const struct sock_optval *v)
{
	struct ipv6_mreq m;
	struct netif_info info;
	int ifindex, r;

	if (v->len < (int)sizeof(m))
		return -EINVAL;
	if (i->sock.type == SOCK_STREAM)
		return -EPROTO;
	r = sock_opt_read(v, &m, sizeof(m));
	if (r < 0)
		return r;
	if (!IN6_IS_ADDR_MULTICAST(&m.ipv6mr_multiaddr))
		return -EINVAL;
	ifindex = (int)m.ipv6mr_interface;
	if (name == IPV6_LEAVE_GROUP)
		return inet_group_leave(i, &m.ipv6mr_multiaddr, ifindex);
	if (!ifindex)
		ifindex = route_has_eth() ? IF_ETH : IF_LO;
	return netif_info_by_index(ifindex, &info) < 0 ? -ENODEV : inet_group_join(i, &m.ipv6mr_multiaddr, ifindex, false);
}

static int set_interface6(struct inet_sock *i, const struct sock_optval *v)
{
	struct netif_info info;
	int index, r;

	if (i->sock.type == SOCK_STREAM)
		return -ENOPROTOOPT;
	r = sock_opt_int(v, &index);
	if (r < 0)
		return r;
	if (index && netif_info_by_index(index, &info) < 0)
		return -ENODEV;
	if (i->sock.opt.bound_if && index && i->sock.opt.bound_if != index)
		return -EINVAL;
	inet_lock(i);
	i->ip.mc_if6 = index;
	inet_unlock(i);
	return 0;
}

/* MCAST_JOIN_GROUP, MCAST_LEAVE_GROUP: for both families. */
static int change_any(struct inet_sock *i, int level, int name, const struct sock_optval *v)
{
	struct group_req_kernel g;
	struct endpoint e;
	struct netif_info info;
	int r, ifindex;

	if (v->len < (int)sizeof(g)) /* and a stream may join, unlike by the older calls */
		return -EINVAL;
	r = sock_opt_read(v, &g, sizeof(g));
	if (r == 0)
		r = addr_read(level == IPPROTO_IP ? AF_INET : AF_INET6, &g.group, sizeof(g.group), &e);
	if (r < 0)
		return r != -EAFNOSUPPORT ? r : level == IPPROTO_IP ? -EINVAL : -EADDRNOTAVAIL;
	if (!addr_is_multicast(&e.ip))
		return -EINVAL;
	ifindex = (int)g.interface;
	if (name == MCAST_LEAVE_GROUP)
		return inet_group_leave(i, &e.ip, ifindex);
	if (!ifindex)
		ifindex = route_has_eth() ? IF_ETH : 0;
	return !ifindex || netif_info_by_index(ifindex, &info) < 0 ? -ENODEV : inet_group_join(i, &e.ip, ifindex, false);
}

int inet_group_setsockopt(struct inet_sock *i, int level, int name, const struct sock_optval *v)
{
	if (name == MCAST_JOIN_GROUP || name == MCAST_LEAVE_GROUP)
		return change_any(i, level, name, v);
	int r = inet_group_set_sources(i, level, name, v);

	if (r != -ENOIOCTLCMD)
		return r;
	if (level == IPPROTO_IP) {
		switch (name) {
		case IP_ADD_MEMBERSHIP:
		case IP_DROP_MEMBERSHIP: return change4(i, name, v);
		case IP_MULTICAST_IF: return set_interface4(i, v);
		default: return -ENOIOCTLCMD;
		}
	}
	switch (name) {
	case IPV6_JOIN_GROUP:
	case IPV6_LEAVE_GROUP: return change6(i, name, v);
	case IPV6_MULTICAST_IF: return set_interface6(i, v);
	default: return -ENOIOCTLCMD;
	}
}
