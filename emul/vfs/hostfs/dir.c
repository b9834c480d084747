/* SPDX-License-Identifier: MIT */
/* hostfs: names. Every host call takes one component beneath a directory's own descriptor. */
/* host syscalls: openat mkdirat mknodat symlinkat linkat unlinkat renameat2 fstat fchmod fchownat fchmodat chmod close */
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/vfs/hostfs/hostfs.h"

int hostfs_check_name(const char *name)
{
	if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	return strlen(name) > NAME_MAX ? -ENAMETOOLONG : 0;
}

/* May something be made in, or removed from, dir under this name? */
static int check_change(struct inode *dir, const char *name)
{
	if (dir->sb->read_only)
		return -EROFS;
	if (hostfs_inode_of(dir)->sealed)
		return -EPERM;
	return hostfs_check_name(name);
}

static int open_path(struct inode *dir, const char *name)
{
	return hostfs_error(HOST(openat(hostfs_inode_of(dir)->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC)));
}

int hostfs_lookup(struct fs_ctx *c, struct inode *dir, const char *name, struct inode **ret)
{
	struct hostfs_inode *hd = hostfs_inode_of(dir);
	int r = hostfs_check_name(name), fd;

	if (r < 0)
		return r;
	if (hd->sealed)
		return -ENOENT;
	fd = open_path(dir, name);
	return fd < 0 ? fd : hostfs_inode_get(hostfs_of(dir->sb), hd, fd, ret);
}

/* --- what a new thing gets ---------------------------------------------------------------------------------- */

/* Owner: the guest's task if the VMM may give files away; the group comes from a set-gid directory. */
static int set_owner(struct fs_ctx *c, struct inode *dir, int fd, const struct stat *st, bool dir_setgid)
{
	uid_t uid;
	gid_t gid;

	if (!hostfs_of(dir->sb)->host_root || !c || !c->cred)
		return 0;
	uid = c->cred->fsuid;
	gid = dir_setgid ? st->st_gid : c->cred->fsgid;
	if (uid == st->st_uid && gid == st->st_gid)
		return 0;
	return hostfs_error(HOST(fchownat(fd, "", uid, gid, AT_EMPTY_PATH)));
}

/* The exact owner and mode, whatever the host's umask cut; fd is O_PATH. */
static int settle(struct fs_ctx *c, struct inode *dir, int fd, mode_t mode)
{
	struct hostfs_link l = hostfs_link(fd);
	struct stat st, dst;
	bool setgid;
	int r;

	if (HOST(fstat(fd, &st)) < 0 || HOST(fstat(hostfs_inode_of(dir)->fd, &dst)) < 0)
		return -EIO;
	setgid = dst.st_mode & S_ISGID;
	r = set_owner(c, dir, fd, &st, setgid);
	if (r < 0 || S_ISLNK(st.st_mode))
		return r;
	mode &= 07777;
	if (setgid && S_ISDIR(st.st_mode))
		mode |= S_ISGID;
	if ((st.st_mode & 07777) == mode && !(mode & (S_ISUID | S_ISGID))) /* chown may have cut those */
		return 0;
	return hostfs_error(HOST(chmod(l.text, mode)));
}

/* The inode of a new name whose O_PATH descriptor is fd (consumed); on failure the name goes again. */
static int finish(struct fs_ctx *c, struct inode *dir, const char *name, int fd, mode_t mode, struct inode **ret)
{
	int r = fd < 0 ? fd : settle(c, dir, fd, mode);

	if (r == 0)
		return hostfs_inode_get(hostfs_of(dir->sb), hostfs_inode_of(dir), fd, ret);
	if (fd >= 0)
		close(fd);
	if (name)
		unlinkat(hostfs_inode_of(dir)->fd, name, S_ISDIR(mode) ? AT_REMOVEDIR : 0);
	return r;
}

/* As finish() for a file that creat(2) opened; its descriptor (consumed) is left for the open that follows. */
static int finish_open(struct fs_ctx *c, struct inode *dir, const char *name, int fd, mode_t mode, struct inode **ret)
{
	struct hostfs_link l = hostfs_link(fd);
	int r = finish(c, dir, name, hostfs_error(HOST(open(l.text, O_PATH | O_CLOEXEC))), mode, ret), old;

	if (r < 0) {
		close(fd);
		return r;
	}
	old = atomic_exchange(&hostfs_inode_of(*ret)->fresh, fd);
	if (old >= 0)
		close(old);
	return 0;
}

/* --- making --------------------------------------------------------------------------------------------------- */

int hostfs_create(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret)
{
	int r = check_change(dir, name), fd;

	if (r < 0)
		return r;
	fd = hostfs_error(HOST(openat(hostfs_inode_of(dir)->fd, name,
				      O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode & 07777)));
	return fd < 0 ? fd : finish_open(c, dir, name, fd, S_IFREG | (mode & 07777), ret);
}

int hostfs_mkdir(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret)
{
	int r = check_change(dir, name);

	if (r == 0)
		r = hostfs_error(HOST(mkdirat(hostfs_inode_of(dir)->fd, name, mode & 01777)));
	return r < 0 ? r : finish(c, dir, name, open_path(dir, name), S_IFDIR | (mode & 07777), ret);
}

int hostfs_mknod(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, dev_t dev, struct inode **ret)
{
	mode_t type = mode & S_IFMT;
	int r;

	if (type == 0 || type == S_IFREG) {
		r = hostfs_create(c, dir, name, mode, ret);
		if (r == 0)
			close(atomic_exchange(&hostfs_inode_of(*ret)->fresh, -1)); /* no open follows */
		return r;
	}
	if (type != S_IFIFO && type != S_IFSOCK)
		return -EPERM; /* devices of the host are not the guest's to name */
	r = check_change(dir, name);
	if (r == 0)
		r = hostfs_error(HOST(mknodat(hostfs_inode_of(dir)->fd, name, type | (mode & 0777), 0)));
	return r < 0 ? r : finish(c, dir, name, open_path(dir, name), mode, ret);
}

int hostfs_symlink(struct fs_ctx *c, struct inode *dir, const char *name, const char *target, struct inode **ret)
{
	int r = check_change(dir, name);

	if (r == 0)
		r = hostfs_error(HOST(symlinkat(target, hostfs_inode_of(dir)->fd, name)));
	return r < 0 ? r : finish(c, dir, name, open_path(dir, name), S_IFLNK | 0777, ret);
}

int hostfs_make_link(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *old)
{
	struct hostfs_inode *ho = hostfs_inode_of(old);
	struct hostfs_link l = hostfs_link(ho->fd);
	int fd = hostfs_inode_of(dir)->fd, r = check_change(dir, name);

	if (r < 0)
		return r;
	if (S_ISDIR(old->type) || ho->sealed)
		return -EPERM;
	/* The descriptor itself needs a capability on most hosts; its name does not. */
	r = hostfs_error(HOST(linkat(AT_FDCWD, l.text, fd, name, AT_SYMLINK_FOLLOW)));
	return r == -ENOENT ? hostfs_error(HOST(linkat(ho->fd, "", fd, name, AT_EMPTY_PATH))) : r;
}

int hostfs_tmpfile(struct fs_ctx *c, struct inode *dir, mode_t mode, struct inode **ret)
{
	struct hostfs_inode *hd = hostfs_inode_of(dir);
	int fd;

	if (dir->sb->read_only)
		return -EROFS;
	if (hd->sealed)
		return -EPERM;
	fd = hostfs_error(HOST(openat(hd->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode & 07777)));
	return fd < 0 ? fd : finish_open(c, dir, NULL, fd, S_IFREG | (mode & 07777), ret);
}

/* --- removing, renaming ------------------------------------------------------------------------------------------ */

int hostfs_unlink(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *victim)
{
	int r = check_change(dir, name);

	return r < 0 ? r : hostfs_error(HOST(unlinkat(hostfs_inode_of(dir)->fd, name, 0)));
}

int hostfs_rmdir(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *victim)
{
	int r = check_change(dir, name);

	return r < 0 ? r : hostfs_error(HOST(unlinkat(hostfs_inode_of(dir)->fd, name, AT_REMOVEDIR)));
}

int hostfs_rename(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *moved, struct inode *new_dir,
		  const char *new_name, struct inode *victim, unsigned flags)
{
	int r = check_change(dir, name);

	if (r == 0)
		r = check_change(new_dir, new_name);
	if (r < 0)
		return r;
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	return hostfs_error(HOST(renameat2(hostfs_inode_of(dir)->fd, name, hostfs_inode_of(new_dir)->fd, new_name, flags)));
}
