/* SPDX-License-Identifier: MIT */
/*
 * Process and thread ids: one hash table of all tasks, one list of all processes, tasks_lock around
 * both. A task is findable while it lives; a leader until its process is reaped. The table holds a
 * reference, so what is found is alive enough to be looked at.
 *
 * Ids go up and start again at 300, as Linux' do; an id that still names a process group or a session
 * is not given out.
 */
#include <linux/capability.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/proc/ipc.h"
#include "emul/proc/kmem.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/signal_internal.h"
#include "emul/proc/task.h"

#define PID_MAX 4194304 /* PID_MAX_LIMIT */
#define PID_RESTART 300 /* RESERVED_PIDS */
#define NBUCKETS 1024

struct mutex tasks_lock = MUTEX_INIT;

static struct list buckets[NBUCKETS];
struct list pid_procs = LIST_INIT(pid_procs);
unsigned pid_ntasks;
static pid_t last_pid;
static bool wrapped; /* from then on a free id may still be a group's or a session's */

struct proc *pid_init;

/* Who ignores SIGCHLD leaves no zombies: so init needs no thread that waits. */
static int make_init(struct instance_env *env)
{
	struct proc *p = proc_new(env);
	struct task *t = p ? task_new(env, p) : NULL;
	struct cred *c = cred_new(0);

	if (t && c)
		p->sighand = sighand_new();
	if (!t || !c || !p->sighand) {
		cred_put(c);
		task_put(t);
		proc_put(p);
		return -ENOMEM;
	}
	c->cap_permitted = c->cap_effective = c->cap_bounding = ~(uint64_t)0 >> (63 - CAP_LAST_CAP);
	t->cred = c;
	t->fsc.cred = c;
	t->tid = t->fsc.tid = t->fsc.pid = p->pid = p->pgid = p->sid = 1;
	t->state = TASK_SLEEPING;
	task_set_comm(t, "init");
	p->is_init = true;
	p->sighand->action[SIGCHLD].handler = HANDLER_IGN;
	for (int i = 0; i < NR_RLIMITS; i++)
		p->limits[i] = (struct rlimit64){ RLIM64_INFINITY, RLIM64_INFINITY };
	mutex_lock(&tasks_lock);
	p->leader = task_get(t);
	list_add_tail(&p->threads, &t->thread_node);
	p->nthreads = p->nlive = 1;
	pid_add_locked(t);
	pid_add_proc_locked(p);
	mutex_unlock(&tasks_lock);
	task_put(t);
	pid_init = p;
	return 0;
}

int tasks_boot(struct instance_env *env)
{
	for (int i = 0; i < NBUCKETS; i++)
		list_init(&buckets[i]);
	list_init(&pid_procs);
	pid_ntasks = 0;
	last_pid = getpid() - 1; /* the first program gets the VMM's own id: any but 1 would do */
	wrapped = false;
	futex_boot();
	kmem_boot(env->memory_limit);
	ipc_boot();
	ctty_boot();
	sigio_boot();
	return make_init(env);
}

/* Threads of the processes that a user has; all threads of a process have its leader's ids. tasks_lock held. */
static uint64_t threads_of(uid_t uid)
{
	struct proc *p;
	uint64_t n = 0;

	list_for_each(p, &pid_procs, all_node) {
		mutex_lock(&p->lock);
		if (p->leader) {
			AUTO(cred) c = task_get_cred(p->leader);

			n += c && c->uid == uid ? MAX(p->nthreads, 1u) : 0; /* zombies count */
		}
		mutex_unlock(&p->lock);
	}
	return n;
}

bool pid_over_nproc_locked(struct task *t)
{
	uint64_t limit = proc_rlimit(t->proc, RLIMIT_NPROC);
	uid_t uid = t->fsc.cred->uid;

	mutex_assert_held(&tasks_lock);
	return uid && limit < RLIM64_INFINITY && threads_of(uid) >= limit;
}

static struct list *bucket(pid_t tid)
{
	return &buckets[(unsigned)tid % NBUCKETS];
}

struct task *pid_lookup_locked(pid_t tid)
{
	struct task *t;

	mutex_assert_held(&tasks_lock);
	if (tid <= 0)
		return NULL;
	list_for_each(t, bucket(tid), tid_node)
		if (t->tid == tid)
			return t;
	return NULL;
}

static bool names_a_group(pid_t id)
{
	struct proc *p;

	list_for_each(p, &pid_procs, all_node)
		if (p->pgid == id || p->sid == id)
			return true;
	return false;
}

static bool is_free(pid_t id)
{
	return !pid_lookup_locked(id) && !(wrapped && names_a_group(id));
}

int pid_alloc_locked(pid_t want)
{
	if (want)
		return want < 1 || want >= PID_MAX ? -EINVAL : is_free(want) ? want : -EEXIST;
	for (int tries = 0; tries < PID_MAX; tries++) {
		if (++last_pid >= PID_MAX) {
			last_pid = PID_RESTART;
			wrapped = true;
		}
		if (is_free(last_pid))
			return last_pid;
	}
	return -EAGAIN;
}

void pid_add_locked(struct task *t)
{
	mutex_assert_held(&tasks_lock);
	list_add(bucket(t->tid), &task_get(t)->tid_node);
}

void pid_remove_locked(struct task *t)
{
	mutex_assert_held(&tasks_lock);
	list_del(&t->tid_node);
	atomic_store(&t->id_gone, true);
}

void pid_move_locked(struct task *t, pid_t tid)
{
	mutex_assert_held(&tasks_lock);
	list_del(&t->tid_node);
	atomic_store(&t->id_gone, true); /* the old one: pidfds of the new one are the process' */
	t->tid = tid;
	list_add(bucket(tid), &t->tid_node);
}

void pid_add_proc_locked(struct proc *p)
{
	mutex_assert_held(&tasks_lock);
	list_add_tail(&pid_procs, &proc_get(p)->all_node);
}

void pid_remove_proc_locked(struct proc *p)
{
	mutex_assert_held(&tasks_lock);
	list_del(&p->all_node);
}

/* --- look-up ---------------------------------------------------------------------------------------- */

struct task *task_find(pid_t tid)
{
	struct task *t;

	mutex_lock(&tasks_lock);
	t = pid_lookup_locked(tid);
	if (t)
		task_get(t);
	mutex_unlock(&tasks_lock);
	return t;
}

struct proc *proc_find(pid_t pid)
{
	struct proc *p = NULL;
	struct task *t;

	mutex_lock(&tasks_lock);
	t = pid_lookup_locked(pid);
	if (t && t->proc->pid == pid)
		p = proc_get(t->proc);
	mutex_unlock(&tasks_lock);
	return p;
}

struct proc *proc_next(pid_t *pid)
{
	struct proc *p, *best = NULL;

	mutex_lock(&tasks_lock);
	list_for_each(p, &pid_procs, all_node)
		if (p->pid >= *pid && (!best || p->pid < best->pid))
			best = p;
	if (best) {
		proc_get(best);
		*pid = best->pid;
	}
	mutex_unlock(&tasks_lock);
	return best;
}

struct task *proc_thread_next(struct proc *p, pid_t *tid)
{
	struct task *t, *best = NULL;

	mutex_lock(&tasks_lock);
	list_for_each(t, &p->threads, thread_node)
		if (t->tid >= *tid && (!best || t->tid < best->tid))
			best = t;
	/* A leader that ended before its threads is still shown. */
	if (p->leader && !p->reaped && p->leader->tid >= *tid && (!best || p->leader->tid < best->tid))
		best = p->leader;
	if (best) {
		task_get(best);
		*tid = best->tid;
	}
	mutex_unlock(&tasks_lock);
	return best;
}

pid_t pid_last(void)
{
	pid_t pid;

	mutex_lock(&tasks_lock);
	pid = last_pid;
	mutex_unlock(&tasks_lock);
	return pid;
}

unsigned tasks_count(void)
{
	unsigned n;

	mutex_lock(&tasks_lock);
	n = pid_ntasks;
	mutex_unlock(&tasks_lock);
	return n;
}
