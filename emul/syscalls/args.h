/* SPDX-License-Identifier: MIT */
/*
 * The arguments of one system call and how a handler decodes them: the types make the truncations
 * that Linux makes. Every handler has the one signature of table.h and does: decode, check in Linux's
 * order, call one mechanism below.
 */
#ifndef EMUL_SYSCALLS_ARGS_H
#define EMUL_SYSCALLS_ARGS_H

#include "emul/base/types.h"

struct sysargs { uint64_t v[6]; };

static inline int arg_int(const struct sysargs *a, int i) { return (int)a->v[i]; }
static inline unsigned arg_uint(const struct sysargs *a, int i) { return (unsigned)a->v[i]; }
static inline long arg_long(const struct sysargs *a, int i) { return (long)a->v[i]; }
static inline uint64_t arg_u64(const struct sysargs *a, int i) { return a->v[i]; }
static inline gva_t arg_gva(const struct sysargs *a, int i) { return a->v[i]; }
static inline size_t arg_size(const struct sysargs *a, int i) { return a->v[i]; }
static inline int64_t arg_off(const struct sysargs *a, int i) { return (int64_t)a->v[i]; }
static inline uint32_t arg_mode(const struct sysargs *a, int i) { return (uint32_t)a->v[i] & 07777; }

#endif
