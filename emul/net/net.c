/* SPDX-License-Identifier: MIT */
/* Boot of the socket layer. */
#include "emul/net/net.h"

#include "emul/net/netif_info.h"
#include "emul/net/unix.h"

int net_boot(struct instance_env *env)
{
	netif_info_boot();
	sock_family_register(&unix_family);
	return 0;
}
