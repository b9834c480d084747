/* SPDX-License-Identifier: MIT */
/*
 * Options of the levels IPPROTO_IP and IPPROTO_IPV6: a table for those that are one number, functions for the rest.
 * do_ip_setsockopt(), do_ipv6_setsockopt(); man 7 ip, man 7 ipv6. Multicast membership is in inet_group.c.
 */
#include <linux/capability.h>

#include "emul/net/inet.h"
#include "emul/net/inet_group.h"
#include "emul/net/netif_info.h"
#include "emul/net/route.h"
#include "emul/proc/task.h"

/* Of <linux/in.h> and <linux/in6.h>, which exclude <netinet/in.h>. */
#ifndef IP_RECVERR_RFC4884
#define IP_RECVERR_RFC4884 26
#endif
#ifndef IPV6_2292PKTINFO
#define IPV6_2292PKTINFO 2
#define IPV6_2292HOPLIMIT 8
#endif
#ifndef IPV6_FLOWINFO
#define IPV6_FLOWINFO 11
#define IPV6_FLOWINFO_SEND 33
#endif
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif
#ifndef IPV6_RECVERR_RFC4884
#define IPV6_RECVERR_RFC4884 31
#endif

#define ANY INT32_MAX
#define NOT_STREAM 1    /* on a stream socket: error .stream */
#define ONLY_RAW 2      /* elsewhere: -ENOPROTOOPT */
#define NET_ADMIN 4     /* setting needs CAP_NET_ADMIN or CAP_NET_RAW */
#define IS_BOOL 8       /* the field is a bool */
#define MUST_BE_BOOL 16 /* other values than 0 and 1: -EINVAL */
#define NOT_EMPTY 32    /* IPPROTO_IP: no value at all is -EINVAL, not 0 */

struct row {
	int name;
	unsigned what;
	size_t off;
	int least, most;
	int stands_for; /* what -1 is shown as, if least is -1 */
	int stream;     /* the error of NOT_STREAM */
};

#define NUM(nm, field, lo, hi, ...) { nm, 0, offsetof(struct inet_options, field), lo, hi, __VA_ARGS__ }
#define FLAG(nm, field, flags) { nm, IS_BOOL | (flags), offsetof(struct inet_options, field), 0, ANY, 0, -EINVAL }

static const struct row ip_rows[] = {
	{ IP_TTL, NOT_EMPTY, offsetof(struct inet_options, ttl), -1, 255, 64, 0 },
	FLAG(IP_HDRINCL, hdrincl, ONLY_RAW),
	FLAG(IP_RECVOPTS, recvopts, 0),
	FLAG(IP_RETOPTS, retopts, 0),
	FLAG(IP_PKTINFO, pktinfo, 0),
	NUM(IP_MTU_DISCOVER, mtu_discover, IP_PMTUDISC_DONT, IP_PMTUDISC_OMIT, 0, 0),
	FLAG(IP_RECVERR, recverr, 0),
	FLAG(IP_RECVTTL, recvttl, 0),
	FLAG(IP_RECVTOS, recvtos, 0),
	FLAG(IP_FREEBIND, freebind, NOT_EMPTY),
	FLAG(IP_PASSSEC, passsec, 0),
	FLAG(IP_TRANSPARENT, transparent, NET_ADMIN | NOT_EMPTY),
	FLAG(IP_RECVORIGDSTADDR, recvorigdst, 0),
	{ IP_MINTTL, NOT_EMPTY, offsetof(struct inet_options, min_ttl), 0, 255, 0, 0 },
	FLAG(IP_NODEFRAG, nodefrag, ONLY_RAW),
	FLAG(IP_CHECKSUM, checksum, 0),
	FLAG(IP_BIND_ADDRESS_NO_PORT, bind_no_port, 0),
	FLAG(IP_RECVFRAGSIZE, recvfragsize, NOT_STREAM),
	FLAG(IP_RECVERR_RFC4884, recverr4884, MUST_BE_BOOL),
	{ IP_MULTICAST_TTL, NOT_STREAM | NOT_EMPTY, offsetof(struct inet_options, mc_ttl), -1, 255, 1, -EINVAL },
	FLAG(IP_MULTICAST_LOOP, mc_loop, NOT_EMPTY),
	FLAG(IP_MULTICAST_ALL, mc_all, MUST_BE_BOOL | NOT_EMPTY),
};

static const struct row ipv6_rows[] = {
	NUM(IPV6_UNICAST_HOPS, hops, -1, 255, 64, 0),
	{ IPV6_MULTICAST_HOPS, NOT_STREAM, offsetof(struct inet_options, mc_hops), -1, 255, 1, -ENOPROTOOPT },
	{ IPV6_MULTICAST_LOOP, IS_BOOL | MUST_BE_BOOL, offsetof(struct inet_options, mc_loop6), 0, ANY, 0, 0 },
	NUM(IPV6_MTU_DISCOVER, mtu_discover6, IPV6_PMTUDISC_DONT, IPV6_PMTUDISC_OMIT, 0, 0),
	FLAG(IPV6_RECVERR, recverr6, 0),
	FLAG(IPV6_RECVPKTINFO, pktinfo6, 0),
	FLAG(IPV6_2292PKTINFO, pktinfo6, 0),
	FLAG(IPV6_RECVHOPLIMIT, recvhops, 0),
	FLAG(IPV6_2292HOPLIMIT, recvhops, 0),
	FLAG(IPV6_RECVHOPOPTS, recvhopopts, 0),
	FLAG(IPV6_RECVRTHDR, recvrthdr, 0),
	FLAG(IPV6_RECVDSTOPTS, recvdstopts, 0),
	FLAG(IPV6_RECVPATHMTU, recvpathmtu, 0),
	FLAG(IPV6_DONTFRAG, dontfrag, 0),
	FLAG(IPV6_RECVTCLASS, recvtclass, 0),
	NUM(IPV6_TCLASS, tclass, -1, 255, 0, 0),
	FLAG(IPV6_AUTOFLOWLABEL, autoflow, 0),
	NUM(IPV6_MINHOPCOUNT, min_hops, 0, 255, 0, 0),
	FLAG(IPV6_RECVORIGDSTADDR, recvorigdst6, 0),
	FLAG(IPV6_TRANSPARENT, transparent, NET_ADMIN),
	FLAG(IPV6_RECVFRAGSIZE, recvfragsize6, 0),
	FLAG(IPV6_FREEBIND, freebind, 0),
	FLAG(IPV6_FLOWINFO, flowinfo, 0),
	FLAG(IPV6_FLOWINFO_SEND, flowinfo_send, 0),
	FLAG(IPV6_RECVERR_RFC4884, recverr4884_6, MUST_BE_BOOL),
	FLAG(IPV6_MULTICAST_ALL, mc_all6, MUST_BE_BOOL),
};

static const struct row *find(const struct row *rows, size_t n, int name)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].name == name)
			return &rows[i];
	return NULL;
}

static bool may_admin(struct task *t)
{
	return !t || cred_capable(t->fsc.cred, CAP_NET_ADMIN) || cred_capable(t->fsc.cred, CAP_NET_RAW);
}

static int set_row(struct inet_sock *i, struct task *t, const struct row *r, int val)
{
	void *field = (char *)&i->ip + r->off;

	if ((r->what & ONLY_RAW) && i->sock.type != SOCK_RAW)
		return -ENOPROTOOPT;
	if ((r->what & NOT_STREAM) && i->sock.type == SOCK_STREAM)
		return r->stream;
	if ((r->what & NET_ADMIN) && val && !may_admin(t))
		return -EPERM;
	if ((r->what & MUST_BE_BOOL) && val != 0 && val != 1)
		return -EINVAL;
	if (r->what & IS_BOOL) {
		*(bool *)field = val != 0;
		return 0;
	}
	if (val < r->least || val > r->most || (r->name == IP_TTL && val == 0 && r >= ip_rows && r < ip_rows + ARRAY_SIZE(ip_rows)))
		return -EINVAL;
	*(int *)field = val == -1 && (r->what & NOT_STREAM) ? r->stands_for : val;
	return 0;
}

static int get_row(struct inet_sock *i, const struct row *r)
{
	void *field = (char *)&i->ip + r->off;
	int val;

	if (r->what & IS_BOOL)
		return *(bool *)field;
	val = *(int *)field;
	return val == -1 ? r->stands_for : val;
}

/* --- numbers that are more than a number -------------------------------------------------------------------------------- */

/* The ECN bits of a stream are the protocol's. */
static int set_tos(struct inet_sock *i, int val)
{
	if (i->sock.type == SOCK_STREAM)
		val = (val & ~3) | (i->ip.tos & 3);
	i->ip.tos = val & 0xff;
	return 0;
}

void inet_set_v6only(struct inet_sock *i, bool on)
{
	i->v6only = on;
	mutex_lock(&ports_lock);
	i->port.v6only = on;
	mutex_unlock(&ports_lock);
}

static int set_v6only(struct inet_sock *i, int val)
{
	if (i->local.port)
		return -EINVAL;
	inet_set_v6only(i, val != 0);
	return 0;
}

static bool has_form(const struct inet_sock *i)
{
	return i->sock.type == SOCK_STREAM || i->sock.protocol == IPPROTO_UDP || i->sock.protocol == IPPROTO_UDPLITE;
}

/* IPV6_ADDRFORM: a connection to an IPv4 host becomes an IPv4 socket, for good. inet_lock held */
static int set_form(struct inet_sock *i, int val)
{
	if (val != AF_INET)
		return -EINVAL;
	if (!has_form(i))
		return -ENOPROTOOPT;
	if (!inet_is_connected(i))
		return -ENOTCONN;
	if (i->v6only || !addr_is_v4(&i->remote.ip))
		return -EADDRNOTAVAIL;
	sock_change_family(&i->sock, AF_INET);
	mutex_lock(&ports_lock);
	i->port.family = AF_INET;
	mutex_unlock(&ports_lock);
	return 0;
}

/* IP_UNICAST_IF and its kin name an interface in network byte order. */
static int set_unicast_if(struct inet_sock *i, int *field, int val)
{
	int index = (int)ntohl((uint32_t)val);
	struct netif_info info;

	if (index && netif_info_by_index(index, &info) < 0)
		return -EADDRNOTAVAIL;
	if (index && i->sock.opt.bound_if && i->sock.opt.bound_if != index)
		return -EINVAL;
	*field = index;
	return 0;
}

/* What packets of this family may be at most, and the interface carries. */
static int path_mtu(struct inet_sock *i, int most, int *ret)
{
	int ifindex = i->remote.port ? route_to(&i->remote.ip, i->remote.scope) : 0;

	if (!ifindex)
		return -ENOTCONN;
	*ret = MIN(ifindex == IF_LO ? LO_MTU : ETH_MTU, most);
	return 0;
}

/* An int, or for IPPROTO_IP one byte, or most often nothing: 0. A name that is not known comes before what is wrong with its value. */
static int read_number(int level, int name, const struct sock_optval *v, int *ret)
{
	bool four = level == IPPROTO_IP;
	const struct row *row = four ? find(ip_rows, ARRAY_SIZE(ip_rows), name) : find(ipv6_rows, ARRAY_SIZE(ipv6_rows), name);
	unsigned char byte;
	int r;

	*ret = 0;
	if (!row && !(four ? name == IP_TOS || name == IP_UNICAST_IF : name == IPV6_V6ONLY || name == IPV6_UNICAST_IF || name == IPV6_ADDRFORM))
		return -ENOPROTOOPT;
	if (v->len >= (int)sizeof(*ret))
		return sock_opt_read(v, ret, sizeof(*ret));
	if (!four || name == IP_UNICAST_IF || (v->len < 1 && row && (row->what & NOT_EMPTY)))
		return -EINVAL;
	if (v->len < 1)
		return 0;
	r = sock_opt_read(v, &byte, 1);
	*ret = byte;
	return r;
}

static int set_ip(struct inet_sock *i, struct task *t, int name, int val)
{
	const struct row *r = find(ip_rows, ARRAY_SIZE(ip_rows), name);

	if (r)
		return set_row(i, t, r, val);
	switch (name) {
	case IP_TOS: return set_tos(i, val);
	case IP_UNICAST_IF: return set_unicast_if(i, &i->ip.unicast_if, val);
	default: return -ENOPROTOOPT;
	}
}

static int set_ipv6(struct inet_sock *i, struct task *t, int name, int val)
{
	const struct row *r = find(ipv6_rows, ARRAY_SIZE(ipv6_rows), name);

	if (r)
		return set_row(i, t, r, val);
	switch (name) {
	case IPV6_V6ONLY: return set_v6only(i, val);
	case IPV6_ADDRFORM: return set_form(i, val);
	case IPV6_UNICAST_IF: return set_unicast_if(i, &i->ip.unicast_if6, val);
	default: return -ENOPROTOOPT;
	}
}

/* IP options of packets cannot be sent: lwIP does without. None is fine. */
static int set_ip_options(const struct sock_optval *v)
{
	return v->len == 0 ? 0 : v->len > 40 ? -EINVAL : -ENOPROTOOPT;
}

int inet_setsockopt(struct sock *s, struct task *t, int level, int name, const struct sock_optval *v)
{
	struct inet_sock *i = inet_of(s);
	int val, r;

	if (level != IPPROTO_IP && !(level == IPPROTO_IPV6 && s->family == AF_INET6))
		return -ENOPROTOOPT;
	if (level == IPPROTO_IP && name == IP_OPTIONS)
		return set_ip_options(v);
	if (level == IPPROTO_IPV6 && v->len >= (int)sizeof(val) && sock_opt_read(v, &val, sizeof(val)) < 0)
		return -EFAULT; /* whatever the name */
	r = inet_group_setsockopt(i, level, name, v);
	if (r != -ENOIOCTLCMD)
		return r;
	r = read_number(level, name, v, &val);
	if (r < 0)
		return r;
	inet_lock(i);
	r = level == IPPROTO_IP ? set_ip(i, t, name, val) : set_ipv6(i, t, name, val);
	inet_unlock(i);
	return r;
}

/* --- getting ------------------------------------------------------------------------------------------------------------- */

static int get_ip(struct inet_sock *i, int name, int *ret)
{
	const struct row *r = find(ip_rows, ARRAY_SIZE(ip_rows), name);

	if (r) {
		*ret = get_row(i, r);
		return 0;
	}
	switch (name) {
	case IP_TOS: *ret = i->ip.tos; return 0;
	case IP_UNICAST_IF: *ret = (int)htonl((uint32_t)i->ip.unicast_if); return 0;
	case IP_MTU: return path_mtu(i, IP_MTU_MAX, ret);
	default: return -ENOPROTOOPT;
	}
}

static int get_ipv6(struct inet_sock *i, int name, int *ret)
{
	const struct row *r = find(ipv6_rows, ARRAY_SIZE(ipv6_rows), name);

	if (r) {
		*ret = get_row(i, r);
		return 0;
	}
	switch (name) {
	case IPV6_V6ONLY: *ret = i->v6only; return 0;
	case IPV6_UNICAST_IF: *ret = (int)htonl((uint32_t)i->ip.unicast_if6); return 0;
	case IPV6_MULTICAST_IF: *ret = i->ip.mc_if6; return 0;
	case IPV6_MTU: return path_mtu(i, LO_MTU, ret);
	case IPV6_ADDRFORM:
		*ret = AF_INET6;
		return !has_form(i) ? -ENOPROTOOPT : inet_is_connected(i) ? 0 : -ENOTCONN;
	default: return -ENOPROTOOPT;
	}
}

int inet_getsockopt(struct sock *s, struct task *t, int level, int name, struct sock_optval *v)
{
	struct inet_sock *i = inet_of(s);
	unsigned char byte;
	int val, r;

	(void)t;
	if (level != IPPROTO_IP && !(level == IPPROTO_IPV6 && s->family == AF_INET6))
		return s->family == AF_INET ? -EOPNOTSUPP : -ENOPROTOOPT;
	if (v->len < 0 && level == IPPROTO_IP)
		return -EINVAL;
	if (v->len < 0)
		v->len = INT32_MAX; /* it is unsigned there */
	if (level == IPPROTO_IP && (name == IP_MULTICAST_IF || name == IP_OPTIONS)) {
		uint32_t addr;

		inet_lock(i);
		addr = i->ip.mc_addr.s6_addr32[3];
		inet_unlock(i);
		if (name == IP_MULTICAST_IF)
			return sock_opt_write(v, &addr, sizeof(addr));
		v->len = 0;
		return 0;
	}
	r = inet_group_get_sources(i, level, name, v);
	if (r != -ENOIOCTLCMD)
		return r;
	inet_lock(i);
	r = level == IPPROTO_IP ? get_ip(i, name, &val) : get_ipv6(i, name, &val);
	inet_unlock(i);
	if (r < 0)
		return r;
	byte = (unsigned char)val;
	if (level == IPPROTO_IP && v->len > 0 && v->len < (int)sizeof(val) && val >= 0 && val <= 255)
		return sock_opt_write(v, &byte, 1);
	return sock_opt_write_int(v, val);
}
