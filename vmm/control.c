/* SPDX-License-Identifier: MIT */
/* host syscalls: accept4 poll clone3 unlink flock exit_group eventfd2 */
#include "vmm/control.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "emul/base/auto.h"
#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/base/mutex.h"
#include "emul/proc/task.h"
#include "vmm/control_run.h"
#include "vmm/plain.h"
#include "vmm/report.h"
#include "vmm/wire.h"

#define CALLERS_MAX 1024
#define CALLER_STACK ((size_t)256 << 10)
#define FIRST_CALL_MS 5000  /* whoever started us calls at once */
#define STOP_MS 5000
#define STOP_MAX_MS 600000
#define STOP_STEP_MS 10
#define FULL_US 20000       /* no descriptor for a caller: look again */

struct server {
	/* constant */
	struct instance *in;
	const char *name;
	const struct meeting *meeting;
	struct stat sock;         /* our name, if it is still ours */
	int listen_fd, idle_fd;
	int spare_fd;             /* of the main thread: what a caller can still be taken with when programs have used up all; -1: gone */
	json_t *options;
	struct timespec started;

	struct mutex lock;
	/* lock: */
	unsigned ncallers;        /* connections */
	unsigned nruns;           /* of these with a program, or about to have one, or to stop all */
	bool used;                /* there was one */
	unsigned stopping;        /* no new ones */
	bool ending;
};

struct caller {
	struct server *s;
	int fd;
	pid_t pid;
};

/* --- who keeps the instance alive --------------------------------------------------------------------------- */

static void poke(void *arg)
{
	struct server *s = arg;
	uint64_t one = 1;

	if (write(s->idle_fd, &one, sizeof(one)) < 0)
		log_warn("cannot say that the instance is idle");
}

static int64_t age_ms(const struct server *s)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - s->started.tv_sec) * 1000 + (now.tv_nsec - s->started.tv_nsec) / 1000000;
}

static bool begin_run(struct server *s)
{
	bool ok;

	mutex_lock(&s->lock);
	ok = !s->ending && !s->stopping;
	s->nruns += ok;
	s->used |= ok;
	mutex_unlock(&s->lock);
	return ok;
}

static void end_run(struct server *s)
{
	mutex_lock(&s->lock);
	s->nruns--;
	mutex_unlock(&s->lock);
	poke(s);
}

/* true: from now on nobody begins. */
static bool is_over(struct server *s)
{
	mutex_lock(&s->lock);
	if (!s->nruns && tasks_count() == 0 && (s->used || s->stopping || age_ms(s) >= FIRST_CALL_MS))
		s->ending = true;
	mutex_unlock(&s->lock);
	return s->ending;
}

/* --- what is asked --------------------------------------------------------------------------------------------- */

static void answer(struct caller *c, json_t *what)
{
	if (wire_send(c->fd, what, NULL, 0, NULL, 0) < 0)
		log_dbg(PROC, "a caller left before it had its answer");
}

static json_t *error_text(const char *text)
{
	return json_pack("{s:o}", "error", plain_text(text, strlen(text)));
}

static void do_ps(struct caller *c)
{
	answer(c, json_pack("{s:o}", "processes", report_processes(c->s->in)));
}

static void do_stats(struct caller *c)
{
	struct server *s = c->s;
	json_t *r = report_stats(s->in);

	if (r) {
		json_object_set_new(r, "name", json_string(s->name));
		json_object_set_new(r, "pid", json_integer(getpid()));
		json_object_set_new(r, "age_ms", json_integer(age_ms(s)));
		json_object_set(r, "options", s->options);
	}
	answer(c, r);
}

static void do_kill(struct caller *c, const struct wire_message *m)
{
	json_int_t pid = wire_int(m, "pid", 0), sig = wire_int(m, "signal", -1);
	siginfo_t info = { .si_signo = (int)sig, .si_code = SI_USER };

	if (pid <= 1 || pid > INT32_MAX || sig < 0 || sig > NSIG_LINUX) {
		answer(c, error_text(pid == 1 ? "process 1 is the instance's own: see vmctl stop" : "no such process or signal"));
		return;
	}
	AUTO(proc) p = proc_find((pid_t)pid);
	if (!p) {
		answer(c, error_text("no such process"));
		return;
	}
	if (sig)
		signal_send_proc(p, (int)sig, &info);
	answer(c, json_object());
}

static void signal_all(int sig)
{
	siginfo_t info = { .si_signo = sig, .si_code = SI_USER };
	struct proc *p;

	for (pid_t pid = 2; (p = proc_next(&pid)); pid++) {
		signal_send_proc(p, sig, &info);
		proc_put(p);
	}
}

static bool wait_empty(int wait_ms)
{
	for (int ms = 0; ms < wait_ms; ms += STOP_STEP_MS) {
		if (tasks_count() == 0)
			return true;
		usleep(STOP_STEP_MS * 1000);
	}
	return tasks_count() == 0;
}

/* Nobody begins while it lasts; the instance is not over before the answer is out. */
static void begin_stop(struct server *s)
{
	mutex_lock(&s->lock);
	s->stopping++;
	s->nruns++;
	mutex_unlock(&s->lock);
}

static void end_stop(struct server *s, bool done)
{
	mutex_lock(&s->lock);
	s->nruns--;
	s->stopping -= !done;
	mutex_unlock(&s->lock);
	poke(s);
}

static void do_stop(struct caller *c, const struct wire_message *m)
{
	char text[160];
	json_int_t wait_ms = wire_int(m, "wait_ms", STOP_MS);
	bool force = wire_bool(m, "force"), done;

	wait_ms = MAX(0, MIN(wait_ms, STOP_MAX_MS));
	begin_stop(c->s);
	signal_all(force ? SIGKILL : SIGTERM);
	if (!force)
		signal_all(SIGCONT);
	done = wait_empty((int)wait_ms);
	if (!done)
		snprintf(text, sizeof(text), "%u threads still run %g s after %s%s", tasks_count(), (double)wait_ms / 1000,
			 force ? "SIGKILL" : "SIGTERM", force ? "" : ": see vmctl ps, or stop --force");
	answer(c, done ? json_object() : error_text(text));
	end_stop(c->s, done);
}

/* Until whoever holds the instance lets go of it; nothing that it started is left then. */
static void do_hold(struct caller *c)
{
	struct wire_message m;

	if (!begin_run(c->s)) {
		answer(c, json_pack("{s:s}", "event", "retry"));
		return;
	}
	answer(c, json_pack("{s:s, s:i}", "event", "held", "pid", (int)getpid()));
	while (wire_recv(c->fd, &m, -1) == 0)
		wire_message_fini(&m);
	begin_stop(c->s);
	signal_all(SIGKILL);
	end_stop(c->s, wait_empty(STOP_MS));
	end_run(c->s);
}

/* --- options that callers repeat ----------------------------------------------------------------------------------- */

static bool has_text(const json_t *array, const json_t *text)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)array, i, v)
		if (json_equal(v, (json_t *)text))
			return true;
	return false;
}

static bool agrees(const json_t *ours, const json_t *given)
{
	if (!json_is_array(given))
		return ours && json_equal((json_t *)ours, (json_t *)given);
	for (size_t i = 0; i < json_array_size(given); i++)
		if (!has_text(ours, json_array_get(given, i)))
			return false;
	return true;
}

static const char *text_of(const json_t *v)
{
	return json_is_array(v) ? "other ones" : json_is_string(v) ? json_string_value(v) : "its default";
}

static bool contradicts(const struct server *s, const struct wire_message *m, char *err, size_t size)
{
	json_t *given = json_object_get(m->json, "given"), *v;
	const char *name;

	json_object_foreach(given, name, v) {
		const json_t *ours = json_object_get(s->options, name);

		if (agrees(ours, v))
			continue;
		snprintf(err, size, "%.40s: instance '%s' already runs, with %s: use --name or --new for another, or vmctl stop", name,
			 s->name, text_of(ours));
		return true;
	}
	return false;
}

static void do_run(struct caller *c, struct wire_message *m)
{
	char err[400];

	if (wire_int(m, "version", 0) != WIRE_VERSION) {
		control_send_error(c->fd, STATUS_VMRUN, "the running instance is another version's: vmctl stop it, or use --new");
	} else if (contradicts(c->s, m, err, sizeof(err))) {
		control_send_error(c->fd, STATUS_VMRUN, err);
	} else if (!begin_run(c->s)) {
		answer(c, json_pack("{s:s}", "event", "retry"));
	} else {
		control_run(c->s->in, c->fd, c->pid, m);
		end_run(c->s);
	}
}

/* --- callers --------------------------------------------------------------------------------------------------------- */

static void serve(struct caller *c)
{
	struct wire_message m;
	const char *op;
	int r = wire_recv(c->fd, &m, WIRE_WAIT_MS);

	if (r < 0) {
		log_dbg(PROC, "a caller says nothing of sense: %d", r);
		return;
	}
	op = wire_text(&m, "op");
	if (op && !strcmp(op, "run"))
		do_run(c, &m);
	else if (op && !strcmp(op, "hold"))
		do_hold(c);
	else if (op && !strcmp(op, "ps"))
		do_ps(c);
	else if (op && !strcmp(op, "stats"))
		do_stats(c);
	else if (op && !strcmp(op, "kill"))
		do_kill(c, &m);
	else if (op && !strcmp(op, "stop"))
		do_stop(c, &m);
	else
		answer(c, error_text("unknown request"));
	wire_message_fini(&m);
}

static void drop(struct caller *c)
{
	struct server *s = c->s;

	close(c->fd);
	mutex_lock(&s->lock);
	s->ncallers--;
	mutex_unlock(&s->lock);
	free(c);
}

static void *caller_main(void *arg)
{
	serve(arg);
	drop(arg);
	return NULL;
}

/* Signals are for the main thread; faults are nobody's to block. */
static int spawn(struct caller *c)
{
	pthread_attr_t attr;
	sigset_t mask, old;
	pthread_t thread;
	int r;

	sigfillset(&mask);
	sigdelset(&mask, SIGSEGV);
	sigdelset(&mask, SIGBUS);
	sigdelset(&mask, SIGFPE);
	sigdelset(&mask, SIGILL);
	sigdelset(&mask, SIGABRT);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, CALLER_STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &mask, &old);
	r = pthread_create(&thread, &attr, caller_main, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

/* Programs may have used up our descriptors: whoever comes to end them is let in nevertheless. */
static int accept_caller(struct server *s)
{
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 && errno == EMFILE && s->spare_fd >= 0) {
		close(s->spare_fd);
		fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		s->spare_fd = -1;
	} else if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
		usleep(FULL_US);
	}
	if (s->spare_fd < 0)
		s->spare_fd = eventfd(0, EFD_CLOEXEC);
	return fd;
}

static void take_caller(struct server *s)
{
	int fd = accept_caller(s);
	struct caller *c;
	bool full;
	pid_t pid;

	if (fd < 0)
		return;
	mutex_lock(&s->lock);
	full = s->ncallers == CALLERS_MAX;
	s->ncallers += !full;
	mutex_unlock(&s->lock);
	if (full) {
		close(fd);
		return;
	}
	c = meeting_peer_ok(fd, &pid) ? malloc(sizeof(*c)) : NULL;
	if (!c) {
		close(fd);
		mutex_lock(&s->lock);
		s->ncallers--;
		mutex_unlock(&s->lock);
		return;
	}
	*c = (struct caller){ s, fd, pid };
	if (spawn(c) < 0)
		drop(c);
}

/* --- beginning and end ------------------------------------------------------------------------------------------------ */

/* Who waits in the queue of the socket is cut off, and starts another instance. */
static _Noreturn void finish(const struct meeting *m, const struct stat *sock)
{
	struct stat st;
	int lock = meeting_lock(m);

	if (lock >= 0 && (!sock || (stat(m->sock, &st) == 0 && st.st_ino == sock->st_ino && st.st_dev == sock->st_dev)))
		unlink(m->sock);
	if (lock >= 0)
		meeting_remove_lock(m, lock);
	_exit(0);
}

/* What is wrong with our options need not be wrong with the caller's. true: it has been told why there is no instance. */
static bool refuse_caller(int fd, const json_t *options, const struct instance_error *err)
{
	struct wire_message m;
	const json_t *given;
	bool same;

	if (wire_recv(fd, &m, WIRE_WAIT_MS / 10) < 0)
		return false;
	given = json_object_get(m.json, "given");
	same = !given || json_equal((json_t *)given, (json_t *)options);
	if (same)
		control_send_error(fd, err->status, err->text);
	else
		wire_send(fd, json_pack("{s:s}", "event", "retry"), NULL, 0, NULL, 0);
	wire_message_fini(&m);
	return same;
}

/* Whoever started us calls at once, and others may have. */
static _Noreturn void refuse(const struct meeting *m, int listen_fd, const json_t *options, const struct instance_error *err)
{
	struct pollfd p = { .fd = listen_fd, .events = POLLIN };
	bool told = false;

	log_write("error", "%s", err->text);
	while (poll(&p, 1, told ? 0 : FIRST_CALL_MS / 10) > 0) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		told |= refuse_caller(fd, options, err);
		close(fd);
	}
	finish(m, NULL);
}

static void loop(struct server *s)
{
	struct pollfd p[2] = { { .fd = s->listen_fd, .events = POLLIN }, { .fd = s->idle_fd, .events = POLLIN } };
	uint64_t n;

	while (!is_over(s)) {
		poll(p, 2, s->used ? -1 : FIRST_CALL_MS);
		if (p[0].revents & POLLIN)
			take_caller(s);
		if ((p[1].revents & POLLIN) && read(s->idle_fd, &n, sizeof(n)) < 0)
			log_warn("eventfd: %s", strerror(errno));
	}
}

void control_serve(const struct instance_config *cfg, const char *name, const struct meeting *m, int listen_fd, json_t *options)
{
	static struct server s;
	struct instance_error err = { .status = STATUS_VMRUN };
	char memory[32];

	s = (struct server){ .name = name, .meeting = m, .listen_fd = listen_fd, .options = options };
	clock_gettime(CLOCK_MONOTONIC, &s.started);
	mutex_init(&s.lock);
	s.idle_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s.spare_fd = eventfd(0, EFD_CLOEXEC);
	if (s.idle_fd < 0 || stat(m->sock, &s.sock) < 0)
		snprintf(err.text, sizeof(err.text), "%s: %s", m->sock, strerror(errno));
	else if (instance_new(cfg, &s.in, &err) == 0)
		err.text[0] = '\0';
	if (err.text[0])
		refuse(m, listen_fd, options, &err);
	snprintf(memory, sizeof(memory), "%llu", (unsigned long long)instance_memory(s.in));
	json_object_set_new(options, "--memory", json_string(memory));
	instance_set_idle(s.in, poke, &s);
	loop(&s);
	instance_leave(s.in);
	finish(m, &s.sock);
}
