/* SPDX-License-Identifier: MIT */
/* Sockets: what all families share. sock.h is the contract; net/socket.c and net/core/sock.c of Linux. */
#include "emul/base/sysctl.h"
#include "emul/net/filter.h"
#include "emul/net/net.h"
#include "emul/net/sock.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "emul/proc/task.h"

#define NPROTO 46    /* AF_MAX */
#define SOCK_TYPES 11 /* SOCK_MAX */

static const struct sock_family *families[NPROTO];

static struct sock *sock_of(struct file *f)
{
	return container_of(f, struct sock, file);
}

/* --- life ------------------------------------------------------------------------------------------------ */

static void options_init(struct sock_options *o)
{
	o->sndbuf = (int)sysctl_get(&sysctl_wmem_default);
	o->rcvbuf = (int)sysctl_get(&sysctl_rmem_default);
	o->rcvlowat = 1;
	o->peek_off = o->linger = o->incoming_cpu = -1;
	o->rcvtimeo = o->sndtimeo = INT64_MAX;
	o->max_pacing_rate = UINT64_MAX;
	o->passrights = true;
	o->txrehash = 1;
	o->busy_poll_budget = 8;
}

static _Atomic unsigned nsocks;

static _Atomic unsigned kinds[SOCK_KIND_MAX];

static enum sock_kind kind_of(int family, int type, int protocol)
{
	bool six = family == AF_INET6;

	switch (family) {
	case AF_INET:
	case AF_INET6:
		if (type == SOCK_STREAM)
			return six ? SOCK_KIND_TCP6 : SOCK_KIND_TCP;
		if (type == SOCK_RAW)
			return six ? SOCK_KIND_RAW6 : SOCK_KIND_RAW;
		if (protocol == IPPROTO_UDP)
			return six ? SOCK_KIND_UDP6 : SOCK_KIND_UDP;
		if (protocol == IPPROTO_UDPLITE)
			return six ? SOCK_KIND_UDPLITE6 : SOCK_KIND_UDPLITE;
		return six ? SOCK_KIND_PING6 : SOCK_KIND_PING;
	case AF_UNIX: return type == SOCK_STREAM ? SOCK_KIND_UNIX_STREAM : SOCK_KIND_UNIX;
	case AF_NETLINK: return SOCK_KIND_NETLINK;
	default: return SOCK_KIND_OTHER;
	}
}

static void count_kind(const struct sock *s, int n)
{
	atomic_fetch_add_explicit(&kinds[kind_of(s->family, s->type, s->protocol)], (unsigned)n, memory_order_relaxed);
}

unsigned sock_kind_count(enum sock_kind kind)
{
	return atomic_load_explicit(&kinds[kind], memory_order_relaxed);
}

void sock_change_family(struct sock *s, int family)
{
	count_kind(s, -1);
	s->family = family;
	count_kind(s, 1);
}

unsigned sock_count(void)
{
	return atomic_load_explicit(&nsocks, memory_order_relaxed);
}

void sock_init(struct sock *s, const struct sock_ops *ops, int family, int type, int protocol, struct task *t)
{
	file_init(&s->file, &sock_file_ops, O_RDWR);
	ref_init(&s->ref);
	atomic_fetch_add_explicit(&nsocks, 1, memory_order_relaxed);
	s->ops = ops;
	s->family = family;
	s->type = type;
	s->protocol = protocol;
	count_kind(s, 1);
	s->uid = t ? t->fsc.cred->fsuid : 0;
	s->gid = t ? t->fsc.cred->fsgid : 0;
	mutex_init(&s->lock);
	waitq_init(&s->rd);
	waitq_init(&s->wr);
	options_init(&s->opt);
}

void sock_inherit_options(struct sock *child, const struct sock *listener)
{
	struct sock_options *to = &child->opt;
	const struct sock_options *o = &listener->opt;

#define COPY(field) atomic_store_explicit(&to->field, atomic_load_explicit(&o->field, memory_order_relaxed), memory_order_relaxed)
	COPY(sndbuf), COPY(rcvbuf), COPY(rcvlowat), COPY(priority), COPY(mark), COPY(busy_poll), COPY(incoming_cpu), COPY(bound_if);
	COPY(rcvtimeo), COPY(sndtimeo), COPY(linger), COPY(max_pacing_rate), COPY(timestamping), COPY(timestamping_new);
	COPY(debug), COPY(reuseaddr), COPY(reuseport), COPY(keepalive), COPY(dontroute), COPY(broadcast), COPY(oobinline);
	COPY(no_check), COPY(passcred), COPY(passsec), COPY(passpidfd), COPY(passrights);
	COPY(timestamp), COPY(timestamp_ns), COPY(timestamp_new), COPY(rxq_ovfl), COPY(wifi_status), COPY(nofcs);
	COPY(select_err_queue), COPY(zerocopy), COPY(filter_locked), COPY(prefer_busy_poll), COPY(busy_poll_budget), COPY(txrehash);
	COPY(sndbuf_locked), COPY(rcvbuf_locked), COPY(rcvmark), COPY(txtime), COPY(txtime_clock), COPY(txtime_flags);
#undef COPY
	filter_inherit(child, listener);
}

void sock_put(struct sock *s)
{
	if (!s || !ref_put(&s->ref))
		return;
	count_kind(s, -1);
	if (s->ops->destroy)
		s->ops->destroy(s);
	filter_drop(s);
	waitq_fini(&s->wr);
	waitq_fini(&s->rd);
	mutex_fini(&s->lock);
	file_fini(&s->file);
	free(s);
	atomic_fetch_sub_explicit(&nsocks, 1, memory_order_relaxed);
}

static void sock_file_release(struct file *f)
{
	struct sock *s = sock_of(f);

	if (s->ops->release)
		s->ops->release(s);
	sock_put(s);
}

/* --- making ---------------------------------------------------------------------------------------------------- */

void sock_family_register(const struct sock_family *f)
{
	assert(f->family >= 0 && f->family < NPROTO);
	families[f->family] = f;
}

int sock_create(struct task *t, int family, int type, int protocol, struct sock **ret)
{
	if (family < 0 || family >= NPROTO)
		return -EAFNOSUPPORT;
	if (type < 0 || type >= SOCK_TYPES)
		return -EINVAL;
	if (!families[family])
		return -EAFNOSUPPORT;
	return families[family]->create(t, type, protocol, ret);
}

int sock_socketpair(struct sock *a, struct sock *b, struct task *t)
{
	return a->ops->socketpair ? a->ops->socketpair(a, b, t) : -EOPNOTSUPP;
}

/* --- waiting ----------------------------------------------------------------------------------------------------- */

static struct sock_wait wait_for(int64_t timeo, bool nonblock)
{
	struct sock_wait w = { .nonblock = nonblock || timeo == 0, .timed = timeo != INT64_MAX };

	w.until = w.timed && !w.nonblock ? deadline_after(CLOCK_MONOTONIC, timeo) : FOREVER;
	return w;
}

struct sock_wait sock_wait_rd(struct sock *s, bool nonblock)
{
	return wait_for(s->opt.rcvtimeo, nonblock);
}

struct sock_wait sock_wait_wr(struct sock *s, bool nonblock)
{
	return wait_for(s->opt.sndtimeo, nonblock);
}

int sock_sleep(struct waitq *wq, struct mutex *lock, const struct sock_wait *w)
{
	int r;

	if (w->nonblock)
		return -EAGAIN;
	r = waitq_sleep(wq, lock, w->until);
	if (r == -ETIMEDOUT)
		return -EAGAIN;
	return r == -ERESTARTSYS && w->timed ? -EINTR : r;
}

/* --- as a file ------------------------------------------------------------------------------------------------------ */

ssize_t sock_sendmsg(struct sock *s, struct task *t, struct sock_msg *m)
{
	return s->ops->sendmsg ? s->ops->sendmsg(s, t, m) : -EOPNOTSUPP;
}

ssize_t sock_recvmsg(struct sock *s, struct task *t, struct sock_msg *m)
{
	return s->ops->recvmsg ? s->ops->recvmsg(s, t, m) : -EOPNOTSUPP;
}

static unsigned dontwait(struct file *f)
{
	return file_nonblock(f) ? MSG_DONTWAIT : 0;
}

static ssize_t sock_read(struct file *f, struct uio *to, off_t *pos)
{
	struct sock_msg m = { .data = to, .flags = dontwait(f) };

	return uio_left(to) ? sock_recvmsg(sock_of(f), task_current(), &m) : 0; /* nothing wanted: as SYS5 */
}

static ssize_t sock_write(struct file *f, struct uio *from, off_t *pos)
{
	struct sock *s = sock_of(f);
	struct sock_msg m = { .data = from, .flags = dontwait(f) | (s->type == SOCK_SEQPACKET ? MSG_EOR : 0) };

	return sock_sendmsg(s, task_current(), &m);
}

static uint32_t sock_poll(struct file *f)
{
	struct sock *s = sock_of(f);

	return s->ops->poll ? s->ops->poll(s) : 0;
}

static int sock_stat(struct file *f, unsigned mask, struct statx *ret)
{
	*ret = (struct statx){
		.stx_mask = STATX_BASIC_STATS,
		.stx_mode = S_IFSOCK | 0777,
		.stx_nlink = 1,
		.stx_uid = sock_of(f)->uid,
		.stx_gid = sock_of(f)->gid,
		.stx_blksize = PAGE_SIZE,
		.stx_ino = f->anon_ino,
		.stx_dev_minor = 8, /* sockfs */
	};
	return 0;
}

static void sock_describe(struct file *f, char *buf, size_t size)
{
	snprintf(buf, size, "socket:[%llu]", (unsigned long long)f->anon_ino);
}

static int sock_deliver(struct file *f, const void *msg, size_t size)
{
	struct sock *s = sock_of_file(f);

	return s->ops->deliver ? s->ops->deliver(s, msg, size) : -EINVAL;
}

/* unix_stream_splice_read(); tcp_splice_read() looks at O_NONBLOCK alone. */
static bool sock_splice_nonblock(struct file *f)
{
	return sock_of(f)->family == AF_UNIX;
}

static bool sock_close_waits(struct file *f)
{
	return sock_of(f)->opt.linger > 0;
}

static int sock_mmap(struct file *f, bool shared, struct memobj **ret)
{
	struct sock *s = sock_of(f);

	return s->ops->mmap ? s->ops->mmap(s, ret) : -ENODEV;
}

const struct file_ops sock_file_ops = {
	.name = "socket",
	.read_waits_first = true,
	.write_waits_first = true,
	.read = sock_read,
	.write = sock_write,
	.poll = sock_poll,
	.ioctl = sock_ioctl,
	.mmap = sock_mmap,
	.stat = sock_stat,
	.start_async = file_always_async,
	.describe = sock_describe,
	.deliver = sock_deliver,
	.splice_nonblock = sock_splice_nonblock,
	.close_waits = sock_close_waits,
	.release = sock_file_release,
};
