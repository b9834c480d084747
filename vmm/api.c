/* SPDX-License-Identifier: MIT */
/*
 * vmrun.h: the library that is linked into applications. An instance is another process, the vmrun command with --serve, so nothing
 * here knows of virtual machines: it starts that process, holds it by a connection (control.h, "hold"), and has a connection more for
 * each program. Whoever is the application: threads, signal dispositions and descriptors of others are left alone.
 */
#include "vmm/vmrun.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "emul/base/auto.h"
#include "emul/base/types.h"
#include "vmm/client.h"
#include "vmm/meeting.h"
#include "vmm/wire.h"

#define START_MS 30000
#define ANSWER_MS 20000
#define GONE_MS 10000
#define LINE_MAX_ 1024
#define OWN_FDS 16 /* ours are moved above the numbers that the new process gets */

struct vmrun {
	/* constant */
	char name[MEETING_NAME_MAX + 1];
	bool own_name;       /* nobody will look for it once it is over */
	char *directory;     /* inside, too; NULL: none */
	int hold_fd;         /* closed: it is to be over */
	int pidfd;
	pid_t pid;
	/* the log's thread */
	bool has_reader;
	pthread_t reader;
	int log_fd;          /* until it has nothing to read any more */
	void (*log)(void *arg, const char *line);
	void *log_arg;
};

struct vmrun_process {
	int fd;
	pid_t pid;
	bool ended;
	int status;
};

static int fail(struct vmrun_error *err, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int fail(struct vmrun_error *err, int status, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -1;
	err->status = status;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -1;
}

const char *vmrun_version(void)
{
	return VMRUN_VERSION;
}

/* What the other side's header did not know yet is 0. */
static void copy_in(void *to, size_t size, const void *from, size_t from_size)
{
	memset(to, 0, size);
	memcpy(to, from, MIN(size, from_size));
}

/* --- the log -------------------------------------------------------------------------------------------------------- */

struct lines { char buf[LINE_MAX_]; size_t len; };

/* "vmrun: " is what messages begin with on a terminal. */
static void tell_line(struct vmrun *vm, char *line)
{
	vm->log(vm->log_arg, strncmp(line, "vmrun: ", 7) ? line : line + 7);
}

/* false: the writer has gone. */
static bool read_lines(struct vmrun *vm, struct lines *l)
{
	ssize_t n = read(vm->log_fd, l->buf + l->len, sizeof(l->buf) - 1 - l->len);
	char *end;

	if (n <= 0)
		return n < 0 && errno == EINTR;
	l->len += (size_t)n;
	while ((end = memchr(l->buf, '\n', l->len)) || l->len == sizeof(l->buf) - 1) {
		size_t len = end ? (size_t)(end - l->buf) : l->len;

		l->buf[len] = '\0';
		tell_line(vm, l->buf);
		len += end != NULL;
		l->len -= len;
		memmove(l->buf, l->buf + len, l->len);
	}
	return true;
}

/* Until the instance's process has gone. */
static void *read_log(void *arg)
{
	struct lines l = { .len = 0 };

	while (read_lines(arg, &l))
		;
	return NULL;
}

static int start_reader(struct vmrun *vm)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&vm->reader, NULL, read_log, vm);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	vm->has_reader = r == 0;
	return r;
}

/* What the command had to say when it did not become an instance: the last line of it. */
static void last_words(int fd, char *ret, size_t size)
{
	char buf[4096], *line, *end;
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	n = read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return;
	buf[n] = '\0';
	end = strrchr(buf, '\n');
	if (end)
		*end = '\0';
	line = strrchr(buf, '\n');
	line = line ? line + 1 : buf;
	snprintf(ret, size, "%.*s", (int)size - 1, strncmp(line, "vmrun: ", 7) ? line : line + 7);
}

/* --- starting one ------------------------------------------------------------------------------------------------------ */

/* A command line. It is freed as a whole. */
struct args { char **v; size_t n; bool failed; };

static void add(struct args *a, const char *text)
{
	char **v = reallocarray(a->v, a->n + 2, sizeof(*v));

	a->failed |= !v;
	if (!v)
		return;
	a->v = v;
	v[a->n] = strdup(text);
	a->failed |= !v[a->n];
	a->n += v[a->n] != NULL;
	v[a->n] = NULL;
}

static void add_option(struct args *a, const char *name, const char *value)
{
	if (!value)
		return;
	add(a, name);
	add(a, value);
}

static void add_number(struct args *a, const char *name, unsigned long value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lu", value);
	add_option(a, name, value ? text : NULL);
}

static void add_all(struct args *a, const char *name, const char *const *values)
{
	for (; values && *values; values++)
		add_option(a, name, *values);
}

static void args_fini(struct args *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i]);
	free(a->v);
}

static void command_line(struct args *a, const struct vmrun *vm, const struct vmrun_options *o)
{
	char real[2 * 4096 + 2];

	add(a, "vmrun");
	add_option(a, "--serve", o->log ? "3:4" : "3");
	add_option(a, "--name", vm->name);
	add_number(a, "--memory", o->memory);
	add_number(a, "--max-threads", o->max_threads);
	add_option(a, "--rootfs", o->rootfs);
	add_option(a, "--net", o->net);
	add_option(a, "--pcap", o->pcap);
	add_all(a, "--volume", o->volumes);
	add_all(a, "--publish", o->publish);
	if (o->rootfs && vm->directory) {
		snprintf(real, sizeof(real), "%s:%s", vm->directory, vm->directory);
		add_option(a, "--volume", real);
	}
}

static const char *command_path(const struct vmrun_options *o)
{
	const char *env = secure_getenv("VMRUN_COMMAND");

	return o->command ? o->command : env ? env : VMRUN_COMMAND;
}

/* The numbers are those of command_line(); nothing else is open there. */
static int describe_child(posix_spawn_file_actions_t *fa, posix_spawnattr_t *attr, const char *directory, int listen_fd, int log_fd)
{
	sigset_t all, none;
	int r;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawnattr_setsigdefault(attr, &all);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
	r = posix_spawn_file_actions_addopen(fa, 0, "/dev/null", O_RDWR, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(fa, 0, 1);
	if (!r)
		r = posix_spawn_file_actions_adddup2(fa, log_fd, 2);
	if (!r)
		r = posix_spawn_file_actions_adddup2(fa, listen_fd, 3);
	if (!r)
		r = posix_spawn_file_actions_adddup2(fa, log_fd, 4);
	if (!r)
		r = posix_spawn_file_actions_addclosefrom_np(fa, 5);
	return r ? r : posix_spawn_file_actions_addchdir_np(fa, directory ? directory : "/");
}

/* The command makes the instance its child, which nobody has to wait for, and ends. */
static int spawn(const struct vmrun *vm, const struct vmrun_options *o, int listen_fd, int log_fd, struct vmrun_error *err)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	struct args a = { 0 };
	int r = ENOMEM, status;
	pid_t pid;

	command_line(&a, vm, o);
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	if (!a.failed)
		r = describe_child(&fa, &attr, vm->directory, listen_fd, log_fd);
	if (!r)
		r = posix_spawn(&pid, command_path(o), &fa, &attr, a.v, environ);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	args_fini(&a);
	if (r)
		return fail(err, STATUS_VMRUN, "%s: %s", command_path(o), strerror(r));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return 0;
}

/* A copy above what the child's numbers are; the old one is closed. */
static int move_up(int fd)
{
	int r = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, OWN_FDS);

	if (fd >= 0)
		close(fd);
	return r;
}

/* The socket listens before the process is there: the connection to hold it waits in its queue. */
static int meet(struct vmrun *vm, const struct vmrun_options *o, int log_w, struct vmrun_error *err)
{
	char text[512];
	struct meeting m;
	AUTO_FD lock = -1, listen_fd = -1;

	if (meeting_of(vm->name, &m, text, sizeof(text)) < 0)
		return fail(err, STATUS_VMRUN, "%s", text);
	lock = meeting_lock(&m);
	if (lock < 0)
		return fail(err, STATUS_VMRUN, "%s: %s", m.lock, strerror(-lock));
	vm->hold_fd = meeting_connect(&m, -1);
	if (vm->hold_fd >= 0)
		return fail(err, STATUS_VMRUN, "an instance '%s' runs already", vm->name);
	listen_fd = move_up(meeting_listen(&m));
	if (listen_fd < 0)
		return fail(err, STATUS_VMRUN, "%s: cannot listen", m.sock);
	if (spawn(vm, o, listen_fd, log_w, err) < 0)
		return -1;
	vm->hold_fd = meeting_connect(&m, -1);
	return vm->hold_fd < 0 ? fail(err, STATUS_VMRUN, "%s: %s", m.sock, strerror(-vm->hold_fd)) : 0;
}

static int hold(struct vmrun *vm, struct vmrun_error *err)
{
	struct client_event e = { .what = CLIENT_LOST };

	if (wire_send(vm->hold_fd, json_pack("{s:s}", "op", "hold"), NULL, 0, NULL, 0) == 0)
		client_hear(vm->hold_fd, START_MS, &e);
	if (e.what == CLIENT_REFUSED)
		return fail(err, e.number, "%s", e.text);
	if (e.what != CLIENT_HELD) {
		snprintf(e.text, sizeof(e.text), "the instance does not start");
		last_words(vm->log_fd, e.text, sizeof(e.text));
		return fail(err, STATUS_VMRUN, "%s", e.text);
	}
	vm->pid = e.number;
	vm->pidfd = (int)syscall(SYS_pidfd_open, vm->pid, 0);
	return vm->pidfd < 0 ? fail(err, STATUS_VMRUN, "pidfd_open: %s", strerror(errno)) : 0;
}

static int start(struct vmrun *vm, const struct vmrun_options *o, struct vmrun_error *err)
{
	AUTO_FD log_w = -1;
	int p[2], r;

	if (pipe2(p, O_CLOEXEC) < 0)
		return fail(err, STATUS_VMRUN, "pipe: %s", strerror(errno));
	vm->log_fd = p[0];
	log_w = move_up(p[1]);
	if (log_w < 0 || fcntl(log_w, F_SETFL, O_NONBLOCK) < 0) /* who does not read holds up nobody */
		return fail(err, STATUS_VMRUN, "no descriptors: %s", strerror(errno));
	r = meet(vm, o, log_w, err);
	close(steal_fd(log_w));
	return r < 0 ? r : hold(vm, err);
}

static int name_it(struct vmrun *vm, const char *name, struct vmrun_error *err)
{
	static _Atomic unsigned long next;

	vm->own_name = !name;
	if (!name)
		snprintf(vm->name, sizeof(vm->name), "%d-%lu", getpid(), atomic_fetch_add(&next, 1));
	else if (meeting_name_ok(name))
		snprintf(vm->name, sizeof(vm->name), "%s", name);
	else
		return fail(err, STATUS_VMRUN, "the name is not up to %d letters, digits, '.', '_' and '-'", MEETING_NAME_MAX);
	return 0;
}

static int build(struct vmrun *vm, const struct vmrun_options *o, struct vmrun_error *err)
{
	int r;

	if (name_it(vm, o->name, err) < 0)
		return -1;
	if (o->directory) {
		vm->directory = realpath(o->directory, NULL);
		if (!vm->directory)
			return fail(err, STATUS_VMRUN, "%s: %s", o->directory, strerror(errno));
	}
	if (start(vm, o, err) < 0)
		return -1;
	if (!o->log) {
		close(vm->log_fd);
		vm->log_fd = -1;
		return 0;
	}
	r = start_reader(vm);
	return r ? fail(err, STATUS_VMRUN, "no thread: %s", strerror(r)) : 0;
}

int vmrun_new(const struct vmrun_options *options, struct vmrun **ret, struct vmrun_error *err)
{
	struct vmrun *vm = calloc(1, sizeof(*vm));
	struct vmrun_options o = VMRUN_OPTIONS_INIT;

	if (!vm)
		return fail(err, STATUS_VMRUN, "out of memory");
	if (options)
		copy_in(&o, sizeof(o), options, options->size);
	vm->hold_fd = vm->pidfd = vm->log_fd = -1;
	vm->log = o.log;
	vm->log_arg = o.log_arg;
	if (build(vm, &o, err) < 0) {
		vmrun_free(vm);
		return -1;
	}
	*ret = vm;
	return 0;
}

const char *vmrun_name(const struct vmrun *vm)
{
	return vm->name;
}

pid_t vmrun_pid(const struct vmrun *vm)
{
	return vm->pid;
}

int vmrun_fd(const struct vmrun *vm)
{
	return vm->pidfd;
}

/* --- its end ----------------------------------------------------------------------------------------------------------- */

static bool wait_readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	do
		r = poll(&p, 1, ms);
	while (r < 0 && errno == EINTR);
	return r > 0;
}

int vmrun_alive(const struct vmrun *vm)
{
	return !wait_readable(vm->pidfd, 0);
}

/* Consumes what. The answer, to be json_decref'ed; NULL: err. */
static json_t *ask(struct vmrun *vm, json_t *what, int wait_ms, struct vmrun_error *err)
{
	char text[512];
	struct meeting m;
	json_t *r = NULL;
	int e = -ENOENT;

	if (meeting_of(vm->name, &m, text, sizeof(text)) < 0)
		json_decref(what);
	else
		e = client_ask(&m, what, wait_ms, &r, text, sizeof(text));
	if (e)
		fail(err, STATUS_VMRUN, "%s", e < 0 ? "the instance is over, or does not answer" : text);
	return r;
}

/* What it may be doing does not matter. */
static bool finish(struct vmrun *vm)
{
	if (vm->hold_fd >= 0)
		close(vm->hold_fd);
	vm->hold_fd = -1;
	if (vm->pidfd < 0 || wait_readable(vm->pidfd, GONE_MS))
		return true;
	syscall(SYS_pidfd_send_signal, vm->pidfd, SIGKILL, NULL, 0);
	return wait_readable(vm->pidfd, GONE_MS);
}

int vmrun_stop(struct vmrun *vm, int timeout_ms, struct vmrun_error *err)
{
	json_t *answer;
	int killed;

	if (!vmrun_alive(vm))
		return fail(err, STATUS_VMRUN, "the instance is over");
	timeout_ms = MAX(timeout_ms, 0);
	answer = ask(vm, json_pack("{s:s, s:b, s:i}", "op", "stop", "force", 0, "wait_ms", timeout_ms), timeout_ms + ANSWER_MS, NULL);
	killed = !answer;
	json_decref(answer);
	return finish(vm) ? killed : fail(err, STATUS_VMRUN, "the instance's process does not go");
}

static void remove_files(const char *name)
{
	char text[512], old[120];
	struct meeting m;

	if (!name[0] || meeting_of(name, &m, text, sizeof(text)) < 0)
		return;
	snprintf(old, sizeof(old), "%s.1", m.log);
	unlink(m.sock);
	unlink(m.lock);
	unlink(m.log);
	unlink(old);
}

void vmrun_free(struct vmrun *vm)
{
	if (!vm)
		return;
	if (finish(vm) && vm->own_name)
		remove_files(vm->name);
	if (vm->has_reader)
		pthread_join(vm->reader, NULL);
	if (vm->log_fd >= 0)
		close(vm->log_fd);
	if (vm->pidfd >= 0)
		close(vm->pidfd);
	free(vm->directory);
	free(vm);
}

/* --- what it does ---------------------------------------------------------------------------------------------------------- */

static unsigned long number(const json_t *o, const char *name)
{
	return (unsigned long)json_integer_value(json_object_get(o, name));
}

int vmrun_stats(struct vmrun *vm, struct vmrun_stats *stats, struct vmrun_error *err)
{
	json_t *r = ask(vm, json_pack("{s:s}", "op", "stats"), ANSWER_MS, err);
	const json_t *m = json_object_get(r, "memory");
	size_t size = stats->size;
	struct vmrun_stats s = {
		.size = size,
		.age_ms = number(r, "age_ms"),
		.processes = number(r, "processes"),
		.threads = number(r, "threads"),
		.sockets = number(r, "sockets"),
		.memory_limit = number(m, "total"),
		.memory_used = number(m, "total") - number(m, "free"),
		.memory_programs = number(m, "anonymous"),
		.memory_shared = number(m, "shared"),
		.memory_cached = number(m, "cached"),
		.cpu_ns = number(r, "cpu_ns"),
		.calls = number(r, "calls"),
		.exits = number(r, "exits"),
	};

	if (!r)
		return -1;
	json_decref(r);
	copy_in(stats, size, &s, sizeof(s));
	return 0;
}

/* --- programs ---------------------------------------------------------------------------------------------------------------- */

static int describe(const struct vmrun *vm, const struct vmrun_program *p, struct program_config *cfg, int numbers[], int fds[], struct vmrun_error *err)
{
	static const struct vmrun_descriptor usual[] = { { 0, 0 }, { 1, 1 }, { 2, 2 } };
	static char *const nothing[] = { NULL };
	const struct vmrun_descriptor *d = p->descriptors ? p->descriptors : usual;
	unsigned n = p->descriptors ? p->ndescriptors : ARRAY_SIZE(usual);

	if (!p->argv || !p->argv[0])
		return fail(err, STATUS_VMRUN, "no program given");
	if (n >= WIRE_MAX_FDS)
		return fail(err, STATUS_VMRUN, "too many descriptors");
	for (unsigned i = 0; i < n; i++) {
		if (fcntl(d[i].ours, F_GETFD) < 0)
			return fail(err, STATUS_VMRUN, "descriptor %d is not open", d[i].ours);
		numbers[i] = d[i].inside;
		fds[i] = d[i].ours;
	}
	*cfg = (struct program_config){
		.argv = (char **)(uintptr_t)p->argv,
		.envp = p->envp ? (char **)(uintptr_t)p->envp : (char **)(uintptr_t)nothing,
		.cwd = p->cwd ? p->cwd : vm->directory,
		.umask = p->umask ? p->umask : 022,
		.has_user = p->has_user,
		.uid = p->uid,
		.gid = p->gid,
		.console = -1,
		.leads_session = true,
		.leads_group = true,
		.fds = fds,
		.numbers = numbers,
		.nfds = n,
	};
	return 0;
}

static int request(struct vmrun *vm, const struct program_config *cfg, struct vmrun_process *p, struct vmrun_error *err)
{
	struct client_event e;
	struct meeting m;
	char text[512];
	int r;

	if (meeting_of(vm->name, &m, text, sizeof(text)) < 0)
		return fail(err, STATUS_VMRUN, "%s", text);
	p->fd = meeting_connect(&m, -1);
	if (p->fd < 0)
		return fail(err, STATUS_VMRUN, "the instance is over");
	r = client_request(p->fd, cfg, true, json_object());
	if (r == -E2BIG || r == -ENOMEM)
		return fail(err, STATUS_VMRUN, "%s", strerror(-r));
	client_hear(p->fd, ANSWER_MS, &e); /* even if not all could be sent: it may have said why */
	if (e.what == CLIENT_REFUSED)
		return fail(err, e.number, "%s", e.text);
	if (e.what != CLIENT_STARTED)
		return fail(err, STATUS_VMRUN, "the instance is over, or does not answer");
	p->pid = e.number;
	return 0;
}

int vmrun_start(struct vmrun *vm, const struct vmrun_program *program, struct vmrun_process **ret, struct vmrun_error *err)
{
	struct vmrun_process *p = calloc(1, sizeof(*p));
	int numbers[WIRE_MAX_FDS], fds[WIRE_MAX_FDS];
	struct program_config cfg;
	struct vmrun_program own;

	if (!p)
		return fail(err, STATUS_VMRUN, "out of memory");
	p->fd = -1;
	copy_in(&own, sizeof(own), program, program->size);
	if (describe(vm, &own, &cfg, numbers, fds, err) < 0 || request(vm, &cfg, p, err) < 0) {
		vmrun_process_free(p);
		return -1;
	}
	*ret = p;
	return 0;
}

pid_t vmrun_process_pid(const struct vmrun_process *p)
{
	return p->pid;
}

int vmrun_process_fd(const struct vmrun_process *p)
{
	return p->fd;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int vmrun_wait(struct vmrun_process *p, int timeout_ms, int *ret_status, struct vmrun_error *err)
{
	int64_t until = now_ms() + timeout_ms;
	struct client_event e = { .what = CLIENT_NOTHING };

	while (!p->ended) {
		int64_t left = timeout_ms < 0 ? -1 : MAX(until - now_ms(), 0);

		client_hear(p->fd, (int)left, &e);
		if (e.what == CLIENT_LOST)
			return fail(err, STATUS_VMRUN, "the instance is over, and the program with it");
		if (e.what == CLIENT_NOTHING && left >= 0)
			return 0;
		p->ended = e.what == CLIENT_EXITED;
		p->status = e.number;
	}
	if (ret_status)
		*ret_status = p->status;
	return 1;
}

int vmrun_kill(struct vmrun_process *p, int sig, struct vmrun_error *err)
{
	if (sig <= 0 || sig > 64)
		return fail(err, STATUS_VMRUN, "%d is no signal", sig);
	if (vmrun_wait(p, 0, NULL, err) < 0)
		return -1;
	if (!p->ended && client_signal(p->fd, sig, false) < 0 && vmrun_wait(p, 0, NULL, err) < 0)
		return -1;
	return 0;
}

void vmrun_process_free(struct vmrun_process *p)
{
	if (!p)
		return;
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}
