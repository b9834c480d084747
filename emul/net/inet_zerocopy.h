/* SPDX-License-Identifier: MIT */
/*
 * MSG_ZEROCOPY. Everything is copied, as Linux does over loopback, and so it is told: each call has a number, and which ones are through
 * comes by the error queue (SO_EE_CODE_ZEROCOPY_COPIED). msg_zerocopy_callback(); Documentation/networking/msg_zerocopy.rst.
 */
#ifndef EMUL_NET_INET_ZEROCOPY_H
#define EMUL_NET_INET_ZEROCOPY_H

#include "emul/net/inet.h"

/* A call with these flags has sent len bytes: the next number is through, if the socket asked for that (SO_ZEROCOPY). No lock held. */
void inet_zerocopy_sent(struct inet_sock *i, unsigned flags, size_t len);
static inline bool inet_zerocopy_pending(const struct inet_sock *i) { return i->zerocopy.pending; } /* inet_lock held */
/* MSG_ERRQUEUE: what is through since the last time. 0 (no data), -EAGAIN: nothing. No lock held. */
ssize_t inet_zerocopy_tell(struct inet_sock *i, struct sock_msg *m);

#endif
