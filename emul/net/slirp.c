/* SPDX-License-Identifier: MIT */
/*
 * --net user: libslirp makes of eth0's frames ordinary sockets of the host: 10.0.2.2 is the host's loopback, 10.0.2.3 its resolver,
 * everything else goes out as if vmrun itself had asked. No privileges are needed.
 *
 * The library is loaded with its first use: with glib behind it, every start of a program would pay for it.
 *
 * libslirp belongs to one thread, which sleeps in poll(2) on its sockets and on `kick`; frames for it stand in a queue.
 */
/* host syscalls: eventfd2 poll socket bind listen accept connect sendto recvfrom setsockopt getsockopt clone3 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <slirp/libslirp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/base/list.h"
#include "emul/base/log.h"
#include "emul/base/wait.h"
#include "emul/net/lwip_port.h"
#include "emul/net/route.h"

#define QUEUE_MAX 1024 /* frames; then the guest's are dropped, as on a wire */
#define LIBRARY "libslirp.so.0" /* Debian: libslirp0 */
#define IDLE_MS 1000   /* libslirp's own bound on a sleep: it means nothing if there is no socket */

struct frame { struct list node; size_t len; unsigned char data[]; };

/* What is used of it, with the types of its header. */
#define FUNCTIONS(F) F(slirp_new) F(slirp_cleanup) F(slirp_input) F(slirp_pollfds_fill) F(slirp_pollfds_poll) F(slirp_add_hostfwd)
#define POINTER(name) __typeof__(name) *name;
static struct { FUNCTIONS(POINTER) } lib; /* constant once loaded */
static Slirp *slirp;            /* only its thread, once that runs */
static int kick = -1;
static struct mutex lock = MUTEX_INIT;
static struct list queue = LIST_INIT(queue); /* lock: of frame.node */
static unsigned nqueued;                     /* lock */

static void wake(void)
{
	uint64_t one = 1;

	if (write(kick, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_warn("user network: %s", strerror(errno));
}

static int load(char *why, size_t size)
{
	void *so = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	const char *missing = NULL;

	if (!so) {
		snprintf(why, size, "it needs libslirp (Debian's package libslirp0): %s", dlerror());
		return -ENOENT;
	}
	/* POSIX: a function's address may be stored through a void pointer's place. */
#define FIND(name)                                          \
	*(void **)&lib.name = dlsym(so, #name);             \
	if (!lib.name && !missing)                          \
		missing = #name;
	FUNCTIONS(FIND)
	if (!missing)
		return 0;
	snprintf(why, size, "%s has no %s", LIBRARY, missing);
	dlclose(so);
	return -ENOENT;
}

/* --- what libslirp asks of us ------------------------------------------------------------------------------------- */

static ssize_t send_packet(const void *buf, size_t len, void *opaque)
{
	(void)opaque;
	eth_receive(buf, len);
	return (ssize_t)len;
}

static void guest_error(const char *msg, void *opaque)
{
	(void)opaque;
	log_dbg(NET, "user network: %s", msg);
}

static int64_t clock_ns(void *opaque)
{
	(void)opaque;
	return clock_now(CLOCK_MONOTONIC);
}

/* Router advertisements are the only timer, and IPv6 is off. */
static void *timer_new(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
	(void)cb, (void)cb_opaque, (void)opaque;
	return malloc(1);
}

static void timer_drop(void *timer, void *opaque)
{
	(void)opaque;
	free(timer);
}

static void timer_mod(void *timer, int64_t at, void *opaque)
{
	(void)timer, (void)at, (void)opaque;
}

static void fd_nothing(int fd, void *opaque)
{
	(void)fd, (void)opaque;
}

static void notify(void *opaque)
{
	(void)opaque;
	wake();
}

static const SlirpCb callbacks = {
	.send_packet = send_packet,
	.guest_error = guest_error,
	.clock_get_ns = clock_ns,
	.timer_new = timer_new,
	.timer_free = timer_drop,
	.timer_mod = timer_mod,
	.register_poll_fd = fd_nothing,
	.unregister_poll_fd = fd_nothing,
	.notify = notify,
};

/* --- its thread ------------------------------------------------------------------------------------------------------- */

struct polls { struct pollfd *p; unsigned n, cap; };

static int add_poll(int fd, int events, void *opaque)
{
	struct polls *ps = opaque;
	short ev = 0;

	if (ps->n == ps->cap) {
		unsigned cap = ps->cap ? ps->cap * 2 : 64;
		struct pollfd *p = realloc(ps->p, cap * sizeof(*p));

		if (!p)
			return -1;
		ps->p = p;
		ps->cap = cap;
	}
	if (events & SLIRP_POLL_IN)
		ev |= POLLIN;
	if (events & SLIRP_POLL_OUT)
		ev |= POLLOUT;
	if (events & SLIRP_POLL_PRI)
		ev |= POLLPRI;
	ps->p[ps->n] = (struct pollfd){ .fd = fd, .events = ev };
	return (int)ps->n++;
}

static int revents_of(int idx, void *opaque)
{
	struct polls *ps = opaque;
	short ev = idx >= 0 && (unsigned)idx < ps->n ? ps->p[idx].revents : 0;
	int r = 0;

	if (ev & POLLIN)
		r |= SLIRP_POLL_IN;
	if (ev & POLLOUT)
		r |= SLIRP_POLL_OUT;
	if (ev & POLLPRI)
		r |= SLIRP_POLL_PRI;
	if (ev & POLLERR)
		r |= SLIRP_POLL_ERR;
	if (ev & POLLHUP)
		r |= SLIRP_POLL_HUP;
	return r;
}

static void feed(void)
{
	struct list frames;

	list_init(&frames);
	mutex_lock(&lock);
	list_splice_tail(&frames, &queue);
	nqueued = 0;
	mutex_unlock(&lock);
	while (!list_empty(&frames)) {
		struct frame *f = list_first(&frames, struct frame, node);

		list_del(&f->node);
		lib.slirp_input(slirp, f->data, (int)f->len);
		free(f);
	}
}

static void turn(struct polls *ps)
{
	uint32_t timeout = IDLE_MS;
	uint64_t count;
	bool idle;
	int n;

	ps->n = 0;
	if (add_poll(kick, SLIRP_POLL_IN, ps) < 0)
		return;
	lib.slirp_pollfds_fill(slirp, &timeout, add_poll, ps);
	idle = ps->n == 1 && timeout >= IDLE_MS;
	n = poll(ps->p, ps->n, idle ? -1 : (int)timeout);
	if (ps->p[0].revents & POLLIN && read(kick, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_warn("user network: %s", strerror(errno));
	feed();
	lib.slirp_pollfds_poll(slirp, n < 0, revents_of, ps);
}

static void *run(void *arg)
{
	struct polls ps = { 0 };

	(void)arg;
	pthread_setname_np(pthread_self(), "slirp");
	for (;;)
		turn(&ps);
	return NULL;
}

/* --- the backend --------------------------------------------------------------------------------------------------------- */

static int slirp_send(const void *data, size_t len, const struct large_frame *large)
{
	(void)large;
	struct frame *f = malloc(sizeof(*f) + len);
	bool first = false;

	if (!f)
		return -ENOBUFS;
	f->len = len;
	memcpy(f->data, data, len);
	mutex_lock(&lock);
	if (nqueued < QUEUE_MAX) {
		first = nqueued++ == 0;
		list_add_tail(&queue, &f->node);
		f = NULL;
	}
	mutex_unlock(&lock);
	if (first)
		wake();
	if (!f)
		return 0;
	free(f);
	return -ENOBUFS;
}

static int publish(const struct net_config *cfg, char *why, size_t size)
{
	struct in_addr guest = { htonl(ETH_ADDR4) };

	for (unsigned i = 0; i < cfg->npublish; i++) {
		const struct net_publish *p = &cfg->publish[i];
		struct in_addr host = { htonl(p->host_addr) };

		if (lib.slirp_add_hostfwd(slirp, p->udp, host, p->host_port, guest, p->guest_port) < 0) {
			int e = errno;

			snprintf(why, size, "cannot publish port %u: %s", p->host_port, strerror(e ? e : EADDRINUSE));
			return -EADDRINUSE;
		}
	}
	return 0;
}

static int start_thread(void)
{
	sigset_t all, old;
	pthread_t thread;
	int r;

	sigfillset(&all);
	sigdelset(&all, SIG_KICK);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

static int slirp_start(const struct net_config *cfg, char *why, size_t size)
{
	SlirpConfig sc = { .version = 4, .in_enabled = true, .if_mtu = ETH_MTU, .if_mru = ETH_MTU, .disable_dhcp = true };
	int r = load(why, size);

	if (r < 0)
		return r;
	sc.vnetwork.s_addr = htonl(ETH_ADDR4 & 0xffffff00u);
	sc.vnetmask.s_addr = htonl(0xffffff00u);
	sc.vhost.s_addr = htonl(ETH_GATEWAY4);
	sc.vnameserver.s_addr = htonl(ETH_DNS4);
	sc.vdhcp_start.s_addr = htonl(ETH_ADDR4);
	kick = (int)HOST(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	slirp = kick < 0 ? NULL : lib.slirp_new(&sc, &callbacks, NULL);
	if (!slirp) {
		snprintf(why, size, "libslirp does not start");
		return -ENOMEM;
	}
	r = publish(cfg, why, size);
	if (r == 0 && (r = start_thread()) < 0)
		snprintf(why, size, "no thread: %s", strerror(-r));
	if (r < 0) {
		lib.slirp_cleanup(slirp);
		slirp = NULL;
	}
	return r;
}

const struct eth_backend slirp_backend = { .name = "user", .start = slirp_start, .send = slirp_send };
