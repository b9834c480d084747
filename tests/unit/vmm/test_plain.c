/* SPDX-License-Identifier: MIT */
/* Text of guests: what JSON cannot hold and terminals obey is not in it. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "emul/base/types.h"
#include "vmm/plain.h"

static void becomes(const char *bytes, size_t len, const char *want)
{
	char *copy = malloc(len + 1); /* its end is where a checker sees it */
	json_t *got;

	memcpy(copy, bytes, len);
	got = plain_text(copy, len);
	assert_non_null(got);
	assert_string_equal(json_string_value(got), want);
	json_decref(got);
	free(copy);
}
#define BECOMES(bytes, want) becomes(bytes, sizeof(bytes) - 1, want)

static void utf8_stays(void **state)
{
	BECOMES("", "");
	BECOMES("plain ~", "plain ~");
	BECOMES("\xc2\xa0 \xc3\xa9 \xe6\x97\xa5 \xef\xbf\xbf \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf", "\xc2\xa0 \xc3\xa9 \xe6\x97\xa5 \xef\xbf\xbf \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf");
}

static void other_bytes_become_question_marks_one_by_one(void **state)
{
	BECOMES("a\xff\xc3\xa9", "a?\xc3\xa9");
	BECOMES("\xc3", "?");
	BECOMES("\xe6\x97", "??");
	BECOMES("\xe6\x97g", "??g");
	BECOMES("\xc0\x80", "??");            /* not the shortest form */
	BECOMES("\xe0\x80\x80", "???");
	BECOMES("\xed\xa0\x80", "???");       /* a surrogate */
	BECOMES("\xf4\x90\x80\x80", "????"); /* beyond the last */
	BECOMES("\xf8\x88\x80\x80\x80", "?????");
}

static void nothing_is_obeyed(void **state)
{
	BECOMES("a\0b\x1b[m\r\n\t\x7f", "a?b?[m????");
	BECOMES("\xc2\x9b" "31m", "?31m"); /* CSI in one character */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_stays),
		cmocka_unit_test(other_bytes_become_question_marks_one_by_one),
		cmocka_unit_test(nothing_is_obeyed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
