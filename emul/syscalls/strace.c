/* SPDX-License-Identifier: MIT */
/*
 * --strace: lines of calls. A line is printed when its call returns; a call during which another thread
 * printed something is shown in two parts, as strace(1) does: "<unfinished ...>" and "<... NAME resumed>".
 */
/* host syscalls: openat write */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/syscalls/strace.h"
#include "emul/syscalls/strace_fmt.h"

bool strace_on;

static struct mutex out_lock = MUTEX_INIT;
/* out_lock: */
static int out_fd = STDERR_FILENO;
static pid_t open_tid;   /* whose line is open at the end of the output; 0: none */
static bool several;     /* more than one thread has been seen: lines carry a pid */

/* The open call of one thread; task->syscall_state. */
struct trace {
	bool in_call;
	bool split;              /* its first part was cut off */
	unsigned long nr;
};

int strace_enable(const char *file)
{
	if (file) {
		int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);

		if (fd < 0)
			return -errno;
		out_fd = fd;
	} else {
		/* The program may close or move its own standard error. */
		int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);

		if (fd >= 0)
			out_fd = fd;
	}
	strace_on = true;
	return 0;
}

static void put(const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(out_fd, text, len);

		if (n <= 0 && errno != EINTR)
			return;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
}

/* Ends another thread's open line, begins one of t's. out_lock held. */
static void begin_line(struct task *t)
{
	char head[32];

	if (open_tid == t->tid)
		return;
	if (open_tid)
		put(" <unfinished ...>\n", 18);
	open_tid = t->tid;
	if (several)
		put(head, (size_t)snprintf(head, sizeof(head), "[pid %5d] ", t->tid));
}

static void end_line(void)
{
	put("\n", 1);
	open_tid = 0;
}

static struct trace *trace_of(struct task *t)
{
	if (!t->syscall_state)
		t->syscall_state = calloc(1, sizeof(struct trace));
	return t->syscall_state;
}

/* The name, and the arguments that are known before the call: nothing is printed between them by others. */
void strace_enter(struct task *t, unsigned long nr, const struct syscall_desc *d, const struct sysargs *a)
{
	struct trace_text text;
	struct trace *tr = trace_of(t);

	trace_text_init(&text);
	trace_call(&text, t, nr, d, a, TRACE_ENTRY, 0);
	mutex_lock(&out_lock);
	begin_line(t);
	put(text.buf, text.len);
	mutex_unlock(&out_lock);
	if (tr) {
		tr->in_call = true;
		tr->nr = nr;
	}
}

static const char *call_name(unsigned long nr)
{
	return nr < SYSCALL_MAX && syscall_names[nr] ? syscall_names[nr] : "syscall";
}

void strace_leave(struct task *t, unsigned long nr, const struct syscall_desc *d, const struct sysargs *a, long r)
{
	struct trace_text text;
	struct trace *tr = trace_of(t);
	char head[64];

	trace_text_init(&text);
	trace_call(&text, t, nr, d, a, TRACE_EXIT, r);
	trace_result(&text, nr, r);
	mutex_lock(&out_lock);
	if (open_tid != t->tid) {
		begin_line(t);
		put(head, (size_t)snprintf(head, sizeof(head), "<... %s resumed>", call_name(nr)));
	}
	put(text.buf, text.len);
	end_line();
	mutex_unlock(&out_lock);
	if (tr)
		tr->in_call = false;
}

static void line(struct task *t, const char *fmt, ...)
{
	char buf[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	mutex_lock(&out_lock);
	if (open_tid) {
		put(" <unfinished ...>\n", 18);
		open_tid = 0;
	}
	begin_line(t);
	put(buf, MIN((size_t)n, sizeof(buf) - 1));
	end_line();
	mutex_unlock(&out_lock);
}

void strace_signal(struct task *t, const siginfo_t *info)
{
	struct trace_text text;

	trace_text_init(&text);
	trace_siginfo(&text, info);
	line(t, "--- %s %.*s ---", trace_signal_name(info->si_signo), (int)text.len, text.buf);
}

void strace_task_new(struct task *t)
{
	static _Atomic unsigned seen;

	if (atomic_fetch_add(&seen, 1) > 0) {
		mutex_lock(&out_lock);
		several = true;
		mutex_unlock(&out_lock);
	}
}

void strace_task_gone(struct task *t)
{
	int status = t->proc->group_exit ? t->proc->exit_status : t->exit_code;
	int sig = status & 0x7f;

	if (sig)
		line(t, "+++ killed by %s%s +++", trace_signal_name(sig), status & 0x80 ? " (core dumped)" : "");
	else
		line(t, "+++ exited with %d +++", status >> 8 & 0xff);
	free(t->syscall_state);
	t->syscall_state = NULL;
}
