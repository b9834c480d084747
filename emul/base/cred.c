/* SPDX-License-Identifier: MIT */
/* Credentials: making and asking. The rules of setuid(2) and friends are emul/proc/cred.c. */
/* host syscalls: getresuid getresgid getgroups */
#include "emul/base/cred.h"

#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALL_CAPS (((uint64_t)1 << (CAP_LAST_CAP + 1)) - 1)

static size_t cred_size(unsigned ngroups)
{
	return sizeof(struct cred) + ngroups * sizeof(gid_t);
}

struct cred *cred_new(unsigned ngroups)
{
	struct cred *c = calloc(1, cred_size(ngroups));

	if (!c)
		return NULL;
	ref_init(&c->ref);
	c->ngroups = ngroups;
	return c;
}

struct cred *cred_dup(const struct cred *c)
{
	struct cred *n = cred_new(c->ngroups);

	if (!n)
		return NULL;
	memcpy((char *)n + sizeof(n->ref), (const char *)c + sizeof(c->ref), cred_size(c->ngroups) - sizeof(c->ref));
	return n;
}

struct cred *cred_get(const struct cred *c)
{
	struct cred *n = (struct cred *)(uintptr_t)c;

	ref_get(&n->ref);
	return n;
}

void cred_put(struct cred *c)
{
	if (c && ref_put(&c->ref))
		free(c);
}

static int compare_gid(const void *a, const void *b)
{
	gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;

	return (x > y) - (x < y);
}

static void set_root_caps(struct cred *c)
{
	c->cap_bounding = ALL_CAPS;
	if (c->euid == 0)
		c->cap_permitted = c->cap_effective = ALL_CAPS;
}

struct cred *cred_of_user(uid_t uid, gid_t gid)
{
	struct cred *c = cred_new(0);

	if (!c)
		return NULL;
	c->uid = c->euid = c->suid = c->fsuid = uid;
	c->gid = c->egid = c->sgid = c->fsgid = gid;
	set_root_caps(c);
	return c;
}

struct cred *cred_from_host(void)
{
	int n = getgroups(0, NULL);
	struct cred *c = cred_new(n > 0 ? n : 0);

	if (!c)
		return NULL;
	if (getresuid(&c->uid, &c->euid, &c->suid) || getresgid(&c->gid, &c->egid, &c->sgid) ||
	    getgroups((int)c->ngroups, c->groups) != (int)c->ngroups) {
		cred_put(c);
		return NULL;
	}
	qsort(c->groups, c->ngroups, sizeof(gid_t), compare_gid);
	c->fsuid = c->euid;
	c->fsgid = c->egid;
	set_root_caps(c);
	return c;
}

bool cred_in_group(const struct cred *c, gid_t gid)
{
	return gid == c->fsgid || bsearch(&gid, c->groups, c->ngroups, sizeof(gid_t), compare_gid);
}

bool cred_capable(const struct cred *c, int cap)
{
	return c->cap_effective >> cap & 1;
}
