/* SPDX-License-Identifier: MIT */
/* Inside of the names half of vfs: the instance's tree, the cache of names, and the walk's steps. */
#ifndef EMUL_VFS_NAMESPACE_H
#define EMUL_VFS_NAMESPACE_H

#include "emul/vfs/inode.h"

#define NAME_LIMIT 255
#define DCACHE_BUCKETS 8192

struct vfs {
	struct phys *ph;           /* constant */
	struct mutex rename_lock;  /* renames between directories; paths are turned to text under it */
	struct mutex lock;
	/* lock: */
	struct list mounts;        /* of mount.node, in order */
	int next_id;
	struct mount *root;        /* constant once set */
	struct mount nameless;     /* constant, in no list: where files without a name are (nameless.c) */
	struct super nameless_sb;
	struct mutex cache_lock;
	/* cache_lock: */
	struct list bucket[DCACHE_BUCKETS]; /* dentry.cache_node, by parent and name */
	struct list unused;        /* dentry.lru_node: nobody holds them, oldest first */
	unsigned nunused, max_unused;
};

/* --- dentry.c ------------------------------------------------------------------------------------ */
void dcache_init(struct vfs *v);
/* Frees what is cached of s and held by nobody. */
void dcache_forget(struct vfs *v, const struct super *s);
/* A dentry of its own: the root of a file system. Consumes i. NULL: no memory. */
struct dentry *dentry_new_root(struct inode *i);
/* d is now called name in dir. Both directories' inode locks held, and the rename lock if they differ. -ENOMEM. */
int dentry_move(struct dentry *d, struct dentry *dir, const char *name);
int dentry_exchange(struct dentry *a, struct dentry *b);
struct dentry *dentry_parent(struct dentry *d); /* reference */
bool dentry_is_ancestor(struct dentry *a, struct dentry *d); /* a above d, or d itself; rename lock held */

/* --- nameless.c ----------------------------------------------------------------------------------- */
void nameless_init(struct vfs *v);
bool path_is_nameless(const struct path *p);
ssize_t nameless_text(const struct path *p, char *buf, size_t size); /* "pipe:[7]"; length, -ERANGE */

/* --- path.c ---------------------------------------------------------------------------------------- */
enum last_type { LAST_NORM, LAST_DOT, LAST_DOTDOT, LAST_ROOT };

struct walk {
	struct fs_ctx *c;
	struct path root;          /* owned: where "/" and ".." end */
	struct path start;         /* owned: of RESOLVE_BENEATH */
	struct path at;            /* owned: where the walk is; after walk_parent() the directory */
	uint64_t resolve;
	unsigned nlinks;           /* followed so far */
	enum last_type last_type;  /* walk_parent(): */
	bool trailing;             /* name ended in a slash */
	char last[NAME_LIMIT + 1];
};
/* at NULL: cwd. walk_end() always. -ENOENT for an empty name. */
int walk_begin(struct walk *w, struct fs_ctx *c, const struct path *at, const char *name, uint64_t resolve);
void walk_end(struct walk *w);
/* To the end of the text. follow: a link in the last component too. */
int walk_all(struct walk *w, const char *text, bool follow);
/* To the directory of the last component, which is left in w->last. */
int walk_parent(struct walk *w, const char *text);
/* w->at is a directory, link a symbolic link in it. parent: as walk_parent(). */
int walk_link(struct walk *w, struct dentry *link, bool parent);
/* Into what is mounted on p (consumes and replaces it). */
void walk_into_mounts(struct path *p);

/* The directory of w->last locked, for making a name: w->at.dentry->inode->lock is held if it returns 0. */
int begin_create(struct fs_ctx *c, const struct path *at, const char *name, bool is_dir, struct walk *w);
void end_create(struct walk *w);
/* May names be made in (removed from) the directory? */
int may_create(struct fs_ctx *c, struct path *dir);

#endif
