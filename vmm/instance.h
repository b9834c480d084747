/* SPDX-License-Identifier: MIT */
/*
 * One instance: a VM, its memory, its tree of files and its first program. The composition root:
 * the only place that knows every module. Nothing here prints or exits.
 */
#ifndef VMM_INSTANCE_H
#define VMM_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emul/net/netconf.h"

struct instance;

/* A host directory or file shown inside. */
struct instance_volume {
	const char *host;  /* absolute */
	const char *guest; /* absolute */
	bool read_only;
};

struct instance_config {
	uint64_t memory;          /* bytes of guest memory; 0: a quarter of the host's */
	const char *rootfs;       /* host directory seen as "/" (below memory, never changed); NULL: the host's "/" */
	const char *cwd;          /* the program's working directory; NULL: the caller's, or "/" with a rootfs */
	const struct instance_volume *volumes;
	unsigned nvolumes;
	bool has_user;            /* run as: */
	uint32_t uid, gid;        /* instead of the caller, without further groups */
	struct net_config net;    /* must stay while the instance runs */
	bool no_rewrite;          /* `syscall` instructions of programs stay as they are */
	char **argv;              /* argv[0] is looked up along PATH of envp, in the instance's own files */
	char **envp;
	int console;              /* the terminal that the program shall run on, as it is now; -1: none */
	bool has_shell;           /* somebody would continue us if we stopped: the program may be stopped */
};

/* Why an instance could not start: one line, and the exit status that convention gives it. */
struct instance_error { int status; char text[512]; };

/* Boots and loads the program; it does not run yet. 0, or -1 with *err. */
int instance_new(const struct instance_config *cfg, struct instance **ret, struct instance_error *err);
/* Starts the first program. */
int instance_start(struct instance *in, struct instance_error *err);
/* Readable when the first program has ended. */
int instance_done_fd(struct instance *in);
/* Its status as wait(2) reports it; valid once instance_done_fd() is readable. */
int instance_status(struct instance *in);
/* Hands a signal that vmrun got to the first program. */
void instance_signal(struct instance *in, int sig);
/* The same as the terminal would: to the group in front of the console, else to the one that the first program is in. */
void instance_signal_front(struct instance *in, int sig);
/* The console; NULL: there is none. */
struct console *instance_console(struct instance *in);
/* --stats: to a descriptor. */
void instance_print_stats(struct instance *in, int fd);
/* Readable when instance_news() has some. */
int instance_news_fd(struct instance *in);
struct instance_news {
	bool wants_terminal; /* the program uses what is typed: since the first time it was so */
	int stopped;         /* the signal by which the terminal stopped the first program, which is to stop who waits for it; 0: none */
};
struct instance_news instance_news(struct instance *in); /* since the last call */
/* Which kind of KVM runs it ("kvm/hardware", ...). */
const char *instance_platform_name(struct instance *in);

#endif
