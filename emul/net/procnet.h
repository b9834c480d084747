/* SPDX-License-Identifier: MIT */
/* The files of /proc/net that are not one family's own: dev, route, if_inet6, unix. */
#ifndef EMUL_NET_PROCNET_H
#define EMUL_NET_PROCNET_H

void procnet_boot(void);
void procnet_groups_boot(void); /* igmp, igmp6 */
void procnet_neigh_boot(void); /* arp */
void procnet_mib_boot(void); /* snmp, netstat, sockstat and kin */

#endif
