/* SPDX-License-Identifier: MIT */
/* /proc/net: tcp, tcp6, udp, udp6, udplite, udplite6, in the kernel's own formats (tcp4_seq_show() and kin). */
#include "emul/net/inet_list.h"
#include "emul/net/inet_tcp.h"
#include "emul/proc/task.h"
#include "emul/vfs/pseudo.h"

#define TCP_LINE 149 /* lines of the IPv4 tables are padded */
#define UDP_LINE 127

static void put_addr(struct seq *out, int family, const struct endpoint *e)
{
	const uint32_t *w = e->ip.s6_addr32;

	if (family == AF_INET)
		seq_printf(out, "%08X:%04X ", w[3], e->port);
	else
		seq_printf(out, "%08X%08X%08X%08X:%04X ", w[0], w[1], w[2], w[3], e->port);
}

static void pad(struct seq *out, size_t from, size_t width)
{
	while (out->len - from < width && !out->failed)
		seq_puts(out, " ");
	seq_puts(out, "\n");
}

static void put_line(struct seq *out, unsigned n, const struct inet_line *l)
{
	size_t from = out->len;
	bool tcp = l->e.proto == PORT_TCP, four = l->e.family == AF_INET;
	struct inet_facts f;

	inet_list_look(l, &f);
	seq_printf(out, tcp ? "%4u: " : "%5u: ", n);
	put_addr(out, l->e.family, &f.local);
	put_addr(out, l->e.family, &f.remote);
	if (tcp && f.state == TCP_LISTEN)
		f.tx = 0;
	seq_printf(out, "%02X %08X:%08X %02X:%08lX %08X %5u %8d %llu %d %016lx", f.state, f.tx, f.rx, l->sock ? 0 : 3, 0ul, 0, f.uid, 0,
		   (unsigned long long)f.inode, f.refs, 0ul);
	if (!tcp)
		seq_printf(out, " %u", f.drops);
	else if (l->sock)
		seq_printf(out, " %d %d %d %d %d", 20, 4, 30, 10, -1);
	pad(out, from, four ? (tcp ? TCP_LINE : UDP_LINE) : 0);
}

static int show_sockets(struct seq *out, enum port_proto proto, int family)
{
	static const char *const head[2][2] = {
		{ "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
		  "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   "
		  "uid  timeout inode" },
		{ "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops",
		  "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   "
		  "uid  timeout inode ref pointer drops" },
	};
	struct inet_list c;
	bool udp = proto != PORT_TCP, six = family == AF_INET6;
	size_t from = out->len;

	seq_puts(out, head[udp][six]);
	pad(out, from, six ? 0 : udp ? UDP_LINE : TCP_LINE);
	inet_list_make(&c, proto, family);
	for (size_t i = 0; i < c.n; i++)
		put_line(out, (unsigned)i, &c.line[i]);
	inet_list_free(&c);
	return 0;
}

#define SOCKETS(name, proto, family)                                              \
	static int show_##name(struct pnode *n, struct fs_ctx *c, struct seq *out) \
	{                                                                         \
		return show_sockets(out, proto, family);                          \
	}
SOCKETS(tcp, PORT_TCP, AF_INET)
SOCKETS(tcp6, PORT_TCP, AF_INET6)
SOCKETS(udp, PORT_UDP, AF_INET)
SOCKETS(udp6, PORT_UDP, AF_INET6)
SOCKETS(udplite, PORT_UDPLITE, AF_INET)
SOCKETS(udplite6, PORT_UDPLITE, AF_INET6)

void procnet_register(void)
{
	procfs_add_net("tcp", show_tcp);
	procfs_add_net("tcp6", show_tcp6);
	procfs_add_net("udp", show_udp);
	procfs_add_net("udp6", show_udp6);
	procfs_add_net("udplite", show_udplite);
	procfs_add_net("udplite6", show_udplite6);
}
