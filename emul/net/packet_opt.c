/* SPDX-License-Identifier: MIT */
/* SOL_PACKET: options and memberships of packet sockets. packet_setsockopt(), packet_mc_add(); man 7 packet. */
#include "emul/net/packet.h"

#include <linux/if_ether.h>
#include <stdlib.h>

#include "emul/net/netif_info.h"

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

static _Atomic unsigned promiscuous[3]; /* by interface index: lo, eth0 */

unsigned packet_promiscuity(int ifindex)
{
	return ifindex > 0 && ifindex < (int)ARRAY_SIZE(promiscuous) ? atomic_load(&promiscuous[ifindex]) : 0;
}

/* --- memberships ----------------------------------------------------------------------------------------------------- */

/* Every interface shows all its packets anyway: what is kept are the counts. */
static void count(const struct packet_member *m, int by)
{
	if (m->type == PACKET_MR_PROMISC && m->ifindex < (int)ARRAY_SIZE(promiscuous))
		atomic_fetch_add(&promiscuous[m->ifindex], (unsigned)by);
}

static struct packet_member *find_locked(struct packet_sock *p, const struct packet_member *like)
{
	struct packet_member *m;

	list_for_each(m, &p->members, node)
		if (m->ifindex == like->ifindex && m->type == like->type && m->alen == like->alen && !memcmp(m->addr, like->addr, m->alen))
			return m;
	return NULL;
}

static int join(struct packet_sock *p, const struct packet_member *like)
{
	struct packet_member *m, *fresh;
	struct netif_info i;

	if (netif_info_by_index(like->ifindex, &i) < 0)
		return -ENODEV;
	if (like->alen > ETH_ALEN)
		return -EINVAL;
	if ((like->type == PACKET_MR_MULTICAST || like->type == PACKET_MR_UNICAST) && like->alen != ETH_ALEN)
		return -EINVAL;
	fresh = malloc(sizeof(*fresh));
	if (!fresh)
		return -ENOBUFS;
	*fresh = *like;
	fresh->count = 1;
	mutex_lock(&p->sk.lock);
	m = find_locked(p, like);
	if (m) {
		m->count++;
	} else {
		count(fresh, 1);
		list_add_tail(&p->members, &steal(fresh)->node);
	}
	mutex_unlock(&p->sk.lock);
	free(fresh);
	return 0;
}

static int leave(struct packet_sock *p, const struct packet_member *like)
{
	struct packet_member *m, *gone = NULL;

	mutex_lock(&p->sk.lock);
	m = find_locked(p, like);
	if (m && !--m->count) {
		count(m, -1);
		list_del(&m->node);
		gone = m;
	}
	mutex_unlock(&p->sk.lock);
	free(gone);
	return 0; /* also if it was in none */
}

void packet_leave_all(struct packet_sock *p)
{
	mutex_lock(&p->sk.lock);
	while (!list_empty(&p->members)) {
		struct packet_member *m = list_first(&p->members, struct packet_member, node);

		count(m, -1);
		list_del(&m->node);
		free(m);
	}
	mutex_unlock(&p->sk.lock);
}

static int membership(struct packet_sock *p, const struct sock_optval *v, bool add)
{
	struct { int ifindex; uint16_t type, alen; uint8_t addr[32]; } rq = { 0 }; /* packet_mreq_max */
	struct packet_member like = { 0 };
	size_t len = MIN((size_t)MAX(v->len, 0), sizeof(rq));

	if (len < sizeof(struct packet_mreq))
		return -EINVAL;
	if (sock_opt_read(v, &rq, len) < 0)
		return -EFAULT;
	if (len < rq.alen + offsetof(struct packet_mreq, mr_address))
		return -EINVAL;
	like = (struct packet_member){ .ifindex = rq.ifindex, .type = rq.type, .alen = rq.alen };
	memcpy(like.addr, rq.addr, sizeof(like.addr));
	return add ? join(p, &like) : leave(p, &like);
}

/* --- options ------------------------------------------------------------------------------------------------------------ */

static bool *flag_of(struct packet_sock *p, int name)
{
	switch (name) {
	case PACKET_AUXDATA: return &p->auxdata;
	case PACKET_ORIGDEV: return &p->origdev;
	case PACKET_IGNORE_OUTGOING: return &p->ignore_outgoing;
	case PACKET_QDISC_BYPASS: return &p->bypass; /* there is no queue to pass by */
	default: return NULL;
	}
}

static int *number_of(struct packet_sock *p, int name)
{
	return name == PACKET_TIMESTAMP ? &p->timestamp : name == PACKET_COPY_THRESH ? &p->copy_thresh : NULL;
}

/* The form of rings, and room before the data in them: not while there is one. */
static int set_ring_fact(struct packet_sock *p, int name, const struct sock_optval *v)
{
	int val, r;

	if (v->len != sizeof(val))
		return -EINVAL;
	r = sock_opt_int(v, &val);
	if (r < 0)
		return r;
	if (val < 0 || (name == PACKET_VERSION && val > TPACKET_V2))
		return -EINVAL;
	mutex_lock(&p->sk.lock);
	if (p->ring)
		r = -EBUSY;
	else
		*(name == PACKET_VERSION ? &p->version : &p->reserve) = (unsigned)val;
	mutex_unlock(&p->sk.lock);
	return r;
}

/* How long a header is in the form that the value says. */
static int get_header_length(struct sock_optval *v)
{
	int val, r;

	if (v->len < (int)sizeof(val))
		return -EINVAL;
	r = sock_opt_int(v, &val);
	if (r < 0)
		return r;
	switch (val) {
	case TPACKET_V1: return sock_opt_write_int(v, sizeof(struct tpacket_hdr));
	case TPACKET_V2: return sock_opt_write_int(v, sizeof(struct tpacket2_hdr));
	default: return -EINVAL;
	}
}

int packet_setsockopt(struct sock *s, struct task *t, int level, int name, const struct sock_optval *v)
{
	struct packet_sock *p = packet_of(s);
	bool *flag = flag_of(p, name);
	int *number = number_of(p, name), val, r;

	if (level != SOL_PACKET)
		return -ENOPROTOOPT;
	if (name == PACKET_ADD_MEMBERSHIP || name == PACKET_DROP_MEMBERSHIP)
		return membership(p, v, name == PACKET_ADD_MEMBERSHIP);
	if (name == PACKET_RX_RING)
		return packet_ring_set(p, t, v);
	if (name == PACKET_VERSION || name == PACKET_RESERVE)
		return set_ring_fact(p, name, v);
	if (!flag && !number)
		return -ENOPROTOOPT;
	if (v->len < (int)sizeof(val) || ((number || name == PACKET_IGNORE_OUTGOING || name == PACKET_QDISC_BYPASS) && v->len != sizeof(val)))
		return -EINVAL;
	r = sock_opt_int(v, &val);
	if (r < 0)
		return r;
	if (name == PACKET_IGNORE_OUTGOING && (val < 0 || val > 1))
		return -EINVAL;
	mutex_lock(&s->lock);
	if (flag)
		*flag = val;
	else
		*number = val;
	mutex_unlock(&s->lock);
	return 0;
}

/* Those since the last time, the dropped among them. */
static int get_statistics(struct packet_sock *p, struct sock_optval *v)
{
	struct tpacket_stats st;

	mutex_lock(&p->sk.lock);
	st = (struct tpacket_stats){ .tp_packets = p->packets, .tp_drops = p->dropped };
	p->packets = p->dropped = 0;
	mutex_unlock(&p->sk.lock);
	return sock_opt_write(v, &st, sizeof(st));
}

int packet_getsockopt(struct sock *s, struct task *t, int level, int name, struct sock_optval *v)
{
	struct packet_sock *p = packet_of(s);
	bool *flag = flag_of(p, name);

	(void)t;
	if (level != SOL_PACKET)
		return -ENOPROTOOPT;
	if (v->len < 0)
		return -EINVAL;
	if (name == PACKET_STATISTICS)
		return get_statistics(p, v);
	if (flag)
		return sock_opt_write_int(v, *flag);
	switch (name) {
	case PACKET_TIMESTAMP: return sock_opt_write_int(v, p->timestamp);
	case PACKET_HDRLEN: return get_header_length(v);
	case PACKET_VERSION: return sock_opt_write_int(v, (int)p->version);
	case PACKET_RESERVE: return sock_opt_write_int(v, (int)p->reserve);
	default: return -ENOPROTOOPT;
	}
}
