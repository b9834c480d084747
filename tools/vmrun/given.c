/* SPDX-License-Identifier: MIT */
/* The options that belong to an instance and not to one program, in a form that can be compared. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "emul/base/auto.h"
#include "tools/vmrun/options.h"
#include "vmm/plain.h"

static void put(json_t *to, const char *option, const char *text)
{
	if (text)
		json_object_set_new(to, option, plain_text(text, strlen(text)));
}

static json_t *volumes(const struct options *o)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < o->cfg.nvolumes; i++) {
		const struct instance_volume *v = &o->cfg.volumes[i];
		AUTO_FREE char *text = NULL;

		if (asprintf(&text, "%s:%s%s", v->host, v->guest, v->read_only ? ":ro" : "") >= 0)
			json_array_append_new(list, plain_text(text, strlen(text)));
	}
	return list;
}

static json_t *ports(const struct options *o)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < o->cfg.net.npublish; i++) {
		const struct net_publish *p = &o->cfg.net.publish[i];
		struct in_addr a = { htonl(p->host_addr) };
		char text[INET_ADDRSTRLEN];

		inet_ntop(AF_INET, &a, text, sizeof(text));
		json_array_append_new(list, json_sprintf("%s:%u:%u%s", text, p->host_port, p->guest_port, p->udp ? "/udp" : ""));
	}
	return list;
}

json_t *options_given(const struct options *o)
{
	static const char *const rewrite[] = { [REWRITE_AUTO] = NULL, [REWRITE_ALWAYS] = "always", [REWRITE_NEVER] = "never" };
	static const char *const kind[] = { [NET_TAP] = "tap", [NET_USER] = "user", [NET_LOOPBACK] = "loopback" };
	const struct net_config *net = &o->cfg.net;
	json_t *r = json_object();
	char text[32];

	if (!r)
		return NULL;
	if (o->cfg.memory) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)o->cfg.memory);
		put(r, "--memory", text);
	}
	if (o->cfg.max_threads)
		json_object_set_new(r, "--max-threads", json_sprintf("%u", o->cfg.max_threads));
	put(r, "--rootfs", o->cfg.rootfs);
	put(r, "--pcap", net->pcap);
	put(r, "--rewrite", rewrite[o->cfg.rewrite]);
	if (net->tap)
		json_object_set_new(r, "--net", json_sprintf("tap=%s", net->tap));
	else
		put(r, "--net", net->mode == NET_AUTO ? NULL : kind[net->mode]);
	if (o->cfg.nvolumes)
		json_object_set_new(r, "--volume", volumes(o));
	if (net->npublish)
		json_object_set_new(r, "--publish", ports(o));
	return r;
}
