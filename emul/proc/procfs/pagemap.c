/* SPDX-License-Identifier: MIT */
/* /proc/PID/pagemap: a word for each page, by its number. As for those who may not see frame numbers: they are 0. fs/proc/task_mmu.c */
#include <stdlib.h>

#include "emul/base/err.h"
#include "emul/proc/procfs/procfs.h"

#define WORD sizeof(uint64_t)
#define WORDS_AT_ONCE 512

struct pagemap { struct file file; struct mm *mm; };

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
	struct mm *mm = container_of(f, struct pagemap, file)->mm;
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

static void pagemap_release(struct file *f)
{
	struct pagemap *p = container_of(f, struct pagemap, file);

	mm_put(p->mm);
	file_fini(f);
	free(p);
}

static const struct file_ops pagemap_ops = {
	.name = "pagemap", .read = pagemap_read, .lseek = address_lseek, .release = pagemap_release,
};

static int open_pagemap(struct pnode *n, struct fs_ctx *c, unsigned flags, struct file **ret)
{
	AUTO(mm) mm = task_get_mm(task_node(n)->task);
	struct pagemap *p = mm ? calloc(1, sizeof(*p)) : NULL;

	if (!p)
		return mm ? -ENOMEM : -ESRCH;
	file_init(&p->file, &pagemap_ops, flags);
	p->file.seekable = true;
	p->mm = steal(mm);
	*ret = &p->file;
	return 0;
}

const struct pnode_ops pagemap_file_ops = {
	.mode = S_IFREG | 0400, .open = open_pagemap, .may = task_node_may, .alive = task_node_alive, .getattr = task_node_owner,
	.release = task_node_release,
};
