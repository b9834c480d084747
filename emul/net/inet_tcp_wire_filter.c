/* SPDX-License-Identifier: MIT */
/*
 * Filters of TCP sockets on the wire: a segment that one does not want is lost before lwIP sees it, so that it is sent again, and one that
 * it cuts arrives shorter. tcp_filter().
 */
#include <lwip/priv/tcp_priv.h>

#include "emul/net/inet_tcp.h"

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <stdlib.h>

#include "emul/net/filter.h"
#include "emul/net/lwip_in.h"
#include "emul/net/lwip_port.h"
#include "emul/net/route.h"

#define TCP_HEADER 20

/* Whose segment it is; counted. Core lock held. */
static struct sock *find(const struct endpoint *to, const struct endpoint *from)
{
	struct inet_sock *l;

	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		struct in6_addr remote = lwip_to_addr(&pcb->remote_ip);

		if (pcb->local_port != to->port || pcb->remote_port != from->port || !addr_eq(&remote, &from->ip))
			continue;
		return pcb->callback_arg ? sock_get(&((struct inet_tcp *)pcb->callback_arg)->inet.sock) : NULL;
	}
	l = ports_find_listener(to, from, IF_ETH);
	return l ? &l->sock : NULL;
}

static bool drops(struct sock *s, const struct lwip_packet *pk, size_t header)
{
	uint8_t *bytes = malloc(pk->len);
	size_t keep = pk->len - pk->header;
	struct bpf_packet p = {
		.bytes = bytes, .len = pk->len, .data = pk->header, .net = 0, .link = -1, .transport = (int)pk->header,
		.ip_protocol = IPPROTO_TCP, .protocol = addr_is_v4(&pk->dst) ? ETH_P_IP : ETH_P_IPV6, .ifindex = IF_ETH,
		.hatype = ARPHRD_ETHER,
	};
	bool passes;

	if (!bytes)
		return true;
	lwip_packet_copy(pk, bytes, 0, pk->len);
	passes = filter_passes(s, &p, header, &keep);
	free(bytes);
	if (passes && keep < pk->len - pk->header)
		lwip_packet_cut(pk, keep);
	return !passes;
}

bool inet_tcp_wire_drops(const struct lwip_packet *pk)
{
	uint8_t h[TCP_HEADER];
	size_t header;
	struct endpoint from = { .ip = pk->src }, to = { .ip = pk->dst };
	struct sock *s;
	bool dropped = false;

	if (pk->len < pk->header + sizeof(h) || !lwip_packet_checksum_ok(pk, IPPROTO_TCP))
		return false; /* lwIP finds that out, too */
	lwip_packet_copy(pk, h, pk->header, sizeof(h));
	header = (size_t)(h[12] >> 4) * 4;
	if (header < sizeof(h) || pk->header + header > pk->len)
		return false;
	from.port = (uint16_t)(h[0] << 8 | h[1]);
	to.port = (uint16_t)(h[2] << 8 | h[3]);
	from.scope = addr_is_linklocal6(&from.ip) ? IF_ETH : 0;
	s = find(&to, &from);
	if (s && filter_is_set(s))
		dropped = drops(s, pk, header);
	sock_put(s);
	return dropped;
}

void inet_tcp_wire_filters(void)
{
	lwip_watch_tcp();
}
