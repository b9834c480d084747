/* SPDX-License-Identifier: MIT */
/*
 * What a guest says to sockets beside their data: addresses, control messages, options, netlink requests with filters. An input is a row
 * of calls on a few sockets; numbers and bytes of each are taken from it.
 */
#include "tests/fuzz/net.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>

#define SLOTS 8

static struct sock *slot[SLOTS];

static struct sock *make(unsigned what)
{
	static const struct { int family, type, protocol; } kinds[] = {
		{ AF_INET, SOCK_STREAM, 0 }, { AF_INET6, SOCK_STREAM, 0 }, { AF_INET, SOCK_DGRAM, 0 }, { AF_INET6, SOCK_DGRAM, 0 },
		{ AF_INET, SOCK_RAW, IPPROTO_ICMP }, { AF_NETLINK, SOCK_RAW, NETLINK_ROUTE }, { AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG },
		{ AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE }, { AF_UNIX, SOCK_STREAM, 0 }, { AF_UNIX, SOCK_DGRAM, 0 }, { AF_UNIX, SOCK_SEQPACKET, 0 },
		{ AF_INET6, SOCK_RAW, IPPROTO_ICMPV6 }, { AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6 },
		{ AF_PACKET, SOCK_RAW, 0x0300 /* all, network order */ }, { AF_PACKET, SOCK_DGRAM, 0x0008 },
	};
	size_t i = what % (sizeof(kinds) / sizeof(kinds[0]));

	return fuzz_socket(kinds[i].family, kinds[i].type, kinds[i].protocol);
}

/* The address's length is the input's, its bytes too; some are made to fit a port that others have. */
static void read_addr(struct fuzz_in *in, struct sock_addr *a)
{
	uint8_t how = fuzz_u8(in);

	memset(a, 0, sizeof(*a));
	a->len = how & 0x7f;
	a->len = a->len < (int)sizeof(a->ss) ? a->len : (int)sizeof(a->ss);
	if (how & 0x80) {
		struct sockaddr_in4 { sa_family_t family; uint16_t port; uint32_t addr; char zero[8]; } v4 = {
			how & 1 ? AF_INET : AF_UNSPEC, htons((uint16_t)(1024 + (how >> 1 & 3))), htonl(INADDR_LOOPBACK), "" };

		memcpy(&a->ss, &v4, sizeof(v4));
		a->len = sizeof(v4);
	} else {
		fuzz_bytes(in, &a->ss, (size_t)a->len);
	}
}

static void send_one(struct fuzz_in *in, struct sock *s)
{
	unsigned flags = (fuzz_u16(in) & ~(unsigned)MSG_ERRQUEUE) | MSG_DONTWAIT | MSG_NOSIGNAL;
	size_t control_len = fuzz_u8(in), len = fuzz_u8(in);
	__attribute__((aligned(8))) char data[256];
	char *control = malloc(control_len + 1);
	struct sock_addr a;
	struct uio u;
	struct sock_msg m = { .data = &u, .control = control, .control_len = control_len, .flags = flags };

	if (!control)
		return;
	if (flags & 1) { /* MSG_OOB says whether there is an address, too */
		read_addr(in, &a);
		m.addr = &a;
	}
	fuzz_bytes(in, control, control_len);
	len = fuzz_bytes(in, data, len);
	uio_init_host(&u, data, len);
	(void)sock_sendmsg(s, NULL, &m);
	uio_fini(&u);
	free(control);
}

static void option(struct fuzz_in *in, struct sock *s, bool set)
{
	static const int levels[] = { SOL_SOCKET, SOL_IP, SOL_IPV6, SOL_TCP, SOL_UDP, SOL_NETLINK, 136, 255, SOL_PACKET };
	int level = levels[fuzz_u8(in) % 9], name = fuzz_u8(in);
	int len = fuzz_u8(in) % 200;
	char *val = calloc(1, (size_t)len + 1);
	struct sock_optval v = { .addr = (uintptr_t)val, .len = len };

	if (!val)
		return;
	fuzz_bytes(in, val, (size_t)len);
	if (set)
		(void)sock_setsockopt(s, NULL, level, name, &v);
	else
		(void)sock_getsockopt(s, NULL, level, name, &v);
	free(val);
}

static void call(struct fuzz_in *in)
{
	unsigned op = fuzz_u8(in), i = fuzz_u8(in) % SLOTS;
	struct sock *s = slot[i], *c = NULL;
	struct sock_addr a;

	if (op % 12 == 0 || !s) {
		fuzz_close(s);
		slot[i] = make(fuzz_u8(in));
		return;
	}
	switch (op % 12) {
	case 1:
		read_addr(in, &a);
		if (s->ops->bind)
			(void)s->ops->bind(s, NULL, &a);
		break;
	case 2:
		read_addr(in, &a);
		if (s->ops->connect)
			(void)s->ops->connect(s, NULL, &a);
		break;
	case 3:
		if (s->ops->listen)
			(void)s->ops->listen(s, NULL, fuzz_u8(in) % 4);
		break;
	case 4:
		if (s->ops->accept && s->ops->accept(s, NULL, &c) == 0) {
			atomic_fetch_or(&c->file.flags, O_NONBLOCK);
			fuzz_close(slot[(i + 1) % SLOTS]);
			slot[(i + 1) % SLOTS] = c;
		}
		break;
	case 5: option(in, s, false); break;
	case 6:
	case 7: option(in, s, true); break;
	case 8: fuzz_drain(s, fuzz_u16(in) & 0x2163); break;
	case 9:
		if (s->ops->shutdown)
			(void)s->ops->shutdown(s, fuzz_u8(in) % 3);
		if (s->ops->poll)
			(void)s->ops->poll(s);
		break;
	default: send_one(in, s);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };

	fuzz_net_boot(NET_LOOPBACK);
	for (int n = 0; in.left && n < 64; n++)
		call(&in);
	for (int i = 0; i < SLOTS; i++) {
		fuzz_close(slot[i]);
		slot[i] = NULL;
	}
	return 0;
}

/* --- seeds ---------------------------------------------------------------------------------------------------------------------- */

static size_t put_call(uint8_t *buf, size_t at, uint8_t op, uint8_t which, const void *rest, size_t n)
{
	buf[at++] = op;
	buf[at++] = which;
	return fuzz_put(buf, at, rest, n);
}

static size_t put_send(uint8_t *buf, size_t at, uint8_t which, const void *control, uint8_t control_len, const void *data, uint8_t len)
{
	uint8_t head[4] = { 0, 0, control_len, len };

	at = put_call(buf, at, 10, which, head, sizeof(head));
	return fuzz_put(buf, fuzz_put(buf, at, control, control_len), data, len);
}

static size_t connection_seed(uint8_t *buf)
{
	size_t at = put_call(buf, 0, 0, 0, "\0", 1);

	at = put_call(buf, at, 0, 1, "\0", 1);
	at = put_call(buf, at, 1, 0, "\x83", 1);
	at = put_call(buf, at, 3, 0, "\2", 1);
	at = put_call(buf, at, 2, 1, "\x83", 1);
	at = put_call(buf, at, 4, 0, "", 0);
	at = put_send(buf, at, 1, "", 0, "hello", 5);
	return put_call(buf, at, 8, 1, "\0\0", 2);
}

static size_t control_seed(uint8_t *buf)
{
	__attribute__((aligned(8))) char c[CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(int))] = { 0 };
	struct cmsghdr *h = (struct cmsghdr *)(void *)c;
	size_t at = put_call(buf, 0, 0, 0, "\2", 1);

	h->cmsg_level = SOL_IP;
	h->cmsg_type = IP_PKTINFO;
	h->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
	h = (struct cmsghdr *)(void *)(c + CMSG_SPACE(sizeof(struct in_pktinfo)));
	h->cmsg_level = SOL_IP;
	h->cmsg_type = IP_TTL;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	c[CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_LEN(0)] = 9;
	at = put_call(buf, at, 6, 0, "\1\x0b\4\1\0\0\0", 7); /* IP_RECVERR */
	at = put_call(buf, at, 2, 0, "\x83", 1);
	at = put_send(buf, at, 0, c, sizeof(c), "hello", 5);
	return put_call(buf, at, 8, 0, "\0\x20", 2);
}

static size_t route_seed(uint8_t *buf)
{
	struct { struct nlmsghdr h; struct rtgenmsg g; } rq = { { sizeof(rq), RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 }, { AF_UNSPEC } };
	size_t at = put_call(buf, 0, 0, 0, "\5", 1);

	return put_call(buf, put_send(buf, at, 0, "", 0, &rq, sizeof(rq)), 8, 0, "\0\0", 2);
}

/* An IPv6 UDP packet that a packet socket sends on lo, while another looks on. */
static size_t packet_seed(uint8_t *buf)
{
	struct { uint8_t how, ll[20]; } to = { 20, { AF_PACKET, 0, 0x86, 0xdd, 1, 0, 0, 0, 0, 0, 0, 6 } };
	uint8_t frame[14 + 40 + 12] = { [12] = 0x86, [13] = 0xdd, [14] = 0x60, [19] = 12, [20] = 17, [21] = 64, [37] = 1, [53] = 1,
					[55] = 9, [56] = 4, [57] = 1, [59] = 12 };
	uint8_t head[2] = { 1, 0 }, rest[2] = { 0, sizeof(frame) };
	size_t at = put_call(buf, 0, 0, 0, "\15", 1);

	at = put_call(buf, at, 0, 1, "\16", 1);
	at = put_call(buf, at, 10, 0, head, sizeof(head));
	at = fuzz_put(buf, fuzz_put(buf, at, rest, sizeof(rest)), &to, sizeof(to));
	return put_call(buf, fuzz_put(buf, at, frame, sizeof(frame)), 8, 1, "\0\0", 2);
}

static size_t diag_seed(uint8_t *buf, int family)
{
	struct { struct nlmsghdr h; struct inet_diag_req_v2 r; struct nlattr a; struct inet_diag_bc_op op[2]; } rq = {
		{ sizeof(rq), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 }, { (uint8_t)family, IPPROTO_TCP, 0xff, 0, ~0u, { 0 } },
		{ sizeof(rq.a) + sizeof(rq.op), INET_DIAG_REQ_BYTECODE }, { { INET_DIAG_BC_S_GE, 8, 12 }, { 0, 0, 1 } } };
	size_t at = connection_seed(buf);

	at = put_call(buf, at, 0, 5, "\6", 1);
	return put_call(buf, put_send(buf, at, 5, "", 0, &rq, sizeof(rq)), 8, 5, "\0\0", 2);
}

size_t fuzz_seed(unsigned n, uint8_t *buf)
{
	switch (n) {
	case 0: return connection_seed(buf);
	case 1: return control_seed(buf);
	case 2: return route_seed(buf);
	case 3: return diag_seed(buf, AF_INET);
	case 4: return diag_seed(buf, AF_UNIX);
	case 5: return packet_seed(buf);
	default: return 0;
	}
}
