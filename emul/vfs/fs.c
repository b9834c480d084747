/* SPDX-License-Identifier: MIT */
/* struct fs: working directory, root and umask, which threads share. */
#include <stdlib.h>

#include "emul/vfs/namespace.h"

struct fs *fs_new(const struct path *root, const struct path *cwd, mode_t umask)
{
	struct fs *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return NULL;
	ref_init(&fs->ref);
	mutex_init(&fs->lock);
	fs->root = *root;
	fs->cwd = *cwd;
	fs->umask = umask;
	path_get(root);
	path_get(cwd);
	return fs;
}

struct fs *fs_copy(struct fs *fs)
{
	struct fs *n;

	mutex_lock(&fs->lock);
	n = fs_new(&fs->root, &fs->cwd, fs->umask);
	mutex_unlock(&fs->lock);
	if (n)
		fs_set_home(n, &fs->home);
	return n;
}

struct fs *fs_get(struct fs *fs)
{
	ref_get(&fs->ref);
	return fs;
}

void fs_put(struct fs *fs)
{
	if (!fs || !ref_put(&fs->ref))
		return;
	path_put(&fs->root);
	path_put(&fs->cwd);
	path_put(&fs->home);
	mutex_fini(&fs->lock);
	free(fs);
}

static void replace(struct fs *fs, struct path *slot, const struct path *p)
{
	struct path old;

	path_get(p);
	mutex_lock(&fs->lock);
	old = *slot;
	*slot = *p;
	mutex_unlock(&fs->lock);
	path_put(&old);
}

void fs_set_cwd(struct fs *fs, const struct path *p)
{
	replace(fs, &fs->cwd, p);
}

void fs_set_root(struct fs *fs, const struct path *p)
{
	replace(fs, &fs->root, p);
}

void fs_set_home(struct fs *fs, const struct path *p)
{
	path_get(p);
	fs->home = *p;
}

mode_t fs_set_umask(struct fs *fs, mode_t mask)
{
	mode_t old;

	mutex_lock(&fs->lock);
	old = fs->umask;
	fs->umask = mask & 0777;
	mutex_unlock(&fs->lock);
	return old;
}
