/* SPDX-License-Identifier: MIT */
/* --strace: structures in guest memory. Each is copied once; what cannot be read is shown by its address. */
#include <linux/openat2.h>
#include <linux/sched.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "emul/syscalls/strace_fmt.h"

#define SHOWN_ITEMS 32

static void put_flags(struct trace_text *s, enum arg_kind kind, uint64_t v)
{
	if (!trace_flags(s, kind, v))
		trace_printf(s, "%#lx", v);
}

void trace_sigset(struct trace_text *s, uint64_t set)
{
	bool invert = __builtin_popcountl(set) > 32, first = true;

	trace_printf(s, invert ? "~[" : "[");
	for (int sig = 1; sig <= 64; sig++)
		if ((set >> (sig - 1) & 1) != invert) {
			const char *name = trace_signal_name(sig);

			trace_printf(s, "%s%s", first ? "" : " ", strncmp(name, "SIG", 3) ? name : name + 3);
			first = false;
		}
	trace_printf(s, "]");
}

void trace_siginfo(struct trace_text *s, const siginfo_t *i)
{
	static const struct { int sig, code; const char *name; } codes[] = {
		{ SIGSEGV, SEGV_MAPERR, "SEGV_MAPERR" }, { SIGSEGV, SEGV_ACCERR, "SEGV_ACCERR" }, { SIGBUS, BUS_ADRALN, "BUS_ADRALN" },
		{ SIGBUS, BUS_ADRERR, "BUS_ADRERR" }, { SIGFPE, FPE_INTDIV, "FPE_INTDIV" }, { SIGILL, ILL_ILLOPN, "ILL_ILLOPN" },
		{ SIGTRAP, TRAP_BRKPT, "TRAP_BRKPT" }, { SIGTRAP, TRAP_TRACE, "TRAP_TRACE" }, { SIGCHLD, CLD_EXITED, "CLD_EXITED" },
		{ SIGCHLD, CLD_KILLED, "CLD_KILLED" }, { SIGCHLD, CLD_STOPPED, "CLD_STOPPED" }, { SIGCHLD, CLD_CONTINUED, "CLD_CONTINUED" },
		{ 0, SI_USER, "SI_USER" }, { 0, SI_KERNEL, "SI_KERNEL" }, { 0, SI_QUEUE, "SI_QUEUE" }, { 0, SI_TIMER, "SI_TIMER" },
		{ 0, SI_TKILL, "SI_TKILL" },
	};
	const char *code = NULL;

	for (size_t k = 0; k < ARRAY_SIZE(codes) && !code; k++)
		if ((!codes[k].sig || codes[k].sig == i->si_signo) && codes[k].code == i->si_code)
			code = codes[k].name;
	trace_printf(s, "{si_signo=%s, si_code=", trace_signal_name(i->si_signo));
	if (code)
		trace_printf(s, "%s", code);
	else
		trace_printf(s, "%d", i->si_code);
	if (i->si_signo == SIGCHLD && i->si_code > 0)
		trace_printf(s, ", si_pid=%d, si_uid=%u, si_status=%d", i->si_pid, i->si_uid, i->si_status);
	else if (i->si_code > 0 && (i->si_signo == SIGSEGV || i->si_signo == SIGBUS || i->si_signo == SIGFPE || i->si_signo == SIGILL))
		trace_printf(s, ", si_addr=%#lx", (unsigned long)i->si_addr);
	else if (i->si_code <= 0)
		trace_printf(s, ", si_pid=%d, si_uid=%u", i->si_pid, i->si_uid);
	trace_printf(s, "}");
}

/* --- printers: one for each structure ------------------------------------------------------------------ */

static void put_stat(struct trace_text *s, const struct stat *st)
{
	trace_printf(s, "{st_mode=%#o, st_size=%ld, ...}", st->st_mode, (long)st->st_size);
}

static void put_statx(struct trace_text *s, const struct statx *st)
{
	trace_printf(s, "{stx_mask=%#x, stx_mode=%#o, stx_size=%llu, ...}", st->stx_mask, st->stx_mode, st->stx_size);
}

static void put_statfs(struct trace_text *s, const struct statfs *st)
{
	trace_printf(s, "{f_type=%#lx, f_bsize=%ld, f_blocks=%lu, f_bfree=%lu, ...}", (long)st->f_type, (long)st->f_bsize,
		     (unsigned long)st->f_blocks, (unsigned long)st->f_bfree);
}

static void put_timespec(struct trace_text *s, const struct timespec *ts)
{
	if (ts->tv_nsec == UTIME_NOW || ts->tv_nsec == UTIME_OMIT)
		trace_printf(s, ts->tv_nsec == UTIME_NOW ? "UTIME_NOW" : "UTIME_OMIT");
	else
		trace_printf(s, "{tv_sec=%ld, tv_nsec=%ld}", ts->tv_sec, ts->tv_nsec);
}

static void put_timespecs(struct trace_text *s, const struct timespec ts[2])
{
	trace_printf(s, "[");
	put_timespec(s, &ts[0]);
	trace_printf(s, ", ");
	put_timespec(s, &ts[1]);
	trace_printf(s, "]");
}

static void put_timeval(struct trace_text *s, const struct timeval *tv)
{
	trace_printf(s, "{tv_sec=%ld, tv_usec=%ld}", tv->tv_sec, tv->tv_usec);
}

static void put_itimerval(struct trace_text *s, const struct itimerval *v)
{
	trace_printf(s, "{it_interval=");
	put_timeval(s, &v->it_interval);
	trace_printf(s, ", it_value=");
	put_timeval(s, &v->it_value);
	trace_printf(s, "}");
}

static void put_itimerspec(struct trace_text *s, const struct itimerspec *v)
{
	trace_printf(s, "{it_interval=");
	put_timespec(s, &v->it_interval);
	trace_printf(s, ", it_value=");
	put_timespec(s, &v->it_value);
	trace_printf(s, "}");
}

static void put_sigaction(struct trace_text *s, const struct ksigaction *k)
{
	if (k->handler == 0 || k->handler == 1)
		trace_printf(s, "{sa_handler=%s, sa_mask=", k->handler ? "SIG_IGN" : "SIG_DFL");
	else
		trace_printf(s, "{sa_handler=%#lx, sa_mask=", k->handler);
	trace_sigset(s, k->mask);
	trace_printf(s, ", sa_flags=%#lx}", k->flags);
}

static void put_altstack(struct trace_text *s, const stack_t *k)
{
	trace_printf(s, "{ss_sp=%p, ss_flags=%#x, ss_size=%zu}", k->ss_sp, k->ss_flags, k->ss_size);
}

static void put_rlimit_value(struct trace_text *s, uint64_t v)
{
	if (v == RLIM64_INFINITY)
		trace_printf(s, "RLIM64_INFINITY");
	else
		trace_printf(s, "%lu", v);
}

static void put_rlimit(struct trace_text *s, const struct rlimit64 *r)
{
	trace_printf(s, "{rlim_cur=");
	put_rlimit_value(s, r->rlim_cur);
	trace_printf(s, ", rlim_max=");
	put_rlimit_value(s, r->rlim_max);
	trace_printf(s, "}");
}

static void put_rusage(struct trace_text *s, const struct rusage *r)
{
	trace_printf(s, "{ru_utime=");
	put_timeval(s, &r->ru_utime);
	trace_printf(s, ", ru_stime=");
	put_timeval(s, &r->ru_stime);
	trace_printf(s, ", ...}");
}

static void put_epoll_event(struct trace_text *s, const struct epoll_event *e)
{
	trace_printf(s, "{events=%#x, data=%#lx}", e->events, e->data.u64);
}

static void put_wait_status(struct trace_text *s, const int *status)
{
	if (WIFEXITED(*status))
		trace_printf(s, "[{WIFEXITED(s) && WEXITSTATUS(s) == %d}]", WEXITSTATUS(*status));
	else if (WIFSIGNALED(*status))
		trace_printf(s, "[{WIFSIGNALED(s) && WTERMSIG(s) == %s}]", trace_signal_name(WTERMSIG(*status)));
	else if (WIFSTOPPED(*status))
		trace_printf(s, "[{WIFSTOPPED(s) && WSTOPSIG(s) == %s}]", trace_signal_name(WSTOPSIG(*status)));
	else
		trace_printf(s, "[%#x]", *status);
}

static void put_pair(struct trace_text *s, const int fd[2])
{
	trace_printf(s, "[%d, %d]", fd[0], fd[1]);
}

static void put_int(struct trace_text *s, const int *v)
{
	trace_printf(s, "[%d]", *v);
}

static void put_set(struct trace_text *s, const uint64_t *set)
{
	trace_sigset(s, *set);
}

static void put_utsname(struct trace_text *s, const struct utsname *u)
{
	trace_printf(s, "{sysname=\"%.64s\", nodename=\"%.64s\", ...}", u->sysname, u->nodename);
}

static void put_sysinfo(struct trace_text *s, const struct sysinfo *i)
{
	trace_printf(s, "{uptime=%ld, totalram=%lu, freeram=%lu, procs=%u, ...}", i->uptime, i->totalram, i->freeram, i->procs);
}

static void put_open_how(struct trace_text *s, const struct open_how *h)
{
	trace_printf(s, "{flags=");
	put_flags(s, OFLAGS, h->flags);
	trace_printf(s, ", mode=%#llo, resolve=%#llx}", h->mode, h->resolve);
}

static void put_clone_args(struct trace_text *s, const struct clone_args *c)
{
	trace_printf(s, "{flags=");
	put_flags(s, CLONE_FLAGS, c->flags & ~0xffull);
	trace_printf(s, ", exit_signal=%lld, stack=%#llx, stack_size=%#llx, tls=%#llx}", c->exit_signal, c->stack, c->stack_size, c->tls);
}

static void put_sched_param(struct trace_text *s, const int *priority)
{
	trace_printf(s, "[%d]", *priority);
}

/* --- arrays ---------------------------------------------------------------------------------------------------- */

static void put_pollfds(struct trace_text *s, struct task *t, gva_t at, unsigned n)
{
	struct pollfd p[SHOWN_ITEMS];

	if (n > SHOWN_ITEMS || copy_from_guest(t->mm, p, at, n * sizeof(p[0])) < 0) {
		trace_printf(s, "%#lx", at);
		return;
	}
	trace_printf(s, "[");
	for (unsigned i = 0; i < n; i++)
		trace_printf(s, "%s{fd=%d, events=%#x, revents=%#x}", i ? ", " : "", p[i].fd, p[i].events, p[i].revents);
	trace_printf(s, "]");
}

static void put_epoll_events(struct trace_text *s, struct task *t, gva_t at, long n)
{
	struct epoll_event e[SHOWN_ITEMS];

	if (n < 0 || n > SHOWN_ITEMS || copy_from_guest(t->mm, e, at, (size_t)n * sizeof(e[0])) < 0) {
		trace_printf(s, "%#lx", at);
		return;
	}
	trace_printf(s, "[");
	for (long i = 0; i < n; i++) {
		trace_printf(s, "%s", i ? ", " : "");
		put_epoll_event(s, &e[i]);
	}
	trace_printf(s, "]");
}

static void put_fdset(struct trace_text *s, struct task *t, gva_t at, int nfds)
{
	uint64_t w[16] = { 0 };
	unsigned words = nfds < 0 ? 0 : ((unsigned)MIN(nfds, 1024) + 63) / 64;
	bool first = true;

	if (!at || copy_from_guest(t->mm, w, at, words * sizeof(w[0])) < 0) {
		trace_printf(s, at ? "%#lx" : "NULL", at);
		return;
	}
	trace_printf(s, "[");
	for (unsigned i = 0; i < words * 64; i++)
		if (w[i / 64] >> i % 64 & 1) {
			trace_printf(s, first ? "%u" : " %u", i);
			first = false;
		}
	trace_printf(s, "]");
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

#define SHOW(kind_, type_, fn_)                                           \
	case kind_: {                                                     \
		__typeof__(type_) v_;                                     \
		if (!at)                                                  \
			trace_printf(s, "NULL");                          \
		else if (copy_from_guest(t->mm, &v_, at, sizeof(v_)) < 0) \
			trace_printf(s, "%#lx", at);                      \
		else                                                      \
			fn_(s, (const void *)&v_);                        \
		return true;                                              \
	}

bool trace_struct(struct trace_text *s, struct task *t, enum arg_kind kind, gva_t at, const struct sysargs *a, int i, long result)
{
	switch (kind) {
	SHOW(STAT_OUT, struct stat, put_stat)
	SHOW(STATX_OUT, struct statx, put_statx)
	SHOW(STATFS_OUT, struct statfs, put_statfs)
	SHOW(TIMESPEC_IN, struct timespec, put_timespec)
	SHOW(TIMESPEC_OUT, struct timespec, put_timespec)
	SHOW(TIMESPECS_IN, struct timespec[2], put_timespecs)
	SHOW(TIMEVAL_IN, struct timeval, put_timeval)
	SHOW(TIMEVAL_OUT, struct timeval, put_timeval)
	SHOW(ITIMERVAL_IN, struct itimerval, put_itimerval)
	SHOW(ITIMERVAL_OUT, struct itimerval, put_itimerval)
	SHOW(ITIMERSPEC_IN, struct itimerspec, put_itimerspec)
	SHOW(ITIMERSPEC_OUT, struct itimerspec, put_itimerspec)
	SHOW(SIGSET_IN, uint64_t, put_set)
	SHOW(SIGSET_OUT, uint64_t, put_set)
	SHOW(SIGACTION_IN, struct ksigaction, put_sigaction)
	SHOW(SIGACTION_OUT, struct ksigaction, put_sigaction)
	SHOW(SIGINFO_IN, siginfo_t, trace_siginfo)
	SHOW(SIGINFO_OUT, siginfo_t, trace_siginfo)
	SHOW(ALTSTACK_IN, stack_t, put_altstack)
	SHOW(ALTSTACK_OUT, stack_t, put_altstack)
	SHOW(RLIMIT_IN, struct rlimit64, put_rlimit)
	SHOW(RLIMIT_OUT, struct rlimit64, put_rlimit)
	SHOW(RUSAGE_OUT, struct rusage, put_rusage)
	SHOW(EPOLL_EVENT_IN, struct epoll_event, put_epoll_event)
	SHOW(WAIT_STATUS_OUT, int, put_wait_status)
	SHOW(PIPEFD_OUT, int[2], put_pair)
	SHOW(INT_OUT, int, put_int)
	SHOW(UTSNAME_OUT, struct utsname, put_utsname)
	SHOW(SYSINFO_OUT, struct sysinfo, put_sysinfo)
	SHOW(OPEN_HOW, struct open_how, put_open_how)
	SHOW(CLONE_ARGS, struct clone_args, put_clone_args)
	SHOW(SCHED_PARAM_IN, int, put_sched_param)
	SHOW(SCHED_PARAM_OUT, int, put_sched_param)
	case POLLFDS:
		put_pollfds(s, t, at, (unsigned)a->v[i + 1]);
		return true;
	case EPOLL_EVENTS_OUT:
		put_epoll_events(s, t, at, result);
		return true;
	case FDSET:
		put_fdset(s, t, at, (int)a->v[0]);
		return true;
	case DIRENTS_OUT:
		trace_printf(s, "%#lx /* %ld bytes */", at, result);
		return true;
	default:
		return false;
	}
}
