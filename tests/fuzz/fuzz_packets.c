/* SPDX-License-Identifier: MIT */
/*
 * What the host side sends to eth0: frames as they are, and packets whose headers and checksums are put right, so that they get as far as
 * ICMP errors, connections and their data. Sockets of all kinds listen. An input is a row of: kind, length, bytes.
 */
#include "tests/fuzz/net.h"

#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>

#include "emul/net/route.h"

#define HOST4 ETH_GATEWAY4
#define PORT_OURS 80
#define PORT_THEIRS 5000

static uint32_t their_seq, our_seq; /* of the connection: what the next segment says */

/* --- a tap that is none --------------------------------------------------------------------------------------------------- */

static int tap_start(const struct net_config *cfg, char *why, size_t size)
{
	return 0;
}

/* From what goes out the connection's numbers are learnt. */
static int tap_send(const void *frame, size_t len, const struct large_frame *large)
{
	const uint8_t *p = frame;
	uint32_t seq;

	if (len >= 54 && p[12] == 8 && p[13] == 0 && p[23] == IPPROTO_TCP && (p[47] & 2)) {
		memcpy(&seq, p + 38, sizeof(seq));
		our_seq = ntohl(seq) + 1;
	}
	return 0;
}

const struct eth_backend tap_backend = { .name = "fuzz", .start = tap_start, .send = tap_send };

bool tap_is_likely(void)
{
	return true;
}

/* --- frames ------------------------------------------------------------------------------------------------------------------ */

static uint32_t sum(const void *data, size_t len, uint32_t s)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return s;
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return htons((uint16_t)~s);
}

static void eth_head(uint8_t *f, uint16_t type)
{
	memcpy(f, eth_hwaddr, 6);
	memcpy(f + 6, "\x02\0\0\0\0\x02", 6);
	f[12] = (uint8_t)(type >> 8);
	f[13] = (uint8_t)type;
}

static size_t checksum_at(unsigned proto)
{
	return proto == IPPROTO_TCP ? 16 : proto == IPPROTO_UDP ? 6 : 2;
}

static void put_checksum(uint8_t *l4, size_t len, unsigned proto, uint32_t pseudo)
{
	size_t at = checksum_at(proto);
	uint16_t c = 0;

	if (len < at + 2)
		return;
	memcpy(l4 + at, &c, 2);
	c = fold(sum(l4, len, proto == IPPROTO_ICMP ? 0 : pseudo + proto + (uint32_t)len));
	memcpy(l4 + at, &c, 2);
}

static void ipv4(unsigned proto, const uint8_t *data, size_t len)
{
	uint8_t f[14 + 20 + 1480];
	struct iphdr ip = { .version = 4, .ihl = 5, .tot_len = htons((uint16_t)(20 + len)), .ttl = 64, .protocol = (uint8_t)proto,
			    .saddr = htonl(HOST4), .daddr = htonl(ETH_ADDR4) };

	eth_head(f, ETHERTYPE_IP);
	ip.check = fold(sum(&ip, sizeof(ip), 0));
	memcpy(f + 14, &ip, sizeof(ip));
	memcpy(f + 34, data, len);
	put_checksum(f + 34, len, proto, sum(&ip.saddr, 8, 0));
	eth_receive(f, 34 + len);
}

static void ipv6(unsigned proto, const uint8_t *data, size_t len)
{
	uint8_t f[14 + 40 + 1480];
	struct ip6_hdr ip = { .ip6_hlim = 255 };

	eth_head(f, ETHERTYPE_IPV6);
	ip.ip6_flow = htonl(6u << 28);
	ip.ip6_plen = htons((uint16_t)len);
	ip.ip6_nxt = (uint8_t)proto;
	ip.ip6_src = eth_linklocal;
	ip.ip6_src.s6_addr[15] ^= 0x55;
	ip.ip6_dst = eth_linklocal;
	memcpy(f + 14, &ip, sizeof(ip));
	memcpy(f + 54, data, len);
	put_checksum(f + 54, len, proto, sum(&ip.ip6_src, 32, 0));
	eth_receive(f, 54 + len);
}

/* A segment of the one connection: the first byte has the flags. */
static void segment(const uint8_t *data, size_t len)
{
	uint8_t s[20 + 1400] = { 0 };
	uint16_t ports[2] = { htons(PORT_THEIRS), htons(PORT_OURS) };
	uint32_t numbers[2] = { htonl(their_seq), htonl(our_seq) };
	uint8_t flags = len ? data[0] : 2;

	len = len > 1 ? len - 1 : 0;
	memcpy(s, ports, 4);
	memcpy(s + 4, numbers, 8);
	s[12] = 5 << 4;
	s[13] = flags;
	s[14] = 0x20;
	len = len < sizeof(s) - 20 ? len : sizeof(s) - 20;
	if (len)
		memcpy(s + 20, data + 1, len);
	their_seq += (uint32_t)len + ((flags & 3) != 0);
	ipv4(IPPROTO_TCP, s, 20 + len);
}

/* Near the connection: flags, where it lies from what is expected, where its acknowledgement lies, the options' length; options, data. */
static void wild_segment(const uint8_t *data, size_t len)
{
	uint8_t s[20 + 1400] = { 0 };
	uint16_t ports[2] = { htons(PORT_THEIRS), htons(PORT_OURS) };
	uint32_t numbers[2];

	if (len < 10)
		return;
	memcpy(numbers, data + 1, sizeof(numbers));
	numbers[0] = htonl(their_seq + numbers[0]);
	numbers[1] = htonl(our_seq + numbers[1]);
	memcpy(s, ports, sizeof(ports));
	memcpy(s + 4, numbers, sizeof(numbers));
	s[12] = (uint8_t)((5 + data[9] % 11) << 4);
	s[13] = data[0];
	s[14] = data[9]; /* the window: 0 too */
	len -= 10;
	len = len < sizeof(s) - 20 ? len : sizeof(s) - 20;
	memcpy(s + 20, data + 10, len);
	ipv4(IPPROTO_TCP, s, 20 + len);
}

/* With a source that is our own address, or loopback. */
static void from_ourselves(unsigned kind, const uint8_t *data, size_t len)
{
	uint8_t f[14 + 20 + 1480];
	uint32_t source = htonl(kind & 1 ? ETH_ADDR4 : INADDR_LOOPBACK);
	struct iphdr ip = { .version = 4, .ihl = 5, .tot_len = htons((uint16_t)(20 + len)), .ttl = 64, .protocol = IPPROTO_ICMP,
			    .saddr = source, .daddr = htonl(ETH_ADDR4) };

	eth_head(f, ETHERTYPE_IP);
	ip.check = fold(sum(&ip, sizeof(ip), 0));
	memcpy(f + 14, &ip, sizeof(ip));
	memcpy(f + 34, data, len);
	put_checksum(f + 34, len, IPPROTO_ICMP, 0);
	eth_receive(f, 34 + len);
}

static void frame(unsigned kind, uint8_t *data, size_t len)
{
	switch (kind % 11) {
	case 0: eth_receive(data, len); break;
	case 1: ipv4(IPPROTO_UDP, data, len); break;
	case 2: ipv4(IPPROTO_ICMP, data, len); break;
	case 3: ipv4(IPPROTO_TCP, data, len); break;
	case 4: ipv6(IPPROTO_UDP, data, len); break;
	case 5: ipv6(IPPROTO_ICMPV6, data, len); break;
	case 6: ipv6(kind, data, len); break;
	case 7: ipv4(kind, data, len); break;
	case 9: wild_segment(data, len); break;
	case 10: from_ourselves(kind, data, len); break;
	default: segment(data, len);
	}
}

/* --- sockets ------------------------------------------------------------------------------------------------------------------ */

static void ask_for_all(struct sock *s)
{
	static const struct { int level, name; } want[] = { { SOL_IP, IP_RECVERR }, { SOL_IP, IP_PKTINFO }, { SOL_IP, IP_RECVTTL }, { SOL_IP, IP_RECVTOS },
							    { SOL_IPV6, IPV6_RECVERR }, { SOL_IPV6, IPV6_RECVPKTINFO }, { SOL_SOCKET, SO_TIMESTAMP } };
	int one = 1;

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct sock_optval v = { .addr = (uintptr_t)&one, .len = sizeof(one) };

		(void)sock_setsockopt(s, NULL, want[i].level, want[i].name, &v);
	}
}

static void accept_all(struct sock *l)
{
	struct sock *c;

	while (l->ops->accept(l, NULL, &c) == 0) {
		struct uio u;
		struct sock_msg m = { .data = &u, .flags = MSG_DONTWAIT | MSG_NOSIGNAL };

		atomic_fetch_or(&c->file.flags, O_NONBLOCK);
		uio_init_host(&u, (char[]){ "hello" }, 5);
		(void)sock_sendmsg(c, NULL, &m);
		uio_fini(&u);
		fuzz_drain(c, 0);
		fuzz_close(c);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct sock *s[5];

	fuzz_net_boot(NET_TAP);
	s[0] = fuzz_socket(AF_INET, SOCK_STREAM, 0);
	s[1] = fuzz_socket(AF_INET6, SOCK_DGRAM, 0);
	s[2] = fuzz_socket(AF_INET, SOCK_DGRAM, 0);
	s[3] = fuzz_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	s[4] = fuzz_socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
	for (int i = 0; i < 5; i++) {
		if (!s[i])
			abort();
		ask_for_all(s[i]);
	}
	fuzz_bind4(s[0], INADDR_ANY, PORT_OURS);
	fuzz_bind4(s[2], INADDR_ANY, PORT_OURS);
	(void)s[0]->ops->listen(s[0], NULL, 3);
	for (int n = 0; in.left && n < 32; n++) {
		unsigned kind = fuzz_u8(&in), len = fuzz_u16(&in) % 1401;
		uint8_t buf[1400];

		len = (unsigned)fuzz_bytes(&in, buf, len);
		frame(kind, buf, len);
		accept_all(s[0]);
	}
	for (int i = 1; i < 5; i++) {
		fuzz_drain(s[i], MSG_ERRQUEUE);
		fuzz_drain(s[i], 0);
	}
	for (int i = 0; i < 5; i++)
		fuzz_close(s[i]);
	return 0;
}

/* --- seeds ---------------------------------------------------------------------------------------------------------------------- */

static size_t put_frame(uint8_t *buf, size_t at, uint8_t kind, const void *data, uint16_t len)
{
	at = fuzz_put(buf, at, &kind, 1);
	at = fuzz_put(buf, at, &len, 2);
	return fuzz_put(buf, at, data, len);
}

static size_t arp_seed(uint8_t *buf)
{
	uint8_t f[42] = { 0 };
	uint32_t from = htonl(HOST4), to = htonl(ETH_ADDR4);

	eth_head(f, ETHERTYPE_ARP);
	memcpy(f + 14, "\0\1\x8\0\6\4\0\1", 8);
	memcpy(f + 22, f + 6, 6);
	memcpy(f + 28, &from, 4);
	memcpy(f + 38, &to, 4);
	return put_frame(buf, 0, 0, f, sizeof(f));
}

static size_t udp_seed(uint8_t *buf, uint8_t kind)
{
	uint8_t p[8 + 5] = { 0x13, 0x88, 0, PORT_OURS, 0, 13, 0, 0, 'h', 'e', 'l', 'l', 'o' };

	return put_frame(buf, 0, kind, p, sizeof(p));
}

/* An error about a datagram that our port 80 sent. */
static size_t error_seed(uint8_t *buf)
{
	uint8_t p[8 + 20 + 8 + 4] = { ICMP_UNREACH, 3 };
	struct iphdr ip = { .version = 4, .ihl = 5, .tot_len = htons(32), .ttl = 1, .protocol = IPPROTO_UDP, .saddr = htonl(ETH_ADDR4),
			    .daddr = htonl(HOST4) };

	memcpy(p + 8, &ip, sizeof(ip));
	memcpy(p + 28, "\0\x50\x13\x88\0\xc\0\0data", 12);
	return put_frame(buf, 0, 2, p, sizeof(p));
}

static size_t connection_seed(uint8_t *buf)
{
	size_t at = arp_seed(buf);

	at = put_frame(buf, at, 8, "\x02", 1);
	at = put_frame(buf, at, 8, "\x10", 1);
	at = put_frame(buf, at, 8, "\x18GET / HTTP/1.0\r\n\r\n", 19);
	return put_frame(buf, at, 8, "\x11", 1);
}

/* Of a connection: a size of segments that comes late, data of one byte that is old or far away, an acknowledgement that cannot be. */
static size_t wild_seed(uint8_t *buf)
{
	size_t at = arp_seed(buf);

	at = put_frame(buf, at, 8, "\x02", 1);
	at = put_frame(buf, at, 8, "\x10", 1);
	at = put_frame(buf, at, 9, "\x10\0\0\0\0\0\0\0\0\1\2\4\0\1", 14);
	at = put_frame(buf, at, 9, "\x18\xf0\xff\xff\xff\0\0\0\0\0x", 11);
	at = put_frame(buf, at, 9, "\x18\0\0\0\x40\0\0\0\0\0x", 11);
	at = put_frame(buf, at, 9, "\x11\0\0\0\x80\0\0\0\0\0", 10);
	return put_frame(buf, at, 9, "\x18\0\0\0\0\0\0\0\x40\0data", 14);
}

static size_t own_seed(uint8_t *buf)
{
	return put_frame(buf, put_frame(buf, 0, 10, "\x8\0\0\0\0\1\0\1ping", 12), 21, "\x8\0\0\0\0\1\0\1ping", 12);
}

static size_t six_seed(uint8_t *buf)
{
	uint8_t echo[12] = { ICMP6_ECHO_REQUEST, 0, 0, 0, 0, 1, 0, 1, 'p', 'i', 'n', 'g' }, nd[24] = { ND_NEIGHBOR_SOLICIT };

	memcpy(nd + 8, &eth_linklocal, 16);
	return put_frame(buf, put_frame(buf, 0, 5, nd, sizeof(nd)), 5, echo, sizeof(echo));
}

size_t fuzz_seed(unsigned n, uint8_t *buf)
{
	switch (n) {
	case 0: return arp_seed(buf);
	case 1: return udp_seed(buf, 1);
	case 2: return udp_seed(buf, 4);
	case 3: return error_seed(buf);
	case 4: return connection_seed(buf);
	case 5: return six_seed(buf);
	case 6: arp_seed(buf); buf[1] = 20; return 3 + 20; /* cut off: lwIP itself does not look */
	case 7: return wild_seed(buf);
	case 8: return own_seed(buf);
	default: return 0;
	}
}
