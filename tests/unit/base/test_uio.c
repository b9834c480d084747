/* SPDX-License-Identifier: MIT */
/* Transfers between segments: copies, faults half-way, checks of guest iovecs, pinning. Guest memory is a small array here. */
#include "tests/lib/cmocka_all.h"

#include "emul/base/uio.h"

#define MEM_BASE 0x10000
#define MEM_SIZE 0x8000

static char mem[MEM_SIZE];
static int unpinned;

static size_t reach(gva_t at, size_t len)
{
	if (at < MEM_BASE || at >= MEM_BASE + MEM_SIZE)
		return 0;
	return MIN(len, MEM_BASE + MEM_SIZE - at);
}

static size_t mem_in(struct guest_mem *gm, void *dst, gva_t src, size_t len)
{
	len = reach(src, len);
	if (len)
		memcpy(dst, mem + (src - MEM_BASE), len);
	return len;
}

static size_t mem_out(struct guest_mem *gm, gva_t dst, const void *src, size_t len)
{
	len = reach(dst, len);
	if (len)
		memcpy(mem + (dst - MEM_BASE), src, len);
	return len;
}

static size_t mem_zero(struct guest_mem *gm, gva_t dst, size_t len)
{
	len = reach(dst, len);
	if (len)
		memset(mem + (dst - MEM_BASE), 0, len);
	return len;
}

/* One page a run, as scattered frames give it. */
static size_t mem_pin(struct guest_mem *gm, gva_t gva, size_t len, bool for_write, struct iovec *iov, struct uio_pins *pins)
{
	size_t done = 0;

	len = reach(gva, len);
	while (done < len && pins->n < UIO_PIN_MAX) {
		size_t run = MIN(len - done, PAGE_SIZE - (gva + done) % PAGE_SIZE);

		iov[pins->n] = (struct iovec){ mem + (gva + done - MEM_BASE), run };
		pins->run[pins->n].gpa = gva + done;
		pins->run[pins->n++].len = run;
		done += run;
	}
	return done;
}

static void mem_unpin(struct uio_pins *pins)
{
	unpinned += pins->n;
}

static const struct guest_mem_ops mem_ops = { mem_in, mem_out, mem_zero, mem_pin, mem_unpin };
static struct guest_mem gm = { &mem_ops };

static void copies_cross_segments(void **state)
{
	struct uio_seg segs[3] = { { MEM_BASE + 100, 3 }, { MEM_BASE + 200, 0 }, { MEM_BASE + 300, 5 } };
	char buf[16] = { 0 };
	struct uio u;

	memcpy(mem, segs, sizeof(segs));
	assert_int_equal(uio_init_guest_iov(&u, &gm, MEM_BASE, 3), 0);
	assert_int_equal(uio_left(&u), 8);
	assert_int_equal(uio_copy_out(&u, "abcdefgh", 4), 4);
	assert_int_equal(uio_copy_out(&u, "efghXXXX", 8), 4); /* cut to what is left */
	assert_memory_equal(mem + 100, "abc", 3);
	assert_memory_equal(mem + 300, "defgh", 5);
	assert_int_equal(uio_copy_out(&u, "z", 1), 0);
	uio_fini(&u);

	assert_int_equal(uio_init_guest_iov(&u, &gm, MEM_BASE, 3), 0);
	uio_advance(&u, 2);
	assert_int_equal(uio_copy_in(&u, buf, 3), 3);
	assert_string_equal(buf, "cde");
	assert_int_equal(uio_zero(&u, 100), 3);
	assert_memory_equal(mem + 302, "\0\0\0", 3);
	uio_fini(&u);
}

static void a_fault_halfway_gives_the_part_that_moved(void **state)
{
	struct uio u;

	uio_init_guest(&u, &gm, MEM_BASE + MEM_SIZE - 3, 10);
	assert_int_equal(uio_copy_out(&u, "0123456789", 10), 3);
	assert_int_equal(uio_copy_out(&u, "3456789", 7), -EFAULT);
	assert_int_equal(uio_left(&u), 7);
	uio_init_guest(&u, &gm, USER_END - 8, 100); /* the whole buffer is refused */
	assert_int_equal(uio_zero(&u, 1), -EFAULT);
}

static void guest_iovecs_are_checked(void **state)
{
	const struct { const char *what; struct uio_seg seg; unsigned long count; gva_t at; int want; } c[] = {
		{ "negative length", { MEM_BASE, (size_t)-1 }, 1, MEM_BASE, -EINVAL },
		{ "beyond user space", { USER_END - 1, 2 }, 1, MEM_BASE, -EFAULT },
		{ "too many", { MEM_BASE, 1 }, 1025, MEM_BASE, -EINVAL },
		{ "array not there", { MEM_BASE, 1 }, 1, 0, -EFAULT },
		{ "array cut", { MEM_BASE, 1 }, 1024, MEM_BASE + MEM_SIZE - 16, -EFAULT },
		{ "none", { 0, 0 }, 0, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		struct uio u;
		int r;

		memcpy(mem, &c[i].seg, sizeof(c[i].seg));
		r = uio_init_guest_iov(&u, &gm, c[i].at, c[i].count);
		if (r != c[i].want)
			fail_msg("%s: %d, want %d", c[i].what, r, c[i].want);
		if (r == 0)
			uio_fini(&u);
	}
}

static void long_transfers_are_cut_as_linux_cuts_them(void **state)
{
	struct uio_seg segs[2] = { { MEM_BASE, 0x7fff0000 }, { MEM_BASE, 0x7fff0000 } };
	struct uio u;

	memcpy(mem, segs, sizeof(segs));
	assert_int_equal(uio_init_guest_iov(&u, &gm, MEM_BASE, 2), 0);
	assert_int_equal(uio_left(&u), MAX_RW_COUNT);
	uio_fini(&u);
	uio_init_guest(&u, &gm, MEM_BASE, (size_t)1 << 40);
	assert_int_equal(uio_left(&u), MAX_RW_COUNT);
}

static void pinning_gives_host_iovecs_and_does_not_advance(void **state)
{
	struct iovec iov[UIO_PIN_MAX];
	struct uio_pins pins;
	struct uio u;
	size_t len = 0;
	char host[10];

	uio_init_guest(&u, &gm, MEM_BASE + PAGE_SIZE - 10, PAGE_SIZE + 20);
	assert_int_equal(uio_pin(&u, true, iov, &pins, &len), 3);
	assert_int_equal(len, PAGE_SIZE + 20);
	assert_int_equal(iov[0].iov_len, 10);
	assert_ptr_equal(iov[2].iov_base, mem + 2 * PAGE_SIZE);
	assert_int_equal(uio_left(&u), PAGE_SIZE + 20);
	unpinned = 0;
	uio_unpin(&pins);
	assert_int_equal(unpinned, 3);

	uio_init_guest(&u, &gm, MEM_BASE + MEM_SIZE - 5, 50); /* as far as it goes */
	assert_int_equal(uio_pin(&u, false, iov, &pins, &len), 1);
	assert_int_equal(len, 5);
	uio_unpin(&pins);
	uio_init_guest(&u, &gm, 0, 50);
	assert_int_equal(uio_pin(&u, false, iov, &pins, &len), -EFAULT);
	uio_init_host(&u, host, sizeof(host));
	uio_truncate(&u, 4);
	assert_int_equal(uio_pin(&u, false, iov, &pins, &len), 1);
	assert_int_equal(len, 4);
	uio_unpin(&pins);
	uio_advance(&u, 4);
	assert_int_equal(uio_pin(&u, false, iov, &pins, &len), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_cross_segments),
		cmocka_unit_test(a_fault_halfway_gives_the_part_that_moved),
		cmocka_unit_test(guest_iovecs_are_checked),
		cmocka_unit_test(long_transfers_are_cut_as_linux_cuts_them),
		cmocka_unit_test(pinning_gives_host_iovecs_and_does_not_advance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
