/* SPDX-License-Identifier: MIT */
/* Files of /proc/PID that set something: loginuid, timerslack_ns, coredump_filter, clear_refs. fs/proc/base.c, kernel/audit.c. */
#include <ctype.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "emul/base/log.h"
#include "emul/proc/procfs/procfs.h"

/* kstrtoull(): digits, and one newline at most. */
static int parse_number(const char *buf, size_t len, int base, uint64_t max, uint64_t *ret)
{
	char *end;

	if (memchr(buf, 0, len) || !isalnum((unsigned char)buf[buf[0] == '+']))
		return -EINVAL;
	errno = 0;
	*ret = strtoull(buf, &end, base);
	if (end == buf || (*end && strcmp(end, "\n") != 0))
		return -EINVAL;
	return errno == ERANGE || *ret > max ? -ERANGE : 0;
}

/* --- the session's user, for audits --------------------------------------------------------------------------- */

int show_loginuid(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_printf(out, "%u", task_node(n)->task->loginuid);
	return 0;
}

int show_sessionid(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_printf(out, "%u", task_node(n)->task->sessionid);
	return 0;
}

/* A task sets its own alone. Once it is set that takes a capability; each setting begins a session. */
ssize_t write_loginuid(struct pnode *n, struct fs_ctx *c, const char *buf, size_t len, off_t pos)
{
	static _Atomic uint32_t sessions;
	struct task *t = task_node(n)->task;
	uint64_t uid;
	int r;

	if (t->tid != c->tid)
		return -EPERM;
	if (pos != 0)
		return -EINVAL;
	r = parse_number(buf, len, 10, UINT32_MAX, &uid);
	if (r < 0)
		return r;
	if (t->loginuid != LOGINUID_UNSET && !cred_capable(c->cred, CAP_AUDIT_CONTROL))
		return -EPERM;
	t->loginuid = (uint32_t)uid;
	t->sessionid = t->loginuid == LOGINUID_UNSET ? LOGINUID_UNSET : ++sessions;
	return (ssize_t)len;
}

/* --- timer slack ------------------------------------------------------------------------------------------------ */

static bool may_see_slack(struct task *t, struct fs_ctx *c)
{
	return t->tid == c->tid || cred_capable(c->cred, CAP_SYS_NICE);
}

int show_timerslack(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct task *t = task_node(n)->task;

	if (!may_see_slack(t, c))
		return -EPERM;
	seq_printf(out, "%lu\n", t->timer_slack);
	return 0;
}

ssize_t write_timerslack(struct pnode *n, struct fs_ctx *c, const char *buf, size_t len, off_t pos)
{
	struct task *t = task_node(n)->task;
	uint64_t slack;
	int r = parse_number(buf, len, 10, UINT64_MAX, &slack);

	if (r < 0)
		return r;
	if (!may_see_slack(t, c))
		return -EPERM;
	t->timer_slack = slack ? slack : t->default_slack;
	return (ssize_t)len;
}

/* --- what a core file gets -------------------------------------------------------------------------------------- */

int show_coredump_filter(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	AUTO(mm) mm = task_get_mm(task_node(n)->task);

	if (mm)
		seq_printf(out, "%08x\n", task_node(n)->task->proc->dump_filter);
	return 0;
}

ssize_t write_coredump_filter(struct pnode *n, struct fs_ctx *c, const char *buf, size_t len, off_t pos)
{
	struct task *t = task_node(n)->task;
	AUTO(mm) mm = task_get_mm(t);
	uint64_t bits;
	int r = parse_number(buf, len, 0, UINT32_MAX, &bits);

	if (r < 0)
		return r;
	if (!mm)
		return -ESRCH;
	t->proc->dump_filter = (unsigned)bits & DUMP_FILTER_BITS;
	return (ssize_t)len;
}

/* --- clear_refs --------------------------------------------------------------------------------------------------- */

enum { CLEAR_REFS_ALL = 1, CLEAR_REFS_SOFT_DIRTY = 4, CLEAR_REFS_HIWATER_RSS = 5 };

/* Of what it can do: the peak of the resident size begins anew. Pages keep no marks of references or (soft) writes to be cleared. */
ssize_t write_clear_refs(struct pnode *n, struct fs_ctx *c, const char *buf, size_t len, off_t pos)
{
	AUTO(mm) mm = task_get_mm(task_node(n)->task);
	uint64_t what;

	while (isspace((unsigned char)*buf)) {
		buf++;
		len--;
	}
	if (parse_number(buf, len, 10, INT32_MAX, &what) < 0 || what < CLEAR_REFS_ALL || what > CLEAR_REFS_HIWATER_RSS)
		return -EINVAL;
	if (what < CLEAR_REFS_SOFT_DIRTY) {
		log_once("clear_refs: references to pages are not recorded");
		return -EINVAL;
	}
	if (mm && what == CLEAR_REFS_HIWATER_RSS)
		mm_reset_peak(mm);
	return (ssize_t)len;
}
