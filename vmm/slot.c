/* SPDX-License-Identifier: MIT */
/*
 * Calls without exits: a helper thread answers what vCPUs post to their slots while they spin in the gate.
 *
 * Theory of operation. An exit costs tens of microseconds, a cache line that goes to another core and back a few hundred
 * nanoseconds. While the helper polls, gates post their calls (guest-rt/abi.h, guest-rt/gate.S) and wait a bounded time.
 *
 * A call is executed exactly once. Who executes it is settled by `serve`, in our own memory: OUT, the vCPU's thread has it
 * (the vCPU is not in the guest); IN, the guest runs and the helper may take a posted call; TAKEN, the helper works on one. The
 * thread that comes out of the guest turns IN to OUT, or TAKEN to WAITED, and sleeps until it is IN again. The state in the slot only tells
 * an honest gate, and us after an exit, whether the last posted call was answered: a program that forges it
 * repeats or loses its own calls. Arguments are copied once.
 *
 * The helper must not take a core from a running vCPU: it polls only while there are more processors than vCPUs in the guest, and
 * only while calls come often enough to pay for it. Otherwise it sleeps, OPEN is 0, and gates leave at once.
 */
/* host syscalls: futex sched_getaffinity */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/base/wait.h"
#include "guest-rt/abi.h"
#include "vmm/machine.h"

#define SPIN_BUDGET 4000        /* the gate's rounds: tens of microseconds */
#define PATIENCE_NS 100000      /* polling without a call */
#define WINDOW_NS 1000000       /* over which the rate is judged */
#define WINDOW_CALLS 20         /* fewer do not pay for a core */
#define BACKOFF_NS 3000000      /* after a window that did not pay */
#define STREAK 4                /* exits in close succession that wake the helper */
#define CLOSE_NS 150000

#define LOOK_EVERY 32           /* calls that the gate answers, between two that the VMM sees */

#define FLAG_TF 0x100

enum { SERVE_OUT, SERVE_IN, SERVE_TAKEN, SERVE_WAITED };

static struct {
	struct machine *m;
	int cpus;
	pthread_t thread;
	_Atomic uint32_t awake;      /* futex word: 1 polling, 0 asleep */
	_Atomic int64_t not_before;  /* backing off until then */
	_Atomic int in_guest;        /* vCPUs that run */
} helper;

static uint32_t *slot_word(struct vcpu *v, unsigned off) { return (uint32_t *)(v->data + off); }
static uint64_t *slot_quad(struct vcpu *v, unsigned off) { return (uint64_t *)(v->data + off); }
static uint32_t state_get(struct vcpu *v) { return __atomic_load_n(slot_word(v, RT_SLOT_STATE), __ATOMIC_ACQUIRE); }
static void state_set(struct vcpu *v, uint32_t s) { __atomic_store_n(slot_word(v, RT_SLOT_STATE), s, __ATOMIC_RELEASE); }
static void open_set(struct vcpu *v, uint32_t on) { __atomic_store_n(slot_word(v, RT_SLOT_OPEN), on, __ATOMIC_SEQ_CST); }

static void futex(_Atomic uint32_t *word, int op, uint32_t value)
{
	syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

/* --- the vCPU's thread ------------------------------------------------------------------------------------ */

/* The table of answers: entries of {-number, answer}. */
static uint64_t *answer_entry(struct vcpu *v, unsigned low_byte)
{
	return slot_quad(v, RT_ANSWERS) + low_byte;
}

void slot_tell(struct vcpu *v, unsigned nr, uint32_t value)
{
	__atomic_store_n(answer_entry(v, nr & 255), (uint32_t)-nr | (uint64_t)value << 32, __ATOMIC_RELEASE);
}

void slot_forget(struct vcpu *v)
{
	for (unsigned i = 0; i < 256; i++)
		__atomic_store_n(answer_entry(v, i), RT_NO_ANSWER(i), __ATOMIC_RELEASE);
}

void slot_init(struct vcpu *v)
{
	v->data = gpa_hva(v->m, v->pages[VCPU_PAGE_DATA]);
	memset(v->data, 0, PAGE_SIZE);
	*slot_quad(v, RT_SLOT_BUDGET) = SPIN_BUDGET;
	slot_forget(v);
	atomic_init(&v->serve, SERVE_OUT);
}

void slot_enter(struct vcpu *v)
{
	if (!v->server)
		return;
	state_set(v, RT_IDLE);
	atomic_fetch_add(&helper.in_guest, 1);
	atomic_store(&v->serve, SERVE_IN);
	/* A program that steps would step on behind the call, not in front of the next instruction. */
	open_set(v, atomic_load(&helper.awake) && !(v->run->s.regs.regs.rflags & FLAG_TF));
}

void slot_leave(struct vcpu *v)
{
	uint32_t s = SERVE_IN;

	if (!v->server)
		return;
	while (!atomic_compare_exchange_strong(&v->serve, &s, SERVE_OUT)) {
		if (s == SERVE_WAITED || atomic_compare_exchange_strong(&v->serve, &s, SERVE_WAITED))
			futex(&v->serve, FUTEX_WAIT, SERVE_WAITED); /* it is being answered */
		s = SERVE_IN;
	}
	atomic_fetch_sub(&helper.in_guest, 1);
}

static bool helper_may_run(void)
{
	return helper.cpus > 1 && atomic_load(&helper.in_guest) < helper.cpus;
}

/* An exit for a call: if they come one upon the other, the helper is worth its core. */
void slot_note_exit(struct vcpu *v)
{
	int64_t now;

	if (!v->server || helper.cpus < 2 || atomic_load_explicit(&helper.awake, memory_order_relaxed))
		return;
	now = clock_now(CLOCK_MONOTONIC);
	v->streak = now - v->last_exit < CLOSE_NS ? v->streak + 1 : 0;
	v->last_exit = now;
	if (v->streak < STREAK || now < atomic_load(&helper.not_before) || !helper_may_run())
		return;
	v->streak = 0;
	if (!atomic_exchange(&helper.awake, 1))
		futex(&helper.awake, FUTEX_WAKE, 1);
}

/* Return address and flags of a program in the gate at the offset `at`. */
static void gate_return(struct vcpu *v, gva_t at, struct uregs *r)
{
	const struct gate_layout *g = &v->m->gate;
	uint64_t rcx = *(volatile uint64_t *)slot_quad(v, RT_SLOT_RCX), r11 = *(volatile uint64_t *)slot_quad(v, RT_SLOT_R11);

	if (at < g->has_rcx || at == g->out || at == g->out + RT_OUT_LEN || (at >= g->jumped && at < g->jumped_has_rcx))
		rcx = r->rcx;
	if (at < g->has_r11 || at == g->out || at == g->out + RT_OUT_LEN)
		r11 = r->r11;
	if (at >= g->jumped)
		r11 = 0;
	/* A rewritten site's flags are where they were. */
	v->jumped = !r11;
	if (r11)
		r->rflags = r11;
	r->rip = r->rcx = sites_hide(v, rcx);
	r->r11 = r->rflags;
}

/* A call that the gate could have answered came out, since the VMM looks at one now and then. Calls that it stands for. */
static unsigned recount(struct vcpu *v)
{
	uint32_t *count = slot_word(v, RT_COUNT);

	if (__atomic_load_n(count, __ATOMIC_RELAXED))
		return 1;
	__atomic_store_n(count, v->m->rewrite ? LOOK_EVERY : INT32_MAX, __ATOMIC_RELAXED);
	return LOOK_EVERY;
}

/*
 * The program is in the gate: where it goes on, and whether its call was answered already (result in r->rax).
 * The words in the slot are the program's own: what it forges comes back to it alone.
 */
bool slot_resume(struct vcpu *v, struct uregs *r, struct vcpu_event *ev)
{
	const struct gate_layout *g = &v->m->gate;
	gva_t at = r->rip - RT_GATE;
	uint32_t state = state_get(v);
	bool told = at >= g->told && at < g->ask; /* by the table: rax is right */
	bool answered = at >= g->done && at < g->jumped;

	if (at >= g->has_r11 && at < g->jumped && (state == RT_ANSWERED || state == RT_LEAVE))
		answered = true;
	gate_return(v, at, r);
	state_set(v, RT_IDLE);
	if (answered && !told)
		r->rax = (uint64_t)v->result;
	if (answered) {
		ev->hot = v->hot;
		ev->hot_nr = v->hot_nr;
		v->hot = 0;
	} else if (!told && v->m->rewrite && !v->jumped && sites_note(v->as, r->rip, recount(v))) {
		ev->hot = r->rip;
		ev->hot_nr = r->rax;
	}
	return answered || told;
}

/* --- the helper -------------------------------------------------------------------------------------------- */

/* The call is settled. Whoever came out meanwhile waits for it. */
static void release(struct vcpu *v)
{
	if (atomic_exchange(&v->serve, SERVE_IN) == SERVE_WAITED)
		futex(&v->serve, FUTEX_WAKE, 1);
}

/* true: the site of the call that was answered is to be rewritten, which its own thread does. */
static bool note_site(struct vcpu *v, uint64_t nr)
{
	gva_t ret = *(volatile uint64_t *)slot_quad(v, RT_SLOT_RCX);

	if (!v->m->rewrite || !*(volatile uint64_t *)slot_quad(v, RT_SLOT_R11) || !sites_note(v->as, ret, recount(v)))
		return false;
	v->hot = ret;
	v->hot_nr = nr;
	return true;
}

static void answer(struct vcpu *v)
{
	uint64_t nr = *(volatile uint64_t *)slot_quad(v, RT_SLOT_NR), args[6];
	uint32_t state = RT_REFUSED;
	long result = 0;

	for (unsigned i = 0; i < 6; i++)
		args[i] = ((volatile uint64_t *)slot_quad(v, RT_SLOT_ARG))[i];
	switch (v->server(v->server_ctx, nr, args, &result)) {
	case SERVED_ANSWERED: state = note_site(v, nr) ? RT_LEAVE : RT_ANSWERED; break;
	case SERVED_LEAVE: state = RT_LEAVE; break;
	case SERVED_REFUSED: break;
	}
	v->result = result;
	*slot_quad(v, RT_SLOT_RESULT) = (uint64_t)result;
	state_set(v, state);
	release(v);
}

/* Answers what is posted. Calls answered. */
static unsigned poll_all(struct machine *m)
{
	unsigned n = atomic_load_explicit(&m->nready, memory_order_acquire), done = 0;

	for (unsigned i = 0; i < n; i++) {
		struct vcpu *v = m->vcpus[i];
		uint32_t in = SERVE_IN;

		if (!v || atomic_load_explicit(&v->serve, memory_order_relaxed) != SERVE_IN || state_get(v) != RT_POSTED)
			continue;
		if (!atomic_compare_exchange_strong(&v->serve, &in, SERVE_TAKEN))
			continue;
		if (state_get(v) == RT_POSTED) {
			answer(v);
			done++;
		} else { /* it left and came back between the two looks */
			release(v);
		}
	}
	return done;
}

static void set_all_open(struct machine *m, uint32_t on)
{
	unsigned n = atomic_load(&m->nready);

	for (unsigned i = 0; i < n; i++)
		if (m->vcpus[i] && m->vcpus[i]->server)
			open_set(m->vcpus[i], on);
}

/* Polls as long as it pays. */
static void poll_while_worth(struct machine *m)
{
	int64_t now = clock_now(CLOCK_MONOTONIC), last = now, window = now;
	unsigned calls = 0, rounds = 0;

	for (;;) {
		unsigned n = poll_all(m);

		if (n) {
			calls += n;
			last = clock_now(CLOCK_MONOTONIC);
			rounds = 0;
		} else {
			__builtin_ia32_pause();
		}
		if (++rounds % 32)
			continue;
		now = clock_now(CLOCK_MONOTONIC);
		if (now - last > PATIENCE_NS || !helper_may_run())
			return;
		if (now - window > WINDOW_NS) {
			if (calls < WINDOW_CALLS) {
				atomic_store(&helper.not_before, now + BACKOFF_NS);
				return;
			}
			window = now;
			calls = 0;
		}
	}
}

static void *helper_main(void *arg)
{
	struct machine *m = arg;
	struct waiter w;

	waiter_init(&w, false);
	waiter_bind(&w);
	for (;;) {
		while (!atomic_load(&helper.awake))
			futex(&helper.awake, FUTEX_WAIT, 0);
		set_all_open(m, 1);
		poll_while_worth(m);
		atomic_store(&helper.awake, 0);
		set_all_open(m, 0);
		/* What was posted before its gate saw this is still answered; what slips through leaves when its patience ends. */
		poll_all(m);
	}
	return NULL;
}

/* Started with the first vCPU that has a server; lives as long as the instance. */
static void start_helper(void)
{
	sigset_t mask, old;
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0 || CPU_COUNT(&cpus) < 2)
		return;
	sigfillset(&mask);
	sigdelset(&mask, SIGSEGV);
	sigdelset(&mask, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &mask, &old);
	if (pthread_create(&helper.thread, NULL, helper_main, helper.m) == 0)
		helper.cpus = CPU_COUNT(&cpus);
	else
		log_dbg(KVM, "no helper thread: all calls leave the VM");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void slot_set_server(struct vcpu *v, served_fn fn, void *ctx)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	v->server = fn;
	v->server_ctx = ctx;
	v->streak = 0;
	open_set(v, 0);
	if (!fn)
		return;
	helper.m = v->m;
	pthread_once(&once, start_helper);
}
