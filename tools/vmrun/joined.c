/* SPDX-License-Identifier: MIT */
/* The program runs in an instance that others use too: vmm/control.h has what is said to it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "emul/base/auto.h"
#include "emul/base/log.h"
#include "tools/vmrun/front.h"
#include "tools/vmrun/terminal.h"
#include "vmm/wire.h"

#define RETRIES 200
#define RETRY_US 50000
#define LEAVE_MS 5000

struct joined {
	struct front front;
	struct front_news heard; /* while we waited for something else */
	bool reading;
};

/* --- what is said ------------------------------------------------------------------------------------------- */

/* A connection that is gone shows when it is read. */
static void say(struct front *f, json_t *what)
{
	wire_send(f->news_fd, what, NULL, 0, NULL, 0);
}

static void hand_signal(struct front *f, int sig, bool front)
{
	say(f, json_pack("{s:s, s:i, s:b}", "op", "signal", "signal", sig, "front", front));
}

static void enter(struct front *f, bool input, bool host_processes)
{
	say(f, json_pack("{s:s, s:b, s:b}", "op", "enter", "input", input, "host_processes", host_processes));
}

static void resize(struct front *f, const struct winsize *ws)
{
	say(f, json_pack("{s:s, s:i, s:i, s:i, s:i}", "op", "size", "rows", ws->ws_row, "cols", ws->ws_col, "width", ws->ws_xpixel, "height",
			 ws->ws_ypixel));
}

/* --- what is heard ------------------------------------------------------------------------------------------- */

/* One message into j->heard. false: it was "left", or there is nobody. */
static bool hear(struct joined *j, int wait_ms)
{
	struct wire_message m;
	const char *event;
	bool more = true;
	int r = wire_recv(j->front.news_fd, &m, wait_ms);

	if (r < 0) {
		j->heard.lost |= r != -ETIMEDOUT;
		return false;
	}
	event = wire_text(&m, "event");
	if (!event) {
		j->heard.lost = true;
	} else if (!strcmp(event, "wants-terminal")) {
		j->heard.wants_terminal = true;
	} else if (!strcmp(event, "stopped")) {
		j->heard.stopped = (int)wire_int(&m, "signal", 0);
	} else if (!strcmp(event, "reading")) {
		j->reading = wire_bool(&m, "yes");
	} else if (!strcmp(event, "exited")) {
		j->heard.ended = true;
		j->heard.status = (int)wire_int(&m, "status", 0);
	} else if (!strcmp(event, "left")) {
		more = false;
	}
	wire_message_fini(&m);
	return more && !j->heard.lost;
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

/* --- the request -------------------------------------------------------------------------------------------------- */

struct request {
	json_t *numbers;
	int fds[WIRE_MAX_FDS];
	unsigned nfds;
	char *blob;
	size_t len;
};

/* What is open without close-on-exec, as execve would hand on. */
static int collect_descriptors(struct request *rq, int console)
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
		if (rq->nfds == WIRE_MAX_FDS - 1) {
			errno = EMFILE;
			r = -1;
		} else {
			rq->fds[rq->nfds++] = fd;
			r = json_array_append_new(rq->numbers, json_integer(fd));
		}
	}
	if (d)
		closedir(d);
	if (console >= 0)
		rq->fds[rq->nfds++] = console;
	return r;
}

static void put_string(FILE *f, const char *s)
{
	fwrite(s ? s : "", 1, s ? strlen(s) + 1 : 1, f);
}

static int put_strings(FILE *f, char **v)
{
	int n = 0;

	for (; v[n]; n++)
		put_string(f, v[n]);
	return n;
}

static json_t *build(const struct options *o, struct request *rq)
{
	const struct program_config *p = &o->program;
	FILE *f = open_memstream(&rq->blob, &rq->len);
	json_t *json;
	int argc, envc;

	if (!f)
		return NULL;
	put_string(f, p->host_cwd);
	put_string(f, p->cwd);
	argc = put_strings(f, p->argv);
	envc = put_strings(f, p->envp);
	if (fclose(f))
		return NULL;
	json = json_pack("{s:s, s:i, s:i, s:i, s:O, s:b, s:b, s:b, s:i, s:o}", "op", "run", "version", WIRE_VERSION, "argc", argc, "envc", envc, "numbers",
			 rq->numbers, "terminal", p->console >= 0, "controlled", p->controlled, "has_shell", p->has_shell, "umask", (int)p->umask, "given", options_given(o));
	if (json && p->has_user)
		json_object_update_new(json, json_pack("{s:I, s:I}", "uid", (json_int_t)p->uid, "gid", (json_int_t)p->gid));
	return json;
}

/* --- running -------------------------------------------------------------------------------------------------------- */

enum outcome { STARTED, REFUSED, AGAIN };

/* A signal that comes before the program is there is ours. */
static enum outcome await_start(int fd, int sigfd, struct instance_error *err)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = sigfd, .events = POLLIN } };
	enum outcome out = AGAIN;
	struct wire_message m;
	const char *event, *text;

	while (poll(p, 2, -1) < 0 || !p[0].revents)
		die_of_signal(sigfd);
	if (wire_recv(fd, &m, 0) < 0)
		return AGAIN;
	event = wire_text(&m, "event");
	text = wire_text(&m, "text");
	if (event && !strcmp(event, "started")) {
		out = STARTED;
	} else if (event && !strcmp(event, "error")) {
		err->status = (int)wire_int(&m, "status", STATUS_VMRUN);
		snprintf(err->text, sizeof(err->text), "%s", text ? text : "the instance refuses");
		out = REFUSED;
	}
	wire_message_fini(&m);
	return out;
}

static enum outcome try(struct options *o, struct request *rq, int sigfd, int *ret_fd, struct instance_error *err)
{
	bool started;
	json_t *json;
	int fd = join_instance(o, &started, err->text, sizeof(err->text)), r;
	enum outcome out;

	if (fd < 0)
		return REFUSED;
	if (log_verbose)
		log_write("note", "%s instance '%s'", started ? "started" : "joined", options_name(o));
	json = build(o, rq);
	r = wire_send(fd, json, rq->blob, rq->len, rq->fds, rq->nfds);
	free(steal(rq->blob));
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
	static const struct front_ops ops = { news, hand_signal, enter, leave, resize, reading };
	struct instance_error err = { .status = STATUS_VMRUN, .text = "the instance ends and does not start again: see vmctl logs" };
	struct joined j = { .front = { .ops = &ops, .has_shell = o->program.has_shell, .has_terminal = o->program.console >= 0 } };
	struct request rq = { .numbers = json_array() };
	enum outcome out = AGAIN;
	int status;

	if (!rq.numbers || collect_descriptors(&rq, o->program.console) < 0) {
		snprintf(err.text, sizeof(err.text), "cannot hand on open descriptors: %s", strerror(errno));
		return complain(STATUS_VMRUN, err.text);
	}
	for (int i = 0; i < RETRIES && out == AGAIN; i++) {
		if (i > 1)
			usleep(RETRY_US);
		out = try(o, &rq, sigfd, &j.front.news_fd, &err);
	}
	if (out != STARTED)
		return complain(err.status, err.text);
	j.front.stdin_is_it = j.front.has_terminal && terminal_is(0);
	j.front.stdout_is_it = j.front.has_terminal && terminal_is(1);
	if (front_wait(&j.front, sigfd, &status))
		return end_like(status);
	return complain(STATUS_VMRUN, "the instance ended before the program: see vmctl logs");
}
