/* SPDX-License-Identifier: MIT */
/* Filters of sock_diag: diag_filter.h has the contract. net/ipv4/inet_diag.c is the model. */
#include "emul/net/diag_filter.h"

#include <linux/inet_diag.h>
#include <string.h>

#define OP sizeof(struct inet_diag_bc_op)

/* How long an operation is with its arguments, which must lie within left bytes; 0: they do not, or it is none. */
static size_t op_size(const char *at, size_t left)
{
	struct inet_diag_bc_op op;
	struct inet_diag_hostcond c;
	size_t addr, size = OP;

	memcpy(&op, at, OP);
	switch (op.code) {
	case INET_DIAG_BC_NOP:
	case INET_DIAG_BC_JMP:
	case INET_DIAG_BC_AUTO:
		break;
	case INET_DIAG_BC_S_GE:
	case INET_DIAG_BC_S_LE:
	case INET_DIAG_BC_S_EQ:
	case INET_DIAG_BC_D_GE:
	case INET_DIAG_BC_D_LE:
	case INET_DIAG_BC_D_EQ:
		size += OP; /* the port, in the place of its `no` */
		break;
	case INET_DIAG_BC_S_COND:
	case INET_DIAG_BC_D_COND:
		size += sizeof(c);
		if (left < size)
			return 0;
		memcpy(&c, at + OP, sizeof(c));
		addr = c.family == AF_INET ? 4 : c.family == AF_INET6 ? 16 : 0;
		if ((!addr && c.family != AF_UNSPEC) || c.prefix_len > 8 * addr)
			return 0;
		size += addr;
		break;
	case INET_DIAG_BC_DEV_COND:
		size += sizeof(uint32_t);
		break;
	case INET_DIAG_BC_MARK_COND:
		size += sizeof(struct inet_diag_markcond);
		break;
	default:
		return 0;
	}
	return size <= left ? size : 0;
}

/* A jump by n of an operation of this size: forward, within the code or just behind it. */
static bool jump_ok(size_t n, size_t size, size_t left)
{
	return n >= size && n <= left + OP && n % 4 == 0;
}

bool diag_filter_ok(const void *code, size_t len)
{
	const char *at = code;

	while (len) {
		struct inet_diag_bc_op op;
		size_t size = len >= OP ? op_size(at, len) : 0;

		if (!size)
			return false;
		memcpy(&op, at, OP);
		if (!jump_ok(op.yes, size, len) || (op.code != INET_DIAG_BC_NOP && !jump_ok(op.no, size, len)))
			return false;
		if (op.yes > len)
			return false;
		at += op.yes;
		len -= op.yes;
	}
	return true;
}

static bool prefix_matches(const uint32_t *a, const uint32_t *b, unsigned bits)
{
	unsigned words = bits / 32, rest = bits % 32;

	if (words && memcmp(a, b, words * 4))
		return false;
	return !rest || !((a[words] ^ b[words]) & htonl(~0u << (32 - rest)));
}

static bool host_matches(const char *arg, const struct diag_entry *e, bool source)
{
	const uint32_t *have = source ? e->saddr : e->daddr;
	struct inet_diag_hostcond c;
	uint32_t want[4] = { 0 };

	memcpy(&c, arg, sizeof(c));
	memcpy(want, arg + sizeof(c), c.family == AF_INET ? 4 : c.family == AF_INET6 ? 16 : 0);
	if (c.port != -1 && c.port != (source ? e->sport : e->dport))
		return false;
	if (c.family != AF_UNSPEC && c.family != e->family) {
		if (e->family != AF_INET6 || c.family != AF_INET || have[0] || have[1] || have[2] != htonl(0xffff))
			return false;
		have += 3;
	}
	return prefix_matches(have, want, c.prefix_len);
}

static bool matches(const char *at, const struct diag_entry *e)
{
	struct inet_diag_bc_op op, arg = { 0 };
	struct inet_diag_markcond m;
	uint32_t ifindex;

	memcpy(&op, at, OP);
	if (op.code >= INET_DIAG_BC_S_GE && op.code != INET_DIAG_BC_AUTO)
		memcpy(&arg, at + OP, OP);
	switch (op.code) {
	case INET_DIAG_BC_JMP: return false;
	case INET_DIAG_BC_S_EQ: return e->sport == arg.no;
	case INET_DIAG_BC_S_GE: return e->sport >= arg.no;
	case INET_DIAG_BC_S_LE: return e->sport <= arg.no;
	case INET_DIAG_BC_D_EQ: return e->dport == arg.no;
	case INET_DIAG_BC_D_GE: return e->dport >= arg.no;
	case INET_DIAG_BC_D_LE: return e->dport <= arg.no;
	case INET_DIAG_BC_AUTO: return !e->port_given;
	case INET_DIAG_BC_S_COND: return host_matches(at + OP, e, true);
	case INET_DIAG_BC_D_COND: return host_matches(at + OP, e, false);
	case INET_DIAG_BC_DEV_COND:
		memcpy(&ifindex, at + OP, sizeof(ifindex));
		return (int)ifindex == e->ifindex;
	case INET_DIAG_BC_MARK_COND:
		memcpy(&m, at + OP, sizeof(m));
		return (e->mark & m.mask) == m.mark;
	default: return true;
	}
}

bool diag_filter_run(const void *code, size_t len, const struct diag_entry *e)
{
	const char *at = code;

	/* A jump may lead into the middle of another operation: each one is looked at as if it were the first. */
	while (len >= OP && op_size(at, len)) {
		struct inet_diag_bc_op op;
		size_t step;

		memcpy(&op, at, OP);
		step = matches(at, e) ? op.yes : op.no;
		if (step < OP)
			return false;
		if (step > len)
			return false; /* behind the end: no */
		at += step;
		len -= step;
	}
	return len == 0;
}
