/* SPDX-License-Identifier: MIT */
/* The Internet checksum (RFC 1071): sums of 16-bit words, kept in 32 bits until the end. */
#ifndef EMUL_NET_CHECKSUM_H
#define EMUL_NET_CHECKSUM_H

#include "emul/net/addr.h"

/* s and what len bytes add, len < 128 KiB; an odd last byte is followed by a zero. */
static inline uint32_t checksum_add(const void *data, size_t len, uint32_t s)
{
	const uint8_t *p = data;

	for (; len > 1; p += 2, len -= 2)
		s += (uint32_t)(p[0] << 8 | p[1]);
	if (len)
		s += (uint32_t)p[0] << 8;
	return (s >> 16) + (s & 0xffff);
}

/* Of the header that TCP, UDP and ICMPv6 sum beside their own. */
static inline uint32_t checksum_pseudo(const struct in6_addr *src, const struct in6_addr *dst, uint8_t protocol, size_t len)
{
	bool v4 = addr_is_v4(dst);
	uint32_t s = (uint32_t)len + protocol;

	s = checksum_add((const char *)src + (v4 ? 12 : 0), v4 ? 4 : 16, s);
	return checksum_add((const char *)dst + (v4 ? 12 : 0), v4 ? 4 : 16, s);
}

static inline void checksum_put(uint8_t *field, uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	s = ~s;
	field[0] = (uint8_t)(s >> 8);
	field[1] = (uint8_t)s;
}

#endif
