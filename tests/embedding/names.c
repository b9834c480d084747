/* SPDX-License-Identifier: MIT */
/* An application whose own functions are called as the library's inner ones: it links with the static library, and each keeps its own. */
#include <stdio.h>
#include <sys/wait.h>

#include "vmm/vmrun.h"

int wire_send(void);
int meeting_dir(void);
int client_ask(void);

int wire_send(void) { return 1; }
int meeting_dir(void) { return 2; }
int client_ask(void) { return 4; }

int main(void)
{
	static const char *const argv[] = { "sh", "-c", "exit 5", NULL }, *const envp[] = { "PATH=/usr/bin:/bin", NULL };
	struct vmrun_options options = VMRUN_OPTIONS_INIT;
	struct vmrun_program program = VMRUN_PROGRAM_INIT;
	struct vmrun_process *process;
	struct vmrun_error err;
	struct vmrun *vm;
	int status = -1, ok;

	options.net = "loopback";
	program.argv = argv;
	program.envp = envp;
	if (vmrun_new(&options, &vm, &err) < 0 || vmrun_start(vm, &program, &process, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	ok = vmrun_wait(process, 60000, &status, &err) == 1 && WIFEXITED(status) && WEXITSTATUS(status) == 5;
	vmrun_process_free(process);
	vmrun_free(vm);
	return ok && wire_send() + meeting_dir() + client_ask() == 7 ? 0 : 1;
}
