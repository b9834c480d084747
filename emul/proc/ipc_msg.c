/* SPDX-License-Identifier: MIT */
/*
 * Message queues. ipc/msg.c. A message goes straight to the first receiver that sleeps for one like it; only without one it is
 * queued. So receivers are served in order of arrival, and a queue never holds what somebody waits for.
 */
#include <limits.h>
#include <linux/capability.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/proc/ipc_internal.h"
#include "emul/proc/task.h"
#include "emul/vfs/pseudo.h"

#define MSG_MNI ((int)sysctl_get(&sysctl_msgmni))
#define MSG_MNB ((unsigned)sysctl_get(&sysctl_msgmnb)) /* bytes in a queue, unless set */
#define MSG_SSZ 16
#define MSG_SEG 0xffff

struct ipc_msg {
	struct list node;
	long type;
	size_t size;
	char data[];
};

struct queue {
	struct ipc_object obj;
	/* obj.lock: */
	struct list messages, receivers;
	struct waitq senders;
	uint64_t nbytes, n, limit; /* limit: of bytes, and of messages too */
	pid_t last_sender, last_receiver;
	time_t stime, rtime, ctime;
};

enum match { ANY, EQUAL, NOT_EQUAL, LESS_EQUAL, NUMBER };

struct receiver {
	struct list node;      /* queue->receivers; empty: decided */
	enum match match;
	long type;             /* the type, or with MSG_COPY the number */
	size_t room;           /* of its buffer */
	size_t max;            /* the longest message it takes; the others are its error */
	pid_t pid;
	bool done;
	int status;            /* of done: 0 or -errno; -EAGAIN: look again */
	struct ipc_msg *msg;
	struct waitq wq;
};

static struct ipc_ids queues;

static struct queue *to_queue(struct ipc_object *o)
{
	return container_of(o, struct queue, obj);
}

/* --- messages ------------------------------------------------------------------------------------------ */

struct ipc_msg *ipc_msg_new(long type, size_t size)
{
	struct ipc_msg *m = kmem_charge(sizeof(*m) + size) ? malloc(sizeof(*m) + size) : NULL;

	if (!m)
		return NULL;
	list_init(&m->node);
	m->type = type;
	m->size = size;
	return m;
}

char *ipc_msg_data(struct ipc_msg *m) { return m->data; }
long ipc_msg_type(const struct ipc_msg *m) { return m->type; }
size_t ipc_msg_size(const struct ipc_msg *m) { return m->size; }

void ipc_msg_free(struct ipc_msg *m)
{
	if (!m)
		return;
	kmem_uncharge(sizeof(*m) + m->size);
	free(m);
}

static struct ipc_msg *copy_of(const struct ipc_msg *m)
{
	struct ipc_msg *c = ipc_msg_new(m->type, m->size);

	if (c)
		memcpy(c->data, m->data, m->size);
	return c;
}

/* --- msgget ---------------------------------------------------------------------------------------------- */

static void queue_free(struct ipc_object *o)
{
	struct queue *q = to_queue(o);
	struct ipc_msg *m, *next;

	list_for_each_safe(m, next, &q->messages, node)
		ipc_msg_free(m);
	waitq_fini(&q->senders);
	ipc_object_fini(o);
	free(q);
}

static int queue_make(struct task *t, const void *arg, int flags, struct ipc_object **ret)
{
	struct queue *q;

	if (!kmem_charge(sizeof(*q)))
		return -ENOMEM;
	q = calloc(1, sizeof(*q));
	if (!q) {
		kmem_uncharge(sizeof(*q));
		return -ENOMEM;
	}
	ipc_object_init(&q->obj, queue_free, sizeof(*q));
	list_init(&q->messages);
	list_init(&q->receivers);
	waitq_init(&q->senders);
	q->limit = MSG_MNB;
	q->ctime = ipc_now();
	*ret = &q->obj;
	return 0;
}

static const struct ipc_kind queue_kind = { queue_make, NULL, NULL };

long ipc_msgget(struct task *t, int key, int flags)
{
	return ipc_get(&queues, t, key, flags, &queue_kind, NULL);
}

static int queue_find(int id, struct queue **ret)
{
	struct ipc_object *o;
	int r = id < 0 ? -EINVAL : ipc_find(&queues, id, &o);

	if (r < 0)
		return r;
	*ret = to_queue(o);
	return 0;
}

/* --- msgsnd (obj.lock held) --------------------------------------------------------------------------------- */

static bool matches(const struct receiver *r, const struct ipc_msg *m)
{
	switch (r->match) {
	case EQUAL: return m->type == r->type;
	case NOT_EQUAL: return m->type != r->type;
	case LESS_EQUAL: return m->type <= r->type;
	default: return true;
	}
}

static void decide(struct receiver *r, int status, struct ipc_msg *m)
{
	list_del(&r->node);
	r->done = true;
	r->status = status;
	r->msg = m;
	waitq_wake(&r->wq, 0);
}

/* pipelined_send(): who has no room for it learns so, and the next may have it. */
static bool hand_over(struct queue *q, struct ipc_msg *m)
{
	struct receiver *r, *next;

	list_for_each_safe(r, next, &q->receivers, node) {
		if (!matches(r, m))
			continue;
		if (r->max < m->size) {
			decide(r, -E2BIG, NULL);
			continue;
		}
		q->last_receiver = r->pid;
		q->rtime = ipc_now();
		decide(r, 0, m);
		return true;
	}
	return false;
}

static bool has_room(const struct queue *q, const struct ipc_msg *m)
{
	return m->size + q->nbytes <= q->limit && 1 + q->n <= q->limit;
}

/* Looked at anew after each sleep: mode and life of the queue may have changed. */
static int may_locked(struct task *t, struct queue *q, int mode)
{
	if (!ipc_may(t->fsc.cred, &q->obj, mode))
		return -EACCES;
	return q->obj.removed ? -EIDRM : 0;
}

static int wait_for_room(struct task *t, struct queue *q, const struct ipc_msg *m, int flags) REQUIRES(q->obj.lock)
{
	int r = may_locked(t, q, 0222);

	while (r == 0 && !has_room(q, m)) {
		if (flags & IPC_NOWAIT)
			return -EAGAIN;
		r = waitq_sleep(&q->senders, &q->obj.lock, FOREVER);
		if (r == 0 && q->obj.removed)
			return -EIDRM;
		if (r == 0)
			r = may_locked(t, q, 0222);
	}
	return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
}

static void send_locked(struct task *t, struct queue *q, struct ipc_msg *m)
{
	q->last_sender = t->proc->pid;
	q->stime = ipc_now();
	if (hand_over(q, m))
		return;
	list_add_tail(&q->messages, &m->node);
	q->nbytes += m->size;
	q->n++;
}

long ipc_msgsnd(struct task *t, int id, struct ipc_msg *m, int flags)
{
	struct queue *q;
	int r = queue_find(id, &q);

	if (r < 0)
		return r;
	mutex_lock(&q->obj.lock);
	r = wait_for_room(t, q, m, flags);
	if (r == 0)
		send_locked(t, q, m);
	mutex_unlock(&q->obj.lock);
	ipc_object_put(&q->obj);
	return r;
}

/* --- msgrcv ----------------------------------------------------------------------------------------------- */

static void set_match(struct receiver *r, long type, int flags)
{
	r->type = type;
	if (flags & MSG_COPY) {
		r->match = NUMBER;
	} else if (type == 0) {
		r->match = ANY;
	} else if (type < 0) {
		r->match = LESS_EQUAL;
		r->type = type == LONG_MIN ? LONG_MAX : -type;
	} else {
		r->match = flags & MSG_EXCEPT ? NOT_EQUAL : EQUAL;
	}
}

/* find_msg(): of the types up to one, the lowest; else the first that fits. */
static struct ipc_msg *pick(struct queue *q, const struct receiver *r)
{
	struct ipc_msg *m, *found = NULL;
	long number = 0;

	list_for_each(m, &q->messages, node) {
		if (r->match == NUMBER) {
			if (number++ == r->type)
				return m;
			continue;
		}
		if (!matches(r, m) || (found && m->type >= found->type))
			continue;
		found = m;
		if (r->match != LESS_EQUAL || m->type == 1)
			break;
	}
	return found;
}

static int take_locked(struct task *t, struct queue *q, struct receiver *r, struct ipc_msg *m, int flags)
{
	if (m->size > r->max)
		return -E2BIG;
	if (flags & MSG_COPY) {
		if (m->size > r->room)
			return -EINVAL; /* a copy is not cut: copy_msg() */
		r->msg = copy_of(m);
		return r->msg ? 0 : -ENOMEM;
	}
	list_del(&m->node);
	q->nbytes -= m->size;
	q->n--;
	q->rtime = ipc_now();
	q->last_receiver = t->proc->pid;
	r->msg = m;
	waitq_wake(&q->senders, 0);
	return 0;
}

static int wait_for_message(struct queue *q, struct receiver *r) REQUIRES(q->obj.lock)
{
	int e = 0;

	r->done = false;
	waitq_init(&r->wq);
	list_add_tail(&q->receivers, &r->node);
	while (!r->done && e == 0)
		e = waitq_sleep(&r->wq, &q->obj.lock, FOREVER);
	if (!r->done) {
		list_del(&r->node);
		r->status = e == -ERESTARTSYS ? -ERESTARTNOHAND : e;
	}
	waitq_fini(&r->wq);
	return r->status;
}

static int receive_locked(struct task *t, struct queue *q, struct receiver *r, int flags) REQUIRES(q->obj.lock)
{
	int e;

	do {
		struct ipc_msg *m;

		e = may_locked(t, q, 0444);
		if (e < 0)
			return e;
		m = pick(q, r);
		if (m)
			return take_locked(t, q, r, m, flags);
		if (flags & IPC_NOWAIT)
			return -ENOMSG;
		e = wait_for_message(q, r);
	} while (e == -EAGAIN);
	return e;
}

long ipc_msgrcv(struct task *t, int id, size_t size, long type, int flags, struct ipc_msg **ret)
{
	struct receiver r = { .room = size, .max = flags & MSG_NOERROR ? SIZE_MAX : size, .pid = t->proc->pid };
	struct queue *q;
	int e;

	if (id < 0 || (ssize_t)size < 0)
		return -EINVAL;
	if ((flags & MSG_COPY) && ((flags & MSG_EXCEPT) || !(flags & IPC_NOWAIT)))
		return -EINVAL;
	set_match(&r, type, flags);
	e = queue_find(id, &q);
	if (e < 0)
		return e;
	mutex_lock(&q->obj.lock);
	e = receive_locked(t, q, &r, flags);
	mutex_unlock(&q->obj.lock);
	ipc_object_put(&q->obj);
	if (e == 0)
		*ret = r.msg;
	return e;
}

/* --- msgctl ------------------------------------------------------------------------------------------------ */

long ipc_msg_stat(struct task *t, int id, int cmd, struct msqid64_ds *ret)
{
	struct ipc_object *o;
	int r = ipc_find_for_stat(&queues, id, cmd, &o);

	if (r < 0)
		return r;
	mutex_lock(&o->lock);
	if (cmd != MSG_STAT_ANY && !ipc_may(t->fsc.cred, o, 0444))
		r = -EACCES;
	else if (o->removed)
		r = -EIDRM;
	if (r == 0) {
		struct queue *q = to_queue(o);

		*ret = (struct msqid64_ds){ .msg_stime = q->stime, .msg_rtime = q->rtime, .msg_ctime = q->ctime,
					    .msg_cbytes = q->nbytes, .msg_qnum = q->n, .msg_qbytes = q->limit,
					    .msg_lspid = q->last_sender, .msg_lrpid = q->last_receiver };
		ipc_fill_perm(o, &ret->msg_perm);
		r = cmd == IPC_STAT ? 0 : o->id;
	}
	mutex_unlock(&o->lock);
	ipc_object_put(o);
	return r;
}

static void dismiss_locked(struct queue *q, int status)
{
	struct receiver *r, *next;

	list_for_each_safe(r, next, &q->receivers, node)
		decide(r, status, NULL);
	waitq_wake(&q->senders, 0);
}

static int set_locked(struct task *t, struct queue *q, const struct msqid64_ds *ds)
{
	int r;

	if (ds->msg_qbytes > MSG_MNB && !cred_capable(t->fsc.cred, CAP_SYS_RESOURCE))
		return -EPERM;
	r = ipc_set_perm(&q->obj, &ds->msg_perm);
	if (r < 0)
		return r;
	q->limit = ds->msg_qbytes;
	q->ctime = ipc_now();
	/* Who sleeps may have lost the right, or got the room. */
	dismiss_locked(q, -EAGAIN);
	return 0;
}

long ipc_msg_set(struct task *t, int id, const struct msqid64_ds *ds)
{
	struct queue *q;
	int r = queue_find(id, &q);

	if (r < 0)
		return r;
	r = ipc_lock_control(t, &q->obj);
	if (r == 0) {
		r = set_locked(t, q, ds);
		mutex_unlock(&q->obj.lock);
	}
	ipc_object_put(&q->obj);
	return r;
}

long ipc_msg_remove(struct task *t, int id) NO_LOCK_ANALYSIS /* clang 14 loses what r says */
{
	struct queue *q;
	int r = queue_find(id, &q);

	if (r < 0)
		return r;
	mutex_lock(&queues.lock);
	r = ipc_lock_control(t, &q->obj);
	if (r == 0) {
		ipc_remove_locked(&queues, &q->obj);
		dismiss_locked(q, -EIDRM);
		mutex_unlock(&q->obj.lock);
	}
	mutex_unlock(&queues.lock);
	if (r == 0)
		ipc_object_put(&q->obj); /* the table's */
	ipc_object_put(&q->obj);
	return r;
}

static void add_usage(struct msginfo *ret)
{
	struct ipc_object *o;

	for (int i = 0; (o = ipc_next(&queues, &i)); i++) {
		mutex_lock(&o->lock);
		ret->msgmap += (int)to_queue(o)->n;
		ret->msgtql += (int)to_queue(o)->nbytes;
		mutex_unlock(&o->lock);
		ipc_object_put(o);
	}
}

long ipc_msg_info(struct msginfo *ret, bool usage)
{
	int in_use, last = ipc_last_index(&queues, &in_use);

	*ret = (struct msginfo){ .msgmax = (int)sysctl_get(&sysctl_msgmax), .msgmnb = (int)MSG_MNB, .msgmni = MSG_MNI, .msgssz = MSG_SSZ,
				 .msgseg = MSG_SEG };
	if (usage) {
		ret->msgpool = in_use;
		add_usage(ret);
	} else {
		ret->msgpool = MSG_MNI * (int)(MSG_MNB / 1024);
		ret->msgmap = ret->msgtql = (int)MSG_MNB;
	}
	return last;
}

void ipc_msg_show(struct seq *out)
{
	struct ipc_object *o;

	seq_puts(out, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime"
		      "      rtime      ctime\n");
	for (int i = 0; (o = ipc_next(&queues, &i)); i++) {
		struct queue *q = to_queue(o);

		mutex_lock(&o->lock);
		seq_printf(out, "%10d %10d  %4o  %10llu %10llu %5u %5u %5u %5u %5u %5u %10llu %10llu %10llu\n", o->key, o->id,
			   o->mode, (unsigned long long)q->nbytes, (unsigned long long)q->n, (unsigned)q->last_sender,
			   (unsigned)q->last_receiver, o->uid, o->gid, o->cuid, o->cgid, (unsigned long long)q->stime,
			   (unsigned long long)q->rtime, (unsigned long long)q->ctime);
		mutex_unlock(&o->lock);
		ipc_object_put(o);
	}
}

void ipc_msg_boot(void)
{
	ipc_ids_init(&queues, &sysctl_msgmni);
}
