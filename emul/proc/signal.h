/* SPDX-License-Identifier: MIT */
/*
 * Signals: sending, masks, delivery. man 7 signal; kernel/signal.c for the order of things.
 *
 * Masks are sigmask_t, the kernel own layout; the libc type sigset_t is not used.
 */
#ifndef EMUL_PROC_SIGNAL_H
#define EMUL_PROC_SIGNAL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "emul/base/list.h"
#include "emul/base/types.h"

struct proc;
struct restart_block;
struct task;

#define NSIG_LINUX 64
typedef uint64_t sigmask_t; /* bit n-1 = signal n: the kernel's own layout */
#define SIGMASK(sig) ((sigmask_t)1 << ((sig)-1))
#define SIGMASK_KILL_STOP (SIGMASK(SIGKILL) | SIGMASK(SIGSTOP))

/* The kernel's SIGRTMIN: libc hides 32 and 33. */
#define LINUX_SIGRTMIN 32

struct sigqueue { struct list node; int sig; siginfo_t info; void *timer; /* posix timer to report overruns for */ };
struct sigpending { struct list queue; sigmask_t set; };

void sigpending_init(struct sigpending *p);
void sigpending_flush(struct sigpending *p);

/* --- sending. info NULL: SI_USER from the sender's ids; forced: SI_KERNEL --- */
/* 0; -EAGAIN: queue limit for real-time signals (RLIMIT_SIGPENDING). sig 0 only checks. Takes proc->lock. */
int signal_send_task(struct task *t, int sig, const siginfo_t *info);
int signal_send_proc(struct proc *p, int sig, const siginfo_t *info);
/* A signal that cannot be refused: a fault. If it is blocked or ignored the default action is forced. t is the calling task. */
void signal_force(struct task *t, int sig, const siginfo_t *info);
void signal_fill_user(struct task *from, siginfo_t *info, int sig, int code); /* si_pid, si_uid */
/* kill(2) and kin from t: permission, groups, -1. -ESRCH, -EPERM, -EINVAL. */
long signal_kill(struct task *t, pid_t pid, int sig);
long signal_tgkill(struct task *t, pid_t tgid, pid_t tid, int sig); /* tgid 0: tkill */
long signal_queueinfo(struct task *t, pid_t tgid, pid_t tid /* 0: process */, int sig, siginfo_t *info);
/* As queueinfo, to a group: -ESRCH: there is none, -EPERM: none that t may signal. */
long signal_queueinfo_group(struct task *t, pid_t pgid, int sig, const siginfo_t *info);
int signal_may_send(struct task *from, struct proc *to, int sig);  /* 0, -EPERM */
/* To every process of a group (terminals). 0, -ESRCH. */
int signal_send_group(pid_t pgid, int sig, const siginfo_t *info);

/* --- masks and waiting. The new mask never has KILL and STOP --- */
void signal_set_mask(struct task *t, sigmask_t mask);
sigmask_t signal_mask(struct task *t);
sigmask_t signal_pending_set(struct task *t); /* what sigpending(2) shows: blocked and pending */
long signal_suspend(struct task *t, sigmask_t mask); /* -ERESTARTNOHAND */
/* For ppoll, pselect, epoll_pwait: install a mask for the call; the old one is restored by the return path (a handler sees it in its frame). */
void signal_call_mask(struct task *t, sigmask_t mask);
void signal_call_mask_done(struct task *t, bool interrupted); /* !interrupted: restored now */
struct deadline;
long signal_timedwait(struct task *t, sigmask_t set, const struct deadline *d, siginfo_t *ret); /* signal number, -EAGAIN, -EINTR, */
/* Takes the next pending signal of a set without waiting (signalfd). false: none. */
bool signal_dequeue(struct task *t, sigmask_t set, siginfo_t *ret);
long signal_queued(void);             /* entries of all queues: what RLIMIT_SIGPENDING counts */
sigmask_t signal_pending_raw(struct task *t); /* pending for the task or its process, blocked or not */
/* signalfd: wait queue that is woken whenever a signal is queued to this process. */
struct waitq *signal_waitq(struct proc *p);

/* --- actions --- */
struct ksigaction { uint64_t handler, flags, restorer; sigmask_t mask; };
long signal_action(struct task *t, int sig, const struct ksigaction *set, struct ksigaction *ret_old);
long signal_altstack(struct task *t, const stack_t *set, stack_t *ret_old, uint64_t rsp); /* -EPERM on it, -ENOMEM, -EINVAL */
void signal_exec(struct task *t); /* handlers to default, altstack off */

/* --- delivery: called by the run loop before going back to the guest --- */
/* Something may be pending, or a mask is to be restored: cheap test. The loop that belongs to it: head of signal.c. */
bool signal_wants_task(struct task *t);
/*
 * Handles everything pending: default actions, stops, handler frames, restart of an interrupted call.
 * orig_rax not -1: the task returns from that call, whose result (maybe -ERESTART*) is in rax.
 * After it regs are what the guest runs next, or t->exiting is set.
 */
void signal_deliver(struct task *t);
/*
 * The same on the helper thread, for a task whose vCPU waits in the gate (platform.h, struct call_server): only where a handler is all that there is
 * to do. deliverable: a guess, all that needs no registers was looked at. deliver: true: t->regs and extended state are the handler's.
 */
bool signal_deliverable_here(struct task *t);
bool signal_deliver_here(struct task *t);
/* rt_sigreturn(2) there, with t->regs.rsp alone. false: nothing was done. */
bool signal_return_here(struct task *t);
/* restart_syscall(2): goes on with t->restart. */
long signal_restart_call(struct task *t);
/* rt_sigreturn(2): restores everything from the frame; a bad frame is SIGSEGV. rax of the frame is the result. */
long signal_return(struct task *t);
/* The guest CPU raised an exception: page faults are resolved, others (and failed ones) become signals. */
void fault_handle(struct task *t, unsigned vector, uint32_t error_code, gva_t cr2);

#endif
