/* SPDX-License-Identifier: MIT */
#include "vmm/report.h"

#include <string.h>
#include <time.h>

#include "emul/base/auto.h"
#include "emul/net/net.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/task.h"
#include "vmm/instance_internal.h"
#include "vmm/plain.h"

#define COMMAND_MAX 4096

/* Arguments with blanks between them. */
static json_t *words(char *buf, size_t len)
{
	while (len && !buf[len - 1])
		len--;
	for (size_t i = 0; i < len; i++)
		if (!buf[i])
			buf[i] = ' ';
	return plain_text(buf, len);
}

static json_t *command_of(struct task *t)
{
	AUTO(mm) mm = task_get_mm(t);
	char buf[COMMAND_MAX];
	struct mm_layout l;
	size_t n = 0;

	if (mm) {
		l = *mm_layout(mm);
		if (l.arg_end > l.arg_start)
			n = mm_access_remote(mm, l.arg_start, buf, MIN(l.arg_end - l.arg_start, sizeof(buf)), false);
	}
	return words(buf, n);
}

static uint64_t memory_of(struct task *t)
{
	AUTO(mm) mm = task_get_mm(t);
	struct mm_counts c = { 0 };

	if (mm)
		mm_counts(mm, &c);
	return c.rss_anon + c.rss_file + c.rss_shmem;
}

static uint64_t boot_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

struct ids { pid_t ppid, pgid, sid; unsigned threads; };

static struct ids ids_of(struct proc *p)
{
	struct ids r;

	mutex_lock(&tasks_lock);
	r.ppid = p->parent ? p->parent->pid : 0;
	r.pgid = p->pgid;
	r.sid = p->sid;
	mutex_lock(&p->lock);
	r.threads = p->nthreads;
	mutex_unlock(&p->lock);
	mutex_unlock(&tasks_lock);
	return r;
}

static json_t *one_process(struct proc *p)
{
	AUTO(task) t = task_find(p->pid);
	char comm[TASK_COMM_LEN], state[2] = "";
	struct rusage_sum usage;
	struct ids ids = ids_of(p);
	struct cred *cred;
	json_t *r;

	if (!t)
		return NULL;
	task_comm(t, comm);
	state[0] = task_state_char(t);
	cred = task_get_cred(t);
	proc_usage_sum(p, &usage);
	r = json_pack("{s:i, s:i, s:i, s:i, s:I, s:s, s:i, s:I, s:I, s:I, s:o, s:o}", "pid", (int)p->pid, "ppid", (int)ids.ppid, "pgid", (int)ids.pgid,
		      "sid", (int)ids.sid, "uid", (json_int_t)cred->euid, "state", state, "threads", (int)ids.threads, "memory", (json_int_t)memory_of(t),
		      "cpu_ns", (json_int_t)(usage.utime_ns + usage.stime_ns), "age_ns", (json_int_t)(boot_clock() - t->start_ns), "name",
		      plain_text(comm, strlen(comm)), "command", command_of(t));
	cred_put(cred);
	return r;
}

/* Process 1 is not shown: nothing runs in it. */
json_t *report_processes(struct instance *in)
{
	json_t *list = json_array();
	struct proc *p;

	(void)in;
	for (pid_t pid = 2; list && (p = proc_next(&pid)); pid++) {
		json_t *one = one_process(p);

		if (one)
			json_array_append_new(list, one);
		proc_put(p);
	}
	return list;
}

static int count_processes(void)
{
	struct proc *p;
	int n = 0;

	for (pid_t pid = 2; (p = proc_next(&pid)); pid++, n++)
		proc_put(p);
	return n;
}

static json_t *memory(struct instance *in)
{
	struct mem_stats m;

	phys_stats(in->env.phys, &m);
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "total", (json_int_t)m.total, "free", (json_int_t)m.free, "cached", (json_int_t)m.cached, "shared",
			 (json_int_t)m.shmem, "anonymous", (json_int_t)m.anon);
}

json_t *report_stats(struct instance *in)
{
	struct platform *p = in->env.platform;
	struct platform_stats s = { 0 };
	struct timespec cpu;

	if (p->ops->report)
		p->ops->report(p, &s);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	return json_pack("{s:s, s:i, s:i, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "platform", p->ops->name, "processes", count_processes(), "threads",
			 (int)tasks_count(), "sockets", (json_int_t)sock_count(), "memory", memory(in), "cpu_ns",
			 (json_int_t)cpu.tv_sec * 1000000000 + cpu.tv_nsec, "calls", (json_int_t)(s.told + s.served + s.called), "calls_in_guest",
			 (json_int_t)s.told, "calls_by_helper", (json_int_t)s.served, "calls_by_exit", (json_int_t)s.called, "exits", (json_int_t)s.exits,
			 "sites_rewritten", (json_int_t)s.sites);
}
