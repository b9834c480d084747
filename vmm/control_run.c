/* SPDX-License-Identifier: MIT */
/* host syscalls: poll */
#include "vmm/control_run.h"

#include <asm/termbits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "emul/base/auto.h"
#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/proc/signal.h"
#include "vmm/console.h"
#include "vmm/plain.h"
#include "vmm/program.h"
#include "vmm/wire.h"

#define MAX_NUMBER (1 << 20)  /* of a descriptor: fs.nr_open as it comes */
#define LOOK_AGAIN_MS 250

struct run {
	int fd;
	struct program *p;
	struct console *con;   /* NULL: none */
	bool has_shell;
	bool input, reading, writing;
	bool ending;           /* the program has ended, what it wrote is held */
	bool begun;            /* the program runs, or could not */
	bool gone;             /* the caller is */
};

void control_send_error(int fd, int status, const char *text)
{
	wire_send(fd, json_pack("{s:s, s:i, s:o}", "event", "error", "status", status, "text", plain_text(text, strlen(text))), NULL, 0, NULL, 0);
}

static void tell(struct run *r, json_t *event)
{
	if (wire_send(r->fd, event, NULL, 0, NULL, 0) < 0)
		r->gone = true;
}

/* --- what is to run ------------------------------------------------------------------------------------------- */

/* Points v[0..n) into the blob's next strings, and v[n] to nothing. NULL: there are fewer; else what follows. */
static char *split(char *at, char *end, char **v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *nul = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;

		if (!nul)
			return NULL;
		v[i] = at;
		at = nul + 1;
	}
	v[n] = NULL;
	return at;
}

/* The strings of the blob; *ret_v to be freed. */
static bool read_strings(struct wire_message *m, struct program_config *cfg, char ***ret_v)
{
	json_int_t argc = wire_int(m, "argc", 0), envc = wire_int(m, "envc", 0);
	char *dirs[3], *at = m->blob, *end = m->blob + m->blob_len;

	if (argc < 1 || envc < 0 || argc > (json_int_t)m->blob_len || envc > (json_int_t)m->blob_len)
		return false;
	*ret_v = calloc((size_t)(argc + envc + 2), sizeof(char *));
	if (!*ret_v)
		return false;
	cfg->argv = *ret_v;
	cfg->envp = *ret_v + argc + 1;
	at = split(at, end, dirs, 2);
	if (at)
		at = split(at, end, cfg->argv, (size_t)argc);
	if (at)
		at = split(at, end, cfg->envp, (size_t)envc);
	if (at != end)
		return false;
	cfg->host_cwd = *dirs[0] ? dirs[0] : NULL;
	cfg->cwd = *dirs[1] ? dirs[1] : NULL;
	return true;
}

static bool read_numbers(struct wire_message *m, struct program_config *cfg, int numbers[WIRE_MAX_FDS])
{
	const json_t *list = json_object_get(m->json, "numbers");
	bool terminal = wire_bool(m, "terminal");
	size_t n = json_array_size(list);

	if (m->nfds != n + terminal)
		return false;
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_array_get(list, i);

		if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) >= MAX_NUMBER)
			return false;
		numbers[i] = (int)json_integer_value(v);
	}
	cfg->fds = m->fds;
	cfg->numbers = numbers;
	cfg->nfds = (unsigned)n;
	cfg->console = terminal ? m->fds[n] : -1;
	return true;
}

static bool read_facts(struct wire_message *m, struct program_config *cfg)
{
	json_int_t uid = wire_int(m, "uid", -1), gid = wire_int(m, "gid", uid);

	cfg->umask = (mode_t)wire_int(m, "umask", 022) & 0777;
	cfg->controlled = wire_bool(m, "controlled");
	cfg->has_shell = wire_bool(m, "has_shell");
	cfg->leads_session = wire_bool(m, "leads_session");
	cfg->leads_group = cfg->leads_session || wire_bool(m, "leads_group");
	cfg->ignored = (uint64_t)wire_int(m, "ignored", 0);
	cfg->blocked = (uint64_t)wire_int(m, "blocked", 0);
	cfg->cwd_deleted = cfg->host_cwd && wire_bool(m, "cwd_deleted");
	cfg->has_user = uid >= 0;
	cfg->uid = (uint32_t)uid;
	cfg->gid = (uint32_t)gid;
	return uid < UINT32_MAX && gid < UINT32_MAX && gid >= -1;
}

static void close_descriptors(struct wire_message *m)
{
	for (unsigned i = 0; i < m->nfds; i++)
		close(m->fds[i]);
	m->nfds = 0;
}

static int load(struct instance *in, pid_t pid, struct wire_message *m, struct program **ret, struct instance_error *err)
{
	struct program_config cfg = { .like = pid };
	int numbers[WIRE_MAX_FDS], r = -1;
	AUTO_FREE char **strings = NULL;

	strcpy(err->text, "the request makes no sense");
	if (read_strings(m, &cfg, &strings) && read_numbers(m, &cfg, numbers) && read_facts(m, &cfg))
		r = program_new(in, &cfg, ret, err);
	close_descriptors(m);
	return r;
}

/* false: it cannot, and the caller has been told. */
static bool begin(struct run *r)
{
	struct instance_error err;

	if (r->begun)
		return true;
	r->begun = true;
	if (program_start(r->p, &err) == 0)
		return true;
	control_send_error(r->fd, err.status, err.text);
	return false;
}

/* --- while it runs -------------------------------------------------------------------------------------------------- */

static void hand_on(struct run *r, const struct wire_message *m)
{
	json_int_t sig = wire_int(m, "signal", 0);

	if (sig <= 0 || sig > NSIG_LINUX)
		return;
	if (wire_bool(m, "front"))
		program_signal_front(r->p, (int)sig);
	else
		program_signal(r->p, (int)sig);
}

static void leave_terminal(struct run *r)
{
	if (!r->con)
		return;
	console_input(r->con, r->input = false);
	console_drain(r->con);
	console_host_processes(r->con, true);
}

static void enter_terminal(struct run *r, const struct wire_message *m)
{
	struct termios2 settings;

	if (!r->con)
		return;
	if (m->blob_len == sizeof(settings)) {
		memcpy(&settings, m->blob, sizeof(settings));
		console_settings(r->con, &settings);
	}
	console_host_processes(r->con, wire_bool(m, "host_processes"));
	if (wire_int(m, "echoed", 0) > 0)
		console_echoed(r->con, (unsigned long)wire_int(m, "echoed", 0));
	console_input(r->con, r->input = wire_bool(m, "input"));
}

static void resize(struct run *r, const struct wire_message *m)
{
	struct winsize ws = { (unsigned short)wire_int(m, "rows", 0), (unsigned short)wire_int(m, "cols", 0),
			      (unsigned short)wire_int(m, "width", 0), (unsigned short)wire_int(m, "height", 0) };

	if (r->con)
		console_resize(r->con, &ws);
}

static void hear_caller(struct run *r)
{
	struct wire_message m;
	const char *op;

	if (wire_recv(r->fd, &m, 0) < 0) {
		r->gone = true;
		return;
	}
	op = wire_text(&m, "op");
	if (!op)
		r->gone = true;
	else if (!strcmp(op, "go"))
		r->gone |= !begin(r);
	else if (!strcmp(op, "signal"))
		hand_on(r, &m);
	else if (!strcmp(op, "enter"))
		enter_terminal(r, &m);
	else if (!strcmp(op, "hold") && r->con)
		console_hold(r->con, wire_bool(&m, "yes"));
	else if (!strcmp(op, "size"))
		resize(r, &m);
	else if (!strcmp(op, "leave")) {
		leave_terminal(r);
		tell(r, json_pack("{s:s}", "event", "left"));
	}
	wire_message_fini(&m);
}

/* true: it has ended. */
static bool hear_program(struct run *r)
{
	struct program_news n = program_news(r->p);

	if (n.wants_terminal)
		tell(r, json_pack("{s:s}", "event", "wants-terminal"));
	if (n.stopped)
		tell(r, json_pack("{s:s, s:i}", "event", "stopped", "signal", n.stopped));
	r->ending = n.ended && r->con && console_holds(r->con);
	if (!n.ended || r->ending)
		return false;
	leave_terminal(r);
	tell(r, json_pack("{s:s, s:i}", "event", "exited", "status", n.status));
	return true;
}

static void look_at_console(struct run *r)
{
	bool reading = console_reading(r->con), writing = console_holds(r->con);

	if (reading != r->reading)
		tell(r, json_pack("{s:s, s:b}", "event", "reading", "yes", r->reading = reading));
	if (writing != r->writing)
		tell(r, json_pack("{s:s, s:b}", "event", "writing", "yes", r->writing = writing));
}

static void follow(struct run *r)
{
	struct pollfd p[2] = { { .fd = r->fd, .events = POLLIN }, { .fd = program_news_fd(r->p), .events = POLLIN } };
	bool ended = false;

	while (!ended && !r->gone) {
		bool look = r->con && r->has_shell && !r->input;

		if (poll(p, 2, look ? LOOK_AGAIN_MS : -1) < 0 && errno != EINTR)
			return;
		if (p[0].revents)
			hear_caller(r);
		if ((p[1].revents & POLLIN) || r->ending)
			ended = hear_program(r);
		if (look && !ended)
			look_at_console(r);
	}
}

void control_run(struct instance *in, int fd, pid_t pid, struct wire_message *m)
{
	struct instance_error err = { .status = STATUS_VMRUN };
	struct run r = { .fd = fd, .has_shell = wire_bool(m, "has_shell") };

	if (load(in, pid, m, &r.p, &err) < 0) {
		control_send_error(fd, err.status, err.text);
		return;
	}
	r.con = program_console(r.p);
	if (r.con || begin(&r)) {
		tell(&r, json_pack("{s:s, s:i}", "event", "started", "pid", (int)program_pid(r.p)));
		follow(&r);
		begin(&r); /* whatever its caller did: it exists */
	}
	program_leave(r.p, !wire_bool(m, "stays"));
}
