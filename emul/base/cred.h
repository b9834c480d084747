/* SPDX-License-Identifier: MIT */
/* Credentials: immutable, counted; changing means a new one (as in the kernel). */
#ifndef EMUL_BASE_CRED_H
#define EMUL_BASE_CRED_H

#include <sys/types.h>

#include "emul/base/auto.h"
#include "emul/base/ref.h"
#include "emul/base/types.h"

struct cred {
	struct ref ref;
	uid_t uid, euid, suid, fsuid;
	gid_t gid, egid, sgid, fsgid;
	uint64_t cap_permitted, cap_effective, cap_inheritable, cap_bounding, cap_ambient;
	unsigned securebits;
	unsigned ngroups;
	gid_t groups[]; /* sorted */
};

struct cred *cred_new(unsigned ngroups);         /* zeroed but for ngroups; NULL: no memory */
struct cred *cred_dup(const struct cred *c);     /* private copy to change before it is published */
struct cred *cred_get(const struct cred *c);     /* another reference (const is dropped: contents are immutable) */
void cred_put(struct cred *c);
DEFINE_AUTO(cred, cred_put);
struct cred *cred_from_host(void);               /* the VMM's own ids; root gets all capabilities */
struct cred *cred_of_user(uid_t uid, gid_t gid); /* somebody, in no other group; root gets all capabilities */
bool cred_in_group(const struct cred *c, gid_t gid); /* fsgid or supplementary */
bool cred_capable(const struct cred *c, int cap);

#endif
