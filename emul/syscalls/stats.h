/* SPDX-License-Identifier: MIT */
/* --stats: counters that dispatch and the run loop feed; one branch each when off. */
#ifndef EMUL_SYSCALLS_STATS_H
#define EMUL_SYSCALLS_STATS_H

#include "emul/base/platform.h"

extern bool stats_on; /* set once, before the first task */

void stats_call(unsigned long nr, long result, uint64_t ns); /* nr beyond the table counts as one row of its own */
void stats_exit(enum vcpu_event_kind kind);

#endif
