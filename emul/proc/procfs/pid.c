/* SPDX-License-Identifier: MIT */
/* /proc/PID and /proc/PID/task/TID: one table of files for both; what needs more than a line is in the files beside. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/proc/procfs/procfs.h"

struct pnode *task_node_new(const struct pnode_ops *ops, struct task *t, bool thread, int fd)
{
	struct task_node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	pnode_init(&n->node, ops);
	n->task = task_get(t);
	n->thread = thread;
	n->fd = fd;
	return &n->node;
}

void task_node_release(struct pnode *n)
{
	task_put(task_node(n)->task);
	free(task_node(n));
}

bool task_node_alive(struct pnode *n)
{
	struct task *t = task_node(n)->task;
	AUTO(task) now = task_find(t->tid);

	return now == t;
}

void task_node_owner(struct pnode *n, struct statx *st)
{
	AUTO(cred) c = task_get_cred(task_node(n)->task);

	/*
	 * task_dump_owner(): what is in the directories that all may read does not say more than their names. A process may
	 * always walk through its own fd/ (proc_fd_permission()); for others of its user each link there is checked.
	 */
	if (!c || (!task_node(n)->task->proc->dumpable && st->stx_mode != (S_IFDIR | 0555) && st->stx_mode != (S_IFDIR | 0500)))
		return;
	st->stx_uid = c->euid;
	st->stx_gid = c->egid;
}

int task_node_may(struct pnode *n, struct fs_ctx *c)
{
	return trace_may_access(c->pid, c->cred, true, task_node(n)->task) < 0 ? -EACCES : 0;
}

/* --- small files --------------------------------------------------------------------------------------- */

static int show_comm(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	char comm[TASK_COMM_LEN];

	task_comm(task_node(n)->task, comm);
	seq_printf(out, "%s\n", comm);
	return 0;
}

/* A thread may be renamed by its own process only. */
static ssize_t write_comm(struct pnode *n, struct fs_ctx *c, const char *buf, size_t len, off_t pos)
{
	struct task *t = task_node(n)->task;
	char comm[TASK_COMM_LEN] = "";
	size_t keep = MIN(len, sizeof(comm) - 1);

	if (t->proc->pid != c->pid)
		return -EINVAL;
	memcpy(comm, buf, keep);
	comm[strcspn(comm, "\n")] = '\0';
	task_set_comm(t, comm);
	return (ssize_t)len;
}

static int show_cgroup(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_puts(out, "0::/\n");
	return 0;
}

static int show_io(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct proc *p = task_node(n)->task->proc;
	int r = task_node_may(n, c);

	if (r < 0)
		return r;
	seq_printf(out, "rchar: %llu\nwchar: %llu\nsyscr: %llu\nsyscw: %llu\nread_bytes: %llu\nwrite_bytes: %llu\n",
		   (unsigned long long)p->io_rchar, (unsigned long long)p->io_wchar, (unsigned long long)p->io_syscr,
		   (unsigned long long)p->io_syscw, (unsigned long long)p->io_rbytes, (unsigned long long)p->io_wbytes);
	seq_puts(out, "cancelled_write_bytes: 0\n");
	return 0;
}

static int show_personality(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	if (task_node_may(n, c) < 0)
		return -EPERM;
	seq_printf(out, "%08x\n", task_node(n)->task->proc->personality);
	return 0;
}

static int show_zero(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_puts(out, "0");
	return 0;
}

static int show_id_map(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_puts(out, "         0          0 4294967295\n");
	return 0;
}

static int show_setgroups(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_puts(out, "allow\n");
	return 0;
}

/* --- magic links ------------------------------------------------------------------------------------------ */

static int follow_exe(struct pnode *n, struct fs_ctx *c, struct path *ret)
{
	struct proc *p = task_node(n)->task->proc;

	mutex_lock(&p->lock);
	*ret = p->exe;
	path_get(ret);
	mutex_unlock(&p->lock);
	return path_is_set(ret) ? 0 : -ENOENT;
}

static int follow_fs(struct pnode *n, bool want_root, struct path *ret)
{
	struct fs *fs = task_get_fs(task_node(n)->task);

	if (!fs)
		return -ENOENT;
	mutex_lock(&fs->lock);
	*ret = want_root ? fs->root : fs->cwd;
	path_get(ret);
	mutex_unlock(&fs->lock);
	fs_put(fs);
	return 0;
}

static int follow_cwd(struct pnode *n, struct fs_ctx *c, struct path *ret)
{
	return follow_fs(n, false, ret);
}

static int follow_root(struct pnode *n, struct fs_ctx *c, struct path *ret)
{
	return follow_fs(n, true, ret);
}

/* The text of a magic link is the name of what it leads to. */
static ssize_t read_magic(struct pnode *n, struct fs_ctx *c, char *buf, size_t size)
{
	AUTO_PATH p = PATH_INIT, root = PATH_INIT;
	int r = n->ops->follow(n, c, &p);

	if (r < 0)
		return r;
	mutex_lock(&c->fs->lock);
	root = c->fs->root;
	path_get(&root);
	mutex_unlock(&c->fs->lock);
	return vfs_path_text(&p, &root, buf, size, false);
}

/* --- the table ------------------------------------------------------------------------------------------------ */

#define TASK_NODE .alive = task_node_alive, .getattr = task_node_owner, .release = task_node_release
#define SHOW(name, bits, fn) static const struct pnode_ops name##_ops = { .mode = S_IFREG | (bits), .mortal = true, .show = fn, TASK_NODE }
#define SHOW_TRACER(name, bits, fn) \
	static const struct pnode_ops name##_ops = { .mode = S_IFREG | (bits), .show = fn, .may = task_node_may, TASK_NODE }
#define STORE(name, bits, fn, store) \
	static const struct pnode_ops name##_ops = { .mode = S_IFREG | (bits), .mortal = true, .show = fn, .write = store, TASK_NODE }
#define LINK(name, fn) \
	static const struct pnode_ops name##_ops = { .mode = S_IFLNK | 0777, .readlink = read_magic, .follow = fn, .may = task_node_may, TASK_NODE }
SHOW_TRACER(auxv, 0400, show_auxv);
SHOW(cgroup, 0444, show_cgroup);
SHOW(children, 0444, show_children);
SHOW(cmdline, 0444, show_cmdline);
STORE(comm, 0644, show_comm, write_comm);
static const struct pnode_ops clear_refs_ops = { .mode = S_IFREG | 0200, .mortal = true, .write = write_clear_refs, TASK_NODE };
STORE(coredump_filter, 0644, show_coredump_filter, write_coredump_filter);
LINK(cwd, follow_cwd);
SHOW_TRACER(environ, 0400, show_environ);
LINK(exe, follow_exe);
SHOW(id_map, 0644, show_id_map);
SHOW(io, 0400, show_io);
SHOW(limits, 0444, show_limits);
STORE(loginuid, 0644, show_loginuid, write_loginuid);
static const struct pnode_ops maps_ops = { .mode = S_IFREG | 0444, .show = show_maps, .ioctl = ioctl_maps, .may = task_node_may, TASK_NODE };
SHOW(mountinfo, 0444, show_mountinfo);
SHOW(mounts, 0444, show_mounts);
SHOW(mountstats, 0400, show_mountstats);
STORE(oom_adj, 0644, show_oom_adj, write_oom_adj);
SHOW(oom_score, 0444, show_oom_score);
STORE(oom_score_adj, 0644, show_oom_score_adj, write_oom_score_adj);
SHOW(personality, 0400, show_personality);
LINK(root, follow_root);
SHOW(sched, 0644, show_sched);
SHOW(schedstat, 0444, show_schedstat);
SHOW(sessionid, 0444, show_sessionid);
SHOW(setgroups, 0644, show_setgroups);
SHOW_TRACER(smaps, 0444, show_smaps);
SHOW_TRACER(smaps_rollup, 0444, show_smaps_rollup);
SHOW(stat, 0444, show_stat);
SHOW(statm, 0444, show_statm);
SHOW(status, 0444, show_status);
SHOW(syscall, 0400, show_syscall);
STORE(timerslack, 0666, show_timerslack, write_timerslack);
SHOW(zero, 0444, show_zero);
static const struct pnode_ops task_dir_ops;

enum where { BOTH, PROCESS, THREAD };

static const struct { const char *name; const struct pnode_ops *ops; enum where where; } files[] = {
	{ "auxv", &auxv_ops, BOTH },
	{ "cgroup", &cgroup_ops, BOTH },
	{ "children", &children_ops, THREAD },
	{ "clear_refs", &clear_refs_ops, BOTH },
	{ "cmdline", &cmdline_ops, BOTH },
	{ "comm", &comm_ops, BOTH },
	{ "coredump_filter", &coredump_filter_ops, PROCESS },
	{ "cwd", &cwd_ops, BOTH },
	{ "environ", &environ_ops, BOTH },
	{ "exe", &exe_ops, BOTH },
	{ "fd", &fd_dir_ops, BOTH },
	{ "fdinfo", &fdinfo_dir_ops, BOTH },
	{ "gid_map", &id_map_ops, BOTH },
	{ "io", &io_ops, BOTH },
	{ "limits", &limits_ops, BOTH },
	{ "loginuid", &loginuid_ops, BOTH },
	{ "maps", &maps_ops, BOTH },
	{ "mem", &mem_file_ops, BOTH },
	{ "mountinfo", &mountinfo_ops, BOTH },
	{ "mounts", &mounts_ops, BOTH },
	{ "net", &net_dir_ops, BOTH },
	{ "mountstats", &mountstats_ops, PROCESS },
	{ "ns", &ns_dir_ops, BOTH },
	{ "oom_adj", &oom_adj_ops, BOTH },
	{ "oom_score", &oom_score_ops, BOTH },
	{ "oom_score_adj", &oom_score_adj_ops, BOTH },
	{ "pagemap", &pagemap_file_ops, BOTH },
	{ "personality", &personality_ops, BOTH },
	{ "projid_map", &id_map_ops, BOTH },
	{ "root", &root_ops, BOTH },
	{ "sched", &sched_ops, BOTH },
	{ "schedstat", &schedstat_ops, BOTH },
	{ "sessionid", &sessionid_ops, BOTH },
	{ "setgroups", &setgroups_ops, BOTH },
	{ "smaps", &smaps_ops, BOTH },
	{ "smaps_rollup", &smaps_rollup_ops, PROCESS },
	{ "stat", &stat_ops, BOTH },
	{ "statm", &statm_ops, BOTH },
	{ "status", &status_ops, BOTH },
	{ "syscall", &syscall_ops, BOTH },
	{ "task", &task_dir_ops, PROCESS },
	{ "timerslack_ns", &timerslack_ops, PROCESS },
	{ "uid_map", &id_map_ops, BOTH },
	{ "wchan", &zero_ops, BOTH },
};

static bool is_here(size_t i, bool thread)
{
	return files[i].where == BOTH || (files[i].where == THREAD) == thread;
}

static int lookup_file(struct pnode *dir, struct fs_ctx *c, const char *name, struct pnode **ret)
{
	struct task_node *d = task_node(dir);

	if (!task_node_alive(dir))
		return -ESRCH;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (strcmp(files[i].name, name) || !is_here(i, d->thread))
			continue;
		*ret = task_node_new(files[i].ops, d->task, d->thread, -1);
		return *ret ? 0 : -ENOMEM;
	}
	return -ENOENT;
}

static int read_files(struct pnode *dir, struct fs_ctx *c, off_t cookie, struct dirsink *out)
{
	for (size_t i = (size_t)cookie; i < ARRAY_SIZE(files); i++) {
		mode_t type = files[i].ops->mode & S_IFMT;

		if (!is_here(i, task_node(dir)->thread))
			continue;
		if (out->entry(out, files[i].name, strlen(files[i].name), ((uint64_t)task_node(dir)->task->tid << 8) + i + 1,
			       (unsigned char)(type >> 12), (off_t)i + 1))
			break;
	}
	return 0;
}

static const struct pnode_ops pid_ops = { .mode = S_IFDIR | 0555, .lookup = lookup_file, .readdir = read_files, TASK_NODE };

struct proc *procfs_dir_proc(struct file *f)
{
	struct pnode *n = pseudo_file_node(f);

	if (!n || n->ops != &pid_ops || task_node(n)->thread)
		return NULL;
	return proc_get(task_node(n)->task->proc);
}

/* --- task/ -------------------------------------------------------------------------------------------------------- */

static bool parse_pid(const char *name, pid_t *ret)
{
	char *end;
	long v = strtol(name, &end, 10);

	*ret = (pid_t)v;
	return !*end && end != name && name[0] >= '1' && name[0] <= '9' && v <= INT32_MAX;
}

static int lookup_thread(struct pnode *dir, struct fs_ctx *c, const char *name, struct pnode **ret)
{
	AUTO(task) t = NULL;
	pid_t tid;

	if (!task_node_alive(dir))
		return -ESRCH;
	if (!parse_pid(name, &tid))
		return -ENOENT;
	t = task_find(tid);
	if (!t || t->proc != task_node(dir)->task->proc)
		return -ENOENT;
	*ret = task_node_new(&pid_ops, t, true, -1);
	return *ret ? 0 : -ENOMEM;
}

static int read_threads(struct pnode *dir, struct fs_ctx *c, off_t cookie, struct dirsink *out)
{
	pid_t tid = (pid_t)cookie;
	struct task *t;

	for (; (t = proc_thread_next(task_node(dir)->task->proc, &tid)); tid++) {
		char name[16];
		int n = snprintf(name, sizeof(name), "%d", tid);

		task_put(t);
		if (out->entry(out, name, (size_t)n, (uint64_t)tid << 8, DT_DIR, tid + 1))
			break;
	}
	return 0;
}

static void task_dir_attr(struct pnode *n, struct statx *st)
{
	task_node_owner(n, st);
	st->stx_nlink = 2 + task_node(n)->task->proc->nthreads; /* programs count their threads by it */
}

static const struct pnode_ops task_dir_ops = {
	.mode = S_IFDIR | 0555, .lookup = lookup_thread, .readdir = read_threads, .alive = task_node_alive, .getattr = task_dir_attr,
	.release = task_node_release,
};

int pid_dir_lookup(struct instance_env *env, const char *name, struct pnode **ret)
{
	AUTO(task) t = NULL;
	pid_t pid;

	if (!parse_pid(name, &pid))
		return -ENOENT;
	t = task_find(pid); /* a thread's number works too, though it is not listed */
	if (!t)
		return -ENOENT;
	*ret = task_node_new(&pid_ops, t, false, -1);
	return *ret ? 0 : -ENOMEM;
}
