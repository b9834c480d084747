/* SPDX-License-Identifier: MIT */
/*
 * /proc and /sys as pseudo file systems over the task tables.
 *
 *   root.c  /proc itself: machine-wide files, /proc/self, /proc/PID       sys.c  /proc/sys
 *   pid.c   /proc/PID and /proc/PID/task/TID: the table of their files    fd.c   fd/ and fdinfo/
 *   status.c  stat, statm, status, limits    maps.c mapquery.c pagemap.c  maps, smaps, smaps_rollup, pagemap    text.c  cmdline, environ, auxv...
 *   state.c  sched, syscall, children, oom_*    settings.c  loginuid, timerslack_ns, coredump_filter, clear_refs    ns.c  ns/
 *   sysvipc.c /proc/sysvipc    sysfs.c /sys
 *
 * A node of a process holds a reference on its task; it shows -ESRCH once the task is gone.
 */
#ifndef EMUL_PROC_PROCFS_PROCFS_H
#define EMUL_PROC_PROCFS_PROCFS_H

#include <dirent.h>

#include "emul/proc/task.h"
#include "emul/vfs/pseudo.h"

/* A node that belongs to a task. For /proc/PID it is the thread group's leader. */
struct task_node {
	struct pnode node;
	struct task *task; /* counted */
	bool thread;       /* below task/TID: numbers of the thread alone */
	int fd;            /* fd/N and fdinfo/N */
};
static inline struct task_node *task_node(struct pnode *n) { return container_of(n, struct task_node, node); }

/* A new node on the same task. NULL: no memory. */
struct pnode *task_node_new(const struct pnode_ops *ops, struct task *t, bool thread, int fd);
void task_node_release(struct pnode *n);
bool task_node_alive(struct pnode *n);
void task_node_owner(struct pnode *n, struct statx *st); /* getattr: uid and gid of the task; root's if it may not be dumped */
int task_node_may(struct pnode *n, struct fs_ctx *c);    /* may: for what only those who may trace it are shown. 0, -EACCES */

/* pid.c */
int pid_dir_lookup(struct instance_env *env, const char *name, struct pnode **ret);

/* Contents, used by pid.c's table. All show ops. */
int show_stat(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_statm(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_status(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_limits(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_maps(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_smaps(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_smaps_rollup(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_cmdline(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_environ(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_auxv(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_mounts(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_mountinfo(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_mountstats(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_sched(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_schedstat(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_syscall(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_children(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_oom_score(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_oom_score_adj(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_oom_adj(struct pnode *n, struct fs_ctx *c, struct seq *out);
ssize_t write_oom_score_adj(struct pnode *n, struct fs_ctx *c, const char *buf, size_t len, off_t pos);
ssize_t write_oom_adj(struct pnode *n, struct fs_ctx *c, const char *buf, size_t len, off_t pos);
int show_loginuid(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_sessionid(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_timerslack(struct pnode *n, struct fs_ctx *c, struct seq *out);
int show_coredump_filter(struct pnode *n, struct fs_ctx *c, struct seq *out);
ssize_t write_loginuid(struct pnode *n, struct fs_ctx *c, const char *buf, size_t len, off_t pos);
ssize_t write_timerslack(struct pnode *n, struct fs_ctx *c, const char *buf, size_t len, off_t pos);
ssize_t write_coredump_filter(struct pnode *n, struct fs_ctx *c, const char *buf, size_t len, off_t pos);
ssize_t write_clear_refs(struct pnode *n, struct fs_ctx *c, const char *buf, size_t len, off_t pos);
extern const struct pnode_ops fd_dir_ops, fdinfo_dir_ops, net_dir_ops, ns_dir_ops;
extern const struct pnode_ops mem_file_ops, pagemap_file_ops;
void map_name(const struct vma_info *v, char *name, size_t size); /* as maps shows it; empty: none */
long ioctl_maps(struct pnode *n, unsigned cmd, gva_t arg, const struct ioctl_ctx *c); /* PROCMAP_QUERY */
/* Files of an address space, whose positions are addresses (mem) or pages (pagemap). */
struct mm_file { struct file file; struct mm *mm; };
int mm_file_open(struct pnode *n, const struct file_ops *ops, unsigned flags, struct file **ret);
void mm_file_release(struct file *f);
off_t mm_file_lseek(struct file *f, off_t off, int whence);

/* sys.c */
extern const struct pentry proc_sys_entries[];

/* sysvipc.c */
extern const struct pentry proc_sysvipc_entries[];

/* A host file's text as it is now; -ENOENT if the host has none. */
int seq_host_file(struct seq *out, const char *path);
/* "0-3,5" and "0000002f" of a set of CPUs. */
void seq_cpu_list(struct seq *out, const cpu_set_t *set);
void seq_cpu_mask(struct seq *out, const cpu_set_t *set);

#endif
