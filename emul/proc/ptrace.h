/* SPDX-License-Identifier: MIT */
/*
 * ptrace(2): one task (the tracer) stops another one (the tracee) at what it does, looks and changes, lets it go on.
 * kernel/ptrace.c, kernel/signal.c, arch/x86/kernel/ptrace.c; man 2 ptrace.
 *
 *   ptrace.c          who traces whom: traceme, attach, detach, birth and death     ptrace_access.c  who may
 *   ptrace_stop.c     the tracee's side: every stop is trace_stop()                 ptrace_request.c the tracer's requests
 *   ptrace_regs.c     registers as user.h and the regsets show them                 ptrace_watch.c   steps, debug registers
 *   wait.c            the tracer's wait4
 *
 * Theory of operation. A stop is a sleep of the tracee on its own host thread, in the run loop or in a call, with its registers in
 * t->regs. Its tracer waits for it (state TASK_TRACED under proc->lock), and freezes it for the length of one request: so
 * neither SIGKILL nor another thread lets it run while it is looked at. It wakes on proc->stop_wq, which fatal signals and
 * exec wake too. Extended state is read and written in the vCPU that the stopped thread holds.
 *
 * Links between tasks (tracer, tracees, node) change under tasks_lock and the tracee's proc->lock. A tracer is not counted: it
 * lets go of all when it ends. A traced thread that ends stays findable until its tracer has waited for it, or is gone.
 */
#ifndef EMUL_PROC_PTRACE_H
#define EMUL_PROC_PTRACE_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "emul/base/list.h"
#include "emul/base/types.h"

struct cred;
struct proc;
struct task;

enum trace_mode { TRACE_CONT, TRACE_SYSCALL, TRACE_SYSEMU };

/* In every task. */
struct tracing {
	/* tasks_lock and proc->lock to change, one of them to read: */
	struct task *tracer;         /* NULL: not traced */
	_Atomic bool on;             /* the same, for its own thread without a lock */
	/* tasks_lock: */
	struct list tracees, node;   /* of this task as a tracer; in tracer->tracing.tracees */
	/* proc->lock: */
	unsigned options;            /* PTRACE_O_* */
	bool seized;
	int code;                    /* of a stop, for wait4; then the signal that it goes on with; 0: reported */
	bool resumed;                /* out of the stop, please */
	bool frozen;                 /* but not while the tracer looks */
	bool listening;              /* PTRACE_LISTEN: stopped, but not for the tracer */
	bool trap_stop, trap_notify; /* to stop as soon as possible: PTRACE_INTERRUPT, attach to a stopped one; SIGCONT to a seized one */
	bool attaching;              /* the tracer waits until a stopped task is a traced one */
	enum trace_mode mode;        /* how it was resumed */
	bool step;
	unsigned long message;       /* PTRACE_GETEVENTMSG */
	bool has_info;
	siginfo_t info;              /* of the stop */
	/* only its own thread, or its tracer while frozen: */
	bool forced_tf;              /* the trap flag in regs is ours, not the program's */
	uint64_t dr[4], dr6, dr7;    /* debug registers; dr6 as Linux keeps it, 0 when nothing happened */
	uint64_t seen[4];            /* what the watched places held before the step */
	unsigned found;              /* which of them it touched */
	bool has_turn;               /* the others of its process that are watched stand still */
};

/* --- ptrace_access.c --- */
/*
 * __ptrace_may_access(): may somebody with these credentials in process pid look into target? fs_ids: a file system
 * access (PTRACE_MODE_FSCREDS), else a call. 0, -EPERM.
 */
int trace_may_access(pid_t pid, const struct cred *c, bool fs_ids, struct task *target);

/* --- ptrace.c: the calling task t as a tracer, or on its way to be a tracee. No lock held --- */
long trace_me(struct task *t);
long trace_attach(struct task *t, struct task *target, bool seize, uint64_t addr, uint64_t options);
/* Holds target, t's stopped tracee, for requests. any_state: t's tracee is enough, nothing is held. 0, -ESRCH. */
int trace_freeze(struct task *t, struct task *target, bool any_state);
void trace_thaw(struct task *target);
long trace_detach(struct task *target, uint64_t sig); /* frozen; -EIO */
int trace_check_options(uint64_t options);            /* 0, -EINVAL */
pid_t trace_tracer_pid(struct task *t);               /* TracerPid; 0: none */

/* t is traced: nothing may answer its calls behind the run loop's back. Own thread; changes only while t is stopped or kicked. */
bool task_wants_every_call(struct task *t);

/* Birth and death: tasks_lock held, no proc->lock. */
void trace_inherit_locked(struct task *parent, struct task *child); /* child starts traced as parent is; not running yet */
void trace_let_go_locked(struct task *tracer);                      /* it ends: its tracees go on */
void trace_unlink_locked(struct task *tracee);                      /* quietly: it is reaped, or becomes another one by exec */

/* --- ptrace_stop.c: own thread, no lock held unless named so --- */
bool trace_wants_trap_locked(const struct task *t); /* a stop by tracer or group is due. proc->lock held */
void trace_trap(struct task *t);                    /* makes it */
/* A signal is about to be delivered: what the tracer makes of it. The signal to go on with, its *info; 0: none. */
int trace_signal(struct task *t, int sig, siginfo_t *info);
bool trace_event_wanted(struct task *t, int event); /* PTRACE_EVENT_* */
void trace_event(struct task *t, int event, unsigned long message); /* stops if wanted; exec without it: SIGTRAP */
/* Around a call. enter: false: it is to be skipped, rax is the result. The number is in orig_rax, the rest in regs. */
bool trace_syscall_enter(struct task *t);
void trace_syscall_leave(struct task *t);
/* A handler's frame is about to be made: our trap flag is not saved in it. true: trace_handler_entered() is to follow. */
bool trace_handler_begins(struct task *t);
void trace_handler_entered(struct task *t);

/* --- ptrace_watch.c: own thread --- */
static inline bool trace_steps(const struct tracing *s) { return atomic_load_explicit(&s->on, memory_order_relaxed) || s->forced_tf; }
/* If trace_steps(), around each run: the trap flag as it must be, and what watched places held. No lock held. */
void trace_before_run(struct task *t);
void trace_after_run(struct task *t);
void trace_hide_step(struct task *t);  /* takes our trap flag out of regs */
/* If trace_steps(), a debug exception: false: nobody but us wanted it. *code: for siginfo, changed for a watched place. */
bool trace_debug_trap(struct task *t, int *code);
void trace_clear_debugregs(struct task *t);
int trace_set_debugreg(struct task *target, unsigned n, uint64_t val); /* frozen. -EINVAL, -EIO, -ENOSPC */
uint64_t trace_get_debugreg(struct task *target, unsigned n);          /* frozen */

/* --- ptrace_request.c: target is frozen --- */
long trace_resume(struct task *target, enum trace_mode mode, bool step, uint64_t sig); /* -EIO */
long trace_interrupt(struct task *target); /* not frozen; -EIO: not seized */
long trace_listen(struct task *target);    /* -EIO */
long trace_set_options(struct task *target, uint64_t options);
long trace_get_siginfo(struct task *target, siginfo_t *ret); /* -EINVAL: not in a stop that has one */
long trace_set_siginfo(struct task *target, const siginfo_t *info);
uint64_t trace_get_mask(struct task *target);
void trace_set_mask(struct task *target, uint64_t mask);
/* The off-th and next pending signals, at most n: how many. shared: those of the process. */
int trace_peek_siginfo(struct task *target, bool shared, uint64_t off, int n, siginfo_t *out);
struct ptrace_syscall_info;
size_t trace_syscall_info(struct task *target, struct ptrace_syscall_info *ret); /* bytes that mean something */

/* --- ptrace_regs.c: target is frozen --- */
struct user_regs_struct;
void trace_get_regs(struct task *target, struct user_regs_struct *ret);
int trace_set_regs(struct task *target, const uint64_t *words, size_t n); /* the first n of user_regs_struct; -EIO */
int trace_peek_user(struct task *target, uint64_t off, uint64_t *ret);    /* -EIO */
int trace_poke_user(struct task *target, uint64_t off, uint64_t val);     /* -EIO */
/* One kind (NT_*) of registers. -EINVAL: there is no such kind; -ENODEV, -ENXIO: nothing in it. *ret_size: all of it; *ret: from malloc. */
int trace_get_regset(struct task *target, unsigned type, void **ret, size_t *ret_size);
/* The size of a kind that can be written, with 0 for others: -EINVAL, -ENODEV... */
int trace_set_regset(struct task *target, unsigned type, const void *buf, size_t len);
int trace_regset_size(struct task *target, unsigned type, size_t *ret);

#endif
