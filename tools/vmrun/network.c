/* SPDX-License-Identifier: MIT */
/* The values of --net and --publish. */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/vmrun/options.h"

int network_parse(const char *text, struct net_config *ret, char *err, unsigned long err_size)
{
	ret->tap = NULL; /* the last one counts */
	if (!strcmp(text, "user")) {
		ret->mode = NET_USER;
	} else if (!strcmp(text, "loopback")) {
		ret->mode = NET_LOOPBACK;
	} else if (!strcmp(text, "tap")) {
		ret->mode = NET_TAP;
	} else if (!strncmp(text, "tap=", 4) && strlen(text) - 4 >= IFNAMSIZ) {
		snprintf(err, err_size, "--net '%s': names of interfaces have at most %d characters", text, IFNAMSIZ - 1);
		return -1;
	} else if (!strncmp(text, "tap=", 4) && text[4] && !strpbrk(text, "/%: ")) {
		ret->mode = NET_TAP;
		ret->tap = text + 4;
	} else {
		snprintf(err, err_size, "--net '%s': give tap, tap=NAME, user or loopback", text);
		return -1;
	}
	return 0;
}

/* 1..65535, the whole of text. */
static int parse_port(const char *text, uint16_t *ret)
{
	char *end;
	unsigned long n = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;

	if (!n || n > 65535 || *end)
		return -1;
	*ret = (uint16_t)n;
	return 0;
}

int publish_parse(const char *text, struct net_publish *ret, char *err, unsigned long err_size)
{
	char buf[64], *part[3], *slash, *rest = buf;
	struct in_addr host = { 0 };
	unsigned n = 0;

	*ret = (struct net_publish){ 0 };
	if (strlen(text) >= sizeof(buf))
		goto bad;
	strcpy(buf, text);
	slash = strchr(buf, '/');
	if (slash) {
		*slash = '\0';
		ret->udp = !strcmp(slash + 1, "udp");
		if (!ret->udp && strcmp(slash + 1, "tcp"))
			goto bad;
	}
	while (rest && n < 3)
		part[n++] = strsep(&rest, ":");
	if (n < 2 || rest || (n == 3 && inet_pton(AF_INET, part[0], &host) != 1) || parse_port(part[n - 2], &ret->host_port) < 0 ||
	    parse_port(part[n - 1], &ret->guest_port) < 0)
		goto bad;
	ret->host_addr = ntohl(host.s_addr);
	return 0;
bad:
	snprintf(err, err_size, "--publish '%s': give [ADDR:]HOST:GUEST[/udp], such as 8080:80 or 127.0.0.1:5353:53/udp", text);
	return -1;
}
