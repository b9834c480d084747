/* SPDX-License-Identifier: MIT */
/* AF_UNIX sockets: life, state, poll, options. unix.h has the picture. */
#include "emul/net/unix.h"

#include <linux/capability.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "emul/mm/mm.h"
#include "emul/proc/task.h"
#include "emul/vfs/fdtab.h"
#include "emul/vfs/inode.h"

#define SIOCUNIXFILE (SIOCPROTOPRIVATE + 0) /* linux/un.h, which clashes with sys/un.h */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static const struct sock_ops stream_ops, dgram_ops, seqpacket_ops;

/* --- who is on the other side ------------------------------------------------------------------------------- */

void unix_id_set(struct unix_peer_id *id, struct task *t)
{
	unix_id_clear(id);
	if (t)
		*id = (struct unix_peer_id){ proc_get(t->proc), cred_get(t->fsc.cred) };
}

void unix_id_copy(struct unix_peer_id *to, const struct unix_peer_id *from)
{
	unix_id_clear(to);
	if (from->proc)
		*to = (struct unix_peer_id){ proc_get(from->proc), cred_get(from->cred) };
}

void unix_id_clear(struct unix_peer_id *id)
{
	proc_put(id->proc);
	cred_put(id->cred);
	*id = (struct unix_peer_id){ NULL, NULL };
}

/* --- life ------------------------------------------------------------------------------------------------------ */

static bool peer_has_room(struct waitq_entry *e, uint32_t events)
{
	struct unix_sock *u = container_of(e, struct unix_sock, peer_wake);

	(void)events;
	waitq_wake(&u->sk.file.wq, UNIX_OUT_EVENTS);
	return false;
}

static const struct sock_ops *ops_of(int type)
{
	return type == SOCK_STREAM ? &stream_ops : type == SOCK_DGRAM ? &dgram_ops : &seqpacket_ops;
}

struct unix_sock *unix_new(struct task *t, int type)
{
	struct unix_sock *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	sock_init(&u->sk, ops_of(type), AF_UNIX, type, 0, t);
	waitq_init(&u->peer_wait);
	list_init(&u->queue);
	list_init(&u->embryos);
	list_init(&u->embryo_node);
	list_init(&u->name_node);
	list_init(&u->all_node);
	list_init(&u->flight.node);
	list_init(&u->flight.gc_node);
	u->peer_wake.wake = peer_has_room;
	u->state = UNIX_CLOSED;
	u->backlog = 10; /* net.unix.max_dgram_qlen */
	unix_list_add(u);
	return u;
}

static int unix_create(struct task *t, int type, int protocol, struct sock **ret)
{
	struct unix_sock *u;

	if (protocol && protocol != PF_UNIX)
		return -EPROTONOSUPPORT;
	if (type == SOCK_RAW)
		type = SOCK_DGRAM; /* as 4.2BSD had it */
	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	u = unix_new(t, type);
	if (!u)
		return -ENOMEM;
	*ret = &u->sk;
	return 0;
}

const struct sock_family unix_family = { .family = AF_UNIX, .create = unix_create };

struct unix_sock *unix_peer_get(struct unix_sock *u)
{
	struct unix_sock *peer;

	mutex_lock(&u->sk.lock);
	peer = u->peer;
	if (peer)
		unix_get(peer);
	mutex_unlock(&u->sk.lock);
	return peer;
}

/* The connection ends: what was not read is lost, and the other side hears of that. */
static void reset_peer(struct unix_sock *u, struct unix_sock *peer, bool lost)
{
	mutex_lock(&peer->sk.lock);
	atomic_fetch_or(&peer->sk.shutdown, SOCK_SHUT_BOTH);
	if (lost)
		peer->sk.err = ECONNRESET;
	sock_wake_all(&peer->sk, UNIX_IN_EVENTS | EPOLLRDHUP | EPOLLHUP | UNIX_OUT_EVENTS | (lost ? EPOLLERR : 0));
	mutex_unlock(&peer->sk.lock);
}

/* What a stream's peer was charged for the bytes that nobody will read. */
static void uncharge_stream(struct unix_sock *peer, const struct list *bufs)
{
	struct unix_buf *b;

	list_for_each(b, bufs, node)
		if (!b->from) {
			unix_uncharge(peer, b->charge);
			b->charge = 0;
		}
}

static void unix_release(struct sock *s)
{
	struct unix_sock *u = unix_of(s), *peer;
	struct list bufs = LIST_INIT(bufs), embryos = LIST_INIT(embryos);
	bool lost;

	unix_name_drop(u);
	path_put(&u->path); /* only the table of names looked at it */
	mutex_lock(&s->lock);
	u->dead = true;
	s->shutdown = SOCK_SHUT_BOTH;
	u->state = UNIX_CLOSED;
	peer = u->peer;
	u->peer = NULL;
	lost = u->queued;
	u->oob = NULL;
	list_splice_tail(&bufs, &u->queue);
	list_splice_tail(&embryos, &u->embryos);
	u->qlen = 0;
	u->queued = 0;
	waitq_wake(&u->peer_wait, 0);
	if (peer)
		waitq_wake(&peer->sk.wr, 0); /* a stream's writer waits under the reader's lock */
	mutex_unlock(&s->lock);
	if (peer) {
		unix_dgram_forget_peer(u, peer);
		uncharge_stream(peer, &bufs);
		if (unix_is_stream(u))
			reset_peer(u, peer, lost);
	}
	while (!list_empty(&embryos)) {
		struct unix_sock *e = list_first(&embryos, struct unix_sock, embryo_node);

		list_del(&e->embryo_node);
		if (e->peer)
			e->peer->sk.err = ECONNRESET; /* it was never accepted */
		file_put(&e->sk.file);
	}
	unix_bufs_free(&bufs);
	unix_put(peer);
	unix_gc();
}

static void unix_destroy(struct sock *s)
{
	struct unix_sock *u = unix_of(s);

	unix_buf_free(u->spare);
	unix_id_clear(&u->id);
	unix_addr_put(u->addr);
	waitq_fini(&u->peer_wait);
}

/* --- state -------------------------------------------------------------------------------------------------------- */

bool unix_writable(struct unix_sock *u)
{
	return u->state != UNIX_LISTENING && u->wmem * 4 <= (size_t)u->sk.opt.sndbuf;
}

bool unix_uncharge(struct unix_sock *u, size_t n)
{
	size_t limit = (size_t)u->sk.opt.sndbuf, before = atomic_fetch_sub(&u->wmem, n);

	return before * 4 > limit && (before - n) * 4 <= limit;
}

static void unix_memory(struct sock *s, struct sock_memory *ret)
{
	struct unix_sock *u = unix_of(s);

	*ret = (struct sock_memory){ .wmem = u->wmem }; /* what is queued is its sender's */
}

static uint32_t state_events(struct unix_sock *u)
{
	unsigned shut = u->sk.shutdown;
	uint32_t ev = 0;

	if (u->sk.err)
		ev |= EPOLLERR;
	if (shut == SOCK_SHUT_BOTH)
		ev |= EPOLLHUP;
	if (shut & SOCK_SHUT_RD)
		ev |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
	if (unix_is_stream(u) && u->state == UNIX_CLOSED)
		ev |= EPOLLHUP;
	return ev;
}

static uint32_t unix_poll(struct sock *s)
{
	struct unix_sock *u = unix_of(s);
	uint32_t ev;

	mutex_lock(&s->lock);
	ev = state_events(u);
	if (u->qlen || !list_empty(&u->queue))
		ev |= EPOLLIN | EPOLLRDNORM;
	if (u->oob)
		ev |= EPOLLPRI;
	mutex_unlock(&s->lock);
	if (unix_writable(u) && (s->type != SOCK_DGRAM || !unix_dgram_peer_full(u)))
		ev |= UNIX_OUT_EVENTS;
	return ev;
}

/* Both ends change together: who waits on either side looks again. */
static void shut_locked(struct unix_sock *u, unsigned bits)
{
	uint32_t ev = EPOLLIN | EPOLLRDNORM | EPOLLRDBAND | UNIX_OUT_EVENTS | EPOLLRDHUP;

	if ((atomic_fetch_or(&u->sk.shutdown, bits) | bits) == SOCK_SHUT_BOTH)
		ev |= EPOLLHUP;
	waitq_wake(&u->peer_wait, 0);
	sock_wake_all(&u->sk, ev);
}

static int unix_shutdown(struct sock *s, int how)
{
	struct unix_sock *u = unix_of(s);
	unsigned bits = (unsigned)how + 1;
	unsigned other = ((bits & SOCK_SHUT_RD) ? SOCK_SHUT_WR : 0) | ((bits & SOCK_SHUT_WR) ? SOCK_SHUT_RD : 0);
	AUTO(unix_sock) peer = unix_is_stream(u) ? unix_peer_get(u) : NULL;

	if (peer && peer != u) {
		mutex_lock_two(&s->lock, &peer->sk.lock);
		shut_locked(u, bits);
		shut_locked(peer, other);
		mutex_unlock_two(&s->lock, &peer->sk.lock);
	} else {
		mutex_lock(&s->lock);
		shut_locked(u, bits);
		mutex_unlock(&s->lock);
	}
	return 0;
}

/* --- ioctl, options ------------------------------------------------------------------------------------------------- */

/* A stream: all that is there; datagrams: the next one. */
static long bytes_in(struct unix_sock *u)
{
	long n;

	if (u->state == UNIX_LISTENING)
		return -EINVAL;
	mutex_lock(&u->sk.lock);
	n = (long)u->queued;
	if (u->sk.type == SOCK_DGRAM && !list_empty(&u->queue))
		n = (long)list_first(&u->queue, struct unix_buf, node)->len;
	mutex_unlock(&u->sk.lock);
	return n;
}

/* The urgent byte comes next, or was next and has been read. */
static long at_mark(struct unix_sock *u)
{
	struct unix_buf *b, *next;
	bool at = false;

	if (u->sk.type != SOCK_STREAM)
		return -EOPNOTSUPP;
	mutex_lock(&u->sk.lock);
	if (!list_empty(&u->queue)) {
		b = list_first(&u->queue, struct unix_buf, node);
		next = b->node.next == &u->queue ? NULL : list_entry(b->node.next, struct unix_buf, node);
		at = b == u->oob || (!b->len && (!u->oob || next == u->oob));
	}
	mutex_unlock(&u->sk.lock);
	return at;
}

/* SIOCUNIXFILE: what bind() made, as O_PATH would open it. unix_open_file() */
static long open_own_file(struct unix_sock *u, const struct ioctl_ctx *c)
{
	AUTO(file) f = NULL;
	int r;

	if (!cred_capable(c->fsc->cred, CAP_NET_ADMIN))
		return -EPERM;
	if (!path_is_set(&u->path))
		return -ENOENT;
	r = path_file_new(&u->path, 0, &f);
	return r < 0 ? r : fdtab_install(c->fds, f, true, 0, c->limit_nofile);
}

static long unix_ioctl(struct sock *s, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	struct unix_sock *u = unix_of(s);
	long n;

	switch (cmd) {
	case FIONREAD:
		n = bytes_in(u);
		break;
	case SIOCOUTQ:
		n = (long)u->wmem;
		break;
	case SIOCATMARK:
		n = at_mark(u);
		break;
	case SIOCUNIXFILE: return open_own_file(u, c);
	default: return -ENOIOCTLCMD;
	}
	return n < 0 ? n : put_guest_u32(c->mm, arg, (uint32_t)n);
}

static int get_peercred(struct unix_sock *u, struct sock_optval *v)
{
	struct ucred cred = { 0, (uid_t)-1, (gid_t)-1 };

	mutex_lock(&u->sk.lock);
	if (u->id.proc)
		cred = (struct ucred){ u->id.proc->pid, u->id.cred->euid, u->id.cred->egid };
	mutex_unlock(&u->sk.lock);
	return sock_opt_write(v, &cred, sizeof(cred));
}

static int get_peergroups(struct unix_sock *u, struct sock_optval *v)
{
	AUTO(cred) c = NULL;
	int size;

	mutex_lock(&u->sk.lock);
	if (u->id.cred)
		c = cred_get(u->id.cred);
	mutex_unlock(&u->sk.lock);
	if (!c)
		return -ENODATA;
	size = (int)(c->ngroups * sizeof(gid_t));
	if (v->len < size) {
		v->len = size; /* told with the error, too */
		return -ERANGE;
	}
	return sock_opt_write(v, c->groups, (size_t)size);
}

static int get_peerpidfd(struct unix_sock *u, struct task *t, struct sock_optval *v)
{
	AUTO(file) f = NULL;
	AUTO(proc) p = NULL;
	int fd, r;

	mutex_lock(&u->sk.lock);
	if (u->id.proc)
		p = proc_get(u->id.proc);
	mutex_unlock(&u->sk.lock);
	if (!p || !t)
		return -ENODATA;
	r = pidfd_new(p, 0, &f);
	if (r < 0)
		return r;
	fd = fdtab_reserve(t->fds, true, 0, (int)MIN(proc_rlimit(t->proc, RLIMIT_NOFILE), (uint64_t)INT32_MAX));
	if (fd < 0)
		return fd;
	r = sock_opt_write(v, &fd, sizeof(fd));
	if (r < 0)
		fdtab_unreserve(t->fds, fd);
	else
		fdtab_fill(t->fds, fd, f);
	return r;
}

static int unix_get_common(struct sock *s, struct task *t, int name, struct sock_optval *v)
{
	struct unix_sock *u = unix_of(s);

	switch (name) {
	case SO_PEERCRED: return get_peercred(u, v);
	case SO_PEERGROUPS: return get_peergroups(u, v);
	case SO_PEERPIDFD: return get_peerpidfd(u, t, v);
	case SO_ACCEPTCONN: return sock_opt_write_int(v, u->state == UNIX_LISTENING);
	default: return -ENOIOCTLCMD;
	}
}

/* --- the three kinds --------------------------------------------------------------------------------------------------- */

#define COMMON                             \
	.has_peek_off = true,              \
	.memory = unix_memory,             \
	.bind = unix_bind,                 \
	.socketpair = unix_socketpair,     \
	.getname = unix_getname,           \
	.shutdown = unix_shutdown,         \
	.get_common = unix_get_common,     \
	.poll = unix_poll,                 \
	.ioctl = unix_ioctl,               \
	.release = unix_release,           \
	.destroy = unix_destroy

static const struct sock_ops stream_ops = {
	COMMON,
	.connect = unix_stream_connect,
	.accept = unix_accept,
	.listen = unix_listen,
	.sendmsg = unix_stream_send,
	.recvmsg = unix_stream_recv,
};

static const struct sock_ops dgram_ops = {
	COMMON,
	.connect = unix_dgram_connect,
	.sendmsg = unix_dgram_send,
	.recvmsg = unix_dgram_recv,
};

static const struct sock_ops seqpacket_ops = {
	COMMON,
	.connect = unix_stream_connect,
	.accept = unix_accept,
	.listen = unix_listen,
	.sendmsg = unix_seqpacket_send,
	.recvmsg = unix_seqpacket_recv,
};
