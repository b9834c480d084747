/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/vmctl/vmctl.h"

static long long number(const json_t *o, const char *name)
{
	return (long long)json_integer_value(json_object_get(o, name));
}

static const char *text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static const char *size_text(long long bytes, char buf[16])
{
	static const char unit[] = "BKMGT";
	double n = (double)bytes;
	unsigned u = 0;

	for (; n >= 1024 && unit[u + 1]; u++)
		n /= 1024;
	snprintf(buf, 16, n < 10 && u ? "%.1f%c" : "%.0f%c", n, unit[u]);
	return buf;
}

static const char *time_text(long long s, char buf[24])
{
	if (s >= 86400)
		snprintf(buf, 24, "%lldd%02lldh", s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		snprintf(buf, 24, "%lldh%02lldm", s / 3600, s / 60 % 60);
	else
		snprintf(buf, 24, "%lld:%02lld", s / 60, s % 60);
	return buf;
}

void table_instances(FILE *to, const json_t *list)
{
	char used[16], total[16], age[24];
	int width = 20;

	for (size_t i = 0; i < json_array_size(list); i++) {
		int n = (int)strlen(text(json_array_get(list, i), "name"));

		width = n > width ? n : width;
	}
	fprintf(to, "%-*s %8s %8s %10s %8s %8s\n", width, "NAME", "PID", "AGE", "PROCESSES", "MEMORY", "OF");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *o = json_array_get(list, i), *m = json_object_get(o, "memory");

		if (json_object_get(o, "error")) {
			fprintf(to, "%-*s %s\n", width, text(o, "name"), text(o, "error"));
			continue;
		}
		fprintf(to, "%-*s %8lld %8s %10lld %8s %8s\n", width, text(o, "name"), number(o, "pid"), time_text(number(o, "age_ms") / 1000, age),
		       number(o, "processes"), size_text(number(m, "total") - number(m, "free"), used), size_text(number(m, "total"), total));
	}
}

static void print_process(FILE *to, const json_t *o, bool full)
{
	char memory[16], cpu[24], age[24];
	const char *command = *text(o, "command") ? text(o, "command") : text(o, "name");

	time_text(number(o, "cpu_ns") / 1000000000, cpu);
	if (full)
		fprintf(to, "%6lld %6lld %6lld %6lld %6lld %s %4lld %7s %8s %8s %s\n", number(o, "uid"), number(o, "pid"), number(o, "ppid"), number(o, "pgid"),
		       number(o, "sid"), text(o, "state"), number(o, "threads"), size_text(number(o, "memory"), memory), cpu,
		       time_text(number(o, "age_ns") / 1000000000, age), command);
	else
		fprintf(to, "%6lld %s %7s %8s %s\n", number(o, "pid"), text(o, "state"), size_text(number(o, "memory"), memory), cpu, text(o, "name"));
}

void table_processes(FILE *to, const json_t *list, bool full)
{
	if (full)
		fprintf(to, "%6s %6s %6s %6s %6s %s %4s %7s %8s %8s %s\n", "UID", "PID", "PPID", "PGID", "SID", "S", "THR", "MEMORY", "CPU", "AGE", "COMMAND");
	else
		fprintf(to, "%6s %s %7s %8s %s\n", "PID", "S", "MEMORY", "CPU", "NAME");
	for (size_t i = 0; i < json_array_size(list); i++)
		print_process(to, json_array_get(list, i), full);
}

static int by_cpu(const void *a, const void *b)
{
	long long x = number(*(json_t *const *)a, "cpu_ns"), y = number(*(json_t *const *)b, "cpu_ns");

	return x < y ? 1 : x > y ? -1 : 0;
}

void table_busiest(FILE *to, const json_t *list, bool full, size_t max)
{
	size_t n = json_array_size(list);
	json_t **order = calloc(n + 1, sizeof(*order));

	if (!order)
		return;
	for (size_t i = 0; i < n; i++)
		order[i] = json_array_get(list, i);
	qsort(order, n, sizeof(*order), by_cpu);
	table_processes(to, NULL, full);
	for (size_t i = 0; i < n && i < max; i++)
		print_process(to, order[i], full);
	free(order);
}

void show_stats(FILE *to, const json_t *before, const json_t *now)
{
	double s = (double)(number(now, "age_ms") - number(before, "age_ms")) / 1000;
	const json_t *m = json_object_get(now, "memory");
	char a[16], b[16], c[16], d[16], age[24];

#define RATE(name) (s > 0 ? (double)(number(now, name) - number(before, name)) / s : 0.0)
	fprintf(to, "instance   %s, pid %lld, up %s, %s\n", text(now, "name"), number(now, "pid"), time_text(number(now, "age_ms") / 1000, age),
	       text(now, "platform"));
	fprintf(to, "processes  %lld, %lld threads, %lld sockets\n", number(now, "processes"), number(now, "threads"), number(now, "sockets"));
	fprintf(to, "memory     %s of %s: programs %s, shared %s, files %s\n", size_text(number(m, "total") - number(m, "free"), a),
	       size_text(number(m, "total"), b), size_text(number(m, "anonymous"), c), size_text(number(m, "shared"), d),
	       size_text(number(m, "cached"), age));
	fprintf(to, "cpu        %.1f%%, %.2f s in all\n", RATE("cpu_ns") / 1e7, (double)number(now, "cpu_ns") / 1e9);
	fprintf(to, "calls      %.0f/s (in the guest %.0f, by the helper %.0f, by exit %.0f)\n", RATE("calls"), RATE("calls_in_guest"),
	       RATE("calls_by_helper"), RATE("calls_by_exit"));
	fprintf(to, "exits      %.0f/s, %lld in all\n", RATE("exits"), number(now, "exits"));
#undef RATE
}
