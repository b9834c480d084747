/* SPDX-License-Identifier: MIT */
/* /proc/PID/pagemap: a word for each page, by its number. As for those who may not see frame numbers: they are 0. fs/proc/task_mmu.c */
#include <stdlib.h>

#include "emul/base/err.h"
#include "emul/proc/procfs/procfs.h"

#define WORD sizeof(uint64_t)
#define WORDS_AT_ONCE 512

static ssize_t read_words(struct mm *mm, struct uio *to, off_t *pos)
{
	uint64_t words[WORDS_AT_ONCE], page = (uint64_t)*pos / WORD, end = USER_END >> PAGE_SHIFT;
	ssize_t n;

	if (page >= end)
		return 0;
	n = (ssize_t)MIN(MIN(uio_left(to) / WORD, WORDS_AT_ONCE), end - page);
	mm_pagemap(mm, page << PAGE_SHIFT, (unsigned)n, words);
	n = uio_copy_out(to, words, (size_t)n * WORD);
	if (n > 0)
		*pos += n;
	return n;
}

static ssize_t pagemap_read(struct file *f, struct uio *to, off_t *pos)
{
	struct mm *mm = container_of(f, struct mm_file, file)->mm;
	ssize_t done = 0, n;

	if (*pos % (off_t)WORD || uio_left(to) % WORD)
		return -EINVAL;
	while (uio_left(to)) {
		n = read_words(mm, to, pos);
		if (n <= 0)
			return done ? done : n;
		done += n;
	}
	return done;
}

static const struct file_ops pagemap_ops = {
	.name = "pagemap", .read = pagemap_read, .lseek = mm_file_lseek, .release = mm_file_release,
};

static int open_pagemap(struct pnode *n, struct fs_ctx *c, unsigned flags, struct file **ret)
{
	return mm_file_open(n, &pagemap_ops, flags, ret);
}

const struct pnode_ops pagemap_file_ops = {
	.mode = S_IFREG | 0400, .open = open_pagemap, .may = task_node_may, .alive = task_node_alive, .getattr = task_node_owner,
	.release = task_node_release,
};
