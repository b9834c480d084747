/* SPDX-License-Identifier: MIT */
/* /proc/net: igmp and igmp6, the multicast groups that are heard, by interface; net/ipv4/igmp.c, net/ipv6/mcast.c for the forms. */
#include <arpa/inet.h>
#include <string.h>

#include "emul/net/addr.h"
#include "emul/net/inet_group.h"
#include "emul/net/netif_info.h"
#include "emul/net/procnet.h"
#include "emul/net/route.h"
#include "emul/proc/task.h"
#include "emul/vfs/pseudo.h"

#define GROUPS_MAX (2 + NETIF_ADDRS_MAX)
#define MAF_LAST_REPORTER 4u /* <linux/if_inet6.h> is not for programs: MAF_* */
#define MAF_LOADED 8u

/* What every interface hears without being asked: all nodes, and the solicitations for its addresses. */
struct group { struct in6_addr addr; unsigned flags; };

static unsigned groups_of(const struct netif_info *i, bool v6, struct group ret[GROUPS_MAX])
{
	unsigned n = 0;

	if (!v6) {
		ret[0] = (struct group){ addr_of_v4(INADDR_ALLHOSTS_GROUP), 0 };
		return 1;
	}
	for (unsigned k = 0; k < i->naddrs && i->index != IF_LO; k++) {
		const struct netif_addr *a = &i->addr[k];

		if (a->family != AF_INET6)
			continue;
		ret[n] = (struct group){ { .s6_addr = { 0xff, 0x02, [11] = 0x01, 0xff } }, MAF_LAST_REPORTER };
		memcpy(&ret[n++].addr.s6_addr[13], &a->addr[13], 3);
	}
	ret[n++] = (struct group){ { .s6_addr = { 0xff, 0x02, [15] = 0x01 } }, MAF_LAST_REPORTER | MAF_LOADED };
	ret[n++] = (struct group){ { .s6_addr = { 0xff, 0x01, [15] = 0x01 } }, MAF_LOADED };
	return n;
}

static void put6(struct seq *out, const struct netif_info *i, const struct in6_addr *group, unsigned users, unsigned flags)
{
	seq_printf(out, "%-4d %-15s ", i->index, i->name);
	for (unsigned b = 0; b < 16; b++)
		seq_printf(out, "%02x", group->s6_addr[b]);
	seq_printf(out, " %5u %08X %d\n", users, flags, 0);
}

static void put4(struct seq *out, const struct netif_info *i, const struct in6_addr *group, unsigned users, unsigned flags)
{
	seq_printf(out, "\t\t\t\t%08X %5u %d:%08X\t\t%d\n", htonl(addr_v4(group)), users, 0, 0u, 0);
}

typedef void put_fn(struct seq *out, const struct netif_info *i, const struct in6_addr *group, unsigned users, unsigned flags);

/* Counts and, with a put, writes: first what sockets joined, then what is the interface's own. */
static unsigned each_group(struct seq *out, const struct netif_info *i, bool v6, put_fn *put)
{
	struct group own[GROUPS_MAX];
	unsigned nown = groups_of(i, v6, own), joined[GROUPS_MAX] = { 0 }, users, n = nown;
	struct in6_addr group;

	for (unsigned k = 0; (users = inet_group_at(k, i->index, &group)); k++) {
		unsigned j = 0;

		if (addr_is_v4(&group) == v6)
			continue;
		while (j < nown && !addr_eq(&own[j].addr, &group))
			j++;
		if (j < nown) {
			joined[j] = users;
			continue;
		}
		n++;
		if (put)
			put(out, i, &group, users, MAF_LAST_REPORTER);
	}
	for (unsigned j = 0; j < nown && put; j++)
		put(out, i, &own[j].addr, 1 + joined[j], own[j].flags);
	return n;
}

static int show_igmp(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct netif_info i;

	seq_puts(out, "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n");
	for (int index = 1; netif_info_next(&index, &i); index++) {
		seq_printf(out, "%d\t%-10s: %5u %7s\n", i.index, i.name, each_group(out, &i, false, NULL), "V3");
		each_group(out, &i, false, put4);
	}
	return 0;
}

static int show_igmp6(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct netif_info i;

	for (int index = 1; netif_info_next(&index, &i); index++)
		each_group(out, &i, true, put6);
	return 0;
}

void procnet_groups_boot(void)
{
	procfs_add_net("igmp", show_igmp);
	procfs_add_net("igmp6", show_igmp6);
}
