/* SPDX-License-Identifier: MIT */
/*
 * A program that a command outside starts in an instance: a session of its own with the command's descriptors, directory and
 * terminal. Whoever holds the struct program is the front: it hands signals in and hears what happens.
 */
#ifndef VMM_PROGRAM_H
#define VMM_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/instance.h"

struct console;
struct rlimit64;
struct proc;
struct program;

struct program_config {
	char **argv;              /* argv[0] is looked up along PATH of envp, in the instance's own files */
	char **envp;
	const char *host_cwd;     /* the caller's directory outside, shown inside for real; NULL: none, or out of reach */
	bool cwd_deleted;         /* that was its name, but it has been removed: so it is inside */
	const char *cwd;          /* the program's working directory inside; NULL: host_cwd, or "/" where it cannot be seen */
	mode_t umask;
	bool has_user;            /* run as: */
	uint32_t uid, gid;        /* instead of the caller, without further groups */
	pid_t like;               /* the host's process whose limits, niceness and affinity it gets; 0: our own */
	const struct rlimit64 *limits; /* all of them; NULL: those of like */
	int console;              /* the terminal that the program shall run on, as it is now; -1: none */
	bool controlled;          /* it is the caller's controlling terminal, not just any */
	bool has_shell;           /* somebody would continue the caller if it stopped: the program may be stopped */
	bool leads_session, leads_group; /* the program is to lead its session, or at least its process group, as the caller does */
	uint64_t ignored, blocked; /* signals, 1 << (signal - 1), as the caller has them */
	const int *fds;           /* NULL: our own that are open without close-on-exec, as execve would; else */
	const int *numbers;       /* ...fds[i] is numbers[i] inside; */
	unsigned nfds;            /* they stay the caller's */
};

/* Loads it; it does not run yet. 0, or -1 with *err. */
int program_new(struct instance *in, const struct program_config *cfg, struct program **ret, struct instance_error *err);
int program_start(struct program *p, struct instance_error *err);
/* The front leaves. hangup: without a word, as when a terminal is closed: a program that still runs hears SIGHUP. NULL does nothing. */
void program_leave(struct program *p, bool hangup);
pid_t program_pid(struct program *p);
struct console *program_console(struct program *p); /* NULL: none; until program_leave() */
/* A signal for the first process. */
void program_signal(struct program *p, int sig);
/* The same as the terminal would: to the group in front of the console, else to the one that the first process is in. */
void program_signal_front(struct program *p, int sig);
/* Readable when program_news() has some. */
int program_news_fd(struct program *p);
struct program_news {
	bool wants_terminal; /* the program uses what is typed: since the first time it was so */
	int stopped;         /* the signal by which the terminal stopped the first process, which is to stop who waits for it; 0: none */
	bool ended;          /* from now on */
	int status;          /* of the first process, as wait(2) reports it */
};
struct program_news program_news(struct program *p); /* since the last call */

/* instance.c: what happens to first processes; see struct instance_env. */
void program_exited(struct proc *proc, int status);
void program_stopped(struct proc *proc, int why, int sig);

#endif
