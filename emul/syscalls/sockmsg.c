/* SPDX-License-Identifier: MIT */
/*
 * Sending to and receiving from sockets: sendto, recvfrom, sendmsg, recvmsg, sendmmsg, recvmmsg. net/socket.c for the
 * order of checks. Addresses and control data are copied here; the families see the VMM's own memory only.
 */
#include <sys/socket.h>

#include "emul/syscalls/sockarg.h"

#ifndef MSG_CMSG_COMPAT
#define MSG_CMSG_COMPAT 0x80000000u
#endif
#define MSG_INTERNAL 0x00640000u /* bits that only the kernel itself may set: MSG_SENDPAGE_NOPOLICY and such */

/* --- one message, ready ------------------------------------------------------------------------------------------ */

static unsigned call_flags(struct sock *s, unsigned flags)
{
	flags &= ~MSG_INTERNAL;
	return file_nonblock(&s->file) ? flags | MSG_DONTWAIT : flags;
}

static long send_one(struct task *t, struct sock *s, struct sock_msg *m)
{
	unsigned flags = m->flags;
	long r;

	m->flags = call_flags(s, flags);
	r = sock_sendmsg(s, t, m);
	if (r == -EPIPE && s->type == SOCK_STREAM && !(flags & MSG_NOSIGNAL))
		signal_send_task(t, SIGPIPE, NULL);
	return r;
}

/* --- sendto, recvfrom ---------------------------------------------------------------------------------------------- */

long sys_sendto(struct task *t, const struct sysargs *a)
{
	size_t len = MIN(arg_size(a, 2), MAX_RW_COUNT);
	SOCK_ARG(s);
	struct sock_addr addr;
	struct uio u;
	struct sock_msg m = { .data = &u, .flags = arg_uint(a, 3) };
	int r;

	if (!range_ok(arg_gva(a, 1), len))
		return -EFAULT;
	r = arg_sock(t, arg_int(a, 0), &s, &s_file);
	if (r == 0 && arg_gva(a, 4)) {
		r = arg_sockaddr(t, arg_gva(a, 4), arg_int(a, 5), &addr);
		m.addr = &addr;
	}
	if (r < 0)
		return r;
	uio_init_guest(&u, mm_guest(t->mm), arg_gva(a, 1), len);
	return send_one(t, s, &m);
}

long sys_recvfrom(struct task *t, const struct sysargs *a)
{
	size_t len = MIN(arg_size(a, 2), MAX_RW_COUNT);
	SOCK_ARG(s);
	struct sock_addr addr = { .len = 0 };
	struct uio u;
	struct sock_msg m = { .data = &u, .addr = arg_gva(a, 4) ? &addr : NULL };
	long r, e;

	if (!range_ok(arg_gva(a, 1), len))
		return -EFAULT;
	r = arg_sock(t, arg_int(a, 0), &s, &s_file);
	if (r < 0)
		return r;
	uio_init_guest(&u, mm_guest(t->mm), arg_gva(a, 1), len);
	m.flags = call_flags(s, arg_uint(a, 3));
	r = sock_recvmsg(s, t, &m);
	if (r < 0 || !m.addr)
		return r;
	e = put_sockaddr(t, arg_gva(a, 4), arg_gva(a, 5), &addr);
	return e < 0 ? e : r;
}

/* --- struct msghdr ---------------------------------------------------------------------------------------------------- */

#define MSGHDR_NAMELEN(at) ((at) + offsetof(struct msghdr, msg_namelen))

/* The header alone: copy_msghdr_from_user(). */
static int read_header(struct task *t, gva_t at, struct msghdr *h)
{
	if (guest_read(t->mm, h, at) < 0)
		return -EFAULT;
	if (!h->msg_name)
		h->msg_namelen = 0;
	if ((int)h->msg_namelen < 0)
		return -EINVAL;
	h->msg_namelen = MIN(h->msg_namelen, (socklen_t)sizeof(struct sockaddr_storage));
	return 0;
}

/* Its segments. On success u is to be ended by uio_fini(). */
static int read_segments(struct task *t, const struct msghdr *h, struct uio *u)
{
	if (h->msg_iovlen > UIO_MAXIOV)
		return -EMSGSIZE;
	return uio_init_guest_iov(u, mm_guest(t->mm), (gva_t)(uintptr_t)h->msg_iov, h->msg_iovlen);
}

/* *ret is to be freed unless it is small. */
static int read_control(struct task *t, const struct msghdr *h, char *small, size_t small_size, char **ret)
{
	if (h->msg_controllen > SOCK_OPTMEM_MAX)
		return -ENOBUFS;
	*ret = small;
	if (h->msg_controllen > small_size) {
		*ret = malloc(h->msg_controllen);
		if (!*ret)
			return -ENOBUFS;
	}
	if (h->msg_controllen && copy_from_guest(t->mm, *ret, (gva_t)(uintptr_t)h->msg_control, h->msg_controllen) < 0) {
		if (*ret != small)
			free(*ret);
		return -EFAULT;
	}
	return 0;
}

static long send_message(struct task *t, struct sock *s, gva_t at, unsigned flags)
{
	__attribute__((aligned(8))) char small[256];
	char *control;
	struct msghdr h;
	struct sock_addr addr;
	struct uio u;
	struct sock_msg m = { .data = &u, .addr = &addr, .flags = flags };
	long r = read_header(t, at, &h);

	if (r < 0)
		return r;
	addr.len = (int)h.msg_namelen; /* it comes before the segments */
	if (addr.len && copy_from_guest(t->mm, &addr.ss, (gva_t)(uintptr_t)h.msg_name, (size_t)addr.len) < 0)
		return -EFAULT;
	r = read_segments(t, &h, &u);
	if (r < 0)
		return r;
	if (!h.msg_name)
		m.addr = NULL;
	r = read_control(t, &h, small, sizeof(small), &control);
	if (r == 0) {
		m.control = control;
		m.control_len = h.msg_controllen;
		r = send_one(t, s, &m);
		if (control != small)
			free(control);
	}
	uio_fini(&u);
	return r;
}

/* --- recvmsg ------------------------------------------------------------------------------------------------------------- */

/* What the guest gets beside the data: name, flags, control data. Then the descriptors open. */
static int put_message(struct task *t, gva_t at, const struct msghdr *h, struct sock_msg *m)
{
	struct sock_control *c = m->ctl;
	int flags = (int)(m->ret_flags | (m->flags & MSG_CMSG_CLOEXEC)), r = 0;
	size_t done = c ? c->len : 0;

	if (m->addr)
		r = put_sockaddr(t, (gva_t)(uintptr_t)h->msg_name, MSGHDR_NAMELEN(at), m->addr);
	if (r == 0 && done)
		r = copy_to_guest(t->mm, (gva_t)(uintptr_t)h->msg_control, c->buf, done);
	if (r == 0)
		r = copy_to_guest(t->mm, at + offsetof(struct msghdr, msg_flags), &flags, sizeof(flags));
	if (r == 0)
		r = copy_to_guest(t->mm, at + offsetof(struct msghdr, msg_controllen), &done, sizeof(done));
	if (!c)
		return r;
	if (r == 0)
		sock_control_commit(c, t);
	else
		sock_control_abort(c, t);
	return r;
}

static long receive_message(struct task *t, struct sock *s, gva_t at, unsigned flags)
{
	struct sock_control ctl;
	struct msghdr h;
	struct sock_addr addr;
	struct uio u;
	struct sock_msg m = { .data = &u, .flags = call_flags(s, flags) };
	long r = read_header(t, at, &h), e;

	if (r == 0)
		r = read_segments(t, &h, &u);
	if (r < 0)
		return r;
	addr.len = 0;
	m.addr = h.msg_name ? &addr : NULL;
	if (h.msg_control) {
		ctl.room = h.msg_controllen;
		ctl.len = 0;
		ctl.nfiles = 0;
		ctl.files = NULL;
		m.ctl = &ctl;
	}
	r = sock_recvmsg(s, t, &m);
	uio_fini(&u);
	if (r < 0) {
		if (m.ctl)
			sock_control_abort(&ctl, t);
		return r;
	}
	e = put_message(t, at, &h, &m);
	return e < 0 ? e : r;
}

long sys_sendmsg(struct task *t, const struct sysargs *a)
{
	SOCK_ARG(s);
	int r;

	if (arg_uint(a, 2) & MSG_CMSG_COMPAT)
		return -EINVAL;
	r = arg_sock(t, arg_int(a, 0), &s, &s_file);
	return r < 0 ? r : send_message(t, s, arg_gva(a, 1), arg_uint(a, 2));
}

long sys_recvmsg(struct task *t, const struct sysargs *a)
{
	SOCK_ARG(s);
	int r;

	if (arg_uint(a, 2) & MSG_CMSG_COMPAT)
		return -EINVAL;
	r = arg_sock(t, arg_int(a, 0), &s, &s_file);
	return r < 0 ? r : receive_message(t, s, arg_gva(a, 1), arg_uint(a, 2));
}

/* --- many at once ------------------------------------------------------------------------------------------------------------ */

/* An element's length was written: false: it could not be. */
static bool put_length(struct task *t, gva_t at, long n)
{
	return put_guest_u32(t->mm, at + offsetof(struct mmsghdr, msg_len), (uint32_t)n) == 0;
}

/* What was done counts; an error only if nothing was. */
long sys_sendmmsg(struct task *t, const struct sysargs *a)
{
	unsigned n = MIN(arg_uint(a, 2), (unsigned)UIO_MAXIOV), done = 0;
	gva_t at = arg_gva(a, 1);
	SOCK_ARG(s);
	long r;

	if (arg_uint(a, 3) & MSG_CMSG_COMPAT)
		return -EINVAL;
	r = arg_sock(t, arg_int(a, 0), &s, &s_file);
	if (r < 0)
		return r;
	for (; done < n; done++, at += sizeof(struct mmsghdr)) {
		r = send_message(t, s, at, arg_uint(a, 3));
		if (r < 0)
			break;
		if (!put_length(t, at, r)) {
			r = -EFAULT;
			break;
		}
	}
	return done ? done : r < 0 ? r : 0;
}

static long receive_many(struct task *t, struct sock *s, gva_t at, unsigned n, unsigned flags, const struct deadline *until)
{
	unsigned done = 0;
	long r = flags & MSG_ERRQUEUE ? 0 : sock_take_error(s);

	if (r < 0)
		return r;
	for (; done < n; at += sizeof(struct mmsghdr)) {
		r = receive_message(t, s, at, flags & ~(unsigned)MSG_WAITFORONE);
		if (r < 0)
			break;
		if (!put_length(t, at, r)) {
			r = -EFAULT;
			break;
		}
		done++;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (!deadline_is_forever(*until) && clock_now(until->clock) >= until->ns)
			break;
	}
	if (!done)
		return r < 0 ? r : 0;
	if (r < 0 && r != -EAGAIN && r > -ERESTARTSYS) /* told by the next call */
		s->err = (int)-r;
	return done;
}

/* The timeout comes first, and is looked at between messages only: __sys_recvmmsg(). */
long sys_recvmmsg(struct task *t, const struct sysargs *a)
{
	unsigned flags = arg_uint(a, 3), n = MIN(arg_uint(a, 2), (unsigned)UIO_MAXIOV);
	gva_t left_at = arg_gva(a, 4);
	struct deadline d;
	SOCK_ARG(s);
	long r;

	if (flags & MSG_CMSG_COMPAT)
		return -EINVAL;
	r = arg_timeout(t, left_at, CLOCK_MONOTONIC, false, &d);
	if (r == 0)
		r = arg_sock(t, arg_int(a, 0), &s, &s_file);
	if (r < 0)
		return r;
	r = receive_many(t, s, arg_gva(a, 1), n, flags, &d);
	if (r > 0 && left_at) {
		struct timespec left = timespec_of(MAX((int64_t)0, d.ns - clock_now(d.clock)));

		if (guest_write(t->mm, left_at, &left) < 0)
			return -EFAULT;
	}
	return r;
}
