/* SPDX-License-Identifier: MIT */
#ifndef TOOLS_VMCTL_VMCTL_H
#define TOOLS_VMCTL_VMCTL_H

#include <jansson.h>
#include <stdbool.h>

/* tables.c: what vmm/report.h says, for people. */
void table_instances(const json_t *list);
void table_processes(const json_t *list, bool full);
void table_busiest(const json_t *list);
void show_stats(const json_t *before, const json_t *now); /* rates are of the time between */

int complain(const char *text);

#endif
