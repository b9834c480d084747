/* SPDX-License-Identifier: MIT */
/*
 * libvmrun: Linux programs in a virtual machine, from an application. Link with `pkg-config --cflags --libs vmrun`.
 *
 * An instance is a virtual machine in a process of its own, which vmrun_new() starts; programs run in it as in one Linux system:
 * they share memory, files, sockets and /proc. An application may have as many instances as it likes. Whatever happens in one, the
 * application goes on: its instance is then over, which vmrun_fd() shows, and a new one can be made. When the application ends, in
 * whatever way, its instances end with all that runs in them.
 *
 * Functions return 0 (or what is said), or -1 with *err filled in; err may be NULL. A struct vmrun may be used by several threads at
 * once, a struct vmrun_process by one at a time. No signal handlers, no SIGCHLD, no SIGPIPE; a thread only for the log callback.
 *
 * Structures that are passed in begin with their size, set by their INIT macros: programs that were built with an older header go on
 * working with a newer library. Everything else in them may stay 0.
 */
#ifndef VMRUN_H
#define VMRUN_H

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VMRUN_API_VERSION 1

#if defined(__GNUC__)
#define VMRUN_API __attribute__((visibility("default")))
#else
#define VMRUN_API
#endif

struct vmrun;         /* an instance */
struct vmrun_process; /* a program in it, as long as somebody wants to hear of it */

/* Why something failed: one line, and what a shell would make of it. */
struct vmrun_error {
	int status; /* 127: no such program inside; 126: it cannot be run; 125: everything else */
	char text[512];
};

/* "0.1.0": of the library. */
VMRUN_API const char *vmrun_version(void);

/* --- instances ------------------------------------------------------------------------------------------------ */

struct vmrun_options {
	size_t size;
	const char *name;                  /* by which vmctl and vmrun --name find it; NULL: "PID-N" */
	unsigned long memory;              /* bytes that its programs and files in memory may use; 0: a quarter of the host's */
	unsigned max_threads;              /* of all its programs together; 0: 4096 */
	const char *rootfs;                /* host directory seen as "/", which is never changed; NULL: the host's "/" */
	const char *directory;             /* host directory that is the same inside, writable for real; NULL: none */
	const char *const *volumes;        /* "HOST:GUEST[:ro]", ended by NULL; NULL: none */
	const char *net;                   /* "tap", "tap=NAME", "user", "loopback"; NULL: tap where permitted, else user */
	const char *const *publish;        /* "[ADDR:]HOST:GUEST[/udp]", ended by NULL: ports of the host that lead inside (net "user") */
	const char *pcap;                  /* a file for what passes the network; NULL: none */
	/*
	 * Lines that the instance has to say (not its programs'), without their ends; on a thread of the library, until vmrun_free().
	 * Lines that come faster than they are taken are lost. NULL: they go to a file of at most twice 8 MiB (vmctl logs).
	 */
	void (*log)(void *arg, const char *line);
	void *log_arg;
	const char *command;               /* the vmrun command, which becomes the instance; NULL: $VMRUN_COMMAND, or as installed */
};
#define VMRUN_OPTIONS_INIT { sizeof(struct vmrun_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/*
 * Starts an instance. Affinity, niceness, limits and control group of its process are the calling thread's, so all that runs in it
 * together is bounded by them. Another instance of the same name that runs is an error. To be ended by vmrun_free().
 */
VMRUN_API int vmrun_new(const struct vmrun_options *options, struct vmrun **ret, struct vmrun_error *err);
VMRUN_API const char *vmrun_name(const struct vmrun *vm);
/* The host's process that is the instance. */
VMRUN_API pid_t vmrun_pid(const struct vmrun *vm);
/* A descriptor that becomes readable when the instance is over (poll it, do not read it). The library's. */
VMRUN_API int vmrun_fd(const struct vmrun *vm);
/* 1: it runs; 0: it is over. */
VMRUN_API int vmrun_alive(const struct vmrun *vm);
/*
 * Ends the instance: SIGTERM to its processes, after timeout_ms (at most 600000) SIGKILL. Returns when its process has gone.
 * 0: all ended in time; 1: they were killed; -1: it was over already, or has not gone.
 */
VMRUN_API int vmrun_stop(struct vmrun *vm, int timeout_ms, struct vmrun_error *err);
/* Ends it at once, if it runs, and waits until it has gone. Its struct vmrun_process go on to be valid: their programs are lost. */
VMRUN_API void vmrun_free(struct vmrun *vm);

struct vmrun_stats {
	size_t size;
	unsigned long age_ms;
	unsigned long processes, threads, sockets;                   /* now */
	unsigned long memory_limit, memory_used;                     /* bytes; used: all kinds together, caches included */
	unsigned long memory_programs, memory_shared, memory_cached; /* of these: of programs; of files in memory; of files of the host */
	unsigned long cpu_ns;                                        /* of its process, since the start, as the following */
	unsigned long calls, exits;                                  /* system calls; departures from the virtual machine */
};
#define VMRUN_STATS_INIT { sizeof(struct vmrun_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Fills in stats, whose size is set. */
VMRUN_API int vmrun_stats(struct vmrun *vm, struct vmrun_stats *stats, struct vmrun_error *err);

/* --- programs in them --------------------------------------------------------------------------------------------- */

struct vmrun_descriptor { int inside, ours; }; /* ours stays the caller's; files, pipes, sockets and terminals keep their nature */

struct vmrun_program {
	size_t size;
	const char *const *argv;                    /* ended by NULL; argv[0] is a path inside, or is looked up along PATH of envp */
	const char *const *envp;                    /* ended by NULL; NULL: empty */
	const char *cwd;                            /* inside; NULL: options.directory, or "/" */
	const struct vmrun_descriptor *descriptors; /* all that it has open; NULL: the caller's 0, 1 and 2 */
	unsigned ndescriptors;                      /* at most 250 */
	int has_user;                               /* run as: */
	unsigned uid, gid;                          /* instead of the caller */
	unsigned umask;                             /* 0: 022 */
};
#define VMRUN_PROGRAM_INIT { sizeof(struct vmrun_program), 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Starts a program, as a session of its own. It goes on, with or without *ret, until it ends or the instance does. */
VMRUN_API int vmrun_start(struct vmrun *vm, const struct vmrun_program *program, struct vmrun_process **ret, struct vmrun_error *err);
/* Its number inside, as in /proc there and in `vmctl ps`. */
VMRUN_API pid_t vmrun_process_pid(const struct vmrun_process *p);
/* Becomes readable when vmrun_wait() would return at once. The library's. */
VMRUN_API int vmrun_process_fd(const struct vmrun_process *p);
/*
 * Waits up to timeout_ms (-1: for ever). 1: it has ended, and *ret_status is as of wait(2): WIFEXITED() and so on; 0: not yet;
 * -1: the instance is over, and the program with it.
 */
VMRUN_API int vmrun_wait(struct vmrun_process *p, int timeout_ms, int *ret_status, struct vmrun_error *err);
/* Sends it a signal, its first process alone. -1: it is over with the instance. One that has ended hears nothing. */
VMRUN_API int vmrun_kill(struct vmrun_process *p, int sig, struct vmrun_error *err);
/* Nothing more is to be heard of it; a program that runs goes on. */
VMRUN_API void vmrun_process_free(struct vmrun_process *p);

#ifdef __cplusplus
}
#endif

#endif
