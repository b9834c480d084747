/* SPDX-License-Identifier: MIT */
/* Filters of seccomp: what bpf_check() lets pass must end and touch nothing but its own data. */
#include "tests/fuzz/fuzz.h"

#include <linux/audit.h>
#include <linux/bpf_common.h>
#include <stdlib.h>

#include "emul/proc/bpf.h"

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
	struct seccomp_data d = { .nr = 39, .arch = AUDIT_ARCH_X86_64 };
	size_t at = fuzz_put(buf, 0, &d, sizeof(d));

	if (n > 1)
		return 0;
	return n ? fuzz_put(buf, at, sums, sizeof(sums)) : fuzz_put(buf, at, allow, sizeof(allow));
}
