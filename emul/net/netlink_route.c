/* SPDX-License-Identifier: MIT */
/*
 * NETLINK_ROUTE: dumps of links, addresses and routes, single links and routes. man 7 rtnetlink. Nothing can be changed from
 * inside: interfaces are set up when the instance starts.
 */
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "emul/net/netif_info.h"
#include "emul/net/netlink.h"
#include "emul/net/packet.h"

#define OPER_UNKNOWN 0
#define OPER_DOWN 2
#define OPER_UP 6

/* --- attributes of a request ------------------------------------------------------------------------------------ */

/* The attribute of a message whose family header has hdr bytes; its size in *ret_size. NULL: it has none. */
static const void *find_attr(const struct nlmsghdr *h, size_t hdr, unsigned type, size_t *ret_size)
{
	size_t at = NLMSG_SPACE(hdr);

	while (at <= h->nlmsg_len && h->nlmsg_len - at >= NLA_HDRLEN) {
		struct nlattr a;

		memcpy(&a, (const char *)h + at, sizeof(a));
		if (a.nla_len < NLA_HDRLEN || a.nla_len > h->nlmsg_len - at)
			return NULL;
		if ((a.nla_type & NLA_TYPE_MASK) == type) {
			*ret_size = a.nla_len - NLA_HDRLEN;
			return (const char *)h + at + NLA_HDRLEN;
		}
		at += NLA_ALIGN(a.nla_len);
	}
	return NULL;
}

static uint32_t attr_u32(const struct nlmsghdr *h, size_t hdr, unsigned type)
{
	size_t size;
	uint32_t v = 0;
	const void *p = find_attr(h, hdr, type, &size);

	if (p && size >= sizeof(v))
		memcpy(&v, p, sizeof(v));
	return v;
}

/* The family header, as far as the request has it: the rest is zero. */
static void read_header(const struct nlmsghdr *h, void *dst, size_t size)
{
	memset(dst, 0, size);
	memcpy(dst, NLMSG_DATA(h), MIN((size_t)h->nlmsg_len - NLMSG_HDRLEN, size));
}

/* --- messages ------------------------------------------------------------------------------------------------------ */

static bool is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

static void put_stats(struct nl_out *o, const struct netif_stats *s)
{
	struct rtnl_link_stats64 l = {
		.rx_packets = s->rx_packets, .rx_bytes = s->rx_bytes, .rx_errors = s->rx_errors, .rx_dropped = s->rx_dropped,
		.tx_packets = s->tx_packets, .tx_bytes = s->tx_bytes, .tx_errors = s->tx_errors, .tx_dropped = s->tx_dropped,
	};
	struct rtnl_link_stats old = {
		.rx_packets = (uint32_t)s->rx_packets, .rx_bytes = (uint32_t)s->rx_bytes, .rx_errors = (uint32_t)s->rx_errors,
		.rx_dropped = (uint32_t)s->rx_dropped, .tx_packets = (uint32_t)s->tx_packets, .tx_bytes = (uint32_t)s->tx_bytes,
		.tx_errors = (uint32_t)s->tx_errors, .tx_dropped = (uint32_t)s->tx_dropped,
	};

	nl_attr(o, IFLA_STATS64, &l, sizeof(l));
	nl_attr(o, IFLA_STATS, &old, sizeof(old));
}

static void put_link(struct nl_request *rq, const struct netif_info *i, uint16_t flags)
{
	struct nl_out *o = rq->out;
	struct ifinfomsg *m = nl_begin(rq, RTM_NEWLINK, flags, sizeof(*m));
	bool loopback = i->flags & IFF_LOOPBACK;

	m->ifi_type = i->type;
	m->ifi_index = i->index;
	m->ifi_flags = i->flags | (i->flags & IFF_RUNNING ? 0x10000 /* IFF_LOWER_UP */ : 0);
	nl_attr(o, IFLA_IFNAME, i->name, strlen(i->name) + 1);
	nl_attr_u32(o, IFLA_TXQLEN, i->txqlen);
	nl_attr_u8(o, IFLA_OPERSTATE, loopback ? OPER_UNKNOWN : i->flags & IFF_RUNNING ? OPER_UP : OPER_DOWN);
	nl_attr_u8(o, IFLA_LINKMODE, 0);
	nl_attr_u32(o, IFLA_MTU, i->mtu);
	nl_attr_u32(o, IFLA_GROUP, 0);
	nl_attr_u32(o, IFLA_PROMISCUITY, packet_promiscuity(i->index));
	nl_attr_u32(o, IFLA_NUM_TX_QUEUES, 1);
	nl_attr_u32(o, IFLA_NUM_RX_QUEUES, 1);
	nl_attr_u8(o, IFLA_CARRIER, 1);
	nl_attr(o, IFLA_QDISC, loopback ? "noqueue" : "fq_codel", loopback ? 8 : 9);
	nl_attr(o, IFLA_ADDRESS, i->hwaddr, sizeof(i->hwaddr));
	nl_attr(o, IFLA_BROADCAST, i->hwbroadcast, sizeof(i->hwbroadcast));
	put_stats(o, &i->stats);
}

static void put_addr(struct nl_request *rq, const struct netif_info *i, const struct netif_addr *a)
{
	struct nl_out *o = rq->out;
	struct ifaddrmsg *m = nl_begin(rq, RTM_NEWADDR, NLM_F_MULTI, sizeof(*m));
	struct ifa_cacheinfo forever = { .ifa_prefered = UINT32_MAX, .ifa_valid = UINT32_MAX };
	size_t size = a->family == AF_INET ? 4 : 16;

	m->ifa_family = (uint8_t)a->family;
	m->ifa_prefixlen = a->prefix;
	m->ifa_flags = IFA_F_PERMANENT;
	m->ifa_scope = a->scope;
	m->ifa_index = (uint32_t)i->index;
	nl_attr(o, IFA_ADDRESS, a->addr, size);
	if (a->family == AF_INET) {
		nl_attr(o, IFA_LOCAL, a->addr, size);
		if (!is_zero(a->broadcast, size))
			nl_attr(o, IFA_BROADCAST, a->broadcast, size);
		nl_attr(o, IFA_LABEL, i->name, strlen(i->name) + 1);
	}
	nl_attr_u32(o, IFA_FLAGS, IFA_F_PERMANENT);
	nl_attr(o, IFA_CACHEINFO, &forever, sizeof(forever));
}

static void put_route(struct nl_request *rq, const struct netif_route *r, uint16_t flags, const uint8_t *asked)
{
	struct nl_out *o = rq->out;
	struct rtmsg *m = nl_begin(rq, RTM_NEWROUTE, flags, sizeof(*m));
	size_t size = r->family == AF_INET ? 4 : 16;

	m->rtm_family = (uint8_t)r->family;
	m->rtm_dst_len = asked ? (uint8_t)(size * 8) : r->prefix;
	m->rtm_table = r->table;
	m->rtm_protocol = asked ? RTPROT_UNSPEC : r->protocol;
	m->rtm_scope = asked ? RT_SCOPE_UNIVERSE : r->scope;
	m->rtm_type = r->type;
	m->rtm_flags = asked ? RTM_F_CLONED : 0;
	nl_attr_u32(o, RTA_TABLE, r->table);
	if (m->rtm_dst_len)
		nl_attr(o, RTA_DST, asked ? asked : r->dst, size);
	if (r->metric)
		nl_attr_u32(o, RTA_PRIORITY, r->metric);
	if (!is_zero(r->source, size))
		nl_attr(o, RTA_PREFSRC, r->source, size);
	if (!is_zero(r->gateway, size))
		nl_attr(o, RTA_GATEWAY, r->gateway, size);
	nl_attr_u32(o, RTA_OIF, (uint32_t)r->ifindex);
}

/* --- dumps ------------------------------------------------------------------------------------------------------------ */

static void dump_links(struct nl_request *rq)
{
	struct netif_info i;

	for (int index = 1; netif_info_next(&index, &i); index++)
		put_link(rq, &i, NLM_F_MULTI);
}

static void dump_addrs(struct nl_request *rq)
{
	struct ifaddrmsg f;
	struct netif_info i;

	read_header(rq->h, &f, sizeof(f));
	for (int index = 1; netif_info_next(&index, &i); index++)
		for (unsigned k = 0; k < i.naddrs; k++)
			if ((!f.ifa_family || f.ifa_family == i.addr[k].family) &&
			    (!rq->strict || !f.ifa_index || f.ifa_index == (uint32_t)i.index))
				put_addr(rq, &i, &i.addr[k]);
}

/* What strict requests ask for: 0 means all. */
struct route_filter { int family; uint32_t table, protocol, type, oif; };

static struct route_filter route_filter_of(const struct nl_request *rq)
{
	struct route_filter f = { 0 };
	struct rtmsg m;

	read_header(rq->h, &m, sizeof(m));
	f.family = m.rtm_family;
	if (rq->strict) {
		f.table = attr_u32(rq->h, sizeof(m), RTA_TABLE);
		if (!f.table)
			f.table = m.rtm_table;
		f.protocol = m.rtm_protocol;
		f.type = m.rtm_type;
		f.oif = attr_u32(rq->h, sizeof(m), RTA_OIF);
	}
	return f;
}

static void dump_routes(struct nl_request *rq)
{
	struct route_filter f = route_filter_of(rq);
	struct netif_route r;

	for (unsigned n = 0; netif_route_at(n, &r); n++)
		if ((!f.family || f.family == r.family) && (!f.table || f.table == r.table) && (!f.protocol || f.protocol == r.protocol) &&
		    (!f.type || f.type == r.type) && (!f.oif || f.oif == (uint32_t)r.ifindex))
			put_route(rq, &r, NLM_F_MULTI, NULL);
}

/* --- one thing ------------------------------------------------------------------------------------------------------------ */

/* Which interface the request means. */
static int find_link(struct nl_request *rq, struct ifinfomsg *m, struct netif_info *ret)
{
	size_t size;
	const void *name;

	if (rq->h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return -EINVAL;
	read_header(rq->h, m, sizeof(*m));
	name = find_attr(rq->h, sizeof(*m), IFLA_IFNAME, &size);
	if (!name)
		name = find_attr(rq->h, sizeof(*m), IFLA_ALT_IFNAME, &size);
	if (m->ifi_index > 0)
		return netif_info_by_index(m->ifi_index, ret);
	if (name) {
		char text[IFNAMSIZ] = "";

		memcpy(text, name, MIN(size, sizeof(text) - 1));
		return netif_info_by_name(text, ret);
	}
	return -EINVAL;
}

static int get_link(struct nl_request *rq)
{
	struct ifinfomsg m;
	struct netif_info i;
	int r = find_link(rq, &m, &i);

	if (r == 0)
		put_link(rq, &i, 0);
	return r;
}

/* Attributes of RTM_NEWLINK that would change nothing. */
static bool same_attrs(const struct nl_request *rq, const struct netif_info *i)
{
	size_t at = NLMSG_LENGTH(sizeof(struct ifinfomsg)), len = rq->h->nlmsg_len;
	uint32_t v;

	for (struct nlattr a; at + NLA_HDRLEN <= len; at += NLA_ALIGN(a.nla_len)) {
		memcpy(&a, (const char *)rq->h + at, sizeof(a));
		if (a.nla_len < NLA_HDRLEN || a.nla_len > len - at)
			return false;
		v = 0;
		if (a.nla_len == NLA_HDRLEN + sizeof(v))
			memcpy(&v, (const char *)rq->h + at + NLA_HDRLEN, sizeof(v));
		if (a.nla_type != IFLA_IFNAME && a.nla_type != IFLA_ALT_IFNAME && (a.nla_type != IFLA_MTU || v != i->mtu) &&
		    (a.nla_type != IFLA_TXQLEN || v != i->txqlen))
			return false;
	}
	return true;
}

/* `ip link set lo up`: interfaces are made when the instance starts, and stay as they are. */
static int set_link(struct nl_request *rq)
{
	struct ifinfomsg m;
	struct netif_info i;
	int r = rq->may_change ? find_link(rq, &m, &i) : -EPERM;

	if (r < 0)
		return r == -ENODEV && (rq->h->nlmsg_flags & NLM_F_CREATE) ? -EOPNOTSUPP : r;
	if (rq->h->nlmsg_flags & NLM_F_EXCL)
		return -EEXIST;
	return (m.ifi_flags ^ i.flags) & m.ifi_change || !same_attrs(rq, &i) ? -EOPNOTSUPP : 0;
}

static bool covers(const struct netif_route *r, const uint8_t *dst)
{
	unsigned whole = r->prefix / 8, rest = r->prefix % 8;

	if (memcmp(r->dst, dst, whole))
		return false;
	return !rest || !((r->dst[whole] ^ dst[whole]) >> (8 - rest));
}

/* The local table first, then the longest prefix, then the smallest metric. */
static bool better(const struct netif_route *a, const struct netif_route *b)
{
	if ((a->table == RT_TABLE_LOCAL) != (b->table == RT_TABLE_LOCAL))
		return a->table == RT_TABLE_LOCAL;
	return a->prefix != b->prefix ? a->prefix > b->prefix : a->metric < b->metric;
}

static int get_route(struct nl_request *rq)
{
	struct netif_route r, best = { 0 };
	uint8_t dst[16] = { 0 };
	bool found = false;
	struct rtmsg m;
	size_t size;
	const void *p;

	if (rq->h->nlmsg_len < NLMSG_LENGTH(sizeof(m)))
		return -EINVAL;
	read_header(rq->h, &m, sizeof(m));
	p = find_attr(rq->h, sizeof(m), RTA_DST, &size);
	if (m.rtm_family != AF_INET && m.rtm_family != AF_INET6)
		return -EOPNOTSUPP;
	if (p && size < (m.rtm_family == AF_INET ? 4u : 16u))
		return -EINVAL;
	if (p)
		memcpy(dst, p, m.rtm_family == AF_INET ? 4 : 16);
	for (unsigned n = 0; netif_route_at(n, &r); n++)
		if (r.family == m.rtm_family && covers(&r, dst) && (!found || better(&r, &best))) {
			best = r;
			found = true;
		}
	if (!found)
		return -ENETUNREACH;
	put_route(rq, &best, 0, dst);
	return 0;
}

/* --- the request -------------------------------------------------------------------------------------------------------------- */

static int dump(struct nl_request *rq)
{
	switch (rq->h->nlmsg_type) {
	case RTM_GETLINK: dump_links(rq); break;
	case RTM_GETADDR: dump_addrs(rq); break;
	case RTM_GETROUTE: dump_routes(rq); break;
	case RTM_GETNEIGH: netlink_dump_neighbours(rq); break;
	case RTM_GETRULE: netlink_dump_rules(rq); break;
	default: return -EOPNOTSUPP;
	}
	nl_end_dump(rq);
	return NL_ANSWERED;
}

int netlink_route_request(struct nl_request *rq)
{
	uint16_t type = rq->h->nlmsg_type;
	bool get = ((type - RTM_BASE) & 3) == 2;

	if (type < RTM_BASE || type > RTM_MAX)
		return -EOPNOTSUPP;
	if (rq->h->nlmsg_len < NLMSG_LENGTH(sizeof(struct rtgenmsg)))
		return 0;
	if (!get && (type == RTM_NEWLINK || type == RTM_SETLINK))
		return set_link(rq);
	if (!get)
		return rq->may_change ? -EOPNOTSUPP : -EPERM;
	if (rq->h->nlmsg_flags & NLM_F_DUMP)
		return dump(rq);
	switch (type) {
	case RTM_GETLINK: return get_link(rq);
	case RTM_GETROUTE: return get_route(rq);
	default: return -EOPNOTSUPP;
	}
}
