/* SPDX-License-Identifier: MIT */
/* vmctl: what instances there are, what runs in them, and their end. vmm/control.h has what is said to them. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emul/base/auto.h"
#include "emul/base/err.h"
#include "tools/vmctl/vmctl.h"
#include "vmm/client.h"
#include "vmm/meeting.h"
#include "vmm/plain.h"

#define ANSWER_MS 20000 /* stop takes a while */
#define LIST_MS 3000    /* one that is stuck does not keep us from the others */
#define TOP_S 2
#define WIDE 80        /* columns that have room for all of what is known and some of the command */
#define BUSIEST 20     /* where there is no terminal */

struct arguments {
	const char *name, *word[3];
	unsigned nwords;
	bool json, full, force;
};

int complain(const char *text)
{
	fprintf(stderr, "vmctl: %s\n", text);
	return 1;
}

/* What a command printed has arrived, else it failed. */
static int written(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	return status ? status : complain("what it says cannot be written");
}

/* --- asking ----------------------------------------------------------------------------------------------------- */

static bool is_nobody(int e)
{
	return e == -ECONNREFUSED || e == -ENOENT || e == -EPIPE; /* the last: it was just ending when we came */
}

/* Consumes what. The answer, to be json_decref'ed; NULL: a line has been printed. */
static json_t *ask(const char *name, json_t *what)
{
	struct meeting m;
	char err[512];
	json_t *r = NULL;
	int e = 1;

	if (meeting_of(name, &m, err, sizeof(err)) == 0)
		e = client_ask(&m, what, ANSWER_MS, &r, err, sizeof(err));
	else
		json_decref(what);
	if (is_nobody(e))
		snprintf(err, sizeof(err), "no instance '%s' runs", name);
	else if (e == -ETIMEDOUT)
		snprintf(err, sizeof(err), "instance '%s' does not answer: is it stopped? kill its process, vmrun-instance, if need be", name);
	else if (e < 0)
		snprintf(err, sizeof(err), "%s: %s", m.sock, meeting_error(e));
	if (!r)
		complain(err);
	return r;
}

static json_t *request(const char *op)
{
	return json_pack("{s:s}", "op", op);
}

static void print_json(const json_t *v)
{
	json_dumpf(v, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
}

/* --- commands ----------------------------------------------------------------------------------------------------- */

static bool instance_name_of(const char *file, char *ret, size_t size)
{
	size_t n = strlen(file);

	if (n <= 5 || n - 5 >= size || strcmp(file + n - 5, ".sock"))
		return false;
	memcpy(ret, file, n - 5);
	ret[n - 5] = '\0';
	return meeting_name_ok(ret);
}

/* NULL: there is none any more. One that does not answer is there nevertheless. */
static json_t *look_at(const struct meeting *m, const char *name)
{
	json_t *r = NULL;
	char err[512];
	int e = client_ask(m, request("stats"), LIST_MS, &r, err, sizeof(err));

	if (!e || is_nobody(e))
		return r;
	return json_pack("{s:s, s:s}", "name", name, "error", e == -ETIMEDOUT ? "does not answer" : e < 0 ? meeting_error(e) : err);
}

static json_t *all_instances(const char *dir)
{
	char name[MEETING_NAME_MAX + 1], err[512];
	json_t *list = json_array();
	DIR *d = opendir(dir);
	struct meeting m;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		json_t *one;

		if (!instance_name_of(e->d_name, name, sizeof(name)) || meeting_of(name, &m, err, sizeof(err)) < 0)
			continue;
		one = look_at(&m, name);
		if (one)
			json_array_append_new(list, one);
	}
	if (d)
		closedir(d);
	return list;
}

static int do_list(const struct arguments *a)
{
	char dir[MEETING_DIR_SIZE], err[512];
	json_t *list;

	if (meeting_dir(dir, err, sizeof(err)) < 0)
		return complain(err);
	list = all_instances(dir);
	if (a->json)
		print_json(list);
	else
		table_instances(stdout, list);
	return 0;
}

static int do_ps(const struct arguments *a)
{
	json_t *r = ask(a->name, request("ps"));
	AUTO_FREE char *text = NULL;
	size_t size;
	FILE *to;

	if (!r)
		return 1;
	if (a->json) {
		print_json(json_object_get(r, "processes"));
		return 0;
	}
	to = open_memstream(&text, &size);
	if (!to)
		return complain("out of memory");
	table_processes(to, json_object_get(r, "processes"), a->full);
	fclose(to);
	screen_lines(text);
	return 0;
}

static int do_stats(const struct arguments *a)
{
	json_t *before = ask(a->name, request("stats")), *now;

	if (!before)
		return 1;
	if (a->json) {
		print_json(before);
		return 0;
	}
	sleep(1);
	now = ask(a->name, request("stats"));
	if (!now)
		return 1;
	show_stats(stdout, before, now);
	return 0;
}

/* A line for each look: who reads them need not wait for an end. */
static void print_look(const json_t *stats, const json_t *ps)
{
	json_t *look = json_pack("{s:O, s:O}", "stats", stats, "processes", json_object_get(ps, "processes"));

	json_dumpf(look, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(look);
}

/* As many processes as there is room for, below the figures, a blank line and their head, and above the cursor. */
static void show_look(const json_t *before, const json_t *stats, const json_t *ps)
{
	AUTO_FREE char *text = NULL;
	unsigned rows, columns;
	bool terminal = screen_size(&rows, &columns);
	size_t size, most = !terminal ? BUSIEST : rows > STATS_LINES + 3 ? rows - STATS_LINES - 3 : 0;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return;
	show_stats(to, before ? before : stats, stats);
	fputc('\n', to);
	table_busiest(to, json_object_get(ps, "processes"), !terminal || columns >= WIDE, most);
	if (!terminal)
		fputc('\n', to);
	fclose(to);
	screen_draw(text);
}

static int do_top(const struct arguments *a)
{
	json_t *before = NULL, *stats, *ps;

	for (;;) {
		stats = ask(a->name, request("stats"));
		ps = stats ? ask(a->name, request("ps")) : NULL;
		if (!ps)
			return 1;
		if (a->json)
			print_look(stats, ps);
		else
			show_look(before, stats, ps);
		if (written(0))
			return 1;
		json_decref(ps);
		json_decref(before);
		before = stats;
		screen_wait(TOP_S);
	}
}

static int signal_number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*text && !*end)
		return n >= 0 && n <= 64 ? (int)n : -1;
	if (!strncmp(text, "SIG", 3))
		text += 3;
	if (!strcmp(text, "RTMIN") || !strcmp(text, "RTMAX"))
		return text[3] == 'I' ? 34 : 64 /* as kill(1) has them */;
	for (int sig = 1; sig < NSIG; sig++)
		if (sigabbrev_np(sig) && !strcmp(sigabbrev_np(sig), text))
			return sig;
	return -1;
}

/* What has nothing to say but that it is done. */
static int done(const struct arguments *a, json_t *answer)
{
	if (answer && a->json)
		print_json(answer);
	return answer ? 0 : 1;
}

static int do_kill(const struct arguments *a)
{
	int sig = a->nwords > 2 ? signal_number(a->word[2][0] == '-' ? a->word[2] + 1 : a->word[2]) : SIGTERM;
	char *end;
	long pid;

	if (a->nwords < 2)
		return complain("kill: give PID [SIGNAL]");
	pid = strtol(a->word[1], &end, 10);
	if (*end || pid <= 0 || pid > INT32_MAX)
		return complain("kill: the process is a number: see vmctl ps");
	if (sig < 0)
		return complain("kill: unknown signal: give a number or a name such as TERM");
	return done(a, ask(a->name, json_pack("{s:s, s:I, s:i}", "op", "kill", "pid", (json_int_t)pid, "signal", sig)));
}

static int do_stop(const struct arguments *a)
{
	return done(a, ask(a->name, json_pack("{s:s, s:b}", "op", "stop", "force", a->force)));
}

/* false: there is none. list NULL: it is printed. */
static bool read_log(const char *file, json_t *list)
{
	AUTO_FREE char *line = NULL;
	FILE *f = fopen(file, "re");
	size_t size = 0;
	ssize_t n;

	while (f && (n = getline(&line, &size, f)) > 0) {
		if (list)
			json_array_append_new(list, plain_text(line, (size_t)n - (line[n - 1] == '\n')));
		else
			fwrite(line, 1, (size_t)n, stdout);
	}
	if (f)
		fclose(f);
	return f;
}

static int do_logs(const struct arguments *a)
{
	json_t *list = a->json ? json_array() : NULL;
	char err[512], older[120];
	struct meeting m;

	if (meeting_of(a->name, &m, err, sizeof(err)) < 0)
		return complain(err);
	snprintf(older, sizeof(older), "%s.1", m.log);
	read_log(older, list);
	if (!read_log(m.log, list)) {
		snprintf(err, sizeof(err), "%s: %s", m.log, strerror(errno));
		return complain(err);
	}
	if (list)
		print_json(list);
	return 0;
}

/* --- the command line -------------------------------------------------------------------------------------------------- */

static const struct command {
	const char *name, *help;
	int (*run)(const struct arguments *a);
} commands[] = {
	{ "list", "the instances of this user", do_list },
	{ "ps", "what runs in an instance; -f: all that is known of each", do_ps },
	{ "kill", "PID [SIGNAL]: send a signal (default: TERM)", do_kill },
	{ "stop", "end an instance: SIGTERM to all; --force: SIGKILL", do_stop },
	{ "logs", "what the instance had to say", do_logs },
	{ "stats", "memory, CPU, calls and exits a second, sockets", do_stats },
	{ "top", "the same again and again, and the busiest processes", do_top },
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help(void)
{
	puts("usage: vmctl [OPTION...] COMMAND [ARG...]\n"
	     "Looks after the instances that vmrun starts.\n");
	for (size_t i = 0; i < NCOMMANDS; i++)
		printf("  %-8s %s\n", commands[i].name, commands[i].help);
	puts("\n"
	     "  -n, --name NAME                    the instance (default: \"default\")\n"
	     "      --json                         print JSON instead of tables\n"
	     "  -f, --full                         ps: all columns\n"
	     "      --force                        stop: without asking\n"
	     "      --version                      print the version\n"
	     "  -h, --help                         print this\n"
	     "\n"
	     "Exit status: 0, or 1 and a line that says why. See vmctl(1).");
}

static bool is(const char *arg, const char *letter, const char *name)
{
	return (letter && !strcmp(arg, letter)) || !strcmp(arg, name);
}

/* One option; 0, or how vmctl ends: -1 for 0. */
static int take_option(struct arguments *a, int argc, char **argv, int *i)
{
	const char *arg = argv[*i];

	if (is(arg, "-h", "--help")) {
		help();
		return written(0) ? 1 : -1;
	}
	if (!strcmp(arg, "--version")) {
		puts("vmctl " VMRUN_VERSION);
		return written(0) ? 1 : -1;
	}
	if (is(arg, "-f", "--full"))
		a->full = true;
	else if (!strcmp(arg, "--json"))
		a->json = true;
	else if (!strcmp(arg, "--force"))
		a->force = true;
	else if (!strncmp(arg, "--name=", 7))
		a->name = arg + 7;
	else if (is(arg, "-n", "--name") && *i + 1 < argc)
		a->name = argv[++*i];
	else
		return complain("unknown option, or its value is missing: see vmctl --help");
	return 0;
}

int main(int argc, char **argv)
{
	struct arguments a = { .name = MEETING_DEFAULT_NAME };

	for (int i = 1; i < argc; i++) {
		int end = 0;

		if (argv[i][0] == '-' && !(a.nwords == 2 && !strcmp(a.word[0], "kill") && signal_number(argv[i] + 1) >= 0))
			end = take_option(&a, argc, argv, &i);
		else if (a.nwords < 3)
			a.word[a.nwords++] = argv[i];
		else
			end = complain("too many arguments: see vmctl --help");
		if (end)
			return end < 0 ? 0 : end;
	}
	if (!meeting_name_ok(a.name))
		return complain("--name: give up to 48 letters, digits, '.', '_' or '-'");
	for (size_t i = 0; a.nwords && i < NCOMMANDS; i++)
		if (!strcmp(a.word[0], commands[i].name))
			return a.nwords == 1 || commands[i].run == do_kill ? written(commands[i].run(&a)) : complain("too many arguments: see vmctl --help");
	return complain(a.nwords ? "unknown command: see vmctl --help" : "no command: see vmctl --help");
}
