/* SPDX-License-Identifier: MIT */
/* reserve.h has the theory. Counts are guesses: what is added while a window turns may be lost. */
#include "vmm/reserve.h"

#include <stdatomic.h>

#include "vmm/machine.h"

#define WINDOW_NS 5000000     /* exits are judged over */
#define WINDOWS 2             /* in a row, before a processor is reserved */
#define PAYS_NS 10000000      /* what it brings is judged over */
#define DENSE 30              /* calls in a millisecond: by exits they take most of a processor */
#define GAIN_TENTHS 12        /* so many times the calls of before, or it is not worth it */
#define REST_NS 50000000ll    /* after one that was given up; doubled for each that brought nothing */
#define REST_DOUBLINGS 6

static struct {
	_Atomic int cpu;          /* + 1; 0: none */
	_Atomic unsigned turn;    /* counts changes of cpu */
	_Atomic unsigned exits, sleeps, answers; /* in this window */
	_Atomic int64_t since;
	_Atomic unsigned dense;   /* windows in a row */
	_Atomic unsigned before;  /* calls in a second, without one */
	_Atomic bool paid;        /* this one has brought something */
	_Atomic unsigned vain;    /* those in a row that have not */
	_Atomic int64_t not_before;
} reserve;

static __thread unsigned my_turn;

int reserve_cpu(void)
{
	return atomic_load_explicit(&reserve.cpu, memory_order_relaxed) - 1;
}

static void set(int cpu)
{
	atomic_store(&reserve.cpu, cpu + 1);
	atomic_fetch_add(&reserve.turn, 1);
}

struct window { unsigned exits, sleeps, answers; int64_t ns; };

/* The window ends, and another one begins. false: somebody else ended it. */
static bool turn_window(int64_t now, int64_t since, struct window *ret)
{
	if (!atomic_compare_exchange_strong(&reserve.since, &since, now))
		return false;
	*ret = (struct window){ .exits = atomic_exchange(&reserve.exits, 0), .sleeps = atomic_exchange(&reserve.sleeps, 0),
				.answers = atomic_exchange(&reserve.answers, 0), .ns = now - since };
	return true;
}

static unsigned rate(unsigned calls, int64_t ns)
{
	return ns > 0 ? (unsigned)((int64_t)calls * 1000000000 / ns) : 0;
}

void reserve_begin(int cpu, int64_t now)
{
	struct window w;

	turn_window(now, atomic_load(&reserve.since), &w);
	atomic_store(&reserve.paid, false);
	set(cpu);
}

void reserve_end(int64_t now)
{
	unsigned vain = atomic_load(&reserve.paid) ? 0 : atomic_load(&reserve.vain) + 1;

	atomic_store(&reserve.vain, vain);
	atomic_store(&reserve.not_before, now + (REST_NS << MIN(vain, REST_DOUBLINGS)));
	atomic_store(&reserve.dense, 0);
	set(-1);
}

void reserve_follow(struct vcpu *v)
{
	unsigned turn = atomic_load_explicit(&reserve.turn, memory_order_relaxed);

	if (turn == my_turn || !v->server->keep_off)
		return;
	my_turn = turn;
	v->server->keep_off(v->server_ctx, reserve_cpu());
}

bool reserve_intrudes(int cpu)
{
	return cpu == reserve_cpu() && my_turn == atomic_load_explicit(&reserve.turn, memory_order_relaxed);
}

void reserve_note_sleep(void)
{
	atomic_fetch_add_explicit(&reserve.sleeps, 1, memory_order_relaxed);
}

void reserve_note_answers(unsigned n)
{
	atomic_fetch_add_explicit(&reserve.answers, n, memory_order_relaxed);
}

/* Exits that end in sleep the helper could not have spared. Where they are many, threads hand over to each other, and want both processors. */
static bool dense(const struct window *w)
{
	return w->sleeps * 3 <= w->exits && rate(w->exits - w->sleeps, w->ns) >= DENSE * 1000;
}

bool reserve_note_exit(int64_t now)
{
	int64_t since = atomic_load_explicit(&reserve.since, memory_order_relaxed);
	struct window w;

	atomic_fetch_add_explicit(&reserve.exits, 1, memory_order_relaxed);
	if (now - since < WINDOW_NS || reserve_cpu() >= 0 || !turn_window(now, since, &w))
		return false;
	if (!dense(&w)) {
		atomic_store_explicit(&reserve.dense, 0, memory_order_relaxed);
		return false;
	}
	atomic_store_explicit(&reserve.before, rate(w.exits + w.answers, w.ns), memory_order_relaxed);
	return atomic_fetch_add_explicit(&reserve.dense, 1, memory_order_relaxed) + 1 >= WINDOWS &&
	       now >= atomic_load_explicit(&reserve.not_before, memory_order_relaxed);
}

bool reserve_pays(int64_t now)
{
	int64_t since = atomic_load_explicit(&reserve.since, memory_order_relaxed);
	struct window w;
	unsigned with;

	if (now - since < PAYS_NS || !turn_window(now, since, &w))
		return true;
	with = rate(w.exits + w.answers, w.ns);
	if (with < DENSE * 1000 || (uint64_t)with * 10 < (uint64_t)atomic_load(&reserve.before) * GAIN_TENTHS)
		return false;
	atomic_store(&reserve.paid, true);
	return true;
}
