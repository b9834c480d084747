/* SPDX-License-Identifier: MIT */
/*
 * What messages bring beside data: credentials and descriptors. net/core/scm.c, man 7 unix.
 *
 * The last reference of a file must not be dropped deep inside another one's release: a socket whose queue holds
 * a socket whose queue holds ... would nest as deep as the guest likes. Descriptors that come free while others
 * are being dropped on this thread are put on a list and dropped in a row.
 */
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "emul/net/unix.h"
#include "emul/proc/task.h"

#define SCM_MAX_FD 253
#define IN_FLIGHT_MAX 65536 /* of the instance, whatever the limits of its users say */
#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif

static _Atomic long in_flight;

/* --- descriptors in flight ------------------------------------------------------------------------------------- */

static void drop_files(struct unix_rights *r)
{
	for (unsigned i = 0; i < r->n; i++)
		file_put(r->files[i]);
	free(r);
}

static void rights_put(struct unix_rights *r)
{
	static _Thread_local struct unix_rights *pending; /* a chain by `next` */
	static _Thread_local bool dropping; /* further out on this thread */

	if (!r || !ref_put(&r->ref))
		return;
	atomic_fetch_sub(&in_flight, r->n);
	for (unsigned i = 0; i < r->n; i++)
		unix_flight_end(r->files[i]);
	r->next = pending;
	pending = r;
	if (dropping)
		return;
	dropping = true;
	while ((r = pending)) {
		pending = r->next;
		drop_files(r);
	}
	dropping = false;
}

/* Room for n more: *r may move, nobody else knows it yet. */
static int rights_grow(struct unix_rights **r, size_t n)
{
	size_t had = *r ? (*r)->n : 0;
	struct unix_rights *more = realloc(*r, sizeof(*more) + (had + n) * sizeof(more->files[0]));

	if (!more)
		return -ENOMEM;
	if (!*r) {
		ref_init(&more->ref);
		more->n = 0;
	}
	*r = more;
	return 0;
}

/* scm_fp_copy(): several messages add up. */
static int add_files(struct task *t, const struct cmsghdr *c, struct unix_scm *scm)
{
	size_t n = sock_cmsg_datalen(c) / sizeof(int);
	const int *fds = (const int *)(const void *)CMSG_DATA(c);

	if (n == 0)
		return 0;
	if (n > SCM_MAX_FD)
		return -EINVAL;
	if (scm->rights && scm->rights->n + n > SCM_MAX_FD)
		return -EINVAL;
	if (rights_grow(&scm->rights, n) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct file *f = fdtab_get(t->fds, fds[i]);

		if (!f)
			return -EBADF;
		scm->rights->files[scm->rights->n++] = f;
		atomic_fetch_add(&in_flight, 1);
		unix_flight_begin(f);
	}
	return 0;
}

/* too_many_unix_fds() */
static bool too_many(struct task *t)
{
	long n = atomic_load(&in_flight);

	if (n > IN_FLIGHT_MAX)
		return true;
	return (uint64_t)n > proc_rlimit(t->proc, RLIMIT_NOFILE) && !cred_capable(t->fsc.cred, CAP_SYS_RESOURCE) &&
	       !cred_capable(t->fsc.cred, CAP_SYS_ADMIN);
}

/* --- credentials ----------------------------------------------------------------------------------------------------- */

static bool one_of(uid_t id, uid_t a, uid_t b, uid_t c)
{
	return id == a || id == b || id == c;
}

/* scm_check_creds(): one's own, or whoever may become them. */
static int check_cred(struct task *t, const struct ucred *u)
{
	const struct cred *c = t->fsc.cred;

	if (u->pid != t->proc->pid && !cred_capable(c, CAP_SYS_ADMIN))
		return -EPERM;
	if (!one_of(u->uid, c->uid, c->euid, c->suid) && !cred_capable(c, CAP_SETUID))
		return -EPERM;
	if (!one_of(u->gid, c->gid, c->egid, c->sgid) && !cred_capable(c, CAP_SETGID))
		return -EPERM;
	return 0;
}

static int take_cred(struct task *t, const struct cmsghdr *c, struct unix_scm *scm)
{
	struct ucred u;
	int r;

	if (c->cmsg_len != CMSG_LEN(sizeof(u)))
		return -EINVAL;
	memcpy(&u, CMSG_DATA(c), sizeof(u));
	r = check_cred(t, &u);
	if (r < 0)
		return r;
	proc_put(scm->proc);
	scm->proc = u.pid == t->proc->pid ? proc_get(t->proc) : proc_find(u.pid);
	if (!scm->proc)
		return -ESRCH;
	if (u.uid == (uid_t)-1 || u.gid == (gid_t)-1)
		return -EINVAL;
	scm->cred = u;
	return 0;
}

void unix_scm_add_cred(struct unix_scm *scm, struct task *t, struct unix_sock *from, struct unix_sock *to)
{
	if (scm->cred.pid || !t || !(unix_wants_cred(from) || unix_wants_cred(to)))
		return;
	scm->cred = (struct ucred){ t->proc->pid, t->fsc.cred->uid, t->fsc.cred->gid };
	scm->proc = proc_get(t->proc);
}

bool unix_scm_same_cred(const struct unix_scm *a, const struct unix_scm *b)
{
	return a->cred.pid == b->cred.pid && a->cred.uid == b->cred.uid && a->cred.gid == b->cred.gid;
}

/* --- a send's control data -------------------------------------------------------------------------------------------- */

static int take_one(struct task *t, const struct cmsghdr *c, struct unix_scm *scm)
{
	if (c->cmsg_level != SOL_SOCKET)
		return 0;
	switch (c->cmsg_type) {
	case SCM_RIGHTS: return add_files(t, c, scm);
	case SCM_CREDENTIALS: return take_cred(t, c, scm);
	default: return -EINVAL;
	}
}

int unix_scm_read(struct task *t, const struct sock_msg *m, struct unix_scm *ret)
{
	const struct cmsghdr *c = NULL;
	int r = 0;

	*ret = UNIX_SCM_NONE;
	if (!m->control_len || !t)
		return 0;
	while (r == 0 && (c = sock_cmsg_next(m, c, &r)))
		r = take_one(t, c, ret);
	if (r == 0 && ret->rights && too_many(t)) {
		unix_gc();
		if (too_many(t))
			r = -ETOOMANYREFS;
	}
	if (r < 0)
		unix_scm_drop(ret);
	return r;
}

/* --- to the receiver ----------------------------------------------------------------------------------------------------- */

static void put_pidfd(struct sock_msg *m, struct task *t, struct unix_scm *scm)
{
	AUTO(file) f = NULL;
	int fd;

	if (!m->ctl || m->ctl->room < CMSG_LEN(sizeof(fd))) {
		m->ret_flags |= MSG_CTRUNC;
		return;
	}
	if (!scm->proc || !t)
		return;
	fd = pidfd_new(scm->proc, 0, &f);
	if (fd == 0) {
		fd = fdtab_install(t->fds, f, true, 0, (int)MIN(proc_rlimit(t->proc, RLIMIT_NOFILE), (uint64_t)INT32_MAX));
	}
	sock_put_cmsg(m, SOL_SOCKET, SCM_PIDFD, &fd, sizeof(fd));
}

/* __scm_recv_common() */
void unix_scm_deliver(struct unix_sock *u, struct task *t, struct sock_msg *m, struct unix_scm *scm)
{
	if (!m->ctl) {
		if (scm->rights || unix_wants_cred(u))
			m->ret_flags |= MSG_CTRUNC;
	} else {
		if (u->sk.opt.passcred)
			sock_put_cmsg(m, SOL_SOCKET, SCM_CREDENTIALS, &scm->cred, sizeof(scm->cred));
		if (scm->rights)
			sock_put_files(m, t, scm->rights->files, scm->rights->n);
		if (u->sk.opt.passpidfd)
			put_pidfd(m, t, scm);
	}
	unix_scm_drop(scm);
}

void unix_scm_copy_cred(struct unix_scm *to, const struct unix_scm *from)
{
	to->cred = from->cred;
	to->proc = from->proc ? proc_get(from->proc) : NULL;
}

void unix_scm_copy(struct unix_scm *to, const struct unix_scm *from)
{
	unix_scm_copy_cred(to, from);
	to->rights = from->rights;
	if (to->rights)
		ref_get(&to->rights->ref);
}

void unix_scm_drop_rights(struct unix_scm *scm)
{
	rights_put(scm->rights);
	scm->rights = NULL;
}

void unix_scm_drop(struct unix_scm *scm)
{
	proc_put(scm->proc);
	rights_put(scm->rights);
	*scm = UNIX_SCM_NONE;
}
