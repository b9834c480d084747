/* SPDX-License-Identifier: MIT */
/* lwIP driven by the reactor: lwip_port.h has the theory. */
#include "emul/net/lwip_port.h"

#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/igmp.h>
#include <lwip/inet_chksum.h>
#include <lwip/init.h>
#include <lwip/mld6.h>
#include <lwip/nd6.h>
#include <lwip/netif.h>
#include <lwip/priv/nd6_priv.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/prot/udp.h>
#include <lwip/raw.h>
#include <lwip/sys.h>
#include <lwip/tcpip.h>
#include <lwip/timeouts.h>
#include <lwip/udp.h>
#include <netif/ethernet.h>
#include <linux/neighbour.h>
#include <stdio.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/base/mutex.h"
#include "emul/base/timer.h"
#include "emul/net/lwip_in.h"
#include "emul/net/mib.h"
#include "emul/net/offload.h"
#include "emul/net/packet.h"
#include "emul/net/pcap.h"
#include "emul/net/route.h"

#define MS 1000000LL
#define QUIET_NS (30 * 1000 * MS) /* after the last packet the slow timers stop */
#define SLOW_NS (1000 * MS)
#define MAX_CATCH_UP 400          /* runs of one timer after a pause: more than any of lwIP's time-outs */

static const struct net_config *config;

static struct mutex start_lock = MUTEX_INIT;
static enum { OFF, UP, FAILED } state; /* start_lock for writing */
static _Atomic bool up;

/* core lock: */
static struct netif eth;
static struct udp_pcb *udp_out;
static const struct eth_backend *backend;
static int64_t last_packet;
static int64_t last_run[16]; /* of lwip_cyclic_timers */
static struct timer tick;
static bool ticking;

/* --- addresses --------------------------------------------------------------------------------------------------------- */

void lwip_from_addr(struct ip_addr *to, const struct in6_addr *a)
{
	memset(to, 0, sizeof(*to));
	if (addr_is_v4(a)) {
		ip_addr_set_ip4_u32(to, a->s6_addr32[3]);
		return;
	}
	IP_SET_TYPE_VAL(*to, IPADDR_TYPE_V6);
	memcpy(ip_2_ip6(to)->addr, a, sizeof(*a));
	ip6_addr_assign_zone(ip_2_ip6(to), IP6_UNKNOWN, &eth);
}

struct in6_addr lwip_to_addr(const struct ip_addr *a)
{
	struct in6_addr r;

	if (IP_IS_V4(a))
		return addr_of_v4(ntohl(ip_2_ip4(a)->addr));
	memcpy(&r, ip_2_ip6(a)->addr, sizeof(r));
	return r;
}

/* --- time ------------------------------------------------------------------------------------------------------------------ */

void lwip_lock(void)
{
	LOCK_TCPIP_CORE();
}

/* Segments wait for each other no longer than this. */
void lwip_unlock(void)
{
	offload_flush();
	UNLOCK_TCPIP_CORE();
}

static bool tcp_busy(void)
{
	return tcp_active_pcbs || tcp_tw_pcbs;
}

/* Core lock held. */
static void arm_tick(void)
{
	int64_t now = clock_now(CLOCK_MONOTONIC);

	ticking = tcp_busy() || now - last_packet < QUIET_NS;
	if (ticking)
		timer_arm(&tick, deadline_after(CLOCK_MONOTONIC, tcp_busy() ? TCP_TMR_INTERVAL * MS : SLOW_NS));
}

void lwip_need_timer(void)
{
	if (!ticking || tcp_busy())
		arm_tick();
}

/* Every timer as often as its interval went by. */
static void run_timers(int64_t now)
{
	for (int i = 0; i < lwip_num_cyclic_timers && i < (int)ARRAY_SIZE(last_run); i++) {
		int64_t step = lwip_cyclic_timers[i].interval_ms * MS;
		int64_t n = (now - last_run[i]) / step;

		if (n <= 0)
			continue;
		last_run[i] += n * step;
		for (n = MIN(n, lwip_cyclic_timers[i].handler == tcp_tmr ? 4 : MAX_CATCH_UP); n > 0; n--)
			lwip_cyclic_timers[i].handler();
	}
}

static void on_tick(struct timer *t)
{
	(void)t;
	lwip_lock();
	run_timers(clock_now(CLOCK_MONOTONIC));
	arm_tick();
	lwip_unlock();
}

/* After a pause the tables age first. Core lock held. */
static void packet_passes(void)
{
	last_packet = clock_now(CLOCK_MONOTONIC);
	if (ticking)
		return;
	run_timers(last_packet);
	arm_tick();
}

/* --- frames -------------------------------------------------------------------------------------------------------------------- */

static const struct sock *sending; /* core lock: the packet socket whose frame it is; NULL: lwIP's */

static int send_frame(const void *frame, size_t len, const struct large_frame *large)
{
	const struct packet_view v = { .frame = frame, .len = len, .ifindex = IF_ETH, .outgoing = true, .checksum_missing = large != NULL,
				       .from = sending };
	int r;

	packet_show(&v);
	pcap_frame(frame, len);
	r = backend->send(frame, len, large);
	route_count_eth(true, len, r < 0);
	if (r == 0)
		mib_frame(true, frame, len, large ? (unsigned)((len - large->headers + large->segment - 1) / large->segment) : 1);
	return r;
}

static err_t link_output(struct netif *n, struct pbuf *p)
{
	char buf[ETH_MTU + 64];
	size_t len = p->tot_len;

	(void)n;
	if (len > sizeof(buf) || !backend)
		return ERR_BUF;
	packet_passes();
	if (backend->takes_large)
		return offload_output(p, send_frame) < 0 ? ERR_MEM : ERR_OK;
	pbuf_copy_partial(p, buf, (u16_t)len, 0);
	return send_frame(buf, len, NULL) < 0 ? ERR_MEM : ERR_OK;
}

/* lwIP takes ARP packets to be whole, and answers in place: a shorter one would be written behind its end. */
static bool whole(const void *frame, size_t len)
{
	struct eth_hdr h;

	if (len < SIZEOF_ETH_HDR || len > 65535)
		return false;
	memcpy(&h, frame, sizeof(h));
	return h.type != PP_HTONS(ETHTYPE_ARP) || len >= SIZEOF_ETH_HDR + SIZEOF_ETHARP_HDR;
}

/*
 * Linux's martians: from the wire comes nothing from or to this machine's own loopback, nothing from its own address, no IPv4 address in
 * IPv6. lwIP would take 127.0.0.1 for its own, and cannot answer to an address of its own: its way back needs a thread that we have not.
 */
static bool martian(const void *frame, size_t len)
{
	const uint8_t *p = frame;
	struct in6_addr src, dst;
	uint32_t a[2];

	if (p[12] == 0x08 && p[13] == 0x00 && len >= SIZEOF_ETH_HDR + IP_HLEN) {
		memcpy(a, p + SIZEOF_ETH_HDR + 12, sizeof(a));
		src = addr_of_v4(ntohl(a[0]));
		dst = addr_of_v4(ntohl(a[1]));
		return route_is_local(&src) || addr_is_loopback(&dst);
	}
	if (p[12] == 0x86 && p[13] == 0xdd && len >= SIZEOF_ETH_HDR + IP6_HLEN) {
		memcpy(&src, p + SIZEOF_ETH_HDR + 8, sizeof(src));
		memcpy(&dst, p + SIZEOF_ETH_HDR + 24, sizeof(dst));
		return route_is_local(&src) || addr_is_v4(&src) || addr_is_loopback(&dst) || addr_is_v4(&dst) || addr_is_multicast(&src);
	}
	return false;
}

void eth_receive(const void *frame, size_t len)
{
	const struct packet_view v = { .frame = frame, .len = len, .ifindex = IF_ETH };
	struct pbuf *p;

	if (!whole(frame, len))
		return;
	lwip_lock();
	packet_passes();
	packet_show(&v);
	pcap_frame(frame, len);
	p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);
	route_count_eth(false, len, !p);
	mib_frame(false, frame, len, 1);
	if (p) {
		pbuf_take(p, frame, (u16_t)len);
		if (martian(frame, len) || eth.input(p, &eth) != ERR_OK)
			pbuf_free(p);
	}
	lwip_unlock();
}

int lwip_send_frame(const struct packet_view *v)
{
	int r = lwip_start();

	if (r < 0)
		return -ENETDOWN;
	lwip_lock();
	packet_passes();
	offload_flush(); /* what lwIP sent before goes before */
	sending = v->from;
	r = send_frame(v->frame, v->len, NULL);
	sending = NULL;
	lwip_unlock();
	return r;
}

/* --- datagrams in ------------------------------------------------------------------------------------------------------------------ */

static void fill_in(struct lwip_packet *pk, struct pbuf *p, size_t header)
{
	bool v4 = IP_IS_V4(ip_current_src_addr());

	pk->p = p;
	pk->header = header;
	pk->len = p->tot_len;
	pk->src = lwip_to_addr(ip_current_src_addr());
	pk->dst = lwip_to_addr(ip_current_dest_addr());
	pk->group = ip_addr_ismulticast(ip_current_dest_addr()) || route_is_broadcast(&pk->dst);
	pk->tos = v4 ? IPH_TOS(ip4_current_header()) : IP6H_TC(ip6_current_header());
	pk->ttl = v4 ? IPH_TTL(ip4_current_header()) : IP6H_HOPLIM(ip6_current_header());
}

void lwip_packet_copy(const struct lwip_packet *pk, void *to, size_t off, size_t n)
{
	pbuf_copy_partial(pk->p, to, (u16_t)n, (u16_t)off);
}

void lwip_packet_put(const struct lwip_packet *pk, const void *data, size_t off, size_t n)
{
	pbuf_take_at(pk->p, data, (u16_t)n, (u16_t)off);
}

bool lwip_packet_checksum_ok(const struct lwip_packet *pk, int protocol)
{
	struct pbuf *p = pk->p;
	bool ok;

	if (pbuf_remove_header(p, pk->header))
		return false;
	if (protocol == IPPROTO_ICMP)
		ok = inet_chksum_pbuf(p) == 0;
	else
		ok = ip_chksum_pseudo(p, (u8_t)protocol, p->tot_len, ip_current_src_addr(), ip_current_dest_addr()) == 0;
	pbuf_add_header_force(p, pk->header);
	return ok;
}

void lwip_packet_cut(const struct lwip_packet *pk, size_t n)
{
	struct pbuf *p = pk->p;
	struct tcp_hdr h;
	u16_t sum;

	pbuf_realloc(p, (u16_t)(pk->header + n));
	if (pbuf_remove_header(p, pk->header))
		return;
	pbuf_copy_partial(p, &h, sizeof(h), 0);
	h.chksum = 0;
	pbuf_take(p, &h, sizeof(h));
	sum = ip_chksum_pseudo(p, IP_PROTO_TCP, p->tot_len, ip_current_src_addr(), ip_current_dest_addr());
	h.chksum = sum;
	pbuf_take(p, &h, sizeof(h));
	pbuf_add_header_force(p, pk->header);
}

/* Each packet of these protocols comes by here first, with its IP header. 1: taken. */
static u8_t on_raw(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *addr)
{
	struct lwip_packet pk = { 0 };
	size_t header = IP_IS_V4(ip_current_src_addr()) ? IPH_HL_BYTES(ip4_current_header()) : ip_current_header_tot_len();
	bool taken;

	(void)arg;
	(void)addr;
	fill_in(&pk, p, header);
	taken = lwip_input(pcb->protocol, &pk);
	if (taken)
		pbuf_free(p);
	return taken;
}

static bool watch(u8_t type, u8_t protocol)
{
	struct raw_pcb *pcb = raw_new_ip_type(type, protocol);

	if (!pcb)
		return false;
	raw_recv(pcb, on_raw, NULL);
	return true;
}

/* --- datagrams out ------------------------------------------------------------------------------------------------------------------- */

static int error_of(err_t e)
{
	switch (e) {
	case ERR_OK: return 0;
	case ERR_MEM:
	case ERR_BUF: return -ENOBUFS;
	case ERR_RTE: return -ENETUNREACH;
	case ERR_VAL: return -EMSGSIZE;
	default: return -ENETUNREACH;
	}
}

int lwip_send_udp(const struct endpoint *from, const struct endpoint *to, int tos, int ttl, const void *data, size_t len)
{
	struct pbuf *p;
	ip_addr_t src, dst;
	err_t e;
	int r = lwip_start();

	if (r < 0)
		return r;
	lwip_lock();
	p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)len, PBUF_RAM);
	if (!p) {
		lwip_unlock();
		return -ENOBUFS;
	}
	pbuf_take(p, data, (u16_t)len);
	lwip_from_addr(&src, &from->ip);
	lwip_from_addr(&dst, &to->ip);
	udp_out->local_port = from->port; /* never bound: the port is ours */
	IP_SET_TYPE_VAL(udp_out->local_ip, IP_GET_TYPE(&src));
	udp_out->tos = (u8_t)tos;
	udp_out->ttl = udp_out->mcast_ttl = (u8_t)ttl;
	e = udp_sendto_if_src(udp_out, p, &dst, to->port, &eth, &src);
	pbuf_free(p);
	lwip_unlock();
	return error_of(e);
}

int lwip_send_raw(int protocol, const struct endpoint *from, const struct endpoint *to, int tos, int ttl, bool hdrincl,
		  const void *data, size_t len)
{
	struct pbuf *p;
	ip_addr_t src, dst;
	err_t e;
	int r = lwip_start();

	if (r < 0)
		return r;
	if (len > ETH_MTU && hdrincl)
		return -EMSGSIZE;
	lwip_lock();
	p = pbuf_alloc(hdrincl ? PBUF_LINK : PBUF_IP, (u16_t)len, PBUF_RAM);
	if (!p) {
		lwip_unlock();
		return -ENOBUFS;
	}
	pbuf_take(p, data, (u16_t)len);
	lwip_from_addr(&src, &from->ip);
	lwip_from_addr(&dst, &to->ip);
	if (IP_IS_V4(&dst))
		e = hdrincl ? etharp_output(&eth, p, ip_2_ip4(&dst)) : /* whatever the header says, it goes to dst */
			      ip4_output_if_src(p, ip_2_ip4(&src), ip_2_ip4(&dst), (u8_t)ttl, (u8_t)tos, (u8_t)protocol, &eth);
	else
		e = ip6_output_if_src(p, ip_2_ip6(&src), ip_2_ip6(&dst), (u8_t)ttl, (u8_t)tos, (u8_t)protocol, &eth);
	pbuf_free(p);
	lwip_unlock();
	return error_of(e);
}

void lwip_group(const struct in6_addr *group, bool join)
{
	ip_addr_t g;

	if (lwip_start() < 0)
		return;
	lwip_lock();
	lwip_from_addr(&g, group);
	if (IP_IS_V4(&g))
		(void)(join ? igmp_joingroup_netif(&eth, ip_2_ip4(&g)) : igmp_leavegroup_netif(&eth, ip_2_ip4(&g)));
	else
		(void)(join ? mld6_joingroup_netif(&eth, ip_2_ip6(&g)) : mld6_leavegroup_netif(&eth, ip_2_ip6(&g)));
	packet_passes();
	lwip_unlock();
}

/* --- start -------------------------------------------------------------------------------------------------------------------------------- */

static err_t init_eth(struct netif *n)
{
	n->name[0] = 'e';
	n->name[1] = 't';
	n->mtu = ETH_MTU;
	n->output = etharp_output;
	n->output_ip6 = ethip6_output;
	n->linkoutput = link_output;
	n->hwaddr_len = sizeof(eth_hwaddr);
	memcpy(n->hwaddr, eth_hwaddr, sizeof(eth_hwaddr));
	n->flags |= NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
	return ERR_OK;
}

static bool start_stack(void)
{
	ip4_addr_t addr, mask, gw;
	int64_t now = clock_now(CLOCK_MONOTONIC);

	if (sys_mutex_new(&lock_tcpip_core) != ERR_OK)
		return false;
	lwip_init();
	for (size_t i = 0; i < ARRAY_SIZE(last_run); i++)
		last_run[i] = now;
	lwip_lock();
	addr.addr = htonl(ETH_ADDR4);
	mask.addr = htonl(0xffffff00u);
	gw.addr = htonl(ETH_GATEWAY4);
	netif_add(&eth, &addr, &mask, &gw, NULL, init_eth, ethernet_input);
	eth.ip6_autoconfig_enabled = 0;
	eth.rs_count = 0;
	netif_set_default(&eth);
	udp_out = udp_new_ip_type(IPADDR_TYPE_ANY);
	if (udp_out)
		udp_clear_flags(udp_out, UDP_FLAGS_MULTICAST_LOOP);
	bool ok = udp_out && watch(IPADDR_TYPE_ANY, IP_PROTO_UDP) && watch(IPADDR_TYPE_V4, IP_PROTO_ICMP) &&
		  watch(IPADDR_TYPE_V6, IP6_NEXTH_ICMP6) && watch(IPADDR_TYPE_ANY, IP_PROTO_TCP);
	lwip_unlock();
	timer_init(&tick, on_tick);
	return ok;
}

static int try_backend(const struct eth_backend *b, char *why, size_t size)
{
	int r;

	backend = b;
	r = b->start(config, why, size);
	if (r < 0)
		backend = NULL;
	return r;
}

/* Failing, with a line for the user in ret_why. */
static int start_backend(char *ret_why, size_t size)
{
	char why[256] = "", why_user[256] = "";

	switch (config->mode) {
	case NET_TAP:
		if (try_backend(&tap_backend, why, sizeof(why)) == 0)
			return 0;
		snprintf(ret_why, size, "--net tap: %s", why);
		return -ENETUNREACH;
	case NET_USER:
		if (try_backend(&slirp_backend, why, sizeof(why)) == 0)
			return 0;
		snprintf(ret_why, size, "--net user: %s", why);
		return -ENETUNREACH;
	case NET_AUTO:
		if (try_backend(&tap_backend, why, sizeof(why)) == 0) {
			if (log_verbose)
				log_write("note", "network: tap, host side %s", why);
			return 0;
		}
		if (try_backend(&slirp_backend, why_user, sizeof(why_user)) == 0) {
			if (log_verbose)
				log_write("note", "network: user mode, since a tap is not to be had: %s", why);
			return 0;
		}
		snprintf(ret_why, size, "no network: tap: %s; user mode: %s", why, why_user);
		return -ENETUNREACH;
	default:
		return -ENETUNREACH;
	}
}

/* A failure has a line for the user in why the first time; then it is empty. */
static int start_locked(char *why, size_t size) REQUIRES(start_lock)
{
	int r;

	*why = '\0';
	if (!config || config->mode == NET_LOOPBACK)
		return -ENETUNREACH;
	if (state != OFF)
		return state == UP ? 0 : -ENETUNREACH;
	state = FAILED;
	snprintf(why, size, "no network: out of memory");
	r = start_stack() ? start_backend(why, size) : -ENETUNREACH;
	if (r < 0)
		return r;
	state = UP;
	lwip_lock();
	netif_set_link_up(&eth);
	netif_set_up(&eth);
	netif_create_ip6_linklocal_address(&eth, 1);
	netif_ip6_addr_set_state(&eth, 0, IP6_ADDR_PREFERRED);
	lwip_unlock();
	atomic_store(&up, true);
	return 0;
}

void lwip_configure(const struct net_config *cfg)
{
	config = cfg;
}

int lwip_start_now(char *why, size_t size)
{
	int r;

	mutex_lock(&start_lock);
	r = start_locked(why, size);
	mutex_unlock(&start_lock);
	return r;
}

int lwip_start(void)
{
	char why[640];
	int r;

	if (atomic_load(&up))
		return 0;
	r = lwip_start_now(why, sizeof(why));
	if (r < 0 && *why)
		log_write("error", "%s", why);
	return r;
}

/* Core lock held. false: the entry is free. */
static bool neighbour4(size_t i, struct lwip_neighbour *ret)
{
	struct eth_addr *hw;
	struct netif *on;
	ip4_addr_t *ip;

	if (!etharp_get_entry(i, &ip, &on, &hw))
		return false;
	*ret = (struct lwip_neighbour){ .ip = addr_of_v4(ntohl(ip->addr)), .state = NUD_REACHABLE };
	memcpy(ret->hwaddr, hw->addr, sizeof(hw->addr));
	return true;
}

/* Core lock held. false: the entry is free. */
static bool neighbour6(size_t i, struct lwip_neighbour *ret)
{
	static const uint16_t states[] = { [ND6_INCOMPLETE] = NUD_INCOMPLETE, [ND6_REACHABLE] = NUD_REACHABLE, [ND6_STALE] = NUD_STALE,
					   [ND6_DELAY] = NUD_DELAY, [ND6_PROBE] = NUD_PROBE };
	const struct nd6_neighbor_cache_entry *e = &neighbor_cache[i];

	if (e->state == ND6_NO_ENTRY || e->state >= ARRAY_SIZE(states))
		return false;
	*ret = (struct lwip_neighbour){ .state = states[e->state], .router = e->isrouter };
	memcpy(&ret->ip, e->next_hop_address.addr, sizeof(ret->ip));
	memcpy(ret->hwaddr, e->lladdr, sizeof(ret->hwaddr));
	return true;
}

unsigned lwip_neighbours(struct lwip_neighbour *ret, unsigned max)
{
	unsigned n = 0;

	if (!atomic_load(&up))
		return 0;
	lwip_lock();
	for (size_t i = 0; i < ARP_TABLE_SIZE && n < max; i++)
		n += neighbour4(i, &ret[n]);
	for (size_t i = 0; i < LWIP_ND6_NUM_NEIGHBORS && n < max; i++)
		n += neighbour6(i, &ret[n]);
	lwip_unlock();
	return n;
}

void lwip_listen_wanted(void)
{
	if (route_has_eth())
		(void)lwip_start();
}

void lwip_leave(void)
{
	if (atomic_load(&up) && backend->leave)
		backend->leave();
}
