/* SPDX-License-Identifier: MIT */
/* The port tables: ports.h has the contract. Chains by local port, and a hash of connected pairs. */
#include "emul/net/ports.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/random.h>

#include "emul/base/err.h"
#include "emul/base/wait.h"
#include "emul/net/inet.h"

#define PAIRS 65536 /* tens of thousands of connections have two each */
#define TIME_WAIT_NS (60 * 1000000000LL)
#define MAX_TIME_WAIT 16384

struct mutex ports_lock = MUTEX_INIT;

static struct port_entry *by_port[PORT_NPROTOS][65536];  /* ports_lock */
static struct port_entry *listeners[65536];              /* ports_lock: those of by_port that listen */
static struct port_entry *pairs[PORT_NPROTOS][PAIRS];    /* ports_lock */
static unsigned cursor;                                  /* ports_lock: where the next ephemeral search begins */

/* TIME_WAIT entries in order of expiry. */
struct time_wait {
	struct port_entry e;
	struct list node;
};
static struct list waits = LIST_INIT(waits); /* ports_lock */
static unsigned nwaits;                      /* ports_lock */

/* --- chains --------------------------------------------------------------------------------------------- */

static void chain_port(struct port_entry *e, uint16_t port)
{
	struct port_entry **head = &by_port[e->proto][port];

	e->port = port;
	e->next = *head;
	if (e->next)
		e->next->pprev = &e->next;
	e->pprev = head;
	*head = e;
}

static void unchain_port(struct port_entry *e)
{
	if (!e->pprev)
		return;
	*e->pprev = e->next;
	if (e->next)
		e->next->pprev = e->pprev;
	e->next = NULL;
	e->pprev = NULL;
}

static unsigned pair_hash(const struct in6_addr *local, uint16_t port, const struct in6_addr *remote, uint16_t rport)
{
	uint64_t h = (uint64_t)port << 16 | rport;

	for (int i = 0; i < 4; i++)
		h = (h ^ local->s6_addr32[i] ^ (uint64_t)remote->s6_addr32[i] << 32) * 0x9e3779b97f4a7c15u;
	return (unsigned)(h >> 40) % PAIRS;
}

static void chain_pair(struct port_entry *e)
{
	struct port_entry **head = &pairs[e->proto][pair_hash(&e->local, e->port, &e->remote, e->rport)];

	e->cnext = *head;
	if (e->cnext)
		e->cnext->cpprev = &e->cnext;
	e->cpprev = head;
	*head = e;
}

static void unchain_pair(struct port_entry *e)
{
	if (!e->cpprev)
		return;
	*e->cpprev = e->cnext;
	if (e->cnext)
		e->cnext->cpprev = e->cpprev;
	e->cnext = NULL;
	e->cpprev = NULL;
}

static struct port_entry *find_pair(enum port_proto proto, const struct in6_addr *local, uint16_t port,
				    const struct in6_addr *remote, uint16_t rport)
{
	struct port_entry *e = pairs[proto][pair_hash(local, port, remote, rport)];

	while (e && !(e->port == port && e->rport == rport && addr_eq(&e->local, local) && addr_eq(&e->remote, remote)))
		e = e->cnext;
	return e;
}

/* What the program says now, or said when the connection went into TIME_WAIT. */
static bool reuse(const struct port_entry *e)
{
	return e->sock ? e->sock->sock.opt.reuseaddr : e->reuse;
}

static bool reuseport(const struct port_entry *e)
{
	return e->sock ? e->sock->sock.opt.reuseport : e->reuseport;
}

static int device(const struct port_entry *e)
{
	return e->sock ? e->sock->sock.opt.bound_if : e->ifindex;
}

/* --- TIME_WAIT -------------------------------------------------------------------------------------------- */

static void drop_wait(struct time_wait *w)
{
	unchain_port(&w->e);
	unchain_pair(&w->e);
	list_del(&w->node);
	nwaits--;
	free(w);
}

static void expire_waits(void)
{
	int64_t now = clock_now(CLOCK_MONOTONIC);

	while (!list_empty(&waits)) {
		struct time_wait *w = list_first(&waits, struct time_wait, node);

		if (w->e.expires > now && nwaits <= MAX_TIME_WAIT)
			return;
		drop_wait(w);
	}
}

void ports_time_wait(struct port_entry *e, uint8_t tw_state, bool keep)
{
	struct time_wait *w = malloc(sizeof(*w));

	mutex_lock(&ports_lock);
	if (w && e->pprev && e->cpprev) {
		w->e = *e;
		w->e.reuse = reuse(e);
		w->e.reuseport = reuseport(e);
		w->e.ifindex = device(e);
		w->e.sock = NULL;
		w->e.listening = false;
		w->e.tw_state = tw_state;
		w->e.expires = clock_now(CLOCK_MONOTONIC) + TIME_WAIT_NS;
		w->e.next = NULL;
		unchain_pair(e);
		chain_port(&w->e, w->e.port);
		chain_pair(&w->e);
		list_add_tail(&waits, &w->node);
		nwaits++;
		w = NULL;
		expire_waits();
	}
	unchain_pair(e);
	if (!keep)
		unchain_port(e);
	mutex_unlock(&ports_lock);
	free(w);
}

/* --- who conflicts with whom -------------------------------------------------------------------------------- */

/* inet_rcv_saddr_equal() with wildcards: could both receive the same datagram? */
static bool overlap(const struct port_entry *a, const struct in6_addr *a_local, const struct port_entry *b)
{
	bool a_any = addr_is_any(a_local), b_any = addr_is_any(&b->local);
	bool a4 = addr_is_v4(a_local), b4 = addr_is_v4(&b->local);

	if (a4 && b4)
		return a_any || b_any || addr_eq(a_local, &b->local);
	if (!a4 && !b4)
		return a_any || b_any || addr_eq(a_local, &b->local);
	/* One of each: only an IPv6 wildcard that takes IPv4 meets the other. */
	return a4 ? b_any && !b->v6only : a_any && !a->v6only;
}

static bool same_device(const struct port_entry *a, const struct port_entry *b)
{
	int x = device(a), y = device(b);

	return !x || !y || x == y;
}

static bool same_owner(const struct port_entry *a, const struct port_entry *b)
{
	return !a->sock || !b->sock || a->sock->sock.uid == b->sock->sock.uid;
}

/* relax: the program named the port. */
static bool conflict_tcp(const struct port_entry *a, const struct in6_addr *local, const struct port_entry *b, bool relax)
{
	if (!same_device(a, b) || !overlap(a, local, b))
		return false;
	if (reuse(a) && reuse(b) && !b->listening)
		return !relax;
	return !(reuseport(a) && reuseport(b) && same_owner(a, b));
}

static bool conflict_udp(const struct port_entry *a, const struct in6_addr *local, const struct port_entry *b)
{
	if (!same_device(a, b) || !overlap(a, local, b) || (reuse(a) && reuse(b)))
		return false;
	return !(reuseport(a) && reuseport(b) && same_owner(a, b));
}

static bool taken(const struct port_entry *a, const struct in6_addr *local, uint16_t port, bool relax)
{
	for (const struct port_entry *b = by_port[a->proto][port]; b; b = b->next)
		if (b != a && (a->proto == PORT_TCP ? conflict_tcp(a, local, b, relax) : conflict_udp(a, local, b)))
			return true;
	return false;
}

/* A port of the ephemeral range that fits; 0: none. */
static uint16_t choose(const struct port_entry *e, const struct in6_addr *local,
		       bool (*fits)(const struct port_entry *, const struct in6_addr *, uint16_t, const struct endpoint *),
		       const struct endpoint *remote)
{
	const unsigned n = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1;

	if (!cursor && getrandom(&cursor, sizeof(cursor), GRND_NONBLOCK) < 0)
		cursor = 1;
	for (unsigned i = 0; i < n; i++) {
		uint16_t port = (uint16_t)(EPHEMERAL_FIRST + (cursor + i * 2 + (i * 2 >= n)) % n);

		if (fits(e, local, port, remote)) {
			cursor = port - EPHEMERAL_FIRST + 2u; /* among the ports of one kind, odd or even, until they are used up */
			return port;
		}
	}
	return 0;
}

static uint64_t arrivals; /* ports_lock: port_entry.since */

static bool fits_bind(const struct port_entry *e, const struct in6_addr *local, uint16_t port, const struct endpoint *remote)
{
	(void)remote;
	return !taken(e, local, port, false);
}

/* Free, or used only by connections whose port was chosen for them, none of them this pair. */
static bool fits_connect(const struct port_entry *e, const struct in6_addr *local, uint16_t port, const struct endpoint *remote)
{
	if (e->proto != PORT_TCP)
		return !taken(e, local, port, false);
	for (const struct port_entry *b = by_port[e->proto][port]; b; b = b->next)
		if (!b->by_connect)
			return false;
	struct port_entry *same = find_pair(e->proto, local, port, &remote->ip, remote->port);

	return !same || !same->sock; /* TIME_WAIT to a local place is over for the next connection */
}

/* --- taking and leaving ----------------------------------------------------------------------------------------- */

void ports_init_entry(struct port_entry *e, struct inet_sock *sock, enum port_proto proto, int family)
{
	*e = (struct port_entry){ .sock = sock, .proto = proto, .family = family };
	e->local = family == AF_INET ? addr_any4 : addr_any6;
}

int ports_bind(struct port_entry *e, const struct in6_addr *local, uint16_t port)
{
	int r = 0;

	mutex_lock(&ports_lock);
	expire_waits();
	if (!port)
		port = choose(e, local, fits_bind, NULL);
	else if (taken(e, local, port, true))
		port = 0;
	if (port) {
		e->local = *local;
		e->by_connect = false;
		e->since = ++arrivals;
		chain_port(e, port);
	} else {
		r = -EADDRINUSE;
	}
	mutex_unlock(&ports_lock);
	return r;
}

int ports_listen(struct port_entry *e)
{
	int r = 0;

	mutex_lock(&ports_lock);
	expire_waits();
	e->listening = true;
	if (taken(e, &e->local, e->port, true)) {
		e->listening = false;
		r = -EADDRINUSE;
	} else {
		e->since = ++arrivals;
		e->lnext = listeners[e->port];
		listeners[e->port] = e;
	}
	mutex_unlock(&ports_lock);
	return r;
}

static bool same_group(const struct port_entry *a, const struct port_entry *b)
{
	return a->sock && b->sock && a->family == b->family && a->v6only == b->v6only && device(a) == device(b) && reuseport(a) &&
	       reuseport(b) && same_owner(a, b) && addr_eq(&a->local, &b->local) && !b->cpprev;
}

unsigned ports_group(const struct port_entry *e, struct port_entry **ret, unsigned max)
{
	bool tcp = e->proto == PORT_TCP;
	unsigned n = 0, at;

	if (!e->pprev)
		return 0;
	for (struct port_entry *m = tcp ? listeners[e->port] : by_port[e->proto][e->port]; m && n < max; m = tcp ? m->lnext : m->next) {
		if (!same_group(e, m))
			continue;
		for (at = n++; at && ret[at - 1]->since > m->since; at--)
			ret[at] = ret[at - 1];
		ret[at] = m;
	}
	return n;
}

/* In the place of who leaves comes the last one, for programs that count (reuseport_detach_sock()). */
static void leave_group(const struct port_entry *e) REQUIRES(ports_lock)
{
	struct port_entry *group[256];
	unsigned n;

	if (!e->sock || !e->sock->chooser)
		return;
	n = ports_group(e, group, ARRAY_SIZE(group));
	if (n)
		group[n - 1]->since = e->since;
}

static void stop_listening(struct port_entry *e) REQUIRES(ports_lock)
{
	if (!e->listening)
		return;
	leave_group(e);
	e->listening = false;
	for (struct port_entry **p = &listeners[e->port]; *p; p = &(*p)->lnext)
		if (*p == e) {
			*p = e->lnext;
			break;
		}
}

void ports_unlisten(struct port_entry *e)
{
	mutex_lock(&ports_lock);
	stop_listening(e);
	mutex_unlock(&ports_lock);
}

static void drop_same_wait(const struct port_entry *e)
{
	struct port_entry *w = find_pair(e->proto, &e->local, e->port, &e->remote, e->rport);

	if (w && !w->sock)
		drop_wait(container_of(w, struct time_wait, e));
}

static bool pair_exists(const struct port_entry *e, const struct in6_addr *local, uint16_t port, const struct endpoint *remote)
{
	struct port_entry *same = find_pair(e->proto, local, port, &remote->ip, remote->port);

	return same && same->sock && same != e;
}

int ports_connect(struct port_entry *e, const struct in6_addr *local, const struct endpoint *remote)
{
	int r = 0;

	mutex_lock(&ports_lock);
	expire_waits();
	unchain_pair(e);
	if (!e->pprev) {
		uint16_t port = choose(e, local, fits_connect, remote);

		if (port) {
			e->by_connect = true;
			chain_port(e, port);
		} else {
			r = e->proto == PORT_TCP ? -EADDRNOTAVAIL : -EAGAIN;
		}
	} else if (e->proto == PORT_TCP && pair_exists(e, local, e->port, remote)) {
		r = -EADDRNOTAVAIL;
	}
	if (r == 0) {
		e->local = *local;
		e->remote = remote->ip;
		e->rport = remote->port;
		drop_same_wait(e);
		chain_pair(e);
	}
	mutex_unlock(&ports_lock);
	return r;
}

int ports_accept(struct port_entry *e, const struct port_entry *l, const struct endpoint *local, const struct endpoint *remote)
{
	int r = 0;

	mutex_lock(&ports_lock);
	if (pair_exists(e, &local->ip, local->port, remote)) {
		r = -EADDRINUSE;
	} else {
		e->v6only = l->v6only;
		e->local = local->ip;
		e->remote = remote->ip;
		e->rport = remote->port;
		e->port = local->port;
		drop_same_wait(e);
		chain_port(e, e->port);
		chain_pair(e);
	}
	mutex_unlock(&ports_lock);
	return r;
}

void ports_disconnect(struct port_entry *e, const struct in6_addr *local)
{
	mutex_lock(&ports_lock);
	unchain_pair(e);
	e->local = *local;
	e->remote = addr_any6;
	e->rport = 0;
	mutex_unlock(&ports_lock);
}

void ports_release(struct port_entry *e)
{
	mutex_lock(&ports_lock);
	stop_listening(e);
	if (e->proto != PORT_TCP)
		leave_group(e);
	unchain_pair(e);
	unchain_port(e);
	mutex_unlock(&ports_lock);
}

void ports_wait_both(enum port_proto proto, const struct endpoint *local, const struct endpoint *remote)
{
	struct port_entry *w;

	mutex_lock(&ports_lock);
	w = find_pair(proto, &local->ip, local->port, &remote->ip, remote->port);
	if (w && !w->sock) {
		struct time_wait *tw = container_of(w, struct time_wait, e);

		w->tw_state = TCP_TIME_WAIT;
		w->expires = clock_now(CLOCK_MONOTONIC) + TIME_WAIT_NS;
		list_del(&tw->node);
		list_add_tail(&waits, &tw->node);
	}
	mutex_unlock(&ports_lock);
}

/* --- receivers ----------------------------------------------------------------------------------------------------- */

/* How well e fits as receiver; -1: not at all. Exact address, device and peer count, as compute_score() does. */
static int score(const struct port_entry *e, const struct endpoint *to, const struct endpoint *from, int ifindex)
{
	bool v4 = addr_is_v4(&to->ip);
	int s = 1, dev = device(e);

	if (dev && dev != ifindex)
		return -1;
	if (v4 && e->family == AF_INET6 && (e->v6only || (!addr_is_v4(&e->local) && !addr_is_any(&e->local))))
		return -1;
	if (!v4 && e->family == AF_INET)
		return -1;
	if (!addr_is_any(&e->local)) {
		if (!addr_eq(&e->local, &to->ip))
			return -1;
		s += 4;
	} else if (addr_is_v4(&e->local) && !v4) {
		return -1;
	}
	if (e->cpprev) {
		if (e->rport != from->port || !addr_eq(&e->remote, &from->ip))
			return -1;
		s += 8;
	}
	if (dev)
		s += 2;
	if (v4 && e->family == AF_INET)
		s += 1;
	return s;
}

static struct inet_sock *hold(struct port_entry *e)
{
	sock_get(&e->sock->sock); /* in the tables: its file is still there */
	return e->sock;
}

/* The best of a chain; of equal ones with SO_REUSEPORT one by the hash of the sender, else the first. */
static struct inet_sock *best(enum port_proto proto, const struct endpoint *to, const struct endpoint *from,
			      int ifindex)
{
	unsigned h = pair_hash(&to->ip, to->port, &from->ip, from->port) * 2654435761u, nth = 0;
	bool tcp = proto == PORT_TCP;
	struct port_entry *found = NULL;
	int found_score = 0;

	for (struct port_entry *e = tcp ? listeners[to->port] : by_port[proto][to->port]; e; e = tcp ? e->lnext : e->next) {
		int s = score(e, to, from, ifindex);

		if (s < 0 || s < found_score)
			continue;
		if (s > found_score) {
			found = e;
			found_score = s;
			nth = 1;
		} else if (reuseport(e) && reuseport(found)) {
			nth++;
			if (((uint64_t)h * nth) >> 32 == 0)
				found = e;
			h = h * 1664525u + 1013904223u;
		}
	}
	return found ? hold(found) : NULL;
}

struct inet_sock *ports_find_listener(const struct endpoint *to, const struct endpoint *from, int ifindex)
{
	struct inet_sock *s;

	mutex_lock(&ports_lock);
	s = best(PORT_TCP, to, from, ifindex);
	mutex_unlock(&ports_lock);
	return s;
}

struct inet_sock *ports_find_udp(enum port_proto proto, const struct endpoint *to, const struct endpoint *from, int ifindex)
{
	struct inet_sock *s;

	mutex_lock(&ports_lock);
	s = best(proto, to, from, ifindex);
	mutex_unlock(&ports_lock);
	return s;
}

unsigned ports_find_udp_group(enum port_proto proto, const struct endpoint *to, const struct endpoint *from, int ifindex,
			      unsigned *at, struct inet_sock **ret, unsigned max)
{
	unsigned n = 0, i = 0;

	mutex_lock(&ports_lock);
	for (struct port_entry *e = by_port[proto][to->port]; e && n < max; e = e->next, i++) {
		if (i < *at)
			continue;
		*at = i + 1;
		if (score(e, to, from, ifindex) > 0)
			ret[n++] = hold(e);
	}
	mutex_unlock(&ports_lock);
	return n;
}

void ports_each(enum port_proto proto, void (*fn)(const struct port_entry *e, void *arg), void *arg)
{
	mutex_lock(&ports_lock);
	expire_waits();
	for (unsigned p = 0; p < 65536; p++)
		for (const struct port_entry *e = by_port[proto][p]; e; e = e->next)
			fn(e, arg);
	mutex_unlock(&ports_lock);
}
