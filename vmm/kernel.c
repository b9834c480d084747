/* SPDX-License-Identifier: MIT */
/*
 * The upper half of every address space: what the processor needs to leave ring 3. IDT and
 * one-instruction fault stubs for all, TSS with GDT, exception stack, gate and data page for each vCPU.
 */
#include <string.h>

#include "emul/base/err.h"
#include "guest-rt/abi.h"
#include "vmm/machine.h"

#define GATE_OFF(name, label) (unsigned)(rt_gate_##name##_##label - rt_gate_##name)
#define GATE(name) \
	extern const uint8_t rt_gate_##name[], rt_gate_##name##_has_rcx[], rt_gate_##name##_has_r11[], rt_gate_##name##_out[], rt_gate_##name##_asked[], \
		rt_gate_##name##_told[], rt_gate_##name##_ask[], rt_gate_##name##_done[], rt_gate_##name##_save[], \
		rt_gate_##name##_load[], rt_gate_##name##_load_end[], rt_gate_##name##_jumped[], rt_gate_##name##_jumped_has_rcx[], rt_gate_##name##_end[]; \
	static struct gate_layout name##_gate(gva_t base) \
	{ \
		return (struct gate_layout){ \
			.base = base, \
			.code = rt_gate_##name, \
			.has_rcx = GATE_OFF(name, has_rcx), \
			.has_r11 = GATE_OFF(name, has_r11), \
			.out = GATE_OFF(name, out), \
			.asked = GATE_OFF(name, asked), \
			.told = GATE_OFF(name, told), \
			.ask = GATE_OFF(name, ask), \
			.done = GATE_OFF(name, done), \
			.save = GATE_OFF(name, save), \
			.load = GATE_OFF(name, load), \
			.load_end = GATE_OFF(name, load_end), \
			.jumped = GATE_OFF(name, jumped), \
			.jumped_has_rcx = GATE_OFF(name, jumped_has_rcx), \
			.end = GATE_OFF(name, end), \
		}; \
	}
GATE(user)
GATE(kernel)
GATE(jump)
extern const uint8_t rt_stubs[], rt_stubs_end[];

#define K_RW (PTE_P | PTE_W | PTE_NX)
#define K_RX (PTE_P)

static unsigned slot_of(gva_t gva, int level)
{
	return gva >> (PAGE_SHIFT + 9 * (level - 1)) & 511;
}

int kernel_map(struct vcpu *v, gva_t gva, gpa_t gpa, uint64_t flags)
{
	gpa_t t = v->kernel_table;
	uint64_t *e;

	for (int level = 3; level > 1; level--) {
		e = (uint64_t *)gpa_hva(v->m, t) + slot_of(gva, level);
		if (!*e) {
			gpa_t n = table_alloc(v->m);

			if (n == GPA_NONE)
				return -ENOMEM;
			/* U here permits what the leaf permits: gates are user pages in the deprivileged model */
			__atomic_store_n(e, n | PTE_P | PTE_W | PTE_U | PTE_A, __ATOMIC_RELEASE);
		}
		t = *e & PTE_ADDR;
	}
	e = (uint64_t *)gpa_hva(v->m, t) + slot_of(gva, 1);
	__atomic_store_n(e, gpa | flags | PTE_A | PTE_D, __ATOMIC_RELEASE);
	return 0;
}

static void fill_gdt(uint64_t *gdt)
{
	gdt[RT_KERNEL_CS / 8] = 0x00af9b000000ffff;
	gdt[RT_KERNEL_DS / 8] = 0x00cf93000000ffff;
	gdt[4] = 0x00cffb000000ffff; /* 32-bit user code: STAR wants its place */
	gdt[RT_USER_DS / 8] = 0x00cff3000000ffff;
	gdt[RT_USER_CS / 8] = 0x00affb000000ffff;
}

/* arch/x86/entry/vdso/vma.c, vdso_cpunode: read-only data of ring 3, byte limit. */
void kernel_set_cpu_number(struct vcpu *v, uint32_t number)
{
	uint64_t *gdt = (uint64_t *)((uint8_t *)gpa_hva(v->m, v->pages[VCPU_PAGE_TSS]) + RT_GDT - RT_TSS);

	gdt[RT_CPU_NUMBER / 8] = 0x0040f50000000000 | (uint64_t)(number >> 16 & 0xf) << 48 | (number & 0xffff);
}

/* Only int3 and int 4 may be asked for by programs; `int 14` is a protection fault, as on Linux. */
static void fill_idt(uint64_t *idt)
{
	for (unsigned i = 0; i < RT_VECTORS; i++) {
		uint64_t h = RT_STUBS + i * RT_STUB_SIZE, type = i == 3 || i == 4 ? 0xee : 0x8e;

		idt[2 * i] = (h & 0xffff) | (uint64_t)RT_KERNEL_CS << 16 | type << 40 | (h >> 16 & 0xffff) << 48;
		idt[2 * i + 1] = h >> 32;
	}
}

int kernel_init(struct machine *m)
{
	m->idt_page = table_alloc(m);
	m->stubs_page = table_alloc(m);
	m->gate_page[GATE_TRAP] = table_alloc(m);
	m->gate_page[GATE_JUMP] = table_alloc(m);
	if (m->idt_page == GPA_NONE || m->stubs_page == GPA_NONE || m->gate_page[GATE_TRAP] == GPA_NONE || m->gate_page[GATE_JUMP] == GPA_NONE)
		return -ENOMEM;
	fill_idt(gpa_hva(m, m->idt_page));
	memcpy(gpa_hva(m, m->stubs_page), rt_stubs, (size_t)(rt_stubs_end - rt_stubs));
	m->empty = aspace_new(&m->platform);
	return m->empty ? 0 : -ENOMEM;
}

/* The TSS: the exception stack, and a bitmap that opens no port, or the gate's alone. */
#define TSS_RSP0 4
#define TSS_IOMAP_BASE 102
#define TSS_IOMAP 104
#define TSS_IOMAP_BYTES 32 /* ports 0..255; beyond the limit nothing is permitted */

static void fill_tss(struct vcpu *v, uint8_t *tss)
{
	uint64_t rsp0 = RT_STACK + PAGE_SIZE;
	uint16_t base = TSS_IOMAP;

	memcpy(tss + TSS_RSP0, &rsp0, sizeof(rsp0));
	memcpy(tss + TSS_IOMAP_BASE, &base, sizeof(base));
	memset(tss + TSS_IOMAP, 0xff, TSS_IOMAP_BYTES + 1);
}

void kernel_choose_gate(struct machine *m)
{
	m->gate[GATE_TRAP] = m->hardware ? kernel_gate(RT_GATE) : user_gate(RT_GATE);
	m->gate[GATE_JUMP] = m->hardware ? jump_gate(RT_JUMP) : m->gate[GATE_TRAP];
	for (int i = 0; i < GATES; i++)
		memcpy(gpa_hva(m, m->gate_page[i]), m->gate[i].code, m->gate[i].end);
}

int kernel_map_gate(struct vcpu *v)
{
	struct machine *m = v->m;
	uint8_t *tss = gpa_hva(m, v->pages[VCPU_PAGE_TSS]);

	/* Deprivileged, the gate runs in ring 3: its page is the program's to execute, its port open to 4-byte outs. */
	memset(tss + TSS_IOMAP + RT_GATE_PORT / 8, 0xff, 2);
	if (!m->hardware)
		for (unsigned port = RT_GATE_PORT; port < RT_GATE_PORT + 4; port++)
			tss[TSS_IOMAP + port / 8] &= (uint8_t)~(1u << port % 8);
	if (!m->hardware)
		tss[TSS_IOMAP + RT_BELL_PORT / 8] &= (uint8_t)~(1u << RT_BELL_PORT % 8);
	/* What the gate's ring may write, it can write by itself in the deprivileged model: slot.c trusts none of it. */
	if (kernel_map(v, RT_DATA, v->pages[VCPU_PAGE_DATA], K_RW | (m->hardware ? 0 : PTE_U)) < 0 ||
	    kernel_map(v, RT_XSTATE, v->pages[VCPU_PAGE_XSTATE], K_RW | (m->hardware ? 0 : PTE_U)) < 0)
		return -ENOMEM;
	return kernel_map(v, RT_GATE, m->gate_page[GATE_TRAP], K_RX | (m->hardware ? 0 : PTE_U));
}

int kernel_map_jump_gate(struct vcpu *v)
{
	gpa_t page = table_alloc(v->m);

	if (page == GPA_NONE || kernel_map(v, RT_JUMP_DATA, page, K_RW | PTE_U) < 0 ||
	    kernel_map(v, RT_JUMP, v->m->gate_page[GATE_JUMP], K_RX | PTE_U) < 0)
		return -ENOMEM;
	v->slot[GATE_JUMP] = gpa_hva(v->m, page);
	return 0;
}

int kernel_map_vcpu(struct vcpu *v)
{
	static const gva_t place[VCPU_PAGES] = { [VCPU_PAGE_TSS] = RT_TSS, [VCPU_PAGE_STACK] = RT_STACK, [VCPU_PAGE_DATA] = RT_DATA,
						   [VCPU_PAGE_XSTATE] = RT_XSTATE };
	struct machine *m = v->m;
	uint8_t *tss;

	v->kernel_table = table_alloc(m);
	if (v->kernel_table == GPA_NONE || kernel_map(v, RT_IDT, m->idt_page, K_RW) < 0 || kernel_map(v, RT_STUBS, m->stubs_page, K_RX) < 0)
		return -ENOMEM;
	for (int i = 0; i < VCPU_PAGES; i++) {
		v->pages[i] = table_alloc(m);
		if (v->pages[i] == GPA_NONE || kernel_map(v, place[i], v->pages[i], K_RW) < 0)
			return -ENOMEM;
	}
	v->stack_top = (uint64_t *)((uint8_t *)gpa_hva(m, v->pages[VCPU_PAGE_STACK]) + PAGE_SIZE);
	tss = gpa_hva(m, v->pages[VCPU_PAGE_TSS]);
	fill_tss(v, tss);
	fill_gdt((uint64_t *)(tss + RT_GDT - RT_TSS));
	v->cpu = -1;
	if (m->hardware && m->rewrite && kernel_map_jump_gate(v) < 0)
		return -ENOMEM;
	slot_init(v);
	return kernel_map_gate(v);
}
