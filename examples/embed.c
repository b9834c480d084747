/* SPDX-License-Identifier: MIT */
/*
 * An application that keeps a service running in an instance: bounded in memory and threads, observed, and started anew when it
 * or its instance fails. usage: embed COMMAND [ARG...] runs COMMAND so until it ends with status 0, at most three times.
 *
 * cc embed.c $(pkg-config --cflags --libs vmrun)
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vmrun.h>

#define TRIES 3

static void say(void *arg, const char *line)
{
	fprintf(stderr, "%s: %s\n", (const char *)arg, line);
}

static int complain(const char *what, const struct vmrun_error *err)
{
	fprintf(stderr, "embed: %s: %s\n", what, err->text);
	return err->status;
}

/* Its figures once a second while it runs. What vmrun_wait() says. */
static int observe(struct vmrun *vm, struct vmrun_process *p, int *status, struct vmrun_error *err)
{
	int r;

	while ((r = vmrun_wait(p, 1000, status, err)) == 0) {
		struct vmrun_stats s = VMRUN_STATS_INIT;

		if (vmrun_stats(vm, &s, NULL) == 0)
			fprintf(stderr, "embed: %lu processes, %lu of %lu MiB, %lu ms of CPU, %lu calls\n", s.processes, s.memory_used >> 20,
				s.memory_limit >> 20, s.cpu_ns / 1000000, s.calls);
	}
	return r;
}

/* -1: the program could not be run to its end, and may be tried again in another instance. */
static int run_once(char **argv, int *status)
{
	static const char *const environment[] = { "PATH=/usr/bin:/bin", NULL };
	struct vmrun_options options = VMRUN_OPTIONS_INIT;
	struct vmrun_program program = VMRUN_PROGRAM_INIT;
	struct vmrun_process *process;
	struct vmrun_error err;
	struct vmrun *vm;
	int r;

	options.memory = 256ul << 20;
	options.max_threads = 100;
	options.net = "loopback";
	options.log = say;
	options.log_arg = (void *)"instance";
	if (vmrun_new(&options, &vm, &err) < 0) {
		complain("no instance", &err);
		return -1;
	}
	program.argv = (const char *const *)argv;
	program.envp = environment;
	r = vmrun_start(vm, &program, &process, &err);
	if (r < 0) {
		*status = complain(argv[0], &err) << 8;
		vmrun_free(vm);
		return 0;
	}
	r = observe(vm, process, status, &err);
	if (r < 0)
		complain("lost", &err);
	vmrun_process_free(process);
	if (vmrun_alive(vm))
		vmrun_stop(vm, 2000, NULL); /* what it left behind */
	vmrun_free(vm);
	return r < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	int status = 125 << 8, i;

	if (argc < 2) {
		fprintf(stderr, "usage: embed COMMAND [ARG...]\n");
		return 2;
	}
	for (i = 0; i < TRIES; i++) {
		if (run_once(argv + 1, &status) == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
			return 0;
		fprintf(stderr, "embed: try %d ended with status 0x%x\n", i + 1, (unsigned)status);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
