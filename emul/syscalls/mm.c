/* SPDX-License-Identifier: MIT */
/*
 * Memory: mmap(2) and what belongs to it; the policies of a machine with one node; membarrier(2).
 * mm/mmap.c, mm/mempolicy.c, kernel/sched/membarrier.c for the order of checks.
 */
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <linux/mempolicy.h>
#include <sys/statvfs.h>
#include <sys/syscall.h> /* host syscalls: membarrier */

#include "emul/mm/memobj.h"
#include "emul/syscalls/handler.h"
#include "emul/vfs/inode.h"

#define PROT_GROWS (PROT_GROWSDOWN | PROT_GROWSUP)
#define PROT_KNOWN (PROT_READ | PROT_WRITE | PROT_EXEC | 0x8 /* PROT_SEM */)
#define MASK_BITS ((uint64_t)PAGE_SIZE * 8) /* the longest node mask */
#define MAX_NUMNODES 1024
#ifndef MPOL_WEIGHTED_INTERLEAVE
#define MPOL_WEIGHTED_INTERLEAVE 6
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif
/* Every kind of map that MAP_SHARED_VALIDATE was there for before it came (LEGACY_MAP_MASK). */
#define MAP_LEGACY                                                                                          \
	(MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE | 0x4000000 /* UNINITIALIZED */ | \
	 MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB |  \
	 MAP_32BIT | 0x80 /* ABOVE4G */ | 21 << 26 | 30 << 26)

/* --- mmap ------------------------------------------------------------------------------------------ */

/* What of a file's map does not depend on where it goes: do_mmap(), file_map_prot_check(). */
static int check_file_map(struct file *f, int prot, int flags, int *ret_maxprot)
{
	bool noexec = f->path.mnt && (f->path.mnt->flags & ST_NOEXEC);
	int type = flags & MAP_TYPE;

	if (type == MAP_SHARED_VALIDATE && (flags & ~MAP_LEGACY))
		return -EOPNOTSUPP;
	if (type != MAP_SHARED && type != MAP_SHARED_VALIDATE && type != MAP_PRIVATE)
		return -EINVAL;
	if (type != MAP_PRIVATE && (prot & PROT_WRITE) && !file_writable(f))
		return -EACCES;
	if (!file_readable(f))
		return -EACCES;
	if (noexec && (prot & PROT_EXEC))
		return -EPERM;
	*ret_maxprot = PROT_READ | PROT_WRITE | PROT_EXEC;
	if (type != MAP_PRIVATE && !file_writable(f))
		*ret_maxprot &= ~PROT_WRITE;
	if (noexec)
		*ret_maxprot &= ~PROT_EXEC;
	return 0;
}

static long map_file(struct task *t, const struct sysargs *a, int prot)
{
	uint64_t len = arg_size(a, 1), off = arg_u64(a, 5);
	int flags = arg_int(a, 3), maxprot;
	AUTO(file) f = fd_file(t, arg_int(a, 4));
	AUTO(memobj) obj = NULL;
	int r;

	if (!f)
		return -EBADF;
	if (flags & MAP_HUGETLB)
		return -EINVAL;
	if (!len)
		return -EINVAL;
	if (!page_up(len) || page_up(len) > USER_END) /* no room comes before what the file says */
		return -ENOMEM;
	if (off > INT64_MAX || page_up(len) > (uint64_t)INT64_MAX - off)
		return -EOVERFLOW;
	r = check_file_map(f, prot, flags, &maxprot);
	if (r < 0)
		return r;
	if (!f->ops->mmap)
		return -ENODEV;
	r = f->ops->mmap(f, (flags & MAP_TYPE) != MAP_PRIVATE, &obj);
	if (r < 0)
		return r;
	return mm_mmap(t->mm, arg_gva(a, 0), len, prot, flags, obj, off, maxprot);
}

#define READ_IMPLIES_EXEC 0x0400000

long sys_mmap(struct task *t, const struct sysargs *a)
{
	int prot = arg_int(a, 2);

	if (arg_u64(a, 5) & ~PAGE_MASK)
		return -EINVAL;
	if ((prot & PROT_READ) && (t->proc->personality & READ_IMPLIES_EXEC))
		prot |= PROT_EXEC;
	if (!(arg_int(a, 3) & MAP_ANONYMOUS))
		return map_file(t, a, prot);
	return mm_mmap(t->mm, arg_gva(a, 0), arg_size(a, 1), prot, arg_int(a, 3), NULL, arg_u64(a, 5),
		       PROT_READ | PROT_WRITE | PROT_EXEC);
}

long sys_munmap(struct task *t, const struct sysargs *a)
{
	return mm_munmap(t->mm, arg_gva(a, 0), arg_size(a, 1));
}

static long protect(struct task *t, gva_t addr, size_t len, unsigned long prot)
{
	unsigned long grows = prot & PROT_GROWS;

	/* do_mprotect_pkey(): both directions, then the address, then the bits */
	if (grows == PROT_GROWS)
		return -EINVAL;
	if (addr & ~PAGE_MASK)
		return -EINVAL;
	if (!len)
		return 0;
	len = page_up(len);
	if (addr + len <= addr)
		return -ENOMEM;
	if (prot & ~(unsigned long)(PROT_KNOWN | PROT_GROWS))
		return -EINVAL;
	if ((prot & PROT_READ) && (t->proc->personality & READ_IMPLIES_EXEC))
		prot |= PROT_EXEC;
	return mm_mprotect(t->mm, addr, len, (int)prot);
}

long sys_mprotect(struct task *t, const struct sysargs *a)
{
	return protect(t, arg_gva(a, 0), arg_size(a, 1), arg_u64(a, 2));
}

long sys_mremap(struct task *t, const struct sysargs *a)
{
	uint64_t flags = arg_u64(a, 3);

	if (flags & ~(uint64_t)(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP))
		return -EINVAL;
	return mm_mremap(t->mm, arg_gva(a, 0), arg_size(a, 1), arg_size(a, 2), (int)flags, arg_gva(a, 4));
}

long sys_remap_file_pages(struct task *t, const struct sysargs *a)
{
	return arg_u64(a, 2) ? -EINVAL : mm_remap_file_pages(t->mm, arg_gva(a, 0), arg_size(a, 1), arg_u64(a, 3));
}

long sys_brk(struct task *t, const struct sysargs *a)
{
	return mm_brk(t->mm, arg_gva(a, 0));
}

long sys_madvise(struct task *t, const struct sysargs *a)
{
	return mm_madvise(t->mm, arg_gva(a, 0), arg_size(a, 1), arg_int(a, 2));
}

long sys_mseal(struct task *t, const struct sysargs *a)
{
	return arg_u64(a, 2) ? -EINVAL : mm_mseal(t->mm, arg_gva(a, 0), arg_size(a, 1));
}

long sys_msync(struct task *t, const struct sysargs *a)
{
	return mm_msync(t->mm, arg_gva(a, 0), arg_size(a, 1), arg_int(a, 2));
}

long sys_mincore(struct task *t, const struct sysargs *a)
{
	return mm_mincore(t->mm, arg_gva(a, 0), arg_size(a, 1), arg_gva(a, 2));
}

/* --- locking ---------------------------------------------------------------------------------------- */

long sys_mlock(struct task *t, const struct sysargs *a)
{
	return mm_mlock(t->mm, arg_gva(a, 0), arg_size(a, 1), 0);
}

long sys_mlock2(struct task *t, const struct sysargs *a)
{
	int flags = arg_int(a, 2);

	if (flags & ~MLOCK_ONFAULT)
		return -EINVAL;
	return mm_mlock(t->mm, arg_gva(a, 0), arg_size(a, 1), flags);
}

long sys_munlock(struct task *t, const struct sysargs *a)
{
	return mm_munlock(t->mm, arg_gva(a, 0), arg_size(a, 1));
}

long sys_mlockall(struct task *t, const struct sysargs *a)
{
	int flags = arg_int(a, 0);

	if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
		return -EINVAL;
	return mm_mlockall(t->mm, flags);
}

long sys_munlockall(struct task *t, const struct sysargs *a)
{
	return mm_munlockall(t->mm);
}

/* --- protection keys: as on a CPU without them ---------------------------------------------------------- */

long sys_pkey_mprotect(struct task *t, const struct sysargs *a)
{
	if (arg_int(a, 3) != -1 && arg_int(a, 3) != 0)
		return -EINVAL;
	return protect(t, arg_gva(a, 0), arg_size(a, 1), arg_u64(a, 2));
}

long sys_pkey_alloc(struct task *t, const struct sysargs *a)
{
	if (arg_u64(a, 0) || (arg_u64(a, 1) & ~(uint64_t)(PKEY_DISABLE_ACCESS | PKEY_DISABLE_WRITE)))
		return -EINVAL;
	return -ENOSPC;
}

long sys_pkey_free(struct task *t, const struct sysargs *a)
{
	return -EINVAL;
}

/* --- memory policies of a machine with node 0 only --------------------------------------------------------- */

struct nodes { bool any, first; };

/* get_nodes(): a mask of maxnode - 1 bits. Nodes that there are not are ignored, if Linux could have them. */
static int read_nodes(struct task *t, gva_t mask, uint64_t maxnode, struct nodes *ret)
{
	uint64_t bits = maxnode - 1, word;

	*ret = (struct nodes){ false, false };
	if (bits == 0 || !mask)
		return 0;
	if (bits > MASK_BITS)
		return -EINVAL;
	for (uint64_t i = 0; i < bits; i += 64) {
		if (get_guest_u64(t->mm, mask + i / 8, &word) < 0)
			return -EFAULT;
		if (bits - i < 64)
			word &= ((uint64_t)1 << (bits - i)) - 1;
		if (word && i >= MAX_NUMNODES)
			return -EINVAL;
		ret->any |= word != 0;
		ret->first |= i == 0 && (word & 1);
	}
	return 0;
}

/* sanitize_mpol_flags() and mpol_new(). */
static int check_policy(int mode, struct nodes nodes)
{
	int flags = mode & MPOL_MODE_FLAGS;

	mode &= ~MPOL_MODE_FLAGS;
	if (mode < 0 || mode > MPOL_WEIGHTED_INTERLEAVE)
		return -EINVAL;
	if ((flags & MPOL_F_STATIC_NODES) && (flags & MPOL_F_RELATIVE_NODES))
		return -EINVAL;
	if ((flags & MPOL_F_NUMA_BALANCING) && mode != MPOL_BIND && mode != MPOL_PREFERRED_MANY)
		return -EINVAL;
	switch (mode) {
	case MPOL_DEFAULT:
		return nodes.any ? -EINVAL : 0;
	case MPOL_LOCAL:
		return nodes.any || flags ? -EINVAL : 0;
	case MPOL_PREFERRED:
		return nodes.any ? (nodes.first ? 0 : -EINVAL) : flags ? -EINVAL : 0;
	default:
		return nodes.first ? 0 : -EINVAL;
	}
}

static long policy(struct task *t, int mode, gva_t mask, uint64_t maxnode, struct nodes *ret)
{
	int r = read_nodes(t, mask, maxnode, ret);

	return r < 0 ? r : check_policy(mode, *ret);
}

long sys_set_mempolicy(struct task *t, const struct sysargs *a)
{
	int mode = arg_int(a, 0), kind = mode & ~MPOL_MODE_FLAGS;
	struct nodes nodes;
	long r = policy(t, mode, arg_gva(a, 1), arg_u64(a, 2), &nodes);

	if (r < 0)
		return r;
	if (kind == MPOL_PREFERRED && !nodes.any) /* mpol_new(): wherever it runs */
		mode = MPOL_LOCAL;
	t->mempolicy = kind == MPOL_DEFAULT ? MPOL_DEFAULT : mode;
	t->mempolicy_node = nodes.any;
	return 0;
}

long sys_mbind(struct task *t, const struct sysargs *a)
{
	gva_t start = arg_gva(a, 0);
	uint64_t len = page_up(arg_size(a, 1)), flags = arg_u64(a, 5);
	struct nodes nodes;
	long r = policy(t, arg_int(a, 2), arg_gva(a, 3), arg_u64(a, 4), &nodes);

	if (r < 0)
		return r;
	if (flags & ~(uint64_t)(MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
		return -EINVAL;
	if ((flags & MPOL_MF_MOVE_ALL) && !cred_capable(t->fsc.cred, CAP_SYS_NICE))
		return -EPERM;
	if ((start & ~PAGE_MASK) || start + len < start)
		return -EINVAL;
	return 0;
}

static int write_mask(struct task *t, gva_t mask, uint64_t maxnode, uint64_t first)
{
	size_t bytes = (size_t)((maxnode - 1 + 63) / 64 * 8);

	if (bytes > PAGE_SIZE)
		return -EINVAL;
	if (put_guest_u64(t->mm, mask, first) < 0)
		return -EFAULT;
	return bytes > 8 ? clear_guest(t->mm, mask + 8, bytes - 8) : 0;
}

static bool interleaves(int policy)
{
	policy &= ~MPOL_MODE_FLAGS;
	return policy == MPOL_INTERLEAVE || policy == MPOL_WEIGHTED_INTERLEAVE;
}

long sys_get_mempolicy(struct task *t, const struct sysargs *a)
{
	gva_t ret_mode = arg_gva(a, 0), mask = arg_gva(a, 1), addr = arg_gva(a, 3);
	uint64_t maxnode = arg_u64(a, 2), flags = arg_u64(a, 4);
	uint32_t mode = MPOL_DEFAULT;
	bool node = flags & MPOL_F_MEMS_ALLOWED;

	if (mask && maxnode < 1)
		return -EINVAL;
	if (flags & ~(uint64_t)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
		return -EINVAL;
	if (flags & MPOL_F_MEMS_ALLOWED) {
		if (flags & (MPOL_F_NODE | MPOL_F_ADDR))
			return -EINVAL;
		mode = 0;
	} else if (flags & MPOL_F_ADDR) {
		char byte;

		if (mm_access_remote(t->mm, addr, &byte, 1, false) != 1)
			return -EFAULT;
		/* MPOL_F_NODE: the page's node, which is 0 as well */
	} else if (addr || ((flags & MPOL_F_NODE) && !interleaves(t->mempolicy))) {
		return -EINVAL;
	} else {
		mode = flags & MPOL_F_NODE ? 0 /* the next node */ : (uint32_t)t->mempolicy;
		node = t->mempolicy_node;
	}
	if (ret_mode && put_guest_u32(t->mm, ret_mode, mode) < 0)
		return -EFAULT;
	return mask ? write_mask(t, mask, maxnode, node) : 0;
}

/* --- membarrier ------------------------------------------------------------------------------------------------ */

#define MEMBARRIER_KNOWN                                                                                      \
	(MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | \
	 MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |                       \
	 MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)

/*
 * The host's own barrier over all threads of the VMM: an interrupt takes each running vCPU out of the
 * guest and orders and serialises it, which is more than any of the commands asks. Nobody's sleep ends.
 */
static long host_barrier(void)
{
	long r = HOST(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));

	if (r != -EPERM)
		return r;
	r = HOST(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
	return r < 0 ? r : HOST(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
}

/* Which registration a command wants first; 0: none. */
static unsigned barrier_needs(int cmd)
{
	switch (cmd) {
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED: return MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE: return MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE;
	default: return 0;
	}
}

long sys_membarrier(struct task *t, const struct sysargs *a)
{
	int cmd = arg_int(a, 0);
	unsigned needs = barrier_needs(cmd);

	if (arg_uint(a, 1))
		return -EINVAL;
	switch (cmd) {
	case MEMBARRIER_CMD_QUERY:
		return MEMBARRIER_KNOWN;
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
		mm_membarrier_register(t->mm, (unsigned)cmd);
		return 0;
	case MEMBARRIER_CMD_GLOBAL:
	case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
		return needs && !(mm_membarrier_registered(t->mm) & needs) ? -EPERM : host_barrier();
	default:
		return -EINVAL;
	}
}
