/* SPDX-License-Identifier: MIT */
/*
 * What socket calls refuse, and in which order: descriptors, families and types, addresses, flags, lengths, faults,
 * names in the file system, options.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/sock.h"

#include <sys/resource.h>
#include <sys/uio.h>

static char *edge; /* the last byte before an unmapped page is edge[-1] */

static int set_up(void **state)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	edge = p + 4096;
	return munmap(edge, 4096);
}

static void families_types_protocols(void **state)
{
	int sv[2];

	ASSERT_ERR(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
	ASSERT_ERR(socket(1000, SOCK_STREAM, 0), EAFNOSUPPORT);
	ASSERT_ERR(socket(AF_UNIX, 0, 0), ESOCKTNOSUPPORT);
	ASSERT_ERR(socket(AF_UNIX, 11, 0), EINVAL);
	ASSERT_ERR(socket(AF_UNIX, SOCK_STREAM | 0x100, 0), EINVAL);
	ASSERT_ERR(socket(1000, SOCK_STREAM | 0x100, 0), EINVAL);
	ASSERT_ERR(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
	ASSERT_ERR(socket(AF_UNIX, SOCK_STREAM, 2), EPROTONOSUPPORT);
	ASSERT_ERR(socket(AF_UNIX, SOCK_RDM, 2), EPROTONOSUPPORT);
	assert_true(socket(AF_UNIX, SOCK_STREAM, PF_UNIX) >= 0);
	assert_int_equal(int_option(socket(AF_UNIX, SOCK_RAW, 0), SO_TYPE), SOCK_DGRAM);
	ASSERT_ERR(socketpair(AF_UNIX, SOCK_STREAM | 0x100, 0, sv), EINVAL);
	ASSERT_ERR(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, edge), EFAULT);
	ASSERT_ERR(syscall(SYS_socketpair, 1000, SOCK_STREAM, 0, edge), EFAULT); /* the numbers are told first */
	ASSERT_ERR(socketpair(AF_NETLINK, SOCK_RAW, 0, sv), EOPNOTSUPP);
}

static void descriptors_come_first(void **state)
{
	struct sockaddr_un un;
	socklen_t len = sizeof(un);
	int p[2], v = 0;

	pipe(p);
	for (int i = 0; i < 2; i++) {
		int fd = i ? p[0] : -1, e = i ? ENOTSOCK : EBADF;

		ASSERT_ERR(bind(fd, NULL, -1), e);
		ASSERT_ERR(listen(fd, 1), e);
		ASSERT_ERR(accept(fd, NULL, NULL), e);
		ASSERT_ERR(getsockname(fd, (struct sockaddr *)&un, &len), e);
		ASSERT_ERR(getpeername(fd, (struct sockaddr *)&un, &len), e);
		ASSERT_ERR(shutdown(fd, 99), e);
		ASSERT_ERR(setsockopt(fd, SOL_SOCKET, SO_TYPE, &v, -1), e);
		ASSERT_ERR(getsockopt(fd, SOL_SOCKET, SO_TYPE, &v, NULL), e);
		ASSERT_ERR(recv(fd, &v, 1, 0), e);
		ASSERT_ERR(send(fd, &v, 1, 0), e);
		ASSERT_ERR(sendmsg(fd, NULL, 0), e);
		ASSERT_ERR(recvmsg(fd, NULL, 0), e);
		ASSERT_ERR(sendmmsg(fd, NULL, 1, 0), e);
		ASSERT_ERR(recvmmsg(fd, NULL, 1, 0, NULL), e);
	}
	ASSERT_ERR(connect(-1, (void *)edge, 999), EBADF);
	ASSERT_ERR(connect(p[0], (void *)edge, 999), EINVAL);
	ASSERT_ERR(connect(p[0], (void *)edge, 4), EFAULT);
	ASSERT_ERR(connect(p[0], (struct sockaddr *)&un, 4), ENOTSOCK);
	ASSERT_ERR(accept4(-1, NULL, NULL, 1), EBADF);
	ASSERT_ERR(accept4(p[0], NULL, NULL, 1), EINVAL); /* flags before what it is */
	ASSERT_ERR(syscall(SYS_sendmsg, -1, NULL, 0x80000000u), EINVAL);
	ASSERT_ERR(syscall(SYS_sendto, -1, ~0ul - 100, 10, 0, NULL, 0), EFAULT); /* a buffer that is none */
}

static void addresses(void **state)
{
	struct sockaddr_un un;
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	path_name(&un, "s");
	ASSERT_ERR(bind(s, (struct sockaddr *)&un, -1), EINVAL);
	ASSERT_ERR(bind(s, (struct sockaddr *)&un, 129), EINVAL);
	ASSERT_ERR(bind(s, (struct sockaddr *)&un, sizeof(un) + 1), EINVAL);
	ASSERT_ERR(bind(s, (void *)edge, 10), EFAULT);
	ASSERT_ERR(bind(s, (struct sockaddr *)&un, 0), EINVAL);
	ASSERT_ERR(bind(s, (struct sockaddr *)&un, 1), EINVAL);
	un.sun_family = AF_INET;
	ASSERT_ERR(bind(s, (struct sockaddr *)&un, sizeof(un)), EINVAL);
	ASSERT_ERR(connect(s, (struct sockaddr *)&un, sizeof(un)), EINVAL);
	un.sun_family = AF_UNIX;
	ASSERT_ERR(connect(s, (struct sockaddr *)&un, 2), EINVAL);
	ASSERT_ERR(connect(s, (struct sockaddr *)&un, sizeof(un)), ENOENT);
	ASSERT_ERR(listen(s, 1), EINVAL); /* nameless */
	ASSERT_ERR(accept(s, NULL, NULL), EINVAL);
	assert_int_equal(bind(s, (struct sockaddr *)&un, sizeof(un)), 0);
	ASSERT_ERR(bind(s, (struct sockaddr *)&un, sizeof(un)), EADDRINUSE);
	path_name(&un, "other");
	ASSERT_ERR(bind(s, (struct sockaddr *)&un, sizeof(un)), EINVAL);
	ASSERT_ERR(access("other", F_OK), ENOENT);
	un.sun_path[0] = '\0';
	ASSERT_ERR(bind(s, (struct sockaddr *)&un, sizeof(un)), EINVAL);
}

static void paths(void **state)
{
	struct sockaddr_un un, got;
	socklen_t len = path_name(&un, "name"), n = sizeof(got);
	int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), d = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct stat st;

	umask(027);
	assert_int_equal(bind(s, (struct sockaddr *)&un, len + 3), 0); /* what is behind the NUL is nothing */
	assert_int_equal(stat("name", &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0750);
	umask(022);
	assert_int_equal(getsockname(s, (struct sockaddr *)&got, &n), 0);
	assert_int_equal(n, len);
	assert_string_equal(got.sun_path, "name");
	ASSERT_ERR(connect(c, (struct sockaddr *)&un, len), ECONNREFUSED); /* not listening */
	ASSERT_ERR(connect(d, (struct sockaddr *)&un, len), EPROTOTYPE);
	assert_int_equal(listen(s, 5), 0);
	ASSERT_ERR(open("name", O_RDWR), ENXIO);
	assert_int_equal(symlink("name", "link"), 0);
	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(rename("name", "d/moved"), 0);
	path_name(&un, "link");
	ASSERT_ERR(connect(c, (struct sockaddr *)&un, sizeof(un)), ENOENT);
	path_name(&un, "d/moved");
	assert_int_equal(connect(c, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(link("d/moved", "hard"), 0);
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	path_name(&un, "hard");
	assert_int_equal(connect(c, (struct sockaddr *)&un, sizeof(un)), 0);
	close(s);
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	ASSERT_ERR(connect(c, (struct sockaddr *)&un, sizeof(un)), ECONNREFUSED); /* the name stays */
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	ASSERT_ERR(bind(s, (struct sockaddr *)&un, sizeof(un)), EADDRINUSE);
	assert_int_equal(unlink("hard"), 0);
	assert_int_equal(bind(s, (struct sockaddr *)&un, sizeof(un)), 0);
	close(open("file", O_CREAT | O_RDWR, 0600));
	path_name(&un, "file");
	ASSERT_ERR(connect(c, (struct sockaddr *)&un, sizeof(un)), ECONNREFUSED);
	path_name(&un, "file/x");
	ASSERT_ERR(connect(c, (struct sockaddr *)&un, sizeof(un)), ENOTDIR);
	ASSERT_ERR(bind(d, (struct sockaddr *)&un, sizeof(un)), ENOTDIR);
	path_name(&un, "no/x");
	ASSERT_ERR(bind(d, (struct sockaddr *)&un, sizeof(un)), ENOENT);
	memset(un.sun_path, 'a', sizeof(un.sun_path)); /* full, no NUL */
	assert_int_equal(bind(d, (struct sockaddr *)&un, sizeof(un)), 0);
	n = sizeof(got);
	assert_int_equal(getsockname(d, (struct sockaddr *)&got, &n), 0);
	assert_int_equal(n, sizeof(un) + 1);
}

static long connect_as_other(void *arg)
{
	struct sockaddr_un un;

	path_name(&un, "closed");
	return connect(*(int *)arg, (struct sockaddr *)&un, sizeof(un));
}

static void a_name_needs_write_permission(void **state)
{
	struct sockaddr_un un;
	socklen_t len = path_name(&un, "closed");
	int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);

	if (geteuid() != 0)
		skip();
	assert_int_equal(bind(s, (struct sockaddr *)&un, len), 0);
	assert_int_equal(listen(s, 5), 0);
	assert_int_equal(chmod(".", 0755), 0);
	assert_int_equal(chmod("closed", 0755), 0);
	assert_int_equal(bg_as_user(65534, connect_as_other, &c), -1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(chmod("closed", 0777), 0);
	assert_int_equal(bg_as_user(65534, connect_as_other, &c), 0);
}

static void abstract_names(void **state)
{
	struct sockaddr_un un, got;
	socklen_t len = abstract_name(&un, "abs"), n = sizeof(got);
	int s = socket(AF_UNIX, SOCK_STREAM, 0), t = socket(AF_UNIX, SOCK_STREAM, 0), d = socket(AF_UNIX, SOCK_DGRAM, 0);

	assert_int_equal(bind(s, (struct sockaddr *)&un, len), 0);
	ASSERT_ERR(bind(t, (struct sockaddr *)&un, len), EADDRINUSE);
	assert_int_equal(bind(d, (struct sockaddr *)&un, len), 0); /* each type has its own */
	assert_int_equal(bind(t, (struct sockaddr *)&un, len + 1), 0); /* the length is part of it */
	close(s);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(s, (struct sockaddr *)&un, len), 0); /* gone with its socket */
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(s, (struct sockaddr *)&un, sizeof(sa_family_t)), 0); /* any */
	assert_int_equal(getsockname(s, (struct sockaddr *)&got, &n), 0);
	assert_int_equal(n, sizeof(sa_family_t) + 6);
	assert_int_equal(got.sun_path[0], 0);
	s = socket(AF_UNIX, SOCK_DGRAM, 0);
	n = sizeof(got);
	assert_int_equal(getsockname(s, (struct sockaddr *)&got, &n), 0);
	assert_int_equal(n, sizeof(sa_family_t));
	ASSERT_ERR(getpeername(s, (struct sockaddr *)&got, &n), ENOTCONN);
	n = (socklen_t)-1;
	ASSERT_ERR(getsockname(s, (struct sockaddr *)&got, &n), EINVAL);
	ASSERT_ERR(getsockname(s, (struct sockaddr *)&got, (socklen_t *)(void *)edge), EFAULT);
	n = 2;
	ASSERT_ERR(getsockname(s, (struct sockaddr *)(void *)edge, &n), EFAULT);
}

static void states(void **state)
{
	struct sockaddr_un un;
	socklen_t len;
	int l = listener(SOCK_STREAM, &un, &len, 5), s = socket(AF_UNIX, SOCK_STREAM, 0), d = socket(AF_UNIX, SOCK_DGRAM, 0), sv[2];
	char b[4];

	make_pair(SOCK_STREAM, sv);
	ASSERT_ERR(send(s, "x", 1, 0), ENOTCONN);
	ASSERT_ERR(send(l, "x", 1, 0), ENOTCONN);
	ASSERT_ERR(recv(s, b, 1, 0), EINVAL);
	ASSERT_ERR(recv(l, b, 1, 0), EINVAL);
	ASSERT_ERR(sendto(s, "x", 1, 0, (struct sockaddr *)&un, len), EOPNOTSUPP);
	ASSERT_ERR(sendto(sv[0], "x", 1, 0, (struct sockaddr *)&un, len), EISCONN);
	ASSERT_ERR(listen(sv[0], 1), EINVAL);
	ASSERT_ERR(listen(d, 1), EOPNOTSUPP);
	ASSERT_ERR(accept(d, NULL, NULL), EOPNOTSUPP);
	ASSERT_ERR(accept(sv[0], NULL, NULL), EINVAL);
	ASSERT_ERR(connect(sv[0], (struct sockaddr *)&un, len), EISCONN);
	assert_int_equal(shutdown(s, SHUT_RDWR), 0);
	assert_int_equal(listen(l, 1), 0); /* again */
}

static void messages(void **state)
{
	struct iovec v[2] = { { edge - 4, 4 }, { edge, 4 } };
	struct msghdr h = { .msg_iov = v, .msg_iovlen = 2 };
	int sv[2];

	make_pair(SOCK_STREAM, sv);
	ASSERT_ERR(sendmsg(sv[0], (struct msghdr *)(void *)edge, 0), EFAULT);
	ASSERT_ERR(recvmsg(sv[0], (struct msghdr *)(void *)edge, 0), EFAULT);
	h.msg_iovlen = UIO_MAXIOV + 1;
	ASSERT_ERR(sendmsg(sv[0], &h, 0), EMSGSIZE);
	ASSERT_ERR(recvmsg(sv[0], &h, MSG_DONTWAIT), EMSGSIZE);
	h.msg_iovlen = 1;
	h.msg_iov = (struct iovec *)(void *)edge;
	ASSERT_ERR(sendmsg(sv[0], &h, 0), EFAULT);
	h.msg_iov = v;
	v[0].iov_len = (size_t)-1;
	ASSERT_ERR(sendmsg(sv[0], &h, 0), EINVAL);
	v[0].iov_len = 4;
	h.msg_name = edge;
	h.msg_namelen = (socklen_t)-1;
	ASSERT_ERR(sendmsg(sv[0], &h, 0), EINVAL);
	ASSERT_ERR(recvmsg(sv[0], &h, MSG_DONTWAIT), EINVAL);
	h.msg_namelen = 10;
	ASSERT_ERR(sendmsg(sv[0], &h, 0), EFAULT);
	h.msg_name = NULL;
	assert_int_equal(sendmsg(sv[0], &h, 0), 4); /* a length alone is nothing */
	assert_int_equal(recv(sv[1], edge - 100, 99, 0), 4);
	ASSERT_ERR(recv(sv[1], edge - 100, 99, MSG_DONTWAIT), EAGAIN);
	ASSERT_ERR(recvmsg(sv[1], &h, MSG_ERRQUEUE | MSG_DONTWAIT), EAGAIN);
}

static void options(void **state)
{
	int s = socket(AF_UNIX, SOCK_STREAM, 0), v = 1;
	socklen_t n = sizeof(v);
	struct linger l = { 1, 5 };

	ASSERT_ERR(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &v, -1), EINVAL);
	ASSERT_ERR(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &v, 3), EINVAL);
	ASSERT_ERR(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, edge, 4), EFAULT);
	ASSERT_ERR(setsockopt(s, SOL_SOCKET, SO_TYPE, &v, 4), ENOPROTOOPT);
	ASSERT_ERR(setsockopt(s, SOL_SOCKET, SO_ERROR, &v, 4), ENOPROTOOPT);
	ASSERT_ERR(setsockopt(s, SOL_SOCKET, 9999, &v, 4), ENOPROTOOPT);
	ASSERT_ERR(setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &v, 4), EOPNOTSUPP);
	ASSERT_ERR(setsockopt(s, 6, 1, &v, 4), EOPNOTSUPP);
	ASSERT_ERR(getsockopt(s, 6, 1, &v, &n), EOPNOTSUPP);
	ASSERT_ERR(getsockopt(s, SOL_SOCKET, 9999, &v, &n), ENOPROTOOPT);
	ASSERT_ERR(getsockopt(s, SOL_SOCKET, SO_TYPE, &v, (socklen_t *)(void *)edge), EFAULT);
	ASSERT_ERR(getsockopt(s, SOL_SOCKET, SO_TYPE, edge, &n), EFAULT);
	n = (socklen_t)-1;
	ASSERT_ERR(getsockopt(s, SOL_SOCKET, SO_TYPE, &v, &n), EINVAL);
	v = 0x01020304;
	n = 1;
	assert_int_equal(getsockopt(s, SOL_SOCKET, SO_TYPE, &v, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(v, 0x01020301);
	n = 0;
	assert_int_equal(getsockopt(s, SOL_SOCKET, SO_TYPE, NULL, &n), 0);
	for (int i = 0; i < 4; i++) {
		const int names[] = { SO_REUSEADDR, SO_KEEPALIVE, SO_BROADCAST, SO_OOBINLINE };

		assert_int_equal(int_option(s, names[i]), 0);
		set_option(s, names[i], 7);
		assert_int_equal(int_option(s, names[i]), 1);
	}
	assert_int_equal(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	l.l_linger = 0;
	n = sizeof(l);
	assert_int_equal(getsockopt(s, SOL_SOCKET, SO_LINGER, &l, &n), 0);
	assert_int_equal(l.l_linger, 5);
	ASSERT_ERR(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, 4), EINVAL);
	set_option(s, SO_RCVBUF, 0);
	assert_int_equal(int_option(s, SO_RCVBUF), 2304);
	set_option(s, SO_PRIORITY, 3);
	assert_int_equal(int_option(s, SO_PRIORITY), 3);
	set_option(s, SO_RCVLOWAT, 0);
	assert_int_equal(int_option(s, SO_RCVLOWAT), 1);
	ASSERT_ERR(setsockopt(s, SOL_SOCKET, SO_SNDLOWAT, &v, 4), ENOPROTOOPT);
	assert_int_equal(int_option(s, SO_SNDLOWAT), 1);
	set_option(s, SO_TIMESTAMP, 1);
	assert_int_equal(int_option(s, SO_TIMESTAMP), 1);
	assert_int_equal(int_option(s, SO_TIMESTAMPNS), 0);
	ASSERT_ERR(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "nosuch0", 8), ENODEV);
}

static void no_descriptor_left(void **state)
{
	struct rlimit rl, low;
	struct sockaddr_un un;
	socklen_t len;
	int l = listener(SOCK_STREAM, &un, &len, 5), c = socket(AF_UNIX, SOCK_STREAM, 0), sv[2], top = dup(0);

	nonblock(l, true);
	getrlimit(RLIMIT_NOFILE, &rl);
	low = rl;
	low.rlim_cur = (rlim_t)top + 1;
	assert_int_equal(connect(c, (struct sockaddr *)&un, len), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	ASSERT_ERR(accept(l, NULL, NULL), EMFILE);
	ASSERT_ERR(socket(AF_UNIX, SOCK_STREAM, 0), EMFILE);
	ASSERT_ERR(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
	ASSERT_ERR(socketpair(AF_UNIX, SOCK_RDM, 0, sv), EMFILE);
	close(top);
	ASSERT_ERR(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), EMFILE);
	top = accept(l, NULL, NULL); /* it was not lost */
	assert_true(top >= 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(families_types_protocols),
		cmocka_unit_test(descriptors_come_first),
		cmocka_unit_test(addresses),
		cmocka_unit_test(paths),
		cmocka_unit_test(a_name_needs_write_permission),
		cmocka_unit_test(abstract_names),
		cmocka_unit_test(states),
		cmocka_unit_test(messages),
		cmocka_unit_test(options),
		cmocka_unit_test(no_descriptor_left),
	};

	set_up(NULL);
	return FILE_RUN_EVERYWHERE(tests);
}
