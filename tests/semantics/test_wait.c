/* SPDX-License-Identifier: MIT */
/*
 * What a parent learns of its children: wait4(2), waitid(2), SIGCHLD, zombies, orphans, subreapers, the signal at
 * a parent's death, and the resources that children used.
 */
#include "tests/lib/child.h"
#include "tests/lib/maps.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/times.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#ifndef __WNOTHREAD
#define __WNOTHREAD 0x20000000
#endif
#define NO_PID 0x3fffffff

static int exit_with(void *arg)
{
	return (int)(intptr_t)arg;
}

static int kill_self(void *arg)
{
	kill(getpid(), (int)(intptr_t)arg);
	return 1;
}

static int sleep_for_ever(void *arg)
{
	for (;;)
		pause();
	return 0;
}

static char state_of(pid_t pid)
{
	char path[64], text[512];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (proc_read(path, text, sizeof(text)) <= 0)
		return 0;
	return strrchr(text, ')')[2];
}

/* --- statuses --------------------------------------------------------------------------------------------------- */

static void statuses_tell_how_it_ended(void **state)
{
	int status;

	assert_int_equal(child_status(child_start(exit_with, (void *)0x1ffL)), 0xff00);
	assert_int_equal(child_status(child_start(kill_self, (void *)SIGKILL)), SIGKILL);
	assert_int_equal(child_status(child_start(kill_self, (void *)SIGTERM)), SIGTERM);
	status = child_status(child_start(kill_self, (void *)(intptr_t)(SIGRTMIN + 1)));
	assert_int_equal(status, SIGRTMIN + 1);
	ASSERT_ERR(waitpid(-1, &status, 0), ECHILD);
}

static void waitid_fills_in_siginfo(void **state)
{
	pid_t pid = child_start(exit_with, (void *)42L);
	siginfo_t info;

	memset(&info, 0xff, sizeof(info));
	ASSERT_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
	assert_int_equal(info.si_signo, SIGCHLD);
	assert_int_equal(info.si_errno, 0);
	assert_int_equal(info.si_code, CLD_EXITED);
	assert_int_equal(info.si_pid, pid);
	assert_int_equal(info.si_uid, getuid());
	assert_int_equal(info.si_status, 42);
	assert_int_equal(state_of(pid), 'Z');
	ASSERT_OK(kill(pid, 0));                                /* a zombie can be signalled */
	ASSERT_OK(waitid(P_ALL, 0, NULL, WEXITED));             /* it was still there; now it goes */
	ASSERT_ERR(waitid(P_PID, (id_t)pid, &info, WEXITED), ECHILD);
	ASSERT_ERR(kill(pid, 0), ESRCH);

	pid = child_start(kill_self, (void *)SIGKILL);
	ASSERT_OK(waitid(P_PID, (id_t)pid, &info, WEXITED));
	assert_int_equal(info.si_code, CLD_KILLED);
	assert_int_equal(info.si_status, SIGKILL);
}

static void nobody_ready_is_no_error(void **state)
{
	pid_t pid = child_start(sleep_for_ever, NULL);
	siginfo_t info;
	int status = 77;

	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	assert_int_equal(status, 77);
	memset(&info, 0xff, sizeof(info));
	ASSERT_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG));
	assert_int_equal(info.si_pid, 0);
	assert_int_equal(info.si_signo, 0);
	kill(pid, SIGKILL);
	assert_int_equal(child_status(pid), SIGKILL);
}

/* What has ended is nothing to wait on for somebody who does not ask for ends. */
static void a_zombie_does_not_stop_or_continue(void **state)
{
	pid_t pid = child_start(exit_with, (void *)3L);
	siginfo_t info;

	ASSERT_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
	ASSERT_ERR(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WCONTINUED | WNOHANG), ECHILD);
	ASSERT_ERR(waitid(P_ALL, 0, &info, WSTOPPED), ECHILD);
	assert_int_equal(child_status(pid), 3 << 8);
}

static void siginfo_is_cleared_by_errors_too(void **state)
{
	siginfo_t info;

	memset(&info, 0xff, sizeof(info));
	ASSERT_ERR(waitid(P_ALL, 0, &info, WEXITED), ECHILD);
	assert_true(info.si_signo == 0 && info.si_code == 0 && info.si_pid == 0 && info.si_status == 0);
	memset(&info, 0xff, sizeof(info));
	ASSERT_ERR(waitid(P_ALL, 0, &info, 0), EINVAL);
	assert_true(info.si_signo == 0 && info.si_code == 0 && info.si_pid == 0 && info.si_status == 0);
	ASSERT_ERR(waitid(P_ALL, 0, (siginfo_t *)8, WEXITED), EFAULT);
}

static void arguments_are_checked(void **state)
{
	siginfo_t info;

	ASSERT_ERR(waitpid(-1, NULL, 0), ECHILD);
	ASSERT_ERR(waitpid(-1, NULL, 0x1000), EINVAL);
	ASSERT_ERR(waitpid(-1, NULL, WNOWAIT), EINVAL);
	ASSERT_ERR(syscall(SYS_wait4, 0x80000000, NULL, 0, NULL), ESRCH);
	ASSERT_ERR(waitpid(NO_PID, NULL, 0), ECHILD);
	ASSERT_ERR(waitpid(-NO_PID, NULL, 0), ECHILD);
	ASSERT_ERR(waitid(P_ALL, 0, &info, 0), EINVAL);
	ASSERT_ERR(waitid(P_ALL, 0, &info, WNOHANG), EINVAL);
	ASSERT_ERR(waitid(P_ALL, 0, &info, WEXITED | 0x800000), EINVAL);
	ASSERT_ERR(waitid((idtype_t)9, 0, &info, WEXITED), EINVAL);
	ASSERT_ERR(waitid(P_PID, 0, &info, WEXITED), EINVAL);
	ASSERT_ERR(waitid(P_PID, (id_t)-1, &info, WEXITED), EINVAL);
	ASSERT_ERR(waitid(P_PGID, (id_t)-1, &info, WEXITED), EINVAL);
	ASSERT_ERR(waitid((idtype_t)P_PIDFD, (id_t)-1, &info, WEXITED), EINVAL);
	ASSERT_ERR(waitid((idtype_t)P_PIDFD, 99, &info, WEXITED), EBADF);
	ASSERT_ERR(waitid((idtype_t)P_PIDFD, 0, &info, WEXITED), EBADF);
	ASSERT_ERR(waitid(P_ALL, 0, &info, WEXITED), ECHILD);

	pid_t pid = child_start(exit_with, NULL);
	ASSERT_ERR(waitpid(pid, (int *)8, 0), EFAULT);          /* and the child is gone */
	ASSERT_ERR(waitpid(pid, NULL, 0), ECHILD);
}

/* --- which children --------------------------------------------------------------------------------------------------- */

static int own_group(void *arg)
{
	return setpgid(0, 0) < 0 ? 99 : (int)(intptr_t)arg;
}

static void groups_select_children(void **state)
{
	pid_t a = child_start(own_group, (void *)1L), b = child_start(exit_with, (void *)2L);
	siginfo_t info;
	int status;

	assert_true(EVENTUALLY(getpgid(a) == a));               /* or the second wait below would begin with it, and sleep */
	assert_int_equal(waitpid(0, &status, 0), b);            /* our group */
	assert_int_equal(WEXITSTATUS(status), 2);
	ASSERT_ERR(waitpid(0, &status, 0), ECHILD);
	ASSERT_ERR(waitid(P_PGID, 0, &info, WEXITED), ECHILD);
	ASSERT_OK(waitid(P_PGID, (id_t)a, &info, WEXITED | WNOWAIT));
	assert_int_equal(info.si_pid, a);
	assert_int_equal(waitpid(-a, &status, 0), a);
	assert_int_equal(WEXITSTATUS(status), 1);
}

static void a_pidfd_selects_a_child(void **state)
{
	pid_t pid = child_start(sleep_for_ever, NULL);
	int fd = (int)ASSERT_OK(syscall(SYS_pidfd_open, pid, O_NONBLOCK));
	siginfo_t info;

	ASSERT_ERR(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED), EAGAIN);
	ASSERT_OK(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG));
	kill(pid, SIGKILL);
	assert_true(EVENTUALLY(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED) == 0));
	assert_int_equal(info.si_pid, pid);
	ASSERT_ERR(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED), ECHILD);
	close(fd);
	fd = (int)ASSERT_OK(syscall(SYS_pidfd_open, getpid(), 0));
	ASSERT_ERR(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED), ECHILD);        /* no child */
	close(fd);
}

struct maker { pid_t pid; int made[2], go[2], status; };

static void *make_child(void *arg)
{
	struct maker *m = arg;
	char c;

	m->pid = fork();
	if (m->pid == 0)
		_exit(3);
	(void)!write(m->made[1], "x", 1);
	(void)!read(m->go[0], &c, 1);
	m->status = -1;
	if (waitpid(m->pid, &m->status, __WNOTHREAD) != m->pid)
		m->status = -2;
	return NULL;
}

static void *make_child_and_end(void *arg)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(3);
	*(pid_t *)arg = pid;
	return NULL;
}

static void wnothread_sees_the_threads_own_children(void **state)
{
	struct maker m = { 0 };
	pid_t mine = child_start(exit_with, (void *)9L), other = 0;
	pthread_t t;
	int status;

	ASSERT_RET(pthread_create(&t, NULL, make_child_and_end, &other), 0);
	ASSERT_RET(pthread_join(t, NULL), 0);
	/* Its thread has ended: now it is the first thread's. */
	assert_true(EVENTUALLY(waitpid(other, &status, __WNOTHREAD | WNOHANG) == other));
	assert_int_equal(waitpid(-1, &status, __WNOTHREAD), mine);
	ASSERT_ERR(waitpid(-1, &status, __WNOTHREAD), ECHILD);

	ASSERT_OK(pipe(m.made));
	ASSERT_OK(pipe(m.go));
	ASSERT_RET(pthread_create(&t, NULL, make_child, &m), 0);
	char c;
	assert_int_equal(read(m.made[0], &c, 1), 1);
	int r = waitpid(m.pid, &status, __WNOTHREAD), err = errno;
	assert_int_equal(write(m.go[1], "x", 1), 1);
	ASSERT_RET(pthread_join(t, NULL), 0);
	assert_true(r == -1 && err == ECHILD);
	assert_int_equal(WEXITSTATUS(m.status), 3);
	for (int i = 0; i < 2; i++) {
		close(m.made[i]);
		close(m.go[i]);
	}
}

/* --- stops ------------------------------------------------------------------------------------------------------------------ */

static void stops_and_continues_are_reported_once(void **state)
{
	pid_t pid = child_start(sleep_for_ever, NULL);
	siginfo_t info;
	int status;

	kill(pid, SIGSTOP);
	ASSERT_OK(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT));
	assert_int_equal(info.si_code, CLD_STOPPED);
	assert_int_equal(info.si_status, SIGSTOP);
	assert_int_equal(state_of(pid), 'T');
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_int_equal(status, SIGSTOP << 8 | 0x7f);
	assert_int_equal(waitpid(pid, &status, WUNTRACED | WNOHANG), 0);
	kill(pid, SIGCONT);
	ASSERT_OK(waitid(P_PID, (id_t)pid, &info, WCONTINUED | WNOWAIT));
	assert_int_equal(info.si_code, CLD_CONTINUED);
	assert_int_equal(info.si_status, SIGCONT);
	assert_int_equal(waitpid(pid, &status, WCONTINUED), pid);
	assert_int_equal(status, 0xffff);
	assert_int_equal(waitpid(pid, &status, WCONTINUED | WNOHANG), 0);
	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	kill(pid, SIGKILL);                                     /* ends it though it is stopped */
	ASSERT_OK(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WCONTINUED | WEXITED));
	assert_int_equal(info.si_code, CLD_KILLED);
}

/* --- SIGCHLD ------------------------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t seen;
static siginfo_t last;

static void on_child(int sig, siginfo_t *info, void *uc)
{
	last = *info;
	seen++;
}

static void catch_children(int flags)
{
	struct sigaction a = { .sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART | flags };

	ASSERT_OK(sigaction(SIGCHLD, &a, NULL));
	seen = 0;
	memset(&last, 0, sizeof(last));
}

static void assert_told(pid_t pid, int code, int status)
{
	assert_true(EVENTUALLY(seen == 1 && last.si_code == code));
	assert_int_equal(last.si_signo, SIGCHLD);
	assert_int_equal(last.si_pid, pid);
	assert_int_equal(last.si_uid, getuid());
	assert_int_equal(last.si_status, status);
	seen = 0;
}

static void sigchld_says_what_happened(void **state)
{
	catch_children(0);
	pid_t pid = child_start(exit_with, (void *)17L);
	assert_told(pid, CLD_EXITED, 17);
	assert_int_equal(child_status(pid), 17 << 8);
	pid = child_start(sleep_for_ever, NULL);
	kill(pid, SIGSTOP);
	assert_told(pid, CLD_STOPPED, SIGSTOP);
	kill(pid, SIGCONT);
	assert_told(pid, CLD_CONTINUED, SIGCONT);
	kill(pid, SIGTERM);
	assert_told(pid, CLD_KILLED, SIGTERM);
	assert_int_equal(child_status(pid), SIGTERM);
	signal(SIGCHLD, SIG_DFL);
}

static void nocldstop_tells_only_of_ends(void **state)
{
	int status;

	catch_children(SA_NOCLDSTOP);
	pid_t pid = child_start(sleep_for_ever, NULL);
	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	kill(pid, SIGCONT);
	assert_int_equal(waitpid(pid, &status, WCONTINUED), pid);
	assert_int_equal(seen, 0);
	kill(pid, SIGKILL);
	assert_told(pid, CLD_KILLED, SIGKILL);
	assert_int_equal(child_status(pid), SIGKILL);
	signal(SIGCHLD, SIG_DFL);
}

static void nocldwait_leaves_no_zombies(void **state)
{
	int status;

	catch_children(SA_NOCLDWAIT);
	pid_t pid = child_start(exit_with, (void *)5L);
	assert_told(pid, CLD_EXITED, 5);                        /* Linux tells all the same */
	assert_true(EVENTUALLY(kill(pid, 0) < 0 && errno == ESRCH));
	ASSERT_ERR(waitpid(pid, &status, 0), ECHILD);
	child_start(exit_with, NULL);
	child_start(exit_with, NULL);
	ASSERT_ERR(waitpid(-1, &status, 0), ECHILD);            /* only when the last one has ended */
	signal(SIGCHLD, SIG_IGN);
	seen = 0;
	pid = child_start(exit_with, NULL);
	ASSERT_ERR(waitpid(pid, &status, 0), ECHILD);
	assert_int_equal(seen, 0);
	/* Ignoring by default is another thing: zombies wait. */
	signal(SIGCHLD, SIG_DFL);
	pid = child_start(exit_with, (void *)1L);
	assert_int_equal(child_status(pid), 1 << 8);
}

static void interrupt(int sig)
{
	seen++;
}

static int signal_parent_then_end(void *arg)
{
	wait_asleep(getppid());
	kill(getppid(), SIGUSR1);
	wait_asleep(getppid());
	return 0;
}

static void waiting_is_interrupted_by_handlers(void **state)
{
	struct sigaction a = { .sa_handler = interrupt };
	int status;

	seen = 0;
	ASSERT_OK(sigaction(SIGUSR1, &a, NULL));
	pid_t pid = child_start(signal_parent_then_end, NULL);
	ASSERT_ERR(waitpid(pid, &status, 0), EINTR);
	assert_int_equal(seen, 1);
	ASSERT_CHILD_OK(pid);
	a.sa_flags = SA_RESTART;
	ASSERT_OK(sigaction(SIGUSR1, &a, NULL));
	pid = child_start(signal_parent_then_end, NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(seen, 2);
	signal(SIGUSR1, SIG_DFL);
}

/* --- orphans ---------------------------------------------------------------------------------------------------------------------- */

struct family { volatile pid_t child, grandchild, ppid_before, ppid_after; volatile int got, got_code, got_pid; };

static int be_grandchild(struct family *f, pid_t parent)
{
	f->grandchild = getpid();
	while (getppid() == parent)
		sleep_ms(1);
	f->ppid_after = getppid();
	return 11;
}

static int leave_an_orphan(void *arg)
{
	struct family *f = arg;
	pid_t me = getpid();

	if (fork() == 0)
		_exit(be_grandchild(f, me));
	while (!f->grandchild)
		sleep_ms(1);
	return 0;
}

static int reap_orphan(void *arg)
{
	struct family *f = arg;
	int flag = 7, status;

	CHECK(prctl(PR_GET_CHILD_SUBREAPER, &flag) == 0 && flag == 0);
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1L) == 0);
	CHECK(prctl(PR_GET_CHILD_SUBREAPER, &flag) == 0 && flag == 1);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(prctl(PR_GET_CHILD_SUBREAPER, &flag) == 0);
		_exit(flag != 0 || leave_an_orphan(f));
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(waitpid(f->grandchild, &status, 0) == f->grandchild);
	CHECK(WEXITSTATUS(status) == 11);
	CHECK(f->ppid_after == getpid());
	CHECK(waitpid(-1, &status, 0) < 0 && errno == ECHILD);
	return 0;
}

static struct family *shared_family(void)
{
	struct family *f = mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(f != MAP_FAILED);
	return f;
}

static void a_subreaper_gets_orphans(void **state)
{
	struct family *f = shared_family();

	IN_CHILD(reap_orphan, f);
	munmap(f, sizeof(*f));
}

static void orphans_find_another_parent_and_leave_no_zombie(void **state)
{
	struct family *f = shared_family();

	IN_CHILD(leave_an_orphan, f);
	assert_true(EVENTUALLY(f->ppid_after != 0));
	assert_int_not_equal(f->ppid_after, getpid());
	ASSERT_OK(kill(f->ppid_after, 0));                      /* it exists */
	assert_true(EVENTUALLY(kill(f->grandchild, 0) < 0 && errno == ESRCH));
	munmap(f, sizeof(*f));
}

/* --- PR_SET_PDEATHSIG -------------------------------------------------------------------------------------------------------------- */

static struct family *fam;

static void note_death(int sig, siginfo_t *info, void *uc)
{
	fam->got = sig;
	fam->got_code = info->si_code;
	fam->got_pid = info->si_pid;
}

static int wait_for_death(struct family *f)
{
	struct sigaction a = { .sa_sigaction = note_death, .sa_flags = SA_SIGINFO };
	int sig = 0;

	fam = f;
	CHECK(sigaction(SIGUSR1, &a, NULL) == 0);
	CHECK(prctl(PR_SET_PDEATHSIG, (long)SIGUSR1) == 0);
	CHECK(prctl(PR_GET_PDEATHSIG, &sig) == 0 && sig == SIGUSR1);
	f->grandchild = getpid();
	for (int i = 0; i < 5000 && !f->got; i++)
		sleep_ms(2);
	return 0;
}

static int parent_of_waiting(void *arg)
{
	struct family *f = arg;

	f->child = getpid();
	if (fork() == 0)
		_exit(wait_for_death(f));
	while (!f->grandchild)
		sleep_ms(1);
	return 0;
}

static void a_dying_parent_sends_the_wanted_signal(void **state)
{
	struct family *f = shared_family();

	IN_CHILD(parent_of_waiting, f);
	assert_true(EVENTUALLY(f->got == SIGUSR1));
	assert_int_equal(f->got_code, SI_USER);
	assert_int_equal(f->got_pid, f->child);
	munmap(f, sizeof(*f));
}

static void *thread_with_child(void *arg)
{
	return (void *)(intptr_t)parent_of_waiting(arg);
}

static int thread_of_parent_ends(void *arg)
{
	struct family *f = arg;
	pthread_t t;
	int status, sig = 9;

	CHECK(prctl(PR_SET_PDEATHSIG, (long)SIGUSR2) == 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(prctl(PR_GET_PDEATHSIG, &sig) < 0 || sig != 0);   /* not inherited */
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(prctl(PR_SET_PDEATHSIG, 0L) == 0);
	CHECK(pthread_create(&t, NULL, thread_with_child, f) == 0);
	CHECK(pthread_join(t, NULL) == 0);
	CHECK(EVENTUALLY(f->got == SIGUSR1));
	CHECK(getppid() != f->grandchild);
	CHECK(waitpid(f->grandchild, &status, 0) == f->grandchild && status == 0);      /* still our child */
	return 0;
}

static void the_parent_is_the_thread_that_forked(void **state)
{
	struct family *f = shared_family();

	IN_CHILD(thread_of_parent_ends, f);
	munmap(f, sizeof(*f));
	ASSERT_ERR(prctl(PR_SET_PDEATHSIG, 65L), EINVAL);
}

/* --- the leader ends first -------------------------------------------------------------------------------------------------------------- */

static void *outlive(void *arg)
{
	sleep_ms(30);
	syscall(SYS_exit, 5);
	return NULL;
}

static int leader_ends_first(void *arg)
{
	pthread_t t;

	CHECK(pthread_create(&t, NULL, outlive, NULL) == 0);
	syscall(SYS_exit, 3);
	return 0;
}

static void the_status_is_that_of_the_last_thread(void **state)
{
	pid_t pid = child_start(leader_ends_first, NULL);
	siginfo_t info;

	assert_true(EVENTUALLY(state_of(pid) == 'Z'));
	ASSERT_OK(kill(pid, 0));
	ASSERT_OK(waitid(P_PID, (id_t)pid, &info, WEXITED));    /* when the last thread has ended */
	assert_int_equal(info.si_status, 5);
}

/* --- many ----------------------------------------------------------------------------------------------------------------------------------- */

static void *wait_for_one(void *arg)
{
	int status;

	return (void *)(intptr_t)(waitpid(-1, &status, 0) < 0 ? -1 : WEXITSTATUS(status));
}

static void threads_share_the_children(void **state)
{
	pthread_t t[8];
	long sum = 0;
	void *r;

	struct gate g;

	gate_make(&g);
	for (int i = 0; i < 8; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			gate_wait(&g);
			_exit(1 << i);
		}
		ASSERT_OK(pid);
	}
	for (int i = 0; i < 8; i++)
		ASSERT_RET(pthread_create(&t[i], NULL, wait_for_one, NULL), 0);
	gate_open(&g);
	for (int i = 0; i < 8; i++) {
		ASSERT_RET(pthread_join(t[i], &r), 0);
		sum += (intptr_t)r;
	}
	assert_int_equal(sum, 255);                             /* each one got another */
}

/* --- what they used --------------------------------------------------------------------------------------------------------------------------- */

static int64_t us(const struct rusage *r)
{
	return (r->ru_utime.tv_sec + r->ru_stime.tv_sec) * 1000000LL + r->ru_utime.tv_usec + r->ru_stime.tv_usec;
}

static int burn(void *arg)
{
	char *mem = mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int64_t end = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + 100 * MSEC;

	for (int i = 0; i < 32 << 20; i += 4096)
		mem[i] = 1;
	while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end)
		;
	return 0;
}

static int burn_by_child(void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(burn(NULL));
	return waitpid(pid, &status, 0) != pid || status;
}

static void used_resources_are_added_when_waited_for(void **state)
{
	struct rusage before, between, after, own;
	struct tms t0, t1;
	int status;

	ASSERT_OK(getrusage(RUSAGE_CHILDREN, &before));
	ASSERT_OK(times(&t0));
	pid_t pid = child_start(burn_by_child, NULL);
	ASSERT_OK(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT));
	ASSERT_OK(getrusage(RUSAGE_CHILDREN, &between));
	assert_int_equal(us(&between), us(&before));
	assert_int_equal(wait4(pid, &status, 0, &own), pid);
	assert_true(us(&own) >= 99000);                         /* the grandchild's */
	assert_true(own.ru_maxrss >= 32 << 10);
	ASSERT_OK(getrusage(RUSAGE_CHILDREN, &after));
	assert_true(us(&after) - us(&before) >= 99000);
	assert_true(after.ru_maxrss >= 32 << 10);
	assert_true(after.ru_minflt > before.ru_minflt);
	ASSERT_OK(times(&t1));
	assert_true(t1.tms_cutime + t1.tms_cstime - t0.tms_cutime - t0.tms_cstime >= 9);
	/* Of those that nobody waits for nothing is added. */
	signal(SIGCHLD, SIG_IGN);
	pid = child_start(burn, NULL);
	ASSERT_ERR(waitpid(pid, &status, 0), ECHILD);
	signal(SIGCHLD, SIG_DFL);
	ASSERT_OK(getrusage(RUSAGE_CHILDREN, &between));
	assert_true(us(&between) - us(&after) < 50000);
	ASSERT_ERR(getrusage(7, &own), EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statuses_tell_how_it_ended),
		cmocka_unit_test(waitid_fills_in_siginfo),
		cmocka_unit_test(nobody_ready_is_no_error),
		cmocka_unit_test(a_zombie_does_not_stop_or_continue),
		cmocka_unit_test(siginfo_is_cleared_by_errors_too),
		cmocka_unit_test(arguments_are_checked),
		cmocka_unit_test(groups_select_children),
		cmocka_unit_test(a_pidfd_selects_a_child),
		cmocka_unit_test(wnothread_sees_the_threads_own_children),
		cmocka_unit_test(stops_and_continues_are_reported_once),
		cmocka_unit_test(sigchld_says_what_happened),
		cmocka_unit_test(nocldstop_tells_only_of_ends),
		cmocka_unit_test(nocldwait_leaves_no_zombies),
		cmocka_unit_test(waiting_is_interrupted_by_handlers),
		cmocka_unit_test(a_subreaper_gets_orphans),
		cmocka_unit_test(orphans_find_another_parent_and_leave_no_zombie),
		cmocka_unit_test(a_dying_parent_sends_the_wanted_signal),
		cmocka_unit_test(the_parent_is_the_thread_that_forked),
		cmocka_unit_test(the_status_is_that_of_the_last_thread),
		cmocka_unit_test(threads_share_the_children),
		cmocka_unit_test(used_resources_are_added_when_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
