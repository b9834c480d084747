/* SPDX-License-Identifier: MIT */
/*
 * The name of what is mapped, for /proc/PID/maps. The makers of memory objects tag them: files with
 * their path, memfd and shared memory with a text of their own.
 */
#ifndef EMUL_VFS_MAPNAME_H
#define EMUL_VFS_MAPNAME_H

#include <stddef.h>
#include <sys/types.h>

struct memobj;
struct path;

/* Tags an object; the tag goes with the object. Harmless if there is no memory for it or it has a tag. */
void memobj_name_path(struct memobj *o, const struct path *p);
void memobj_name_text(struct memobj *o, const char *text);
/* ... and a device and inode number of its own. */
void memobj_name_as(struct memobj *o, const char *text, dev_t dev, ino_t ino);
/* "/usr/bin/cat", "/memfd:x (deleted)", "" if untagged. No lock held. */
void memobj_name(struct memobj *o, char *buf, size_t size);

#endif
