/* SPDX-License-Identifier: MIT */
/*
 * Ping sockets (SOCK_DGRAM, IPPROTO_ICMP and ICMPV6) and raw sockets. net/ipv4/ping.c, raw.c. This host answers its own echo
 * requests here; those to foreign hosts go through lwIP. Of the wire's packets raw sockets see UDP and ICMP.
 */
#include "emul/net/inet_icmp.h"

#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <stdlib.h>

#include "emul/net/checksum.h"
#include "emul/net/filter.h"
#include "emul/net/frame.h"
#include "emul/net/inet_group.h"
#include "emul/net/lwip_port.h"
#include "emul/net/mib.h"
#include "emul/net/packet.h"
#include "emul/net/route.h"

#ifndef SOL_RAW
#define SOL_RAW 255
#endif
#define HEADER 8 /* of ICMP: type, code, checksum, identifier, sequence */

struct icmp_sock {
	struct dgram_sock d; /* first */
	struct list node;    /* icmp_lock */
};

/* All of them, outside inet_lock: a socket in the list has its file. */
static struct mutex icmp_lock = MUTEX_INIT;
static struct list all = LIST_INIT(all); /* icmp_lock */
static uint16_t next_ident;              /* icmp_lock */

static struct icmp_sock *icmp_of(struct sock *s)
{
	return container_of(dgram_of(s), struct icmp_sock, d);
}

/* --- checksums --------------------------------------------------------------------------------------------------------- */

static void checksum_icmp(uint8_t *packet, size_t len, const struct in6_addr *src, const struct in6_addr *dst, bool six)
{
	packet[2] = packet[3] = 0;
	checksum_put(packet + 2, checksum_add(packet, len, six ? checksum_pseudo(src, dst, IPPROTO_ICMPV6, len) : 0));
}

/* --- in ---------------------------------------------------------------------------------------------------------------------- */

static bool is_reply(const uint8_t *icmp, int protocol)
{
	return protocol == IPPROTO_ICMP ? icmp[0] == ICMP_ECHOREPLY : icmp[0] == ICMPV6_ECHO_REPLY;
}

static bool filtered(struct dgram_sock *d, const uint8_t *icmp, int protocol)
{
	if (protocol == IPPROTO_ICMP)
		return icmp[0] < 32 && (d->inet.ip.icmp_filter >> icmp[0] & 1);
	return protocol == IPPROTO_ICMPV6 && (d->inet.ip.icmp6_filter[icmp[0] >> 5] >> (icmp[0] & 31) & 1);
}

static bool addressed(struct dgram_sock *d, const struct dgram *g)
{
	struct inet_sock *i = &d->inet;
	int dev = i->sock.opt.bound_if;
	bool fits;

	inet_lock(i);
	fits = (addr_is_any(&i->local.ip) || addr_eq(&i->local.ip, &g->to.ip)) && (!dev || dev == g->ifindex) &&
	       (!d->connected || addr_eq(&i->remote.ip, &g->from.ip));
	inet_unlock(i);
	return fits;
}

static bool wants(struct icmp_sock *k, const struct dgram *g, int protocol, size_t header)
{
	struct sock *s = &k->d.inet.sock;
	const uint8_t *icmp = (const uint8_t *)g->data + header;
	bool has_icmp = g->len >= header + HEADER && (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6);

	if (s->protocol != protocol || (s->family == AF_INET) != addr_is_v4(&g->to.ip) || !addressed(&k->d, g))
		return false;
	if (s->type == SOCK_RAW)
		return !has_icmp || !filtered(&k->d, icmp, protocol);
	return has_icmp && is_reply(icmp, protocol) && !memcmp(icmp + 4, &k->d.ident, 2);
}

/* Raw IPv4 sockets' filters see the IP header first, the others what follows it. false: it is dropped. */
static bool filter(struct icmp_sock *k, struct dgram *g, int protocol, size_t header)
{
	struct sock *s = &k->d.inet.sock;
	size_t keep;
	struct bpf_packet p = {
		.bytes = (const uint8_t *)g->data, .len = g->len, .data = g->skip, .net = header ? 0 : -1, .link = -1,
		.transport = (int)header, .ip_protocol = (uint8_t)protocol, .protocol = addr_is_v4(&g->to.ip) ? ETH_P_IP : ETH_P_IPV6,
		.ifindex = g->ifindex, .hatype = g->ifindex == IF_LO ? ARPHRD_LOOPBACK : ARPHRD_ETHER, .mark = g->mark,
	};

	if (!filter_is_set(s))
		return true;
	if (!filter_passes(s, &p, 1, &keep))
		return false;
	g->len = g->skip + keep;
	return true;
}

void inet_icmp_input(struct dgram *g, int protocol, size_t header)
{
	struct icmp_sock *k;

	mutex_lock(&icmp_lock);
	list_for_each(k, &all, node) {
		bool raw4 = k->d.inet.sock.type == SOCK_RAW && k->d.inet.sock.family == AF_INET;
		struct dgram *copy;

		if (!wants(k, g, protocol, header))
			continue;
		copy = dgram_copy(g);
		if (!copy)
			continue;
		copy->skip = raw4 ? 0 : header;
		if (filter(k, copy, protocol, header))
			dgram_deliver(&k->d, copy);
		else
			free(copy);
	}
	mutex_unlock(&icmp_lock);
	free(g);
}

static bool caused(struct icmp_sock *k, const struct dgram_fault *f, int protocol, uint16_t ident)
{
	struct dgram_sock *d = &k->d;
	struct inet_sock *i = &d->inet;
	bool fits;

	if (i->sock.protocol != protocol || (i->sock.family == AF_INET) != addr_is_v4(&f->to.ip))
		return false;
	inet_lock(i);
	fits = i->sock.type == SOCK_RAW ? !d->connected || addr_eq(&i->remote.ip, &f->to.ip) : d->ident == ident;
	inet_unlock(i);
	return fits;
}

void inet_icmp_error(const struct dgram_fault *f, int protocol, uint16_t ident)
{
	struct icmp_sock *k;

	mutex_lock(&icmp_lock);
	list_for_each(k, &all, node)
		if (caused(k, f, protocol, ident))
			dgram_error(&k->d, f);
	mutex_unlock(&icmp_lock);
}

/* --- out ------------------------------------------------------------------------------------------------------------------------ */

/* The packet as it would be seen: with an IP header where that is IPv4. */
static struct dgram *with_header(const struct dgram *g, int protocol, const struct endpoint *from, const struct endpoint *to)
{
	bool v4 = addr_is_v4(&to->ip);
	size_t header = v4 ? sizeof(struct iphdr) : 0;
	struct dgram *p = malloc(sizeof(*p) + header + g->len);

	if (!p)
		return NULL;
	*p = *g;
	list_init(&p->node);
	p->from = *from;
	p->to = *to;
	p->len = header + g->len;
	memcpy(p->data + header, g->data, g->len);
	if (v4) {
		struct iphdr ip = {
			.version = 4, .ihl = 5, .tos = (uint8_t)g->tos, .tot_len = htons((uint16_t)p->len), .ttl = (uint8_t)g->ttl,
			.protocol = (uint8_t)protocol, .saddr = from->ip.s6_addr32[3], .daddr = to->ip.s6_addr32[3],
		};

		checksum_put((uint8_t *)&ip.check, checksum_add(&ip, sizeof(ip), 0));
		memcpy(p->data, &ip, sizeof(ip));
	}
	return p;
}

static void deliver_here(const struct dgram *g, int protocol, const struct endpoint *from, const struct endpoint *to)
{
	struct dgram *p = with_header(g, protocol, from, to);

	if (p)
		inet_icmp_input(p, protocol, addr_is_v4(&to->ip) ? sizeof(struct iphdr) : 0);
}

static void show(const struct dgram *g, int protocol, const struct endpoint *from, const struct endpoint *to)
{
	if (packet_wanted())
		packet_show_lo(frame_ip(from, to, g->tos, g->ttl, (uint8_t)protocol, g->data, g->len), g->mark);
}

void inet_icmp_local(struct dgram *g, int protocol)
{
	uint8_t *icmp = (uint8_t *)g->data;
	bool six = protocol == IPPROTO_ICMPV6;
	bool echo = g->len >= HEADER && ((protocol == IPPROTO_ICMP && icmp[0] == ICMP_ECHO) || (six && icmp[0] == ICMPV6_ECHO_REQUEST));

	route_count_lo(six, g->len);
	if (g->len && (six || protocol == IPPROTO_ICMP)) {
		mib_icmp(six, true, icmp[0]);
		mib_icmp(six, false, icmp[0]);
	}
	deliver_here(g, protocol, &g->from, &g->to);
	if (echo) {
		icmp[0] = six ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY;
		checksum_icmp(icmp, g->len, &g->to.ip, &g->from.ip, six);
		route_count_lo(six, g->len);
		mib_icmp(six, true, icmp[0]);
		mib_icmp(six, false, icmp[0]);
		show(g, protocol, &g->to, &g->from);
		deliver_here(g, protocol, &g->to, &g->from);
	}
	free(g);
}

static int check_ping(struct dgram_sock *d, const struct dgram *g)
{
	const uint8_t *icmp = (const uint8_t *)g->data;
	bool six = d->inet.sock.family == AF_INET6;

	if (g->len < HEADER || icmp[1])
		return -EINVAL;
	return icmp[0] == (six ? ICMPV6_ECHO_REQUEST : ICMP_ECHO) ? 0 : -EINVAL;
}

static ssize_t icmp_sendmsg(struct sock *s, struct task *task, struct sock_msg *m)
{
	struct dgram_sock *d = dgram_of(s);
	bool raw = s->type == SOCK_RAW;
	struct dgram_target t;
	struct dgram *g;
	size_t len;
	int r = dgram_send_begin(d, m, false, &t, &g);

	(void)task;
	if (r < 0)
		return r;
	len = g->len;
	g->to.port = 0;
	if (!raw) {
		r = check_ping(d, g);
		if (r < 0) {
			free(g);
			return r;
		}
		memcpy(g->data + 4, &d->ident, 2);
	}
	if (g->len >= HEADER && (!raw || s->protocol == IPPROTO_ICMPV6))
		checksum_icmp((uint8_t *)g->data, g->len, &g->from.ip, &g->to.ip, s->family == AF_INET6);
	if (t.ifindex == IF_LO) {
		if (t.hdrincl && g->len >= sizeof(struct iphdr)) {
			memmove(g->data, g->data + sizeof(struct iphdr), g->len - sizeof(struct iphdr));
			g->len -= sizeof(struct iphdr);
		}
		show(g, s->protocol, &g->from, &g->to);
		inet_icmp_local(g, s->protocol);
		return (ssize_t)len;
	}
	r = lwip_send_raw(s->protocol, &g->from, &g->to, g->tos, g->ttl, t.hdrincl, g->data, g->len);
	free(g);
	return r < 0 ? r : (ssize_t)len;
}

/* --- life -------------------------------------------------------------------------------------------------------------------------- */

/* A ping socket's port is its identifier; a raw one has none. */
static int icmp_bind(struct sock *s, struct task *t, const struct sock_addr *a)
{
	struct dgram_sock *d = dgram_of(s);
	struct sock_addr plain = *a;
	uint16_t port = 0;
	int r;

	if (plain.len >= (int)sizeof(struct sockaddr_in)) {
		memcpy(&port, (char *)&plain.ss + offsetof(struct sockaddr_in, sin_port), 2);
		memset((char *)&plain.ss + offsetof(struct sockaddr_in, sin_port), 0, 2);
	}
	inet_lock(&d->inet);
	d->inet.ip.bind_no_port = true; /* these are not in the port tables */
	r = inet_bind_locked(&d->inet, t, &plain, false);
	d->inet.ip.bind_no_port = false;
	if (r == 0 && s->type == SOCK_DGRAM && port)
		d->ident = port;
	if (r == 0)
		d->inet.local.port = s->type == SOCK_DGRAM ? ntohs(d->ident) : (uint16_t)s->protocol;
	inet_unlock(&d->inet);
	return r;
}

static int icmp_connect(struct sock *s, struct task *t, const struct sock_addr *a)
{
	struct dgram_sock *d = dgram_of(s);
	struct endpoint dst;
	struct in6_addr src;
	int r, ifindex;

	(void)t;
	if (a->len < (int)sizeof(a->sa.sa_family))
		return -EINVAL;
	inet_lock(&d->inet);
	if (a->sa.sa_family == AF_UNSPEC) {
		d->connected = false;
		r = 0;
	} else {
		r = addr_read(s->family, &a->ss, (unsigned)a->len, &dst);
		if (r == 0)
			r = inet_route_locked(&d->inet, &dst, &src, &ifindex);
		if (r == 0) {
			d->inet.local.ip = src;
			d->inet.remote = dst;
			if (!dst.port)
				d->inet.remote.port = (uint16_t)s->protocol;
			d->connected = true;
		}
	}
	inet_unlock(&d->inet);
	return r;
}

static int icmp_setsockopt(struct sock *s, struct task *t, int level, int name, const struct sock_optval *v)
{
	struct dgram_sock *d = dgram_of(s);
	uint32_t filter[8];
	int r;

	if (s->type == SOCK_RAW && level == SOL_RAW && name == ICMP_FILTER && s->protocol == IPPROTO_ICMP) {
		r = v->len < 4 ? -EINVAL : sock_opt_read(v, filter, 4);
		if (r == 0)
			d->inet.ip.icmp_filter = filter[0];
		return r;
	}
	if (level == SOL_ICMPV6 && name == 1 && s->protocol == IPPROTO_ICMPV6) {
		r = v->len < (int)sizeof(filter) ? -EINVAL : sock_opt_read(v, filter, sizeof(filter));
		if (r == 0)
			memcpy(d->inet.ip.icmp6_filter, filter, sizeof(filter));
		return r;
	}
	return dgram_setsockopt(s, t, level, name, v);
}

static int icmp_getsockopt(struct sock *s, struct task *t, int level, int name, struct sock_optval *v)
{
	struct dgram_sock *d = dgram_of(s);

	if (level == SOL_RAW || level == SOL_ICMPV6) /* others look at the length themselves */
		v->len = MAX(v->len, 0);
	if (s->type == SOCK_RAW && level == SOL_RAW && name == ICMP_FILTER && s->protocol == IPPROTO_ICMP)
		return sock_opt_write(v, &d->inet.ip.icmp_filter, 4);
	if (level == SOL_ICMPV6 && name == 1 && s->protocol == IPPROTO_ICMPV6)
		return sock_opt_write(v, d->inet.ip.icmp6_filter, sizeof(d->inet.ip.icmp6_filter));
	return inet_getsockopt(s, t, level, name, v);
}

static void icmp_release(struct sock *s)
{
	struct icmp_sock *k = icmp_of(s);

	mutex_lock(&icmp_lock);
	list_del(&k->node);
	mutex_unlock(&icmp_lock);
	inet_group_leave_all(&k->d.inet);
}

static const struct sock_ops icmp_ops = {
	.bind = icmp_bind,
	.connect = icmp_connect,
	.getname = dgram_getname,
	.shutdown = dgram_shutdown,
	.setsockopt = icmp_setsockopt,
	.getsockopt = icmp_getsockopt,
	.sendmsg = icmp_sendmsg,
	.recvmsg = dgram_recvmsg,
	.poll = dgram_poll,
	.ioctl = dgram_ioctl,
	.memory = dgram_memory,
	.release = icmp_release,
	.destroy = dgram_destroy,
};

int inet_icmp_new(struct task *t, int family, int type, int protocol, struct sock **ret)
{
	struct icmp_sock *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	sock_init(&k->d.inet.sock, &icmp_ops, family, type, protocol, t);
	inet_init(&k->d.inet, PORT_UDP, NULL);
	list_init(&k->d.rq);
	list_init(&k->d.errq);
	mutex_lock(&icmp_lock);
	k->d.ident = htons(++next_ident);
	list_add_tail(&all, &k->node);
	mutex_unlock(&icmp_lock);
	*ret = &k->d.inet.sock;
	return 0;
}
