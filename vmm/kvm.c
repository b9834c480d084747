/* SPDX-License-Identifier: MIT */
/* /dev/kvm: opening it, what it must be able to do, and the clear word if it cannot. */
/* host syscalls: openat ioctl */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/machine.h"

#define SHADOW_PAGES 32768 /* 4 KiB each of the host's memory, where they are used */

static int fail(char *err, size_t size, const char *device, const char *what)
{
	snprintf(err, size, "%s: %s", device, what);
	return -1;
}

static const char *open_advice(int e)
{
	switch (e) {
	case ENOENT: return "no such device: load the kvm module (modprobe kvm_intel or kvm_amd) or enable virtualisation in the firmware";
	case EACCES:
	case EPERM: return "permission denied: join the group that owns it (usermod -aG kvm USER), or run as root";
	case ENODEV:
	case ENXIO: return "the CPU's virtualisation is not available: enable it in the firmware or for this virtual machine";
	default: return strerror(e);
	}
}

static int check_capabilities(struct machine *m, const char *device, char *err, size_t err_size)
{
	static const struct { int cap, least; const char *name; } need[] = {
		{ KVM_CAP_USER_MEMORY, 1, "KVM_CAP_USER_MEMORY" },
		{ KVM_CAP_NR_MEMSLOTS, 256, "KVM_CAP_NR_MEMSLOTS" },
		{ KVM_CAP_SYNC_MMU, 1, "KVM_CAP_SYNC_MMU" },
		{ KVM_CAP_SYNC_REGS, KVM_SYNC_X86_VALID_FIELDS, "KVM_CAP_SYNC_REGS" },
		{ KVM_CAP_IMMEDIATE_EXIT, 1, "KVM_CAP_IMMEDIATE_EXIT" },
		{ KVM_CAP_XSAVE, 1, "KVM_CAP_XSAVE" },
		{ KVM_CAP_XCRS, 1, "KVM_CAP_XCRS" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(need); i++) {
		char text[128];

		if (ioctl(m->kvm_fd, KVM_CHECK_EXTENSION, need[i].cap) >= need[i].least)
			continue;
		snprintf(text, sizeof(text), "this kernel's KVM has no %s: Linux 5.10 or newer has it", need[i].name);
		return fail(err, err_size, device, text);
	}
	return 0;
}

int kvm_open(struct machine *m, const char *device, char *err, size_t err_size)
{
	int n;

	m->kvm_fd = open(device, O_RDWR | O_CLOEXEC);
	if (m->kvm_fd < 0)
		return fail(err, err_size, device, open_advice(errno));
	if (ioctl(m->kvm_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return fail(err, err_size, device, "not a KVM device that this program knows (KVM_GET_API_VERSION)");
	if (check_capabilities(m, device, err, err_size) < 0)
		return -1;
	m->run_size = (size_t)ioctl(m->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	n = ioctl(m->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	m->max_vcpus = (unsigned)MIN(n > 0 ? n : ioctl(m->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_VCPUS), VCPU_MAX);
	m->cpuid = calloc(1, sizeof(*m->cpuid) + 256 * sizeof(m->cpuid->entries[0]));
	if (!m->cpuid)
		return fail(err, err_size, device, "out of memory");
	m->cpuid->nent = 256;
	if (ioctl(m->kvm_fd, KVM_GET_SUPPORTED_CPUID, m->cpuid) < 0)
		return fail(err, err_size, device, "KVM_GET_SUPPORTED_CPUID is refused");
	m->vm_fd = ioctl(m->kvm_fd, KVM_CREATE_VM, 0);
	if (m->vm_fd < 0)
		return fail(err, err_size, device, errno == EBUSY ? "another hypervisor has the CPU: stop it" : strerror(errno));
	/* Shadow paging only: by default a small VM would shadow a few hundred tables, and rebuild them all the time. */
	(void)ioctl(m->vm_fd, KVM_SET_NR_MMU_PAGES, (unsigned long)SHADOW_PAGES);
	return 0;
}
