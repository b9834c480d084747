/* SPDX-License-Identifier: MIT */
/*
 * vmrun's options: one table, which parses the command line and prints its own --help.
 * tools/man/vmrun.1 is checked against it.
 */
#ifndef TOOLS_VMRUN_OPTIONS_H
#define TOOLS_VMRUN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "vmm/instance.h"
#include "vmm/program.h"

#define VMRUN_MAX_VOLUMES 32
#define VMRUN_MAX_ENV 256
#define VMRUN_MAX_PUBLISH 64

struct options {
	struct instance_config cfg;
	struct program_config program;
	const char *name; /* of the instance; NULL: not given */
	struct instance_volume volume[VMRUN_MAX_VOLUMES];
	struct net_publish publish[VMRUN_MAX_PUBLISH];
	const char *env[VMRUN_MAX_ENV]; /* NAME=VALUE to set, NAME to drop */
	unsigned nenv;
	bool strace, stats, verbose, fresh;
	bool serve;            /* be the instance, of a library that listens at: */
	int serve_fd, serve_log; /* -1: the log is the usual file */
	const char *strace_file, *debug;
	bool show_help, show_version, show_syscalls;
};

/* 0: argv from cfg.argv on is the program. -1: one line is in err. */
int options_parse(int argc, char **argv, struct options *o, char *err, unsigned long err_size);
void options_help(void);
/* The instance is to be ours alone: --new, or options that look into it. */
bool options_private(const struct options *o);
const char *options_name(const struct options *o);
/* What was given that an instance is made with: {option: text, or array of texts}; another command's must not contradict it. given.c */
json_t *options_given(const struct options *o);
/* "HOST:GUEST[:ro]" into *ret (host made absolute). 0, or -1 with err. volumes.c */
int volume_parse(const char *text, struct instance_volume *ret, char *err, unsigned long err_size);
/* "tap", "tap=NAME", "user", "loopback" into *ret. network.c */
int network_parse(const char *text, struct net_config *ret, char *err, unsigned long err_size);
/* "[ADDR:]HOST:GUEST[/udp]" */
int publish_parse(const char *text, struct net_publish *ret, char *err, unsigned long err_size);
/* "512M", "2G": bytes, page multiples. false: not a size. */
bool size_parse(const char *text, uint64_t *ret);

#endif
