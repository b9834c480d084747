/* SPDX-License-Identifier: MIT */
/*
 * Internet addresses. Inside emul/net every address is an IPv6 one; IPv4 stands in it as
 * ::ffff:a.b.c.d, so that both families share tables and comparisons, as dual-stack sockets need.
 * Ports are in host byte order. Nothing here takes a lock.
 */
#ifndef EMUL_NET_ADDR_H
#define EMUL_NET_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "emul/base/types.h"

#ifndef SOL_TCP
#define SOL_TCP 6 /* <netinet/tcp.h> would clash with <linux/tcp.h> */
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif

struct endpoint {
	struct in6_addr ip;
	uint16_t port;
	uint32_t scope;    /* interface of a link-local address, 0: none */
	uint32_t flowinfo;
};

extern const struct in6_addr addr_any4, addr_any6, addr_loopback4, addr_loopback6;

static inline bool addr_eq(const struct in6_addr *a, const struct in6_addr *b) { return !memcmp(a, b, sizeof(*a)); }
static inline bool addr_is_v4(const struct in6_addr *a) { return IN6_IS_ADDR_V4MAPPED(a); }
static inline uint32_t addr_v4(const struct in6_addr *a) { return ntohl(a->s6_addr32[3]); } /* host order */
struct in6_addr addr_of_v4(uint32_t host_order);
/* 0.0.0.0 or ::. */
static inline bool addr_is_any(const struct in6_addr *a)
{
	return addr_is_v4(a) ? a->s6_addr32[3] == 0 : IN6_IS_ADDR_UNSPECIFIED(a);
}
bool addr_is_multicast(const struct in6_addr *a);
bool addr_is_loopback(const struct in6_addr *a); /* 127.0.0.0/8, ::1 */
static inline bool addr_is_linklocal6(const struct in6_addr *a) { return IN6_IS_ADDR_LINKLOCAL(a); }

/*
 * Reads a sockaddr for a socket of this family, with the checks that connect and sendto share:
 * -EINVAL (too short), -EAFNOSUPPORT. An AF_INET6 address may be a mapped one.
 */
int addr_read(int family, const void *sa, unsigned len, struct endpoint *ret);
/* Writes e as a socket of this family shows it (IPv4 as ::ffff:a.b.c.d in AF_INET6). Bytes used; buf has room for sockaddr_in6. */
unsigned addr_write(int family, const struct endpoint *e, void *buf);
/* "127.0.0.1", "::1"; for messages. */
const char *addr_text(const struct in6_addr *a, char buf[INET6_ADDRSTRLEN]);

#endif
