/* SPDX-License-Identifier: MIT */
/*
 * Inside of memory objects: what faults ask of them. memobj.h has what other folders use.
 * Locks: memobj->lock guards the object's pages and the list of areas that map it.
 */
#ifndef EMUL_MM_OBJ_H
#define EMUL_MM_OBJ_H

#include "emul/base/list.h"
#include "emul/base/mutex.h"
#include "emul/mm/memobj.h"
#include "emul/mm/phys.h"

struct futex_key;
struct vma;

/* A run of pages in one piece, each with a reference of the receiver's (frames only; windows stay while the object does). */
struct page_run { gpa_t gpa; unsigned nr; };

struct memobj_ops {
	const char *name;
	/*
	 * The page at byte offset off and as many after it as are at hand in one piece, at most want. A missing page is
	 * made or read; huge: the caller could use 2 MiB at once. 0, -EFAULT (beyond the end: SIGBUS), -ENOMEM, -EIO.
	 */
	int (*get)(struct memobj *o, uint64_t off, unsigned want, bool huge, struct page_run *ret);
	/* As get(), but only what is there already: false, and *ret_skip pages may be skipped. */
	bool (*peek)(struct memobj *o, uint64_t off, unsigned want, struct page_run *ret, unsigned *ret_skip);
	int (*sync)(struct memobj *o, uint64_t off, uint64_t len);    /* msync(MS_SYNC); NULL: nothing to do */
	int (*remove)(struct memobj *o, uint64_t off, uint64_t len);  /* MADV_REMOVE; NULL: -EOPNOTSUPP */
	uint64_t (*size)(struct memobj *o);                           /* bytes now */
	void (*put_last)(struct memobj *o);                           /* the last reference may be going: see memobj_put() */
};

struct memobj {
	struct ref ref;
	const struct memobj_ops *ops; /* constant */
	struct phys *ph;
	struct memobj_id host_id;     /* constant; {0, 0}: no host file */
	bool is_window;
	_Atomic int64_t map_written;  /* memobj_map_written() */
	struct memobj_watch *watch;   /* constant once mapped; NULL: nobody */
	struct mutex lock;
	/* lock: */
	struct memobj_id id;          /* as guests see it; changes with the tag */
	void *tag;
	void (*free_tag)(void *tag);
	bool map_tag;                 /* goes with the last map */
	struct list vmas;             /* of vma.obj_node: areas that map it (shmem, windows) */
	unsigned nr_writable;         /* shared areas that may be written */
	bool forbid_writable;
};

void memobj_init(struct memobj *o, struct phys *ph, const struct memobj_ops *ops, struct memobj_id host_id);
void memobj_fini(struct memobj *o);
static inline struct pool *memobj_pool(struct memobj *o) { return &o->ph->pool; }

/* A page came into a shared map because it was written. */
void memobj_note_write(struct memobj *o);

/* An area maps the object now, or no longer. Where writable maps are forbidden: -EPERM, or v loses the right. */
int memobj_attach(struct memobj *o, struct vma *v);
void memobj_detach(struct memobj *o, struct vma *v);
/* Takes [off, off+len) out of every address space. all: private copies too (truncation); else only the object's own pages. */
void memobj_unmap(struct memobj *o, uint64_t off, uint64_t len, bool all);

/* Object and offset as one name, the same for all maps of the page. */
void memobj_futex_key(struct memobj *o, uint64_t off, struct futex_key *ret);

/* Is there a window through which the file is being changed? Then its page cache cannot be trusted. */
bool window_is_writable(struct phys *ph, struct memobj_id id);
/* The window object behind a guest physical address, with a reference; NULL: none. */
struct memobj *window_lookup(struct phys *ph, gpa_t gpa);
/* Frees frames of files that nobody maps. Frames given back. Pool's reclaim hook. */
uint64_t pagecache_reclaim(struct pool *pool, uint64_t want);
void pagecache_init(struct phys *ph);
void pagecache_fini(struct phys *ph);
/* Duplicates fd with at least the wanted access, whatever it was opened with. Descriptor or -errno. */
int host_reopen(int fd, bool writable);

#endif
