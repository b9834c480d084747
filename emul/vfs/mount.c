/* SPDX-License-Identifier: MIT */
/* The mount table: made at boot, never changed by guests. Mounts live as long as the instance. */
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

	while ((m = __atomic_load_n(&p->dentry->mounted, __ATOMIC_ACQUIRE))) {
		struct path in = { m, m->root };

		path_get(&in);
		path_put(p);
		*p = in;
	}
}

/* --- looking ------------------------------------------------------------------------------------------------- */

int vfs_for_each_mount(struct vfs *v, const struct path *root, int (*fn)(void *ctx, const struct mount_info *m), void *ctx)
{
	struct mount *m;
	char at[4096];
	int r = 0;

	/* Mounts are only added, and never after boot: the list needs no lock. */
	list_for_each(m, &v->mounts, node) {
		struct path p = { m, m->root };
		struct mount_info i = {
			.id = m->id, .parent_id = m->parent ? m->parent->id : m->id, .at = at, .type = m->type, .source = m->source,
			.root = "/", .flags = m->flags | (m->sb->read_only ? ST_RDONLY : 0), .dev = m->sb->dev, .super_options = m->sb->options,
		};

		if (vfs_path_text(&p, root, at, sizeof(at), false) < 0 || at[0] != '/')
			continue;
		r = fn(ctx, &i);
		if (r)
			break;
	}
	return r;
}
