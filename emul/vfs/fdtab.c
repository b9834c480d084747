/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables. A descriptor is free, reserved (its bit is set, no file yet: looks closed to
 * everybody) or open. Files are dropped outside the lock: a close may do anything.
 */
#include "emul/vfs/fdtab.h"

#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"

#define FIRST_SIZE 64 /* slots, as Linux's NR_OPEN_DEFAULT */
#define BITS 64

struct fdtab {
	struct ref ref;
	struct mutex lock;
	/* lock: */
	struct file **slot;  /* NULL: free or reserved */
	uint64_t *used;      /* bit: not free */
	uint64_t *cloexec;
	int size;            /* slots, a multiple of BITS */
	int lowest;          /* none below is free */
};

static bool bit_get(const uint64_t *map, int i)
{
	return map[i / BITS] >> (i % BITS) & 1;
}

static void bit_set(uint64_t *map, int i, bool on)
{
	uint64_t bit = (uint64_t)1 << (i % BITS);

	map[i / BITS] = on ? map[i / BITS] | bit : map[i / BITS] & ~bit;
}

/* --- the table itself ---------------------------------------------------------------------------------- */

static void *extend(void *old, size_t old_size, size_t size)
{
	char *p = realloc(old, size);

	if (p)
		memset(p + old_size, 0, size - old_size);
	return p;
}

/* Makes slot fd exist. */
static int grow_locked(struct fdtab *t, int fd) REQUIRES(t->lock)
{
	int size = t->size ? t->size : FIRST_SIZE;
	void *p;

	if (fd < t->size)
		return 0;
	while (size <= fd)
		size *= 2;
	/* Each array that has grown stays grown if a later one cannot: size is what counts. */
	p = extend(t->slot, t->size * sizeof(*t->slot), size * sizeof(*t->slot));
	if (!p)
		return -ENOMEM;
	t->slot = p;
	p = extend(t->used, t->size / 8, size / 8);
	if (!p)
		return -ENOMEM;
	t->used = p;
	p = extend(t->cloexec, t->size / 8, size / 8);
	if (!p)
		return -ENOMEM;
	t->cloexec = p;
	t->size = size;
	return 0;
}

struct fdtab *fdtab_new(void)
{
	struct fdtab *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	ref_init(&t->ref);
	mutex_init(&t->lock);
	mutex_lock(&t->lock);
	int r = grow_locked(t, 0);
	mutex_unlock(&t->lock);
	if (r == 0)
		return t;
	fdtab_put(t);
	return NULL;
}

struct fdtab *fdtab_get_ref(struct fdtab *t)
{
	ref_get(&t->ref);
	return t;
}

void fdtab_put(struct fdtab *t)
{
	if (!t || !ref_put(&t->ref))
		return;
	for (int fd = 0; fd < t->size; fd++)
		if (t->slot[fd])
			file_close(t->slot[fd], t);
	free(t->slot);
	free(t->used);
	free(t->cloexec);
	mutex_fini(&t->lock);
	free(t);
}

struct fdtab *fdtab_copy(struct fdtab *t, unsigned up_to) NO_LOCK_ANALYSIS /* two locks at once */
{
	struct fdtab *n = fdtab_new();
	int r = 0;

	if (!n)
		return NULL;
	mutex_lock_two(&t->lock, &n->lock);
	for (int fd = 0; fd < t->size && (unsigned)fd < up_to && r == 0; fd++) {
		if (!t->slot[fd]) /* what another thread has only reserved is not inherited */
			continue;
		r = grow_locked(n, fd);
		if (r == 0) {
			n->slot[fd] = file_get(t->slot[fd]);
			bit_set(n->used, fd, true);
			bit_set(n->cloexec, fd, bit_get(t->cloexec, fd));
		}
	}
	mutex_unlock_two(&t->lock, &n->lock);
	if (r == 0)
		return n;
	fdtab_put(n);
	return NULL;
}

bool fdtab_is_shared(struct fdtab *t)
{
	return atomic_load(&t->ref.n) > 1;
}

/* --- looking up ------------------------------------------------------------------------------------------ */

static struct file *slot_locked(struct fdtab *t, int fd) REQUIRES(t->lock)
{
	return fd >= 0 && fd < t->size ? t->slot[fd] : NULL;
}

struct file *fdtab_get(struct fdtab *t, int fd)
{
	struct file *f;

	mutex_lock(&t->lock);
	f = slot_locked(t, fd);
	if (f)
		file_get(f);
	mutex_unlock(&t->lock);
	return f;
}

int fdtab_next(struct fdtab *t, int fd, struct file **ret)
{
	int found = -1;

	mutex_lock(&t->lock);
	for (int i = MAX(fd, 0); i < t->size && found < 0; i++)
		if (t->slot[i])
			found = i;
	if (found >= 0 && ret)
		*ret = file_get(t->slot[found]);
	mutex_unlock(&t->lock);
	return found;
}

unsigned fdtab_size(struct fdtab *t)
{
	unsigned n;

	mutex_lock(&t->lock);
	n = t->size;
	mutex_unlock(&t->lock);
	return n;
}

int fdtab_get_cloexec(struct fdtab *t, int fd)
{
	int r = -EBADF;

	mutex_lock(&t->lock);
	if (slot_locked(t, fd))
		r = bit_get(t->cloexec, fd);
	mutex_unlock(&t->lock);
	return r;
}

int fdtab_set_cloexec(struct fdtab *t, int fd, bool on)
{
	int r = -EBADF;

	mutex_lock(&t->lock);
	if (slot_locked(t, fd)) {
		bit_set(t->cloexec, fd, on);
		r = 0;
	}
	mutex_unlock(&t->lock);
	return r;
}

/* --- taking and filling slots ------------------------------------------------------------------------------ */

/* The lowest free slot >= min; size if all are used. */
static int find_free_locked(struct fdtab *t, int min) REQUIRES(t->lock)
{
	int fd = MAX(min, t->lowest);

	while (fd < t->size) {
		uint64_t free_bits = ~t->used[fd / BITS] >> (fd % BITS);

		if (free_bits)
			return fd + __builtin_ctzll(free_bits);
		fd = (fd / BITS + 1) * BITS;
	}
	return fd;
}

static int reserve_locked(struct fdtab *t, bool cloexec, int min, int limit) REQUIRES(t->lock)
{
	int fd, r;

	if (min < 0 || min >= limit)
		return min < 0 || min > 0 ? -EINVAL : -EMFILE; /* F_DUPFD's check; a limit of 0 leaves no descriptor at all */
	fd = find_free_locked(t, min);
	if (fd >= limit)
		return -EMFILE;
	r = grow_locked(t, fd);
	if (r < 0)
		return r;
	bit_set(t->used, fd, true);
	bit_set(t->cloexec, fd, cloexec);
	if (min <= t->lowest)
		t->lowest = fd + 1;
	return fd;
}

static void release_locked(struct fdtab *t, int fd) REQUIRES(t->lock)
{
	t->slot[fd] = NULL;
	bit_set(t->used, fd, false);
	bit_set(t->cloexec, fd, false);
	t->lowest = MIN(t->lowest, fd);
}

int fdtab_install(struct fdtab *t, struct file *f, bool cloexec, int min, int limit)
{
	int fd;

	mutex_lock(&t->lock);
	fd = reserve_locked(t, cloexec, min, limit);
	if (fd >= 0)
		t->slot[fd] = file_get(f);
	mutex_unlock(&t->lock);
	return fd;
}

int fdtab_reserve(struct fdtab *t, bool cloexec, int min, int limit)
{
	int fd;

	mutex_lock(&t->lock);
	fd = reserve_locked(t, cloexec, min, limit);
	mutex_unlock(&t->lock);
	return fd;
}

void fdtab_fill(struct fdtab *t, int fd, struct file *f)
{
	mutex_lock(&t->lock);
	assert(fd < t->size && bit_get(t->used, fd) && !t->slot[fd]);
	t->slot[fd] = file_get(f);
	mutex_unlock(&t->lock);
}

void fdtab_unreserve(struct fdtab *t, int fd)
{
	mutex_lock(&t->lock);
	assert(fd < t->size && bit_get(t->used, fd) && !t->slot[fd]);
	release_locked(t, fd);
	mutex_unlock(&t->lock);
}

int fdtab_replace(struct fdtab *t, int newfd, struct file *f, bool cloexec, int limit)
{
	struct file *old = NULL;
	int r;

	if (newfd < 0 || newfd >= limit)
		return -EBADF;
	mutex_lock(&t->lock);
	r = grow_locked(t, newfd);
	if (r == 0) {
		old = t->slot[newfd];
		if (!old && bit_get(t->used, newfd))
			r = -EBUSY; /* another thread's open() is about to fill it */
	}
	if (r == 0) {
		t->slot[newfd] = file_get(f);
		bit_set(t->used, newfd, true);
		bit_set(t->cloexec, newfd, cloexec);
	}
	mutex_unlock(&t->lock);
	if (r < 0)
		return r;
	if (old)
		file_close(old, t); /* its error is lost, as in Linux */
	return newfd;
}

/* --- closing ------------------------------------------------------------------------------------------------ */

int fdtab_close(struct fdtab *t, int fd)
{
	struct file *f;

	mutex_lock(&t->lock);
	f = slot_locked(t, fd);
	if (f)
		release_locked(t, fd);
	mutex_unlock(&t->lock);
	return f ? file_close(f, t) : -EBADF;
}

/* Takes out the first file with fd in [*fd, last] that pick() wants; *fd is set to the next number. */
static struct file *take_next(struct fdtab *t, unsigned *fd, unsigned last, bool only_cloexec)
{
	struct file *f = NULL;

	mutex_lock(&t->lock);
	for (; !f && *fd <= last && *fd < (unsigned)t->size; ++*fd) {
		f = t->slot[*fd];
		if (f && only_cloexec && !bit_get(t->cloexec, *fd))
			f = NULL;
		if (f)
			release_locked(t, *fd);
	}
	mutex_unlock(&t->lock);
	return f;
}

int fdtab_close_range(struct fdtab *t, unsigned first, unsigned last, bool set_cloexec_only)
{
	struct file *f;

	if (first > last)
		return -EINVAL;
	if (set_cloexec_only) {
		mutex_lock(&t->lock);
		for (unsigned fd = first; fd <= last && fd < (unsigned)t->size; fd++)
			if (bit_get(t->used, fd))
				bit_set(t->cloexec, fd, true);
		mutex_unlock(&t->lock);
		return 0;
	}
	while ((f = take_next(t, &first, last, false)))
		file_close(f, t);
	return 0;
}

void fdtab_close_on_exec(struct fdtab *t)
{
	unsigned fd = 0;
	struct file *f;

	while ((f = take_next(t, &fd, UINT32_MAX, true)))
		file_close(f, t);
}
