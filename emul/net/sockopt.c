/* SPDX-License-Identifier: MIT */
/* SOL_SOCKET: the options that are the same for all families. sk_setsockopt(), sk_getsockopt(); man 7 socket. */
#include <linux/capability.h>
#include <linux/net_tstamp.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/time.h>

#include "emul/base/sysctl.h"
#include "emul/net/filter.h"
#include "emul/net/inet_reuseport.h"
#include "emul/net/netif_info.h"
#include "emul/net/sock.h"
#include "emul/proc/task.h"

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#define SO_PEERPIDFD 77
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif
#ifndef SO_RCVTIMEO_NEW
#define SO_RCVTIMEO_NEW 66
#define SO_SNDTIMEO_NEW 67
#endif
#ifndef SO_TIMESTAMP_NEW
#define SO_TIMESTAMP_NEW 63
#define SO_TIMESTAMPNS_NEW 64
#define SO_TIMESTAMPING_NEW 65
#endif
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#define SO_BUSY_POLL_BUDGET 70
#endif
#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#ifndef SO_RESERVE_MEM
#define SO_RESERVE_MEM 73
#endif
#ifndef SO_TXREHASH
#define SO_TXREHASH 74
#endif
#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF 68
#endif
#ifndef SO_RCVMARK
#define SO_RCVMARK 75
#endif
#define SNDBUF_LOCKED 1
#define RCVBUF_LOCKED 2
#define SOF_TIMESTAMPING_KNOWN 0x3ffff

/* --- values ---------------------------------------------------------------------------------------------- */

int sock_opt_read(const struct sock_optval *v, void *dst, size_t n)
{
	if (v->gm)
		return v->gm->ops->copy_in(v->gm, dst, v->addr, n) == n ? 0 : -EFAULT;
	memcpy(dst, (const void *)(uintptr_t)v->addr, n);
	return 0;
}

int sock_opt_int(const struct sock_optval *v, int *ret)
{
	return v->len < (int)sizeof(*ret) ? -EINVAL : sock_opt_read(v, ret, sizeof(*ret));
}

int sock_opt_write(struct sock_optval *v, const void *src, size_t n)
{
	n = MIN(n, (size_t)v->len);
	v->len = (int)n;
	if (v->gm)
		return v->gm->ops->copy_out(v->gm, v->addr, src, n) == n ? 0 : -EFAULT;
	memcpy((void *)(uintptr_t)v->addr, src, n);
	return 0;
}

/* --- yes or no ---------------------------------------------------------------------------------------------- */

static const struct { int name; size_t off; } flags[] = {
	{ SO_REUSEADDR, offsetof(struct sock_options, reuseaddr) },
	{ SO_KEEPALIVE, offsetof(struct sock_options, keepalive) },
	{ SO_DONTROUTE, offsetof(struct sock_options, dontroute) },
	{ SO_BROADCAST, offsetof(struct sock_options, broadcast) },
	{ SO_OOBINLINE, offsetof(struct sock_options, oobinline) },
	{ SO_NO_CHECK, offsetof(struct sock_options, no_check) },
	{ SO_RXQ_OVFL, offsetof(struct sock_options, rxq_ovfl) },
	{ SO_WIFI_STATUS, offsetof(struct sock_options, wifi_status) },
	{ SO_NOFCS, offsetof(struct sock_options, nofcs) },
	{ SO_SELECT_ERR_QUEUE, offsetof(struct sock_options, select_err_queue) },
	{ SO_DEBUG, offsetof(struct sock_options, debug) },
	{ SO_REUSEPORT, offsetof(struct sock_options, reuseport) },
	{ SO_PASSCRED, offsetof(struct sock_options, passcred) },
	{ SO_PASSPIDFD, offsetof(struct sock_options, passpidfd) },
	{ SO_PASSRIGHTS, offsetof(struct sock_options, passrights) },
	{ SO_ZEROCOPY, offsetof(struct sock_options, zerocopy) },
	{ SO_PASSSEC, offsetof(struct sock_options, passsec) },
	{ SO_LOCK_FILTER, offsetof(struct sock_options, filter_locked) },
	{ SO_RCVMARK, offsetof(struct sock_options, rcvmark) },
	{ SO_PREFER_BUSY_POLL, offsetof(struct sock_options, prefer_busy_poll) },
};

static _Atomic bool *flag_of(struct sock *s, int name)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].name == name)
			return (_Atomic bool *)((char *)&s->opt + flags[i].off);
	return NULL;
}

static bool is_inet(const struct sock *s)
{
	return s->family == AF_INET || s->family == AF_INET6;
}

static bool capable(struct task *t, int cap)
{
	return t && cred_capable(t->fsc.cred, cap);
}

/* Whether this socket may have the flag set to val: 0, or Linux's refusal. */
static int flag_allowed(struct sock *s, struct task *t, int name, int val)
{
	switch (name) {
	case SO_DEBUG: return val && !capable(t, CAP_NET_ADMIN) ? -EACCES : 0;
	case SO_REUSEPORT: return val && !is_inet(s) ? -EOPNOTSUPP : 0;
	case SO_PASSCRED: return s->family == AF_UNIX || s->family == AF_NETLINK ? 0 : -EOPNOTSUPP;
	case SO_PASSPIDFD:
	case SO_PASSRIGHTS: return s->family == AF_UNIX ? 0 : -EOPNOTSUPP;
	case SO_PASSSEC: return is_inet(s) ? -EOPNOTSUPP : 0;
	case SO_LOCK_FILTER: return s->opt.filter_locked && !val ? -EPERM : 0;
	case SO_RCVMARK: return capable(t, CAP_NET_RAW) || capable(t, CAP_NET_ADMIN) ? 0 : -EPERM;
	case SO_PREFER_BUSY_POLL: return val && !capable(t, CAP_NET_ADMIN) ? -EPERM : 0;
	case SO_ZEROCOPY: return !is_inet(s) ? -EOPNOTSUPP : val < 0 || val > 1 ? -EINVAL : 0;
	default: return 0;
	}
}

/* --- sizes and times -------------------------------------------------------------------------------------------- */

static int doubled(int val, int least)
{
	return MAX(MIN(val, INT32_MAX / 2) * 2, least);
}

static int cut_to_max(int val, struct sysctl *limit)
{
	unsigned max = (unsigned)sysctl_get(limit);

	return (unsigned)val > max ? (int)max : val; /* a negative one is a large one */
}

static void set_sndbuf(struct sock *s, int val)
{
	s->opt.sndbuf_locked = true;
	s->opt.sndbuf = doubled(val, SOCK_MIN_SNDBUF);
	mutex_lock(&s->lock);
	if (s->ops->poll)
		sock_wake_wr(s, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
	mutex_unlock(&s->lock);
}

static void set_rcvbuf(struct sock *s, int val)
{
	s->opt.rcvbuf_locked = true;
	s->opt.rcvbuf = doubled(val, SOCK_MIN_RCVBUF);
}

static int set_timeout(_Atomic int64_t *to, const struct sock_optval *v)
{
	struct timeval tv;

	if (v->len < (int)sizeof(tv))
		return -EINVAL;
	if (sock_opt_read(v, &tv, sizeof(tv)) < 0)
		return -EFAULT;
	if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return -EDOM;
	if (tv.tv_sec < 0)
		*to = 0;
	else if ((!tv.tv_sec && !tv.tv_usec) || tv.tv_sec > INT64_MAX / 2000000000)
		*to = INT64_MAX;
	else
		*to = tv.tv_sec * 1000000000 + tv.tv_usec * 1000;
	return 0;
}

static int get_timeout(int64_t ns, struct sock_optval *v)
{
	struct timeval tv = { 0, 0 };

	if (ns != INT64_MAX)
		tv = (struct timeval){ ns / 1000000000, ns % 1000000000 / 1000 };
	return sock_opt_write(v, &tv, sizeof(tv));
}

static int set_linger(struct sock *s, const struct sock_optval *v)
{
	struct linger l;

	if (v->len < (int)sizeof(l))
		return -EINVAL;
	if (sock_opt_read(v, &l, sizeof(l)) < 0)
		return -EFAULT;
	s->opt.linger = !l.l_onoff ? -1 : l.l_linger < 0 ? INT32_MAX : l.l_linger;
	return 0;
}

static int get_linger(struct sock *s, struct sock_optval *v)
{
	int sec = s->opt.linger;
	struct linger l = { .l_onoff = sec >= 0, .l_linger = MAX(sec, 0) };

	return sock_opt_write(v, &l, sizeof(l));
}

/* The kinds exclude each other; _NEW differs in what the control message is called. */
static void set_timestamp(struct sock *s, int name, bool on)
{
	s->opt.timestamp_new = on && (name == SO_TIMESTAMP_NEW || name == SO_TIMESTAMPNS_NEW);
	s->opt.timestamp = on;
	s->opt.timestamp_ns = on && (name == SO_TIMESTAMPNS || name == SO_TIMESTAMPNS_NEW);
}

static int get_timestamp(struct sock *s, int name)
{
	bool ns = name == SO_TIMESTAMPNS || name == SO_TIMESTAMPNS_NEW, fresh = name == SO_TIMESTAMP_NEW || name == SO_TIMESTAMPNS_NEW;

	return s->opt.timestamp && s->opt.timestamp_ns == ns && s->opt.timestamp_new == fresh;
}

/* The clock and what is to become of what is late: kept, and without effect, as there is no queue that waits. */
static int set_txtime(struct sock *s, struct task *t, const struct sock_optval *v)
{
	struct sock_txtime x;

	if (v->len != sizeof(x))
		return -EINVAL;
	if (sock_opt_read(v, &x, sizeof(x)) < 0)
		return -EFAULT;
	if (x.flags & ~(unsigned)SOF_TXTIME_FLAGS_MASK)
		return -EINVAL;
	if (x.clockid != CLOCK_MONOTONIC && !capable(t, CAP_NET_ADMIN))
		return -EPERM;
	if (x.clockid != CLOCK_MONOTONIC && x.clockid != CLOCK_REALTIME && x.clockid != CLOCK_TAI)
		return -EINVAL;
	s->opt.txtime_clock = x.clockid;
	s->opt.txtime_flags = (int)x.flags;
	s->opt.txtime = true;
	return 0;
}

static int get_txtime(struct sock *s, struct sock_optval *v)
{
	struct sock_txtime x = { .clockid = s->opt.txtime_clock, .flags = (unsigned)s->opt.txtime_flags };

	return sock_opt_write(v, &x, sizeof(x));
}

/* A program of bpf(2), which nobody can have made. */
static int attach_bpf(struct sock *s, struct task *t, const struct sock_optval *v)
{
	struct file *f;
	int fd, r;

	if (v->len != sizeof(fd))
		return -EINVAL;
	r = sock_opt_int(v, &fd);
	if (r < 0)
		return r;
	if (s->opt.filter_locked)
		return -EPERM;
	f = t ? fdtab_get(t->fds, fd) : NULL;
	r = f ? -EINVAL : -EBADF;
	file_put(f);
	return r;
}

/* --- devices ------------------------------------------------------------------------------------------------------ */

static int bind_to_index(struct sock *s, int index)
{
	if (index < 0)
		return -EINVAL;
	s->opt.bound_if = index;
	return 0;
}

static int bind_to_device(struct sock *s, const struct sock_optval *v)
{
	struct netif_info ifi;
	char name[IFNAMSIZ] = "";

	if (v->len < 0)
		return -EINVAL;
	if (sock_opt_read(v, name, MIN((size_t)v->len, sizeof(name) - 1)) < 0)
		return -EFAULT;
	if (!name[0])
		return bind_to_index(s, 0);
	return netif_info_by_name(name, &ifi) < 0 ? -ENODEV : bind_to_index(s, ifi.index);
}

static int get_device(struct sock *s, struct sock_optval *v)
{
	struct netif_info ifi;

	if (!s->opt.bound_if) {
		v->len = 0;
		return 0;
	}
	if (v->len < IFNAMSIZ)
		return -EINVAL;
	if (netif_info_by_index(s->opt.bound_if, &ifi) < 0)
		return -ENODEV;
	return sock_opt_write(v, ifi.name, strlen(ifi.name) + 1);
}

/* --- setting -------------------------------------------------------------------------------------------------------- */

static int set_privileged(struct sock *s, struct task *t, int name, int val)
{
	bool net_admin = capable(t, CAP_NET_ADMIN);

	switch (name) {
	case SO_PRIORITY:
		if ((val < 0 || val > 6) && !net_admin && !capable(t, CAP_NET_RAW))
			return -EPERM;
		s->opt.priority = val;
		return 0;
	case SO_MARK:
		if (!net_admin && !capable(t, CAP_NET_RAW))
			return -EPERM;
		s->opt.mark = val;
		return 0;
	case SO_SNDBUFFORCE:
		if (!net_admin)
			return -EPERM;
		set_sndbuf(s, MIN(MAX(val, 0), SOCK_BUF_FORCED)); /* the VMM's memory bounds it */
		return 0;
	case SO_RCVBUFFORCE:
		if (!net_admin)
			return -EPERM;
		set_rcvbuf(s, MIN(MAX(val, 0), SOCK_BUF_FORCED));
		return 0;
	case SO_BUSY_POLL:
		if (val < 0)
			return -EINVAL;
		if (val > s->opt.busy_poll && !net_admin)
			return -EPERM;
		s->opt.busy_poll = val;
		return 0;
	case SO_BUSY_POLL_BUDGET:
		if (val > s->opt.busy_poll_budget && !net_admin)
			return -EPERM;
		if (val < 0 || val > UINT16_MAX)
			return -EINVAL;
		s->opt.busy_poll_budget = val;
		return 0;
	case SO_RESERVE_MEM: return -EOPNOTSUPP; /* as without a memory cgroup */
	default:
		return -ENOPROTOOPT;
	}
}

/* Linux's transmit hash: there are no queues to choose from, the value is what is kept. */
static int set_txrehash(struct sock *s, int val)
{
	if (s->type != SOCK_STREAM || !is_inet(s))
		return -EOPNOTSUPP;
	if (val < -1 || val > 1)
		return -EINVAL;
	s->opt.txrehash = val == -1 ? 1 : val;
	return 0;
}

/* Locked sizes do not grow by themselves; ours never do. */
static int set_buf_lock(struct sock *s, int val)
{
	if (val & ~(SNDBUF_LOCKED | RCVBUF_LOCKED))
		return -EINVAL;
	s->opt.sndbuf_locked = val & SNDBUF_LOCKED;
	s->opt.rcvbuf_locked = val & RCVBUF_LOCKED;
	return 0;
}

static int set_number(struct sock *s, struct task *t, int name, int val)
{
	switch (name) {
	case SO_SNDBUF:
		set_sndbuf(s, cut_to_max(val, &sysctl_wmem_max));
		return 0;
	case SO_RCVBUF:
		set_rcvbuf(s, cut_to_max(val, &sysctl_rmem_max));
		return 0;
	case SO_RCVLOWAT:
		s->opt.rcvlowat = val < 0 ? INT32_MAX : val ? val : 1;
		return 0;
	case SO_PEEK_OFF:
		if (!s->ops->has_peek_off)
			return -EOPNOTSUPP;
		s->opt.peek_off = val < 0 ? -1 : val;
		return 0;
	case SO_INCOMING_CPU:
		s->opt.incoming_cpu = val;
		return 0;
	case SO_MAX_PACING_RATE:
		s->opt.max_pacing_rate = val == -1 ? UINT64_MAX : (unsigned)val;
		return 0;
	case SO_TIMESTAMP:
	case SO_TIMESTAMPNS:
	case SO_TIMESTAMP_NEW:
	case SO_TIMESTAMPNS_NEW:
		set_timestamp(s, name, val);
		return 0;
	case SO_TIMESTAMPING:
	case SO_TIMESTAMPING_NEW:
		if (val & ~SOF_TIMESTAMPING_KNOWN)
			return -EINVAL;
		s->opt.timestamping = val;
		s->opt.timestamping_new = name == SO_TIMESTAMPING_NEW;
		return 0;
	case SO_BINDTOIFINDEX:
		return bind_to_index(s, val);
	case SO_DETACH_FILTER: return filter_detach(s);
	case SO_BUF_LOCK: return set_buf_lock(s, val);
	case SO_TXREHASH: return set_txrehash(s, val);
	case SO_CNX_ADVICE:
		return 0; /* a hint that the route is bad: there is one */
	case SO_BSDCOMPAT:
		return 0; /* obsolete: Linux takes it and does nothing */
	default:
		return set_privileged(s, t, name, val);
	}
}

int sock_set_option(struct sock *s, struct task *t, int name, const struct sock_optval *v)
{
	_Atomic bool *flag;
	int val, r;

	if (name == SO_BINDTODEVICE)
		return bind_to_device(s, v);
	r = sock_opt_int(v, &val);
	if (r < 0)
		return r;
	switch (name) {
	case SO_LINGER: return set_linger(s, v);
	case SO_RCVTIMEO:
	case SO_RCVTIMEO_NEW: return set_timeout(&s->opt.rcvtimeo, v);
	case SO_SNDTIMEO:
	case SO_SNDTIMEO_NEW: return set_timeout(&s->opt.sndtimeo, v);
	case SO_ATTACH_FILTER: return filter_attach(s, t, v);
	case SO_ATTACH_BPF:
	case SO_ATTACH_REUSEPORT_EBPF: return attach_bpf(s, t, v);
	case SO_ATTACH_REUSEPORT_CBPF: return is_inet(s) ? inet_reuseport_attach(s, v) : -EINVAL;
	case SO_DETACH_REUSEPORT_BPF: return is_inet(s) ? inet_reuseport_detach(s) : -EINVAL;
	case SO_TXTIME: return set_txtime(s, t, v);
	default: break;
	}
	flag = flag_of(s, name);
	if (!flag)
		return set_number(s, t, name, val);
	r = flag_allowed(s, t, name, val);
	if (r == 0)
		*flag = val;
	return r;
}

/* --- getting ---------------------------------------------------------------------------------------------------------- */

/* The options that are one int. */
static int get_number(struct sock *s, int name, int *ret)
{
	switch (name) {
	case SO_TYPE: *ret = s->type; return 0;
	case SO_DOMAIN: *ret = s->family; return 0;
	case SO_PROTOCOL: *ret = s->protocol; return 0;
	case SO_ERROR: *ret = -sock_take_error(s); return 0;
	case SO_SNDBUF: *ret = s->opt.sndbuf; return 0;
	case SO_RCVBUF: *ret = s->opt.rcvbuf; return 0;
	case SO_RCVLOWAT: *ret = s->opt.rcvlowat; return 0;
	case SO_SNDLOWAT: *ret = 1; return 0;
	case SO_PRIORITY: *ret = s->opt.priority; return 0;
	case SO_MARK: *ret = s->opt.mark; return 0;
	case SO_BUSY_POLL: *ret = s->opt.busy_poll; return 0;
	case SO_INCOMING_CPU: *ret = s->opt.incoming_cpu; return 0;
	case SO_TIMESTAMP:
	case SO_TIMESTAMPNS:
	case SO_TIMESTAMP_NEW:
	case SO_TIMESTAMPNS_NEW: *ret = get_timestamp(s, name); return 0;
	case SO_BINDTOIFINDEX: *ret = s->opt.bound_if; return 0;
	case SO_BSDCOMPAT: *ret = 0; return 0;
	case SO_INCOMING_NAPI_ID: *ret = 0; return 0;
	case SO_RESERVE_MEM: *ret = 0; return 0;
	case SO_BUF_LOCK: *ret = (s->opt.sndbuf_locked ? SNDBUF_LOCKED : 0) | (s->opt.rcvbuf_locked ? RCVBUF_LOCKED : 0); return 0;
	case SO_TXREHASH: *ret = s->opt.txrehash; return s->type == SOCK_STREAM && is_inet(s) ? 0 : -EOPNOTSUPP;
	case SO_ACCEPTCONN: *ret = 0; return 0; /* families that listen answer it */
	case SO_PEEK_OFF: *ret = s->opt.peek_off; return s->ops->has_peek_off ? 0 : -EOPNOTSUPP;
	default: return -ENOPROTOOPT;
	}
}

static int get_peername(struct sock *s, struct sock_optval *v)
{
	struct sock_addr a;

	if (!s->ops->getname || s->ops->getname(s, true, &a) < 0)
		return -ENOTCONN;
	return a.len < v->len ? -EINVAL : sock_opt_write(v, &a.ss, (size_t)a.len);
}

/* Of who has no peer with a name in that sense; families that know more answer themselves. */
static int get_no_peercred(struct sock_optval *v)
{
	struct ucred none = { .uid = (uid_t)-1, .gid = (gid_t)-1 };

	return sock_opt_write(v, &none, sizeof(none));
}

static int get_cookie(struct sock *s, struct sock_optval *v)
{
	uint64_t cookie = s->file.anon_ino;

	return v->len < (int)sizeof(cookie) ? -EINVAL : sock_opt_write(v, &cookie, sizeof(cookie));
}

static int get_pacing_rate(struct sock *s, struct sock_optval *v)
{
	uint64_t rate = s->opt.max_pacing_rate;
	uint32_t cut = (uint32_t)MIN(rate, (uint64_t)UINT32_MAX);

	return v->len >= (int)sizeof(rate) ? sock_opt_write(v, &rate, sizeof(rate)) : sock_opt_write(v, &cut, sizeof(cut));
}

/* sk_get_meminfo() */
static int get_memory(struct sock *s, struct sock_optval *v)
{
	struct sock_memory m = { 0 };
	uint32_t val[SK_MEMINFO_VARS] = { 0 };

	if (s->ops->memory)
		s->ops->memory(s, &m);
	val[SK_MEMINFO_RMEM_ALLOC] = (uint32_t)m.rmem;
	val[SK_MEMINFO_RCVBUF] = (uint32_t)s->opt.rcvbuf;
	val[SK_MEMINFO_WMEM_ALLOC] = val[SK_MEMINFO_WMEM_QUEUED] = (uint32_t)m.wmem;
	val[SK_MEMINFO_SNDBUF] = (uint32_t)s->opt.sndbuf;
	val[SK_MEMINFO_DROPS] = m.drops;
	return sock_opt_write(v, val, sizeof(val));
}

static int get_timestamping(struct sock *s, struct sock_optval *v)
{
	int val[2] = { s->opt.timestamping, 0 };

	return sock_opt_write(v, val, sizeof(val));
}

int sock_get_option(struct sock *s, struct task *t, int name, struct sock_optval *v)
{
	_Atomic bool *flag = flag_of(s, name);
	int val, r;

	if (flag) {
		bool asks = name == SO_PASSCRED || name == SO_PASSPIDFD || name == SO_PASSRIGHTS || name == SO_PASSSEC;

		r = asks ? flag_allowed(s, t, name, 0) : 0;
		return r < 0 ? r : sock_opt_write_int(v, *flag);
	}
	switch (name) {
	case SO_LINGER: return get_linger(s, v);
	case SO_RCVTIMEO:
	case SO_RCVTIMEO_NEW: return get_timeout(s->opt.rcvtimeo, v);
	case SO_SNDTIMEO:
	case SO_SNDTIMEO_NEW: return get_timeout(s->opt.sndtimeo, v);
	case SO_TIMESTAMPING:
	case SO_TIMESTAMPING_NEW: return get_timestamping(s, v);
	case SO_BINDTODEVICE: return get_device(s, v);
	case SO_PEERNAME: return get_peername(s, v);
	case SO_COOKIE: return get_cookie(s, v);
	case SO_PEERCRED: return get_no_peercred(v);
	case SO_PEERPIDFD: return -ENODATA;
	case SO_MEMINFO: return get_memory(s, v);
	case SO_TXTIME: return get_txtime(s, v);
	case SO_GET_FILTER: return filter_get_program(s, v);
	case SO_MAX_PACING_RATE: return get_pacing_rate(s, v);
	default: break;
	}
	r = get_number(s, name, &val);
	return r < 0 ? r : sock_opt_write_int(v, val);
}

/* --- the calls ------------------------------------------------------------------------------------------------------- */

int sock_setsockopt(struct sock *s, struct task *t, int level, int name, const struct sock_optval *v)
{
	int r = -ENOIOCTLCMD;

	if (level != SOL_SOCKET)
		return s->ops->setsockopt ? s->ops->setsockopt(s, t, level, name, v) : -EOPNOTSUPP;
	if (s->ops->set_common)
		r = s->ops->set_common(s, t, name, v);
	return r == -ENOIOCTLCMD ? sock_set_option(s, t, name, v) : r;
}

int sock_getsockopt(struct sock *s, struct task *t, int level, int name, struct sock_optval *v)
{
	int r = -ENOIOCTLCMD;

	if (level != SOL_SOCKET)
		return s->ops->getsockopt ? s->ops->getsockopt(s, t, level, name, v) : -EOPNOTSUPP;
	if (v->len < 0)
		return -EINVAL;
	if (s->ops->get_common)
		r = s->ops->get_common(s, t, name, v);
	return r == -ENOIOCTLCMD ? sock_get_option(s, t, name, v) : r;
}
