/* SPDX-License-Identifier: MIT */
/*
 * See aio.h. fs/aio.c.
 *
 * A poll request hangs on its file's wait queue. What wakes it holds that queue's lock, so the look at the file is left to
 * the reactor; each look holds a reference on the request.
 *
 * Locks: proc->lock guards the list of contexts; ctx->lock what is in one. Neither is held around a file's operations.
 */
#include "emul/proc/aio.h"
#include "emul/base/sysctl.h"

#include "emul/base/err.h"
#include "emul/base/loop.h"
#include "emul/proc/kmem.h"
#include "emul/proc/task.h"
#include "emul/vfs/file.h"

#define MAX_EVENTS (0x10000000U / sizeof(struct io_event)) /* beyond it a ring's size would overflow */

struct aio_ctx {
	struct ref ref;
	struct list node;      /* proc->lock; empty: destroyed */
	gva_t id;              /* constant, as is max */
	unsigned max;
	struct mutex lock;
	struct waitq wq;       /* events came, or it is dead; with lock */
	/* lock: */
	bool dead;
	unsigned taken;        /* places of requests under way and of events not read */
	unsigned first, nready;
	struct list polls;     /* struct poll_request.node */
	struct io_event ring[];
};

struct poll_request {
	struct ref ref;        /* the list's, and of each look that was posted */
	struct list node;      /* ctx->lock; empty: completed or given up */
	struct waitq_entry wait;
	_Atomic bool posted;   /* a look is under way */
	/* constant: */
	struct aio_ctx *ctx;   /* counted, as are the files */
	struct file *file, *resfd;
	uint32_t events;
	struct io_event ev;
};

static _Atomic unsigned long total_nr;

unsigned long aio_nr(void)
{
	return atomic_load(&total_nr);
}

/* --- contexts ---------------------------------------------------------------------------------------------------- */

static size_t ctx_size(unsigned max)
{
	return sizeof(struct aio_ctx) + max * sizeof(struct io_event);
}

static bool count_events(unsigned nr)
{
	if (atomic_fetch_add(&total_nr, nr) + nr <= (unsigned long)sysctl_get(&sysctl_aio_max_nr))
		return true;
	atomic_fetch_sub(&total_nr, nr);
	return false;
}

static int ctx_new(unsigned nr, struct aio_ctx **ret)
{
	struct aio_ctx *c;

	if (!count_events(nr))
		return -EAGAIN;
	c = kmem_charge(ctx_size(nr)) ? calloc(1, ctx_size(nr)) : NULL;
	if (!c) {
		atomic_fetch_sub(&total_nr, nr);
		return -ENOMEM;
	}
	ref_init(&c->ref);
	list_init(&c->node);
	list_init(&c->polls);
	mutex_init(&c->lock);
	waitq_init(&c->wq);
	c->max = nr;
	*ret = c;
	return 0;
}

void aio_put(struct aio_ctx *c)
{
	if (!c || !ref_put(&c->ref))
		return;
	atomic_fetch_sub(&total_nr, c->max);
	kmem_uncharge(ctx_size(c->max));
	waitq_fini(&c->wq);
	mutex_fini(&c->lock);
	free(c);
}

int aio_setup(struct task *t, unsigned nr, gva_t *ret_id)
{
	struct aio_ctx *c;
	long at;
	int r;

	if (nr > MAX_EVENTS)
		return -EINVAL;
	if (nr > (unsigned long)sysctl_get(&sysctl_aio_max_nr))
		return -EAGAIN;
	r = ctx_new(nr, &c);
	if (r < 0)
		return r;
	at = mm_mmap(t->mm, 0, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0, PROT_READ);
	if (at < 0) {
		aio_put(c);
		return (int)at;
	}
	c->id = (gva_t)at;
	*ret_id = c->id;
	mutex_lock(&t->proc->lock);
	list_add_tail(&t->proc->aio, &c->node);
	mutex_unlock(&t->proc->lock);
	return 0;
}

static struct aio_ctx *find(struct proc *p, gva_t id)
{
	struct aio_ctx *c;

	list_for_each(c, &p->aio, node)
		if (c->id == id)
			return c;
	return NULL;
}

struct aio_ctx *aio_lookup(struct proc *p, gva_t id)
{
	struct aio_ctx *c;

	mutex_lock(&p->lock);
	c = find(p, id);
	if (c)
		ref_get(&c->ref);
	mutex_unlock(&p->lock);
	return c;
}

unsigned aio_size(struct aio_ctx *c)
{
	return c->max;
}

/* --- requests ---------------------------------------------------------------------------------------------------- */

int aio_reserve(struct aio_ctx *c)
{
	int r = -EAGAIN;

	mutex_lock(&c->lock);
	if (!c->dead && c->taken < c->max) {
		c->taken++;
		r = 0;
	}
	mutex_unlock(&c->lock);
	return r;
}

void aio_give_back(struct aio_ctx *c)
{
	mutex_lock(&c->lock);
	c->taken--;
	mutex_unlock(&c->lock);
}

static void put_event_locked(struct aio_ctx *c, const struct io_event *ev) REQUIRES(c->lock)
{
	c->ring[(c->first + c->nready++) % c->max] = *ev;
	waitq_wake(&c->wq, 0);
}

void aio_complete(struct aio_ctx *c, const struct io_event *ev, struct file *resfd)
{
	mutex_lock(&c->lock);
	put_event_locked(c, ev);
	mutex_unlock(&c->lock);
	if (resfd)
		eventfd_signal(resfd);
}

/* --- polls ------------------------------------------------------------------------------------------------------- */

static void request_put(struct poll_request *q)
{
	if (!ref_put(&q->ref))
		return;
	file_put(q->file);
	file_put(q->resfd);
	aio_put(q->ctx);
	free(q);
}

/* false: somebody else has ended it. True: the list's reference is the caller's. */
static bool request_end(struct poll_request *q)
{
	bool mine;

	mutex_lock(&q->ctx->lock);
	mine = !list_empty(&q->node);
	if (mine)
		list_del(&q->node);
	mutex_unlock(&q->ctx->lock);
	if (mine)
		waitq_del(&q->wait);
	return mine;
}

/* Completes it if its file is ready now. */
static void request_look(struct poll_request *q)
{
	uint32_t ready = file_poll(q->file) & q->events;

	if (!ready || !request_end(q))
		return;
	q->ev.res = ready;
	aio_complete(q->ctx, &q->ev, q->resfd);
	request_put(q);
}

static void posted_look(void *arg)
{
	struct poll_request *q = arg;

	atomic_store(&q->posted, false); /* before the look: what comes after it posts another */
	request_look(q);
	request_put(q);
}

static bool request_wake(struct waitq_entry *e, uint32_t events)
{
	struct poll_request *q = container_of(e, struct poll_request, wait);

	if ((events && !(events & q->events)) || atomic_exchange(&q->posted, true))
		return false;
	ref_get(&q->ref);
	loop_post(posted_look, q);
	return false;
}

int aio_poll(struct aio_ctx *c, struct file *f, uint32_t events, const struct io_event *ev, struct file *resfd)
{
	struct poll_request *q;

	events |= EPOLLERR | EPOLLHUP;
	if (!f->ops->poll && !(file_poll(f) & events))
		return -EINVAL; /* it would never be told */
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	ref_init(&q->ref);
	ref_get(&q->ref); /* ours, while we look */
	ref_get(&c->ref);
	q->ctx = c;
	q->file = file_get(f);
	q->resfd = resfd ? file_get(resfd) : NULL;
	q->events = events;
	q->ev = *ev;
	q->wait.wake = request_wake;
	waitq_add(&f->wq, &q->wait);
	mutex_lock(&c->lock);
	list_add_tail(&c->polls, &q->node);
	mutex_unlock(&c->lock);
	request_look(q);
	request_put(q);
	return 0;
}

/* As Linux does since 6.0: what is given up completes, and the answer says so. */
int aio_cancel(struct aio_ctx *c, uint64_t obj)
{
	struct poll_request *q, *found = NULL;

	mutex_lock(&c->lock);
	list_for_each(q, &c->polls, node)
		if (q->ev.obj == obj)
			found = q;
	if (found)
		ref_get(&found->ref);
	mutex_unlock(&c->lock);
	if (!found)
		return -EINVAL;
	if (request_end(found)) {
		aio_complete(c, &found->ev, found->resfd);
		request_put(found);
	}
	request_put(found);
	return -EINPROGRESS;
}

static void cancel_all(struct aio_ctx *c)
{
	struct poll_request *q;

	for (;;) {
		mutex_lock(&c->lock);
		c->dead = true;
		q = list_empty(&c->polls) ? NULL : list_first(&c->polls, struct poll_request, node);
		if (q)
			ref_get(&q->ref);
		else
			waitq_wake(&c->wq, 0);
		mutex_unlock(&c->lock);
		if (!q)
			return;
		if (request_end(q))
			request_put(q);
		request_put(q);
	}
}

int aio_destroy(struct task *t, gva_t id)
{
	struct proc *p = t->proc;
	struct aio_ctx *c;

	mutex_lock(&p->lock);
	c = find(p, id);
	if (c)
		list_del(&c->node);
	mutex_unlock(&p->lock);
	if (!c)
		return -EINVAL;
	mm_munmap(t->mm, id, PAGE_SIZE);
	cancel_all(c);
	aio_put(c);
	return 0;
}

void aio_exit(struct proc *p)
{
	for (;;) {
		struct aio_ctx *c = NULL;

		mutex_lock(&p->lock);
		if (!list_empty(&p->aio)) {
			c = list_first(&p->aio, struct aio_ctx, node);
			list_del(&c->node);
		}
		mutex_unlock(&p->lock);
		if (!c)
			return;
		cancel_all(c);
		aio_put(c);
	}
}

/* --- events ------------------------------------------------------------------------------------------------------ */

long aio_take(struct aio_ctx *c, struct io_event *out, unsigned min, unsigned n, struct deadline d)
{
	unsigned got = 0;
	int r = 0;

	if (min > c->max)
		min = c->max;
	mutex_lock(&c->lock);
	while (c->nready < min && !c->dead && r == 0)
		r = waitq_sleep(&c->wq, &c->lock, d);
	for (; got < n && c->nready; got++) {
		out[got] = c->ring[c->first];
		c->first = (c->first + 1) % c->max;
		c->nready--;
	}
	if (!got)
		r = r == -ERESTARTSYS ? -EINTR : c->dead && min ? -EINVAL : 0;
	mutex_unlock(&c->lock);
	return got ? (long)got : r;
}

void aio_taken(struct aio_ctx *c, const struct io_event *ev, unsigned n, bool delivered)
{
	mutex_lock(&c->lock);
	if (delivered)
		c->taken -= n;
	while (!delivered && n) {
		c->first = (c->first + c->max - 1) % c->max;
		c->ring[c->first] = ev[--n];
		c->nready++;
	}
	mutex_unlock(&c->lock);
}
