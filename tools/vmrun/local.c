/* SPDX-License-Identifier: MIT */
/* --new: the instance is this process. */
#include <sys/resource.h>
#include <sys/wait.h>

#include "emul/base/log.h"
#include "tools/vmrun/front.h"
#include "tools/vmrun/terminal.h"
#include "vmm/console.h"

struct local {
	struct front front;
	struct program *program;
};

static struct program *program_of(struct front *f)
{
	return ((struct local *)f)->program;
}

static struct front_news news(struct front *f)
{
	struct program_news n = program_news(program_of(f));

	n.ended = n.ended && !(f->held && console_holds(program_console(program_of(f))));
	return (struct front_news){ .wants_terminal = n.wants_terminal, .stopped = n.stopped, .ended = n.ended, .status = n.status };
}

static void hand_signal(struct front *f, int sig, bool front)
{
	if (front)
		program_signal_front(program_of(f), sig);
	else
		program_signal(program_of(f), sig);
}

static void enter(struct front *f, bool input, bool host_processes, unsigned echoed, const struct termios2 *changed)
{
	if (changed)
		console_settings(program_console(program_of(f)), changed);
	console_host_processes(program_console(program_of(f)), host_processes);
	if (echoed)
		console_echoed(program_console(program_of(f)), echoed);
	console_input(program_console(program_of(f)), input);
}

static void leave(struct front *f)
{
	struct console *con = program_console(program_of(f));

	console_input(con, false);
	console_drain(con);
	console_host_processes(con, true);
}

static void hold(struct front *f, bool yes)
{
	console_hold(program_console(program_of(f)), yes);
}

static void resize(struct front *f, const struct winsize *ws)
{
	console_resize(program_console(program_of(f)), ws);
}

static bool reading(struct front *f)
{
	return console_reading(program_console(program_of(f)));
}

static bool writing(struct front *f)
{
	return console_holds(program_console(program_of(f)));
}

int local_run(struct options *o, int sigfd)
{
	static const struct front_ops ops = { news, hand_signal, enter, leave, hold, resize, reading, writing };
	struct instance_error err = { .status = STATUS_VMRUN };
	struct local l = { .front = { .ops = &ops, .has_shell = o->program.has_shell } };
	struct rlimit64 limits[RLIM_NLIMITS];
	struct console *con;
	struct instance *in;
	int status;

	o->program.limits = limits;
	if (instance_raise_limits(limits, &err) < 0 || instance_new(&o->cfg, &in, &err) < 0)
		return complain(err.status, err.text);
	if (log_verbose)
		log_write("note", "running on %s", instance_platform_name(in));
	if (program_new(in, &o->program, &l.program, &err) < 0)
		return complain(err.status, err.text);
	con = program_console(l.program);
	l.front.has_terminal = con;
	l.front.stops_writers = front_stops_writers(o);
	l.front.stdin_is_it = con && console_is(con, 0);
	l.front.stdout_is_it = con && console_is(con, 1);
	l.front.news_fd = program_news_fd(l.program);
	front_begin(&l.front);
	if (program_start(l.program, &err) < 0) {
		terminal_restore();
		return complain(err.status, err.text);
	}
	front_wait(&l.front, sigfd, &status);
	if (o->stats)
		instance_print_stats(in, 2);
	instance_leave(in);
	return end_like(status);
}
