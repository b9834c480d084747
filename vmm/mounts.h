/* SPDX-License-Identifier: MIT */
/* The tree of files that an instance shows: what is mounted where. */
#ifndef VMM_MOUNTS_H
#define VMM_MOUNTS_H

#include "emul/proc/task.h"
#include "vmm/instance.h"

/* Root, /proc, /sys, /dev, /dev/shm, the working directory, volumes. 0, or -1 with *err. */
int mounts_setup(struct instance_env *env, const struct instance_config *cfg, struct instance_error *err);
/* The first program's working directory. 0 or -errno. */
int mounts_cwd(struct instance_env *env, const struct instance_config *cfg, struct path *ret);

/* etc_files.c: resolv.conf and hosts that fit the network; after the root is mounted, before anything writable. */
void etc_files_write(struct instance_env *env, const struct instance_config *cfg);

#endif
