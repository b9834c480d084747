/* SPDX-License-Identifier: MIT */
/* NETLINK_SOCK_DIAG: what ss(8) asks. man 7 sock_diag. */
#include "tests/lib/inet.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sys/stat.h>

static uint32_t inode(int fd)
{
	struct stat st;

	ASSERT_OK(fstat(fd, &st));
	return (uint32_t)st.st_ino;
}

static int diag_socket(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	ASSERT_OK(fd);
	set_timeout(fd, SO_RCVTIMEO, 30000);
	return fd;
}

struct request {
	struct nlmsghdr h;
	union { struct inet_diag_req_v2 in; struct unix_diag_req un; struct sock_diag_req any; };
	char more[256];
};

static struct request inet_request(int family, int protocol, uint32_t states)
{
	struct request r = { .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(r.in)), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
				    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = 7 } };

	r.in.sdiag_family = (uint8_t)family;
	r.in.sdiag_protocol = (uint8_t)protocol;
	r.in.idiag_states = states;
	r.in.id.idiag_cookie[0] = r.in.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	return r;
}

static struct request unix_request(uint32_t states, uint32_t show)
{
	struct request r = { .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(r.un)), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
				    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = 7 } };

	r.un.sdiag_family = AF_UNIX;
	r.un.udiag_states = states;
	r.un.udiag_show = show;
	return r;
}

/* Sends it; the messages' bytes, up to the end of the dump or the only one; the error, if it is one (<= 0). */
static long ask(struct request *rq, char *buf, size_t room, size_t *ret_len)
{
	int fd = diag_socket();
	size_t len = 0;

	assert_int_equal(send(fd, rq, rq->h.nlmsg_len, 0), rq->h.nlmsg_len);
	for (;;) {
		ssize_t n = recv(fd, buf + len, room - len, 0);
		struct nlmsghdr *h = (struct nlmsghdr *)(void *)(buf + len);

		assert_true(n > 0);
		for (ssize_t left = n; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			assert_int_equal(h->nlmsg_seq, 7);
			if (h->nlmsg_type == NLMSG_ERROR) {
				close(fd);
				return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
			}
			if (h->nlmsg_type == NLMSG_DONE || !(h->nlmsg_flags & NLM_F_MULTI)) {
				*ret_len = h->nlmsg_type == NLMSG_DONE ? (size_t)((char *)h - buf) : len + (size_t)n;
				close(fd);
				return 1;
			}
		}
		len += (size_t)n;
	}
}

static char answer[1 << 20];

static const void *attribute(const struct nlmsghdr *h, size_t body, int type, size_t *ret_size)
{
	const char *p = (const char *)NLMSG_DATA(h) + NLMSG_ALIGN(body), *end = (const char *)h + h->nlmsg_len;

	while (p + sizeof(struct nlattr) <= end) {
		const struct nlattr *a = (const void *)p;

		if ((a->nla_type & NLA_TYPE_MASK) == type) {
			if (ret_size)
				*ret_size = a->nla_len - sizeof(*a);
			return a + 1;
		}
		p += NLA_ALIGN(a->nla_len);
	}
	return NULL;
}

/* The message about the socket with this inode; NULL: there is none. *ret_all: how many there are. */
static const struct nlmsghdr *about(struct request *rq, uint32_t ino, int *ret_all)
{
	const struct nlmsghdr *found = NULL;
	size_t len = 0;
	long r = ask(rq, answer, sizeof(answer), &len);

	assert_int_equal(r, 1);
	*ret_all = 0;
	for (struct nlmsghdr *h = (void *)answer; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		const struct inet_diag_msg *in = NLMSG_DATA(h);
		const struct unix_diag_msg *un = NLMSG_DATA(h);

		assert_int_equal(h->nlmsg_type, SOCK_DIAG_BY_FAMILY);
		++*ret_all;
		if ((in->idiag_family == AF_UNIX ? un->udiag_ino : in->idiag_inode) == ino)
			found = h;
	}
	return found;
}

#define ALL 0xfff
#define LISTENING (1 << 10)
#define ESTABLISHED (1 << 1)

static void connections_of_tcp(void **state)
{
	struct request rq;
	const struct nlmsghdr *h;
	const struct inet_diag_msg *m;
	const struct tcp_info *info;
	char name[16];
	socklen_t len = sizeof(name);
	unsigned port;
	size_t size;
	int l = tcp_listener(9, &port), c = socket(AF_INET, SOCK_STREAM, 0), a, n;

	ASSERT_OK(connect4(c, INADDR_LOOPBACK, port));
	rq = inet_request(AF_INET, IPPROTO_TCP, ALL);
	h = about(&rq, inode(l), &n);
	assert_non_null(h);
	assert_true(h->nlmsg_flags & NLM_F_MULTI);
	m = NLMSG_DATA(h);
	assert_int_equal(m->idiag_family, AF_INET);
	assert_int_equal(m->idiag_state, 10);
	assert_int_equal(ntohs(m->id.idiag_sport), port);
	assert_int_equal(m->id.idiag_dport, 0);
	assert_int_equal(m->id.idiag_src[0], htonl(INADDR_LOOPBACK));
	assert_int_equal(m->idiag_rqueue, 1); /* waits to be accepted */
	assert_int_equal(m->idiag_wqueue, 9);
	assert_int_equal(m->idiag_uid, getuid());
	a = accept(l, NULL, NULL);
	assert_int_equal(send(c, "abc", 3, 0), 3);
	wait_events(a, POLLIN);
	rq.in.idiag_ext = 1 << (INET_DIAG_INFO - 1) | 1 << (INET_DIAG_CONG - 1) | 1 << (INET_DIAG_SKMEMINFO - 1) |
			  1 << (INET_DIAG_MEMINFO - 1) | 1 << (INET_DIAG_TOS - 1);
	h = about(&rq, inode(a), &n);
	assert_non_null(h);
	m = NLMSG_DATA(h);
	assert_int_equal(m->idiag_state, 1);
	assert_int_equal(ntohs(m->id.idiag_sport), port);
	assert_int_equal(ntohs(m->id.idiag_dport), port_of(c));
	assert_int_equal(m->id.idiag_dst[0], htonl(INADDR_LOOPBACK));
	assert_int_equal(m->idiag_rqueue, 3);
	assert_int_equal(m->idiag_wqueue, 0);
	info = attribute(h, sizeof(*m), INET_DIAG_INFO, &size);
	assert_non_null(info);
	assert_true(size >= 104);
	assert_int_equal(info->tcpi_state, 1);
	ASSERT_OK(getsockopt(a, IPPROTO_TCP, TCP_CONGESTION, name, &len));
	assert_string_equal(attribute(h, sizeof(*m), INET_DIAG_CONG, NULL), name);
	assert_non_null(attribute(h, sizeof(*m), INET_DIAG_SKMEMINFO, &size));
	assert_int_equal(size, 9 * 4);
	assert_non_null(attribute(h, sizeof(*m), INET_DIAG_MEMINFO, NULL));
	assert_non_null(attribute(h, sizeof(*m), INET_DIAG_TOS, NULL));
	assert_int_equal(*(const uint8_t *)attribute(h, sizeof(*m), INET_DIAG_SHUTDOWN, NULL), 0);
	rq = inet_request(AF_INET, IPPROTO_TCP, LISTENING);
	assert_non_null(about(&rq, inode(l), &n));
	assert_null(about(&rq, inode(a), &n));
	rq = inet_request(AF_INET6, IPPROTO_TCP, ALL);
	assert_null(about(&rq, inode(l), &n));
	close(a);
	close(c);
	close(l);
}

static void datagram_sockets(void **state)
{
	int fd = socket(AF_INET6, SOCK_DGRAM, 0), n;
	struct sockaddr_in6 in6 = in_addr6(&in6addr_loopback, 0);
	struct request rq = inet_request(AF_INET6, IPPROTO_UDP, ALL);
	const struct nlmsghdr *h;
	const struct inet_diag_msg *m;

	ASSERT_OK(bind(fd, (struct sockaddr *)&in6, sizeof(in6)));
	h = about(&rq, inode(fd), &n);
	assert_non_null(h);
	m = NLMSG_DATA(h);
	assert_int_equal(m->idiag_family, AF_INET6);
	assert_int_equal(m->idiag_state, 7);
	assert_int_equal(ntohs(m->id.idiag_sport), port_of(fd));
	assert_memory_equal(m->id.idiag_src, &in6addr_loopback, 16);
	assert_int_equal(*(const uint8_t *)attribute(h, sizeof(*m), INET_DIAG_SKV6ONLY, NULL), 1); /* so bind made it */
	assert_int_equal(level_option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	close(fd);
}

static void by_its_ends(void **state)
{
	struct request rq = inet_request(AF_INET, IPPROTO_TCP, ALL);
	const struct inet_diag_msg *m;
	const struct nlmsghdr *h;
	int sv[2], n;

	tcp_pair(sv);
	rq.h.nlmsg_flags = NLM_F_REQUEST;
	rq.in.id.idiag_sport = htons((uint16_t)port_of(sv[0]));
	rq.in.id.idiag_dport = htons((uint16_t)port_of(sv[1]));
	rq.in.id.idiag_src[0] = rq.in.id.idiag_dst[0] = htonl(INADDR_LOOPBACK);
	h = about(&rq, inode(sv[0]), &n);
	assert_non_null(h);
	assert_int_equal(n, 1);
	assert_int_equal(h->nlmsg_flags, 0);
	m = NLMSG_DATA(h);
	/* The cookie names this one for ever. */
	rq.in.id = m->id;
	assert_non_null(about(&rq, inode(sv[0]), &n));
	rq.in.id.idiag_cookie[0] ^= 1;
	assert_int_equal(ask(&rq, answer, sizeof(answer), &(size_t){ 0 }), -ENOENT);
	rq.in.id.idiag_cookie[0] ^= 1;
	close_pair(sv);
	rq.in.id.idiag_sport = rq.in.id.idiag_dport = htons(1);
	assert_int_equal(ask(&rq, answer, sizeof(answer), &(size_t){ 0 }), -ENOENT);
}

static void add_code(struct request *rq, const void *code, size_t size)
{
	struct nlattr a = { .nla_len = (uint16_t)(sizeof(a) + size), .nla_type = INET_DIAG_REQ_BYTECODE };
	char *at = (char *)rq + rq->h.nlmsg_len;

	memcpy(at, &a, sizeof(a));
	memcpy(at + sizeof(a), code, size);
	rq->h.nlmsg_len += (uint32_t)NLA_ALIGN(sizeof(a) + size);
}

static void filters(void **state)
{
	unsigned port;
	int l = tcp_listener(5, &port), n;
	struct request rq = inet_request(AF_INET, IPPROTO_TCP, ALL);
	struct inet_diag_bc_op eq[] = { { INET_DIAG_BC_S_EQ, 8, 12 }, { 0, 0, (uint16_t)port } };
	struct inet_diag_bc_op ge[] = { { INET_DIAG_BC_S_GE, 8, 12 }, { 0, 0, (uint16_t)(port + 1) } };
	struct { struct inet_diag_bc_op op; struct inet_diag_hostcond c; uint32_t addr; } host = {
		{ INET_DIAG_BC_S_COND, sizeof(host), sizeof(host) + 4 }, { AF_INET, 8, (int)port }, htonl(0x7f112233) };
	struct inet_diag_bc_op bad[] = { { INET_DIAG_BC_S_GE, 4, 8 } };
	struct inet_diag_bc_op back[] = { { INET_DIAG_BC_NOP, 0, 0 } };

	add_code(&rq, eq, sizeof(eq));
	assert_non_null(about(&rq, inode(l), &n));
	assert_int_equal(n, 1);
	rq = inet_request(AF_INET, IPPROTO_TCP, LISTENING);
	add_code(&rq, ge, sizeof(ge));
	assert_null(about(&rq, inode(l), &n));
	rq = inet_request(AF_INET, IPPROTO_TCP, ALL);
	add_code(&rq, &host, sizeof(host)); /* in 127.0.0.0/8, and that port */
	assert_non_null(about(&rq, inode(l), &n));
	assert_int_equal(n, 1);
	rq = inet_request(AF_INET, IPPROTO_TCP, ALL);
	add_code(&rq, bad, sizeof(bad));
	assert_int_equal(ask(&rq, answer, sizeof(answer), &(size_t){ 0 }), -EINVAL);
	rq = inet_request(AF_INET, IPPROTO_TCP, ALL);
	add_code(&rq, back, sizeof(back));
	assert_int_equal(ask(&rq, answer, sizeof(answer), &(size_t){ 0 }), -EINVAL);
	close(l);
}

static void unix_sockets(void **state)
{
	struct sockaddr_un un;
	socklen_t len;
	struct request rq = unix_request(ALL, UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN | UDIAG_SHOW_ICONS | UDIAG_SHOW_UID);
	const struct unix_diag_rqlen *q;
	const struct unix_diag_msg *m;
	const struct nlmsghdr *h;
	int sv[2], l = listener(SOCK_STREAM, &un, &len, 3), c = socket(AF_UNIX, SOCK_STREAM, 0), n;
	size_t size;

	make_pair(SOCK_STREAM, sv);
	ASSERT_OK(connect(c, (struct sockaddr *)&un, len));
	assert_int_equal(send(sv[0], "abc", 3, 0), 3);
	h = about(&rq, inode(sv[1]), &n);
	assert_non_null(h);
	m = NLMSG_DATA(h);
	assert_int_equal(m->udiag_type, SOCK_STREAM);
	assert_int_equal(m->udiag_state, 1);
	assert_int_equal(*(const uint32_t *)attribute(h, sizeof(*m), UNIX_DIAG_PEER, NULL), inode(sv[0]));
	q = attribute(h, sizeof(*m), UNIX_DIAG_RQLEN, NULL);
	assert_int_equal(q->udiag_rqueue, 3);
	assert_int_equal(q->udiag_wqueue, 0);
	assert_int_equal(*(const uint32_t *)attribute(h, sizeof(*m), UNIX_DIAG_UID, NULL), getuid());
	assert_null(attribute(h, sizeof(*m), UNIX_DIAG_NAME, NULL));
	h = about(&rq, inode(l), &n);
	assert_non_null(h);
	m = NLMSG_DATA(h);
	assert_int_equal(m->udiag_state, 10);
	assert_memory_equal(attribute(h, sizeof(*m), UNIX_DIAG_NAME, &size), un.sun_path, len - SUN_OFF);
	assert_int_equal(size, len - SUN_OFF);
	assert_int_equal(*(const uint32_t *)attribute(h, sizeof(*m), UNIX_DIAG_ICONS, &size), inode(c));
	assert_int_equal(size, 4);
	q = attribute(h, sizeof(*m), UNIX_DIAG_RQLEN, NULL);
	assert_int_equal(q->udiag_rqueue, 1);
	assert_int_equal(q->udiag_wqueue, 3);
	rq = unix_request(LISTENING, 0);
	assert_non_null(about(&rq, inode(l), &n));
	assert_null(about(&rq, inode(sv[0]), &n));
	/* One of them. */
	rq = unix_request(ALL, 0);
	rq.h.nlmsg_flags = NLM_F_REQUEST;
	rq.un.udiag_ino = inode(c);
	rq.un.udiag_cookie[0] = rq.un.udiag_cookie[1] = ~0u;
	assert_non_null(about(&rq, inode(c), &n));
	rq.un.udiag_ino = 0;
	assert_int_equal(ask(&rq, answer, sizeof(answer), &(size_t){ 0 }), -EINVAL);
	close(l);
	close(c);
	close(sv[0]);
	close(sv[1]);
}

static long destroy(int fd)
{
	struct request rq = inet_request(AF_INET, IPPROTO_TCP, ALL);
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	rq.h.nlmsg_type = SOCK_DESTROY;
	rq.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	ASSERT_OK(getsockname(fd, (struct sockaddr *)&in, &len));
	rq.in.id.idiag_sport = in.sin_port;
	rq.in.id.idiag_src[0] = in.sin_addr.s_addr;
	if (getpeername(fd, (struct sockaddr *)&in, &len) == 0) {
		rq.in.id.idiag_dport = in.sin_port;
		rq.in.id.idiag_dst[0] = in.sin_addr.s_addr;
	}
	return ask(&rq, answer, sizeof(answer), &(size_t){ 0 });
}

/* ss -K */
static void connections_are_ended(void **state)
{
	struct request rq = unix_request(ALL, 0);
	unsigned port;
	int sv[2], l = tcp_listener(1, &port);
	long r;
	char c;

	tcp_pair(sv);
	r = destroy(sv[0]);
	if (r == -EOPNOTSUPP || r == -EPERM)
		skip(); /* a kernel without, or nobody who may */
	assert_int_equal(r, 0);
	ASSERT_ERR(recv(sv[0], &c, 1, 0), ECONNABORTED);
	ASSERT_ERR(recv(sv[1], &c, 1, 0), ECONNRESET);
	assert_int_equal(wait_events(sv[0], POLLHUP) & (POLLHUP | POLLERR), POLLHUP);
	assert_int_equal(destroy(l), 0);
	ASSERT_ERR(accept(l, NULL, NULL), EINVAL);
	close_pair(sv);
	close(l);
	rq.h.nlmsg_type = SOCK_DESTROY;
	assert_int_equal(ask(&rq, answer, sizeof(answer), &(size_t){ 0 }), -EOPNOTSUPP);
	rq = inet_request(AF_INET, IPPROTO_TCP, ALL);
	rq.h.nlmsg_type = SOCK_DESTROY;
	rq.in.id.idiag_sport = htons(1);
	assert_int_equal(ask(&rq, answer, sizeof(answer), &(size_t){ 0 }), -ENOENT);
}

static void requests_that_are_wrong(void **state)
{
	struct request rq = inet_request(AF_INET, IPPROTO_TCP, ALL);
	size_t n;

	rq.h.nlmsg_len = NLMSG_LENGTH(20);
	assert_int_equal(ask(&rq, answer, sizeof(answer), &n), -EINVAL);
	rq.h.nlmsg_len = NLMSG_LENGTH(1);
	assert_int_equal(ask(&rq, answer, sizeof(answer), &n), -EINVAL);
	rq = inet_request(200, IPPROTO_TCP, ALL);
	assert_int_equal(ask(&rq, answer, sizeof(answer), &n), -EINVAL);
	rq = inet_request(AF_APPLETALK, IPPROTO_TCP, ALL);
	assert_int_equal(ask(&rq, answer, sizeof(answer), &n), -ENOENT);
	rq = inet_request(AF_INET, IPPROTO_TCP, ALL);
	rq.h.nlmsg_type = 30;
	assert_int_equal(ask(&rq, answer, sizeof(answer), &n), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_of_tcp),
		cmocka_unit_test(datagram_sockets),
		cmocka_unit_test(by_its_ends),
		cmocka_unit_test(filters),
		cmocka_unit_test(unix_sockets),
		cmocka_unit_test(connections_are_ended),
		cmocka_unit_test(requests_that_are_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
