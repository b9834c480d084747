/* SPDX-License-Identifier: MIT */
/*
 * The thread that answers posted calls (slot.c has the theory). It must not take a processor from a running vCPU. A vCPU that goes in on
 * its processor moves it, by its affinity, to one where none runs. If there is none, that vCPU closes all gates and sends away what was
 * posted, and whoever goes to sleep next makes room and opens them. Between calls the helper yields to whatever else wants its processor, most
 * of all to threads that its answers have woken: those are woken when the caller has his answer.
 * Where calls come in a stream it does none of this: they are worth the processor, and it shares that as any thread. Where all
 * processors are busy with exits for calls, it gets one for itself (reserve.h).
 * It polls only while calls come often enough to pay for it. Otherwise it sleeps on an eventfd, which gates ring through an ioeventfd (an
 * `out` that does not leave the kernel), and which exits that come one upon the other write to. With every processor taken, or on a
 * host with only one, gates leave at once.
 */
/* host syscalls: eventfd2 read write futex sched_getaffinity sched_setaffinity sched_yield ioctl */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/base/wait.h"
#include "vmm/helper.h"
#include "vmm/reserve.h"

#define PATIENCE_NS 400000      /* polling without a call */
#define WINDOW_NS 1000000       /* over which the rate is judged */
#define WINDOW_CALLS 20         /* fewer do not pay for a core */
#define STREAM_CALLS 40         /* in a window: a stream, which is worth the processor that it takes */
#define BACKOFF_NS 3000000      /* after a window that did not pay */
#define STREAK 4                /* exits in close succession that wake the helper */
#define CLOSE_NS 150000
#define RING_PATIENCE_NS 200000 /* after a ring that brought one call */
#define WAIT_NS 50000           /* for a processor: whoever waits behind a vCPU interrupts it now and then */
/*
 * Coming too late for a call costs MISS points, each answer takes one off. With more than LATE the processor that seemed free is not, and
 * gates do without the helper for a while, each time twice as long. Until it has proved useful again, LATE_AGAIN is enough for that.
 */
#define MISS 4
#define LATE 64
#define LATE_AGAIN 16
#define PROOF 16                /* answers without going to sleep: half as late; four times as many: not late */
#define LATE_BACKOFF_NS 2000000
#define LATE_DOUBLINGS 5
#define BUDGET_STEP 64          /* answers that double a gate's patience */

#define OWN_PATIENCE_NS 2000000 /* without a call, on a processor that is its own */

static struct {
	struct machine *m;
	int cpus;
	cpu_set_t allowed;           /* processors of the instance */
	int bell;                    /* eventfd; -1: there is no helper */
	bool rung;                   /* gates can ring */
	pthread_t thread;
	_Atomic pid_t tid;
	_Atomic bool awake;
	struct mutex place_lock;
	cpu_set_t place;             /* under place_lock: its affinity */
	_Atomic int cpu;             /* where it polled last */
	_Atomic bool streams;        /* so many calls come that it stays where it is */
	_Atomic bool displaced;      /* a vCPU has that processor, and there is no other */
	_Atomic int64_t not_before;  /* backing off until then */
	_Atomic int busy;            /* threads of vCPUs that did not go to sleep since they were in the guest */
	_Atomic int lateness;        /* points */
	_Atomic unsigned late;       /* times in a row that it was found late */
	_Atomic int64_t shut_before; /* and gates leave at once until then */
	_Atomic uint64_t served, rings;
} helper = { .bell = -1 };

static bool may_run(void)
{
	return helper.cpus > 1 && (atomic_load(&helper.busy) < helper.cpus || reserve_cpu() >= 0);
}

static bool streams(void)
{
	return atomic_load_explicit(&helper.streams, memory_order_relaxed) || reserve_cpu() >= 0;
}

static bool backing_off(int64_t now)
{
	return now < atomic_load_explicit(&helper.not_before, memory_order_relaxed);
}

/* The processors other than this one, without those where a vCPU's thread was seen that is busy now, if that leaves any. */
static cpu_set_t free_cpus(struct machine *m, int here)
{
	unsigned n = atomic_load_explicit(&m->nready, memory_order_acquire);
	cpu_set_t others = helper.allowed, free;

	CPU_CLR((size_t)here, &others);
	free = others;
	for (unsigned i = 0; i < n; i++) {
		struct vcpu *v = m->vcpus[i];

		if (v && atomic_load_explicit(&v->busy, memory_order_relaxed)) /* so it has entered, and its processor is known */
			CPU_CLR((size_t)atomic_load_explicit(&v->host_cpu, memory_order_relaxed), &free);
	}
	return CPU_COUNT(&free) > 0 ? free : others;
}

/*
 * The scheduler wakes a thread where it ran last or where it was woken from, if processors share no cache: beside the vCPU that spins for
 * it. So the helper, asleep or polling, is kept off the processor that a vCPU goes in on.
 */
static void keep_off(struct machine *m, int cpu)
{
	pid_t tid = atomic_load_explicit(&helper.tid, memory_order_relaxed);

	if (cpu < 0 || !tid || !mutex_trylock(&helper.place_lock))
		return;
	if (CPU_ISSET((size_t)cpu, &helper.place) && reserve_cpu() < 0) {
		cpu_set_t free = free_cpus(m, cpu);

		if (!CPU_EQUAL(&free, &helper.place) && sched_setaffinity(tid, sizeof(free), &free) == 0)
			helper.place = free;
	}
	mutex_unlock(&helper.place_lock);
}

static void open_all(struct machine *m)
{
	unsigned n = atomic_load(&m->nready);
	enum slot_mode mode = helper_mode();

	for (unsigned i = 0; i < n; i++)
		if (m->vcpus[i] && m->vcpus[i]->server)
			slot_open(m->vcpus[i], mode);
}

/* The call is settled. Whoever came out meanwhile waits for it. */
static void release(struct vcpu *v)
{
	if (atomic_exchange(&v->serve, SERVE_IN) == SERVE_WAITED)
		syscall(SYS_futex, &v->serve, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}

/* A call was posted, and the vCPU is in the guest: the caller has it until release(). */
static bool take(struct vcpu *v)
{
	uint32_t in = SERVE_IN;

	return atomic_load_explicit(&v->serve, memory_order_relaxed) == SERVE_IN && slot_posted(v) &&
	       atomic_compare_exchange_strong(&v->serve, &in, SERVE_TAKEN);
}

/* Nobody is there to answer what was posted: it need not wait until its patience ends. */
static void send_away(struct vcpu *v)
{
	if (!take(v))
		return;
	FOR_EACH_SLOT(v, slot)
		if (slot_state(slot) == RT_POSTED)
			slot_state_set(slot, RT_REFUSED);
	release(v);
}

static void close_all(struct machine *m)
{
	unsigned n = atomic_load(&m->nready);

	for (unsigned i = 0; i < n; i++)
		if (m->vcpus[i] && m->vcpus[i]->server) {
			slot_open(m->vcpus[i], SLOT_CLOSED);
			send_away(m->vcpus[i]);
		}
}

static bool polls_on(int cpu)
{
	return atomic_load(&helper.awake) && atomic_load_explicit(&helper.cpu, memory_order_relaxed) == cpu;
}

static void ring(void)
{
	uint64_t one = 1;

	if (write(helper.bell, &one, sizeof(one)) < 0)
		log_dbg(KVM, "the helper cannot be woken");
}

/* A processor of its own from now on: where it is, or another one than the caller's. */
static void take_processor(struct machine *m)
{
	int cpu = atomic_load_explicit(&helper.cpu, memory_order_relaxed), here = sched_getcpu();
	pid_t tid = atomic_load(&helper.tid);
	cpu_set_t free = free_cpus(m, here), one;

	if (!tid || !mutex_trylock(&helper.place_lock))
		return;
	for (size_t i = 0; i < CPU_SETSIZE && (cpu == here || !CPU_ISSET((size_t)cpu, &helper.allowed)); i++)
		if (CPU_ISSET(i, &free))
			cpu = (int)i;
	CPU_ZERO(&one);
	CPU_SET((size_t)cpu, &one);
	if (sched_setaffinity(tid, sizeof(one), &one) == 0) {
		helper.place = one;
		reserve_begin(cpu, clock_now(CLOCK_MONOTONIC));
		log_dbg(KVM, "processor %d is the helper's", cpu);
	}
	mutex_unlock(&helper.place_lock);
	atomic_store(&helper.displaced, false);
	open_all(m);
	ring();
}

static void give_processor_back(int64_t now)
{
	mutex_lock(&helper.place_lock);
	if (reserve_cpu() >= 0) {
		reserve_end(now);
		helper.place = helper.allowed;
		log_dbg(KVM, "no processor is the helper's any more");
		sched_setaffinity(atomic_load(&helper.tid), sizeof(helper.place), &helper.place);
	}
	mutex_unlock(&helper.place_lock);
}

void helper_entering(struct vcpu *v)
{
	int cpu;

	reserve_follow(v);
	cpu = sched_getcpu();
	if (reserve_intrudes(cpu))
		give_processor_back(clock_now(CLOCK_MONOTONIC));
	atomic_store_explicit(&v->host_cpu, cpu, memory_order_relaxed);
	if (!v->busy) {
		v->busy = true;
		atomic_fetch_add(&helper.busy, 1);
	}
	if (reserve_cpu() >= 0)
		return;
	if (may_run()) {
		if (!atomic_load(&helper.awake) || polls_on(cpu))
			keep_off(v->m, cpu);
	} else if (polls_on(cpu) && !streams() && !atomic_exchange(&helper.displaced, true)) {
		close_all(v->m);
	}
}

/* For a helper that waits behind a vCPU: is there room now? */
static void find_place(struct machine *m)
{
	if (!atomic_load(&helper.displaced) || !may_run() || !atomic_exchange(&helper.displaced, false))
		return;
	if (!polls_on(sched_getcpu()))
		keep_off(m, atomic_load_explicit(&helper.cpu, memory_order_relaxed));
	open_all(m);
}

void helper_rests(struct vcpu *v)
{
	if (!v->busy)
		return;
	v->busy = false;
	atomic_fetch_sub(&helper.busy, 1);
	reserve_note_sleep();
	find_place(v->m);
}

static bool shut(void)
{
	int64_t until = atomic_load_explicit(&helper.shut_before, memory_order_relaxed);

	return until && clock_now(CLOCK_MONOTONIC) < until;
}

enum slot_mode helper_mode(void)
{
	if (reserve_cpu() < 0 && (atomic_load(&helper.displaced) || shut()))
		return SLOT_CLOSED;
	if (atomic_load(&helper.awake))
		return SLOT_POLLED;
	/* While it backs off from polling, a ring is still cheaper than an exit. */
	return helper.rung && may_run() ? SLOT_RUNG : SLOT_CLOSED;
}

/* The gate of v lost its patience. On a busy host the helper may not get its processor for long: spinning for it is waste. */
static void note_miss(struct vcpu *v)
{
	int limit = atomic_load_explicit(&helper.late, memory_order_relaxed) ? LATE_AGAIN : LATE;
	unsigned n;

	if (reserve_cpu() >= 0)
		return; /* it was busy with others' calls */
	if (atomic_load_explicit(&helper.awake, memory_order_relaxed)) /* else it was still waking up */
		slot_budget(v, 2, SPIN_MIN);
	if (atomic_fetch_add_explicit(&helper.lateness, MISS, memory_order_relaxed) + MISS <= limit)
		return;
	atomic_store_explicit(&helper.lateness, 0, memory_order_relaxed);
	n = atomic_fetch_add_explicit(&helper.late, 1, memory_order_relaxed);
	atomic_store_explicit(&helper.shut_before, clock_now(CLOCK_MONOTONIC) + ((int64_t)LATE_BACKOFF_NS << MIN(n, LATE_DOUBLINGS)),
			      memory_order_relaxed);
}

static void note_answers(unsigned n)
{
	int points = atomic_load_explicit(&helper.lateness, memory_order_relaxed);

	atomic_fetch_add_explicit(&helper.served, n, memory_order_relaxed);
	/* Misses that come between the two lines are forgotten: a guess anyway. */
	atomic_store_explicit(&helper.lateness, n < (unsigned)points ? points - (int)n : 0, memory_order_relaxed);
	if (n >= PROOF)
		atomic_store_explicit(&helper.late, n >= 4 * PROOF ? 0 : atomic_load_explicit(&helper.late, memory_order_relaxed) / 2,
				      memory_order_relaxed);
}

/* An exit for a call: if they come one upon the other, the helper is worth its core. */
void slot_note_exit(struct vcpu *v)
{
	int64_t now;

	if (!v->server || helper.bell < 0)
		return;
	if (slot_posted(v))
		note_miss(v);
	now = clock_now(CLOCK_MONOTONIC);
	if (reserve_note_exit(now) && helper.cpus > 1)
		take_processor(v->m);
	if (atomic_load_explicit(&helper.awake, memory_order_relaxed))
		return;
	v->streak = now - v->last_exit < CLOSE_NS ? v->streak + 1 : 0;
	v->last_exit = now;
	if (v->streak < STREAK || backing_off(now) || !may_run() || shut())
		return;
	v->streak = 0;
	ring();
}

/* --- answering ---------------------------------------------------------------------------------------------------- */

/* true: the site of the call that was answered is to be rewritten, which its own thread does. */
static bool note_site(struct vcpu *v, uint8_t *slot, uint64_t nr)
{
	gva_t ret = slot_read(slot, RT_SLOT_RCX);
	unsigned calls;

	if (!slot_read(slot, RT_SLOT_R11))
		return false; /* rewritten already */
	calls = slot_recount(v);
	if (!v->m->rewrite || !sites_note(v->as, ret, calls))
		return false;
	v->hot = ret;
	v->hot_nr = nr;
	return true;
}

static void give_answer(struct vcpu *v, uint8_t *slot, long result)
{
	v->result = result;
	slot_write(slot, RT_SLOT_RESULT, (uint64_t)result);
}

static uint32_t answer(struct vcpu *v, uint8_t *slot)
{
	uint64_t nr = slot_read(slot, RT_SLOT_NR), args[6];
	enum served s = SERVED_REFUSED;
	long result = 0;

	v->loads = v->asked = false;
	for (unsigned i = 0; i < 6; i++)
		args[i] = slot_read(slot, RT_SLOT_ARG + 8 * i);
	v->regs->rsp = slot_read(slot, RT_SLOT_RSP);
	/* A program that steps: slot_enter(). One whose site is to be rewritten. */
	if (!(slot_read(slot, RT_SLOT_R11) & FLAG_TF) && !note_site(v, slot, nr))
		s = v->server->call(v->server_ctx, nr, args, &result);
	if (++v->nserved % BUDGET_STEP == 0)
		slot_budget(v, 0, SPIN_MAX);
	switch (s) {
	case SERVED_ANSWERED:
		give_answer(v, slot, result);
		return RT_ANSWERED;
	case SERVED_LEAVE:
		give_answer(v, slot, result);
		return RT_LEAVE;
	case SERVED_SIGNAL:
		give_answer(v, slot, result);
		v->asked = true;
		return RT_SAVE;
	case SERVED_LOADED:
		slot_load(v);
		return RT_LOAD;
	case SERVED_LOADED_LEAVE:
		slot_load(v);
		return RT_LEAVE;
	case SERVED_REFUSED:
		break;
	}
	return RT_REFUSED;
}

/* The registers that were asked for are here. A program that forges this has its last call answered once more. */
static uint32_t deliver(struct vcpu *v)
{
	enum served s = SERVED_LEAVE;

	if (v->asked) {
		slot_get_registers(v, v->regs);
		s = v->server->signal(v->server_ctx);
	}
	v->asked = false;
	if (s == SERVED_LOADED || s == SERVED_LOADED_LEAVE)
		slot_load(v);
	return s == SERVED_LOADED ? RT_LOAD : RT_LEAVE;
}

/* The caller has taken the call. */
static unsigned answer_taken(struct vcpu *v)
{
	uint8_t *slot = slot_posted(v);

	if (!slot) /* it left and came back between the two looks */
		return 0;
	v->fpu_in_slot = true;
	slot_state_set(slot, slot_state(slot) == RT_POSTED ? answer(v, slot) : deliver(v));
	v->fpu_in_slot = false;
	return 1;
}

/* Answers what is posted. Calls answered. */
static unsigned poll_all(struct machine *m)
{
	unsigned n = atomic_load_explicit(&m->nready, memory_order_acquire), done = 0;

	for (unsigned i = 0; i < n; i++) {
		struct vcpu *v = m->vcpus[i];

		if (!v || !take(v))
			continue;
		/* Its caller goes on at once, and who was woken finds a processor: this one. */
		mutex_hold_wakes();
		done += answer_taken(v);
		release(v);
		if (mutex_release_wakes() && !streams())
			sched_yield();
	}
	return done;
}

/* The vCPU moved meanwhile: the helper goes to a processor where none runs. */
static void step_aside(struct machine *m)
{
	unsigned n = atomic_load(&m->nready);
	int here = sched_getcpu();

	for (unsigned i = 0; i < n; i++) {
		struct vcpu *v = m->vcpus[i];

		if (!v || atomic_load_explicit(&v->serve, memory_order_relaxed) == SERVE_OUT ||
		    atomic_load_explicit(&v->host_cpu, memory_order_relaxed) != here)
			continue;
		keep_off(m, here);
		return;
	}
}

/* On a processor of its own, which is given back when that does not pay any more. */
static bool owns(int64_t now, int64_t last)
{
	if (reserve_cpu() < 0)
		return false;
	if (now - last <= OWN_PATIENCE_NS && reserve_pays(now))
		return true;
	give_processor_back(now);
	return false;
}

/* Polls as long as it pays. */
static void poll_while_worth(struct machine *m)
{
	int64_t now = clock_now(CLOCK_MONOTONIC), last = now, window = now, patience = RING_PATIENCE_NS;
	unsigned calls = 0, rounds = 0, total = 0;

	for (;;) {
		unsigned n;

		atomic_store_explicit(&helper.cpu, sched_getcpu(), memory_order_relaxed);
		find_place(m);
		n = poll_all(m);
		if (n) {
			reserve_note_answers(n);
			calls += n;
			total += n;
			last = clock_now(CLOCK_MONOTONIC);
			rounds = 0;
			/* One call is what it was woken for; a second makes a stream. */
			if (total > 1)
				patience = PATIENCE_NS;
			if (calls >= STREAM_CALLS && !streams())
				atomic_store(&helper.streams, true);
		} else {
			__builtin_ia32_pause();
		}
		if (++rounds % 32)
			continue;
		if (!streams())
			sched_yield();
		now = clock_now(CLOCK_MONOTONIC);
		if (owns(now, last)) {
			window = now;
			calls = 0;
			continue;
		}
		if (now - last > (atomic_load_explicit(&helper.displaced, memory_order_relaxed) ? WAIT_NS : patience) || shut())
			break;
		if (now - window > WINDOW_NS) {
			if (calls < WINDOW_CALLS) {
				atomic_store(&helper.not_before, now + BACKOFF_NS);
				break;
			}
			if (calls < STREAM_CALLS)
				atomic_store(&helper.streams, false);
			window = now;
			calls = 0;
		}
	}
	note_answers(total);
}

static void *helper_main(void *arg)
{
	struct machine *m = arg;
	struct waiter w;
	uint64_t count;

	waiter_init(&w, false);
	waiter_bind(&w);
	atomic_store(&helper.tid, gettid());
	for (;;) {
		if (read(helper.bell, &count, sizeof(count)) < 0)
			continue;
		atomic_fetch_add_explicit(&helper.rings, 1, memory_order_relaxed);
		atomic_store(&helper.cpu, sched_getcpu());
		atomic_store(&helper.awake, true);
		step_aside(m);
		open_all(m);
		poll_while_worth(m);
		atomic_store(&helper.awake, false);
		atomic_store(&helper.displaced, false);
		atomic_store(&helper.streams, false);
		open_all(m);
		/* What was posted before its gate saw this is still answered; what slips through leaves when its patience ends. */
		note_answers(poll_all(m));
	}
	return NULL;
}

/* --- boot ----------------------------------------------------------------------------------------------------------- */

static void hang_bell(struct machine *m)
{
	struct kvm_ioeventfd e = { .addr = RT_BELL_PORT, .len = 1, .fd = helper.bell, .flags = KVM_IOEVENTFD_FLAG_PIO };

	helper.rung = ioctl(m->vm_fd, KVM_IOEVENTFD, &e) == 0;
	if (!helper.rung)
		log_dbg(KVM, "no ioeventfd: a sleeping helper is not rung for");
}

static void start(void)
{
	sigset_t mask, old;
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0 || CPU_COUNT(&cpus) < 2)
		return;
	mutex_init(&helper.place_lock);
	helper.place = cpus;
	helper.bell = eventfd(0, EFD_CLOEXEC);
	if (helper.bell < 0)
		return;
	hang_bell(helper.m);
	sigfillset(&mask);
	sigdelset(&mask, SIGSEGV);
	sigdelset(&mask, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &mask, &old);
	if (pthread_create(&helper.thread, NULL, helper_main, helper.m) == 0) {
		helper.allowed = cpus;
		helper.cpus = CPU_COUNT(&cpus);
	} else {
		log_dbg(KVM, "no helper thread: all calls leave the VM");
		close(helper.bell);
		helper.bell = -1;
		helper.rung = false;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void helper_start(struct machine *m)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	helper.m = m;
	pthread_once(&once, start);
}

void slot_report(struct machine *m, struct platform_stats *ret)
{
	unsigned n = atomic_load(&m->nready);
	struct timespec ts;
	clockid_t clock;

	for (unsigned i = 0; i < n; i++) {
		struct vcpu *v = m->vcpus[i];

		if (!v)
			continue;
		FOR_EACH_SLOT(v, slot)
			ret->told += slot_read(slot, RT_TOLD);
		ret->exits += atomic_load_explicit(&v->nexits, memory_order_relaxed);
		ret->called += atomic_load_explicit(&v->ncalls, memory_order_relaxed);
	}
	ret->told += atomic_load(&m->ntold);
	ret->served = atomic_load(&helper.served);
	ret->rings = atomic_load(&helper.rings);
	if (helper.cpus && pthread_getcpuclockid(helper.thread, &clock) == 0 && clock_gettime(clock, &ts) == 0)
		ret->helper_ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}
