/* SPDX-License-Identifier: MIT */
/* open(2) and its kin. fs/open.c: build_open_how(), build_open_flags(), do_sys_openat2(). */
#include "emul/syscalls/handler.h"

#define TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)
#define PATH_FLAGS (O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC)
#define ALL_FLAGS                                                                                                \
	((unsigned)(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | \
		    O_ASYNC | O_DIRECT | RAW_O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | \
		    O_TMPFILE))
#define ALL_RESOLVE                                                                                            \
	(RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_IN_ROOT | \
	 RESOLVE_CACHED)
#define OPEN_HOW_SIZE_VER0 24

static bool makes_file(uint64_t flags)
{
	return flags & (O_CREAT | TMPFILE_BIT);
}

static bool asks_to_write(uint64_t flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

/* What only openat2(2) can get wrong. */
static int check_how(const struct open_how *how)
{
	uint64_t confined = how->resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT);

	if ((how->flags & ~(uint64_t)ALL_FLAGS) || (how->resolve & ~(uint64_t)ALL_RESOLVE))
		return -EINVAL;
	if (confined == (RESOLVE_BENEATH | RESOLVE_IN_ROOT))
		return -EINVAL;
	if (how->mode & (makes_file(how->flags) ? ~(uint64_t)07777 : ~(uint64_t)0))
		return -EINVAL;
	if ((how->flags & O_PATH) && (how->flags & ~(uint64_t)PATH_FLAGS))
		return -EINVAL;
	if ((how->resolve & RESOLVE_CACHED) && (how->flags & (O_TRUNC | O_CREAT | TMPFILE_BIT)))
		return -EAGAIN;
	return 0;
}

/* What every caller can get wrong. */
static int check_flags(uint64_t flags)
{
	if ((flags & (O_DIRECTORY | O_CREAT)) == (O_DIRECTORY | O_CREAT))
		return -EINVAL;
	if ((flags & TMPFILE_BIT) && (!(flags & O_DIRECTORY) || !asks_to_write(flags)))
		return -EINVAL;
	return 0;
}

/* openat2() is the same for all: the name is read, a descriptor is kept, then the path is walked. */
static int open_reserved(struct task *t, int dirfd, const char *name, const struct open_how *how, struct file **ret)
{
	bool from_dir = name[0] != '/' || (how->resolve & RESOLVE_IN_ROOT);
	AUTO_PATH at = PATH_INIT;
	int r = from_dir ? arg_dirfd(t, dirfd, &at) : 0;

	return r < 0 ? r : vfs_open(&t->fsc, path_is_set(&at) ? &at : NULL, name, how, ret);
}

static long do_open(struct task *t, int dirfd, gva_t name_at, struct open_how *how)
{
	AUTO(file) f = NULL;
	char name[PATH_MAX];
	int fd, r = check_flags(how->flags);

	if (r < 0)
		return r;
	if (!(how->flags & O_PATH))
		how->flags |= RAW_O_LARGEFILE;
	if ((how->flags & O_SYNC) == (O_SYNC & ~O_DSYNC)) /* the kernel's half of the flag means both */
		how->flags |= O_DSYNC;
	r = arg_path(t, name_at, name, false);
	if (r < 0)
		return r;
	fd = fdtab_reserve(t->fds, how->flags & O_CLOEXEC, 0, nofile_limit(t));
	if (fd < 0)
		return fd;
	r = open_reserved(t, dirfd, name, how, &f);
	if (r < 0) {
		fdtab_unreserve(t->fds, fd);
		return r;
	}
	fdtab_fill(t->fds, fd, f);
	return fd;
}

/* The flags of the old calls: what is unknown is ignored. */
static long open_old(struct task *t, int dirfd, gva_t name, unsigned flags, uint32_t mode)
{
	struct open_how how = { .flags = flags & ALL_FLAGS, .mode = mode & 07777 };

	if (how.flags & O_PATH)
		how.flags &= PATH_FLAGS;
	if (!makes_file(how.flags))
		how.mode = 0;
	return do_open(t, dirfd, name, &how);
}

long sys_open(struct task *t, const struct sysargs *a)
{
	return open_old(t, AT_FDCWD, arg_gva(a, 0), arg_uint(a, 1), arg_mode(a, 2));
}

long sys_openat(struct task *t, const struct sysargs *a)
{
	return open_old(t, arg_int(a, 0), arg_gva(a, 1), arg_uint(a, 2), arg_mode(a, 3));
}

long sys_creat(struct task *t, const struct sysargs *a)
{
	return open_old(t, AT_FDCWD, arg_gva(a, 0), O_CREAT | O_WRONLY | O_TRUNC, arg_mode(a, 1));
}

long sys_openat2(struct task *t, const struct sysargs *a)
{
	size_t size = arg_size(a, 3);
	struct open_how how;
	int r;

	if (size < OPEN_HOW_SIZE_VER0)
		return -EINVAL;
	r = copy_extensible(t->mm, &how, sizeof(how), arg_gva(a, 2), size);
	if (r == 0)
		r = check_how(&how);
	return r < 0 ? r : do_open(t, arg_int(a, 0), arg_gva(a, 1), &how);
}
