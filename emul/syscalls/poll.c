/* SPDX-License-Identifier: MIT */
/*
 * poll(2), ppoll(2), select(2), pselect6(2). fs/select.c. None of them is restarted after a handler; after a
 * stop without one they go on with the time that is left: poll(2) by restart block, the others because they
 * wrote that time back.
 */
#include <poll.h>
#include <sys/personality.h>

#include "emul/syscalls/handler.h"

#define USEC_PER_SEC 1000000

/* --- files to wait for ---------------------------------------------------------------------------------------- */

struct items {
	struct poll_item *v;
	unsigned n;
	bool bad;    /* a descriptor is not open: the answer is there already */
};

static int items_init(struct items *it, unsigned n)
{
	*it = (struct items){ .v = calloc(n ? n : 1, sizeof(*it->v)), .n = n };
	return it->v ? 0 : -ENOMEM;
}

static void items_fini(struct items *it)
{
	for (unsigned i = 0; i < it->n; i++)
		file_put(it->v[i].file);
	free(it->v);
}

static int items_wait(struct items *it, struct deadline d)
{
	return files_poll(it->v, it->n, it->bad ? deadline_after(CLOCK_MONOTONIC, 0) : d);
}

/* --- time left, mask ------------------------------------------------------------------------------------------------ */

enum time_form { AS_TIMESPEC, AS_TIMEVAL };

static int put_time_left(struct task *t, gva_t at, enum time_form form, struct deadline d)
{
	int64_t left = d.ns - clock_now(d.clock);
	struct timespec ts = timespec_of(left > 0 ? left : 0);
	struct timeval tv = { ts.tv_sec, ts.tv_nsec / 1000 };

	return form == AS_TIMEVAL ? guest_write(t->mm, at, &tv) : guest_write(t->mm, at, &ts);
}

/* poll_select_finish(): the time that is left goes back to the caller. */
static long finish(struct task *t, gva_t at, enum time_form form, struct deadline d, long r)
{
	if (!at || r == -EWOULDSLEEP || (t->proc->personality & STICKY_TIMEOUTS) || put_time_left(t, at, form, d) == 0)
		return r;
	/* A time in read-only memory: a restarted call would wait too long. */
	return r == -ERESTARTNOHAND ? -EINTR : r;
}

/* --- poll ----------------------------------------------------------------------------------------------------------- */

static void fill_item(struct task *t, struct items *it, unsigned i, struct pollfd *p)
{
	p->revents = 0;
	if (p->fd < 0)
		return;
	it->v[i].events = (uint16_t)p->events;
	it->v[i].file = fd_file(t, p->fd);
	if (it->v[i].file)
		return;
	p->revents = POLLNVAL;
	it->bad = true;
}

/* Ready files and bad descriptors; the answers are in p. */
static long poll_files(struct task *t, struct pollfd *p, unsigned n, struct deadline d)
{
	struct items it;
	long r = items_init(&it, n);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < n; i++)
		fill_item(t, &it, i, &p[i]);
	r = items_wait(&it, d);
	for (unsigned i = 0; i < n && r >= 0; i++) {
		r += p[i].revents == POLLNVAL;
		p[i].revents |= (short)it.v[i].ret;
	}
	items_fini(&it);
	return r;
}

/* The answers only: the rest of the array is the caller's, who may change it meanwhile. */
static int put_revents(struct task *t, gva_t at, const struct pollfd *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (guest_write(t->mm, at + i * sizeof(*p) + offsetof(struct pollfd, revents), &p[i].revents) < 0)
			return -EFAULT;
	return 0;
}

static long do_poll(struct task *t, gva_t at, unsigned n, struct deadline d)
{
	AUTO_FREE struct pollfd *p = NULL;
	long r;

	if (n > (unsigned)nofile_limit(t))
		return -EINVAL;
	p = malloc(n ? n * sizeof(*p) : 1);
	if (!p)
		return -ENOMEM;
	if (copy_from_guest(t->mm, p, at, n * sizeof(*p)) < 0)
		return -EFAULT;
	r = poll_files(t, p, n, d);
	return (r >= 0 || r == -ERESTARTNOHAND) && put_revents(t, at, p, n) < 0 ? -EFAULT : r;
}

static long poll_again(struct task *t, struct restart_block *rb);

static long poll_or_restart(struct task *t, gva_t at, unsigned n, struct deadline d)
{
	long r = do_poll(t, at, n, d);

	if (r != -ERESTARTNOHAND)
		return r;
	t->restart = (struct restart_block){ .fn = poll_again, .at = d, .arg = { at, n } };
	return -ERESTART_RESTARTBLOCK;
}

static long poll_again(struct task *t, struct restart_block *rb)
{
	return poll_or_restart(t, rb->arg[0], (unsigned)rb->arg[1], rb->at);
}

long sys_poll(struct task *t, const struct sysargs *a)
{
	int ms = arg_int(a, 2);
	struct deadline d = ms < 0 ? FOREVER : deadline_after(CLOCK_MONOTONIC, (int64_t)ms * 1000000);

	return poll_or_restart(t, arg_gva(a, 0), arg_uint(a, 1), d);
}

long sys_ppoll(struct task *t, const struct sysargs *a)
{
	struct deadline d;
	sigmask_t mask;
	bool masked;
	long r = arg_timeout(t, arg_gva(a, 2), CLOCK_MONOTONIC, false, &d);

	if (r == 0)
		r = arg_sigmask(t, arg_gva(a, 3), arg_size(a, 4), &mask, &masked);
	if (r < 0)
		return r;
	if (masked)
		signal_call_mask(t, mask);
	r = do_poll(t, arg_gva(a, 0), arg_uint(a, 1), d);
	if (masked)
		signal_call_mask_done(t, r == -ERESTARTNOHAND);
	return finish(t, arg_gva(a, 2), AS_TIMESPEC, d, r);
}

/* --- select ----------------------------------------------------------------------------------------------------------- */

enum { SET_IN, SET_OUT, SET_EX, NR_SETS };
#define WORD_BITS 64

static const uint32_t set_events[NR_SETS] = {
	[SET_IN] = EPOLLRDNORM | EPOLLRDBAND | EPOLLIN | EPOLLHUP | EPOLLERR,
	[SET_OUT] = EPOLLWRBAND | EPOLLWRNORM | EPOLLOUT | EPOLLERR,
	[SET_EX] = EPOLLPRI,
};

/* The three sets: words as the guest has them; what is not given is empty. */
struct fd_sets {
	gva_t at[NR_SETS];
	unsigned n, words;          /* descriptors, words of each set */
	uint64_t *bits[NR_SETS];    /* one allocation */
};

static bool has(const uint64_t *bits, unsigned fd)
{
	return bits[fd / WORD_BITS] >> (fd % WORD_BITS) & 1;
}

static uint32_t wanted(const struct fd_sets *s, unsigned fd)
{
	uint32_t ev = 0;

	for (int k = 0; k < NR_SETS; k++)
		if (has(s->bits[k], fd))
			ev |= set_events[k];
	return ev;
}

static int sets_read(struct task *t, struct fd_sets *s)
{
	size_t size;

	s->words = (s->n + WORD_BITS - 1) / WORD_BITS;
	size = s->words * sizeof(uint64_t);
	s->bits[0] = calloc(NR_SETS, size ? size : 1);
	if (!s->bits[0])
		return -ENOMEM;
	for (int k = 0; k < NR_SETS; k++) {
		s->bits[k] = s->bits[0] + k * s->words;
		if (s->at[k] && copy_from_guest(t->mm, s->bits[k], s->at[k], size) < 0)
			return -EFAULT;
	}
	return 0;
}

static int sets_write(struct task *t, const struct fd_sets *s)
{
	for (int k = 0; k < NR_SETS; k++)
		if (s->at[k] && copy_to_guest(t->mm, s->at[k], s->bits[k], s->words * sizeof(uint64_t)) < 0)
			return -EFAULT;
	return 0;
}

/* One item a descriptor that is in a set. -EBADF: one is not open. */
static int sets_to_items(struct task *t, const struct fd_sets *s, struct items *it)
{
	for (unsigned fd = 0; fd < s->n; fd++) {
		struct file *f;

		if (!wanted(s, fd))
			continue;
		f = fdtab_get(t->fds, (int)fd);
		if (!f)
			return -EBADF;
		it->v[fd].events = wanted(s, fd);
		it->v[fd].exact = true;
		if (file_flags(f) & O_PATH) { /* open, but nothing to wait for: Linux answers POLLNVAL to all sets */
			file_put(f);
			it->bad = true;
		} else {
			it->v[fd].file = f;
		}
	}
	return 0;
}

/* Leaves the bits that are true; their number in all sets. */
static long items_to_sets(const struct items *it, struct fd_sets *s)
{
	long n = 0;

	for (unsigned fd = 0; fd < s->n; fd++)
		for (int k = 0; k < NR_SETS; k++) {
			if (!has(s->bits[k], fd))
				continue;
			if (!it->v[fd].file || (it->v[fd].ret & set_events[k]))
				n++;
			else
				s->bits[k][fd / WORD_BITS] &= ~(1ULL << (fd % WORD_BITS));
		}
	return n;
}

static void clear_tail(struct fd_sets *s)
{
	/* Bits of the last word beyond n are no descriptors: Linux writes back zeroes there. */
	if (s->n % WORD_BITS)
		for (int k = 0; k < NR_SETS; k++)
			s->bits[k][s->words - 1] &= (1ULL << (s->n % WORD_BITS)) - 1;
}

static long select_sets(struct task *t, struct fd_sets *s, struct deadline d)
{
	struct items it;
	long r = items_init(&it, s->n);

	if (r < 0)
		return r;
	r = sets_to_items(t, s, &it);
	if (r == 0)
		r = items_wait(&it, d);
	if (r >= 0)
		r = items_to_sets(&it, s);
	items_fini(&it);
	return r;
}

static long do_select(struct task *t, const struct sysargs *a, struct deadline d)
{
	struct fd_sets s = { .at = { arg_gva(a, 1), arg_gva(a, 2), arg_gva(a, 3) } };
	int n = arg_int(a, 0);
	long r;

	if (n < 0)
		return -EINVAL;
	s.n = MIN((unsigned)n, fdtab_size(t->fds)); /* whatever is beyond it cannot be open */
	r = sets_read(t, &s);
	if (r == 0) {
		clear_tail(&s);
		r = select_sets(t, &s, d);
	}
	if (r >= 0 && sets_write(t, &s) < 0)
		r = -EFAULT;
	free(s.bits[0]);
	return r;
}

/* kern_select(): microseconds beyond a second are carried over; negative ones are not. */
static int timeval_deadline(struct task *t, gva_t at, struct deadline *ret)
{
	struct timespec ts;
	struct timeval tv;

	*ret = FOREVER;
	if (!at)
		return 0;
	if (guest_read(t->mm, &tv, at) < 0)
		return -EFAULT;
	if (__builtin_add_overflow(tv.tv_sec, tv.tv_usec / USEC_PER_SEC, &ts.tv_sec))
		return -EINVAL;
	ts.tv_nsec = tv.tv_usec % USEC_PER_SEC * 1000;
	if (!timespec_ok(&ts))
		return -EINVAL;
	*ret = deadline_after(CLOCK_MONOTONIC, ns_of(&ts));
	return 0;
}

long sys_select(struct task *t, const struct sysargs *a)
{
	struct deadline d;
	int r = timeval_deadline(t, arg_gva(a, 4), &d);

	return r < 0 ? r : finish(t, arg_gva(a, 4), AS_TIMEVAL, d, do_select(t, a, d));
}

long sys_pselect6(struct task *t, const struct sysargs *a)
{
	struct { gva_t set; size_t size; } pack = { 0, 0 };
	gva_t at = arg_gva(a, 4);
	struct deadline d;
	bool masked;
	sigmask_t mask;
	long r;

	if (arg_gva(a, 5) && guest_read(t->mm, &pack, arg_gva(a, 5)) < 0)
		return -EFAULT;
	r = arg_timeout(t, at, CLOCK_MONOTONIC, false, &d);
	if (r == 0)
		r = arg_sigmask(t, pack.set, pack.size, &mask, &masked);
	if (r < 0)
		return r;
	if (masked)
		signal_call_mask(t, mask);
	r = do_select(t, a, d);
	if (masked)
		signal_call_mask_done(t, r == -ERESTARTNOHAND);
	return finish(t, at, AS_TIMESPEC, d, r);
}
