/* SPDX-License-Identifier: MIT */
/* What a futex word is called: kernel/futex/core.c, get_futex_key(). */
#include "emul/mm/vma.h"

#include "emul/base/err.h"

#define KEY_SHARED 1 /* words are aligned: the low bit keeps shared names of private memory from private ones */

static int shared_key(struct mm *mm, gva_t addr, struct futex_key *ret)
{
	struct vma *v;
	int r = 0;

	mm_lock_read(mm);
	v = vma_lookup(mm, addr);
	if (!v || !(prot_effective(v->prot) & PROT_READ))
		r = -EFAULT;
	else if (v->obj && v->shared)
		memobj_futex_key(v->obj, vma_off(v, addr), ret);
	else
		*ret = (struct futex_key){ (uintptr_t)mm, addr | KEY_SHARED };
	mm_unlock(mm);
	return r;
}

int mm_futex_key(struct mm *mm, gva_t addr, bool shared, struct futex_key *ret)
{
	if (addr & 3)
		return -EINVAL;
	if (addr >= USER_END)
		return -EFAULT;
	if (shared)
		return shared_key(mm, addr, ret);
	*ret = (struct futex_key){ (uintptr_t)mm, addr };
	return 0;
}
