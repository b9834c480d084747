/* SPDX-License-Identifier: MIT */
/*
 * Between the signal files. signal.c has the theory; everything named _locked wants proc->lock.
 */
#ifndef EMUL_PROC_SIGNAL_INTERNAL_H
#define EMUL_PROC_SIGNAL_INTERNAL_H

#include "emul/proc/task.h"

/* kernel/signal.c: what signals do by default. The rest ends the process. */
#define SIGMASK_STOP (SIGMASK(SIGSTOP) | SIGMASK(SIGTSTP) | SIGMASK(SIGTTIN) | SIGMASK(SIGTTOU))
#define SIGMASK_IGNORE (SIGMASK(SIGCONT) | SIGMASK(SIGCHLD) | SIGMASK(SIGWINCH) | SIGMASK(SIGURG))
#define SIGMASK_CORE                                                                                        \
	(SIGMASK(SIGQUIT) | SIGMASK(SIGILL) | SIGMASK(SIGTRAP) | SIGMASK(SIGABRT) | SIGMASK(SIGFPE) |       \
	 SIGMASK(SIGSEGV) | SIGMASK(SIGBUS) | SIGMASK(SIGSYS) | SIGMASK(SIGXCPU) | SIGMASK(SIGXFSZ))
#define SIGMASK_SYNC                                                                                        \
	(SIGMASK(SIGSEGV) | SIGMASK(SIGBUS) | SIGMASK(SIGILL) | SIGMASK(SIGTRAP) | SIGMASK(SIGFPE) | SIGMASK(SIGSYS))
#define HANDLER_DFL 0
#define HANDLER_IGN 1
#define SA_RESTORER_FLAG 0x04000000u

static inline bool signal_valid(int sig) { return sig >= 1 && sig <= NSIG_LINUX; }

/* --- sigqueue.c --- */
enum sig_send { SIG_SENT, SIG_IGNORED, SIG_MERGED };
/* Takes room for one entry. forced: standard signals and the kernel's own pass the limit. NULL: no room. */
struct sigqueue *sigqueue_new_locked(struct proc *p, int sig, bool forced);
void sigqueue_free(struct sigqueue *q);
/* The lowest signal of `from` (faults first), 0: none. */
int sigpending_next(const struct sigpending *from, sigmask_t of);
/* Takes the first entry of sig; an entry that did not fit into the queue reads as SI_USER from nobody. *ret_timer: posix timer or NULL. */
void sigpending_take(struct sigpending *from, int sig, siginfo_t *ret, void **ret_timer);
void sigpending_drop_locked(struct sigpending *from, sigmask_t mask);
void sigpending_drop_timer(struct sigpending *from, void *timer); /* what this timer has queued */

/* --- signal.c --- */
/* Anything for signal_deliver(): unblocked signals, the end, a stop. */
bool signal_wants_locked(struct task *t);
/* Own thread: sets has_wakeup and the waiter's interrupt to what is true now. */
void signal_recalc_locked(struct task *t);
void task_kick_locked(struct task *t);
void signal_set_mask_locked(struct task *t, sigmask_t mask);
/* The whole process ends with this status; the first call counts. */
void proc_start_exit_locked(struct proc *p, int status);
bool signal_thread_leaves_locked(struct task *t); /* group exit, or somebody else's exec */
struct sigact signal_get_action(struct proc *p, int sig);
/*
 * Queues a signal for t, or for any thread of p (t NULL), and wakes who is to take it.
 * forced: cannot be refused. timer: the posix timer it comes from. -EAGAIN or enum sig_send.
 */
int signal_send_locked(struct proc *p, struct task *t, int sig, const siginfo_t *info, bool forced, void *timer);
/* The same for any thread of p, but the first choice is this one, if it can take it. */
int signal_send_first_locked(struct proc *p, struct task *first, int sig, const siginfo_t *info);
siginfo_t signal_kernel_info(int sig);  /* SI_KERNEL */

/* --- sigaction.c --- */
bool signal_on_altstack(const struct sigaltstack_state *a, uint64_t sp);       /* as sigaltstack(2) sees it */
bool signal_on_altstack_range(const struct sigaltstack_state *a, uint64_t sp); /* whatever its flags */
void signal_altstack_reset(struct task *t);
void signal_altstack_autodisarm(struct task *t);

/* --- sigwait.c --- */
/* Takes the next signal of `set` pending for t or its process; does what its timer needs. 0: none. */
int signal_take_locked(struct task *t, sigmask_t set, siginfo_t *ret);

/* --- sigdeliver.c --- */
void signal_check_stopped_locked(struct proc *p); /* a thread has left: maybe all others are parked */

/* --- sigframe.c --- */
struct ksignal { int sig; siginfo_t info; struct sigact act; };
/* Builds the frame and sets t->regs to the handler. -EFAULT: it has no place. mask: what the frame restores. */
int sigframe_push(struct task *t, const struct ksignal *k, sigmask_t mask);

#endif
