/* SPDX-License-Identifier: MIT */
/* Options of level SOL_TCP. do_tcp_setsockopt(), do_tcp_getsockopt(); man 7 tcp. */
#include <string.h>

#include "emul/net/inet_tcp.h"

#define MSS_DEFAULT 536
#define TIMESTAMPS 12    /* bytes of each segment */
#define MSS_LOCAL 65483  /* lo's MTU less the headers with a time stamp */
#define MSS_HALF 32768   /* but at first no more than half of the window: tcp_bound_to_half_wnd() */
#define MSS_GROWN (1 << 20) /* the window has opened when so much was sent */
#define MSS_WIRE 1460
#define MIN_MSS 88
#define MAX_WINDOW 32767
#define MAX_KEEP 32767
#define MAX_COUNT 127
#define FIN_TIMEOUT 60
#define FIN_TIMEOUT_MAX 120
#define RTO_MAX 120
#define CC_NAME_MAX 16

void inet_tcp_options_init(struct inet_tcp *t)
{
	t->opt = (struct inet_tcp_options){ .keepidle = 7200, .keepintvl = 75, .keepcnt = 9, .quickack = 1 };
}

/* --- TCP_DEFER_ACCEPT counts retransmissions ------------------------------------------------------------------------ */

static int secs_to_retrans(int seconds)
{
	int res = 0, timeout = 1, period = 1;

	if (seconds <= 0)
		return 0;
	for (res = 1; seconds > period && res < 255; res++) {
		timeout = MIN(timeout * 2, RTO_MAX);
		period += timeout;
	}
	return res;
}

static int retrans_to_secs(int retrans)
{
	int timeout = 1, period = 1;

	if (!retrans)
		return 0;
	while (--retrans) {
		timeout = MIN(timeout * 2, RTO_MAX);
		period += timeout;
	}
	return period;
}

int64_t inet_tcp_defer_ns(struct inet_tcp *l)
{
	return (int64_t)retrans_to_secs(l->opt.defer_accept) * 1000000000;
}

/* --- setting ------------------------------------------------------------------------------------------------------------ */

static int set_ranged(int *to, int val, int least, int most)
{
	if (val < least || val > most)
		return -EINVAL;
	*to = val;
	return 0;
}

static int set_window_clamp(struct inet_tcp *t, int val)
{
	if (!val && t->state != TCP_CLOSE)
		return -EINVAL;
	t->opt.window_clamp = val ? MAX(val, SOCK_MIN_RCVBUF / 2) : 0;
	return 0;
}

static int set_int_locked(struct inet_tcp *t, int name, int val)
{
	int r;

	switch (name) {
	case TCP_MAXSEG: return val ? set_ranged(&t->opt.maxseg, val, MIN_MSS, MAX_WINDOW) : (t->opt.maxseg = 0);
	case TCP_NODELAY:
		t->opt.nodelay = !!val;
		return 0;
	case TCP_CORK:
		t->opt.cork = !!val;
		return 0;
	case TCP_KEEPIDLE: return set_ranged(&t->opt.keepidle, val, 1, MAX_KEEP);
	case TCP_KEEPINTVL: return set_ranged(&t->opt.keepintvl, val, 1, MAX_KEEP);
	case TCP_KEEPCNT: return set_ranged(&t->opt.keepcnt, val, 1, MAX_COUNT);
	case TCP_SYNCNT: return set_ranged(&t->opt.syncnt, val, 1, MAX_COUNT);
	case TCP_LINGER2:
		t->opt.linger2 = val < 0 ? -1 : MIN(val, FIN_TIMEOUT_MAX);
		return 0;
	case TCP_DEFER_ACCEPT:
		t->opt.defer_accept = secs_to_retrans(val);
		return 0;
	case TCP_WINDOW_CLAMP: return set_window_clamp(t, val);
	case TCP_QUICKACK:
		t->opt.quickack = !!val;
		return 0;
	case TCP_USER_TIMEOUT:
		r = set_ranged(&t->opt.user_timeout, val, 0, INT32_MAX);
		inet_tcp_note_stall_locked(t);
		return r;
	case TCP_NOTSENT_LOWAT:
		t->opt.notsent_lowat = val;
		return 0;
	case TCP_FASTOPEN: /* a queue for connections that come with data: none ever does */
		return val >= 0 && (t->state == TCP_CLOSE || t->state == TCP_LISTEN) ? set_ranged(&t->opt.fastopen, val, 0, INT32_MAX) :
										       -EINVAL;
	case TCP_FASTOPEN_CONNECT: /* nobody gives us a cookie, and without one the connection is made as ever */
		return t->state == TCP_CLOSE ? set_ranged(&t->opt.fastopen_connect, val, 0, 1) : -EINVAL;
	case TCP_THIN_LINEAR_TIMEOUTS: return set_ranged(&t->opt.thin, val, 0, 1);
	case TCP_THIN_DUPACK: return val < 0 || val > 1 ? -EINVAL : 0; /* as Linux: without effect */
	case TCP_INQ: return set_ranged(&t->opt.inq, val, 0, 1);
	default: return -ENOPROTOOPT;
	}
}

static int set_congestion(struct inet_tcp *t, const struct sock_optval *v)
{
	char name[CC_NAME_MAX] = "";

	if (v->len < 1)
		return -EINVAL;
	if (sock_opt_read(v, name, MIN((size_t)v->len, sizeof(name) - 1)) < 0)
		return -EFAULT;
	if (strcmp(name, "cubic") && strcmp(name, "reno"))
		return -ENOENT;
	t->opt.reno = name[0] == 'r'; /* one byte: lwIP has its own algorithm, and inside the instance nothing is congested */
	return 0;
}

/* There are no modules that put themselves between. */
static int set_ulp(const struct sock_optval *v)
{
	char name[CC_NAME_MAX];

	if (v->len < 1)
		return -EINVAL;
	return sock_opt_read(v, name, MIN((size_t)v->len, sizeof(name) - 1)) < 0 ? -EFAULT : -ENOENT;
}

int inet_tcp_setsockopt(struct sock *s, struct task *task, int level, int name, const struct sock_optval *v)
{
	struct inet_tcp *t = tcp_of(s);
	bool on_wire;
	int val, r;

	if (level != SOL_TCP)
		return inet_setsockopt(s, task, level, name, v);
	if (name == TCP_CONGESTION)
		return set_congestion(t, v);
	if (name == TCP_ULP)
		return set_ulp(v);
	r = sock_opt_int(v, &val);
	if (r < 0)
		return r;
	inet_lock(&t->inet);
	r = set_int_locked(t, name, val);
	on_wire = t->on_wire;
	inet_unlock(&t->inet);
	if (r == 0 && on_wire)
		inet_tcp_wire_options(t);
	if (r == 0 && (name == TCP_CORK ? !val : name == TCP_NODELAY && val)) /* what is held back goes, even if the cork stays */
		inet_tcp_uncork(t);
	return r;
}

/* --- getting --------------------------------------------------------------------------------------------------------------- */

int inet_tcp_mss(struct inet_tcp *t)
{
	int local = t->bytes_sent < MSS_GROWN ? MSS_HALF : MSS_LOCAL, most = t->opt.maxseg;
	int val = t->inet.remote.port ? (t->on_wire ? MSS_WIRE : local) : MSS_DEFAULT;

	if (t->state == TCP_CLOSE || t->state == TCP_LISTEN)
		return most ? most : val;
	if (t->on_wire)
		return most ? MIN(most, val) : val;
	if (t->peer && t->peer->opt.maxseg) /* it has been told */
		most = most ? MIN(most, t->peer->opt.maxseg) : t->peer->opt.maxseg;
	return most ? MIN(most - TIMESTAMPS, val) : val;
}

static int get_int_locked(struct inet_tcp *t, int name, int *ret)
{
	const struct inet_tcp_options *o = &t->opt;

	switch (name) {
	case TCP_MAXSEG: *ret = inet_tcp_mss(t); return 0;
	case TCP_NODELAY: *ret = o->nodelay; return 0;
	case TCP_CORK: *ret = o->cork; return 0;
	case TCP_KEEPIDLE: *ret = o->keepidle; return 0;
	case TCP_KEEPINTVL: *ret = o->keepintvl; return 0;
	case TCP_KEEPCNT: *ret = o->keepcnt; return 0;
	case TCP_SYNCNT: *ret = o->syncnt ? o->syncnt : 6; return 0;
	case TCP_LINGER2: *ret = o->linger2 ? o->linger2 : FIN_TIMEOUT; return 0;
	case TCP_DEFER_ACCEPT: *ret = retrans_to_secs(o->defer_accept); return 0;
	case TCP_WINDOW_CLAMP: *ret = o->window_clamp; return 0;
	case TCP_QUICKACK: *ret = o->quickack; return 0;
	case TCP_USER_TIMEOUT: *ret = o->user_timeout; return 0;
	case TCP_NOTSENT_LOWAT: *ret = o->notsent_lowat; return 0;
	case TCP_FASTOPEN: *ret = o->fastopen; return 0;
	case TCP_FASTOPEN_CONNECT: *ret = o->fastopen_connect; return 0;
	case TCP_THIN_LINEAR_TIMEOUTS: *ret = o->thin; return 0;
	case TCP_THIN_DUPACK: *ret = 0; return 0;
	case TCP_INQ: *ret = o->inq; return 0;
	default: return -ENOPROTOOPT;
	}
}

static unsigned ms_since(int64_t then)
{
	return then ? (unsigned)((inet_tcp_now() - then) / 1000000) : 0;
}

/* Of a connection inside the instance; the wire puts its own figures over it. */
static void fill_info(struct inet_tcp *t, struct tcp_info *i)
{
	bool synced = t->state != TCP_CLOSE && t->state != TCP_LISTEN && t->state != TCP_SYN_SENT;

	i->tcpi_state = t->state;
	i->tcpi_rto = synced ? 204000 : 1000000;
	i->tcpi_snd_mss = (unsigned)inet_tcp_mss(t);
	i->tcpi_rcv_mss = MSS_DEFAULT; /* until larger segments came */
	if (synced && t->bytes_received > MSS_DEFAULT)
		i->tcpi_rcv_mss = (unsigned)MIN(t->bytes_received, (uint64_t)inet_tcp_mss(t));
	i->tcpi_snd_ssthresh = 0x7fffffff;
	i->tcpi_snd_cwnd = 10;
	i->tcpi_reordering = 3;
	i->tcpi_max_pacing_rate = t->inet.sock.opt.max_pacing_rate;
	if (t->state == TCP_LISTEN) {
		i->tcpi_unacked = t->naccepted;
		i->tcpi_sacked = (unsigned)t->backlog;
		return;
	}
	i->tcpi_last_data_sent = ms_since(t->last_sent);
	i->tcpi_last_data_recv = i->tcpi_last_ack_recv = ms_since(t->last_received);
	i->tcpi_bytes_sent = t->bytes_sent;
	i->tcpi_bytes_acked = t->bytes_sent;
	i->tcpi_bytes_received = t->bytes_received;
	i->tcpi_segs_out = i->tcpi_data_segs_out = (unsigned)t->segs_out;
	i->tcpi_segs_in = i->tcpi_data_segs_in = (unsigned)t->segs_in;
	i->tcpi_notsent_bytes = (unsigned)inet_tcp_outq(t);
	if (!synced)
		return;
	i->tcpi_options = TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE;
	i->tcpi_snd_wscale = i->tcpi_rcv_wscale = 7;
	i->tcpi_ato = 40000;
	i->tcpi_pmtu = t->on_wire ? 1500 : 65535;
	i->tcpi_advmss = (unsigned)(t->on_wire ? MSS_WIRE : MSS_LOCAL);
	i->tcpi_rcv_ssthresh = i->tcpi_rcv_space = (unsigned)inet_tcp_window(t);
	i->tcpi_snd_wnd = (unsigned)inet_tcp_window(t->peer ? t->peer : t);
	i->tcpi_rtt = 20;
	i->tcpi_rttvar = 10;
	i->tcpi_min_rtt = 5;
}

static int get_info(struct inet_tcp *t, struct sock_optval *v)
{
	struct tcp_info info = { 0 };
	bool on_wire;

	inet_lock(&t->inet);
	fill_info(t, &info);
	on_wire = t->on_wire;
	inet_unlock(&t->inet);
	if (on_wire)
		inet_tcp_wire_info(t, &info);
	return sock_opt_write(v, &info, sizeof(info));
}

int inet_tcp_getsockopt(struct sock *s, struct task *task, int level, int name, struct sock_optval *v)
{
	struct inet_tcp *t = tcp_of(s);
	int val = 0, r;

	if (level != SOL_TCP)
		return inet_getsockopt(s, task, level, name, v);
	if (v->len < 0)
		return -EINVAL;
	if (name == TCP_INFO)
		return get_info(t, v);
	if (name == TCP_CONGESTION) {
		char cc[CC_NAME_MAX] = "cubic";

		if (t->opt.reno)
			memcpy(cc, "reno", sizeof("reno"));
		return sock_opt_write(v, cc, sizeof(cc));
	}
	if (name == TCP_ULP) {
		v->len = 0;
		return 0;
	}
	inet_lock(&t->inet);
	r = get_int_locked(t, name, &val);
	inet_unlock(&t->inet);
	return r < 0 ? r : sock_opt_write_int(v, val);
}

/* --- SOL_SOCKET options that mean something to TCP --------------------------------------------------------------------------- */

int inet_tcp_set_common(struct sock *s, struct task *task, int name, const struct sock_optval *v)
{
	struct inet_tcp *t = tcp_of(s);
	bool on_wire;
	int r;

	if (name == SO_ATTACH_FILTER || name == SO_DETACH_FILTER) {
		r = sock_set_option(s, task, name, v);
		if (r == 0) {
			inet_tcp_wire_filters();
			inet_tcp_filter_changed(t);
		}
		return r;
	}
	if (name != SO_KEEPALIVE && name != SO_RCVLOWAT && name != SO_OOBINLINE)
		return -ENOIOCTLCMD;
	r = sock_set_option(s, task, name, v);
	inet_lock(&t->inet);
	on_wire = t->on_wire;
	if (r == 0 && name != SO_KEEPALIVE && t->rq.len)
		sock_wake_rd(s, inet_tcp_readable(t) ? EPOLLIN | EPOLLRDNORM : 0);
	inet_unlock(&t->inet);
	if (r == 0 && on_wire && name == SO_KEEPALIVE)
		inet_tcp_wire_options(t);
	return r;
}

int inet_tcp_get_common(struct sock *s, struct task *task, int name, struct sock_optval *v)
{
	struct inet_tcp *t = tcp_of(s);
	bool listening;

	if (name != SO_ACCEPTCONN)
		return -ENOIOCTLCMD;
	inet_lock(&t->inet);
	listening = t->state == TCP_LISTEN;
	inet_unlock(&t->inet);
	return sock_opt_write_int(v, listening);
}
