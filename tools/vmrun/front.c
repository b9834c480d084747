/* SPDX-License-Identifier: MIT */
#include "tools/vmrun/front.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/vmrun/terminal.h"

#define LOOK_AGAIN_MS 250

/* --- on a terminal ------------------------------------------------------------------------------------- */

/* In our hands, if it is wanted and we are in the foreground. */
static void enter_terminal(struct front *f)
{
	const struct termios2 *changed;
	unsigned echoed;
	bool ours;

	if (!f->has_terminal || !f->wanted)
		return;
	ours = terminal_raw(f->keep_output, &changed, &echoed);
	f->ops->enter(f, ours, !ours || f->keep_output, echoed, changed);
}

static void leave_terminal(struct front *f)
{
	if (!f->has_terminal)
		return;
	f->ops->leave(f);
	terminal_restore();
}

/* Of the caller: who ignores or blocks SIGTTOU may write. */
bool front_stops_writers(const struct options *o)
{
	return o->program.has_shell && !((o->program.ignored | o->program.blocked) >> (SIGTTOU - 1) & 1);
}

/* Before the terminal is entered: what was held was written for one that processes it. */
static void settle_output(struct front *f)
{
	bool hold = f->has_terminal && f->stops_writers && terminal_stops_writers();

	if (hold == f->held)
		return;
	f->ops->hold(f, f->held = hold);
	if (!hold)
		f->ops->leave(f);
}

void front_begin(struct front *f)
{
	f->keep_output = f->has_terminal && !f->stdout_is_it;
	f->wanted = f->has_terminal && f->stdin_is_it && f->stdout_is_it;
	settle_output(f);
	enter_terminal(f);
}

static void size_changed(struct front *f)
{
	struct winsize ws;

	if (terminal_size(&ws))
		f->ops->resize(f, &ws);
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

static bool is_from_terminal(const struct signalfd_siginfo *si)
{
	switch (si->ssi_signo) {
	case SIGHUP:
	case SIGINT:
	case SIGQUIT:
	case SIGTSTP:
	case SIGWINCH:
		return si->ssi_code == SI_KERNEL;
	default: /* timers that our caller has set, say */
		return false;
	}
}

/* Of a write that fails, of a child: what we do is not the program's. */
static bool is_ours(const struct signalfd_siginfo *si)
{
	switch (si->ssi_signo) {
	case SIGPIPE:
	case SIGXFSZ:
		return si->ssi_pid == (uint32_t)getpid();
	case SIGCHLD:
		return si->ssi_code > 0;
	default:
		return false;
	}
}

static void hand_on_one(struct front *f, const struct signalfd_siginfo *si)
{
	int sig = (int)si->ssi_signo;

	if (is_ours(si))
		return;
	switch (sig) {
	case SIGTTIN:
	case SIGTTOU: /* of our own doing */
		return;
	case SIGCONT:
		settle_output(f);
		enter_terminal(f);
		if (f->has_terminal)
			size_changed(f);
		f->ops->signal(f, sig, true);
		return;
	case SIGWINCH:
		if (f->has_terminal)
			size_changed(f);
		if (f->has_terminal && is_from_terminal(si))
			return;
		break;
	default:
		break;
	}
	f->ops->signal(f, sig, is_from_terminal(si)); /* to all in front of it */
}

static void hand_on(struct front *f, int sigfd)
{
	struct signalfd_siginfo si;

	while (read(sigfd, &si, sizeof(si)) == sizeof(si))
		hand_on_one(f, &si);
}

static struct front_news hear_news(struct front *f)
{
	struct front_news n = f->ops->news(f);

	if (n.wants_terminal) {
		f->wanted = true;
		enter_terminal(f);
	}
	if (n.stopped && !n.ended)
		stop_like(f, n.stopped);
	return n;
}

bool front_wait(struct front *f, int sigfd, int *ret_status)
{
	struct pollfd p[2] = { { .fd = f->news_fd, .events = POLLIN }, { .fd = sigfd, .events = POLLIN } };
	struct front_news n = { 0 };

	while (!n.ended && !n.lost) {
		bool held = f->held, waits = held || (f->wanted && !terminal_is_raw());

		if (poll(p, 2, waits ? LOOK_AGAIN_MS : -1) < 0) {
			if (errno == EINTR)
				continue;
			n.lost = true;
			break;
		}
		if (p[1].revents & POLLIN)
			hand_on(f, sigfd);
		if (waits) { /* a shell may have brought us to the front without a word */
			settle_output(f);
			enter_terminal(f);
		}
		if (p[0].revents || held)
			n = hear_news(f);
		if (!waits || n.ended || n.lost)
			continue;
		if (f->held && f->ops->writing(f))
			stop_like(f, SIGTTOU);
		else if (f->wanted && !terminal_is_raw() && f->has_shell && f->ops->reading(f))
			stop_like(f, SIGTTIN); /* as who reads in the background is */
	}
	if (n.lost)
		terminal_restore();
	else
		leave_terminal(f);
	*ret_status = n.status;
	return !n.lost;
}

/* --- the end -------------------------------------------------------------------------------------------------- */

static void die_by(int sig)
{
	sigset_t set;

	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	sigemptyset(&set);
	sigaddset(&set, sig);
	raise(sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* vmrun ends as the program did: by the same signal, without a core file of its own. */
int end_like(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	signal(WTERMSIG(status), SIG_DFL);
	die_by(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

void die_of_signal(int sigfd)
{
	struct signalfd_siginfo si;

	while (read(sigfd, &si, sizeof(si)) == sizeof(si))
		die_by((int)si.ssi_signo); /* returns if that signal does not kill, or our caller ignores it */
}
