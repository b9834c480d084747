/* SPDX-License-Identifier: MIT */
/*
 * SEM_UNDO: what the end of a process adds to semaphores it changed. Records hang on a list that tasks share with
 * CLONE_SYSVSEM, and on their set. A removed set leaves its records behind; the list drops them when it looks for another.
 *
 * Locks: the list's -> the set's.
 */
#include "emul/base/err.h"
#include "emul/proc/ipc_internal.h"
#include "emul/proc/task.h"

#define SEM_VMX 32767

struct ipc_undo_list {
	struct ref ref;
	struct mutex lock;
	struct list records; /* lock */
};

static struct ipc_undo_list *list_of(struct task *t)
{
	struct ipc_undo_list *l = t->sem_undo;

	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	ref_init(&l->ref);
	mutex_init(&l->lock);
	list_init(&l->records);
	mutex_lock(&t->lock);
	t->sem_undo = l;
	mutex_unlock(&t->lock);
	return l;
}

static size_t record_size(unsigned n)
{
	return sizeof(struct sem_undo) + n * sizeof(short);
}

/* Off the list, which is locked or nobody's any more. */
static void record_free(struct sem_undo *u)
{
	list_del(&u->list_node);
	kmem_uncharge(record_size(u->set->n));
	ipc_object_put(&u->set->obj);
	free(u);
}

static int record_new(struct ipc_undo_list *l, struct sem_set *set, struct sem_undo **ret)
{
	struct sem_undo *u;
	bool removed;

	if (!kmem_charge(record_size(set->n)))
		return -ENOMEM;
	u = calloc(1, record_size(set->n));
	if (!u) {
		kmem_uncharge(record_size(set->n));
		return -ENOMEM;
	}
	u->set = container_of(ipc_object_get(&set->obj), struct sem_set, obj);
	list_init(&u->list_node);
	list_init(&u->set_node);
	mutex_lock(&set->obj.lock);
	removed = set->obj.removed;
	if (!removed)
		list_add_tail(&set->undos, &u->set_node);
	mutex_unlock(&set->obj.lock);
	if (removed) {
		record_free(u);
		return -EIDRM;
	}
	list_add_tail(&l->records, &u->list_node);
	*ret = u;
	return 0;
}

static bool is_removed(struct sem_set *s)
{
	bool r;

	mutex_lock(&s->obj.lock);
	r = s->obj.removed;
	mutex_unlock(&s->obj.lock);
	return r;
}

/* l->lock held. Records of removed sets go on the way. */
static struct sem_undo *lookup_locked(struct ipc_undo_list *l, const struct sem_set *s)
{
	struct sem_undo *u, *next, *found = NULL;

	list_for_each_safe(u, next, &l->records, list_node) {
		if (u->set == s)
			found = u;
		else if (is_removed(u->set))
			record_free(u);
	}
	return found;
}

int sem_undo_find(struct task *t, struct sem_set *s, struct sem_undo **ret)
{
	struct ipc_undo_list *l = list_of(t);
	int r = 0;

	if (!l)
		return -ENOMEM;
	mutex_lock(&l->lock);
	*ret = lookup_locked(l, s);
	if (!*ret)
		r = record_new(l, s, ret);
	mutex_unlock(&l->lock);
	return r;
}

int ipc_undo_share(struct task *t, struct task *child)
{
	struct ipc_undo_list *l = list_of(t);

	if (!l)
		return -ENOMEM;
	ref_get(&l->ref);
	child->sem_undo = l;
	return 0;
}

/* exit_sem(): values stay within what a semaphore can have. */
static void apply(struct sem_undo *u, pid_t pid)
{
	struct sem_set *s = u->set;

	mutex_lock(&s->obj.lock);
	if (!s->obj.removed) {
		for (unsigned i = 0; i < s->n; i++) {
			int val = s->sem[i].val + u->adjust[i];

			if (u->adjust[i])
				s->sem[i] = (struct sem){ (unsigned short)MAX(0, MIN(val, SEM_VMX)), pid };
		}
		list_del(&u->set_node);
		sem_update_locked(s, true);
	}
	mutex_unlock(&s->obj.lock);
}

void ipc_undo_exit(struct task *t)
{
	struct ipc_undo_list *l;
	struct sem_undo *u, *next;

	mutex_lock(&t->lock);
	l = steal(t->sem_undo);
	mutex_unlock(&t->lock);
	if (!l || !ref_put(&l->ref))
		return;
	list_for_each_safe(u, next, &l->records, list_node) {
		apply(u, t->proc->pid);
		record_free(u);
	}
	mutex_fini(&l->lock);
	free(l);
}
