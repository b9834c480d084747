/* SPDX-License-Identifier: MIT */
/* The inside of SOCK_STREAM sockets, for inet_tcp*.c and procnet.c. inet.h has the theory. */
#ifndef EMUL_NET_INET_TCP_H
#define EMUL_NET_INET_TCP_H

#include <linux/tcp.h>

#include "emul/base/timer.h"
#include "emul/net/byteq.h"
#include "emul/net/inet.h"

struct tcp_pcb; /* lwIP's */

/* <netinet/tcp.h> would clash with <linux/tcp.h>. */
enum { TCP_ESTABLISHED = 1, TCP_SYN_SENT, TCP_SYN_RECV, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_TIME_WAIT, TCP_CLOSE, TCP_CLOSE_WAIT,
       TCP_LAST_ACK, TCP_LISTEN, TCP_CLOSING };
enum { SS_UNCONNECTED = 1, SS_CONNECTING, SS_CONNECTED, SS_DISCONNECTING }; /* socket->state of Linux */

struct inet_tcp_options {
	int maxseg, keepidle, keepintvl, keepcnt, syncnt, linger2, defer_accept, window_clamp, user_timeout, notsent_lowat, fastopen,
		fastopen_connect, thin, cork, nodelay, quickack, inq, reno;
};

enum urgent { URG_NONE, URG_VALID, URG_READ };

struct inet_tcp {
	struct inet_sock inet; /* first */
	/* inet_lock: */
	uint8_t state;         /* TCP_* */
	uint8_t ss;            /* SS_* */
	bool done;             /* SOCK_DONE: an end of file was received */
	bool nospace;          /* somebody waits for room */
	bool rbusy, wbusy;     /* a thread copies at this end of rq; a thread is within send */
	bool reset_on_release; /* never accepted: its end is a reset */
	struct byteq rq;       /* received */
	uint64_t rseq;         /* bytes ever taken out of rq */
	enum urgent urg;
	uint64_t urg_seq;      /* place of the urgent byte in the stream */
	char urg_byte;
	struct inet_tcp *peer; /* the other end, if it is a socket of ours that is not closed; counted */
	uint64_t bytes_sent, bytes_received, segs_out, segs_in;
	int64_t since, last_sent, last_received; /* ns */
	int64_t stamp;         /* when the last of rq came (CLOCK_REALTIME), noted with SO_TIMESTAMP; 0: not */
	struct inet_tcp_options opt;
	/* listening: */
	struct list accepted;  /* of node: the file's reference is the queue's */
	struct list pending;   /* of node: connecting sockets that wait for room here; counted */
	struct list waiting;   /* of node: TCP_DEFER_ACCEPT: connections without data yet; as accepted */
	unsigned nwaiting;
	unsigned naccepted;
	int backlog;
	/* waiting in one of these lists: its listener's lock (node, listener), besides its own */
	struct list node;
	struct inet_tcp *listener; /* of a pending one */
	struct timer timer;    /* inet_tcp_hold.c: fires at the first of these (ns; 0: not): */
	bool timer_used;
	int64_t due_connect;   /* connecting: gives up */
	int64_t due_cork;      /* what is held back goes out */
	int64_t stalled;       /* since when nothing of what is not acknowledged went: TCP_USER_TIMEOUT */
	int64_t due_accept;    /* TCP_DEFER_ACCEPT: is accepted without data */
	bool holding;          /* corked: of sq only whole segments go */
	bool lost;             /* the peer's filter has not let in what is first in sq: it waits for due_cork */
	bool lingering;        /* closed, and the caller waits for the rest to be taken */
	struct inet_tcp *deferred; /* counted: the listener whose `deferred` list it is in */
	/* the wire: lwIP's core lock, and inet_lock for changes */
	struct tcp_pcb *pcb;   /* of a connection to a foreign host */
	uint16_t wire_port;    /* of a listening socket that foreign hosts can reach; 0: none */
	bool on_wire;          /* inet_lock: the connection is, or was, on the wire */
	bool fin_queued, fin_sent; /* inet_lock */
	struct byteq sq;       /* inet_lock: what lwIP had no room for yet, or a cork holds back; local: only that */
	size_t in_flight;      /* inet_lock: handed to lwIP, not acknowledged */
	size_t unannounced;    /* inet_lock: received, lwIP's window not yet opened for it */
};

static inline struct inet_tcp *tcp_of(struct sock *s) { return container_of(inet_of(s), struct inet_tcp, inet); }

/* --- inet_tcp.c ------------------------------------------------------------------------------------------ */
extern const struct sock_ops inet_tcp_ops;
struct inet_tcp *inet_tcp_alloc(struct task *t, int family, struct sock *lock_owner);
int64_t inet_tcp_now(void);
void inet_tcp_done_locked(struct inet_tcp *t);                    /* state CLOSE */
void inet_tcp_got_reset_locked(struct inet_tcp *t, int err);      /* err 0: by the state, as a RST */
void inet_tcp_got_fin_locked(struct inet_tcp *t);
void inet_tcp_connected_locked(struct inet_tcp *t);
/* A connection from outside or inside arrives at a listener: queues child (its file's reference is consumed). -EAGAIN: full, -ECONNREFUSED. l locked. */
int inet_tcp_queue_locked(struct inet_tcp *l, struct inet_tcp *child);
bool inet_tcp_queue_full(const struct inet_tcp *l);
/* Gives a child its ends, options and state. Under the child's lock. */
int inet_tcp_setup_child(struct inet_tcp *child, struct inet_tcp *l, const struct endpoint *local, const struct endpoint *remote);

void inet_tcp_leave_ports(struct inet_tcp *t);
void inet_tcp_send_reset_locked(struct inet_tcp *t);              /* to the other end, if it is one of ours */
void inet_tcp_abort(struct inet_tcp *t, int err);                 /* a reset, and err for its users. Nothing held */
/* Whatever t is in, it leaves: a listener's queue, the listeners, the wire (by a reset). True: it was listening. Nothing held. */
bool inet_tcp_withdraw(struct inet_tcp *t);
void inet_tcp_stop_listening(struct inet_tcp *t);                 /* nothing held */

/* --- inet_tcp_connect.c: nothing held ----------------------------------------------------------------------- */
int inet_tcp_connect(struct sock *s, struct task *task, const struct sock_addr *a);
/* What MSG_FASTOPEN asks for, which without a cookie is a connect(2). No lock held. */
int inet_tcp_connect_by_send(struct inet_tcp *t, struct task *task, const struct sock_msg *m);
int inet_tcp_disconnect(struct inet_tcp *t);                      /* back to a new socket */
void inet_tcp_refuse(struct inet_tcp *t, int err);                /* a connecting one; err 0: ECONNREFUSED */
void inet_tcp_admit_pending(struct inet_tcp *l);                  /* room was made in l's queue */
void inet_tcp_filter_changed(struct inet_tcp *l);
bool inet_tcp_leave_pending(struct inet_tcp *t, struct inet_tcp *l); /* t waits there no longer; true: it did */

/* --- inet_tcp_hold.c ----------------------------------------------------------------------------------------- */
void inet_tcp_timer_fired(struct timer *timer);
void inet_tcp_stop_timer(struct inet_tcp *t);                    /* for all that is due. Nothing held */
void inet_tcp_arm_locked(struct inet_tcp *t);                    /* after a change of the due fields */
/* Moves what may go of a local connection's sq to the peer. Locked */
void inet_tcp_release_held_locked(struct inet_tcp *t);
void inet_tcp_hold_locked(struct inet_tcp *t, bool hold);        /* the end of a send: what is left in sq waits, or goes. Locked */
void inet_tcp_uncork(struct inet_tcp *t);                        /* nothing held */
void inet_tcp_note_stall_locked(struct inet_tcp *t);             /* something is, or is no longer, on its way */
void inet_tcp_progress_locked(struct inet_tcp *t);               /* some of it was taken */
void inet_tcp_linger(struct inet_tcp *t);                        /* SO_LINGER: sleeps until all was taken, or the time is over. Nothing held */
/* TCP_DEFER_ACCEPT. child goes into l's list; both locked. The file's reference is consumed. */
void inet_tcp_defer_locked(struct inet_tcp *l, struct inet_tcp *child);
/* Data or an end has come to child: it is accepted if it was deferred. Nothing held */
void inet_tcp_admit_deferred(struct inet_tcp *child);
struct inet_tcp *inet_tcp_deferred_peer_locked(struct inet_tcp *t); /* for the one above; counted, NULL: none */

/* --- inet_tcp_data.c --------------------------------------------------------------------------------------- */
ssize_t inet_tcp_sendmsg(struct sock *s, struct task *t, struct sock_msg *m);
ssize_t inet_tcp_recvmsg(struct sock *s, struct task *t, struct sock_msg *m);
uint32_t inet_tcp_poll(struct sock *s);
void inet_tcp_memory(struct sock *s, struct sock_memory *ret);
long inet_tcp_ioctl(struct sock *s, unsigned cmd, gva_t arg, const struct ioctl_ctx *c);
size_t inet_tcp_outq(struct inet_tcp *t);                        /* sent, not yet in the peer's window. Locked */
size_t inet_tcp_inq(struct inet_tcp *t);
size_t inet_tcp_window(struct inet_tcp *t);                      /* how much rq takes */
bool inet_tcp_readable(struct inet_tcp *t);
void inet_tcp_data_ready(struct inet_tcp *t);                    /* something was added to rq */
void inet_tcp_arrived_locked(struct inet_tcp *t, struct inet_tcp *p); /* t put something into its peer's rq */
void inet_tcp_write_space(struct inet_tcp *t);                   /* room was made for t's output */

/* --- inet_tcp_opt.c ------------------------------------------------------------------------------------------ */
int inet_tcp_setsockopt(struct sock *s, struct task *t, int level, int name, const struct sock_optval *v);
int inet_tcp_getsockopt(struct sock *s, struct task *t, int level, int name, struct sock_optval *v);
int inet_tcp_set_common(struct sock *s, struct task *t, int name, const struct sock_optval *v);
int inet_tcp_get_common(struct sock *s, struct task *t, int name, struct sock_optval *v);
void inet_tcp_options_init(struct inet_tcp *t);
int inet_tcp_mss(struct inet_tcp *t);                            /* locked */
int64_t inet_tcp_defer_ns(struct inet_tcp *l);                   /* how long TCP_DEFER_ACCEPT waits */

/* --- inet_tcp_segment.c: both ends locked ------------------------------------------------------------------------ */
size_t inet_tcp_filter_data_locked(struct inet_tcp *t, const void *data, size_t len); /* t's peer's filter: how much it lets in */
bool inet_tcp_filter_syn_locked(struct inet_tcp *t, struct inet_tcp *l);              /* l's: whether it hears of t */

/* For packet sockets on lo, before the counts change: what t sends, and the acknowledgement. Locked as above. */
void inet_tcp_show_data_locked(struct inet_tcp *t, const void *data, size_t len);
void inet_tcp_show_syn_locked(struct inet_tcp *t);
void inet_tcp_show_handshake_locked(struct inet_tcp *t);    /* what follows the SYN of t */
void inet_tcp_show_refusal_locked(struct inet_tcp *t);
void inet_tcp_show_fin_locked(struct inet_tcp *t);
void inet_tcp_show_reset_locked(struct inet_tcp *t);

/* --- inet_tcp_wire.c: takes lwIP's core lock: no lock held ------------------------------------------------------ */
int inet_tcp_wire_connect(struct inet_tcp *t);                   /* SYN goes out. -ENETUNREACH, -ENOBUFS */
int inet_tcp_wire_listen(struct inet_tcp *t);                    /* foreign hosts can reach it from now on */
void inet_tcp_wire_push(struct inet_tcp *t);                     /* moves sq into lwIP, and the FIN */
void inet_tcp_wire_read(struct inet_tcp *t);                     /* opens the window as far as there is room */
size_t inet_tcp_wire_owed(struct inet_tcp *t);                   /* how far that is */
void inet_tcp_wire_close(struct inet_tcp *t, bool reset);        /* the socket is gone or the connection is given up */
void inet_tcp_wire_options(struct inet_tcp *t);                  /* NODELAY, keepalive, TOS, TTL */
void inet_tcp_wire_filters(void);                                /* some socket has a filter: its segments are looked at from now on */
struct lwip_packet;
bool inet_tcp_wire_drops(const struct lwip_packet *pk);          /* it is no good, or the receiver's filter does not want it. Core lock held */
struct tcp_info;
void inet_tcp_wire_info(struct inet_tcp *t, struct tcp_info *ret);

#endif
