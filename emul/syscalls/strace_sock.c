/* SPDX-License-Identifier: MIT */
/* --strace: addresses and messages of sockets, in strace(1)'s form. */
#include <arpa/inet.h>
#include <ctype.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "emul/syscalls/strace_fmt.h"

#define SHOWN_VECTORS 8

union address {
	struct sockaddr_storage ss;
	struct sockaddr sa;
	struct sockaddr_un un;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_nl nl;
};

static void put_flags(struct trace_text *s, enum arg_kind kind, uint64_t v)
{
	if (!trace_flags(s, kind, v))
		trace_printf(s, "%#lx", v);
}

static void put_unix(struct trace_text *s, const struct sockaddr_un *un, size_t len)
{
	size_t n = len - offsetof(struct sockaddr_un, sun_path);

	if (n == 0)
		return;
	trace_printf(s, ", sun_path=%s\"", un->sun_path[0] ? "" : "@");
	for (size_t i = un->sun_path[0] ? 0 : 1; i < n && (un->sun_path[i] || !un->sun_path[0]); i++)
		trace_printf(s, isprint((unsigned char)un->sun_path[i]) ? "%c" : "\\%o", (unsigned char)un->sun_path[i]);
	trace_printf(s, "\"");
}

static void put_address(struct trace_text *s, const union address *a, size_t len)
{
	char text[INET6_ADDRSTRLEN] = "";

	trace_printf(s, "{sa_family=");
	put_flags(s, SOCK_FAMILY, a->sa.sa_family);
	if (a->sa.sa_family == AF_UNIX && len <= sizeof(a->un))
		put_unix(s, &a->un, len);
	else if (a->sa.sa_family == AF_INET && len >= sizeof(a->in))
		trace_printf(s, ", sin_port=htons(%u), sin_addr=inet_addr(\"%s\")", ntohs(a->in.sin_port),
			     inet_ntop(AF_INET, &a->in.sin_addr, text, sizeof(text)));
	else if (a->sa.sa_family == AF_INET6 && len >= 24)
		trace_printf(s, ", sin6_port=htons(%u), inet_pton(AF_INET6, \"%s\", &sin6_addr)", ntohs(a->in6.sin6_port),
			     inet_ntop(AF_INET6, &a->in6.sin6_addr, text, sizeof(text)));
	else if (a->sa.sa_family == AF_NETLINK && len >= sizeof(a->nl))
		trace_printf(s, ", nl_pid=%d, nl_groups=%#08x", (int)a->nl.nl_pid, a->nl.nl_groups);
	trace_printf(s, "}");
}

void trace_sockaddr(struct trace_text *s, struct task *t, gva_t at, uint64_t len)
{
	union address a;

	memset(&a, 0, sizeof(a));
	if (!at)
		trace_printf(s, "NULL");
	else if (len < sizeof(a.sa.sa_family) || len > sizeof(a) || copy_from_guest(t->mm, &a, at, len) < 0)
		trace_printf(s, "%#lx", at);
	else
		put_address(s, &a, len);
}

/* The length is where the argument behind it points. */
void trace_sockaddr_out(struct trace_text *s, struct task *t, gva_t at, gva_t len_at)
{
	uint32_t len = 0;

	if (at && get_guest_u32(t->mm, len_at, &len) < 0)
		len = 0;
	trace_sockaddr(s, t, at, len);
}

static void put_control(struct trace_text *s, struct task *t, const struct msghdr *h)
{
	__attribute__((aligned(8))) char buf[256];
	size_t n = h->msg_controllen < sizeof(buf) ? h->msg_controllen : sizeof(buf);
	const struct cmsghdr *c = (const struct cmsghdr *)(const void *)buf;

	if (n < sizeof(*c) || copy_from_guest(t->mm, buf, (gva_t)(uintptr_t)h->msg_control, n) < 0)
		return;
	trace_printf(s, ", msg_control=[{cmsg_len=%zu, cmsg_level=%d, cmsg_type=%d", c->cmsg_len, c->cmsg_level, c->cmsg_type);
	if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= n && at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
			int fd;

			memcpy(&fd, buf + at, sizeof(fd));
			trace_printf(s, at == CMSG_LEN(0) ? ", cmsg_data=[%d" : ", %d", fd);
		}
	if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len > CMSG_LEN(0))
		trace_printf(s, "]");
	trace_printf(s, "}]");
}

/* total: bytes that were moved; UINT64_MAX: all that there is. */
void trace_msghdr(struct trace_text *s, struct task *t, gva_t at, uint64_t total)
{
	struct msghdr h;

	if (!at || guest_read(t->mm, &h, at) < 0) {
		trace_printf(s, at ? "%#lx" : "NULL", at);
		return;
	}
	trace_printf(s, "{msg_name=");
	trace_sockaddr(s, t, (gva_t)(uintptr_t)h.msg_name, h.msg_namelen);
	trace_printf(s, ", msg_namelen=%u, msg_iov=", h.msg_namelen);
	trace_vector(s, t, (gva_t)(uintptr_t)h.msg_iov, (unsigned)(h.msg_iovlen < 1024 ? h.msg_iovlen : 1024), total);
	trace_printf(s, ", msg_iovlen=%zu", h.msg_iovlen);
	if (h.msg_control)
		put_control(s, t, &h);
	trace_printf(s, ", msg_controllen=%zu, msg_flags=", h.msg_controllen);
	put_flags(s, MSG_FLAGS, (unsigned)h.msg_flags);
	trace_printf(s, "}");
}
