/* SPDX-License-Identifier: MIT */
#include "vmm/meeting.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "emul/base/auto.h"
#include "emul/base/err.h"

#define BACKLOG 128

bool meeting_name_ok(const char *name)
{
	size_t n = strlen(name);

	return n && n <= MEETING_NAME_MAX && name[0] != '.' && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

/* A directory of ours where nobody else may make names. */
static bool is_private(const char *dir, bool strictly)
{
	AUTO_FD fd = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & (strictly ? 077 : 022));
}

static bool use_below(const char *base, char ret[MEETING_DIR_SIZE])
{
	if (!base || base[0] != '/' || !is_private(base, false))
		return false;
	if (snprintf(ret, MEETING_DIR_SIZE, "%s/vmrun", base) >= MEETING_DIR_SIZE)
		return false;
	mkdir(ret, 0700);
	return is_private(ret, true) && eaccess(ret, W_OK | X_OK) == 0;
}

int meeting_dir(char ret[MEETING_DIR_SIZE], char *err, size_t err_size)
{
	char run[64];

	snprintf(run, sizeof(run), "/run/user/%u", geteuid());
	if (use_below(getenv("XDG_RUNTIME_DIR"), ret) || use_below(run, ret))
		return 0;
	snprintf(ret, MEETING_DIR_SIZE, "/tmp/vmrun-%u", geteuid());
	if (mkdir(ret, 0700) < 0 && errno != EEXIST) {
		snprintf(err, err_size, "%s: %s: instances meet there, or in $XDG_RUNTIME_DIR", ret, strerror(errno));
		return -1;
	}
	if (is_private(ret, true))
		return 0;
	snprintf(err, err_size, "%s is not a directory of yours with mode 700: remove it, or set XDG_RUNTIME_DIR", ret);
	return -1;
}

int meeting_of(const char *name, struct meeting *ret, char *err, size_t err_size)
{
	char dir[MEETING_DIR_SIZE];

	if (meeting_dir(dir, err, err_size) < 0)
		return -1;
	snprintf(ret->sock, sizeof(ret->sock), "%s/%.*s.sock", dir, MEETING_NAME_MAX, name);
	snprintf(ret->lock, sizeof(ret->lock), "%s/%.*s.lock", dir, MEETING_NAME_MAX, name);
	snprintf(ret->log, sizeof(ret->log), "%s/%.*s.log", dir, MEETING_NAME_MAX, name);
	return 0;
}

/* It may have been removed while we waited for it. */
static bool is_file(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static int take_lock(const struct meeting *m, int how)
{
	for (;;) {
		AUTO_FD fd = (int)HOST(open(m->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
		long r;

		if (fd < 0)
			return fd;
		do
			r = HOST(flock(fd, how));
		while (r == -EINTR);
		if (r < 0)
			return (int)r;
		if (is_file(fd, m->lock))
			return steal_fd(fd);
	}
}

int meeting_lock(const struct meeting *m)
{
	return take_lock(m, LOCK_EX);
}

void meeting_remove_lock(const struct meeting *m, int lock)
{
	if (is_file(lock, m->lock))
		unlink(m->lock);
}

static int new_socket(const struct meeting *m, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, m->sock, sizeof(ret->sun_path));
	return (int)HOST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

const char *meeting_error(int e)
{
	return e == -EPERM ? "somebody else listens there" : strerror(-e);
}

bool meeting_peer_ok(int fd, pid_t *ret_pid)
{
	struct ucred c;
	socklen_t len = sizeof(c);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) < 0 || c.uid != geteuid())
		return false;
	if (ret_pid)
		*ret_pid = c.pid;
	return true;
}

int meeting_connect(const struct meeting *m, int wait_ms)
{
	struct timeval wait = { wait_ms / 1000, wait_ms % 1000 * 1000 };
	struct sockaddr_un a;
	AUTO_FD fd = new_socket(m, &a);
	long r = fd;

	if (fd >= 0 && wait_ms >= 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));

	if (fd >= 0)
		do
			r = HOST(connect(fd, (struct sockaddr *)&a, sizeof(a)));
		while (r == -EINTR);
	if (r < 0)
		return r == -EAGAIN ? -ETIMEDOUT : (int)r;
	return meeting_peer_ok(fd, NULL) ? steal_fd(fd) : -EPERM;
}

int meeting_listen(const struct meeting *m)
{
	struct sockaddr_un a;
	AUTO_FD fd = new_socket(m, &a);
	long r;

	if (fd < 0)
		return fd;
	unlink(m->sock);
	r = HOST(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	if (r == 0)
		r = HOST(listen(fd, BACKLOG));
	return r < 0 ? (int)r : steal_fd(fd);
}

/* --- what is left of ended instances ------------------------------------------------------------------------------------- */

struct left { char name[MEETING_NAME_MAX + 1]; struct timespec when; };

static int newer(const void *a, const void *b)
{
	const struct timespec *x = &((const struct left *)a)->when, *y = &((const struct left *)b)->when;

	return x->tv_sec != y->tv_sec ? (x->tv_sec < y->tv_sec ? 1 : -1) : (x->tv_nsec < y->tv_nsec) - (x->tv_nsec > y->tv_nsec);
}

/* The name in a file's name that ends in suffix. */
static bool name_in(const char *file, const char *suffix, char ret[MEETING_NAME_MAX + 1])
{
	size_t n = strlen(file), k = strlen(suffix);

	if (n <= k || n - k > MEETING_NAME_MAX || strcmp(file + n - k, suffix))
		return false;
	memcpy(ret, file, n - k);
	ret[n - k] = '\0';
	return meeting_name_ok(ret);
}

/* Whether somebody listens, without a call that would have to be answered: a socket of another type is told who is there. */
static bool is_alive(const struct meeting *m)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	AUTO_FD fd = (int)HOST(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	long r;

	if (fd < 0)
		return true;
	memcpy(a.sun_path, m->sock, sizeof(a.sun_path));
	r = HOST(connect(fd, (struct sockaddr *)&a, sizeof(a)));
	return r != -ECONNREFUSED && r != -ENOENT;
}

/* An instance that ended, or was killed: its files but, with keep_log, the log. */
static void remove_left(const char *dir, const char *name, bool keep_log)
{
	char old[120], err[256];
	struct meeting m;

	if (meeting_of(name, &m, err, sizeof(err)) < 0 || strncmp(m.lock, dir, strlen(dir)))
		return;
	AUTO_FD lock = take_lock(&m, LOCK_EX | LOCK_NB);
	if (lock < 0)
		return;
	if (is_alive(&m))
		return;
	snprintf(old, sizeof(old), "%s.1", m.log);
	unlink(m.sock);
	if (!keep_log) {
		unlink(m.log);
		unlink(old);
	}
	meeting_remove_lock(&m, lock);
}

static struct left *add_left(struct left *all, size_t *n, const char *name, const struct stat *st)
{
	struct left *more = *n % 64 ? all : realloc(all, (*n + 64) * sizeof(*all));

	if (!more)
		return all;
	snprintf(more[*n].name, sizeof(more[*n].name), "%s", name);
	more[(*n)++].when = st->st_mtim;
	return more;
}

void meeting_tidy(void)
{
	char dir[MEETING_DIR_SIZE], err[256], name[MEETING_NAME_MAX + 1];
	struct left *logs = NULL, *locks = NULL;
	size_t nlogs = 0, nlocks = 0;
	struct dirent *e;
	struct stat st;
	DIR *d;

	if (meeting_dir(dir, err, sizeof(err)) < 0 || !(d = opendir(dir)))
		return;
	while ((e = readdir(d))) {
		bool log = name_in(e->d_name, ".log", name);

		if ((!log && !name_in(e->d_name, ".lock", name)) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (log)
			logs = add_left(logs, &nlogs, name, &st);
		else
			locks = add_left(locks, &nlocks, name, &st);
	}
	closedir(d);
	if (nlogs)
		qsort(logs, nlogs, sizeof(*logs), newer);
	for (size_t i = 0; i < nlocks; i++)
		remove_left(dir, locks[i].name, true);
	for (size_t i = MEETING_LOGS; i < nlogs; i++) /* running ones count too: they keep theirs */
		remove_left(dir, logs[i].name, false);
	free(logs);
	free(locks);
}
