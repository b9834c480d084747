/* SPDX-License-Identifier: MIT */
/*
 * The default view: the host's "/" read-only below memory, the caller's working directory for real,
 * own /proc, /sys, /dev, /dev/shm and /dev/mqueue. Volumes and --rootfs change it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/proc/mqueue.h"
#include "emul/vfs/tty/tty.h"
#include "vmm/instance_internal.h"
#include "vmm/mounts.h"

static int mount_root(struct instance_env *env, const struct instance_config *cfg, struct instance_error *err)
{
	const char *dir = cfg->rootfs ? cfg->rootfs : "/";
	struct super *s;
	int r = overlay_new(env->vfs, dir, &s);

	if (r == 0)
		r = vfs_mount(env->vfs, "/", s, "overlay", "overlay", 0);
	return r < 0 ? instance_fail(err, STATUS_VMRUN, "%s: cannot be the root directory: %s", dir, strerror(-r)) : 0;
}

static int mount_own(struct instance_env *env, const char *at, int made, struct super *s, const char *type,
		     unsigned long flags, struct instance_error *err)
{
	int r = made;

	if (r == 0)
		r = vfs_mount(env->vfs, at, s, type, type, flags);
	return r < 0 ? instance_fail(err, STATUS_VMRUN, "cannot mount %s at %s: %s", type, at, strerror(-r)) : 0;
}

/* A directory of the tree that has been built so far. */
static int find_place(struct instance_env *env, const char *dir, struct path *ret)
{
	AUTO_PATH root = PATH_INIT;
	struct fs *fs;
	struct cred *cred = cred_from_host();
	struct fs_ctx ctx = { .vfs = env->vfs, .cred = cred, .limit_fsize = UINT64_MAX };
	int r = -ENOMEM;

	vfs_root(env->vfs, &root);
	fs = fs_new(&root, &root, 022);
	if (fs && cred) {
		ctx.fs = fs;
		r = vfs_lookup(&ctx, NULL, dir, WALK_FOLLOW | WALK_DIRECTORY, 0, ret);
	}
	fs_put(fs);
	cred_put(cred);
	return r;
}

static int mount_kernel_trees(struct instance_env *env, struct instance_error *err)
{
	struct path mqueues = PATH_INIT;
	struct super *s = NULL;
	int r;

	r = procfs_new(env, &s);
	if (mount_own(env, "/proc", r, s, "proc", ST_NOSUID | ST_NODEV | ST_NOEXEC, err) < 0)
		return -1;
	r = sysfs_new(env, &s);
	if (mount_own(env, "/sys", r, s, "sysfs", ST_NOSUID | ST_NODEV | ST_NOEXEC, err) < 0)
		return -1;
	r = devfs_new(env->vfs, &s);
	if (mount_own(env, "/dev", r, s, "devtmpfs", ST_NOSUID, err) < 0)
		return -1;
	r = devpts_new(env->vfs, &s);
	if (mount_own(env, "/dev/pts", r, s, "devpts", ST_NOSUID | ST_NOEXEC, err) < 0)
		return -1;
	r = tmpfs_new(env->vfs, env->memory_limit / 2, 01777, &s);
	if (mount_own(env, "/dev/shm", r, s, "tmpfs", ST_NOSUID | ST_NODEV, err) < 0)
		return -1;
	r = mqueuefs_new(env, &s);
	if (mount_own(env, "/dev/mqueue", r, s, "mqueue", ST_NOSUID | ST_NODEV | ST_NOEXEC, err) < 0)
		return -1;
	r = find_place(env, "/dev/mqueue", &mqueues);
	if (r < 0)
		return instance_fail(err, STATUS_VMRUN, "/dev/mqueue: %s", strerror(-r));
	mqueue_set_root(&mqueues);
	path_put(&mqueues);
	return 0;
}

static bool is_kernel_tree(const char *dir)
{
	static const char *const trees[] = { "/proc", "/sys", "/dev" };

	for (size_t i = 0; i < ARRAY_SIZE(trees); i++) {
		size_t n = strlen(trees[i]);

		if (!strncmp(dir, trees[i], n) && (dir[n] == '/' || !dir[n]))
			return true;
	}
	return false;
}

/* --- directories of the host that are shown for real ------------------------------------------------------- */

struct shown {
	struct list node;
	dev_t dev;   /* as it was: whoever removes and makes it anew means another one */
	ino_t ino;
	struct super *sb;  /* lives as long as it is mounted */
	char dir[];
};

static bool is_beneath(const char *dir, const char *above)
{
	size_t n = strlen(above);

	return !strncmp(dir, above, n) && (dir[n] == '/' || !dir[n] || above[n - 1] == '/');
}

/* The one that shows dir. */
static struct shown *find_shown(struct instance *in, const char *dir)
{
	struct shown *s;
	struct stat st;

	list_for_each(s, &in->mounts.shown, node)
		if (is_beneath(dir, s->dir) && stat(s->dir, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
			return s;
	return NULL;
}

static int note_shown(struct instance *in, const char *dir, const struct stat *st, struct super *sb)
{
	struct shown *s = malloc(sizeof(*s) + strlen(dir) + 1);

	if (!s)
		return -ENOMEM;
	s->sb = sb;
	s->dev = st->st_dev;
	s->ino = st->st_ino;
	strcpy(s->dir, dir);
	list_add(&in->mounts.shown, &s->node); /* a later one may cover an earlier one */
	return 0;
}

static bool is_in_volume(struct instance *in, const char *dir)
{
	for (unsigned i = 0; i < in->cfg->nvolumes; i++)
		if (is_beneath(dir, in->cfg->volumes[i].guest))
			return true;
	return false;
}

/* The caller's directory is writable for real, unless it is "/" itself: a sandbox must not write everywhere. */
static bool may_show(const char *dir)
{
	return dir && dir[0] == '/' && dir[1] && !is_kernel_tree(dir);
}

static int show(struct instance *in, const char *dir)
{
	struct super *s;
	struct stat st;
	int r = 0;

	if (stat(dir, &st) < 0)
		r = -errno;
	if (r == 0)
		r = hostfs_new(in->env.vfs, dir, false, &s);
	if (r == 0)
		r = vfs_mount(in->env.vfs, dir, s, "hostfs", dir, 0);
	return r < 0 ? r : note_shown(in, dir, &st, s);
}

static int mount_volume(struct instance_env *env, const struct instance_volume *v, struct instance_error *err)
{
	struct super *s;
	struct stat st;
	int r;

	if (stat(v->host, &st) < 0)
		return instance_fail(err, STATUS_VMRUN, "--volume %s: %s", v->host, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return instance_fail(err, STATUS_VMRUN, "--volume %s: not a directory: give the directory that holds the file", v->host);
	r = hostfs_new(env->vfs, v->host, v->read_only, &s);
	if (r == 0)
		r = vfs_mount(env->vfs, v->guest, s, "hostfs", v->host, v->read_only ? ST_RDONLY : 0);
	return r < 0 ? instance_fail(err, STATUS_VMRUN, "--volume %s:%s: %s", v->host, v->guest, strerror(-r)) : 0;
}

static int mount_volumes(struct instance *in, const char *above, struct instance_error *err)
{
	for (unsigned i = 0; i < in->cfg->nvolumes; i++)
		if (is_beneath(in->cfg->volumes[i].guest, above) && mount_volume(&in->env, &in->cfg->volumes[i], err) < 0)
			return -1;
	return 0;
}

int mounts_setup(struct instance *in, struct instance_error *err)
{
	const char *dir = in->cfg->host_cwd;
	int r;

	if (mount_root(&in->env, in->cfg, err) < 0)
		return -1;
	etc_files_write(&in->env, in->cfg);
	if (!in->cfg->rootfs && may_show(dir)) {
		r = show(in, dir);
		if (r < 0)
			return instance_fail(err, STATUS_VMRUN, "%s: cannot use the working directory: %s", dir, strerror(-r));
	}
	return mount_kernel_trees(&in->env, err) < 0 ? -1 : mount_volumes(in, "/", err);
}

/* Whose programs have all ended. */
static void drop_unused(struct instance *in)
{
	struct shown *s, *next;

	list_for_each_safe(s, next, &in->mounts.shown, node)
		if (vfs_unmount_unused(in->env.vfs, s->sb)) {
			list_del(&s->node);
			free(s);
		}
}

/* Volumes lie above what a later program's directory shows. */
static int show_later(struct instance *in, const char *dir, struct path *ret_home, struct instance_error *err)
{
	struct shown *s;
	int r = 0;

	mutex_lock(&in->mounts.lock);
	s = find_shown(in, dir);
	if (!s && !is_in_volume(in, dir)) {
		drop_unused(in);
		r = show(in, dir);
		r = r < 0 ? instance_fail(err, STATUS_VMRUN, "%s: cannot use the working directory: %s", dir, strerror(-r)) : mount_volumes(in, dir, err);
		s = r < 0 ? NULL : find_shown(in, dir);
	}
	if (s)
		vfs_mount_root(in->env.vfs, s->sb, ret_home);
	mutex_unlock(&in->mounts.lock);
	return r;
}

int mounts_cwd(struct instance *in, const struct program_config *cfg, struct path *ret, struct path *ret_home, struct instance_error *err)
{
	const char *outside = in->cfg->rootfs ? NULL : cfg->host_cwd, *dir;

	if (outside && cfg->cwd_deleted) {
		if (!cfg->cwd && deleted_directory(&in->env, outside, ret) == 0)
			return 0;
		outside = NULL;
	}
	dir = cfg->cwd ? cfg->cwd : outside ? outside : "/";
	if (may_show(outside) && show_later(in, outside, ret_home, err) < 0)
		return -1;
	if (find_place(&in->env, dir, ret) < 0)
		return instance_fail(err, STATUS_VMRUN, "%s: no such directory inside: choose one with --cwd", dir);
	return 0;
}
