/* SPDX-License-Identifier: MIT */
/* Tags of memory objects: see mapname.h. A tag has a path or a text. */
#include "emul/vfs/mapname.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emul/mm/memobj.h"
#include "emul/vfs/vfs.h"

struct tag { struct ref ref; struct path path; char *text; };

static void get_tag(void *p)
{
	ref_get(&((struct tag *)p)->ref);
}

static void put_tag(void *p)
{
	struct tag *t = p;

	if (!t || !ref_put(&t->ref))
		return;
	path_put(&t->path);
	free(t->text);
	free(t);
}

static struct tag *tag_new(struct memobj *o)
{
	struct tag *t = memobj_has_tag(o) ? NULL : calloc(1, sizeof(*t));

	if (t)
		ref_init(&t->ref);
	return t;
}

void memobj_name_path(struct memobj *o, const struct path *p)
{
	struct tag *t = tag_new(o);

	if (!t)
		return;
	t->path = *p;
	path_get(&t->path);
	/* A tmpfs inode keeps its object: the path must not keep the inode once nothing is mapped. */
	memobj_set_map_tag(o, t, put_tag, (struct memobj_id){ vfs_dev(p), vfs_ino(p) });
}

static void name_text(struct memobj *o, const char *text, struct memobj_id id)
{
	struct tag *t = tag_new(o);

	if (!t)
		return;
	t->text = strdup(text);
	memobj_set_tag(o, t, put_tag, id);
}

void memobj_name_text(struct memobj *o, const char *text)
{
	name_text(o, text, memobj_id(o));
}

void memobj_name_as(struct memobj *o, const char *text, dev_t dev, ino_t ino)
{
	name_text(o, text, (struct memobj_id){ dev, ino });
}

void memobj_name(struct memobj *o, char *buf, size_t size)
{
	struct tag *t = memobj_tag(o, get_tag);
	ssize_t n = -1;

	if (t && path_is_set(&t->path))
		n = vfs_path_text(&t->path, NULL, buf, size, false);
	else if (t && t->text)
		n = snprintf(buf, size, "%s", t->text);
	if (n < 0 && size)
		buf[0] = '\0';
	put_tag(t);
}
