/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues: names, attributes and limits, order by priority, full and empty queues, time limits and signals,
 * poll and epoll, notification, and what close, fork and unlink leave.
 */
#include "tests/lib/child.h"

#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *name_of(int n)
{
	static char name[2][64];

	snprintf(name[n % 2], sizeof(name[0]), "/vmrun-mq-%d-%d", getpid(), n);
	return name[n % 2];
}

static mqd_t make(int n, int oflag, long maxmsg, long msgsize)
{
	struct mq_attr a = { .mq_maxmsg = maxmsg, .mq_msgsize = msgsize };

	mq_unlink(name_of(n));
	return (mqd_t)ASSERT_OK(mq_open(name_of(n), oflag | O_CREAT | O_EXCL, 0600, &a));
}

static void drop(int n, mqd_t q)
{
	ASSERT_OK(mq_close(q));
	ASSERT_OK(mq_unlink(name_of(n)));
}

static void put(mqd_t q, const char *text, unsigned prio)
{
	ASSERT_OK(mq_send(q, text, strlen(text), prio));
}

static void expect(mqd_t q, const char *want, unsigned want_prio)
{
	char buf[8192];
	unsigned prio = 77;
	ssize_t n = ASSERT_OK(mq_receive(q, buf, sizeof(buf), &prio));

	assert_int_equal(n, strlen(want));
	assert_memory_equal(buf, want, n);
	assert_int_equal(prio, want_prio);
}

static struct mq_attr attr_of(mqd_t q)
{
	struct mq_attr a;

	ASSERT_OK(mq_getattr(q, &a));
	return a;
}

static int status_of(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return status;
}

static struct timespec in_ms(long ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += ms * 1000000;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}

static void names(void **state)
{
	char longest[300] = "/";
	mqd_t q, r;

	mq_unlink(name_of(1));
	ASSERT_ERR(mq_open(name_of(1), O_RDWR), ENOENT);
	ASSERT_ERR(mq_unlink(name_of(1)), ENOENT);
	q = (mqd_t)ASSERT_OK(mq_open(name_of(1), O_RDWR | O_CREAT, 0640, NULL));
	assert_int_equal(fcntl(q, F_GETFD), FD_CLOEXEC);
	ASSERT_ERR(mq_open(name_of(1), O_RDWR | O_CREAT | O_EXCL, 0640, NULL), EEXIST);
	r = (mqd_t)ASSERT_OK(mq_open(name_of(1), O_RDONLY | O_CREAT, 0, NULL));
	put(q, "through another descriptor", 1);
	expect(r, "through another descriptor", 1);
	ASSERT_OK(mq_close(r));
	ASSERT_OK(mq_unlink(name_of(1)));
	put(q, "lives on", 0);
	expect(q, "lives on", 0);
	ASSERT_OK(mq_close(q));
	ASSERT_ERR(syscall(SYS_mq_open, "", O_RDWR, 0, NULL), ENOENT);
	ASSERT_ERR(syscall(SYS_mq_open, "a/b", O_RDWR | O_CREAT, 0600, NULL), EACCES);
	ASSERT_ERR(syscall(SYS_mq_open, ".", O_RDWR, 0, NULL), EACCES);
	ASSERT_ERR(syscall(SYS_mq_open, "/x", O_RDWR, 0, NULL), EACCES);
	ASSERT_ERR(syscall(SYS_mq_open, (void *)1, O_RDWR, 0, NULL), EFAULT);
	ASSERT_ERR(syscall(SYS_mq_open, "vmrun-x", O_RDWR | O_CREAT, 0600, (void *)1), EFAULT);
	ASSERT_ERR(syscall(SYS_mq_unlink, "a/b"), EACCES);
	memset(longest + 1, 'n', 256);
	ASSERT_ERR(mq_open(longest, O_RDWR | O_CREAT, 0600, NULL), ENAMETOOLONG);
	longest[256] = '\0';
	q = (mqd_t)ASSERT_OK(mq_open(longest, O_RDWR | O_CREAT, 0600, NULL));
	ASSERT_OK(mq_close(q));
	ASSERT_OK(mq_unlink(longest));
}

static void attributes(void **state)
{
	struct mq_attr a = { 0 }, old;
	struct stat st;
	mqd_t q = (mqd_t)ASSERT_OK(mq_open(name_of(1), O_RDWR | O_CREAT | O_NONBLOCK, 0640, NULL));

	a = attr_of(q);
	assert_int_equal(a.mq_flags, O_NONBLOCK);
	assert_int_equal(a.mq_maxmsg, 10);
	assert_int_equal(a.mq_msgsize, 8192);
	assert_int_equal(a.mq_curmsgs, 0);
	put(q, "x", 0);
	a.mq_flags = 0;
	a.mq_maxmsg = 3; /* not to be changed */
	ASSERT_OK(mq_setattr(q, &a, &old));
	assert_int_equal(old.mq_flags, O_NONBLOCK);
	assert_int_equal(old.mq_curmsgs, 1);
	a = attr_of(q);
	assert_int_equal(a.mq_flags, 0);
	assert_int_equal(a.mq_maxmsg, 10);
	a.mq_flags = O_APPEND;
	ASSERT_ERR(mq_setattr(q, &a, NULL), EINVAL);
	ASSERT_OK(fstat(q, &st));
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_size, 80);
	drop(1, q);
	ASSERT_ERR(mq_getattr(q, &a), EBADF);
	ASSERT_ERR(mq_getattr(0, &a), EBADF);
	const long bad[][2] = { { 0, 10 }, { 10, 0 }, { -1, 10 }, { 10, -1 }, { 65537, 10 }, { 1, 16777217 } };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct mq_attr b = { .mq_maxmsg = bad[i][0], .mq_msgsize = bad[i][1] };

		ASSERT_ERR(mq_open(name_of(1), O_RDWR | O_CREAT, 0600, &b), EINVAL);
	}
	ASSERT_ERR(mq_open(name_of(1), O_RDWR), ENOENT);
}

static void users_have_limits(void **state)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct rlimit lim = { 100000, 100000 };
		struct mq_attr a = { .mq_maxmsg = 11, .mq_msgsize = 10 };
		mqd_t q;

		if (setrlimit(RLIMIT_MSGQUEUE, &lim) || (geteuid() == 0 && (setgid(65533) || setuid(65533))))
			_exit(1);
		if (mq_open(name_of(1), O_RDWR | O_CREAT, 0600, &a) != -1 || errno != EINVAL)
			_exit(2);
		a.mq_maxmsg = 10;
		a.mq_msgsize = 8193;
		if (mq_open(name_of(1), O_RDWR | O_CREAT, 0600, &a) != -1 || errno != EINVAL)
			_exit(3);
		q = mq_open(name_of(1), O_RDWR | O_CREAT, 0600, NULL);
		if (q < 0)
			_exit(4);
		if (mq_open(name_of(2), O_RDWR | O_CREAT, 0600, NULL) != -1 || errno != EMFILE)
			_exit(5);
		if (mq_unlink(name_of(1)))
			_exit(6);
		if (mq_open(name_of(2), O_RDWR | O_CREAT, 0600, NULL) != -1 || errno != EMFILE)
			_exit(7); /* still open */
		mq_close(q);
		q = mq_open(name_of(2), O_RDWR | O_CREAT, 0600, NULL);
		_exit(q < 0 || mq_unlink(name_of(2)) ? 8 : 0);
	}
	assert_int_equal(status_of(pid), 0);
}

static void priorities_then_age(void **state)
{
	mqd_t q = make(1, O_RDWR, 10, 100);

	put(q, "a1", 1);
	put(q, "b5", 5);
	put(q, "c1", 1);
	put(q, "d5", 5);
	put(q, "e0", 0);
	put(q, "f32767", 32767);
	ASSERT_ERR(mq_send(q, "x", 1, 32768), EINVAL);
	assert_int_equal(attr_of(q).mq_curmsgs, 6);
	expect(q, "f32767", 32767);
	expect(q, "b5", 5);
	expect(q, "d5", 5);
	expect(q, "a1", 1);
	expect(q, "c1", 1);
	expect(q, "e0", 0);
	put(q, "", 3);
	expect(q, "", 3);
	drop(1, q);
}

static void sizes_and_modes(void **state)
{
	mqd_t q = make(1, O_RDWR, 2, 10), w, r;
	char buf[20];

	ASSERT_ERR(mq_send(q, "01234567890", 11, 0), EMSGSIZE);
	ASSERT_OK(mq_send(q, "0123456789", 10, 0));
	ASSERT_ERR(mq_receive(q, buf, 9, NULL), EMSGSIZE);
	ASSERT_ERR(mq_send(q, (void *)1, 5, 0), EFAULT);
	w = (mqd_t)ASSERT_OK(mq_open(name_of(1), O_WRONLY));
	r = (mqd_t)ASSERT_OK(mq_open(name_of(1), O_RDONLY));
	ASSERT_ERR(mq_receive(w, buf, 20, NULL), EBADF);
	ASSERT_ERR(mq_send(r, "x", 1, 0), EBADF);
	ASSERT_ERR(mq_send(0, "x", 1, 0), EBADF);
	assert_int_equal(mq_receive(r, buf, 20, NULL), 10);
	ASSERT_ERR(write(w, "x", 1), EINVAL);
	put(w, "abc", 2);
	assert_int_equal(read(r, buf, 20), 20); /* a line about it */
	assert_memory_equal(buf, "QSIZE:3          NOT", 20);
	mq_close(w);
	mq_close(r);
	drop(1, q);
}

static void full_and_empty(void **state)
{
	mqd_t q = make(1, O_RDWR | O_NONBLOCK, 2, 10);
	struct timespec past = { 1, 0 }, bad = { 1, -1 };
	char buf[10];

	ASSERT_ERR(mq_receive(q, buf, 10, NULL), EAGAIN);
	put(q, "1", 0);
	put(q, "2", 0);
	ASSERT_ERR(mq_send(q, "3", 1, 9), EAGAIN);
	struct mq_attr a = { 0 };
	ASSERT_OK(mq_setattr(q, &a, NULL));
	ASSERT_ERR(mq_timedsend(q, "3", 1, 9, &past), ETIMEDOUT);
	ASSERT_ERR(mq_timedsend(q, "3", 1, 9, &bad), EINVAL);
	ASSERT_ERR(syscall(SYS_mq_timedsend, q, "3", 1, 9, (void *)1), EFAULT);
	struct timespec soon = in_ms(60);
	ASSERT_ERR(mq_timedsend(q, "3", 1, 9, &soon), ETIMEDOUT);
	expect(q, "1", 0);
	expect(q, "2", 0);
	soon = in_ms(60);
	ASSERT_ERR(mq_timedreceive(q, buf, 10, NULL, &soon), ETIMEDOUT);
	ASSERT_ERR(mq_timedreceive(q, buf, 10, NULL, &past), ETIMEDOUT);
	put(q, "now", 0);
	assert_int_equal(mq_timedreceive(q, buf, 10, NULL, &past), 3);
	drop(1, q);
}

static void sleepers_are_served_in_order(void **state)
{
	mqd_t q = make(1, O_RDWR, 1, 10);
	pid_t pid[3];
	char buf[10];

	for (int i = 0; i < 3; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			_exit(mq_receive(q, buf, 10, NULL) == 1 && buf[0] == 'a' + i ? 0 : 1);
		wait_asleep(pid[i]);
	}
	put(q, "a", 0);
	put(q, "b", 5);
	put(q, "c", 9);
	for (int i = 0; i < 3; i++)
		assert_int_equal(status_of(pid[i]), 0);
	put(q, "first", 0);
	for (int i = 0; i < 2; i++) {
		char c = (char)('x' + i);

		pid[i] = fork();
		if (pid[i] == 0)
			_exit(mq_send(q, &c, 1, 0) ? 1 : 0);
		wait_asleep(pid[i]);
	}
	expect(q, "first", 0);
	expect(q, "x", 0);
	expect(q, "y", 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(status_of(pid[i]), 0);
	drop(1, q);
}

static volatile sig_atomic_t got, got_code, got_value, got_pid;

static void note(int sig, siginfo_t *si, void *ctx)
{
	got = sig;
	got_code = si->si_code;
	got_value = si->si_value.sival_int;
	got_pid = si->si_pid;
}

static void signals_interrupt(void **state)
{
	mqd_t q = make(1, O_RDWR, 1, 10);
	pid_t pid = fork();
	char buf[10];

	if (pid == 0) {
		struct sigaction sa = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };

		sigaction(SIGUSR1, &sa, NULL);
		if (mq_receive(q, buf, 10, NULL) != -1 || errno != EINTR || got != SIGUSR1)
			_exit(1);
		sa.sa_flags |= SA_RESTART;
		sigaction(SIGUSR1, &sa, NULL);
		_exit(mq_receive(q, buf, 10, NULL) == 2 ? 0 : 2);
	}
	wait_asleep(pid);
	kill(pid, SIGUSR1);
	wait_asleep(pid);
	kill(pid, SIGUSR1);
	wait_asleep(pid);
	put(q, "ok", 0);
	assert_int_equal(status_of(pid), 0);
	drop(1, q);
}

static void readiness(void **state)
{
	mqd_t q = make(1, O_RDWR, 1, 10), other;
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct pollfd p = { .fd = q, .events = POLLIN | POLLOUT };
	int ep = (int)ASSERT_OK(epoll_create1(0));

	other = (mqd_t)ASSERT_OK(mq_open(name_of(1), O_RDWR));
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, q, &ev));
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLOUT);
	assert_int_equal(epoll_wait(ep, &ev, 1, 0), 0);
	pid_t pid = fork();
	if (pid == 0) {
		usleep(50000);
		_exit(mq_send(other, "x", 1, 0) ? 1 : 0);
	}
	assert_int_equal(epoll_wait(ep, &ev, 1, 30000), 1);
	assert_int_equal(status_of(pid), 0);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLIN);
	p.events = POLLOUT;
	pid = fork();
	if (pid == 0) {
		char buf[10];

		usleep(50000);
		_exit(mq_receive(other, buf, 10, NULL) == 1 ? 0 : 1);
	}
	assert_int_equal(poll(&p, 1, 30000), 1);
	assert_int_equal(status_of(pid), 0);
	close(ep);
	mq_close(other);
	drop(1, q);
}

static void notification(void **state)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value = { .sival_int = 1234 } };
	struct sigaction sa = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };
	mqd_t q = make(1, O_RDWR, 5, 10), second;
	pid_t pid;

	sigaction(SIGUSR1, &sa, NULL);
	ASSERT_OK(mq_notify(q, &ev));
	ASSERT_ERR(mq_notify(q, &ev), EBUSY);
	got = 0;
	pid = fork();
	if (pid == 0) {
		struct sigevent none = { .sigev_notify = SIGEV_NONE };

		if (mq_notify(q, &none) != -1 || errno != EBUSY)
			_exit(1);
		mq_notify(q, NULL); /* not ours: nothing */
		_exit(mq_send(q, "a", 1, 0) ? 2 : 0);
	}
	assert_int_equal(status_of(pid), 0);
	assert_int_equal(got, SIGUSR1);
	assert_int_equal(got_code, SI_MESGQ);
	assert_int_equal(got_value, 1234);
	assert_int_equal(got_pid, pid);
	got = 0;
	expect(q, "a", 0);
	put(q, "b", 0); /* once only */
	assert_int_equal(got, 0);
	ASSERT_OK(mq_notify(q, &ev)); /* not empty: not for the next one */
	put(q, "c", 0);
	assert_int_equal(got, 0);
	expect(q, "b", 0);
	expect(q, "c", 0);
	put(q, "d", 0);
	assert_int_equal(got, SIGUSR1);
	expect(q, "d", 0);
	got = 0;
	ASSERT_OK(mq_notify(q, &ev));
	ASSERT_OK(mq_notify(q, NULL));
	put(q, "e", 0);
	assert_int_equal(got, 0);
	expect(q, "e", 0);
	/* any close of it by the process ends it */
	second = (mqd_t)ASSERT_OK(mq_open(name_of(1), O_RDWR));
	ASSERT_OK(mq_notify(q, &ev));
	ASSERT_OK(mq_close(second));
	ASSERT_OK(mq_notify(q, &ev));
	ASSERT_OK(mq_notify(q, NULL));
	ev.sigev_signo = 65;
	ASSERT_ERR(mq_notify(q, &ev), EINVAL);
	ev.sigev_notify = 77;
	ASSERT_ERR(mq_notify(q, &ev), EINVAL);
	ASSERT_ERR(syscall(SYS_mq_notify, q, (void *)1), EFAULT);
	ASSERT_ERR(syscall(SYS_mq_notify, 0, NULL), EBADF);
	drop(1, q);
}

static void a_waiting_receiver_comes_before_notification(void **state)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct sigaction sa = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };
	mqd_t q = make(1, O_RDWR, 5, 10);
	char buf[10];
	pid_t pid;

	sigaction(SIGUSR1, &sa, NULL);
	got = 0;
	pid = fork();
	if (pid == 0)
		_exit(mq_receive(q, buf, 10, NULL) == 1 ? 0 : 1);
	wait_asleep(pid);
	ASSERT_OK(mq_notify(q, &ev));
	put(q, "x", 0);
	assert_int_equal(status_of(pid), 0);
	assert_int_equal(got, 0);
	put(q, "y", 0);
	assert_int_equal(got, SIGUSR1);
	drop(1, q);
}

static _Atomic int called;

static void on_message(union sigval v)
{
	called = v.sival_int;
}

static void wait_called(int want)
{
	for (int i = 0; i < 5000 && called != want; i++)
		usleep(1000);
	assert_int_equal(called, want);
}

static void notification_by_thread(void **state)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_message, .sigev_value = { .sival_int = 7 } };
	int fd = socket(AF_NETLINK, SOCK_RAW, 0);
	mqd_t q;

	if (fd < 0) { /* libc needs one */
		assert_int_equal(errno, EAFNOSUPPORT);
		skip();
	}
	close(fd);
	q = make(1, O_RDWR, 5, 10);
	ASSERT_OK(mq_notify(q, &ev));
	ASSERT_ERR(mq_notify(q, &ev), EBUSY);
	put(q, "a", 0);
	wait_called(7);
	expect(q, "a", 0);
	ev.sigev_value.sival_int = 8;
	ASSERT_OK(mq_notify(q, &ev));
	ASSERT_OK(mq_notify(q, NULL));
	put(q, "b", 0);
	expect(q, "b", 0);
	ev.sigev_value.sival_int = 9;
	ASSERT_OK(mq_notify(q, &ev));
	put(q, "c", 0);
	wait_called(9);
	drop(1, q);
}

static void others_have_their_rights(void **state)
{
	mqd_t q;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	mq_unlink(name_of(1));
	q = (mqd_t)ASSERT_OK(mq_open(name_of(1), O_RDWR | O_CREAT, 0644, NULL));
	pid = fork();
	if (pid == 0) {
		char name[64];

		snprintf(name, sizeof(name), "/vmrun-mq-%d-1", getppid());
		if (setgid(65534) || setuid(65534))
			_exit(1);
		if (mq_open(name, O_RDWR) != -1 || errno != EACCES || mq_open(name, O_WRONLY) != -1)
			_exit(2);
		if (mq_open(name, O_RDONLY) < 0)
			_exit(3);
		_exit(mq_unlink(name) == -1 && (errno == EACCES || errno == EPERM) ? 0 : 4);
	}
	assert_int_equal(status_of(pid), 0);
	drop(1, q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(attributes),
		cmocka_unit_test(users_have_limits),
		cmocka_unit_test(priorities_then_age),
		cmocka_unit_test(sizes_and_modes),
		cmocka_unit_test(full_and_empty),
		cmocka_unit_test(sleepers_are_served_in_order),
		cmocka_unit_test(signals_interrupt),
		cmocka_unit_test(readiness),
		cmocka_unit_test(notification),
		cmocka_unit_test(a_waiting_receiver_comes_before_notification),
		cmocka_unit_test(notification_by_thread),
		cmocka_unit_test(others_have_their_rights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
