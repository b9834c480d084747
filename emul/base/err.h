/* SPDX-License-Identifier: MIT */
/*
 * Error conventions: every function returns >= 0 or -Exxx; nobody but HOST() reads errno.
 * The restart codes are the kernel's own (include/linux/errno.h): they exist below dispatch only,
 * which turns them into a restarted call or EINTR.
 */
#ifndef EMUL_BASE_ERR_H
#define EMUL_BASE_ERR_H

#include <errno.h>

#define ERESTARTSYS 512           /* restart if the handler has SA_RESTART or there is none */
#define ERESTARTNOINTR 513        /* always restart */
#define ERESTARTNOHAND 514        /* restart only if no handler runs */
#define ERESTART_RESTARTBLOCK 516 /* restart through task->restart (sleeps with a deadline) */

/* A host call's result as a value: HOST(openat(...)) is >= 0 or -errno. */
#define HOST(call)                                        \
	({                                                \
		__typeof__(call) host_r_ = (call);        \
		host_r_ == -1 ? -(long)errno : (long)host_r_; \
	})

#endif
