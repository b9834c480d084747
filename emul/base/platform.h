/* SPDX-License-Identifier: MIT */
/*
 * What emul/ asks of the machine under it: guest physical memory, address spaces, virtual CPUs.
 * vmm/ implements it over KVM, tests/lib/fake_platform.c in plain memory. emul/ never sees <linux/kvm.h>.
 *
 * Rules that the implementation keeps for its callers (docs/host-kvm.md has the measurements):
 *  - as_unmap, as_protect (downgrades) and replacing as_map return only when no vCPU can use the old
 *    translation any more; only then may the caller give the frames to anybody else.
 *  - Two address spaces share nothing but what was mapped into both.
 *  - A fault on an absent or forbidden page comes back from vcpu_run() as VCPU_EXCEPTION vector 14.
 * Calls on one aspace are serialised by its owner (mm->lock); different aspaces run in parallel.
 * vcpu_run and the register calls belong to the vCPU's own thread; vcpu_kick comes from anywhere.
 */
#ifndef EMUL_BASE_PLATFORM_H
#define EMUL_BASE_PLATFORM_H

#include "emul/base/types.h"

struct aspace;
struct platform;
struct vcpu;

/* A program's integer registers, by the names of <sys/user.h>. */
struct uregs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t orig_rax; /* call number while in a call; -1 otherwise. Kept by the caller of vcpu_run() */
	uint64_t rip, rflags, rsp, fs_base, gs_base;
};

enum vcpu_event_kind {
	VCPU_SYSCALL,   /* a call through the gate: rip is after the instruction, number in rax */
	VCPU_EXCEPTION, /* vector, error code, cr2; rip as the CPU reports it (fault: at, trap: after) */
	VCPU_KICKED,    /* vcpu_kick() or a host signal; nothing happened in the guest */
	VCPU_LOST_PAGE, /* the host cannot provide a page that a PTE promises (truncated file window): address unknown */
	VCPU_ANSWERED,  /* a call that its server has answered already: result in rax, something else waits */
	VCPU_STEPS,     /* the program steps through a rewritten call site: its text is to be restored, then run again */
	VCPU_DEAD,      /* the host refused to run it: internal error, already logged */
};

struct vcpu_event {
	enum vcpu_event_kind kind;
	unsigned vector;
	uint32_t error_code;
	gva_t cr2;
	gva_t hot;       /* calls that return to here are so many that their site is worth rewriting; 0: nothing of the kind */
	uint64_t hot_nr; /* the number called there */
};

/* How a page is mapped now. */
struct as_mapping {
	gpa_t gpa;    /* of the byte asked for */
	void *hva;    /* the same byte in the VMM; may raise SIGBUS in file windows: use usercopy's accessors */
	int prot;     /* PROT_*; PROT_NONE: frame kept, but not accessible */
	size_t len;   /* bytes to the end of this leaf */
	bool window;  /* file window, not a frame */
};

/*
 * Who answers calls of a vCPU while it is in vcpu_run(), on the platform's helper thread, whose waiter may not sleep.
 * Of the program's registers (the `r` of vcpu_run()) only rsp is right then, but in `signal`.
 */
enum served {
	SERVED_ANSWERED,
	SERVED_LEAVE,   /* answered, and the vCPU is to come out with VCPU_ANSWERED */
	SERVED_SIGNAL,  /* answered; then `signal` is wanted. Only with served_registers */
	SERVED_LOADED,  /* all registers were set: it goes on with them. Only with served_registers */
	SERVED_LOADED_LEAVE, /* the same, but it comes out first, with VCPU_ANSWERED */
	SERVED_REFUSED, /* nothing was done, the call comes by vcpu_run() */
};
struct call_server {
	enum served (*call)(void *ctx, uint64_t nr, const uint64_t args[6], long *ret);
	/* All registers are right, as after the call. SERVED_LOADED, SERVED_LOADED_LEAVE; SERVED_LEAVE: nothing was done. */
	enum served (*signal)(void *ctx);
	const unsigned char *ring; /* 256 flags by the low byte of the number: it mostly answers it */
	/* The calling thread, which is ctx's, keeps off that processor of the host, if the program may use all; -1: off none. NULL: it cannot. */
	void (*keep_off)(void *ctx, int cpu);
};

/* A change of a program's text: what is there, what is to be there. */
#define TEXT_PATCH_MAX 8
struct text_patch { gva_t at; unsigned len; uint8_t old[TEXT_PATCH_MAX], now[TEXT_PATCH_MAX]; };
/* Bytes of text that site_make() wants, before and behind the return address. */
#define SITE_BEFORE 16
#define SITE_AFTER 8

/* Gets each run of leaves that as_unmap() removed (contiguous gva and gpa), after they are out of use everywhere. */
typedef void (*as_unmapped_fn)(void *ctx, gva_t gva, gpa_t gpa, size_t len);

struct vdso_image {
	gpa_t gpa;       /* vvar pages first, vdso text after them, contiguous */
	size_t vvar_len; /* read-only data (several host areas), 0 = no vDSO on this host */
	size_t vdso_len; /* text */
	const void *vdso; /* VMM's own view of the text */
};

/* How calls were answered, since boot. */
struct platform_stats {
	uint64_t told;       /* in the guest, by vcpu_tell() */
	uint64_t served;     /* by the helper thread */
	uint64_t called;     /* by an exit */
	uint64_t exits;      /* of all kinds */
	uint64_t rings;      /* the helper was asleep and rung for */
	uint64_t sites;      /* call sites rewritten */
	uint64_t helper_ns;  /* the helper's CPU time */
};

struct platform_ops {
	const char *name; /* "kvm/hardware", "kvm/deprivileged", "fake" */

	/* --- guest physical memory --- */
	/* Adds one chunk of frames, size a multiple of HUGE_SIZE, 2 MiB aligned on both sides, host memory
	 * behind it lazily present and zero. -ENOMEM. Constant for the VM's life. */
	int (*mem_grow)(struct platform *p, size_t size, gpa_t *ret_gpa, void **ret_hva);
	/* Makes the host back [gpa, gpa+len) now, in one go (MADV_POPULATE_WRITE). Contents unchanged. Of whole 2 MiB blocks, the pages that
	 * the host has small stay small until mem_discard. */
	int (*mem_populate)(struct platform *p, gpa_t gpa, size_t len);
	/* Which pages the host shall put behind the range when it is next populated: large ones (as at first) or small ones. */
	void (*mem_huge)(struct platform *p, gpa_t gpa, size_t len, bool huge);
	/* Gives the host memory behind unused frames back; they read as zero afterwards, and are of large pages when populated. */
	void (*mem_discard)(struct platform *p, gpa_t gpa, size_t len);
	/* Maps [off, off+len) of a host file, MAP_SHARED, as guest physical memory (page multiples); prot is the most
	 * that will be asked of it. The range is dropped by window_unmap, after all as_unmap of it. */
	int (*window_map)(struct platform *p, int fd, off_t off, size_t len, int prot, gpa_t *ret_gpa, void **ret_hva);
	void (*window_unmap)(struct platform *p, gpa_t gpa, size_t len);

	/* --- address spaces --- */
	struct aspace *(*as_new)(struct platform *p); /* NULL: no memory */
	void (*as_free)(struct aspace *as);           /* every leaf was unmapped, no vCPU attached */
	/* Maps len bytes at gva to gpa with prot (PROT_NONE keeps the frames inaccessible). Uses 2 MiB leaves where
	 * gva, gpa and len allow. What was mapped there is replaced (the caller owns the old frames). -ENOMEM. */
	int (*as_map)(struct aspace *as, gva_t gva, gpa_t gpa, size_t len, int prot);
	void (*as_unmap)(struct aspace *as, gva_t gva, size_t len, as_unmapped_fn fn, void *ctx);
	/* Everything of an address space that no vCPU will enter again: fn as above, but at once. as_free() follows. NULL: as_unmap() does. */
	void (*as_retire)(struct aspace *as, as_unmapped_fn fn, void *ctx);
	/* New protection for all present leaves in the range. mask: prot bits to keep (a leaf gets old & mask | set...) is
	 * not needed: the owner passes the exact value. -ENOMEM when a 2 MiB leaf cannot be split. */
	int (*as_protect)(struct aspace *as, gva_t gva, size_t len, int prot);
	/* false: nothing mapped at gva; then ret->len = bytes to skip that are absent for sure. */
	bool (*as_lookup)(struct aspace *as, gva_t gva, struct as_mapping *ret);

	/*
	 * Hot `syscall`s become jumps into the gate; the owner changes the text. r: a call that returns to r->rip, text: the bytes
	 * around it. false: the site stays as it is. The same site gets the same patch. NULL: no rewriting.
	 */
	bool (*site_make)(struct aspace *as, const struct uregs *r, uint64_t number, const uint8_t text[SITE_BEFORE + SITE_AFTER], struct text_patch *ret);
	bool (*site_get)(struct aspace *as, unsigned i, struct text_patch *ret); /* the i-th made, in order; false: there is none */
	int (*as_copy_sites)(struct aspace *from, struct aspace *to); /* fork: `to` is new. -ENOMEM */

	/* --- virtual CPUs --- */
	int (*vcpu_get)(struct platform *p, struct vcpu **ret); /* from the pool, for the calling thread; -EAGAIN: none left */
	void (*vcpu_put)(struct vcpu *v);                       /* back to the pool, detached; any thread */
	int (*vcpu_attach)(struct vcpu *v, struct aspace *as);  /* run this address space from now on; NULL detaches */
	/* Runs until something happens. Loads *r before, stores it after. */
	void (*vcpu_run)(struct vcpu *v, struct uregs *r, struct vcpu_event *ev);
	/* Calls of v may be answered by s from now on, without leaving vcpu_run(); NULL: none. What vcpu_tell() said is
	 * forgotten. Own thread, not in vcpu_run(). */
	void (*vcpu_set_server)(struct vcpu *v, const struct call_server *s, void *ctx);
	/* Call nr answers value from now on without anybody being asked. Any thread. NULL: no such thing. */
	void (*vcpu_tell)(struct vcpu *v, unsigned nr, uint32_t value);
	void (*vcpu_forget)(struct vcpu *v); /* what vcpu_tell() said. Any thread; goes with it */
	void (*vcpu_kick)(struct vcpu *v); /* the next or current vcpu_run() ends soon, with VCPU_KICKED if nothing else happened first */
	/* Extended state in XSAVE standard (non-compacted) format, xstate_size bytes. */
	int (*vcpu_get_xstate)(struct vcpu *v, void *buf);
	int (*vcpu_set_xstate)(struct vcpu *v, const void *buf); /* -EINVAL: not a valid image (MXCSR, xstate_bv, reserved bytes) */
	void (*vcpu_reset_xstate)(struct vcpu *v);               /* as after execve */

	void (*report)(struct platform *p, struct platform_stats *ret); /* NULL: nothing to report */
};

struct platform {
	const struct platform_ops *ops;
	bool served_registers;   /* servers may set the program's registers, and extended state by vcpu_get_xstate() and kin */
	size_t xstate_size;      /* bytes of the XSAVE image, >= 576 */
	uint64_t xfeatures;      /* XCR0 */
	struct vdso_image vdso;
	unsigned long hwcap, hwcap2; /* AT_HWCAP, AT_HWCAP2 of the host */
};

#endif
