/* SPDX-License-Identifier: MIT */
/*
 * vmrun stands for its program: what signals vmrun gets the program gets, its terminal is the program's, and it ends as the
 * program does. The program is in an instance of our own (local.c) or in one that we have joined (joined.c).
 */
#ifndef TOOLS_VMRUN_FRONT_H
#define TOOLS_VMRUN_FRONT_H

#include <stdbool.h>

#include "tools/vmrun/options.h"

struct front;
struct termios2;
struct winsize;

struct front_news {
	bool wants_terminal; /* it uses what is typed: since the first time it was so */
	int stopped;         /* the signal by which its terminal stopped it; 0: none */
	bool ended, lost;    /* lost: the instance is */
	int status;          /* of the program, as wait(2) reports it */
};

struct front_ops {
	struct front_news (*news)(struct front *f);           /* once news_fd is readable */
	void (*signal)(struct front *f, int sig, bool front); /* front: to whom the terminal would send it */
	/* See vmm/console.h. echoed: so much of the input is; changed: the terminal's settings, if they have; else NULL */
	void (*enter)(struct front *f, bool input, bool host_processes, unsigned echoed, const struct termios2 *changed);
	void (*leave)(struct front *f);                       /* no input, all output is on the screen */
	void (*hold)(struct front *f, bool yes);              /* output; the end is not told while there is some */
	void (*resize)(struct front *f, const struct winsize *ws);
	bool (*reading)(struct front *f);
	bool (*writing)(struct front *f);                     /* what is held */
};

struct front {
	const struct front_ops *ops;
	int news_fd;
	bool has_terminal, has_shell;
	bool stops_writers;             /* as the terminal does with TOSTOP set, in the background */
	bool held;                      /* output is, for that */
	bool stdin_is_it, stdout_is_it; /* 0 and 1 are that terminal */
	/*
	 * The program is to have what is typed. With others of our pipeline on the same terminal this begins when it uses it: until
	 * then (`vmrun ls | less`) the terminal stays as it is.
	 */
	bool wanted;
	bool keep_output;               /* what is behind our stdout may write to the terminal too */
};

bool front_stops_writers(const struct options *o);
/* Before the program runs: from its first byte on, who processes its output is settled. */
void front_begin(struct front *f);
/* Until the program has ended; the terminal is restored. false: it is lost. */
bool front_wait(struct front *f, int sigfd, int *ret_status);

/* The exit status of vmrun; an error has been told. sigfd: of the signals that are handed on. */
int local_run(struct options *o, int sigfd);
int joined_run(struct options *o, int sigfd);
/* Of a program that ended so: may not return. */
int end_like(int status);
int complain(int status, const char *text);
/* Ends as if sigfd's next signal had come without us taking it; returns if there is none. */
void die_of_signal(int sigfd);

/* start.c: --serve. Returns only if it cannot be. */
int serve_instance(const struct options *o);
/* a connection to the instance, which is started if there is none. -1: err. *ret_started: it was. */
int join_instance(const struct options *o, bool *ret_started, char *err, unsigned long err_size);

#endif
