/* SPDX-License-Identifier: MIT */
/*
 * Segments from the wire before lwIP sees them. What Linux drops and lwIP would take is lost here: data without ACK, or with an
 * acknowledgement that cannot be (RFC 5961). So are segment sizes that lwIP's queue does not bear.
 *
 * Filters of sockets: a segment that one does not want is lost, so that it is sent again, and one that it cuts arrives shorter. tcp_filter().
 */
#include <lwip/priv/tcp_priv.h>

#include "emul/net/inet_tcp.h"

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "emul/net/filter.h"
#include "emul/net/lwip_in.h"
#include "emul/net/lwip_port.h"
#include "emul/net/route.h"

#define TCP_HEADER 20
#define TCP_HEADER_MOST 60
#define TCP_CHECKSUM 16

/* <netinet/tcp.h> would clash with lwIP's names */
#define TCPOPT_EOL 0
#define TCPOPT_NOP 1
#define TCPOPT_MSS 2
#define TCPOLEN_MSS 4
#define MSS_LEAST 48   /* TCP_MIN_SND_MSS */
#define MSS_UNSAID 536 /* TCP_MSS_DEFAULT */

static _Atomic bool filters; /* some socket has had one */

/* The connection it belongs to; NULL: none. Core lock held. */
static struct tcp_pcb *find_pcb(const struct endpoint *to, const struct endpoint *from)
{
	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		struct in6_addr remote;

		if (pcb->local_port != to->port || pcb->remote_port != from->port)
			continue;
		remote = lwip_to_addr(&pcb->remote_ip);
		if (addr_eq(&remote, &from->ip))
			return pcb;
	}
	return NULL;
}

/* Whose segment it is; counted. Core lock held. */
static struct sock *find(struct tcp_pcb *pcb, const struct endpoint *to, const struct endpoint *from)
{
	struct inet_sock *l;

	if (pcb)
		return pcb->callback_arg ? sock_get(&((struct inet_tcp *)pcb->callback_arg)->inet.sock) : NULL;
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

/* --- what lwIP shall not see ------------------------------------------------------------------------------------------ */

/* One 16-bit word of the segment, with the checksum kept as right or wrong as it was (RFC 1624). at: even, behind the IP header. */
static void replace_word(const struct lwip_packet *pk, size_t at, const uint8_t to[2])
{
	uint8_t was[2], sum[2];
	uint32_t s;

	lwip_packet_copy(pk, was, pk->header + at, 2);
	lwip_packet_copy(pk, sum, pk->header + TCP_CHECKSUM, 2);
	s = (uint16_t)~(sum[0] << 8 | sum[1]);
	s += (uint16_t)~(was[0] << 8 | was[1]);
	s += (uint32_t)(to[0] << 8 | to[1]);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	sum[0] = (uint8_t)(~s >> 8);
	sum[1] = (uint8_t)~s;
	lwip_packet_put(pk, to, pk->header + at, 2);
	lwip_packet_put(pk, sum, pk->header + TCP_CHECKSUM, 2);
}

static void replace(const struct lwip_packet *pk, uint8_t *h, size_t at, uint8_t byte)
{
	h[at] = byte;
	replace_word(pk, at & ~(size_t)1, h + (at & ~(size_t)1));
}

/*
 * The segment size that the other side tells. Only a SYN may (lwIP believes any segment, even one out of the window, and then finds its own
 * queue to be wrong), and it is no smaller than Linux takes, 48; 0 says nothing, which is 536. h: the whole header.
 */
static void mend_mss(const struct lwip_packet *pk, uint8_t *h, size_t header)
{
	for (size_t at = TCP_HEADER; at < header && h[at] != TCPOPT_EOL;) {
		unsigned mss;

		if (h[at] == TCPOPT_NOP) {
			at++;
			continue;
		}
		if (at + 1 >= header || h[at + 1] < 2 || at + h[at + 1] > header)
			return;
		if (h[at] == TCPOPT_MSS && h[at + 1] == TCPOLEN_MSS) {
			mss = (unsigned)(h[at + 2] << 8 | h[at + 3]);
			if (!(h[13] & TCP_SYN)) {
				for (size_t i = 0; i < TCPOLEN_MSS; i++)
					replace(pk, h, at + i, TCPOPT_NOP);
			} else if (mss < MSS_LEAST) {
				mss = mss ? MSS_LEAST : MSS_UNSAID;
				replace(pk, h, at + 2, (uint8_t)(mss >> 8));
				replace(pk, h, at + 3, (uint8_t)mss);
				at += TCPOLEN_MSS;
				continue;
			}
		}
		at += h[at] == TCPOPT_NOP ? 1 : h[at + 1];
	}
}

static uint32_t number_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* It acknowledges nothing, or what was never sent, or long ago. */
static bool bad_ack(const struct tcp_pcb *pcb, const uint8_t *h)
{
	uint32_t ack = number_at(h + 8);

	if (!(h[13] & TCP_ACK))
		return true;
	return pcb->state >= ESTABLISHED && (TCP_SEQ_GT(ack, pcb->snd_nxt) || TCP_SEQ_LT(ack, pcb->lastack - pcb->snd_wnd_max));
}

/*
 * Data or a FIN that is old as a whole, begins behind the window, or comes behind a FIN. lwIP's own comparison is wrong for a length of one
 * and for a closed window. len: of both.
 */
static bool out_of_window(const struct tcp_pcb *pcb, uint32_t seq, uint32_t len)
{
	bool over = pcb->state == CLOSE_WAIT || pcb->state == CLOSING || pcb->state == LAST_ACK;

	return TCP_SEQ_LEQ(seq + len, pcb->rcv_nxt) || TCP_SEQ_GEQ(seq, pcb->rcv_nxt + pcb->rcv_wnd) ||
	       (over && TCP_SEQ_GEQ(seq, pcb->rcv_nxt));
}

enum verdict { PASS, ANSWER, DROP, ANSWER_AND_DROP };

/* What becomes of a segment of this connection. It is answered where Linux would: so retransmissions end, and probes of a window. */
static enum verdict judge(const struct tcp_pcb *pcb, const uint8_t *h, uint32_t len)
{
	uint32_t seq = number_at(h + 4);

	if (pcb->state < SYN_RCVD || (h[13] & (TCP_RST | TCP_SYN)))
		return PASS;
	if (bad_ack(pcb, h))
		return DROP;
	len += (h[13] & TCP_FIN) != 0;
	if (len && out_of_window(pcb, seq, len))
		return ANSWER_AND_DROP;
	return !len && !pcb->rcv_wnd && seq != pcb->rcv_nxt ? ANSWER : PASS;
}

/* true: lwIP shall not see it. What has a wrong checksum lwIP drops, and counts. */
static bool unacceptable(const struct lwip_packet *pk, struct tcp_pcb *pcb, const uint8_t *h, size_t header)
{
	enum verdict v = judge(pcb, h, (uint32_t)(pk->len - pk->header - header));

	if (v == PASS || !lwip_packet_checksum_ok(pk, IPPROTO_TCP))
		return false;
	if (v != DROP)
		tcp_send_empty_ack(pcb);
	return v != ANSWER;
}

bool inet_tcp_wire_drops(const struct lwip_packet *pk)
{
	uint8_t h[TCP_HEADER_MOST];
	size_t header;
	struct endpoint from = { .ip = pk->src }, to = { .ip = pk->dst };
	struct tcp_pcb *pcb;
	struct sock *s;
	bool dropped = false;

	if (pk->len < pk->header + TCP_HEADER)
		return false; /* lwIP finds that out, too */
	lwip_packet_copy(pk, h, pk->header, TCP_HEADER);
	header = (size_t)(h[12] >> 4) * 4;
	if (header < TCP_HEADER || pk->header + header > pk->len)
		return false;
	lwip_packet_copy(pk, h, pk->header, header);
	from.port = (uint16_t)(h[0] << 8 | h[1]);
	to.port = (uint16_t)(h[2] << 8 | h[3]);
	from.scope = addr_is_linklocal6(&from.ip) ? IF_ETH : 0;
	pcb = find_pcb(&to, &from);
	if (pcb && unacceptable(pk, pcb, h, header))
		return true;
	if (header > TCP_HEADER)
		mend_mss(pk, h, header);
	if (!filters || !lwip_packet_checksum_ok(pk, IPPROTO_TCP))
		return false;
	s = find(pcb, &to, &from);
	if (s && filter_is_set(s))
		dropped = drops(s, pk, header);
	sock_put(s);
	return dropped;
}

void inet_tcp_wire_filters(void)
{
	atomic_store(&filters, true);
}
