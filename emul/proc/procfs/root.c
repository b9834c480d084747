/* SPDX-License-Identifier: MIT */
/* /proc: machine-wide files, /proc/self and /proc/thread-self, and the way into /proc/PID. man 5 proc. */
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/proc/procfs/procfs.h"

static struct instance_env *env_of(struct pnode *n)
{
	return container_of(n, struct pnode_static, node)->ctx;
}

int seq_host_file(struct seq *out, const char *path)
{
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[4096];
	ssize_t n;

	if (fd < 0)
		return -ENOENT;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		seq_write(out, buf, (size_t)n);
	return n < 0 ? -EIO : 0;
}

/*
 * A file of the host with one section for each CPU: only those of the instance's CPUs, as /sys shows them (and Linux, when others are
 * off line). cpu_of(line) is the CPU whose section begins with this line, -2 if it goes on, -1 if it belongs to none.
 */
static int seq_host_cpus(struct seq *out, const char *path, const cpu_set_t *cpus, int (*cpu_of)(const char *line))
{
	FILE *f = fopen(path, "re");
	bool shown = true;
	char *line = NULL;
	size_t room = 0;

	if (!f)
		return -ENOENT;
	while (getline(&line, &room, f) > 0) {
		int cpu = cpu_of(line);

		if (cpu != -2)
			shown = cpu == -1 || (cpu < CPU_SETSIZE && CPU_ISSET(cpu, cpus));
		if (shown)
			seq_puts(out, line);
	}
	free(line);
	fclose(f);
	return 0;
}

static int cpu_of_cpuinfo(const char *line)
{
	int cpu;

	return sscanf(line, "processor : %d", &cpu) == 1 ? cpu : -2;
}

static int cpu_of_stat(const char *line)
{
	int cpu;

	return sscanf(line, "cpu%d ", &cpu) == 1 && line[3] != ' ' ? cpu : -1;
}

static int show_cpuinfo(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	return seq_host_cpus(out, "/proc/cpuinfo", &env_of(n)->cpus, cpu_of_cpuinfo);
}

static int show_cpu_times(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	return seq_host_cpus(out, "/proc/stat", &env_of(n)->cpus, cpu_of_stat);
}

/* Files that are the host's own: facts of the hardware and the kernel. arg: the host path. */
static int show_host(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	return seq_host_file(out, container_of(n, struct pnode_static, node)->entry->arg);
}

static int show_meminfo(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct instance_env *env = env_of(n);
	struct mem_stats s;
	const struct { const char *name; uint64_t bytes; } row[] = {
		{ "MemTotal", env->memory_limit },
		{ "MemFree", (phys_stats(env->phys, &s), s.free) },
		{ "MemAvailable", s.free + s.cached },
		{ "Buffers", 0 },
		{ "Cached", s.cached + s.shmem },
		{ "SwapCached", 0 },
		{ "Active", s.anon + s.cached },
		{ "Inactive", 0 },
		{ "SwapTotal", 0 },
		{ "SwapFree", 0 },
		{ "Dirty", 0 },
		{ "Writeback", 0 },
		{ "AnonPages", s.anon },
		{ "Mapped", s.cached },
		{ "Shmem", s.shmem },
		{ "Slab", 0 },
		{ "PageTables", s.tables },
		{ "CommitLimit", env->memory_limit },
		{ "Committed_AS", s.committed },
		{ "VmallocTotal", (uint64_t)34359738367 << 10 },
		{ "VmallocUsed", 0 },
		{ "HugePages_Total", UINT64_MAX },
		{ "HugePages_Free", UINT64_MAX },
		{ "Hugepagesize", HUGE_SIZE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		char label[32];

		snprintf(label, sizeof(label), "%s:", row[i].name);
		if (row[i].bytes == UINT64_MAX)
			seq_printf(out, "%-15s %8d\n", label, 0);
		else
			seq_printf(out, "%-15s %8llu kB\n", label, (unsigned long long)row[i].bytes >> 10);
	}
	return 0;
}

/* Threads that run, the reader included. */
static unsigned running_count(void)
{
	unsigned n = 0;
	pid_t pid = 0;
	struct proc *p;

	for (; (p = proc_next(&pid)); pid++) {
		struct task *t;
		pid_t tid = 0;

		for (; (t = proc_thread_next(p, &tid)); tid++) {
			n += task_state_char(t) == 'R';
			task_put(t);
		}
		proc_put(p);
	}
	return MAX(n, 1u);
}

/* The host's load, our own threads and last pid. */
static int show_loadavg(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	double load[3] = { 0, 0, 0 };

	if (getloadavg(load, 3) < 0)
		return -EIO;
	seq_printf(out, "%.2f %.2f %.2f %u/%u %d\n", load[0], load[1], load[2], running_count(), tasks_count(), pid_last());
	return 0;
}

static int show_filesystems(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_puts(out, "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tdevtmpfs\nnodev\tsockfs\nnodev\tpipefs\nnodev\tdevpts\n"
		      "nodev\tmqueue\nnodev\toverlay\n\text4\n");
	return 0;
}

static int show_tty_drivers(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_puts(out, "/dev/tty             /dev/tty        5       0 system:/dev/tty\n"
		      "/dev/ptmx            /dev/ptmx       5       2 system\n"
		      "pty_slave            /dev/pts      136 0-1048575 pty:slave\n"
		      "pty_master           /dev/ptm      128 0-1048575 pty:master\n");
	return 0;
}

static int show_ldiscs(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_puts(out, "n_tty       0\n");
	return 0;
}

static int show_nothing(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	return 0;
}

static int show_swaps(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_puts(out, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	return 0;
}

static int show_cmdline_host(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_puts(out, "vmrun\n");
	return 0;
}

static int show_vmstat(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct mem_stats s;

	phys_stats(env_of(n)->phys, &s);
	seq_printf(out, "nr_free_pages %llu\nnr_anon_pages %llu\nnr_file_pages %llu\nnr_shmem %llu\n",
		   (unsigned long long)s.free >> PAGE_SHIFT, (unsigned long long)s.anon >> PAGE_SHIFT,
		   (unsigned long long)(s.cached + s.shmem) >> PAGE_SHIFT, (unsigned long long)s.shmem >> PAGE_SHIFT);
	return 0;
}

/* --- links ------------------------------------------------------------------------------------- */

static ssize_t read_self(struct pnode *n, struct fs_ctx *c, char *buf, size_t size)
{
	return snprintf(buf, size, "%d", c->pid);
}

static ssize_t read_thread_self(struct pnode *n, struct fs_ctx *c, char *buf, size_t size)
{
	return snprintf(buf, size, "%d/task/%d", c->pid, c->tid);
}

static ssize_t read_link(struct pnode *n, struct fs_ctx *c, char *buf, size_t size)
{
	return snprintf(buf, size, "%s", (const char *)container_of(n, struct pnode_static, node)->entry->arg);
}

static const struct pnode_ops host_ops = { .mode = S_IFREG | 0444, .show = show_host };
static const struct pnode_ops dir_ops = { .mode = S_IFDIR | 0555 };
static const struct pnode_ops self_ops = { .mode = S_IFLNK | 0777, .readlink = read_self };
static const struct pnode_ops thread_self_ops = { .mode = S_IFLNK | 0777, .readlink = read_thread_self };
static const struct pnode_ops link_ops = { .mode = S_IFLNK | 0777, .readlink = read_link };
#define SHOW(name, fn) static const struct pnode_ops name##_ops = { .mode = S_IFREG | 0444, .show = fn }
SHOW(meminfo, show_meminfo);
SHOW(loadavg, show_loadavg);
SHOW(filesystems, show_filesystems);
SHOW(empty, show_nothing);
SHOW(swaps, show_swaps);
SHOW(kernel_cmdline, show_cmdline_host);
SHOW(vmstat, show_vmstat);

SHOW(tty_drivers, show_tty_drivers);
SHOW(ldiscs, show_ldiscs);
SHOW(cpuinfo, show_cpuinfo);
SHOW(stat, show_cpu_times);

static const struct pentry tty_entries[] = {
	{ "drivers", &tty_drivers_ops, NULL, NULL },
	{ "ldiscs", &ldiscs_ops, NULL, NULL },
	{ NULL, NULL, NULL, NULL },
};

static const struct pentry root_entries[] = {
	{ "cmdline", &kernel_cmdline_ops, NULL, NULL },
	{ "cpuinfo", &cpuinfo_ops, NULL, NULL },
	{ "devices", &host_ops, "/proc/devices", NULL },
	{ "filesystems", &filesystems_ops, NULL, NULL },
	{ "interrupts", &host_ops, "/proc/interrupts", NULL },
	{ "loadavg", &loadavg_ops, NULL, NULL },
	{ "meminfo", &meminfo_ops, NULL, NULL },
	{ "modules", &empty_ops, NULL, NULL },
	{ "mounts", &link_ops, "self/mounts", NULL },
	{ "net", &link_ops, "self/net", NULL },
	{ "partitions", &host_ops, "/proc/partitions", NULL },
	{ "self", &self_ops, NULL, NULL },
	{ "stat", &stat_ops, NULL, NULL },
	{ "swaps", &swaps_ops, NULL, NULL },
	{ "sys", &dir_ops, NULL, proc_sys_entries },
	{ "sysvipc", &dir_ops, NULL, proc_sysvipc_entries },
	{ "thread-self", &thread_self_ops, NULL, NULL },
	{ "tty", &dir_ops, NULL, tty_entries },
	{ "uptime", &host_ops, "/proc/uptime", NULL },
	{ "version", &host_ops, "/proc/version", NULL },
	{ "vmstat", &vmstat_ops, NULL, NULL },
	{ NULL, NULL, NULL, NULL },
};

/* --- /proc/PID ----------------------------------------------------------------------------------- */

static int lookup_pid(struct pnode *dir, struct fs_ctx *c, const char *name, struct pnode **ret)
{
	return pid_dir_lookup(env_of(dir), name, ret);
}

static int read_pids(struct pnode *dir, struct fs_ctx *c, off_t cookie, struct dirsink *out)
{
	pid_t pid = (pid_t)cookie;
	struct proc *p;

	for (; (p = proc_next(&pid)); pid++) {
		char name[16];
		int n = snprintf(name, sizeof(name), "%d", pid);

		proc_put(p);
		if (out->entry(out, name, (size_t)n, (uint64_t)pid << 8, DT_DIR, pid + 1))
			break;
	}
	return 0;
}

int procfs_new(struct instance_env *env, struct super **ret)
{
	struct pnode *root = pnode_static_dir(root_entries, env, lookup_pid, read_pids);

	return root ? pseudo_new(env->vfs, root, PROC_SUPER_MAGIC, ret) : -ENOMEM;
}
