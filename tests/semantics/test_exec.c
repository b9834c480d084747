/* SPDX-License-Identifier: MIT */
/*
 * execve(2), execveat(2): what the new program finds, what is reset, what stays, and what is refused. The test
 * executes itself: main() with an argument is one of the programs below.
 */
#include "tests/lib/child.h"

#include <dirent.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>

#pragma GCC diagnostic ignored "-Wstringop-overread" /* bad pointers are what is tested */

static char self[4096]; /* path of this program */

/* --- programs: exit status 0 says that all is as it should be ------------------------------------------------------ */

static void handler(int sig)
{
}

static int program_signals(void)
{
	struct sigaction a;
	stack_t ss;
	sigset_t set;

	CHECK(sigaction(SIGUSR1, NULL, &a) == 0 && a.sa_handler == SIG_DFL && a.sa_flags == 0);
	CHECK(sigaction(SIGUSR2, NULL, &a) == 0 && a.sa_handler == SIG_IGN);
	CHECK(sigaction(SIGCHLD, NULL, &a) == 0 && a.sa_handler == SIG_IGN);
	CHECK(sigprocmask(SIG_BLOCK, NULL, &set) == 0);
	CHECK(sigismember(&set, SIGUSR1) && sigismember(&set, SIGHUP) && !sigismember(&set, SIGTERM));
	CHECK(sigpending(&set) == 0 && sigismember(&set, SIGUSR1) && !sigismember(&set, SIGHUP));
	CHECK(sigaltstack(NULL, &ss) == 0 && ss.ss_flags == SS_DISABLE);
	return 0;
}

static int program_descriptors(void)
{
	CHECK(fcntl(80, F_GETFD) == 0);
	CHECK(fcntl(81, F_GETFD) < 0 && errno == EBADF);
	return 0;
}

static int program_process(char **argv)
{
	struct itimerval it;
	timer_t no_timer = (timer_t)(intptr_t)atoi(argv[4]);
	struct itimerspec its;
	char comm[17] = "";
	int n = -1;

	CHECK(getpid() == atoi(argv[2]) && getppid() == atoi(argv[3]));
	CHECK(syscall(SYS_gettid) == getpid());
	CHECK(prctl(PR_GET_NAME, comm) == 0 && !strncmp(comm, "a-very-long-nam", 16));
	CHECK(getitimer(ITIMER_REAL, &it) == 0 && it.it_value.tv_sec > 900);
	errno = 0;
	CHECK(syscall(SYS_timer_gettime, no_timer, &its) < 0 && errno == EINVAL);
	CHECK(prctl(PR_GET_DUMPABLE) == 1);
	CHECK(prctl(PR_GET_PDEATHSIG, &n) == 0 && n == SIGUSR1);
	CHECK(prctl(PR_GET_CHILD_SUBREAPER, &n) == 0 && n == 1);
	CHECK(prctl(PR_GET_TIMERSLACK) == 123456);
	CHECK(prctl(PR_GET_KEEPCAPS) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(personality(0xffffffff) == ADDR_NO_RANDOMIZE);
	return 0;
}

static int program_threads(char **argv)
{
	struct dirent *d;
	int n = 0;
	DIR *dir = opendir("/proc/self/task");

	CHECK(getpid() == atoi(argv[2]) && syscall(SYS_gettid) == getpid());
	while ((d = readdir(dir)))
		n += d->d_name[0] != '.';
	CHECK(n == 1);
	sleep_ms(30); /* another thread's end must not be ours */
	return 0;
}

static int program_auxv(char **argv)
{
	CHECK(!strcmp((const char *)getauxval(AT_EXECFN), argv[2]));
	CHECK(getauxval(AT_UID) == getuid() && getauxval(AT_EUID) == geteuid());
	CHECK(getauxval(AT_GID) == getgid() && getauxval(AT_EGID) == getegid());
	CHECK(getauxval(AT_SECURE) == 0);
	CHECK(getauxval(AT_PAGESZ) == 4096);
	CHECK(getauxval(AT_CLKTCK) == 100);
	CHECK(getauxval(AT_RANDOM) && getauxval(AT_PHDR) && getauxval(AT_ENTRY));
	CHECK(!strcmp((const char *)getauxval(AT_PLATFORM), "x86_64"));
	return 0;
}

/* Prints its arguments, one a line. */
static int program_args(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		dprintf(1, "%s\n", argv[i]);
	return 0;
}

static int program_count(int argc, char **argv)
{
	dprintf(1, "%d %zu\n", argc, argc > 2 ? strlen(argv[2]) : 0);
	return 0;
}

static int program_pdeath(void)
{
	int n;

	CHECK(prctl(PR_GET_PDEATHSIG, &n) == 0 && n == 0);
	return 0;
}

static int program_umask(void)
{
	umask(0111);
	return chdir("/proc") != 0;
}

static int run_program(int argc, char **argv)
{
	const char *name = argv[1];

	if (!strcmp(name, "signals")) return program_signals();
	if (!strcmp(name, "descriptors")) return program_descriptors();
	if (!strcmp(name, "process")) return program_process(argv);
	if (!strcmp(name, "threads")) return program_threads(argv);
	if (!strcmp(name, "auxv")) return program_auxv(argv);
	if (!strcmp(name, "args")) return program_args(argc, argv);
	if (!strcmp(name, "count")) return program_count(argc, argv);
	if (!strcmp(name, "pdeath")) return program_pdeath();
	if (!strcmp(name, "umask")) return program_umask();
	if (!strcmp(name, "sleep")) return sleep(30), 1;
	return program_args(argc, argv);
}

/* --- helpers ---------------------------------------------------------------------------------------------------------- */

static char *no_env[] = { NULL };

/* Output (at most size - 1 bytes) of execve(path, argv) in a child; errno of a failed one as "error N". */
static const char *output_of(const char *path, char *const argv[], char *buf, size_t size)
{
	int p[2];
	size_t n = 0;
	ssize_t r;

	ASSERT_OK(pipe2(p, O_CLOEXEC));
	pid_t pid = fork();
	if (pid == 0) {
		dup2(p[1], 1);
		execve(path, argv, no_env);
		dprintf(1, "error %s", errno_name(errno));
		_exit(1);
	}
	ASSERT_OK(pid);
	close(p[1]);
	while (n < size - 1 && (r = read(p[0], buf + n, size - 1 - n)) > 0)
		n += (size_t)r;
	buf[n] = '\0';
	close(p[0]);
	child_status(pid);
	return buf;
}

static void write_file(const char *name, const void *text, size_t len, mode_t mode)
{
	unlink(name);
	int fd = (int)ASSERT_OK(open(name, O_WRONLY | O_CREAT | O_TRUNC, 0700));

	assert_int_equal(write(fd, text, len), len);
	ASSERT_OK(fchmod(fd, mode));
	close(fd);
}

static void script(const char *name, const char *first_line)
{
	write_file(name, first_line, strlen(first_line), 0755);
}

static const char *exec_says(const char *path)
{
	static char buf[8192];
	char *argv[] = { (char *)"zero", (char *)"one", NULL };

	return output_of(path, argv, buf, sizeof(buf));
}

/* --- what is reset and what stays ----------------------------------------------------------------------------------------- */

static int exec_signals(void *arg)
{
	static char alt[32768];
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) };
	struct sigaction a = { .sa_handler = handler, .sa_flags = SA_RESTART | SA_NODEFER };
	sigset_t set;

	CHECK(sigaltstack(&ss, NULL) == 0);
	CHECK(sigaction(SIGUSR1, &a, NULL) == 0);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGHUP);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	raise(SIGUSR1);
	execl(self, "self", "signals", NULL);
	return 1;
}

static void handlers_are_reset_and_masks_stay(void **state)
{
	IN_CHILD(exec_signals, NULL);
}

static int exec_descriptors(void *arg)
{
	CHECK(dup2(0, 80) == 80 && dup2(0, 81) == 81 && fcntl(81, F_SETFD, FD_CLOEXEC) == 0);
	execl("/nonexistent", "x", NULL);
	CHECK(errno == ENOENT && fcntl(81, F_GETFD) == FD_CLOEXEC);     /* a failed one closes nothing */
	execl(self, "self", "descriptors", NULL);
	return 1;
}

static void descriptors_close_on_exec(void **state)
{
	IN_CHILD(exec_descriptors, NULL);
	/* A shared table is not shared any more. */
	ASSERT_OK(dup2(0, 80));
	ASSERT_OK(dup3(0, 81, O_CLOEXEC));
	pid_t pid = raw_clone(CLONE_FILES | SIGCHLD, NULL, NULL, 0);
	if (pid == 0) {
		execl(self, "self", "descriptors", NULL);
		_exit(1);
	}
	ASSERT_CHILD_OK((pid_t)ASSERT_OK(pid));
	assert_int_equal(fcntl(81, F_GETFD), FD_CLOEXEC);
	close(80);
	close(81);
}

static int exec_process(void *arg)
{
	struct itimerval it = { .it_value.tv_sec = 1000 };
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	char pid[16], ppid[16], timer[16];
	int id = -1;

	/* before the rest: a child of an exec'd program with personality bits of the environment would fail */
	CHECK(personality(ADDR_NO_RANDOMIZE) >= 0);
	CHECK(symlink(self, "a-very-long-name-for-a-program") == 0 || errno == EEXIST);
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	CHECK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id) == 0);
	CHECK(prctl(PR_SET_DUMPABLE, 0L) == 0);
	CHECK(prctl(PR_SET_KEEPCAPS, 1L) == 0);
	CHECK(prctl(PR_SET_PDEATHSIG, (long)SIGUSR1) == 0);
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1L) == 0);
	CHECK(prctl(PR_SET_TIMERSLACK, 123456L) == 0);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) == 0);
	snprintf(pid, sizeof(pid), "%d", getpid());
	snprintf(ppid, sizeof(ppid), "%d", getppid());
	snprintf(timer, sizeof(timer), "%d", id);
	execl("./a-very-long-name-for-a-program", "zero", "process", pid, ppid, timer, NULL);
	return 1;
}

static void settings_of_the_process_stay_or_go(void **state)
{
	IN_CHILD(exec_process, NULL);
}

static int exec_pdeath(void *arg)
{
	/* other ids clear it; exec keeps what there is */
	CHECK(prctl(PR_SET_PDEATHSIG, (long)SIGUSR1) == 0);
	CHECK(become_nobody() == 0);
	if (getuid() == 65534)
		execl("/proc/self/exe", "self", "pdeath", NULL);
	return errno == EACCES ? 0 : 1; /* where nobody may not look into the build directory */
}

static void new_ids_clear_the_death_signal(void **state)
{
	if (getuid() == 0)
		IN_CHILD(exec_pdeath, NULL);
}

static void directory_and_mask_stay_shared(void **state)
{
	char cwd[4096], back[4096];
	mode_t mask = umask(022);

	assert_non_null(getcwd(back, sizeof(back)));
	pid_t pid = raw_clone(CLONE_FS | SIGCHLD, NULL, NULL, 0);
	if (pid == 0) {
		execl(self, "self", "umask", NULL);
		_exit(1);
	}
	ASSERT_CHILD_OK((pid_t)ASSERT_OK(pid));
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_string_equal(cwd, "/proc");
	ASSERT_OK(chdir(back));
	assert_int_equal(umask(mask), 0111);
}

/* --- threads ----------------------------------------------------------------------------------------------------------------- */

static void *loop(void *arg)
{
	for (;;)
		*(volatile int *)arg += 1;
	return NULL;
}

static void *block(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void *exec_from_thread(void *arg)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	execl(self, "self", "threads", pid, NULL);
	_exit(1);
}

static int threads_then_exec(void *arg)
{
	static int counter;
	pthread_t t[4];

	CHECK(pthread_create(&t[0], NULL, loop, &counter) == 0);
	CHECK(pthread_create(&t[1], NULL, block, NULL) == 0);
	CHECK(pthread_create(&t[2], NULL, block, NULL) == 0);
	if (!arg)
		exec_from_thread(NULL);
	CHECK(pthread_create(&t[3], NULL, exec_from_thread, NULL) == 0);
	if ((intptr_t)arg == 2)
		syscall(SYS_exit, 9);   /* the leader has ended already */
	for (;;)
		pause();
	return 1;
}

static void other_threads_end_and_the_pid_stays(void **state)
{
	IN_CHILD(threads_then_exec, (void *)0L);
	IN_CHILD(threads_then_exec, (void *)1L);
	IN_CHILD(threads_then_exec, (void *)2L);
}

static int exec_true(void *arg)
{
	execl("/bin/true", "true", NULL);
	return 1;
}

static void a_shared_cleartid_word_is_cleared_and_woken(void **state)
{
	static char stack[65536] __attribute__((aligned(16)));
	static volatile int word;
	struct timespec patience = { PATIENCE_MS / 1000, 0 };

	word = 5;
	pid_t pid = clone(exec_true, stack + sizeof(stack), CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, NULL, NULL, NULL, &word);
	ASSERT_OK(pid);
	while (word == 5)
		if (syscall(SYS_futex, &word, FUTEX_WAIT, 5, &patience, NULL, 0) < 0 && errno == ETIMEDOUT)
			break;
	assert_int_equal(word, 0);
	ASSERT_CHILD_OK(pid);
}

static void a_vfork_parent_goes_on(void **state)
{
	static volatile int in_child;
	pid_t pid = vfork();

	if (pid == 0) {
		in_child = 1;
		execl(self, "self", "sleep", NULL);
		_exit(1);
	}
	assert_int_equal(in_child, 1);          /* the memory was shared */
	ASSERT_RET(waitpid(pid, NULL, WNOHANG), 0);
	ASSERT_ERR(setpgid(pid, 0), EACCES);    /* it has executed a program */
	kill(pid, SIGKILL);
	assert_int_equal(child_status(pid), SIGKILL);
}

/* --- what the program gets ------------------------------------------------------------------------------------------------------ */

static void auxv_describes_the_program(void **state)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl(self, "self", "auxv", self, NULL);
		_exit(1);
	}
	ASSERT_CHILD_OK(pid);
}

static bool is_link(const char *name)
{
	struct stat st;

	ASSERT_OK(lstat(name, &st));
	return S_ISLNK(st.st_mode);
}

static void an_empty_argv_becomes_one_empty_string(void **state)
{
	char *none[] = { NULL };
	char buf[256];

	/* argc is 1: run_program() is not reached, so another program must tell; busybox would ask argv[0] which one it is */
	if (is_link("/bin/echo"))
		skip();
	(void)none;
	ASSERT_OK(symlink("/bin/echo", "e") == 0 || errno == EEXIST ? 0 : -1);
	assert_string_equal(output_of("./e", none, buf, sizeof(buf)), "\n");
	assert_string_equal(output_of("./e", NULL, buf, sizeof(buf)), "\n");
}

/* --- limits ----------------------------------------------------------------------------------------------------------------------- */

static char *string_of(size_t len)
{
	char *s = malloc(len + 1);

	memset(s, 'x', len);
	s[len] = '\0';
	return s;
}

static void argument_sizes_are_limited(void **state)
{
	static char *many[40000];
	char buf[256];
	char *argv[] = { (char *)"self", (char *)"count", string_of(131071), NULL };

	assert_string_equal(output_of(self, argv, buf, sizeof(buf)), "3 131071\n");
	argv[2] = string_of(131072);
	assert_string_equal(output_of(self, argv, buf, sizeof(buf)), "error E2BIG");

	char *big = string_of(100000), *one = string_of(1);
	many[0] = (char *)"self";
	many[1] = (char *)"count";
	for (int i = 2; i < 18; i++)
		many[i] = big;
	assert_string_equal(output_of(self, many, buf, sizeof(buf)), "18 100000\n");
	for (int i = 2; i < 30; i++)    /* 2.8 MB: more than a quarter of 8 MiB */
		many[i] = big;
	struct rlimit old, lim;
	ASSERT_OK(getrlimit(RLIMIT_STACK, &old));
	lim = old;
	lim.rlim_cur = 8 << 20;
	ASSERT_OK(setrlimit(RLIMIT_STACK, &lim));
	assert_string_equal(output_of(self, many, buf, sizeof(buf)), "error E2BIG");
	/* Pointers count: 8 + 2 bytes each, 128 KiB always go. */
	lim.rlim_cur = 256 << 10;
	ASSERT_OK(setrlimit(RLIMIT_STACK, &lim));
	for (int i = 2; i < 12000; i++)
		many[i] = one;
	many[12000] = NULL;
	assert_string_equal(output_of(self, many, buf, sizeof(buf)), "12000 1\n");
	for (int i = 2; i < 14000; i++)
		many[i] = one;
	many[14000] = NULL;
	assert_string_equal(output_of(self, many, buf, sizeof(buf)), "error E2BIG");
	ASSERT_OK(setrlimit(RLIMIT_STACK, &old));
	assert_string_equal(output_of("./nothing", many, buf, sizeof(buf)), "error ENOENT");
}

static void bad_pointers_are_refused(void **state)
{
	char *argv[] = { (char *)"self", (char *)8, NULL };

	ASSERT_ERR(execve(self, argv, no_env), EFAULT);
	ASSERT_ERR(execve(self, (char **)8, no_env), EFAULT);
	ASSERT_ERR(execve(self, no_env, (char **)8), EFAULT);
	ASSERT_ERR(execve((char *)8, no_env, no_env), EFAULT);
	ASSERT_ERR(execve("./nothing", (char **)8, no_env), ENOENT);
	ASSERT_ERR(execve("", no_env, no_env), ENOENT);
	ASSERT_ERR(execve("/", no_env, no_env), EACCES);
	ASSERT_ERR(execve("/etc/passwd", no_env, no_env), EACCES);
	ASSERT_ERR(execve("/etc/passwd/x", no_env, no_env), ENOTDIR);
	ASSERT_ERR(execve("/dev/null", no_env, no_env), EACCES);
	ASSERT_ERR(syscall(SYS_execveat, AT_FDCWD, self, no_env, no_env, 1), EINVAL);
	ASSERT_ERR(syscall(SYS_execveat, 99, "x", no_env, no_env, 0), EBADF);
	ASSERT_ERR(syscall(SYS_execveat, 99, "", no_env, no_env, AT_EMPTY_PATH), EBADF);
	ASSERT_ERR(syscall(SYS_execveat, 0, "", no_env, no_env, 0), ENOENT);
	ASSERT_OK(symlink(self, "l") == 0 || errno == EEXIST ? 0 : -1);
	ASSERT_ERR(syscall(SYS_execveat, AT_FDCWD, "l", no_env, no_env, AT_SYMLINK_NOFOLLOW), ELOOP);
}

/* --- scripts ------------------------------------------------------------------------------------------------------------------------ */

static void scripts_run_their_interpreter(void **state)
{
	char line[4200], want[256];

	snprintf(line, sizeof(line), "#!%s\n", self);
	script("s1", line);
	assert_string_equal(strchr(exec_says("./s1"), '\n'), "\n./s1\none\n");
	snprintf(line, sizeof(line), "#! \t %s   arg with blanks  \t\nrest", self);
	script("s2", line);
	assert_string_equal(strchr(exec_says("./s2"), '\n'), "\narg with blanks\n./s2\none\n");
	snprintf(line, sizeof(line), "#!%s x", self);                   /* no newline at the end */
	script("s3", line);
	assert_string_equal(strchr(exec_says("./s3"), '\n'), "\nx\n./s3\none\n");

	snprintf(line, sizeof(line), "#!%s\n", self);
	script("n1", line);
	for (int i = 2; i <= 6; i++) {
		char name[8];

		snprintf(line, sizeof(line), "#!./n%d\n", i - 1);
		snprintf(name, sizeof(name), "n%d", i);
		script(name, line);
	}
	snprintf(want, sizeof(want), "\n./n1\n./n2\n./n3\n./n4\n./n5\none\n");
	assert_string_equal(strchr(exec_says("./n5"), '\n'), want);
	assert_string_equal(exec_says("./n6"), "error ELOOP");
}

static void bad_scripts_are_refused(void **state)
{
	char line[400];

	script("b", "#!/no/such/interpreter\n");
	assert_string_equal(exec_says("./b"), "error ENOENT");
	script("b", "#!/\n");
	assert_string_equal(exec_says("./b"), "error EACCES");
	script("b", "#!\n");
	assert_string_equal(exec_says("./b"), "error ENOEXEC");
	script("b", "#!   \t\n");
	assert_string_equal(exec_says("./b"), "error ENOEXEC");
	script("b", "plain text\n");
	assert_string_equal(exec_says("./b"), "error ENOEXEC");
	script("b", "#");
	assert_string_equal(exec_says("./b"), "error ENOEXEC");
	script("b", "");
	assert_string_equal(exec_says("./b"), "error ENOEXEC");
	memset(line, 'i', sizeof(line));
	memcpy(line, "#!/", 3);
	line[399] = '\0';
	script("b", line);
	assert_string_equal(exec_says("./b"), "error ENOEXEC");
	write_file("b", "#!/bin/echo\n", 12, 0644);
	assert_string_equal(exec_says("./b"), "error EACCES");
}

/* --- program files --------------------------------------------------------------------------------------------------------------------- */

static void broken_programs_are_refused(void **state)
{
	static char image[4096];
	int fd = (int)ASSERT_OK(open("/bin/true", O_RDONLY));

	assert_int_equal(read(fd, image, sizeof(image)), sizeof(image));
	close(fd);
	write_file("e1", image, 40, 0755);                              /* half a header */
	assert_string_equal(exec_says("./e1"), "error ENOEXEC");
	image[18] = 8;                                                  /* a MIPS program */
	write_file("e1", image, sizeof(image), 0755);
	assert_string_equal(exec_says("./e1"), "error ENOEXEC");
	image[18] = 62;
	image[56] = 0;                                                  /* no program headers */
	image[57] = 0;
	write_file("e1", image, sizeof(image), 0755);
	assert_string_equal(exec_says("./e1"), "error ENOEXEC");
}

static void a_program_that_is_written_to_is_busy(void **state)
{
	char buf[256];
	char *argv[] = { (char *)"self", (char *)"count", NULL };
	char command[9000];

	snprintf(command, sizeof(command), "cp %s busy", self);
	assert_int_equal(system(command), 0);
	int fd = (int)ASSERT_OK(open("busy", O_WRONLY));
	assert_string_equal(output_of("./busy", argv, buf, sizeof(buf)), "error ETXTBSY");
	close(fd);
	assert_string_equal(output_of("./busy", argv, buf, sizeof(buf)), "2 0\n");

	struct gate g;
	gate_make(&g);
	pid_t pid = fork();
	if (pid == 0) {
		execl("./busy", "busy", "sleep", NULL);
		_exit(1);
	}
	close(g.fd[1]);
	char c;
	assert_int_equal(read(g.fd[0], &c, 1), 0);                      /* closed by the exec */
	close(g.fd[0]);
	ASSERT_ERR(open("busy", O_WRONLY), ETXTBSY);
	ASSERT_ERR(open("busy", O_RDWR), ETXTBSY);
	ASSERT_ERR(truncate("busy", 100), ETXTBSY);
	fd = (int)ASSERT_OK(open("busy", O_RDONLY));
	close(fd);
	ASSERT_OK(rename("busy", "busy2"));
	kill(pid, SIGKILL);
	assert_int_equal(child_status(pid), SIGKILL);
	fd = (int)ASSERT_OK(open("busy2", O_RDWR));
	close(fd);
}

static void execveat_finds_programs_by_descriptor(void **state)
{
	char text[64], want[4200], comm[32];
	int p[2], fd = (int)ASSERT_OK(open("/bin/cat", O_RDONLY));
	ssize_t n;
	char *argv[] = { (char *)"cat", (char *)"/proc/self/comm", NULL };

	ASSERT_OK(pipe(p));
	pid_t pid = fork();
	if (pid == 0) {
		dup2(p[1], 1);
		syscall(SYS_execveat, fd, "", argv, no_env, AT_EMPTY_PATH);
		_exit(1);
	}
	ASSERT_CHILD_OK(pid);
	n = read(p[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	snprintf(want, sizeof(want), "%d\n", fd);                       /* before Linux 6.14: the descriptor's number */
	if (strcmp(text, want) != 0) {
		assert_non_null(realpath("/bin/cat", want));
		strcat(want, "\n");
		assert_string_equal(text, strrchr(want, '/') + 1);
	}

	int dir = (int)ASSERT_OK(open("/bin", O_PATH | O_DIRECTORY));
	pid = fork();
	if (pid == 0) {
		dup2(p[1], 1);
		syscall(SYS_execveat, dir, "cat", argv, no_env, 0);
		_exit(1);
	}
	ASSERT_CHILD_OK(pid);
	n = read(p[0], comm, sizeof(comm) - 1);
	assert_true(n > 0);
	comm[n] = '\0';
	assert_string_equal(comm, "cat\n");
	close(dir);
	close(fd);

	/* A script needs its descriptor: it must not be closed on exec. */
	script("fs", "#!/bin/cat\nscript\n");
	char *args[] = { (char *)"x", NULL };
	for (int cloexec = 0; cloexec < 2; cloexec++) {
		fd = (int)ASSERT_OK(open("fs", O_RDONLY | (cloexec ? O_CLOEXEC : 0)));
		pid = fork();
		if (pid == 0) {
			dup2(p[1], 1);
			syscall(SYS_execveat, fd, "", args, no_env, AT_EMPTY_PATH);
			_exit(errno == ENOENT ? 50 : 51);
		}
		if (cloexec) {
			assert_int_equal(child_status(pid), 50 << 8);
		} else {
			ASSERT_CHILD_OK(pid);
			n = read(p[0], text, sizeof(text));
			assert_int_equal(n, 18);
		}
		close(fd);
	}
	close(p[0]);
	close(p[1]);
}

static void proc_shows_the_new_program(void **state)
{
	char text[256], link[4096];
	char path[64];
	struct gate g;

	gate_make(&g);
	pid_t pid = fork();
	if (pid == 0) {
		execl(self, "zero", "sleep", "two", NULL);
		_exit(1);
	}
	close(g.fd[1]);
	assert_int_equal(read(g.fd[0], text, 1), 0);
	close(g.fd[0]);
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	int fd = (int)ASSERT_OK(open(path, O_RDONLY));
	assert_int_equal(read(fd, text, sizeof(text)), 15);
	assert_memory_equal(text, "zero\0sleep\0two", 15);
	close(fd);
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	ssize_t n = readlink(path, link, sizeof(link) - 1);
	assert_true(n > 0);
	link[n] = '\0';
	assert_string_equal(link, self);
	kill(pid, SIGKILL);
	child_status(pid);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handlers_are_reset_and_masks_stay),
		cmocka_unit_test(descriptors_close_on_exec),
		cmocka_unit_test(settings_of_the_process_stay_or_go),
		cmocka_unit_test(new_ids_clear_the_death_signal),
		cmocka_unit_test(directory_and_mask_stay_shared),
		cmocka_unit_test(other_threads_end_and_the_pid_stays),
		cmocka_unit_test(a_shared_cleartid_word_is_cleared_and_woken),
		cmocka_unit_test(a_vfork_parent_goes_on),
		cmocka_unit_test(auxv_describes_the_program),
		cmocka_unit_test(an_empty_argv_becomes_one_empty_string),
		cmocka_unit_test(argument_sizes_are_limited),
		cmocka_unit_test(bad_pointers_are_refused),
		cmocka_unit_test(scripts_run_their_interpreter),
		cmocka_unit_test(bad_scripts_are_refused),
		cmocka_unit_test(broken_programs_are_refused),
		cmocka_unit_test(a_program_that_is_written_to_is_busy),
		cmocka_unit_test(execveat_finds_programs_by_descriptor),
		cmocka_unit_test(proc_shows_the_new_program),
	};

	if (argc > 1)
		return run_program(argc, argv);
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
