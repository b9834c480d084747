/* SPDX-License-Identifier: MIT */
/*
 * /sys: the CPUs and what programs look up about them. The numbers are the host's: a guest thread runs
 * on host CPUs, and sched_getaffinity(2) shows the same ones.
 */
#include <dirent.h>
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

static int show_text(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_puts(out, container_of(n, struct pnode_static, node)->entry->arg);
	return 0;
}

static const struct pnode_ops dir_ops = { .mode = S_IFDIR | 0555 };
static const struct pnode_ops text_ops = { .mode = S_IFREG | 0444, .show = show_text };

/* --- cpuN: a directory of the host's own files ------------------------------------------------------------ */

#define CPU_DIR "/sys/devices/system/cpu"

struct cpu_node { struct pnode node; struct instance_env *env; }; /* a file of the cpu directory */

/* A file or directory below the host's cpuN, shown as it is; only inside CPU_DIR/cpuN, and no links. */
struct host_node { struct pnode node; char path[256]; };

static int host_show(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	return seq_host_file(out, container_of(n, struct host_node, node)->path);
}

static void host_release(struct pnode *n)
{
	free(container_of(n, struct host_node, node));
}

static int host_lookup(struct pnode *dir, struct fs_ctx *c, const char *name, struct pnode **ret);
static int host_readdir(struct pnode *dir, struct fs_ctx *c, off_t cookie, struct dirsink *out);

static const struct pnode_ops host_file_ops = { .mode = S_IFREG | 0444, .show = host_show, .release = host_release };
static const struct pnode_ops host_dir_ops = {
	.mode = S_IFDIR | 0555, .lookup = host_lookup, .readdir = host_readdir, .release = host_release,
};

static int host_node_new(const char *dir, const char *name, struct pnode **ret)
{
	struct host_node *n = calloc(1, sizeof(*n));
	struct stat st;
	int r = -ENOENT;

	if (!n)
		return -ENOMEM;
	if (snprintf(n->path, sizeof(n->path), "%s/%s", dir, name) < (int)sizeof(n->path) && lstat(n->path, &st) == 0 &&
	    (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)))
		r = 0;
	if (r < 0) {
		free(n);
		return r;
	}
	pnode_init(&n->node, S_ISDIR(st.st_mode) ? &host_dir_ops : &host_file_ops);
	*ret = &n->node;
	return 0;
}

static int host_lookup(struct pnode *dir, struct fs_ctx *c, const char *name, struct pnode **ret)
{
	return host_node_new(container_of(dir, struct host_node, node)->path, name, ret);
}

static int host_readdir(struct pnode *dir, struct fs_ctx *c, off_t cookie, struct dirsink *out)
{
	DIR *d = opendir(container_of(dir, struct host_node, node)->path);
	struct dirent *e;
	off_t at = 0;

	if (!d)
		return -ENOENT;
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.' || (e->d_type != DT_DIR && e->d_type != DT_REG) || at++ < cookie)
			continue;
		if (out->entry(out, e->d_name, strlen(e->d_name), e->d_ino, e->d_type, at))
			break;
	}
	closedir(d);
	return 0;
}

/* --- devices/system/cpu: a few files, and cpuN for each CPU of the instance --------------------------------- */

static int show_cpus(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_cpu_list(out, &container_of(n, struct cpu_node, node)->env->cpus);
	seq_puts(out, "\n");
	return 0;
}

static int show_kernel_max(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_printf(out, "%d\n", CPU_SETSIZE - 1);
	return 0;
}

static int show_line(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_puts(out, "\n");
	return 0;
}

static void cpu_node_release(struct pnode *n)
{
	free(container_of(n, struct cpu_node, node));
}

#define CPU_FILE(name, fn) \
	static const struct pnode_ops name##_ops = { .mode = S_IFREG | 0444, .show = fn, .release = cpu_node_release }
CPU_FILE(cpu_list, show_cpus);
CPU_FILE(kernel_max, show_kernel_max);
CPU_FILE(empty_list, show_line);

static const struct { const char *name; const struct pnode_ops *ops; } cpu_files[] = {
	{ "isolated", &empty_list_ops },
	{ "kernel_max", &kernel_max_ops },
	{ "offline", &empty_list_ops },
	{ "online", &cpu_list_ops },
	{ "possible", &cpu_list_ops },
	{ "present", &cpu_list_ops },
};

static int lookup_cpu(struct pnode *dir, struct fs_ctx *c, const char *name, struct pnode **ret)
{
	struct instance_env *env = env_of(dir);
	struct cpu_node *n;
	char *end;
	long cpu;

	for (size_t i = 0; i < ARRAY_SIZE(cpu_files); i++) {
		if (strcmp(name, cpu_files[i].name))
			continue;
		n = calloc(1, sizeof(*n));
		if (!n)
			return -ENOMEM;
		pnode_init(&n->node, cpu_files[i].ops);
		n->env = env;
		*ret = &n->node;
		return 0;
	}
	if (strncmp(name, "cpu", 3) || name[3] < '0' || name[3] > '9')
		return -ENOENT;
	cpu = strtol(name + 3, &end, 10);
	if (*end || cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &env->cpus))
		return -ENOENT;
	return host_node_new(CPU_DIR, name, ret);
}

/* Cookies: CPUs first, then the files. */
static int read_cpus(struct pnode *dir, struct fs_ctx *c, off_t cookie, struct dirsink *out)
{
	for (off_t i = cookie; i < CPU_SETSIZE; i++) {
		char name[16];
		int n = snprintf(name, sizeof(name), "cpu%d", (int)i);

		if (CPU_ISSET(i, &env_of(dir)->cpus) && out->entry(out, name, (size_t)n, (uint64_t)i + 1000, DT_DIR, i + 1))
			return 0;
	}
	for (size_t i = cookie < CPU_SETSIZE ? 0 : (size_t)cookie - CPU_SETSIZE; i < ARRAY_SIZE(cpu_files); i++)
		if (out->entry(out, cpu_files[i].name, strlen(cpu_files[i].name), i + 900, DT_REG, (off_t)i + CPU_SETSIZE + 1))
			return 0;
	return 0;
}

static const struct pnode_ops cpu_dir_ops = { .mode = S_IFDIR | 0555, .lookup = lookup_cpu, .readdir = read_cpus };

/* --- the tree -------------------------------------------------------------------------------------------------- */

static const struct pentry system_entries[] = { { "cpu", &cpu_dir_ops, NULL, NULL }, { NULL, NULL, NULL, NULL } };
static const struct pentry devices_entries[] = { { "system", &dir_ops, NULL, system_entries }, { NULL, NULL, NULL, NULL } };
static const struct pentry thp_entries[] = {
	{ "enabled", &text_ops, "always [madvise] never\n", NULL },
	{ "hpage_pmd_size", &text_ops, "2097152\n", NULL },
	{ NULL, NULL, NULL, NULL },
};
static const struct pentry mm_entries[] = {
	{ "transparent_hugepage", &dir_ops, NULL, thp_entries },
	{ NULL, NULL, NULL, NULL },
};
static const struct pentry kernel_entries[] = { { "mm", &dir_ops, NULL, mm_entries }, { NULL, NULL, NULL, NULL } };
static const struct pentry fs_entries[] = { { "cgroup", &dir_ops, NULL, NULL }, { NULL, NULL, NULL, NULL } };
static const struct pentry root_entries[] = {
	{ "block", &dir_ops, NULL, NULL },
	{ "bus", &dir_ops, NULL, NULL },
	{ "class", &dir_ops, NULL, NULL },
	{ "dev", &dir_ops, NULL, NULL },
	{ "devices", &dir_ops, NULL, devices_entries },
	{ "firmware", &dir_ops, NULL, NULL },
	{ "fs", &dir_ops, NULL, fs_entries },
	{ "kernel", &dir_ops, NULL, kernel_entries },
	{ "module", &dir_ops, NULL, NULL },
	{ NULL, NULL, NULL, NULL },
};

int sysfs_new(struct instance_env *env, struct super **ret)
{
	struct pnode *root = pnode_static_dir(root_entries, env, NULL, NULL);

	return root ? pseudo_new(env->vfs, root, SYSFS_MAGIC, ret) : -ENOMEM;
}
