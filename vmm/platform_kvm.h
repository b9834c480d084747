/* SPDX-License-Identifier: MIT */
/* The machine of platform.h, made of KVM. */
#ifndef VMM_PLATFORM_KVM_H
#define VMM_PLATFORM_KVM_H

#include <stdbool.h>
#include <stddef.h>

struct platform;

/* Whether hot `syscall` instructions become jumps. AUTO: if a call is faster so. */
enum rewrite { REWRITE_AUTO, REWRITE_ALWAYS, REWRITE_NEVER };

struct platform_kvm_config {
	const char *device; /* NULL: /dev/kvm */
	enum rewrite rewrite;
	char *err;          /* gets one line that says what is wrong and what to do */
	size_t err_size;
};

/* Opens the device, creates the VM, finds out which kind of KVM it is. NULL and *err. */
struct platform *platform_kvm_new(const struct platform_kvm_config *cfg);
void platform_kvm_free(struct platform *p);

#endif
