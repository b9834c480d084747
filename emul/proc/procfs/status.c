/* SPDX-License-Identifier: MIT */
/* stat, statm, status and limits of a process or thread. fs/proc/array.c has the formats. */
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/proc/procfs/procfs.h"

#define TICKS(ns) ((unsigned long long)((ns) / 10000000)) /* USER_HZ 100 */
typedef unsigned long long ull;

/* Facts gathered under proc->lock, before anything is printed. */
struct facts {
	char state;
	pid_t pid, tgid, ppid, pgid, sid, tty_pgrp;
	unsigned tty_nr;
	unsigned threads;
	sigmask_t pending, shared_pending, blocked, ignored, caught;
	uint64_t utime, stime, minflt, majflt, child_utime, child_stime, child_minflt, child_majflt, nvcsw;
	int nice, policy, priority, exit_signal;
	uint64_t start_ns;
	struct mm_counts mem;
	struct mm_layout lay;
	bool has_mm;
};

static void gather_signals(struct task *t, struct facts *f)
{
	struct proc *p = t->proc;

	f->pending = t->pending.set;
	f->shared_pending = p->pending.set;
	f->blocked = t->blocked;
	if (!p->sighand)
		return;
	mutex_lock(&p->sighand->lock);
	for (int s = 1; s <= NSIG_LINUX; s++) {
		uint64_t h = p->sighand->action[s].handler;

		if (h == (uint64_t)(uintptr_t)SIG_IGN)
			f->ignored |= SIGMASK(s);
		else if (h)
			f->caught |= SIGMASK(s);
	}
	mutex_unlock(&p->sighand->lock);
}

static void add_times(struct facts *f, struct task *t)
{
	f->utime += atomic_load(&t->utime_ns);
	f->stime += atomic_load(&t->stime_ns);
	f->minflt += atomic_load(&t->minflt);
	f->majflt += atomic_load(&t->majflt);
}

static void gather(struct pnode *n, struct facts *f)
{
	struct task *t = task_node(n)->task, *each;
	struct proc *p = t->proc;
	AUTO(mm) mm = task_get_mm(t);
	struct rusage usage;

	memset(f, 0, sizeof(*f));
	f->state = task_state_char(t);
	f->pid = t->tid;
	f->tgid = p->pid;
	f->ppid = task_ppid(t);
	mutex_lock(&tasks_lock);
	f->pgid = p->pgid;
	f->sid = p->sid;
	ctty_facts_locked(p, &f->tty_nr, &f->tty_pgrp);
	mutex_unlock(&tasks_lock);
	task_usage(t, task_node(n)->thread ? RUSAGE_THREAD : RUSAGE_SELF, &usage); /* brings the counters up to date */
	mutex_lock(&p->lock);
	f->threads = p->nthreads;
	gather_signals(t, f);
	if (task_node(n)->thread) {
		add_times(f, t);
	} else {
		list_for_each(each, &p->threads, thread_node)
			add_times(f, each);
		f->utime += p->dead_threads.utime_ns;
		f->stime += p->dead_threads.stime_ns;
	}
	f->child_utime = p->dead_children.utime_ns;
	f->child_stime = p->dead_children.stime_ns;
	f->child_minflt = p->dead_children.minflt;
	f->child_majflt = p->dead_children.majflt;
	f->exit_signal = p->exit_signal;
	mutex_unlock(&p->lock);
	f->nvcsw = atomic_load(&t->waiter.nsleeps);
	f->nice = t->nice;
	f->policy = t->policy;
	f->priority = t->priority;
	f->start_ns = t->start_ns;
	if (mm) {
		f->has_mm = true;
		mm_counts(mm, &f->mem);
		f->lay = *mm_layout(mm);
	}
}

static uint64_t rss(const struct facts *f)
{
	return f->mem.rss_anon + f->mem.rss_file + f->mem.rss_shmem;
}

int show_stat(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct task *t = task_node(n)->task;
	bool all = task_node_may(n, c) == 0; /* addresses are not for everybody */
	char comm[TASK_COMM_LEN];
	struct facts f;
	int prio;

	gather(n, &f);
	task_comm(t, comm);
	if (!all)
		f.lay = (struct mm_layout){ .start_code = f.has_mm, .end_code = f.has_mm };
	prio = f.policy == SCHED_FIFO || f.policy == SCHED_RR ? -1 - f.priority : 20 + f.nice;
	seq_printf(out, "%d (%s) %c %d %d %d %d %d 4194304 %llu %llu %llu %llu ", f.pid, comm, f.state, f.ppid, f.pgid, f.sid,
		   (int)f.tty_nr, f.tty_pgrp, (ull)f.minflt, (ull)f.child_minflt, (ull)f.majflt, (ull)f.child_majflt);
	seq_printf(out, "%llu %llu %lld %lld %d %d %u 0 %llu ", TICKS(f.utime), TICKS(f.stime), (long long)TICKS(f.child_utime),
		   (long long)TICKS(f.child_stime), prio, f.nice, f.threads, TICKS(f.start_ns));
	seq_printf(out, "%llu %llu %llu %llu %llu %llu 0 0 ", (ull)f.mem.total_vm, (ull)rss(&f) >> PAGE_SHIFT,
		   (ull)proc_rlimit(t->proc, RLIMIT_RSS), (ull)f.lay.start_code, (ull)f.lay.end_code, (ull)f.lay.start_stack);
	seq_printf(out, "%llu %llu %llu %llu %d 0 0 %d %d %d %d 0 0 0 ", (ull)f.pending, (ull)f.blocked, (ull)f.ignored,
		   (ull)f.caught, all && f.state != 'R', f.exit_signal, sched_getcpu(),
		   f.policy == SCHED_FIFO || f.policy == SCHED_RR ? f.priority : 0, f.policy & ~SCHED_RESET_ON_FORK);
	seq_printf(out, "%llu %llu %llu %llu %llu %llu %llu 0\n", (ull)f.lay.start_data, (ull)f.lay.end_data, (ull)f.lay.start_brk,
		   (ull)f.lay.arg_start, (ull)f.lay.arg_end, (ull)f.lay.env_start, (ull)f.lay.env_end);
	return 0;
}

int show_statm(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct facts f;
	uint64_t text;

	gather(n, &f);
	text = page_up(f.lay.end_code) - page_down(f.lay.start_code);
	seq_printf(out, "%llu %llu %llu %llu 0 %llu 0\n", (ull)f.mem.total_vm >> PAGE_SHIFT, (ull)rss(&f) >> PAGE_SHIFT,
		   (ull)(f.mem.rss_file + f.mem.rss_shmem) >> PAGE_SHIFT, (ull)text >> PAGE_SHIFT,
		   (ull)(f.mem.data_vm + f.mem.stack_vm) >> PAGE_SHIFT);
	return 0;
}

static const char *state_word(char s)
{
	switch (s) {
	case 'R': return "R (running)";
	case 'S': return "S (sleeping)";
	case 'D': return "D (disk sleep)";
	case 'T': return "T (stopped)";
	case 't': return "t (tracing stop)";
	case 'Z': return "Z (zombie)";
	default: return "X (dead)";
	}
}

void seq_cpu_list(struct seq *out, const cpu_set_t *set)
{
	bool first = true;

	for (int i = 0; i < CPU_SETSIZE; i++) {
		int end = i;

		if (!CPU_ISSET(i, set))
			continue;
		while (end + 1 < CPU_SETSIZE && CPU_ISSET(end + 1, set))
			end++;
		seq_printf(out, end > i ? "%s%d-%d" : "%s%d", first ? "" : ",", i, end);
		first = false;
		i = end;
	}
}

void seq_cpu_mask(struct seq *out, const cpu_set_t *set)
{
	int words = (int)(sysconf(_SC_NPROCESSORS_CONF) + 31) / 32;

	for (int w = words - 1; w >= 0; w--) {
		unsigned bits = 0;

		for (int i = 0; i < 32; i++)
			bits |= (unsigned)!!CPU_ISSET(w * 32 + i, set) << i;
		seq_printf(out, "%s%0*x", w == words - 1 ? "" : ",", words == 1 ? 1 : 8, bits);
	}
}

static void show_ids(struct seq *out, struct task *t)
{
	AUTO(cred) cr = task_get_cred(t);

	if (!cr)
		return;
	seq_printf(out, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", cr->uid, cr->euid, cr->suid, cr->fsuid, cr->gid, cr->egid,
		   cr->sgid, cr->fsgid);
}

static void show_groups(struct seq *out, struct task *t)
{
	AUTO(cred) cr = task_get_cred(t);

	seq_puts(out, "Groups:\t");
	for (unsigned i = 0; cr && i < cr->ngroups; i++)
		seq_printf(out, "%u ", cr->groups[i]);
	seq_puts(out, "\n");
}

static void show_caps(struct seq *out, struct task *t)
{
	AUTO(cred) cr = task_get_cred(t);

	if (!cr)
		return;
	seq_printf(out, "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\nCapAmb:\t%016llx\n",
		   (ull)cr->cap_inheritable, (ull)cr->cap_permitted, (ull)cr->cap_effective, (ull)cr->cap_bounding,
		   (ull)cr->cap_ambient);
}

static void show_memory(struct seq *out, const struct facts *f)
{
	const struct mm_counts *m = &f->mem;
	const struct { const char *name; uint64_t bytes; } row[] = {
		{ "VmPeak", MAX(m->hiwater_vm, m->total_vm) },
		{ "VmSize", m->total_vm },
		{ "VmLck", m->locked_vm },
		{ "VmPin", 0 },
		{ "VmHWM", MAX(m->hiwater_rss, rss(f)) },
		{ "VmRSS", rss(f) },
		{ "RssAnon", m->rss_anon },
		{ "RssFile", m->rss_file },
		{ "RssShmem", m->rss_shmem },
		{ "VmData", m->data_vm },
		{ "VmStk", m->stack_vm },
		{ "VmExe", page_up(f->lay.end_code) - page_down(f->lay.start_code) },
		{ "VmLib", m->exec_vm - MIN(m->exec_vm, page_up(f->lay.end_code) - page_down(f->lay.start_code)) },
		{ "VmPTE", m->page_tables },
		{ "VmSwap", 0 },
		{ "HugetlbPages", 0 },
	};

	for (size_t i = 0; f->has_mm && i < ARRAY_SIZE(row); i++)
		seq_printf(out, "%s:\t%8llu kB\n", row[i].name, (ull)row[i].bytes >> 10);
}

int show_status(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct task *t = task_node(n)->task;
	AUTO(fdtab) fds = task_get_fds(t);
	struct fs *fs = task_get_fs(t);
	char comm[TASK_COMM_LEN];
	struct facts f;

	gather(n, &f);
	task_comm(t, comm);
	seq_puts(out, "Name:\t");
	seq_escape(out, comm, "\n\\");
	if (fs)
		seq_printf(out, "\nUmask:\t%04o", fs->umask);
	fs_put(fs);
	seq_printf(out, "\nState:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n", state_word(f.state), f.tgid,
		   f.pid, f.ppid, trace_tracer_pid(t));
	show_ids(out, t);
	seq_printf(out, "FDSize:\t%u\n", fds ? fdtab_size(fds) : 0);
	show_groups(out, t);
	seq_printf(out, "NStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\nKthread:\t0\n", f.tgid, f.pid, f.pgid, f.sid);
	show_memory(out, &f);
	seq_printf(out, "CoreDumping:\t0\nTHP_enabled:\t1\nuntag_mask:\t0xffffffffffffffff\nThreads:\t%u\n", f.threads);
	seq_printf(out, "SigQ:\t%ld/%llu\n", signal_queued(), (ull)proc_rlimit(t->proc, RLIMIT_SIGPENDING));
	seq_printf(out, "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%016llx\n",
		   (ull)f.pending, (ull)f.shared_pending, (ull)f.blocked, (ull)f.ignored, (ull)f.caught);
	show_caps(out, t);
	seq_printf(out, "NoNewPrivs:\t%d\nSeccomp:\t%d\nSeccomp_filters:\t%u\nSpeculation_Store_Bypass:\tvulnerable\n",
		   t->no_new_privs, atomic_load(&t->seccomp.mode), seccomp_count(t));
	seq_puts(out, "SpeculationIndirectBranch:\tunknown\nCpus_allowed:\t");
	seq_cpu_mask(out, &t->affinity);
	seq_puts(out, "\nCpus_allowed_list:\t");
	seq_cpu_list(out, &t->affinity);
	seq_printf(out, "\nMems_allowed:\t1\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t0\n",
		   (ull)f.nvcsw);
	return 0;
}

static void show_limit(struct seq *out, uint64_t v)
{
	if (v == RLIM64_INFINITY)
		seq_printf(out, "%-20s ", "unlimited");
	else
		seq_printf(out, "%-20llu ", (ull)v);
}

int show_limits(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	static const struct { const char *name, *unit; int resource; } row[] = {
		{ "Max cpu time", "seconds", RLIMIT_CPU },
		{ "Max file size", "bytes", RLIMIT_FSIZE },
		{ "Max data size", "bytes", RLIMIT_DATA },
		{ "Max stack size", "bytes", RLIMIT_STACK },
		{ "Max core file size", "bytes", RLIMIT_CORE },
		{ "Max resident set", "bytes", RLIMIT_RSS },
		{ "Max processes", "processes", RLIMIT_NPROC },
		{ "Max open files", "files", RLIMIT_NOFILE },
		{ "Max locked memory", "bytes", RLIMIT_MEMLOCK },
		{ "Max address space", "bytes", RLIMIT_AS },
		{ "Max file locks", "locks", RLIMIT_LOCKS },
		{ "Max pending signals", "signals", RLIMIT_SIGPENDING },
		{ "Max msgqueue size", "bytes", RLIMIT_MSGQUEUE },
		{ "Max nice priority", "", RLIMIT_NICE },
		{ "Max realtime priority", "", RLIMIT_RTPRIO },
		{ "Max realtime timeout", "us", RLIMIT_RTTIME },
	};
	struct proc *p = task_node(n)->task->proc;
	struct rlimit64 lim[NR_RLIMITS];

	mutex_lock(&p->lock);
	memcpy(lim, p->limits, sizeof(lim));
	mutex_unlock(&p->lock);
	seq_printf(out, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		seq_printf(out, "%-25s ", row[i].name);
		show_limit(out, lim[row[i].resource].rlim_cur);
		show_limit(out, lim[row[i].resource].rlim_max);
		seq_printf(out, "%-10s\n", row[i].unit);
	}
	return 0;
}
