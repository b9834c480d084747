/* SPDX-License-Identifier: MIT */
/* --strace: one call's arguments by their kinds, and its result, in strace(1)'s form. */
#include <ctype.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "emul/base/err.h"
#include "emul/syscalls/strace_fmt.h"

#define LINE_WIDTH 40 /* strace(1) aligns results here */
#define SHOWN_VECTORS 32u

void trace_printf(struct trace_text *s, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(s->buf + s->len, sizeof(s->buf) - s->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		s->len = MIN(s->len + (size_t)n, sizeof(s->buf) - 1);
}

/* --- text -------------------------------------------------------------------------------------------- */

static void put_bytes(struct trace_text *s, const unsigned char *p, size_t n, bool more)
{
	trace_printf(s, "\"");
	for (size_t i = 0; i < n; i++) {
		const char *esc = p[i] ? strchr("\nn\tt\rr\"\"\\\\\vv\ff", p[i]) : NULL;

		if (esc && (esc - "\nn\tt\rr\"\"\\\\\vv\ff") % 2 == 0)
			trace_printf(s, "\\%c", esc[1]);
		else if (isprint(p[i]))
			trace_printf(s, "%c", p[i]);
		else if (i + 1 < n && isdigit(p[i + 1]))
			trace_printf(s, "\\%03o", p[i]);
		else
			trace_printf(s, "\\%o", p[i]);
	}
	trace_printf(s, more ? "\"..." : "\"");
}

static void put_pointer(struct trace_text *s, gva_t p)
{
	if (p)
		trace_printf(s, "%#lx", p);
	else
		trace_printf(s, "NULL");
}

static void put_buffer(struct trace_text *s, struct task *t, gva_t at, uint64_t len)
{
	unsigned char buf[TRACE_STRING_MAX];
	size_t n = MIN(len, sizeof(buf));

	if (!at || copy_from_guest(t->mm, buf, at, n) < 0)
		put_pointer(s, at);
	else
		put_bytes(s, buf, n, len > n);
}

static void put_string(struct trace_text *s, struct task *t, gva_t at, size_t max)
{
	char buf[4096];
	ssize_t n = at ? copy_string_from_guest(t->mm, buf, at, MIN(max + 1, sizeof(buf))) : -EFAULT;

	if (n == -ENAMETOOLONG)
		put_bytes(s, (unsigned char *)buf, max, true);
	else if (n < 0)
		put_pointer(s, at);
	else
		put_bytes(s, (unsigned char *)buf, (size_t)n, false);
}

void trace_vector(struct trace_text *s, struct task *t, gva_t at, unsigned count, uint64_t total)
{
	struct iovec v[SHOWN_VECTORS];
	unsigned n = MIN(count, SHOWN_VECTORS);

	if (!at || copy_from_guest(t->mm, v, at, n * sizeof(v[0])) < 0) {
		put_pointer(s, at);
		return;
	}
	trace_printf(s, "[");
	for (unsigned i = 0; i < n; i++) {
		uint64_t len = MIN(v[i].iov_len, total);

		trace_printf(s, "%s{iov_base=", i ? ", " : "");
		put_buffer(s, t, (gva_t)v[i].iov_base, len);
		trace_printf(s, ", iov_len=%zu}", v[i].iov_len);
		total -= len;
	}
	trace_printf(s, count > n ? ", ...]" : "]");
}

static void put_strings(struct trace_text *s, struct task *t, gva_t at, bool env)
{
	uint64_t p;
	unsigned n = 0;

	if (!at || get_guest_u64(t->mm, at, &p) < 0) {
		put_pointer(s, at);
		return;
	}
	if (env) {
		while (n < 10000 && get_guest_u64(t->mm, at + 8 * n, &p) == 0 && p)
			n++;
		trace_printf(s, "%#lx /* %u var%s */", at, n, n == 1 ? "" : "s");
		return;
	}
	trace_printf(s, "[");
	for (; n < SHOWN_VECTORS && get_guest_u64(t->mm, at + 8 * n, &p) == 0 && p; n++) {
		trace_printf(s, "%s", n ? ", " : "");
		put_string(s, t, p, TRACE_STRING_MAX);
	}
	trace_printf(s, n == SHOWN_VECTORS ? ", ...]" : "]");
}

/* --- arguments ----------------------------------------------------------------------------------------- */

static void put_futex_timeout(struct trace_text *s, struct task *t, const struct sysargs *a, int i)
{
	switch (a->v[1] & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
	case FUTEX_WAIT_REQUEUE_PI:
		trace_struct(s, t, TIMESPEC_IN, a->v[i], a, i, 0);
		break;
	default:
		trace_printf(s, "%lu", a->v[i]);
	}
}

static void put_plain(struct trace_text *s, struct task *t, enum arg_kind kind, const struct sysargs *a, int i, long result)
{
	uint64_t v = a->v[i], next = i < 5 ? a->v[i + 1] : 0;

	switch (kind) {
	case INT: case FD: case PID:
		trace_printf(s, "%d", (int)v);
		break;
	case UINT:
		trace_printf(s, "%u", (unsigned)v);
		break;
	case UID: case GID:
		if ((uint32_t)v == UINT32_MAX)
			trace_printf(s, "-1");
		else
			trace_printf(s, "%u", (unsigned)v);
		break;
	case LONG: case OFFSET:
		trace_printf(s, "%ld", (long)v);
		break;
	case SIZE:
		trace_printf(s, "%lu", v);
		break;
	case OCTAL: case MODE:
		trace_printf(s, "%#03o", (unsigned)v);
		break;
	case DIRFD:
		if ((int)v == AT_FDCWD)
			trace_printf(s, "AT_FDCWD");
		else
			trace_printf(s, "%d", (int)v);
		break;
	case PATH:
		put_string(s, t, v, 4095);
		break;
	case STRING: case STRING_OUT:
		put_string(s, t, v, TRACE_STRING_MAX);
		break;
	case STRV: case ENVP:
		put_strings(s, t, v, kind == ENVP);
		break;
	case BUF_IN:
		put_buffer(s, t, v, next);
		break;
	case BUF_OUT:
		if (result < 0)
			put_pointer(s, v);
		else
			put_buffer(s, t, v, (uint64_t)result);
		break;
	case IOV_IN:
		trace_vector(s, t, v, (unsigned)next, UINT64_MAX);
		break;
	case IOV_OUT:
		trace_vector(s, t, v, (unsigned)next, result < 0 ? 0 : (uint64_t)result);
		break;
	case SIGNUM:
		trace_printf(s, "%s", trace_signal_name((int)v));
		break;
	case FUTEX_TIMEOUT:
		put_futex_timeout(s, t, a, i);
		break;
	case SOCKADDR_IN:
		trace_sockaddr(s, t, v, (uint32_t)next);
		break;
	case SOCKADDR_OUT:
		trace_sockaddr_out(s, t, v, next);
		break;
	case MSGHDR:
	case MSGHDR_OUT:
		trace_msghdr(s, t, v, kind == MSGHDR || result < 0 ? UINT64_MAX : (uint64_t)result);
		break;
	case PTR:
		put_pointer(s, v);
		break;
	default:
		trace_printf(s, "%#lx", v);
	}
}

static void put_argument(struct trace_text *s, struct task *t, enum arg_kind kind, const struct sysargs *a, int i, long result)
{
	if (kind == SIGNUM || !trace_flags(s, kind, a->v[i]))
		if (!trace_struct(s, t, kind, a->v[i], a, i, result))
			put_plain(s, t, kind, a, i, result);
}

static bool known_after_only(enum arg_kind kind)
{
	switch (kind) {
	case BUF_OUT: case IOV_OUT: case STAT_OUT: case STATX_OUT: case STATFS_OUT: case DIRENTS_OUT: case TIMESPEC_OUT:
	case TIMEVAL_OUT: case ITIMERVAL_OUT: case ITIMERSPEC_OUT: case SIGSET_OUT: case SIGACTION_OUT: case SIGINFO_OUT:
	case ALTSTACK_OUT: case WAIT_STATUS_OUT: case RLIMIT_OUT: case RUSAGE_OUT: case POLLFDS: case EPOLL_EVENTS_OUT:
	case FDSET: case PIPEFD_OUT: case INT_OUT: case UTSNAME_OUT: case SYSINFO_OUT: case SOCKADDR_OUT: case MSGHDR_OUT: case STRING_OUT:
	case SCHED_PARAM_OUT:
		return true;
	default:
		return false;
	}
}

static bool is_shown(const struct syscall_desc *d, const struct sysargs *a, int i)
{
	return d->arg[i] != OPEN_MODE || (i > 0 && (a->v[i - 1] & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))));
}

void trace_call(struct trace_text *s, struct task *t, unsigned long nr, const struct syscall_desc *d, const struct sysargs *a,
		enum trace_part part, long result)
{
	int i = 0;

	if (part == TRACE_ENTRY && nr < SYSCALL_MAX && syscall_names[nr])
		trace_printf(s, "%s(", syscall_names[nr]);
	else if (part == TRACE_ENTRY)
		trace_printf(s, "syscall_%#lx(", nr);
	for (; i < 6 && d->arg[i] != ARG_END && !known_after_only(d->arg[i]); i++) {
		if (part == TRACE_EXIT || !is_shown(d, a, i))
			continue;
		trace_printf(s, "%s", i ? ", " : "");
		put_argument(s, t, d->arg[i] == OPEN_MODE ? MODE : d->arg[i], a, i, 0);
	}
	if (part == TRACE_ENTRY)
		return;
	for (; i < 6 && d->arg[i] != ARG_END; i++) {
		trace_printf(s, "%s", i ? ", " : "");
		if (known_after_only(d->arg[i]) && result < 0 && d->arg[i] != POLLFDS && d->arg[i] != FDSET)
			put_pointer(s, a->v[i]);
		else
			put_argument(s, t, d->arg[i], a, i, result);
	}
}

/* --- results ------------------------------------------------------------------------------------------------ */

static bool returns_address(unsigned long nr)
{
	return nr == 9 || nr == 12 || nr == 25 || nr == 30; /* mmap brk mremap shmat */
}

static const char *restart_text(long e)
{
	switch (e) {
	case ERESTARTSYS: return "To be restarted if SA_RESTART is set";
	case ERESTARTNOINTR: return "To be restarted";
	case ERESTARTNOHAND: return "To be restarted if no handler";
	case ERESTART_RESTARTBLOCK: return "Interrupted by signal";
	default: return NULL;
	}
}

void trace_result(struct trace_text *s, unsigned long nr, long r)
{
	const char *restart = restart_text(-r);

	trace_printf(s, ")");
	if (restart)
		trace_printf(s, " = ? %s (%s)", trace_errno_name((int)-r), restart);
	else if (r < 0 && r >= -4095)
		trace_printf(s, " = -1 %s (%s)", trace_errno_name((int)-r), strerrordesc_np((int)-r) ? strerrordesc_np((int)-r) : "?");
	else if (returns_address(nr))
		trace_printf(s, " = %#lx", (unsigned long)r);
	else
		trace_printf(s, " = %ld", r);
}
