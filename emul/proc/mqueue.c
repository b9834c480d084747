/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues: sending and receiving. ipc/mqueue.c. A message goes straight to a sleeping receiver; a receiver that
 * makes room takes the message of the first sleeping sender in. So a queue never has both messages and sleeping receivers.
 */
#include "emul/proc/mqueue_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/proc/kmem.h"
#include "emul/proc/task.h"
#include "emul/vfs/inode.h"

struct mq_message {
	struct list node;
	unsigned prio;
	size_t size;
	char data[];
};

struct sleeper {
	struct list node;
	struct mq_message *m; /* to be sent; or what was received */
	bool done;
	struct waitq wq;
};

/* --- messages -------------------------------------------------------------------------------------------- */

struct mq_message *mq_message_new(unsigned prio, size_t size)
{
	struct mq_message *m;

	if (!kmem_charge(sizeof(*m) + size))
		return NULL;
	m = malloc(sizeof(*m) + size);
	if (!m) {
		kmem_uncharge(sizeof(*m) + size);
		return NULL;
	}
	list_init(&m->node);
	m->prio = prio;
	m->size = size;
	return m;
}

char *mq_message_data(struct mq_message *m) { return m->data; }
size_t mq_message_size(const struct mq_message *m) { return m->size; }
unsigned mq_message_prio(const struct mq_message *m) { return m->prio; }

void mq_message_free(struct mq_message *m)
{
	if (!m)
		return;
	kmem_uncharge(sizeof(*m) + m->size);
	free(m);
}

/* --- queues ---------------------------------------------------------------------------------------------- */

struct mqueue *mqueue_new(long maxmsg, long msgsize)
{
	struct mqueue *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->maxmsg = maxmsg;
	q->msgsize = msgsize;
	mutex_init(&q->lock);
	list_init(&q->messages);
	list_init(&q->senders);
	list_init(&q->receivers);
	list_init(&q->files);
	return q;
}

void mqueue_free(void *p)
{
	struct mqueue *q = p;
	struct mq_message *m, *next;

	list_for_each_safe(m, next, &q->messages, node)
		mq_message_free(m);
	mqueue_give_back(q);
	mutex_fini(&q->lock);
	free(q);
}

static struct mqueue_file *to_file(struct file *f)
{
	return f->ops == &mqueue_file_ops ? container_of(f, struct mqueue_file, file) : NULL;
}

static void wake_files(struct mqueue *q, uint32_t events)
{
	struct mqueue_file *mf;

	list_for_each(mf, &q->files, node)
		waitq_wake(&mf->file.wq, events);
}

/* After those of its priority, before the lower ones. */
static void insert(struct mqueue *q, struct mq_message *m)
{
	struct list *at = q->messages.prev;

	while (at != &q->messages && list_entry(at, struct mq_message, node)->prio < m->prio)
		at = at->prev;
	list_add(at, &m->node);
	q->n++;
	q->nbytes += m->size;
}

static void finish(struct sleeper *s, struct mq_message *m)
{
	list_del(&s->node);
	s->m = m;
	s->done = true;
	waitq_wake(&s->wq, 0);
}

/* lock held, before and after. 0: somebody has finished it. */
static int sleep_in(struct mqueue *q, struct list *queue, struct sleeper *s, struct deadline d) REQUIRES(q->lock)
{
	int r = 0;

	s->done = false;
	waitq_init(&s->wq);
	list_add_tail(queue, &s->node);
	while (!s->done && r == 0)
		r = waitq_sleep(&s->wq, &q->lock, d);
	if (!s->done)
		list_del(&s->node);
	waitq_fini(&s->wq);
	return s->done ? 0 : r;
}

/* --- notification ------------------------------------------------------------------------------------------ */

/* Whoever took it delivers it, or cancels it. */
static void take_notice_locked(struct mqueue *q, struct mqueue_notice *ret)
{
	*ret = q->notice;
	q->notice.to = NULL;
	q->notice.sock = NULL;
	q->notify_table = NULL;
}

static void send_cookie(struct mqueue_notice *n, unsigned char what)
{
	n->cookie[NOTIFY_COOKIE_LEN - 1] = what;
	if (n->sock)
		n->sock->ops->deliver(n->sock, n->cookie, sizeof(n->cookie));
}

static void drop_notice(struct mqueue_notice *n)
{
	proc_put(n->to);
	file_put(n->sock);
}

/* Once, then it must be asked for again. No lock held. */
static void deliver(struct task *from, struct mqueue_notice *n)
{
	siginfo_t info = { .si_code = SI_MESGQ };

	if (!n->to)
		return;
	send_cookie(n, NOTIFY_WOKENUP);
	if (n->event.sigev_notify == SIGEV_SIGNAL && n->event.sigev_signo) {
		info.si_signo = n->event.sigev_signo;
		info.si_value = n->event.sigev_value;
		info.si_pid = from->proc->pid;
		info.si_uid = from->fsc.cred->uid;
		signal_send_proc(n->to, info.si_signo, &info);
	}
	drop_notice(n);
}

static void cancel(struct mqueue_notice *n)
{
	if (!n->to)
		return;
	send_cookie(n, NOTIFY_REMOVED);
	drop_notice(n);
}

int mqueue_notify(struct task *t, struct file *f, const struct sigevent *ev, struct file *sock, const void *cookie)
{
	struct mqueue_file *mf = to_file(f);
	struct mqueue_notice old = { 0 };
	struct mqueue *q;
	int r = 0;

	if (!mf)
		return -EBADF;
	q = mf->q;
	mutex_lock(&q->lock);
	if (!ev) {
		if (q->notice.to == t->proc)
			take_notice_locked(q, &old);
	} else if (q->notice.to) {
		r = -EBUSY;
	} else {
		q->notice = (struct mqueue_notice){ .to = proc_get(t->proc), .sock = sock ? file_get(sock) : NULL, .event = *ev };
		if (cookie)
			memcpy(q->notice.cookie, cookie, NOTIFY_COOKIE_LEN);
		q->notify_table = t->fds;
	}
	mutex_unlock(&q->lock);
	cancel(&old);
	return r;
}

/* mqueue_flush_file(): whoever closes a descriptor of it is not told any more. owner: the descriptor table. */
static int mq_flush(struct file *f, void *owner)
{
	struct mqueue *q = to_file(f)->q;
	struct mqueue_notice old = { 0 };

	mutex_lock(&q->lock);
	if (q->notice.to && q->notify_table == owner)
		take_notice_locked(q, &old);
	mutex_unlock(&q->lock);
	cancel(&old);
	return 0;
}

/* --- sending and receiving ----------------------------------------------------------------------------------- */

int mqueue_check_send(struct file *f, size_t size)
{
	struct mqueue_file *mf = to_file(f);

	if (!mf || !file_writable(f))
		return -EBADF;
	return size > (size_t)mf->q->msgsize ? -EMSGSIZE : 0;
}

int mqueue_check_receive(struct file *f, size_t size)
{
	struct mqueue_file *mf = to_file(f);

	if (!mf || !file_readable(f))
		return -EBADF;
	return size < (size_t)mf->q->msgsize ? -EMSGSIZE : 0;
}

static void send_locked(struct mqueue *q, struct mq_message *m, struct mqueue_notice *ret)
{
	if (!list_empty(&q->receivers)) {
		finish(list_first(&q->receivers, struct sleeper, node), m);
		return;
	}
	insert(q, m);
	if (q->notice.to && q->n == 1)
		take_notice_locked(q, ret);
	wake_files(q, EPOLLIN | EPOLLRDNORM);
}

int mqueue_send(struct task *t, struct file *f, struct mq_message *m, struct deadline d)
{
	struct mqueue *q = to_file(f)->q;
	struct sleeper s = { .m = m };
	struct mqueue_notice notice = { 0 };
	int r = 0;

	mutex_lock(&q->lock);
	if (q->n < q->maxmsg)
		send_locked(q, m, &notice);
	else
		r = file_nonblock(f) ? -EAGAIN : sleep_in(q, &q->senders, &s, d);
	mutex_unlock(&q->lock);
	deliver(t, &notice);
	return r;
}

static struct mq_message *take_locked(struct mqueue *q)
{
	struct mq_message *m = list_first(&q->messages, struct mq_message, node);

	list_del(&m->node);
	q->n--;
	q->nbytes -= m->size;
	if (list_empty(&q->senders)) {
		wake_files(q, EPOLLOUT | EPOLLWRNORM);
	} else {
		struct sleeper *s = list_first(&q->senders, struct sleeper, node);

		insert(q, s->m);
		finish(s, NULL);
	}
	return m;
}

int mqueue_receive(struct file *f, struct deadline d, struct mq_message **ret)
{
	struct mqueue *q = to_file(f)->q;
	struct sleeper s = { .m = NULL };
	int r = 0;

	mutex_lock(&q->lock);
	if (q->n)
		s.m = take_locked(q);
	else
		r = file_nonblock(f) ? -EAGAIN : sleep_in(q, &q->receivers, &s, d);
	mutex_unlock(&q->lock);
	if (r == 0)
		*ret = s.m;
	return r;
}

int mqueue_getattr(struct file *f, struct mq_attr *ret)
{
	struct mqueue_file *mf = to_file(f);

	if (!mf)
		return -EBADF;
	*ret = (struct mq_attr){ .mq_flags = file_flags(f) & O_NONBLOCK, .mq_maxmsg = mf->q->maxmsg,
				 .mq_msgsize = mf->q->msgsize };
	mutex_lock(&mf->q->lock);
	ret->mq_curmsgs = mf->q->n;
	mutex_unlock(&mf->q->lock);
	return 0;
}

int mqueue_setflags(struct file *f, unsigned flags)
{
	return file_set_flags(f, (file_flags(f) & ~(unsigned)O_NONBLOCK) | flags);
}

/* --- as files -------------------------------------------------------------------------------------------------- */

/* mqueue_read_file(): one line about it. */
static ssize_t mq_read(struct file *f, struct uio *to, off_t *pos)
{
	struct mqueue *q = to_file(f)->q;
	char line[80];
	ssize_t n;
	int len;

	mutex_lock(&q->lock);
	len = snprintf(line, sizeof(line), "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", (unsigned long)q->nbytes,
		       q->notice.to ? q->notice.event.sigev_notify : 0,
		       q->notice.to && q->notice.event.sigev_notify == SIGEV_SIGNAL ? q->notice.event.sigev_signo : 0,
		       q->notice.to ? q->notice.to->pid : 0);
	mutex_unlock(&q->lock);
	if (*pos >= len)
		return 0;
	n = uio_copy_out(to, line + *pos, (size_t)(len - *pos));
	if (n > 0)
		*pos += n;
	return n;
}

static uint32_t mq_poll(struct file *f)
{
	struct mqueue *q = to_file(f)->q;
	uint32_t ev = 0;

	mutex_lock(&q->lock);
	if (q->n)
		ev |= EPOLLIN | EPOLLRDNORM;
	if (q->n < q->maxmsg)
		ev |= EPOLLOUT | EPOLLWRNORM;
	mutex_unlock(&q->lock);
	return ev;
}

static off_t mq_lseek(struct file *f, off_t off, int whence)
{
	off_t to;

	if ((whence != SEEK_SET && whence != SEEK_CUR) || __builtin_add_overflow(whence == SEEK_SET ? 0 : f->pos, off, &to) || to < 0)
		return -EINVAL;
	return f->pos = to;
}

static void mq_release(struct file *f)
{
	struct mqueue_file *mf = to_file(f);

	mutex_lock(&mf->q->lock);
	list_del(&mf->node);
	mutex_unlock(&mf->q->lock);
	file_fini(f);
	inode_put(mf->inode);
	free(mf);
}

const struct file_ops mqueue_file_ops = {
	.name = "mqueue",
	.read = mq_read,
	.lseek = mq_lseek,
	.poll = mq_poll,
	.flush = mq_flush,
	.release = mq_release,
};
