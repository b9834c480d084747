/* SPDX-License-Identifier: MIT */
/*
 * The walk: from a text to a path. One component at a time, with search permission in each directory, through
 * mounts and links. path_resolution(7), openat2(2).
 */
#include <string.h>

#include "emul/base/err.h"
#include "emul/vfs/namespace.h"

#define LINKS_MAX 40
#define LINK_TEXT_MAX 4096

static int walk_text(struct walk *w, const char *text, bool follow, bool parent);

/* --- the ends --------------------------------------------------------------------------------------------- */

int walk_begin(struct walk *w, struct fs_ctx *c, const struct path *at, const char *name, uint64_t resolve)
{
	*w = (struct walk){ .c = c, .resolve = resolve };
	mutex_lock(&c->fs->lock);
	w->at = at ? *at : c->fs->cwd;
	w->root = resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH) ? w->at : c->fs->root;
	path_get(&w->at);
	path_get(&w->root);
	mutex_unlock(&c->fs->lock);
	return *name ? 0 : -ENOENT;
}

void walk_end(struct walk *w)
{
	path_put(&w->at);
	path_put(&w->root);
}

static bool same(const struct path *a, const struct path *b)
{
	return a->dentry == b->dentry && a->mnt == b->mnt;
}

static void go_to(struct walk *w, struct path *p) /* takes p over */
{
	path_put(&w->at);
	w->at = *p;
}

static int to_root(struct walk *w)
{
	struct path p = w->root;

	if (w->resolve & RESOLVE_BENEATH)
		return -EXDEV;
	if ((w->resolve & RESOLVE_NO_XDEV) && w->at.mnt != w->root.mnt)
		return -EXDEV;
	path_get(&p);
	go_to(w, &p);
	return 0;
}

/* Not above the root; out of mounts at their roots. */
static int to_parent(struct walk *w)
{
	struct path p;

	if (same(&w->at, &w->root))
		return w->resolve & RESOLVE_BENEATH ? -EXDEV : 0;
	p = w->at;
	while (p.dentry == p.mnt->root) {
		if (!p.mnt->parent)
			return 0;
		if (w->resolve & RESOLVE_NO_XDEV)
			return -EXDEV;
		p = (struct path){ p.mnt->parent, p.mnt->at };
		if (same(&p, &w->root)) {
			path_get(&p);
			go_to(w, &p);
			return 0;
		}
	}
	p.dentry = dentry_parent(p.dentry);
	walk_into_mounts(&p);
	go_to(w, &p);
	return 0;
}

/* --- links -------------------------------------------------------------------------------------------------- */

static int follow_magic(struct walk *w, struct inode *i)
{
	struct path p = PATH_INIT;
	int r;

	if (w->resolve & RESOLVE_NO_MAGICLINKS)
		return -ELOOP;
	if (w->resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT))
		return -EXDEV;
	r = i->ops->follow(w->c, i, &p);
	if (r < 0)
		return r;
	if ((w->resolve & RESOLVE_NO_XDEV) && p.mnt != w->at.mnt) {
		path_put(&p);
		return -EXDEV;
	}
	go_to(w, &p);
	return 0;
}

static int follow_text(struct walk *w, struct inode *i, bool parent)
{
	AUTO_FREE char *text = malloc(LINK_TEXT_MAX);
	ssize_t n;

	if (!text)
		return -ENOMEM;
	n = i->ops->readlink ? i->ops->readlink(w->c, i, text, LINK_TEXT_MAX - 1) : -EINVAL;
	if (n < 0)
		return (int)n;
	if (n == 0)
		return -ENOENT;
	text[n] = '\0';
	return walk_text(w, text, true, parent);
}

/* -EOPNOTSUPP with parent: a magic link has no directory to make anything in; w->at is its target then. */
int walk_link(struct walk *w, struct dentry *link, bool parent)
{
	struct inode *i = link->inode;

	if (++w->nlinks > LINKS_MAX || (w->resolve & RESOLVE_NO_SYMLINKS))
		return -ELOOP;
	if (!i->ops->follow)
		return follow_text(w, i, parent);
	int r = follow_magic(w, i);

	return r == 0 && parent ? -EOPNOTSUPP : r;
}

/* --- components ----------------------------------------------------------------------------------------------- */

/* One name below w->at. follow: if it is a link, to where it leads. */
static int step(struct walk *w, const char *name, bool follow)
{
	struct path p = { w->at.mnt, NULL };
	int r = dentry_child(w->c, w->at.dentry, name, false, &p.dentry);

	if (r < 0)
		return r;
	walk_into_mounts(&p);
	if ((w->resolve & RESOLVE_NO_XDEV) && p.mnt != w->at.mnt) {
		path_put(&p);
		return -EXDEV;
	}
	if (!S_ISLNK(p.dentry->inode->type) || !follow) {
		go_to(w, &p);
		return 0;
	}
	r = walk_link(w, p.dentry, false);
	path_put(&p);
	return r;
}

static int search_permission(struct walk *w)
{
	struct inode *i = w->at.dentry->inode;

	return S_ISDIR(i->type) ? inode_permission(w->c->cred, i, MAY_EXEC) : -ENOTDIR;
}

/* Copies the next component; its length, -ENAMETOOLONG. *text is moved behind it. */
static int next_component(const char **text, char name[NAME_LIMIT + 1])
{
	size_t n = strcspn(*text, "/");

	if (n > NAME_LIMIT)
		return -ENAMETOOLONG;
	memcpy(name, *text, n);
	name[n] = '\0';
	*text += n;
	return (int)n;
}

static enum last_type type_of(const char *name)
{
	if (name[0] != '.')
		return LAST_NORM;
	return !name[1] ? LAST_DOT : name[1] == '.' && !name[2] ? LAST_DOTDOT : LAST_NORM;
}

static int walk_text(struct walk *w, const char *text, bool follow, bool parent)
{
	char name[NAME_LIMIT + 1];
	int r = *text == '/' ? to_root(w) : 0;

	w->trailing = false;
	w->last_type = LAST_ROOT;
	while (r == 0) {
		const char *rest;
		bool last, slash;

		text += strspn(text, "/");
		if (!*text)
			break;
		r = search_permission(w);
		if (r < 0)
			return r;
		r = next_component(&text, name);
		if (r < 0)
			return r;
		rest = text + strspn(text, "/");
		slash = *text == '/';
		last = !*rest;
		w->last_type = type_of(name);
		if (last && parent) {
			strcpy(w->last, name);
			w->trailing = slash;
			return 0;
		}
		if (w->last_type == LAST_DOT)
			r = 0;
		else if (w->last_type == LAST_DOTDOT)
			r = to_parent(w);
		else
			r = step(w, name, !last || follow || slash);
		if (last)
			w->trailing = slash;
	}
	if (r == 0 && w->trailing && !S_ISDIR(w->at.dentry->inode->type))
		return -ENOTDIR;
	return r;
}

int walk_all(struct walk *w, const char *text, bool follow)
{
	return walk_text(w, text, follow, false);
}

int walk_parent(struct walk *w, const char *text)
{
	return walk_text(w, text, true, true);
}

/* --- the call ------------------------------------------------------------------------------------------------------ */

static int check_end(struct walk *w, unsigned flags)
{
	return (flags & WALK_DIRECTORY) && !S_ISDIR(w->at.dentry->inode->type) ? -ENOTDIR : 0;
}

int vfs_lookup(struct fs_ctx *c, const struct path *at, const char *name, unsigned flags, uint64_t resolve, struct path *ret)
{
	struct walk w;
	int r;

	if (resolve & RESOLVE_CACHED)
		return -EAGAIN; /* whether a walk is cheap is not known before it is done */
	r = walk_begin(&w, c, at, name, resolve);
	if (r == -ENOENT && (flags & WALK_EMPTY))
		r = 0;
	else if (r == 0)
		r = walk_all(&w, name, flags & WALK_FOLLOW);
	if (r == 0)
		r = check_end(&w, flags);
	if (r == 0) {
		*ret = w.at;
		w.at = (struct path)PATH_INIT;
	}
	walk_end(&w);
	return r;
}
