/* SPDX-License-Identifier: MIT */
/*
 * Reaching into other processes: process_vm_readv(2) and writev, pidfds (signals, descriptors, readiness), kcmp(2).
 */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul

static char *area; /* the same address in parent and child, private to each */

static int pidfd_open(pid_t pid, unsigned flags) { return (int)syscall(SYS_pidfd_open, pid, flags); }
static int pidfd_getfd(int fd, int target, unsigned flags) { return (int)syscall(SYS_pidfd_getfd, fd, target, flags); }
static int pidfd_send(int fd, int sig, siginfo_t *info, unsigned flags)
{
	return (int)syscall(SYS_pidfd_send_signal, fd, sig, info, flags);
}

static int go[2], done[2];

static void tell(int fd)
{
	assert_int_equal(write(fd, "x", 1), 1);
}

static void hear(int fd)
{
	char c;

	assert_int_equal(read(fd, &c, 1), 1);
}

/* A child that does fn, says so, and waits until it is let go or killed. */
static pid_t child(void (*fn)(void))
{
	pid_t pid;

	ASSERT_OK(pipe(go));
	ASSERT_OK(pipe(done));
	pid = fork();
	if (pid == 0) {
		char c;

		if (fn)
			fn();
		if (write(done[1], "x", 1) != 1 || read(go[0], &c, 1) != 1)
			_exit(1);
		_exit(area && area[PAGE] == 'W' ? 42 : 0);
	}
	hear(done[0]);
	return pid;
}

static int finish(pid_t pid)
{
	int status = -1;

	tell(go[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (int i = 0; i < 2; i++) {
		close(go[i]);
		close(done[i]);
	}
	return status;
}

/* --- memory ---------------------------------------------------------------------------------------------------- */

static void fill_area(void)
{
	for (size_t i = 0; i < 2 * PAGE; i++)
		area[i] = (char)(i % 251);
	munmap(area + 2 * PAGE, PAGE);
}

static void memory_is_read_and_written(void **state)
{
	char buf[3 * PAGE], piece[10];
	pid_t pid;

	area = (char *)ASSERT_OK(mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	pid = child(fill_area);
	struct iovec local[2] = { { piece, 10 }, { buf, sizeof(buf) } }, remote[2] = { { area + 5, 4 }, { area + 100, 3 * PAGE } };
	assert_int_equal(process_vm_readv(pid, local, 1, remote, 1, 0), 4);
	assert_memory_equal(piece, "\5\6\7\10", 4);
	assert_int_equal(area[5], 0); /* ours is another */
	/* pieces of both sides do not have to match; it ends where the memory ends */
	assert_int_equal(process_vm_readv(pid, local, 2, remote, 2, 0), 4 + 2 * PAGE - 100);
	assert_int_equal(piece[4], 100);
	assert_int_equal(buf[0], 106);
	piece[0] = 'W';
	struct iovec one = { piece, 1 }, there = { area + PAGE, 1 };
	assert_int_equal(process_vm_writev(pid, &one, 1, &there, 1, 0), 1);
	there.iov_base = area + 2 * PAGE;
	ASSERT_ERR(process_vm_readv(pid, &one, 1, &there, 1, 0), EFAULT);
	there.iov_base = (void *)8;
	ASSERT_ERR(process_vm_writev(pid, &one, 1, &there, 1, 0), EFAULT);
	ASSERT_ERR(process_vm_readv(pid, &one, 1, &there, 1, 1), EINVAL);
	ASSERT_ERR(process_vm_readv(pid, &one, IOV_MAX + 1, &there, 1, 0), EINVAL);
	ASSERT_ERR(process_vm_readv(1 << 21, &one, 1, &there, 1, 0), ESRCH);
	assert_int_equal(process_vm_readv(1 << 21, &one, 0, &there, 1, 0), 0); /* nothing to do */
	ASSERT_ERR(process_vm_readv(pid, (void *)8, 1, &there, 1, 0), EFAULT);
	assert_int_equal(finish(pid), 42 << 8);
	munmap(area, 3 * PAGE);
	area = NULL;
}

static void others_memory_is_theirs(void **state)
{
	pid_t pid, me;
	int status;

	if (geteuid() != 0)
		skip();
	pid = child(NULL);
	me = fork();
	if (me == 0) {
		char c;
		struct iovec v = { &c, 1 };

		if (setgid(4242) || setuid(4242))
			_exit(1);
		_exit(process_vm_readv(pid, &v, 1, &v, 1, 0) == -1 && errno == EPERM ? 0 : 2);
	}
	waitpid(me, &status, 0);
	assert_int_equal(status, 0);
	finish(pid);
}

/* --- pidfds ----------------------------------------------------------------------------------------------------- */

static void pidfds_signal_and_tell_of_the_end(void **state)
{
	pid_t pid = child(NULL);
	int fd = (int)ASSERT_OK(pidfd_open(pid, 0)), status;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	siginfo_t info = { .si_signo = SIGUSR1, .si_code = SI_QUEUE };

	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(poll(&p, 1, 0), 0);
	ASSERT_OK(pidfd_send(fd, 0, NULL, 0));
	ASSERT_ERR(pidfd_send(fd, 65, NULL, 0), EINVAL);
	ASSERT_ERR(pidfd_send(fd, SIGTERM, NULL, 0x100), EINVAL);
	ASSERT_ERR(pidfd_send(fd, SIGTERM, &info, 0), EINVAL); /* another signal than the one in it */
	ASSERT_ERR(pidfd_send(0, SIGTERM, NULL, 0), EBADF);
	ASSERT_ERR(pidfd_open(pid, 1), EINVAL);
	ASSERT_ERR(pidfd_open(-1, 0), EINVAL);
	ASSERT_ERR(pidfd_open(1 << 21, 0), ESRCH);
	ASSERT_OK(pidfd_send(fd, SIGKILL, NULL, 0));
	assert_int_equal(poll(&p, 1, 30000), 1);
	assert_true(p.revents & POLLIN);
	ASSERT_OK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED));
	assert_int_equal(info.si_pid, pid);
	assert_int_equal(info.si_status, SIGKILL);
	ASSERT_ERR(pidfd_send(fd, 0, NULL, 0), ESRCH);
	ASSERT_ERR(waitpid(pid, &status, 0), ECHILD);
	close(fd);
	for (int i = 0; i < 2; i++) {
		close(go[i]);
		close(done[i]);
	}
}

static void open_secret(void)
{
	int fd = open("secret", O_RDWR | O_CREAT, 0600);

	if (dup2(fd, 77) != 77 || write(77, "hidden", 6) != 6)
		_exit(9);
}

static void descriptors_can_be_fetched(void **state)
{
	pid_t pid = child(open_secret);
	int fd = (int)ASSERT_OK(pidfd_open(pid, 0)), got;
	char buf[10] = "";

	got = (int)ASSERT_OK(pidfd_getfd(fd, 77, 0));
	assert_int_equal(fcntl(got, F_GETFD), FD_CLOEXEC);
	assert_int_equal(lseek(got, 0, SEEK_CUR), 6); /* the same open file */
	assert_int_equal(pread(got, buf, 10, 0), 6);
	assert_string_equal(buf, "hidden");
	ASSERT_ERR(pidfd_getfd(fd, 78, 0), EBADF);
	ASSERT_ERR(pidfd_getfd(fd, 77, 1), EINVAL);
	ASSERT_ERR(pidfd_getfd(0, 77, 0), EBADF);
	close(got);
	finish(pid);
	ASSERT_ERR(pidfd_getfd(fd, 77, 0), ESRCH);
	close(fd);
	ASSERT_OK(unlink("secret"));
}

/* --- kcmp ---------------------------------------------------------------------------------------------------------- */

static long kcmp(pid_t a, pid_t b, int type, unsigned long x, unsigned long y)
{
	return syscall(SYS_kcmp, a, b, type, x, y);
}

static void kcmp_tells_what_an_epoll_watches(void **state)
{
	int ep = (int)ASSERT_OK(epoll_create1(0)), p[2];
	struct epoll_event ev = { .events = EPOLLIN };
	struct kcmp_epoll_slot s = { .efd = (unsigned)ep };
	pid_t me = getpid();

	ASSERT_OK(pipe(p));
	s.tfd = (unsigned)p[0];
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev));
	long r = kcmp(me, me, KCMP_EPOLL_TFD, (unsigned)p[0], (uintptr_t)&s);
	if (r == -1 && (errno == ENOSYS || errno == EOPNOTSUPP))
		skip();
	assert_int_equal(r, 0);
	assert_true(kcmp(me, me, KCMP_EPOLL_TFD, (unsigned)p[1], (uintptr_t)&s) > 0);
	s.toff = 1;
	ASSERT_ERR(kcmp(me, me, KCMP_EPOLL_TFD, (unsigned)p[0], (uintptr_t)&s), ENOENT);
	s.toff = 0;
	s.tfd = (unsigned)p[1];
	ASSERT_ERR(kcmp(me, me, KCMP_EPOLL_TFD, (unsigned)p[0], (uintptr_t)&s), ENOENT);
	s.efd = (unsigned)p[0];
	ASSERT_ERR(kcmp(me, me, KCMP_EPOLL_TFD, (unsigned)p[0], (uintptr_t)&s), EINVAL);
	s.efd = 900;
	ASSERT_ERR(kcmp(me, me, KCMP_EPOLL_TFD, (unsigned)p[0], (uintptr_t)&s), EBADF);
	ASSERT_ERR(kcmp(me, me, KCMP_EPOLL_TFD, 900, 8), EFAULT);
	close(ep);
	close(p[0]);
	close(p[1]);
}

static void kcmp_tells_what_is_shared(void **state)
{
	int null = (int)ASSERT_OK(open("/dev/null", O_RDWR)), again = (int)ASSERT_OK(open("/dev/null", O_RDWR));
	int same = (int)ASSERT_OK(dup(null));
	pid_t me = getpid(), pid = child(NULL);

	if (kcmp(me, me, KCMP_VM, 0, 0) == -1 && errno == ENOSYS)
		skip(); /* not every kernel has it */
	assert_int_equal(kcmp(me, me, KCMP_FILE, (unsigned)null, (unsigned)same), 0);
	assert_true(kcmp(me, me, KCMP_FILE, (unsigned)null, (unsigned)again) > 0);
	assert_int_equal(kcmp(me, pid, KCMP_FILE, (unsigned)null, (unsigned)null), 0);
	assert_int_equal(kcmp(me, me, KCMP_VM, 0, 0), 0);
	assert_true(kcmp(me, pid, KCMP_VM, 0, 0) > 0);
	assert_true(kcmp(me, pid, KCMP_FILES, 0, 0) > 0);
	assert_true(kcmp(me, pid, KCMP_FS, 0, 0) > 0);
	assert_true(kcmp(me, pid, KCMP_SIGHAND, 0, 0) > 0);
	assert_int_equal(kcmp(me, me, KCMP_SYSVSEM, 0, 0), 0);
	/* an order: one way or the other */
	assert_int_equal(kcmp(me, pid, KCMP_VM, 0, 0) + kcmp(pid, me, KCMP_VM, 0, 0), 3);
	ASSERT_ERR(kcmp(me, me, KCMP_FILE, 900, 901), EBADF);
	ASSERT_ERR(kcmp(me, 1 << 21, KCMP_VM, 0, 0), ESRCH);
	ASSERT_ERR(kcmp(me, me, 99, 0, 0), EINVAL);
	finish(pid);
	close(null);
	close(again);
	close(same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_read_and_written),
		cmocka_unit_test(others_memory_is_theirs),
		cmocka_unit_test(pidfds_signal_and_tell_of_the_end),
		cmocka_unit_test(descriptors_can_be_fetched),
		cmocka_unit_test(kcmp_tells_what_an_epoll_watches),
		cmocka_unit_test(kcmp_tells_what_is_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
