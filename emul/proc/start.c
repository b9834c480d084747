/* SPDX-License-Identifier: MIT */
/*
 * Host threads. Each task runs on one of its own, with a vCPU from the pool. clone(2) must know whether
 * the new task can have both before anybody sees it: so both are made first, the vCPU by the parent's thread, and
 * the new thread waits to be released. The parent waits for nothing.
 */
/* host syscalls: clone3 rt_sigprocmask mmap munmap mprotect */
#include <linux/ptrace.h>
#include <stdlib.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/task.h"

/* What runs on it is bounded: path buffers and iovecs, no recursion. Sanitizers blow frames up. */
#ifdef __SANITIZE_ADDRESS__
#define HOST_STACK ((size_t)2 << 20)
#else
#define HOST_STACK ((size_t)256 << 10)
#endif

enum start_state { PREPARED, RUN, CANCELLED };

struct task_start {
	struct task *task; /* the new thread's reference */
	struct mutex lock;
	struct waitq wq;
	/* lock: */
	enum start_state state;
	unsigned users; /* parent and child; the last one frees */
};

static void start_put(struct task_start *s)
{
	bool last;

	mutex_lock(&s->lock);
	last = --s->users == 0;
	mutex_unlock(&s->lock);
	if (!last)
		return;
	waitq_fini(&s->wq);
	mutex_fini(&s->lock);
	free(s);
}

static void set_state(struct task_start *s, enum start_state state)
{
	mutex_lock(&s->lock);
	s->state = state;
	waitq_wake(&s->wq, 0);
	mutex_unlock(&s->lock);
}

static enum start_state wait_state(struct task_start *s)
{
	enum start_state state;

	mutex_lock(&s->lock);
	while (s->state == PREPARED)
		waitq_sleep_uninterruptible(&s->wq, &s->lock, FOREVER);
	state = s->state;
	mutex_unlock(&s->lock);
	return state;
}

static int take_vcpu(struct task *t, const void *xstate)
{
	struct platform *pf = t->env->platform;
	struct vcpu *v;
	int r = pf->ops->vcpu_get(pf, &v);

	if (r < 0)
		return r;
	r = pf->ops->vcpu_attach(v, t->mm ? mm_aspace(t->mm) : NULL);
	if (r == 0) {
		pf->ops->vcpu_reset_xstate(v); /* what its last task left in it */
		if (xstate)
			r = pf->ops->vcpu_set_xstate(v, xstate);
	}
	if (r < 0) {
		pf->ops->vcpu_put(v);
		return r;
	}
	mutex_lock(&t->proc->lock);
	t->vcpu = v;
	mutex_unlock(&t->proc->lock);
	return 0;
}

static void run(struct task *t)
{
	t->env->task_run(t);
	if (!t->exiting) /* the loop gave up on it */
		task_exit(t, SIGKILL);
	trace_event(t, PTRACE_EVENT_EXIT, (unsigned long)t->exit_code);
	if (t->env->task_gone)
		t->env->task_gone(t);
	task_teardown(t);
}

static void drop_vcpu(struct task *t)
{
	struct vcpu *v;

	mutex_lock(&t->proc->lock);
	v = steal(t->vcpu);
	mutex_unlock(&t->proc->lock);
	if (v)
		t->env->platform->ops->vcpu_put(v);
}

static void *thread_main(void *arg)
{
	struct task_start *s = arg;
	struct task *t = s->task;
	bool go;

	waiter_bind(&t->waiter);
	task_set_current(t);
	go = wait_state(s) == RUN;
	start_put(s);
	if (go)
		run(t);
	else
		drop_vcpu(t);
	task_set_current(NULL);
	waiter_bind(NULL);
	task_put(t);
	return NULL;
}

/* Only the kick, and what the VMM's own faults raise, reach a task's thread. */
static int spawn(struct task *t, struct task_start *s)
{
	pthread_attr_t attr;
	sigset_t mask, old;
	int r;

	sigfillset(&mask);
	sigdelset(&mask, SIG_KICK);
	sigdelset(&mask, SIGSEGV);
	sigdelset(&mask, SIGBUS);
	sigdelset(&mask, SIGFPE);
	sigdelset(&mask, SIGILL);
	sigdelset(&mask, SIGTRAP);
	sigdelset(&mask, SIGABRT);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, HOST_STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &mask, &old);
	r = pthread_create(&t->thread, &attr, thread_main, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

int task_prepare_thread(struct task *t, void *xstate)
{
	struct task_start *s = calloc(1, sizeof(*s));
	int r = s ? take_vcpu(t, xstate) : -ENOMEM;

	free(xstate);
	if (r < 0) {
		free(s);
		return r == -ENOMEM ? r : -EAGAIN;
	}
	mutex_init(&s->lock);
	waitq_init(&s->wq);
	s->users = 2;
	s->task = task_get(t);
	t->start = s;
	r = spawn(t, s);
	if (r < 0) {
		log_dbg(PROC, "no thread for a new task: %d", r);
		task_put(t);
		start_put(s); /* for the thread that is not there */
		start_put(s);
		t->start = NULL;
		drop_vcpu(t);
		return -EAGAIN;
	}
	return 0;
}

void task_release_thread(struct task *t, bool go)
{
	struct task_start *s = steal(t->start);

	set_state(s, go ? RUN : CANCELLED);
	start_put(s);
}

int task_start(struct task *t)
{
	int r = task_prepare_thread(t, NULL);

	if (r == 0)
		task_release_thread(t, true);
	return r;
}
