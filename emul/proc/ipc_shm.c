/* SPDX-License-Identifier: MIT */
/*
 * Shared memory segments. ipc/shm.c. The pages are a shmem object, which areas map as they map a tmpfs file; the object tells
 * the segment of every area (memobj_watch), so fork, exec, exit, split and shmdt(2) all count by themselves.
 *
 * The table keeps the segment, the segment its object until it is removed, the object's watch the segment: a removed
 * segment goes with its last area.
 */
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "emul/base/err.h"
#include "emul/mm/memobj.h"
#include "emul/proc/ipc_internal.h"
#include "emul/proc/task.h"
#include "emul/vfs/mapname.h"
#include "emul/vfs/pseudo.h"

#define SHM_MNI 4096
#define SHM_MAX (UINT64_MAX - ((uint64_t)1 << 24)) /* bytes of one; the same number of pages of all */
/* Bits of the mode that uapi does not give: include/linux/shm.h. */
#define SHM_DEST 01000u
#define SHM_LOCKED 02000u
#define SHM_HUGE_SIZES (0x3fu << 26)

struct segment {
	struct ipc_object obj;
	struct memobj_watch watch;
	uint64_t size;         /* constant */
	pid_t creator;         /* constant */
	/* obj.lock: */
	struct memobj *pages;  /* counted; NULL: removed */
	unsigned long nattach;
	pid_t last;
	time_t atime, dtime, ctime;
};

static struct ipc_ids segments;
static _Atomic uint64_t total_pages; /* of all segments; changes under segments.lock */

static struct segment *to_segment(struct ipc_object *o)
{
	return container_of(o, struct segment, obj);
}

static uint64_t pages_of(uint64_t size)
{
	return (size >> PAGE_SHIFT) + !!(size & ~PAGE_MASK);
}

static void segment_free(struct ipc_object *o)
{
	memobj_put(to_segment(o)->pages); /* never made known */
	ipc_object_fini(o);
	free(to_segment(o));
}

/* segments.lock and obj.lock held. The caller puts *ret_pages and the table's reference when the locks are dropped. */
static void destroy_locked(struct segment *s, struct memobj **ret_pages)
{
	ipc_remove_locked(&segments, &s->obj);
	total_pages -= pages_of(s->size);
	*ret_pages = steal(s->pages);
}

/* --- areas come and go (mm->lock held) ----------------------------------------------------------------- */

static void touch_locked(struct segment *s, time_t *when)
{
	struct task *t = task_current();

	*when = ipc_now();
	if (t)
		s->last = t->proc->pid;
}

static void segment_attached(struct memobj_watch *w)
{
	struct segment *s = container_of(w, struct segment, watch);

	mutex_lock(&s->obj.lock);
	s->nattach++;
	touch_locked(s, &s->atime);
	mutex_unlock(&s->obj.lock);
}

/* One attachment less; the last one of a removed segment takes it away. */
static void drop_attachment(struct segment *s, bool stamp)
{
	struct memobj *pages = NULL;
	bool gone;

	mutex_lock(&segments.lock);
	mutex_lock(&s->obj.lock);
	if (stamp)
		touch_locked(s, &s->dtime);
	gone = --s->nattach == 0 && (s->obj.mode & SHM_DEST) && !s->obj.removed;
	if (gone)
		destroy_locked(s, &pages);
	mutex_unlock(&s->obj.lock);
	mutex_unlock(&segments.lock);
	memobj_put(pages);
	if (gone)
		ipc_object_put(&s->obj);
}

static void segment_detached(struct memobj_watch *w)
{
	drop_attachment(container_of(w, struct segment, watch), true);
}

static void segment_unwatched(struct memobj_watch *w)
{
	ipc_object_put(&container_of(w, struct segment, watch)->obj);
}

/* --- shmget ------------------------------------------------------------------------------------------------ */

struct shm_request { uint64_t size; };

/* Huge pages must be reserved by the administrator, and none are. */
static int check_huge(int flags)
{
	unsigned log2 = ((unsigned)flags & SHM_HUGE_SIZES) >> 26;

	if (!(flags & SHM_HUGETLB))
		return 0;
	return log2 && log2 != 21 && log2 != 30 ? -EINVAL : -ENOMEM;
}

static int check_size(struct task *t, uint64_t size, int flags)
{
	uint64_t sum;
	int r;

	if (size < 1 || size > SHM_MAX)
		return -EINVAL;
	if (__builtin_add_overflow(total_pages, pages_of(size), &sum) || sum > SHM_MAX)
		return -ENOSPC;
	r = check_huge(flags);
	if (r < 0)
		return r;
	if (size > INT64_MAX)
		return -EINVAL;
	return !(flags & SHM_NORESERVE) && size > t->env->memory_limit ? -ENOMEM : 0;
}

static int segment_make(struct task *t, const void *arg, int flags, struct ipc_object **ret)
{
	const struct shm_request *rq = arg;
	struct segment *s;
	int r = check_size(t, rq->size, flags);

	if (r < 0)
		return r;
	if (!kmem_charge(sizeof(*s)))
		return -ENOMEM;
	s = calloc(1, sizeof(*s));
	if (!s) {
		kmem_uncharge(sizeof(*s));
		return -ENOMEM;
	}
	ipc_object_init(&s->obj, segment_free, sizeof(*s));
	s->pages = shmem_new(t->env->phys, rq->size);
	if (!s->pages) {
		ipc_object_put(&s->obj);
		return -ENOMEM;
	}
	s->watch = (struct memobj_watch){ segment_attached, segment_detached, segment_unwatched };
	s->size = rq->size;
	s->creator = t->proc->pid;
	s->ctime = ipc_now();
	*ret = &s->obj;
	return 0;
}

/* It has its id. */
static void segment_made(struct ipc_object *o)
{
	struct segment *s = to_segment(o);
	char name[32];

	snprintf(name, sizeof(name), "/SYSV%08x (deleted)", (unsigned)o->key);
	memobj_name_as(s->pages, name, makedev(0, 1), (ino_t)o->id);
	ipc_object_get(o);
	memobj_set_watch(s->pages, &s->watch);
	total_pages += pages_of(s->size);
}

static int segment_check(struct ipc_object *o, const void *arg)
{
	return to_segment(o)->size < ((const struct shm_request *)arg)->size ? -EINVAL : 0;
}

static const struct ipc_kind segment_kind = { segment_make, segment_made, segment_check };

long ipc_shmget(struct task *t, int key, uint64_t size, int flags)
{
	const struct shm_request rq = { size };

	return ipc_get(&segments, t, key, flags, &segment_kind, &rq);
}

/* --- shmat ------------------------------------------------------------------------------------------------- */

static int segment_find(int id, struct segment **ret)
{
	struct ipc_object *o;
	int r = id < 0 ? -EINVAL : ipc_find(&segments, id, &o);

	if (r < 0)
		return r;
	*ret = to_segment(o);
	return 0;
}

/* The address as do_shmat() rounds it; -EINVAL. */
static int check_address(gva_t *addr, int flags)
{
	if (!*addr)
		return flags & SHM_REMAP ? -EINVAL : 0;
	if (!(*addr & ~PAGE_MASK))
		return 0;
	if (!(flags & SHM_RND))
		return -EINVAL;
	*addr = page_down(*addr);
	return !*addr && (flags & SHM_REMAP) ? -EINVAL : 0;
}

/* Its pages, with a reference, and one attachment that keeps the segment while it is being mapped. */
static int hold_segment(struct task *t, struct segment *s, int mode, struct memobj **ret)
{
	int r = 0;

	mutex_lock(&s->obj.lock);
	if (!ipc_may(t->fsc.cred, &s->obj, mode))
		r = -EACCES;
	else if (!s->pages)
		r = -EIDRM;
	if (r == 0) {
		s->nattach++;
		*ret = memobj_get(s->pages);
	}
	mutex_unlock(&s->obj.lock);
	return r;
}

long ipc_shmat(struct task *t, int id, gva_t addr, int flags)
{
	int prot = PROT_READ, mode = 0444, maxprot = PROT_READ | PROT_EXEC, map = MAP_SHARED;
	gva_t at = addr;
	struct memobj *pages;
	struct segment *s;
	long r = id < 0 ? -EINVAL : check_address(&at, flags);

	if (r < 0)
		return r;
	if (!(flags & SHM_RDONLY)) {
		prot |= PROT_WRITE;
		maxprot |= PROT_WRITE;
		mode |= 0222;
	}
	if (flags & SHM_EXEC) {
		prot |= PROT_EXEC;
		mode |= 0111;
	}
	if (addr)
		map |= flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	r = segment_find(id, &s);
	if (r < 0)
		return r;
	r = hold_segment(t, s, mode, &pages);
	if (r == 0) {
		if (addr && !(flags & SHM_REMAP) && at + s->size < at)
			r = -EINVAL;
		else
			r = mm_mmap(t->mm, at, s->size, prot, map, pages, 0, maxprot);
		drop_attachment(s, false);
		memobj_put(pages);
	}
	ipc_object_put(&s->obj);
	return r == -EEXIST ? -EINVAL : r;
}

/* --- shmctl ------------------------------------------------------------------------------------------------ */

long ipc_shm_stat(struct task *t, int id, int cmd, struct shmid64_ds *ret)
{
	struct ipc_object *o;
	struct segment *s;
	int r = ipc_find_for_stat(&segments, id, cmd, &o);

	if (r < 0)
		return r;
	s = to_segment(o);
	mutex_lock(&o->lock);
	if (cmd != SHM_STAT_ANY && !ipc_may(t->fsc.cred, o, 0444))
		r = -EACCES;
	else if (o->removed)
		r = -EIDRM;
	if (r == 0) {
		*ret = (struct shmid64_ds){ .shm_segsz = s->size, .shm_atime = s->atime, .shm_dtime = s->dtime,
					    .shm_ctime = s->ctime, .shm_cpid = s->creator, .shm_lpid = s->last,
					    .shm_nattch = s->nattach };
		ipc_fill_perm(o, &ret->shm_perm);
		r = cmd == IPC_STAT ? 0 : o->id;
	}
	mutex_unlock(&o->lock);
	ipc_object_put(o);
	return r;
}

long ipc_shm_set(struct task *t, int id, const struct shmid64_ds *ds)
{
	struct segment *s;
	int r = segment_find(id, &s);

	if (r < 0)
		return r;
	r = ipc_lock_control(t, &s->obj);
	if (r == 0) {
		r = ipc_set_perm(&s->obj, &ds->shm_perm);
		if (r == 0)
			s->ctime = ipc_now();
		mutex_unlock(&s->obj.lock);
	}
	ipc_object_put(&s->obj);
	return r;
}

/* Who maps it keeps it, without its key; new ones may still join by its id. */
long ipc_shm_remove(struct task *t, int id)
{
	struct memobj *pages = NULL;
	struct segment *s;
	bool gone = false;
	int r = segment_find(id, &s);

	if (r < 0)
		return r;
	mutex_lock(&segments.lock);
	r = ipc_lock_control(t, &s->obj);
	if (r == 0) {
		gone = s->nattach == 0;
		if (gone) {
			destroy_locked(s, &pages);
		} else {
			s->obj.mode |= SHM_DEST;
			ipc_forget_key_locked(&s->obj);
		}
		mutex_unlock(&s->obj.lock);
	}
	mutex_unlock(&segments.lock);
	memobj_put(pages);
	if (gone)
		ipc_object_put(&s->obj);
	ipc_object_put(&s->obj);
	return r;
}

/* shmctl_do_lock(): frames are never taken away anyway; the limit and the bit are what shows. */
static int lock_locked(struct task *t, struct segment *s, bool lock)
{
	const struct cred *c = t->fsc.cred;
	uint64_t limit = proc_rlimit(t->proc, RLIMIT_MEMLOCK);
	bool may = cred_capable(c, CAP_IPC_LOCK);

	if (s->obj.removed)
		return -EIDRM;
	if (!may && c->euid != s->obj.uid && c->euid != s->obj.cuid)
		return -EPERM;
	if (!may && lock && !limit)
		return -EPERM;
	if (!lock)
		s->obj.mode &= ~SHM_LOCKED;
	else if (!may && s->size > limit)
		return -ENOMEM;
	else
		s->obj.mode |= SHM_LOCKED;
	return 0;
}

long ipc_shm_lock(struct task *t, int id, bool lock)
{
	struct segment *s;
	int r = segment_find(id, &s);

	if (r < 0)
		return r;
	mutex_lock(&s->obj.lock);
	r = lock_locked(t, s, lock);
	mutex_unlock(&s->obj.lock);
	ipc_object_put(&s->obj);
	return r;
}

long ipc_shm_limits(struct shminfo64 *ret)
{
	int in_use;

	*ret = (struct shminfo64){ .shmmax = SHM_MAX, .shmmin = 1, .shmmni = SHM_MNI, .shmseg = SHM_MNI, .shmall = SHM_MAX };
	return ipc_last_index(&segments, &in_use);
}

/* Pages that exist of a segment. */
static uint64_t resident(struct segment *s)
{
	struct memobj *pages;
	uint64_t n;

	mutex_lock(&s->obj.lock);
	pages = s->pages ? memobj_get(s->pages) : NULL;
	mutex_unlock(&s->obj.lock);
	n = pages ? shmem_allocated(pages) : 0;
	memobj_put(pages);
	return n;
}

long ipc_shm_usage(struct shm_info *ret)
{
	int last = ipc_last_index(&segments, &ret->used_ids);
	uint64_t rss = 0;
	struct ipc_object *o;

	for (int i = 0; (o = ipc_next(&segments, &i)); i++) {
		rss += resident(to_segment(o));
		ipc_object_put(o);
	}
	ret->shm_tot = total_pages;
	ret->shm_rss = rss >> PAGE_SHIFT;
	ret->shm_swp = ret->swap_attempts = ret->swap_successes = 0;
	return last;
}

void ipc_shm_show(struct seq *out)
{
	struct ipc_object *o;

	seq_puts(out, "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime"
		      "      dtime      ctime                   rss                  swap\n");
	for (int i = 0; (o = ipc_next(&segments, &i)); i++) {
		struct segment *s = to_segment(o);
		uint64_t rss = resident(s);

		mutex_lock(&o->lock);
		seq_printf(out, "%10d %10d  %4o %21llu %5u %5u  %5lu %5u %5u %5u %5u %10llu %10llu %10llu %21llu %21u\n",
			   o->key, o->id, o->mode, (unsigned long long)s->size, (unsigned)s->creator, (unsigned)s->last,
			   s->nattach, o->uid, o->gid, o->cuid, o->cgid, (unsigned long long)s->atime,
			   (unsigned long long)s->dtime, (unsigned long long)s->ctime, (unsigned long long)rss, 0);
		mutex_unlock(&o->lock);
		ipc_object_put(o);
	}
}

void ipc_shm_boot(void)
{
	static struct sysctl most = { SHM_MNI, SHM_MNI, SHM_MNI };

	ipc_ids_init(&segments, &most);
}
