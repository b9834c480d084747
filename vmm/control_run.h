/* SPDX-License-Identifier: MIT */
/* One caller's program: the "run" of control.h. */
#ifndef VMM_CONTROL_RUN_H
#define VMM_CONTROL_RUN_H

#include <sys/types.h>

struct instance;
struct wire_message;

/* Until the program has ended or the caller, the host's process pid, is gone. m's descriptors are used up. */
void control_run(struct instance *in, int fd, pid_t pid, struct wire_message *m);
void control_send_error(int fd, int status, const char *text);

#endif
