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
/* Each argument once, compared in their common type; the names are unique, so that these nest. */
#define CHOOSE_(op, a, b, x, y) ({ __typeof__((a) + (b)) x = (a), y = (b); x op y ? x : y; })
#define PASTE_(a, b) a##b
#define UNIQUE_(a, n) PASTE_(a, n)
#define MIN(a, b) CHOOSE_(<, a, b, UNIQUE_(a_, __COUNTER__), UNIQUE_(b_, __COUNTER__))
#define MAX(a, b) CHOOSE_(>, a, b, UNIQUE_(a_, __COUNTER__), UNIQUE_(b_, __COUNTER__))

#endif
