/* SPDX-License-Identifier: MIT */
/* vmrun.h: what an application can rely on. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/cmocka_all.h"

#include <vmrun.h>

#define SOON_MS 30000

static const char *const environment[] = { "PATH=/usr/bin:/bin", "MINE=5", NULL };

static struct vmrun *new_vm(void)
{
	struct vmrun_options o = VMRUN_OPTIONS_INIT;
	struct vmrun_error err;
	struct vmrun *vm;

	o.memory = 128ul << 20;
	o.net = "loopback";
	if (vmrun_new(&o, &vm, &err) < 0)
		fail_msg("%s", err.text);
	return vm;
}

/* sh -c SCRIPT with stdout at fd, -1: the usual descriptors. */
static struct vmrun_process *start_shell(struct vmrun *vm, const char *script, int fd)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	struct vmrun_descriptor d[] = { { 1, fd }, { 2, 2 } };
	struct vmrun_program p = VMRUN_PROGRAM_INIT;
	struct vmrun_process *r;
	struct vmrun_error err;

	p.argv = argv;
	p.envp = environment;
	if (fd >= 0) {
		p.descriptors = d;
		p.ndescriptors = 2;
	}
	if (vmrun_start(vm, &p, &r, &err) < 0)
		fail_msg("%s", err.text);
	return r;
}

static int status_of(struct vmrun_process *p)
{
	struct vmrun_error err;
	int status = -1, r = vmrun_wait(p, SOON_MS, &status, &err);

	if (r != 1)
		fail_msg("vmrun_wait: %d, %s", r, r < 0 ? err.text : "it does not end");
	vmrun_process_free(p);
	return status;
}

/* What the script prints. */
static const char *output_of(struct vmrun *vm, const char *script)
{
	static char buf[4096];
	size_t len = 0;
	ssize_t n;
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	struct vmrun_process *sh = start_shell(vm, script, p[1]);
	close(p[1]);
	while ((n = read(p[0], buf + len, sizeof(buf) - 1 - len)) > 0)
		len += (size_t)n;
	close(p[0]);
	buf[len] = '\0';
	status_of(sh);
	return buf;
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

static void programs_have_what_they_are_given(void **state)
{
	struct vmrun *vm = new_vm();

	assert_string_equal(output_of(vm, "echo $MINE; pwd; umask; ls /proc/self/fd | tr '\\n' ' '"), "5\n/\n0022\n0 1 2 ");
	assert_int_equal(WEXITSTATUS(status_of(start_shell(vm, "exit 7", -1))), 7);
	assert_int_equal(WTERMSIG(status_of(start_shell(vm, "kill -TERM $$", -1))), SIGTERM);
	vmrun_free(vm);
}

static void programs_of_one_instance_meet(void **state)
{
	struct vmrun *a = new_vm(), *b = new_vm();

	assert_string_not_equal(vmrun_name(a), vmrun_name(b));
	status_of(start_shell(a, "echo here > /tmp/note", -1));
	assert_string_equal(output_of(a, "cat /tmp/note"), "here\n");
	assert_string_equal(output_of(b, "test -e /tmp/note || echo none"), "none\n");
	vmrun_free(a);
	assert_string_equal(output_of(b, "echo still there"), "still there\n");
	vmrun_free(b);
}

static void a_program_that_is_not_there_is_an_error(void **state)
{
	const char *argv[] = { "/no/such/program", NULL };
	struct vmrun_program p = VMRUN_PROGRAM_INIT;
	struct vmrun *vm = new_vm();
	struct vmrun_process *r;
	struct vmrun_error err;

	p.argv = argv;
	assert_int_equal(vmrun_start(vm, &p, &r, &err), -1);
	assert_int_equal(err.status, 127);
	argv[0] = "/etc";
	assert_int_equal(vmrun_start(vm, &p, &r, &err), -1);
	assert_int_equal(err.status, 126);
	assert_true(vmrun_alive(vm));
	vmrun_free(vm);
}

static void signals_reach_programs(void **state)
{
	struct vmrun *vm = new_vm();
	struct vmrun_process *sleeper = start_shell(vm, "exec sleep 1000", -1);
	int status;

	assert_int_equal(vmrun_wait(sleeper, 0, &status, NULL), 0);
	assert_int_equal(vmrun_kill(sleeper, 0, NULL), -1);
	assert_int_equal(vmrun_kill(sleeper, SIGKILL, NULL), 0);
	assert_true(readable(vmrun_process_fd(sleeper), SOON_MS));
	assert_int_equal(WTERMSIG(status_of(sleeper)), SIGKILL);
	vmrun_free(vm);
}

static void a_program_goes_on_unheard(void **state)
{
	struct vmrun *vm = new_vm();
	struct vmrun_process *p = start_shell(vm, "exec sleep 1000", -1);
	char script[64];

	snprintf(script, sizeof(script), "kill -0 %d && echo alive", vmrun_process_pid(p));
	vmrun_process_free(p);
	assert_string_equal(output_of(vm, script), "alive\n");
	vmrun_free(vm);
}

static void stop_asks_first(void **state)
{
	struct vmrun *vm = new_vm();
	int p[2], status;
	char c;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	struct vmrun_process *polite = start_shell(vm, "trap 'exit 4' TERM; echo; while :; do sleep 0.1; done", p[1]);
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(vmrun_stop(vm, SOON_MS, NULL), 0);
	assert_false(vmrun_alive(vm));
	assert_int_equal(vmrun_wait(polite, SOON_MS, &status, NULL), 1);
	assert_int_equal(WEXITSTATUS(status), 4);
	vmrun_process_free(polite);
	assert_int_equal(vmrun_stop(vm, 0, NULL), -1);
	vmrun_free(vm);

	vm = new_vm();
	struct vmrun_process *stubborn = start_shell(vm, "trap '' TERM; echo; while :; do sleep 0.1; done", p[1]);
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(vmrun_stop(vm, 200, NULL), 1);
	vmrun_process_free(stubborn);
	vmrun_free(vm);
	close(p[0]);
	close(p[1]);
}

static void an_instance_that_dies_takes_nobody_along(void **state)
{
	struct vmrun *vm = new_vm(), *next;
	struct vmrun_process *p = start_shell(vm, "exec sleep 1000", -1);
	struct vmrun_stats s = VMRUN_STATS_INIT;
	struct vmrun_error err;
	int status;

	assert_int_equal(kill(vmrun_pid(vm), SIGKILL), 0);
	assert_true(readable(vmrun_fd(vm), SOON_MS));
	assert_int_equal(vmrun_wait(p, SOON_MS, &status, &err), -1);
	assert_int_equal(vmrun_kill(p, SIGTERM, &err), -1);
	assert_int_equal(vmrun_stats(vm, &s, &err), -1);
	assert_false(vmrun_alive(vm));
	vmrun_process_free(p);
	vmrun_free(vm);
	next = new_vm();
	assert_string_equal(output_of(next, "echo anew"), "anew\n");
	vmrun_free(next);
}

static void an_application_that_dies_leaves_no_instance(void **state)
{
	int p[2];
	pid_t child, vm_pid;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		const char *argv[] = { "sh", "-c", "trap '' HUP TERM; while :; do sleep 1; done", NULL };
		struct vmrun_program program = VMRUN_PROGRAM_INIT;
		struct vmrun_process *process;
		struct vmrun *vm;

		program.argv = argv;
		program.envp = environment;
		if (vmrun_new(NULL, &vm, NULL) < 0 || vmrun_start(vm, &program, &process, NULL) < 0)
			_exit(1);
		vm_pid = vmrun_pid(vm);
		if (write(p[1], &vm_pid, sizeof(vm_pid)) < 0)
			_exit(1);
		pause();
	}
	close(p[1]);
	assert_int_equal(read(p[0], &vm_pid, sizeof(vm_pid)), sizeof(vm_pid));
	int pidfd = (int)syscall(SYS_pidfd_open, vm_pid, 0);
	assert_true(pidfd >= 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_true(readable(pidfd, SOON_MS));
	close(pidfd);
	close(p[0]);
}

static void figures_are_of_this_instance(void **state)
{
	struct vmrun_stats s = VMRUN_STATS_INIT;
	struct vmrun *vm = new_vm();
	struct vmrun_process *p;

	assert_int_equal(vmrun_stats(vm, &s, NULL), 0);
	assert_int_equal(s.processes, 0);
	assert_int_equal(s.memory_limit, 128ul << 20);
	output_of(vm, "echo");
	p = start_shell(vm, "exec sleep 1000", -1);
	assert_int_equal(vmrun_stats(vm, &s, NULL), 0);
	assert_int_equal(s.processes, 1);
	assert_true(s.memory_used > 0 && s.memory_used <= s.memory_limit);
	assert_true(s.cpu_ns > 0 && s.exits > 0);
	vmrun_process_free(p);
	vmrun_free(vm);
}

/* An application that was built when the structures were shorter. */
static void older_applications_go_on(void **state)
{
	struct { struct vmrun_stats s; } box;
	struct vmrun *vm;

	assert_int_equal(vmrun_new(NULL, &vm, NULL), 0);
	memset(&box, 0x5a, sizeof(box));
	box.s.size = 3 * sizeof(unsigned long);
	assert_int_equal(vmrun_stats(vm, &box.s, NULL), 0);
	assert_int_equal(box.s.processes, 0);
	assert_int_equal(box.s.threads, 0x5a5a5a5a5a5a5a5a);
	vmrun_free(vm);
}

struct heard { pthread_mutex_t lock; char text[1024]; };

static void hear(void *arg, const char *line)
{
	struct heard *h = arg;

	pthread_mutex_lock(&h->lock);
	strncat(h->text, line, sizeof(h->text) - strlen(h->text) - 1);
	pthread_mutex_unlock(&h->lock);
}

static void the_log_is_the_applications(void **state)
{
	struct heard h = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct vmrun_options o = VMRUN_OPTIONS_INIT;
	char dir[] = "/tmp/vmrun-api-XXXXXX", fifo[64];
	struct vmrun *vm;
	int reader;

	assert_non_null(mkdtemp(dir));
	snprintf(fifo, sizeof(fifo), "%s/capture", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	reader = open(fifo, O_RDONLY | O_NONBLOCK);
	o.log = hear;
	o.log_arg = &h;
	o.net = "user";
	o.pcap = fifo;
	assert_int_equal(vmrun_new(&o, &vm, NULL), 0);
	close(reader); /* said when a frame is written */
	output_of(vm, "exec busybox nc -w 1 10.0.2.2 9 2>&1");
	vmrun_free(vm);
	unlink(fifo);
	rmdir(dir);
	assert_non_null(strstr(h.text, "--pcap: the capture ends"));
}

static void wrong_options_are_told(void **state)
{
	const char *const volumes[] = { "/no/such/directory:/v", NULL };
	struct vmrun_options o = VMRUN_OPTIONS_INIT;
	struct vmrun_error err;
	struct vmrun *vm, *first;

	o.net = "bridge";
	assert_int_equal(vmrun_new(&o, &vm, &err), -1);
	assert_non_null(strstr(err.text, "bridge"));
	o.net = "tap=lo"; /* not one */
	assert_int_equal(vmrun_new(&o, &vm, &err), -1);
	assert_non_null(strstr(err.text, "--net tap: "));
	o.net = NULL;
	o.volumes = volumes;
	assert_int_equal(vmrun_new(&o, &vm, &err), -1);
	assert_non_null(strstr(err.text, "/no/such/directory"));
	o.volumes = NULL;
	o.name = "../up";
	assert_int_equal(vmrun_new(&o, &vm, &err), -1);
	o.name = "twice";
	assert_int_equal(vmrun_new(&o, &first, &err), 0);
	assert_int_equal(vmrun_new(&o, &vm, &err), -1);
	assert_non_null(strstr(err.text, "runs already"));
	vmrun_free(first);
	assert_int_equal(vmrun_new(&o, &first, &err), 0);
	vmrun_free(first);
}

static void threads_are_bounded(void **state)
{
	struct vmrun_options o = VMRUN_OPTIONS_INIT;
	struct vmrun *vm;

	o.max_threads = 5;
	assert_int_equal(vmrun_new(&o, &vm, NULL), 0);
	assert_int_not_equal(status_of(start_shell(vm, "for i in 1 2 3 4 5 6 7; do sleep 1000 & done 2> /dev/null; exit 0", -1)), 0);
	vmrun_free(vm);
}

static void a_directory_is_shared_for_real(void **state)
{
	char dir[] = "/tmp/vmrun-api-XXXXXX", name[64];
	struct vmrun_options o = VMRUN_OPTIONS_INIT;
	struct stat st;
	struct vmrun *vm;

	assert_non_null(mkdtemp(dir));
	o.directory = dir;
	assert_int_equal(vmrun_new(&o, &vm, NULL), 0);
	status_of(start_shell(vm, "echo > there", -1));
	vmrun_free(vm);
	snprintf(name, sizeof(name), "%s/there", dir);
	assert_int_equal(stat(name, &st), 0);
	unlink(name);
	rmdir(dir);
}

/* The application's own children, handlers and descriptors are as they were. */
static void the_application_is_left_alone(void **state)
{
	struct sigaction before, after;
	int fd = dup(0), last;
	struct vmrun *vm;

	sigaction(SIGSEGV, NULL, &before);
	vm = new_vm();
	output_of(vm, "echo");
	vmrun_free(vm);
	sigaction(SIGSEGV, NULL, &after);
	assert_ptr_equal(before.sa_handler, after.sa_handler);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	last = dup(0);
	assert_int_equal(last, fd + 1);
	close(last);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_have_what_they_are_given),
		cmocka_unit_test(programs_of_one_instance_meet),
		cmocka_unit_test(a_program_that_is_not_there_is_an_error),
		cmocka_unit_test(signals_reach_programs),
		cmocka_unit_test(a_program_goes_on_unheard),
		cmocka_unit_test(stop_asks_first),
		cmocka_unit_test(an_instance_that_dies_takes_nobody_along),
		cmocka_unit_test(an_application_that_dies_leaves_no_instance),
		cmocka_unit_test(figures_are_of_this_instance),
		cmocka_unit_test(older_applications_go_on),
		cmocka_unit_test(the_log_is_the_applications),
		cmocka_unit_test(wrong_options_are_told),
		cmocka_unit_test(threads_are_bounded),
		cmocka_unit_test(a_directory_is_shared_for_real),
		cmocka_unit_test(the_application_is_left_alone),
	};
	char dir[] = "/tmp/vmrun-api-run-XXXXXX", command[64];
	int r;

	if (!mkdtemp(dir))
		return 1;
	setenv("XDG_RUNTIME_DIR", dir, 1);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) ? 1 : r;
}
