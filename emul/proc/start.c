/* SPDX-License-Identifier: MIT */
/*
 * Host threads. Each task runs on one of its own, with a vCPU from the pool. clone(2) must know whether
 * the new task can have both before anybody sees it: so both are got first, and the thread waits for its task.
 * The parent waits for nothing.
 *
 * Threads whose task has ended wait for another one: making and ending a host thread costs more than all else in a small
 * fork. A thread that the host treats in a special way (affinity, policy, nice: task->host_tuned) is not used again, and a
 * task whose parent runs on such a thread gets a new one, which inherits that from the parent's.
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
#define IDLE_MAX 32 /* threads that wait */

struct host_thread {
	struct list node;  /* idle_lock */
	struct mutex lock;
	struct waitq wq;
	struct task *job;  /* lock: with a reference, which the thread takes over */
};

static struct mutex idle_lock = MUTEX_INIT;
static struct list idle = LIST_INIT(idle); /* idle_lock */
static unsigned nidle;                     /* idle_lock */

static void host_thread_free(struct host_thread *h)
{
	waitq_fini(&h->wq);
	mutex_fini(&h->lock);
	free(h);
}

/* false: there are enough already. */
static bool become_idle(struct host_thread *h)
{
	bool yes;

	mutex_lock(&idle_lock);
	yes = nidle < IDLE_MAX;
	if (yes) {
		list_add(&idle, &h->node);
		nidle++;
	}
	mutex_unlock(&idle_lock);
	return yes;
}

static struct host_thread *take_idle(void)
{
	struct host_thread *h = NULL;

	mutex_lock(&idle_lock);
	if (nidle) {
		h = list_entry(idle.next, struct host_thread, node);
		list_del(&h->node);
		nidle--;
	}
	mutex_unlock(&idle_lock);
	return h;
}

static void give_job(struct host_thread *h, struct task *t)
{
	mutex_lock(&h->lock);
	h->job = task_get(t);
	waitq_wake(&h->wq, 0);
	mutex_unlock(&h->lock);
}

static struct task *wait_job(struct host_thread *h)
{
	struct task *t;

	mutex_lock(&h->lock);
	while (!h->job)
		waitq_sleep_uninterruptible(&h->wq, &h->lock, FOREVER);
	t = steal(h->job);
	mutex_unlock(&h->lock);
	return t;
}

static int take_vcpu(struct task *t, const void *xstate)
{
	struct platform *pf = t->env->platform;
	struct vcpu *v;
	int r = pf->ops->vcpu_get(pf, &v);

	if (r < 0)
		return r;
	r = pf->ops->vcpu_attach(v, t->mm ? mm_aspace(t->mm) : NULL);
	if (r == 0 && xstate)
		r = pf->ops->vcpu_set_xstate(v, xstate);
	else if (r == 0)
		pf->ops->vcpu_reset_xstate(v); /* what its last task left in it */
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

static void run_job(struct task *t)
{
	usage_thread_begins(t);
	waiter_bind(&t->waiter);
	sched_thread_begins(t);
	task_set_current(t);
	run(t);
	task_set_current(NULL);
	mutex_lock(&t->lock); /* who acts on the host thread (sched.c) holds it: afterwards the number may be somebody else's */
	waiter_bind(NULL);
	mutex_unlock(&t->lock);
}

static void *thread_main(void *arg)
{
	struct host_thread *h = arg;
	bool again = true;

	while (again) {
		struct task *t = wait_job(h);

		run_job(t);
		again = !atomic_load(&t->host_tuned) && become_idle(h);
		task_put(t);
	}
	host_thread_free(h);
	return NULL;
}

/* Only the kick, and what the VMM's own faults raise, reach a task's thread. */
static int spawn(struct host_thread *h)
{
	pthread_attr_t attr;
	pthread_t thread;
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
	r = pthread_create(&thread, &attr, thread_main, h);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

static struct host_thread *new_thread(void)
{
	struct host_thread *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return NULL;
	list_init(&h->node);
	mutex_init(&h->lock);
	waitq_init(&h->wq);
	r = spawn(h);
	if (r < 0) {
		log_dbg(PROC, "no thread for a new task: %d", r);
		host_thread_free(h);
		return NULL;
	}
	return h;
}

int task_prepare_thread(struct task *t, void *xstate)
{
	int r = take_vcpu(t, xstate);

	free(xstate);
	if (r < 0)
		return r == -ENOMEM ? r : -EAGAIN;
	t->host = atomic_load(&t->host_tuned) ? NULL : take_idle();
	if (!t->host)
		t->host = new_thread();
	if (t->host)
		return 0;
	drop_vcpu(t);
	return -EAGAIN;
}

void task_release_thread(struct task *t)
{
	give_job(steal(t->host), t);
}

void task_cancel_thread(struct task *t)
{
	struct host_thread *h = steal(t->host);

	drop_vcpu(t);
	mutex_lock(&idle_lock);
	list_add(&idle, &h->node); /* one too many does not matter */
	nidle++;
	mutex_unlock(&idle_lock);
}

int task_start(struct task *t)
{
	int r = task_prepare_thread(t, NULL);

	if (r == 0)
		task_release_thread(t);
	return r;
}
