/* SPDX-License-Identifier: MIT */
/* Reading and writing files of emul/vfs from a test's own memory; a thread that can be interrupted. */
#ifndef TESTS_UNIT_VFS_FILE_IO_H
#define TESTS_UNIT_VFS_FILE_IO_H

#include <pthread.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/vfs/file.h"

#define MS 1000000LL
#define NOW ((struct deadline){ CLOCK_MONOTONIC, 0 })

static inline ssize_t rd(struct file *f, void *buf, size_t n)
{
	struct uio u;

	uio_init_host(&u, buf, n);
	return file_read(f, &u, NULL);
}

static inline ssize_t wr(struct file *f, const void *buf, size_t n)
{
	struct uio u;

	uio_init_host(&u, (void *)(uintptr_t)buf, n);
	return file_write(f, &u, NULL, NULL);
}

static inline ssize_t prd(struct file *f, void *buf, size_t n, off_t pos)
{
	struct uio u;

	uio_init_host(&u, buf, n);
	return file_read(f, &u, &pos);
}

static inline ssize_t pwr(struct file *f, const void *buf, size_t n, off_t pos)
{
	struct uio u;

	uio_init_host(&u, (void *)(uintptr_t)buf, n);
	return file_write(f, &u, &pos, NULL);
}

static inline void set_nonblock(struct file *f, bool on)
{
	unsigned flags = file_flags(f);

	atomic_store(&f->flags, on ? flags | O_NONBLOCK : flags & ~(unsigned)O_NONBLOCK);
}

/* A call on a thread of its own: started, perhaps interrupted, joined. */
struct bg {
	pthread_t thread;
	struct waiter w;
	long (*fn)(void *);
	void *arg;
	_Atomic long r;
	_Atomic bool done;
};

static inline void *bg_main(void *arg)
{
	struct bg *b = arg;

	waiter_bind(&b->w);
	b->r = b->fn(b->arg);
	b->done = true;
	waiter_bind(NULL);
	return NULL;
}

static inline void bg_start(struct bg *b, long (*fn)(void *), void *arg)
{
	*b = (struct bg){ .fn = fn, .arg = arg };
	waiter_init(&b->w, true);
	pthread_create(&b->thread, NULL, bg_main, b);
}

/* Still running after a while: it sleeps. */
static inline bool bg_sleeps(struct bg *b)
{
	usleep(30000);
	return !b->done;
}

static inline long bg_join(struct bg *b)
{
	pthread_join(b->thread, NULL);
	return b->r;
}

static inline long bg_interrupt(struct bg *b)
{
	waiter_interrupt(&b->w);
	return bg_join(b);
}

#endif
