/* SPDX-License-Identifier: MIT */
/*
 * Between exec, clone and exit inside emul/proc: the steps of one that live in another's file.
 */
#ifndef EMUL_PROC_LIFECYCLE_H
#define EMUL_PROC_LIFECYCLE_H

#include "emul/proc/task.h"

/* exec: ends all other threads of t's process and makes t the leader (tid == pid). No lock held. 0; -EINTR: t itself is to die. */
int task_kill_other_threads(struct task *t);
/* exec has happened: own sighand, vfork parent released, did_exec, exit_signal = SIGCHLD, altstack off. No lock held. */
void proc_exec_done(struct task *t);

#endif
