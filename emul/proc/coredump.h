/* SPDX-License-Identifier: MIT */
/* Core files. core(5), fs/binfmt_elf.c elf_core_dump(). */
#ifndef EMUL_PROC_COREDUMP_H
#define EMUL_PROC_COREDUMP_H

#include <signal.h>
#include <stdbool.h>

struct proc;
struct task;

/* Whether a deadly signal leaves a core file at all: RLIMIT_CORE, dumpable, no exec under way. p->lock held. */
bool coredump_wanted_locked(struct proc *p);
/* Writes it for t, who dies of sig. All other threads of the process stand still or are gone. false: there is no file.
 * What does not fit into RLIMIT_CORE is cut off. */
bool coredump_write(struct task *t, int sig, const siginfo_t *info);

#endif
