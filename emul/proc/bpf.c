/* SPDX-License-Identifier: MIT */
/*
 * Checking and running classic BPF. There are no jumps back, so every program ends; each is made safe once, before it runs:
 * no jump leaves it, no word of its memory is read before it was written. Filters of calls load only from the call's data, which the check
 * sees to; those of packets may ask for anything, and end where it is not there.
 */
#include "emul/proc/bpf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h> /* host syscalls: getrandom */

#include "emul/base/types.h"

/* seccomp_check_filter(): what a filter may consist of, loads aside. */
static bool opcode_allowed(unsigned code)
{
	switch (code) {
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
	case BPF_ALU | BPF_ADD | BPF_K:
	case BPF_ALU | BPF_ADD | BPF_X:
	case BPF_ALU | BPF_SUB | BPF_K:
	case BPF_ALU | BPF_SUB | BPF_X:
	case BPF_ALU | BPF_MUL | BPF_K:
	case BPF_ALU | BPF_MUL | BPF_X:
	case BPF_ALU | BPF_DIV | BPF_K:
	case BPF_ALU | BPF_DIV | BPF_X:
	case BPF_ALU | BPF_AND | BPF_K:
	case BPF_ALU | BPF_AND | BPF_X:
	case BPF_ALU | BPF_OR | BPF_K:
	case BPF_ALU | BPF_OR | BPF_X:
	case BPF_ALU | BPF_XOR | BPF_K:
	case BPF_ALU | BPF_XOR | BPF_X:
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_LSH | BPF_X:
	case BPF_ALU | BPF_RSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_X:
	case BPF_ALU | BPF_NEG:
	case BPF_LD | BPF_W | BPF_ABS:
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
	case BPF_JMP | BPF_JA:
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JEQ | BPF_X:
	case BPF_JMP | BPF_JGE | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_X:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_X:
	case BPF_JMP | BPF_JSET | BPF_K:
	case BPF_JMP | BPF_JSET | BPF_X:
		return true;
	default:
		return false;
	}
}

/* chk_code_allowed(): and what packets have beyond calls. */
static bool packet_opcode_allowed(unsigned code)
{
	switch (code) {
	case BPF_ALU | BPF_MOD | BPF_K:
	case BPF_ALU | BPF_MOD | BPF_X:
	case BPF_LD | BPF_H | BPF_ABS:
	case BPF_LD | BPF_B | BPF_ABS:
	case BPF_LD | BPF_W | BPF_IND:
	case BPF_LD | BPF_H | BPF_IND:
	case BPF_LD | BPF_B | BPF_IND:
	case BPF_LDX | BPF_B | BPF_MSH:
		return true;
	default:
		return opcode_allowed(code);
	}
}

static bool is_jump(const struct sock_filter *i) { return BPF_CLASS(i->code) == BPF_JMP; }
static bool is_goto(const struct sock_filter *i) { return i->code == (BPF_JMP | BPF_JA); }

/* bpf_check_classic(): operands. left: instructions after this one. */
static bool operand_allowed(const struct sock_filter *i, unsigned left)
{
	switch (i->code) {
	case BPF_ALU | BPF_DIV | BPF_K:
	case BPF_ALU | BPF_MOD | BPF_K:
		return i->k != 0;
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_K:
		return i->k < 32;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		return i->k < BPF_MEMWORDS;
	default:
		break;
	}
	if (is_goto(i))
		return i->k < left;
	return !is_jump(i) || (i->jt < left && i->jf < left);
}

/*
 * check_load_and_stores(): a word is readable where every way leads over a store to it. valid: at this instruction;
 * at[i]: what all jumps to i that were seen so far agree on.
 */
static int check_memory(const struct sock_filter *f, unsigned len)
{
	uint16_t *at = malloc(len * sizeof(*at)), valid = 0;
	int r = 0;

	if (!at)
		return -ENOMEM;
	memset(at, 0xff, len * sizeof(*at));
	for (unsigned i = 0; i < len && r == 0; i++) {
		valid &= at[i];
		switch (f[i].code) {
		case BPF_ST:
		case BPF_STX:
			valid |= (uint16_t)(1u << f[i].k);
			break;
		case BPF_LD | BPF_MEM:
		case BPF_LDX | BPF_MEM:
			if (!(valid & 1u << f[i].k))
				r = -EINVAL;
			break;
		case BPF_JMP | BPF_JA:
			at[i + 1 + f[i].k] &= valid;
			valid = 0xffff;
			break;
		default:
			if (!is_jump(&f[i]))
				break;
			at[i + 1 + f[i].jt] &= valid;
			at[i + 1 + f[i].jf] &= valid;
			valid = 0xffff;
			break;
		}
	}
	free(at);
	return r;
}

static bool call_insn_allowed(const struct sock_filter *i)
{
	if (i->code == (BPF_LD | BPF_W | BPF_ABS))
		return i->k < sizeof(struct seccomp_data) && !(i->k & 3);
	return opcode_allowed(i->code);
}

static bool is_load_abs(const struct sock_filter *i)
{
	return BPF_CLASS(i->code) == BPF_LD && BPF_MODE(i->code) == BPF_ABS;
}

/* Of what is beside the packet, what there is: bpf_anc_helper(). */
static bool packet_insn_allowed(const struct sock_filter *i)
{
	uint32_t what = i->k - (uint32_t)SKF_AD_OFF;

	return packet_opcode_allowed(i->code) && (!is_load_abs(i) || i->k < (uint32_t)SKF_AD_OFF || (what < SKF_AD_MAX && !(what & 3)));
}

static int check(const struct sock_filter *f, unsigned len, bool (*allowed)(const struct sock_filter *i))
{
	if (!len || len > BPF_MAXINSNS)
		return -EINVAL;
	for (unsigned i = 0; i < len; i++)
		if (!allowed(&f[i]) || !operand_allowed(&f[i], len - i - 1))
			return -EINVAL;
	if (BPF_CLASS(f[len - 1].code) != BPF_RET)
		return -EINVAL;
	return check_memory(f, len);
}

int bpf_check(const struct sock_filter *f, unsigned len)
{
	return check(f, len, call_insn_allowed);
}

int bpf_check_packet(const struct sock_filter *f, unsigned len)
{
	return check(f, len, packet_insn_allowed);
}

/* Shifts by a register count modulo 32. */
static uint32_t alu(unsigned op, uint32_t a, uint32_t v)
{
	switch (op) {
	case BPF_ADD: return a + v;
	case BPF_SUB: return a - v;
	case BPF_MUL: return a * v;
	case BPF_DIV: return a / v;
	case BPF_MOD: return a % v;
	case BPF_AND: return a & v;
	case BPF_OR: return a | v;
	case BPF_XOR: return a ^ v;
	case BPF_LSH: return a << (v & 31);
	case BPF_RSH: return a >> (v & 31);
	default: return -a; /* BPF_NEG */
	}
}

static bool jump_taken(unsigned op, uint32_t a, uint32_t v)
{
	switch (op) {
	case BPF_JEQ: return a == v;
	case BPF_JGT: return a > v;
	case BPF_JGE: return a >= v;
	default: return a & v; /* BPF_JSET */
	}
}

/* --- running ---------------------------------------------------------------------------------------------------- */

/* What ABS, IND and MSH load at an instruction, with the registers as they are. false: it is not there, and the filter ends. */
typedef bool load_fn(const void *ctx, const struct sock_filter *i, uint32_t a, uint32_t x, uint32_t *ret);

static inline __attribute__((always_inline)) uint32_t run(const struct sock_filter *f, load_fn *load, const void *ctx, uint32_t len)
{
	uint32_t a = 0, x = 0, mem[BPF_MEMWORDS] = { 0 };

	for (;; f++) {
		uint32_t v = BPF_SRC(f->code) == BPF_X ? x : f->k;
		bool div = BPF_OP(f->code) == BPF_DIV || BPF_OP(f->code) == BPF_MOD;

		switch (BPF_CLASS(f->code)) {
		case BPF_RET:
			return BPF_RVAL(f->code) == BPF_A ? a : f->k;
		case BPF_ALU:
			if (div && !v)
				return 0;
			a = alu(BPF_OP(f->code), a, v);
			break;
		case BPF_JMP:
			f += BPF_OP(f->code) == BPF_JA ? f->k : jump_taken(BPF_OP(f->code), a, v) ? f->jt : f->jf;
			break;
		case BPF_LD:
		case BPF_LDX:
			if (BPF_MODE(f->code) == BPF_MEM)
				v = mem[f->k];
			else if (BPF_MODE(f->code) == BPF_LEN)
				v = len;
			else if (BPF_MODE(f->code) == BPF_IMM)
				v = f->k;
			else if (!load(ctx, f, a, x, &v))
				return 0;
			*(BPF_CLASS(f->code) == BPF_LD ? &a : &x) = v;
			break;
		case BPF_ST:
			mem[f->k] = a;
			break;
		case BPF_STX:
			mem[f->k] = x;
			break;
		default: /* BPF_MISC */
			if (BPF_MISCOP(f->code) == BPF_TAX)
				x = a;
			else
				a = x;
			break;
		}
	}
}

static bool load_call(const void *ctx, const struct sock_filter *i, uint32_t a, uint32_t x, uint32_t *ret)
{
	memcpy(ret, (const char *)ctx + i->k, sizeof(*ret));
	return true;
}

uint32_t bpf_run(const struct sock_filter *f, const struct seccomp_data *d)
{
	return run(f, load_call, d, sizeof(*d));
}

/* --- packets ---------------------------------------------------------------------------------------------------- */

/* Where in p's bytes offset k is; -1: nowhere. bpf_internal_load_pointer_neg_helper(). */
static int64_t place(const struct bpf_packet *p, uint32_t k)
{
	int64_t off = (int32_t)k;

	if (off >= 0)
		return (int64_t)p->data + off;
	if (off >= SKF_NET_OFF)
		return p->net < 0 ? -1 : p->net + off - SKF_NET_OFF;
	if (off >= SKF_LL_OFF)
		return p->link < 0 ? -1 : p->link + off - SKF_LL_OFF;
	return -1;
}

/* size bytes at offset k, as the network orders them. */
static bool load_bytes(const struct bpf_packet *p, uint32_t k, unsigned size, uint32_t *ret)
{
	int64_t at = place(p, k);

	if (at < 0 || (uint64_t)at + size > p->len)
		return false;
	*ret = 0;
	for (unsigned i = 0; i < size; i++)
		*ret = *ret << 8 | p->bytes[at + i];
	return true;
}

/* nla_find() in len bytes at offset off of the packet: the attribute's offset; 0: there is none. */
static uint32_t find_attr(const struct bpf_packet *p, uint64_t off, uint64_t len, uint32_t type)
{
	struct nlattr n;

	while (len >= sizeof(n)) {
		memcpy(&n, p->bytes + p->data + off, sizeof(n));
		if (n.nla_len < sizeof(n) || n.nla_len > len)
			break;
		if ((n.nla_type & NLA_TYPE_MASK) == (type & 0xffff) && type <= UINT16_MAX)
			return (uint32_t)off;
		if ((uint64_t)NLA_ALIGN(n.nla_len) >= len)
			break;
		off += NLA_ALIGN(n.nla_len);
		len -= NLA_ALIGN(n.nla_len);
	}
	return 0;
}

/* SKF_AD_NLATTR, SKF_AD_NLATTR_NEST: the attribute of type x in those at a, or in the one at a. */
static uint32_t load_attr(const struct bpf_packet *p, bool nested, uint32_t a, uint32_t x)
{
	uint64_t len = p->len - p->data;
	struct nlattr n;

	if (len < sizeof(n) || a > len - sizeof(n))
		return 0;
	if (!nested)
		return find_attr(p, a, len - a, x);
	memcpy(&n, p->bytes + p->data + a, sizeof(n));
	if (n.nla_len > len - a || n.nla_len < sizeof(n))
		return 0;
	return find_attr(p, a + sizeof(n), n.nla_len - sizeof(n), x);
}

/* __skb_get_poff(): where the data begin, as an offset of the filter's. */
static uint32_t payload_offset(const struct bpf_packet *p)
{
	uint32_t at;

	if (p->transport < 0 || (size_t)p->transport < p->data)
		return 0;
	at = (uint32_t)(p->transport - (int)p->data);
	switch (p->ip_protocol) {
	case IPPROTO_TCP:
		if ((size_t)p->transport + 13 > p->len)
			return at;
		return at + (p->bytes[p->transport + 12] >> 4) * 4u;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return at + 8;
	default:
		return at;
	}
}

/* What is beside the packet. Of VLANs, queues and hashes there are none here. */
static bool load_beside(const struct bpf_packet *p, unsigned what, uint32_t a, uint32_t x, uint32_t *ret)
{
	*ret = 0;
	switch (what) {
	case SKF_AD_PROTOCOL: *ret = p->protocol; return true;
	case SKF_AD_PKTTYPE: *ret = p->type; return true;
	case SKF_AD_IFINDEX: *ret = (uint32_t)p->ifindex; return p->ifindex;
	case SKF_AD_HATYPE: *ret = p->hatype; return p->ifindex;
	case SKF_AD_NLATTR:
	case SKF_AD_NLATTR_NEST: *ret = load_attr(p, what == SKF_AD_NLATTR_NEST, a, x); return true;
	case SKF_AD_MARK: *ret = p->mark; return true;
	case SKF_AD_CPU: *ret = (uint32_t)MAX(sched_getcpu(), 0); return true;
	case SKF_AD_ALU_XOR_X: *ret = a ^ x; return true;
	case SKF_AD_PAY_OFFSET: *ret = payload_offset(p); return true;
	case SKF_AD_RANDOM: return getrandom(ret, sizeof(*ret), GRND_NONBLOCK) == sizeof(*ret);
	default: return true;
	}
}

static bool load_packet(const void *ctx, const struct sock_filter *i, uint32_t a, uint32_t x, uint32_t *ret)
{
	const struct bpf_packet *p = ctx;
	unsigned size = BPF_SIZE(i->code) == BPF_W ? 4 : BPF_SIZE(i->code) == BPF_H ? 2 : 1;

	if (BPF_MODE(i->code) == BPF_IND)
		return load_bytes(p, i->k + x, size, ret);
	if (BPF_MODE(i->code) == BPF_MSH) { /* the length of an IP header */
		if (!load_bytes(p, i->k, 1, ret))
			return false;
		*ret = (*ret & 0xf) << 2;
		return true;
	}
	if (i->k >= (uint32_t)SKF_AD_OFF)
		return load_beside(p, i->k - (uint32_t)SKF_AD_OFF, a, x, ret);
	return load_bytes(p, i->k, size, ret);
}

uint32_t bpf_run_packet(const struct sock_filter *f, const struct bpf_packet *p)
{
	return run(f, load_packet, p, (uint32_t)(p->len - p->data));
}
