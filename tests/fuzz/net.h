/* SPDX-License-Identifier: MIT */
/* For fuzz targets of emul/net: its boot, and sockets without a task. A tap that is none stands in for tap.c. */
#ifndef TESTS_FUZZ_NET_H
#define TESTS_FUZZ_NET_H

#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "emul/base/loop.h"
#include "emul/base/timer.h"
#include "emul/net/inet.h"
#include "emul/net/lwip_port.h"
#include "emul/net/net.h"

static inline void fuzz_net_boot(enum net_mode mode)
{
	static const struct net_config tap = { .mode = NET_TAP }, none = { .mode = NET_LOOPBACK };
	static bool booted;

	if (booted)
		return;
	booted = true;
	if (wait_boot() < 0 || loop_boot() < 0 || timer_boot() < 0 || net_boot(NULL, mode == NET_TAP ? &tap : &none) < 0)
		abort();
}

static inline struct sock *fuzz_socket(int family, int type, int protocol)
{
	struct sock *s = NULL;

	if (sock_create(NULL, family, type, protocol, &s) < 0)
		return NULL;
	atomic_fetch_or(&s->file.flags, O_NONBLOCK);
	return s;
}

static inline void fuzz_close(struct sock *s)
{
	if (s)
		file_put(&s->file);
}

static inline void fuzz_bind4(struct sock *s, uint32_t host, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(host) };
	struct sock_addr a = { .len = sizeof(in) };

	memcpy(&a.ss, &in, sizeof(in));
	(void)s->ops->bind(s, NULL, &a);
}

/* Receives until there is nothing more, with room for control data. */
static inline void fuzz_drain(struct sock *s, unsigned flags)
{
	for (int i = 0; i < 64; i++) {
		char buf[2048];
		struct sock_control ctl = { .room = sizeof(ctl.buf) };
		struct sock_addr from = { 0 };
		struct uio u;
		struct sock_msg m = { .data = &u, .addr = &from, .ctl = &ctl, .flags = flags | MSG_DONTWAIT };
		ssize_t r;

		uio_init_host(&u, buf, sizeof(buf));
		r = sock_recvmsg(s, NULL, &m);
		uio_fini(&u);
		if (r <= 0)
			break;
	}
}

#endif
