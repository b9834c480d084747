/* SPDX-License-Identifier: MIT */
/* How the instance's network is to be made: vmrun's options. Constant after boot. */
#ifndef EMUL_NET_NETCONF_H
#define EMUL_NET_NETCONF_H

#include <stdbool.h>
#include <stdint.h>

enum net_mode { NET_AUTO, NET_TAP, NET_USER, NET_LOOPBACK };

struct net_publish {
	uint32_t host_addr; /* IPv4, host order; 0: all */
	uint16_t host_port, guest_port;
	bool udp;
};

struct net_config {
	enum net_mode mode;
	const char *tap;  /* name of the tap interface; NULL: the first free vmrunN */
	const char *pcap; /* file for a packet capture; NULL: none */
	const struct net_publish *publish;
	unsigned npublish;
};

#endif
