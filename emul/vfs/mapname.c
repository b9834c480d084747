/* SPDX-License-Identifier: MIT */
/* Tags of memory objects: see mapname.h. A tag has a path or a text. */
#include "emul/vfs/mapname.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emul/mm/memobj.h"
#include "emul/vfs/vfs.h"

struct tag { struct path path; char *text; };

static void free_tag(void *p)
{
	struct tag *t = p;

	path_put(&t->path);
	free(t->text);
	free(t);
}

void memobj_name_path(struct memobj *o, const struct path *p)
{
	struct tag *t = memobj_tag(o) ? NULL : calloc(1, sizeof(*t));

	if (!t)
		return;
	t->path = *p;
	path_get(&t->path);
	memobj_set_tag(o, t, free_tag, (struct memobj_id){ vfs_dev(p), vfs_ino(p) });
}

void memobj_name_text(struct memobj *o, const char *text)
{
	struct tag *t = memobj_tag(o) ? NULL : calloc(1, sizeof(*t));

	if (!t)
		return;
	t->text = strdup(text);
	memobj_set_tag(o, t, free_tag, memobj_id(o));
}

void memobj_name(struct memobj *o, char *buf, size_t size)
{
	const struct tag *t = memobj_tag(o);
	ssize_t n = -1;

	if (t && path_is_set(&t->path))
		n = vfs_path_text(&t->path, NULL, buf, size, false);
	else if (t && t->text)
		n = snprintf(buf, size, "%s", t->text);
	if (n < 0 && size)
		buf[0] = '\0';
}
