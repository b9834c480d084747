/* SPDX-License-Identifier: MIT */
#ifndef TOOLS_VMCTL_VMCTL_H
#define TOOLS_VMCTL_VMCTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* tables.c: what vmm/report.h says, for people. */
void table_instances(FILE *to, const json_t *list);
void table_processes(FILE *to, const json_t *list, bool full);
void table_busiest(FILE *to, const json_t *list, bool full, size_t max);
#define STATS_LINES 6
void show_stats(FILE *to, const json_t *before, const json_t *now); /* rates are of the time between */

/* screen.c: standard output. If it is no terminal, text goes there as it is. */
bool screen_size(unsigned *ret_rows, unsigned *ret_columns); /* false: it is none */
void screen_lines(const char *text); /* cut to its width */
void screen_draw(const char *text);  /* and instead of what it shows, as many as it has room for */
void screen_wait(unsigned seconds);  /* or until its size changes, perhaps since the last time */

int complain(const char *text);

#endif
