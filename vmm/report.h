/* SPDX-License-Identifier: MIT */
/* What can be said about a running instance, as JSON. Texts of guests come without control characters. */
#ifndef VMM_REPORT_H
#define VMM_REPORT_H

#include <jansson.h>

struct instance;

/* [{pid, ppid, pgid, sid, uid, state, threads, memory, cpu_ns, age_ns, name, command}], by pid. */
json_t *report_processes(struct instance *in);
/* {platform, processes, threads, sockets, memory: {...bytes}, cpu_ns, calls, exits, ...}: counters only grow. */
json_t *report_stats(struct instance *in);

#endif
