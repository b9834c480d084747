/* SPDX-License-Identifier: MIT */
/*
 * Guest physical memory: chunks of frames, windows onto host files, and how a translation to them is
 * taken away from running vCPUs.
 *
 * A zap makes the host invalidate its mapping of the bytes; KVM's MMU notifier then drops every
 * translation to them, in all address spaces, before the call returns. For frames that is
 * userfaultfd write-protection on and off (data stays, no VMA is split); for windows MADV_DONTNEED.
 */
/* host syscalls: mmap munmap madvise userfaultfd ioctl mprotect open */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "vmm/machine.h"

#define WINDOW_SLOT ((size_t)1 << 30)

/* One slot over a PROT_NONE reservation; files are mapped into it by pages. */
struct window_slot {
	struct window_slot *next;
	gpa_t gpa;
	uint8_t *hva;
	size_t size;
	uint8_t *used; /* one byte a 64 KiB unit */
};
#define WINDOW_UNIT ((size_t)64 << 10)

static int open_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	/* Kernel-mode faults too, where that is permitted: a host call then waits out a zap instead of failing. */
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* PAGEMAP_SCAN (Documentation/admin-guide/mm/pagemap.rst): Linux 6.7, and its headers. */
struct scan_region { uint64_t start, end, categories; };
struct scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN_IOCTL _IOWR('f', 16, struct scan)
#define SCAN_IS_HUGE ((uint64_t)1 << 6)

/* How many pages are found that are not parts of large ones: 0 or 1. -errno. */
static long scan_small(int pagemap, void *hva, size_t len)
{
	struct scan_region found;
	struct scan s = {
		.size = sizeof(s), .start = (uint64_t)hva, .end = (uint64_t)hva + len, .vec = (uint64_t)&found, .vec_len = 1, .max_pages = 1,
		.category_inverted = SCAN_IS_HUGE, .category_mask = SCAN_IS_HUGE, .return_mask = SCAN_IS_HUGE,
	};

	return HOST(ioctl(pagemap, SCAN_IOCTL, &s));
}

/* -1: nobody can tell. */
static int open_pagemap(void)
{
	static char page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && scan_small(fd, page, sizeof(page)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int memory_init(struct machine *m)
{
	mutex_init(&m->memory_lock);
	m->next_frame_gpa = GPA_UNIT; /* nothing at 0: a forgotten address must not hit a frame */
	m->next_window_gpa = GPA_WINDOWS;
	m->uffd = open_uffd();
	m->pagemap = open_pagemap();
	return 0;
}

int memory_add_slot(struct machine *m, gpa_t gpa, void *hva, size_t size, uint32_t flags)
{
	struct kvm_userspace_memory_region r = {
		.slot = m->next_slot, .flags = flags, .guest_phys_addr = gpa, .memory_size = size, .userspace_addr = (uint64_t)hva,
	};
	long e = HOST(ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &r));

	if (e < 0)
		return (int)e;
	m->next_slot++;
	for (size_t at = 0; at < size && !(gpa & (GPA_UNIT - 1)); at += GPA_UNIT)
		atomic_store_explicit(&m->hva_of[(gpa + at) >> GPA_UNIT_SHIFT], (uint8_t *)hva + at, memory_order_release);
	return 0;
}

static void *map_aligned(size_t size)
{
	uint8_t *p = mmap(NULL, size + HUGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *at;

	if (p == MAP_FAILED)
		return NULL;
	at = (uint8_t *)(((uintptr_t)p + HUGE_SIZE - 1) & HUGE_MASK);
	if (at > p)
		munmap(p, (size_t)(at - p));
	munmap(at + size, (size_t)(p + HUGE_SIZE - at));
	return at;
}

static int register_zap(struct machine *m, void *hva, size_t size)
{
	struct uffdio_register r = { .range = { (uint64_t)hva, size }, .mode = UFFDIO_REGISTER_MODE_WP };

	return m->uffd < 0 ? 0 : (int)HOST(ioctl(m->uffd, UFFDIO_REGISTER, &r));
}

int memory_grow(struct platform *p, size_t size, gpa_t *ret_gpa, void **ret_hva)
{
	struct machine *m = machine_of(p);
	void *hva = map_aligned(size);
	gpa_t gpa;
	int r;

	if (!hva)
		return -ENOMEM;
	madvise(hva, size, MADV_HUGEPAGE);
	madvise(hva, size, MADV_DONTFORK);
	r = register_zap(m, hva, size);
	mutex_lock(&m->memory_lock);
	gpa = m->next_frame_gpa;
	if (r == 0 && gpa + size > GPA_WINDOWS)
		r = -ENOMEM;
	if (r == 0)
		r = memory_add_slot(m, gpa, hva, size, 0);
	if (r == 0)
		m->next_frame_gpa = (gpa + size + GPA_UNIT - 1) & ~(GPA_UNIT - 1);
	mutex_unlock(&m->memory_lock);
	if (r < 0) {
		munmap(hva, size);
		return r;
	}
	*ret_gpa = gpa;
	*ret_hva = hva;
	return 0;
}

int memory_populate(struct platform *p, gpa_t gpa, size_t len)
{
	void *hva = gpa_hva(machine_of(p), gpa);
	long r = HOST(madvise(hva, len, MADV_POPULATE_WRITE));

	if (r == -EINVAL)
		return 0; /* before Linux 5.14 pages come one by one */
	if (r == 0 && len >= HUGE_SIZE)
		madvise(hva, len, MADV_NOHUGEPAGE); /* large pages stay, small ones stay small: memory_is_huge() */
	return (int)r;
}

void memory_huge(struct platform *p, gpa_t gpa, size_t len, bool huge)
{
	madvise(gpa_hva(machine_of(p), gpa), len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

void memory_discard(struct platform *p, gpa_t gpa, size_t len)
{
	void *hva = gpa_hva(machine_of(p), gpa);

	madvise(hva, len, MADV_DONTNEED);
	if (len >= HUGE_SIZE)
		madvise(hva, len, MADV_HUGEPAGE);
}

/* --- windows ------------------------------------------------------------------------------------ */

static struct window_slot *add_window_slot(struct machine *m, size_t least)
{
	struct window_slot *w = calloc(1, sizeof(*w));
	size_t size = (least + WINDOW_SLOT - 1) & ~(WINDOW_SLOT - 1);

	if (!w || m->next_window_gpa + size > (gpa_t)GPA_UNITS << GPA_UNIT_SHIFT)
		goto fail;
	w->used = calloc(size / WINDOW_UNIT, 1);
	w->hva = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!w->used || w->hva == MAP_FAILED || memory_add_slot(m, m->next_window_gpa, w->hva, size, 0) < 0)
		goto fail;
	w->gpa = m->next_window_gpa;
	w->size = size;
	w->next = m->windows;
	m->windows = w;
	m->next_window_gpa += size;
	return w;
fail:
	if (w && w->hva && w->hva != MAP_FAILED)
		munmap(w->hva, size);
	if (w)
		free(w->used);
	free(w);
	return NULL;
}

/* The first run of n free units; their number in the slot, or -1. */
static long find_units(struct window_slot *w, size_t n)
{
	size_t run = 0;

	for (size_t i = 0; i < w->size / WINDOW_UNIT; i++) {
		run = w->used[i] ? 0 : run + 1;
		if (run == n)
			return (long)(i + 1 - n);
	}
	return -1;
}

int memory_window_map(struct platform *p, int fd, off_t off, size_t len, int prot, gpa_t *ret_gpa, void **ret_hva)
{
	struct machine *m = machine_of(p);
	size_t units = (len + WINDOW_UNIT - 1) / WINDOW_UNIT;
	struct window_slot *w;
	long at = -1;
	void *hva;

	if (!len || (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC)))
		return -EINVAL;
	mutex_lock(&m->memory_lock);
	for (w = m->windows; w; w = w->next)
		if ((at = find_units(w, units)) >= 0)
			break;
	if (!w) {
		w = add_window_slot(m, units * WINDOW_UNIT);
		at = 0;
	}
	if (!w) {
		mutex_unlock(&m->memory_lock);
		return -ENOMEM;
	}
	for (size_t i = 0; i < units; i++)
		w->used[(size_t)at + i] = 1;
	mutex_unlock(&m->memory_lock);
	/* Guest execution needs no PROT_EXEC on the host. */
	hva = mmap(w->hva + (size_t)at * WINDOW_UNIT, len, prot & (PROT_READ | PROT_WRITE), MAP_SHARED | MAP_FIXED, fd, off);
	*ret_gpa = w->gpa + (size_t)at * WINDOW_UNIT;
	if (hva == MAP_FAILED) {
		int e = errno;

		memory_window_unmap(p, *ret_gpa, len);
		return -e;
	}
	*ret_hva = hva;
	return 0;
}

void memory_window_unmap(struct platform *p, gpa_t gpa, size_t len)
{
	struct machine *m = machine_of(p);
	size_t units = (len + WINDOW_UNIT - 1) / WINDOW_UNIT;
	struct window_slot *w;

	mmap(gpa_hva(m, gpa), len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	mutex_lock(&m->memory_lock);
	for (w = m->windows; w; w = w->next)
		if (gpa >= w->gpa && gpa < w->gpa + w->size)
			for (size_t i = 0; i < units; i++)
				w->used[(gpa - w->gpa) / WINDOW_UNIT + i] = 0;
	mutex_unlock(&m->memory_lock);
}

/* --- flushing --------------------------------------------------------------------------------------- */

static bool zap_by_uffd(struct machine *m, void *hva, size_t len)
{
	struct uffdio_writeprotect w = { .range = { (uint64_t)hva, len }, .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	long r;

	if (m->uffd < 0)
		return false;
	do {
		r = HOST(ioctl(m->uffd, UFFDIO_WRITEPROTECT, &w));
	} while (r == -EAGAIN);
	if (r < 0)
		return false;
	w.mode = 0;
	do {
		r = HOST(ioctl(m->uffd, UFFDIO_WRITEPROTECT, &w));
	} while (r == -EAGAIN);
	if (r < 0)
		log_warn("userfaultfd cannot lift write protection: %ld", r);
	return r == 0;
}

void memory_zap(struct machine *m, gpa_t gpa, size_t len)
{
	void *hva = gpa_hva(m, gpa);

	if (gpa_is_window(gpa)) {
		madvise(hva, len, MADV_DONTNEED);
		return;
	}
	if (zap_by_uffd(m, hva, len))
		return;
	/* Without userfaultfd: a change of protection and back does the same, at the price of split VMAs. */
	mprotect(hva, len, PROT_READ);
	mprotect(hva, len, PROT_READ | PROT_WRITE);
}

bool memory_is_huge(struct machine *m, gpa_t gpa, size_t len)
{
	return m->pagemap >= 0 && !gpa_is_window(gpa) && scan_small(m->pagemap, gpa_hva(m, gpa), len) == 0;
}

/*
 * Removing any slot makes KVM drop all shadow page tables and flush all CPUs (kvm_mmu_zap_all_fast):
 * the only documented way that also forgets which table a non-leaf entry pointed to.
 */
void memory_flush_tables(struct machine *m)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct kvm_userspace_memory_region r = {
		.slot = 30000, .guest_phys_addr = ((gpa_t)GPA_UNITS << GPA_UNIT_SHIFT) + GPA_UNIT, .memory_size = PAGE_SIZE,
		.userspace_addr = (uint64_t)page,
	};

	mutex_lock(&m->memory_lock);
	if (ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &r) < 0)
		log_warn("cannot add the flush slot: %d", errno);
	r.memory_size = 0;
	if (ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &r) < 0)
		log_warn("cannot remove the flush slot: %d", errno);
	mutex_unlock(&m->memory_lock);
}
