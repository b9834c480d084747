/* SPDX-License-Identifier: MIT */
/*
 * The reactor thread. Watches live in an inner epoll, edge-triggered; the uv loop sees that epoll
 * as one pollable descriptor. The thread starts with the first watch or posted work: an instance
 * that needs neither does not pay for it.
 *
 * An event is taken out of the epoll and its watch marked as running under one lock, the lock that
 * loop_watch_del() removes under: so an event never outlives its watch.
 */
/* host syscalls: epoll_create1 epoll_ctl epoll_wait eventfd2 (libuv) clone3 */
#include "emul/base/loop.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <uv.h>

#include "emul/base/err.h"
#include "emul/base/list.h"
#include "emul/base/log.h"
#include "emul/base/wait.h"

#define EVENTS_PER_TURN 64 /* then posted work and the control socket get their turn */

struct work {
	struct list node;
	void (*fn)(void *arg);
	void *arg;
};

static struct {
	struct mutex lock;
	/* lock: */
	bool started, stopping;
	int epfd;
	struct list work;             /* struct work.node, in order */
	struct loop_watch *running;   /* its callback runs now */
	struct waitq done;            /* a callback has returned */
	/* constant after start; only the reactor thread: */
	pthread_t thread;
	uv_loop_t uv;
	uv_async_t async;
	uv_poll_t poll;
} loop = { .lock = MUTEX_INIT, .epfd = -1, .work = LIST_INIT(loop.work), .done = WAITQ_INIT(loop.done) };

/* The next event's watch, marked as running; NULL: none. */
static struct loop_watch *take_event(uint32_t *ret_events)
{
	struct loop_watch *w = NULL;
	struct epoll_event ev;

	mutex_lock(&loop.lock);
	if (epoll_wait(loop.epfd, &ev, 1, 0) == 1) {
		w = ev.data.ptr;
		loop.running = w;
		*ret_events = ev.events;
	}
	mutex_unlock(&loop.lock);
	return w;
}

static void event_done(void)
{
	mutex_lock(&loop.lock);
	loop.running = NULL;
	waitq_wake(&loop.done, 0);
	mutex_unlock(&loop.lock);
}

static void callback_done(void)
{
	if (wait_unlocked_hook)
		wait_unlocked_hook();
}

static void on_events(uv_poll_t *p, int status, int events)
{
	(void)p, (void)status, (void)events;
	for (int i = 0; i < EVENTS_PER_TURN; i++) {
		uint32_t ev;
		struct loop_watch *w = take_event(&ev);

		if (!w)
			return;
		w->ready(w, ev);
		callback_done();
		event_done();
	}
}

static void on_async(uv_async_t *a)
{
	struct list todo;
	bool stopping;

	(void)a;
	list_init(&todo);
	mutex_lock(&loop.lock);
	list_splice_tail(&todo, &loop.work);
	stopping = loop.stopping;
	mutex_unlock(&loop.lock);
	while (!list_empty(&todo)) {
		struct work *w = list_first(&todo, struct work, node);

		list_del(&w->node);
		if (!stopping) {
			w->fn(w->arg);
			callback_done();
		}
		free(w);
	}
	if (stopping)
		uv_stop(&loop.uv);
}

static void close_handle(uv_handle_t *h, void *arg)
{
	(void)arg;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static void *reactor(void *arg)
{
	(void)arg;
	pthread_setname_np(pthread_self(), "reactor");
	uv_run(&loop.uv, UV_RUN_DEFAULT);
	uv_walk(&loop.uv, close_handle, NULL);
	uv_run(&loop.uv, UV_RUN_DEFAULT);
	if (uv_loop_close(&loop.uv))
		log_warn("reactor: a handle was left open");
	return NULL;
}

static int start_uv(void)
{
	int r = uv_loop_init(&loop.uv);

	if (r < 0)
		return r;
	r = uv_async_init(&loop.uv, &loop.async, on_async);
	if (r == 0)
		r = uv_poll_init(&loop.uv, &loop.poll, loop.epfd);
	if (r == 0)
		r = uv_poll_start(&loop.poll, UV_READABLE, on_events);
	return r;
}

/* Only SIG_KICK reaches the reactor; everything else is for the thread that asked for it. */
static int start_thread(void)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	sigdelset(&all, SIG_KICK);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&loop.thread, NULL, reactor, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

static int start_locked(void) REQUIRES(loop.lock)
{
	int r;

	if (loop.started)
		return 0;
	if (loop.stopping)
		return -ESHUTDOWN;
	loop.epfd = (int)HOST(epoll_create1(EPOLL_CLOEXEC));
	if (loop.epfd < 0)
		return loop.epfd;
	r = start_uv();
	if (r == 0)
		r = start_thread();
	loop.started = r == 0;
	if (r < 0) {
		close(loop.epfd);
		loop.epfd = -1;
	}
	return r;
}

int loop_boot(void)
{
	mutex_lock(&loop.lock);
	loop.stopping = false;
	mutex_unlock(&loop.lock);
	return 0;
}

void loop_shutdown(void)
{
	bool started;

	mutex_lock(&loop.lock);
	started = loop.started;
	loop.stopping = true;
	if (started)
		uv_async_send(&loop.async);
	mutex_unlock(&loop.lock);
	if (!started)
		return;
	pthread_join(loop.thread, NULL);
	mutex_lock(&loop.lock);
	while (!list_empty(&loop.work)) {
		struct work *w = list_first(&loop.work, struct work, node);

		list_del(&w->node);
		free(w);
	}
	close(loop.epfd);
	loop.epfd = -1;
	loop.started = false;
	mutex_unlock(&loop.lock);
}

int loop_watch_add(struct loop_watch *w, int fd, uint32_t events, void (*ready)(struct loop_watch *, uint32_t))
{
	struct epoll_event ev = { .events = events | EPOLLET, .data.ptr = w };
	int r;

	*w = (struct loop_watch){ .fd = fd, .events = events, .ready = ready };
	mutex_lock(&loop.lock);
	r = start_locked();
	if (r == 0)
		r = (int)HOST(epoll_ctl(loop.epfd, EPOLL_CTL_ADD, fd, &ev));
	if (r == 0)
		w->active = true;
	mutex_unlock(&loop.lock);
	if (r == -EPERM) {
		w->always_ready = true;
		r = 0;
	}
	return r;
}

void loop_watch_del(struct loop_watch *w)
{
	mutex_lock(&loop.lock);
	if (w->active) {
		w->active = false;
		if (loop.epfd >= 0)
			(void)epoll_ctl(loop.epfd, EPOLL_CTL_DEL, w->fd, NULL);
		while (loop.running == w)
			waitq_sleep_uninterruptible(&loop.done, &loop.lock, FOREVER);
	}
	mutex_unlock(&loop.lock);
}

void loop_post(void (*fn)(void *arg), void *arg)
{
	struct work *w = malloc(sizeof(*w));

	if (!w) {
		log_warn("reactor: no memory for posted work");
		return;
	}
	w->fn = fn;
	w->arg = arg;
	mutex_lock(&loop.lock);
	if (start_locked() < 0) {
		mutex_unlock(&loop.lock);
		log_warn("reactor: not running, posted work dropped");
		free(w);
		return;
	}
	list_add_tail(&loop.work, &w->node);
	uv_async_send(&loop.async);
	mutex_unlock(&loop.lock);
}

struct uv_loop_s *loop_uv(void)
{
	return &loop.uv;
}
