/* SPDX-License-Identifier: MIT */
/*
 * The VM of one instance, and what the files of vmm/ share.
 *
 *   kvm.c  the device and its capabilities      memory.c  chunks, file windows, flushing      pagetable.c  address spaces
 *   kernel.c  the upper half: GDT, IDT, stubs, per-vCPU pages      vcpu.c  the pool, entering      exit.c  what an exit means
 *   slot.c helper.c  calls without exits: the slot, the thread      sites.c  rewritten call sites      rewrite.c  whether there are any      fpu.c  extended state      vdso.c  the host's vDSO      platform.c  platform.h's ops over all this
 *
 * Lock order: memory_lock, table_lock, pool_lock are each taken alone.
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include <linux/kvm.h>

#include "emul/base/mutex.h"
#include "emul/base/platform.h"
#include "vmm/platform_kvm.h"

#define GPA_UNIT_SHIFT 26 /* every slot starts at a multiple of 64 MiB */
#define GPA_UNIT ((gpa_t)1 << GPA_UNIT_SHIFT)
#define GPA_UNITS 8192    /* 512 GiB of guest physical space */
#define GPA_WINDOWS ((gpa_t)256 << 30) /* windows from here on, frames below */
#define VCPU_MAX 1024

/* The gates: where `syscall` leads to, and, in the hardware model only, where rewritten sites do: else it is the first too. */
enum { GATE_TRAP, GATE_JUMP, GATES };
/* Where things are in a gate's code: offsets from its first instruction. base: where the guest has it. */
struct gate_layout { gva_t base; const uint8_t *code; unsigned has_rcx, has_r11, out, asked, told, ask, done, save, load, load_end, jumped, jumped_has_rcx, end; };

struct machine {
	struct platform platform;

	/* constant after creation */
	int kvm_fd, vm_fd, uffd, pagemap;
	size_t run_size;
	bool hardware;            /* trap model: the gate runs at CPL 0 */
	bool rewrite;             /* hot call sites become jumps into the gate: rewrite.c */
	unsigned max_vcpus;
	struct gate_layout gate[GATES];
	struct kvm_cpuid2 *cpuid;
	uint64_t cr4, xcr0;
	uint32_t mxcsr_mask;
	gpa_t vdso_gpa;
	size_t vdso_size;         /* 0: none */
	gpa_t idt_page, stubs_page, gate_page[GATES]; /* the upper half's pages that all vCPUs share */
	struct aspace *empty;     /* no program */

	/* memory_lock */
	struct mutex memory_lock;
	uint32_t next_slot;
	gpa_t next_frame_gpa, next_window_gpa;
	struct window_slot *windows;
	/* written once under memory_lock, read without */
	uint8_t *_Atomic hva_of[GPA_UNITS];

	/* table_lock: pages for page tables */
	struct mutex table_lock;
	gpa_t table_next, table_end;
	gpa_t table_free;         /* list through the first word of each page */
	struct aspace *free_roots, *stale_roots; /* stale: see aspace_unmap() */
	unsigned nstale;
	uint64_t ntables;

	/* pool_lock */
	struct mutex pool_lock;
	struct vcpu *idle;
	unsigned nvcpus;
	/* written once under pool_lock, read without */
	struct vcpu *_Atomic vcpus[VCPU_MAX];
	_Atomic unsigned nready;  /* entries of vcpus[] that may be looked at */

	_Atomic uint64_t nsites, ntold; /* statistics; ntold without what is still in the slots */
};


static inline struct machine *machine_of(struct platform *p) { return (struct machine *)p; }
static inline void *gpa_hva(struct machine *m, gpa_t gpa)
{
	return atomic_load_explicit(&m->hva_of[gpa >> GPA_UNIT_SHIFT], memory_order_acquire) + (gpa & (GPA_UNIT - 1));
}
/* Only one thread counts: no locked instruction. */
static inline void count_one(_Atomic uint64_t *n)
{
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1, memory_order_relaxed);
}
static inline bool gpa_is_vdso(struct machine *m, gpa_t gpa) { return gpa - m->vdso_gpa < m->vdso_size; }
static inline bool gpa_is_window(gpa_t gpa) { return gpa >= GPA_WINDOWS; }

/* kvm.c: 0, or -1 and a line in err. */
int kvm_open(struct machine *m, const char *device, char *err, size_t err_size);

/* memory.c */
int memory_init(struct machine *m);
int memory_add_slot(struct machine *m, gpa_t gpa, void *hva, size_t size, uint32_t flags); /* memory_lock held */
int memory_grow(struct platform *p, size_t size, gpa_t *ret_gpa, void **ret_hva);
int memory_populate(struct platform *p, gpa_t gpa, size_t len);
void memory_huge(struct platform *p, gpa_t gpa, size_t len, bool huge);
void memory_discard(struct platform *p, gpa_t gpa, size_t len);
int memory_window_map(struct platform *p, int fd, off_t off, size_t len, int prot, gpa_t *ret_gpa, void **ret_hva);
void memory_window_unmap(struct platform *p, gpa_t gpa, size_t len);
/* No vCPU uses translations to these bytes any more when it returns. */
void memory_zap(struct machine *m, gpa_t gpa, size_t len);
/*
 * Are there large pages of the host behind all of these frames, and have there been since memory_populate()? Both in one look, since pages
 * of the host that were split do not become large ones again. false if nobody can tell (m->pagemap is -1): before Linux 6.7.
 */
bool memory_is_huge(struct machine *m, gpa_t gpa, size_t len);
/* No vCPU uses any cached page-table structure any more: after changes of non-leaf entries. */
void memory_flush_tables(struct machine *m);

/* pagetable.c */
gpa_t table_alloc(struct machine *m);       /* a zeroed page; GPA_NONE */
void table_release(struct machine *m, gpa_t gpa); /* no entry points to it, and memory_flush_tables() has run */
/* The root that v enters as by: an address space has one for each vCPU, which differ in the vCPU's own part of the upper half.
 * GPA_NONE: no memory. */
gpa_t aspace_root(struct aspace *as, struct vcpu *v);
struct aspace *aspace_new(struct platform *p);
void aspace_free(struct aspace *as);
int aspace_map(struct aspace *as, gva_t gva, gpa_t gpa, size_t len, int prot);
void aspace_unmap(struct aspace *as, gva_t gva, size_t len, as_unmapped_fn fn, void *ctx);
void aspace_retire(struct aspace *as, as_unmapped_fn fn, void *ctx);
int aspace_protect(struct aspace *as, gva_t gva, size_t len, int prot);
bool aspace_lookup(struct aspace *as, gva_t gva, struct as_mapping *ret);
void pagetable_init(struct machine *m);

#define PTE_P ((uint64_t)1 << 0)
#define PTE_W ((uint64_t)1 << 1)
#define PTE_U ((uint64_t)1 << 2)
#define PTE_A ((uint64_t)1 << 5)
#define PTE_D ((uint64_t)1 << 6)
#define PTE_PS ((uint64_t)1 << 7)
#define PTE_HELD ((uint64_t)1 << 9) /* software: not present, but the frame is kept (PROT_NONE) */
#define PTE_NX ((uint64_t)1 << 63)
#define PTE_ADDR ((uint64_t)0x000ffffffffff000)

/* kernel.c */
int kernel_init(struct machine *m);              /* IDT, stubs, the page of the gate */
int kernel_map(struct vcpu *v, gva_t gva, gpa_t gpa, uint64_t flags); /* one page of its upper half */
int kernel_map_vcpu(struct vcpu *v);             /* its own pages */
void kernel_set_cpu_number(struct vcpu *v, uint32_t number); /* what the vDSO's getcpu answers: CPU, node << 12 */
void kernel_choose_gate(struct machine *m);      /* by the trap model */
int kernel_map_gate(struct vcpu *v);             /* the gate, as the trap model wants it */
int kernel_map_jump_gate(struct vcpu *v);        /* hardware model: what rewritten sites need */

/* What a program may have in its flags; IF and bit 1 are always on. */
#define FLAGS_USER (0x1ul | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x800 | 0x4000 | 0x10000 | 0x40000 | 0x200000)
#define FLAGS_ALWAYS 0x202ul

/* vcpu.c */
enum { VCPU_PAGE_TSS, VCPU_PAGE_STACK, VCPU_PAGE_DATA, VCPU_PAGE_XSTATE, VCPU_PAGES }; /* and GATE_JUMP's slot */

struct vcpu {
	struct machine *m;         /* constant, as all down to `pages` */
	int fd;
	unsigned index;
	struct kvm_run *run;
	gpa_t kernel_table;        /* PDPT of PML4 slot RT_PML4_SLOT */
	gpa_t pages[VCPU_PAGES];
	uint64_t *stack_top;       /* host pointer just past the exception stack */
	struct vcpu *next_idle;    /* pool_lock */
	/* only its own thread */
	struct aspace *as;         /* NULL: none */
	uint64_t cr3;              /* wanted */
	bool fpu_pending;          /* RT_XSTATE is to be loaded on the way in */
	bool at_cpl0;              /* the last exit was in a stub or a ring-0 gate: segments must be set */
	const struct call_server *server; /* NULL: every call comes out */
	void *server_ctx;
	gva_t show_from, show_to;  /* sites.c: going back to the one address means going on at the other; 0: none */
	int64_t last_exit;         /* ns: of the last call that came out */
	bool jumped;               /* the call that came out last was from a rewritten site */
	unsigned streak;           /* calls that came out one upon the other */
	int cpu;                   /* the host's, that the guest was told of; -1: none */
	_Atomic uint64_t nexits, ncalls; /* statistics: all exits; calls that came out. Others read them */
	bool broken;               /* the host refused to run it: never again */
	unsigned nfaults;          /* KVM_RUN's -EFAULTs in a row */
	_Atomic bool busy;         /* helper.c counts its thread among those that use a processor */
	/* any thread */
	_Atomic bool kicked, in_run;
	_Atomic uint32_t serve;    /* slot.c: who has the call */
	uint8_t *slot[GATES];      /* a gate's page of data; NULL: there is no such gate. Constant */
	uint8_t *xstate;           /* the extended state's; constant */
	_Atomic int host_cpu;      /* where it went into the guest last; -1: it never did */
	_Atomic uint64_t budget;   /* the gate's patience: rounds */
	unsigned nserved;          /* while `serve` is taken, the helper's */
	/* while `serve` is taken, the helper's */
	long result;               /* of the last answered call */
	gva_t hot;                 /* its site is worth rewriting; 0: no */
	uint64_t hot_nr;
	struct uregs *regs;        /* what vcpu_enter() got */
	bool fpu_in_slot;          /* fpu_get() and kin mean RT_XSTATE */
	bool asked;                /* for the registers */
	bool loads;                /* the gate was told to load these registers, and RT_XSTATE */
	struct uregs load;
	_Atomic int tid;
};
int vcpus_init(struct machine *m, char *err, size_t err_size); /* makes the first one and finds out the trap model */
int vcpu_take(struct platform *p, struct vcpu **ret);
void vcpu_give_back(struct vcpu *v);
int vcpu_set_root(struct vcpu *v, struct aspace *as);
void vcpu_enter(struct vcpu *v, struct uregs *r, struct vcpu_event *ev);
void vcpu_kick(struct vcpu *v);
void vcpus_fini(struct machine *m);
/* The processor's state as it enters ring 3 for the first time. */
int vcpu_init_state(struct vcpu *v);
/* At boot: runs code at RT_PROBE in ring 3, with its address in rsp and r12 as given, until it leaves. -EIO: not by the gate's `out`. */
int vcpu_probe(struct vcpu *v, const void *code, size_t size, uint64_t r12);

/* exit.c: what KVM_RUN's return means; error: 0 or its -errno. false: nothing for the caller, enter again. */
bool exit_decode(struct vcpu *v, long error, struct uregs *r, struct vcpu_event *ev);
/* n bytes of the program's code at gva; false: not there. */
bool exit_read_code(struct vcpu *v, gva_t gva, uint8_t *code, unsigned n);

/* slot.c */
void slot_init(struct vcpu *v);
/* The gate at rip; -1: none. The address may be any gate's that the model has, whoever runs it. */
int slot_gate_at(const struct vcpu *v, gva_t rip);
void slot_set_server(struct vcpu *v, const struct call_server *s, void *ctx);
void slot_enter(struct vcpu *v);                      /* right before the guest runs */
void slot_leave(struct vcpu *v);                      /* right after: the call in the slot is settled */
bool slot_resume(struct vcpu *v, struct uregs *r, struct vcpu_event *ev); /* r in the gate: back to the program. true: its call was answered */
void slot_tell(struct vcpu *v, unsigned nr, uint32_t value); /* what the gate answers to call nr; any thread */
void slot_forget(struct vcpu *v); /* nothing any more; any thread */
void slot_wipe(struct vcpu *v);                       /* nobody runs on v: its next task sees nothing of the last one's calls */
void slot_note_exit(struct vcpu *v);
void slot_report(struct machine *m, struct platform_stats *ret);

/* rewrite.c: sets m->rewrite, by measuring if it is to. v: the only vCPU yet. -ENOMEM, or what vcpu_init_state() says. */
int rewrite_decide(struct vcpu *v, enum rewrite want);

/* sites.c: rewritten call sites. Making them is serialised by the owner of the address space; looking is not. */
/* Counts calls that return to ret. true: it is worth rewriting, said once in a while. Any thread. */
bool sites_note(struct aspace *as, gva_t ret, unsigned weight);
/* platform.h's site_make, site_get, as_copy_sites */
bool sites_make_patch(struct aspace *as, const struct uregs *r, uint64_t number, const uint8_t *text, struct text_patch *ret);
/*
 * Whether a `syscall` that ends at `end` (SITE_BEFORE bytes of text before it, SITE_AFTER behind it) can be rewritten, by the number that was called
 * and the registers: bytes in front of the `syscall` that move, and behind it. 0: it cannot. The 6 behind an xor are one cmp.
 */
unsigned sites_shape(const uint8_t *end, const struct uregs *r, uint32_t nr, unsigned *ret_after);
bool sites_get(struct aspace *as, unsigned i, struct text_patch *ret);
int sites_copy(struct aspace *from, struct aspace *to);
void sites_reset(struct aspace *as);
bool in_sites(gva_t rip);
/* The address in the text that a program in a cell is at; rip itself if it is in none. */
gva_t sites_hide(struct vcpu *v, gva_t rip);
/* #UD at rip: the place in the cell where it goes on if that comes of a rewritten site; 0: it does not. */
gva_t sites_undefined(struct vcpu *v, gva_t rip);
/* pagetable.c, for sites.c */
struct sites;
struct sites *_Atomic *aspace_sites(struct aspace *as);
struct machine *aspace_machine(struct aspace *as);
/* A zeroed page that programs may read and execute, at gva in the upper half; its host view, NULL: no memory. */
uint8_t *aspace_map_sites(struct aspace *as, gva_t gva);

/* fpu.c */
int fpu_init(struct machine *m);
int fpu_get(struct vcpu *v, void *buf);
int fpu_set(struct vcpu *v, const void *buf);
void fpu_reset(struct vcpu *v);
void fpu_flush(struct vcpu *v); /* what is pending is the vCPU's now, by an ioctl */

/* vdso.c */
void vdso_init(struct machine *m);

#endif
