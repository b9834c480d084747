/* SPDX-License-Identifier: MIT */
/*
 * vmrun on a terminal, as a shell runs it: the test is the shell, with a job in a group of its own, and holds the terminal's
 * master. argv[1]: vmrun; without it the programs run natively (the oracle).
 */
#include "tests/lib/pty.h"

#include <signal.h>
#include <sys/wait.h>

static const char *vmrun;
static struct pair term;
static struct termios before;

/* The first half of each case: a terminal, and the test as leader of its session. */
static int begin(void **state)
{
	struct winsize ws = { 24, 80, 0, 0 };

	pty_open(&term);
	pty_mode(term.s, &(struct pty_mode){ .l_on = NOFLSH }); /* something unusual, to be seen inside */
	ASSERT_OK(ioctl(term.m, TIOCSWINSZ, &ws));
	ASSERT_OK(tcgetattr(term.s, &before));
	ASSERT_OK(ioctl(term.s, TIOCSCTTY, 0));
	return 0;
}

static int end(void **state)
{
	ioctl(term.s, TIOCNOTTY);
	pty_close(&term);
	return 0;
}

/* Runs script by sh on the terminal; in, out: instead of it (-1: the terminal). */
static pid_t run_job(const char *script, int in, int out, bool front)
{
	const char *argv[] = { vmrun, "--new", "/bin/sh", "-c", script, NULL };
	pid_t pid = (pid_t)ASSERT_OK(fork());

	if (pid == 0) {
		setpgid(0, 0);
		if (front)
			tcsetpgrp(term.s, getpid()); /* SIGTTOU is ignored */
		signal(SIGTTOU, SIG_DFL);
		signal(SIGHUP, SIG_DFL);
		dup2(in < 0 ? term.s : in, 0);
		dup2(out < 0 ? term.s : out, 1);
		dup2(out < 0 ? term.s : out, 2);
		execv(vmrun ? vmrun : "/bin/sh", (char **)argv + (vmrun ? 0 : 2));
		_exit(99);
	}
	setpgid(pid, pid);
	if (front)
		tcsetpgrp(term.s, pid);
	return pid;
}

static pid_t run(const char *script, int in, int out)
{
	return run_job(script, in, out, true);
}

/* What the screen shows, until it has shown this. */
static char shown[8192];

static void until_at(const char *want, int line)
{
	size_t n = 0;

	shown[0] = '\0';
	while (!strstr(shown, want)) {
		ssize_t r = pty_ready(term.m, POLLIN, 4 * PTY_LIMIT_MS) & POLLIN ? read(term.m, shown + n, sizeof(shown) - 1 - n) : -1;

		if (r <= 0) {
			print_error("got \"%s\", want \"%s\"\n", pty_visible(shown, n), want);
			_fail(__FILE__, line);
		}
		shown[n += (size_t)r] = '\0';
	}
}

#define UNTIL(want) until_at(want, __LINE__)

static int wait_for(pid_t pid, int options)
{
	int status = -1;

	for (int ms = 0; ms < 4 * PTY_LIMIT_MS; ms += 10) {
		if (waitpid(pid, &status, options | WNOHANG) == pid) {
			tcsetpgrp(term.s, getpid());
			return status;
		}
		sleep_ms(10);
	}
	kill(pid, SIGKILL);
	fail_msg("it does not end");
	return -1;
}

static bool is_raw(void)
{
	struct termios t;

	ASSERT_OK(tcgetattr(term.s, &t));
	return !(t.c_lflag & (ICANON | ISIG)) && !(t.c_oflag & OPOST);
}

static void assert_restored(void)
{
	struct termios t;

	ASSERT_OK(tcgetattr(term.s, &t));
	assert_int_equal(t.c_iflag, before.c_iflag);
	assert_int_equal(t.c_oflag, before.c_oflag);
	assert_int_equal(t.c_cflag, before.c_cflag);
	assert_int_equal(t.c_lflag, before.c_lflag);
	assert_memory_equal(t.c_cc, before.c_cc, sizeof(t.c_cc));
}

/* --- cases -------------------------------------------------------------------------------------------------- */

static void the_program_finds_a_terminal_like_ours(void **state)
{
	pid_t pid = run("tty | cut -c1-9; stty -a | grep -o -w -e -\\\\?noflsh -e rows.[0-9]*; echo to-tty > /dev/tty; ps -o tty= -p $$ | cut -c1-4; echo end", -1, -1);

	UNTIL("end\r\n");
	assert_string_equal(shown, "/dev/pts/\r\nrows 24\r\nnoflsh\r\nto-tty\r\npts/\r\nend\r\n");
	assert_int_equal(wait_for(pid, 0), 0);
	assert_restored();
}

/* The session's leader is the shell, outside, whose group can be joined and be put in front. */
static void the_program_is_a_job_of_its_shell(void **state)
{
	pid_t pid = run("exec perl -MPOSIX -e '$| = 1; $SIG{TTOU} = \"IGNORE\"; $sid = syscall(124, 0);"
			"printf \"leads %d %d\\n\", $sid == $$, getpgrp() == $$;"
			"print \"setsid \", syscall(112) < 0 ? $!{EPERM} : 0, \"\\n\";"
			"if (!fork) { print \"joins \", syscall(109, 0, $sid) ? $!+0 : \"yes\", \"\\n\";"
			"print \"front \", tcsetpgrp(0, $sid) ? tcgetpgrp(0) == $sid : $!+0, \"\\n\"; tcsetpgrp(0, getppid); exit } wait; print \"end\\n\"'", -1, -1);

	UNTIL("end\r\n");
	assert_string_equal(shown, "leads 0 1\r\nsetsid 1\r\njoins yes\r\nfront 1\r\nend\r\n");
	assert_int_equal(wait_for(pid, 0), 0);
	assert_restored();
}

static void lines_are_edited_inside(void **state)
{
	pid_t pid = run("echo ready; cat; echo end", -1, -1);

	UNTIL("ready\r\n");
	if (vmrun)
		assert_true(is_raw());
	pty_type(&term, "abc\177d\n");
	UNTIL("abc\b \bd\r\nabd\r\n");
	pty_type(&term, "\004");
	UNTIL("end\r\n");
	assert_int_equal(wait_for(pid, 0), 0);
	assert_restored();
}

static void what_is_typed_early_is_echoed_once(void **state)
{
	pid_t pid;

	pty_type(&term, "first\nearx");
	UNTIL("first\r\nearx");
	pid = run("echo ready; read x; read y; echo got $x $y", -1, -1);
	UNTIL("ready\r\n");
	assert_string_equal(shown, "ready\r\n");
	pty_type(&term, "\177ly\n");
	UNTIL("got first early\r\n");
	assert_string_equal(shown, "\b \bly\r\ngot first early\r\n");
	assert_int_equal(wait_for(pid, 0), 0);
	assert_restored();
}

static void keys_signal_the_program(void **state)
{
	pid_t pid = run("trap 'echo got int' INT; echo ready; while :; do sleep 0.1; done", -1, -1);

	UNTIL("ready\r\n");
	pty_type(&term, "\003");
	UNTIL("^Cgot int\r\n");
	pty_type(&term, "\034");
	UNTIL("^\\");
	assert_int_equal(WTERMSIG(wait_for(pid, 0)), SIGQUIT);
	assert_restored();
}

static void the_job_is_stopped_and_continued(void **state)
{
	pid_t pid = run("echo ready; read x; echo got $x", -1, -1);
	int status;

	UNTIL("ready\r\n");
	pty_type(&term, "\032");
	status = wait_for(pid, WUNTRACED);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(WSTOPSIG(status), SIGTSTP);
	assert_restored();
	UNTIL("^Z");
	tcsetpgrp(term.s, pid);
	kill(-pid, SIGCONT);
	sleep_ms(300);
	pty_type(&term, "hello\n");
	UNTIL("got hello\r\n");
	assert_int_equal(wait_for(pid, 0), 0);
	assert_restored();
}

static void a_background_job_writes_but_stops_at_a_read(void **state)
{
	pid_t pid = run_job("echo ready; read x; echo got $x", -1, -1, false);
	int status;

	UNTIL("ready\r\n");
	assert_restored();
	status = wait_for(pid, WUNTRACED);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(WSTOPSIG(status), SIGTTIN);
	tcsetpgrp(term.s, pid);
	kill(-pid, SIGCONT);
	sleep_ms(300);
	pty_type(&term, "hello\n");
	UNTIL("got hello\r\n");
	assert_int_equal(wait_for(pid, 0), 0);
	assert_restored();
}

static void stops_at_a_write(int in)
{
	pid_t pid;
	int status;

	before.c_lflag |= TOSTOP;
	ASSERT_OK(tcsetattr(term.s, TCSANOW, &before));
	pid = run_job("echo one; echo two", in, -1, false);
	for (int i = 0; i < 2; i++) {
		status = wait_for(pid, WUNTRACED);
		assert_true(WIFSTOPPED(status));
		assert_int_equal(WSTOPSIG(status), SIGTTOU);
		if (i == 0)
			kill(-pid, SIGCONT); /* still in the background */
	}
	assert_int_equal(pty_ready(term.m, POLLIN, PTY_QUIET_MS), 0);
	tcsetpgrp(term.s, pid);
	kill(-pid, SIGCONT);
	UNTIL("one\r\ntwo\r\n");
	assert_int_equal(wait_for(pid, 0), 0);
	assert_restored();
}

static void a_background_job_stops_at_a_write_with_tostop(void **state)
{
	int null = (int)ASSERT_OK(open("/dev/null", O_RDWR));

	stops_at_a_write(-1);
	stops_at_a_write(null);
	close(null);
}

static void a_background_job_may_be_brought_to_the_front(void **state)
{
	pid_t pid = run_job("echo ready; sleep 0.5; read x; echo got $x", -1, -1, false);

	UNTIL("ready\r\n");
	tcsetpgrp(term.s, pid); /* without a word to it */
	sleep_ms(1000);
	pty_type(&term, "hello\n");
	UNTIL("got hello\r\n");
	assert_int_equal(wait_for(pid, 0), 0);
	assert_restored();
}

/* As a shell has it while it edits a line; then the job is brought to the front with the terminal as others set it. */
static void a_background_job_finds_the_settings_of_the_front(void **state)
{
	struct termios raw = before;
	pid_t pid;
	int status;

	cfmakeraw(&raw);
	ASSERT_OK(tcsetattr(term.s, TCSANOW, &raw));
	pid = run_job("echo ready; read x; stty -a | grep -o -w -e -\\\\?icanon; echo got $x", -1, -1, false);
	UNTIL("ready\n");
	status = wait_for(pid, WUNTRACED);
	assert_true(WIFSTOPPED(status));
	ASSERT_OK(tcsetattr(term.s, TCSANOW, &before));
	tcsetpgrp(term.s, pid);
	kill(-pid, SIGCONT);
	sleep_ms(300);
	pty_type(&term, "hel\177llo\n");
	UNTIL("hel\b \bllo\r\nicanon\r\ngot hello\r\n");
	assert_int_equal(wait_for(pid, 0), 0);
	assert_restored();
}

/* As execve keeps them: what nohup and shells rely on. */
static void ignored_signals_stay_ignored(void **state)
{
	pid_t pid;

	signal(SIGUSR1, SIG_IGN);
	pid = run("echo ready; read x; kill -USR1 $$; echo got $x", -1, -1);
	signal(SIGUSR1, SIG_DFL);
	UNTIL("ready\r\n");
	kill(pid, SIGUSR1);
	pty_type(&term, "hello\n");
	UNTIL("got hello\r\n");
	assert_int_equal(wait_for(pid, 0), 0);
}

static void signals_are_for_the_program(void **state)
{
	static const int sent[] = { SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU, SIGXFSZ, SIGIO, SIGPWR, SIGURG, SIGCHLD, SIGWINCH, SIGSTKFLT };
	pid_t pid = run("exec perl -MConfig -e '$| = 1; @n = split \" \", $Config{sig_name}; @o = split \" \", $Config{sig_num};"
			"for (1..31, 40, 64) { my $s = $_; $SIG{$n[$s]} = sub { print \"got $s.\\n\"; exit if $s == 64 } if $s !~ /^(9|19|2|15)$/ }"
			"print \"ready\\n\"; sleep 1 while 1'", -1, -1);
	char want[32];

	UNTIL("ready\r\n");
	for (size_t i = 0; i < ARRAY_SIZE(sent); i++) {
		kill(pid, sent[i]);
		snprintf(want, sizeof(want), "got %d.\r\n", sent[i]);
		UNTIL(want);
	}
	kill(pid, 40);
	UNTIL("got 40.\r\n");
	kill(pid, 64);
	UNTIL("got 64.\r\n");
	assert_int_equal(wait_for(pid, 0), 0);
	assert_restored();
}

static void a_new_size_reaches_the_program(void **state)
{
	struct winsize ws = { 33, 99, 0, 0 };
	pid_t pid = run("trap 'stty size; exit 5' WINCH; echo ready; while :; do sleep 0.1; done", -1, -1);

	UNTIL("ready\r\n");
	ASSERT_OK(ioctl(term.m, TIOCSWINSZ, &ws));
	UNTIL("33 99\r\n");
	assert_int_equal(WEXITSTATUS(wait_for(pid, 0)), 5);
}

static void the_terminal_is_restored_after_a_death(void **state)
{
	static const int by[] = { SIGTERM, SIGABRT, SIGQUIT, SIGHUP, SIGINT, SIGPIPE, SIGVTALRM, SIGXCPU };

	for (size_t i = 0; i < ARRAY_SIZE(by); i++) {
		pid_t pid = run("echo ready; exec sleep 100", -1, -1);

		UNTIL("ready\r\n");
		sleep_ms(50);
		if (vmrun)
			assert_true(is_raw());
		kill(pid, by[i]);
		assert_int_equal(WTERMSIG(wait_for(pid, 0)), by[i]);
		assert_restored();
	}
}

static void output_is_all_there_at_the_end(void **state)
{
	pid_t pid = run("seq 1 1500; kill -9 $$", -1, -1);

	UNTIL("\r\n1500\r\n");
	assert_int_equal(WTERMSIG(wait_for(pid, 0)), SIGKILL);
	assert_restored();
}

static void a_pipeline_leaves_the_terminal_to_others(void **state)
{
	int out[2];
	char buf[64] = "";
	pid_t pid;

	ASSERT_OK(pipe(out));
	pid = run("echo ready; sleep 0.4; echo done", -1, out[1]);
	close(out[1]);
	assert_int_equal(read(out[0], buf, sizeof(buf)), 6);
	assert_restored(); /* while it runs */
	pty_type(&term, "typed\n");
	assert_int_equal(wait_for(pid, 0), 0);
	assert_int_equal(pty_count(term.s, FIONREAD), 6); /* it is not for us */
	close(out[0]);
}

static void a_pipeline_takes_the_terminal_when_it_is_used(void **state)
{
	int out[2];
	char buf[64] = "";
	pid_t pid;

	ASSERT_OK(pipe(out));
	pid = run("echo ready; read x; echo got $x", -1, out[1]);
	close(out[1]);
	assert_int_equal(read(out[0], buf, sizeof(buf)), 6);
	sleep_ms(200);
	pty_type(&term, "hel\177llo\n");
	memset(buf, 0, sizeof(buf));
	assert_true(read(out[0], buf, sizeof(buf)) > 0);
	assert_string_equal(buf, "got hello\n");
	assert_int_equal(wait_for(pid, 0), 0);
	assert_restored();
	close(out[0]);
}

static void a_redirected_program_still_has_its_terminal(void **state)
{
	int null = (int)ASSERT_OK(open("/dev/null", O_RDWR));
	pid_t pid = run("echo for-you > /dev/tty; read x < /dev/tty; echo got $x > /dev/tty", null, null);

	UNTIL("for-you\r\n");
	sleep_ms(300);
	pty_type(&term, "hello\n");
	UNTIL("got hello\r\n");
	assert_int_equal(wait_for(pid, 0), 0);
	assert_restored();
	close(null);
}

static void the_program_is_hung_up_with_its_terminal(void **state)
{
	int out[2];
	char buf[64] = "";
	pid_t pid;

	ASSERT_OK(pipe(out));
	dup2(out[1], 9);
	pid = run("trap 'echo hup >&9; exit 4' HUP; echo ready; while :; do sleep 0.1; done", -1, -1);
	close(out[1]);
	close(9);
	UNTIL("ready\r\n");
	signal(SIGHUP, SIG_IGN);
	close(term.m);
	if (!vmrun) /* natively the shell hands it on */
		kill(-pid, SIGHUP);
	assert_true(read(out[0], buf, sizeof(buf)) > 0);
	assert_string_equal(buf, "hup\n");
	assert_int_equal(WEXITSTATUS(wait_for(pid, 0)), 4);
	close(out[0]);
	term.m = (int)ASSERT_OK(open("/dev/null", O_RDWR)); /* for the end of the case */
}

int main(int argc, char **argv)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	struct CMUnitTest tests[] = {
		CASE(the_program_finds_a_terminal_like_ours),
		CASE(the_program_is_a_job_of_its_shell),
		CASE(lines_are_edited_inside),
		CASE(what_is_typed_early_is_echoed_once),
		CASE(keys_signal_the_program),
		CASE(the_job_is_stopped_and_continued),
		CASE(a_background_job_writes_but_stops_at_a_read),
		CASE(a_background_job_stops_at_a_write_with_tostop),
		CASE(a_background_job_may_be_brought_to_the_front),
		CASE(a_background_job_finds_the_settings_of_the_front),
		CASE(ignored_signals_stay_ignored),
		CASE(signals_are_for_the_program),
		CASE(a_new_size_reaches_the_program),
		CASE(the_terminal_is_restored_after_a_death),
		CASE(output_is_all_there_at_the_end),
		CASE(a_pipeline_leaves_the_terminal_to_others),
		CASE(a_pipeline_takes_the_terminal_when_it_is_used),
		CASE(a_redirected_program_still_has_its_terminal),
		CASE(the_program_is_hung_up_with_its_terminal),
	};
	pid_t pid;
	int status;

	vmrun = argc > 1 ? argv[1] : NULL;
	pid = fork();
	if (pid == 0) {
		setsid();
		signal(SIGTTOU, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		_exit(cmocka_run_group_tests(tests, NULL, NULL));
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
