/* SPDX-License-Identifier: MIT */
/*
 * Finding the instance, or starting it. The socket is bound and listens before the instance process exists, under the lock of
 * its name: so of many first commands one starts it, and none meets a socket where nobody will ever listen.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emul/base/auto.h"
#include "emul/base/err.h"
#include "emul/base/types.h"
#include "emul/base/log.h"
#include "tools/vmrun/front.h"
#include "vmm/control.h"

#define LOG_MAX (8ul << 20) /* and as much in NAME.log.1 */

static void default_signals(void)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU };
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
}

/* What belongs to the log of the last instance of this name. */
static void remove_older(const struct meeting *m)
{
	char older[sizeof(m->log) + 2];

	snprintf(older, sizeof(older), "%s.1", m->log);
	unlink(older);
}

/*
 * Nothing of the caller's stays open: who waits for the end of its pipes must not wait for us. out: where the log goes; -1: to its
 * file. Returns the new listen_fd.
 */
static int own_descriptors(const struct meeting *m, int listen_fd, int out)
{
	enum { LOG = 3, LISTEN, OURS };
	static const int also[] = { 1, 2 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	bool file = out < 0;

	if (file)
		remove_older(m);
	if (file)
		out = open(m->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	null = fcntl(null, F_DUPFD_CLOEXEC, OURS); /* out of the way */
	out = fcntl(out, F_DUPFD_CLOEXEC, OURS);
	listen_fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, OURS);
	if (out < 0)
		out = null;
	if (null < 0 || listen_fd < 0)
		_exit(STATUS_VMRUN);
	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
	dup3(out, LOG, O_CLOEXEC);
	dup3(listen_fd, LISTEN, O_CLOEXEC);
	close_range(OURS, ~0u, 0);
	log_set_fd(LOG);
	if (file)
		log_bound(m->log, LOG_MAX, also, ARRAY_SIZE(also));
	return LISTEN;
}

/* log: -1, or where its messages go instead of to its file. Limits have been raised. */
static _Noreturn void become_instance(const struct options *o, const struct meeting *m, int listen_fd, int log)
{
	static struct instance_config cfg;

	setsid();
	if (fork() != 0) /* never a session leader: no terminal becomes its own by chance */
		_exit(0);
	default_signals();
	listen_fd = own_descriptors(m, listen_fd, log);
	prctl(PR_SET_NAME, "vmrun-instance");
	cfg = o->cfg;
	cfg.outlives_programs = true;
	if (chdir("/") < 0 || !cfg.host_cwd)
		log_dbg(PROC, "the instance has no working directory to show");
	umask(0); /* programs have their own */
	control_serve(&cfg, options_name(o), m, listen_fd, options_given(o));
}

/* The socket is bound already, and whoever did that waits for our end: the instance is a child of nobody's. */
int serve_instance(const struct options *o)
{
	static struct meeting m;
	struct instance_error err;
	socklen_t len = sizeof(int);
	int listens = 0;

	if (getsockopt(o->serve_fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 || !listens)
		return complain(STATUS_VMRUN, "--serve: no socket listens at that descriptor: it is for libvmrun");
	if (meeting_of(options_name(o), &m, err.text, sizeof(err.text)) < 0 || instance_raise_limits(NULL, &err) < 0)
		return complain(STATUS_VMRUN, err.text);
	become_instance(o, &m, o->serve_fd, o->serve_log);
}

/* Locked; nobody listens. 0 or -errno; -EMFILE: too few may be open. */
static int start(const struct options *o, const struct meeting *m, int lock)
{
	AUTO_FD listen_fd = meeting_listen(m);
	struct instance_error err;
	pid_t pid;
	int status = 0, r;

	if (listen_fd < 0)
		return listen_fd;
	pid = fork();
	if (pid == 0) {
		close(lock);
		if (instance_raise_limits(NULL, &err) < 0) /* not ours: what the program is to have */
			_exit(STATUS_VMRUN);
		become_instance(o, m, listen_fd, -1);
	}
	r = pid < 0 ? -errno : 0;
	while (r == 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		r = -EMFILE;
	if (r < 0)
		unlink(m->sock);
	return r;
}

static bool is_shortage(int e)
{
	return e == -EAGAIN || e == -ENOMEM || e == -ENFILE;
}

int join_instance(const struct options *o, bool *ret_started, char *err, unsigned long err_size)
{
	struct meeting m;
	int fd, lock, r;

	*ret_started = false;
	if (meeting_of(options_name(o), &m, err, err_size) < 0)
		return -1;
	fd = meeting_connect(&m, -1);
	if (fd >= 0)
		return fd;
	lock = meeting_lock(&m);
	r = lock;
	if (lock >= 0) {
		fd = meeting_connect(&m, -1); /* somebody was quicker */
		r = fd == -ECONNREFUSED || fd == -ENOENT ? start(o, &m, lock) : 0;
		if (fd == -ECONNREFUSED || fd == -ENOENT) {
			*ret_started = r == 0;
			meeting_tidy();
			fd = r < 0 ? r : meeting_connect(&m, -1);
		}
		close(lock);
	}
	r = r < 0 ? r : fd;
	if (r < 0)
		snprintf(err, err_size, "%s: %s%s", lock < 0 ? m.lock : m.sock, meeting_error(r),
			 r == -EMFILE ? ": permit more (ulimit -n)" : is_shortage(r) ? "" : ": remove it, or set XDG_RUNTIME_DIR to another directory");
	return r < 0 ? -1 : fd;
}
