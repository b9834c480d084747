/* SPDX-License-Identifier: MIT */
/* Internet addresses: addr.h has the convention. */
#include "emul/net/addr.h"

#include <arpa/inet.h>

#include "emul/base/err.h"

#define MIN_LEN6 24 /* RFC 2133: without the scope */

const struct in6_addr addr_any4 = { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0 } } };
const struct in6_addr addr_any6 = IN6ADDR_ANY_INIT;
const struct in6_addr addr_loopback4 = { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1 } } };
const struct in6_addr addr_loopback6 = IN6ADDR_LOOPBACK_INIT;

struct in6_addr addr_of_v4(uint32_t host_order)
{
	struct in6_addr a = addr_any4;

	a.s6_addr32[3] = htonl(host_order);
	return a;
}

bool addr_is_multicast(const struct in6_addr *a)
{
	return addr_is_v4(a) ? IN_MULTICAST(addr_v4(a)) : IN6_IS_ADDR_MULTICAST(a);
}

bool addr_is_loopback(const struct in6_addr *a)
{
	return addr_is_v4(a) ? addr_v4(a) >> 24 == 127 : addr_eq(a, &addr_loopback6);
}

int addr_read(int family, const void *sa, unsigned len, struct endpoint *ret)
{
	struct sockaddr_in6 six = { 0 };
	struct sockaddr_in four;

	if (family == AF_INET) {
		if (len < sizeof(four))
			return -EINVAL;
		memcpy(&four, sa, sizeof(four));
		if (four.sin_family != AF_INET)
			return -EAFNOSUPPORT;
		*ret = (struct endpoint){ .ip = addr_of_v4(ntohl(four.sin_addr.s_addr)), .port = ntohs(four.sin_port) };
		return 0;
	}
	if (len < MIN_LEN6)
		return -EINVAL;
	memcpy(&six, sa, MIN(len, sizeof(six)));
	if (six.sin6_family != AF_INET6)
		return -EAFNOSUPPORT;
	*ret = (struct endpoint){
		.ip = six.sin6_addr,
		.port = ntohs(six.sin6_port),
		.scope = len >= sizeof(six) ? six.sin6_scope_id : 0,
		.flowinfo = six.sin6_flowinfo,
	};
	return 0;
}

unsigned addr_write(int family, const struct endpoint *e, void *buf)
{
	if (family == AF_INET) {
		struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(e->port) };

		four.sin_addr.s_addr = e->ip.s6_addr32[3];
		memcpy(buf, &four, sizeof(four));
		return sizeof(four);
	}
	struct sockaddr_in6 six = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(e->port),
		.sin6_addr = e->ip,
		.sin6_scope_id = addr_is_linklocal6(&e->ip) ? e->scope : 0,
	};

	memcpy(buf, &six, sizeof(six));
	return sizeof(six);
}

const char *addr_text(const struct in6_addr *a, char buf[INET6_ADDRSTRLEN])
{
	const char *s = addr_is_v4(a) ? inet_ntop(AF_INET, &a->s6_addr32[3], buf, INET6_ADDRSTRLEN) :
					inet_ntop(AF_INET6, a, buf, INET6_ADDRSTRLEN);

	return s ? s : "?";
}
