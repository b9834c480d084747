/* SPDX-License-Identifier: MIT */
/*
 * Semaphore sets. ipc/sem.c. An operation is all or nothing: it is tried under the set's lock; what cannot be done sleeps in
 * one of two queues, and whoever changes a value does the sleepers' operations for them, in order of arrival (first those
 * that only wait for zero), so that none overtakes.
 */
#include <string.h>

#include "emul/base/err.h"
#include "emul/proc/ipc_internal.h"
#include "emul/proc/task.h"
#include "emul/vfs/pseudo.h"

#define SEM_MNI 32000
#define SEM_MSL 32000
#define SEM_MNS (SEM_MNI * SEM_MSL)
#define SEM_VMX 32767
#define SEM_AEM SEM_VMX
#define SEM_USZ 20 /* what sem_undo's size once was */

enum { WAITING = 1 }; /* of operation.status: nothing has been decided */

struct operation {
	struct list node;        /* set->altering or zeroing; empty: decided */
	const struct sembuf *op; /* the first nops */
	unsigned nops, blocking; /* blocking: the one that could not be done */
	struct sem_undo *undo;   /* NULL: no SEM_UNDO among them */
	pid_t pid;
	int status;              /* WAITING, 0 or -errno */
	struct waitq wq;
};

static struct ipc_ids sets;
static int total_sems; /* sets.lock */

static struct sem_set *to_set(struct ipc_object *o)
{
	return container_of(o, struct sem_set, obj);
}

static size_t set_size(unsigned n)
{
	return sizeof(struct sem_set) + n * sizeof(struct sem);
}

static void set_free(struct ipc_object *o)
{
	ipc_object_fini(o);
	free(to_set(o));
}

static int sem_find(int id, struct sem_set **ret)
{
	struct ipc_object *o;
	int r = id < 0 ? -EINVAL : ipc_find(&sets, id, &o);

	if (r < 0)
		return r;
	*ret = to_set(o);
	return 0;
}

/* --- semget ------------------------------------------------------------------------------------------------ */

static int set_make(struct task *t, const void *arg, int flags, struct ipc_object **ret)
{
	unsigned n = *(const unsigned *)arg;
	struct sem_set *s;

	if (!n)
		return -EINVAL;
	if (n > (unsigned)SEM_MNS - (unsigned)total_sems)
		return -ENOSPC;
	if (!kmem_charge(set_size(n)))
		return -ENOMEM;
	s = calloc(1, set_size(n));
	if (!s) {
		kmem_uncharge(set_size(n));
		return -ENOMEM;
	}
	ipc_object_init(&s->obj, set_free, set_size(n));
	list_init(&s->altering);
	list_init(&s->zeroing);
	list_init(&s->undos);
	s->n = n;
	s->ctime = ipc_now();
	*ret = &s->obj;
	return 0;
}

static void set_made(struct ipc_object *o)
{
	total_sems += (int)to_set(o)->n;
}

static int set_check(struct ipc_object *o, const void *arg)
{
	return *(const unsigned *)arg > to_set(o)->n ? -EINVAL : 0;
}

static const struct ipc_kind set_kind = { set_make, set_made, set_check };

long ipc_semget(struct task *t, int key, int nsems, int flags)
{
	unsigned n = (unsigned)nsems;

	if (nsems < 0 || nsems > SEM_MSL)
		return -EINVAL;
	return ipc_get(&sets, t, key, flags, &set_kind, &n);
}

/* --- operations (obj.lock held) ---------------------------------------------------------------------------- */

/* What one of them would make of its semaphore: 0, -ERANGE, WAITING. */
static int step(struct sem_set *s, const struct sembuf *op, struct sem_undo *undo)
{
	int val = s->sem[op->sem_num].val, adjust;

	if (op->sem_op == 0)
		return val ? WAITING : 0;
	val += op->sem_op;
	if (val < 0)
		return WAITING;
	if (val > SEM_VMX)
		return -ERANGE;
	if (op->sem_flg & SEM_UNDO) {
		adjust = undo->adjust[op->sem_num] - op->sem_op;
		if (adjust < -SEM_AEM - 1 || adjust > SEM_AEM)
			return -ERANGE;
		undo->adjust[op->sem_num] = (short)adjust;
	}
	s->sem[op->sem_num].val = (unsigned short)val;
	return 0;
}

static void step_back(struct sem_set *s, const struct sembuf *op, struct sem_undo *undo)
{
	if (!op->sem_op)
		return; /* as in step(): it waited for zero, and has no record */
	s->sem[op->sem_num].val = (unsigned short)(s->sem[op->sem_num].val - op->sem_op);
	if (op->sem_flg & SEM_UNDO)
		undo->adjust[op->sem_num] = (short)(undo->adjust[op->sem_num] + op->sem_op);
}

/* perform_atomic_semop(): 0, -errno, or WAITING and nothing has changed. */
static int perform(struct sem_set *s, struct operation *q)
{
	unsigned i;
	int r = 0;

	for (i = 0; i < q->nops; i++) {
		r = step(s, &q->op[i], q->undo);
		if (r)
			break;
	}
	if (r == 0) {
		for (i = 0; i < q->nops; i++)
			s->sem[q->op[i].sem_num].pid = q->pid;
		return 0;
	}
	q->blocking = i;
	if (r == WAITING && (q->op[i].sem_flg & IPC_NOWAIT))
		r = -EAGAIN;
	while (i-- > 0)
		step_back(s, &q->op[i], q->undo);
	return r;
}

static void decide(struct operation *q, int status)
{
	list_del(&q->node);
	q->status = status;
	waitq_wake(&q->wq, 0);
}

static bool alters(const struct operation *q)
{
	for (unsigned i = 0; i < q->nops; i++)
		if (q->op[i].sem_op)
			return true;
	return false;
}

/* Who only waits for zero changes nothing: one pass does. */
static bool wake_zeroing(struct sem_set *s)
{
	struct operation *q, *next;
	bool any = false;

	list_for_each_safe(q, next, &s->zeroing, node) {
		int r = perform(s, q);

		if (r == WAITING)
			continue;
		decide(q, r);
		any |= r == 0;
	}
	return any;
}

/* The first of the sleepers that can go on, if it changes something. */
static bool wake_one_altering(struct sem_set *s, bool *any)
{
	struct operation *q, *next;

	list_for_each_safe(q, next, &s->altering, node) {
		int r = perform(s, q);

		if (r == WAITING)
			continue;
		decide(q, r);
		*any |= r == 0;
		if (r == 0)
			return true;
	}
	return false;
}

void sem_update_locked(struct sem_set *s, bool stamp)
{
	bool any = stamp;

	mutex_assert_held(&s->obj.lock);
	do
		any |= wake_zeroing(s);
	while (wake_one_altering(s, &any));
	if (any)
		s->otime = ipc_now();
}

/* --- semop ------------------------------------------------------------------------------------------------- */

static int sleep_locked(struct sem_set *s, struct operation *q, struct deadline d) REQUIRES(s->obj.lock)
{
	int r = 0;

	q->status = WAITING;
	waitq_init(&q->wq);
	list_add_tail(alters(q) ? &s->altering : &s->zeroing, &q->node);
	while (q->status == WAITING && r == 0)
		r = waitq_sleep(&q->wq, &s->obj.lock, d);
	if (q->status == WAITING) {
		list_del(&q->node);
		/* Never begun again by itself: signal(7). */
		q->status = r == -ETIMEDOUT ? -EAGAIN : r == -ERESTARTSYS ? -EINTR : r;
	}
	waitq_fini(&q->wq);
	return q->status;
}

static int operate_locked(struct sem_set *s, struct operation *q, struct deadline d) REQUIRES(s->obj.lock)
{
	int r;

	if (s->obj.removed)
		return -EIDRM;
	r = perform(s, q);
	if (r == WAITING)
		return sleep_locked(s, q, d);
	if (r == 0) {
		if (alters(q))
			sem_update_locked(s, true);
		else
			s->otime = ipc_now();
	}
	return r;
}

/* Who may, and whether it has that many. obj.lock held. */
static int check_locked(struct task *t, struct sem_set *s, const struct operation *q)
{
	for (unsigned i = 0; i < q->nops; i++)
		if (q->op[i].sem_num >= s->n)
			return -EFBIG;
	return ipc_may(t->fsc.cred, &s->obj, alters(q) ? 0222 : 0444) ? 0 : -EACCES;
}

static bool wants_undo(const struct sembuf *ops, unsigned nops)
{
	for (unsigned i = 0; i < nops; i++)
		if ((ops[i].sem_flg & SEM_UNDO) && ops[i].sem_op)
			return true;
	return false;
}

long ipc_semop(struct task *t, int id, const struct sembuf *ops, unsigned nops, struct deadline d)
{
	struct operation q = { .op = ops, .nops = nops, .pid = t->proc->pid };
	struct sem_set *s;
	int r;

	r = sem_find(id, &s);
	if (r < 0)
		return r;
	if (wants_undo(ops, nops))
		r = sem_undo_find(t, s, &q.undo);
	if (r == 0) {
		mutex_lock(&s->obj.lock);
		r = check_locked(t, s, &q);
		if (r == 0)
			r = operate_locked(s, &q, d);
		mutex_unlock(&s->obj.lock);
	}
	ipc_object_put(&s->obj);
	return r;
}

/* --- semctl ------------------------------------------------------------------------------------------------ */

long ipc_sem_stat(struct task *t, int id, int cmd, struct semid64_ds *ret)
{
	struct ipc_object *o;
	int r = ipc_find_for_stat(&sets, id, cmd, &o);

	if (r < 0)
		return r;
	mutex_lock(&o->lock);
	if (cmd != SEM_STAT_ANY && !ipc_may(t->fsc.cred, o, 0444))
		r = -EACCES;
	else if (o->removed)
		r = -EIDRM;
	if (r == 0) {
		struct sem_set *s = to_set(o);

		memset(ret, 0, sizeof(*ret));
		ipc_fill_perm(o, &ret->sem_perm);
		ret->sem_otime = s->otime;
		ret->sem_ctime = s->ctime;
		ret->sem_nsems = s->n;
		r = cmd == IPC_STAT ? 0 : o->id;
	}
	mutex_unlock(&o->lock);
	ipc_object_put(o);
	return r;
}

long ipc_sem_set(struct task *t, int id, const struct semid64_ds *ds)
{
	struct sem_set *s;
	int r = sem_find(id, &s);

	if (r < 0)
		return r;
	r = ipc_lock_control(t, &s->obj);
	if (r == 0) {
		r = ipc_set_perm(&s->obj, &ds->sem_perm);
		if (r == 0)
			s->ctime = ipc_now();
		mutex_unlock(&s->obj.lock);
	}
	ipc_object_put(&s->obj);
	return r;
}

/* freeary(): sleepers learn of it, and nothing is undone at anybody's end. */
static void dismiss_locked(struct sem_set *s)
{
	struct operation *q, *next;
	struct sem_undo *u, *next_undo;

	list_for_each_safe(u, next_undo, &s->undos, set_node)
		list_del(&u->set_node);
	list_for_each_safe(q, next, &s->zeroing, node)
		decide(q, -EIDRM);
	list_for_each_safe(q, next, &s->altering, node)
		decide(q, -EIDRM);
	total_sems -= (int)s->n;
}

long ipc_sem_remove(struct task *t, int id) NO_LOCK_ANALYSIS /* clang 14 loses what r says */
{
	struct sem_set *s;
	int r = sem_find(id, &s);

	if (r < 0)
		return r;
	mutex_lock(&sets.lock);
	r = ipc_lock_control(t, &s->obj);
	if (r == 0) {
		ipc_remove_locked(&sets, &s->obj);
		dismiss_locked(s);
		mutex_unlock(&s->obj.lock);
	}
	mutex_unlock(&sets.lock);
	if (r == 0)
		ipc_object_put(&s->obj); /* the table's */
	ipc_object_put(&s->obj);
	return r;
}

/* How many sleep because of semaphore num: only the operation that blocks each counts. */
static int count_sleepers(struct sem_set *s, int num, bool zero)
{
	struct list *queue[] = { &s->altering, &s->zeroing };
	struct operation *q;
	int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(queue); i++)
		list_for_each(q, queue[i], node) {
			const struct sembuf *op = &q->op[q->blocking];

			n += op->sem_num == num && (zero ? op->sem_op == 0 : op->sem_op < 0);
		}
	return n;
}

static long get_locked(struct sem_set *s, int num, int cmd)
{
	switch (cmd) {
	case GETVAL: return s->sem[num].val;
	case GETPID: return s->sem[num].pid;
	case GETNCNT: return count_sleepers(s, num, false);
	default: return count_sleepers(s, num, true);
	}
}

long ipc_sem_get(struct task *t, int id, int num, int cmd)
{
	struct sem_set *s;
	long r = sem_find(id, &s);

	if (r < 0)
		return r;
	mutex_lock(&s->obj.lock);
	if (!ipc_may(t->fsc.cred, &s->obj, 0444))
		r = -EACCES;
	else if (s->obj.removed)
		r = -EIDRM;
	else
		r = num < 0 || (unsigned)num >= s->n ? -EINVAL : get_locked(s, num, cmd);
	mutex_unlock(&s->obj.lock);
	ipc_object_put(&s->obj);
	return r;
}

/* A value set by force: what processes would undo of it is forgotten. */
static void assign_locked(struct task *t, struct sem_set *s, unsigned num, unsigned short val)
{
	struct sem_undo *u;

	list_for_each(u, &s->undos, set_node)
		u->adjust[num] = 0;
	s->sem[num] = (struct sem){ val, t->proc->pid };
}

long ipc_sem_setval(struct task *t, int id, int num, int val)
{
	struct sem_set *s;
	int r;

	if (val < 0 || val > SEM_VMX)
		return -ERANGE;
	r = sem_find(id, &s);
	if (r < 0)
		return r;
	mutex_lock(&s->obj.lock);
	if (num < 0 || (unsigned)num >= s->n)
		r = -EINVAL;
	else if (!ipc_may(t->fsc.cred, &s->obj, 0222))
		r = -EACCES;
	else if (s->obj.removed)
		r = -EIDRM;
	if (r == 0) {
		assign_locked(t, s, (unsigned)num, (unsigned short)val);
		s->ctime = ipc_now();
		sem_update_locked(s, false);
	}
	mutex_unlock(&s->obj.lock);
	ipc_object_put(&s->obj);
	return r;
}

long ipc_sem_count(struct task *t, int id, int cmd)
{
	struct sem_set *s;
	long r = sem_find(id, &s);

	if (r < 0)
		return r;
	mutex_lock(&s->obj.lock);
	r = ipc_may(t->fsc.cred, &s->obj, cmd == SETALL ? 0222 : 0444) ? (long)s->n : -EACCES;
	mutex_unlock(&s->obj.lock);
	ipc_object_put(&s->obj);
	return r;
}

long ipc_sem_getall(struct task *t, int id, unsigned short *val, unsigned n)
{
	struct sem_set *s;
	int r = sem_find(id, &s);

	if (r < 0)
		return r;
	mutex_lock(&s->obj.lock);
	r = s->obj.removed || s->n != n ? -EIDRM : 0;
	for (unsigned i = 0; r == 0 && i < n; i++)
		val[i] = s->sem[i].val;
	mutex_unlock(&s->obj.lock);
	ipc_object_put(&s->obj);
	return r;
}

long ipc_sem_setall(struct task *t, int id, const unsigned short *val, unsigned n)
{
	struct sem_set *s;
	int r;

	for (unsigned i = 0; i < n; i++)
		if (val[i] > SEM_VMX)
			return -ERANGE;
	r = sem_find(id, &s);
	if (r < 0)
		return r;
	mutex_lock(&s->obj.lock);
	r = s->obj.removed || s->n != n ? -EIDRM : 0;
	if (r == 0) {
		for (unsigned i = 0; i < n; i++)
			assign_locked(t, s, i, val[i]);
		s->ctime = ipc_now();
		sem_update_locked(s, false);
	}
	mutex_unlock(&s->obj.lock);
	ipc_object_put(&s->obj);
	return r;
}

long ipc_sem_info(struct seminfo *ret, bool usage)
{
	int in_use, last = ipc_last_index(&sets, &in_use);

	*ret = (struct seminfo){ .semmap = SEM_MNS, .semmni = SEM_MNI, .semmns = SEM_MNS, .semmnu = SEM_MNS,
				 .semmsl = SEM_MSL, .semopm = IPC_SEMOPM, .semume = IPC_SEMOPM, .semusz = SEM_USZ,
				 .semvmx = SEM_VMX, .semaem = SEM_AEM };
	if (usage) {
		ret->semusz = in_use;
		mutex_lock(&sets.lock);
		ret->semaem = total_sems;
		mutex_unlock(&sets.lock);
	}
	return last;
}

void ipc_sem_show(struct seq *out)
{
	struct ipc_object *o;

	seq_puts(out, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
	for (int i = 0; (o = ipc_next(&sets, &i)); i++) {
		struct sem_set *s = to_set(o);

		mutex_lock(&o->lock);
		seq_printf(out, "%10d %10d  %4o %10u %5u %5u %5u %5u %10llu %10llu\n", o->key, o->id, o->mode, s->n, o->uid,
			   o->gid, o->cuid, o->cgid, (unsigned long long)s->otime, (unsigned long long)s->ctime);
		mutex_unlock(&o->lock);
		ipc_object_put(o);
	}
}

void ipc_sem_boot(void)
{
	static struct sysctl most = { SEM_MNI, SEM_MNI, SEM_MNI };

	ipc_ids_init(&sets, &most);
}
