/* SPDX-License-Identifier: MIT */
/*
 * Robust futexes: when a thread ends, the locks on its list are marked FUTEX_OWNER_DIED and one waiter
 * is woken. The list lives in guest memory, is read once and bounded. kernel/futex/core.c, man 2 set_robust_list.
 */
#include <linux/futex.h>

#include "emul/base/err.h"
#include "emul/proc/task.h"

/* One lock. pi: the low bit of the list pointer says a PI futex. pending: it may not be ours yet. */
static int owner_died(struct task *t, gva_t uaddr, bool pi, bool pending)
{
	uint32_t word, seen;

	if (uaddr & 3)
		return -EFAULT;
	if (get_guest_u32(t->mm, uaddr, &word) < 0)
		return -EFAULT;
	for (;; word = seen) {
		/* A waker that died between unlocking and waking: its wake-up is owed. */
		if (pending && !pi && !word) {
			futex_wake_simple(t->mm, uaddr, 1, true);
			futex_wake_simple(t->mm, uaddr, 1, false);
			return 0;
		}
		if ((pid_t)(word & FUTEX_TID_MASK) != t->tid)
			return 0;
		if (cmpxchg_guest_u32(t->mm, uaddr, word, (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen) < 0)
			return -EFAULT;
		if (seen == word)
			break;
	}
	if (!pi && (word & FUTEX_WAITERS)) { /* private and shared sleepers are named differently */
		if (futex_wake_simple(t->mm, uaddr, 1, true) <= 0)
			futex_wake_simple(t->mm, uaddr, 1, false);
	}
	return 0;
}

static int fetch_entry(struct mm *mm, gva_t at, gva_t *ret, bool *ret_pi)
{
	uint64_t v;
	int r = get_guest_u64(mm, at, &v);

	*ret = v & ~(uint64_t)1;
	*ret_pi = v & 1;
	return r;
}

void robust_list_exit(struct task *t)
{
	gva_t head = t->robust_list, entry, next = 0, pending;
	bool pi, next_pi = false, pending_pi;
	uint64_t offset;

	if (!head || !t->mm)
		return;
	t->robust_list = 0;
	/* struct robust_list_head: list.next, futex_offset, list_op_pending */
	if (fetch_entry(t->mm, head, &entry, &pi) < 0 || get_guest_u64(t->mm, head + 8, &offset) < 0 ||
	    fetch_entry(t->mm, head + 16, &pending, &pending_pi) < 0)
		return;
	for (int left = ROBUST_LIST_LIMIT; entry != head && left > 0; left--) {
		bool more = fetch_entry(t->mm, entry, &next, &next_pi) == 0;

		if (entry != pending && owner_died(t, entry + offset, pi, false) < 0)
			return;
		if (!more)
			return;
		entry = next;
		pi = next_pi;
	}
	if (pending)
		owner_died(t, pending + offset, pending_pi, true);
}
