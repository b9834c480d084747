/* SPDX-License-Identifier: MIT */
/* Control messages: walking what a sender brought, building what fits a receiver's room; option values. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "emul/net/sock.h"

static __attribute__((aligned(8))) char in[256];

static int count(size_t len, int *ret_err)
{
	struct sock_msg m = { .control = in, .control_len = len };
	const struct cmsghdr *c = NULL;
	int n = 0;

	*ret_err = 0;
	while ((c = sock_cmsg_next(&m, c, ret_err)))
		n++;
	return n;
}

static void put_header(size_t at, size_t len)
{
	struct cmsghdr h = { .cmsg_len = len };

	memcpy(in + at, &h, sizeof(h));
}

static void a_walk_sees_whole_messages_only(void **state)
{
	int err;

	memset(in, 0, sizeof(in));
	put_header(0, CMSG_LEN(4));
	put_header(CMSG_SPACE(4), CMSG_LEN(1));
	assert_int_equal(count(0, &err), 0);
	assert_int_equal(count(15, &err), 0); /* no whole header: the end */
	assert_int_equal(err, 0);
	assert_int_equal(count(16, &err), 0);
	assert_int_equal(err, -EINVAL);
	assert_int_equal(count(CMSG_LEN(4), &err), 1);
	assert_int_equal(err, 0);
	assert_int_equal(count(CMSG_SPACE(4) + CMSG_LEN(1), &err), 2);
	assert_int_equal(err, 0);
	assert_int_equal(count(CMSG_SPACE(4) + CMSG_SPACE(1) + 16, &err), 2); /* the next has length 0 */
	assert_int_equal(err, -EINVAL);
}

static void no_length_leads_outside(void **state)
{
	const size_t lens[] = { 0, 1, 15, 17, 255, 256, 257, SIZE_MAX, SIZE_MAX - 7, SIZE_MAX / 2 };
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++)
		for (size_t room = 0; room <= sizeof(in); room += 8) {
			memset(in, 0, sizeof(in));
			put_header(0, lens[i]);
			assert_in_range(count(room, &err), 0, 1);
		}
}

static void what_does_not_fit_is_cut_and_told(void **state)
{
	struct sock_control *c = calloc(1, sizeof(*c));
	struct sock_msg m = { .ctl = c };
	int val = 7;

	c->room = CMSG_LEN(2);
	sock_put_cmsg(&m, SOL_SOCKET, 1, &val, sizeof(val));
	assert_int_equal(c->len, CMSG_LEN(2));
	assert_int_equal(m.ret_flags, MSG_CTRUNC);
	*c = (struct sock_control){ .room = 15 };
	m.ret_flags = 0;
	sock_put_cmsg(&m, SOL_SOCKET, 1, &val, sizeof(val));
	assert_int_equal(c->len, 0);
	assert_int_equal(m.ret_flags, MSG_CTRUNC);
	*c = (struct sock_control){ .room = SIZE_MAX }; /* the buffer is a limit, too */
	m.ret_flags = 0;
	for (int i = 0; i < 1000; i++)
		sock_put_cmsg(&m, SOL_SOCKET, 1, &val, sizeof(val));
	assert_true(c->len <= SOCK_CONTROL_MAX);
	assert_int_equal(m.ret_flags, MSG_CTRUNC);
	m.ctl = NULL;
	sock_put_cmsg(&m, SOL_SOCKET, 1, &val, sizeof(val));
	free(c);
}

static void option_values(void **state)
{
	int in_val = 0x01020304, got;
	struct sock_optval v = { .addr = (uintptr_t)&in_val, .len = 3 };

	assert_int_equal(sock_opt_int(&v, &got), -EINVAL);
	v.len = 4;
	assert_int_equal(sock_opt_int(&v, &got), 0);
	assert_int_equal(got, 0x01020304);
	v.len = 1;
	assert_int_equal(sock_opt_write_int(&v, 9), 0);
	assert_int_equal(in_val, 0x01020309);
	v.len = 100;
	assert_int_equal(sock_opt_write_int(&v, 9), 0);
	assert_int_equal(v.len, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_walk_sees_whole_messages_only),
		cmocka_unit_test(no_length_leads_outside),
		cmocka_unit_test(what_does_not_fit_is_cut_and_told),
		cmocka_unit_test(option_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
