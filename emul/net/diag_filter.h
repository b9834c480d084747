/* SPDX-License-Identifier: MIT */
/* The byte code by which ss(8) says which sockets it wants: <linux/inet_diag.h>. The code is a guest's: checked before, bounded while it runs. */
#ifndef EMUL_NET_DIAG_FILTER_H
#define EMUL_NET_DIAG_FILTER_H

#include "emul/net/inet_list.h"

struct diag_entry {
	int family, ifindex;
	uint16_t sport, dport;
	const uint32_t *saddr, *daddr; /* as in struct inet_diag_sockid: IPv4 in the first word */
	uint32_t mark;
	bool port_given;
};

bool diag_filter_ok(const void *code, size_t len); /* inet_diag_bc_audit() */
bool diag_filter_run(const void *code, size_t len, const struct diag_entry *e);

#endif
