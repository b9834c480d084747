/* SPDX-License-Identifier: MIT */
/*
 * Virtual CPUs: a pool of them, entering and kicking.
 *
 * Registers travel in the shared page (KVM_CAP_SYNC_REGS), never by ioctl. Entering sets the integer
 * registers always, the segment and control registers only when something in them changes or when the last
 * exit was at ring 0: going back to the program by rip alone would run it in ring 0 there.
 *
 * Kick: `kicked` is set first, then the thread is signalled if it is in vcpu_enter(); the signal's handler
 * sets immediate_exit, so a signal that comes between the last look at `kicked` and KVM_RUN is not lost.
 */
/* host syscalls: ioctl mmap munmap tgkill gettid getcpu */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/base/wait.h"
#include "guest-rt/abi.h"
#include "vmm/helper.h"

#define CR0_USER 0x80050033 /* PE MP ET NE WP AM PG */
#define CR4_PAE (1u << 5)
#define CR4_OSFXSR (1u << 9)
#define CR4_OSXMMEXCPT (1u << 10)
#define CR4_FSGSBASE (1u << 16)
#define CR4_OSXSAVE (1u << 18)
#define CR4_SMEP (1u << 20)
#define CR4_SMAP (1u << 21)
#define EFER_USER 0xd01 /* SCE LME LMA NXE */

static __thread struct vcpu *here; /* the one this thread enters: for the kick's handler */
static __thread int my_tid;

static void on_kick(void)
{
	struct vcpu *v = here;

	if (v)
		v->run->immediate_exit = 1;
}

static void on_sleep(void)
{
	if (here)
		helper_rests(here);
}

/* --- the processor's state ------------------------------------------------------------------------- */

static const struct kvm_segment user_cs = { .limit = ~0u, .selector = RT_USER_CS, .type = 11, .present = 1, .dpl = 3, .s = 1, .l = 1, .g = 1 };
static const struct kvm_segment user_ss = { .limit = ~0u, .selector = RT_USER_DS, .type = 3, .present = 1, .dpl = 3, .db = 1, .s = 1, .g = 1 };

static int set_msr(struct vcpu *v, uint32_t index, uint64_t value)
{
	struct { struct kvm_msrs head; struct kvm_msr_entry e; } m = { .head = { .nmsrs = 1 }, .e = { .index = index, .data = value } };

	return ioctl(v->fd, KVM_SET_MSRS, &m) == 1 ? 0 : -EINVAL;
}

static void set_clock(struct vcpu *v)
{
	uint64_t zero = 0;
	struct kvm_device_attr a = { .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uint64_t)&zero };

	/* The host's vDSO data is only right with the host's counter. Refused where there is no offset anyway. */
	(void)ioctl(v->fd, KVM_SET_DEVICE_ATTR, &a);
}

static void fill_sregs(struct vcpu *v, struct kvm_sregs *s)
{
	struct kvm_segment none = user_ss;

	none.selector = 0; /* programs see ds, es, fs, gs as null, as on Linux */
	s->cr0 = CR0_USER;
	s->cr3 = v->cr3;
	s->cr4 = v->m->cr4;
	s->efer = EFER_USER;
	s->cs = user_cs;
	s->ss = user_ss;
	s->ds = s->es = s->fs = s->gs = none;
	s->gdt = (struct kvm_dtable){ .base = RT_GDT, .limit = RT_GDT_ENTRIES * 8 - 1 };
	s->idt = (struct kvm_dtable){ .base = RT_IDT, .limit = RT_VECTORS * 16 - 1 };
	s->tr = (struct kvm_segment){ .base = RT_TSS, .limit = 104 + 32, .selector = 0x40, .type = 11, .present = 1 };
}

/*
 * What `syscall` clears in the flags. Ring 0 gets them back by sysretq. A ring-3 gate returns by a jump: TF only, so that
 * stepping programs do not step in the gate; they are never answered there (slot_enter).
 */
static uint64_t flags_off(const struct machine *m)
{
	return m->hardware ? 0x47700 : 0x100; /* TF IF DF IOPL NT AC */
}

int vcpu_init_state(struct vcpu *v)
{
	struct kvm_sregs *s = &v->run->s.regs.sregs;
	struct kvm_xcrs x = { .nr_xcrs = 1, .xcrs = { { .xcr = 0, .value = v->m->xcr0 } } };

	if (ioctl(v->fd, KVM_GET_SREGS, s) < 0)
		return -errno;
	fill_sregs(v, s);
	if (ioctl(v->fd, KVM_SET_SREGS, s) < 0)
		return -errno;
	(void)ioctl(v->fd, KVM_SET_XCRS, &x); /* kvm_pvm has the host's whatever is set */
	if (set_msr(v, 0xc0000081, (uint64_t)0x23 << 48 | (uint64_t)RT_KERNEL_CS << 32) < 0 ||
	    set_msr(v, 0xc0000082, RT_GATE) < 0 || set_msr(v, 0xc0000084, flags_off(v->m)) < 0)
		return -EINVAL;
	set_clock(v);
	return 0;
}

/* --- the pool -------------------------------------------------------------------------------------------- */

static int vcpu_create(struct machine *m, unsigned index, struct vcpu **ret)
{
	struct vcpu *v = calloc(1, sizeof(*v));
	long r;

	if (!v)
		return -ENOMEM;
	v->m = m;
	v->index = index;
	r = HOST(ioctl(m->vm_fd, KVM_CREATE_VCPU, (unsigned long)index));
	if (r < 0)
		goto fail;
	v->fd = (int)r;
	v->run = mmap(NULL, m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		r = -errno;
		goto fail_fd;
	}
	r = HOST(ioctl(v->fd, KVM_SET_CPUID2, m->cpuid));
	if (r == 0)
		r = kernel_map_vcpu(v);
	if (r == 0)
		r = vcpu_set_root(v, NULL);
	if (r == 0)
		r = vcpu_init_state(v);
	if (r < 0)
		goto fail_map;
	atomic_store(&m->vcpus[index], v);
	mutex_lock(&m->pool_lock);
	atomic_store(&m->nready, MAX(atomic_load(&m->nready), index + 1));
	mutex_unlock(&m->pool_lock);
	v->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
	*ret = v;
	return 0;
fail_map:
	munmap(v->run, m->run_size);
fail_fd:
	close(v->fd);
fail:
	free(v);
	return (int)r;
}

int vcpu_take(struct platform *p, struct vcpu **ret)
{
	struct machine *m = machine_of(p);
	struct vcpu *v;
	unsigned index = 0;
	int r;

	mutex_lock(&m->pool_lock);
	v = m->idle;
	if (v)
		m->idle = v->next_idle;
	else
		index = m->nvcpus < m->max_vcpus ? m->nvcpus++ : UINT32_MAX;
	mutex_unlock(&m->pool_lock);
	if (!v) {
		if (index == UINT32_MAX)
			return -EAGAIN;
		r = vcpu_create(m, index, &v);
		if (r < 0) { /* the index is lost: KVM may have used it */
			log_warn("the host gives no more virtual CPUs after %u: error %d", index, -r);
			return -EAGAIN;
		}
	}
	atomic_store(&v->kicked, false);
	*ret = v;
	return 0;
}

void vcpu_give_back(struct vcpu *v)
{
	struct machine *m;

	if (!v || v->broken) /* a broken one stays as it is: KVM takes no vCPU away */
		return;
	m = v->m;
	if (here == v)
		here = NULL; /* a late kick is not for its next owner */
	slot_set_server(v, NULL, NULL);
	slot_wipe(v);
	vcpu_set_root(v, NULL);
	mutex_lock(&m->pool_lock);
	v->next_idle = m->idle;
	m->idle = v;
	mutex_unlock(&m->pool_lock);
}

int vcpu_set_root(struct vcpu *v, struct aspace *as)
{
	gpa_t root = aspace_root(as ? as : v->m->empty, v);

	if (root == GPA_NONE)
		return -ENOMEM;
	v->as = as;
	v->cr3 = root;
	v->show_from = 0;
	return 0;
}

/* --- entering -------------------------------------------------------------------------------------------- */

/* Extended state that was set meanwhile is loaded by the gate, and then so is all the rest: slot.c. */
static bool load_by_gate(struct vcpu *v, const struct uregs *r)
{
	if (r->rflags & (FLAG_TF | FLAG_RF)) /* popf does not load the one, and the other would step in the gate */
		fpu_flush(v);
	return v->fpu_pending;
}

static void load_regs(struct vcpu *v, const struct uregs *r)
{
	struct kvm_regs *k = &v->run->s.regs.regs;
	struct kvm_sregs *s = &v->run->s.regs.sregs;

	*k = (struct kvm_regs){
		.rax = r->rax, .rbx = r->rbx, .rcx = r->rcx, .rdx = r->rdx, .rsi = r->rsi, .rdi = r->rdi,
		.rsp = r->rsp, .rbp = r->rbp, .r8 = r->r8, .r9 = r->r9, .r10 = r->r10, .r11 = r->r11,
		.r12 = r->r12, .r13 = r->r13, .r14 = r->r14, .r15 = r->r15, .rip = v->show_from && r->rip == v->show_from ? v->show_to : r->rip,
		.rflags = (r->rflags & FLAGS_USER) | FLAGS_ALWAYS,
	};
	v->loads = v->asked = false;
	if (load_by_gate(v, r)) {
		slot_load(v);
		k->rip = RT_GATE + v->m->gate[GATE_TRAP].load;
		k->rflags = FLAGS_ALWAYS;
	}
	v->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
	if (!v->at_cpl0 && s->fs.base == r->fs_base && s->gs.base == r->gs_base && s->cr3 == v->cr3)
		return;
	s->cs = user_cs;
	s->ss = user_ss;
	s->fs.base = r->fs_base;
	s->gs.base = r->gs_base;
	s->cr3 = v->cr3;
	v->run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
	v->at_cpl0 = false;
}

static void bind_thread(struct vcpu *v)
{
	if (!my_tid)
		my_tid = (int)syscall(SYS_gettid);
	here = v;
	atomic_store_explicit(&v->tid, my_tid, memory_order_relaxed);
}

/*
 * With virtual processors of its own the guest reads a CPU number that somebody must keep true: this one is as old as
 * the last entry. A deprivileged guest sees the host's.
 */
static void tell_cpu_number(struct vcpu *v)
{
	unsigned cpu, node;

	if (getcpu(&cpu, &node) < 0 || (int)cpu == v->cpu)
		return;
	v->cpu = (int)cpu;
	kernel_set_cpu_number(v, cpu | node << 12);
	(void)set_msr(v, 0xc0000103, cpu | node << 12); /* TSC_AUX: rdpid, rdtscp */
}

void vcpu_enter(struct vcpu *v, struct uregs *r, struct vcpu_event *ev)
{
	long e;

	if (here != v || atomic_load_explicit(&v->tid, memory_order_relaxed) != my_tid)
		bind_thread(v);
	ev->hot = 0;
	v->regs = r;
	if (v->broken) {
		ev->kind = VCPU_DEAD;
		return;
	}
	load_regs(v, r);
	if (v->m->hardware)
		tell_cpu_number(v);
	v->run->immediate_exit = 0;
	atomic_store(&v->in_run, true);
	do {
		if (atomic_exchange(&v->kicked, false)) {
			/* Nothing ran: what was to be loaded still is. The ring-0 rule must be kept. */
			v->at_cpl0 |= !!(v->run->kvm_dirty_regs & KVM_SYNC_X86_SREGS);
			ev->kind = VCPU_KICKED;
			break;
		}
		slot_enter(v);
		v->fpu_pending = false;
		e = HOST(ioctl(v->fd, KVM_RUN, 0));
		slot_leave(v);
		count_one(&v->nexits);
	} while (!exit_decode(v, e, r, ev));
	atomic_store(&v->in_run, false);
}

void vcpu_kick(struct vcpu *v)
{
	atomic_store(&v->kicked, true);
	if (atomic_load(&v->in_run))
		syscall(SYS_tgkill, getpid(), atomic_load(&v->tid), SIG_KICK);
}

/* --- boot: which trap model --------------------------------------------------------------------------------- */

int vcpu_probe(struct vcpu *v, const void *program, size_t size, uint64_t r12)
{
	struct machine *m = v->m;
	gva_t code = RT_PROBE;
	gpa_t page = table_alloc(m);
	struct kvm_regs *k = &v->run->s.regs.regs;
	long e;
	int r;

	if (page == GPA_NONE)
		return -ENOMEM;
	memcpy(gpa_hva(m, page), program, size);
	r = kernel_map(v, code, page, PTE_P | PTE_U);
	if (r < 0)
		return r;
	*k = (struct kvm_regs){ .rip = code, .rflags = FLAGS_ALWAYS, .rsp = code, .r12 = r12 };
	v->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	do {
		e = HOST(ioctl(v->fd, KVM_RUN, 0));
	} while (e == -EINTR || e == -EAGAIN);
	if (e < 0)
		return (int)e;
	if (v->run->exit_reason != KVM_EXIT_IO || v->run->io.port != RT_GATE_PORT) {
		log_warn("a system call left the VM with exit reason %u, port %u, rip %llx", v->run->exit_reason,
			 v->run->exit_reason == KVM_EXIT_IO ? v->run->io.port : 0, v->run->s.regs.regs.rip);
		return -EIO;
	}
	kernel_map(v, code, page, 0);
	memory_zap(m, page, PAGE_SIZE); /* the page is not used again: its translation may have been cached */
	return 0;
}

/* Runs one `syscall` from a page of the upper half and looks at the ring that the gate runs in. */
static int probe_trap_model(struct vcpu *v)
{
	static const uint8_t code[] = { 0x0f, 0x05 }; /* syscall */
	int r = vcpu_probe(v, code, sizeof(code), 0);

	if (r == 0)
		v->m->hardware = v->run->s.regs.sregs.ss.dpl == 0;
	return r;
}

static bool cpuid_bit(struct machine *m, uint32_t function, char reg, int bit)
{
	for (unsigned i = 0; i < m->cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &m->cpuid->entries[i];

		if (e->function == function && e->index == 0)
			return (reg == 'b' ? e->ebx : e->ecx) >> bit & 1;
	}
	return false;
}

/* Of the hardware kind, the gate's pages are no more the program's, as they were for the probe. */
static void take_back_gate(struct vcpu *v)
{
	for (int i = 0; i < VCPU_PAGES; i++)
		memory_zap(v->m, v->pages[i], PAGE_SIZE);
	memory_zap(v->m, v->m->gate_page[GATE_TRAP], PAGE_SIZE);
	memory_flush_tables(v->m);
}

int vcpus_init(struct machine *m, char *err, size_t err_size)
{
	struct vcpu *v;
	int r;

	mutex_init(&m->pool_lock);
	wait_kick_hook = on_kick;
	wait_sleep_hook = on_sleep;
	m->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_FSGSBASE | CR4_OSXSAVE;
	kernel_choose_gate(m); /* the deprivileged one leaves by `out` in both models */
	r = vcpu_create(m, 0, &v);
	if (r < 0) {
		/* kvm_pvm lists no FSGSBASE and has it; where it is neither listed nor there, do without. */
		m->cr4 &= ~(uint64_t)CR4_FSGSBASE;
		r = vcpu_create(m, 1, &v);
	}
	m->nvcpus = 2;
	if (r == 0)
		r = probe_trap_model(v);
	if (r == 0) {
		kernel_choose_gate(m);
		if (m->hardware && cpuid_bit(m, 7, 'b', 7))
			m->cr4 |= CR4_SMEP;
		if (m->hardware && cpuid_bit(m, 7, 'b', 20))
			m->cr4 |= CR4_SMAP;
		r = kernel_map_gate(v);
	}
	if (r == 0) {
		if (m->hardware)
			take_back_gate(v);
		r = vcpu_init_state(v);
		v->run->kvm_dirty_regs = 0;
	}
	if (r < 0) {
		snprintf(err, err_size, "/dev/kvm: cannot run a virtual CPU: %s", strerror(-r));
		return -1;
	}
	m->idle = v;
	return 0;
}

void vcpus_fini(struct machine *m)
{
	while (m->idle) {
		struct vcpu *v = m->idle;

		m->idle = v->next_idle;
		munmap(v->run, m->run_size);
		close(v->fd);
		free(v);
	}
}
