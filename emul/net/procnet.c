/* SPDX-License-Identifier: MIT */
/* /proc/net: interfaces and routes, AF_UNIX sockets. man 5 proc; net/unix/af_unix.c, net/core/net-procfs.c, net/ipv4/fib_trie.c. */
#include "emul/net/procnet.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>

#include "emul/net/netif_info.h"
#include "emul/net/unix.h"
#include "emul/proc/task.h"
#include "emul/vfs/pseudo.h"

/* --- interfaces ------------------------------------------------------------------------------------------------ */

static int show_dev(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct netif_info i;

	seq_puts(out, "Inter-|   Receive                                                |  Transmit\n"
		      " face |bytes    packets errs drop fifo frame compressed multicast|"
		      "bytes    packets errs drop fifo colls carrier compressed\n");
	for (int index = 1; netif_info_next(&index, &i); index++) {
		const struct netif_stats *s = &i.stats;

		seq_printf(out, "%6s: %7lu %7lu %4lu %4lu %4u %5u %10u %9u %8lu %7lu %4lu %4lu %4u %5u %7u %10u\n", i.name,
			   (unsigned long)s->rx_bytes, (unsigned long)s->rx_packets, (unsigned long)s->rx_errors,
			   (unsigned long)s->rx_dropped, 0, 0, 0, 0, (unsigned long)s->tx_bytes, (unsigned long)s->tx_packets,
			   (unsigned long)s->tx_errors, (unsigned long)s->tx_dropped, 0, 0, 0, 0);
	}
	return 0;
}

static uint32_t word_of(const uint8_t addr[4])
{
	uint32_t w;

	memcpy(&w, addr, sizeof(w));
	return w;
}

/* Lines of 127 characters: programs seek by it. */
static int show_route(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct netif_route r;
	struct netif_info i;

	seq_printf(out, "%-127s\n", "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT");
	for (unsigned k = 0; netif_route_at(k, &r); k++) {
		uint32_t gateway = word_of(r.gateway);
		char line[160];

		if (r.family != AF_INET || r.table != RT_TABLE_MAIN || netif_info_by_index(r.ifindex, &i) < 0)
			continue;
		snprintf(line, sizeof(line), "%s\t%08X\t%08X\t%04X\t0\t0\t%u\t%08X\t0\t0\t0", i.name, word_of(r.dst), gateway,
			 RTF_UP | (gateway ? RTF_GATEWAY : 0) | (r.prefix == 32 ? RTF_HOST : 0), r.metric,
			 htonl(r.prefix ? ~0u << (32 - r.prefix) : 0));
		seq_printf(out, "%-127s\n", line);
	}
	return 0;
}

static unsigned scope_bits(const struct netif_addr *a)
{
	return a->scope == RT_SCOPE_HOST ? 0x10 : a->scope == RT_SCOPE_LINK ? 0x20 : 0;
}

static int show_if_inet6(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct netif_info i;

	for (int index = 1; netif_info_next(&index, &i); index++)
		for (unsigned k = 0; k < i.naddrs; k++) {
			const struct netif_addr *a = &i.addr[k];

			if (a->family != AF_INET6)
				continue;
			for (unsigned b = 0; b < 16; b++)
				seq_printf(out, "%02x", a->addr[b]);
			seq_printf(out, " %02x %02x %02x %02x %8s\n", (unsigned)i.index, a->prefix, scope_bits(a), 0x80u, i.name);
		}
	return 0;
}

/* --- AF_UNIX ------------------------------------------------------------------------------------------------------ */

static void put_name(struct seq *out, const struct unix_addr *a)
{
	int n = a->len - (int)offsetof(struct sockaddr_un, sun_path);
	bool abstract = !a->un.sun_path[0];

	seq_puts(out, " ");
	if (!abstract)
		n--; /* the NUL */
	for (int i = 0; i < n; i++)
		seq_write(out, a->un.sun_path[i] ? &a->un.sun_path[i] : "@", 1);
}

static void put_unix(struct seq *out, struct unix_sock *u)
{
	bool connected = u->state == UNIX_CONNECTED, waits;
	struct unix_addr *a = u->addr;

	mutex_lock(&u->sk.lock);
	waits = u->unaccepted;
	mutex_unlock(&u->sk.lock);
	seq_printf(out, "%016llx: %08X %08X %08X %04X %02X %5llu", (unsigned long long)u->sk.file.anon_ino << 6, atomic_load(&u->sk.ref.n),
		   0, u->state == UNIX_LISTENING ? 0x10000 : 0, (unsigned)u->sk.type, waits ? 2 : connected ? 3 : 1,
		   waits ? 0 : (unsigned long long)u->sk.file.anon_ino);
	if (a)
		put_name(out, a);
	seq_puts(out, "\n");
}

static int show_unix(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct unix_sock *u, *next;

	seq_puts(out, "Num       RefCount Protocol Flags    Type St Inode Path\n");
	for (u = unix_list_next(NULL); u; u = next) {
		put_unix(out, u);
		next = unix_list_next(u);
		unix_put(u);
	}
	return 0;
}

void procnet_boot(void)
{
	procfs_add_net("dev", show_dev);
	procfs_add_net("if_inet6", show_if_inet6);
	procfs_add_net("route", show_route);
	procfs_add_net("unix", show_unix);
	procnet_groups_boot();
	procnet_mib_boot();
	procnet_neigh_boot();
}
