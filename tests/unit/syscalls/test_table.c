/* SPDX-License-Identifier: MIT */
/* The table of system calls says what it is meant to say: order, names, notes, kinds of arguments. */
#include "tests/lib/cmocka_all.h"

#include <string.h>

#include "emul/syscalls/table.h"

/* The rows themselves, not syscall_table: that one has lost their order, and pulls every handler in. */
struct row { int nr; const char *name; enum support support; const char *note; enum arg_kind arg[7]; };

#define ROW(nr, nm, sup, txt, blk, ...) { nr, #nm, sup, txt, { __VA_ARGS__ } },
#define REFUSE(nr, nm, err, txt, ...) { nr, #nm, PARTIAL, txt, { __VA_ARGS__ } },
static const struct row rows[] = {
#include "emul/syscalls/table.def"
};
#undef ROW
#undef REFUSE

static void numbers_go_up(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_in_range(rows[i].nr, 0, SYSCALL_MAX - 1);
		if (i && rows[i].nr <= rows[i - 1].nr)
			fail_msg("%s comes after %s", rows[i].name, rows[i - 1].name);
	}
}

static void names_are_linux_names(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *name = syscall_names[rows[i].nr];

		if (!name || strcmp(name, rows[i].name) != 0)
			fail_msg("%d is %s, not %s", rows[i].nr, name ? name : "nothing", rows[i].name);
	}
}

static void no_name_has_two_numbers(void **state)
{
	for (size_t i = 0; i < SYSCALL_MAX; i++)
		for (size_t j = 0; syscall_names[i] && j < i; j++)
			if (syscall_names[j] && strcmp(syscall_names[i], syscall_names[j]) == 0)
				fail_msg("%s is %zu and %zu", syscall_names[i], j, i);
}

static void what_is_partial_says_what_is_missing(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].support != FULL && rows[i].support != PARTIAL)
			fail_msg("%s: a row without support", rows[i].name);
		if ((rows[i].support == PARTIAL) != (rows[i].note[0] != '\0'))
			fail_msg("%s: %s", rows[i].name,
				 rows[i].note[0] ? "full, but with a note" : "partial, but no note");
	}
}

static bool is_kind(enum arg_kind k, const enum arg_kind *of, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (k == of[i])
			return true;
	return false;
}

/* strace takes a buffer's length from the next argument, and a vector's count. */
static void buffers_are_followed_by_their_length(void **state)
{
	static const enum arg_kind counted[] = { BUF_IN, BUF_OUT, IOV_IN, IOV_OUT }, count[] = { SIZE, INT, UINT };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (int k = 0; k < 6; k++)
			if (is_kind(rows[i].arg[k], counted, ARRAY_SIZE(counted)) &&
			    !is_kind(rows[i].arg[k + 1], count, ARRAY_SIZE(count)))
				fail_msg("%s: argument %d has no length", rows[i].name, k);
}

static void no_row_has_more_than_six_arguments(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(rows[i].arg[6], ARG_END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_go_up),
		cmocka_unit_test(names_are_linux_names),
		cmocka_unit_test(no_name_has_two_numbers),
		cmocka_unit_test(what_is_partial_says_what_is_missing),
		cmocka_unit_test(buffers_are_followed_by_their_length),
		cmocka_unit_test(no_row_has_more_than_six_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
