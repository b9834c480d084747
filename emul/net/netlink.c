/* SPDX-License-Identifier: MIT */
/* AF_NETLINK sockets, for NETLINK_ROUTE and NETLINK_SOCK_DIAG. net/netlink/af_netlink.c for the order of checks; man 7 netlink. */
#include "emul/net/netlink.h"

#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "emul/net/filter.h"
#include "emul/proc/task.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif
#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK 12
#endif
#define GROUPS_MAX 64
#define TOTAL_MAX ((size_t)64 << 20) /* of all queues: dumps are long */

struct nl_buf { struct list node; size_t len; char data[]; };

struct nl_sock {
	struct sock sk;
	struct list ports_node; /* ports_lock */
	_Atomic uint32_t portid; /* 0: not bound; written once under ports_lock */
	/* sk.lock: */
	struct list queue;      /* struct nl_buf */
	size_t queued;
	uint64_t groups;        /* bit n-1: group n */
	uint32_t dst_portid, dst_groups;
	bool pktinfo, broadcast_error, no_enobufs, cap_ack, ext_ack, strict;
};

static _Atomic size_t total; /* bytes in all queues */

static struct nl_buf *buf_new(const char *data, size_t len)
{
	struct nl_buf *b = atomic_fetch_add(&total, len) + len <= TOTAL_MAX ? malloc(sizeof(*b) + len) : NULL;

	if (!b) {
		atomic_fetch_sub(&total, len);
		return NULL;
	}
	b->len = len;
	memcpy(b->data, data, len);
	return b;
}

static void buf_free(struct nl_buf *b)
{
	if (b)
		atomic_fetch_sub(&total, b->len);
	free(b);
}

static struct mutex ports_lock = MUTEX_INIT;
static struct list ports = LIST_INIT(ports);

static const struct sock_ops netlink_ops;

static struct nl_sock *nl_of(struct sock *s)
{
	return container_of(s, struct nl_sock, sk);
}

/* --- life, names ---------------------------------------------------------------------------------------------- */

static int nl_create(struct task *t, int type, int protocol, struct sock **ret)
{
	struct nl_sock *n;

	if (type != SOCK_RAW && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	if (protocol != NETLINK_ROUTE && protocol != NETLINK_SOCK_DIAG)
		return -EPROTONOSUPPORT;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	sock_init(&n->sk, &netlink_ops, AF_NETLINK, type, protocol, t);
	list_init(&n->queue);
	list_init(&n->ports_node);
	*ret = &n->sk;
	return 0;
}

const struct sock_family netlink_family = { .family = AF_NETLINK, .create = nl_create };

static void nl_release(struct sock *s)
{
	struct nl_sock *n = nl_of(s);

	mutex_lock(&ports_lock);
	list_del(&n->ports_node);
	mutex_unlock(&ports_lock);
	while (!list_empty(&n->queue)) {
		struct nl_buf *b = list_first(&n->queue, struct nl_buf, node);

		list_del(&b->node);
		buf_free(b);
	}
}

static bool port_taken(uint32_t portid) REQUIRES(ports_lock)
{
	struct nl_sock *n;

	list_for_each(n, &ports, ports_node)
		if (n->portid == portid)
			return true;
	return false;
}

static int take_port(struct nl_sock *n, uint32_t portid)
{
	int r = 0;

	mutex_lock(&ports_lock);
	if (n->portid)
		r = n->portid == portid ? 0 : -EBUSY;
	else if (port_taken(portid))
		r = -EADDRINUSE;
	if (r == 0 && !n->portid) {
		n->portid = portid;
		list_add_tail(&ports, &n->ports_node);
	}
	mutex_unlock(&ports_lock);
	return r;
}

/* The process's number; if that is taken, one of those below -4096. */
static int autobind(struct nl_sock *n, struct task *t)
{
	uint32_t portid = t ? (uint32_t)t->proc->pid : 1;

	for (int32_t next = -4097; !n->portid; next--) {
		int r = take_port(n, portid);

		if (r != -EADDRINUSE)
			return r == -EBUSY ? 0 : r;
		portid = (uint32_t)next;
	}
	return 0;
}

static int nl_bind(struct sock *s, struct task *t, const struct sock_addr *a)
{
	struct nl_sock *n = nl_of(s);
	struct sockaddr_nl nl;
	int r;

	if (a->len < (int)sizeof(nl))
		return -EINVAL;
	memcpy(&nl, &a->ss, sizeof(nl));
	if (nl.nl_family != AF_NETLINK)
		return -EINVAL;
	if (n->portid)
		r = nl.nl_pid == n->portid ? 0 : -EINVAL;
	else
		r = nl.nl_pid ? take_port(n, nl.nl_pid) : autobind(n, t);
	if (r < 0)
		return r == -EBUSY ? -EINVAL : r;
	mutex_lock(&s->lock);
	n->groups = (n->groups & ~(uint64_t)UINT32_MAX) | nl.nl_groups;
	mutex_unlock(&s->lock);
	return 0;
}

static bool net_admin(struct task *t)
{
	return t && cred_capable(t->fsc.cred, CAP_NET_ADMIN);
}

static int nl_connect(struct sock *s, struct task *t, const struct sock_addr *a)
{
	struct nl_sock *n = nl_of(s);
	struct sockaddr_nl nl = { 0 };
	int r = 0;

	if (a->len < (int)sizeof(a->sa.sa_family))
		return -EINVAL;
	if (a->sa.sa_family != AF_UNSPEC) {
		if (a->sa.sa_family != AF_NETLINK || a->len < (int)sizeof(nl))
			return -EINVAL;
		memcpy(&nl, &a->ss, sizeof(nl));
		if ((nl.nl_groups || nl.nl_pid) && !net_admin(t))
			return -EPERM;
		r = autobind(n, t);
	}
	if (r < 0)
		return r;
	mutex_lock(&s->lock);
	n->dst_portid = nl.nl_pid;
	n->dst_groups = nl.nl_groups ? 1u << __builtin_ctz(nl.nl_groups) : 0;
	mutex_unlock(&s->lock);
	return 0;
}

static int nl_getname(struct sock *s, bool peer, struct sock_addr *ret)
{
	struct nl_sock *n = nl_of(s);
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK };

	mutex_lock(&s->lock);
	nl.nl_pid = peer ? n->dst_portid : n->portid;
	nl.nl_groups = peer ? n->dst_groups : (uint32_t)n->groups;
	mutex_unlock(&s->lock);
	memcpy(&ret->ss, &nl, sizeof(nl));
	ret->len = sizeof(nl);
	return 0;
}

/* --- answers -------------------------------------------------------------------------------------------------------- */

/* A datagram for n; without room it is lost, which n hears of. */
static void enqueue(struct nl_sock *n, const char *data, size_t len, bool dump)
{
	struct nl_buf *b;

	if (filter_is_set(&n->sk) && !filter_passes_message(&n->sk, data, len, 1, &len))
		return;
	b = buf_new(data, len);
	mutex_lock(&n->sk.lock);
	if (b && (dump || n->queued + len <= (size_t)n->sk.opt.rcvbuf)) {
		list_add_tail(&n->queue, &b->node);
		n->queued += len;
		b = NULL;
		sock_wake_rd(&n->sk, EPOLLIN | EPOLLRDNORM);
	} else if (!n->no_enobufs) {
		n->sk.err = ENOBUFS;
		sock_wake_rd(&n->sk, EPOLLERR);
	}
	mutex_unlock(&n->sk.lock);
	buf_free(b);
}

static int nl_deliver(struct sock *s, const void *msg, size_t size)
{
	if (size)
		enqueue(nl_of(s), msg, size, false);
	return 0;
}

static void flush(struct nl_out *o)
{
	if (o->len)
		enqueue(o->ctx, o->buf, o->len, o->dump);
	o->len = 0;
}

void *nl_begin(struct nl_request *rq, uint16_t type, uint16_t flags, size_t size)
{
	struct nl_out *o = rq->out;
	size_t least = 1024; /* what one of our messages can need */

	if (o->len + least > sizeof(o->buf))
		o->flush(o);
	o->h = (struct nlmsghdr *)(void *)(o->buf + o->len);
	memset(o->h, 0, NLMSG_SPACE(size));
	*o->h = (struct nlmsghdr){ .nlmsg_len = (uint32_t)NLMSG_LENGTH(size), .nlmsg_type = type, .nlmsg_flags = flags,
				   .nlmsg_seq = rq->h->nlmsg_seq, .nlmsg_pid = rq->portid };
	o->len += NLMSG_SPACE(size);
	return NLMSG_DATA(o->h);
}

void nl_attr(struct nl_out *o, uint16_t type, const void *data, size_t size)
{
	struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + size), .nla_type = type };
	size_t space = NLA_ALIGN(NLA_HDRLEN + size);

	if (o->len + space > sizeof(o->buf))
		return;
	memset(o->buf + o->len, 0, space);
	memcpy(o->buf + o->len, &a, sizeof(a));
	memcpy(o->buf + o->len + NLA_HDRLEN, data, size);
	o->len += space;
	o->h->nlmsg_len = (uint32_t)(o->buf + o->len - (char *)o->h);
}

void nl_end_dump(struct nl_request *rq)
{
	nl_begin(rq, NLMSG_DONE, NLM_F_MULTI, sizeof(int)); /* 0 */
}

/* netlink_ack(): the header of the request, and all of it with an error unless only that is wanted. */
static void acknowledge(struct nl_request *rq, struct nl_sock *n, int err)
{
	size_t body = err && !n->cap_ack ? MIN(rq->h->nlmsg_len - NLMSG_HDRLEN, (uint32_t)NL_DATAGRAM - 256) : 0;
	struct nlmsgerr *e;

	flush(rq->out); /* a message of its own, which may be long */
	e = nl_begin(rq, NLMSG_ERROR, err && !n->cap_ack ? 0 : NLM_F_CAPPED, sizeof(*e) + body);
	e->error = err;
	memcpy(&e->msg, rq->h, sizeof(*rq->h) + body);
	flush(rq->out);
}

/* --- requests ---------------------------------------------------------------------------------------------------------- */

static bool nothing_queued(struct nl_sock *n)
{
	bool none;

	mutex_lock(&n->sk.lock);
	none = n->queued == 0;
	mutex_unlock(&n->sk.lock);
	return none;
}

static void serve(struct nl_sock *n, struct task *t, const char *data, size_t len)
{
	struct nl_out out = { .flush = flush, .ctx = n };

	while (len >= NLMSG_HDRLEN) {
		struct nl_request rq = { .h = (const struct nlmsghdr *)(const void *)data, .portid = n->portid,
					 .may_change = net_admin(t), .strict = n->strict, .out = &out };
		uint32_t size = rq.h->nlmsg_len;
		int r = 0;

		if (size < NLMSG_HDRLEN || size > len)
			break;
		out.dump = (rq.h->nlmsg_flags & NLM_F_DUMP) && nothing_queued(n);
		if ((rq.h->nlmsg_flags & NLM_F_REQUEST) && rq.h->nlmsg_type >= NLMSG_MIN_TYPE)
			r = n->sk.protocol == NETLINK_ROUTE ? netlink_route_request(&rq) : netlink_diag_request(&rq);
		if (r != NL_ANSWERED && (r < 0 || (rq.h->nlmsg_flags & NLM_F_ACK)))
			acknowledge(&rq, n, r);
		flush(&out);
		data += MIN((size_t)NLMSG_ALIGN(size), len);
		len -= MIN((size_t)NLMSG_ALIGN(size), len);
	}
}

/* Where it goes: 0 to the kernel, else the error. */
static int check_destination(struct nl_sock *n, struct task *t, const struct sock_msg *m)
{
	struct sockaddr_nl nl = { 0 };

	if (m->addr && m->addr->len) {
		if (m->addr->len < (int)sizeof(nl))
			return -EINVAL;
		memcpy(&nl, &m->addr->ss, sizeof(nl));
		if (nl.nl_family != AF_NETLINK)
			return -EINVAL;
		if ((nl.nl_groups || nl.nl_pid) && !net_admin(t))
			return -EPERM;
	} else {
		mutex_lock(&n->sk.lock);
		nl.nl_pid = n->dst_portid;
		nl.nl_groups = n->dst_groups;
		mutex_unlock(&n->sk.lock);
	}
	return nl.nl_pid ? -ECONNREFUSED : 0; /* programs do not talk to each other this way */
}

/* scm_send() without files */
static int check_control(const struct sock_msg *m)
{
	const struct cmsghdr *c = NULL;
	int r = 0;

	while ((c = sock_cmsg_next(m, c, &r)))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type != SCM_CREDENTIALS)
			return -EINVAL;
	return r;
}

static ssize_t nl_sendmsg(struct sock *s, struct task *t, struct sock_msg *m)
{
	struct nl_sock *n = nl_of(s);
	size_t len = uio_left(m->data);
	AUTO_FREE char *buf = NULL;
	int r;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (len == 0)
		return -ENODATA;
	r = check_control(m);
	if (r == 0)
		r = check_destination(n, t, m);
	if (r == 0)
		r = autobind(n, t);
	if (r < 0)
		return r;
	if (len > (size_t)s->opt.sndbuf - 32)
		return -EMSGSIZE;
	buf = malloc(len);
	if (!buf)
		return -ENOBUFS;
	if (uio_copy_in(m->data, buf, len) != (ssize_t)len)
		return -EFAULT;
	serve(n, t, buf, len);
	return (ssize_t)len;
}

/* --- receiving ------------------------------------------------------------------------------------------------------------ */

static int wait_for_answer(struct nl_sock *n, const struct sock_wait *w) REQUIRES(n->sk.lock)
{
	for (;;) {
		int r = sock_take_error(&n->sk);

		if (r < 0)
			return r;
		if (!list_empty(&n->queue))
			return 0;
		r = sock_sleep(&n->sk.rd, &n->sk.lock, w);
		if (r < 0)
			return r;
	}
}

static ssize_t give(struct nl_sock *n, struct sock_msg *m, const struct nl_buf *b)
{
	static const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	static const struct ucred root = { 0, 0, 0 };
	static const struct nl_pktinfo info = { 0 };
	size_t size = MIN(b->len, uio_left(m->data));

	if (size < b->len)
		m->ret_flags |= MSG_TRUNC;
	if (size && uio_copy_out(m->data, b->data, size) != (ssize_t)size)
		return -EFAULT;
	if (m->addr) {
		memcpy(&m->addr->ss, &kernel, sizeof(kernel));
		m->addr->len = sizeof(kernel);
	}
	if (n->pktinfo)
		sock_put_cmsg(m, SOL_NETLINK, NETLINK_PKTINFO, &info, sizeof(info));
	if (n->sk.opt.passcred)
		sock_put_cmsg(m, SOL_SOCKET, SCM_CREDENTIALS, &root, sizeof(root));
	return (ssize_t)(m->flags & MSG_TRUNC ? b->len : size);
}

static ssize_t nl_recvmsg(struct sock *s, struct task *t, struct sock_msg *m)
{
	struct nl_sock *n = nl_of(s);
	struct sock_wait w = sock_wait_rd(s, m->flags & MSG_DONTWAIT);
	struct nl_buf *b = NULL;
	ssize_t r;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	mutex_lock(&n->sk.lock);
	r = wait_for_answer(n, &w);
	if (r == 0) {
		b = list_first(&n->queue, struct nl_buf, node);
		if (m->flags & MSG_PEEK) {
			r = give(n, m, b);
			b = NULL;
		} else {
			list_del(&b->node);
			n->queued -= b->len;
		}
	}
	mutex_unlock(&n->sk.lock);
	if (b)
		r = give(n, m, b);
	buf_free(b);
	return r;
}

static uint32_t nl_poll(struct sock *s)
{
	struct nl_sock *n = nl_of(s);
	uint32_t ev = EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;

	mutex_lock(&s->lock);
	if (!list_empty(&n->queue))
		ev |= EPOLLIN | EPOLLRDNORM;
	if (s->err)
		ev |= EPOLLERR;
	mutex_unlock(&s->lock);
	return ev;
}

/* --- options ------------------------------------------------------------------------------------------------------------------- */

static bool *flag_of(struct nl_sock *n, int name)
{
	switch (name) {
	case NETLINK_PKTINFO: return &n->pktinfo;
	case NETLINK_BROADCAST_ERROR: return &n->broadcast_error;
	case NETLINK_NO_ENOBUFS: return &n->no_enobufs;
	case NETLINK_CAP_ACK: return &n->cap_ack;
	case NETLINK_EXT_ACK: return &n->ext_ack;
	case NETLINK_GET_STRICT_CHK: return &n->strict;
	default: return NULL;
	}
}

static int nl_setsockopt(struct sock *s, struct task *t, int level, int name, const struct sock_optval *v)
{
	struct nl_sock *n = nl_of(s);
	bool *flag = flag_of(n, name);
	int val = 0, r = 0;

	if (level != SOL_NETLINK)
		return -ENOPROTOOPT;
	if (v->len >= (int)sizeof(val) && sock_opt_read(v, &val, sizeof(val)) < 0)
		return -EFAULT;
	mutex_lock(&s->lock);
	if (flag)
		*flag = val;
	else if (name != NETLINK_ADD_MEMBERSHIP && name != NETLINK_DROP_MEMBERSHIP)
		r = -ENOPROTOOPT;
	else if (val < 1 || val > GROUPS_MAX)
		r = -EINVAL;
	else if (name == NETLINK_ADD_MEMBERSHIP)
		n->groups |= (uint64_t)1 << (val - 1);
	else
		n->groups &= ~((uint64_t)1 << (val - 1));
	mutex_unlock(&s->lock);
	return r;
}

static int nl_getsockopt(struct sock *s, struct task *t, int level, int name, struct sock_optval *v)
{
	struct nl_sock *n = nl_of(s);
	bool *flag = flag_of(n, name);
	int val = 0;

	if (level != SOL_NETLINK)
		return -ENOPROTOOPT;
	if (v->len < 0)
		return -EINVAL;
	if (name == NETLINK_LIST_MEMBERSHIPS) {
		uint64_t groups;

		mutex_lock(&s->lock);
		groups = n->groups;
		mutex_unlock(&s->lock);
		return sock_opt_write(v, &groups, sizeof(groups));
	}
	if (!flag)
		return -ENOPROTOOPT;
	if (v->len < (int)sizeof(val))
		return -EINVAL;
	val = *flag;
	return sock_opt_write_int(v, val);
}

static void nl_memory(struct sock *s, struct sock_memory *ret)
{
	struct nl_sock *n = nl_of(s);

	mutex_lock(&s->lock);
	*ret = (struct sock_memory){ .rmem = n->queued };
	mutex_unlock(&s->lock);
}

static const struct sock_ops netlink_ops = {
	.memory = nl_memory,
	.bind = nl_bind,
	.connect = nl_connect,
	.getname = nl_getname,
	.setsockopt = nl_setsockopt,
	.getsockopt = nl_getsockopt,
	.sendmsg = nl_sendmsg,
	.recvmsg = nl_recvmsg,
	.poll = nl_poll,
	.deliver = nl_deliver,
	.release = nl_release,
};
