/* SPDX-License-Identifier: MIT */
/* Addresses as they come from programs, whatever they hold; and where they lead. */
#include "tests/lib/cmocka_all.h"

#include <errno.h>
#include <stdlib.h>

#undef ARRAY_SIZE
#include "emul/net/addr.h"
#include "emul/net/netif_info.h"
#include "emul/net/route.h"

static void lengths_and_families_are_checked(void **state)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(0x01020304) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_scope_id = 7 };
	struct endpoint e;

	assert_int_equal(addr_read(AF_INET, &four, sizeof(four), &e), 0);
	assert_true(addr_is_v4(&e.ip));
	assert_int_equal(addr_v4(&e.ip), 0x01020304);
	assert_int_equal(e.port, 80);
	assert_int_equal(addr_read(AF_INET, &four, sizeof(four) - 1, &e), -EINVAL);
	assert_int_equal(addr_read(AF_INET, &six, sizeof(six), &e), -EAFNOSUPPORT);
	assert_int_equal(addr_read(AF_INET6, &four, sizeof(four), &e), -EINVAL);
	assert_int_equal(addr_read(AF_INET6, &six, 24, &e), 0); /* RFC 2133: without a scope */
	assert_int_equal(e.scope, 0);
	assert_int_equal(addr_read(AF_INET6, &six, sizeof(six), &e), 0);
	assert_int_equal(e.scope, 7);
}

static void what_is_read_is_written_back(void **state)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(0x7f000001) }, back;
	struct sockaddr_in6 six;
	struct endpoint e;

	assert_int_equal(addr_read(AF_INET, &four, sizeof(four), &e), 0);
	assert_int_equal(addr_write(AF_INET, &e, &back), sizeof(back));
	assert_memory_equal(&four, &back, sizeof(four));
	assert_int_equal(addr_write(AF_INET6, &e, &six), sizeof(six));
	assert_true(IN6_IS_ADDR_V4MAPPED(&six.sin6_addr));
}

/* No bytes may do harm: the same checks on noise of all lengths. */
static void noise_is_harmless(void **state)
{
	unsigned char buf[sizeof(struct sockaddr_storage)];
	char text[INET6_ADDRSTRLEN];
	struct endpoint e;
	struct in6_addr src;

	srandom(1);
	for (int i = 0; i < 100000; i++) {
		for (size_t k = 0; k < sizeof(buf); k++)
			buf[k] = (unsigned char)random();
		buf[0] = (unsigned char)(i % 3 ? AF_INET6 : AF_INET);
		buf[1] = 0;
		if (addr_read(i % 2 ? AF_INET : AF_INET6, buf, (unsigned)(random() % (long)sizeof(buf)), &e) == 0) {
			addr_text(&e.ip, text);
			route_source(&e.ip, e.scope, &src);
			addr_write(i % 2 ? AF_INET : AF_INET6, &e, buf);
		}
	}
}

static void destinations_lead_somewhere(void **state)
{
	struct in6_addr local = addr_of_v4(0x7f010203), eth = addr_of_v4(ETH_ADDR4), far = addr_of_v4(0x08080808), src;

	assert_int_equal(route_to(&local, 0), IF_LO);
	assert_int_equal(route_to(&addr_loopback6, 0), IF_LO);
	assert_int_equal(route_to(&eth, 0), IF_LO);
	assert_int_equal(route_to(&far, 0), IF_ETH);
	assert_true(route_source(&far, 0, &src));
	assert_true(addr_eq(&src, &eth));
	assert_true(route_source(&local, 0, &src));
	assert_true(addr_eq(&src, &addr_loopback4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths_and_families_are_checked),
		cmocka_unit_test(what_is_read_is_written_back),
		cmocka_unit_test(noise_is_harmless),
		cmocka_unit_test(destinations_lead_somewhere),
	};

	netif_info_boot();
	route_boot(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
