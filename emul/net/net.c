/* SPDX-License-Identifier: MIT */
/* Boot of the socket layer. */
#include "emul/net/net.h"

#include "emul/net/inet.h"
#include "emul/net/lwip_port.h"
#include "emul/net/netif_info.h"
#include "emul/net/netlink.h"
#include "emul/net/packet.h"
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
