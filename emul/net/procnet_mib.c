/* SPDX-License-Identifier: MIT */
/* /proc/net: snmp, snmp6, netstat, sockstat, sockstat6, protocols; net/ipv4/proc.c, net/ipv6/proc.c, net/core/sock.c for the forms. */
#include <stdio.h>

#include "emul/net/dgram.h"
#include "emul/net/inet_list.h"
#include "emul/net/inet_tcp.h"
#include "emul/net/mib.h"
#include "emul/net/net.h"
#include "emul/net/procnet.h"
#include "emul/net/unix.h"
#include "emul/proc/task.h"
#include "emul/vfs/pseudo.h"

#define NEVER 0ull /* what does not happen here */

typedef unsigned long long ull;

static const char *const udp_names[] = { "InDatagrams", "NoPorts", "InErrors", "OutDatagrams", "RcvbufErrors", "SndbufErrors", "InCsumErrors",
					 "IgnoredMulti", "MemErrors" };
#define UDP_NAMES 9

static ull udp_value(bool v6, bool lite, unsigned k)
{
	static const int which[UDP_NAMES] = { MIB_UDP_IN, MIB_UDP_NO_PORT, MIB_UDP_IN_ERRORS, MIB_UDP_OUT, MIB_UDP_FULL, -1, MIB_UDP_BAD_SUM,
					      MIB_UDP_IGNORED, -1 };

	return which[k] < 0 ? NEVER : mib_udp_count(v6, lite, (enum mib_udp)which[k]);
}

static ull icmp_sum(bool v6, bool out)
{
	ull n = 0;

	for (unsigned i = 0; i < 256; i++)
		n += mib_icmp_count(v6, out, (uint8_t)i);
	return n;
}

/* --- sockets ------------------------------------------------------------------------------------------------------------ */

struct tcp_counts { unsigned inuse, tw, established; };

static struct tcp_counts count_tcp(int family)
{
	struct tcp_counts n = { 0 };
	struct inet_list l;

	inet_list_make(&l, PORT_TCP, family);
	for (size_t i = 0; i < l.n; i++) {
		struct inet_facts f;

		inet_list_look(&l.line[i], &f);
		if (!l.line[i].sock)
			n.tw++;
		else
			n.inuse += f.state != TCP_CLOSE;
		n.established += l.line[i].sock && (f.state == TCP_ESTABLISHED || f.state == TCP_CLOSE_WAIT);
	}
	inet_list_free(&l);
	return n;
}

static unsigned count_udp(enum port_proto proto, int family)
{
	struct inet_list l;
	unsigned n;

	inet_list_make(&l, proto, family);
	n = (unsigned)l.n;
	inet_list_free(&l);
	return n;
}

/* orphan: what a closed socket still has to do is lwIP's; mem: buffers are the VMM's own memory. */
static int show_sockstat(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct tcp_counts all = count_tcp(0);

	seq_printf(out, "sockets: used %u\n", sock_count());
	seq_printf(out, "TCP: inuse %u orphan %u tw %u alloc %u mem %u\n", count_tcp(AF_INET).inuse, 0, all.tw,
		   sock_kind_count(SOCK_KIND_TCP) + sock_kind_count(SOCK_KIND_TCP6), 0);
	seq_printf(out, "UDP: inuse %u mem %u\n", count_udp(PORT_UDP, AF_INET), 0);
	seq_printf(out, "UDPLITE: inuse %u\n", count_udp(PORT_UDPLITE, AF_INET));
	seq_printf(out, "RAW: inuse %u\n", sock_kind_count(SOCK_KIND_RAW));
	seq_printf(out, "FRAG: inuse %u memory %u\n", 0, 0);
	return 0;
}

static int show_sockstat6(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_printf(out, "TCP6: inuse %u\n", count_tcp(AF_INET6).inuse);
	seq_printf(out, "UDP6: inuse %u\n", count_udp(PORT_UDP, AF_INET6));
	seq_printf(out, "UDPLITE6: inuse %u\n", count_udp(PORT_UDPLITE, AF_INET6));
	seq_printf(out, "RAW6: inuse %u\n", sock_kind_count(SOCK_KIND_RAW6));
	seq_printf(out, "FRAG6: inuse %u memory %u\n", 0, 0);
	return 0;
}

/* Which of Linux's calls a protocol has: close, connect, disconnect, accept, ioctl, init, destroy, shutdown, setsockopt, getsockopt, ... */
static int show_protocols(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	static const struct { const char *name, *can; enum sock_kind kind; unsigned size, header; } row[] = {
		{ "PINGv6", "y  y  y  n  n  y  n  n  y  y  y  y  y  y  n  y  y  n", SOCK_KIND_PING6, sizeof(struct dgram_sock), 0 },
		{ "RAWv6", "y  y  y  n  y  y  y  n  y  y  y  y  y  y  y  y  n  n", SOCK_KIND_RAW6, sizeof(struct dgram_sock), 0 },
		{ "UDPLITEv6", "y  y  y  n  y  y  y  n  y  y  y  y  n  n  y  y  y  n", SOCK_KIND_UDPLITE6, sizeof(struct dgram_sock), 0 },
		{ "UDPv6", "y  y  y  n  y  y  y  n  y  y  y  y  n  n  y  y  y  n", SOCK_KIND_UDP6, sizeof(struct dgram_sock), 0 },
		{ "TCPv6", "y  y  y  y  y  y  y  y  y  y  y  y  n  y  y  y  y  y", SOCK_KIND_TCP6, sizeof(struct inet_tcp), 192 },
		{ "UNIX-STREAM", "y  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n", SOCK_KIND_UNIX_STREAM, sizeof(struct unix_sock), 0 },
		{ "UNIX", "y  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n", SOCK_KIND_UNIX, sizeof(struct unix_sock), 0 },
		{ "UDP-Lite", "y  y  y  n  y  y  y  n  y  y  y  y  n  n  y  y  y  n", SOCK_KIND_UDPLITE, sizeof(struct dgram_sock), 0 },
		{ "PING", "y  y  y  n  n  y  n  n  y  y  y  y  y  y  n  y  y  n", SOCK_KIND_PING, sizeof(struct dgram_sock), 0 },
		{ "RAW", "y  y  y  n  y  y  y  n  y  y  y  y  y  y  y  y  n  n", SOCK_KIND_RAW, sizeof(struct dgram_sock), 0 },
		{ "UDP", "y  y  y  n  y  y  y  n  y  y  y  y  n  n  y  y  y  n", SOCK_KIND_UDP, sizeof(struct dgram_sock), 0 },
		{ "TCP", "y  y  y  y  y  y  y  y  y  y  y  y  n  y  y  y  y  y", SOCK_KIND_TCP, sizeof(struct inet_tcp), 192 },
		{ "NETLINK", "n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n", SOCK_KIND_NETLINK, sizeof(struct sock), 0 },
	};

	seq_printf(out, "%-9s %-4s %-8s %-6s %-5s %-7s %-4s %-10s %s", "protocol", "size", "sockets", "memory", "press", "maxhdr", "slab",
		   "module", "cl co di ac io in de sh ss gs se re bi br ha uh gp em\n");
	for (size_t i = 0; i < ARRAY_SIZE(row); i++)
		seq_printf(out, "%-9s %4u %6u  %6ld   %-3s %6u   %-3s  %-10s  %s\n", row[i].name, row[i].size, sock_kind_count(row[i].kind),
			   row[i].header ? 0l : -1l, row[i].header ? "no" : "NI", row[i].header, "no", "kernel", row[i].can);
	return 0;
}

/* --- snmp ------------------------------------------------------------------------------------------------------------------ */

static void show_ip(struct seq *out)
{
	ull in = mib_ip_count(false, MIB_IP_IN), sent = mib_ip_count(false, MIB_IP_OUT);

	seq_puts(out, "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests "
		      "OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates OutTransmits\n");
	seq_printf(out, "Ip: 2 64 %llu 0 0 0 0 0 %llu %llu 0 %llu 0 0 0 0 0 0 0 %llu\n", in, in, sent,
		   (ull)mib_ip_count(false, MIB_IP_NO_ROUTE), sent);
}

static void show_icmp(struct seq *out)
{
	static const uint8_t types[] = { 3, 11, 12, 4, 5, 8, 0, 13, 14, 17, 18 };
	static const char *const names[] = { "DestUnreachs", "TimeExcds", "ParmProbs", "SrcQuenchs", "Redirects", "Echos", "EchoReps", "Timestamps",
					     "TimestampReps", "AddrMasks", "AddrMaskReps" };

	seq_puts(out, "Icmp: InMsgs InErrors InCsumErrors");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		seq_printf(out, " In%s", names[i]);
	seq_puts(out, " OutMsgs OutErrors OutRateLimitGlobal OutRateLimitHost");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		seq_printf(out, " Out%s", names[i]);
	seq_printf(out, "\nIcmp: %llu 0 0", icmp_sum(false, false));
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		seq_printf(out, " %llu", (ull)mib_icmp_count(false, false, types[i]));
	seq_printf(out, " %llu 0 0 0", icmp_sum(false, true));
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		seq_printf(out, " %llu", (ull)mib_icmp_count(false, true, types[i]));
	seq_puts(out, "\n");
}

/* Only types that were seen have a column. */
static void show_icmp_types(struct seq *out)
{
	if (!icmp_sum(false, false) && !icmp_sum(false, true))
		return;
	for (unsigned values = 0; values < 2; values++) {
		seq_puts(out, "IcmpMsg:");
		for (unsigned k = 0; k < 512; k++) {
			ull n = mib_icmp_count(false, k >= 256, (uint8_t)k);

			if (n && values)
				seq_printf(out, " %llu", n);
			else if (n)
				seq_printf(out, " %sType%u", k >= 256 ? "Out" : "In", k % 256);
		}
		seq_puts(out, "\n");
	}
}

static void show_udp(struct seq *out, const char *name, bool lite)
{
	seq_printf(out, "%s:", name);
	for (unsigned i = 0; i < UDP_NAMES; i++)
		seq_printf(out, " %s", udp_names[i]);
	seq_printf(out, "\n%s:", name);
	for (unsigned i = 0; i < UDP_NAMES; i++)
		seq_printf(out, " %llu", udp_value(false, lite, i));
	seq_puts(out, "\n");
}

static int show_snmp(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	show_ip(out);
	show_icmp(out);
	show_icmp_types(out);
	seq_puts(out, "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs "
		      "RetransSegs InErrs OutRsts InCsumErrors\n");
	seq_printf(out, "Tcp: 1 200 120000 -1 %llu %llu %llu %llu %u %llu %llu 0 0 %llu 0\n", (ull)mib_tcp_count(MIB_TCP_ACTIVE),
		   (ull)mib_tcp_count(MIB_TCP_PASSIVE), (ull)mib_tcp_count(MIB_TCP_FAILS), (ull)mib_tcp_count(MIB_TCP_RESETS),
		   count_tcp(0).established, (ull)mib_tcp_count(MIB_TCP_SEGMENTS_IN), (ull)mib_tcp_count(MIB_TCP_SEGMENTS_OUT),
		   (ull)mib_tcp_count(MIB_TCP_RESETS_OUT));
	show_udp(out, "Udp", false);
	show_udp(out, "UdpLite", true);
	return 0;
}

/* --- netstat: of Linux's long list, what is counted --------------------------------------------------------------------------- */

static int show_netstat(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_puts(out, "TcpExt: ListenOverflows ListenDrops TCPAbortOnData TCPAbortOnTimeout\n");
	seq_printf(out, "TcpExt: %llu %llu %llu %llu\n", (ull)mib_tcp_count(MIB_TCP_OVERFLOWS), (ull)mib_tcp_count(MIB_TCP_OVERFLOWS),
		   (ull)mib_tcp_count(MIB_TCP_ABORT_DATA), (ull)mib_tcp_count(MIB_TCP_ABORT_TIMEOUT));
	seq_puts(out, "IpExt: InOctets OutOctets\n");
	seq_printf(out, "IpExt: %llu %llu\n", (ull)mib_ip_count(false, MIB_IP_IN_BYTES), (ull)mib_ip_count(false, MIB_IP_OUT_BYTES));
	return 0;
}

/* --- snmp6 ----------------------------------------------------------------------------------------------------------------------- */

static void put6(struct seq *out, const char *prefix, const char *name, ull value)
{
	char key[64];

	snprintf(key, sizeof(key), "%s%s", prefix, name);
	seq_printf(out, "%-32s\t%llu\n", key, value);
}

static int show_snmp6(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	static const struct { const char *name; int what; } ip6[] = {
		{ "InReceives", MIB_IP_IN }, { "InHdrErrors", -1 }, { "InTooBigErrors", -1 }, { "InNoRoutes", -1 }, { "InAddrErrors", -1 },
		{ "InUnknownProtos", -1 }, { "InTruncatedPkts", -1 }, { "InDiscards", -1 }, { "InDelivers", MIB_IP_IN },
		{ "OutForwDatagrams", -1 }, { "OutRequests", MIB_IP_OUT }, { "OutDiscards", -1 }, { "OutNoRoutes", MIB_IP_NO_ROUTE },
		{ "ReasmTimeout", -1 }, { "ReasmReqds", -1 }, { "ReasmOKs", -1 }, { "ReasmFails", -1 }, { "FragOKs", -1 }, { "FragFails", -1 },
		{ "FragCreates", -1 }, { "InMcastPkts", MIB_IP_IN_GROUP }, { "OutMcastPkts", MIB_IP_OUT_GROUP },
		{ "InOctets", MIB_IP_IN_BYTES }, { "OutOctets", MIB_IP_OUT_BYTES },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ip6); i++)
		put6(out, "Ip6", ip6[i].name, ip6[i].what < 0 ? NEVER : mib_ip_count(true, (enum mib_ip)ip6[i].what));
	put6(out, "Icmp6", "InMsgs", icmp_sum(true, false));
	put6(out, "Icmp6", "InErrors", NEVER);
	put6(out, "Icmp6", "OutMsgs", icmp_sum(true, true));
	put6(out, "Icmp6", "OutErrors", NEVER);
	put6(out, "Icmp6", "InCsumErrors", NEVER);
	for (unsigned k = 0; k < 512; k++) {
		ull seen = mib_icmp_count(true, k >= 256, (uint8_t)k);
		char key[32];

		snprintf(key, sizeof(key), "%sType%u", k >= 256 ? "Out" : "In", k % 256);
		if (seen)
			put6(out, "Icmp6", key, seen);
	}
	for (unsigned lite = 0; lite < 2; lite++)
		for (unsigned i = 0; i < UDP_NAMES; i++)
			put6(out, lite ? "UdpLite6" : "Udp6", udp_names[i], udp_value(true, lite, i));
	return 0;
}

void procnet_mib_boot(void)
{
	procfs_add_net("netstat", show_netstat);
	procfs_add_net("protocols", show_protocols);
	procfs_add_net("snmp", show_snmp);
	procfs_add_net("snmp6", show_snmp6);
	procfs_add_net("sockstat", show_sockstat);
	procfs_add_net("sockstat6", show_sockstat6);
}
