/* SPDX-License-Identifier: MIT */
/*
 * Sessions, controlling terminals, foreground and background, orphaned groups: setsid(2), tcsetpgrp(3), credentials(7).
 * Each case is a session of its own in a child, with a terminal whose master the test holds. The
 * child's checks are exit statuses: the line where it gave up, 0 for success.
 */
#include "tests/lib/pty.h"

#include <signal.h>
#include <sys/wait.h>

#define CHECK(x) do { if (!(x)) { dprintf(2, "%s:%d: %s (errno %s)\n", __FILE__, __LINE__, #x, errno_name(errno)); _exit(1); } } while (0)

static struct pair term; /* of the case that runs */
static volatile sig_atomic_t seen[65];

static void note(int sig)
{
	seen[sig]++;
}

static void catch(int sig, int flags)
{
	struct sigaction sa = { .sa_handler = note, .sa_flags = flags };

	sigaction(sig, &sa, NULL);
}

static bool wait_seen(int sig)
{
	for (int ms = 0; ms < PTY_LIMIT_MS && !seen[sig]; ms += 2)
		sleep_ms(2);
	return seen[sig] > 0;
}

/* fn in a new session, which has no terminal yet. */
static void in_session_at(void (*fn)(void), const char *file, int line)
{
	int status = 0;
	pid_t pid;

	pty_open(&term);
	pid = (pid_t)ASSERT_OK(fork());
	if (pid == 0) {
		alarm(60);
		CHECK(setsid() == getpid());
		fn();
		_exit(0);
	}
	ASSERT_OK(waitpid(pid, &status, 0));
	pty_close(&term);
	if (status) {
		print_error("the session ended with %#x\n", status);
		_fail(file, line);
	}
}

#define IN_SESSION(fn) in_session_at(fn, __FILE__, __LINE__)

static int own_terminal(void)
{
	int fd = open(term.name, O_RDWR);

	CHECK(fd >= 0);
	return fd;
}

/* A child in a group of its own (background unless front), that runs fn and exits with its value. */
static pid_t job(int (*fn)(int fd), int fd, bool front)
{
	pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		if (front) {
			signal(SIGTTOU, SIG_IGN);
			CHECK(tcsetpgrp(fd, getpid()) == 0);
			signal(SIGTTOU, SIG_DFL);
		}
		_exit(fn(fd));
	}
	CHECK(pid > 0);
	setpgid(pid, pid);
	return pid;
}

static int ended(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static int changed(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, WUNTRACED | WCONTINUED) == pid);
	return status;
}

/* --- getting and losing a terminal ------------------------------------------------------------------------------- */

static void opens(void)
{
	int fd, n;

	CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
	fd = open(term.name, O_RDWR | O_NOCTTY);
	CHECK(fd >= 0 && tcgetpgrp(fd) == -1 && errno == ENOTTY);
	CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
	close(fd);
	fd = open(term.name, O_WRONLY); /* not for reading: not ours */
	CHECK(fd >= 0 && open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
	close(fd);
	fd = own_terminal();
	CHECK(tcgetpgrp(fd) == getpid() && tcgetsid(fd) == getpid());
	n = open("/dev/tty", O_RDWR);
	CHECK(n >= 0 && write(n, "hi", 2) == 2);
	CHECK(tcgetsid(n) == getpid() && isatty(n) && !strcmp(ttyname(n), "/dev/tty"));
}

static void the_first_terminal_opened_becomes_the_session_s(void **state)
{
	IN_SESSION(opens);
}

static void by_call(void)
{
	int fd = open(term.name, O_RDWR | O_NOCTTY), other;
	pid_t pid;

	CHECK(fd >= 0 && ioctl(fd, TIOCNOTTY) == -1 && errno == ENOTTY);
	CHECK(ioctl(fd, TIOCSCTTY, 0) == 0);
	CHECK(ioctl(fd, TIOCSCTTY, 0) == 0); /* again does not matter */
	CHECK(tcgetpgrp(fd) == getpid());
	other = posix_openpt(O_RDWR | O_NOCTTY);
	CHECK(other >= 0 && unlockpt(other) == 0);
	other = open(ptsname(other), O_RDWR);
	CHECK(other >= 0 && ioctl(other, TIOCSCTTY, 0) == -1 && errno == EPERM); /* one is enough */
	CHECK(tcgetpgrp(other) == -1 && errno == ENOTTY);
	pid = fork();
	if (pid == 0) { /* no leader */
		CHECK(ioctl(fd, TIOCSCTTY, 0) == -1 && errno == EPERM);
		CHECK(ioctl(fd, TIOCNOTTY) == 0); /* only for itself */
		CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
		_exit(0);
	}
	CHECK(ended(pid) == 0 && open("/dev/tty", O_RDWR) >= 0);
	pid = fork();
	if (pid == 0) { /* another session cannot have it */
		CHECK(setsid() > 0 && open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
		CHECK(ioctl(fd, TIOCSCTTY, 0) == -1 && errno == EPERM);
		CHECK(tcgetsid(fd) == -1 && errno == ENOTTY);
		CHECK(open(term.name, O_RDWR) >= 0 && open("/dev/tty", O_RDWR) == -1);
		if (geteuid() == 0) /* but by force */
			CHECK(ioctl(fd, TIOCSCTTY, 1) == 0 && open("/dev/tty", O_RDWR) >= 0);
		_exit(0);
	}
	CHECK(ended(pid) == 0);
	if (geteuid() == 0)
		CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
}

static void a_terminal_is_taken_by_call(void **state)
{
	IN_SESSION(by_call);
}

static void gives_up(void)
{
	int fd = own_terminal();

	catch(SIGHUP, 0);
	catch(SIGCONT, 0);
	CHECK(ioctl(fd, TIOCNOTTY) == 0);
	CHECK(wait_seen(SIGHUP) && wait_seen(SIGCONT)); /* who was in front is told */
	CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
	CHECK(ioctl(fd, TIOCNOTTY) == -1 && errno == ENOTTY);
	CHECK(ioctl(fd, TIOCSCTTY, 0) == 0); /* free again */
}

static void a_leader_gives_its_terminal_up(void **state)
{
	IN_SESSION(gives_up);
}

static void asks_the_master(void)
{
	int pgrp, sid, m;

	own_terminal();
	CHECK(ioctl(term.m, TIOCGPGRP, &pgrp) == 0 && pgrp == getpid());
	CHECK(ioctl(term.m, TIOCGSID, &sid) == 0 && sid == getpid());
	m = posix_openpt(O_RDWR);
	CHECK(m >= 0 && ioctl(m, TIOCGPGRP, &pgrp) == 0 && pgrp == 0);
	CHECK(ioctl(m, TIOCGSID, &sid) == -1 && errno == ENOTTY);
}

static void the_master_knows_who_is_in_front(void **state)
{
	IN_SESSION(asks_the_master);
}

/* --- /proc ---------------------------------------------------------------------------------------------------------------- */

static void read_stat(int *session, int *tty, int *tpgid)
{
	char buf[1024] = "";
	FILE *f = fopen("/proc/self/stat", "r");

	CHECK(f && fread(buf, 1, sizeof(buf) - 1, f) > 0);
	fclose(f);
	CHECK(sscanf(strrchr(buf, ')'), ") %*c %*d %*d %d %d %d", session, tty, tpgid) == 3);
}

static void shown(void)
{
	int session, tty, tpgid, fd;

	read_stat(&session, &tty, &tpgid);
	CHECK(session == getpid() && tty == 0 && tpgid == -1);
	fd = own_terminal();
	read_stat(&session, &tty, &tpgid);
	CHECK(tty == (136 << 8 | pty_count(term.m, TIOCGPTN)) && tpgid == getpid());
	CHECK(ioctl(fd, TIOCNOTTY) == -1 || (read_stat(&session, &tty, &tpgid), tty == 0 && tpgid == -1));
}

static void proc_shows_the_terminal(void **state)
{
	signal(SIGHUP, SIG_IGN);
	IN_SESSION(shown);
	signal(SIGHUP, SIG_DFL);
}

/* --- foreground and background ---------------------------------------------------------------------------------------------- */

static int pauses(int fd)
{
	(void)fd;
	for (;;)
		pause();
	return 0;
}

static void foreground(void)
{
	int fd = own_terminal(), pgrp = -5;
	pid_t pid = job(pauses, fd, false);

	CHECK(tcsetpgrp(fd, pid) == 0 && tcgetpgrp(fd) == pid);
	signal(SIGTTOU, SIG_IGN); /* we are in the background now */
	CHECK(tcsetpgrp(fd, getppid()) == -1 && errno == EPERM);
	CHECK(tcsetpgrp(fd, 0x3ffffff) == -1 && errno == ESRCH);
	CHECK(ioctl(fd, TIOCSPGRP, &pgrp) == -1 && errno == EINVAL);
	CHECK(ioctl(fd, TIOCSPGRP, (void *)8) == -1 && errno == EFAULT);
	CHECK(tcgetpgrp(fd) == pid);
	CHECK(tcsetpgrp(fd, getpid()) == 0);
	kill(pid, SIGKILL);
	CHECK(WTERMSIG(ended(pid)) == SIGKILL);
}

static void the_foreground_is_a_group_of_the_session(void **state)
{
	IN_SESSION(foreground);
}

static void keys(void)
{
	static const struct { const char *key; int sig; } all[] = { { "\003", SIGINT }, { "\034", SIGQUIT }, { "\032", SIGTSTP } };
	int fd = own_terminal(), status;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		pid_t pid;

		signal(all[i].sig, SIG_DFL); /* a caller may ignore some: the first shell of a small machine does */
		pid = job(pauses, fd, true);
		signal(SIGTTOU, SIG_IGN);
		while (tcgetpgrp(fd) != pid)
			sleep_ms(1);
		pty_put(term.m, all[i].key, 1);
		status = changed(pid);
		if (all[i].sig == SIGTSTP) {
			CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
			kill(pid, SIGCONT);
			CHECK(WIFCONTINUED(changed(pid)));
			kill(pid, SIGTERM);
			CHECK(WTERMSIG(ended(pid)) == SIGTERM);
		} else {
			CHECK(WIFSIGNALED(status) && WTERMSIG(status) == all[i].sig);
		}
		CHECK(tcsetpgrp(fd, getpid()) == 0);
	}
}

static void keys_signal_the_foreground_only(void **state)
{
	IN_SESSION(keys);
}

static void resized(void)
{
	struct winsize ws = { 30, 90, 0, 0 };

	own_terminal();
	catch(SIGWINCH, 0);
	CHECK(ioctl(term.m, TIOCSWINSZ, &ws) == 0);
	CHECK(wait_seen(SIGWINCH));
	seen[SIGWINCH] = 0;
	CHECK(ioctl(term.m, TIOCSWINSZ, &ws) == 0); /* nothing new */
	sleep_ms(30);
	CHECK(!seen[SIGWINCH]);
}

static void a_new_size_is_told(void **state)
{
	IN_SESSION(resized);
}

static int reads(int fd)
{
	char buf[8];

	return read(fd, buf, sizeof(buf)) == 2 && buf[0] == 'x' ? 0 : 1;
}

static void background_read(void)
{
	int fd = own_terminal(), status;
	pid_t pid = job(reads, fd, false);

	status = changed(pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
	CHECK(tcsetpgrp(fd, pid) == 0);
	kill(-pid, SIGCONT);
	CHECK(WIFCONTINUED(changed(pid)));
	pty_put(term.m, "x\n", 2);
	CHECK(ended(pid) == 0); /* the read went on */
}

static void a_background_reader_stops(void **state)
{
	IN_SESSION(background_read);
}

static int reads_deaf(int fd)
{
	sigset_t set;
	char c;

	signal(SIGTTIN, SIG_IGN);
	CHECK(read(fd, &c, 1) == -1 && errno == EIO);
	signal(SIGTTIN, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGTTIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	CHECK(read(fd, &c, 1) == -1 && errno == EIO);
	return 0;
}

static void background_deaf(void)
{
	CHECK(ended(job(reads_deaf, own_terminal(), false)) == 0);
}

static void a_background_reader_that_cannot_stop_fails(void **state)
{
	IN_SESSION(background_deaf);
}

static int reads_with_handler(int fd)
{
	char c;

	catch(SIGTTIN, 0);
	CHECK(read(fd, &c, 1) == -1 && errno == EINTR && seen[SIGTTIN] == 1);
	return 0;
}

static void background_handler(void)
{
	CHECK(ended(job(reads_with_handler, own_terminal(), false)) == 0);
}

static void a_handler_of_sigttin_interrupts(void **state)
{
	IN_SESSION(background_handler);
}

static int writes(int fd)
{
	return write(fd, "x", 1) == 1 ? 0 : 1;
}

static void background_write(void)
{
	int fd = own_terminal(), status;
	pid_t pid;

	CHECK(ended(job(writes, fd, false)) == 0); /* allowed ... */
	pty_mode(fd, &(struct pty_mode){ .l_on = TOSTOP });
	pid = job(writes, fd, false);
	status = changed(pid); /* ... unless TOSTOP */
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
	pty_mode(fd, &(struct pty_mode){ .l_off = TOSTOP });
	kill(-pid, SIGCONT);
	CHECK(ended(pid) == 0);
}

static void a_background_writer_stops_with_tostop(void **state)
{
	IN_SESSION(background_write);
}

static int sets(int fd)
{
	struct termios t;

	if (tcgetattr(fd, &t) < 0) /* asking is free */
		return 2;
	return tcsetattr(fd, TCSANOW, &t) == 0 ? 0 : 1;
}

static int sets_deaf(int fd)
{
	signal(SIGTTOU, SIG_IGN);
	return sets(fd);
}

static void background_set(void)
{
	int fd = own_terminal(), status;
	pid_t pid = job(sets, fd, false);

	status = changed(pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
	kill(pid, SIGKILL);
	ended(pid);
	CHECK(ended(job(sets_deaf, fd, false)) == 0); /* SIGTTOU ignored: allowed */
}

static void a_background_setter_stops(void **state)
{
	IN_SESSION(background_set);
}

/* --- orphaned groups -------------------------------------------------------------------------------------------------------------- */

static int is_orphan(int fd)
{
	char c;

	/* Its parent is in another session: nobody could continue it, so it does not stop. */
	CHECK(read(fd, &c, 1) == -1 && errno == EIO);
	CHECK(tcsetattr(fd, TCSANOW, &(struct termios){ 0 }) == -1 && errno == EIO);
	raise(SIGTSTP);
	raise(SIGTTIN);
	return 0;
}

/* Between the session's leader and the job: it ends at once. */
static void leave_a_job(int fd, int result)
{
	pid_t parent = getpid();
	char c;

	setpgid(0, 0);
	if (fork() == 0) {
		while (getppid() == parent)
			sleep_ms(1);
		c = is_orphan(fd) == 0 ? 'y' : 'n';
		_exit(write(result, &c, 1) != 1);
	}
	_exit(0);
}

static void orphan(void)
{
	int fd = own_terminal(), result[2];
	char c = 0;
	pid_t pid;

	CHECK(pipe(result) == 0);
	pid = fork();
	if (pid == 0)
		leave_a_job(fd, result[1]);
	close(result[1]);
	CHECK(ended(pid) == 0);
	CHECK(read(result[0], &c, 1) == 1 && c == 'y');
}

static void an_orphaned_group_does_not_stop(void **state)
{
	IN_SESSION(orphan);
}

static int stopped_grandchild(int fd)
{
	char c = 'h';

	catch(SIGHUP, 0);
	raise(SIGSTOP);
	return wait_seen(SIGHUP) && write(fd, &c, 1) == 1 ? 0 : 1;
}

static void newly_orphaned(void)
{
	int p[2], status;
	char c = 0;
	pid_t shell;

	CHECK(pipe(p) == 0);
	shell = fork();
	if (shell == 0) {
		pid_t pid = job(stopped_grandchild, p[1], false);

		CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
		_exit(0); /* its stopped job gets SIGHUP and SIGCONT */
	}
	close(p[1]);
	CHECK(ended(shell) == 0);
	CHECK(read(p[0], &c, 1) == 1 && c == 'h');
}

static void a_stopped_job_is_told_when_its_shell_ends(void **state)
{
	IN_SESSION(newly_orphaned);
}

/* --- the end of the session ---------------------------------------------------------------------------------------------------------- */

static int waits_hup(int fd)
{
	char c = 'h';

	CHECK(write(fd, "r", 1) == 1);
	CHECK(wait_seen(SIGHUP));
	CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
	return write(fd, &c, 1) == 1 ? 0 : 1;
}

static void the_foreground_is_hung_up_when_the_leader_ends(void **state)
{
	int p[2];
	char c = 0;
	pid_t pid;

	pty_open(&term);
	ASSERT_OK(pipe(p));
	pid = (pid_t)ASSERT_OK(fork());
	if (pid == 0) {
		int fd;

		CHECK(setsid() > 0);
		fd = own_terminal();
		catch(SIGHUP, 0); /* before it can come */
		pid = fork();
		if (pid == 0) {
			setpgid(0, 0);
			signal(SIGTTOU, SIG_IGN);
			CHECK(tcsetpgrp(fd, getpid()) == 0);
			_exit(waits_hup(p[1]));
		}
		while (tcgetpgrp(fd) != pid)
			sleep_ms(1);
		_exit(0);
	}
	close(p[1]);
	ASSERT_OK(waitpid(pid, NULL, 0));
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(c, 'r');
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(c, 'h');
	close(p[0]);
	pty_close(&term);
}

static void hung_up(void)
{
	int fd = own_terminal();
	char c;

	close(term.s);
	catch(SIGHUP, 0);
	catch(SIGCONT, 0);
	close(term.m); /* the last: in the parent it was closed before */
	CHECK(wait_seen(SIGHUP) && wait_seen(SIGCONT));
	CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
	CHECK(read(fd, &c, 1) == 0);
	CHECK(write(fd, &c, 1) == -1 && errno == EIO);
}

static void the_leader_is_told_when_the_master_is_closed(void **state)
{
	int status;
	pid_t pid;

	pty_open(&term);
	pid = (pid_t)ASSERT_OK(fork());
	if (pid == 0) {
		CHECK(setsid() > 0);
		sleep_ms(30);
		hung_up();
		_exit(0);
	}
	close(term.m);
	close(term.s);
	ASSERT_OK(waitpid(pid, &status, 0));
	assert_int_equal(status, 0);
}

/* --- groups without terminals ------------------------------------------------------------------------------------------------------------ */

static void groups(void)
{
	pid_t a = job(pauses, -1, false), b;

	CHECK(getpgid(a) == a && getsid(a) == getpid());
	b = fork();
	if (b == 0) {
		CHECK(setpgid(0, a) == 0 && getpgrp() == a);
		CHECK(setsid() == getpid()); /* it leads no group: it may */
		CHECK(getpgrp() == getpid() && getsid(0) == getpid());
		CHECK(setsid() == -1 && errno == EPERM);
		CHECK(setpgid(0, a) == -1 && errno == EPERM);
		_exit(0);
	}
	CHECK(ended(b) == 0);
	b = fork();
	if (b == 0)
		_exit(pauses(-1));
	CHECK(setpgid(b, a) == 0);
	CHECK(kill(-a, SIGUSR1) == 0); /* both */
	CHECK(WTERMSIG(ended(a)) == SIGUSR1 && WTERMSIG(ended(b)) == SIGUSR1);
	CHECK(kill(-a, 0) == -1 && errno == ESRCH);
	CHECK(setpgid(0, a) == -1 && errno == EPERM);
	CHECK(setpgid(getppid(), 0) == -1 && errno == ESRCH);
	CHECK(getpgid(0x3ffffff) == -1 && errno == ESRCH);
	CHECK(setpgid(0, -1) == -1 && errno == EINVAL);
}

static void groups_are_made_and_signalled(void **state)
{
	IN_SESSION(groups);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_terminal_opened_becomes_the_session_s),
		cmocka_unit_test(a_terminal_is_taken_by_call),
		cmocka_unit_test(a_leader_gives_its_terminal_up),
		cmocka_unit_test(the_master_knows_who_is_in_front),
		cmocka_unit_test(proc_shows_the_terminal),
		cmocka_unit_test(the_foreground_is_a_group_of_the_session),
		cmocka_unit_test(keys_signal_the_foreground_only),
		cmocka_unit_test(a_new_size_is_told),
		cmocka_unit_test(a_background_reader_stops),
		cmocka_unit_test(a_background_reader_that_cannot_stop_fails),
		cmocka_unit_test(a_handler_of_sigttin_interrupts),
		cmocka_unit_test(a_background_writer_stops_with_tostop),
		cmocka_unit_test(a_background_setter_stops),
		cmocka_unit_test(an_orphaned_group_does_not_stop),
		cmocka_unit_test(a_stopped_job_is_told_when_its_shell_ends),
		cmocka_unit_test(the_foreground_is_hung_up_when_the_leader_ends),
		cmocka_unit_test(the_leader_is_told_when_the_master_is_closed),
		cmocka_unit_test(groups_are_made_and_signalled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
