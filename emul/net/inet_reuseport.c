/* SPDX-License-Identifier: MIT */
/* Programs that choose among sockets of one address: inet_reuseport.h has the contract. reuseport_select_sock(), reuseport_attach_prog(). */
#include "emul/net/inet_reuseport.h"

#include <stdlib.h>

#include "emul/net/filter.h"
#include "emul/net/frame.h"

#define GROUP_MAX 256 /* sockets of a group that a program can choose from */
#define UDP_HEADER 8
#define TCP_HEADER 24 /* of a SYN as frame_tcp() makes it */

/* f for all of the group, or none; what they had is dropped outside the lock. */
static unsigned set_all(struct inet_sock *i, struct filter *f, struct filter *old[GROUP_MAX + 1])
{
	struct port_entry *group[GROUP_MAX];
	unsigned n, nold = 0;

	mutex_lock(&ports_lock);
	n = ports_group(&i->port, group, GROUP_MAX);
	for (unsigned k = 0; k < n; k++) {
		struct inet_sock *m = group[k]->sock;

		if (m == i)
			continue;
		if (m->chooser)
			old[nold++] = m->chooser;
		m->chooser = f ? filter_get(f) : NULL;
	}
	if (i->chooser)
		old[nold++] = i->chooser;
	i->chooser = f ? filter_get(f) : NULL;
	mutex_unlock(&ports_lock);
	return nold;
}

int inet_reuseport_attach(struct sock *s, const struct sock_optval *v)
{
	struct filter *f, *old[GROUP_MAX + 1];
	int r = filter_read(s, v, &f);

	if (r < 0)
		return r;
	if (!s->opt.reuseport) {
		filter_put(f);
		return -EINVAL;
	}
	for (unsigned n = set_all(inet_of(s), f, old); n; n--)
		filter_put(old[n - 1]);
	filter_put(f);
	return 0;
}

int inet_reuseport_detach(struct sock *s)
{
	struct filter *old[GROUP_MAX + 1];
	unsigned n;

	if (!s->opt.reuseport)
		return -EINVAL;
	n = set_all(inet_of(s), NULL, old);
	for (unsigned k = n; k; k--)
		filter_put(old[k - 1]);
	return n ? 0 : -ENOENT;
}

/* The group's program; who is new gets it. */
static struct filter *program_of(struct port_entry *const *group, unsigned n) REQUIRES(ports_lock)
{
	struct filter *f = NULL;

	for (unsigned k = 0; k < n && !f; k++)
		f = group[k]->sock->chooser;
	for (unsigned k = 0; k < n && f; k++)
		if (!group[k]->sock->chooser)
			group[k]->sock->chooser = filter_get(f);
	return f;
}

static struct inet_sock *choose(struct inet_sock *found, struct frame *f, size_t header, int ifindex, uint32_t mark)
{
	struct port_entry *group[GROUP_MAX];
	struct inet_sock *chosen = found;
	struct bpf_packet p;
	struct filter *program;
	unsigned n;
	uint32_t which;

	if (!f)
		return found;
	p = frame_packet(f, f->transport + header, ifindex, mark);
	mutex_lock(&ports_lock);
	n = ports_group(&found->port, group, GROUP_MAX);
	program = program_of(group, n);
	which = program ? filter_run(program, &p) : UINT32_MAX;
	if (which < n)
		chosen = group[which]->sock;
	if (chosen != found)
		sock_get(&chosen->sock); /* in the tables: its file is still there */
	mutex_unlock(&ports_lock);
	free(f);
	if (chosen != found)
		sock_put(&found->sock);
	return chosen;
}

/* Whether anybody in the group has a program: the others may not know yet. */
static bool has_program(struct inet_sock *found)
{
	struct port_entry *group[GROUP_MAX];
	bool yes;

	if (!found->sock.opt.reuseport)
		return false;
	mutex_lock(&ports_lock);
	yes = program_of(group, ports_group(&found->port, group, GROUP_MAX));
	mutex_unlock(&ports_lock);
	return yes;
}

struct inet_sock *inet_reuseport_udp(struct inet_sock *found, const struct dgram *g, uint8_t ip_protocol)
{
	if (!found || !has_program(found))
		return found;
	return choose(found, frame_udp(g, ip_protocol), UDP_HEADER, g->ifindex, g->mark);
}

struct inet_sock *inet_reuseport_tcp(struct inet_sock *found, const struct endpoint *to, const struct endpoint *from, int ifindex)
{
	struct frame_tcp syn = { .from = *from, .to = *to, .flags = FRAME_SYN, .ttl = -1 };

	if (!found || !has_program(found))
		return found;
	return choose(found, frame_tcp(&syn, NULL, 0), TCP_HEADER, ifindex, 0);
}
