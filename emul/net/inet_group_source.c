/* SPDX-License-Identifier: MIT */
/*
 * Filters by source of multicast groups: a membership hears all but some sources, or some only. RFC 3678; ip_mc_source(),
 * ip_mc_msfilter(), ip6_mc_source(). The filter is ours: the network's routers hear of the group alone.
 */
#include <stdlib.h>
#include <string.h>

#include "emul/net/inet_group.h"

#define MAX_SOURCES4 10 /* net.ipv4.igmp_max_msf */
#define MAX_SOURCES6 64 /* net.ipv6.mld_max_msf */

/* struct ip_msfilter and struct group_filter, with room. */
struct filter4 { uint32_t group, interface, mode, n, source[MAX_SOURCES4]; };
struct filter_any { uint32_t interface, pad; struct sockaddr_storage group; uint32_t mode, n; struct sockaddr_storage source[MAX_SOURCES6]; };
#define FILTER4_SIZE(k) (offsetof(struct filter4, source) + (size_t)(k) * sizeof(uint32_t))
#define FILTER_SIZE(k) (offsetof(struct filter_any, source) + (size_t)(k) * sizeof(struct sockaddr_storage))

struct change { struct in6_addr group, source; int ifindex; bool include, add; };
struct filter { struct in6_addr group; int ifindex; bool include; unsigned n; struct in6_addr source[MAX_SOURCES6]; };

static unsigned max_sources(const struct in6_addr *group)
{
	return addr_is_v4(group) ? MAX_SOURCES4 : MAX_SOURCES6;
}

static unsigned index_of(const struct inet_group *g, const struct in6_addr *source)
{
	unsigned k = 0;

	while (k < g->nsources && !addr_eq(&g->sources[k], source))
		k++;
	return k;
}

bool inet_group_hears(const struct inet_group *g, const struct in6_addr *source)
{
	return (index_of(g, source) < g->nsources) == g->include;
}

static int add_source(struct inet_group *g, const struct in6_addr *source)
{
	struct in6_addr *more;

	if (g->nsources >= max_sources(&g->group))
		return -ENOBUFS;
	if (index_of(g, source) < g->nsources)
		return -EADDRNOTAVAIL;
	more = realloc(g->sources, (g->nsources + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	g->sources = more;
	g->sources[g->nsources++] = *source;
	return 0;
}

/* Without its last source a membership of some only would hear nobody: it ends. */
static int remove_source(struct inet_group *g, const struct in6_addr *source, bool *ret_leave)
{
	unsigned k = index_of(g, source);

	if (k == g->nsources)
		return -EADDRNOTAVAIL;
	*ret_leave = g->nsources == 1 && g->include;
	if (!*ret_leave)
		memmove(&g->sources[k], &g->sources[k + 1], (--g->nsources - k) * sizeof(g->sources[0]));
	return 0;
}

static int change_source(struct inet_sock *i, const struct change *c)
{
	struct inet_group *g;
	bool leave = false;
	int r = -EINVAL;

	if (!addr_is_multicast(&c->group))
		return -EINVAL;
	inet_lock(i);
	g = inet_group_find(i, &c->group, c->ifindex);
	if (g && (!g->sources || g->include == c->include)) { /* one that has a list keeps its kind */
		g->include = c->include;
		r = c->add ? add_source(g, &c->source) : remove_source(g, &c->source, &leave);
	}
	inet_unlock(i);
	return leave ? inet_group_leave(i, &c->group, c->ifindex) : r;
}

/* Joins first if that is wanted; a member already is one. */
static int join_and_change(struct inet_sock *i, bool join, const struct change *c)
{
	int r = join && addr_is_multicast(&c->group) ? inet_group_join(i, &c->group, c->ifindex, true) : 0;

	return r < 0 && r != -EADDRINUSE ? r : change_source(i, c);
}

static int change4(struct inet_sock *i, int name, const struct sock_optval *v)
{
	struct ip_mreq_source m;
	struct change c;
	int r;

	if (v->len != (int)sizeof(m))
		return -EINVAL;
	r = sock_opt_read(v, &m, sizeof(m));
	if (r < 0)
		return r;
	c = (struct change){ .group = addr_of_v4(ntohl(m.imr_multiaddr.s_addr)), .source = addr_of_v4(ntohl(m.imr_sourceaddr.s_addr)),
			     .include = name == IP_ADD_SOURCE_MEMBERSHIP || name == IP_DROP_SOURCE_MEMBERSHIP,
			     .add = name == IP_ADD_SOURCE_MEMBERSHIP || name == IP_BLOCK_SOURCE };
	if (!addr_is_multicast(&c.group))
		return -EINVAL;
	c.ifindex = inet_group_device(0, m.imr_interface.s_addr, false);
	return c.ifindex ? join_and_change(i, name == IP_ADD_SOURCE_MEMBERSHIP, &c) : -ENODEV;
}

/* The address in a value for this level's family. */
static int read_addr(int level, const struct sockaddr_storage *ss, struct in6_addr *ret)
{
	struct endpoint e;

	if (ss->ss_family != (level == IPPROTO_IP ? AF_INET : AF_INET6) || addr_read(ss->ss_family, ss, sizeof(*ss), &e) < 0)
		return -EADDRNOTAVAIL;
	*ret = e.ip;
	return 0;
}

static int change_any(struct inet_sock *i, int level, int name, const struct sock_optval *v)
{
	struct group_source_req q;
	struct change c = { .include = name == MCAST_JOIN_SOURCE_GROUP || name == MCAST_LEAVE_SOURCE_GROUP,
			    .add = name == MCAST_JOIN_SOURCE_GROUP || name == MCAST_BLOCK_SOURCE };
	int r;

	if (v->len < (int)sizeof(q))
		return -EINVAL;
	r = sock_opt_read(v, &q, sizeof(q));
	if (r == 0)
		r = read_addr(level, &q.gsr_group, &c.group);
	if (r == 0)
		r = read_addr(level, &q.gsr_source, &c.source);
	if (r < 0)
		return r;
	if (!addr_is_multicast(&c.group))
		return -EINVAL;
	c.ifindex = inet_group_device((int)q.gsr_interface, 0, level == IPPROTO_IPV6);
	return c.ifindex ? join_and_change(i, name == MCAST_JOIN_SOURCE_GROUP, &c) : -ENODEV;
}

/* --- whole filters -------------------------------------------------------------------------------------------------------- */

static int set_filter(struct inet_sock *i, const struct filter *f)
{
	struct in6_addr *list = NULL;
	struct inet_group *g;
	int r = 0;

	if (f->include && !f->n)
		return inet_group_leave(i, &f->group, f->ifindex);
	if (f->n && !(list = malloc(f->n * sizeof(*list))))
		return -ENOMEM;
	if (f->n)
		memcpy(list, f->source, f->n * sizeof(*list));
	inet_lock(i);
	g = inet_group_find(i, &f->group, f->ifindex);
	if (g) {
		struct in6_addr *old = g->sources;

		g->sources = list;
		g->nsources = f->n;
		g->include = f->include;
		list = old;
	} else {
		r = -EINVAL;
	}
	inet_unlock(i);
	free(list);
	return r;
}

/* fmode, and where: what both forms share. */
static int check_filter(struct filter *f, uint32_t mode, int index, uint32_t addr_be, bool v6)
{
	if (!addr_is_multicast(&f->group) || (mode != MCAST_INCLUDE && mode != MCAST_EXCLUDE))
		return -EINVAL;
	f->include = mode == MCAST_INCLUDE;
	f->ifindex = inet_group_device(index, addr_be, v6);
	return f->ifindex ? 0 : -ENODEV;
}

static int set_filter4(struct inet_sock *i, const struct sock_optval *v)
{
	struct filter4 in;
	struct filter f;
	int r;

	if (v->len < (int)FILTER4_SIZE(0))
		return -EINVAL;
	r = sock_opt_read(v, &in, MIN((size_t)v->len, sizeof(in)));
	if (r < 0)
		return r;
	f.n = in.n;
	if (f.n > MAX_SOURCES4)
		return -ENOBUFS;
	if ((size_t)v->len < FILTER4_SIZE(f.n))
		return -EINVAL;
	f.group = addr_of_v4(ntohl(in.group));
	for (unsigned k = 0; k < f.n; k++)
		f.source[k] = addr_of_v4(ntohl(in.source[k]));
	r = check_filter(&f, in.mode, 0, in.interface, false);
	return r < 0 ? r : set_filter(i, &f);
}

static int set_filter_any(struct inet_sock *i, int level, const struct sock_optval *v)
{
	struct filter_any in;
	struct filter f;
	int r;

	if (v->len < (int)FILTER_SIZE(0))
		return -EINVAL;
	r = sock_opt_read(v, &in, MIN((size_t)v->len, sizeof(in)));
	if (r < 0)
		return r;
	f.n = in.n;
	if (f.n > (level == IPPROTO_IP ? MAX_SOURCES4 : MAX_SOURCES6))
		return -ENOBUFS;
	if ((size_t)v->len < FILTER_SIZE(f.n))
		return -EINVAL;
	r = read_addr(level, &in.group, &f.group);
	for (unsigned k = 0; k < f.n && r == 0; k++)
		r = read_addr(level, &in.source[k], &f.source[k]);
	if (r == 0)
		r = check_filter(&f, in.mode, (int)in.interface, 0, level == IPPROTO_IPV6);
	return r < 0 ? r : set_filter(i, &f);
}

/* The filter of a membership; -EADDRNOTAVAIL: no member. */
static int get_filter(struct inet_sock *i, struct filter *f)
{
	struct inet_group *g;

	inet_lock(i);
	g = inet_group_find(i, &f->group, f->ifindex);
	if (g) {
		f->include = g->include;
		f->n = g->nsources;
		if (g->nsources)
			memcpy(f->source, g->sources, g->nsources * sizeof(f->source[0]));
	}
	inet_unlock(i);
	return g ? 0 : -EADDRNOTAVAIL;
}

static int get_filter4(struct inet_sock *i, struct sock_optval *v)
{
	struct filter4 io;
	struct filter f;
	unsigned room;
	int r;

	if (v->len < (int)FILTER4_SIZE(0))
		return -EINVAL;
	r = sock_opt_read(v, &io, FILTER4_SIZE(0));
	if (r < 0)
		return r;
	f.group = addr_of_v4(ntohl(io.group));
	r = check_filter(&f, MCAST_INCLUDE, 0, io.interface, false);
	if (r == 0)
		r = get_filter(i, &f);
	if (r < 0)
		return r;
	room = MIN(MIN(f.n, io.n), (unsigned)((size_t)v->len - FILTER4_SIZE(0)) / 4);
	io.mode = f.include ? MCAST_INCLUDE : MCAST_EXCLUDE;
	io.n = f.n;
	for (unsigned k = 0; k < room; k++)
		io.source[k] = htonl(addr_v4(&f.source[k]));
	return sock_opt_write(v, &io, FILTER4_SIZE(room));
}

static int get_filter_any(struct inet_sock *i, int level, struct sock_optval *v)
{
	struct filter_any io;
	struct filter f;
	unsigned room;
	int r;

	if (v->len < (int)FILTER_SIZE(0))
		return -EINVAL;
	r = sock_opt_read(v, &io, FILTER_SIZE(0));
	if (r == 0)
		r = read_addr(level, &io.group, &f.group);
	if (r == 0)
		r = check_filter(&f, MCAST_INCLUDE, (int)io.interface, 0, level == IPPROTO_IPV6);
	if (r == 0)
		r = get_filter(i, &f);
	if (r < 0)
		return r;
	room = (unsigned)MIN((size_t)MIN(f.n, io.n), ((size_t)v->len - FILTER_SIZE(0)) / sizeof(struct sockaddr_storage));
	io.mode = f.include ? MCAST_INCLUDE : MCAST_EXCLUDE;
	io.n = f.n;
	for (unsigned k = 0; k < room; k++) {
		struct endpoint e = { .ip = f.source[k] };

		memset(&io.source[k], 0, sizeof(io.source[k]));
		addr_write(level == IPPROTO_IP ? AF_INET : AF_INET6, &e, &io.source[k]);
	}
	return sock_opt_write(v, &io, FILTER_SIZE(room));
}

int inet_group_set_sources(struct inet_sock *i, int level, int name, const struct sock_optval *v)
{
	switch (name) {
	case IP_UNBLOCK_SOURCE:
	case IP_BLOCK_SOURCE:
	case IP_ADD_SOURCE_MEMBERSHIP:
	case IP_DROP_SOURCE_MEMBERSHIP: return level == IPPROTO_IP ? change4(i, name, v) : -ENOIOCTLCMD;
	case IP_MSFILTER: return level == IPPROTO_IP ? set_filter4(i, v) : -ENOIOCTLCMD;
	case MCAST_BLOCK_SOURCE:
	case MCAST_UNBLOCK_SOURCE:
	case MCAST_JOIN_SOURCE_GROUP:
	case MCAST_LEAVE_SOURCE_GROUP: return change_any(i, level, name, v);
	case MCAST_MSFILTER: return set_filter_any(i, level, v);
	default: return -ENOIOCTLCMD;
	}
}

int inet_group_get_sources(struct inet_sock *i, int level, int name, struct sock_optval *v)
{
	if (name == MCAST_MSFILTER)
		return get_filter_any(i, level, v);
	return name == IP_MSFILTER && level == IPPROTO_IP ? get_filter4(i, v) : -ENOIOCTLCMD;
}
