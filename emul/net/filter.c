/* SPDX-License-Identifier: MIT */
/* Filters of sockets: filter.h has the contract. sk_attach_filter(), sk_get_filter(), sk_filter_trim_cap(). */
#include "emul/net/filter.h"

#include <linux/capability.h>
#include <stdlib.h>

#include "emul/proc/kmem.h"
#include "emul/proc/task.h"

struct filter {
	struct ref ref;
	unsigned len;
	struct sock_filter insn[];
};

static struct mutex lock = MUTEX_INIT; /* sock->filter of all sockets; no other lock is taken under it */

static size_t program_size(unsigned len)
{
	return len * sizeof(struct sock_filter);
}

static struct filter *filter_new(unsigned len)
{
	size_t size = sizeof(struct filter) + program_size(len);
	struct filter *f = kmem_charge(size) ? malloc(size) : NULL;

	if (!f) {
		kmem_uncharge(size);
		return NULL;
	}
	ref_init(&f->ref);
	f->len = len;
	return f;
}

void filter_put(struct filter *f)
{
	if (!f || !ref_put(&f->ref))
		return;
	kmem_uncharge(sizeof(*f) + program_size(f->len));
	free(f);
}

struct filter *filter_get(struct filter *f)
{
	ref_get(&f->ref);
	return f;
}

uint32_t filter_run(const struct filter *f, const struct bpf_packet *p)
{
	return bpf_run_packet(f->insn, p);
}

static struct filter *filter_of(const struct sock *s)
{
	struct filter *f;

	mutex_lock(&lock);
	f = s->filter;
	if (f)
		ref_get(&f->ref);
	mutex_unlock(&lock);
	return f;
}

/* -EPERM: it is locked; else the one that was there is the caller's. */
static int exchange(struct sock *s, struct filter *f, struct filter **ret_old)
{
	int r = 0;

	mutex_lock(&lock);
	if (s->opt.filter_locked)
		r = -EPERM;
	else
		*ret_old = atomic_exchange(&s->filter, f);
	mutex_unlock(&lock);
	return r;
}

/* --- running ---------------------------------------------------------------------------------------------------- */

bool filter_passes(struct sock *s, const struct bpf_packet *p, size_t least, size_t *ret_keep)
{
	size_t all = p->len - p->data, keep = all;
	struct filter *f;

	if (filter_is_set(s)) {
		f = filter_of(s);
		if (f)
			keep = bpf_run_packet(f->insn, p);
		filter_put(f);
		if (!keep && f)
			return false;
	}
	*ret_keep = MIN(MAX(keep, least), all);
	return true;
}

bool filter_passes_message(struct sock *s, const void *data, size_t len, size_t least, size_t *ret_keep)
{
	const struct bpf_packet p = { .bytes = data, .len = len, .net = -1, .link = -1, .transport = -1 };

	return filter_passes(s, &p, least, ret_keep);
}

/* --- options ----------------------------------------------------------------------------------------------------- */

static bool may_attach(const struct sock *s, struct task *t)
{
	bool tcp = (s->family == AF_INET || s->family == AF_INET6) && s->type == SOCK_STREAM;

	return !tcp || !t || cred_capable(t->fsc.cred, CAP_NET_ADMIN);
}

int filter_read(struct sock *s, const struct sock_optval *v, struct filter **ret)
{
	struct filter *f;
	struct sock_fprog prog;
	struct sock_optval insn = { .gm = v->gm };
	int r;

	if (v->len != sizeof(prog))
		return -EINVAL;
	if (!v->gm || sock_opt_read(v, &prog, sizeof(prog)) < 0) /* a pointer within the value is a guest's */
		return -EFAULT;
	if (s->opt.filter_locked)
		return -EPERM;
	if (!prog.filter || !prog.len || prog.len > BPF_MAXINSNS)
		return -EINVAL;
	f = filter_new(prog.len);
	if (!f)
		return -ENOMEM;
	insn.addr = (uintptr_t)prog.filter;
	r = sock_opt_read(&insn, f->insn, program_size(f->len)) < 0 ? -EFAULT : bpf_check_packet(f->insn, f->len);
	if (r == 0)
		*ret = f;
	else
		filter_put(f);
	return r;
}

int filter_attach(struct sock *s, struct task *t, const struct sock_optval *v)
{
	struct filter *f, *old = NULL;
	int r;

	if (v->len == sizeof(struct sock_fprog) && !may_attach(s, t)) {
		struct sock_fprog prog;

		return sock_opt_read(v, &prog, sizeof(prog)) < 0 ? -EFAULT : -EPERM;
	}
	r = filter_read(s, v, &f);
	if (r < 0)
		return r;
	r = exchange(s, f, &old);
	filter_put(r == 0 ? old : f);
	return r;
}

int filter_detach(struct sock *s)
{
	struct filter *old = NULL;
	int r = exchange(s, NULL, &old);

	if (r == 0 && !old)
		r = -ENOENT;
	filter_put(old);
	return r;
}

int filter_get_program(struct sock *s, struct sock_optval *v)
{
	struct filter *f = filter_of(s);
	int room = v->len, r = 0;

	if (f && room) { /* 0: only the number is asked for */
		if (room < (int)f->len) {
			r = -EINVAL;
		} else {
			v->len = (int)program_size(f->len);
			r = sock_opt_write(v, f->insn, program_size(f->len));
		}
	}
	v->len = f ? (int)f->len : 0;
	filter_put(f);
	return r;
}

void filter_inherit(struct sock *child, const struct sock *listener)
{
	if (filter_is_set(listener))
		child->filter = filter_of(listener);
}

void filter_drop(struct sock *s)
{
	filter_put(atomic_exchange(&s->filter, NULL));
}
