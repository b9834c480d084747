/* SPDX-License-Identifier: MIT */
/*
 * A `struct platform` in plain memory, for unit tests of what stands above it: guest memory from mmap(2), file
 * windows as maps of the file, address spaces as sorted arrays of 4 KiB entries. Nothing runs: the calls for
 * virtual CPUs refuse with -EAGAIN.
 *
 * It checks what platform.h demands of its callers, and aborts where a real machine would go on with a wrong
 * translation: entries for memory that nobody has, a window dropped while it is mapped, an address space freed
 * with leaves in it.
 */
#ifndef TESTS_LIB_FAKE_PLATFORM_H
#define TESTS_LIB_FAKE_PLATFORM_H

#include <stdatomic.h>

#include "emul/base/platform.h"

/*
 * How many more calls of a kind succeed before they fail with -ENOMEM; negative (as made): all of them. as_protect()
 * fails as if a 2 MiB leaf at the end of the range could not be split: only calls that change the last entry count,
 * and the entries before it are changed all the same.
 */
struct fake_budget { _Atomic int mem_grow, mem_populate, window_map, as_new, as_map, as_protect; };

struct fake_counts {
	_Atomic unsigned windows, aspaces, leaves; /* alive now */
	_Atomic unsigned small;                    /* blocks of 2 MiB that shall be of small pages */
	_Atomic uint64_t populated;                /* bytes, in all calls */
	_Atomic unsigned huge_ns;                  /* what populating a block of one large page costs: set by the test */
};

/* With a vDSO of one page of data and one of text. Aborts if the host has no memory. */
struct platform *fake_platform_new(void);
/* Address spaces and windows are gone by now. */
void fake_platform_free(struct platform *p);

struct fake_budget *fake_budget(struct platform *p);
struct fake_counts *fake_counts(struct platform *p);

#endif
