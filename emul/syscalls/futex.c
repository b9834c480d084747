/* SPDX-License-Identifier: MIT */
/* User-space locks: futex(2), futex_waitv(2), robust lists, the word that exit clears. kernel/futex/syscalls.c. */
#include <linux/futex.h>

#include "emul/syscalls/handler.h"

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif
#define ROBUST_HEAD_SIZE 24 /* struct robust_list_head */
#define WAITV_MAX 128

static bool has_timeout(int cmd)
{
	switch (cmd) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
	case FUTEX_WAIT_REQUEUE_PI:
		return true;
	default:
		return false;
	}
}

long sys_futex(struct task *t, const struct sysargs *a)
{
	gva_t at = arg_gva(a, 3);
	int op = arg_int(a, 1);
	struct timespec ts;

	if (!at || !has_timeout(op & FUTEX_CMD_MASK)) /* a count then: val2 */
		return futex_call(t, arg_gva(a, 0), op, arg_uint(a, 2), NULL, arg_gva(a, 4), (uint32_t)at,
				  arg_uint(a, 5));
	if (guest_read(t->mm, &ts, at) < 0)
		return -EFAULT;
	if (!timespec_ok(&ts))
		return -EINVAL;
	return futex_call(t, arg_gva(a, 0), op, arg_uint(a, 2), &ts, arg_gva(a, 4), 0, arg_uint(a, 5));
}

/* One element after the other, as futex_parse_waitv(): the first bad one says what is wrong. */
static int read_waiters(struct task *t, gva_t at, unsigned n, struct futex_waitv_item *items)
{
	struct futex_waitv v;

	for (unsigned i = 0; i < n; i++) {
		if (guest_read(t->mm, &v, at + i * sizeof(v)) < 0)
			return -EFAULT;
		if ((v.flags & ~(uint32_t)(FUTEX_32 | FUTEX_PRIVATE_FLAG)) || v.__reserved || !(v.flags & FUTEX_32))
			return -EINVAL;
		items[i] = (struct futex_waitv_item){ .val = v.val, .uaddr = v.uaddr, .flags = v.flags };
	}
	return 0;
}

long sys_futex_waitv(struct task *t, const struct sysargs *a)
{
	AUTO_FREE struct futex_waitv_item *items = NULL;
	unsigned n = arg_uint(a, 1);
	int clock = arg_int(a, 4), r;
	struct deadline d = FOREVER;

	if (arg_uint(a, 2))
		return -EINVAL;
	if (!n || n > WAITV_MAX || !arg_gva(a, 0))
		return -EINVAL;
	if (arg_gva(a, 3)) {
		if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME)
			return -EINVAL;
		r = arg_timeout(t, arg_gva(a, 3), clock, true, &d);
		if (r < 0)
			return r;
	}
	items = calloc(n, sizeof(*items));
	if (!items)
		return -ENOMEM;
	r = read_waiters(t, arg_gva(a, 0), n, items);
	return r < 0 ? r : futex_waitv_call(t, items, n, &d);
}

long sys_set_robust_list(struct task *t, const struct sysargs *a)
{
	if (arg_size(a, 1) != ROBUST_HEAD_SIZE)
		return -EINVAL;
	t->robust_list = arg_gva(a, 0);
	return 0;
}

long sys_get_robust_list(struct task *t, const struct sysargs *a)
{
	AUTO(task) target = arg_int(a, 0) ? task_find(arg_int(a, 0)) : task_get(t);

	if (!target)
		return -ESRCH;
	if (may_inspect(t, target) < 0)
		return -EPERM;
	if (put_guest_u64(t->mm, arg_gva(a, 2), ROBUST_HEAD_SIZE) < 0)
		return -EFAULT;
	return put_guest_u64(t->mm, arg_gva(a, 1), target->robust_list);
}

long sys_set_tid_address(struct task *t, const struct sysargs *a)
{
	t->clear_child_tid = arg_gva(a, 0);
	return t->tid;
}
