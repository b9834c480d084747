/* SPDX-License-Identifier: MIT */
/* From a path to its text, as getcwd(2) and /proc show it: fs/d_path.c. */
#include <stdio.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/vfs/namespace.h"

#define DELETED " (deleted)"
#define UNREACHABLE "(unreachable)"

/* Text grows from the end of the buffer to the front. */
struct backwards { char *start, *at; bool full; };

static void prepend(struct backwards *b, const char *text, size_t n)
{
	if ((size_t)(b->at - b->start) < n) {
		b->full = true;
		return;
	}
	b->at -= n;
	memcpy(b->at, text, n);
}

/* Up to root, or to the top. true: root was met. rename_lock held. */
static bool climb(struct backwards *b, struct path p, const struct path *root)
{
	for (;;) {
		if (root && p.dentry == root->dentry && p.mnt == root->mnt)
			return true;
		if (p.dentry == p.mnt->root) {
			if (!p.mnt->parent)
				return !root;
			p = (struct path){ p.mnt->parent, p.mnt->at };
			continue;
		}
		if (p.dentry->parent == p.dentry)
			return false; /* of no mount */
		prepend(b, p.dentry->name, strlen(p.dentry->name));
		prepend(b, "/", 1);
		p.dentry = p.dentry->parent;
	}
}

ssize_t vfs_path_text(const struct path *p, const struct path *root, char *buf, size_t size, bool deleted_fails)
{
	char text[8192];
	struct backwards b = { text, text + sizeof(text), false };
	bool deleted = !p->dentry->hashed, reached;
	struct vfs *v = p->mnt->vfs;
	ssize_t n;

	if (path_is_nameless(p))
		return nameless_text(p, buf, size);
	if (deleted && deleted_fails)
		return -ENOENT;
	prepend(&b, "", 1);
	if (deleted)
		prepend(&b, DELETED, strlen(DELETED));
	mutex_lock(&v->rename_lock);
	reached = climb(&b, *p, root);
	mutex_unlock(&v->rename_lock);
	if (*b.at == '\0' || (deleted && !strcmp(b.at, DELETED)))
		prepend(&b, "/", 1);
	if (!reached)
		prepend(&b, UNREACHABLE, strlen(UNREACHABLE));
	n = text + sizeof(text) - 1 - b.at;
	if (b.full)
		return -ENAMETOOLONG;
	if ((size_t)n + 1 > size)
		return -ERANGE;
	memcpy(buf, b.at, (size_t)n + 1);
	return n;
}
