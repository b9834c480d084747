/* SPDX-License-Identifier: MIT */
/*
 * Boot, in order: waiting and timers, the machine, memory, files, tasks. Then programs can be started (program.c).
 * There is no tear-down in steps: the host process exits, and the host takes VM, memory and descriptors back at once.
 */
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/mm/usercopy.h"
#include "emul/net/net.h"
#include "emul/proc/task.h"
#include "emul/syscalls/syscalls.h"
#include "vmm/instance_internal.h"
#include "vmm/mounts.h"
#include "vmm/platform_kvm.h"
#include "vmm/program.h"

int instance_fail(struct instance_error *err, int status, const char *fmt, ...)
{
	va_list ap;

	err->status = status;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -1;
}

static void idle(struct instance_env *env)
{
	struct instance *in = container_of(env, struct instance, env);

	if (in->on_idle)
		in->on_idle(in->on_idle_arg);
}

static uint64_t default_memory(void)
{
	struct sysinfo si;

	if (sysinfo(&si))
		return (uint64_t)1 << 30;
	return ((uint64_t)si.totalram * si.mem_unit / 4) & HUGE_MASK;
}

static int boot_machine(struct instance *in, const struct instance_config *cfg, struct instance_error *err)
{
	struct instance_env *env = &in->env;
	char why[384] = "";

	if (wait_boot() < 0 || usercopy_boot() < 0)
		return instance_fail(err, STATUS_VMRUN, "cannot install signal handlers: %s", strerror(errno));
	env->memory_limit = cfg->memory ? cfg->memory : default_memory();
	env->platform = platform_kvm_new(&(struct platform_kvm_config){ .rewrite = cfg->rewrite, .err = why, .err_size = sizeof(why) });
	if (!env->platform)
		return instance_fail(err, STATUS_VMRUN, "%s", why);
	env->phys = phys_new(env->platform, env->memory_limit);
	env->vfs = env->phys ? vfs_new(env->phys) : NULL;
	if (!env->vfs)
		return instance_fail(err, STATUS_VMRUN, "out of memory");
	return 0;
}

/* Ports are published when a program first uses the network: that they cannot be had is better said now. */
static int check_published(const struct net_config *net, struct instance_error *err)
{
	int fds[64], r = 0;
	unsigned n = 0;

	for (; r == 0 && n < net->npublish && n < ARRAY_SIZE(fds); n++) {
		const struct net_publish *p = &net->publish[n];
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(p->host_port), .sin_addr.s_addr = htonl(p->host_addr) };
		int one = 1;

		fds[n] = socket(AF_INET, (p->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
		if (!p->udp)
			setsockopt(fds[n], SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)); /* libslirp does; for datagrams it would let two in */
		if (fds[n] < 0 || bind(fds[n], (struct sockaddr *)&a, sizeof(a)) < 0 || (!p->udp && listen(fds[n], 1) < 0))
			r = instance_fail(err, STATUS_VMRUN, "--publish: port %u cannot be had: %s: give another", p->host_port, strerror(errno));
	}
	while (n-- > 0)
		if (fds[n] >= 0)
			close(fds[n]);
	return r;
}

static int boot_tasks(struct instance *in, const struct instance_config *cfg, struct instance_error *err)
{
	struct instance_env *env = &in->env;

	if (uname(&in->uts) < 0)
		return instance_fail(err, STATUS_VMRUN, "uname: %s", strerror(errno));
	env->uts = &in->uts;
	env->task_run = task_run;
	env->on_first_exit = program_exited;
	env->on_first_stop = program_stopped;
	env->on_idle = idle;
	env->outlives_first = cfg->outlives_programs;
	env->max_tasks = (int)(cfg->max_threads ? cfg->max_threads : INSTANCE_MAX_THREADS);
	if (sched_getaffinity(0, sizeof(env->cpus), &env->cpus) < 0)
		CPU_SET(0, &env->cpus);
	if (tasks_boot(env) < 0 || net_boot(env, &cfg->net) < 0)
		return instance_fail(err, STATUS_VMRUN, "out of memory");
	return 0;
}

#define OPEN_FILES_MAX (1 << 20) /* what Linux lets anybody have: fs.nr_open as it comes */
#define OPEN_FILES_MIN 64        /* an instance without a program has half of it */

/* With the privilege beyond the hard limit, so that a program that uses up its own finds that out, and not ours. */
static void raise_limit(int which, rlim_t max)
{
	struct rlimit r;

	if (setrlimit(which, &(struct rlimit){ max, max }) == 0 || getrlimit(which, &r) < 0 || r.rlim_cur == r.rlim_max)
		return;
	r.rlim_cur = r.rlim_max;
	if (setrlimit(which, &r) < 0)
		log_warn("limit %d stays low: %s", which, strerror(errno));
}

int instance_raise_limits(struct rlimit64 *ret_before, struct instance_error *err)
{
	static const int others[] = { RLIMIT_FSIZE, RLIMIT_CPU, RLIMIT_AS, RLIMIT_DATA, RLIMIT_NPROC };
	struct rlimit r;

	if (ret_before)
		rlimits_of_host(0, ret_before);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		raise_limit(others[i], RLIM_INFINITY);
	raise_limit(RLIMIT_NOFILE, OPEN_FILES_MAX);
	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < OPEN_FILES_MIN)
		return instance_fail(err, STATUS_VMRUN, "%llu open files are too few for an instance: permit %d (ulimit -n)",
				     (unsigned long long)r.rlim_cur, OPEN_FILES_MIN);
	return 0;
}

/* Threads come and go with the program's: heaps of their own would be made, and trimmed page by page, with each. */
static void set_heap_policy(void)
{
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

int instance_new(const struct instance_config *cfg, struct instance **ret, struct instance_error *err)
{
	struct instance *in = calloc(1, sizeof(*in));

	if (!in)
		return instance_fail(err, STATUS_VMRUN, "out of memory");
	set_heap_policy();
	in->cfg = cfg;
	mutex_init(&in->mounts.lock);
	list_init(&in->mounts.shown);
	if (check_published(&cfg->net, err) < 0 || boot_machine(in, cfg, err) < 0 || mounts_setup(in, err) < 0 || boot_tasks(in, cfg, err) < 0)
		return -1;
	if (net_start(&cfg->net, err->text, sizeof(err->text)) < 0) {
		err->status = STATUS_VMRUN;
		return -1;
	}
	*ret = in;
	return 0;
}

void instance_set_idle(struct instance *in, void (*fn)(void *arg), void *arg)
{
	in->on_idle_arg = arg;
	in->on_idle = fn;
}

void instance_leave(struct instance *in)
{
	net_leave();
}

uint64_t instance_memory(struct instance *in)
{
	return in->env.memory_limit;
}

void instance_print_stats(struct instance *in, int fd)
{
	stats_print(fd, in->env.platform);
}

const char *instance_platform_name(struct instance *in)
{
	return in->env.platform->ops->name;
}
