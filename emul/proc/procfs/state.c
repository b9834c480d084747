/* SPDX-License-Identifier: MIT */
/* What a task is at: sched, schedstat, syscall, children; and how likely it is to be killed for its memory. */
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/procfs/procfs.h"

typedef unsigned long long ull;

/* --- scheduling ---------------------------------------------------------------------------------------- */

/* proc_sched_show_task(), as far as numbers are known. */
int show_sched(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct task *t = task_node(n)->task;
	uint64_t ran = task_cpu_ns(t), now = (uint64_t)clock_now(CLOCK_BOOTTIME);
	ull sleeps = atomic_load(&t->waiter.nsleeps);
	char comm[TASK_COMM_LEN];
	size_t start = out->len;
	unsigned threads;

	task_comm(t, comm);
	mutex_lock(&t->proc->lock);
	threads = t->proc->nthreads;
	mutex_unlock(&t->proc->lock);
	seq_printf(out, "%s (%d, #threads: %u)\n", comm, t->tid, threads);
	for (size_t dashes = MAX(out->len - start - 1, (size_t)67); dashes; dashes--)
		seq_puts(out, "-");
	seq_printf(out, "\n%-45s:%14llu.%06llu\n", "se.exec_start", (ull)now / 1000000, (ull)now % 1000000);
	seq_printf(out, "%-45s:%14llu.%06llu\n", "se.sum_exec_runtime", (ull)ran / 1000000, (ull)ran % 1000000);
	seq_printf(out, "%-45s:%21llu\n", "nr_switches", sleeps);
	seq_printf(out, "%-45s:%21llu\n", "nr_voluntary_switches", sleeps);
	seq_printf(out, "%-45s:%21d\n", "nr_involuntary_switches", 0);
	seq_printf(out, "%-45s:%21d\n", "policy", t->policy & ~SCHED_RESET_ON_FORK);
	seq_printf(out, "%-45s:%21d\n", "prio", t->policy == SCHED_FIFO || t->policy == SCHED_RR ? 99 - t->priority : 120 + t->nice);
	return 0;
}

/* Time run, time waited (not known), time slices. */
int show_schedstat(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct task *t = task_node(n)->task;

	seq_printf(out, "%llu 0 %llu\n", (ull)task_cpu_ns(t), (ull)atomic_load(&t->waiter.nsleeps));
	return 0;
}

/* --- the call ---------------------------------------------------------------------------------------------- */

/* Registers of a task that sleeps or is stopped; they stand still but for its waking up meanwhile. */
int show_syscall(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct task *t = task_node(n)->task;
	const struct uregs *u = &t->regs;
	char state;

	if (trace_may_access(c->pid, c->cred, true, t) < 0)
		return -EPERM;
	state = task_state_char(t);
	if ((state == 'R' && t->tid != c->tid) || state == 'Z' || state == 'X')
		seq_puts(out, "running\n");
	else if ((int64_t)u->orig_rax < 0)
		seq_printf(out, "%lld 0x%llx 0x%llx\n", (long long)u->orig_rax, (ull)u->rsp, (ull)u->rip);
	else
		seq_printf(out, "%lld 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx\n", (long long)u->orig_rax, (ull)u->rdi,
			   (ull)u->rsi, (ull)u->rdx, (ull)u->r10, (ull)u->r8, (ull)u->r9, (ull)u->rsp, (ull)u->rip);
	return 0;
}

/* --- relations -------------------------------------------------------------------------------------------------- */

int show_children(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct task *t = task_node(n)->task;
	struct proc *child;

	mutex_lock(&tasks_lock);
	list_for_each(child, &t->proc->children, sibling)
		if (child->parent_thread == t)
			seq_printf(out, "%d ", child->pid);
	mutex_unlock(&tasks_lock);
	return 0;
}

/* --- out of memory -------------------------------------------------------------------------------------------------- */

#define OOM_ADJ_MIN (-17)
#define OOM_ADJ_MAX 15
#define OOM_SCORE_MAX 1000

/* oom_badness(), proc_oom_score() */
int show_oom_score(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct task *t = task_node(n)->task;
	AUTO(mm) mm = task_get_mm(t);
	int64_t total = (int64_t)MAX(t->env->memory_limit >> PAGE_SHIFT, (uint64_t)1), points = 0, adj = t->proc->oom_score_adj;
	struct mm_counts m;

	if (mm && adj > -OOM_SCORE_MAX) {
		mm_counts(mm, &m);
		points = (int64_t)((m.rss_anon + m.rss_file + m.rss_shmem + m.page_tables) >> PAGE_SHIFT) + adj * total / 1000;
		points = (1000 + points * 1000 / total) * 2 / 3;
	}
	seq_printf(out, "%lld\n", (long long)MAX(points, (int64_t)0));
	return 0;
}

int show_oom_score_adj(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_printf(out, "%d\n", task_node(n)->task->proc->oom_score_adj);
	return 0;
}

int show_oom_adj(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	int adj = task_node(n)->task->proc->oom_score_adj;

	seq_printf(out, "%d\n", adj == OOM_SCORE_MAX ? OOM_ADJ_MAX : adj * -OOM_ADJ_MIN / OOM_SCORE_MAX);
	return 0;
}

static int parse(const char *buf, size_t len, long *ret)
{
	char text[16] = "", *end;

	memcpy(text, buf, MIN(len, sizeof(text) - 1));
	*ret = strtol(text, &end, 10);
	return end == text || (*end && *end != '\n') ? -EINVAL : 0;
}

/* Making oneself less likely to be killed is a privilege. */
static int set_adj(struct pnode *n, struct fs_ctx *c, long adj)
{
	struct proc *p = task_node(n)->task->proc;

	if (adj < p->oom_score_adj && !cred_capable(c->cred, CAP_SYS_RESOURCE))
		return -EACCES;
	p->oom_score_adj = (int)adj;
	return 0;
}

ssize_t write_oom_score_adj(struct pnode *n, struct fs_ctx *c, const char *buf, size_t len, off_t pos)
{
	long v;
	int r = parse(buf, len, &v);

	if (r < 0 || v < -OOM_SCORE_MAX || v > OOM_SCORE_MAX)
		return -EINVAL;
	r = set_adj(n, c, v);
	return r < 0 ? r : (ssize_t)len;
}

ssize_t write_oom_adj(struct pnode *n, struct fs_ctx *c, const char *buf, size_t len, off_t pos)
{
	long v;
	int r = parse(buf, len, &v);

	if (r < 0 || v < OOM_ADJ_MIN || v > OOM_ADJ_MAX)
		return -EINVAL;
	r = set_adj(n, c, v == OOM_ADJ_MAX ? OOM_SCORE_MAX : v * OOM_SCORE_MAX / -OOM_ADJ_MIN);
	return r < 0 ? r : (ssize_t)len;
}
