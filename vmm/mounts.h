/* SPDX-License-Identifier: MIT */
/* The tree of files that an instance shows: what is mounted where. */
#ifndef VMM_MOUNTS_H
#define VMM_MOUNTS_H

#include "emul/proc/task.h"
#include "vmm/instance.h"
#include "vmm/program.h"

/* Root, /proc, /sys, /dev, /dev/shm, cfg->host_cwd, volumes. 0, or -1 with *err. */
int mounts_setup(struct instance *in, struct instance_error *err);
/*
 * The working directory of a program; the caller's directory outside is shown for real if it was not yet. *ret_home keeps that so: it is
 * for the program and its descendants, and once they have ended the directory is shown no more. 0, or -1 with *err.
 */
int mounts_cwd(struct instance *in, const struct program_config *cfg, struct path *ret, struct path *ret_home, struct instance_error *err);

/* etc_files.c: resolv.conf and hosts that fit the network; after the root is mounted, before anything writable. */
void etc_files_write(struct instance_env *env, const struct instance_config *cfg);
/* deleted.c: a directory in memory that has been removed and was called dir, as far as that can be. 0 or -errno. */
int deleted_directory(struct instance_env *env, const char *dir, struct path *ret);
struct cred *mounts_cred(void); /* may do everything in the instance's files; NULL: no memory */

#endif
