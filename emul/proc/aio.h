/* SPDX-License-Identifier: MIT */
/*
 * Contexts of asynchronous I/O (io_setup(2)): requests under way and events not yet read. As in Linux, reads, writes and
 * syncs of a file are carried out while they are submitted; only IOCB_CMD_POLL really waits in the background.
 * A context is named by the address of a page that is mapped for it: libaio looks there for a ring that it may read by itself,
 * finds none, and asks by system call.
 */
#ifndef EMUL_PROC_AIO_H
#define EMUL_PROC_AIO_H

#include <linux/aio_abi.h>

#include "emul/base/auto.h"
#include "emul/base/types.h"
#include "emul/base/wait.h"

struct aio_ctx;
struct file;
struct proc;
struct task;

unsigned long aio_nr(void); /* events that all contexts were made for: fs.aio-nr */

int aio_setup(struct task *t, unsigned nr, gva_t *ret_id); /* -EINVAL, -EAGAIN (fs.aio-max-nr), -ENOMEM */
int aio_destroy(struct task *t, gva_t id);                 /* -EINVAL: there is none */
void aio_exit(struct proc *p);                             /* exec, exit: all of them; their pages go with the address space */

/* A reference; NULL: p has no such context. */
struct aio_ctx *aio_lookup(struct proc *p, gva_t id);
void aio_put(struct aio_ctx *c);
DEFINE_AUTO(aio_ctx, aio_put);
unsigned aio_size(struct aio_ctx *c); /* requests that it holds */

/* Room for one more event. -EAGAIN: none; aio_give_back() if no request comes of it. */
int aio_reserve(struct aio_ctx *c);
void aio_give_back(struct aio_ctx *c);
/* What became of a request that had a place. resfd (borrowed, may be NULL): an eventfd that is told. */
void aio_complete(struct aio_ctx *c, const struct io_event *ev, struct file *resfd);
/* Completes once f is ready for `events` (EPOLL*; errors always count). ev: without the result. Takes the place; 0 or -ENOMEM, -EINVAL. */
int aio_poll(struct aio_ctx *c, struct file *f, uint32_t events, const struct io_event *ev, struct file *resfd);
/* Gives up the poll request that the iocb at `obj` began. -EINPROGRESS: its event comes; -EINVAL: there is none. */
int aio_cancel(struct aio_ctx *c, uint64_t obj);

/*
 * Waits until there are min events or the deadline; up to n of them go to out. Their number (fewer than min at the
 * deadline), -EINTR, -EINVAL (destroyed meanwhile). aio_taken() makes their places free, or puts them back if the guest's
 * memory did not take them.
 */
long aio_take(struct aio_ctx *c, struct io_event *out, unsigned min, unsigned n, struct deadline d);
void aio_taken(struct aio_ctx *c, const struct io_event *ev, unsigned n, bool delivered);

#endif
