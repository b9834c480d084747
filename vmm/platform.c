/* SPDX-License-Identifier: MIT */
/* The ops of platform.h over KVM: which function does what, and the order of boot. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "vmm/machine.h"
#include "vmm/platform_kvm.h"

#define OPS(text)                                   \
	{                                           \
		.name = text,                       \
		.mem_grow = memory_grow,            \
		.mem_populate = memory_populate,    \
		.mem_huge = memory_huge,            \
		.mem_discard = memory_discard,      \
		.window_map = memory_window_map,    \
		.window_unmap = memory_window_unmap, \
		.as_new = aspace_new,               \
		.as_free = aspace_free,             \
		.as_map = aspace_map,               \
		.as_unmap = aspace_unmap,           \
		.as_retire = aspace_retire,         \
		.as_protect = aspace_protect,       \
		.as_lookup = aspace_lookup,         \
		.as_copy_sites = sites_copy,        \
		.site_make = sites_make_patch,      \
		.site_get = sites_get,              \
		.vcpu_get = vcpu_take,              \
		.vcpu_put = vcpu_give_back,         \
		.vcpu_attach = vcpu_set_root,       \
		.vcpu_run = vcpu_enter,             \
		.vcpu_set_server = slot_set_server, \
		.vcpu_tell = slot_tell,             \
		.vcpu_forget = slot_forget,         \
		.vcpu_kick = vcpu_kick,             \
		.vcpu_get_xstate = fpu_get,         \
		.vcpu_set_xstate = fpu_set,         \
		.vcpu_reset_xstate = fpu_reset,     \
		.report = report,                   \
	}

static void report(struct platform *p, struct platform_stats *ret)
{
	struct machine *m = machine_of(p);

	*ret = (struct platform_stats){ .sites = atomic_load(&m->nsites) };
	slot_report(m, ret);
}

static const struct platform_ops hardware_ops = OPS("kvm/hardware");
static const struct platform_ops deprivileged_ops = OPS("kvm/deprivileged");

static int boot(struct machine *m, enum rewrite rewrite, char *err, size_t err_size)
{
	if (memory_init(m) < 0 || kernel_init(m) < 0) {
		snprintf(err, err_size, "/dev/kvm: the VM gets no memory: %s", strerror(errno));
		return -1;
	}
	if (fpu_init(m) < 0) {
		snprintf(err, err_size, "/dev/kvm: this processor has extended state that KVM_GET_XSAVE cannot hold");
		return -1;
	}
	if (vcpus_init(m, err, err_size) < 0)
		return -1;
	if (rewrite_decide(m->idle, rewrite) < 0) {
		snprintf(err, err_size, "/dev/kvm: the gate of rewritten call sites gets no memory");
		return -1;
	}
	vdso_init(m);
	m->platform.ops = m->hardware ? &hardware_ops : &deprivileged_ops;
	m->platform.served_registers = !m->hardware;
	m->platform.hwcap = getauxval(AT_HWCAP);
	m->platform.hwcap2 = getauxval(AT_HWCAP2);
	if (!(m->cr4 & (1u << 16)))
		m->platform.hwcap2 &= ~2ul; /* HWCAP2_FSGSBASE */
	return 0;
}

struct platform *platform_kvm_new(const struct platform_kvm_config *cfg)
{
	struct machine *m = calloc(1, sizeof(*m));

	if (!m) {
		snprintf(cfg->err, cfg->err_size, "out of memory");
		return NULL;
	}
	m->kvm_fd = m->vm_fd = m->uffd = m->pagemap = -1;
	pagetable_init(m);
	if (kvm_open(m, cfg->device ? cfg->device : "/dev/kvm", cfg->err, cfg->err_size) < 0 ||
	    boot(m, cfg->rewrite, cfg->err, cfg->err_size) < 0) {
		platform_kvm_free(&m->platform);
		return NULL;
	}
	return &m->platform;
}

/* Chunks, page tables and vCPUs in use are the host's to take back when the process ends. */
void platform_kvm_free(struct platform *p)
{
	struct machine *m = machine_of(p);

	vcpus_fini(m);
	if (m->vm_fd >= 0)
		close(m->vm_fd);
	if (m->uffd >= 0)
		close(m->uffd);
	if (m->pagemap >= 0)
		close(m->pagemap);
	if (m->kvm_fd >= 0)
		close(m->kvm_fd);
	free(m->cpuid);
	free(m);
}
