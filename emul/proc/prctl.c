/* SPDX-License-Identifier: MIT */
/* prctl(2) and arch_prctl(2): settings of a task. kernel/sys.c, arch/x86/kernel/process_64.c. */
#include <asm/prctl.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/proc/task.h"

#ifndef ARCH_GET_XCOMP_SUPP
#define ARCH_GET_XCOMP_SUPP 0x1021
#define ARCH_GET_XCOMP_PERM 0x1022
#endif
#ifndef PR_GET_AUXV
#define PR_GET_AUXV 0x41555856
#endif
#ifndef SECURE_EXEC_RESTRICT_FILE
#define SECURE_EXEC_RESTRICT_FILE 8 /* since Linux 6.14; each has its lock one above */
#define SECURE_EXEC_DENY_INTERACTIVE 10
#endif
/* For the interpreters: they ask, the kernel does nothing else, and everybody may. */
#define SECURE_FREE_BITS (1u << SECURE_EXEC_RESTRICT_FILE | 1u << SECURE_EXEC_DENY_INTERACTIVE)
#define SECURE_ORDER_BITS                                                                                             \
	(1u << SECURE_NOROOT | 1u << SECURE_NO_SETUID_FIXUP | 1u << SECURE_KEEP_CAPS | 1u << SECURE_NO_CAP_AMBIENT_RAISE)
#define SECURE_LOCKS ((SECURE_ORDER_BITS | SECURE_FREE_BITS) << 1)
#define SECURE_KNOWN (SECURE_ORDER_BITS | SECURE_FREE_BITS | SECURE_LOCKS)
#define AUXV_ROOM 56 /* words: AT_VECTOR_SIZE of Linux 6.18 */

static long set_name(struct task *t, gva_t name)
{
	char buf[TASK_COMM_LEN] = "";
	ssize_t n = copy_string_from_guest(t->mm, buf, name, TASK_COMM_LEN);

	if (n == -EFAULT)
		return n;
	buf[TASK_COMM_LEN - 1] = '\0'; /* longer ones are cut */
	task_set_comm(t, buf);
	return 0;
}

static long get_name(struct task *t, gva_t name)
{
	char buf[TASK_COMM_LEN];

	task_comm(t, buf);
	return copy_to_guest(t->mm, name, buf, sizeof(buf));
}

/* All that mm->saved_auxv has room for, with zeroes behind the end. */
static long get_auxv(struct task *t, gva_t at, uint64_t len, uint64_t a4, uint64_t a5)
{
	uint64_t all[AUXV_ROOM] = { 0 };

	if (a4 | a5)
		return -EINVAL;
	mutex_lock(&t->proc->lock);
	memcpy(all, t->proc->auxv, MIN(t->proc->auxv_len, sizeof(all)));
	mutex_unlock(&t->proc->lock);
	return copy_to_guest(t->mm, at, all, MIN(len, sizeof(all))) < 0 ? -EFAULT : (long)sizeof(all);
}

static long set_pdeathsig(struct task *t, uint64_t sig)
{
	if (sig > NSIG_LINUX)
		return -EINVAL;
	t->pdeath_signal = (int)sig;
	return 0;
}

static long cap_ambient(struct task *t, uint64_t op, uint64_t cap, uint64_t a4, uint64_t a5)
{
	const struct cred *c = t->fsc.cred;
	struct cred *n;

	if (op == PR_CAP_AMBIENT_CLEAR_ALL ? cap | a4 | a5 : (a4 | a5) || cap > CAP_LAST_CAP)
		return -EINVAL;
	if (op == PR_CAP_AMBIENT_IS_SET)
		return c->cap_ambient >> cap & 1;
	if (op == PR_CAP_AMBIENT_RAISE && (!(c->cap_permitted & c->cap_inheritable & (uint64_t)1 << cap) ||
					   (c->securebits & 1u << SECURE_NO_CAP_AMBIENT_RAISE)))
		return -EPERM;
	n = cred_dup(c);
	if (!n)
		return -ENOMEM;
	switch (op) {
	case PR_CAP_AMBIENT_CLEAR_ALL: n->cap_ambient = 0; break;
	case PR_CAP_AMBIENT_RAISE: n->cap_ambient |= (uint64_t)1 << cap; break;
	case PR_CAP_AMBIENT_LOWER: n->cap_ambient &= ~((uint64_t)1 << cap); break;
	default: cred_put(n); return -EINVAL;
	}
	task_set_cred(t, n);
	return 0;
}

static long capbset_drop(struct task *t, uint64_t cap)
{
	struct cred *n;

	if (!cred_capable(t->fsc.cred, CAP_SETPCAP))
		return -EPERM;
	if (cap > CAP_LAST_CAP)
		return -EINVAL;
	n = cred_dup(t->fsc.cred);
	if (!n)
		return -ENOMEM;
	n->cap_bounding &= ~((uint64_t)1 << cap);
	task_set_cred(t, n);
	return 0;
}

static long set_securebits(struct task *t, uint64_t bits)
{
	const struct cred *c = t->fsc.cred;
	struct cred *n;

	/* locks stay, locked bits stay, only known bits: cap_task_prctl() */
	if (((c->securebits & SECURE_LOCKS) >> 1 & (c->securebits ^ bits)) || (c->securebits & SECURE_LOCKS & ~bits) ||
	    (bits & ~(uint64_t)SECURE_KNOWN))
		return -EPERM;
	/* Without the capability: a change, and of these bits alone. */
	if (!cred_capable(c, CAP_SETPCAP) &&
	    (bits == c->securebits || ((c->securebits ^ bits) & ~(uint64_t)(SECURE_FREE_BITS | SECURE_FREE_BITS << 1))))
		return -EPERM;
	n = cred_dup(c);
	if (!n)
		return -ENOMEM;
	n->securebits = (unsigned)bits;
	task_set_cred(t, n);
	return 0;
}

static long keep_caps(struct task *t, uint64_t on)
{
	struct cred *n;

	if (on > 1)
		return -EINVAL;
	if (t->fsc.cred->securebits & 1u << SECURE_KEEP_CAPS_LOCKED)
		return -EPERM;
	n = cred_dup(t->fsc.cred);
	if (!n)
		return -ENOMEM;
	n->securebits = (n->securebits & ~(1u << SECURE_KEEP_CAPS)) | (unsigned)on << SECURE_KEEP_CAPS;
	task_set_cred(t, n);
	return 0;
}

static long no_new_privs(struct task *t, int op, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	if (op == PR_GET_NO_NEW_PRIVS)
		return a2 | a3 | a4 | a5 ? -EINVAL : t->no_new_privs;
	if (a2 != 1 || a3 || a4 || a5)
		return -EINVAL;
	t->no_new_privs = true;
	return 0;
}

static long set_mce_policy(struct task *t, uint64_t what, uint64_t policy, uint64_t a4, uint64_t a5)
{
	if (a4 | a5 || (what == PR_MCE_KILL_CLEAR ? policy != 0 : what != PR_MCE_KILL_SET || policy > PR_MCE_KILL_DEFAULT))
		return -EINVAL;
	t->mce_policy = what == PR_MCE_KILL_SET ? (int)policy : PR_MCE_KILL_DEFAULT;
	return 0;
}

/* Settings of whose effect this machine has none: the answers of Linux without the feature. */
static long prctl_rest(int op, uint64_t a3, uint64_t a4, uint64_t a5)
{
	switch (op) {
	case PR_SET_MM:
		return -EPERM;
	case PR_MPX_ENABLE_MANAGEMENT:
	case PR_MPX_DISABLE_MANAGEMENT:
		return -EINVAL;
	case PR_GET_SPECULATION_CTRL:
		return a3 || a4 || a5 ? -EINVAL : -ENODEV;
	case PR_SET_SPECULATION_CTRL:
		return a4 || a5 ? -EINVAL : -ENODEV;
	default:
		log_once("prctl %d is not supported", op);
		return -EINVAL;
	}
}

long task_prctl(struct task *t, int op, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	switch (op) {
	case PR_SET_NAME: return set_name(t, a2);
	case PR_GET_NAME: return get_name(t, a2);
	case PR_SET_PDEATHSIG: return set_pdeathsig(t, a2);
	case PR_GET_PDEATHSIG: return put_guest_u32(t->mm, a2, (uint32_t)t->pdeath_signal);
	case PR_GET_DUMPABLE: return t->proc->dumpable;
	case PR_SET_DUMPABLE:
		if (a2 > 1)
			return -EINVAL;
		t->proc->dumpable = a2;
		return 0;
	case PR_GET_KEEPCAPS: return !!(t->fsc.cred->securebits & 1u << SECURE_KEEP_CAPS);
	case PR_SET_KEEPCAPS: return keep_caps(t, a2);
	case PR_GET_SECUREBITS: return t->fsc.cred->securebits;
	case PR_SET_SECUREBITS: return set_securebits(t, a2);
	case PR_CAPBSET_READ:
		return a2 > CAP_LAST_CAP ? -EINVAL : (long)(t->fsc.cred->cap_bounding >> a2 & 1);
	case PR_CAPBSET_DROP: return capbset_drop(t, a2);
	case PR_CAP_AMBIENT: return cap_ambient(t, a2, a3, a4, a5);
	case PR_SET_NO_NEW_PRIVS:
	case PR_GET_NO_NEW_PRIVS: return no_new_privs(t, op, a2, a3, a4, a5);
	case PR_GET_SECCOMP: return atomic_load(&t->seccomp.mode);
	case PR_GET_TIMERSLACK: return (long)t->timer_slack;
	case PR_SET_TIMERSLACK:
		t->timer_slack = (long)a2 <= 0 ? t->default_slack : a2;
		return 0;
	case PR_SET_CHILD_SUBREAPER:
		t->proc->child_subreaper = a2 != 0;
		return 0;
	case PR_GET_CHILD_SUBREAPER: return put_guest_u32(t->mm, a2, t->proc->child_subreaper);
	case PR_GET_TSC: return put_guest_u32(t->mm, a2, PR_TSC_ENABLE);
	case PR_SET_TSC: return a2 == PR_TSC_ENABLE ? 0 : -EINVAL;
	case PR_GET_TIMING: return PR_TIMING_STATISTICAL;
	case PR_SET_TIMING: return a2 == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
	case PR_GET_THP_DISABLE: return a2 | a3 | a4 | a5 ? -EINVAL : t->proc->thp_disable;
	case PR_SET_THP_DISABLE:
		if (a3 | a4 | a5)
			return -EINVAL;
		t->proc->thp_disable = a2 != 0;
		return 0;
	case PR_GET_TID_ADDRESS: return put_guest_u64(t->mm, a2, t->clear_child_tid);
	case PR_TASK_PERF_EVENTS_DISABLE:
	case PR_TASK_PERF_EVENTS_ENABLE: return 0; /* of all events there are, which is none */
	case PR_MCE_KILL: return set_mce_policy(t, a2, a3, a4, a5);
	case PR_MCE_KILL_GET: return a2 | a3 | a4 | a5 ? -EINVAL : t->mce_policy;
	case PR_GET_AUXV: return get_auxv(t, a2, a3, a4, a5);
	case PR_SET_VMA: return -EINVAL; /* as a kernel without CONFIG_ANON_VMA_NAME */
	default: return prctl_rest(op, a3, a4, a5);
	}
}

long task_arch_prctl(struct task *t, int op, uint64_t addr)
{
	switch (op) {
	case ARCH_SET_FS:
		if (addr >= USER_END)
			return -EPERM;
		t->regs.fs_base = addr;
		return 0;
	case ARCH_SET_GS:
		if (addr >= USER_END)
			return -EPERM;
		t->regs.gs_base = addr;
		return 0;
	case ARCH_GET_FS: return put_guest_u64(t->mm, addr, t->regs.fs_base);
	case ARCH_GET_GS: return put_guest_u64(t->mm, addr, t->regs.gs_base);
	case ARCH_GET_CPUID: return 1; /* CPUID works */
	case ARCH_SET_CPUID: return -ENODEV; /* as a processor that cannot fault on it */
	case ARCH_GET_XCOMP_SUPP:
	case ARCH_GET_XCOMP_PERM: return put_guest_u64(t->mm, addr, t->env->platform->xfeatures);
	default: return -EINVAL;
	}
}
