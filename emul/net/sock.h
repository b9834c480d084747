/* SPDX-License-Identifier: MIT */
/*
 * A socket is a file (`struct sock` embeds `struct file`) with a family behind it (`struct sock_ops`).
 * The system call layer decodes and checks what Linux checks before the family sees it; it raises
 * SIGPIPE for -EPIPE. Everything else is the family's: order of checks, waiting, wake-ups.
 *
 * Life: the file holds one reference on its sock; messages on their way, lower layers and peers may
 * hold others. With the file's last reference ops->release() runs (close); the memory goes with the
 * sock's last reference (ops->destroy, then file and sock are torn down and freed).
 *
 * Waiting: receivers and accepters sleep on `rd`, senders and connecters on `wr`, always by
 * sock_sleep() in a loop under the lock of the condition. The waker calls sock_wake_rd() and
 * sock_wake_wr() under that lock; they also tell epoll and poll (file.wq):
 *   - EPOLLIN side at every arrival (an edge each), EPOLLOUT side when it becomes writable again;
 *   - state changes (connected, shut down, reset) with all bits that became true.
 * A call on a helper thread that may not sleep gets -EWOULDSLEEP from sock_sleep(): nothing may have
 * been consumed or sent before it (sock_may_sleep() tells beforehand).
 */
#ifndef EMUL_NET_SOCK_H
#define EMUL_NET_SOCK_H

#include <linux/sockios.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "emul/base/err.h"
#include "emul/base/list.h"
#include "emul/vfs/file.h"

struct filter;
struct memobj;
struct sock;
struct task;

/* --- addresses --------------------------------------------------------------------------------------- */

/* As copied from the guest: len is 0..sizeof(ss), bytes beyond it are undefined. */
struct sock_addr {
	int len;
	union { struct sockaddr_storage ss; struct sockaddr sa; struct sockaddr_un un; };
};

/* --- messages ------------------------------------------------------------------------------------------ */

#define SOCK_CONTROL_MAX 2048 /* bytes of control data that a receive can produce */
#define SOCK_OPTMEM_MAX 131072 /* and that a send can bring: /proc/sys/net/core/optmem_max */

/* Control data on its way to the receiver. room: what is left of the caller's buffer. */
struct sock_control {
	size_t room, len; /* len: bytes of buf */
	unsigned nfiles;
	struct sock_control_file { int fd; struct file *file; } *files; /* reserved descriptors, filled by sock_control_commit() */
	char buf[SOCK_CONTROL_MAX];
};

struct sock_msg {
	struct uio *data;
	/* Send: the destination, NULL: none given. Receive: NULL: not wanted; else len is set (0: there is none). */
	struct sock_addr *addr;
	const char *control; /* send: checked for nothing but its size */
	size_t control_len;
	struct sock_control *ctl; /* receive; NULL: no buffer */
	unsigned flags;     /* MSG_* of the call; MSG_DONTWAIT also for O_NONBLOCK */
	unsigned ret_flags; /* receive: MSG_TRUNC, MSG_CTRUNC, MSG_EOR, MSG_OOB, MSG_ERRQUEUE */
};

/* Walks the control data of a send: NULL after the last. Each header is whole and its length fits, else *ret_err = -EINVAL and NULL. */
const struct cmsghdr *sock_cmsg_next(const struct sock_msg *m, const struct cmsghdr *prev, int *ret_err);
/* What a send's message of level SOL_SOCKET says: __sock_cmsg_send(). *mark is the socket's before. 0, -EINVAL, -EPERM. */
int sock_cmsg_common(struct sock *s, const struct cmsghdr *c, uint32_t *mark);
static inline size_t sock_cmsg_datalen(const struct cmsghdr *c) { return c->cmsg_len - CMSG_LEN(0); }
/* put_cmsg(): appends one, cut to the caller's room (MSG_CTRUNC). */
void sock_put_cmsg(struct sock_msg *m, int level, int type, const void *data, size_t size);
/* SO_TIMESTAMP and kin: when it came (ns of CLOCK_REALTIME), if s wants to know. */
void sock_put_time(struct sock *s, int64_t stamp, struct sock_msg *m);
/* SO_RCVMARK: the mark it has, likewise. */
void sock_put_mark(struct sock *s, uint32_t mark, struct sock_msg *m);
/* SCM_RIGHTS: as many descriptors as fit and t may have; MSG_CTRUNC for the rest. The files' references stay the caller's. */
void sock_put_files(struct sock_msg *m, struct task *t, struct file *const *files, unsigned n);
/* The guest has its copy: the descriptors open. Or it could not be written: they are given back. */
void sock_control_commit(struct sock_control *c, struct task *t);
void sock_control_abort(struct sock_control *c, struct task *t);

/* --- option values ----------------------------------------------------------------------------------------- */

/* The value of one set/getsockopt: in guest memory, or the VMM's own if gm is NULL. len >= 0, but of getsockopt before the level is known. */
struct sock_optval { struct guest_mem *gm; uint64_t addr; int len; };
int sock_opt_read(const struct sock_optval *v, void *dst, size_t n);      /* the first n bytes, n <= len: 0, -EFAULT */
int sock_opt_int(const struct sock_optval *v, int *ret);                  /* -EINVAL: shorter than an int; -EFAULT */
int sock_opt_write(struct sock_optval *v, const void *src, size_t n);     /* cut to len; len = what was written; -EFAULT */
static inline int sock_opt_write_int(struct sock_optval *v, int val) { return sock_opt_write(v, &val, sizeof(val)); }

/* --- the socket ---------------------------------------------------------------------------------------------- */

struct sock_memory { size_t rmem, wmem; unsigned drops; };

/* A NULL entry: -EOPNOTSUPP (bind, connect, socketpair, accept, listen, shutdown, sendmsg, recvmsg), and for set|getsockopt of other levels,
 * and for ioctl "not mine". t is the calling task, which may be NULL in a test. */
struct sock_ops {
	bool has_peek_off; /* SO_PEEK_OFF means something */
	int (*bind)(struct sock *s, struct task *t, const struct sock_addr *a);
	int (*connect)(struct sock *s, struct task *t, const struct sock_addr *a); /* nonblock: file_nonblock(&s->file) */
	int (*socketpair)(struct sock *a, struct sock *b, struct task *t); /* two new ones */
	int (*accept)(struct sock *s, struct task *t, struct sock **ret);  /* a new sock with a file of its own */
	int (*getname)(struct sock *s, bool peer, struct sock_addr *ret);
	int (*listen)(struct sock *s, struct task *t, int backlog);         /* 0 <= backlog <= somaxconn */
	int (*shutdown)(struct sock *s, int how);                           /* how is checked: SHUT_RD, SHUT_WR, SHUT_RDWR */
	int (*setsockopt)(struct sock *s, struct task *t, int level, int name, const struct sock_optval *v);
	int (*getsockopt)(struct sock *s, struct task *t, int level, int name, struct sock_optval *v);
	/* SOL_SOCKET options that the family answers or hears of before sockopt.c; -ENOIOCTLCMD: not this one. */
	int (*set_common)(struct sock *s, struct task *t, int name, const struct sock_optval *v);
	int (*get_common)(struct sock *s, struct task *t, int name, struct sock_optval *v);
	ssize_t (*sendmsg)(struct sock *s, struct task *t, struct sock_msg *m);
	ssize_t (*recvmsg)(struct sock *s, struct task *t, struct sock_msg *m);
	uint32_t (*poll)(struct sock *s);
	long (*ioctl)(struct sock *s, unsigned cmd, gva_t arg, const struct ioctl_ctx *c); /* -ENOIOCTLCMD: not the family's */
	/* SO_MEMINFO: what is queued, and what was dropped; NULL: nothing is known */
	void (*memory)(struct sock *s, struct sock_memory *ret);
	int (*mmap)(struct sock *s, struct memobj **ret); /* NULL: -ENODEV */
	int (*deliver)(struct sock *s, const void *msg, size_t size); /* as of file_ops */
	void (*release)(struct sock *s); /* closed: no file any more. Nothing held */
	void (*destroy)(struct sock *s); /* the last reference: frees what hangs on it; sock.c frees the object itself */
};
#ifndef ENOIOCTLCMD
#define ENOIOCTLCMD 515 /* internal, never reaches a guest */
#endif

enum { SOCK_SHUT_RD = 1, SOCK_SHUT_WR = 2, SOCK_SHUT_BOTH = 3 }; /* bits of sock->shutdown */

/* SOL_SOCKET. Written by sockopt.c, read by anyone at any time. Buffer sizes are the doubled ones, as getsockopt shows them. */
struct sock_options {
	_Atomic int sndbuf, rcvbuf, rcvlowat, priority, mark, peek_off /* -1: off */, busy_poll, busy_poll_budget, incoming_cpu, bound_if, txrehash;
	_Atomic int64_t rcvtimeo, sndtimeo; /* ns; INT64_MAX: none; 0: at once */
	_Atomic int linger;                 /* seconds; -1: off */
	_Atomic uint64_t max_pacing_rate;
	_Atomic int timestamping;           /* SOF_TIMESTAMPING_*: only of what is received, by software */
	_Atomic bool timestamping_new;
	_Atomic int txtime_clock, txtime_flags; /* SO_TXTIME */
	_Atomic bool debug, reuseaddr, reuseport, keepalive, dontroute, broadcast, oobinline, no_check, passcred, passsec, passpidfd,
		passrights, timestamp, timestamp_ns, timestamp_new, rxq_ovfl, wifi_status, nofcs, select_err_queue, zerocopy,
		sndbuf_locked, rcvbuf_locked, filter_locked, prefer_busy_poll, rcvmark, txtime;
};

/* For /proc/net/protocols and sockstat. */
enum sock_kind { SOCK_KIND_OTHER, SOCK_KIND_TCP, SOCK_KIND_TCP6, SOCK_KIND_UDP, SOCK_KIND_UDP6, SOCK_KIND_UDPLITE, SOCK_KIND_UDPLITE6,
		 SOCK_KIND_PING, SOCK_KIND_PING6, SOCK_KIND_RAW, SOCK_KIND_RAW6, SOCK_KIND_UNIX, SOCK_KIND_UNIX_STREAM, SOCK_KIND_NETLINK,
		 SOCK_KIND_MAX };

struct sock {
	struct file file;
	struct ref ref;
	const struct sock_ops *ops;  /* constant, as: */
	_Atomic int family;          /* IPV6_ADDRFORM may change it, once */
	int type, protocol;
	uid_t uid;                   /* of its maker: st_uid, /proc/net */
	gid_t gid;
	struct mutex lock;           /* the family's state; what it guards is said there */
	struct waitq rd, wr;
	_Atomic int err;             /* SO_ERROR, positive; sock_take_error() */
	_Atomic unsigned shutdown;   /* SOCK_SHUT_* */
	struct sock_options opt;
	struct filter *_Atomic filter; /* filter.h */
	_Atomic int64_t stamp;         /* when the last that was received came, for SIOCGSTAMP; 0: none */
};

/* Fills the common part of a zeroed object whose first member is the sock; references: one of file and sock. nonblock etc. by file flags. */
unsigned sock_kind_count(enum sock_kind kind); /* how many there are */
void sock_change_family(struct sock *s, int family); /* IPV6_ADDRFORM */
void sock_init(struct sock *s, const struct sock_ops *ops, int family, int type, int protocol, struct task *t);
/* A child's options are its listener's (accept). */
void sock_inherit_options(struct sock *child, const struct sock *listener);
static inline struct sock *sock_get(struct sock *s) { ref_get(&s->ref); return s; }
void sock_put(struct sock *s);
DEFINE_AUTO(sock, sock_put);
static inline struct sock *sock_of_file(struct file *f); /* NULL: not a socket */
extern const struct file_ops sock_file_ops;
static inline struct sock *sock_of_file(struct file *f) { return f->ops == &sock_file_ops ? container_of(f, struct sock, file) : NULL; }

/* The pending error, negative, which is cleared; 0: none. */
static inline int sock_take_error(struct sock *s)
{
	return atomic_load_explicit(&s->err, memory_order_relaxed) ? -atomic_exchange(&s->err, 0) : 0;
}

/* --- waiting ----------------------------------------------------------------------------------------------------- */

/* How long a call may wait: made once at its start. */
struct sock_wait { bool nonblock, timed; struct deadline until; };
struct sock_wait sock_wait_rd(struct sock *s, bool nonblock); /* SO_RCVTIMEO */
struct sock_wait sock_wait_wr(struct sock *s, bool nonblock); /* SO_SNDTIMEO */
/* Sleeps on wq (s->rd or s->wr) under lock. 0: look again; -EAGAIN: must not wait, or the time is over; -ERESTARTSYS, or -EINTR
 * if there is a time limit (a restart would wait anew); -EWOULDSLEEP. */
int sock_sleep(struct waitq *wq, struct mutex *lock, const struct sock_wait *w) REQUIRES(*lock);
/* This thread may sleep: if not, a call that might have to wait half-way must not begin. */
static inline bool sock_may_sleep(void) { return waiter_current()->may_sleep; }
static inline void sock_async(struct sock *s, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLOUT))
		file_async(&s->file, events & EPOLLIN ? POLL_IN : POLL_OUT);
}
/* Urgent data came in: sk_send_sigurg(). */
static inline void sock_urgent(struct sock *s)
{
	file_note(&s->file, FILE_URGENT);
	file_async(&s->file, POLL_PRI);
}
static inline void sock_wake_rd(struct sock *s, uint32_t events)
{
	waitq_wake(&s->rd, 0);
	waitq_wake(&s->file.wq, events);
	sock_async(s, events);
}
static inline void sock_wake_wr(struct sock *s, uint32_t events)
{
	waitq_wake(&s->wr, 0);
	waitq_wake(&s->file.wq, events);
	sock_async(s, events);
}
static inline void sock_wake_all(struct sock *s, uint32_t events)
{
	waitq_wake(&s->rd, 0);
	sock_wake_wr(s, events);
}

/* --- families ------------------------------------------------------------------------------------------------------- */

struct sock_family {
	int family; /* AF_* */
	/* socket(2): type without flags, in range. -EPROTONOSUPPORT, -ESOCKTNOSUPPORT, -EPERM, -ENOMEM... */
	int (*create)(struct task *t, int type, int protocol, struct sock **ret);
};
void sock_family_register(const struct sock_family *f); /* at boot */

/* --- what system calls do; NULL ops resolved ------------------------------------------------------------------------- */

int sock_create(struct task *t, int family, int type, int protocol, struct sock **ret); /* -EAFNOSUPPORT, -EINVAL, the family's */
int sock_socketpair(struct sock *a, struct sock *b, struct task *t);
ssize_t sock_sendmsg(struct sock *s, struct task *t, struct sock_msg *m);
ssize_t sock_recvmsg(struct sock *s, struct task *t, struct sock_msg *m);
int sock_setsockopt(struct sock *s, struct task *t, int level, int name, const struct sock_optval *v);
int sock_getsockopt(struct sock *s, struct task *t, int level, int name, struct sock_optval *v);
/* SOL_SOCKET alone (sockopt.c). */
int sock_set_option(struct sock *s, struct task *t, int name, const struct sock_optval *v);
int sock_get_option(struct sock *s, struct task *t, int name, struct sock_optval *v);
/* ioctl(2) after the calls for every file: the family's, then what all sockets know (ioctl.c). */
long sock_ioctl(struct file *f, unsigned cmd, gva_t arg, const struct ioctl_ctx *c);

#define SOCK_BUF_FORCED 8388608  /* what SO_SNDBUFFORCE and SO_RCVBUFFORCE reach */
#define SOCK_MIN_SNDBUF 4608
#define SOCK_MIN_RCVBUF 2304

#endif
