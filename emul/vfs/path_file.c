/* SPDX-License-Identifier: MIT */
/* What O_PATH opens: a place in the tree and nothing more. The calls refuse it before they come to the ops. */
#include <stdlib.h>

#include "emul/base/err.h"
#include "emul/vfs/namespace.h"

static void release(struct file *f)
{
	file_fini(f);
	free(f);
}

static const struct file_ops path_file_ops = { .name = "path", .release = release };

int path_file_new(const struct path *p, unsigned flags, struct file **ret)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	file_init(f, &path_file_ops, O_PATH | (flags & (O_DIRECTORY | O_NOFOLLOW)));
	file_set_path(f, p);
	*ret = f;
	return 0;
}
