/* SPDX-License-Identifier: MIT */
/*
 * emul/mm: a process's memory as Linux shows it.
 *
 *   frame.c     page frames of the pool: chunks from the platform, 4 KiB and 2 MiB allocation, counts
 *   pagecache.c frames that hold file contents for MAP_PRIVATE maps, shared by all processes
 *   memobj.c    what can stand behind a map: shmem (tmpfs, memfd, shared anonymous), cached file, file window
 *   vma.c       the tree of areas: find, insert, split, merge
 *   map.c       mmap, munmap, mremap          protect.c  mprotect      advise.c  madvise, mincore, mlock, msync
 *   brk.c       the heap                      fault.c    page faults: demand zero, COW, stack growth
 *   patch.c     rewriting of call sites
 *   fork.c      copy of an address space      usercopy.c the only code that touches guest memory
 *
 * Guest PTEs (platform aspace) are the truth about which frame is where; the tree is the truth about what may be.
 *
 * Lock order: mm->lock (shared: look-ups, copies; exclusive: changes) -> memobj->lock -> frame pool, page cache.
 * Two mm: lower address first. No host call that may block under mm->lock but reading file pages, as in Linux.
 */
#ifndef EMUL_MM_MM_H
#define EMUL_MM_MM_H

#include <sys/mman.h>

#include "emul/base/auto.h"
#include "emul/base/platform.h"
#include "emul/base/uio.h"

struct memobj;
struct mm;

/* --- the instance's memory: one per VMM ------------------------------------------------------- */
struct mem_stats { uint64_t total, free, cached, shmem, anon, tables, committed; }; /* bytes */
struct phys; /* frame pool and page cache */
/* limit: bytes of guest memory (--memory). Nothing is populated yet. NULL: no memory. */
struct phys *phys_new(struct platform *p, uint64_t limit);
void phys_free(struct phys *ph);
void phys_stats(struct phys *ph, struct mem_stats *ret);

/* --- address spaces ---------------------------------------------------------------------------- */
/* Facts of a program that the mm keeps for /proc and exec. Set by exec under mm_lock_write(). */
struct mm_layout {
	gva_t start_code, end_code, start_data, end_data, start_brk;
	gva_t start_stack, arg_start, arg_end, env_start, env_end;
	gva_t vdso;
};

/* Limits that mm checks on growth; the proc layer fills them from its rlimits (bytes, UINT64_MAX: none). */
struct mm_limits { _Atomic uint64_t stack, as, data, memlock; };

struct mm_counts { uint64_t total_vm, data_vm, exec_vm, stack_vm, locked_vm, rss_anon, rss_file, rss_shmem, hiwater_rss, hiwater_vm, page_tables; }; /* bytes */

struct mm *mm_new(struct phys *ph); /* empty address space, one reference; NULL: no memory */
struct mm *mm_get(struct mm *mm);
void mm_put(struct mm *mm);
bool mm_is_shared(struct mm *mm); /* has other users: threads, CLONE_VM */ /* the last one unmaps everything */
DEFINE_AUTO(mm, mm_put);
struct aspace *mm_aspace(struct mm *mm);
struct guest_mem *mm_guest(struct mm *mm); /* for uio and usercopy */
struct mm_layout *mm_layout(struct mm *mm);
struct mm_limits *mm_limits(struct mm *mm);
void mm_counts(struct mm *mm, struct mm_counts *ret);
void mm_reset_peak(struct mm *mm); /* hiwater_rss begins anew, at what there is now */
struct phys *mm_phys(struct mm *mm);
/* membarrier(2): which MEMBARRIER_CMD_REGISTER_* were given; a fork inherits them. */
void mm_membarrier_register(struct mm *mm, unsigned cmd);
unsigned mm_membarrier_registered(struct mm *mm);
/* fork(2): a copy with Linux's rules (MADV_DONTFORK, WIPEONFORK, shared stays shared). 0 or -ENOMEM. */
int mm_fork(struct mm *mm, struct mm **ret);

/*
 * mmap(2) below the system call: addr/len/prot/flags/off as the user gave them; obj is what file_ops.mmap()
 * returned or NULL for anonymous memory (MAP_SHARED|MAP_ANONYMOUS makes its own shmem object); the caller's
 * reference on obj stays the caller's. Checks everything that does not need the file. The address or -errno.
 * `maxprot`: what mprotect may later give (file not open for writing: no PROT_WRITE on shared maps).
 */
long mm_mmap(struct mm *mm, gva_t addr, uint64_t len, int prot, int flags, struct memobj *obj, uint64_t off, int maxprot);
/* remap_file_pages(2), as Linux does it since 4.0: that part of a shared map is mapped anew from pgoff on. -EINVAL. */
long mm_remap_file_pages(struct mm *mm, gva_t addr, uint64_t size, uint64_t pgoff);
long mm_munmap(struct mm *mm, gva_t addr, uint64_t len);
/* shmdt(2): the areas of the watched object (memobj_watch) that begins, or would begin, at addr. -EINVAL: none. */
long mm_shmdt(struct mm *mm, gva_t addr);
long mm_mprotect(struct mm *mm, gva_t addr, uint64_t len, int prot);
long mm_mremap(struct mm *mm, gva_t old, uint64_t old_len, uint64_t new_len, int flags, gva_t new_addr);
long mm_madvise(struct mm *mm, gva_t addr, uint64_t len, int advice);
long mm_mseal(struct mm *mm, gva_t addr, uint64_t len); /* mseal(2): the areas stay as they are, for ever */
long mm_brk(struct mm *mm, gva_t brk); /* the break after the call, as the system call returns it */
long mm_msync(struct mm *mm, gva_t addr, uint64_t len, int flags);
long mm_mincore(struct mm *mm, gva_t addr, uint64_t len, gva_t vec);
long mm_mlock(struct mm *mm, gva_t addr, uint64_t len, int flags /* MLOCK_ONFAULT */);
long mm_munlock(struct mm *mm, gva_t addr, uint64_t len);
long mm_mlockall(struct mm *mm, int flags);
long mm_munlockall(struct mm *mm);

/* A `syscall` that is executed often: r as after the call, nr its number. Its site becomes a jump into the gate, if that goes unnoticed. */
void mm_rewrite_site(struct mm *mm, const struct uregs *r, uint64_t nr);
/* Somebody looks closely (a tracer, a program that steps): the text is the file's again, and stays so. */
void mm_restore_text(struct mm *mm);

/* exec: the stack area (grows down from top to at most the stack limit), the heap's start, the vDSO. */
int mm_setup_stack(struct mm *mm, gva_t top, uint64_t initial_size, bool executable);
void mm_set_brk_start(struct mm *mm, gva_t start);
/* Maps [vvar][vdso] at a free address near the stack; the vdso text's address, 0 if the host has none. */
gva_t mm_map_vdso(struct mm *mm, gva_t hint);
gva_t mm_mmap_base(struct mm *mm);                 /* top of the mmap area */
void mm_set_mmap_base(struct mm *mm, gva_t base);  /* exec: ASLR */

/* --- faults ------------------------------------------------------------------------------------- */
enum mm_access { MM_READ = PROT_READ, MM_WRITE = PROT_WRITE, MM_EXEC = PROT_EXEC };
struct mm_fault { int sig; int code; gva_t addr; }; /* SIGSEGV/SIGBUS, SEGV_MAPERR...; sig 0: SIGKILL for lack of memory is sig SIGKILL */
/* Resolves a page fault at addr; rsp: the user's stack pointer (for growth), 0 if not from user code.
 * true: resolved, run again. false: *ret says which signal. */
bool mm_handle_fault(struct mm *mm, gva_t addr, enum mm_access access, gva_t rsp, struct mm_fault *ret);
/* After VCPU_LOST_PAGE: drops PTEs of windows beyond their file's end. */
void mm_drop_truncated(struct mm *mm);

/* --- usercopy: the only way to guest memory ----------------------------------------------------- */
/* 0 or -EFAULT; all or nothing is NOT promised for out copies (as in Linux). */
int copy_from_guest(struct mm *mm, void *dst, gva_t src, size_t len);
int copy_to_guest(struct mm *mm, gva_t dst, const void *src, size_t len);
int clear_guest(struct mm *mm, gva_t dst, size_t len);
/*
 * copy_struct_from_user(): an extensible structure. size < known: the rest is zero; size > known: the
 * rest must be zero. -E2BIG, -EFAULT. The caller has checked the least size.
 */
int copy_extensible(struct mm *mm, void *dst, size_t known, gva_t src, size_t size);
/* Copies a NUL-terminated string, at most size bytes with its NUL. Its length, -EFAULT, or -ENAMETOOLONG if no NUL came. */
ssize_t copy_string_from_guest(struct mm *mm, char *dst, gva_t src, size_t size);
/* Access that ignores protection as ptrace and /proc/PID/mem do (COW is broken, read-only is written). Bytes moved. */
size_t mm_access_remote(struct mm *mm, gva_t addr, void *buf, size_t len, bool write);
int get_guest_u32(struct mm *mm, gva_t addr, uint32_t *ret); /* atomic if aligned */
int get_guest_u64(struct mm *mm, gva_t addr, uint64_t *ret);
int put_guest_u32(struct mm *mm, gva_t addr, uint32_t val);
int put_guest_u64(struct mm *mm, gva_t addr, uint64_t val);
/* Atomic read-modify-write of an aligned word (futex). 0, -EFAULT. *ret_old is what was there; new is stored if it was `old`. */
int cmpxchg_guest_u32(struct mm *mm, gva_t addr, uint32_t old, uint32_t new_val, uint32_t *ret_old);
/* Bytes from at (< end) that no page stands behind yet; 0: there is one. */
uint64_t mm_absent(struct mm *mm, gva_t at, gva_t end);
/* What a futex word is named by: private = (mm, addr), shared = (object, offset) of whatever is mapped there. */
struct futex_key { uintptr_t a; uint64_t b; }; /* compared as a value; a == 0 never */
/* shared: look up the backing (faults it in); the key stays valid while the word is mapped. 0, -EFAULT, -EINVAL (unaligned). */
int mm_futex_key(struct mm *mm, gva_t addr, bool shared, struct futex_key *ret);

#define guest_read(mm, ptr_to_obj, src) copy_from_guest(mm, ptr_to_obj, src, sizeof(*(ptr_to_obj)))
#define guest_write(mm, dst, ptr_to_obj) copy_to_guest(mm, dst, ptr_to_obj, sizeof(*(ptr_to_obj)))

/* --- looking at areas (/proc/PID/maps, smaps, core facts) --------------------------------------- */
enum { VMA_STACK = 1, VMA_HEAP = 2, VMA_VVAR = 4, VMA_VDSO = 8, VMA_GROWSDOWN = 16, VMA_LOCKED = 32, VMA_DONTFORK = 64, VMA_WIPEONFORK = 128, VMA_NORESERVE = 256, VMA_DONTDUMP = 512, VMA_RAND = 1024, VMA_SEQ = 2048, VMA_SEALED = 4096 };
struct vma_info {
	gva_t start, end;
	int prot, maxprot;
	bool shared;
	unsigned flags;           /* VMA_* */
	uint64_t off;             /* file offset of start */
	struct memobj *obj;       /* counted by the list; NULL: anonymous */
	uint64_t rss, anon, dirty; /* bytes, only if asked for with pages = true */
};
/* The areas in order, as they are now; each keeps its object. pages: with how much of them there is. -ENOMEM. */
struct vma_list { struct vma_info *v; size_t n; };
int mm_list_vmas(struct mm *mm, bool pages, struct vma_list *ret);
void vma_list_fini(struct vma_list *l);
/* n words of /proc/PID/pagemap, from the page at start on: PM_* bits of Linux, frame numbers 0. */
void mm_pagemap(struct mm *mm, gva_t start, unsigned n, uint64_t *ret);

#endif
