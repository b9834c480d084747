/* SPDX-License-Identifier: MIT */
/*
 * What stands behind a mapped area. mm needs no files: file_ops.mmap() makes or finds one of these.
 *   shmem        pages in frames of the pool, found by offset: tmpfs files, memfd, MAP_SHARED|MAP_ANONYMOUS.
 *                tmpfs keeps its data here: read(2)/write(2) and maps see the same frames.
 *   cached file  MAP_PRIVATE of a host file: frames of the page cache, read-only in every address space
 *   file window  MAP_SHARED of a host file: the host's own pages, coherent with everybody
 */
#ifndef EMUL_MM_MEMOBJ_H
#define EMUL_MM_MEMOBJ_H

#include <sys/stat.h>

#include "emul/base/auto.h"
#include "emul/base/ref.h"
#include "emul/base/types.h"
#include "emul/base/uio.h"

struct memobj;
struct phys;

/* How /proc/PID/maps shows an object. name points into the object's tag (see memobj_set_tag). */
struct memobj_id { dev_t dev; ino_t ino; };

struct memobj *memobj_get(struct memobj *o);
void memobj_put(struct memobj *o);
DEFINE_AUTO(memobj, memobj_put);

/*
 * The owner's mark: for maps' names. tag is an opaque pointer of the maker (vfs: a struct path's
 * holder); free_tag runs with the last reference. mm never looks inside.
 */
void memobj_set_tag(struct memobj *o, void *tag, void (*free_tag)(void *tag), struct memobj_id id);
/* A tag that goes with the last map: one that leads back to whoever keeps the object must not keep it for ever. */
void memobj_set_map_tag(struct memobj *o, void *tag, void (*free_tag)(void *tag), struct memobj_id id);
bool memobj_has_tag(struct memobj *o);
/* The tag after get(tag), which counts it and runs under the object's lock; NULL: none. */
void *memobj_tag(struct memobj *o, void (*get)(void *tag));
struct memobj_id memobj_id(const struct memobj *o);
/*
 * CLOCK_REALTIME_COARSE in ns when a page last came into a shared map by being written, which is when Linux changes the
 * file's times (file_update_time() in fault_dirty_shared_page()). 0: not since the last call. Takes no lock.
 */
int64_t memobj_map_written(struct memobj *o);

/*
 * Who is told of every area that begins or ceases to map the object: under mm->lock, no other lock of mm held. Set before
 * the first map; gone() comes with the object. Areas of such an object are never joined.
 */
struct memobj_watch {
	void (*attached)(struct memobj_watch *w);
	void (*detached)(struct memobj_watch *w);
	void (*gone)(struct memobj_watch *w);
};
void memobj_set_watch(struct memobj *o, struct memobj_watch *w);

/* --- shmem --- */
struct memobj *shmem_new(struct phys *ph, uint64_t size); /* NULL: no memory */
uint64_t shmem_size(struct memobj *o);
uint64_t shmem_allocated(struct memobj *o);               /* bytes in frames: st_blocks */
/* Cuts or grows; cut pages leave every address space first (later touches: SIGBUS). 0, -ENOMEM. */
int shmem_truncate(struct memobj *o, uint64_t size);
/* Data at off; reads stop at the size, holes read as zero; writes extend the size. Bytes, -EFAULT, -ENOSPC (pool full). */
ssize_t shmem_read(struct memobj *o, struct uio *to, uint64_t off);
ssize_t shmem_write(struct memobj *o, struct uio *from, uint64_t off);
int shmem_allocate(struct memobj *o, uint64_t off, uint64_t len); /* frames, also behind the end; the size stays. 0, -ENOSPC */
int shmem_punch(struct memobj *o, uint64_t off, uint64_t len);    /* hole: frames leave every address space */
int64_t shmem_seek_data(struct memobj *o, uint64_t off);          /* SEEK_DATA: offset, -ENXIO */
int64_t shmem_seek_hole(struct memobj *o, uint64_t off);
/* Seals' question: is there a writable shared map? And: forbid/allow new ones (F_SEAL_WRITE). */
bool shmem_mapped_writable(struct memobj *o);
void shmem_forbid_writable_maps(struct memobj *o);

/* --- host files --- */
/* MAP_PRIVATE: fd is duplicated or reopened as needed and stays the caller's. Same dev/ino/mtime/size share frames. */
int memobj_cached_file(struct phys *ph, int fd, const struct stat *st, struct memobj **ret);
/* MAP_SHARED: maxprot says whether the fd allows writing. */
int memobj_file_window(struct phys *ph, int fd, const struct stat *st, int maxprot, struct memobj **ret);
/* A host file was cut by a guest; st is what it is now. Its private maps lose what lies behind the end, copies included. */
void memobj_host_file_cut(struct phys *ph, const struct stat *st);
/* Bytes of a host file were changed by a guest's call: private maps show them. No lock held. */
void memobj_host_file_written(struct phys *ph, struct memobj_id id, uint64_t off, uint64_t len);
/* For the loader and readahead: the frames' contents are valid page cache; the caches of a file are dropped when nobody uses them and memory is short. */

#endif
