/* SPDX-License-Identifier: MIT */
/* Extended processor state in XSAVE's standard format, as signal frames hold it. */
/* host syscalls: ioctl */
#include <cpuid.h>
#include <string.h>
#include <sys/ioctl.h>

#include "emul/base/err.h"
#include "vmm/machine.h"

#define XFEATURES_AMX ((uint64_t)3 << 17) /* needs arch_prctl(ARCH_REQ_XCOMP_PERM), which programs are not given */
#define FCW 0
#define MXCSR 24
#define MXCSR_MASK 28
#define XSAVE_HEADER 512
#define XSAVE_HEADER_SIZE 64
#define XSAVE_LEAST 576

static uint64_t host_xcr0(void)
{
	uint32_t a, d;

	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	return a | (uint64_t)d << 32;
}

/* What KVM says that a guest may have; 0: nothing said. */
static uint64_t supported_xcr0(struct machine *m)
{
	for (unsigned i = 0; i < m->cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &m->cpuid->entries[i];

		if (e->function == 0xd && e->index == 0)
			return e->eax | (uint64_t)e->edx << 32;
	}
	return 0;
}

/* What MXCSR may hold. */
static uint32_t host_mxcsr_mask(void)
{
	uint8_t area[512] __attribute__((aligned(16))) = { 0 };
	uint32_t mask;

	__asm__ volatile("fxsave64 %0" : "=m"(area));
	memcpy(&mask, area + MXCSR_MASK, sizeof(mask));
	return mask ? mask : 0xffbf;
}

int fpu_init(struct machine *m)
{
	unsigned a, b, c, d;
	uint64_t supported = supported_xcr0(m);
	size_t size = XSAVE_LEAST;

	m->xcr0 = host_xcr0() & ~XFEATURES_AMX;
	if (supported)
		m->xcr0 &= supported;
	m->xcr0 |= 3;
	for (unsigned i = 2; i < 63; i++) {
		if (!(m->xcr0 >> i & 1))
			continue;
		__cpuid_count(0xd, i, a, b, c, d);
		size = MAX(size, (size_t)b + a);
	}
	m->platform.xstate_size = size;
	m->platform.xfeatures = m->xcr0;
	m->mxcsr_mask = host_mxcsr_mask();
	return size <= sizeof(struct kvm_xsave) ? 0 : -ENOTSUP;
}

/*
 * Where the gate runs in ring 3 it loads what is set here from RT_XSTATE, on the way into the guest, which saves an ioctl (vcpu.c: load_regs()).
 * While the helper serves a vCPU, that page is what the gate has saved, and is going to load.
 */
static int set_page(struct vcpu *v, const uint8_t *buf)
{
	static const uint8_t zero[XSAVE_HEADER_SIZE];
	uint64_t bv;
	uint32_t mxcsr;

	memcpy(&bv, buf + XSAVE_HEADER, sizeof(bv));
	memcpy(&mxcsr, buf + MXCSR, sizeof(mxcsr));
	/* XRSTOR would fault, and KVM refuses it. */
	if ((bv & ~v->m->xcr0) || (mxcsr & ~v->m->mxcsr_mask) || memcmp(buf + XSAVE_HEADER + sizeof(bv), zero, XSAVE_HEADER_SIZE - sizeof(bv)))
		return -EINVAL;
	if (buf != v->xstate)
		memcpy(v->xstate, buf, v->m->platform.xstate_size);
	v->fpu_pending = !v->fpu_in_slot;
	return 0;
}

int fpu_get(struct vcpu *v, void *buf)
{
	struct kvm_xsave x;
	long r;

	if (v->fpu_in_slot || v->fpu_pending) {
		memcpy(buf, v->xstate, v->m->platform.xstate_size);
		return 0;
	}
	r = HOST(ioctl(v->fd, KVM_GET_XSAVE, &x));
	if (r == 0)
		memcpy(buf, &x, v->m->platform.xstate_size);
	return (int)r;
}

static int set_by_ioctl(struct vcpu *v, const void *buf)
{
	struct kvm_xsave x = { 0 };

	memcpy(&x, buf, v->m->platform.xstate_size);
	return (int)HOST(ioctl(v->fd, KVM_SET_XSAVE, &x));
}

int fpu_set(struct vcpu *v, const void *buf)
{
	return v->m->hardware ? set_by_ioctl(v, buf) : set_page(v, buf);
}

void fpu_reset(struct vcpu *v)
{
	struct kvm_xsave x = { 0 };
	const uint16_t fcw = 0x37f;
	const uint32_t mxcsr = 0x1f80;
	const uint64_t xstate_bv = 3; /* x87 and SSE from here; the rest to its initial state */

	memcpy((uint8_t *)&x + FCW, &fcw, sizeof(fcw));
	memcpy((uint8_t *)&x + MXCSR, &mxcsr, sizeof(mxcsr));
	memcpy((uint8_t *)&x + XSAVE_HEADER, &xstate_bv, sizeof(xstate_bv));
	(void)fpu_set(v, &x);
}

void fpu_flush(struct vcpu *v)
{
	if (!v->fpu_pending)
		return;
	v->fpu_pending = false;
	(void)set_by_ioctl(v, v->xstate);
}
