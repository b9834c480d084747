/* SPDX-License-Identifier: MIT */
/*
 * vmrun: reads its options, starts an instance, hands signals on, and ends as the program did.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "emul/base/log.h"
#include "emul/base/wait.h"
#include "emul/syscalls/syscalls.h"
#include "tools/vmrun/front.h"
#include "tools/vmrun/terminal.h"

extern char **environ;

int complain(int status, const char *text)
{
	fprintf(stderr, "vmrun: %s\n", text);
	return status;
}

static void print_syscalls(void)
{
	static const char *const word[] = { "-", "full", "partial" };

	for (int i = 0; i < SYSCALL_MAX; i++)
		if (syscall_names[i])
			printf("%3d %-24s %-8s %s\n", i, syscall_names[i], word[syscall_table[i].support],
			       syscall_table[i].note ? syscall_table[i].note : "");
}

/* The caller's environment with --env applied. Only grows: freed with the process. */
static char **build_environment(const struct options *o)
{
	size_t n = 0, k = 0;
	char **env;

	while (environ[n])
		n++;
	env = calloc(n + o->nenv + 1, sizeof(char *));
	if (!env)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		bool replaced = false;

		for (unsigned j = 0; j < o->nenv; j++) {
			size_t len = strcspn(o->env[j], "=");

			replaced |= !strncmp(environ[i], o->env[j], len) && environ[i][len] == '=';
		}
		if (!replaced)
			env[k++] = environ[i];
	}
	for (unsigned j = 0; j < o->nenv; j++)
		if (strchr(o->env[j], '='))
			env[k++] = (char *)o->env[j];
	return env;
}

/*
 * What the caller has closed stays closed for the program; but nothing of ours may come to be where messages are written. Reading 0 and
 * writing 1 and 2 fails as if they were closed.
 */
static void fill_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", (fd ? O_RDONLY : O_WRONLY) | O_CLOEXEC) < 0)
			return;
}

static void note_signals(struct options *o)
{
	struct sigaction sa;
	sigset_t set;

	sigprocmask(SIG_BLOCK, NULL, &set);
	for (int sig = 1; sig <= SIGRTMAX; sig++) {
		if (sigismember(&set, sig) == 1)
			o->program.blocked |= 1ull << (sig - 1);
		if (sigaction(sig, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN)
			o->program.ignored |= 1ull << (sig - 1);
	}
}

/*
 * Signals that somebody sends to vmrun are meant for the program. But those of faults are ours: blocked, they could not be caught.
 * With SIGPIPE blocked our own writes fail as if it were ignored. Before there are threads: they inherit it.
 */
static int take_signals(bool own_instance)
{
	static const int ours[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS, SIGKILL, SIGSTOP };
	sigset_t set;

	sigfillset(&set); /* not those of the C library */
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigdelset(&set, ours[i]);
	if (own_instance)
		sigdelset(&set, SIG_KICK);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Of one that has been removed what its name was. One that is out of reach is none. */
static void describe_directory(struct options *o)
{
	static const char deleted[] = " (deleted)";
	const size_t tail = sizeof(deleted) - 1;
	static char cwd[4096];
	ssize_t n;

	if (getcwd(cwd, sizeof(cwd))) {
		o->program.host_cwd = cwd[0] == '/' ? cwd : NULL;
		o->cfg.host_cwd = o->program.host_cwd;
		return;
	}
	n = errno == ENOENT ? readlink("/proc/self/cwd", cwd, sizeof(cwd) - 1) : -1;
	if (n <= (ssize_t)tail || cwd[0] != '/' || memcmp(cwd + n - tail, deleted, tail))
		return;
	cwd[n - (ssize_t)tail] = '\0';
	o->program.host_cwd = cwd;
	o->program.cwd_deleted = true;
}

/* What the program has from us. */
static void describe_caller(struct options *o)
{
	describe_directory(o);
	o->program.umask = umask(0);
	o->program.console = terminal_find();
	o->program.has_shell = terminal_has_shell();
	o->program.leads_session = getsid(0) == getpid();
	o->program.leads_group = getpgrp() == getpid();
	o->program.controlled = o->program.console >= 0 && terminal_is_controlling(o->program.console);
	if (o->program.console >= 0)
		terminal_take(o->program.console);
}

static int run(struct options *o)
{
	int sigfd;

	note_signals(o);
	sigfd = take_signals(options_private(o));
	if (sigfd < 0)
		return complain(STATUS_VMRUN, "cannot take over signals");
	describe_caller(o);
	return options_private(o) ? local_run(o, sigfd) : joined_run(o, sigfd);
}

int main(int argc, char **argv)
{
	static struct options o;
	char err[512];

	fill_standard_descriptors();
	if (options_parse(argc, argv, &o, err, sizeof(err)) < 0)
		return complain(STATUS_VMRUN, err);
	if (o.show_help || o.show_version || o.show_syscalls) {
		if (o.show_help)
			options_help();
		else if (o.show_version)
			puts("vmrun " VMRUN_VERSION);
		else
			print_syscalls();
		return fflush(stdout) || ferror(stdout) ? complain(STATUS_VMRUN, "what it says cannot be written") : 0;
	}
	log_verbose = o.verbose;
	log_set_fd(fcntl(2, F_DUPFD_CLOEXEC, 100));
	if (o.debug && log_set_categories(o.debug) < 0)
		return complain(STATUS_VMRUN, "--debug: unknown category: see vmrun --help");
	if (o.strace && strace_enable(o.strace_file) < 0) {
		snprintf(err, sizeof(err), "--strace: cannot write %s: %s", o.strace_file ? o.strace_file : "stderr",
			 strerror(errno));
		return complain(STATUS_VMRUN, err);
	}
	if (o.stats)
		stats_enable();
	if (o.serve) {
		describe_directory(&o);
		return serve_instance(&o);
	}
	o.program.envp = build_environment(&o);
	if (!o.program.envp)
		return complain(STATUS_VMRUN, "out of memory");
	_exit(run(&o)); /* threads of the instance may still run: no destructors under them */
}
