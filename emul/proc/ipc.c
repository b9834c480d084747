/* SPDX-License-Identifier: MIT */
/* Ids, keys and permissions of System V IPC. ipc/util.c. */
#include "emul/proc/ipc_internal.h"

#include <linux/capability.h>

#include "emul/base/err.h"
#include "emul/proc/task.h"

#define CYCLE_MIN 64        /* ipc_min_cycle: indices are not used again at once */
#define SEQ_MAX (INT32_MAX / IPC_INDICES)

time_t ipc_now(void)
{
	return (time_t)(clock_now(CLOCK_REALTIME_COARSE) / 1000000000);
}

/* --- objects ------------------------------------------------------------------------------------------ */

void ipc_object_init(struct ipc_object *o, void (*free)(struct ipc_object *o), uint64_t charge)
{
	ref_init(&o->ref);
	mutex_init(&o->lock);
	list_init(&o->key_node);
	o->free = free;
	o->charge = charge;
}

void ipc_object_fini(struct ipc_object *o)
{
	kmem_uncharge(o->charge);
	mutex_fini(&o->lock);
}

struct ipc_object *ipc_object_get(struct ipc_object *o)
{
	ref_get(&o->ref);
	return o;
}

void ipc_object_put(struct ipc_object *o)
{
	if (o && ref_put(&o->ref))
		o->free(o);
}

/* --- permissions (o->lock held) -------------------------------------------------------------------------- */

/* ipcperms() */
bool ipc_may(const struct cred *c, const struct ipc_object *o, int mode)
{
	unsigned want = (unsigned)(mode >> 6 | mode >> 3 | mode), granted = o->mode;

	if (c->euid == o->cuid || c->euid == o->uid)
		granted >>= 6;
	else if (cred_in_group(c, o->cgid) || cred_in_group(c, o->gid))
		granted >>= 3;
	return !(want & ~granted & 7) || cred_capable(c, CAP_IPC_OWNER);
}

bool ipc_may_control(const struct cred *c, const struct ipc_object *o)
{
	return c->euid == o->cuid || c->euid == o->uid || cred_capable(c, CAP_SYS_ADMIN);
}

int ipc_lock_control(struct task *t, struct ipc_object *o) NO_LOCK_ANALYSIS
{
	int r;

	mutex_lock(&o->lock);
	r = o->removed ? -EIDRM : ipc_may_control(t->fsc.cred, o) ? 0 : -EPERM;
	if (r < 0)
		mutex_unlock(&o->lock);
	return r;
}

void ipc_fill_perm(const struct ipc_object *o, struct ipc64_perm *ret)
{
	*ret = (struct ipc64_perm){ .key = o->key, .uid = o->uid, .gid = o->gid, .cuid = o->cuid, .cgid = o->cgid,
				    .mode = (__kernel_mode_t)o->mode, .seq = (unsigned short)o->seq };
}

int ipc_set_perm(struct ipc_object *o, const struct ipc64_perm *in)
{
	if (in->uid == (uid_t)-1 || in->gid == (gid_t)-1)
		return -EINVAL;
	o->uid = in->uid;
	o->gid = in->gid;
	o->mode = (o->mode & ~0777u) | (in->mode & 0777u);
	return 0;
}

/* --- the table -------------------------------------------------------------------------------------------- */

void ipc_ids_init(struct ipc_ids *ids, struct sysctl *limit)
{
	mutex_init(&ids->lock);
	idmap_init(&ids->map, 0, IPC_INDICES - 1, true);
	for (int i = 0; i < IPC_KEY_BUCKETS; i++)
		list_init(&ids->keys[i]);
	ids->limit = limit;
	ids->last = -1;
}

static struct list *bucket(struct ipc_ids *ids, int key)
{
	return &ids->keys[((unsigned)key * 2654435761u) >> 26];
}

static struct ipc_object *find_key(struct ipc_ids *ids, int key)
{
	struct ipc_object *o;

	list_for_each(o, bucket(ids, key), key_node)
		if (o->key == key)
			return o;
	return NULL;
}

/* Few objects share few indices: the next one starts again at 0 before the numbers grow without need. */
static int pick_index(struct ipc_ids *ids, struct ipc_object *o)
{
	int wrap = MIN(MAX(ids->in_use * 3 / 2, CYCLE_MIN), IPC_INDICES);

	if (ids->map.next >= wrap)
		ids->map.next = 0;
	return idmap_add(&ids->map, o);
}

/* ipc_addid(). Consumes o. The id or -errno. */
static int add(struct ipc_ids *ids, struct task *t, struct ipc_object *o, int key, int flags)
{
	const struct cred *c = t->fsc.cred;
	int index = ids->in_use >= sysctl_get(ids->limit) ? -ENOSPC : pick_index(ids, o);

	if (index < 0) {
		ipc_object_put(o);
		return index;
	}
	if (index <= ids->last)
		ids->seq = (ids->seq + 1) % SEQ_MAX;
	ids->last = index;
	ids->in_use++;
	o->seq = ids->seq;
	o->id = (int)ids->seq * IPC_INDICES + index;
	o->key = key;
	o->uid = o->cuid = c->euid;
	o->gid = o->cgid = c->egid;
	o->mode = (unsigned)flags & 0777;
	if (key != IPC_PRIVATE)
		list_add(bucket(ids, key), &o->key_node);
	return o->id;
}

static int make(struct ipc_ids *ids, struct task *t, int key, int flags, const struct ipc_kind *k, const void *arg)
{
	struct ipc_object *o;
	int r = k->make(t, arg, flags, &o);

	if (r == 0)
		r = add(ids, t, o, key, flags);
	if (r >= 0 && k->made)
		k->made(o);
	return r;
}

/* ipcget_public(), once the key is there. */
static int use(struct task *t, struct ipc_object *o, int flags, const struct ipc_kind *k, const void *arg)
{
	int r;

	if ((flags & IPC_CREAT) && (flags & IPC_EXCL))
		return -EEXIST;
	mutex_lock(&o->lock);
	r = k->check ? k->check(o, arg) : 0;
	if (r == 0)
		r = ipc_may(t->fsc.cred, o, flags) ? o->id : -EACCES;
	mutex_unlock(&o->lock);
	return r;
}

long ipc_get(struct ipc_ids *ids, struct task *t, int key, int flags, const struct ipc_kind *k, const void *arg)
{
	struct ipc_object *o;
	int r;

	mutex_lock(&ids->lock);
	o = key == IPC_PRIVATE ? NULL : find_key(ids, key);
	if (o)
		r = use(t, o, flags, k, arg);
	else if (key != IPC_PRIVATE && !(flags & IPC_CREAT))
		r = -ENOENT;
	else
		r = make(ids, t, key, flags, k, arg);
	mutex_unlock(&ids->lock);
	return r;
}

int ipc_find_for_stat(struct ipc_ids *ids, int id, int cmd, struct ipc_object **ret)
{
	struct ipc_object *o;
	int r = 0;

	mutex_lock(&ids->lock);
	o = id < 0 ? NULL : idmap_find(&ids->map, id % IPC_INDICES);
	if (!o)
		r = -EINVAL;
	else if (cmd == IPC_STAT && o->id != id)
		r = -EIDRM;
	else
		*ret = ipc_object_get(o);
	mutex_unlock(&ids->lock);
	return r;
}

int ipc_find(struct ipc_ids *ids, int id, struct ipc_object **ret)
{
	return ipc_find_for_stat(ids, id, IPC_STAT, ret);
}

struct ipc_object *ipc_next(struct ipc_ids *ids, int *index)
{
	struct ipc_object *o;

	mutex_lock(&ids->lock);
	o = idmap_next(&ids->map, index);
	if (o)
		ipc_object_get(o);
	mutex_unlock(&ids->lock);
	return o;
}

int ipc_last_index(struct ipc_ids *ids, int *ret_in_use)
{
	int last = 0;

	mutex_lock(&ids->lock);
	for (int i = 0; idmap_next(&ids->map, &i); i++)
		last = i;
	*ret_in_use = ids->in_use;
	mutex_unlock(&ids->lock);
	return last;
}

void ipc_forget_key_locked(struct ipc_object *o)
{
	list_del(&o->key_node);
	o->key = IPC_PRIVATE;
}

void ipc_remove_locked(struct ipc_ids *ids, struct ipc_object *o)
{
	mutex_assert_held(&ids->lock);
	mutex_assert_held(&o->lock);
	idmap_remove(&ids->map, o->id % IPC_INDICES);
	list_del(&o->key_node);
	ids->in_use--;
	o->removed = true;
}

void ipc_boot(void)
{
	ipc_shm_boot();
	ipc_sem_boot();
	ipc_msg_boot();
}
