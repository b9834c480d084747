/* SPDX-License-Identifier: MIT */
/* The table: rows from table.def, and the handlers of calls that are always refused. */
#include "emul/syscalls/table.h"

#include "emul/base/err.h"

/* Linux looks at privileges before it looks at arguments in all of these. */
static long refuse_EPERM(struct task *t, const struct sysargs *a)
{
	return -EPERM;
}

static long refuse_EOPNOTSUPP(struct task *t, const struct sysargs *a)
{
	return -EOPNOTSUPP;
}

#define ROW(nr, nm, sup, txt, blk, ...) [nr] = { #nm, sys_##nm, sup, txt, blk, { __VA_ARGS__ } },
#define REFUSE(nr, nm, err, txt, ...) [nr] = { #nm, refuse_##err, PARTIAL, txt, NOBLOCK, { __VA_ARGS__ } },
const struct syscall_desc syscall_table[SYSCALL_MAX] = {
#include "emul/syscalls/table.def"
};
