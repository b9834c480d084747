/* SPDX-License-Identifier: MIT */
/* Cases that need a part which vmrun may not have yet: natively they always run; where it is missing they are skipped,
 * and shown as such. */
#ifndef TESTS_LIB_NEEDS_H
#define TESTS_LIB_NEEDS_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/cmocka_all.h"

/* QEMU's TCG raises neither #AC nor SSE's #XM, #GP for #SS, and counts gates of 16 bytes in error codes: tests/lane sets this. */
static inline void needs_real_processor(void)
{
	if (getenv("VMRUN_TEST_TCG"))
		skip();
}

#endif
