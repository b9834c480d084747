/* SPDX-License-Identifier: MIT */
/* Packet sockets: packet.h has the theory. packet_rcv(), packet_recvmsg(), packet_snd() are the model. */
#include "emul/net/packet.h"

#include <arpa/inet.h>
#include <linux/capability.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "emul/mm/mm.h"
#include "emul/net/filter.h"
#include "emul/net/lwip_port.h"
#include "emul/net/netif_info.h"
#include "emul/net/route.h"
#include "emul/proc/task.h"
#include "emul/vfs/pseudo.h"

#define OVERHEAD 768  /* what a packet takes of the receive buffer beside its data */
#define VLAN_HLEN 4
#define LL_HEADER ((int)offsetof(struct sockaddr_ll, sll_addr))

_Atomic unsigned packet_listeners;
static struct mutex packets_lock = MUTEX_INIT;
static struct list all = LIST_INIT(all); /* packets_lock */

/* --- in ---------------------------------------------------------------------------------------------------------------- */

/* eth_type_trans() */
static uint16_t protocol_of(const struct ethhdr *h)
{
	uint16_t p = ntohs(h->h_proto);

	return p >= ETH_P_802_3_MIN ? p : ETH_P_802_2;
}

static uint8_t type_of(const struct packet_view *v, const struct ethhdr *h, const struct netif_info *i)
{
	static const uint8_t everyone[ETH_ALEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	if (v->outgoing)
		return PACKET_OUTGOING;
	if (h->h_dest[0] & 1)
		return memcmp(h->h_dest, everyone, ETH_ALEN) ? PACKET_MULTICAST : PACKET_BROADCAST;
	return memcmp(h->h_dest, i->hwaddr, ETH_ALEN) ? PACKET_OTHERHOST : PACKET_HOST;
}

/* What follows the IP header; -1: nobody knows. */
static int transport_of(const struct packet_view *v, uint16_t protocol, uint8_t *ret_protocol)
{
	const uint8_t *ip = v->frame + ETH_HLEN;

	if (protocol == ETH_P_IP && v->len >= ETH_HLEN + 20) {
		*ret_protocol = ip[9];
		return ETH_HLEN + (ip[0] & 0xf) * 4;
	}
	if (protocol == ETH_P_IPV6 && v->len >= ETH_HLEN + 40) {
		*ret_protocol = ip[6];
		return ETH_HLEN + 40;
	}
	return -1;
}

static bool listens_locked(const struct packet_sock *p, const struct packet_view *v, uint16_t protocol)
{
	if (!p->num || (p->ifindex && p->ifindex != v->ifindex) || &p->sk == v->from)
		return false;
	if (p->num == ETH_P_ALL)
		return !v->outgoing || !p->ignore_outgoing;
	return !v->outgoing && p->num == protocol;
}

static struct packet_buf *buf_new(const struct packet_view *v, size_t skip, size_t keep, const struct sockaddr_ll *from)
{
	struct packet_buf *b = malloc(sizeof(*b) + keep);

	if (!b)
		return NULL;
	*b = (struct packet_buf){ .from = *from, .stamp = clock_now(CLOCK_REALTIME), .mark = v->mark, .status = TP_STATUS_USER, .len = keep,
				  .whole = v->len - skip, .net = ETH_HLEN - skip };
	if (v->checksum_missing)
		b->status |= TP_STATUS_CSUMNOTREADY;
	else if (!v->outgoing && v->ifindex == IF_LO)
		b->status |= TP_STATUS_CSUM_VALID;
	list_init(&b->node);
	memcpy(b->data, v->frame + skip, keep);
	return b;
}

/* The filter, then the queue, or the count of what found no room. */
static void deliver(struct packet_sock *p, const struct packet_view *v, struct bpf_packet *bp, const struct sockaddr_ll *from)
{
	struct packet_buf *b = NULL;
	bool accepted = false;
	size_t keep;

	bp->data = p->sk.type == SOCK_RAW ? 0 : ETH_HLEN;
	if (!filter_passes(&p->sk, bp, 1, &keep))
		return;
	mutex_lock(&p->sk.lock);
	p->packets++;
	if (p->ring || p->queued < (size_t)p->sk.opt.rcvbuf)
		b = buf_new(v, bp->data, keep, from);
	if (b && p->ring) {
		accepted = packet_ring_add_locked(p, b);
		free(b);
	} else if (b) {
		accepted = true;
		list_add_tail(&p->queue, &b->node);
		p->queued += b->len + OVERHEAD;
	}
	if (accepted) {
		sock_wake_rd(&p->sk, EPOLLIN | EPOLLRDNORM);
	} else {
		p->dropped++;
		p->drops++;
	}
	mutex_unlock(&p->sk.lock);
}

static bool listens(struct packet_sock *p, const struct packet_view *v, uint16_t protocol)
{
	bool yes;

	mutex_lock(&p->sk.lock);
	yes = listens_locked(p, v, protocol);
	mutex_unlock(&p->sk.lock);
	return yes;
}

void packet_show(const struct packet_view *v)
{
	struct bpf_packet bp = { .bytes = v->frame, .len = v->len, .net = ETH_HLEN, .link = 0, .ifindex = v->ifindex, .mark = v->mark };
	struct sockaddr_ll from = { .sll_family = AF_PACKET, .sll_ifindex = v->ifindex, .sll_halen = ETH_ALEN };
	struct packet_sock *p;
	struct netif_info i;
	struct ethhdr h;

	if (!packet_wanted() || v->len < ETH_HLEN || netif_info_by_index(v->ifindex, &i) < 0)
		return;
	memcpy(&h, v->frame, sizeof(h));
	bp.protocol = protocol_of(&h);
	bp.type = from.sll_pkttype = type_of(v, &h, &i);
	bp.hatype = from.sll_hatype = i.type;
	bp.transport = transport_of(v, bp.protocol, &bp.ip_protocol);
	from.sll_protocol = htons(bp.protocol);
	memcpy(from.sll_addr, h.h_source, ETH_ALEN);
	mutex_lock(&packets_lock);
	list_for_each(p, &all, node)
		if (listens(p, v, bp.protocol))
			deliver(p, v, &bp, &from);
	mutex_unlock(&packets_lock);
}

void packet_show_lo(struct frame *f, uint32_t mark)
{
	struct packet_view v = { .ifindex = IF_LO, .outgoing = true, .mark = mark };

	if (!f)
		return;
	v.frame = f->bytes;
	v.len = f->len;
	packet_show(&v);
	v.outgoing = false;
	packet_show(&v);
	free(f);
}

/* --- receiving ------------------------------------------------------------------------------------------------------------ */

/* The first packet, a copy of it with peek. NULL: *ret_err. */
static struct packet_buf *take(struct packet_sock *p, bool peek, const struct sock_wait *w, int *ret_err) REQUIRES(p->sk.lock)
{
	struct packet_buf *b, *copy;

	*ret_err = 0;
	while (*ret_err == 0) {
		*ret_err = sock_take_error(&p->sk);
		if (*ret_err < 0)
			return NULL;
		if (!list_empty(&p->queue))
			break;
		*ret_err = sock_sleep(&p->sk.rd, &p->sk.lock, w);
	}
	if (*ret_err < 0)
		return NULL;
	b = list_first(&p->queue, struct packet_buf, node);
	if (!peek) {
		list_del(&b->node);
		p->queued -= b->len + OVERHEAD;
		return b;
	}
	copy = malloc(sizeof(*b) + b->len);
	if (!copy)
		*ret_err = -ENOMEM;
	else
		memcpy(copy, b, sizeof(*b) + b->len);
	return copy;
}

static void put_messages(struct packet_sock *p, const struct packet_buf *b, struct sock_msg *m)
{
	struct tpacket_auxdata aux = { .tp_status = b->status, .tp_len = (uint32_t)b->whole, .tp_snaplen = (uint32_t)b->len,
				       .tp_net = (uint16_t)b->net };
	uint32_t drops = p->drops;

	if (!m->ctl)
		return;
	sock_put_time(&p->sk, b->stamp, m);
	if (p->sk.opt.rxq_ovfl && drops)
		sock_put_cmsg(m, SOL_SOCKET, SO_RXQ_OVFL, &drops, sizeof(drops));
	sock_put_mark(&p->sk, b->mark, m);
	if (p->auxdata)
		sock_put_cmsg(m, SOL_PACKET, PACKET_AUXDATA, &aux, sizeof(aux));
}

static ssize_t packet_recvmsg(struct sock *s, struct task *t, struct sock_msg *m)
{
	struct packet_sock *p = packet_of(s);
	struct sock_wait w = sock_wait_rd(s, m->flags & MSG_DONTWAIT);
	struct packet_buf *b;
	ssize_t r;
	size_t n;
	int err;

	(void)t;
	if (m->addr)
		m->addr->len = 0;
	if (m->flags & ~(unsigned)(MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC | MSG_ERRQUEUE | MSG_CMSG_CLOEXEC | MSG_WAITFORONE))
		return -EINVAL;
	if (m->flags & MSG_ERRQUEUE)
		return -EAGAIN; /* times of what was sent: not taken */
	mutex_lock(&s->lock);
	b = take(p, m->flags & MSG_PEEK, &w, &err);
	mutex_unlock(&s->lock);
	if (!b)
		return err;
	s->stamp = b->stamp;
	n = MIN(uio_left(m->data), b->len);
	r = n ? uio_copy_out(m->data, b->data, n) : 0;
	if (r >= 0) {
		if (n < b->len)
			m->ret_flags |= MSG_TRUNC;
		if (m->addr) {
			memcpy(&m->addr->ss, &b->from, sizeof(b->from));
			m->addr->len = sizeof(b->from);
		}
		put_messages(p, b, m);
		if (m->flags & MSG_TRUNC)
			r = (ssize_t)b->len;
	}
	free(b);
	return r;
}

static uint32_t packet_poll(struct sock *s)
{
	struct packet_sock *p = packet_of(s);
	uint32_t ev = EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;

	mutex_lock(&s->lock);
	if (s->err)
		ev |= EPOLLERR;
	if (!list_empty(&p->queue) || (p->ring && packet_ring_readable_locked(p)))
		ev |= EPOLLIN | EPOLLRDNORM;
	mutex_unlock(&s->lock);
	return ev;
}

static long packet_ioctl(struct sock *s, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	struct packet_sock *p = packet_of(s);
	int val = 0;

	if (cmd != SIOCINQ && cmd != SIOCOUTQ)
		return -ENOIOCTLCMD;
	mutex_lock(&s->lock);
	if (cmd == SIOCINQ && !list_empty(&p->queue))
		val = (int)list_first(&p->queue, struct packet_buf, node)->len;
	mutex_unlock(&s->lock);
	return copy_to_guest(c->mm, arg, &val, sizeof(val));
}

static void packet_memory(struct sock *s, struct sock_memory *ret)
{
	struct packet_sock *p = packet_of(s);

	mutex_lock(&s->lock);
	*ret = (struct sock_memory){ .rmem = p->queued, .drops = p->drops };
	mutex_unlock(&s->lock);
}

/* --- sending --------------------------------------------------------------------------------------------------------------- */

struct target { int ifindex; uint16_t protocol; const uint8_t *addr; /* NULL: none */ };

/* The interface, and what a SOCK_DGRAM socket's link header says. */
static int target_of(struct packet_sock *p, const struct sock_msg *m, struct sockaddr_ll *ll, struct target *t, struct netif_info *i)
{
	if (!m->addr) {
		mutex_lock(&p->sk.lock);
		*t = (struct target){ .ifindex = p->ifindex, .protocol = p->num };
		mutex_unlock(&p->sk.lock);
		return netif_info_by_index(t->ifindex, i) < 0 ? -ENXIO : 0;
	}
	if (m->addr->len < (int)sizeof(*ll))
		return -EINVAL;
	memcpy(ll, &m->addr->ss, sizeof(*ll));
	if (m->addr->len < ll->sll_halen + LL_HEADER)
		return -EINVAL;
	*t = (struct target){ .ifindex = ll->sll_ifindex, .protocol = ntohs(ll->sll_protocol), .addr = ll->sll_addr };
	return netif_info_by_index(t->ifindex, i) < 0 ? -ENXIO : 0;
}

/* eth_header(); lo needs no address. */
static int make_header(uint8_t *at, const struct target *t, const struct netif_info *i, size_t len)
{
	struct ethhdr h = { .h_proto = htons(t->protocol == ETH_P_802_3 || t->protocol == ETH_P_802_2 ? (uint16_t)len : t->protocol) };

	if (!t->addr && !(i->flags & IFF_LOOPBACK))
		return -EINVAL;
	memcpy(h.h_source, i->hwaddr, ETH_ALEN);
	if (t->addr)
		memcpy(h.h_dest, t->addr, ETH_ALEN);
	memcpy(at, &h, sizeof(h));
	return 0;
}

static int check_messages(struct sock *s, const struct sock_msg *m, uint32_t *mark)
{
	const struct cmsghdr *c = NULL;
	int r = 0, bad = 0;

	while (r == 0 && (c = sock_cmsg_next(m, c, &bad)))
		r = c->cmsg_level == SOL_SOCKET ? sock_cmsg_common(s, c, mark) : 0;
	return r == 0 ? bad : r;
}

static int transmit(struct sock *s, const uint8_t *frame, size_t len, int ifindex, uint32_t mark)
{
	struct packet_view v = { .frame = frame, .len = len, .ifindex = ifindex, .outgoing = true, .mark = mark, .from = s };

	if (ifindex != IF_LO)
		return lwip_send_frame(&v);
	packet_show(&v);
	v.outgoing = false;
	v.from = NULL;
	packet_show(&v);
	route_count_lo(false, len - ETH_HLEN);
	packet_input_lo(frame, len);
	return 0;
}

static bool is_vlan(const uint8_t *frame)
{
	return frame[12] == ETH_P_8021Q >> 8 && frame[13] == (ETH_P_8021Q & 0xff);
}

static ssize_t packet_sendmsg(struct sock *s, struct task *task, struct sock_msg *m)
{
	struct packet_sock *p = packet_of(s);
	bool raw = s->type == SOCK_RAW;
	size_t len = uio_left(m->data), header = raw ? 0 : ETH_HLEN;
	uint32_t mark = (uint32_t)s->opt.mark;
	AUTO_FREE uint8_t *frame = NULL;
	struct sockaddr_ll ll;
	struct netif_info i;
	struct target t;
	int r = target_of(p, m, &ll, &t, &i);

	(void)task;
	if (r == 0)
		r = check_messages(s, m, &mark);
	if (r < 0)
		return r;
	if (s->opt.nofcs)
		return -EPROTONOSUPPORT;
	if (len > i.mtu + (raw ? ETH_HLEN : 0) + VLAN_HLEN)
		return -EMSGSIZE;
	frame = malloc(header + len + 1);
	if (!frame)
		return -ENOBUFS;
	r = raw ? 0 : make_header(frame, &t, &i, len);
	if (r < 0)
		return r;
	if (len && uio_copy_in(m->data, frame + header, len) != (ssize_t)len)
		return -EFAULT;
	if (header + len < ETH_HLEN || !len)
		return -EINVAL;
	if (len > i.mtu + (raw ? ETH_HLEN : 0) && !(raw && is_vlan(frame)))
		return -EMSGSIZE;
	r = transmit(s, frame, header + len, t.ifindex, mark);
	return r < 0 ? r : (ssize_t)len;
}

/* --- life, names -------------------------------------------------------------------------------------------------------------- */

static void set_running(struct packet_sock *p, uint16_t num) REQUIRES(p->sk.lock)
{
	if (!p->num && num)
		atomic_fetch_add(&packet_listeners, 1);
	if (p->num && !num)
		atomic_fetch_sub(&packet_listeners, 1);
	p->num = num;
}

static int packet_bind(struct sock *s, struct task *t, const struct sock_addr *a)
{
	struct packet_sock *p = packet_of(s);
	struct sockaddr_ll ll;
	struct netif_info i;

	(void)t;
	if (a->len < (int)sizeof(ll))
		return -EINVAL;
	memcpy(&ll, &a->ss, sizeof(ll));
	if (ll.sll_family != AF_PACKET)
		return -EINVAL;
	if (ll.sll_ifindex && netif_info_by_index(ll.sll_ifindex, &i) < 0)
		return -ENODEV;
	mutex_lock(&s->lock);
	p->ifindex = ll.sll_ifindex;
	if (ll.sll_protocol)
		set_running(p, ntohs(ll.sll_protocol));
	mutex_unlock(&s->lock);
	if (ll.sll_ifindex != IF_LO)
		lwip_listen_wanted();
	return 0;
}

static int packet_getname(struct sock *s, bool peer, struct sock_addr *ret)
{
	struct packet_sock *p = packet_of(s);
	struct sockaddr_ll ll = { .sll_family = AF_PACKET };
	struct netif_info i;

	if (peer)
		return -EOPNOTSUPP;
	mutex_lock(&s->lock);
	ll.sll_ifindex = p->ifindex;
	ll.sll_protocol = htons(p->num);
	mutex_unlock(&s->lock);
	if (netif_info_by_index(ll.sll_ifindex, &i) == 0) {
		ll.sll_hatype = i.type;
		ll.sll_halen = ETH_ALEN;
		memcpy(ll.sll_addr, i.hwaddr, ETH_ALEN);
	}
	memcpy(&ret->ss, &ll, sizeof(ll));
	ret->len = LL_HEADER + ll.sll_halen;
	return 0;
}

static void packet_release(struct sock *s)
{
	struct packet_sock *p = packet_of(s);

	mutex_lock(&packets_lock);
	list_del(&p->node);
	mutex_unlock(&packets_lock);
	mutex_lock(&s->lock);
	set_running(p, 0);
	mutex_unlock(&s->lock);
	packet_leave_all(p);
}

void packet_bufs_free(struct list *bufs)
{
	while (!list_empty(bufs)) {
		struct packet_buf *b = list_first(bufs, struct packet_buf, node);

		list_del(&b->node);
		free(b);
	}
}

static void packet_destroy(struct sock *s)
{
	packet_ring_drop(packet_of(s));
	packet_bufs_free(&packet_of(s)->queue);
}

static const struct sock_ops packet_ops = {
	.bind = packet_bind,
	.getname = packet_getname,
	.setsockopt = packet_setsockopt,
	.getsockopt = packet_getsockopt,
	.sendmsg = packet_sendmsg,
	.recvmsg = packet_recvmsg,
	.poll = packet_poll,
	.ioctl = packet_ioctl,
	.memory = packet_memory,
	.mmap = packet_ring_map,
	.release = packet_release,
	.destroy = packet_destroy,
};

static int packet_create(struct task *t, int type, int protocol, struct sock **ret)
{
	struct packet_sock *p;

	if (t && !cred_capable(t->fsc.cred, CAP_NET_RAW))
		return -EPERM;
	if (type != SOCK_RAW && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	sock_init(&p->sk, &packet_ops, AF_PACKET, type, 0, t);
	list_init(&p->queue);
	list_init(&p->members);
	mutex_lock(&p->sk.lock);
	set_running(p, ntohs((uint16_t)protocol));
	mutex_unlock(&p->sk.lock);
	if (p->num)
		lwip_listen_wanted();
	mutex_lock(&packets_lock);
	list_add_tail(&all, &p->node);
	mutex_unlock(&packets_lock);
	*ret = &p->sk;
	return 0;
}

/* --- /proc/net/packet ------------------------------------------------------------------------------------------------------------ */

static int show_packet(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct packet_sock *p;

	seq_printf(out, "%-17sRefCnt Type Proto  Iface R Rmem   User   Inode\n", "sk");
	mutex_lock(&packets_lock);
	list_for_each(p, &all, node) {
		mutex_lock(&p->sk.lock);
		seq_printf(out, "%016llx %-6u %-4d %04x   %-5d %1d %-6u %-6u %-6llu\n", (unsigned long long)p->sk.file.anon_ino << 6,
			   atomic_load(&p->sk.ref.n), p->sk.type, p->num, p->ifindex, p->num != 0, (unsigned)p->queued, p->sk.uid,
			   (unsigned long long)p->sk.file.anon_ino);
		mutex_unlock(&p->sk.lock);
	}
	mutex_unlock(&packets_lock);
	return 0;
}

void packet_register(void)
{
	static const struct sock_family family = { .family = AF_PACKET, .create = packet_create };

	sock_family_register(&family);
	procfs_add_net("packet", show_packet);
}
