/* SPDX-License-Identifier: MIT */
/*
 * Sockets: there are no address families, so no descriptor is ever a socket. What is left are
 * Linux's checks before it would say so. net/socket.c.
 */
#include <sys/socket.h>

#include "emul/syscalls/handler.h"

#define TYPE_MASK 0xf
#define NPROTO 46
#define TYPE_MAX 11
#ifndef MSG_CMSG_COMPAT
#define MSG_CMSG_COMPAT 0x80000000u
#endif

static long check_new(int family, int type)
{
	if (type & ~TYPE_MASK & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	if (family < 0 || family >= NPROTO)
		return -EAFNOSUPPORT;
	if ((type & TYPE_MASK) >= TYPE_MAX)
		return -EINVAL;
	return -EAFNOSUPPORT;
}

/* -EBADF, or what a descriptor that is no socket gets: error, which most checks leave at -ENOTSOCK. */
static long not_a_socket(struct task *t, int fd, long error)
{
	AUTO(file) f = fd_file(t, fd);

	return f ? error : -EBADF;
}

static long by_fd(struct task *t, const struct sysargs *a)
{
	return not_a_socket(t, arg_int(a, 0), -ENOTSOCK);
}

/* sendmsg(2) and kin: a flag that only the kernel itself may set. */
static long by_fd_flags(struct task *t, const struct sysargs *a, unsigned flags)
{
	return flags & MSG_CMSG_COMPAT ? -EINVAL : by_fd(t, a);
}

long sys_socket(struct task *t, const struct sysargs *a)
{
	return check_new(arg_int(a, 0), arg_int(a, 1));
}

long sys_socketpair(struct task *t, const struct sysargs *a)
{
	return check_new(arg_int(a, 0), arg_int(a, 1));
}

long sys_connect(struct task *t, const struct sysargs *a)
{
	return by_fd(t, a);
}

long sys_accept(struct task *t, const struct sysargs *a)
{
	return by_fd(t, a);
}

long sys_accept4(struct task *t, const struct sysargs *a)
{
	bool bad = arg_int(a, 3) & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);

	return not_a_socket(t, arg_int(a, 0), bad ? -EINVAL : -ENOTSOCK);
}

long sys_sendto(struct task *t, const struct sysargs *a)
{
	return by_fd(t, a);
}

long sys_recvfrom(struct task *t, const struct sysargs *a)
{
	return by_fd(t, a);
}

long sys_sendmsg(struct task *t, const struct sysargs *a)
{
	return by_fd_flags(t, a, arg_uint(a, 2));
}

long sys_recvmsg(struct task *t, const struct sysargs *a)
{
	return by_fd_flags(t, a, arg_uint(a, 2));
}

long sys_sendmmsg(struct task *t, const struct sysargs *a)
{
	return by_fd_flags(t, a, arg_uint(a, 3));
}

/* The timeout comes first: __sys_recvmmsg(). */
long sys_recvmmsg(struct task *t, const struct sysargs *a)
{
	struct deadline d;
	int r;

	if (arg_uint(a, 3) & MSG_CMSG_COMPAT)
		return -EINVAL;
	r = arg_timeout(t, arg_gva(a, 4), CLOCK_MONOTONIC, false, &d);
	return r < 0 ? r : by_fd(t, a);
}

long sys_shutdown(struct task *t, const struct sysargs *a)
{
	return by_fd(t, a);
}

long sys_bind(struct task *t, const struct sysargs *a)
{
	return by_fd(t, a);
}

long sys_listen(struct task *t, const struct sysargs *a)
{
	return by_fd(t, a);
}

long sys_getsockname(struct task *t, const struct sysargs *a)
{
	return by_fd(t, a);
}

long sys_getpeername(struct task *t, const struct sysargs *a)
{
	return by_fd(t, a);
}

long sys_setsockopt(struct task *t, const struct sysargs *a)
{
	return by_fd(t, a);
}

long sys_getsockopt(struct task *t, const struct sysargs *a)
{
	return by_fd(t, a);
}
