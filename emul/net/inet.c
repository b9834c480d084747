/* SPDX-License-Identifier: MIT */
/* What all AF_INET and AF_INET6 sockets share: life, bind, names, the way to a destination. net/ipv4/af_inet.c, net/ipv6/af_inet6.c. */
#include "emul/net/inet.h"

#include <linux/capability.h>
#include <stdlib.h>

#include "emul/net/dgram.h"
#include "emul/net/filter.h"
#include "emul/net/inet_tcp.h"
#include "emul/net/mib.h"
#include "emul/net/netif_info.h"
#include "emul/net/route.h"
#include "emul/proc/task.h"

#define PROT_SOCK 1024 /* net.ipv4.ip_unprivileged_port_start */

void inet_lock_two(struct inet_sock *a, struct inet_sock *b) NO_LOCK_ANALYSIS
{
	if (inet_mutex(a) == inet_mutex(b))
		inet_lock(a);
	else
		mutex_lock_two(inet_mutex(a), inet_mutex(b));
}

void inet_unlock_two(struct inet_sock *a, struct inet_sock *b) NO_LOCK_ANALYSIS
{
	if (inet_mutex(a) == inet_mutex(b))
		inet_unlock(a);
	else
		mutex_unlock_two(inet_mutex(a), inet_mutex(b));
}

void inet_init(struct inet_sock *i, enum port_proto proto, struct sock *lock_owner)
{
	i->lock_owner = lock_owner ? sock_get(lock_owner) : &i->sock;
	ports_init_entry(&i->port, i, proto, i->sock.family);
	i->local.ip = i->sock.family == AF_INET ? addr_any4 : addr_any6;
	i->remote.ip = i->local.ip;
	list_init(&i->groups);
	i->ip = (struct inet_options){
		.tclass = -1, .ttl = -1, .hops = -1, .mc_ttl = 1, .mc_hops = 1, .mc_loop = true, .mc_loop6 = true, .mc_all = true,
		.mc_all6 = true, .mtu_discover = IP_PMTUDISC_WANT,
		.mtu_discover6 = IP_PMTUDISC_WANT, .autoflow = true, .raw_checksum = -1,
	};
}

void inet_fini(struct inet_sock *i)
{
	while (!list_empty(&i->groups)) {
		struct inet_group *g = list_first(&i->groups, struct inet_group, node);

		list_del(&g->node);
		free(g);
	}
	filter_put(i->chooser);
	if (i->lock_owner && i->lock_owner != &i->sock)
		sock_put(i->lock_owner);
}

static bool capable(struct task *t, int cap)
{
	return !t || cred_capable(t->fsc.cred, cap);
}

/* --- bind ------------------------------------------------------------------------------------------------------- */

static bool may_be_foreign(const struct inet_sock *i)
{
	return i->ip.freebind || i->ip.transparent;
}

/* The AF_INET address, with AF_UNSPEC for old programs. */
static int read_bind4(struct inet_sock *i, const struct sock_addr *a, struct endpoint *ret)
{
	struct sockaddr_in in;
	int r;

	if (a->len < (int)sizeof(in))
		return -EINVAL;
	memcpy(&in, &a->ss, sizeof(in));
	if (in.sin_family == AF_UNSPEC && in.sin_addr.s_addr == htonl(INADDR_ANY))
		in.sin_family = AF_INET;
	r = addr_read(AF_INET, &in, sizeof(in), ret);
	if (r < 0)
		return r;
	if (addr_is_any(&ret->ip) || route_is_local(&ret->ip) || route_is_broadcast(&ret->ip) || addr_is_multicast(&ret->ip) ||
	    may_be_foreign(i))
		return 0;
	return -EADDRNOTAVAIL;
}

static int check_bind6(struct inet_sock *i, struct endpoint *e)
{
	const struct in6_addr *ip = &e->ip;

	if (addr_is_v4(ip)) {
		if (i->v6only)
			return -EINVAL;
		return addr_is_any(ip) || route_is_local(ip) || route_is_broadcast(ip) || addr_is_multicast(ip) || may_be_foreign(i) ?
			       0 :
			       -EADDRNOTAVAIL;
	}
	if (addr_is_any(ip))
		return 0;
	if (addr_is_linklocal6(ip) || IN6_IS_ADDR_MC_LINKLOCAL(ip)) {
		struct netif_info info;

		if (e->scope)
			i->sock.opt.bound_if = (int)e->scope;
		if (!i->sock.opt.bound_if)
			return -EINVAL;
		if (netif_info_by_index(i->sock.opt.bound_if, &info) < 0)
			return -ENODEV;
	}
	return addr_is_multicast(ip) || route_is_local(ip) || may_be_foreign(i) ? 0 : -EADDRNOTAVAIL;
}

static int read_bind(struct inet_sock *i, const struct sock_addr *a, struct endpoint *ret)
{
	int r;

	if (i->sock.family == AF_INET)
		return read_bind4(i, a, ret);
	r = addr_read(AF_INET6, &a->ss, (unsigned)a->len, ret);
	if (r < 0)
		return r;
	return i->sock.type == SOCK_STREAM && IN6_IS_ADDR_MULTICAST(&ret->ip) ? -EINVAL : 0;
}

int inet_bind_locked(struct inet_sock *i, struct task *t, const struct sock_addr *a, bool busy)
{
	struct endpoint e;
	int r = read_bind(i, a, &e);

	if (r < 0)
		return r;
	if (e.port && e.port < PROT_SOCK && !capable(t, CAP_NET_BIND_SERVICE))
		return -EACCES;
	if (busy || i->local.port)
		return -EINVAL;
	if (i->sock.family == AF_INET6) {
		r = check_bind6(i, &e);
		if (r < 0)
			return r;
	}
	if (e.port || !i->ip.bind_no_port) {
		r = ports_bind(&i->port, &e.ip, e.port);
		if (r < 0)
			return r;
	}
	i->local = e;
	i->local.port = i->port.port;
	i->addr_given = !addr_is_any(&e.ip);
	i->port_given = e.port != 0;
	if (i->addr_given && !addr_is_v4(&e.ip))
		inet_set_v6only(i, true); /* __inet6_bind() */
	return 0;
}

bool inet_is_connected(struct inet_sock *i)
{
	return i->sock.type == SOCK_STREAM ? tcp_of(&i->sock)->state == TCP_ESTABLISHED : dgram_of(&i->sock)->connected;
}

int inet_autobind_locked(struct inet_sock *i)
{
	int r;

	if (i->local.port)
		return 0;
	r = ports_bind(&i->port, &i->local.ip, 0);
	if (r < 0)
		return -EAGAIN;
	i->local.port = i->port.port;
	return 0;
}

/* --- names --------------------------------------------------------------------------------------------------------- */

int inet_getname(struct sock *s, bool peer, struct sock_addr *ret)
{
	struct inet_sock *i = inet_of(s);
	int r = 0;

	inet_lock(i);
	if (peer && !i->remote.port)
		r = -ENOTCONN;
	else
		ret->len = (int)addr_write(s->family, peer ? &i->remote : &i->local, &ret->ss);
	inet_unlock(i);
	return r;
}

/* --- the way to a destination ------------------------------------------------------------------------------------------ */

static bool source_fits(struct inet_sock *i, const struct endpoint *dst)
{
	bool v4 = addr_is_v4(&dst->ip);

	if (addr_is_any(&i->local.ip) && !addr_is_v4(&i->local.ip))
		return !(v4 && i->v6only);
	return addr_is_v4(&i->local.ip) == v4;
}

/* 0.0.0.0 and :: are this host: where the socket is bound, else loopback. */
static void resolve_any(struct inet_sock *i, struct endpoint *dst)
{
	if (!addr_is_any(&dst->ip))
		return;
	if (i->sock.family == AF_INET || addr_is_v4(&dst->ip))
		dst->ip = i->addr_given && addr_is_v4(&i->local.ip) ? i->local.ip : addr_loopback4;
	else
		dst->ip = addr_is_v4(&i->local.ip) ? addr_loopback4 : addr_loopback6;
}

static bool is_set(const struct in6_addr *a)
{
	return !addr_is_any(a) && !addr_is_multicast(a) && !route_is_broadcast(a);
}

int inet_route_locked(struct inet_sock *i, struct endpoint *dst, struct in6_addr *ret_src, int *ret_ifindex)
{
	int dev = i->sock.opt.bound_if, oif;

	resolve_any(i, dst);
	if (!source_fits(i, dst))
		return i->sock.family == AF_INET6 && addr_is_v4(&dst->ip) ? -ENETUNREACH : -EINVAL;
	if (addr_is_linklocal6(&dst->ip)) {
		if (!dst->scope)
			dst->scope = (uint32_t)dev;
		if (!dst->scope || (dev && (int)dst->scope != dev))
			return -EINVAL;
	}
	oif = route_to(&dst->ip, dst->scope);
	if (!oif) {
		mib_ip(!addr_is_v4(&dst->ip), MIB_IP_NO_ROUTE, 1);
		return -ENETUNREACH;
	}
	if (oif != IF_LO && dev && dev != oif)
		return -ENETUNREACH;
	if (is_set(&i->local.ip)) {
		if (oif == IF_ETH && addr_is_loopback(&i->local.ip))
			return -EINVAL;
		*ret_src = i->local.ip;
	} else if (!route_source(&dst->ip, dst->scope, ret_src)) {
		return -EADDRNOTAVAIL;
	}
	*ret_ifindex = oif;
	return 0;
}

/* --- families --------------------------------------------------------------------------------------------------------------- */

static int create(struct task *t, int family, int type, int protocol, struct sock **ret)
{
	switch (type) {
	case SOCK_STREAM:
		if (protocol && protocol != IPPROTO_TCP)
			return -EPROTONOSUPPORT;
		return inet_tcp_new(t, family, IPPROTO_TCP, ret);
	case SOCK_DGRAM:
		if (protocol == (family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6))
			return inet_icmp_new(t, family, type, protocol, ret);
		if (protocol && protocol != IPPROTO_UDP && protocol != IPPROTO_UDPLITE)
			return -EPROTONOSUPPORT;
		return inet_udp_new(t, family, protocol ? protocol : IPPROTO_UDP, ret);
	case SOCK_RAW:
		if (!protocol)
			return -EPROTONOSUPPORT;
		if (!capable(t, CAP_NET_RAW))
			return -EPERM;
		return inet_icmp_new(t, family, type, protocol, ret);
	default:
		return -ESOCKTNOSUPPORT;
	}
}

static int check_protocol(int protocol)
{
	return protocol < 0 || protocol >= IPPROTO_MAX ? -EINVAL : 0;
}

static int create4(struct task *t, int type, int protocol, struct sock **ret)
{
	int r = check_protocol(protocol);

	return r < 0 ? r : create(t, AF_INET, type, protocol, ret);
}

static int create6(struct task *t, int type, int protocol, struct sock **ret)
{
	int r = check_protocol(protocol);

	return r < 0 ? r : create(t, AF_INET6, type, protocol, ret);
}

void inet_register(void)
{
	static const struct sock_family four = { .family = AF_INET, .create = create4 };
	static const struct sock_family six = { .family = AF_INET6, .create = create6 };

	sock_family_register(&four);
	sock_family_register(&six);
}
