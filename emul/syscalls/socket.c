/* SPDX-License-Identifier: MIT */
/*
 * Sockets: making, naming, connecting, options. net/socket.c for the order of checks; what a family makes of it is in
 * emul/net. Data is in sockmsg.c.
 */
#include "emul/base/sysctl.h"
#include "emul/syscalls/sockarg.h"

#define TYPE_MASK 0xf
#define TYPE_FLAGS (SOCK_CLOEXEC | SOCK_NONBLOCK)

/* --- what the other calls share -------------------------------------------------------------------------------- */

int arg_sock(struct task *t, int fd, struct sock **ret, struct file **ret_file)
{
	struct file *f = fd_file(t, fd);
	struct sock *s;

	if (!f)
		return -EBADF;
	s = sock_of_file(f);
	if (!s) {
		file_put(f);
		return -ENOTSOCK;
	}
	*ret = s;
	*ret_file = f;
	return 0;
}

int arg_sockaddr(struct task *t, gva_t at, int len, struct sock_addr *ret)
{
	if (len < 0 || len > (int)sizeof(ret->ss))
		return -EINVAL;
	ret->len = len;
	return len ? copy_from_guest(t->mm, &ret->ss, at, (size_t)len) : 0;
}

int put_sockaddr(struct task *t, gva_t at, gva_t len_at, const struct sock_addr *a)
{
	int room;

	if (guest_read(t->mm, &room, len_at) < 0)
		return -EFAULT;
	room = MIN(room, a->len);
	if (room < 0)
		return -EINVAL;
	if (room && copy_to_guest(t->mm, at, &a->ss, (size_t)room) < 0)
		return -EFAULT;
	return guest_write(t->mm, len_at, &a->len);
}

static void set_nonblock(struct sock *s, int type)
{
	if (type & SOCK_NONBLOCK)
		atomic_fetch_or(&s->file.flags, O_NONBLOCK);
}

/* --- socket, socketpair ------------------------------------------------------------------------------------------- */

long sys_socket(struct task *t, const struct sysargs *a)
{
	int type = arg_int(a, 1);
	struct sock *s;
	int r;

	if (type & ~TYPE_MASK & ~TYPE_FLAGS)
		return -EINVAL;
	r = sock_create(t, arg_int(a, 0), type & TYPE_MASK, arg_int(a, 2), &s);
	if (r < 0)
		return r;
	set_nonblock(s, type);
	return fd_install(t, &s->file, type & SOCK_CLOEXEC);
}

/* Both, joined. The files' references are the caller's. */
static int make_pair(struct task *t, const struct sysargs *a, struct sock *ret[2])
{
	int family = arg_int(a, 0), type = arg_int(a, 1), r;

	r = sock_create(t, family, type & TYPE_MASK, arg_int(a, 2), &ret[0]);
	if (r < 0)
		return r;
	r = sock_create(t, family, type & TYPE_MASK, arg_int(a, 2), &ret[1]);
	if (r < 0) {
		file_put(&ret[0]->file);
		return r;
	}
	set_nonblock(ret[0], type);
	set_nonblock(ret[1], type);
	r = sock_socketpair(ret[0], ret[1], t);
	if (r < 0) {
		file_put(&ret[0]->file);
		file_put(&ret[1]->file);
	}
	return r;
}

/* Linux tells the numbers before there are sockets. */
long sys_socketpair(struct task *t, const struct sysargs *a)
{
	int type = arg_int(a, 1), fd[2], r;
	bool cloexec = type & SOCK_CLOEXEC;
	struct sock *s[2];

	if (type & ~TYPE_MASK & ~TYPE_FLAGS)
		return -EINVAL;
	fd[0] = fdtab_reserve(t->fds, cloexec, 0, nofile_limit(t));
	if (fd[0] < 0)
		return fd[0];
	fd[1] = fdtab_reserve(t->fds, cloexec, 0, nofile_limit(t));
	r = fd[1] < 0 ? fd[1] : guest_write(t->mm, arg_gva(a, 3), &fd);
	if (r == 0)
		r = make_pair(t, a, s);
	if (r < 0) {
		fdtab_unreserve(t->fds, fd[0]);
		if (fd[1] >= 0)
			fdtab_unreserve(t->fds, fd[1]);
		return r;
	}
	for (int i = 0; i < 2; i++) {
		fdtab_fill(t->fds, fd[i], &s[i]->file);
		file_put(&s[i]->file);
	}
	return 0;
}

/* --- bind, connect, listen, accept ---------------------------------------------------------------------------------- */

long sys_bind(struct task *t, const struct sysargs *a)
{
	SOCK_ARG(s);
	struct sock_addr addr;
	int r = arg_sock(t, arg_int(a, 0), &s, &s_file);

	if (r == 0)
		r = arg_sockaddr(t, arg_gva(a, 1), arg_int(a, 2), &addr);
	if (r < 0)
		return r;
	return s->ops->bind ? s->ops->bind(s, t, &addr) : -EOPNOTSUPP;
}

long sys_listen(struct task *t, const struct sysargs *a)
{
	SOCK_ARG(s);
	unsigned backlog = MIN(arg_uint(a, 1), (unsigned)sysctl_get(&sysctl_somaxconn));
	int r = arg_sock(t, arg_int(a, 0), &s, &s_file);

	if (r < 0)
		return r;
	return s->ops->listen ? s->ops->listen(s, t, (int)backlog) : -EOPNOTSUPP;
}

/* The address comes before the question whether it is a socket. */
long sys_connect(struct task *t, const struct sysargs *a)
{
	AUTO(file) f = fd_file(t, arg_int(a, 0));
	struct sock_addr addr;
	struct sock *s;
	int r;

	if (!f)
		return -EBADF;
	r = arg_sockaddr(t, arg_gva(a, 1), arg_int(a, 2), &addr);
	if (r < 0)
		return r;
	s = sock_of_file(f);
	if (!s)
		return -ENOTSOCK;
	return s->ops->connect ? s->ops->connect(s, t, &addr) : -EOPNOTSUPP;
}

/* The accepted socket as a file; its peer's name to the guest. */
static int accept_one(struct task *t, struct sock *s, gva_t at, gva_t len_at, struct sock **ret)
{
	struct sock_addr addr;
	struct sock *child = NULL;
	int r = s->ops->accept ? s->ops->accept(s, t, &child) : -EOPNOTSUPP;

	if (r == 0 && at) {
		if (child->ops->getname(child, true, &addr) < 0)
			r = -ECONNABORTED;
		else
			r = put_sockaddr(t, at, len_at, &addr);
		if (r < 0)
			file_put(&child->file);
	}
	if (r == 0)
		*ret = child;
	return r;
}

/* Linux's order: the descriptor, the flags, room for a new one; only then whether it is a socket. */
static long do_accept(struct task *t, const struct sysargs *a, int flags)
{
	AUTO(file) f = fd_file(t, arg_int(a, 0));
	struct sock *child = NULL;
	int fd, r;

	if (!f)
		return -EBADF;
	if (flags & ~TYPE_FLAGS)
		return -EINVAL;
	fd = fdtab_reserve(t->fds, flags & SOCK_CLOEXEC, 0, nofile_limit(t));
	if (fd < 0)
		return fd;
	r = sock_of_file(f) ? accept_one(t, sock_of_file(f), arg_gva(a, 1), arg_gva(a, 2), &child) : -ENOTSOCK;
	if (r < 0) {
		fdtab_unreserve(t->fds, fd);
		return r;
	}
	set_nonblock(child, flags);
	fdtab_fill(t->fds, fd, &child->file);
	file_put(&child->file);
	return fd;
}

long sys_accept(struct task *t, const struct sysargs *a)
{
	return do_accept(t, a, 0);
}

long sys_accept4(struct task *t, const struct sysargs *a)
{
	return do_accept(t, a, arg_int(a, 3));
}

long sys_shutdown(struct task *t, const struct sysargs *a)
{
	SOCK_ARG(s);
	int how = arg_int(a, 1), r = arg_sock(t, arg_int(a, 0), &s, &s_file);

	if (r < 0)
		return r;
	if (!s->ops->shutdown)
		return -EOPNOTSUPP;
	return how < SHUT_RD || how > SHUT_RDWR ? -EINVAL : s->ops->shutdown(s, how);
}

/* --- names -------------------------------------------------------------------------------------------------------------- */

static long get_name(struct task *t, const struct sysargs *a, bool peer)
{
	SOCK_ARG(s);
	struct sock_addr addr;
	int r = arg_sock(t, arg_int(a, 0), &s, &s_file);

	if (r == 0)
		r = s->ops->getname ? s->ops->getname(s, peer, &addr) : -EOPNOTSUPP;
	return r < 0 ? r : put_sockaddr(t, arg_gva(a, 1), arg_gva(a, 2), &addr);
}

long sys_getsockname(struct task *t, const struct sysargs *a)
{
	return get_name(t, a, false);
}

long sys_getpeername(struct task *t, const struct sysargs *a)
{
	return get_name(t, a, true);
}

/* --- options -------------------------------------------------------------------------------------------------------------- */

long sys_setsockopt(struct task *t, const struct sysargs *a)
{
	SOCK_ARG(s);
	struct sock_optval v = { mm_guest(t->mm), arg_gva(a, 3), arg_int(a, 4) };
	int r = arg_sock(t, arg_int(a, 0), &s, &s_file);

	if (r < 0)
		return r;
	return v.len < 0 ? -EINVAL : sock_setsockopt(s, t, arg_int(a, 1), arg_int(a, 2), &v);
}

/* -ERANGE tells the size that would do. */
long sys_getsockopt(struct task *t, const struct sysargs *a)
{
	SOCK_ARG(s);
	struct sock_optval v = { mm_guest(t->mm), arg_gva(a, 3), 0 };
	int r = arg_sock(t, arg_int(a, 0), &s, &s_file), e;

	if (r == 0)
		r = guest_read(t->mm, &v.len, arg_gva(a, 4));
	if (r < 0)
		return r;
	r = sock_getsockopt(s, t, arg_int(a, 1), arg_int(a, 2), &v);
	if (r < 0 && r != -ERANGE)
		return r;
	e = guest_write(t->mm, arg_gva(a, 4), &v.len);
	return e < 0 ? e : r;
}
