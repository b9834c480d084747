/* SPDX-License-Identifier: MIT */
/* Lists of Internet sockets: inet_list.h has the contract. */
#include "emul/net/inet_list.h"

#include <stdlib.h>

#include "emul/net/dgram.h"
#include "emul/net/inet_tcp.h"

static void collect(const struct port_entry *e, void *arg)
{
	struct inet_list *c = arg;

	if (c->family && e->family != c->family)
		return;
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 64;
		struct inet_line *l = realloc(c->line, cap * sizeof(*l));

		if (!l)
			return;
		c->line = l;
		c->cap = cap;
	}
	c->line[c->n++] = (struct inet_line){ .sock = e->sock, .e = *e };
	if (e->sock)
		sock_get(&e->sock->sock);
}

void inet_list_make(struct inet_list *l, enum port_proto proto, int family)
{
	*l = (struct inet_list){ .family = family };
	ports_each(proto, collect, l);
}

void inet_list_free(struct inet_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->line[i].sock)
			sock_put(&l->line[i].sock->sock);
	free(l->line);
}

static void tcp_facts(struct inet_sock *i, struct inet_facts *f)
{
	struct inet_tcp *t = container_of(i, struct inet_tcp, inet);

	f->state = t->state;
	if (t->state == TCP_LISTEN) {
		f->rx = t->naccepted;
		f->tx = (unsigned)t->backlog;
	} else {
		f->tx = (unsigned)inet_tcp_outq(t);
		f->rx = (unsigned)inet_tcp_inq(t);
	}
}

static void udp_facts(struct inet_sock *i, struct inet_facts *f)
{
	struct dgram_sock *d = container_of(i, struct dgram_sock, inet);

	f->state = d->connected ? TCP_ESTABLISHED : TCP_CLOSE;
	f->rx = (unsigned)d->rq_bytes;
	f->drops = d->drops;
}

void inet_list_look(const struct inet_line *l, struct inet_facts *f)
{
	struct inet_sock *i = l->sock;

	*f = (struct inet_facts){ .local = { .ip = l->e.local, .port = l->e.port }, .remote = { .ip = l->e.remote, .port = l->e.rport },
			     .state = l->e.tw_state, .refs = 1 };
	if (!l->e.cpprev)
		f->remote.ip = l->e.family == AF_INET ? addr_any4 : addr_any6;
	if (!i) {
		f->refs = 3;
		return;
	}
	f->uid = i->sock.uid;
	f->inode = i->sock.file.anon_ino;
	inet_lock(i);
	f->shutdown = i->sock.shutdown;
	f->port_given = i->port_given;
	if (l->e.proto == PORT_TCP)
		tcp_facts(i, f);
	else
		udp_facts(i, f);
	inet_unlock(i);
}

