/* SPDX-License-Identifier: MIT */
/* Classic BPF: what a filter may be, and what it says about a call (seccomp) or a packet (sockets). net/core/filter.c, kernel/seccomp.c. */
#ifndef EMUL_PROC_BPF_H
#define EMUL_PROC_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

/* 0, -EINVAL. What it has passed ends after at most len steps and touches nothing but its own data. */
int bpf_check(const struct sock_filter *f, unsigned len);
/* What a checked filter returns for one call. */
uint32_t bpf_run(const struct sock_filter *f, const struct seccomp_data *d);

/* What a filter of a socket sees. Whatever it asks for that is not there ends it with 0. */
struct bpf_packet {
	const uint8_t *bytes;
	size_t len;            /* of bytes */
	size_t data;           /* where in bytes offset 0 of loads is */
	int net, link;         /* where in bytes these headers begin (SKF_NET_OFF, SKF_LL_OFF); -1: there is none */
	int transport;         /* and what follows the IP header, for SKF_AD_PAY_OFFSET; -1: unknown */
	uint8_t ip_protocol;   /* of what is there */
	uint16_t protocol;     /* ETH_P_* */
	uint8_t type;          /* PACKET_* */
	int ifindex;           /* 0: no interface; loads of it and of hatype end the filter */
	uint16_t hatype;       /* ARPHRD_* */
	uint32_t mark;
};

/* The same for filters of sockets: bpf_check_classic(). */
int bpf_check_packet(const struct sock_filter *f, unsigned len);
/* How many bytes, from offset 0, are to be kept; more than there are: all. */
uint32_t bpf_run_packet(const struct sock_filter *f, const struct bpf_packet *p);

#endif
