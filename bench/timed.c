/* SPDX-License-Identifier: MIT */
/*
 * usage: timed NAME PROGRAM [ARG...]
 * Runs a program with stdin and stdout on /dev/null and prints "NAME milliseconds ms", as sysbench does. Runs inside
 * the sandbox, so that the time is that of the program without the start of the sandbox. Prints nothing but a message
 * if the program fails.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void become(char **argv)
{
	int null = open("/dev/null", O_RDWR);

	dup2(null, 0);
	dup2(null, 1);
	execv(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

int main(int argc, char **argv)
{
	double start = now_ms();
	int status;
	pid_t pid;

	if (argc < 3)
		return 2;
	pid = fork();
	if (pid == 0)
		become(argv + 2);
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("timed");
		return 1;
	}
	if (status) {
		printf("%s failed: wait status 0x%x\n", argv[1], status);
		return 1;
	}
	printf("%s %.3f ms\n", argv[1], now_ms() - start);
	return 0;
}
