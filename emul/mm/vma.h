/* SPDX-License-Identifier: MIT */
/*
 * Inside of an address space: the tree of areas, and the steps that mm's files share.
 * Names ending in _locked, and everything that takes a struct vma, want mm->lock held exclusively.
 */
#ifndef EMUL_MM_VMA_H
#define EMUL_MM_VMA_H

#include <bsd/sys/tree.h>

#include "emul/base/sysctl.h"
#include "emul/mm/mm.h"
#include "emul/mm/obj.h"

static inline unsigned max_map_count(void) { return (unsigned)sysctl_get(&sysctl_max_map_count); }
#define MMAP_MIN_ADDR ((gva_t)65536)
#define STACK_GUARD_GAP (256 * PAGE_SIZE)

/* vma.flags: the public VMA_* and these. */
enum {
	VMA_X_NOHUGE = 1 << 20,   /* no 2 MiB leaves (MAP_STACK) */
	VMA_X_EXACT = 1 << 21,    /* MADV_NOHUGEPAGE: nothing but the page that is touched */
	VMA_X_HUGE = 1 << 22,     /* MADV_HUGEPAGE */
	VMA_X_ONFAULT = 1 << 23,  /* locked, but not populated */
	VMA_X_SPECIAL = 1 << 24,  /* vDSO: frames of the platform */
	VMA_X_IMAGE = 1 << 25,    /* a private map of an object at a fixed place: a segment of a program or library */
};

struct vma {
	RB_ENTRY(vma) node;
	gva_t start, end;
	uint64_t gap, max_gap;  /* free bytes before this area; the most in its subtree */
	int prot, maxprot;
	unsigned flags;
	bool shared;
	bool touched;           /* has or had anonymous pages (Linux: anon_vma) */
	uint64_t kin;           /* of a forked area that had such pages: it joins with its own parts only; 0: with others. vma_had_uncowed_parents() */
	bool cow;               /* may hold frames that are not its own: look before making them writable */
	uint64_t off;           /* object: byte offset of start; anonymous: the address it was made at, as vm_pgoff */
	struct memobj *obj;
	struct mm *mm;
	struct list obj_node;   /* obj->lock */
	gva_t seq_start, seq_end; /* fault-around: the last window */
	unsigned window;        /* its pages */
	unsigned run;           /* faults in sequence */
};

RB_HEAD(vma_tree, vma);
RB_PROTOTYPE(vma_tree, vma, node, )

struct mm {
	struct ref ref;
	struct guest_mem gm;
	struct phys *ph;       /* constant */
	struct aspace *as;
	const struct platform_ops *ops;
	pthread_rwlock_t lock;
	_Atomic(pthread_t) writer; /* for assertions */
	struct mm_limits limits;
	_Atomic unsigned membarrier; /* MEMBARRIER_CMD_REGISTER_* */
	_Atomic bool plain_text;     /* no rewriting of call sites */
	/* lock: */
	struct vma_tree vmas;
	unsigned nr_vmas;
	gva_t mmap_base, start_brk, brk, stack_top;
	struct mm_layout layout;
	unsigned def_flags;      /* mlockall(MCL_FUTURE) */
	uint64_t total, data, exec, stack, locked; /* bytes of areas */
	uint64_t hiwater_total;
	uint64_t rss[FRAME_NKINDS];                /* pages mapped, by kind */
	uint64_t hiwater_rss;
	struct guard { gva_t start, end; } *guards; /* guard.c: in order, apart */
	unsigned nr_guards, cap_guards;
	unsigned lone_huge;      /* 2 MiB leaves given on a first touch with nothing beside it */
};

void mm_lock_read(struct mm *mm);
void mm_lock_write(struct mm *mm);
void mm_unlock(struct mm *mm);
static inline void mm_assert_write(struct mm *mm)
{
	assert(pthread_equal(atomic_load_explicit(&mm->writer, memory_order_relaxed), pthread_self()));
	(void)mm;
}
static inline struct pool *mm_pool(struct mm *mm) { return &mm->ph->pool; }

/* --- vma.c: the tree ----------------------------------------------------------------------------- */
struct vma *vma_find(struct mm *mm, gva_t addr);   /* the first that ends above addr; NULL: none */
struct vma *vma_lookup(struct mm *mm, gva_t addr); /* the one that holds addr */
struct vma *vma_next(struct vma *v);
struct vma *vma_prev(struct vma *v);
struct vma *vma_new(struct mm *mm, gva_t start, gva_t end);      /* not in the tree; NULL: no memory */
int vma_insert(struct mm *mm, struct vma *v);                    /* consumes v, also on failure: -EPERM (seals) */
void vma_delete(struct mm *mm, struct vma *v);                   /* out of the tree and freed; its PTEs are gone already */
struct vma *vma_dup(struct mm *mm, const struct vma *v);         /* a copy for another mm or place; NULL: no memory */
void vma_resize(struct mm *mm, struct vma *v, gva_t start, gva_t end);
/* Cuts v at addr: v keeps the lower part, the upper one is returned. NULL: no memory or too many areas. */
struct vma *vma_split(struct mm *mm, struct vma *v, gva_t addr);
/* The part of v in [start, end) as an area of its own. NULL: as vma_split(). */
struct vma *vma_isolate(struct mm *mm, struct vma *v, gva_t start, gva_t end);
/* Joins v with equal neighbours; returns what v became. */
struct vma *vma_merge(struct mm *mm, struct vma *v);
/* Changes what counts are made of (prot, flags) between leave and enter. */
void vma_account(struct mm *mm, const struct vma *v, int sign);
uint64_t vma_off(const struct vma *v, gva_t addr);
static inline bool vma_is_anon(const struct vma *v) { return !v->obj && !(v->flags & VMA_X_SPECIAL); }
static inline bool vma_is_data(int prot, bool shared, unsigned flags)
{
	return (prot & PROT_WRITE) && !shared && !(flags & VMA_GROWSDOWN);
}
/* What the processor makes of prot: nothing can be written or executed without being readable. */
static inline int prot_effective(int prot)
{
	return prot & (PROT_WRITE | PROT_EXEC) ? prot | PROT_READ : prot;
}

/* --- guard.c: addresses that fault, whatever the area says (MADV_GUARD_INSTALL) ------------------------ */
bool guard_in_range(const struct mm *mm, gva_t start, gva_t end); /* any of it is guarded */
/* Narrows [*from, *to) around page, which is not guarded, to what is not either. */
void guard_clip(const struct mm *mm, gva_t page, gva_t *from, gva_t *to);
int guard_add(struct mm *mm, gva_t start, gva_t end);             /* -ENOMEM; the caller unmaps the pages */
void guard_remove(struct mm *mm, gva_t start, gva_t end);
/* The guards of a range appear at `to`, of the same or another address space. -ENOMEM */
int guard_copy(struct mm *mm, gva_t start, gva_t end, struct mm *to_mm, gva_t to);

/* --- place.c -------------------------------------------------------------------------------------- */
/* A free address for len bytes as Linux's get_unmapped_area() chooses; congruence: 2 MiB leaves like (addr - congruent). */
long place_find(struct mm *mm, gva_t hint, uint64_t len, int flags, bool align, uint64_t congruent);
gva_t place_gap_start(const struct vma *v); /* the lowest address that v keeps free for its growth */

/* --- map.c ----------------------------------------------------------------------------------------- */
int unmap_range(struct mm *mm, gva_t start, gva_t end); /* areas and pages; -EPERM: one is sealed, -ENOMEM: a split failed; nothing done */
int may_expand(struct mm *mm, uint64_t len, bool data); /* RLIMIT_AS, RLIMIT_DATA: 0, -ENOMEM */
int may_lock(struct mm *mm, uint64_t len);              /* RLIMIT_MEMLOCK: 0, -EAGAIN */

/* --- patch.c: rewritten call sites in the range become what they were */
void mm_restore_text_locked(struct mm *mm, gva_t start, gva_t end);

/* --- leaf.c: PTEs with their counts ---------------------------------------------------------------- */
int leaf_prot(struct vma *v, gpa_t gpa);
int leaf_map(struct vma *v, gva_t gva, gpa_t gpa, uint64_t len, int prot);     /* consumes the references, also on failure */
int leaf_replace(struct vma *v, gva_t gva, gpa_t gpa, uint64_t len, int prot, const gpa_t *old); /* old: per page; their references are dropped */
void leaf_unmap(struct mm *mm, gva_t start, gva_t end);
void leaf_unmap_all(struct mm *mm);                                            /* nobody runs in mm any more */
int leaf_reprotect(struct vma *v, gva_t start, gva_t end);                     /* after v->prot changed */
int leaf_upgrade(struct vma *v, gva_t start, gva_t end);                       /* lets write again what is not shared any more */
/* The next run of present pages in [at, end), one gpa run with one prot; false: none. */
struct leaf_run { gva_t gva; gpa_t gpa; uint64_t len; int prot; };
bool leaf_next(struct mm *mm, gva_t at, gva_t end, struct leaf_run *ret);
/* Bytes from at (< end) that are absent; 0: present. */
uint64_t leaf_absent(struct mm *mm, gva_t at, gva_t end);

/* --- fault.c, fill.c, cow.c ------------------------------------------------------------------------- */
/* Makes the page at addr usable for access, which v allows. 0, -EFAULT (SIGBUS), -ENOMEM, -EIO. */
int fault_page(struct vma *v, gva_t addr, enum mm_access access);
/* The pages of areas in the range; access 0: as a program would use them. Stops at the first error; -EINVAL: not allowed, -ENOENT: a hole. */
int fault_populate(struct mm *mm, gva_t start, gva_t end, int access);
int fill_anon(struct vma *v, gva_t addr);
int fill_anon_range(struct vma *v, gva_t from, gva_t to); /* as far as it goes; for populating ahead */
int fill_object(struct vma *v, gva_t addr, bool write);
int fill_special(struct vma *v);                    /* the whole area */
void fill_ahead(struct vma *v, gva_t from, gva_t to, bool fixed); /* right after mmap: what is known to be touched soon */
void fill_brk(struct vma *v, gva_t from, gva_t to); /* right after brk: likewise */
bool fill_copies_data(const struct vma *v);
int cow_break(struct vma *v, gva_t addr, bool force); /* the page is present, not writable, and private */
int stack_grow(struct mm *mm, struct vma *v, gva_t addr);
/* The area for an access, after growing the stack if that is what it takes. NULL: *ret_code is SEGV_*. */
struct vma *fault_vma(struct mm *mm, gva_t addr, enum mm_access access, int *ret_code);

#endif
