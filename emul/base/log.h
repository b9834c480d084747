/* SPDX-License-Identifier: MIT */
/*
 * Debug messages by category, one branch when off: log_dbg(FUTEX, "wake %d", n). `vmrun --debug=futex,signal`
 * sets the mask. log_warn() is for what the host refuses; log_once() names a missing feature once (--verbose).
 * Messages go to the VMM's stderr copy, one write(2) per line. No guest data is printed raw.
 */
#ifndef EMUL_BASE_LOG_H
#define EMUL_BASE_LOG_H

#include <stdbool.h>

#define LOG_CATEGORIES(X) X(KVM, "kvm") X(MM, "mm") X(VFS, "vfs") X(PROC, "proc") X(SIGNAL, "signal") X(FUTEX, "futex") X(NET, "net") X(SYSCALL, "syscall") X(TTY, "tty") X(TIMER, "timer")
enum log_category {
#define LOG_ENUM(name, text) LOG_##name,
	LOG_CATEGORIES(LOG_ENUM)
#undef LOG_ENUM
	LOG_NCATEGORIES
};

extern unsigned log_mask;    /* bit per category; set once at start-up */
extern bool log_verbose;

/* "futex,signal", "all": 0, or -EINVAL on an unknown word. */
int log_set_categories(const char *list);
void log_set_fd(int fd); /* default 2; duplicated by the caller, so that guests cannot close it */
/*
 * The log's descriptor is file, which is to stay below max bytes: then it is renamed to file.1, over an older one, and begun anew.
 * also[0..n): other descriptors that are to follow it. The name stays the caller's.
 */
void log_bound(const char *file, unsigned long max, const int *also, unsigned n);
void log_write(const char *prefix, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool log_first_time(_Atomic bool *seen);

#define log_dbg(cat, ...) do { if (__builtin_expect(log_mask >> LOG_##cat & 1, 0)) log_write(#cat, __VA_ARGS__); } while (0)
#define log_warn(...) log_write("warning", __VA_ARGS__)
#define log_once(...) do { static _Atomic bool seen_; if (log_verbose && log_first_time(&seen_)) log_write("note", __VA_ARGS__); } while (0)

#endif
