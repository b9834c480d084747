/* SPDX-License-Identifier: MIT */
/*
 * Shapes of call sites, by bytes that compilers and libraries really made (objdump of glibc 2.36, musl 1.2.3, Go 1.2x, and programs
 * of Rust with either libc). What must not be taken for a site stands beside them.
 */
#include "tests/lib/cmocka_all.h"

#include <sys/syscall.h>

#include "vmm/machine.h"

struct site_case {
	const char *what;
	uint8_t before[SITE_BEFORE - 2]; /* from the end of it: what stands in front of the `syscall` */
	unsigned n;
	uint8_t behind[SITE_AFTER];
	uint32_t nr;
	unsigned want_before, want_after;
};

#define CMP_4095 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0x0f, 0x83
#define CMP_4096 0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0x77, 0x5b
#define RET 0xc3, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00

static const struct site_case cases[] = {
	{ "glibc: getppid", { 0xb8, 0x6e, 0, 0, 0 }, 5, { RET }, SYS_getppid, 5, 0 },
	{ "glibc: write, one thread", { 0x74, 0x17, 0xb8, 0x01, 0, 0, 0 }, 7, { CMP_4096 }, SYS_write, 5, 0 },
	{ "glibc: read, one thread", { 0x00, 0x00, 0x74, 0x17, 0x31, 0xc0 }, 6, { CMP_4096 }, SYS_read, 2, 6 },
	{ "glibc: read, many threads", { 0x41, 0x89, 0xc0, 0x8b, 0x7c, 0x24, 0x08, 0x31, 0xc0 }, 9, { CMP_4096 }, SYS_read, 2, 6 },
	{ "glibc: sem_post", { 0x45, 0x31, 0xd2, 0xba, 0x01, 0, 0, 0, 0xb8, 0xca, 0, 0, 0 }, 13, { CMP_4096 }, SYS_futex, 5, 0 },
	{ "glibc: syscall(3), Rust's too", { 0x48, 0x89, 0xca, 0x4d, 0x89, 0xc2, 0x4d, 0x89, 0xc8, 0x4c, 0x8b, 0x4c, 0x24, 0x08 }, 14, { CMP_4095 }, SYS_getrandom, 5, 0 },
	{ "glibc: __restore_rt", { 0x90, 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0 }, 8, { 0x0f, 0x1f, 0x80, 0, 0, 0, 0 }, SYS_rt_sigreturn, 7, 0 },
	{ "musl: dup3 and kin", { 0x48, 0x63, 0xf6, 0x48, 0x63, 0xd2, 0xb8, 0x24, 0x01, 0, 0 }, 11, { RET }, SYS_dup3, 5, 0 },
	{ "musl: fcntl, the number loaded early", { 0xb8, 0x48, 0, 0, 0, 0xbe, 0x01, 0, 0, 0 }, 10, { RET }, SYS_fcntl, 10, 0 },
	{ "musl: futex again without the private flag", { 0x0f, 0x1f, 0x00, 0x4c, 0x89, 0xc0, 0x48, 0x89, 0xd6 }, 9, { 0xc3 }, SYS_futex, 6, 0 },
	{ "musl: the same, number in r9", { 0x0f, 0x1f, 0x40, 0x00, 0x4c, 0x89, 0xc8, 0x48, 0x89, 0xd6 }, 10, { 0xc3 }, SYS_getpid, 6, 0 },
	{ "musl: futex wake", { 0xba, 0xff, 0xff, 0xff, 0x7f, 0xbe, 0x81, 0, 0, 0, 0x4c, 0x89, 0xc0 }, 13, { 0x48, 0x83, 0xf8, 0xda }, SYS_futex, 3, 4 },
	{ "musl: futex wake, a jump behind it", { 0xba, 0xff, 0xff, 0xff, 0x7f, 0xbe, 0x81, 0, 0, 0, 0x4c, 0x89, 0xc0 }, 13, { 0xeb, 0x10 }, SYS_futex, 0, 0 },
	{ "Go: Syscall6", { 0x49, 0x89, 0xf2, 0x48, 0x89, 0xfa, 0x48, 0x89, 0xce, 0x48, 0x89, 0xdf }, 12, { CMP_4095 }, SYS_pread64, 3, 6 },
	{ "Go: runtime.write", { 0x8b, 0x54, 0x24, 0x18, 0xb8, 0x01, 0, 0, 0 }, 9, { 0x89, 0x44, 0x24, 0x20 }, SYS_write, 5, 0 },
	{ "Go: runtime.read, a mov of zero", { 0x8b, 0x54, 0x24, 0x18, 0xb8, 0, 0, 0, 0 }, 9, { 0x89, 0x44, 0x24, 0x20 }, SYS_read, 5, 0 },

	{ "another number than the one that was called", { 0xb8, 0x6e, 0, 0, 0 }, 5, { RET }, SYS_write, 0, 0 },
	{ "the tail of mov $nr, %r8d", { 0x41, 0xb8, 0x6e, 0, 0, 0 }, 6, { RET }, SYS_getppid, 0, 0 },
	{ "the tail of a long jcc", { 0x0f, 0xb8, 0x6e, 0, 0, 0 }, 6, { RET }, SYS_getppid, 0, 0 },
	{ "xor for a number that is not zero", { 0x31, 0xc0 }, 2, { CMP_4096 }, SYS_write, 0, 0 },
	{ "xor, and no cmp behind it", { 0x31, 0xc0 }, 2, { RET }, SYS_read, 0, 0 },
	{ "a jump between number and call", { 0xb8, 0x6e, 0, 0, 0, 0xeb, 0x00 }, 7, { RET }, SYS_getppid, 0, 0 },
	{ "something relative to rip between them", { 0xb8, 0x6e, 0, 0, 0, 0x48, 0x8d, 0x3d, 0x10, 0, 0, 0 }, 12, { RET }, SYS_getppid, 0, 0 },
	{ "the number from memory", { 0x8b, 0x44, 0x24, 0x08 }, 4, { CMP_4095 }, SYS_read, 0, 0 },
	{ "from a register that syscall overwrites", { 0x48, 0x89, 0xc8 }, 3, { CMP_4095 }, 0, 0, 0 },
};

static void real_sites_are_known_and_others_are_not(void **state)
{
	/* r8, r9: what musl's wrappers keep the number in. */
	struct uregs r = { .rdx = 1, .rsi = 1, .rdi = 77, .rbx = 77, .r8 = SYS_futex, .r9 = SYS_getpid };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct site_case *c = &cases[i];
		uint8_t text[SITE_BEFORE + SITE_AFTER];
		unsigned before, after;

		memset(text, 0x90, sizeof(text));
		memcpy(text + SITE_BEFORE - 2 - c->n, c->before, c->n);
		text[SITE_BEFORE - 2] = 0x0f;
		text[SITE_BEFORE - 1] = 0x05;
		memcpy(text + SITE_BEFORE, c->behind, SITE_AFTER);
		before = sites_shape(text + SITE_BEFORE, &r, c->nr, &after);
		if (before != c->want_before || (before && after != c->want_after))
			fail_msg("%s: %u bytes before, %u behind; want %u, %u", c->what, before, after, c->want_before, c->want_after);
	}
}

static void bytes_that_are_no_syscall_are_none(void **state)
{
	uint8_t text[SITE_BEFORE + SITE_AFTER] = { [9] = 0xb8, 0x6e, 0, 0, 0, 0x0f, 0x34 };
	struct uregs r = { 0 };
	unsigned after;

	assert_int_equal(sites_shape(text + SITE_BEFORE, &r, SYS_getppid, &after), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_sites_are_known_and_others_are_not),
		cmocka_unit_test(bytes_that_are_no_syscall_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
