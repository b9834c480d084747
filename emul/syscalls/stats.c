/* SPDX-License-Identifier: MIT */
/*
 * --stats: how often each call was made, how often it failed, how long it took (asleep included), and
 * why the guest was left. Counters are relaxed atomics: nothing is ordered by them.
 */
#include "emul/syscalls/stats.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "emul/base/err.h"
#include "emul/syscalls/syscalls.h"

#define NR_EXIT_KINDS (VCPU_DEAD + 1)
#define MAX_ERRNO 4095

bool stats_on;

static struct row { _Atomic uint64_t calls, errors, ns; } rows[SYSCALL_MAX + 1]; /* the last: numbers that no call has */
static _Atomic uint64_t exits[NR_EXIT_KINDS];

static const char *const exit_name[NR_EXIT_KINDS] = {
	[VCPU_SYSCALL] = "syscall",
	[VCPU_EXCEPTION] = "exception",
	[VCPU_KICKED] = "kicked",
	[VCPU_ANSWERED] = "answered meanwhile",
	[VCPU_STEPS] = "stepping",
	[VCPU_LOST_PAGE] = "lost page",
	[VCPU_DEAD] = "dead",
};

void stats_enable(void)
{
	stats_on = true;
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t get(_Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void stats_call(unsigned long nr, long result, uint64_t ns)
{
	struct row *row = &rows[MIN(nr, (unsigned long)SYSCALL_MAX)];

	add(&row->calls, 1);
	add(&row->ns, ns);
	if (result < 0 && result >= -MAX_ERRNO)
		add(&row->errors, 1);
}

void stats_exit(enum vcpu_event_kind kind)
{
	add(&exits[kind], 1);
}

/* Most time first. */
static int compare_rows(const void *a, const void *b)
{
	uint64_t x = get(&rows[*(const int *)a].ns), y = get(&rows[*(const int *)b].ns);

	return x < y ? 1 : x > y ? -1 : *(const int *)a - *(const int *)b;
}

static const char *row_name(int nr)
{
	return nr < SYSCALL_MAX && syscall_names[nr] ? syscall_names[nr] : "(unknown)";
}

static void print_calls(int fd)
{
	int order[SYSCALL_MAX + 1], n = 0;
	uint64_t total = 0;

	for (int i = 0; i <= SYSCALL_MAX; i++) {
		if (!get(&rows[i].calls))
			continue;
		order[n++] = i;
		total += get(&rows[i].ns);
	}
	qsort(order, (size_t)n, sizeof(order[0]), compare_rows);
	dprintf(fd, "%% time     seconds  usecs/call     calls    errors syscall\n");
	for (int i = 0; i < n; i++) {
		struct row *r = &rows[order[i]];
		uint64_t ns = get(&r->ns), calls = get(&r->calls), errors = get(&r->errors);

		dprintf(fd, "%6.2f %11.6f %11.1f %9llu ", total ? 100.0 * (double)ns / (double)total : 0.0,
			(double)ns / 1e9, (double)ns / 1e3 / (double)calls, (unsigned long long)calls);
		if (errors)
			dprintf(fd, "%9llu %s\n", (unsigned long long)errors, row_name(order[i]));
		else
			dprintf(fd, "%9s %s\n", "", row_name(order[i]));
	}
}

static void print_ways(int fd, struct platform *p)
{
	struct platform_stats s = { 0 };

	if (p->ops->report)
		p->ops->report(p, &s);
	dprintf(fd, "calls: in the guest %llu, by the helper %llu, by exit %llu; sites rewritten %llu; helper woken %llu, CPU %.3f s\n",
		(unsigned long long)s.told, (unsigned long long)s.served, (unsigned long long)get(&exits[VCPU_SYSCALL]),
		(unsigned long long)s.sites, (unsigned long long)s.rings, (double)s.helper_ns / 1e9);
}

void stats_print(int fd, struct platform *p)
{
	print_calls(fd);
	print_ways(fd, p);
	dprintf(fd, "exits:");
	for (int i = 0; i < NR_EXIT_KINDS; i++)
		if (get(&exits[i]))
			dprintf(fd, " %s %llu", exit_name[i], (unsigned long long)get(&exits[i]));
	dprintf(fd, "\n");
}
