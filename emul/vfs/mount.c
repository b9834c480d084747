/* SPDX-License-Identifier: MIT */
/*
 * The mount table: made at boot, never changed by guests. The composition root adds mounts later, and takes away those that nothing
 * uses. A path has no reference on its mount but one on a dentry, and each dentry has one on its parent: a mount whose root has no
 * other reference than the mount's own is nobody's. From outside it is entered under vfs->lock only.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "emul/base/err.h"
#include "emul/vfs/namespace.h"

#define ALL_CAPS (~(uint64_t)0 >> 22)

struct vfs *vfs_new(struct phys *ph)
{
	struct vfs *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->ph = ph;
	mutex_init(&v->rename_lock);
	mutex_init(&v->lock);
	list_init(&v->mounts);
	v->next_id = 20;
	dcache_init(v);
	nameless_init(v);
	return v;
}

/* Dentries, inodes and file systems are the process's to take along when it ends. */
void vfs_free(struct vfs *v)
{
	free(v);
}

struct phys *vfs_phys(struct vfs *v)
{
	return v->ph;
}

void path_get(const struct path *p)
{
	if (p->dentry)
		dentry_get(p->dentry);
}

void path_put(struct path *p)
{
	struct dentry *d = p->dentry;

	*p = (struct path)PATH_INIT;
	dentry_put(d);
}

void vfs_root(struct vfs *v, struct path *ret)
{
	*ret = (struct path){ v->root, v->root->root };
	path_get(ret);
	walk_into_mounts(ret);
}

bool path_read_only(const struct path *p)
{
	return (p->mnt->flags & ST_RDONLY) || p->mnt->sb->read_only;
}

/* --- mounting -------------------------------------------------------------------------------------------- */

/* Looks and makes names with all rights: boot is not a guest. */
static struct fs_ctx *boot_ctx(struct vfs *v, struct fs_ctx *c)
{
	AUTO_PATH root = PATH_INIT;
	struct cred *cred = cred_new(0);

	*c = (struct fs_ctx){ .vfs = v, .cred = cred, .limit_fsize = UINT64_MAX };
	vfs_root(v, &root);
	c->fs = fs_new(&root, &root, 022);
	if (!cred || !c->fs) {
		cred_put(cred);
		fs_put(c->fs);
		return NULL;
	}
	cred->cap_effective = cred->cap_permitted = ALL_CAPS;
	return c;
}

static void boot_ctx_done(struct fs_ctx *c)
{
	cred_put((struct cred *)c->cred);
	fs_put(c->fs);
}

/* The directory at `at`, made in memory if the root has none. */
static int find_mount_point(struct fs_ctx *c, const char *at, struct path *ret)
{
	char *text = strdup(at);
	int r = text ? 0 : -ENOMEM;

	for (char *p = text; r == 0 && (p = strchr(p + 1, '/'));) {
		*p = '\0';
		r = vfs_mkdir(c, NULL, text, 0755);
		r = r == -EEXIST ? 0 : r;
		*p = '/';
	}
	if (r == 0)
		r = vfs_mkdir(c, NULL, text, 0755);
	free(text);
	return r < 0 && r != -EEXIST ? r : vfs_lookup(c, NULL, at, WALK_FOLLOW | WALK_DIRECTORY, 0, ret);
}

static int mount_point(struct vfs *v, const char *at, struct path *ret)
{
	struct fs_ctx ctx, *c = boot_ctx(v, &ctx);
	int r;

	if (!c)
		return -ENOMEM;
	r = vfs_lookup(c, NULL, at, WALK_FOLLOW | WALK_DIRECTORY, 0, ret);
	if (r == -ENOENT)
		r = find_mount_point(c, at, ret);
	boot_ctx_done(c);
	return r;
}

static struct mount *mount_new(struct vfs *v, struct super *s, const char *type, const char *source, unsigned long flags)
{
	struct mount *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	ref_init(&m->ref);
	m->vfs = v;
	m->sb = s;
	m->root = s->root;
	m->flags = flags;
	m->type = strdup(type);
	m->source = strdup(source);
	if (!m->type || !m->source) {
		free(m->type);
		free(m->source);
		free(m);
		return NULL;
	}
	return m;
}

int vfs_mount(struct vfs *v, const char *at, struct super *s, const char *type, const char *source, unsigned long flags)
{
	struct mount *m = mount_new(v, s, type, source, flags);
	AUTO_PATH p = PATH_INIT;
	int r = m ? 0 : -ENOMEM;

	if (r == 0 && v->root)
		r = mount_point(v, at, &p);
	if (r < 0) {
		free(m);
		super_put(s);
		return r;
	}
	mutex_lock(&v->lock);
	m->id = v->next_id++;
	list_add_tail(&v->mounts, &m->node);
	if (v->root) {
		m->parent = p.mnt;
		m->at = dentry_get(p.dentry);
		__atomic_store_n(&p.dentry->mounted, m, __ATOMIC_RELEASE);
	} else {
		v->root = m;
	}
	mutex_unlock(&v->lock);
	return 0;
}

void walk_into_mounts(struct path *p)
{
	struct mount *m;

	struct vfs *v = p->mnt->vfs;

	while (__atomic_load_n(&p->dentry->mounted, __ATOMIC_ACQUIRE)) {
		struct path in;

		mutex_lock(&v->lock);
		m = p->dentry->mounted;
		in = (struct path){ m, m ? m->root : NULL };
		path_get(&in);
		mutex_unlock(&v->lock);
		if (!m)
			return;
		path_put(p);
		*p = in;
	}
}

/* --- taking away ------------------------------------------------------------------------------------------- */

static struct mount *mount_of_locked(struct vfs *v, const struct super *s) REQUIRES(v->lock)
{
	struct mount *m;

	list_for_each(m, &v->mounts, node)
		if (m->sb == s)
			return m;
	return NULL;
}

void vfs_mount_root(struct vfs *v, struct super *s, struct path *ret)
{
	mutex_lock(&v->lock);
	ret->mnt = mount_of_locked(v, s);
	ret->dentry = dentry_get(ret->mnt->root);
	mutex_unlock(&v->lock);
}

bool vfs_unmount_unused(struct vfs *v, struct super *s)
{
	struct mount *m;
	bool unused;

	dcache_forget(v, s);
	mutex_lock(&v->lock);
	m = mount_of_locked(v, s);
	unused = atomic_load(&m->root->ref.n) == 1;
	if (unused) {
		__atomic_store_n(&m->at->mounted, NULL, __ATOMIC_RELEASE);
		list_del(&m->node);
	}
	mutex_unlock(&v->lock);
	if (!unused)
		return false;
	dentry_put(m->at);
	dentry_put(m->root);
	super_put(s);
	free(m->type);
	free(m->source);
	free(m);
	return true;
}

/* --- looking ------------------------------------------------------------------------------------------------- */

/* The mounts in order, each kept by a reference on its root. -ENOMEM. */
static int all_mounts(struct vfs *v, struct mount ***ret)
{
	struct mount **all, *m;
	int n = 0;

	mutex_lock(&v->lock);
	list_for_each(m, &v->mounts, node)
		n++;
	all = calloc((size_t)n + 1, sizeof(struct mount *));
	n = 0;
	list_for_each(m, &v->mounts, node) {
		if (!all)
			break;
		dentry_get(m->root);
		all[n++] = m;
	}
	mutex_unlock(&v->lock);
	*ret = all;
	return all ? n : -ENOMEM;
}

static int show_mount(struct mount *m, const struct path *root, int (*fn)(void *ctx, const struct mount_info *m), void *ctx)
{
	struct path p = { m, m->root };
	char at[4096];
	struct mount_info i = {
		.id = m->id, .parent_id = m->parent ? m->parent->id : m->id, .at = at, .type = m->type, .source = m->source,
		.root = "/", .flags = m->flags | (m->sb->read_only ? ST_RDONLY : 0), .dev = m->sb->dev, .super_options = m->sb->options,
	};

	return vfs_path_text(&p, root, at, sizeof(at), false) < 0 || at[0] != '/' ? 0 : fn(ctx, &i);
}

int vfs_for_each_mount(struct vfs *v, const struct path *root, int (*fn)(void *ctx, const struct mount_info *m), void *ctx)
{
	struct mount **all;
	int n = all_mounts(v, &all), r = MIN(n, 0);

	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = show_mount(all[i], root, fn, ctx);
		dentry_put(all[i]->root);
	}
	free(all);
	return r;
}
