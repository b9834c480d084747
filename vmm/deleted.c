/* SPDX-License-Identifier: MIT */
/*
 * The working directory of a program whose caller is in a directory that has been removed: natively it has no name, nothing can be made in
 * it, and its ".." is where it was. Such a one is made and removed inside, in memory: what is the host's is not touched.
 */
#include <errno.h>
#include <string.h>

#include "emul/base/auto.h"
#include "emul/base/err.h"
#include "vmm/mounts.h"

/* A directory of that name in parent, removed. -EEXIST: there is another one. */
static int make_removed(struct fs_ctx *ctx, const struct path *parent, const char *name, struct path *ret)
{
	AUTO_PATH dir = PATH_INIT;
	int r = vfs_mkdir(ctx, parent, name, 0755);

	if (r < 0)
		return r;
	r = vfs_lookup(ctx, parent, name, WALK_DIRECTORY, 0, &dir);
	if (r == 0)
		r = vfs_chown(ctx, &dir, geteuid(), getegid());
	if (r == 0)
		path_get(&dir), *ret = dir;
	(void)vfs_rmdir(ctx, parent, name);
	return r;
}

/* The directory that dir was in, if that is in the root's memory; else, and where the name is taken again, the root. */
static int make_somewhere(struct fs_ctx *ctx, const struct path *root, const char *dir, const char *name, struct path *ret)
{
	AUTO_PATH parent = PATH_INIT;
	AUTO_FREE char *up = strndup(dir, (size_t)(name - dir));
	int r = up ? vfs_lookup(ctx, NULL, up, WALK_FOLLOW | WALK_DIRECTORY, 0, &parent) : -ENOMEM;

	if (r == 0)
		r = parent.mnt == root->mnt ? make_removed(ctx, &parent, name, ret) : -EXDEV;
	return r < 0 ? make_removed(ctx, root, name, ret) : r;
}

int deleted_directory(struct instance_env *env, const char *dir, struct path *ret)
{
	AUTO_PATH root = PATH_INIT;
	struct cred *cred = mounts_cred();
	struct fs_ctx ctx = { .vfs = env->vfs, .cred = cred, .limit_fsize = UINT64_MAX };
	const char *name = strrchr(dir, '/');
	int r = -ENOMEM;

	vfs_root(env->vfs, &root);
	ctx.fs = fs_new(&root, &root, 022);
	if (name && ctx.fs && cred)
		r = make_somewhere(&ctx, &root, dir, name + 1, ret);
	fs_put(ctx.fs);
	cred_put(cred);
	return r;
}
