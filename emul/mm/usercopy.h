/* SPDX-License-Identifier: MIT */
/* Inside of mm: access to guest memory that survives what the host cannot provide. mm.h has what others use. */
#ifndef EMUL_MM_USERCOPY_H
#define EMUL_MM_USERCOPY_H

#include "emul/base/uio.h"

/* Installs the handler of SIGBUS and SIGSEGV that turns faults of the accessors into errors. 0, -1 with errno. Once, at boot. */
int usercopy_boot(void);

extern const struct guest_mem_ops mm_guest_ops;

#endif
