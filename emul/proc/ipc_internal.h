/* SPDX-License-Identifier: MIT */
/* What segments, sets and queues share: an id, a key, an owner. See ipc.h. */
#ifndef EMUL_PROC_IPC_INTERNAL_H
#define EMUL_PROC_IPC_INTERNAL_H

#include <time.h>

#include "emul/base/cred.h"
#include "emul/base/idmap.h"
#include "emul/base/list.h"
#include "emul/base/mutex.h"
#include "emul/base/ref.h"
#include "emul/base/sysctl.h"
#include "emul/proc/ipc.h"
#include "emul/proc/kmem.h"

#define IPC_INDICES 32768 /* IPCMNI: an id is a sequence number times this, plus an index */
#define IPC_KEY_BUCKETS 64

struct ipc_object {
	struct ref ref;
	void (*free)(struct ipc_object *o); /* constant */
	int id;                /* constant */
	unsigned seq;          /* constant */
	uid_t cuid;            /* constant */
	gid_t cgid;            /* constant */
	uint64_t charge;       /* constant: bytes of the host's memory, see kmem.h */
	struct list key_node;  /* ids->lock */
	int key;               /* ids->lock and lock */
	struct mutex lock;
	/* lock: */
	bool removed;
	uid_t uid;
	gid_t gid;
	unsigned mode;
};

struct ipc_ids { /* one for each kind */
	struct mutex lock;
	/* lock: */
	struct idmap map;
	struct list keys[IPC_KEY_BUCKETS];
	int in_use, last;
	struct sysctl *limit;     /* constant */
	unsigned seq;
};

/* What *get(2) does with an object of its kind. arg: the caller's. */
struct ipc_kind {
	int (*make)(struct task *t, const void *arg, int flags, struct ipc_object **ret); /* ids->lock held; one reference */
	void (*made)(struct ipc_object *o);                  /* it has its id; ids->lock held. NULL: nothing to do */
	int (*check)(struct ipc_object *o, const void *arg); /* an existing one is big enough; NULL: yes */
};
void ipc_shm_boot(void);
void ipc_sem_boot(void);
void ipc_msg_boot(void);

void ipc_ids_init(struct ipc_ids *ids, struct sysctl *limit);
void ipc_object_init(struct ipc_object *o, void (*free)(struct ipc_object *o), uint64_t charge);
void ipc_object_fini(struct ipc_object *o); /* for free ops; gives the charge back */
struct ipc_object *ipc_object_get(struct ipc_object *o);
void ipc_object_put(struct ipc_object *o);
DEFINE_AUTO(ipc_object, ipc_object_put);

long ipc_get(struct ipc_ids *ids, struct task *t, int key, int flags, const struct ipc_kind *k, const void *arg);
/* The object with this id; -EINVAL: no such index, -EIDRM: another one has it now. */
int ipc_find(struct ipc_ids *ids, int id, struct ipc_object **ret);
/* What *_STAT look at: an index instead, for cmd != IPC_STAT. */
int ipc_find_for_stat(struct ipc_ids *ids, int id, int cmd, struct ipc_object **ret);
struct ipc_object *ipc_next(struct ipc_ids *ids, int *index); /* the first with an index >= *index; NULL: end */
int ipc_last_index(struct ipc_ids *ids, int *ret_in_use);     /* the highest index in use, 0 if none */

/* o->lock held: */
bool ipc_may(const struct cred *c, const struct ipc_object *o, int mode); /* mode: any of the three classes' bits */
bool ipc_may_control(const struct cred *c, const struct ipc_object *o);   /* IPC_SET, IPC_RMID */
int ipc_lock_control(struct task *t, struct ipc_object *o) TRY_ACQUIRES(false, o->lock);               /* takes o->lock on success. -EPERM, -EIDRM */
void ipc_fill_perm(const struct ipc_object *o, struct ipc64_perm *ret);
int ipc_set_perm(struct ipc_object *o, const struct ipc64_perm *in);      /* -EINVAL: no such id */
/* ids->lock held too. Nobody finds it any more; the caller gets the table's reference. */
void ipc_remove_locked(struct ipc_ids *ids, struct ipc_object *o);
void ipc_forget_key_locked(struct ipc_object *o);

time_t ipc_now(void);

/* --- between ipc_sem.c and ipc_undo.c --- */
struct sem_undo {
	struct list list_node; /* the list's lock */
	struct list set_node;  /* set->lock; empty once the set is removed */
	struct sem_set *set;   /* counted; constant */
	short adjust[];        /* set->lock: what the end of the process adds */
};
struct sem { unsigned short val; pid_t pid; };
struct sem_set {
	struct ipc_object obj;
	unsigned n;                         /* constant */
	/* obj.lock: */
	time_t otime, ctime;
	struct list altering, zeroing;      /* operations that sleep, in order of arrival */
	struct list undos;
	struct sem sem[];
};
void sem_update_locked(struct sem_set *s, bool stamp); /* values changed: who sleeps may go on */
/* t's record for the set, made if there is none. -EIDRM, -ENOMEM. Good as long as the set is not removed. */
int sem_undo_find(struct task *t, struct sem_set *s, struct sem_undo **ret);

#endif
