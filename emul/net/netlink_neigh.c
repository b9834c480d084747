/* SPDX-License-Identifier: MIT */
/* NETLINK_ROUTE's neighbours (lwIP's tables of both families, with /proc/net/arp) and rules of routing, which are Linux's own three. neigh_fill_info(), fib_nl_fill_rule(). */
#include <linux/fib_rules.h>
#include <linux/if_arp.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "emul/base/err.h"
#include "emul/net/lwip_port.h"
#include "emul/net/netlink.h"
#include "emul/net/procnet.h"
#include "emul/net/route.h"
#include "emul/proc/task.h"
#include "emul/vfs/pseudo.h"

#define NEIGHBOURS_MAX 32
#define FAMILY_OF(rq) (((const struct rtgenmsg *)NLMSG_DATA((rq)->h))->rtgen_family)

void netlink_dump_neighbours(struct nl_request *rq)
{
	struct lwip_neighbour n[NEIGHBOURS_MAX];
	unsigned family = FAMILY_OF(rq), count = lwip_neighbours(n, NEIGHBOURS_MAX);

	for (unsigned i = 0; i < count; i++) {
		bool v4 = addr_is_v4(&n[i].ip);
		struct nda_cacheinfo info = { .ndm_refcnt = 0 };
		struct ndmsg *m;

		if (family != AF_UNSPEC && family != (v4 ? AF_INET : AF_INET6))
			continue;
		m = nl_begin(rq, RTM_NEWNEIGH, NLM_F_MULTI, sizeof(*m));
		m->ndm_family = v4 ? AF_INET : AF_INET6;
		m->ndm_ifindex = IF_ETH;
		m->ndm_state = n[i].state;
		m->ndm_flags = n[i].router ? NTF_ROUTER : 0;
		m->ndm_type = RTN_UNICAST;
		nl_attr(rq->out, NDA_DST, v4 ? (const void *)&n[i].ip.s6_addr32[3] : &n[i].ip, v4 ? 4 : sizeof(n[i].ip));
		if (n[i].state != NUD_INCOMPLETE)
			nl_attr(rq->out, NDA_LLADDR, n[i].hwaddr, sizeof(n[i].hwaddr));
		nl_attr_u32(rq->out, NDA_PROBES, 0);
		nl_attr(rq->out, NDA_CACHEINFO, &info, sizeof(info));
	}
}

static void put_rule(struct nl_request *rq, uint8_t family, uint8_t table, uint32_t priority)
{
	struct fib_rule_hdr *m = nl_begin(rq, RTM_NEWRULE, NLM_F_MULTI, sizeof(*m));

	m->family = family;
	m->table = table;
	m->action = FR_ACT_TO_TBL;
	nl_attr_u32(rq->out, FRA_TABLE, table);
	nl_attr_u32(rq->out, FRA_SUPPRESS_PREFIXLEN, UINT32_MAX);
	nl_attr_u8(rq->out, FRA_PROTOCOL, RTPROT_KERNEL);
	if (priority)
		nl_attr_u32(rq->out, FRA_PRIORITY, priority);
}

void netlink_dump_rules(struct nl_request *rq)
{
	unsigned family = FAMILY_OF(rq);

	if (family == AF_UNSPEC || family == AF_INET) {
		put_rule(rq, AF_INET, RT_TABLE_LOCAL, 0);
		put_rule(rq, AF_INET, RT_TABLE_MAIN, 32766);
		put_rule(rq, AF_INET, RT_TABLE_DEFAULT, 32767);
	}
	if (family == AF_UNSPEC || family == AF_INET6) {
		put_rule(rq, AF_INET6, RT_TABLE_LOCAL, 0);
		put_rule(rq, AF_INET6, RT_TABLE_MAIN, 32766);
	}
}

static int show_arp(struct pnode *node, struct fs_ctx *c, struct seq *out)
{
	struct lwip_neighbour n[NEIGHBOURS_MAX];
	unsigned count = lwip_neighbours(n, NEIGHBOURS_MAX);

	seq_puts(out, "IP address       HW type     Flags       HW address            Mask     Device\n");
	for (unsigned i = 0; i < count; i++) {
		const uint8_t *h = n[i].hwaddr;
		char text[INET6_ADDRSTRLEN];

		if (!addr_is_v4(&n[i].ip))
			continue;
		seq_printf(out, "%-16s 0x%-10x0x%-10x%02x:%02x:%02x:%02x:%02x:%02x     *        eth0\n", addr_text(&n[i].ip, text),
			   ARPHRD_ETHER, 2 /* ATF_COM */, h[0], h[1], h[2], h[3], h[4], h[5]);
	}
	return 0;
}

void procnet_neigh_boot(void)
{
	procfs_add_net("arp", show_arp);
}
