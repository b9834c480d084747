/* SPDX-License-Identifier: MIT */
/*
 * Classic BPF: what the check lets through and what it refuses, what instructions compute, and that whatever passes the check
 * ends and stays within its own data: random programs under the sanitizers.
 */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>

#include "emul/proc/bpf.h"

#define RET(v) BPF_STMT(BPF_RET | BPF_K, (v))
#define LOAD(off) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (off))
#define CHECK_IS(want, ...)                                                  \
	do {                                                                 \
		const struct sock_filter f_[] = { __VA_ARGS__ };             \
		assert_int_equal(bpf_check(f_, ARRAY_SIZE(f_)), (want));     \
	} while (0)
#define RUN_IS(want, ...)                                                    \
	do {                                                                 \
		const struct sock_filter f_[] = { __VA_ARGS__ };             \
		assert_int_equal(bpf_check(f_, ARRAY_SIZE(f_)), 0);          \
		assert_int_equal(bpf_run(f_, &call), (uint32_t)(want));      \
	} while (0)

static const struct seccomp_data call = {
	.nr = 39, .arch = 0xc000003e, .instruction_pointer = 0x1122334455667788,
	.args = { 1, 2, 3, 4, 5, 0xaabbccdd00112233 },
};

static void ends_are_required(void **state)
{
	CHECK_IS(0, RET(0));
	CHECK_IS(0, BPF_STMT(BPF_RET | BPF_A, 0));
	CHECK_IS(-EINVAL, LOAD(0));
	CHECK_IS(-EINVAL, RET(0), LOAD(0));
	CHECK_IS(-EINVAL, BPF_STMT(BPF_RET | BPF_X, 0));
	assert_int_equal(bpf_check(NULL, 0), -EINVAL);
	assert_int_equal(bpf_check(NULL, BPF_MAXINSNS + 1), -EINVAL);
}

static void jumps_stay_inside(void **state)
{
	CHECK_IS(0, BPF_STMT(BPF_JMP | BPF_JA, 0), RET(0));
	CHECK_IS(0, BPF_STMT(BPF_JMP | BPF_JA, 1), RET(0), RET(1));
	CHECK_IS(-EINVAL, BPF_STMT(BPF_JMP | BPF_JA, 1), RET(0));
	CHECK_IS(-EINVAL, BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX), RET(0));
	CHECK_IS(0, BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 0, 1, 0), RET(0), RET(1));
	CHECK_IS(-EINVAL, BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 0, 2, 0), RET(0), RET(1));
	CHECK_IS(-EINVAL, BPF_JUMP(BPF_JMP | BPF_JSET | BPF_X, 0, 0, 255), RET(0), RET(1));
}

static void loads_are_of_the_call(void **state)
{
	for (unsigned off = 0; off < sizeof(call); off += 4)
		CHECK_IS(0, LOAD(off), RET(0));
	CHECK_IS(-EINVAL, LOAD(sizeof(call)), RET(0));
	CHECK_IS(-EINVAL, LOAD(1), RET(0));
	CHECK_IS(-EINVAL, LOAD((uint32_t)SKF_AD_OFF), RET(0));
	CHECK_IS(-EINVAL, BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), RET(0));
	CHECK_IS(-EINVAL, BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), RET(0));
	CHECK_IS(-EINVAL, BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 2), RET(0));
	CHECK_IS(-EINVAL, BPF_STMT(0x8000, 0), RET(0));
	RUN_IS(39, LOAD(0), BPF_STMT(BPF_RET | BPF_A, 0));
	RUN_IS(0xaabbccdd, LOAD(offsetof(struct seccomp_data, args[5]) + 4), BPF_STMT(BPF_RET | BPF_A, 0));
}

static void memory_is_written_before_it_is_read(void **state)
{
	CHECK_IS(0, BPF_STMT(BPF_ST, 0), BPF_STMT(BPF_LD | BPF_MEM, 0), RET(0));
	CHECK_IS(-EINVAL, BPF_STMT(BPF_ST, 0), BPF_STMT(BPF_LD | BPF_MEM, 1), RET(0));
	CHECK_IS(-EINVAL, BPF_STMT(BPF_ST, BPF_MEMWORDS), RET(0));
	CHECK_IS(-EINVAL, BPF_STMT(BPF_STX, UINT32_MAX), RET(0));
	/* one way writes it, the other does not */
	CHECK_IS(-EINVAL, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), BPF_STMT(BPF_STX, 9), BPF_STMT(BPF_LDX | BPF_MEM, 9), RET(0));
	CHECK_IS(0, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2), BPF_STMT(BPF_STX, 9), BPF_STMT(BPF_JMP | BPF_JA, 1),
		 BPF_STMT(BPF_ST, 9), BPF_STMT(BPF_LDX | BPF_MEM, 9), RET(0));
	/* what cannot be reached may do as it likes */
	CHECK_IS(0, BPF_STMT(BPF_JMP | BPF_JA, 1), BPF_STMT(BPF_LD | BPF_MEM, 3), RET(0));
}

static void instructions_compute(void **state)
{
	const struct sock_filter a7 = BPF_STMT(BPF_LD | BPF_IMM, 7), x3 = BPF_STMT(BPF_LDX | BPF_IMM, 3);
	const struct sock_filter out = BPF_STMT(BPF_RET | BPF_A, 0);

	RUN_IS(10, a7, x3, BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0), out);
	RUN_IS(4, a7, x3, BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0), out);
	RUN_IS(21, a7, x3, BPF_STMT(BPF_ALU | BPF_MUL | BPF_X, 0), out);
	RUN_IS(2, a7, x3, BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), out);
	RUN_IS(3, a7, x3, BPF_STMT(BPF_ALU | BPF_AND | BPF_X, 0), out);
	RUN_IS(7, a7, x3, BPF_STMT(BPF_ALU | BPF_OR | BPF_X, 0), out);
	RUN_IS(4, a7, x3, BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0), out);
	RUN_IS(56, a7, x3, BPF_STMT(BPF_ALU | BPF_LSH | BPF_X, 0), out);
	RUN_IS(0, a7, x3, BPF_STMT(BPF_ALU | BPF_RSH | BPF_X, 0), out);
	RUN_IS(14, a7, BPF_STMT(BPF_LDX | BPF_IMM, 33), BPF_STMT(BPF_ALU | BPF_LSH | BPF_X, 0), out);
	RUN_IS(-7, a7, BPF_STMT(BPF_ALU | BPF_NEG, 0), out);
	RUN_IS(0, a7, BPF_STMT(BPF_LDX | BPF_IMM, 0), BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), RET(5)); /* ends at once */
	RUN_IS(64, BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), out);
	RUN_IS(7, a7, BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_STMT(BPF_LD | BPF_IMM, 0), BPF_STMT(BPF_MISC | BPF_TXA, 0), out);
	RUN_IS(1, a7, BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 7, 0, 1), RET(1), RET(2));
	RUN_IS(2, a7, BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 7, 0, 1), RET(1), RET(2));
	RUN_IS(1, a7, x3, BPF_JUMP(BPF_JMP | BPF_JSET | BPF_X, 0, 0, 1), RET(1), RET(2));
	RUN_IS(2, BPF_STMT(BPF_LD | BPF_IMM, (uint32_t)-1), BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 0, 1, 0), RET(1), RET(2)); /* unsigned */
}

#define PACKET_IS(want, p, ...)                                              \
	do {                                                                 \
		const struct sock_filter f_[] = { __VA_ARGS__ };             \
		assert_int_equal(bpf_check_packet(f_, ARRAY_SIZE(f_)), 0);   \
		assert_int_equal(bpf_run_packet(f_, (p)), (uint32_t)(want)); \
	} while (0)
#define BESIDE(what) LOAD((uint32_t)(SKF_AD_OFF + (what)))

static void packets_are_loaded_from(void **state)
{
	static const uint8_t bytes[] = { 0xaa, 0xbb, 0x45, 1, 2, 3, 0x80, 5, 6, 7 };
	const struct sock_filter out = BPF_STMT(BPF_RET | BPF_A, 0);
	struct bpf_packet p = { .bytes = bytes, .len = sizeof(bytes), .data = 6, .net = 2, .link = 0, .transport = 6,
				.ip_protocol = 17, .protocol = 0x800, .ifindex = 3, .hatype = 772, .mark = 9 };

	PACKET_IS(0x80050607, &p, LOAD(0), out);
	PACKET_IS(0, &p, LOAD(1), RET(7)); /* beyond the end */
	PACKET_IS(4, &p, BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), out);
	PACKET_IS(0x0607, &p, BPF_STMT(BPF_LDX | BPF_IMM, 1), BPF_STMT(BPF_LD | BPF_H | BPF_IND, 1), out);
	PACKET_IS(0x45, &p, BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)SKF_NET_OFF), out);
	PACKET_IS(0x07, &p, BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)SKF_NET_OFF + 7), out);
	PACKET_IS(0, &p, BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)SKF_NET_OFF + 8), RET(7));
	PACKET_IS(0xaabb, &p, BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (uint32_t)SKF_LL_OFF), out);
	PACKET_IS(20, &p, BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, (uint32_t)SKF_NET_OFF), BPF_STMT(BPF_MISC | BPF_TXA, 0), out);
	PACKET_IS(3, &p, BESIDE(SKF_AD_IFINDEX), out);
	PACKET_IS(9, &p, BESIDE(SKF_AD_MARK), out);
	PACKET_IS(8, &p, BESIDE(SKF_AD_PAY_OFFSET), out);
	p.ifindex = 0;
	p.net = -1;
	PACKET_IS(0, &p, BESIDE(SKF_AD_HATYPE), RET(7));
	PACKET_IS(0, &p, BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)SKF_NET_OFF), RET(7));
}

static uint64_t rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* Mostly valid opcodes and small operands, so that a good part passes. */
static struct sock_filter random_insn(uint64_t *s)
{
	static const uint16_t codes[] = {
		BPF_LD | BPF_W | BPF_ABS, BPF_LD | BPF_IMM, BPF_LDX | BPF_IMM, BPF_ST, BPF_STX, BPF_LD | BPF_MEM, BPF_LDX | BPF_MEM,
		BPF_ALU | BPF_ADD | BPF_X, BPF_ALU | BPF_DIV | BPF_X, BPF_ALU | BPF_DIV | BPF_K, BPF_ALU | BPF_LSH | BPF_X,
		BPF_ALU | BPF_LSH | BPF_K, BPF_JMP | BPF_JA, BPF_JMP | BPF_JEQ | BPF_K, BPF_JMP | BPF_JGT | BPF_X,
		BPF_JMP | BPF_JSET | BPF_K, BPF_MISC | BPF_TAX, BPF_MISC | BPF_TXA, BPF_RET | BPF_K, BPF_RET | BPF_A,
	};
	struct sock_filter f = { .code = codes[rnd(s) % ARRAY_SIZE(codes)], .jt = rnd(s) % 4, .jf = rnd(s) % 4,
				 .k = (uint32_t)(rnd(s) % 8) };

	if (rnd(s) % 40 == 0)
		f.code = (uint16_t)rnd(s);
	if (f.code == (BPF_LD | BPF_W | BPF_ABS))
		f.k *= 4;
	return f;
}

static void whatever_passes_is_safe(void **state)
{
	uint64_t s = 88172645463325252;
	unsigned passed = 0;

	for (int i = 0; i < 200000; i++) {
		unsigned len = 1 + (unsigned)(rnd(&s) % 12);
		/* as much memory as the program has: a step beyond it is seen */
		struct sock_filter *exact = malloc(len * sizeof(*exact));

		for (unsigned j = 0; j < len; j++)
			exact[j] = random_insn(&s);
		exact[len - 1].code = BPF_RET | BPF_A;
		if (bpf_check(exact, len) == 0) {
			bpf_run(exact, &call);
			passed++;
		}
		free(exact);
	}
	assert_true(passed > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_are_required),
		cmocka_unit_test(jumps_stay_inside),
		cmocka_unit_test(loads_are_of_the_call),
		cmocka_unit_test(memory_is_written_before_it_is_read),
		cmocka_unit_test(instructions_compute),
		cmocka_unit_test(packets_are_loaded_from),
		cmocka_unit_test(whatever_passes_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
