/* SPDX-License-Identifier: MIT */
/*
 * What the network has done, counted where it is done: /proc/net/snmp, snmp6, netstat (RFC 4293, 4113, 4022). Between sockets of the
 * instance a packet is what one call moved. What lwIP does by itself inside (fragments, repeated segments) is not told, and stays 0.
 */
#ifndef EMUL_NET_MIB_H
#define EMUL_NET_MIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each for IPv4 and IPv6, by v6: */
enum mib_ip { MIB_IP_IN, MIB_IP_OUT, MIB_IP_IN_BYTES, MIB_IP_OUT_BYTES, MIB_IP_IN_GROUP, MIB_IP_OUT_GROUP, MIB_IP_NO_ROUTE, MIB_IP_MAX };
enum mib_udp { MIB_UDP_IN, MIB_UDP_NO_PORT, MIB_UDP_IN_ERRORS, MIB_UDP_OUT, MIB_UDP_FULL, MIB_UDP_BAD_SUM, MIB_UDP_IGNORED, MIB_UDP_MAX };
enum mib_tcp { MIB_TCP_ACTIVE, MIB_TCP_PASSIVE, MIB_TCP_FAILS, MIB_TCP_RESETS, MIB_TCP_SEGMENTS_IN, MIB_TCP_SEGMENTS_OUT, MIB_TCP_RESETS_OUT,
	       MIB_TCP_OVERFLOWS, MIB_TCP_ABORT_DATA, MIB_TCP_ABORT_TIMEOUT, MIB_TCP_MAX };

void mib_ip(bool v6, enum mib_ip what, uint64_t n);
void mib_udp(bool v6, bool lite, enum mib_udp what);
void mib_tcp(enum mib_tcp what);
void mib_icmp(bool v6, bool out, uint8_t type);
/* A packet of len bytes between two sockets of the instance: out and in. */
void mib_local(bool v6, size_t len);
/* An Ethernet frame of eth0's, which will be nframes on the wire. */
void mib_frame(bool out, const void *frame, size_t len, unsigned nframes);

uint64_t mib_ip_count(bool v6, enum mib_ip what);
uint64_t mib_udp_count(bool v6, bool lite, enum mib_udp what);
uint64_t mib_tcp_count(enum mib_tcp what);
uint64_t mib_icmp_count(bool v6, bool out, uint8_t type);

#endif
