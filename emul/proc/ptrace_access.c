/* SPDX-License-Identifier: MIT */
/* Who may look into whom: __ptrace_may_access() and what commoncap.c adds to it. There is no other security module. */
#include <linux/capability.h>

#include "emul/base/err.h"
#include "emul/proc/task.h"

static bool same_ids(uid_t uid, gid_t gid, const struct cred *o)
{
	return uid == o->euid && uid == o->suid && uid == o->uid && gid == o->egid && gid == o->sgid && gid == o->gid;
}

int trace_may_access(pid_t pid, const struct cred *c, bool fs_ids, struct task *target)
{
	AUTO(cred) o = NULL;
	uint64_t caps = fs_ids ? c->cap_effective : c->cap_permitted;

	if (pid == target->proc->pid || cred_capable(c, CAP_SYS_PTRACE))
		return 0;
	o = task_get_cred(target);
	if (!o || !same_ids(fs_ids ? c->fsuid : c->uid, fs_ids ? c->fsgid : c->gid, o))
		return -EPERM;
	if (!target->proc->dumpable)
		return -EPERM;
	return o->cap_permitted & ~caps ? -EPERM : 0;
}
