/* SPDX-License-Identifier: MIT */
/* Filters of seccomp and of sockets: what bpf_check() and bpf_check_packet() let pass must end and touch nothing but its own data. */
#include "tests/fuzz/fuzz.h"

#include <linux/audit.h>
#include <linux/bpf_common.h>
#include <stdlib.h>

#include "emul/proc/bpf.h"

/* The same program and data as a filter of packets; the first bytes say where its headers are. */
static void run_packet(const struct sock_filter *f, unsigned n, const uint8_t *data, size_t size)
{
	size_t len = 4 + data[0] % (size - 3);
	uint8_t *bytes = malloc(len); /* the exact size, too */
	struct bpf_packet p = { .bytes = bytes, .len = len, .data = data[1] % (len + 1), .ifindex = data[2] & 1, .ip_protocol = data[3] };

	if (!bytes)
		return;
	memcpy(bytes, data, len);
	p.net = data[2] & 2 ? (int)(data[2] % (len + 1)) : -1;
	p.link = data[2] & 4 ? 0 : -1;
	p.transport = data[2] & 8 ? (int)(data[3] % (len + 1)) : -1;
	if (bpf_check_packet(f, n) == 0)
		(void)bpf_run_packet(f, &p);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct seccomp_data d;
	struct sock_filter *f;
	unsigned n;

	fuzz_bytes(&in, &d, sizeof(d));
	n = (unsigned)(in.left / sizeof(*f));
	f = malloc(n * sizeof(*f) + 1); /* the exact size: whoever reads beyond it is found */
	if (!f)
		return 0;
	memcpy(f, in.at, n * sizeof(*f));
	if (bpf_check(f, n) == 0 && bpf_run(f, &d) != bpf_run(f, &d))
		abort();
	run_packet(f, n, (const uint8_t *)&d, sizeof(d));
	free(f);
	return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *buf)
{
	static const struct sock_filter allow[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
						    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
						    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
						    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
						    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 300, 1, 0),
						    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
						    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1) };
	static const struct sock_filter sums[] = { BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
						   BPF_STMT(BPF_ST, 3),
						   BPF_STMT(BPF_LDX | BPF_W | BPF_MEM, 3),
						   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16),
						   BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
						   BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 31),
						   BPF_STMT(BPF_MISC | BPF_TAX, 0),
						   BPF_STMT(BPF_ALU | BPF_NEG, 0),
						   BPF_JUMP(BPF_JMP | BPF_JSET | BPF_X, 0, 0, 1),
						   BPF_STMT(BPF_MISC | BPF_TXA, 0),
						   BPF_STMT(BPF_RET | BPF_A, 0) };
	static const struct sock_filter packet[] = {
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)SKF_NET_OFF + 9), BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_LL_OFF),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PAY_OFFSET)), BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 7),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_NLATTR)),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_NLATTR_NEST)), BPF_STMT(BPF_RET | BPF_A, 0) };
	struct seccomp_data d = { .nr = 39, .arch = AUDIT_ARCH_X86_64 };
	size_t at = fuzz_put(buf, 0, &d, sizeof(d));

	if (n == 2) {
		memset(&d, 4, sizeof(d)); /* attributes of four bytes and of type 4, and all headers */
		d.nr = 0x0f00ff;
		return fuzz_put(buf, fuzz_put(buf, 0, &d, sizeof(d)), packet, sizeof(packet));
	}
	if (n > 2)
		return 0;
	return n ? fuzz_put(buf, at, sums, sizeof(sums)) : fuzz_put(buf, at, allow, sizeof(allow));
}
