/* SPDX-License-Identifier: MIT */
/* AF_PACKET: what packet sockets see on lo, and what they send there. man 7 packet; net/packet/af_packet.c. Needs CAP_NET_RAW. */
#include "tests/lib/inet.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/sockios.h>

#define LO 1 /* its index everywhere */

static int packet_socket(int type, int protocol)
{
	int fd = socket(AF_PACKET, type, htons((uint16_t)protocol));

	if (fd < 0 && errno == EPERM)
		skip();
	ASSERT_OK(fd);
	return fd;
}

static void bind_to(int fd, int ifindex, int protocol)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)protocol), .sll_ifindex = ifindex };

	ASSERT_OK(bind(fd, (struct sockaddr *)&ll, sizeof(ll)));
}

static struct sockaddr_ll name_of(int fd, socklen_t want_len)
{
	struct sockaddr_ll ll;
	socklen_t len = sizeof(ll);

	memset(&ll, 0, sizeof(ll));
	ASSERT_OK(getsockname(fd, (struct sockaddr *)&ll, &len));
	assert_int_equal(len, want_len);
	return ll;
}

/* Only what has this UDP port, or TCP port, at either end: other programs use lo, too. */
static void only_port(int fd, unsigned port, int header)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, (uint32_t)header), BPF_STMT(BPF_LD | BPF_H | BPF_IND, (uint32_t)header),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 2, 0), BPF_STMT(BPF_LD | BPF_H | BPF_IND, (uint32_t)header + 2),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0xffff), BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog p = { sizeof(f) / sizeof(f[0]), f };

	ASSERT_OK(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)));
}

static void sockets_and_names(void **state)
{
	struct sockaddr_ll ll = { .sll_family = AF_INET, .sll_ifindex = LO };
	int fd = packet_socket(SOCK_RAW, ETH_P_IP), val;
	socklen_t len = sizeof(val);

	assert_int_equal(socket(AF_PACKET, SOCK_STREAM, 0) < 0 ? errno : 0, ESOCKTNOSUPPORT);
	ll = name_of(fd, 12);
	assert_int_equal(ll.sll_family, AF_PACKET);
	assert_int_equal(ll.sll_protocol, htons(ETH_P_IP));
	assert_int_equal(ll.sll_ifindex, 0);
	assert_int_equal(ll.sll_halen, 0);
	bind_to(fd, LO, 0); /* the protocol stays */
	ll = name_of(fd, 18);
	assert_int_equal(ll.sll_protocol, htons(ETH_P_IP));
	assert_int_equal(ll.sll_ifindex, LO);
	assert_int_equal(ll.sll_hatype, ARPHRD_LOOPBACK);
	assert_int_equal(ll.sll_halen, 6);
	ASSERT_OK(getsockopt(fd, SOL_SOCKET, SO_TYPE, &val, &len));
	assert_int_equal(val, SOCK_RAW);
	ASSERT_OK(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &val, &len));
	assert_int_equal(val, AF_PACKET);
	/* refusals */
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll) - 1) < 0 ? errno : 0, EINVAL);
	ll.sll_family = AF_INET;
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)) < 0 ? errno : 0, EINVAL);
	ll = (struct sockaddr_ll){ .sll_family = AF_PACKET, .sll_ifindex = 9999 };
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)) < 0 ? errno : 0, ENODEV);
	assert_int_equal(connect(fd, (struct sockaddr *)&ll, sizeof(ll)) < 0 ? errno : 0, EOPNOTSUPP);
	assert_int_equal(listen(fd, 1) < 0 ? errno : 0, EOPNOTSUPP);
	assert_int_equal(shutdown(fd, SHUT_RD) < 0 ? errno : 0, EOPNOTSUPP);
	assert_int_equal(getpeername(fd, (struct sockaddr *)&ll, &len) < 0 ? errno : 0, EOPNOTSUPP);
	close(fd);
}

/* Receives one packet; its length. */
static ssize_t next_packet(int fd, uint8_t *buf, size_t size, struct sockaddr_ll *from)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	socklen_t len = sizeof(*from);
	ssize_t n;

	if (poll(&pfd, 1, 2000) != 1)
		return -1;
	n = recvfrom(fd, buf, size, MSG_TRUNC | MSG_DONTWAIT, (struct sockaddr *)from, &len);
	assert_int_equal(len, sizeof(*from));
	return n;
}

struct udp { int from, to; unsigned port; };

static struct udp udp_on_lo(void)
{
	struct udp u = { socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET, SOCK_DGRAM, 0), 0 };

	ASSERT_OK(bind4(u.to, INADDR_LOOPBACK, 0));
	u.port = port_of(u.to);
	ASSERT_OK(connect4(u.from, INADDR_LOOPBACK, u.port));
	return u;
}

static void udp_close(struct udp *u)
{
	close(u->from);
	close(u->to);
}

static void datagrams_on_lo_are_seen_twice(void **state)
{
	struct udp u = udp_on_lo();
	int fd = packet_socket(SOCK_RAW, ETH_P_ALL);
	uint8_t b[256];
	struct sockaddr_ll from;

	only_port(fd, u.port, 14);
	bind_to(fd, LO, ETH_P_ALL);
	ASSERT_OK(send(u.from, "hello", 5, 0));
	for (int i = 0; i < 2; i++) {
		struct iphdr ip;
		struct udphdr h;

		assert_int_equal(next_packet(fd, b, sizeof(b), &from), 14 + 20 + 8 + 5);
		assert_int_equal(from.sll_family, AF_PACKET);
		assert_int_equal(from.sll_protocol, htons(ETH_P_IP));
		assert_int_equal(from.sll_ifindex, LO);
		assert_int_equal(from.sll_hatype, ARPHRD_LOOPBACK);
		assert_int_equal(from.sll_pkttype, i ? PACKET_HOST : PACKET_OUTGOING);
		assert_int_equal(from.sll_halen, 6);
		assert_int_equal(b[12] << 8 | b[13], ETH_P_IP);
		memcpy(&ip, b + 14, sizeof(ip));
		memcpy(&h, b + 34, sizeof(h));
		assert_int_equal(ip.version, 4);
		assert_int_equal(ip.ttl, 64);
		assert_int_equal(ip.protocol, IPPROTO_UDP);
		assert_int_equal(ntohs(ip.tot_len), 33);
		assert_int_equal(ntohl(ip.daddr), INADDR_LOOPBACK);
		assert_int_equal(ntohs(h.dest), u.port);
		assert_int_equal(ntohs(h.source), port_of(u.from));
		assert_int_equal(ntohs(h.len), 13);
		assert_memory_equal(b + 42, "hello", 5);
	}
	close(fd);
	udp_close(&u);
}

static void who_wants_one_protocol_sees_what_comes_in(void **state)
{
	struct udp u = udp_on_lo();
	int fd = packet_socket(SOCK_DGRAM, ETH_P_IP), six = packet_socket(SOCK_DGRAM, ETH_P_IPV6);
	uint8_t b[256];
	struct sockaddr_ll from;

	only_port(fd, u.port, 0); /* a filter sees the IP header first, too */
	bind_to(fd, LO, 0);
	bind_to(six, LO, 0);
	ASSERT_OK(send(u.from, "hello", 5, 0));
	assert_int_equal(next_packet(fd, b, sizeof(b), &from), 33);
	assert_int_equal(from.sll_pkttype, PACKET_HOST);
	assert_int_equal(b[0], 0x45);
	assert_int_equal(recv(fd, b, sizeof(b), MSG_DONTWAIT), -1);
	assert_int_equal(recv(six, b, sizeof(b), MSG_DONTWAIT), -1);
	close(fd);
	close(six);
	udp_close(&u);
}

static void receiving_in_all_ways(void **state)
{
	struct udp u = udp_on_lo();
	int fd = packet_socket(SOCK_RAW, ETH_P_IP), one = 1, val;
	uint8_t b[256];
	struct sockaddr_ll from;
	__attribute__((aligned(8))) char c[128];
	struct iovec iov = { b, 20 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof(c) };
	struct tpacket_auxdata aux;
	struct timespec ts;

	only_port(fd, u.port, 14);
	bind_to(fd, LO, ETH_P_IP);
	assert_int_equal(ioctl(fd, SIOCGSTAMPNS_OLD, &ts) < 0 ? errno : 0, ENOENT);
	ASSERT_OK(send(u.from, "hello", 5, 0));
	ASSERT_OK(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)));
	ASSERT_OK(ioctl(fd, SIOCINQ, &val));
	assert_int_equal(val, 47);
	assert_int_equal(recvmsg(fd, &m, 0), 20);
	assert_int_equal(m.msg_flags, MSG_TRUNC);
	assert_int_equal(CMSG_FIRSTHDR(&m)->cmsg_level, SOL_PACKET);
	assert_int_equal(CMSG_FIRSTHDR(&m)->cmsg_type, PACKET_AUXDATA);
	memcpy(&aux, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(aux));
	assert_int_equal(aux.tp_len, 47);
	assert_int_equal(aux.tp_snaplen, 47);
	assert_int_equal(aux.tp_mac, 0);
	assert_int_equal(aux.tp_net, 14);
	assert_true(aux.tp_status & TP_STATUS_USER);
	ASSERT_OK(ioctl(fd, SIOCGSTAMPNS_OLD, &ts));
	assert_true(ts.tv_sec > 1600000000);
	assert_int_equal(recv(fd, b, sizeof(b), MSG_OOB) < 0 ? errno : 0, EINVAL);
	assert_int_equal(recv(fd, b, sizeof(b), MSG_ERRQUEUE) < 0 ? errno : 0, EAGAIN);
	ASSERT_OK(send(u.from, "hello", 5, 0));
	assert_int_equal(recv(fd, b, 10, MSG_PEEK), 10);
	assert_int_equal(next_packet(fd, b, 4, &from), 47); /* MSG_TRUNC */
	close(fd);
	udp_close(&u);
}

static void what_was_dropped_is_counted(void **state)
{
	struct udp u = udp_on_lo();
	int fd = packet_socket(SOCK_RAW, ETH_P_IP), small = 1, on = 1;
	struct tpacket_stats st;
	socklen_t len = sizeof(st);
	uint8_t b[2048];

	memset(b, 0, sizeof(b));
	only_port(fd, u.port, 14);
	ASSERT_OK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	bind_to(fd, LO, ETH_P_IP);
	ASSERT_OK(getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &len)); /* before the filter was there */
	for (int i = 0; i < 20; i++)
		ASSERT_OK(send(u.from, b, 1000, 0));
	ASSERT_OK(getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &len));
	assert_int_equal(len, sizeof(st));
	assert_int_equal(st.tp_packets, 20); /* with the lost ones */
	assert_in_range(st.tp_drops, 10, 19);
	ASSERT_OK(getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &len));
	assert_int_equal(st.tp_packets, 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, len) < 0 ? errno : 0, ENOPROTOOPT);
	assert_int_equal(setsockopt(fd, SOL_IP, IP_TTL, &on, sizeof(on)) < 0 ? errno : 0, ENOPROTOOPT);
	close(fd);
	udp_close(&u);
}

static void outgoing_ones_can_be_ignored(void **state)
{
	struct udp u = udp_on_lo();
	int fd = packet_socket(SOCK_RAW, 0), one = 1, two = 2;
	socklen_t len = sizeof(one);
	struct sockaddr_ll from;
	uint8_t b[256];

	only_port(fd, u.port, 14);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &two, sizeof(two)) < 0 ? errno : 0, EINVAL);
	ASSERT_OK(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)));
	one = 0;
	ASSERT_OK(getsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, &len));
	assert_int_equal(one, 1);
	ASSERT_OK(send(u.from, "hello", 5, 0));
	assert_int_equal(recv(fd, b, sizeof(b), MSG_DONTWAIT), -1); /* protocol 0: nothing */
	bind_to(fd, LO, ETH_P_ALL);
	ASSERT_OK(send(u.from, "hello", 5, 0));
	assert_int_equal(next_packet(fd, b, sizeof(b), &from), 47);
	assert_int_equal(from.sll_pkttype, PACKET_HOST);
	assert_int_equal(recv(fd, b, sizeof(b), MSG_DONTWAIT), -1);
	close(fd);
	udp_close(&u);
}

/* --- TCP: a conversation ----------------------------------------------------------------------------------------------- */

struct segment { unsigned source; uint32_t seq, ack; uint8_t flags; size_t len; };

static bool next_segment(int fd, struct segment *s)
{
	uint8_t b[4096];
	struct sockaddr_ll from;
	struct tcphdr h;
	ssize_t n = next_packet(fd, b, sizeof(b), &from);
	struct iphdr ip;

	if (n < 54)
		return false;
	memcpy(&ip, b + 14, sizeof(ip));
	memcpy(&h, b + 34, sizeof(h));
	*s = (struct segment){ ntohs(h.th_sport), ntohl(h.th_seq), ntohl(h.th_ack), h.th_flags,
			       (size_t)(ntohs(ip.tot_len) - 20 - h.th_off * 4) };
	return true;
}

/* Follows the numbers of both ends from the handshake to the end. */
static void tcp_is_a_conversation(void **state)
{
	unsigned port, client;
	int l = tcp_listener(5, &port), fd = packet_socket(SOCK_RAW, ETH_P_IP), c = socket(AF_INET, SOCK_STREAM, 0), a;
	struct segment s, syn, synack;
	size_t sent = 0, got = 0;
	bool fin_c = false, fin_a = false, acked = false;
	char buf[200] = { 0 };

	only_port(fd, port, 14);
	bind_to(fd, LO, ETH_P_IP);
	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
	client = port_of(c);
	a = accept(l, NULL, NULL);
	ASSERT_OK(a);
	ASSERT_OK(send(c, buf, 100, 0));
	assert_int_equal(recv(a, buf, 100, MSG_WAITALL), 100);
	ASSERT_OK(send(a, buf, 50, 0));
	assert_int_equal(recv(c, buf, 50, MSG_WAITALL), 50);
	ASSERT_OK(shutdown(c, SHUT_WR));
	assert_int_equal(recv(a, buf, 1, 0), 0);
	close(a);
	assert_int_equal(recv(c, buf, 1, 0), 0);
	close(c);
	assert_true(next_segment(fd, &syn));
	assert_int_equal(syn.flags & (TH_SYN | TH_ACK), TH_SYN);
	assert_int_equal(syn.source, client);
	assert_true(next_segment(fd, &synack));
	assert_int_equal(synack.flags & (TH_SYN | TH_ACK), TH_SYN | TH_ACK);
	assert_int_equal(synack.source, port);
	assert_int_equal(synack.ack, syn.seq + 1);
	assert_true(next_segment(fd, &s));
	assert_int_equal(s.flags & (TH_SYN | TH_ACK), TH_ACK);
	assert_int_equal(s.seq, syn.seq + 1);
	assert_int_equal(s.ack, synack.seq + 1);
	while (!(fin_c && fin_a && acked) && next_segment(fd, &s)) {
		bool from_c = s.source == client;

		assert_int_equal(s.flags & (TH_SYN | TH_RST), 0);
		assert_int_equal(s.seq - (from_c ? syn : synack).seq, 1 + (from_c ? sent + fin_c : got + fin_a));
		assert_true(s.ack - (from_c ? synack : syn).seq <= 1 + (from_c ? got + fin_a : sent + fin_c));
		*(from_c ? &sent : &got) += s.len;
		if (s.flags & TH_FIN)
			*(from_c ? &fin_c : &fin_a) = true;
		acked = fin_a && s.source == client && s.ack == synack.seq + 1 + got + 1;
	}
	assert_int_equal(sent, 100);
	assert_int_equal(got, 50);
	assert_true(fin_c && fin_a);
	close(fd);
	close(l);
}

static void a_refused_connection_is_seen(void **state)
{
	unsigned port;
	int l = tcp_listener(5, &port), fd = packet_socket(SOCK_RAW, ETH_P_IP), c = socket(AF_INET, SOCK_STREAM, 0);
	struct segment syn, rst;

	close(l);
	only_port(fd, port, 14);
	bind_to(fd, LO, ETH_P_IP);
	assert_int_equal(connect4(c, INADDR_LOOPBACK, port) < 0 ? errno : 0, ECONNREFUSED);
	assert_true(next_segment(fd, &syn));
	assert_int_equal(syn.flags & TH_SYN, TH_SYN);
	assert_true(next_segment(fd, &rst));
	assert_int_equal(rst.flags, TH_RST | TH_ACK);
	assert_int_equal(rst.ack, syn.seq + 1);
	close(c);
	close(fd);
}

/* --- sending --------------------------------------------------------------------------------------------------------------- */

static uint32_t sum(const uint8_t *p, size_t n, uint32_t s)
{
	for (size_t i = 0; i < n; i += 2)
		s += (uint32_t)(p[i] << 8 | p[i + 1]);
	return s;
}

/* An IPv6 packet from ::1 to ::1; the checksum of its data goes to `field` there. */
static size_t make_packet(uint8_t *at, uint8_t protocol, const void *data, size_t len, size_t field)
{
	struct ip6_hdr ip = { .ip6_src = in6addr_loopback, .ip6_dst = in6addr_loopback };
	uint32_t s;

	ip.ip6_flow = htonl(6u << 28);
	ip.ip6_plen = htons((uint16_t)len);
	ip.ip6_nxt = protocol;
	ip.ip6_hlim = 9;
	memcpy(at, &ip, sizeof(ip));
	memcpy(at + sizeof(ip), data, len);
	s = sum(at + 8, 32 + len, (uint32_t)len + protocol);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	at[sizeof(ip) + field] = (uint8_t)(~s >> 8);
	at[sizeof(ip) + field + 1] = (uint8_t)~s;
	return sizeof(ip) + len;
}

static int udp6_on_lo(unsigned *ret_port)
{
	struct sockaddr_in6 a = in_addr6(&in6addr_loopback, 0);
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		skip();
	*ret_port = port_of(fd);
	return fd;
}

/* Packets with these four bytes at this offset of the IP header. */
static void only_with(int fd, int off, uint32_t what)
{
	struct sock_filter f[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_NET_OFF + off)),
				   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, what, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0xffff),
				   BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog p = { sizeof(f) / sizeof(f[0]), f };

	ASSERT_OK(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)));
}

static void what_is_sent_on_lo_arrives(void **state)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IPV6), .sll_ifindex = LO, .sll_halen = 6 }, from;
	int fd = packet_socket(SOCK_RAW, 0), dg = packet_socket(SOCK_DGRAM, 0), see = packet_socket(SOCK_RAW, ETH_P_ALL);
	unsigned port;
	int udp = udp6_on_lo(&port);
	struct { struct udphdr h; char data[4]; } u = { { .source = htons(9), .dest = htons((uint16_t)port), .len = htons(12) }, "abc" };
	uint8_t b[256] = { [12] = ETH_P_IPV6 >> 8, [13] = ETH_P_IPV6 & 0xff };
	struct sockaddr_in6 in;
	socklen_t len = sizeof(in);
	size_t n = make_packet(b + 14, IPPROTO_UDP, &u, sizeof(u), offsetof(struct udphdr, check));

	only_with(see, 40, 9u << 16 | port);
	bind_to(see, LO, ETH_P_ALL);
	assert_int_equal(sendto(fd, b, 14 + n, 0, (struct sockaddr *)&to, sizeof(to)), 14 + n);
	assert_int_equal(recvfrom(udp, b + 100, 100, 0, (struct sockaddr *)&in, &len), 4);
	assert_memory_equal(b + 100, "abc", 4);
	assert_int_equal(ntohs(in.sin6_port), 9);
	assert_int_equal(next_packet(see, b + 100, 100, &from), 14 + n);
	assert_int_equal(from.sll_pkttype, PACKET_OUTGOING);
	assert_memory_equal(b + 100, b, 14 + n);
	assert_int_equal(next_packet(see, b + 100, 100, &from), 14 + n);
	/* without a link header; to the interface that it is bound to */
	assert_int_equal(sendto(dg, b + 14, n, 0, (struct sockaddr *)&to, sizeof(to)), n);
	assert_int_equal(recv(udp, b + 100, 100, 0), 4);
	bind_to(dg, LO, ETH_P_IPV6);
	assert_int_equal(send(dg, b + 14, n, 0), n);
	assert_int_equal(recv(udp, b + 100, 100, 0), 4);
	/* a wrong checksum */
	b[14 + 40 + 6] ^= 1;
	assert_int_equal(send(dg, b + 14, n, 0), n);
	assert_int_equal(recv(udp, b + 100, 100, MSG_DONTWAIT), -1);
	close(fd);
	close(dg);
	close(see);
	close(udp);
}

static void an_echo_request_is_answered(void **state)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IPV6), .sll_ifindex = LO, .sll_halen = 6 }, from;
	int fd = packet_socket(SOCK_DGRAM, 0);
	unsigned port;
	uint8_t b[100], echo[8] = { 128, 0, 0, 0, 0x47, 0x11, 0, 7 };
	size_t n = make_packet(b, IPPROTO_ICMPV6, echo, sizeof(echo), 2);

	close(udp6_on_lo(&port)); /* there is IPv6 */
	only_with(fd, 44, 0x47110007);
	bind_to(fd, LO, ETH_P_IPV6);
	assert_int_equal(sendto(fd, b, n, 0, (struct sockaddr *)&to, sizeof(to)), n);
	do
		assert_int_equal(next_packet(fd, b, sizeof(b), &from), n);
	while (b[40] == 128);
	assert_int_equal(b[40], 129);
	assert_int_equal(from.sll_pkttype, PACKET_HOST);
	close(fd);
}

static void what_cannot_be_sent(void **state)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = LO, .sll_halen = 6 };
	int fd = packet_socket(SOCK_RAW, 0), one = 1;
	static char big[70000];

	assert_int_equal(send(fd, big, 20, 0) < 0 ? errno : 0, ENXIO); /* where? */
	assert_int_equal(sendto(fd, big, 20, 0, (struct sockaddr *)&to, sizeof(to) - 1) < 0 ? errno : 0, EINVAL);
	to.sll_halen = 9;
	assert_int_equal(sendto(fd, big, 20, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0, EINVAL);
	to.sll_halen = 6;
	to.sll_ifindex = 9999;
	assert_int_equal(sendto(fd, big, 20, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0, ENXIO);
	to.sll_ifindex = LO;
	assert_int_equal(sendto(fd, big, 13, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0, EINVAL); /* less than a header */
	assert_int_equal(sendto(fd, big, 65536 + 14 + 5, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0, EMSGSIZE);
	assert_int_equal(sendto(fd, big, 65536 + 14 + 1, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0, EMSGSIZE);
	assert_int_equal(sendto(fd, (void *)8, 20, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0, EFAULT);
	ASSERT_OK(setsockopt(fd, SOL_SOCKET, SO_NOFCS, &one, sizeof(one)));
	assert_int_equal(sendto(fd, big, 20, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0, EPROTONOSUPPORT);
	close(fd);
}

/* --- rings -------------------------------------------------------------------------------------------------------------------- */

static int set_ring(int fd, unsigned block_size, unsigned blocks, unsigned frame_size, unsigned frames)
{
	struct tpacket_req rq = { block_size, blocks, frame_size, frames };

	return setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &rq, sizeof(rq)) < 0 ? errno : 0;
}

static void set_version(int fd, int version)
{
	ASSERT_OK(setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)));
}

static void what_rings_can_be(void **state)
{
	int fd = packet_socket(SOCK_RAW, 0), val = TPACKET_V2;
	socklen_t len = sizeof(val);

	ASSERT_OK(getsockopt(fd, SOL_PACKET, PACKET_HDRLEN, &val, &len));
	assert_int_equal(val, sizeof(struct tpacket2_hdr));
	val = 77;
	assert_int_equal(getsockopt(fd, SOL_PACKET, PACKET_HDRLEN, &val, &len) < 0 ? errno : 0, EINVAL);
	ASSERT_OK(getsockopt(fd, SOL_PACKET, PACKET_VERSION, &val, &len));
	assert_int_equal(val, TPACKET_V1);
	assert_ptr_equal(mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(errno, EINVAL);
	set_version(fd, TPACKET_V2);
	assert_int_equal(set_ring(fd, 4096, 2, 2048, 5), EINVAL); /* four fit */
	assert_int_equal(set_ring(fd, 4000, 2, 2000, 4), EINVAL); /* no pages */
	assert_int_equal(set_ring(fd, 4096, 2, 2044, 4), EINVAL); /* not aligned */
	assert_int_equal(set_ring(fd, 4096, 2, 32, 256), EINVAL); /* less than a header */
	assert_int_equal(set_ring(fd, 4096, 2, 8192, 1), EINVAL);
	assert_int_equal(set_ring(fd, 0, 2, 2048, 0), EINVAL);
	assert_int_equal(set_ring(fd, 0, 0, 0, 1), EINVAL);
	assert_int_equal(set_ring(fd, 0, 0, 0, 0), 0);
	assert_int_equal(set_ring(fd, 4096, 2, 2048, 4), 0);
	assert_int_equal(set_ring(fd, 4096, 2, 2048, 4), EBUSY);
	val = TPACKET_V1;
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VERSION, &val, sizeof(val)) < 0 ? errno : 0, EBUSY);
	char *ring = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(ring, MAP_FAILED);
	assert_int_equal(set_ring(fd, 0, 0, 0, 0), EBUSY); /* somebody has it mapped */
	munmap(ring, 8192);
	assert_int_equal(set_ring(fd, 0, 0, 0, 0), 0);
	close(fd);
}

/* Waits for frame n and looks at it; its length. */
static unsigned frame_of(int fd, char *ring, unsigned n, const char *text)
{
	volatile struct tpacket2_hdr *h = (struct tpacket2_hdr *)(void *)(ring + n * 2048);
	struct sockaddr_ll ll;
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&pfd, 1, 2000), 1);
	assert_true(h->tp_status & TP_STATUS_USER);
	assert_int_equal(h->tp_mac + 14, h->tp_net);
	assert_int_equal(h->tp_net % TPACKET_ALIGNMENT, 0);
	memcpy(&ll, ring + n * 2048 + TPACKET_ALIGN(sizeof(*h)), sizeof(ll));
	assert_int_equal(ll.sll_ifindex, LO);
	assert_int_equal(ll.sll_pkttype, PACKET_HOST);
	assert_memory_equal(ring + n * 2048 + h->tp_mac + 42, text, 4);
	assert_true(h->tp_sec > 1600000000);
	return h->tp_snaplen;
}

static void packets_come_into_a_ring(void **state)
{
	struct udp u = udp_on_lo();
	int fd = packet_socket(SOCK_RAW, 0);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	struct tpacket_stats st;
	socklen_t len = sizeof(st);
	char text[5], big[3000] = "big!";
	char *ring;

	set_version(fd, TPACKET_V2);
	assert_int_equal(set_ring(fd, 4096, 2, 2048, 4), 0);
	ring = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(ring, MAP_FAILED);
	only_port(fd, u.port, 14);
	bind_to(fd, LO, ETH_P_IP);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	for (unsigned i = 0; i < 6; i++) { /* once around, and more */
		snprintf(text, sizeof(text), "%04u", i);
		ASSERT_OK(send(u.from, text, 4, 0));
		assert_int_equal(frame_of(fd, ring, i % 4, text), 46);
		*(volatile uint32_t *)(void *)(ring + i % 4 * 2048) = TP_STATUS_KERNEL;
		assert_int_equal(poll(&pfd, 1, 0), 0);
	}
	ASSERT_OK(send(u.from, big, sizeof(big), 0)); /* cut to the frame */
	assert_in_range(frame_of(fd, ring, 2, "big!"), 1900, 2000);
	assert_int_equal(((struct tpacket2_hdr *)(void *)(ring + 2 * 2048))->tp_len, 3042);
	ASSERT_OK(getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &len));
	for (int i = 0; i < 5; i++) /* three are free */
		ASSERT_OK(send(u.from, "full", 4, 0));
	ASSERT_OK(getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &len));
	assert_int_equal(st.tp_packets, 5);
	assert_int_equal(st.tp_drops, 2);
	munmap(ring, 8192);
	close(fd);
	udp_close(&u);
}

/* --- memberships, /proc ------------------------------------------------------------------------------------------------------- */

static void memberships_are_counted(void **state)
{
	struct packet_mreq m = { .mr_ifindex = LO, .mr_type = PACKET_MR_PROMISC };
	int fd = packet_socket(SOCK_RAW, 0);

	for (int i = 0; i < 2; i++)
		ASSERT_OK(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)));
	for (int i = 0; i < 3; i++) /* once more is no error */
		ASSERT_OK(setsockopt(fd, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &m, sizeof(m)));
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m) - 1) < 0 ? errno : 0, EINVAL);
	m.mr_ifindex = 9999;
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)) < 0 ? errno : 0, ENODEV);
	m = (struct packet_mreq){ .mr_ifindex = LO, .mr_type = PACKET_MR_MULTICAST, .mr_alen = 4 };
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)) < 0 ? errno : 0, EINVAL);
	m.mr_alen = 7;
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)) < 0 ? errno : 0, EINVAL);
	m.mr_alen = 6;
	m.mr_address[0] = 1;
	ASSERT_OK(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)));
	m.mr_type = PACKET_MR_ALLMULTI;
	ASSERT_OK(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)));
	close(fd);
}

static void proc_net_packet(void **state)
{
	int fd = packet_socket(SOCK_DGRAM, 0x88cc);
	char line[256];
	bool found = false;
	struct stat st;
	FILE *f = fopen("/proc/net/packet", "r");

	assert_non_null(f);
	ASSERT_OK(fstat(fd, &st));
	assert_non_null(fgets(line, sizeof(line), f));
	assert_non_null(strstr(line, "RefCnt Type Proto  Iface R Rmem   User   Inode"));
	while (fgets(line, sizeof(line), f)) {
		unsigned type, proto, iface, running, rmem, user;
		unsigned long inode;

		if (sscanf(line, "%*s %*u %u %x %u %u %u %u %lu", &type, &proto, &iface, &running, &rmem, &user, &inode) != 7)
			continue;
		if (inode == st.st_ino && type == SOCK_DGRAM && proto == 0x88cc && running == 1 && iface == 0 && user == geteuid())
			found = true;
	}
	assert_true(found);
	fclose(f);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockets_and_names),
		cmocka_unit_test(datagrams_on_lo_are_seen_twice),
		cmocka_unit_test(who_wants_one_protocol_sees_what_comes_in),
		cmocka_unit_test(receiving_in_all_ways),
		cmocka_unit_test(what_was_dropped_is_counted),
		cmocka_unit_test(outgoing_ones_can_be_ignored),
		cmocka_unit_test(tcp_is_a_conversation),
		cmocka_unit_test(a_refused_connection_is_seen),
		cmocka_unit_test(what_is_sent_on_lo_arrives),
		cmocka_unit_test(an_echo_request_is_answered),
		cmocka_unit_test(what_cannot_be_sent),
		cmocka_unit_test(what_rings_can_be),
		cmocka_unit_test(packets_come_into_a_ring),
		cmocka_unit_test(memberships_are_counted),
		cmocka_unit_test(proc_net_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
