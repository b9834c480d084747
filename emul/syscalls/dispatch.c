/* SPDX-License-Identifier: MIT */
/*
 * From a number to a handler. Restart codes pass through: the run loop hands them to signal_deliver(),
 * which knows whether a handler runs. A call that does not exist is named once (--verbose).
 */
#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/syscalls/stats.h"
#include "emul/syscalls/strace.h"

static void name_missing(unsigned long nr)
{
	static _Atomic bool named[SYSCALL_MAX], other;
	const char *name = nr < SYSCALL_MAX ? syscall_names[nr] : NULL;

	if (!log_verbose || !log_first_time(nr < SYSCALL_MAX ? &named[nr] : &other))
		return;
	if (name)
		log_write("note", "system call %s is not supported: ENOSYS", name);
	else
		log_write("note", "there is no system call %lu: ENOSYS", nr);
}

static long call_missing(struct task *t, const struct sysargs *a)
{
	return -ENOSYS;
}

static const struct syscall_desc missing = { "", call_missing, SUPPORT_NONE, "", NOBLOCK, { HEX, HEX, HEX, HEX, HEX, HEX } };

/* What the call did may be events for others: they hear of it before it returns. */
static inline long call_row(struct task *t, const struct syscall_desc *d, const struct sysargs *a)
{
	long r = d->fn(t, a);

	file_async_flush();
	return r;
}

static long call_watched(struct task *t, unsigned long nr, const struct syscall_desc *d, const struct sysargs *a)
{
	uint64_t start;
	long r;

	if (strace_on)
		strace_enter(t, nr, d, a);
	start = t->call_start_ns = stats_on ? (uint64_t)clock_now(CLOCK_MONOTONIC) : 0;
	r = call_row(t, d, a);
	if (stats_on)
		stats_call(nr, r, (uint64_t)clock_now(CLOCK_MONOTONIC) - start);
	if (strace_on)
		strace_leave(t, nr, d, a, r);
	return r;
}

/* Only eax counts: do_syscall_64(). NULL: no such call. */
static const struct syscall_desc *row_of(unsigned long *nr)
{
	*nr = (unsigned long)(long)(int)*nr;
	return *nr < SYSCALL_MAX && syscall_table[*nr].fn ? &syscall_table[*nr] : NULL;
}

void syscall_refused(struct task *t, unsigned long nr, const struct sysargs *a)
{
	const struct syscall_desc *d = row_of(&nr);

	if (!strace_on)
		return;
	strace_enter(t, nr, d ? d : &missing, a);
	strace_leave(t, nr, d ? d : &missing, a, (long)t->regs.rax);
}

long syscall_dispatch(struct task *t, unsigned long nr, const struct sysargs *a)
{
	const struct syscall_desc *d = row_of(&nr);

	if (!d) {
		name_missing(nr);
		d = &missing;
	}
	if (__builtin_expect(strace_on || stats_on, 0))
		return call_watched(t, nr, d, a);
	return call_row(t, d, a);
}
