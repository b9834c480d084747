/* SPDX-License-Identifier: MIT */
/*
 * Signal-driven I/O: files with O_ASYNC tell their owner of events. fcntl(2), F_SETOWN and F_SETSIG; fs/fcntl.c.
 *
 * Events happen under the locks of their objects, while signals take those of processes, which are outside of them. So an
 * event is noted by the thread that makes it and sent when the thread has dropped its locks: at the end of a call, before it
 * sleeps, after a callback of the reactor. A note holds its file.
 */
#include <signal.h>
#include <stdlib.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/vfs/file.h"
#include "emul/vfs/hooks.h"
#include "emul/vfs/vfs.h"

struct note {
	struct list node;
	struct file *file; /* counted */
	int code;
};

void (*file_signal_hook)(struct file *f, int code);

_Thread_local unsigned file_async_noted;
static _Thread_local struct list notes; /* in order; of no meaning while file_async_noted is 0 */

static bool known(const struct file *f, int code)
{
	struct note *n;

	list_for_each(n, &notes, node)
		if (n->file == f && n->code == code)
			return true;
	return false;
}

void file_note(struct file *f, int code)
{
	struct note *n;

	if (!file_async_noted)
		list_init(&notes);
	if ((code != POLL_MSG && known(f, code)) || /* changes of a directory count one by one */
	     !ref_get_live(&f->ref))
		return;
	n = malloc(sizeof(*n));
	if (!n) {
		log_warn("no memory for a signal of I/O");
		file_put(f);
		return;
	}
	*n = (struct note){ .file = f, .code = code };
	list_add_tail(&notes, &n->node);
	file_async_noted++;
}

/* Sending and letting go may note more. */
void file_async_send(void)
{
	while (file_async_noted) {
		struct note *n = list_first(&notes, struct note, node);

		list_del(&n->node);
		file_async_noted--;
		if (file_signal_hook)
			file_signal_hook(n->file, n->code);
		file_put(n->file);
		free(n);
	}
}

void file_default_owner(struct file *f, const struct fs_ctx *c, pid_t group)
{
	mutex_lock(&f->own_lock);
	if (!f->own.pid) {
		f->own.type = group ? F_OWNER_PGRP : F_OWNER_PID;
		f->own.pid = group ? group : c->pid;
		f->own.uid = c->cred->uid;
		f->own.euid = c->cred->euid;
	}
	mutex_unlock(&f->own_lock);
}

int file_set_async(struct file *f, int fd, bool on, const struct fs_ctx *c)
{
	int r;

	if (!f->ops->start_async)
		return -ENOTTY;
	r = on ? f->ops->start_async(f) : 0;
	if (r < 0)
		return r;
	if (on && f->ops->async_group)
		file_default_owner(f, c, f->ops->async_group(f));
	mutex_lock(&f->own_lock);
	if (on) {
		f->own.fd = fd;
		atomic_fetch_or(&f->flags, O_ASYNC);
	} else if (atomic_load(&f->async)) {
		atomic_fetch_and(&f->flags, ~(unsigned)O_ASYNC);
	}
	atomic_store(&f->async, on);
	mutex_unlock(&f->own_lock);
	return 0;
}

int file_always_async(struct file *f)
{
	(void)f;
	return 0;
}
