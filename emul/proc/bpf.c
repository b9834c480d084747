/* SPDX-License-Identifier: MIT */
/*
 * Checking and running classic BPF. There are no jumps back, so every program ends; each is made safe once, before it runs:
 * no jump leaves it, no word of its memory is read before it was written, it loads only from the call's data.
 */
#include "emul/proc/bpf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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

static bool is_jump(const struct sock_filter *i) { return BPF_CLASS(i->code) == BPF_JMP; }
static bool is_goto(const struct sock_filter *i) { return i->code == (BPF_JMP | BPF_JA); }

/* bpf_check_classic(): operands. left: instructions after this one. */
static bool operand_allowed(const struct sock_filter *i, unsigned left)
{
	switch (i->code) {
	case BPF_ALU | BPF_DIV | BPF_K:
		return i->k != 0;
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_K:
		return i->k < 32;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		return i->k < BPF_MEMWORDS;
	case BPF_LD | BPF_W | BPF_ABS:
		return i->k < sizeof(struct seccomp_data) && !(i->k & 3);
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

int bpf_check(const struct sock_filter *f, unsigned len)
{
	if (!len || len > BPF_MAXINSNS)
		return -EINVAL;
	for (unsigned i = 0; i < len; i++)
		if (!opcode_allowed(f[i].code) || !operand_allowed(&f[i], len - i - 1))
			return -EINVAL;
	if (BPF_CLASS(f[len - 1].code) != BPF_RET)
		return -EINVAL;
	return check_memory(f, len);
}

/* Shifts by a register count modulo 32. */
static uint32_t alu(unsigned op, uint32_t a, uint32_t v)
{
	switch (op) {
	case BPF_ADD: return a + v;
	case BPF_SUB: return a - v;
	case BPF_MUL: return a * v;
	case BPF_DIV: return a / v;
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

static uint32_t load(const struct seccomp_data *d, uint32_t off)
{
	uint32_t v;

	memcpy(&v, (const char *)d + off, sizeof(v));
	return v;
}

uint32_t bpf_run(const struct sock_filter *f, const struct seccomp_data *d)
{
	uint32_t a = 0, x = 0, mem[BPF_MEMWORDS] = { 0 };

	for (;; f++) {
		uint32_t v = BPF_SRC(f->code) == BPF_X ? x : f->k;

		switch (BPF_CLASS(f->code)) {
		case BPF_RET:
			return BPF_RVAL(f->code) == BPF_A ? a : f->k;
		case BPF_ALU:
			if (BPF_OP(f->code) == BPF_DIV && !v)
				return 0;
			a = alu(BPF_OP(f->code), a, v);
			break;
		case BPF_JMP:
			f += BPF_OP(f->code) == BPF_JA ? f->k : jump_taken(BPF_OP(f->code), a, v) ? f->jt : f->jf;
			break;
		case BPF_LD:
			a = BPF_MODE(f->code) == BPF_ABS ? load(d, f->k) : BPF_MODE(f->code) == BPF_MEM ? mem[f->k] :
			    BPF_MODE(f->code) == BPF_LEN ? sizeof(*d) : f->k;
			break;
		case BPF_LDX:
			x = BPF_MODE(f->code) == BPF_MEM ? mem[f->k] : BPF_MODE(f->code) == BPF_LEN ? sizeof(*d) : f->k;
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
