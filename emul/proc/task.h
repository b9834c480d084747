/* SPDX-License-Identifier: MIT */
/*
 * emul/proc: processes and what happens to them. `task` = a thread (its own host thread and vCPU), `proc` = a thread group.
 *
 *   task.c pid.c answers.c    life, look-up, what a guest knows by itself        clone.c start.c exit.c wait.c   birth, host threads, death, reaping
 *   exec.c elf.c stack.c          a new program           session.c ctty.c  process groups, sessions, terminals
 *   signal.c sigqueue.c sigaction.c sigsend.c sigdeliver.c sigwait.c sigframe.c fault.c  signals (signal.c has the theory)
 *   itimer.c posix_timer.c cputimer.c  timers that signal                 clock.c sleep.c  clocks and sleeping
 *   futex.c futex_waitv.c futex_pi.c robust.c  user-space locks        cred.c cred_exec.c rlimit.c sched.c prctl.c usage.c
 *   ipc.c ipc_shm.c ipc_sem.c ipc_undo.c ipc_msg.c   System V IPC (ipc.h)
 *   seccomp.c bpf.c   filters on calls (seccomp.h)      kmem.c   a bound for what guests make us keep
 *   mqueue.c mqueue_fs.c   POSIX message queues (mqueue.h)
 *   signalfd.c pidfd.c                      files made of tasks     procfs/  /proc and /sys
 *   ptrace*.c                               tracing: ptrace.h
 *
 * Lock order (outer first): tasks_lock (pid tables, parent/child/thread lists, groups) -> proc->lock (signal actions, shared
 * pending, limits, timers) -> task->lock (small fields read by others) -> futex buckets. All are outside vfs, mm and base locks;
 * none is held across guest memory access or anything that sleeps.
 */
#ifndef EMUL_PROC_TASK_H
#define EMUL_PROC_TASK_H

#include <signal.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/utsname.h>

#include "emul/base/cred.h"
#include "emul/base/idmap.h"
#include "emul/base/list.h"
#include "emul/base/mutex.h"
#include "emul/base/platform.h"
#include "emul/base/timer.h"
#include "emul/base/wait.h"
#include "emul/mm/mm.h"
#include "emul/proc/ptrace.h"
#include "emul/proc/seccomp.h"
#include "emul/proc/signal.h"
#include "emul/vfs/fdtab.h"
#include "emul/vfs/vfs.h"

struct program;      /* the composition root's */
struct instance_env; /* constant facts of the instance, below */
struct proc;
struct task;
struct tty;

#define TASK_COMM_LEN 16
#define NR_RLIMITS RLIM_NLIMITS
#define LOGINUID_UNSET UINT32_MAX
/* coredump_filter: the areas that a core file gets, man 5 core. The bits of huge pages and DAX are kept only. */
enum {
	DUMP_ANON_PRIVATE = 1, DUMP_ANON_SHARED = 2, DUMP_MAPPED_PRIVATE = 4, DUMP_MAPPED_SHARED = 8, DUMP_ELF_HEADERS = 16,
	DUMP_HUGE_PRIVATE = 32, DUMP_FILTER_BITS = 0x1ff,
};

/* What waits for a call that is to be restarted with less time (ERESTART_RESTARTBLOCK). */
struct restart_block {
	long (*fn)(struct task *t, struct restart_block *rb);
	struct deadline at;
	uint64_t arg[4]; /* the call's own: remaining-time address, futex word, value, bitset... */
};

/* Who sleeps in a call is RUNNING: its waiter knows. */
enum task_state { TASK_RUNNING, TASK_SLEEPING, TASK_STOPPED, TASK_TRACED, TASK_ZOMBIE, TASK_DEAD };

struct task {
	struct ref ref;

	/* constant after creation */
	pid_t tid;                      /* changes only in exec by a non-leader */
	struct proc *proc;              /* counted */
	struct instance_env *env;

	/* only its own thread */
	struct vcpu *vcpu;
	struct uregs regs;              /* valid while not in vcpu_run() */
	struct mm *mm;                  /* counted; others read it through task_get_mm() */
	struct fdtab *fds;              /* counted; others: task_get_fds() */
	struct fs_ctx fsc;              /* cwd, root, creds...; fsc.fs counted; others: task_get_fs() */
	gva_t clear_child_tid;          /* CLONE_CHILD_CLEARTID, set_tid_address */
	gva_t robust_list;              /* head in guest memory */
	struct ipc_undo_list *sem_undo; /* counted; NULL: nothing to undo. Others look at it under lock */
	struct restart_block restart;
	sigmask_t saved_mask;           /* of sigsuspend, ppoll, ...: restored when no handler runs */
	bool restore_mask;
	struct sigaltstack_state { gva_t sp; uint64_t size; int flags; } altstack;
	uint64_t call_start_ns;         /* for --stats */
	_Atomic bool futexes_left;      /* it has ended, and come to its robust and PI locks; any thread reads it */
	bool exiting;                   /* run loop must end; what is left is done by its host thread after task_run() */
	int exit_code;                  /* of task_exit() */
	_Atomic bool ended, id_gone;    /* pidfd: runs no more; its id names it no more. tasks_lock to change them */
	bool in_vfork;                  /* waits for a child that uses our mm */
	struct trap_facts { uint64_t trapno, err, cr2; } trap; /* of the last exception, for signal frames */
	void *xstate;                   /* scratch for signal frames, platform->xstate_size bytes; NULL until needed */
	struct host_thread *host;       /* start.c: until its host thread runs */
	uint64_t base_cpu_ns, base_user_ns, base_sys_ns; /* what its host thread had used before; set once, by that thread */

	struct waiter waiter;           /* its own lock-free protocol */

	/* proc->lock */
	struct list thread_node;        /* proc->threads (also tasks_lock) */
	bool core_parked;               /* stands still for proc->core_task */
	sigmask_t blocked;              /* changed only by its own thread, under the lock */
	struct sigpending pending;      /* directed at this thread */
	_Atomic bool has_wakeup;        /* something is there for signal_deliver(); read without the lock by its own thread */
	bool dying;                     /* takes no more signals */
	sigmask_t wanted;               /* sigtimedwait: set that also wakes */
	enum task_state state;
	unsigned stop_gen;              /* the group stop that it has taken part in */

	struct tracing tracing;         /* ptrace.h has its locks */

	/* tasks_lock */
	struct list tid_node;           /* pid.c: hash chain; its reference keeps the task findable */

	/* task->lock */
	struct mutex lock;
	char comm[TASK_COMM_LEN];
	struct cred *cred;              /* the same as fsc.cred */
	cpu_set_t affinity;
	int policy, priority, nice, ioprio;
	bool host_behind;               /* some of these were set before there was a host thread, which is to take them over */
	int mempolicy; bool mempolicy_node; /* set_mempolicy(2): MPOL_* and flags; node 0 is meant. Own thread only */
	_Atomic bool host_tuned;        /* its host thread is not like others: affinity, policy, nice, I/O priority; inherited */
	uint32_t loginuid, sessionid;   /* LOGINUID_UNSET until the file loginuid is written; inherited */
	unsigned long timer_slack, default_slack; /* ns; the default is what the parent had */
	int pdeath_signal;
	int mce_policy;                 /* PR_MCE_KILL_*: whom the kernel would kill for broken memory, which we never hear of */
	_Atomic uint64_t utime_ns, stime_ns, minflt, majflt; /* statistics */
	uint64_t profiled_ns;           /* cputimer.c: its CPU time when it last got a signal for the process's; proc->lock */
	uint64_t start_ns;              /* CLOCK_BOOTTIME at birth; constant */
	bool no_new_privs;
	unsigned exec_id;

	struct seccomp seccomp;         /* seccomp.h */

	bool answers;                   /* own thread, with proc->lock: the platform answers some calls, see answers.c */
	void *syscall_state;            /* owned by emul/syscalls: strace line, stats */
};

/* t's calls are judged one by one: none may be answered inside the guest, or by a helper. Any thread; may become true at any time. */
static inline bool task_is_filtered(const struct task *t)
{
	return atomic_load_explicit(&t->seccomp.mode, memory_order_relaxed) != SECCOMP_MODE_DISABLED;
}

/* CLONE_SIGHAND shares it. */
struct sighand {
	struct ref ref;
	struct mutex lock;              /* inner to proc->lock */
	struct sigact { uint64_t handler, flags, restorer; sigmask_t mask; } action[NSIG_LINUX + 1];
};

struct proc {
	struct ref ref;
	pid_t pid;                      /* constant */
	struct instance_env *env;

	/* tasks_lock */
	struct proc *parent;            /* NULL for init; not counted: reparented before it goes */
	struct task *parent_thread;     /* of parent, who made it; not counted */
	struct list children, sibling;
	struct list all_node;           /* pid.c: all processes; its reference goes when the process is reaped */
	pid_t pgid, sid;
	struct tty *ctty;               /* counted; NULL: none */
	pid_t old_tty_pgid;             /* a session leader whose terminal was hung up: who was in front */
	bool did_exec;
	struct program *program;        /* a first process: what a command outside started, owned by the composition root; else NULL. Constant */
	bool has_shell;                 /* program: the caller is a job of a shell, so the group can be stopped; constant */
	bool led_from_outside;          /* program: leader of its session is the caller's, which is no process here; constant */
	bool is_init;                   /* process 1: takes orphans and reaps them, runs nothing; constant */
	unsigned parent_exec_id;        /* of parent_thread at birth */

	/* proc->lock */
	struct mutex lock;
	struct list threads;            /* live tasks */
	unsigned nthreads;
	unsigned nlive;                 /* threads that have not begun to end */
	struct task *leader;            /* may be a zombie */
	struct sighand *sighand;        /* counted */
	struct sigpending pending;      /* for any thread */
	struct rlimit64 limits[NR_RLIMITS];
	bool group_exit;                /* exit_group or a fatal signal: threads leave */
	int exit_status;                /* as wait4 reports it */
	bool group_stop;                /* threads are to park themselves */
	unsigned stop_gen;              /* counts group stops */
	unsigned nparked;               /* threads that have taken part in this one */
	unsigned nzombies;              /* ended threads that their tracer has not waited for (also tasks_lock) */
	unsigned nconts;                /* SIGCONTs sent: one in between cancels a stop */
	bool stopped, continued, stop_reported, cont_reported; /* stopped: all have */
	int notify_parent;              /* CLD_STOPPED, CLD_CONTINUED: the next thread in signal_deliver() tells it */
	int stop_signal;
	struct task *exec_task;         /* execve: all other threads leave */
	struct task *core_task;         /* writes a core file: all other threads park themselves, then leave; waits on stop_wq */
	struct waitq stop_wq;           /* parked threads; with lock */
	struct waitq step_wq;           /* threads that are stepped for watchpoints, one after the other; with lock */
	unsigned step_next, step_now;   /* tickets */
	struct waitq exec_wq;           /* exec_task waits for the others; with lock */
	struct waitq signal_wq;         /* a signal was queued: signalfd; with lock */
	struct waitq exit_wq;           /* pidfd: it became a zombie */
	uint64_t child_seq;             /* counts changes of children: wait4 looks again when it moved */
	int exit_signal;                /* SIGCHLD */
	struct waitq child_wq;          /* wait4 sleeps here; with lock */
	struct idmap timers;            /* posix timers */
	struct itimer *itimers;         /* ITIMER_*: itimer.c */
	struct list aio;                /* contexts of asynchronous I/O: aio.c */
	_Atomic bool zombie, reaped;    /* written under tasks_lock and lock */
	bool child_subreaper, dumpable, thp_disable;
	struct rusage_sum { uint64_t utime_ns, stime_ns, minflt, majflt, nvcsw, maxrss; } dead_threads, dead_children;
	uint64_t start_ns;
	/* set by exec, task->lock of the leader not needed: own thread only, readers under proc->lock */
	struct path exe;                /* /proc/PID/exe */
	uint64_t *auxv; size_t auxv_len; /* as put on the stack, for /proc/PID/auxv */
	struct vfork_done *vfork;       /* a parent waits for exec or exit */
	uint8_t oom_adj;
	int oom_score_adj;
	unsigned dump_filter;           /* coredump_filter: DUMP_*; inherited */
	unsigned personality;
	uint64_t io_rchar, io_wchar, io_syscr, io_syscw, io_rbytes, io_wbytes; /* approximations for /proc/PID/io; relaxed */
};

/* Constant facts of the instance: made by the composition root, seen by everybody. */
struct instance_env {
	struct platform *platform;
	struct phys *phys;
	struct vfs *vfs;
	/* What a new task's host thread runs: emul/syscalls' loop. Handed down so that proc needs no layer above. */
	void (*task_run)(struct task *t);
	void (*task_gone)(struct task *t);          /* the run loop's per-task state ends; may be NULL */
	void (*on_first_exit)(struct proc *p, int status); /* a first process ended: status as of wait4. Own thread, no lock */
	struct utsname *uts;
	uint64_t boot_ns;                           /* CLOCK_BOOTTIME of the instance's start: 0 keeps the host's */
	cpu_set_t cpus;                             /* host CPUs that the instance may use */
	uint64_t memory_limit;
	int max_tasks;
	/* A first process was stopped (CLD_STOPPED, by sig) or goes on; tasks_lock held: must not block. May be NULL. */
	void (*on_first_stop)(struct proc *p, int why, int sig);
	void (*on_idle)(struct instance_env *env);  /* the last thread of all has ended. No lock held. May be NULL */
	/* The instance goes on when a first process ends, and with it the jobs that it left behind: as when a command of a shell ends. */
	bool outlives_first;
};

/* --- pid.c, task.c ------------------------------------------------------------------------------ */
extern struct mutex tasks_lock;
int tasks_boot(struct instance_env *env); /* makes process 1; -ENOMEM */
struct task *task_get(struct task *t);
void task_put(struct task *t);
DEFINE_AUTO(task, task_put);
struct proc *proc_get(struct proc *p);
void proc_put(struct proc *p);
DEFINE_AUTO(proc, proc_put);
struct task *task_find(pid_t tid);      /* with a reference; live tasks and unreaped leaders; NULL: -ESRCH */
struct proc *proc_find(pid_t pid);      /* with a reference */
/* The next live process with pid >= *pid (reference), *pid updated; NULL: end. For /proc and kill(-1). */
struct proc *proc_next(pid_t *pid);
struct task *proc_thread_next(struct proc *p, pid_t *tid); /* likewise the threads of one process */
bool proc_is_alone(struct proc *p);     /* has one thread */
unsigned tasks_count(void);             /* live threads, for loadavg and limits */
pid_t pid_last(void);                   /* the id given out last */
pid_t task_ppid(struct task *t);
struct mm *task_get_mm(struct task *t); /* references for other threads; NULL when it has none any more */
struct fdtab *task_get_fds(struct task *t);
struct fs *task_get_fs(struct task *t);
struct cred *task_get_cred(struct task *t);
void task_comm(struct task *t, char out[TASK_COMM_LEN]);
void task_set_comm(struct task *t, const char *name);
char task_state_char(struct task *t);   /* R S D T t Z X of /proc/PID/stat */
/* Wakes t out of the guest and out of any sleep: it looks at its signals. Takes proc->lock. */
void task_kick(struct task *t);
struct task *task_current(void); /* whose host thread this is; NULL: none. For file operations that Linux answers by `current` */
void task_set_current(struct task *t); /* by its host thread, and by a helper thread around a call of t */
uint64_t proc_rlimit(struct proc *p, int resource); /* soft limit */

/* Calls about who t is may be answered in the guest from now on, or not any more. Own thread, no lock held. */
void task_answers(struct task *t, bool on);

/* --- clone.c, exit.c, wait.c ----------------------------------------------------------------------- */
struct clone_request { uint64_t flags; gva_t pidfd, child_tid, parent_tid, stack, stack_size, tls; int exit_signal; gva_t set_tid; uint64_t set_tid_size; int cgroup; };
long task_clone(struct task *t, const struct clone_request *rq); /* tid of the child or -errno */
int task_clone3_check(const struct clone_request *rq); /* what only clone3(2) refuses; before task_clone(). -EINVAL */
/*
 * A first process: what a command outside starts, a child of process 1. Reads nothing from the guest. It has a session that
 * no other first process has, and leads it if its caller leads one: a shell's command does not, so it may call setsid(2) and
 * gets no controlling terminal by opening one.
 * *ret is borrowed from the table of tasks; it has no thread yet.
 */
struct first_facts {
	struct cred *cred;              /* consumed */
	const struct path *root, *cwd;
	const struct path *home;        /* what it and its descendants keep mounted; may be none */
	struct fdtab *fds;
	mode_t umask;
	pid_t like;                     /* the host's process whose limits, niceness and affinity it gets; 0: our own */
	const struct rlimit64 *limits;  /* all of them; NULL: those of like */
	bool has_shell;
	bool leads_session, leads_group; /* the latter is implied by the former */
	sigmask_t ignored, blocked;     /* signals, as execve keeps them */
	struct program *program;        /* not NULL */
};
int task_first(struct instance_env *env, const struct first_facts *facts, struct task **ret);
int task_start(struct task *t);         /* gives it its host thread */
/* exit(2) of one thread (status: of wait4 form if it is the last). The run loop ends after it. */
void task_exit(struct task *t, int status);
void proc_exit_group(struct task *t, int status); /* status: wait4 form; every thread leaves */
bool proc_exiting(struct proc *p);
long proc_wait(struct task *t, int idtype, pid_t id, int options, siginfo_t *ret_info, int *ret_status, struct rusage *ret_usage); /* pid, 0 (WNOHANG), -ECHILD, -ERESTARTSYS */

/* --- exec.c ----------------------------------------------------------------------------------------- */
struct exec_args { /* all copied in already; freed by the caller */
	char **argv, **envp;
	int argc, envc;
};
/* What is to be executed. fd: of execveat(2), which `at` comes from; -1: the name alone says it. */
struct exec_target { const struct path *at; int fd; const char *name; unsigned walk; };
/* Opens it: -ENOENT, -EACCES, -ETXTBSY... come before anything about the arguments. */
int task_exec_open(struct task *t, const struct exec_target *x, struct file **ret);
/* Replaces the program by the one in f. 0: t->regs are the new program's. -errno: nothing changed. */
int task_exec_file(struct task *t, const struct exec_target *x, struct file *f, const struct exec_args *a);
int task_exec(struct task *t, const char *name, const struct exec_args *a); /* both, for a name */
/* Copies an argv/envp pair from guest memory. -EFAULT, -E2BIG, -ENOMEM. */
int exec_args_read(struct mm *mm, gva_t argv, gva_t envp, uint64_t stack_limit, struct exec_args *ret);
void exec_args_free(struct exec_args *a);

/* --- signal.c: see signal.h -------------------------------------------------------------------------- */

/* --- futex.c, robust.c -------------------------------------------------------------------------------- */
void futex_boot(void);                  /* before the first task */
/* futex(2); timeout already read: NULL-able. -ERESTARTSYS/-ERESTART_RESTARTBLOCK as Linux. */
long futex_call(struct task *t, gva_t uaddr, int op, uint32_t val, const struct timespec *timeout, gva_t uaddr2, uint32_t val2, uint32_t val3);
struct futex_waitv_item { uint64_t val; gva_t uaddr; uint32_t flags; };
long futex_waitv_call(struct task *t, const struct futex_waitv_item *v, unsigned n, const struct deadline *timeout);
int futex_wake_simple(struct mm *mm, gva_t uaddr, int nr, bool shared); /* clear_child_tid */
void robust_list_exit(struct task *t);
void futex_exit_pi(struct task *t);     /* owner died: PI state is handed on */

/* --- timers ------------------------------------------------------------------------------------------- */
long itimer_get(struct proc *p, int which, struct itimerval *ret);
long itimer_set(struct proc *p, int which, const struct itimerval *val, struct itimerval *ret_old);
long posix_timer_create(struct task *t, int clock, const struct sigevent *ev /* NULL: default */, int *ret_id);
long posix_timer_settime(struct proc *p, int id, int flags, const struct itimerspec *val, struct itimerspec *ret_old);
long posix_timer_gettime(struct proc *p, int id, struct itimerspec *ret);
long posix_timer_getoverrun(struct proc *p, int id);
long posix_timer_delete(struct proc *p, int id);
void proc_timers_exit(struct proc *p);  /* exit and exec: posix timers go; exec keeps itimers */
/* ns on any clock id a program may name, CPU clocks of tasks included (clock_getcpuclockid). -EINVAL. */
int task_clock_get(struct task *t, int clock, int64_t *ret_ns);
int task_clock_getres(struct task *t, int clock, int64_t *ret_ns);
/*
 * clock_nanosleep(2): 0 if one can sleep on this clock, -EINVAL, -EOPNOTSUPP: checked before the time is read. Then the
 * sleep itself, with a checked time: any clock of the first call, CPU clocks included.
 */
int task_clock_can_sleep(struct task *t, int clock);
long task_clock_nanosleep(struct task *t, int clock, int flags, const struct timespec *req, gva_t rem);
/* RLIMIT_CPU was set: the sampler of CPU time must know. No lock held. */
void proc_cpu_limit_changed(struct proc *p);
/* nanosleep family: 0, -EINTR forms as restart codes; rem 0 = not wanted. */
long task_sleep(struct task *t, struct deadline at, bool absolute, gva_t rem);

/* --- cred.c, rlimit.c, sched.c, prctl.c, usage.c -------------------------------------------------------- */
void task_set_cred(struct task *t, struct cred *c);    /* consumes c */
long cred_setuid(struct task *t, uid_t uid);
long cred_setgid(struct task *t, gid_t gid);
long cred_setreuid(struct task *t, uid_t r, uid_t e);
long cred_setregid(struct task *t, gid_t r, gid_t e);
long cred_setresuid(struct task *t, uid_t r, uid_t e, uid_t s);
long cred_setresgid(struct task *t, gid_t r, gid_t e, gid_t s);
long cred_setfsuid(struct task *t, uid_t uid);
long cred_setfsgid(struct task *t, gid_t gid);
long cred_setgroups(struct task *t, const gid_t *groups, unsigned n);
long cred_capset(struct task *t, uint64_t permitted, uint64_t effective, uint64_t inheritable);
/* cred_exec.c: who t is once it runs f. *ret_secure: AT_SECURE. -ENOMEM, -EPERM: f needs capabilities that t cannot have. */
int cred_for_exec(struct task *t, struct file *f, struct cred **ret, bool *ret_secure);
/* Of the host's process (0: us); what it does not tell is unlimited. */
void rlimits_of_host(pid_t pid, struct rlimit64 ret[NR_RLIMITS]);
long rlimit_get_set(struct task *t, pid_t pid, unsigned resource, const struct rlimit64 *set, struct rlimit64 *ret_old);
long sched_setaffinity_call(struct task *t, pid_t pid, const cpu_set_t *set);
void sched_keep_off(struct task *t, int cpu); /* t's own thread: what call_server's keep_off asks. Takes t->lock */
long sched_getaffinity_call(struct task *t, pid_t pid, cpu_set_t *ret); /* bytes Linux returns */
long sched_setscheduler_call(struct task *t, pid_t pid, int policy, int priority);
long sched_getscheduler_call(struct task *t, pid_t pid, int *ret_priority); /* policy */
/* Calls fn for each thread that getpriority(2)'s (which, who) means: the last error, or what it said. -ESRCH: none; -EINVAL. */
long sched_for_each(struct task *t, int which, int who, long (*fn)(struct task *t, struct task *each, void *ctx), void *ctx);
bool sched_may_handle(struct task *t, struct task *target); /* cap_safe_nice(): nobody handles what may do more than himself */
void sched_set_ioprio(struct task *t, int ioprio);
int sched_get_ioprio(struct task *t); /* IOPRIO_CLASS_NONE: never set */
long sched_setnice(struct task *t, int which, int who, int nice);
long sched_getnice(struct task *t, int which, int who); /* 20 - nice, as the system call */
long task_prctl(struct task *t, int op, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
long task_arch_prctl(struct task *t, int op, uint64_t addr);
void task_usage(struct task *t, int who /* RUSAGE_* */, struct rusage *ret);
void proc_usage(struct proc *p, struct rusage *ret);
/* Called by the run loop around guest execution, for utime/stime (host thread clock based is fine). */

/* --- session.c ------------------------------------------------------------------------------------------- */
long proc_setsid(struct task *t);
long proc_setpgid(struct task *t, pid_t pid, pid_t pgid);
long proc_getpgid(struct task *t, pid_t pid);
long proc_getsid(struct task *t, pid_t pid);
void ctty_give(struct proc *p, struct tty *t); /* its controlling terminal, with its group in front */
void ctty_facts_locked(struct proc *p, unsigned *ret_nr, pid_t *ret_pgrp); /* tty_nr, tpgid of /proc/PID/stat; tasks_lock held */

/* --- files made of tasks ----------------------------------------------------------------------------------- */
int signalfd_new(struct task *t, sigmask_t mask, int flags, struct file **ret);
int signalfd_set_mask(struct file *f, sigmask_t mask); /* -EINVAL: not a signalfd */
int pidfd_new(struct proc *p, unsigned flags, struct file **ret); /* O_NONBLOCK */
int pidfd_new_thread(struct task *t, unsigned flags, struct file **ret); /* with PIDFD_THREAD */
struct task *pidfd_thread(struct file *f);                  /* reference; NULL: of a process or a leader */
struct proc *pidfd_proc(struct file *f);                     /* reference; NULL: not a pidfd */

/* --- procfs/ ------------------------------------------------------------------------------------------------- */
int procfs_new(struct instance_env *env, struct super **ret);
struct pnode;
struct seq;
/* A file of /proc/net; at boot. */
void procfs_add_net(const char *name, int (*show)(struct pnode *n, struct fs_ctx *c, struct seq *out));
int sysfs_new(struct instance_env *env, struct super **ret);
struct proc *procfs_dir_proc(struct file *f);   /* reference; NULL: not an open /proc/PID */

#endif
