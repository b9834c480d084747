/* SPDX-License-Identifier: MIT */
/* Who a task is: user and group ids, groups, capabilities. kernel/sys.c, groups.c, capability.c. */
#include <linux/capability.h>

#include "emul/syscalls/handler.h"

#define GROUPS_MAX 65536u
#define CAPS_VALID (((uint64_t)1 << (CAP_LAST_CAP + 1)) - 1)

static const struct cred *cred_of(struct task *t)
{
	return t->fsc.cred;
}

/* --- ids ------------------------------------------------------------------------------------------------------ */

long sys_getuid(struct task *t, const struct sysargs *a)
{
	return cred_of(t)->uid;
}

long sys_geteuid(struct task *t, const struct sysargs *a)
{
	return cred_of(t)->euid;
}

long sys_getgid(struct task *t, const struct sysargs *a)
{
	return cred_of(t)->gid;
}

long sys_getegid(struct task *t, const struct sysargs *a)
{
	return cred_of(t)->egid;
}

long sys_setuid(struct task *t, const struct sysargs *a)
{
	return cred_setuid(t, arg_uint(a, 0));
}

long sys_setgid(struct task *t, const struct sysargs *a)
{
	return cred_setgid(t, arg_uint(a, 0));
}

long sys_setreuid(struct task *t, const struct sysargs *a)
{
	return cred_setreuid(t, arg_uint(a, 0), arg_uint(a, 1));
}

long sys_setregid(struct task *t, const struct sysargs *a)
{
	return cred_setregid(t, arg_uint(a, 0), arg_uint(a, 1));
}

long sys_setresuid(struct task *t, const struct sysargs *a)
{
	return cred_setresuid(t, arg_uint(a, 0), arg_uint(a, 1), arg_uint(a, 2));
}

long sys_setresgid(struct task *t, const struct sysargs *a)
{
	return cred_setresgid(t, arg_uint(a, 0), arg_uint(a, 1), arg_uint(a, 2));
}

long sys_setfsuid(struct task *t, const struct sysargs *a)
{
	return cred_setfsuid(t, arg_uint(a, 0));
}

long sys_setfsgid(struct task *t, const struct sysargs *a)
{
	return cred_setfsgid(t, arg_uint(a, 0));
}

static long put_three(struct task *t, const struct sysargs *a, const uint32_t id[3])
{
	for (int i = 0; i < 3; i++)
		if (put_guest_u32(t->mm, arg_gva(a, i), id[i]) < 0)
			return -EFAULT;
	return 0;
}

long sys_getresuid(struct task *t, const struct sysargs *a)
{
	const struct cred *c = cred_of(t);

	return put_three(t, a, (const uint32_t[]){ c->uid, c->euid, c->suid });
}

long sys_getresgid(struct task *t, const struct sysargs *a)
{
	const struct cred *c = cred_of(t);

	return put_three(t, a, (const uint32_t[]){ c->gid, c->egid, c->sgid });
}

/* --- groups ---------------------------------------------------------------------------------------------------- */

long sys_getgroups(struct task *t, const struct sysargs *a)
{
	const struct cred *c = cred_of(t);
	int size = arg_int(a, 0);

	if (size < 0)
		return -EINVAL;
	if (size == 0)
		return c->ngroups;
	if ((unsigned)size < c->ngroups)
		return -EINVAL;
	if (copy_to_guest(t->mm, arg_gva(a, 1), c->groups, c->ngroups * sizeof(gid_t)) < 0)
		return -EFAULT;
	return c->ngroups;
}

long sys_setgroups(struct task *t, const struct sysargs *a)
{
	AUTO_FREE gid_t *groups = NULL;
	unsigned n = arg_uint(a, 0);

	if (!cred_capable(cred_of(t), CAP_SETGID))
		return -EPERM;
	if (n > GROUPS_MAX)
		return -EINVAL;
	groups = calloc(MAX(n, 1u), sizeof(gid_t));
	if (!groups)
		return -ENOMEM;
	if (copy_from_guest(t->mm, groups, arg_gva(a, 1), n * sizeof(gid_t)) < 0)
		return -EFAULT;
	for (unsigned i = 0; i < n; i++)
		if (groups[i] == (gid_t)-1)
			return -EINVAL;
	return cred_setgroups(t, groups, n);
}

/* --- capabilities -------------------------------------------------------------------------------------------------- */

/* cap_validate_magic(): how many halves this version has. -EINVAL: the version we like is written back. */
static long check_version(struct task *t, gva_t header, unsigned *ret_halves)
{
	uint32_t version;

	if (get_guest_u32(t->mm, header, &version) < 0)
		return -EFAULT;
	switch (version) {
	case _LINUX_CAPABILITY_VERSION_1:
		*ret_halves = 1;
		return 0;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3:
		*ret_halves = 2;
		return 0;
	default:
		return put_guest_u32(t->mm, header, _LINUX_CAPABILITY_VERSION_3) < 0 ? -EFAULT : -EINVAL;
	}
}

static long read_pid(struct task *t, gva_t header, pid_t *ret)
{
	uint32_t pid;

	if (get_guest_u32(t->mm, header + sizeof(uint32_t), &pid) < 0)
		return -EFAULT;
	*ret = (pid_t)pid;
	return 0;
}

long sys_capget(struct task *t, const struct sysargs *a)
{
	struct __user_cap_data_struct d[2];
	AUTO(task) target = NULL;
	AUTO(cred) c = NULL;
	unsigned halves;
	pid_t pid;
	long r = check_version(t, arg_gva(a, 0), &halves);

	if (!arg_gva(a, 1) || r < 0)
		return !arg_gva(a, 1) && r == -EINVAL ? 0 : r; /* asking for the version */
	r = read_pid(t, arg_gva(a, 0), &pid);
	if (r < 0)
		return r;
	if (pid < 0)
		return -EINVAL;
	target = pid ? task_find(pid) : task_get(t);
	c = target ? task_get_cred(target) : NULL;
	if (!c)
		return -ESRCH;
	for (unsigned i = 0; i < 2; i++)
		d[i] = (struct __user_cap_data_struct){ .effective = (uint32_t)(c->cap_effective >> 32 * i),
							.permitted = (uint32_t)(c->cap_permitted >> 32 * i),
							.inheritable = (uint32_t)(c->cap_inheritable >> 32 * i) };
	return copy_to_guest(t->mm, arg_gva(a, 1), d, halves * sizeof(d[0]));
}

long sys_capset(struct task *t, const struct sysargs *a)
{
	struct __user_cap_data_struct d[2] = { { 0, 0, 0 }, { 0, 0, 0 } };
	uint64_t e = 0, p = 0, i = 0;
	unsigned halves = 0;
	pid_t pid = 0;
	long r = check_version(t, arg_gva(a, 0), &halves);

	if (r == 0)
		r = read_pid(t, arg_gva(a, 0), &pid);
	if (r < 0)
		return r;
	if (pid && pid != t->tid)
		return -EPERM;
	if (copy_from_guest(t->mm, d, arg_gva(a, 1), halves * sizeof(d[0])) < 0)
		return -EFAULT;
	for (unsigned h = 0; h < 2; h++) {
		e |= (uint64_t)d[h].effective << 32 * h;
		p |= (uint64_t)d[h].permitted << 32 * h;
		i |= (uint64_t)d[h].inheritable << 32 * h;
	}
	return cred_capset(t, p & CAPS_VALID, e & CAPS_VALID, i & CAPS_VALID);
}
