/* SPDX-License-Identifier: MIT */
/*
 * Control messages of AF_UNIX: descriptors (SCM_RIGHTS) and credentials (SCM_CREDENTIALS, SO_PASSCRED, SO_PEERCRED):
 * boundaries in streams, truncation, close-on-exec, messages that nobody takes, limits, malformed control data.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/sock.h"

#include <sys/resource.h>
#include <sys/wait.h>

union control { struct cmsghdr h; char buf[4096]; };

static ssize_t send_fds(int s, const int *fds, unsigned n, const char *text, int flags)
{
	union control c = { 0 };
	struct iovec v = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = CMSG_SPACE(n * sizeof(int)) };

	c.h = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n * sizeof(int)) };
	memcpy(CMSG_DATA(&c.h), fds, n * sizeof(int));
	return sendmsg(s, &h, flags);
}

/* What came: bytes, descriptors (in fds, *ret_n), msg_flags. room: of the control buffer. */
static ssize_t recv_fds(int s, int *fds, unsigned *ret_n, int *ret_flags, size_t room, size_t size, int flags)
{
	union control c;
	char buf[64];
	struct iovec v = { buf, size };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room ? &c : NULL, .msg_controllen = room };
	ssize_t r = recvmsg(s, &h, flags);

	*ret_n = 0;
	*ret_flags = h.msg_flags;
	if (r >= 0)
		for (struct cmsghdr *m = CMSG_FIRSTHDR(&h); m; m = CMSG_NXTHDR(&h, m))
			if (m->cmsg_level == SOL_SOCKET && m->cmsg_type == SCM_RIGHTS) {
				*ret_n = (unsigned)((m->cmsg_len - CMSG_LEN(0)) / sizeof(int));
				memcpy(fds, CMSG_DATA(m), *ret_n * sizeof(int));
			}
	return r;
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

static void descriptors_arrive(void **state)
{
	const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };

	for (size_t i = 0; i < 3; i++) {
		int sv[2], p[2], got[4], flags;
		unsigned n;

		make_pair(types[i], sv);
		assert_int_equal(pipe(p), 0);
		assert_int_equal(send_fds(sv[0], p, 2, "ab", 0), 2);
		assert_int_equal(recv_fds(sv[1], got, &n, &flags, 256, 64, 0), 2);
		assert_int_equal(n, 2);
		assert_int_equal(flags, 0);
		assert_true(same_file(got[0], p[0]));
		assert_int_equal(fcntl(got[0], F_GETFD), 0);
		assert_int_equal(write(got[1], "x", 1), 1);
		assert_int_equal(send_fds(sv[0], p, 1, "a", 0), 1);
		assert_int_equal(recv_fds(sv[1], got, &n, &flags, 256, 64, MSG_CMSG_CLOEXEC), 1);
		assert_int_equal(flags, MSG_CMSG_CLOEXEC);
		assert_int_equal(fcntl(got[0], F_GETFD), FD_CLOEXEC);
	}
}

static void they_are_the_same_description(void **state)
{
	int sv[2], fd = file_make("f", "0123456789"), got, flags;
	unsigned n;
	char c;

	make_pair(SOCK_STREAM, sv);
	send_fds(sv[0], &fd, 1, "x", 0);
	recv_fds(sv[1], &got, &n, &flags, 256, 64, 0);
	assert_int_equal(lseek(fd, 5, SEEK_SET), 5);
	assert_int_equal(read(got, &c, 1), 1);
	assert_int_equal(c, '5');
}

static void a_stream_stops_at_descriptors(void **state)
{
	int sv[2], p[2], got[2], flags;
	unsigned n;
	char buf[16];

	make_pair(SOCK_STREAM, sv);
	pipe(p);
	write(sv[0], "ab", 2);
	send_fds(sv[0], p, 1, "cd", 0);
	send_fds(sv[0], p, 1, "ef", 0);
	write(sv[0], "gh", 2);
	/* plain bytes and the first message with a descriptor: together, up to its end */
	assert_int_equal(recv_fds(sv[1], got, &n, &flags, 256, 64, 0), 4);
	assert_int_equal(n, 1);
	assert_int_equal(recv_fds(sv[1], got, &n, &flags, 256, 1, MSG_PEEK), 1);
	assert_int_equal(n, 1); /* peeked: one more copy */
	assert_int_equal(recv_fds(sv[1], got, &n, &flags, 256, 1, 0), 1);
	assert_int_equal(n, 1); /* with the first byte */
	assert_int_equal(recv_fds(sv[1], got, &n, &flags, 256, 64, 0), 3);
	assert_int_equal(n, 0);
	send_fds(sv[0], p, 1, "ij", 0);
	assert_int_equal(read(sv[1], buf, 16), 2); /* read(2) drops them */
}

static void short_room_truncates(void **state)
{
	int sv[2], p[2], got[4], flags, before;
	unsigned n;

	make_pair(SOCK_DGRAM, sv);
	pipe(p);
	before = fds_open();
	send_fds(sv[0], p, 2, "x", 0);
	assert_int_equal(recv_fds(sv[1], got, &n, &flags, CMSG_LEN(sizeof(int)), 64, 0), 1);
	assert_int_equal(n, 1);
	assert_int_equal(flags, MSG_CTRUNC);
	close(got[0]);
	send_fds(sv[0], p, 2, "x", 0);
	assert_int_equal(recv_fds(sv[1], got, &n, &flags, sizeof(struct cmsghdr), 64, 0), 1);
	assert_int_equal(n, 0);
	assert_int_equal(flags, MSG_CTRUNC);
	send_fds(sv[0], p, 2, "x", 0);
	assert_int_equal(recv_fds(sv[1], got, &n, &flags, 0, 64, 0), 1);
	assert_int_equal(flags, MSG_CTRUNC);
	assert_int_equal(fds_open(), before);
}

static void no_free_descriptor_truncates(void **state)
{
	struct rlimit rl, low;
	int sv[2], p[2], got[4], flags;
	unsigned n;

	make_pair(SOCK_DGRAM, sv);
	pipe(p);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &rl), 0);
	low = rl;
	low.rlim_cur = (rlim_t)p[1] + 2;
	send_fds(sv[0], p, 2, "x", 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(recv_fds(sv[1], got, &n, &flags, 256, 64, 0), 1);
	assert_int_equal(n, 1);
	assert_int_equal(flags, MSG_CTRUNC);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
}

/* A descriptor of a pipe's writing end in a message keeps the pipe open until the message is gone. */
static void untaken_descriptors_are_closed(void **state)
{
	char c;
	int sv[2], p[2];

	for (int way = 0; way < 3; way++) {
		make_pair(SOCK_STREAM, sv);
		pipe(p);
		nonblock(p[0], true);
		send_fds(sv[0], &p[1], 1, "x", 0);
		close(p[1]);
		ASSERT_ERR(read(p[0], &c, 1), EAGAIN);
		close(sv[0]);
		if (way == 0)
			close(sv[1]);
		else if (way == 1)
			read(sv[1], &c, 1);
		else
			recv(sv[1], &c, 1, MSG_PEEK), close(sv[1]);
		assert_int_equal(read(p[0], &c, 1), 0);
		close(p[0]);
		close(sv[1]);
	}
}

/* Two sockets in each other's queue, nobody else: the pipe that travels with them is closed, too. */
static void a_cycle_is_collected(void **state)
{
	int a[2], b[2], p[2], fds[2];
	char c;

	make_pair(SOCK_STREAM, a);
	make_pair(SOCK_STREAM, b);
	pipe(p);
	nonblock(p[0], true);
	fds[0] = b[0];
	fds[1] = p[1];
	send_fds(a[0], fds, 2, "x", 0); /* in a[1]: b[0] */
	send_fds(b[1], &a[1], 1, "x", 0); /* in b[0]: a[1] */
	close(a[0]);
	close(a[1]);
	close(b[0]);
	close(b[1]);
	close(p[1]);
	make_pair(SOCK_STREAM, a); /* the collector runs when sockets come and go */
	close(a[0]);
	close(a[1]);
	assert_true(EVENTUALLY(read(p[0], &c, 1) == 0));
}

static void sockets_travel_through_themselves(void **state)
{
	int sv[2], got, flags;
	unsigned n;

	make_pair(SOCK_STREAM, sv);
	assert_int_equal(send_fds(sv[0], &sv[1], 1, "x", 0), 1);
	assert_int_equal(recv_fds(sv[1], &got, &n, &flags, 256, 64, 0), 1);
	assert_true(same_file(got, sv[1]));
}

/* One header as given; what is behind it stays. */
static ssize_t send_header(struct msghdr *h, int s, int level, int type, size_t len, size_t controllen)
{
	struct cmsghdr *c = h->msg_control;

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = len;
	h->msg_controllen = controllen;
	return sendmsg(s, h, MSG_DONTWAIT);
}

static void bad_control_data(void **state)
{
	union control c = { 0 };
	struct iovec v = { &c, 1 };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c };
	int sv[2], many[254];
	struct rlimit rl;

	make_pair(SOCK_STREAM, sv);
	ASSERT_ERR(send_header(&h, sv[0], SOL_SOCKET, SCM_RIGHTS, 0, 64), EINVAL);
	ASSERT_ERR(send_header(&h, sv[0], SOL_SOCKET, SCM_RIGHTS, sizeof(struct cmsghdr) - 1, 64), EINVAL);
	ASSERT_ERR(send_header(&h, sv[0], SOL_SOCKET, SCM_RIGHTS, 65, 64), EINVAL);
	ASSERT_ERR(send_header(&h, sv[0], SOL_SOCKET, SCM_RIGHTS, SIZE_MAX, 64), EINVAL);
	ASSERT_ERR(send_header(&h, sv[0], SOL_SOCKET, SCM_CREDENTIALS, CMSG_LEN(11), 64), EINVAL);
	ASSERT_ERR(send_header(&h, sv[0], SOL_SOCKET, 99, CMSG_LEN(4), 64), EINVAL);
	assert_int_equal(send_header(&h, sv[0], SOL_SOCKET, SCM_RIGHTS, CMSG_LEN(0), 64), -1); /* the next header is broken: zero length */
	assert_int_equal(errno, EINVAL);
	assert_int_equal(send_header(&h, sv[0], SOL_SOCKET, SCM_RIGHTS, CMSG_LEN(0), CMSG_LEN(0)), 1);
	assert_int_equal(send_header(&h, sv[0], SOL_SOCKET, SCM_RIGHTS, CMSG_LEN(3), CMSG_LEN(3)), 1);
	assert_int_equal(send_header(&h, sv[0], 0 /* IPPROTO_IP */, 1234, CMSG_LEN(4), CMSG_LEN(4)), 1); /* not for us */
	assert_int_equal(send_header(&h, sv[0], SOL_SOCKET, SCM_RIGHTS, CMSG_LEN(4), 8), 1);     /* no whole header */
	*(int *)CMSG_DATA(&c.h) = -1;
	ASSERT_ERR(send_header(&h, sv[0], SOL_SOCKET, SCM_RIGHTS, CMSG_LEN(4), CMSG_LEN(4)), EBADF);
	*(int *)CMSG_DATA(&c.h) = 9999;
	ASSERT_ERR(send_header(&h, sv[0], SOL_SOCKET, SCM_RIGHTS, CMSG_LEN(4), CMSG_LEN(4)), EBADF);
	h.msg_control = NULL;
	h.msg_controllen = 64;
	ASSERT_ERR(sendmsg(sv[0], &h, 0), EFAULT);
	h.msg_controllen = (size_t)INT32_MAX + 1;
	ASSERT_ERR(sendmsg(sv[0], &h, 0), ENOBUFS);
	for (size_t i = 0; i < 254; i++)
		many[i] = sv[0];
	ASSERT_ERR(send_fds(sv[0], many, 254, "x", 0), EINVAL);
	getrlimit(RLIMIT_NOFILE, &rl);
	assert_int_equal(send_fds(sv[0], many, 253, "x", 0), 1);
}

/* --- credentials ------------------------------------------------------------------------------------------------- */

static bool recv_cred(int s, struct ucred *ret, int *ret_flags)
{
	union control c;
	char buf[64];
	struct iovec v = { buf, sizeof(buf) };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = 256 };

	assert_true(recvmsg(s, &h, 0) > 0);
	*ret_flags = h.msg_flags;
	for (struct cmsghdr *m = CMSG_FIRSTHDR(&h); m; m = CMSG_NXTHDR(&h, m))
		if (m->cmsg_type == SCM_CREDENTIALS) {
			memcpy(ret, CMSG_DATA(m), sizeof(*ret));
			return true;
		}
	return false;
}

static ssize_t send_cred(int s, struct ucred u)
{
	union control c = { 0 };
	struct iovec v = { &c, 1 };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = CMSG_SPACE(sizeof(u)) };

	c.h = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS, .cmsg_len = CMSG_LEN(sizeof(u)) };
	memcpy(CMSG_DATA(&c.h), &u, sizeof(u));
	return sendmsg(s, &h, 0);
}

static void credentials_come_if_wanted(void **state)
{
	struct ucred u = { 0 };
	int sv[2], flags;

	make_pair(SOCK_STREAM, sv);
	write(sv[0], "x", 1);
	assert_false(recv_cred(sv[1], &u, &flags));
	set_option(sv[1], SO_PASSCRED, 1);
	assert_int_equal(int_option(sv[1], SO_PASSCRED), 1);
	write(sv[0], "x", 1);
	assert_true(recv_cred(sv[1], &u, &flags));
	assert_int_equal(u.pid, getpid());
	assert_int_equal(u.uid, getuid());
	assert_int_equal(u.gid, getgid());
	assert_int_equal(send_cred(sv[0], (struct ucred){ getpid(), getuid(), getgid() }), 1);
	assert_true(recv_cred(sv[1], &u, &flags));
	assert_int_equal(u.pid, getpid());
	make_pair(SOCK_DGRAM, sv);
	set_option(sv[1], SO_PASSCRED, 1);
	write(sv[0], "x", 1);
	assert_true(recv_cred(sv[1], &u, &flags));
	assert_int_equal(u.pid, getpid());
}

static void the_end_of_a_stream_is_nobody_s(void **state)
{
	char buf[4], ctl[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec v = { buf, sizeof(buf) };
	struct sockaddr_un from, name;
	struct msghdr h = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &v, .msg_iovlen = 1,
			    .msg_control = ctl, .msg_controllen = sizeof(ctl) };
	struct ucred u;
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	set_option(sv[1], SO_PASSCRED, 1);
	assert_int_equal(bind(sv[0], (struct sockaddr *)&name, abstract_name(&name, "end")), 0);
	shutdown(sv[0], SHUT_WR);
	assert_int_equal(recvmsg(sv[1], &h, 0), 0);
	assert_int_equal(h.msg_namelen, 0);
	assert_non_null(CMSG_FIRSTHDR(&h));
	memcpy(&u, CMSG_DATA(CMSG_FIRSTHDR(&h)), sizeof(u));
	assert_int_equal(u.pid, 0);
	assert_int_equal(u.uid, 0);
}

static void a_stream_does_not_glue_writers(void **state)
{
	struct ucred u = { 0 };
	int sv[2], flags, status;
	char buf[8];
	pid_t child;

	make_pair(SOCK_STREAM, sv);
	set_option(sv[1], SO_PASSCRED, 1);
	write(sv[0], "a", 1);
	child = fork();
	if (child == 0)
		_exit(write(sv[0], "bb", 2) != 2);
	waitpid(child, &status, 0);
	assert_true(recv_cred(sv[1], &u, &flags));
	assert_int_equal(u.pid, getpid());
	assert_true(recv_cred(sv[1], &u, &flags));
	assert_int_equal(u.pid, child);
	ASSERT_ERR(recv(sv[1], buf, 8, MSG_DONTWAIT), EAGAIN);
}

static long lie(void *arg)
{
	int s = *(int *)arg, bad = 0;

	bad |= send_cred(s, (struct ucred){ 1, 65534, 65534 }) != -1 || errno != EPERM;
	bad |= send_cred(s, (struct ucred){ getpid(), 0, 65534 }) != -1 || errno != EPERM;
	bad |= send_cred(s, (struct ucred){ getpid(), 65534, 0 }) != -1 || errno != EPERM;
	bad |= send_cred(s, (struct ucred){ getpid(), 65534, 65534 }) != 1;
	return bad;
}

static void false_credentials_are_refused(void **state)
{
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	if (geteuid() != 0)
		skip();
	assert_int_equal(bg_as_user(65534, lie, &sv[0]), 0);
	ASSERT_ERR(send_cred(sv[0], (struct ucred){ 4000000, 0, 0 }), ESRCH);
	assert_int_equal(send_cred(sv[0], (struct ucred){ getpid(), 77, 78 }), 1); /* root may */
}

static void peers_are_known(void **state)
{
	struct sockaddr_un un;
	socklen_t len, n;
	int l = listener(SOCK_STREAM, &un, &len, 5), c, a, p[2], status, sv[2];
	struct ucred u;
	pid_t child;
	char b;

	make_pair(SOCK_STREAM, sv);
	n = sizeof(u);
	assert_int_equal(getsockopt(sv[0], SOL_SOCKET, SO_PEERCRED, &u, &n), 0);
	assert_int_equal(u.pid, getpid());
	assert_int_equal(u.uid, geteuid());
	pipe(p);
	child = fork();
	if (child == 0) {
		c = socket(AF_UNIX, SOCK_STREAM, 0);
		if (connect(c, (struct sockaddr *)&un, len))
			_exit(1);
		n = sizeof(u);
		if (getsockopt(c, SOL_SOCKET, SO_PEERCRED, &u, &n) || u.pid != getppid())
			_exit(2);
		read(p[0], &b, 1);
		_exit(0);
	}
	a = accept(l, NULL, NULL);
	n = sizeof(u);
	assert_int_equal(getsockopt(a, SOL_SOCKET, SO_PEERCRED, &u, &n), 0);
	assert_int_equal(u.pid, child);
	write(p[1], "x", 1);
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	n = 4; /* cut */
	assert_int_equal(getsockopt(a, SOL_SOCKET, SO_PEERCRED, &u, &n), 0);
	assert_int_equal(n, 4);
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	n = sizeof(u);
	assert_int_equal(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &u, &n), 0);
	assert_int_equal(u.pid, 0);
	assert_int_equal((int)u.uid, -1);
	n = 64;
	ASSERT_ERR(getsockopt(a, SOL_SOCKET, SO_PEERSEC, &u, &n), ENOPROTOOPT);
}

static void a_peer_as_pidfd(void **state)
{
	int sv[2], fd = -1;
	socklen_t n = sizeof(fd);

	make_pair(SOCK_STREAM, sv);
	if (getsockopt(sv[0], SOL_SOCKET, 77 /* SO_PEERPIDFD */, &fd, &n) < 0 && errno == ENOPROTOOPT)
		skip(); /* before Linux 6.5 */
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), 0);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors_arrive),
		cmocka_unit_test(they_are_the_same_description),
		cmocka_unit_test(a_stream_stops_at_descriptors),
		cmocka_unit_test(short_room_truncates),
		cmocka_unit_test(no_free_descriptor_truncates),
		cmocka_unit_test(untaken_descriptors_are_closed),
		cmocka_unit_test(a_cycle_is_collected),
		cmocka_unit_test(sockets_travel_through_themselves),
		cmocka_unit_test(bad_control_data),
		cmocka_unit_test(credentials_come_if_wanted),
		cmocka_unit_test(the_end_of_a_stream_is_nobody_s),
		cmocka_unit_test(a_stream_does_not_glue_writers),
		cmocka_unit_test(false_credentials_are_refused),
		cmocka_unit_test(peers_are_known),
		cmocka_unit_test(a_peer_as_pidfd),
	};

	return FILE_RUN_HERE(tests);
}
