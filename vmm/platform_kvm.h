/* SPDX-License-Identifier: MIT */
/* The machine of platform.h, made of KVM. */
#ifndef VMM_PLATFORM_KVM_H
#define VMM_PLATFORM_KVM_H

#include <stdbool.h>
#include <stddef.h>

struct platform;

struct platform_kvm_config {
	const char *device; /* NULL: /dev/kvm */
	bool no_rewrite;    /* `syscall` instructions stay as they are */
	char *err;          /* gets one line that says what is wrong and what to do */
	size_t err_size;
};

/* Opens the device, creates the VM, finds out which kind of KVM it is. NULL and *err. */
struct platform *platform_kvm_new(const struct platform_kvm_config *cfg);
void platform_kvm_free(struct platform *p);

#endif
