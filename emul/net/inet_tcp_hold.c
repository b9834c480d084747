/* SPDX-License-Identifier: MIT */
/*
 * TCP that holds back or gives up: corks (TCP_CORK, MSG_MORE), connections that wait for their data (TCP_DEFER_ACCEPT), time limits
 * (connecting, TCP_USER_TIMEOUT), closing that waits (SO_LINGER); and the one timer that a socket has for all of them.
 *
 * Inside the instance sq is what a cork holds back; it is the end of the output queue, and nobody writes beside it while it is not empty.
 */
#include "emul/net/inet_tcp.h"

#include "emul/net/filter.h"
#include "emul/net/mib.h"
#include "emul/proc/task.h"

#define CORK_NS (200 * 1000000LL)
#define RETRY_NS (200 * 1000000LL) /* a deferred connection that finds the queue full */

static void put(struct inet_tcp *t)
{
	sock_put(&t->inet.sock);
}

/* --- the timer --------------------------------------------------------------------------------------------------------- */

static int64_t stall_due(const struct inet_tcp *t)
{
	return t->stalled && t->opt.user_timeout ? t->stalled + (int64_t)t->opt.user_timeout * 1000000 : 0;
}

static int64_t first_due(const struct inet_tcp *t)
{
	int64_t due[] = { t->state == TCP_SYN_SENT ? t->due_connect : 0, t->due_cork, stall_due(t), t->due_accept }, first = 0;

	for (size_t i = 0; i < ARRAY_SIZE(due); i++)
		if (due[i] && (!first || due[i] < first))
			first = due[i];
	return first;
}

void inet_tcp_arm_locked(struct inet_tcp *t)
{
	int64_t due = first_due(t);

	if (!due)
		return;
	if (!t->timer_used)
		sock_get(&t->inet.sock);
	t->timer_used = true;
	timer_arm(&t->timer, (struct deadline){ CLOCK_MONOTONIC, due });
}

static bool over(int64_t due, int64_t now)
{
	return due && due <= now;
}

static void give_up(struct inet_tcp *t)
{
	inet_tcp_wire_close(t, true);
	inet_lock(&t->inet);
	mib_tcp(MIB_TCP_ABORT_TIMEOUT);
	inet_tcp_send_reset_locked(t);
	inet_tcp_got_reset_locked(t, ETIMEDOUT);
	inet_unlock(&t->inet);
}

void inet_tcp_timer_fired(struct timer *timer)
{
	struct inet_tcp *t = container_of(timer, struct inet_tcp, timer);
	int64_t now = inet_tcp_now();
	bool gone, uncork, admit;

	inet_lock(&t->inet);
	t->timer_used = false;
	gone = (t->state == TCP_SYN_SENT && over(t->due_connect, now)) || over(stall_due(t), now);
	uncork = over(t->due_cork, now);
	admit = over(t->due_accept, now);
	if (gone)
		t->stalled = t->due_connect = 0;
	if (admit)
		t->due_accept = 0;
	if (uncork)
		t->due_cork = 0;
	inet_tcp_arm_locked(t);
	inet_unlock(&t->inet);
	if (gone)
		give_up(t);
	if (uncork)
		inet_tcp_uncork(t);
	if (admit)
		inet_tcp_admit_deferred(t);
	put(t);
}

void inet_tcp_stop_timer(struct inet_tcp *t)
{
	bool armed;

	inet_lock(&t->inet);
	t->due_connect = t->due_cork = t->stalled = t->due_accept = 0;
	armed = t->timer_used && timer_cancel(&t->timer);
	if (armed)
		t->timer_used = false;
	inet_unlock(&t->inet);
	if (armed)
		put(t);
}

/* --- corks --------------------------------------------------------------------------------------------------------------- */

void inet_tcp_release_held_locked(struct inet_tcp *t)
{
	size_t n = t->sq.len, k;
	struct inet_tcp *p = t->peer;
	bool filtered, any = false;

	if (t->holding)
		n -= n % (size_t)inet_tcp_mss(t);
	if (!n || (t->lost && p && filter_is_set(&p->inet.sock)))
		return;
	if (!p) { /* closed: what is sent is answered by a reset */
		inet_tcp_got_reset_locked(t, 0);
		return;
	}
	filtered = filter_is_set(&p->inet.sock);
	t->lost = false;
	for (; n; n -= k) {
		const char *from = byteq_peek(&t->sq, 0, &k);

		k = MIN(k, n);
		if (filtered) {
			size_t segment = MIN(k, (size_t)inet_tcp_mss(t));

			k = inet_tcp_filter_data_locked(t, from, segment);
			t->lost = k < segment;
		}
		if (!k)
			break;
		if (byteq_append(&p->rq, from, k) < 0)
			break; /* no memory: the timer tries again */
		inet_tcp_show_data_locked(t, from, k);
		byteq_consume(&t->sq, k);
		p->bytes_received += k;
		any = true;
		if (t->lost)
			break; /* the rest of a segment, which was cut */
	}
	if (!any)
		return;
	inet_tcp_arrived_locked(t, p);
	inet_tcp_write_space(t);
}

void inet_tcp_hold_locked(struct inet_tcp *t, bool hold)
{
	t->holding = hold;
	if (!t->on_wire)
		inet_tcp_release_held_locked(t);
	if (!t->sq.len) {
		t->due_cork = 0;
	} else if (!t->due_cork && (hold || !t->on_wire)) {
		t->due_cork = inet_tcp_now() + CORK_NS;
		inet_tcp_arm_locked(t);
	}
}

void inet_tcp_uncork(struct inet_tcp *t)
{
	struct inet_tcp *deferred;
	bool on_wire;

	inet_lock(&t->inet);
	t->lost = false;
	inet_tcp_hold_locked(t, false);
	on_wire = t->on_wire;
	deferred = inet_tcp_deferred_peer_locked(t);
	inet_unlock(&t->inet);
	if (on_wire)
		inet_tcp_wire_push(t);
	inet_tcp_admit_deferred(deferred);
	if (deferred)
		put(deferred);
}

/* --- what is not acknowledged ----------------------------------------------------------------------------------------------- */

static size_t unacknowledged(struct inet_tcp *t)
{
	return t->on_wire || t->peer ? inet_tcp_outq(t) - (t->on_wire || !t->holding ? 0 : t->sq.len) : 0;
}

void inet_tcp_note_stall_locked(struct inet_tcp *t)
{
	if (!t->opt.user_timeout || !unacknowledged(t)) {
		t->stalled = 0;
	} else if (!t->stalled) {
		t->stalled = inet_tcp_now();
		inet_tcp_arm_locked(t);
	}
}

void inet_tcp_progress_locked(struct inet_tcp *t)
{
	if (t->stalled) {
		t->stalled = 0;
		inet_tcp_note_stall_locked(t);
	}
	if (t->lingering && !unacknowledged(t))
		sock_wake_wr(&t->inet.sock, 0);
}

void inet_tcp_linger(struct inet_tcp *t)
{
	struct sock *s = &t->inet.sock;
	struct task *task = task_current();
	int64_t sec = s->opt.linger;
	struct sock_wait w = { .timed = true, .until = deadline_after(CLOCK_MONOTONIC, sec * 1000000000) };
	int r = 0;

	if (sec <= 0 || !sock_may_sleep() || !task || proc_exiting(task->proc))
		return;
	inet_lock(&t->inet);
	t->lingering = true;
	inet_unlock(&t->inet);
	if (t->on_wire)
		inet_tcp_wire_push(t); /* with the FIN */
	inet_lock(&t->inet);
	while (unacknowledged(t) && !s->err && r == 0)
		r = inet_sleep(&t->inet, &s->wr, &w);
	t->lingering = false;
	inet_unlock(&t->inet);
}

/* --- TCP_DEFER_ACCEPT ---------------------------------------------------------------------------------------------------------- */

void inet_tcp_defer_locked(struct inet_tcp *l, struct inet_tcp *child)
{
	child->deferred = l;
	sock_get(&l->inet.sock);
	list_add_tail(&l->waiting, &child->node);
	l->nwaiting++;
	child->due_accept = inet_tcp_now() + inet_tcp_defer_ns(l);
	inet_tcp_arm_locked(child);
}

struct inet_tcp *inet_tcp_deferred_peer_locked(struct inet_tcp *t)
{
	struct inet_tcp *p = t->peer;

	if (!p || !p->deferred)
		return NULL;
	sock_get(&p->inet.sock);
	return p;
}

/* Out of l's list: into its queue, or away if it was reset before it had anything. Both locked. true: it is in neither now. */
static bool leave_locked(struct inet_tcp *child, struct inet_tcp *l)
{
	bool dead = child->state == TCP_CLOSE && !child->rq.len;

	child->deferred = NULL;
	child->due_accept = 0;
	list_del(&child->node);
	l->nwaiting--;
	if (!dead) {
		list_add_tail(&l->accepted, &child->node);
		l->naccepted++;
		sock_wake_rd(&l->inet.sock, EPOLLIN | EPOLLRDNORM);
	}
	return dead;
}

void inet_tcp_admit_deferred(struct inet_tcp *child)
{
	struct inet_tcp *l;
	bool left = false, dead = false;

	if (!child)
		return;
	inet_lock(&child->inet);
	l = child->deferred;
	if (l)
		sock_get(&l->inet.sock);
	inet_unlock(&child->inet);
	if (!l)
		return;
	inet_lock_two(&child->inet, &l->inet);
	if (child->deferred == l && l->state == TCP_LISTEN) {
		left = l->naccepted <= (unsigned)l->backlog || child->state == TCP_CLOSE;
		if (left) {
			dead = leave_locked(child, l);
		} else {
			child->due_accept = inet_tcp_now() + RETRY_NS;
			inet_tcp_arm_locked(child);
		}
	}
	inet_unlock_two(&child->inet, &l->inet);
	if (left)
		put(l);
	if (dead) {
		file_put(&child->inet.sock.file);
		inet_tcp_admit_pending(l);
	}
	put(l);
}
