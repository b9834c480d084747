/* SPDX-License-Identifier: MIT */
/* What instance.c shares with the other files of vmm/ that work on instances. */
#ifndef VMM_INSTANCE_INTERNAL_H
#define VMM_INSTANCE_INTERNAL_H

#include <sys/utsname.h>

#include "emul/base/list.h"
#include "emul/base/mutex.h"
#include "emul/proc/task.h"
#include "vmm/instance.h"

struct instance {
	/* constant after boot */
	struct instance_env env;
	struct utsname uts;
	const struct instance_config *cfg;
	void (*on_idle)(void *arg); /* set before the first program */
	void *on_idle_arg;
	/* mounts.c: host directories that are shown for real */
	struct {
		struct mutex lock; /* held across mounting, which only looks names up */
		struct list shown;
	} mounts;
};

#endif
