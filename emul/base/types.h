/* SPDX-License-Identifier: MIT */
/*
 * Integer types for the two kinds of guest address. A guest address is never a host pointer:
 * it cannot be dereferenced by accident. Sizes and page constants that every layer shares.
 */
#ifndef EMUL_BASE_TYPES_H
#define EMUL_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef uint64_t gva_t; /* guest virtual */
typedef uint64_t gpa_t; /* guest physical */

#define PAGE_SHIFT 12
#define PAGE_SIZE ((uint64_t)1 << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define HUGE_SHIFT 21
#define HUGE_SIZE ((uint64_t)1 << HUGE_SHIFT)
#define HUGE_MASK (~(HUGE_SIZE - 1))

/* Linux's TASK_SIZE_MAX: the first address a 4-level user program cannot have. */
#define USER_END ((gva_t)0x7ffffffff000)

#define GPA_NONE (~(gpa_t)0)

static inline uint64_t page_up(uint64_t x) { return (x + PAGE_SIZE - 1) & PAGE_MASK; }
static inline uint64_t page_down(uint64_t x) { return x & PAGE_MASK; }

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

#undef MIN /* <sys/param.h> has simpler ones */
#undef MAX
#define MIN(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define MAX(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ > b_ ? a_ : b_; })

#endif
