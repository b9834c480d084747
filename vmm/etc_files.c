/* SPDX-License-Identifier: MIT */
/*
 * /etc/resolv.conf and /etc/hosts as they must be inside: names are asked of what the instance's network reaches. Written into
 * the overlay, before anything of the host is mounted writable.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/net/lwip_port.h"
#include "vmm/mounts.h"

struct cred *mounts_cred(void)
{
	struct cred *c = cred_new(0);

	if (c)
		c->cap_permitted = c->cap_effective = c->cap_inheritable = c->cap_bounding = ~(uint64_t)0;
	return c;
}

/* only_new: leave a file that is there. */
static int put_file(struct fs_ctx *ctx, const char *name, const char *text, size_t len, bool only_new)
{
	const struct open_how how = { .flags = O_WRONLY | O_CREAT | (only_new ? O_EXCL : O_TRUNC), .mode = 0644 };
	AUTO(file) f = NULL;
	struct uio u;
	ssize_t n;
	int r = vfs_open(ctx, NULL, name, &how, &f);

	if (r < 0)
		return r;
	uio_init_host(&u, (void *)(uintptr_t)text, len);
	n = file_write(f, &u, NULL, ctx);
	uio_fini(&u);
	return n < 0 ? (int)n : 0;
}

/* The host's resolvers, but for those that listen on its loopback: behind a tap that is 10.0.2.2. */
static size_t resolvers_of_host(char *buf, size_t size)
{
	FILE *f = fopen("/etc/resolv.conf", "re");
	char line[256], addr[64];
	size_t len = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "nameserver %63s", addr) == 1 && (!strncmp(addr, "127.", 4) || !strcmp(addr, "::1")))
			snprintf(line, sizeof(line), "nameserver 10.0.2.2\n");
		len += (size_t)snprintf(buf + len, size - len, "%s", line);
		if (len >= size)
			len = size - 1;
	}
	if (f)
		fclose(f);
	return len;
}

static void write_all(struct fs_ctx *ctx, const struct instance_config *cfg)
{
	static const char hosts[] = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
	static const char user[] = "nameserver 10.0.2.3\n";
	char text[4096];
	size_t len;

	put_file(ctx, "/etc/hosts", hosts, sizeof(hosts) - 1, true);
	if (cfg->net.mode == NET_LOOPBACK)
		return;
	if (cfg->net.mode == NET_USER || (cfg->net.mode == NET_AUTO && !tap_is_likely())) {
		put_file(ctx, "/etc/resolv.conf", user, sizeof(user) - 1, false);
		return;
	}
	len = resolvers_of_host(text, sizeof(text));
	if (len)
		put_file(ctx, "/etc/resolv.conf", text, len, false);
}

void etc_files_write(struct instance_env *env, const struct instance_config *cfg)
{
	AUTO_PATH root = PATH_INIT;
	struct cred *cred = mounts_cred();
	struct fs_ctx ctx = { .vfs = env->vfs, .cred = cred, .limit_fsize = UINT64_MAX };

	vfs_root(env->vfs, &root);
	ctx.fs = fs_new(&root, &root, 022);
	if (ctx.fs && cred)
		write_all(&ctx, cfg); /* a root directory without /etc has no use for them */
	fs_put(ctx.fs);
	cred_put(cred);
}
