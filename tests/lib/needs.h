/* SPDX-License-Identifier: MIT */
/* Cases that need a part which vmrun may not have yet: natively they always run; where it is missing they are skipped,
 * and shown as such. */
#ifndef TESTS_LIB_NEEDS_H
#define TESTS_LIB_NEEDS_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tests/lib/cmocka_all.h"

/* QEMU's TCG raises neither #AC nor SSE's #XM, #GP for #SS, and counts gates of 16 bytes in error codes: tests/lane sets this. */
static inline void needs_real_processor(void)
{
	if (getenv("VMRUN_TEST_TCG"))
		skip();
}

/* What newer kernels do otherwise: vmrun, which names the host's release, does as the newest. */
static inline bool kernel_at_least(int major, int minor)
{
	struct utsname u;
	int a = 0, b = 0;

	return uname(&u) == 0 && sscanf(u.release, "%d.%d", &a, &b) == 2 && (a > major || (a == major && b >= minor));
}

#endif
