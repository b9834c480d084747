/* SPDX-License-Identifier: MIT */
/* Between the files of --strace: text of one line, and what prints into it. */
#ifndef EMUL_SYSCALLS_STRACE_FMT_H
#define EMUL_SYSCALLS_STRACE_FMT_H

#include <signal.h>

#include "emul/syscalls/syscalls.h"

#define TRACE_STRING_MAX 32 /* bytes of a string that are shown, as strace(1) does */

struct trace_text { size_t len; char buf[4096]; };
static inline void trace_text_init(struct trace_text *s) { s->len = 0; s->buf[0] = 0; }
void trace_printf(struct trace_text *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* strace_fmt.c: ENTRY prints the name and the arguments before the first that is known only after the call; EXIT the rest. */
enum trace_part { TRACE_ENTRY, TRACE_EXIT };
void trace_call(struct trace_text *s, struct task *t, unsigned long nr, const struct syscall_desc *d, const struct sysargs *a,
		enum trace_part part, long result);
void trace_result(struct trace_text *s, unsigned long nr, long r);

/* strace_struct.c: a structure in guest memory; false: not one of its kinds */
bool trace_struct(struct trace_text *s, struct task *t, enum arg_kind kind, gva_t at, const struct sysargs *a, int i, long result);
void trace_siginfo(struct trace_text *s, const siginfo_t *info);
void trace_sigset(struct trace_text *s, uint64_t set);

void trace_vector(struct trace_text *s, struct task *t, gva_t at, unsigned count, uint64_t total); /* strace_fmt.c */

/* strace_sock.c */
void trace_sockaddr(struct trace_text *s, struct task *t, gva_t at, uint64_t len);
void trace_sockaddr_out(struct trace_text *s, struct task *t, gva_t at, gva_t len_at);
void trace_msghdr(struct trace_text *s, struct task *t, gva_t at, uint64_t total);

/* strace_flags.c: names of bits and constants; false: not one of its kinds */
bool trace_flags(struct trace_text *s, enum arg_kind kind, uint64_t v);
const char *trace_signal_name(int sig);
const char *trace_errno_name(int e); /* the kernel's own restart codes included */

#endif
