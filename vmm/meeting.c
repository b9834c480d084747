/* SPDX-License-Identifier: MIT */
#include "vmm/meeting.h"

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
	return is_private(ret, true);
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

int meeting_lock(const struct meeting *m)
{
	AUTO_FD fd = (int)HOST(open(m->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
	long r;

	if (fd < 0)
		return fd;
	do
		r = HOST(flock(fd, LOCK_EX));
	while (r == -EINTR);
	return r < 0 ? (int)r : steal_fd(fd);
}

static int new_socket(const struct meeting *m, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, m->sock, sizeof(ret->sun_path));
	return (int)HOST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
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

int meeting_connect(const struct meeting *m)
{
	struct sockaddr_un a;
	AUTO_FD fd = new_socket(m, &a);
	long r = fd;

	if (fd >= 0)
		do
			r = HOST(connect(fd, (struct sockaddr *)&a, sizeof(a)));
		while (r == -EINTR);
	if (r < 0)
		return (int)r;
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
