/* SPDX-License-Identifier: MIT */
/*
 * vmrun: reads its options, starts an instance, hands signals on, and ends as the program did.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emul/base/log.h"
#include "emul/syscalls/syscalls.h"
#include "tools/vmrun/options.h"
#include "tools/vmrun/terminal.h"
#include "vmm/console.h"

#define STATUS_VMRUN 125

extern char **environ;

static int complain(int status, const char *text)
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

/* Signals that somebody sends to vmrun are meant for the program. */
static int take_signals(void)
{
	static const int handed_on[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(handed_on) / sizeof(handed_on[0]); i++)
		sigaddset(&set, handed_on[i]);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* --- on a terminal ------------------------------------------------------------------------------------- */

#define LOOK_AGAIN_MS 250

struct front {
	struct instance *in;
	struct console *con; /* NULL: no terminal */
	/*
	 * The program is to have what is typed. With others of our pipeline on the same terminal this begins when it uses it: until
	 * then (`vmrun ls | less`) the terminal stays as it is.
	 */
	bool wanted;
	bool keep_output;    /* what is behind our stdout may write to the terminal too */
	bool has_shell;      /* somebody will continue us */
};

/* In our hands, if it is wanted and we are in the foreground. */
static void enter_terminal(struct front *f)
{
	bool ours;

	if (!f->con || !f->wanted)
		return;
	ours = terminal_raw(f->keep_output);
	console_host_processes(f->con, !ours || f->keep_output);
	console_input(f->con, ours);
}

static void leave_terminal(struct front *f)
{
	if (!f->con)
		return;
	console_input(f->con, false);
	console_drain(f->con);
	console_host_processes(f->con, true);
	terminal_restore();
}

static void begin_terminal(struct front *f)
{
	f->con = instance_console(f->in);
	f->keep_output = f->con && !console_is(f->con, 1);
	f->wanted = f->con && console_is(f->con, 0) && console_is(f->con, 1);
	enter_terminal(f);
}

static void size_changed(struct front *f)
{
	struct winsize ws;

	if (terminal_size(&ws))
		console_resize(f->con, &ws);
}

/* The program was stopped from its terminal: so are we, for whoever waits for us. */
static void stop_like(struct front *f, int sig)
{
	bool alone = !terminal_is_raw(); /* the host's terminal has signalled all of our job itself */
	sigset_t set;

	leave_terminal(f);
	sigemptyset(&set);
	sigaddset(&set, sig);
	signal(sig, SIG_DFL);
	kill(alone ? getpid() : 0, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* here we stop */
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* --- until it ends ------------------------------------------------------------------------------------------ */

static void hand_on_one(struct front *f, const struct signalfd_siginfo *si)
{
	int sig = (int)si->ssi_signo;

	switch (sig) {
	case SIGTTIN:
	case SIGTTOU: /* of our own doing */
		return;
	case SIGCONT:
		enter_terminal(f);
		if (f->con)
			size_changed(f);
		instance_signal_front(f->in, sig);
		return;
	case SIGWINCH:
		if (f->con) {
			size_changed(f);
			return;
		}
		break;
	default:
		break;
	}
	if (si->ssi_code == SI_KERNEL) /* from our terminal, to all in front */
		instance_signal_front(f->in, sig);
	else
		instance_signal(f->in, sig);
}

static void hand_on(struct front *f, int sigfd)
{
	struct signalfd_siginfo si;

	while (read(sigfd, &si, sizeof(si)) == sizeof(si))
		hand_on_one(f, &si);
}

static void hear_news(struct front *f)
{
	struct instance_news n = instance_news(f->in);

	if (n.wants_terminal) {
		f->wanted = true;
		enter_terminal(f);
	}
	if (n.stopped)
		stop_like(f, n.stopped);
}

static void wait_for_end(struct instance *in, int sigfd, bool has_shell)
{
	struct front f = { .in = in, .has_shell = has_shell };
	struct pollfd p[3] = {
		{ .fd = instance_done_fd(in), .events = POLLIN },
		{ .fd = sigfd, .events = POLLIN },
		{ .fd = instance_news_fd(in), .events = POLLIN },
	};

	begin_terminal(&f);
	while (!(p[0].revents & POLLIN)) {
		bool waits = f.wanted && !terminal_is_raw();

		if (poll(p, 3, waits ? LOOK_AGAIN_MS : -1) < 0 && errno != EINTR)
			return;
		if (p[1].revents & POLLIN)
			hand_on(&f, sigfd);
		if (p[2].revents & POLLIN)
			hear_news(&f);
		if (!waits)
			continue;
		enter_terminal(&f); /* a shell may have brought us to the front without a word */
		if (!terminal_is_raw() && f.has_shell && console_reading(f.con))
			stop_like(&f, SIGTTIN); /* as who reads in the background is */
	}
	leave_terminal(&f);
}

/* vmrun ends as the program did: by the same signal, without a core file of its own. */
static int end_like(int status)
{
	sigset_t set;
	int sig = WTERMSIG(status);

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	raise(sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return 128 + sig;
}

static int run(struct options *o)
{
	struct instance_error err = { .status = STATUS_VMRUN };
	struct instance *in;
	struct rlimit nofile;
	int sigfd = take_signals(), status;

	o->cfg.console = terminal_find();
	o->cfg.has_shell = terminal_has_shell();
	if (o->cfg.console >= 0)
		terminal_take(o->cfg.console);
	if (sigfd < 0)
		return complain(STATUS_VMRUN, "cannot take over signals");
	if (instance_new(&o->cfg, &in, &err) < 0)
		return complain(err.status, err.text);
	if (log_verbose)
		log_write("note", "running on %s", instance_platform_name(in));
	/* Programs and descriptors of the guest cost host descriptors; the guest keeps its own limit. */
	if (getrlimit(RLIMIT_NOFILE, &nofile) == 0) {
		nofile.rlim_cur = nofile.rlim_max;
		setrlimit(RLIMIT_NOFILE, &nofile);
	}
	if (instance_start(in, &err) < 0)
		return complain(err.status, err.text);
	wait_for_end(in, sigfd, o->cfg.has_shell);
	status = instance_status(in);
	if (o->stats)
		instance_print_stats(in, 2);
	return end_like(status);
}

int main(int argc, char **argv)
{
	static struct options o;
	char err[512];

	if (options_parse(argc, argv, &o, err, sizeof(err)) < 0)
		return complain(STATUS_VMRUN, err);
	if (o.show_help || o.show_version || o.show_syscalls) {
		if (o.show_help)
			options_help();
		else if (o.show_version)
			puts("vmrun " VMRUN_VERSION);
		else
			print_syscalls();
		return 0;
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
	o.cfg.envp = build_environment(&o);
	if (!o.cfg.envp)
		return complain(STATUS_VMRUN, "out of memory");
	_exit(run(&o)); /* threads of the instance may still run: no destructors under them */
}
