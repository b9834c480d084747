/* SPDX-License-Identifier: MIT */
/* Small-id allocator with values: timer ids, pids, inotify descriptors. Not locked: the owner's lock guards it. */
#ifndef EMUL_BASE_IDMAP_H
#define EMUL_BASE_IDMAP_H

#include <stdbool.h>
#include <stddef.h>

struct idmap { void **slot; int cap, first, last, next; bool cyclic; };

void idmap_init(struct idmap *m, int first, int last, bool cyclic); /* ids in [first, last]; cyclic: lowest above the last given */
void idmap_fini(struct idmap *m);
int idmap_add(struct idmap *m, void *value); /* the id; -ENOSPC, -ENOMEM */
int idmap_add_at(struct idmap *m, int id, void *value); /* -EBUSY, -ENOSPC, -ENOMEM */
void *idmap_find(const struct idmap *m, int id); /* NULL: none */
void *idmap_remove(struct idmap *m, int id);
void *idmap_next(const struct idmap *m, int *id); /* the first with id >= *id; sets *id; NULL: end */

#endif
