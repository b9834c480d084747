/* SPDX-License-Identifier: MIT */
/* Settings of a task: prctl(2), arch_prctl(2), personality(2), seccomp(2). */
#include <linux/prctl.h>

#include "emul/syscalls/handler.h"

#define PERSONALITY_ASK 0xffffffffu

long sys_arch_prctl(struct task *t, const struct sysargs *a)
{
	return task_arch_prctl(t, arg_int(a, 0), arg_u64(a, 1));
}

long sys_personality(struct task *t, const struct sysargs *a)
{
	unsigned old = t->proc->personality;

	if (arg_uint(a, 0) != PERSONALITY_ASK)
		t->proc->personality = arg_uint(a, 0);
	return old;
}

/* --- seccomp --------------------------------------------------------------------------------------------------- */

/* seccomp_prepare_user_filter(): the program, copied in. *ret is the caller's to free. */
static long read_filter(struct task *t, gva_t fprog, struct sock_filter **ret, unsigned *ret_len)
{
	struct { uint16_t len; uint64_t filter; } prog;
	struct sock_filter *insn;

	if (guest_read(t->mm, &prog, fprog) < 0)
		return -EFAULT;
	if (!prog.len || prog.len > BPF_MAXINSNS)
		return -EINVAL;
	if (!seccomp_may_install(t))
		return -EACCES;
	insn = malloc(prog.len * sizeof(*insn));
	if (!insn)
		return -ENOMEM;
	if (copy_from_guest(t->mm, insn, prog.filter, prog.len * sizeof(*insn)) < 0) {
		free(insn);
		return -EFAULT;
	}
	*ret = insn;
	*ret_len = prog.len;
	return 0;
}

static long set_filter(struct task *t, unsigned flags, gva_t fprog)
{
	AUTO_FREE struct sock_filter *insn = NULL;
	unsigned len;
	long r;

	if (!seccomp_knows_flags(flags))
		return -EINVAL;
	r = read_filter(t, fprog, &insn, &len);
	return r < 0 ? r : seccomp_set_filter(t, flags, insn, len);
}

static long action_avail(struct task *t, gva_t arg)
{
	uint32_t action;

	if (get_guest_u32(t->mm, arg, &action) < 0)
		return -EFAULT;
	return seccomp_knows_action(action) ? 0 : -EOPNOTSUPP;
}

static long notif_sizes(struct task *t, gva_t to)
{
	const struct seccomp_notif_sizes s = { sizeof(struct seccomp_notif), sizeof(struct seccomp_notif_resp),
					       sizeof(struct seccomp_data) };

	return guest_write(t->mm, to, &s);
}

long sys_seccomp(struct task *t, const struct sysargs *a)
{
	unsigned flags = arg_uint(a, 1);
	gva_t arg = arg_gva(a, 2);

	switch (arg_uint(a, 0)) {
	case SECCOMP_SET_MODE_STRICT: return flags || arg ? -EINVAL : seccomp_set_strict(t);
	case SECCOMP_SET_MODE_FILTER: return set_filter(t, flags, arg);
	case SECCOMP_GET_ACTION_AVAIL: return flags ? -EINVAL : action_avail(t, arg);
	case SECCOMP_GET_NOTIF_SIZES: return flags ? -EINVAL : notif_sizes(t, arg);
	default: return -EINVAL;
	}
}

/* prctl(PR_SET_SECCOMP) */
static long set_seccomp(struct task *t, uint64_t mode, gva_t fprog)
{
	switch (mode) {
	case SECCOMP_MODE_STRICT: return seccomp_set_strict(t);
	case SECCOMP_MODE_FILTER: return set_filter(t, 0, fprog);
	default: return -EINVAL;
	}
}

long sys_prctl(struct task *t, const struct sysargs *a)
{
	if (arg_int(a, 0) == PR_SET_SECCOMP)
		return set_seccomp(t, arg_u64(a, 1), arg_gva(a, 2));
	return task_prctl(t, arg_int(a, 0), arg_u64(a, 1), arg_u64(a, 2), arg_u64(a, 3), arg_u64(a, 4));
}
