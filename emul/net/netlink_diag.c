/* SPDX-License-Identifier: MIT */
/*
 * NETLINK_SOCK_DIAG: Internet and Unix sockets, as ss(8) asks for them; man 7 sock_diag. net/core/sock_diag.c, net/ipv4/inet_diag.c,
 * net/unix/diag.c are the model. A cookie is the inode number, as SO_COOKIE is.
 */
#include "emul/net/inet_tcp.h"

#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>

#include "emul/net/diag_filter.h"
#include "emul/net/netlink.h"
#include "emul/net/unix.h"

#define ICONS_MAX 128 /* of a listener's queue: what fits into a message */

static void put_cookie(uint32_t to[2], uint64_t inode)
{
	to[0] = (uint32_t)inode;
	to[1] = (uint32_t)(inode >> 32);
}

static bool cookie_fits(const uint32_t c[2], uint64_t inode)
{
	return (c[0] == INET_DIAG_NOCOOKIE && c[1] == INET_DIAG_NOCOOKIE) || (c[0] == (uint32_t)inode && c[1] == (uint32_t)(inode >> 32));
}

/* --- Internet sockets --------------------------------------------------------------------------------------------------- */

static void put_addr(__be32 to[4], const struct in6_addr *a, int family)
{
	memset(to, 0, 16);
	if (family == AF_INET)
		to[0] = a->s6_addr32[3];
	else
		memcpy(to, a, 16);
}

static void fill_msg(struct inet_diag_msg *m, const struct inet_line *l, const struct inet_facts *f)
{
	int64_t left = l->sock ? 0 : (l->e.expires - inet_tcp_now()) / 1000000;

	m->idiag_family = (uint8_t)l->e.family;
	m->idiag_state = (uint8_t)f->state;
	m->idiag_timer = l->sock ? 0 : 3;
	m->idiag_expires = (uint32_t)MAX(left, (int64_t)0);
	m->id.idiag_sport = htons(f->local.port);
	m->id.idiag_dport = htons(f->remote.port);
	put_addr(m->id.idiag_src, &f->local.ip, l->e.family);
	put_addr(m->id.idiag_dst, &f->remote.ip, l->e.family);
	m->id.idiag_if = l->sock ? (uint32_t)l->sock->sock.opt.bound_if : (uint32_t)l->e.ifindex;
	put_cookie(m->id.idiag_cookie, f->inode);
	m->idiag_rqueue = f->rx;
	m->idiag_wqueue = f->tx;
	m->idiag_uid = f->uid;
	m->idiag_inode = (uint32_t)f->inode;
}

static bool asked(unsigned ext, int attr)
{
	return ext >> (attr - 1) & 1;
}

static void put_memory(struct nl_out *o, const struct sock *s, const struct inet_facts *f, unsigned ext)
{
	bool listening = f->state == TCP_LISTEN;
	uint32_t rx = listening ? 0 : f->rx, tx = listening ? 0 : f->tx;
	struct inet_diag_meminfo m = { .idiag_rmem = rx, .idiag_wmem = tx, .idiag_tmem = tx };
	uint32_t sk[] = { rx, (uint32_t)s->opt.rcvbuf, tx, (uint32_t)s->opt.sndbuf, 0, tx, 0, 0, f->drops }; /* SK_MEMINFO_* */

	if (asked(ext, INET_DIAG_MEMINFO))
		nl_attr(o, INET_DIAG_MEMINFO, &m, sizeof(m));
	if (asked(ext, INET_DIAG_SKMEMINFO))
		nl_attr(o, INET_DIAG_SKMEMINFO, sk, sizeof(sk));
}

static void put_tcp(struct nl_out *o, struct inet_sock *i, unsigned ext)
{
	char cc[16] = "";
	struct tcp_info info = { 0 };
	struct sock_optval v = { .addr = (uintptr_t)&info, .len = sizeof(info) }, c = { .addr = (uintptr_t)cc, .len = sizeof(cc) };

	if (asked(ext, INET_DIAG_INFO) && inet_tcp_getsockopt(&i->sock, NULL, SOL_TCP, TCP_INFO, &v) == 0)
		nl_attr(o, INET_DIAG_INFO, &info, sizeof(info));
	if (asked(ext, INET_DIAG_CONG) && inet_tcp_getsockopt(&i->sock, NULL, SOL_TCP, TCP_CONGESTION, &c) == 0)
		nl_attr(o, INET_DIAG_CONG, cc, strlen(cc) + 1);
}

static void put_inet(struct nl_request *rq, const struct inet_line *l, const struct inet_facts *f, unsigned ext, uint16_t flags)
{
	struct inet_diag_msg *m = nl_begin(rq, SOCK_DIAG_BY_FAMILY, flags, sizeof(*m));
	struct inet_sock *i = l->sock;

	fill_msg(m, l, f);
	if (!i)
		return;
	nl_attr_u8(rq->out, INET_DIAG_SHUTDOWN, (uint8_t)f->shutdown);
	if (asked(ext, INET_DIAG_TOS))
		nl_attr_u8(rq->out, INET_DIAG_TOS, (uint8_t)i->ip.tos);
	if (l->e.family == AF_INET6) {
		if (asked(ext, INET_DIAG_TCLASS))
			nl_attr_u8(rq->out, INET_DIAG_TCLASS, (uint8_t)MAX(i->ip.tclass, 0));
		if (f->state == TCP_LISTEN || f->state == TCP_CLOSE)
			nl_attr_u8(rq->out, INET_DIAG_SKV6ONLY, i->v6only);
	}
	if (rq->may_change && i->sock.opt.mark)
		nl_attr_u32(rq->out, INET_DIAG_MARK, (uint32_t)i->sock.opt.mark);
	put_memory(rq->out, &i->sock, f, ext);
	if (l->e.proto == PORT_TCP)
		put_tcp(rq->out, i, ext);
}

struct filter { const char *code; size_t len; };

static bool wanted(const struct inet_diag_req_v2 *r, const struct filter *flt, const struct inet_line *l, const struct inet_facts *f)
{
	struct inet_diag_msg m = { 0 };
	struct diag_entry e = { .family = l->e.family, .sport = f->local.port, .dport = f->remote.port, .port_given = f->port_given,
				.mark = l->sock ? (uint32_t)l->sock->sock.opt.mark : 0 };

	if (!(r->idiag_states >> f->state & 1) || (r->id.idiag_sport && r->id.idiag_sport != htons(f->local.port)) ||
	    (r->id.idiag_dport && r->id.idiag_dport != htons(f->remote.port)))
		return false;
	if (!flt->code)
		return true;
	fill_msg(&m, l, f);
	e.saddr = m.id.idiag_src;
	e.daddr = m.id.idiag_dst;
	e.ifindex = (int)m.id.idiag_if;
	return diag_filter_run(flt->code, flt->len, &e);
}

/* The attributes after the request. 0 or -EINVAL. */
static int read_filter(const struct nl_request *rq, struct filter *ret)
{
	size_t at = NLMSG_LENGTH(sizeof(struct inet_diag_req_v2)), len = rq->h->nlmsg_len;
	const char *p = (const char *)rq->h;

	*ret = (struct filter){ 0 };
	while (at + NLA_HDRLEN <= len) {
		struct nlattr a;

		memcpy(&a, p + at, sizeof(a));
		if (a.nla_len < NLA_HDRLEN || a.nla_len > len - at)
			return -EINVAL;
		if ((a.nla_type & NLA_TYPE_MASK) == INET_DIAG_REQ_BYTECODE)
			*ret = (struct filter){ p + at + NLA_HDRLEN, a.nla_len - (size_t)NLA_HDRLEN };
		at += NLA_ALIGN(a.nla_len);
	}
	return !ret->code || (ret->len && diag_filter_ok(ret->code, ret->len)) ? 0 : -EINVAL;
}

static int dump_inet(struct nl_request *rq, const struct inet_diag_req_v2 *r, enum port_proto proto)
{
	struct filter flt;
	struct inet_list list;
	int e = read_filter(rq, &flt);

	if (e < 0)
		return e;
	inet_list_make(&list, proto, r->sdiag_family);
	for (size_t i = 0; i < list.n; i++) {
		struct inet_facts f;

		inet_list_look(&list.line[i], &f);
		if (wanted(r, &flt, &list.line[i], &f))
			put_inet(rq, &list.line[i], &f, r->idiag_ext, NLM_F_MULTI);
	}
	inet_list_free(&list);
	nl_end_dump(rq);
	return NL_ANSWERED;
}

static bool same_addr(const __be32 a[4], const struct in6_addr *b, int family)
{
	__be32 have[4];

	put_addr(have, b, family);
	return !memcmp(a, have, family == AF_INET ? 4 : 16);
}

/* How well it fits an exact request: 2 the connection, 1 a listener or an unconnected socket there, 0 not. */
static int fits(const struct inet_diag_req_v2 *r, const struct inet_line *l, const struct inet_facts *f)
{
	if (r->id.idiag_sport != htons(f->local.port))
		return 0;
	if (f->remote.port)
		return r->id.idiag_dport == htons(f->remote.port) && same_addr(r->id.idiag_src, &f->local.ip, l->e.family) &&
				       same_addr(r->id.idiag_dst, &f->remote.ip, l->e.family) ? 2 : 0;
	return addr_is_any(&f->local.ip) || same_addr(r->id.idiag_src, &f->local.ip, l->e.family);
}

/* The one that is meant, in list; NULL: there is none. */
static const struct inet_line *find_one(const struct inet_list *list, const struct inet_diag_req_v2 *r, struct inet_facts *ret)
{
	const struct inet_line *best = NULL;
	int best_fit = 0;

	for (size_t i = 0; i < list->n && best_fit < 2; i++) {
		struct inet_facts f;
		int fit;

		inet_list_look(&list->line[i], &f);
		fit = fits(r, &list->line[i], &f);
		if (fit > best_fit) {
			best_fit = fit;
			best = &list->line[i];
			*ret = f;
		}
	}
	return best && cookie_fits(r->id.idiag_cookie, ret->inode) ? best : NULL;
}

/* SOCK_DESTROY. sock_diag_destroy(), tcp_abort() */
static int destroy(struct nl_request *rq, const struct inet_line *l)
{
	if (!rq->may_change)
		return -EPERM;
	if (!l->sock || l->e.proto != PORT_TCP)
		return -EOPNOTSUPP;
	inet_tcp_abort(container_of(l->sock, struct inet_tcp, inet), ECONNABORTED);
	return 0;
}

static int one_inet(struct nl_request *rq, const struct inet_diag_req_v2 *r, enum port_proto proto)
{
	struct inet_list list;
	const struct inet_line *l;
	struct inet_facts f = { 0 };
	int e = 0;

	inet_list_make(&list, proto, r->sdiag_family);
	l = find_one(&list, r, &f);
	if (!l)
		e = -ENOENT;
	else if (rq->h->nlmsg_type == SOCK_DESTROY)
		e = destroy(rq, l);
	else
		put_inet(rq, l, &f, r->idiag_ext, 0);
	inet_list_free(&list);
	return e;
}

static int inet_request(struct nl_request *rq)
{
	struct inet_diag_req_v2 r;
	enum port_proto proto;

	if (rq->h->nlmsg_len < NLMSG_LENGTH(sizeof(r)))
		return -EINVAL;
	memcpy(&r, NLMSG_DATA(rq->h), sizeof(r));
	switch (r.sdiag_protocol) {
	case IPPROTO_TCP: proto = PORT_TCP; break;
	case IPPROTO_UDP: proto = PORT_UDP; break;
	case IPPROTO_UDPLITE: proto = PORT_UDPLITE; break;
	default: return -ENOENT;
	}
	if (rq->h->nlmsg_type == SOCK_DIAG_BY_FAMILY && (rq->h->nlmsg_flags & NLM_F_DUMP))
		return dump_inet(rq, &r, proto);
	return one_inet(rq, &r, proto);
}

/* --- Unix sockets ----------------------------------------------------------------------------------------------------------- */

static uint32_t inode_of(const struct unix_sock *u)
{
	return (uint32_t)u->sk.file.anon_ino;
}

static void put_name(struct nl_out *o, const struct unix_addr *a)
{
	if (a)
		nl_attr(o, UNIX_DIAG_NAME, a->un.sun_path, (size_t)a->len - offsetof(struct sockaddr_un, sun_path));
}

static void put_peer(struct nl_out *o, struct unix_sock *u)
{
	AUTO(unix_sock) peer = unix_peer_get(u);

	if (peer)
		nl_attr_u32(o, UNIX_DIAG_PEER, inode_of(peer));
}

/* Who waits to be accepted: the clients. */
static void put_icons(struct nl_out *o, struct unix_sock *u)
{
	uint32_t ino[ICONS_MAX];
	struct unix_sock *e;
	size_t n = 0;

	mutex_lock(&u->sk.lock);
	list_for_each(e, &u->embryos, embryo_node) {
		struct unix_sock *client = e->peer;

		if (client && n < ICONS_MAX)
			ino[n++] = inode_of(client);
	}
	mutex_unlock(&u->sk.lock);
	nl_attr(o, UNIX_DIAG_ICONS, ino, n * sizeof(ino[0]));
}

static void put_queues(struct nl_out *o, struct unix_sock *u)
{
	struct unix_diag_rqlen q;

	mutex_lock(&u->sk.lock);
	if (u->state == UNIX_LISTENING)
		q = (struct unix_diag_rqlen){ u->qlen, u->backlog };
	else
		q = (struct unix_diag_rqlen){ (uint32_t)u->queued, (uint32_t)u->wmem };
	mutex_unlock(&u->sk.lock);
	nl_attr(o, UNIX_DIAG_RQLEN, &q, sizeof(q));
}

static void put_unix(struct nl_request *rq, struct unix_sock *u, unsigned show, uint16_t flags)
{
	struct unix_diag_msg *m = nl_begin(rq, SOCK_DIAG_BY_FAMILY, flags, sizeof(*m));
	bool unaccepted;

	mutex_lock(&u->sk.lock);
	unaccepted = u->unaccepted;
	mutex_unlock(&u->sk.lock);
	m->udiag_family = AF_UNIX;
	m->udiag_type = (uint8_t)u->sk.type;
	m->udiag_state = (uint8_t)u->state;
	m->udiag_ino = unaccepted ? 0 : inode_of(u);
	put_cookie(m->udiag_cookie, u->sk.file.anon_ino);
	if (show & UDIAG_SHOW_NAME)
		put_name(rq->out, u->addr);
	if (show & UDIAG_SHOW_PEER)
		put_peer(rq->out, u);
	if ((show & UDIAG_SHOW_ICONS) && u->state == UNIX_LISTENING)
		put_icons(rq->out, u);
	if (show & UDIAG_SHOW_RQLEN)
		put_queues(rq->out, u);
	if (show & UDIAG_SHOW_MEMINFO) {
		uint32_t sk[9] = { (uint32_t)u->queued, (uint32_t)u->sk.opt.rcvbuf, (uint32_t)u->wmem, (uint32_t)u->sk.opt.sndbuf };

		nl_attr(rq->out, UNIX_DIAG_MEMINFO, sk, sizeof(sk));
	}
	nl_attr_u8(rq->out, UNIX_DIAG_SHUTDOWN, (uint8_t)u->sk.shutdown);
	if (show & UDIAG_SHOW_UID)
		nl_attr_u32(rq->out, UNIX_DIAG_UID, u->sk.uid);
}

static int dump_unix(struct nl_request *rq, const struct unix_diag_req *r)
{
	struct unix_sock *u, *next;

	for (u = unix_list_next(NULL); u; u = next) {
		if (r->udiag_states >> u->state & 1)
			put_unix(rq, u, r->udiag_show, NLM_F_MULTI);
		next = unix_list_next(u);
		unix_put(u);
	}
	nl_end_dump(rq);
	return NL_ANSWERED;
}

static int one_unix(struct nl_request *rq, const struct unix_diag_req *r)
{
	struct unix_sock *u, *next;
	int found = -ENOENT;

	if (!r->udiag_ino)
		return -EINVAL;
	for (u = unix_list_next(NULL); u; u = next) {
		if (found == -ENOENT && inode_of(u) == r->udiag_ino) {
			found = cookie_fits(r->udiag_cookie, u->sk.file.anon_ino) ? 0 : -ESTALE;
			if (found == 0)
				put_unix(rq, u, r->udiag_show, 0);
		}
		next = unix_list_next(u);
		unix_put(u);
	}
	return found;
}

static int unix_request(struct nl_request *rq)
{
	struct unix_diag_req r;

	if (rq->h->nlmsg_len < NLMSG_LENGTH(sizeof(r)))
		return -EINVAL;
	memcpy(&r, NLMSG_DATA(rq->h), sizeof(r));
	return rq->h->nlmsg_flags & NLM_F_DUMP ? dump_unix(rq, &r) : one_unix(rq, &r);
}

/* --- requests ------------------------------------------------------------------------------------------------------------------ */

int netlink_diag_request(struct nl_request *rq)
{
	struct sock_diag_req r;

	bool destroys = rq->h->nlmsg_type == SOCK_DESTROY;

	if ((rq->h->nlmsg_type != SOCK_DIAG_BY_FAMILY && !destroys) || rq->h->nlmsg_len < NLMSG_LENGTH(sizeof(r)))
		return -EINVAL;
	memcpy(&r, NLMSG_DATA(rq->h), sizeof(r));
	if (r.sdiag_family >= AF_MAX)
		return -EINVAL;
	switch (r.sdiag_family) {
	case AF_INET:
	case AF_INET6: return inet_request(rq);
	case AF_UNIX: return destroys ? -EOPNOTSUPP : unix_request(rq);
	default: return -ENOENT;
	}
}
