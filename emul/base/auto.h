/* SPDX-License-Identifier: MIT */
/*
 * Ownership by scope, as systemd and crun write it: AUTO(file) f = ...; drops the reference on
 * every way out; steal(f) hands it over. Locks are never taken this way.
 * A module makes its type usable with DEFINE_AUTO(file, file_put) for `struct file *`.
 */
#ifndef EMUL_BASE_AUTO_H
#define EMUL_BASE_AUTO_H

#include <stdlib.h>
#include <unistd.h>

#define DEFINE_AUTO(name, put)                                            \
	static inline void auto_##name(struct name **p) { if (*p) put(*p); } \
	typedef struct name *auto_##name##_t

#define AUTO(name) __attribute__((cleanup(auto_##name))) auto_##name##_t

static inline void auto_free_(void *p) { free(*(void **)p); }
#define AUTO_FREE __attribute__((cleanup(auto_free_)))

static inline void auto_close_(int *fd) { if (*fd >= 0) close(*fd); }
#define AUTO_FD __attribute__((cleanup(auto_close_))) int

#define steal(p) ({ __typeof__(p) steal_ = (p); (p) = NULL; steal_; })
#define steal_fd(fd) ({ int steal_ = (fd); (fd) = -1; steal_; })

#endif
