/* SPDX-License-Identifier: MIT */
/* The program runs in an instance that others use too: vmm/control.h has what is said to it. */
#include <asm/termbits.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "emul/base/auto.h"
#include "emul/base/log.h"
#include "tools/vmrun/front.h"
#include "tools/vmrun/terminal.h"
#include "vmm/client.h"
#include "vmm/wire.h"

#define RETRIES 200
#define RETRY_US 50000
#define LEAVE_MS 5000

struct joined {
	struct front front;
	struct front_news heard; /* while we waited for something else */
	bool reading, writing;
};

/* --- what is said ------------------------------------------------------------------------------------------- */

/* A connection that is gone shows when it is read. */
static void say(struct front *f, json_t *what)
{
	wire_send(f->news_fd, what, NULL, 0, NULL, 0);
}

static void hand_signal(struct front *f, int sig, bool front)
{
	client_signal(f->news_fd, sig, front);
}

static void enter(struct front *f, bool input, bool host_processes, unsigned echoed, const struct termios2 *changed)
{
	json_t *what = json_pack("{s:s, s:b, s:b, s:i}", "op", "enter", "input", input, "host_processes", host_processes, "echoed",
				 (int)echoed);

	wire_send(f->news_fd, what, changed, changed ? sizeof(*changed) : 0, NULL, 0);
}

static void hold(struct front *f, bool yes)
{
	say(f, json_pack("{s:s, s:b}", "op", "hold", "yes", yes));
}

static void resize(struct front *f, const struct winsize *ws)
{
	say(f, json_pack("{s:s, s:i, s:i, s:i, s:i}", "op", "size", "rows", ws->ws_row, "cols", ws->ws_col, "width", ws->ws_xpixel, "height",
			 ws->ws_ypixel));
}

/* --- what is heard ------------------------------------------------------------------------------------------- */

/* One event into j->heard. false: it was "left", or there is nobody. */
static bool hear(struct joined *j, int wait_ms)
{
	struct client_event e;

	client_hear(j->front.news_fd, wait_ms, &e);
	switch (e.what) {
	case CLIENT_NOTHING:
	case CLIENT_LEFT:
		return false;
	case CLIENT_LOST:
		j->heard.lost = true;
		return false;
	case CLIENT_WANTS_TERMINAL:
		j->heard.wants_terminal = true;
		break;
	case CLIENT_STOPPED:
		j->heard.stopped = e.number;
		break;
	case CLIENT_READING:
		j->reading = e.number;
		break;
	case CLIENT_WRITING:
		j->writing = e.number;
		break;
	case CLIENT_EXITED:
		j->heard.ended = true;
		j->heard.status = e.number;
		break;
	default:
		break;
	}
	return true;
}

static struct front_news news(struct front *f)
{
	struct joined *j = (struct joined *)f;
	struct front_news n;

	if (!j->heard.ended)
		hear(j, 0);
	n = j->heard;
	j->heard.wants_terminal = false;
	j->heard.stopped = 0;
	return n;
}

/* The other side drains the terminal before it says that the program has ended. */
static void leave(struct front *f)
{
	struct joined *j = (struct joined *)f;

	if (j->heard.ended)
		return;
	say(f, json_pack("{s:s}", "op", "leave"));
	while (hear(j, LEAVE_MS) && !j->heard.ended)
		;
}

static bool reading(struct front *f)
{
	return ((struct joined *)f)->reading;
}

static bool writing(struct front *f)
{
	return ((struct joined *)f)->writing;
}

/* --- the request -------------------------------------------------------------------------------------------------- */

struct descriptors { int fds[WIRE_MAX_FDS]; unsigned n; };

/* What is open without close-on-exec, as execve would hand on. */
static int collect_descriptors(struct descriptors *ret)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int r = d ? 0 : -1;

	while (r == 0 && (e = readdir(d))) {
		int fd = atoi(e->d_name), flags;

		if (e->d_name[0] == '.' || fd == dirfd(d))
			continue;
		flags = fcntl(fd, F_GETFD);
		if (flags < 0 || (flags & FD_CLOEXEC))
			continue;
		if (ret->n == WIRE_MAX_FDS - 1) {
			errno = EMFILE;
			r = -1;
		} else {
			ret->fds[ret->n++] = fd;
		}
	}
	if (d)
		closedir(d);
	return r;
}

/* --- running -------------------------------------------------------------------------------------------------------- */

enum outcome { STARTED, REFUSED, AGAIN };

/* A signal that comes before the program is there is ours. */
static enum outcome await_start(int fd, int sigfd, struct instance_error *err)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = sigfd, .events = POLLIN } };
	struct client_event e;

	while (poll(p, 2, -1) < 0 || !p[0].revents)
		die_of_signal(sigfd);
	client_hear(fd, 0, &e);
	if (e.what == CLIENT_STARTED)
		return STARTED;
	if (e.what != CLIENT_REFUSED)
		return AGAIN;
	err->status = e.number;
	snprintf(err->text, sizeof(err->text), "%s", e.text);
	return REFUSED;
}

static enum outcome try(struct options *o, int sigfd, int *ret_fd, struct instance_error *err)
{
	sigset_t none, taken;
	enum outcome out;
	bool started;
	int fd, r;

	/* Somebody may keep us waiting: a signal that ends us does so at once. */
	sigemptyset(&none);
	sigaddset(&none, SIGPIPE);
	sigprocmask(SIG_SETMASK, &none, &taken);
	fd = join_instance(o, &started, err->text, sizeof(err->text));
	sigprocmask(SIG_SETMASK, &taken, NULL);
	if (fd < 0)
		return REFUSED;
	if (log_verbose)
		log_write("note", "%s instance '%s'", started ? "started" : "joined", options_name(o));
	r = client_request(fd, &o->program, false, options_given(o));
	if (r == -E2BIG || r == -ENOMEM) {
		snprintf(err->text, sizeof(err->text), "%s", strerror(-r));
		close(fd);
		return REFUSED;
	}
	out = await_start(fd, sigfd, err); /* even if not all could be sent: it may have said why */
	if (out == STARTED)
		*ret_fd = fd;
	else
		close(fd);
	return out;
}

int joined_run(struct options *o, int sigfd)
{
	static const struct front_ops ops = { news, hand_signal, enter, leave, hold, resize, reading, writing };
	struct instance_error err = { .status = STATUS_VMRUN, .text = "the instance ends and does not start again: see vmctl logs" };
	struct joined j = { .front = { .ops = &ops, .has_shell = o->program.has_shell, .has_terminal = o->program.console >= 0 } };
	struct descriptors own = { .n = 0 };
	enum outcome out = AGAIN;
	int status;

	if (collect_descriptors(&own) < 0) {
		snprintf(err.text, sizeof(err.text), "cannot hand on open descriptors: %s (at most %d)", strerror(errno), WIRE_MAX_FDS - 1);
		return complain(STATUS_VMRUN, err.text);
	}
	o->program.fds = o->program.numbers = own.fds;
	o->program.nfds = own.n;
	for (int i = 0; i < RETRIES && out == AGAIN; i++) {
		if (i > 1)
			usleep(RETRY_US);
		out = try(o, sigfd, &j.front.news_fd, &err);
	}
	if (out != STARTED)
		return complain(err.status, err.text);
	j.front.stops_writers = front_stops_writers(o);
	j.front.stdin_is_it = j.front.has_terminal && terminal_is(0);
	j.front.stdout_is_it = j.front.has_terminal && terminal_is(1);
	front_begin(&j.front);
	if (j.front.has_terminal)
		say(&j.front, json_pack("{s:s}", "op", "go"));
	if (front_wait(&j.front, sigfd, &status))
		return end_like(status);
	return complain(STATUS_VMRUN, "the instance ended before the program: see vmctl logs");
}
