/* SPDX-License-Identifier: MIT */
/*
 * The only code that touches guest memory. Addresses are translated by the platform's tables, leaf by leaf, under
 * the shared lock, so that no frame goes away meanwhile; what is absent or not writable is faulted in first, without the lock.
 *
 * Frames of the pool never fault on the host. File windows may: the file was cut. They are touched by a few instructions only, which
 * the signal handler knows by their addresses, and which report the fault.
 */
/* host syscalls: rt_sigaction */
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "emul/base/err.h"
#include "emul/mm/usercopy.h"
#include "emul/mm/vma.h"

/* --- instructions that may fault -------------------------------------------------------------------- */

/* Functions without frames: copying returns what is left to do, the others 0 or -EFAULT. */
__asm__(".pushsection .text\n"
	"usercopy_move:\n\tmov %rdx, %rcx\n"
	"usercopy_move_insn:\n\trep movsb\n"
	"usercopy_move_done:\n\tmov %rcx, %rax\n\tret\n"
	"usercopy_begin:\n"
	"usercopy_load32:\n\tmov (%rdi), %eax\n\tmov %eax, (%rsi)\n\txor %eax, %eax\n\tret\n"
	"usercopy_load64:\n\tmov (%rdi), %rax\n\tmov %rax, (%rsi)\n\txor %eax, %eax\n\tret\n"
	"usercopy_store32:\n\tmov %esi, (%rdi)\n\txor %eax, %eax\n\tret\n"
	"usercopy_store64:\n\tmov %rsi, (%rdi)\n\txor %eax, %eax\n\tret\n"
	"usercopy_cmpxchg32:\n\tmov %esi, %eax\n\tlock cmpxchg %edx, (%rdi)\n\tmov %eax, (%rcx)\n\txor %eax, %eax\n\tret\n"
	"usercopy_end:\n"
	"usercopy_fail:\n\tmov $-14, %eax\n\tret\n"
	".popsection");
size_t usercopy_move(void *dst, const void *src, size_t len);
int usercopy_load32(const void *p, uint32_t *ret);
int usercopy_load64(const void *p, uint64_t *ret);
int usercopy_store32(void *p, uint32_t v);
int usercopy_store64(void *p, uint64_t v);
int usercopy_cmpxchg32(void *p, uint32_t old, uint32_t new_val, uint32_t *ret_old);
extern const char usercopy_move_insn[], usercopy_move_done[], usercopy_begin[], usercopy_end[], usercopy_fail[];

static struct sigaction old_bus, old_segv;

static void on_fault(int sig, siginfo_t *info, void *ctx)
{
	greg_t *rip = &((ucontext_t *)ctx)->uc_mcontext.gregs[REG_RIP];
	const char *at = (const char *)*rip;

	if (at >= usercopy_move_insn && at < usercopy_move_done)
		*rip = (greg_t)usercopy_move_done;
	else if (at >= usercopy_begin && at < usercopy_end)
		*rip = (greg_t)usercopy_fail;
	else /* our own bug: whoever was there before sees it, on returning to the instruction */
		sigaction(sig, sig == SIGBUS ? &old_bus : &old_segv, NULL);
}

int usercopy_boot(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigemptyset(&sa.sa_mask);
	return sigaction(SIGBUS, &sa, &old_bus) < 0 || sigaction(SIGSEGV, &sa, &old_segv) < 0 ? -1 : 0;
}

/* --- translation ---------------------------------------------------------------------------------------- */

static struct mm *mm_of(struct guest_mem *gm)
{
	return container_of(gm, struct mm, gm);
}

/*
 * The leaf at gva with the lock held shared, faulted in if needed. false: no such access, lock not held.
 * A page can go again between fault and look: a few rounds, then the program loses its race.
 */
static bool translate(struct mm *mm, gva_t gva, enum mm_access access, struct as_mapping *ret)
{
	struct mm_fault f;

	for (int i = 0; i < 100; i++) {
		if (gva >= USER_END)
			return false;
		mm_lock_read(mm);
		if (mm->ops->as_lookup(mm->as, gva, ret) && (ret->prot & access))
			return true;
		mm_unlock(mm);
		if (!mm_handle_fault(mm, gva, access, 0, &f))
			return false;
	}
	return false;
}

/* Goes over [gva, gva+len) leaf by leaf. fn: bytes done; less than asked for is a fault. */
typedef size_t (*piece_fn)(void *hva, size_t len, size_t done, bool window, void *ctx);

static size_t for_each_piece(struct mm *mm, gva_t gva, size_t len, enum mm_access access, piece_fn fn, void *ctx)
{
	size_t done = 0;

	while (done < len) {
		struct as_mapping m;
		size_t n, k;

		if (!translate(mm, gva + done, access, &m))
			break;
		/* As many leaves as are at hand under one lock. */
		do {
			n = MIN(m.len, len - done);
			k = fn(m.hva, n, done, m.window, ctx);
			done += k;
		} while (k == n && done < len && gva + done < USER_END &&
			 mm->ops->as_lookup(mm->as, gva + done, &m) && (m.prot & access));
		mm_unlock(mm);
		if (k < n)
			break;
	}
	return done;
}

static size_t move(void *dst, const void *src, size_t len, bool window)
{
	if (window)
		return len - usercopy_move(dst, src, len);
	memcpy(dst, src, len);
	return len;
}

static size_t piece_in(void *hva, size_t len, size_t done, bool window, void *ctx)
{
	return move((char *)ctx + done, hva, len, window);
}

static size_t piece_out(void *hva, size_t len, size_t done, bool window, void *ctx)
{
	return move(hva, (const char *)ctx + done, len, window);
}

static size_t piece_zero(void *hva, size_t len, size_t done, bool window, void *ctx)
{
	static const char zero[PAGE_SIZE];

	if (!window) {
		memset(hva, 0, len);
		return len;
	}
	for (size_t at = 0; at < len;) {
		size_t n = MIN(len - at, sizeof(zero)), k = move((char *)hva + at, zero, n, true);

		at += k;
		if (k < n)
			return at;
	}
	return len;
}

static size_t guest_copy_in(struct guest_mem *gm, void *dst, gva_t src, size_t len)
{
	return for_each_piece(mm_of(gm), src, len, MM_READ, piece_in, dst);
}

static size_t guest_copy_out(struct guest_mem *gm, gva_t dst, const void *src, size_t len)
{
	return for_each_piece(mm_of(gm), dst, len, MM_WRITE, piece_out, (void *)src);
}

static size_t guest_zero(struct guest_mem *gm, gva_t dst, size_t len)
{
	return for_each_piece(mm_of(gm), dst, len, MM_WRITE, piece_zero, NULL);
}

/* --- pins: frames stay while the host reads or writes them ------------------------------------------------ */

/* Takes what holds the memory at gpa in place. false: it is going. */
static bool hold(struct mm *mm, gpa_t gpa, size_t len, bool window)
{
	if (window)
		return window_lookup(mm->ph, gpa) != NULL;
	frame_pin(mm_pool(mm), page_down(gpa), page_up(gpa + len) - page_down(gpa));
	return true;
}

static size_t guest_pin(struct guest_mem *gm, gva_t gva, size_t len, bool for_write, struct iovec *iov, struct uio_pins *pins)
{
	struct mm *mm = mm_of(gm);
	enum mm_access access = for_write ? MM_WRITE : MM_READ;
	size_t done = 0;

	while (done < len && pins->n < UIO_PIN_MAX) {
		struct as_mapping m;
		size_t n;

		if (!translate(mm, gva + done, access, &m))
			break;
		do {
			n = MIN(m.len, len - done);
			if (!hold(mm, m.gpa, n, m.window))
				break;
			iov[pins->n] = (struct iovec){ m.hva, n };
			pins->run[pins->n].gpa = m.gpa;
			pins->run[pins->n++].len = n;
			done += n;
			n = 0;
		} while (done < len && pins->n < UIO_PIN_MAX && gva + done < USER_END &&
			 mm->ops->as_lookup(mm->as, gva + done, &m) && (m.prot & access));
		mm_unlock(mm);
		if (n)
			break;
	}
	return done;
}

static void guest_unpin(struct uio_pins *pins)
{
	struct mm *mm = mm_of(pins->gm);

	for (unsigned i = 0; i < pins->n; i++) {
		gpa_t gpa = pins->run[i].gpa;

		if (frame_block(mm_pool(mm), gpa)) {
			frame_unpin(mm_pool(mm), page_down(gpa), page_up(gpa + pins->run[i].len) - page_down(gpa));
		} else {
			struct memobj *o = window_lookup(mm->ph, gpa);

			memobj_put(o); /* the look-up's reference, and the pin's */
			memobj_put(o);
		}
	}
}

const struct guest_mem_ops mm_guest_ops = {
	.copy_in = guest_copy_in,
	.copy_out = guest_copy_out,
	.zero = guest_zero,
	.pin = guest_pin,
	.unpin = guest_unpin,
};

/* --- the simple forms ---------------------------------------------------------------------------------------- */

int copy_from_guest(struct mm *mm, void *dst, gva_t src, size_t len)
{
	return guest_copy_in(&mm->gm, dst, src, len) == len ? 0 : -EFAULT;
}

int copy_to_guest(struct mm *mm, gva_t dst, const void *src, size_t len)
{
	return guest_copy_out(&mm->gm, dst, src, len) == len ? 0 : -EFAULT;
}

int clear_guest(struct mm *mm, gva_t dst, size_t len)
{
	return guest_zero(&mm->gm, dst, len) == len ? 0 : -EFAULT;
}

static int check_zero(struct mm *mm, gva_t src, size_t len)
{
	char buf[256];

	for (size_t n; len; src += n, len -= n) {
		n = MIN(len, sizeof(buf));
		if (copy_from_guest(mm, buf, src, n) < 0)
			return -EFAULT;
		for (size_t i = 0; i < n; i++)
			if (buf[i])
				return -E2BIG;
	}
	return 0;
}

int copy_extensible(struct mm *mm, void *dst, size_t known, gva_t src, size_t size)
{
	size_t n = MIN(size, known);

	if (size > PAGE_SIZE)
		return -E2BIG;
	if (size > known) {
		int r = check_zero(mm, src + known, size - known);

		if (r < 0)
			return r;
	}
	memset((char *)dst + n, 0, known - n);
	return copy_from_guest(mm, dst, src, n);
}

struct string_copy { char *dst; bool found; size_t len; };

static size_t piece_string(void *hva, size_t len, size_t done, bool window, void *ctx)
{
	struct string_copy *s = ctx;
	size_t k = move(s->dst + done, hva, len, window);
	char *nul = memchr(s->dst + done, 0, k);

	if (!nul)
		return k;
	s->found = true;
	s->len = (size_t)(nul - s->dst);
	return 0; /* ends the walk */
}

ssize_t copy_string_from_guest(struct mm *mm, char *dst, gva_t src, size_t size)
{
	struct string_copy s = { .dst = dst };
	size_t done = 0;

	/* To page ends: a string may end right before what cannot be read. */
	while (done < size) {
		size_t n = MIN(PAGE_SIZE - ((src + done) & ~PAGE_MASK), size - done), k;

		s.dst = dst + done;
		k = for_each_piece(mm, src + done, n, MM_READ, piece_string, &s);
		if (s.found)
			return (ssize_t)(done + s.len);
		if (k < n)
			return -EFAULT;
		done += n;
	}
	return -ENAMETOOLONG;
}

/* --- words ------------------------------------------------------------------------------------------------------- */

int get_guest_u32(struct mm *mm, gva_t addr, uint32_t *ret)
{
	struct as_mapping m;
	int r;

	if (addr & 3)
		return copy_from_guest(mm, ret, addr, sizeof(*ret));
	if (!translate(mm, addr, MM_READ, &m))
		return -EFAULT;
	r = usercopy_load32(m.hva, ret);
	mm_unlock(mm);
	return r;
}

int get_guest_u64(struct mm *mm, gva_t addr, uint64_t *ret)
{
	struct as_mapping m;
	int r;

	if (addr & 7)
		return copy_from_guest(mm, ret, addr, sizeof(*ret));
	if (!translate(mm, addr, MM_READ, &m))
		return -EFAULT;
	r = usercopy_load64(m.hva, ret);
	mm_unlock(mm);
	return r;
}

int put_guest_u32(struct mm *mm, gva_t addr, uint32_t val)
{
	struct as_mapping m;
	int r;

	if (addr & 3)
		return copy_to_guest(mm, addr, &val, sizeof(val));
	if (!translate(mm, addr, MM_WRITE, &m))
		return -EFAULT;
	r = usercopy_store32(m.hva, val);
	mm_unlock(mm);
	return r;
}

int put_guest_u64(struct mm *mm, gva_t addr, uint64_t val)
{
	struct as_mapping m;
	int r;

	if (addr & 7)
		return copy_to_guest(mm, addr, &val, sizeof(val));
	if (!translate(mm, addr, MM_WRITE, &m))
		return -EFAULT;
	r = usercopy_store64(m.hva, val);
	mm_unlock(mm);
	return r;
}

int cmpxchg_guest_u32(struct mm *mm, gva_t addr, uint32_t old, uint32_t new_val, uint32_t *ret_old)
{
	struct as_mapping m;
	int r;

	if ((addr & 3) || !translate(mm, addr, MM_WRITE, &m))
		return -EFAULT;
	r = usercopy_cmpxchg32(m.hva, old, new_val, ret_old);
	mm_unlock(mm);
	return r;
}

/* --- as a debugger: whatever the protection ------------------------------------------------------------------------ */

/* The page at addr made present, and for writing the area's own. mm->lock held exclusively. */
static int force_page(struct mm *mm, gva_t addr, bool write, struct as_mapping *ret)
{
	struct vma *v = vma_lookup(mm, addr);
	gva_t page = page_down(addr);
	int r;

	/* check_vma_flags(): only a copy of its own may be written against the protection, not what others share. */
	if (!v || (write && v->shared && !(v->prot & PROT_WRITE)))
		return -EFAULT;
	if (!mm->ops->as_lookup(mm->as, page, ret)) {
		r = fault_page(v, page, MM_READ);
		if (r < 0)
			return r;
	}
	if (write && !v->shared) {
		r = cow_break(v, page, true);
		if (r < 0)
			return r;
	}
	return mm->ops->as_lookup(mm->as, addr, ret) ? 0 : -EFAULT;
}

uint64_t mm_absent(struct mm *mm, gva_t at, gva_t end)
{
	uint64_t n;

	mm_lock_read(mm);
	n = leaf_absent(mm, at, end);
	mm_unlock(mm);
	return n;
}

size_t mm_access_remote(struct mm *mm, gva_t addr, void *buf, size_t len, bool write)
{
	size_t done = 0;

	while (done < len) {
		size_t n = MIN(PAGE_SIZE - ((addr + done) & ~PAGE_MASK), len - done), k = 0;
		struct as_mapping m;

		mm_lock_write(mm);
		if (addr + done < USER_END && force_page(mm, addr + done, write, &m) == 0)
			k = write ? move(m.hva, (char *)buf + done, n, m.window) : move((char *)buf + done, m.hva, n, m.window);
		mm_unlock(mm);
		done += k;
		if (k < n)
			break;
	}
	return done;
}
