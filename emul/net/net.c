/* SPDX-License-Identifier: MIT */
/* Boot of the socket layer. */
#include "emul/net/net.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "emul/net/inet.h"
#include "emul/net/lwip_port.h"
#include "emul/net/netif_info.h"
#include "emul/net/netlink.h"
#include "emul/net/packet.h"
#include "emul/net/pcap.h"
#include "emul/net/procnet.h"
#include "emul/net/route.h"
#include "emul/net/unix.h"

int net_boot(struct instance_env *env, const struct net_config *cfg)
{
	netif_info_boot();
	procnet_boot();
	route_boot(cfg->mode != NET_LOOPBACK);
	lwip_configure(cfg);
	sock_family_register(&netlink_family);
	sock_family_register(&unix_family);
	inet_register();
	packet_register();
	procnet_register();
	return 0;
}

void net_leave(void)
{
	lwip_leave();
}

/* The capture is last: a start that fails truncates nobody's file. */
int net_start(const struct net_config *cfg, char *why, size_t size)
{
	int r = cfg->mode == NET_TAP ? lwip_start_now(why, size) : 0;

	if (r < 0 || !cfg->pcap)
		return r;
	r = pcap_open(cfg->pcap);
	if (r == -ENXIO)
		snprintf(why, size, "--pcap: nobody reads %s: start its reader first", cfg->pcap);
	else if (r < 0)
		snprintf(why, size, "--pcap: %s cannot be written: %s: give another file", cfg->pcap, strerror(-r));
	return r;
}
