/* SPDX-License-Identifier: MIT */
/*
 * What guests make the VMM keep for them in memory of its own (messages, semaphores, filters): together it is bounded by a
 * part of the instance's memory, as a kernel's is by a memory cgroup.
 */
#ifndef EMUL_PROC_KMEM_H
#define EMUL_PROC_KMEM_H

#include <stdbool.h>
#include <stdint.h>

void kmem_boot(uint64_t memory_limit); /* before the first task */
bool kmem_charge(uint64_t bytes);      /* false: -ENOMEM */
void kmem_uncharge(uint64_t bytes);

#endif
