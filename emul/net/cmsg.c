/* SPDX-License-Identifier: MIT */
/* Control messages: reading what a send brought, building what a receive gives. net/core/scm.c, put_cmsg(). */
#include <linux/capability.h>
#include <linux/net_tstamp.h>
#include <string.h>
#include <sys/time.h>

#include "emul/net/sock.h"
#include "emul/proc/task.h"

/* --- from the sender ---------------------------------------------------------------------------------------- */

const struct cmsghdr *sock_cmsg_next(const struct sock_msg *m, const struct cmsghdr *prev, int *ret_err)
{
	size_t at = 0, left;
	const struct cmsghdr *c;

	if (prev) {
		at = (size_t)((const char *)prev - m->control);
		if (CMSG_ALIGN(prev->cmsg_len) > m->control_len - at)
			return NULL;
		at += CMSG_ALIGN(prev->cmsg_len);
	}
	left = m->control_len - at;
	if (left < sizeof(*c))
		return NULL;
	c = (const struct cmsghdr *)(const void *)(m->control + at);
	if (c->cmsg_len >= sizeof(*c) && c->cmsg_len <= left)
		return c;
	*ret_err = -EINVAL;
	return NULL;
}

#ifndef SCM_TXTIME
#define SCM_TXTIME SO_TXTIME
#endif

static bool may_mark(void)
{
	struct task *t = task_current();

	return t && (cred_capable(t->fsc.cred, CAP_NET_RAW) || cred_capable(t->fsc.cred, CAP_NET_ADMIN));
}

/* Times to send at are taken and not kept, as Linux's default queues (pfifo_fast, fq_codel) do. */
int sock_cmsg_common(struct sock *s, const struct cmsghdr *c, uint32_t *mark)
{
	int val;

	switch (c->cmsg_type) {
	case SCM_RIGHTS: /* meant for AF_UNIX: no error elsewhere */
	case SCM_CREDENTIALS: return 0;
	case SO_MARK:
		if (!may_mark())
			return -EPERM;
		if (sock_cmsg_datalen(c) != sizeof(*mark))
			return -EINVAL;
		memcpy(mark, CMSG_DATA(c), sizeof(*mark));
		return 0;
	case SO_PRIORITY:
		if (sock_cmsg_datalen(c) != sizeof(val))
			return -EINVAL;
		memcpy(&val, CMSG_DATA(c), sizeof(val));
		return (val < 0 || val > 6) && !may_mark() ? -EPERM : 0;
	case SCM_TXTIME: return s->opt.txtime && sock_cmsg_datalen(c) == sizeof(uint64_t) ? 0 : -EINVAL;
	default: return -EINVAL;
	}
}

/* --- to the receiver ------------------------------------------------------------------------------------------- */

/* Where the next message's bytes go, with what is left both of the caller's room and of the buffer. */
static size_t space_left(const struct sock_control *c)
{
	return MIN(c->room, sizeof(c->buf) - c->len);
}

void sock_put_cmsg(struct sock_msg *m, int level, int type, const void *data, size_t size)
{
	struct sock_control *c = m->ctl;
	struct cmsghdr h = { .cmsg_len = CMSG_LEN(size), .cmsg_level = level, .cmsg_type = type };
	size_t left = c ? space_left(c) : 0, step;

	if (left < sizeof(h)) {
		m->ret_flags |= MSG_CTRUNC;
		return;
	}
	if (h.cmsg_len > left) {
		m->ret_flags |= MSG_CTRUNC;
		h.cmsg_len = left;
	}
	memcpy(c->buf + c->len, &h, sizeof(h));
	memcpy(c->buf + c->len + sizeof(h), data, h.cmsg_len - sizeof(h));
	step = MIN((size_t)CMSG_SPACE(size), left);
	if (step > h.cmsg_len)
		memset(c->buf + c->len + h.cmsg_len, 0, step - h.cmsg_len);
	c->len += step;
	c->room -= step;
}

void sock_put_time(struct sock *s, int64_t stamp, struct sock_msg *m)
{
	struct timespec ts = { stamp / 1000000000, stamp % 1000000000 };
	struct timeval tv = { ts.tv_sec, ts.tv_nsec / 1000 };

	if (!m->ctl)
		return;
	if (s->opt.timestamping & SOF_TIMESTAMPING_SOFTWARE) {
		struct timespec all[3] = { ts }; /* software, and two of hardware that there is not */

		sock_put_cmsg(m, SOL_SOCKET, s->opt.timestamping_new ? 65 : SO_TIMESTAMPING, all, sizeof(all));
	}
	if (!s->opt.timestamp)
		return;
	if (s->opt.timestamp_ns)
		sock_put_cmsg(m, SOL_SOCKET, s->opt.timestamp_new ? 64 : SO_TIMESTAMPNS, &ts, sizeof(ts));
	else
		sock_put_cmsg(m, SOL_SOCKET, s->opt.timestamp_new ? 63 : SO_TIMESTAMP, &tv, sizeof(tv));
}

void sock_put_mark(struct sock *s, uint32_t mark, struct sock_msg *m)
{
	if (m->ctl && s->opt.rcvmark)
		sock_put_cmsg(m, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
}

/* Reserves descriptors for the first n files. How many could be had. */
static unsigned reserve_files(struct sock_control *c, struct task *t, bool cloexec, struct file *const *files, unsigned n)
{
	int limit = (int)MIN(proc_rlimit(t->proc, RLIMIT_NOFILE), (uint64_t)INT32_MAX);

	c->files = calloc(n, sizeof(*c->files));
	if (!c->files)
		return 0;
	while (c->nfiles < n) {
		int fd = fdtab_reserve(t->fds, cloexec, 0, limit);

		if (fd < 0)
			break;
		c->files[c->nfiles].fd = fd;
		c->files[c->nfiles].file = file_get(files[c->nfiles]);
		c->nfiles++;
	}
	return c->nfiles;
}

void sock_put_files(struct sock_msg *m, struct task *t, struct file *const *files, unsigned n)
{
	struct sock_control *c = m->ctl;
	size_t left = c ? space_left(c) : 0;
	unsigned fit = left < sizeof(struct cmsghdr) ? 0 : (unsigned)MIN((left - sizeof(struct cmsghdr)) / sizeof(int), (size_t)n);

	if (fit && t && !c->nfiles) {
		int fds[SOCK_CONTROL_MAX / sizeof(int)];
		unsigned got = reserve_files(c, t, m->flags & MSG_CMSG_CLOEXEC, files, fit);

		for (unsigned i = 0; i < got; i++)
			fds[i] = c->files[i].fd;
		if (got)
			sock_put_cmsg(m, SOL_SOCKET, SCM_RIGHTS, fds, got * sizeof(int));
		fit = got;
	} else {
		fit = 0;
	}
	if (fit < n)
		m->ret_flags |= MSG_CTRUNC;
}

void sock_control_commit(struct sock_control *c, struct task *t)
{
	for (unsigned i = 0; i < c->nfiles; i++) {
		fdtab_fill(t->fds, c->files[i].fd, c->files[i].file);
		file_put(c->files[i].file);
	}
	free(c->files);
	c->files = NULL;
	c->nfiles = 0;
}

void sock_control_abort(struct sock_control *c, struct task *t)
{
	for (unsigned i = 0; i < c->nfiles; i++) {
		fdtab_unreserve(t->fds, c->files[i].fd);
		file_put(c->files[i].file);
	}
	free(c->files);
	c->files = NULL;
	c->nfiles = 0;
}
