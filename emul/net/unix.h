/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX from the inside. net/unix/af_unix.c of Linux for the order of checks; man 7 unix.
 *
 *   unix.c         life, state, poll, options     unix_name.c   names and bind     unix_connect.c  listen, connect, accept
 *   unix_stream.c  SOCK_STREAM data               unix_dgram.c  SOCK_DGRAM, SOCK_SEQPACKET data
 *   unix_scm.c     credentials and descriptors    unix_gc.c     sockets that only sockets hold
 *   unix_proc.c    /proc/net/unix                 unix_buf.c    messages
 *
 * A message lies in the queue of its receiver, under the receiver's lock; the bytes are charged to the sender
 * (`wmem`, bounded by SO_SNDBUF). A connected stream's sender so needs one lock, the peer's, and its receiver
 * one, its own. A sender that finds no room sleeps on its own `wr` under the lock of the queue (stream) or its own
 * lock (datagrams), or, where the receiver has too many messages, on the receiver's `peer_wait`.
 *
 * References: a connected socket counts its peer, a datagram its sender. No reference on a sock or a file is
 * dropped with a lock held.
 *
 * Lock order: gc_lock, unix names -> sk.lock (two: lower address first) -> mm, waitq (peer_wait -> file.wq).
 */
#ifndef EMUL_NET_UNIX_H
#define EMUL_NET_UNIX_H

#include "emul/base/cred.h"
#include "emul/net/sock.h"
#include "emul/vfs/vfs.h"

struct proc;

struct unix_addr { struct ref ref; int len; struct sockaddr_un un; };

/* Who is on the other side, for SO_PEERCRED and kin: as it was when the socket was made ready for it. */
struct unix_peer_id { struct proc *proc; struct cred *cred; }; /* both counted */

/* Descriptors on their way. */
struct unix_rights {
	struct ref ref;
	struct unix_rights *next; /* unix_scm.c: to be dropped */
	unsigned n;
	struct file *files[];
};

/* What a message brings beside its data. cred.pid 0: nobody asked when it was sent. */
struct unix_scm {
	struct ucred cred;
	struct proc *proc;           /* counted; the sender, for SCM_PIDFD; NULL with pid 0 */
	struct unix_rights *rights;  /* counted, NULL: none */
};
#define UNIX_SCM_NONE ((struct unix_scm){ .cred = { .uid = 65534, .gid = 65534 } })

struct unix_buf {
	struct list node;
	struct unix_sock *from;   /* datagrams: counted; a stream's is its peer */
	int64_t stamp;            /* datagrams: when it was queued, ns since 1970, if the receiver had asked for that; 0 */
	struct unix_scm scm;
	size_t charge;            /* to the sender's wmem */
	size_t off, len, cap;     /* data[off .. off + len) is there still */
	char data[];
};

enum unix_state { UNIX_CLOSED = 7, UNIX_CONNECTED = 1, UNIX_LISTENING = 10 }; /* Linux's TCP_ numbers */

struct unix_sock {
	struct sock sk;
	struct waitq peer_wait;      /* with sk.lock: who waits for room in this queue (of messages, of connections) */
	_Atomic(struct unix_sock *) peer; /* counted; written under sk.lock; a stream's stays until it is released */
	_Atomic(struct unix_addr *) addr; /* counted; set once, under sk.lock */
	_Atomic size_t wmem;         /* charged to this one as a sender */
	_Atomic int state;           /* written under sk.lock */
	/* sk.lock: */
	struct list queue;           /* struct unix_buf */
	struct list embryos;         /* of a listener: connected, not accepted yet; unix_sock.embryo_node */
	struct list embryo_node;
	unsigned qlen;               /* messages or embryos */
	unsigned backlog;
	size_t queued;               /* bytes in the queue */
	bool dead;                   /* released */
	bool unaccepted;             /* waits in a listener's queue */
	struct unix_peer_id id;
	struct unix_buf *spare;      /* of a stream's queue: the next small chunk */
	struct unix_buf *oob;        /* of it: the urgent byte, while it is neither read nor passed over */
	struct waitq_entry peer_wake; /* on the peer's peer_wait: poll wants to know when it has room */
	/* names lock: */
	struct list name_node;
	struct path path;            /* of a name in the file system: keeps it known */
	struct list all_node;        /* /proc/net/unix */
	/* unix_gc.c: */
	struct { struct list node, gc_node; unsigned count, left; bool candidate; } flight;
};

static inline struct unix_sock *unix_of(struct sock *s) { return container_of(s, struct unix_sock, sk); }
static inline struct unix_sock *unix_get(struct unix_sock *u) { sock_get(&u->sk); return u; }
static inline void unix_put(struct unix_sock *u) { if (u) sock_put(&u->sk); }
DEFINE_AUTO(unix_sock, unix_put);
static inline bool unix_is_stream(const struct unix_sock *u) { return u->sk.type != SOCK_DGRAM; } /* connection-oriented */

/* --- unix.c ------------------------------------------------------------------------------------------------ */
extern const struct sock_family unix_family;
struct unix_sock *unix_new(struct task *t, int type); /* NULL: no memory */
struct unix_sock *unix_peer_get(struct unix_sock *u); /* with a reference; NULL: none. Takes the lock */
void unix_id_set(struct unix_peer_id *id, struct task *t);
void unix_id_copy(struct unix_peer_id *to, const struct unix_peer_id *from);
void unix_id_clear(struct unix_peer_id *id);
/* Writable for poll: not listening and no more than a quarter of the buffer used. */
bool unix_writable(struct unix_sock *u);
/* The charge of u as a sender goes down by n; true: it has become writable and must be told. */
bool unix_uncharge(struct unix_sock *u, size_t n);
#define UNIX_OUT_EVENTS (EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND)
#define UNIX_IN_EVENTS (EPOLLIN | EPOLLRDNORM | EPOLLRDBAND)

/* --- buffers (unix_buf.c) -------------------------------------------------------------------------------------- */
#define UNIX_HEAD_STREAM (4096 - 320)  /* SKB_MAX_HEAD(0), SKB_MAX_ALLOC: what is longer has pages beside its head */
#define UNIX_HEAD_DGRAM  (16384 - 320)
/* What Linux charges for a message of len bytes: structures, the head as kmalloc rounds it, pages. sock_alloc_send_pskb(), __alloc_skb() */
size_t unix_charge(size_t len, size_t head_max);
struct unix_buf *unix_buf_new(size_t cap); /* NULL: no memory, or too much in all sockets together */
/* Frees it and all that it holds. The sender's charge is given back and the sender woken. No lock held. */
void unix_buf_free(struct unix_buf *b);
void unix_bufs_free(struct list *bufs);

/* --- unix_name.c --------------------------------------------------------------------------------------------------- */
void unix_addr_put(struct unix_addr *a);
static inline struct unix_addr *unix_addr_get(struct unix_addr *a) { if (a) ref_get(&a->ref); return a; }
int unix_bind(struct sock *s, struct task *t, const struct sock_addr *a);
int unix_autobind(struct unix_sock *u, struct task *t); /* 0 also if it has a name */
int unix_getname(struct sock *s, bool peer, struct sock_addr *ret);
void unix_addr_copy(struct sock_addr *to, struct unix_addr *from); /* from NULL: no address */
int unix_check_addr(const struct sock_addr *a); /* -EINVAL */
/* Who is bound there, with a reference. -ECONNREFUSED, -EPROTOTYPE, -EACCES, errors of the walk. */
int unix_find(struct task *t, const struct sock_addr *a, int type, struct unix_sock **ret);
void unix_name_drop(struct unix_sock *u); /* released: others do not find it any more */
void unix_list_add(struct unix_sock *u);
/* The socket after u (NULL: the first), with a reference; NULL: no more, or u was closed meanwhile. */
struct unix_sock *unix_list_next(struct unix_sock *u);

/* --- unix_connect.c ---------------------------------------------------------------------------------------------------- */
int unix_listen(struct sock *s, struct task *t, int backlog);
int unix_stream_connect(struct sock *s, struct task *t, const struct sock_addr *a);
int unix_accept(struct sock *s, struct task *t, struct sock **ret);
int unix_socketpair(struct sock *a, struct sock *b, struct task *t);

/* --- data ----------------------------------------------------------------------------------------------------------------- */
ssize_t unix_stream_send(struct sock *s, struct task *t, struct sock_msg *m);
ssize_t unix_stream_recv(struct sock *s, struct task *t, struct sock_msg *m);
int unix_dgram_connect(struct sock *s, struct task *t, const struct sock_addr *a);
ssize_t unix_dgram_send(struct sock *s, struct task *t, struct sock_msg *m);
ssize_t unix_dgram_recv(struct sock *s, struct task *t, struct sock_msg *m);
ssize_t unix_seqpacket_send(struct sock *s, struct task *t, struct sock_msg *m);
ssize_t unix_seqpacket_recv(struct sock *s, struct task *t, struct sock_msg *m);
/* poll: the peer's queue has no room for a datagram of u; if so u is told when it has. */
bool unix_dgram_peer_full(struct unix_sock *u);
void unix_dgram_forget_peer(struct unix_sock *u, struct unix_sock *peer); /* no more telling */

/* --- unix_scm.c -------------------------------------------------------------------------------------------------------------- */
/* What a send brings: control data checked, descriptors looked up, room for them in flight. */
int unix_scm_read(struct task *t, const struct sock_msg *m, struct unix_scm *ret);
/* The sender's own credentials, if one of the two wants to know them and none were given. */
void unix_scm_add_cred(struct unix_scm *scm, struct task *t, struct unix_sock *from, struct unix_sock *to);
/* To the receiver, in Linux's order. Consumes scm. No lock held. */
void unix_scm_deliver(struct unix_sock *u, struct task *t, struct sock_msg *m, struct unix_scm *scm);
void unix_scm_copy(struct unix_scm *to, const struct unix_scm *from); /* more references; to is empty */
void unix_scm_copy_cred(struct unix_scm *to, const struct unix_scm *from); /* without the descriptors */
void unix_scm_drop_rights(struct unix_scm *scm); /* no lock held */
bool unix_scm_same_cred(const struct unix_scm *a, const struct unix_scm *b);
void unix_scm_drop(struct unix_scm *scm); /* no lock held */
/* unix_gc.c: a file is in a message from now on; not any more. Harmless for what is no AF_UNIX socket. No lock held. */
void unix_flight_begin(struct file *f);
void unix_flight_end(struct file *f);
void unix_gc(void); /* closes what only unreachable queues hold. No lock held */
static inline bool unix_wants_cred(struct unix_sock *u) { return u->sk.opt.passcred || u->sk.opt.passpidfd; }

#endif
