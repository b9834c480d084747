/* SPDX-License-Identifier: MIT */
/* /proc/sysvipc: what ipcs(1) would see by asking. */
#include "emul/proc/ipc.h"
#include "emul/proc/procfs/procfs.h"

static int show_shm(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	ipc_shm_show(out);
	return 0;
}

static int show_sem(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	ipc_sem_show(out);
	return 0;
}

static int show_msg(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	ipc_msg_show(out);
	return 0;
}

static const struct pnode_ops shm_ops = { .mode = S_IFREG | 0444, .show = show_shm };
static const struct pnode_ops sem_ops = { .mode = S_IFREG | 0444, .show = show_sem };
static const struct pnode_ops msg_ops = { .mode = S_IFREG | 0444, .show = show_msg };

const struct pentry proc_sysvipc_entries[] = {
	{ "msg", &msg_ops, NULL, NULL },
	{ "sem", &sem_ops, NULL, NULL },
	{ "shm", &shm_ops, NULL, NULL },
	{ NULL, NULL, NULL, NULL },
};
