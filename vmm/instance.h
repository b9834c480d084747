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
#include "vmm/platform_kvm.h"

#define INSTANCE_MAX_THREADS 4096

struct instance;
struct rlimit64;

/* A host directory or file shown inside. */
struct instance_volume {
	const char *host;  /* absolute */
	const char *guest; /* absolute */
	bool read_only;
};

struct instance_config {
	uint64_t memory;          /* bytes of guest memory; 0: a quarter of the host's */
	unsigned max_threads;     /* of all its processes together; 0: INSTANCE_MAX_THREADS */
	const char *rootfs;       /* host directory seen as "/" (below memory, never changed); NULL: the host's "/" */
	const char *host_cwd;     /* a directory shown for real from the beginning; NULL: none */
	const struct instance_volume *volumes;
	unsigned nvolumes;
	struct net_config net;
	enum rewrite rewrite;     /* of programs' hot `syscall` instructions */
	bool outlives_programs;   /* others may follow: what a first process leaves behind goes on */
};

#define STATUS_VMRUN 125 /* vmrun itself failed, not the program */
/* Why an instance could not start: one line, and the exit status that convention gives it. */
struct instance_error { int status; char text[512]; };
/* Fills it in. -1. */
int instance_fail(struct instance_error *err, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Boots: programs can be started then (program.h). cfg and what it points to must stay. 0, or -1 with *err. */
int instance_new(const struct instance_config *cfg, struct instance **ret, struct instance_error *err);
/* fn(arg) is called on the thread of whatever ended last, without locks, whenever no process is left. Before the first program. */
void instance_set_idle(struct instance *in, void (*fn)(void *arg), void *arg);
/*
 * Our own limits become what is possible, before anything else: an instance serves more than the program that it was started for, and
 * programs cost host descriptors. ret_before: all of them as they were, or NULL. 0, or -1 with *err: there is no room for one.
 */
int instance_raise_limits(struct rlimit64 *ret_before, struct instance_error *err);
/* Its end: the process is to exit next. */
void instance_leave(struct instance *in);
/* Its limit in bytes. */
uint64_t instance_memory(struct instance *in);
/* --stats: to a descriptor. */
void instance_print_stats(struct instance *in, int fd);
/* Which kind of KVM runs it ("kvm/hardware", ...). */
const char *instance_platform_name(struct instance *in);

#endif
