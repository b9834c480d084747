/* SPDX-License-Identifier: MIT */
/* Classic BPF as seccomp uses it: what a filter may be, and what it says about a call. net/core/filter.c, kernel/seccomp.c. */
#ifndef EMUL_PROC_BPF_H
#define EMUL_PROC_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>

/* 0, -EINVAL. What it has passed ends after at most len steps and touches nothing but its own data. */
int bpf_check(const struct sock_filter *f, unsigned len);
/* What a checked filter returns for one call. */
uint32_t bpf_run(const struct sock_filter *f, const struct seccomp_data *d);

#endif
