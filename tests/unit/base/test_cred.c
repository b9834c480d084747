/* SPDX-License-Identifier: MIT */
/* Credentials: copies are private, groups are found; and the words of --debug. */
#include "tests/lib/cmocka_all.h"

#include <unistd.h>

#include "emul/base/cred.h"
#include "emul/base/log.h"

static void a_copy_is_private(void **state)
{
	struct cred *c = cred_new(3), *d, *same;

	c->uid = 5;
	c->fsgid = 77;
	c->groups[0] = 10;
	c->groups[1] = 20;
	c->groups[2] = 30;
	d = cred_dup(c);
	d->uid = 6;
	d->groups[2] = 40;
	assert_int_equal(c->uid, 5);
	assert_true(cred_in_group(c, 30) && cred_in_group(c, 10) && cred_in_group(c, 77));
	assert_false(cred_in_group(d, 30));
	assert_true(cred_in_group(d, 40));
	same = cred_get(c);
	assert_ptr_equal(same, c);
	cred_put(same);
	cred_put(c);
	cred_put(d);
	cred_put(NULL);
}

static void the_hosts_ids_are_taken_over(void **state)
{
	struct cred *c = cred_from_host();

	assert_non_null(c);
	assert_int_equal(c->uid, getuid());
	assert_int_equal(c->fsuid, geteuid());
	assert_int_equal(cred_capable(c, 0), geteuid() == 0);
	cred_put(c);
}

static void debug_words_are_checked(void **state)
{
	assert_int_equal(log_set_categories("futex,signal"), 0);
	assert_int_equal(log_mask, 1u << LOG_FUTEX | 1u << LOG_SIGNAL);
	assert_int_equal(log_set_categories("futex,nonsense"), -EINVAL);
	assert_int_equal(log_set_categories("all"), 0);
	assert_int_equal(log_mask, (1u << LOG_NCATEGORIES) - 1);
	assert_int_equal(log_set_categories(""), 0);
	assert_int_equal(log_mask, 0);
}

static void a_message_is_one_line_of_bounded_length(void **state)
{
	char buf[4096];
	int p[2];
	ssize_t n;

	ASSERT_OK(pipe(p));
	log_set_fd(p[1]);
	log_warn("%d apples", 3);
	n = read(p[0], buf, sizeof(buf));
	assert_int_equal(n, strlen("vmrun: warning: 3 apples\n"));
	log_warn("%02000d", 1);
	n = read(p[0], buf, sizeof(buf));
	assert_true(n <= 1024 && buf[n - 1] == '\n');
	log_set_fd(2);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_is_private),
		cmocka_unit_test(the_hosts_ids_are_taken_over),
		cmocka_unit_test(debug_words_are_checked),
		cmocka_unit_test(a_message_is_one_line_of_bounded_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
