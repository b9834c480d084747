/* SPDX-License-Identifier: MIT */
#include "emul/net/inet_zerocopy.h"

#include <time.h>
#include <linux/errqueue.h>

void inet_zerocopy_sent(struct inet_sock *i, unsigned flags, size_t len)
{
	struct inet_zerocopy *z = &i->zerocopy;

	if (!(flags & MSG_ZEROCOPY) || !len || !i->sock.opt.zerocopy)
		return;
	inet_lock(i);
	if (!z->pending)
		z->first = z->next;
	z->next++;
	z->pending = true;
	sock_wake_all(&i->sock, EPOLLERR);
	inet_unlock(i);
}

ssize_t inet_zerocopy_tell(struct inet_sock *i, struct sock_msg *m)
{
	struct { struct sock_extended_err ee; struct sockaddr_in6 offender; } out = {
		.ee = { .ee_origin = SO_EE_ORIGIN_ZEROCOPY, .ee_code = SO_EE_CODE_ZEROCOPY_COPIED },
	};
	bool six = i->sock.family == AF_INET6, told;

	inet_lock(i);
	told = i->zerocopy.pending;
	out.ee.ee_info = i->zerocopy.first;
	out.ee.ee_data = i->zerocopy.next - 1;
	i->zerocopy.pending = false;
	inet_unlock(i);
	if (!told)
		return -EAGAIN;
	m->ret_flags |= MSG_ERRQUEUE;
	if (m->ctl)
		sock_put_cmsg(m, six ? SOL_IPV6 : SOL_IP, six ? IPV6_RECVERR : IP_RECVERR, &out,
			      six ? sizeof(out) : sizeof(out.ee) + sizeof(struct sockaddr_in));
	return 0;
}
