/* SPDX-License-Identifier: MIT */
/* Facts of the system: uname(2), sysinfo(2), getcpu(2), getrandom(2). */
#include <linux/random.h>
#include <sys/random.h> /* host syscalls: getrandom getcpu sysinfo */
#include <sys/sysinfo.h>

#include "emul/mm/mm.h"
#include "emul/syscalls/handler.h"

long sys_uname(struct task *t, const struct sysargs *a)
{
	return guest_write(t->mm, arg_gva(a, 0), t->env->uts);
}

/* Memory is the instance's; the load is the host's, as in /proc/loadavg; there is no swap. */
long sys_sysinfo(struct task *t, const struct sysargs *a)
{
	struct mem_stats m;
	struct sysinfo host, si;

	memset(&si, 0, sizeof(si));
	phys_stats(t->env->phys, &m);
	si.uptime = (clock_now(CLOCK_BOOTTIME) - (int64_t)t->env->boot_ns) / NSEC_PER_SEC;
	if (sysinfo(&host) == 0)
		memcpy(si.loads, host.loads, sizeof(si.loads));
	si.totalram = m.total;
	si.freeram = m.free;
	si.sharedram = m.shmem;
	si.procs = (unsigned short)MIN(tasks_count(), 0xffffu);
	si.mem_unit = 1;
	return guest_write(t->mm, arg_gva(a, 0), &si);
}

/* The thread's vCPU runs on its host thread: where that is now is the answer. */
long sys_getcpu(struct task *t, const struct sysargs *a)
{
	unsigned cpu = 0, node = 0;

	if (getcpu(&cpu, &node) < 0)
		cpu = node = 0;
	if (arg_gva(a, 0) && put_guest_u32(t->mm, arg_gva(a, 0), cpu) < 0)
		return -EFAULT;
	return arg_gva(a, 1) ? put_guest_u32(t->mm, arg_gva(a, 1), node) : 0;
}

/* --- getrandom ------------------------------------------------------------------------------------------------ */

/* A signal ends long requests between two pages, as in Linux; what was given until then counts. */
static ssize_t fill_random(struct task *t, struct uio *u, unsigned flags)
{
	ssize_t done = 0, n;
	char buf[4096];

	while (uio_left(u)) {
		long got = HOST(getrandom(buf, MIN(uio_left(u), sizeof(buf)), flags));

		if (got < 0)
			return done ? done : got == -EINTR ? -ERESTARTSYS : got;
		n = uio_copy_out(u, buf, (size_t)got);
		if (n < 0)
			return done ? done : n;
		done += n;
		if (n < got || atomic_load(&t->waiter.interrupted))
			break;
	}
	return done;
}

long sys_getrandom(struct task *t, const struct sysargs *a)
{
	size_t len = MIN(arg_size(a, 1), (size_t)INT_MAX);
	unsigned flags = arg_uint(a, 2);
	struct uio u;
	ssize_t r;

	if (flags & ~(unsigned)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	if ((flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	if (len && !range_ok(arg_gva(a, 0), len))
		return -EFAULT;
	uio_init_guest(&u, mm_guest(t->mm), arg_gva(a, 0), len);
	r = fill_random(t, &u, flags);
	uio_fini(&u);
	return r;
}
