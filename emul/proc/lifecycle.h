/* SPDX-License-Identifier: MIT */
/*
 * Between exec, clone, exit and wait inside emul/proc: the steps of one that live in another's file.
 */
#ifndef EMUL_PROC_LIFECYCLE_H
#define EMUL_PROC_LIFECYCLE_H

#include "emul/proc/task.h"

/* exec: ends all other threads of t's process and makes t the leader (tid == pid). No lock held. 0; -EINTR: t itself is to die. */
int task_kill_other_threads(struct task *t);
/* exec has happened: own sighand, vfork parent released, did_exec, exit_signal = SIGCHLD, altstack off. No lock held. */
void proc_exec_done(struct task *t);

/* --- pid.c: ids. tasks_lock held ------------------------------------------------------------------ */
int pid_alloc_locked(pid_t want);                /* want 0: the next free one. The id; -EAGAIN, -EEXIST, -EINVAL */
void pid_add_locked(struct task *t);             /* findable by t->tid from now on: takes a reference */
void pid_remove_locked(struct task *t);          /* the caller gets that reference */
void pid_move_locked(struct task *t, pid_t tid); /* exec: t's id becomes tid, which must be free */
void pid_add_proc_locked(struct proc *p);        /* takes a reference */
void pid_remove_proc_locked(struct proc *p);     /* the caller gets the reference */
struct task *pid_lookup_locked(pid_t tid);       /* borrowed; NULL: none */
extern struct list pid_procs;                    /* proc.all_node of all that are not reaped */
extern unsigned pid_ntasks;                      /* live threads */
extern struct proc *pid_init;                    /* process 1; constant after boot, counted */
bool pid_over_nproc_locked(struct task *t);      /* has its user as many threads as RLIMIT_NPROC permits? Never root */

/* --- task.c: making objects; not yet visible to anybody ---------------------------------------------- */
struct task *task_new(struct instance_env *env, struct proc *p); /* takes a reference on p; NULL: no memory */
struct proc *proc_new(struct instance_env *env);
struct sighand *sighand_new(void);
struct sighand *sighand_get(struct sighand *s);
void sighand_put(struct sighand *s);
void task_drop_resources(struct task *t);        /* mm, descriptors, cwd: own thread, or not started */

pid_t proc_ppid_locked(struct proc *p);          /* tasks_lock held */

/* --- answers.c: what the platform answers in the guest; nothing happens to tasks that are not so served ------ */
void task_answers_cred(struct task *t);           /* own thread; its credentials changed */
void task_answers_parent_locked(struct proc *p); /* p got another parent; tasks_lock held */
void task_answers_stop_locked(struct task *t);   /* another thread's calls are to be seen from now on; proc->lock held */

/* --- rlimit.c ----------------------------------------------------------------------------------------------- */
/* mlock(2)'s limit holds for those without CAP_IPC_LOCK: the limit, or t's capabilities, changed. No lock held. */
void task_memlock_update(struct task *t);

/* --- start.c: host threads ----------------------------------------------------------------------------- */
/* Gets a host thread and a vCPU for t; xstate (owned, may be NULL) is loaded into it. 0, -EAGAIN, -ENOMEM. Then one of: */
int task_prepare_thread(struct task *t, void *xstate);
void task_release_thread(struct task *t); /* it runs */
void task_cancel_thread(struct task *t);  /* it does not: thread and vCPU go back */

/* --- exit.c ---------------------------------------------------------------------------------------------- */
void task_teardown(struct task *t);              /* own thread, after task_run() */
struct vfork_done;
struct vfork_done *vfork_new(void);
struct vfork_done *vfork_get(struct vfork_done *v);
void vfork_put(struct vfork_done *v);
bool vfork_wait(struct task *t, struct vfork_done *v); /* until the child let go (true), or t is killed */
void vfork_release(struct proc *p);              /* p execs or ends: its parent goes on */
/* Takes zombie p out of all tables; tasks_lock held. p may be gone after it. */
void proc_reap_locked(struct proc *p);
/* A traced thread that had ended was waited for; tasks_lock held. t, and with it its process, may be gone after it. */
void proc_thread_reaped_locked(struct task *t);

/* --- session.c; tasks_lock held ---------------------------------------------------------------------------- */
bool pgrp_is_orphaned_locked(pid_t pgid, struct proc *without);
void pgrp_signal_locked(pid_t pgid, int sig);    /* from the kernel */
pid_t pgrp_session_locked(pid_t pgid);           /* of the group, or of the process that it is named after; -1: there is neither */
void proc_signal_kernel(struct proc *p, int sig);
void pgrp_check_orphaned_locked(struct proc *child, struct proc *dying); /* SIGHUP, SIGCONT to stopped jobs that lose their shell */

/* --- ctty.c; tasks_lock held ------------------------------------------------------------------------------------ */
void sigio_boot(void);                           /* no lock held; before the first task */
void ctty_boot(void);                            /* no lock held; before the first task */
void ctty_inherit_locked(struct proc *child, struct proc *parent);
void ctty_drop_locked(struct proc *p);           /* setsid */
void ctty_leader_exits_locked(struct proc *p);   /* SIGHUP to the foreground, the session loses its terminal */

/* --- wait.c ---------------------------------------------------------------------------------------------------- */
void proc_child_changed(struct proc *parent);    /* wakes wait4; takes parent->lock */
/* SIGCHLD and kin about p to its parent; tasks_lock held. true: nobody will wait for it: reap at once. */
bool proc_notify_exit_locked(struct proc *p);
void proc_notify_stop(struct proc *p, int why);  /* CLD_STOPPED, CLD_CONTINUED; no lock held */
void proc_notify_stop_locked(struct proc *p, int why); /* the same with tasks_lock held */
/* To t's tracer: it has stopped, or as a thread ended (CLD_EXITED...). tasks_lock held. */
void proc_notify_tracer_locked(struct task *t, int why);
bool proc_ignores_children(struct proc *p);      /* SIGCHLD ignored, or SA_NOCLDWAIT: no zombies are left to it */

/* --- usage.c ------------------------------------------------------------------------------------------------------ */
void sched_thread_begins(struct task *t);        /* own thread: gets what others set for it before it was there */
void usage_thread_begins(struct task *t);        /* own thread, before anything else */
uint64_t task_cpu_ns(struct task *t);            /* CPU time on its host thread; 0 if it has none any more */
uint64_t task_cpu_user_locked(struct task *t);   /* the part of it in user mode; brings t->utime_ns, stime_ns up to date; t->proc->lock held */
void proc_cpu_locked(struct proc *p, uint64_t *ret_user, uint64_t *ret_total); /* dead threads included; p->lock held */
void usage_thread_gone_locked(struct task *t);   /* own thread: adds itself to p->dead_threads; p->lock held */
void usage_mm_gone(struct task *t);              /* own thread: it is about to drop t->mm, whose size counts on. No lock held */
void usage_fill(const struct rusage_sum *s, struct rusage *ret);
void usage_add(struct rusage_sum *to, const struct rusage_sum *from);
void proc_usage_sum(struct proc *p, struct rusage_sum *ret); /* threads, live and dead; takes p->lock */

#endif
